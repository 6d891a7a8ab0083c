"""What ails a network, in sentences with their evidence: `fastnn.diagnose`."""

from fastnn.diagnosis.diagnosis import Diagnosis, LearningCurve, diagnose
from fastnn.diagnosis.findings import VERDICTS, Finding

__all__ = ["VERDICTS", "Diagnosis", "Finding", "LearningCurve", "diagnose"]

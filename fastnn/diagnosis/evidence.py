"""The words and numbers that all questions of a diagnosis share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from fastnn._scaling import named_columns
from fastnn.diagnosis.case import Case
from fastnn.diagnosis.probes import gain

Array = npt.NDArray[Any]

#: Fewer samples are few for any task: a share among them is known to 10 % at best, 1 / sqrt(n).
FEW = 100

# Half of the samples: the error with all of them is less by this share where more of them help.
_SLOPE = 0.1
# In standard errors, of one comparison that is not picked among others.
_LIKELY_Z = 2.0


class Questions:
    """What each question is about.

    Parameters
    ----------
    case : Case
        After `measure`.
    labels : sequence
        Of the columns of X; none where they have no names.
    rows : ndarray of int64
        Of the training samples in the user's X.
    """

    def __init__(self, case: Case, labels: Sequence[Any], rows: Array) -> None:
        self.case, self.labels, self.rows = case, labels, rows
        self.task, self.subject = case.task, case.subject

    @property
    def left(self) -> float:
        """The share of the baseline's error that is left."""
        return self.subject.validation_error / self.case.baseline_error

    def still_falls(self) -> bool:
        """Whether the last doubling of the samples has helped."""
        if len(self.case.curve) < 2:
            return False
        half, whole = self.case.curve[-2:]
        found = gain(half.validation, whole.validation)
        return found.mean >= _SLOPE * half.validation_error and found.z >= _LIKELY_Z

    def slope_evidence(self) -> dict[str, float]:
        if len(self.case.curve) < 2:
            return {}
        half, whole = self.case.curve[-2:]
        return {
            "validation error with half the samples": half.validation_error,
            "with all of them": whole.validation_error,
        }

    def amount(self, error: float) -> str:
        """An error in a sentence."""
        return f"{100 * error:.1f} %" if self.task.is_classifier else f"{error:.3g}"

    def guess(self) -> str:
        """The baseline in a sentence."""
        return "the most frequent class" if self.task.is_classifier else "the median"

    def named(self, columns: Array) -> str:
        """Such as ``columns 3 ('income') and 7``."""
        return named_columns(columns, self.labels)

    def both_errors(self) -> dict[str, float]:
        return {
            "training error": self.subject.training_error,
            "validation error": self.subject.validation_error,
            "baseline error": self.case.baseline_error,
        }

    def linear_evidence(self) -> dict[str, float]:
        linear = self.case.linear
        return {} if linear is None else {"of a linear model": linear.validation_error}

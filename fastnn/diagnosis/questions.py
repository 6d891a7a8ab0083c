"""The questions of a diagnosis, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from fastnn.diagnosis.case import Case
from fastnn.diagnosis.findings import Finding
from fastnn.diagnosis.sample_questions import SampleQuestions
from fastnn.diagnosis.training_questions import TrainingQuestions

Array = npt.NDArray[Any]

# What weights of classes add to the recall where the classes' shares are what hinders.
_MORE_RECALL = 0.15


def findings_of(case: Case, labels: Sequence[Any], rows: Array) -> list[Finding]:
    """All that is found, most important first.

    Parameters
    ----------
    case : Case
        After `measure`.
    labels : sequence
        Of the columns of X; none where they have no names.
    rows : ndarray of int64
        Of the training samples in the user's X.
    """
    samples = SampleQuestions(case, labels, rows)
    training = TrainingQuestions(case, labels, rows)
    first = [samples.few_samples(), samples.leak()]
    rare = samples.imbalance()
    if not samples.has_signal():
        found = [*first, rare if samples.has_few_rare else None, samples.no_signal()]
        return [each for each in found if each is not None]
    is_rare_first = rare is not None and rare.evidence.get("recall with class weights", 0) >= (
        rare.evidence["recall"] + _MORE_RECALL
    )
    causes, dead = training.causes(samples.labels_wrong())
    last = [None if is_rare_first else rare, *training.variance(), dead]
    found = [*first, rare if is_rare_first else None, *causes, *last]
    result = [each for each in found if each is not None]
    return result or [training.nothing()]

"""What is told by networks of samples that they have not seen: is anything known, what is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn.diagnosis.probes import Task

Array = npt.NDArray[Any]

# Where labels are wrong, the networks are as often wrong where they are surest as where they are
# sure: the curve of mistakes by sureness ends in a plateau, as high as their share.
# Where classes overlap, or the networks know too little, it falls to its end.
_SUREST, _SURE = 0.2, 0.5
# The mistakes among the surest are at least these shares of those among the sure (to a standard
# error) and among all: both are 1 where wrong labels are the only mistakes, and near 0 for overlap.
_PLATEAU, _LIKE_ALL = 0.85, 0.55
# They are at least this share of them, as less is what careful labelling leaves; and at least this
# number, as it is known to a quarter then.
_LEAST_WRONG, _FEWEST_WRONG = 0.05, 15
# Networks that leave more of the baseline's error know too little to judge labels.
_KNOWS = 0.8
# Targets that lie as many times the typical residual away: Gaussian noise has one of 16,000 there.
_OUTLIER = 4.0
# Samples that have a typical residual in common: tenths by the output, and at least this number, as
# their median is known to a fifth then.
_MOST_GROUPS, _GROUP = 10, 30
# A normal distribution's standard deviation in median absolute deviations.
_PER_MAD = 1.4826


def knowledge(task: Task, output: Array, y: Array) -> float:
    """By how many standard errors the outputs go with the targets.

    Parameters
    ----------
    task : Task
    output : ndarray of shape (n_samples, n_outputs)
        Of networks that have not seen the samples.
    y : ndarray of shape (n_samples,) or (n_samples, n_targets)

    Returns
    -------
    float
        A standard normal number, or less, where they know nothing.
    """
    truth = task.truth(y)
    if task.has_classes:
        output = task.probabilities(output)
        truth = truth[:, np.newaxis] == np.arange(output.shape[1])
    truth = truth.reshape(len(truth), -1)
    # Of a rare class hardly a sample is called so, but it may well be ranked above the others
    columns = zip(output.T, np.broadcast_to(truth, output.shape).T, strict=True)
    found = [_rank_z(values, of_truth) for values, of_truth in columns]
    # A column more is a chance more: the largest of k normal numbers is about sqrt(2 log k).
    # With two classes one says what the other one says
    n_chances = len(found) - task.has_classes
    return max(found) - float(np.sqrt(2 * np.log(max(1, n_chances))))


def wrong_targets(task: Task, output: Array, y: Array) -> tuple[float, Array]:
    """The estimated share of wrong targets.

    Parameters
    ----------
    task, output, y
        As for `knowledge`.

    Returns
    -------
    share : float
        0 where there are too few to be told from other mistakes.
    order : ndarray of int64, shape (n_samples,)
        The samples, the least likely target first.
    """
    if task.has_classes:
        return _wrong_classes(task, output, y)
    distances = np.abs(y - output).mean(axis=1).astype(np.float64)
    # Where large numbers are less exact than small ones, they are compared with their like
    by_size = np.argsort(output.mean(axis=1), kind="stable")
    n_groups = max(1, min(_MOST_GROUPS, len(y) // _GROUP))
    times = np.zeros(len(y))
    for group in np.array_split(by_size, n_groups):
        typical = _PER_MAD * float(np.median(distances[group]))
        if typical > 0:
            times[group] = distances[group] / typical
    share = float((times > _OUTLIER).mean())
    return (share if share >= _LEAST_WRONG else 0.0), np.argsort(-times, kind="stable")


def _wrong_classes(task: Task, output: Array, y: Array) -> tuple[float, Array]:
    """The same where each sample has a class."""
    truth = task.truth(y)
    probabilities = task.probabilities(output)
    decided, sureness = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = decided != truth
    given = probabilities[np.arange(len(truth)), truth]
    order = np.lexsort((-sureness, np.where(wrong, given, 2.0)))
    in_order = wrong[np.argsort(-sureness, kind="stable")]
    surest, sure = (in_order[: round(part * len(wrong))] for part in (_SUREST, _SURE))
    share = float(surest.mean())
    error = float(surest.std()) / np.sqrt(max(1, len(surest)))
    is_likely = (
        share >= max(_LEAST_WRONG, _PLATEAU * sure.mean() - error, _LIKE_ALL * wrong.mean())
        and surest.sum() >= _FEWEST_WRONG
        and wrong.mean() <= _KNOWS * (truth != task.guess).mean()
    )
    return (float(sure.mean()) if is_likely else 0.0), order


def _rank_z(a: Array, b: Array) -> float:
    """Spearman's rank correlation in standard errors; equal values rank alike."""
    ranks = []
    for values in (a, b):
        in_order = np.sort(values)
        rank = np.searchsorted(in_order, values) + np.searchsorted(in_order, values, "right")
        ranks.append(rank - rank.mean())
    spread = float(np.sqrt(np.square(ranks[0]).sum() * np.square(ranks[1]).sum()))
    if spread == 0:
        return 0.0
    return float(ranks[0] @ ranks[1]) / spread * float(np.sqrt(len(a) - 1))

"""What single columns of X are like: their sizes, and how much each tells alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn._scaling import column_sizes
from fastnn.diagnosis.probes import Part, Task

Array = npt.NDArray[Any]

# A column is on another scale where its size is as many times the typical one, or the typical one
# is as many times 1 (or 1 as many times it): a factor of 3 is common among honest columns and costs
# nothing. Whether 10 does is measured.
_FAR = 10.0

# Neighbours of a sample in a column: an odd number, so that two classes never tie, and few, so that
# they are near.
_NEIGHBOURS = 9
# Columns that are looked at: those that go best with the targets in a straight line.
_MOST_COLUMNS = 200


def far_columns(X: Array) -> Array | None:
    """The columns on another scale than the others; all of them if they share a far one.

    None where all are on a common scale near 1.
    """
    sizes, varies = column_sizes(X)
    if not varies.any():
        return None
    typical = float(np.median(sizes[varies]))
    far = varies & ((sizes > _FAR * typical) | (sizes * _FAR < typical))
    if far.any():
        return np.flatnonzero(far)
    return np.flatnonzero(varies) if not 1 / _FAR <= typical <= _FAR else None


class Standard:
    """Brings columns to mean 0 and standard deviation 1, those of the given samples.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    """

    def __init__(self, X: Array) -> None:
        # By powers of two: squares neither overflow nor vanish, and the others keep their bits
        self._exponent = np.frexp(np.abs(X.astype(np.float64)).max(axis=0))[1]
        scaled = self._scaled(X)
        self._mean, deviation = scaled.mean(axis=0), scaled.std(axis=0)
        self._deviation = np.where(deviation > 0, deviation, 1.0)

    def __call__(self, X: Array) -> Array:
        standard: Array = ((self._scaled(X) - self._mean) / self._deviation).astype(np.float32)
        return standard

    def inverse(self, standard: Array) -> Array:
        """The columns that these were made of."""
        columns: Array = np.ldexp(standard * self._deviation + self._mean, self._exponent)
        return columns

    @property
    def is_far(self) -> bool:
        """Whether a column is on a scale far from 1, or its mean far from 0 on its own scale."""
        sizes = np.ldexp(self._deviation, self._exponent)
        far = (sizes > _FAR) | (sizes * _FAR < 1) | (np.abs(self._mean) > _FAR * self._deviation)
        return bool(far.any())

    def _scaled(self, X: Array) -> Array:
        scaled: Array = np.ldexp(X.astype(np.float64), -self._exponent)
        return scaled


def errors_alone(task: Task, samples: Part, seed: int) -> tuple[Array, Array, float]:
    """How wrong the targets are predicted where one column is all that is known.

    Half of the samples are predicted by their neighbours in the column among the other half.

    Returns
    -------
    columns : ndarray of int64
        That were looked at, ascending.
    errors : ndarray of float64
        Mean of `Task.errors` by each of these.
    baseline_error : float
        Mean of `Task.baseline` of the same samples.
    """
    order = np.random.default_rng(seed).permutation(len(samples.y))
    half = len(order) // 2
    asked, known = samples.take(order[:half]), samples.take(order[half:])
    truth = task.truth(known.y)
    if task.has_classes:
        targets = np.eye(max(2, int(truth.max()) + 1))[truth]
    else:
        targets = truth.reshape(len(truth), -1).astype(np.float64)
    columns = _likely(known.X, targets)
    errors = [_error_alone(task, known.X[:, j], targets, asked.X[:, j], asked.y) for j in columns]
    return columns, np.array(errors), float(task.baseline(asked.y).mean())


def _likely(X: Array, targets: Array) -> Array:
    """The columns to look at, in ascending order."""
    n_columns = X.shape[1]
    if n_columns <= _MOST_COLUMNS:
        return np.arange(n_columns)
    centred = Standard(X)(X)
    about = targets - targets.mean(axis=0)
    strengths = np.square(centred.T @ about).sum(axis=1)
    return np.sort(np.argsort(-strengths, kind="stable")[:_MOST_COLUMNS])


def _error_alone(task: Task, known: Array, targets: Array, asked: Array, y: Array) -> float:
    """By the mean target of the neighbours; among equal values of those in the middle."""
    order = np.argsort(known, kind="stable")  # the samples come in random order
    in_order = known[order]
    sums = np.vstack([np.zeros(targets.shape[1]), np.cumsum(targets[order], axis=0)])
    width = min(_NEIGHBOURS, len(known))
    middle = (np.searchsorted(in_order, asked) + np.searchsorted(in_order, asked, "right")) // 2
    first = np.clip(middle - width // 2, 0, len(known) - width)
    means = (sums[first + width] - sums[first]) / width
    truth = task.truth(y)
    if task.has_classes:
        return float(np.mean(means.argmax(axis=1) != truth))
    if task.is_classifier:
        return float(np.mean((means > 0.5) != truth))
    return float(np.mean(np.abs(means - truth)))

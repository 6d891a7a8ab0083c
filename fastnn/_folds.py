"""Rows that are trained on and rows that are tested on: for cross-validation and searches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import _validation
from fastnn._architecture import Architecture
from fastnn._split import split_rows
from fastnn.many import checked_rows

Array = npt.NDArray[Any]

#: Rows to train on, rows to test on.
Fold = tuple[Array, Array]


def checked_folds(
    cv: Any, architecture: Architecture, X: Array, targets: Array, seed: int
) -> list[Fold]:
    """The folds that `cv` stands for.

    Parameters
    ----------
    cv : int, float, splitter, or iterable of (train, test)
        The number of folds, or the share of one part that is set aside; both stratified where each
        sample has one class.
    architecture : Architecture
        What the targets are of.
    X, targets : ndarray
        As `Architecture.checked_data` gives them.
    seed : int

    Raises
    ------
    TypeError, ValueError
    """
    labels = targets
    if targets.ndim == 2 and architecture.is_classifier:
        labels = architecture.decided(targets)
    is_stratified = architecture.is_classifier and labels.ndim == 1
    if isinstance(cv, Integral) and not isinstance(cv, bool):
        return _equal_folds(int(cv), len(X), labels if is_stratified else None, seed)
    if isinstance(cv, Real) and not isinstance(cv, bool):
        share = _validation.number_in_open_interval(cv, "cv")
        return [split_rows(len(X), share, seed, labels if is_stratified else None)]
    if hasattr(cv, "split") and not isinstance(cv, (str, bytes)):
        cv = cv.split(X, labels)
    if isinstance(cv, (str, bytes, Mapping)) or not isinstance(cv, Iterable):
        raise TypeError(
            f"cv must be a number of folds, the share of a part, an object with a method split, or "
            f"pairs (train, test) of rows, got {_validation.shown(cv)}"
        )
    folds = []
    for i, pair in enumerate(cv):
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise TypeError(f"cv[{i}] must be a pair (train, test), got {_validation.shown(pair)}")
        train, test = (checked_rows(rows, len(X), f"cv[{i}][{j}]") for j, rows in enumerate(pair))
        folds.append((train, test))
    if not folds:
        raise ValueError("cv must have at least one pair of rows, got none")
    return folds


def _equal_folds(k: int, n_samples: int, labels: Array | None, seed: int) -> list[Fold]:
    """Each row is tested on once; the folds differ by one row at most, and so in each class."""
    if not 2 <= k <= n_samples:
        raise ValueError(f"cv must be from 2 to the {n_samples} samples of X, got {k}")
    order = np.random.default_rng(np.random.SeedSequence(seed)).permutation(n_samples)
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]
    fold_of_row = np.empty(n_samples, np.int64)
    fold_of_row[order] = np.arange(n_samples) % k
    return [(np.flatnonzero(fold_of_row != i), np.flatnonzero(fold_of_row == i)) for i in range(k)]

"""Rows set aside to validate on."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# Apart from the streams for the initial weights and for shuffling, which are the seed's first two.
_STREAM = 1 << 16


def split_rows(
    n_samples: int, fraction: float, seed: int, labels: Array | None = None
) -> tuple[Array, Array]:
    """Which rows are trained on and which are set aside, each in ascending order.

    Parameters
    ----------
    n_samples : int
    fraction : float
        In (0, 1), of the rows to set aside; at least one is, and at least one is not.
    seed : int
        The same one gives the same rows.
    labels : ndarray of shape (n_samples,), optional
        Each class is set aside by that fraction, up to a sample; one that has a single sample is
        trained on.

    Returns
    -------
    kept, aside : ndarray of int64

    Raises
    ------
    ValueError
        If there are less than two samples.
    """
    if n_samples < 2:
        raise ValueError(f"validation_split must leave samples to train on, got X of {n_samples}")
    order = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_STREAM,))).permutation(
        n_samples
    )
    n_aside = min(max(1, round(fraction * n_samples)), n_samples - 1)
    is_aside = np.zeros(n_samples, np.bool_)
    if labels is not None and labels.ndim == 1:
        for rows in _shares(order, labels, fraction, n_aside):
            is_aside[rows] = True
    if not is_aside.any():
        is_aside[order[:n_aside]] = True
    return np.flatnonzero(~is_aside), np.flatnonzero(is_aside)


def _shares(order: Array, labels: Array, fraction: float, n_aside: int) -> list[Array]:
    """The rows of each class to set aside, the first ones in `order`: by largest remainders."""
    _, classes, counts = np.unique(labels[order], return_inverse=True, return_counts=True)
    quotas = fraction * counts
    taken = np.minimum(quotas.astype(np.int64), counts - 1)
    for i in np.argsort(taken - quotas, kind="stable"):
        if taken.sum() < n_aside and taken[i] + 1 < counts[i]:
            taken[i] += 1
    return [order[classes == i][:n] for i, n in enumerate(taken)]

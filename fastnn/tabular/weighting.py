"""What the inputs are worth, as factors on them for a second training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastnn.network import Network
from fastnn.tabular.target import Target
from fastnn.tabular.values import Array

_REPEATS = 2
_LEAST_ROWS = 8
_ENOUGH_ROWS = 100  # of many; thousands of inputs are not to be judged by a few


def input_factors(
    net: Network,
    target: Target,
    X: Array,
    y: Array,
    groups: Sequence[slice],
    most_predictions: int,
    threads: int | None,
) -> Array | None:
    """The root of what shuffling a group of inputs costs, beside the costliest.

    The cost is the growth of the mean loss, less its standard error: what is useless has no more
    than a small factor, most often 0.

    Parameters
    ----------
    net : Network
    target : Target
    X, y : ndarray
        Inputs and targets of rows that the network was not trained on.
    groups : sequence of slice
        Of the inputs.
    most_predictions : int
        Rows to predict in all; some of the rows are taken where they are more.
    threads : int or None

    Returns
    -------
    ndarray of float32, of shape (n_inputs,), or None
        From 0 to 1. None where there are too few rows, also for that many inputs, or where
        nothing is worth anything.
    """
    n_rows = min(len(X), most_predictions // (_REPEATS * len(groups)))
    if n_rows < max(_LEAST_ROWS, min(len(X), _ENOUGH_ROWS)):
        return None
    rng = np.random.default_rng(net.seed)
    rows = rng.permutation(len(X))[:n_rows]
    X, y = X[rows], y[rows]
    losses = _losses(net, target, X, y, threads)
    costs = []
    for group in groups:
        kept = X[:, group].copy()
        growth = np.zeros(n_rows)
        for _ in range(_REPEATS):
            X[:, group] = kept[rng.permutation(n_rows)]
            growth += (_losses(net, target, X, y, threads) - losses) / _REPEATS
        X[:, group] = kept
        costs.append(max(_beyond_error(growth), 0.0))
    most = max(costs)
    if not most > 0:
        return None
    factors = np.zeros(X.shape[1], np.float32)
    for group, cost in zip(groups, costs, strict=True):
        factors[group] = np.sqrt(cost / most)
    return factors


def is_better(
    net: Network, other: Network, target: Target, X: Array, y: Array, threads: int | None
) -> bool:
    """Whether the loss of `net` is lower than that of `other`, by more than the standard error."""
    gains = _losses(other, target, X, y, threads) - _losses(net, target, X, y, threads)
    return _beyond_error(gains) > 0


def _beyond_error(values: Array) -> float:
    """The mean less its standard error."""
    return float(values.mean() - values.std() / np.sqrt(len(values)))


def _losses(net: Network, target: Target, X: Array, y: Array, threads: int | None) -> Array:
    output = net.predict_proba(X, threads=threads).astype(np.float64)
    if target.task == "regression":
        return (output[:, 0] - y) ** 2
    return -np.log(np.maximum(output[np.arange(len(y)), y], 1e-7))

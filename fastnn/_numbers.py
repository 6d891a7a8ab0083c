"""Arrays of a user that become the parameters and the running statistics of a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import _validation
from fastnn._architecture import Architecture
from fastnn._blocks import aligned_copy, split
from fastnn._state import State

Array = npt.NDArray[Any]


def replaced_numbers(
    state: State,
    architecture: Architecture,
    n_features: int,
    weights: Any,
    biases: Any,
    running_statistics: Any,
) -> tuple[Array, Array]:
    """The blocks of parameters and of running statistics with other numbers in them.

    Parameters
    ----------
    state : State
        Of what stays; it is not changed.
    weights, biases, running_statistics
        As for `Network.set_parameters`.

    Raises
    ------
    TypeError, ValueError
    """
    dtype = architecture.dtype
    changed = replace(
        state,
        parameters=aligned_copy(state.parameters, dtype),
        running=aligned_copy(state.running, dtype),
    )
    views = split(changed.parameters, architecture.shapes(n_features))
    n_layers = len(architecture.layers)
    for name, given, places in (
        ("weights", weights, [pair[0] for pair in views]),
        ("biases", biases, [pair[1] for pair in views]),
    ):
        for i, value in enumerate(_entries(given, n_layers, name)):
            if value is not None:
                _fill(places[i], value, f"{name}[{i}]")
    means_and_variances = changed.running_statistics(architecture, n_features)
    for i, value in enumerate(_entries(running_statistics, n_layers, "running_statistics")):
        place, name = means_and_variances[i], f"running_statistics[{i}]"
        if value is None:
            continue
        if place is None:
            raise ValueError(
                f"{name} must be None: {architecture.layers[i]!r} has no running statistics"
            )
        for part, view, array in zip((0, 1), place, _entries(value, 2, name), strict=True):
            view.flags.writeable = True
            _fill(view, array, f"{name}[{part}]")
    changed.check(architecture, n_features)
    return changed.parameters, changed.running


def _entries(given: Any, n: int, name: str) -> Sequence[Any]:
    """The `n` entries of an argument; None for each where it is None."""
    if given is None:
        return [None] * n
    if isinstance(given, (str, bytes)) or not isinstance(given, (Sequence, np.ndarray)):
        raise TypeError(f"{name} must be a sequence of {n} entries, got {_validation.shown(given)}")
    if len(given) != n:
        raise ValueError(f"{name} must hold {n} entries, got {len(given)}")
    return list(given)


def _fill(place: Array, value: Any, name: str) -> None:
    array = _validation.numbers(value, name)
    if array.shape != place.shape:
        is_transposed = array.ndim == 2 and array.shape[::-1] == place.shape
        remedy = "; rows are inputs: pass its transpose" if is_transposed else ""
        raise ValueError(f"{name} must be of shape {place.shape}, got {array.shape}{remedy}")
    with np.errstate(all="ignore"):  # what does not fit becomes infinity, which is refused
        place[:] = array

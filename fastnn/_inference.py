"""What `Network.predict`, `forward` and `evaluate` have in common: rows through all layers."""

from __future__ import annotations

from collections.abc import Callable
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastnn import _maps, _validation
from fastnn._averages import Average
from fastnn._blocks import check_finite
from fastnn._core import inference
from fastnn._core.inference import NotFiniteError
from fastnn._sparse import SparseRows
from fastnn.config import choose_threads
from fastnn.layers import Dense

if TYPE_CHECKING:
    from fastnn.network import Network

Array = npt.NDArray[Any]


def infer(
    net: Network,
    X: Array | SparseRows,
    outputs: list[Array],
    targets: Array | None = None,
    *,
    threads: int | None = None,
    z_outputs: list[Array | None] | None = None,
    weights: Array | None = None,
    average: Average | None = None,
    first_row: int = 0,
    loss_before: float = 0.0,
) -> float:
    """Fills `outputs`, of all layers or the last one, from data that have been checked.

    Returns the sum of the losses by the weights, those of the rows before (`loss_before`) included.
    `average` stands in for the network's own numbers. `first_row` counts the rows of the user's X
    before these, for errors.
    """
    plan, state = net._built()
    model = average or state
    n_threads = choose_threads(threads, plan.training_flops(len(X)) / 3)
    try:
        with net._access.reading():
            loss = inference.infer(
                plan,
                model.parameters,
                model.running,
                X,
                outputs,
                n_threads,
                targets,
                z_outputs,
                weights,
                loss_before,
            )
    except NotFiniteError as error:
        explain_not_finite(net, error, X, first_row)
        raise
    return checked_loss(loss, net.dtype)


def infer_output(net: Network, X: Array | SparseRows, *, threads: int | None = None) -> Array:
    """The output for all rows; a mapped file is read part by part."""
    output = np.empty((len(X), net.n_outputs), net.dtype)
    for first, end in _maps.slices(X):
        infer(net, X[first:end], [output[first:end]], threads=threads, first_row=first)
        _maps.give_back(X[first:end])
    return output


def forward(
    net: Network, X: Array | SparseRows, wants_logits: bool, threads: int | None
) -> tuple[list[Array], list[Array]]:
    """The activations of every layer, and the logits if they are wanted; see `Network.forward`."""

    def compute(outputs: list[Array], z_outputs: list[Array | None]) -> None:
        infer(net, X, outputs, threads=threads, z_outputs=z_outputs if wants_logits else None)

    return outputs_of_layers(net, X, compute)


def outputs_of_layers(
    net: Network, X: Array | SparseRows, compute: Callable[[list[Array], list[Array | None]], None]
) -> tuple[list[Array], list[Array]]:
    """The activations and logits of every layer, where `compute` fills those of its arguments.

    Layers that only training has, have no array there; what is no product has no logits.
    """
    widths = net._architecture.widths(net._built()[0].n_features)[1:]
    arrays = [
        None if layer.has_noise else np.empty((len(X), width), net.dtype)
        for layer, width in zip(net.layers, widths, strict=True)
    ]
    zs = [
        np.empty_like(array) if isinstance(layer, Dense) and array is not None else None
        for layer, array in zip(net.layers, arrays, strict=True)
    ]
    outputs = [array for array in arrays if array is not None]
    compute(outputs, [z for z, array in zip(zs, arrays, strict=True) if array is not None])
    activations: list[Array] = []
    for array in arrays:
        if array is None:  # what enters leaves
            array = activations[-1] if activations else np.array(X, net.dtype)
        activations.append(array)
    return activations, [a if z is None else z for z, a in zip(zs, activations, strict=True)]


def checked_loss(loss: float, dtype: np.dtype[Any]) -> float:
    """`loss`, if it is a number."""
    if isnan(loss):
        raise ValueError(
            f"the loss is NaN: X or the parameters are so large that {dtype} cannot hold what lies "
            f"between"
        )
    return loss


def explain_not_finite(
    net: Network, error: NotFiniteError, X: Array | SparseRows, first_row: int = 0
) -> None:
    """Says where a number that is not finite comes from.

    Raises
    ------
    ValueError
        Unless X or the parameters have changed since.
    """
    if error.in_input:
        _validation.finite(X, net.dtype, "X", first_row)
        return
    check_finite(net._built()[1].parameters, net._shapes, net.dtype)
    raise ValueError(
        f"the output for row {first_row + error.first} of X is NaN: X or the parameters are so "
        f"large that {net.dtype} cannot hold what lies between"
    ) from error

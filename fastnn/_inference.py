"""What `Network.predict`, `forward` and `evaluate` have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from fastnn.metrics import Metric

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
) -> float:
    """Fills `outputs`, of all layers or the last one, from data that have been checked.

    Returns the mean loss by the weights, 0 without `targets`. `average` stands in for the network's
    own numbers. `first_row` counts the rows of the user's X before these, for errors.
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
            )
    except NotFiniteError as error:
        explain_not_finite(net, error, X, first_row)
        raise
    return checked_loss(loss, net.dtype)


def infer_output(
    net: Network,
    X: Array | SparseRows,
    y: Array | None = None,
    *,
    threads: int | None = None,
    weights: Array | None = None,
    average: Average | None = None,
) -> tuple[Array, float]:
    """The output for all rows, and what `infer` returns; a mapped file is read part by part."""
    output = np.empty((len(X), net.n_outputs), net.dtype)
    losses, of_parts = [], []
    for first, end in _maps.slices(X):
        part = slice(first, end)
        part_weights = None if weights is None else weights[part]
        counts = part_weights is None or bool(part_weights.any())
        loss = infer(
            net,
            X[part],
            [output[part]],
            y[part] if y is not None and counts else None,
            threads=threads,
            weights=part_weights if counts else None,
            average=average,
            first_row=first,
        )
        losses.append(loss)
        of_parts.append(end - first if part_weights is None else float(part_weights.sum()))
        _maps.give_back(X[part])
    return output, losses[0] if len(losses) == 1 else float(np.average(losses, weights=of_parts))


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


def evaluate(
    net: Network,
    X: Array | SparseRows,
    y: Array,
    metrics: Sequence[Metric] = (),
    *,
    threads: int | None = None,
    weights: Array | None = None,
    average: Average | None = None,
) -> dict[str, float]:
    """Loss, a classifier's accuracy, and other metrics from data that have been checked.

    `weights` are of the first two alone.
    """
    output, loss = infer_output(net, X, y, threads=threads, weights=weights, average=average)
    result = {"loss": loss}
    predicted, truth = (
        net._architecture.decided(output),
        y if y.ndim == 1 else net._architecture.decided(y),
    )
    if net._architecture.is_classifier:
        right = predicted == truth
        shares = right if weights is None else np.average(right, axis=0, weights=weights)
        result["accuracy"] = float(np.mean(shares))
    values = output.reshape(-1) if net.n_outputs == 1 else output
    for metric in metrics:
        result[metric.name] = metric(
            truth, values if metric.takes == "probabilities" else predicted
        )
    return result


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

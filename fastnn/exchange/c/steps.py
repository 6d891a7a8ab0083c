"""The steps of a network: what its layers do once it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import _validation
from fastnn.exchange.c.program import Step
from fastnn.layers import Activation, BatchNorm, Dense, Layer, LayerNorm, PReLU, Rescale
from fastnn.network import Network

Array = npt.NDArray[Any]

#: Weights of a `Dense` as int8, and the float32 scale of each column, by the number of the layer.
Integers = Mapping[int, tuple[Array, Array]]


def steps_of(net: Network, integers: Integers | None = None) -> list[Step]:
    """What a built network does to a row.

    Parameters
    ----------
    net : Network
    integers : mapping of int to (ndarray, ndarray), optional
        Of `int8_weights`, in the place of the network's own weights.

    Returns
    -------
    list of Step

    Raises
    ------
    ValueError
        If a number is beyond the range of the dtype once a norm is folded in.
    """
    steps: list[Step] = []
    width = net.n_features
    assert width is not None
    previous: Layer | None = None
    for i, layer in enumerate(net.layers):
        if layer.has_noise:
            continue
        width = layer.n_out(width)
        if isinstance(layer, Dense):
            steps.append(_dense(net, i, integers))
        elif isinstance(layer, BatchNorm):
            factor, term = _factor_and_term(net, i, layer)
            if isinstance(previous, Dense) and previous.activation == "linear":
                steps[-1] = _folded(steps[-1], factor, term, net.dtype)
            else:
                numbers = {
                    f"factor_{i}": _rounded(factor, net.dtype, f"layers[{i}]"),
                    f"term_{i}": _rounded(term, net.dtype, f"layers[{i}]"),
                }
                steps.append(Step("scale", width, width, numbers))
        elif isinstance(layer, LayerNorm):
            numbers = {f"weights_{i}": net.weights[i], f"bias_{i}": net.biases[i]}
            steps.append(Step("layer_norm", width, width, numbers, (layer.epsilon,)))
        elif isinstance(layer, Rescale):
            steps.append(Step("rescale", width, width, {}, (layer.scale, layer.offset)))
        elif isinstance(layer, PReLU):
            steps.append(Step("prelu", width, width, {f"alpha_{i}": net.weights[i]}))
        if isinstance(layer, Dense | Activation) and layer.activation != "linear":
            steps.append(Step(layer.activation, width, width, {}))
        previous = layer
    return steps


def int8_weights(net: Network) -> dict[int, tuple[Array, Array]]:
    """The weights of each `Dense` as int8, and the scale of each column, by the layer's number."""
    return {
        i: int8_columns(net.weights[i])
        for i, layer in enumerate(net.layers)
        if isinstance(layer, Dense)
    }


def int8_columns(weights: Array) -> tuple[Array, Array]:
    """float32 as int8, and the float32 scale of each column."""
    scale = np.abs(weights).max(axis=0) / np.float32(127)
    scale[scale < np.finfo(np.float32).tiny] = 1  # a column of zeros
    return np.rint(weights / scale).astype(np.int8), scale


def check_finite(net: Network) -> None:
    """Refuses numbers of a network that are NaN or infinite; ValueError names the first."""
    parts = zip(net.weights, net.biases, net.running_statistics, strict=True)
    for i, (weights, bias, running) in enumerate(parts):
        _validation.finite(weights, net.dtype, f"weights[{i}]")
        _validation.finite(bias, net.dtype, f"biases[{i}]")
        for k, statistic in enumerate(running or ()):
            _validation.finite(statistic, net.dtype, f"running_statistics[{i}][{k}]")


def _dense(net: Network, i: int, integers: Integers | None) -> Step:
    numbers = {f"weights_{i}": net.weights[i]}
    function = "dense"
    if integers is not None:
        numbers = {f"weights_{i}": integers[i][0], f"scale_{i}": integers[i][1]}
        function = "dense_int8"
    n_in, n_out = net.weights[i].shape
    return Step(function, n_in, n_out, {**numbers, f"bias_{i}": net.biases[i]})


def _factor_and_term(net: Network, i: int, layer: BatchNorm) -> tuple[Array, Array]:
    """A batch norm as ``factor x + term``, in float64."""
    statistics = net.running_statistics[i]
    assert statistics is not None
    mean, variance = (statistic.astype(np.float64) for statistic in statistics)
    # In the network's dtype, as it computes it; so the term cancels what the factor is off
    factor = (net.weights[i] / np.sqrt(variance + layer.epsilon)).astype(net.dtype)
    return factor.astype(np.float64), net.biases[i] - mean * factor


def _folded(dense: Step, factor: Array, term: Array, dtype: np.dtype[Any]) -> Step:
    """A linear dense step with what follows it: its weights, or their scale, and its bias."""
    *_, weights, bias = dense.constants
    numbers = {
        weights: dense.constants[weights] * factor,
        bias: dense.constants[bias] * factor + term,
    }
    rounded = {
        name: _rounded(array, dtype, f"{name}, with the batch norm behind it,")
        for name, array in numbers.items()
    }
    return replace(dense, constants=dense.constants | rounded)


def _rounded(array: Array, dtype: np.dtype[Any], name: str) -> Array:
    """`array` in the dtype, if it can be."""
    _validation.finite(np.ascontiguousarray(array), dtype, name)
    return array.astype(dtype)

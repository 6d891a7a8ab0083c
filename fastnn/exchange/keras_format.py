"""Keras: to a Sequential model, and from models whose layers are a chain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn._extras import import_extra
from fastnn.exchange.plain import Part, at, network_of, parts_of
from fastnn.layers import (
    Activation,
    BatchNorm,
    Dense,
    Dropout,
    GaussianNoise,
    LayerNorm,
    PReLU,
    Rescale,
)
from fastnn.losses import Loss
from fastnn.network import Network

Array = npt.NDArray[Any]

# Activations that Keras has as functions of the same name, which compute the same.
_FUNCTIONS = (
    "linear", "sigmoid", "tanh", "relu", "elu", "selu", "gelu", "silu", "mish", "softplus",
    "exponential", "softmax",
)  # fmt: skip

# Activations as layers of Keras, and the settings of ours.
_ACTIVATION_LAYERS: dict[str, tuple[str, dict[str, Any]]] = {
    "leaky_relu": ("LeakyReLU", {"negative_slope": 0.01}),
    "relu": ("ReLU", {"max_value": None, "negative_slope": 0, "threshold": 0}),
    "elu": ("ELU", {"alpha": 1}),
    "softmax": ("Softmax", {"axis": -1}),
    "linear": ("Identity", {}),
}


def to_keras(net: Network) -> Any:
    """A Keras model that computes what the network's `predict_proba` does.

    Parameters
    ----------
    net : Network
        Built, with finite parameters.

    Returns
    -------
    keras.Sequential
        Of the network's dtype, with copies of its numbers; not compiled.

    Raises
    ------
    TypeError, ValueError
        If `net` is no network, is not built yet, or has a number that is not finite.
    ImportError
        If Keras, or the backend that it is set to use, is not installed.

    Notes
    -----
    Keras needs TensorFlow, PyTorch or JAX; the environment variable ``KERAS_BACKEND`` says which.
    Settings of training stay behind: penalties, ``max_norm``, ``trainable``, learning rates of
    layers, initializers, loss and optimiser.

    Examples
    --------
    >>> from fastnn import Network
    >>> from fastnn.exchange import to_keras
    >>> model = to_keras(Network.from_sizes([4, 8, 3], output="softmax"))
    >>> model.output_shape
    (None, 3)
    """
    keras = import_extra("keras", "Keras", "keras")
    parts = parts_of(net)
    dtype = net.dtype.name
    layers = [layer for part in parts for layer in _layers(part, keras, dtype)]
    model = keras.Sequential([keras.Input((net.n_features,), dtype=dtype), *layers])
    filled = (layer for layer in model.layers if layer.weights)
    for layer, part in zip(filled, (part for part in parts if part.n_units), strict=True):
        layer.set_weights(_numbers(part))
    return model


def from_keras(model: Any, loss: str | Loss | None = None) -> Network:
    """The network that computes what a Keras model does in inference.

    Parameters
    ----------
    model : keras.Sequential or keras.Model
        A chain of fully connected layers, activations, PReLU, norms, dropout and noise, that knows
        its input shape. Flatten may come first.
    loss : str or Loss, optional
        As for `Network`; that of a compiled model is not read.

    Returns
    -------
    Network
        Of dtype float64 if a number of the model is, else float32. Its seed is 0.

    Raises
    ------
    TypeError
        If `model` is not a Keras model.
    ValueError
        If fastnn has no such network; the error names the layer.
    ImportError
        If Keras, or the backend that it is set to use, is not installed.

    Examples
    --------
    >>> import keras
    >>> from fastnn.exchange import from_keras
    >>> from keras.layers import Dense
    >>> model = keras.Sequential([keras.Input((4,)), Dense(8, "relu"), Dense(3, "softmax")])
    >>> from_keras(model).layers
    (Dense(8, 'relu'), Dense(3, 'softmax'))
    """
    keras = import_extra("keras", "Keras", "keras")
    if not isinstance(model, keras.Model):
        raise TypeError(f"model must be a Keras model, got {type(model).__name__}")
    layers = list(_chain(model, keras))
    n_axes = len(model.inputs[0].shape)
    if n_axes != 2 and not (layers and type(layers[0]) is keras.layers.Flatten):
        raise ValueError(f"model {model.name!r}: its input must be rows, got {n_axes} axes")
    parts: list[Part] = []
    dtypes = [np.dtype(np.float32)]
    for layer in layers:
        place = f"layer {layer.name!r} ({type(layer).__name__})"
        with at(place):
            if type(layer) is keras.layers.Flatten and layer is not layers[0]:
                raise ValueError("must be the first layer")
            numbers = [_array(weight) for weight in layer.get_weights()]
            dtypes += [array.dtype for array in numbers]
            parts += [Part(place, **values) for values in _read(layer, numbers, keras)]
    return network_of(parts, np.result_type(*dtypes), loss=loss)


# ---- to ------------------------------------------------------------------------------------------


def _layers(part: Part, keras: Any, dtype: str) -> list[Any]:
    """The layers of one of ours, without its numbers."""
    layer, kinds, units = part.layer, keras.layers, part.n_units
    # Keras would take seeds, of initializers too, from Python's global random state
    draw, seed = keras.initializers.GlorotUniform(seed=0), {"seed": 0, "dtype": dtype}
    match layer:
        case Dense():
            if layer.activation in _FUNCTIONS:
                return [kinds.Dense(units, layer.activation, kernel_initializer=draw, dtype=dtype)]
            linear = kinds.Dense(units, kernel_initializer=draw, dtype=dtype)
            return [linear, _activation(layer.activation, kinds, dtype)]
        case Activation():
            return [_activation(layer.activation, kinds, dtype)]
        case Dropout():
            return [kinds.Dropout(layer.rate, **seed)]
        case Rescale():
            return [kinds.Rescaling(layer.scale, layer.offset, dtype=dtype)]
        case GaussianNoise():
            return [kinds.GaussianNoise(layer.scale, **seed)]
        case BatchNorm():
            settings = {"momentum": layer.momentum, "epsilon": layer.epsilon}
            return [kinds.BatchNormalization(**settings, dtype=dtype)]
        case LayerNorm():
            return [kinds.LayerNormalization(epsilon=layer.epsilon, dtype=dtype)]
        case PReLU():
            return [kinds.PReLU(dtype=dtype)]
    raise ValueError(f"{part.place}: Keras has no such layer")


def _activation(name: str, kinds: Any, dtype: str) -> Any:
    if name in _FUNCTIONS:
        return kinds.Activation(name, dtype=dtype)
    kind, settings = _ACTIVATION_LAYERS[name]
    return getattr(kinds, kind)(**settings, dtype=dtype)


def _numbers(part: Part) -> list[Array]:
    """In the order of Keras: weights, bias, mean, variance."""
    arrays = (part.weights, part.bias, *(part.running or ()))
    return [array for array in arrays if array is not None and array.size]


# ---- from ----------------------------------------------------------------------------------------


def _chain(model: Any, keras: Any) -> Iterator[Any]:
    """The layers of a model, in turn, where each takes the output of the one before it.

    Raises
    ------
    ValueError
    """
    is_sequential = type(model) is keras.Sequential
    if not is_sequential and type(model).__name__ != "Functional":
        raise ValueError(
            f"model {model.name!r} is a {type(model).__name__}, whose layers are not known to be a "
            f"chain; make it a keras.Sequential"
        )
    if not model.built:
        raise ValueError(f"model {model.name!r} is not built yet: give it a keras.Input")
    tensor = model.inputs[0]
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        if len(model.inputs) != 1 or layer.input is not tensor:
            raise ValueError(
                f"layer {layer.name!r}: does not take the output of the layer before it"
            )
        tensor = layer.output
        if isinstance(layer, keras.Model):
            yield from _chain(layer, keras)
        else:
            yield layer
    if len(model.outputs) != 1 or tensor is not model.outputs[0]:
        raise ValueError(f"model {model.name!r}: its output must be that of its last layer")


def _read(layer: Any, numbers: list[Array], keras: Any) -> list[dict[str, Any]]:
    """What `Part` needs to know of a layer, but for its place; of its activation too."""
    kinds, kind = keras.layers, type(layer)
    if kind is kinds.Dense:
        if len(numbers) != 1 + layer.use_bias:  # LoRA and quantization have more
            raise ValueError(f"must have a kernel and a bias alone, got {len(numbers)} arrays")
        weights, *bias = numbers
        dense = {"layer": Dense(layer.units), "weights": weights, "bias": (*bias, None)[0]}
        return [dense, {"layer": _function(layer.activation, keras)}]
    if kind is kinds.Activation:
        return [{"layer": _function(layer.activation, keras)}]
    if kind is kinds.Dropout:
        return [{"layer": Dropout(layer.rate)}]
    if kind is kinds.Rescaling:
        return [{"layer": Rescale(layer.scale, layer.offset)}]
    if kind is kinds.GaussianNoise:
        return [{"layer": GaussianNoise(layer.stddev)}]
    if kind is kinds.BatchNormalization:
        _check_axis(layer)
        *_, mean, variance = numbers
        norm = BatchNorm(layer.momentum, layer.epsilon)
        return [{"layer": norm, "running": (mean, variance), **_scale_and_shift(layer, numbers)}]
    if kind is kinds.LayerNormalization:
        _check_axis(layer)
        if layer.rms_scaling:
            raise ValueError("rms_scaling must be False, got True")
        return [{"layer": LayerNorm(layer.epsilon), **_scale_and_shift(layer, numbers)}]
    if kind is kinds.PReLU:
        return [{"layer": PReLU(), "weights": numbers[0]}]
    if kind is kinds.Flatten:
        return []
    for name, (known, settings) in _ACTIVATION_LAYERS.items():
        if kind is getattr(kinds, known):
            for setting, wanted in settings.items():
                value = getattr(layer, setting)
                if value != wanted:
                    raise ValueError(f"{setting} must be {wanted}, got {value}")
            return [{"layer": name}]
    known_kinds = [known for known, _ in _ACTIVATION_LAYERS.values()]
    raise ValueError(
        f"fastnn has no such layer; it knows Dense, Rescaling, Activation, Dropout, "
        f"GaussianNoise, BatchNormalization, LayerNormalization, PReLU, Flatten, "
        f"{', '.join(known_kinds)}"
    )


def _function(function: Any, keras: Any) -> str:
    """The name of an activation that Keras has as a function."""
    for name in _FUNCTIONS:
        if function is keras.activations.get(name):
            return name
    shown = getattr(function, "__name__", repr(function))
    raise ValueError(
        f"activation must be one of {', '.join(_FUNCTIONS)}, got {shown}; a leaky ReLU is a layer "
        f"of its own: LeakyReLU(negative_slope=0.01)"
    )


def _check_axis(layer: Any) -> None:
    """Refuses norms that are not over the units of rows."""
    axis = layer.axis
    if axis not in (-1, 1, [-1], [1], (-1,), (1,)):
        raise ValueError(f"axis must be -1, got {axis}")


def _scale_and_shift(layer: Any, numbers: list[Array]) -> dict[str, Any]:
    """The weights and the bias of a norm, which may have neither."""
    rest = iter(numbers)
    return {
        "weights": next(rest) if layer.scale else None,
        "bias": next(rest) if layer.center else None,
    }


def _array(weight: Any) -> Array:
    """float16 and bfloat16 as float32, which has all of their numbers."""
    array = np.asarray(weight)
    is_wide = array.dtype in (np.float32, np.float64)
    return array if is_wide else array.astype(np.float32)

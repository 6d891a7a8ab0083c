"""PyTorch: to and from `torch.nn.Sequential`."""

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

#: The modules of activations, and their settings: the one that is written, then others that are
#: read. Softplus is linear above its threshold; above 40 it is in float64 too.
_ACTIVATIONS: dict[str, tuple[str, dict[str, tuple[Any, ...]]]] = {
    "linear": ("Identity", {}),
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
    "relu": ("ReLU", {}),
    "leaky_relu": ("LeakyReLU", {"negative_slope": (0.01,)}),
    "elu": ("ELU", {"alpha": (1.0,)}),
    "selu": ("SELU", {}),
    "gelu": ("GELU", {"approximate": ("none",)}),
    "silu": ("SiLU", {}),
    "mish": ("Mish", {}),
    "softplus": ("Softplus", {"beta": (1.0,), "threshold": (40.0, 20.0)}),
    "softmax": ("Softmax", {"dim": (-1, 1)}),
}
_FLATTEN = {"start_dim": (1,), "end_dim": (-1,)}


def to_torch(net: Network) -> Any:
    """A PyTorch module that computes what the network's `predict_proba` does.

    Parameters
    ----------
    net : Network
        Built, with finite parameters.

    Returns
    -------
    torch.nn.Sequential
        On the CPU, of the network's dtype, with copies of its numbers, and in evaluation mode. Call
        its ``train()`` before training it.

    Raises
    ------
    TypeError, ValueError
        If `net` is no network, is not built yet, or has a number that is not finite.
    ImportError
        If PyTorch is not installed.

    Notes
    -----
    PyTorch has no exponential and no Gaussian noise as modules: ``fastnn.exchange.torch_modules``
    has them. Settings of training stay behind: penalties, ``max_norm``, ``trainable``, learning
    rates of layers, initializers, loss and optimiser.

    Examples
    --------
    >>> from fastnn import Network
    >>> from fastnn.exchange import to_torch
    >>> to_torch(Network.from_sizes([4, 3], output="softmax"))
    Sequential(
      (0): Linear(in_features=4, out_features=3, bias=True)
      (1): Softmax(dim=-1)
    )
    """
    torch = import_extra("torch", "PyTorch", "torch")
    modules = [module for part in parts_of(net) for module in _modules(part, torch)]
    return torch.nn.Sequential(*modules).eval()


def from_torch(
    module: Any, n_features: int | None = None, loss: str | Loss | None = None
) -> Network:
    """The network that computes what a PyTorch module does in evaluation mode.

    Parameters
    ----------
    module : torch.nn.Sequential
        Of fully connected layers, activations, PReLU, norms and dropout; also nested.
        Flatten may come first.
    n_features : int, optional
        Columns of the inputs, which the module tells too: it is an error if they differ.
    loss : str or Loss, optional
        As for `Network`; a module knows none.

    Returns
    -------
    Network
        Of dtype float64 if a number of the module is, else float32. Its seed is 0.

    Raises
    ------
    TypeError
        If `module` is not a Sequential.
    ValueError
        If fastnn has no such network; the error names the layer.
    ImportError
        If PyTorch is not installed.

    Notes
    -----
    A module for ``CrossEntropyLoss`` ends in logits. Add the softmax to it, and the network is a
    classifier: ``from_torch(nn.Sequential(*module, nn.Softmax(1)))``.

    Examples
    --------
    >>> from fastnn.exchange import from_torch
    >>> from torch import nn
    >>> net = from_torch(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1), nn.Sigmoid()))
    >>> net.layers
    (Dense(8, 'relu'), Dense(1, 'sigmoid'))
    """
    torch = import_extra("torch", "PyTorch", "torch")
    if not isinstance(module, torch.nn.Sequential):
        raise TypeError(f"module must be a torch.nn.Sequential, got {type(module).__name__}")
    parts: list[Part] = []
    for place, inner in _layers_inside(module, "module", torch.nn):
        with at(place):
            if type(inner) is torch.nn.Flatten and parts:
                raise ValueError("must be the first layer")
            parts.append(Part(place, **_read(inner, torch)))
            _refuse_hooks(inner)
    is_double = any(tensor.dtype == torch.float64 for tensor in module.state_dict().values())
    return network_of(parts, "float64" if is_double else "float32", n_features, loss)


# ---- to ------------------------------------------------------------------------------------------


def _modules(part: Part, torch: Any) -> list[Any]:
    """The modules of one layer."""
    from fastnn.exchange import torch_modules

    layer, nn = part.layer, torch.nn
    match layer:
        case Dense():
            assert part.weights is not None
            linear = _filled(part, torch, nn.Linear, *part.weights.shape)
            if layer.activation == "linear":
                return [linear]
            return [linear, _activation(layer.activation, nn)]
        case Activation():
            return [_activation(layer.activation, nn)]
        case Dropout():
            return [nn.Dropout(layer.rate)]
        case Rescale():
            return [torch_modules.Rescale(layer.scale, layer.offset)]
        case GaussianNoise():
            return [torch_modules.GaussianNoise(layer.scale)]
        case BatchNorm():
            settings = {"eps": layer.epsilon, "momentum": 1 - layer.momentum}
            return [_filled(part, torch, nn.BatchNorm1d, part.n_units, **settings)]
        case LayerNorm():
            return [_filled(part, torch, nn.LayerNorm, part.n_units, eps=layer.epsilon)]
        case PReLU():
            return [_filled(part, torch, nn.PReLU, part.n_units)]
    raise ValueError(f"{part.place}: PyTorch has no such layer")


def _activation(name: str, nn: Any) -> Any:
    from fastnn.exchange import torch_modules

    if name == "exponential":
        return torch_modules.Exponential()
    kind, settings = _ACTIVATIONS[name]
    return getattr(nn, kind)(**{setting: values[0] for setting, values in settings.items()})


def _filled(part: Part, torch: Any, kind: Any, *sizes: Any, **settings: Any) -> Any:
    """A module with the numbers of a part."""
    assert part.weights is not None
    dtype = getattr(torch, part.weights.dtype.name)
    # Not kind(...): that would draw initial weights from PyTorch's global random state
    module = torch.nn.utils.skip_init(kind, *sizes, dtype=dtype, **settings)
    mean, variance = part.running or (None, None)
    arrays = {
        "weight": part.weights.T,
        "bias": part.bias,
        "running_mean": mean,
        "running_var": variance,
        "num_batches_tracked": np.zeros(()),
    }
    for name, tensor in module.state_dict().items():
        tensor.copy_(torch.from_numpy(np.array(arrays[name])))
    return module


# ---- from ----------------------------------------------------------------------------------------


def _layers_inside(module: Any, place: str, nn: Any) -> Iterator[tuple[str, Any]]:
    """The modules of nested Sequentials, in turn, with their places."""
    # A subclass with a forward of its own may do anything
    is_list = isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward
    if not is_list:
        yield f"{place}, {module!r}", module
        return
    with at(place):
        _refuse_hooks(module)
    for i, inner in enumerate(module):  # not named_children, which gives a module once
        yield from _layers_inside(inner, f"{place}[{i}]", nn)


def _refuse_hooks(module: Any) -> None:
    """Such as those of weight norm and pruning, which compute other weights at every call."""
    if module._forward_hooks or module._forward_pre_hooks:
        raise ValueError("has hooks, which may change what it computes; remove them first")
    if "forward" in vars(module):
        raise ValueError("has a forward of its own, which may compute anything")


def _read(module: Any, torch: Any) -> dict[str, Any]:
    """What `Part` needs to know of a module, but for its place."""
    from fastnn.exchange import torch_modules

    nn, kind = torch.nn, type(module)
    if kind is nn.Linear:
        weights = _array(module.weight, torch).T
        bias = None if module.bias is None else _array(module.bias, torch)
        return {"layer": Dense(module.out_features), "weights": weights, "bias": bias}
    if kind is nn.BatchNorm1d:
        if module.running_mean is None or module.momentum is None:
            raise ValueError("must have running statistics, and a number as momentum")
        running = _array(module.running_mean, torch), _array(module.running_var, torch)
        layer = BatchNorm(1 - module.momentum, module.eps)
        return {"layer": layer, "running": running, **_scale_and_shift(module, torch)}
    if kind is nn.LayerNorm:
        if len(module.normalized_shape) != 1:
            raise ValueError(f"must have a shape (n,), got {module.normalized_shape}")
        return {"layer": LayerNorm(module.eps), **_scale_and_shift(module, torch)}
    if kind is nn.PReLU:
        return {"layer": PReLU(), "weights": _array(module.weight, torch)}
    if kind is nn.Dropout:
        return {"layer": Dropout(module.p)}
    if kind is torch_modules.Rescale:
        return {"layer": Rescale(module.scale, module.offset)}
    if kind is torch_modules.GaussianNoise:
        return {"layer": GaussianNoise(module.scale)}
    if kind is torch_modules.Exponential:
        return {"layer": "exponential"}
    if kind is nn.Flatten:
        _check_settings(module, _FLATTEN)
        return {"layer": "linear"}
    for name, (known, settings) in _ACTIVATIONS.items():
        if kind is getattr(nn, known):
            _check_settings(module, settings)
            return {"layer": name}
    raise ValueError(
        f"fastnn has no such layer; it knows Linear, BatchNorm1d, LayerNorm, PReLU, Dropout, "
        f"Flatten, {', '.join(known for known, _ in _ACTIVATIONS.values())}, and the modules of "
        f"fastnn.exchange.torch_modules"
    )


def _scale_and_shift(module: Any, torch: Any) -> dict[str, Any]:
    """The weights and the bias of a norm, which may have neither."""
    return {
        name: None if tensor is None else _array(tensor, torch)
        for name, tensor in (("weights", module.weight), ("bias", module.bias))
    }


def _check_settings(module: Any, settings: dict[str, tuple[Any, ...]]) -> None:
    for name, values in settings.items():
        value = getattr(module, name)
        if value not in values:
            raise ValueError(f"{name} must be {' or '.join(map(str, values))}, got {value}")


def _array(tensor: Any, torch: Any) -> Array:
    if not tensor.is_floating_point() or tensor.is_meta or tensor.layout != torch.strided:
        raise ValueError(
            f"its numbers must be dense and real, got {tensor.dtype}, {tensor.layout}, on "
            f"{tensor.device}"
        )
    dtype = torch.float64 if tensor.dtype == torch.float64 else torch.float32
    array: Array = tensor.detach().to("cpu", dtype).numpy().copy()
    return array

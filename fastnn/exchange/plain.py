"""What all formats share: a network as a list of layers with their numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn.layers import Activation, Dense, Layer, PReLU
from fastnn.losses import Loss
from fastnn.network import Network
from fastnn.tabular import TabularModel

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Part:
    """A layer with its numbers.

    Attributes
    ----------
    place : str
        Where it stands in what it is from, for errors.
    layer : Layer or str
        A str is the name of an activation, which becomes that of the `Dense` before it where there
        is one.
    weights : ndarray, optional
        Of shape (n_in, n_out) for a `Dense`; (n_units,) for norms and `PReLU`, whose alpha may be
        one number for all units. None for norms is 1.
    bias : ndarray of shape (n_units,), optional
        None is 0.
    running : (mean, variance), optional
        Of a `BatchNorm`, of shape (n_units,) each.
    """

    place: str
    layer: Layer | str
    weights: Array | None = None
    bias: Array | None = None
    running: tuple[Array, Array] | None = None

    @property
    def n_in(self) -> int | None:
        """Units that enter, as far as its numbers tell."""
        if self.has_one_alpha:
            return None
        arrays = (self.weights, self.bias, *(self.running or ()))
        return next((len(array) for array in arrays if array is not None), None)

    @property
    def n_units(self) -> int:
        """Units that it has a weight for."""
        return 0 if self.weights is None else len(self.weights.T)

    @property
    def has_one_alpha(self) -> bool:
        """Whether it is a `PReLU` with one number for all units."""
        return isinstance(self.layer, PReLU) and self.weights is not None and self.weights.size == 1

    def weights_for(self, shape: tuple[int, ...]) -> Array | None:
        """The weights, where one alpha is repeated for all units."""
        if self.weights is None or not self.has_one_alpha:
            return self.weights
        return np.resize(self.weights, shape)

    def check_finite(self) -> None:
        """ValueError where a number is NaN or infinity."""
        mean, variance = self.running or (None, None)
        named_arrays = {
            "weights": self.weights,
            "bias": self.bias,
            "running mean": mean,
            "running variance": variance,
        }
        for name, array in named_arrays.items():
            if array is not None and not np.isfinite(array).all():
                raise ValueError(f"{self.place}: its {name} must be finite, got NaN or infinity")


@contextmanager
def at(place: str) -> Iterator[None]:
    """Turns errors of what is done inside into a ValueError that begins with `place`."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise ValueError(f"{place}: {error}") from error


def parts_of(net: Network) -> list[Part]:
    """The layers of a network, with copies of their numbers.

    Raises
    ------
    TypeError
        If `net` is no network.
    ValueError
        If it is not built yet, or a number is not finite.
    """
    if isinstance(net, TabularModel):
        raise TypeError(
            "net must be a Network, got a TabularModel: give one of its networks, whose inputs are "
            "model.transform(table); to_onnx and to_c write the whole model"
        )
    if not isinstance(net, Network):
        raise TypeError(f"net must be a Network, got {type(net).__name__}")
    twin = net.copy()  # as it is at one moment, also while another thread trains
    numbers = zip(twin.layers, twin.weights, twin.biases, twin.running_statistics, strict=True)
    parts = [Part(f"layers[{i}], {row[0]!r}", *row) for i, row in enumerate(numbers)]
    for part in parts:
        part.check_finite()
    return parts


def network_of(
    parts: Sequence[Part],
    dtype: npt.DTypeLike,
    n_features: int | None = None,
    loss: str | Loss | None = None,
) -> Network:
    """The network of these layers, with their numbers; its seed is 0.

    Parameters
    ----------
    parts : sequence of Part
    dtype : {"float32", "float64"}
    n_features : int, optional
        Columns of the inputs. None: what the first layer with numbers takes.
    loss : str or Loss, optional
        As for `Network`.

    Raises
    ------
    TypeError, ValueError
        If fastnn has no such network. The error names the part.
    """
    joined = _with_activations(parts)
    if not joined:
        raise ValueError("there must be at least one layer, got none")
    if not isinstance(joined[-1].layer, Dense):
        raise ValueError(
            f"{joined[-1].place}: must not be the last layer; the output of a fastnn network is "
            f"fully connected, with or without an activation"
        )
    if n_features is None:
        n_features = next(part.n_in for part in joined if part.n_in is not None)
    width = n_features
    layers = []
    for part in joined:
        if part.n_in not in (None, width):
            raise ValueError(f"{part.place}: takes {part.n_in} units, but {width} enter")
        part.check_finite()
        assert isinstance(part.layer, Layer)
        layers.append(part.layer)
        width = part.layer.n_out(width)
    net = Network(layers, n_features, loss=loss, dtype=dtype, seed=0)
    weights = [
        part.weights_for(block.shape) for part, block in zip(joined, net.weights, strict=True)
    ]
    net.set_parameters(weights, [part.bias for part in joined], [part.running for part in joined])
    return net


def _with_activations(parts: Sequence[Part]) -> list[Part]:
    """The parts, in which each activation is that of a Dense, or a layer of its own."""
    joined: list[Part] = []
    for part in parts:
        before = joined[-1].layer if joined else None
        if not isinstance(part.layer, str):
            joined.append(part)
        elif part.layer == "linear":
            continue
        elif isinstance(before, Dense) and before.activation == "linear":
            joined[-1] = replace(joined[-1], layer=replace(before, activation=part.layer))
        else:
            with at(part.place):
                joined.append(replace(part, layer=Activation(part.layer)))
    return joined

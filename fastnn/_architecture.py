"""What a network is and stays: layers, loss, dtype and seed."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import _validation
from fastnn._core.plan import Plan
from fastnn._description import entries, text
from fastnn.activations import ACTIVATIONS, ALIASES
from fastnn.initializers import Normal
from fastnn.layers import Dense
from fastnn.losses import Loss, get_loss, read_loss

Array = npt.NDArray[Any]

#: More would make descriptions that take long, and much memory, to read.
MAX_LAYERS = 4096

# What numpy.random.SeedSequence mixes without loss.
_SEEDS = 2**128


@dataclass(frozen=True)
class Architecture:
    """What a network is and stays.

    Attributes
    ----------
    layers : tuple of Dense
    loss : Loss
    dtype : numpy.dtype
    seed : int
    """

    layers: tuple[Dense, ...]
    loss: Loss
    dtype: np.dtype[Any]
    seed: int

    @classmethod
    def checked(cls, layers: Any, loss: Any, dtype: Any, seed: Any) -> Architecture:
        """From what a user passes in."""
        layers = _checked_layers(layers)
        loss = _checked_loss(loss, layers[-1])
        dtype = _validation.float_dtype(dtype)
        seed = _validation.seed(seed, below=_SEEDS)
        if seed is None:
            seed = int(np.random.SeedSequence().generate_state(1)[0])
        return cls(layers, loss, dtype, seed)

    @classmethod
    def read(cls, layers: Any, loss: Any, dtype: Any, seed: Any) -> Architecture:
        """From the entries that `description` gave; ValueError or TypeError for any others."""
        if not isinstance(layers, list):
            raise ValueError(f"layers must be a list, got {reprlib.repr(layers)}")
        if seed is None:
            raise ValueError("seed must be an integer, got null")
        _check_count(layers)
        name = text(dtype, "dtype")
        architecture = cls.checked(
            [_read_layer(layer, f"layers[{i}]") for i, layer in enumerate(layers)],
            read_loss(loss),
            name,
            seed,
        )
        if architecture.dtype.name != name:
            raise ValueError(f"dtype must be float32 or float64, got {name!r}")
        return architecture

    def description(self) -> dict[str, Any]:
        """All of it as JSON knows it."""
        return {
            "layers": [asdict(layer) for layer in self.layers],
            "loss": self.loss.description(),
            "dtype": self.dtype.name,
            "seed": self.seed,
        }

    def sizes(self, n_features: int) -> list[int]:
        """``[n_features, units of layer 1, ..., units of the output]``."""
        return [n_features, *(layer.n_units for layer in self.layers)]

    def plan(self, n_features: int) -> Plan:
        """The core's plan for inputs of `n_features` columns."""
        layers = [(layer.n_units, layer.activation) for layer in self.layers]
        kernel = self.loss.kernel(self.layers[-1].activation)
        return Plan(layers, n_features, kernel, self.dtype, self.loss.parameters)

    def arguments(self, n_features: int | None) -> list[str]:
        """The arguments of `Network` that make this, as text; `n_features` None is left out."""
        arguments = [repr(list(self.layers))]
        if n_features is not None:
            arguments.append(f"n_features={n_features}")
        loss = self.loss.label
        if loss != ACTIVATIONS[self.layers[-1].activation].default_loss:
            arguments.append(f"loss={loss!r}" if loss == self.loss.name else f"loss={loss}")
        if self.dtype != np.float32:
            arguments.append(f"dtype={self.dtype.name!r}")
        arguments.append(f"seed={self.seed}")
        return arguments

    def checked_data(
        self, X: Any, y: Any, n_features: int | None, names: tuple[str, str]
    ) -> tuple[Array, Array]:
        """X and y, checked, as the core reads them."""
        data = _validation.samples(X, n_features, self.dtype, names[0], at_least=1)
        n_targets = self.loss.n_targets(self.layers[-1].n_units)
        targets = _validation.targets(
            y, data, n_targets, self.loss.name, self.target_kind, self.dtype, names
        )
        _validation.finite(data, self.dtype, names[0])
        return data, targets

    @property
    def target_kind(self) -> str:
        """What targets are; see `Loss.target_kind`."""
        return self.loss.target_kind(self.layers[-1].activation)


def layers_of_sizes(
    sizes: Any, hidden: Any, output: Any, initializer: Any
) -> tuple[list[Dense], int]:
    """The layers that `Network.from_sizes` is asked for, and the columns of the inputs."""
    if isinstance(sizes, np.ndarray) and sizes.ndim > 0:
        sizes = list(sizes)
    if isinstance(sizes, (str, bytes)) or not isinstance(sizes, Sequence):
        raise TypeError(f"sizes must be a sequence of integers, got {type(sizes).__name__}")
    if len(sizes) < 2:
        raise ValueError(
            f"sizes must hold at least n_features and the units of one layer, got {sizes!r}"
        )
    n_features, *n_units = [
        _validation.positive_int(size, f"sizes[{i}]", at_most=_validation.MAX_SIZE)
        for i, size in enumerate(sizes)
    ]
    for name, value in (("hidden", hidden), ("output", output)):
        _validation.known_name(value, ACTIVATIONS, name, ALIASES)
    activations = [hidden] * (len(n_units) - 1) + [output]
    layers = [
        Dense(n, activation, initializer)
        for n, activation in zip(n_units, activations, strict=True)
    ]
    return layers, n_features


def _read_layer(value: Any, what: str) -> Dense:
    n_units, activation, initializer = entries(value, [field.name for field in fields(Dense)], what)
    if isinstance(initializer, dict):
        initializer = Normal(*entries(initializer, ["scale"], f"{what}, initializer,"))
    return Dense(n_units, text(activation, f"{what}, activation,"), initializer)


def _check_count(layers: Sequence[Any]) -> None:
    if len(layers) == 0:
        raise ValueError("layers must hold at least one layer, got none")
    if len(layers) > MAX_LAYERS:
        raise ValueError(f"layers must hold at most {MAX_LAYERS} layers, got {len(layers)}")


def _checked_layers(layers: Any) -> tuple[Dense, ...]:
    if isinstance(layers, Dense) or not isinstance(layers, Sequence) or isinstance(layers, str):
        raise TypeError(f"layers must be a sequence of Dense, got {type(layers).__name__}")
    _check_count(layers)
    # Read once: what is checked is what is kept, also of a sequence that changes its mind
    given = tuple(islice(layers, MAX_LAYERS + 1))
    _check_count(given)
    checked = tuple(_checked_layer(layer, f"layers[{i}]") for i, layer in enumerate(given))
    for i, layer in enumerate(checked[:-1]):
        if ACTIVATIONS[layer.activation].output_only:
            raise ValueError(
                f"layers[{i}] has the activation {layer.activation!r}, which only the last layer "
                f"can have"
            )
    if checked[-1].activation == "softmax" and checked[-1].n_units < 2:
        raise ValueError(
            "a softmax output must have at least 2 units, got 1; for two classes use "
            "Dense(2, 'softmax') or Dense(1, 'sigmoid')"
        )
    return checked


def _checked_layer(layer: Any, what: str) -> Dense:
    """A plain Dense with the fields of `layer`: a subclass may have left them unchecked."""
    if not isinstance(layer, Dense):
        raise TypeError(f"{what} must be a Dense, got {_validation.short(layer)}")
    values: list[Any] = [getattr(layer, field.name, None) for field in fields(Dense)]
    try:
        return Dense(*values)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{what}: {error}") from None


def _checked_loss(loss: Any, last: Dense) -> Loss:
    """The loss, if it fits the output layer."""
    output = ACTIVATIONS[last.activation]
    checked = get_loss(output.default_loss if loss is None else loss)
    if output.name not in checked.outputs and (checked.outputs or output.output_only):
        wanted = " or ".join(checked.outputs) or "element-wise"
        article = "an" if wanted.startswith("e") else "a"
        raise ValueError(
            f"loss {checked.name!r} needs {article} {wanted} output, got {output.name!r}"
        )
    checked.check_outputs(last.n_units)
    return checked

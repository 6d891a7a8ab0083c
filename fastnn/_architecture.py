"""What a network is and stays: layers, loss, dtype and seed."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from itertools import islice
from typing import Any

import numpy as np

from fastnn import _validation
from fastnn._core.plan import Plan
from fastnn._description import entries, text
from fastnn.activations import ACTIVATIONS
from fastnn.initializers import Normal
from fastnn.layers import Dense
from fastnn.losses import ALIASES, LOSSES

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
    loss : str
    dtype : numpy.dtype
    seed : int
    """

    layers: tuple[Dense, ...]
    loss: str
    dtype: np.dtype[Any]
    seed: int

    @classmethod
    def checked(cls, layers: Any, loss: Any, dtype: Any, seed: Any) -> Architecture:
        """From what a user passes in."""
        layers = _checked_layers(layers)
        loss = _checked_loss(loss, layers[-1].activation)
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
            text(loss, "loss"),
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
            "loss": self.loss,
            "dtype": self.dtype.name,
            "seed": self.seed,
        }

    def sizes(self, n_features: int) -> list[int]:
        """``[n_features, units of layer 1, ..., units of the output]``."""
        return [n_features, *(layer.n_units for layer in self.layers)]

    @property
    def is_classifier(self) -> bool:
        """Whether the output are probabilities of classes or labels."""
        return ACTIVATIONS[self.layers[-1].activation].is_classifier

    @property
    def metrics(self) -> tuple[str, ...]:
        """What is measured unasked."""
        return ("loss", "accuracy") if self.is_classifier else ("loss",)

    def plan(self, n_features: int) -> Plan:
        """The core's plan for inputs of `n_features` columns."""
        layers = [(layer.n_units, layer.activation) for layer in self.layers]
        return Plan(layers, n_features, self.loss, self.dtype)


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


def _checked_loss(loss: Any, output: str) -> str:
    """The name of the loss, if it fits the output activation."""
    if loss is None:
        return ACTIVATIONS[output].default_loss
    row = _validation.known_name(loss, LOSSES, "loss", ALIASES)
    fits = not ACTIVATIONS[output].output_only if row.output is None else row.output == output
    if not fits:
        wanted = "an element-wise" if row.output is None else f"a {row.output}"
        raise ValueError(f"loss {row.name!r} needs {wanted} output, got {output!r}")
    return row.name

"""What holds in training beside the loss: penalties, decay, clipping, and what layers say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import _validation
from fastnn._core.regularization import Rules
from fastnn._description import entries
from fastnn.layers import Dense, Layer
from fastnn.optimizers import Optimizer

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Regularization:
    """What `Network.fit` keeps weights and gradients small with.

    Attributes
    ----------
    l1, l2 : float
        Of the penalty ``(l1 sum(|w|) + l2 / 2 sum(w^2)) / m`` over all weights, m the samples of a
        mini-batch.
    weight_decay : float
        Decoupled: a step takes ``learning_rate weight_decay w`` from each weight.
    clip_norm, clip_value : float or None
        Largest norm of the whole gradient, and largest magnitude of each of its numbers.
    """

    l1: float = 0.0
    l2: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float | None = None
    clip_value: float | None = None

    def __post_init__(self) -> None:
        for name in ("l1", "l2", "weight_decay"):
            value = _validation.non_negative_number(getattr(self, name), name)
            object.__setattr__(self, name, value)
        for name in ("clip_norm", "clip_value"):
            limit = _validation.positive_number_or_none(getattr(self, name), name)
            object.__setattr__(self, name, limit)

    def __repr__(self) -> str:
        values = ((field.name, getattr(self, field.name), field.default) for field in fields(self))
        changed = (f"{name}={value!r}" for name, value, default in values if value != default)
        return f"Regularization({', '.join(changed)})"

    @classmethod
    def read(cls, description: Any) -> Regularization:
        """From what `dataclasses.asdict` gave; ValueError or TypeError for anything else."""
        return cls(*entries(description, [field.name for field in fields(cls)], "regularization"))

    def check_optimizer(self, optimizer: Optimizer) -> None:
        """Refuses two weight decays at once."""
        if self.weight_decay > 0 and hasattr(optimizer, "weight_decay"):
            raise ValueError(
                f"weight_decay must be 0 with {type(optimizer).__name__}, which has a weight_decay "
                f"of its own, got {self.weight_decay}; a setting stays from call to "
                f"call until another one is given"
            )

    def check(self, dtype: np.dtype[Any]) -> None:
        """Refuses numbers that the core, where denormal numbers are 0, would not see."""
        for field in fields(self):
            _validation.normal_or_zero(getattr(self, field.name) or 0.0, dtype, field.name)

    def rules(self, layers: Sequence[Layer]) -> Rules | None:
        """All of it as the core knows it, with what the layers say; None where nothing holds.

        Raises
        ------
        ValueError
            If no layer is trainable.
        """
        if not any(layer.trainable and layer.has_parameters for layer in layers):
            raise ValueError("layers must have a layer with trainable=True, got none")
        of_layers = [
            (
                layer.trainable,
                *of_layer,
                layer.max_norm or 0.0,
                layer.learning_rate_factor,
            )
            for layer, of_layer in zip(layers, penalties(layers, self.l1, self.l2), strict=True)
        ]
        of_all = (self.weight_decay, self.clip_norm or 0.0, self.clip_value or 0.0)
        if not any(of_all) and all(of_one == _NO_RULES for of_one in of_layers):
            return None
        return Rules(of_layers, *of_all)


# Of a layer on which nothing but the loss has an effect.
_NO_RULES = (True, 0.0, 0.0, 0.0, 1.0)


def penalties(layers: Sequence[Layer], l1: float, l2: float) -> Iterator[tuple[float, float]]:
    """l1 and l2 of each layer: its own, and those of all. Only products have weights in this sense,
    and layers that stay have no penalty."""
    for layer in layers:
        is_penalised = layer.trainable and isinstance(layer, Dense)
        yield (l1 + layer.l1, l2 + layer.l2) if is_penalised else (0.0, 0.0)


def penalty_rules(layers: Sequence[Layer], l1: float, l2: float) -> Rules | None:
    """The penalties alone, with a gradient for every layer; None where there are none."""
    of_layers = [(True, *of_layer, 0.0, 1.0) for of_layer in penalties(layers, l1, l2)]
    return None if all(of_one == _NO_RULES for of_one in of_layers) else Rules(of_layers)

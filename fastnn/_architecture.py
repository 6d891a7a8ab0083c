"""What a network is and stays: layers, loss, dtype and seed."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import _validation
from fastnn._blocks import Shapes
from fastnn._core.plan import Plan
from fastnn._description import entries, text
from fastnn._sparse import SparseRows
from fastnn.activations import ACTIVATIONS, ALIASES
from fastnn.initializers import Normal
from fastnn.layers import LAYERS, PRELU, Dense, Layer, Operation, PReLU, Rescale
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
    layers : tuple of Layer
        The last one is a Dense.
    loss : Loss
    dtype : numpy.dtype
    seed : int
    """

    layers: tuple[Layer, ...]
    loss: Loss
    dtype: np.dtype[Any]
    seed: int

    def __post_init__(self) -> None:
        """Refuses settings that the core, where denormal numbers are 0, would not see."""
        settings: list[tuple[str, Layer | Loss]] = [("loss", self.loss)]
        settings += [(f"layers[{i}]", layer) for i, layer in enumerate(self.layers)]
        for place, values in settings:
            for field in fields(values):
                value = getattr(values, field.name)
                if isinstance(value, float):
                    _validation.normal_or_zero(value, self.dtype, f"{place}: {field.name}")

    @classmethod
    def checked(cls, layers: Any, loss: Any, dtype: Any, seed: Any) -> Architecture:
        """From what a user passes in."""
        layers = _checked_layers(layers)
        loss = _checked_loss(loss, _output_of(layers))
        dtype = _validation.float_dtype(dtype)
        seed = _validation.seed(seed, below=_SEEDS)
        if seed is None:
            seed = int(np.random.SeedSequence().generate_state(1)[0])
        return cls(layers, loss, dtype, seed)

    def changed(self, dtype: Any, layers: Any) -> Architecture:
        """The same with another dtype and other settings of layers, as a user passes them in; None
        is as before. Only the output may have other units."""
        if dtype is not None:
            return replace(self, dtype=_validation.float_dtype(dtype)).changed(None, layers)
        if layers is None:
            return self
        changed = replace(self, layers=_checked_layers(layers))
        _checked_loss(self.loss, changed.output)
        if len(changed.layers) != len(self.layers):
            raise ValueError(
                f"layers must be as many as before, {len(self.layers)}, got {len(changed.layers)}"
            )
        for i, (new, old) in enumerate(zip(changed.layers[:-1], self.layers, strict=False)):
            if type(new) is not type(old) or new.n_out(1) != old.n_out(1):
                raise ValueError(
                    f"layers[{i}] must be of the kind and the units of {old!r}, got {new!r}"
                )
        return changed

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
            "layers": [layer.description() for layer in self.layers],
            "loss": self.loss.description(),
            "dtype": self.dtype.name,
            "seed": self.seed,
        }

    @property
    def output(self) -> Dense:
        """The last layer."""
        return _output_of(self.layers)

    def widths(self, n_features: int) -> list[int]:
        """``[n_features, units of layer 1, ..., units of the output]``."""
        widths = [n_features]
        for layer in self.layers:
            widths.append(layer.n_out(widths[-1]))
        return widths

    def operations(self, n_features: int) -> list[Operation]:
        """What the core is told of each layer."""
        operations: list[Operation] = []
        n_in = n_features
        for layer in self.layers:
            noise_key = 0
            if layer.has_noise:
                noise_key = self._noise_key(len(operations))
            operations.append(layer.operation(n_in, noise_key))
            n_in = operations[-1].n_units
        return operations

    def _noise_key(self, layer: int) -> int:
        """Of a layer's random numbers: children 0 and 1 of the seed draw weights and shuffle."""
        seed = np.random.SeedSequence(self.seed, spawn_key=(2, layer))
        return int(seed.generate_state(1, np.uint64)[0])

    def shapes(self, n_features: int) -> list[Shapes]:
        """The shapes of the weights and the bias of each layer."""
        shapes: list[Shapes] = []
        for operation, layer in zip(self.operations(n_features), self.layers, strict=True):
            units = (operation.n_units,)
            weights = (operation.weight_rows, *units) if isinstance(layer, Dense) else units
            shapes.append(
                (
                    weights if operation.weight_rows > 0 else (0,),
                    units if operation.has_bias else (0,),
                )
            )
        return shapes

    def n_running(self, n_features: int) -> int:
        """Running statistics."""
        return sum(
            2 * width
            for layer, width in zip(self.layers, self.widths(n_features), strict=False)
            if layer.has_running_statistics
        )

    @property
    def is_classifier(self) -> bool:
        """Whether the output are probabilities of classes or labels."""
        return ACTIVATIONS[self.output.activation].is_classifier

    @property
    def metrics(self) -> tuple[str, ...]:
        """What is measured unasked."""
        return ("loss", "accuracy") if self.is_classifier else ("loss",)

    def plan(self, n_features: int) -> Plan:
        """The core's plan for inputs of `n_features` columns."""
        kernel = self.loss.kernel(self.output.activation)
        operations = self.operations(n_features)
        return Plan(operations, n_features, kernel, self.dtype, self.loss.parameters)

    def arguments(self, n_features: int | None) -> list[str]:
        """The arguments of `Network` that make this, as text; `n_features` None is left out."""
        arguments = [repr(list(self.layers))]
        if n_features is not None:
            arguments.append(f"n_features={n_features}")
        loss = self.loss.label
        if loss != ACTIVATIONS[self.output.activation].default_loss:
            arguments.append(f"loss={loss!r}" if loss == self.loss.name else f"loss={loss}")
        if self.dtype != np.float32:
            arguments.append(f"dtype={self.dtype.name!r}")
        arguments.append(f"seed={self.seed}")
        return arguments

    def checked_samples(
        self, X: Any, n_features: int | None, name: str = "X", at_least: int = 0
    ) -> Array | SparseRows:
        """X, checked, as the core reads it; see `fastnn._validation.samples`."""
        data = _validation.samples(X, n_features, self.dtype, name, at_least)
        if isinstance(data, SparseRows) and not isinstance(self.layers[0], Dense):
            raise ValueError(
                f"{name} is sparse, which a Dense layer alone can begin with: layers[0] is "
                f"{self.layers[0]!r}; pass {name}.toarray()"
            )
        return data

    def checked_data(
        self, X: Any, y: Any, n_features: int | None, names: tuple[str, str] = ("X", "y")
    ) -> tuple[Array | SparseRows, Array]:
        """X and y, checked, as the core reads them."""
        data = self.checked_samples(X, n_features, names[0], at_least=1)
        targets = self.checked_targets(y, data, names)
        _validation.finite(data, self.dtype, names[0])
        return data, targets

    def checked_targets(
        self, y: Any, X: Array | SparseRows, names: tuple[str, str] = ("X", "y")
    ) -> Array:
        """y, checked, as the core reads it; of X the shape counts."""
        n_targets = self.loss.n_targets(self.output.n_units)
        return _validation.targets(
            y, X, n_targets, self.loss.name, self.target_kind, self.dtype, names
        )

    def decided(self, output: Array) -> Array:
        """What `Network.predict` gives for these output activations."""
        if self.output.activation == "softmax":
            labels: Array = output.argmax(axis=1)
            return labels
        if self.is_classifier:
            output = (output > 0.5).astype(np.int64)
        return output.reshape(-1) if self.output.n_units == 1 else output

    @property
    def target_kind(self) -> str:
        """What targets are; see `Loss.target_kind`."""
        return self.loss.target_kind(self.output.activation)


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
        _validation.spelled(value, [*ACTIVATIONS, PRELU], name, ALIASES)
    activations = [hidden] * (len(n_units) - 1) + [output]
    layers = [
        Dense(n, activation, initializer)
        for n, activation in zip(n_units, activations, strict=True)
    ]
    return layers, n_features


def _output_of(layers: Sequence[Layer]) -> Dense:
    output = layers[-1]
    assert isinstance(output, Dense)  # as `_checked_layers` left it
    return output


def _read_layer(value: Any, what: str) -> Layer:
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
        raise ValueError(f"{what} must be an object with a kind, got {reprlib.repr(value)}")
    kind = LAYERS.get(value["kind"])
    if kind is None:
        raise ValueError(f"{what}, kind, must be one of {', '.join(LAYERS)}, got {value['kind']!r}")
    names = [field.name for field in fields(kind) if not field.kw_only or field.name in value]
    settings = dict(zip(["kind", *names], entries(value, ["kind", *names], what), strict=True))
    del settings["kind"]
    if isinstance(settings.get("initializer"), dict):
        scale = entries(settings["initializer"], ["scale"], f"{what}, initializer,")
        settings["initializer"] = Normal(*scale)
    if "activation" in settings:
        text(settings["activation"], f"{what}, activation,")
    return kind(**settings)


def _check_count(layers: Sequence[Any]) -> None:
    if len(layers) == 0:
        raise ValueError("layers must hold at least one layer, got none")
    if len(layers) > MAX_LAYERS:
        raise ValueError(f"layers must hold at most {MAX_LAYERS} layers, got {len(layers)}")


def _checked_layers(layers: Any) -> tuple[Layer, ...]:
    if isinstance(layers, Layer) or not isinstance(layers, Sequence) or isinstance(layers, str):
        raise TypeError(f"layers must be a sequence of layers, got {type(layers).__name__}")
    _check_count(layers)
    # Read once: what is checked is what is kept, also of a sequence that changes its mind
    given = tuple(islice(layers, MAX_LAYERS + 1))
    _check_count(given)
    checked = [_checked_layer(layer, f"layers[{i}]") for i, layer in enumerate(given)]
    output = checked[-1]
    if not isinstance(output, Dense) or output.activation == PRELU:
        raise ValueError(
            f"layers[{len(checked) - 1}], the output, must be a Dense with an activation of "
            f"{', '.join(ACTIVATIONS)}, got {output!r}"
        )
    for i, layer in enumerate(checked[:-1]):
        if isinstance(layer, Dense) and layer.activation == "softmax":
            raise ValueError(
                f"layers[{i}] has the activation {layer.activation!r}, which only the last layer "
                f"can have"
            )
        if isinstance(layer, Rescale) and i > 0:
            raise ValueError(
                f"layers[{i}] must not be a Rescale, which only the first layer can be"
            )
    if output.activation == "softmax" and output.n_units < 2:
        raise ValueError(
            "a softmax output must have at least 2 units, got 1; for two classes use "
            "Dense(2, 'softmax') or Dense(1, 'sigmoid')"
        )
    return tuple(part for layer in checked for part in _spelled_out(layer))


def _spelled_out(layer: Layer) -> list[Layer]:
    """The layers that one stands for."""
    if not isinstance(layer, Dense) or layer.activation != PRELU:
        return [layer]
    initializer = "he_normal" if layer.initializer is None else layer.initializer
    return [replace(layer, activation="linear", initializer=initializer), PReLU()]


def _checked_layer(layer: Any, what: str) -> Layer:
    """A plain layer with the fields of `layer`: a subclass may have left them unchecked."""
    kind = next((kind for kind in LAYERS.values() if isinstance(layer, kind)), None)
    if kind is None:
        remedy = "; call it: it is a class" if isinstance(layer, type) else ""
        raise TypeError(
            f"{what} must be a layer ({', '.join(LAYERS)}), got {_validation.short(layer)}{remedy}"
        )
    values: dict[str, Any] = {
        field.name: getattr(layer, field.name, None) for field in fields(kind)
    }
    try:
        return kind(**values)
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

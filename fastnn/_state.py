"""All that training changes, in one object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import _validation
from fastnn._architecture import Architecture
from fastnn._averages import Average
from fastnn._blocks import (
    Shapes,
    aligned,
    aligned_copy,
    aligned_rows,
    check_finite,
    count_parameters,
    split,
)
from fastnn._core import kernels
from fastnn._description import entries, integer, text
from fastnn._rates import ScheduleState
from fastnn._regularization import Regularization
from fastnn.layers import Layer
from fastnn.optimizers import ALL_OPTIMIZERS, Optimizer
from fastnn.schedules import Schedule

Array = npt.NDArray[Any]

# Steps that a file may tell of: at one a microsecond, 285 years.
_MAX_UPDATES = 2**53


@dataclass(frozen=True)
class Training:
    """How a network was trained last; `Network.fit` goes on like that unless it is told otherwise.

    Attributes
    ----------
    optimizer : Optimizer
        With all its hyperparameters.
    batch_size : int or None
        Samples a mini-batch; None: all of them.
    shuffle : bool
    regularization : Regularization
        Penalties of all weights, weight decay and clipping.
    label_smoothing : float
    """

    optimizer: Optimizer
    batch_size: int | None
    shuffle: bool
    regularization: Regularization = field(default_factory=Regularization)
    label_smoothing: float = 0.0

    @classmethod
    def read(cls, description: Any) -> Training:
        """From what `description` gave; ValueError or TypeError for anything else."""
        name, hyperparameters, batch_size, shuffle, regularization, label_smoothing = entries(
            description,
            [
                "optimizer",
                "hyperparameters",
                "batch_size",
                "shuffle",
                "regularization",
                "label_smoothing",
            ],
            "training",
        )
        kind = _validation.known_name(text(name, "optimizer"), ALL_OPTIMIZERS, "optimizer")
        names = [one.name for one in fields(kind) if one.init]
        values = dict(zip(names, entries(hyperparameters, names, "hyperparameters"), strict=True))
        if isinstance(values.get("learning_rate"), dict):
            values["learning_rate"] = Schedule.read(values["learning_rate"])
        optimizer = kind(**values)
        if batch_size is not None:
            batch_size = _validation.positive_int(batch_size, "batch_size")
        training = cls(
            optimizer,
            batch_size,
            _validation.boolean(shuffle, "shuffle"),
            Regularization.read(regularization),
            _validation.number_in_unit_interval(label_smoothing, "label_smoothing"),
        )
        training.regularization.check_optimizer(optimizer)
        return training

    def check(self, dtype: np.dtype[Any]) -> None:
        """Refuses hyperparameters that the core, where denormal numbers are 0, would not see."""
        for one in fields(self.optimizer):
            value = getattr(self.optimizer, one.name)
            if isinstance(value, Schedule):
                value = value.learning_rate
            elif callable(value):  # its values are checked when they are known
                continue
            _validation.normal_or_zero(value, dtype, one.name)
        self.regularization.check(dtype)

    def description(self, last_rate: float | None) -> dict[str, Any]:
        """All of it as JSON knows it; `last_rate` stands for a function of the step."""
        names = (field.name for field in fields(self.optimizer) if field.init)
        hyperparameters = {name: getattr(self.optimizer, name) for name in names}
        rate = hyperparameters.get("learning_rate")
        if isinstance(rate, Schedule):
            hyperparameters["learning_rate"] = rate.description()
        elif callable(rate):
            hyperparameters["learning_rate"] = last_rate
        return {
            "optimizer": self.optimizer.name,
            "hyperparameters": hyperparameters,
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
            "regularization": asdict(self.regularization),
            "label_smoothing": self.label_smoothing,
        }


#: As `State.description`, of a network that is not built.
NO_STATE = {"random_state": None, "training": None, "n_updates": 0, "schedule": None}


@dataclass
class State:
    """Parameters, running statistics, the optimiser's slots, and the random state.

    Attributes
    ----------
    parameters : ndarray of shape (n_parameters,), of the network's dtype
        The block; it stays the same array.
    running : ndarray of shape (n_running,), of the network's dtype
        For each batch norm the means and then the variances of its units; it stays the same array.
    bit_generator : numpy.random.PCG64
        Shuffles the samples.
    training : Training or None
        None before the first training.
    slots : ndarray of shape (n_slots, n_parameters), of the network's dtype
        Of the optimiser that `training` names.
    n_updates : int
        Steps that the slots have seen.
    schedule : ScheduleState or None
        Where the learning rate of `training` is; None for a number.
    has_views : bool
        Whether users have views of the parameters.
    average : Average or None
        Of the models of a `fit` that goes on, whose network ends as it.
    """

    parameters: Array
    running: Array
    bit_generator: np.random.PCG64
    training: Training | None
    slots: Array
    n_updates: int
    schedule: ScheduleState | None = None
    has_views: bool = False
    average: Average | None = None

    def __post_init__(self) -> None:
        # A second reference: with one alone, NumPy would let users resize ``net.parameters.base``
        self._memory = self.parameters.base

    @classmethod
    def initial(cls, architecture: Architecture, n_features: int) -> State:
        """The state before the first step.

        Raises
        ------
        ValueError
            If an initializer gives weights beyond the range of the network's dtype.
        MemoryError
        """
        dtype, shapes = architecture.dtype, architecture.shapes(n_features)
        layers, widths = architecture.layers, architecture.widths(n_features)
        weights_seed, shuffling_seed = np.random.SeedSequence(architecture.seed).spawn(2)
        random = np.random.Generator(np.random.PCG64(weights_seed))
        block = aligned(count_parameters(shapes), dtype)
        for i, (layer, (weights, bias)) in enumerate(
            zip(layers, split(block, shapes), strict=True)
        ):
            with np.errstate(all="ignore"):  # infinity is refused below
                weights[:] = layer.initial_weights(widths[i], random)
            bias[:] = 0
            if not kernels.all_finite(weights, dtype):
                raise ValueError(
                    f"layers[{i}] is {layer!r}, whose initial weights are not finite in {dtype}"
                )
        return cls(
            block,
            _initial_running(layers, widths, dtype),
            np.random.PCG64(shuffling_seed),
            training=None,
            slots=np.empty((0, block.size), dtype),
            n_updates=0,
        )

    @classmethod
    def read(
        cls,
        description: Sequence[Any],
        tensors: Any,
        architecture: Architecture,
        n_features: int,
    ) -> State:
        """From the values that `description` gave, and `tensors`.

        ValueError or TypeError for anything else.

        Nothing is allocated before the arrays are found to be those of a network of these shapes.
        """
        random_state, training, n_updates, schedule = description
        dtype, shapes = architecture.dtype, architecture.shapes(n_features)
        n_parameters, n_running = count_parameters(shapes), architecture.n_running(n_features)
        chosen = None if training is None else Training.read(training)
        expected: dict[str, tuple[int, ...]] = {"parameters": (n_parameters,)}
        if n_running > 0:
            expected["running"] = (n_running,)
        if chosen is not None:
            chosen.check(dtype)
            expected["slots"] = (chosen.optimizer.n_slots, n_parameters)
        entries(tensors, list(expected), "the tensors")
        for name, shape in expected.items():
            _check_tensor(tensors[name], shape, dtype, name)
        n_updates = integer(n_updates, _MAX_UPDATES, "n_updates")
        rate = 0.0 if chosen is None else chosen.optimizer.learning_rate
        progress = ScheduleState.read(schedule, rate, n_updates)
        slots = aligned_rows(len(tensors.get("slots", ())), n_parameters, dtype)
        if "slots" in tensors:
            slots[:] = tensors["slots"]
        state = cls(
            aligned_copy(tensors["parameters"], dtype),
            aligned_copy(tensors.get("running", np.empty(0, dtype)), dtype),
            _read_random_state(random_state),
            chosen,
            slots,
            n_updates,
            progress,
        )
        state.check(architecture, n_features)
        return state

    def shared_parameters(self) -> Array:
        """A view for users, who may write to the parameters through it from now on."""
        self.has_views = True
        return self.parameters[:]

    def running_statistics(
        self, architecture: Architecture, n_features: int
    ) -> list[tuple[Array, Array] | None]:
        """Read-only views of the mean and the variance of each layer, None where it has none."""
        views: list[tuple[Array, Array] | None] = []
        start = 0
        widths = architecture.widths(n_features)
        for layer, n in zip(architecture.layers, widths, strict=False):
            if not layer.has_running_statistics:
                views.append(None)
                continue
            mean, variance = self.running[start : start + 2 * n].reshape(2, n)
            mean.flags.writeable = variance.flags.writeable = False
            views.append((mean, variance))
            start += 2 * n
        return views

    def check(self, architecture: Architecture, n_features: int) -> None:
        """Refuses numbers that no step leaves: not finite, or a variance below 0."""
        check_finite(self.parameters, architecture.shapes(n_features), self.parameters.dtype)
        if not kernels.all_finite(self.running, self.running.dtype):
            raise ValueError("running statistics must be finite, got NaN or infinity")
        for statistics in self.running_statistics(architecture, n_features):
            if statistics is not None and statistics[1].min() < 0:
                raise ValueError(f"variances must be at least 0, got {statistics[1].min()}")
        if not all(kernels.all_finite(slot, slot.dtype) for slot in self.slots):
            raise ValueError("slots must be finite, got NaN or infinity")

    def slots_for(self, optimizer: Optimizer) -> tuple[Array, int]:
        """Slots and steps to go on with: the present ones, or new ones for another optimiser."""
        if self._goes_on(optimizer):
            return self.slots, self.n_updates
        # Not numpy.zeros: it does not ask for huge pages, which costs far more than filling
        slots = aligned_rows(optimizer.n_slots, self.parameters.size, self.parameters.dtype)
        slots.fill(0)
        return slots, 0

    def updates_for(self, optimizer: Optimizer) -> int:
        """The second one of `slots_for`."""
        return self.n_updates if self._goes_on(optimizer) else 0

    def _goes_on(self, optimizer: Optimizer) -> bool:
        return self.training is not None and self.training.optimizer.name == optimizer.name

    def copy(self, dtype: np.dtype[Any], shapes: Sequence[Shapes]) -> State:
        """An independent copy in another dtype, if its numbers are in that one's range."""
        if dtype != self.parameters.dtype:
            check_finite(self.parameters, shapes, dtype)
            _validation.finite(self.running, dtype, "running statistics")
            _validation.finite(self.slots, dtype, "slots")
            if self.training is not None:
                self.training.check(dtype)
        with np.errstate(all="ignore"):  # numbers too small for the dtype become 0
            parameters = aligned_copy(self.parameters, dtype)
            running = aligned_copy(self.running, dtype)
            slots = aligned_rows(len(self.slots), parameters.size, dtype)
            slots[:] = self.slots
        bit_generator = np.random.PCG64()
        bit_generator.state = self.bit_generator.state
        return replace(
            self,
            parameters=parameters,
            running=running,
            bit_generator=bit_generator,
            slots=slots,
            has_views=False,
            average=None,
        )

    def with_output(self, architecture: Architecture, n_features: int) -> State:
        """This, where the parameters are those of `architecture`; else its initial state, in which
        all but the last layer keep their numbers."""
        shapes = architecture.shapes(n_features)
        if count_parameters(shapes) == self.parameters.size:
            return self
        state = State.initial(architecture, n_features)
        n_kept = count_parameters(shapes[:-1])
        state.parameters[:n_kept] = self.parameters[:n_kept]
        state.running[:] = self.running
        return state

    def take_over(self, other: State) -> None:
        """Becomes what `other` is, in the same block."""
        self.parameters[:], self.running[:] = other.parameters, other.running
        for one in fields(self):
            if one.name not in ("parameters", "running", "has_views"):
                setattr(self, one.name, getattr(other, one.name))

    def snapshot(self) -> dict[str, Array]:
        """Copies of the model's numbers: what its predictions depend on."""
        model = self.average or self
        return {"parameters": model.parameters.copy(), "running": model.running.copy()}

    def restore(
        self, snapshot: dict[str, Array], architecture: Architecture, n_features: int
    ) -> None:
        """Goes back to the model of a `snapshot`; ValueError for anything else."""
        arrays = {"parameters": self.parameters, "running": self.running}
        entries(snapshot, list(arrays), "the tensors of the best model")
        for name, array in arrays.items():
            _check_tensor(snapshot[name], array.shape, array.dtype, name)
        parameters, running = snapshot["parameters"], snapshot["running"]
        replace(self, parameters=parameters, running=running).check(architecture, n_features)
        for name, array in arrays.items():
            array[:] = snapshot[name]

    def description(self) -> dict[str, Any]:
        """All of it but the arrays, as JSON knows it."""
        training, last_rate = self.training, None
        if self.schedule is not None and self.schedule.last_rate is not None:
            # A constant rate is not 0; the smallest number does nothing either
            smallest = float(np.finfo(self.parameters.dtype).tiny)
            last_rate = max(self.schedule.last_rate, smallest)
        return {
            "random_state": self.bit_generator.state,
            "training": None if training is None else training.description(last_rate),
            "n_updates": self.n_updates,
            "schedule": None if self.schedule is None else self.schedule.description(),
        }

    def tensors(self) -> dict[str, Array]:
        """Copies of the arrays."""
        tensors = {"parameters": self.parameters.copy()}
        if self.running.size > 0:
            tensors["running"] = self.running.copy()
        if self.training is not None:
            tensors["slots"] = self.slots.copy()
        return tensors


def _initial_running(layers: Sequence[Layer], widths: Sequence[int], dtype: np.dtype[Any]) -> Array:
    """Mean 0 and variance 1 for each unit of the layers that have them."""
    statistics = [
        np.repeat(np.array([0, 1], dtype), width)
        for layer, width in zip(layers, widths, strict=False)
        if layer.has_running_statistics
    ]
    return aligned_copy(np.concatenate([*statistics, np.empty(0, dtype)]), dtype)


def _check_tensor(tensor: Any, shape: tuple[int, ...], dtype: np.dtype[Any], name: str) -> None:
    if not isinstance(tensor, np.ndarray):
        raise ValueError(f"{name} must be {dtype} of shape {shape}, got {type(tensor).__name__}")
    if tensor.shape != shape or tensor.dtype != dtype:
        raise ValueError(
            f"{name} must be {dtype} of shape {shape}, got {tensor.dtype} of shape {tensor.shape}"
        )


def _read_random_state(value: Any) -> np.random.PCG64:
    kind, numbers, has_uint32, uinteger = entries(
        value, ["bit_generator", "state", "has_uint32", "uinteger"], "random_state"
    )
    if text(kind, "bit_generator") != "PCG64":
        raise ValueError(f"bit_generator must be PCG64, got {kind!r}")
    state, increment = entries(numbers, ["state", "inc"], "random_state, state,")
    if integer(increment, 2**128, "inc") % 2 == 0:
        raise ValueError(f"inc must be odd, got {increment}")
    bit_generator = np.random.PCG64(0)
    bit_generator.state = {
        "bit_generator": kind,
        "state": {"state": integer(state, 2**128, "state"), "inc": increment},
        "has_uint32": integer(has_uint32, 2, "has_uint32"),
        "uinteger": integer(uinteger, 2**32, "uinteger"),
    }
    return bit_generator

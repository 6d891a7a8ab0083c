"""All that training changes, in one object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import _validation
from fastnn._blocks import (
    aligned,
    aligned_copy,
    aligned_rows,
    check_finite,
    count_parameters,
    split,
)
from fastnn._core import kernels
from fastnn._description import entries, integer, text
from fastnn.initializers import draw_weights
from fastnn.layers import Dense
from fastnn.optimizers import OPTIMIZERS, Optimizer

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
    """

    optimizer: Optimizer
    batch_size: int | None
    shuffle: bool

    @classmethod
    def read(cls, description: Any) -> Training:
        """From what `description` gave; ValueError or TypeError for anything else."""
        name, hyperparameters, batch_size, shuffle = entries(
            description, ["optimizer", "hyperparameters", "batch_size", "shuffle"], "training"
        )
        kind = _validation.known_name(text(name, "optimizer"), OPTIMIZERS, "optimizer")
        names = [field.name for field in fields(kind)]
        optimizer = kind(*entries(hyperparameters, names, "hyperparameters"))
        if batch_size is not None:
            batch_size = _validation.positive_int(batch_size, "batch_size")
        return cls(optimizer, batch_size, _validation.boolean(shuffle, "shuffle"))

    def check(self, dtype: np.dtype[Any]) -> None:
        """Refuses hyperparameters that the core, where denormal numbers are 0, would not see."""
        smallest, largest = float(np.finfo(dtype).tiny), float(np.finfo(dtype).max)
        for field in fields(self.optimizer):
            value = getattr(self.optimizer, field.name)
            if value != 0 and not smallest <= value <= largest:
                raise ValueError(
                    f"{field.name} must be a normal number of {dtype}, from {smallest:.3g} to "
                    f"{largest:.3g}, got {value}"
                )

    def description(self) -> dict[str, Any]:
        """All of it as JSON knows it."""
        return {
            "optimizer": self.optimizer.name,
            "hyperparameters": asdict(self.optimizer),
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
        }


@dataclass
class State:
    """Parameters, what the optimiser carries from step to step, and the random state.

    Attributes
    ----------
    parameters : ndarray of shape (n_parameters,), of the network's dtype
        The block; it stays the same array.
    bit_generator : numpy.random.PCG64
        Shuffles the samples.
    training : Training or None
        None before the first training.
    slots : ndarray of shape (n_slots, n_parameters), of the network's dtype
        Of the optimiser that `training` names.
    n_updates : int
        Steps that the slots have seen.
    has_views : bool
        Whether users have views of the parameters.
    """

    parameters: Array
    bit_generator: np.random.PCG64
    training: Training | None
    slots: Array
    n_updates: int
    has_views: bool = False

    def __post_init__(self) -> None:
        # A second reference: with one alone, NumPy would let users resize ``net.parameters.base``
        self._memory = self.parameters.base

    @classmethod
    def initial(
        cls, layers: Sequence[Dense], sizes: Sequence[int], dtype: np.dtype[Any], seed: int
    ) -> State:
        """The state before the first step.

        Parameters
        ----------
        layers : sequence of Dense
        sizes : sequence of int
            ``[n_features, units of layer 1, ..., units of the output]``.
        dtype : numpy.dtype
        seed : int

        Raises
        ------
        ValueError
            If an initializer gives weights beyond the range of `dtype`.
        MemoryError
        """
        weights_seed, shuffling_seed = np.random.SeedSequence(seed).spawn(2)
        random = np.random.Generator(np.random.PCG64(weights_seed))
        block = aligned(count_parameters(sizes), dtype)
        for i, (layer, (weights, bias)) in enumerate(zip(layers, split(block, sizes), strict=True)):
            n_in, n_out = weights.shape
            with np.errstate(all="ignore"):  # infinity is refused below
                weights[:] = draw_weights(layer.chosen_initializer, n_in, n_out, random)
            bias[:] = 0
            if not kernels.all_finite(weights, dtype):
                raise ValueError(
                    f"layers[{i}] has the initializer {layer.chosen_initializer!r}, which gives "
                    f"weights that are not finite in {dtype}"
                )
        return cls(
            block,
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
        sizes: Sequence[int],
        dtype: np.dtype[Any],
    ) -> State:
        """From the values that `description` gave, and `tensors`.

        ValueError or TypeError for anything else.

        Nothing is allocated before the arrays are found to be those of a network of these sizes.
        """
        random_state, training, n_updates = description
        n_parameters = count_parameters(sizes)
        chosen = None if training is None else Training.read(training)
        shapes: dict[str, tuple[int, ...]] = {"parameters": (n_parameters,)}
        if chosen is not None:
            chosen.check(dtype)
            shapes["slots"] = (chosen.optimizer.n_slots, n_parameters)
        block, *rest = entries(tensors, list(shapes), "the tensors")
        for name, shape in shapes.items():
            _check_tensor(tensors[name], shape, dtype, name)
        slots = aligned_rows(len(rest[0]) if rest else 0, n_parameters, dtype)
        if rest:
            slots[:] = rest[0]
        state = cls(
            aligned_copy(block, dtype),
            _read_random_state(random_state),
            chosen,
            slots,
            integer(n_updates, _MAX_UPDATES, "n_updates"),
        )
        state.check(sizes)
        return state

    def shared_parameters(self) -> Array:
        """A view for users, who may write to the parameters through it from now on."""
        self.has_views = True
        return self.parameters[:]

    def check(self, sizes: Sequence[int]) -> None:
        """Refuses parameters and slots that are not finite: no step leaves such ones."""
        check_finite(self.parameters, sizes, self.parameters.dtype)
        if not all(kernels.all_finite(slot, slot.dtype) for slot in self.slots):
            raise ValueError("slots must be finite, got NaN or infinity")

    def slots_for(self, optimizer: Optimizer) -> tuple[Array, int]:
        """Slots and steps to go on with: the present ones, or new ones for another optimiser."""
        if self.training is not None and self.training.optimizer.name == optimizer.name:
            return self.slots, self.n_updates
        # Not numpy.zeros: it does not ask for huge pages, which costs far more than filling
        slots = aligned_rows(optimizer.n_slots, self.parameters.size, self.parameters.dtype)
        slots.fill(0)
        return slots, 0

    def copy(self, dtype: np.dtype[Any], sizes: Sequence[int]) -> State:
        """An independent copy in another dtype, if its numbers are in that one's range."""
        if dtype != self.parameters.dtype:
            check_finite(self.parameters, sizes, dtype)
            _validation.finite(self.slots, dtype, "slots")
            if self.training is not None:
                self.training.check(dtype)
        with np.errstate(all="ignore"):  # numbers too small for the dtype become 0
            parameters = aligned_copy(self.parameters, dtype)
            slots = aligned_rows(len(self.slots), parameters.size, dtype)
            slots[:] = self.slots
        bit_generator = np.random.PCG64()
        bit_generator.state = self.bit_generator.state
        return replace(
            self,
            parameters=parameters,
            bit_generator=bit_generator,
            slots=slots,
            has_views=False,
        )

    def take_over(self, other: State) -> None:
        """Becomes what `other` is, in the same block."""
        self.parameters[:] = other.parameters
        for field in fields(self):
            if field.name not in ("parameters", "has_views"):
                setattr(self, field.name, getattr(other, field.name))

    def snapshot(self) -> dict[str, Array]:
        """Copies of the model's numbers: what its predictions depend on."""
        return {"parameters": self.parameters.copy()}

    def restore(self, snapshot: dict[str, Array]) -> None:
        """Goes back to the model of a `snapshot`; ValueError for anything else."""
        parameters = self.parameters
        (earlier,) = entries(snapshot, ["parameters"], "the tensors of the best model")
        _check_tensor(earlier, parameters.shape, parameters.dtype, "parameters")
        parameters[:] = earlier

    def description(self) -> dict[str, Any]:
        """All of it but the arrays, as JSON knows it."""
        return {
            "random_state": self.bit_generator.state,
            "training": None if self.training is None else self.training.description(),
            "n_updates": self.n_updates,
        }

    def tensors(self) -> dict[str, Array]:
        """Copies of the arrays."""
        tensors = {"parameters": self.parameters.copy()}
        if self.training is not None:
            tensors["slots"] = self.slots.copy()
        return tensors


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

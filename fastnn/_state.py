"""All that training changes, in one object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn._blocks import aligned, aligned_copy, count_parameters, split
from fastnn.initializers import draw_weights
from fastnn.layers import Dense
from fastnn.optimizers import Optimizer, get_optimizer

Array = npt.NDArray[Any]


@dataclass
class State:
    """Parameters, what the optimiser carries from step to step, and the random state.

    Attributes
    ----------
    parameters : ndarray of shape (n_parameters,), of the network's dtype
        The block; it stays the same array.
    bit_generator : numpy.random.PCG64
        Shuffles the samples.
    optimizer : str or None
        Name of the optimiser that the slots belong to; None before the first training.
    slots : ndarray of shape (n_slots, n_parameters), of the network's dtype
    n_updates : int
        Steps that the slots have seen.
    """

    parameters: Array
    bit_generator: np.random.PCG64
    optimizer: str | None
    slots: Array
    n_updates: int

    @classmethod
    def initial(
        cls, layers: Sequence[Dense], sizes: Sequence[int], dtype: np.dtype[Any], seed: Any
    ) -> State:
        """The state before the first step.

        Parameters
        ----------
        layers : sequence of Dense
        sizes : sequence of int
            ``[n_features, units of layer 1, ..., units of the output]``.
        dtype : numpy.dtype
        seed : int
        """
        weights_seed, shuffling_seed = np.random.SeedSequence(seed).spawn(2)
        random = np.random.Generator(np.random.PCG64(weights_seed))
        block = aligned(count_parameters(sizes), dtype)
        for layer, (weights, bias) in zip(layers, split(block, sizes), strict=True):
            n_in, n_out = weights.shape
            weights[:] = draw_weights(layer.chosen_initializer, n_in, n_out, random)
            bias[:] = 0
        return cls(
            block,
            np.random.PCG64(shuffling_seed),
            optimizer=None,
            slots=np.empty((0, block.size), dtype),
            n_updates=0,
        )

    @classmethod
    def restored(
        cls,
        description: dict[str, Any],
        tensors: dict[str, Array],
        n_parameters: int,
        dtype: np.dtype[Any],
    ) -> State:
        """From what `description` and `tensors` gave."""
        block = tensors["parameters"]
        if block.shape != (n_parameters,) or block.dtype != dtype:
            raise ValueError(
                f"parameters must be {n_parameters} numbers of {dtype}, got {block.dtype} of shape "
                f"{block.shape}"
            )
        bit_generator = np.random.PCG64()
        bit_generator.state = description["random_state"]
        name = description["optimizer"]
        n_slots = 0 if name is None else get_optimizer(name, None).n_slots
        slots = np.empty((n_slots, n_parameters), dtype)
        if name is not None:
            if tensors["slots"].shape != slots.shape:
                raise ValueError(
                    f"slots must be of shape {slots.shape}, got {tensors['slots'].shape}"
                )
            slots[:] = tensors["slots"]
        n_updates = description["n_updates"]
        if not (isinstance(n_updates, int) and 0 <= n_updates < 2**63):
            raise ValueError(f"n_updates must be a number of steps, got {n_updates!r}")
        return cls(aligned_copy(block, dtype), bit_generator, name, slots, n_updates)

    def slots_for(self, optimizer: Optimizer) -> tuple[Array, int]:
        """Slots and steps to go on with: the present ones, or new ones for another optimiser."""
        if self.optimizer == optimizer.name:
            return self.slots, self.n_updates
        # Not numpy.zeros: it does not ask for huge pages, which costs far more than filling
        slots = np.empty((optimizer.n_slots, self.parameters.size), self.parameters.dtype)
        slots.fill(0)
        return slots, 0

    def copy(self, dtype: np.dtype[Any]) -> State:
        """An independent copy in another dtype."""
        bit_generator = np.random.PCG64()
        bit_generator.state = self.bit_generator.state
        return replace(
            self,
            parameters=aligned_copy(self.parameters, dtype),
            bit_generator=bit_generator,
            slots=self.slots.astype(dtype),
        )

    def description(self) -> dict[str, Any]:
        """All of it but the arrays, as JSON knows it."""
        return {
            "random_state": self.bit_generator.state,
            "optimizer": self.optimizer,
            "n_updates": self.n_updates,
        }

    def tensors(self) -> dict[str, Array]:
        """Copies of the arrays."""
        tensors = {"parameters": self.parameters.copy()}
        if self.optimizer is not None:
            tensors["slots"] = self.slots.copy()
        return tensors

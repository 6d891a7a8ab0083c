"""Averages of a model over its training, which take its place in the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from fastnn import _validation
from fastnn._blocks import aligned_copy
from fastnn._core import kernels
from fastnn._description import entries

if TYPE_CHECKING:
    from fastnn._state import State

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Averaging:
    """What `Network.fit` was asked to average.

    Attributes
    ----------
    ema : float or None
        A moving average over the steps keeps this share of itself.
    swa_start : int or None
        The mean of the models at the ends of this and the later epochs.
    """

    ema: float | None = None
    swa_start: int | None = None

    @classmethod
    def checked(cls, ema: Any, swa_start: Any, epochs: int) -> Averaging:
        """From what a user passes in."""
        if ema is not None and swa_start is not None:
            raise ValueError(
                "ema and swa_start must not both be given: each of them is what the network ends as"
            )
        if ema is not None:
            ema = _validation.number_in_open_interval(ema, "ema")
        if swa_start is not None:
            swa_start = _validation.positive_int(swa_start, "swa_start")
            if swa_start > epochs:
                raise ValueError(
                    f"swa_start must be one of the epochs, 1 to {epochs}, got {swa_start}"
                )
        return cls(ema, swa_start)

    @classmethod
    def read(cls, description: Any) -> Averaging:
        """From what `dataclasses.asdict` gave; ValueError or TypeError for anything else."""
        ema, swa_start = entries(description, ["ema", "swa_start"], "averaging")
        return cls.checked(ema, swa_start, _validation.MAX_SIZE)


@dataclass
class Average:
    """A model that is the average of others.

    Attributes
    ----------
    parameters, running : ndarray
        As those of `State`.
    count : int
        Steps, or epochs, that it has seen.
    """

    parameters: Array
    running: Array
    count: int = 0

    @classmethod
    def begun(cls, state: State, count: int = 0) -> Average:
        """A copy of the model."""
        dtype = state.parameters.dtype
        return cls(aligned_copy(state.parameters, dtype), aligned_copy(state.running, dtype), count)

    def add(self, state: State) -> None:
        """One more model, of as much weight as each of those before."""
        self.count += 1
        keep = 1 - 1 / self.count
        kernels.average(self.parameters, state.parameters, keep)
        kernels.average(self.running, state.running, keep)

    def finish(self, state: State) -> None:
        """Puts it in the place of the model."""
        state.parameters[:], state.running[:] = self.parameters, self.running

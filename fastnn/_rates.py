"""The learning rates of a call of `fit`: where a schedule is, and its rates for the core."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastnn import _validation
from fastnn._core.training import Trainer
from fastnn._description import entries, integer
from fastnn.schedules import PlateauState, Rate, Rates, ReduceOnPlateau, Schedule

if TYPE_CHECKING:
    from fastnn._lbfgs import LBFGSTrainer

# Steps whose rates are made at a time: 64 KiB, and little work even beside steps of a microsecond.
_WINDOW = 8192


@dataclass(frozen=True)
class ScheduleState:
    """Where a schedule, or a function of the step, began and is.

    Attributes
    ----------
    first_step : int
        Steps that the optimiser's slots had seen before its first one.
    steps_per_epoch : int
        In the call that it began with.
    epochs : int
        Of that call.
    plateau : PlateauState or None
        Of `ReduceOnPlateau`.
    last_rate : float or None
        The last rate that a function gave, which a file has in its place; None for a schedule.
    """

    first_step: int
    steps_per_epoch: int
    epochs: int
    plateau: PlateauState | None = None
    last_rate: float | None = None

    def description(self) -> dict[str, Any]:
        """All of it as JSON knows it."""
        return asdict(self)

    @classmethod
    def read(cls, description: Any, rate: Rate, n_updates: int) -> ScheduleState | None:
        """From what `description` gave for such a learning rate; ValueError for anything else."""
        if description is None and not isinstance(rate, Schedule):
            return None
        first_step, steps_per_epoch, epochs, plateau, last_rate = entries(
            description,
            ["first_step", "steps_per_epoch", "epochs", "plateau", "last_rate"],
            "schedule",
        )
        epochs = _validation.positive_int(epochs, "epochs", at_most=_validation.MAX_SIZE)
        if isinstance(rate, Schedule):
            rate.check_length(epochs)
        if isinstance(rate, Schedule) != (last_rate is None):
            raise ValueError("last_rate must be null for a schedule, else a number")
        if last_rate is not None:
            last_rate = _validation.non_negative_number(last_rate, "last_rate")
        return cls(
            integer(first_step, n_updates + 1, "first_step"),
            _validation.positive_int(steps_per_epoch, "steps_per_epoch", _validation.MAX_SIZE),
            epochs,
            _read_plateau(plateau, rate),
            last_rate,
        )


def _read_plateau(description: Any, rate: Rate) -> PlateauState | None:
    if not isinstance(rate, ReduceOnPlateau):
        if description is not None:
            raise ValueError("plateau must be null but for ReduceOnPlateau")
        return None
    now, best, wait = entries(description, ["rate", "best", "wait"], "plateau")
    now = _validation.non_negative_number(now, "rate")
    if now > rate.learning_rate:
        raise ValueError(f"rate must be at most learning_rate, {rate.learning_rate}, got {now}")
    if best is not None:
        best = _validation.finite_number(best, "best")
    return PlateauState(now, best, integer(wait, rate.patience, "wait"))


class LearningRates:
    """Those of one call of `fit`, for a trainer.

    Parameters
    ----------
    rate : float, Schedule or callable
    state : ScheduleState or None
        Where the schedule has come to; None: it begins.
    n_updates : int
        Steps before this call.
    steps_per_epoch : int or None
        Of this call; None: not known, as of streams whose length nobody tells.
    epochs : int
        Of this call.
    dtype : numpy.dtype
        Of the network.
    has_validation : bool
        Whether there is a ``val_loss`` to monitor.

    Raises
    ------
    ValueError
        If the schedule cannot begin with such a call.
    """

    def __init__(
        self,
        rate: Rate,
        state: ScheduleState | None,
        *,
        n_updates: int,
        steps_per_epoch: int | None,
        epochs: int,
        dtype: npt.DTypeLike,
        has_validation: bool,
    ) -> None:
        self._rate = rate
        self._n_steps = steps_per_epoch
        self._end = n_updates + (steps_per_epoch or _WINDOW) * epochs
        self._last_epoch = self._end - (steps_per_epoch or 0)  # its first step
        self._largest = float(np.finfo(dtype).max)
        self._window: Rates | None = None
        self._first = 0  # step of the window
        self._state = state
        if isinstance(rate, float):
            self._state = None
            return
        plateau = None
        if isinstance(rate, ReduceOnPlateau):
            plateau = rate.first_state()
            if rate.monitor == "val_loss" and not has_validation:
                raise ValueError(
                    "learning_rate monitors val_loss, which needs validation_data; or give "
                    "ReduceOnPlateau(..., monitor='loss')"
                )
        if state is None:
            if isinstance(rate, Schedule):
                rate.check_length(epochs)
                if steps_per_epoch is None and plateau is None:
                    raise ValueError(
                        f"learning_rate must be a number, a function of the step or "
                        f"ReduceOnPlateau where the samples of an epoch are not known beforehand, "
                        f"got {rate!r}; or give X, which gives the chunks, an attribute n_samples"
                    )
            self._state = ScheduleState(n_updates, steps_per_epoch or 1, epochs, plateau)

    @property
    def constant(self) -> float:
        """The rate of all steps, or NaN."""
        return self._rate if isinstance(self._rate, float) else float("nan")

    def warn_of_end(self, stacklevel: int) -> None:
        """Warns of a schedule that has come to 0 before the last epoch of the call."""
        if not isinstance(self._rate, Schedule) or self._state is None or self._n_steps is None:
            return
        state = self._state
        step = np.array([self._last_epoch - state.first_step])
        if self._rate.rates(step, state.steps_per_epoch, state.epochs)[0] == 0:
            warnings.warn(
                f"the learning rate {self._rate!r} has ended: it is 0 in the last epoch of this "
                f"call, or in all of them. Give learning_rate to begin again",
                stacklevel=stacklevel,
            )

    @property
    def follows_epochs(self) -> bool:
        """Whether `end_epoch` must be told of every epoch."""
        return self._state is not None and self._state.plateau is not None

    def supply(self, trainer: Trainer) -> None:
        """To be called before the trainer goes on: gives it the rates of the next steps.

        Raises
        ------
        TypeError, ValueError
            If a function gives something else than a number of at least 0, or a rate is beyond the
            range of the network's dtype.
        """
        if self._state is None:
            return
        if self._window is None or trainer.n_updates >= trainer.window_end:
            first = trainer.n_updates
            # Windows end at the same steps in a training that is resumed
            until_end = _WINDOW - (first - self._state.first_step) % _WINDOW
            window = self._rates(first, max(1, min(until_end, self._end - first)))
            trainer.set_rates(window)
            self._window, self._first = window, first

    def _rates(self, first: int, n_steps: int) -> Rates:
        assert self._state is not None
        start = first - self._state.first_step
        if isinstance(self._rate, Schedule):
            rates = self._rate.rates(
                np.arange(start, start + n_steps), self._state.steps_per_epoch, self._state.epochs
            )
            if self._state.plateau is not None:
                rates = rates / self._rate.learning_rate * self._state.plateau.rate
        elif callable(self._rate):
            rates = np.array(
                [
                    _validation.non_negative_number(self._rate(step), f"learning_rate({step})")
                    for step in range(start, start + n_steps)
                ]
            )
        too_large = np.flatnonzero(rates > self._largest)
        if too_large.size > 0:
            step = too_large[0]
            raise ValueError(
                f"learning_rate must be at most {self._largest:.3g}, the largest number of the "
                f"network's dtype, got {rates[step]} at step {start + step}"
            )
        return rates

    def end_epoch(self, history: Mapping[str, Sequence[float]]) -> None:
        """To be called after every epoch, where `follows_epochs`, with its values at the ends."""
        if self._state is None or self._state.plateau is None:
            return
        assert isinstance(self._rate, ReduceOnPlateau)
        before = self._state.plateau
        plateau = self._rate.next_state(before, history[self._rate.monitor][-1])
        self._state = replace(self._state, plateau=plateau)
        if plateau.rate != before.rate:
            self._window = None

    def of_epochs(self, trainer: Trainer | LBFGSTrainer) -> list[float]:
        """That of the last step of each finished epoch."""
        if isinstance(self._rate, float):  # one number: a long list of them is made at once
            return [self._rate] * trainer.epoch
        rates: list[float] = trainer.rates[: trainer.epoch].tolist()
        return rates

    def state(self, n_updates: int) -> ScheduleState | None:
        """Where the schedule is after so many steps; None for a constant rate."""
        if self._state is None or isinstance(self._rate, Schedule) or self._window is None:
            return self._state
        last = self._window[max(n_updates - 1 - self._first, 0)]
        return replace(self._state, last_rate=float(last))

"""Schedules: learning rates that change from step to step, after a linear warm-up.

In the formulas r is `learning_rate`, k counts the steps since the warm-up from 0, e is k divided by
the steps of an epoch, and T is the length without the warm-up, in steps. Lengths are given in
epochs: passes over the samples of the call that a schedule began with. Fractions are allowed, and
rounded to whole steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from fastnn import _validation
from fastnn._description import entries, text
from fastnn._keywords import checked_keywords

Rates: TypeAlias = npt.NDArray[np.float64]
Steps: TypeAlias = npt.NDArray[np.int64]

# Each restart costs a number at every window of steps.
_MOST_RESTARTS = 1000


def _share(value: Any, name: str) -> float:
    number = _validation.positive_number(value, name)
    if number > 1:
        raise ValueError(f"{name} must be above 0 and at most 1, got {number}")
    return number


def _proper_share(value: Any, name: str) -> float:
    number = _validation.positive_number(value, name)
    if number >= 1:
        raise ValueError(f"{name} must be above 0 and below 1, got {number}")
    return number


def _at_least_one(value: Any, name: str) -> float:
    number = _validation.positive_number(value, name)
    if number < 1:
        raise ValueError(f"{name} must be a number of at least 1, got {number}")
    return number


def _length(value: Any, name: str) -> float | None:
    return None if value is None else _epochs(_validation.positive_number(value, name), name)


def _epochs(number: float, name: str) -> float:
    if number > _validation.MAX_SIZE:
        raise ValueError(f"{name} must be at most {_validation.MAX_SIZE} epochs, got {number}")
    return number


def _restarts(value: Any, name: str) -> int:
    if type(value) is int and value == 0:
        return 0
    return _validation.positive_int(value, name, at_most=_MOST_RESTARTS, remedy="; or 0")


def _monitor(value: Any, name: str) -> str:
    return _validation.known_name(value, {name: name for name in ("loss", "val_loss")}, name)


#: What each field of a schedule must be.
_CHECKS: dict[str, Callable[[Any, str], Any]] = {
    "learning_rate": _validation.positive_number,
    "warmup": lambda value, name: _epochs(_validation.non_negative_number(value, name), name),
    "every": lambda value, name: _epochs(_validation.positive_number(value, name), name),
    "epochs": _length,
    "decay": _validation.positive_number,
    "power": _validation.positive_number,
    "end_rate": _validation.non_negative_number,
    "min_rate": _validation.non_negative_number,
    "restarts": _restarts,
    "growth": _at_least_one,
    "rise": _proper_share,
    "div_factor": _at_least_one,
    "final_div_factor": _at_least_one,
    "monitor": _monitor,
    "factor": _share,
    "patience": _validation.positive_int,
    "min_delta": _validation.non_negative_number,
}


@dataclass(frozen=True)
class Schedule:
    """What all schedules have: a learning rate to start from, and a warm-up.

    `Network.fit` takes one for its `learning_rate`, or in the optimiser's place for it. A schedule
    starts with the first step of the call that it is given to. It goes on in later calls that are
    told neither a learning rate nor an optimiser, in copies, and in saved files.

    Parameters
    ----------
    learning_rate : float
        The rate to start from; above 0.
    warmup : float
        Epochs of a linear warm-up before the schedule proper: its step i, from 0, of w has
        ``(i + 1) / w`` of the schedule's first rate. At least 0.

    Attributes
    ----------
    name : str
        By which files know it.

    Raises
    ------
    TypeError, ValueError
        If a value is not one of these.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import StepDecay
    >>> StepDecay(0.5, factor=0.5, every=2, warmup=1).rates(np.arange(12), steps_per_epoch=2)
    array([0.25 , 0.5  , 0.5  , 0.5  , 0.5  , 0.5  , 0.25 , 0.25 , 0.25 ,
           0.25 , 0.125, 0.125])
    """

    name: ClassVar[str]

    learning_rate: float
    warmup: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        for name in (each.name for each in fields(self)):
            object.__setattr__(self, name, _CHECKS[name](getattr(self, name), name))
        self._check_together()

    def _check_together(self) -> None:
        """Refuses fields that do not fit together."""

    def check_length(self, epochs: float) -> None:
        """Refuses a fit that ends in the schedule's warm-up, where the schedule ends with it.

        Parameters
        ----------
        epochs : float
            Of the fit.

        Raises
        ------
        ValueError
            If the warm-up is as long, or longer.
        """

    def rates(
        self, steps: npt.ArrayLike, steps_per_epoch: int, epochs: float | None = None
    ) -> Rates:
        """The learning rates of some steps.

        Parameters
        ----------
        steps : array-like of int
            Numbers of steps, from 0.
        steps_per_epoch : int
            Mini-batches of an epoch.
        epochs : float, optional
            Length of the fit that the schedule begins with, which is its own where it has none.

        Returns
        -------
        ndarray of the shape of `steps`, float64
            At least 0.

        Raises
        ------
        ValueError
            If the schedule needs `epochs`, or is shorter than its warm-up.

        Examples
        --------
        >>> from fastnn import ExponentialDecay
        >>> ExponentialDecay(0.1, factor=0.5).rates([0, 10, 20], steps_per_epoch=10)
        array([0.1  , 0.05 , 0.025])
        """
        numbers = np.asarray(steps, np.int64)
        n_warmup = self._in_steps(self.warmup, steps_per_epoch)
        after = np.maximum(numbers - n_warmup, 0)
        rates = self._after_warmup(after, steps_per_epoch, epochs)
        if n_warmup > 0:
            rates = rates * np.minimum((numbers + 1) / n_warmup, 1)
        return rates

    def _after_warmup(self, k: Steps, steps_per_epoch: int, epochs: float | None) -> Rates:
        raise NotImplementedError

    @staticmethod
    def _in_steps(epochs: float, steps_per_epoch: int) -> int:
        """Whole steps, at least one of anything above 0."""
        return max(round(epochs * steps_per_epoch), int(epochs > 0))

    def description(self) -> dict[str, Any]:
        """All of it as JSON knows it.

        Returns
        -------
        dict of str to object
            The name of the schedule, and its parameters by theirs.
        """
        return {"schedule": self.name, **asdict(self)}

    @staticmethod
    def read(description: dict[str, Any]) -> Schedule:
        """The schedule that has given a description.

        Parameters
        ----------
        description : dict of str to object
            What `description` has given.

        Returns
        -------
        Schedule
            Equal to that one.

        Raises
        ------
        TypeError, ValueError
            If it is anything else.
        """
        name = text(description.get("schedule"), "schedule")
        kind = _validation.known_name(name, SCHEDULES, "schedule")
        names = [each.name for each in fields(kind)]
        values = entries(description, ["schedule", *names], "learning_rate")[1:]
        return kind(**dict(zip(names, values, strict=True)))


@dataclass(frozen=True)
class _WithEnd(Schedule):
    """A schedule with a length, after which the last rate stays.

    Attributes
    ----------
    epochs : float or None
        Length, the warm-up included. None: that of the fit that the schedule is given to.
    """

    epochs: float | None = None

    def _check_together(self) -> None:
        if self.epochs is not None and self.warmup >= self.epochs:
            raise ValueError(
                f"warmup must be shorter than the schedule, whose epochs are {self.epochs:g}, "
                f"got {self.warmup:g}"
            )

    def check_length(self, epochs: float) -> None:
        if self.epochs is None and self.warmup >= epochs:
            raise ValueError(
                f"learning_rate has a warmup of {self.warmup:g} epochs, which must be shorter than "
                f"the fit, whose epochs are {epochs:g}"
            )

    def _after_warmup(self, k: Steps, steps_per_epoch: int, epochs: float | None) -> Rates:
        epochs = epochs if self.epochs is None else self.epochs
        if epochs is None:
            raise ValueError("epochs must be given: the schedule has none of its own")
        self.check_length(epochs)
        n_warmup = self._in_steps(self.warmup, steps_per_epoch)
        return self._until_end(k, max(self._in_steps(epochs, steps_per_epoch) - n_warmup, 1))

    def _until_end(self, k: Steps, n_steps: int) -> Rates:
        raise NotImplementedError


@checked_keywords
@dataclass(frozen=True)
class ConstantRate(Schedule):
    """``r``, for a warm-up of a constant rate.

    Parameters
    ----------
    learning_rate : float
        The first rate, r; above 0.
    warmup : float
        Epochs of a linear warm-up before it; see `Schedule`.

    Raises
    ------
    TypeError, ValueError
        If a value is not one of these.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ConstantRate
    >>> ConstantRate(0.1, warmup=2).rates(np.arange(6), steps_per_epoch=2)
    array([0.025, 0.05 , 0.075, 0.1  , 0.1  , 0.1  ])
    """

    name: ClassVar[str] = "constant_rate"

    def _after_warmup(self, k: Steps, steps_per_epoch: int, epochs: float | None) -> Rates:
        return np.full(k.shape, self.learning_rate)


@checked_keywords
@dataclass(frozen=True)
class StepDecay(Schedule):
    """``r factor^floor(e / every)``: a fraction of the rate every so many epochs.

    Parameters
    ----------
    learning_rate : float
        The first rate, r; above 0.
    factor : float
        Above 0, at most 1.
    every : float
        Epochs from one step down to the next.
    warmup : float
        Epochs of a linear warm-up before it; see `Schedule`.

    Raises
    ------
    TypeError, ValueError
        If a value is not one of these.

    References
    ----------
    He, Zhang, Ren and Sun, "Deep residual learning for image recognition", CVPR 2016, divide the
    rate by 10 in this way.

    Examples
    --------
    >>> from fastnn import StepDecay
    >>> StepDecay(1.0, factor=0.5, every=2).rates([0, 1, 2, 3, 4], steps_per_epoch=1)
    array([1.  , 1.  , 0.5 , 0.5 , 0.25])
    """

    name: ClassVar[str] = "step_decay"

    factor: float = 0.1
    every: float = 10.0

    def _after_warmup(self, k: Steps, steps_per_epoch: int, epochs: float | None) -> Rates:
        n_down = k // self._in_steps(self.every, steps_per_epoch)
        return self.learning_rate * np.power(self.factor, n_down.astype(np.float64))


@checked_keywords
@dataclass(frozen=True)
class ExponentialDecay(Schedule):
    """``r factor^(e / every)``: as `StepDecay`, but a little at every step.

    Parameters
    ----------
    learning_rate : float
        The first rate, r; above 0.
    factor : float
        Above 0, at most 1.
    every : float
        Epochs in which the rate falls to that share.
    warmup : float
        Epochs of a linear warm-up before it; see `Schedule`.

    Raises
    ------
    TypeError, ValueError
        If a value is not one of these.

    References
    ----------
    Goodfellow, Bengio and Courville, "Deep learning", MIT Press, 2016, chapter 8.

    Examples
    --------
    >>> from fastnn import ExponentialDecay
    >>> ExponentialDecay(1.0, factor=0.25, every=2).rates([0, 1, 2, 4], steps_per_epoch=1)
    array([1.    , 0.5   , 0.25  , 0.0625])
    """

    name: ClassVar[str] = "exponential_decay"

    factor: float = 0.9
    every: float = 1.0

    def _after_warmup(self, k: Steps, steps_per_epoch: int, epochs: float | None) -> Rates:
        return self.learning_rate * np.power(self.factor, k / (self.every * steps_per_epoch))


@checked_keywords
@dataclass(frozen=True)
class InverseScaling(Schedule):
    """``r / (1 + decay e)^power``.

    Parameters
    ----------
    learning_rate : float
        The first rate, r; above 0.
    decay, power : float
        Above 0.
    warmup : float
        Epochs of a linear warm-up before it; see `Schedule`.

    Raises
    ------
    TypeError, ValueError
        If a value is not one of these.

    References
    ----------
    Robbins and Monro, "A stochastic approximation method", Annals of Mathematical Statistics 22,
    1951; with power 1 it is the decay of many courses.

    Examples
    --------
    >>> from fastnn import InverseScaling
    >>> InverseScaling(1.0, decay=1.0).rates([0, 1, 3, 9], steps_per_epoch=1)
    array([1.  , 0.5 , 0.25, 0.1 ])
    """

    name: ClassVar[str] = "inverse_scaling"

    decay: float = 1.0
    power: float = 1.0

    def _after_warmup(self, k: Steps, steps_per_epoch: int, epochs: float | None) -> Rates:
        return self.learning_rate / np.power(1 + self.decay * (k / steps_per_epoch), self.power)


@dataclass(frozen=True)
class _Decay(_WithEnd):
    """Down to a last rate.

    Attributes
    ----------
    end_rate : float
        From 0 to below `learning_rate`.
    """

    end_rate: float = 0.0

    def _check_together(self) -> None:
        super()._check_together()
        if self.end_rate >= self.learning_rate:
            raise ValueError(
                f"end_rate must be below learning_rate, which is {self.learning_rate:g}, got "
                f"{self.end_rate:g}"
            )


@checked_keywords
@dataclass(frozen=True)
class PolynomialDecay(_Decay):
    """``end_rate + (r - end_rate) (1 - k / T)^power``; with power 1 a straight line.

    Parameters
    ----------
    learning_rate : float
        The first rate, r; above 0.
    epochs : float or None
        Length, the warm-up included. None: that of the fit that the schedule is given to.
    end_rate : float
        From 0 to below `learning_rate`; it stays after the end.
    power : float
        Above 0.
    warmup : float
        Epochs of a linear warm-up before it; see `Schedule`.

    Raises
    ------
    TypeError, ValueError
        If a value is not one of these.

    References
    ----------
    Chen, Papandreou, Kokkinos, Murphy and Yuille, "DeepLab: semantic image segmentation", IEEE
    TPAMI 40, 2018.

    Examples
    --------
    >>> from fastnn import PolynomialDecay
    >>> PolynomialDecay(1.0, epochs=4).rates([0, 1, 2, 4, 5], steps_per_epoch=1)
    array([1.  , 0.75, 0.5 , 0.  , 0.  ])
    """

    name: ClassVar[str] = "polynomial_decay"

    power: float = 1.0

    def _until_end(self, k: Steps, n_steps: int) -> Rates:
        left = np.power(1 - np.minimum(k / n_steps, 1), self.power)
        rates: Rates = self.end_rate + (self.learning_rate - self.end_rate) * left
        return rates


@checked_keywords
@dataclass(frozen=True)
class CosineDecay(_Decay):
    """``end_rate + (r - end_rate) (1 + cos(pi k / T)) / 2``, once or again and again.

    With restarts the length is divided into that many cycles and one more, each `growth` times as
    long as the one before, and k and T count in the cycle.

    Parameters
    ----------
    learning_rate : float
        The first rate, r; above 0.
    epochs : float or None
        Length, the warm-up included. None: that of the fit that the schedule is given to.
    end_rate : float
        From 0 to below `learning_rate`; it stays after the end.
    restarts : int
        Cycles after the first one; from 0 to 1,000.
    growth : float
        Length of a cycle divided by that of the one before; at least 1.
    warmup : float
        Epochs of a linear warm-up before it; see `Schedule`.

    Raises
    ------
    TypeError, ValueError
        If a value is not one of these.

    References
    ----------
    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.

    Examples
    --------
    >>> from fastnn import CosineDecay
    >>> CosineDecay(1.0, epochs=4).rates([0, 1, 2, 3, 4], steps_per_epoch=1).round(3)
    array([1.   , 0.854, 0.5  , 0.146, 0.   ])
    >>> CosineDecay(1.0, epochs=4, restarts=1).rates([0, 1, 2, 3, 4], steps_per_epoch=1).round(3)
    array([1. , 0.5, 1. , 0.5, 0. ])
    """

    name: ClassVar[str] = "cosine_decay"

    restarts: int = 0
    growth: float = 1.0

    def _until_end(self, k: Steps, n_steps: int) -> Rates:
        shares = np.power(self.growth, np.arange(-self.restarts, 1, dtype=np.float64))
        ends = np.rint(np.cumsum(shares) / np.sum(shares) * n_steps).astype(np.int64)
        starts = np.concatenate([[0], ends[:-1]])
        cycle = np.minimum(np.searchsorted(ends, k, side="right"), self.restarts)
        lengths = np.maximum(ends - starts, 1)[cycle]
        done = np.minimum((k - starts[cycle]) / lengths, 1)
        share = (1 + np.cos(np.pi * done)) / 2
        rates: Rates = self.end_rate + (self.learning_rate - self.end_rate) * share
        return rates


@checked_keywords
@dataclass(frozen=True)
class OneCycle(_WithEnd):
    """From ``r / div_factor`` up to r, then down to ``r / (div_factor final_div_factor)``.

    Both ways are half a cosine. The top is at step ``max(rise T - 1, 0)``, the last rate at step
    ``T - 1``; it stays after the end.

    Parameters
    ----------
    learning_rate : float
        The largest; above 0.
    epochs : float or None
        Length, the warm-up included. None: that of the fit that the schedule is given to.
    rise : float
        Share of the steps on the way up, in (0, 1).
    div_factor, final_div_factor : float
        At least 1.
    warmup : float
        Epochs of a linear warm-up before it; see `Schedule`.

    Raises
    ------
    TypeError, ValueError
        If a value is not one of these.

    References
    ----------
    Smith and Topin, "Super-convergence: very fast training of neural networks using large learning
    rates", 2018; steps are counted as in PyTorch.

    Examples
    --------
    >>> from fastnn import OneCycle
    >>> OneCycle(1.0, epochs=10, rise=0.4).rates([0, 1, 3, 6, 9], steps_per_epoch=1).round(3)
    array([0.04, 0.28, 1.  , 0.5 , 0.  ])
    """

    name: ClassVar[str] = "one_cycle"

    rise: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4

    def _until_end(self, k: Steps, n_steps: int) -> Rates:
        r = self.learning_rate
        first, last = r / self.div_factor, r / self.div_factor / self.final_div_factor
        top, end = max(self.rise * n_steps - 1, 0.0), n_steps - 1.0
        up = k / top if top > 0 else np.ones(k.shape)
        down = np.minimum((k - top) / (end - top), 1) if end > top else np.zeros(k.shape)
        is_up = k <= top
        begin, finish = np.where(is_up, first, r), np.where(is_up, r, last)
        done = np.where(is_up, up, down)
        rates: Rates = finish + (begin - finish) / 2 * (1 + np.cos(np.pi * done))
        return rates


@dataclass(frozen=True)
class PlateauState:
    """What `ReduceOnPlateau` carries from epoch to epoch.

    Attributes
    ----------
    rate : float
        Of the steps to come, but for the warm-up.
    best : float or None
        The smallest value of what it monitors; None before the first epoch.
    wait : int
        Epochs since then, or since the rate was reduced.
    """

    rate: float
    best: float | None = None
    wait: int = 0


@checked_keywords
@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """``rate = max(factor rate, min_rate)`` after each `patience` epochs without an improvement.

    An epoch improves where its value is below the best so far by more than `min_delta`.

    Parameters
    ----------
    learning_rate : float
        The first rate, r; above 0.
    monitor : {"val_loss", "loss"}
        What must improve; ``"val_loss"`` needs `validation_data`.
    factor : float
        What the rate is multiplied by; above 0, below 1.
    patience : int
        Epochs without an improvement.
    min_delta : float
        By how much an epoch must be below the best one; at least 0.
    min_rate : float
        From 0 to below `learning_rate`.
    warmup : float
        Epochs of a linear warm-up before it; see `Schedule`.

    Raises
    ------
    TypeError, ValueError
        If a value is not one of these.

    References
    ----------
    Bengio, "Practical recommendations for gradient-based training of deep architectures", in Neural
    Networks: Tricks of the Trade, Springer, 2012.

    Examples
    --------
    >>> from fastnn import Network, ReduceOnPlateau
    >>> from fastnn.datasets import make_moons
    >>> net = Network.from_sizes([2, 8, 1], seed=0)
    >>> rate = ReduceOnPlateau(0.1, monitor="loss", factor=0.5, patience=2)
    >>> history = net.fit(*make_moons(seed=0), epochs=60, learning_rate=rate)
    >>> history["learning_rate"][0], history["learning_rate"][-1] < 0.1
    (0.1, True)
    """

    name: ClassVar[str] = "reduce_on_plateau"

    monitor: str = "val_loss"
    factor: float = 0.1
    patience: int = 5
    min_delta: float = 0.0
    min_rate: float = 0.0

    def _check_together(self) -> None:
        if self.factor == 1:
            raise ValueError("factor must be above 0 and below 1, got 1.0")
        if self.min_rate >= self.learning_rate:
            raise ValueError(
                f"min_rate must be below learning_rate, which is {self.learning_rate:g}, got "
                f"{self.min_rate:g}"
            )

    def first_state(self) -> PlateauState:
        """The state before the first epoch.

        Returns
        -------
        PlateauState
            With the first rate, and no best value.
        """
        return PlateauState(self.learning_rate)

    def next_state(self, state: PlateauState, value: float) -> PlateauState:
        """The state after an epoch.

        Parameters
        ----------
        state : PlateauState
            The one before it.
        value : float
            That of `monitor` in it.

        Returns
        -------
        PlateauState
            With the rate of the epoch to come.
        """
        if state.best is None or value < state.best - self.min_delta:
            return PlateauState(state.rate, value)
        if state.wait + 1 < self.patience:
            return PlateauState(state.rate, state.best, state.wait + 1)
        return PlateauState(max(self.factor * state.rate, self.min_rate), state.best)

    def _after_warmup(self, k: Steps, steps_per_epoch: int, epochs: float | None) -> Rates:
        return np.full(k.shape, self.learning_rate)


#: What a learning rate may be: a number, a schedule, a function of the step from 0.
Rate: TypeAlias = float | Schedule | Callable[[int], float]

SCHEDULES: dict[str, type[Schedule]] = {
    schedule.name: schedule
    for schedule in (
        ConstantRate,
        StepDecay,
        ExponentialDecay,
        InverseScaling,
        PolynomialDecay,
        CosineDecay,
        OneCycle,
        ReduceOnPlateau,
    )
}


def checked_rate(value: Any, name: str) -> Rate:
    """A learning rate as a user gives it.

    Parameters
    ----------
    value : float, Schedule or callable
    name : str
        Of the argument.

    Raises
    ------
    TypeError, ValueError
        If `value` is none of these, or a number that is not positive.
    """
    if type(value) in SCHEDULES.values():
        schedule: Schedule = value
        return schedule
    if isinstance(value, type):
        remedy = f"; call it: {value.__name__}(...)" if value in SCHEDULES.values() else ""
        raise TypeError(
            f"{name} must be a positive number, a schedule or a function of the step, got "
            f"{value!r}{remedy}"
        )
    if callable(value):
        function: Callable[[int], float] = value
        return function
    return _validation.positive_number(value, name)

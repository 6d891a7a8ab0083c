"""The race behind ``fastnn bench``: the same training by several libraries, checked, then timed.

Every contestant starts from the same weights and takes the same consecutive mini-batches by plain
gradient descent. The losses are compared first; a race between trainings that do not agree is
refused. Then the contestants run in turn (A B C A B C ...), so that a slow spell of the machine
hits all of them.
"""

from __future__ import annotations

import ctypes
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import datasets
from fastnn.contestants import Contestant, Task, Trainer
from fastnn.timing import (
    HEADINGS,
    Run,
    Timing,
    columns,
    difference,
    figures,
    seconds_of_epochs,
    time_in_turn,
)

__all__ = ["NETS", "Net", "Race", "Result", "caption", "numpy_blas_threads", "run", "table"]

_CHECK_BATCHES, _CHECK_EPOCHS = 2, 2


@dataclass(frozen=True)
class Net:
    """A network to race over, its data and its mini-batches (None: the full batch)."""

    title: str
    sizes: tuple[int, ...]
    hidden: str
    batch_size: int | None
    learning_rate: float
    make_data: Callable[[], tuple[npt.NDArray[Any], npt.NDArray[Any]]]

    def task(self) -> Task:
        """The training that all contestants do."""
        X, y = self.make_data()
        return Task.from_sizes(
            self.sizes,
            X,
            y,
            hidden=self.hidden,
            batch_size=self.batch_size or len(X),
            learning_rate=self.learning_rate,
        )


def _odd_digits() -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    X, y = datasets.load_digits()
    return X, y % 2


def _like_mnist(n_samples: int = 60_000) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Noise of MNIST's shape; the class is the brightest of ten blocks of pixels."""
    X = np.random.default_rng(0).random((n_samples, 784), dtype=np.float32)
    return X, X[:, :780].reshape(n_samples, 10, 78).sum(axis=2).argmax(axis=1)


NETS = {
    "logistic": Net(
        title="64-1 logistic regression (is the digit odd)",
        sizes=(64, 1),
        hidden="relu",
        batch_size=32,
        learning_rate=0.1,
        make_data=_odd_digits,
    ),
    "flower": Net(
        title="2-4-1 tanh, planar flower",
        sizes=(2, 4, 1),
        hidden="tanh",
        batch_size=None,
        learning_rate=1.2,
        make_data=datasets.make_flower,
    ),
    "digits": Net(
        title="64-32-10 relu, digits",
        sizes=(64, 32, 10),
        hidden="relu",
        batch_size=32,
        learning_rate=0.1,
        make_data=datasets.load_digits,
    ),
    "mnist": Net(
        title="784-128-10 relu, synthetic data of MNIST's shape",
        sizes=(784, 128, 10),
        hidden="relu",
        batch_size=128,
        learning_rate=0.01,
        make_data=_like_mnist,
    ),
}


@dataclass(frozen=True)
class Result(Timing):
    """One line of the table; `ratio` is to the first line, `share_of_peak` to one core's."""

    ratio: float
    gflops: float
    share_of_peak: float


@dataclass(frozen=True)
class Race:
    """One net's table, and by how much the losses differed before it was timed."""

    net: str
    description: str
    n_steps_compared: int
    largest_difference: float
    tolerance: float
    results: tuple[Result, ...]

    @property
    def fastest(self) -> Result:
        return min(self.results, key=lambda result: result.seconds)


def run(
    name: str,
    field: Sequence[Contestant],
    *,
    seconds: float,
    peak: float,
    n_rounds: int = 5,
) -> Race:
    """Check, then time, the contestants on one net.

    Parameters
    ----------
    name : str
        A key of `NETS`.
    field : sequence of Contestant
        The losses and the times are compared with the first one's.
    seconds : float
        About how long to time in all; warming up and checking the losses come on top.
    peak : float
        FMA peak of one core in GFLOP/s (`fastnn.config.fma_peak`).
    n_rounds : int, optional
        How often each contestant runs, within its share of `seconds`; once at least.

    Returns
    -------
    race : Race

    Raises
    ------
    ValueError
        If there is no such net, or `seconds` or `n_rounds` is not positive.
    ArithmeticError
        If the losses of the contestants disagree.
    """
    if name not in NETS:
        raise ValueError(f"name must be one of {', '.join(NETS)}, got {name!r}")
    if not 0 < seconds < math.inf:
        raise ValueError(f"seconds must be a positive number, got {seconds}")
    if n_rounds < 1:
        raise ValueError(f"n_rounds must be a positive integer, got {n_rounds}")
    net = NETS[name]
    task = net.task()
    largest, tolerance, n_steps = _compare_losses(net.title, task, field)
    rounds = _time(task, field, seconds=seconds, n_rounds=n_rounds)
    timings = [Timing(contestant.name, rounds[contestant.name]) for contestant in field]
    batch = f"batch {net.batch_size}" if net.batch_size else "full batch"
    return Race(
        net=name,
        description=f"{net.title}; {len(task.X)} samples, {batch}",
        n_steps_compared=n_steps,
        largest_difference=largest,
        tolerance=tolerance,
        results=tuple(
            Result(
                timing.contestant,
                timing.rounds,
                ratio=timing.seconds / timings[0].seconds,
                gflops=task.flops / timing.seconds / 1e9,
                share_of_peak=task.flops / timing.seconds / 1e9 / peak,
            )
            for timing in timings
        ),
    )


def _compare_losses(
    title: str, task: Task, field: Sequence[Contestant]
) -> tuple[float, float, int]:
    """Largest relative difference to the first contestant's loss, what is allowed, and steps.

    A float32 sum of k products is off by at most ``k u`` relative to the sum of their magnitudes,
    with ``u = 2**-24`` [1]_. A step has at most three products a layer (forward, and both
    gradients), none longer than the widest layer or the batch. Descent does not amplify a
    difference, so to first order S steps of L layers are off by at most ``3 L S k u``.

    .. [1] N. J. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., 2002, sec. 3.1.
    """
    part = task.first(_CHECK_BATCHES)
    n_steps = part.n_batches * _CHECK_EPOCHS
    longest = max(*task.sizes, task.batch_size)
    tolerance = 3 * len(task.weights) * n_steps * longest * 2.0**-24
    losses = [_last_loss(contestant.trainer(part)) for contestant in field]
    differences = [difference(loss, losses[0]) for loss in losses]
    for contestant, off in zip(field, differences, strict=True):
        if not off <= tolerance:  # so that NaN disagrees
            raise ArithmeticError(
                f"the losses of {contestant.name} and {field[0].name} differ by {off:.1e} "
                f"on {title}, {tolerance:.1e} is allowed"
            )
    return max(differences), tolerance, n_steps


def _last_loss(trainer: Trainer) -> float:
    """Of the last epoch compared, which depends on all steps before."""
    restart, train = trainer
    restart()
    return train(_CHECK_EPOCHS)


def _time(
    task: Task, field: Sequence[Contestant], *, seconds: float, n_rounds: int
) -> dict[str, tuple[float, ...]]:
    """Seconds an epoch of every round of every contestant."""
    share = seconds / len(field)
    runs = {c.name: (_batches if c.in_part else _epochs)(task, c) for c in field}
    rounds = time_in_turn(
        lambda action: {name: action(name) for name in runs},
        lambda name, n_runs: runs[name](n_runs),
        seconds=share,
        n_rounds=n_rounds,
        seconds_at_most=share,
    )
    runs_an_epoch = {c.name: len(task.X) / task.batch_size if c.in_part else 1.0 for c in field}
    return {
        name: tuple(runs_an_epoch[name] * seconds for seconds in taken)
        for name, taken in rounds.items()
    }


def _epochs(task: Task, contestant: Contestant) -> Run:
    """A run is an epoch; warmed up: what it needs is compiled, loaded and allocated."""
    run = seconds_of_epochs(contestant.trainer(task))
    run(1)
    return run


def _batches(task: Task, contestant: Contestant) -> Run:
    """A run is a whole mini-batch: epochs of a part of the task, scaled to so long."""

    def run(n_batches: int) -> float:
        part = task.first(min(n_batches, task.n_batches))
        n_epochs = max(1, n_batches // part.n_batches)
        seconds = seconds_of_epochs(contestant.trainer(part))(n_epochs)
        return seconds * n_batches * task.batch_size / (n_epochs * len(part.X))

    return run


def table(race: Race) -> str:
    """A race as text."""
    rows: list[tuple[str, ...]] = [("", "an epoch", *HEADINGS)]
    rows += [(r.contestant, *figures(r, r.ratio, r.gflops, r.share_of_peak)) for r in race.results]
    return "\n".join(
        [
            race.description,
            f"  losses agree: they differ by {race.largest_difference:.0e} at most over "
            f"{race.n_steps_compared} steps ({race.tolerance:.0e} is allowed)",
            *columns(rows),
            f"  fastest: {race.fastest.contestant}",
        ]
    )


def caption(peak: float) -> list[str]:
    """What the columns mean and under which conditions the figures hold, line by line."""
    threads = numpy_blas_threads() or "an unknown number of"
    return [
        "Same start, same consecutive mini-batches, plain gradient descent, float32 (pure Python: "
        "float64).",
        "an epoch: median of the rounds for fastnn, best round for all others. spread: slowest "
        "round minus fastest.",
        "ratio: time over that of fastnn on one thread; below 1 is faster. Pure Python is timed on "
        "a part of the mini-batches, and scaled.",
        f"GFLOP/s counts matrix products only; peak: its share of one core's {peak:.0f} GFLOP/s "
        "(fused multiply-adds, measured).",
        f"NumPy's BLAS uses {threads} threads here, its own choice. A line without a number of "
        "threads is a library that chooses itself.",
    ]


def numpy_blas_threads() -> int | None:
    """Number of threads of the BLAS inside NumPy, or None if it does not tell."""
    library = ctypes.CDLL(sys.modules["numpy._core._multiarray_umath"].__file__)
    for symbol in (
        "scipy_openblas_get_num_threads64_",
        "scipy_openblas_get_num_threads",
        "openblas_get_num_threads64_",
        "openblas_get_num_threads",
        "MKL_Get_Max_Threads",
    ):
        if hasattr(library, symbol):
            return int(getattr(library, symbol)())
    return None

"""The race behind ``fastnn bench``: the same training by several libraries, checked, then timed.

Every contestant starts from the same weights and takes the same consecutive mini-batches by plain
gradient descent. The losses are compared first; a race between trainings that do not agree is
refused. Then the contestants run in turn (A B C A B C ...), so that a slow spell of the machine
hits all of them.
"""

from __future__ import annotations

import ctypes
import math
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from timeit import timeit
from typing import Any

import numpy as np
import numpy.typing as npt

import fastnn
from fastnn import datasets
from fastnn.contestants import Contestant, Task, Trainer
from fastnn.plots import format_duration

__all__ = ["NETS", "Net", "Race", "Result", "caption", "numpy_blas_threads", "run", "table"]

_CHECK_BATCHES, _CHECK_EPOCHS = 2, 2


@dataclass(frozen=True)
class Net:
    """A network to race over, its data and its mini-batches (None: the full batch)."""

    title: str
    sizes: tuple[int, ...]
    hidden: str
    output: str
    batch_size: int | None
    learning_rate: float
    make_data: Callable[[], tuple[npt.NDArray[Any], npt.NDArray[Any]]]

    def task(self) -> Task:
        """The training in float32, from weights that depend on nothing but the net."""
        X, y = self.make_data()
        start = fastnn.Network.from_sizes(self.sizes, self.hidden, self.output, seed=0)
        return Task(
            X=np.ascontiguousarray(X, dtype=np.float32),
            y=np.ascontiguousarray(y, dtype=np.int64),
            weights=tuple(weights.copy() for weights in start.weights),
            biases=tuple(bias.copy() for bias in start.biases),
            hidden=self.hidden,
            output=self.output,
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
        output="sigmoid",
        batch_size=32,
        learning_rate=0.1,
        make_data=_odd_digits,
    ),
    "flower": Net(
        title="2-4-1 tanh, planar flower",
        sizes=(2, 4, 1),
        hidden="tanh",
        output="sigmoid",
        batch_size=None,
        learning_rate=1.2,
        make_data=datasets.make_flower,
    ),
    "digits": Net(
        title="64-32-10 relu, digits",
        sizes=(64, 32, 10),
        hidden="relu",
        output="softmax",
        batch_size=32,
        learning_rate=0.1,
        make_data=datasets.load_digits,
    ),
    "mnist": Net(
        title="784-128-10 relu, synthetic data of MNIST's shape",
        sizes=(784, 128, 10),
        hidden="relu",
        output="softmax",
        batch_size=128,
        learning_rate=0.01,
        make_data=_like_mnist,
    ),
}


@dataclass(frozen=True)
class Result:
    """One line of the table; `ratio` is to the first line, `share_of_peak` to one core's."""

    contestant: str
    seconds: float
    rounds: tuple[float, ...]
    ratio: float
    gflops: float
    share_of_peak: float

    @property
    def spread(self) -> float:
        """Slowest round minus fastest, relative to `seconds`."""
        return (max(self.rounds) - min(self.rounds)) / self.seconds


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
    difference, tolerance, n_steps = _compare_losses(net.title, task, field)
    rounds = _time(task, field, seconds=seconds, n_rounds=n_rounds)
    times = [_summarise(c, of_one) for c, of_one in zip(field, rounds, strict=True)]
    gflops = [task.flops / time / 1e9 for time in times]
    batch = f"batch {net.batch_size}" if net.batch_size else "full batch"
    return Race(
        net=name,
        description=f"{net.title}; {len(task.X)} samples, {batch}",
        n_steps_compared=n_steps,
        largest_difference=difference,
        tolerance=tolerance,
        results=tuple(
            Result(
                c.name, times[i], tuple(rounds[i]), times[i] / times[0], gflops[i], gflops[i] / peak
            )
            for i, c in enumerate(field)
        ),
    )


def _compare_losses(
    title: str, task: Task, field: Sequence[Contestant]
) -> tuple[float, float, int]:
    """Largest relative difference to the first contestant's losses, what is allowed, and steps.

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
    losses = np.array([c.trainer(part)(_CHECK_EPOCHS) for c in field])
    differences = np.abs(losses / losses[0] - 1).max(axis=1)
    for contestant, difference in zip(field, differences, strict=True):
        if not difference <= tolerance:  # so that NaN disagrees
            raise ArithmeticError(
                f"the losses of {contestant.name} and {field[0].name} differ by {difference:.1e} "
                f"on {title}, {tolerance:.1e} is allowed"
            )
    return float(differences.max()), tolerance, n_steps


def _time(
    task: Task, field: Sequence[Contestant], *, seconds: float, n_rounds: int
) -> list[list[float]]:
    """Seconds an epoch of every round of every contestant, run in turn."""
    share = seconds / len(field)
    heats = [_heat(task, contestant, share / n_rounds) for contestant in field]
    durations: list[list[float]] = [[] for _ in field]
    for _ in range(n_rounds):
        for heat, so_far in zip(heats, durations, strict=True):
            if sum(so_far) < share:
                so_far.append(_duration(heat.train, heat.n_epochs))
    return [
        [duration / heat.n_whole_epochs for duration in so_far]
        for heat, so_far in zip(heats, durations, strict=True)
    ]


@dataclass(frozen=True)
class _Heat:
    """What a contestant runs each round: `n_epochs` of a part, so many epochs of the whole."""

    train: Trainer
    n_epochs: int
    n_whole_epochs: float


def _heat(task: Task, contestant: Contestant, seconds: float) -> _Heat:
    """A heat of about `seconds`, warmed up: what it needs is compiled, loaded and allocated."""
    part = task.first(1) if contestant.in_part else task
    train = contestant.trainer(part)
    train(1)
    n_epochs = max(1, int(seconds / _duration(train, 1)))
    if contestant.in_part:
        part = task.first(min(n_epochs, task.n_batches))
        train = contestant.trainer(part)
        n_epochs = max(1, n_epochs // part.n_batches)
    else:
        train(n_epochs)  # for JAX the number of epochs is part of the program
    return _Heat(train, n_epochs, n_epochs * len(part.X) / len(task.X))


def _duration(train: Trainer, n_epochs: int) -> float:
    """Seconds; timeit keeps the garbage collector still meanwhile."""
    return timeit(lambda: train(n_epochs), number=1)


def _summarise(contestant: Contestant, rounds: Sequence[float]) -> float:
    """The median for fastnn, the best for everyone else: doubt is settled in their favour."""
    ours = contestant.name.startswith("fastnn")
    return statistics.median(rounds) if ours else min(rounds)


def table(race: Race) -> str:
    """A race as text."""
    lines = [
        race.description,
        f"  losses agree: they differ by {race.largest_difference:.0e} at most over "
        f"{race.n_steps_compared} steps ({race.tolerance:.0e} is allowed)",
    ]
    width = max(len(result.contestant) for result in race.results)
    rows = [("", "an epoch", "spread", "ratio", "GFLOP/s", "peak")]
    rows += [
        (
            result.contestant,
            format_duration(result.seconds),
            f"{result.spread:.0%}",
            f"{result.ratio:.2f}",
            f"{result.gflops:.3g}",
            f"{result.share_of_peak:.1%}",
        )
        for result in race.results
    ]
    lines += [f"  {name:{width}}" + "".join(f"{x:>11}" for x in cells) for name, *cells in rows]
    lines.append(f"  fastest: {race.fastest.contestant}")
    return "\n".join(lines)


def caption(peak: float) -> list[str]:
    """What the columns mean and under which conditions the figures hold, line by line."""
    threads = numpy_blas_threads() or "an unknown number of"
    return [
        "Same start, same consecutive mini-batches, plain gradient descent, float32 (pure Python: "
        "float64).",
        "an epoch: median of the rounds for fastnn, best round for all others. spread: slowest "
        "round minus fastest.",
        "ratio: time over that of fastnn on one thread; below 1 is faster. pure Python is timed on "
        "a part of the mini-batches and scaled.",
        f"GFLOP/s counts matrix products only; peak: its share of one core's {peak:.0f} GFLOP/s "
        "(fused multiply-adds, measured).",
        f"NumPy's BLAS uses {threads} threads here, its own choice; whoever names no number of "
        "threads chose its own, too.",
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

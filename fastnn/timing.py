"""How contestants are compared, timed in turn and judged, in one process or in several.

`fastnn.race` (``fastnn bench``) and ``python -m bench.peers`` share these rules; see
`fastnn.contestants` for what else they share.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from timeit import timeit
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from fastnn.contestants import Trainer
from fastnn.plots import format_duration

__all__ = [
    "HEADINGS",
    "PAUSE_SECONDS",
    "InTurn",
    "Run",
    "Timing",
    "columns",
    "difference",
    "figures",
    "seconds_of_epochs",
    "time_in_turn",
]

T = TypeVar("T")

# Between two turns: longer than the threads of a library spin before they sleep (OpenBLAS: 2**26
# cycles), or they would disturb the next in turn.
PAUSE_SECONDS = 0.05

Run = Callable[[int], float]
"""Does something a number of times, and returns the seconds of all together."""


class InTurn(Protocol):
    """Has one contestant after the other do something, and collects what they return.

    A contestant that could not do it is left out of the answer, and of all later turns.
    """

    def __call__(self, action: Callable[[str], T], /) -> dict[str, T]: ...


@dataclass(frozen=True)
class Timing:
    """What one contestant took.

    Attributes
    ----------
    rounds : tuple of float
        Seconds in each round.
    seconds : float
        Their median for fastnn, the best for all others: doubt is settled in the others' favour.
    """

    contestant: str
    rounds: tuple[float, ...]
    seconds: float = field(init=False)

    def __post_init__(self) -> None:
        judge = statistics.median if self.contestant.startswith("fastnn") else min
        object.__setattr__(self, "seconds", judge(self.rounds))

    @property
    def spread(self) -> float:
        """Slowest round minus fastest, relative to `seconds`."""
        return (max(self.rounds) - min(self.rounds)) / self.seconds


def difference(values: npt.ArrayLike, expected: npt.ArrayLike) -> float:
    """Largest difference between two arrays, relative to the largest magnitude expected."""
    values, expected = np.asarray(values), np.asarray(expected)
    return float(np.max(np.abs(values - expected)) / np.max(np.abs(expected)))


def seconds_of_epochs(trainer: Trainer) -> Run:
    """Of a trainer, a run being one epoch; timeit keeps the garbage collector still meanwhile."""
    restart, train = trainer

    def run(n_epochs: int) -> float:
        restart()
        return timeit(lambda: train(n_epochs), number=1)

    return run


def time_in_turn(
    in_turn: InTurn,
    run: Callable[[str, int], float],
    *,
    seconds: float,
    n_rounds: int,
    n_rounds_at_least: int = 1,
    seconds_at_most: float,
    before_round: Callable[[], object] = lambda: None,
) -> dict[str, tuple[float, ...]]:
    """Time contestants, warmed up already, round by round.

    Parameters
    ----------
    in_turn : InTurn
        Goes through the contestants.
    run : callable
        ``run(contestant, n_runs)`` is a `Run` of that contestant.
    seconds : float
        About how long to time each contestant, over all rounds; each runs at least once a round.
    n_rounds : int
    n_rounds_at_least : int, optional
        Rounds that even a slow contestant runs.
    seconds_at_most : float
        A contestant whose rounds took longer skips the rounds after `n_rounds_at_least`.
    before_round : callable, optional
        Called before each round.

    Returns
    -------
    dict of str to tuple of float
        Seconds a run, in each round.
    """
    n_runs = in_turn(lambda name: _n_runs_for(partial(run, name), seconds / n_rounds))
    rounds: dict[str, list[float]] = {name: [] for name in n_runs}

    def turn(name: str) -> None:
        n, taken = n_runs[name], rounds[name]
        if len(taken) < n_rounds_at_least or n * sum(taken) < seconds_at_most:
            time.sleep(PAUSE_SECONDS)
            taken.append(run(name, n) / n)

    for _ in range(n_rounds):
        before_round()
        in_turn(turn)
    return {name: tuple(taken) for name, taken in rounds.items()}


def _n_runs_for(run: Run, seconds: float) -> int:
    """How many runs take about `seconds`; at least one."""
    n_runs = 1
    while (took := run(n_runs)) < seconds / 4:
        n_runs *= 4
    return max(1, round(n_runs * seconds / took))


HEADINGS = ("spread", "ratio", "GFLOP/s", "peak")
"""Of the cells that `figures` gives after the duration."""


def figures(
    timing: Timing, ratio: float | None, gflops: float, share_of_peak: float
) -> tuple[str, ...]:
    """A line of a table after the contestant's name, cell by cell."""
    return (
        format_duration(timing.seconds),
        f"{timing.spread:.0%}",
        "" if ratio is None else f"{ratio:.2f}",
        f"{gflops:.3g}",
        f"{share_of_peak:.1%}",
    )


def columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """The lines of a table: names to the left, figures to the right."""
    width = max(len(name) for name, *_ in rows)
    return [f"  {name:{width}}" + "".join(f"{x:>11}" for x in cells) for name, *cells in rows]

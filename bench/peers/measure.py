"""The race over one net: contestants are prepared, compared with fastnn, and timed in turn."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

import fastnn
from bench.peers.field import is_ours, library
from bench.peers.nets import ONE_THREAD, Net, Training
from bench.peers.process import Died, Prepared, Process, cpus
from fastnn.timing import PAUSE_SECONDS, Timing, difference, time_in_turn

__all__ = ["Processes", "Result", "Row", "busy_core", "measure", "memory_bandwidth"]

T = TypeVar("T")


@dataclass(frozen=True)
class Result(Timing):
    """One contestant on one net, in seconds a step.

    Attributes
    ----------
    compile_seconds : float
        By how much the first run took longer than a later one.
    """

    compile_seconds: float


@dataclass(frozen=True)
class Row:
    """One net on a number of threads.

    Attributes
    ----------
    busy : bool
        Whether one core was kept busy by another process.
    steps : int
        Steps of a run: of an epoch, or 1 for a call.
    peak : float
        FMA peak of one core in GFLOP/s, the best of one measurement a round.
    difference : float
        Largest relative difference to what fastnn computes.
    troubles : tuple of str
        One for each contestant whose process died or whose results differ from fastnn's. It is not
        in `results`, or has fewer rounds there.
    """

    net: Net
    threads: int
    busy: bool
    quick: bool
    steps: int
    peak: float
    difference: float
    results: tuple[Result, ...]
    troubles: tuple[str, ...]

    def result(self, contestant: str) -> Result | None:
        return next((r for r in self.results if r.contestant == contestant), None)

    @property
    def fastest_peer(self) -> Result | None:
        peers = [r for r in self.results if not is_ours(r.contestant)]
        return min(peers, key=lambda r: r.seconds, default=None)


class Processes:
    """The contestants' processes, each started when first needed, and again after it died."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.versions: dict[str, str] = {}
        self._running: dict[str, Process] = {}

    def __getitem__(self, contestant: str) -> Process:
        if contestant not in self._running:
            one = contestant == ONE_THREAD
            process = Process("fastnn" if one else contestant, 1 if one else self.threads)
            self._running[contestant] = process
            self.versions[library(contestant)] = process.version
        return self._running[contestant]

    def drop(self, contestant: str) -> None:
        if contestant in self._running:
            self._running.pop(contestant).close()

    def close(self) -> None:
        for contestant in list(self._running):
            self.drop(contestant)


class _Field:
    """The contestants still in the race over one net; one that leaves it adds to `troubles`."""

    def __init__(self, contestants: Sequence[str], processes: Processes) -> None:
        self.contestants = list(contestants)
        self.troubles: list[str] = []
        self._processes = processes

    def in_turn(self, action: Callable[[str, Process], T]) -> dict[str, T]:
        """Let one after the other do something. A contestant whose process dies is out."""
        answers = {}
        for name in list(self.contestants):
            try:
                answers[name] = action(name, self._processes[name])
            except Died as error:
                self._processes.drop(name)
                self.leave_out(name, str(error))
        return answers

    def leave_out(self, contestant: str, reason: str) -> None:
        self.contestants.remove(contestant)
        self.troubles.append(f"{contestant}: {reason}")


def measure(
    net: Net,
    contestants: Sequence[str],
    processes: Processes,
    *,
    seconds: float,
    n_rounds: int,
    quick: bool = False,
    busy: bool = False,
) -> Row:
    """Prepare, compare and time the contestants on one net.

    Parameters
    ----------
    contestants : sequence of str
        All others must agree with the first one.
    seconds : float
        About how long to time each. A slow one takes one run a round, and stops once it had three
        rounds that took four times as long.
    """
    field = _Field(contestants, processes)
    prepared = field.in_turn(lambda name, process: process.prepare(net.name, quick))
    largest = _compare(net, prepared, field)
    steps = net.steps(quick) if isinstance(net, Training) else 1
    peaks = []
    runs = time_in_turn(
        lambda action: field.in_turn(lambda name, _: action(name)),
        lambda name, n_runs: processes[name].run(n_runs),
        seconds=seconds,
        n_rounds=n_rounds,
        n_rounds_at_least=3,
        seconds_at_most=4 * seconds,
        before_round=lambda: peaks.append(_peak()),
    )
    results = [
        Result(
            name,
            tuple(duration / steps for duration in taken),
            max(0.0, prepared[name].first_seconds - taken[0]),
        )
        for name, taken in runs.items()
        if taken
    ]
    return Row(
        net=net,
        threads=processes.threads,
        busy=busy,
        quick=quick,
        steps=steps,
        peak=max(peaks),
        difference=largest,
        results=tuple(results),
        troubles=tuple(field.troubles),
    )


def _peak() -> float:
    time.sleep(PAUSE_SECONDS)
    return fastnn.config.fma_peak(0.02)


def _compare(net: Net, prepared: Mapping[str, Prepared], field: _Field) -> float:
    """The largest relative difference to the first; who exceeds the tolerance is left out."""
    if not prepared:
        return 0.0
    differences = [0.0]
    first, *others = prepared
    expected = prepared[first].check
    for name in others:
        off = difference(prepared[name].check, expected)
        if off <= net.tolerance:
            differences.append(off)
        else:  # NaN, too
            field.leave_out(
                name,
                f"differs from {first} by {off:.0e}, {net.tolerance:.0e} is allowed; not timed",
            )
    return max(differences)


def memory_bandwidth() -> float:
    """Bytes a second that one core reads and writes, copying what no cache holds; best of five."""
    source = np.ones(2**25)
    target = np.empty_like(source)
    durations = []
    for _ in range(5):
        begin = time.perf_counter()
        np.copyto(target, source)
        durations.append(time.perf_counter() - begin)
    return 2 * source.nbytes / min(durations)


@contextmanager
def busy_core() -> Iterator[None]:
    """Keep the last CPU of this process busy meanwhile, by another process."""
    code = (
        f"import os; os.sched_setaffinity(0, {{{cpus()[-1]}}})\n"
        f"while os.getppid() == {os.getpid()}:\n"
        "    for _ in range(10**6): pass\n"
    )
    burner = subprocess.Popen([sys.executable, "-c", code])
    try:
        yield
    finally:
        burner.kill()
        burner.wait()

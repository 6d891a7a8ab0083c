"""A contestant's process, as its parent sees it; `bench.peers.inside` is what runs in it.

They talk through a pipe: the parent says what to prepare and how many times to run it, and waits
for the answer before it says anything to anybody else.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import fastnn
from fastnn._core import kernels

__all__ = ["Died", "Prepared", "Process", "cpus", "openblas_core"]


class Died(Exception):
    """A contestant's process ended, or did not answer in time."""


@dataclass(frozen=True)
class Prepared:
    """What a contestant says once it is ready to be timed.

    Attributes
    ----------
    first_seconds : float
        From the data to the end of the first run: conversion, compiling, first use.
    check : sequence of float
        Loss after some epochs, or probabilities of some rows: the same from all.
    """

    first_seconds: float
    check: Sequence[float]


def cpus() -> list[int]:
    """The CPUs that this process may use."""
    return sorted(os.sched_getaffinity(0))


class Process:
    """A contestant in a process of its own, which does nothing until asked.

    Parameters
    ----------
    contestant : str
        A key of `bench.peers.training.TRAINERS` or `bench.peers.inference.PREDICTORS`.
    threads : int
        How many its library may use, on as many CPUs.

    Attributes
    ----------
    version : str
        Of its library.

    Raises
    ------
    Died
        If it cannot be started.
    """

    def __init__(self, contestant: str, threads: int) -> None:
        self._pipe, other_end = Pipe()
        self._errors = tempfile.TemporaryFile(mode="w+", errors="replace")  # noqa: SIM115
        command = [sys.executable, "-P", "-m", "bench.peers.inside"]
        with _confined(threads):
            self._process = subprocess.Popen(
                [*command, contestant, str(threads), str(other_end.fileno())],
                env={**os.environ, **_environment(contestant, threads)},
                pass_fds=[other_end.fileno()],
                stdout=self._errors,
                stderr=self._errors,
            )
        other_end.close()
        try:
            self.version: str = self._answer(timeout=300)
        except Died:
            self.close()
            raise

    def prepare(self, net: str, quick: bool) -> Prepared:
        """Make the net `net` ready to run."""
        answer: Prepared = self._ask(("prepare", net, quick))
        return answer

    def run(self, n_times: int) -> float:
        """Seconds that `n_times` epochs or calls take."""
        seconds: float = self._ask(("run", n_times))
        return seconds

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.kill()
        self._process.wait()
        self._errors.close()

    def _ask(self, message: tuple[Any, ...], timeout: float = 900) -> Any:
        with suppress(OSError):  # then there is no answer either
            self._pipe.send(message)
        return self._answer(timeout)

    def _answer(self, timeout: float) -> Any:
        try:
            if self._pipe.poll(timeout):
                return self._pipe.recv()
        except (EOFError, OSError):
            code = self._process.wait()
            self._errors.seek(0)
            words = self._errors.read().strip().splitlines()[-1:]
            raise Died(f"its process died (exit code {code}): {''.join(words)}") from None
        raise Died(f"no answer within {timeout:.0f} s")


@contextmanager
def _confined(n_cpus: int) -> Iterator[None]:
    """This thread runs on that many CPUs meanwhile, and what it starts does for ever."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus()[:n_cpus])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _environment(contestant: str, threads: int) -> dict[str, str]:
    """Variables that give every library `threads` threads, and this fastnn."""
    folders = (Path(fastnn.__file__).parents[1], Path(__file__).parents[2])
    environment = {
        "PYTHONPATH": os.pathsep.join(map(str, folders)),
        "JAX_PLATFORMS": "cpu",
        # So that the time of compiling is always that.
        "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1",
        "TORCHINDUCTOR_COMPILE_THREADS": "1",
    }
    for library in ("OMP", "OPENBLAS", "MKL"):
        environment[f"{library}_NUM_THREADS"] = str(threads)
    if threads == 1:
        flags = os.environ.get("XLA_FLAGS", "")
        environment["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false"
    if not contestant.startswith("fastnn"):
        environment.update(openblas_core())
    return environment


def openblas_core() -> dict[str, str]:
    """Variables that make an OpenBLAS use AVX-512 on a CPU that it does not know.

    Left alone it takes its kernels for Haswell there, of half the speed. NumPy's is asked.
    """
    library = ctypes.CDLL(sys.modules["numpy._core._multiarray_umath"].__file__)
    for symbol in ("scipy_openblas_get_corename64_", "scipy_openblas_get_corename"):
        if hasattr(library, symbol):
            get_corename = getattr(library, symbol)
            get_corename.restype = ctypes.c_char_p
            if get_corename() == b"Haswell" and "avx512" in kernels.supported_isas():
                return {"OPENBLAS_CORETYPE": "SkylakeX"}
    return {}

"""Which widths miss the caches of a CPU that is not at hand? Counts, which repeat, unlike times.

Rows that lie 4, 8 or 16 KiB apart all fall into the same few sets of a cache: widths of 1024, 2048
and 4096 may miss it where 1000, 2000 and 4000 do not. Cachegrind, of valgrind, simulates the L1 for
data and the L2 of two CPUs, on any machine. Counted are the misses per 1,000 multiply-adds of the
three products of a layer, and of whole training steps. Cachegrind knows AVX2 but not AVX-512, and
does not prefetch. All takes ten minutes on two cores. Exit code 1 if a width misses the L1 more
than 1.3 times as often as the one beside it.

    python -m bench.cache
    python -m bench.cache --roles dW step
"""

import argparse
import os
import re
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import fastnn
from bench.kernels import Array, Shape, shapes
from fastnn import Network
from fastnn._blocks import aligned
from fastnn._core import gemm
from fastnn.contestants import training_flops
from fastnn.timing import columns

BAR = 1.3
ROLES = ("forward", "dX", "dW", "step")
# Each width beside the one that it must not miss more often than.
WIDTHS = ((1000, 1024), (2000, 2048), (4000, 4096))
STEP_WIDTHS = WIDTHS[:2]
BATCH = 64  # rows of a product, samples of a step

# Of time_multiply: how the operands lie.
KEYWORDS: dict[str, Any] = {"panels": True}


@dataclass(frozen=True)
class Cpu:
    """Caches: bytes and ways of the L1 for data and of the L2, with lines of 64 bytes."""

    name: str
    l1_data: tuple[int, int]
    l2: tuple[int, int]
    l3: int  # not simulated, but fastnn is told of it

    @property
    def options(self) -> list[str]:
        """Of cachegrind, whose last level is the L2 here."""
        l1_data, l2 = (f"{size},{ways},64" for size, ways in (self.l1_data, self.l2))
        return ["--cache-sim=yes", "--I1=32768,8,64", f"--D1={l1_data}", f"--LL={l2}"]

    def __str__(self) -> str:
        l1_data, l2 = (f"{size >> 10} KiB {ways}-way" for size, ways in (self.l1_data, self.l2))
        return f"{self.name}: L1d {l1_data}, L2 {l2}"


CPUS = (
    Cpu("Intel Xeon (family 6, model 207)", (49152, 12), (2097152, 16), 33554432),
    Cpu("AMD EPYC (family 25, model 17)", (32768, 8), (1048576, 16), 33554432),
)


@dataclass(frozen=True)
class Case:
    """Something that is counted: what `prepare` returns does it a number of times.

    Attributes
    ----------
    multiply_adds : int
        Of doing it once.
    times : int
        What is counted is doing it once more than this.
    """

    role: str
    width: int
    multiply_adds: int
    times: int
    prepare: Callable[[], Callable[[int], object]]


def cases(roles: Sequence[str]) -> list[Case]:
    """A layer of 1,000 or 1,024 inputs and `width` units, and a network of three layers."""
    products = [
        Case(shape.role, width, shape.flops // 2, 0, partial(product, shape))
        for pair in WIDTHS
        for n_in, width in zip(WIDTHS[0], pair, strict=True)
        for shape in shapes(BATCH, n_in, width)
    ]
    steps = []
    for width in sum(STEP_WIDTHS, ()):
        sizes = (100, width, width, 10)
        multiply_adds = training_flops(sizes, BATCH) // 2
        steps.append(Case("step", width, multiply_adds, 1, partial(training, sizes)))
    return [case for case in (*products, *steps) if case.role in roles]


def operand(*shape: int) -> Array:
    """Of ones, aligned like the buffers of a training."""
    array = aligned(int(np.prod(shape)), np.dtype(np.float32)).reshape(shape)
    array[:] = 1
    return array


def product(shape: Shape) -> Callable[[int], object]:
    a = operand(shape.k, shape.m) if shape.transpose_a else operand(shape.m, shape.k)
    b, out = operand(shape.k, shape.n), operand(shape.m, shape.n)
    return lambda n: gemm.time_multiply(out, a, b, shape.transpose_a, "own", n, **KEYWORDS)


def training(sizes: Sequence[int]) -> Callable[[int], object]:
    X, y = operand(BATCH, sizes[0]), np.arange(BATCH) % sizes[-1]
    net = Network.from_sizes(sizes, output="softmax", seed=0)
    return lambda n: net.fit(X, y, epochs=n, batch_size=BATCH, optimizer="sgd", threads=1)


def in_a_fork(action: Callable[[], object]) -> int:
    """Does it in a child, whose counts begin with those of this process; gives the child's id."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.waitpid(pid, 0)[1] != 0:
        raise ChildProcessError("a case failed")
    return pid


def run(roles: Sequence[str]) -> None:
    """Under cachegrind: does each case less and more often, each in a child, and prints their ids.

    Python starts once. Both children of a case begin with the same caches.
    """
    for case in cases(roles):
        action = case.prepare()
        pids = [in_a_fork(partial(action, n)) for n in (case.times, case.times + 1)]
        print(*pids, flush=True)


def parse(output: str) -> dict[tuple[int, str], int]:
    """Misses by process and by cache, D1 or LLd, in what cachegrind printed."""
    found = re.findall(r"^==(\d+)== (D1|LLd) +misses: +([\d,]+)", output, re.M)
    return {(int(pid), cache): int(n.replace(",", "")) for pid, cache, n in found}


def count(cpu: Cpu, roles: Sequence[str]) -> dict[tuple[str, int], tuple[float, float]]:
    """Misses of L1 and L2 per 1,000 multiply-adds, by role and width."""
    folders = (Path(fastnn.__file__).parents[1], Path(__file__).parents[1])
    result = subprocess.run(
        ["valgrind", "--tool=cachegrind", *cpu.options, "--cachegrind-out-file=/dev/null",
         sys.executable, "-P", "-m", "bench.cache", "--child", "--roles", *roles],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, folders)),
            "PYTHONHASHSEED": "0",
            "OPENBLAS_NUM_THREADS": "1",
            "FASTNN_ISA": "avx2",
            "FASTNN_CACHES": f"{cpu.l1_data[0]},{cpu.l2[0]},{cpu.l3}",
        },
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if result.returncode != 0:
        raise RuntimeError(result.stderr)
    misses = parse(result.stderr)
    counts = {}
    for case, line in zip(cases(roles), result.stdout.splitlines(), strict=True):
        fewer, more = map(int, line.split())
        l1_data, l2 = (
            1000 * (misses[more, cache] - misses[fewer, cache]) / case.multiply_adds
            for cache in ("D1", "LLd")
        )
        counts[case.role, case.width] = (l1_data, l2)
    return counts


def report(cpu: Cpu, counts: dict[tuple[str, int], tuple[float, float]]) -> list[str]:
    """Prints a table; returns what is above the bar."""
    rows: list[tuple[str, ...]] = [
        ("", "L1d first", "second", "ratio", "L2 first", "second", "ratio")
    ]
    above = []
    for role in ROLES:
        for pair in WIDTHS:
            if (role, pair[0]) not in counts:
                continue
            cells: list[str] = []
            ratios = []
            for beside, at in zip(*(counts[role, width] for width in pair), strict=True):
                ratios.append(at / beside)
                cells += [f"{beside:.3g}", f"{at:.3g}", f"{at / beside:.2f}"]
            name = f"{role} {pair[0]}, {pair[1]}"
            rows.append((name, *cells))
            if ratios[0] > BAR:
                above.append(f"{cpu.name}: {role} {pair[1]}: {ratios[0]:.2f}")
    print(f"\n{cpu}", *columns(rows), sep="\n", flush=True)
    return above


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.cache",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--roles", nargs="+", choices=ROLES, default=ROLES)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.child:
        run(options.roles)
        return 0
    print(
        "misses per 1,000 multiply-adds, AVX2, float32, one thread: products of a layer of 1000 or "
        f"1024 inputs\nand as many units as it says, {BATCH} rows; steps of 100-width-width-10, "
        f"batch {BATCH}, SGD"
    )
    above = []
    with ThreadPoolExecutor() as pool:
        for cpu, counts in zip(
            CPUS, pool.map(lambda c: count(c, options.roles), CPUS), strict=True
        ):
            above += report(cpu, counts)
    print(
        f"\nL1 misses above {BAR} times those of the width beside it:", *above or ["none"], sep="\n"
    )
    return int(bool(above))


if __name__ == "__main__":
    sys.exit(main())

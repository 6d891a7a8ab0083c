"""Are the own matrix products as fast as BLAS, in every role of a training step, at odd sizes too?

Single products in float32 on one thread, checked against float64, then timed in turn on operands
that are used again and again. Exit code 1 if BLAS is faster anywhere.
"""

import argparse
import json
import os
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import fastnn
from bench.peers.nets import LOW_SHARE
from bench.peers.process import openblas_core
from fastnn._core import gemm

Array = npt.NDArray[np.float32]

PRODUCTS = ("own", "blas")

# time_multiply(out, a, b, transpose_a, gemm, n_calls): seconds of n_calls products, one after the
# other in compiled code.
TIMER: Callable[[Array, Array, Array, bool, str, int], float] | None = getattr(
    gemm, "time_multiply", None
)

# (batch, n_in, n_out) of layers: the networks of bench.peers, odd sizes, and powers of two
LAYERS = (
    (8, 4, 16), (8, 16, 16), (8, 16, 3), (400, 2, 4),
    (32, 20, 64), (32, 64, 64), (32, 64, 2),
    (37, 81, 193), (81, 193, 37), (193, 37, 81), (46, 46, 46), (128, 46, 46), (128, 45, 47),
    (256, 54, 128), (256, 128, 64), (256, 64, 7),
    (128, 784, 128), (128, 128, 10), (32, 784, 100), (32, 100, 10), (64, 100, 100),
    (209, 12288, 20), (209, 20, 7), (256, 784, 512), (256, 512, 512), (256, 512, 10),
    (16, 16, 16), (128, 128, 128), (256, 256, 256), (1024, 1024, 1024),
    (1024, 1024, 2048), (1024, 2048, 2048), (1024, 2048, 1000),
    # rows 2, 4, 8 and 16 KiB apart, each after a width that is not
    (256, 500, 500), (256, 512, 512), (256, 1000, 1000), (256, 1024, 1024),
    (256, 2000, 2000), (256, 2048, 2048), (256, 4000, 4000), (256, 4096, 4096),
)  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """A product of a training step: c (m, n) = op(a) @ b, with inner size k."""

    role: str
    m: int
    n: int
    k: int
    transpose_a: bool = False

    @property
    def flops(self) -> int:
        return 2 * self.m * self.n * self.k

    def __str__(self) -> str:
        return f"{self.role:8} {self.m:5} {self.n:5} {self.k:5}"


def shapes(batch: int, n_in: int, n_out: int) -> tuple[Shape, Shape, Shape]:
    """The three products of a layer; weights are at hand transposed, too, when dX needs them."""
    return (
        Shape("forward", batch, n_out, n_in),
        Shape("dX", batch, n_in, n_out),
        Shape("dW", n_in, n_out, batch, transpose_a=True),
    )


def operands(shape: Shape) -> tuple[Array, Array]:
    random = np.random.default_rng(0)
    a_shape = (shape.k, shape.m) if shape.transpose_a else (shape.m, shape.k)
    a = random.standard_normal(a_shape, dtype=np.float32)
    return a, random.standard_normal((shape.k, shape.n), dtype=np.float32)


def verify(shape: Shape) -> None:
    """Compare every product with float64.

    Raises
    ------
    ArithmeticError
        If an element is off by more than (k + 1) eps times the sum of the terms' magnitudes.
    """
    a, b = operands(shape)
    op_a = (a.T if shape.transpose_a else a).astype(np.float64)
    exact, magnitudes = op_a @ b, np.abs(op_a) @ np.abs(b)
    for product in PRODUCTS:
        c = gemm.multiply(a, b, transpose_a=shape.transpose_a, gemm=product)
        off = float(np.max(np.abs(c - exact) / magnitudes))
        allowed = (shape.k + 1) * 2.0**-23
        if not off <= allowed:  # so that NaN is off
            raise ArithmeticError(f"{product}, {shape}: off by {off:.1e}, allowed is {allowed:.1e}")


@dataclass(frozen=True)
class Result:
    """Seconds a product in each round, by product, and the peak of the run in GFLOP/s."""

    shape: Shape
    rounds: dict[str, list[float]]
    peak: float

    def gflops(self, product: str) -> float:
        """Of the median round of the own product, of the best one of BLAS."""
        seconds = statistics.median if product == "own" else min
        return self.shape.flops / seconds(self.rounds[product]) / 1e9

    @property
    def ratio(self) -> float:
        """Above 1 the own product is faster."""
        return self.gflops("own") / self.gflops("blas")

    @property
    def is_low(self) -> bool:
        return self.gflops("own") / self.peak < LOW_SHARE

    @property
    def marks(self) -> str:
        low = [f"below {LOW_SHARE:.0%} of the peak"] * self.is_low
        return ", ".join(low + ["behind BLAS"] * (self.ratio < 1))

    def __str__(self) -> str:
        figures = [
            f"{self.gflops(product):8.3g} {self.gflops(product) / self.peak:7.1%}"
            for product in PRODUCTS
        ]
        own = self.rounds["own"]
        spread = (max(own) - min(own)) / statistics.median(own)
        line = f"{self.shape} {' '.join(figures)} {self.ratio:8.2f} {spread:8.0%}"
        return f"{line}  {self.marks}".rstrip()


def measure(
    timer: Callable[[Array, Array, Array, bool, str, int], float],
    shape: Shape,
    seconds: float,
    n_rounds: int,
) -> Result:
    """Time the products in turn, each about `seconds` in all."""
    a, b = operands(shape)
    out = np.empty((shape.m, shape.n), np.float32)

    def time(product: str, n_calls: int) -> float:
        return timer(out, a, b, shape.transpose_a, product, n_calls) / n_calls

    n_calls = {}
    for product in PRODUCTS:
        n = 1
        while (took := time(product, n)) * n < seconds / n_rounds / 4:
            n *= 4
        n_calls[product] = max(1, round(seconds / n_rounds / took))
    rounds: dict[str, list[float]] = {product: [] for product in PRODUCTS}
    peak = 0.0
    for _ in range(n_rounds):
        peak = max(peak, fastnn.config.fma_peak(0.02))
        for product in PRODUCTS:
            rounds[product].append(time(product, n_calls[product]))
    return Result(shape, rounds, peak)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.kernels", description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.2, help="to time each product")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="small products only, hardly timed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round as JSON")
    options = parser.parse_args(argv)
    layers = [layer for layer in LAYERS if not options.quick or max(layer) <= 256]
    grid = list(dict.fromkeys(shape for layer in layers for shape in shapes(*layer)))
    seconds, n_rounds = (0.001, 2) if options.quick else (options.seconds, options.rounds)

    os.environ.update(openblas_core())  # read when the BLAS is loaded
    fastnn.show_config()
    print(f"FMA peak {fastnn.config.fma_peak():.0f} GFLOP/s, float32")
    for shape in grid:
        verify(shape)
    print(f"{len(grid)} products agree with float64")
    if TIMER is None:
        print("nothing is timed: this build has no fastnn._core.gemm.time_multiply")
        return 0

    print("GFLOP/s and share of the peak: own (median of the rounds), BLAS (best round)")
    print(
        f"{'role':8} {'m':>5} {'n':>5} {'k':>5} {'own':>16} {'BLAS':>16} {'ratio':>8} {'spread':>8}"
    )
    results = []
    for shape in grid:
        results.append(measure(TIMER, shape, seconds, n_rounds))
        print(results[-1], flush=True)
    lost = [result for result in results if result.ratio < 1]
    low = sum(result.is_low for result in results)
    print(f"the own product is ahead at {len(results) - len(lost)} of {len(results)}")
    print(f"it is below {LOW_SHARE:.0%} of the peak at {low} of {len(results)}")
    for result in lost:
        print(f"BLAS is ahead: {result.shape}, {1 / result.ratio:.2f} times as fast")
    if options.json is not None:
        document: dict[str, Any] = {
            "configuration": fastnn.config.configuration(),
            "products": [asdict(result) for result in results],
        }
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return int(bool(lost) and not options.quick)


if __name__ == "__main__":
    sys.exit(main())

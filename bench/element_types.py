"""Samples of bytes and of half precision beside float32: speed of a step, and memory.

The network is 784-128-10 on 60,000 samples, in mini-batches of 128, with Adam. Bytes and halves
go through a `Rescale`, float32 was rescaled beforehand. Each round trains an epoch of each in turn.
The memory is what a process of its own has more of, once it has its samples and has trained on
them: resident size at the peak, minus that before.

    python -m bench.element_types [--rounds 9]

Exit status 1 where bytes are slower than float32 by more than the spread of the rounds, or take
more than 0.3 of its memory.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from typing import Any

import numpy as np

from bench.memory import peak_mib
from fastnn import Dense, Network, Rescale
from fastnn.timing import columns

TYPES = ("float32", "float16", "uint8", "int8")
SHAPE = (60_000, 784)
MEMORY_BAR = 0.3
SEED = 0


def network(dtype: str) -> Network:
    layers = [Dense(128, "relu"), Dense(10, "softmax")]
    first = [] if dtype == "float32" else [Rescale(1 / 127)]
    return Network([*first, *layers], n_features=SHAPE[1], seed=SEED)


def samples(dtype: str) -> Any:
    """Numbers from 0 to 127, as that type, without copies of all of them on the way."""
    random = np.random.default_rng(SEED)
    X = np.empty(SHAPE, dtype)
    for rows in np.array_split(X, 100):
        rows[...] = random.integers(0, 128, rows.shape, np.uint8)
        if dtype == "float32":
            rows /= 127
    return X


def measure_memory(dtype: str) -> None:
    y = np.random.default_rng(SEED).integers(0, 10, SHAPE[0])
    net = network(dtype)
    net.fit(np.zeros((256, SHAPE[1]), dtype), y[:256], epochs=1)
    before = peak_mib()
    net.fit(samples(dtype), y, epochs=1)
    print(peak_mib() - before)


def memory_of(dtype: str) -> float:
    """MiB that a process of its own needs for samples of that type and for training on them."""
    child = subprocess.run(
        [sys.executable, "-m", "bench.element_types", "--memory-of", dtype],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(child.stdout)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.element_types")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--memory-of", choices=TYPES, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.memory_of:
        measure_memory(options.memory_of)
        return 0
    # First: Linux counts what this process had at its peak as the children's too
    memory = {dtype: memory_of(dtype) for dtype in TYPES}
    y = np.random.default_rng(SEED).integers(0, 10, SHAPE[0])
    contestants = [(dtype, network(dtype), samples(dtype)) for dtype in TYPES]
    seconds: dict[str, list[float]] = {dtype: [] for dtype in TYPES}
    for i in range(options.rounds + 1):
        for dtype, net, X in contestants:
            begin = time.perf_counter()
            net.fit(X, y, epochs=1)
            if i > 0:  # the first one is the warm-up
                seconds[dtype].append(time.perf_counter() - begin)
    rows: list[tuple[str, ...]] = [("", "ms an epoch", "to float32", "from", "to", "MiB")]
    ratios = {}
    for dtype in TYPES:
        of_rounds = sorted(s / f for s, f in zip(seconds[dtype], seconds["float32"], strict=True))
        ratios[dtype] = statistics.median(of_rounds)
        milliseconds = 1e3 * statistics.median(seconds[dtype])
        figures = (milliseconds, ratios[dtype], of_rounds[0], of_rounds[-1], memory[dtype])
        rows.append((dtype, *(f"{x:.2f}" if x < 10 else f"{x:.0f}" for x in figures)))
    print("\n".join(columns(rows)))
    fastest, slowest = min(seconds["float32"]), max(seconds["float32"])
    share = memory["uint8"] / memory["float32"]
    print(f"uint8: {ratios['uint8']:.3f} times the time of float32, {share:.2f} of its memory")
    return int(ratios["uint8"] > slowest / fastest or share > MEMORY_BAR)


if __name__ == "__main__":
    sys.exit(main())

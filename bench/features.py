"""What the features of training cost: 784-128-10, mini-batches of 128, Adam, one thread.

    python -m bench.features [--rounds N] [--seconds S] [--threads N] [--pytorch]

Each line is a network with one feature more than the plain one, or with all of them, and the time
of its step divided by that of the plain one; both are timed in turn, and the medians of the
rounds are compared.
With --pytorch, the same network with all features in PyTorch (fused Adam; with and without
torch.compile of the cost), against ours: the best of theirs, the median of ours.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn import BatchNorm, CosineDecay, Dense, Dropout, Network

N_SAMPLES, BATCH, N_IN, N_HIDDEN, N_OUT = 12_800, 128, 784, 128, 10
STEPS = N_SAMPLES // BATCH
RATE, L2, NORM, DROPOUT = 1e-3, 0.01, 1.0, 0.2

RNG = np.random.default_rng(0)
X = RNG.random((N_SAMPLES, N_IN), np.float32)
Y = RNG.integers(0, N_OUT, N_SAMPLES)
WEIGHTS = RNG.uniform(0.5, 1.5, N_SAMPLES).astype(np.float32)

Layers = list[Any]
HIDDEN, OUTPUT = Dense(N_HIDDEN, "relu"), Dense(N_OUT, "softmax")
COSINE = CosineDecay(RATE, epochs=1_000_000)

FEATURES: dict[str, tuple[Layers, dict[str, Any]]] = {
    "plain": ([HIDDEN, OUTPUT], {}),
    "dropout": ([HIDDEN, Dropout(DROPOUT), OUTPUT], {}),
    "batch norm": ([HIDDEN, BatchNorm(), OUTPUT], {}),
    "l2": ([HIDDEN, OUTPUT], {"l2": L2}),
    "clip_norm": ([HIDDEN, OUTPUT], {"clip_norm": NORM}),
    "sample weights": ([HIDDEN, OUTPUT], {"sample_weight": WEIGHTS}),
    "cosine": ([HIDDEN, OUTPUT], {"learning_rate": COSINE}),
    "ema": ([HIDDEN, OUTPUT], {"ema": 0.999}),
    "all but ema": (
        [HIDDEN, BatchNorm(), Dropout(DROPOUT), OUTPUT],
        {"l2": L2, "clip_norm": NORM, "sample_weight": WEIGHTS, "learning_rate": COSINE},
    ),
}


def fastnn_epoch(name: str, threads: int) -> Callable[[], None]:
    layers, options = FEATURES[name]
    net = Network(layers, n_features=N_IN, seed=0)
    return lambda: net.fit(X, Y, epochs=1, batch_size=BATCH, threads=threads, **options) and None


# Whether its cost is compiled.
PYTORCH = {"PyTorch, all but ema": False, "PyTorch, compiled": True}


def pytorch_epoch(threads: int, is_compiled: bool) -> Callable[[], None]:
    """All features but ema: written as its users write it, with what is fused there."""
    import torch
    from torch import nn
    from torch.nn import functional

    torch.set_num_threads(threads)
    net = nn.Sequential(
        nn.Linear(N_IN, N_HIDDEN),
        nn.ReLU(),
        nn.BatchNorm1d(N_HIDDEN),
        nn.Dropout(DROPOUT),
        nn.Linear(N_HIDDEN, N_OUT),
    )
    weights = [p for p in net.parameters() if p.ndim == 2]
    optimizer = torch.optim.Adam(net.parameters(), RATE, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 1_000_000 * STEPS)
    x, y, w = torch.from_numpy(X), torch.from_numpy(Y), torch.from_numpy(WEIGHTS)

    def cost(x: Any, y: Any, w: Any) -> Any:
        losses = functional.cross_entropy(net(x), y, reduction="none")
        penalty = sum((p * p).sum() for p in weights) * (L2 / 2 / BATCH)
        return (losses * w).sum() / w.sum() + penalty

    of_batch = torch.compile(cost) if is_compiled else cost

    def epoch() -> None:
        for rows in torch.randperm(N_SAMPLES).split(BATCH):
            loss = of_batch(x[rows], y[rows], w[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), NORM, foreach=True)
            optimizer.step()
            schedule.step()

    return epoch


def microseconds(epoch: Callable[[], None], seconds: float) -> float:
    """Of a step: the best epoch in that time."""
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        epoch()
        best = min(best, time.perf_counter() - start)
    return best / STEPS * 1e6


def processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":")[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pytorch", action="store_true")
    options = parser.parse_args()
    epochs = {name: fastnn_epoch(name, options.threads) for name in FEATURES}
    if options.pytorch:
        for name, is_compiled in PYTORCH.items():
            epochs[name] = pytorch_epoch(options.threads, is_compiled)
    times: dict[str, list[float]] = {name: [] for name in epochs}
    for epoch in epochs.values():
        epoch()
    for _ in range(options.rounds):
        for name, epoch in epochs.items():
            times[name].append(microseconds(epoch, options.seconds))
    plain = times["plain"]
    print(
        f"{processor()}, {options.threads} thread(s): microseconds a step, and times the plain one"
    )
    for name, own in times.items():
        ratios = [a / b for a, b in zip(own, plain, strict=True)]
        print(f"{name:22} {statistics.median(own):8.1f}   {statistics.median(ratios):6.2f}"
              f"   ({min(ratios):.2f} to {max(ratios):.2f})")  # fmt: skip
    if options.pytorch:
        ours = statistics.median(times["all but ema"])
        print(
            "PyTorch's best against our median: "
            f"{min(min(times[name]) for name in PYTORCH) / ours:.2f}x"
        )


if __name__ == "__main__":
    main()

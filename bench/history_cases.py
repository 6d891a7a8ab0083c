"""What `bench.history` times in a process of one version: a file of its own, run by its path.

It needs no more than NumPy and what version 0.1 has, so that old versions run it.
"""

import json
import sys
from timeit import repeat

import numpy as np

from fastnn import Network

# sizes, samples of the data, batch size (None: all), optimiser, epochs of a run
TRAININGS = {
    "2-4-1": ([2, 4, 1], 400, None, "sgd", 4000),
    "4-16-16-3": ([4, 16, 16, 3], 800, 8, "adam", 300),
    "20-64-64-2": ([20, 64, 64, 2], 3200, 32, "adam", 60),
    "54-128-64-7": ([54, 128, 64, 7], 2560, 256, "adam", 60),
    "784-128-10": ([784, 128, 10], 1280, 128, "adam", 60),
    "784-512-512-10": ([784, 512, 512, 10], 1280, 256, "adam", 8),
    "1024-2048-2048-1000": ([1024, 2048, 2048, 1000], 1024, 1024, "adam", 2),
}
PREDICTIONS = {"one row of 4-16-16-3": [4, 16, 16, 3], "one row of 784-128-10": [784, 128, 10]}


def network(sizes: list[int]) -> Network:
    return Network.from_sizes(sizes, output="softmax" if sizes[-1] > 1 else "sigmoid", seed=0)


def training(name: str, threads: int) -> list[float]:
    """Seconds a mini-batch, in five runs behind one to warm up."""
    sizes, n, batch_size, optimizer, epochs = TRAININGS[name]
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, sizes[0])).astype(np.float32)
    y = rng.integers(0, max(2, sizes[-1]), n)
    net = network(sizes)

    def run() -> None:
        net.fit(
            X,
            y,
            epochs=epochs,
            batch_size=batch_size,
            optimizer=optimizer,
            learning_rate=1e-4,
            threads=threads,
        )

    run()
    steps = epochs * -(-n // (batch_size or n))
    return [seconds / steps for seconds in repeat(run, number=1, repeat=5)]


def prediction(name: str) -> list[float]:
    """Seconds a call, in five runs behind one to warm up."""
    sizes = PREDICTIONS[name]
    x = np.ones((1, sizes[0]), np.float32)
    predict, n = network(sizes).predictor(), 100_000 // sizes[0]
    return [seconds / n for seconds in repeat(lambda: predict(x), number=n, repeat=6)[1:]]


if __name__ == "__main__":
    case, threads = sys.argv[1], int(sys.argv[2])
    print(json.dumps(training(case, threads) if case in TRAININGS else prediction(case)))

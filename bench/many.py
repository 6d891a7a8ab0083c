"""20 networks in one call, on two threads, beside other ways to train the same 20.

The networks are 20-64-64-2 (ReLU, softmax) from 20 seeds, on 20,000 rows of 20 columns in float32,
by Adam. Four ways are timed in turn, each round:

- one after the other, by ``net.fit`` on one thread;
- ``fastnn.fit_many`` on two threads;
- scikit-learn's ``GridSearchCV(n_jobs=2)`` over 20 values of ``random_state``, with one split whose
  training rows are all, and 100 rows to score; its workers are there already;
- JAX: ``vmap`` over the networks, ``lax.scan`` over the mini-batches of an epoch, and over the
  epochs, compiled before; all networks take the samples in the same order, which spares it 19 of 20
  gathers.

The best round of the others counts, and the median of fastnn's. A library that is not installed is
left out. The exit status is 1 where a bar is missed: 1.85 times one after the other, 10 times
`GridSearchCV`, 3 times JAX.

    python -m bench.many [--rounds 5] [--rows 20000] [--epochs 10] [--batch-size 32]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from fastnn import Network, fit_many
from fastnn.config import configuration
from fastnn.timing import PAUSE_SECONDS

N_NETWORKS, N_FEATURES, UNITS = 20, 20, (64, 64, 2)
THREADS = 2
LEARNING_RATE = 1e-3
ALONE, TOGETHER = "fastnn, one after the other", "fastnn.fit_many"
GRID, JAX = "GridSearchCV(n_jobs=2)", "JAX, vmap and scan"
BARS = {ALONE: 1.85, GRID: 10.0, JAX: 3.0}

#: Trains all networks; returns the mean of their last losses.
Way = Callable[[], float]


def make_data(n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, N_FEATURES)).astype(np.float32)
    return X, (X[:, 0] * X[:, 1] + X[:, 2] > 0).astype(np.int64)


def ours(X: Any, y: Any, epochs: int, batch_size: int, together: bool) -> Way:
    options: dict[str, Any] = {"epochs": epochs, "batch_size": batch_size, "optimizer": "adam"}

    def train() -> float:
        networks = [
            Network.from_sizes([N_FEATURES, *UNITS], output="softmax", seed=i)
            for i in range(N_NETWORKS)
        ]
        if together:
            histories = fit_many(networks, X, y, threads=THREADS, **options)
        else:
            histories = [net.fit(X, y, threads=1, **options) for net in networks]
        return statistics.mean(history["loss"][-1] for history in histories)

    return train


def grid_search(X: Any, y: Any, epochs: int, batch_size: int) -> Way:
    from sklearn.model_selection import GridSearchCV
    from sklearn.neural_network import MLPClassifier

    mlp = MLPClassifier(
        UNITS[:-1],
        alpha=0.0,
        batch_size=batch_size,
        learning_rate_init=LEARNING_RATE,
        max_iter=epochs,
        n_iter_no_change=epochs + 1,
    )
    split = [(np.arange(len(X)), np.arange(100))]

    def train() -> float:
        grid = {"random_state": list(range(N_NETWORKS))}
        search = GridSearchCV(mlp, grid, cv=split, n_jobs=THREADS, refit=False, scoring=_loss)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it has not converged
            search.fit(X, y)
        return -float(search.cv_results_["mean_test_score"].mean())

    return train


def _loss(estimator: Any, X: Any, y: Any) -> float:
    return -float(estimator.loss_)


def with_jax(X: Any, y: Any, epochs: int, batch_size: int) -> Way:
    import jax
    from jax import numpy as jnp

    n_steps = -(-len(X) // batch_size)
    data, labels = jnp.asarray(X), jnp.asarray(y)

    def first(key: Any) -> Any:
        widths = [N_FEATURES, *UNITS]
        keys = jax.random.split(key, len(UNITS))
        return [
            (jax.random.normal(k, (a, b)) * jnp.sqrt(2 / a), jnp.zeros(b))
            for k, a, b in zip(keys, widths, widths[1:], strict=False)
        ]

    def cost(parameters: Any, rows: Any, targets: Any) -> Any:
        for weights, bias in parameters[:-1]:
            rows = jax.nn.relu(rows @ weights + bias)
        weights, bias = parameters[-1]
        logits = jax.nn.log_softmax(rows @ weights + bias)
        return -jnp.mean(jnp.take_along_axis(logits, targets[:, None], axis=1))

    def step(state: Any, batch: Any) -> Any:
        parameters, m, v, t = state
        loss, gradient = jax.value_and_grad(cost)(parameters, *batch)
        t = t + 1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, gradient)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, gradient)
        rate = LEARNING_RATE * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        parameters = jax.tree.map(
            lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-8), parameters, m, v
        )
        return (parameters, m, v, t), loss

    of_all = jax.vmap(step, in_axes=((0, 0, 0, None), None), out_axes=((0, 0, 0, None), 0))

    def epoch(state: Any, key: Any) -> Any:
        order = jax.random.permutation(key, len(X))
        order = jnp.resize(order, n_steps * batch_size).reshape(n_steps, batch_size)
        return jax.lax.scan(lambda s, rows: of_all(s, (data[rows], labels[rows])), state, order)

    @jax.jit
    def run(key: Any) -> Any:
        parameters = jax.vmap(first)(jax.random.split(key, N_NETWORKS))
        zeros = jax.tree.map(jnp.zeros_like, parameters)
        _, losses = jax.lax.scan(
            epoch, (parameters, zeros, zeros, 0.0), jax.random.split(key, epochs)
        )
        return losses[-1].mean()

    return lambda: float(run(jax.random.key(0)))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.many")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=32)
    options = parser.parse_args(arguments)
    task = (*make_data(options.rows), options.epochs, options.batch_size)
    ways = {ALONE: ours(*task, together=False), TOGETHER: ours(*task, together=True)}
    if find_spec("sklearn"):
        ways[GRID] = grid_search(*task)
    if find_spec("jax"):
        ways[JAX] = with_jax(*task)
    print(f"{configuration()['CPU']}; {options}")
    losses = {name: train() for name, train in ways.items()}  # compiled, workers started
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, train in ways.items():
            time.sleep(PAUSE_SECONDS)
            begin = time.perf_counter()
            train()
            seconds[name].append(time.perf_counter() - begin)
    own = statistics.median(seconds[TOGETHER])
    missed = []
    print(f"{'':30}{'last loss':>10}{'seconds':>9}{'spread':>8}{'fit_many':>10}{'bar':>6}")
    for name, each in seconds.items():
        is_ours = name in (ALONE, TOGETHER)
        taken = statistics.median(each) if is_ours else min(each)
        spread = (max(each) - min(each)) / taken
        line = f"{name:30}{losses[name]:>10.4f}{taken:>9.3f}{spread:>8.0%}"
        if name in BARS:
            line += f"{taken / own:>9.2f}x{BARS[name]:>6g}"
            if taken / own < BARS[name]:
                missed.append(name)
        print(line)
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())

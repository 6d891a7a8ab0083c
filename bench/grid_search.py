"""`GridSearchCV` with two workers beside one: how many times as fast it is in wall time.

Each round times the same search four times, one after the other:

- ``n_jobs=1``, as a user writes it: each fit may take as many threads as it likes;
- ``n_jobs=1`` of estimators of one thread: how much the threads of the first one are worth;
- ``n_jobs=2``, cold: joblib starts its workers, which import scikit-learn and fastnn;
- ``n_jobs=2``, warm: the workers are there, as in the second search of a program.

A worker takes one thread without being told, which is checked by the CPU time of a fit. The grid
has 12 candidates, 24 fits, of 0.5 to 1.3 CPU seconds on one thread of an AMD EPYC: one hidden
layer of 16 to 64 units, 20 columns, mini-batches of 200, in float64.

    python -m bench.grid_search [--rounds 5] [--rows 60000] [--epochs 200]

The exit status is 1 where the median of the rounds is below 1.7 times, cold or warm. Larger
networks gain less, as ``n_jobs=1`` trains them on both CPUs already.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings
from typing import Any

import numpy as np
from joblib.externals.loky import get_reusable_executor
from sklearn.datasets import make_classification
from sklearn.model_selection import GridSearchCV

from fastnn.sklearn import MLPClassifier

BAR = 1.7
GRID = {
    "hidden_layer_sizes": [(16,), (32,), (64,)],
    "alpha": [1e-5, 1e-2],
    "learning_rate_init": [1e-3, 3e-3],
}


def busy_cpus(estimator: Any, X: Any, y: Any) -> float:
    """A score: CPU seconds of another such fit by its wall time."""
    begin, cpu = time.perf_counter(), time.process_time()
    estimator.fit(X, y)
    return (time.process_time() - cpu) / (time.perf_counter() - begin)


def seconds_of(search: GridSearchCV, X: Any, y: Any) -> float:
    begin = time.perf_counter()
    search.fit(X, y)
    return time.perf_counter() - begin


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.grid_search")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--epochs", type=int, default=200)
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    X, y = make_classification(options.rows, 20, n_informative=10, random_state=0)
    # The same work for all candidates: none ends before the last epoch
    rules = {"max_iter": options.epochs, "n_iter_no_change": np.inf, "random_state": 0}

    def search(n_workers: int, n_threads: int | None = None) -> GridSearchCV:
        estimator = MLPClassifier(**rules, n_jobs=n_threads)
        return GridSearchCV(estimator, GRID, cv=2, n_jobs=n_workers, refit=False)

    def end_workers() -> None:
        get_reusable_executor(max_workers=2).shutdown(wait=True)

    names = ["n_jobs=1", "one thread", "cold", "warm"]
    print("round  " + "".join(f"{name:>12}" for name in names) + "   seconds; times as fast")
    rounds = []
    for i in range(options.rounds):
        one = seconds_of(search(1), X, y)
        one_thread = seconds_of(search(1, n_threads=1), X, y)
        end_workers()
        cold = seconds_of(search(2), X, y)
        warm = seconds_of(search(2), X, y)
        rounds.append((one, one_thread, cold, warm))
        row = "".join(f"{seconds:12.2f}" for seconds in rounds[-1])
        print(f"{i + 1:<7}{row}   cold {one / cold:.2f}, warm {one / warm:.2f}", flush=True)
    missed = False
    for name, of_round in [
        ("cold", [one / cold for one, _, cold, _ in rounds]),
        ("warm", [one / warm for one, _, _, warm in rounds]),
        ("two threads in n_jobs=1", [one_thread / one for one, one_thread, _, _ in rounds]),
    ]:
        median = statistics.median(of_round)
        print(f"{name}: {median:.2f} times ({min(of_round):.2f} to {max(of_round):.2f})")
        missed |= name in ("cold", "warm") and median < BAR
    busy = GridSearchCV(
        MLPClassifier(**rules), GRID, cv=2, n_jobs=2, refit=False, scoring=busy_cpus
    ).fit(X, y)
    most = busy.cv_results_["mean_test_score"].max()
    print(f"a fit in a worker keeps {most:.2f} CPUs busy at most; the bar is {BAR} times as fast")
    end_workers()
    return int(missed or most > 1.1)


if __name__ == "__main__":
    sys.exit(main())

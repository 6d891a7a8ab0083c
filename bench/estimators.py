"""`fastnn.sklearn` beside scikit-learn's MLPs: cross-validated scores, times of fit and predict.

Both have their defaults, the same folds, and columns scaled by a `StandardScaler`. For each table,
on 5 seeds (of folds and estimators): the mean score of each, and the mean and the standard
deviation of the difference; the time of all fits, and of the prediction of one row, and how many
times as long scikit-learn takes.

    python -m bench.estimators [--tables wine,digits] [--seeds 5] [--dtype float32]

`--dtype` is that of ours, scikit-learn's is that of the tables, float64.

The exit status is 1 where a difference is beyond noise (below minus two standard errors), `fit` is
less than 8 times as fast at 20 to 100 columns, or `predict` of one row less than 20 times.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from sklearn import datasets, neural_network
from sklearn.model_selection import KFold, StratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastnn.sklearn

FIT_BAR, FIT_COLUMNS, PREDICT_BAR = 8.0, range(20, 101), 20.0


def mixed_table(n_rows: int = 20_000) -> tuple[Any, Any]:
    """Numbers, of which some are skewed, and two categories of 8 levels: 28 columns, 3 classes."""
    random = np.random.default_rng(7)
    numbers = random.standard_normal((n_rows, 12))
    numbers[:, 8:] = np.exp(numbers[:, 8:])
    levels = random.integers(0, 8, (n_rows, 2))
    effects = random.standard_normal((2, 8))
    score = (
        np.sin(2 * numbers[:, 0])
        + numbers[:, 1] * numbers[:, 2]
        + np.log(numbers[:, 8])
        + effects[0, levels[:, 0]] * numbers[:, 3]
        + effects[1, levels[:, 1]]
        + 0.5 * random.standard_normal(n_rows)
    )
    X = np.hstack([numbers, np.eye(8)[levels[:, 0]], np.eye(8)[levels[:, 1]]])
    return X, np.digitize(score, np.quantile(score, [0.3, 0.7]))


class Table(NamedTuple):
    """A table: how it is made, the estimators for it, and the number of folds."""

    load: Callable[[], tuple[Any, Any]]
    estimator: str
    n_folds: int = 3


def _bundled(load: Callable[..., Any]) -> Callable[[], tuple[Any, Any]]:
    return lambda: load(return_X_y=True)


TABLES = {
    "digits": Table(_bundled(datasets.load_digits), "MLPClassifier"),
    "breast cancer": Table(_bundled(datasets.load_breast_cancer), "MLPClassifier"),
    "wine": Table(_bundled(datasets.load_wine), "MLPClassifier"),
    "diabetes": Table(_bundled(datasets.load_diabetes), "MLPRegressor"),
    "mixed": Table(mixed_table, "MLPClassifier", 2),
}


class Outcome(NamedTuple):
    """Of one kind of estimator on one table: a score a seed; seconds and epochs of all fits."""

    scores: list[float]
    seconds: float
    n_epochs: int


def cross_validated(make: Callable[..., Any], X: Any, y: Any, n_folds: int, seed: int) -> Outcome:
    """One seed."""
    estimator = make(random_state=seed)
    is_classifier = hasattr(estimator, "predict_proba")
    folds = (StratifiedKFold if is_classifier else KFold)(n_folds, shuffle=True, random_state=seed)
    pipeline = make_pipeline(StandardScaler(), estimator)
    result = cross_validate(pipeline, X, y, cv=folds, return_estimator=True)
    n_epochs = sum(fitted[-1].n_iter_ for fitted in result["estimator"])
    return Outcome([float(result["test_score"].mean())], result["fit_time"].sum(), n_epochs)


def seconds_of_a_row(estimator: Any, row: Any, n_calls: int = 100, n_rounds: int = 20) -> float:
    """Of `predict`, the best round."""
    best = np.inf
    for _ in range(n_rounds):
        begin = time.perf_counter()
        for _ in range(n_calls):
            estimator.predict(row)
        best = min(best, (time.perf_counter() - begin) / n_calls)
    return float(best)


def compare(name: str, n_seeds: int, dtype: str | None) -> list[str]:
    """Prints a line of the table; returns what misses its bar."""
    table = TABLES[name]
    X, y = table.load()
    makers = [
        partial(getattr(fastnn.sklearn, table.estimator), dtype=dtype),
        getattr(neural_network, table.estimator),
    ]
    found = [Outcome([], 0.0, 0), Outcome([], 0.0, 0)]
    for seed in range(n_seeds):
        for i, make in enumerate(makers):
            one = cross_validated(make, X, y, table.n_folds, seed)
            found[i] = Outcome(*(a + b for a, b in zip(found[i], one, strict=True)))
    ours, theirs = found
    difference = np.subtract(ours.scores, theirs.scores)
    spread = float(difference.std(ddof=1)) if n_seeds > 1 else float("nan")
    fitted = [make(max_iter=3).fit(X, y) for make in makers]
    rows = [seconds_of_a_row(one, X[:1]) for one in fitted]
    faster, row_faster = theirs.seconds / ours.seconds, rows[1] / rows[0]
    print(
        f"{name:14}{X.shape[0]:>7}{X.shape[1]:>5}{np.mean(ours.scores):>9.4f}"
        f"{np.mean(theirs.scores):>9.4f}{difference.mean():>+9.4f}{spread:>8.4f}"
        f"{ours.n_epochs:>8}{theirs.n_epochs:>8}{ours.seconds:>8.2f}{theirs.seconds:>8.2f}"
        f"{faster:>7.1f}{rows[0] * 1e6:>8.1f}{rows[1] * 1e6:>8.1f}{row_faster:>7.1f}",
        flush=True,
    )
    missed = []
    if difference.mean() < -2 * spread / np.sqrt(n_seeds):
        missed.append(f"{name}: the score is {difference.mean():+.4f} from scikit-learn's")
    if X.shape[1] in FIT_COLUMNS and faster < FIT_BAR:
        missed.append(f"{name}: fit is {faster:.1f} times as fast; the bar is {FIT_BAR:g}")
    if row_faster < PREDICT_BAR:
        missed.append(
            f"{name}: predict of one row is {row_faster:.1f} times as fast; the bar is "
            f"{PREDICT_BAR:g}"
        )
    return missed


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.estimators")
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--dtype", choices=["float32", "float64"])
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    columns = "score theirs differ. spread epochs theirs fit/s theirs faster row/us theirs faster"
    widths = [9, 9, 9, 8, 8, 8, 8, 8, 7, 8, 8, 7]
    names = zip(columns.split(), widths, strict=True)
    print(f"{'table':14}{'rows':>7}{'cols':>5}" + "".join(f"{n:>{w}}" for n, w in names))
    missed = [
        line
        for name in options.tables.split(",")
        for line in compare(name, options.seeds, options.dtype)
    ]
    print(*missed, sep="\n", end="\n" * bool(missed))
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())

"""How good is the recipe for tables, untuned, beside trees and scikit-learn's network, untuned too?

    python -m bench.tables             # needs scikit-learn and pandas; an hour on two cores
    python -m bench.tables --quick     # 2 splits, a quarter of the rows
    python -m bench.tables --tables steps iris --members 8

Generated tables, and those that scikit-learn brings. Each split trains on four fifths of the rows
and tests on the others, the same ones for everybody. The score is R2 for numbers, the area under
the ROC curve for two classes, the accuracy for more. Somebody is ahead where the difference, split
by split, is beyond the corrected resampled t-test of Nadeau and Bengio at 5 %.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastnn.tabular import TabularModel

Array = npt.NDArray[Any]

# Two-sided 5 % of Student's t for 1, 2, ... degrees of freedom
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


class Table(NamedTuple):
    """A table: columns by name, the target, and whether that is a class."""

    columns: dict[str, Array]
    y: Array
    is_class: bool


Generator = Callable[[np.random.Generator, int], Table]


def named(X: Array, **more: Array) -> dict[str, Array]:
    return {f"n{i}": X[:, i] for i in range(X.shape[1])} | more


def classes(rng: np.random.Generator, logits: Array) -> Array:
    return (rng.random(len(logits)) < 1 / (1 + np.exp(-logits))).astype(np.int64)


def smooth(rng: np.random.Generator, n: int) -> Table:
    """A smooth function of five columns among eight."""
    X = rng.random((n, 8))
    y = 10 * np.sin(np.pi * X[:, 0] * X[:, 1]) + 20 * (X[:, 2] - 0.5) ** 2
    y += 10 * X[:, 3] + 5 * X[:, 4] + rng.standard_normal(n)
    return Table(named(X), y, False)


def steps(rng: np.random.Generator, n: int) -> Table:
    """Jumps along the axes, alone and in pairs."""
    X = rng.standard_normal((n, 10))
    y = np.zeros(n)
    for _ in range(12):
        i, j = rng.integers(0, 10, 2)
        a, b = rng.uniform(-1, 1, 2)
        y += rng.normal() * (X[:, i] > a) + rng.normal() * ((X[:, i] > a) & (X[:, j] > b))
    return Table(named(X), y + 0.5 * rng.standard_normal(n), False)


def additive(rng: np.random.Generator, n: int) -> Table:
    """Two classes; a sum of a curve a column, with heavy tails and missing values."""
    X = rng.standard_normal((n, 20)) * np.exp(0.5 * rng.standard_normal((n, 20)))
    logits = sum(
        rng.normal() * np.sin(rng.uniform(0.5, 3) * X[:, i] + rng.uniform(0, 3)) for i in range(20)
    )
    X[rng.random(X.shape) < 0.05] = np.nan
    return Table(named(X), classes(rng, 1.5 * np.asarray(logits)), True)


def interactions(rng: np.random.Generator, n: int) -> Table:
    """Two classes; products of pairs of columns."""
    X = rng.standard_normal((n, 10))
    logits = X[:, 0] * X[:, 1] + X[:, 2] * X[:, 3] - X[:, 4] * np.abs(X[:, 5]) + X[:, 6]
    return Table(named(X), classes(rng, 1.5 * logits), True)


def spikes(rng: np.random.Generator, n: int) -> Table:
    """Skewed columns; what counts is in rare narrow ranges."""
    X = np.exp(rng.standard_normal((n, 8)))
    y = np.log(X[:, 0]) + 0.5 * np.sqrt(X[:, 1])
    for i in range(6):
        low = np.quantile(X[:, i], rng.uniform(0.5, 0.97))
        y += rng.normal(0, 4) * ((X[:, i] > low) & (X[:, i] < 1.1 * low))
    return Table(named(X), y + 0.3 * rng.standard_normal(n), False)


def categories(rng: np.random.Generator, n: int) -> Table:
    """Categories of 5 to 1,000 levels beside numbers."""
    X = rng.standard_normal((n, 6))
    y = X[:, 0] + np.abs(X[:, 1])
    more = {}
    for name, n_levels in (("shop", 1000), ("town", 60), ("brand", 20), ("colour", 5)):
        shares = 1 / np.arange(1, n_levels + 1) ** 0.7
        codes = rng.choice(n_levels, n, p=shares / shares.sum())
        slopes = rng.standard_normal(n_levels) * (n_levels < 100)
        y += rng.standard_normal(n_levels)[codes] + 0.5 * slopes[codes] * X[:, 2]
        more[name] = np.array([f"{name} {code}" for code in codes], object)
    return Table(named(X, **more), y + rng.standard_normal(n), False)


def useless(rng: np.random.Generator, n: int) -> Table:
    """Three classes from five columns among forty."""
    X = rng.standard_normal((n, 40))
    centers = rng.standard_normal((12, 5)) * 1.5
    distances = ((X[:, None, :5] - centers) ** 2).sum(axis=2) + 0.3 * rng.gumbel(size=(n, 12))
    return Table(named(X), distances.argmin(axis=1) % 3, True)


def mixed(rng: np.random.Generator, n: int) -> Table:
    """Two classes; numbers, yes/no, categories, rounded and skewed columns."""
    X = rng.standard_normal((n, 6))
    age, income = np.round(18 + 60 * rng.random(n)), np.exp(10 + 0.7 * X[:, 0])
    member = rng.random(n) < 0.3
    region = rng.integers(0, 12, n)
    logits = 2 * (age > 40) * (income > 30_000) - 1.5 * member * X[:, 1] + 0.5 * X[:, 2]
    logits += rng.standard_normal(12)[region] + np.cos(age / 8) - 1
    more = {"age": age, "income": np.round(income, -2), "member": member}
    more["region"] = np.array([f"region {i}" for i in region], object)
    return Table(named(X[:, 1:], **more), classes(rng, logits), True)


GENERATED: dict[str, tuple[Generator, int]] = {
    "smooth": (smooth, 20_000),
    "steps": (steps, 20_000),
    "additive": (additive, 10_000),
    "interactions": (interactions, 20_000),
    "spikes": (spikes, 50_000),
    "categories": (categories, 20_000),
    "useless": (useless, 5_000),
    "mixed": (mixed, 20_000),
}
BUNDLED = ("breast_cancer", "wine", "digits", "diabetes", "iris")


def bundled(name: str) -> Table:
    """A table that scikit-learn brings."""
    import sklearn.datasets

    data = getattr(sklearn.datasets, f"load_{name}")()
    return Table(named(data.data), data.target, name != "diabetes")


def make(name: str, seed: int, share: float = 1.0) -> Table:
    """A table by its name."""
    if name in BUNDLED:
        return bundled(name)
    generator, n_rows = GENERATED[name]
    return generator(np.random.default_rng([seed, *name.encode()]), int(share * n_rows))


# ---- the contestants -----------------------------------------------------------------------------

Columns = dict[str, Array]
Model = Callable[[Table, Columns, int], Array]


def with_fastnn(members: int, train: Table, test: Columns, seed: int) -> Array:
    task = "classification" if train.is_class else "regression"
    model = TabularModel(members, seed=seed, task=task).fit(train.columns, train.y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of categories that are in the test rows alone
        return model.predict_proba(test) if train.is_class else model.predict(test)


def with_trees(train: Table, test: Columns, seed: int) -> Array:
    """Categories as such, the most frequent 254 of a column, which is all they take."""
    import pandas
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if train.is_class else HistGradientBoostingRegressor
    frame, other = pandas.DataFrame(train.columns), pandas.DataFrame(test)
    for name, column in train.columns.items():
        if column.dtype == object:
            frequent = frame[name].value_counts().index[:254]
            for each in (frame, other):
                known = each[name].where(each[name].isin(frequent))
                each[name] = pandas.Categorical(known, categories=frequent)
    model = kind(categorical_features="from_dtype", random_state=seed).fit(frame, train.y)
    output: Array = model.predict_proba(other) if train.is_class else model.predict(other)
    return output


def with_scikit_learn(train: Table, test: Columns, seed: int) -> Array:
    """Scaled, one-hot and with medians for what is missing, as one would."""
    import pandas
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    kind = MLPClassifier if train.is_class else MLPRegressor
    texts = [name for name, column in train.columns.items() if column.dtype == object]
    others = [name for name in train.columns if name not in texts]
    prepared = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), others),
        (OneHotEncoder(handle_unknown="ignore"), texts),
    )
    model = make_pipeline(prepared, kind(random_state=seed))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of iterations that were not enough
        model.fit(pandas.DataFrame(train.columns), train.y)
    frame = pandas.DataFrame(test)
    output: Array = model.predict_proba(frame) if train.is_class else model.predict(frame)
    return output


# ---- the race ------------------------------------------------------------------------------------


def score(table: Table, rows: Array, output: Array) -> float:
    from sklearn.metrics import accuracy_score, r2_score, roc_auc_score

    true = table.y[rows]
    if not table.is_class:
        return float(r2_score(true, output))
    if output.shape[1] == 2:
        return float(roc_auc_score(true, output[:, 1]))
    return float(accuracy_score(true, output.argmax(axis=1)))


def splits(table: Table, n_splits: int) -> list[tuple[Array, Array]]:
    """Training and test rows; classes in the same shares."""
    from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit

    kind = StratifiedShuffleSplit if table.is_class else ShuffleSplit
    splitter = kind(n_splits, test_size=0.2, random_state=0)
    return list(splitter.split(np.zeros((len(table.y), 1)), table.y))


def run(table: Table, model: Model, n_splits: int) -> tuple[list[float], float]:
    """The scores of the splits, and the seconds of a split."""
    scores = []
    begin = time.perf_counter()
    for seed, (train, test) in enumerate(splits(table, n_splits)):
        part = Table({name: c[train] for name, c in table.columns.items()}, table.y[train], True)
        part = part._replace(is_class=table.is_class)
        output = model(part, {name: c[test] for name, c in table.columns.items()}, seed)
        scores.append(score(table, test, output))
    return scores, (time.perf_counter() - begin) / n_splits


def verdict(ours: list[float], theirs: list[float]) -> str:
    """``ahead``, ``behind`` or ``level``; tests have a quarter of the rows of the training."""
    differences = np.subtract(ours, theirs)
    error = np.sqrt(differences.var(ddof=1) * (1 / len(differences) + 0.25))
    limit = _T[len(differences) - 2] * error
    if abs(differences.mean()) <= limit:
        return "level"
    return "ahead" if differences.mean() > 0 else "behind"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--tables", nargs="+", default=[*GENERATED, *BUNDLED], metavar="NAME")
    parser.add_argument("--members", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="2 splits, a quarter of the rows")
    arguments = parser.parse_args()
    n_splits = 2 if arguments.quick else 5

    def ours(train: Table, test: Columns, seed: int) -> Array:
        return with_fastnn(arguments.members, train, test, seed)

    models: dict[str, Model] = {"fastnn": ours, "trees": with_trees, "sklearn": with_scikit_learn}
    print(f"{'table':14s} {'rows':>6s}", *(f"{name:>22s}" for name in models), " trees   MLP")
    for name in arguments.tables:
        table = make(name, seed=0, share=0.25 if arguments.quick else 1.0)
        found = {key: run(table, model, n_splits) for key, model in models.items()}
        cells = [
            f"{np.mean(scores):.4f} ±{np.std(scores):.4f} {seconds:5.1f} s"
            for scores, seconds in found.values()
        ]
        verdicts = [verdict(found["fastnn"][0], found[key][0]) for key in ("trees", "sklearn")]
        print(
            f"{name:14s} {len(table.y):6d}",
            *(f"{cell:>22s}" for cell in cells),
            *verdicts,
            flush=True,
        )


if __name__ == "__main__":
    main()

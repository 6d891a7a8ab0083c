"""Tables with everything in them, and small models of them."""

from dataclasses import replace
from typing import Any

import numpy as np

from fastnn.tabular import RECIPE, TabularModel

#: Few epochs and units, so that models are trained in a moment.
QUICK = replace(RECIPE, hidden=(24, 16), bins=24, least_epochs=2, most_epochs=4)


def table(n_rows: int, seed: int = 0) -> dict[str, Any]:
    """Numbers of all sizes, categories, dates, yes and no, missing values and odd names.

    All numbers are of float32, so that a row of float32 says the same.
    """
    random = np.random.default_rng(seed)
    towns = np.array(["Bonn", "Köln", 'a "q" */ ??/ /* b\\', "Ulm, Donau"], object)
    columns: dict[str, Any] = {
        "größe m²": random.gamma(2, 50, n_rows),
        "town": random.choice(towns, n_rows),
        "many": np.array([f"k{int(v)}" for v in random.exponential(8, n_rows)], object),
        "sold": np.datetime64("2020-01-01", "s")
        + (random.integers(0, 1500 * 8, n_rows) * 10800).astype("timedelta64[s]"),
        "born": np.datetime64("1955-01-01", "D") + random.integers(0, 15000, n_rows),
        "predict": random.random(n_rows) < 0.4,
        "flag": random.integers(0, 2, n_rows).astype(float),
        "spikes": np.where(random.random(n_rows) < 0.03, 1e30, random.integers(0, 30, n_rows)),
        "town? /* */": 20_000_000 + 2 * random.integers(-90, 90, n_rows),
        "constant": np.ones(n_rows),
    }
    for name in ("größe m²", "spikes"):
        columns[name] = columns[name].astype(np.float32).astype(np.float64)
        columns[name][random.random(n_rows) < 0.1] = np.nan
    columns["town"][random.random(n_rows) < 0.1] = None
    columns["sold"][random.random(n_rows) < 0.1] = np.datetime64("NaT")
    return columns


def prices(columns: dict[str, Any]) -> Any:
    """A number that depends on some of them."""
    size = np.nan_to_num(columns["größe m²"], nan=70)
    return 3 * size + 40 * columns["predict"] + 60 * (columns["town"] == "Bonn") + 500


def classes(columns: dict[str, Any]) -> Any:
    """Three classes with names that CSV quotes."""
    names = np.array(["low", "middle, or so", 'a "high" one'], object)
    return names[np.digitize(prices(columns), [650, 800])]


def model_of(columns: dict[str, Any], y: Any, members: int = 1, **recipe: Any) -> TabularModel:
    """Trained in a moment."""
    model = TabularModel(members, seed=0, threads=1, recipe=replace(QUICK, **recipe))
    return model.fit(columns, y)


def odd_rows(columns: dict[str, Any]) -> dict[str, Any]:
    """The same rows with values that the training rows did not have."""
    odd = {name: values.copy() for name, values in columns.items()}
    odd["town"][:9] = "Paris"
    odd["many"][3:12] = "k999"
    odd["many"][12:15] = None
    odd["größe m²"][6:12] = [-1e35, 3e38, -3e38, 1e-40, 0.0, 1e20]
    odd["spikes"][2:9] = [-1.0, 29.5, 30.0, 1e10, 1e29, 1e31, 3e38]
    odd["flag"][4:9] = [0.5, -3.0, 2.0, 1e30, np.nan]
    odd["sold"][20:23] = np.array(["0001-01-01", "2262-01-01", "9999-12-31"], "datetime64[s]")
    return odd

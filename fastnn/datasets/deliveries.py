"""A small table of mixed columns, which comes with the package."""

import csv
import datetime
from collections.abc import Iterator
from pathlib import Path

import numpy as np

_CITIES = ("Aachen", "Bonn", "Celle", "Dresden", "Erfurt")
_DELAYS = (0.0, 0.4, -0.6, 0.9, -0.2)  # of a city, in logits
_NOTES = ("leave it at the door", "ring twice", "call before you come", "fragile")


def table_path() -> Path:
    """The path of ``deliveries.csv``: 400 deliveries, for trying the command line.

    The column to predict is ``late`` (yes or no). The others are ``order`` (an identifier),
    ``ordered`` (a date), ``city`` (one of 5), ``distance`` (km), ``weight`` (kg; missing in some
    rows), ``express`` (yes or no) and ``note`` (a category; missing in most rows). The rows are
    made up.

    Returns
    -------
    pathlib.Path
        Inside the package: it is there to be read, not written.

    Examples
    --------
    >>> from fastnn.datasets import table_path
    >>> table_path().name
    'deliveries.csv'
    """
    return Path(__file__).with_name("deliveries.csv")


def make_deliveries(path: Path, n_rows: int = 400, seed: int = 0) -> None:
    """Writes the table of `table_path`, or one like it.

    Parameters
    ----------
    path : pathlib.Path
    n_rows : int
    seed : int
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        names = ("order", "ordered", "city", "distance", "weight", "express", "note", "late")
        writer.writerow(names)
        writer.writerows(_rows(n_rows, np.random.default_rng(seed)))


def _rows(n_rows: int, rng: np.random.Generator) -> Iterator[tuple[object, ...]]:
    first = datetime.date(2025, 1, 1)
    for i in range(n_rows):
        day = first + datetime.timedelta(days=int(rng.integers(365)))
        city = int(rng.integers(len(_CITIES)))
        distance = float(rng.gamma(2.0, 12.0))
        weight = float(rng.gamma(1.5, 3.0))
        is_express = bool(rng.random() < 0.3)
        is_christmas = day.month == 12
        logit = 0.09 * distance - 2.4 + _DELAYS[city] + 1.6 * is_christmas - 1.8 * is_express
        logit += 0.12 * weight * (distance > 25) + 0.8 * (day.weekday() >= 5)
        is_late = bool(rng.random() < 1 / (1 + np.exp(-1.5 * logit)))
        note = str(rng.choice(_NOTES)) if rng.random() < 0.25 else ""
        yield (
            f"D{10_000 + i}",
            day.isoformat(),
            _CITIES[city],
            f"{distance:.1f}",
            f"{weight:.2f}" if rng.random() < 0.93 else "",
            "yes" if is_express else "no",
            note,
            "yes" if is_late else "no",
        )

"""The column to predict: classes, or a number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn.tabular.columns import Column, as_numbers, describe
from fastnn.tabular.encoding import texts_of
from fastnn.tabular.values import Array, Cells, Texts, distinct_of

TASKS = ("classification", "regression")

_MOST_WHOLE_CLASSES = 10  # of whole numbers; more different ones are a regression
_MOST_CLASSES = 1000


@dataclass(frozen=True)
class Target:
    """What is predicted.

    Attributes
    ----------
    name : str
    task : {"classification", "regression"}
    classes : tuple of str, of int, of float or of bool
        Ascending; none for a regression.
    shares : tuple of float
        Of the training rows, of each class.
    center, scale : float
        Mean and standard deviation of the training rows, for a regression.
    source : {"number", "boolean", "text"}
        What its values came as.
    """

    name: str
    task: str
    source: str
    classes: tuple[Any, ...] = ()
    shares: tuple[float, ...] = ()
    center: float = 0.0
    scale: float = 1.0

    @classmethod
    def fitted(cls, name: str, cells: Cells, task: str | None) -> Target:
        """The target of some training rows, none of which lacks it.

        Raises
        ------
        ValueError
            If there is nothing to learn, or it is neither classes nor numbers.
        """
        if cells.kind == "date":
            raise ValueError(f"target {name!r} holds dates: make numbers of them, such as days")
        column = describe(name, cells)
        if column.n_distinct < 2:
            value = texts_of(cells).levels
            raise ValueError(
                f"target {name!r} must have at least two different values, it is always "
                f"{value[0] if value else None!r}: there is nothing to learn"
            )
        numbers = _numbers_of(column, cells)
        if task is None:
            task = "regression" if _is_quantity(cells, numbers) else "classification"
        if task == "regression":
            if numbers is None:
                raise ValueError(f"target {name!r} must be numbers for a regression, got texts")
            center, scale = float(numbers.mean()), float(numbers.std())
            if not (scale > 0 and np.isfinite(scale)):
                raise ValueError(
                    f"target {name!r} must have a standard deviation that is finite and above 0, "
                    f"got {scale:g}: its numbers are too large, too small or all the same"
                )
            return cls(name, task, cells.kind, center=center, scale=scale)
        classes, counts = _classes(name, cells)
        n_rows = int(counts.sum())
        if len(classes) > _MOST_CLASSES or len(classes) > n_rows / 2:
            raise ValueError(
                f"target {name!r} has {len(classes)} classes in {n_rows} rows, at most "
                f"{_MOST_CLASSES} and two rows each can be learnt; name another column"
            )
        return cls(name, task, cells.kind, classes, tuple((counts / n_rows).tolist()))

    @property
    def n_outputs(self) -> int:
        """Units of a network for it."""
        return len(self.classes) if self.task == "classification" else 1

    def encode(self, cells: Cells) -> Array:
        """Of each row the place of its class, or the number; NaN where it is missing or unknown."""
        if self.task == "regression":
            numbers, _ = as_numbers(Column(self.name, "number", True, self.source, 0, 0, ""), cells)
            return numbers
        texts = texts_of(cells)
        places = {as_level(value): float(i) for i, value in enumerate(self.classes)}
        return texts.mapped(lambda level: places.get(level, np.nan))

    def decode(self, places: Array) -> Array:
        """The classes at these places."""
        return np.array(self.classes)[places]


def as_level(value: Any) -> str:
    """A class as `texts_of` spells it."""
    return str(int(value)) if type(value) is float and value.is_integer() else str(value)


def is_missing(cells: Cells) -> Array:
    """Of each row whether it has no value."""
    if cells.texts is not None:
        missing: Array = cells.texts.codes < 0
        return missing
    assert cells.numbers is not None
    return np.isnan(cells.numbers)


def taken(cells: Cells, rows: Array) -> Cells:
    """Some rows of a column."""
    if cells.texts is None:
        assert cells.numbers is not None
        return cells._replace(numbers=cells.numbers[rows])
    levels, codes = cells.texts.levels, cells.texts.codes[rows]
    there = np.flatnonzero(Texts(levels, codes).counts())
    new = np.full(len(levels) + 1, -1)  # the last is that of -1, which is missing
    new[there] = np.arange(len(there))
    return cells._replace(texts=Texts([levels[i] for i in there], new[codes]))


def _numbers_of(column: Column, cells: Cells) -> Array | None:
    """The numbers of a target; None where there is a text that is none."""
    if cells.texts is None:
        return cells.numbers
    numbers, _ = as_numbers(Column(column.name, "number", True, "text", 0, 0, ""), cells)
    return None if np.isnan(numbers).any() else numbers


def _is_quantity(cells: Cells, numbers: Array | None) -> bool:
    if numbers is None or cells.kind == "boolean":
        return False
    distinct = distinct_of(numbers)
    is_whole = bool((distinct == np.floor(distinct)).all())
    return not is_whole or len(distinct) > _MOST_WHOLE_CLASSES


def _classes(name: str, cells: Cells) -> tuple[tuple[Any, ...], Array]:
    """Ascending, and the rows of each."""
    texts = cells.texts
    if texts is not None:
        order = np.argsort(np.array(texts.levels))
        return tuple(texts.levels[i] for i in order), texts.counts()[order]
    values, counts = np.unique(np.asarray(cells.numbers), return_counts=True)
    if cells.kind == "boolean":
        return tuple(bool(value) for value in values), counts
    are_whole = (values == np.floor(values)).all()
    largest = np.abs(values).max()
    if are_whole and largest >= 2**53:  # float64 has not all of them
        raise ValueError(
            f"target {name!r} has whole numbers as classes, which must be below 2**53, got "
            f"{largest:.0f}: make texts of them"
        )
    return tuple((values.astype(np.int64) if are_whole else values).tolist()), counts


def repeats(cells: Cells, target: Target, true: Array) -> bool:
    """Whether a column says the target in other words: the same classes, or the same order.

    Parameters
    ----------
    cells : Cells
        Of the column.
    target : Target
    true : ndarray of float64
        As `Target.encode` gives it for the same rows.
    """
    rows = np.flatnonzero(~is_missing(cells))
    if len(rows) < max(0.5 * len(true), 10):
        return False
    answers = true[rows]
    if target.task == "classification":
        values = np.asarray(cells.numbers)[rows] if cells.texts is None else cells.texts.codes[rows]
        return _say_as_well(_are_same_classes, values, answers) and len(distinct_of(answers)) > 1
    if cells.numbers is None:
        return False
    values = cells.numbers[rows]
    return _say_as_well(_are_in_same_order, values, answers) and (
        len(distinct_of(values)) == len(distinct_of(answers))
    )


def _say_as_well(relation: Callable[[Array, Array], bool], values: Array, answers: Array) -> bool:
    """Whether a relation that some rows have if all do is between these; few rows mostly tell."""
    return relation(values[:1000], answers[:1000]) and relation(values, answers)


def _are_same_classes(values: Array, answers: Array) -> bool:
    distinct, classes = distinct_of(values), distinct_of(answers)
    if len(distinct) != len(classes):
        return False
    pairs = np.searchsorted(distinct, values) * len(classes) + np.searchsorted(classes, answers)
    return len(distinct_of(pairs)) == len(classes)


def _are_in_same_order(values: Array, answers: Array) -> bool:
    steps = np.diff(answers[np.argsort(values, kind="stable")])
    return bool((steps >= 0).all() or (steps <= 0).all())

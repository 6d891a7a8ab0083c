"""What each column of a table is, and what is done with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastnn.tabular.values import (
    Array,
    Cells,
    Texts,
    date_in,
    date_order,
    distinct_of,
    has_leading_zeros,
    is_mark,
    number_in,
    sampled,
    yes_no_in,
)

_FEW = 20  # whole numbers of no more values are categories where they came as text
_LEAST_SHARE = 0.95  # of texts that are numbers, for the others to be taken as missing
_IDENTIFIER_NAMES = ("id", "uuid", "guid", "index", "key", "rowid", "unnamed: 0")


@dataclass(frozen=True)
class Column:
    """What a column is, and what is done with it.

    Parameters
    ----------
    name : str
        As in the table; x0, x1, ... of an array.
    kind : {"number", "yes/no", "category", "date", "text", "identifier", "constant", "empty"}
        What its values are.
    used : bool
        Whether it is an input; the last four kinds are left out.
    source : {"number", "boolean", "date", "text"}
        What its values came as.
    n_missing : int
        Rows without a value.
    n_distinct : int
        Different values; of more than 50,000 numbers, where they are not few, those in a sample.
    note : str
        What is done with it, in words.
    date_order : str
        Of dates written as text: "ymd", "dmy" or "mdy".

    Examples
    --------
    >>> from fastnn.datasets import table_path
    >>> from fastnn.tabular import Recipe, TabularModel
    >>> recipe = Recipe(hidden=(16,), most_epochs=3)  # a quick one, for show
    >>> model = TabularModel(seed=0, recipe=recipe).fit(table_path(), target="late")
    >>> weight = model.columns[4]
    >>> weight.name, weight.kind, weight.used, weight.n_missing
    ('weight', 'number', True, 24)
    """

    name: str
    kind: str
    used: bool
    source: str
    n_missing: int
    n_distinct: int
    note: str
    date_order: str = ""


def describe(name: str, cells: Cells) -> Column:
    """What a column is.

    Parameters
    ----------
    name : str
    cells : Cells

    Returns
    -------
    Column
    """
    if cells.texts is not None:
        return _describe_texts(name, cells.texts)
    assert cells.numbers is not None
    numbers = cells.numbers
    there = numbers[~np.isnan(numbers)]
    distinct = _distinct(there)
    n_missing = len(numbers) - len(there)

    def column(kind: str, note: str, used: bool = True) -> Column:
        return Column(name, kind, used, cells.kind, n_missing, len(distinct), note)

    if len(there) == 0:
        return column("empty", "left out: it has no values", used=False)
    if len(distinct) == 1 and n_missing == 0:
        return column("constant", f"left out: it is always {there[0]:g}", used=False)
    if cells.kind == "boolean":
        return column("yes/no", "0 or 1" + _of_missing(n_missing))
    if cells.kind == "date":
        return column("date", "days, time of year, weekday" + _of_missing(n_missing))
    if _is_running_number(name, there, distinct):
        return column("identifier", "left out: whole numbers, another one each row", used=False)
    if distinct.tolist() == [0.0, 1.0]:
        return column("yes/no", "0 or 1" + _of_missing(n_missing))
    return column("number", "scaled, and in ramps" + _of_missing(n_missing))


def _distinct(there: Array) -> Array:
    """The different values, ascending, or those in a sample where that tells as much."""
    some = sampled(there)
    distinct = distinct_of(some)
    could_be_running = len(distinct) == len(some) and (some == np.floor(some)).all()
    if len(some) < len(there) and (len(distinct) <= 2 or could_be_running):
        return distinct_of(there)
    return distinct


def _of_missing(n_missing: int) -> str:
    rows = "row" if n_missing == 1 else "rows"
    return f"; {n_missing} {rows} without a value filled and marked" if n_missing else ""


def _is_running_number(name: str, there: Array, distinct: Array) -> bool:
    """Whole numbers that are all different, and lie close or are called an identifier."""
    if len(there) < 20 or len(distinct) < len(there) or (there != np.floor(there)).any():
        return False
    is_dense = len(there) > 0.5 * (distinct[-1] - distinct[0] + 1)
    return bool(is_dense) or is_called_identifier(name)


def is_called_identifier(name: str) -> bool:
    """Whether a column's name says that it tells rows apart."""
    lower = name.lower().strip()
    return lower in _IDENTIFIER_NAMES or lower.endswith(("_id", " id", "-id")) or name[-2:] == "Id"


def _describe_texts(name: str, texts: Texts) -> Column:
    n_rows, n_distinct = len(texts.codes), len(texts.levels)
    n_missing = int((texts.codes < 0).sum())
    n_there = n_rows - n_missing

    def column(kind: str, note: str, used: bool = True, date_order: str = "") -> Column:
        return Column(name, kind, used, "text", n_missing, n_distinct, note, date_order)

    if n_distinct == 0:
        return column("empty", "left out: it has no values", used=False)
    if n_distinct == 1 and n_missing == 0:
        return column("constant", f"left out: it is always {texts.levels[0]!r}", used=False)
    if _are_numbers(texts):
        numbers = texts.mapped(number_in)
        there = numbers[~np.isnan(numbers)]
        if _is_running_number(name, there, _distinct(there)):
            note = "left out: whole numbers, another one each row"
            return column("identifier", note, used=False)
        n_odd = int(np.isnan(numbers).sum()) - n_missing
        odd = f"; {n_odd} texts that are no numbers count as missing" if n_odd else ""
        return column("number", "scaled, and in ramps" + _of_missing(n_missing + n_odd) + odd)
    order = date_order(texts)
    if order is not None:
        days = texts.mapped(lambda text: date_in(text, order))
        note = f"days, time of year, weekday; read as {order}"
        return column("date", note + _of_missing(int(np.isnan(days).sum())), date_order=order)
    if n_distinct <= 2:
        marked = f"; {n_missing} rows without a value marked" if n_missing else ""
        return column("yes/no", " or ".join(map(repr, texts.levels)) + marked)
    words = np.mean([level.count(" ") + 1 for level in texts.levels[:1000]])
    if words >= 4 and n_distinct > max(20, 0.2 * n_there):
        return column("text", "left out: free text", used=False)
    share = n_distinct / n_there
    if share > 0.9 or (share > 0.5 and (n_distinct > _FEW or is_called_identifier(name))):
        note = f"left out: {n_distinct} different texts in {n_there} rows"
        return column("identifier", note, used=False)
    marked = f"; {n_missing} rows without a value marked" if n_missing else ""
    return column("category", f"{n_distinct} categories{marked}")


def _are_numbers(texts: Texts) -> bool:
    """Whether texts are numbers: all of them, or most where there are many different ones."""
    if has_leading_zeros(texts):
        return False
    numbers = np.array([number_in(level) for level in texts.levels])
    marks = np.array([is_mark(level) for level in texts.levels])
    is_number = ~np.isnan(numbers)
    n_numbers = int(is_number.sum())
    if n_numbers <= _FEW and (numbers[is_number] == np.floor(numbers[is_number])).all():
        return False
    if (is_number | marks).all():
        return True
    counts = texts.counts()
    return bool(n_numbers > _FEW and counts[is_number].sum() >= _LEAST_SHARE * counts.sum())


def as_numbers(column: Column, cells: Cells) -> tuple[Array, int]:
    """The values of a column of numbers, dates or booleans.

    Parameters
    ----------
    column : Column
        As `describe` gave it for the training rows.
    cells : Cells
        Of any rows.

    Returns
    -------
    numbers : ndarray of float64
        NaN where it is missing.
    n_odd : int
        Rows whose value is not of this kind; they count as missing.
    """
    if cells.texts is None:
        assert cells.numbers is not None
        fits = (cells.kind == "date") == (column.kind == "date")
        numbers = cells.numbers if fits else np.full(len(cells.numbers), np.nan)
        return numbers, 0 if fits else int((~np.isnan(cells.numbers)).sum())
    texts = cells.texts
    if column.kind == "date":
        order = column.date_order or "ymd"
        numbers = texts.mapped(lambda text: date_in(text, order))
    elif column.source == "boolean":
        numbers = texts.mapped(yes_no_in)
    else:
        numbers = texts.mapped(number_in)
    odd = np.isnan(numbers) & (texts.codes >= 0)
    if odd.any():
        odd &= ~np.array([is_mark(level) for level in texts.levels] + [True])[texts.codes]
    return numbers, int(odd.sum())

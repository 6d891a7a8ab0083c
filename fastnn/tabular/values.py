"""The cells of a column, whatever they came as: numbers, days or texts."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable
from decimal import Decimal
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_MISSING = {"", "nan", "NaN", "<NA>", "NaT"}
#: What stands for a missing value in a column of numbers or dates that are written as text.
_MARKS = {"na", "n/a", "null", "none", "?", "-", ".", "unknown", "missing", "nan"}
_YES_NO = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0, "1": 1.0, "0": 0.0}

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?")
_LEADING_ZERO = re.compile(r"0\d+")
_TIME = r"(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
_YEAR_FIRST = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})" + _TIME)
_YEAR_LAST = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})" + _TIME)

#: How dates are written: the places of year, month and day.
DATE_ORDERS = {"ymd": (1, 2, 3), "dmy": (3, 2, 1), "mdy": (3, 1, 2)}

_EPOCH = datetime.datetime(1970, 1, 1)
_A_SECOND = {"ms": 1e3, "us": 1e6, "ns": 1e9, "ps": 1e12, "fs": 1e15, "as": 1e18}
_MOST_SAMPLED = 50_000


class Texts(NamedTuple):
    """A column of texts.

    Attributes
    ----------
    levels : list of str
        The different ones.
    codes : ndarray of int64
        Of each row its place in `levels`; -1 where it is missing.
    """

    levels: list[str]
    codes: Array

    def counts(self) -> Array:
        """Rows of each level."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.levels))

    def mapped(self, value: Callable[[str], float]) -> Array:
        """A number a row: that of its level; NaN where it is missing."""
        numbers = np.array([value(level) for level in self.levels] + [np.nan], np.float64)
        return numbers[self.codes]


class Cells(NamedTuple):
    """A column: either `numbers` or `texts`.

    Attributes
    ----------
    kind : {"number", "boolean", "date", "text"}
        Dates are days since 1970-01-01.
    numbers : ndarray of float64 or None
        NaN where it is missing.
    texts : Texts or None
    """

    kind: str
    numbers: Array | None = None
    texts: Texts | None = None


def read_cells(values: Array, name: str) -> Cells:
    """What a column holds, by the types of its values alone.

    Raises
    ------
    ValueError
        If it has infinite numbers, or values that are neither numbers, dates nor texts.
    """
    kind = values.dtype.kind
    if kind in "iuf":
        return Cells("number", _finite(np.ascontiguousarray(values, np.float64), name))
    if kind == "b":
        return Cells("boolean", values.astype(np.float64))
    if kind == "M":
        return Cells("date", _days(values))
    if kind == "m":
        return Cells("number", _days_long(values))
    if kind not in "OUS":
        raise ValueError(f"the column {name!r} must be numbers, dates or texts, got {values.dtype}")
    return _of_objects(values.tolist(), name)


def _of_objects(values: list[Any], name: str) -> Cells:
    types = set(map(type, values))
    if types <= {str, type(None)}:
        return Cells("text", texts=_texts(values))
    values = [None if _is_missing(value) else value for value in values]
    types = {type(value) for value in values} - {type(None)}
    if types and all(issubclass(each, (bool, np.bool_)) for each in types):
        return Cells("boolean", np.array([np.nan if v is None else float(v) for v in values]))
    if types and all(issubclass(each, (Real, Decimal, np.bool_)) for each in types):
        return Cells("number", _finite(_floats(values, name), name))
    if types and all(issubclass(each, datetime.date) for each in types):
        return Cells("date", np.array([np.nan if v is None else _day(v) for v in values]))
    if any(
        not isinstance(value, (str, bytes, Real, datetime.date, type(None))) for value in values
    ):
        odd = next(v for v in values if not isinstance(v, (str, bytes, Real, type(None))))
        if not isinstance(odd, (datetime.time, Decimal)):
            raise ValueError(
                f"the column {name!r} must be numbers, dates or texts, got {type(odd).__name__}"
            )
    return Cells("text", texts=_texts([None if v is None else as_text(v) for v in values]))


def distinct_of(values: Array) -> Array:
    """The different ones, ascending; `numpy.unique` takes twenty times as long (NumPy 2.4)."""
    ordered = np.sort(values)
    is_new = np.ones(len(ordered), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=is_new[1:])
    distinct: Array = ordered[is_new]
    return distinct


def sampled(values: Array) -> Array:
    """All values, or 50,000 of more: one of each of as many stretches, the same ones each time."""
    n = len(values)
    if n <= _MOST_SAMPLED:
        return values
    limits = np.arange(_MOST_SAMPLED + 1) * n // _MOST_SAMPLED
    steps = np.random.default_rng(0).random(_MOST_SAMPLED) * np.diff(limits)
    drawn: Array = values[limits[:-1] + steps.astype(np.int64)]
    return drawn


def as_text(value: Any) -> str:
    """A cell as a category: whole numbers without a point."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip()
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, Real) and value == value // 1:
        return str(math.floor(value))
    return str(value).strip()


def _texts(values: list[Any]) -> Texts:
    places = {value: place for place, value in enumerate(dict.fromkeys(values))}
    raw = np.fromiter(map(places.__getitem__, values), np.int64, len(values))
    levels: dict[str, int] = {}
    code_of = np.empty(len(places), np.int64)  # levels that differ in white space alone are one
    for value, place in places.items():
        text = "" if value is None else value.strip()
        is_missing = text in _MISSING
        code_of[place] = -1 if is_missing else levels.setdefault(text, len(levels))
    return Texts(list(levels), code_of[raw] if len(raw) else raw)


def _is_missing(value: Any) -> bool:
    if value is None:
        return True
    try:
        return bool(value != value)
    except TypeError:  # pandas.NA cannot tell
        return type(value).__name__ == "NAType"
    except ArithmeticError:  # a signalling NaN
        return True
    except ValueError:  # an array in a cell
        return False


def _floats(values: list[Any], name: str) -> Array:
    try:
        return np.array([np.nan if value is None else float(value) for value in values], np.float64)
    except OverflowError:
        raise ValueError(
            f"the column {name!r} has an integer that is too large for a number: make it text to "
            "use it as a category, or leave the column out"
        ) from None


def _finite(numbers: Array, name: str) -> Array:
    infinite = np.isinf(numbers)
    if infinite.any():
        raise ValueError(
            f"the column {name!r} must be finite or missing, got {numbers[infinite][0]} in row "
            f"{int(infinite.argmax())}"
        )
    return numbers


def _days(values: Array) -> Array:
    seconds = values.astype("datetime64[s]").astype(np.float64)
    return np.where(np.isnat(values), np.nan, seconds / 86400)


def _days_long(values: Array) -> Array:
    """Durations in days; NumPy casts to whole seconds, and all below a second are 0 then."""
    unit, count = np.datetime_data(values.dtype)
    if unit in _A_SECOND:
        seconds = values.astype(np.float64) * count / _A_SECOND[unit]
    else:
        seconds = values.astype("timedelta64[s]").astype(np.float64)
    return np.where(np.isnat(values), np.nan, seconds / 86400)


def _day(value: datetime.date) -> float:
    if not isinstance(value, datetime.datetime):
        return float(value.toordinal() - _EPOCH.toordinal())
    # Not astimezone, which fails on the first and the last day there are
    ahead = value.utcoffset() or datetime.timedelta()
    return (value.replace(tzinfo=None) - _EPOCH - ahead).total_seconds() / 86400


# ---- texts that are numbers or dates -------------------------------------------------------------


def number_in(text: str) -> float:
    """The number that a text is, with a decimal point or comma; NaN for any other."""
    if _NUMBER.fullmatch(text):
        number = float(text)
    elif _DECIMAL_COMMA.fullmatch(text):
        number = float(text.replace(",", "."))
    else:
        return float("nan")
    return number if np.isfinite(number) else float("nan")


def has_leading_zeros(texts: Texts) -> bool:
    """Whether there are texts such as 00501, which is no number."""
    return any(_LEADING_ZERO.fullmatch(level) for level in texts.levels)


def yes_no_in(text: str) -> float:
    """1 or 0 for a text that says yes or no; NaN for any other."""
    return _YES_NO.get(text.lower(), float("nan"))


def date_in(text: str, order: str) -> float:
    """The days since 1970-01-01 of a date that is written in this order; NaN for any other text."""
    pattern = _YEAR_FIRST if order == "ymd" else _YEAR_LAST
    match = pattern.fullmatch(text)
    if match is None:
        return float("nan")
    year, month, day = (int(match[place]) for place in DATE_ORDERS[order])
    hour, minute, second = (int(match[place] or 0) for place in (4, 5, 6))
    try:
        return _day(datetime.datetime(year, month, day, hour, minute, second))
    except ValueError:
        return float("nan")


def date_order(texts: Texts) -> str | None:
    """The order in which most of these texts are dates; None where fewer than 95 % are.

    Where days and months could be either, the day is first where there is a point, else the month.
    """
    first = texts.levels[:1]
    orders = ["ymd", "dmy", "mdy"] if first and "." in first[0] else ["ymd", "mdy", "dmy"]
    sample = texts.levels[:1000]
    found = {order: sum(date_in(t, order) == date_in(t, order) for t in sample) for order in orders}
    best = max(orders, key=lambda order: found[order])
    return best if sample and found[best] >= 0.95 * len(sample) else None


def is_mark(text: str) -> bool:
    """Whether a text among numbers or dates says that there is none."""
    return text.lower() in _MARKS

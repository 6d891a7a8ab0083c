"""Tables of pandas and polars whose columns are of several types, as arrays.

Neither library is imported: what a table can do is asked of the table.
"""

import reprlib
from collections.abc import Iterable
from decimal import Decimal
from itertools import islice
from numbers import Real
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_ONE_HOT = {
    "pandas": "pandas.get_dummies({name}, columns=[{label!r}])",
    "polars": "{name}.to_dummies({label!r})",
}
_AS_DAYS = "; convert it to numbers, such as days since a date, or drop it"


def refuse_times(value: Any, name: str) -> None:
    """Refuses a table with a column of dates, times or durations.

    NumPy makes numbers of such a column of polars where another column has numbers.

    Parameters
    ----------
    value : object
        Anything but a data frame is left alone.
    name : str
        Of the argument, for errors.

    Raises
    ------
    TypeError
    """
    if not (hasattr(value, "to_numpy") and hasattr(value, "columns")):
        return
    for label, column in _columns(value):
        if _is_of_times(column):
            _refuse_column(name, label, column, _AS_DAYS)


def numbers_of(value: Any, name: str) -> Array | None:
    """The numbers of a table or a column that NumPy does not see as numbers; missing ones are NaN.

    Parameters
    ----------
    value : object
        A data frame or a series; anything else is left alone.
    name : str
        Of the argument, for errors.

    Returns
    -------
    ndarray of shape (n_rows, n_columns), float64, or of shape (n_rows,), bool, int or float
        None if `value` has no numbers or is neither a table nor a column.

    Raises
    ------
    TypeError
        If a column of a table cannot become numbers.
    ValueError
        If a column of a table is of another length.
    """
    if not hasattr(value, "to_numpy"):
        return None
    if not hasattr(value, "columns"):
        return _numbers_of_column(value)
    columns = list(_columns(value))
    array = np.empty((len(value), len(columns)))
    for j, (label, column) in enumerate(columns):
        numbers = _numbers_of_column(column)
        if numbers is None:
            _refuse_column(name, label, column, _remedy_for_column(value, name, label, column))
        if numbers.shape != array.shape[:1]:
            raise ValueError(
                f"{name} must have columns of shape {array.shape[:1]}, but its column {label!r} is "
                f"of shape {numbers.shape}"
            )
        with np.errstate(all="ignore"):
            array[:, j] = numbers
    return array


def labels(value: Any) -> list[Any]:
    """Of the columns of a table; none for anything else."""
    if not (hasattr(value, "to_numpy") and hasattr(value, "columns")):
        return []
    return list(value.columns)


def _columns(table: Any) -> Iterable[tuple[Any, Any]]:
    """Label and values of each column."""
    if hasattr(table, "get_columns"):  # polars
        return ((column.name, column) for column in table.get_columns())
    items: Iterable[tuple[Any, Any]] = table.items() if hasattr(table, "items") else ()
    return items


def _is_of_times(column: Any) -> bool:
    dtype: Any = getattr(column, "dtype", None)
    if hasattr(dtype, "is_temporal"):  # polars
        return bool(dtype.is_temporal())
    return getattr(dtype, "kind", "") in ("M", "m")


def _numbers_of_column(column: Any) -> Array | None:
    array = np.asarray(column).view()
    if array.dtype.kind in "biuf":
        return array
    if getattr(getattr(column, "dtype", None), "kind", "O") in tuple("biuf"):
        # A nullable column of pandas, which NumPy only sees as objects
        with np.errstate(all="ignore"):
            array = np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan)).view()
        return array if array.dtype.kind in "biuf" else None
    if array.dtype.kind != "O" or not all(map(_is_number_or_missing, array.flat)):
        return None
    try:
        with np.errstate(all="ignore"):
            return array.astype(np.float64)
    except OverflowError:  # an integer of more than 308 digits
        return None


def _is_number_or_missing(value: Any) -> bool:
    return value is None or isinstance(value, (Real, Decimal, np.bool_))


def _refuse_column(name: str, label: Any, column: Any, remedy: str) -> NoReturn:
    raise TypeError(
        f"{name} must be numbers, but its column {label!r} is of dtype {column.dtype}{remedy}"
    )


def _remedy_for_column(table: Any, name: str, label: Any, column: Any) -> str:
    """What to do with a column that is no numbers: texts can be one-hot encoded."""
    array = np.asarray(column)
    if array.dtype.kind == "O" and not all(v is None or isinstance(v, str) for v in array.flat):
        odd = ((i, v) for i, v in enumerate(array.flat) if not _is_number_or_missing(v))
        cell = "".join(f" and holds {reprlib.repr(v)} in row {i}" for i, v in islice(odd, 1))
        return f"{cell}; convert it to numbers, or drop it"
    one_hot = _ONE_HOT.get(type(table).__module__.partition(".")[0])
    example = f": {one_hot.format(name=name, label=label)}" if one_hot else ""
    return f"; convert it to numbers, drop it, or one-hot encode it{example}"

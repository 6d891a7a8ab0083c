"""Tables of pandas and polars whose columns are of several types, as arrays.

Neither library is imported: what a table can do is asked of the table.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

_ONE_HOT = {
    "pandas": "pandas.get_dummies({name}, columns=[{label!r}])",
    "polars": "{name}.to_dummies({label!r})",
}


def numbers_of(value: Any, name: str) -> npt.NDArray[Any] | None:
    """The numbers of a table or a column, in float64; missing ones are NaN.

    Parameters
    ----------
    value : object
        A data frame or a series; anything else is left alone.
    name : str
        Of the argument, for errors.

    Returns
    -------
    ndarray of shape (n_rows, n_columns) or (n_rows,), or None if `value` has no numbers or is
    neither a table nor a column

    Raises
    ------
    TypeError
        If a column of a table cannot become numbers.
    """
    if not hasattr(value, "to_numpy"):
        return None
    if not hasattr(value, "columns"):
        return _numbers_of_column(value)
    array = np.empty((len(value), len(value.columns)))
    for j, (label, column) in enumerate(_columns(value)):
        numbers = _numbers_of_column(column)
        if numbers is None:
            one_hot = _ONE_HOT.get(type(value).__module__.partition(".")[0])
            example = f": {one_hot.format(name=name, label=label)}" if one_hot else ""
            raise TypeError(
                f"{name} must be numbers, but its column {label!r} is of dtype {column.dtype}; "
                f"convert it to numbers, drop it, or one-hot encode it{example}"
            )
        array[:, j] = numbers
    return array


def _columns(table: Any) -> Iterable[tuple[Any, Any]]:
    """Label and values of each column."""
    if hasattr(table, "get_columns"):  # polars
        return ((column.name, column) for column in table.get_columns())
    items: Iterable[tuple[Any, Any]] = table.items()
    return items


def _numbers_of_column(column: Any) -> npt.NDArray[Any] | None:
    array = np.asarray(column)
    if array.dtype.kind in "biuf":
        return array
    if getattr(getattr(column, "dtype", None), "kind", "O") not in tuple("biuf"):
        return None
    # A nullable column of pandas, which NumPy only sees as objects
    numbers: npt.NDArray[Any] = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return numbers

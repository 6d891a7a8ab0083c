"""Tables of any kind as columns: data frames, dicts, arrays, and files."""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import _validation
from fastnn.tabular.table_files import Table, arrow_column, read_file

Array = npt.NDArray[Any]


def read_table(source: Any, name: str = "frame") -> Table:
    """The columns of a table.

    Parameters
    ----------
    source : data frame, mapping, ndarray, str or path-like
        A frame of pandas or polars, or a table of pyarrow; a mapping of names to columns; an array
        of shape (n_rows, n_columns), whose columns are called x0, x1, ...; or the path of a CSV,
        Parquet or NPZ file.
    name : str
        Of the argument, for errors.

    Returns
    -------
    dict of str to ndarray of shape (n_rows,)

    Raises
    ------
    TypeError, ValueError
        If it is none of these, two columns have the same name, or their lengths differ.
    ImportError
        If a file needs a library that is not installed.
    """
    if isinstance(source, (str, os.PathLike)):
        return read_file(Path(_validation.checked_path(source)))
    if type(source).__name__ == "LazyFrame":
        raise TypeError(f"{name} must be a table in memory: call collect() on the LazyFrame")
    if isinstance(source, Mapping):
        columns: Iterable[tuple[Any, Any]] = source.items()
    elif hasattr(source, "get_columns"):  # polars
        columns = [(column.name, column) for column in source.get_columns()]
    elif hasattr(source, "itercolumns"):  # a table of pyarrow
        columns = list(zip(source.column_names, source.itercolumns(), strict=True))
    elif hasattr(source, "columns") and hasattr(source, "items"):
        columns = source.items()
    else:
        columns = _columns_of_array(source, name)
    return _checked([(label, _values(column)) for label, column in columns], name)


def values_of(column: Any, name: str) -> Array:
    """One column as an array.

    Raises
    ------
    ValueError
        If it has more than one dimension.
    """
    values = _values(column)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise ValueError(f"{name} must be one column, got shape {values.shape}")
    return values


def absent(column: str, table: Table) -> str:
    """That a table has no such column, with the name that was probably meant."""
    lower = {each.lower().strip(): each for each in table}
    close = difflib.get_close_matches(column.lower().strip(), lower, 1)
    meant = f"did you mean {lower[close[0]]!r}? " if close else ""
    return f"no column {column!r}: {meant}{listed(table)}"


def listed(table: Table) -> str:
    """The names of the columns, in words."""
    names = list(table)
    return "it has " + ", ".join(map(repr, names[:20])) + ", ..." * (len(names) > 20)


def _columns_of_array(source: Any, name: str) -> list[tuple[str, Array]]:
    array = np.asarray(source)
    if array.ndim != 2:
        raise TypeError(
            f"{name} must be a data frame, a dict of columns, an array of shape (n_rows, "
            f"n_columns) or the path of a file, got {_validation.shown(source)}"
        )
    return [(f"x{i}", array[:, i]) for i in range(array.shape[1])]


def _checked(columns: list[tuple[Any, Array]], name: str) -> Table:
    counts = Counter(str(label) for label, _ in columns)
    twice = [label for label, count in counts.items() if count > 1]
    if twice:
        raise ValueError(f"{name} must have columns of different names, got {twice[0]!r} twice")
    for label, values in columns:
        if values.ndim != 1:
            raise ValueError(
                f"{name} must have columns of one dimension, {label!r} is of shape {values.shape}"
            )
        if len(values) != len(columns[0][1]):
            raise ValueError(
                f"{name} must have columns of one length, {columns[0][0]!r} has "
                f"{len(columns[0][1])} rows, {label!r} has {len(values)}"
            )
    return {str(label): values for label, values in columns}


def _values(column: Any) -> Array:
    """A column as NumPy has it; categories of pandas are texts, nullable numbers have NaN."""
    if isinstance(column, np.ma.MaskedArray):
        values = column.data.astype(object)
        values[np.ma.getmaskarray(column)] = None
        return np.asarray(values)
    if hasattr(column, "dictionary_encode"):  # of pyarrow
        return arrow_column(column)
    dtype: Any = getattr(column, "dtype", None)
    if type(dtype).__name__ == "CategoricalDtype":
        return np.array([None if value != value else str(value) for value in column], object)
    is_nullable = not isinstance(dtype, np.dtype) and getattr(dtype, "kind", "") in ("i", "u", "f")
    if is_nullable and hasattr(column, "to_numpy"):
        return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
    plain = (int, float, np.generic)
    if isinstance(column, (list, tuple)) and not all(isinstance(v, plain) for v in column):
        objects = np.empty(len(column), object)  # NumPy would make texts of [1, "a"]
        objects[:] = column
        return objects
    return np.asarray(column)

"""Tables of any kind as columns: data frames, dicts, arrays, and files."""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import _validation

Array = npt.NDArray[Any]

#: Columns by name, of one length; the values are as they came.
Table = dict[str, Array]

_SEPARATORS = ",;\t|"
_SAMPLE = 1 << 16  # bytes of a CSV file that tell what it looks like


def read_table(source: Any, name: str = "frame") -> Table:
    """The columns of a table.

    Parameters
    ----------
    source : data frame, mapping, ndarray, str or path-like
        A frame of pandas or polars; a mapping of names to columns; an array of shape (n_rows,
        n_columns), whose columns are called x0, x1, ...; or the path of a file: ``.csv``,
        ``.tsv``, ``.txt``, ``.parquet``, ``.npz``.
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
        return _read_file(_validation.checked_path(source))
    if isinstance(source, Mapping):
        columns: Iterable[tuple[Any, Any]] = source.items()
    elif hasattr(source, "get_columns"):  # polars
        columns = [(column.name, column) for column in source.get_columns()]
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


# ---- files ---------------------------------------------------------------------------------------


def _read_file(path: str) -> Table:
    suffix = os.path.splitext(path)[1].lower()
    if suffix == ".npz":
        return _read_npz(path)
    if suffix == ".parquet":
        return read_table(_frames("pyarrow").read_parquet(path))
    if suffix in (".csv", ".tsv", ".txt"):
        return _read_csv(path)
    raise ValueError(
        f"frame must be the path of a .csv, .tsv, .txt, .parquet or .npz file, got {path!r}"
    )


def _read_npz(path: str) -> Table:
    """The arrays of one dimension; those of two are columns called after them: X0, X1, ..."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    columns: list[tuple[Any, Array]] = []
    for name, array in arrays.items():
        if array.ndim == 2:
            columns += [(f"{name}{i}", array[:, i]) for i in range(array.shape[1])]
        else:
            columns.append((name, array))
    return _checked(columns, path)


def _read_csv(path: str) -> Table:
    with open(path, "rb") as file:
        sample = file.read(_SAMPLE)
    encoding = "utf-8-sig" if _is_utf8(sample) else "latin-1"
    lines = sample.decode(encoding, "replace").splitlines()
    if not any(line.strip() for line in lines):
        raise ValueError(f"{path} is empty: it must have a line of column names, and rows")
    separator = _separator(lines)
    header = next(csv.reader([next(line for line in lines if line.strip())], delimiter=separator))
    twice = [name for name, count in Counter(header).items() if count > 1 and name]
    if twice:
        raise ValueError(f"{path} must have columns of different names, got {twice[0]!r} twice")
    decimal = "," if separator != "," and _has_decimal_commas(lines, separator) else "."
    frame = _frames().read_csv(
        path, sep=separator, decimal=decimal, encoding=encoding, low_memory=False
    )
    return read_table(frame)


def _is_utf8(sample: bytes) -> bool:
    try:
        sample.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(sample) - 4  # cut within a character
    return True


def _separator(lines: list[str]) -> str:
    """What splits most lines into the same number of fields, more than one."""
    whole = lines[:50] if len(lines) <= 50 else lines[:49]

    def fitness(separator: str) -> tuple[float, int]:
        counts = [len(row) for row in csv.reader(whole, delimiter=separator) if row]
        width, share = Counter(counts).most_common(1)[0]
        return (share / len(counts) if width > 1 else 0.0, width)

    return max(_SEPARATORS, key=fitness)


def _has_decimal_commas(lines: list[str], separator: str) -> bool:
    fields = [field.strip() for row in csv.reader(lines[1:], delimiter=separator) for field in row]
    commas = sum(bool(re.fullmatch(r"[+-]?\d+,\d+", field)) for field in fields)
    points = sum(bool(re.fullmatch(r"[+-]?\d+\.\d+", field)) for field in fields)
    return commas > points


def _frames(engine: str | None = None) -> Any:
    """pandas; ImportError with the remedy where it, or the library that it needs, is missing."""
    import importlib

    for library in ("pandas", engine):
        try:
            if library is not None:
                importlib.import_module(library)
        except ImportError as error:
            raise ImportError(
                f"{library} is not installed; the extra 'data' brings it: pip install '.[data]' "
                "in a copy of fastnn's sources"
            ) from error
    return importlib.import_module("pandas")

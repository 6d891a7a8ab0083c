"""Tables that a command is given: a file, standard input, or a folder of images."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from fastnn.tabular.reading import absent
from fastnn.tabular.table_files import Table, read_bytes, read_file

#: The column of a folder of images that holds the names of its sub-folders.
CLASS = "class"

_SIDE = 32  # pixels of an image: height and width


def read_table(data: str, expected: Collection[str] = ()) -> Table:
    """The columns of a table.

    Parameters
    ----------
    data : str
        The path of a CSV, Parquet or NPZ file; ``-`` for standard input; or the path of a folder
        with a sub-folder of images for each class, which has columns of pixels, and `CLASS`.
    expected : collection of str
        Names of columns that a header has.

    Returns
    -------
    dict of str to ndarray of shape (n_rows,)

    Raises
    ------
    ValueError
        If it is no table, or has no rows.
    OSError
        If it cannot be read.
    ImportError
        If the library that reads it is not installed.
    """
    if data == "-":
        return read_bytes(sys.stdin.buffer.read(), "standard input", expected)
    path = Path(data)
    return _read_images(data) if path.is_dir() else read_file(path, expected)


def is_images(data: str) -> bool:
    """Whether `read_table` takes it for images."""
    return data != "-" and Path(data).is_dir()


def title(data: str) -> str:
    """What a table is called in what a command prints."""
    return "standard input" if data == "-" else Path(data).name or data


def _read_images(data: str) -> Table:
    from fastnn.datasets import read_image_folder

    X, y, classes = read_image_folder(data, _SIDE)
    columns = {f"pixel {i}": column for i, column in enumerate(X.T)}
    return {**columns, CLASS: np.array(classes, object)[y]}


def refuse_same(option: str, path: Path, other_option: str, other: str | Path) -> None:
    """ValueError, if a file is to be written that is read, or another one that is written."""
    if path.is_file() or not path.exists():  # a device may be both
        same = path.resolve() == Path(other).resolve()
        if same and str(other) != "-":
            raise ValueError(f"{option} must be another file than {other_option}, got {path}")


def refuse_absent(column: str, table: Table, name: str) -> None:
    """ValueError, with the name that was probably meant, if a table has no such column."""
    if column not in table:
        raise ValueError(f"{name} has {absent(column, table)}")


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Puts the name of the table in front of what a model cannot use of it."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {error}") from error


def n_rows_of(table: Table) -> int:
    """How many rows there are."""
    return len(next(iter(table.values())))


def rows_of(table: Table, rows: Any) -> Table:
    """Some rows."""
    return {name: values[rows] for name, values in table.items()}

"""Tables that a command is given: a file, standard input, or a folder of images."""

from __future__ import annotations

import difflib
import math
import sys
from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np

from fastnn.tabular.table_files import Table, read_bytes, read_file

#: The column of a folder of images that holds the names of its sub-folders.
CLASS = "class"

_PIXEL = "pixel "
_SIDE = 32  # pixels of images to train on: height and width


def read_table(data: str, expected: Collection[str] = ()) -> Table:
    """The columns of a table.

    Parameters
    ----------
    data : str
        The path of a CSV, Parquet or NPZ file; ``-`` for standard input; or the path of a folder
        with a sub-folder of images for each class, which has columns of pixels, and `CLASS`.
    expected : collection of str
        Names of columns that a header has. Images get as many pixels as there are among them.

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
    return _read_images(data, expected) if path.is_dir() else read_file(path, expected)


def is_images(data: str) -> bool:
    """Whether `read_table` takes it for images."""
    return data != "-" and Path(data).is_dir()


def title(data: str) -> str:
    """What a table is called in what a command prints."""
    return "standard input" if data == "-" else Path(data).name or data


def _read_images(data: str, expected: Collection[str]) -> Table:
    from fastnn.datasets import read_image_folder

    n_values = sum(name.startswith(_PIXEL) for name in expected)
    X, y, classes = read_image_folder(data, math.isqrt(n_values // 3) or _SIDE)
    columns = {f"{_PIXEL}{i}": column for i, column in enumerate(X.T)}
    return {**columns, CLASS: np.array(classes, object)[y]}


def refuse_absent(column: str, names: Iterable[str], table: str) -> None:
    """ValueError, with the name that was probably meant, if a table has no such column."""
    names = list(names)
    if column in names:
        return
    lower = {name.lower().strip(): name for name in names}
    close = difflib.get_close_matches(column.lower().strip(), lower, 1)
    meant = f"did you mean {lower[close[0]]!r}? " if close else ""
    shown = ", ".join(map(repr, names[:20])) + ", ..." * (len(names) > 20)
    raise ValueError(f"{table} has no column {column!r}: {meant}It has {shown}")

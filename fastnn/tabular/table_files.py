"""Tables in files: CSV however it is written, Parquet, and NumPy's archives."""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections import Counter
from collections.abc import Collection
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn._extras import import_extra

Array = npt.NDArray[Any]

#: Columns by name, of one length.
Table = dict[str, Array]

_SEPARATORS = "\t;|,"
_SAMPLE = 1 << 16  # bytes of a CSV file that tell how it is written
_MOST_CODED = 4096  # texts of a column that are made codes while they are read
_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
_DECIMAL_POINT = re.compile(r"[+-]?\d*\.\d+([eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?")
_LEADING_ZERO = re.compile(r"0\d+")
_TIME_OF_DAY = re.compile(r"\d{2}:\d{2}(:\d{2})?")
_MISSING = ["", "NA", "N/A", "n/a", "#N/A", "<NA>", "NULL", "null", "NaN", "nan"]
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b"))
_KINDS = "it must be CSV, Parquet or NPZ"


def read_file(path: Path, expected: Collection[str] = ()) -> Table:
    """The columns of a table in a file; see `read_bytes`.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    return read_bytes(path.read_bytes(), str(path), expected)


def read_bytes(data: bytes, name: str, expected: Collection[str] = ()) -> Table:
    """The columns of a table, whose format is told by its content.

    Parameters
    ----------
    data : bytes
        Of a Parquet file; of an NPZ file, whose arrays of shape (n_rows, n_columns) become columns
        that are called X0, X1, ... after the array X; or of a text in UTF-8, UTF-16 or
        Windows-1252 with a comma, a semicolon, a tab or a bar between the fields, and decimal
        points or, where fields are not separated by commas, decimal commas. Where they are, commas
        between thousands ("1,234") are left out.
    name : str
        Of the table, for errors.
    expected : collection of str
        Names of columns. A first line of a CSV file that has one of them is its header, also where
        it looks like numbers.

    Returns
    -------
    dict of str to ndarray of shape (n_rows,)
        Missing texts are None, missing numbers NaN, missing dates NaT.

    Raises
    ------
    ValueError
        If it is no such table, or has no rows.
    ImportError
        If pyarrow is not installed and `data` is not NPZ.

    Warns
    -----
    UserWarning
        If a CSV file has no header; its columns are called 1, 2, ... then. If it is neither UTF-8
        nor UTF-16.
    """
    blanks = b"\xef\xbb\xbf\xff\xfe \t\r\n\0"
    if not data[:_SAMPLE].strip(blanks) and not data.strip(blanks):
        raise ValueError(f"{name} is empty: a table needs a line of column names, and rows")
    if data.startswith(b"PK\x03\x04"):
        table = _read_npz(data, name)
    elif data.startswith(b"PAR1"):
        table = _read_parquet(data, name)
    else:
        table = _read_csv(_in_utf8(data, name), name, expected)
    if not table or not len(next(iter(table.values()))):
        raise ValueError(f"{name} has column names and no rows: there is nothing to work on")
    return table


# ---- NPZ and Parquet -----------------------------------------------------------------------------


def _read_npz(data: bytes, name: str) -> Table:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except MemoryError:
        raise
    except Exception as error:  # zipfile and zlib raise whatever a damaged file provokes
        raise ValueError(f"cannot read {name} as NPZ: {error}") from error
    if not all(isinstance(array, np.ndarray) for array in arrays.values()):
        raise ValueError(f"{name} is an archive, but no table: {_KINDS} (save a sheet as CSV)")
    columns: list[tuple[str, Array]] = []
    for key, array in arrays.items():
        if array.ndim == 2:
            columns += [(f"{key}{i}", array[:, i]) for i in range(array.shape[1])]
        elif array.ndim == 1:
            columns.append((key, array))
        else:
            raise ValueError(f"{name}: {key!r} must have one or two dimensions, not {array.ndim}")
    _refuse_twins([key for key, _ in columns], name)
    lengths = {len(column): key for key, column in columns}
    if len(lengths) > 1:
        (a, first), (b, second) = list(lengths.items())[:2]
        raise ValueError(f"{name}: {first!r} has {a} rows, and {second!r} has {b}")
    return dict(columns)


def _read_parquet(data: bytes, name: str) -> Table:
    pyarrow = _pyarrow()
    from pyarrow import parquet

    try:
        table = parquet.read_table(pyarrow.BufferReader(data))
    except (pyarrow.ArrowException, OSError) as error:
        raise ValueError(f"cannot read {name} as Parquet: {error}") from error
    return _columns(table, list(table.column_names), name)


def _columns(table: Any, names: list[str], name: str) -> Table:
    """The columns of a table of Arrow's."""
    _refuse_twins(names, name)
    return {key: arrow_column(each) for key, each in zip(names, table.columns, strict=True)}


def arrow_column(column: Any) -> Array:
    """A column of Arrow's, chunked or not, as NumPy has it.

    `to_numpy` imports pandas, which takes as long as reading 50 MB of CSV, makes a text for each
    row, where rows of the same text share it here, and takes a missing category for the last one
    (pyarrow 26).
    """
    if not len(column):
        return np.empty(0)
    pyarrow = _pyarrow()
    if isinstance(column, pyarrow.Array):
        column = pyarrow.chunked_array([column])
    types = pyarrow.types
    kind = column.type
    is_coded = types.is_dictionary(kind)
    of_values = kind.value_type if is_coded else kind
    if types.is_string(of_values) or types.is_large_string(of_values):
        return _texts(column if is_coded else column.dictionary_encode())
    if is_coded:
        column = column.cast(of_values)
    missing: Any = np.nan
    if types.is_timestamp(of_values) or types.is_date32(of_values):
        unit: Any = "s" if types.is_date32(of_values) else of_values.unit
        column = column.cast(pyarrow.timestamp(unit))  # of UTC, where there is a zone
        missing = np.datetime64("NaT", unit)
    elif not types.is_integer(of_values) and not types.is_floating(of_values):
        values: Array = column.to_numpy()
        return values
    return np.concatenate([_filled(chunk, missing) for chunk in column.chunks if len(chunk)])


def _texts(column: Any) -> Array:
    """A column of texts, each row a code of one of them."""
    chunks = column.unify_dictionaries().chunks
    levels = np.array([*chunks[0].dictionary.to_pylist(), None], object)
    return np.concatenate([levels[_filled(chunk.indices, -1)] for chunk in chunks if len(chunk)])


def _filled(chunk: Any, missing: Any) -> Array:
    """The numbers or times of an array of Arrow's, without a copy where none is missing."""
    of_bits, data = chunk.buffers()
    rows = slice(chunk.offset, chunk.offset + len(chunk))
    values = np.frombuffer(data, _dtype(chunk.type))[rows]
    if not chunk.null_count:
        return values
    bits = np.unpackbits(np.frombuffer(of_bits, np.uint8), bitorder="little")[rows]
    return np.where(bits, values, missing)


def _dtype(kind: Any) -> Any:
    """NumPy's type for one of Arrow's, of numbers or times; `to_pandas_dtype` may import pandas."""
    types = _pyarrow().types
    if types.is_timestamp(kind):
        return np.dtype(f"M8[{kind.unit}]")
    letter = "f" if types.is_floating(kind) else "u" if types.is_unsigned_integer(kind) else "i"
    return np.dtype(f"{letter}{kind.bit_width // 8}")


def _pyarrow() -> Any:
    return import_extra("pyarrow", "pyarrow", "data")


def _refuse_twins(names: list[str], name: str) -> None:
    twice = [key for key, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"{name} must have columns of different names, got {twice[0]!r} twice")


# ---- CSV -----------------------------------------------------------------------------------------


def _in_utf8(data: bytes, name: str) -> bytes:
    """A text in UTF-8 without its mark."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _recoded(data, "utf-16", name)
    sample = data[:_SAMPLE]
    for encoding, zeros in (("utf-16-le", sample[1::2]), ("utf-16-be", sample[::2])):
        if zeros.count(0) > len(zeros) / 2:
            return _recoded(data, encoding, name)
    if len(sample.translate(None, _CONTROLS)) < len(sample):
        raise ValueError(f"{name} is no table: it has bytes that no text has; {_KINDS}")
    data = data.removeprefix(b"\xef\xbb\xbf")
    if data.isascii():
        return data
    try:
        data.decode()
    except UnicodeDecodeError:
        text = _recoded(data, "cp1252", name)
        warnings.warn(f"{name} is not UTF-8 and was read as Windows-1252", stacklevel=2)
        return text
    return data


def _recoded(data: bytes, encoding: str, name: str) -> bytes:
    try:
        return data.decode(encoding).encode()
    except UnicodeError:
        raise ValueError(f"{name} is no table: it is no text in {encoding}; {_KINDS}") from None


def _read_csv(data: bytes, name: str, expected: Collection[str]) -> Table:
    pyarrow = _pyarrow()
    from pyarrow import csv as arrow_csv

    data = data.lstrip(b"\r\n")
    separator = _separator(data)
    rows = _first_rows(data, separator)
    has_header = _has_header(rows, expected)
    if has_header:
        names = [field.strip() or f"column {i}" for i, field in enumerate(rows[0], 1)]
        rows = rows[1:]
    else:
        names = [str(i) for i in range(1, len(rows[0]) + 1)]
        warnings.warn(
            f"the first line of {name} holds numbers, so it was taken for a row; the columns are "
            f"called 1 to {len(names)}",
            stacklevel=2,
        )
    _refuse_twins(names, name)
    texts = {  # Arrow makes numbers of 007, and 08:15:00 of 08:15 where all rows are such times
        key
        for row in rows
        for key, field in zip(names, row, strict=False)
        if _LEADING_ZERO.fullmatch(field.strip()) or _TIME_OF_DAY.fullmatch(field.strip())
    }

    below_header = max(data.find(b"\n"), 0)
    try:
        table = arrow_csv.read_csv(
            pyarrow.BufferReader(data),
            read_options=arrow_csv.ReadOptions(
                column_names=names, skip_rows_after_names=int(has_header)
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=separator, newlines_in_values=data.find(b'"', below_header) >= 0
            ),
            convert_options=arrow_csv.ConvertOptions(
                null_values=_MISSING,
                strings_can_be_null=True,
                auto_dict_encode=True,
                auto_dict_max_cardinality=_MOST_CODED,
                decimal_point=_decimal_mark(rows, separator),
                column_types=dict.fromkeys(texts, pyarrow.string()),
            ),
        )
    except pyarrow.ArrowException as error:
        raise ValueError(
            f"cannot read {name} as CSV, whose rows must have as many fields as the first: {error}"
        ) from error
    columns = _columns(table, names, name)
    if separator == "," and b'"' in data:  # else no field has a comma
        columns |= {k: _without_commas(v) for k, v in columns.items() if v.dtype == object}
    return columns


def _without_commas(texts: Array) -> Array:
    """1,234.5 as 1234.5, unless a comma stands elsewhere than between thousands."""
    with_comma = {text for text in texts.tolist() if isinstance(text, str) and "," in text}
    if not with_comma or not all(_THOUSANDS.fullmatch(text) for text in with_comma):
        return texts
    plain = {text: text.replace(",", "") for text in with_comma}
    return np.array([plain.get(text, text) for text in texts.tolist()], object)


def _separator(data: bytes) -> str:
    """What splits most rows into the same number of fields, more than one."""

    def fitness(separator: str) -> tuple[float, bool, int]:
        counts = [len(row) for row in _first_rows(data, separator)]
        width, n_rows = Counter(counts).most_common(1)[0] if counts else (1, 0)
        share = n_rows / len(counts) if width > 1 else 0.0
        return share, separator != ",", width  # commas may be decimal ones

    return max(_SEPARATORS, key=fitness)


def _first_rows(data: bytes, separator: str) -> list[list[str]]:
    text = data[:_SAMPLE].decode(errors="ignore")
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    except csv.Error:
        return []
    if len(data) > _SAMPLE:
        del rows[1:][-1:]  # it may be cut
    return [row for row in rows if row][:200]


def _has_header(rows: list[list[str]], expected: Collection[str]) -> bool:
    """Whether the first row is one of names.

    It is where a column of numbers begins with something else; where nothing tells, it is too.
    """
    first, *others = rows
    places = {str(i) for i in range(1, len(first) + 1)}
    found = {field.strip() for field in first}.intersection(expected)
    if found - places:
        return True
    if places.issuperset(expected) and len(found) < len(set(expected)):
        return False
    if not others or _are_in_a_row(first):
        return True
    starts = [
        column[0]
        for column in zip(first, *others, strict=False)
        if any(column[1:]) and all(not f or _NUMBER.fullmatch(f.strip()) for f in column[1:])
    ]
    return not starts or not all(_NUMBER.fullmatch(start.strip()) for start in starts)


def _are_in_a_row(fields: list[str]) -> bool:
    """Whether they count up one by one, as the names of an array's columns or years do."""
    there = [field for field in fields if field]
    if len(there) < 2 or not all(field.isdecimal() for field in there):
        return False
    return all(int(b) == int(a) + 1 for a, b in pairwise(there))


def _decimal_mark(rows: list[list[str]], separator: str) -> str:
    if separator == ",":
        return "."
    fields = [field.strip() for row in rows for field in row]
    commas = sum(bool(_DECIMAL_COMMA.fullmatch(field)) for field in fields)
    points = sum(bool(_DECIMAL_POINT.fullmatch(field)) for field in fields)
    return "," if commas > points else "."

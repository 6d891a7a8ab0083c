"""Tables that are read part by part: Parquet files, and record batches of Arrow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import _validation
from fastnn._extras import import_extra
from fastnn._keywords import checked_keywords

Array = npt.NDArray[Any]
Path = str | PathLike[str]

#: X and y, or X, y and sample_weight, of some rows.
Chunk = tuple[Array, ...]


class Parquet:
    """The row groups of Parquet files as chunks for `Network.fit`; see `parquet`.

    Each iteration begins at the first row group, and reads one after the other.

    Attributes
    ----------
    columns : tuple of str
        Of X, in their order.
    n_samples, n_features : int
        Rows, and columns of X: from the files' metadata.
    """

    def __init__(
        self,
        paths: Sequence[str],
        columns: _Columns,
        dtype: np.dtype[Any],
        shard: tuple[int, int],
    ) -> None:
        pyarrow = _parquet_module()
        self._paths, self._columns, self._dtype = paths, columns, dtype
        self._groups: list[tuple[int, int]] = []  # file and row group of each
        n_rows, of_first = [], None
        for i, path in enumerate(paths):
            with _opened(pyarrow, path) as file:
                names = file.schema_arrow.names
                if of_first is None:
                    of_first = columns.chosen(names, path)
                columns.check(names, path)
                self._groups += [(i, group) for group in range(file.metadata.num_row_groups)]
                n_rows += [
                    file.metadata.row_group(group).num_rows
                    for group in range(file.metadata.num_row_groups)
                ]
        assert of_first is not None
        self.columns = of_first
        number, n_shards = shard
        self._groups = self._groups[number::n_shards]
        self.n_samples, self.n_features = sum(n_rows[number::n_shards]), len(of_first)

    def __iter__(self) -> Iterator[Chunk]:
        pyarrow, opened = _parquet_module(), -1
        file: Any = None
        try:
            for i, group in self._groups:
                if i != opened:
                    if file is not None:
                        file.close()
                    file, opened = _opened(pyarrow, self._paths[i]), i
                names = self._columns.names(self.columns)
                table = file.read_row_group(group, columns=names, use_threads=False)
                place = f"{self._paths[i]}, row group {group}"
                yield _chunk(table, self.columns, self._columns, self._dtype, place)
        finally:
            if file is not None:
                file.close()

    def __repr__(self) -> str:
        return (
            f"<{self.n_samples:,} rows of {self.n_features} columns in {len(self._groups)} row "
            f"groups>"
        )


class RecordBatches:
    """Record batches of Arrow as chunks for `Network.fit`; see `record_batches`."""

    def __init__(self, batches: Any, columns: _Columns, dtype: np.dtype[Any]) -> None:
        self._batches, self._columns, self._dtype = batches, columns, dtype

    def __iter__(self) -> Iterator[Chunk]:
        batches = self._batches() if callable(self._batches) else self._batches
        chosen: tuple[str, ...] | None = None
        for i, batch in enumerate(batches):
            place = f"batch {i}"
            if not hasattr(batch, "schema") or not hasattr(batch, "column"):
                raise TypeError(
                    f"{place} must be a record batch of pyarrow, got {_validation.shown(batch)}"
                )
            names = batch.schema.names
            if chosen is None:
                chosen = self._columns.chosen(names, place)
            self._columns.check(names, place)
            yield _chunk(batch, chosen, self._columns, self._dtype, place)


class _Columns:
    """Which columns are X, y and sample_weight.

    Parameters
    ----------
    target : str or sequence of str
    columns : sequence of str or None
        None: all others.
    sample_weight : str or None
    """

    def __init__(self, target: Any, columns: Any, sample_weight: Any) -> None:
        self.targets = _names(target, "target") if not isinstance(target, str) else (target,)
        self.is_single = isinstance(target, str)
        self.told = None if columns is None else _names(columns, "columns")
        if sample_weight is not None and not isinstance(sample_weight, str):
            raise TypeError(
                f"sample_weight must be the name of a column, got "
                f"{_validation.shown(sample_weight)}"
            )
        self.weight = sample_weight
        both = set(self.told or ()).intersection(self._others)
        if both:
            raise ValueError(
                f"columns must not have those of target and sample_weight, got {min(both)!r}"
            )

    @property
    def _others(self) -> tuple[str, ...]:
        return self.targets + (() if self.weight is None else (self.weight,))

    def chosen(self, names: Sequence[str], place: str) -> tuple[str, ...]:
        """Those of X, where a table has columns of these names."""
        if self.told is not None:
            return self.told
        found = tuple(name for name in names if name not in self._others)
        if not found:
            raise ValueError(f"{place} has no columns but those of target and sample_weight")
        return found

    def names(self, of_X: Sequence[str]) -> list[str]:
        """All that are read."""
        return [*of_X, *self._others]

    def check(self, names: Sequence[str], place: str) -> None:
        """Refuses a table without the columns that were told."""
        for name in (*(self.told or ()), *self._others):
            if list(names).count(name) != 1:
                has = "several columns" if name in names else "no column"
                raise ValueError(
                    f"{place} has {has} {name!r}; it has {_validation.short(list(names))}"
                )


@checked_keywords
def parquet(
    path: Path | Sequence[Path],
    target: str | Sequence[str],
    columns: Sequence[str] | None = None,
    sample_weight: str | None = None,
    dtype: npt.DTypeLike = "float32",
    shard: tuple[int, int] = (0, 1),
) -> Parquet:
    """Parquet files of numbers as chunks ``(X, y)``: row group after row group, for `Network.fit`.

    Parameters
    ----------
    path : str or path-like, or sequence of them
        Files with the same columns.
    target : str or sequence of str
        The column of y, which keeps its dtype, or several: y is of `dtype` then.
    columns : sequence of str, optional
        Those of X. None: all but `target` and `sample_weight`.
    sample_weight : str, optional
        The column of the samples' weights.
    dtype : {"float32", "float64"}
        Of X.
    shard : (int, int)
        ``(i, n)``: only every n-th row group, from the i-th one on, counted from 0. So n readers
        share the files.

    Returns
    -------
    Parquet
        What can be iterated over again and again, with the attributes `n_samples`, `n_features`
        and `columns`. A chunk is ``(X, y)``, or ``(X, y, sample_weight)``: a row group, which is
        in memory as a whole.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above, a file is no Parquet file or lacks a column. While it is
        read: if a column has missing values, or no numbers.
    OSError
        If a file cannot be read.
    ImportError
        If pyarrow is not installed.

    Examples
    --------
    >>> import tempfile
    >>> import pyarrow, pyarrow.parquet
    >>> from fastnn import Network
    >>> from fastnn.datasets import parquet
    >>> table = pyarrow.table({"a": [0.0, 1.0, 2.0], "b": [1.0, 0.0, 1.0], "y": [0, 1, 1]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pyarrow.parquet.write_table(table, f"{folder}/table.parquet", row_group_size=2)
    ...     rows = parquet(f"{folder}/table.parquet", target="y")
    ...     history = Network.from_sizes([2, 4, 1], seed=0).fit(rows, epochs=3)
    >>> rows
    <3 rows of 2 columns in 2 row groups>
    """
    given = [path] if isinstance(path, (str, PathLike)) else list(path)
    paths = [_validation.checked_path(each) for each in given]
    if not paths:
        raise ValueError("path must name at least one file, got none")
    return Parquet(
        paths,
        _Columns(target, columns, sample_weight),
        _validation.float_dtype(dtype),
        _checked_shard(shard),
    )


@checked_keywords
def record_batches(
    batches: Iterable[Any] | Callable[[], Iterable[Any]],
    target: str | Sequence[str],
    columns: Sequence[str] | None = None,
    sample_weight: str | None = None,
    dtype: npt.DTypeLike = "float32",
) -> Iterable[Chunk]:
    """Record batches of pyarrow as chunks ``(X, y)`` for `Network.fit`.

    Parameters
    ----------
    batches : iterable of pyarrow.RecordBatch, or callable
        For several epochs one that can be iterated over again, such as a list, or a function that
        returns one, such as ``dataset.to_batches``. Tables will do too.
    target : str or sequence of str
        The column of y, which keeps its dtype, or several: y is of `dtype` then.
    columns : sequence of str, optional
        Those of X. None: all but `target` and `sample_weight`.
    sample_weight : str, optional
        The column of the samples' weights.
    dtype : {"float32", "float64"}
        Of X.

    Returns
    -------
    iterable of (X, y) or (X, y, sample_weight)
        An iterator, for one epoch, if `batches` is one.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above. While they are read: if a batch lacks a column, or a column
        has missing values or no numbers.

    Examples
    --------
    >>> import pyarrow
    >>> from fastnn.datasets import record_batches
    >>> table = pyarrow.table({"a": [0.0, 1.0, 2.0], "y": [0, 1, 1]})
    >>> for X, y in record_batches(table.to_batches(max_chunksize=2), target="y"):
    ...     print(X.shape, y)
    (2, 1) [0 1]
    (1, 1) [1]
    """
    if not callable(batches) and not isinstance(batches, Iterable):
        raise TypeError(
            f"batches must be an iterable of record batches or a function that returns one, got "
            f"{_validation.shown(batches)}"
        )
    chosen = _Columns(target, columns, sample_weight)
    chunks = RecordBatches(batches, chosen, _validation.float_dtype(dtype))
    return iter(chunks) if isinstance(batches, Iterator) else chunks


def _names(value: Any, name: str) -> tuple[str, ...]:
    is_list = isinstance(value, Iterable) and not isinstance(value, (str, bytes))
    names = tuple(value) if is_list else ()
    if not is_list or not all(isinstance(each, str) for each in names):
        raise TypeError(f"{name} must be names of columns, got {_validation.shown(value)}")
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"{name} must be one or more different names of columns, got {_validation.short(value)}"
        )
    return names


def _checked_shard(shard: Any) -> tuple[int, int]:
    if not isinstance(shard, (tuple, list)) or len(shard) != 2:
        raise TypeError(f"shard must be (i, n), got {_validation.shown(shard)}")
    n = _validation.positive_int(shard[1], "shard[1]")
    number = shard[0]
    if number != 0 or isinstance(number, bool):
        number = _validation.positive_int(number, "shard[0]", at_most=n - 1)
    return number, n


def _parquet_module() -> Any:
    return import_extra("pyarrow.parquet", "pyarrow", "data")


def _opened(module: Any, path: str) -> Any:
    import pyarrow

    try:
        return module.ParquetFile(path)
    except pyarrow.ArrowInvalid as error:
        raise ValueError(f"cannot read {path} as Parquet: {error}") from error


def _chunk(
    table: Any, of_X: Sequence[str], columns: _Columns, dtype: np.dtype[Any], place: str
) -> Chunk:
    """X, y and perhaps weights of a table or a record batch."""
    X = _matrix(table, of_X, dtype, place)
    if columns.is_single:
        y = _numbers(table, columns.targets[0], place)
    else:
        y = _matrix(table, columns.targets, dtype, place)
    if columns.weight is None:
        return X, y
    return X, y, _numbers(table, columns.weight, place)


def _matrix(table: Any, names: Sequence[str], dtype: np.dtype[Any], place: str) -> Array:
    """Columns side by side; what is beyond the range of `dtype` is infinite."""
    matrix = np.empty((table.num_rows, len(names)), dtype)
    with np.errstate(all="ignore"):
        for j, name in enumerate(names):
            matrix[:, j] = _numbers(table, name, place)
    return matrix


def _numbers(table: Any, name: str, place: str) -> Array:
    """A column as an array."""
    if table.schema.names.count(name) != 1:
        raise ValueError(f"{place} must have the column {name!r}, as the first one has")
    column = table.column(name)
    if column.null_count > 0:
        raise ValueError(
            f"{place}: the column {name!r} has {column.null_count} missing values; fill them, or "
            f"leave the column out with columns="
        )
    array = np.asarray(column.to_numpy(zero_copy_only=False))
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{place}: the column {name!r} must be numbers, got {column.type}; encode it, or leave "
            f"it out with columns="
        )
    return array

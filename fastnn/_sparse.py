"""Samples as sparse rows: matrices of SciPy, checked and as the core reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn._extras import of_loaded

Array = npt.NDArray[Any]

# Indices checked at a time.
_BLOCK = 1 << 22


class SparseRows:
    """Samples in CSR form, as the core reads them.

    The arrays are a user's, and another thread may write to them. `starts` is a copy that nobody
    else has; the core checks each column again when it reads it.

    Parameters
    ----------
    values : ndarray of shape (n_entries,), float32 or float64
    columns : ndarray of shape (n_entries,), int32 or int64
        In any order; entries of a row in the same column add up.
    starts : ndarray of shape (n_samples + 1,), int64
        Row i has the entries in [starts[i], starts[i + 1]).
    n_features : int
    """

    ndim = 2

    def __init__(self, values: Array, columns: Array, starts: Array, n_features: int) -> None:
        self.values, self.columns, self.starts = values, columns, starts
        self.shape = len(starts) - 1, n_features

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """Of the entries and of where the rows begin."""
        n_entries = int(self.starts[-1] - self.starts[0])
        return n_entries * (self.dtype.itemsize + self.columns.itemsize) + self.starts.nbytes

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values."""
        return self.values.dtype

    def __getitem__(self, rows: slice | Array) -> SparseRows:
        """Some of the rows: a slice of step 1 shares the arrays, numbers of rows make a copy."""
        if isinstance(rows, slice):
            first, end, _ = rows.indices(len(self))
            starts = self.starts[first : max(first, end) + 1]
            return SparseRows(self.values, self.columns, starts, self.shape[1])
        lengths = np.diff(self.starts)[rows]
        starts = np.concatenate([[0], np.cumsum(lengths)])
        places = np.arange(starts[-1]) + np.repeat(self.starts[:-1][rows] - starts[:-1], lengths)
        return SparseRows(self.values[places], self.columns[places], starts, self.shape[1])

    def with_empty_rows(self, n_rows: int) -> SparseRows:
        """These rows, and so many without entries that there are `n_rows`; shares the entries."""
        starts = np.concatenate([self.starts, np.repeat(self.starts[-1:], n_rows - len(self))])
        return SparseRows(self.values, self.columns, starts, self.shape[1])

    def toarray(self, dtype: npt.DTypeLike) -> Array:
        """The rows as a dense array of shape (n_samples, n_features)."""
        rows = np.repeat(np.arange(len(self)), np.diff(self.starts))
        entries = slice(self.starts[0], self.starts[-1])
        array = np.zeros(self.shape, dtype)
        np.add.at(array, (rows, self.columns[entries]), self.values[entries])
        return array

    def apart_from(self, others: tuple[Array, ...]) -> SparseRows:
        """These rows, with a copy of the values where they share memory with one of `others`."""
        if not any(np.may_share_memory(other, self.values) for other in others):
            return self
        return SparseRows(self.values.copy(), self.columns, self.starts, self.shape[1])


def joined(parts: Sequence[Array | SparseRows]) -> Array | SparseRows:
    """A copy of samples, one after the other; all are dense, or sparse with as many columns."""
    rows = [part for part in parts if isinstance(part, SparseRows)]
    if not rows:
        return np.concatenate([part for part in parts if isinstance(part, np.ndarray)])
    values = [part.values[part.starts[0] : part.starts[-1]] for part in rows]
    columns = [part.columns[part.starts[0] : part.starts[-1]] for part in rows]
    lengths = np.concatenate([np.diff(part.starts) for part in rows])
    starts = np.concatenate([[0], np.cumsum(lengths)])
    return SparseRows(np.concatenate(values), np.concatenate(columns), starts, rows[0].shape[1])


def dense_rows(X: Array | SparseRows, part: Any, dtype: np.dtype[Any]) -> Array:
    """Some rows of samples, C-contiguous."""
    if isinstance(X, SparseRows):
        return X[part].toarray(dtype)
    return np.ascontiguousarray(X[part], dtype)


def is_sparse(value: Any) -> bool:
    """Whether `value` is a matrix or an array of ``scipy.sparse``, which need not be imported."""
    issparse = of_loaded("scipy.sparse", "issparse")
    return issparse is not None and bool(issparse(value))


def sparse_rows(value: Any, dtype: np.dtype[Any], name: str) -> SparseRows:
    """A sparse matrix as the core reads it, without a copy of its entries where it is CSR already.

    Parameters
    ----------
    value : scipy.sparse matrix or array of shape (n_samples, n_features)
        Of another format than CSR: a CSR copy is made.
    dtype : numpy.dtype
        Values of no float dtype are converted to it.
    name : str
        Of the argument, for errors.

    Raises
    ------
    TypeError, ValueError
        If its arrays do not fit together, or it holds no real numbers.
    """
    if value.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be an array of numbers, got dtype {value.dtype}")
    csr = value if value.format == "csr" else _converted(value, name)
    n_samples, n_features = csr.shape
    values, columns, starts = (np.asarray(part) for part in (csr.data, csr.indices, csr.indptr))
    for part, what in ((values, "data"), (columns, "indices"), (starts, "indptr")):
        if part.ndim != 1:
            raise ValueError(f"{name}.{what} must have 1 dimension, got shape {part.shape}")
    for part, what in ((columns, "indices"), (starts, "indptr")):
        if part.dtype.kind not in "iu":
            raise TypeError(f"{name}.{what} must be integers, got dtype {part.dtype}")
    starts = starts.astype(np.int64)  # a copy
    if len(starts) != n_samples + 1:
        raise ValueError(
            f"{name}.indptr must be of shape ({n_samples + 1},), one more than the rows, got "
            f"shape {starts.shape}"
        )
    n_entries = min(len(columns), len(values))
    falls = np.flatnonzero(starts[1:] < starts[:-1])  # differences could overflow
    if starts[0] != 0 or starts[-1] > n_entries or falls.size > 0:
        row = int(falls[0]) if falls.size > 0 else 0 if starts[0] != 0 else n_samples - 1
        raise ValueError(
            f"{name}.indptr must rise from 0 to at most {n_entries}, the entries that there are, "
            f"got {' and '.join(map(str, starts[row : row + 2]))} for row {row}"
        )
    if values.dtype.kind == "f" and values.dtype.itemsize in (4, 8):
        dtype = values.dtype.newbyteorder("=")
    index = np.dtype(np.int32 if columns.dtype.itemsize <= 4 else np.int64)
    if columns.dtype.kind == "u" and columns.dtype.itemsize == 4:
        index = np.dtype(np.int64)
    n_entries = int(starts[-1])
    with np.errstate(all="ignore"):  # what does not fit becomes infinity, which is refused
        values = np.require(values[:n_entries], dtype, ["C_CONTIGUOUS", "ALIGNED"])
    columns = np.require(columns[:n_entries], index, ["C_CONTIGUOUS", "ALIGNED"])
    _check_columns(columns, starts, n_features, name)
    return SparseRows(values, columns, starts, n_features)


def _converted(value: Any, name: str) -> Any:
    """A CSR matrix of one of another format, whose indices SciPy's conversion does not check."""
    try:
        if value.format in ("csc", "bsr"):
            value.check_format()
        elif value.format == "coo":  # which is checked when it is made
            type(value)((value.data, (value.row, value.col)), shape=value.shape)
    except ValueError as error:
        raise ValueError(f"{name} must be a sparse matrix without damage: {error}") from None
    return value.tocsr()


def _check_columns(columns: Array, starts: Array, n_features: int, name: str) -> None:
    for first in range(0, len(columns), _BLOCK):
        block = columns[first : first + _BLOCK]
        if block.min() >= 0 and block.max() < n_features:
            continue
        odd = np.flatnonzero((block < 0) | (block >= n_features))
        if odd.size == 0:
            raise ValueError(f"{name}.indices have changed while they were checked")
        entry = first + int(odd[0])
        raise ValueError(
            f"{name}.indices must be columns in [0, {n_features}), got {columns[entry]} in row "
            f"{row_of(starts, entry)}"
        )


def row_of(starts: Array, entry: int) -> int:
    """The row that an entry belongs to."""
    return int(np.searchsorted(starts, entry, side="right")) - 1

"""Samples that are not all in memory: what they come as, and what is made of them.

A source gives an epoch's samples part by part. A reader (`_reader.py`) makes blocks of one size of
them, whatever the sizes of the parts.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from fastnn import _maps, _validation
from fastnn._sparse import SparseRows
from fastnn.optimizers import LBFGS

if TYPE_CHECKING:
    from fastnn._evaluation import EvaluationData
    from fastnn._options import FitOptions
    from fastnn._reader import BlockReader
    from fastnn.network import Network

Array = npt.NDArray[Any]

#: Some samples: (X, y) or (X, y, sample_weight).
Chunk = tuple[Any, ...] | list[Any]

#: Those of an epoch, each time that it is gone through or called.
ChunksLike = Iterable[Chunk] | Callable[[], Iterable[Chunk]]


class Part(NamedTuple):
    """Samples that are checked, but for numbers of X that are not finite.

    Attributes
    ----------
    X, y, weights
        As in `Samples`.
    place : str
        Where they come from, for errors, such as ``"chunk 3: "``.
    first_row : int
        Rows of that place that come before these.
    """

    X: Array | SparseRows
    y: Array
    weights: Array | None
    place: str
    first_row: int

    def rows(self, first: int, end: int | None = None) -> Part:
        """Some of the samples."""
        weights = None if self.weights is None else self.weights[first:end]
        row = self.first_row + first
        return Part(self.X[first:end], self.y[first:end], weights, self.place, row)

    def check_finite(self, X: Array | SparseRows, dtype: np.dtype[Any]) -> None:
        """Refuses numbers that are not finite, in X or in a copy of it."""
        try:
            _validation.finite(X, dtype, "X", self.first_row)
        except ValueError as error:
            raise ValueError(f"{self.place}{error}") from None


class Source(Protocol):
    """Where blocks come from."""

    @property
    def n_samples(self) -> int | None:
        """Of an epoch; None: not known before its end."""
        ...

    @property
    def block_size(self) -> int | None:
        """Samples of a block; None: as by default."""
        ...

    @property
    def repeats(self) -> bool:
        """Whether all epochs have the same samples: one look at them is enough."""
        ...

    @property
    def validation(self) -> EvaluationData | None:
        """What the call validates with."""
        ...

    def parts(self, epoch: int, skip: int) -> Generator[Part, None, None]:
        """Those of an epoch of this call, counted from 0, but for the first `skip` samples."""
        ...


def default_block_size(row_bytes: int, batch_size: int) -> int:
    """Samples of a block that nobody has told the size of: whole mini-batches."""
    return max(1, _maps.BUDGET // (row_bytes * batch_size)) * batch_size


def whole_batches(block_size: int, batch_size: int) -> int:
    """A block's size that mini-batches do not cross."""
    return -(-block_size // batch_size) * batch_size


def source_of(net: Network, X: Any, y: Any, options: FitOptions) -> Source | None:
    """What X and y stream from; None where they are arrays to train on where they are.

    Raises
    ------
    TypeError, ValueError
    """
    if y is None and gives_chunks(X):
        from fastnn._chunks import Chunks  # here and below: most programs train on arrays

        return Chunks(net, X, options)
    batch_size = options.training.batch_size
    if batch_size is None or isinstance(options.training.optimizer, LBFGS):
        return None
    if not _maps.is_mapped(X) or X.ndim != 2 or X.size == 0:
        return None
    from fastnn._mapped import MappedRows

    first = _validation.dense_samples(X[:1], options.like(net).n_features, net.dtype)
    row_bytes = first.nbytes + net.n_outputs * net.dtype.itemsize
    block_size = options.block_size or default_block_size(row_bytes, batch_size)
    block_size = whole_batches(block_size, batch_size)
    if block_size >= len(X):
        return None
    return MappedRows(net, X, y, options, block_size)


def reader_of(source: Source, options: FitOptions, dtype: np.dtype[Any]) -> BlockReader:
    """What makes blocks of a source, for a network of this dtype."""
    from fastnn import _in_place, _mapped, _reader  # most programs need no queues and threads

    if isinstance(source, _mapped.MappedRows) and source.can_stay:
        return _in_place.InPlaceReader(source, options, dtype)
    return _reader.BufferedReader(source, options, dtype)


def gives_chunks(X: Any) -> bool:
    """Whether it is what chunks come from, and no array."""
    if hasattr(X, "__array__") or isinstance(X, (str, bytes, Mapping)):
        return False
    return callable(X) or isinstance(X, Iterable)


def gives_chunks_of_both(data: Any) -> bool:
    """The same of what may also be a pair of arrays ``(X, y)``, or ``(X, y, sample_weight)``."""
    if isinstance(data, (tuple, list)):
        return len(data) > 0 and all(_is_chunk(each) for each in data)
    return gives_chunks(data)


def refuse_chunks(value: Any, name: str, who: str) -> None:
    """Says what to do with chunks where arrays are needed; what may be an array passes.

    Raises
    ------
    TypeError
    """
    if hasattr(value, "shape") or not gives_chunks_of_both(value):
        return
    if isinstance(value, (tuple, list)) or callable(value) or not hasattr(value, "__getitem__"):
        raise TypeError(
            f"{name} must be arrays for {who}, got chunks; put them together with np.concatenate, "
            f"or write them to a file that np.load(path, mmap_mode='r') maps"
        )


def _is_chunk(value: Any) -> bool:
    """Whether it begins with a table; neither a table nor a column does."""
    if not isinstance(value, (tuple, list)) or len(value) not in (2, 3):
        return False
    first = value[0]
    if not hasattr(first, "shape") and isinstance(first, (tuple, list)) and len(first) > 0:
        return hasattr(first[0], "__len__")  # rows
    return len(getattr(first, "shape", ())) == 2


def random_order(seed: int, key: int, n: int) -> npt.NDArray[np.int64]:
    """A permutation that the network's seed and a number of steps determine."""
    sequence = np.random.SeedSequence(seed, spawn_key=(_STREAM, key))
    order: npt.NDArray[np.int64] = np.random.Generator(np.random.PCG64(sequence)).permutation(n)
    return order


# Apart from the seed's other streams: see `_split.py`.
_STREAM = (1 << 16) + 1

"""Blocks of a mapped file that are trained on where they are, with their pages in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastnn import _maps, _validation
from fastnn._data import Samples
from fastnn._reader import Block, BlockReader, Stopped
from fastnn._scaling import rows_to_look_at

if TYPE_CHECKING:
    from fastnn._mapped import MappedRows
    from fastnn._options import FitOptions

Array = npt.NDArray[Any]

# Blocks ahead of the one whose pages come next, that the operating system is told of.
_AHEAD = 2

Pieces = list[tuple[int, int]]


class InPlaceReader(BlockReader):
    """Has the pages of a block in memory while it is trained on, and gives them back after it.

    Parameters
    ----------
    rows : MappedRows
        Of an array that the core can read.
    options, dtype
        As for `BlockReader`.
    """

    def __init__(self, rows: MappedRows, options: FitOptions, dtype: np.dtype[Any]) -> None:
        super().__init__(rows, options, dtype)
        self._check_position(rows.block_size)
        self._block_size, self._rows = rows.block_size, rows
        # Of any rows: all blocks are rows of the same arrays
        some = np.arange(min(rows.block_size, rows.n_samples))
        self._all = rows.samples._replace(subset=some)
        self._held: deque[Pieces] = deque()  # whose pages are there, the oldest first
        for _ in range(2):
            self._free.put(self._all)

    def close(self, interrupted: bool) -> None:
        super().close(interrupted)
        for pieces in list(self._held):
            self._give_back(pieces)

    def _some(self, samples: Samples) -> Array:
        X, subset = samples.X, samples.subset
        assert isinstance(X, np.ndarray)
        assert subset is not None
        some: Array = X[subset[rows_to_look_at(len(subset), X.shape[1])]]
        return some

    def _blocks(self, epoch: int, skip: int) -> Iterator[Block]:
        blocks = self._rows.blocks(epoch, skip)
        if not blocks:
            self._refuse_no_samples(epoch, skip)
        for pieces in blocks[:_AHEAD]:
            self._announce(pieces)
        n_before = skip
        for i, pieces in enumerate(blocks):
            for following in blocks[i + _AHEAD : i + _AHEAD + 1]:
                self._announce(following)
            if self._free.get() is None:
                raise Stopped
            if len(self._held) == 2:
                self._give_back(self._held[0])
                self._held.popleft()
            self._held.append(pieces)
            self._read_in(pieces, self._are_new(epoch))
            subset = self._numbers(pieces)
            samples = self._all._replace(subset=subset)
            yield Block(samples, self._all, n_before, i == len(blocks) - 1)
            n_before += len(subset)

    def _arrays(self, pieces: Pieces) -> Iterator[tuple[int, Array, Array]]:
        """The first row of each piece, and its parts of X and y."""
        X, y = self._all.X, self._all.y
        assert isinstance(X, np.ndarray)
        for piece in pieces:
            span = self._rows.span(piece)
            yield span.start, X[span], y[span]

    def _announce(self, pieces: Pieces) -> None:
        for _, X, y in self._arrays(pieces):
            _maps.will_need(X)
            _maps.will_need(y)

    def _read_in(self, pieces: Pieces, are_new: bool) -> None:
        for first, X, y in self._arrays(pieces):
            if are_new:  # rows that are set aside are among them, which have been checked
                _validation.finite(X, self._dtype, "X", first, keeps_pages=True)
            _maps.read_in(X)
            _maps.read_in(y)

    def _give_back(self, pieces: Pieces) -> None:
        for _, X, y in self._arrays(pieces):
            _maps.give_back(X)
            _maps.give_back(y)

    def _numbers(self, pieces: Pieces) -> npt.NDArray[np.int64]:
        """Of the rows of a block."""
        numbers = np.concatenate([np.arange(*piece) for piece in pieces])
        rows = self._rows.samples.subset
        return numbers if rows is None else rows[numbers]

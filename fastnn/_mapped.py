"""The rows of an array in a mapped file, as a source of blocks."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastnn import _maps, _validation, _weights
from fastnn._data import Samples, apart_from, rows_aside, validation_samples
from fastnn._streams import Part, random_order

if TYPE_CHECKING:
    from fastnn._options import FitOptions
    from fastnn.network import Network

Array = npt.NDArray[Any]

# Of which a block is put together: so many places of the file meet in it.
_PIECES = 8


class MappedRows:
    """All rows of X, or those that are not set aside, in an order for each epoch.

    Shuffled, the file is cut into pieces of an eighth of a block. They come in a random order, and
    the samples of a block, which the core shuffles, are those of eight pieces.

    Parameters
    ----------
    net : Network
    X : ndarray of shape (n_samples, n_features)
        In a mapped file.
    y : array-like
        Of targets, which are checked at once.
    options : FitOptions
    block_size : int
        Whole mini-batches.

    Raises
    ------
    TypeError, ValueError
    """

    repeats = True

    def __init__(
        self, net: Network, X: Array, y: Any, options: FitOptions, block_size: int
    ) -> None:
        architecture, like = net._architecture, options.like(net)
        batch_size, watching = options.training.batch_size, options.watching
        assert batch_size is not None
        self._X = _validation.numbers(X, "X")
        _, self._y = apart_from(net._state, self._X, architecture.checked_targets(y, self._X))
        self._weights = _weights.sample_weights(
            architecture, self._y, options.sample_weight, options.class_weight
        )
        self._rows: npt.NDArray[np.int64] | None = None
        self.block_size, self._dtype = block_size, architecture.dtype
        self.validation: Samples | None = None
        if watching.validation_data is not None:
            self.validation = validation_samples(net, watching.validation_data, X.shape[1])
        if watching.validation_split is not None:
            fraction, seed = watching.validation_split, like.seed
            self._rows, aside = rows_aside(architecture, self._y, fraction, seed)
            self._weights = _weights.of_rows(self._weights, self._rows)
            self.validation = Samples(self._taken(aside), self._y[aside], None)
            self._y = self._y[self._rows]
        self.n_samples = len(self._y)
        self._seed = like.seed if options.training.shuffle else None
        state = like._state
        n_updates = 0 if state is None else state.updates_for(options.training.optimizer)
        n_before = 0 if options.position is None else options.position.n_samples
        self._n_updates = max(0, n_updates - n_before // batch_size)  # before the first epoch
        self._steps_per_epoch = -(-self.n_samples // batch_size)

    def parts(self, epoch: int, skip: int) -> Generator[Part, None, None]:
        ranges = self._ranges(self._n_updates + epoch * self._steps_per_epoch, skip)
        for i, (first, end) in enumerate(ranges):
            for following in ranges[i + 1 : i + 2]:
                _maps.will_need(self._span(*following))
            X = _validation.dense_samples(self._taken(slice(first, end)), None, self._dtype)
            weights = None if self._weights is None else self._weights[first:end]
            # Rows that are not side by side have no first one that others could be counted from
            yield Part(X, self._y[first:end], weights, "", first if self._rows is None else 0)
            _maps.give_back(self._span(first, end))
            _maps.give_back(self._y[first:end])

    def _ranges(self, n_updates: int, skip: int) -> list[tuple[int, int]]:
        """First and end of the pieces of an epoch before which there were so many steps.

        The seed and this number alone determine their order, so that a resumed run has the same.
        """
        size = max(1, self.block_size // _PIECES)
        order = np.arange(-(-self.n_samples // size))
        if self._seed is not None:
            order = random_order(self._seed, n_updates, len(order))
        ranges: list[tuple[int, int]] = []
        block: list[tuple[int, int]] = []
        room = self.block_size
        for first in (size * order).tolist():
            end = min(first + size, self.n_samples)
            while first < end:
                middle = min(end, first + room)
                block.append((first, middle))
                room -= middle - first
                first = middle
                if room == 0:
                    ranges += sorted(block) if skip <= 0 else []
                    skip -= self.block_size
                    block, room = [], self.block_size
        return ranges + (sorted(block) if skip <= 0 else [])

    def _span(self, first: int, end: int) -> Array:
        """The part of the file that has some of the rows."""
        if self._rows is None:
            return self._X[first:end]
        return self._X[self._rows[first] : self._rows[end - 1] + 1]

    def _taken(self, which: slice | npt.NDArray[np.int64]) -> Array:
        """Rows by their numbers; those of a slice by their places among the rows to train on."""
        if isinstance(which, slice):
            return self._X[which] if self._rows is None else self._X[self._rows[which]]
        taken = np.empty((len(which), self._X.shape[1]), self._X.dtype)
        for first, end in _maps.slices(self._X):
            low, high = np.searchsorted(which, (first, end))
            taken[low:high] = self._X[which[low:high]]
            _maps.give_back(self._X[first:end])
        X = _validation.dense_samples(taken, None, self._dtype)
        _validation.finite(X, self._dtype, "X of validation_split")
        return X

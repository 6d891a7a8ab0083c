"""The rows of an array in a mapped file, as a source of blocks: copied, or where they are."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastnn import _maps, _validation, _weights
from fastnn._data import Samples, apart_from, rows_aside, spread, validation_of
from fastnn._streams import Part, random_order

if TYPE_CHECKING:
    from fastnn._evaluation import EvaluationData
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

    Attributes
    ----------
    samples : Samples
        All of them, in the file, with the rows that are trained on.
    """

    repeats = True

    def __init__(
        self, net: Network, X: Array, y: Any, options: FitOptions, block_size: int
    ) -> None:
        architecture, like = net._architecture, options.like(net)
        batch_size, watching = options.training.batch_size, options.watching
        assert batch_size is not None
        X = _validation.numbers(X, "X")
        _, y = apart_from(net._state, X, architecture.checked_targets(y, X))
        weights = _weights.sample_weights(
            architecture, y, options.sample_weight, options.class_weight
        )
        self.samples = Samples(X, y, weights)
        self.block_size, self._dtype = block_size, architecture.dtype
        self.validation: EvaluationData | None = None
        if watching.validation_data is not None:
            self.validation = validation_of(net, options, X.shape[1])
        if watching.validation_split is not None:
            fraction, seed = watching.validation_split, like.seed
            rows, aside = rows_aside(architecture, y, fraction, seed)
            weights = spread(_weights.of_rows(weights, rows), len(X), rows)
            self.validation = Samples(self._aside(aside), y[aside], None)
            self.samples = Samples(X, y, weights, rows)
        self.n_samples = self.samples.n_samples
        self._seed = like.seed if options.training.shuffle else None
        state = like._state
        n_updates = 0 if state is None else state.updates_for(options.training.optimizer)
        n_before = 0 if options.position is None else options.position.n_samples
        self._n_updates = max(0, n_updates - n_before // batch_size)  # before the first epoch
        self._steps_per_epoch = -(-self.n_samples // batch_size)

    @property
    def can_stay(self) -> bool:
        """Whether the core can read the rows where they are."""
        assert isinstance(self.samples.X, np.ndarray)
        return _validation.can_stay(self.samples.X)

    def parts(self, epoch: int, skip: int) -> Generator[Part, None, None]:
        X, y, weights, rows = self.samples
        assert isinstance(X, np.ndarray)
        ranges = [piece for block in self.blocks(epoch, skip) for piece in block]
        for i, piece in enumerate(ranges):
            for following in ranges[i + 1 : i + 2]:
                _maps.will_need(X[self.span(following)])
            which = slice(*piece) if rows is None else rows[slice(*piece)]
            part = _validation.dense_samples(X[which], None, self._dtype)
            part_weights = None if weights is None else weights[which]
            # Rows that are not side by side have no first one that others could be counted from
            yield Part(part, y[which], part_weights, "", piece[0] if rows is None else 0)
            _maps.give_back(X[self.span(piece)])
            _maps.give_back(y[self.span(piece)])

    def blocks(self, epoch: int, skip: int) -> list[list[tuple[int, int]]]:
        """First and end of the pieces of each block of an epoch of this call.

        The seed and the number of steps before the epoch alone determine their order, so that a
        resumed run has the same. They count the rows that are trained on.

        Parameters
        ----------
        epoch, skip : int
            As for `parts`; `skip` samples are whole blocks, or all.
        """
        size = max(1, self.block_size // _PIECES)
        order = np.arange(-(-self.n_samples // size))
        if self._seed is not None:
            n_updates = self._n_updates + epoch * self._steps_per_epoch
            order = random_order(self._seed, n_updates, len(order))
        blocks: list[list[tuple[int, int]]] = [[]]
        room = self.block_size
        for first in (size * order).tolist():
            end = min(first + size, self.n_samples)
            while first < end:
                if room == 0:
                    blocks.append([])
                    room = self.block_size
                middle = min(end, first + room)
                blocks[-1].append((first, middle))
                room -= middle - first
                first = middle
        return [sorted(block) for block in blocks[-(-skip // self.block_size) :]]

    def span(self, piece: tuple[int, int]) -> slice:
        """The rows of the file from the first to the last one of a piece."""
        rows = self.samples.subset
        if rows is None:
            return slice(*piece)
        return slice(int(rows[piece[0]]), int(rows[piece[1] - 1]) + 1)

    def _aside(self, rows: npt.NDArray[np.int64]) -> Array:
        """A copy of rows that are set aside."""
        X = self.samples.X
        assert isinstance(X, np.ndarray)
        taken = np.empty((len(rows), X.shape[1]), X.dtype)
        for first, end in _maps.slices(X):
            low, high = np.searchsorted(rows, (first, end))
            taken[low:high] = X[rows[low:high]]
            _maps.give_back(X[first:end])
        taken = _validation.dense_samples(taken, None, self._dtype)
        _validation.finite(taken, self._dtype, "X of validation_split")
        return taken

"""Blocks of samples, read by a thread while those before them are trained on."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from fastnn._checkpoint import EpochPosition
from fastnn._core.training import Trainer
from fastnn._data import Samples
from fastnn._sparse import SparseRows, joined
from fastnn._streams import Part, Source, default_block_size, whole_batches
from fastnn._threads import start

if TYPE_CHECKING:
    from fastnn._options import FitOptions

Array = npt.NDArray[Any]

# Seconds that the end of a fit waits for a reader inside a user's code: after Ctrl-C, and else.
_INTERRUPTED_SECONDS, _SECONDS = 0.5, 5.0


class Stopped(Exception):
    """Nobody wants the next block any more."""


class Block(NamedTuple):
    """Samples, in a buffer that has room for more or as rows of larger arrays, and where they stand
    in their epoch."""

    samples: Samples
    buffer: Samples
    n_before: int
    is_last: bool


class BlockReader(ABC):
    """The blocks of one training run, from a source to a trainer. Two of them are there at a time.

    Parameters
    ----------
    source : Source
    options : FitOptions
        Of one whose batch size is a number.
    dtype : numpy.dtype
        Of the network.

    Raises
    ------
    ValueError
        If the blocks are not those of the checkpoint to go on from.

    Attributes
    ----------
    first : ndarray or SparseRows of shape (n_rows, n_features)
        Samples of the first block.
    samples : Samples
        The buffers' shapes: as many samples as a block can have.
    n_samples : int or None
        Of an epoch; None: not known.
    """

    first: Array | SparseRows
    samples: Samples
    n_samples: int | None

    def __init__(self, source: Source, options: FitOptions, dtype: np.dtype[Any]) -> None:
        batch_size = options.training.batch_size
        assert batch_size is not None
        self._source, self._dtype, self._batch_size = source, dtype, batch_size
        self._n_epochs = max(1, options.epochs - options.n_done)
        self._block_size, self._position = source.block_size, options.position
        self._ready: SimpleQueue[Block | BaseException] = SimpleQueue()
        self._free: SimpleQueue[Samples | None] = SimpleQueue()  # of blocks that are done
        self._block: Block | None = None  # that is trained on
        self._next: Block | None = None
        self._process = os.getpid()
        self._thread = Thread(target=self._run, name="fastnn reader", daemon=True)

    # ---- on the thread of the training -------------------------------------------------------

    def begin(self) -> None:
        """Reads the first block; raises what that meets."""
        start(self._thread)
        self._next = self._received()
        self.first, self.samples = self._some(self._next.samples), self._next.buffer
        if isinstance(self.first, SparseRows):
            room = self.first.with_empty_rows(len(self.samples.y))
            self.samples = self.samples._replace(X=room)
        self.n_samples = self._source.n_samples
        if self._next.is_last and self._next.n_before == 0:
            self.n_samples = self._next.samples.n_samples

    def supply(self, trainer: Trainer) -> None:
        """To be called before the trainer goes on: gives it the next block where it needs one.

        Raises
        ------
        Exception
            That the source, or a look at what it gave, has met.
        RuntimeError
            In a process that was forked meanwhile: the reader is in the other one.
        """
        if self._block is not None and not trainer.is_block_done:
            return
        sums = None
        if self._block is None and self._position is not None:
            sums = self._position.sums
        block = self._next or self._received()
        X, y, weights, subset = block.samples
        if subset is None:
            trainer.next_block(X, y, weights, block.n_before, block.is_last, sums)
        else:
            trainer.next_subset(subset, block.n_before, block.is_last, sums)
        if self._block is not None:
            self._free.put(self._block.buffer)
        self._block, self._next = block, None

    @property
    def n_given(self) -> int:
        """Samples of the epoch up to the end of this block."""
        assert self._block is not None
        return self._block.n_before + self._block.samples.n_samples

    def position(self, trainer: Trainer) -> EpochPosition:
        """Where the epoch is, at the end of a block."""
        assert self._block_size is not None
        return EpochPosition(self.n_given, self._block_size, *trainer.epoch_sums)

    def close(self, interrupted: bool) -> None:
        """Ends the thread. One that is inside a user's code ends when that returns."""
        if os.getpid() == self._process and self._thread.ident is not None:
            self._free.put(None)
            self._thread.join(_INTERRUPTED_SECONDS if interrupted else _SECONDS)

    def _received(self) -> Block:
        if os.getpid() != self._process:
            raise RuntimeError(
                "this process was forked during fit, which cannot go on here: its data are read in "
                "the process that called it"
            )
        received = self._ready.get()
        if isinstance(received, BaseException):
            raise received
        return received

    # ---- on the thread of the reader ---------------------------------------------------------

    def _run(self) -> None:
        try:
            for epoch in range(self._n_epochs):
                position = self._position if epoch == 0 else None
                skip = 0 if position is None else position.n_samples
                for block in self._blocks(epoch, skip):
                    self._ready.put(block)
        except Stopped:
            return
        except BaseException as error:
            self._ready.put(error)

    @abstractmethod
    def _blocks(self, epoch: int, skip: int) -> Iterator[Block]:
        """Those of an epoch, but for the first `skip` samples."""

    @abstractmethod
    def _some(self, samples: Samples) -> Array | SparseRows:
        """Rows of the first block."""

    def _are_new(self, epoch: int) -> bool:
        """Whether the samples of this epoch are to be checked."""
        # The first epoch may have begun in another call
        return epoch <= (self._position is not None) or not self._source.repeats

    def _check_position(self, block_size: int) -> None:
        if self._position is not None and self._position.block_size != block_size:
            raise ValueError(
                f"block_size must be {self._position.block_size}, as in the call that made the "
                f"checkpoint of resume_from in the middle of an epoch, got {block_size}"
            )

    def _refuse_no_samples(self, epoch: int, skip: int) -> NoReturn:
        if skip > 0:
            raise ValueError(
                f"resume_from is a checkpoint that was made after {skip} samples of an epoch, X "
                f"has no more than these; it must be as in that call"
            )
        if epoch == 0:
            raise ValueError("X must give at least 1 sample, its chunks had none")
        raise ValueError(
            f"X must give its chunks again for every epoch, but gave none for epoch {epoch + 1} of "
            f"this call; pass a function that returns a new iterator each time"
        )


class BufferedReader(BlockReader):
    """Copies the samples into two buffers; sparse rows are put together block by block instead."""

    def __init__(self, source: Source, options: FitOptions, dtype: np.dtype[Any]) -> None:
        super().__init__(source, options, dtype)
        self._capacity: int | None = None  # of a buffer
        self._sparse: list[Array | SparseRows] = []  # those of the block that is being filled

    def _some(self, samples: Samples) -> Array | SparseRows:
        return samples.X

    def _blocks(self, epoch: int, skip: int) -> Iterator[Block]:
        """It is known of a block whether it is the last one when another sample has come, or none
        has."""
        buffer: Samples | None = None
        n, n_before, weight = 0, skip, 0.0
        is_new = self._are_new(epoch)
        with closing(self._source.parts(epoch, skip)) as parts:
            for part in parts:
                while len(part.X) > 0:
                    if buffer is not None and n == len(buffer.y):
                        yield Block(self._filled(buffer, n), buffer, n_before, False)
                        n, n_before, buffer = 0, n_before + n, None
                    if buffer is None:
                        buffer = self._taken(part)
                    n_new = min(len(part.X), len(buffer.y) - n)
                    weight += self._put(part.rows(0, n_new), buffer, n, is_new)
                    part = part.rows(n_new)
                    n += n_new
        if buffer is None:
            self._refuse_no_samples(epoch, skip)
        if weight == 0 and skip == 0:
            raise ValueError(
                "sample_weight must be above 0 for some sample of an epoch, got 0 for all"
            )
        if epoch == 0 and n_before == 0:  # all are in one block, as in an array
            self._capacity, buffer = n, _rows(buffer, n)
        yield Block(self._filled(buffer, n), buffer, n_before, True)

    def _taken(self, part: Part) -> Samples:
        """A buffer that nobody uses, for samples like these."""
        if self._capacity is None:
            self._allocate(part)
        buffer = self._free.get()
        if buffer is None:
            raise Stopped
        return _rows(buffer, self._capacity)

    def _filled(self, buffer: Samples, n: int) -> Samples:
        """The first samples of a buffer, as a block has them."""
        samples = _rows(buffer, n)
        if self._sparse:
            samples = samples._replace(X=joined(self._sparse))
            self._sparse = []
        return samples

    def _allocate(self, part: Part) -> None:
        """Two buffers. Their labels are labels from the first moment on."""
        arrays = part.y, part.weights
        if self._block_size is None and self._position is not None:
            self._block_size = self._position.block_size
        if self._block_size is None:
            row_bytes = part.X.nbytes // len(part.X)
            row_bytes += sum(array[:1].nbytes for array in arrays if array is not None)
            self._block_size = default_block_size(row_bytes, self._batch_size)
        self._block_size = self._capacity = whole_batches(self._block_size, self._batch_size)
        self._check_position(self._block_size)

        n_rows = self._capacity

        def room_for(array: Array | None) -> Array | None:
            return None if array is None else np.zeros((n_rows, *array.shape[1:]), array.dtype)

        for _ in range(2):
            X = room_for(part.X) if isinstance(part.X, np.ndarray) else joined([part.X[:0]])
            y = room_for(part.y)
            assert X is not None
            assert y is not None
            self._free.put(Samples(X, y, room_for(part.weights)))

    def _put(self, part: Part, buffer: Samples, n: int, is_new: bool) -> float:
        """Copies samples behind `n` others, and checks new ones; returns their weight."""
        if isinstance(part.X, SparseRows):  # which have been looked through
            self._sparse.append(joined([part.X]))
        else:
            assert isinstance(buffer.X, np.ndarray)
            X = buffer.X[n : n + len(part.X)]
            X[:] = part.X
            if is_new:
                part.check_finite(X, self._dtype)
        buffer.y[n : n + len(part.X)] = part.y
        if buffer.weights is None or part.weights is None:
            return float(len(part.X))
        buffer.weights[n : n + len(part.X)] = part.weights
        return float(part.weights.sum(dtype=np.float64))


def _rows(samples: Samples, n: int | None) -> Samples:
    """The first ones."""
    X, y, weights, _ = samples
    return Samples(X[:n], y[:n], None if weights is None else weights[:n])

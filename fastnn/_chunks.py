"""Chunks ``(X, y)`` that a user's program makes or reads, as a source of blocks."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastnn import _validation, _weights
from fastnn._data import Samples, validation_samples
from fastnn._streams import Part
from fastnn.optimizers import LBFGS

if TYPE_CHECKING:
    from fastnn._options import FitOptions
    from fastnn.network import Network

Array = npt.NDArray[Any]


class Chunks:
    """What an iterable, or a function that returns one, gives for an epoch.

    Parameters
    ----------
    net : Network
    given : iterable of (X, y) or (X, y, sample_weight), or callable
        Its attribute `n_samples` tells how many samples an epoch has, where it has one.
    options : FitOptions

    Raises
    ------
    TypeError, ValueError
    """

    repeats = False

    def __init__(self, net: Network, given: Any, options: FitOptions) -> None:
        _check_options(given, options)
        self._given, self._architecture = given, net._architecture
        self._class_weight = options.class_weight
        self._n_features = options.like(net).n_features
        self._first: tuple[Any, ...] | None = None  # of which kind the first chunk was
        self.n_samples, self.block_size = _count(given), options.block_size
        self.validation: Samples | None = None
        if options.watching.validation_data is not None:
            self.validation = validation_samples(
                net, options.watching.validation_data, self._n_features
            )
            self._n_features = self.validation.X.shape[1]

    def parts(self, epoch: int, skip: int) -> Generator[Part, None, None]:
        chunks = self._given() if callable(self._given) else self._given
        if not isinstance(chunks, Iterable):
            raise TypeError(
                f"X must return an iterable of chunks where it is a function, got "
                f"{_validation.shown(chunks)}"
            )
        for i, chunk in enumerate(chunks):
            try:
                part = self._checked(chunk, i)
            except (TypeError, ValueError) as error:
                kind = TypeError if isinstance(error, TypeError) else ValueError
                raise kind(f"chunk {i}: {error}") from error
            if part is not None:
                n = min(skip, len(part.X))
                skip -= n
                yield part.rows(n)

    def _checked(self, chunk: Any, i: int) -> Part | None:
        """A chunk as a part; None for one without samples."""
        if not isinstance(chunk, (tuple, list)) or len(chunk) not in (2, 3):
            got = type(chunk).__name__
            if isinstance(chunk, (tuple, list)):
                got += f" of length {len(chunk)}"
            raise TypeError(f"it must be (X, y) or (X, y, sample_weight), got {got}")
        X, y, weights = chunk if len(chunk) == 3 else (*chunk, None)
        given = _validation.numbers(X, "X")
        if len(given.shape) > 0 and len(given) == 0:
            return None
        data = _validation.dense_samples(X, self._n_features, self._architecture.dtype)
        targets = self._architecture.checked_targets(y, data)
        weights = _weights.of_chunk(self._architecture, targets, weights, self._class_weight)
        kinds = (
            ("X", f"{data.shape[1]} columns"),
            ("X", f"dtype {given.dtype}"),
            ("y", "labels" if targets.ndim == 1 else "rows of numbers"),
            ("sample_weight", "none" if weights is None else "a weight a sample"),
        )
        if self._first is None:
            self._first = i, kinds
        number, expected = self._first
        for (name, kind), (_, kind_before) in zip(kinds, expected, strict=True):
            if kind != kind_before:
                raise ValueError(
                    f"{name} must be as in chunk {number}, which has {kind_before}, got {kind}"
                )
        return Part(data, targets, weights, f"chunk {i}: ", 0)


def _check_options(given: Any, options: FitOptions) -> None:
    """Refuses what chunks cannot be trained with."""
    training, watching = options.training, options.watching
    if isinstance(training.optimizer, LBFGS):
        raise ValueError(
            "X must be an array for LBFGS, which takes all samples at every step, got chunks"
        )
    if training.batch_size is None:
        raise ValueError(
            "batch_size must be a number of samples where X gives chunks, which are not in memory "
            "at once, got None"
        )
    if watching.validation_split is not None:
        raise ValueError(
            "validation_split needs an array or a memory-mapped file; where X gives chunks, keep "
            "some of them apart and pass validation_data"
        )
    if options.sample_weight is not None:
        raise ValueError(
            "sample_weight must be None where X gives chunks: let them be (X, y, sample_weight)"
        )
    if isinstance(options.class_weight, str):
        raise ValueError(
            "class_weight must be a dict where X gives chunks: 'balanced' needs all labels at "
            "once, before the first step"
        )
    n_epochs = options.epochs - options.n_done
    if isinstance(given, Iterator) and n_epochs > 1:
        raise ValueError(
            f"X is a {type(given).__name__}, which can be run through only once, for {n_epochs} "
            f"epochs; pass a function that returns a new one each time, a list, or epochs=1"
        )


def _count(given: Any) -> int | None:
    """Samples of an epoch, where that is known beforehand."""
    n_samples = getattr(given, "n_samples", None)
    if isinstance(n_samples, (int, np.integer)) and n_samples > 0:
        return int(n_samples)
    if isinstance(given, (list, tuple)):
        try:
            return sum(len(chunk[0]) for chunk in given) or None
        except (TypeError, IndexError, KeyError):  # no pair of arrays: its error is another one
            return None
    return None

"""Chunks ``(X, y)`` that a user's program makes or reads, as a source of blocks."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastnn import _validation, _weights
from fastnn._data import validation_of
from fastnn._sparse import SparseRows, is_sparse, joined
from fastnn._streams import Part
from fastnn.optimizers import LBFGS

if TYPE_CHECKING:
    from fastnn._architecture import Architecture
    from fastnn._core.plan import Plan
    from fastnn._evaluation import EvaluationData
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
        self.n_samples, self.block_size = _count(given), options.block_size
        n_features = options.like(net).n_features
        self.validation: EvaluationData | None = None
        if options.watching.validation_data is not None:
            self.validation = validation_of(net, options, n_features)
            n_features = self.validation.n_features
        self._chunks = _Checked(net._architecture, given, n_features, options.class_weight)

    def parts(self, epoch: int, skip: int) -> Generator[Part, None, None]:
        for part in self._chunks.parts():
            n = min(skip, len(part.X))
            skip -= n
            yield part.rows(n)


class EvaluationChunks:
    """The same to evaluate with, as often as is told; the first chunk has been looked at.

    Parameters
    ----------
    net : Network
    given : iterable of (X, y) or (X, y, sample_weight), or callable
    n_features : int or None
    class_weight : dict of int to float, optional
    name : str
        Of the argument, for errors.
    n_passes : int
        How often it is to be gone through.
    waits : bool
        Whether other code of the user's runs before that, which may fill the same arrays again.

    Raises
    ------
    TypeError, ValueError
    """

    def __init__(
        self,
        net: Network,
        given: Any,
        n_features: int | None,
        class_weight: Any = None,
        *,
        name: str,
        n_passes: int = 1,
        waits: bool = False,
    ) -> None:
        _check_passes(given, n_passes, name)
        self._name, self._dtype = name, net.dtype
        self._chunks = _Checked(net._architecture, given, n_features, class_weight, name)
        parts = self._checked_parts()
        first = next(parts)
        if waits and not isinstance(given, (list, tuple)):
            first = _copy(first)
        self.n_features = first.X.shape[1]
        self._begun: Iterable[Part] | None = chain([first], parts)

    def parts(self, plan: Plan) -> Iterator[Part]:
        """As `EvaluationData` says."""
        begun, self._begun = self._begun, None
        return in_whole_blocks(begun or self._checked_parts(), plan)

    def _checked_parts(self) -> Generator[Part, None, None]:
        """Those that have samples, of which there is one at least."""
        n, weight = 0, 0.0
        for part in self._chunks.parts():
            part.check_finite(part.X, self._dtype)
            n += len(part.X)
            weight += (
                len(part.X) if part.weights is None else float(part.weights.sum(dtype=np.float64))
            )
            yield part
        if n == 0:
            raise ValueError(f"{self._name} must give at least 1 sample, its chunks had none")
        if weight == 0:
            raise ValueError(
                f"{self._name}: sample_weight must be above 0 for some sample, got 0 for all"
            )


def in_whole_blocks(parts: Iterable[Part], plan: Plan) -> Iterator[Part]:
    """The same samples in whole blocks of `plan.loss_rows`, but for the last ones.

    What does not fill a block waits for the next part: as a copy, for that part may be in the same
    memory.
    """
    waiting: list[Part] = []
    n_waiting = 0
    for part in parts:
        n_rows = plan.loss_rows(isinstance(part.X, SparseRows))
        if n_waiting > 0:
            n = min(n_rows - n_waiting, len(part.X))
            waiting.append(_copy(part.rows(0, n)))
            n_waiting += n
            part = part.rows(n)
        if n_waiting == n_rows:
            yield _in_one(waiting)
            waiting, n_waiting = [], 0
        whole = len(part.X) // n_rows * n_rows
        if whole > 0:
            yield part.rows(0, whole)
        if whole < len(part.X):
            waiting.append(_copy(part.rows(whole)))
            n_waiting = len(part.X) - whole
    if waiting:
        yield _in_one(waiting)


def _copy(part: Part) -> Part:
    return _in_one([part])


def _in_one(parts: list[Part]) -> Part:
    """A copy of the samples of parts of one kind."""
    first = parts[0]
    weights = None
    if first.weights is not None:
        weights = np.concatenate([part.weights for part in parts])
    y = np.concatenate([part.y for part in parts])
    return Part(joined([part.X for part in parts]), y, weights, first.place, first.first_row)


class _Checked:
    """Chunks that are checked one by one.

    Parameters
    ----------
    architecture : Architecture
    given : iterable or callable
    n_features : int or None
    class_weight : dict of int to float or None
    name : str
        Of the argument, for errors: "X" is that of `fit`, whose errors need not say so.
    """

    def __init__(
        self,
        architecture: Architecture,
        given: Any,
        n_features: int | None,
        class_weight: Any,
        name: str = "X",
    ) -> None:
        self._architecture, self._given, self._name = architecture, given, name
        self._n_features, self._class_weight = n_features, class_weight
        self._first: tuple[Any, ...] | None = None  # of which kind the first chunk was

    def parts(self) -> Generator[Part, None, None]:
        """From the first chunk on, but for those without samples."""
        chunks = self._given() if callable(self._given) else self._given
        if not isinstance(chunks, Iterable):
            raise TypeError(
                f"{self._name} must return an iterable of chunks where it is a function, got "
                f"{_validation.shown(chunks)}"
            )
        for i, chunk in enumerate(chunks):
            place = f"chunk {i}: " if self._name == "X" else f"{self._name}: chunk {i}: "
            try:
                part = self._checked(chunk, i, place)
            except (TypeError, ValueError) as error:
                kind = TypeError if isinstance(error, TypeError) else ValueError
                raise kind(f"{place}{error}") from error
            if part is not None:
                yield part

    def _checked(self, chunk: Any, i: int, place: str) -> Part | None:
        """A chunk as a part; None for one without samples."""
        if not isinstance(chunk, (tuple, list)) or len(chunk) not in (2, 3):
            got = type(chunk).__name__
            if isinstance(chunk, (tuple, list)):
                got += f" of length {len(chunk)}"
            raise TypeError(f"it must be (X, y) or (X, y, sample_weight), got {got}")
        X, y, weights = chunk if len(chunk) == 3 else (*chunk, None)
        data: Array | SparseRows
        if is_sparse(X):
            given = X
            data = self._architecture.checked_samples(X, self._n_features)
        else:
            given = _validation.numbers(X, "X")
            if len(given.shape) > 0 and len(given) == 0:
                return None
            data = _validation.dense_samples(X, self._n_features, self._architecture.dtype)
        if len(data) == 0:
            return None
        targets = self._architecture.checked_targets(y, data)
        weights = _weights.of_chunk(self._architecture, targets, weights, self._class_weight)
        kinds = (
            ("X", f"{data.shape[1]} columns"),
            ("X", "sparse rows" if isinstance(data, SparseRows) else "dense rows"),
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
        return Part(data, targets, weights, place, 0)


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
    check_weights(options.sample_weight, options.class_weight)
    _check_passes(given, options.epochs - options.n_done, "X")


def check_weights(sample_weight: Any, class_weight: Any) -> None:
    """Refuses weights that chunks do not go with.

    Raises
    ------
    ValueError
    """
    if sample_weight is not None:
        raise ValueError(
            "sample_weight must be None where X gives chunks: let them be (X, y, sample_weight)"
        )
    if isinstance(class_weight, str):
        raise ValueError(
            "class_weight must be a dict where X gives chunks: 'balanced' needs all labels at once"
        )


def _check_passes(given: Any, n_passes: int, name: str) -> None:
    """Refuses an iterator for several epochs."""
    if isinstance(given, Iterator) and n_passes > 1:
        raise ValueError(
            f"{name} is a {type(given).__name__}, which can be run through only once, for "
            f"{n_passes} epochs; pass a function that returns a new one each time, a list, or "
            f"epochs=1"
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

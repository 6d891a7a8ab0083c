"""What one call of `Network.fit` trains on and validates with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastnn import _maps, _weights
from fastnn._sparse import SparseRows
from fastnn._split import split_rows
from fastnn._streams import Part, gives_chunks, gives_chunks_of_both, reader_of, source_of

if TYPE_CHECKING:
    from fastnn._architecture import Architecture
    from fastnn._core.plan import Plan
    from fastnn._evaluation import EvaluationData
    from fastnn._options import FitOptions
    from fastnn._reader import BlockReader
    from fastnn._state import State
    from fastnn.network import Network

Array = npt.NDArray[Any]


class Samples(NamedTuple):
    """Samples as the core reads them.

    Attributes
    ----------
    X : ndarray or SparseRows of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
    weights : ndarray of shape (n_samples,) or None
        None: each counts as much.
    subset : ndarray of int64, or None
        The rows of these arrays that are the samples, in this order; None: all.
    """

    X: Array | SparseRows
    y: Array
    weights: Array | None
    subset: Array | None = None

    @property
    def n_samples(self) -> int:
        return len(self.X if self.subset is None else self.subset)

    @property
    def n_features(self) -> int:
        return int(self.X.shape[1])

    def parts(self, plan: Plan) -> Iterator[Part]:
        """To evaluate with, see `EvaluationData`: one, or several of a mapped file."""
        X, y, weights, _ = self
        n_rows = plan.loss_rows(isinstance(X, SparseRows))
        for first, end in _maps.slices(X, multiple=n_rows):
            rows = slice(first, end)
            yield Part(X[rows], y[rows], None if weights is None else weights[rows], "", first)
            _maps.give_back(X[rows])


class FitData(NamedTuple):
    """All data of one call.

    Attributes
    ----------
    samples : Samples
        Of the training; with a reader as many as a block can have.
    validation : EvaluationData or None
    first : ndarray or SparseRows of shape (n_rows, n_features)
        Samples that are at hand: all, or some of the first block.
    n_samples : int or None
        Of an epoch; None: not known beforehand.
    reader : BlockReader or None
        Where the samples come block by block.
    """

    samples: Samples
    validation: EvaluationData | None
    first: Array | SparseRows
    n_samples: int | None
    reader: BlockReader | None

    @classmethod
    def at_hand(cls, samples: Samples, validation: EvaluationData | None) -> FitData:
        """Samples in arrays."""
        return cls(samples, validation, samples.X, samples.n_samples, None)


@contextmanager
def opened(
    net: Network, X: Any, y: Any, options: FitOptions, may_stream: bool = True
) -> Iterator[FitData]:
    """The data of a call, checked; those that are streamed up to the end of their first block.

    Raises
    ------
    TypeError, ValueError
    """
    source = source_of(net, X, y, options) if may_stream else None
    if source is None:
        options.check_whole_epochs()
        yield FitData.at_hand(*checked_samples(net, X, y, options))
        return
    reader = reader_of(source, options, net.dtype)
    is_interrupted = True
    try:
        reader.begin()
        yield FitData(reader.samples, source.validation, reader.first, reader.n_samples, reader)
        is_interrupted = False
    except Exception:
        is_interrupted = False
        raise
    finally:
        reader.close(is_interrupted)


def checked_samples(
    net: Network, X: Any, y: Any, options: FitOptions
) -> tuple[Samples, EvaluationData | None]:
    """Those of the training, and those of the validation where there is one.

    Raises
    ------
    TypeError, ValueError
    """
    like = options.like(net)
    return samples_of(net, *net._architecture.checked_data(X, y, like.n_features), options)


def samples_of(
    net: Network,
    X: Array | SparseRows,
    y: Array,
    options: FitOptions,
    rows: Array | None = None,
) -> tuple[Samples, EvaluationData | None]:
    """The same of X and y that are checked; `rows` of them alone, where they are given.

    Raises
    ------
    TypeError, ValueError
    """
    watching, architecture = options.watching, net._architecture
    X, y = apart_from(net._state, X, y)
    y_of_rows, sample_weight = y, options.sample_weight
    if rows is not None:
        y_of_rows = y[rows]
        if sample_weight is not None:
            sample_weight = _weights.given_of_rows(sample_weight, len(X), rows)
    weights = _weights.sample_weights(
        architecture,
        y_of_rows,
        sample_weight,
        options.class_weight,
        may_be_zero=options.is_part,
    )
    if watching.validation_split is None:
        samples = Samples(X, y, spread(weights, len(X), rows), rows)
        if watching.validation_data is None:
            return samples, None
        return samples, validation_of(net, options, X.shape[1])
    seed = options.like(net).seed if options.split_seed is None else options.split_seed
    kept, aside = rows_aside(architecture, y_of_rows, watching.validation_split, seed)
    weights = _weights.of_rows(weights, kept)
    if rows is not None:
        kept, aside = rows[kept], rows[aside]
    trained = Samples(X, y, spread(weights, len(X), kept), kept)
    return trained, Samples(X[aside], y[aside], None)


def spread(weights: Array | None, n_samples: int, rows: Array | None) -> Array | None:
    """Weights of some rows, at their places among those of all samples."""
    if weights is None or rows is None:
        return weights
    spread = np.zeros(n_samples, weights.dtype)
    spread[rows] = weights
    return spread


def rows_aside(
    architecture: Architecture, y: Array, fraction: float, seed: int
) -> tuple[Array, Array]:
    """Rows to train on, and those to validate with; see `split_rows`."""
    labels = None
    if architecture.is_classifier:
        labels = architecture.decided(y) if y.ndim == 2 else y
    return split_rows(len(y), fraction, seed, labels)


def validation_of(net: Network, options: FitOptions, n_features: int | None) -> EvaluationData:
    """What a call was given as validation data, checked; chunks up to the end of the first one.

    Raises
    ------
    TypeError, ValueError
    """
    data, name = options.watching.validation_data, "validation_data"
    if gives_chunks_of_both(data):
        from fastnn._chunks import EvaluationChunks  # here: most programs evaluate with arrays

        n_epochs = options.epochs - options.n_done
        return EvaluationChunks(net, data, n_features, name=name, n_passes=n_epochs, waits=True)
    return validation_samples(
        net,
        data,
        n_features,
        may_be_zero=options.is_part,
        remedy="; an iterable of such chunks, or a function that returns one, does too",
    )


def validation_samples(
    net: Network, data: Any, n_features: int | None, may_be_zero: bool = False, remedy: str = ""
) -> Samples:
    """Validation data that are at hand, checked."""
    name = "validation_data"
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        got = type(data).__name__
        if isinstance(data, (tuple, list)):
            got += f" of length {len(data)}"
        raise TypeError(f"{name} must be (X, y) or (X, y, sample_weight), got {got}{remedy}")
    names = (f"{name}[0]", f"{name}[1]")
    X, y, given = data if len(data) == 3 else (*data, None)
    X, y = apart_from(net._state, *net._architecture.checked_data(X, y, n_features, names=names))
    weights = _weights.sample_weights(
        net._architecture, y, given, None, name=f"{name}[2]", may_be_zero=may_be_zero
    )
    return Samples(X, y, weights)


def evaluation_data(
    net: Network, X: Any, y: Any, sample_weight: Any, class_weight: Any
) -> EvaluationData:
    """What `Network.evaluate` was given, checked; chunks up to the end of the first one.

    Raises
    ------
    TypeError, ValueError
    """
    if y is None and gives_chunks(X):
        from fastnn._chunks import EvaluationChunks, check_weights

        check_weights(sample_weight, class_weight)
        return EvaluationChunks(net, X, net.n_features, class_weight, name="X")
    X, y = net._architecture.checked_data(X, y, net.n_features)
    return Samples(X, y, _weights.sample_weights(net._architecture, y, sample_weight, class_weight))


def apart_from(
    state: State | None, X: Array | SparseRows, y: Array
) -> tuple[Array | SparseRows, Array]:
    """What is trained cannot be the data at the same time."""
    trained = () if state is None else (state.parameters, state.running)

    def apart(data: Array) -> Array:
        return data.copy() if any(np.may_share_memory(own, data) for own in trained) else data

    return X.apart_from(trained) if isinstance(X, SparseRows) else apart(X), apart(y)

"""What one call of `Network.fit` trains on and validates with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastnn import _weights
from fastnn._split import split_rows
from fastnn._streams import source_of

if TYPE_CHECKING:
    from fastnn._architecture import Architecture
    from fastnn._options import FitOptions
    from fastnn._reader import BlockReader
    from fastnn._state import State
    from fastnn.network import Network

Array = npt.NDArray[Any]


class Samples(NamedTuple):
    """Samples as the core reads them.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
    weights : ndarray of shape (n_samples,) or None
        None: each counts as much.
    """

    X: Array
    y: Array
    weights: Array | None


class FitData(NamedTuple):
    """All data of one call.

    Attributes
    ----------
    samples : Samples
        Of the training; with a reader as many as a block can have.
    validation : Samples or None
    first : ndarray of shape (n_rows, n_features)
        Samples that are at hand: all, or the first block.
    n_samples : int or None
        Of an epoch; None: not known beforehand.
    reader : BlockReader or None
        Where the samples come block by block.
    """

    samples: Samples
    validation: Samples | None
    first: Array
    n_samples: int | None
    reader: BlockReader | None


@contextmanager
def opened(net: Network, X: Any, y: Any, options: FitOptions) -> Iterator[FitData]:
    """The data of a call, checked; those that are streamed up to the end of their first block.

    Raises
    ------
    TypeError, ValueError
    """
    source = source_of(net, X, y, options)
    if source is None:
        options.check_whole_epochs()
        samples, validation = checked_samples(net, X, y, options)
        yield FitData(samples, validation, samples.X, len(samples.X), None)
        return
    from fastnn._reader import BlockReader  # here: most programs need no queues and threads

    reader = BlockReader(source, options, net.dtype)
    is_interrupted = True
    try:
        reader.begin()
        yield FitData(reader.samples, source.validation, reader.first.X, reader.n_samples, reader)
        is_interrupted = False
    except Exception:
        is_interrupted = False
        raise
    finally:
        reader.close(is_interrupted)


def checked_samples(
    net: Network, X: Any, y: Any, options: FitOptions
) -> tuple[Samples, Samples | None]:
    """Those of the training, and those of the validation where there is one.

    Raises
    ------
    TypeError, ValueError
    """
    watching = options.watching
    like = options.like(net)
    X, y = _apart_from(net._state, *net._architecture.checked_data(X, y, like.n_features))
    weights = _weights.sample_weights(
        net._architecture, y, options.sample_weight, options.class_weight
    )
    samples = Samples(X, y, weights)
    if watching.validation_data is not None:
        return samples, validation_samples(net, watching.validation_data, X.shape[1])
    if watching.validation_split is None:
        return samples, None
    kept, aside = rows_aside(net._architecture, y, watching.validation_split, like.seed)
    trained = Samples(X[kept], y[kept], _weights.of_rows(weights, kept))
    return trained, Samples(X[aside], y[aside], None)


def rows_aside(
    architecture: Architecture, y: Array, fraction: float, seed: int
) -> tuple[Array, Array]:
    """Rows to train on, and those to validate with; see `split_rows`."""
    labels = None
    if architecture.is_classifier:
        labels = architecture.decided(y) if y.ndim == 2 else y
    return split_rows(len(y), fraction, seed, labels)


def validation_samples(net: Network, data: Any, n_features: int | None) -> Samples:
    """What a call was given as validation data, checked."""
    name = "validation_data"
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        got = type(data).__name__
        if isinstance(data, (tuple, list)):
            got += f" of length {len(data)}"
        raise TypeError(f"{name} must be (X, y) or (X, y, sample_weight), got {got}")
    names = (f"{name}[0]", f"{name}[1]")
    X, y, given = data if len(data) == 3 else (*data, None)
    X, y = _apart_from(net._state, *net._architecture.checked_data(X, y, n_features, names=names))
    weights = _weights.sample_weights(net._architecture, y, given, None, name=f"{name}[2]")
    return Samples(X, y, weights)


def _apart_from(state: State | None, X: Array, y: Array) -> tuple[Array, Array]:
    """What is trained cannot be the data at the same time."""
    trained = () if state is None else (state.parameters, state.running)

    def apart(data: Array) -> Array:
        return data.copy() if any(np.may_share_memory(own, data) for own in trained) else data

    return apart(X), apart(y)

"""What one call of `Network.fit` trains on and validates with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastnn import _weights
from fastnn._sparse import SparseRows
from fastnn._split import split_rows

if TYPE_CHECKING:
    from fastnn._options import FitOptions
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
    """

    X: Array | SparseRows
    y: Array
    weights: Array | None


def checked_samples(
    net: Network, X: Any, y: Any, options: FitOptions
) -> tuple[Samples, Samples | None]:
    """Those of the training, and those of the validation where there is one.

    Raises
    ------
    TypeError, ValueError
    """
    watching = options.watching
    like = options.resumed.net if options.resumed else net
    X, y = _apart_from(net._state, *net._architecture.checked_data(X, y, like.n_features))
    weights = _weights.sample_weights(
        net._architecture, y, options.sample_weight, options.class_weight
    )
    samples = Samples(X, y, weights)
    if watching.validation_data is not None:
        return samples, _validation_samples(net, watching.validation_data, X.shape[1])
    if watching.validation_split is None:
        return samples, None
    labels = None
    if net._architecture.is_classifier:
        labels = net._architecture.decided(y) if y.ndim == 2 else y
    kept, aside = split_rows(len(X), watching.validation_split, like._architecture.seed, labels)
    trained = Samples(X[kept], y[kept], _weights.of_rows(weights, kept))
    return trained, Samples(X[aside], y[aside], None)


def _validation_samples(net: Network, data: Any, n_features: int) -> Samples:
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


def _apart_from(
    state: State | None, X: Array | SparseRows, y: Array
) -> tuple[Array | SparseRows, Array]:
    """What is trained cannot be the data at the same time."""
    trained = () if state is None else (state.parameters, state.running)

    def apart(data: Array) -> Array:
        return data.copy() if any(np.may_share_memory(own, data) for own in trained) else data

    return X.apart_from(trained) if isinstance(X, SparseRows) else apart(X), apart(y)

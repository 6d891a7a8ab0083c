"""The weights of an estimator's network: as they begin, and as users see them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastnn.layers import Dense, Layer
from fastnn.losses import Loss
from fastnn.network import Network
from fastnn.sklearn import _parameters

if TYPE_CHECKING:
    from fastnn.sklearn._base import BaseMLP

Array = npt.NDArray[Any]

# Activations of scikit-learn's networks, whose initial weights are scikit-learn's too; the square
# of the bound of uniform numbers, times the units on both sides.
_BOUNDS = {"linear": 6.0, "sigmoid": 2.0, "tanh": 6.0, "relu": 6.0}


class LiveArrays(list[Array]):
    """A list of live views: an array that is put into it is written through the view."""

    def __setitem__(self, index: Any, value: Any) -> None:
        views = self[index] if isinstance(index, slice) else [self[index]]
        values = value if isinstance(index, slice) else [value]
        for view, new in zip(views, values, strict=True):
            view[:] = new


def initial_weights(
    estimator: BaseMLP, layers: list[Layer], n_features: int, random: Any
) -> list[Array | None]:
    """The weights and the bias of each layer in turn, in float64, as scikit-learn draws them.

    None for a layer that scikit-learn does not have: its network draws them.
    """
    sizes = [n_features, *(layer.n_units for layer in layers if isinstance(layer, Dense))]
    hidden = _parameters.hidden_activations(estimator)
    names = [*hidden, hidden[-1] if hidden else "linear"]
    weights: list[Array | None] = []
    for (n_in, n_out), name in zip(pairwise(sizes), names, strict=True):
        if name not in _BOUNDS:
            weights += [None, None]
            continue
        bound = np.sqrt(_BOUNDS[name] / (n_in + n_out))
        weights += [random.uniform(-bound, bound, shape) for shape in ((n_in, n_out), n_out)]
    return weights


def with_weights_of(net: Network, layers: list[Layer], loss: str | Loss | None) -> Network:
    """A network that begins with the weights of another one, and with a new optimiser."""
    # The next seed, as else each warm start would shuffle and drop as the one before
    seed = (net.seed + 1) % np.iinfo(np.int32).max
    new = Network(layers, net.n_features, loss=loss, dtype=net.dtype, seed=seed)
    shapes, known = ([a.shape for a in of_dense(each, each.weights)] for each in (new, net))
    if shapes != known or new.n_parameters != net.n_parameters:
        raise ValueError(
            "warm_start needs the layers and the outputs of the fit before: weights of shape "
            f"{known}, got {shapes}, and {net.n_parameters} parameters, got {new.n_parameters}"
        )
    new.parameters[:] = net.parameters
    of_norms = filter(None, net.running_statistics)
    new.set_parameters(
        running_statistics=[each and next(of_norms) for each in new.running_statistics]
    )
    return new


def of_dense(net: Network, *arrays: tuple[Array, ...]) -> list[Array]:
    """Those of the `Dense` layers, layer by layer."""
    rows = zip(net.layers, *arrays, strict=True)
    return [array for layer, *row in rows if isinstance(layer, Dense) for array in row]

"""The NumPy reference of a network, with the same parameters."""

from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import Network
from fastnn.reference import vectorized as reference

Array = npt.NDArray[Any]


def reference_of(net: Network) -> reference.Network:
    """Its layers are Dense."""
    return reference.Network(
        list(net.weights),
        list(net.biases),
        [layer.activation for layer in net.layers],
        net.loss.kernel(net.layers[-1].activation),
        net.loss.parameters,
    )


def flat(net: reference.Network) -> Array:
    """All parameters in the order of `Network.parameters`."""
    pairs = zip(net.weights, net.biases, strict=True)
    return np.concatenate([block.ravel() for pair in pairs for block in pair])

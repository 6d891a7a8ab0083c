"""Random networks of all kinds of layers, and how far two outputs are apart."""

from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import (
    Activation,
    BatchNorm,
    Dense,
    Dropout,
    GaussianNoise,
    Layer,
    LayerNorm,
    Network,
    PReLU,
    Rescale,
)
from fastnn.activations import ACTIVATIONS

Array = npt.NDArray[Any]

#: Of hidden layers.
HIDDEN = [name for name, row in ACTIVATIONS.items() if not row.output_only]
OUTPUTS = ("softmax", "sigmoid", "linear", "tanh")


def random_network(number: int, dtype: str = "float32") -> Network:
    """The network of a number: 1 to 4 blocks; any twelve numbers in a row have all activations.

    Sizes are such that float32 itself is good for the comparison. With two units, a norm has a
    difference of nearly equal numbers; an exponential makes a relative error of an absolute one, so
    what enters it is small.
    """
    rng = np.random.default_rng(number)
    layers: list[Layer] = []
    for block in range(int(rng.integers(1, 5))):
        units = int(rng.integers(8, 40))
        name = HIDDEN[number % len(HIDDEN) if block == 0 else int(rng.integers(len(HIDDEN)))]
        blocks: list[list[Layer]] = [
            [Dense(units, name)],
            [Dense(units), BatchNorm(0.8, 1e-3), Activation(name)],
            [Dense(units), LayerNorm(), Activation(name), Dropout(0.3)],
            [Dense(units, name), Dense(units), PReLU()],
            [GaussianNoise(0.2), Dense(units, name), Dropout(0.1)],
        ]
        choice = int(rng.integers(len(blocks)))
        if name == "exponential":
            layers.append(Dense(units, name))
        else:
            layers += blocks[choice]
    if number % 5 == 0:
        layers.insert(0, Rescale(0.7, -0.3))
    layers.append(Dense(int(rng.integers(4, 12)), OUTPUTS[number % len(OUTPUTS)]))
    net = Network(layers, int(rng.integers(1, 30)), dtype=dtype, seed=number)
    randomise(net, rng)
    return net


def randomise(net: Network, rng: np.random.Generator) -> None:
    """Gives all parameters and running statistics values that training might have left."""
    net.parameters[:] += 0.03 * rng.normal(size=net.n_parameters)
    for layer, weights in zip(net.layers, net.weights, strict=True):
        if isinstance(layer, Dense) and layer.activation == "exponential":
            weights *= 0.3
    net.set_parameters(
        running_statistics=[
            None
            if row is None
            else (rng.normal(size=len(row[0])), rng.uniform(0.5, 2, len(row[0])))
            for row in net.running_statistics
        ]
    )


def rows_for(net: Network, n: int = 20) -> Array:
    """Inputs of the network's dtype."""
    assert net.n_features is not None
    return np.random.default_rng(1).normal(size=(n, net.n_features)).astype(net.dtype)


def difference(ours: Array, theirs: Array) -> float:
    """The largest difference of an output, relative to the largest output of its row.

    Outputs of a row are sums of the same hidden units: one of them that is near 0 has the rounding
    errors of the numbers that cancelled, which are as large as those that make the largest output.
    """
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    scale = np.abs(ours).max(axis=1, keepdims=True)
    return float((np.abs(ours.astype(float) - theirs) / scale).max())


def same_numbers(one: Network, other: Network) -> bool:
    """Whether all parameters and running statistics have the same bits."""
    return one.parameters.tobytes() == other.parameters.tobytes() and [
        None if row is None else (row[0].tobytes(), row[1].tobytes())
        for row in one.running_statistics
        if row is not None
    ] == [
        (row[0].tobytes(), row[1].tobytes()) for row in other.running_statistics if row is not None
    ]

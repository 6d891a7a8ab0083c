"""The published results of the course, and MNIST: on real data where they are at hand.

References
----------
A. Ng, "Neural Networks and Deep Learning", deeplearning.ai, weeks 2 to 4; "Improving deep neural
networks", week 1.
"""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fastnn import Dense, Dropout, Network
from fastnn.datasets import make_flower, make_halves
from fastnn.reference import vectorized_layers as reference

Array = npt.NDArray[Any]
Split = tuple[Array, Array]

DATA = Path(__file__).parents[2] / "shared" / "data"

ONE_CAT = 1.01 / 209  # share of one training picture
ONE_TEST_CAT = 1.01 / 50


@pytest.fixture(scope="module")
def cats() -> tuple[Split, Split]:
    """Training and test pictures, flattened in C order and scaled to [0, 1], float64."""
    h5py = pytest.importorskip("h5py", reason="the pictures are in an HDF5 file: needs h5py")
    folder = DATA / "catvnoncat"
    if not folder.is_dir():
        pytest.skip(f"there is no {folder}")

    def load(part: str) -> Split:
        with h5py.File(folder / f"{part}_catvnoncat.h5") as file:
            X, y = file[f"{part}_set_x"][:], file[f"{part}_set_y"][:]
        return X.reshape(len(X), -1) / 255, y

    return load("train"), load("test")


def course_network(weights: list[Array], hidden: str) -> Network:
    """A float64 network with zero biases and these weights, in the course's shape (n_out, n_in)."""
    layers = [Dense(len(W), hidden) for W in weights[:-1]] + [Dense(1, "sigmoid")]
    net = Network(layers, weights[0].shape[1], dtype="float64", seed=0)
    for view, W in zip(net.weights, weights, strict=True):
        view[...] = W.T
    return net


def course_weights(sizes: list[int], scale: float | None = None) -> list[Array]:
    """Normal numbers times `scale`, or over sqrt(n_in), in the order of the layers."""
    random = np.random.RandomState(1)
    return [
        random.randn(n_out, n_in) * (1 / np.sqrt(n_in) if scale is None else scale)
        for n_in, n_out in pairwise(sizes)
    ]


def descend(net: Network, X: Array, y: Array, rate: float, iterations: int) -> list[float]:
    history = net.fit(X, y, epochs=iterations, batch_size=None, optimizer="sgd", learning_rate=rate)
    assert len(history["loss"]) == iterations
    return history["loss"]


def test_logistic_regression_tells_cats(cats: tuple[Split, Split]) -> None:
    (X, y), test = cats
    net = Network([Dense(1, "sigmoid", "zeros")], 12288, dtype="float64")
    costs = descend(net, X, y, 0.005, 2000)
    assert costs[0] == pytest.approx(np.log(2), rel=1e-12)
    # What the course prints every hundred iterations
    assert costs[100] == pytest.approx(0.584508, abs=1e-6)
    assert costs[1000] == pytest.approx(0.214820, abs=1e-6)
    assert costs[1900] == pytest.approx(0.140872, abs=1e-6)
    assert net.evaluate(X, y)["accuracy"] == pytest.approx(0.99, abs=ONE_CAT)
    assert net.evaluate(*test)["accuracy"] == pytest.approx(0.70, abs=ONE_TEST_CAT)


def test_one_hidden_layer_tells_cats(cats: tuple[Split, Split]) -> None:
    (X, y), test = cats
    net = course_network(course_weights([12288, 7, 1], 0.01), "relu")
    costs = descend(net, X, y, 0.0075, 2500)
    assert costs[0] == pytest.approx(0.693049735659989, rel=1e-9)
    assert costs[100] == pytest.approx(0.6464320953428849, rel=1e-9)
    assert costs[-1] < 0.06
    assert net.evaluate(X, y)["accuracy"] == pytest.approx(1.00, abs=ONE_CAT)
    assert net.evaluate(*test)["accuracy"] == pytest.approx(0.72, abs=ONE_TEST_CAT)


def test_four_layers_tell_cats(cats: tuple[Split, Split]) -> None:
    (X, y), test = cats
    net = course_network(course_weights([12288, 20, 7, 5, 1]), "relu")
    costs = descend(net, X, y, 0.0075, 2500)
    assert costs[0] == pytest.approx(0.771749, abs=1e-6)
    assert costs[100] == pytest.approx(0.672053, abs=1e-6)
    assert costs[-1] < 0.1
    assert net.evaluate(X, y)["accuracy"] == pytest.approx(0.985, abs=ONE_CAT)
    assert net.evaluate(*test)["accuracy"] == pytest.approx(0.80, abs=ONE_TEST_CAT)


def test_hidden_layer_finds_the_petals_of_the_flower() -> None:
    X, y = make_flower()
    net = course_network([np.random.RandomState(2).randn(4, 2) * 0.01, np.zeros((1, 4))], "tanh")
    net.weights[1][:, 0] = np.random.RandomState(3).randn(4) * 0.01
    costs = descend(net, X, y, 1.2, 10_000)
    assert costs[0] == pytest.approx(np.log(2), rel=1e-3)
    assert net.evaluate(X, y)["accuracy"] >= 0.90


def test_logistic_regression_does_not_find_the_petals() -> None:
    X, y = make_flower()
    net = Network([Dense(1, "sigmoid", "zeros")], 2, dtype="float64")
    descend(net, X, y, 1.2, 10_000)
    assert net.evaluate(X, y)["accuracy"] == pytest.approx(0.47, abs=0.01)


# ---- the second course: L2 and dropout -----------------------------------------------------------

LAMBDA, KEEP_PROB = 0.7, 0.86


def football_network(rate: float) -> Network:
    """The course's 2-20-3-1, with dropout behind both hidden layers."""
    layers = [Dense(20, "relu"), Dropout(rate), Dense(3, "relu"), Dropout(rate)]
    return Network([*layers, Dense(1, "sigmoid")], 2, dtype="float64", seed=3)


def masks_of(net: Network, n_steps: int, n_samples: int) -> list[list[Array]]:
    """What dropout keeps in the first steps, for both hidden layers: D1 and D2 of the course."""
    return [
        [
            reference.dropout_mask(
                net.layers[layer].rate, reference.noise_key(net.seed, layer), step,
                np.arange(n_samples), n_units,
            ).astype(np.float64)
            for layer, n_units in ((1, 20), (3, 3))
        ]
        for step in range(n_steps)
    ]  # fmt: skip


def cost_of_the_course(
    net: Network, X: Array, y: Array, masks: list[Array], keep_prob: float, lambd: float
) -> float:
    """forward_propagation_with_dropout and compute_cost_with_regularization, columns as samples."""
    W1, W2, W3 = (net.weights[i].T for i in (0, 2, 4))
    b1, b2, b3 = (net.biases[i][:, np.newaxis] for i in (0, 2, 4))
    A1 = np.maximum(0, W1 @ X.T + b1) * masks[0].T / keep_prob
    A2 = np.maximum(0, W2 @ A1 + b2) * masks[1].T / keep_prob
    A3 = 1 / (1 + np.exp(-(W3 @ A2 + b3)))
    m = len(X)
    cross_entropy = np.sum(-np.log(A3) * y - np.log(1 - A3) * (1 - y)) / m
    squares = sum(np.sum(np.square(W)) for W in (W1, W2, W3))
    return float(cross_entropy + lambd / (2 * m) * squares)


@pytest.mark.parametrize(
    ("lambd", "keep_prob"), [(LAMBDA, 1.0), (0.0, KEEP_PROB), (LAMBDA, KEEP_PROB)]
)
def test_l2_and_dropout_are_those_of_the_course(lambd: float, keep_prob: float) -> None:
    """The cost by its formula, and 2,000 steps by NumPy with given masks, each to 1e-12.

    The difference grows with the steps: 4e-15 after 2,000, 4e-14 after 5,000.
    """
    (X, y), n_steps = make_halves(), 2000
    net = football_network(1 - keep_prob)
    masks = masks_of(net, n_steps, len(X))
    assert (keep_prob == 1) == all(mask.all() for mask in masks[0])
    layers: list[reference.Layer] = []
    for i, (W, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        if isinstance(net.layers[i], Dropout):
            of_layer = [of_step[i // 2] for of_step in masks]
            layers.append(reference.Dropout(1 - keep_prob, masks=of_layer))
        else:
            layers.append(reference.Dense(W, b, "relu" if i < 4 else "linear"))
    textbook = reference.Network(layers, "sigmoid", "binary_cross_entropy")
    cost = cost_of_the_course(net, X, y, masks[0], keep_prob, lambd)

    history = net.fit(
        X, y, epochs=n_steps, batch_size=None, optimizer="sgd", learning_rate=0.3, l2=lambd
    )
    assert history["loss"][0] == pytest.approx(cost, rel=1e-12)
    costs = textbook.fit(X, y[:, np.newaxis], n_steps, learning_rate=0.3, l2=lambd)
    np.testing.assert_allclose(history["loss"], costs, rtol=0, atol=1e-12)
    expected = np.concatenate([p.ravel() for layer in layers for p in layer.parameters])
    np.testing.assert_allclose(net.parameters, expected, rtol=0, atol=1e-12)


def test_784_128_10_reads_mnist() -> None:
    path = DATA / "mnist.npz"
    if not path.exists():
        pytest.skip(f"there is no {path}")
    with np.load(path) as file:
        X, y, X_test, y_test = (file[key] for key in ("x_train", "y_train", "x_test", "y_test"))
    X, X_test = (images.reshape(len(images), 784) / np.float32(255) for images in (X, X_test))
    net = Network([Dense(128, "relu"), Dense(10, "softmax")], 784, seed=0)
    history = net.fit(X, y, epochs=10, batch_size=128, optimizer="adam")
    assert history["loss"][-1] < history["loss"][0] / 5
    assert net.evaluate(X_test, y_test)["accuracy"] >= 0.975

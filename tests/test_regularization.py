"""Penalties, weight decay, clipping, limits of norms, and layers that are not trained."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastnn
from fastnn import Dense, Network
from fastnn._core import kernels, single
from fastnn._core.regularization import Rules
from fastnn._core.training import Trainer
from fastnn.optimizers import get_optimizer
from fastnn.reference import loops, vectorized
from fastnn.reference import vectorized_regularization as reference
from fastnn.reference.vectorized_optimizers import OPTIMIZERS

Array = npt.NDArray[Any]

SIZES = [0, 1, 7, 8, 9, 15, 16, 17, 33, 46, 1000]
SHAPES = [(0, 3), (3, 0), *((1, n) for n in SIZES), *((n, 1) for n in SIZES), (5, 7), (33, 46)]

isas = pytest.mark.parametrize("isa", kernels.supported_isas())
dtypes = pytest.mark.parametrize("dtype", [np.dtype(np.float32), np.dtype(np.float64)], ids=str)


def matrices(dtype: np.dtype[Any]) -> Iterator[Array]:
    """Of all shapes, with numbers of many sizes, some of them 0."""
    rng = np.random.default_rng(0)
    for shape in SHAPES:
        x = (rng.standard_normal(shape) * np.exp(3 * rng.standard_normal(shape))).astype(dtype)
        x.reshape(-1)[2::5] = 0
        yield x


# ---- kernels -------------------------------------------------------------------------------------


@isas
@dtypes
@pytest.mark.parametrize(("l1", "l2"), [(0.3, 0.0), (0.0, 0.7), (0.25, 1.5)])
def test_penalty_and_its_gradient_are_the_reference(
    l1: float, l2: float, dtype: np.dtype[Any], isa: str
) -> None:
    eps = float(np.finfo(dtype).eps)
    for w in matrices(dtype):
        g = np.random.default_rng(1).standard_normal(w.shape).astype(dtype)
        penalty, gradient = single.penalize(g, w, l1, l2, 0.125, isa)
        W = w.astype(np.float64)
        assert penalty == pytest.approx(reference.penalty(W, l1, l2), rel=1e-14)
        added = reference.penalty_gradient(W, l1, l2) / 8
        bound = 4 * eps * (np.abs(g) + np.abs(added))
        assert (np.abs(gradient - (g + added)) <= bound).all()


@isas
@dtypes
def test_sum_of_squares_is_the_sum(dtype: np.dtype[Any], isa: str) -> None:
    for x in matrices(dtype):
        for first in {0, x.shape[1] // 3}:  # with gaps between the rows
            expected = np.square(x[:, first:].astype(np.float64)).sum()
            assert single.sum_of_squares(x, first, isa) == pytest.approx(expected, rel=1e-14)


@isas
@dtypes
def test_clip_and_scale_are_the_reference(dtype: np.dtype[Any], isa: str) -> None:
    for x in matrices(dtype):
        expected = x.copy()
        reference.clip_by_value(expected, 0.5)
        np.testing.assert_array_equal(single.clip(x, 0.5, isa), expected)
        np.testing.assert_array_equal(single.scale(x, 0.75, isa), dtype.type(0.75) * x)


@isas
@dtypes
def test_clip_keeps_nan_and_limits_infinity(dtype: np.dtype[Any], isa: str) -> None:
    x = np.resize(np.array([np.nan, np.inf, -np.inf, 0.25], dtype), (1, 19))
    np.testing.assert_array_equal(
        single.clip(x, 2.0, isa), np.resize(np.array([np.nan, 2, -2, 0.25], dtype), (1, 19))
    )


@isas
@dtypes
def test_norms_are_limited_column_by_column(dtype: np.dtype[Any], isa: str) -> None:
    for w in matrices(dtype):
        limited, result = single.limit_norms(w, 2.0, isa)
        expected = w.astype(np.float64)
        reference.limit_norms(expected, 2.0)
        eps = float(np.finfo(dtype).eps)
        np.testing.assert_allclose(limited, expected, rtol=4 * eps, atol=0)
        short = np.linalg.norm(w.astype(np.float64), axis=0) <= 2
        np.testing.assert_array_equal(limited[:, short], w[:, short])
        assert result == (0 if short.all() else 1)


@isas
@pytest.mark.parametrize("value", [np.inf, np.nan, 1e300])
def test_a_norm_that_is_not_finite_is_reported(value: float, isa: str) -> None:
    w = np.ones((3, 21))
    w[1, 20] = value
    assert single.limit_norms(w, 2.0, isa)[1] == -1


@dtypes
def test_bits_are_the_same_under_every_instruction_set(dtype: np.dtype[Any]) -> None:
    def everything(isa: str) -> list[bytes]:
        results: list[Any] = []
        for w in matrices(dtype):
            results += single.penalize(w[::-1].copy(), w, 0.3, 0.7, 0.1, isa)
            results += [single.sum_of_squares(w, w.shape[1] // 2, isa), single.clip(w, 0.3, isa)]
            results += [single.scale(w, 0.3, isa), *single.limit_norms(w, 0.9, isa)]
        return [np.asarray(result).tobytes() for result in results]

    first, *others = kernels.supported_isas()
    for isa in others:
        assert everything(isa) == everything(first), isa


# ---- references ----------------------------------------------------------------------------------


def test_references_agree_with_l2() -> None:
    """The course's lambda, in its cost, its gradient and its training."""
    rng = np.random.default_rng(2)
    weights = [rng.standard_normal((4, 5)), rng.standard_normal((5, 1))]
    biases = [rng.standard_normal(5), rng.standard_normal(1)]
    X, y = rng.standard_normal((11, 4)), rng.integers(0, 2, 11)
    arguments = (weights, biases, ["tanh", "sigmoid"], "binary_cross_entropy")
    slow, fast = loops.Network(*arguments), vectorized.Network(*arguments)
    plain, _ = fast.loss_and_gradients(X, y)
    cost, gradients = fast.loss_and_gradients(X, y, l2=0.7)
    squares = sum(float(np.square(W).sum()) for W in weights)
    assert cost == pytest.approx(plain + 0.7 / (2 * 11) * squares, rel=1e-14)
    slow_cost, slow_gradients = slow.loss_and_gradients(X.tolist(), y.tolist(), l2=0.7)
    assert slow_cost == pytest.approx(cost, rel=1e-13)
    for found, wanted in zip(slow_gradients, gradients, strict=True):
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-13)
    options: dict[str, Any] = {"epochs": 8, "batch_size": 4, "learning_rate": 0.1, "l2": 0.7}
    np.testing.assert_allclose(
        slow.fit(X.tolist(), y.tolist(), **options), fast.fit(X, y, **options), rtol=1e-12
    )
    for a, b in zip(slow.weights, fast.weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)


# ---- a loop over steps in NumPy ------------------------------------------------------------------


def reference_of(net: Network) -> vectorized.Network:
    return vectorized.Network(
        [W.astype(np.float64) for W in net.weights],
        [b.astype(np.float64) for b in net.biases],
        [layer.activation for layer in net.layers],
        net.loss.kernel(net._architecture.output.activation),
    )


class NumPyLoop:
    """Training as `Network.fit` documents it, by the layers of `net` and the options of `fit`."""

    def __init__(self, net: Network) -> None:
        self.layers = net.layers
        self.net = reference_of(net)
        self.step = 0
        self.slots: dict[tuple[int, int], list[Array]] = {}

    def penalties(self, l1: float, l2: float) -> list[tuple[float, float]]:
        return [
            (l1 + layer.l1, l2 + layer.l2) if layer.trainable else (0.0, 0.0)
            for layer in self.layers
        ]

    def cost_and_gradients(
        self, X: Array, y: Array, l1: float, l2: float
    ) -> tuple[float, list[tuple[Array, Array]]]:
        cost, gradients = self.net.loss_and_gradients(X, y)
        penalties = self.penalties(l1, l2)
        for W, (dW, _), (a, b) in zip(self.net.weights, gradients, penalties, strict=True):
            cost += reference.penalty(W, a, b) / len(X)
            dW += reference.penalty_gradient(W, a, b) / len(X)
        return cost, gradients

    def fit(
        self,
        X: Array,
        y: Array,
        *,
        epochs: int,
        batch_size: int | None,
        optimizer: str,
        learning_rate: float,
        l1: float = 0.0,
        l2: float = 0.0,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> list[float]:
        costs = []
        size = batch_size or len(X)
        for _ in range(epochs):
            total = 0.0
            for start in range(0, len(X), size):
                batch = slice(start, start + size)
                cost, gradients = self.cost_and_gradients(X[batch], y[batch], l1, l2)
                total += cost * len(X[batch])
                trained = [i for i, layer in enumerate(self.layers) if layer.trainable]
                flat = [g for i in trained for g in gradients[i]]
                if clip_value is not None:
                    for g in flat:
                        reference.clip_by_value(g, clip_value)
                if clip_norm is not None:
                    reference.clip_by_norm(flat, clip_norm)
                self.update(trained, gradients, optimizer, learning_rate, weight_decay)
            costs.append(total / len(X))
        return costs

    def update(
        self, trained: list[int], gradients: Any, optimizer: str, rate: float, weight_decay: float
    ) -> None:
        rule, n_slots = OPTIMIZERS[optimizer]
        self.step += 1
        for i in trained:
            layer, W, b = self.layers[i], self.net.weights[i], self.net.biases[i]
            layer_rate = rate * layer.learning_rate_factor
            reference.decay(W, layer_rate, weight_decay)
            for which, (w, g) in enumerate(zip((W, b), gradients[i], strict=True)):
                zeros = [np.zeros_like(w) for _ in range(n_slots)]
                slots = self.slots.setdefault((i, which), zeros)
                rule(w, g, slots, self.step, layer_rate)
            if layer.max_norm is not None:
                reference.limit_norms(W, layer.max_norm)

    @property
    def parameters(self) -> Array:
        pairs = zip(self.net.weights, self.net.biases, strict=True)
        return np.concatenate([p.ravel() for pair in pairs for p in pair])


Layers = Callable[..., list[Dense]]


def layers_of(*units: int, activation: str = "tanh", output: str = "softmax") -> Layers:
    def make(options: dict[int, dict[str, Any]]) -> list[Dense]:
        names = [activation] * (len(units) - 1) + [output]
        return [
            Dense(n, name, **options.get(i - len(units), options.get(i, {})))
            for i, (n, name) in enumerate(zip(units, names, strict=True))
        ]

    return make


#: features, layers, samples, batch size
NETS: dict[str, tuple[int, Layers, int, int | None]] = {
    "one layer": (3, layers_of(1, output="sigmoid"), 20, 8),
    "small, updated at once": (5, layers_of(9, 7, 3), 40, 16),
    "along the samples": (3, layers_of(7, 5, 2), 100, 40),
    "medium, a tile a layer": (40, layers_of(120, 70, 5), 96, 40),
    "large, several tiles": (301, layers_of(203, 131, 11), 60, 30),
    "units shared out": (263, layers_of(515, 67, 293), 66, 33),
}

#: options of fit, and of layers by their number (from the end, where negative)
FEATURES: dict[str, tuple[dict[str, Any], dict[int, dict[str, Any]]]] = {
    "l1": ({"l1": 0.2}, {}),
    "l2": ({"l2": 0.7}, {}),
    "weight_decay": ({"weight_decay": 0.5}, {}),
    "clip_value": ({"clip_value": 0.01}, {}),
    "clip_norm": ({"clip_norm": 0.05}, {}),
    "a layer's l1 and l2": ({}, {-1: {"l1": 0.1, "l2": 0.3}}),
    "max_norm": ({}, {-1: {"max_norm": 0.8}, 0: {"max_norm": 0.9}}),
    "learning_rate_factor": ({}, {-1: {"learning_rate_factor": 0.25}}),
    "frozen below": ({}, {0: {"trainable": False}}),
    "frozen in between": ({"l2": 0.1}, {1: {"trainable": False, "l1": 2.0}}),
    "all": (
        {"l1": 0.05, "l2": 0.3, "weight_decay": 0.2, "clip_value": 0.02, "clip_norm": 0.1},
        {
            0: {"max_norm": 0.7, "l1": 0.1, "learning_rate_factor": 2.0},
            -1: {"max_norm": 0.8, "l2": 0.4, "learning_rate_factor": 0.5},
        },
    ),
    "all but clip_norm": (
        {"l1": 0.05, "l2": 0.3, "weight_decay": 0.2, "clip_value": 0.02},
        {
            0: {"max_norm": 0.7, "l1": 0.1, "learning_rate_factor": 2.0},
            -1: {"max_norm": 0.8, "l2": 0.4, "learning_rate_factor": 0.5},
        },
    ),
}


def example(
    net_name: str, feature: str, dtype: str = "float64"
) -> tuple[Network, Array, Array, dict[str, Any]]:
    """A network, data and the options of fit but for epochs and threads."""
    n_features, make, n_samples, batch_size = NETS[net_name]
    options, of_layers = FEATURES[feature]
    net = Network(make(of_layers), n_features, dtype=dtype, seed=3)
    rng = np.random.default_rng(4)
    X = rng.standard_normal((n_samples, n_features)).astype(dtype)
    y = rng.integers(0, max(2, net.n_outputs), n_samples)
    settings = {"batch_size": batch_size, "optimizer": "momentum", "learning_rate": 0.05}
    return net, X, y, settings | {"shuffle": False} | options


LARGE = ("large, several tiles", "units shared out")
FOR_LARGE = ("l2", "max_norm", "frozen in between", "all", "all but clip_norm")


@pytest.mark.parametrize(
    ("net_name", "feature"),
    [
        (name, feature)
        for name in NETS
        for feature in FEATURES
        if (name not in LARGE or feature in FOR_LARGE)
        and (name, feature) != ("one layer", "frozen below")
    ],
)
def test_200_steps_are_the_loop_in_numpy(net_name: str, feature: str) -> None:
    net, X, y, options = example(net_name, feature)
    start = net.parameters.copy()
    loop = NumPyLoop(net)
    n_steps = math.ceil(len(X) / (options["batch_size"] or len(X)))
    epochs = math.ceil(200 / n_steps)
    history = net.fit(X, y, epochs=epochs, threads=1, **options)
    del options["shuffle"]
    costs = loop.fit(X, y, epochs=epochs, **options)
    np.testing.assert_allclose(history["loss"], costs, rtol=1e-9)
    np.testing.assert_allclose(net.parameters, loop.parameters, rtol=0, atol=1e-9)
    assert np.abs(net.parameters - start).max() > 0.01


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("net_name", ["small, updated at once", "large, several tiles"])
def test_every_optimizer_takes_all_of_it(net_name: str, optimizer: str) -> None:
    net, X, y, options = example(net_name, "all")
    options |= {"optimizer": optimizer, "learning_rate": 0.001}
    if optimizer in ("adamw", "lion"):
        options["weight_decay"] = 0.0
    loop = NumPyLoop(net)
    history = net.fit(X, y, epochs=10, **options)
    del options["shuffle"]
    np.testing.assert_allclose(history["loss"], loop.fit(X, y, epochs=10, **options), rtol=1e-9)
    np.testing.assert_allclose(net.parameters, loop.parameters, rtol=0, atol=1e-9)


@pytest.mark.parametrize("feature", ["l2", "all", "all but clip_norm", "frozen in between"])
def test_batches_larger_than_a_slab_are_the_loop_in_numpy(feature: str) -> None:
    options, of_layers = FEATURES[feature]
    net = Network(layers_of(301, 9, 2)(of_layers), 4, dtype="float64", seed=5)
    rng = np.random.default_rng(6)
    X, y = rng.standard_normal((10_007, 4)), rng.integers(0, 2, 10_007)
    loop = NumPyLoop(net)
    options = options | {"batch_size": 9_000, "optimizer": "sgd", "learning_rate": 0.5}
    history = net.fit(X, y, epochs=5, shuffle=False, **options)
    np.testing.assert_allclose(history["loss"], loop.fit(X, y, epochs=5, **options), rtol=1e-9)
    np.testing.assert_allclose(net.parameters, loop.parameters, rtol=0, atol=1e-9)


# ---- gradients -----------------------------------------------------------------------------------

PENALTIES: dict[str, tuple[dict[str, float], dict[int, dict[str, Any]]]] = {
    "l1": ({"l1": 0.6}, {}),
    "l2": ({"l2": 0.7}, {}),
    "a layer's l1": ({}, {0: {"l1": 0.5}}),
    "a layer's l2": ({}, {1: {"l2": 0.5}}),
    "all": ({"l1": 0.3, "l2": 0.4}, {0: {"l2": 0.2}, 1: {"l1": 0.1}}),
    "a frozen layer": ({"l2": 0.7}, {0: {"trainable": False, "l2": 0.5}}),
}


@pytest.mark.parametrize("case", PENALTIES)
def test_gradients_of_penalties_are_central_differences(case: str) -> None:
    options, of_layers = PENALTIES[case]
    net = Network(layers_of(6, 5, 3)(of_layers), 4, dtype="float64", seed=7)
    rng = np.random.default_rng(8)
    X, y = rng.standard_normal((9, 4)), rng.integers(0, 3, 9)
    loss, gradient = net.loss_and_gradients(X, y, **options)
    expected, _ = NumPyLoop(net).cost_and_gradients(
        X, y, options.get("l1", 0.0), options.get("l2", 0.0)
    )
    assert loss == pytest.approx(expected, rel=1e-13)
    parameters = net.parameters
    differences = np.empty_like(gradient)
    for i, value in enumerate(parameters.copy()):
        sides = []
        for side in (value + 1e-6, value - 1e-6):
            parameters[i] = side
            sides.append(net.loss_and_gradients(X, y, **options)[0])
        parameters[i] = value
        differences[i] = (sides[0] - sides[1]) / 2e-6
    distance = np.linalg.norm(gradient - differences)
    assert distance / (np.linalg.norm(gradient) + np.linalg.norm(differences)) <= 1e-7


@pytest.mark.parametrize("case", ["a layer's l1", "a layer's l2", "all", "a frozen layer"])
def test_gradient_check_includes_the_penalties_of_the_layers(case: str) -> None:
    net = Network(layers_of(6, 5, 3)(PENALTIES[case][1]), 4, seed=7)
    rng = np.random.default_rng(9)
    check = fastnn.gradient_check(net, rng.standard_normal((9, 4)), rng.integers(0, 3, 9))
    assert check <= 1e-7


def test_evaluation_is_without_penalties() -> None:
    net, X, y, options = example("small, updated at once", "l2")
    plain = net.evaluate(X, y)["loss"]
    history = net.fit(X, y, epochs=1, validation_data=(X, y), **options | {"batch_size": None})
    assert history["loss"][0] > plain + 0.01
    assert history["val_loss"] == [net.evaluate(X, y)["loss"]]


# ---- what each promises --------------------------------------------------------------------------


def test_frozen_layers_keep_their_bits() -> None:
    for which in (0, 1, -1):
        make = layers_of(20, 30, 3)
        net = Network(
            make({which: {"trainable": False, "l2": 3.0, "max_norm": 0.01}}),
            6,
            dtype="float64",
            seed=0,
        )
        before = net.parameters.copy()
        rng = np.random.default_rng(10)
        X, y = rng.standard_normal((50, 6)), rng.integers(0, 3, 50)
        net.fit(X, y, epochs=3, weight_decay=0.1, l1=0.1, clip_norm=1.0, batch_size=16)
        for i, (old, new) in enumerate(
            zip(net.split(before), net.split(net.parameters), strict=True)
        ):
            same = [np.array_equal(a, b) for a, b in zip(old, new, strict=True)]
            assert same == [i == which % 3] * 2


def test_norms_of_units_stay_below_their_limit() -> None:
    net, X, y, options = example("large, several tiles", "max_norm", "float32")
    net.fit(X, y, epochs=5, **options)
    norms = [np.linalg.norm(W.astype(np.float64), axis=0) for W in net.weights]
    assert norms[0].max() <= 0.9 * (1 + 1e-6)
    assert norms[-1].max() <= 0.8 * (1 + 1e-6)
    assert norms[1].max() > 0.9


def test_weight_decay_without_a_gradient_is_exact() -> None:
    """Of zeros, the sum of squares has no gradient; biases are no weights."""
    net = Network([Dense(3)], 2, dtype="float64", seed=0)
    net.biases[0][:] = 0
    before = net.weights[0].copy()
    net.fit(
        np.zeros((4, 2)), np.zeros((4, 3)), epochs=5, batch_size=None,
        optimizer="sgd", learning_rate=0.5, weight_decay=0.25,
    )  # fmt: skip
    np.testing.assert_allclose(net.weights[0], before * (1 - 0.5 * 0.25) ** 5, rtol=1e-15)


def test_a_short_gradient_is_not_touched() -> None:
    nets = []
    for clip_norm in (None, 1e6):
        net, X, y, options = example("large, several tiles", "l2")
        net.fit(X, y, epochs=2, **options, clip_norm=clip_norm, clip_value=clip_norm)
        nets.append(net.parameters.tobytes())
    assert nets[0] == nets[1]


def test_decay_has_no_effect_on_the_loss_of_its_step() -> None:
    net, X, y, options = example("small, updated at once", "weight_decay")
    expected = net.loss_and_gradients(X, y)[0]
    history = net.fit(X, y, epochs=1, **options | {"batch_size": None})
    assert history["loss"][0] == pytest.approx(expected, rel=1e-15)


# ---- bits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("feature", "dtype"),
    [("all", "float32"), ("all but clip_norm", "float64"), ("frozen in between", "float32")],
)
@pytest.mark.parametrize("net_name", NETS)
def test_bits_do_not_depend_on_threads(net_name: str, feature: str, dtype: str) -> None:
    results = set()
    for threads in (1, 2, 3):
        net, X, y, options = example(net_name, feature, dtype)
        losses = net.fit(X, y, epochs=4, threads=threads, **options)["loss"]
        gradient = net.loss_and_gradients(X, y, l1=0.1, l2=0.2, threads=threads)[1]
        results.add((net.parameters.tobytes(), tuple(losses), gradient.tobytes()))
    assert len(results) == 1


@pytest.mark.parametrize("net_name", NETS)
def test_nothing_on_is_nothing_given(net_name: str) -> None:
    nets = []
    for options in (
        {},
        {"l1": 0.0, "l2": 0, "weight_decay": 0.0, "clip_norm": None, "clip_value": None},
    ):
        net, X, y, settings = example(net_name, "l1")
        del settings["l1"]
        net.fit(X, y, epochs=3, **settings, **options)
        nets.append(net.parameters.tobytes())
    assert nets[0] == nets[1]


# ---- the gradient hook ---------------------------------------------------------------------------


def test_the_hook_sees_the_gradient_before_penalties_and_clipping() -> None:
    net, X, y, _ = example("large, several tiles", "l2")
    twin = net.copy()
    expected = net.split(net.loss_and_gradients(X, y)[1])
    seen: dict[int, Array] = {}
    plan, state = net._built()
    optimizer = get_optimizer("sgd", 0.5)
    trainer = Trainer(
        plan, state.parameters, state.running, X, y.astype(np.int32), len(X), 1, 2, optimizer="sgd",
        hyperparameters=optimizer.hyperparameters, learning_rate=0.5,
        slots=np.zeros((0, net.n_parameters)), n_updates=0, bit_generator=None,
        gradient_hook=lambda layer, g: seen.update({layer: g.copy()}),
        rules=Rules([(True, 0.0, 0.7, 0.0, 1.0)] * 3, 0.1, 0.05, 0.01),
    )  # fmt: skip
    trainer.advance(1)
    for layer, (weights, bias) in enumerate(expected):
        np.testing.assert_array_equal(seen[layer], np.concatenate([weights.ravel(), bias]))
    twin.fit(
        X, y, epochs=1, batch_size=None, optimizer="sgd", learning_rate=0.5,
        l2=0.7, weight_decay=0.1, clip_norm=0.05, clip_value=0.01,
    )  # fmt: skip
    assert net.parameters.tobytes() == twin.parameters.tobytes()


# ---- a failed step is undone ---------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("options", [{}, {"clip_norm": 1e300}], ids=["fused", "stored"])
@pytest.mark.parametrize("units", [(3,), (5, 3), (300, 203)])
def test_a_penalty_that_overflows_is_undone(
    units: tuple[int, ...], options: dict[str, Any], threads: int
) -> None:
    """The weights grow by the same factor at every step, far from the range of float64 when the sum
    of their squares leaves it."""
    net = Network(layers_of(*units, output="linear")({}), 4, dtype="float64", seed=11)
    twin = net.copy()
    X, y = np.zeros((40, 4)), np.zeros((40, units[-1]))
    settings: dict[str, Any] = {
        "batch_size": 8, "optimizer": "sgd", "learning_rate": 8e4, "l2": 1.0, "shuffle": False,
    }  # fmt: skip
    settings |= options
    with pytest.raises(FloatingPointError, match=r"the loss is inf|an update gave") as error:
        net.fit(X, y, epochs=50, threads=threads, **settings)
    found = re.search(r"\(step (\d+)\)", str(error.value))
    assert found is not None
    step = int(found[1])
    assert step > 20
    for _ in range(step - 1):
        twin.fit(X[:8], y[:8], epochs=1, **settings)
    assert np.isfinite(net.parameters).all()
    assert net.parameters.tobytes() == twin.parameters.tobytes()
    with pytest.raises(FloatingPointError):
        twin.fit(X[:8], y[:8], epochs=1, **settings)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("n_features", [4, 400])
def test_a_norm_that_overflows_is_undone(n_features: int, threads: int) -> None:
    """The weights of a step are finite, their squares are not."""
    net = Network([Dense(70, max_norm=2.0)], n_features, dtype="float64", seed=12)
    twin = net.copy()
    X, y = np.ones((24, n_features)), np.zeros((24, 70))
    y[16:] = 1e150
    settings: dict[str, Any] = {
        "batch_size": 8, "optimizer": "sgd", "learning_rate": 1e10, "shuffle": False,
    }  # fmt: skip
    with pytest.raises(FloatingPointError, match=r"an update gave .*\(step 3\)"):
        net.fit(X, y, epochs=1, threads=threads, **settings)
    twin.fit(X[:16], y[:16], epochs=1, **settings)
    assert net.parameters.tobytes() == twin.parameters.tobytes()
    assert np.linalg.norm(net.weights[0], axis=0).max() <= 2 * (1 + 1e-12)


def test_a_gradient_whose_norm_overflows_is_undone() -> None:
    net = Network([Dense(2)], 3, dtype="float64", seed=13)
    before = net.parameters.copy()
    X = np.full((4, 3), 1e153)
    with pytest.raises(FloatingPointError, match=r"an update gave .*\(step 1\)"):
        net.fit(X, np.zeros((4, 2)) + 1e10, epochs=1, clip_norm=1.0, optimizer="sgd", l2=0.1,
                learning_rate=1e-300)  # fmt: skip
    np.testing.assert_array_equal(net.parameters, before)


# ---- going on ------------------------------------------------------------------------------------

EVERYTHING: dict[str, Any] = {
    "l1": 0.1, "l2": 0.2, "weight_decay": 0.3, "clip_norm": 0.4, "clip_value": 0.5,
}  # fmt: skip


def test_settings_stay_until_told_otherwise() -> None:
    net, X, y, _ = example("small, updated at once", "max_norm")
    net.fit(X, y, epochs=1, **EVERYTHING)
    assert net.training is not None
    assert net.training.regularization == fastnn._regularization.Regularization(**EVERYTHING)
    net.partial_fit(X, y, clip_norm=None, l1=0)
    assert repr(net.training.regularization) == (
        "Regularization(l2=0.2, weight_decay=0.3, clip_value=0.5)"
    )
    net.fit(X, y, epochs=1, clip_value=None, l2=0, weight_decay=0)
    assert net.training.regularization == fastnn._regularization.Regularization()


@pytest.mark.parametrize("how", ["file", "copy", "itself"])
def test_training_in_two_parts_is_training_in_one(how: str, tmp_path: Path) -> None:
    net, X, y, options = example("medium, a tile a layer", "all")
    options["shuffle"] = True
    twin, path = net.copy(), tmp_path / "net.safetensors"
    net.fit(X, y, epochs=5, **options)
    twin.fit(X, y, epochs=2, **options)
    if how == "file":
        twin.save(path)
        twin = Network.load(path)
    elif how == "copy":
        twin = twin.copy()
    twin.fit(X, y, epochs=3)
    assert twin.training == net.training
    assert twin.layers == net.layers
    assert twin.parameters.tobytes() == net.parameters.tobytes()


def test_layers_show_and_keep_what_is_not_as_by_default(tmp_path: Path) -> None:
    layer = Dense(3, "relu", l1=0.5, max_norm=2, trainable=False, learning_rate_factor=3)
    assert repr(layer) == (
        "Dense(3, 'relu', l1=0.5, max_norm=2.0, trainable=False, learning_rate_factor=3.0)"
    )
    assert eval(repr(layer)) == layer
    assert repr(Dense(3, "relu", l1=0, l2=0.0)) == "Dense(3, 'relu')"
    net = Network([layer, Dense(1, l2=0.25)], 2)
    net.save(tmp_path / "net")
    assert Network.load(tmp_path / "net").layers == net.layers
    assert net._architecture.description()["layers"][1] == {
        "kind": "Dense", "n_units": 1, "activation": "linear", "initializer": None, "l2": 0.25,
    }  # fmt: skip


# ---- what is refused -----------------------------------------------------------------------------

WRONG_LAYERS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"l1": -0.1}, ValueError, "l1 must be a number of at least 0, got -0.1"),
    ({"l2": math.nan}, ValueError, "l2 must be a number of at least 0, got nan"),
    ({"l2": math.inf}, ValueError, "l2 must be a number of at least 0, got inf"),
    ({"l1": "0.1"}, TypeError, "l1 must be a number of at least 0, got '0.1' (str)"),
    ({"l1": True}, TypeError, "l1 must be a number of at least 0, got True (bool)"),
    ({"l2": None}, TypeError, "l2 must be a number of at least 0, got None (NoneType)"),
    ({"max_norm": 0}, ValueError, "max_norm must be a positive number or None, got 0.0"),
    ({"max_norm": -1.0}, ValueError, "max_norm must be a positive number or None, got -1.0"),
    ({"max_norm": math.nan}, ValueError, "max_norm must be a positive number or None, got nan"),
    ({"max_norm": False}, TypeError, "max_norm must be a positive number or None, got False"),
    ({"trainable": "yes"}, TypeError, "trainable must be True or False, got 'yes' (str)"),
    ({"trainable": 1}, TypeError, "trainable must be True or False, got 1 (int)"),
    ({"trainable": None}, TypeError, "trainable must be True or False, got None"),
    ({"learning_rate_factor": -1}, ValueError, "learning_rate_factor must be a positive number"),
    ({"learning_rate_factor": 0}, ValueError, "learning_rate_factor must be a positive number"),
    ({"learning_rate_factor": math.inf}, ValueError, "learning_rate_factor must be a positive"),
    ({"learning_rate_factor": [1]}, TypeError, "learning_rate_factor must be a positive number"),
]


@pytest.mark.parametrize(("options", "error", "message"), WRONG_LAYERS)
def test_wrong_layers_are_refused(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)):
        Dense(3, "relu", **options)


WRONG_FITS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"l1": -1}, ValueError, "l1 must be a number of at least 0, got -1.0"),
    ({"l1": math.nan}, ValueError, "l1 must be a number of at least 0, got nan"),
    ({"l2": -1e-9}, ValueError, "l2 must be a number of at least 0, got -1e-09"),
    ({"l2": "ridge"}, TypeError, "l2 must be a number of at least 0, got 'ridge' (str)"),
    ({"l2": None}, TypeError, "l2 must be a number of at least 0, got None (NoneType)"),
    ({"weight_decay": -0.1}, ValueError, "weight_decay must be a number of at least 0"),
    ({"weight_decay": [0.1]}, TypeError, "weight_decay must be a number of at least 0"),
    ({"clip_norm": 0}, ValueError, "clip_norm must be a positive number or None, got 0.0"),
    ({"clip_norm": -1}, ValueError, "clip_norm must be a positive number or None, got -1.0"),
    ({"clip_norm": math.nan}, ValueError, "clip_norm must be a positive number or None, got nan"),
    ({"clip_norm": math.inf}, ValueError, "clip_norm must be a positive number or None, got inf"),
    ({"clip_norm": "1"}, TypeError, "clip_norm must be a positive number or None, got '1' (str)"),
    ({"clip_norm": True}, TypeError, "clip_norm must be a positive number or None, got True"),
    ({"clip_value": -0.5}, ValueError, "clip_value must be a positive number or None, got -0.5"),
    ({"clip_value": 0.0}, ValueError, "clip_value must be a positive number or None, got 0.0"),
    ({"clip_value": (1, 2)}, TypeError, "clip_value must be a positive number or None, got (1, 2)"),
    ({"l2": 1e39}, ValueError, "l2 must be a normal number of float32"),
    ({"clip_norm": 1e-40}, ValueError, "clip_norm must be a normal number of float32"),
    ({"clip_value": 1e300}, ValueError, "clip_value must be a normal number of float32"),
    (
        {"weight_decay": 0.1, "optimizer": "adamw"},
        ValueError,
        "weight_decay must be 0 with AdamW, which has a weight_decay of its own, got 0.1",
    ),
]


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(("options", "error", "message"), WRONG_FITS)
def test_wrong_settings_are_refused_and_change_nothing(
    options: dict[str, Any], error: type[Exception], message: str, method: str
) -> None:
    net, X, y, _ = example("small, updated at once", "l2", "float32")
    net.fit(X, y, epochs=1, l1=0.1)
    before = net.parameters.tobytes(), net.training, net._state and net._state.n_updates
    with pytest.raises(error, match=re.escape(message)):
        getattr(net, method)(X, y, **options)
    assert (net.parameters.tobytes(), net.training, net._state and net._state.n_updates) == before


def test_an_optimizer_with_its_own_decay_is_refused_after_weight_decay() -> None:
    net, X, y, _ = example("small, updated at once", "l2")
    net.fit(X, y, epochs=1, weight_decay=0.1)
    with pytest.raises(ValueError, match="weight_decay must be 0 with AdamW"):
        net.fit(X, y, epochs=1, optimizer=fastnn.AdamW())
    net.fit(X, y, epochs=1, optimizer=fastnn.AdamW(), weight_decay=0)


@pytest.mark.parametrize(
    "options", [{"l2": 1e300}, {"max_norm": 1e-300}, {"learning_rate_factor": 1e39}, {"l1": 1e-45}]
)
def test_layers_beyond_the_dtype_are_refused(options: dict[str, float]) -> None:
    layers = [Dense(2), Dense(3, **options)]  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=rf"layers\[1\]: {next(iter(options))} must be a normal"):
        Network(layers, 2)
    net = Network(layers, 2, dtype="float64")
    with pytest.raises(ValueError, match=rf"layers\[1\]: {next(iter(options))} must be a normal"):
        net.copy("float32")


def test_a_network_without_a_trainable_layer_is_refused() -> None:
    net = Network([Dense(2, trainable=False), Dense(1, trainable=False)], 2, seed=0)
    before = net.parameters.copy()
    with pytest.raises(ValueError, match="layers must have a layer with trainable=True, got none"):
        net.fit([[1, 2]], [3], epochs=1)
    np.testing.assert_array_equal(net.parameters, before)
    assert net.predict([[1, 2]]).shape == (1,)


@pytest.mark.parametrize(
    ("options", "error"),
    [({"l1": -1}, ValueError), ({"l2": "x"}, TypeError), ({"l2": math.nan}, ValueError)],
)
def test_wrong_penalties_of_a_gradient_are_refused(
    options: dict[str, Any], error: type[Exception]
) -> None:
    net, X, y, _ = example("small, updated at once", "l2")
    with pytest.raises(error, match=f"{next(iter(options))} must be a number of at least 0"):
        net.loss_and_gradients(X, y, **options)

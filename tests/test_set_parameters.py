"""Weights, biases and running statistics from arrays."""

from typing import Any

import numpy as np
import pytest

from fastnn import Activation, BatchNorm, Dense, Network, PReLU


def network(dtype: str = "float32", seed: int = 0) -> Network:
    layers = [Dense(4), BatchNorm(), PReLU(), Activation("tanh"), Dense(2)]
    return Network(layers, n_features=3, dtype=dtype, seed=seed)


def trained(dtype: str = "float32") -> Network:
    net = network(dtype, seed=7)
    rng = np.random.default_rng(0)
    net.fit(rng.normal(size=(40, 3)), rng.normal(size=(40, 2)), epochs=2)
    return net


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_network_takes_all_numbers_of_another_one(dtype: str) -> None:
    source, target = trained(dtype), network(dtype)
    target.set_parameters(source.weights, source.biases, source.running_statistics)
    assert target.parameters.tobytes() == source.parameters.tobytes()
    X = np.random.default_rng(1).normal(size=(9, 3))
    assert target.predict(X).tobytes() == source.predict(X).tobytes()
    assert target.training is None
    source.parameters[:] = 0
    assert target.parameters.any()  # a copy


def test_what_is_none_stays() -> None:
    net = trained()
    before = net.copy()
    net.set_parameters(weights=[None, None, np.full(4, 0.5), None, None])
    np.testing.assert_array_equal(net.weights[2], np.full(4, 0.5, np.float32))
    np.testing.assert_array_equal(net.weights[0], before.weights[0])
    net.set_parameters(running_statistics=[None, (np.ones(4), np.full(4, 2)), None, None, None])
    mean, variance = net.running_statistics[1] or pytest.fail("a BatchNorm has statistics")
    assert mean.tolist() == [1] * 4
    assert variance.tolist() == [2] * 4
    assert not mean.flags.writeable
    assert net.training == before.training


def test_training_goes_on_from_the_numbers_that_were_set() -> None:
    X, y = np.random.default_rng(2).normal(size=(30, 3)), np.ones((30, 2))
    one, other = trained(), trained()
    for net in (one, other):
        net.fit(X, y, epochs=1)
    one.set_parameters([weights * 0.5 for weights in one.weights])
    for weights in other.weights:
        weights *= 0.5
    for net in (one, other):
        net.fit(X, y, epochs=1)
    assert one.parameters.tobytes() == other.parameters.tobytes()


def nan_last() -> list[Any]:
    return [None, None, None, None, [[0, 0], [0, 0], [0, 0], [0, np.nan]]]


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"weights": [np.zeros((3, 4))]}, ValueError, r"weights must hold 5 entries, got 1"),
        ({"weights": 3}, TypeError, r"weights must be a sequence of 5 entries, got 3 \(int\)"),
        (
            {"weights": [np.zeros((4, 3)), None, None, None, None]},
            ValueError,
            r"weights\[0\] must be of shape \(3, 4\), got \(4, 3\); rows are inputs",
        ),
        ({"weights": nan_last()}, ValueError, r"weights\[4\]\[3, 1\] is NaN"),
        ({"biases": [["a"] * 4, None, None, None, None]}, TypeError, r"biases\[0\]"),
        ({"biases": [[1e39] * 4, None, None, None, None]}, ValueError, r"biases\[0\]\[0\] is inf"),
        (
            {"running_statistics": [([0], [1]), None, None, None, None]},
            ValueError,
            r"running_statistics\[0\] must be None",
        ),
        (
            {"running_statistics": [None, ([0] * 4, [-1] * 4), None, None, None]},
            ValueError,
            "variances must be at least 0",
        ),
        (
            {"running_statistics": [None, ([0] * 4,), None, None, None]},
            ValueError,
            r"running_statistics\[1\] must hold 2 entries",
        ),
        (
            {"running_statistics": [None, ([0] * 4, [1] * 3), None, None, None]},
            ValueError,
            r"running_statistics\[1\]\[1\] must be of shape \(4,\)",
        ),
    ],
)
def test_a_refused_call_changes_nothing(
    arguments: dict[str, Any], error: type[Exception], text: str
) -> None:
    net = trained()
    before = net.copy()
    first_ones = {"weights": [np.ones((3, 4)), None, None, None, None]}
    with pytest.raises(error, match=text):
        net.set_parameters(**(first_ones | arguments))
    assert net.parameters.tobytes() == before.parameters.tobytes()
    for now, then in zip(net.running_statistics, before.running_statistics, strict=True):
        np.testing.assert_equal(now, then)


def test_a_network_that_is_not_built_has_none() -> None:
    with pytest.raises(ValueError, match="not built yet"):
        Network([Dense(1)]).set_parameters(weights=[[[1.0]]])


def test_a_callback_is_told_to_use_the_views() -> None:
    def callback(net: Network, epoch: int, metrics: dict[str, float]) -> None:
        net.set_parameters(biases=[[0.0]])

    net = Network([Dense(1)], n_features=1, seed=0)
    with pytest.raises(RuntimeError, match="being trained"):
        net.fit([[1.0]], [1.0], epochs=1, callbacks=callback)

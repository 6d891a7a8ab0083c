"""The learning-rate range test and its curve."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastnn
from fastnn import Network, RangeTest, find_learning_rate
from fastnn.datasets import load_digits

Array = npt.NDArray[Any]


def digits() -> tuple[Network, Array, Array]:
    X, y = load_digits()
    return Network.from_sizes([64, 16, 10], output="softmax", seed=0), X[:600], y[:600]


def test_rates_grow_by_the_same_factor_and_losses_are_those_of_the_steps() -> None:
    """Every step is repeated by hand, with the same mini-batches."""
    net, X, y = digits()
    found = find_learning_rate(
        net, X, y, smallest=1e-4, largest=0.5, n_steps=30, batch_size=32, optimizer="momentum"
    )
    assert len(found.rates) == len(found.losses) == len(found.smoothed) == 30
    np.testing.assert_allclose(found.rates, [1e-4 * 5000 ** (i / 29) for i in range(30)])
    random = np.random.Generator(np.random.PCG64(net.seed))
    orders = [random.permutation(600) for _ in range(2)]
    batches = [order[i : i + 32] for order in orders for i in range(0, 600 - 31, 32)]
    twin, mean, weight = net.copy(), 0.0, 0.0
    for i, (rate, rows) in enumerate(zip(found.rates, batches, strict=False)):
        loss = twin.partial_fit(
            X[rows], y[rows], learning_rate=rate, **({"optimizer": "momentum"} if i == 0 else {})
        )
        assert found.losses[i] == loss
        mean, weight = 0.9 * mean + 0.1 * loss, 0.9 * weight + 0.1
        assert found.smoothed[i] == pytest.approx(mean / weight)


def test_the_network_stays_as_it_is() -> None:
    net, X, y = digits()
    net.fit(X, y, epochs=1, batch_size=50, learning_rate=fastnn.StepDecay(0.01))
    twin, history = net.copy(), net.history
    find_learning_rate(net, X, y, n_steps=20)
    assert net.history == history
    assert net.training == twin.training
    assert net.fit(X, y, epochs=2) == twin.fit(X, y, epochs=2)
    np.testing.assert_array_equal(net.parameters, twin.parameters)


def test_the_suggestion_learns_and_a_hundredth_or_the_end_do_not() -> None:
    net, X, y = digits()
    found = find_learning_rate(net, X, y, optimizer="sgd", batch_size=32)
    assert found.suggestion is not None
    losses = {}
    for name, rate in [("it", 1.0), ("less", 0.01), ("more", 1000.0)]:
        twin = net.copy()
        twin.fit(
            X, y, epochs=3, batch_size=32, optimizer="sgd", learning_rate=rate * found.suggestion
        )
        losses[name] = twin.evaluate(X, y)["loss"]
    assert losses["it"] < 0.5 * losses["less"]
    assert not losses["more"] < losses["it"]


def test_it_ends_where_the_loss_grows_too_large() -> None:
    X = np.random.default_rng(0).normal(size=(50, 3))
    net = Network.from_sizes([3, 1], output="linear", seed=0)
    found = find_learning_rate(net, X, X.sum(axis=1), largest=1e4, optimizer="sgd")
    assert len(found.rates) < 100
    assert found.smoothed[-1] > 4 * found.smoothed.min()
    best = np.minimum.accumulate(found.smoothed)
    assert np.all(found.smoothed[10:-1] <= 4 * best[10:-1])
    assert found.suggestion is not None
    assert found.suggestion < 1


def test_it_ends_where_the_loss_is_not_finite() -> None:
    X = np.random.default_rng(0).normal(size=(50, 3))
    net = Network.from_sizes([3, 1], output="linear", seed=0)
    found = find_learning_rate(
        net, X, X.sum(axis=1), smallest=1e-3, largest=1e38, n_steps=15, optimizer="sgd"
    )
    assert 2 <= len(found.rates) < 15
    with pytest.raises(FloatingPointError):
        find_learning_rate(net, X, X.sum(axis=1), smallest=1e30, largest=1e31, optimizer="sgd")


def test_there_is_no_suggestion_where_the_loss_never_falls() -> None:
    net = Network.from_sizes([3, 1], output="linear", seed=0)
    net.parameters[:] = 0
    found = find_learning_rate(net, np.ones((50, 3)), np.zeros(50), optimizer="sgd")
    assert found.suggestion is None
    assert repr(found) == "<range test of 100 steps from 1e-06 to 10; suggestion: none>"


def test_without_a_suggestion_none_is_drawn() -> None:
    pytest.importorskip("matplotlib")
    ones = np.ones(3)
    labels = [line.get_label() for line in RangeTest(ones, ones, ones, None).plot().lines]
    assert labels == ["of each step", "running mean"]


def test_a_network_that_is_not_built_can_be_tested() -> None:
    net = Network([fastnn.Dense(3, "tanh"), fastnn.Dense(1)], seed=0)
    X = np.random.default_rng(0).normal(size=(50, 3))
    assert len(find_learning_rate(net, X, X[:, 0], n_steps=12).rates) == 12
    assert net.n_features is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"smallest": 0}, "smallest must be"),
        ({"smallest": -1e-3}, "smallest must be"),
        ({"largest": np.inf}, "largest must be"),
        (
            {"smallest": 1.0, "largest": 1.0},
            r"largest must be above smallest, which is 1\.0, got 1\.0",
        ),
        ({"n_steps": 9}, "n_steps must be at least 10, got 9"),
        ({"n_steps": 10.0}, "n_steps must be"),
        ({"n_steps": 10**7}, "n_steps must be"),
        ({"batch_size": 0}, "batch_size must be"),
        ({"batch_size": "all"}, "batch_size must be"),
        ({"optimizer": "lbfgs"}, "optimizer must have a learning rate, got LBFGS"),
        ({"optimizer": "adamm"}, "optimizer must be"),
        ({"optimizer": None}, "optimizer must be"),
        ({"threads": 0}, "threads must be"),
        ({"lr": 0.1}, "lr"),
        ({"X": np.ones((5, 65))}, "X has 65 features"),
        ({"y": np.ones(3)}, "y must"),
        ({"net": "net"}, "net must be a Network"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    net, X, y = digits()
    before = net.parameters.copy()
    with pytest.raises((TypeError, ValueError), match=message):
        find_learning_rate(**{"net": net, "X": X, "y": y, **arguments})
    np.testing.assert_array_equal(net.parameters, before)
    assert net.training is None

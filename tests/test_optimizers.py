"""Optimisers: their values, their checks, and each step against the formula."""

import dataclasses
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastnn
from fastnn import Dense, Network
from fastnn.optimizers import OPTIMIZERS, get_optimizer

Array = npt.NDArray[np.float64]
N_STEPS = 7


def sgd(w: Array, gradient: Callable[[Array], Array], lr: float) -> Array:
    for _ in range(N_STEPS):
        w = w - lr * gradient(w)
    return w


def with_momentum(
    w: Array, gradient: Callable[[Array], Array], lr: float, momentum: float
) -> Array:
    v = np.zeros_like(w)
    for _ in range(N_STEPS):
        v = momentum * v + gradient(w)
        w = w - lr * v
    return w


def nesterov(w: Array, gradient: Callable[[Array], Array], lr: float, momentum: float) -> Array:
    v = np.zeros_like(w)
    for _ in range(N_STEPS):
        g = gradient(w)
        v = momentum * v + g
        w = w - lr * (g + momentum * v)
    return w


def rmsprop(
    w: Array, gradient: Callable[[Array], Array], lr: float, rho: float, epsilon: float
) -> Array:
    s = np.zeros_like(w)
    for _ in range(N_STEPS):
        g = gradient(w)
        s = rho * s + (1 - rho) * g**2
        w = w - lr * g / (np.sqrt(s) + epsilon)
    return w


def adagrad(w: Array, gradient: Callable[[Array], Array], lr: float, epsilon: float) -> Array:
    s = np.zeros_like(w)
    for _ in range(N_STEPS):
        g = gradient(w)
        s = s + g**2
        w = w - lr * g / (np.sqrt(s) + epsilon)
    return w


def adamw(
    w: Array,
    gradient: Callable[[Array], Array],
    lr: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    weight_decay: float = 0.0,
) -> Array:
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t in range(1, N_STEPS + 1):
        g = gradient(w)
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        step = (m / (1 - beta_1**t)) / (np.sqrt(v / (1 - beta_2**t)) + epsilon)
        w = w - lr * step - lr * weight_decay * w
    return w


def nadam(
    w: Array,
    gradient: Callable[[Array], Array],
    lr: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    momentum_decay: float,
) -> Array:
    m, v, product = np.zeros_like(w), np.zeros_like(w), 1.0
    for t in range(1, N_STEPS + 1):
        g = gradient(w)
        mu = beta_1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))
        mu_next = beta_1 * (1 - 0.5 * 0.96 ** ((t + 1) * momentum_decay))
        product *= mu
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        step = mu_next * m / (1 - product * mu_next) + (1 - mu) * g / (1 - product)
        w = w - lr * step / (np.sqrt(v / (1 - beta_2**t)) + epsilon)
    return w


def amsgrad(
    w: Array,
    gradient: Callable[[Array], Array],
    lr: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> Array:
    m, v, largest = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
    for t in range(1, N_STEPS + 1):
        g = gradient(w)
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        largest = np.maximum(largest, v)
        w = w - lr * (m / (1 - beta_1**t)) / (np.sqrt(largest / (1 - beta_2**t)) + epsilon)
    return w


def lion(
    w: Array,
    gradient: Callable[[Array], Array],
    lr: float,
    beta_1: float,
    beta_2: float,
    weight_decay: float,
) -> Array:
    m = np.zeros_like(w)
    for _ in range(N_STEPS):
        g = gradient(w)
        w = w - lr * (np.sign(beta_1 * m + (1 - beta_1) * g) + weight_decay * w)
        m = beta_2 * m + (1 - beta_2) * g
    return w


# Hyperparameters far from the defaults, so that one that is ignored or swapped shows; the large
# epsilons do so for the adaptive ones.
CASES: list[tuple[fastnn.optimizers.Optimizer, Callable[..., Array]]] = [
    (fastnn.SGD(0.05), sgd),
    (fastnn.Momentum(0.05, 0.6), with_momentum),
    (fastnn.Nesterov(0.05, 0.6), nesterov),
    (fastnn.RMSprop(0.02, 0.7, 0.3), rmsprop),
    (fastnn.Adagrad(0.3, 0.4), adagrad),
    (fastnn.Adam(0.03, 0.8, 0.95, 0.2), adamw),
    (fastnn.AdamW(0.03, 0.8, 0.95, 0.2, 0.5), adamw),
    (fastnn.NAdam(0.03, 0.8, 0.95, 0.2, 3.0), nadam),
    (fastnn.AMSGrad(0.03, 0.8, 0.5, 0.2), amsgrad),
    (fastnn.Lion(0.03, 0.4, 0.9, 0.5), lion),
    *[
        (kind(), formula)
        for kind, formula in [
            (fastnn.SGD, sgd),
            (fastnn.Momentum, with_momentum),
            (fastnn.Nesterov, nesterov),
            (fastnn.RMSprop, rmsprop),
            (fastnn.Adagrad, adagrad),
            (fastnn.Adam, adamw),
            (fastnn.AdamW, adamw),
            (fastnn.NAdam, nadam),
            (fastnn.AMSGrad, amsgrad),
            (fastnn.Lion, lion),
        ]
    ],
]


@pytest.mark.parametrize(("optimizer", "formula"), CASES, ids=repr)
def test_steps_follow_the_formula(
    optimizer: fastnn.optimizers.Optimizer, formula: Callable[..., Array]
) -> None:
    # A linear layer and the mean squared error: the gradient is known in closed form.
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(9, 5)), rng.normal(size=9)
    design = np.hstack([X, np.ones((9, 1))])
    net = Network([Dense(1, "linear")], 5, dtype="float64", seed=0)
    net.biases[0][:] = 0.3

    def gradient(w: Array) -> Array:
        return 2 / 9 * design.T @ (design @ w - y)

    start = net.parameters.copy()
    values = optimizer.hyperparameters.values()
    expected = formula(start, gradient, optimizer.learning_rate, *values)
    net.fit(X, y, epochs=N_STEPS, batch_size=None, optimizer=optimizer)
    np.testing.assert_allclose(net.parameters - start, expected - start, rtol=1e-9)


def test_weight_decay_shrinks_parameters_without_gradient() -> None:
    net = Network([Dense(1, "linear")], 2, dtype="float64", seed=0)
    net.parameters[:] = [1, -2, 4]
    X = np.array([[0.0, 0.0]])
    net.fit(X, [4.0], epochs=1, optimizer=fastnn.AdamW(0.1, weight_decay=0.5))
    np.testing.assert_allclose(net.parameters, [0.95, -1.9, 3.8], rtol=1e-12)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_parameters_without_gradient_stay_where_they_are(name: str) -> None:
    net = Network([Dense(1, "linear")], 2, seed=0)
    net.parameters[:] = [1, -2, 4]
    before = net.parameters.copy()
    net.fit(np.zeros((3, 2)), [4.0, 4.0, 4.0], epochs=5, optimizer=name)
    if name == "adamw":
        assert np.all(np.abs(net.parameters) < np.abs(before))
    else:
        np.testing.assert_array_equal(net.parameters, before)


def test_names_and_defaults() -> None:
    assert {
        name: (kind().learning_rate, *kind().hyperparameters.values())
        for name, kind in OPTIMIZERS.items()
    } == {
        "sgd": (0.01,),
        "momentum": (0.01, 0.9),
        "nesterov": (0.01, 0.9),
        "rmsprop": (0.001, 0.9, 1e-8),
        "adagrad": (0.01, 1e-8),
        "adam": (0.001, 0.9, 0.999, 1e-8),
        "adamw": (0.001, 0.9, 0.999, 1e-8, 0.01),
        "nadam": (0.002, 0.9, 0.999, 1e-8, 0.004),
        "amsgrad": (0.001, 0.9, 0.999, 1e-8),
        "lion": (0.0001, 0.9, 0.99, 0.0),
    }
    assert all(kind.name == name for name, kind in OPTIMIZERS.items())
    assert all(getattr(fastnn, kind.__name__) is kind for kind in OPTIMIZERS.values())


@pytest.mark.parametrize("kind", OPTIMIZERS.values())
def test_optimizers_are_frozen_values(kind: type[fastnn.optimizers.Optimizer]) -> None:
    optimizer = kind(0.5)
    assert optimizer == kind(0.5)
    assert optimizer != kind(0.25)
    assert eval(repr(optimizer), vars(fastnn)) == optimizer
    assert pickle.loads(pickle.dumps(optimizer)) == optimizer
    with pytest.raises(dataclasses.FrozenInstanceError):
        optimizer.learning_rate = 1.0  # type: ignore[misc]


def test_hyperparameters_are_python_floats() -> None:
    values = vars(fastnn.Adam(np.float32(0.5), np.float64(0.25), 0))
    assert values == {"learning_rate": 0.5, "beta_1": 0.25, "beta_2": 0.0, "epsilon": 1e-8}
    assert {type(value) for value in values.values()} == {float}


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("learning_rate", 0, ValueError),
        ("learning_rate", -0.1, ValueError),
        ("learning_rate", np.nan, ValueError),
        ("learning_rate", np.inf, ValueError),
        ("learning_rate", "0.1", TypeError),
        ("learning_rate", None, TypeError),
        ("learning_rate", True, TypeError),
        ("learning_rate", np.array([0.1]), TypeError),
        ("learning_rate", 0.1j, TypeError),
        ("beta_1", 1.0, ValueError),
        ("beta_1", -0.1, ValueError),
        ("beta_1", np.nan, ValueError),
        ("beta_2", 1, ValueError),
        ("beta_2", "0.9", TypeError),
        ("epsilon", 0, ValueError),
        ("epsilon", -1e-8, ValueError),
        ("epsilon", np.inf, ValueError),
        ("weight_decay", -0.01, ValueError),
        ("weight_decay", np.inf, ValueError),
        ("weight_decay", False, TypeError),
    ],
)
def test_bad_hyperparameters_of_adam_are_named(
    field: str, value: Any, error: type[Exception]
) -> None:
    with pytest.raises(error, match=field):
        fastnn.AdamW(**{field: value})


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (fastnn.Momentum, "momentum"),
        (fastnn.Nesterov, "momentum"),
        (fastnn.RMSprop, "rho"),
    ],
)
@pytest.mark.parametrize("value", [1, 1.5, -0.1, np.nan])
def test_shares_must_be_in_the_unit_interval(kind: Any, field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        kind(**{field: value})
    assert kind(**{field: 0}).hyperparameters[field] == 0


@pytest.mark.parametrize("kind", [fastnn.RMSprop, fastnn.Adagrad, fastnn.Adam])
def test_epsilon_must_be_positive(kind: Any) -> None:
    with pytest.raises(ValueError, match="epsilon"):
        kind(epsilon=0)


def test_get_optimizer_overrides_the_learning_rate_only() -> None:
    given = fastnn.Adam(0.5, beta_1=0.7)
    assert get_optimizer(given, None) is given
    assert get_optimizer(given, 0.25) == fastnn.Adam(0.25, beta_1=0.7)
    assert given == fastnn.Adam(0.5, beta_1=0.7)
    assert get_optimizer("adagrad", 0.25) == fastnn.Adagrad(0.25)


@pytest.mark.parametrize(
    ("optimizer", "error"),
    [
        ("Adamm", ValueError),
        ("", ValueError),
        (fastnn.Adam, TypeError),
        (None, TypeError),
        (0.01, TypeError),
        (["adam"], TypeError),
        (fastnn.optimizers.Optimizer(), TypeError),
    ],
)
def test_get_optimizer_refuses_what_it_does_not_know(
    optimizer: Any, error: type[Exception]
) -> None:
    with pytest.raises(error, match="optimizer"):
        get_optimizer(optimizer, None)

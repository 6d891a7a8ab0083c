"""What the error at divergence says of the layers, and the warning of unscaled columns."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fastnn import (
    Activation,
    BatchNorm,
    Dense,
    Dropout,
    Layer,
    Network,
    _diagnosis,
)

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(200, 4))
Y = X.sum(axis=1)


def failure(net: Network, X: Any, y: Any, **options: Any) -> str:
    """The message of a fit that diverges."""
    with pytest.raises(FloatingPointError) as error:
        net.fit(X, y, **options)
    return str(error.value)


# ---- which layer, and its inputs ---------------------------------------------------------------


def test_the_first_layer_to_leave_the_finite_numbers_is_named_with_its_inputs() -> None:
    layers: list[Layer] = [
        Dense(3, "relu"),
        Dense(2, "exponential"),
        Dense(2, "relu"),
        Dense(1),
    ]
    net = Network(layers, 4, dtype="float64", seed=0)
    bad = 1e4 * X
    entered = net.forward(bad)[0]
    message = failure(net, bad, Y, batch_size=None)
    assert "layers[1], Dense(2, 'exponential'), is the first to leave the finite numbers" in message
    assert f"from {entered.min():.3g} to {entered.max():.3g}" in message
    assert f"with a mean of {entered.mean():.3g} and {np.mean(entered == 0):.0%} zeros" in message
    assert f"its largest weight is {np.abs(net.weights[1]).max():.3g}" in message
    assert message.startswith("the loss is ")
    assert "(step 1); the network keeps the parameters from before this step" in message


@pytest.mark.parametrize("shuffle", [False, True])
def test_it_speaks_of_the_mini_batch_that_failed(shuffle: bool) -> None:
    """The one with the odd sample, whichever that is."""
    bad = X.copy()
    bad[117] *= 1e3
    net = Network([Dense(4, "exponential"), Dense(1)], 4, dtype="float64", seed=1)
    message = failure(net, bad, Y, batch_size=10, shuffle=shuffle, epochs=2)
    assert "layers[0], Dense(4, 'exponential')," in message
    assert f"What entered it goes from {bad[117].min():.3g} to " in message


def test_an_update_that_fails_at_the_beginning_of_an_epoch_has_the_rows_of_that_epoch() -> None:
    """They are in an order that is undone with the step."""
    data = np.arange(1, 13.0)[:, None]
    target = np.where(data[:, 0] == 5, 1e37, 0.0)  # its update alone is not finite
    net = Network([Dense(1, "linear", "zeros")], 1, seed=3)
    options: dict[str, Any] = {"optimizer": "sgd", "learning_rate": 1e2, "batch_size": 1}
    for seed in range(100):  # one whose first sample is this one
        net = Network([Dense(1, "linear", "zeros")], 1, seed=seed)
        message = failure(net, data, target, epochs=1, **options)
        if "mini-batch 1 " in message:
            break
    assert "mini-batch 1 (step 1)" in message
    assert "What entered it goes from 5 to 5, with a mean of 5 and 0% zeros" in message


def test_a_large_full_batch_is_looked_through() -> None:
    many, y = np.tile(X, (60, 1)), np.tile(Y, 60)
    many[11_500] *= 1e4
    net = Network([Dense(4, "exponential"), Dense(1)], 4, dtype="float64", seed=0)
    message = failure(net, many, y, batch_size=None)
    assert "layers[0], Dense(4, 'exponential'), is the first to leave" in message
    assert f"{many[11_500].max():.3g}" in message


def test_a_gradient_that_is_the_first() -> None:
    net = Network([Dense(8, "relu"), Dense(1)], 4, seed=0)
    message = failure(net, 1e30 * X, Y, batch_size=None)
    assert "All outputs are finite; on the way back layers[1], Dense(1, 'linear')," in message
    assert "is the first whose gradient is not" in message
    assert "its largest gradient not finite" in message


def test_a_loss_that_is_the_first() -> None:
    net = Network([Dense(1)], 4, dtype="float64", seed=0)
    outputs = net.predict(X)
    message = failure(net, X, 1e200 * Y, batch_size=None)
    assert (
        "All outputs are finite, but their loss is not: layers[0], Dense(1, 'linear')," in message
    )
    assert f"gives numbers from {outputs.min():.3g} to {outputs.max():.3g}" in message


@pytest.mark.parametrize("weights", [None, np.array([1.0, 0.5])])
def test_an_update_that_is_the_first(weights: Any) -> None:
    net = Network([Dropout(0.0), Dense(1, "linear", "zeros")], 1, seed=0)
    options: dict[str, Any] = {"optimizer": "momentum", "learning_rate": 1e35, "batch_size": 1}
    y = np.array([0.0, 1e4])
    message = failure(net, np.ones((2, 1)), y, shuffle=False, sample_weight=weights, **options)
    assert "outputs and gradients of this mini-batch are finite before the update" in message
    assert "layers[1], Dense(1, 'linear', initializer='zeros'), has the largest gradient" in message
    assert "its largest weight is 0, its largest gradient 2e+04" in message


def test_batch_norm_is_as_in_training() -> None:
    """Its running statistics, as they are at the beginning, would let the inputs through."""
    layers: list[Layer] = [BatchNorm(), Dense(8, "exponential"), Dense(1)]
    net = Network(layers, 4, dtype="float64", seed=0)
    message = failure(net, 1e6 * X, 1e200 * Y, batch_size=None)
    assert "All outputs are finite, but their loss is not: layers[2]" in message


def test_a_layer_without_weights() -> None:
    layers: list[Layer] = [Dense(3), Activation("exponential"), Dense(1)]
    net = Network(layers, 4, dtype="float64", seed=0)
    message = failure(net, 1e4 * X, Y, batch_size=None)
    assert "layers[1], Activation('exponential'), is the first" in message
    assert message.endswith("zeros.")


def test_classes_and_weights_of_samples() -> None:
    layers: list[Layer] = [Dense(3, "exponential"), Dense(3, "softmax")]
    net = Network(layers, 4, seed=0)
    message = failure(net, 1e4 * X, RANDOM.integers(0, 3, 200), class_weight="balanced")
    assert "layers[0], Dense(3, 'exponential'), is the first to leave" in message


def test_nothing_is_changed_by_looking() -> None:
    layers: list[Layer] = [BatchNorm(), Dropout(0.5), Dense(8, "relu"), Dense(1)]
    states = []
    for explains in (True, False):
        net = Network(layers, 4, seed=0)
        with pytest.MonkeyPatch.context() as patch:
            if not explains:
                patch.setattr("fastnn._fit.explain_failure", lambda *_: "")
            message = failure(net, X, 1e10 * Y, optimizer="sgd", learning_rate=1e9, batch_size=8)
        assert ("layers[" in message) == explains
        states.append((net.parameters.tobytes(), *map(bytes, net.running_statistics[0] or ())))
        net.parameters[:] = 0.01
        net.fit(X, Y, optimizer="adam", learning_rate=1e-3, epochs=1)
        states[-1] += (net.parameters.tobytes(),)
    assert states[0] == states[1]


@pytest.mark.parametrize("error", [MemoryError, ValueError, ZeroDivisionError])
def test_a_failure_of_its_own_does_not_hide_the_first(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(_diagnosis._Failure, "forward", fail)
    net = Network([Dense(8, "exponential"), Dense(1)], 4, dtype="float64", seed=0)
    message = failure(net, 1e4 * X, Y)
    assert message.startswith("the loss is ")
    assert message.endswith("or begin with a new network.")


def test_it_takes_a_limited_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a full batch, what there is time for: here the first samples alone."""
    monkeypatch.setattr(_diagnosis, "_SECONDS", -1.0)
    many, y = np.tile(X, (60, 1)), np.tile(Y, 60)
    many[11_500] *= 1e4
    net = Network([Dense(4, "exponential"), Dense(1)], 4, dtype="float64", seed=0)
    message = failure(net, many, y, batch_size=None)
    assert "outputs and gradients of the first 4,096 samples of this mini-batch are" in message


def test_an_error_of_the_users_stays_as_it_is() -> None:
    def stop(*_: Any) -> None:
        raise FloatingPointError("mine")

    call: Callable[..., Any] = stop
    net = Network([Dense(1)], 4, seed=0)
    with pytest.raises(FloatingPointError, match=re.compile("^mine$")):
        net.fit(X, Y, callbacks=call)

"""The two references agree with each other, with central differences and with known values."""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pytest

from fastnn.reference import loops, vectorized, vectorized_layers

Array: TypeAlias = npt.NDArray[np.floating[Any]]

ELEMENTWISE_LOSSES = [loss for loss in loops.LOSSES if loss not in loops.FROM_LOGITS]
# Hidden layers of exp grow beyond all bounds.
ACTIVATIONS = [activation for activation in loops.ACTIVATIONS if activation != "exponential"]
PAIRS = [  # every output activation with every loss that fits it
    *((activation, loss) for activation in ACTIVATIONS for loss in ELEMENTWISE_LOSSES),
    *((activation, loss) for loss, activation in loops.FROM_LOGITS.items()),
]
LOSS_PARAMETERS = {
    "huber": [0.7],
    "quantile": [0.2, 0.6, 0.7],
    "binary_focal": [1.5],
    "categorical_focal": [1.5],
}
REFERENCES = pytest.mark.parametrize("reference", [loops, vectorized], ids=["loops", "vectorized"])
# Those with which tens of steps stay far from divergence; 0.01 for the others.
LEARNING_RATES = {"sgd": 0.05, "momentum": 0.02, "nesterov": 0.02}


@pytest.fixture(autouse=True)
def _no_floating_point_warnings() -> Iterator[None]:
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        yield


def parameters(sizes: list[int], seed: int = 0) -> tuple[list[Array], list[Array]]:
    rng = np.random.default_rng(seed)
    weights: list[Array] = [
        rng.normal(scale=1.0 / math.sqrt(n_in), size=(n_in, n_out))
        for n_in, n_out in pairwise(sizes)
    ]
    biases: list[Array] = [rng.normal(scale=0.1, size=n_out) for n_out in sizes[1:]]
    return weights, biases


def samples(n_samples: int, n_outputs: int, loss: str, seed: int = 1) -> tuple[Array, Any]:
    """Features, and targets which `loss` accepts."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 4))
    if loss.startswith("categorical"):
        return X, rng.integers(n_outputs, size=n_samples)
    if loss.startswith("binary"):
        return X, rng.uniform(size=(n_samples, n_outputs))
    if loss == "poisson":
        return X, rng.poisson(2.0, size=(n_samples, n_outputs))
    if loss == "quantile":
        return X, 2.0 * rng.normal(size=n_samples)
    return X, 2.0 * rng.normal(size=(n_samples, n_outputs))


def flat(layers: Any) -> Array:
    """Weights and biases, or their gradients, as one block."""
    return np.concatenate([np.ravel(np.asarray(p)) for layer in layers for p in layer])


def flat_parameters(net: Any) -> Array:
    return flat(zip(net.weights, net.biases, strict=True))


def central_differences(net: vectorized.Network, X: Array, y: Any) -> Array:
    step = 1e-5
    differences = []
    for layer in zip(net.weights, net.biases, strict=True):
        for parameter in layer:
            for index in np.ndindex(parameter.shape):
                value = parameter[index]
                parameter[index] = value + step
                above, _ = net.loss_and_gradients(X, y)
                parameter[index] = value - step
                below, _ = net.loss_and_gradients(X, y)
                parameter[index] = value
                differences.append((above - below) / (2.0 * step))
    return np.array(differences)


def assert_gradient_is_right(net: vectorized.Network, X: Array, y: Any) -> None:
    _, layers = net.loss_and_gradients(X, y)
    gradient, expected = flat(layers), central_differences(net, X, y)
    assert np.linalg.norm(expected) > 1e-3
    difference = np.linalg.norm(gradient - expected)
    assert difference / (np.linalg.norm(gradient) + np.linalg.norm(expected)) < 1e-7


def assert_references_agree(
    sizes: list[int], activations: list[str], loss: str, optimizer: str = "sgd", **options: float
) -> None:
    """Train both for 24 steps, every third of them on a shorter mini-batch."""
    X, y = samples(11, sizes[-1], loss)
    weights, biases = parameters(sizes)
    slow = loops.Network(weights, biases, activations, loss, LOSS_PARAMETERS.get(loss, ()))
    fast = vectorized.Network(weights, biases, activations, loss, LOSS_PARAMETERS.get(loss, ()))
    options.setdefault("learning_rate", LEARNING_RATES.get(optimizer, 0.01))
    arguments: dict[str, Any] = {"epochs": 8, "batch_size": 4, "optimizer": optimizer, **options}
    slow_losses = slow.fit(X.tolist(), y.tolist(), **arguments)
    fast_losses = fast.fit(X, y, **arguments)
    assert len(fast_losses) == 8
    np.testing.assert_allclose(fast_losses, slow_losses, rtol=1e-10)
    np.testing.assert_allclose(fast.predict_proba(X), slow.predict_proba(X), rtol=0, atol=1e-10)
    trained = flat_parameters(fast)
    np.testing.assert_allclose(trained, flat_parameters(slow), rtol=0, atol=1e-10)
    start = flat(zip(weights, biases, strict=True))
    assert np.linalg.norm(trained - start) > 1e-3 * np.linalg.norm(start)


# --- The two references agree ---------------------------------------------------------------------


def test_both_references_have_the_same_names() -> None:
    for table in ("ACTIVATIONS", "LOSSES", "OPTIMIZERS", "FROM_LOGITS"):
        assert list(getattr(loops, table)) == list(getattr(vectorized, table))
    public = {name for name in vars(vectorized.Network) if not name.startswith("_")}
    assert public == {name for name in vars(loops.Network) if not name.startswith("_")}


@pytest.mark.parametrize(("activation", "loss"), PAIRS)
@pytest.mark.parametrize("sizes", [[4, 3], [4, 5, 3], [4, 5, 4, 3, 4, 3]], ids=["1", "2", "5"])
def test_references_agree_after_training(sizes: list[int], activation: str, loss: str) -> None:
    hidden = "tanh" if activation in ("softmax", "exponential") else activation
    activations = [hidden] * (len(sizes) - 2) + [activation]
    assert_references_agree(sizes, activations, loss)


@pytest.mark.parametrize("optimizer", loops.OPTIMIZERS)
@pytest.mark.parametrize("sizes", [[4, 3], [4, 5, 3], [4, 5, 4, 3, 4, 3]], ids=["1", "2", "5"])
def test_references_agree_with_every_optimizer(sizes: list[int], optimizer: str) -> None:
    activations = ["tanh"] * (len(sizes) - 2) + ["softmax"]
    assert_references_agree(sizes, activations, "categorical_cross_entropy", optimizer)


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [
        ("momentum", {"momentum": 0.5}),
        ("nesterov", {"momentum": 0.5}),
        ("rmsprop", {"rho": 0.5, "epsilon": 1e-3}),
        ("adagrad", {"epsilon": 1e-3}),
        ("adam", {"beta_1": 0.5, "beta_2": 0.7, "epsilon": 1e-3}),
        ("adamw", {"beta_1": 0.5, "beta_2": 0.7, "epsilon": 1e-3, "weight_decay": 0.3}),
    ],
)
def test_references_agree_with_other_hyperparameters(
    optimizer: str, options: dict[str, float]
) -> None:
    assert_references_agree([4, 5, 2], ["silu", "linear"], "huber", optimizer, **options)


# --- Activations ----------------------------------------------------------------------------------

# At z = -1.5 and z = 0.75, computed from the definitions with mpmath at 40 digits.
KNOWN_ACTIVATIONS = {
    "linear": (-1.5, 0.75),
    "sigmoid": (0.18242552380635634, 0.67917869917539297),
    "tanh": (-0.90514825364486644, 0.63514895238728732),
    "relu": (0.0, 0.75),
    "leaky_relu": (-0.015, 0.75),
    "elu": (-0.77686983985157017, 0.75),
    "selu": (-1.3658143533672527, 0.78802574051661037),
    "gelu": (-0.1002108019032871, 0.58002948571734885),
    "silu": (-0.27363828570953451, 0.50938402438154473),
    "mish": (-0.29809974216680676, 0.61001833521829339),
    "softplus": (0.20141327798275241, 1.1368710061148999),
    "exponential": (0.22313016014842983, 2.1170000166126747),
}


def evaluate(reference: Any, name: str, points: Array, dtype: Any = np.float64) -> Any:
    """Values and derivatives of an activation at `points`."""
    function, derivative = reference.ACTIVATIONS[name]
    if reference is vectorized:
        Z = points.astype(dtype)
        A = function(Z)
        return A, derivative(Z, A)
    pairs = [(function(z), derivative(z, function(z))) for z in points.tolist()]
    return tuple(np.array(column) for column in zip(*pairs, strict=True))


@REFERENCES
@pytest.mark.parametrize("name", loops.ACTIVATIONS)
def test_activation_has_known_values(reference: Any, name: str) -> None:
    values, _ = evaluate(reference, name, np.array([-1.5, 0.75]))
    np.testing.assert_allclose(values, KNOWN_ACTIVATIONS[name], rtol=1e-14)


@REFERENCES
@pytest.mark.parametrize("name", loops.ACTIVATIONS)
def test_activation_derivative_agrees_with_central_differences(reference: Any, name: str) -> None:
    points = np.linspace(-6.0, 6.0, 48)  # 0, where some have a kink, is not among them
    above, _ = evaluate(reference, name, points + 1e-5)
    below, _ = evaluate(reference, name, points - 1e-5)
    _, derivatives = evaluate(reference, name, points)
    np.testing.assert_allclose(derivatives, (above - below) / 2e-5, rtol=1e-10, atol=1e-9)


@REFERENCES
@pytest.mark.parametrize(("name", "expected"), [("relu", 0.0), ("leaky_relu", 0.01), ("elu", 1.0)])
def test_derivative_at_zero_is_that_from_the_left(
    reference: Any, name: str, expected: float
) -> None:
    _, derivatives = evaluate(reference, name, np.array([0.0]))
    assert derivatives == [expected]


@REFERENCES
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_is_finite_at_extreme_logits(reference: Any, name: str) -> None:
    for dtype in (np.float32, np.float64):
        values, derivatives = evaluate(reference, name, np.array([-1000.0, 1000.0]), dtype)
        assert np.isfinite(values).all()
        assert (np.abs(derivatives) < 2.0).all()


@REFERENCES
def test_left_tails_keep_their_relative_precision(reference: Any) -> None:
    values, _ = evaluate(reference, "sigmoid", np.array([-50.0]))
    np.testing.assert_allclose(values, math.exp(-50.0), rtol=1e-14)
    values, _ = evaluate(reference, "softplus", np.array([-50.0]))
    np.testing.assert_allclose(values, math.exp(-50.0), rtol=1e-14)
    values, _ = evaluate(reference, "gelu", np.array([-10.0]))
    np.testing.assert_allclose(values, -7.6198530241605261e-23, rtol=1e-12)


@REFERENCES
def test_softmax_has_known_values_and_survives_extreme_logits(reference: Any) -> None:
    Z = [[math.log(1.0), math.log(2.0), math.log(5.0)], [1000.0, -1000.0, 1000.0]]
    probabilities = reference.softmax(np.array(Z) if reference is vectorized else Z)
    np.testing.assert_allclose(
        probabilities, [[0.125, 0.25, 0.625], [0.5, 0.0, 0.5]], rtol=1e-14, atol=1e-300
    )


# --- Losses ---------------------------------------------------------------------------------------


def loss_of(reference: Any, name: str, predictions: list[list[float]], Y: list[list[float]]) -> Any:
    function, _ = reference.LOSSES[name]
    if reference is vectorized:
        return function(np.array(predictions), np.array(Y))
    return function(predictions, Y)


@REFERENCES
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mean_squared_error", (0.25 + 9.0 + 0.0 + 1.0) / 4.0),
        ("mean_absolute_error", (0.5 + 3.0 + 0.0 + 1.0) / 4.0),
        ("huber", (0.125 + 2.5 + 0.0 + 0.5) / 4.0),
    ],
)
def test_elementwise_loss_is_the_mean_over_samples_and_outputs(
    reference: Any, name: str, expected: float
) -> None:
    A, Y = [[1.5, -1.0], [4.0, 3.0]], [[1.0, 2.0], [4.0, 2.0]]
    assert loss_of(reference, name, A, Y) == expected


@REFERENCES
def test_derivative_of_mean_absolute_error_is_zero_where_nothing_differs(reference: Any) -> None:
    _, derivative = reference.LOSSES["mean_absolute_error"]
    A, Y = np.array([[1.0, 2.0, 3.0]]), np.array([[1.0, 5.0, 0.0]])
    gradient = derivative(A, Y) if reference is vectorized else derivative(A.tolist(), Y.tolist())
    np.testing.assert_array_equal(gradient, np.array([[0.0, -1.0, 1.0]]) / 3.0)


@REFERENCES
def test_cross_entropies_of_probabilities_are_those_of_the_definition(reference: Any) -> None:
    a, y = 0.8, 0.3
    logits = [[math.log(a / (1.0 - a))]]
    expected = -y * math.log(a) - (1.0 - y) * math.log(1.0 - a)
    loss = loss_of(reference, "binary_cross_entropy", logits, [[y]])
    np.testing.assert_allclose(loss, expected, rtol=1e-14)
    logits = [[math.log(0.2), math.log(0.8)], [math.log(0.5), math.log(0.5)]]
    expected = (-0.3 * math.log(0.2) - 0.7 * math.log(0.8) - math.log(0.5)) / 2.0
    loss = loss_of(reference, "categorical_cross_entropy", logits, [[0.3, 0.7], [0.0, 1.0]])
    np.testing.assert_allclose(loss, expected, rtol=1e-14)


@REFERENCES
def test_cross_entropies_are_exact_at_extreme_logits(reference: Any) -> None:
    logits, Y = [[1000.0], [-1000.0], [1000.0], [-1000.0]], [[1.0], [0.0], [0.0], [1.0]]
    assert loss_of(reference, "binary_cross_entropy", logits, Y) == 500.0
    logits, Y = [[1000.0, -1000.0], [-1000.0, 1000.0]], [[1.0, 0.0], [1.0, 0.0]]
    assert loss_of(reference, "categorical_cross_entropy", logits, Y) == 1000.0


@REFERENCES
def test_binary_cross_entropy_keeps_small_losses(reference: Any) -> None:
    loss = loss_of(reference, "binary_cross_entropy", [[30.0]], [[1.0]])
    np.testing.assert_allclose(loss, math.log1p(math.exp(-30.0)), rtol=1e-14)


# --- Optimisers -----------------------------------------------------------------------------------


@REFERENCES
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sgd", 0.975),
        ("momentum", 0.93),
        ("nesterov", 0.912),
        ("rmsprop", 0.83121420144240627),
        ("adagrad", 0.94472136074999577),
        ("adam", 0.87336629870784616),
        ("adamw", 0.87146729870584616),
    ],
)
def test_optimizer_has_known_values_after_two_steps(
    reference: Any, name: str, expected: float
) -> None:
    """From w = 1, with gradients 0.5 and then -0.25, a learning rate of 0.1 and the defaults."""
    update, n_slots = reference.OPTIMIZERS[name]
    as_parameter = np.array if reference is vectorized else list
    w = as_parameter([1.0, 1.0])
    slots = [as_parameter([0.0, 0.0]) for _ in range(n_slots)]
    for t, gradient in enumerate((0.5, -0.25), start=1):
        update(w, as_parameter([gradient, gradient]), slots, t, 0.1)
    np.testing.assert_allclose(w, [expected, expected], rtol=1e-13)


def test_fit_hands_the_optimizer_gradients_and_the_number_of_the_step() -> None:
    X, y = samples(6, 1, "mean_squared_error")
    start = (*parameters([4, 1]), ["linear"], "mean_squared_error")
    by_hand = vectorized.Network(*start)
    adam, _ = vectorized.OPTIMIZERS["adam"]
    slots = [[np.zeros_like(p) for _ in range(2)] for p in (by_hand.weights[0], by_hand.biases[0])]
    for t in (1, 2, 3):
        _, [(dW, db)] = by_hand.loss_and_gradients(X, y)
        adam(by_hand.weights[0], dW, slots[0], t, 0.1)
        adam(by_hand.biases[0], db, slots[1], t, 0.1)
    net = vectorized.Network(*start)
    net.fit(X, y, epochs=3, optimizer="adam", learning_rate=0.1)
    np.testing.assert_array_equal(flat_parameters(net), flat_parameters(by_hand))


@REFERENCES
def test_optimizer_state_is_kept_across_fits_until_another_is_named(reference: Any) -> None:
    X, y = samples(6, 3, "categorical_cross_entropy")
    start = (*parameters([4, 3]), ["softmax"], "categorical_cross_entropy")
    once, twice, restarted = (reference.Network(*start) for _ in range(3))
    losses = once.fit(X, y, epochs=4, optimizer="adam")
    assert losses == [twice.fit(X, y, optimizer="adam")[0] for _ in range(4)]
    np.testing.assert_array_equal(flat_parameters(twice), flat_parameters(once))
    restarted.fit(X, y, epochs=2, optimizer="adam")
    restarted.fit(X, y, epochs=0, optimizer="sgd")
    restarted.fit(X, y, epochs=2, optimizer="adam")
    assert np.abs(flat_parameters(restarted) - flat_parameters(once)).max() > 1e-6


# --- Networks -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("activation", "loss"), PAIRS)
def test_gradients_agree_with_central_differences(activation: str, loss: str) -> None:
    hidden = "tanh" if activation in ("softmax", "exponential") else activation
    weights, biases = parameters([4, 5, 4, 3])
    net = vectorized.Network(
        weights, biases, [hidden, hidden, activation], loss, LOSS_PARAMETERS.get(loss, ())
    )
    assert_gradient_is_right(net, *samples(7, 3, loss))


def test_gradients_agree_with_central_differences_for_rows_of_probabilities() -> None:
    X, _ = samples(7, 3, "categorical_cross_entropy")
    Y = np.random.default_rng(5).dirichlet(np.ones(3), size=7)
    net = vectorized.Network(*parameters([4, 3]), ["softmax"], "categorical_cross_entropy")
    assert_gradient_is_right(net, X, Y)


@REFERENCES
def test_logistic_regression_starts_from_log_two(reference: Any) -> None:
    net = reference.Network([np.zeros((4, 1))], [np.zeros(1)], ["sigmoid"], "binary_cross_entropy")
    X, _ = samples(5, 1, "binary_cross_entropy")
    y = [0, 1, 1, 0, 1]
    assert net.fit(X, y, epochs=1) == pytest.approx([math.log(2.0)], rel=1e-15)
    _, [(dW, db)] = reference.Network(
        [np.zeros((4, 1))], [np.zeros(1)], ["sigmoid"], "binary_cross_entropy"
    ).loss_and_gradients(X, y)
    np.testing.assert_allclose(dW, X.T @ (0.5 - np.array(y)[:, None]) / 5.0, rtol=1e-13)
    np.testing.assert_allclose(db, [-0.1], rtol=1e-13)


@REFERENCES
def test_softmax_regression_starts_from_log_of_the_number_of_classes(reference: Any) -> None:
    zeros = [np.zeros((4, 7))], [np.zeros(7)]
    net = reference.Network(*zeros, ["softmax"], "categorical_cross_entropy")
    X, y = samples(9, 7, "categorical_cross_entropy")
    assert net.fit(X, y, batch_size=9) == pytest.approx([math.log(7.0)], rel=1e-15)


@REFERENCES
def test_class_labels_are_the_same_as_one_hot_rows(reference: Any) -> None:
    X, y = samples(9, 3, "categorical_cross_entropy")
    net = reference.Network(*parameters([4, 3]), ["softmax"], "categorical_cross_entropy")
    loss, gradients = net.loss_and_gradients(X, y)
    loss_of_rows, gradients_of_rows = net.loss_and_gradients(X, np.eye(3)[y])
    assert loss == loss_of_rows
    np.testing.assert_array_equal(flat(gradients), flat(gradients_of_rows))


@REFERENCES
def test_one_output_takes_targets_as_a_vector_or_a_column(reference: Any) -> None:
    X, y = samples(6, 1, "mean_squared_error")
    net = reference.Network(*parameters([4, 1]), ["linear"], "mean_squared_error")
    loss, gradients = net.loss_and_gradients(X, y)
    loss_of_vector, gradients_of_vector = net.loss_and_gradients(X, y[:, 0])
    assert loss == loss_of_vector == pytest.approx(np.mean((net.predict_proba(X) - y) ** 2))
    np.testing.assert_array_equal(flat(gradients), flat(gradients_of_vector))


@REFERENCES
def test_forward_returns_logits_and_activations_of_every_layer(reference: Any) -> None:
    weights, biases = parameters([4, 5, 2])
    net = reference.Network(weights, biases, ["tanh", "sigmoid"], "binary_cross_entropy")
    X, _ = samples(3, 2, "binary_cross_entropy")
    (Z_1, A_1), (Z_2, A_2) = net.forward(X)
    np.testing.assert_allclose(Z_1, X @ weights[0] + biases[0], rtol=1e-13)
    np.testing.assert_allclose(A_1, np.tanh(Z_1), rtol=1e-13)
    np.testing.assert_allclose(Z_2, np.array(A_1) @ weights[1] + biases[1], rtol=1e-13)
    np.testing.assert_allclose(A_2, 1.0 / (1.0 + np.exp(-np.array(Z_2))), rtol=1e-13)
    np.testing.assert_array_equal(net.predict_proba(X), A_2)


@REFERENCES
def test_epoch_loss_weighs_each_mini_batch_by_its_samples(reference: Any) -> None:
    X, y = samples(7, 1, "mean_squared_error")
    start = (*parameters([4, 1]), ["linear"], "mean_squared_error")
    net, by_hand = reference.Network(*start), reference.Network(*start)
    total = 0.0
    for batch in (slice(0, 4), slice(4, 7)):
        (loss,) = by_hand.fit(X[batch], y[batch], learning_rate=0.1)
        total += loss * len(X[batch])
    assert net.fit(X, y, batch_size=4, learning_rate=0.1) == pytest.approx([total / 7.0], rel=1e-14)
    np.testing.assert_array_equal(flat_parameters(net), flat_parameters(by_hand))


@REFERENCES
def test_network_copies_the_parameters_it_is_given(reference: Any) -> None:
    weights, biases = parameters([4, 3])
    before = flat(zip(weights, biases, strict=True))
    net = reference.Network(weights, biases, ["softmax"], "categorical_cross_entropy")
    net.fit(*samples(6, 3, "categorical_cross_entropy"), epochs=2, learning_rate=0.5)
    np.testing.assert_array_equal(flat(zip(weights, biases, strict=True)), before)
    assert np.abs(flat_parameters(net) - before).max() > 1e-3


@REFERENCES
@pytest.mark.parametrize(
    ("activation", "loss"),
    [("linear", "binary_cross_entropy"), ("sigmoid", "categorical_cross_entropy")],
)
def test_network_refuses_a_cross_entropy_of_another_output(
    reference: Any, activation: str, loss: str
) -> None:
    with pytest.raises(ValueError, match=f"{loss} needs the output activation"):
        reference.Network(*parameters([4, 3]), [activation], loss, LOSS_PARAMETERS.get(loss, ()))


@REFERENCES
@pytest.mark.parametrize(
    ("activation", "loss", "y", "expected"),
    [
        ("sigmoid", "binary_cross_entropy", [[1, 1, 1], [0, 0, 0]], 2000.0 / 6.0),
        ("softmax", "categorical_cross_entropy", [0, 0], (math.log(2.0) + 2000.0) / 2.0),
    ],
)
def test_network_is_finite_at_extreme_logits(
    reference: Any, activation: str, loss: str, y: Any, expected: float
) -> None:
    """With the logits (1000, -1000, 1000) and (-1000, 1000, -1000)."""
    net = reference.Network(
        [1000.0 * np.eye(3)], [np.zeros(3)], [activation], loss, LOSS_PARAMETERS.get(loss, ())
    )
    value, gradients = net.loss_and_gradients([[1.0, -1.0, 1.0], [-1.0, 1.0, -1.0]], y)
    assert value == pytest.approx(expected, rel=1e-15)
    assert np.isfinite(flat(gradients)).all()


@pytest.mark.parametrize("optimizer", vectorized.OPTIMIZERS)
@pytest.mark.parametrize(("activation", "loss"), PAIRS)
def test_float32_stays_float32(activation: str, loss: str, optimizer: str) -> None:
    hidden = "tanh" if activation in ("softmax", "exponential") else activation
    weights, biases = ([p.astype(np.float32) for p in block] for block in parameters([4, 5, 3]))
    net = vectorized.Network(
        weights, biases, [hidden, activation], loss, LOSS_PARAMETERS.get(loss, ())
    )
    X, y = samples(6, 3, loss)
    _, gradients = net.loss_and_gradients(X, y)
    net.fit(X, y, epochs=2, batch_size=4, optimizer=optimizer)
    arrays = [*net.weights, *net.biases]
    arrays += [array for layer in (*gradients, *net.forward(X)) for array in layer]
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}


@pytest.mark.parametrize(("activation", "loss"), PAIRS)
def test_intermediate_results_stay_float32(activation: str, loss: str) -> None:
    """A promotion to float64 inside would be hidden by an in-place operation that casts back."""
    rng = np.random.default_rng(0)
    A = rng.uniform(size=(5, 3)).astype(np.float32)
    _, loss_derivative = vectorized.LOSSES[loss]
    Y = A[::-1, :1] if loss == "quantile" else A[::-1]
    assert loss_derivative(A, Y, *LOSS_PARAMETERS.get(loss, ())).dtype == np.float32
    if activation != "softmax":
        assert {r.dtype for r in evaluate(vectorized, activation, A, np.float32)} == {A.dtype}


# --- Dropout with given masks ---------------------------------------------------------------------

KEEP = 0.86
SIZES = [4, 7, 5, 2]
N_SAMPLES, BATCH_SIZE, EPOCHS = 12, 5, 3


def masks_of_steps(n_steps: int) -> list[list[Array]]:
    """Of each step's mini-batch, for each hidden layer."""
    rng = np.random.default_rng(3)
    sizes = [BATCH_SIZE, BATCH_SIZE, N_SAMPLES - 2 * BATCH_SIZE]
    return [
        [(rng.random((sizes[step % 3], n)) < KEEP).astype(float) for n in SIZES[1:-1]]
        for step in range(n_steps)
    ]


def with_dropout(masks: list[list[Array]]) -> tuple[loops.Network, vectorized_layers.Network]:
    """The same network twice."""
    weights, biases = parameters(SIZES)
    slow = loops.Network(weights, biases, ["tanh", "gelu", "softmax"], "categorical_cross_entropy")
    layers: list[vectorized_layers.Layer] = []
    for i, activation in enumerate(["tanh", "gelu"]):
        layers.append(vectorized_layers.Dense(weights[i], biases[i], activation))
        of_layer = [of_step[i] for of_step in masks]
        layers.append(vectorized_layers.Dropout(1 - KEEP, masks=of_layer))
    layers.append(vectorized_layers.Dense(weights[-1], biases[-1]))
    return slow, vectorized_layers.Network(layers, "softmax", "categorical_cross_entropy")


def test_dropout_in_loops_is_that_in_numpy() -> None:
    """Loss and gradient of one step, and training with momentum and Adam."""
    X, y = samples(N_SAMPLES, 2, "categorical_cross_entropy")
    masks = masks_of_steps(3 * EPOCHS)
    slow, fast = with_dropout(masks)
    first = slice(0, BATCH_SIZE)
    loss, gradients = slow.loss_and_gradients(
        X[first], y[first], masks=[m.tolist() for m in masks[0]], keep_prob=KEEP
    )
    expected, wanted = fast.loss_and_gradients(X[first], np.eye(2)[y[first]])
    assert loss == pytest.approx(expected, rel=1e-14)
    np.testing.assert_allclose(flat(gradients), flat([wanted]), rtol=0, atol=1e-15)
    for optimizer in ("sgd", "momentum", "adam"):
        slow, fast = with_dropout(masks)
        losses = slow.fit(
            X, y, EPOCHS, BATCH_SIZE, optimizer, 0.05, keep_prob=KEEP,
            masks=([m.tolist() for m in of_step] for of_step in masks),
        )  # fmt: skip
        expected_losses = fast.fit(X, np.eye(2)[y], EPOCHS, BATCH_SIZE, optimizer, 0.05)
        np.testing.assert_allclose(losses, expected_losses, rtol=1e-13)
        np.testing.assert_allclose(
            flat_parameters(slow), flat([p.parameters for p in fast.layers]), rtol=0, atol=1e-12
        )


def test_gradients_with_dropout_and_l2_agree_with_central_differences() -> None:
    X, y = samples(BATCH_SIZE, 2, "categorical_cross_entropy")
    masks = [m.tolist() for m in masks_of_steps(1)[0]]
    net = with_dropout([])[0]

    def loss_and_gradients() -> Any:
        return net.loss_and_gradients(X, y, 0.7, masks, KEEP)

    _, gradients = loss_and_gradients()
    step = 1e-6
    for layer, (dW, db) in enumerate(gradients):
        rows = [*net.weights[layer], net.biases[layer]]
        for row, of_row in zip(rows, [*dW, db], strict=True):
            for j, value in enumerate(row):
                row[j] = value + step
                above = loss_and_gradients()[0]
                row[j] = value - step
                below = loss_and_gradients()[0]
                row[j] = value
                assert of_row[j] == pytest.approx((above - below) / (2 * step), abs=1e-9)


def test_all_masks_of_ones_are_no_dropout() -> None:
    X, y = samples(BATCH_SIZE, 2, "categorical_cross_entropy")
    net = with_dropout([])[0]
    ones = [[[1.0] * n] * BATCH_SIZE for n in SIZES[1:-1]]
    assert net.loss_and_gradients(X, y, masks=ones) == net.loss_and_gradients(X, y)

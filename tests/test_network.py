"""The network: what it is made of, what training and prediction do, copies and files."""

import copy
import os
import pickle
import pydoc
import re
import signal
import threading
import time
import tracemalloc
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastnn
from fastnn import BatchNorm, Dense, Dropout, Network, Normal
from fastnn._core.plan import Plan
from fastnn._core.training import loss_and_gradients
from fastnn.layers import Operation
from fastnn.reference import loops, vectorized

Array = npt.NDArray[Any]

DTYPES = ["float32", "float64"]
OPTIMIZERS = list(fastnn.optimizers.OPTIMIZERS)
OTHER = {"float32": "float64", "float64": "float32"}


def data(n_samples: int = 50, n_features: int = 4, seed: int = 0) -> tuple[Array, Array]:
    """Features and labels of two classes which a small network learns."""
    X = np.random.default_rng(seed).normal(size=(n_samples, n_features))
    return X, (X[:, 0] * X[:, 1] > 0).astype(np.int64)


def small(seed: int = 0, **arguments: Any) -> Network:
    return Network.from_sizes([4, 5, 3, 1], hidden="tanh", seed=seed, **arguments)


def state(net: Network) -> tuple[Any, dict[str, bytes]]:
    """All that a network consists of: parameters, slots, random state, description."""
    description, tensors, _ = net.__reduce__()[1]
    return description, {name: array.tobytes() for name, array in tensors.items()}


def reference_of(net: Network, dtype: str | None = None) -> vectorized.Network:
    return vectorized.Network(
        [np.array(w, dtype) for w in net.weights],
        [np.array(b, dtype) for b in net.biases],
        [layer.activation for layer in net.layers],
        net.loss.kernel(net.layers[-1].activation),
        net.loss.parameters,
    )


def flat(net: vectorized.Network) -> Array:
    return np.concatenate(
        [p.ravel() for pair in zip(net.weights, net.biases, strict=True) for p in pair]
    )


def relative_difference(a: Array, b: Array) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def targets_for(loss: str, n_samples: int, n_outputs: int, seed: int = 1) -> Array:
    rng = np.random.default_rng(seed)
    if loss == "categorical_cross_entropy":
        return rng.integers(n_outputs, size=n_samples)
    if loss == "binary_cross_entropy":
        return rng.integers(2, size=(n_samples, n_outputs))
    return rng.uniform(size=(n_samples, n_outputs))  # what every output activation can reach


# ---- what it is ----------------------------------------------------------------------------------


def test_layers_and_sizes_are_what_was_asked_for() -> None:
    layers = [Dense(5, "relu"), Dense(3, "softmax")]
    net = Network(layers, n_features=4)
    assert net.layers == tuple(layers)
    assert (net.n_features, net.n_outputs) == (4, 3)
    assert net.n_parameters == 4 * 5 + 5 + 5 * 3 + 3
    assert [w.shape for w in net.weights] == [(4, 5), (5, 3)]
    assert [b.shape for b in net.biases] == [(5,), (3,)]


def test_from_sizes_gives_hidden_and_output_activations() -> None:
    net = Network.from_sizes([4, 5, 3, 2], hidden="elu", output="softmax", initializer="zeros")
    assert net.layers == (
        Dense(5, "elu", "zeros"),
        Dense(3, "elu", "zeros"),
        Dense(2, "softmax", "zeros"),
    )
    assert net.n_features == 4


def test_from_sizes_of_two_sizes_is_logistic_regression() -> None:
    net = Network.from_sizes([4, 1])
    assert net.layers == (Dense(1, "sigmoid"),)
    assert net.loss.name == "binary_cross_entropy"


@pytest.mark.parametrize(
    ("output", "loss"),
    [
        ("sigmoid", "binary_cross_entropy"),
        ("softmax", "categorical_cross_entropy"),
        ("linear", "mean_squared_error"),
        ("tanh", "mean_squared_error"),
        ("softplus", "mean_squared_error"),
    ],
)
def test_loss_follows_the_output_activation(output: str, loss: str) -> None:
    assert Network([Dense(2, output)]).loss.name == loss


@pytest.mark.parametrize(
    ("alias", "output", "loss"),
    [
        ("mse", "linear", "mean_squared_error"),
        ("mae", "linear", "mean_absolute_error"),
        ("binary_crossentropy", "sigmoid", "binary_cross_entropy"),
        ("categorical_crossentropy", "softmax", "categorical_cross_entropy"),
        ("huber", "relu", "huber"),
    ],
)
def test_loss_can_be_named_otherwise(alias: str, output: str, loss: str) -> None:
    assert Network([Dense(2, output)], loss=alias).loss.name == loss


def test_float32_is_the_default_dtype() -> None:
    assert small().dtype == np.float32
    assert small(dtype="float64").parameters.dtype == np.float64
    assert small(dtype=np.float64).weights[0].dtype == np.float64


@pytest.mark.parametrize(
    "net",
    [
        Network.from_sizes([4, 5, 1], seed=3),
        Network([Dense(5, "relu", "zeros"), Dense(2, "softmax")], n_features=4, seed=1),
        Network([Dense(2, "sigmoid", Normal(0.5))], 3, loss="mse", dtype="float64", seed=2**70),
        Network([Dense(2, "linear")], loss="huber", seed=0),
        Network([Dense(2, "tanh", Normal(np.float64(0.5)))], 3, seed=0),
        Network([Dense(np.int64(2), "tanh")], np.int64(3), seed=np.int64(0)),
    ],
    ids=[
        "sizes",
        "layers",
        "everything",
        "not built",
        "numpy scale",
        "numpy integers",
    ],
)
def test_repr_rebuilds_the_network(net: Network) -> None:
    rebuilt = eval(repr(net), {"Network": Network, "Dense": Dense, "Normal": Normal})
    assert repr(rebuilt) == repr(net)
    assert state(rebuilt) == state(net)


def test_repr_counts_the_parameters() -> None:
    assert "1,201 parameters" in repr(Network.from_sizes([10, 100, 1]))
    assert "not built" in repr(Network([Dense(1)]))


def test_initial_weights_of_a_seed_do_not_depend_on_the_dtype() -> None:
    single, double = small(seed=5), small(seed=5, dtype="float64")
    np.testing.assert_array_equal(single.parameters, double.parameters.astype(np.float32))
    assert np.any(double.parameters != single.parameters)


def test_initial_weights_differ_between_seeds_and_without_one() -> None:
    nets = [small(seed=0), small(seed=1), small(seed=None), small(seed=None)]  # type: ignore[arg-type]
    assert len({net.parameters.tobytes() for net in nets}) == 4


def test_initial_biases_are_zero_and_weights_are_not() -> None:
    net = small()
    assert all(np.all(b == 0) for b in net.biases)
    assert all(np.all(w != 0) for w in net.weights)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [[1, 1], [3, 5, 7, 1], [33, 17, 2]])
def test_parameters_are_one_aligned_block(sizes: list[int], dtype: str) -> None:
    nets = [
        Network.from_sizes(sizes, dtype=dtype),
        Network.from_sizes(sizes, dtype=OTHER[dtype]).copy(dtype),
        pickle.loads(pickle.dumps(Network.from_sizes(sizes, dtype=dtype))),
    ]
    for net in nets:
        assert net.parameters.ctypes.data % 64 == 0
        assert net.parameters.ndim == 1
        assert net.parameters.flags.c_contiguous
        assert net.parameters.dtype == dtype


def test_parameters_hold_weights_and_bias_of_each_layer_in_turn() -> None:
    net = Network.from_sizes([2, 3, 1])
    net.parameters[:] = np.arange(13)
    np.testing.assert_array_equal(net.weights[0], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(net.biases[0], [6, 7, 8])
    np.testing.assert_array_equal(net.weights[1], [[9], [10], [11]])
    np.testing.assert_array_equal(net.biases[1], [12])


def test_views_of_parameters_are_live_both_ways() -> None:
    net = Network([Dense(2, "linear")], 2, seed=0)
    net.weights[0][...] = [[1, 2], [3, 4]]
    net.biases[0][...] = [10, 20]
    np.testing.assert_array_equal(net.predict([[1, 1]]), [[14, 26]])
    np.testing.assert_array_equal(net.parameters, [1, 2, 3, 4, 10, 20])
    weights, bias, block = net.weights[0], net.biases[0], net.parameters
    net.fit(np.eye(2), np.zeros((2, 2)), epochs=1, optimizer="sgd", learning_rate=0.1)
    assert weights[0, 0] != 1
    assert bias[0] != 10
    assert np.shares_memory(block, net.parameters)
    np.testing.assert_array_equal(block[:4].reshape(2, 2), weights)


def test_split_gives_views_of_any_block() -> None:
    net = small()
    block = np.arange(net.n_parameters, dtype=np.float64)
    pairs = net.split(block)
    assert [(w.shape, b.shape) for w, b in pairs] == [
        ((4, 5), (5,)),
        ((5, 3), (3,)),
        ((3, 1), (1,)),
    ]
    np.testing.assert_array_equal(
        np.concatenate([p.ravel() for pair in pairs for p in pair]), block
    )
    pairs[1][1][0] = -1
    assert block[25 + 15] == -1


def test_summary_shows_the_dimensions_of_every_layer() -> None:
    text = Network.from_sizes([12288, 20, 7, 1], seed=0).summary()
    lines = text.splitlines()
    for number, (n_in, n_out) in enumerate([(12288, 20), (20, 7), (7, 1)], start=1):
        (row,) = [line for line in lines if line.split()[:1] == [str(number)]]
        assert f"({n_in}, {n_out})" in row
        assert f"({n_out},)" in row
        assert row.count(f"(n, {n_out})") == 2  # Z and A
        assert f"{n_in * n_out + n_out:,}" in row
        assert ("sigmoid" if number == 3 else "relu") in row
    assert "(n, 12288)" in text
    assert "binary_cross_entropy" in text
    assert "float32" in text
    assert "245,935" in text


# ---- n_features learnt at the first fit ----------------------------------------------------------


def test_n_features_is_learnt_at_the_first_fit() -> None:
    X, y = data()
    layers = [Dense(5, "tanh"), Dense(1, "sigmoid")]
    learns = Network(layers, seed=3)
    assert learns.n_features is None
    assert learns.n_outputs == 1
    knows = Network(layers, n_features=4, seed=3)
    assert learns.fit(X, y, epochs=2, batch_size=8) == knows.fit(X, y, epochs=2, batch_size=8)
    assert learns.n_features == 4
    assert state(learns) == state(knows)


def test_n_features_is_learnt_by_partial_fit_too() -> None:
    X, y = data()
    net = Network([Dense(1, "sigmoid")])
    net.partial_fit(X, y)
    assert net.n_features == 4


def test_network_that_is_not_built_says_so() -> None:
    net = Network([Dense(1, "sigmoid")])
    X, y = data()
    calls: list[Callable[[], Any]] = [
        lambda: net.predict(X),
        lambda: net.predict_proba(X),
        lambda: net.forward(X),
        lambda: net.evaluate(X, y),
        lambda: net.loss_and_gradients(X, y),
        lambda: net.parameters,
        lambda: net.weights,
        lambda: net.biases,
        lambda: net.n_parameters,
        lambda: net.save("never-written"),
        lambda: fastnn.gradient_check(net, X, y),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="not built yet"):
            call()
    assert not Path("never-written").exists()


def test_copy_and_pickle_of_a_network_that_is_not_built_start_alike() -> None:
    X, y = data()
    net = Network([Dense(3, "tanh"), Dense(1, "sigmoid")])  # no seed: entropy must be carried along
    twins = [net.copy(), pickle.loads(pickle.dumps(net)), copy.deepcopy(net)]
    net.fit(X, y, epochs=1)
    for twin in twins:
        assert twin.n_features is None
        twin.fit(X, y, epochs=1)
        assert state(twin) == state(net)


# ---- fit -----------------------------------------------------------------------------------------


def test_fit_learns() -> None:
    X, y = data(400)
    net = Network.from_sizes([4, 32, 1], seed=0)
    history = net.fit(X, y, epochs=60, batch_size=32, learning_rate=0.01)
    assert history["loss"][-1] < 0.3 < history["loss"][0]
    assert net.evaluate(X, y)["accuracy"] > 0.9


def test_history_has_a_loss_for_each_epoch() -> None:
    X, y = data()
    assert list(small().fit(X, y)) == ["loss", "accuracy", "learning_rate"]
    history = small().fit(X, y, epochs=3)
    assert len(history["loss"]) == 3
    assert all(type(value) is float for value in history["loss"])


def test_history_with_validation_data_of_a_classifier() -> None:
    X, y = data()
    Xv, yv = data(30, seed=9)
    net = small()
    history = net.fit(X, y, epochs=3, validation_data=(Xv, yv))
    assert list(history) == ["loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]
    assert [len(values) for values in history.values()] == [3, 3, 3, 3, 3]
    assert net.evaluate(Xv, yv) == {
        "loss": history["val_loss"][-1],
        "accuracy": history["val_accuracy"][-1],
    }


def test_history_with_validation_data_of_a_regression_has_no_accuracy() -> None:
    X, _ = data()
    net = Network.from_sizes([4, 3, 1], output="linear", seed=0)
    history = net.fit(X, X[:, 0], epochs=2, validation_data=[X, X[:, :1]])
    assert list(history) == ["loss", "val_loss", "learning_rate"]


def test_validation_data_do_not_change_training() -> None:
    X, y = data()
    net, twin = small(), small()
    history = net.fit(X, y, epochs=4, batch_size=16, validation_data=data(7, seed=3))
    assert twin.fit(X, y, epochs=4, batch_size=16)["loss"] == history["loss"]
    assert state(net) == state(twin)


def test_validation_follows_each_epoch() -> None:
    X, y = data()
    validation = data(20, seed=4)
    net, twin = small(), small()
    history = net.fit(X, y, epochs=3, batch_size=16, validation_data=validation)
    for epoch in range(3):
        twin.fit(X, y, epochs=1, batch_size=16)
        assert twin.evaluate(*validation)["loss"] == history["val_loss"][epoch]


def test_full_batch_history_is_the_cost_of_each_iteration() -> None:
    X, y = data()
    net = small(dtype="float64")
    reference = reference_of(net)
    costs = []
    for _ in range(20):
        cost, gradients = reference.loss_and_gradients(X, y)
        costs.append(cost)
        for (dW, db), W, b in zip(gradients, reference.weights, reference.biases, strict=True):
            W -= 0.5 * dW
            b -= 0.5 * db
    history = net.fit(X, y, epochs=20, batch_size=None, optimizer="sgd", learning_rate=0.5)
    np.testing.assert_allclose(history["loss"], costs, rtol=1e-12)
    assert costs[-1] < costs[0]


def test_epoch_loss_weighs_mini_batches_by_their_samples() -> None:
    X, y = data(50)
    net = small(dtype="float64")
    reference = reference_of(net)
    history = net.fit(
        X, y, epochs=3, batch_size=48, optimizer="sgd", learning_rate=0.5, shuffle=False
    )
    expected = reference.fit(X, y, epochs=3, batch_size=48, learning_rate=0.5)
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-12)


@pytest.mark.parametrize("batch_size", [50, 51, 10**20, None])
def test_full_batch_has_many_spellings_and_is_never_shuffled(batch_size: int | None) -> None:
    X, y = data(50)
    net, twin = small(), small()
    net.fit(X, y, epochs=3, batch_size=batch_size, shuffle=True)
    twin.fit(X, y, epochs=3, batch_size=50, shuffle=False)
    assert state(net)[1] == state(twin)[1]
    assert state(net)[0]["random_state"] == state(twin)[0]["random_state"]


def test_shuffling_repeats_for_a_seed() -> None:
    X, y = data()
    net, twin, other = small(seed=1), small(seed=1), small(seed=2)
    other.parameters[:] = net.parameters
    for each in (net, twin, other):
        each.fit(X, y, epochs=2, batch_size=8)
    assert state(net) == state(twin)
    assert np.any(net.parameters != other.parameters)


def test_shuffling_differs_between_epochs_and_calls_and_from_the_given_order() -> None:
    X, y = data()
    start = small().parameters.copy()
    net, results = small(), []
    for shuffle in (False, True, True):
        net.parameters[:] = start
        net.fit(X, y, epochs=1, batch_size=8, optimizer="sgd", learning_rate=0.5, shuffle=shuffle)
        results.append(net.parameters.tobytes())
    assert len(set(results)) == 3


def test_each_epoch_takes_every_sample_once() -> None:
    # One weight, one step a sample, gradient 2 * x * (0 - y) / 1 at w = 0 is tiny and additive:
    # with a learning rate near 0 the loss of an epoch is the mean of y^2 over the samples seen.
    y = 2.0 ** np.arange(10)
    X = np.ones((10, 1))
    net = Network([Dense(1, "linear", "zeros")], 1, dtype="float64", seed=0)
    for _ in range(20):
        net.parameters[:] = 0
        history = net.fit(X, y, epochs=1, batch_size=1, optimizer="sgd", learning_rate=1e-30)
        assert history["loss"][0] == pytest.approx(np.mean(y**2), rel=1e-12)


def test_shuffling_reaches_every_order_about_equally_often() -> None:
    # SGD on one weight from 0 with targets and rates that make the end depend on the order.
    X, y = np.ones((3, 1)), np.array([1.0, 10.0, 100.0])
    net = Network([Dense(1, "linear", "zeros")], 1, dtype="float64", seed=0)
    counts: dict[float, int] = {}
    for _ in range(1200):
        net.parameters[:] = 0
        net.fit(X, y, epochs=1, batch_size=1, optimizer="sgd", learning_rate=0.125)
        counts[float(net.parameters[0])] = counts.get(float(net.parameters[0]), 0) + 1
    assert len(counts) == 6
    # 200 expected, standard deviation 13
    assert 135 < min(counts.values()) <= max(counts.values()) < 265


def test_global_random_state_is_neither_read_nor_written() -> None:
    X, y = data()
    before = pickle.dumps(np.random.get_state())  # noqa: NPY002
    net = small()
    net.fit(X, y, epochs=1, batch_size=8)
    assert pickle.dumps(np.random.get_state()) == before  # noqa: NPY002


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_partial_fit_is_one_epoch_of_fit(optimizer: str) -> None:
    X, y = data()
    net, twin = small(), small()
    losses = [net.partial_fit(X, y, batch_size=8, optimizer=optimizer) for _ in range(3)]
    assert losses == [
        twin.fit(X, y, epochs=1, batch_size=8, optimizer=optimizer)["loss"][0] for _ in range(3)
    ]
    assert type(losses[0]) is float
    assert state(net) == state(twin)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_one_fit_equals_several_shorter_ones(optimizer: str) -> None:
    X, y = data()
    net, twin = small(), small()
    whole = net.fit(X, y, epochs=5, batch_size=8, optimizer=optimizer)["loss"]
    parts = [
        loss
        for epochs in (2, 3)
        for loss in twin.fit(X, y, epochs=epochs, batch_size=8, optimizer=optimizer)["loss"]
    ]
    assert whole == parts
    assert state(net) == state(twin)


@pytest.mark.parametrize("optimizer", [name for name in OPTIMIZERS if name != "sgd"])
def test_optimizer_state_is_kept_while_its_kind_is_the_same(optimizer: str) -> None:
    X, y = data()
    fresh = small()
    kept = small()
    kept.fit(X, y, epochs=2, optimizer=optimizer, batch_size=None)
    y = 1 - y  # the sign of the gradient alone would not tell of a slot
    fresh.parameters[:] = kept.parameters
    changed = kept.copy()
    changed.fit(X, y, epochs=1, optimizer="sgd", learning_rate=1e-30)
    np.testing.assert_array_equal(changed.parameters, kept.parameters)
    for net in (fresh, kept, changed):
        net.fit(X, y, epochs=1, optimizer=optimizer, batch_size=None)
    assert np.any(kept.parameters != fresh.parameters)  # its slots were not zero
    np.testing.assert_array_equal(changed.parameters, fresh.parameters)  # forgotten in between


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_is_a_name_or_an_object_and_the_learning_rate_takes_precedence(name: str) -> None:
    X, y = data()
    kind = fastnn.optimizers.OPTIMIZERS[name]
    nets = [small() for _ in range(4)]
    nets[0].fit(X, y, epochs=2, optimizer=name, learning_rate=0.02)
    nets[1].fit(X, y, epochs=2, optimizer=kind(0.02))
    nets[2].fit(X, y, epochs=2, optimizer=kind(0.7), learning_rate=0.02)
    nets[3].fit(X, y, epochs=2, optimizer=kind())
    default = small()
    default.fit(X, y, epochs=2, optimizer=name)
    assert state(nets[0]) == state(nets[1]) == state(nets[2])
    assert state(nets[3]) == state(default)
    assert np.any(nets[0].parameters != default.parameters)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [[4, 5, 3, 1], [40, 300, 90, 1]])
def test_bits_do_not_depend_on_the_number_of_threads(sizes: list[int], dtype: str) -> None:
    X, y = data(200, sizes[0])
    results = []
    for threads in (1, 2, 3):
        net = Network.from_sizes(sizes, seed=0, dtype=dtype)
        history = net.fit(X, y, epochs=2, batch_size=90, threads=threads)
        results.append((history, state(net)))
    assert results[0] == results[1] == results[2]


def test_full_batch_bigger_than_a_slab_gives_the_gradient_of_all_samples() -> None:
    # 33,000 rows of 3 * 400 + 4 numbers exceed the plan's 32 MiB several times.
    X, y = data(33_000)
    net = Network.from_sizes([4, 399, 1], hidden="tanh", dtype="float64", seed=0)
    loss, gradient = net.loss_and_gradients(X, y)
    parts = [
        net.loss_and_gradients(X[i : i + 3000], y[i : i + 3000]) for i in range(0, 33_000, 3000)
    ]
    assert loss == pytest.approx(np.mean([part[0] for part in parts]), rel=1e-12)
    mean = np.mean([part[1] for part in parts], axis=0)
    assert relative_difference(gradient, mean) < 1e-11


# ---- against the reference -----------------------------------------------------------------------

NETS = [
    # sizes, hidden, output, loss
    ([6, 16, 8, 1], "relu", "sigmoid", None),
    ([6, 12, 4], "tanh", "softmax", None),
    ([6, 10, 3], "gelu", "linear", None),
    ([6, 9, 7, 2], "mish", "tanh", "huber"),
    ([6, 7, 5, 5, 2], "selu", "sigmoid", "mean_squared_error"),
    ([6, 8, 2], "leaky_relu", "softplus", "mean_absolute_error"),
    ([6, 8, 3], "silu", "elu", "huber"),
    ([6, 1], "relu", "sigmoid", None),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("net", NETS, ids=lambda net: f"{net[1]}-{net[2]}")
def test_300_steps_agree_with_the_reference(net: Any, optimizer: str, dtype: str) -> None:
    sizes, hidden, output, loss = net
    ours = Network.from_sizes(sizes, hidden, output, loss=loss, dtype=dtype, seed=1)
    X = np.random.default_rng(2).normal(size=(70, sizes[0])).astype(dtype)
    y = targets_for(ours.loss.name, 70, sizes[-1])
    reference = reference_of(ours)
    start = ours.parameters.copy()
    rate = fastnn.optimizers.OPTIMIZERS[optimizer]().learning_rate
    arguments: dict[str, Any] = {"epochs": 100, "batch_size": 32, "optimizer": optimizer}
    losses = ours.fit(X, y, shuffle=False, **arguments)["loss"]
    expected = reference.fit(X, y, learning_rate=rate, **arguments)
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    assert relative_difference(start, flat(reference)) > 10 * tolerance  # it went somewhere
    assert relative_difference(ours.parameters, flat(reference)) <= tolerance
    largest = np.abs(flat(reference)).max()
    assert np.abs(ours.parameters - flat(reference)).max() <= tolerance * largest
    np.testing.assert_allclose(losses, expected, rtol=tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("net", NETS, ids=lambda net: f"{net[1]}-{net[2]}")
def test_loss_gradients_and_activations_agree_with_the_reference(net: Any, dtype: str) -> None:
    sizes, hidden, output, loss = net
    ours = Network.from_sizes(sizes, hidden, output, loss=loss, dtype=dtype, seed=1)
    X = np.random.default_rng(2).normal(size=(70, sizes[0])).astype(dtype)
    y = targets_for(ours.loss.name, 70, sizes[-1])
    reference = reference_of(ours, "float64")
    rtol = 1e-12 if dtype == "float64" else 2e-5

    got_loss, gradient = ours.loss_and_gradients(X, y)
    wanted_loss, wanted = reference.loss_and_gradients(X, y)
    assert type(got_loss) is float
    assert gradient.dtype == dtype
    assert got_loss == pytest.approx(wanted_loss, rel=rtol)
    for (dW, db), (wanted_dW, wanted_db) in zip(ours.split(gradient), wanted, strict=True):
        assert relative_difference(dW, wanted_dW) <= rtol
        assert relative_difference(db, wanted_db) <= rtol
    assert ours.evaluate(X, y)["loss"] == pytest.approx(wanted_loss, rel=rtol)

    activations = ours.forward(X)
    for A, (_, wanted_A) in zip(activations, reference.forward(X), strict=True):
        assert A.dtype == dtype
        np.testing.assert_allclose(A, wanted_A, rtol=rtol, atol=rtol)
    np.testing.assert_array_equal(activations[-1], ours.predict_proba(X))


def test_training_agrees_with_the_loops_of_pure_python() -> None:
    X, y = data(12)
    net = small(dtype="float64")
    reference = loops.Network(
        [w.tolist() for w in net.weights],
        [b.tolist() for b in net.biases],
        [layer.activation for layer in net.layers],
        net.loss.kernel(net.layers[-1].activation),
        net.loss.parameters,
    )
    net.fit(X, y, epochs=10, batch_size=5, shuffle=False, learning_rate=0.01)
    reference.fit(
        X.tolist(), y.tolist(), epochs=10, batch_size=5, optimizer="adam", learning_rate=0.01
    )
    for ours, theirs in zip(net.weights, reference.weights, strict=True):
        np.testing.assert_allclose(ours, np.array(theirs).reshape(ours.shape), rtol=1e-9)


# ---- predict, evaluate ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("output", "n_outputs", "shape", "is_label"),
    [
        ("sigmoid", 1, (50,), True),
        ("sigmoid", 3, (50, 3), True),
        ("softmax", 3, (50,), True),
        ("linear", 1, (50,), False),
        ("linear", 2, (50, 2), False),
        ("tanh", 1, (50,), False),
    ],
)
def test_shapes_and_dtypes_of_predictions(
    output: str, n_outputs: int, shape: tuple[int, ...], is_label: bool, dtype: str
) -> None:
    X, _ = data()
    net = Network.from_sizes([4, 5, n_outputs], output=output, dtype=dtype, seed=0)
    predicted = net.predict(X)
    assert predicted.shape == shape
    assert predicted.dtype == (np.int64 if is_label else dtype)
    probabilities = net.predict_proba(X)
    assert probabilities.shape == (50, n_outputs)
    assert probabilities.dtype == dtype
    if output == "softmax":
        np.testing.assert_array_equal(predicted, probabilities.argmax(axis=1))
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    elif output == "sigmoid":
        np.testing.assert_array_equal(predicted, (probabilities > 0.5).reshape(shape))
        assert 0 < predicted.mean() < 1
    else:
        np.testing.assert_array_equal(predicted, probabilities.reshape(shape))


def test_a_probability_of_one_half_is_label_zero() -> None:
    net = Network.from_sizes([2, 1], initializer="zeros")
    assert net.predict_proba([[1, 2]])[0, 0] == 0.5
    np.testing.assert_array_equal(net.predict([[1, 2]]), [0])


@pytest.mark.parametrize("output", ["sigmoid", "softmax", "linear"])
def test_no_samples_give_no_predictions(output: str) -> None:
    net = Network.from_sizes([4, 5, 2], output=output)
    X = np.empty((0, 4), np.float32)
    assert net.predict(X).shape == ((0,) if output == "softmax" else (0, 2))
    assert net.predict_proba(X).shape == (0, 2)
    assert [A.shape for A in net.forward(X)] == [(0, 5), (0, 2)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_samples", [1, 2, 63, 64, 65, 129])
def test_prediction_of_a_sample_does_not_depend_on_the_others_size(
    n_samples: int, dtype: str
) -> None:
    X, _ = data(n_samples)
    net = small(dtype=dtype)
    together = net.predict_proba(X)
    alone = np.concatenate([net.predict_proba(X[i : i + 1]) for i in range(n_samples)])
    np.testing.assert_allclose(alone, together, rtol=1e-5 if dtype == "float32" else 1e-13)


def test_evaluate_gives_the_share_of_right_labels() -> None:
    net = Network([Dense(1, "sigmoid")], 1, seed=0)
    net.parameters[:] = [1, 0]
    X = [[-2], [-1], [1], [2]]
    result = net.evaluate(X, [0, 1, 1, 1])
    assert list(result) == ["loss", "accuracy"]
    assert result["accuracy"] == 0.75
    logits, answers = np.array([-2, -1, 1, 2]), np.array([0, 1, 1, 1])
    expected = np.mean(np.log1p(np.exp(logits)) - answers * logits)
    assert result["loss"] == pytest.approx(expected, rel=1e-6)


def test_evaluate_counts_every_label_of_a_sample() -> None:
    net = Network([Dense(2, "sigmoid")], 2, seed=0)
    net.parameters[:] = [1, 0, 0, 1, 0, 0]
    assert net.evaluate([[1, 1], [1, -1]], [[1, 0], [1, 0]])["accuracy"] == 0.75


def test_evaluate_of_softmax_takes_labels_or_rows_of_probabilities() -> None:
    net = Network([Dense(3, "softmax")], 3, seed=0)
    net.parameters[:] = [*np.eye(3).ravel(), 0, 0, 0]
    X, labels = 2 * np.eye(3), np.array([0, 1, 0])
    by_label = net.evaluate(X, labels)
    assert by_label["accuracy"] == pytest.approx(2 / 3)
    by_row = net.evaluate(X, np.eye(3)[labels])
    assert by_row["accuracy"] == by_label["accuracy"]
    assert by_row["loss"] == pytest.approx(by_label["loss"], rel=1e-6)
    assert net.evaluate(X, labels[:, np.newaxis]) == by_label


def test_evaluate_of_a_regression_has_the_loss_only() -> None:
    net = Network([Dense(1, "linear", "zeros")], 2)
    assert net.evaluate([[1, 2], [3, 4]], [1, 3]) == {"loss": 5.0}


def test_soft_targets_train_like_the_labels_they_stand_for() -> None:
    X, y = data()
    by_label = Network.from_sizes([4, 5, 2], output="softmax", dtype="float64", seed=0)
    by_row = by_label.copy()
    by_label.fit(X, y, epochs=3, batch_size=8)
    by_row.fit(X, np.eye(2)[y], epochs=3, batch_size=8)
    assert relative_difference(by_row.parameters, by_label.parameters) < 1e-12


def test_loss_is_right_for_confident_mistakes() -> None:
    net = Network([Dense(2, "softmax")], 1, dtype="float32")
    net.parameters[:] = [1, 0, 0, 0]
    assert net.evaluate([[1000.0]], [1])["loss"] == 1000
    single = Network([Dense(1, "sigmoid")], 1, dtype="float32")
    single.parameters[:] = [1, 0]
    assert single.evaluate([[1000.0]], [0])["loss"] == 1000
    assert single.loss_and_gradients([[-1000.0]], [1])[0] == 1000


def test_reading_calls_change_nothing() -> None:
    X, y = data()
    net = small()
    net.fit(X, y, epochs=1, batch_size=8)
    before = state(net)
    net.predict(X)
    net.predict_proba(X)
    net.evaluate(X, y)
    net.forward(X)
    net.loss_and_gradients(X, y)
    net.summary()
    repr(net)
    fastnn.gradient_check(net, X[:2], y[:2])
    assert state(net) == before


# ---- inputs are neither copied nor changed -------------------------------------------------------


class Subclass(np.ndarray):
    """An array that is more than an array."""


class Frame:
    """Like a data frame: not an array, but it can give one."""

    def __init__(self, values: Array) -> None:
        self._values = values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return self._values if dtype is None else self._values.astype(dtype)


def unaligned(X: Array) -> Array:
    memory = np.zeros(X.nbytes + 1, np.uint8)[1:].view(X.dtype).reshape(X.shape)
    memory[...] = X
    assert not memory.flags.aligned
    return memory


def read_only(X: Array) -> Array:
    X = X.copy()
    X.flags.writeable = False
    return X


FORMS: dict[str, Callable[[Array], Any]] = {
    "read-only": read_only,
    "Fortran order": np.asfortranarray,
    "every other row": lambda X: np.repeat(X, 2, axis=0)[::2],
    "every other column": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "backwards": lambda X: X[::-1, ::-1].copy()[::-1, ::-1],
    "byte-swapped": lambda X: X.astype(X.dtype.newbyteorder()),
    "unaligned": unaligned,
    "list": lambda X: X.tolist(),
    "list of arrays": list,
    "data frame": Frame,
    "subclass": lambda X: X.view(Subclass),
    "masked array without masked values": np.ma.masked_array,
    "longdouble": lambda X: X.astype(np.longdouble),
}


@pytest.mark.parametrize("given", [np.float32, np.float64])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_same_samples_gives_the_same_bits(
    form: str, dtype: str, given: type
) -> None:
    X, y = data()
    X = X.astype(given)
    net, twin = small(dtype=dtype), small(dtype=dtype)
    odd = FORMS[form](X)
    before = pickle.dumps(odd)
    assert net.fit(odd, y, epochs=2, batch_size=8) == twin.fit(X, y, epochs=2, batch_size=8)
    assert state(net) == state(twin)
    np.testing.assert_array_equal(net.predict_proba(odd), twin.predict_proba(X))
    assert pickle.dumps(odd) == before


@pytest.mark.parametrize("kind", ["?", "b", "B", "i2", ">i4", "u4", "i8", "u8", "f2", ">f2"])
def test_samples_of_every_kind_of_number_are_taken(kind: str) -> None:
    _, y = data()
    X = np.random.default_rng(3).integers(2, size=(50, 4)).astype(kind)
    net, twin = small(), small()
    net.fit(X, y, epochs=2, batch_size=8)
    twin.fit(X.astype(np.float32), y, epochs=2, batch_size=8)
    assert state(net) == state(twin)
    np.testing.assert_array_equal(net.predict_proba(X), twin.predict_proba(X.astype(np.float32)))


@pytest.mark.parametrize(
    "kind", ["?", "b", "B", "i2", ">i4", "u4", ">i8", "u8", "f2", "f4", ">f8", "g"]
)
@pytest.mark.parametrize("output", ["sigmoid", "softmax", "linear"])
def test_targets_of_every_kind_of_number_are_taken(kind: str, output: str) -> None:
    X, y = data()
    n_outputs = 2 if output == "softmax" else 1
    net = Network.from_sizes([4, 5, n_outputs], output=output, seed=0)
    twin = net.copy()
    net.fit(X, y.astype(kind), epochs=2, batch_size=8)
    twin.fit(X, y, epochs=2, batch_size=8)
    assert state(net) == state(twin)


@pytest.mark.parametrize("dtype", DTYPES)
def test_targets_of_one_output_are_a_column_or_a_row(dtype: str) -> None:
    X, y = data()
    net, twin = small(dtype=dtype), small(dtype=dtype)
    net.fit(X, y, epochs=1)
    twin.fit(X, y[:, np.newaxis], epochs=1)
    assert state(net) == state(twin)


@pytest.mark.parametrize("given", DTYPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shuffle", [False, True])
def test_samples_are_not_copied(given: str, dtype: str, shuffle: bool) -> None:
    X = np.zeros((2000, 500), given)
    y = np.zeros(2000)
    net = Network.from_sizes([500, 2, 1], dtype=dtype, seed=0)
    net.fit(X[:100], y[:100], epochs=1, batch_size=64)  # loads what is loaded once
    tracemalloc.start()
    net.fit(X, y, epochs=1, batch_size=64, shuffle=shuffle)
    net.predict(X)
    net.evaluate(X, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < X.nbytes / 4


def test_memory_mapped_samples_are_read_where_they_are(tmp_path: Path) -> None:
    X, y = data()
    path = tmp_path / "X.npy"
    np.save(path, X)
    content = path.read_bytes()
    mapped = np.load(path, mmap_mode="r")
    net, twin = small(), small()
    net.fit(mapped, y, epochs=2, batch_size=8)
    twin.fit(X, y, epochs=2, batch_size=8)
    assert state(net) == state(twin)
    assert path.read_bytes() == content


def test_overlapping_rows_are_taken_as_they_look() -> None:
    _, y = data()
    X = np.broadcast_to(np.float32([1, 2, 3, 4]), (50, 4))
    windows = np.lib.stride_tricks.sliding_window_view(np.arange(53.0), 4)
    for given in (X, windows):
        net, twin = small(), small()
        net.fit(given, np.broadcast_to(y[:1], 50), epochs=1, batch_size=8)
        twin.fit(given.copy(), np.full(50, y[0]), epochs=1, batch_size=8)
        assert state(net) == state(twin)


@pytest.mark.parametrize("dtype", DTYPES)
def test_float64_samples_train_a_float32_network_like_rounded_ones(dtype: str) -> None:
    X, y = data()
    net, twin = small(), small()
    net.fit(X, y, epochs=2, batch_size=8)
    twin.fit(X.astype(np.float32), y, epochs=2, batch_size=8)
    assert state(net) == state(twin)


# ---- copies, pickles, files ----------------------------------------------------------------------


def trained(optimizer: str = "adam", dtype: str = "float32") -> Network:
    net = small(dtype=dtype)
    net.fit(*data(), epochs=2, batch_size=8, optimizer=optimizer)
    return net


COPIES: dict[str, Callable[[Network], Network]] = {
    "copy": lambda net: net.copy(),
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "pickle": lambda net: pickle.loads(pickle.dumps(net)),
}


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_copies_are_independent_and_go_on_alike(optimizer: str, how: str) -> None:
    X, y = data()
    net = trained(optimizer)
    twin = COPIES[how](net)
    before = state(net)
    assert state(twin) == before
    assert repr(twin) == repr(net)
    twin.fit(X, y, epochs=2, batch_size=8, optimizer=optimizer)
    assert state(net) == before
    assert state(twin) != before
    net.fit(X, y, epochs=2, batch_size=8, optimizer=optimizer)
    assert state(net) == state(twin)


@pytest.mark.parametrize("dtype", DTYPES)
def test_copy_in_another_dtype_converts_parameters_and_moments(dtype: str) -> None:
    net = trained(dtype=dtype)
    other = net.copy(OTHER[dtype])
    assert other.dtype == OTHER[dtype]
    np.testing.assert_array_equal(other.parameters, net.parameters.astype(OTHER[dtype]))
    assert not np.shares_memory(other.parameters, net.parameters)
    X, y = data()
    for each in (net, other):
        each.fit(X, y, epochs=1, batch_size=8)
    assert relative_difference(other.parameters, net.parameters) < 1e-4  # same order, same slots


def test_copy_keeps_the_random_state() -> None:
    net = trained()
    twin = net.copy("float64").copy("float32")
    net.fit(*data(), epochs=1, batch_size=8)
    twin.fit(*data(), epochs=1, batch_size=8)
    assert state(net) == state(twin)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_goes_on_from_a_file_to_the_bit(
    optimizer: str, dtype: str, tmp_path: Path
) -> None:
    X, y = data()
    net = trained(optimizer, dtype)
    net.save(tmp_path / "net.safetensors")
    loaded = Network.load(tmp_path / "net.safetensors")
    assert repr(loaded) == repr(net)
    assert state(loaded) == state(net)
    np.testing.assert_array_equal(loaded.predict_proba(X), net.predict_proba(X))
    assert loaded.fit(X, y, epochs=2, batch_size=8, optimizer=optimizer) == net.fit(
        X, y, epochs=2, batch_size=8, optimizer=optimizer
    )
    assert state(loaded) == state(net)


@pytest.mark.parametrize(
    "net",
    [
        Network.from_sizes([4, 3, 2], output="softmax"),  # no seed, no optimiser yet
        Network([Dense(2, "linear", Normal(0.3))], 4, loss="huber", dtype="float64", seed=2**80),
        Network([Dense(2, "linear", Normal(np.float32(0.25)))], 4),  # type: ignore[arg-type]
        Network([Dense(2, "linear", Normal(np.float64(0.25)))], 4),
        Network([Dense(np.int32(2), "linear")], np.int16(4), seed=np.uint8(3)),
    ],
    ids=["no seed", "everything", "float32 scale", "float64 scale", "numpy integers"],
)
def test_every_network_can_be_saved_and_loaded(net: Network, tmp_path: Path) -> None:
    net.save(tmp_path / "net")
    assert state(Network.load(tmp_path / "net")) == state(net)


@pytest.mark.parametrize("name", ["Katze-äöü.safetensors", "猫", "with space", "no.ending.at all"])
@pytest.mark.parametrize("as_text", [False, True])
def test_paths_may_be_of_any_letters_and_any_type(name: str, as_text: bool, tmp_path: Path) -> None:
    path: Any = tmp_path / name
    path = str(path) if as_text else path
    net = trained()
    net.save(path)
    assert os.listdir(tmp_path) == [name]
    assert state(Network.load(path)) == state(net)


def test_failed_save_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "net.safetensors"
    net = trained()
    net.save(path)
    old = path.read_bytes()
    net.fit(*data(), epochs=1)
    before = state(net)

    def no_space(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    for function in ("replace", "fsync"):
        with monkeypatch.context() as patch:
            patch.setattr(os, function, no_space)
            with pytest.raises(OSError, match="No space left"):
                net.save(path)
        assert os.listdir(tmp_path) == [path.name]
        assert path.read_bytes() == old
    assert state(net) == before


def test_save_into_a_missing_folder_fails_and_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"missing'$") as error:
        trained().save(tmp_path / "missing" / "net")
    assert error.value.filename == str(tmp_path / "missing")
    assert os.listdir(tmp_path) == []


def test_load_refuses_what_is_not_a_network(tmp_path: Path) -> None:
    path = tmp_path / "net"
    trained().save(path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        Network.load(path)
    path.write_bytes(content[:-1])
    with pytest.raises(ValueError, match="net"):
        Network.load(path)
    path.write_bytes(pickle.dumps(trained()))
    with pytest.raises(ValueError, match="not a safetensors file"):
        Network.load(path)
    with pytest.raises(FileNotFoundError):
        Network.load(tmp_path / "nothing")


@pytest.mark.parametrize(
    "change",
    [
        {"n_features": 5},
        {"n_features": -4},
        {"n_features": 2**40},
        {"n_features": None},
        {"dtype": "float16"},
        {"layers": []},
        {"layers": [{"n_units": 0, "activation": "relu", "initializer": None}]},
        {"layers": [{"n_units": 3}]},
        {"layers": None},
        {"loss": "categorical_cross_entropy"},
        {"optimizer": "sgd"},
        {"optimizer": "nonsense"},
        {"optimizer": 7},
        {"n_updates": -1},
        {"n_updates": 2**64},
        {"n_updates": "many"},
        {"random_state": {}},
        {"random_state": None},
        {"random_state": {"bit_generator": "MT19937"}},
        {"seed": -1},
    ],
    ids=str,
)
def test_load_refuses_descriptions_that_do_not_fit(change: dict[str, Any], tmp_path: Path) -> None:
    from fastnn import _files

    description, tensors, _ = trained().__reduce__()[1]
    _files.write_model(tmp_path / "net", {**description, **change}, tensors)
    with pytest.raises(ValueError, match="net"):
        Network.load(tmp_path / "net")


# ---- numbers that are not finite, and settings that would be rounded away -----------------------


@pytest.mark.parametrize(
    ("scale", "dtype"), [(1e300, "float32"), (1e40, "float32"), (1.7e308, "float64")]
)
def test_initial_weights_beyond_the_dtype_are_refused(scale: float, dtype: str) -> None:
    layers = [Dense(50, "tanh"), Dense(60, "tanh", Normal(scale)), Dense(1)]
    message = rf"layers\[1\].*Normal.*not finite in {dtype}"
    with pytest.raises(ValueError, match=message):
        Network(layers, n_features=4, dtype=dtype, seed=0)
    net = Network(layers, dtype=dtype, seed=0)
    with pytest.raises(ValueError, match=message):
        net.fit(*data())
    assert net.n_features is None


# NumPy 2.5 and later warn of what a user must not be able to do to the block
@pytest.mark.filterwarnings("ignore:Setting the (shape|dtype):DeprecationWarning")
def test_views_do_not_let_the_block_be_reshaped_or_locked() -> None:
    net = small()
    X, y = data()
    net.parameters.shape = (47, 1)
    net.parameters.flags.writeable = False
    net.parameters.dtype = np.int32
    net.weights[0].shape = (20,)
    net.weights[0].flags.writeable = False
    net.biases[0].shape = (5, 1)
    assert net.parameters.shape == (47,)
    assert net.parameters.dtype == np.float32
    assert net.parameters.flags.writeable
    net.fit(X, y, epochs=1)
    net.parameters[:] = 0
    assert np.all(net.predict_proba(X) == 0.5)


TINY32, MAX32 = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)


@pytest.mark.parametrize(
    ("optimizer", "name"),
    [
        (fastnn.Adam(epsilon=1e-40), "epsilon"),
        (fastnn.RMSprop(epsilon=TINY32 / 2), "epsilon"),
        (fastnn.Adagrad(epsilon=1e-300), "epsilon"),
        (fastnn.SGD(1e300), "learning_rate"),
        (fastnn.SGD(1e-39), "learning_rate"),
        (fastnn.Momentum(momentum=1e-45), "momentum"),
        (fastnn.Adam(beta_2=1e-60), "beta_2"),
        (fastnn.AdamW(weight_decay=1e39), "weight_decay"),
    ],
    ids=str,
)
def test_hyperparameters_that_are_no_normal_numbers_are_refused(optimizer: Any, name: str) -> None:
    X, y = data()
    net = trained()
    before = state(net)
    for train in (net.fit, net.partial_fit):
        with pytest.raises(ValueError, match=f"{name} must be .* normal number of float32"):
            train(X, y, optimizer=optimizer)
    assert state(net) == before
    double = small(dtype="float64")
    double.fit(X, y, epochs=1, optimizer=optimizer, learning_rate=0.01)  # normal in float64
    if name != "learning_rate":
        with pytest.raises(ValueError, match=f"{name} must be .* normal number of float32"):
            double.copy("float32")


def test_hyperparameters_that_are_no_normal_numbers_are_refused_in_float64() -> None:
    with pytest.raises(ValueError, match=r"epsilon must be .* normal number of float64"):
        small(dtype="float64").fit(*data(), optimizer=fastnn.Adam(epsilon=1e-310))


@pytest.mark.parametrize(
    "optimizer",
    [
        fastnn.Adam(TINY32, beta_1=0, beta_2=0, epsilon=TINY32),
        fastnn.AdamW(1e-3, epsilon=MAX32, weight_decay=0),
    ],
)
def test_hyperparameters_at_the_limits_are_taken(optimizer: fastnn.Optimizer) -> None:
    X, y = data()
    net = small()
    assert np.isfinite(net.fit(X, y, epochs=1, optimizer=optimizer)["loss"]).all()
    assert np.isfinite(net.parameters).all()
    assert net.training is not None
    assert net.training.optimizer == optimizer


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_parameters_that_are_not_finite_are_named(value: float, tmp_path: Path) -> None:
    X, y = data()
    net = trained()
    net.weights[1][3, 0] = value
    before = state_of_broken(net)
    shown = "NaN" if np.isnan(value) else str(value)
    calls: list[Callable[[], Any]] = [
        lambda: net.fit(X, y),
        lambda: net.partial_fit(X, y),
        lambda: net.loss_and_gradients(X, y),
        lambda: net.save(tmp_path / "net"),
        lambda: pickle.dumps(net),
        lambda: net.copy("float64"),
        lambda: fastnn.gradient_check(net, X, y),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=rf"weights\[1\]\[3, 0\] is {shown}"):
            call()
    assert list(tmp_path.iterdir()) == []
    assert state_of_broken(net) == before
    assert state_of_broken(net.copy()) == before


def state_of_broken(net: Network) -> Any:
    """As `state`, of a network whose parameters are not finite."""
    assert net._state is not None
    return net._state.parameters.tobytes(), net._state.slots.tobytes(), net._state.description()


# ---- training goes on as before ------------------------------------------------------------------


def test_training_shows_how_the_network_was_trained_last() -> None:
    X, y = data()
    net = small()
    assert net.training is None
    net.fit(X, y, epochs=1)
    assert net.training is not None
    assert net.training.optimizer == fastnn.Adam(1e-3)
    assert (net.training.batch_size, net.training.shuffle) == (128, True)
    net.fit(X, y, epochs=1, optimizer="sgd", learning_rate=1.2, batch_size=None)
    assert repr(net.training) == (
        "Training(optimizer=SGD(learning_rate=1.2), batch_size=None, shuffle=True, "
        "regularization=Regularization(), label_smoothing=0.0)"
    )
    with pytest.raises(AttributeError):
        net.training.batch_size = 3  # type: ignore[misc]


@pytest.mark.parametrize("how", [*COPIES, "file", "itself"])
@pytest.mark.parametrize("batch_size", [None, 7])
def test_training_goes_on_as_before_unless_told_otherwise(
    how: str, batch_size: int | None, tmp_path: Path
) -> None:
    X, y = data()
    options: dict[str, Any] = {
        "optimizer": fastnn.Momentum(0.3, momentum=0.7),
        "batch_size": batch_size,
        "shuffle": False,
    }
    net, told = small(), small()
    net.fit(X, y, epochs=2, **options)
    told.fit(X, y, epochs=2, **options)
    if how == "file":
        net.save(tmp_path / "net")
        net = Network.load(tmp_path / "net")
    elif how != "itself":
        net = COPIES[how](net)
    assert net.fit(X, y, epochs=2) == told.fit(X, y, epochs=2, **options)
    assert net.partial_fit(X, y) == told.partial_fit(X, y, **options)
    assert state(net) == state(told)
    assert net.training == told.training


def test_each_setting_can_be_told_alone() -> None:
    X, y = data()
    net = small()
    net.fit(X, y, epochs=1, optimizer=fastnn.Adam(0.1, beta_1=0.8), batch_size=7, shuffle=False)
    net.fit(X, y, epochs=1, learning_rate=0.05)
    assert net.training is not None
    assert net.training.optimizer == fastnn.Adam(0.05, beta_1=0.8)
    net.fit(X, y, epochs=1, batch_size=9)
    net.fit(X, y, epochs=1, shuffle=True)
    assert (net.training.batch_size, net.training.shuffle) == (9, True)
    net.fit(X, y, epochs=1, batch_size="as before", shuffle="as before", optimizer="adam")
    assert net.training.optimizer == fastnn.Adam()
    assert net.training.batch_size == 9


def test_refused_training_is_not_remembered() -> None:
    X, y = data()
    net = trained("momentum")
    before = net.training
    for options in ({"batch_size": "all"}, {"learning_rate": -1}, {"shuffle": 1}):
        with pytest.raises((ValueError, TypeError), match=next(iter(options))):
            net.fit(X, y, **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="X"):
        net.fit(X[:, :2], y, optimizer="sgd")
    assert net.training is before


def test_defaults_read_well_in_help() -> None:
    text = pydoc.render_doc(Network.fit)
    for name in ("batch_size", "optimizer", "shuffle"):
        assert re.search(rf"{name}: [^=,]*= 'as before'", text), text


# ---- history -------------------------------------------------------------------------------------


def test_history_of_the_last_call_is_kept() -> None:
    X, y = data()
    net = small()
    assert net.history == {}
    history = net.fit(X, y, epochs=3, validation_data=data(9, seed=2))
    assert net.history == history
    net.history["loss"].append(1.0)
    history["loss"].clear()
    assert len(net.history["loss"]) == 3
    with pytest.raises(ValueError, match="epochs"):
        net.fit(X, y, epochs=0)
    assert len(net.history["loss"]) == 3
    loss = net.partial_fit(X, y)
    assert net.history["loss"] == [loss]
    assert list(net.history) == ["loss", "accuracy", "learning_rate"]


def test_history_of_a_divergence_has_the_whole_epochs() -> None:
    X, y = data(400)
    net = Network.from_sizes([4, 8, 1], output="linear", seed=0)
    twin = net.copy()
    options: dict[str, Any] = {"batch_size": 8, "optimizer": "sgd", "learning_rate": 0.3}
    net.fit(X, y, epochs=2, batch_size=8, optimizer="sgd", learning_rate=1e-3)
    twin.fit(X, y, epochs=2, batch_size=8, optimizer="sgd", learning_rate=1e-3)
    X[100] *= 1e3
    with pytest.raises(FloatingPointError, match="epoch"):
        net.fit(X, y, epochs=50, validation_data=(X, y), **options)
    n_epochs = len(net.history["loss"])
    assert list(net.history) == ["loss", "val_loss", "learning_rate"]
    assert len(net.history["val_loss"]) == n_epochs
    if n_epochs:
        assert net.history["loss"] == twin.fit(X, y, epochs=n_epochs, **options)["loss"]


def test_history_survives_a_divergence_after_good_epochs() -> None:
    # Doubles its weight each epoch: gradient descent with a rate that is too large.
    net = Network([Dense(1, initializer=Normal(1.0))], 1, seed=0)
    twin = net.copy()
    X, y = np.ones((4, 1)), np.zeros(4)
    options: dict[str, Any] = {"batch_size": None, "optimizer": "sgd", "learning_rate": 1.5}
    with pytest.raises(FloatingPointError, match="epoch"):
        net.fit(X, y, epochs=10_000, validation_data=(X, y), **options)
    losses = net.history["loss"]
    assert 10 < len(losses) == len(net.history["val_loss"])
    assert twin.fit(X, y, epochs=len(losses), **options)["loss"] == losses


@pytest.mark.parametrize("validation", [False, True])
def test_history_survives_an_interruption(validation: bool) -> None:
    X, y = data(2000)
    net = Network.from_sizes([4, 8, 1], seed=0)
    twin = net.copy()
    options: dict[str, Any] = {"validation_data": (X, y)} if validation else {}
    with pytest.raises(HandlerError), interruption(0.3):
        net.fit(X, y, epochs=10**7, batch_size=100, **options)
    n_epochs = len(net.history["loss"])
    assert n_epochs > 2
    assert {len(values) for values in net.history.values()} == {n_epochs}
    assert net.history == twin.fit(X, y, epochs=n_epochs, batch_size=100, **options)


# ---- the other calls -----------------------------------------------------------------------------


@pytest.mark.parametrize("n_samples", [3, 5000])
def test_threads_of_calls_that_read_do_not_change_their_results(n_samples: int) -> None:
    X, y = data(n_samples)
    net = Network.from_sizes([4, 100, 50, 1], seed=0)
    calls: list[Callable[..., Any]] = [
        lambda **kw: net.predict(X, **kw),
        lambda **kw: net.predict_proba(X, **kw),
        lambda **kw: np.array(list(net.evaluate(X, y, **kw).values())),
        lambda **kw: np.concatenate(net.forward(X, **kw), axis=1),
        lambda **kw: np.append(*net.loss_and_gradients(X, y, **kw)[::-1]),
    ]
    for call in calls:
        expected = call()
        for threads in (1, 2, 3):
            np.testing.assert_array_equal(call(threads=threads), expected)
        for wrong in (0, -1, 257, 2.0, "two"):
            with pytest.raises((TypeError, ValueError), match="threads"):
                call(threads=wrong)


def test_summary_of_a_network_that_is_not_built_shows_what_is_known() -> None:
    net = Network([Dense(20, "relu"), Dense(7, "tanh"), Dense(1, "sigmoid")])
    text = net.summary()
    lines = text.splitlines()
    (first,) = [line for line in lines if line.startswith("1 ")]
    (second,) = [line for line in lines if line.startswith("2 ")]
    assert "(?, 20)" in first
    assert first.endswith("?")
    assert "(20, 7)" in second
    assert second.endswith("147")
    assert "X: (n, ?)" in text
    assert "parameters: ?" in text
    X, y = data()
    net.fit(X, y, epochs=1)
    assert "?" not in net.summary()


def test_forward_gives_the_logits_too() -> None:
    X, _ = data()
    net = Network([Dense(5, "relu"), Dense(3, "softmax")], 4, dtype="float64", seed=0)
    A, Z = net.forward(X, logits=True)
    assert [z.shape for z in Z] == [(50, 5), (50, 3)]
    np.testing.assert_allclose(Z[0], X @ net.weights[0] + net.biases[0], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(Z[1], A[0] @ net.weights[1] + net.biases[1], rtol=1e-12, atol=1e-14)
    for a, expected in zip(A, net.forward(X), strict=True):
        np.testing.assert_array_equal(a, expected)


def test_seed_that_was_drawn_repeats_the_run(tmp_path: Path) -> None:
    X, y = data()
    net = Network.from_sizes([4, 5, 1])
    assert type(net.seed) is int
    assert f"seed={net.seed})" in repr(net)
    start = net.parameters.copy()
    net.fit(X, y, epochs=2, batch_size=8)
    again = Network.from_sizes([4, 5, 1], seed=net.seed)
    np.testing.assert_array_equal(again.parameters, start)
    again.fit(X, y, epochs=2, batch_size=8)
    assert state(again) == state(net)


# ---- subclasses ----------------------------------------------------------------------------------


class Committee(Network):
    """A subclass with arguments, attributes and slots of its own."""

    __slots__ = ("__hidden", "rank")
    title = "none"

    def __init__(self, title: str, notes: list[str]) -> None:
        super().__init__([Dense(3, "tanh"), Dense(1, "sigmoid")], n_features=4, seed=1)
        self.title = title
        self.notes = notes
        self.rank = 7
        self.__hidden = [notes]

    @property
    def hidden(self) -> list[list[str]]:
        return self.__hidden


class Picky(Network):
    """A subclass that chooses what is copied, as the documentation of pickle shows it."""

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["lock"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.lock = threading.Lock()


@pytest.mark.parametrize("how", COPIES)
def test_copies_of_a_subclass_are_of_the_subclass_with_its_attributes(how: str) -> None:
    net = Committee("first", ["a"])
    net.fit(*data(), epochs=1)
    twin = COPIES[how](net)
    assert type(twin) is Committee
    assert (twin.title, twin.notes, twin.rank, twin.hidden) == ("first", ["a"], 7, [["a"]])
    assert (twin.notes is net.notes) == (how in ("copy", "copy.copy"))
    assert twin.hidden[0] is twin.notes
    assert state(twin) == state(net)
    assert not np.shares_memory(twin.parameters, net.parameters)


@pytest.mark.parametrize("how", COPIES)
def test_copies_of_a_subclass_that_is_not_built(how: str) -> None:
    class Mine(Network):
        pass

    if how == "pickle":  # which cannot find a local class
        return
    net = Mine([Dense(1)])
    assert type(COPIES[how](net)) is Mine


@pytest.mark.parametrize("how", COPIES)
def test_subclass_may_say_what_is_copied(how: str) -> None:
    net = Picky([Dense(1)], 4, seed=0)
    net.lock, net.name = threading.Lock(), "x"  # type: ignore[attr-defined]
    twin = COPIES[how](net)
    assert type(twin) is Picky
    assert twin.name == "x"  # type: ignore[attr-defined]
    assert twin.lock is not net.lock


def test_deep_copy_of_a_network_that_refers_to_itself() -> None:
    net = Committee("first", ["a"])
    net.partner = net  # type: ignore[attr-defined]
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert twin.partner is twin


def test_load_gives_the_class_it_is_called_on(tmp_path: Path) -> None:
    net = Committee("first", ["a"])
    net.save(tmp_path / "net")
    loaded = Committee.load(tmp_path / "net")
    assert type(loaded) is Committee
    assert loaded.title == "none"
    assert not hasattr(loaded, "notes")
    assert state(loaded)[1] == state(net)[1]
    assert type(Network.load(tmp_path / "net")) is Network


def test_repr_names_the_subclass() -> None:
    assert repr(Committee("first", [])).startswith("Committee(")


# ---- progress ------------------------------------------------------------------------------------


def test_progress_is_shown_on_the_error_stream_only(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    X, y = data()
    net, twin = small(), small()
    history = net.fit(X, y, epochs=3, batch_size=8, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "100%" in err
    assert "epoch 3/3: 100%" in err
    assert "epochs/s, loss=" in err
    assert twin.fit(X, y, epochs=3, batch_size=8) == history
    assert capfd.readouterr() == ("", "")
    assert state(net) == state(twin)


# ---- trouble: divergence, interruption, other threads --------------------------------------------


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_divergence_keeps_the_last_finite_parameters(optimizer: str, dtype: str) -> None:
    X = np.random.default_rng(0).normal(size=(40, 3))
    X[17] = 1e30 if dtype == "float32" else 1e200  # its square is too large
    y = np.zeros(40)
    net = Network([Dense(1, "linear")], 3, dtype=dtype, seed=0)
    twin = net.copy()
    arguments: dict[str, Any] = {
        "batch_size": 4,
        "optimizer": optimizer,
        "learning_rate": 0.01,
        "shuffle": False,
    }
    with pytest.raises(FloatingPointError, match=r"epoch 1, mini-batch 5 \(step 5\)"):
        net.fit(X, y, epochs=3, **arguments)
    twin.fit(X[:16], y[:16], epochs=1, **arguments)
    assert np.isfinite(net.parameters).all()
    assert state(net) == state(twin)


def test_update_that_overflows_is_taken_back() -> None:
    # Gradients are finite, the step with this rate is not; step 1 has gradient 0.
    net = Network([Dense(1, "linear", "zeros")], 1, seed=0)
    X, y = np.ones((2, 1)), np.array([0.0, 1e4])
    with pytest.raises(FloatingPointError, match="step 2"):
        net.fit(
            X, y, epochs=2, batch_size=1, optimizer="momentum", learning_rate=1e35, shuffle=False
        )
    assert np.all(net.parameters == 0)
    assert state(net)[0]["n_updates"] == 1
    history = net.fit(X, y, epochs=1, optimizer="momentum", learning_rate=1e-3)
    assert np.isfinite(history["loss"][0])


def test_divergence_keeps_the_books_of_what_was_done() -> None:
    X, y = data(400)
    arguments: dict[str, Any] = {"batch_size": 8, "optimizer": "sgd", "learning_rate": 0.3}
    states = []
    for threads in (1, 2):
        net = Network.from_sizes([4, 8, 1], output="linear", seed=0)
        with pytest.raises(FloatingPointError):
            net.fit(1e3 * X, y, epochs=50, threads=threads, **arguments)
        assert np.isfinite(net.parameters).all()
        states.append(state(net))
    assert states[0] == states[1]
    description, _ = states[0]
    twin = Network.from_sizes([4, 8, 1], output="linear", seed=0)
    twin.fit(1e-9 * X, y, epochs=description["n_updates"] // 50 + 1, **arguments)
    assert state(twin)[0]["random_state"] == description["random_state"]


class HandlerError(Exception):
    """Raised by a signal handler."""


@contextmanager
def interruption(seconds: float) -> Any:
    """A signal after some time, whose handler raises."""

    def handler(*_: Any) -> None:
        raise HandlerError

    previous = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def test_interrupted_fit_ends_soon_after_a_finished_mini_batch() -> None:
    X, y = data(2000)
    net = Network.from_sizes([4, 8, 1], seed=0)
    twin = net.copy()
    start = time.monotonic()
    with pytest.raises(HandlerError), interruption(0.3):
        net.fit(X, y, epochs=10**7, batch_size=100, shuffle=False)
    assert time.monotonic() - start < 1.3
    n_updates = state(net)[0]["n_updates"]
    assert n_updates > 20
    epochs, rest = divmod(n_updates, 20)
    twin.fit(X, y, epochs=epochs, batch_size=100, shuffle=False)
    if rest:
        twin.fit(X[: 100 * rest], y[: 100 * rest], epochs=1, batch_size=100, shuffle=False)
    assert state(net) == state(twin)


def test_interrupted_step_ends_soon_and_changes_nothing() -> None:
    net = Network.from_sizes([64, 2000, 2000, 1], seed=0)
    X, y = np.zeros((50_000, 64), np.float32), np.zeros(50_000)
    before = net.parameters.copy()
    start = time.monotonic()
    with pytest.raises(HandlerError), interruption(0.5):
        net.fit(X, y, epochs=1, batch_size=None)  # one step of many seconds
    assert time.monotonic() - start < 2
    np.testing.assert_array_equal(net.parameters, before)
    assert state(net)[0]["n_updates"] == 0


def test_interrupted_predict_ends_soon() -> None:
    net = Network.from_sizes([64, 2000, 2000, 1], seed=0)
    X = np.zeros((200_000, 64), np.float32)
    start = time.monotonic()
    with pytest.raises(HandlerError), interruption(0.2):
        net.predict(X)  # a minute of work
    assert time.monotonic() - start < 2


def test_signal_handler_that_uses_the_network_in_training_gets_an_answer_or_an_error(
    run_script: Callable[..., str],
) -> None:
    # In another process: where this fails, it hangs.
    printed = run_script(
        """
        import signal
        import numpy as np
        from fastnn import Network

        net = Network.from_sizes([4, 8, 1], seed=0)
        X, y = np.zeros((1000, 4), np.float32), np.zeros(1000)

        def handler(*_):
            try:
                net.predict(X[:1])
            except RuntimeError:
                print("refused")
            else:
                print("answered")

        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        net.fit(X, y, epochs=100_000, batch_size=100)  # a second or more
        """,
        timeout=30,
    )
    assert printed in ("answered\n", "refused\n")


def test_fit_goes_on_while_another_thread_predicts_without_a_pause() -> None:
    X, y = data(200)
    net = Network.from_sizes([4, 500, 500, 1], seed=0)
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            net.predict(X)

    others = [threading.Thread(target=ask) for _ in range(2)]
    for other in others:
        other.start()
    fit = threading.Thread(target=lambda: net.fit(X, y, epochs=2, batch_size=50))
    fit.start()
    fit.join(5)
    finished = not fit.is_alive()
    stop.set()
    for thread in (*others, fit):
        thread.join()
    assert finished


def test_second_fit_at_the_same_time_is_refused_and_predictions_are_answered() -> None:
    X, y = data(2000)
    net = Network.from_sizes([4, 16, 1], seed=0)
    twin = net.copy()
    expected = twin.fit(X, y, epochs=400, batch_size=50)
    results: list[Any] = []
    thread = threading.Thread(
        target=lambda: results.append(net.fit(X, y, epochs=400, batch_size=50))
    )
    thread.start()
    refused = answered = 0
    while thread.is_alive() and not results:
        try:
            net.partial_fit(X[:1], y[:1])
        except RuntimeError:
            refused += 1
        else:  # the other one was about to end, or has not begun
            break
        assert np.isfinite(net.predict_proba(X[:5])).all()
        answered += 1
    thread.join()
    assert refused > 0
    assert answered > 0
    assert results == [expected]


def test_network_can_be_trained_again_after_an_error() -> None:
    X, y = data()
    net = small()
    with pytest.raises(ValueError, match="batch_size"):
        net.fit(X, y, batch_size=0)
    net.fit(X, y, epochs=1)


def test_many_threads_predict_with_one_network() -> None:
    X, _ = data(300)
    net = Network.from_sizes([4, 64, 3], output="softmax", seed=0)
    expected = net.predict_proba(X)
    wrong: list[Any] = []

    def ask() -> None:
        for _ in range(50):
            if not np.array_equal(net.predict_proba(X), expected):
                wrong.append(1)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_parameters_beyond_memory_are_refused_without_change() -> None:
    with pytest.raises(MemoryError):
        Network.from_sizes([2**31 - 1] * 3)
    net = Network([Dense(2**31 - 1, "relu"), Dense(2**31 - 1, "linear")], seed=0)
    before = state(net)
    with pytest.raises((MemoryError, ValueError)):
        net.fit(np.zeros((2, 3)), np.zeros((2, 1)))
    assert net.n_features is None
    assert state(net) == before


def test_copy_refuses_parameters_beyond_the_range_of_its_dtype() -> None:
    net = Network.from_sizes([2, 1], dtype="float64", seed=0)
    net.parameters[1] = 1e39
    with pytest.raises(ValueError, match="parameters must be finite"):
        net.copy("float32")
    assert net.copy().parameters[1] == 1e39


def test_progress_without_a_standard_error_stream_shows_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stderr", None)
    X, y = data(20)
    history = Network.from_sizes([4, 1], seed=0).fit(X, y, epochs=2, progress=True)
    assert len(history["loss"]) == 2


# ---- what a call relies on does not change under it ----------------------------------------------


def test_a_network_is_made_once() -> None:
    """Data that make it anew, when they are converted, would change the sizes under a call."""
    net = Network([Dense(10_000, "softmax")], n_features=4, seed=0)
    X = np.ones((40, 4), np.float32)

    class Labels:
        def __array__(self, *_: object, **__: object) -> npt.NDArray[Any]:
            net.__init__([Dense(2, "softmax")], n_features=4, seed=0)  # type: ignore[misc]
            return np.full(40, 9_999)

    for call in (net.evaluate, net.fit):
        with pytest.raises((RuntimeError, ValueError), match="made once"):
            call(X, Labels())
    assert net.n_outputs == 10_000


@pytest.mark.parametrize(
    ("name", "value", "y"),
    [
        ("loss", "categorical_cross_entropy", np.full(40, 2)),
        ("n_outputs", 10**9, np.full(40, 5 * 10**8)),
        ("dtype", np.dtype(np.float64), np.zeros((40, 3))),
        ("layers", (Dense(7, "softmax"),), np.full(40, 6)),
    ],
)
def test_properties_that_a_subclass_shadows_do_not_reach_the_core(
    name: str, value: Any, y: Any
) -> None:
    shadowed = type("Shadowed", (Network,), {name: value})
    X = np.ones((40, 4), np.float32)
    for output in ("linear", "softmax"):
        net = shadowed([Dense(3, output)], n_features=4, seed=0)
        try:
            net.fit(X, y, epochs=1)
            assert np.isfinite(net.parameters).all()
        except (TypeError, ValueError):
            pass


def test_memory_of_the_parameters_cannot_be_resized() -> None:
    net = Network.from_sizes([4, 3, 1], seed=0)
    with pytest.raises(ValueError, match="resize"):
        net.parameters.base.resize(16)
    assert np.isfinite(net.parameters).all()


@pytest.mark.parametrize("sizes", [(0, 3), (4, 0), (4, 2**31)])
def test_the_plan_refuses_sizes_that_it_cannot_divide_by(sizes: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"from 1 to 2\^31 - 1"):
        Plan(
            [Operation("dense", sizes[1], sizes[0], True)],
            sizes[0],
            "mean_squared_error",
            np.dtype(np.float32),
        )


def test_the_core_refuses_labels_that_are_no_units() -> None:
    net = Network.from_sizes([4, 3], output="softmax", seed=0)
    plan, state = net._built()
    X, labels = np.ones((5, 4), np.float32), np.array([0, 1, 3, 0, 0], np.int32)
    gradient = np.empty_like(state.parameters)
    with pytest.raises(ValueError, match=r"labels must be in \[0, 3\)"):
        loss_and_gradients(plan, state.parameters, state.running, X, labels, gradient, 1, 0)


# ---- copies with other settings ------------------------------------------------------------------


def trained_with_norms() -> tuple[Network, Any, Any]:
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 5)), rng.integers(0, 3, 60)
    layers = [Dense(8, "relu"), BatchNorm(), Dropout(0.2), Dense(3, "softmax")]
    net = Network(layers, 5, dtype="float64", seed=0)
    net.fit(X, y, epochs=3, batch_size=16)
    return net, X, y


def test_a_copy_may_have_other_settings_of_layers() -> None:
    net, X, y = trained_with_norms()
    frozen = replace(net.layers[0], trainable=False)
    twin = net.copy(layers=[frozen, net.layers[1], Dropout(0.5), net.layers[3]])
    assert twin.layers[0] == frozen
    assert twin.parameters.tobytes() == net.parameters.tobytes()
    assert twin.predict_proba(X).tobytes() == net.predict_proba(X).tobytes()
    assert twin.training == net.training
    before = twin.weights[0].copy(), twin.weights[3].copy()
    n_updates = twin._built()[1].n_updates
    twin.fit(X, y, epochs=1)
    assert twin._built()[1].n_updates == n_updates + 4
    assert (twin.weights[0] == before[0]).all()
    assert not (twin.weights[3] == before[1]).all()
    assert "frozen" in twin.summary()
    assert "frozen" not in net.summary()


def test_a_copy_with_another_output_keeps_the_other_layers() -> None:
    net, X, _ = trained_with_norms()
    twin = net.copy(layers=[*net.layers[:-1], Dense(7, "softmax")])
    for i in (0, 1):
        assert twin.weights[i].tobytes() == net.weights[i].tobytes()
        assert twin.biases[i].tobytes() == net.biases[i].tobytes()
    means = [statistics[0] for n in (net, twin) for statistics in [n.running_statistics[1]]]
    assert means[0].tobytes() == means[1].tobytes()
    assert twin.forward(X)[2].tobytes() == net.forward(X)[2].tobytes()
    assert twin.training is None
    twin.fit(X, np.arange(60) % 7, epochs=1)
    narrow = net.copy("float32", [*net.layers[:-1], Dense(7, "softmax")])
    assert narrow.dtype == np.float32
    assert narrow.weights[0].tobytes() == net.weights[0].astype(np.float32).tobytes()
    unbuilt = Network([Dense(3), Dense(1)]).copy(layers=[Dense(3), Dense(2)])
    assert unbuilt.n_outputs == 2


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([Dense(8, "relu"), Dense(3, "softmax")], "layers must be as many as before, 4, got 2"),
        (
            [Dense(9, "relu"), BatchNorm(), Dropout(0.2), Dense(3, "softmax")],
            r"layers\[0\] must be",
        ),
        ([Dense(8), Dropout(0.2), BatchNorm(), Dense(3, "softmax")], r"layers\[1\] must be of the"),
        ([Dense(8), BatchNorm(), Dropout(0.2), Dense(3)], "loss"),
        ([], "layers"),
    ],
)
def test_a_copy_refuses_layers_that_do_not_fit(layers: Any, message: str) -> None:
    net, _, _ = trained_with_norms()
    with pytest.raises(ValueError, match=message):
        net.copy(layers=layers)

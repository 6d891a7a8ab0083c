"""The gradient in buckets, with one rank whose sums are functions of these tests."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fastnn import BatchNorm, Dense, Dropout, Network
from fastnn._ranks import Exchange, fit

Array = npt.NDArray[Any]
BUCKET_BYTES = 512 << 10


class Done:
    """A sum that takes some looks."""

    def __init__(self, looks: int = 3) -> None:
        self.looks = looks

    def Test(self) -> bool:
        self.looks -= 1
        return self.looks <= 0


def alone(start_sum: Callable[[Array], Done]) -> Exchange:
    def start_gather(array: Array, places: list[Any]) -> Done:
        places[0].reshape(-1)[:] = array.reshape(-1)
        return Done()

    return Exchange(0, 1, start_sum, lambda array: Done(), start_gather)


def example() -> tuple[Network, Array, Array]:
    """Large layers and small ones, two of which have no weights, and one is not trained."""
    rng = np.random.default_rng(0)
    layers = [
        Dense(700, "relu"),
        Dropout(0.1),
        Dense(600, "relu"),
        Dense(30, "tanh", trainable=False),
        Dense(40, "tanh"),
        Dense(3, "softmax"),
    ]
    X = rng.standard_normal((300, 301)).astype(np.float32)
    return Network(layers, 301, seed=1), X, rng.integers(0, 3, 300)


def test_buckets_hold_all_that_is_trained_once_the_last_layers_first() -> None:
    net, X, y = example()
    buckets: list[Array] = []

    def note(array: Array) -> Done:
        if array.dtype == net.dtype:
            buckets.append(array)
        return Done()

    fit(alone(note), net, X, y, {"epochs": 1, "batch_size": None})
    block = buckets[0].base
    assert block is not None
    origin = block.__array_interface__["data"][0]
    parts = [((b.__array_interface__["data"][0] - origin) // 4, b.size) for b in buckets]
    covered = np.zeros(net.n_parameters, np.int64)
    for first, n in parts:
        covered[first : first + n] += 1
    sizes = [weights.size + bias.size for weights, bias in net.split(net.parameters)]
    ends = np.cumsum(sizes)
    expected = np.ones(net.n_parameters, np.int64)
    expected[ends[2] : ends[3]] = 0
    np.testing.assert_array_equal(covered, expected)
    of_layers = [int(np.searchsorted(ends, first, side="right")) for first, _ in parts]
    assert of_layers == sorted(of_layers, reverse=True)
    assert parts[0] == (ends[3], sizes[4] + sizes[5])  # two small ones together
    assert of_layers.count(2) >= 3  # a large one in parts
    assert all(n * 4 <= 2 * BUCKET_BYTES for _, n in parts)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_bucket_is_announced_whole_and_before_the_next_one_is_computed(threads: int) -> None:
    net, X, y = example()
    net = Network([layer for layer in net.layers if not isinstance(layer, Dropout)], 301, seed=1)
    expected = net.loss_and_gradients(X, y)[1]
    seen: list[Array] = []
    starts: list[int] = []

    def look(array: Array) -> Done:
        if array.dtype == net.dtype:
            assert array.base is not None
            block = array.base.view(net.dtype)
            first = array.__array_interface__["data"][0] - block.__array_interface__["data"][0]
            starts.append(first // 4)
            seen.append(array.copy())
            if len(starts) == 1 and threads == 1:  # else others are at the next one already
                block[: starts[0]] = np.nan  # of the layers before
            elif starts[-1] > 0 and threads == 1:
                assert np.isnan(block[: min(starts)]).all()
        return Done()

    fit(alone(look), net, X, y, {"epochs": 1, "batch_size": None, "threads": threads})
    assert len(seen) >= 4
    for first, gradient in zip(starts, seen, strict=True):
        np.testing.assert_array_equal(gradient, expected[first : first + gradient.size])


@pytest.mark.parametrize("threads", [1, 2])
def test_one_rank_trains_to_the_bits_of_fit(threads: int) -> None:
    """Shuffled, by weights, with penalties, clipping and a last mini-batch that is smaller."""
    (net, X, y), (same, _, _) = example(), example()
    options: dict[str, Any] = {
        "epochs": 4, "batch_size": 64, "clip_norm": 0.5, "l2": 0.1, "class_weight": {0: 2.0},
        "validation_split": None, "ema": 0.9, "learning_rate": lambda step: 1e-3 / (1 + step),
    }  # fmt: skip
    history = fit(alone(lambda array: Done()), net, X, y, options | {"threads": threads})
    assert history == same.fit(X, y, **options)
    assert net.parameters.tobytes() == same.parameters.tobytes()
    assert net.training == same.training


def test_a_diverged_network_goes_back_to_the_bits_of_the_last_good_step() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 20)).astype(np.float32)
    options: dict[str, Any] = {"epochs": 500, "batch_size": 50, "optimizer": "sgd",
                               "learning_rate": 3.0}  # fmt: skip

    def diverged(train: Callable[[Network], Any]) -> tuple[bytes, str, int]:
        net = Network([Dense(16, "linear"), Dense(1, "linear")], 20, seed=1)
        with pytest.raises(FloatingPointError) as caught:
            train(net)
        return net.parameters.tobytes(), str(caught.value), net._built()[1].n_updates

    sums = alone(lambda array: Done())
    assert diverged(lambda net: fit(sums, net, X, X[:, :1], options)) == diverged(
        lambda net: net.fit(X, X[:, :1], **options)
    )


def test_batch_norm_over_one_rank_is_batch_norm() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((250, 10)), rng.integers(0, 3, 250)
    layers = [BatchNorm(), Dense(150, "relu"), BatchNorm(), Dense(3, "softmax")]
    net, same = (Network(layers, 10, dtype="float64", seed=1) for _ in range(2))
    options: dict[str, Any] = {"epochs": 5, "batch_size": 100, "shuffle": False}
    fit(alone(lambda array: Done()), net, X, y, options)
    same.fit(X, y, **options)
    np.testing.assert_allclose(net.parameters, same.parameters, rtol=0, atol=1e-13)
    for ours, theirs in zip(net.running_statistics, same.running_statistics, strict=True):
        if ours is not None and theirs is not None:
            np.testing.assert_allclose(ours, theirs, rtol=1e-13)


def test_sums_that_fail_end_the_training_before_the_update() -> None:
    net, X, y = example()
    error, calls = ConnectionError("no route"), 0
    one_step = net.copy()
    fit(alone(lambda array: Done()), one_step, X[:100], y[:100], {"epochs": 1, "batch_size": 100})

    def fail(array: Array) -> Done:
        nonlocal calls
        calls += 1
        if calls > 8:
            raise error
        return Done()

    exchange = alone(fail)
    with pytest.raises(ConnectionError) as caught:
        fit(exchange, net, X, y, {"batch_size": 100, "shuffle": False})
    assert caught.value is error
    assert exchange.is_broken
    assert np.isfinite(net.parameters).all()
    net.fit(X, y, epochs=1)  # it is usable

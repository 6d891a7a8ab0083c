"""Training: right, the same to the bit however it is run, and safe to fail or to interrupt."""

import copy
import gc
import os
import pickle
import random
import re
import signal
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastnn
from fastnn import Dense, Network
from fastnn._core import kernels, training
from fastnn._files import read_model
from fastnn.optimizers import OPTIMIZERS
from fastnn.reference import vectorized as reference

Array = npt.NDArray[Any]

all_optimizers = pytest.mark.parametrize("optimizer", OPTIMIZERS)


def classes(
    n: int, n_features: int, n_classes: int, dtype: Any = np.float32
) -> tuple[Array, Array]:
    """Random samples and labels."""
    rng = np.random.default_rng(5)
    X = rng.standard_normal((n, n_features)).astype(dtype)
    return X, rng.integers(0, n_classes, n)


def bits(net: Network) -> bytes:
    """The parameters, to the bit."""
    return net.parameters.tobytes()


def saved(net: Network, folder: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """All that steps change, to the bit: parameters, slots, number of steps, random state."""
    net.save(folder / "model.safetensors")
    description, tensors = read_model(folder / "model.safetensors")
    del description["training"]  # how the steps were asked for
    return description, {name: array.tobytes() for name, array in tensors.items()}


def reference_of(net: Network) -> reference.Network:
    """The same network in NumPy, in float64."""
    return reference.Network(
        [weights.astype(np.float64) for weights in net.weights],
        [bias.astype(np.float64) for bias in net.biases],
        [layer.activation for layer in net.layers],
        net.loss.kernel(net.layers[-1].activation),
        net.loss.parameters,
    )


def fit_batches(net: Network, X: Array, y: Array, batches: Any, **options: Any) -> None:
    """One call of fit for each mini-batch."""
    for batch in batches:
        net.fit(X[batch], y[batch], epochs=1, batch_size=None, **options)


# ---- the right numbers -----------------------------------------------------------------------

HIDDEN = ["sigmoid", "tanh", "leaky_relu", "elu", "selu", "gelu", "silu", "mish", "softplus"]


def targets_for(output: str, loss: str, rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    if loss == "categorical_cross_entropy":
        return rng.integers(0, shape[1], shape[0])
    return rng.random(shape) if output == "sigmoid" else rng.standard_normal(shape)


@pytest.mark.parametrize(
    ("output", "loss"),
    [
        ("sigmoid", "binary_cross_entropy"),
        ("softmax", "categorical_cross_entropy"),
        ("linear", "mean_squared_error"),
        ("tanh", "mean_absolute_error"),
        ("gelu", "huber"),
        ("mish", "mean_squared_error"),
    ],
)
@pytest.mark.parametrize("n_samples", [1, 63, 64, 65, 200])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_loss_and_gradients_are_the_reference(
    dtype: type[Any], n_samples: int, output: str, loss: str
) -> None:
    rng = np.random.default_rng(n_samples)
    net = Network(
        [*(Dense(7 + i, name) for i, name in enumerate(HIDDEN)), Dense(4, output)],
        n_features=5, loss=loss, dtype=dtype, seed=1,
    )  # fmt: skip
    net.parameters[:] += 0.1 * rng.standard_normal(net.n_parameters)  # biases too
    X = rng.standard_normal((n_samples, 5)).astype(dtype)
    y = targets_for(output, loss, rng, (n_samples, 4))
    value, gradient = net.loss_and_gradients(X, y)
    expected, gradients = reference_of(net).loss_and_gradients(X, y)
    # 10 layers, each forth and back, of sums of at most 15 terms and a few roundings; over the
    # samples, a sum of n_samples terms.
    bound = (2 * 10 * 20 + n_samples) * float(np.finfo(dtype).eps)
    assert value == pytest.approx(expected, rel=bound, abs=bound)
    for found, wanted in zip(net.split(gradient), gradients, strict=True):
        for block, right in zip(found, wanted, strict=True):
            np.testing.assert_allclose(block, right, rtol=0, atol=bound * np.abs(right).max())


@pytest.mark.parametrize(
    ("output", "loss"),
    [("softmax", "categorical_cross_entropy"), ("gelu", "huber"), ("tanh", "mean_squared_error")],
)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("n_samples", [1, 30, 100])
def test_gradients_of_wide_layers_are_the_reference(
    n_samples: int, threads: int, output: str, loss: str
) -> None:
    """Of several panels each, the last one narrow; units are shared out for few samples."""
    rng = np.random.default_rng(n_samples)
    net = Network(
        [Dense(261, "silu"), Dense(195, "tanh"), Dense(133, output)],
        n_features=1030, loss=loss, dtype="float64", seed=1,
    )  # fmt: skip
    X = rng.standard_normal((n_samples, 1030))
    y = targets_for(output, loss, rng, (n_samples, 133))
    fastnn.set_num_threads(threads)
    try:
        value, gradient = net.loss_and_gradients(X, y)
    finally:
        fastnn.set_num_threads(None)
    expected, gradients = reference_of(net).loss_and_gradients(X, y)
    bound = 1e-12  # 3 layers, forth and back, of sums of at most 1,030 terms, whose signs vary
    assert value == pytest.approx(expected, rel=bound, abs=bound)
    for found, wanted in zip(net.split(gradient), gradients, strict=True):
        for block, right in zip(found, wanted, strict=True):
            np.testing.assert_allclose(block, right, rtol=0, atol=bound * np.abs(right).max())


@pytest.mark.parametrize("isa", kernels.supported_isas())
@pytest.mark.parametrize(("dtype", "bound"), [("float32", 1e-5), ("float64", 1e-13)])
def test_gradients_of_narrow_tiles_of_wide_layers_are_the_reference(
    dtype: str, bound: float, isa: str, run_script: Callable[..., str]
) -> None:
    """The last tile of a layer's weights has a few columns or rows, in several panels."""
    script = f"""
        import numpy as np

        from fastnn import Network
        from fastnn.reference import vectorized as reference

        rng = np.random.default_rng(1)
        for sizes in ([64, 300, 273, 2], [3, 268, 4], [40, 76, 259, 1], [128, 285, 320]):
            net = Network.from_sizes(sizes, "tanh", "linear", dtype="{dtype}", seed=1)
            X = rng.standard_normal((100, sizes[0])).astype(net.dtype)
            y = rng.standard_normal((100, sizes[-1])).astype(net.dtype)
            expected = reference.Network(
                [weights.astype(np.float64) for weights in net.weights],
                [bias.astype(np.float64) for bias in net.biases],
                ["tanh"] * (len(sizes) - 2) + ["linear"],
                net.loss.kernel(net.layers[-1].activation),
                net.loss.parameters,
            ).loss_and_gradients(X, y)[1]
            for found, wanted in zip(net.split(net.loss_and_gradients(X, y)[1]), expected):
                for block, right in zip(found, wanted):
                    error = np.abs(block - right).max() / np.abs(right).max()
                    assert error <= {bound}, (sizes, block.shape, error)
    """
    run_script(script, FASTNN_ISA=isa, FASTNN_GEMM="own")


@all_optimizers
@pytest.mark.parametrize(("dtype", "bound"), [(np.float32, 2e-4), (np.float64, 1e-12)])
def test_fit_is_the_reference(dtype: type[Any], bound: float, optimizer: str) -> None:
    """The bound is 8 steps of sums of at most 50 terms: 8 * 2 * 50 roundings, and for float32 a
    factor 2 since Adam and its kin divide by small roots of noisy numbers."""
    X, y = classes(100, 6, 3, dtype)
    net = Network.from_sizes([6, 50, 20, 3], "tanh", "softmax", dtype=dtype, seed=2)
    expected = reference_of(net)
    options = {"optimizer": optimizer, "learning_rate": 0.003}
    history = net.fit(X, y, epochs=2, batch_size=30, shuffle=False, **options)
    losses = expected.fit(X, y, epochs=2, batch_size=30, **options)
    np.testing.assert_allclose(history["loss"], losses, rtol=bound)
    for found, wanted in zip(net.weights + net.biases, expected.weights + expected.biases):  # noqa: B905
        np.testing.assert_allclose(found, wanted, rtol=0, atol=bound)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradient_of_a_batch_larger_than_the_slab_is_the_reference(dtype: type[Any]) -> None:
    # (4 + 3 * 301) numbers a sample: 2.2 slabs of 32 MiB in float32
    n = 20_000 * 4 // np.dtype(dtype).itemsize
    X, y = classes(n, 4, 2, dtype)
    net = Network.from_sizes([4, 300, 1], "relu", dtype=dtype, seed=3)
    value, gradient = net.loss_and_gradients(X, y)
    expected, gradients = reference_of(net).loss_and_gradients(X, y)
    bound = n * float(np.finfo(dtype).eps) / 4  # errors of n terms, of either sign
    assert value == pytest.approx(expected, rel=bound)
    for found, wanted in zip(net.split(gradient), gradients, strict=True):
        for block, right in zip(found, wanted, strict=True):
            np.testing.assert_allclose(block, right, rtol=0, atol=bound * np.abs(right).max())


def test_gradient_writes_nothing_around_its_block() -> None:
    X, y = classes(70, 9, 3)
    net = Network.from_sizes([9, 17, 3], output="softmax", seed=0)
    n = net.n_parameters
    memory = np.full(n + 64, 77, np.float32)
    training.loss_and_gradients(
        net._plan,
        net.parameters,
        net._state.running,
        X,
        y.astype(np.int32),
        memory[32 : 32 + n],
        2,
        0,
    )
    np.testing.assert_array_equal(memory[32 : 32 + n], net.loss_and_gradients(X, y)[1])
    assert (memory[:32] == 77).all()
    assert (memory[-32:] == 77).all()


def test_history_is_the_mean_loss_of_mini_batches_before_their_updates() -> None:
    X, y = classes(50, 4, 2)
    net = Network.from_sizes([4, 5, 1], seed=0)
    twin = net.copy()
    history = net.fit(X, y, epochs=1, batch_size=20, shuffle=False)
    total = 0.0
    for batch in (slice(0, 20), slice(20, 40), slice(40, 50)):
        total += twin.evaluate(X[batch], y[batch])["loss"] * len(X[batch])
        twin.fit(X[batch], y[batch], epochs=1, batch_size=None)
    assert history["loss"] == [pytest.approx(total / 50, rel=1e-6)]
    assert bits(net) == bits(twin)


def orders(seed: int, n: int, n_epochs: int) -> list[Array]:
    """Fisher and Yates with the second stream of the seed: what `fit` promises to repeat."""
    generator = np.random.PCG64(np.random.SeedSequence(seed).spawn(2)[1])
    result = []
    for _ in range(n_epochs):
        order = np.arange(n)
        for i in range(n - 1, 0, -1):
            mask = (1 << i.bit_length()) - 1
            while (j := generator.random_raw() & mask) > i:
                pass
            order[[i, j]] = order[[j, i]]
        result.append(order)
    return result


@pytest.mark.parametrize(("output", "n_outputs"), [("sigmoid", 1), ("softmax", 3)])
def test_each_epoch_takes_the_samples_in_a_new_order_of_the_seed(
    output: str, n_outputs: int
) -> None:
    X, y = classes(50, 4, max(2, n_outputs))
    net, twin = (Network.from_sizes([4, 5, n_outputs], output=output, seed=9) for _ in range(2))
    net.fit(X, y, epochs=3, batch_size=16)
    for order in orders(9, 50, 3):
        assert sorted(order) == list(range(50))
        fit_batches(twin, X, y, np.split(order, [16, 32, 48]))
    assert bits(net) == bits(twin)


def test_shuffled_rows_of_numbers_follow_their_samples() -> None:
    X, _ = classes(50, 4, 2)
    Y = np.random.default_rng(6).random((50, 3))
    for dtype in ("float32", "float64"):
        net, twin = (Network.from_sizes([4, 5, 3], seed=9, dtype=dtype) for _ in range(2))
        net.fit(X, Y, epochs=1, batch_size=16)
        fit_batches(twin, X, Y, np.split(orders(9, 50, 1)[0], [16, 32, 48]))
        assert bits(net) == bits(twin)


# ---- the same bits -----------------------------------------------------------------------------

CASES: dict[str, tuple[list[int], str, int, int | None, str]] = {
    # sizes, output, samples, batch size, dtype
    "one sample at a time": ([5, 3, 1], "sigmoid", 20, 1, "float32"),
    "remainder": ([20, 33, 17, 3], "softmax", 333, 100, "float32"),
    "remainder, float64": ([20, 33, 17, 3], "softmax", 333, 100, "float64"),
    "several tiles of weights": ([300, 200, 10], "softmax", 300, 130, "float32"),
    "units shared out": ([40, 1093, 1096, 1025], "softmax", 90, 30, "float32"),
    "units shared out, float64": ([300, 1093, 69, 3], "softmax", 90, 30, "float64"),
    "full batch": ([64, 100, 1], "sigmoid", 300, None, "float32"),
    "slabs": ([4, 300, 2], "softmax", 20_000, None, "float32"),
    "slabs, shuffled": ([4, 300, 2], "softmax", 20_000, 19_000, "float64"),
}


@pytest.mark.parametrize("case", CASES)
def test_bits_do_not_depend_on_threads(case: str) -> None:
    sizes, output, n, batch_size, dtype = CASES[case]
    X, y = classes(n, sizes[0], max(2, sizes[-1]))

    def train(threads: int) -> tuple[bytes, list[float]]:
        net = Network.from_sizes(sizes, output=output, dtype=dtype, seed=4)
        history = net.fit(X, y, epochs=2, batch_size=batch_size, threads=threads)
        return bits(net), history["loss"]

    first = train(1)
    for threads in (1, 2, 3, 8, 2):
        assert train(threads) == first


def test_float64_samples_are_converted_to_the_dtype_of_the_network() -> None:
    X, y = classes(200, 30, 3, np.float64)
    for shuffle, batch_size in [(True, 48), (False, 48), (False, None)]:
        nets = [Network.from_sizes([30, 20, 3], output="softmax", seed=0) for _ in range(2)]
        nets[0].fit(X, y, epochs=2, shuffle=shuffle, batch_size=batch_size)
        nets[1].fit(X.astype(np.float32), y, epochs=2, shuffle=shuffle, batch_size=batch_size)
        assert bits(nets[0]) == bits(nets[1])
        np.testing.assert_array_equal(
            nets[0].loss_and_gradients(X, y)[1],
            nets[0].loss_and_gradients(X.astype(np.float32), y)[1],
        )


def through_a_file(net: Network, folder: Path) -> Network:
    net.save(folder / "net.safetensors")
    return Network.load(folder / "net.safetensors")


WAYS: dict[str, Callable[[Network, Path], Network]] = {
    "the same object": lambda net, folder: net,
    "copy": lambda net, folder: net.copy(),
    "deepcopy": lambda net, folder: copy.deepcopy(net),
    "pickle": lambda net, folder: pickle.loads(pickle.dumps(net)),
    "file": through_a_file,
}


@all_optimizers
@pytest.mark.parametrize("way", WAYS)
def test_training_in_two_parts_is_training_in_one(way: str, optimizer: str, tmp_path: Path) -> None:
    X, y = classes(100, 8, 3)
    net = Network.from_sizes([8, 12, 3], output="softmax", seed=7)
    twin = net.copy()
    whole = net.fit(X, y, epochs=10, batch_size=32, optimizer=optimizer)
    first = twin.fit(X, y, epochs=5, batch_size=32, optimizer=optimizer)
    twin = WAYS[way](twin, tmp_path)
    second = twin.fit(X, y, epochs=5, batch_size=32, optimizer=optimizer)
    assert bits(net) == bits(twin)
    assert whole["loss"] == first["loss"] + second["loss"]


def test_a_second_fit_takes_the_buffers_of_the_first_and_no_more() -> None:
    """The first touch of new memory may take longer than a step. Other sizes get other buffers."""
    X, y = classes(64, 300, 3)
    net = Network.from_sizes([300, 500, 3], output="softmax", seed=0)
    parameters = net.parameters.nbytes

    def peak(net: Network, batch_size: int) -> int:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        net.fit(X, y, epochs=2, batch_size=batch_size)
        return tracemalloc.get_traced_memory()[1] - before

    tracemalloc.start()
    try:
        first, second, smaller, again = (peak(net, size) for size in (64, 64, 8, 64))
        copied = peak(net.copy(), 64)
    finally:
        tracemalloc.stop()
    assert first > 3 * parameters  # what undoes an update: parameters and two slots
    assert second < 0.1 * parameters
    assert smaller < again < first
    assert copied < 0.1 * parameters


def test_validation_between_epochs_changes_no_bit() -> None:
    X, y = classes(100, 8, 3)
    net = Network.from_sizes([8, 12, 3], output="softmax", seed=7)
    twin = net.copy()
    net.fit(X, y, epochs=4, batch_size=32)
    twin.fit(X, y, epochs=4, batch_size=32, validation_data=(X, y))
    assert bits(net) == bits(twin)


def test_global_random_states_are_left_alone() -> None:
    def states() -> tuple[Any, ...]:
        name, keys, *rest = np.random.get_state()  # noqa: NPY002 (the state under test)
        return random.getstate(), name, keys.tobytes(), *rest

    before = states()
    X, y = classes(100, 8, 2)
    for seed in (0, None):
        Network.from_sizes([8, 4, 1], seed=seed).fit(X, y, epochs=2, batch_size=16)
    assert states() == before


# ---- divergence --------------------------------------------------------------------------------


def step_of(error: pytest.ExceptionInfo[FloatingPointError]) -> int:
    found = re.search(r"\(step (\d+)\)", str(error.value))
    assert found is not None
    return int(found[1])


DIVERGENT: dict[str, tuple[str, str, float, float]] = {
    # hidden, output, scale of the inputs, learning rate
    "huge learning rate": ("relu", "linear", 1.0, 1e30),
    "largest learning rate": ("relu", "linear", 1.0, 3e38),
    "slow growth": ("linear", "linear", 1.0, 3.0),
    "classifier": ("relu", "softmax", 1.0, 1e25),
    "big inputs": ("relu", "linear", 1e15, 0.5),
}


@all_optimizers
@pytest.mark.parametrize("case", DIVERGENT)
@pytest.mark.parametrize("threads", [1, 2])
def test_divergence_leaves_the_parameters_before_the_named_step(
    threads: int, case: str, optimizer: str, tmp_path: Path
) -> None:
    hidden, output, scale, learning_rate = DIVERGENT[case]
    X, labels = classes(90, 6, 3)
    X *= np.float32(scale)
    y: Array = labels if output == "softmax" else np.float32(scale) * X[:, :3]
    net = Network.from_sizes([6, 16, 16, 3], hidden, output, seed=3)
    twin = net.copy()
    options: dict[str, Any] = {"optimizer": optimizer, "learning_rate": learning_rate}
    try:
        net.fit(X, y, epochs=100, batch_size=40, shuffle=False, threads=threads, **options)
    except FloatingPointError as error:
        message = str(error)
    else:  # divided by their size, gradients of any size give steps of the learning rate
        assert np.isfinite(net.parameters).all()
        assert optimizer not in ("sgd", "momentum", "nesterov")
        return
    found = re.search(r"epoch (\d+), mini-batch (\d+) \(step (\d+)\)", message)
    assert found is not None, message
    epoch, batch, step = map(int, found.groups())
    assert step == (epoch - 1) * 3 + batch
    batches = [slice(0, 40), slice(40, 80), slice(80, 90)]
    fit_batches(twin, X, y, [batches[i % 3] for i in range(step - 1)], **options)
    assert np.isfinite(net.parameters).all()
    assert bits(net) == bits(twin)
    if step > 1:  # else the twin has no optimiser yet
        assert saved(net, tmp_path) == saved(twin, tmp_path)
    with pytest.raises(FloatingPointError):  # and that very step is the bad one
        fit_batches(twin, X, y, [batches[(step - 1) % 3]], **options)


@pytest.mark.parametrize(
    ("dtype", "message"), [("float32", "an update gave"), ("float64", "the loss is inf")]
)
def test_divergence_in_the_middle_of_a_shuffled_epoch_leaves_the_last_good_step(
    dtype: str, message: str
) -> None:
    """Linear regression that grows by the same factor each step. The loss is a sum of squares in
    double: beyond the range of float64 before the updates are, of float32 after it."""
    X, _ = classes(40, 4, 2)
    y = X.sum(axis=1)
    net = Network([Dense(1)], n_features=4, dtype=dtype, seed=11)
    twin = net.copy()
    options: dict[str, Any] = {"optimizer": "sgd", "learning_rate": 1e4}
    with pytest.raises(FloatingPointError, match=message) as error:
        net.fit(X, y, epochs=50, batch_size=8, **options)
    step = step_of(error)
    assert step > 6  # in the second epoch at least
    assert step % 5 > 1
    steps = [batch for order in orders(11, 40, 50) for batch in np.split(order, 5)]
    fit_batches(twin, X, y, steps[: step - 1], **options)
    assert bits(net) == bits(twin)


def test_divergence_long_after_the_start_leaves_the_last_good_step() -> None:
    """Many portions of work after the start, so that only a part is repeated."""
    X, y = classes(1000, 50, 2)
    net = Network.from_sizes([50, 200, 1], "relu", "linear", seed=0)
    net.fit(X, y, epochs=40, batch_size=100)
    twin = net.copy()
    bad = X.copy()
    bad[900:] *= np.float32(1e30)  # the last mini-batch of each epoch
    with pytest.raises(FloatingPointError, match=r"mini-batch 10 \(step 410\)"):
        net.fit(bad, y, epochs=2, batch_size=100, shuffle=False)
    fit_batches(twin, X, y, [slice(i, i + 100) for i in range(0, 900, 100)])
    assert bits(net) == bits(twin)


# ---- interruption ------------------------------------------------------------------------------


class Interruption(Exception):
    """What the signal handler of a test raises."""


@contextmanager
def alarm(seconds: float, handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    """`handler` receives SIGALRM after `seconds`.

    Not while garbage is collected: what a handler raises in the middle of a weak reference's
    callback, of any package, is dropped by the interpreter.
    """
    before = signal.signal(signal.SIGALRM, handler)
    gc.collect()
    gc.disable()
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        gc.enable()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


BIG = Network.from_sizes([100, 1500, 1500, 1], seed=0)  # 4.7 million operations a sample, forward
LONG_CALLS: dict[str, Callable[[Array, Array], Any]] = {
    "fit": lambda X, y: BIG.fit(X, y, batch_size=None, epochs=1),
    "fit on one thread": lambda X, y: BIG.fit(X, y, batch_size=None, epochs=1, threads=1),
    "fit in mini-batches": lambda X, y: BIG.fit(X, y, batch_size=128, epochs=10_000),
    "predict": lambda X, y: BIG.predict(X),
    "evaluate": lambda X, y: BIG.evaluate(X, y),
    "loss_and_gradients": lambda X, y: BIG.loss_and_gradients(X, y),
    "validation": lambda X, y: BIG.fit(X[:100], y[:100], epochs=1, validation_data=(X, y)),
}


@pytest.mark.parametrize("call", LONG_CALLS)
def test_a_signal_handler_that_raises_ends_a_long_call_soon(call: str) -> None:
    X = np.ones((100_000, 100), np.float32)  # many seconds for every call
    y = np.zeros(len(X), np.int64)
    before = BIG.parameters.copy()
    error = Interruption("the very object")

    def handler(number: int, frame: FrameType | None) -> None:
        raise error

    try:
        start = time.monotonic()
        with alarm(0.4, handler), pytest.raises(Interruption) as raised:
            LONG_CALLS[call](X, y)
        assert time.monotonic() - start < 1.4  # the handler runs when the call lets it
        assert raised.value is error
        assert np.isfinite(BIG.parameters).all()
        if call in ("fit in mini-batches", "validation"):
            assert not np.array_equal(BIG.parameters, before)
        else:  # no mini-batch was finished
            np.testing.assert_array_equal(BIG.parameters, before)
        BIG.fit(X[:10], y[:10], epochs=1)
        assert BIG.predict(X[:10]).shape == (10,)
    finally:
        BIG.parameters[:] = before


def test_an_interrupted_fit_leaves_the_last_finished_step() -> None:
    X, y = classes(1000, 10, 2)
    net = Network.from_sizes([10, 20, 1], seed=0)
    twin = net.copy()

    def handler(number: int, frame: FrameType | None) -> None:
        raise Interruption

    with alarm(0.3, handler), pytest.raises(Interruption):
        net.fit(X, y, epochs=10**6, batch_size=300, shuffle=False, threads=2)
    state = net._state
    assert state is not None
    whole, part = divmod(state.n_updates, 4)
    assert whole > 0
    twin.fit(X, y, epochs=whole, batch_size=300, shuffle=False)
    fit_batches(twin, X, y, [slice(i, i + 300) for i in range(0, 300 * part, 300)])
    assert bits(net) == bits(twin)


def test_ctrl_c_raises_keyboard_interrupt() -> None:
    X, y = classes(1000, 10, 2)
    net = Network.from_sizes([10, 20, 1], seed=0)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, y, epochs=10**6)
    assert np.isfinite(net.parameters).all()
    net.fit(X, y, epochs=1)


def test_a_handler_that_does_not_raise_changes_no_bit() -> None:
    X, y = classes(20_000, 200, 2)
    net = Network.from_sizes([200, 300, 1], seed=0)
    twin = net.copy()
    net.fit(X, y, epochs=3, batch_size=None)
    rang: list[int] = []

    def handler(number: int, frame: FrameType | None) -> None:
        rang.append(number)

    with alarm(0.05, handler):
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.02)
        twin.fit(X, y, epochs=3, batch_size=None)
    assert rang
    assert bits(net) == bits(twin)


def test_signal_handlers_are_never_touched() -> None:
    def handlers() -> list[Any]:
        return [signal.getsignal(number) for number in sorted(signal.valid_signals())]

    during: list[list[Any]] = []

    def handler(number: int, frame: FrameType | None) -> None:
        during.append(handlers())

    X, y = classes(20_000, 200, 2)
    net = Network.from_sizes([200, 300, 1], seed=0)
    with alarm(0.05, handler):
        before = handlers()
        net.fit(X, y, epochs=20, batch_size=None, threads=2)  # half a second or more
        assert handlers() == before
    assert during == [before]


def test_signals_at_any_moment_leave_the_network_usable(run_script: Callable[..., str]) -> None:
    """Short calls, so that many signals come between the steps, where Python code runs."""
    run_script("""
        import faulthandler
        import random
        import signal
        import time

        import numpy as np

        from fastnn import Network

        class Interruption(Exception):
            pass

        def handler(number, frame):
            raise Interruption

        faulthandler.dump_traceback_later(10, exit=True)  # the hang that must not be
        signal.signal(signal.SIGALRM, handler)
        randomness = random.Random(0)
        rng = np.random.default_rng(0)
        X, y = rng.standard_normal((32, 4)).astype(np.float32), rng.integers(0, 2, 32)
        net = Network.from_sizes([4, 3, 1], seed=0)
        end = time.monotonic() + 2.5
        interrupted = 0
        while time.monotonic() < end:
            try:
                signal.setitimer(signal.ITIMER_REAL, randomness.uniform(2e-5, 4e-4))
                try:
                    net.fit(X, y, epochs=1)
                    net.predict(X)
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
                    time.sleep(0)  # Python may run the handler of the last signal as late as here
            except Interruption:
                interrupted += 1
            net.fit(X, y, epochs=1)
            assert net.predict(X).shape == (32,)
        assert interrupted > 50, interrupted
        assert np.isfinite(net.parameters).all()
    """)


def test_a_handler_may_use_the_network_that_is_being_trained(
    run_script: Callable[..., str],
) -> None:
    """It gets an answer or a refusal, not a wait for the call that it has stopped."""
    run_script("""
        import faulthandler
        import signal

        import numpy as np

        from fastnn import Network

        faulthandler.dump_traceback_later(10, exit=True)
        X, y = np.ones((20_000, 200), np.float32), np.zeros(20_000, np.int64)
        net = Network.from_sizes([200, 600, 1], seed=0)
        answers = []

        def handler(number, frame):
            try:
                answers.append(net.predict_proba(X[:3]))
            except RuntimeError as error:
                answers.append(error)

        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        net.fit(X, y, epochs=30, batch_size=None)  # a second or more
        assert len(answers) == 1
        assert isinstance(answers[0], RuntimeError) or np.isfinite(answers[0]).all()
    """)


@pytest.mark.parametrize("memory", ["array", "memmap"])
def test_labels_changed_by_another_thread_are_never_used_as_an_index(
    memory: str, run_script: Callable[..., str]
) -> None:
    """They are copied when they are checked: a call goes by the labels that it began with."""
    run_script(f"""
        import tempfile
        import threading

        import numpy as np

        from fastnn import Network

        rng = np.random.default_rng(0)
        X = rng.standard_normal((20_000, 20)).astype(np.float32)
        labels = rng.integers(0, 5, len(X))
        y = labels.copy()
        if "{memory}" == "memmap":
            y = np.memmap(tempfile.TemporaryFile(), labels.dtype, "w+", shape=labels.shape)
            y[:] = labels
        net, same = (Network.from_sizes([20, 30, 5], output="softmax", seed=0) for _ in "ab")
        expected = same.fit(X, labels, epochs=30)["loss"]

        def write():
            y[:] = 2**40 + 7

        other = threading.Timer(0.05, write)
        other.start()
        assert net.fit(X, y, epochs=30)["loss"] == expected
        other.join()
        assert (y == 2**40 + 7).all(), "fit was over before the labels changed"
    """)


# ---- the caller's floating-point state -----------------------------------------------------------


def denormals_work() -> bool:
    return bool(np.float32(1e-45) * np.float32(1) != 0 and np.float64(5e-324) * np.float64(1) != 0)


def test_denormals_work_after_every_call() -> None:
    X, y = classes(300, 20, 2)
    net = Network.from_sizes([20, 30, 1], seed=0)
    calls: list[Callable[[], Any]] = [
        lambda: net.fit(X, y, threads=1),
        lambda: net.fit(X, y, threads=2),
        lambda: net.predict(X),
        lambda: net.evaluate(X, y),
        lambda: net.loss_and_gradients(X, y),
    ]
    for call in calls:
        call()
        assert denormals_work()
    with pytest.raises(FloatingPointError):
        net.fit(X * np.float32(1e30), y * 1e30 / 1e30, learning_rate=1e30, optimizer="sgd")
    assert denormals_work()


@pytest.mark.parametrize("threads", [1, 2])
def test_denormals_work_in_a_signal_handler_in_the_middle_of_a_step(threads: int) -> None:
    X, y = np.ones((30_000, 200), np.float32), np.zeros(30_000, np.int64)
    net = Network.from_sizes([200, 600, 1], seed=0)
    worked: list[bool] = []

    def handler(number: int, frame: FrameType | None) -> None:
        worked.append(denormals_work())

    def failing_handler(number: int, frame: FrameType | None) -> None:
        handler(number, frame)
        raise Interruption

    with alarm(0.1, handler):
        net.fit(X, y, epochs=4, batch_size=None, threads=threads)
    assert denormals_work()
    with alarm(0.1, failing_handler), pytest.raises(Interruption):
        net.fit(X, y, epochs=100, batch_size=None, threads=threads)
    assert denormals_work()
    assert worked == [True, True]


def test_denormals_count_as_zero_in_training_on_every_thread() -> None:
    """Which is what makes them cheap; see DENORMAL_FACTOR."""
    X, y = np.full((256, 8), 1e-40, np.float32), np.zeros((256, 1))
    for threads in (1, 2, 3):
        net = Network([Dense(1)], n_features=8, seed=0)
        net.weights[0][:] = 1e38
        net.fit(
            X, y, epochs=1, batch_size=None, optimizer="sgd", learning_rate=1.0, threads=threads
        )
        np.testing.assert_array_equal(net.biases[0], 0)


# The promise is 3; the machine may be busy with other things while the test measures.
DENORMAL_FACTOR = 6


def test_denormal_numbers_do_not_cost_much() -> None:
    def seconds(X: Array, scale: float) -> float:
        net = Network.from_sizes([256, 256, 1], "leaky_relu", seed=0)
        net.parameters[:] *= np.float32(scale)
        y = np.zeros(len(X), np.int64)
        times = []
        for _ in range(3):
            start = time.perf_counter()
            net.fit(X, y, epochs=2, optimizer="sgd", learning_rate=1.2e-38, threads=1)
            net.predict(X)
            times.append(time.perf_counter() - start)
        return min(times)

    X = np.random.default_rng(0).standard_normal((2000, 256)).astype(np.float32)
    ordinary = seconds(X, 1.0)
    for inputs, scale in [(X * np.float32(1e-39), 1.0), (X, 1e-38), (X * np.float32(1e-20), 1e-20)]:
        assert seconds(inputs, scale) < DENORMAL_FACTOR * ordinary


# ---- other threads -------------------------------------------------------------------------------


def test_other_python_threads_run_during_a_long_step() -> None:
    X, y = np.ones((40_000, 200), np.float32), np.zeros(40_000, np.int64)
    net = Network.from_sizes([200, 600, 1], seed=0)
    slots: list[float] = []
    done = threading.Event()

    def tick() -> None:
        while not done.wait(0.002):
            slots.append(time.perf_counter())

    ticking = threading.Thread(target=tick)
    ticking.start()
    start = time.perf_counter()
    net.fit(X, y, epochs=1, batch_size=None)
    end = time.perf_counter()
    done.set()
    ticking.join()
    inside = [start, *(t for t in slots if start < t < end), end]
    assert np.diff(inside).max() < 0.5 * (end - start)


def test_predict_and_fit_at_the_same_time_both_get_on() -> None:
    X, y = classes(500, 20, 2)
    net = Network.from_sizes([20, 30, 1], seed=0)
    twin = net.copy()
    outputs: list[Array] = []
    done = threading.Event()
    end = time.monotonic() + 5  # the readers give up then, so that a failure ends

    def predict() -> None:
        while not done.is_set() and time.monotonic() < end:
            outputs.append(net.predict_proba(X))

    predicting = [threading.Thread(target=predict) for _ in range(3)]
    for thread in predicting:
        thread.start()
    net.fit(X, y, epochs=100, batch_size=50)  # some 0.1 s alone
    in_time = time.monotonic() < end
    done.set()
    for thread in predicting:
        thread.join()
    assert in_time, "fit waited for ever new readers"
    assert len(outputs) > 3
    assert all(np.isfinite(output).all() for output in outputs)
    twin.fit(X, y, epochs=100, batch_size=50)
    assert bits(net) == bits(twin)
    np.testing.assert_array_equal(net.predict_proba(X), twin.predict_proba(X))


def test_predict_during_fit_sees_whole_steps_only() -> None:
    """All weights are equal after every step, so outputs of unequal weights would show."""
    X, y = np.ones((64, 50), np.float32), np.ones(64)
    net = Network([Dense(400), Dense(1)], n_features=50, seed=0)
    net.parameters[:] = 0.01
    done = threading.Event()
    uneven: list[Array] = []

    def watch() -> None:
        while not done.wait(0.001):
            hidden = net.forward(X[:1])[0]
            if np.ptp(hidden) > 0:
                uneven.append(hidden)

    watching = threading.Thread(target=watch)
    watching.start()
    net.fit(X, y, epochs=3000, batch_size=64, optimizer="sgd", learning_rate=1e-5, threads=2)
    done.set()
    watching.join()
    assert uneven == []


def test_a_second_fit_at_the_same_time_is_refused() -> None:
    X, y = classes(1000, 10, 2)
    net = Network.from_sizes([10, 20, 1], seed=0)
    twin = net.copy()
    refused: list[str] = []

    def second() -> None:
        time.sleep(0.1)
        for call in (net.fit, net.partial_fit):
            try:
                call(X, y)
            except RuntimeError as error:
                refused.append(str(error))

    thread = threading.Thread(target=second)
    thread.start()
    epochs = 0
    while thread.is_alive():
        net.fit(X, y, epochs=400)
        epochs += 400
    thread.join()
    twin.fit(X, y, epochs=epochs)
    assert len(refused) == 2
    assert "being trained by another call" in refused[0]
    assert bits(net) == bits(twin)


# ---- memory --------------------------------------------------------------------------------------

MEMORY_SCRIPT = """
    import os
    import resource
    import sys

    import numpy as np

    from fastnn import Network
    from fastnn._core import gemm

    SIZES = [200, 1000, 500, 1]
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((1500, 200)), rng.integers(0, 2, 1500)
    net = Network.from_sizes(SIZES, seed=0)

    def train(net):
        net.fit(X, y, epochs=1, batch_size=700, threads=3)

    def attempt(extra):
        "Exit status: 10 after a MemoryError, 11 if there was enough; anything else is a failure."
        before = net.parameters.tobytes()
        limits = resource.getrlimit(resource.RLIMIT_AS)
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + extra, limits[1]))
        failed = False
        try:
            train(net)
        except MemoryError:
            failed = True
        finally:
            resource.setrlimit(resource.RLIMIT_AS, limits)
        if failed:
            assert net.parameters.tobytes() == before, "changed"
            train(net)
        twin = Network.from_sizes(SIZES, seed=0)
        train(twin)
        assert net.parameters.tobytes() == twin.parameters.tobytes(), "other bits"
        return 10 if failed else 11

    def attempt_in_child(extra):
        child = os.fork()
        if child == 0:
            status = 2
            try:
                status = attempt(extra)
            except BaseException as error:
                print(extra, type(error).__name__, error)
            finally:
                sys.stdout.flush()
                os._exit(status)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    for extra in EXTRAS:
        print("status", attempt_in_child(extra))
"""


def exit_statuses(printed: str) -> list[int]:
    """Those of the children of MEMORY_SCRIPT, which checks the bits, one for each limit. None is 1,
    with which OpenBLAS ends the process."""
    return [int(line.split()[1]) for line in printed.splitlines() if line.startswith("status")]


def test_memory_exhausted_before_the_first_call_is_a_memory_error(
    run_script: Callable[..., str],
) -> None:
    """The BLAS has yet to be loaded, and to make its buffers."""
    script = MEMORY_SCRIPT.replace("EXTRAS", "[i << 20 for i in [*range(0, 260, 4), 600]]")
    printed = run_script(script, FASTNN_GEMM="blas")
    assert len(exit_statuses(printed)) == 66
    assert set(exit_statuses(printed)) == {10, 11}, printed


def test_memory_exhausted_with_the_blas_ready_is_a_memory_error(
    run_script: Callable[..., str],
) -> None:
    """What is missing is the buffers of the training, some 25 MB, and the team. With one arena the
    C library has no reserves of address space for them."""
    script = MEMORY_SCRIPT.replace("for extra", "gemm.load(3)\n    for extra", 1)
    script = script.replace("EXTRAS", "[i << 20 for i in [*range(0, 48, 3), 200]]")
    printed = run_script(script, MALLOC_ARENA_MAX="1", FASTNN_GEMM="blas")
    assert len(exit_statuses(printed)) == 17
    assert set(exit_statuses(printed)) == {10, 11}, printed


def test_memory_exhausted_with_all_buffers_freed_before_changes_no_bit(
    run_script: Callable[..., str],
) -> None:
    """There is memory for the buffers, but a worker can hardly get any for itself."""
    script = MEMORY_SCRIPT.replace(
        "for extra", "train(Network.from_sizes(SIZES, seed=1))\n    for extra", 1
    )
    script = script.replace("EXTRAS", "[i << 18 for i in range(0, 24, 2)]")
    printed = run_script(script)
    assert len(exit_statuses(printed)) == 12
    assert set(exit_statuses(printed)) <= {10, 11}, printed


def test_too_many_parameters_is_a_memory_error() -> None:
    with pytest.raises(MemoryError):
        Network.from_sizes([2**31 - 1, 2**31 - 1, 1], seed=0)

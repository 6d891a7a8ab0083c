"""Code of the user's that runs in the middle of training, and what it writes to the network."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fastnn import Network
from fastnn._core.training import Trainer
from fastnn.optimizers import OPTIMIZERS, get_optimizer

Array = npt.NDArray[Any]


@contextmanager
def alarm(seconds: float, handler: Callable[[], Any]) -> Iterator[None]:
    """`handler` runs in this thread, the main one, after `seconds`."""
    before = signal.signal(signal.SIGALRM, lambda *_: handler())
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# ---- what a user writes is not undone ------------------------------------------------------------

# The copy of a network of this size takes so long that it is not made again for half a second.
SIZES = [1000, 1000, 1]


@pytest.mark.parametrize("batch_size", [8, None], ids=["between steps", "in the middle of one"])
def test_what_a_signal_handler_wrote_to_a_view_survives_a_divergence(
    batch_size: int | None,
) -> None:
    """The state to go back to is the one before the mini-batch that failed."""
    n = 8 if batch_size else 60_000
    X, y = np.ones((n, SIZES[0]), np.float32), np.ones((n, 1), np.float32)
    net = Network.from_sizes(SIZES, output="linear", seed=0)
    bias = net.biases[0]
    written: list[Array] = []

    def handler() -> None:
        bias[:] = 1000.0 + np.arange(len(bias))
        X[:] = 1e20  # the loss of the next step is finite, its gradient is not
        written.append(net.parameters.copy())

    with alarm(0.2, handler), pytest.raises(FloatingPointError, match="an update gave"):
        net.fit(X, y, epochs=1_000_000, batch_size=batch_size, optimizer="sgd", learning_rate=1e-9)
    assert len(written) == 1
    np.testing.assert_array_equal(net.parameters, written[0])  # no step was finished since


def test_what_another_thread_wrote_to_a_view_survives_a_divergence() -> None:
    """The good steps since are repeated from there, to the bit."""
    X, y = np.ones((8, 1000), np.float32), np.zeros((8, 1000), np.float32)
    net = Network.from_sizes([1000, 1000], output="linear", seed=0)
    options: dict[str, Any] = {"batch_size": None, "optimizer": "sgd"}
    net.fit(X, y, epochs=1, learning_rate=1e-9, **options)
    options["learning_rate"] = 1.035  # the error grows by 7 % a step: 38 decades in half a second
    from_here: list[Any] = []

    def write() -> None:
        with net._access.reading():  # between two portions
            net.biases[0][::2] += 1000
            from_here.append((net.copy(), saved_steps(net)))

    other = threading.Timer(0.1, write)
    other.start()
    with pytest.raises(FloatingPointError, match="an update gave"):
        net.fit(X, y, epochs=1_000_000, **options)
    other.join()
    twin, n_before = from_here[0]
    assert saved_steps(net) - n_before > 10
    twin.fit(X, y, epochs=saved_steps(net) - n_before, **options)
    np.testing.assert_array_equal(net.parameters, twin.parameters)


def test_what_a_user_writes_between_portions_counts_forward_and_backward() -> None:
    """Backward goes by transposed copies of the weights."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((2000, 50)), rng.integers(0, 10, 2000)
    net = Network.from_sizes([50, 60, 40, 10], "tanh", "softmax", seed=0)
    options: dict[str, Any] = {"batch_size": None, "optimizer": "sgd", "learning_rate": 0.1}
    n_epochs = 1500
    from_here: list[Any] = []

    def write() -> None:
        with net._access.reading():  # between two portions
            net.weights[1][:] *= 1.5
            net.weights[2][::2] = 0
            from_here.append((net.copy(), saved_steps(net)))

    other = threading.Timer(0.15, write)
    other.start()
    net.fit(X, y, epochs=n_epochs, **options)
    other.join()
    twin, n_before = from_here[0]
    assert 0 < n_before < n_epochs
    twin.fit(X, y, epochs=n_epochs - n_before, **options)
    np.testing.assert_array_equal(net.parameters, twin.parameters)


def saved_steps(net: Network) -> int:
    return net._built()[1].n_updates


def test_data_changed_in_mid_fit_leave_finite_parameters_when_a_step_is_undone() -> None:
    """The steps since the last copy cannot be repeated then: training goes back further."""
    X, y = np.ones((8, SIZES[0]), np.float32), np.ones((8, 1), np.float32)
    net = Network.from_sizes(SIZES, output="linear", seed=0)

    def change() -> None:
        X[0, 0] = 1e25  # the loss of the next step is finite, its gradient is not

    other = threading.Timer(0.2, change)
    other.start()
    with pytest.raises(FloatingPointError, match="an update gave"):
        net.fit(X, y, epochs=1_000_000, optimizer="sgd", learning_rate=1e-12)
    other.join()
    assert np.isfinite(net.parameters).all()
    assert (np.abs(net.parameters) < 10).all()


# ---- the hook between backward and update --------------------------------------------------------


def train(net: Network, X: Array, y: Array, hook: Any, threads: int = 1, **options: Any) -> None:
    """All epochs, with `hook` between backward and update."""
    plan, state = net._built()
    block = state.parameters
    optimizer = get_optimizer(options.pop("optimizer", "sgd"), options.pop("learning_rate", 0.1))
    options = {"batch_size": len(X), "n_epochs": 1, "bit_generator": None} | options
    trainer = Trainer(
        plan, block, state.running, X, y, options["batch_size"], options["n_epochs"], threads,
        optimizer=optimizer.name, hyperparameters=optimizer.hyperparameters,
        learning_rate=optimizer.learning_rate,
        slots=np.zeros((optimizer.n_slots, block.size), block.dtype), n_updates=0,
        bit_generator=options["bit_generator"], gradient_hook=hook,
    )  # fmt: skip
    while trainer.epoch < options["n_epochs"]:
        trainer.advance(options["n_epochs"])


def example(dtype: str = "float32") -> tuple[Network, Array, Array]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 301)).astype(dtype)
    y = rng.integers(0, 11, len(X), dtype=np.int32)
    sizes = [301, 203, 11]  # several tiles of weights
    return Network.from_sizes(sizes, "tanh", "softmax", dtype=dtype, seed=1), X, y


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_hook_sees_the_whole_gradient_the_last_layer_first(threads: int) -> None:
    net, X, y = example()
    expected = net.split(net.loss_and_gradients(X, y)[1])
    seen: list[tuple[int, Array]] = []
    train(net, X, y, lambda layer, g: seen.append((layer, g.copy())), threads)
    assert [layer for layer, _ in seen] == [1, 0]
    for layer, gradient in seen:
        weights, bias = expected[layer]
        np.testing.assert_array_equal(gradient, np.concatenate([weights.ravel(), bias]))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_hook_that_only_looks_changes_no_bit(optimizer: str) -> None:
    (net, X, y), (same, _, _) = example(), example()
    options = {"batch_size": 64, "n_epochs": 3, "optimizer": optimizer, "learning_rate": 1e-3}
    train(net, X, y, lambda layer, g: None, **options)
    train(same, X, y, None, **options)
    np.testing.assert_array_equal(net.parameters, same.parameters)


def test_the_update_goes_by_what_the_hook_wrote() -> None:
    net, X, y = example()
    before = net.parameters.copy()

    def halve_the_last_layer(layer: int, gradient: Array) -> None:
        gradient *= 0.5 if layer == 1 else 0.0

    gradient = net.loss_and_gradients(X, y)[1]
    train(net, X, y, halve_the_last_layer)
    first = 301 * 203 + 203
    np.testing.assert_array_equal(net.parameters[:first], before[:first])
    expected = before[first:] - np.float32(0.1) * (np.float32(0.5) * gradient[first:])
    np.testing.assert_array_equal(net.parameters[first:], expected)


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_in_the_hook_ends_training_before_the_update(threads: int) -> None:
    net, X, y = example()
    error, calls = KeyError("the very object"), 0
    after_one_step = net.copy()
    train(after_one_step, X[:100], y[:100], None)

    def hook(layer: int, gradient: Array) -> None:
        nonlocal calls
        calls += 1
        if calls == 4:  # the first layer of the second step
            raise error

    with pytest.raises(KeyError) as raised:
        train(net, X, y, hook, threads, batch_size=100)
    assert raised.value is error
    np.testing.assert_array_equal(net.parameters, after_one_step.parameters)


def test_hook_is_not_called_again_when_a_step_is_undone() -> None:
    net, X, y = example()
    calls: list[int] = []

    def hook(layer: int, gradient: Array) -> None:
        calls.append(layer)
        if len(calls) == 6:  # the third step
            gradient[:] = np.inf

    expected = net.copy()
    train(expected, X[:200], y[:200], None, batch_size=100)
    with pytest.raises(FloatingPointError, match=r"mini-batch 3 \(step 3\)"):
        train(net, X, y, hook, batch_size=100)
    assert len(calls) == 6
    np.testing.assert_array_equal(net.parameters, expected.parameters)


# ---- readers ------------------------------------------------------------------------------------


def test_a_reader_waits_for_a_step_not_for_a_portion() -> None:
    """`bench/waiting.py` measures how long; here a busy machine may take ten times that."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2000, 20)).astype(np.float32)
    net = Network.from_sizes([20, 64, 2], output="softmax", seed=0)
    stop = threading.Event()

    def train() -> None:
        while not stop.is_set():
            net.fit(X, np.zeros(len(X)), epochs=200, batch_size=32)

    training = threading.Thread(target=train)
    training.start()
    try:
        time.sleep(0.2)
        waits = []
        for _ in range(40):
            start = time.perf_counter()
            net.predict(X[:1])
            waits.append(time.perf_counter() - start)
            time.sleep(0.01)
        assert np.median(waits) < 0.02
    finally:
        stop.set()
        training.join()


def test_a_handler_may_join_the_training_thread_while_a_prediction_waits(
    run_script: Callable[..., str],
) -> None:
    """The writer does not wait for a reader whose handler does not come back."""
    run_script("""
        import faulthandler
        import signal
        import threading

        import numpy as np

        from fastnn import Network

        faulthandler.dump_traceback_later(40, exit=True)
        net = Network.from_sizes([100, 500, 1], seed=0)
        X, y = np.ones((20_000, 100), np.float32), np.zeros(20_000)
        training = threading.Thread(target=lambda: net.fit(X, y, epochs=10, batch_size=512))
        joined = []

        def handler(number, frame):
            training.join()
            joined.append(True)

        signal.signal(signal.SIGALRM, handler)
        training.start()
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        while not joined:
            assert net.predict(X[:1]).shape == (1,)
    """)


def test_a_handler_may_call_the_predictor_that_waits(run_script: Callable[..., str]) -> None:
    """Each of the two calls answers for its own input, into its own output."""
    run_script("""
        import signal
        import threading
        import time

        import numpy as np

        from fastnn import Network

        sizes = [300, 300, 64]
        net = Network.from_sizes(sizes, "tanh", "tanh", loss="mse", seed=0)
        X, y = np.ones((64, 300), np.float32), np.zeros((64, 64), np.float32)
        predict = net.predictor()
        stop = threading.Event()

        def train():
            while not stop.is_set():
                net.fit(X, y, epochs=50, batch_size=8, optimizer="sgd", learning_rate=1e-30)

        def handler(number, frame):
            inner[:] = 7
            predict(ones, inner)

        ones, zeros = np.ones(300, np.float32), np.zeros(300, np.float32)
        inner, outer = np.empty(64, np.float32), np.empty(64, np.float32)
        expected = net.predict_proba(np.stack([ones, zeros]))
        signal.signal(signal.SIGALRM, handler)
        training = threading.Thread(target=train)
        training.start()
        try:
            for _ in range(60):
                outer[:] = 7
                signal.setitimer(signal.ITIMER_REAL, 3e-4)
                predict(zeros, outer)
                signal.setitimer(signal.ITIMER_REAL, 0)
                time.sleep(1e-3)
                np.testing.assert_allclose(outer, expected[1], atol=1e-6)
            np.testing.assert_allclose(inner, expected[0], atol=1e-6)
        finally:
            stop.set()
            training.join()
    """)


def test_the_first_view_may_be_taken_in_the_middle_of_a_step() -> None:
    """What is written through it survives a divergence like any other."""
    X, y = np.ones((60_000, SIZES[0]), np.float32), np.ones((60_000, 1), np.float32)
    net = Network.from_sizes(SIZES, output="linear", seed=0)
    biases: list[Array] = []

    def handler() -> None:
        biases.append(net.biases[0])
        biases[0][:] = 123
        X[:] = 1e20

    with alarm(0.2, handler), pytest.raises(FloatingPointError, match="an update gave"):
        net.fit(X, y, epochs=100, batch_size=None, optimizer="sgd", learning_rate=1e-9)
    assert (biases[0] == 123).all()


def test_a_child_that_another_thread_forked_in_mid_step_does_not_use_half_an_update(
    run_script: Callable[..., str],
) -> None:
    """All parameters of this network move alike: whole steps leave them equal."""
    run_script("""
        import os
        import threading
        import time

        import numpy as np

        from fastnn import Dense, Network

        net = Network([Dense(1500, "linear", "zeros")], n_features=1500, loss="mse", seed=0)
        X, y = np.ones((64, 1500), np.float32), np.full((64, 1500), 1e6, np.float32)

        def train():
            net.fit(X, y, epochs=3000, batch_size=8, optimizer="adam", learning_rate=1e-4,
                    shuffle=False)

        def look():
            "Exit status of the child: 0 refused, 1 whole, 2 torn."
            try:
                copy = net.copy()
            except RuntimeError as error:
                return 0 if "forked while another thread" in str(error) else 3
            return 2 if np.ptp(copy.parameters) > 5e-5 else 1

        threading.Thread(target=train, daemon=True).start()
        time.sleep(0.3)
        statuses = []
        for _ in range(15):
            child = os.fork()
            if child == 0:
                os._exit(look())
            statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        assert set(statuses) <= {0, 1}, statuses
        assert 0 in statuses, statuses
        os._exit(0)
    """)

"""Many threads at once in one process: without a GIL all of this runs at the same time."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastnn
from fastnn import BatchNorm, Dense, Network
from fastnn.many import fit_each

SECONDS = 60.0  # after which threads that should have come through count as stuck
STRESS_SECONDS = 1.5

Array = npt.NDArray[Any]


@pytest.fixture(autouse=True)
def _short_turns() -> Iterator[None]:
    """With a GIL, threads interrupt each other as often as possible."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def run_together(*functions: Callable[[], object]) -> None:
    """Each in a thread of its own, all beginning at the same time; raises what one of them has."""
    barrier = threading.Barrier(len(functions))
    errors: list[BaseException] = []

    def run(function: Callable[[], object]) -> None:
        try:
            barrier.wait(SECONDS)
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(each,), daemon=True) for each in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert not any(thread.is_alive() for thread in threads)
    if errors:
        raise errors[0]


@contextmanager
def may_be_refused(text: str) -> Iterator[None]:
    """Passes over a `RuntimeError` that says this."""
    try:
        yield
    except RuntimeError as error:
        if text not in str(error):
            raise


def samples(n: int, n_features: int = 6, dtype: str = "float32") -> tuple[Array, Array]:
    random = np.random.default_rng(0)
    X = random.normal(size=(n, n_features)).astype(dtype)
    return X, (X.sum(axis=1) > 0).astype(int)


def test_all_that_a_network_does_at_once(tmp_path: Path) -> None:
    X, y = samples(256)
    same = np.repeat(X[:1], 64, axis=0)
    net = Network([Dense(16, "tanh"), Dense(2, "softmax")], n_features=6, seed=0)
    net.fit(X, y, epochs=1)
    ends = time.monotonic() + STRESS_SECONDS
    done: dict[str, int] = {}

    def repeat(name: str, function: Callable[[], object]) -> None:
        done[name] = 0
        while time.monotonic() < ends or done[name] == 0:
            function()
            done[name] += 1

    def predict() -> None:
        output = net.predict_proba(same)
        assert (output == output[0]).all()  # one set of weights has made all rows

    many = np.repeat(same, 2000, axis=0)

    def predict_many() -> None:
        output = net.predict_proba(many, threads=2)
        assert (output == output[0]).all()

    predictor = net.predictor(64)
    out = np.empty((64, 2), np.float32)

    def call_predictor() -> None:
        predictor(same, out)
        assert (out == out[0]).all()

    def train() -> None:
        with may_be_refused("is being trained"):
            net.fit(X, y, epochs=2, batch_size=32)

    def change() -> None:
        with may_be_refused("is being trained"):
            net.set_parameters(biases=[np.zeros(16), np.zeros(2)])

    def save_and_load() -> None:
        path = tmp_path / f"{threading.get_ident()}.fastnn"
        net.save(path)
        assert Network.load(path).predict_proba(same).shape == (64, 2)

    def read_history() -> None:
        history = net.history
        assert len({len(values) for values in history.values()}) == 1
        assert len(history["loss"]) <= 2

    def look() -> None:
        assert net.training is not None
        assert np.isfinite(net.weights[0]).all()
        assert net.evaluate(X, y)["loss"] > 0
        assert len(net.statistics(X)) == 2

    def make_and_drop() -> None:
        other = Network([Dense(4, "relu"), BatchNorm(), Dense(1, "sigmoid")], seed=1)
        other.fit(X, y, epochs=1, batch_size=64)
        assert other.copy().n_parameters == other.n_parameters

    threads = iter([1, 2, None] * 1_000_000)

    def choose_threads() -> None:
        fastnn.set_num_threads(next(threads))
        assert 1 <= fastnn.get_num_threads() <= 256

    calls = [
        predict, predict, predict_many, predict_many, call_predictor, train, train, change,
        save_and_load, read_history, look, make_and_drop, make_and_drop, choose_threads,
        fastnn.get_num_threads,
    ]  # fmt: skip
    try:
        run_together(
            *(partial(repeat, f"{i} {call.__name__}", call) for i, call in enumerate(calls))
        )
    finally:
        fastnn.set_num_threads(None)
    assert min(done.values()) > 0
    assert len(done) == len(calls)


def test_copies_that_train_at_once_end_as_they_do_alone() -> None:
    """They share a plan, and take turns with its buffers."""
    X, y = samples(200)
    net = Network([Dense(16, "relu"), Dense(8, "tanh"), Dense(2, "softmax")], 6, seed=3)
    sizes = [16, 32, 64, 200]  # of mini-batches: buffers of other sizes

    def train(copy: Network, batch_size: int) -> Network:
        for _ in range(20):
            copy.fit(X, y, epochs=1, batch_size=batch_size)
        return copy

    expected = [train(net.copy(), size).parameters.copy() for size in sizes]
    copies = [net.copy() for _ in sizes]
    run_together(*(partial(train, *pair) for pair in zip(copies, sizes, strict=True)))
    for copy, right in zip(copies, expected, strict=True):
        np.testing.assert_array_equal(copy.parameters, right)


def test_predictions_on_several_threads_at_once_have_their_bits() -> None:
    """They share what was measured of the numbers of threads."""
    net = Network([Dense(64, "relu"), Dense(32, "relu"), Dense(3, "softmax")], 20, seed=0)
    inputs = [samples(n, 20)[0] for n in (500, 3000, 9000)]
    expected = [net.predict_proba(X, threads=1) for X in inputs]

    def predict(n_threads: int) -> None:
        for _ in range(30):
            for X, right in zip(inputs, expected, strict=True):
                np.testing.assert_array_equal(net.predict_proba(X, threads=n_threads), right)

    run_together(*(partial(predict, n) for n in (1, 2, 3, 4)))


def test_sparse_samples_come_first_on_several_threads_at_once() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    X, y = samples(64)
    rows = sparse.csr_matrix(X * (X > 1))
    for seed in range(20):
        net = Network([Dense(8, "relu"), Dense(2, "softmax")], 6, seed=seed)
        copies = [net.copy() for _ in range(4)]
        run_together(*(partial(copy.fit, rows, y, epochs=1) for copy in copies))
        for copy in copies:
            np.testing.assert_array_equal(copy.parameters, copies[0].parameters)


def test_one_predictor_on_several_threads_is_refused_or_right() -> None:
    net = Network([Dense(16, "tanh"), Dense(4, "linear")], 4, seed=0)
    predictor = net.predictor(16)
    inputs = [np.full((16, 4), value, np.float32) for value in (-1, 0, 1, 2)]
    expected = [net.predict_proba(X) for X in inputs]
    n_right = []

    def call(X: Array, right: Array) -> None:
        for _ in range(5000):
            out = X.copy()
            with may_be_refused("by another thread"):
                predictor(out, out)  # overlapping: the input is copied inside
                np.testing.assert_array_equal(out, right)
                n_right.append(1)

    run_together(*(partial(call, *pair) for pair in zip(inputs, expected, strict=True)))
    assert len(n_right) > 0


def test_each_network_of_a_crew_is_trained_once() -> None:
    X, y = samples(32)
    networks = [Network([Dense(1, "sigmoid")], 6, seed=seed) for seed in range(200)]
    copies = [net.copy() for net in networks]
    fit_each(networks, X, [{"y": y, "epochs": 2, "batch_size": 8}] * 200, threads=8)
    for net, copy in zip(networks, copies, strict=True):
        copy.fit(X, y, epochs=2, batch_size=8)
        assert net.training == copy.training
        np.testing.assert_array_equal(net.parameters, copy.parameters)


def test_only_one_of_several_fits_at_once_is_not_refused() -> None:
    X, y = samples(64)
    net = Network([Dense(8, "relu"), Dense(1, "sigmoid")], seed=0)  # built by the first one
    begun, refused = threading.Barrier(4), []

    def train() -> None:
        def wait_for_the_others(*_: object) -> None:
            begun.wait(SECONDS)

        try:
            net.fit(X, y, epochs=1, callbacks=wait_for_the_others)
        except RuntimeError as error:
            refused.append(str(error))
            begun.wait(SECONDS)

    run_together(*[train] * 4)
    assert len(refused) == 3
    assert all("is being trained" in text for text in refused)


@pytest.mark.skipif(
    getattr(sys, "_is_gil_enabled", lambda: True)(), reason="this Python has a GIL, or uses it"
)
def test_the_gil_stays_off(run_script: Callable[..., str]) -> None:
    """Python turns it on, with a warning, where a module does not say that it needs none."""
    run_script("""
        import pkgutil
        import sys
        import warnings

        warnings.simplefilter("error")

        import numpy as np
        import fastnn
        import fastnn._core

        for module in pkgutil.iter_modules(fastnn._core.__path__, "fastnn._core."):
            __import__(module.name)
        net = fastnn.Network([fastnn.Dense(4, "relu"), fastnn.Dense(1, "sigmoid")], 3, seed=0)
        X, y = np.random.default_rng(0).normal(size=(50, 3)), np.arange(50) % 2
        net.fit(X, y, epochs=2, validation_split=0.2, progress=True)
        net.predict(X), net.evaluate(X, y), net.statistics(X, y), net.predictor()
        net.save("net.fastnn")
        fastnn.fit_many([net, net.copy()], X, y, epochs=1)
        fastnn.show_config()  # loads the BLAS
        assert not sys._is_gil_enabled()
    """)

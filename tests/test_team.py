"""The thread team: any number of threads, none to be had, and fork."""

import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastnn
from fastnn import Network
from fastnn._core import tuner

Array = npt.NDArray[Any]

# A network and its training, for processes of their own; `bits` is what must always come out.
SCRIPT = """
    import faulthandler
    import os
    import resource
    import threading
    import time

    import numpy as np

    from fastnn import Network

    faulthandler.dump_traceback_later(20, exit=True)  # what hangs fails
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((300, 30)).astype(np.float32), rng.integers(0, 2, 300)

    def train(threads):
        net = Network.from_sizes([30, 50, 1], seed=0)
        net.fit(X, y, epochs=3, batch_size=200, threads=threads)
        return net.parameters.tobytes() + net.predict_proba(X).tobytes()

    def n_threads():
        return len(os.listdir("/proc/self/task"))

    def status_of_child(action, seconds=8):
        "Exit status of a forked process that does `action`: 0 if it gives a true value in time."
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = 0 if action() else 2
            finally:
                os._exit(status)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.005)
        os.kill(child, 9)
        os.waitpid(child, 0)
        return "hangs"
"""


@pytest.fixture
def data() -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((1000, 40)).astype(np.float32), rng.integers(0, 2, 1000)


@pytest.mark.parametrize("threads", [2, 5, 64, 256])
def test_more_threads_than_cores_give_the_same_bits(
    threads: int, data: tuple[Array, Array]
) -> None:
    X, y = data
    nets = [Network.from_sizes([40, 30, 1], seed=0) for _ in range(2)]
    for net, n in zip(nets, (1, threads), strict=True):
        net.fit(X, y, epochs=2, batch_size=500, threads=n)
    assert nets[0].parameters.tobytes() == nets[1].parameters.tobytes()


def test_predict_gives_the_same_bits_on_any_number_of_threads(data: tuple[Array, Array]) -> None:
    X, _ = data
    net = Network.from_sizes([40, 300, 200, 1], seed=0)  # enough work for a team
    before = fastnn.get_num_threads()
    outputs = []
    try:
        for n in (1, 2, 3, 8):
            fastnn.set_num_threads(n)
            outputs.append(net.predict_proba(X).tobytes())
    finally:
        fastnn.set_num_threads(before)
    assert len(set(outputs)) == 1


def test_concurrent_predicts_are_the_serial_ones(data: tuple[Array, Array]) -> None:
    X, _ = data
    net = Network.from_sizes([40, 300, 200, 1], seed=0)
    parts = [X[i : i + 125] for i in range(0, 1000, 125)]
    expected = [net.predict_proba(part).tobytes() for part in parts]
    right = [0] * 8

    def predict(i: int) -> None:
        right[i] = sum(net.predict_proba(parts[i]).tobytes() == expected[i] for _ in range(20))

    threads = [threading.Thread(target=predict, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [20] * 8


def test_concurrent_fits_of_several_networks_are_the_serial_ones(
    data: tuple[Array, Array],
) -> None:
    X, y = data
    expected = Network.from_sizes([40, 30, 1], seed=0)
    expected.fit(X, y, epochs=10, threads=2)
    nets = [Network.from_sizes([40, 30, 1], seed=0) for _ in range(4)]
    threads = [
        threading.Thread(target=net.fit, args=(X, y), kwargs={"epochs": 10, "threads": 2})
        for net in nets
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for net in nets:
        assert net.parameters.tobytes() == expected.parameters.tobytes()


def test_workers_are_made_once(run_script: Callable[..., str]) -> None:
    run_script(
        SCRIPT
        + """
    train(1)
    before = n_threads()
    train(3)
    assert n_threads() == before + 2, (before, n_threads())
    for threads in (3, 2, 1, 3):
        train(threads)
        assert n_threads() == before + 2
    train(4)
    assert n_threads() == before + 3
    """
    )


def test_work_too_small_for_a_team_starts_none(run_script: Callable[..., str]) -> None:
    run_script(
        SCRIPT
        + """
    train(1)
    before = n_threads()
    net = Network.from_sizes([30, 5, 1], seed=0)
    net.fit(X, y)
    net.predict(X)
    assert n_threads() == before
    """
    )


def test_a_forked_child_trains_to_the_same_bits(run_script: Callable[..., str]) -> None:
    run_script(
        SCRIPT
        + """
    expected = train(3)
    assert [status_of_child(lambda: train(n) == expected) for n in (1, 3, 4)] == [0, 0, 0]
    assert status_of_child(lambda: status_of_child(lambda: train(3) == expected) == 0) == 0
    assert train(3) == expected
    """
    )


def test_a_child_forked_before_the_first_use_trains_to_the_same_bits(
    run_script: Callable[..., str],
) -> None:
    run_script(
        SCRIPT
        + """
    read, write = os.pipe()
    def report():
        os.write(write, train(2)[:64])
        return True
    assert status_of_child(report) == 0
    assert os.read(read, 64) == train(3)[:64]
    """
    )


def test_a_child_forked_in_the_middle_of_training_trains_to_the_same_bits(
    run_script: Callable[..., str],
) -> None:
    """Another thread of the parent trains: the team is in use, some members wait at a barrier."""
    run_script(
        SCRIPT
        + """
    expected = train(3)
    stop = threading.Event()

    def train_on():
        net = Network.from_sizes([30, 300, 1], seed=0)
        while not stop.is_set():
            net.fit(X, y, epochs=20, threads=3)

    thread = threading.Thread(target=train_on)
    thread.start()
    statuses = []
    for _ in range(15):
        time.sleep(0.01)
        statuses.append(status_of_child(lambda: train(3) == expected, seconds=3))
        if statuses[-1] != 0:
            break
    stop.set()
    thread.join()
    assert set(statuses) == {0}, statuses
    """
    )


def test_a_child_forked_by_a_signal_handler_finishes_the_step_to_the_same_bits(
    run_script: Callable[..., str],
) -> None:
    """It has one member of the team that was at it. In slabs, so that work done twice shows."""
    run_script(
        SCRIPT
        + """
    import signal
    import fastnn

    fastnn.set_num_threads(3)
    X = rng.standard_normal((10_000, 50)).astype(np.float32)
    y = rng.integers(0, 2, len(X))
    other = Network.from_sizes([50, 300, 1], seed=1)
    predicted = other.predict_proba(X).tobytes()

    def long_steps():
        net = Network.from_sizes([50, 400, 400, 1], seed=0)
        net.fit(X, y, epochs=5, batch_size=None, threads=3)
        return net.parameters.tobytes()

    def handler(number, frame):
        global is_child
        child = os.fork()
        if child:
            children.append(child)
            if len(children) == 3:
                signal.setitimer(signal.ITIMER_REAL, 0)
        else:
            is_child = True
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(10)
            if len(children) == 1 and other.predict_proba(X).tobytes() != predicted:
                os._exit(2)

    start = time.monotonic()
    expected = long_steps()
    quarter = (time.monotonic() - start) / 4
    is_child, children = False, []
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, quarter, quarter)
    result = long_steps()
    if is_child:
        os._exit(0 if result == expected else 1)
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert result == expected
    assert len(children) > 1
    statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert set(statuses) == {0}, statuses
    """
    )


@pytest.mark.skipif(
    not hasattr(os, "setresuid") or os.getuid() != 0, reason="only root can become somebody else"
)
@pytest.mark.parametrize("products", ["own", "blas"])
@pytest.mark.parametrize("more", [0, 1, 2])
def test_fewer_threads_do_the_work_where_no_more_can_be_made(
    more: int, products: str, run_script: Callable[..., str]
) -> None:
    """The limit of processes does not bind root, so the process becomes nobody first."""
    run_script(
        SCRIPT
        + f"""
    expected = train(1)
    before = n_threads()
    os.setresuid(54321, 54321, 54321)
    limit = before + {more}
    resource.setrlimit(resource.RLIMIT_NPROC, (limit, limit))
    assert train(4) == expected
    assert n_threads() <= limit
    assert train(4) == expected
    """,
        FASTNN_GEMM=products,
    )


def test_the_faster_number_of_threads_is_found_and_kept() -> None:
    """Though threads take a few runs to wake up, and are kept from running now and then."""

    def seconds(run: int, n_threads: int) -> float:
        slow_start = 5e-4 if run < 3 else 0
        preempted = 5e-3 if run % 500 == 499 else 0
        return 1.3e-4 / n_threads + 5e-6 * n_threads + slow_start + preempted

    chosen = tuner.replay(2, seconds, 30_000)
    assert np.mean(np.array(chosen[200:]) == 2) > 0.97
    assert 1 in chosen[200:]  # tried again


def test_fewer_threads_are_taken_while_a_core_is_busy() -> None:
    def seconds(run: int, n_threads: int) -> float:
        busy = 10_000 <= run < 20_000
        return 1e-4 / n_threads * (4 if n_threads == 2 and busy else 1)

    chosen = np.array(tuner.replay(2, seconds, 40_000))
    assert np.mean(chosen[11_000:20_000] == 1) > 0.95
    assert np.mean(chosen[25_000:] == 2) > 0.95


def test_trials_cost_little_where_a_run_is_long() -> None:
    chosen = np.array(tuner.replay(2, lambda run, n_threads: 0.018 / n_threads, 2000))
    assert 0.95 < np.mean(chosen == 2) < 1

"""Readers and one writer at the same time: who waits for whom."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fastnn._core.access import Access

SECONDS = 10.0  # after which a thread that should have come through counts as stuck


def started(function: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    return thread


def waits(thread: threading.Thread) -> bool:
    """Whether the thread is still at it after a while."""
    thread.join(0.1)
    return thread.is_alive()


def ends(thread: threading.Thread) -> bool:
    thread.join(SECONDS)
    return not thread.is_alive()


@pytest.fixture
def _long_turns() -> Iterator[None]:
    """A thread keeps the interpreter until it waits for something."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(60)
    yield
    sys.setswitchinterval(interval)


def read(access: Access, log: list[str], name: str = "read") -> None:
    with access.reading():
        log.append(name)


def write(access: Access, log: list[str], name: str = "write") -> None:
    with access.writing():
        log.append(name)


def test_readers_come_in_together() -> None:
    access = Access()
    barrier = threading.Barrier(5)

    def reader() -> None:
        with access.reading():
            barrier.wait(SECONDS)  # passes only while all are inside

    threads = [started(reader) for _ in range(5)]
    assert all(ends(thread) for thread in threads)
    assert not barrier.broken


def test_writer_waits_for_readers() -> None:
    access, log = Access(), list[str]()
    with access.reading():
        writer = started(lambda: write(access, log))
        assert waits(writer)
        assert log == []
    assert ends(writer)
    assert log == ["write"]


def test_readers_wait_for_the_writer() -> None:
    access, log = Access(), list[str]()
    with access.writing():
        readers = [started(lambda: read(access, log)) for _ in range(3)]
        assert all(waits(reader) for reader in readers)
        assert log == []
    assert all(ends(reader) for reader in readers)
    assert log == ["read"] * 3


def test_writers_exclude_each_other() -> None:
    access, log = Access(), list[str]()
    with access.writing():
        writer = started(lambda: write(access, log))
        assert waits(writer)
    assert ends(writer)
    assert log == ["write"]


def test_readers_who_wait_come_in_before_the_next_writer() -> None:
    access, log = Access(), list[str]()
    with access.writing():
        readers = [started(lambda: read(access, log)) for _ in range(3)]
        assert all(waits(reader) for reader in readers)
    with access.writing():
        log.append("write")
    assert all(ends(reader) for reader in readers)
    assert log == ["read"] * 3 + ["write"]


@pytest.mark.usefixtures("_long_turns")
def test_late_reader_does_not_take_the_place_of_one_who_waits() -> None:
    access, log = Access(), list[str]()
    with access.writing():
        early = started(lambda: read(access, log, "early reader"))
        assert waits(early)
    # The early reader is told, but not yet awake
    read(access, log, "late reader")
    write(access, log, "next writer")
    assert ends(early)
    assert log.index("early reader") < log.index("next writer")


@pytest.mark.parametrize("kind", ["reading", "writing"])
def test_errors_inside_let_the_next_one_in(kind: str) -> None:
    access, log = Access(), list[str]()
    with pytest.raises(KeyError), getattr(access, kind)():
        raise KeyError
    assert ends(started(lambda: write(access, log)))
    assert ends(started(lambda: read(access, log)))
    assert log == ["write", "read"]


class Interruption(Exception):
    pass


@pytest.fixture
def _interruption_in_a_tenth_of_a_second() -> Iterator[None]:
    """A signal whose handler raises in this thread, the main one."""

    def handler(*_: object) -> None:
        raise Interruption

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def hold(enter: Callable[[], Any], leave: threading.Event) -> threading.Thread:
    """A thread that is inside until `leave` is set."""
    inside = threading.Event()

    def stay() -> None:
        with enter():
            inside.set()
            leave.wait(SECONDS)

    thread = started(stay)
    assert inside.wait(SECONDS)
    return thread


@pytest.mark.usefixtures("_interruption_in_a_tenth_of_a_second")
@pytest.mark.parametrize(("holds", "waits_for"), [("writing", "reading"), ("reading", "writing")])
def test_an_interrupted_wait_leaves_everything_open(holds: str, waits_for: str) -> None:
    access, log = Access(), list[str]()
    leave = threading.Event()
    holder = hold(getattr(access, holds), leave)
    with pytest.raises(Interruption), getattr(access, waits_for)():
        log.append("never")
    leave.set()
    assert ends(holder)
    assert ends(started(lambda: write(access, log)))
    assert ends(started(lambda: read(access, log)))
    assert log == ["write", "read"]


def test_a_thread_that_writes_is_refused_to_read() -> None:
    access, log = Access(), list[str]()
    with access.writing(), pytest.raises(RuntimeError, match="by this very thread"):
        read(access, log)
    read(access, log)
    assert log == ["read"]


@pytest.fixture
def in_a_signal_handler() -> Iterator[Callable[[Callable[[], Any]], None]]:
    """Has the signal handler of this thread, the main one, do something in a tenth of a second.

    Where it is not back three seconds later, the next signal ends it.
    """
    actions: list[Callable[[], Any]] = []

    def handler(*_: object) -> None:
        if not actions:
            raise Interruption("hangs")
        actions.pop()()

    def start(action: Callable[[], Any]) -> None:
        actions.append(action)
        signal.setitimer(signal.ITIMER_REAL, 0.1, 3)

    before = signal.signal(signal.SIGALRM, handler)
    yield start
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_a_thread_that_waits_to_write_may_read(
    in_a_signal_handler: Callable[[Callable[[], Any]], None],
) -> None:
    """A handler has interrupted the wait, which would never end if it waited for the writer."""
    access, log = Access(), list[str]()
    leave = threading.Event()
    holder = hold(access.reading, leave)

    def handle() -> None:
        read(access, log)
        leave.set()

    in_a_signal_handler(handle)
    write(access, log)
    assert ends(holder)
    assert log == ["read", "write"]


def test_a_thread_that_reads_may_read_again_before_the_writer_who_waits(
    in_a_signal_handler: Callable[[Callable[[], Any]], None],
) -> None:
    access, log = Access(), list[str]()
    handled = threading.Event()

    def handle() -> None:
        read(access, log)
        handled.set()

    with access.reading():
        writer = started(lambda: write(access, log))
        assert waits(writer)
        in_a_signal_handler(handle)
        assert handled.wait(SECONDS)
    assert ends(writer)
    assert log == ["read", "write"]


def test_a_thread_that_reads_is_refused_to_train() -> None:
    access = Access()
    refusal = pytest.raises(RuntimeError, match="by this very thread")
    with access.reading(), refusal, access.training():
        pass
    with access.training(), access.reading():
        pass


def test_a_thread_that_waits_to_read_is_refused_to_train(
    in_a_signal_handler: Callable[[Callable[[], Any]], None],
) -> None:
    access, log = Access(), list[str]()
    leave = threading.Event()
    holder = hold(access.writing, leave)

    def handle() -> None:
        try:
            with access.training():
                pass
        except RuntimeError:
            log.append("refused")
        leave.set()

    in_a_signal_handler(handle)
    read(access, log)
    assert ends(holder)
    assert log == ["refused", "read"]


def test_in_a_forked_child_a_writer_waits_for_readers(run_script: Callable[..., str]) -> None:
    """Whatever the parent's other threads were doing, which the child does not have."""
    run_script("""
        import os
        import threading

        from fastnn._core.access import Access

        def hold(enter):
            "A thread that is inside until the event is set."
            inside, leave = threading.Event(), threading.Event()
            def stay():
                with enter():
                    inside.set()
                    leave.wait(10)
            thread = threading.Thread(target=stay, daemon=True)
            thread.start()
            return thread, inside, leave

        def check(access):
            reader, inside, leave = hold(access.reading)
            assert inside.wait(5)
            writer, written, end = hold(access.writing)
            end.set()
            assert not written.wait(0.1)
            leave.set()
            assert written.wait(5)
            reader.join()
            writer.join()
            with access.training(), access.writing():
                pass

        def status_of_child(access):
            child = os.fork()
            if child == 0:
                try:
                    check(access)
                except BaseException:
                    os._exit(1)
                os._exit(0)
            return os.waitpid(child, 0)[1]

        for kind in (None, "reading", "writing", "training"):
            access = Access()
            if kind is not None:
                thread, inside, leave = hold(getattr(access, kind))
                assert inside.wait(5)
            assert status_of_child(access) == 0, kind
    """)


@pytest.mark.parametrize("kind", ["reading", "writing", "training"])
def test_who_forks_inside_is_still_inside_in_the_child(
    kind: str, run_script: Callable[..., str]
) -> None:
    run_script(
        f"""
        import os
        import threading

        from fastnn._core.access import Access

        access = Access()

        def enter(other):
            with getattr(access, other)():
                done.append(other)

        def comes_in(other):
            done.clear()
            thread = threading.Thread(target=enter, args=(other,), daemon=True)
            thread.start()
            thread.join(0.1 if other in refused else 5)
            return other in done

        done = []
        refused = {{"reading": ["writing"], "writing": ["reading", "writing"],
                    "training": ["training"]}}["{kind}"]
        threading.excepthook = lambda _: None
        with getattr(access, "{kind}")():
            child = os.fork()
            if child == 0:
                right = [comes_in(other) != (other in refused) for other in refused]
        if child == 0:
            refused = []
            right += [comes_in(other) for other in ("reading", "writing", "training")]
            with access.reading():
                refused = ["writing"]
                right.append(not comes_in("writing"))
            os._exit(0 if all(right) else 1)
        assert os.waitpid(child, 0)[1] == 0
        """
    )


def test_only_one_trains_at_a_time() -> None:
    access = Access()
    with access.training():
        with pytest.raises(RuntimeError, match="is being trained"), access.training():
            pass
        with access.writing():
            pass
    with access.training():
        pass


def test_neither_side_keeps_the_other_out() -> None:
    access = Access()
    stop = threading.Event()
    counts = {"reader 1": 0, "reader 2": 0, "writer": 0}
    inside = {"readers": 0, "writers": 0}
    clashes: list[dict[str, int]] = []

    def loop(name: str, enter: Callable[[], Any], kind: str) -> None:
        while not stop.is_set():
            with enter():
                inside[kind] += 1
                if inside["writers"] and (kind == "readers" or inside["writers"] > 1):
                    clashes.append(dict(inside))
                time.sleep(0.0005)
                inside[kind] -= 1
                counts[name] += 1

    threads = [
        started(lambda: loop("reader 1", access.reading, "readers")),
        started(lambda: loop("reader 2", access.reading, "readers")),
        started(lambda: loop("writer", access.writing, "writers")),
    ]
    time.sleep(0.7)
    stop.set()
    assert all(ends(thread) for thread in threads)
    assert clashes == []
    assert min(counts.values()) > 20

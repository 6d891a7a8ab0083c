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

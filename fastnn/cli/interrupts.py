"""Ctrl-C, also while a library is imported: some of them swallow the exception."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_pressed = threading.Event()


@contextmanager
def noted() -> Iterator[None]:
    """Notes Ctrl-C, which raises KeyboardInterrupt as always; at the end, `check`."""
    _pressed.clear()
    is_ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if is_ours:
        signal.signal(signal.SIGINT, _note)
    try:
        yield
        check()
    finally:
        if is_ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def check() -> None:
    """KeyboardInterrupt, if Ctrl-C was pressed and nobody heard of it."""
    if _pressed.is_set():
        raise KeyboardInterrupt


def _note(number: int, frame: FrameType | None) -> None:
    _pressed.set()
    raise KeyboardInterrupt

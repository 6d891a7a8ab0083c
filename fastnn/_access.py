"""Who may read and who may change a network's parameters at the same time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Access:
    """Any number of readers, or one writer, who goes in and out many times a second.

    Readers who wait when the writer goes out all come in before it does again; readers who come
    later wait for it. So neither side keeps the other out.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._readers = 0
        self._waiting = 0  # readers
        self._admitted = 0  # of those, who come in before the next writer
        self._writing = False

    @contextmanager
    def reading(self) -> Iterator[None]:
        """While nobody writes."""
        with self._changed:
            if self._writing or self._admitted:
                self._waiting += 1
                try:
                    self._changed.wait_for(lambda: not self._writing)
                finally:
                    self._waiting -= 1
                    self._admitted = max(0, self._admitted - 1)
            self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                self._changed.notify_all()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """While nobody else reads or writes."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._writing or self._readers or self._admitted))
            self._writing = True
        try:
            yield
        finally:
            with self._changed:
                self._writing = False
                self._admitted = self._waiting
                self._changed.notify_all()

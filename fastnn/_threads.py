"""Threads that begin, or are refused."""

import mmap
from threading import Thread

# Of address space: a stack, as large as systems make it, and what Python allocates at once.
_ROOM = 16 << 20


def start(thread: Thread) -> None:
    """Starts a thread where there is room for it.

    One that has a stack, but no memory for its first lines of Python, ends without a word, and
    `threading.Thread.start` waits for it for ever.

    Raises
    ------
    MemoryError
    RuntimeError
        If the system makes no more threads.
    """
    try:
        mmap.mmap(-1, _ROOM).close()
    except OSError:
        raise MemoryError("no memory for another thread") from None
    thread.start()

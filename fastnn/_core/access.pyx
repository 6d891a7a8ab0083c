"""Who may read and who may change a network's parameters at the same time.

Compiled, because signal handlers (Ctrl-C) run between Python's byte codes and can raise there: in
here nothing is left half done. What these methods do between two waits is one piece, under the
GIL.
"""
import os
import threading

from cpython.exc cimport PyErr_CheckSignals
from posix.time cimport nanosleep, timespec

# Between two looks of who waits: far below what a person notices, far above what a look costs.
cdef long PAUSE_NANOSECONDS = 100_000


cdef class Access:
    """Any number of readers, or one writer, who goes in and out many times a second.

    Readers who wait when the writer goes out all come in before it does again; readers who come
    while it waits, wait for it. So neither side keeps the other out.
    """

    def __cinit__(self):
        self.pid = os.getpid()

    def reading(self):
        """A context in which nobody writes.

        Raises
        ------
        RuntimeError
            When this thread itself is writing: in a signal handler that interrupted it.
        """
        return Reading(self)

    def writing(self):
        """A context in which nobody else reads or writes."""
        return Writing(self)

    def training(self):
        """A context that only one at a time can be in.

        Raises
        ------
        RuntimeError
            When there is one.
        """
        return Training(self)

    cdef int look_around(self) except -1:
        """In a forked child the parent's other threads are gone, with what they held."""
        cdef int pid = os.getpid()
        if pid != self.pid:
            self.pid = pid
            self.readers = self.waiting_writers = self.waiting = self.admitted = 0
            self.writer = self.trainer = None
        return 0

    cdef int pause(self) except -1:
        cdef timespec duration
        duration.tv_sec = 0
        duration.tv_nsec = PAUSE_NANOSECONDS
        with nogil:
            nanosleep(&duration, NULL)
        PyErr_CheckSignals()
        return 0

    cdef int start_reading(self) except -1:
        cdef unsigned long round
        if self.writer is None and self.waiting_writers == 0:
            self.readers += 1
            return 0
        self.look_around()
        if self.writer == threading.get_ident():
            raise RuntimeError(
                "this network is being trained by this very thread, which a signal handler has "
                "interrupted; use a copy made before"
            )
        round = self.round
        self.waiting += 1
        try:
            while self.round == round and (self.writer is not None or self.waiting_writers > 0):
                self.pause()
        finally:
            self.waiting -= 1
            if self.round != round:
                self.admitted = max(0, self.admitted - 1)
        self.readers += 1
        return 0

    cdef int stop_reading(self) except -1:
        self.readers -= 1
        return 0

    cdef int start_writing(self) except -1:
        self.look_around()
        self.waiting_writers += 1
        try:
            while self.writer is not None or self.readers > 0 or self.admitted > 0:
                self.pause()
        finally:
            self.waiting_writers -= 1
        self.writer = threading.get_ident()
        return 0

    cdef int stop_writing(self) except -1:
        self.writer = None
        self.round += 1
        self.admitted = self.waiting
        return 0


cdef class Reading:
    cdef Access access

    def __init__(self, Access access):
        self.access = access

    def __enter__(self):
        self.access.start_reading()

    def __exit__(self, *_):
        self.access.stop_reading()


cdef class Writing:
    cdef Access access

    def __init__(self, Access access):
        self.access = access

    def __enter__(self):
        self.access.start_writing()

    def __exit__(self, *_):
        self.access.stop_writing()


cdef class Training:
    cdef Access access

    def __init__(self, Access access):
        self.access = access

    def __enter__(self):
        self.access.look_around()
        if self.access.trainer is not None:
            raise RuntimeError(
                "this network is being trained by another call; train a copy (net.copy()) instead"
            )
        self.access.trainer = threading.get_ident()

    def __exit__(self, *_):
        self.access.trainer = None

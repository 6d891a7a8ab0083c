"""Who may read and who may change a network's parameters at the same time.

Compiled, because signal handlers (Ctrl-C) run between Python's byte codes and can raise there: in
here nothing is left half done. What these methods do between two waits is one piece, under the
GIL.
"""
import threading

from cpython.exc cimport PyErr_CheckSignals

from fastnn._core.clock cimport now

cdef extern from "system.h" nogil:
    int at_fork "fnn_at_fork"(void (*in_child)() noexcept)
    void sleep "fnn_sleep"(unsigned int microseconds)

cdef extern from "pythread.h" nogil:
    unsigned long PyThread_get_thread_ident()

# Between two looks at a turn that is waited for: far below what a person notices, far above what a
# look costs.
cdef unsigned int PAUSE_MICROSECONDS = 100
# How long a writer waits for readers whose turn it is.
cdef double ADMISSION_SECONDS = 0.1

cdef unsigned long forks = 0  # that led to this process
cdef unsigned long forker = 0  # the thread that did the last one: at first, all that a child has


cdef void count_fork() noexcept nogil:
    global forks, forker
    forks += 1
    forker = PyThread_get_thread_ident()


if at_fork(count_fork) != 0:
    raise MemoryError("no memory to be told of forks")


cdef int keep_forker(list idents) except -1:
    """Removes all others, allocating nothing that could run the garbage collector."""
    cdef Py_ssize_t i
    for i in range(len(idents) - 1, -1, -1):
        if idents[i] != forker:
            del idents[i]
    return 0


cdef class Access:
    """Any number of readers, or one writer, who goes in and out many times a second.

    Readers who wait when the writer goes out all come in before it does again; readers who come
    while it waits, wait for it. So neither side keeps the other out. A reader whose signal handler
    runs does not come in: the writer waits for it a tenth of a second, and then no more until it is
    back.
    """

    def __cinit__(self):
        self.reading_threads = []
        self.waiting_readers = []
        self.waiting_writers = []
        self.absent = []
        self.forks = forks

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
            When there is one, or this thread itself is reading: in a signal handler that
            interrupted it.
        """
        return Training(self)

    cdef int look_around(self) except -1:
        """In a forked child the parent's other threads are gone, with what they held."""
        if self.forks == forks:
            return 0
        self.forks = forks
        keep_forker(self.reading_threads)
        keep_forker(self.waiting_readers)
        keep_forker(self.waiting_writers)
        keep_forker(self.absent)
        self.count_waiting_readers()
        self.readers = len(self.reading_threads)
        self.admitted = 0
        if self.writer != forker:
            self.writer = None
        if self.trainer != forker:
            self.trainer = None
        return 0

    cdef int count_waiting_readers(self) except -1:
        """Those whom the writer lets in when it goes out."""
        store_relaxed(&self.n_waiting_readers, len(self.waiting_readers) - len(self.absent))
        return 0

    cdef int refuse_half_written(self) except -1:
        """For those who come in: a step is being made then in a forked child only."""
        raise RuntimeError(
            "this process was forked while another thread of its parent trained this network, and "
            "its copy may be half updated; load or make the network again"
        )

    cdef int pause(self) except -1:
        with nogil:
            sleep(PAUSE_MICROSECONDS)
        PyErr_CheckSignals()
        self.look_around()
        return 0

    cdef bint may_read_again(self) except -1:
        """Whether a writer waits for this very thread, which a signal handler has interrupted."""
        ident = threading.get_ident()
        return self.writer is None and (
            ident in self.reading_threads or ident in self.waiting_writers
        )

    cdef int start_reading(self) except -1:
        cdef unsigned long round
        if self.forks != forks:
            self.look_around()
        if self.writer is None and not self.waiting_writers or self.may_read_again():
            if self.half_written:
                self.refuse_half_written()
            self.readers += 1
            return 0
        ident = threading.get_ident()
        if self.writer == ident:
            raise RuntimeError(
                "this network is being trained by this very thread, which a signal handler has "
                "interrupted; use a copy made before"
            )
        round = self.round
        self.waiting_readers.append(ident)
        self.count_waiting_readers()
        try:
            while self.writer is not None or self.waiting_writers:
                if self.round != round and self.admitted > 0:
                    break
                round = self.round  # another one, where this reader was absent from its turn
                self.pause()
                if ident in self.absent:
                    self.absent.remove(ident)
                    self.count_waiting_readers()
        finally:
            self.waiting_readers.remove(ident)
            if ident in self.absent:
                self.absent.remove(ident)
            elif self.round != round:
                self.admitted = max(0, self.admitted - 1)
            self.count_waiting_readers()
        if self.half_written:
            self.refuse_half_written()
        self.readers += 1
        return 0

    cdef int stop_reading(self) except -1:
        self.readers -= 1
        return 0

    cdef int start_writing(self) except -1:
        cdef double limit = now() + ADMISSION_SECONDS
        ident = threading.get_ident()
        self.look_around()
        self.waiting_writers.append(ident)
        try:
            while self.writer is not None or self.readers > 0 or self.admitted > 0:
                self.pause()
                if self.readers == 0 and self.admitted > 0 and now() > limit:
                    self.absent = list(self.waiting_readers)
                    self.admitted = 0
                    self.count_waiting_readers()
        finally:
            self.waiting_writers.remove(ident)
        if self.half_written:
            self.refuse_half_written()
        self.writer = ident
        return 0

    cdef int stop_writing(self) except -1:
        self.writer = None
        self.round += 1
        self.admitted = len(self.waiting_readers) - len(self.absent)
        return 0


cdef class Reading:
    cdef Access access

    def __init__(self, Access access):
        self.access = access

    def __enter__(self):
        self.access.start_reading()
        self.access.reading_threads.append(threading.get_ident())

    def __exit__(self, *_):
        self.access.look_around()
        self.access.reading_threads.remove(threading.get_ident())
        self.access.stop_reading()


cdef class Writing:
    cdef Access access

    def __init__(self, Access access):
        self.access = access

    def __enter__(self):
        self.access.start_writing()

    def __exit__(self, *_):
        self.access.look_around()
        self.access.stop_writing()


cdef class Training:
    cdef Access access
    cdef bint is_in

    def __init__(self, Access access):
        self.access = access

    def __enter__(self):
        ident = threading.get_ident()
        self.access.look_around()
        if self.access.trainer is not None:
            raise RuntimeError(
                "this network is being trained by another call; train a copy (net.copy()) instead"
            )
        if ident in self.access.reading_threads or ident in self.access.waiting_readers:
            raise RuntimeError(
                "this network is being used by this very thread, which a signal handler has "
                "interrupted; train a copy (net.copy()) instead"
            )
        self.access.trainer = ident
        self.is_in = True

    def __exit__(self, *_):
        """Nothing where it was not entered: for those who enter several."""
        if self.is_in:
            self.is_in = False
            self.access.trainer = None

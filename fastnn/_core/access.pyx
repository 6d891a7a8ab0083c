"""Who may read and who may change a network's parameters at the same time.

Compiled, because signal handlers (Ctrl-C) run between Python's byte codes and can raise there: in
here nothing is left half done. What is done between two waits is one piece: under the GIL, and where
Python has none, in a critical section of the `Access`. Signal handlers run outside of these: they may
take long, and wait for other threads. CPython stops all threads before a fork, and a thread that is
stopped is in no critical section: a child finds none taken.
"""
cimport cython
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


cdef object this_thread():
    """Its ident, as `threading.get_ident` gives it."""
    return PyThread_get_thread_ident()


cdef int forget(list idents, ident) except -1:
    """Removes one. Written out in a critical section, Cython warns of the look-up of a method."""
    idents.remove(ident)
    return 0


cdef int pause() except -1:
    """Waits a little, and runs the handlers of signals."""
    with nogil:
        sleep(PAUSE_MICROSECONDS)
    PyErr_CheckSignals()
    return 0


@cython.final
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

    cdef bint may_read_again(self) except -1:
        """Whether a writer waits for this very thread, which a signal handler has interrupted."""
        ident = this_thread()
        return self.writer is None and (
            ident in self.reading_threads or ident in self.waiting_writers
        )

    cdef bint read_at_once(self) except -1:
        """Comes in, where nobody has to be waited for."""
        if self.forks != forks:
            self.look_around()
        if self.writer is None and not self.waiting_writers or self.may_read_again():
            if self.half_written:
                self.refuse_half_written()
            self.readers += 1
            return True
        return False

    cdef unsigned long await_turn_to_read(self, ident) except? 0:
        """From now on this thread is one of those who wait; the round in which it begins."""
        if self.writer == ident:
            raise RuntimeError(
                "this network is being trained by this very thread, which a signal handler has "
                "interrupted; use a copy made before"
            )
        self.waiting_readers.append(ident)
        self.count_waiting_readers()
        return self.round

    cdef bint read_in_turn(self, ident, unsigned long *round) except -1:
        """Comes in, where it is this thread's turn; `round` is the one that it waits in."""
        self.look_around()
        if ident in self.absent:
            forget(self.absent, ident)
            self.count_waiting_readers()
        if ((self.writer is not None or self.waiting_writers)
                and not (self.round != round[0] and self.admitted > 0)):
            round[0] = self.round  # another one, where this reader was absent from its turn
            return False
        self.give_up_turn_to_read(ident, round[0])
        if self.half_written:
            self.refuse_half_written()
        self.readers += 1
        return True

    cdef int give_up_turn_to_read(self, ident, unsigned long round) except -1:
        self.look_around()
        forget(self.waiting_readers, ident)
        if ident in self.absent:
            forget(self.absent, ident)
        elif self.round != round:
            self.admitted = max(0, self.admitted - 1)
        self.count_waiting_readers()
        return 0

    cdef int start_reading(self) except -1:
        cdef bint is_in
        with cython.critical_section(self):
            is_in = self.read_at_once()
        return 0 if is_in else self.wait_to_read()

    cdef int wait_to_read(self) except -1:
        cdef unsigned long round = 0
        cdef bint is_in
        ident = this_thread()
        with cython.critical_section(self):
            is_in = self.read_at_once()  # again: without a GIL the writer may have gone out since
            if not is_in:
                round = self.await_turn_to_read(ident)
        while not is_in:
            try:
                pause()
            except BaseException:
                with cython.critical_section(self):
                    self.give_up_turn_to_read(ident, round)
                raise
            with cython.critical_section(self):
                is_in = self.read_in_turn(ident, &round)
        return 0

    cdef int stop_reading(self) except -1:
        with cython.critical_section(self):
            self.readers -= 1
        return 0

    cdef bint write_in_turn(self, ident, double limit) except -1:
        """Comes in, where nobody else is in, and no reader's turn is before; `limit`: when those whose
        turn it is have been waited for."""
        self.look_around()
        if self.readers == 0 and self.admitted > 0 and now() > limit:
            self.absent = list(self.waiting_readers)
            self.admitted = 0
            self.count_waiting_readers()
        if self.writer is not None or self.readers > 0 or self.admitted > 0:
            return False
        forget(self.waiting_writers, ident)
        if self.half_written:
            self.refuse_half_written()
        self.writer = ident
        return True

    cdef int start_writing(self) except -1:
        cdef double limit = now() + ADMISSION_SECONDS
        cdef bint is_in
        ident = this_thread()
        with cython.critical_section(self):
            self.waiting_writers.append(ident)
            is_in = self.write_in_turn(ident, limit)
        while not is_in:
            try:
                pause()
            except BaseException:
                with cython.critical_section(self):
                    self.look_around()
                    forget(self.waiting_writers, ident)
                raise
            with cython.critical_section(self):
                is_in = self.write_in_turn(ident, limit)
        return 0

    cdef int stop_writing(self) except -1:
        with cython.critical_section(self):
            self.look_around()
            self.writer = None
            self.round += 1
            self.admitted = len(self.waiting_readers) - len(self.absent)
        return 0

    cdef int start_training(self) except -1:
        ident = this_thread()
        with cython.critical_section(self):
            self.look_around()
            if self.trainer is not None:
                raise RuntimeError(
                    "this network is being trained by another call; train a copy (net.copy()) "
                    "instead"
                )
            if ident in self.reading_threads or ident in self.waiting_readers:
                raise RuntimeError(
                    "this network is being used by this very thread, which a signal handler has "
                    "interrupted; train a copy (net.copy()) instead"
                )
            self.trainer = ident
        return 0

    cdef int note_reader(self) except -1:
        """Says that this thread's call is one which a signal handler may interrupt."""
        ident = this_thread()
        with cython.critical_section(self):
            self.reading_threads.append(ident)
        return 0

    cdef int forget_reader(self) except -1:
        ident = this_thread()
        with cython.critical_section(self):
            self.look_around()
            forget(self.reading_threads, ident)
        return 0


cdef class Reading:
    cdef Access access

    def __init__(self, Access access):
        self.access = access

    def __enter__(self):
        self.access.start_reading()
        self.access.note_reader()

    def __exit__(self, *_):
        self.access.forget_reader()
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
    cdef bint is_in

    def __init__(self, Access access):
        self.access = access

    def __enter__(self):
        self.access.start_training()
        self.is_in = True

    def __exit__(self, *_):
        """Nothing where it was not entered: for those who enter several."""
        if self.is_in:
            self.is_in = False
            self.access.trainer = None

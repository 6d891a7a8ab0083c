# A number that one thread writes under the GIL and another one reads without it.
cdef extern from *:
    """
    #define fnn_load_relaxed(p) __atomic_load_n((p), __ATOMIC_RELAXED)
    #define fnn_store_relaxed(p, value) __atomic_store_n((p), (value), __ATOMIC_RELAXED)
    """
    int load_relaxed "fnn_load_relaxed"(const int *p) noexcept nogil
    void store_relaxed "fnn_store_relaxed"(int *p, int value) noexcept nogil


cdef class Access:
    cdef int readers  # inside
    cdef list reading_threads  # idents of the threads of those whose call a signal handler may interrupt
    cdef list waiting_readers  # idents, as in the next two
    cdef int n_waiting_readers  # their number, for the writer, which has no GIL
    cdef list waiting_writers
    cdef object writer  # or None
    cdef object trainer  # or None
    cdef unsigned long round  # writers who have gone out
    cdef int admitted  # of the waiting readers, those who come in before the next writer
    cdef list absent  # of the waiting readers, those who did not come in when they could
    cdef bint half_written  # a step is being made
    cdef unsigned long forks  # as of the last look

    cdef int look_around(self) except -1
    cdef int pause(self) except -1
    cdef int count_waiting_readers(self) except -1
    cdef int refuse_half_written(self) except -1
    cdef bint may_read_again(self) except -1
    cdef int start_reading(self) except -1
    cdef int stop_reading(self) except -1
    cdef int start_writing(self) except -1
    cdef int stop_writing(self) except -1

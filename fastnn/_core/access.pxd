cimport cython

# A number that one thread writes and another one reads, without a lock in common.
cdef extern from *:
    """
    #define fnn_load_relaxed(p) __atomic_load_n((p), __ATOMIC_RELAXED)
    #define fnn_store_relaxed(p, value) __atomic_store_n((p), (value), __ATOMIC_RELAXED)
    #ifdef Py_GIL_DISABLED
    #define fnn_claim(p) (__atomic_exchange_n((p), 1, __ATOMIC_ACQUIRE) == 0)
    #define fnn_release(p) __atomic_store_n((p), 0, __ATOMIC_RELEASE)
    #else
    #define fnn_claim(p) (*(p) == 0 && (*(p) = 1))
    #define fnn_release(p) (*(p) = 0)
    #endif
    """
    int load_relaxed "fnn_load_relaxed"(const int *p) noexcept nogil
    void store_relaxed "fnn_store_relaxed"(int *p, int value) noexcept nogil
    # What one thread has at a time, from 0 to 1 and back; with the GIL, where there is one
    bint claim "fnn_claim"(int *p) noexcept
    void release "fnn_release"(int *p) noexcept


@cython.final
cdef class Access:
    cdef int readers  # inside
    cdef list reading_threads  # idents of the threads of those whose call a signal handler may interrupt
    cdef list waiting_readers  # idents, as in the next two
    cdef int n_waiting_readers  # their number, for the writer, who looks at it in the middle of its work
    cdef list waiting_writers
    cdef object writer  # or None
    cdef object trainer  # or None
    cdef unsigned long round  # writers who have gone out
    cdef int admitted  # of the waiting readers, those who come in before the next writer
    cdef list absent  # of the waiting readers, those who did not come in when they could
    cdef bint half_written  # a step is being made
    cdef unsigned long forks  # as of the last look

    # In a critical section of this
    cdef int look_around(self) except -1
    cdef int count_waiting_readers(self) except -1
    cdef int refuse_half_written(self) except -1
    cdef bint may_read_again(self) except -1
    cdef bint read_at_once(self) except -1
    cdef unsigned long await_turn_to_read(self, ident) except? 0
    cdef bint read_in_turn(self, ident, unsigned long *round) except -1
    cdef int give_up_turn_to_read(self, ident, unsigned long round) except -1
    cdef bint write_in_turn(self, ident, double limit) except -1
    # These enter one
    cdef int start_reading(self) except -1
    cdef int wait_to_read(self) except -1
    cdef int stop_reading(self) except -1
    cdef int start_writing(self) except -1
    cdef int stop_writing(self) except -1
    cdef int start_training(self) except -1
    cdef int note_reader(self) except -1
    cdef int forget_reader(self) except -1

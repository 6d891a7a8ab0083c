cdef class Access:
    cdef int readers  # inside
    cdef list reading_threads  # idents of the threads of those whose call a signal handler may interrupt
    cdef list waiting_readers  # idents, as in the next two
    cdef int n_waiting_readers  # their number: the writer reads it without the GIL
    cdef list waiting_writers
    cdef object writer  # or None
    cdef object trainer  # or None
    cdef unsigned long round  # writers who have gone out
    cdef int admitted  # of the waiting readers, those who come in before the next writer
    cdef unsigned long forks  # as of the last look

    cdef int look_around(self) except -1
    cdef int pause(self) except -1
    cdef bint may_read_again(self) except -1
    cdef int start_reading(self) except -1
    cdef int stop_reading(self) except -1
    cdef int start_writing(self) except -1
    cdef int stop_writing(self) except -1

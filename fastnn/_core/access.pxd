cdef class Access:
    cdef int readers
    cdef int waiting_writers
    cdef object writer  # ident of its thread, or None
    cdef unsigned long round  # writers who have gone out
    cdef int waiting  # readers
    cdef int admitted  # of those, who come in before the next writer
    cdef object trainer  # ident of the thread that trains, or None
    cdef int pid

    cdef int look_around(self) except -1
    cdef int pause(self) except -1
    cdef int start_reading(self) except -1
    cdef int stop_reading(self) except -1
    cdef int start_writing(self) except -1
    cdef int stop_writing(self) except -1

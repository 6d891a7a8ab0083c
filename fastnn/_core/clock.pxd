"""A clock that only goes forward."""
cdef extern from "system.h" nogil:
    double now "fnn_now"()  # seconds since some moment

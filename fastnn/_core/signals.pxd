from cpython.ref cimport PyObject
from libc.stdint cimport uint64_t

from fastnn._core.state cimport TrainingState

# What a member votes at a barrier, and how a run ended. Bits, because votes are or-ed.
cdef enum:
    RUNNING = 0
    OUT_OF_TIME = 1
    INTERRUPTED = 2
    LOSS_NOT_FINITE = 4
    UPDATE_NOT_FINITE = 8
    FORKED = 16


cdef class UserCode:
    cdef TrainingState state  # or None
    cdef object views  # whose `has_views` says whether a user has views of the parameters
    cdef object gradient_hook  # or None
    cdef list layer_gradients  # its second argument, for each layer
    cdef object error  # what was raised, until the run is over

    cdef bint is_watched(self) except -1
    cdef int check_signals(self) noexcept
    cdef int call_gradient_hook(self, size_t layer) noexcept
    cdef int raise_error(self) except -1

# Looks at signals inside a run.
cdef struct Signals:
    PyObject *user_code  # a UserCode that outlives the run
    uint64_t caller_float_state
    double next_check
    bint in_tiles  # whether steps are long enough to look between two tiles

cdef int check_interrupts() except -1
cdef void begin_run(Signals *signals) noexcept nogil
cdef int votes_of(Signals *signals, int member) noexcept nogil
cdef int pending_signals(Signals *signals) noexcept nogil

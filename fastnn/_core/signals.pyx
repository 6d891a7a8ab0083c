"""Code of the user's that runs in the middle of a step: signal handlers, and the gradient hook.

It may raise, fork, and write to the network's parameters. Signal handlers run in the main thread
alone: it tells its helpers when they are to end.
"""
import threading

from cpython.exc cimport PyErr_CheckSignals

from fastnn._core.clock cimport now
from fastnn._core.kernels cimport flush_denormals, set_float_state
from fastnn._core.state cimport TrainingState

cdef extern from "system.h" nogil:
    int number_of_process "fnn_process"()

# Seconds between two looks at pending signals, inside a step.
cdef double SIGNAL_SECONDS = 0.05

_of_thread = threading.local()


class Stopped(Exception):
    """This thread was told to end what it does."""


def stop_when(stop):
    """From now on, this thread's computations end with `Stopped` where they are told to.

    Parameters
    ----------
    stop : threading.Event
    """
    _of_thread.stop = stop


def check_stop():
    """Raises `Stopped` where this thread was told to end."""
    check_interrupts()


cdef int check_interrupts() except -1:
    """Runs the handlers of pending signals; raises what they do, and `Stopped`."""
    PyErr_CheckSignals()
    stop = getattr(_of_thread, "stop", None)
    if stop is not None and stop.is_set():
        raise Stopped
    return 0


cdef class UserCode:
    """What may run, and what it raised.

    Parameters
    ----------
    state : TrainingState or None
        Saved where the user's code changed the parameters, or may change the update. It runs before
        the update of a step, so this is the state before the mini-batch.
    gradient_hook : callable or None
        ``gradient_hook(layer, gradient)``, called after the backward pass for each layer, the last
        one first, with a view of that layer's weights and bias in the stored gradient.
    layer_gradients : list of ndarray
        Those views.
    """

    def __init__(self, TrainingState state, gradient_hook, list layer_gradients):
        self.state = state
        self.gradient_hook = gradient_hook
        self.layer_gradients = layer_gradients

    cdef bint is_watched(self) except -1:
        """Whether the user's code may write to the parameters."""
        return self.state is not None and self.views is not None and self.views.has_views

    cdef int check_signals(self) noexcept:
        """INTERRUPTED if a signal handler raised."""
        try:
            before = self.state.measure_checksum() if self.is_watched() else None
            try:
                check_interrupts()
            finally:
                if self.is_watched() and self.state.measure_checksum() != before:
                    self.state.save()
            return RUNNING
        except BaseException as error:
            self.error = error
            return INTERRUPTED

    cdef int call_gradient_hook(self, size_t layer) noexcept:
        """INTERRUPTED if the hook raised."""
        try:
            if layer == <size_t> len(self.layer_gradients) - 1:
                self.state.save()
            self.gradient_hook(layer, self.layer_gradients[layer])
            return RUNNING
        except BaseException as error:
            self.error = error
            return INTERRUPTED

    cdef int raise_error(self) except -1:
        error = self.error
        self.error = None
        raise error


cdef void begin_run(Signals *signals) noexcept nogil:
    """On the caller's thread, before the team runs."""
    signals.next_check = now() + SIGNAL_SECONDS
    signals.caller_float_state = flush_denormals()
    set_float_state(signals.caller_float_state)


cdef int votes_of(Signals *signals, int member) noexcept nogil:
    """Between two tiles of a long step: what member 0 learns from signals."""
    if member == 0 and signals.in_tiles:
        return pending_signals(signals)
    return RUNNING


cdef int pending_signals(Signals *signals) noexcept nogil:
    """INTERRUPTED if a signal handler raised.

    FORKED if one has forked and this is the child: the team's other members are gone, with what
    they were at, so the gradient of this mini-batch has to be begun again.
    """
    cdef double t = now()
    cdef int vote
    cdef int process
    if t < signals.next_check:
        return RUNNING
    signals.next_check = t + SIGNAL_SECONDS
    process = number_of_process()
    set_float_state(signals.caller_float_state)  # handlers are the user's code
    with gil:
        vote = (<UserCode> signals.user_code).check_signals()
    flush_denormals()
    if vote == RUNNING and number_of_process() != process:
        return FORKED
    return vote

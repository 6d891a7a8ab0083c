"""Training together with others who hold other samples: what a step sums up over all, and failures.

All do the same in the same order: sums in a step, texts between steps. Who fails takes part in what the
others expect next, and says so there; then all leave. What they expect follows from what has been done,
and is written down here, where no signal handler runs between two lines: handlers run in Python code,
and in `look_at_signals`. So between a collective and what is noted of it no Python function is called,
and what starts a sum or a copy must be compiled too.
"""
import builtins

import numpy as np

from cpython.exc cimport PyErr_CheckSignals

from fastnn._core.clock cimport now

cdef extern from "system.h" nogil:
    void give_way "fnn_yield"()
    void sleep "fnn_sleep"(unsigned int microseconds)

# Between two looks at signals while waiting.
cdef double SIGNAL_SECONDS = 0.05
# Looks at what is waited for: first without a pause, then giving way to other threads; after so many
# seconds with pauses.
cdef int EAGER_LOOKS = 200
cdef double EAGER_SECONDS = 0.02
cdef unsigned int PAUSE_MICROSECONDS = 100
# How long one that has failed waits for the others, who are to be told.
cdef double LEAVE_SECONDS = 7


class Left(Exception):
    """Raised where another one has failed: which one, and why, is told next."""


def text_of(error):
    """An error, to be told."""
    import json  # here: it makes the import of fastnn longer

    text = str(error)
    if not text and isinstance(error, KeyboardInterrupt):
        text = "interrupted"
    return json.dumps([type(error).__name__, text]).encode()


def error_of(bytes text, str prefix):
    """An error like the one that was told: of the same class, if it is one of Python's."""
    import json

    kind, message = json.loads(text)
    cls = getattr(builtins, kind, None)
    if isinstance(cls, type) and issubclass(cls, (Exception, KeyboardInterrupt)):
        try:
            return cls(prefix + (message or kind))
        except TypeError:  # a class that takes more than a text
            pass
    return RuntimeError(f"{prefix}{kind}{': ' if message else ''}{message}")


cdef class Exchange:
    """One of several who train a network together.

    Parameters
    ----------
    rank, size : int
        Which of how many.
    start_sum : callable
        ``start_sum(array)`` starts to add up the arrays of all, in place.
    start_copy : callable
        ``start_copy(array)`` starts to write the array of rank 0 over the others'.
    start_gather : callable
        ``start_gather(array, [arrays, counts])`` starts to put the arrays of all in a row.

    Notes
    -----
    All three return at once, an object whose ``Test()`` says whether it is done.
    """

    def __init__(self, int rank, int size, start_sum, start_copy, start_gather):
        self.rank, self.size = rank, size
        self.start_sum, self.start_copy = start_sum, start_copy
        self.start_gather = start_gather
        self.status = np.zeros(N_STATUS)
        self.sums, self.requests = [self.status], []

    def share_out(self, firsts, noise_shifts, weights, size_t batch_size, size_t n_samples,
                  double total_weight, bint has_weights):
        """Says which samples every step of an epoch has.

        Parameters
        ----------
        firsts : ndarray of shape (n_steps + 1,), uint64
            Samples of this one before each step, in the order of the epoch.
        noise_shifts : ndarray of shape (n_steps,), uint64
            What is added to the numbers of this one's samples, so that no two of all have the same.
        weights : ndarray of shape (n_steps,), float64
            Of the samples of all.
        batch_size, n_samples : int
            Of all.
        total_weight : float
            Of the samples of all.
        has_weights : bool
            Whether `weights` is to be measured in every epoch.
        """
        self.firsts, self.noise_shifts, self.weights = firsts, noise_shifts, weights
        self.n_steps = len(weights)
        self.batch_size, self.n_samples = batch_size, n_samples
        self.total_weight, self.has_weights = total_weight, has_weights

    # ---- between steps ---------------------------------------------------------------------------

    def gather(self, bytes text=b"", bint trains_on=False):
        """The texts of all.

        Parameters
        ----------
        text : bytes
        trains_on : bool
            Of rank 0: whether all train for an epoch next.

        Returns
        -------
        list of bytes

        Raises
        ------
        Exception
            Where one of them has failed: that one's own error, or one like it.
        """
        if self.error is not None:
            raise self.tell(self.take_error())
        return self.gather_parts(text, False, trains_on)

    def copy(self, arrays):
        """Writes the arrays of rank 0 over those of the others."""
        self.gather()
        for array in arrays:
            self.wait(self.start_copy(array))

    def run(self, function):
        """Calls a function that does all that these do together; its result.

        Raises
        ------
        Exception
            What one of them has raised, in all of them.
        """
        try:
            result = function()
        except BaseException as error:
            if self.is_over or self.is_broken:
                raise
            raise self.leave(None if isinstance(error, Left) else error) from None
        if self.error is not None:  # after the last that all did together
            raise self.take_error()
        return result

    cdef list gather_parts(self, bytes text, bint failed, bint trains_on):
        cdef list texts = [], who = []
        cdef size_t first = 0
        cdef int i
        own = np.array([len(text), failed, trains_on], np.int64)
        heads = np.empty((self.size, 3), np.int64)
        self.wait(self.start_gather(own, [heads, [3] * self.size]))
        counts = heads[:, 0].tolist()
        together = np.empty(sum(counts), np.uint8)
        self.wait(self.start_gather(np.frombuffer(text, np.uint8), [together, counts]))
        data = together.tobytes()
        for count in counts:
            texts.append(data[first:first + <size_t> count])
            first += <size_t> count
        flags = heads[:, 1].tolist()
        for i in range(self.size):
            if flags[i]:
                who.append(i)
        if len(who) > 0:
            self.is_over = True
            if not failed:
                raise error_of(texts[who[0]], f"rank {who[0]}: ")
            if who[0] != self.rank and len(who) == self.size:  # in all: they have failed alike
                raise error_of(texts[who[0]], "")
        if heads[0, 2]:
            self.steps_left, self.weights_are_due = self.n_steps, self.has_weights
        return texts

    cdef object tell(self, error):
        """Tells the others of a failure, or hears of theirs; what is to be raised."""
        text = b""
        self.failed_at = now()
        if error is not None:
            try:
                text = text_of(error)
            except BaseException:  # a handler that has raised again, or a text that is none
                text = b'["RuntimeError", "an error without a text"]'
        try:
            self.gather_parts(text, error is not None, False)
        except BaseException as other:
            return error if self.is_broken and error is not None else other
        return error

    cdef object leave(self, error):
        """Takes part in the step that the others are at, then tells them."""
        cdef double loss = 0, hits = 0
        self.failed_at = now()
        if self.weights_are_due:
            self.sum_weights()
        if self.steps_left > 0 and not self.is_broken:
            self.finish_step(True, False, &loss, &hits)
        if self.is_broken:
            return self.take_error() if error is None else error
        if error is None:
            error = self.take_error()
        return self.tell(error)

    cdef object take_error(self):
        error = self.error
        self.error = None
        return error

    cdef int note(self, error) except -1:
        if self.error is None:
            self.error = error
        if self.failed_at == 0:
            self.failed_at = now()
        return 0

    # ---- waiting ---------------------------------------------------------------------------------

    cdef int look_at_signals(self) except -1:
        """What a handler raises is told with the next sums or texts."""
        try:
            PyErr_CheckSignals()
        except BaseException as error:
            self.note(error)
        return 0

    cdef int wait(self, request) except -1:
        cdef double start = now(), next_look = start + SIGNAL_SECONDS, t
        cdef int looks = 0
        while not request.Test():
            looks += 1
            if looks < EAGER_LOOKS:
                continue
            t = now()
            with nogil:
                if t - start < EAGER_SECONDS:
                    give_way()
                else:
                    sleep(PAUSE_MICROSECONDS)
            if t > next_look:
                next_look = t + SIGNAL_SECONDS
                self.look_at_signals()
            if self.failed_at > 0 and t - self.failed_at > LEAVE_SECONDS:
                self.is_broken = True
                raise TimeoutError("the other ranks do not answer")
        return 0

    # ---- in a step -------------------------------------------------------------------------------

    cdef int hold_sums(self, list sums) except -1:
        """The arrays that a step sums up, in their order; losses and failures come last."""
        self.sums = [*sums, self.status]
        return 0

    cdef int begin_sums(self, size_t until) except -1:
        """Those before `until`, and a look at those under way, which may need one to go on."""
        for request in self.requests:
            request.Test()
        while self.next_sum < until:
            self.requests.append(self.start_sum(self.sums[self.next_sum]))
            self.next_sum += 1
        return 0

    cdef int finish_sums(self) except -1:
        for request in self.requests:
            self.wait(request)
        self.requests = []
        return 0

    cdef int sum_weights(self) noexcept:
        """Of the steps of an epoch."""
        try:
            self.weights_are_due = False
            self.wait(self.start_sum(self.weights))
            return 0
        except BaseException as error:
            return self.give_up(error)

    cdef int sum_next(self) noexcept:
        """What the step goes on with, at once."""
        try:
            self.begin_sums(self.next_sum + 1)
            self.finish_sums()
            return 0
        except BaseException as error:
            return self.give_up(error)

    cdef int announce(self) noexcept:
        """The next of the arrays holds what is to be summed up."""
        try:
            self.begin_sums(self.next_sum + 1)
            return 0
        except BaseException as error:
            return self.give_up(error)

    cdef int finish_step(self, bint failed, bint is_empty, double *loss, double *hits) noexcept:
        """Begins what has not been, and waits for all: the losses and hits of all.

        `is_empty`: this one has no samples in this step.
        """
        cdef double[::1] status = self.status
        try:
            if is_empty:
                for array in self.sums:
                    array.fill(0)
            status[LOSS] = loss[0]
            status[HITS] = hits[0]
            status[FAILURES] = failed or self.error is not None
            self.begin_sums(len(self.sums))
            self.finish_sums()
            self.next_sum = 0
            self.steps_left -= 1
            loss[0], hits[0] = status[LOSS], status[HITS]
            if status[FAILURES] > 0:
                self.steps_left = 0
                return 1
            return 0
        except BaseException as error:
            return self.give_up(error)

    cdef int give_up(self, error) noexcept:
        """The sums themselves have failed."""
        self.is_broken = True
        if self.error is None:
            self.error = error
        return 1

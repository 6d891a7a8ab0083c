# What is summed up over all with the last sums of a step.
cdef enum:
    LOSS
    HITS
    FAILURES
    N_STATUS

cdef class Exchange:
    cdef readonly int rank
    cdef readonly int size
    cdef object start_sum
    cdef object start_copy
    cdef object start_gather
    # this one's part of the steps of an epoch
    cdef readonly object firsts  # (n_steps + 1,) uint64: own samples before each step
    cdef readonly object noise_shifts  # (n_steps,) uint64: from own samples' numbers to those of all
    cdef readonly object weights  # (n_steps,) float64: of the samples of all
    cdef readonly size_t n_steps
    cdef readonly size_t batch_size  # of all
    cdef readonly size_t n_samples  # of all
    cdef readonly double total_weight  # of all
    cdef readonly bint has_weights
    cdef bint weights_are_due  # the next step begins with those of its epoch
    cdef size_t steps_left  # before the others expect something else than a step
    # the arrays that a step sums up, in their order
    cdef list sums
    cdef object status  # (N_STATUS,) float64, the last of them
    cdef size_t next_sum
    cdef list requests  # those under way
    # how it ends
    cdef object error  # what was raised here, and has not been told yet
    cdef double failed_at  # by the clock; 0: nothing has
    cdef readonly bint is_over  # all know of a failure
    cdef readonly bint is_broken  # the others could not be told

    cdef int hold_sums(self, list sums) except -1
    cdef int note(self, error) except -1
    cdef int look_at_signals(self) except -1
    cdef int wait(self, request) except -1
    cdef int begin_sums(self, size_t until) except -1
    cdef int finish_sums(self) except -1
    cdef list gather_parts(self, bytes text, bint failed, bint trains_on)
    cdef object tell(self, error)
    cdef object leave(self, error)
    cdef object take_error(self)
    # for a step, whose members hold no GIL otherwise; not 0: it is to be given up
    cdef int sum_weights(self) noexcept
    cdef int sum_next(self) noexcept
    cdef int announce(self) noexcept
    cdef int finish_step(self, bint failed, bint is_empty, double *loss, double *hits) noexcept
    cdef int give_up(self, error) noexcept

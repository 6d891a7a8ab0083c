from libc.stdint cimport uint64_t

# NumPy's contract with users of its bit generators; a cimport of numpy.random would import it all.
cdef extern from "numpy/random/bitgen.h":
    ctypedef struct bitgen_t:
        void *state
        uint64_t (*next_uint64)(void *state) noexcept nogil

# Where training is.
cdef struct Progress:
    uint64_t n_updates  # steps so far, those of earlier calls included
    size_t epoch  # finished ones of this call
    size_t start  # first sample of the next mini-batch
    size_t step  # of the epoch, where others take part
    bint is_block_done  # and nothing more to be done before the next one
    double epoch_loss  # weighted sum over the samples of this epoch so far
    double epoch_hits  # right predictions, the same
    double epoch_weight  # of the samples of this epoch in finished blocks


cdef class TrainingState:
    cdef readonly object parameters  # (n_parameters,), the first of the blocks
    cdef tuple blocks
    cdef object order  # (n_samples,) int64, or None: in the order given
    cdef object bit_generator  # or None
    cdef Progress progress
    # the copy, and when the next one is due
    cdef tuple copies
    cdef object saved_order
    cdef object saved_random_state
    cdef Progress saved_progress
    cdef double next_save
    # the parameters' checksum when the last step was done, while views of them are about
    cdef bint has_checksum
    cdef uint64_t checksum

    cdef int save(self) except -1
    cdef bint is_as_left(self, bint watched) except -1
    cdef int save_if_due(self, bint as_left) except -1
    cdef int restore(self) except -1
    cdef uint64_t measure_checksum(self) except? 0
    cdef int note_checksum(self, bint watched) except -1

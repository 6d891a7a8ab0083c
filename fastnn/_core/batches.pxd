from libc.stdint cimport int64_t

from fastnn._core.state cimport Progress, bitgen_t
from fastnn._core.step cimport MiniBatch, Run, Sums

cdef void shuffle(int64_t *order, const int64_t *subset, size_t n, bitgen_t *bitgen) noexcept nogil
cdef MiniBatch next_batch(const Run *run, const Progress *progress) noexcept nogil
cdef void record_step(const Run *run, Progress *progress, const Sums *sums,
                      const MiniBatch *batch) noexcept nogil


cdef inline bint is_epoch_new(const Progress *progress) noexcept nogil:
    """Whether no step of it, or of its block, has been done."""
    return progress.start == 0 and progress.step == 0

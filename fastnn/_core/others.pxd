from fastnn._core.buckets cimport Bucket
from fastnn._core.geometry cimport Rows
from fastnn._core.kernels cimport fnn_team
from fastnn._core.step cimport Run, Sums

cdef int sum_phase(Run *run, fnn_team *team, int member) noexcept nogil
cdef int bucket_phase(Run *run, fnn_team *team, int member, const Rows *slab, const Bucket *bucket,
                      bint accumulate) noexcept nogil
cdef int finish_sums(Run *run, fnn_team *team, int member, int vote, bint is_empty,
                     Sums *sums) noexcept nogil
cdef void sum_epoch_weights(Run *run) noexcept nogil

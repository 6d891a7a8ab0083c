from fastnn._core.geometry cimport Geometry
from fastnn._core.kernels cimport fnn_gemm, fnn_input
from fastnn._core.tuner cimport Tuner

cdef enum:
    N_CALL_SIZES = 12  # each of twice as many operations as the one before

cdef class Pool:
    cdef list arrays

    cdef object take(self, size_t n_bytes)
    cdef object find(self, size_t n_bytes)
    cdef int refill(self, list arrays) except -1

cdef class Plan:
    cdef Geometry geometry  # all layers
    cdef Geometry inference  # without those that only training has
    cdef Geometry sparse  # the same two for sparse samples, once somebody has come with some
    cdef Geometry sparse_inference
    cdef readonly object dtype
    cdef const fnn_input *own_input  # reads arrays of the plan's own dtype
    cdef fnn_gemm gemm  # NULL until it has been prepared
    cdef double flops_a_row  # of a forward pass
    cdef Tuner[N_CALL_SIZES] tuners  # of inference, by the size of the call
    cdef Pool pool  # the buffers of the last training run, for the next one

    cdef int add_layer(self, size_t i, size_t n_in, object layer) except -1
    cdef void cut_rows(self, Geometry *g, size_t n_features) noexcept
    cdef int take_sparse(self) except -1
    cdef Geometry *training_geometry(self, bint is_sparse) except NULL
    cdef Geometry *inference_geometry(self, bint is_sparse) except NULL
    cdef int add_loss(self, parameters) except -1
    cdef fnn_gemm prepare_gemm(self, int n_threads=*) except NULL
    cdef Tuner *tuner_for(self, double flops) noexcept

cdef size_t forward_scratch(const Geometry *g, size_t rows) noexcept
cdef size_t training_scratch(const Geometry *g, size_t rows) noexcept
cdef double step_flops(const Geometry *g, double rows, double n_entries) noexcept

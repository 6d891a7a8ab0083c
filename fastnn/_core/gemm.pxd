from fastnn._core.geometry cimport Matrix
from fastnn._core.kernels cimport fnn_gemm, fnn_kernels

cdef fnn_gemm gemm_for(const fnn_kernels *kernels, int n_threads, object choice=*) except NULL

cdef class Operand:
    cdef Matrix matrix
    cdef object memory

from fastnn._core.kernels cimport fnn_gemm

cdef fnn_gemm gemm_for(object dtype, int n_threads) except NULL

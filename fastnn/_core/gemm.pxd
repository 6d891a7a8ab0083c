from fastnn._core.kernels cimport fnn_gemm, fnn_kernels

cdef fnn_gemm gemm_for(const fnn_kernels *kernels, int n_threads, object choice=*) except NULL

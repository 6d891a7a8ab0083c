"""Matrix products: the one façade, and the BLAS behind it.

The BLAS is the private OpenBLAS of the package ``scipy-openblas32``. It is loaded at first use and
runs on the calling thread alone: the team of this library divides the work.
"""
import mmap
import os
import threading

import numpy as np

from fastnn._core.kernels cimport fnn_gemm
from libc.stdint cimport uintptr_t

# CBLAS: order and transposition, as in every cblas.h
cdef enum:
    ROW_MAJOR = 101
    NO_TRANSPOSE = 111
    TRANSPOSE = 112

ctypedef void (*cblas_sgemm)(int order, int transpose_a, int transpose_b, int m, int n, int k,
                             float alpha, const void *a, int lda, const void *b, int ldb,
                             float beta, void *c, int ldc) noexcept nogil
ctypedef void (*cblas_dgemm)(int order, int transpose_a, int transpose_b, int m, int n, int k,
                             double alpha, const void *a, int lda, const void *b, int ldb,
                             double beta, void *c, int ldc) noexcept nogil

cdef cblas_sgemm sgemm = NULL
cdef cblas_dgemm dgemm = NULL


cdef void blas_gemm_f32(int transpose_a, int transpose_b, size_t m, size_t n, size_t k,
                        const void *a, size_t lda, const void *b, size_t ldb, int beta,
                        void *c, size_t ldc) noexcept nogil:
    sgemm(ROW_MAJOR, TRANSPOSE if transpose_a else NO_TRANSPOSE,
          TRANSPOSE if transpose_b else NO_TRANSPOSE, <int> m, <int> n, <int> k,
          1, a, <int> lda, b, <int> ldb, beta, c, <int> ldc)


cdef void blas_gemm_f64(int transpose_a, int transpose_b, size_t m, size_t n, size_t k,
                        const void *a, size_t lda, const void *b, size_t ldb, int beta,
                        void *c, size_t ldc) noexcept nogil:
    dgemm(ROW_MAJOR, TRANSPOSE if transpose_a else NO_TRANSPOSE,
          TRANSPOSE if transpose_b else NO_TRANSPOSE, <int> m, <int> n, <int> k,
          1, a, <int> lda, b, <int> ldb, beta, c, <int> ldc)


# ---- loading ---------------------------------------------------------------------------------

#: What OpenBLAS says of itself, None before it is loaded.
blas_config = None
_lock = threading.Lock()
_reserved = 0  # threads that surely find a packing buffer

# OpenBLAS ends the process when it cannot map a packing buffer. It keeps the buffers it has, one
# for each thread that ever multiplied at the same time, each of 32 MiB (BUFFER_SIZE of x86-64),
# so they are made once, where running out of memory can still be said.
cdef size_t PACKING_BUFFER_BYTES = 34 << 20


def _reserve(int n_threads):
    """Lets OpenBLAS make its packing buffers now, for `n_threads` products at once."""
    global _reserved
    if n_threads <= _reserved:
        return
    try:
        mmap.mmap(-1, n_threads * PACKING_BUFFER_BYTES).close()
    except (OSError, ValueError) as error:
        raise MemoryError("no memory for the packing buffers of the BLAS") from error
    # Each thread multiplies until all have been at it together.
    barrier = threading.Barrier(n_threads)
    ones = np.ones((192, 192), np.float32)

    def multiply():
        cdef const float[:, ::1] a = ones
        cdef float[:, ::1] c = np.empty_like(ones)
        cdef int i
        barrier.wait()
        with nogil:
            for i in range(4):
                blas_gemm_f32(0, 0, 192, 192, 192, &a[0, 0], 192, &a[0, 0], 192, 0, &c[0, 0], 192)

    helpers = [threading.Thread(target=multiply) for _ in range(n_threads - 1)]
    for helper in helpers:
        helper.start()
    multiply()
    for helper in helpers:
        helper.join()
    _reserved = n_threads


def _load_blas():
    """Loads the private OpenBLAS without letting it start threads."""
    global sgemm, dgemm, blas_config
    import ctypes

    import scipy_openblas32

    path = os.path.join(scipy_openblas32.get_lib_dir(), scipy_openblas32.get_library(fullname=True))
    # It makes one thread for each CPU it may use when it is loaded. Confined to one, it makes none;
    # only this thread is confined, and no environment variable is touched.
    affinity = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else None
    if affinity is not None:
        os.sched_setaffinity(0, {min(affinity)})
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        if "memory" in str(error) or "failed to map" in str(error):
            raise MemoryError(f"no memory to load the BLAS: {error}") from error
        raise
    finally:
        if affinity is not None:
            os.sched_setaffinity(0, affinity)
    library.scipy_openblas_set_num_threads(1)
    library.scipy_openblas_get_config.restype = ctypes.c_char_p
    sgemm = <cblas_sgemm> <uintptr_t> ctypes.cast(library.scipy_cblas_sgemm, ctypes.c_void_p).value
    dgemm = <cblas_dgemm> <uintptr_t> ctypes.cast(library.scipy_cblas_dgemm, ctypes.c_void_p).value
    blas_config = library.scipy_openblas_get_config().decode()


def load(int n_threads=1):
    """Makes the BLAS ready for `n_threads` products at the same time."""
    with _lock:
        if blas_config is None:
            _load_blas()
        _reserve(n_threads)


cdef fnn_gemm gemm_for(object dtype, int n_threads) except NULL:
    """The product for matrices of `dtype`, ready for `n_threads` callers at the same time."""
    if n_threads > _reserved:
        load(n_threads)
    return blas_gemm_f32 if dtype == np.float32 else blas_gemm_f64


def multiply(a, b, c=None, transpose_a=False, transpose_b=False):
    """``op(a) @ op(b)``, added to `c` where given.

    Parameters
    ----------
    a, b : ndarray of two dimensions, float32 or float64, C-contiguous
    c : ndarray of shape (m, n), like `a`, optional
        Not changed.
    transpose_a, transpose_b : bool

    Returns
    -------
    ndarray of shape (m, n)
    """
    from fastnn._core import kernels  # noqa: F401  (keeps the C code loaded)
    m, k = a.shape[::-1] if transpose_a else a.shape
    k_b, n = b.shape[::-1] if transpose_b else b.shape
    if k != k_b or (c is not None and c.shape != (m, n)):
        raise ValueError(f"shapes do not match: {a.shape}, {b.shape}")
    result = np.empty((m, n), a.dtype) if c is None else c.copy()
    if m == 0 or n == 0:
        return result
    cdef fnn_gemm gemm = gemm_for(a.dtype, 1)
    gemm(transpose_a, transpose_b, m, n, k, <const void *> <uintptr_t> a.ctypes.data, a.shape[1],
         <const void *> <uintptr_t> b.ctypes.data, b.shape[1], c is not None,
         <void *> <uintptr_t> result.ctypes.data, n)
    return result

"""Matrix products: the one façade, and what stands behind it.

The library's own kernels (``csrc/gemm.inc.h``) serve every size unless the environment variable
FASTNN_GEMM, read when fastnn is imported, says ``blas``. Then it is the private OpenBLAS of the
package ``scipy-openblas32``, loaded at first use, on the calling thread alone: the team of this
library divides the work.
"""
import mmap
import os
import threading
import time

import numpy as np

from fastnn._core.geometry cimport Matrix, at, in_columns, in_panels, one_panel, row_elements
from fastnn._core.kernels cimport (
    data_of,
    fnn_ahead,
    fnn_gemm,
    fnn_kernels,
    fnn_team,
    kernels_for,
    team_barrier,
    team_run,
    team_size,
    writable_data_of,
)
from libc.stdint cimport uintptr_t
from libc.stdlib cimport free, malloc

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

cdef const fnn_kernels *kernels_f32 = kernels_for(np.dtype(np.float32))
cdef const fnn_kernels *kernels_f64 = kernels_for(np.dtype(np.float64))

GEMMS = ("auto", "own", "blas")


def _choose_gemm():
    chosen = os.environ.get("FASTNN_GEMM", "").lower() or "auto"
    if chosen not in GEMMS:
        raise ImportError(f"FASTNN_GEMM must be one of {', '.join(GEMMS)}, got {chosen!r}")
    return "own" if chosen == "auto" else chosen


#: "own" or "blas": what serves the products. By itself the library takes its own kernels for every
#: size: they are ahead of OpenBLAS at most, and where they are not (a few very narrow outputs) a
#: product takes well below a microsecond. They also allocate nothing, and OpenBLAS ends the process
#: when it cannot (`python -m bench.kernels`, docs/performance.md).
GEMM = _choose_gemm()


cdef void multiply_panels(size_t itemsize, int transpose_a, size_t row, size_t m, size_t column,
                          size_t n, size_t k_first, size_t k, const Matrix *a, const Matrix *b,
                          bint accumulate, const Matrix *c) noexcept nogil:
    """c[row:row + m, column:column + n] (+)= k products each: all of it lies in one panel of a, of b
    and of c."""
    cdef int transposition = TRANSPOSE if transpose_a else NO_TRANSPOSE
    cdef char *a_data = at(a[0], row, k_first, itemsize)
    cdef size_t a_column = k_first
    if transpose_a:
        a_data = at(a[0], k_first, row, itemsize)
        a_column = row
    cdef char *b_data = at(b[0], k_first, column, itemsize)
    cdef char *c_data = at(c[0], row, column, itemsize)
    cdef int lda = <int> row_elements(a[0], a_column)
    cdef int ldb = <int> row_elements(b[0], column), ldc = <int> row_elements(c[0], column)
    if itemsize == sizeof(float):
        sgemm(ROW_MAJOR, transposition, NO_TRANSPOSE, <int> m, <int> n, <int> k, 1, a_data, lda,
              b_data, ldb, accumulate, c_data, ldc)
    else:
        dgemm(ROW_MAJOR, transposition, NO_TRANSPOSE, <int> m, <int> n, <int> k, 1, a_data, lda,
              b_data, ldb, accumulate, c_data, ldc)


cdef void blas_gemm(const fnn_kernels *kernels, int transpose_a, size_t m, size_t n, size_t k,
                    const Matrix *a, const Matrix *b, const void *bias, int accumulate,
                    const Matrix *c) noexcept nogil:
    """A product for each panel of b and c, and of a. A bias becomes what is added to."""
    cdef size_t rows = m, depth = max(k, <size_t> 1), i = 0, j, p, columns
    if transpose_a:
        rows = min(rows, a.width)
    else:
        depth = min(depth, a.width)
    while i < m:
        j = 0
        while j < n:
            columns = min(n - j, min(b.width, c.width))
            if bias != NULL and not accumulate:
                kernels.fill_rows(at(c[0], i, j, kernels.itemsize), row_elements(c[0], j),
                                  <const char *> bias + j * kernels.itemsize, min(rows, m - i),
                                  columns)
            p = 0
            while p < k or p == 0:
                multiply_panels(kernels.itemsize, transpose_a, i, min(rows, m - i), j, columns, p,
                                min(depth, k - p), a, b,
                                accumulate or bias != NULL or p > 0, c)
                p += depth
            j += columns
        i += rows


cdef void blas_gemm_f32(int transpose_a, size_t m, size_t n, size_t k, const Matrix *a,
                        const Matrix *b, const void *bias, int accumulate, const Matrix *c,
                        const fnn_ahead *ahead, void *scratch) noexcept nogil:
    blas_gemm(kernels_f32, transpose_a, m, n, k, a, b, bias, accumulate, c)


cdef void blas_gemm_f64(int transpose_a, size_t m, size_t n, size_t k, const Matrix *a,
                        const Matrix *b, const void *bias, int accumulate, const Matrix *c,
                        const fnn_ahead *ahead, void *scratch) noexcept nogil:
    blas_gemm(kernels_f64, transpose_a, m, n, k, a, b, bias, accumulate, c)


# ---- loading ---------------------------------------------------------------------------------

#: What OpenBLAS says of itself, None before it is loaded.
blas_config = None
_lock = threading.RLock()  # a signal handler may have interrupted the thread that has it
_reserved = 0  # threads that surely find a packing buffer

# OpenBLAS ends the process when it cannot map a packing buffer. It keeps the buffers it has, one
# for each thread that ever multiplied at the same time, each of 32 MiB (BUFFER_SIZE of x86-64),
# so they are made once, where running out of memory can still be said.
cdef size_t PACKING_BUFFER_BYTES = 34 << 20


def _require_address_space(size_t n_bytes):
    try:
        mmap.mmap(-1, n_bytes).close()
    except (OSError, ValueError) as error:
        raise MemoryError("no memory for the BLAS and its packing buffers") from error


# A product of some 10 ms: longer than the time a thread is given where threads outnumber the CPUs,
# so that all of them are inside it at once. (One of 0.2 ms left a buffer to be made later.)
cdef enum:
    ONES = 192  # rows of the first factor and columns of the second
    ONES_INNER = 8192

cdef struct Ones:
    const float *a
    float *c  # a result for each member
    int n_members


cdef void allocate_little(void *blocks, fnn_team *team, int member) noexcept nogil:
    team_barrier(team, 0)
    (<void **> blocks)[member] = malloc(1)
    team_barrier(team, 0)
    free((<void **> blocks)[member])


cdef void multiply_ones(void *context, fnn_team *team, int member) noexcept nogil:
    cdef Ones *ones = <Ones *> context
    cdef int i
    if member == 0:
        ones.n_members = team_size(team)
    team_barrier(team, 0)  # then all are at it together
    for i in range(4):
        sgemm(ROW_MAJOR, NO_TRANSPOSE, NO_TRANSPOSE, ONES, ONES, ONES_INNER, 1, ones.a, ONES_INNER,
              ones.a, ONES, 0, ones.c + member * ONES * ONES, ONES)


def _reserve(int n_threads):
    """Lets OpenBLAS make its packing buffers now, for `n_threads` products at once.

    On the team: helpers of Python's would wait for ever for a caller that Ctrl-C takes away. Where
    it has fewer members now, the next call tries again.
    """
    global _reserved
    cdef Ones ones
    cdef const float[::1] a
    cdef float[:, :, ::1] c
    cdef uintptr_t[::1] blocks
    if n_threads <= _reserved:
        return
    a = np.ones(ONES * ONES_INNER, np.float32)
    c = np.empty((n_threads, ONES, ONES), np.float32)
    blocks = np.empty(n_threads, np.uintp)
    ones.a = &a[0]
    ones.c = &c[0, 0, 0]
    # Whatever else takes address space comes before the question whether there is enough: the
    # threads of the team with their stacks, and the arena (64 MiB) that the C library gives each
    # at its first allocation.
    with nogil:
        team_run(allocate_little, &blocks[0], n_threads)
    _require_address_space(n_threads * PACKING_BUFFER_BYTES)
    with nogil:
        team_run(multiply_ones, &ones, n_threads)
    _reserved = max(_reserved, ones.n_members)


def _library_path():
    """Where the library lies. The package is not imported: that loads it for everybody to see."""
    import glob
    import importlib.util

    spec = importlib.util.find_spec("scipy_openblas32")
    folders = [] if spec is None else list(spec.submodule_search_locations)
    for folder in folders:
        for path in sorted(glob.glob(os.path.join(glob.escape(folder), "lib", "libscipy_openblas*"))):
            return path
    raise ImportError("the BLAS is not installed: pip install scipy-openblas32")


def _load_blas():
    """Loads the private OpenBLAS without letting it start threads."""
    global sgemm, dgemm, blas_config
    import ctypes

    path = _library_path()
    _require_address_space(os.path.getsize(path) + PACKING_BUFFER_BYTES)  # it makes one at once
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


def _forget_lock():
    """In a forked child, whose parent's other threads may have had it."""
    global _lock
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_forget_lock)


def load(int n_threads=1):
    """Makes the BLAS ready for `n_threads` products at the same time."""
    with _lock:
        if blas_config is None:
            _load_blas()
        _reserve(n_threads)


cdef fnn_gemm gemm_for(const fnn_kernels *kernels, int n_threads, object choice=None) except NULL:
    """The product for a table's numbers, ready for `n_threads` callers at the same time."""
    if (choice or GEMM) == "own":
        return kernels.gemm
    if n_threads > _reserved:
        load(n_threads)
    return blas_gemm_f32 if kernels.itemsize == sizeof(float) else blas_gemm_f64


def scratch_bytes(dtype, bint transpose_a, size_t m, size_t n, size_t k, isa=None):
    """Bytes of scratch that the own product may need: `fnn_kernels.gemm_scratch`."""
    return kernels_for(dtype, isa).gemm_scratch(transpose_a, m, n, k)


def new_scratch(dtype, bint transpose_a, size_t m, size_t n, size_t k, isa=None):
    """As many bytes of new memory, 64-byte aligned."""
    return new_memory(scratch_bytes(dtype, transpose_a, m, n, k, isa))


cdef class Operand:
    """A matrix as the products take it.

    Parameters
    ----------
    array : ndarray of two dimensions, float32 or float64, C-contiguous
    panels : bool or "columns"
        Whether to copy it into the panels that training keeps, or of one column; else it is read in
        place.
    """

    def __init__(self, array, panels, isa=None):
        cdef const fnn_kernels *kernels = kernels_for(array.dtype, isa)
        cdef size_t rows = array.shape[0], columns = array.shape[1]
        self.matrix = one_panel(data_of(array, array.dtype, array.shape), columns)
        self.memory = array
        if panels:
            self.memory = new_memory(array.nbytes)
            self.matrix = in_panels(kernels, writable_data_of(self.memory, self.memory.dtype,
                                                              self.memory.shape), rows, columns)
            if panels == "columns":
                self.matrix = in_columns(<char *> self.matrix.data, rows, columns)
            self.fill(array)

    def pieces(self, array):
        """Each panel's part of `array`, and that panel."""
        width = int(self.matrix.width)
        numbers = self.memory.view(array.dtype)
        for first in range(0, array.shape[1], width):
            piece = array[:, first:first + width]
            begin = first // width * int(self.matrix.panel)
            yield piece, numbers[begin:begin + piece.size].reshape(piece.shape)

    def fill(self, array):
        for piece, panel in self.pieces(array):
            panel[...] = piece

    def read(self, array):
        """Into a C-ordered array."""
        for piece, panel in self.pieces(array):
            piece[...] = panel


def new_memory(n_bytes):
    """That many bytes, 64-byte aligned."""
    memory = np.empty(n_bytes + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start:start + n_bytes]


def multiply(a, b, *, c=None, bias=None, transpose_a=False, gemm=None, isa=None, scratch=None,
             panels=False):
    """``op(a) @ b``, added to `c` or to `bias` in every row, where given.

    Parameters
    ----------
    a, b : ndarray of two dimensions, float32 or float64, C-contiguous
    c : ndarray of shape (m, n), like `a`, optional
        Not changed.
    bias : ndarray of shape (n,), like `a`, optional
    transpose_a : bool
    gemm : {"own", "blas"}, optional
    isa : str, optional
    scratch : ndarray of uint8, 64-byte aligned, optional
        By default new memory.
    panels : bool or "columns"
        Whether the matrices are kept in panels, as in training, or those that have samples for rows
        in panels of one column.

    Returns
    -------
    ndarray of shape (m, n)
    """
    m, k = a.shape[::-1] if transpose_a else a.shape
    n = b.shape[1]
    if b.shape[0] != k or (c is not None and c.shape != (m, n)):
        raise ValueError(f"shapes do not match: {a.shape}, {b.shape}")
    result = np.empty((m, n), a.dtype) if c is None else c.copy()
    if m == 0 or n == 0:
        return result
    of_weights = panels != "columns" and panels
    cdef Operand left = Operand(a, panels, isa)
    cdef Operand right = Operand(b, panels if transpose_a else of_weights, isa)
    cdef Operand out = Operand(result, of_weights if transpose_a else panels, isa)
    cdef const char *bias_data = NULL
    if bias is not None:
        bias_data = data_of(bias, a.dtype, (n,))
    if scratch is None:
        scratch = new_scratch(a.dtype, transpose_a, m, n, k, isa)
    cdef char *scratch_data = writable_data_of(scratch, np.dtype(np.uint8), scratch.shape)
    cdef fnn_gemm product = gemm_for(kernels_for(a.dtype, isa), 1, gemm)
    product(transpose_a, m, n, k, &left.matrix, &right.matrix, bias_data, c is not None, &out.matrix,
            NULL, scratch_data)
    if out.memory is not result:
        out.read(result)
    return result


def time_multiply(out, a, b, bint transpose_a, gemm, size_t n_calls, isa=None, bint panels=False):
    """Seconds that `n_calls` products ``out = op(a) @ b`` take, one after the other.

    Parameters
    ----------
    out : ndarray of shape (m, n), like `a`
        Receives the product, if not in panels.
    a, b, transpose_a, gemm, isa, panels
        As for `multiply`; `out` is in panels where it is no gradient, as in training.
    n_calls : int

    Returns
    -------
    float
    """
    cdef size_t m = out.shape[0], n = out.shape[1], k = b.shape[0], i
    cdef Operand left = Operand(a, panels, isa), right = Operand(b, panels, isa)
    cdef Operand result = Operand(out, panels and not transpose_a, isa)
    scratch = new_scratch(out.dtype, transpose_a, m, n, k, isa)
    cdef char *scratch_data = writable_data_of(scratch, np.dtype(np.uint8), scratch.shape)
    cdef fnn_gemm product = gemm_for(kernels_for(out.dtype, isa), 1, gemm)
    if a.shape != ((k, m) if transpose_a else (m, k)) or b.shape[1] != n:
        raise ValueError(f"shapes do not match: {a.shape}, {b.shape}, {out.shape}")
    begin = time.perf_counter()
    with nogil:
        for i in range(n_calls):
            product(transpose_a, m, n, k, &left.matrix, &right.matrix, NULL, 0, &result.matrix,
                    NULL, scratch_data)
    return time.perf_counter() - begin

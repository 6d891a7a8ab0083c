from fastnn._core.geometry cimport (
    Batch,
    Geometry,
    LayerOperations,
    Matrix,
    Pass,
    Rows,
    SortedRows,
    SparseBatch,
)
from fastnn._core.kernels cimport fnn_kernels

cdef const LayerOperations *sparse_operations() noexcept nogil
cdef int hold_sparse(Batch *batch, const fnn_kernels *kernels, X, size_t n_features) except -1
cdef int shift_of(const Geometry *g) noexcept nogil
cdef void sort_entries(const Pass *net, const Rows *rows) noexcept nogil
cdef void add_entries(const Pass *net, size_t group, size_t n_rows, Matrix dweights,
                      size_t first_column, size_t n_columns) noexcept nogil


cdef inline size_t first_entry(const SparseBatch *batch, const SortedRows *piece,
                               size_t group) noexcept nogil:
    """Where the entries of a group begin."""
    return piece.first_entry + (piece.ends[group - 1] if group > 0 else 0)

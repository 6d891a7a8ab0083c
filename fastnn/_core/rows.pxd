from libc.stdint cimport int32_t

from fastnn._core.geometry cimport Geometry, Pass, Rows, Units, all_units

cdef int check_labels(const Geometry *g, const int32_t *labels, size_t n) except -1
cdef void gather(const Pass *net, const Rows *rows) noexcept nogil
cdef void sum_losses(const Pass *net, const Rows *rows, size_t block_rows, double scale,
                     double *losses) noexcept nogil
cdef void sum_hits(const Pass *net, const Rows *rows, size_t block_rows,
                   double *hits) noexcept nogil
cdef void finish_derivative(const Pass *net, const Rows *rows) noexcept nogil


cdef inline void forward(const Pass *net, const Rows *rows, size_t first, size_t end) noexcept nogil:
    """Layers [first, end)."""
    cdef Units units
    cdef size_t layer
    for layer in range(first, end):
        units = all_units(net.geometry.layers[layer].n_out)
        net.geometry.layers[layer].operations.forward(net, layer, rows, &units)

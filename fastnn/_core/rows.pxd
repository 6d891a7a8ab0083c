from libc.stdint cimport int32_t

from fastnn._core.geometry cimport Batch, Geometry, Pass, Rows, Units, all_units

cdef int hold_targets(const Geometry *g, Batch *batch, const char *targets,
                      bint has_labels) except -1
cdef int check_labels(const Geometry *g, const int32_t *labels, size_t n) except -1
cdef double sum_weights(const Batch *batch, size_t first, size_t n) noexcept nogil
cdef void gather(const Pass *net, const Rows *rows) noexcept nogil
cdef void sum_losses(const Pass *net, const Rows *rows, size_t block_rows, double scale,
                     double *losses, double *hits) noexcept nogil
cdef void finish_derivative(const Pass *net, const Rows *rows) noexcept nogil


cdef inline void forward(const Pass *net, const Rows *rows, size_t first, size_t end) noexcept nogil:
    """Layers [first, end), in training."""
    cdef Units units
    cdef size_t layer
    for layer in range(first, end):
        units = all_units(net.geometry.layers[layer].n_out)
        net.geometry.layers[layer].operations.forward(net, layer, rows, &units)


cdef inline void infer(const Pass *net, const Rows *rows) noexcept nogil:
    """All layers, of a network that is trained."""
    cdef Units units
    cdef size_t layer
    for layer in range(net.geometry.n_layers):
        units = all_units(net.geometry.layers[layer].n_out)
        net.geometry.layers[layer].operations.infer(net, layer, rows, &units)

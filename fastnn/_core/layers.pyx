"""The kinds of layers: a row of operations each."""
from fastnn._core.geometry cimport (
    Geometry,
    LayerOperations,
    LayerPass,
    Matrix,
    Pass,
    Rows,
    Units,
    WeightTile,
    at,
    columns_from,
    columns_in_line,
    input_rows,
    owns_bias,
    rows_from,
)
from fastnn._core.kernels cimport fnn_ahead


# ---- dense: z = a_previous @ weights + bias, a = activation(z) ----------------------------------

cdef size_t dense_n_parameters(size_t n_in, size_t n_out) noexcept nogil:
    return (n_in + 1) * n_out


cdef void dense_forward(const Pass *net, size_t layer, const Rows *rows,
                        const Units *units) noexcept nogil:
    cdef size_t itemsize = net.geometry.itemsize, column = units.first, width
    cdef const LayerPass *buffers = &net.layers[layer]
    cdef Matrix a_previous = input_rows(net, layer, rows)
    cdef Matrix weights = columns_from(buffers.weights, units.first, itemsize)
    cdef Matrix z = columns_from(rows_from(buffers.z, rows.first), units.first, itemsize)
    net.gemm(0, rows.n, units.n, net.geometry.layers[layer].n_in, &a_previous, &weights,
             buffers.bias + units.first * itemsize, 0, &z, NULL, rows.scratch)
    while column < units.first + units.n:
        width = min(columns_in_line(buffers.z, rows.n, column), units.first + units.n - column)
        buffers.activation.forward(at(buffers.a, rows.first, column, itemsize),
                                   at(buffers.z, rows.first, column, itemsize), rows.n, width)
        column += width


cdef void dense_derivative(const Pass *net, size_t layer, const Rows *rows,
                           const Units *units) noexcept nogil:
    """dZ = dA * activation'(Z)"""
    cdef size_t itemsize = net.geometry.itemsize, column = units.first, width
    cdef const LayerPass *buffers = &net.layers[layer]
    while column < units.first + units.n:
        width = min(columns_in_line(buffers.d, rows.n, column), units.first + units.n - column)
        net.geometry.layers[layer].activation.backward(
            at(buffers.d, rows.first, column, itemsize),
            at(buffers.a, rows.first, column, itemsize),
            at(buffers.z, rows.first, column, itemsize), rows.n * width)
        column += width


cdef void dense_backward(const Pass *net, size_t layer, const Rows *rows,
                         const Units *units) noexcept nogil:
    """dA_previous = dZ @ weights.T, from the transposed weights."""
    cdef size_t itemsize = net.geometry.itemsize
    cdef const LayerPass *buffers = &net.layers[layer]
    cdef Matrix d = rows_from(buffers.d, rows.first)
    cdef Matrix d_previous = columns_from(rows_from(net.layers[layer - 1].d, rows.first),
                                          units.first, itemsize)
    cdef Matrix transposed = columns_from(buffers.transposed, units.first, itemsize)
    net.gemm(0, rows.n, units.n, net.geometry.layers[layer].n_out, &d, &transposed, NULL, 0,
             &d_previous, NULL, rows.scratch)


cdef void dense_weight_gradient(const Pass *net, const WeightTile *tile, const Rows *rows,
                                bint accumulate, Matrix dweights, char *dbias,
                                const fnn_ahead *ahead) noexcept nogil:
    """dweights = A_previous.T @ dZ, dbias = the sum of dZ over the rows."""
    cdef const Geometry *g = net.geometry
    cdef Matrix d = rows_from(net.layers[tile.layer].d, rows.first)
    cdef Matrix a_previous = columns_from(input_rows(net, tile.layer, rows), tile.first_row,
                                          g.itemsize)
    cdef Matrix d_columns = columns_from(d, tile.first_column, g.itemsize)
    net.gemm(1, tile.n_rows, tile.n_columns, rows.n, &a_previous, &d_columns, NULL, accumulate,
             &dweights, ahead, rows.scratch)
    if owns_bias(tile):
        g.kernels.sum_rows(dbias, &d, rows.n, g.layers[tile.layer].n_out, accumulate)


cdef LayerOperations dense
dense.name = b"dense"
dense.n_parameters = dense_n_parameters
dense.forward = dense_forward
dense.derivative = dense_derivative
dense.backward = dense_backward
dense.weight_gradient = dense_weight_gradient


cdef const LayerOperations *find_layer(str name) except NULL:
    """A row by its name: an unknown one is a mistake of the model, not of a user."""
    if name == "dense":
        return &dense
    raise LookupError(f"no operations for a layer {name!r}")

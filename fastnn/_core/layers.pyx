"""The kinds of layers: a row of operations each."""
from fastnn._core.geometry cimport (
    Geometry,
    LayerOperations,
    LayerPass,
    LayerPlan,
    Matrix,
    Pass,
    Rows,
    WeightTile,
    at,
    columns_from,
    input_rows,
    owns_bias,
    rows_from,
    width_at,
)


# ---- dense: z = a_previous @ weights + bias, a = activation(z) ----------------------------------

cdef size_t dense_n_parameters(size_t n_in, size_t n_out) noexcept nogil:
    return (n_in + 1) * n_out


cdef void dense_forward(const Pass *net, size_t layer, const Rows *rows) noexcept nogil:
    cdef size_t itemsize = net.geometry.itemsize, column = 0, width
    cdef const LayerPlan *plan = &net.geometry.layers[layer]
    cdef const LayerPass *buffers = &net.layers[layer]
    cdef Matrix a_previous = input_rows(net, layer, rows), z = rows_from(buffers.z, rows.first)
    net.gemm(0, rows.n, plan.n_out, plan.n_in, &a_previous, &buffers.weights, buffers.bias, 0, &z,
             rows.scratch)
    while column < plan.n_out:
        width = width_at(z, column)
        buffers.activation.forward(at(buffers.a, rows.first, column, itemsize),
                                   at(z, 0, column, itemsize), rows.n, width)
        column += width


cdef void dense_backward(const Pass *net, size_t layer, const Rows *rows) noexcept nogil:
    """dZ = dA * activation'(Z), which the last layer has already, and dA_previous = dZ @ weights.T."""
    cdef size_t itemsize = net.geometry.itemsize, column = 0, width
    cdef const LayerPlan *plan = &net.geometry.layers[layer]
    cdef const LayerPass *buffers = &net.layers[layer]
    cdef Matrix d = rows_from(buffers.d, rows.first), d_previous
    if layer == net.geometry.n_layers - 1:
        column = plan.n_out
    while column < plan.n_out:
        width = width_at(d, column)
        plan.activation.backward(at(d, 0, column, itemsize),
                                 at(buffers.a, rows.first, column, itemsize),
                                 at(buffers.z, rows.first, column, itemsize), rows.n * width)
        column += width
    if layer > 0:
        d_previous = rows_from(net.layers[layer - 1].d, rows.first)
        net.gemm(0, rows.n, plan.n_in, plan.n_out, &d, &buffers.transposed, NULL, 0, &d_previous,
                 rows.scratch)


cdef void dense_weight_gradient(const Pass *net, const WeightTile *tile, const Rows *rows,
                                bint accumulate, Matrix dweights, char *dbias) noexcept nogil:
    """dweights = A_previous.T @ dZ, dbias = the sum of dZ over the rows."""
    cdef const Geometry *g = net.geometry
    cdef Matrix d = rows_from(net.layers[tile.layer].d, rows.first)
    cdef Matrix a_previous = columns_from(input_rows(net, tile.layer, rows), tile.first_row,
                                          g.itemsize)
    cdef Matrix d_columns = columns_from(d, tile.first_column, g.itemsize)
    cdef size_t column = 0, width
    net.gemm(1, tile.n_rows, tile.n_columns, rows.n, &a_previous, &d_columns, NULL, accumulate,
             &dweights, rows.scratch)
    if not owns_bias(tile):
        return
    while column < g.layers[tile.layer].n_out:
        width = width_at(d, column)
        g.kernels.sum_rows(dbias + column * g.itemsize, at(d, 0, column, g.itemsize), rows.n, width,
                           accumulate)
        column += width


cdef LayerOperations dense
dense.name = b"dense"
dense.n_parameters = dense_n_parameters
dense.forward = dense_forward
dense.backward = dense_backward
dense.weight_gradient = dense_weight_gradient


cdef const LayerOperations *find_layer(str name) except NULL:
    """A row by its name: an unknown one is a mistake of the model, not of a user."""
    if name == "dense":
        return &dense
    raise LookupError(f"no operations for a layer {name!r}")

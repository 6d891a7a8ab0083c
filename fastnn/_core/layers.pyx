"""The kinds of layers: a row of operations each."""
from fastnn._core.geometry cimport (
    Geometry,
    LayerOperations,
    LayerPass,
    LayerPlan,
    Matrix,
    Pass,
    Rows,
    Units,
    WeightTile,
    at,
    columns_from,
    columns_in_line,
    copy_in,
    in_panels,
    input_rows,
    n_unit_tiles,
    owns_bias,
    packs_weights,
    rows_from,
    unit_tile,
)


# ---- dense: z = a_previous @ weights + bias, a = activation(z) ----------------------------------

cdef size_t dense_n_parameters(size_t n_in, size_t n_out) noexcept nogil:
    return (n_in + 1) * n_out


cdef Matrix packed_weights(const Pass *net, size_t layer, const Units *units,
                           char *memory) noexcept nogil:
    """A copy of the weights that lead to some units, in panels."""
    cdef const Geometry *g = net.geometry
    cdef const LayerPlan *plan = &g.layers[layer]
    cdef Matrix packed = in_panels(g.kernels, memory, plan.n_in, units.n)
    copy_in(g.kernels, packed, 0, 0, at(net.layers[layer].weights, 0, units.first, g.itemsize),
            plan.n_out, plan.n_in, units.n)
    return packed


cdef inline void multiply_units(const Pass *net, size_t layer, const Rows *rows, const Units *units,
                         const Matrix *weights) noexcept nogil:
    """z of some units, `weights` being those that lead to them."""
    cdef size_t itemsize = net.geometry.itemsize
    cdef const LayerPass *buffers = &net.layers[layer]
    cdef Matrix a_previous = input_rows(net, layer, rows)
    cdef Matrix z = columns_from(rows_from(buffers.z, rows.first), units.first, itemsize)
    net.gemm(0, rows.n, units.n, net.geometry.layers[layer].n_in, &a_previous, weights,
             buffers.bias + units.first * itemsize, 0, &z, rows.scratch)


cdef void dense_forward(const Pass *net, size_t layer, const Rows *rows,
                        const Units *units) noexcept nogil:
    cdef const Geometry *g = net.geometry
    cdef const LayerPass *buffers = &net.layers[layer]
    cdef size_t column = units.first, tile, width
    cdef Matrix weights
    cdef Units part
    if (buffers.weights.width > g.kernels.single_panel_width
            and packs_weights(g, layer, rows.n)):
        for tile in range(n_unit_tiles(g, units.n)):
            part = unit_tile(g, units.n, tile)
            part.first += units.first
            weights = packed_weights(net, layer, &part, rows.scratch)
            multiply_units(net, layer, rows, &part, &weights)
    else:
        weights = columns_from(buffers.weights, units.first, g.itemsize)
        multiply_units(net, layer, rows, units, &weights)
    while column < units.first + units.n:
        width = min(columns_in_line(buffers.z, rows.n, column), units.first + units.n - column)
        buffers.activation.forward(at(buffers.a, rows.first, column, g.itemsize),
                                   at(buffers.z, rows.first, column, g.itemsize), rows.n, width)
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
             &d_previous, rows.scratch)


cdef void dense_weight_gradient(const Pass *net, const WeightTile *tile, const Rows *rows,
                                bint accumulate, Matrix dweights, char *dbias) noexcept nogil:
    """dweights = A_previous.T @ dZ, dbias = the sum of dZ over the rows."""
    cdef const Geometry *g = net.geometry
    cdef Matrix d = rows_from(net.layers[tile.layer].d, rows.first)
    cdef Matrix a_previous = columns_from(input_rows(net, tile.layer, rows), tile.first_row,
                                          g.itemsize)
    cdef Matrix d_columns = columns_from(d, tile.first_column, g.itemsize)
    net.gemm(1, tile.n_rows, tile.n_columns, rows.n, &a_previous, &d_columns, NULL, accumulate,
             &dweights, rows.scratch)
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

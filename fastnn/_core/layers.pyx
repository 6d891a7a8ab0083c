"""The kinds of layers: a row of operations each."""
from fastnn._core.geometry cimport (
    LayerPass,
    LayerOperations,
    LayerPlan,
    Operand,
    Pass,
    Rows,
    WeightTile,
    at,
    input_rows,
    owns_bias,
    rows_from,
)


# ---- dense: z = a_previous @ weights + bias, a = activation(z) ----------------------------------

cdef size_t dense_n_parameters(size_t n_in, size_t n_out) noexcept nogil:
    return (n_in + 1) * n_out


cdef void dense_forward(const Pass *net, size_t layer, const Rows *rows) noexcept nogil:
    cdef size_t itemsize = net.geometry.itemsize
    cdef const LayerPlan *plan = &net.geometry.layers[layer]
    cdef const LayerPass *buffers = &net.layers[layer]
    cdef Operand a_previous = input_rows(net, layer, rows.first, rows.sample)
    cdef char *z = at(buffers.z, rows.first, 0, itemsize)
    net.gemm(0, rows.n, plan.n_out, plan.n_in, a_previous.data, a_previous.row_elements,
             buffers.weights, plan.n_out, buffers.bias, 0, z, buffers.z.row_elements,
             rows.scratch)
    buffers.activation.forward(at(buffers.a, rows.first, 0, itemsize), z, rows.n, plan.n_out)


cdef void dense_backward(const Pass *net, size_t layer, const Rows *rows) noexcept nogil:
    """dZ = dA * activation'(Z), and dA_previous = dZ @ weights.T, from the transposed weights."""
    cdef size_t itemsize = net.geometry.itemsize
    cdef const LayerPlan *plan = &net.geometry.layers[layer]
    cdef const LayerPass *buffers = &net.layers[layer]
    cdef Operand d = rows_from(buffers.d, rows.first, itemsize), d_previous
    if layer < net.geometry.n_layers - 1 or not net.geometry.loss.from_logits:
        plan.activation.backward(d.data, at(buffers.a, rows.first, 0, itemsize),
                                 at(buffers.z, rows.first, 0, itemsize), rows.n * plan.n_out)
    if layer > 0:
        d_previous = rows_from(net.layers[layer - 1].d, rows.first, itemsize)
        net.gemm(0, rows.n, plan.n_in, plan.n_out, d.data, d.row_elements,
                 buffers.transposed.data, buffers.transposed.row_elements, NULL, 0,
                 d_previous.data, d_previous.row_elements, rows.scratch)


cdef void dense_weight_gradient(const Pass *net, const WeightTile *tile, const Rows *rows,
                                bint accumulate, Operand dweights, char *dbias) noexcept nogil:
    """dweights = A_previous.T @ dZ, dbias = the sum of dZ over the rows."""
    cdef size_t itemsize = net.geometry.itemsize
    cdef Operand a_previous = input_rows(net, tile.layer, rows.first, rows.sample)
    cdef Operand d = rows_from(net.layers[tile.layer].d, rows.first, itemsize)
    net.gemm(1, tile.n_rows, tile.n_columns, rows.n,
             at(a_previous, 0, tile.first_row, itemsize), a_previous.row_elements,
             at(d, 0, tile.first_column, itemsize), d.row_elements, NULL, accumulate,
             dweights.data, dweights.row_elements, rows.scratch)
    if owns_bias(tile):
        net.geometry.kernels.sum_rows(dbias, d.data, rows.n, net.geometry.layers[tile.layer].n_out,
                                      accumulate)


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

"""The first layer on sparse samples: no dense copy of them is made.

Forward it reads the user's arrays. For the gradient the entries of a mini-batch are copied, sorted by the
tiles of the weights: then each tile is the business of one thread. Within a tile they keep the order of
the rows, wherever the rows are cut, so no bit depends on that.
"""
import numpy as np

from libc.stdint cimport int64_t, uint32_t

from fastnn._core.geometry cimport (
    Batch,
    Geometry,
    LayerOperations,
    LayerPass,
    Matrix,
    Pass,
    Rows,
    SortedRows,
    SparseBatch,
    Units,
    WeightTile,
    at,
    columns_from,
    order_of,
    owns_bias,
    row_elements,
    rows_from,
)
from fastnn._core.kernels cimport (
    data_of,
    find_sparse_input,
    fnn_ahead,
    fnn_entries,
    fnn_kernels,
    fnn_sparse,
)
from fastnn._core.layers cimport activate, find_layer


cdef int hold_sparse(Batch *batch, const fnn_kernels *kernels, X, size_t n_features) except -1:
    """The arrays of sparse samples, which the caller keeps alive."""
    cdef size_t n_samples = X.shape[0]
    batch.X = NULL
    batch.sparse_input = find_sparse_input(kernels, X.dtype, X.columns.itemsize)
    batch.sparse.n_features = n_features
    batch.sparse.starts = <const int64_t *> data_of(X.starts, np.dtype(np.int64), (n_samples + 1,))
    batch.sparse.values = data_of(X.values, X.dtype, X.columns.shape)
    batch.sparse.columns = data_of(X.columns, X.columns.dtype, X.columns.shape)
    return 0


cdef int shift_of(const Geometry *g) noexcept nogil:
    """Of the first layer's tiles, which have 2^shift rows."""
    cdef int shift = 0
    while <size_t> 1 << shift < g.layers[0].tile_rows:
        shift += 1
    return shift


cdef fnn_sparse samples_from(const Batch *batch, const Rows *rows,
                             const int64_t **order) noexcept nogil:
    """The samples of `rows` on, and their order."""
    cdef fnn_sparse x = batch.sparse
    order[0] = order_of(batch, rows)
    if order[0] == NULL:
        x.starts += rows.sample
    return x


cdef size_t n_entries_before(const Batch *batch, const Rows *rows) noexcept nogil:
    """Those of the rows of the mini-batch that come first."""
    cdef const int64_t *starts = batch.sparse.starts
    cdef size_t n = 0, i
    if batch.order == NULL:
        return starts[rows.sample] - starts[rows.sample - rows.first]
    for i in range(rows.sample - rows.first, rows.sample):
        n += starts[batch.order[i] + 1] - starts[batch.order[i]]
    return n


cdef fnn_entries entries_from(const SparseBatch *batch, size_t first, size_t itemsize) noexcept nogil:
    cdef fnn_entries entries = batch.entries
    entries.rows += first
    entries.columns += first
    entries.values = <char *> entries.values + first * itemsize
    entries.as_read += first
    return entries


cdef void sort_entries(const Pass *net, const Rows *rows) noexcept nogil:
    """Of some rows of the mini-batch, into their part of its buffers."""
    cdef SparseBatch *batch = net.batch.sparse_batch
    cdef SortedRows *piece = &batch.sorted_rows[rows.first // batch.least_rows]
    cdef const int64_t *order
    cdef fnn_sparse x = samples_from(&net.batch, rows, &order)
    cdef fnn_entries entries
    piece.n_rows = rows.n
    piece.first_entry = n_entries_before(&net.batch, rows)
    entries = entries_from(batch, piece.first_entry, net.geometry.itemsize)
    net.batch.sparse_input.sort(&entries, &x, order, rows.n, rows.first, batch.shift,
                                batch.n_groups, piece.ends)


cdef void add_entries(const Pass *net, size_t group, size_t n_rows, Matrix dweights,
                      size_t first_column, size_t n_columns) noexcept nogil:
    """A group's part of a mini-batch of `n_rows`, added to the gradient of its tile."""
    cdef const Geometry *g = net.geometry
    cdef const SparseBatch *batch = net.batch.sparse_batch
    cdef const SortedRows *piece
    cdef Matrix d = columns_from(net.layers[0].d, first_column, g.itemsize)
    cdef size_t row = 0, first, end
    while row < n_rows:
        piece = &batch.sorted_rows[row // batch.least_rows]
        first = first_entry(batch, piece, group)
        end = piece.first_entry + piece.ends[group]
        if first < end:
            g.kernels.sparse_gradient(at(dweights, 0, 0, g.itemsize), row_elements(dweights, 0),
                                      &d, &batch.entries, first, end, group << batch.shift,
                                      n_columns)
        row += piece.n_rows


# ---- the layer's operations ----------------------------------------------------------------------

cdef void sparse_forward(const Pass *net, size_t layer, const Rows *rows,
                         const Units *units) noexcept nogil:
    cdef size_t itemsize = net.geometry.itemsize
    cdef const LayerPass *buffers = &net.layers[layer]
    cdef Matrix z = columns_from(rows_from(buffers.z, rows.first), units.first, itemsize)
    cdef const int64_t *order
    cdef fnn_sparse x = samples_from(&net.batch, rows, &order)
    net.batch.sparse_input.product(
        &z, &x, order, rows.n, units.n, at(buffers.weights, 0, units.first, itemsize),
        net.geometry.layers[layer].n_out, buffers.bias + units.first * itemsize)
    activate(net, layer, rows, units)


cdef void sparse_weight_gradient(const Pass *net, const WeightTile *tile, const Rows *rows,
                                 bint accumulate, Matrix dweights, char *dbias,
                                 const fnn_ahead *ahead) noexcept nogil:
    cdef const Geometry *g = net.geometry
    cdef int shift = net.batch.sparse_batch.shift
    cdef Matrix d = rows_from(net.layers[tile.layer].d, rows.first)
    cdef size_t group = tile.first_row >> shift
    if not accumulate:
        g.kernels.fill_rows(at(dweights, 0, 0, g.itemsize), row_elements(dweights, 0), NULL,
                            tile.n_rows, tile.n_columns)
    while group << shift < tile.first_row + tile.n_rows:
        add_entries(net, group, rows.n,
                    rows_from(dweights, (group << shift) - tile.first_row), tile.first_column,
                    tile.n_columns)
        group += 1
    if owns_bias(tile):
        g.kernels.sum_rows(dbias, &d, NULL, rows.n, g.layers[tile.layer].n_out, accumulate)


cdef LayerOperations sparse_dense
sparse_dense = find_layer("dense")[0]
sparse_dense.name = b"sparse dense"
sparse_dense.reads_sparse = True
sparse_dense.forward = sparse_forward
sparse_dense.infer = sparse_forward
sparse_dense.weight_gradient = sparse_weight_gradient


cdef const LayerOperations *sparse_operations() noexcept nogil:
    """Those of a dense layer that reads sparse samples."""
    return &sparse_dense

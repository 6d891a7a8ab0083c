# What the core is made of: the sizes of a network, and what a pass through its layers works on.
from libc.stdint cimport int64_t

from fastnn._core.kernels cimport fnn_activation, fnn_gemm, fnn_input, fnn_kernels, fnn_loss

# A matrix of the network's dtype, one panel wide: each row follows the one before it.
cdef struct Operand:
    char *data
    size_t row_elements

# A plan's view of one layer. What it computes is in `operations`.
cdef struct LayerPlan:
    const LayerOperations *operations
    size_t n_in
    size_t n_out
    size_t weights  # where they start in the block of parameters, in elements
    size_t bias
    const fnn_activation *activation
    # tiles of the weights in the weight phase; those at the right and at the bottom are smaller
    size_t tile_rows
    size_t tile_columns
    size_t n_tiles_down
    size_t n_tiles

# What a tile of rows goes through between two barriers: layers forward, the loss, layers back. A
# layer that needs all rows at once ends one stage and starts another.
cdef struct Stage:
    bint gathers  # takes the rows of the mini-batch in
    size_t forward_first  # layers [forward_first, forward_end) forward
    size_t forward_end
    bint has_loss
    size_t backward_end  # layers [backward_first, backward_end) back, the last one first
    size_t backward_first

cdef struct Geometry:
    const fnn_kernels *kernels
    const fnn_loss *loss
    const fnn_activation *linear
    size_t itemsize
    size_t n_layers
    size_t n_features
    size_t n_outputs
    size_t widest  # units of the widest layer
    size_t n_parameters
    size_t n_weight_tiles
    size_t row_tile  # samples in a tile of the row phase, at most
    size_t slab_rows  # samples whose activations are held at a time
    LayerPlan *layers
    size_t n_stages
    Stage *stages

# The samples, as the user gave them, and the part of them that has been gathered.
cdef struct Batch:
    const fnn_input *input  # reads X
    const fnn_input *own_input  # reads arrays of the network's dtype
    const char *X  # (n_samples, n_features)
    const char *targets  # labels (int32), or rows of numbers; NULL: no loss
    bint has_labels
    size_t n_samples
    int64_t *order  # NULL: in the order given
    char *gathered_X  # NULL: X itself can be read
    char *gathered_targets

# What a pass reads and writes in one layer.
cdef struct LayerPass:
    const char *weights
    const char *bias
    const fnn_activation *activation  # of the output: linear, where the loss starts from the logits
    Operand z  # (rows, n_out): `a` itself where it is not needed afterwards
    Operand a  # (rows, n_out)
    Operand d  # (rows, n_out): derivatives of the loss by a, then by z
    Operand transposed  # (n_out, n_in): the weights, for going back; none for the first layer

# A pass through the layers, of a network or of a part of one.
cdef struct Pass:
    const Geometry *geometry
    fnn_gemm gemm
    char *parameters
    LayerPass *layers
    Batch batch

# Some rows of a pass.
cdef struct Rows:
    size_t first  # in the buffers
    size_t n
    size_t sample  # the first one's place among the samples, in the order of the epoch
    char *scratch  # of the products

# A part of a layer's weights, and its gradient.
cdef struct WeightTile:
    size_t layer
    size_t first_row
    size_t n_rows
    size_t first_column
    size_t n_columns

# A kind of layer is a row of these. A layer that reads the samples in another form (bytes, sparse
# rows) is a row of its own too, so that no pass asks what a layer is.
cdef struct LayerOperations:
    const char *name
    size_t (*n_parameters)(size_t n_in, size_t n_out) noexcept nogil
    # a = f(z), z from the rows that enter the layer
    void (*forward)(const Pass *net, size_t layer, const Rows *rows) noexcept nogil
    # d by z from d by a, and d by a of the layer before
    void (*backward)(const Pass *net, size_t layer, const Rows *rows) noexcept nogil
    # the gradient of a tile of the weights over all `rows`; with a layer's first tile that of its bias
    void (*weight_gradient)(const Pass *net, const WeightTile *tile, const Rows *rows,
                            bint accumulate, Operand dweights, char *dbias) noexcept nogil


cdef inline bint needs_gathering(const Batch *batch) noexcept nogil:
    return batch.gathered_X != NULL or batch.order != NULL


cdef inline void bind_parameters(Pass *net, bint ends_in_logits) noexcept nogil:
    """What every layer reads of the parameters, and how it ends."""
    cdef size_t l
    for l in range(net.geometry.n_layers):
        net.layers[l].weights = net.parameters + net.geometry.layers[l].weights * net.geometry.itemsize
        net.layers[l].bias = net.parameters + net.geometry.layers[l].bias * net.geometry.itemsize
        net.layers[l].activation = net.geometry.layers[l].activation
    if ends_in_logits:
        net.layers[net.geometry.n_layers - 1].activation = net.geometry.linear


cdef inline char *at(Operand matrix, size_t row, size_t column, size_t itemsize) noexcept nogil:
    return matrix.data + (row * matrix.row_elements + column) * itemsize


cdef inline Operand rows_from(Operand matrix, size_t first, size_t itemsize) noexcept nogil:
    """The same matrix from row `first` on."""
    matrix.data = at(matrix, first, 0, itemsize)
    return matrix


cdef inline Operand input_rows(const Pass *net, size_t layer, size_t first,
                               size_t sample) noexcept nogil:
    """What enters a layer: row `first` of the buffers and those after it.

    The first layer reads X itself where it can: from `sample` on.
    """
    cdef size_t itemsize = net.geometry.itemsize
    cdef Operand X
    if layer > 0:
        return rows_from(net.layers[layer - 1].a, first, itemsize)
    X.row_elements = net.geometry.n_features
    if net.batch.gathered_X != NULL:
        X.data = net.batch.gathered_X + first * X.row_elements * itemsize
    else:
        X.data = <char *> net.batch.X + sample * X.row_elements * itemsize
    return X


cdef inline WeightTile whole_layer(const Geometry *g, size_t layer) noexcept nogil:
    cdef WeightTile tile
    tile.layer = layer
    tile.first_row = 0
    tile.n_rows = g.layers[layer].n_in
    tile.first_column = 0
    tile.n_columns = g.layers[layer].n_out
    return tile


cdef inline bint owns_bias(const WeightTile *tile) noexcept nogil:
    """Whether this tile of a layer is the one that looks after its bias."""
    return tile.first_row == 0 and tile.first_column == 0

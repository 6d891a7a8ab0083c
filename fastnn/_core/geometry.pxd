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

cdef struct LayerBuffers:
    Operand z  # (rows, n_out): `a` itself where it is not needed afterwards
    Operand a  # (rows, n_out)
    Operand d  # (rows, n_out): derivatives of the loss by a, then by z
    Operand transposed  # (n_out, n_in): the weights, for going back; none for the first layer

# A pass through the layers, of a network or of a part of one.
cdef struct Pass:
    const Geometry *geometry
    fnn_gemm gemm
    char *parameters
    const fnn_activation *output_activation  # linear, where the loss starts from the logits
    LayerBuffers *layers
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


cdef inline char *at(Operand matrix, size_t row, size_t column, size_t itemsize) noexcept nogil:
    return matrix.data + (row * matrix.row_elements + column) * itemsize


cdef inline Operand rows_from(Operand matrix, size_t first, size_t itemsize) noexcept nogil:
    """The same matrix from row `first` on."""
    matrix.data = at(matrix, first, 0, itemsize)
    return matrix


cdef inline bint owns_bias(const WeightTile *tile) noexcept nogil:
    """Whether this tile of a layer is the one that looks after its bias."""
    return tile.first_row == 0 and tile.first_column == 0

# What the core is made of: the sizes of a network, and what a pass through its layers works on.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from fastnn._core.kernels cimport (
    FNN_NARROW_COLUMNS,
    fnn_activation,
    fnn_ahead,
    fnn_entries,
    fnn_gemm,
    fnn_hits,
    fnn_input,
    fnn_kernels,
    fnn_loss,
    fnn_matrix,
    fnn_rescaling,
    fnn_sparse,
    fnn_sparse_input,
)

# A matrix of the network's dtype, in column panels.
ctypedef fnn_matrix Matrix

# A plan's view of one layer. What it computes is in `operations`.
cdef struct LayerPlan:
    const LayerOperations *operations
    size_t n_in
    size_t n_out
    size_t weight_rows  # of the weights (weight_rows, n_out): n_in, 1, or none
    size_t n_bias  # n_out, or none
    size_t weights  # where they start in the block of parameters, in elements
    size_t bias
    size_t running  # where its means and variances start in the block of running statistics
    const fnn_activation *activation
    double setting  # the rate of a dropout, the scale of a noise, the epsilon of a norm
    fnn_rescaling rescaling
    double momentum  # of a running statistic
    uint64_t noise_key  # of its random numbers
    # tiles of the weights in the weight phase; those at the right and at the bottom are smaller
    size_t tile_rows
    size_t tile_columns
    size_t n_tiles_down
    size_t n_tiles

# What is done between two barriers: layers forward, the loss, layers back. Each tile of rows goes
# through all of that; or each tile of the units of one layer, forward or back, for all rows.
cdef struct Stage:
    bint by_units
    int part  # of a layer that mixes rows, where these are summed up together with others; 0: all of it
    bint has_sums  # it ends with sums that are to be added to those of others
    bint gathers  # takes the rows of the mini-batch in
    bint catches_up  # brings weights up to date instead, tile by tile of the first layer's
    size_t forward_first  # layers [forward_first, forward_end) forward
    size_t forward_end
    bint has_loss
    size_t backward_end  # layers [backward_first, backward_end) back, the last one first
    size_t backward_first

cdef struct Geometry:
    const fnn_kernels *kernels
    const fnn_loss *loss
    double *loss_parameters
    size_t n_targets  # numbers in a row of targets
    const fnn_activation *linear
    size_t itemsize
    size_t n_layers
    size_t n_features
    size_t n_outputs
    size_t widest  # units of the widest layer
    size_t n_parameters
    size_t n_running  # running statistics
    size_t n_weight_tiles
    size_t first_trained  # the lowest layer with parameters: no derivative goes below it
    bint mixes_rows  # there is a layer that does
    bint mixes_units
    size_t row_block  # samples whose losses are summed up together: the sizes alone decide
    size_t row_tile  # samples in a tile of the row phase, at most: several blocks
    size_t slab_rows  # samples whose activations are held at a time
    LayerPlan *layers

# Rows of a mini-batch that were sorted together.
cdef struct SortedRows:
    size_t n_rows
    size_t first_entry
    uint32_t *ends  # (n_groups,): of the entries of each tile, counted from the first one

# The entries of a mini-batch of sparse rows, sorted by the tiles of the first layer's weights.
cdef struct SparseBatch:
    fnn_entries entries
    int shift  # a tile has 2^shift rows
    size_t n_groups  # tiles, one below the other
    size_t least_rows  # that are sorted together, where there are others behind them
    SortedRows *sorted_rows  # by their first row // least_rows

# The samples, as the user gave them, and the part of them that has been gathered.
cdef struct Batch:
    const fnn_input *input  # reads X
    const fnn_input *own_input  # reads arrays of the network's dtype
    const char *X  # (n_samples, n_features); NULL: they are sparse
    const fnn_sparse_input *sparse_input  # reads them then
    fnn_sparse sparse
    SparseBatch *sparse_batch  # NULL: nobody needs it
    const char *targets  # labels (int32), or rows of numbers; NULL: no loss
    bint has_labels
    bint reads_labels  # the loss does; else it gets them as one-hot rows
    double target_share  # smoothed: rows of targets, times this, plus the offset
    double target_offset
    const char *weights  # (n_samples,) numbers of the network's dtype; NULL: each is 1
    double total_weight  # of all samples
    size_t n_before  # samples of the epoch in the blocks before these
    size_t n_samples
    int64_t *order  # NULL: in the order given
    Matrix gathered_X  # no data: X itself can be read
    char *gathered_targets  # NULL: targets themselves can be read
    char *gathered_weights  # NULL: the same
    fnn_hits hits  # counts right predictions, where the loss does not read labels
    double hit_threshold

# What a pass reads and writes in one layer.
cdef struct LayerPass:
    Matrix weights  # (n_in, n_out): the parameters themselves where they are one panel, else a copy
    Matrix transposed  # (n_out, n_in): the same for going back; none for the first layer
    const char *bias
    const fnn_activation *activation  # of the output: linear, where the loss starts from the logits
    # (rows, n_out), in the panels of a: `a` itself where it is not needed afterwards. What goes into the
    # activation; the factors of a dropout; the inputs of a norm, normalised
    Matrix z
    Matrix a  # (rows, n_out); the last layer's are one panel
    Matrix d  # (rows, n_out): derivatives of the loss by a, then by z
    char *running  # (2, n_out): mean and variance, as inference uses them
    # (2, n_out): those of this mini-batch, and behind them the means of d and of d z, where others have
    # rows of it too; of a layer norm (rows,): 1 / deviation
    char *measured

# A pass through the layers, of a network or of a part of one.
cdef struct Pass:
    const Geometry *geometry
    fnn_gemm gemm
    char *parameters
    char *running  # (n_running,)
    LayerPass *layers
    Matrix output_d  # (rows, n_outputs), one panel: the loss's derivative; the last d, if that is one
    Batch batch

# Some rows of a pass.
cdef struct Rows:
    size_t first  # in the buffers
    size_t n
    size_t sample  # the first one's place among the samples, in the order of the epoch
    bint gathered  # they have been, in an earlier step
    size_t n_all  # of the mini-batch, with those that others have
    uint64_t noise_shift  # from `sample` to the number that random numbers follow from
    uint64_t step  # steps before this one: the random numbers follow from it
    char *scratch  # of the products

# Some units of a layer.
cdef struct Units:
    size_t first
    size_t n

# A part of a layer's weights, and its gradient.
cdef struct WeightTile:
    size_t layer
    size_t first_row
    size_t n_rows
    size_t first_column
    size_t n_columns

# A kind of layer is a row of these. A layer that reads the samples in another form (sparse rows) is a
# row of its own too, so that no pass asks what a layer is.
cdef struct LayerOperations:
    const char *name
    bint is_product  # has a matrix of weights, the transpose of which leads back
    bint mixes_rows  # needs all rows of a mini-batch at once: its units are shared out
    bint mixes_units  # needs all units of a row at once
    bint keeps_z  # needs a z of its own, from forward to backward
    bint reads_samples  # itself, as the user gave them: none is gathered for it
    bint reads_sparse  # its input is sparse rows
    bint is_in_place  # the derivative by its input is written over the one by its output
    # a = f(z), z from the rows that enter the layer
    void (*forward)(const Pass *net, size_t layer, const Rows *rows,
                    const Units *units) noexcept nogil
    # the same once trained; NULL: a is what enters
    void (*infer)(const Pass *net, size_t layer, const Rows *rows,
                  const Units *units) noexcept nogil
    # d by z from d by a; the last layer's follows from the loss
    void (*derivative)(const Pass *net, size_t layer, const Rows *rows,
                       const Units *units) noexcept nogil
    # d by a of `units` of the layer before, from d by z
    void (*backward)(const Pass *net, size_t layer, const Rows *rows,
                     const Units *units) noexcept nogil
    # the gradient of a tile of the weights over all `rows`; with a layer's first tile that of its bias.
    # What is wanted next may be fetched meanwhile. NULL: no parameters
    void (*weight_gradient)(const Pass *net, const WeightTile *tile, const Rows *rows,
                            bint accumulate, Matrix dweights, char *dbias,
                            const fnn_ahead *ahead) noexcept nogil
    # the same in parts, each of which ends with sums over the rows in `measured`, but for the last one;
    # where rows are mixed alone
    void (*forward_part)(const Pass *net, size_t layer, const Rows *rows, const Units *units,
                         int part) noexcept nogil
    void (*backward_part)(const Pass *net, size_t layer, const Rows *rows, const Units *units,
                          int part) noexcept nogil
    # with the update of a layer, what else a step changes; not 0 if it is not finite. NULL: nothing
    int (*finish_step)(const Pass *net, size_t layer, const Rows *rows) noexcept nogil


cdef inline bint needs_gathering(const Batch *batch) noexcept nogil:
    return (batch.gathered_X.data != NULL or batch.gathered_targets != NULL
            or batch.sparse_batch != NULL)


cdef inline const int64_t *order_of(const Batch *batch, const Rows *rows) noexcept nogil:
    """Of the rows, or NULL: as given."""
    return NULL if batch.order == NULL else batch.order + rows.sample


cdef inline void gather_samples(const Pass *net, const Rows *rows, const Matrix *to, size_t first_column,
                                size_t n_columns, const fnn_rescaling *rescaling) noexcept nogil:
    """Some columns of dense samples, as the user gave them, converted, and rescaled unless that is NULL."""
    cdef const Batch *batch = &net.batch
    cdef size_t n_features = net.geometry.n_features, first = first_column
    if batch.order == NULL:
        first += rows.sample * n_features
    batch.input.gather(to, batch.X + first * batch.input.itemsize, n_features, order_of(batch, rows),
                       rows.n, n_columns, rescaling)


cdef inline bint is_free_to_cut(const Pass *net) noexcept nogil:
    """Whether products have the same bits however they are cut: not those of a BLAS."""
    return net.gemm == net.geometry.kernels.gemm


cdef inline Matrix one_panel(const char *data, size_t columns) noexcept nogil:
    """A C-ordered array."""
    cdef Matrix matrix
    matrix.data = <char *> data
    matrix.first_row = 0
    matrix.columns = columns
    matrix.width = max(columns, <size_t> 1)  # it divides
    matrix.panel = 0
    return matrix


cdef inline Matrix in_panels(const fnn_kernels *kernels, char *data, size_t rows,
                             size_t columns) noexcept nogil:
    """Memory for (rows, columns), as products read it best."""
    cdef Matrix matrix = one_panel(data, columns)
    if columns > kernels.single_panel_width:
        matrix.width = kernels.panel_width
        matrix.panel = rows * matrix.width
    return matrix


cdef inline Matrix in_columns(char *data, size_t rows, size_t columns) noexcept nogil:
    """Memory for (rows, columns), a panel for each column: products of narrow matrices read it best."""
    cdef Matrix matrix = one_panel(data, columns)
    matrix.width = 1
    matrix.panel = rows
    return matrix


cdef inline void bind_parameters(Pass *net, bint ends_in_logits) noexcept nogil:
    """What every layer reads of the parameters, and how it ends."""
    cdef size_t l
    for l in range(net.geometry.n_layers):
        net.layers[l].weights = one_panel(
            net.parameters + net.geometry.layers[l].weights * net.geometry.itemsize,
            net.geometry.layers[l].n_out)
        net.layers[l].bias = net.parameters + net.geometry.layers[l].bias * net.geometry.itemsize
        net.layers[l].running = net.running + net.geometry.layers[l].running * net.geometry.itemsize
        net.layers[l].activation = net.geometry.layers[l].activation
    if ends_in_logits:
        net.layers[net.geometry.n_layers - 1].activation = net.geometry.linear


cdef inline size_t width_at(Matrix matrix, size_t column) noexcept nogil:
    """Columns of the panel that begins there: also how far apart its rows are."""
    return min(matrix.width, matrix.columns - column)


cdef inline size_t columns_in_line(Matrix matrix, size_t rows, size_t column) noexcept nogil:
    """Columns whose numbers, in `rows` rows, lie without gaps from there on: those of a panel, or all
    that are left, where these are all rows that there are."""
    if matrix.panel == rows * matrix.width:
        return matrix.columns - column
    return width_at(matrix, column)


cdef inline size_t row_elements(Matrix matrix, size_t column) noexcept nogil:
    """How far apart the rows are in the panel of a column."""
    return width_at(matrix, column - column % matrix.width)


cdef inline char *at(Matrix matrix, size_t row, size_t column, size_t itemsize) noexcept nogil:
    cdef size_t panel = 0
    if column >= matrix.width:
        panel = column // matrix.width
    column -= panel * matrix.width
    row += matrix.first_row
    return <char *> matrix.data + itemsize * (
        panel * matrix.panel + row * width_at(matrix, panel * matrix.width) + column)


cdef inline void copy_in(const fnn_kernels *kernels, Matrix matrix, size_t row, size_t column,
                         const char *from_, size_t row_elements, size_t rows,
                         size_t columns) noexcept nogil:
    """Part of a C-ordered array, (rows, columns), to a place where a panel begins."""
    cdef size_t done = 0, n, itemsize = kernels.itemsize
    while done < columns:
        n = min(width_at(matrix, column + done), columns - done)
        kernels.copy(at(matrix, row, column + done, itemsize), width_at(matrix, column + done),
                     from_ + done * itemsize, row_elements, rows, n)
        done += n


cdef inline Matrix rows_from(Matrix matrix, size_t first) noexcept nogil:
    """The same matrix from row `first` on."""
    matrix.first_row += first
    return matrix


cdef inline Matrix columns_from(Matrix matrix, size_t first, size_t itemsize) noexcept nogil:
    """The same matrix from column `first` on; to the end of its panel, where that began before."""
    cdef size_t panel = 0
    if first >= matrix.width:
        panel = first // matrix.width
        first -= panel * matrix.width
        matrix.columns -= panel * matrix.width
    matrix.data = <char *> matrix.data + itemsize * (panel * matrix.panel + first)
    return matrix


cdef inline Matrix input_rows(const Pass *net, size_t layer, const Rows *rows) noexcept nogil:
    """What enters a layer. The first one reads X itself where it can."""
    if layer > 0:
        return rows_from(net.layers[layer - 1].a, rows.first)
    if net.batch.gathered_X.data != NULL:
        return rows_from(net.batch.gathered_X, rows.first)
    return rows_from(one_panel(net.batch.X, net.geometry.n_features), rows.sample)


cdef inline Units all_units(size_t n) noexcept nogil:
    cdef Units units
    units.first = 0
    units.n = n
    return units


cdef inline size_t n_unit_tiles(const Geometry *g, size_t n_units) noexcept nogil:
    """Tiles of units, whole panels each; the last one has some more rather than being narrow."""
    if n_units <= FNN_NARROW_COLUMNS:
        return 1
    return ((n_units - FNN_NARROW_COLUMNS + g.kernels.single_panel_width - 1)
            // g.kernels.single_panel_width)


cdef inline Units unit_tile(const Geometry *g, size_t n_units, size_t tile) noexcept nogil:
    cdef Units units
    units.first = tile * g.kernels.single_panel_width
    units.n = g.kernels.single_panel_width
    if tile + 1 == n_unit_tiles(g, n_units):
        units.n = n_units - units.first
    return units


cdef inline WeightTile whole_layer(const Geometry *g, size_t layer) noexcept nogil:
    cdef WeightTile tile
    tile.layer = layer
    tile.first_row = 0
    tile.n_rows = g.layers[layer].weight_rows
    tile.first_column = 0
    tile.n_columns = g.layers[layer].n_out
    return tile


cdef inline bint owns_bias(const WeightTile *tile) noexcept nogil:
    """Whether this tile of a layer is the one that looks after its bias."""
    return tile.first_row == 0 and tile.first_column == 0

"""The weight phase: the gradient of a tile of the weights, and the optimiser's update of it."""
from fastnn._core.geometry cimport (
    Geometry,
    LayerPass,
    LayerPlan,
    Matrix,
    Pass,
    Rows,
    WeightTile,
    at,
    columns_from,
    copy_in,
    one_panel,
    owns_bias,
    row_elements,
    rows_from,
    whole_layer,
)
from fastnn._core.kernels cimport FNN_MAX_SLOTS, fnn_ahead, fnn_kernels


cdef WeightTile find_weight_tile(const Geometry *g, size_t number) noexcept nogil:
    cdef WeightTile tile
    cdef const LayerPlan *layer = g.layers
    tile.layer = 0
    while number >= layer.n_tiles:
        number -= layer.n_tiles
        layer += 1
        tile.layer += 1
    # down first: neighbours share the columns of dZ
    tile.first_row = number % layer.n_tiles_down * layer.tile_rows
    tile.first_column = number // layer.n_tiles_down * layer.tile_columns
    tile.n_rows = min(layer.tile_rows, layer.weight_rows - tile.first_row)
    tile.n_columns = min(layer.tile_columns, layer.n_out - tile.first_column)
    return tile


cdef Matrix gradient_of(const Geometry *g, const WeightTile *tile, char *gradient) noexcept nogil:
    """Where a tile's gradient stands in a block laid out like the parameters."""
    cdef const LayerPlan *layer = &g.layers[tile.layer]
    cdef Matrix dweights = one_panel(gradient + layer.weights * g.itemsize, layer.n_out)
    return rows_from(columns_from(dweights, tile.first_column, g.itemsize), tile.first_row)


cdef void store_gradient(const Pass *net, const WeightTile *tile, const Rows *rows,
                         bint accumulate, char *gradient) noexcept nogil:
    """A tile's gradient, and its bias's, where they belong."""
    cdef const LayerPlan *layer = &net.geometry.layers[tile.layer]
    if layer.operations.weight_gradient != NULL:
        layer.operations.weight_gradient(net, tile, rows, accumulate,
                                         gradient_of(net.geometry, tile, gradient),
                                         gradient + layer.bias * net.geometry.itemsize, NULL)


cdef int update_block(const Pass *net, const Update *update, size_t first, const char *gradient,
                      size_t n, const double *constants) noexcept nogil:
    """The optimiser on parameters [first, first + n); not 0 if what it wrote is not finite."""
    cdef void *slots[FNN_MAX_SLOTS]
    cdef size_t offset = first * net.geometry.itemsize, i
    for i in range(update.n_slots):
        slots[i] = update.slots[i] + offset
    return update.optimizer.update(net.parameters + offset, slots, gradient, n, constants)


cdef fnn_ahead update_reads(const Pass *net, const Update *update,
                            const WeightTile *tile) noexcept nogil:
    """What the update of a tile reads beside its gradient."""
    cdef const LayerPlan *layer = &net.geometry.layers[tile.layer]
    cdef size_t offset = net.geometry.itemsize * (
        layer.weights + tile.first_row * layer.n_out + tile.first_column), i
    cdef fnn_ahead reads
    reads.n_matrices = 1 + update.n_slots
    reads.row = layer.n_out
    reads.matrices[0] = net.parameters + offset
    for i in range(update.n_slots):
        reads.matrices[1 + i] = update.slots[i] + offset
    return reads


cdef int finish_step(const Pass *net, size_t layer, const Rows *rows) noexcept nogil:
    """What else than the parameters a step changes; not 0 if it is not finite then."""
    if net.geometry.layers[layer].operations.finish_step == NULL:
        return 0
    return net.geometry.layers[layer].operations.finish_step(net, layer, rows)


cdef int update_tile(const Pass *net, const Update *update, const WeightTile *tile, const Rows *rows,
                     Matrix dweights, const char *dbias, const double *constants) noexcept nogil:
    """The optimiser on one tile, and on its layer's bias; then the tile's shadows."""
    cdef const LayerPlan *layer = &net.geometry.layers[tile.layer]
    cdef size_t itemsize = net.geometry.itemsize, i
    cdef size_t first = layer.weights + tile.first_row * layer.n_out + tile.first_column
    cdef size_t n = tile.n_rows * tile.n_columns
    cdef int bad = 0
    if layer.n_tiles == 1:  # the bias stands right behind the weights, here as in the block
        bad = update_block(net, update, first, at(dweights, 0, 0, itemsize),
                           n + layer.n_bias, constants)
    elif tile.n_columns == layer.n_out:
        bad = update_block(net, update, first, at(dweights, 0, 0, itemsize), n, constants)
    else:
        for i in range(tile.n_rows):
            bad |= update_block(net, update, first + i * layer.n_out, at(dweights, i, 0, itemsize),
                                tile.n_columns, constants)
    if owns_bias(tile):
        bad |= finish_step(net, tile.layer, rows)
    if owns_bias(tile) and layer.n_tiles > 1:
        bad |= update_block(net, update, layer.bias, dbias, layer.n_bias, constants)
    write_shadows(net, tile)
    return bad


cdef int update_network(const Pass *net, const Update *update, const Rows *rows,
                        const char *gradient, const double *constants) noexcept nogil:
    """The optimiser on all parameters at once, and all shadows."""
    cdef WeightTile tile
    cdef size_t layer
    cdef int bad = update_block(net, update, 0, gradient, net.geometry.n_parameters, constants)
    for layer in range(net.geometry.n_layers):
        tile = whole_layer(net.geometry, layer)
        bad |= finish_step(net, layer, rows)
        write_shadows(net, &tile)
    return bad


cdef void write_shadows(const Pass *net, const WeightTile *tile) noexcept nogil:
    """One tile of the weights as the products read it: in panels, and transposed."""
    cdef const LayerPlan *layer = &net.geometry.layers[tile.layer]
    cdef const LayerPass *buffers = &net.layers[tile.layer]
    cdef const fnn_kernels *kernels = net.geometry.kernels
    cdef size_t itemsize = net.geometry.itemsize, done = 0, n, column
    cdef Matrix weights = rows_from(columns_from(
        one_panel(net.parameters + layer.weights * itemsize, layer.n_out), tile.first_column,
        itemsize), tile.first_row)
    cdef size_t width
    if buffers.weights.width < layer.n_out:
        copy_in(kernels, buffers.weights, tile.first_row, tile.first_column,
                at(weights, 0, 0, itemsize), layer.n_out, tile.n_rows, tile.n_columns)
    if buffers.transposed.data != NULL:
        while done < tile.n_rows:
            column = tile.first_row + done
            width = row_elements(buffers.transposed, column)
            n = min(width - column % buffers.transposed.width, tile.n_rows - done)
            kernels.transpose(
                at(buffers.transposed, tile.first_column, column, itemsize), width,
                at(weights, done, 0, itemsize), layer.n_out, n, tile.n_columns)
            done += n

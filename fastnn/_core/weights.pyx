"""The weight phase: the gradient of a tile of the weights, and the optimiser's update of it."""
from fastnn._core.geometry cimport (
    Geometry,
    LayerPlan,
    Operand,
    Pass,
    Rows,
    WeightTile,
    at,
    owns_bias,
    whole_layer,
)
from fastnn._core.kernels cimport FNN_MAX_SLOTS


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
    tile.n_rows = min(layer.tile_rows, layer.n_in - tile.first_row)
    tile.n_columns = min(layer.tile_columns, layer.n_out - tile.first_column)
    return tile


cdef Operand gradient_of(const Geometry *g, const WeightTile *tile, char *gradient) noexcept nogil:
    """Where a tile's gradient stands in a block laid out like the parameters."""
    cdef Operand dweights
    dweights.row_elements = g.layers[tile.layer].n_out
    dweights.data = gradient + g.layers[tile.layer].weights * g.itemsize
    dweights.data = at(dweights, tile.first_row, tile.first_column, g.itemsize)
    return dweights


cdef void store_gradient(const Pass *net, const WeightTile *tile, const Rows *rows,
                         bint accumulate, char *gradient) noexcept nogil:
    """A tile's gradient, and its bias's, where they belong."""
    cdef const LayerPlan *layer = &net.geometry.layers[tile.layer]
    layer.operations.weight_gradient(net, tile, rows, accumulate,
                                     gradient_of(net.geometry, tile, gradient),
                                     gradient + layer.bias * net.geometry.itemsize)


cdef int update_block(const Pass *net, const Update *update, size_t first, const char *gradient,
                      size_t n, const double *constants) noexcept nogil:
    """The optimiser on parameters [first, first + n); not 0 if what it wrote is not finite."""
    cdef void *slots[FNN_MAX_SLOTS]
    cdef size_t offset = first * net.geometry.itemsize, i
    for i in range(update.n_slots):
        slots[i] = update.slots[i] + offset
    return update.optimizer.update(net.parameters + offset, slots, gradient, n, constants)


cdef int update_tile(const Pass *net, const Update *update, const WeightTile *tile,
                     Operand dweights, const char *dbias, const double *constants) noexcept nogil:
    """The optimiser on one tile, and on its layer's bias; then the tile's transposed weights."""
    cdef const LayerPlan *layer = &net.geometry.layers[tile.layer]
    cdef size_t itemsize = net.geometry.itemsize, i
    cdef size_t first = layer.weights + tile.first_row * layer.n_out + tile.first_column
    cdef size_t n = tile.n_rows * tile.n_columns
    cdef int bad = 0
    if layer.n_tiles == 1:  # the bias stands right behind the weights, here as in the block
        bad = update_block(net, update, first, dweights.data, n + layer.n_out, constants)
    elif tile.n_columns == layer.n_out:
        bad = update_block(net, update, first, dweights.data, n, constants)
    else:
        for i in range(tile.n_rows):
            bad |= update_block(net, update, first + i * layer.n_out, at(dweights, i, 0, itemsize),
                                tile.n_columns, constants)
    if owns_bias(tile) and layer.n_tiles > 1:
        bad |= update_block(net, update, layer.bias, dbias, layer.n_out, constants)
    write_transposed(net, tile)
    return bad


cdef int update_network(const Pass *net, const Update *update, const char *gradient,
                        const double *constants) noexcept nogil:
    """The optimiser on all parameters at once, and all transposed weights."""
    cdef WeightTile tile
    cdef size_t layer
    cdef int bad = update_block(net, update, 0, gradient, net.geometry.n_parameters, constants)
    for layer in range(1, net.geometry.n_layers):
        tile = whole_layer(net.geometry, layer)
        write_transposed(net, &tile)
    return bad


cdef void write_transposed(const Pass *net, const WeightTile *tile) noexcept nogil:
    """The transpose of one tile of the weights, where it belongs."""
    cdef size_t itemsize = net.geometry.itemsize
    cdef const LayerPlan *layer = &net.geometry.layers[tile.layer]
    cdef size_t first = tile.first_row * layer.n_out + tile.first_column
    cdef Operand transposed = net.layers[tile.layer].transposed
    if transposed.data != NULL:
        net.geometry.kernels.transpose(
            at(transposed, tile.first_column, tile.first_row, itemsize), transposed.row_elements,
            net.parameters + (layer.weights + first) * itemsize, layer.n_out,
            tile.n_rows, tile.n_columns)

"""Regularisation: penalties, clipped gradients, weight decay, limits of norms, layers that stay.

A tile of the weights is finished in this order: its gradient gets that of the penalties and is clipped
by value, then by the norm of the whole gradient; its weights decay and are updated. When a layer is
updated, its columns are scaled down to their largest norm. All sums are those of tiles, added in the
order of the tiles.
"""
from libc.stdlib cimport calloc, free

from fastnn._core.geometry cimport (
    Geometry,
    LayerPlan,
    Matrix,
    Pass,
    WeightTile,
    at,
    owns_bias,
    row_elements,
)
from fastnn._core.weights cimport write_shadows


cdef class Rules:
    """What holds for training beside the loss.

    Parameters
    ----------
    layers : sequence of (bool, float, float, float, float)
        Of each layer: whether it is trained, l1, l2, the largest norm of the weights into a unit, and
        what its learning rate is multiplied by. A number of 0 is off, here and below.
    weight_decay : float
        The learning rate times this is taken from each weight, as a part of it, before an update.
    clip_norm : float
        Largest Euclidean norm of the whole gradient.
    clip_value : float
        Largest magnitude of each number of the gradient.
    """

    def __cinit__(self, layers, double weight_decay=0, double clip_norm=0, double clip_value=0):
        cdef LayerRules *rules
        cdef size_t i
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.clip_value = clip_value
        self.n_layers = len(layers)
        self.layers = <LayerRules *> calloc(self.n_layers, sizeof(LayerRules))
        self.rate_factors = <double *> calloc(self.n_layers, sizeof(double))
        if self.layers == NULL or self.rate_factors == NULL:
            raise MemoryError("no memory for the rules of the layers")
        rates = {}
        for i, (trainable, l1, l2, max_norm, rate_factor) in enumerate(layers):
            rules = &self.layers[i]
            rules.trainable = trainable
            if trainable:
                rules.l1, rules.l2, rules.max_norm = l1, l2, max_norm
            rules.rate = rates.setdefault(rate_factor, len(rates))
            self.rate_factors[rules.rate] = rate_factor
        self.n_rates = len(rates)

    def __dealloc__(self):
        free(self.layers)
        free(self.rate_factors)

    def __reduce__(self):
        raise TypeError("rules cannot be pickled: they are made for a call of fit")

    cdef void fill(self, Regularization *regularization) noexcept:
        """All but the sums."""
        cdef size_t i
        regularization.layers = self.layers
        regularization.clip_norm = self.clip_norm
        regularization.clip_value = self.clip_value
        regularization.has_penalties = False
        regularization.has_max_norms = False
        for i in range(self.n_layers):
            regularization.has_penalties |= self.layers[i].l1 > 0 or self.layers[i].l2 > 0
            regularization.has_max_norms |= self.layers[i].max_norm > 0


cdef char *weights_of(const Pass *net, const WeightTile *tile) noexcept nogil:
    """Where a tile's weights begin; their rows are `n_out` apart."""
    cdef const LayerPlan *layer = &net.geometry.layers[tile.layer]
    return net.parameters + net.geometry.itemsize * (
        layer.weights + tile.first_row * layer.n_out + tile.first_column)


cdef void finish_gradient(const Pass *net, const Regularization *regularization,
                          const WeightTile *tile, size_t number, Matrix dweights, char *dbias,
                          double scale) noexcept nogil:
    """Penalties and clipping by value on tile `number`; its sums.

    `scale`: of the penalties' derivatives, one by the samples of the mini-batch.
    """
    cdef const Geometry *g = net.geometry
    cdef const LayerRules *rules = &regularization.layers[tile.layer]
    cdef char *d = at(dweights, 0, 0, g.itemsize)
    cdef size_t row = row_elements(dweights, 0), n_out = g.layers[tile.layer].n_out
    cdef size_t n_bias = g.layers[tile.layer].n_bias if owns_bias(tile) else 0
    if rules.l1 > 0 or rules.l2 > 0:
        regularization.tile_penalties[number] = g.kernels.penalize(
            d, row, weights_of(net, tile), n_out, tile.n_rows, tile.n_columns, rules.l1, rules.l2,
            scale)
    if regularization.clip_value > 0:
        g.kernels.clip(d, row, tile.n_rows, tile.n_columns, regularization.clip_value)
        g.kernels.clip(dbias, n_bias, 1, n_bias, regularization.clip_value)
    if regularization.clip_norm > 0:
        regularization.tile_squares[number] = (
            g.kernels.sum_of_squares(d, row, tile.n_rows, tile.n_columns)
            + g.kernels.sum_of_squares(dbias, n_bias, 1, n_bias))


cdef void scale_gradient(const Pass *net, const WeightTile *tile, Matrix dweights, char *dbias,
                         double factor) noexcept nogil:
    cdef const Geometry *g = net.geometry
    cdef size_t n_bias = g.layers[tile.layer].n_bias if owns_bias(tile) else 0
    g.kernels.scale(at(dweights, 0, 0, g.itemsize), row_elements(dweights, 0), tile.n_rows,
                    tile.n_columns, factor)
    g.kernels.scale(dbias, n_bias, 1, n_bias, factor)


cdef void decay_weights(const Pass *net, const WeightTile *tile, double factor) noexcept nogil:
    net.geometry.kernels.scale(weights_of(net, tile), net.geometry.layers[tile.layer].n_out,
                               tile.n_rows, tile.n_columns, factor)


cdef int limit_norms(const Pass *net, const Regularization *regularization,
                     const WeightTile *tile) noexcept nogil:
    """All rows of the columns of a tile; the layer's first rows do it. Not 0 if a norm is not finite."""
    cdef WeightTile columns = tile[0]
    cdef const LayerPlan *layer = &net.geometry.layers[tile.layer]
    cdef double limit = regularization.layers[tile.layer].max_norm
    cdef int result
    if limit == 0 or tile.first_row > 0:
        return 0
    columns.n_rows = layer.n_in
    result = net.geometry.kernels.limit_norms(weights_of(net, &columns), layer.n_out, layer.n_in,
                                              columns.n_columns, limit)
    if result > 0:
        write_shadows(net, &columns)
    return result < 0


cdef double sum_of_tiles(const Geometry *g, const double *of_tiles) noexcept nogil:
    """In the order of the tiles, which every member adds up to the same bits."""
    cdef double total = 0
    cdef size_t number
    for number in range(g.n_weight_tiles):
        total += of_tiles[number]
    return total

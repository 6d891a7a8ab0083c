from fastnn._core.geometry cimport Geometry, Matrix, Pass, WeightTile

# What holds for the parameters of one layer.
cdef struct LayerRules:
    bint trainable
    double l1  # of its weights, as the two below; 0: none
    double l2
    double max_norm  # of the weights into a unit
    size_t rate  # which of the learning rates

# What holds beside the loss. A number of 0 is off.
cdef struct Regularization:
    const LayerRules *layers
    bint has_penalties
    bint has_max_norms
    double clip_value
    double clip_norm
    # sums of each tile of the weights, in the order of the tiles; 0 for those that are not trained
    double *tile_penalties
    double *tile_squares  # of the gradient


cdef class Rules:
    cdef size_t n_layers
    cdef LayerRules *layers
    cdef double *rate_factors
    cdef size_t n_rates
    cdef double weight_decay
    cdef double clip_norm
    cdef double clip_value

    cdef void fill(self, Regularization *regularization) noexcept


cdef inline bint is_trained(const Regularization *regularization, size_t layer) noexcept nogil:
    return regularization == NULL or regularization.layers[layer].trainable


cdef void finish_gradient(const Pass *net, const Regularization *regularization,
                          const WeightTile *tile, size_t number, Matrix dweights, char *dbias,
                          double scale) noexcept nogil
cdef void scale_gradient(const Pass *net, const WeightTile *tile, Matrix dweights, char *dbias,
                         double factor) noexcept nogil
cdef void decay_weights(const Pass *net, const WeightTile *tile, double factor) noexcept nogil
cdef int limit_norms(const Pass *net, const Regularization *regularization,
                     const WeightTile *tile) noexcept nogil
cdef double sum_of_tiles(const Geometry *g, const double *of_tiles) noexcept nogil

from fastnn._core.geometry cimport Geometry, Matrix, Pass, Rows, WeightTile
from fastnn._core.kernels cimport FNN_MAX_CONSTANTS, FNN_MAX_SLOTS, fnn_ahead, fnn_optimizer

# The optimiser's side of a run: what it changes, and by which rule.
cdef struct Update:
    const fnn_optimizer *optimizer
    char *slots[FNN_MAX_SLOTS]
    size_t n_slots
    const double *rate_factors  # (n_rates,): of the layers, what the learning rate is multiplied by
    size_t n_rates
    double weight_decay  # decoupled; 0: none
    bint is_far  # what it reads does not stay in the L2 cache from step to step

# What is the same in a step for all parameters of one learning rate.
cdef struct StepConstants:
    double optimizer[FNN_MAX_CONSTANTS]
    double decay  # what the weights are multiplied by

cdef Matrix gradient_of(const Geometry *g, const WeightTile *tile, char *gradient) noexcept nogil
cdef WeightTile find_weight_tile(const Geometry *g, size_t number) noexcept nogil
cdef void store_gradient(const Pass *net, const WeightTile *tile, const Rows *rows,
                         bint accumulate, char *gradient) noexcept nogil
cdef void write_shadows(const Pass *net, const WeightTile *tile) noexcept nogil
cdef fnn_ahead update_reads(const Pass *net, const Update *update,
                            const WeightTile *tile) noexcept nogil
cdef int update_block(const Pass *net, const Update *update, size_t first, const char *gradient,
                      size_t n, const double *constants) noexcept nogil
cdef int update_tile(const Pass *net, const Update *update, const WeightTile *tile, const Rows *rows,
                     Matrix dweights, const char *dbias, const double *constants) noexcept nogil
cdef int update_network(const Pass *net, const Update *update, const Rows *rows,
                        const char *gradient, const double *constants) noexcept nogil

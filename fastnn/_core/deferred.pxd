from libc.stdint cimport uint32_t, uint64_t

from fastnn._core.geometry cimport Geometry, Matrix, Pass, Rows, WeightTile
from fastnn._core.kernels cimport fnn_team
from fastnn._core.weights cimport StepConstants, Update

# What the first layer's rows of weights have missed, since all of them were up to date.
cdef struct Deferred:
    uint64_t first_step  # steps before those
    uint32_t *n_seen  # (n_features,): how many of the steps since a row has seen
    uint32_t *touched  # (n_features,): from the first row of a tile on, those of this mini-batch
    uint32_t *n_touched  # (n_tiles_down,)
    size_t n_steps  # of a period, at most: after them all rows are brought up to date
    double *constants  # (n_steps, FNN_MAX_CONSTANTS): of those steps
    double *at_once  # the same for all steps from one of them on together
    bint is_at_once  # it serves
    size_t rate  # which of the learning rates is the layer's

cdef size_t steps_of_period(const Geometry *g, const Update *update,
                            double entries_a_step) noexcept nogil
cdef bint ends_period(const Deferred *deferred, size_t n_done, size_t batch_size,
                      size_t n_samples) noexcept nogil
cdef void begin_period(const Pass *net, Deferred *deferred, fnn_team *team, int member,
                       uint64_t n_updates) noexcept nogil
cdef void note_constants(const Update *update, Deferred *deferred, const StepConstants *constants,
                         uint64_t n_updates) noexcept nogil
cdef int catch_up(const Pass *net, const Update *update, Deferred *deferred, size_t group,
                  const Rows *rows) noexcept nogil
cdef int update_touched(const Pass *net, const Update *update, const Deferred *deferred,
                        const WeightTile *tile, const Rows *rows, Matrix dweights, char *dbias,
                        const StepConstants *constants) noexcept nogil
cdef int settle(const Pass *net, const Update *update, const Deferred *deferred, fnn_team *team,
                int member, uint64_t n_updates) noexcept nogil

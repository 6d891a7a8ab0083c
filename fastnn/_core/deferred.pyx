"""Updates of weights that most mini-batches do not touch: made up for when the weights are read.

A row of the first layer's weights has no gradient where no sample of a mini-batch has an entry in its
column. Most optimisers change it all the same, which moves far more memory than all else in a step. So
such a row is left alone, and makes all the steps that it has missed in registers, before it is read: one
after the other, which gives the bits of updates at every step, or by a formula at once, which gives them
to rounding. All rows are brought up to date when a period ends, and then alone a run comes back: so
nobody else sees a row that is behind, and the formula has the same steps to make up for in every run.
"""
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy, memset

from fastnn._core.geometry cimport (
    Geometry,
    Matrix,
    Pass,
    Rows,
    SortedRows,
    SparseBatch,
    WeightTile,
    at,
    columns_from,
    owns_bias,
    rows_from,
)
from fastnn._core.kernels cimport (
    FNN_MAX_CONSTANTS,
    FNN_MAX_SLOTS,
    fnn_team,
    team_barrier,
    team_next_tile,
)
from fastnn._core.signals cimport RUNNING, UPDATE_NOT_FINITE
from fastnn._core.sparse cimport add_entries, first_entry
from fastnn._core.weights cimport StepConstants, Update, update_block

cdef extern from *:
    void __builtin_prefetch(const void *address, int written, int locality) noexcept nogil

# Numbers times steps that all rows make up for at a time, at most, one after the other: some 0.4 s on one
# thread, in which nobody can interrupt it. Numbers that the steps of a period change: some 0.2 s. And steps.
cdef double MOST_MADE_UP = 1.2e9
cdef double MOST_CHANGED = 8e7
cdef size_t MOST_STEPS = 1024
# Rows of weights ahead that are fetched, into the L2: each lies somewhere else. Into the L1, a step took 1.7 times
# as long (Zen 4), and 20 rows ahead 1.07 times.
cdef size_t ROWS_AHEAD = 10
cdef size_t CACHE_LINE = 64
# Marks a row of weights in `n_seen`: steps stay far below it.
cdef uint32_t TOUCHED = <uint32_t> 1 << 31


cdef void fetch_row(const Pass *net, const Update *update, size_t row, size_t first_column,
                    size_t n_columns) noexcept nogil:
    """Part of a row of weights, and of the slots, on their way into the cache, to be written."""
    cdef size_t itemsize = net.geometry.itemsize, line = 0, i
    cdef size_t offset = itemsize * (net.geometry.layers[0].weights
                                     + row * net.geometry.layers[0].n_out + first_column)
    while line < n_columns * itemsize:
        __builtin_prefetch(net.parameters + offset + line, 1, 2)
        for i in range(update.n_slots):
            __builtin_prefetch(update.slots[i] + offset + line, 1, 2)
        line += CACHE_LINE


cdef size_t steps_of_period(const Geometry *g, const Update *update,
                            double entries_a_step) noexcept nogil:
    """How many steps a period has, at most."""
    cdef double n_out = g.layers[0].n_out
    cdef double n_steps = min(<double> MOST_STEPS, MOST_CHANGED / (entries_a_step * n_out + 1))
    if update.optimizer.idle != NULL:
        n_steps = min(n_steps, MOST_MADE_UP / (g.n_features * n_out))
    return <size_t> n_steps


cdef bint ends_period(const Deferred *deferred, size_t n_done, size_t batch_size,
                      size_t n_samples) noexcept nogil:
    """Whether a period ends after `n_done` samples of an epoch: with the epoch, or before."""
    return n_done == n_samples or n_done // batch_size % deferred.n_steps == 0


cdef void begin_period(const Pass *net, Deferred *deferred, fnn_team *team, int member,
                       uint64_t n_updates) noexcept nogil:
    """All rows are up to date after `n_updates` steps."""
    if member == 0:
        deferred.first_step = n_updates
        memset(deferred.n_seen, 0, net.geometry.n_features * sizeof(uint32_t))
    team_barrier(team, RUNNING)


cdef void note_constants(const Update *update, Deferred *deferred, const StepConstants *constants,
                         uint64_t n_updates) noexcept nogil:
    """Those of the step after `n_updates`, for the rows that miss it."""
    cdef size_t n_steps = n_updates - deferred.first_step
    memcpy(deferred.constants + n_steps * <size_t> FNN_MAX_CONSTANTS,
           constants[deferred.rate].optimizer, FNN_MAX_CONSTANTS * sizeof(double))
    if update.optimizer.prepare_at_once != NULL:
        deferred.is_at_once = update.optimizer.prepare_at_once(deferred.at_once, deferred.constants,
                                                               n_steps + 1)


cdef int make_up(const Pass *net, const Update *update, const Deferred *deferred, size_t row,
                 size_t n_steps) noexcept nogil:
    """Takes a row of weights to where `n_steps` of the period are done; not 0 if it is not finite."""
    cdef size_t n_out = net.geometry.layers[0].n_out, n_seen = deferred.n_seen[row], i
    cdef size_t offset = (net.geometry.layers[0].weights + row * n_out) * net.geometry.itemsize
    cdef void *slots[FNN_MAX_SLOTS]
    if n_seen >= n_steps or update.optimizer.idle == NULL:
        return 0
    for i in range(update.n_slots):
        slots[i] = update.slots[i] + offset
    if deferred.is_at_once:
        return update.optimizer.idle_at_once(net.parameters + offset, slots, n_out,
                                             deferred.at_once + n_seen * <size_t> FNN_MAX_CONSTANTS)
    return update.optimizer.idle(net.parameters + offset, slots, n_out,
                                 deferred.constants + n_seen * <size_t> FNN_MAX_CONSTANTS,
                                 n_steps - n_seen)


cdef size_t note_touched(const Pass *net, Deferred *deferred, size_t group,
                         const Rows *rows) noexcept nogil:
    """Which of a tile's rows the mini-batch has entries for; returns how many."""
    cdef const SparseBatch *batch = net.batch.sparse_batch
    cdef const SortedRows *piece
    cdef uint32_t *touched = deferred.touched + (group << batch.shift)
    cdef uint32_t column
    cdef size_t row = 0, n = 0, e
    while row < rows.n:
        piece = &batch.sorted_rows[row // batch.least_rows]
        for e in range(first_entry(batch, piece, group), piece.first_entry + piece.ends[group]):
            column = batch.entries.columns[e]
            if not deferred.n_seen[column] & TOUCHED:
                deferred.n_seen[column] |= TOUCHED
                touched[n] = column
                n += 1
        row += piece.n_rows
    deferred.n_touched[group] = <uint32_t> n
    return n


cdef int catch_up(const Pass *net, const Update *update, Deferred *deferred, size_t group,
                  const Rows *rows) noexcept nogil:
    """Brings the rows of a tile that the mini-batch reads up to date, and notes which these are."""
    cdef size_t n_done = rows.step - deferred.first_step, n_out = net.geometry.layers[0].n_out
    cdef size_t n = note_touched(net, deferred, group, rows), i
    cdef bint is_read = update.optimizer.idle != NULL
    cdef const uint32_t *touched = (deferred.touched
                                    + (group << net.batch.sparse_batch.shift))
    cdef int bad = 0
    for i in range(min(n, ROWS_AHEAD) if is_read else 0):
        fetch_row(net, update, touched[i], 0, n_out)
    for i in range(n):
        if is_read and i + ROWS_AHEAD < n:
            fetch_row(net, update, touched[i + ROWS_AHEAD], 0, n_out)
        deferred.n_seen[touched[i]] ^= TOUCHED
        bad |= make_up(net, update, deferred, touched[i], n_done)
        deferred.n_seen[touched[i]] = <uint32_t> n_done + 1  # with the update of this step
    return bad


cdef int update_touched(const Pass *net, const Update *update, const Deferred *deferred,
                        const WeightTile *tile, const Rows *rows, Matrix dweights, char *dbias,
                        const StepConstants *constants) noexcept nogil:
    """The update of a tile's rows that the mini-batch has touched, and of its layer's bias; not 0 if
    it is not finite."""
    cdef const Geometry *g = net.geometry
    cdef size_t group = tile.first_row >> net.batch.sparse_batch.shift
    cdef size_t n_out = g.layers[0].n_out, i, row
    cdef const uint32_t *touched = deferred.touched + tile.first_row
    cdef const StepConstants *of_layer = &constants[deferred.rate]
    cdef Matrix d = rows_from(net.layers[0].d, rows.first)
    cdef int bad = 0
    if group + 1 < net.batch.sparse_batch.n_groups:  # most likely this member's next one
        for i in range(deferred.n_touched[group + 1]):
            fetch_row(net, update, touched[tile.n_rows + i], tile.first_column, tile.n_columns)
    for i in range(deferred.n_touched[group]):
        row = touched[i] - tile.first_row
        memset(at(dweights, row, 0, g.itemsize), 0, tile.n_columns * g.itemsize)
    add_entries(net, group, rows.n, dweights, tile.first_column, tile.n_columns)
    for i in range(deferred.n_touched[group]):
        row = touched[i] - tile.first_row
        bad |= update_block(net, update,
                            g.layers[0].weights + touched[i] * n_out + tile.first_column,
                            at(dweights, row, 0, g.itemsize), tile.n_columns, of_layer.optimizer)
    if owns_bias(tile):
        g.kernels.sum_rows(dbias, &d, NULL, rows.n, n_out, False)
        bad |= update_block(net, update, g.layers[0].bias, dbias, n_out, of_layer.optimizer)
    return bad


cdef int settle(const Pass *net, const Update *update, const Deferred *deferred, fnn_team *team,
                int member, uint64_t n_updates) noexcept nogil:
    """Brings all rows up to date after `n_updates` steps: UPDATE_NOT_FINITE if one is not finite then."""
    cdef const Geometry *g = net.geometry
    cdef size_t tile_rows = g.layers[0].tile_rows, n_tiles = g.layers[0].n_tiles_down, row
    cdef size_t tile = team_next_tile(team, member, n_tiles)
    cdef int vote = RUNNING
    while tile < n_tiles:
        for row in range(tile * tile_rows, min((tile + 1) * tile_rows, g.n_features)):
            if make_up(net, update, deferred, row, n_updates - deferred.first_step):
                vote = UPDATE_NOT_FINITE
        tile = team_next_tile(team, member, n_tiles)
    return team_barrier(team, vote)

"""The training step, and the loop over mini-batches; run by every member of the team.

A step has two phases, with a barrier after each:

1. rows: tiles of samples go through all layers forward, through the loss, and back. The weights
   are only read. Where there are few rows for many weights, this phase has stages, in some of which
   it is the units of one layer that are shared out.
2. weights: tiles of the weight matrices get ``dW = A_prev.T @ dZ`` over the whole batch, and at
   once the optimiser's update, while their gradient is in the cache.

Where the whole gradient is wanted, a step takes long, or its activations exceed the plan's slab,
the gradient is stored (and summed up over the slabs), and the update is a third phase. Nothing that
a user sees changes before it, so such a step can be given up until then. An update always runs to
its end.

Backwards, each layer needs the transpose of its weights, which is written with each update.

Where others train the network with other samples, the gradient is stored bucket by bucket, the last
layers first, and each bucket is summed up over all while the next ones are computed.

Where samples are sparse, the rows of the first layer's weights that a mini-batch touches may get their
updates alone. Then the row phase has a stage in which these rows make up for the steps that they have
missed, and all rows do at the end of a run.

Penalties and clipping are part of a tile's gradient; a limit of the weights' norms is a last phase.
"""
from libc.math cimport isfinite, sqrt
from libc.stdint cimport uint64_t

from fastnn._core.access cimport load_relaxed
from fastnn._core.batches cimport is_epoch_new, next_batch, record_step, shuffle
from fastnn._core.clock cimport now
from fastnn._core.deferred cimport (
    begin_period,
    catch_up,
    ends_period,
    note_constants,
    settle,
    update_touched,
)
from fastnn._core.geometry cimport (
    Geometry,
    Matrix,
    Rows,
    Stage,
    WeightTile,
    is_free_to_cut,
    one_panel,
    whole_layer,
)
from fastnn._core.kernels cimport (
    flush_denormals,
    fnn_ahead,
    fnn_team,
    set_float_state,
    team_barrier,
    team_next_tile,
    team_size,
)
from fastnn._core.others cimport bucket_phase, finish_sums, sum_epoch_weights, sum_phase
from fastnn._core.regularization cimport (
    decay_weights,
    finish_gradient,
    is_trained,
    limit_norms,
    scale_gradient,
    sum_of_tiles,
)
from fastnn._core.signals cimport (
    FORKED,
    LOSS_NOT_FINITE,
    OUT_OF_TIME,
    RUNNING,
    UPDATE_NOT_FINITE,
    UserCode,
    votes_of,
)
from fastnn._core.stages cimport n_tiles_of_units, run_rows, run_units
from fastnn._core.state cimport Progress
from fastnn._core.weights cimport (
    StepConstants,
    find_weight_tile,
    gradient_of,
    store_gradient,
    update_network,
    update_reads,
    update_tile,
    write_shadows,
)


# Parameters that are averaged at a time.
cdef size_t AVERAGE_TILE = 16384


cdef Rows all_rows(Run *run, int member, uint64_t step, const MiniBatch *batch, size_t done,
                   size_t n) noexcept nogil:
    """Rows [done, done + n) of a mini-batch, and the scratch of one member."""
    cdef Rows rows
    rows.first = 0
    rows.n = n
    rows.sample = batch.start + done
    rows.gathered = batch.gathered
    rows.n_all = batch.n_all
    rows.noise_shift = batch.noise_shift
    rows.step = step
    rows.scratch = run.scratch + member * run.scratch_bytes
    return rows


# ---- phase 1: rows ------------------------------------------------------------------------------

cdef int stage_phase(Run *run, const Stage *stage, fnn_team *team, const Rows *slab, int member,
                     size_t block_rows, double scale) noexcept nogil:
    """All tiles of one stage; the losses of blocks of rows go into `block_losses`."""
    cdef const Geometry *g = run.net.geometry
    cdef size_t n_blocks = (slab.n + block_rows - 1) // block_rows, members = team_size(team)
    cdef size_t tile_rows = block_rows, n_tiles, tile
    cdef Rows rows = slab[0]
    cdef int vote = RUNNING
    if is_free_to_cut(&run.net):
        tile_rows *= min(g.row_tile // g.row_block, (n_blocks + members - 1) // members)
    n_tiles = (slab.n + tile_rows - 1) // tile_rows
    if stage.by_units:
        n_tiles = n_tiles_of_units(g, stage)
    elif stage.catches_up:
        n_tiles = g.layers[0].n_tiles_down
    tile = team_next_tile(team, member, n_tiles)
    while tile < n_tiles and vote == RUNNING:
        if stage.by_units:
            run_units(&run.net, stage, slab, tile)
        elif stage.catches_up:
            if catch_up(&run.net, &run.update, run.deferred, tile, slab):
                vote = UPDATE_NOT_FINITE
        else:
            rows.first = tile * tile_rows
            rows.n = min(tile_rows, slab.n - rows.first)
            rows.sample = slab.sample + rows.first
            run_rows(&run.net, stage, &rows, block_rows, scale,
                     run.block_losses + rows.first // block_rows,
                     run.block_hits + rows.first // block_rows if run.block_hits != NULL else NULL)
        vote |= votes_of(&run.signals, member)
        tile = team_next_tile(team, member, n_tiles)
    return team_barrier(team, vote)


cdef int row_phase(Run *run, fnn_team *team, int member, const Rows *slab, double scale,
                   Sums *sums) noexcept nogil:
    """Phase 1 of a slab; adds its losses and right predictions to `sums`."""
    cdef const Geometry *g = run.net.geometry
    cdef size_t n_blocks = (slab.n + g.row_block - 1) // g.row_block, i
    cdef size_t block_rows = (slab.n + n_blocks - 1) // n_blocks
    cdef int vote = RUNNING
    for i in range(run.n_stages):
        vote = stage_phase(run, &run.stages[i], team, slab, member, block_rows, scale)
        if vote == RUNNING and run.stages[i].has_sums:
            vote = sum_phase(run, team, member)
        if vote != RUNNING:
            return vote
    i = 0
    while i * block_rows < slab.n:  # every member the same sum, in the order of the blocks
        sums.loss += run.block_losses[i]
        if run.block_hits != NULL:
            sums.hits += run.block_hits[i]
        i += 1
    return vote


# ---- phase 2 with a stored gradient, and 3 ------------------------------------------------------

cdef int gradient_phase(Run *run, fnn_team *team, int member, const Rows *slab, bint accumulate,
                        bint finishes, double scale) noexcept nogil:
    """The gradient of a slab, stored, and finished after the last one."""
    cdef WeightTile tile
    cdef size_t n_tiles = run.net.geometry.n_weight_tiles
    cdef size_t number = team_next_tile(team, member, n_tiles)
    cdef int vote = RUNNING
    while number < n_tiles and vote == RUNNING:
        tile = find_weight_tile(run.net.geometry, number)
        if is_trained(run.regularization, tile.layer):
            store_gradient(&run.net, &tile, slab, accumulate, run.gradient)
            if finishes:
                finish_stored(run, &tile, number, scale)
        vote = votes_of(&run.signals, member)
        number = team_next_tile(team, member, n_tiles)
    return team_barrier(team, vote)


cdef char *stored_bias(Run *run, const WeightTile *tile) noexcept nogil:
    """Where the gradient of the bias of a tile's layer stands."""
    cdef const Geometry *g = run.net.geometry
    return run.gradient + g.layers[tile.layer].bias * g.itemsize


cdef void finish_stored(Run *run, const WeightTile *tile, size_t number, double scale) noexcept nogil:
    finish_gradient(&run.net, run.regularization, tile, number,
                    gradient_of(run.net.geometry, tile, run.gradient), stored_bias(run, tile), scale)


cdef int finish_phase(Run *run, fnn_team *team, int member, double scale) noexcept nogil:
    """What else goes into the stored gradient, where a hook had to see it first."""
    cdef WeightTile tile
    cdef size_t n_tiles = run.net.geometry.n_weight_tiles
    cdef size_t number = team_next_tile(team, member, n_tiles)
    while number < n_tiles:
        tile = find_weight_tile(run.net.geometry, number)
        if is_trained(run.regularization, tile.layer):
            finish_stored(run, &tile, number, scale)
        number = team_next_tile(team, member, n_tiles)
    return team_barrier(team, RUNNING)


cdef int hook_phase(Run *run, fnn_team *team, int member) noexcept nogil:
    """Between backward and update: the user's look at the gradient, the last layer's first.

    One member calls the hook; its vote is everybody's.
    """
    cdef size_t layer = run.net.geometry.n_layers
    cdef int vote = RUNNING
    if member == 0:
        set_float_state(run.signals.caller_float_state)
        while layer > 0 and vote == RUNNING:
            layer -= 1
            with gil:
                vote = (<UserCode> run.signals.user_code).call_gradient_hook(layer)
        flush_denormals()
    return team_barrier(team, vote)


cdef double scale_of(double total_weight) noexcept nogil:
    """What makes the sum over a mini-batch its mean; 0 where nothing weighs anything."""
    return 1 / total_weight if total_weight > 0 else 0


cdef double penalties(const Run *run, double mean_weight) noexcept nogil:
    """Those of a mini-batch, as a part of the weighted sum over its samples."""
    return sum_of_tiles(run.net.geometry, run.regularization.tile_penalties) * mean_weight


cdef int slab_phases(Run *run, fnn_team *team, int member, const Rows *slab, const MiniBatch *batch,
                     Sums *sums) noexcept nogil:
    """A slab's rows, and its gradient, which is added to that of the slabs before."""
    cdef bint is_first = slab.sample == batch.start
    cdef bint is_last = slab.sample + slab.n == batch.start + batch.n
    cdef size_t i
    cdef int vote = row_phase(run, team, member, slab, scale_of(batch.weight), sums)
    if vote != RUNNING:
        return vote
    if run.others.exchange == NULL or not is_last:
        return gradient_phase(
            run, team, member, slab, not is_first,
            is_last and run.regularization != NULL and not run.has_gradient_hook,
            1.0 / batch.n_all)
    for i in range(run.others.n_buckets):
        vote = bucket_phase(run, team, member, slab, &run.others.buckets[i], not is_first)
        if vote != RUNNING:
            return vote
    return vote


cdef int gradient_step(Run *run, fnn_team *team, int member, uint64_t n_updates,
                       const MiniBatch *batch, Sums *sums) noexcept nogil:
    """The stored gradient of one mini-batch; `sums` are those over its samples, by their
    weights, and the penalties."""
    cdef size_t done = 0
    cdef Rows slab
    cdef int vote = RUNNING
    sums[0] = Sums(0, 0)
    while done < batch.n and vote == RUNNING:
        slab = all_rows(run, member, n_updates, batch, done, min(run.n_slab_rows, batch.n - done))
        vote = slab_phases(run, team, member, &slab, batch, sums)
        done += slab.n
        if vote == FORKED and run.others.exchange == NULL:
            sums[0] = Sums(0, 0)
            done = 0
            vote = RUNNING
    if run.others.exchange != NULL:
        vote = finish_sums(run, team, member, vote, batch.n == 0, sums)
    if vote != RUNNING:
        return vote
    if run.has_gradient_hook and isfinite(sums.loss):
        vote = hook_phase(run, team, member)
    if (vote == RUNNING and run.regularization != NULL and isfinite(sums.loss)
            and (run.has_gradient_hook or run.others.exchange != NULL)):
        vote = finish_phase(run, team, member, 1.0 / batch.n_all)
    if vote == RUNNING and run.regularization != NULL:
        sums.loss += penalties(run, batch.weight / batch.n_all)
    return vote


cdef inline double rate_of(const Run *run, uint64_t n_updates) noexcept nogil:
    """The learning rate of the step after `n_updates` others."""
    return run.learning_rate if run.rates == NULL else run.rates[n_updates - run.first_rate]


cdef StepConstants *prepare_constants(Run *run, int member, uint64_t n_updates) noexcept nogil:
    """Those of the step after `n_updates`, for each of the learning rates."""
    cdef StepConstants *constants = <StepConstants *> (run.constants + member * run.constants_bytes)
    cdef double rate
    cdef size_t i
    for i in range(run.update.n_rates):
        rate = rate_of(run, n_updates) * run.update.rate_factors[i]
        run.update.optimizer.prepare(constants[i].optimizer, run.hyperparameters, rate,
                                     n_updates + 1)
        constants[i].decay = 1 - rate * run.update.weight_decay
    return constants


cdef int update_phase(Run *run, fnn_team *team, int member, uint64_t n_updates,
                      const Rows *rows) noexcept nogil:
    """The update of all tiles: from the stored gradient, or from theirs, measured first.

    Its votes may end the run after this step.
    """
    cdef const Geometry *g = run.net.geometry
    cdef const StepConstants *constants = prepare_constants(run, member, n_updates)
    cdef char *own_gradient = run.tile_gradients + member * run.tile_gradient_bytes
    cdef size_t n_tiles = 1 if run.gradient_mode == FUSED_AT_ONCE else g.n_weight_tiles
    cdef size_t number
    cdef double factor = clipping_factor(run)
    cdef int bad, vote = RUNNING
    if not isfinite(factor):
        return UPDATE_NOT_FINITE
    if run.deferred != NULL and member == 0:
        note_constants(&run.update, run.deferred, constants, n_updates)
    number = team_next_tile(team, member, n_tiles)
    while number < n_tiles:
        if run.gradient_mode == FUSED_AT_ONCE:
            bad = fused_network(run, rows, own_gradient, constants)
        elif run.gradient_mode == FUSED:
            bad = fused_tile(run, number, rows, own_gradient, constants)
        else:
            bad = stored_tile(run, number, rows, factor, constants)
        if bad:
            vote |= UPDATE_NOT_FINITE
        number = team_next_tile(team, member, n_tiles)
    n_updates += 1
    if member == 0 and is_time_to_return(run, n_updates, rows.sample + rows.n):
        vote |= OUT_OF_TIME
    return team_barrier(team, vote)


cdef int fused_tile(Run *run, size_t number, const Rows *rows, char *own_gradient,
                    const StepConstants *constants) noexcept nogil:
    """A tile's gradient over all rows, then its update."""
    cdef WeightTile tile = find_weight_tile(run.net.geometry, number)
    if not is_trained(run.regularization, tile.layer):
        return 0
    cdef fnn_ahead reads
    cdef Matrix dweights = one_panel(own_gradient, tile.n_columns)
    cdef char *dbias = own_gradient + tile.n_rows * tile.n_columns * run.net.geometry.itemsize
    if run.deferred != NULL and tile.layer == 0:
        return update_touched(&run.net, &run.update, run.deferred, &tile, rows, dweights, dbias,
                              constants)
    if run.update.is_far:
        reads = update_reads(&run.net, &run.update, &tile)
    run.net.geometry.layers[tile.layer].operations.weight_gradient(
        &run.net, &tile, rows, False, dweights, dbias, &reads if run.update.is_far else NULL)
    if run.regularization != NULL:
        finish_gradient(&run.net, run.regularization, &tile, number, dweights, dbias, 1.0 / rows.n)
    return update(run, &tile, rows, dweights, dbias, constants)


cdef int update(Run *run, const WeightTile *tile, const Rows *rows, Matrix dweights,
                char *dbias, const StepConstants *constants) noexcept nogil:
    """A tile's decay and its update, at the learning rate of its layer."""
    if run.regularization != NULL:
        constants += run.regularization.layers[tile.layer].rate
        if run.update.weight_decay > 0 and run.net.geometry.layers[tile.layer].operations.is_product:
            decay_weights(&run.net, tile, constants.decay)
    return update_tile(&run.net, &run.update, tile, rows, dweights, dbias, constants.optimizer)


cdef int fused_network(Run *run, const Rows *rows, char *own_gradient,
                       const StepConstants *constants) noexcept nogil:
    """The same for a network so small that calls count."""
    cdef WeightTile tile
    cdef size_t layer
    cdef int bad = 0
    if run.regularization != NULL:
        for layer in range(run.net.geometry.n_weight_tiles):
            bad |= fused_tile(run, layer, rows, own_gradient, constants)
        return bad
    for layer in range(run.net.geometry.n_layers):
        tile = whole_layer(run.net.geometry, layer)
        store_gradient(&run.net, &tile, rows, False, own_gradient)
    return update_network(&run.net, &run.update, rows, own_gradient, constants.optimizer)


cdef int stored_tile(Run *run, size_t number, const Rows *rows, double factor,
                     const StepConstants *constants) noexcept nogil:
    """The update of a tile from the stored gradient, times `factor`."""
    cdef WeightTile tile = find_weight_tile(run.net.geometry, number)
    cdef Matrix dweights = gradient_of(run.net.geometry, &tile, run.gradient)
    if not is_trained(run.regularization, tile.layer):
        return 0
    if factor < 1:
        scale_gradient(&run.net, &tile, dweights, stored_bias(run, &tile), factor)
    return update(run, &tile, rows, dweights, stored_bias(run, &tile), constants)


cdef double clipping_factor(Run *run) noexcept nogil:
    """What the stored gradient is multiplied by: its norm is limited; NaN if that is not finite."""
    cdef double norm
    if run.regularization == NULL or run.regularization.clip_norm == 0:
        return 1
    norm = sqrt(sum_of_tiles(run.net.geometry, run.regularization.tile_squares))
    if norm <= run.regularization.clip_norm:
        return 1
    return run.regularization.clip_norm / norm if isfinite(norm) else norm * 0


# ---- phase 4, where norms of the weights are limited --------------------------------------------

cdef int limit_phase(Run *run, fnn_team *team, int member) noexcept nogil:
    """After the update; it ends the run like one that is not finite, where a norm is not."""
    cdef WeightTile tile
    cdef size_t n_tiles = run.net.geometry.n_weight_tiles
    cdef size_t number = team_next_tile(team, member, n_tiles)
    cdef int vote = RUNNING
    while number < n_tiles:
        tile = find_weight_tile(run.net.geometry, number)
        if limit_norms(&run.net, run.regularization, &tile):
            vote = UPDATE_NOT_FINITE
        number = team_next_tile(team, member, n_tiles)
    return team_barrier(team, vote)


# ---- phase 5, where there is an average ---------------------------------------------------------

cdef int average_phase(Run *run, fnn_team *team, int member, uint64_t n_updates) noexcept nogil:
    """After the update: the moving average of what a model is."""
    cdef const Geometry *g = run.net.geometry
    cdef size_t n_tiles = (g.n_parameters + AVERAGE_TILE - 1) // AVERAGE_TILE, first
    cdef size_t number = team_next_tile(team, member, n_tiles)
    cdef double t = n_updates - run.first_averaged
    cdef double keep = min(run.ema, (1 + t) / (10 + t))
    while number < n_tiles:
        first = number * AVERAGE_TILE
        g.kernels.average(run.average + first * g.itemsize, run.net.parameters + first * g.itemsize,
                          min(AVERAGE_TILE, g.n_parameters - first), keep)
        if number == 0:
            g.kernels.average(run.average_running, run.net.running, g.n_running, keep)
        number = team_next_tile(team, member, n_tiles)
    return team_barrier(team, RUNNING)


cdef bint is_time_to_return(Run *run, uint64_t n_updates, size_t n_done) noexcept nogil:
    """After so many steps, and so many samples of the epoch."""
    cdef double time
    if n_updates >= run.updates_allowed:
        return True
    if not (n_updates % run.clock_interval == 0 if run.deferred == NULL else ends_period(
            run.deferred, n_done, run.batch_size, run.net.batch.n_samples)):
        return False
    time = now()
    return time >= run.deadline or (time >= run.reader_deadline
                                    and load_relaxed(run.n_waiting_readers) > 0)


# ---- step, epoch, run ---------------------------------------------------------------------------

cdef int step(Run *run, fnn_team *team, int member, uint64_t n_updates, const MiniBatch *batch,
              Sums *sums) noexcept nogil:
    """One mini-batch: the losses and right predictions of its samples before its update, by their
    weights, and the update."""
    cdef Rows rows = all_rows(run, member, n_updates, batch, 0, batch.n)
    cdef int status = FORKED
    if run.gradient_mode == STORED:
        status = gradient_step(run, team, member, n_updates, batch, sums)
    else:
        while status == FORKED:
            sums[0] = Sums(0, 0)
            status = row_phase(run, team, member, &rows, scale_of(batch.weight), sums)
    if status == RUNNING and not isfinite(sums.loss):
        status = LOSS_NOT_FINITE
    if status == RUNNING:
        status = update_phase(run, team, member, n_updates, &rows)
    if run.regularization != NULL and status <= OUT_OF_TIME:  # the update is done, and finite
        if run.gradient_mode != STORED:
            sums.loss += penalties(run, batch.weight / batch.n_all)
            if not isfinite(sums.loss):
                return LOSS_NOT_FINITE | UPDATE_NOT_FINITE  # what has been updated is to be undone
        if run.regularization.has_max_norms:
            status |= limit_phase(run, team, member)
    if run.average != NULL and status <= OUT_OF_TIME:
        average_phase(run, team, member, n_updates)
    return status


cdef void write_all_shadows(Run *run, fnn_team *team, int member) noexcept nogil:
    """Unless they are there: before the first step, and where a user has changed the weights."""
    cdef WeightTile tile
    cdef size_t n_tiles = run.net.geometry.n_weight_tiles, number
    if run.has_shadows:
        return
    number = team_next_tile(team, member, n_tiles)
    while number < n_tiles:
        tile = find_weight_tile(run.net.geometry, number)
        write_shadows(&run.net, &tile)
        number = team_next_tile(team, member, n_tiles)
    team_barrier(team, RUNNING)


cdef void train(void *context, fnn_team *team, int member) noexcept nogil:
    """Steps until `until_epoch`, the deadline, or trouble.

    Every member walks through the same mini-batches on its own; member 0 keeps the books.
    """
    cdef Run *run = <Run *> context
    cdef Progress progress = run.progress[0]
    cdef size_t n_samples = run.net.batch.n_samples
    cdef Sums sums = Sums(0, 0)
    cdef MiniBatch batch
    cdef bint gathered = False
    cdef int status = RUNNING
    batch.n_all = 1
    write_all_shadows(run, team, member)
    if run.deferred != NULL:
        begin_period(&run.net, run.deferred, team, member, progress.n_updates)
    while status == RUNNING and progress.epoch < run.until_epoch and not progress.is_block_done:
        if is_epoch_new(&progress) and (run.bitgen != NULL or run.others.has_weights):
            if member == 0 and run.bitgen != NULL:
                shuffle(run.net.batch.order, run.subset, n_samples, run.bitgen)
            if member == 0 and run.others.has_weights:
                sum_epoch_weights(run)
            team_barrier(team, RUNNING)
        batch = next_batch(run, &progress)
        batch.gathered = gathered
        status = step(run, team, member, progress.n_updates, &batch, &sums)
        gathered = run.gathers_once and batch.n > 0
        if status == RUNNING or status == OUT_OF_TIME:
            record_step(run, &progress, &sums, &batch)
            if member == 0:
                if is_epoch_new(&progress):
                    run.epoch_losses[progress.epoch - 1] = (progress.epoch_loss
                                                            / progress.epoch_weight)
                    run.epoch_rates[progress.epoch - 1] = rate_of(run, progress.n_updates - 1)
                    run.epoch_accuracies[progress.epoch - 1] = (progress.epoch_hits
                                                                / progress.epoch_weight)
                run.progress[0] = progress
        if run.deferred != NULL and not status & UPDATE_NOT_FINITE and ends_period(
                run.deferred, batch.start + batch.n, run.batch_size, n_samples):
            status |= settle(&run.net, &run.update, run.deferred, team, member, progress.n_updates)
            begin_period(&run.net, run.deferred, team, member, progress.n_updates)
    if run.deferred != NULL and not status & UPDATE_NOT_FINITE and (
            progress.n_updates > run.deferred.first_step):
        status |= settle(&run.net, &run.update, run.deferred, team, member, progress.n_updates)
    if member == 0:
        run.status = status
        run.bad_loss = sums.loss / batch.n_all


cdef void measure_gradient(void *context, fnn_team *team, int member) noexcept nogil:
    """Phases 1 and 2 over all samples as one batch."""
    cdef Run *run = <Run *> context
    cdef Sums sums = Sums(0, 0)
    cdef MiniBatch batch = next_batch(run, run.progress)
    write_all_shadows(run, team, member)
    cdef int status = gradient_step(run, team, member, run.progress.n_updates, &batch, &sums)
    if member == 0:
        run.status = status
        run.epoch_losses[0] = sums.loss / run.net.batch.total_weight

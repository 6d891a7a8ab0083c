"""Training: mini-batches, steps and epochs, without the GIL and without an allocation.

A step has two phases, with a barrier after each:

1. rows: each member of the team takes tiles of samples through all layers forward, through the
   loss, and back. The weights are only read.
2. weights: each takes tiles of the weight matrices: ``dW = A_prev.T @ dZ`` over the whole batch,
   and at once the optimiser's update of that tile, while its gradient is in the cache. The
   gradient is never stored.

Where a step takes long, or its activations exceed the plan's slab, the gradient is stored (and
summed up over the slabs), and the update is a third phase: nothing that a user sees changes before
it, so such a step can be given up until then. An update always runs to its end.

Backwards, each layer needs the transpose of its weights: a shadow, written with each update.
"""
import numpy as np

from cpython.exc cimport PyErr_CheckSignals
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.math cimport isfinite
from libc.stdint cimport int32_t, int64_t, uint64_t
from posix.unistd cimport getpid, pid_t

from fastnn._core.clock cimport now
from fastnn._core.kernels cimport (
    FNN_MAX_HYPERPARAMETERS,
    FNN_MAX_SLOTS,
    bytes_of,
    find_activation,
    find_input,
    find_optimizer,
    flush_denormals,
    fnn_activation,
    fnn_gemm,
    fnn_input,
    fnn_optimizer,
    fnn_team,
    pointer_to,
    set_float_state,
    team_barrier,
    team_next_tile,
    team_run,
    team_size,
    writable_bytes_of,
    writable_pointer_to,
)
from fastnn._core.plan cimport Geometry, LayerPlan, Plan

# NumPy's contract with users of its bit generators; a cimport of numpy.random would import it all.
cdef extern from "numpy/random/bitgen.h":
    ctypedef struct bitgen_t:
        void *state
        uint64_t (*next_uint64)(void *state) noexcept nogil

# Steps with more operations than this in the weight phase can be given up in the middle of it.
cdef double UNINTERRUPTED_FLOPS = 5e9
# Networks up to this get one update for all layers, where one thread trains: their gradient, of 32
# KiB in float32, is still in the L1 cache.
cdef size_t SMALL_PARAMETERS = 8192
# Seconds between two looks at pending signals, inside a step.
cdef double SIGNAL_SECONDS = 0.05
# Seconds after which `advance` comes back between two steps: for signals, the progress bar, and
# whoever waits to read the parameters.
cdef double ADVANCE_SECONDS = 0.1

# How long a number of threads is tried before it is compared, and how often the others are tried
# again: other processes come and go.
cdef double TRIAL_SECONDS = 0.002
cdef double TRIAL_INTERVAL_SECONDS = 0.25
# Steps as long as this use all threads without a trial.
cdef double LONG_STEP_SECONDS = 0.02

# What a member votes at a barrier, and how a run ended. Bits, because votes are or-ed.
cdef enum:
    RUNNING = 0
    OUT_OF_TIME = 1
    INTERRUPTED = 2
    LOSS_NOT_FINITE = 4
    UPDATE_NOT_FINITE = 8
    FORKED = 16

cdef struct LayerBuffers:
    char *a  # (slab_rows, n_out)
    char *d  # (slab_rows, n_out): derivatives of the loss by z
    char *z  # (slab_rows, n_out): `a` itself where nobody needs them afterwards
    char *transposed  # (n_out, n_in): the weights; NULL for the first layer

# All that the members of the team share. Only member 0 writes to it between the phases.
cdef struct Run:
    Geometry *geometry
    const fnn_input *input
    const fnn_input *own_input  # reads arrays of the network's own dtype
    const fnn_activation *output_activation  # linear, where the loss starts from the logits
    fnn_gemm gemm
    # data
    const char *X
    const char *targets  # labels (int32) or rows of numbers
    bint has_labels
    size_t n_samples
    size_t n_slab_rows
    int64_t *order  # NULL: in the order given
    # buffers
    LayerBuffers *layers
    char *batch_X  # gathered rows of X, or NULL where X itself can be read
    char *batch_targets
    double *tile_losses
    char *gradient  # of all parameters; NULL: of one tile at a time, in `tile_gradients`
    char *tile_gradients
    size_t tile_gradient_bytes  # for each member
    bint is_small  # each layer is one tile, and `tile_gradient_bytes` are enough for all
    # parameters and optimiser
    char *parameters
    const fnn_optimizer *optimizer  # not read where the gradient is all that is wanted
    char *slots[FNN_MAX_SLOTS]
    size_t n_slots
    double hyperparameters[FNN_MAX_HYPERPARAMETERS]
    uint64_t n_updates
    # where we are
    size_t batch_size
    size_t epoch
    size_t until_epoch
    size_t start  # first sample of the next mini-batch
    double epoch_loss  # sum over the samples so far
    double *epoch_losses  # (n_epochs,)
    bitgen_t *bitgen
    # how the run ends
    uint64_t updates_allowed
    double deadline
    double next_signal_check
    bint check_signals_in_tiles
    uint64_t clock_interval  # steps between two looks at the clock
    uint64_t caller_float_state
    int status
    double bad_loss


cdef int pending_signals(Run *run) noexcept nogil:
    """INTERRUPTED if a signal handler raised; its exception stays set until the run is over.

    FORKED if one has forked and this is the child: the team's other members are gone, with what
    they were at, so the gradient of this mini-batch has to be begun again.
    """
    cdef double t = now()
    cdef int raised
    cdef pid_t pid
    if t < run.next_signal_check:
        return RUNNING
    run.next_signal_check = t + SIGNAL_SECONDS
    pid = getpid()
    set_float_state(run.caller_float_state)  # handlers are the user's code
    with gil:
        raised = _check_signals()
    flush_denormals()
    if raised:
        return INTERRUPTED
    return RUNNING if getpid() == pid else FORKED


cdef object _raised = None


cdef int _check_signals() noexcept:
    global _raised
    try:
        PyErr_CheckSignals()
    except BaseException as error:
        _raised = error
        return 1
    return 0


# ---- phase 1 -------------------------------------------------------------------------------

cdef const char *layer_input(Run *run, size_t layer, size_t first, size_t slab_start) noexcept nogil:
    """Row `first` of the slab, as it enters `layer`."""
    cdef Geometry *g = run.geometry
    cdef size_t row_bytes = g.layers[layer].n_in * g.itemsize
    if layer > 0:
        return run.layers[layer - 1].a + first * row_bytes
    if run.batch_X != NULL:
        return run.batch_X + first * row_bytes
    return run.X + (slab_start + first) * row_bytes


cdef void gather(Run *run, size_t first, size_t rows, size_t slab_start) noexcept nogil:
    """Rows [first, first + rows) of the slab, and their targets, into the batch's buffers."""
    cdef Geometry *g = run.geometry
    cdef size_t begin = slab_start + first, i
    cdef size_t output_bytes = g.n_outputs * g.itemsize
    cdef const int64_t *order = run.order + begin if run.order != NULL else NULL
    if run.batch_X != NULL:
        run.input.gather(
            run.batch_X + first * g.n_features * g.itemsize,
            run.X if order != NULL else run.X + begin * g.n_features * run.input.itemsize,
            order, rows, g.n_features)
    if order == NULL:
        return
    if run.has_labels:
        for i in range(rows):
            (<int32_t *> run.batch_targets)[first + i] = (<const int32_t *> run.targets)[order[i]]
    else:
        run.own_input.gather(run.batch_targets + first * output_bytes, run.targets, order, rows,
                             g.n_outputs)


cdef double loss_and_derivative(Run *run, size_t first, size_t rows, size_t slab_start,
                                double scale) noexcept nogil:
    """The loss of some rows of the slab; its derivative goes into the last layer's `d`."""
    cdef Geometry *g = run.geometry
    cdef LayerBuffers *last = &run.layers[g.n_layers - 1]
    cdef size_t row_bytes = g.n_outputs * g.itemsize
    cdef size_t target_bytes = sizeof(int32_t) if run.has_labels else row_bytes
    cdef const char *targets
    if run.order != NULL:
        targets = run.batch_targets + first * target_bytes
    else:
        targets = run.targets + (slab_start + first) * target_bytes
    if run.has_labels:
        return g.loss.labels(last.d + first * row_bytes, last.a + first * row_bytes,
                             <const int32_t *> targets, rows, g.n_outputs, scale)
    return g.loss.targets(last.d + first * row_bytes, last.a + first * row_bytes, targets, rows,
                          g.n_outputs, scale)


cdef void forward_tile(Run *run, size_t first, size_t rows, size_t slab_start) noexcept nogil:
    cdef Geometry *g = run.geometry
    cdef LayerPlan *layer
    cdef LayerBuffers *buffers
    cdef const fnn_activation *activation
    cdef size_t l, at
    for l in range(g.n_layers):
        layer = &g.layers[l]
        buffers = &run.layers[l]
        at = first * layer.n_out * g.itemsize
        activation = run.output_activation if l == g.n_layers - 1 else layer.activation
        run.gemm(0, rows, layer.n_out, layer.n_in,
                 layer_input(run, l, first, slab_start), layer.n_in,
                 run.parameters + layer.weights * g.itemsize, layer.n_out,
                 run.parameters + layer.bias * g.itemsize, 0, buffers.z + at, layer.n_out)
        activation.forward(buffers.a + at, buffers.z + at, rows, layer.n_out)


cdef void backward_tile(Run *run, size_t first, size_t rows) noexcept nogil:
    """From the last layer's `d`, what the loss gave, to the derivatives by the z of all layers."""
    cdef Geometry *g = run.geometry
    cdef size_t l = g.n_layers - 1
    cdef LayerPlan *layer = &g.layers[l]
    cdef LayerBuffers *buffers = &run.layers[l]
    cdef size_t at = first * layer.n_out * g.itemsize, at_next
    if not g.loss.from_logits:
        layer.activation.backward(buffers.d + at, buffers.a + at, buffers.z + at,
                                  rows * layer.n_out)
    while l > 0:
        at_next = at
        layer = &g.layers[l]
        buffers = &run.layers[l - 1]
        at = first * layer.n_in * g.itemsize
        run.gemm(0, rows, layer.n_in, layer.n_out, run.layers[l].d + at_next, layer.n_out,
                 run.layers[l].transposed, layer.n_in, NULL, 0, buffers.d + at, layer.n_in)
        l -= 1
        g.layers[l].activation.backward(buffers.d + at, buffers.a + at, buffers.z + at,
                                        rows * layer.n_in)


cdef void row_tile(Run *run, size_t tile, size_t first, size_t rows, size_t slab_start,
                   double scale) noexcept nogil:
    """Forward through all layers, the loss, and back to the first layer's z."""
    gather(run, first, rows, slab_start)
    forward_tile(run, first, rows, slab_start)
    run.tile_losses[tile] = loss_and_derivative(run, first, rows, slab_start, scale)
    backward_tile(run, first, rows)


# ---- phase 2, and 3 -------------------------------------------------------------------------

cdef struct WeightTile:
    size_t layer
    size_t first_row
    size_t n_rows
    size_t first_column
    size_t n_columns


cdef WeightTile find_weight_tile(Geometry *g, size_t number) noexcept nogil:
    cdef WeightTile tile
    cdef LayerPlan *layer = g.layers
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


cdef bint has_bias(WeightTile *tile) noexcept nogil:
    """Whether this tile of a layer is the one that looks after its bias."""
    return tile.first_row == 0 and tile.first_column == 0


cdef void weight_gradient(Run *run, WeightTile *tile, size_t rows, size_t slab_start,
                          bint accumulate, char *dweights, size_t row_elements,
                          char *dbias) noexcept nogil:
    """``dW = A_prev.T @ dZ`` of one tile, rows `row_elements` apart, and its layer's ``db``."""
    cdef Geometry *g = run.geometry
    cdef LayerPlan *layer = &g.layers[tile.layer]
    cdef char *d = run.layers[tile.layer].d
    run.gemm(1, tile.n_rows, tile.n_columns, rows,
             layer_input(run, tile.layer, 0, slab_start) + tile.first_row * g.itemsize, layer.n_in,
             d + tile.first_column * g.itemsize, layer.n_out, NULL, accumulate,
             dweights, row_elements)
    if has_bias(tile):
        g.kernels.sum_rows(dbias, d, rows, layer.n_out, accumulate)


cdef int update(Run *run, size_t first, const char *gradient, size_t n,
                const double *constants) noexcept nogil:
    """The optimiser on the parameters [first, first + n); not 0 if the result is not finite."""
    cdef void *slots[FNN_MAX_SLOTS]
    cdef size_t offset = first * run.geometry.itemsize, i
    for i in range(run.n_slots):
        slots[i] = run.slots[i] + offset
    return run.optimizer.update(run.parameters + offset, slots, gradient, n, constants)


cdef int update_tile(Run *run, WeightTile *tile, const char *dweights, size_t row_elements,
                     const char *dbias, const double *constants) noexcept nogil:
    """The optimiser on one tile, and on its layer's bias; then the tile's shadow."""
    cdef Geometry *g = run.geometry
    cdef LayerPlan *layer = &g.layers[tile.layer]
    cdef size_t first = layer.weights + tile.first_row * layer.n_out + tile.first_column, i
    cdef size_t n = tile.n_rows * tile.n_columns
    cdef int bad = 0
    if layer.n_tiles == 1:  # the bias stands right behind the weights, here as in the block
        bad = update(run, first, dweights, n + layer.n_out, constants)
    elif tile.n_columns == layer.n_out:
        bad = update(run, first, dweights, n, constants)
    else:
        for i in range(tile.n_rows):
            bad |= update(run, first + i * layer.n_out, dweights + i * row_elements * g.itemsize,
                          tile.n_columns, constants)
    if has_bias(tile) and layer.n_tiles > 1:
        bad |= update(run, layer.bias, dbias, layer.n_out, constants)
    write_shadow(run, tile)
    return bad


cdef void write_shadow(Run *run, WeightTile *tile) noexcept nogil:
    """The transpose of one tile of the weights, where it belongs."""
    cdef Geometry *g = run.geometry
    cdef LayerPlan *layer = &g.layers[tile.layer]
    cdef size_t first = tile.first_row * layer.n_out + tile.first_column
    cdef char *transposed = run.layers[tile.layer].transposed
    if transposed != NULL:
        g.kernels.transpose(
            transposed + (tile.first_column * layer.n_in + tile.first_row) * g.itemsize,
            layer.n_in, run.parameters + (layer.weights + first) * g.itemsize, layer.n_out,
            tile.n_rows, tile.n_columns)


# ---- step, epoch, run ------------------------------------------------------------------------

cdef int row_phase(Run *run, fnn_team *team, int member, size_t slab, size_t slab_start,
                   double scale, double *loss) noexcept nogil:
    """Phase 1 of a slab; adds the sum of its losses to `loss`."""
    cdef size_t n_tiles = (slab + run.geometry.row_tile - 1) // run.geometry.row_tile
    cdef size_t tile_rows = (slab + n_tiles - 1) // n_tiles
    cdef size_t tile = team_next_tile(team), first, i
    cdef int vote = RUNNING
    n_tiles = (slab + tile_rows - 1) // tile_rows
    while tile < n_tiles and vote == RUNNING:
        first = tile * tile_rows
        row_tile(run, tile, first, min(tile_rows, slab - first), slab_start, scale)
        if member == 0 and run.check_signals_in_tiles:
            vote = pending_signals(run)
        tile = team_next_tile(team)
    vote = team_barrier(team, vote)
    for i in range(n_tiles):  # every member the same sum, in the order of the tiles
        loss[0] += run.tile_losses[i]
    return vote


cdef int weight_phase(Run *run, fnn_team *team, int member, size_t slab, size_t slab_start,
                      bint accumulate) noexcept nogil:
    """Phase 2 of a slab, the gradient being stored."""
    cdef Geometry *g = run.geometry
    cdef LayerPlan *layer
    cdef WeightTile tile
    cdef size_t number = team_next_tile(team), offset
    cdef int vote = RUNNING
    while number < g.n_weight_tiles and vote == RUNNING:
        tile = find_weight_tile(g, number)
        layer = &g.layers[tile.layer]
        offset = layer.weights + tile.first_row * layer.n_out + tile.first_column
        weight_gradient(run, &tile, slab, slab_start, accumulate,
                        run.gradient + offset * g.itemsize, layer.n_out,
                        run.gradient + layer.bias * g.itemsize)
        if member == 0 and run.check_signals_in_tiles:
            vote = pending_signals(run)
        number = team_next_tile(team)
    return team_barrier(team, vote)


cdef int gradient_step(Run *run, fnn_team *team, int member, size_t start, size_t rows,
                       double *loss) noexcept nogil:
    """The stored gradient of one mini-batch; `loss` is the mean over its samples."""
    cdef double total = 0
    cdef size_t done = 0, slab
    cdef int vote
    while done < rows:
        slab = min(run.n_slab_rows, rows - done)
        vote = row_phase(run, team, member, slab, start + done, 1.0 / rows, &total)
        if vote == RUNNING:
            vote = weight_phase(run, team, member, slab, start + done, done > 0)
        if vote == FORKED:
            total = 0
            done = 0
        elif vote != RUNNING:
            return vote
        else:
            done += slab
    loss[0] = total / rows
    return RUNNING if isfinite(total) else LOSS_NOT_FINITE


cdef int update_at_once(Run *run, char *gradient, size_t rows, size_t start,
                        const double *constants) noexcept nogil:
    """What `update_phase` does for each tile, for a network so small that calls count."""
    cdef Geometry *g = run.geometry
    cdef WeightTile tile
    cdef LayerPlan *layer
    cdef size_t l
    cdef int bad
    for l in range(g.n_layers):
        tile = find_weight_tile(g, l)
        layer = &g.layers[l]
        weight_gradient(run, &tile, rows, start, False, gradient + layer.weights * g.itemsize,
                        layer.n_out, gradient + layer.bias * g.itemsize)
    bad = update(run, 0, gradient, g.n_parameters, constants)
    for l in range(1, g.n_layers):
        tile = find_weight_tile(g, l)
        write_shadow(run, &tile)
    return bad


cdef int update_phase(Run *run, fnn_team *team, int member, uint64_t n_updates, size_t rows,
                      size_t start) noexcept nogil:
    """The update of all tiles: from the stored gradient, or measuring theirs first.

    Its votes may end the run after this step.
    """
    cdef Geometry *g = run.geometry
    cdef LayerPlan *layer
    cdef WeightTile tile
    cdef double constants[FNN_MAX_HYPERPARAMETERS]
    cdef size_t number = team_next_tile(team), offset
    cdef char *dweights = run.tile_gradients + member * run.tile_gradient_bytes
    cdef char *dbias
    cdef int bad, vote = RUNNING
    run.optimizer.prepare(constants, run.hyperparameters, n_updates + 1)
    if run.is_small and team_size(team) == 1:
        number = g.n_weight_tiles
        if update_at_once(run, dweights, rows, start, constants):
            vote = UPDATE_NOT_FINITE
    while number < g.n_weight_tiles:
        tile = find_weight_tile(g, number)
        layer = &g.layers[tile.layer]
        if run.gradient != NULL:
            offset = layer.weights + tile.first_row * layer.n_out + tile.first_column
            bad = update_tile(run, &tile, run.gradient + offset * g.itemsize, layer.n_out,
                              run.gradient + layer.bias * g.itemsize, constants)
        else:
            dbias = dweights + tile.n_rows * tile.n_columns * g.itemsize
            weight_gradient(run, &tile, rows, start, False, dweights, tile.n_columns, dbias)
            bad = update_tile(run, &tile, dweights, tile.n_columns, dbias, constants)
        if bad:
            vote |= UPDATE_NOT_FINITE
        number = team_next_tile(team)
    n_updates += 1
    if member == 0 and (n_updates >= run.updates_allowed
                        or n_updates % run.clock_interval == 0 and now() >= run.deadline):
        vote |= OUT_OF_TIME
    return team_barrier(team, vote)


cdef int step(Run *run, fnn_team *team, int member, uint64_t n_updates, size_t start, size_t rows,
              double *loss) noexcept nogil:
    """One mini-batch: the loss before its update, and the update."""
    cdef int status = FORKED
    if run.gradient != NULL:
        status = gradient_step(run, team, member, start, rows, loss)
    else:
        while status == FORKED:
            loss[0] = 0
            status = row_phase(run, team, member, rows, start, 1.0 / rows, loss)
        loss[0] /= rows
        if status == RUNNING and not isfinite(loss[0]):
            status = LOSS_NOT_FINITE
    if status == RUNNING:
        status = update_phase(run, team, member, n_updates, rows, start)
    return status


cdef void write_shadows(Run *run, fnn_team *team) noexcept nogil:
    """All shadows, from weights that anybody may have changed since the last run."""
    cdef WeightTile tile
    cdef size_t number = team_next_tile(team)
    while number < run.geometry.n_weight_tiles:
        tile = find_weight_tile(run.geometry, number)
        write_shadow(run, &tile)
        number = team_next_tile(team)
    team_barrier(team, RUNNING)


cdef void shuffle(Run *run) noexcept nogil:
    """A random permutation of the samples: Fisher and Yates, from the identity every time."""
    cdef size_t i
    cdef uint64_t j, mask
    cdef int64_t swapped
    for i in range(run.n_samples):
        run.order[i] = i
    for i in range(run.n_samples - 1, 0, -1):
        # j uniform in [0, i]: random bits, drawn again while too large
        mask = i
        mask |= mask >> 1
        mask |= mask >> 2
        mask |= mask >> 4
        mask |= mask >> 8
        mask |= mask >> 16
        mask |= mask >> 32
        j = run.bitgen.next_uint64(run.bitgen.state) & mask
        while j > i:
            j = run.bitgen.next_uint64(run.bitgen.state) & mask
        swapped = run.order[i]
        run.order[i] = run.order[j]
        run.order[j] = swapped


cdef void train(void *context, fnn_team *team, int member) noexcept nogil:
    """Steps until `until_epoch`, the deadline, or trouble; run by every member of the team.

    Every member walks through the same mini-batches on its own; member 0 keeps the books.
    """
    cdef Run *run = <Run *> context
    cdef size_t epoch = run.epoch, until_epoch = run.until_epoch, start = run.start, rows
    cdef size_t n_samples = run.n_samples, batch_size = run.batch_size
    cdef uint64_t n_updates = run.n_updates
    cdef double loss = 0
    cdef int status = RUNNING
    write_shadows(run, team)
    while status == RUNNING and epoch < until_epoch:
        if start == 0 and run.order != NULL:
            if member == 0:
                shuffle(run)
            team_barrier(team, RUNNING)
        rows = min(batch_size, n_samples - start)
        status = step(run, team, member, n_updates, start, rows, &loss)
        if status == RUNNING or status == OUT_OF_TIME:
            n_updates += 1
            start += rows
            if start == n_samples:
                start = 0
                epoch += 1
            if member == 0:
                record_step(run, loss * rows, start)
    if member == 0:
        run.status = status
        run.bad_loss = loss


cdef void record_step(Run *run, double loss, size_t next_start) noexcept nogil:
    run.n_updates += 1
    run.epoch_loss += loss
    run.start = next_start
    if next_start == 0:
        run.epoch_losses[run.epoch] = run.epoch_loss / run.n_samples
        run.epoch_loss = 0
        run.epoch += 1


cdef void measure_gradient(void *context, fnn_team *team, int member) noexcept nogil:
    """Phases 1 and 2 over all samples as one batch."""
    cdef Run *run = <Run *> context
    cdef double loss = 0
    write_shadows(run, team)
    cdef int status = gradient_step(run, team, member, 0, run.n_samples, &loss)
    if member == 0:
        run.status = status
        run.epoch_losses[0] = loss


cdef int raise_interruption() except -1:
    """Raises what the signal handler raised."""
    global _raised
    error = _raised
    _raised = None
    raise error


cdef class Workspace:
    """Buffers and data of one training run: everything is allocated here, before the first step.

    The plan keeps the buffers afterwards, as long as the network or a copy lives: the first touch of
    new memory may take longer than a training step.

    Parameters
    ----------
    plan : Plan
    parameters : ndarray of shape (n_parameters,), of the plan's dtype
    X : ndarray of shape (n_samples, n_features), float32 or float64
    targets : ndarray of shape (n_samples,), int32 labels, or (n_samples, n_outputs), plan's dtype
    batch_size : int
    n_epochs : int
    shuffled : bool
    gradient : ndarray of shape (n_parameters,), optional
        Receives the gradient.
    n_threads : int
    """

    cdef Run run
    cdef Plan plan
    cdef list views  # keeps alive what `run` points into
    cdef list buffers  # of these, what the plan gets back
    cdef int n_threads
    cdef readonly object losses  # (n_epochs,) float64: the mean loss of each finished epoch
    cdef object order
    cdef object parameters

    def __init__(self, Plan plan, parameters, X, targets, size_t batch_size, size_t n_epochs,
                 bint shuffled, int n_threads, gradient=None):
        cdef Run *run = &self.run
        cdef Geometry *g = &plan.geometry
        cdef size_t n_samples = X.shape[0], i, n_slabs, rows
        cdef LayerPlan *layer
        cdef bint needs_z
        cdef double flops
        self.plan = plan
        self.views = []
        self.buffers = []
        self.n_threads = n_threads
        self.parameters = parameters
        run.geometry = g
        run.input = find_input(g.kernels, X.dtype)
        run.own_input = plan.own_input
        run.gemm = plan.prepare_gemm(n_threads)
        run.output_activation = g.layers[g.n_layers - 1].activation
        if g.loss.from_logits:
            run.output_activation = find_activation(g.kernels, "linear")

        run.X = self.keep(X, X.dtype, (n_samples, g.n_features))
        run.has_labels = targets.ndim == 1
        if run.has_labels:
            run.targets = self.keep(targets, np.dtype(np.int32), (n_samples,))
        else:
            run.targets = self.keep(targets, plan.dtype, (n_samples, g.n_outputs))
        run.n_samples = n_samples
        run.parameters = self.keep_writable(parameters, plan.dtype, (g.n_parameters,))

        run.batch_size = batch_size
        rows = min(batch_size, n_samples)
        n_slabs = (rows + g.slab_rows - 1) // g.slab_rows
        rows = (rows + n_slabs - 1) // n_slabs
        run.n_slab_rows = rows
        if shuffled:
            self.order = self.array((n_samples,), np.dtype(np.int64))
            run.order = <int64_t *> self.keep_writable(self.order, np.dtype(np.int64), (n_samples,))
        if shuffled or X.dtype != plan.dtype:
            run.batch_X = self.buffer(rows, g.n_features)
        if shuffled:
            run.batch_targets = self.buffer(rows, g.n_outputs)
        run.layers = <LayerBuffers *> self.scratch(g.n_layers, sizeof(LayerBuffers))
        for i in range(g.n_layers):
            layer = &g.layers[i]
            needs_z = layer.activation.needs_z and not (
                i == g.n_layers - 1 and g.loss.from_logits)
            run.layers[i].a = self.buffer(rows, layer.n_out)
            run.layers[i].d = self.buffer(rows, layer.n_out)
            run.layers[i].z = (self.buffer(rows, layer.n_out) if needs_z
                                    else run.layers[i].a)
            run.layers[i].transposed = self.buffer(layer.n_out, layer.n_in) if i > 0 else NULL
        run.tile_losses = <double *> self.scratch((rows + g.row_tile - 1) // g.row_tile, 8)
        # A look at the signals costs a clock, and a clock 25 ns: only where a step may take long
        flops = plan.training_flops(min(batch_size, n_samples))
        run.check_signals_in_tiles = flops > 1e8
        run.clock_interval = 16 if flops < 1e6 else 1
        if gradient is not None:
            run.gradient = self.keep_writable(gradient, plan.dtype, (g.n_parameters,))
        elif n_slabs > 1 or flops > 3 * UNINTERRUPTED_FLOPS:
            run.gradient = self.buffer(1, g.n_parameters)
        else:
            run.is_small = (g.n_weight_tiles == g.n_layers
                            and g.n_parameters <= SMALL_PARAMETERS)
            run.tile_gradient_bytes = self.tile_gradient_bytes()
            run.tile_gradients = self.scratch(n_threads, run.tile_gradient_bytes)
        self.losses = np.zeros(n_epochs)
        run.epoch_losses = <double *> self.keep_writable(self.losses, np.dtype(np.float64),
                                                         (n_epochs,))

    def __del__(self):
        if self.buffers is not None:
            self.plan.spare = self.buffers

    cdef size_t tile_gradient_bytes(self):
        """Room for what a member has of the gradient at a time, in whole cache lines."""
        cdef Geometry *g = &self.plan.geometry
        cdef size_t largest = 0, i
        for i in range(g.n_layers):
            largest = max(largest, min(g.layers[i].tile_rows, g.layers[i].n_in)
                          * g.layers[i].tile_columns + g.layers[i].n_out)
        if self.run.is_small:
            largest = max(largest, g.n_parameters)
        return (largest * g.itemsize + 63) // 64 * 64

    cdef const char *keep(self, array, dtype, tuple shape):
        cdef const unsigned char[::1] view = bytes_of(array, dtype, shape)
        self.views.append(view)
        return pointer_to(view)

    cdef char *keep_writable(self, array, dtype, tuple shape):
        cdef unsigned char[::1] view = writable_bytes_of(array, dtype, shape)
        self.views.append(view)
        return writable_pointer_to(view)

    cdef object array(self, tuple shape, dtype):
        """An array of arbitrary content."""
        cdef size_t n_bytes = dtype.itemsize
        for n in shape:
            n_bytes *= <size_t> n
        self.buffers.append(self.plan.take_buffer(n_bytes))
        return self.buffers[len(self.buffers) - 1].view(dtype).reshape(shape)

    cdef char *scratch(self, size_t n, size_t itemsize):
        """Memory for n items, 64-byte aligned, of arbitrary content."""
        if itemsize != 0 and n > (<size_t> -1 - 64) // itemsize:
            raise MemoryError("the buffers of the training step exceed the address space")
        self.buffers.append(self.plan.take_buffer(n * itemsize + 64))
        cdef unsigned char[::1] view = self.buffers[len(self.buffers) - 1]
        self.views.append(view)
        return writable_pointer_to(view) + (64 - <size_t> writable_pointer_to(view) % 64) % 64

    cdef char *buffer(self, size_t rows, size_t n_units):
        """Memory for (rows, n_units) numbers of the plan's dtype."""
        return self.scratch(rows * n_units, self.plan.geometry.itemsize)

    cdef int execute(self, bint only_gradient) except -1:
        """Runs the team; returns its status, or raises what a signal handler raised."""
        cdef Run *run = &self.run
        self.plan.spare = []  # what did not fit this run
        with nogil:
            run.next_signal_check = now() + SIGNAL_SECONDS
            run.caller_float_state = flush_denormals()
            set_float_state(run.caller_float_state)
            team_run(measure_gradient if only_gradient else train, run, self.n_threads)
        if run.status & INTERRUPTED:
            raise_interruption()
        return run.status


def loss_and_gradients(Plan plan, parameters, X, targets, gradient, int n_threads):
    """The mean loss over all samples; its gradient goes into `gradient`.

    Parameters
    ----------
    plan : Plan
    parameters, gradient : ndarray of shape (n_parameters,), of the plan's dtype
    X : ndarray of shape (n_samples, n_features), float32 or float64
    targets : ndarray of shape (n_samples,), int32 labels, or (n_samples, n_outputs), plan's dtype
    n_threads : int

    Returns
    -------
    float
    """
    cdef Workspace workspace = Workspace(plan, parameters, X, targets, X.shape[0], 1, False,
                                         n_threads, gradient)
    workspace.execute(only_gradient=True)
    return float(workspace.losses[0])


cdef class ThreadChoice:
    """How many threads train fastest, by measurement while training runs.

    Parameters
    ----------
    at_most : int
    """

    cdef list candidates  # at_most, half as many, ..., 1
    cdef list seconds  # a step takes with each; None before it was measured
    cdef int current
    cdef int n_trials  # since the start
    cdef double try_again  # at this time
    cdef int next_to_try

    def __init__(self, int at_most):
        self.candidates = []
        while at_most >= 1:
            self.candidates.append(at_most)
            at_most //= 2
        self.seconds = [None] * len(self.candidates)

    cdef bint choose(self, double time) except -1:
        """Sets `current`; returns whether it is on trial."""
        if len(self.candidates) == 1:
            return False
        if None in self.seconds:
            # Each twice: at first threads have to start and caches to fill
            self.current = self.seconds.index(None)
            self.n_trials += 1
            return True
        best = self.seconds.index(min(self.seconds))
        self.current = best
        if time < self.try_again:
            return False
        # one of the others, each in its turn
        self.next_to_try = (self.next_to_try + 1) % len(self.candidates)
        self.current = self.next_to_try
        self.try_again = time + TRIAL_INTERVAL_SECONDS
        return self.current != best

    cdef int threads(self) except -1:
        return self.candidates[self.current]

    cdef int record(self, uint64_t n_steps, double seconds, double time) except -1:
        """What `n_steps` took with the current number."""
        if n_steps == 0 or len(self.candidates) == 1:
            return 0
        if seconds / n_steps > LONG_STEP_SECONDS:
            # Barriers do not matter: all threads
            self.candidates, self.seconds, self.current = self.candidates[:1], [None], 0
        elif None not in self.seconds:
            self.seconds[self.current] = seconds / n_steps
        elif self.n_trials % 2 == 0:
            self.seconds[self.current] = seconds / n_steps
            self.try_again = time + TRIAL_INTERVAL_SECONDS
        return 0


cdef class Trainer(Workspace):
    """Training of one network, in portions of about a tenth of a second.

    Parameters
    ----------
    plan, parameters, X, targets, batch_size, n_epochs, n_threads
        As for `Workspace`; `n_threads` is the most that are used, fewer where they are faster.
    optimizer : str
    hyperparameters : sequence of float
        In the order of the optimiser's class, learning rate first.
    slots : ndarray of shape (n_slots, n_parameters), of the plan's dtype
    n_updates : int
        Steps that `slots` have seen.
    bit_generator : numpy.random.BitGenerator, optional
        Shuffles the samples; None keeps them in order.
    """

    cdef object bit_generator
    cdef object slots
    cdef object kept_parameters
    cdef object kept_slots
    cdef object kept_order
    cdef object kept_random_state
    cdef ThreadChoice choice
    cdef Run kept_run
    cdef double keep_again  # not before this time

    def __init__(self, Plan plan, parameters, X, targets, batch_size, n_epochs, int n_threads, *,
                 str optimizer, hyperparameters, slots, uint64_t n_updates, bit_generator):
        super().__init__(plan, parameters, X, targets, batch_size, n_epochs,
                         bit_generator is not None, n_threads)
        cdef Run *run = &self.run
        cdef size_t n_parameters = plan.geometry.n_parameters, i
        cdef size_t n_given = len(hyperparameters)
        cdef char *slot
        self.choice = ThreadChoice(n_threads)
        run.optimizer = find_optimizer(plan.geometry.kernels, optimizer)
        run.n_slots = slots.shape[0]
        if (run.n_slots > <size_t> FNN_MAX_SLOTS
                or n_given > <size_t> FNN_MAX_HYPERPARAMETERS):
            raise ValueError(f"{optimizer} has more slots or hyperparameters than the core takes")
        slot = self.keep_writable(slots, plan.dtype, (run.n_slots, n_parameters))
        for i in range(run.n_slots):
            run.slots[i] = slot + i * n_parameters * plan.geometry.itemsize
        for i in range(<size_t> FNN_MAX_HYPERPARAMETERS):
            run.hyperparameters[i] = hyperparameters[i] if i < n_given else 0.0
        run.n_updates = n_updates
        self.slots = slots
        self.bit_generator = bit_generator
        if bit_generator is not None:
            run.bitgen = <bitgen_t *> PyCapsule_GetPointer(bit_generator.capsule, "BitGenerator")
            self.kept_order = self.array((run.n_samples,), np.dtype(np.int64))
        self.kept_parameters = self.array((n_parameters,), plan.dtype)
        self.kept_slots = self.array((run.n_slots, n_parameters), plan.dtype)

    @property
    def epoch(self):
        """Finished epochs."""
        return self.run.epoch

    @property
    def n_updates(self):
        """Finished steps, those before this trainer included."""
        return self.run.n_updates

    @property
    def samples_seen(self):
        """Samples of this epoch in finished mini-batches."""
        return self.run.start

    def advance(self, size_t until_epoch):
        """Trains until `until_epoch` epochs are finished, or about a tenth of a second.

        Raises
        ------
        FloatingPointError
            When a loss or an update is not finite. The parameters are those of the last mini-batch
            before it.
        KeyboardInterrupt
            Or whatever a signal handler raised: after a finished mini-batch.
        """
        cdef Run *run = &self.run
        cdef int status
        cdef double start
        cdef uint64_t n_updates = run.n_updates
        run.until_epoch = min(until_epoch, <size_t> len(self.losses))
        run.updates_allowed = <uint64_t> -1
        self.keep_state()
        start = now()
        on_trial = self.choice.choose(start)
        self.n_threads = self.choice.threads()
        run.deadline = start + (TRIAL_SECONDS if on_trial else ADVANCE_SECONDS)
        status = self.execute(only_gradient=False)
        self.choice.record(run.n_updates - n_updates, now() - start, now())
        if status & UPDATE_NOT_FINITE:
            self.replay()
            raise FloatingPointError(self.describe_step("an update gave parameters that are not "
                                                        "finite"))
        if status & LOSS_NOT_FINITE:
            raise FloatingPointError(self.describe_step(f"the loss is {run.bad_loss}"))

    cdef int keep_state(self) except -1:
        """Copies all that training changes: updates are written in place, and a step that turns
        out bad is undone by going back here and repeating the good ones, bit for bit.

        Only every now and then, so that copying takes a hundredth of the time.
        """
        cdef double start = now()
        if start < self.keep_again:
            return 0
        self.kept_run = self.run
        self.kept_parameters[:] = self.parameters
        self.kept_slots[:] = self.slots
        if self.bit_generator is not None:
            self.kept_order[:] = self.order
            self.kept_random_state = self.bit_generator.state
        self.keep_again = now() + 100 * (now() - start)
        return 0

    cdef int replay(self) except -1:
        """Goes back to the kept state and repeats every step but the one that failed."""
        cdef uint64_t n_good = self.run.n_updates
        cdef size_t until_epoch = self.run.until_epoch
        self.parameters[:] = self.kept_parameters
        self.slots[:] = self.kept_slots
        if self.bit_generator is not None:
            self.order[:] = self.kept_order
            self.bit_generator.state = self.kept_random_state
        self.run = self.kept_run
        if n_good == self.run.n_updates:
            return 0
        self.run.until_epoch = until_epoch
        self.run.updates_allowed = n_good
        self.run.deadline = now() + 1e9
        return self.execute(only_gradient=False)

    def describe_step(self, str what):
        """`what`, and at which step of this trainer."""
        cdef Run *run = &self.run
        return (
            f"{what} at epoch {run.epoch + 1}, mini-batch {run.start // run.batch_size + 1} "
            f"(step {run.n_updates + 1}); the network keeps the parameters from before this step. "
            f"A smaller learning_rate or scaled inputs usually help."
        )

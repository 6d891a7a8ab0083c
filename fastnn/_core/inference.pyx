"""Inference: rows through all layers, without the GIL. Nothing is shared but what is only read.

The samples are cut into tiles, and each member of the team takes tiles through all layers in
scratch memory of its own.
"""
import numpy as np

cimport cython
cimport numpy as cnp

from fastnn._core.clock cimport now
from fastnn._core.geometry cimport (
    Geometry,
    LayerPass,
    LayerPlan,
    Matrix,
    Pass,
    Rows,
    Units,
    all_units,
    at,
    bind_parameters,
    in_panels,
    is_free_to_cut,
    n_unit_tiles,
    needs_gathering,
    one_panel,
    rows_from,
    unit_tile,
)
from fastnn._core.kernels cimport (
    data_of,
    find_caches,
    find_input,
    fnn_activation,
    fnn_team,
    team_barrier,
    team_next_tile,
    team_size,
    team_run,
    writable_data_of,
)
from fastnn._core.plan cimport Plan, forward_scratch, step_flops
from fastnn._core.rows cimport gather, hold_targets, infer as infer_layers, sum_losses
from fastnn._core.signals cimport check_interrupts
from fastnn._core.sparse cimport hold_sparse
from fastnn._core.tuner cimport Tuner, choose_threads, record_run

cnp.import_array()

# Samples of a tile, at least, where few are shared out: enough to use each weight several times.
cdef size_t MIN_TILE_ROWS = 16
# Samples that go through between two chances for Ctrl-C: this many operations, or a tile for each
# member of the team.
cdef double FLOPS_AT_A_TIME = 2e9


class NotFiniteError(ValueError):
    """A number that is not finite: in X, or else in the output.

    Attributes
    ----------
    first, end : int
        It is in one of these rows.
    in_input : bool
        Whether it is in X (once converted to the network's dtype).
    """

    def __init__(self, first, end, in_input):
        what = "X" if in_input else "the output"
        super().__init__(f"{what} has NaN or infinity in rows {first} to {end - 1}")
        self.first, self.end, self.in_input = first, end, in_input


cdef int infer_tile(const Pass *net, const Rows *rows) noexcept nogil:
    """Takes some rows through all layers; returns what is not finite, ALL_FINITE if all is."""
    if needs_gathering(&net.batch):
        gather(net, rows)
    infer_layers(net, rows)
    return find_not_finite(net, rows)


cdef int find_not_finite(const Pass *net, const Rows *rows) noexcept nogil:
    """What is not finite of some rows, once they have been through all layers.

    The z of a product, if that is the first layer, must not be its a, nor have gaps.
    """
    cdef const Geometry *g = net.geometry
    cdef const LayerPass *last = &net.layers[g.n_layers - 1]
    cdef const char *X
    # NaN and infinity, times anything, are in every sum: only then X itself is looked through
    if not g.layers[0].operations.is_product or not net.batch.own_input.all_finite(at(net.layers[0].z, rows.first, 0, g.itemsize),
                                          rows.n * g.layers[0].n_out):
        X = net.batch.X  # sparse samples have been looked through before
        if X != NULL and not net.batch.input.all_finite(
                X + rows.sample * g.n_features * net.batch.input.itemsize, rows.n * g.n_features):
            return INPUT_NOT_FINITE
    if not net.batch.own_input.all_finite(at(last.a, rows.first, 0, g.itemsize),
                                          rows.n * g.n_outputs):
        return OUTPUT_NOT_FINITE
    return ALL_FINITE


# All that the members of the team share; written only in the places meant for one tile.
cdef struct Inference:
    Pass net  # its layers: a and z in the users' arrays, where these are wanted, else no data
    size_t first  # the rows [first, end) are wanted
    size_t end
    size_t tile_rows
    bint by_units  # one tile: it is the units of each layer that are shared out
    double *block_losses
    int *tile_status
    char *member_memory  # member_bytes for each
    size_t member_bytes
    size_t gathered_bytes  # of it for converted rows of X, at its start
    size_t target_bytes  # and for labels as rows, at its end
    size_t buffer_bytes  # of each of the four buffers behind the layers


cdef void infer_rows(void *context, fnn_team *team, int member) noexcept nogil:
    """The rows between `first` and `end`; run by every member of the team."""
    cdef Inference *job = <Inference *> context
    cdef const Geometry *g = job.net.geometry
    cdef char *memory = job.member_memory + member * job.member_bytes
    cdef char *shared = job.member_memory if job.by_units else memory
    cdef char *buffers = shared + job.gathered_bytes + round_up(g.n_layers * sizeof(LayerPass))
    cdef Pass net = job.net
    cdef size_t n_tiles = (job.end - job.first + job.tile_rows - 1) // job.tile_rows, tile
    cdef Rows rows
    net.layers = <LayerPass *> (memory + job.gathered_bytes)
    bind_parameters(&net, net.batch.targets != NULL and g.loss.from_logits)
    rows.first = 0
    rows.gathered = False
    rows.step = 0
    rows.scratch = (memory + job.gathered_bytes + round_up(g.n_layers * sizeof(LayerPass))
                    + 4 * job.buffer_bytes)
    tile = 0 if job.by_units else team_next_tile(team, member, n_tiles)
    while tile < n_tiles:
        rows.sample = job.first + tile * job.tile_rows
        rows.n = min(job.tile_rows, job.end - rows.sample)
        if job.gathered_bytes > 0:
            net.batch.gathered_X = in_panels(g.kernels, shared, rows.n, g.n_features)
        if job.target_bytes > 0:
            net.batch.gathered_targets = memory + job.member_bytes - job.target_bytes
        place_layers(&net, job, buffers, &rows)
        if job.by_units:
            infer_units(job, &net, &rows, team, member)
            break
        finish_tile(job, &net, &rows, infer_tile(&net, &rows))
        tile = team_next_tile(team, member, n_tiles)
    team_barrier(team, 0)


cdef void infer_units(Inference *job, Pass *net, const Rows *rows, fnn_team *team,
                      int member) noexcept nogil:
    """One tile, of which the members share the units of each layer."""
    cdef const Geometry *g = net.geometry
    cdef LayerPass *last = &net.layers[g.n_layers - 1]
    cdef const fnn_activation *output = last.activation
    cdef char *out = at(last.a, 0, 0, g.itemsize)
    cdef size_t layer
    if member == 0 and needs_gathering(&net.batch):
        gather(net, rows)
    team_barrier(team, 0)
    last.activation = g.linear  # softmax needs all units
    for layer in range(g.n_layers):
        run_units(net, layer, rows, team, member)
        team_barrier(team, 0)
    if member == 0:
        output.forward(out, out, rows.n, g.n_outputs)
        finish_tile(job, net, rows, find_not_finite(net, rows))


cdef void run_units(const Pass *net, size_t layer, const Rows *rows, fnn_team *team,
                    int member) noexcept nogil:
    """A member's share of the units of a layer."""
    cdef const Geometry *g = net.geometry
    cdef const LayerPlan *plan = &g.layers[layer]
    cdef size_t n_smallest = 1 if plan.operations.mixes_units else n_unit_tiles(g, plan.n_out), tile
    cdef size_t n_tiles = min(n_smallest, <size_t> team_size(team))
    cdef Units units, last
    tile = team_next_tile(team, member, n_tiles)
    while tile < n_tiles:
        units = all_units(plan.n_out)
        if n_tiles > 1:
            units = unit_tile(g, plan.n_out, tile * n_smallest // n_tiles)
            last = unit_tile(g, plan.n_out, (tile + 1) * n_smallest // n_tiles - 1)
            units.n = last.first + last.n - units.first
        plan.operations.infer(net, layer, rows, &units)
        tile = team_next_tile(team, member, n_tiles)


cdef void finish_tile(Inference *job, const Pass *net, const Rows *rows,
                      int status) noexcept nogil:
    """A tile's status, and its loss where there are targets."""
    cdef const Geometry *g = net.geometry
    cdef const LayerPass *last = &net.layers[g.n_layers - 1]
    cdef size_t tile = rows.sample // job.tile_rows
    cdef char *out
    job.tile_status[tile] = status
    if net.batch.targets == NULL:
        return
    sum_losses(net, rows, g.row_block, 1, job.block_losses + rows.sample // g.row_block,
               NULL)
    if g.loss.from_logits:  # and so far the output has been them
        out = at(last.a, 0, 0, g.itemsize)
        g.layers[g.n_layers - 1].activation.forward(out, out, rows.n, g.n_outputs)


cdef void place_layers(Pass *net, const Inference *job, char *buffers,
                       const Rows *rows) noexcept nogil:
    """Where the layers write for a tile: into the users' arrays from its first sample on, else in turn
    into two buffers. The first layer's z, and the loss's derivative, have buffers of their own."""
    cdef const Geometry *g = net.geometry
    cdef const LayerPass *wanted
    cdef LayerPass *layer
    cdef size_t l
    for l in range(g.n_layers):
        wanted = &job.net.layers[l]
        layer = &net.layers[l]
        if wanted.a.data != NULL:
            layer.a = rows_from(wanted.a, rows.sample)
        elif l == g.n_layers - 1:
            layer.a = one_panel(buffers + l % 2 * job.buffer_bytes, g.n_outputs)
        else:
            layer.a = in_panels(g.kernels, buffers + l % 2 * job.buffer_bytes, rows.n,
                                g.layers[l].n_out)
        layer.z = layer.a
        if wanted.z.data != NULL:
            layer.z = rows_from(wanted.z, rows.sample)
        elif l == 0:
            layer.z.data = buffers + 2 * job.buffer_bytes
            layer.z.first_row = 0
    net.output_d = one_panel(buffers + 3 * job.buffer_bytes, g.n_outputs)


cdef size_t round_up(size_t n) noexcept nogil:
    """To whole cache lines."""
    return (n + 63) // 64 * 64


def infer(Plan plan, parameters, running, X, outputs, int n_threads, targets=None,
          z_outputs=None, weights=None, double loss_before=0):
    """Computes the outputs of layers, and adds up the losses where `targets` are given.

    Parameters
    ----------
    plan : Plan
    parameters : ndarray of shape (n_parameters,), of the plan's dtype
    running : ndarray of shape (n_running,), of the plan's dtype
        The running statistics of batch norms.
    X : ndarray of shape (n_samples, n_features), of a dtype that `find_input` knows, or SparseRows
    outputs : list of ndarray of shape (n_samples, n_out)
        Receive the outputs: of all layers, but those that only training has, or of the last one.
    n_threads : int
        The most to use; fewer run where they were faster lately.
    targets : ndarray of shape (n_samples,), int32 labels, or (n_samples, n_outputs), optional
    z_outputs : list of ndarray of shape (n_samples, n_out), optional
        Receive z, what enters the activation, of the same layers, where they are products.
    weights : ndarray of shape (n_samples,), of the plan's dtype, optional
        Of the samples' losses.
    loss_before : float
        The sum for the samples before these. Where they are whole blocks (`Plan.loss_rows`), the sum has
        the bits of one call for all of them.

    Returns
    -------
    float
        The sum of the weighted losses; `loss_before` without targets or samples.

    Raises
    ------
    NotFiniteError
        If X has NaN or infinity (or numbers beyond the range of the plan's dtype), or the output
        has NaN.
    """
    cdef bint is_sparse = not isinstance(X, np.ndarray)
    cdef Geometry *g = plan.inference_geometry(is_sparse)
    cdef Inference job
    cdef size_t n_samples = X.shape[0], n_tiles, n_blocks, rows_at_a_time, i
    cdef size_t first_output = g.n_layers - <size_t> len(outputs)
    cdef double total = loss_before
    if n_samples == 0:
        return total
    job.net.geometry = g
    job.net.gemm = plan.prepare_gemm(n_threads)
    job.net.parameters = <char *> data_of(parameters, plan.dtype, (g.n_parameters,))
    job.net.running = <char *> data_of(running, plan.dtype, (g.n_running,))
    job.net.batch.own_input = plan.own_input
    job.net.batch.sparse_batch = NULL
    if is_sparse:
        hold_sparse(&job.net.batch, g.kernels, X, g.n_features)
    else:
        job.net.batch.input = find_input(g.kernels, X.dtype)
        job.net.batch.X = data_of(X, X.dtype, (n_samples, g.n_features))
    job.net.batch.n_samples = n_samples
    job.net.batch.order = NULL
    job.net.batch.gathered_X.data = NULL
    hold_targets(g, &job.net.batch, NULL, False)
    if targets is not None and targets.ndim == 1:
        hold_targets(g, &job.net.batch, data_of(targets, np.dtype(np.int32), (n_samples,)), True)
    elif targets is not None:
        hold_targets(g, &job.net.batch, data_of(targets, plan.dtype, (n_samples, g.n_targets)),
                     False)
    if weights is not None:
        job.net.batch.weights = data_of(weights, plan.dtype, (n_samples,))

    cdef double flops = plan.flops_a_row * n_samples, begin = now()
    if is_sparse:
        flops = step_flops(g, n_samples, X.starts[n_samples] - X.starts[0]) / 2
    cdef Tuner *tuner = plan.tuner_for(flops) if n_threads > 1 else NULL
    if tuner != NULL:
        with cython.critical_section(plan):
            n_threads = choose_threads(tuner, n_threads, flops, begin)
    n_tiles = (n_samples + g.row_tile - 1) // g.row_tile
    job.by_units = (n_tiles == 1 and n_threads > 1 and is_free_to_cut(&job.net)
                    and g.n_layers > 1 and len(outputs) == 1 and targets is None
                    and g.n_parameters * g.itemsize > find_caches().l2)
    if not job.by_units and is_free_to_cut(&job.net):
        n_tiles = (n_tiles + n_threads - 1) // n_threads * n_threads
    job.tile_rows = (n_samples + n_tiles - 1) // n_tiles
    if targets is None:
        job.tile_rows = max(MIN_TILE_ROWS, job.tile_rows)
    else:  # losses are summed up by blocks
        job.tile_rows = (job.tile_rows + g.row_block - 1) // g.row_block * g.row_block

    # One piece of memory: the arrays that are wanted, then for each tile its loss and its status,
    # then what each member needs.
    n_tiles = (n_samples + job.tile_rows - 1) // job.tile_rows
    n_blocks = (n_samples + g.row_block - 1) // g.row_block
    job.gathered_bytes = 0
    if X.dtype != plan.dtype and not is_sparse and not g.layers[0].operations.reads_samples:
        job.gathered_bytes = round_up(job.tile_rows * g.n_features * g.itemsize)
    job.buffer_bytes = round_up(job.tile_rows * g.widest * g.itemsize)
    job.member_bytes = (job.gathered_bytes + round_up(g.n_layers * sizeof(LayerPass))
                        + 4 * job.buffer_bytes
                        + forward_scratch(g, job.tile_rows))
    job.target_bytes = 0
    if job.net.batch.has_labels and not job.net.batch.reads_labels:
        job.target_bytes = round_up(job.tile_rows * g.n_outputs * g.itemsize)
    job.member_bytes += job.target_bytes
    cdef size_t table_bytes = round_up(
        g.n_layers * sizeof(LayerPass) + n_blocks * sizeof(double) + n_tiles * sizeof(int))
    memory = np.empty(64 + table_bytes + n_threads * job.member_bytes, np.uint8)
    job.net.layers = <LayerPass *> round_up(<size_t> cnp.PyArray_DATA(memory))
    for i in range(g.n_layers):
        job.net.layers[i].a.data = NULL
        job.net.layers[i].z.data = NULL
        if i >= first_output:
            job.net.layers[i].a = one_panel(
                writable_data_of(outputs[i - first_output], plan.dtype,
                                 (n_samples, g.layers[i].n_out)), g.layers[i].n_out)
        if z_outputs is not None and z_outputs[i] is not None:
            job.net.layers[i].z = one_panel(
                writable_data_of(z_outputs[i], plan.dtype, (n_samples, g.layers[i].n_out)),
                g.layers[i].n_out)
    job.block_losses = <double *> (job.net.layers + g.n_layers)
    job.tile_status = <int *> (job.block_losses + n_blocks)
    job.member_memory = <char *> job.net.layers + table_bytes

    rows_at_a_time = job.tile_rows * <size_t> max(
        <double> n_threads, FLOPS_AT_A_TIME / max(flops, 1.0) * n_samples / job.tile_rows)
    job.first = 0
    while job.first < n_samples:
        job.end = min(n_samples, job.first + rows_at_a_time)
        with nogil:
            team_run(infer_rows, &job, n_threads)
        check_interrupts()
        for i in range(job.first // job.tile_rows, (job.end + job.tile_rows - 1) // job.tile_rows):
            if job.tile_status[i] != ALL_FINITE:
                refuse(job.tile_status[i], outputs[len(outputs) - 1], i * job.tile_rows,
                       min(n_samples, (i + 1) * job.tile_rows))
        job.first = job.end
    if tuner != NULL:
        with cython.critical_section(plan):
            record_run(tuner, flops, now() - begin, now())
    if targets is not None:
        for i in range(n_blocks):
            total += job.block_losses[i]
    return total


def refuse(int status, output, first, end):
    """Raises unless what is not finite is an infinity of the output alone.

    Parameters
    ----------
    status : int
        Not ALL_FINITE.
    output : ndarray of shape (n_samples, n_outputs)
    first, end : int
        The rows it speaks of.
    """
    if status == INPUT_NOT_FINITE:
        raise NotFiniteError(first, end, True)
    rows = np.isnan(output[first:end]).any(axis=1)
    if rows.any():
        row = first + int(rows.argmax())
        raise NotFiniteError(row, row + 1, False)

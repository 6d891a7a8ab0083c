"""Inference: rows through all layers, without the GIL. Nothing is shared but what is only read.

The samples are cut into tiles, and each member of the team takes tiles through all layers in
scratch memory of its own. A few rows of a small network go a shorter way, `predict_rows` and
`Predictor`, where the call costs about as much as the arithmetic.
"""
import numpy as np

cimport numpy as cnp

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int32_t, uint64_t

from fastnn._core.access cimport Access
from fastnn._core.clock cimport now
from fastnn._core.kernels cimport (
    data_of,
    find_input,
    flush_denormals,
    fnn_gemm,
    fnn_input,
    fnn_team,
    set_float_state,
    team_barrier,
    team_next_tile,
    team_run,
    writable_data_of,
)
from fastnn._core.plan cimport N_PACES, Geometry, LayerPlan, Pace, Plan

# Samples that go through between two chances for Ctrl-C: at most this many operations.
cdef double FLOPS_AT_A_TIME = 2e9

# All that the members of the team share; written only in the places meant for one tile.
cdef struct Inference:
    Geometry *geometry
    const fnn_input *input
    const fnn_input *own_input  # reads arrays of the network's own dtype
    fnn_gemm gemm
    const char *X
    size_t first  # the rows [first, end) are wanted
    size_t end
    const char *parameters
    char *output  # (n_samples, n_outputs)
    char **hidden_outputs  # n_layers pointers to (n_samples, n_out), or NULL; or NULL
    const char *targets  # NULL: no loss
    bint has_labels
    double *tile_losses
    int *tile_is_finite  # whether all inputs are
    char *scratch  # scratch_bytes for each member
    size_t scratch_bytes


cdef double tile_loss(Inference *job, const char *out, char *d, size_t row,
                      size_t rows) noexcept nogil:
    """The loss of some rows from the last layer's output or logits."""
    cdef Geometry *g = job.geometry
    if job.has_labels:
        return g.loss.labels(d, out, <const int32_t *> job.targets + row, rows,
                             g.n_outputs, 1)
    return g.loss.targets(d, out, job.targets + row * g.n_outputs * g.itemsize, rows,
                          g.n_outputs, 1)


cdef void infer_tile(Inference *job, size_t tile, size_t row, size_t rows,
                     char *scratch) noexcept nogil:
    """Takes `rows` samples from `row` on through all layers."""
    cdef Geometry *g = job.geometry
    cdef LayerPlan *layer
    cdef size_t l, half = rows * g.widest * g.itemsize
    cdef const char *X = job.X + row * g.n_features * job.input.itemsize
    cdef const char *a_previous = X
    cdef char *a
    cdef char *d = scratch + 2 * half  # the loss's derivative, which nobody wants here
    job.tile_is_finite[tile] = 1
    if job.input.itemsize != g.itemsize:
        job.input.gather(scratch + 3 * half, a_previous, NULL, rows, g.n_features)
        a_previous = scratch + 3 * half
    for l in range(g.n_layers):
        layer = &g.layers[l]
        if l == g.n_layers - 1:
            a = job.output + row * layer.n_out * g.itemsize
        elif job.hidden_outputs != NULL:
            a = job.hidden_outputs[l] + row * layer.n_out * g.itemsize
        else:
            a = scratch + (l % 2) * half
        job.gemm(0, rows, layer.n_out, layer.n_in, a_previous, layer.n_in,
                 job.parameters + layer.weights * g.itemsize, layer.n_out,
                 job.parameters + layer.bias * g.itemsize, 0, a, layer.n_out)
        # NaN and infinity, times anything, are in every sum: only then X itself is looked through
        if l == 0 and not job.own_input.all_finite(a, rows * layer.n_out):
            job.tile_is_finite[tile] = job.input.all_finite(X, rows * g.n_features)
        if l == g.n_layers - 1 and job.targets != NULL and g.loss.from_logits:
            job.tile_losses[tile] = tile_loss(job, a, d, row, rows)
        layer.activation.forward(a, a, rows, layer.n_out)
        a_previous = a
    if job.targets != NULL and not g.loss.from_logits:
        job.tile_losses[tile] = tile_loss(job, a_previous, d, row, rows)


cdef void infer_rows(void *context, fnn_team *team, int member) noexcept nogil:
    """The tiles between `first` and `end`; run by every member of the team."""
    cdef Inference *job = <Inference *> context
    cdef size_t tile_rows = job.geometry.row_tile
    cdef size_t tile = team_next_tile(team), row = job.first + tile * tile_rows
    while row < job.end:
        infer_tile(job, row // tile_rows, row, min(tile_rows, job.end - row),
                   job.scratch + member * job.scratch_bytes)
        row = job.first + team_next_tile(team) * tile_rows
    team_barrier(team, 0)


# ---- a team, or not ---------------------------------------------------------------------------

# Where another process keeps a core busy, the caller would wait for a member that does not run: calls
# shorter than this go to the team only if it was faster lately. The other way is tried again every
# now and then.
cdef double LONG_CALL_SECONDS = 0.02
cdef double TRIAL_INTERVAL_SECONDS = 0.25
cdef int TRIAL_CALLS = 3
# Calls of about the size of the smallest that a team may get.
cdef double SMALL_FLOPS = 5e6


cdef Pace *pace_of(Plan plan, double flops) noexcept:
    cdef int size = 0
    while flops > SMALL_FLOPS and size < N_PACES - 1:
        flops /= 2
        size += 1
    return &plan.paces[size]


cdef bint takes_team(Pace *pace, double flops, double time) noexcept:
    """Whether a call goes to the team: because it was faster, or to see whether it is."""
    cdef bint was_faster = pace.team > pace.alone
    if pace.team > 0 and flops > LONG_CALL_SECONDS * pace.team:
        return True
    if pace.trial_calls == 0:
        if time < pace.try_again:
            return was_faster
        pace.trial_is_team = pace.team == 0 or pace.alone > 0 and not was_faster
        pace.trial_calls = TRIAL_CALLS
    return pace.trial_is_team


cdef void record_call(Pace *pace, bint team, double flops, double begin) noexcept:
    """The last call counts as much as all before; of a trial, it alone: the first one may have to
    wake threads up."""
    cdef double time = now()
    cdef double *rate = &pace.team if team else &pace.alone
    if pace.trial_calls == 0 or team != pace.trial_is_team:
        rate[0] = (rate[0] + flops / (time - begin)) / 2
        return
    pace.trial_calls -= 1
    if pace.trial_calls == 0:
        rate[0] = flops / (time - begin)
        if pace.team > 0 and pace.alone > 0:
            pace.try_again = time + TRIAL_INTERVAL_SECONDS


cdef size_t round_up(size_t n) noexcept:
    """To whole cache lines."""
    return (n + 63) // 64 * 64


def infer(Plan plan, parameters, X, outputs, int n_threads, targets=None):
    """Computes the outputs of layers, and the mean loss where `targets` are given.

    Parameters
    ----------
    plan : Plan
    parameters : ndarray of shape (n_parameters,), of the plan's dtype
    X : ndarray of shape (n_samples, n_features), float32 or float64
    outputs : list of ndarray of shape (n_samples, n_out)
        Receive the outputs: of all layers, or of the last one only.
    n_threads : int
    targets : ndarray of shape (n_samples,), int32 labels, or (n_samples, n_outputs), optional

    Returns
    -------
    float
        The mean loss; 0 without targets or samples.

    Raises
    ------
    ValueError
        If X has NaN or infinity (or numbers beyond the range of the plan's dtype).
    """
    cdef Geometry *g = &plan.geometry
    cdef Inference job
    cdef size_t n_samples = X.shape[0], n_tiles, rows_at_a_time, i
    cdef size_t first_output = g.n_layers - <size_t> len(outputs)
    cdef double total = 0
    if n_samples == 0:
        return 0.0
    job.geometry = g
    job.input = find_input(g.kernels, X.dtype)
    job.own_input = plan.own_input
    job.gemm = plan.prepare_gemm(n_threads)
    job.X = data_of(X, X.dtype, (n_samples, g.n_features))
    job.parameters = data_of(parameters, plan.dtype, (g.n_parameters,))
    job.targets = NULL
    job.has_labels = False
    if targets is not None:
        job.has_labels = targets.ndim == 1
        if job.has_labels:
            job.targets = data_of(targets, np.dtype(np.int32), (n_samples,))
        else:
            job.targets = data_of(targets, plan.dtype, (n_samples, g.n_outputs))

    # One piece of memory: pointers to the outputs, then for each tile its loss and whether it is
    # finite, then the scratch of the members.
    n_tiles = (n_samples + g.row_tile - 1) // g.row_tile
    job.scratch_bytes = g.row_tile * 3 * g.widest * g.itemsize
    if X.dtype != plan.dtype:
        job.scratch_bytes += g.row_tile * g.n_features * g.itemsize
    cdef size_t table_bytes = round_up(
        g.n_layers * sizeof(char *) + n_tiles * (sizeof(double) + sizeof(int)))
    job.scratch_bytes = round_up(job.scratch_bytes)
    memory = np.empty(64 + table_bytes + n_threads * job.scratch_bytes, np.uint8)
    cdef char *start = <char *> round_up(<size_t> cnp.PyArray_DATA(memory))
    cdef char **pointers = <char **> start
    for i in range(first_output, g.n_layers):
        pointers[i] = writable_data_of(outputs[i - first_output], plan.dtype,
                                       (n_samples, g.layers[i].n_out))
    job.output = pointers[g.n_layers - 1]
    job.hidden_outputs = pointers if first_output == 0 else NULL
    job.tile_losses = <double *> (pointers + g.n_layers)
    job.tile_is_finite = <int *> (job.tile_losses + n_tiles)
    job.scratch = start + table_bytes

    cdef double flops = plan.flops_a_row * n_samples, begin = now()
    cdef Pace *pace = pace_of(plan, flops) if n_threads > 1 else NULL
    if pace != NULL and not takes_team(pace, flops, begin):
        n_threads = 1
    rows_at_a_time = (<size_t> max(1.0, FLOPS_AT_A_TIME / plan.flops_a_row / g.row_tile)
                      * g.row_tile)
    job.first = 0
    while job.first < n_samples:
        job.end = min(n_samples, job.first + rows_at_a_time)
        with nogil:
            team_run(infer_rows, &job, n_threads)
        PyErr_CheckSignals()
        for i in range(job.first // g.row_tile, (job.end + g.row_tile - 1) // g.row_tile):
            if not job.tile_is_finite[i]:
                raise ValueError(
                    f"X must be finite (in the range of {plan.dtype}), got NaN, infinity or too "
                    f"large a number in rows {i * g.row_tile} to "
                    f"{min(n_samples, (i + 1) * g.row_tile) - 1}"
                )
            if targets is not None:
                total += job.tile_losses[i]
        job.first = job.end
    if pace != NULL:
        record_call(pace, n_threads > 1, flops, begin)
    return total / n_samples


# ---- a few rows -----------------------------------------------------------------------------

cnp.import_array()

# Above this a team may be worth while: such work goes through `infer`.
cdef double FEW_ROWS_FLOPS = 3e6
# With more work than this, about a microsecond, other Python threads may run meanwhile.
cdef double GIL_FLOPS = 5e4


cdef bint is_plain(object array, int type_number) noexcept:
    """Whether an object is an array that the kernels can read as it is."""
    return (cnp.PyArray_CheckExact(array)
            and cnp.PyArray_TYPE(array) == type_number
            and cnp.PyArray_ISCARRAY_RO(array))


cdef int type_number_of(Plan plan) noexcept:
    return cnp.NPY_FLOAT32 if plan.geometry.itemsize == 4 else cnp.NPY_FLOAT64


cdef int run_rows(Plan plan, Access access, const char *parameters, const char *X, size_t rows,
                  char *output, char *scratch, double flops) except -1:
    """All layers for a few rows, on this thread."""
    cdef Inference job
    cdef int is_finite = 1
    cdef uint64_t state
    job.geometry = &plan.geometry
    job.input = plan.own_input
    job.own_input = plan.own_input
    job.gemm = plan.gemm
    job.X = X
    job.parameters = parameters
    job.output = output
    job.hidden_outputs = NULL
    job.targets = NULL
    job.tile_is_finite = &is_finite
    access.start_reading()
    state = flush_denormals()
    if flops < GIL_FLOPS:
        infer_tile(&job, 0, 0, rows, scratch)
    else:
        with nogil:
            infer_tile(&job, 0, 0, rows, scratch)
    set_float_state(state)
    access.stop_reading()
    if not is_finite:
        raise ValueError("X must be finite, got NaN or infinity")
    return 0


def predict_rows(Plan plan, Access access, parameters, X):
    """The output for a few rows that need no conversion; None for all others.

    Parameters
    ----------
    plan : Plan
    access : Access
    parameters : ndarray of shape (n_parameters,), of the plan's dtype
    X : object

    Returns
    -------
    ndarray of shape (n_samples, n_outputs), or None
    """
    cdef Geometry *g = &plan.geometry
    cdef char stack[32768]
    cdef char *scratch = stack
    cdef double flops
    cdef cnp.npy_intp shape[2]
    cdef cnp.npy_intp rows, scratch_bytes
    if plan.gemm == NULL or not is_plain(X, type_number_of(plan)) or cnp.PyArray_NDIM(X) != 2:
        return None
    rows = cnp.PyArray_DIM(X, 0)
    flops = plan.flops_a_row * rows
    if (<size_t> cnp.PyArray_DIM(X, 1) != g.n_features or rows == 0 or flops > FEW_ROWS_FLOPS):
        return None
    scratch_bytes = 2 * rows * g.widest * g.itemsize
    if <size_t> scratch_bytes > sizeof(stack):
        memory = cnp.PyArray_EMPTY(1, &scratch_bytes, cnp.NPY_UINT8, 0)
        scratch = <char *> cnp.PyArray_DATA(memory)
    shape[0] = rows
    shape[1] = <cnp.npy_intp> g.n_outputs
    output = cnp.PyArray_EMPTY(2, shape, type_number_of(plan), 0)
    run_rows(plan, access, <const char *> cnp.PyArray_DATA(parameters),
             <const char *> cnp.PyArray_DATA(X), <size_t> rows,
             <char *> cnp.PyArray_DATA(output), scratch, flops)
    return output


cdef class Predictor:
    """A network bound to buffers of its own, for answers in a microsecond.

    Made by `Network.predictor`. A call computes the output activations for one input size, without
    allocating anything.

    One predictor must not be called by two threads at the same time: make one for each. It follows
    changes of the network's parameters.
    """

    cdef Plan plan
    cdef Access access
    cdef object parameters
    cdef object output
    cdef object scratch
    cdef size_t rows
    cdef double flops
    cdef int type_number

    def __init__(self, Plan plan, Access access, parameters, size_t rows):
        cdef Geometry *g = &plan.geometry
        self.plan = plan
        self.access = access
        self.parameters = parameters
        self.rows = rows
        self.flops = plan.flops_a_row * rows
        self.type_number = type_number_of(plan)
        self.output = np.zeros((rows, g.n_outputs), plan.dtype)
        self.scratch = np.zeros(2 * rows * g.widest, plan.dtype)
        plan.prepare_gemm()

    def __call__(self, X, out=None):
        """The output activations.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_features), or (n_features,) for a predictor of one row
            C-contiguous, aligned, of the network's dtype.
        out : ndarray of shape (n_rows, n_outputs), of the network's dtype, C-contiguous, optional
            Receives the result, and is returned.

        Returns
        -------
        ndarray of shape (n_rows, n_outputs)
            Without `out` the predictor's own buffer, which the next call overwrites.

        Raises
        ------
        TypeError, ValueError
            If an argument is not such an array, or X has NaN or infinity.
        """
        cdef Geometry *g = &self.plan.geometry
        cdef int ndim
        if not is_plain(X, self.type_number):
            raise TypeError(
                f"X must be a C-contiguous, aligned array of {self.plan.dtype}, got "
                f"{getattr(X, 'dtype', type(X).__name__)}"
            )
        ndim = cnp.PyArray_NDIM(X)
        if not (ndim == 2 and <size_t> cnp.PyArray_DIM(X, 0) == self.rows
                and <size_t> cnp.PyArray_DIM(X, 1) == g.n_features
                or ndim == 1 and self.rows == 1
                and <size_t> cnp.PyArray_DIM(X, 0) == g.n_features):
            raise ValueError(
                f"X must be of shape ({self.rows}, {g.n_features}), got shape {X.shape}"
            )
        if out is None:
            out = self.output
        elif not is_plain(out, self.type_number) or not cnp.PyArray_ISWRITEABLE(out):
            raise TypeError(
                f"out must be a writable, C-contiguous, aligned array of {self.plan.dtype}, got "
                f"{getattr(out, 'dtype', type(out).__name__)}"
            )
        elif out.shape != (self.rows, g.n_outputs):
            raise ValueError(
                f"out must be of shape ({self.rows}, {g.n_outputs}), got shape {out.shape}"
            )
        run_rows(self.plan, self.access, <const char *> cnp.PyArray_DATA(self.parameters),
                 <const char *> cnp.PyArray_DATA(X), self.rows, <char *> cnp.PyArray_DATA(out),
                 <char *> cnp.PyArray_DATA(self.scratch), self.flops)
        return out

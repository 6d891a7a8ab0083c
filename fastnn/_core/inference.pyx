"""Inference: rows through all layers, without the GIL. Nothing is shared but what is only read.

The samples are cut into tiles, and each member of the team takes tiles through all layers in
scratch memory of its own.
"""
import numpy as np

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int64_t

from fastnn._core.gemm cimport gemm_for
from fastnn._core.kernels cimport (
    bytes_of,
    find_input,
    fnn_gemm,
    fnn_input,
    fnn_team,
    pointer_to,
    team_barrier,
    team_next_tile,
    team_run,
    writable_bytes_of,
    writable_pointer_to,
)
from fastnn._core.plan cimport Geometry, LayerPlan, Plan

# Samples that go through between two chances for Ctrl-C: at most this many operations.
cdef double FLOPS_AT_A_TIME = 2e9

# All that the members of the team share; written only in the places meant for one tile.
cdef struct Inference:
    Geometry *geometry
    const fnn_input *input
    fnn_gemm gemm
    const char *X
    size_t first  # the rows [first, end) are wanted
    size_t end
    const char *parameters
    char **outputs  # n_layers pointers to (n_samples, n_out), NULL where nobody wants them
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
        return g.loss.labels(d, out, <const int64_t *> job.targets + row, rows,
                             g.n_outputs, 1)
    return g.loss.targets(d, out, job.targets + row * g.n_outputs * g.itemsize, rows,
                          g.n_outputs, 1)


cdef void infer_tile(Inference *job, size_t tile, size_t row, size_t rows,
                     char *scratch) noexcept nogil:
    """Takes `rows` samples from `row` on through all layers."""
    cdef Geometry *g = job.geometry
    cdef LayerPlan *layer
    cdef size_t l, half = g.row_tile * g.widest * g.itemsize
    cdef const char *a_previous = job.X + row * g.n_features * job.input.itemsize
    cdef char *a
    cdef char *d = scratch + 2 * half  # the loss's derivative, which nobody wants here
    job.tile_is_finite[tile] = job.input.all_finite(a_previous, rows * g.n_features)
    if job.input.itemsize != g.itemsize:
        job.input.gather(scratch + 3 * half, a_previous, NULL, rows, g.n_features)
        a_previous = scratch + 3 * half
    for l in range(g.n_layers):
        layer = &g.layers[l]
        if job.outputs[l] != NULL:
            a = job.outputs[l] + row * layer.n_out * g.itemsize
        else:
            a = scratch + (l % 2) * half
        job.gemm(0, rows, layer.n_out, layer.n_in, a_previous, layer.n_in,
                 job.parameters + layer.weights * g.itemsize, layer.n_out,
                 job.parameters + layer.bias * g.itemsize, 0, a, layer.n_out)
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


def infer(Plan plan, parameters, X, outputs, int n_threads, targets=None):
    """Computes the outputs of layers, and the mean loss where `targets` are given.

    Parameters
    ----------
    plan : Plan
    parameters : ndarray of shape (n_parameters,), of the plan's dtype
    X : ndarray of shape (n_samples, n_features), float32 or float64
    outputs : list of n_layers (ndarray of shape (n_samples, n_out), or None)
        Receive the outputs of the layers.
    n_threads : int
    targets : ndarray of shape (n_samples,), int64 labels, or (n_samples, n_outputs), optional

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
    cdef double flops_a_row, total = 0
    cdef list views = []
    cdef const unsigned char[::1] X_view = bytes_of(X, X.dtype, (n_samples, g.n_features))
    cdef const unsigned char[::1] parameters_view = bytes_of(parameters, plan.dtype,
                                                             (g.n_parameters,))
    cdef const unsigned char[::1] targets_view
    cdef unsigned char[::1] view
    cdef int[::1] is_finite
    cdef double[::1] losses
    if n_samples == 0:
        return 0.0
    job.geometry = g
    job.input = find_input(g.kernels, X.dtype)
    job.gemm = gemm_for(g.kernels, n_threads)
    job.X = pointer_to(X_view)
    job.parameters = pointer_to(parameters_view)
    job.targets = NULL
    job.has_labels = False
    if targets is not None:
        job.has_labels = targets.ndim == 1
        if job.has_labels:
            targets_view = bytes_of(targets, np.dtype(np.int64), (n_samples,))
        else:
            targets_view = bytes_of(targets, plan.dtype, (n_samples, g.n_outputs))
        job.targets = pointer_to(targets_view)

    pointers = np.zeros(g.n_layers, np.uintp)
    for i in range(g.n_layers):
        if outputs[i] is not None:
            view = writable_bytes_of(outputs[i], plan.dtype, (n_samples, g.layers[i].n_out))
            views.append(view)
            pointers[i] = <size_t> writable_pointer_to(view)
    cdef size_t[::1] pointers_view = pointers
    job.outputs = <char **> &pointers_view[0]

    n_tiles = (n_samples + g.row_tile - 1) // g.row_tile
    tile_losses = np.zeros(n_tiles)
    tile_is_finite = np.zeros(n_tiles, np.intc)
    losses = tile_losses
    is_finite = tile_is_finite
    job.tile_losses = &losses[0]
    job.tile_is_finite = &is_finite[0]
    job.scratch_bytes = g.row_tile * (3 * g.widest + g.n_features) * g.itemsize
    cdef unsigned char[::1] scratch = np.empty(n_threads * job.scratch_bytes, np.uint8)
    job.scratch = writable_pointer_to(scratch)

    flops_a_row = plan.training_flops(1)
    rows_at_a_time = <size_t> max(1.0, FLOPS_AT_A_TIME / flops_a_row / g.row_tile) * g.row_tile
    job.first = 0
    while job.first < n_samples:
        job.end = min(n_samples, job.first + rows_at_a_time)
        with nogil:
            team_run(infer_rows, &job, n_threads)
        PyErr_CheckSignals()
        for i in range(job.first // g.row_tile, (job.end + g.row_tile - 1) // g.row_tile):
            if not is_finite[i]:
                raise ValueError(
                    f"X must be finite (in the range of {plan.dtype}), got NaN, infinity or too "
                    f"large a number in rows {i * g.row_tile} to "
                    f"{min(n_samples, (i + 1) * g.row_tile) - 1}"
                )
            total += losses[i]
        job.first = job.end
    return total / n_samples

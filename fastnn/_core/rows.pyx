"""Some rows on their way: gathered, and the loss at its end. Training and inference both take it."""
from libc.stdint cimport int32_t, int64_t, uint32_t

from fastnn._core.geometry cimport (
    Batch,
    Geometry,
    LayerPass,
    Matrix,
    Pass,
    Rows,
    at,
    gather_samples,
    needs_gathering,
    one_panel,
    order_of,
    rows_from,
)
from fastnn._core.sparse cimport sort_entries


cdef int hold_targets(const Geometry *g, Batch *batch, const char *targets,
                      bint has_labels) except -1:
    """Targets that are not smoothed, and no weights."""
    batch.targets = targets
    batch.has_labels = has_labels
    batch.reads_labels = has_labels and g.loss.labels != NULL
    batch.target_share = 1
    batch.target_offset = 0
    batch.gathered_targets = NULL
    batch.weights = NULL
    batch.gathered_weights = NULL
    batch.total_weight = batch.n_samples
    if has_labels:
        check_labels(g, <const int32_t *> targets, batch.n_samples)
    return 0


cdef int check_labels(const Geometry *g, const int32_t *labels, size_t n) except -1:
    """The door for what is used as an index: memory that nobody else writes to."""
    cdef bint bad = False
    cdef size_t i
    if g.n_targets != g.n_outputs:
        raise ValueError(f"the loss {g.loss.name.decode()} does not take labels")
    for i in range(n):
        bad |= <uint32_t> labels[i] >= g.n_outputs
    if bad:
        raise ValueError(f"labels must be in [0, {g.n_outputs}), the units of the output")
    return 0


cdef double sum_weights(const Batch *batch, size_t first, size_t n) noexcept nogil:
    """Of `n` samples, in the order of the epoch."""
    cdef double total = 0
    cdef size_t i
    if batch.weights == NULL:
        return n
    for i in range(first, first + n):
        total += weight_of(batch, batch.order[i] if batch.order != NULL else i)
    return total


cdef double weight_of(const Batch *batch, size_t sample) noexcept nogil:
    if batch.own_input.itemsize == sizeof(double):
        return (<const double *> batch.weights)[sample]
    return (<const float *> batch.weights)[sample]


cdef void gather(const Pass *net, const Rows *rows) noexcept nogil:
    """The rows and their targets, from the user's arrays into the buffers of the batch."""
    cdef const Geometry *g = net.geometry
    cdef const int64_t *order = order_of(&net.batch, rows)
    cdef Matrix batch = rows_from(net.batch.gathered_X, rows.first)
    if net.batch.sparse_batch != NULL:
        sort_entries(net, rows)
    if batch.data != NULL:
        gather_samples(net, rows, &batch, 0, g.n_features, NULL)
    if net.batch.gathered_targets != NULL:
        gather_targets(net, rows, order)
    if net.batch.gathered_weights != NULL:
        batch = rows_from(one_panel(net.batch.gathered_weights, 1), rows.first)
        net.batch.own_input.gather(&batch, net.batch.weights, 1, order, rows.n, 1, NULL)


cdef size_t target_bytes(const Pass *net) noexcept nogil:
    """Of one sample, as the loss reads them."""
    if net.batch.reads_labels:
        return sizeof(int32_t)
    return net.geometry.n_targets * net.geometry.itemsize


cdef void gather_targets(const Pass *net, const Rows *rows, const int64_t *order) noexcept nogil:
    cdef const Geometry *g = net.geometry
    cdef const Batch *batch = &net.batch
    cdef char *to = batch.gathered_targets + rows.first * target_bytes(net)
    cdef const char *targets = batch.targets
    cdef Matrix matrix
    cdef size_t i
    if order == NULL:
        targets += rows.sample * (sizeof(int32_t) if batch.has_labels else target_bytes(net))
    if batch.reads_labels:
        for i in range(rows.n):
            (<int32_t *> to)[i] = (<const int32_t *> targets)[order[i]]
    elif batch.has_labels:
        g.kernels.label_rows(to, <const int32_t *> targets, order, rows.n, g.n_outputs,
                             batch.target_share + batch.target_offset, batch.target_offset)
    else:
        matrix = one_panel(to, g.n_targets)
        batch.own_input.gather(&matrix, targets, g.n_targets, order, rows.n, g.n_targets, NULL)
        if batch.target_share != 1:
            g.kernels.smooth(to, rows.n * g.n_targets, batch.target_share, batch.target_offset)


cdef const char *targets_of(const Pass *net, const Rows *rows) noexcept nogil:
    if net.batch.gathered_targets != NULL:
        return net.batch.gathered_targets + rows.first * target_bytes(net)
    return net.batch.targets + rows.sample * target_bytes(net)


cdef const char *weights_of(const Pass *net, const Rows *rows) noexcept nogil:
    if net.batch.gathered_weights != NULL:
        return net.batch.gathered_weights + rows.first * net.geometry.itemsize
    if net.batch.weights != NULL:
        return net.batch.weights + rows.sample * net.geometry.itemsize
    return NULL


cdef double loss_and_derivative(const Pass *net, const Rows *rows, double scale,
                                double *hits) noexcept nogil:
    """The sum of the rows' weighted losses; `scale` times its derivative by the output goes into
    `output_d`, and the right predictions into `hits`, unless that is NULL."""
    cdef const Geometry *g = net.geometry
    cdef const char *out = at(net.layers[g.n_layers - 1].a, rows.first, 0, g.itemsize)
    cdef char *d = at(net.output_d, rows.first, 0, g.itemsize)
    cdef const char *targets = targets_of(net, rows)
    cdef const char *weights = weights_of(net, rows)
    if net.batch.reads_labels:
        return g.loss.labels(d, out, <const int32_t *> targets, weights, rows.n, g.n_outputs, scale,
                             g.loss_parameters, hits)
    if hits != NULL:
        hits[0] = net.batch.hits(out, targets, weights, rows.n, g.n_outputs,
                                 net.batch.hit_threshold)
    return g.loss.targets(d, out, targets, weights, rows.n, g.n_outputs, scale, g.loss_parameters)


cdef void sum_losses(const Pass *net, const Rows *rows, size_t block_rows, double scale,
                     double *losses, double *hits) noexcept nogil:
    """The same block by block: `losses`, and `hits` unless that is NULL, receive a sum for each."""
    cdef Rows block = rows[0]
    cdef size_t done = 0, number = 0
    while done < rows.n:
        block.first = rows.first + done
        block.sample = rows.sample + done
        block.n = min(block_rows, rows.n - done)
        losses[number] = loss_and_derivative(net, &block, scale,
                                             hits + number if hits != NULL else NULL)
        done += block.n
        number += 1


cdef void finish_derivative(const Pass *net, const Rows *rows) noexcept nogil:
    """From the derivative by the output to the last layer's d, by z, in its panels."""
    cdef const Geometry *g = net.geometry
    cdef const LayerPass *last = &net.layers[g.n_layers - 1]
    cdef char *output_d = at(net.output_d, rows.first, 0, g.itemsize)
    cdef Matrix d = rows_from(last.d, rows.first)
    if not g.loss.from_logits:
        g.layers[g.n_layers - 1].activation.backward(
            output_d, at(last.a, rows.first, 0, g.itemsize), at(last.z, rows.first, 0, g.itemsize),
            rows.n * g.n_outputs)
    if last.d.data != net.output_d.data:
        net.batch.own_input.gather(&d, output_d, g.n_outputs, NULL, rows.n, g.n_outputs, NULL)

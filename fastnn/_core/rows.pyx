"""Some rows on their way: gathered, and the loss at its end. Training and inference both take it."""
from libc.stdint cimport int32_t, int64_t, uint32_t

from fastnn._core.geometry cimport (
    Geometry,
    LayerPass,
    Matrix,
    Pass,
    Rows,
    at,
    needs_gathering,
    one_panel,
    rows_from,
)


cdef int check_labels(const Geometry *g, const int32_t *labels, size_t n) except -1:
    """The door for what is used as an index: memory that nobody else writes to."""
    cdef bint bad = False
    cdef size_t i
    if g.loss.labels == NULL:
        raise ValueError(f"the loss {g.loss.name.decode()} does not take labels")
    for i in range(n):
        bad |= <uint32_t> labels[i] >= g.n_outputs
    if bad:
        raise ValueError(f"labels must be in [0, {g.n_outputs}), the units of the output")
    return 0


cdef void gather(const Pass *net, const Rows *rows) noexcept nogil:
    """The rows and their targets, from the user's arrays into the buffers of the batch."""
    cdef const Geometry *g = net.geometry
    cdef const int64_t *order = NULL
    cdef size_t n_features = g.n_features, first = rows.first, i
    cdef Matrix batch = rows_from(net.batch.gathered_X, first), targets
    cdef const char *X = net.batch.X
    if net.batch.order != NULL:
        order = net.batch.order + rows.sample
    else:
        X += rows.sample * n_features * net.batch.input.itemsize
    if batch.data != NULL:
        net.batch.input.gather(&batch, X, order, rows.n, n_features)
    if order == NULL:
        return
    if net.batch.has_labels:
        for i in range(rows.n):
            (<int32_t *> net.batch.gathered_targets)[first + i] = (
                <const int32_t *> net.batch.targets)[order[i]]
    else:
        targets = rows_from(one_panel(net.batch.gathered_targets, g.n_outputs), first)
        net.batch.own_input.gather(&targets, net.batch.targets, order, rows.n, g.n_outputs)


cdef double loss_and_derivative(const Pass *net, const Rows *rows, double scale) noexcept nogil:
    """The sum of the rows' losses; `scale` times its derivative by the output goes into `output_d`."""
    cdef const Geometry *g = net.geometry
    cdef const char *out = at(net.layers[g.n_layers - 1].a, rows.first, 0, g.itemsize)
    cdef char *d = at(net.output_d, rows.first, 0, g.itemsize)
    cdef size_t target_bytes = g.n_outputs * g.itemsize
    cdef const char *targets
    if net.batch.has_labels:
        target_bytes = sizeof(int32_t)
    if net.batch.order != NULL:
        targets = net.batch.gathered_targets + rows.first * target_bytes
    else:
        targets = net.batch.targets + rows.sample * target_bytes
    if net.batch.has_labels:
        return g.loss.labels(d, out, <const int32_t *> targets, rows.n, g.n_outputs, scale)
    return g.loss.targets(d, out, targets, rows.n, g.n_outputs, scale)


cdef void sum_losses(const Pass *net, const Rows *rows, size_t block_rows, double scale,
                     double *losses) noexcept nogil:
    """The same block by block: `losses` receives a sum for each."""
    cdef Rows block = rows[0]
    cdef size_t done = 0
    while done < rows.n:
        block.first = rows.first + done
        block.sample = rows.sample + done
        block.n = min(block_rows, rows.n - done)
        losses[done // block_rows] = loss_and_derivative(net, &block, scale)
        done += block.n


cdef void sum_hits(const Pass *net, const Rows *rows, size_t block_rows,
                   double *hits) noexcept nogil:
    """The right predictions, block by block like the losses."""
    cdef const Geometry *g = net.geometry
    cdef size_t row_bytes = g.n_outputs * g.itemsize
    cdef const char *out = <const char *> net.layers[g.n_layers - 1].a.data  # one panel
    out += rows.first * row_bytes
    cdef size_t target_bytes = sizeof(int32_t) if net.batch.has_labels else row_bytes
    cdef const char *targets = net.batch.targets + rows.sample * target_bytes
    cdef size_t done = 0, n
    if net.batch.order != NULL:
        targets = net.batch.gathered_targets + rows.first * target_bytes
    while done < rows.n:
        n = min(block_rows, rows.n - done)
        hits[done // block_rows] = net.batch.hits(
            out + done * row_bytes, targets + done * target_bytes, NULL, n,
            g.n_outputs, net.batch.hit_threshold)
        done += n


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
        net.batch.own_input.gather(&d, output_d, NULL, rows.n, g.n_outputs)

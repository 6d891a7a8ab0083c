"""The memory of a training run: everything is allocated here, before the first step."""
import numpy as np

from cpython.buffer cimport PyBUF_WRITE
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.ref cimport PyObject
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

from fastnn._core.buckets cimport Bucket, make_buckets, most_buckets
from fastnn._core.exchange cimport Exchange
from fastnn._core.exchange import Left
from fastnn._core.geometry cimport (
    Batch,
    Geometry,
    LayerPass,
    LayerPlan,
    Matrix,
    SortedRows,
    SparseBatch,
    Stage,
    bind_parameters,
    in_columns,
    in_panels,
    is_free_to_cut,
    needs_gathering,
    one_panel,
)
from fastnn._core.kernels cimport (
    FNN_FAR_APART,
    data_of,
    find_input,
    team_run,
    writable_data_of,
)
from fastnn._core.plan cimport Plan, step_flops, training_scratch
from fastnn._core.regularization cimport Rules
from fastnn._core.rows cimport hold_targets
from fastnn._core.sparse cimport hold_sparse, shift_of
from fastnn._core.stages cimport make_stages, most_stages
from fastnn._core.signals cimport INTERRUPTED, UserCode, begin_run
from fastnn._core.step cimport (
    FUSED,
    FUSED_AT_ONCE,
    STORED,
    Others,
    Run,
    measure_gradient,
    train,
)

# Steps with more operations than this in the weight phase can be given up in the middle of it.
cdef double UNINTERRUPTED_FLOPS = 5e9
# Networks up to this, and steps up to this, get one update for all layers, on one thread: their
# gradient, of 32 KiB in float32, is still in the L1 cache.
cdef size_t SMALL_PARAMETERS = 8192
cdef double SMALL_FLOPS = 1.5e6
# A look at the signals costs a clock, and a clock 25 ns: only between tiles of steps of more
# operations than this, and between steps of fewer only at every CLOCK_INTERVAL-th.
cdef double SIGNALS_IN_TILES_FLOPS = 1e8
cdef double CLOCK_EVERY_STEP_FLOPS = 1e6
cdef int CLOCK_INTERVAL = 16
# Weights whose rows are at most this many bytes long are read where they are by fewer rows than
# these: copying them at every update costs more than reading rows that are not adjacent.
cdef size_t NEAR = 512
cdef size_t PANEL_ROWS = 64
# Of the gradient, what is summed up over all at a time, at least.
cdef size_t BUCKET_BYTES = 512 << 10
cdef int NOBODY = 0
# Mini-batches from this size on go along the samples where no row fills a cache line: a size that has
# nothing to do with vectors, so that the bits are the same under every instruction set.
cdef size_t ALONG_SAMPLES_ROWS = 32
cdef size_t CACHE_LINE = 64


cdef size_t numbers_in(X, subset) except? 0:
    """Of samples, dense or sparse: of all, or of those of a subset."""
    if isinstance(X, np.ndarray):
        return X.shape[1] * len(X if subset is None else subset)
    if subset is None:
        return X.starts[len(X)] - X.starts[0]
    return np.diff(X.starts)[subset].sum()


cdef size_t n_entries_at_most(X, subset, size_t rows, bint ordered):
    """Of `rows` sparse samples in any order, or in a row."""
    cdef size_t n = len(X if subset is None else subset)
    if not ordered and rows == n:
        return numbers_in(X, subset)
    lengths = np.diff(X.starts)
    if subset is not None:  # which may have a sample several times
        lengths = lengths[subset]
    lengths.partition(n - rows)
    return lengths[n - rows:].sum()


cdef class Workspace:
    """Buffers and data of one training run.

    The plan's pool keeps the buffers afterwards, as long as the network or a copy lives: the first
    touch of new memory may take longer than a training step.

    Parameters
    ----------
    plan : Plan
    parameters : ndarray of shape (n_parameters,), of the plan's dtype
    running : ndarray of shape (n_running,), of the plan's dtype
        The running statistics of batch norms.
    X : ndarray of shape (n_samples, n_features), of a dtype that `find_input` knows, or SparseRows
    targets : ndarray of shape (n_samples,), int32 labels, or (n_samples, n_outputs), plan's dtype
    batch_size : int
    n_epochs : int
    shuffled : bool
    n_threads : int
    gradient : ndarray of shape (n_parameters,), optional
        Receives the gradient.
    stores_gradient : bool
        Whether the whole gradient of a mini-batch is wanted before its update.
    rules : Rules, optional
        What holds beside the loss.
    weights : ndarray of shape (n_samples,), of the plan's dtype, optional
        Of the samples.
    smoothing : (float, float), optional
        A share and an offset: targets are, as rows of numbers, the share of themselves plus the offset.
    subset : ndarray of int64, optional
        The rows of X, targets and weights that are the samples, in this order; copied. None: all.
    exchange : Exchange, optional
        With others, who have other samples of each mini-batch; `batch_size` is the most that this one
        has. All store the gradient.
    """


    def __init__(self, Plan plan, parameters, running, X, targets, size_t batch_size,
                 size_t n_epochs, bint shuffled, int n_threads, gradient=None,
                 bint stores_gradient=False, Rules rules=None, weights=None,
                 smoothing=None, subset=None, Exchange exchange=None):
        cdef Run *run = &self.run
        cdef bint is_sparse = not isinstance(X, np.ndarray)
        cdef Geometry *g = plan.training_geometry(is_sparse)
        cdef size_t n_samples = len(X if subset is None else subset), n_slabs
        cdef size_t rows = min(batch_size, n_samples)
        if n_samples == 0:
            raise ValueError("there must be at least one sample")
        cdef double flops = step_flops(g, rows, <double> numbers_in(X, subset) / n_samples * rows)
        self.plan = plan
        self.exchange = exchange
        self.held = []
        self.buffers = []
        self.n_threads = n_threads
        self.user_code = UserCode(None, None, [])
        run.progress = &self.own_progress
        run.net.geometry = g
        run.net.gemm = plan.prepare_gemm(n_threads)
        run.net.parameters = self.hold_writable(parameters, plan.dtype, (g.n_parameters,))
        run.net.running = self.hold_writable(running, plan.dtype, (g.n_running,))
        run.batch_size = batch_size
        run.n_waiting_readers = &NOBODY
        run.signals.in_tiles = flops > SIGNALS_IN_TILES_FLOPS
        run.clock_interval = CLOCK_INTERVAL if flops < CLOCK_EVERY_STEP_FLOPS else 1

        n_slabs = 1 if g.mixes_rows else (rows + g.slab_rows - 1) // g.slab_rows
        rows = (rows + n_slabs - 1) // n_slabs
        run.n_slab_rows = rows
        run.scratch_bytes = training_scratch(g, rows)
        run.scratch = self.scratch(n_threads, run.scratch_bytes)
        self.along_samples = (rows >= ALONG_SAMPLES_ROWS and is_free_to_cut(&run.net)
                              and not g.mixes_units and not is_sparse
                              and max(g.n_features, g.widest) * g.itemsize < CACHE_LINE)
        self.hold_batch(X, targets, shuffled, weights, smoothing, subset)
        self.first_trainable = g.first_trained
        self.hold_rules(rules)
        self.make_layers(rows)
        run.stages = <Stage *> self.scratch(most_stages(g), sizeof(Stage))
        self.cut_stages(False)
        run.block_losses = <double *> self.scratch((rows + g.row_block - 1) // g.row_block,
                                                   sizeof(double))
        if gradient is None and (stores_gradient or self.regularization.clip_norm > 0):
            gradient = self.array((g.n_parameters,), plan.dtype)
        self.make_gradient(gradient, n_slabs, flops)
        if exchange is not None:
            self.hold_exchange()
        self.losses = np.empty(n_epochs)
        run.epoch_losses = <double *> self.hold_writable(self.losses, np.dtype(np.float64),
                                                         (n_epochs,))
        self.accuracies = np.empty(n_epochs)
        run.epoch_accuracies = <double *> self.hold_writable(self.accuracies, np.dtype(np.float64),
                                                             (n_epochs,))

    def __del__(self):
        if self.buffers is not None:
            self.plan.pool.refill(self.buffers)

    cdef int hold_batch(self, X, targets, bint shuffled, weights, smoothing, subset) except -1:
        """The user's arrays, and buffers for the part of them that is at work."""
        cdef Batch *batch = &self.run.net.batch
        cdef const Geometry *g = self.run.net.geometry
        cdef size_t n_samples = X.shape[0], rows = self.run.n_slab_rows
        batch.own_input = self.plan.own_input
        batch.n_samples = n_samples
        if g.layers[0].operations.reads_sparse:
            hold_sparse(batch, g.kernels, X, g.n_features)
            self.sparse_samples = X
        else:
            batch.input = find_input(g.kernels, X.dtype)
            batch.X = self.hold(X, X.dtype, (n_samples, g.n_features))
        if targets.ndim == 1:
            hold_targets(g, batch, self.hold(targets, np.dtype(np.int32), (n_samples,)), True)
        else:
            hold_targets(g, batch, self.hold(targets, self.plan.dtype, (n_samples, g.n_targets)),
                         False)
        if smoothing is not None:
            batch.reads_labels = False
            batch.target_share, batch.target_offset = smoothing
        if weights is not None:
            batch.weights = self.hold(weights, self.plan.dtype, (n_samples,))
            batch.total_weight = weights.sum(dtype=np.float64)
        if subset is not None:
            self.hold_subset(subset, weights)
            n_samples = batch.n_samples
        if shuffled:
            self.order = self.array((n_samples,), np.dtype(np.int64))
            batch.order = <int64_t *> self.hold_writable(self.order, np.dtype(np.int64),
                                                         (n_samples,))
        cdef bint ordered = batch.order != NULL
        if g.layers[0].operations.reads_sparse:
            self.make_sparse_batch(X, subset, ordered)
        if ordered and weights is not None:
            batch.gathered_weights = self.numbers(rows, 1)
        if ordered or smoothing is not None or batch.has_labels and not batch.reads_labels:
            batch.gathered_targets = self.numbers(rows, g.n_outputs)
        batch.gathered_X.data = NULL
        if batch.X != NULL and not g.layers[0].operations.reads_samples and (
                ordered or X.dtype != self.plan.dtype or self.along_samples
                or g.n_features * g.itemsize >= FNN_FAR_APART
                or not g.layers[0].operations.is_product):
            batch.gathered_X = self.samples(rows, g.n_features)
        self.run.gathers_once = not shuffled and rows == n_samples
        return 0

    cdef int hold_subset(self, subset, weights) except -1:
        """The rows that are the samples, in memory that nobody else writes to."""
        cdef Batch *batch = &self.run.net.batch
        cdef size_t n_rows = batch.n_samples, n_samples = len(subset)
        self.order = self.array((n_samples,), np.dtype(np.int64))
        self.order[:] = subset
        if self.order.min() < 0 or self.order.max() >= n_rows:
            raise ValueError(f"a subset must have rows in [0, {n_rows})")
        self.run.subset = <const int64_t *> self.hold(self.order, np.dtype(np.int64), (n_samples,))
        batch.order = <int64_t *> self.run.subset
        batch.n_samples = n_samples
        batch.total_weight = n_samples
        if weights is not None:
            batch.total_weight = weights[self.order].sum(dtype=np.float64)
        return 0

    cdef int make_sparse_batch(self, X, subset, bint ordered) except -1:
        """Buffers for the entries of the largest mini-batch."""
        cdef const Geometry *g = self.run.net.geometry
        cdef size_t rows = self.run.n_slab_rows, i, n_pieces
        cdef SparseBatch *batch = <SparseBatch *> self.scratch(1, sizeof(SparseBatch))
        cdef uint32_t *ends
        batch.shift = shift_of(g)
        batch.n_groups = g.layers[0].n_tiles_down
        batch.least_rows = (g.row_block + 1) // 2  # blocks are of about the same size
        n_pieces = rows // batch.least_rows + 1
        batch.sorted_rows = <SortedRows *> self.scratch(n_pieces, sizeof(SortedRows))
        ends = <uint32_t *> self.scratch(n_pieces * batch.n_groups, sizeof(uint32_t))
        for i in range(n_pieces):
            batch.sorted_rows[i].ends = ends + i * batch.n_groups
        self.run.net.batch.sparse_batch = batch
        return self.make_room(n_entries_at_most(X, subset, rows, ordered))

    cdef int make_room(self, size_t n) except -1:
        """For the entries of a mini-batch."""
        cdef SparseBatch *batch = self.run.net.batch.sparse_batch
        if n >= <size_t> 1 << 32:
            raise MemoryError(f"no memory for a mini-batch of {n} entries")
        cdef char *rows = self.scratch(n, sizeof(uint32_t))
        cdef char *columns = self.scratch(n, sizeof(uint32_t))
        cdef char *as_read = self.scratch(n, sizeof(uint32_t))
        batch.entries.values = self.numbers(n, 1)
        batch.entries.rows, batch.entries.columns = <uint32_t *> rows, <uint32_t *> columns
        batch.entries.as_read = <uint32_t *> as_read
        self.n_entries = n
        return 0

    cdef int hold_sparse_block(self, X) except -1:
        """Other samples than before. Where their mini-batches may have more entries, there is room for
        twice as many from then on, so that this happens seldom."""
        cdef Batch *batch = &self.run.net.batch
        cdef size_t rows = min(self.run.n_slab_rows, <size_t> len(X))
        cdef size_t n = n_entries_at_most(X, None, rows, batch.order != NULL)
        if n > self.n_entries:
            self.make_room(max(n, min(2 * self.n_entries, <size_t> 0xffffffff)))
        hold_sparse(batch, self.run.net.geometry.kernels, X, self.run.net.geometry.n_features)
        self.sparse_samples = X
        return 0

    cdef int cut_stages(self, bint catches_up) except -1:
        """Those of the row phase; see `make_stages`."""
        cdef Run *run = &self.run
        run.n_stages = make_stages(run.net.geometry, run.stages, run.n_slab_rows,
                                   needs_gathering(&run.net.batch),
                                   self.n_threads if is_free_to_cut(&run.net) else 1,
                                   self.first_trainable, self.exchange is not None, catches_up)
        return 0

    cdef int count_hits(self) except -1:
        """Of a classifier, from now on: `accuracies` are the shares of right predictions."""
        cdef Run *run = &self.run
        cdef const Geometry *g = run.net.geometry
        cdef size_t n_blocks = (run.n_slab_rows + g.row_block - 1) // g.row_block
        run.block_hits = <double *> self.scratch(n_blocks, sizeof(double))
        run.net.batch.hit_threshold = 0 if g.loss.from_logits else 0.5
        if g.layers[g.n_layers - 1].activation.name == b"softmax":
            run.net.batch.hits = g.kernels.hits_of_rows
        else:
            run.net.batch.hits = g.kernels.hits_of_units
        return 0

    cdef int make_layers(self, size_t rows) except -1:
        """What the layers write, for `rows` samples."""
        cdef const Geometry *g = self.run.net.geometry
        cdef const LayerPlan *layer
        cdef LayerPass *buffers
        cdef size_t i
        self.run.net.layers = <LayerPass *> self.scratch(g.n_layers, sizeof(LayerPass))
        bind_parameters(&self.run.net, g.loss.from_logits)
        for i in range(g.n_layers - 1, -1, -1):
            layer = &g.layers[i]
            buffers = &self.run.net.layers[i]
            buffers.a = self.samples(rows, layer.n_out)
            if i == g.n_layers - 1:
                buffers.a = one_panel(self.numbers(rows, layer.n_out), layer.n_out)
            if i < g.n_layers - 1 and g.layers[i + 1].operations.is_in_place:
                buffers.d = self.run.net.layers[i + 1].d
            else:
                buffers.d = self.samples(rows, layer.n_out)
            buffers.z = buffers.a
            if layer.operations.keeps_z or layer.activation.needs_z and (
                    i < g.n_layers - 1 or not g.loss.from_logits):
                buffers.z.data = self.samples(rows, layer.n_out).data
            buffers.transposed.data = NULL
            if layer.operations.is_product:
                self.make_weights(i, rows)
            else:
                buffers.measured = self.numbers(max(rows, <size_t> 4 * layer.n_out), 1)
        self.run.net.output_d = self.run.net.layers[g.n_layers - 1].d
        if self.run.net.output_d.width < g.n_outputs:
            self.run.net.output_d = one_panel(self.numbers(rows, g.n_outputs), g.n_outputs)
        return 0

    cdef int make_weights(self, size_t i, size_t rows) except -1:
        """A layer's weights as its products read them, where that is not as they are."""
        cdef const Geometry *g = self.run.net.geometry
        cdef const LayerPlan *layer = &g.layers[i]
        cdef LayerPass *buffers = &self.run.net.layers[i]
        if layer.n_out > g.kernels.single_panel_width and not layer.operations.reads_sparse and (
                rows >= PANEL_ROWS or layer.n_out * g.itemsize > NEAR):
            buffers.weights = self.matrix(layer.n_in, layer.n_out)
        if i > self.first_trainable:
            buffers.transposed = self.matrix(layer.n_out, layer.n_in)
        return 0

    cdef int hold_rules(self, Rules rules) except -1:
        """Nothing, where there are none."""
        cdef const Geometry *g = self.run.net.geometry
        if rules is None:
            return 0
        self.held.append(rules)
        while (self.first_trainable + 1 < g.n_layers
               and not (rules.layers[self.first_trainable].trainable
                        and g.layers[self.first_trainable].n_tiles > 0)):
            self.first_trainable += 1
        rules.fill(&self.regularization)
        self.regularization.tile_penalties = self.zeros(g.n_weight_tiles)
        self.regularization.tile_squares = self.zeros(g.n_weight_tiles)
        self.run.regularization = &self.regularization
        return 0

    cdef int make_gradient(self, gradient, size_t n_slabs, double flops) except -1:
        """Stored where somebody asks for all of it, where it is summed up over slabs, and where a
        step is so long that it must be possible to give it up; else fused with the update.
        """
        cdef Run *run = &self.run
        cdef const Geometry *g = run.net.geometry
        if gradient is None and (n_slabs > 1 or flops > 3 * UNINTERRUPTED_FLOPS):
            gradient = self.array((g.n_parameters,), self.plan.dtype)
        if gradient is not None:
            self.gradient = gradient
            run.gradient_mode = STORED
            run.gradient = self.hold_writable(gradient, self.plan.dtype, (g.n_parameters,))
            return 0
        run.gradient_mode = FUSED
        if g.n_parameters <= SMALL_PARAMETERS and flops <= SMALL_FLOPS:
            run.gradient_mode = FUSED_AT_ONCE
        run.tile_gradient_bytes = self.tile_gradient_bytes()
        run.tile_gradients = self.scratch(self.n_threads, run.tile_gradient_bytes)
        return 0

    cdef int hold_exchange(self) except -1:
        """This one's part of the steps, and what is summed up over all, in the order of a step."""
        cdef Others *others = &self.run.others
        cdef const Geometry *g = self.run.net.geometry
        cdef Exchange exchange = self.exchange
        cdef const Stage *stage
        cdef size_t i, n_out
        cdef list sums = []
        others.exchange = <PyObject *> exchange
        others.n_steps, others.batch_size = exchange.n_steps, exchange.batch_size
        others.n_samples, others.has_weights = exchange.n_samples, exchange.has_weights
        others.firsts = <const uint64_t *> self.hold(exchange.firsts, np.dtype(np.uint64),
                                                     (others.n_steps + 1,))
        others.noise_shifts = <const uint64_t *> self.hold(
            exchange.noise_shifts, np.dtype(np.uint64), (others.n_steps,))
        others.weights = <double *> self.hold_writable(exchange.weights, np.dtype(np.float64),
                                                       (others.n_steps,))
        self.run.net.batch.total_weight = exchange.total_weight
        for i in range(self.run.n_stages):
            stage = &self.run.stages[i]
            if stage.has_sums and stage.forward_end > stage.forward_first:
                n_out = g.layers[stage.forward_first].n_out
                sums.append(self.measured(stage.forward_first, (stage.part - 1) * n_out, n_out))
            elif stage.has_sums:
                n_out = g.layers[stage.backward_first].n_out
                sums.append(self.measured(stage.backward_first, 2 * n_out, 2 * n_out))
        others.buckets = <Bucket *> self.scratch(most_buckets(g), sizeof(Bucket))
        others.n_buckets = make_buckets(g, self.run.regularization, BUCKET_BYTES, others.buckets)
        for i in range(others.n_buckets):
            sums.append(self.gradient[others.buckets[i].first:others.buckets[i].end])
        return exchange.hold_sums(sums)

    cdef object measured(self, size_t layer, size_t first, size_t n):
        """A view of some of the numbers that a layer measures."""
        cdef size_t itemsize = self.run.net.geometry.itemsize
        cdef char *data = self.run.net.layers[layer].measured + first * itemsize
        return np.frombuffer(PyMemoryView_FromMemory(data, n * itemsize, PyBUF_WRITE),
                             self.plan.dtype)

    cdef size_t tile_gradient_bytes(self):
        """Room for what a member has of the gradient at a time, in whole cache lines."""
        cdef const Geometry *g = self.run.net.geometry
        cdef size_t largest = 0, i
        for i in range(g.n_layers):
            largest = max(largest, min(g.layers[i].tile_rows, g.layers[i].weight_rows)
                          * g.layers[i].tile_columns + g.layers[i].n_bias)
        if self.run.gradient_mode == FUSED_AT_ONCE:
            largest = g.n_parameters
        return (largest * g.itemsize + 63) // 64 * 64

    cdef const char *hold(self, array, dtype, tuple shape) except? NULL:
        """The memory of an array that is only read, for as long as the workspace lives."""
        self.held.append(array)
        return data_of(array, dtype, shape)

    cdef char *hold_writable(self, array, dtype, tuple shape) except? NULL:
        self.held.append(array)
        return writable_data_of(array, dtype, shape)

    cdef object array(self, tuple shape, dtype):
        """An array of arbitrary content."""
        cdef size_t n_bytes = dtype.itemsize
        for n in shape:
            n_bytes *= <size_t> n
        self.buffers.append(self.plan.pool.take(n_bytes))
        return self.buffers[len(self.buffers) - 1].view(dtype).reshape(shape)

    cdef double *zeros(self, size_t n) except NULL:
        """n numbers, which are 0."""
        cdef double *numbers = <double *> self.scratch(n, sizeof(double))
        memset(numbers, 0, n * sizeof(double))
        return numbers

    cdef char *scratch(self, size_t n, size_t itemsize) except NULL:
        """Memory for n items, 64-byte aligned, of arbitrary content."""
        if itemsize != 0 and n > (<size_t> -1 - 64) // itemsize:
            raise MemoryError("the buffers of the training step exceed the address space")
        memory = self.plan.pool.take(n * itemsize + 64)
        self.buffers.append(memory)
        cdef char *data = self.hold_writable(memory, np.dtype(np.uint8), memory.shape)
        return data + (64 - <size_t> data % 64) % 64

    cdef char *numbers(self, size_t rows, size_t n_units) except NULL:
        """Memory for (rows, n_units) numbers of the plan's dtype."""
        return self.scratch(rows * n_units, self.plan.geometry.itemsize)

    cdef Matrix matrix(self, size_t rows, size_t n_units) except *:
        """The same, in panels."""
        return in_panels(self.plan.geometry.kernels, self.numbers(rows, n_units), rows, n_units)

    cdef Matrix samples(self, size_t rows, size_t n_units) except *:
        """The same, as the layers take samples: in single columns where they are narrow. An odd number
        of cache lines from one column to the next, so that columns fall into all sets of a cache."""
        cdef size_t in_line = CACHE_LINE // self.plan.geometry.itemsize
        if not self.along_samples:
            return self.matrix(rows, n_units)
        rows = ((rows + in_line - 1) // in_line | 1) * in_line
        return in_columns(self.numbers(rows, n_units), rows, n_units)

    cdef int execute(self, bint only_gradient) except -1:
        """Runs the team; returns its status, or raises what the user's code raised."""
        cdef Run *run = &self.run
        self.plan.pool.refill([])  # what did not fit this run
        run.signals.user_code = <PyObject *> self.user_code
        with nogil:
            begin_run(&run.signals)
            team_run(measure_gradient if only_gradient else train, run, self.n_threads)
        if run.status & INTERRUPTED:
            if self.exchange is not None and self.user_code.error is None:
                self.user_code.error = self.exchange.take_error() or Left()
            self.user_code.raise_error()
        return run.status

"""The plan of a network: sizes, kernels and tiles, worked out once from its description.

Tiles depend on the problem only, never on the number of threads, so that neither does a bit of
any result.
"""
import numpy as np

cimport cython
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from fastnn._core.gemm cimport gemm_for
from fastnn._core.geometry cimport Geometry, LayerPlan
from fastnn._core.kernels cimport (
    FNN_FEW_COLUMNS,
    find_activation,
    find_caches,
    find_input,
    find_loss,
    kernels_for,
)
from fastnn._core.layers cimport find_layer
from fastnn._core.sparse cimport sparse_operations
from fastnn._core.tuner cimport Tuner

# Operations of a block of the row phase, forward and back: some 8 us, well above what starting a
# tile costs; and its samples, at least and at most. 16 let a mini-batch of 32 feed two threads.
cdef double ROW_BLOCK_FLOPS = 2e6
cdef size_t MIN_ROW_BLOCK = 16
cdef size_t MAX_ROW_BLOCK = 512
# Its inputs and widest outputs: 256 KiB of float32, a fraction of an L2 cache.
cdef size_t ROW_BLOCK_ELEMENTS = 65536
# Taller ones where there are many weights, which are read again for every tile.
cdef size_t MANY_WEIGHTS_BYTES = 512 << 10
cdef size_t MANY_WEIGHTS_ROWS = 64
# Samples of a tile, at most, where the weights do not fit the L2 cache beside them.
cdef size_t TALL_ROW_TILE = 256
# A tile of the weight phase: at most 64 KiB of float32; less of few weights, which are a share for
# each of a team then, but at least a microsecond of work in a mini-batch of some 200. Its rows are
# whole panels, or a power of two within one, from what fills the product's tiles on.
cdef size_t WEIGHT_TILE_ELEMENTS = 16384
cdef size_t MIN_WEIGHT_TILE_ELEMENTS = 1024
cdef size_t WEIGHT_TILES = 16
cdef size_t WEIGHT_TILE_COLUMNS = 256
cdef size_t MIN_WEIGHT_TILE_ROWS = 8
# Bytes of activations and derivatives held at a time; larger batches go through in slabs.
cdef size_t SLAB_BYTES = 32 << 20
cdef size_t MIN_SLAB_ROWS = 64
# Of sparse samples: what a row is counted as; rows of a block, at most, as the weights are not read
# again for each; and tiles of the first layer's weights, one below the other.
cdef size_t SPARSE_ENTRIES = 64
cdef size_t SPARSE_ROW_BLOCK = 32
cdef size_t SPARSE_TILES = 1024
# Operations of a prediction of the first size: about the smallest that a team gets.
cdef double SMALL_CALL_FLOPS = 5e6
# Numbers that a block of parameters may hold: their addresses, gradients and slots stay in range.
cdef size_t MAX_PARAMETERS = <size_t> 1 << 48


cdef class Pool:
    """Arrays of bytes that are kept for the next one who needs their size."""

    def __cinit__(self):
        self.arrays = []

    cdef object take(self, size_t n_bytes):
        """An array of bytes, of arbitrary content.

        From `numpy.empty`: `numpy.zeros` does not ask for huge pages, and touching 100 MB took
        150 ms instead of 6.
        """
        cdef object array
        with cython.critical_section(self):
            array = self.find(n_bytes)
        return np.empty(n_bytes, np.uint8) if array is None else array

    cdef object find(self, size_t n_bytes):
        """One that was kept, or None; in a critical section of this."""
        cdef size_t i
        for i in range(<size_t> len(self.arrays)):
            if <size_t> self.arrays[i].nbytes == n_bytes:
                return self.arrays.pop(i)
        return None

    cdef int refill(self, list arrays) except -1:
        """Keeps these instead of those that are there."""
        with cython.critical_section(self):
            self.arrays, arrays = arrays, self.arrays  # which go when others may come in
        return 0


cdef int check_size(n) except -1:
    """A width of 0 would be divided by, and BLAS counts in 32-bit integers."""
    if not 1 <= n <= 2**31 - 1:
        raise ValueError(f"features and units must be from 1 to 2^31 - 1, got {n}")
    return 0


cdef size_t checked_sum(size_t total, size_t n_parameters) except? 0:
    if n_parameters > MAX_PARAMETERS or total > MAX_PARAMETERS - n_parameters:
        raise MemoryError(f"no memory for a network of more than {MAX_PARAMETERS} parameters")
    return total + n_parameters


cdef void cut_weights(Geometry *g) noexcept:
    """The tiles of the weight phase."""
    cdef size_t panel = g.kernels.single_panel_width, elements, rows, i
    cdef LayerPlan *layer
    g.n_weight_tiles = 0
    for i in range(g.n_layers):
        layer = &g.layers[i]
        elements = WEIGHT_TILE_ELEMENTS
        if FNN_FEW_COLUMNS < layer.n_out <= WEIGHT_TILE_COLUMNS:
            elements = min(elements, max(MIN_WEIGHT_TILE_ELEMENTS,
                                         g.n_parameters // WEIGHT_TILES))
        # Without a product the gradient is that of all units at once: one tile
        layer.tile_columns = (min(layer.n_out, WEIGHT_TILE_COLUMNS)
                              if layer.operations.is_product else layer.n_out)
        rows = elements // layer.tile_columns
        layer.tile_rows = rows // panel * panel
        if rows < panel:
            layer.tile_rows = MIN_WEIGHT_TILE_ROWS
            while 2 * layer.tile_rows <= rows:
                layer.tile_rows *= 2
        if layer.operations.reads_sparse:  # the entries are sorted by tiles: not too many, by shifts
            rows = max(layer.tile_rows, layer.n_in // SPARSE_TILES)
            layer.tile_rows = 1
            while 2 * layer.tile_rows <= rows:
                layer.tile_rows *= 2
        layer.n_tiles_down = (layer.weight_rows + layer.tile_rows - 1) // layer.tile_rows
        layer.n_tiles = (layer.n_tiles_down
                         * ((layer.n_out + layer.tile_columns - 1) // layer.tile_columns))
        g.n_weight_tiles += layer.n_tiles


cdef int leave_out_what_only_training_has(const Geometry *whole, Geometry *g) except -1:
    cdef size_t i
    g[0] = whole[0]
    g.n_layers = 0
    g.layers = <LayerPlan *> calloc(whole.n_layers, sizeof(LayerPlan))
    if g.layers == NULL:
        raise MemoryError("no memory for the plan")
    for i in range(whole.n_layers):
        if whole.layers[i].operations.infer != NULL:
            g.layers[g.n_layers] = whole.layers[i]
            g.n_layers += 1
    return 0


cdef bint multiplies(const LayerPlan *layer) noexcept:
    """Whether it needs the dense product."""
    return layer.operations.is_product and not layer.operations.reads_sparse


cdef size_t forward_scratch(const Geometry *g, size_t rows) noexcept:
    """Bytes that the products of a forward pass may need for tiles of up to `rows` rows, in whole
    cache lines."""
    cdef size_t n_bytes = 0, i
    for i in range(g.n_layers):
        if multiplies(&g.layers[i]):
            n_bytes = max(n_bytes, g.kernels.gemm_scratch(0, rows, g.layers[i].n_out,
                                                          g.layers[i].n_in))
    return (n_bytes + 63) // 64 * 64


cdef size_t training_scratch(const Geometry *g, size_t rows) noexcept:
    """The same for a training step of up to `rows` rows at a time."""
    cdef size_t n_bytes = forward_scratch(g, min(rows, g.row_tile)), i
    cdef const LayerPlan *layer
    for i in range(g.n_layers):
        layer = &g.layers[i]
        if not multiplies(layer):
            continue
        n_bytes = max(n_bytes, g.kernels.gemm_scratch(
            1, min(layer.tile_rows, layer.n_in), layer.tile_columns, rows))
        if i > g.first_trained:
            n_bytes = max(n_bytes, g.kernels.gemm_scratch(
                0, min(rows, g.row_tile), layer.n_in, layer.n_out))
    return (n_bytes + 63) // 64 * 64


cdef double step_flops(const Geometry *g, double rows, double n_entries) noexcept:
    """Floating-point operations of the products of one training step on `rows` samples that have
    `n_entries` numbers together."""
    cdef double weights = 0
    cdef size_t i
    for i in range(1, g.n_layers):  # forward, the gradient, and back
        weights += ((3 if i > g.first_trained else 2)
                    * <double> g.layers[i].weight_rows * g.layers[i].n_out)
    weights *= rows
    if g.layers[0].operations.is_product:
        weights += 2 * n_entries * g.layers[0].n_out
    else:
        weights += 2 * rows * <double> g.layers[0].weight_rows * g.layers[0].n_out
    return 2 * weights


cdef class Plan:
    """Sizes, kernels and tiles of one network.

    Parameters
    ----------
    layers : sequence of `fastnn.layers.Operation`
        Their units at most 2^31 - 1.
    n_features : int
        At most 2^31 - 1.
    loss : str
        Name of its kernel.
    dtype : numpy.dtype
        float32 or float64.
    loss_parameters : sequence of float
        As many as the loss has: one an output where it goes by level.

    Raises
    ------
    MemoryError
        If it has more parameters than memory can be addressed for.
    """

    def __cinit__(self, layers, size_t n_features, str loss, dtype, loss_parameters=()):
        cdef Geometry *g = &self.geometry
        cdef size_t n_in = n_features, i
        memset(self.tuners, 0, sizeof(self.tuners))
        self.dtype = dtype
        self.pool = Pool()
        g.kernels = kernels_for(dtype)
        g.loss = find_loss(g.kernels, loss)
        g.linear = find_activation(g.kernels, "linear")
        g.itemsize = g.kernels.itemsize
        g.n_layers = len(layers)
        g.n_features = n_features
        g.layers = <LayerPlan *> calloc(g.n_layers, sizeof(LayerPlan))
        if g.layers == NULL:
            raise MemoryError("no memory for the plan")
        check_size(n_features)
        g.first_trained = g.n_layers
        for i, layer in enumerate(layers):
            self.add_layer(i, n_in, layer)
            n_in = g.layers[i].n_out
        g.n_outputs = n_in
        cut_weights(g)
        self.add_loss(loss_parameters)
        self.own_input = find_input(g.kernels, dtype)
        self.cut_rows(g, n_features)
        leave_out_what_only_training_has(g, &self.inference)

    cdef void cut_rows(self, Geometry *g, size_t n_features) noexcept:
        """The tiles of the row phase; `n_features`: numbers in a row, or what they are counted as."""
        cdef size_t row_elements = n_features, i
        for i in range(g.n_layers):
            row_elements += 3 * g.layers[i].n_out  # z, activations, derivatives
        g.row_block = min(<size_t> (ROW_BLOCK_FLOPS / step_flops(g, 1, n_features)),
                          ROW_BLOCK_ELEMENTS // (n_features + g.widest))
        g.row_block = min(MAX_ROW_BLOCK, max(MIN_ROW_BLOCK, g.row_block))
        if g.layers[0].operations.reads_sparse:
            g.row_block = min(g.row_block, SPARSE_ROW_BLOCK)
        elif g.n_parameters * g.itemsize > MANY_WEIGHTS_BYTES:
            g.row_block = max(g.row_block, MANY_WEIGHTS_ROWS)
        g.row_tile = g.row_block
        if g.n_parameters * g.itemsize > find_caches().l2 // 2:
            g.row_tile *= max(<size_t> 1, TALL_ROW_TILE // g.row_block)
        g.slab_rows = max(MIN_SLAB_ROWS, SLAB_BYTES // (row_elements * g.itemsize))

    cdef int take_sparse(self) except -1:
        """Makes the geometries for sparse samples, unless they are there."""
        cdef Geometry *g = &self.sparse
        cdef size_t i
        if self.sparse_inference.layers != NULL:
            return 0
        if not self.geometry.layers[0].operations.is_product:
            raise ValueError("sparse samples need a product as the first layer")
        free(g.layers)  # of an attempt that ran out of memory
        g[0] = self.geometry
        g.layers = <LayerPlan *> calloc(g.n_layers, sizeof(LayerPlan))
        if g.layers == NULL:
            raise MemoryError("no memory for the plan")
        for i in range(g.n_layers):
            g.layers[i] = self.geometry.layers[i]
        g.layers[0].operations = sparse_operations()
        cut_weights(g)
        self.cut_rows(g, min(g.n_features, SPARSE_ENTRIES))
        return leave_out_what_only_training_has(g, &self.sparse_inference)

    cdef Geometry *training_geometry(self, bint is_sparse) except NULL:
        if not is_sparse:
            return &self.geometry
        with cython.critical_section(self):
            self.take_sparse()
        return &self.sparse

    def loss_rows(self, bint is_sparse):
        """Samples whose losses inference sums up together."""
        return self.inference_geometry(is_sparse).row_block

    cdef Geometry *inference_geometry(self, bint is_sparse) except NULL:
        if not is_sparse:
            return &self.inference
        with cython.critical_section(self):
            self.take_sparse()
        return &self.sparse_inference

    cdef int add_layer(self, size_t i, size_t n_in, object description) except -1:
        cdef Geometry *g = &self.geometry
        cdef LayerPlan *layer = &g.layers[i]
        cdef size_t n_out
        check_size(description.n_units)
        n_out = description.n_units
        layer.operations = find_layer(description.kind)
        layer.n_in = n_in
        layer.n_out = n_out
        layer.weight_rows = description.weight_rows
        layer.n_bias = n_out if description.has_bias else 0
        layer.weights = g.n_parameters
        layer.bias = layer.weights + layer.weight_rows * n_out
        layer.running = g.n_running
        layer.activation = find_activation(g.kernels, description.activation)
        layer.setting = description.setting
        layer.rescaling.scale = description.scale
        layer.rescaling.offset = description.offset
        layer.momentum = description.momentum
        layer.noise_key = description.noise_key
        g.widest = max(g.widest, n_out)
        g.n_parameters = checked_sum(g.n_parameters, layer.weight_rows * n_out + layer.n_bias)
        if layer.operations.finish_step != NULL:
            g.n_running = checked_sum(g.n_running, 2 * n_out)
        if layer.weight_rows > 0:
            g.first_trained = min(g.first_trained, i)
        g.mixes_rows |= layer.operations.mixes_rows
        g.mixes_units |= layer.operations.mixes_units
        self.flops_a_row += 2 * <double> layer.weight_rows * n_out
        return 0

    cdef int add_loss(self, parameters) except -1:
        cdef Geometry *g = &self.geometry
        cdef size_t n = g.n_outputs if g.loss.by_level else g.loss.n_parameters, i
        g.n_targets = 1 if g.loss.by_level else g.n_outputs
        if <size_t> len(parameters) != n:
            raise ValueError(f"the loss {g.loss.name.decode()} has {n} parameters here, got "
                             f"{len(parameters)}")
        g.loss_parameters = <double *> calloc(n + 1, sizeof(double))
        if g.loss_parameters == NULL:
            raise MemoryError("no memory for the plan")
        for i in range(n):
            g.loss_parameters[i] = parameters[i]
        return 0

    def __dealloc__(self):
        free(self.geometry.layers)
        free(self.inference.layers)
        free(self.sparse.layers)
        free(self.sparse_inference.layers)
        free(self.geometry.loss_parameters)

    def __reduce__(self):
        raise TypeError("a plan cannot be pickled: it is made from a network's description")

    @property
    def n_features(self):
        return self.geometry.n_features

    @property
    def n_parameters(self):
        return self.geometry.n_parameters

    @property
    def n_running(self):
        """Running statistics: a mean and a variance for each unit of the batch norms."""
        return self.geometry.n_running

    cdef fnn_gemm prepare_gemm(self, int n_threads=1) except NULL:
        """The product, ready for `n_threads` callers at the same time."""
        cdef fnn_gemm gemm = gemm_for(self.geometry.kernels, n_threads)
        with cython.critical_section(self):
            self.gemm = gemm
        return gemm

    cdef Tuner *tuner_for(self, double flops) noexcept:
        """Of the predictions of about this size."""
        cdef int size = 0
        while flops > SMALL_CALL_FLOPS and size < N_CALL_SIZES - 1:
            flops /= 2
            size += 1
        return &self.tuners[size]

    def training_flops(self, size_t rows):
        """Floating-point operations of the products of one training step on `rows` samples."""
        return step_flops(&self.geometry, rows, rows * <double> self.geometry.n_features)

"""The plan of a network: sizes, kernels and tiles, worked out once from its description.

Tiles depend on the problem only, never on the number of threads, so that neither does a bit of
any result.
"""
import numpy as np

from libc.stdlib cimport calloc, free
from libc.string cimport memset

from fastnn._core.gemm cimport gemm_for
from fastnn._core.kernels cimport find_activation, find_input, find_loss, kernels_for

# Operations of a tile of the row phase, forward and back: some 8 us, well above what starting it
# costs; and its samples, at least and at most. 16 let a mini-batch of 32 feed two threads.
cdef double ROW_TILE_FLOPS = 2e6
cdef size_t MIN_ROW_TILE = 16
cdef size_t MAX_ROW_TILE = 512
# Its inputs and widest outputs: 256 KiB of float32, a fraction of an L2 cache.
cdef size_t ROW_TILE_ELEMENTS = 65536
# Weights are read again for every tile of samples: fewer, taller tiles where they do not fit the L2
# cache besides the samples, and where they come from memory.
cdef size_t L2_WEIGHTS_BYTES = 512 << 10
cdef size_t L2_ROW_TILE = 64
cdef size_t L3_WEIGHTS_BYTES = 4 << 20
cdef size_t L3_ROW_TILE = 256
# A tile of the weight phase: 48 KiB of float32 with the columns, a multiple of every register
# tile's height in rows.
cdef size_t WEIGHT_TILE_ELEMENTS = 12288
cdef size_t WEIGHT_TILE_COLUMNS = 256
cdef size_t WEIGHT_TILE_ROWS = 48
# Bytes of activations and derivatives held at a time; larger batches go through in slabs.
cdef size_t SLAB_BYTES = 32 << 20
cdef size_t MIN_SLAB_ROWS = 64


cdef class Plan:
    """Sizes, kernels and tiles of one network.

    Parameters
    ----------
    layers : sequence of (int, str)
        Units and activation of each layer.
    n_features : int
    loss : str
    dtype : numpy.dtype
        float32 or float64.
    """

    def __cinit__(self):
        self.geometry.layers = NULL
        memset(self.paces, 0, sizeof(self.paces))

    def __init__(self, layers, size_t n_features, str loss, dtype):
        cdef Geometry *g = &self.geometry
        cdef LayerPlan *layer
        cdef size_t n_in = n_features, offset = 0, row_elements = n_features, i
        if g.layers != NULL:
            raise RuntimeError("a plan is made once")
        self.dtype = dtype
        self.spare = []
        g.kernels = kernels_for(dtype)
        g.loss = find_loss(g.kernels, loss)
        g.itemsize = g.kernels.itemsize
        g.n_layers = len(layers)
        g.n_features = n_features
        g.layers = <LayerPlan *> calloc(g.n_layers, sizeof(LayerPlan))
        if g.layers == NULL:
            raise MemoryError("no memory for the plan")
        for i, (n_units, activation) in enumerate(layers):
            layer = &g.layers[i]
            layer.n_in = n_in
            layer.n_out = n_units
            layer.weights = offset
            layer.bias = offset + n_in * layer.n_out
            layer.activation = find_activation(g.kernels, activation)
            layer.tile_columns = min(layer.n_out, WEIGHT_TILE_COLUMNS)
            layer.tile_rows = (WEIGHT_TILE_ELEMENTS // layer.tile_columns // WEIGHT_TILE_ROWS
                               * WEIGHT_TILE_ROWS)
            layer.n_tiles_down = (n_in + layer.tile_rows - 1) // layer.tile_rows
            layer.n_tiles = (layer.n_tiles_down
                             * ((layer.n_out + layer.tile_columns - 1) // layer.tile_columns))
            g.n_weight_tiles += layer.n_tiles
            g.widest = max(g.widest, layer.n_out)
            row_elements += 3 * layer.n_out  # logits, activations, derivatives
            n_in = layer.n_out
            offset = layer.bias + layer.n_out
            self.flops_a_row += 2 * <double> layer.n_in * layer.n_out
        g.n_outputs = n_in
        g.n_parameters = offset
        self.own_input = find_input(g.kernels, dtype)
        g.row_tile = min(<size_t> (ROW_TILE_FLOPS / self.training_flops(1)),
                         ROW_TILE_ELEMENTS // (n_features + g.widest))
        g.row_tile = min(MAX_ROW_TILE, max(MIN_ROW_TILE, g.row_tile))
        if g.n_parameters * g.itemsize > L3_WEIGHTS_BYTES:
            g.row_tile = max(g.row_tile, L3_ROW_TILE)
        elif g.n_parameters * g.itemsize > L2_WEIGHTS_BYTES:
            g.row_tile = max(g.row_tile, L2_ROW_TILE)
        g.slab_rows = max(MIN_SLAB_ROWS, SLAB_BYTES // (row_elements * g.itemsize))

    def __dealloc__(self):
        free(self.geometry.layers)

    @property
    def n_features(self):
        return self.geometry.n_features

    @property
    def n_parameters(self):
        return self.geometry.n_parameters

    cdef fnn_gemm prepare_gemm(self, int n_threads=1) except NULL:
        """The product, ready for `n_threads` callers at the same time."""
        self.gemm = gemm_for(self.geometry.kernels, n_threads)
        return self.gemm

    cdef object take_buffer(self, size_t n_bytes):
        """An array of bytes, of arbitrary content: one of a finished run, if it has the size.

        From `numpy.empty`: `numpy.zeros` does not ask for huge pages, and touching 100 MB took
        150 ms instead of 6.
        """
        cdef size_t i
        for i in range(<size_t> len(self.spare)):
            if <size_t> self.spare[i].nbytes == n_bytes:
                return self.spare.pop(i)
        return np.empty(n_bytes, np.uint8)

    def training_flops(self, size_t rows):
        """Floating-point operations of the products of one training step on `rows` samples."""
        cdef double weights = 0, first = 0
        cdef size_t i
        for i in range(self.geometry.n_layers):
            weights += <double> self.geometry.layers[i].n_in * self.geometry.layers[i].n_out
        first = <double> self.geometry.n_features * self.geometry.layers[0].n_out
        return rows * (6 * weights - 2 * first)

"""The plan of a network: sizes, kernels and tiles, worked out once from its description.

Tiles depend on the problem only, never on the number of threads, so that neither does a bit of
any result.
"""
from libc.stdlib cimport calloc, free

from fastnn._core.kernels cimport find_activation, find_loss, kernels_for

# Samples a tile of the row phase: enough for a product that reads a whole weight matrix, few
# enough that a mini-batch of 128 feeds two threads.
cdef size_t ROW_TILE = 64
# Elements a tile of the weight phase: 128 KiB of float32, a fraction of an L2 cache.
cdef size_t WEIGHT_TILE_ELEMENTS = 32768
# Bytes of activations and derivatives held at a time; larger batches go through in slabs.
cdef size_t SLAB_BYTES = 32 << 20


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

    def __init__(self, layers, size_t n_features, str loss, dtype):
        cdef Geometry *g = &self.geometry
        cdef LayerPlan *layer
        cdef size_t n_in = n_features, offset = 0, row_elements = n_features, i
        if g.layers != NULL:
            raise RuntimeError("a plan is made once")
        self.dtype = dtype
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
            layer.tile_rows = min(n_in, max(<size_t> 1, WEIGHT_TILE_ELEMENTS // layer.n_out))
            layer.n_tiles = (n_in + layer.tile_rows - 1) // layer.tile_rows
            g.n_weight_tiles += layer.n_tiles
            g.widest = max(g.widest, layer.n_out)
            row_elements += 3 * layer.n_out  # logits, activations, derivatives
            n_in = layer.n_out
            offset = layer.bias + layer.n_out
        g.n_outputs = n_in
        g.n_parameters = offset
        g.row_tile = ROW_TILE
        g.slab_rows = max(ROW_TILE, SLAB_BYTES // (row_elements * g.itemsize))

    def __dealloc__(self):
        free(self.geometry.layers)

    @property
    def n_features(self):
        return self.geometry.n_features

    @property
    def n_parameters(self):
        return self.geometry.n_parameters

    def training_flops(self, size_t rows):
        """Floating-point operations of the products of one training step on `rows` samples."""
        cdef double weights = 0, first = 0
        cdef size_t i
        for i in range(self.geometry.n_layers):
            weights += <double> self.geometry.layers[i].n_in * self.geometry.layers[i].n_out
        first = <double> self.geometry.n_features * self.geometry.layers[0].n_out
        return rows * (6 * weights - 2 * first)

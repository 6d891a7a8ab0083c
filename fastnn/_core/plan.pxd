from fastnn._core.kernels cimport fnn_activation, fnn_gemm, fnn_input, fnn_kernels, fnn_loss

cdef struct LayerPlan:
    size_t n_in
    size_t n_out
    size_t weights  # where they start in the block of parameters, in elements
    size_t bias
    const fnn_activation *activation
    # tiles of the weights in the weight phase; those at the right and at the bottom are smaller
    size_t tile_rows
    size_t tile_columns
    size_t n_tiles_down
    size_t n_tiles

cdef struct Geometry:
    const fnn_kernels *kernels
    const fnn_loss *loss
    size_t itemsize
    size_t n_layers
    size_t n_features
    size_t n_outputs
    size_t widest  # units of the widest layer
    size_t n_parameters
    size_t n_weight_tiles
    size_t row_tile  # samples in a tile of the row phase, at most
    size_t slab_rows  # samples whose activations are held at a time
    LayerPlan *layers

# How fast predictions of about one size were: operations a second, 0 where not known.
cdef struct Pace:
    double team
    double alone
    double try_again  # the slower one, at this time
    bint trial_is_team  # what is being tried
    int trial_calls  # how many calls still

cdef enum:
    N_PACES = 12  # sizes, each twice the one before

cdef class Plan:
    cdef Geometry geometry
    cdef readonly object dtype
    cdef const fnn_input *own_input  # reads arrays of the plan's own dtype
    cdef fnn_gemm gemm  # NULL until it has been prepared
    cdef double flops_a_row  # of a forward pass
    cdef Pace[N_PACES] paces
    cdef list spare  # the buffers of the last training run, for the next one

    cdef fnn_gemm prepare_gemm(self, int n_threads=*) except NULL
    cdef object take_buffer(self, size_t n_bytes)

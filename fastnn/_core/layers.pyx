"""The kinds of layers: a row of operations each."""
from fastnn._core.geometry cimport (
    Geometry,
    LayerOperations,
    LayerPass,
    LayerPlan,
    Matrix,
    Pass,
    Rows,
    Units,
    WeightTile,
    at,
    columns_from,
    columns_in_line,
    gather_samples,
    input_rows,
    owns_bias,
    rows_from,
    width_at,
)
from fastnn._core.kernels cimport fnn_ahead, fnn_noise


# ---- dense: z = a_previous @ weights + bias, a = activation(z) ----------------------------------

cdef void dense_forward(const Pass *net, size_t layer, const Rows *rows,
                        const Units *units) noexcept nogil:
    cdef size_t itemsize = net.geometry.itemsize
    cdef const LayerPass *buffers = &net.layers[layer]
    cdef Matrix a_previous = input_rows(net, layer, rows)
    cdef Matrix weights = columns_from(buffers.weights, units.first, itemsize)
    cdef Matrix z = columns_from(rows_from(buffers.z, rows.first), units.first, itemsize)
    net.gemm(0, rows.n, units.n, net.geometry.layers[layer].n_in, &a_previous, &weights,
             buffers.bias + units.first * itemsize, 0, &z, NULL, rows.scratch)
    activate(net, layer, rows, units)


cdef void activate(const Pass *net, size_t layer, const Rows *rows,
                   const Units *units) noexcept nogil:
    """a = activation(z)"""
    cdef size_t itemsize = net.geometry.itemsize, column = units.first, width
    cdef const LayerPass *buffers = &net.layers[layer]
    while column < units.first + units.n:
        width = min(columns_in_line(buffers.z, rows.n, column), units.first + units.n - column)
        buffers.activation.forward(at(buffers.a, rows.first, column, itemsize),
                                   at(buffers.z, rows.first, column, itemsize), rows.n, width)
        column += width


cdef void dense_derivative(const Pass *net, size_t layer, const Rows *rows,
                           const Units *units) noexcept nogil:
    """dZ = dA * activation'(Z)"""
    cdef size_t itemsize = net.geometry.itemsize, column = units.first, width
    cdef const LayerPass *buffers = &net.layers[layer]
    while column < units.first + units.n:
        width = min(columns_in_line(buffers.d, rows.n, column), units.first + units.n - column)
        net.geometry.layers[layer].activation.backward(
            at(buffers.d, rows.first, column, itemsize),
            at(buffers.a, rows.first, column, itemsize),
            at(buffers.z, rows.first, column, itemsize), rows.n * width)
        column += width


cdef void dense_backward(const Pass *net, size_t layer, const Rows *rows,
                         const Units *units) noexcept nogil:
    """dA_previous = dZ @ weights.T, from the transposed weights."""
    cdef size_t itemsize = net.geometry.itemsize
    cdef const LayerPass *buffers = &net.layers[layer]
    cdef Matrix d = rows_from(buffers.d, rows.first)
    cdef Matrix d_previous = columns_from(rows_from(net.layers[layer - 1].d, rows.first),
                                          units.first, itemsize)
    cdef Matrix transposed = columns_from(buffers.transposed, units.first, itemsize)
    net.gemm(0, rows.n, units.n, net.geometry.layers[layer].n_out, &d, &transposed, NULL, 0,
             &d_previous, NULL, rows.scratch)


cdef void dense_weight_gradient(const Pass *net, const WeightTile *tile, const Rows *rows,
                                bint accumulate, Matrix dweights, char *dbias,
                                const fnn_ahead *ahead) noexcept nogil:
    """dweights = A_previous.T @ dZ, dbias = the sum of dZ over the rows."""
    cdef const Geometry *g = net.geometry
    cdef Matrix d = rows_from(net.layers[tile.layer].d, rows.first)
    cdef Matrix a_previous = columns_from(input_rows(net, tile.layer, rows), tile.first_row,
                                          g.itemsize)
    cdef Matrix d_columns = columns_from(d, tile.first_column, g.itemsize)
    net.gemm(1, tile.n_rows, tile.n_columns, rows.n, &a_previous, &d_columns, NULL, accumulate,
             &dweights, ahead, rows.scratch)
    if owns_bias(tile):
        g.kernels.sum_rows(dbias, &d, NULL, rows.n, g.layers[tile.layer].n_out, accumulate)


cdef LayerOperations dense
dense.name = b"dense"
dense.is_product = True
dense.forward = dense_forward
dense.infer = dense_forward
dense.derivative = dense_derivative
dense.backward = dense_backward
dense.weight_gradient = dense_weight_gradient


# ---- what layers without a product have in common ------------------------------------------------

cdef void no_derivative(const Pass *net, size_t layer, const Rows *rows,
                        const Units *units) noexcept nogil:
    """Nothing lies between a and z: d stays by a."""


cdef void no_backward(const Pass *net, size_t layer, const Rows *rows,
                      const Units *units) noexcept nogil:
    """The derivative by what enters is that by a, and in its place."""


cdef Matrix part(Matrix matrix, const Pass *net, const Rows *rows, const Units *units) noexcept nogil:
    """Some rows and units of a layer's matrix."""
    return columns_from(rows_from(matrix, rows.first), units.first, net.geometry.itemsize)


cdef Matrix entering(const Pass *net, size_t layer, const Rows *rows,
                     const Units *units) noexcept nogil:
    """The same of what enters a layer."""
    return columns_from(input_rows(net, layer, rows), units.first, net.geometry.itemsize)


cdef const char *of_units(const char *numbers, const Pass *net, const Units *units) noexcept nogil:
    """The same of a number for each unit."""
    return numbers + units.first * net.geometry.itemsize


cdef void scale_gradient(const Pass *net, const WeightTile *tile, const Rows *rows, bint accumulate,
                         Matrix dweights, char *dbias, const fnn_ahead *ahead) noexcept nogil:
    """Of a = weights * z + bias, a weight and a bias for each unit: the sums of dA * z and of dA over
    the rows."""
    cdef const Geometry *g = net.geometry
    cdef const LayerPlan *layer = &g.layers[tile.layer]
    cdef Matrix d = rows_from(net.layers[tile.layer].d, rows.first)
    cdef Matrix z = rows_from(net.layers[tile.layer].z, rows.first)
    g.kernels.sum_rows(at(dweights, 0, 0, g.itemsize), &d, &z, rows.n, layer.n_out, accumulate)
    if layer.n_bias > 0:
        g.kernels.sum_rows(dbias, &d, NULL, rows.n, layer.n_out, accumulate)


# ---- an activation alone -------------------------------------------------------------------------

cdef void activation_forward(const Pass *net, size_t layer, const Rows *rows,
                             const Units *units) noexcept nogil:
    cdef size_t itemsize = net.geometry.itemsize, column = units.first, width, row
    cdef const LayerPass *buffers = &net.layers[layer]
    cdef Matrix x = input_rows(net, layer, rows)
    cdef bint same_panels = x.width == buffers.a.width and x.panel == buffers.a.panel
    cdef size_t height = rows.n if same_panels else 1  # of pieces that have no gaps
    while column < units.first + units.n:
        width = columns_in_line(buffers.a, rows.n, column)
        if not same_panels:
            width = min(width_at(buffers.a, column), width_at(x, column))
        width = min(width, units.first + units.n - column)
        row = 0
        while row < rows.n:
            net.geometry.layers[layer].activation.forward(
                at(buffers.a, rows.first + row, column, itemsize), at(x, row, column, itemsize),
                height, width)
            row += height
        column += width


cdef void activation_backward(const Pass *net, size_t layer, const Rows *rows,
                              const Units *units) noexcept nogil:
    """dX = dA * activation'(X), in place."""
    cdef size_t itemsize = net.geometry.itemsize, column = units.first, width
    cdef const LayerPass *buffers = &net.layers[layer]
    cdef Matrix x = input_rows(net, layer, rows)
    while column < units.first + units.n:
        width = min(columns_in_line(buffers.d, rows.n, column), units.first + units.n - column)
        net.geometry.layers[layer].activation.backward(
            at(buffers.d, rows.first, column, itemsize),
            at(buffers.a, rows.first, column, itemsize), at(x, 0, column, itemsize),
            rows.n * width)
        column += width


cdef LayerOperations activation
activation.name = b"activation"
activation.is_in_place = True
activation.forward = activation_forward
activation.infer = activation_forward
activation.derivative = no_derivative
activation.backward = activation_backward


# ---- numbers as they come in, rescaled: the first layer, or none ------------------------------------

cdef void rescale_forward(const Pass *net, size_t layer, const Rows *rows,
                          const Units *units) noexcept nogil:
    """From the user's array: converted and rescaled where other layers find them gathered."""
    cdef Matrix a = part(net.layers[layer].a, net, rows, units)
    if not rows.gathered:
        gather_samples(net, rows, &a, units.first, units.n, &net.geometry.layers[layer].rescaling)


cdef LayerOperations rescale
rescale.name = b"rescale"
rescale.reads_samples = True
rescale.forward = rescale_forward
rescale.infer = rescale_forward
rescale.derivative = no_derivative
rescale.backward = no_backward


# ---- parametric relu: an alpha for each unit, as its weights -------------------------------------

cdef void prelu_forward(const Pass *net, size_t layer, const Rows *rows,
                        const Units *units) noexcept nogil:
    cdef const LayerPass *buffers = &net.layers[layer]
    cdef Matrix x = entering(net, layer, rows, units)
    cdef Matrix a = part(buffers.a, net, rows, units), z = part(buffers.z, net, rows, units)
    net.geometry.kernels.layers.prelu_forward(
        &a, &z, &x, of_units(<const char *> buffers.weights.data, net, units), rows.n, units.n)


cdef void prelu_infer(const Pass *net, size_t layer, const Rows *rows,
                      const Units *units) noexcept nogil:
    cdef const LayerPass *buffers = &net.layers[layer]
    cdef Matrix x = entering(net, layer, rows, units), a = part(buffers.a, net, rows, units)
    net.geometry.kernels.layers.prelu_infer(
        &a, &x, of_units(<const char *> buffers.weights.data, net, units), rows.n, units.n)


cdef void prelu_backward(const Pass *net, size_t layer, const Rows *rows,
                         const Units *units) noexcept nogil:
    cdef const LayerPass *buffers = &net.layers[layer]
    cdef Matrix x = entering(net, layer, rows, units), d = part(buffers.d, net, rows, units)
    cdef Matrix d_previous = part(net.layers[layer - 1].d, net, rows, units)
    net.geometry.kernels.layers.prelu_backward(
        &d_previous, &d, &x, of_units(<const char *> buffers.weights.data, net, units), rows.n,
        units.n)


cdef LayerOperations prelu
prelu.name = b"prelu"
prelu.keeps_z = True
prelu.forward = prelu_forward
prelu.infer = prelu_infer
prelu.derivative = no_derivative
prelu.backward = prelu_backward
prelu.weight_gradient = scale_gradient


# ---- noise, in training only -----------------------------------------------------------------------

cdef fnn_noise noise_of(const Pass *net, size_t layer, const Rows *rows,
                        const Units *units) noexcept nogil:
    cdef fnn_noise noise
    noise.key = net.geometry.layers[layer].noise_key
    noise.step = rows.step
    noise.sample = net.batch.n_before + rows.sample + rows.noise_shift
    noise.unit = units.first
    return noise


cdef void dropout_forward(const Pass *net, size_t layer, const Rows *rows,
                          const Units *units) noexcept nogil:
    cdef const LayerPass *buffers = &net.layers[layer]
    cdef fnn_noise noise = noise_of(net, layer, rows, units)
    cdef Matrix x = entering(net, layer, rows, units)
    cdef Matrix a = part(buffers.a, net, rows, units), z = part(buffers.z, net, rows, units)
    net.geometry.kernels.layers.dropout_forward(&a, &z, &x, rows.n, units.n, &noise,
                                                net.geometry.layers[layer].setting)


cdef void dropout_backward(const Pass *net, size_t layer, const Rows *rows,
                           const Units *units) noexcept nogil:
    """dX = dA * z, in place."""
    cdef Matrix d = part(net.layers[layer].d, net, rows, units)
    cdef Matrix z = part(net.layers[layer].z, net, rows, units)
    net.geometry.kernels.layers.multiply(&d, &z, rows.n, units.n)


cdef LayerOperations dropout
dropout.name = b"dropout"
dropout.keeps_z = True
dropout.is_in_place = True
dropout.forward = dropout_forward
dropout.derivative = no_derivative
dropout.backward = dropout_backward


cdef void gaussian_noise_forward(const Pass *net, size_t layer, const Rows *rows,
                                 const Units *units) noexcept nogil:
    cdef fnn_noise noise = noise_of(net, layer, rows, units)
    cdef Matrix x = entering(net, layer, rows, units)
    cdef Matrix a = part(net.layers[layer].a, net, rows, units)
    net.geometry.kernels.layers.gaussian_noise_forward(&a, &x, rows.n, units.n, &noise,
                                                       net.geometry.layers[layer].setting)


cdef LayerOperations gaussian_noise
gaussian_noise.name = b"gaussian_noise"
gaussian_noise.is_in_place = True
gaussian_noise.forward = gaussian_noise_forward
gaussian_noise.derivative = no_derivative
gaussian_noise.backward = no_backward


# ---- norms: a scale, as the weights, and a shift, as the bias, for each unit ---------------------

cdef void batch_norm_forward(const Pass *net, size_t layer, const Rows *rows,
                             const Units *units) noexcept nogil:
    cdef const LayerPass *buffers = &net.layers[layer]
    cdef size_t n_out = net.geometry.layers[layer].n_out, itemsize = net.geometry.itemsize
    cdef char *mean = buffers.measured + units.first * itemsize
    cdef Matrix x = entering(net, layer, rows, units)
    cdef Matrix a = part(buffers.a, net, rows, units), z = part(buffers.z, net, rows, units)
    net.geometry.kernels.layers.batch_norm_forward(
        &a, &z, mean, mean + n_out * itemsize, &x,
        of_units(<const char *> buffers.weights.data, net, units),
        of_units(buffers.bias, net, units), rows.n, units.n, net.geometry.layers[layer].setting)


cdef void batch_norm_infer(const Pass *net, size_t layer, const Rows *rows,
                           const Units *units) noexcept nogil:
    cdef const LayerPass *buffers = &net.layers[layer]
    cdef size_t n_out = net.geometry.layers[layer].n_out, itemsize = net.geometry.itemsize
    cdef const char *mean = of_units(buffers.running, net, units)
    cdef Matrix x = entering(net, layer, rows, units), a = part(buffers.a, net, rows, units)
    net.geometry.kernels.layers.batch_norm_infer(
        &a, &x, mean, mean + n_out * itemsize,
        of_units(<const char *> buffers.weights.data, net, units),
        of_units(buffers.bias, net, units), rows.n, units.n, net.geometry.layers[layer].setting)


cdef void batch_norm_backward(const Pass *net, size_t layer, const Rows *rows,
                              const Units *units) noexcept nogil:
    cdef const LayerPass *buffers = &net.layers[layer]
    cdef size_t n_out = net.geometry.layers[layer].n_out, itemsize = net.geometry.itemsize
    cdef Matrix d = part(buffers.d, net, rows, units), z = part(buffers.z, net, rows, units)
    cdef Matrix d_previous = part(net.layers[layer - 1].d, net, rows, units)
    net.geometry.kernels.layers.batch_norm_backward(
        &d_previous, &d, &z, of_units(buffers.measured, net, units) + n_out * itemsize,
        of_units(<const char *> buffers.weights.data, net, units), rows.n, units.n,
        net.geometry.layers[layer].setting)


cdef int batch_norm_finish(const Pass *net, size_t layer, const Rows *rows) noexcept nogil:
    """The running statistics follow those of the mini-batch."""
    cdef const LayerPass *buffers = &net.layers[layer]
    cdef size_t n_out = net.geometry.layers[layer].n_out
    cdef size_t n_bytes = n_out * net.geometry.itemsize
    return net.geometry.kernels.layers.batch_norm_track(
        buffers.running, buffers.running + n_bytes, buffers.measured, buffers.measured + n_bytes,
        rows.n_all, n_out, net.geometry.layers[layer].momentum)


cdef void mean_over_all(const Pass *net, char *means, const Matrix *d, const Matrix *times,
                        const Rows *rows, const Units *units) noexcept nogil:
    """What these rows add to the means over a mini-batch that others have a part of."""
    net.geometry.kernels.sum_rows(means, d, times, rows.n, units.n, False)
    net.geometry.kernels.scale(means, units.n, 1, units.n, 1.0 / rows.n_all)


cdef void batch_norm_forward_part(const Pass *net, size_t layer, const Rows *rows,
                                  const Units *units, int number) noexcept nogil:
    cdef const LayerPass *buffers = &net.layers[layer]
    cdef size_t n_out = net.geometry.layers[layer].n_out, itemsize = net.geometry.itemsize
    cdef char *mean = buffers.measured + units.first * itemsize
    cdef char *variance = mean + n_out * itemsize
    cdef Matrix x = entering(net, layer, rows, units)
    cdef Matrix a = part(buffers.a, net, rows, units), z = part(buffers.z, net, rows, units)
    if number == 1:
        mean_over_all(net, mean, &x, NULL, rows, units)
    elif number == 2:
        net.geometry.kernels.layers.batch_norm_centre(&z, &x, mean, rows.n, units.n)
        mean_over_all(net, variance, &z, &z, rows, units)
    else:
        net.geometry.kernels.layers.batch_norm_normalise(
            &a, &z, variance, of_units(<const char *> buffers.weights.data, net, units),
            of_units(buffers.bias, net, units), rows.n, units.n,
            net.geometry.layers[layer].setting)


cdef void batch_norm_backward_part(const Pass *net, size_t layer, const Rows *rows,
                                   const Units *units, int number) noexcept nogil:
    cdef const LayerPass *buffers = &net.layers[layer]
    cdef size_t n_bytes = net.geometry.layers[layer].n_out * net.geometry.itemsize
    cdef char *mean = buffers.measured + 2 * n_bytes + units.first * net.geometry.itemsize
    cdef Matrix d = part(buffers.d, net, rows, units), z = part(buffers.z, net, rows, units)
    cdef Matrix d_previous = part(net.layers[layer - 1].d, net, rows, units)
    if number == 1:
        mean_over_all(net, mean, &d, NULL, rows, units)
        mean_over_all(net, mean + n_bytes, &d, &z, rows, units)
    else:
        net.geometry.kernels.layers.batch_norm_turn_back(
            &d_previous, &d, &z, mean, mean + n_bytes,
            of_units(buffers.measured, net, units) + n_bytes,
            of_units(<const char *> buffers.weights.data, net, units), rows.n, units.n,
            net.geometry.layers[layer].setting)


cdef LayerOperations batch_norm
batch_norm.name = b"batch_norm"
batch_norm.mixes_rows = True
batch_norm.keeps_z = True
batch_norm.forward = batch_norm_forward
batch_norm.infer = batch_norm_infer
batch_norm.derivative = no_derivative
batch_norm.backward = batch_norm_backward
batch_norm.weight_gradient = scale_gradient
batch_norm.forward_part = batch_norm_forward_part
batch_norm.backward_part = batch_norm_backward_part
batch_norm.finish_step = batch_norm_finish


cdef void normalise_rows(const Pass *net, size_t layer, const Rows *rows, Matrix z,
                     char *inverse) noexcept nogil:
    cdef const LayerPass *buffers = &net.layers[layer]
    cdef Matrix x = input_rows(net, layer, rows), a = rows_from(buffers.a, rows.first)
    net.geometry.kernels.layers.layer_norm_forward(
        &a, &z, inverse, &x, buffers.weights.data, buffers.bias, rows.n,
        net.geometry.layers[layer].n_out, net.geometry.layers[layer].setting)


cdef void layer_norm_forward(const Pass *net, size_t layer, const Rows *rows,
                             const Units *units) noexcept nogil:
    cdef const LayerPass *buffers = &net.layers[layer]
    normalise_rows(net, layer, rows, rows_from(buffers.z, rows.first),
               buffers.measured + rows.first * net.geometry.itemsize)


cdef void layer_norm_infer(const Pass *net, size_t layer, const Rows *rows,
                           const Units *units) noexcept nogil:
    normalise_rows(net, layer, rows, rows_from(net.layers[layer].a, rows.first), NULL)


cdef void layer_norm_backward(const Pass *net, size_t layer, const Rows *rows,
                              const Units *units) noexcept nogil:
    cdef const LayerPass *buffers = &net.layers[layer]
    cdef Matrix d = rows_from(buffers.d, rows.first), z = rows_from(buffers.z, rows.first)
    cdef Matrix d_previous = rows_from(net.layers[layer - 1].d, rows.first)
    net.geometry.kernels.layers.layer_norm_backward(
        &d_previous, &d, &z, buffers.measured + rows.first * net.geometry.itemsize,
        buffers.weights.data, rows.n, net.geometry.layers[layer].n_out)


cdef LayerOperations layer_norm
layer_norm.name = b"layer_norm"
layer_norm.mixes_units = True
layer_norm.keeps_z = True
layer_norm.forward = layer_norm_forward
layer_norm.infer = layer_norm_infer
layer_norm.derivative = no_derivative
layer_norm.backward = layer_norm_backward
layer_norm.weight_gradient = scale_gradient


# ---- the table -----------------------------------------------------------------------------------

cdef const LayerOperations *kinds[8]
kinds[:] = [&dense, &rescale, &activation, &prelu, &dropout, &gaussian_noise, &batch_norm,
            &layer_norm]


cdef const LayerOperations *find_layer(str name) except NULL:
    """A row by its name: an unknown one is a mistake of the model, not of a user."""
    for kind in kinds:
        if kind.name.decode() == name:
            return kind
    raise LookupError(f"no operations for a layer {name!r}")

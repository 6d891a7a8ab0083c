"""Single kernels, for tests and benches: one call of C on arrays."""
import numpy as np

from fastnn._core.gemm cimport Operand
from fastnn._core.kernels cimport (
    FNN_MAX_CONSTANTS,
    FNN_MAX_HYPERPARAMETERS,
    FNN_MAX_SLOTS,
    data_of,
    fill_hyperparameters,
    find_activation,
    find_input,
    find_loss,
    find_optimizer,
    fnn_activation,
    fnn_function,
    fnn_input,
    fnn_kernels,
    fnn_loss,
    fnn_optimizer,
    fnn_rescaling,
    kernels_for,
    writable_data_of,
)
from libc.stdint cimport int32_t, int64_t, uint64_t


def activation_names():
    """Names of all activation kernels."""
    cdef list names = []
    cdef const fnn_activation *row = kernels_for(np.dtype(np.float32)).activations
    while row.name != NULL:
        names.append(row.name.decode())
        row += 1
    return names


def loss_names():
    """Names of all loss kernels."""
    cdef list names = []
    cdef const fnn_loss *row = kernels_for(np.dtype(np.float32)).losses
    while row.name != NULL:
        names.append(row.name.decode())
        row += 1
    return names


def optimizers():
    """Names of the hyperparameters, and the number of slots, of all optimiser kernels.

    Returns
    -------
    dict of str to (list of str, int)
    """
    cdef const fnn_optimizer *row = kernels_for(np.dtype(np.float32)).optimizers
    cdef size_t n
    found = {}
    while row.name != NULL:
        n = 0
        names = []
        while row.hyperparameters[n] != NULL:
            names.append(row.hyperparameters[n].decode())
            n += 1
        found[row.name.decode()] = names, row.n_slots
        row += 1
    return found


def activation_forward(str name, z, isa=None, *, in_place=False):
    """The output of one activation.

    Parameters
    ----------
    name : str
    z : ndarray of shape (rows, n_units), float32 or float64
    isa : str, optional
    in_place : bool
        Whether the kernel is to write where it reads: in a copy of `z`.

    Returns
    -------
    ndarray like `z`
    """
    cdef size_t rows = z.shape[0], n_units = z.shape[1]
    cdef const fnn_activation *kernel = find_activation(kernels_for(z.dtype, isa), name)
    a = z.copy() if in_place else np.empty_like(z)
    if in_place:
        z = a
    cdef char *a_data = writable_data_of(a, z.dtype, (rows, n_units))
    cdef const char *z_data = data_of(z, z.dtype, (rows, n_units))
    kernel.forward(a_data, z_data, rows, n_units)
    return a


def activation_backward(str name, d, a, z, isa=None):
    """The loss's derivative by `z` from `d`, the one by the outputs.

    Parameters
    ----------
    name : str
    d, a, z : ndarray of shape (n,), float32 or float64
    isa : str, optional

    Returns
    -------
    ndarray like `d`
    """
    cdef size_t n = d.size
    cdef const fnn_activation *kernel = find_activation(kernels_for(d.dtype, isa), name)
    if kernel.backward == NULL:
        raise ValueError(f"{name} has no backward kernel")
    result = d.copy()
    cdef char *d_data = writable_data_of(result, d.dtype, (n,))
    cdef const char *a_data = data_of(a, d.dtype, (n,))
    cdef const char *z_data = data_of(z, d.dtype, (n,))
    kernel.backward(d_data, a_data, z_data, n)
    return result


def loss_and_derivative(str name, out, targets, double scale, isa=None, *, in_place=False,
                        parameters=(), weights=None):
    """Weighted sum of a loss over the rows, and `scale` times its derivative by `out`.

    Parameters
    ----------
    name : str
    out : ndarray of shape (rows, n_units), float32 or float64
        The output, or the logits for the cross-entropies.
    targets : ndarray of shape (rows, n_units) like `out`, or of shape (rows,), int32 labels
        By level of shape (rows, 1), like `out`.
    scale : float
    isa : str, optional
    in_place : bool
        Whether the kernel is to write where it reads: in a copy of `out`.
    parameters : sequence of float
        Of the loss.
    weights : ndarray of shape (rows,), like `out`, optional
        Of the rows.

    Returns
    -------
    loss : float
    derivative : ndarray like `out`
    """
    cdef size_t rows = out.shape[0], n_units = out.shape[1]
    cdef const fnn_loss *kernel = find_loss(kernels_for(out.dtype, isa), name)
    derivative = out.copy() if in_place else np.empty_like(out)
    if in_place:
        out = derivative
    cdef char *d = writable_data_of(derivative, out.dtype, (rows, n_units))
    cdef const char *out_data = data_of(out, out.dtype, (rows, n_units))
    cdef const char *targets_data
    cdef const char *weights_data = NULL
    cdef size_t n_parameters = n_units if kernel.by_level else kernel.n_parameters
    values = np.asarray(parameters, np.float64)
    cdef const char *values_data = data_of(values, np.dtype(np.float64), (n_parameters,))
    cdef double loss
    if weights is not None:
        weights_data = data_of(weights, out.dtype, (rows,))
    if targets.dtype == np.int32:
        targets_data = data_of(targets, np.dtype(np.int32), (rows,))
        loss = kernel.labels(d, out_data, <const int32_t *> targets_data, weights_data, rows,
                             n_units, scale, <const double *> values_data, NULL)
    else:
        targets_data = data_of(targets, out.dtype, (rows, 1 if kernel.by_level else n_units))
        loss = kernel.targets(d, out_data, targets_data, weights_data, rows, n_units, scale,
                              <const double *> values_data)
    return loss, derivative


def label_rows(labels, order, size_t rows, size_t n_units, double on, double off, dtype, isa=None):
    """Rows of targets: `on` in the column of the label, `off` elsewhere.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,), int32
    order : ndarray of shape (rows,), int64, or None
        Which labels; None: the first ones.
    rows, n_units : int
    on, off : float
    dtype : numpy.dtype
    isa : str, optional

    Returns
    -------
    ndarray of shape (rows, n_units)
    """
    targets = np.empty((rows, n_units), dtype)
    cdef char *to = writable_data_of(targets, dtype, (rows, n_units))
    cdef const char *from_ = data_of(labels, np.dtype(np.int32), labels.shape)
    cdef const char *order_data = NULL
    if order is not None:
        order_data = data_of(order, np.dtype(np.int64), (rows,))
    kernels_for(dtype, isa).label_rows(to, <const int32_t *> from_, <const int64_t *> order_data,
                                       rows, n_units, on, off)
    return targets


def smooth(targets, double share, double offset, isa=None):
    """`share` times an array, float32 or float64, plus `offset`, as a new array."""
    result = targets.copy()
    cdef size_t n = result.size
    cdef char *data = writable_data_of(result, result.dtype, result.shape)
    kernels_for(result.dtype, isa).smooth(data, n, share, offset)
    return result


def optimizer_update(str name, parameters, slots, gradient, double learning_rate, hyperparameters,
                     uint64_t t, isa=None):
    """One step of an optimiser, in place on `parameters` and `slots`.

    Parameters
    ----------
    name : str
    parameters : ndarray of shape (n,), float32 or float64
    slots : ndarray of shape (n_slots, n), like `parameters`
    gradient : ndarray of shape (n,), like `parameters`
    learning_rate : float
    hyperparameters : dict of str to float
    t : int
        Number of this step, from 1.
    isa : str, optional

    Returns
    -------
    bool
        Whether everything written is finite.
    """
    cdef size_t n = parameters.size
    cdef size_t n_slots = slots.shape[0]
    cdef const fnn_optimizer *kernel = find_optimizer(kernels_for(parameters.dtype, isa), name)
    cdef char *w = writable_data_of(parameters, parameters.dtype, (n,))
    cdef char *state = writable_data_of(slots, parameters.dtype, (n_slots, n))
    cdef const char *g = data_of(gradient, parameters.dtype, (n,))
    cdef double values[FNN_MAX_HYPERPARAMETERS]
    cdef double constants[FNN_MAX_CONSTANTS]
    cdef void *slot[FNN_MAX_SLOTS]
    cdef size_t i
    if n_slots != kernel.n_slots:
        raise ValueError(f"{name} has {kernel.n_slots} slots, got {n_slots}")
    for i in range(n_slots):
        slot[i] = state + i * n * <size_t> parameters.itemsize
    fill_hyperparameters(kernel, values, hyperparameters)
    kernel.prepare(constants, values, learning_rate, t)
    return kernel.update(w, slot, g, n, constants) == 0


def idle_at_once(str name, parameters, slots, learning_rates, hyperparameters, uint64_t t, isa=None):
    """What steps without a gradient do to `parameters` and `slots`, in place, by the formula.

    Parameters
    ----------
    name, parameters, slots, hyperparameters, isa
        As for `optimizer_update`.
    learning_rates : sequence of float
        Of each step.
    t : int
        Number of the first of them, from 1.

    Returns
    -------
    bool
        Whether there is a formula that is good for these steps; nothing is done where there is none.
    """
    cdef size_t n = parameters.size, n_slots = slots.shape[0], n_steps = len(learning_rates), i
    cdef const fnn_optimizer *kernel = find_optimizer(kernels_for(parameters.dtype, isa), name)
    cdef char *w = writable_data_of(parameters, parameters.dtype, (n,))
    cdef char *state = writable_data_of(slots, parameters.dtype, (kernel.n_slots, n))
    cdef double values[FNN_MAX_HYPERPARAMETERS]
    cdef void *slot[FNN_MAX_SLOTS]
    memory = np.empty((2, n_steps, FNN_MAX_CONSTANTS))
    cdef double *constants = <double *> writable_data_of(memory, memory.dtype, memory.shape)
    cdef double *at_once = constants + n_steps * <size_t> FNN_MAX_CONSTANTS
    for i in range(n_slots):
        slot[i] = state + i * n * <size_t> parameters.itemsize
    fill_hyperparameters(kernel, values, hyperparameters)
    for i in range(n_steps):
        kernel.prepare(constants + i * <size_t> FNN_MAX_CONSTANTS, values, learning_rates[i], t + i)
    if kernel.prepare_at_once == NULL or not kernel.prepare_at_once(at_once, constants, n_steps):
        return False
    kernel.idle_at_once(w, slot, n, at_once)
    return True


def gather(data, order, dtype, isa=None, panels=False, rescaling=None):
    """Rows ``data[order]`` converted to `dtype`.

    Parameters
    ----------
    data : ndarray of shape (n_samples, n_features), of a dtype that `find_input` knows
    order : ndarray of shape (rows,), int64
    dtype : numpy.dtype
    isa : str, optional
    panels : bool or "columns"
        Whether the kernel is to write panels, as in training, or panels of one column.
    rescaling : (scale, offset), optional

    Returns
    -------
    ndarray of shape (rows, n_features)
    """
    cdef fnn_rescaling numbers
    cdef size_t rows = order.shape[0], n_features = data.shape[1]
    cdef const fnn_input *kernel = find_input(kernels_for(dtype, isa), data.dtype)
    batch = np.empty((rows, n_features), dtype)
    cdef Operand out = Operand(batch, panels, isa)
    cdef const char *view = data_of(data, data.dtype, data.shape)
    cdef const char *order_data = data_of(order, np.dtype(np.int64), (rows,))
    if rescaling is not None:
        numbers.scale, numbers.offset = rescaling
    kernel.gather(&out.matrix, view, n_features, <const int64_t *> order_data, rows, n_features,
                  &numbers if rescaling is not None else NULL)
    if panels:
        out.read(batch)
    return batch


def sum_rows(d, sums=None, isa=None, panels=False):
    """Sum over the rows of `d`, added to `sums` where given.

    Parameters
    ----------
    d : ndarray of shape (rows, n_units), float32 or float64
    sums : ndarray of shape (n_units,), like `d`, optional
    isa : str, optional
    panels : bool or "columns"
        Whether `d` is in panels, as in training, or in panels of one column.

    Returns
    -------
    ndarray of shape (n_units,)
    """
    cdef size_t rows = d.shape[0], n_units = d.shape[1]
    cdef const fnn_kernels *kernels = kernels_for(d.dtype, isa)
    cdef bint accumulate = sums is not None
    result = sums.copy() if accumulate else np.empty(n_units, d.dtype)
    cdef char *sums_data = writable_data_of(result, d.dtype, (n_units,))
    cdef Operand operand = Operand(d, panels, isa)
    kernels.sum_rows(sums_data, &operand.matrix, NULL, rows, n_units, accumulate)
    return result


def penalize(g, w, double l1, double l2, double scale, isa=None):
    """The penalty ``l1 |w| + l2 w^2 / 2`` of all weights, and `g` plus `scale` times its derivative.

    Parameters
    ----------
    g, w : ndarray of shape (rows, columns), float32 or float64
    l1, l2, scale : float
    isa : str, optional

    Returns
    -------
    penalty : float
    gradient : ndarray like `g`
    """
    cdef size_t rows = w.shape[0], columns = w.shape[1]
    result = g.copy()
    cdef char *g_data = writable_data_of(result, w.dtype, (rows, columns))
    cdef const char *w_data = data_of(w, w.dtype, (rows, columns))
    penalty = kernels_for(w.dtype, isa).penalize(g_data, columns, w_data, columns, rows, columns,
                                                 l1, l2, scale)
    return penalty, result


def sum_of_squares(x, size_t first=0, isa=None):
    """The sum of the squares of the columns of `x` from `first` on, in double.

    Parameters
    ----------
    x : ndarray of shape (rows, columns), float32 or float64
    first : int
    isa : str, optional

    Returns
    -------
    float
    """
    cdef size_t rows = x.shape[0], columns = x.shape[1]
    cdef const char *data = data_of(x, x.dtype, (rows, columns))
    return kernels_for(x.dtype, isa).sum_of_squares(data + first * <size_t> x.itemsize, columns,
                                                    rows, columns - first)


def clip(x, double limit, isa=None):
    """`x`, of shape (rows, columns), float32 or float64, in [-limit, limit], as a new array."""
    cdef size_t rows = x.shape[0], columns = x.shape[1]
    result = x.copy()
    cdef char *data = writable_data_of(result, x.dtype, (rows, columns))
    kernels_for(x.dtype, isa).clip(data, columns, rows, columns, limit)
    return result


def scale(x, double factor, isa=None):
    """`x`, of shape (rows, columns), float32 or float64, times `factor`, as a new array."""
    cdef size_t rows = x.shape[0], columns = x.shape[1]
    result = x.copy()
    cdef char *data = writable_data_of(result, x.dtype, (rows, columns))
    kernels_for(x.dtype, isa).scale(data, columns, rows, columns, factor)
    return result


def limit_norms(w, double limit, isa=None):
    """The columns of `w` with norms of at most `limit`, and what the kernel returns.

    Parameters
    ----------
    w : ndarray of shape (rows, columns), float32 or float64
    limit : float
    isa : str, optional

    Returns
    -------
    limited : ndarray like `w`
    result : int
        1 if a column was scaled, 0 if none, -1 if a norm is not finite.
    """
    cdef size_t rows = w.shape[0], columns = w.shape[1]
    limited = w.copy()
    cdef char *data = writable_data_of(limited, w.dtype, (rows, columns))
    result = kernels_for(w.dtype, isa).limit_norms(data, columns, rows, columns, limit)
    return limited, result


def hits(out, targets, weights=None, threshold=0.0, isa=None, units=False):
    """How many rows of `out` are right, counted by their weights.

    Parameters
    ----------
    out : ndarray of shape (rows, n_units), float32 or float64
    targets : ndarray of shape (rows,), int32, or like `out`
        Labels in [0, n_units), which are not checked, and which the cross-entropy counts; or rows
        of numbers.
    weights : ndarray of shape (rows,), of the dtype of `out`, optional
    threshold : float
    isa : str, optional
    units : bool
        Whether `out` is compared with the threshold number by number.

    Returns
    -------
    float
    """
    cdef const fnn_kernels *kernels = kernels_for(out.dtype, isa)
    cdef size_t rows = out.shape[0], n_units = out.shape[1]
    cdef const char *data = data_of(out, out.dtype, (rows, n_units))
    cdef const char *weights_data = NULL
    if weights is not None:
        weights_data = data_of(weights, out.dtype, (rows,))
    cdef const fnn_loss *cross_entropy
    cdef const int32_t *labels
    cdef char *d
    cdef double found = 0
    if targets.ndim == 1:
        cross_entropy = find_loss(kernels, "categorical_cross_entropy")
        labels = <const int32_t *> data_of(targets, np.dtype(np.int32), (rows,))
        derivative = np.empty_like(out)
        d = writable_data_of(derivative, out.dtype, (rows, n_units))
        cross_entropy.labels(d, data, labels, weights_data, rows, n_units, 1, NULL, &found)
        return found
    cdef const char *row_data = data_of(targets, out.dtype, (rows, n_units))
    if units:
        return kernels.hits_of_units(data, row_data, weights_data, rows, n_units, threshold)
    return kernels.hits_of_rows(data, row_data, weights_data, rows, n_units, threshold)


def transpose(a, isa=None):
    """The transpose of a matrix, float32 or float64, C-contiguous, as a new one."""
    cdef size_t rows = a.shape[0], columns = a.shape[1]
    cdef const fnn_kernels *kernels = kernels_for(a.dtype, isa)
    b = np.empty((columns, rows), a.dtype)
    cdef char *b_data = writable_data_of(b, a.dtype, (columns, rows))
    cdef const char *a_data = data_of(a, a.dtype, (rows, columns))
    kernels.transpose(b_data, rows, a_data, columns, rows, columns)
    return b


def apply_function(str name, x, isa=None):
    """One of the elementary functions exp, expm1, log and log1p.

    Parameters
    ----------
    name : str
    x : ndarray of shape (n,), float32 or float64
        Up to 20 for expm1, from 1 on for log, in [0, 1] for log1p.
    isa : str, optional

    Returns
    -------
    ndarray like `x`
    """
    cdef size_t n = x.size
    cdef const fnn_function *row = kernels_for(x.dtype, isa).functions
    y = np.empty_like(x)
    cdef char *y_data = writable_data_of(y, x.dtype, (n,))
    cdef const char *x_data = data_of(x, x.dtype, (n,))
    while row.name != NULL:
        if row.name.decode() == name:
            row.apply(y_data, x_data, n)
            return y
        row += 1
    raise LookupError(f"no function {name!r}")

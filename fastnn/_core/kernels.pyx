"""The C kernels: the choice of instruction set, look-ups by name, and the door for arrays.

Every array enters the core through `bytes_of` or `writable_bytes_of`, which check that it is what
C may assume: the dtype, native-endian, aligned, C-contiguous and of the expected shape.
"""
import os
import time

import numpy as np

cimport numpy as cnp

cnp.import_array()

cdef extern from "fastnn.h" nogil:
    const char *const *fnn_isa_names
    int fnn_isa_supported(const char *isa)
    const fnn_kernels *fnn_find_kernels(const char *isa, const char *dtype)
    uint64_t fnn_flush_denormals()
    void fnn_set_float_state(uint64_t state)
    void fnn_team_run(fnn_region region, void *context, int n_threads)
    int fnn_team_size(const fnn_team *team)
    size_t fnn_team_next_tile(fnn_team *team)
    int fnn_team_barrier(fnn_team *team, int vote)


cdef uint64_t flush_denormals() noexcept nogil:
    return fnn_flush_denormals()


cdef void set_float_state(uint64_t state) noexcept nogil:
    fnn_set_float_state(state)


cdef void team_run(fnn_region region, void *context, int n_threads) noexcept nogil:
    fnn_team_run(region, context, n_threads)


cdef int team_size(fnn_team *team) noexcept nogil:
    return fnn_team_size(team)


cdef size_t team_next_tile(fnn_team *team) noexcept nogil:
    return fnn_team_next_tile(team)


cdef int team_barrier(fnn_team *team, int vote) noexcept nogil:
    return fnn_team_barrier(team, vote)


# ---- instruction sets ----------------------------------------------------------------------

def built_isas():
    """Names of the instruction sets the library was built with, best last."""
    cdef list names = []
    cdef size_t i = 0
    while fnn_isa_names[i] != NULL:
        names.append(fnn_isa_names[i].decode())
        i += 1
    return names


def supported_isas():
    """Names of those instruction sets that this CPU runs, best last."""
    return [name for name in built_isas() if fnn_isa_supported(name.encode())]


def _choose_isa():
    forced = os.environ.get("FASTNN_ISA", "").lower()
    supported = supported_isas()
    if not forced:
        return supported[len(supported) - 1]
    if forced not in built_isas():
        raise ImportError(f"FASTNN_ISA must be one of {', '.join(built_isas())}, got {forced!r}")
    if forced not in supported:
        raise ImportError(
            f"FASTNN_ISA is {forced!r}, which this CPU does not run; it runs {', '.join(supported)}"
        )
    return forced


#: The instruction set in use: the best this CPU runs, or what the environment variable FASTNN_ISA
#: named when fastnn was imported.
ISA = _choose_isa()

_DTYPE_NAMES = {np.dtype(np.float32): b"f32", np.dtype(np.float64): b"f64"}


cdef const fnn_kernels *kernels_for(object dtype, object isa=None) except NULL:
    """The table for arrays of `dtype`; `isa` None is the one in use."""
    if isa is None:
        isa = ISA
    if isa not in supported_isas():
        raise ValueError(f"isa must be one of {', '.join(supported_isas())}, got {isa!r}")
    cdef bytes dtype_name = _DTYPE_NAMES[dtype]
    return fnn_find_kernels(isa.encode(), dtype_name)


# ---- look-ups by name: an unknown name is a mistake of the tables in Python, not of a user ----

cdef const fnn_activation *find_activation(const fnn_kernels *kernels, str name) except NULL:
    cdef const fnn_activation *row = kernels.activations
    while row.name != NULL:
        if row.name.decode() == name:
            return row
        row += 1
    raise LookupError(f"no kernel for the activation {name!r}")


cdef const fnn_loss *find_loss(const fnn_kernels *kernels, str name) except NULL:
    cdef const fnn_loss *row = kernels.losses
    while row.name != NULL:
        if row.name.decode() == name:
            return row
        row += 1
    raise LookupError(f"no kernel for the loss {name!r}")


cdef const fnn_optimizer *find_optimizer(const fnn_kernels *kernels, str name) except NULL:
    cdef const fnn_optimizer *row = kernels.optimizers
    while row.name != NULL:
        if row.name.decode() == name:
            return row
        row += 1
    raise LookupError(f"no kernel for the optimizer {name!r}")


cdef const fnn_input *find_input(const fnn_kernels *kernels, object dtype) except NULL:
    cdef bytes name = _DTYPE_NAMES[dtype]
    cdef const fnn_input *row = kernels.inputs
    while row.dtype != NULL:
        if row.dtype == name:
            return row
        row += 1
    raise LookupError(f"no kernel that reads {dtype}")


# ---- the door --------------------------------------------------------------------------------

cdef int _check(array, dtype, tuple shape) except -1:
    if not cnp.PyArray_Check(array):
        raise TypeError(f"expected an ndarray, got {type(array).__name__}")
    if array.dtype != dtype or not array.dtype.isnative:
        raise TypeError(f"expected an array of {np.dtype(dtype)}, got {array.dtype}")
    if array.shape != shape:
        raise ValueError(f"expected an array of shape {shape}, got {array.shape}")
    if not cnp.PyArray_ISCARRAY_RO(array):
        raise ValueError("expected an aligned, C-contiguous array")
    return 0


cdef const char *data_of(object array, object dtype, tuple shape) except? NULL:
    """The memory of an array that is only read, and that the caller keeps alive."""
    _check(array, dtype, shape)
    return <const char *> cnp.PyArray_DATA(array)


cdef char *writable_data_of(object array, object dtype, tuple shape) except? NULL:
    """The memory of an array that is written, and that the caller keeps alive."""
    _check(array, dtype, shape)
    if not cnp.PyArray_ISWRITEABLE(array):
        raise ValueError("expected a writable array")
    return <char *> cnp.PyArray_DATA(array)


cdef const unsigned char[::1] bytes_of(object array, object dtype, tuple shape):
    """The memory of an array that is only read."""
    _check(array, dtype, shape)
    return array.reshape(-1).view(np.uint8)


cdef unsigned char[::1] writable_bytes_of(object array, object dtype, tuple shape):
    """The memory of an array that is written."""
    _check(array, dtype, shape)
    return array.reshape(-1).view(np.uint8)


cdef const char *pointer_to(const unsigned char[::1] view) noexcept nogil:
    return <const char *> &view[0] if view.shape[0] > 0 else NULL


cdef char *writable_pointer_to(unsigned char[::1] view) noexcept nogil:
    return <char *> &view[0] if view.shape[0] > 0 else NULL


# ---- single kernels, for the gate and for tests -----------------------------------------------

def all_finite(array, dtype, isa=None):
    """Whether all numbers of a float array are finite once converted to `dtype`.

    Parameters
    ----------
    array : ndarray of float32 or float64, aligned, C-contiguous, any shape
    dtype : numpy.dtype
        float32 or float64.
    isa : str, optional

    Returns
    -------
    bool
    """
    cdef const fnn_input *kernel = find_input(kernels_for(dtype, isa), array.dtype)
    cdef const unsigned char[::1] view = bytes_of(array, array.dtype, array.shape)
    cdef size_t size = array.size
    cdef bint result
    with nogil:
        result = kernel.all_finite(pointer_to(view), size)
    return result


def fma_peak(dtype, double seconds, isa=None):
    """Fused multiply-adds of one core, in floating-point operations a second: the best burst.

    Parameters
    ----------
    dtype : numpy.dtype
        float32 or float64.
    seconds : float
        How long to measure.
    isa : str, optional

    Returns
    -------
    float
    """
    cdef const fnn_kernels *kernels = kernels_for(dtype, isa)
    cdef double operations, best = 0
    clock = time.perf_counter
    end = clock() + seconds
    while True:
        start = clock()
        with nogil:
            operations = kernels.fma_burst(500)  # some 5 us: short, so that one is undisturbed
        now = clock()
        if now > start:
            best = max(best, operations / (now - start))
        if now >= end:
            return best


def activation_names():
    """Names of all activation kernels."""
    cdef list names = []
    cdef const fnn_activation *row = kernels_for(np.dtype(np.float32)).activations
    while row.name != NULL:
        names.append(row.name.decode())
        row += 1
    return names


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
    cdef unsigned char[::1] a_view = writable_bytes_of(a, z.dtype, (rows, n_units))
    cdef const unsigned char[::1] z_view = bytes_of(z, z.dtype, (rows, n_units))
    kernel.forward(writable_pointer_to(a_view), pointer_to(z_view), rows, n_units)
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
    cdef unsigned char[::1] d_view = writable_bytes_of(result, d.dtype, (n,))
    cdef const unsigned char[::1] a_view = bytes_of(a, d.dtype, (n,))
    cdef const unsigned char[::1] z_view = bytes_of(z, d.dtype, (n,))
    kernel.backward(writable_pointer_to(d_view), pointer_to(a_view), pointer_to(z_view), n)
    return result


def loss_and_derivative(str name, out, targets, double scale, isa=None, *, in_place=False):
    """Sum of a loss over the rows, and `scale` times its derivative by `out`.

    Parameters
    ----------
    name : str
    out : ndarray of shape (rows, n_units), float32 or float64
        The output, or the logits for the cross-entropies.
    targets : ndarray of shape (rows, n_units) like `out`, or of shape (rows,), int32 labels
    scale : float
    isa : str, optional
    in_place : bool
        Whether the kernel is to write where it reads: in a copy of `out`.

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
    cdef unsigned char[::1] d = writable_bytes_of(derivative, out.dtype, (rows, n_units))
    cdef const unsigned char[::1] out_view = bytes_of(out, out.dtype, (rows, n_units))
    cdef const unsigned char[::1] targets_view
    cdef double loss
    if targets.dtype == np.int32:
        targets_view = bytes_of(targets, np.dtype(np.int32), (rows,))
        loss = kernel.labels(writable_pointer_to(d), pointer_to(out_view),
                             <const int32_t *> pointer_to(targets_view), rows, n_units, scale)
    else:
        targets_view = bytes_of(targets, out.dtype, (rows, n_units))
        loss = kernel.targets(writable_pointer_to(d), pointer_to(out_view),
                              pointer_to(targets_view), rows, n_units, scale)
    return loss, derivative


def optimizer_update(str name, parameters, slots, gradient, hyperparameters, uint64_t t,
                     isa=None):
    """One step of an optimiser, in place on `parameters` and `slots`.

    Parameters
    ----------
    name : str
    parameters : ndarray of shape (n,), float32 or float64
    slots : ndarray of shape (n_slots, n), like `parameters`
    gradient : ndarray of shape (n,), like `parameters`
    hyperparameters : sequence of float
        In the order of the optimiser's class, learning rate first.
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
    cdef unsigned char[::1] w = writable_bytes_of(parameters, parameters.dtype, (n,))
    cdef unsigned char[::1] state = writable_bytes_of(slots, parameters.dtype, (n_slots, n))
    cdef const unsigned char[::1] g = bytes_of(gradient, parameters.dtype, (n,))
    cdef double values[FNN_MAX_HYPERPARAMETERS]
    cdef double constants[FNN_MAX_HYPERPARAMETERS]
    cdef void *slot[FNN_MAX_SLOTS]
    cdef size_t n_given = len(hyperparameters), i
    for i in range(<size_t> FNN_MAX_HYPERPARAMETERS):
        values[i] = hyperparameters[i] if i < n_given else 0.0
    for i in range(n_slots):
        slot[i] = writable_pointer_to(state) + i * n * <size_t> parameters.itemsize
    kernel.prepare(constants, values, t)
    return kernel.update(writable_pointer_to(w), slot, pointer_to(g), n, constants) == 0


def gather(data, order, dtype, isa=None):
    """Rows ``data[order]`` converted to `dtype`.

    Parameters
    ----------
    data : ndarray of shape (n_samples, n_features), float32 or float64
    order : ndarray of shape (rows,), int64
    dtype : numpy.dtype
    isa : str, optional

    Returns
    -------
    ndarray of shape (rows, n_features)
    """
    cdef size_t rows = order.shape[0], n_features = data.shape[1]
    cdef const fnn_input *kernel = find_input(kernels_for(dtype, isa), data.dtype)
    batch = np.empty((rows, n_features), dtype)
    cdef unsigned char[::1] batch_view = writable_bytes_of(batch, dtype, (rows, n_features))
    cdef const unsigned char[::1] view = bytes_of(data, data.dtype, data.shape)
    cdef const unsigned char[::1] order_view = bytes_of(order, np.dtype(np.int64), (rows,))
    kernel.gather(writable_pointer_to(batch_view), pointer_to(view),
                  <const int64_t *> pointer_to(order_view), rows, n_features)
    return batch


def sum_rows(d, sums=None, isa=None):
    """Sum over the rows of `d`, added to `sums` where given.

    Parameters
    ----------
    d : ndarray of shape (rows, n_units), float32 or float64
    sums : ndarray of shape (n_units,), like `d`, optional
    isa : str, optional

    Returns
    -------
    ndarray of shape (n_units,)
    """
    cdef size_t rows = d.shape[0], n_units = d.shape[1]
    cdef const fnn_kernels *kernels = kernels_for(d.dtype, isa)
    cdef bint accumulate = sums is not None
    result = sums.copy() if accumulate else np.empty(n_units, d.dtype)
    cdef unsigned char[::1] sums_view = writable_bytes_of(result, d.dtype, (n_units,))
    cdef const unsigned char[::1] view = bytes_of(d, d.dtype, (rows, n_units))
    kernels.sum_rows(writable_pointer_to(sums_view), pointer_to(view), rows, n_units, accumulate)
    return result


def transpose(a, isa=None):
    """The transpose of a matrix, float32 or float64, C-contiguous, as a new one."""
    cdef size_t rows = a.shape[0], columns = a.shape[1]
    cdef const fnn_kernels *kernels = kernels_for(a.dtype, isa)
    b = np.empty((columns, rows), a.dtype)
    cdef unsigned char[::1] b_view = writable_bytes_of(b, a.dtype, (columns, rows))
    cdef const unsigned char[::1] a_view = bytes_of(a, a.dtype, (rows, columns))
    kernels.transpose(writable_pointer_to(b_view), rows, pointer_to(a_view), columns, rows, columns)
    return b


def apply_function(str name, x, isa=None):
    """One of the elementary functions exp, expm1 and log1p.

    Parameters
    ----------
    name : str
    x : ndarray of shape (n,), float32 or float64
        Up to 20 for expm1, in [0, 1] for log1p.
    isa : str, optional

    Returns
    -------
    ndarray like `x`
    """
    cdef size_t n = x.size
    cdef const fnn_function *row = kernels_for(x.dtype, isa).functions
    y = np.empty_like(x)
    cdef unsigned char[::1] y_view = writable_bytes_of(y, x.dtype, (n,))
    cdef const unsigned char[::1] x_view = bytes_of(x, x.dtype, (n,))
    while row.name != NULL:
        if row.name.decode() == name:
            row.apply(writable_pointer_to(y_view), pointer_to(x_view), n)
            return y
        row += 1
    raise LookupError(f"no function {name!r}")

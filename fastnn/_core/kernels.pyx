"""The C kernels: the choice of instruction set, look-ups by name, and the door for arrays.

Every array enters the core through `data_of` or `writable_data_of`, which check that it is what C may
assume: the dtype, native-endian, aligned, C-contiguous and of the expected shape.
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
    const fnn_caches *fnn_find_caches()
    void fnn_set_caches(const fnn_caches *sizes)
    uint64_t fnn_flush_denormals()
    void fnn_set_float_state(uint64_t state)
    void fnn_team_run(fnn_region region, void *context, int n_threads)
    int fnn_team_size(const fnn_team *team)
    size_t fnn_team_next_tile(fnn_team *team, int member, size_t n_tiles)
    int fnn_team_barrier(fnn_team *team, int vote)


cdef uint64_t flush_denormals() noexcept nogil:
    return fnn_flush_denormals()


cdef void set_float_state(uint64_t state) noexcept nogil:
    fnn_set_float_state(state)


cdef void team_run(fnn_region region, void *context, int n_threads) noexcept nogil:
    fnn_team_run(region, context, n_threads)


cdef int team_size(fnn_team *team) noexcept nogil:
    return fnn_team_size(team)


cdef size_t team_next_tile(fnn_team *team, int member, size_t n_tiles) noexcept nogil:
    return fnn_team_next_tile(team, member, n_tiles)


cdef int team_barrier(fnn_team *team, int vote) noexcept nogil:
    return fnn_team_barrier(team, vote)


cdef const fnn_caches *find_caches() noexcept nogil:
    return fnn_find_caches()


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
_INPUT_NAMES = _DTYPE_NAMES | {
    np.dtype(np.float16): b"f16", np.dtype(np.uint8): b"u8", np.dtype(np.int8): b"i8"}
#: What X may be made of.
INPUT_DTYPES = tuple(_INPUT_NAMES)


cdef const fnn_kernels *kernels_for(object dtype, object isa=None) except NULL:
    """The table for arrays of `dtype`; `isa` None is the one in use."""
    if isa is None:
        isa = ISA
    if isa not in supported_isas():
        raise ValueError(f"isa must be one of {', '.join(supported_isas())}, got {isa!r}")
    cdef bytes dtype_name = _DTYPE_NAMES[dtype]
    return fnn_find_kernels(isa.encode(), dtype_name)


# ---- caches ----------------------------------------------------------------------------------

def caches():
    """Bytes of the caches that one core finds: L1 data, L2, and the L3 that it shares.

    They are the machine's, or what the environment variable FASTNN_CACHES said when fastnn was
    imported.
    """
    cdef const fnn_caches *sizes = find_caches()
    return sizes.l1_data, sizes.l2, sizes.l3


def _choose_caches():
    """Asks the machine, unless FASTNN_CACHES names the sizes."""
    forced = os.environ.get("FASTNN_CACHES", "")
    cdef fnn_caches sizes
    if not forced:
        find_caches()
        return
    try:
        l1_data, l2, l3 = [int(size) for size in forced.split(",")]
    except ValueError:  # no integer, or not three
        l1_data = l2 = l3 = 0
    if not 4096 <= l1_data <= l2 <= l3 <= 2**40:
        raise ImportError(
            "FASTNN_CACHES must be the bytes of L1 data, L2 and L3, none smaller than the one "
            f"before, from 4096 to 2**40, such as 32768,1048576,33554432, got {forced!r}"
        )
    sizes.l1_data, sizes.l2, sizes.l3 = l1_data, l2, l3
    fnn_set_caches(&sizes)


_choose_caches()

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
    cdef bytes name = _INPUT_NAMES[dtype]
    cdef const fnn_input *row = kernels.inputs
    while row.dtype != NULL:
        if row.dtype == name:
            return row
        row += 1
    raise LookupError(f"no kernel that reads {dtype}")


cdef const fnn_sparse_input *find_sparse_input(const fnn_kernels *kernels, object dtype,
                                               size_t index_bytes) except NULL:
    cdef bytes name = _DTYPE_NAMES[dtype]
    cdef const fnn_sparse_input *row = kernels.sparse_inputs
    while row.dtype != NULL:
        if row.dtype == name and row.index_bytes == index_bytes:
            return row
        row += 1
    raise LookupError(f"no kernel that reads sparse rows of {dtype}")


cdef int fill_hyperparameters(const fnn_optimizer *optimizer, double *values,
                              dict by_name) except -1:
    """The hyperparameters in the order of the optimiser; `values` has FNN_MAX_HYPERPARAMETERS."""
    cdef size_t n = 0
    cdef list names = []
    while optimizer.hyperparameters[n] != NULL:
        name = optimizer.hyperparameters[n].decode()
        if name not in by_name:
            raise LookupError(f"the optimizer {optimizer.name.decode()!r} needs {name}")
        values[n] = by_name[name]
        names.append(name)
        n += 1
    for name in by_name:
        if name not in names:
            raise LookupError(f"the optimizer {optimizer.name.decode()!r} has no {name}")
    return 0


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


# ---- single kernels that the library calls -----------------------------------------------------

def all_finite(array, dtype, isa=None):
    """Whether all numbers of an array are finite once converted to `dtype`.

    Parameters
    ----------
    array : ndarray of a dtype of INPUT_DTYPES, aligned, C-contiguous, any shape
    dtype : numpy.dtype
        float32 or float64.
    isa : str, optional

    Returns
    -------
    bool
    """
    cdef const fnn_input *kernel = find_input(kernels_for(dtype, isa), array.dtype)
    cdef const char *data = data_of(array, array.dtype, array.shape)
    cdef size_t size = array.size
    cdef bint result
    with nogil:
        result = kernel.all_finite(data, size)
    return result


def average(average, x, double keep, isa=None):
    """``average = keep average + (1 - keep) x``, in place.

    Parameters
    ----------
    average, x : ndarray of shape (n,), float32 or float64
    keep : float
    isa : str, optional
    """
    cdef const fnn_kernels *kernels = kernels_for(average.dtype, isa)
    cdef char *data = writable_data_of(average, average.dtype, x.shape)
    cdef const char *from_ = data_of(x, average.dtype, average.shape)
    cdef size_t n = x.size
    with nogil:
        kernels.average(data, from_, n, keep)


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

"""Predictions of a few rows of a small network, where a call costs about as much as the arithmetic."""
import numpy as np

cimport cython
cimport numpy as cnp

from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from fastnn._core.access cimport Access, claim, release
from fastnn._core.geometry cimport (
    Geometry,
    LayerPass,
    Pass,
    Rows,
    bind_parameters,
    in_panels,
    one_panel,
)
from fastnn._core.inference cimport ALL_FINITE, infer_tile
from fastnn._core.kernels cimport flush_denormals, set_float_state
from fastnn._core.plan cimport Plan, forward_scratch

from fastnn._core.inference import NotFiniteError, refuse

cnp.import_array()

# Above this a team may be worth while: such work goes through `infer`.
cdef double FEW_ROWS_FLOPS = 3e6
# With more work than this, about a microsecond, other Python threads may run meanwhile.
cdef double GIL_FLOPS = 5e4
# Buffers stay below this, so that no product of sizes wraps.
cdef size_t MAX_BYTES = <size_t> 1 << 62


cdef bint is_plain(object array, int type_number) noexcept:
    """Whether an object is an array that the kernels can read as it is."""
    return (cnp.PyArray_CheckExact(array)
            and cnp.PyArray_TYPE(<cnp.ndarray> array) == type_number
            and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray> array))


cdef int type_number_of(Plan plan) noexcept:
    return cnp.NPY_FLOAT32 if plan.geometry.itemsize == 4 else cnp.NPY_FLOAT64


cdef size_t memory_bytes(Plan plan, size_t rows) noexcept:
    """What `prepare_pass` needs: scratch of the products, the layers, and three buffers of the
    widest layer."""
    cdef Geometry *g = &plan.inference
    return (63 + forward_scratch(&plan.inference, rows) + g.n_layers * sizeof(LayerPass)
            + 3 * rows * g.widest * g.itemsize)


cdef void prepare_pass(Plan plan, parameters, running, size_t rows, char *memory, Pass *net,
                       Rows *all_rows) noexcept:
    """All of a pass but its input and output: the layers write in turn into two buffers, the first
    layer's z into one of its own. So X is read before the output is written: they may overlap."""
    cdef Geometry *g = &plan.inference
    cdef size_t scratch_bytes = forward_scratch(&plan.inference, rows)
    cdef size_t buffer_bytes = rows * g.widest * g.itemsize, l
    cdef char *buffers
    memory += (64 - <size_t> memory % 64) % 64
    all_rows.first = 0
    all_rows.sample = 0
    all_rows.gathered = False
    all_rows.step = 0
    all_rows.n = rows
    all_rows.scratch = memory
    net.geometry = g
    net.gemm = plan.gemm
    net.parameters = <char *> cnp.PyArray_DATA(parameters)
    net.running = <char *> cnp.PyArray_DATA(running)
    net.layers = <LayerPass *> (memory + scratch_bytes)
    buffers = <char *> (net.layers + g.n_layers)
    for l in range(g.n_layers):
        net.layers[l].a = in_panels(g.kernels, buffers + l % 2 * buffer_bytes, rows,
                                    g.layers[l].n_out)
        net.layers[l].z = net.layers[l].a
    net.layers[g.n_layers - 1].a = one_panel(NULL, g.n_outputs)  # the users' arrays
    net.layers[g.n_layers - 1].z = net.layers[g.n_layers - 1].a
    bind_parameters(net, False)
    net.layers[0].z.data = buffers + 2 * buffer_bytes
    net.batch.input = plan.own_input
    net.batch.own_input = plan.own_input
    net.batch.order = NULL
    net.batch.gathered_X.data = NULL
    net.batch.gathered_targets = NULL
    net.batch.sparse_batch = NULL


cdef int run_rows(Pass *net, const Rows *rows, Access access, const char *X, char *output,
                  double flops, int *busy, char *input_copy, size_t input_bytes) except -1:
    """All layers for a few rows, on this thread; what is not finite. `busy`: while the pass is used.
    X is copied to `input_copy` first, where that is not NULL."""
    cdef LayerPass *last = &net.layers[net.geometry.n_layers - 1]
    cdef uint64_t state
    cdef int status
    access.start_reading()  # signal handlers may run in here, and call the same predictor
    if not claim(busy):
        access.stop_reading()
        raise RuntimeError("this predictor is being called by another thread: make one for each")
    if input_copy != NULL:
        memcpy(input_copy, X, input_bytes)
        X = input_copy
    net.batch.X = X
    last.a.data = output
    if last != net.layers:
        last.z.data = output
    state = flush_denormals()
    if flops < GIL_FLOPS:
        status = infer_tile(net, rows)
    else:
        with nogil:
            status = infer_tile(net, rows)
    set_float_state(state)
    release(busy)
    access.stop_reading()
    return status


def predict_rows(Plan plan, Access access, parameters, running, X):
    """The output for a few rows that need no conversion; None for all others.

    Parameters
    ----------
    plan : Plan
    access : Access
    parameters : ndarray of shape (n_parameters,), of the plan's dtype
    running : ndarray of shape (n_running,), of the plan's dtype
    X : object

    Returns
    -------
    ndarray of shape (n_samples, n_outputs), or None

    Raises
    ------
    NotFiniteError
        As `infer`.
    """
    cdef Geometry *g = &plan.inference
    cdef char stack[8192]
    cdef char *memory = stack
    cdef double flops
    cdef cnp.npy_intp shape[2]
    cdef cnp.npy_intp rows, n_bytes
    cdef Pass net
    cdef Rows all_rows
    cdef int busy = 0, status
    if plan.gemm == NULL or not is_plain(X, type_number_of(plan)) or cnp.PyArray_NDIM(X) != 2:
        return None
    rows = cnp.PyArray_DIM(X, 0)
    flops = plan.flops_a_row * rows
    if (<size_t> cnp.PyArray_DIM(X, 1) != g.n_features or rows == 0 or flops > FEW_ROWS_FLOPS):
        return None
    n_bytes = memory_bytes(plan, rows)
    if <size_t> n_bytes > sizeof(stack):
        array = cnp.PyArray_EMPTY(1, &n_bytes, cnp.NPY_UINT8, 0)
        memory = <char *> cnp.PyArray_DATA(array)
    shape[0] = rows
    shape[1] = <cnp.npy_intp> g.n_outputs
    output = cnp.PyArray_EMPTY(2, shape, type_number_of(plan), 0)
    prepare_pass(plan, parameters, running, rows, memory, &net, &all_rows)
    status = run_rows(&net, &all_rows, access, <const char *> cnp.PyArray_DATA(X),
                      <char *> cnp.PyArray_DATA(output), flops, &busy, NULL, 0)
    if status != ALL_FINITE:
        refuse(status, output, 0, rows)
    return output


cdef class Predictor:
    """A network bound to buffers of its own, for answers in a microsecond.

    Made by `Network.predictor`. A call computes the output activations for one input size, without
    allocating anything.

    One predictor must not be called by two threads at the same time: make one for each. It follows
    changes of the network's parameters. ``copy.copy`` gives another predictor of the same network.
    """

    cdef Plan plan
    cdef Access access
    cdef object parameters
    cdef object running
    cdef object explain
    cdef object scratch
    cdef cnp.ndarray input_copy  # of an X that the output overlaps
    cdef object result  # (rows, n_outputs): what a call without `out` gives
    cdef object row_result  # the same as (n_outputs,), for one row
    cdef char *data  # of `result`
    cdef Pass net
    cdef Rows all_rows
    cdef int busy
    cdef size_t rows
    cdef size_t input_bytes
    cdef size_t output_bytes
    cdef double flops
    cdef int type_number

    def __cinit__(self, Plan plan not None, Access access not None, parameters, running,
                  size_t rows, explain):
        cdef Geometry *g = &plan.inference
        if rows > MAX_BYTES // (4 * g.itemsize * max(g.widest, g.n_features)):
            raise MemoryError(f"no memory for a predictor of {rows} rows")
        self.plan = plan
        self.access = access
        self.parameters = parameters
        self.running = running
        self.explain = explain
        self.rows = rows
        self.input_bytes = rows * g.n_features * g.itemsize
        self.output_bytes = rows * g.n_outputs * g.itemsize
        self.flops = plan.flops_a_row * rows
        self.type_number = type_number_of(plan)
        self.scratch = np.empty(memory_bytes(plan, rows), np.uint8)
        self.input_copy = np.empty((rows, g.n_features), plan.dtype)
        # What users get is memory that nobody can resize, and apart from the scratch
        self.row_result = np.frombuffer(bytearray(self.output_bytes), plan.dtype)
        self.result = self.row_result.reshape(rows, g.n_outputs)
        self.data = <char *> cnp.PyArray_DATA(self.result)
        plan.prepare_gemm()
        prepare_pass(plan, parameters, running, rows, <char *> cnp.PyArray_DATA(self.scratch), &self.net,
                     &self.all_rows)

    @cython.binding(False)  # so that its self is checked
    def __copy__(self):
        return Predictor(self.plan, self.access, self.parameters, self.running, self.rows,
                         self.explain)

    def __deepcopy__(self, memo):
        raise TypeError("a predictor is bound to its network: copy that, and call predictor()")

    def __reduce__(self):
        raise TypeError("a predictor is bound to its network: pickle that, and call predictor()")

    def __call__(self, X, out=None):
        """The output activations.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_features), or (n_features,) for a predictor of one row
            C-contiguous, aligned, of the network's dtype.
        out : ndarray of shape (n_rows, n_outputs), or (n_outputs,) where X has one dimension
            C-contiguous, aligned, of the network's dtype. Receives the result, and is returned. It
            may be X, or overlap it.

        Returns
        -------
        ndarray of shape (n_rows, n_outputs), or (n_outputs,) where X has one dimension
            Without `out` it is the same array at every call: the next call overwrites it.

        Raises
        ------
        TypeError, ValueError
            If an argument is not such an array, X has NaN or infinity, or the output has NaN.

        Examples
        --------
        >>> import numpy as np
        >>> from fastnn import Network
        >>> predict = Network.from_sizes([2, 3, 2], "tanh", "linear", seed=0).predictor()
        >>> first = predict(np.zeros(2, np.float32))
        >>> second = predict(np.ones(2, np.float32))  # overwrites `first`
        >>> first is second
        True
        >>> kept = predict(np.ones(2, np.float32)).copy()
        """
        cdef Geometry *g = &self.plan.geometry
        cdef const char *x
        cdef char *data = self.data
        cdef char *input_copy = NULL
        cdef int ndim, status
        if not is_plain(X, self.type_number):
            self.refuse_array(X, "X")
        ndim = cnp.PyArray_NDIM(<cnp.ndarray> X)
        if not (ndim == 2 and <size_t> cnp.PyArray_DIM(<cnp.ndarray> X, 0) == self.rows
                and <size_t> cnp.PyArray_DIM(<cnp.ndarray> X, 1) == g.n_features
                or ndim == 1 and self.rows == 1
                and <size_t> cnp.PyArray_DIM(<cnp.ndarray> X, 0) == g.n_features):
            self.refuse_shape(X, "X", g.n_features)
        if out is None:
            out = self.row_result if ndim == 1 else self.result
        else:
            self.check_out(out, ndim)
            data = <char *> cnp.PyArray_DATA(<cnp.ndarray> out)
        x = <const char *> cnp.PyArray_DATA(<cnp.ndarray> X)
        if x < data + self.output_bytes and data < x + self.input_bytes:
            X = self.input_copy  # where it is not finite, it must still be there to be named
            input_copy = <char *> cnp.PyArray_DATA(self.input_copy)
        status = run_rows(&self.net, &self.all_rows, self.access, x, data, self.flops, &self.busy,
                          input_copy, self.input_bytes)
        if status != ALL_FINITE:
            self.explain_not_finite(status, X, out)
        return out

    cdef int check_out(self, out, int ndim) except -1:
        cdef Geometry *g = &self.plan.geometry
        cdef char *parameters = <char *> cnp.PyArray_DATA(self.parameters)
        cdef char *data
        if not is_plain(out, self.type_number):
            self.refuse_array(out, "out")
        if not cnp.PyArray_ISWRITEABLE(<cnp.ndarray> out):
            raise TypeError("out must be writable, got a read-only array")
        if not (cnp.PyArray_NDIM(<cnp.ndarray> out) == ndim
                and <size_t> cnp.PyArray_DIM(<cnp.ndarray> out, ndim - 1) == g.n_outputs
                and (ndim == 1 or <size_t> cnp.PyArray_DIM(<cnp.ndarray> out, 0) == self.rows)):
            self.refuse_shape(out, "out", g.n_outputs, ndim)
        data = <char *> cnp.PyArray_DATA(<cnp.ndarray> out)
        if (data < parameters + g.n_parameters * g.itemsize
                and parameters < data + self.output_bytes):
            raise ValueError("out must not be a part of the network's parameters")
        return 0

    cdef int refuse_array(self, array, str name) except -1:
        """Says what is wrong with an array, and the cheap remedy."""
        if name == "out":
            raise TypeError(
                f"out must be a C-contiguous, aligned ndarray of {self.plan.dtype}, got "
                f"{getattr(array, 'dtype', type(array).__name__)}; numpy.empty(({self.rows}, "
                f"{self.plan.geometry.n_outputs}), numpy.{self.plan.dtype}) makes one"
            )
        if not isinstance(array, np.ndarray):
            remedy = f"numpy.asarray({name}, numpy.{self.plan.dtype}) makes one"
            if hasattr(array, "toarray"):
                remedy = "Network.predict_proba takes a sparse one"
            raise TypeError(
                f"{name} must be an ndarray of {self.plan.dtype}, got {type(array).__name__}; "
                f"{remedy}"
            )
        if array.dtype != self.plan.dtype or not array.dtype.isnative:
            raise TypeError(
                f"{name} must be an array of {self.plan.dtype}, got {array.dtype}; "
                f"{name}.astype(numpy.{self.plan.dtype}) converts it, and Network.predict_proba "
                f"takes it as it is"
            )
        if not array.flags.c_contiguous or not array.flags.aligned:
            raise TypeError(
                f"{name} must be C-contiguous and aligned, got strides {array.strides} for shape "
                f"{array.shape}; numpy.ascontiguousarray({name}) makes it so"
            )
        raise TypeError(
            f"{name} must be a plain ndarray, got the subclass {type(array).__name__}; "
            f"numpy.asarray({name}) is one"
        )

    cdef int refuse_shape(self, array, str name, size_t n_columns, int ndim=0) except -1:
        expected = f"({self.rows}, {n_columns})"
        if self.rows == 1 and ndim == 0:
            expected += f" or ({n_columns},)"
        elif ndim == 1:
            expected = f"({n_columns},), as X has one dimension"
        raise ValueError(f"{name} must be of shape {expected}, got shape {array.shape}")

    cdef int explain_not_finite(self, int status, X, out) except -1:
        try:
            refuse(status, out.reshape(self.rows, -1), 0, self.rows)
        except NotFiniteError as error:
            self.explain(error, X)
            raise
        return 0

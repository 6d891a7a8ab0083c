from fastnn._core.exchange cimport Exchange
from fastnn._core.geometry cimport Matrix
from fastnn._core.plan cimport Plan
from fastnn._core.regularization cimport Regularization, Rules
from fastnn._core.signals cimport UserCode
from fastnn._core.state cimport Progress
from fastnn._core.step cimport Run


cdef size_t numbers_in(X, subset) except? 0


cdef class Workspace:
    cdef Run run
    cdef Progress own_progress
    cdef Plan plan
    cdef Regularization regularization
    cdef size_t first_trainable  # the lowest layer that is trained
    cdef list held  # arrays that `run` points into
    cdef list buffers  # of these, what the pool gets back
    cdef int n_threads
    cdef bint along_samples  # what has samples for rows is in single columns
    cdef readonly object losses  # (n_epochs,) float64: the mean loss of each finished epoch
    cdef readonly object accuracies  # (n_epochs,) the same, of right predictions, if counted
    cdef object order  # (n_samples,) int64, or None
    cdef object sparse_samples  # whose arrays the batch points into, or None
    cdef size_t n_entries  # of a mini-batch of these: what there is room for
    cdef object gradient  # (n_parameters,), or None: not stored
    cdef UserCode user_code
    cdef Exchange exchange  # with others, or None

    cdef int hold_batch(self, X, targets, bint shuffled, weights, smoothing, subset) except -1
    cdef int hold_subset(self, subset, weights) except -1
    cdef int make_sparse_batch(self, X, subset, bint ordered) except -1
    cdef int make_room(self, size_t n) except -1
    cdef int hold_sparse_block(self, X) except -1
    cdef int cut_stages(self, bint catches_up) except -1
    cdef int count_hits(self) except -1
    cdef int make_layers(self, size_t rows) except -1
    cdef int make_weights(self, size_t i, size_t rows) except -1
    cdef int hold_rules(self, Rules rules) except -1
    cdef int make_gradient(self, gradient, size_t n_slabs, double flops) except -1
    cdef int hold_exchange(self) except -1
    cdef object measured(self, size_t layer, size_t first, size_t n)
    cdef size_t tile_gradient_bytes(self)
    cdef const char *hold(self, array, dtype, tuple shape) except? NULL
    cdef char *hold_writable(self, array, dtype, tuple shape) except? NULL
    cdef object array(self, tuple shape, dtype)
    cdef double *zeros(self, size_t n) except NULL
    cdef char *scratch(self, size_t n, size_t itemsize) except NULL
    cdef Matrix matrix(self, size_t rows, size_t n_units) except *
    cdef Matrix samples(self, size_t rows, size_t n_units) except *
    cdef char *numbers(self, size_t rows, size_t n_units) except NULL
    cdef int execute(self, bint only_gradient) except -1

# The C header, translated: what each of these means and may assume is written in csrc/fastnn.h.
# A function pointer in a struct needs its own `noexcept nogil`.
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

cdef extern from "fastnn.h" nogil:
    ctypedef struct fnn_matrix:
        void *data
        size_t first_row
        size_t columns
        size_t width
        size_t panel

    ctypedef struct fnn_activation:
        const char *name
        int needs_z
        void (*forward)(void *a, const void *z, size_t rows, size_t n_units) noexcept nogil
        void (*backward)(void *d, const void *a, const void *z, size_t n) noexcept nogil

    ctypedef struct fnn_function:
        const char *name
        void (*apply)(void *y, const void *x, size_t n) noexcept nogil

    ctypedef struct fnn_loss:
        const char *name
        int from_logits
        int by_level
        size_t n_parameters
        double (*targets)(void *d, const void *out, const void *targets, const void *weights,
                          size_t rows, size_t n_units, double scale,
                          const double *parameters) noexcept nogil
        double (*labels)(void *d, const void *out, const int32_t *labels, const void *weights,
                         size_t rows, size_t n_units, double scale, const double *parameters,
                         double *hits) noexcept nogil

    ctypedef double (*fnn_hits)(const void *out, const void *targets, const void *weights,
                                size_t rows, size_t n_units, double threshold) noexcept nogil

    enum:
        FNN_MAX_HYPERPARAMETERS
        FNN_MAX_CONSTANTS
        FNN_MAX_SLOTS

    ctypedef struct fnn_optimizer:
        const char *name
        const char *const *hyperparameters
        size_t n_slots
        void (*prepare)(void *constants, const double *hyperparameters, double learning_rate,
                        uint64_t t) noexcept nogil
        int (*update)(void *parameters, void *const *slots, const void *gradient, size_t n,
                      const void *constants) noexcept nogil
        int (*idle)(void *parameters, void *const *slots, size_t n, const double *constants,
                    size_t n_steps) noexcept nogil
        int (*prepare_at_once)(double *at_once, const double *constants,
                               size_t n_steps) noexcept nogil
        int (*idle_at_once)(void *parameters, void *const *slots, size_t n,
                            const double *of_steps) noexcept nogil

    ctypedef struct fnn_rescaling:
        double scale
        double offset

    ctypedef struct fnn_input:
        const char *dtype
        size_t itemsize
        void (*gather)(const fnn_matrix *batch, const void *data, size_t row_elements,
                       const int64_t *order, size_t rows, size_t n_features,
                       const fnn_rescaling *rescaling) noexcept nogil
        int (*all_finite)(const void *data, size_t n) noexcept nogil

    ctypedef struct fnn_sparse:
        const void *values
        const void *columns
        const int64_t *starts
        size_t n_features

    ctypedef struct fnn_entries:
        uint32_t *rows
        uint32_t *columns
        void *values
        uint32_t *as_read

    ctypedef struct fnn_sparse_input:
        const char *dtype
        size_t index_bytes
        void (*product)(const fnn_matrix *z, const fnn_sparse *x, const int64_t *order,
                        size_t rows, size_t n_units, const void *weights, size_t row,
                        const void *bias) noexcept nogil
        void (*sort)(const fnn_entries *to, const fnn_sparse *x, const int64_t *order,
                     size_t rows, size_t first_row, int shift, size_t n_groups,
                     uint32_t *ends) noexcept nogil

    enum:
        FNN_NARROW_COLUMNS
        FNN_FEW_COLUMNS
        FNN_FAR_APART

    ctypedef struct fnn_ahead:
        size_t n_matrices
        const void **matrices
        size_t row

    ctypedef void (*fnn_gemm)(int transpose_a, size_t m, size_t n, size_t k,
                              const fnn_matrix *a, const fnn_matrix *b, const void *bias,
                              int accumulate, const fnn_matrix *c,
                              const fnn_ahead *ahead, void *scratch) noexcept nogil

    ctypedef struct fnn_noise:
        uint64_t key
        uint64_t step
        uint64_t sample
        uint64_t unit

    ctypedef struct fnn_layers:
        void (*dropout_forward)(const fnn_matrix *a, const fnn_matrix *z, const fnn_matrix *x,
                                size_t rows, size_t n_units, const fnn_noise *noise,
                                double rate) noexcept nogil
        void (*multiply)(const fnn_matrix *d, const fnn_matrix *z, size_t rows,
                         size_t n_units) noexcept nogil
        void (*gaussian_noise_forward)(const fnn_matrix *a, const fnn_matrix *x, size_t rows,
                                       size_t n_units, const fnn_noise *noise,
                                       double scale) noexcept nogil
        void (*batch_norm_forward)(const fnn_matrix *a, const fnn_matrix *z, void *mean,
                                   void *variance, const fnn_matrix *x, const void *scale,
                                   const void *shift, size_t rows, size_t n_units,
                                   double epsilon) noexcept nogil
        void (*batch_norm_infer)(const fnn_matrix *a, const fnn_matrix *x, const void *mean,
                                 const void *variance, const void *scale, const void *shift,
                                 size_t rows, size_t n_units, double epsilon) noexcept nogil
        void (*batch_norm_backward)(const fnn_matrix *dx, const fnn_matrix *d, const fnn_matrix *z,
                                    const void *variance, const void *scale, size_t rows,
                                    size_t n_units, double epsilon) noexcept nogil
        void (*batch_norm_centre)(const fnn_matrix *z, const fnn_matrix *x, const void *mean,
                                  size_t rows, size_t n_units) noexcept nogil
        void (*batch_norm_normalise)(const fnn_matrix *a, const fnn_matrix *z,
                                     const void *variance, const void *scale, const void *shift,
                                     size_t rows, size_t n_units, double epsilon) noexcept nogil
        void (*batch_norm_turn_back)(const fnn_matrix *dx, const fnn_matrix *d, const fnn_matrix *z,
                                     const void *mean, const void *mean_z, const void *variance,
                                     const void *scale, size_t rows, size_t n_units,
                                     double epsilon) noexcept nogil
        int (*batch_norm_track)(void *mean, void *variance, const void *measured_mean,
                                const void *measured_variance, size_t rows, size_t n_units,
                                double momentum) noexcept nogil
        void (*layer_norm_forward)(const fnn_matrix *a, const fnn_matrix *z, void *inverse,
                                   const fnn_matrix *x, const void *scale, const void *shift,
                                   size_t rows, size_t n_units, double epsilon) noexcept nogil
        void (*layer_norm_backward)(const fnn_matrix *dx, const fnn_matrix *d, const fnn_matrix *z,
                                    const void *inverse, const void *scale, size_t rows,
                                    size_t n_units) noexcept nogil
        void (*prelu_forward)(const fnn_matrix *a, const fnn_matrix *z, const fnn_matrix *x,
                              const void *alpha, size_t rows, size_t n_units) noexcept nogil
        void (*prelu_infer)(const fnn_matrix *a, const fnn_matrix *x, const void *alpha,
                            size_t rows, size_t n_units) noexcept nogil
        void (*prelu_backward)(const fnn_matrix *dx, const fnn_matrix *d, const fnn_matrix *x,
                               const void *alpha, size_t rows, size_t n_units) noexcept nogil

    ctypedef struct fnn_kernels:
        const char *isa
        const char *dtype
        size_t itemsize
        const fnn_activation *activations
        const fnn_function *functions
        const fnn_loss *losses
        const fnn_optimizer *optimizers
        const fnn_input *inputs
        const fnn_sparse_input *sparse_inputs
        void (*sparse_gradient)(void *dweights, size_t row, const fnn_matrix *d,
                                const fnn_entries *entries, size_t first, size_t end,
                                size_t first_column, size_t n_units) noexcept nogil
        void (*label_rows)(void *targets, const int32_t *labels, const int64_t *order, size_t rows,
                           size_t n_units, double on, double off) noexcept nogil
        void (*smooth)(void *targets, size_t n, double share, double offset) noexcept nogil
        size_t panel_width
        size_t single_panel_width
        fnn_gemm gemm
        size_t (*gemm_scratch)(int transpose_a, size_t m, size_t n, size_t k) noexcept nogil
        void (*fill_rows)(void *c, size_t ldc, const void *bias, size_t rows,
                          size_t n_units) noexcept nogil
        void (*copy)(void *b, size_t ldb, const void *a, size_t lda, size_t rows,
                     size_t columns) noexcept nogil
        void (*transpose)(void *b, size_t ldb, const void *a, size_t lda, size_t rows,
                          size_t columns) noexcept nogil
        void (*sum_rows)(void *sums, const fnn_matrix *d, const fnn_matrix *times, size_t rows,
                         size_t n_units, int accumulate) noexcept nogil
        const fnn_layers *layers
        double (*penalize)(void *g, size_t ldg, const void *w, size_t ldw, size_t rows,
                           size_t columns, double l1, double l2, double scale) noexcept nogil
        double (*sum_of_squares)(const void *x, size_t ldx, size_t rows,
                                 size_t columns) noexcept nogil
        void (*clip)(void *x, size_t ldx, size_t rows, size_t columns,
                     double limit) noexcept nogil
        void (*scale)(void *x, size_t ldx, size_t rows, size_t columns,
                      double factor) noexcept nogil
        int (*limit_norms)(void *w, size_t ldw, size_t rows, size_t columns,
                           double limit) noexcept nogil
        void (*average)(void *average, const void *x, size_t n, double keep) noexcept nogil
        fnn_hits hits_of_rows
        fnn_hits hits_of_units
        double (*fma_burst)(size_t repeats) noexcept nogil

    ctypedef struct fnn_caches:
        size_t l1_data
        size_t l2
        size_t l3

    ctypedef struct fnn_team:
        pass
    ctypedef void (*fnn_region)(void *context, fnn_team *team, int member) noexcept nogil

# The C code is linked into this module alone; the others call it through these.
cdef uint64_t flush_denormals() noexcept nogil
cdef void set_float_state(uint64_t state) noexcept nogil
cdef void team_run(fnn_region region, void *context, int n_threads) noexcept nogil
cdef int team_size(fnn_team *team) noexcept nogil
cdef size_t team_next_tile(fnn_team *team, int member, size_t n_tiles) noexcept nogil
cdef int team_barrier(fnn_team *team, int vote) noexcept nogil
cdef const fnn_caches *find_caches() noexcept nogil

cdef const fnn_kernels *kernels_for(object dtype, object isa=*) except NULL
cdef const fnn_activation *find_activation(const fnn_kernels *kernels, str name) except NULL
cdef const fnn_loss *find_loss(const fnn_kernels *kernels, str name) except NULL
cdef const fnn_optimizer *find_optimizer(const fnn_kernels *kernels, str name) except NULL
cdef const fnn_input *find_input(const fnn_kernels *kernels, object dtype) except NULL
cdef const fnn_sparse_input *find_sparse_input(const fnn_kernels *kernels, object dtype,
                                               size_t index_bytes) except NULL
cdef int fill_hyperparameters(const fnn_optimizer *optimizer, double *values,
                              dict by_name) except -1

cdef const char *data_of(object array, object dtype, tuple shape) except? NULL
cdef char *writable_data_of(object array, object dtype, tuple shape) except? NULL

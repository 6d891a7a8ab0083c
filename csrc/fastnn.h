/* The contract between the kernels (C) and the core (Cython).
 *
 * Conventions
 *   - Matrices are C-ordered, rows are samples. `weights` is (n_in, n_out), `bias` is (n_out,).
 *   - Outputs come first, then inputs, then sizes. Sizes are size_t and count elements, not bytes.
 *   - A kernel reads and writes nothing outside what it is given, keeps no state, cannot fail,
 *     and does nothing when a size is 0. Pointers need the alignment of their element only.
 *   - Arguments never overlap unless the comment of the member says that they may.
 *   - `void *` stands for the element type of the table (float in an "f32" table, double in an
 *     "f64" table), so that plans and loops are written once for every element type.
 *   - NaN and infinity are as IEEE 754 says, and: No activation turns NaN into a number; a derivative
 *     at NaN may be one. An activation of an infinity is its limit, and so is its derivative. Softmax
 *     is 1 where the only +inf of a row is, and 0 elsewhere in it; a row of which the limit is not
 *     defined (several +inf, or nothing but -inf), or with NaN, is NaN from end to end. The loss of a
 *     NaN is NaN. The loss of an infinity is infinite or NaN, with two exceptions: a logit of -inf that
 *     is not the label counts as its limit, 0, and a softmax of a single unit may lose 0.
 */
#ifndef FASTNN_H
#define FASTNN_H

#include <stddef.h>
#include <stdint.h>

/* ---- matrices ------------------------------------------------------------------------------- */

/* A matrix in column panels: each of `width` columns, (rows, width) without gaps; the last one is
 * narrower where that does not divide the columns. So all that a product reads lies close together,
 * however wide the matrix is. A C-ordered array is one panel, and so is a part of its columns. Panels
 * of one column are what training keeps of narrow networks: vectors lie along the samples then. */
typedef struct fnn_matrix {
    void *data;
    size_t first_row; /* rows of memory before the matrix's own first one */
    size_t columns; /* from `data` on: the last panel has what is left */
    size_t width;
    size_t panel; /* elements from one panel to the next */
} fnn_matrix;

/* ---- activations --------------------------------------------------------------------------- */

typedef struct fnn_activation {
    const char *name; /* NULL ends a list */
    /* The derivative cannot be computed from the output alone: keep z, the pre-activations. */
    int needs_z;
    /* a (rows, n_units) = f(z (rows, n_units)); a may be `z` itself. */
    void (*forward)(void *a, const void *z, size_t rows, size_t n_units);
    /* d (n,) holds the loss's derivative by the output and becomes the one by z.
     * a (n,) is the output, z (n,) the pre-activations (read only if needs_z).
     * NULL: this activation is only used with a loss that starts from the logits. */
    void (*backward)(void *d, const void *a, const void *z, size_t n);
} fnn_activation;

/* ---- elementary functions ------------------------------------------------------------------- */

/* What activations and losses are made of, by name: "exp", "expm1" (for x up to 20), "log" (for
 * finite x >= 1) and "log1p" (for x in [0, 1]), so that their accuracy can be measured. y (n,) = f(x (n,)). */
typedef struct fnn_function {
    const char *name; /* NULL ends a list */
    void (*apply)(void *y, const void *x, size_t n);
} fnn_function;

/* ---- losses -------------------------------------------------------------------------------- */

/* Returns the sum over rows of the loss of each sample times its weight, and writes into d (rows, n_units)
 * `scale` times the weights times the derivative by `out` (rows, n_units): by the output, or by the logits
 * (from_logits). d may be `out` itself. weights: (rows,) of the table's element type; NULL: all are 1. */
typedef struct fnn_loss {
    const char *name; /* NULL ends a list */
    int from_logits;
    int by_level; /* one target a sample for all units, and one parameter a unit */
    size_t n_parameters; /* else */
    /* targets: (rows, n_units) of the table's element type; (rows,) by level. */
    double (*targets)(void *d, const void *out, const void *targets, const void *weights, size_t rows,
                      size_t n_units, double scale, const double *parameters);
    /* labels: (rows,), each in [0, n_units). NULL where the loss wants labels as one-hot rows, or none.
     * hits: unless NULL, receives what `fnn_hits` returns, of the probabilities. */
    double (*labels)(void *d, const void *out, const int32_t *labels, const void *weights, size_t rows,
                     size_t n_units, double scale, const double *parameters, double *hits);
} fnn_loss;

/* ---- right predictions ----------------------------------------------------------------------- */

/* Returns how many of the rows of out (rows, n_units) are right, each counted by its weight: weights
 * (rows,) of the table's element type; NULL: each is 1. */
typedef double (*fnn_hits)(const void *out, const void *targets, const void *weights, size_t rows,
                           size_t n_units, double threshold);

/* ---- optimisers ---------------------------------------------------------------------------- */

/* What any optimiser has at most; of hyperparameters and constants, in doubles. */
enum { FNN_MAX_HYPERPARAMETERS = 16, FNN_MAX_CONSTANTS = 16, FNN_MAX_SLOTS = 4 };

typedef struct fnn_optimizer {
    const char *name; /* NULL ends a list */
    const char *const *hyperparameters; /* their names, NULL at the end */
    size_t n_slots;
    /* What is the same for all parameters of step t (counted from 1), at its learning rate: once a
     * step. The constants are the optimiser's own matter, in memory of FNN_MAX_CONSTANTS doubles. */
    void (*prepare)(void *constants, const double *hyperparameters, double learning_rate,
                    uint64_t t);
    /* Updates parameters (n,) and each of the slots (n,) with gradient (n,).
     * Returns 0 if all that was written is finite, else 1. */
    int (*update)(void *parameters, void *const *slots, const void *gradient, size_t n,
                  const void *constants);
    /* What n_steps updates with a gradient of 0 do, to the bit; constants (n_steps, FNN_MAX_CONSTANTS) are
     * those of each. NULL: nothing. Returns as `update`. */
    int (*idle)(void *parameters, void *const *slots, size_t n, const double *constants,
                size_t n_steps);
    /* The same at once, to rounding: NULL where there is no formula. What all parameters need that have
     * missed the steps from the i-th on goes into row i of at_once (n_steps, FNN_MAX_CONSTANTS); 0 if the
     * formula is no good for these steps, else 1. */
    int (*prepare_at_once)(double *at_once, const double *constants, size_t n_steps);
    int (*idle_at_once)(void *parameters, void *const *slots, size_t n, const double *of_steps);
} fnn_optimizer;

/* ---- what comes in ------------------------------------------------------------------------- */

/* What stands for x: scale x + offset. */
typedef struct fnn_rescaling {
    double scale, offset;
} fnn_rescaling;

/* Kernels that read a user's array, one set for each element type it may have. */
typedef struct fnn_input {
    const char *dtype; /* "f16", "f32", "f64", "u8", "i8"; NULL ends a list */
    size_t itemsize;
    /* batch (rows, n_features) = data[order[i]] for each row i, converted, then rescaled (NULL: not);
     * order NULL: the first `rows` rows of data, whose rows are `row_elements` apart. */
    void (*gather)(const fnn_matrix *batch, const void *data, size_t row_elements,
                   const int64_t *order, size_t rows, size_t n_features,
                   const fnn_rescaling *rescaling);
    /* 1 if all of data (n,) is finite once converted to the table's element type, else 0. */
    int (*all_finite)(const void *data, size_t n);
} fnn_input;

/* ---- sparse samples --------------------------------------------------------------------------- */

/* Rows as a user gave them: the entries of row i are those in [starts[i], starts[i + 1]), in any order.
 * Several in one column add up. An index that is not below n_features stands for an entry of 0 in column 0:
 * another thread may have written it since it was checked. */
typedef struct fnn_sparse {
    const void *values;
    const void *columns;
    const int64_t *starts;
    size_t n_features;
} fnn_sparse;

/* Entries of a mini-batch; as_read is scratch. */
typedef struct fnn_entries {
    uint32_t *rows;
    uint32_t *columns;
    void *values; /* of the table's element type */
    uint32_t *as_read;
} fnn_entries;

/* Kernels that read them, one set for each type of values and size of indices. */
typedef struct fnn_sparse_input {
    const char *dtype; /* "f32", "f64"; NULL ends a list */
    size_t index_bytes;
    /* z (rows, n_units) = bias (n_units,) + x[order[i]] for each row i, times weights (n_features,
     * n_units), `row` elements a row: a chain of multiply-adds in the order of the entries. order NULL: the
     * first `rows` rows of x. */
    void (*product)(const fnn_matrix *z, const fnn_sparse *x, const int64_t *order, size_t rows,
                    size_t n_units, const void *weights, size_t row, const void *bias);
    /* The entries of the same rows in groups of 2^shift columns, in each of which they stay in order.
     * Group g ends at ends[g], where the next one begins. first_row: the number of the first row. */
    void (*sort)(const fnn_entries *to, const fnn_sparse *x, const int64_t *order, size_t rows,
                 size_t first_row, int shift, size_t n_groups, uint32_t *ends);
} fnn_sparse_input;

/* ---- matrix product ------------------------------------------------------------------------ */

/* Columns, at most, of a product whose elements may be sums in another order than those of a wider
 * one: who cuts a product by columns leaves no part with so few. */
enum { FNN_NARROW_COLUMNS = 8 };
/* The same of a product with a transposed a: who cuts a wider one by rows may leave a part with few. */
enum { FNN_FEW_COLUMNS = 16 };

/* Bytes between two rows that lie far apart: such rows fall into few sets of the L1 cache, and each into
 * another page. */
enum { FNN_FAR_APART = 4096 };

/* What is wanted next: matrices of c's shape, whose rows are `row` elements apart. They are fetched
 * into a cache while a product computes. */
enum { FNN_MAX_AHEAD = 1 + FNN_MAX_SLOTS };
typedef struct fnn_ahead {
    size_t n_matrices;
    const void *matrices[FNN_MAX_AHEAD];
    size_t row;
} fnn_ahead;

/* c (m, n) = start + op(a) (m, k) @ b (k, n), where start is what c holds if `accumulate`, else
 * bias (n,) in every row, else (bias NULL) zero. op transposes where transpose_a is 1: the matrix a
 * is then (k, m). Panels are as wide as `panel_width` says, or there is one alone; or what has samples
 * for rows (a and c, or with a transposed a and b) is in panels of one column, but that c may be one
 * panel. ahead: NULL if nothing is. scratch: as much memory as `gemm_scratch` says, 64-byte aligned, of
 * arbitrary content; NULL where that is 0 bytes. */
typedef void (*fnn_gemm)(int transpose_a, size_t m, size_t n, size_t k, const fnn_matrix *a,
                         const fnn_matrix *b, const void *bias, int accumulate,
                         const fnn_matrix *c, const fnn_ahead *ahead, void *scratch);

/* ---- layers without a product ---------------------------------------------------------------- */

/* Whose random numbers: of a network's layer (key), at a step, from a sample and a unit on. */
typedef struct fnn_noise {
    uint64_t key, step, sample, unit;
} fnn_noise;

/* Matrices are (rows, n_units), in the same panels, but that x may be one panel. What is written may be
 * what is read, where not said otherwise. What is of the units is (n_units,). */
typedef struct fnn_layers {
    /* a = x z, and z: 1 / (1 - rate) where a random number says that a unit stays, else 0 */
    void (*dropout_forward)(const fnn_matrix *a, const fnn_matrix *z, const fnn_matrix *x, size_t rows,
                            size_t n_units, const fnn_noise *noise, double rate);
    /* d *= z */
    void (*multiply)(const fnn_matrix *d, const fnn_matrix *z, size_t rows, size_t n_units);
    /* a = x + scale times a normal random number */
    void (*gaussian_noise_forward)(const fnn_matrix *a, const fnn_matrix *x, size_t rows,
                                   size_t n_units, const fnn_noise *noise, double scale);
    /* z: x with mean 0 and variance 1 over the rows (but for epsilon); a = scale z + shift. mean and
     * variance receive those of x. */
    void (*batch_norm_forward)(const fnn_matrix *a, const fnn_matrix *z, void *mean, void *variance,
                               const fnn_matrix *x, const void *scale, const void *shift, size_t rows,
                               size_t n_units, double epsilon);
    /* The same with a mean and a variance that are given. */
    void (*batch_norm_infer)(const fnn_matrix *a, const fnn_matrix *x, const void *mean,
                             const void *variance, const void *scale, const void *shift, size_t rows,
                             size_t n_units, double epsilon);
    void (*batch_norm_backward)(const fnn_matrix *dx, const fnn_matrix *d, const fnn_matrix *z,
                                const void *variance, const void *scale, size_t rows, size_t n_units,
                                double epsilon);
    /* The parts of the two, where the means are those of more rows than these: z = x - mean; then z
     * normalised, and a; dx from the means of d and of d z. */
    void (*batch_norm_centre)(const fnn_matrix *z, const fnn_matrix *x, const void *mean, size_t rows,
                              size_t n_units);
    void (*batch_norm_normalise)(const fnn_matrix *a, const fnn_matrix *z, const void *variance,
                                 const void *scale, const void *shift, size_t rows, size_t n_units,
                                 double epsilon);
    void (*batch_norm_turn_back)(const fnn_matrix *dx, const fnn_matrix *d, const fnn_matrix *z,
                                 const void *mean, const void *mean_z, const void *variance,
                                 const void *scale, size_t rows, size_t n_units, double epsilon);
    /* Moves the running mean and variance towards those measured over `rows` rows; 1 if one of them is
     * not finite then, else 0. */
    int (*batch_norm_track)(void *mean, void *variance, const void *measured_mean,
                            const void *measured_variance, size_t rows, size_t n_units,
                            double momentum);
    /* z: x with mean 0 and variance 1 over the units of a row; a = scale z + shift; a may be z. inverse
     * (rows,) receives 1 / sqrt(variance + epsilon), unless it is NULL. Not in single columns. */
    void (*layer_norm_forward)(const fnn_matrix *a, const fnn_matrix *z, void *inverse,
                               const fnn_matrix *x, const void *scale, const void *shift, size_t rows,
                               size_t n_units, double epsilon);
    void (*layer_norm_backward)(const fnn_matrix *dx, const fnn_matrix *d, const fnn_matrix *z,
                                const void *inverse, const void *scale, size_t rows, size_t n_units);
    /* a = x where x > 0, else alpha x; z = min(x, 0) */
    void (*prelu_forward)(const fnn_matrix *a, const fnn_matrix *z, const fnn_matrix *x,
                          const void *alpha, size_t rows, size_t n_units);
    void (*prelu_infer)(const fnn_matrix *a, const fnn_matrix *x, const void *alpha, size_t rows,
                        size_t n_units);
    void (*prelu_backward)(const fnn_matrix *dx, const fnn_matrix *d, const fnn_matrix *x,
                           const void *alpha, size_t rows, size_t n_units);
} fnn_layers;

/* ---- the table ----------------------------------------------------------------------------- */

typedef struct fnn_kernels {
    const char *isa;   /* "baseline", "avx2", "avx512" */
    const char *dtype; /* "f32", "f64" */
    size_t itemsize;
    const fnn_activation *activations;
    const fnn_function *functions;
    const fnn_loss *losses;
    const fnn_optimizer *optimizers;
    const fnn_input *inputs;
    const fnn_sparse_input *sparse_inputs;
    /* dweights (.., n_units), `row` elements a row, += value times d's row of each entry in [first, end), in
     * the row of its column; first_column is that of the first row. */
    void (*sparse_gradient)(void *dweights, size_t row, const fnn_matrix *d,
                            const fnn_entries *entries, size_t first, size_t end,
                            size_t first_column, size_t n_units);
    /* targets (rows, n_units) from labels[order[i]], or labels[i] where order is NULL: `on` in the column
     * of the label, `off` elsewhere. */
    void (*label_rows)(void *targets, const int32_t *labels, const int64_t *order, size_t rows,
                       size_t n_units, double on, double off);
    /* targets (n,) = share targets + offset */
    void (*smooth)(void *targets, size_t n, double share, double offset);
    /* Columns of a panel where a matrix has several: what the product computes at a time, in whole
     * cache lines. A matrix of up to `single_panel_width` columns is one panel. */
    size_t panel_width;
    size_t single_panel_width;
    fnn_gemm gemm;
    /* Bytes of scratch that `gemm` may need for a product of these sizes or with a smaller m, or of
     * fewer of b's columns, and, where a is transposed, with any smaller sizes. 0 for a few rows of a
     * small matrix. */
    size_t (*gemm_scratch)(int transpose_a, size_t m, size_t n, size_t k);
    /* c (rows, n_units), ldc elements a row: bias (n_units,) in every row; NULL: zeros. */
    void (*fill_rows)(void *c, size_t ldc, const void *bias, size_t rows, size_t n_units);
    /* b (rows, columns), ldb elements a row = a (rows, columns), lda a row. */
    void (*copy)(void *b, size_t ldb, const void *a, size_t lda, size_t rows, size_t columns);
    /* b (columns, rows), ldb elements a row = the transpose of a (rows, columns), lda a row. */
    void (*transpose)(void *b, size_t ldb, const void *a, size_t lda, size_t rows, size_t columns);
    /* sums (n_units,) = (accumulate ? sums : 0) + the sum over the rows of d (rows, n_units), or of its
     * products with `times` (rows, n_units), which is in the panels of d. */
    void (*sum_rows)(void *sums, const fnn_matrix *d, const fnn_matrix *times, size_t rows,
                     size_t n_units, int accumulate);
    const fnn_layers *layers;
    /* Returns the sum over w (rows, columns) of l1 |w| + l2 w^2 / 2, and adds to g (rows, columns)
     * `scale` times its derivative, which is taken to be 0 at 0 for the first term. ldg, ldw: elements
     * a row. Here and below the bits are the same under every instruction set. */
    double (*penalize)(void *g, size_t ldg, const void *w, size_t ldw, size_t rows, size_t columns,
                       double l1, double l2, double scale);
    /* The sum of the squares of x (rows, columns), ldx elements a row. */
    double (*sum_of_squares)(const void *x, size_t ldx, size_t rows, size_t columns);
    /* x (rows, columns), ldx elements a row, to [-limit, limit]; NaN stays. */
    void (*clip)(void *x, size_t ldx, size_t rows, size_t columns, double limit);
    /* x (rows, columns), ldx elements a row, times `factor`, rounded to the element type. */
    void (*scale)(void *x, size_t ldx, size_t rows, size_t columns, double factor);
    /* Each column of w (rows, columns), ldw elements a row, whose Euclidean norm is above `limit` is
     * scaled to it. Returns 1 if any was, 0 if none, -1 if a norm is not finite: what is in w then is
     * of no use. */
    int (*limit_norms)(void *w, size_t ldw, size_t rows, size_t columns, double limit);
    /* average (n,) = keep average + (1 - keep) x (n,) */
    void (*average)(void *average, const void *x, size_t n, double keep);
    /* Where the largest number is where it is in the row of targets (rows, n_units). Of equal numbers
     * the first one counts. */
    fnn_hits hits_of_rows;
    /* Shares of rows, whose numbers are right where they are above `threshold` as the targets (rows,
     * n_units) are above 0.5, or neither. */
    fnn_hits hits_of_units;
    /* Runs `repeats` rounds of independent fused multiply-adds that fill every pipe; returns how
     * many floating-point operations that was. Time it to know the machine's peak. */
    double (*fma_burst)(size_t repeats);
} fnn_kernels;

/* Instruction sets this library was built with, best last, NULL at the end. */
extern const char *const fnn_isa_names[];
/* 1 if this CPU (and its operating system) runs the instruction set, else 0. */
int fnn_isa_supported(const char *isa);
/* The table, or NULL if there is none of that name. */
const fnn_kernels *fnn_find_kernels(const char *isa, const char *dtype);

/* Bytes that one core finds; l3 is shared. 4096 <= l1_data <= l2 <= l3. */
typedef struct fnn_caches {
    size_t l1_data, l2, l3;
} fnn_caches;

/* The machine's, asked at the first call, or what was set. That call, and setting, come before any
 * other thread: when fastnn is imported. */
const fnn_caches *fnn_find_caches(void);
void fnn_set_caches(const fnn_caches *sizes);

/* ---- denormal numbers ---------------------------------------------------------------------- */

/* Denormals cost ~150 cycles each, so loops run with them flushed to zero. The caller that sets the
 * thread's floating-point state gives the old one back. */
uint64_t fnn_flush_denormals(void); /* returns the state before */
void fnn_set_float_state(uint64_t state);

/* ---- the thread team ----------------------------------------------------------------------- */

typedef struct fnn_team fnn_team;
typedef void (*fnn_region)(void *context, fnn_team *team, int member);

/* Runs region(context, team, member) on n_threads members, the caller being member 0, and returns
 * when all are done. Members flush denormals meanwhile. Where threads cannot be had (none can be
 * made, or another call has the team), fewer members run: a region must give the same result with
 * any number of them. Threads are started when first needed, and again after fork. When the caller
 * forks inside its region, the child has a team of this one member, and of the work since the last
 * barrier no more than what that member did itself: the region has to do it again. */
void fnn_team_run(fnn_region region, void *context, int n_threads);
int fnn_team_size(const fnn_team *team);
/* Hands out the numbers below n_tiles, since the last barrier, each to one member; n_tiles when there
 * are none left. A member gets those of its own share first, the same in every round, so that what
 * belongs to a tile stays in that member's cache; then what others have left. */
size_t fnn_team_next_tile(fnn_team *team, int member, size_t n_tiles);
/* Waits until all members are here; returns the bitwise or of their votes, to all the same. */
int fnn_team_barrier(fnn_team *team, int vote);

#endif

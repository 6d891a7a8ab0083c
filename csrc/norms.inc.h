/* Inputs normalised: over the rows of a mini-batch (batch norm: Ioffe and Szegedy 2015), or over the
 * units of a row (layer norm: Ba, Kiros and Hinton 2016).
 *
 * z = (x - mean) / sqrt(variance + epsilon), a = scale z + shift; the variance is the mean square. Back,
 * with g = scale d, both are  dx = (g - mean(g) - z mean(g z)) / sqrt(variance + epsilon),  the means over
 * what the forward pass took its mean over. */
#ifndef FASTNN_NORMS_INC_H
#define FASTNN_NORMS_INC_H

#include "reductions.inc.h"
#include "units.inc.h"

/* ---- batch norm ---- */

/* Units whose numbers are worked out at a time, on the stack: whole panels. */
#define NORM_UNITS (256 / sizeof(real))

ALWAYS_INLINE void NAME(centre_rule)(vector *to, const vector *from, const vector *numbers)
{
    to[0] = from[0] - numbers[0];
}

ALWAYS_INLINE void NAME(normalise_rule)(vector *to, const vector *from, const vector *numbers)
{
    to[0] = from[0] * numbers[0];
    to[1] = FMA(to[0], numbers[1], numbers[2]);
}

ALWAYS_INLINE void NAME(scale_rule)(vector *to, const vector *from, const vector *numbers)
{
    to[0] = FMA(from[0], numbers[0], numbers[1]);
}

ALWAYS_INLINE void NAME(batch_norm_backward_rule)(vector *to, const vector *from,
                                                  const vector *numbers)
{
    to[0] = (from[0] - FMA(from[1], numbers[1], numbers[0])) * numbers[2];
}

/* The matrix from a column on, which begins a panel or is in the only one. */
ALWAYS_INLINE fnn_matrix NAME(from_column)(const fnn_matrix *x, size_t column)
{
    fnn_matrix part = *x;
    if (column < x->width) {
        part.data = (real *)x->data + column;
    } else {
        part.data = (real *)x->data + column / x->width * x->panel;
        part.columns -= column;
    }
    return part;
}

/* z = x - mean */
static void NAME(batch_norm_centre)(const fnn_matrix *z, const fnn_matrix *x, const void *mean_,
                                    size_t rows, size_t n_units)
{
    const real *mean = mean_;
    for (size_t j = 0; j < n_units; j += NORM_UNITS) {
        const fnn_matrix z_part = NAME(from_column)(z, j), x_part = NAME(from_column)(x, j);
        NAME(for_units)(NAME(centre_rule),
                        (NAME(unit_loop)){1, 1, 1, {&z_part}, {&x_part}, {mean + j}}, rows,
                        n_units - j < NORM_UNITS ? n_units - j : NORM_UNITS);
    }
}

/* From z, centred: z normalised, and a. */
static void NAME(batch_norm_normalise)(const fnn_matrix *a, const fnn_matrix *z,
                                       const void *variance_, const void *scale_,
                                       const void *shift_, size_t rows, size_t n_units,
                                       double epsilon)
{
    const real *variance = variance_, *scale = scale_, *shift = shift_;
    real inverse[NORM_UNITS];
    for (size_t j = 0; j < n_units; j += NORM_UNITS) {
        const size_t n = n_units - j < NORM_UNITS ? n_units - j : NORM_UNITS;
        const fnn_matrix a_part = NAME(from_column)(a, j), z_part = NAME(from_column)(z, j);
        for (size_t i = 0; i < n; i++)
            inverse[i] = 1 / R(sqrt)(variance[j + i] + (real)epsilon);
        NAME(for_units)(
            NAME(normalise_rule),
            (NAME(unit_loop)){2, 1, 3, {&z_part, &a_part}, {&z_part}, {inverse, scale + j, shift + j}},
            rows, n);
    }
}

static void NAME(batch_norm_forward)(const fnn_matrix *a, const fnn_matrix *z, void *mean_,
                                     void *variance_, const fnn_matrix *x, const void *scale,
                                     const void *shift, size_t rows, size_t n_units, double epsilon)
{
    for (size_t j = 0; j < n_units; j += NORM_UNITS) {
        const size_t n = n_units - j < NORM_UNITS ? n_units - j : NORM_UNITS;
        const fnn_matrix a_part = NAME(from_column)(a, j), z_part = NAME(from_column)(z, j);
        const fnn_matrix x_part = NAME(from_column)(x, j);
        real *mean = (real *)mean_ + j, *variance = (real *)variance_ + j;
        NAME(sum_rows)(mean, &x_part, NULL, rows, n, 0);
        for (size_t i = 0; i < n; i++)
            mean[i] /= (real)rows;
        NAME(batch_norm_centre)(&z_part, &x_part, mean, rows, n);
        NAME(sum_rows)(variance, &z_part, &z_part, rows, n, 0);
        for (size_t i = 0; i < n; i++)
            variance[i] /= (real)rows;
        NAME(batch_norm_normalise)(&a_part, &z_part, variance, (const real *)scale + j,
                                   (const real *)shift + j, rows, n, epsilon);
    }
}

static void NAME(batch_norm_infer)(const fnn_matrix *a, const fnn_matrix *x, const void *mean_,
                                   const void *variance_, const void *scale_, const void *shift_,
                                   size_t rows, size_t n_units, double epsilon)
{
    const real *mean = mean_, *variance = variance_, *scale = scale_, *shift = shift_;
    real factor[NORM_UNITS], term[NORM_UNITS];
    for (size_t j = 0; j < n_units; j += NORM_UNITS) {
        const size_t n = n_units - j < NORM_UNITS ? n_units - j : NORM_UNITS;
        const fnn_matrix a_part = NAME(from_column)(a, j), x_part = NAME(from_column)(x, j);
        for (size_t i = 0; i < n; i++) {
            factor[i] = scale[j + i] / R(sqrt)(variance[j + i] + (real)epsilon);
            term[i] = shift[j + i] - mean[j + i] * factor[i];
        }
        NAME(for_units)(NAME(scale_rule),
                        (NAME(unit_loop)){1, 1, 2, {&a_part}, {&x_part}, {factor, term}}, rows, n);
    }
}

/* From the means of d and of d z over the rows. */
static void NAME(batch_norm_turn_back)(const fnn_matrix *dx, const fnn_matrix *d, const fnn_matrix *z,
                                       const void *mean_, const void *mean_z_, const void *variance_,
                                       const void *scale_, size_t rows, size_t n_units,
                                       double epsilon)
{
    const real *mean = mean_, *mean_z = mean_z_, *variance = variance_, *scale = scale_;
    real factor[NORM_UNITS];
    for (size_t j = 0; j < n_units; j += NORM_UNITS) {
        const size_t n = n_units - j < NORM_UNITS ? n_units - j : NORM_UNITS;
        const fnn_matrix dx_part = NAME(from_column)(dx, j), d_part = NAME(from_column)(d, j);
        const fnn_matrix z_part = NAME(from_column)(z, j);
        for (size_t i = 0; i < n; i++)
            factor[i] = scale[j + i] / R(sqrt)(variance[j + i] + (real)epsilon);
        NAME(for_units)(NAME(batch_norm_backward_rule),
                        (NAME(unit_loop)){1, 2, 3, {&dx_part}, {&d_part, &z_part},
                                          {mean + j, mean_z + j, factor}}, rows, n);
    }
}

static void NAME(batch_norm_backward)(const fnn_matrix *dx, const fnn_matrix *d, const fnn_matrix *z,
                                      const void *variance, const void *scale, size_t rows,
                                      size_t n_units, double epsilon)
{
    real mean[NORM_UNITS], mean_z[NORM_UNITS];
    for (size_t j = 0; j < n_units; j += NORM_UNITS) {
        const size_t n = n_units - j < NORM_UNITS ? n_units - j : NORM_UNITS;
        const fnn_matrix dx_part = NAME(from_column)(dx, j), d_part = NAME(from_column)(d, j);
        const fnn_matrix z_part = NAME(from_column)(z, j);
        NAME(sum_rows)(mean, &d_part, NULL, rows, n, 0);
        NAME(sum_rows)(mean_z, &d_part, &z_part, rows, n, 0);
        for (size_t i = 0; i < n; i++) {
            mean[i] /= (real)rows;
            mean_z[i] /= (real)rows;
        }
        NAME(batch_norm_turn_back)(&dx_part, &d_part, &z_part, mean, mean_z,
                                   (const real *)variance + j, (const real *)scale + j, rows, n,
                                   epsilon);
    }
}

/* running = momentum running + (1 - momentum) measured, the variance without bias: of rows - 1 degrees
 * of freedom, as PyTorch has it. A single row has no variance: it changes nothing. */
static int NAME(batch_norm_track)(void *mean_, void *variance_, const void *measured_mean_,
                                  const void *measured_variance_, size_t rows, size_t n_units,
                                  double momentum)
{
    real *mean = mean_, *variance = variance_;
    const real *measured_mean = measured_mean_, *measured_variance = measured_variance_;
    const real keep = (real)momentum, take = (real)(1 - momentum);
    real bad = 0;
    if (rows < 2)
        return 0;
    const real unbiased = (real)((double)rows / (double)(rows - 1));
    for (size_t j = 0; j < n_units; j++) {
        mean[j] = keep * mean[j] + take * measured_mean[j];
        variance[j] = keep * variance[j] + take * (measured_variance[j] * unbiased);
        bad += 0 * mean[j] + 0 * variance[j]; /* NaN where one is not finite */
    }
    return bad != 0;
}

/* ---- layer norm ---- */

/* A row in panels, `chunk` by chunk: sums are kept in as many chains as 64 bytes have numbers, under
 * every instruction set. No matrix is in single columns. */
#define NORM_CHAINS (64 / sizeof(real))

/* Where a row's unit j is, and how many follow without a gap. */
ALWAYS_INLINE real *NAME(in_row)(const fnn_matrix *x, size_t i, size_t j)
{
    size_t row;
    real *at = NAME(panel_at)(x, j, &row);
    return at + i * row;
}

/* Units that lie together in a row of each matrix from j on: of one vector, at most. */
ALWAYS_INLINE size_t NAME(lanes_at)(const fnn_matrix *const *matrices, size_t n, size_t j,
                                    size_t n_units)
{
    size_t lanes = n_units - j < VECTOR_LANES ? n_units - j : VECTOR_LANES;
    for (size_t m = 0; m < n; m++) {
        const size_t left = NAME(left_in_panel)(matrices[m], j);
        lanes = lanes < left ? lanes : left;
    }
    return lanes;
}

static void NAME(layer_norm_forward)(const fnn_matrix *a, const fnn_matrix *z, void *inverse_,
                                     const fnn_matrix *x, const void *scale_, const void *shift_,
                                     size_t rows, size_t n_units, double epsilon)
{
    real *inverse = inverse_;
    const real *scale = scale_, *shift = shift_;
    const fnn_matrix *all[] = {a, z, x};
    size_t lanes;
    for (size_t i = 0; i < rows; i++) {
        vector sums[BLOCK_VECTORS] = {{0}}, squares[BLOCK_VECTORS] = {{0}};
        for (size_t j = 0; j < n_units; j += lanes) {
            lanes = NAME(lanes_at)(all, 3, j, n_units);
            sums[j / VECTOR_LANES % BLOCK_VECTORS] += NAME(load_lanes)(NAME(in_row)(x, i, j), lanes);
        }
        const real mean = NAME(sum_of_chains)(sums) / (real)n_units;
        for (size_t j = 0; j < n_units; j += lanes) {
            lanes = NAME(lanes_at)(all, 3, j, n_units);
            real *to = NAME(in_row)(z, i, j);
            NAME(store_lanes)(to, NAME(load_lanes)(NAME(in_row)(x, i, j), lanes) - mean, lanes);
            const vector centred = NAME(load_lanes)(to, lanes); /* 0 in lanes that are not there */
            squares[j / VECTOR_LANES % BLOCK_VECTORS] += centred * centred;
        }
        const real variance = NAME(sum_of_chains)(squares) / (real)n_units;
        const real factor = 1 / R(sqrt)(variance + (real)epsilon);
        for (size_t j = 0; j < n_units; j += lanes) {
            lanes = NAME(lanes_at)(all, 3, j, n_units);
            real *at = NAME(in_row)(z, i, j);
            const vector normalised = NAME(load_lanes)(at, lanes) * factor;
            NAME(store_lanes)(at, normalised, lanes);
            NAME(store_lanes)(NAME(in_row)(a, i, j),
                              FMA(normalised, NAME(load_lanes)(scale + j, lanes),
                                  NAME(load_lanes)(shift + j, lanes)), lanes);
        }
        if (inverse != NULL)
            inverse[i] = factor;
    }
}

static void NAME(layer_norm_backward)(const fnn_matrix *dx, const fnn_matrix *d, const fnn_matrix *z,
                                      const void *inverse_, const void *scale_, size_t rows,
                                      size_t n_units)
{
    const real *inverse = inverse_, *scale = scale_;
    const fnn_matrix *all[] = {dx, d, z};
    size_t lanes;
    for (size_t i = 0; i < rows; i++) {
        vector sums[BLOCK_VECTORS] = {{0}}, sums_z[BLOCK_VECTORS] = {{0}};
        for (size_t j = 0; j < n_units; j += lanes) {
            lanes = NAME(lanes_at)(all, 3, j, n_units);
            const size_t chain = j / VECTOR_LANES % BLOCK_VECTORS;
            const vector g = NAME(load_lanes)(NAME(in_row)(d, i, j), lanes)
                             * NAME(load_lanes)(scale + j, lanes);
            sums[chain] += g;
            sums_z[chain] += g * NAME(load_lanes)(NAME(in_row)(z, i, j), lanes);
        }
        const real mean = NAME(sum_of_chains)(sums) / (real)n_units;
        const real mean_z = NAME(sum_of_chains)(sums_z) / (real)n_units;
        for (size_t j = 0; j < n_units; j += lanes) {
            lanes = NAME(lanes_at)(all, 3, j, n_units);
            const vector g = NAME(load_lanes)(NAME(in_row)(d, i, j), lanes)
                             * NAME(load_lanes)(scale + j, lanes);
            const vector normalised = NAME(load_lanes)(NAME(in_row)(z, i, j), lanes);
            NAME(store_lanes)(NAME(in_row)(dx, i, j),
                              (g - FMA(normalised, CONSTANT(mean_z), CONSTANT(mean)))
                                  * inverse[i], lanes);
        }
    }
}

#endif

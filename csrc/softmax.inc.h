/* Softmax of rows, for the activation and for the loss that starts from the logits. */
#ifndef FASTNN_SOFTMAX_INC_H
#define FASTNN_SOFTMAX_INC_H

#include "layout.inc.h"
#include "math.inc.h"
#include "reductions.inc.h"

/* Rows of up to NARROW units are handled a vector of rows at a time, longer ones one by one. */
#define NARROW 32

/* ---- wide rows ---- */

/* Sums are kept in as many chains as 64 bytes have numbers, under every instruction set, and added
 * up pairwise, so that their bits do not depend on the width of the vectors. */
#define ROW_CHAINS (64 / sizeof(real))

static inline real NAME(largest_of)(const real *z, size_t n)
{
    vector largest = CONSTANT(z[0]);
    size_t i = 0;
    for (; i + VECTOR_LANES <= n; i += VECTOR_LANES) {
        const vector next = NAME(load)(z + i);
        largest = SELECT(next > largest, next, largest);
    }
    real result = z[0];
    for (size_t lane = 0; lane < VECTOR_LANES; lane++)
        result = largest[lane] > result ? largest[lane] : result;
    for (; i < n; i++)
        result = z[i] > result ? z[i] : result;
    return result;
}

/* A row whose largest logit is infinite: the limit is 1 there and 0 elsewhere, and NaN where there
 * are several. Returns the sum of p, which may be z. */
static __attribute__((noinline)) real NAME(softmax_of_infinity)(real *p, const real *z,
                                                                size_t n_units)
{
    real sum = 0;
    for (size_t j = 0; j < n_units; j++) {
        p[j] = z[j] == INFINITY ? 1 : (z[j] < INFINITY ? 0 : z[j]); /* NaN stays */
        sum += p[j];
    }
    if (sum == 1)
        return sum;
    for (size_t j = 0; j < n_units; j++)
        p[j] = NAN;
    return NAN;
}

/* One row: p = exp(z - largest) / sum; returns sum = sum(exp(z - largest)). p may be z. */
static real NAME(softmax_row)(real *p, const real *z, size_t n_units, real largest)
{
    if (largest == INFINITY)
        return NAME(softmax_of_infinity)(p, z, n_units);
    vector sums[BLOCK_VECTORS] = {{0}};
    for (size_t i = 0; i < n_units; i += ROW_CHAINS) {
        for (size_t b = 0; b < BLOCK_VECTORS && i + b * VECTOR_LANES < n_units; b++) {
            const size_t at = i + b * VECTOR_LANES, left = n_units - at;
            if (left >= VECTOR_LANES) {
                const vector e = NAME(vector_exp)(NAME(load)(z + at) - largest);
                NAME(store)(p + at, e);
                sums[b] += e;
            } else { /* the lanes that are not there must not count */
                const vector e = NAME(vector_exp)(NAME(load_lanes)(z + at, left) - largest);
                NAME(store_lanes)(p + at, e, left);
                sums[b] += NAME(load_lanes)(p + at, left);
            }
        }
    }
    const real sum = NAME(sum_of_chains)(sums); /* of numbers in [0, 1], one of them 1 */
    size_t i = 0;
    for (; i + VECTOR_LANES <= n_units; i += VECTOR_LANES)
        NAME(store)(p + i, NAME(load)(p + i) / sum);
    if (i < n_units)
        NAME(store_lanes)(p + i, NAME(load_lanes)(p + i, n_units - i) / sum, n_units - i);
    return sum;
}

/* ---- narrow rows ---- */

/* columns (n_units,) = the units of up to a vector of rows, a row in each lane; lanes without a row
 * are 0. */
static void NAME(load_columns)(vector *columns, const real *z, size_t rows, size_t n_units)
{
    for (size_t j = 0; j < n_units; j++) {
        const real *from = z + j;
        vector column = {0};
        if (rows == VECTOR_LANES) {
#pragma GCC unroll 16
            for (size_t i = 0; i < VECTOR_LANES; i++, from += n_units)
                column[i] = *from;
        } else {
            for (size_t i = 0; i < rows; i++, from += n_units)
                column[i] = *from;
        }
        columns[j] = column;
    }
}

/* z (rows, n_units) from such columns. */
static void NAME(store_columns)(real *z, const vector *columns, size_t rows, size_t n_units)
{
    for (size_t j = 0; j < n_units; j++) {
        const vector column = columns[j];
        real *to = z + j;
        if (rows == VECTOR_LANES) {
#pragma GCC unroll 16
            for (size_t i = 0; i < VECTOR_LANES; i++, to += n_units)
                *to = column[i];
        } else {
            for (size_t i = 0; i < rows; i++, to += n_units)
                *to = column[i];
        }
    }
}

/* Where the largest logit is infinite, makes the columns 0 there and -inf elsewhere, whose softmax is
 * the limit; where several are, it is undefined. Returns what to subtract now. */
static __attribute__((noinline)) vector NAME(limits_of_infinity)(vector *columns, size_t n_units,
                                                                 vector largest)
{
    const vector infinity = CONSTANT(INFINITY);
    vector count = CONSTANT(0);
    for (size_t j = 0; j < n_units; j++) {
        const NAME(indices) here = columns[j] == infinity;
        count += SELECT(here, CONSTANT(1), CONSTANT(0));
        columns[j] = SELECT(here, CONSTANT(0),
                            SELECT(largest == infinity, columns[j] - infinity, columns[j]));
    }
    return SELECT(largest == infinity, SELECT(count > 1, CONSTANT(NAN), CONSTANT(0)), largest);
}

/* What is subtracted before exp, so that it does not overflow: the largest of each row. */
ALWAYS_INLINE vector NAME(shift_of)(vector *columns, size_t n_units, vector *largest)
{
    *largest = CONSTANT(-INFINITY);
    for (size_t j = 0; j < n_units; j++)
        *largest = SELECT(columns[j] > *largest, columns[j], *largest);
    if (NAME(any)(*largest == CONSTANT(INFINITY)))
        return NAME(limits_of_infinity)(columns, n_units, *largest);
    return *largest;
}

static void NAME(softmax_narrow)(real *p, const real *z, size_t rows, size_t n_units,
                                 real *largest_, real *sum_)
{
    vector columns[NARROW], largest, sum = CONSTANT(0);
    NAME(load_columns)(columns, z, rows, n_units);
    const vector shift = NAME(shift_of)(columns, n_units, &largest);
    for (size_t j = 0; j < n_units; j++) {
        columns[j] = NAME(vector_exp)(columns[j] - shift);
        sum += columns[j];
    }
    for (size_t j = 0; j < n_units; j++)
        columns[j] /= sum;
    NAME(store_columns)(p, columns, rows, n_units);
    NAME(store_lanes)(largest_, largest, rows);
    NAME(store_lanes)(sum_, sum, rows);
}

/* p (rows, n_units) = softmax of each row of z, for up to VECTOR_LANES rows; p may be z. Also the
 * largest of each row, and the sum of exp(z - largest): log(sum(exp(z))) = largest + log(sum). */
static void NAME(softmax_rows)(real *p, const real *z, size_t rows, size_t n_units, real *largest,
                               real *sum)
{
    if (n_units <= NARROW) {
        NAME(softmax_narrow)(p, z, rows, n_units, largest, sum);
    } else {
        for (size_t i = 0; i < rows; i++) {
            largest[i] = NAME(largest_of)(z + i * n_units, n_units);
            sum[i] = NAME(softmax_row)(p + i * n_units, z + i * n_units, n_units, largest[i]);
        }
    }
}

#endif

/* What keeps weights and gradients small: penalties, clipping, decay, limits of norms. Sums are kept in
 * double, in chains of every REGULARIZER_CHAINS-th number of a row, added by halves: the same ones under
 * every instruction set. */
#ifndef FASTNN_REGULARIZERS_INC_H
#define FASTNN_REGULARIZERS_INC_H

#include "vector.inc.h"

#define REGULARIZER_CHAINS (64 / sizeof(real))
#define REGULARIZER_VECTORS (64 / VECTOR_BYTES)

static double NAME(sum_by_halves)(const NAME(doubles) sums[REGULARIZER_VECTORS])
{
    double chains[REGULARIZER_CHAINS];
    memcpy(chains, sums, sizeof chains);
    for (size_t half = REGULARIZER_CHAINS / 2; half > 0; half /= 2) {
        for (size_t i = 0; i < half; i++)
            chains[i] += chains[i + half];
    }
    return chains[0];
}

/* Lanes of the vector at column j of `columns`. */
#define LANES_FROM(j, columns) \
    ((columns) - (j) < VECTOR_LANES ? (columns) - (j) : (size_t)VECTOR_LANES)

/* g += derivative of the penalty |w| (l1 + half_l2 |w|), which is added to `sum`; gradient_l1 and
 * gradient_l2 are those of the derivative. `lanes` is a constant where this is inlined for a whole
 * vector. */
ALWAYS_INLINE void NAME(penalize_lanes)(real *g, const real *w, size_t lanes, vector gradient_l1,
                                        vector gradient_l2, double l1, double half_l2,
                                        NAME(doubles) *sum)
{
    const int whole = lanes == VECTOR_LANES;
    const vector weights = whole ? NAME(load)(w) : NAME(load_lanes)(w, lanes);
    vector gradient = whole ? NAME(load)(g) : NAME(load_lanes)(g, lanes);
    const vector zero = {0};
    gradient += gradient_l2 * weights;
    gradient += SELECT(weights > zero, gradient_l1, SELECT(weights < zero, -gradient_l1, zero));
    if (whole)
        NAME(store)(g, gradient);
    else
        NAME(store_lanes)(g, gradient, lanes);
    const vector magnitudes = SELECT(weights < zero, -weights, weights);
    const NAME(doubles) a = __builtin_convertvector(magnitudes, NAME(doubles));
    *sum += a * (l1 + half_l2 * a);
}

static double NAME(penalize)(void *g_, size_t ldg, const void *w_, size_t ldw, size_t rows,
                             size_t columns, double l1, double l2, double scale)
{
    real *g = g_;
    const real *w = w_;
    const vector gradient_l1 = CONSTANT((real)(scale * l1)), gradient_l2 = CONSTANT((real)(scale * l2));
    NAME(doubles) sums[REGULARIZER_VECTORS] = {{0}};
    if (ldg == columns && ldw == columns) { /* without gaps: one row */
        columns *= rows;
        rows = 1;
    }
    for (size_t i = 0; i < rows; i++, g += ldg, w += ldw) {
        size_t j = 0;
        for (; columns - j >= REGULARIZER_CHAINS; j += REGULARIZER_CHAINS) {
#pragma GCC unroll 4
            for (size_t v = 0; v < REGULARIZER_VECTORS; v++)
                NAME(penalize_lanes)(g + j + v * VECTOR_LANES, w + j + v * VECTOR_LANES, VECTOR_LANES,
                                     gradient_l1, gradient_l2, l1, 0.5 * l2, sums + v);
        }
        for (size_t v = 0; j < columns; j += VECTOR_LANES, v++)
            NAME(penalize_lanes)(g + j, w + j, LANES_FROM(j, columns), gradient_l1, gradient_l2, l1,
                                 0.5 * l2, sums + v);
    }
    return NAME(sum_by_halves)(sums);
}

ALWAYS_INLINE void NAME(add_squares)(NAME(doubles) *sum, vector x)
{
    const NAME(doubles) a = __builtin_convertvector(x, NAME(doubles));
    *sum += a * a;
}

static double NAME(sum_of_squares)(const void *x_, size_t ldx, size_t rows, size_t columns)
{
    const real *x = x_;
    NAME(doubles) sums[REGULARIZER_VECTORS] = {{0}};
    if (ldx == columns) {
        columns *= rows;
        rows = 1;
    }
    for (size_t i = 0; i < rows; i++, x += ldx) {
        size_t j = 0;
        for (; columns - j >= REGULARIZER_CHAINS; j += REGULARIZER_CHAINS) {
#pragma GCC unroll 4
            for (size_t v = 0; v < REGULARIZER_VECTORS; v++)
                NAME(add_squares)(sums + v, NAME(load)(x + j + v * VECTOR_LANES));
        }
        for (size_t v = 0; j < columns; j += VECTOR_LANES, v++)
            NAME(add_squares)(sums + v, NAME(load_lanes)(x + j, LANES_FROM(j, columns)));
    }
    return NAME(sum_by_halves)(sums);
}

/* A function of each number alone: `lanes` is a constant where this is inlined for a whole vector. */
#define EACH_NUMBER(x, ldx, rows, columns, result)                                                \
    do {                                                                                          \
        if (ldx == columns) {                                                                     \
            columns *= rows;                                                                      \
            rows = 1;                                                                             \
        }                                                                                         \
        for (size_t i = 0; i < rows; i++, x += ldx) {                                             \
            size_t j = 0;                                                                         \
            for (; columns - j >= VECTOR_LANES; j += VECTOR_LANES) {                              \
                const vector v = NAME(load)(x + j);                                               \
                NAME(store)(x + j, result);                                                       \
            }                                                                                     \
            if (j < columns) {                                                                    \
                const vector v = NAME(load_lanes)(x + j, columns - j);                            \
                NAME(store_lanes)(x + j, result, columns - j);                                    \
            }                                                                                     \
        }                                                                                         \
    } while (0)

static void NAME(clip)(void *x_, size_t ldx, size_t rows, size_t columns, double limit)
{
    real *x = x_;
    const vector most = CONSTANT((real)limit), least = -most;
    EACH_NUMBER(x, ldx, rows, columns, SELECT(v < least, least, MIN(most, v)));
}

static void NAME(scale)(void *x_, size_t ldx, size_t rows, size_t columns, double factor)
{
    real *x = x_;
    const vector by = CONSTANT((real)factor);
    EACH_NUMBER(x, ldx, rows, columns, by * v);
}

/* One vector of columns, four chains each, of every fourth row. */
static int NAME(limit_columns)(real *w, size_t ldw, size_t rows, size_t lanes, double limit)
{
    NAME(doubles) chains[4] = {{0}};
    const real *row = w;
    size_t i = 0;
    for (; i + 4 <= rows; i += 4, row += 4 * ldw) {
#pragma GCC unroll 4
        for (size_t c = 0; c < 4; c++)
            NAME(add_squares)(chains + c, NAME(load_lanes)(row + c * ldw, lanes));
    }
    for (size_t c = 0; i + c < rows; c++, row += ldw)
        NAME(add_squares)(chains + c, NAME(load_lanes)(row, lanes));
    const NAME(doubles) squares = (chains[0] + chains[1]) + (chains[2] + chains[3]);
    double of_columns[VECTOR_LANES];
    real factors[VECTOR_LANES];
    int result = 0;
    memcpy(of_columns, &squares, sizeof of_columns);
    for (size_t lane = 0; lane < VECTOR_LANES; lane++) {
        const double norm = sqrt(of_columns[lane]);
        factors[lane] = 1;
        if (!isfinite(norm))
            return -1;
        if (norm > limit) {
            factors[lane] = (real)(limit / norm);
            result = 1;
        }
    }
    if (result == 0)
        return 0;
    const vector by = NAME(load)(factors);
    for (i = 0; i < rows; i++, w += ldw)
        NAME(store_lanes)(w, by * NAME(load_lanes)(w, lanes), lanes);
    return result;
}

static int NAME(limit_norms)(void *w_, size_t ldw, size_t rows, size_t columns, double limit)
{
    real *w = w_;
    int result = 0;
    for (size_t j = 0; j < columns; j += VECTOR_LANES) {
        const int of_some = NAME(limit_columns)(w + j, ldw, rows, LANES_FROM(j, columns), limit);
        if (of_some < 0)
            return -1;
        result |= of_some;
    }
    return result;
}

#undef LANES_FROM

#endif

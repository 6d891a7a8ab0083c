/* What keeps weights and gradients small: penalties, clipping, decay, limits of norms. Sums are kept in
 * double, in chains of every REGULARIZER_CHAINS-th number of a row, added by halves: the same ones under
 * every instruction set. */
#ifndef FASTNN_REGULARIZERS_INC_H
#define FASTNN_REGULARIZERS_INC_H

#include "vector.inc.h"

#define REGULARIZER_CHAINS (64 / sizeof(real))

/* As many doubles as a vector register holds, and as many numbers: a line of 64 bytes is several. */
typedef double NAME(doubles_of_line) __attribute__((vector_size(VECTOR_BYTES)));
#define WIDE_LANES (VECTOR_BYTES / sizeof(double))
typedef int64_t NAME(bits_of_line) __attribute__((vector_size(VECTOR_BYTES)));
typedef real NAME(part_of_line) __attribute__((vector_size(WIDE_LANES * sizeof(real))));
#define LINE_PARTS (REGULARIZER_CHAINS / WIDE_LANES)

ALWAYS_INLINE NAME(doubles_of_line) NAME(part_in_double)(const real *line, size_t part)
{
    NAME(part_of_line) x;
    memcpy(&x, line + part * WIDE_LANES, sizeof x);
    return __builtin_convertvector(x, NAME(doubles_of_line));
}

static double NAME(sum_by_halves)(const NAME(doubles_of_line) sums[LINE_PARTS])
{
    double chains[REGULARIZER_CHAINS];
    memcpy(chains, sums, sizeof chains);
    for (size_t half = REGULARIZER_CHAINS / 2; half > 0; half /= 2) {
        for (size_t i = 0; i < half; i++)
            chains[i] += chains[i + half];
    }
    return chains[0];
}

/* Of a line: g += derivative of the penalty |w| (l1 + half_l2 |w|), which is added to `sums`;
 * gradient_l1 and gradient_l2 are those of the derivative. */
ALWAYS_INLINE void NAME(penalize_line)(real *g, const real *w, vector gradient_l1,
                                       vector gradient_l2, double l1, double half_l2,
                                       NAME(doubles_of_line) sums[LINE_PARTS])
{
    const vector zero = {0};
#pragma GCC unroll 4
    for (size_t j = 0; j < REGULARIZER_CHAINS; j += VECTOR_LANES) {
        const vector x = NAME(load)(w + j);
        vector gradient = NAME(load)(g + j);
        gradient += gradient_l2 * x;
        gradient += SELECT(x > zero, gradient_l1, SELECT(x < zero, -gradient_l1, zero));
        NAME(store)(g + j, gradient);
    }
#pragma GCC unroll 8
    for (size_t p = 0; p < LINE_PARTS; p++) {
        const NAME(doubles_of_line) x = NAME(part_in_double)(w, p);
        const NAME(doubles_of_line) a = (NAME(doubles_of_line))((NAME(bits_of_line))x & INT64_MAX);
        sums[p] += a * (l1 + half_l2 * a);
    }
}

static double NAME(penalize)(void *g_, size_t ldg, const void *w_, size_t ldw, size_t rows,
                             size_t columns, double l1, double l2, double scale)
{
    real *g = g_;
    const real *w = w_;
    const vector gradient_l1 = CONSTANT((real)(scale * l1)), gradient_l2 = CONSTANT((real)(scale * l2));
    NAME(doubles_of_line) sums[LINE_PARTS] = {{0}};
    if (ldg == columns && ldw == columns) { /* without gaps: one row */
        columns *= rows;
        rows = 1;
    }
    for (size_t i = 0; i < rows; i++, g += ldg, w += ldw) {
        size_t j = 0;
        for (; columns - j >= REGULARIZER_CHAINS; j += REGULARIZER_CHAINS)
            NAME(penalize_line)(g + j, w + j, gradient_l1, gradient_l2, l1, 0.5 * l2, sums);
        if (j < columns) {
            real last_g[REGULARIZER_CHAINS] = {0}, last_w[REGULARIZER_CHAINS] = {0};
            memcpy(last_g, g + j, (columns - j) * sizeof(real));
            memcpy(last_w, w + j, (columns - j) * sizeof(real));
            NAME(penalize_line)(last_g, last_w, gradient_l1, gradient_l2, l1, 0.5 * l2, sums);
            memcpy(g + j, last_g, (columns - j) * sizeof(real));
        }
    }
    return NAME(sum_by_halves)(sums);
}

ALWAYS_INLINE void NAME(add_squares)(NAME(doubles_of_line) sums[LINE_PARTS], const real *line)
{
#pragma GCC unroll 8
    for (size_t p = 0; p < LINE_PARTS; p++) {
        const NAME(doubles_of_line) x = NAME(part_in_double)(line, p);
        sums[p] += x * x;
    }
}

/* Of the n first numbers of a line. */
static void NAME(add_last_squares)(NAME(doubles_of_line) sums[LINE_PARTS], const real *x, size_t n)
{
    real line[REGULARIZER_CHAINS] = {0};
    memcpy(line, x, n * sizeof(real));
    NAME(add_squares)(sums, line);
}

static double NAME(sum_of_squares)(const void *x_, size_t ldx, size_t rows, size_t columns)
{
    const real *x = x_;
    NAME(doubles_of_line) sums[LINE_PARTS] = {{0}};
    if (ldx == columns) {
        columns *= rows;
        rows = 1;
    }
    for (size_t i = 0; i < rows; i++, x += ldx) {
        size_t j = 0;
        for (; columns - j >= REGULARIZER_CHAINS; j += REGULARIZER_CHAINS)
            NAME(add_squares)(sums, x + j);
        if (j < columns)
            NAME(add_last_squares)(sums, x + j, columns - j);
    }
    return NAME(sum_by_halves)(sums);
}

/* `result`, a function of each number v alone. */
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

/* Up to a line of columns, each of which is one chain down the rows. */
static int NAME(limit_columns)(real *w, size_t ldw, size_t rows, size_t columns, double limit)
{
    NAME(doubles_of_line) sums[LINE_PARTS] = {{0}};
    double squares[REGULARIZER_CHAINS];
    real factors[REGULARIZER_CHAINS];
    int result = 0;
    if (columns == REGULARIZER_CHAINS) {
        for (size_t i = 0; i < rows; i++)
            NAME(add_squares)(sums, w + i * ldw);
    } else {
        for (size_t i = 0; i < rows; i++)
            NAME(add_last_squares)(sums, w + i * ldw, columns);
    }
    memcpy(squares, sums, sizeof squares);
    for (size_t j = 0; j < columns; j++) {
        const double norm = sqrt(squares[j]);
        factors[j] = 1;
        if (!isfinite(norm))
            return -1;
        if (norm > limit) {
            factors[j] = (real)(limit / norm);
            result = 1;
        }
    }
    for (size_t i = 0; i < rows && result > 0; i++, w += ldw) {
        for (size_t j = 0; j < columns; j++)
            w[j] *= factors[j];
    }
    return result;
}

static int NAME(limit_norms)(void *w_, size_t ldw, size_t rows, size_t columns, double limit)
{
    real *w = w_;
    int result = 0;
    for (size_t j = 0; j < columns; j += REGULARIZER_CHAINS) {
        const size_t left = columns - j, n = left < REGULARIZER_CHAINS ? left : REGULARIZER_CHAINS;
        const int of_some = NAME(limit_columns)(w + j, ldw, rows, n, limit);
        if (of_some < 0)
            return -1;
        result |= of_some;
    }
    return result;
}

#endif

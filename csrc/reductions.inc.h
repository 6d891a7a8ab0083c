/* Sums over the rows of a matrix, in several chains, as an addition takes several cycles; the same ones
 * in the same order under every instruction set. */
#ifndef FASTNN_REDUCTIONS_INC_H
#define FASTNN_REDUCTIONS_INC_H

#include "matrix.inc.h"
#include "vector.inc.h"

/* The sum of up to 64 bytes of numbers, by halves: the first to the one after the middle, and so on. */
#define BLOCK_VECTORS (64 / VECTOR_BYTES)

ALWAYS_INLINE real NAME(sum_of_chains)(const vector sums[BLOCK_VECTORS])
{
    vector halves[BLOCK_VECTORS];
    memcpy(halves, sums, sizeof halves);
    for (size_t half = BLOCK_VECTORS / 2; half > 0; half /= 2) {
        for (size_t b = 0; b < half; b++)
            halves[b] += halves[b + half];
    }
    real chains[VECTOR_LANES];
    NAME(store)(chains, halves[0]);
    for (size_t half = VECTOR_LANES / 2; half > 0; half /= 2) {
        for (size_t i = 0; i < half; i++)
            chains[i] += chains[i + half];
    }
    return chains[0];
}

/* A single column: vectors lie along the rows. As many chains as 256 bytes have numbers, added by
 * halves. */
#define LINE_VECTORS (4 * BLOCK_VECTORS)

/* A vector of the terms of a sum: of d, or (weighted, a constant where this is inlined) of the products
 * of d and `times`. */
ALWAYS_INLINE vector NAME(terms)(const int weighted, const real *d, const real *times, size_t lanes)
{
    const int whole = __builtin_constant_p(lanes) && lanes == VECTOR_LANES;
    const vector term = whole ? NAME(load)(d) : NAME(load_lanes)(d, lanes);
    if (!weighted)
        return term;
    return term * (whole ? NAME(load)(times) : NAME(load_lanes)(times, lanes));
}

ALWAYS_INLINE real NAME(sum_line)(const int weighted, const real *d, const real *times, size_t rows)
{
    vector chains[LINE_VECTORS] = {{0}};
    size_t i = 0;
    for (; i + LINE_VECTORS * VECTOR_LANES <= rows;) {
#pragma GCC unroll 16
        for (size_t c = 0; c < LINE_VECTORS; c++, i += VECTOR_LANES)
            chains[c] += weighted ? NAME(load)(d + i) * NAME(load)(times + i) : NAME(load)(d + i);
    }
#pragma GCC unroll 16
    for (size_t c = 0; c < LINE_VECTORS; c++) {
        const size_t lanes = rows - i < VECTOR_LANES ? rows - i : VECTOR_LANES;
        if (lanes > 0)
            chains[c] += NAME(terms)(weighted, d + i, times + (weighted ? i : 0), lanes);
        i += lanes;
    }
#pragma GCC unroll 2
    for (size_t half = LINE_VECTORS / 2; half >= BLOCK_VECTORS; half /= 2) {
#pragma GCC unroll 8
        for (size_t c = 0; c < half; c++)
            chains[c] += chains[c + half];
    }
    return NAME(sum_of_chains)(chains);
}

/* Several columns: four chains a column, of every fourth row each, which are added in pairs. */
#define SUM_CHAINS 4

/* Sums of one vector of columns, `lanes` of them: a constant for all lanes, whose loads need no mask. */
ALWAYS_INLINE void NAME(sum_columns)(const int weighted, real *sums, const real *d, const real *times,
                                     size_t rows, size_t ldd, size_t lanes, int accumulate)
{
    vector chains[SUM_CHAINS] = {{0}};
    size_t i = 0;
    for (; i + SUM_CHAINS <= rows; i += SUM_CHAINS) {
#pragma GCC unroll 4
        for (size_t c = 0; c < SUM_CHAINS; c++)
            chains[c] += NAME(terms)(weighted, d + (i + c) * ldd, times + (weighted ? i + c : 0) * ldd,
                                     lanes);
    }
    for (; i < rows; i++)
        chains[0] += NAME(terms)(weighted, d + i * ldd, times + (weighted ? i : 0) * ldd, lanes);
    vector sum = (chains[0] + chains[1]) + (chains[2] + chains[3]);
    if (accumulate)
        sum += NAME(load_lanes)(sums, lanes);
    NAME(store_lanes)(sums, sum, lanes);
}

ALWAYS_INLINE void NAME(sum_terms)(const int weighted, real *sums, const fnn_matrix *d,
                                   const fnn_matrix *times, size_t rows, size_t n_units, int accumulate)
{
    for (size_t j = 0; j < n_units;) {
        size_t row;
        const real *from = NAME(panel_at)(d, j, &row);
        const real *factors = weighted ? NAME(panel_at)(times, j, &row) : NULL;
        if (d->width == 1) {
            sums[j] = (accumulate ? sums[j] : 0) + NAME(sum_line)(weighted, from, factors, rows);
            j++;
            continue;
        }
        const size_t left = n_units - j, in_panel = NAME(left_in_panel)(d, j);
        size_t lanes = left < in_panel ? left : in_panel;
        lanes = lanes < VECTOR_LANES ? lanes : VECTOR_LANES;
        if (lanes == VECTOR_LANES)
            NAME(sum_columns)(weighted, sums + j, from, factors, rows, row, VECTOR_LANES, accumulate);
        else
            NAME(sum_columns)(weighted, sums + j, from, factors, rows, row, lanes, accumulate);
        j += lanes;
    }
}

static void NAME(sum_rows)(void *sums, const fnn_matrix *d, const fnn_matrix *times, size_t rows,
                           size_t n_units, int accumulate)
{
    if (times == NULL)
        NAME(sum_terms)(0, sums, d, NULL, rows, n_units, accumulate);
    else
        NAME(sum_terms)(1, sums, d, times, rows, n_units, accumulate);
}

#endif

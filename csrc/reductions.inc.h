/* Sums over the rows of a matrix: in four chains a column, of every fourth row each, as an addition
 * takes several cycles; then the chains in pairs. The same order under every instruction set. */
#ifndef FASTNN_REDUCTIONS_INC_H
#define FASTNN_REDUCTIONS_INC_H

#include "vector.inc.h"

#define SUM_CHAINS 4

/* Sums of one vector of columns, `lanes` of them. */
static void NAME(sum_columns)(real *sums, const real *d, size_t rows, size_t n_units, size_t lanes,
                              int accumulate)
{
    vector chains[SUM_CHAINS] = {{0}};
    size_t i = 0;
    for (; i + SUM_CHAINS <= rows; i += SUM_CHAINS, d += SUM_CHAINS * n_units) {
#pragma GCC unroll 4
        for (size_t c = 0; c < SUM_CHAINS; c++)
            chains[c] += NAME(load_lanes)(d + c * n_units, lanes);
    }
    for (; i < rows; i++, d += n_units)
        chains[0] += NAME(load_lanes)(d, lanes);
    vector sum = (chains[0] + chains[1]) + (chains[2] + chains[3]);
    if (accumulate)
        sum += NAME(load_lanes)(sums, lanes);
    NAME(store_lanes)(sums, sum, lanes);
}

static void NAME(sum_rows)(void *sums_, const void *d_, size_t rows, size_t n_units, int accumulate)
{
    real *sums = sums_;
    const real *d = d_;
    for (size_t j = 0; j < n_units; j += VECTOR_LANES) {
        const size_t left = n_units - j;
        NAME(sum_columns)(sums + j, d + j, rows, n_units, left < VECTOR_LANES ? left : VECTOR_LANES,
                          accumulate);
    }
}

#endif

/* Reductions over the rows of a matrix: in ascending order of the rows, one chain a column. */

/* Sums of up to `vectors` vectors of columns; `last` lanes of the last one. */
ALWAYS_INLINE void NAME(sum_columns)(const size_t vectors, real *sums, const real *d, size_t rows,
                                     size_t n_units, size_t last, int accumulate)
{
    vector sum[4];
#pragma GCC unroll 4
    for (size_t j = 0; j < vectors; j++) {
        const size_t lanes = j + 1 < vectors ? VECTOR_LANES : last;
        sum[j] = accumulate ? NAME(load_lanes)(sums + j * VECTOR_LANES, lanes) : (vector){0};
    }
    for (size_t i = 0; i < rows; i++, d += n_units) {
#pragma GCC unroll 4
        for (size_t j = 0; j + 1 < vectors; j++)
            sum[j] += NAME(load)(d + j * VECTOR_LANES);
        sum[vectors - 1] += NAME(load_lanes)(d + (vectors - 1) * VECTOR_LANES, last);
    }
#pragma GCC unroll 4
    for (size_t j = 0; j < vectors; j++) {
        const size_t lanes = j + 1 < vectors ? VECTOR_LANES : last;
        NAME(store_lanes)(sums + j * VECTOR_LANES, sum[j], lanes);
    }
}

static void NAME(sum_rows)(void *sums_, const void *d_, size_t rows, size_t n_units, int accumulate)
{
    real *sums = sums_;
    const real *d = d_;
    for (size_t j = 0; j < n_units; j += 4 * VECTOR_LANES) {
        const size_t columns = n_units - j < 4 * VECTOR_LANES ? n_units - j : 4 * VECTOR_LANES;
        const size_t vectors = (columns + VECTOR_LANES - 1) / VECTOR_LANES;
        const size_t last = columns - (vectors - 1) * VECTOR_LANES;
        switch (vectors) {
        case 1: NAME(sum_columns)(1, sums + j, d + j, rows, n_units, last, accumulate); break;
        case 2: NAME(sum_columns)(2, sums + j, d + j, rows, n_units, last, accumulate); break;
        case 3: NAME(sum_columns)(3, sums + j, d + j, rows, n_units, last, accumulate); break;
        case 4: NAME(sum_columns)(4, sums + j, d + j, rows, n_units, last, accumulate); break;
        }
    }
}

/* Reductions over the rows of a matrix: in ascending order of the rows, one chain a column. */

static void NAME(sum_rows)(void *sums_, const void *d_, size_t rows, size_t n_units, int accumulate)
{
    real *restrict sums = sums_;
    const real *restrict d = d_;
    for (size_t j = 0; j < n_units && !accumulate; j++)
        sums[j] = 0;
    for (size_t i = 0; i < rows; i++, d += n_units) {
        for (size_t j = 0; j < n_units; j++)
            sums[j] += d[j];
    }
}

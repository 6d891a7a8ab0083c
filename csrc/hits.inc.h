/* How many predictions are right: what the accuracy of the training samples is made of. */
#ifndef FASTNN_HITS_INC_H
#define FASTNN_HITS_INC_H

#include "softmax.inc.h"

/* Where the largest number of each of up to VECTOR_LANES rows of z (rows, n_units) is, the first of
 * equal ones. All of `at` is written. */
static void NAME(largest_at)(real_sized_int *at, const real *z, size_t rows, size_t n_units)
{
    if (n_units <= NARROW) {
        vector columns[NARROW];
        NAME(load_columns)(columns, z, rows, n_units);
        vector largest = columns[0];
        NAME(indices) where = {0};
        for (size_t j = 1; j < n_units; j++) {
            const NAME(indices) larger = columns[j] > largest;
            largest = SELECT(larger, columns[j], largest);
            where = ((real_sized_int)j & larger) | (where & ~larger);
        }
        memcpy(at, &where, sizeof where);
        return;
    }
    for (size_t i = 0; i < rows; i++, z += n_units) {
        const real largest = NAME(largest_of)(z, n_units);
        size_t j = 0;
        while (j < n_units - 1 && z[j] != largest) /* NaN is nowhere */
            j++;
        at[i] = (real_sized_int)j;
    }
}

static double NAME(hits_of_rows)(const void *out_, const void *targets_, const void *weights_,
                                 size_t rows, size_t n_units, double threshold)
{
    const real *out = out_;
    const real *targets = targets_;
    const real *weights = weights_;
    real_sized_int at[VECTOR_LANES], label[VECTOR_LANES];
    double hits = 0;
    (void)threshold;
    for (size_t first = 0; first < rows; first += VECTOR_LANES) {
        const size_t block = rows - first < VECTOR_LANES ? rows - first : VECTOR_LANES;
        NAME(largest_at)(at, out + first * n_units, block, n_units);
        NAME(largest_at)(label, targets + first * n_units, block, n_units);
        for (size_t i = 0; i < block; i++) {
            if (at[i] == label[i])
                hits += weights == NULL ? 1 : (double)weights[first + i];
        }
    }
    return hits;
}

static double NAME(hits_of_units)(const void *out_, const void *targets_, const void *weights_,
                                  size_t rows, size_t n_units, double threshold_)
{
    const real *out = out_;
    const real *targets = targets_;
    const real *weights = weights_;
    const real threshold = (real)threshold_;
    double hits = 0;
    for (size_t i = 0; i < rows; i++, out += n_units, targets += n_units) {
        size_t n = 0;
        for (size_t j = 0; j < n_units; j++)
            n += (out[j] > threshold) == (targets[j] > (real)0.5);
        hits += (double)n * (weights == NULL ? 1 : (double)weights[i]);
    }
    return hits / (double)n_units;
}

#endif

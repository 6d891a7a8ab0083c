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

/* How many of out (n,) are above the threshold where the targets are above 0.5, or neither. */
static size_t NAME(agreeing)(const real *out, const real *targets, size_t n, real threshold)
{
    const size_t whole = n - n % VECTOR_LANES;
    size_t agree = 0;
    /* each lane counts to a number that it holds */
    for (size_t first = 0, block; first < whole; first += block) {
        NAME(indices) differ = {0};
        block = whole - first < ((size_t)1 << 30) ? whole - first : ((size_t)1 << 30);
        for (size_t i = first; i < first + block; i += VECTOR_LANES)
            differ += (NAME(load)(out + i) > threshold) ^ (NAME(load)(targets + i) > (real)0.5);
        agree += block;
        for (size_t lane = 0; lane < VECTOR_LANES; lane++)
            agree -= (size_t)-differ[lane]; /* a comparison that holds is -1 */
    }
    for (size_t i = whole; i < n; i++)
        agree += (out[i] > threshold) == (targets[i] > (real)0.5);
    return agree;
}

static double NAME(hits_of_units)(const void *out_, const void *targets_, const void *weights_,
                                  size_t rows, size_t n_units, double threshold)
{
    const real *out = out_;
    const real *targets = targets_;
    const real *weights = weights_;
    double hits = 0;
    if (weights == NULL)
        return (double)NAME(agreeing)(out, targets, rows * n_units, (real)threshold)
               / (double)n_units;
    for (size_t i = 0; i < rows; i++, out += n_units, targets += n_units)
        hits += (double)NAME(agreeing)(out, targets, n_units, (real)threshold) * (double)weights[i];
    return hits / (double)n_units;
}

#endif

/* How many predictions are right: what the accuracy of the training samples is made of. */
#ifndef FASTNN_HITS_INC_H
#define FASTNN_HITS_INC_H

#include "vector.inc.h"

/* Whether the number at `label` is the largest of a row, the first of equal ones. */
ALWAYS_INLINE int NAME(is_largest)(const real *row, size_t n_units, size_t label)
{
    const real value = row[label];
    size_t j = 0;
    for (; j + VECTOR_LANES <= n_units; j += VECTOR_LANES) {
        if (NAME(any)(NAME(load)(row + j) > value))
            return 0;
    }
    for (; j < n_units; j++) {
        if (row[j] > value)
            return 0;
    }
    for (j = 0; j < label; j++) {
        if (row[j] == value)
            return 0;
    }
    return 1;
}

ALWAYS_INLINE double NAME(weight_of)(const real *weights, size_t row)
{
    return weights == NULL ? 1 : (double)weights[row];
}

static double NAME(hits_of_labels)(const void *out_, const void *labels_, const void *weights,
                                   size_t rows, size_t n_units, double threshold)
{
    const real *out = out_;
    const int32_t *labels = labels_;
    double hits = 0;
    (void)threshold;
    for (size_t i = 0; i < rows; i++, out += n_units) {
        if (NAME(is_largest)(out, n_units, (size_t)labels[i]))
            hits += NAME(weight_of)(weights, i);
    }
    return hits;
}

static double NAME(hits_of_rows)(const void *out_, const void *targets_, const void *weights,
                                 size_t rows, size_t n_units, double threshold)
{
    const real *out = out_;
    const real *targets = targets_;
    double hits = 0;
    (void)threshold;
    for (size_t i = 0; i < rows; i++, out += n_units, targets += n_units) {
        size_t label = 0;
        for (size_t j = 1; j < n_units; j++)
            label = targets[j] > targets[label] ? j : label;
        if (NAME(is_largest)(out, n_units, label))
            hits += NAME(weight_of)(weights, i);
    }
    return hits;
}

static double NAME(hits_of_units)(const void *out_, const void *targets_, const void *weights,
                                  size_t rows, size_t n_units, double threshold_)
{
    const real *out = out_;
    const real *targets = targets_;
    const real threshold = (real)threshold_;
    double hits = 0;
    for (size_t i = 0; i < rows; i++, out += n_units, targets += n_units) {
        size_t n = 0;
        for (size_t j = 0; j < n_units; j++)
            n += (out[j] > threshold) == (targets[j] > (real)0.5);
        hits += (double)n * NAME(weight_of)(weights, i);
    }
    return hits / (double)n_units;
}

#endif

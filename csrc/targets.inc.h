/* Targets on their way to the loss: labels as rows of numbers, and smoothed rows. */
#ifndef FASTNN_TARGETS_INC_H
#define FASTNN_TARGETS_INC_H

#include "real.inc.h"

static void NAME(label_rows)(void *targets_, const int32_t *labels, const int64_t *order, size_t rows,
                             size_t n_units, double on, double off)
{
    real *targets = targets_;
    for (size_t i = 0; i < rows; i++, targets += n_units) {
        for (size_t j = 0; j < n_units; j++)
            targets[j] = (real)off;
        targets[labels[order != NULL ? (size_t)order[i] : i]] = (real)on;
    }
}

static void NAME(smooth)(void *targets_, size_t n, double share, double offset)
{
    real *targets = targets_;
    for (size_t i = 0; i < n; i++)
        targets[i] = (real)(share * (double)targets[i] + offset);
}

#endif

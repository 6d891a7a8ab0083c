/* Averages of the weights over the steps of training. */
#ifndef FASTNN_AVERAGES_INC_H
#define FASTNN_AVERAGES_INC_H

#include "vector.inc.h"

/* average = keep average + (1 - keep) x */
static void NAME(average)(void *average_, const void *x_, size_t n, double keep)
{
    real *average = average_;
    const real *x = x_;
    const vector old = CONSTANT(keep), new = CONSTANT(1 - keep);
    size_t i = 0;
    for (; i + VECTOR_LANES <= n; i += VECTOR_LANES)
        NAME(store)(average + i, old * NAME(load)(average + i) + new * NAME(load)(x + i));
    if (i < n)
        NAME(store_lanes)(average + i, old * NAME(load_lanes)(average + i, n - i)
                                           + new * NAME(load_lanes)(x + i, n - i), n - i);
}

#endif

/* Kernels that read a user's array of either element type: rows of a mini-batch gathered and
 * converted in one pass, and the check that all numbers are finite (NaN fails `<=` as well). */
#ifndef FASTNN_INPUTS_INC_H
#define FASTNN_INPUTS_INC_H

#include "real.inc.h"

#define INPUT(source, suffix)                                                                     \
    static void NAME(gather_##suffix)(void *batch_, const void *data_, const int64_t *order,      \
                                      size_t rows, size_t n_features)                             \
    {                                                                                             \
        real *restrict batch = batch_;                                                            \
        const source *restrict data = data_;                                                      \
        for (size_t i = 0; i < rows; i++) {                                                       \
            const source *row = data + (order != NULL ? (size_t)order[i] : i) * n_features;       \
            for (size_t j = 0; j < n_features; j++)                                               \
                batch[i * n_features + j] = (real)row[j];                                         \
        }                                                                                         \
    }                                                                                             \
    static int NAME(all_finite_##suffix)(const void *data_, size_t n)                             \
    {                                                                                             \
        const source *data = data_;                                                               \
        real_sized_int bad = 0;                                                                   \
        for (size_t i = 0; i < n; i++)                                                            \
            bad |= !(R(fabs)((real)data[i]) <= REAL_MAX);                                         \
        return bad == 0;                                                                          \
    }

INPUT(float, f32)
INPUT(double, f64)

static const fnn_input NAME(inputs)[] = {
    {"f32", sizeof(float), NAME(gather_f32), NAME(all_finite_f32)},
    {"f64", sizeof(double), NAME(gather_f64), NAME(all_finite_f64)},
    {NULL, 0, NULL, NULL},
};

#endif

/* Kernels that read a user's array of either element type: rows of a mini-batch gathered and
 * converted in one pass, and the check that all numbers are finite. */
#ifndef FASTNN_INPUTS_INC_H
#define FASTNN_INPUTS_INC_H

#include "matrix.inc.h"
#include "vector.inc.h"

/* Row after row, as the user's rows may come from memory; each is spread over the panels. */
#define INPUT(source, suffix)                                                                     \
    static void NAME(gather_##suffix)(const fnn_matrix *batch, const void *data_,                 \
                                      const int64_t *order, size_t rows, size_t n_features)       \
    {                                                                                             \
        const source *restrict data = data_;                                                      \
        for (size_t i = 0; i < rows; i++) {                                                       \
            const source *row = data + (order != NULL ? (size_t)order[i] : i) * n_features;       \
            for (size_t first = 0, columns; first < n_features; first += columns) {               \
                const size_t left = n_features - first;                                           \
                size_t width;                                                                     \
                real *restrict to = NAME(panel_at)(batch, first, &width) + i * width;             \
                columns = left < batch->width ? left : batch->width;                              \
                for (size_t j = 0; j < columns; j++)                                              \
                    to[j] = (real)row[first + j];                                                 \
            }                                                                                     \
        }                                                                                         \
    }

INPUT(float, f32)
INPUT(double, f64)
#undef INPUT

/* x - x is 0 where x is finite, and NaN elsewhere. */
static int NAME(all_finite)(const void *data_, size_t n)
{
    const real *data = data_;
    NAME(indices) bad = {0};
    size_t i = 0;
    for (; i + VECTOR_LANES <= n; i += VECTOR_LANES) {
        const vector x = NAME(load)(data + i);
        bad |= x - x != 0;
    }
    if (i < n) {
        const vector x = NAME(load_lanes)(data + i, n - i);
        bad |= x - x != 0;
    }
    return !NAME(any)(bad);
}

/* The same for an array of the other type, once converted. */
#if REAL_IS_DOUBLE
typedef float NAME(other);
#else
typedef double NAME(other);
#endif

static int NAME(all_finite_converted)(const void *data_, size_t n)
{
    const NAME(other) *data = data_;
    real_sized_int bad = 0;
    for (size_t i = 0; i < n; i++)
        bad |= !(R(fabs)((real)data[i]) <= REAL_MAX); /* NaN fails <= as well */
    return bad == 0;
}

#if REAL_IS_DOUBLE
#define ALL_FINITE_F32 NAME(all_finite_converted)
#define ALL_FINITE_F64 NAME(all_finite)
#else
#define ALL_FINITE_F32 NAME(all_finite)
#define ALL_FINITE_F64 NAME(all_finite_converted)
#endif

static const fnn_input NAME(inputs)[] = {
    {"f32", sizeof(float), NAME(gather_f32), ALL_FINITE_F32},
    {"f64", sizeof(double), NAME(gather_f64), ALL_FINITE_F64},
    {NULL, 0, NULL, NULL},
};

#endif

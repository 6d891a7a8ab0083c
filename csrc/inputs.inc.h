/* Kernels that read a user's array of either element type: rows of a mini-batch gathered and
 * converted in one pass, and the check that all numbers are finite. */
#ifndef FASTNN_INPUTS_INC_H
#define FASTNN_INPUTS_INC_H

#include "layout.inc.h"
#include "matrix.inc.h"
#include "vector.inc.h"

/* Rows of a narrow batch in single columns that are gathered before they are transposed. */
#define GATHERED_NUMBERS (4096 / sizeof(real))

/* Row after row, as the user's rows may come from memory; each is spread over the panels. */
#define INPUT(source, suffix)                                                                     \
    static __attribute__((noinline)) void NAME(gather_columns_##suffix)(                          \
        const fnn_matrix *batch, const source *restrict data, const int64_t *order, size_t rows,  \
        size_t n_features)                                                                        \
    {                                                                                             \
        real block[GATHERED_NUMBERS] __attribute__((aligned(64)));                                \
        const size_t height = GATHERED_NUMBERS / n_features / VECTOR_LANES * VECTOR_LANES;        \
        size_t row;                                                                               \
        real *to = NAME(panel_at)(batch, 0, &row);                                                \
        for (size_t first = 0; first < rows; first += height) {                                   \
            const size_t n = rows - first < height ? rows - first : height;                       \
            real *restrict next = block;                                                          \
            for (size_t i = first; i < first + n; i++, next += n_features) {                      \
                const source *row = data + (order != NULL ? (size_t)order[i] : i) * n_features;   \
                for (size_t j = 0; j < n_features; j++)                                           \
                    next[j] = (real)row[j];                                                       \
            }                                                                                     \
            NAME(transpose)(to + first, batch->panel, block, n_features, n, n_features);          \
        }                                                                                         \
    }                                                                                             \
                                                                                                  \
    static void NAME(gather_##suffix)(const fnn_matrix *batch, const void *data_,                 \
                                      const int64_t *order, size_t rows, size_t n_features)       \
    {                                                                                             \
        const source *restrict data = data_;                                                      \
        if (batch->width == 1 && n_features > 1 && n_features <= CACHE_LINE) {                    \
            NAME(gather_columns_##suffix)(batch, data, order, rows, n_features);                  \
            return;                                                                               \
        }                                                                                         \
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

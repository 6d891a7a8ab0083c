/* Samples as sparse rows: the product with the weights, the entries of a mini-batch in the order in which
 * the weights' gradient takes them, and that gradient.
 *
 * Another thread may write to the user's arrays meanwhile: each index is read once, and checked. */
#ifndef FASTNN_SPARSE_INC_H
#define FASTNN_SPARSE_INC_H

#include "matrix.inc.h"
#include "vector.inc.h"

/* Vectors of units that are summed up at a time. */
#define SPARSE_VECTORS 8
/* Entries ahead whose weights are fetched: each row of them lies somewhere else. */
#define SPARSE_AHEAD 8

/* Weights (n_units,) of some column, on their way into the L1 cache. */
ALWAYS_INLINE void NAME(fetch_weights)(const real *row, size_t n_units)
{
    for (size_t j = 0; j < n_units; j += 64 / sizeof(real))
        __builtin_prefetch(row + j, 0, 3);
}

/* Calls step(vectors, lanes of the last one, ...) for pieces of `n` units in line: of SPARSE_VECTORS
 * vectors, of 4, of one, and of what is left. `vectors` is a constant in each. */
#define FOR_PIECES(n, step, ...)                                                                  \
    do {                                                                                          \
        size_t j = 0;                                                                             \
        for (; j + SPARSE_VECTORS * VECTOR_LANES <= (n); j += SPARSE_VECTORS * VECTOR_LANES)      \
            step(SPARSE_VECTORS, VECTOR_LANES, j, __VA_ARGS__);                                   \
        for (; j + 4 * VECTOR_LANES <= (n); j += 4 * VECTOR_LANES)                                \
            step(4, VECTOR_LANES, j, __VA_ARGS__);                                                \
        for (; j + VECTOR_LANES <= (n); j += VECTOR_LANES)                                        \
            step(1, VECTOR_LANES, j, __VA_ARGS__);                                                \
        if (j < (n))                                                                              \
            step(1, (n) - j, j, __VA_ARGS__);                                                     \
    } while (0)

/* An index that is not below n_features stands for an entry of 0 in column 0. */
#define SPARSE_INPUT(source, index, unsigned_index, suffix)                                       \
    ALWAYS_INLINE void NAME(sparse_piece_##suffix)(                                               \
        const size_t vectors, const size_t lanes, size_t unit, real *z, const source *values,     \
        const index *columns, size_t n, size_t n_features, const real *weights, size_t row,       \
        const real *bias)                                                                         \
    {                                                                                             \
        vector sums[SPARSE_VECTORS];                                                              \
        weights += unit;                                                                          \
        for (size_t v = 0; v < vectors; v++)                                                      \
            sums[v] = NAME(load_up_to)(bias + unit + v * VECTOR_LANES, lanes);                    \
        for (size_t e = 0; e < n; e++) {                                                          \
            const index column = __atomic_load_n(columns + e, __ATOMIC_RELAXED);                  \
            const int is_column = (unsigned_index)column < n_features;                            \
            const vector x = CONSTANT(is_column ? (real)values[e] : 0);                           \
            const real *w = weights + (is_column ? (size_t)column : 0) * row;                     \
            if (e + SPARSE_AHEAD < n) {                                                           \
                const index ahead = __atomic_load_n(columns + e + SPARSE_AHEAD, __ATOMIC_RELAXED); \
                if ((unsigned_index)ahead < n_features)                                           \
                    NAME(fetch_weights)(weights + (size_t)ahead * row, vectors * VECTOR_LANES);   \
            }                                                                                     \
            for (size_t v = 0; v < vectors; v++)                                                  \
                sums[v] = FMA(x, NAME(load_up_to)(w + v * VECTOR_LANES, lanes), sums[v]);         \
        }                                                                                         \
        for (size_t v = 0; v < vectors; v++)                                                      \
            NAME(store_up_to)(z + unit + v * VECTOR_LANES, sums[v], lanes);                       \
    }                                                                                             \
                                                                                                  \
    static void NAME(sparse_product_##suffix)(                                                    \
        const fnn_matrix *z, const fnn_sparse *x, const int64_t *order, size_t rows,              \
        size_t n_units, const void *weights_, size_t row, const void *bias_)                      \
    {                                                                                             \
        const real *weights = weights_, *bias = bias_;                                            \
        for (size_t i = 0; i < rows; i++) {                                                       \
            const int64_t *starts = x->starts + (order != NULL ? (size_t)order[i] : i);           \
            const source *values = (const source *)x->values + starts[0];                         \
            const index *columns = (const index *)x->columns + starts[0];                         \
            const size_t n = (size_t)(starts[1] - starts[0]);                                     \
            for (size_t first = 0, width; first < n_units; first += width) {                      \
                const size_t left = n_units - first;                                              \
                size_t z_row;                                                                     \
                real *to = NAME(panel_at)(z, first, &z_row) + i * z_row;                          \
                width = left < z->width ? left : z->width;                                        \
                FOR_PIECES(width, NAME(sparse_piece_##suffix), to, values, columns, n,            \
                           x->n_features, weights + first, row, bias + first);                    \
            }                                                                                     \
        }                                                                                         \
    }                                                                                             \
                                                                                                  \
    static void NAME(sparse_sort_##suffix)(                                                       \
        const fnn_entries *to, const fnn_sparse *x, const int64_t *order, size_t rows,            \
        size_t first_row, int shift, size_t n_groups, uint32_t *ends)                             \
    {                                                                                             \
        real *sorted = to->values;                                                                \
        size_t n_read = 0;                                                                        \
        memset(ends, 0, n_groups * sizeof *ends);                                                 \
        for (size_t i = 0; i < rows; i++) {                                                       \
            const int64_t *starts = x->starts + (order != NULL ? (size_t)order[i] : i);           \
            const index *columns = x->columns;                                                    \
            for (int64_t e = starts[0]; e < starts[1]; e++) {                                     \
                const index column = __atomic_load_n(columns + e, __ATOMIC_RELAXED);              \
                const int is_column = (unsigned_index)column < x->n_features;                     \
                to->as_read[n_read] = is_column ? (uint32_t)column : UINT32_MAX;                  \
                ends[is_column ? (size_t)column >> shift : 0]++;                                  \
                n_read++;                                                                         \
            }                                                                                     \
        }                                                                                         \
        for (size_t g = 0, before = 0; g < n_groups; g++) {                                       \
            const uint32_t n = ends[g];                                                           \
            ends[g] = (uint32_t)before;                                                           \
            before += n;                                                                          \
        }                                                                                         \
        n_read = 0;                                                                               \
        for (size_t i = 0; i < rows; i++) { /* what begins a group becomes what ends it */        \
            const int64_t *starts = x->starts + (order != NULL ? (size_t)order[i] : i);           \
            const source *values = x->values;                                                     \
            for (int64_t e = starts[0]; e < starts[1]; e++, n_read++) {                           \
                const int is_column = to->as_read[n_read] != UINT32_MAX;                          \
                const uint32_t column = is_column ? to->as_read[n_read] : 0;                      \
                const size_t place = ends[column >> shift]++;                                     \
                to->columns[place] = column;                                                      \
                to->rows[place] = (uint32_t)(first_row + i);                                      \
                sorted[place] = is_column ? (real)values[e] : 0;                                  \
            }                                                                                     \
        }                                                                                         \
    }

SPARSE_INPUT(float, int32_t, uint32_t, f32_i32)
SPARSE_INPUT(float, int64_t, uint64_t, f32_i64)
SPARSE_INPUT(double, int32_t, uint32_t, f64_i32)
SPARSE_INPUT(double, int64_t, uint64_t, f64_i64)
#undef SPARSE_INPUT

static const fnn_sparse_input NAME(sparse_inputs)[] = {
    {"f32", sizeof(int32_t), NAME(sparse_product_f32_i32), NAME(sparse_sort_f32_i32)},
    {"f32", sizeof(int64_t), NAME(sparse_product_f32_i64), NAME(sparse_sort_f32_i64)},
    {"f64", sizeof(int32_t), NAME(sparse_product_f64_i32), NAME(sparse_sort_f64_i32)},
    {"f64", sizeof(int64_t), NAME(sparse_product_f64_i64), NAME(sparse_sort_f64_i64)},
    {NULL, 0, NULL, NULL},
};

ALWAYS_INLINE void NAME(add_entry)(const size_t vectors, const size_t lanes, size_t j, real *w,
                                   const real *d, vector x)
{
    for (size_t v = 0; v < vectors; v++) {
        real *sum = w + j + v * VECTOR_LANES;
        const vector of_d = NAME(load_up_to)(d + j + v * VECTOR_LANES, lanes);
        NAME(store_up_to)(sum, FMA(x, of_d, NAME(load_up_to)(sum, lanes)), lanes);
    }
}

static void NAME(sparse_gradient)(void *dweights, size_t row, const fnn_matrix *d,
                                  const fnn_entries *entries, size_t first, size_t end,
                                  size_t first_column, size_t n_units)
{
    const real *values = entries->values;
    for (size_t unit = 0, width; unit < n_units; unit += width) {
        const size_t left = n_units - unit;
        size_t d_row;
        const real *from = NAME(panel_at)(d, unit, &d_row);
        width = left < d->width ? left : d->width;
        for (size_t e = first; e < end; e++) {
            real *w = (real *)dweights + (entries->columns[e] - first_column) * row + unit;
            const real *of_row = from + entries->rows[e] * d_row;
            FOR_PIECES(width, NAME(add_entry), w, of_row, CONSTANT(values[e]));
        }
    }
}

#undef FOR_PIECES

#endif

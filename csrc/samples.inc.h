/* Products of matrices in panels of one column, which lie sample after sample: the lanes of a vector
 * are samples. So narrow layers, whose rows fill a vector in part, keep every lane busy. */
#ifndef FASTNN_SAMPLES_INC_H
#define FASTNN_SAMPLES_INC_H

#include "layout.inc.h"
#include "narrow.inc.h"
#include "panels.inc.h"

/* ---- a as it is: samples times a number of b ---- */

/* A tile of c: columns, and vectors of samples: up to eight chains of additions. */
#define TILE_COLUMNS 4
#define VECTORS_FOR(columns) ((columns) > 2 ? 2 : 4)
/* Samples whose columns are transposed into a c that is not in single columns. */
#define TURNED_SAMPLES (16 * VECTOR_LANES)

/* Some columns of a matrix, `next` elements from one to the next. */
typedef struct NAME(single_columns) {
    real *data;
    size_t next;
} NAME(single_columns);

/* A tile of c from sample i on, of `lanes` samples where there is one vector that is not whole. Each
 * element is one chain of fused multiply-adds in ascending k. columns, vectors and whole are constants
 * where this is inlined. */
ALWAYS_INLINE void NAME(samples_tile)(const size_t columns, const size_t vectors, const int whole,
                                      size_t i, size_t lanes, size_t k, NAME(single_columns) a,
                                      const real *b, size_t ldb, const real *bias, int accumulate,
                                      NAME(single_columns) c)
{
    vector sums[TILE_COLUMNS][VECTORS_FOR(1)];
#define AT(from) (whole ? NAME(load)((from) + v * VECTOR_LANES) : NAME(load_lanes)(from, lanes))
#pragma GCC unroll 4
    for (size_t j = 0; j < columns; j++) {
#pragma GCC unroll 4
        for (size_t v = 0; v < vectors; v++)
            sums[j][v] = accumulate     ? AT(c.data + j * c.next + i)
                         : bias != NULL ? CONSTANT(bias[j])
                                        : (vector){0};
    }
    const real *samples = a.data + i;
    for (; k > 0; k--, samples += a.next, b += ldb) {
        vector x[VECTORS_FOR(1)];
#pragma GCC unroll 4
        for (size_t v = 0; v < vectors; v++)
            x[v] = AT(samples);
#pragma GCC unroll 4
        for (size_t j = 0; j < columns; j++) {
            const vector factor = CONSTANT(b[j]);
#pragma GCC unroll 4
            for (size_t v = 0; v < vectors; v++)
                sums[j][v] = FMA(x[v], factor, sums[j][v]);
        }
    }
#undef AT
#pragma GCC unroll 4
    for (size_t j = 0; j < columns; j++) {
#pragma GCC unroll 4
        for (size_t v = 0; v < vectors; v++) {
            real *to = c.data + j * c.next + i + v * VECTOR_LANES;
            if (whole)
                NAME(store)(to, sums[j][v]);
            else
                NAME(store_lanes)(to, sums[j][v], lanes);
        }
    }
}

/* m samples of some columns of c. */
#define SAMPLES_FUNCTION(name, columns)                                                           \
    static __attribute__((noinline)) void NAME(name)(                                             \
        size_t m, size_t k, NAME(single_columns) a, const real *b, size_t ldb, const real *bias,  \
        int accumulate, NAME(single_columns) c)                                                   \
    {                                                                                             \
        const size_t vectors = VECTORS_FOR(columns), height = vectors * VECTOR_LANES;             \
        size_t i = 0;                                                                             \
        for (; i + height <= m; i += height)                                                      \
            NAME(samples_tile)(columns, vectors, 1, i, 0, k, a, b, ldb, bias, accumulate, c);     \
        for (; i < m; i += VECTOR_LANES)                                                          \
            NAME(samples_tile)(columns, 1, 0, i, m - i < VECTOR_LANES ? m - i : VECTOR_LANES, k,  \
                               a, b, ldb, bias, accumulate, c);                                   \
    }
SAMPLES_FUNCTION(samples_1, 1)
SAMPLES_FUNCTION(samples_2, 2)
SAMPLES_FUNCTION(samples_3, 3)
SAMPLES_FUNCTION(samples_4, 4)
#undef SAMPLES_FUNCTION

typedef void (*NAME(samples_function))(size_t m, size_t k, NAME(single_columns) a, const real *b,
                                       size_t ldb, const real *bias, int accumulate,
                                       NAME(single_columns) c);

static const NAME(samples_function) NAME(samples_functions)[] = {
    NULL, NAME(samples_1), NAME(samples_2), NAME(samples_3), NAME(samples_4),
};

/* c (m, n) = start + a (m, k) @ b (k, n), a in single columns; c in single columns, or in rows, into
 * which they are transposed. */
static __attribute__((noinline)) void NAME(gemm_samples)(size_t m, size_t n, size_t k,
                                                         const fnn_matrix *a, const fnn_matrix *b,
                                                         const real *bias, int accumulate,
                                                         const fnn_matrix *c)
{
    real turned[TILE_COLUMNS * TURNED_SAMPLES] __attribute__((aligned(64)));
    const NAME(single_columns) block = {turned, TURNED_SAMPLES};
    size_t row, ldb, ldc;
    for (size_t j = 0; j < n; j += TILE_COLUMNS) {
        const size_t width = n - j < TILE_COLUMNS ? n - j : TILE_COLUMNS;
        const NAME(samples_function) run = NAME(samples_functions)[width];
        const real *start = bias != NULL ? bias + j : NULL, *from = NAME(panel_at)(b, j, &ldb);
        NAME(single_columns) samples = {NAME(panel_at)(a, 0, &row), a->panel};
        real *to = NAME(panel_at)(c, j, &ldc);
        if (c->width == 1) {
            run(m, k, samples, from, ldb, start, accumulate, (NAME(single_columns)){to, c->panel});
            continue;
        }
        for (size_t i = 0; i < m; i += TURNED_SAMPLES, to += TURNED_SAMPLES * ldc) {
            const size_t rows = m - i < TURNED_SAMPLES ? m - i : TURNED_SAMPLES;
            if (accumulate)
                NAME(transpose)(turned, TURNED_SAMPLES, to, ldc, rows, width);
            run(rows, k, samples, from, ldb, start, accumulate, block);
            NAME(transpose)(to, ldc, turned, TURNED_SAMPLES, width, rows);
            samples.data += TURNED_SAMPLES;
        }
    }
}

/* ---- transposed a: dot products of columns ---- */

/* c (m, n) = start + transposed a (k, m) @ b (k, n), a and b in single columns. */
static __attribute__((noinline)) void NAME(gemm_of_columns)(
    size_t m, size_t n, size_t k, const fnn_matrix *a, const fnn_matrix *b, const real *bias,
    int accumulate, const fnn_matrix *c)
{
    size_t row, ldc;
    real *c_data = NAME(panel_at)(c, 0, &ldc);
    const real *start = accumulate ? c_data : bias;
    size_t start_row = accumulate ? ldc : 0, p = 0;
    do {
        const size_t depth = k - p < DOT_BLOCK ? k - p : DOT_BLOCK;
        const NAME(span) span = {NAME(panel_at)(a, 0, &row) + p, a->panel, 1, depth};
        for (size_t j = 0, width; j < n; j += width) {
            width = n - j >= 4 ? 4 : n - j >= 2 ? 2 : 1;
            (width == 4 ? NAME(dots_4) : width == 2 ? NAME(dots_2) : NAME(dots_1))(
                m, 1, &span, NAME(panel_at)(b, j, &row) + p, b->panel,
                start != NULL ? start + j : NULL, start_row, c_data + j, ldc);
        }
        start = c_data;
        start_row = ldc;
        p += depth;
    } while (p < k);
}

#endif

/* Matrix products in panels of b: c (m, n) = start + op(a) (m, k) @ b (k, n).
 *
 * One micro-kernel keeps a tile of c in registers while k runs: for each k a few vectors of b's row
 * are loaded, and each of the tile's rows broadcasts one number of a. Every element of c is one
 * chain of fused multiply-adds in ascending k, whatever the tile, so neither the tiling nor the
 * width of the vectors shows in the bits.
 *
 * a is read by strides: (lda, 1) as it is, (1, lda) transposed; b in panels of PANEL columns. Both
 * are read in place, or, where a line of them is far from the next one, from a copy without gaps. */
#ifndef FASTNN_PANELS_INC_H
#define FASTNN_PANELS_INC_H

#include "vector.inc.h"

/* Rows and vectors of a tile. An accumulator is busy for 4 cycles and there are two pipes, so at
 * least 8 are needed; more rows for fewer vectors keep loads below two for each pair of
 * multiply-adds. AVX-512 has 32 registers, the others 16. */
#define MAX_ROWS 12
#if VECTOR_BYTES == 64
#define PANEL_VECTORS 4
#define ROWS_FOR(vectors) ((vectors) == 4 ? 6 : (vectors) == 3 ? 8 : 12)
#else
#define PANEL_VECTORS 2
#define ROWS_FOR(vectors) ((vectors) == 2 ? 6 : 12)
#endif
#define PANEL (PANEL_VECTORS * VECTOR_LANES)
/* k's at a time: a panel of b of that height stays in a cache, with AVX-512 the L2 (128 KiB; twice as
 * many lost 20 %), else the L1. */
#define K_BLOCK (VECTOR_BYTES == 64 ? 512 : 256)
/* Lines at least COPY_STRIDE_BYTES apart are copied: they fall into few sets of the L1 cache, and each
 * into another page. A panel of b is, if COPY_ROWS rows of c share it and its rows are short:
 * this took products of 256 x 2048 x 2048 from 68 to 87 % of the peak with AVX2; with AVX-512, whose
 * panels have rows of four cache lines, it cost 1 %. */
#define COPY_STRIDE_BYTES 4096
#define COPY_ROWS 128
#define COPY_PANEL_BYTES 256
/* Columns of a transposed a that are copied at a time; all that `tile_rows` of a plan can be for
 * wide layers. */
#define COPY_COLUMNS 48

/* A tile of c, (rows, vectors * lanes), whose rows are ldc apart, from `start`, whose rows are
 * start_row apart (0 for a bias; NULL: zeros), plus a @ b. `last` lanes of the last vector count;
 * the others are neither read (where masked_b) nor written (where not whole). rows, vectors,
 * masked_b and whole are constants where this is inlined: all loops over them unroll, and `sums`
 * stays in registers. */
ALWAYS_INLINE void NAME(gemm_tile)(const size_t rows, const size_t vectors, const int masked_b,
                                   const int whole, size_t k, const real *a, size_t a_row,
                                   size_t a_column, const real *b, size_t ldb,
                                   const real *start, size_t start_row, real *c, size_t ldc,
                                   size_t last)
{
    vector sums[MAX_ROWS][PANEL_VECTORS];
#pragma GCC unroll 12
    for (size_t i = 0; i < rows; i++) {
#pragma GCC unroll 4
        for (size_t j = 0; j < vectors; j++) {
            const real *from = start + i * start_row + j * VECTOR_LANES;
            if (start == NULL)
                sums[i][j] = (vector){0};
            else if (whole || j + 1 < vectors)
                sums[i][j] = NAME(load)(from);
            else
                sums[i][j] = NAME(load_lanes)(from, last);
        }
    }
    for (size_t p = 0; p < k; p++, a += a_column, b += ldb) {
        vector row[PANEL_VECTORS];
#pragma GCC unroll 4
        for (size_t j = 0; j < vectors; j++) {
            const real *from = b + j * VECTOR_LANES;
            row[j] = masked_b && j + 1 == vectors ? NAME(load_lanes)(from, last) : NAME(load)(from);
        }
#pragma GCC unroll 12
        for (size_t i = 0; i < rows; i++) {
            const vector factor = a[i * a_row] - (vector){0};
#pragma GCC unroll 4
            for (size_t j = 0; j < vectors; j++)
                sums[i][j] = FMA(factor, row[j], sums[i][j]);
        }
    }
#pragma GCC unroll 12
    for (size_t i = 0; i < rows; i++) {
#pragma GCC unroll 4
        for (size_t j = 0; j < vectors; j++) {
            real *to = c + i * ldc + j * VECTOR_LANES;
            if (whole || j + 1 < vectors)
                NAME(store)(to, sums[i][j]);
            else
                NAME(store_lanes)(to, sums[i][j], last);
        }
    }
}

/* A tile of any height up to ROWS_FOR(vectors): one copy of the code for each. */
#define TILE_CASE(rows)                                                                           \
    case rows:                                                                                    \
        if (rows <= ROWS_FOR(vectors))                                                            \
            NAME(gemm_tile)(rows, vectors, masked_b, whole, k, a, a_row, a_column, b, ldb, start, \
                            start_row, c, ldc, last);                                             \
        break;

ALWAYS_INLINE void NAME(gemm_tile_rows)(size_t rows, const size_t vectors, const int masked_b,
                                        const int whole, size_t k, const real *a, size_t a_row,
                                        size_t a_column, const real *b, size_t ldb,
                                        const real *start, size_t start_row, real *c, size_t ldc,
                                        size_t last)
{
    switch (rows) {
        TILE_CASE(1) TILE_CASE(2) TILE_CASE(3) TILE_CASE(4) TILE_CASE(5) TILE_CASE(6)
        TILE_CASE(7) TILE_CASE(8) TILE_CASE(9) TILE_CASE(10) TILE_CASE(11) TILE_CASE(12)
    }
}
#undef TILE_CASE

/* All rows of one panel and one block of k, in tiles of nearly equal height. */
#define PANEL_FUNCTION(name, vectors, masked_b, whole)                                            \
    static __attribute__((noinline)) void NAME(name)(                                             \
        size_t m, size_t k, const real *a, size_t a_row, size_t a_column, const real *b,          \
        size_t ldb, const real *start, size_t start_row, real *c, size_t ldc, size_t last)        \
    {                                                                                             \
        for (size_t tiles = (m + ROWS_FOR(vectors) - 1) / ROWS_FOR(vectors); tiles > 0; tiles--) {\
            const size_t rows = (m + tiles - 1) / tiles;                                          \
            NAME(gemm_tile_rows)(rows, vectors, masked_b, whole, k, a, a_row, a_column, b, ldb,   \
                                 start, start_row, c, ldc, last);                                 \
            a += rows * a_row;                                                                    \
            c += rows * ldc;                                                                      \
            if (start != NULL)                                                                    \
                start += rows * start_row;                                                        \
            m -= rows;                                                                            \
        }                                                                                         \
    }

PANEL_FUNCTION(panel_1_padded, 1, 0, 0)
PANEL_FUNCTION(panel_2_padded, 2, 0, 0)
PANEL_FUNCTION(panel_1_masked, 1, 1, 0)
PANEL_FUNCTION(panel_2_masked, 2, 1, 0)
#if PANEL_VECTORS == 4
PANEL_FUNCTION(panel_3_padded, 3, 0, 0)
PANEL_FUNCTION(panel_4_padded, 4, 0, 0)
PANEL_FUNCTION(panel_3_masked, 3, 1, 0)
PANEL_FUNCTION(panel_4_masked, 4, 1, 0)
PANEL_FUNCTION(panel_whole, 4, 0, 1)
#else
PANEL_FUNCTION(panel_whole, 2, 0, 1)
#endif
#undef PANEL_FUNCTION

typedef void (*NAME(panel_function))(size_t m, size_t k, const real *a, size_t a_row,
                                     size_t a_column, const real *b, size_t ldb,
                                     const real *start, size_t start_row, real *c, size_t ldc,
                                     size_t last);

static const NAME(panel_function) NAME(padded_panels)[] = {
    NULL, NAME(panel_1_padded), NAME(panel_2_padded),
#if PANEL_VECTORS == 4
    NAME(panel_3_padded), NAME(panel_4_padded),
#endif
};
static const NAME(panel_function) NAME(masked_panels)[] = {
    NULL, NAME(panel_1_masked), NAME(panel_2_masked),
#if PANEL_VECTORS == 4
    NAME(panel_3_masked), NAME(panel_4_masked),
#endif
};

/* copy (depth, columns), rows `width` apart = a (depth, columns), rows lda apart; every row is filled
 * up with zeros to whole vectors. */
ALWAYS_INLINE void NAME(copy_lines)(real *copy, size_t width, const real *a, size_t lda,
                                    size_t depth, size_t columns)
{
    const size_t whole = columns - columns % VECTOR_LANES;
    for (size_t p = 0; p < depth; p++, copy += width, a += lda) {
        for (size_t j = 0; j < whole; j += VECTOR_LANES)
            NAME(store)(copy + j, NAME(load)(a + j));
        if (whole < columns)
            NAME(store)(copy + whole, NAME(load_lanes)(a + whole, columns - whole));
    }
}

/* What computes a panel of some columns (padded: of a copy filled up with zeros), and how many lanes
 * of its last vector count. */
ALWAYS_INLINE NAME(panel_function) NAME(panel_for)(size_t columns, int padded, size_t *last)
{
    const size_t vectors = (columns + VECTOR_LANES - 1) / VECTOR_LANES;
    *last = columns - (vectors - 1) * VECTOR_LANES;
    if (columns == PANEL)
        return NAME(panel_whole);
    return padded ? NAME(padded_panels)[vectors] : NAME(masked_panels)[vectors];
}

/* The product for one block of k: all panels of b, read in place. */
static void NAME(gemm_panels)(size_t m, size_t n, size_t depth, const real *a, size_t a_row,
                              size_t a_column, const real *b, size_t ldb, const real *start,
                              size_t start_row, real *c, size_t ldc)
{
    for (size_t j = 0; j < n; j += PANEL) {
        const size_t columns = n - j < PANEL ? n - j : PANEL;
        size_t last;
        NAME(panel_function) run = NAME(panel_for)(columns, 0, &last);
        run(m, depth, a, a_row, a_column, b + j, ldb, start != NULL ? start + j : NULL, start_row,
            c + j, ldc, last);
    }
}

/* The same, each panel of b from a copy (depth, PANEL). Not inlined, like the other ways: that would
 * cost the small products some ten instructions. */
static __attribute__((noinline)) void NAME(gemm_copied_panels)(
    size_t m, size_t n, size_t depth, const real *a, size_t a_row, size_t a_column, const real *b,
    size_t ldb, const real *start, size_t start_row, real *c, size_t ldc, real *copy)
{
    for (size_t j = 0; j < n; j += PANEL) {
        const size_t columns = n - j < PANEL ? n - j : PANEL;
        size_t last;
        NAME(panel_function) run = NAME(panel_for)(columns, 1, &last);
        NAME(copy_lines)(copy, PANEL, b + j, ldb, depth, columns);
        run(m, depth, a, a_row, a_column, copy, PANEL, start != NULL ? start + j : NULL, start_row,
            c + j, ldc, last);
    }
}

/* The same, from a copy (depth, COPY_COLUMNS) of that many columns of a transposed a at a time. */
static __attribute__((noinline)) void NAME(gemm_copied_columns)(
    size_t m, size_t n, size_t depth, const real *a, size_t lda, const real *b, size_t ldb,
    const real *start, size_t start_row, real *c, size_t ldc, real *copy)
{
    for (size_t i = 0; i < m; i += COPY_COLUMNS) {
        const size_t rows = m - i < COPY_COLUMNS ? m - i : COPY_COLUMNS;
        NAME(copy_lines)(copy, COPY_COLUMNS, a + i, lda, depth, rows);
        NAME(gemm_panels)(rows, n, depth, copy, 1, COPY_COLUMNS, b, ldb,
                          start != NULL ? start + i * start_row : NULL, start_row, c + i * ldc, ldc);
    }
}

/* One row of c: twice as wide a panel, whose chains of additions overlap, and b is read once from
 * end to end where it is no wider. */
#define ROW_VECTORS 8

ALWAYS_INLINE void NAME(row_panel)(const size_t vectors, size_t k, const real *a, const real *b,
                                   size_t ldb, const real *start, real *c)
{
    vector sums[ROW_VECTORS];
#pragma GCC unroll 8
    for (size_t j = 0; j < vectors; j++)
        sums[j] = start != NULL ? NAME(load)(start + j * VECTOR_LANES) : CONSTANT(0);
    for (size_t p = 0; p < k; p++, b += ldb) {
        const vector factor = CONSTANT(a[p]);
#pragma GCC unroll 8
        for (size_t j = 0; j < vectors; j++)
            sums[j] = FMA(factor, NAME(load)(b + j * VECTOR_LANES), sums[j]);
    }
#pragma GCC unroll 8
    for (size_t j = 0; j < vectors; j++)
        NAME(store)(c + j * VECTOR_LANES, sums[j]);
}

/* One row of c; returns how many of its columns it has left, at the end. */
static __attribute__((noinline)) size_t NAME(gemm_row)(size_t n, size_t k, const real *a,
                                                       const real *b, size_t ldb,
                                                       const real *start, real *c)
{
    for (; n >= ROW_VECTORS * VECTOR_LANES; n -= ROW_VECTORS * VECTOR_LANES) {
        NAME(row_panel)(ROW_VECTORS, k, a, b, ldb, start, c);
        b += ROW_VECTORS * VECTOR_LANES;
        c += ROW_VECTORS * VECTOR_LANES;
        if (start != NULL)
            start += ROW_VECTORS * VECTOR_LANES;
    }
    return n;
}

#endif

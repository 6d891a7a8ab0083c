/* Matrix products in panels of b: c (m, n) = start + op(a) (m, k) @ b (k, n).
 *
 * One micro-kernel keeps a tile of c in registers while k runs: for each k a few vectors of b's row
 * are loaded, and each of the tile's rows broadcasts one number of a. Every element of c is one
 * chain of fused multiply-adds in ascending k, whatever the tile, so neither the tiling nor the
 * width of the vectors shows in the bits.
 *
 * Nothing is copied: b and c are walked panel by panel, a along its rows (a span a panel), or,
 * transposed, down the columns of one panel. While it multiplies, the micro-kernel can run an errand:
 * fetch what is wanted next, or copy it, so that nobody waits for memory. */
#ifndef FASTNN_PANELS_INC_H
#define FASTNN_PANELS_INC_H

#include "matrix.inc.h"
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
/* Panels of a matrix that has several: whole cache lines. */
#define CACHE_LINE (64 / sizeof(real))
#define MATRIX_PANEL (PANEL > CACHE_LINE ? PANEL : CACHE_LINE)
#define SINGLE_PANEL (256 / sizeof(real))

/* Numbers of a for successive k's: of row i of c, the p-th is data[i * row + p * step]. */
typedef struct NAME(span) {
    const real *data;
    size_t row, step, depth;
} NAME(span);

/* Spans at most, and k's at a time: a panel of b of that height stays in a cache beside what else
 * is read, with AVX-512 in the L2, else in the L1. */
#define MAX_SPANS 32

ALWAYS_INLINE size_t NAME(k_block)(size_t k)
{
    if (k <= SINGLE_PANEL)
        return SINGLE_PANEL;
    const fnn_caches *caches = fnn_find_caches();
    const size_t bytes = VECTOR_BYTES == 64 ? caches->l2 / 8 : caches->l1_data / 2;
    const size_t depth = bytes / (PANEL * sizeof(real)) / SINGLE_PANEL * SINGLE_PANEL;
    const size_t most = MAX_SPANS * MATRIX_PANEL;
    return depth < SINGLE_PANEL ? SINGLE_PANEL : depth > most ? most : depth;
}

/* What is done while a panel of c is computed, a row (of a panel's width) every few k's: evenly spread,
 * since many at once would wait for each other. Rows are fetched into the L2, or copied to rows of a
 * panel. */
enum { NO_ERRAND, FETCH, COPY };
#define ERRAND_STEPS(kind) ((kind) == COPY ? 4 : 2)
/* Rows between one that is copied and one that is fetched: some 0.2 us. */
#define ROWS_AHEAD 8

/* Rows that are left to be fetched or copied, at least one. */
typedef struct NAME(piece) {
    const real *data;
    size_t row, rows;
} NAME(piece);

typedef struct NAME(errand) {
    NAME(piece) pieces[FNN_MAX_AHEAD];
    size_t done, n_pieces;
    real *copy;
} NAME(errand);

ALWAYS_INLINE void NAME(add_piece)(NAME(errand) *errand, const real *data, size_t row, size_t rows)
{
    errand->pieces[errand->n_pieces++] = (NAME(piece)){data, row, rows};
}

ALWAYS_INLINE void NAME(fetch_row)(const real *row)
{
#pragma GCC unroll 4
    for (size_t j = 0; j < PANEL; j += CACHE_LINE)
        __builtin_prefetch(row + j, 0, 2);
}

ALWAYS_INLINE void NAME(run_errand)(const int kind, NAME(errand) *errand)
{
    NAME(piece) *piece = &errand->pieces[errand->done];
    NAME(fetch_row)(piece->data + (kind == COPY ? ROWS_AHEAD * piece->row : 0));
    if (kind == COPY) {
#pragma GCC unroll 4
        for (size_t j = 0; j < PANEL; j += VECTOR_LANES)
            NAME(store)(errand->copy + j, NAME(load)(piece->data + j));
        errand->copy += PANEL;
    }
    piece->data += piece->row;
    piece->rows--;
    errand->done += piece->rows == 0;
}

/* sums += a's column (rows,) times b's row (vectors * lanes,), for one k. */
ALWAYS_INLINE void NAME(gemm_step)(const size_t rows, const size_t vectors, const int whole,
                                   vector sums[MAX_ROWS][PANEL_VECTORS], const real *a, size_t row,
                                   const real *b, size_t last)
{
    vector line[PANEL_VECTORS];
#pragma GCC unroll 4
    for (size_t j = 0; j < vectors; j++) {
        const real *from = b + j * VECTOR_LANES;
        line[j] = whole || j + 1 < vectors ? NAME(load)(from) : NAME(load_lanes)(from, last);
    }
#pragma GCC unroll 12
    for (size_t i = 0; i < rows; i++) {
        const vector factor = a[i * row] - (vector){0};
#pragma GCC unroll 4
        for (size_t j = 0; j < vectors; j++)
            sums[i][j] = FMA(factor, line[j], sums[i][j]);
    }
}

/* A tile of c, (rows, vectors * lanes), whose rows are ldc apart, from `start`, whose rows are
 * start_row apart (0 for a bias; NULL: zeros), plus a @ b; the tile's first row is row `first` of the
 * spans. `last` lanes of the last vector count; where not whole, the others are neither read nor
 * written. rows, vectors, whole and kind (of errand) are constants where this is inlined: all loops
 * over them unroll, and `sums` stays in registers. */
ALWAYS_INLINE void NAME(gemm_tile)(const size_t rows, const size_t vectors, const int whole,
                                   const int kind, size_t n_spans, const NAME(span) *span,
                                   size_t first, const real *b, size_t ldb, const real *start,
                                   size_t start_row, real *c, size_t ldc, size_t last,
                                   NAME(errand) *errand)
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
    for (; n_spans > 0; n_spans--, span++) {
        const size_t row = span->row, step = span->step;
        const real *a = span->data + first * row;
        size_t p = span->depth;
        while (kind != NO_ERRAND && p >= ERRAND_STEPS(kind) && errand->done < errand->n_pieces) {
            NAME(run_errand)(kind, errand);
#pragma GCC unroll 4
            for (size_t i = 0; i < ERRAND_STEPS(kind); i++, p--, a += step, b += ldb)
                NAME(gemm_step)(rows, vectors, whole, sums, a, row, b, last);
        }
        for (; p > 0; p--, a += step, b += ldb)
            NAME(gemm_step)(rows, vectors, whole, sums, a, row, b, last);
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
            NAME(gemm_tile)(rows, vectors, whole, kind, n_spans, spans, first, b, ldb, start,     \
                            start_row, c, ldc, last, errand);                                     \
        break;

ALWAYS_INLINE void NAME(gemm_tile_rows)(size_t rows, const size_t vectors, const int whole,
                                        const int kind, size_t n_spans, const NAME(span) *spans,
                                        size_t first, const real *b, size_t ldb, const real *start,
                                        size_t start_row, real *c, size_t ldc, size_t last,
                                        NAME(errand) *errand)
{
    switch (rows) {
        TILE_CASE(1) TILE_CASE(2) TILE_CASE(3) TILE_CASE(4) TILE_CASE(5) TILE_CASE(6)
        TILE_CASE(7) TILE_CASE(8) TILE_CASE(9) TILE_CASE(10) TILE_CASE(11) TILE_CASE(12)
    }
}
#undef TILE_CASE

/* m rows of one panel of c, in tiles of nearly equal height. */
#define PANEL_FUNCTION(name, vectors, whole, kind)                                                \
    static __attribute__((noinline)) void NAME(name)(                                             \
        size_t m, size_t n_spans, const NAME(span) *spans, const real *b, size_t ldb,             \
        const real *start, size_t start_row, real *c, size_t ldc, size_t last,                    \
        NAME(errand) *errand)                                                                     \
    {                                                                                             \
        size_t first = 0;                                                                         \
        for (size_t tiles = (m + ROWS_FOR(vectors) - 1) / ROWS_FOR(vectors); tiles > 0; tiles--) {\
            const size_t rows = (m - first + tiles - 1) / tiles;                                  \
            NAME(gemm_tile_rows)(rows, vectors, whole, kind, n_spans, spans, first, b, ldb, start,\
                                 start_row, c, ldc, last, errand);                                \
            first += rows;                                                                        \
            c += rows * ldc;                                                                      \
            if (start != NULL)                                                                    \
                start += rows * start_row;                                                        \
        }                                                                                         \
    }

PANEL_FUNCTION(panel_1, 1, 0, NO_ERRAND)
PANEL_FUNCTION(panel_2, 2, 0, NO_ERRAND)
#if PANEL_VECTORS == 4
PANEL_FUNCTION(panel_3, 3, 0, NO_ERRAND)
PANEL_FUNCTION(panel_4, 4, 0, NO_ERRAND)
#endif
PANEL_FUNCTION(panel_whole, PANEL_VECTORS, 1, NO_ERRAND)
PANEL_FUNCTION(panel_fetching, PANEL_VECTORS, 1, FETCH)
PANEL_FUNCTION(panel_copying, PANEL_VECTORS, 1, COPY)
#undef PANEL_FUNCTION

typedef void (*NAME(panel_function))(size_t m, size_t n_spans, const NAME(span) *spans,
                                     const real *b, size_t ldb, const real *start,
                                     size_t start_row, real *c, size_t ldc, size_t last,
                                     NAME(errand) *errand);

static const NAME(panel_function) NAME(panel_functions)[] = {
    NULL, NAME(panel_1), NAME(panel_2),
#if PANEL_VECTORS == 4
    NAME(panel_3), NAME(panel_4),
#endif
};

/* What computes a panel of some columns, and how many lanes of its last vector count. */
ALWAYS_INLINE NAME(panel_function) NAME(panel_for)(size_t columns, size_t *last)
{
    const size_t vectors = (columns + VECTOR_LANES - 1) / VECTOR_LANES;
    *last = columns - (vectors - 1) * VECTOR_LANES;
    return columns == PANEL ? NAME(panel_whole) : NAME(panel_functions)[vectors];
}

/* `depth` numbers of each row of a, from row `row` and column `column` on: a span a panel. Returns
 * how many spans that is. */
ALWAYS_INLINE size_t NAME(spans_along)(NAME(span) *spans, const fnn_matrix *a, size_t row,
                                       size_t column, size_t depth)
{
    size_t n_spans = 0;
    while (depth > 0) {
        NAME(span) *span = &spans[n_spans++];
        const size_t left = NAME(left_in_panel)(a, column);
        span->data = NAME(panel_at)(a, column, &span->row) + row * span->row;
        span->step = 1;
        span->depth = depth < left ? depth : left;
        column += span->depth;
        depth -= span->depth;
    }
    return n_spans;
}

/* `depth` numbers of each column of a, of those in one panel, from row `row` and column `column` on. */
ALWAYS_INLINE size_t NAME(span_down)(NAME(span) *span, const fnn_matrix *a, size_t row,
                                     size_t column, size_t depth)
{
    span->data = NAME(panel_at)(a, column, &span->step) + row * span->step;
    span->row = 1;
    span->depth = depth;
    return depth > 0;
}

/* Rows [row, row + m) and columns [j, n) of c, panel by panel; a's part is `spans`, and b's begins at
 * row k. What c holds counts if `accumulate`. */
ALWAYS_INLINE void NAME(gemm_panels)(size_t row, size_t m, size_t j, size_t n, size_t n_spans,
                                     const NAME(span) *spans, const fnn_matrix *b, size_t k,
                                     const real *bias, int accumulate, const fnn_matrix *c,
                                     const fnn_ahead *ahead)
{
    for (; j < n; j += PANEL) {
        const size_t columns = n - j < PANEL ? n - j : PANEL;
        size_t last, ldb, ldc;
        NAME(panel_function) run = NAME(panel_for)(columns, &last);
        const real *from = NAME(panel_at)(b, j, &ldb) + k * ldb;
        real *to = NAME(panel_at)(c, j, &ldc) + row * ldc;
        const real *start = accumulate ? to : bias != NULL ? bias + j : NULL;
        NAME(errand) fetching;
        if (ahead != NULL && columns == PANEL) {
            run = NAME(panel_fetching);
            fetching.done = fetching.n_pieces = 0;
            for (size_t i = 0; i < ahead->n_matrices; i++) {
                const real *wanted = (const real *)ahead->matrices[i] + row * ahead->row + j;
                NAME(add_piece)(&fetching, wanted, ahead->row, m);
            }
        }
        run(m, n_spans, spans, from, ldb, start, accumulate ? ldc : 0, to, ldc, last, &fetching);
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

/* Where b comes from afar its lines are read from end to end, so many side by side, and c is added to:
 * down a panel of them, the prefetchers of CPUs would not follow. They also stop at pages: so the next
 * lines are fetched meanwhile. */
#define ROW_LINES 4

ALWAYS_INLINE void NAME(row_lines)(const size_t lines, size_t n, const real *a, const real *b,
                                   size_t ldb, const real *start, real *c)
{
    for (size_t j = 0; j < n; j += VECTOR_LANES) {
        vector sum = start != NULL ? NAME(load)(start + j) : CONSTANT(0);
#pragma GCC unroll 8
        for (size_t p = 0; p < lines; p++) {
            __builtin_prefetch(b + (lines + p) * ldb + j, 0, 2);
            sum = FMA(CONSTANT(a[p]), NAME(load)(b + p * ldb + j), sum);
        }
        NAME(store)(c + j, sum);
    }
}

/* One row of c, all three in one panel; returns how many of its columns it has left, at the end. */
static __attribute__((noinline)) size_t NAME(gemm_row)(size_t n, size_t k, const real *a,
                                                       const real *b, size_t ldb,
                                                       const real *start, real *c)
{
    if (k * ldb * sizeof(real) > 2 * fnn_find_caches()->l2) {
        const size_t whole = n - n % VECTOR_LANES;
        for (; k >= ROW_LINES; k -= ROW_LINES, a += ROW_LINES, b += ROW_LINES * ldb, start = c)
            NAME(row_lines)(ROW_LINES, whole, a, b, ldb, start, c);
        for (; k > 0; k--, a++, b += ldb, start = c)
            NAME(row_lines)(1, whole, a, b, ldb, start, c);
        if (start != c) /* no line at all */
            NAME(row_lines)(0, whole, a, b, ldb, start, c);
        return n - whole;
    }
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

/* Products with a narrow c, where most lanes of a vector along its rows would be idle. */
#ifndef FASTNN_NARROW_INC_H
#define FASTNN_NARROW_INC_H

#include "layout.inc.h"
#include "panels.inc.h"

/* ---- transposed a: by columns ---- */

/* Columns of c, at most, for which this is looked at: the scratch has a line for each. */
#define NARROW_COLUMNS SINGLE_PANEL

/* Whether c (m, n) is cheaper by columns. Counted in vectors multiplied: k for each vector of c, and
 * for moving a square of c about SQUARE_COST. */
#define SQUARE_COST (8 * VECTOR_LANES)

static int NAME(cheaper_by_columns)(size_t m, size_t n, size_t k)
{
    const size_t vectors_down = (m + VECTOR_LANES - 1) / VECTOR_LANES;
    const size_t vectors_across = (n + VECTOR_LANES - 1) / VECTOR_LANES;
    return n <= NARROW_COLUMNS
           && vectors_down * (n * k + vectors_across * SQUARE_COST) < m * vectors_across * k;
}

/* c (m, n) = start + transposed a (k, m) @ b (k, n) by columns: where c is narrow, most lanes of a
 * vector of its row would be idle, so the vectors lie along its columns, which is the product
 * b' @ a, and that is transposed into c. Each element has the same chain as ever. The scratch is
 * (n, PANEL) of c's columns. */
static __attribute__((noinline)) void NAME(gemm_by_columns)(
    size_t m, size_t n, size_t k, const fnn_matrix *a, const fnn_matrix *b, const real *bias,
    int accumulate, const fnn_matrix *c, real *columns)
{
    size_t ldc;
    real *rows = NAME(panel_at)(c, 0, &ldc);
    const size_t block = NAME(k_block)(k);
    for (size_t i = 0; i < m; i += PANEL, rows += PANEL * ldc) {
        const size_t width = m - i < PANEL ? m - i : PANEL;
        size_t last, lda;
        NAME(panel_function) run = NAME(panel_for)(width, &last);
        const real *panel = NAME(panel_at)(a, i, &lda);
        if (accumulate || bias != NULL)
            NAME(transpose)(columns, PANEL, accumulate ? rows : bias, accumulate ? ldc : 0, width, n);
        else
            memset(columns, 0, sizeof(real) * n * PANEL);
        for (size_t p = 0; p < k; p += block) {
            const size_t depth = k - p < block ? k - p : block;
            for (size_t j = 0; j < n; j += b->width) { /* a panel of b */
                NAME(span) span;
                real *part = columns + j * PANEL;
                NAME(span_down)(&span, b, p, j, depth);
                run(n - j < b->width ? n - j : b->width, 1, &span, panel + p * lda, lda, part, PANEL,
                    part, PANEL, last, NULL);
            }
        }
        NAME(transpose)(rows, ldc, columns, PANEL, n, width);
    }
}

/* ---- transposed a: a handful of long sums ---- */

/* At most FEW_ROWS rows (or columns) of FNN_FEW_COLUMNS columns (or rows), of FEW_PRODUCTS or more: too
 * few chains to fill the time that an addition takes, so that each is split into FEW_CHAINS, of every
 * eighth product each, and those are added in pairs. Decided by the sizes alone, not by the width of
 * the vectors, so that the bits are the same under every instruction set. */
#define FEW_ROWS 4
#define FEW_CHAINS 8
#define FEW_PRODUCTS 32

static int NAME(is_few_long_sums)(size_t m, size_t n, size_t k)
{
    return (m < n ? m : n) <= FEW_ROWS && (m < n ? n : m) <= FNN_FEW_COLUMNS && k >= FEW_PRODUCTS;
}

/* sums (n,) = transposed column a (k, 1) @ b (k, n) */
static void NAME(long_sums)(real *sums, size_t n, size_t k, const real *a, size_t lda,
                            const real *b, size_t ldb)
{
    for (size_t j = 0; j < n; j += VECTOR_LANES) {
        const size_t lanes = n - j < VECTOR_LANES ? n - j : VECTOR_LANES;
        const real *factor = a, *row = b + j;
        vector chains[FEW_CHAINS] = {{0}};
        size_t p = 0;
        for (; p + FEW_CHAINS <= k; p += FEW_CHAINS) {
#pragma GCC unroll 8
            for (size_t i = 0; i < FEW_CHAINS; i++, factor += lda, row += ldb)
                chains[i] = FMA(CONSTANT(*factor), NAME(load_lanes)(row, lanes), chains[i]);
        }
        for (; p < k; p++, factor += lda, row += ldb)
            chains[0] = FMA(CONSTANT(*factor), NAME(load_lanes)(row, lanes), chains[0]);
#pragma GCC unroll 4
        for (size_t apart = 1; apart < FEW_CHAINS; apart *= 2) {
#pragma GCC unroll 8
            for (size_t i = 0; i < FEW_CHAINS; i += 2 * apart)
                chains[i] += chains[i + apart];
        }
        NAME(store_lanes)(sums + j, chains[0], lanes);
    }
}

/* c (m, n) = start + transposed a (k, m) @ b (k, n) */
static __attribute__((noinline)) void NAME(gemm_few)(size_t m, size_t n, size_t k,
                                                     const fnn_matrix *a, const fnn_matrix *b,
                                                     const real *bias, int accumulate,
                                                     const fnn_matrix *c)
{
    real sums[FNN_FEW_COLUMNS];
    size_t ldc;
    real *to = NAME(panel_at)(c, 0, &ldc);
    const real *start = accumulate ? to : bias;
    const size_t start_row = accumulate ? ldc : 0;
    const int by_columns = m > n;
    const size_t rows = by_columns ? n : m, columns = by_columns ? m : n;
    const fnn_matrix *down = by_columns ? b : a, *across = by_columns ? a : b;
    for (size_t i = 0; i < rows; i++) {
        size_t ld_down, ld_across;
        const real *factors = NAME(panel_at)(down, i, &ld_down);
        for (size_t j = 0; j < columns; j += across->width) { /* a panel */
            const size_t width = columns - j < across->width ? columns - j : across->width;
            const real *lines = NAME(panel_at)(across, j, &ld_across);
            NAME(long_sums)(sums + j, width, k, factors, ld_down, lines, ld_across);
        }
        for (size_t j = 0; j < columns; j++) {
            const size_t row = by_columns ? j : i, column = by_columns ? i : j;
            to[row * ldc + column] = (start != NULL ? start[row * start_row + column] : 0) + sums[j];
        }
    }
}

/* ---- a as it is: dot products ---- */

/* Each element of c is split into DOT_CHAINS chains, of every DOT_CHAINS-th product each, which are
 * added in halves (the first to the one after the middle, and so on), for every DOT_BLOCK products.
 * So the lanes of a vector lie along k, and the bits are the same under every instruction set. */
#define DOT_CHAINS (64 / sizeof(real))
#define DOT_BLOCK (4096 / sizeof(real))
/* Sums kept at a time, a vector each, and columns of a tile of them. */
#define DOT_SUMS (VECTOR_BYTES == 64 ? 16 : 8)
#define DOT_COLUMNS 4
/* Rows that pass all columns while they are in the L1 cache, and columns at most. */
#define DOT_ROWS 8
#define DOT_MAX_COLUMNS FNN_NARROW_COLUMNS
/* Numbers of b, at most, that are copied without scratch: any single column. */
#define DOT_FEW DOT_BLOCK

/* Decided by the sizes of b alone, so that a row's bits do not depend on its neighbours: vectors
 * multiplied for one row, counting 4 for the addition of lanes, and some for the transpose of b. */
static int NAME(cheaper_by_dots)(size_t n, size_t k)
{
    const size_t down = k / DOT_CHAINS, across = (n + DOT_CHAINS - 1) / DOT_CHAINS;
    return n <= DOT_MAX_COLUMNS && k >= DOT_CHAINS
           && 5 * (n * (down + 4) + 2 * across * down) < 4 * across * k;
}

/* Sums over the lanes of as many vectors as there are lanes. Interleaving vectors i and
 * i + lanes / 2, the lower halves and the upper ones, puts the lanes to add one upon the other. */
ALWAYS_INLINE vector NAME(add_lanes)(vector *sums)
{
#pragma GCC unroll 4
    for (size_t half = VECTOR_LANES / 2; half > 0; half /= 2) {
#pragma GCC unroll 8
        for (size_t i = 0; i < half; i++)
            sums[i] = SHUFFLE(sums[i], sums[i + half], LOWER)
                      + SHUFFLE(sums[i], sums[i + half], UPPER);
    }
    return sums[0];
}

/* c (rows, columns) = start + a (rows, k) @ b (columns, k) transposed, for k <= DOT_BLOCK and up to
 * tile_rows rows, a being the rows of the spans from `first` on. tile_rows and columns are constants
 * where this is inlined. */
ALWAYS_INLINE void NAME(dot_tile)(const size_t tile_rows, const size_t columns, size_t rows,
                                  size_t n_spans, const NAME(span) *spans, size_t first,
                                  const real *b, size_t ldb, const real *start, size_t start_row,
                                  real *c, size_t ldc)
{
    const size_t parts = DOT_CHAINS / VECTOR_LANES;
    vector part_sums[DOT_CHAINS / VECTOR_LANES][DOT_SUMS];
#define DOT_STEP(LOAD)                                                                            \
    do {                                                                                          \
        vector factors[DOT_COLUMNS];                                                              \
        _Pragma("GCC unroll 4") for (size_t j = 0; j < columns; j++)                              \
            factors[j] = LOAD(line + j * ldb + p);                                                 \
        _Pragma("GCC unroll 8") for (size_t i = 0; i < tile_rows; i++)                            \
        {                                                                                         \
            const vector x = LOAD(row[i] + p);                                                    \
            _Pragma("GCC unroll 4") for (size_t j = 0; j < columns; j++)                          \
                sums[i * columns + j] = FMA(x, factors[j], sums[i * columns + j]);                \
        }                                                                                         \
    } while (0)
#define LOAD_REST(from) NAME(load_lanes)(from, k - p)
#pragma GCC unroll 4
    for (size_t part = 0; part < parts; part++) {
        vector sums[DOT_SUMS] = {{0}};
        const real *line = b;
        for (size_t s = 0; s < n_spans; s++) {
            const size_t k = spans[s].depth; /* a multiple of DOT_CHAINS, but for the last one's */
            const real *row[DOT_ROWS];
            for (size_t i = 0; i < tile_rows; i++) /* rows there are not repeat the last one */
                row[i] = spans[s].data + (first + (i < rows ? i : rows - 1)) * spans[s].row;
            size_t p = part * VECTOR_LANES;
            for (; p + VECTOR_LANES <= k; p += DOT_CHAINS)
                DOT_STEP(NAME(load));
            if (p < k)
                DOT_STEP(LOAD_REST);
            line += k;
        }
        memcpy(part_sums[part], sums, tile_rows * columns * sizeof *sums);
    }
#undef DOT_STEP
#undef LOAD_REST
    real results[DOT_SUMS + VECTOR_LANES];
    for (size_t at = 0; at < tile_rows * columns; at += VECTOR_LANES) {
        vector sums[VECTOR_LANES];
#pragma GCC unroll 16
        for (size_t i = 0; i < VECTOR_LANES; i++) {
            const size_t s = at + i;
            if (s >= tile_rows * columns)
                sums[i] = (vector){0};
            else if (parts == 4)
                sums[i] = (part_sums[0][s] + part_sums[parts / 2][s])
                          + (part_sums[1 % parts][s] + part_sums[3 % parts][s]);
            else
                sums[i] = parts == 2 ? part_sums[0][s] + part_sums[1 % parts][s] : part_sums[0][s];
        }
        NAME(store)(results + at, NAME(add_lanes)(sums));
    }
    for (size_t i = 0; i < rows && i < tile_rows; i++, c += ldc) {
        for (size_t j = 0; j < columns; j++)
            c[j] = (start != NULL ? start[i * start_row + j] : 0) + results[i * columns + j];
    }
}

#define DOT_FUNCTION(name, columns)                                                               \
    static __attribute__((noinline)) void NAME(name)(                                             \
        size_t rows, size_t n_spans, const NAME(span) *spans, const real *b, size_t ldb,          \
        const real *start, size_t start_row, real *c, size_t ldc)                                 \
    {                                                                                             \
        const size_t height = (columns) == 1 ? DOT_ROWS : DOT_SUMS / (columns);                   \
        for (size_t i = 0; i < rows; i += height) {                                               \
            const real *from = start != NULL ? start + i * start_row : NULL;                      \
            if (rows - i > height / 2)                                                            \
                NAME(dot_tile)(height, columns, rows - i, n_spans, spans, i, b, ldb, from,        \
                               start_row, c + i * ldc, ldc);                                      \
            else                                                                                  \
                NAME(dot_tile)(height / 2, columns, rows - i, n_spans, spans, i, b, ldb, from,    \
                               start_row, c + i * ldc, ldc);                                      \
        }                                                                                         \
    }
DOT_FUNCTION(dots_1, 1)
DOT_FUNCTION(dots_2, 2)
DOT_FUNCTION(dots_4, 4)
#undef DOT_FUNCTION

/* Elements of the copy from one column of b to the next: whole cache lines. */
static size_t NAME(dot_stride)(size_t k)
{
    return ((k < DOT_BLOCK ? k : DOT_BLOCK) + DOT_CHAINS - 1) / DOT_CHAINS * DOT_CHAINS;
}

/* c (m, n) = start + a (m, k) @ b (k, n). The columns of b are copied: few into an array here, more
 * into the scratch. */
static __attribute__((noinline)) void NAME(gemm_dots)(
    size_t m, size_t n, size_t k, const fnn_matrix *a, const fnn_matrix *b, const real *bias,
    int accumulate, const fnn_matrix *c, real *scratch)
{
    real few[DOT_FEW] __attribute__((aligned(64)));
    NAME(span) spans[DOT_BLOCK / DOT_CHAINS];
    const size_t stride = NAME(dot_stride)(k);
    real *copy = n * stride <= DOT_FEW ? few : scratch;
    size_t ldb, ldc;
    const real *b_data = NAME(panel_at)(b, 0, &ldb);
    real *c_data = NAME(panel_at)(c, 0, &ldc);
    const real *start = accumulate ? c_data : bias;
    size_t start_row = accumulate ? ldc : 0;
    for (size_t p = 0; p < k; p += DOT_BLOCK) {
        const size_t depth = k - p < DOT_BLOCK ? k - p : DOT_BLOCK;
        const real *columns = copy; /* of b */
        if (n == 1 && ldb == 1)
            columns = b_data + p;
        else
            NAME(transpose)(copy, stride, b_data + p * ldb, ldb, depth, n);
        for (size_t i = 0; i < m; i += DOT_ROWS) {
            const size_t rows = m - i < DOT_ROWS ? m - i : DOT_ROWS;
            const size_t n_spans = NAME(spans_along)(spans, a, i, p, depth);
            for (size_t j = 0, width; j < n; j += width) {
                const size_t left = n - j;
                width = left >= 4 ? 4 : left >= 2 ? 2 : 1;
                (width == 4 ? NAME(dots_4) : width == 2 ? NAME(dots_2) : NAME(dots_1))(
                    rows, n_spans, spans, columns + j * stride, stride,
                    start != NULL ? start + i * start_row + j : NULL, start_row, c_data + i * ldc + j,
                    ldc);
            }
        }
        start = c_data;
        start_row = ldc;
    }
}

#endif

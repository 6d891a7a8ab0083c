/* Matrix products: c (m, n) = start + op(a) (m, k) @ b (k, n); see fnn_gemm.
 *
 * One micro-kernel keeps a tile of c in registers while k runs: for each k a few vectors of b's row
 * are loaded, and each of the tile's rows broadcasts one number of a. Every element of c is one
 * chain of fused multiply-adds in ascending k, whatever the tile, so neither the tiling nor the
 * width of the vectors shows in the bits.
 *
 * a is read by strides: (lda, 1) as it is, (1, lda) transposed; b in panels of PANEL columns. Both
 * are read in place, or, where a line of them is far from the next one, from a copy without gaps. */

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
/* k's at a time: a panel of b of that height (64 KiB with AVX-512) stays in the L2 cache. */
#define K_BLOCK 256
/* Lines at least so many bytes apart are copied, if at least so many rows of c share a panel of b:
 * they fall into few sets of the L1 cache, and each into another page. Copying the panels of b took
 * products of 256 x 2048 x 2048 from 68 to 87 % of the peak with AVX2. */
#define COPY_STRIDE_BYTES 4096
#define COPY_ROWS 128
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

/* The product for one block of k: all panels of b, read in place. */
static void NAME(gemm_panels)(size_t m, size_t n, size_t depth, const real *a, size_t a_row,
                              size_t a_column, const real *b, size_t ldb, const real *start,
                              size_t start_row, real *c, size_t ldc)
{
    for (size_t j = 0; j < n; j += PANEL) {
        const size_t columns = n - j < PANEL ? n - j : PANEL;
        const size_t vectors = (columns + VECTOR_LANES - 1) / VECTOR_LANES;
        const size_t last = columns - (vectors - 1) * VECTOR_LANES;
        NAME(panel_function)
        run = columns == PANEL ? NAME(panel_whole) : NAME(masked_panels)[vectors];
        run(m, depth, a, a_row, a_column, b + j, ldb, start != NULL ? start + j : NULL, start_row,
            c + j, ldc, last);
    }
}

/* The same, each panel of b from a copy. Not inlined, like all that have large arrays: they cost the
 * small products some ten instructions. */
static __attribute__((noinline)) void NAME(gemm_copied_panels)(
    size_t m, size_t n, size_t depth, const real *a, size_t a_row, size_t a_column, const real *b,
    size_t ldb, const real *start, size_t start_row, real *c, size_t ldc)
{
    real copy[K_BLOCK * PANEL] __attribute__((aligned(VECTOR_BYTES)));
    for (size_t j = 0; j < n; j += PANEL) {
        const size_t columns = n - j < PANEL ? n - j : PANEL;
        const size_t vectors = (columns + VECTOR_LANES - 1) / VECTOR_LANES;
        const size_t last = columns - (vectors - 1) * VECTOR_LANES;
        NAME(panel_function)
        run = columns == PANEL ? NAME(panel_whole) : NAME(padded_panels)[vectors];
        NAME(copy_lines)(copy, PANEL, b + j, ldb, depth, columns);
        run(m, depth, a, a_row, a_column, copy, PANEL, start != NULL ? start + j : NULL, start_row,
            c + j, ldc, last);
    }
}

/* The same, from a copy of COPY_COLUMNS columns of a transposed a at a time. */
static __attribute__((noinline)) void NAME(gemm_copied_columns)(
    size_t m, size_t n, size_t depth, const real *a, size_t lda, const real *b, size_t ldb,
    const real *start, size_t start_row, real *c, size_t ldc)
{
    real copy[K_BLOCK * COPY_COLUMNS] __attribute__((aligned(VECTOR_BYTES)));
    for (size_t i = 0; i < m; i += COPY_COLUMNS) {
        const size_t rows = m - i < COPY_COLUMNS ? m - i : COPY_COLUMNS;
        NAME(copy_lines)(copy, COPY_COLUMNS, a + i, lda, depth, rows);
        NAME(gemm_panels)(rows, n, depth, copy, 1, COPY_COLUMNS, b, ldb,
                          start != NULL ? start + i * start_row : NULL, start_row, c + i * ldc, ldc);
    }
}

/* ---- narrow products of a transposed a ---- */

/* Columns of c, at most, for which this is looked at: its scratch is of that many rows. */
#define NARROW_COLUMNS 64

/* Whether c (m, n) is cheaper by columns. Counted in vectors multiplied: k for each vector of c, and
 * for moving a square of c about SQUARE_COST. */
#define SQUARE_COST (6 * VECTOR_LANES)

static int NAME(cheaper_by_columns)(size_t m, size_t n, size_t k)
{
    const size_t vectors_down = (m + VECTOR_LANES - 1) / VECTOR_LANES;
    const size_t vectors_across = (n + VECTOR_LANES - 1) / VECTOR_LANES;
    return n <= NARROW_COLUMNS
           && vectors_down * (n * k + vectors_across * SQUARE_COST) < m * vectors_across * k;
}

/* c (m, n) = start + transposed a (k, m) @ b (k, n) by columns: where c is narrow, most lanes of a
 * vector of its row would be idle, so the vectors lie along its columns, which is the product
 * b' @ a, and that is transposed into c. Each element has the same chain as ever. */
static __attribute__((noinline)) void NAME(gemm_by_columns)(
    size_t m, size_t n, size_t k, const real *a, size_t lda, const real *b, size_t ldb,
    const real *start, size_t start_row, real *c, size_t ldc)
{
    real columns[NARROW_COLUMNS * PANEL] __attribute__((aligned(VECTOR_BYTES)));
    real copy[K_BLOCK * PANEL] __attribute__((aligned(VECTOR_BYTES)));
    const int copies = n > ROWS_FOR(PANEL_VECTORS) && lda * sizeof(real) >= COPY_STRIDE_BYTES;
    for (size_t i = 0; i < m; i += PANEL) {
        const size_t width = m - i < PANEL ? m - i : PANEL;
        const size_t vectors = (width + VECTOR_LANES - 1) / VECTOR_LANES;
        const size_t last = width - (vectors - 1) * VECTOR_LANES;
        NAME(panel_function) run = NAME(panel_whole);
        if (width < PANEL)
            run = copies ? NAME(padded_panels)[vectors] : NAME(masked_panels)[vectors];
        if (start == NULL)
            memset(columns, 0, sizeof(real) * n * PANEL);
        else
            for (size_t row = 0; row < width; row++)
                NAME(transpose)(columns + row, PANEL, start + (i + row) * start_row, n, 1, n);
        for (size_t p = 0; p < k; p += K_BLOCK) {
            const size_t depth = k - p < K_BLOCK ? k - p : K_BLOCK;
            const real *panel = a + p * lda + i;
            if (copies)
                NAME(copy_lines)(copy, PANEL, panel, lda, depth, width);
            run(n, depth, b + p * ldb, 1, ldb, copies ? copy : panel, copies ? PANEL : lda, columns,
                PANEL, columns, PANEL, last);
        }
        NAME(transpose)(c + i * ldc, ldc, columns, PANEL, n, width);
    }
}

/* ---- a handful of long sums ---- */

/* Up to so many rows (or columns) of up to so many columns (or rows), of at least so many products: too
 * few chains to fill the time that an addition takes, so that each is split into FEW_CHAINS, of every
 * eighth product each, and those are added in pairs. Decided by the sizes alone, not by the width of
 * the vectors, so that the bits are the same under every instruction set. */
#define FEW_ROWS 4
#define FEW_COLUMNS 16
#define FEW_CHAINS 8
#define FEW_PRODUCTS 32

static int NAME(is_few_long_sums)(size_t m, size_t n, size_t k)
{
    return (m < n ? m : n) <= FEW_ROWS && (m < n ? n : m) <= FEW_COLUMNS && k >= FEW_PRODUCTS;
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
static __attribute__((noinline)) void NAME(gemm_few)(
    size_t m, size_t n, size_t k, const real *a, size_t lda, const real *b, size_t ldb,
    const real *start, size_t start_row, real *c, size_t ldc)
{
    real sums[FEW_COLUMNS];
    const int by_columns = m > n;
    const size_t rows = by_columns ? n : m, columns = by_columns ? m : n;
    for (size_t i = 0; i < rows; i++) {
        if (by_columns)
            NAME(long_sums)(sums, columns, k, b + i, ldb, a, lda);
        else
            NAME(long_sums)(sums, columns, k, a + i, lda, b, ldb);
        for (size_t j = 0; j < columns; j++) {
            const size_t row = by_columns ? j : i, column = by_columns ? i : j;
            c[row * ldc + column] = (start != NULL ? start[row * start_row + column] : 0) + sums[j];
        }
    }
}

/* ---- products of one row ---- */

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

static void NAME(gemm)(int transpose_a, size_t m, size_t n, size_t k, const void *a_, size_t lda,
                       const void *b_, size_t ldb, const void *bias, int accumulate, void *c_,
                       size_t ldc)
{
    const real *a = a_, *b = b_;
    real *c = c_;
    const real *start = accumulate ? c : bias;
    size_t start_row = accumulate ? ldc : 0;
    if (transpose_a && NAME(is_few_long_sums)(m, n, k)) {
        NAME(gemm_few)(m, n, k, a, lda, b, ldb, start, start_row, c, ldc);
        return;
    }
    if (transpose_a && NAME(cheaper_by_columns)(m, n, k)) {
        NAME(gemm_by_columns)(m, n, k, a, lda, b, ldb, start, start_row, c, ldc);
        return;
    }
    if (m == 1 && !transpose_a && n >= ROW_VECTORS * VECTOR_LANES) {
        const size_t left = NAME(gemm_row)(n, k, a, b, ldb, start, c), done = n - left;
        if (left == 0)
            return;
        b += done;
        c += done;
        n = left;
        if (start != NULL)
            start += done;
    }
    const size_t a_row = transpose_a ? 1 : lda, a_column = transpose_a ? lda : 1;
    const int copies_a = transpose_a && lda * sizeof(real) >= COPY_STRIDE_BYTES && n > PANEL;
    const int copies_b = m >= COPY_ROWS && ldb * sizeof(real) >= COPY_STRIDE_BYTES;
    do {
        const size_t depth = k < K_BLOCK ? k : K_BLOCK;
        if (copies_a)
            NAME(gemm_copied_columns)(m, n, depth, a, lda, b, ldb, start, start_row, c, ldc);
        else if (copies_b)
            NAME(gemm_copied_panels)(m, n, depth, a, a_row, a_column, b, ldb, start, start_row, c,
                                     ldc);
        else
            NAME(gemm_panels)(m, n, depth, a, a_row, a_column, b, ldb, start, start_row, c, ldc);
        a += depth * a_column;
        b += depth * ldb;
        start = c;
        start_row = ldc;
        k -= depth;
    } while (k > 0);
}

#undef MAX_ROWS
#undef ROW_VECTORS
#undef PANEL_VECTORS
#undef ROWS_FOR
#undef PANEL
#undef K_BLOCK
#undef COPY_ROWS
#undef COPY_STRIDE_BYTES
#undef COPY_COLUMNS
#undef NARROW_COLUMNS
#undef SQUARE_COST
#undef FEW_ROWS
#undef FEW_COLUMNS
#undef FEW_CHAINS
#undef FEW_PRODUCTS

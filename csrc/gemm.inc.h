/* Matrix products: c (m, n) = start + op(a) (m, k) @ b (k, n), each shape by what is best for it; see
 * fnn_gemm. The ways agree on the bits, or the sizes alone decide between them. */
#ifndef FASTNN_GEMM_INC_H
#define FASTNN_GEMM_INC_H

#include "narrow.inc.h"
#include "panels.inc.h"

static void NAME(gemm)(int transpose_a, size_t m, size_t n, size_t k, const void *a_, size_t lda,
                       const void *b_, size_t ldb, const void *bias, int accumulate, void *c_,
                       size_t ldc, void *scratch)
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
        NAME(gemm_by_columns)(m, n, k, a, lda, b, ldb, start, start_row, c, ldc, scratch);
        return;
    }
    if (!transpose_a && NAME(cheaper_by_dots)(n, k)) {
        NAME(gemm_dots)(m, n, k, a, lda, b, ldb, start, start_row, c, ldc, scratch);
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
    const int copies_b = PANEL * sizeof(real) < COPY_PANEL_BYTES && m >= COPY_ROWS
                         && ldb * sizeof(real) >= COPY_STRIDE_BYTES;
    do {
        const size_t depth = k < K_BLOCK ? k : K_BLOCK;
        if (copies_a)
            NAME(gemm_copied_columns)(m, n, depth, a, lda, b, ldb, start, start_row, c, ldc,
                                      scratch);
        else if (copies_b)
            NAME(gemm_copied_panels)(m, n, depth, a, a_row, a_column, b, ldb, start, start_row, c,
                                     ldc, scratch);
        else
            NAME(gemm_panels)(m, n, depth, a, a_row, a_column, b, ldb, start, start_row, c, ldc);
        a += depth * a_column;
        b += depth * ldb;
        start = c;
        start_row = ldc;
        k -= depth;
    } while (k > 0);
}

/* What the ways above may need, whatever the distance between lines. */
static size_t NAME(gemm_scratch)(int transpose_a, size_t m, size_t n, size_t k)
{
    const size_t depth = k < K_BLOCK ? k : K_BLOCK;
    size_t elements = 0;
    if (transpose_a) {
        const size_t columns = n < NARROW_COLUMNS ? n : NARROW_COLUMNS;
        const size_t by_columns = (columns + depth) * PANEL;
        const size_t copied_columns = n > PANEL ? depth * COPY_COLUMNS : 0;
        elements = by_columns > copied_columns ? by_columns : copied_columns;
    } else if (NAME(cheaper_by_dots)(n, k)) {
        elements = n * NAME(dot_stride)(k);
        elements = elements > DOT_FEW ? elements : 0;
    } else if (PANEL * sizeof(real) < COPY_PANEL_BYTES && m >= COPY_ROWS) {
        elements = depth * PANEL;
    }
    return elements * sizeof(real);
}

#endif

/* Matrix products: c (m, n) = start + op(a) (m, k) @ b (k, n), each shape by what is best for it; see
 * fnn_gemm. The ways agree on the bits, or the sizes alone decide between them. */
#ifndef FASTNN_GEMM_INC_H
#define FASTNN_GEMM_INC_H

#include "narrow.inc.h"
#include "packed.inc.h"
#include "panels.inc.h"
#include "samples.inc.h"

/* Whether the elements of a matrix's only row lie next to each other. */
static int NAME(row_is_one_piece)(const fnn_matrix *x, size_t columns)
{
    return columns <= x->width || (x->panel == x->width && x->first_row == 0);
}

/* The first columns of a product of one row; returns how many. */
static size_t NAME(gemm_one_row)(size_t n, size_t k, const fnn_matrix *a, const fnn_matrix *b,
                                 const real *bias, int accumulate, const fnn_matrix *c)
{
    size_t row, ldb;
    real *to = NAME(panel_at)(c, 0, &row);
    if (n > b->width || !NAME(row_is_one_piece)(a, k) || !NAME(row_is_one_piece)(c, n))
        return 0;
    const real *from = NAME(panel_at)(b, 0, &ldb);
    return n - NAME(gemm_row)(n, k, NAME(panel_at)(a, 0, &row), from, ldb, accumulate ? to : bias,
                              to);
}

static void NAME(gemm)(int transpose_a, size_t m, size_t n, size_t k, const fnn_matrix *a,
                       const fnn_matrix *b, const void *bias_, int accumulate,
                       const fnn_matrix *c, const fnn_ahead *ahead, void *scratch)
{
    const real *bias = bias_;
    NAME(span) spans[MAX_SPANS];
    if (a->width == 1 && (transpose_a ? b->width == 1 : k > 1 || c->width == 1)) {
        (transpose_a ? NAME(gemm_of_columns) : NAME(gemm_samples))(m, n, k, a, b, bias, accumulate, c);
        return;
    }
    if (transpose_a && NAME(is_few_long_sums)(m, n, k)) {
        NAME(gemm_few)(m, n, k, a, b, bias, accumulate, c);
        return;
    }
    if (transpose_a && NAME(cheaper_by_columns)(m, n, k)) {
        NAME(gemm_by_columns)(m, n, k, a, b, bias, accumulate, c, scratch);
        return;
    }
    if (!transpose_a && NAME(cheaper_by_dots)(n, k)) {
        NAME(gemm_dots)(m, n, k, a, b, bias, accumulate, c, scratch);
        return;
    }
    if (!transpose_a && b->width > SINGLE_PANEL && NAME(is_worth_packing)(m, b->width, k)) {
        NAME(gemm_packed)(m, n, k, a, b, bias, accumulate, c, scratch);
        return;
    }
    const int is_row = m == 1 && !transpose_a && n >= ROW_VECTORS * VECTOR_LANES;
    const size_t first = is_row ? NAME(gemm_one_row)(n, k, a, b, bias, accumulate, c) : 0;
    const size_t block = NAME(k_block)(k);
    const size_t panel = transpose_a && a->width < m ? a->width : m; /* rows at a time */
    for (size_t i = 0; i < m; i += panel) {
        const size_t rows = m - i < panel ? m - i : panel;
        size_t done = 0;
        do {
            const size_t depth = k - done < block ? k - done : block;
            const size_t n_spans = transpose_a ? NAME(span_down)(spans, a, done, i, depth)
                                               : NAME(spans_along)(spans, a, i, done, depth);
            NAME(gemm_panels)(i, rows, first, n, n_spans, spans, b, done, bias,
                              accumulate || done > 0, c, done + depth == k ? ahead : NULL);
            done += depth;
        } while (done < k);
    }
}

/* What the ways above may need. */
static size_t NAME(gemm_scratch)(int transpose_a, size_t m, size_t n, size_t k)
{
    size_t elements = 0;
    if (transpose_a) {
        elements = (n < NARROW_COLUMNS ? n : NARROW_COLUMNS) * PANEL;
    } else if (NAME(cheaper_by_dots)(n, k)) {
        elements = n * NAME(dot_stride)(k);
        elements = elements > DOT_FEW ? elements : 0;
    } else if (NAME(is_worth_packing)(m, n, k)) {
        elements = NAME(packed_scratch)(k);
    }
    return elements * sizeof(real);
}

#endif

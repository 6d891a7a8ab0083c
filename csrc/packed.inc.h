/* Products with a matrix b whose rows lie far apart, as in a prediction, which reads the parameters
 * where they are: block by block it is copied into a panel, and each block while the one before it is
 * multiplied. */
#ifndef FASTNN_PACKED_INC_H
#define FASTNN_PACKED_INC_H

#include "layout.inc.h"
#include "panels.inc.h"

/* Rows of c, at least, that are worth a copy of b; enough to copy a block in their time. */
#define PACKED_ROWS 48

ALWAYS_INLINE int NAME(is_worth_packing)(size_t m, size_t row_of_b, size_t k)
{
    return m >= PACKED_ROWS && row_of_b * sizeof(real) >= FNN_FAR_APART && k > 0;
}

/* Rows of a block: nearly as many in each. */
ALWAYS_INLINE size_t NAME(packed_depth)(size_t k)
{
    const size_t most = NAME(k_block)(k), n_blocks = (k + most - 1) / most;
    return ((k + n_blocks - 1) / n_blocks + MATRIX_PANEL - 1) / MATRIX_PANEL * MATRIX_PANEL;
}

/* Elements of memory for two blocks. */
ALWAYS_INLINE size_t NAME(packed_scratch)(size_t k)
{
    return 2 * NAME(packed_depth)(k) * PANEL;
}

/* b is one panel. */
static __attribute__((noinline)) void NAME(gemm_packed)(
    size_t m, size_t n, size_t k, const fnn_matrix *a, const fnn_matrix *b, const real *bias,
    int accumulate, const fnn_matrix *c, real *scratch)
{
    NAME(span) spans[MAX_SPANS];
    const size_t most = NAME(packed_depth)(k);
    real *block = scratch, *other = scratch + most * PANEL;
    size_t j = 0, done = 0, columns = n < PANEL ? n : PANEL, depth = k < most ? k : most, ldb;
    const real *from = NAME(panel_at)(b, 0, &ldb);
    NAME(copy)(block, PANEL, from, ldb, depth, columns);
    while (j < n) {
        const int is_last = done + depth == k; /* of this panel of c */
        const size_t next_j = is_last ? j + PANEL : j, next_done = is_last ? 0 : done + depth;
        const size_t next_columns = next_j >= n ? 0 : n - next_j < PANEL ? n - next_j : PANEL;
        const size_t next_depth = k - next_done < most ? k - next_done : most;
        const size_t n_spans = NAME(spans_along)(spans, a, 0, done, depth);
        NAME(errand) copying = {.copy = other};
        size_t last, ldc;
        NAME(panel_function) run = NAME(panel_for)(columns, &last);
        real *to = NAME(panel_at)(c, j, &ldc);
        const int adds = accumulate || done > 0;
        const real *start = adds ? to : bias != NULL ? bias + j : NULL;
        if (next_columns > 0)
            NAME(add_piece)(&copying, from + next_done * ldb + next_j, ldb, next_depth);
        if (columns == PANEL && next_columns == PANEL)
            run = NAME(panel_copying);
        run(m, n_spans, spans, block, PANEL, start, adds ? ldc : 0, to, ldc, last, &copying);
        const NAME(piece) left = copying.pieces[0];
        NAME(copy)(copying.copy, PANEL, left.data, ldb, left.rows, next_columns);
        real *const packed = other;
        other = block;
        block = packed;
        j = next_j;
        done = next_done;
        columns = next_columns;
        depth = next_depth;
    }
}

#endif

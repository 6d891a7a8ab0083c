/* Where the elements of an fnn_matrix lie. */
#ifndef FASTNN_MATRIX_INC_H
#define FASTNN_MATRIX_INC_H

#include "real.inc.h"

/* The first row's element of a column; `row` gets how far apart the rows of its panel are. No
 * division where there is one panel, as in all small networks. */
ALWAYS_INLINE real *NAME(panel_at)(const fnn_matrix *x, size_t column, size_t *row)
{
    const size_t panel = column < x->width ? 0 : column / x->width;
    const size_t first = panel * x->width, left = x->columns - first;
    *row = left < x->width ? left : x->width;
    return (real *)x->data + panel * x->panel + x->first_row * *row + (column - first);
}

/* Columns from that one on to where a full panel ends. */
ALWAYS_INLINE size_t NAME(left_in_panel)(const fnn_matrix *x, size_t column)
{
    return x->width - (column < x->width ? column : column % x->width);
}

#endif

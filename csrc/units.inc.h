/* Loops over matrices with a few numbers for each unit (a scale, a mean): vectors lie along the units,
 * or along the rows where the matrices are in single columns. */
#ifndef FASTNN_UNITS_INC_H
#define FASTNN_UNITS_INC_H

#include "matrix.inc.h"
#include "vector.inc.h"

#define MAX_MATRICES 2
#define MAX_UNIT_NUMBERS 3

/* One vector: `to` from `from` (as many matrices as the loop has), and from its units' numbers. */
typedef void (*NAME(unit_rule))(vector *to, const vector *from, const vector *numbers);

/* What a loop goes over. Matrices of `to` may be ones of `from`; all are in single columns, or none. */
typedef struct NAME(unit_loop) {
    size_t n_to, n_from, n_numbers;
    const fnn_matrix *to[MAX_MATRICES], *from[MAX_MATRICES];
    const real *numbers[MAX_UNIT_NUMBERS]; /* (n_units,) each */
} NAME(unit_loop);

/* `n` vectors of `lanes` elements, `step` elements apart in each matrix. */
ALWAYS_INLINE void NAME(run_units)(const NAME(unit_rule) rule, const size_t n_to, const size_t n_from,
                                   real *const *to, const size_t *to_step, real *const *from,
                                   const size_t *from_step, const vector *numbers, size_t n,
                                   size_t lanes)
{
    vector in[MAX_MATRICES], out[MAX_MATRICES];
    for (size_t i = 0; i < n; i++) {
#pragma GCC unroll 2
        for (size_t m = 0; m < n_from; m++)
            in[m] = NAME(load_up_to)(from[m] + i * from_step[m], lanes);
        rule(out, in, numbers);
#pragma GCC unroll 2
        for (size_t m = 0; m < n_to; m++)
            NAME(store_up_to)(to[m] + i * to_step[m], out[m], lanes);
    }
}

/* (rows, n_units) of all matrices. rule and the loop's counts are constants where this is inlined. */
ALWAYS_INLINE void NAME(for_units)(const NAME(unit_rule) rule, const NAME(unit_loop) loop,
                                   size_t rows, size_t n_units)
{
    real *to[MAX_MATRICES], *from[MAX_MATRICES];
    size_t to_step[MAX_MATRICES], from_step[MAX_MATRICES];
    vector numbers[MAX_UNIT_NUMBERS];
    for (size_t j = 0, columns; j < n_units; j += columns) {
        const int along_rows = loop.to[0]->width == 1;
        columns = along_rows ? 1 : n_units - j < VECTOR_LANES ? n_units - j : VECTOR_LANES;
#define FIND(matrices, at, step, count)                                                           \
    for (size_t m = 0; m < (count); m++) {                                                        \
        const size_t left = NAME(left_in_panel)((matrices)[m], j);                                \
        columns = columns < left ? columns : left;                                                \
        (at)[m] = NAME(panel_at)((matrices)[m], j, (step) + m);                                   \
    }
        FIND(loop.to, to, to_step, loop.n_to)
        FIND(loop.from, from, from_step, loop.n_from)
#undef FIND
        if (!along_rows) {
            for (size_t m = 0; m < loop.n_numbers; m++)
                numbers[m] = NAME(load_lanes)(loop.numbers[m] + j, columns);
            NAME(run_units)(rule, loop.n_to, loop.n_from, to, to_step, from, from_step, numbers,
                            rows, columns);
            continue;
        }
        const size_t n_whole = rows / VECTOR_LANES, done = n_whole * VECTOR_LANES;
        for (size_t m = 0; m < loop.n_numbers; m++)
            numbers[m] = CONSTANT(loop.numbers[m][j]);
        for (size_t m = 0; m < MAX_MATRICES; m++)
            to_step[m] = from_step[m] = VECTOR_LANES;
        NAME(run_units)(rule, loop.n_to, loop.n_from, to, to_step, from, from_step, numbers, n_whole,
                        VECTOR_LANES);
        if (done == rows)
            continue;
        for (size_t m = 0; m < loop.n_to; m++)
            to[m] += done;
        for (size_t m = 0; m < loop.n_from; m++)
            from[m] += done;
        NAME(run_units)(rule, loop.n_to, loop.n_from, to, to_step, from, from_step, numbers, 1,
                        rows - done);
    }
}

#endif

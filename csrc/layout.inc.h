/* Matrices moved: rows filled, copied, transposed. */
#ifndef FASTNN_LAYOUT_INC_H
#define FASTNN_LAYOUT_INC_H

#include "vector.inc.h"

static void NAME(fill_rows)(void *c_, size_t ldc, const void *bias_, size_t rows, size_t n_units)
{
    real *c = c_;
    const real *bias = bias_;
    for (size_t i = 0; i < rows; i++, c += ldc) {
        if (bias != NULL)
            memcpy(c, bias, n_units * sizeof(real));
        else
            memset(c, 0, n_units * sizeof(real));
    }
}

static void NAME(copy)(void *b_, size_t ldb, const void *a_, size_t lda, size_t rows,
                       size_t columns)
{
    real *b = b_;
    const real *a = a_;
    const size_t whole = columns - columns % VECTOR_LANES;
    for (size_t i = 0; i < rows; i++, b += ldb, a += lda) {
        for (size_t j = 0; j < whole; j += VECTOR_LANES)
            NAME(store)(b + j, NAME(load)(a + j));
        if (whole < columns)
            NAME(store_lanes)(b + whole, NAME(load_lanes)(a + whole, columns - whole), columns - whole);
    }
}

/* Lanes of two vectors in turn: a0 b0 a1 b1 ..., from the lower and from the upper half. */
#if VECTOR_BYTES / (REAL_IS_DOUBLE ? 8 : 4) == 16
#define LOWER 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define UPPER 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif VECTOR_BYTES / (REAL_IS_DOUBLE ? 8 : 4) == 8
#define LOWER 0, 8, 1, 9, 2, 10, 3, 11
#define UPPER 4, 12, 5, 13, 6, 14, 7, 15
#elif VECTOR_BYTES / (REAL_IS_DOUBLE ? 8 : 4) == 4
#define LOWER 0, 4, 1, 5
#define UPPER 2, 6, 3, 7
#else
#define LOWER 0, 2
#define UPPER 1, 3
#endif

/* b (columns, rows) = the transpose of a (rows, columns), both at most as many as a vector has lanes
 * (whole: just as many). Interleaving row i with row i + lanes / 2, for all i, moves each index bit of
 * (row, lane) one place on; log2(lanes) times exchanges row and lane. */
ALWAYS_INLINE void NAME(transpose_square)(const int whole, real *b, size_t ldb, const real *a,
                                          size_t lda, size_t rows, size_t columns)
{
    vector square[VECTOR_LANES], next[VECTOR_LANES];
#pragma GCC unroll 16
    for (size_t i = 0; i < VECTOR_LANES; i++) {
        if (whole)
            square[i] = NAME(load)(a + i * lda);
        else
            square[i] = i < rows ? NAME(load_lanes)(a + i * lda, columns) : (vector){0};
    }
#pragma GCC unroll 4
    for (size_t round = 1; round < VECTOR_LANES; round *= 2) {
#pragma GCC unroll 8
        for (size_t i = 0; i < VECTOR_LANES / 2; i++) {
            next[2 * i] = SHUFFLE(square[i], square[i + VECTOR_LANES / 2], LOWER);
            next[2 * i + 1] = SHUFFLE(square[i], square[i + VECTOR_LANES / 2], UPPER);
        }
#pragma GCC unroll 16
        for (size_t i = 0; i < VECTOR_LANES; i++)
            square[i] = next[i];
    }
#pragma GCC unroll 16
    for (size_t i = 0; i < VECTOR_LANES; i++) {
        if (whole)
            NAME(store)(b + i * ldb, square[i]);
        else if (i < columns)
            NAME(store_lanes)(b + i * ldb, square[i], rows);
    }
}

static void NAME(transpose)(void *b_, size_t ldb, const void *a_, size_t lda, size_t rows,
                            size_t columns)
{
    real *b = b_;
    const real *a = a_;
    if ((rows == 1 && ldb == 1) || (columns == 1 && lda == 1)) { /* the numbers stay in line */
        memcpy(b, a, rows * columns * sizeof(real));
        return;
    }
    for (size_t i = 0; i < rows; i += VECTOR_LANES) {
        const size_t height = rows - i < VECTOR_LANES ? rows - i : VECTOR_LANES;
        for (size_t j = 0; j < columns; j += VECTOR_LANES) {
            const size_t width = columns - j < VECTOR_LANES ? columns - j : VECTOR_LANES;
            if (height == VECTOR_LANES && width == VECTOR_LANES)
                NAME(transpose_square)(1, b + j * ldb + i, ldb, a + i * lda + j, lda, height, width);
            else
                NAME(transpose_square)(0, b + j * ldb + i, ldb, a + i * lda + j, lda, height, width);
        }
    }
}

#endif

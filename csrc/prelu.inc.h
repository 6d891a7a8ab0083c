/* Parametric ReLU: a = x where x > 0, else alpha x, with an alpha for each unit.
 * He, Zhang, Ren and Sun, "Delving deep into rectifiers", 2015. */
#ifndef FASTNN_PRELU_INC_H
#define FASTNN_PRELU_INC_H

#include "units.inc.h"

/* a, and what alpha is multiplied by: z = min(x, 0). */
ALWAYS_INLINE void NAME(prelu_rule)(vector *to, const vector *from, const vector *numbers)
{
    const vector x = from[0];
    to[0] = SELECT(x > 0, x, numbers[0] * x);
    to[1] = SELECT(x > 0, CONSTANT(0), x);
}

static void NAME(prelu_forward)(const fnn_matrix *a, const fnn_matrix *z, const fnn_matrix *x,
                                const void *alpha, size_t rows, size_t n_units)
{
    NAME(for_units)(NAME(prelu_rule), (NAME(unit_loop)){2, 1, 1, {a, z}, {x}, {alpha}}, rows, n_units);
}

ALWAYS_INLINE void NAME(prelu_infer_rule)(vector *to, const vector *from, const vector *numbers)
{
    to[0] = SELECT(from[0] > 0, from[0], numbers[0] * from[0]);
}

static void NAME(prelu_infer)(const fnn_matrix *a, const fnn_matrix *x, const void *alpha, size_t rows,
                              size_t n_units)
{
    NAME(for_units)(NAME(prelu_infer_rule), (NAME(unit_loop)){1, 1, 1, {a}, {x}, {alpha}}, rows,
                    n_units);
}

/* dx = d where x > 0, else alpha d */
ALWAYS_INLINE void NAME(prelu_backward_rule)(vector *to, const vector *from, const vector *numbers)
{
    to[0] = SELECT(from[1] > 0, from[0], numbers[0] * from[0]);
}

static void NAME(prelu_backward)(const fnn_matrix *dx, const fnn_matrix *d, const fnn_matrix *x,
                                 const void *alpha, size_t rows, size_t n_units)
{
    NAME(for_units)(NAME(prelu_backward_rule), (NAME(unit_loop)){1, 2, 1, {dx}, {d, x}, {alpha}}, rows,
                    n_units);
}

#endif

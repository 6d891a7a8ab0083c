/* Losses of one output and one target each, and their derivatives in one pass.
 *
 * In the formulas a is the output, t the target and r = a - t. Comparisons are written so that NaN takes
 * the branch that keeps it. */
#ifndef FASTNN_ELEMENT_LOSSES_INC_H
#define FASTNN_ELEMENT_LOSSES_INC_H

#include "math.inc.h"

/* Chains in which a loss of many terms is summed up, as an addition takes several cycles. */
#define LOSS_CHAINS 16
/* Numbers whose losses are computed before they are summed up: whole chains. */
#define LOSS_BLOCK 64

/* The losses of up to LOSS_BLOCK numbers, and `factor` times their derivatives by out, which d may be. */
typedef void (*NAME(element_loss))(real *d, double *losses, const real *out, const real *targets,
                                   size_t n, real factor, const double *parameters);

/* Weighs n numbers, of which the first is the `first` one of rows of n_units. */
static void NAME(weigh_elements)(real *d, double *losses, const real *weights, size_t first, size_t n,
                                 size_t n_units)
{
    size_t row = first / n_units, end = (row + 1) * n_units - first;
    for (size_t i = 0; i < n; row++, end += n_units) {
        for (; i < n && i < end; i++) {
            d[i] *= weights[row];
            losses[i] *= (double)weights[row];
        }
    }
}

/* The loss of rows of n_units: of each the mean over its units, times its weight; their sum. */
static double NAME(sum_elements)(NAME(element_loss) element_loss, void *d_, const void *out_,
                                 const void *targets_, const void *weights, size_t rows,
                                 size_t n_units, double scale, const double *parameters)
{
    real *d = d_;
    const real *out = out_;
    const real *targets = targets_;
    const real factor = (real)(scale / (double)n_units);
    const size_t n = rows * n_units;
    double sums[LOSS_CHAINS] = {0}, total = 0;
    for (size_t first = 0; first < n; first += LOSS_BLOCK) {
        const size_t block = n - first < LOSS_BLOCK ? n - first : LOSS_BLOCK;
        double losses[LOSS_BLOCK];
        element_loss(d + first, losses, out + first, targets + first, block, factor, parameters);
        if (weights != NULL)
            NAME(weigh_elements)(d + first, losses, weights, first, block, n_units);
        size_t i = 0;
        for (; i + LOSS_CHAINS <= block; i += LOSS_CHAINS) {
            for (size_t chain = 0; chain < LOSS_CHAINS; chain++)
                sums[chain] += losses[i + chain];
        }
        for (; i < block; i++)
            sums[i % LOSS_CHAINS] += losses[i];
    }
    for (size_t chain = 0; chain < LOSS_CHAINS; chain++)
        total += sums[chain];
    return total / (double)n_units;
}

#define ELEMENT_LOSS(name, elements)                                                              \
    static double NAME(name)(void *d, const void *out, const void *targets, const void *weights,  \
                             size_t rows, size_t n_units, double scale, const double *parameters) \
    {                                                                                             \
        return NAME(sum_elements)(NAME(elements##_elements), d, out, targets, weights, rows,      \
                                  n_units, scale, parameters);                                    \
    }

/* ---- by numbers: cheap ones, that compilers make vectors of ---- */

#if defined(__clang__)
#define INDEPENDENT /* it looks at run time whether the arrays overlap */
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif

/* From value(out, target, parameters, &derivative). */
#define SCALAR_ELEMENTS(value)                                                                    \
    static void NAME(value##_elements)(real *d, double *losses, const real *out,                  \
                                       const real *targets, size_t n, real factor,                \
                                       const double *parameters)                                  \
    {                                                                                             \
        INDEPENDENT for (size_t i = 0; i < n; i++)                                                \
        {                                                                                         \
            real derivative;                                                                      \
            losses[i] = NAME(value)(out[i], targets[i], parameters, &derivative);                 \
            d[i] = derivative * factor;                                                           \
        }                                                                                         \
    }

ALWAYS_INLINE double NAME(squared_error)(real a, real t, const double *parameters,
                                         real *derivative)
{
    (void)parameters;
    const real r = a - t;
    *derivative = 2 * r;
    return (double)r * (double)r;
}

ALWAYS_INLINE double NAME(absolute_error)(real a, real t, const double *parameters,
                                          real *derivative)
{
    (void)parameters;
    const real r = a - t;
    *derivative = r > 0 ? 1 : (r < 0 ? -1 : r); /* 0 at 0 */
    return (double)R(fabs)(r);
}

/* Huber (1964): r^2 / 2 up to |r| = delta, a straight line beyond. */
ALWAYS_INLINE double NAME(huber_error)(real a, real t, const double *parameters, real *derivative)
{
    const double delta = parameters[0];
    const real r = a - t, limit = (real)delta;
    *derivative = r > limit ? limit : (r < -limit ? -limit : r);
    const double size = (double)R(fabs)(r);
    return size > delta ? delta * (size - 0.5 * delta) : 0.5 * size * size;
}

/* max(0, 1 - s a), s = 1 for targets above 0, else -1. a - a is NaN where a is infinite. */
ALWAYS_INLINE double NAME(margin_error)(real a, real t, const double *parameters, real *derivative)
{
    (void)parameters;
    const real s = t > 0 ? 1 : -1, margin = 1 - s * a + (a - a);
    *derivative = margin > 0 ? -s : (margin <= 0 ? 0 : margin);
    return (double)(margin < 0 ? 0 : margin);
}

ALWAYS_INLINE double NAME(squared_margin_error)(real a, real t, const double *parameters,
                                                real *derivative)
{
    real slope;
    const double margin = NAME(margin_error)(a, t, parameters, &slope);
    *derivative = 2 * (real)margin * slope;
    return margin * margin;
}

SCALAR_ELEMENTS(squared_error)
SCALAR_ELEMENTS(absolute_error)
SCALAR_ELEMENTS(huber_error)
SCALAR_ELEMENTS(margin_error)
SCALAR_ELEMENTS(squared_margin_error)

ELEMENT_LOSS(mean_squared_error, squared_error)
ELEMENT_LOSS(mean_absolute_error, absolute_error)
ELEMENT_LOSS(huber, huber_error)
ELEMENT_LOSS(hinge, margin_error)
ELEMENT_LOSS(squared_hinge, squared_margin_error)

/* ---- by vectors ---- */

/* From value(out, target, parameters, &derivative) of vectors. */
#define VECTOR_ELEMENTS(value)                                                                    \
    static void NAME(value##_elements)(real *d, double *losses, const real *out,                  \
                                       const real *targets, size_t n, real factor,                \
                                       const double *parameters)                                  \
    {                                                                                             \
        real values[LOSS_BLOCK];                                                                  \
        for (size_t i = 0; i < n; i += VECTOR_LANES) {                                            \
            const size_t lanes = n - i < VECTOR_LANES ? n - i : VECTOR_LANES;                     \
            vector derivative;                                                                    \
            NAME(store)(values + i, NAME(value)(NAME(load_lanes)(out + i, lanes),                 \
                                                NAME(load_lanes)(targets + i, lanes),             \
                                                parameters, &derivative));                        \
            NAME(store_lanes)(d + i, derivative * factor, lanes);                                 \
        }                                                                                         \
        for (size_t i = 0; i < n; i++)                                                            \
            losses[i] = (double)values[i];                                                        \
    }

#define LOG_COSH_IS_SMALL 0.8813735870195430 /* where sinh is 1 */

/* log(cosh(r)): log(1 + sinh(r)^2) / 2 where r is small, |r| - log(2) + log(1 + exp(-2 |r|)) else. */
ALWAYS_INLINE vector NAME(log_cosh_error)(vector a, vector t, const double *parameters,
                                          vector *derivative)
{
    (void)parameters;
    const vector r = a - t, size = NAME(vector_abs)(r);
    *derivative = NAME(vector_tanh)(r);
    const vector least = MIN(CONSTANT(LOG_COSH_IS_SMALL), size);
    const vector e = NAME(vector_expm1)(least), sinh = CONSTANT(0.5) * (e + e / (e + 1));
    const vector small = CONSTANT(0.5) * NAME(vector_log1p)(sinh * sinh);
    const vector tail = NAME(vector_log1p)(NAME(vector_exp)(-2 * size));
    return SELECT(size < CONSTANT(LOG_COSH_IS_SMALL), small,
                  size - CONSTANT(0.69314718055994530942) + tail);
}

/* Poisson: exp(z) - t z, z being the logit, and exp(z) the output. */
ALWAYS_INLINE vector NAME(poisson_error)(vector z, vector t, const double *parameters,
                                         vector *derivative)
{
    (void)parameters;
    const vector a = NAME(vector_exp)(z);
    *derivative = a - t;
    return a - t * z;
}

VECTOR_ELEMENTS(log_cosh_error)
VECTOR_ELEMENTS(poisson_error)

ELEMENT_LOSS(log_cosh, log_cosh_error)
ELEMENT_LOSS(poisson, poisson_error)

/* ---- several outputs for one target ---- */

/* Koenker and Bassett (1978): (1 - level) r above the target, -level r below; the parameters are the
 * level of each unit. */
static double NAME(quantile)(void *d_, const void *out_, const void *targets_, const void *weights_,
                             size_t rows, size_t n_units, double scale, const double *parameters)
{
    real *d = d_;
    const real *out = out_;
    const real *targets = targets_;
    const real *weights = weights_;
    double loss = 0;
    for (size_t i = 0; i < rows; i++, d += n_units, out += n_units) {
        const double weight = weights == NULL ? 1 : (double)weights[i];
        const double factor = scale / (double)n_units * weight;
        double row_loss = 0;
        for (size_t j = 0; j < n_units; j++) {
            const double r = (double)out[j] - (double)targets[i];
            const double slope = r > 0 ? 1 - parameters[j] : (r < 0 ? -parameters[j] : r);
            row_loss += slope * r;
            d[j] = (real)(slope * factor);
        }
        loss += weight * row_loss;
    }
    return loss / (double)n_units;
}

#endif

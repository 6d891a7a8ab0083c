/* Activations; derivatives from the outputs where the function can be inverted, else from the
 * pre-activations z.
 *
 * Comparisons are written so that NaN takes the branch that keeps it: `z < 0 ? 0 : z`. */
#ifndef FASTNN_ACTIVATIONS_INC_H
#define FASTNN_ACTIVATIONS_INC_H

#include "math.inc.h"
#include "softmax.inc.h"

/* ---- functions of the logits z ---- */

ALWAYS_INLINE vector NAME(relu)(vector z) { return SELECT(z < 0, CONSTANT(0), z); }

ALWAYS_INLINE vector NAME(leaky_relu)(vector z) { return SELECT(z < 0, z * CONSTANT(0.01), z); }

ALWAYS_INLINE vector NAME(elu)(vector z) { return SELECT(z < 0, NAME(vector_expm1)(z), z); }

/* Klambauer et al., "Self-Normalizing Neural Networks" (2017), section 3 */
#define SELU_SCALE 1.0507009873554804934193349852946
#define SELU_SCALE_ALPHA 1.7580993408473768599402175208123 /* alpha = 1.67326... */

ALWAYS_INLINE vector NAME(selu)(vector z)
{
    return SELECT(z < 0, CONSTANT(SELU_SCALE_ALPHA) * NAME(vector_expm1)(z),
                  CONSTANT(SELU_SCALE) * z);
}

/* z sigmoid(z): from the sigmoid's tail h / |z| on either side, z - h or -h, which is right for
 * infinities too. */
ALWAYS_INLINE vector NAME(silu)(vector z)
{
    vector size, rest, last, e;
    const vector q = NAME(sigmoid_tail)(z, &size, &rest, &last, &e);
    return SELECT(z < 0, CONSTANT(0), z) - FMA(size, q, size * rest) * last;
}

/* z Phi(z), Phi the normal distribution: likewise, from its tail. */
ALWAYS_INLINE vector NAME(gelu)(vector z)
{
    vector t, rest, e;
    NAME(indices) n;
    const vector q = NAME(normal_tail)(z, &t, &rest, &e, &n);
    const vector product = t * q;
    const vector h = product + FMA(t, rest, NAME(exact_fma)(t, q, -product));
    return SELECT(z < 0, CONSTANT(0), z) - NAME(scaled)(h, n);
}

/* log(1 + exp(z)) = max(z, 0) + log(1 + e), e = exp(-|z|): as in vector_log1p, but that e is not
 * rounded, and that 2^n is taken out of it and out of the quotient s, so that e may be tiny. */
ALWAYS_INLINE vector NAME(softplus)(vector z)
{
    vector size, scale;
    NAME(indices) n;
    const vector p = NAME(reduce_exp_of_minus)(z, &size, &n, &scale);
    const vector a = 1 + p, a_low = p - (a - 1);
    const vector b = FMA(scale, p, 2 + scale), b_low = FMA(scale, p, scale + (2 - b));
    const vector s = NAME(quotient)(a, a_low, b, b_low), scaled_s = scale * s;
    const vector artanh = FMA(NAME(artanh_series)(scaled_s * scaled_s), s, s);
    return SELECT(z < 0, CONSTANT(0), z) + NAME(scaled)(2 * artanh, n);
}

ALWAYS_INLINE vector NAME(exponential)(vector z) { return NAME(vector_exp)(z); }

#define MISH_IS_LINEAR (2 * TANH_IS_ONE)

/* tanh(log(1 + w)) = w (w + 2) / (w (w + 2) + 2), where w = exp(z) = 2^n (1 + p), 2^n being taken
 * out of the numerator a. What rounding takes from a matters for small w only. */
ALWAYS_INLINE vector NAME(mish)(vector z)
{
    vector x = SELECT(z < CONSTANT(EXP_UNDERFLOWS), CONSTANT(EXP_UNDERFLOWS), z);
    x = MIN(CONSTANT(MISH_IS_LINEAR), x);
    NAME(indices) n;
    const vector p = NAME(reduce_exp)(x, &n);
    const NAME(indices) tiny = x < CONSTANT(-EXP_IS_NOTHING);
    const vector scale = SELECT(tiny, CONSTANT(0), NAME(power_of_two)(n));
    const vector e = 1 + p, e_low = p - (e - 1), w = scale * e;
    const vector a = FMA(e, w, 2 * e), a_low = FMA(e, w, 2 * e - a) + 2 * e_low;
    const vector b = FMA(scale, a, CONSTANT(2)), b_low = FMA(scale, a, 2 - b) + scale * a_low;
    const vector inverse = 1 / b;
    const vector q = a * inverse;
    const vector rest = NAME(rest_of_division)(q, a, a_low, b, b_low) * inverse;
    return SELECT(z > CONSTANT(MISH_IS_LINEAR), z, NAME(scaled)(FMA(x, q, x * rest), n));
}

/* ---- derivatives: of the output a, and of the logit z where a does not determine it ---- */

ALWAYS_INLINE vector NAME(vector_sigmoid_derivative)(vector a, vector z)
{
    (void)z;
    return a * (1 - a);
}

ALWAYS_INLINE vector NAME(vector_tanh_derivative)(vector a, vector z)
{
    (void)z;
    return 1 - a * a;
}

ALWAYS_INLINE vector NAME(relu_derivative)(vector a, vector z)
{
    (void)z;
    return SELECT(a > 0, CONSTANT(1), CONSTANT(0));
}

ALWAYS_INLINE vector NAME(leaky_relu_derivative)(vector a, vector z)
{
    (void)z;
    return SELECT(a > 0, CONSTANT(1), CONSTANT(0.01));
}

ALWAYS_INLINE vector NAME(elu_derivative)(vector a, vector z)
{
    (void)z;
    return SELECT(a > 0, CONSTANT(1), a + 1); /* a = exp(z) - 1 */
}

ALWAYS_INLINE vector NAME(selu_derivative)(vector a, vector z)
{
    (void)z;
    return SELECT(a > 0, CONSTANT(SELU_SCALE), a + CONSTANT(SELU_SCALE_ALPHA));
}

/* s + z s (1 - s), s = sigmoid(z): from the left g, where s is the tail, and 1 - g on the right */
ALWAYS_INLINE vector NAME(silu_derivative)(vector a, vector z)
{
    (void)a;
    vector size, rest, last, e;
    const vector q = NAME(sigmoid_tail)(z, &size, &rest, &last, &e);
    const vector tail = (q + rest) * last;
    const vector g = tail * FMA(-size, 1 - tail, CONSTANT(1));
    return SELECT(z < 0, g, 1 - g);
}

/* Phi(z) + z phi(z), phi(z) = exp(-z^2 / 2) / sqrt(2 pi): likewise, with g = tail - |z| phi(z) */
ALWAYS_INLINE vector NAME(gelu_derivative)(vector a, vector z)
{
    (void)a;
    vector t, rest, e;
    NAME(indices) n;
    const vector q = NAME(normal_tail)(z, &t, &rest, &e, &n);
    const vector one_over_sqrt_2pi = CONSTANT(0.39894228040143267793994605993438);
    const vector g = NAME(scaled)(FMA(-t * one_over_sqrt_2pi, e, q + rest), n);
    return SELECT(z < 0, g, 1 - g);
}

ALWAYS_INLINE vector NAME(softplus_derivative)(vector a, vector z)
{
    (void)z;
    return -NAME(vector_expm1)(-a); /* a = log(1 + exp(z)), so sigmoid(z) = 1 - exp(-a) */
}

ALWAYS_INLINE vector NAME(exponential_derivative)(vector a, vector z)
{
    (void)z;
    return a;
}

/* t + z (1 - t^2) sigmoid(z), where t = n / (n + 2), n = w (w + 2), w = exp(z) as above: so
 * 1 - t^2 = 4 (1 + w)^2 / (n + 2)^2 and sigmoid(z) = w / (1 + w) */
ALWAYS_INLINE vector NAME(mish_derivative)(vector a, vector z)
{
    (void)a;
    z = SELECT(z < CONSTANT(EXP_UNDERFLOWS), CONSTANT(EXP_UNDERFLOWS), z);
    z = MIN(CONSTANT(MISH_IS_LINEAR), z);
    const vector w = NAME(vector_exp)(z);
    const vector n = w * (w + 2), inverse = 1 / (n + 2);
    return inverse * FMA(4 * z * w * (1 + w), inverse, n);
}

/* ---- kernels: the loops around them ---- */

/* A function of a vector is one long chain, so several are computed at a time: with AVX-512 two keep
 * their constants in registers. */
#define FORWARD_VECTORS (VECTOR_BYTES == 64 ? 2 : 4)

/* From a function of vectors; those of the last, partial vector are computed with zeros. */
#define VECTOR_KERNELS(name, f)                                                                   \
    static void NAME(name##_forward)(void *a_, const void *z_, size_t rows, size_t n_units)       \
    {                                                                                             \
        real *a = a_;                                                                             \
        const real *z = z_;                                                                       \
        const size_t n = rows * n_units;                                                          \
        size_t i = 0;                                                                             \
        for (; i + FORWARD_VECTORS * VECTOR_LANES <= n; i += FORWARD_VECTORS * VECTOR_LANES) {    \
            vector results[FORWARD_VECTORS];                                                      \
            _Pragma("GCC unroll 4") for (size_t v = 0; v < FORWARD_VECTORS; v++)                  \
                results[v] = NAME(f)(NAME(load)(z + i + v * VECTOR_LANES));                       \
            _Pragma("GCC unroll 4") for (size_t v = 0; v < FORWARD_VECTORS; v++)                  \
                NAME(store)(a + i + v * VECTOR_LANES, results[v]);                                \
        }                                                                                         \
        for (; i + VECTOR_LANES <= n; i += VECTOR_LANES)                                          \
            NAME(store)(a + i, NAME(f)(NAME(load)(z + i)));                                       \
        if (i < n)                                                                                \
            NAME(store_lanes)(a + i, NAME(f)(NAME(load_lanes)(z + i, n - i)), n - i);             \
    }                                                                                             \
    static void NAME(name##_backward)(void *d_, const void *a_, const void *z_, size_t n)         \
    {                                                                                             \
        real *d = d_;                                                                             \
        const real *a = a_;                                                                       \
        const real *z = z_;                                                                       \
        size_t i = 0;                                                                             \
        for (; i + VECTOR_LANES <= n; i += VECTOR_LANES)                                          \
            NAME(store)(d + i, NAME(load)(d + i)                                                  \
                                   * NAME(f##_derivative)(NAME(load)(a + i),                      \
                                                          NAME(load)(z + i)));                    \
        if (i < n)                                                                                \
            NAME(store_lanes)(d + i, NAME(load_lanes)(d + i, n - i)                               \
                                         * NAME(f##_derivative)(                                  \
                                             NAME(load_lanes)(a + i, n - i),                      \
                                             NAME(load_lanes)(z + i, n - i)),                     \
                              n - i);                                                             \
    }

static void NAME(linear_forward)(void *a, const void *z, size_t rows, size_t n_units)
{
    if (a != z)
        memcpy(a, z, rows * n_units * sizeof(real));
}

static void NAME(linear_backward)(void *d, const void *a, const void *z, size_t n)
{
    (void)d, (void)a, (void)z, (void)n;
}

VECTOR_KERNELS(sigmoid, vector_sigmoid)
VECTOR_KERNELS(tanh, vector_tanh)
VECTOR_KERNELS(relu, relu)
VECTOR_KERNELS(leaky_relu, leaky_relu)
VECTOR_KERNELS(elu, elu)
VECTOR_KERNELS(selu, selu)
VECTOR_KERNELS(silu, silu)
VECTOR_KERNELS(gelu, gelu)
VECTOR_KERNELS(mish, mish)
VECTOR_KERNELS(softplus, softplus)
VECTOR_KERNELS(exponential, exponential)

static void NAME(softmax_forward)(void *a_, const void *z_, size_t rows, size_t n_units)
{
    real *a = a_;
    const real *z = z_;
    real largest[VECTOR_LANES], sum[VECTOR_LANES];
    for (size_t i = 0; i < rows && n_units > 0; i += VECTOR_LANES) {
        const size_t block = rows - i < VECTOR_LANES ? rows - i : VECTOR_LANES;
        NAME(softmax_rows)(a + i * n_units, z + i * n_units, block, n_units, largest, sum);
    }
}

static const fnn_activation NAME(activations)[] = {
    {"linear", 0, NAME(linear_forward), NAME(linear_backward)},
    {"sigmoid", 0, NAME(sigmoid_forward), NAME(sigmoid_backward)},
    {"tanh", 0, NAME(tanh_forward), NAME(tanh_backward)},
    {"relu", 0, NAME(relu_forward), NAME(relu_backward)},
    {"leaky_relu", 0, NAME(leaky_relu_forward), NAME(leaky_relu_backward)},
    {"elu", 0, NAME(elu_forward), NAME(elu_backward)},
    {"selu", 0, NAME(selu_forward), NAME(selu_backward)},
    {"gelu", 1, NAME(gelu_forward), NAME(gelu_backward)},
    {"silu", 1, NAME(silu_forward), NAME(silu_backward)},
    {"mish", 1, NAME(mish_forward), NAME(mish_backward)},
    {"softplus", 0, NAME(softplus_forward), NAME(softplus_backward)},
    {"exponential", 0, NAME(exponential_forward), NAME(exponential_backward)},
    {"softmax", 0, NAME(softmax_forward), NULL},
    {NULL, 0, NULL, NULL},
};

#endif

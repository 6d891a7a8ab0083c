/* exp, log, tanh and what is made of them, on vectors, within 2 ulp (`python -m bench.accuracy` looks
 * at all floats).
 *
 * NaN comes out as NaN: where a comparison chooses, NaN takes the side that keeps it. */
#ifndef FASTNN_MATH_INC_H
#define FASTNN_MATH_INC_H

#include "vector.inc.h"

#if REAL_IS_DOUBLE
#define MANTISSA_BITS 52
#define EXPONENT_BIAS 1023
#define ROUNDER 0x1.8p52 /* added and subtracted: rounds to a whole number */
#define EXP_OVERFLOWS 710.0
#define EXP_UNDERFLOWS (-760.0)
#define TANH_IS_ONE 20.0
#define EXP_IS_NOTHING 600.0
#define TAIL_IS_ZERO 39.0
/* ln 2 in two parts; multiples of the first by an exponent are exact (fdlibm's e_exp.c) */
#define LN2_HIGH 6.93147180369123816490e-01
#define LN2_LOW 1.90821492927058770002e-10
#else
#define MANTISSA_BITS 23
#define EXPONENT_BIAS 127
#define ROUNDER 0x1.8p23f
#define EXP_OVERFLOWS 89.0f
#define EXP_UNDERFLOWS (-110.0f)
#define TANH_IS_ONE 10.0f
#define EXP_IS_NOTHING 80.0f
#define TAIL_IS_ZERO 15.0f
#define LN2_HIGH 6.9314575195e-01f
#define LN2_LOW 1.4286067653e-06f
#endif

ALWAYS_INLINE vector NAME(vector_abs)(vector x)
{
    return (vector)((NAME(indices))x & ~(NAME(indices))CONSTANT(-0.0));
}

ALWAYS_INLINE vector NAME(with_sign_of)(vector size, vector x)
{
    return (vector)((NAME(indices))size | ((NAME(indices))x & (NAME(indices))CONSTANT(-0.0)));
}

/* 2^n for whole n of a normal number. */
ALWAYS_INLINE vector NAME(power_of_two)(NAME(indices) n)
{
    return (vector)((n + EXPONENT_BIAS) << MANTISSA_BITS);
}

/* 2^n x, in two steps: 2^n itself may be out of range. */
ALWAYS_INLINE vector NAME(scaled)(vector x, NAME(indices) n)
{
    const NAME(indices) half = n >> 1;
    return x * NAME(power_of_two)(half) * NAME(power_of_two)(n - half);
}

/* x = n ln 2 + r with |r| <= ln(2) / 2: returns exp(r) - 1 by its series, to 0.1 ulp of exp(r). */
ALWAYS_INLINE vector NAME(reduce_exp)(vector x, NAME(indices) * n)
{
    const vector shifted = FMA(x, CONSTANT(1.4426950408889634074), CONSTANT(ROUNDER));
    const vector whole = shifted - CONSTANT(ROUNDER);
    *n = (NAME(indices))shifted - (NAME(indices))CONSTANT(ROUNDER);
    vector r = FMA(whole, CONSTANT(-LN2_HIGH), x);
    r = FMA(whole, CONSTANT(-LN2_LOW), r);
#if REAL_IS_DOUBLE
    vector p = CONSTANT(1.0 / 6227020800.0);
    p = FMA(p, r, CONSTANT(1.0 / 479001600.0));
    p = FMA(p, r, CONSTANT(1.0 / 39916800.0));
    p = FMA(p, r, CONSTANT(1.0 / 3628800.0));
    p = FMA(p, r, CONSTANT(1.0 / 362880.0));
    p = FMA(p, r, CONSTANT(1.0 / 40320.0));
    p = FMA(p, r, CONSTANT(1.0 / 5040.0));
#else
    vector p = CONSTANT(1.0 / 5040.0);
#endif
    p = FMA(p, r, CONSTANT(1.0 / 720.0));
    p = FMA(p, r, CONSTANT(1.0 / 120.0));
    p = FMA(p, r, CONSTANT(1.0 / 24.0));
    p = FMA(p, r, CONSTANT(1.0 / 6.0));
    p = FMA(p, r, CONSTANT(0.5));
    return FMA(p * r, r, r);
}

ALWAYS_INLINE vector NAME(vector_exp)(vector x)
{
    x = MIN(CONSTANT(EXP_OVERFLOWS), x);
    x = SELECT(x < CONSTANT(EXP_UNDERFLOWS), CONSTANT(EXP_UNDERFLOWS), x);
    NAME(indices) n;
    const vector p = NAME(reduce_exp)(x, &n);
    return NAME(scaled)(1 + p, n);
}

/* exp(x) - 1 for x up to 2 TANH_IS_ONE. */
ALWAYS_INLINE vector NAME(vector_expm1)(vector x)
{
    x = SELECT(x < CONSTANT(-4 * TANH_IS_ONE), CONSTANT(-4 * TANH_IS_ONE), x); /* -1 from here on */
    NAME(indices) n;
    const vector p = NAME(reduce_exp)(x, &n);
    const vector scale = NAME(power_of_two)(n);
    return FMA(scale, p, scale - 1);
}

/* a b + c for c near -a b, rounded once. Without the instruction a and b are cut in halves, whose
 * products are exact (T. J. Dekker, "A floating-point technique for extending the available
 * precision", 1971). */
ALWAYS_INLINE vector NAME(exact_fma)(vector a, vector b, vector c)
{
#ifdef NO_FMA
    const real_sized_int upper_half = -((real_sized_int)1 << (MANTISSA_BITS + 2) / 2);
    const vector a_high = (vector)((NAME(indices))a & upper_half), a_low = a - a_high;
    const vector b_high = (vector)((NAME(indices))b & upper_half), b_low = b - b_high;
    return a_high * b_high + c + a_high * b_low + a_low * b_high + a_low * b_low;
#else
    return FMA(a, b, c);
#endif
}

/* (a + a_low) - q (b + b_low), the lows being what rounding took from a and b. For q near a / b,
 * q plus this rest over b, one step of Newton's method, is within 0.6 ulp of the quotient. */
ALWAYS_INLINE vector NAME(rest_of_division)(vector q, vector a, vector a_low, vector b,
                                            vector b_low)
{
    return FMA(-q, b_low, NAME(exact_fma)(-q, b, a) + a_low);
}

/* (a + a_low) / (b + b_low) */
ALWAYS_INLINE vector NAME(quotient)(vector a, vector a_low, vector b, vector b_low)
{
    const vector inverse = 1 / b;
    const vector q = a * inverse;
    return FMA(NAME(rest_of_division)(q, a, a_low, b, b_low), inverse, q);
}

/* artanh(s) / s - 1 from s^2, for s in [0, 1/3]: its series, every other term in a chain. */
ALWAYS_INLINE vector NAME(artanh_series)(vector s2)
{
    const vector s4 = s2 * s2;
    const int last = REAL_IS_DOUBLE ? 33 : 17;
    vector p = CONSTANT(1.0 / last), q = CONSTANT(1.0 / (last - 2));
#pragma GCC unroll 20
    for (int k = last - 4; k >= 5; k -= 4) {
        p = FMA(p, s4, CONSTANT(1.0 / k));
        q = FMA(q, s4, CONSTANT(1.0 / (k - 2)));
    }
    return FMA(p, s4, q * s2);
}

/* log(1 + x) for x in [0, 1]: 2 artanh(s), s = x / (2 + x) <= 1/3. */
ALWAYS_INLINE vector NAME(vector_log1p)(vector x)
{
    const vector b = 2 + x;
    const vector s = NAME(quotient)(x, CONSTANT(0), b, x - (b - 2));
    return 2 * FMA(NAME(artanh_series)(s * s), s, s);
}

/* log(x) for finite x >= 1, where x = 2^n (1 + m): log(1 + m) + n ln 2. NaN stays. */
ALWAYS_INLINE vector NAME(vector_log)(vector x)
{
    const NAME(indices) one = (NAME(indices))CONSTANT(1);
    const NAME(indices) fraction = ((real_sized_int)1 << MANTISSA_BITS) - 1 - (NAME(indices)){0};
    const vector m = (vector)(((NAME(indices))x & fraction) | one) - 1;
    const NAME(indices) n = ((NAME(indices))x >> MANTISSA_BITS) - EXPONENT_BIAS;
    const vector whole = (vector)(n + (NAME(indices))CONSTANT(ROUNDER)) - CONSTANT(ROUNDER);
    const vector result = FMA(whole, CONSTANT(LN2_HIGH),
                              FMA(whole, CONSTANT(LN2_LOW), NAME(vector_log1p)(m)));
    return SELECT(x >= 1, result, x);
}

/* exp(-|x|) = 2^n (1 + p) in [0, 1]: returns p. `size` is |x|, cut off where the exponential is 0;
 * `scale` is 2^n, or 0 where that is next to nothing and may be below the normal numbers. */
ALWAYS_INLINE vector NAME(reduce_exp_of_minus)(vector x, vector *size, NAME(indices) * n,
                                               vector *scale)
{
    *size = NAME(vector_abs)(x);
    *size = MIN(CONSTANT(-EXP_UNDERFLOWS), *size);
    const vector p = NAME(reduce_exp)(-*size, n);
    *scale = SELECT(*size > CONSTANT(EXP_IS_NOTHING), CONSTANT(0), NAME(power_of_two)(*n));
    return p;
}

/* The sigmoid of -|x| as (q + rest) last, returning q: e / (1 + e), e = exp(-|x|) = 2^n (1 + p).
 * 2^n in two steps, as above, but the first step is taken before the division, which hides it.
 * `size` is |x|, cut off where e is 0. */
ALWAYS_INLINE vector NAME(sigmoid_tail)(vector x, vector *size, vector *rest, vector *last,
                                        vector *exp_of_minus_size)
{
    vector scale;
    NAME(indices) n;
    const vector p = NAME(reduce_exp_of_minus)(x, size, &n, &scale);
    const NAME(indices) half = n >> 1;
    const vector first = NAME(power_of_two)(half);
    *last = NAME(power_of_two)(n - half);
    const vector a = FMA(first, p, first), a_low = FMA(first, p, first - a);
    const vector b = FMA(scale, p, 1 + scale), b_low = FMA(scale, p, scale + (1 - b));
    const vector inverse = 1 / b;
    const vector q = a * inverse;
    *rest = NAME(rest_of_division)(q, a, a_low, b, b_low) * inverse;
    *exp_of_minus_size = a * *last;
    return q;
}

/* The sigmoid of x, and exp(-|x|). */
ALWAYS_INLINE vector NAME(sigmoid_and_exp)(vector x, vector *exp_of_minus_size)
{
    vector size, rest, last;
    const vector q = NAME(sigmoid_tail)(x, &size, &rest, &last, exp_of_minus_size);
    const vector tail = (q + rest) * last;
    return SELECT(x < 0, tail, 1 - tail);
}

ALWAYS_INLINE vector NAME(vector_sigmoid)(vector x)
{
    vector e;
    return NAME(sigmoid_and_exp)(x, &e);
}

/* tanh |x| = (e - 1) / (e + 1), e = exp(2 |x|) = scale (1 + p) */
ALWAYS_INLINE vector NAME(vector_tanh)(vector x)
{
    vector size = NAME(vector_abs)(x);
    size = MIN(CONSTANT(TANH_IS_ONE), size);
    NAME(indices) n;
    const vector p = NAME(reduce_exp)(2 * size, &n);
    const vector scale = NAME(power_of_two)(n);
    const vector a = FMA(scale, p, scale - 1), a_low = FMA(scale, p, (scale - 1) - a);
    const vector b = FMA(scale, p, scale + 1), b_low = FMA(scale, p, (scale + 1) - b);
    return NAME(with_sign_of)(NAME(quotient)(a, a_low, b, b_low), x);
}

/* The upper tail of the normal distribution, 1 - Phi(t), at t = |x|, as 2^n (q + rest), returning
 * q; |x| is cut off where the tail is 0. 2^n e is exp(-t^2 / 2).
 *
 * The tail is exp(-t^2 / 2) R(t), where R falls from 1/2 like 1 / (sqrt(2 pi) t): f = (t + 2) R(t)
 * is smooth in u = (t - 2) / (t + 2) in [-1, 1), and one division serves both u and R. (Such a form
 * for the complementary error function: M. M. Shepherd and J. G. Laframboise, "Chebyshev
 * approximation of (1 + 2x) exp(x^2) erfc x in 0 <= x < infinity", 1981.) f is a polynomial in u,
 * fitted with mpmath at 90 digits: least squares of the relative error on 160 Chebyshev nodes of u
 * over t in [0, TAIL_IS_ZERO], the coefficient of u held at its rounded value. */
ALWAYS_INLINE vector NAME(normal_tail)(vector x, vector *t, vector *rest, vector *e,
                                       NAME(indices) * n)
{
#if REAL_IS_DOUBLE /* relative error 8.3e-18, with the coefficients as rounded */
    static const real coefficients[] = {
        1.591272752661142e-8, 4.408312897521393e-8, -4.645694942033613e-8,
        -2.5744938847189304e-7, -1.316969023811819e-7, 4.5225619480044197e-7,
        7.085214100633172e-7, 2.8160253466127324e-7, -3.5452028794470247e-7,
        -1.3457808674062898e-6, -2.835070261300943e-6, -2.856833904022781e-6,
        1.9679166841834036e-6, 1.2571021106203821e-5, 2.1723529477471285e-5,
        9.681927872154544e-6, -4.60586271603328e-5, -0.00012855203545290842,
        -0.00011569248231118111, 0.00020699175309765367, 0.0008271989311687685,
        0.0007851181546202529, -0.0019511241602219532, -0.006724907078072362,
        -0.0004695968344098409, 0.03671836096892068, 0.028797360345363107,
        -0.33140444238878103, 4.5686122553232905e-17,
    };
    const vector middle = CONSTANT(0.6724080048926824); /* at u = 0, with the last coefficient */
#else /* 4.2e-9 */
    static const real coefficients[] = {
        -6.7267654e-5f, -0.0001513478f, 0.00013516641f, 0.00083970017f,
        0.00082269224f, -0.0019531755f, -0.006734407f, -0.00046940768f,
        0.03671941f, 0.028797345f, -0.33140448f, 2.0530074e-8f,
    };
    const vector middle = CONSTANT(0.672408f);
#endif
    *t = NAME(vector_abs)(x);
    *t = MIN(CONSTANT(TAIL_IS_ZERO), *t);
    /* exp turns the rounding error of its argument, which is up to 2^10, into a relative one. */
    const vector square = *t * *t;
    const vector square_low = NAME(exact_fma)(*t, *t, -square);
    vector p = NAME(reduce_exp)(CONSTANT(-0.5) * square, n);
    p = FMA(CONSTANT(-0.5) * square_low, 1 + p, p);
    const vector b = *t + 2, b_low = *t - (b - 2), inverse = 1 / b;
    const vector u = (*t - 2) * inverse, u2 = u * u;
    /* Even and odd powers apart: two chains of half the latency. */
    const size_t degree = sizeof coefficients / sizeof *coefficients - 1;
    vector halves[2];
    halves[degree % 2] = CONSTANT(coefficients[0]);
    halves[(degree - 1) % 2] = CONSTANT(coefficients[1]);
#pragma GCC unroll 30
    for (size_t k = 2; k <= degree; k++)
        halves[(degree - k) % 2] = FMA(halves[(degree - k) % 2], u2, CONSTANT(coefficients[k]));
    const vector s = FMA(halves[1], u, halves[0]);
    /* What rounding took from u, times the slope of f, nearly. */
    const vector u_rest = NAME(rest_of_division)(u, *t - 2, CONSTANT(0), b, b_low) * inverse;
    const vector slope = CONSTANT(coefficients[degree - 1]);
    const vector f = middle + s, f_low = FMA(u_rest, slope, s - (f - middle));
    const vector q = f * inverse;
    const vector q_low = NAME(rest_of_division)(q, f, f_low, b, b_low) * inverse;
    *rest = FMA(q, p, FMA(q_low, p, q_low));
    *e = 1 + p;
    return q;
}

/* ---- as kernels ---- */

#define FUNCTION(name)                                                                            \
    static void NAME(apply_##name)(void *y_, const void *x_, size_t n)                            \
    {                                                                                             \
        real *y = y_;                                                                             \
        const real *x = x_;                                                                       \
        for (size_t i = 0; i < n; i += VECTOR_LANES) {                                            \
            const size_t lanes = n - i < VECTOR_LANES ? n - i : VECTOR_LANES;                     \
            NAME(store_lanes)(y + i, NAME(vector_##name)(NAME(load_lanes)(x + i, lanes)), lanes); \
        }                                                                                         \
    }

FUNCTION(exp)
FUNCTION(expm1)
FUNCTION(log)
FUNCTION(log1p)
#undef FUNCTION

static const fnn_function NAME(functions)[] = {
    {"exp", NAME(apply_exp)},
    {"expm1", NAME(apply_expm1)},
    {"log", NAME(apply_log)},
    {"log1p", NAME(apply_log1p)},
    {NULL, NULL},
};

#endif

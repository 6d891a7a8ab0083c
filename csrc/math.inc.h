/* exp and its kin on vectors, within 2 ulp (`python -m bench.accuracy` looks at all floats).
 *
 * NaN comes out as NaN: where a comparison chooses, NaN takes the side that keeps it. */

/* mask ? a : b, lane by lane; a comparison gives all ones or all zeros. */
#define SELECT(mask, a, b)                                                                        \
    ((vector)(((NAME(indices))(a) & (mask)) | ((NAME(indices))(b) & ~(mask))))
#define CONSTANT(x) ((real)(x) - (vector){0})

#if REAL_IS_DOUBLE
#define MANTISSA_BITS 52
#define EXPONENT_BIAS 1023
#define ROUNDER 0x1.8p52 /* added and subtracted: rounds to a whole number */
#define EXP_OVERFLOWS 710.0
#define EXP_UNDERFLOWS (-746.0)
#define TANH_IS_ONE 20.0
#define SIGMOID_IS_EXP 600.0
/* ln 2 in two parts; multiples of the first by an exponent are exact (fdlibm's e_exp.c) */
#define LN2_HIGH 6.93147180369123816490e-01
#define LN2_LOW 1.90821492927058770002e-10
#else
#define MANTISSA_BITS 23
#define EXPONENT_BIAS 127
#define ROUNDER 0x1.8p23f
#define EXP_OVERFLOWS 89.0f
#define EXP_UNDERFLOWS (-104.0f)
#define TANH_IS_ONE 10.0f
#define SIGMOID_IS_EXP 80.0f
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
    x = SELECT(x > CONSTANT(EXP_OVERFLOWS), CONSTANT(EXP_OVERFLOWS), x);
    x = SELECT(x < CONSTANT(EXP_UNDERFLOWS), CONSTANT(EXP_UNDERFLOWS), x);
    NAME(indices) n;
    const vector p = NAME(reduce_exp)(x, &n);
    const NAME(indices) half = n >> 1; /* in two steps: 2^n itself may be out of range */
    return (1 + p) * NAME(power_of_two)(half) * NAME(power_of_two)(n - half);
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

/* log(1 + x) for x in [0, 1]: 2 artanh(s), s = x / (2 + x) <= 1/3. */
ALWAYS_INLINE vector NAME(vector_log1p)(vector x)
{
    const vector b = 2 + x;
    const vector s = NAME(quotient)(x, CONSTANT(0), b, x - (b - 2));
    const vector s2 = s * s;
    vector p = CONSTANT(0);
#pragma GCC unroll 20
    for (int k = REAL_IS_DOUBLE ? 33 : 17; k >= 3; k -= 2)
        p = FMA(p, s2, CONSTANT(1.0 / k));
    return 2 * FMA(p * s2, s, s);
}

/* e / (1 + e) or 1 / (1 + e), where e = exp(-|x|) = scale (1 + p) in [0, 1], which it gives too. */
ALWAYS_INLINE vector NAME(sigmoid_and_exp)(vector x, vector *exp_of_minus_size)
{
    const NAME(indices) negative = x < 0;
    vector size = NAME(vector_abs)(x);
    size = SELECT(size > CONSTANT(-EXP_UNDERFLOWS), CONSTANT(-EXP_UNDERFLOWS), size);
    const NAME(indices) tiny = size > CONSTANT(SIGMOID_IS_EXP); /* e may be below 2^n of any n */
    NAME(indices) n;
    const vector p = NAME(reduce_exp)(-size, &n);
    const NAME(indices) half = n >> 1;
    *exp_of_minus_size = (1 + p) * NAME(power_of_two)(half) * NAME(power_of_two)(n - half);
    const vector scale = SELECT(tiny, CONSTANT(0), NAME(power_of_two)(n));
    const vector e = FMA(scale, p, scale), e_low = FMA(scale, p, scale - e);
    const vector b = FMA(scale, p, 1 + scale), b_low = FMA(scale, p, (1 + scale) - b);
    const vector a = SELECT(negative, e, CONSTANT(1)), a_low = SELECT(negative, e_low, CONSTANT(0));
    const vector s = NAME(quotient)(a, a_low, b, b_low);
    return SELECT(negative & tiny, *exp_of_minus_size, s);
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
    size = SELECT(size > CONSTANT(TANH_IS_ONE), CONSTANT(TANH_IS_ONE), size);
    NAME(indices) n;
    const vector p = NAME(reduce_exp)(2 * size, &n);
    const vector scale = NAME(power_of_two)(n);
    const vector a = FMA(scale, p, scale - 1), a_low = FMA(scale, p, (scale - 1) - a);
    const vector b = FMA(scale, p, scale + 1), b_low = FMA(scale, p, (scale + 1) - b);
    return NAME(with_sign_of)(NAME(quotient)(a, a_low, b, b_low), x);
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
FUNCTION(log1p)
#undef FUNCTION

static const fnn_function NAME(functions)[] = {
    {"exp", NAME(apply_exp)},
    {"expm1", NAME(apply_expm1)},
    {"log1p", NAME(apply_log1p)},
    {NULL, NULL},
};

#undef MANTISSA_BITS
#undef EXPONENT_BIAS
#undef ROUNDER
#undef EXP_OVERFLOWS
#undef EXP_UNDERFLOWS
#undef TANH_IS_ONE
#undef SIGMOID_IS_EXP
#undef LN2_HIGH
#undef LN2_LOW

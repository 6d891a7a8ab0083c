/* Kernels that read a user's array, one set for each element type: rows of a mini-batch gathered, and
 * the check that all numbers are finite. */
#ifndef FASTNN_INPUTS_INC_H
#define FASTNN_INPUTS_INC_H

#include "layout.inc.h"
#include "matrix.inc.h"
#include "vector.inc.h"

/* Rows of a narrow batch in single columns that are gathered before they are transposed. */
#define GATHERED_NUMBERS (4096 / sizeof(real))

/* Half precision (IEEE 754 binary16) by its bits: denormal numbers, which compiled loops take for 0, are
 * multiples of 2^-24; of the others the exponent is moved to where a float has its own. */
ALWAYS_INLINE float NAME(of_half)(uint16_t bits)
{
    const uint32_t magnitude = bits & 0x7fffu;
    uint32_t moved = (magnitude << 13) + ((127u - 15u) << 23);
    moved += magnitude >= 0x7c00u ? (255u - 31u - (127u - 15u)) << 23 : 0; /* infinity and NaN */
    float normal;
    memcpy(&normal, &moved, sizeof normal);
    const float denormal = (float)(int32_t)magnitude * 0x1p-24f;
    const float size = magnitude < 0x0400u ? denormal : normal;
    return bits & 0x8000u ? -size : size;
}

#define SUFFIX f16
#define SOURCE uint16_t
#define VALUE(x) (real)NAME(of_half)(x)
#include "gather.inc.h"

#define SUFFIX f32
#define SOURCE float
#define VALUE(x) (real)(x)
#include "gather.inc.h"

#define SUFFIX f64
#define SOURCE double
#define VALUE(x) (real)(x)
#include "gather.inc.h"

#define SUFFIX u8
#define SOURCE uint8_t
#define VALUE(x) (real)(x)
#include "gather.inc.h"

#define SUFFIX i8
#define SOURCE int8_t
#define VALUE(x) (real)(x)
#include "gather.inc.h"

/* x - x is 0 where x is finite, and NaN elsewhere. */
static int NAME(all_finite)(const void *data_, size_t n)
{
    const real *data = data_;
    NAME(indices) bad = {0};
    size_t i = 0;
    for (; i + VECTOR_LANES <= n; i += VECTOR_LANES) {
        const vector x = NAME(load)(data + i);
        bad |= x - x != 0;
    }
    if (i < n) {
        const vector x = NAME(load_lanes)(data + i, n - i);
        bad |= x - x != 0;
    }
    return !NAME(any)(bad);
}

/* The same for an array of the other type, once converted. */
#if REAL_IS_DOUBLE
typedef float NAME(other);
#else
typedef double NAME(other);
#endif

static int NAME(all_finite_converted)(const void *data_, size_t n)
{
    const NAME(other) *data = data_;
    real_sized_int bad = 0;
    for (size_t i = 0; i < n; i++)
        bad |= !(R(fabs)((real)data[i]) <= REAL_MAX); /* NaN fails <= as well */
    return bad == 0;
}

/* Of half precision: either table has room for all its numbers, and infinity and NaN have this exponent. */
static int NAME(all_finite_halves)(const void *data_, size_t n)
{
    const uint16_t *data = data_;
    int bad = 0;
    for (size_t i = 0; i < n; i++)
        bad |= (data[i] & 0x7c00) == 0x7c00;
    return !bad;
}

static int NAME(integers_are_finite)(const void *data, size_t n)
{
    (void)data;
    (void)n;
    return 1;
}

#if REAL_IS_DOUBLE
#define ALL_FINITE_F32 NAME(all_finite_converted)
#define ALL_FINITE_F64 NAME(all_finite)
#else
#define ALL_FINITE_F32 NAME(all_finite)
#define ALL_FINITE_F64 NAME(all_finite_converted)
#endif

static const fnn_input NAME(inputs)[] = {
    {"f16", sizeof(uint16_t), NAME(gather_f16), NAME(all_finite_halves)},
    {"f32", sizeof(float), NAME(gather_f32), ALL_FINITE_F32},
    {"f64", sizeof(double), NAME(gather_f64), ALL_FINITE_F64},
    {"u8", sizeof(uint8_t), NAME(gather_u8), NAME(integers_are_finite)},
    {"i8", sizeof(int8_t), NAME(gather_i8), NAME(integers_are_finite)},
    {NULL, 0, NULL, NULL},
};

#endif

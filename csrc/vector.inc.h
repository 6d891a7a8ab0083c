/* One vector register of the element type: VECTOR_BYTES wide, arithmetic by GCC's and Clang's
 * vector extensions, fused multiply-add by the instruction itself (the compiler may not contract). */
#ifndef FASTNN_VECTOR_INC_H
#define FASTNN_VECTOR_INC_H

#include "real.inc.h"

typedef real NAME(vector) __attribute__((vector_size(VECTOR_BYTES)));
#define vector NAME(vector)
#define VECTOR_LANES (VECTOR_BYTES / sizeof(real))

#define CONSTANT(x) ((real)(x) - (vector){0})

#if defined(__clang__)
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (NAME(indices)){__VA_ARGS__})
#endif
typedef real_sized_int NAME(indices) __attribute__((vector_size(VECTOR_BYTES)));

#if VECTOR_BYTES == 64 && REAL_IS_DOUBLE
#define FMA(a, b, c) ((vector)_mm512_fmadd_pd((__m512d)(a), (__m512d)(b), (__m512d)(c)))
#elif VECTOR_BYTES == 64
#define FMA(a, b, c) ((vector)_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#elif VECTOR_BYTES == 32 && REAL_IS_DOUBLE
#define FMA(a, b, c) ((vector)_mm256_fmadd_pd((__m256d)(a), (__m256d)(b), (__m256d)(c)))
#elif VECTOR_BYTES == 32
#define FMA(a, b, c) ((vector)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#elif defined(__aarch64__) && REAL_IS_DOUBLE
#define FMA(a, b, c) ((vector)vfmaq_f64((float64x2_t)(c), (float64x2_t)(a), (float64x2_t)(b)))
#elif defined(__aarch64__)
#define FMA(a, b, c) ((vector)vfmaq_f32((float32x4_t)(c), (float32x4_t)(a), (float32x4_t)(b)))
#else /* no such instruction */
#define NO_FMA
#define FMA(a, b, c) ((a) * (b) + (c))
#endif

/* The first n lanes of a vector in memory; the others are 0, and not touched. */
#if VECTOR_BYTES == 64 && REAL_IS_DOUBLE
#define LOAD_LANES(p, n) ((vector)_mm512_maskz_loadu_pd((__mmask8)((1u << (n)) - 1), p))
#define STORE_LANES(p, v, n) _mm512_mask_storeu_pd(p, (__mmask8)((1u << (n)) - 1), (__m512d)(v))
#elif VECTOR_BYTES == 64
#define LOAD_LANES(p, n) ((vector)_mm512_maskz_loadu_ps((__mmask16)((1u << (n)) - 1), p))
#define STORE_LANES(p, v, n) _mm512_mask_storeu_ps(p, (__mmask16)((1u << (n)) - 1), (__m512)(v))
#elif VECTOR_BYTES == 32 && REAL_IS_DOUBLE
#define LANES_BELOW(n) \
    _mm256_cmpgt_epi64(_mm256_set1_epi64x((long long)(n)), _mm256_setr_epi64x(0, 1, 2, 3))
#define LOAD_LANES(p, n) ((vector)_mm256_maskload_pd(p, LANES_BELOW(n)))
#define STORE_LANES(p, v, n) _mm256_maskstore_pd(p, LANES_BELOW(n), (__m256d)(v))
#elif VECTOR_BYTES == 32
#define LANES_BELOW(n) \
    _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))
#define LOAD_LANES(p, n) ((vector)_mm256_maskload_ps(p, LANES_BELOW(n)))
#define STORE_LANES(p, v, n) _mm256_maskstore_ps(p, LANES_BELOW(n), (__m256)(v))
#endif

ALWAYS_INLINE vector NAME(load_lanes)(const real *p, size_t n)
{
#ifdef LOAD_LANES
    return LOAD_LANES(p, n);
#else /* no masks */
    vector v = {0};
#pragma GCC unroll 4
    for (size_t lane = 0; lane < VECTOR_LANES; lane++) {
        if (lane < n)
            v[lane] = p[lane];
    }
    return v;
#endif
}

ALWAYS_INLINE void NAME(store_lanes)(real *p, vector v, size_t n)
{
#ifdef STORE_LANES
    STORE_LANES(p, v, n);
#else
#pragma GCC unroll 4
    for (size_t lane = 0; lane < VECTOR_LANES; lane++) {
        if (lane < n)
            p[lane] = v[lane];
    }
#endif
}

ALWAYS_INLINE vector NAME(load)(const real *p)
{
    vector v;
    memcpy(&v, p, sizeof v);
    return v;
}

ALWAYS_INLINE void NAME(store)(real *p, vector v) { memcpy(p, &v, sizeof v); }

/* A vector of which `lanes` are there, at most all: a constant where all are, so that no mask is made. */
ALWAYS_INLINE vector NAME(load_up_to)(const real *p, size_t lanes)
{
    return lanes == VECTOR_LANES ? NAME(load)(p) : NAME(load_lanes)(p, lanes);
}

ALWAYS_INLINE void NAME(store_up_to)(real *p, vector v, size_t lanes)
{
    if (lanes == VECTOR_LANES)
        NAME(store)(p, v);
    else
        NAME(store_lanes)(p, v, lanes);
}

#if VECTOR_BYTES == 64 && REAL_IS_DOUBLE
#define SQRT(x) ((vector)_mm512_sqrt_pd((__m512d)(x)))
#elif VECTOR_BYTES == 64
#define SQRT(x) ((vector)_mm512_sqrt_ps((__m512)(x)))
#elif VECTOR_BYTES == 32 && REAL_IS_DOUBLE
#define SQRT(x) ((vector)_mm256_sqrt_pd((__m256d)(x)))
#elif VECTOR_BYTES == 32
#define SQRT(x) ((vector)_mm256_sqrt_ps((__m256)(x)))
#elif defined(__x86_64__) && REAL_IS_DOUBLE
#define SQRT(x) ((vector)_mm_sqrt_pd((__m128d)(x)))
#elif defined(__x86_64__)
#define SQRT(x) ((vector)_mm_sqrt_ps((__m128)(x)))
#elif defined(__aarch64__) && REAL_IS_DOUBLE
#define SQRT(x) ((vector)vsqrtq_f64((float64x2_t)(x)))
#elif defined(__aarch64__)
#define SQRT(x) ((vector)vsqrtq_f32((float32x4_t)(x)))
#else
#define SQRT(x) NAME(sqrt_lanes)(x)
ALWAYS_INLINE vector NAME(sqrt_lanes)(vector x)
{
    for (size_t lane = 0; lane < VECTOR_LANES; lane++)
        x[lane] = R(sqrt)(x[lane]);
    return x;
}
#endif

/* a < b ? a : b in each lane: b where one of them is NaN. */
#if VECTOR_BYTES == 64 && REAL_IS_DOUBLE
#define MIN(a, b) ((vector)_mm512_min_pd((__m512d)(a), (__m512d)(b)))
#elif VECTOR_BYTES == 64
#define MIN(a, b) ((vector)_mm512_min_ps((__m512)(a), (__m512)(b)))
#elif VECTOR_BYTES == 32 && REAL_IS_DOUBLE
#define MIN(a, b) ((vector)_mm256_min_pd((__m256d)(a), (__m256d)(b)))
#elif VECTOR_BYTES == 32
#define MIN(a, b) ((vector)_mm256_min_ps((__m256)(a), (__m256)(b)))
#else
#define MIN(a, b) SELECT((a) < (b), a, b)
#endif

/* mask ? a : b, lane by lane; a comparison gives all ones or all zeros. */
#define SELECT(mask, a, b)                                                                        \
    ((vector)(((NAME(indices))(a) & (mask)) | ((NAME(indices))(b) & ~(mask))))

/* Whether a comparison holds in any lane. */
ALWAYS_INLINE int NAME(any)(NAME(indices) mask)
{
#if VECTOR_BYTES == 64
    return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask) != 0;
#elif VECTOR_BYTES == 32
    return !_mm256_testz_si256((__m256i)mask, (__m256i)mask);
#else
    int64_t halves[2];
    memcpy(halves, &mask, sizeof halves);
    return (halves[0] | halves[1]) != 0;
#endif
}

#endif

/* One vector register of the element type: VECTOR_BYTES wide, arithmetic by GCC's and Clang's
 * vector extensions, fused multiply-add by the instruction itself (the compiler may not contract). */
typedef real NAME(vector) __attribute__((vector_size(VECTOR_BYTES)));
#define vector NAME(vector)
#define VECTOR_LANES (VECTOR_BYTES / sizeof(real))

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
#define FMA(a, b, c) ((a) * (b) + (c))
#endif

/* The element type of a file's kernels, and their names, which carry it and the instruction set, so
 * that no linker can mix two versions. The C file sets ISA (a word: avx2), VECTOR_BYTES and
 * REAL_IS_DOUBLE. */
#ifndef FASTNN_REAL_INC_H
#define FASTNN_REAL_INC_H

#include <float.h>
#include <math.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "fastnn.h"

#if REAL_IS_DOUBLE
#define real double
#define real_sized_int int64_t
#define REAL_MAX DBL_MAX
#define R(function) function
#define DTYPE f64
#else
#define real float
#define real_sized_int int32_t
#define REAL_MAX FLT_MAX
#define R(function) function##f
#define DTYPE f32
#endif

#define JOIN_(name, dtype, isa) fnn_##name##_##dtype##_##isa
#define JOIN(name, dtype, isa) JOIN_(name, dtype, isa)
#define NAME(name) JOIN(name, DTYPE, ISA)
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define STRING_(x) #x
#define STRING(x) STRING_(x)

#endif

/* Every family of kernels for one instruction set and one element type, then their table.
 *
 * The including file sets ISA (a word: avx2), VECTOR_BYTES, REAL_IS_DOUBLE, and compiles with the
 * flags of that set. All functions are static with set and type in their names, so that no linker
 * can mix two versions. */
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
#define STRING_(x) #x
#define STRING(x) STRING_(x)

#include "vector.inc.h"
#include "math.inc.h"

#include "layout.inc.h"
#include "softmax.inc.h"
#include "activations.inc.h"
#include "panels.inc.h"
#include "narrow.inc.h"
#include "gemm.inc.h" /* chooses among the panels and the narrow ones */
#include "inputs.inc.h"
#include "losses.inc.h"
#include "optimizers.inc.h"
#include "peak.inc.h"
#include "reductions.inc.h"

extern const fnn_kernels NAME(kernels);
const fnn_kernels NAME(kernels) = {
    .isa = STRING(ISA),
    .dtype = STRING(DTYPE),
    .itemsize = sizeof(real),
    .activations = NAME(activations),
    .functions = NAME(functions),
    .losses = NAME(losses),
    .optimizers = NAME(optimizers),
    .inputs = NAME(inputs),
    .gemm = NAME(gemm),
    .gemm_scratch = NAME(gemm_scratch),
    .fill_rows = NAME(fill_rows),
    .transpose = NAME(transpose),
    .sum_rows = NAME(sum_rows),
    .fma_burst = NAME(fma_burst),
};

#undef vector
#undef VECTOR_LANES
#undef FMA
#undef NO_FMA
#undef SHUFFLE
#undef SELECT
#undef CONSTANT
#undef MANTISSA_BITS
#undef EXPONENT_BIAS
#undef ROUNDER
#undef EXP_OVERFLOWS
#undef EXP_UNDERFLOWS
#undef TANH_IS_ONE
#undef EXP_IS_NOTHING
#undef LN2_HIGH
#undef LN2_LOW
#undef TAIL_IS_ZERO
#undef LANES_BELOW
#undef LOAD_LANES
#undef STORE_LANES
#undef ALWAYS_INLINE
#undef real
#undef real_sized_int
#undef REAL_MAX
#undef R
#undef DTYPE
#undef JOIN_
#undef JOIN
#undef NAME
#undef STRING_
#undef STRING

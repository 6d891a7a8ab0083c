/* Every kernel for AVX2 and FMA, in float32; setup.py gives this file the flags. */
#define ISA avx2
#define VECTOR_BYTES 32
#define REAL_IS_DOUBLE 0
#include "kernels.inc.h"

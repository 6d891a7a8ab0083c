/* Every kernel for AVX2 and FMA; setup.py gives this file the flags. */
#define ISA avx2
#define VECTOR_BYTES 32

#define REAL_IS_DOUBLE 0
#include "kernels.inc.h"
#undef REAL_IS_DOUBLE

#define REAL_IS_DOUBLE 1
#include "kernels.inc.h"

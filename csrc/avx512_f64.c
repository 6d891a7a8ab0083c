/* Every kernel for AVX-512 F, BW, DQ, VL, in float64; setup.py gives this file the flags. */
#define ISA avx512
#define VECTOR_BYTES 64
#define REAL_IS_DOUBLE 1
#include "kernels.inc.h"

/* Every kernel for AVX-512 F, BW, DQ, VL, in float32; setup.py gives this file the flags. */
#define ISA avx512
#define VECTOR_BYTES 64
#define REAL_IS_DOUBLE 0
#include "kernels.inc.h"

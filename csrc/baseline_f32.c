/* Every kernel for every CPU of the architecture, in float32; setup.py gives this file the flags. */
#define ISA baseline
#define VECTOR_BYTES 16
#define REAL_IS_DOUBLE 0
#include "kernels.inc.h"

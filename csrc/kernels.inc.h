/* The table of all kernels for one instruction set and one element type: see real.inc.h for what the
 * including C file sets. */
#include "activations.inc.h"
#include "gemm.inc.h"
#include "hits.inc.h"
#include "inputs.inc.h"
#include "layout.inc.h"
#include "losses.inc.h"
#include "math.inc.h"
#include "optimizers.inc.h"
#include "peak.inc.h"
#include "real.inc.h"
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
    .panel_width = MATRIX_PANEL,
    .single_panel_width = SINGLE_PANEL,
    .gemm = NAME(gemm),
    .gemm_scratch = NAME(gemm_scratch),
    .fill_rows = NAME(fill_rows),
    .copy = NAME(copy),
    .transpose = NAME(transpose),
    .sum_rows = NAME(sum_rows),
    .hits_of_labels = NAME(hits_of_labels),
    .hits_of_rows = NAME(hits_of_rows),
    .hits_of_units = NAME(hits_of_units),
    .fma_burst = NAME(fma_burst),
};

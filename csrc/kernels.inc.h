/* The table of all kernels for one instruction set and one element type: see real.inc.h for what the
 * including C file sets. */
#include "activations.inc.h"
#include "averages.inc.h"
#include "gemm.inc.h"
#include "hits.inc.h"
#include "inputs.inc.h"
#include "layout.inc.h"
#include "losses.inc.h"
#include "math.inc.h"
#include "noise.inc.h"
#include "norms.inc.h"
#include "optimizers.inc.h"
#include "peak.inc.h"
#include "prelu.inc.h"
#include "real.inc.h"
#include "reductions.inc.h"
#include "regularizers.inc.h"
#include "sparse.inc.h"
#include "targets.inc.h"
#include "units.inc.h"

static const fnn_layers NAME(layers) = {
    .dropout_forward = NAME(dropout_forward),
    .multiply = NAME(multiply),
    .gaussian_noise_forward = NAME(gaussian_noise_forward),
    .batch_norm_forward = NAME(batch_norm_forward),
    .batch_norm_infer = NAME(batch_norm_infer),
    .batch_norm_backward = NAME(batch_norm_backward),
    .batch_norm_centre = NAME(batch_norm_centre),
    .batch_norm_normalise = NAME(batch_norm_normalise),
    .batch_norm_turn_back = NAME(batch_norm_turn_back),
    .batch_norm_track = NAME(batch_norm_track),
    .layer_norm_forward = NAME(layer_norm_forward),
    .layer_norm_backward = NAME(layer_norm_backward),
    .prelu_forward = NAME(prelu_forward),
    .prelu_infer = NAME(prelu_infer),
    .prelu_backward = NAME(prelu_backward),
};

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
    .sparse_inputs = NAME(sparse_inputs),
    .sparse_gradient = NAME(sparse_gradient),
    .label_rows = NAME(label_rows),
    .smooth = NAME(smooth),
    .panel_width = MATRIX_PANEL,
    .single_panel_width = SINGLE_PANEL,
    .gemm = NAME(gemm),
    .gemm_scratch = NAME(gemm_scratch),
    .fill_rows = NAME(fill_rows),
    .copy = NAME(copy),
    .transpose = NAME(transpose),
    .sum_rows = NAME(sum_rows),
    .layers = &NAME(layers),
    .penalize = NAME(penalize),
    .sum_of_squares = NAME(sum_of_squares),
    .clip = NAME(clip),
    .scale = NAME(scale),
    .limit_norms = NAME(limit_norms),
    .average = NAME(average),
    .hits_of_rows = NAME(hits_of_rows),
    .hits_of_units = NAME(hits_of_units),
    .fma_burst = NAME(fma_burst),
};

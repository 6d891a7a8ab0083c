/* The focal loss of Lin et al., "Focal loss for dense object detection" (2017), and its derivative in one
 * pass, from the logits z:
 *   binary       -t q^gamma log(p) - (1 - t) p^gamma log(q),  p = sigmoid(z), q = 1 - p
 *   categorical  -sum_j t_j q_j^gamma log(p_j),               p = softmax(z), q_j = 1 - p_j
 * The parameter is gamma. */
#ifndef FASTNN_FOCAL_INC_H
#define FASTNN_FOCAL_INC_H

#include "element_losses.inc.h"
#include "math.inc.h"
#include "softmax.inc.h"

/* ---- binary ---- */

/* -log(q) = log(1 + exp(z)) = S and -log(p) = S - z, so q^gamma = exp(-gamma S). The derivatives of the
 * two terms are -q^gamma (gamma p (S - z) + q) and p^gamma (gamma q S + p). z - z is NaN where z is
 * infinite. */
ALWAYS_INLINE vector NAME(binary_focal_number)(vector z, vector t, const double *parameters,
                                               vector *derivative)
{
    const vector gamma = CONSTANT(parameters[0]);
    vector e;
    const vector p = NAME(sigmoid_and_exp)(z, &e), q = NAME(vector_sigmoid)(-z);
    const vector rest = NAME(vector_log1p)(e);
    const vector minus_log_q = SELECT(z < 0, CONSTANT(0), z) + rest;
    const vector minus_log_p = SELECT(z < 0, -z, CONSTANT(0)) + rest;
    const vector q_power = NAME(vector_exp)(-gamma * minus_log_q);
    const vector p_power = NAME(vector_exp)(-gamma * minus_log_p);
    *derivative = (1 - t) * p_power * (gamma * q * minus_log_q + p)
                  - t * q_power * (gamma * p * minus_log_p + q);
    return t * q_power * minus_log_p + (1 - t) * p_power * minus_log_q + (z - z);
}
VECTOR_ELEMENTS(binary_focal_number)
ELEMENT_LOSS(binary_focal, binary_focal_number)

/* ---- categorical ---- */

/* What a row's units have in common. */
typedef struct NAME(focal_row) {
    real largest; /* logit */
    size_t at;    /* the first unit that has it */
    real rest;    /* the sum of exp(z - largest) over the others */
    real log_sum; /* of exp(z - largest) over all */
    real gamma;
} NAME(focal_row);

static NAME(focal_row) NAME(focal_row_of)(const real *z, size_t n_units, real gamma)
{
    NAME(focal_row) row = {.largest = NAME(largest_of)(z, n_units), .gamma = gamma};
    while (row.at + 1 < n_units && z[row.at] != row.largest)
        row.at++;
    vector sums[BLOCK_VECTORS] = {{0}};
    for (size_t i = 0, b = 0; i < n_units; i += VECTOR_LANES, b = (b + 1) % BLOCK_VECTORS) {
        const size_t lanes = n_units - i < VECTOR_LANES ? n_units - i : VECTOR_LANES;
        real e[VECTOR_LANES];
        NAME(store)(e, NAME(vector_exp)(NAME(load_lanes)(z + i, lanes) - row.largest));
        if (row.at - i < lanes)
            e[row.at - i] -= 1; /* NaN stays */
        sums[b] += NAME(load_lanes)(e, lanes);
    }
    row.rest = NAME(sum_of_chains)(sums);
    row.log_sum = (real)log1p((double)row.rest);
    return row;
}

/* Of the vector of units from i on, p and h = p dL/dp = -t q^gamma (1 + gamma p (-log p) / q); the
 * derivative of the row's loss L is h - p sum(h). Returns L's terms. */
ALWAYS_INLINE vector NAME(focal_units)(const NAME(focal_row) * row, vector z, vector t, size_t i,
                                       vector *p, vector *h)
{
    const vector below = z - row->largest, minus_log_p = row->log_sum - below;
    *p = NAME(vector_exp)(below) / (1 + row->rest);
    vector q = 1 - *p;
    if (row->at - i < VECTOR_LANES) /* where p may be so close to 1 that q is lost */
        q[row->at - i] = row->rest / (1 + row->rest);
    const vector power = NAME(vector_exp)(-row->gamma * NAME(vector_log)(1 / q));
    const vector ratio = SELECT(q > 0, minus_log_p / q, CONSTANT(1));
    *h = -t * power * (1 + row->gamma * *p * ratio);
    return t * power * minus_log_p;
}

static double NAME(categorical_focal)(void *d_, const void *out_, const void *targets_,
                                      const void *weights_, size_t rows, size_t n_units,
                                      double scale, const double *parameters)
{
    real *d = d_;
    const real *z = out_;
    const real *t = targets_;
    const real *weights = weights_;
    double loss = 0;
    for (size_t k = 0; k < rows && n_units > 0; k++, d += n_units, z += n_units, t += n_units) {
        const NAME(focal_row) row = NAME(focal_row_of)(z, n_units, (real)parameters[0]);
        const real weight = weights == NULL ? 1 : weights[k], factor = (real)scale * weight;
        vector losses[BLOCK_VECTORS] = {{0}}, hs[BLOCK_VECTORS] = {{0}}, p, h;
        for (size_t i = 0, b = 0; i < n_units; i += VECTOR_LANES, b = (b + 1) % BLOCK_VECTORS) {
            const size_t lanes = n_units - i < VECTOR_LANES ? n_units - i : VECTOR_LANES;
            real terms[2][VECTOR_LANES]; /* what is made of lanes that are not there does not count */
            NAME(store)(terms[0], NAME(focal_units)(&row, NAME(load_lanes)(z + i, lanes),
                                                    NAME(load_lanes)(t + i, lanes), i, &p, &h));
            NAME(store)(terms[1], h);
            losses[b] += NAME(load_lanes)(terms[0], lanes);
            hs[b] += NAME(load_lanes)(terms[1], lanes);
        }
        loss += (double)weight * (double)NAME(sum_of_chains)(losses);
        const real sum = NAME(sum_of_chains)(hs);
        for (size_t i = 0; i < n_units; i += VECTOR_LANES) {
            const size_t lanes = n_units - i < VECTOR_LANES ? n_units - i : VECTOR_LANES;
            NAME(focal_units)(&row, NAME(load_lanes)(z + i, lanes), NAME(load_lanes)(t + i, lanes),
                              i, &p, &h);
            NAME(store_lanes)(d + i, (h - p * sum) * factor, lanes);
        }
    }
    return loss;
}

#endif

/* Cross-entropies and their derivatives in one pass, from the logits z, so that no probability is ever
 * logged:
 *   binary       -t log(s) - (1 - t) log(1 - s) = max(z, 0) - z t + log(1 + exp(-|z|)),  s = sigmoid(z)
 *   categorical  -sum_j t_j log(p_j)            = sum_j t_j (log(sum(exp(z))) - z_j),    p = softmax(z)
 * Their derivatives by z are s - t and p - t. */
#ifndef FASTNN_CROSS_ENTROPIES_INC_H
#define FASTNN_CROSS_ENTROPIES_INC_H

#include "element_losses.inc.h"
#include "math.inc.h"
#include "softmax.inc.h"

/* ---- binary ---- */

typedef double NAME(doubles) __attribute__((vector_size(VECTOR_LANES * sizeof(double))));

/* The sum of log(1 + e) over numbers e >= 0 is log(1 + p), with p = (1 + e_1) (1 + e_2) ... - 1: one
 * logarithm for all. p of two numbers; without cancellation, so that a small p keeps its bits. */
#define JOINED(p, e) ((p) * (e) + ((p) + (e)))

/* Binary cross-entropies are summed up in chains of every BINARY_CHAINS-th number each: BINARY_LINES
 * numbers in the element type, and these sums in double, for each block, of BINARY_BLOCK numbers. The
 * product of 1 + e <= 2 over a block is far from the largest double. */
#define BINARY_CHAINS (64 / sizeof(real))
#define BINARY_VECTORS (64 / VECTOR_BYTES)
#define BINARY_LINES 4
#define BINARY_BLOCK 512

/* Of n numbers, vectors BINARY_CHAINS apart: BINARY_LINES at most, and so many if whole, which is a
 * constant where this is inlined. All is loaded before d is written, which may be `out`. */
ALWAYS_INLINE void NAME(binary_lines)(const int whole, real *d, const real *out,
                                      const real *targets, size_t n, vector factor,
                                      NAME(doubles) *sum, NAME(doubles) *product)
{
    vector line_sum = {0}, line_product = {0};
    vector z[BINARY_LINES] = {{0}}, t[BINARY_LINES] = {{0}};
    vector derivatives[BINARY_LINES] = {{0}}, e[BINARY_LINES] = {{0}}; /* e: exp(-|z|) */
    const size_t lines = whole ? BINARY_LINES : (n + BINARY_CHAINS - 1) / BINARY_CHAINS;
#define LEFT(line) (n - (line) * BINARY_CHAINS)
#define LANES(line) (LEFT(line) < VECTOR_LANES ? LEFT(line) : VECTOR_LANES)
#pragma GCC unroll 4
    for (size_t line = 0; line < lines; line++) {
        const real *from = out + line * BINARY_CHAINS, *target = targets + line * BINARY_CHAINS;
        z[line] = whole ? NAME(load)(from) : NAME(load_lanes)(from, LANES(line));
        t[line] = whole ? NAME(load)(target) : NAME(load_lanes)(target, LANES(line));
    }
#pragma GCC unroll 4
    for (size_t line = 0; line < lines; line++) {
        derivatives[line] = (NAME(sigmoid_and_exp)(z[line], e + line) - t[line]) * factor;
        line_sum += SELECT(z[line] < 0, CONSTANT(0), z[line]) - z[line] * t[line];
    }
#pragma GCC unroll 4
    for (size_t line = 0; line < lines; line++) {
        real *to = d + line * BINARY_CHAINS;
        if (whole) {
            NAME(store)(to, derivatives[line]);
        } else {
            real of_lanes[VECTOR_LANES]; /* what is made of lanes that are not there does not count */
            NAME(store_lanes)(to, derivatives[line], LANES(line));
            NAME(store)(of_lanes, e[line]);
            e[line] = NAME(load_lanes)(of_lanes, LANES(line));
        }
        line_product = JOINED(line_product, e[line]);
    }
#undef LEFT
#undef LANES
    const NAME(doubles) p = __builtin_convertvector(line_product, NAME(doubles));
    *sum += __builtin_convertvector(line_sum, NAME(doubles));
    *product = JOINED(*product, p);
}

/* The loss of one block. */
static double NAME(binary_block)(real *d, const real *out, const real *targets, size_t n,
                                 vector factor)
{
    const size_t group = BINARY_LINES * BINARY_CHAINS;
    NAME(doubles) sums[BINARY_VECTORS] = {{0}}, products[BINARY_VECTORS] = {{0}};
    for (size_t first = 0; first < n; first += group) {
        for (size_t v = 0; v < BINARY_VECTORS; v++) {
            const size_t i = first + v * VECTOR_LANES;
            if (n - first >= group)
                NAME(binary_lines)(1, d + i, out + i, targets + i, group, factor, sums + v,
                                   products + v);
            else if (i < n)
                NAME(binary_lines)(0, d + i, out + i, targets + i, n - i, factor, sums + v,
                                   products + v);
        }
    }
    double sum[BINARY_CHAINS], product[BINARY_CHAINS];
    memcpy(sum, sums, sizeof sum);
    memcpy(product, products, sizeof product);
    for (size_t half = BINARY_CHAINS / 2; half > 0; half /= 2) {
        for (size_t chain = 0; chain < half; chain++) {
            sum[chain] += sum[chain + half];
            product[chain] = JOINED(product[chain], product[chain + half]);
        }
    }
    return sum[0] + log1p(product[0]);
}

/* Of weighted numbers each has a logarithm of its own. */
ALWAYS_INLINE vector NAME(binary_number)(vector z, vector t, const double *parameters,
                                         vector *derivative)
{
    (void)parameters;
    vector e;
    *derivative = NAME(sigmoid_and_exp)(z, &e) - t;
    return SELECT(z < 0, CONSTANT(0), z) - z * t + NAME(vector_log1p)(e);
}
VECTOR_ELEMENTS(binary_number)

static double NAME(binary_cross_entropy)(void *d_, const void *out_, const void *targets_,
                                         const void *weights, size_t rows, size_t n_units,
                                         double scale, const double *parameters)
{
    if (weights != NULL)
        return NAME(sum_elements)(NAME(binary_number_elements), d_, out_, targets_, weights, rows,
                                  n_units, scale, parameters);
    real *d = d_;
    const real *out = out_;
    const real *targets = targets_;
    const size_t n = rows * n_units;
    const vector factor = CONSTANT((real)(scale / (double)n_units));
    double loss = 0;
    for (size_t i = 0; i < n; i += BINARY_BLOCK)
        loss += NAME(binary_block)(d + i, out + i, targets + i,
                                   n - i < BINARY_BLOCK ? n - i : BINARY_BLOCK, factor);
    return loss / (double)n_units;
}

/* ---- categorical ---- */

/* The sum of log(x) over numbers x >= 1, with few logarithms: of products. NaN stays NaN. */
typedef struct NAME(log_sum) {
    double total, product;
} NAME(log_sum);

static inline void NAME(add_log)(NAME(log_sum) * sum, double x)
{
    sum->product *= x; /* x is at most a number of units */
    if (sum->product > 1e280) {
        sum->total += log(sum->product);
        sum->product = 1;
    }
}

/* With rows of targets t, the loss of a row is
 *   total (log(sum) + largest) - sum_j t_j z_j = total log(sum) - sum_j t_j (z_j - largest),
 * total = sum_j t_j, and its derivative total p - t: a total is 1, but for rounding. */

/* Up to a vector of narrow rows, each with its factor of the derivative; the loss of each. */
static void NAME(cross_entropy_narrow)(real *d, const real *z, const real *t, size_t rows,
                                       size_t n_units, const real *factors, real *losses)
{
    const vector factor = NAME(load_lanes)(factors, rows);
    vector columns[NARROW], targets[NARROW], largest;
    vector sum = CONSTANT(0), total = CONSTANT(0), weighted = CONSTANT(0);
    NAME(load_columns)(columns, z, rows, n_units);
    NAME(load_columns)(targets, t, rows, n_units);
    const vector shift = NAME(shift_of)(columns, n_units, &largest);
    for (size_t j = 0; j < n_units; j++) {
        const vector below = columns[j] - shift;
        columns[j] = NAME(vector_exp)(below);
        sum += columns[j];
        total += targets[j];
        weighted += targets[j] * below;
    }
    for (size_t j = 0; j < n_units; j++)
        columns[j] = (total * (columns[j] / sum) - targets[j]) * factor;
    NAME(store_columns)(d, columns, rows, n_units);
    NAME(store_lanes)(losses, total * NAME(vector_log)(sum) - weighted, rows);
}

/* What the loss of a wide row z needs of its targets t. */
static void NAME(weigh_targets)(const real *z, const real *t, size_t n_units, real largest,
                                real *total_, real *weighted_)
{
    vector total[BLOCK_VECTORS] = {{0}}, weighted[BLOCK_VECTORS] = {{0}};
    size_t i = 0;
    for (; i + ROW_CHAINS <= n_units; i += ROW_CHAINS) {
#pragma GCC unroll 4
        for (size_t b = 0; b < BLOCK_VECTORS; b++) {
            const size_t at = i + b * VECTOR_LANES;
            const vector targets = NAME(load)(t + at);
            total[b] += targets;
            weighted[b] += targets * (NAME(load)(z + at) - largest);
        }
    }
    for (size_t b = 0; i < n_units; b++, i += VECTOR_LANES) {
        const size_t lanes = n_units - i < VECTOR_LANES ? n_units - i : VECTOR_LANES;
        const vector targets = NAME(load_lanes)(t + i, lanes);
        total[b] += targets;
        weighted[b] += targets * (NAME(load_lanes)(z + i, lanes) - largest);
    }
    *total_ = NAME(sum_of_chains)(total);
    *weighted_ = NAME(sum_of_chains)(weighted);
}

/* The same for wide rows. */
static void NAME(cross_entropy_wide)(real *d, const real *z, const real *t, size_t rows,
                                     size_t n_units, const real *factors, real *losses)
{
    real total[VECTOR_LANES], weighted[VECTOR_LANES], sum[VECTOR_LANES];
    for (size_t i = 0; i < rows; i++, d += n_units, z += n_units, t += n_units) {
        const real largest = NAME(largest_of)(z, n_units), factor = factors[i];
        NAME(weigh_targets)(z, t, n_units, largest, total + i, weighted + i);
        sum[i] = NAME(softmax_row)(d, z, n_units, largest);
        size_t j = 0;
        for (; j + VECTOR_LANES <= n_units; j += VECTOR_LANES)
            NAME(store)(d + j, (total[i] * NAME(load)(d + j) - NAME(load)(t + j)) * factor);
        if (j < n_units) {
            const size_t lanes = n_units - j;
            const vector p = NAME(load_lanes)(d + j, lanes);
            const vector targets = NAME(load_lanes)(t + j, lanes);
            NAME(store_lanes)(d + j, (total[i] * p - targets) * factor, lanes);
        }
    }
    const vector logs = NAME(vector_log)(NAME(load_lanes)(sum, rows));
    NAME(store_lanes)(losses, NAME(load_lanes)(total, rows) * logs
                                  - NAME(load_lanes)(weighted, rows), rows);
}

static double NAME(categorical_cross_entropy)(void *d_, const void *out_, const void *targets_,
                                              const void *weights_, size_t rows, size_t n_units,
                                              double scale, const double *parameters)
{
    (void)parameters;
    real *d = d_;
    const real *z = out_;
    const real *t = targets_;
    const real *weights = weights_;
    real factors[VECTOR_LANES];
    NAME(store)(factors, CONSTANT(scale));
    double loss = 0;
    for (size_t first = 0; first < rows; first += VECTOR_LANES) {
        const size_t block = rows - first < VECTOR_LANES ? rows - first : VECTOR_LANES;
        const size_t at = first * n_units;
        real losses[VECTOR_LANES];
        for (size_t i = 0; i < block && weights != NULL; i++)
            factors[i] = (real)scale * weights[first + i];
        (n_units <= NARROW ? NAME(cross_entropy_narrow) : NAME(cross_entropy_wide))(
            d + at, z + at, t + at, block, n_units, factors, losses);
        for (size_t i = 0; i < block; i++)
            loss += weights == NULL ? (double)losses[i] : (double)weights[first + i] * (double)losses[i];
    }
    return loss;
}

/* d (rows, n_units), up to a vector of rows: p becomes the derivative. Returns the weighted losses. */
static double NAME(weigh_label_rows)(real *d, const int32_t *labels, const real *weights, size_t rows,
                                     size_t n_units, real factor, const real *largest,
                                     const real *target_logit, const real *sum)
{
    real logs[VECTOR_LANES];
    double loss = 0;
    NAME(store)(logs, NAME(vector_log)(NAME(load_lanes)(sum, rows)));
    for (size_t i = 0; i < rows; i++, d += n_units) {
        const real row_factor = factor * weights[i];
        loss += (double)weights[i] * ((double)largest[i] - (double)target_logit[i] + (double)logs[i]);
        d[labels[i]] -= 1;
        for (size_t j = 0; j < n_units; j++)
            d[j] *= row_factor;
    }
    return loss;
}

/* Whether one of p (n,) is at least as large. */
static inline int NAME(any_reaches)(const real *p, size_t n, real value)
{
    for (; n >= VECTOR_LANES; n -= VECTOR_LANES, p += VECTOR_LANES) {
        if (NAME(any)(NAME(load)(p) >= value))
            return 1;
    }
    for (size_t j = 0; j < n; j++) {
        if (p[j] >= value)
            return 1;
    }
    return 0;
}

/* The weights of the rows whose label has the largest probability, the first of equal ones: for up to
 * VECTOR_LANES rows. Where the largest is at the label, its probability is 1 / sum: above a half none can
 * be equal. */
static double NAME(label_hits)(const real *p, const int32_t *labels, const real *weights, size_t rows,
                               size_t n_units, const real *largest, const real *target_logit,
                               const real *sum)
{
    const vector is_largest = SELECT(NAME(load_lanes)(target_logit, rows)
                                         == NAME(load_lanes)(largest, rows),
                                     NAME(load_lanes)(sum, rows), CONSTANT(0));
    const NAME(indices) surely = is_largest > 0, maybe = is_largest >= 2;
    real_sized_int counts[VECTOR_LANES];
    double hits = 0;
    memcpy(counts, &surely, sizeof counts); /* -1 where it holds */
    if (weights == NULL && !NAME(any)(maybe)) {
        real_sized_int n = 0;
#pragma GCC unroll 16
        for (size_t i = 0; i < VECTOR_LANES; i++)
            n -= counts[i];
        return (double)n;
    }
    for (size_t i = 0; i < rows; i++, p += n_units) {
        const size_t label = (size_t)labels[i];
        if (counts[i] != 0 && !NAME(any_reaches)(p, label, p[label]))
            hits += weights == NULL ? 1 : (double)weights[i];
    }
    return hits;
}

static double NAME(categorical_cross_entropy_labels)(void *d_, const void *out_,
                                                     const int32_t *labels, const void *weights_,
                                                     size_t rows, size_t n_units, double scale,
                                                     const double *parameters, double *hits)
{
    (void)parameters;
    const real *weights = weights_;
    real *d = d_;
    const real *z = out_;
    const real factor = (real)scale;
    const vector factors = CONSTANT(factor);
    NAME(log_sum) logs = {0, 1};
    double loss = 0, n_hits = 0;
    for (size_t first = 0; first < rows; first += VECTOR_LANES) {
        const size_t block = rows - first < VECTOR_LANES ? rows - first : VECTOR_LANES;
        real largest[VECTOR_LANES], sum[VECTOR_LANES], target_logit[VECTOR_LANES];
        for (size_t i = 0; i < block; i++) /* before d, which may be z, is written */
            target_logit[i] = z[i * n_units + (size_t)labels[i]];
        NAME(softmax_rows)(d, z, block, n_units, largest, sum);
        const size_t n = block * n_units;
        if (hits != NULL)
            n_hits += NAME(label_hits)(d, labels, weights != NULL ? weights + first : NULL, block,
                                       n_units, largest, target_logit, sum);
        if (weights != NULL) {
            loss += NAME(weigh_label_rows)(d, labels, weights + first, block, n_units, factor, largest,
                                           target_logit, sum);
            d += n;
            z += n;
            labels += block;
            continue;
        }
        for (size_t i = 0; i < block; i++) {
            loss += (double)largest[i] - (double)target_logit[i];
            NAME(add_log)(&logs, (double)sum[i]);
            d[i * n_units + (size_t)labels[i]] -= 1;
        }
        size_t i = 0;
        for (; i + VECTOR_LANES <= n; i += VECTOR_LANES)
            NAME(store)(d + i, NAME(load)(d + i) * factors);
        if (i < n)
            NAME(store_lanes)(d + i, NAME(load_lanes)(d + i, n - i) * factors, n - i);
        d += n;
        z += n;
        labels += block;
    }
    if (hits != NULL)
        *hits = n_hits;
    return loss + (logs.total + log(logs.product));
}

#endif

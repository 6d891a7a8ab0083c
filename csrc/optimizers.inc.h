/* Optimisers: one pass over parameters, slots and gradient. A slot is a block like the
 * parameters that the optimiser carries from step to step: a velocity, a moment, a sum of squares.
 *
 * Each optimiser has a struct of its hyperparameters, whose names are listed in the same order, and a
 * struct of the constants of a step: `prepare` makes the second from the first and the learning rate of
 * the step, in double, and rounds to the element type once. What is written is checked to be finite on
 * the way, while it is in a register; a slot that is not finite need not be looked at where it makes the
 * parameter so. */
#ifndef FASTNN_OPTIMIZERS_INC_H
#define FASTNN_OPTIMIZERS_INC_H

#include "vector.inc.h"

/* A rule for a vector of parameters: changes w and the slots by the gradient g, and returns, for each
 * lane, NaN if what it wrote is not finite, else 0. */
typedef vector (*NAME(rule))(vector *w, vector *slots, vector g, const void *constants);

/* 0 where x is finite, else NaN: x times 0, added to `sum`. */
#define NOT_FINITE(x, sum) FMA(x, CONSTANT(0), sum)

/* Vectors of parameters that make up for steps at a time. */
#define IDLE_VECTORS 4

/* What a rule makes of lanes that are not there does not count: 0 in these. */
ALWAYS_INLINE vector NAME(of_lanes)(vector bad, size_t lanes)
{
    real numbers[VECTOR_LANES];
    if (lanes == VECTOR_LANES)
        return bad;
    NAME(store)(numbers, bad);
    return NAME(load_lanes)(numbers, lanes);
}

/* A rule for `lanes` parameters from i on. n_slots and rule are constants where this is inlined. */
ALWAYS_INLINE vector NAME(update_lanes)(const size_t n_slots, const NAME(rule) rule, real *w,
                                        void *const *slots, const real *g, size_t i, size_t lanes,
                                        const void *constants)
{
    vector parameters = NAME(load_up_to)(w + i, lanes);
    const vector gradient = NAME(load_up_to)(g + i, lanes);
    vector values[FNN_MAX_SLOTS];
#pragma GCC unroll 4
    for (size_t s = 0; s < n_slots; s++)
        values[s] = NAME(load_up_to)((const real *)slots[s] + i, lanes);
    vector bad = rule(&parameters, values, gradient, constants);
    NAME(store_up_to)(w + i, parameters, lanes);
#pragma GCC unroll 4
    for (size_t s = 0; s < n_slots; s++)
        NAME(store_up_to)((real *)slots[s] + i, values[s], lanes);
    return NAME(of_lanes)(bad, lanes);
}

/* All n parameters. Those before the first cache line's begin come first: slots lie in their lines
 * like the parameters, and vectors across two lines took twice the time. */
ALWAYS_INLINE int NAME(update_all)(const size_t n_slots, const NAME(rule) rule, void *w_,
                                   void *const *slots, const void *g_, size_t n,
                                   const void *constants)
{
    real *w = w_;
    const real *g = g_;
    const size_t past = (uintptr_t)w / sizeof(real) % VECTOR_LANES;
    size_t i = past == 0 ? 0 : VECTOR_LANES - past;
    vector bad = {0};
    i = i < n ? i : n;
    if (i > 0)
        bad += NAME(update_lanes)(n_slots, rule, w, slots, g, 0, i, constants);
    for (; i + VECTOR_LANES <= n; i += VECTOR_LANES)
        bad += NAME(update_lanes)(n_slots, rule, w, slots, g, i, VECTOR_LANES, constants);
    if (i < n)
        bad += NAME(update_lanes)(n_slots, rule, w, slots, g, i, n - i, constants);
    return NAME(any)(bad != 0);
}

/* n_steps of a rule without a gradient for `vectors` of parameters from i on, of which the last one has
 * `lanes`: all stay in registers, and side by side hide the latency of each other. */
ALWAYS_INLINE vector NAME(idle_piece)(const size_t n_slots, const NAME(rule) rule,
                                      const size_t vectors, const size_t lanes, real *w,
                                      void *const *slots, size_t i, const double *constants,
                                      size_t n_steps)
{
    vector parameters[IDLE_VECTORS], values[IDLE_VECTORS][FNN_MAX_SLOTS], bad = {0};
#pragma GCC unroll 4
    for (size_t v = 0; v < vectors; v++) {
        const size_t at = i + v * VECTOR_LANES;
        parameters[v] = NAME(load_up_to)(w + at, lanes);
#pragma GCC unroll 4
        for (size_t s = 0; s < n_slots; s++)
            values[v][s] = NAME(load_up_to)((const real *)slots[s] + at, lanes);
    }
    for (size_t k = 0; k < n_steps; k++, constants += FNN_MAX_CONSTANTS) {
#pragma GCC unroll 4
        for (size_t v = 0; v < vectors; v++)
            bad += rule(&parameters[v], values[v], CONSTANT(0), constants);
    }
#pragma GCC unroll 4
    for (size_t v = 0; v < vectors; v++) {
        const size_t at = i + v * VECTOR_LANES;
        NAME(store_up_to)(w + at, parameters[v], lanes);
#pragma GCC unroll 4
        for (size_t s = 0; s < n_slots; s++)
            NAME(store_up_to)((real *)slots[s] + at, values[v][s], lanes);
    }
    return NAME(of_lanes)(bad, lanes);
}

#define IDLE(name, rule, n_slots)                                                                 \
    static int NAME(name)(void *w, void *const *slots, size_t n, const double *constants,         \
                          size_t n_steps)                                                         \
    {                                                                                             \
        const size_t lanes = VECTOR_LANES;                                                        \
        vector bad = {0};                                                                         \
        size_t i = 0;                                                                             \
        for (; i + IDLE_VECTORS * lanes <= n; i += IDLE_VECTORS * lanes)                          \
            bad += NAME(idle_piece)(n_slots, NAME(rule), IDLE_VECTORS, lanes, w, slots, i,        \
                                    constants, n_steps);                                          \
        for (; i + lanes <= n; i += lanes)                                                        \
            bad += NAME(idle_piece)(n_slots, NAME(rule), 1, lanes, w, slots, i, constants,        \
                                    n_steps);                                                     \
        if (i < n)                                                                                \
            bad += NAME(idle_piece)(n_slots, NAME(rule), 1, n - i, w, slots, i, constants,        \
                                    n_steps);                                                     \
        return NAME(any)(bad != 0);                                                               \
    }

/* The constants are copied, so that they stay in registers whatever is written. */
#define UPDATE(name, rule, n_slots, constants_type)                                               \
    static int NAME(name)(void *w, void *const *slots, const void *g, size_t n,                   \
                          const void *constants_)                                                 \
    {                                                                                             \
        const NAME(constants_type) constants = *(const NAME(constants_type) *)constants_;         \
        return NAME(update_all)(n_slots, NAME(rule), w, slots, g, n, &constants);                 \
    }

/* That a struct has a double for each name, and that the core's buffers hold the structs. */
#define CHECK_SIZES(hyperparameters, names, constants)                                            \
    _Static_assert(sizeof(hyperparameters) == sizeof(names) - sizeof *(names)                     \
                       && sizeof(hyperparameters) <= FNN_MAX_HYPERPARAMETERS * sizeof(double)     \
                       && sizeof(constants) <= FNN_MAX_CONSTANTS * sizeof(double),                \
                   "names, hyperparameters and constants do not fit")

/* ---- stochastic gradient descent: w -= lr g ---- */

static const char *const NAME(sgd_names)[] = {NULL};

typedef struct NAME(sgd_constants) {
    real learning_rate;
} NAME(sgd_constants);

static void NAME(sgd_prepare)(void *constants_, const double *hyperparameters, double learning_rate,
                              uint64_t t)
{
    (void)hyperparameters;
    (void)t;
    NAME(sgd_constants) *constants = constants_;
    constants->learning_rate = (real)learning_rate;
}

ALWAYS_INLINE vector NAME(sgd_rule)(vector *w, vector *slots, vector g, const void *constants_)
{
    (void)slots;
    const NAME(sgd_constants) *constants = constants_;
    *w -= constants->learning_rate * g;
    return NOT_FINITE(*w, CONSTANT(0));
}

UPDATE(sgd_update, sgd_rule, 0, sgd_constants)

/* ---- momentum, and Nesterov's ---- */

typedef struct NAME(momentum_hyperparameters) {
    double momentum;
} NAME(momentum_hyperparameters);

static const char *const NAME(momentum_names)[] = {"momentum", NULL};

typedef struct NAME(momentum_constants) {
    real learning_rate, momentum;
} NAME(momentum_constants);

CHECK_SIZES(NAME(momentum_hyperparameters), NAME(momentum_names), NAME(momentum_constants));

static void NAME(momentum_prepare)(void *constants_, const double *hyperparameters,
                                   double learning_rate, uint64_t t)
{
    (void)t;
    const NAME(momentum_hyperparameters) *given = (const void *)hyperparameters;
    NAME(momentum_constants) *constants = constants_;
    constants->learning_rate = (real)learning_rate;
    constants->momentum = (real)given->momentum;
}

/* v = momentum v + g;  w -= lr v */
ALWAYS_INLINE vector NAME(momentum_rule)(vector *w, vector *slots, vector g, const void *constants_)
{
    const NAME(momentum_constants) *constants = constants_;
    slots[0] = constants->momentum * slots[0] + g;
    *w -= constants->learning_rate * slots[0];
    return NOT_FINITE(*w, CONSTANT(0));
}

UPDATE(momentum_update, momentum_rule, 1, momentum_constants)
IDLE(momentum_idle, momentum_rule, 1)

/* v = momentum v + g;  w -= lr (g + momentum v).  Nesterov's rule as Sutskever et al. (2013) write
 * it, in the variables of PyTorch and Keras. */
ALWAYS_INLINE vector NAME(nesterov_rule)(vector *w, vector *slots, vector g, const void *constants_)
{
    const NAME(momentum_constants) *constants = constants_;
    slots[0] = constants->momentum * slots[0] + g;
    *w -= constants->learning_rate * (g + constants->momentum * slots[0]);
    return NOT_FINITE(*w, CONSTANT(0));
}

UPDATE(nesterov_update, nesterov_rule, 1, momentum_constants)
IDLE(nesterov_idle, nesterov_rule, 1)

/* ---- RMSprop ---- */

typedef struct NAME(rmsprop_hyperparameters) {
    double rho, epsilon;
} NAME(rmsprop_hyperparameters);

static const char *const NAME(rmsprop_names)[] = {"rho", "epsilon", NULL};

typedef struct NAME(rmsprop_constants) {
    real learning_rate, rho, one_minus_rho, epsilon;
} NAME(rmsprop_constants);

CHECK_SIZES(NAME(rmsprop_hyperparameters), NAME(rmsprop_names), NAME(rmsprop_constants));

static void NAME(rmsprop_prepare)(void *constants_, const double *hyperparameters,
                                  double learning_rate, uint64_t t)
{
    (void)t;
    const NAME(rmsprop_hyperparameters) *given = (const void *)hyperparameters;
    NAME(rmsprop_constants) *constants = constants_;
    constants->learning_rate = (real)learning_rate;
    constants->rho = (real)given->rho;
    constants->one_minus_rho = (real)(1 - given->rho);
    constants->epsilon = (real)given->epsilon;
}

/* s = rho s + (1 - rho) g^2;  w -= lr g / (sqrt(s) + epsilon) */
ALWAYS_INLINE vector NAME(rmsprop_rule)(vector *w, vector *slots, vector g, const void *constants_)
{
    const NAME(rmsprop_constants) *constants = constants_;
    slots[0] = constants->rho * slots[0] + constants->one_minus_rho * (g * g);
    *w -= constants->learning_rate * g / (SQRT(slots[0]) + constants->epsilon);
    return NOT_FINITE(*w, NOT_FINITE(slots[0], CONSTANT(0)));
}

UPDATE(rmsprop_update, rmsprop_rule, 1, rmsprop_constants)
IDLE(rmsprop_idle, rmsprop_rule, 1)

/* ---- Adagrad ---- */

typedef struct NAME(adagrad_hyperparameters) {
    double epsilon;
} NAME(adagrad_hyperparameters);

static const char *const NAME(adagrad_names)[] = {"epsilon", NULL};

typedef struct NAME(adagrad_constants) {
    real learning_rate, epsilon;
} NAME(adagrad_constants);

CHECK_SIZES(NAME(adagrad_hyperparameters), NAME(adagrad_names), NAME(adagrad_constants));

static void NAME(adagrad_prepare)(void *constants_, const double *hyperparameters,
                                  double learning_rate, uint64_t t)
{
    (void)t;
    const NAME(adagrad_hyperparameters) *given = (const void *)hyperparameters;
    NAME(adagrad_constants) *constants = constants_;
    constants->learning_rate = (real)learning_rate;
    constants->epsilon = (real)given->epsilon;
}

/* s += g^2;  w -= lr g / (sqrt(s) + epsilon) */
ALWAYS_INLINE vector NAME(adagrad_rule)(vector *w, vector *slots, vector g, const void *constants_)
{
    const NAME(adagrad_constants) *constants = constants_;
    slots[0] += g * g;
    *w -= constants->learning_rate * g / (SQRT(slots[0]) + constants->epsilon);
    return NOT_FINITE(*w, NOT_FINITE(slots[0], CONSTANT(0)));
}

UPDATE(adagrad_update, adagrad_rule, 1, adagrad_constants)

/* ---- Adam, with and without decoupled weight decay ---- */

typedef struct NAME(adam_hyperparameters) {
    double beta_1, beta_2, epsilon;
} NAME(adam_hyperparameters);

static const char *const NAME(adam_names)[] = {"beta_1", "beta_2", "epsilon", NULL};

typedef struct NAME(adamw_hyperparameters) {
    NAME(adam_hyperparameters) adam;
    double weight_decay;
} NAME(adamw_hyperparameters);

static const char *const NAME(adamw_names)[] = {
    "beta_1", "beta_2", "epsilon", "weight_decay", NULL,
};

/* The bias corrections of the step, 1 / (1 - beta_1^t) and 1 / sqrt(1 - beta_2^t), are folded into
 * the learning rate and apart; w is multiplied by `decay`. */
typedef struct NAME(adam_constants) {
    real learning_rate, v_correction, beta_1, one_minus_beta_1, beta_2, one_minus_beta_2, epsilon;
    real decay;
} NAME(adam_constants);

CHECK_SIZES(NAME(adam_hyperparameters), NAME(adam_names), NAME(adam_constants));
CHECK_SIZES(NAME(adamw_hyperparameters), NAME(adamw_names), NAME(adam_constants));

/* 1 - beta^t. The power is left out where it is below half a unit in the last place of 1, which 2^-54
 * is: beta^t <= exp(-t (1 - beta)), and exp(-38) < 2^-54. A call of pow is 1 % of the smallest steps. */
static double NAME(one_minus_power)(double beta, uint64_t t)
{
    return (double)t * (1 - beta) > 38 ? 1 : 1 - pow(beta, (double)t);
}

static void NAME(adam_prepare)(void *constants_, const double *hyperparameters,
                               double learning_rate, uint64_t t)
{
    const NAME(adam_hyperparameters) *given = (const void *)hyperparameters;
    NAME(adam_constants) *constants = constants_;
    const double beta_1 = given->beta_1, beta_2 = given->beta_2;
    constants->learning_rate = (real)(learning_rate / NAME(one_minus_power)(beta_1, t));
    constants->v_correction = (real)(1 / sqrt(NAME(one_minus_power)(beta_2, t)));
    constants->beta_1 = (real)beta_1;
    constants->one_minus_beta_1 = (real)(1 - beta_1);
    constants->beta_2 = (real)beta_2;
    constants->one_minus_beta_2 = (real)(1 - beta_2);
    constants->epsilon = (real)given->epsilon;
    constants->decay = 1;
}

static void NAME(adamw_prepare)(void *constants_, const double *hyperparameters,
                                double learning_rate, uint64_t t)
{
    const NAME(adamw_hyperparameters) *given = (const void *)hyperparameters;
    NAME(adam_constants) *constants = constants_;
    NAME(adam_prepare)(constants, hyperparameters, learning_rate, t);
    constants->decay = (real)(1 - learning_rate * given->weight_decay);
}

/* m = beta_1 m + (1 - beta_1) g;  v = beta_2 v + (1 - beta_2) g^2;
 * w = (1 - lr weight_decay) w - lr m^ / (sqrt(v^) + epsilon),  m^ and v^ bias-corrected.
 * Kingma and Ba (2015); decoupled decay: Loshchilov and Hutter (2019). Adam is the case of
 * weight_decay 0, where the first factor is exactly 1. */
ALWAYS_INLINE vector NAME(adam_rule)(vector *w, vector *slots, vector g, const void *constants_)
{
    const NAME(adam_constants) *constants = constants_;
    const vector m = constants->beta_1 * slots[0] + constants->one_minus_beta_1 * g;
    const vector v = constants->beta_2 * slots[1] + constants->one_minus_beta_2 * (g * g);
    *w = constants->decay * *w
         - constants->learning_rate * m / (SQRT(v) * constants->v_correction + constants->epsilon);
    slots[0] = m;
    slots[1] = v;
    return NOT_FINITE(*w, NOT_FINITE(v, CONSTANT(0)));
}

UPDATE(adam_update, adam_rule, 2, adam_constants)
IDLE(adam_idle, adam_rule, 2)

/* Steps k = 1, 2, ... without a gradient: m becomes beta_1^k m, v becomes beta_2^k v, and
 *
 *     w -= sum over k of  a_k m / (sqrt(v) + e_k),  a_k = lr_k beta_1^k / b_k,  e_k = epsilon / b_k,
 *
 * where b_k is sqrt(beta_2^k) times the correction of v, and lr_k has the decay of the later steps. The
 * e_k are nearly the same where the a_k are not small. So the sum of the fractions is that of the a_k, over
 * sqrt(v) + e, times 1 + second q^2 - third q^3 + fourth q^4: e is the mean of the e_k by the weights a_k,
 * the moments are those of e_k / e about 1, and q = e / (sqrt(v) + e). What is left out is of fifth order. In
 * float32 alone: in float64 that would show. */
typedef struct NAME(adam_at_once) {
    real sum, epsilon, second, third, fourth, beta_1_power, beta_2_power, decay;
} NAME(adam_at_once);

_Static_assert(sizeof(NAME(adam_at_once)) <= FNN_MAX_CONSTANTS * sizeof(double), "it does not fit");

#if !REAL_IS_DOUBLE
/* Second moment beyond which the fifth order, at most some 44 times its power of 2.5, is no rounding any
 * more. By default it is 2.5e-5, and more in the first 200 steps, where the correction of v changes fast. */
#define MOST_SECOND 1e-3

static int NAME(adam_prepare_at_once)(double *at_once, const double *constants, size_t n_steps)
{
    double sums[5] = {0}, decay = 1, beta_1_power = 1, beta_2_power = 1;
    int is_good = 1;
    for (size_t i = n_steps; i > 0; i--) { /* from the last step on: a step earlier, one power more */
        const NAME(adam_constants) *step = (const void *)(constants + (i - 1) * FNN_MAX_CONSTANTS);
        NAME(adam_at_once) *to = (void *)(at_once + (i - 1) * FNN_MAX_CONSTANTS);
        const double root = sqrt(step->beta_2), own = (double)step->epsilon / step->v_correction;
        double power = step->beta_1 / root, a = decay * step->learning_rate / step->v_correction;
        for (int p = 0; p < 5; p++, a *= own, power /= root)
            sums[p] = power * (a + sums[p]);
        decay *= step->decay;
        beta_1_power *= step->beta_1;
        beta_2_power *= step->beta_2;
        const double mean = sums[0] != 0 ? sums[1] / sums[0] : own;
        double raw[5] = {1, 1, 1, 1, 1}; /* moments of e_k / e about 0 */
        for (int p = 2; p < 5 && sums[1] != 0; p++)
            raw[p] = raw[p - 1] * sums[p] / (sums[p - 1] * mean);
        const double second = raw[2] - 1;
        is_good &= second <= MOST_SECOND;
        to->sum = (real)sums[0];
        to->epsilon = (real)mean;
        to->second = (real)second;
        to->third = (real)(raw[3] - 3 * raw[2] + 2);
        to->fourth = (real)(raw[4] - 4 * raw[3] + 6 * raw[2] - 3);
        to->beta_1_power = (real)beta_1_power;
        to->beta_2_power = (real)beta_2_power;
        to->decay = (real)decay;
    }
    return is_good;
}

ALWAYS_INLINE vector NAME(adam_at_once_rule)(vector *w, vector *slots, vector g, const void *constants_)
{
    const NAME(adam_at_once) *c = constants_;
    const vector inverse = CONSTANT(1) / (SQRT(slots[1]) + c->epsilon), q = c->epsilon * inverse;
    const vector moved = c->sum * slots[0] * inverse;
    (void)g;
    *w = c->decay * *w - moved * (CONSTANT(1) + q * q * (c->second - q * (c->third - q * c->fourth)));
    slots[0] *= c->beta_1_power;
    slots[1] *= c->beta_2_power;
    return NOT_FINITE(*w, NOT_FINITE(slots[1], CONSTANT(0)));
}

static int NAME(adam_idle_at_once)(void *w, void *const *slots, size_t n, const double *of_steps)
{
    const NAME(adam_at_once) constants = *(const NAME(adam_at_once) *)of_steps;
    return NAME(update_all)(2, NAME(adam_at_once_rule), w, slots, w, n, &constants);
}

#define ADAM_AT_ONCE NAME(adam_prepare_at_once), NAME(adam_idle_at_once)
#else
#define ADAM_AT_ONCE NULL, NULL
#endif

/* ---- AMSGrad ---- */

/* As Adam's, with the largest v so far in the place of v.  Reddi, Kale and Kumar (2018); the bias
 * corrections are those of Adam, as in PyTorch. */
ALWAYS_INLINE vector NAME(amsgrad_rule)(vector *w, vector *slots, vector g, const void *constants_)
{
    const NAME(adam_constants) *constants = constants_;
    const vector m = constants->beta_1 * slots[0] + constants->one_minus_beta_1 * g;
    const vector v = constants->beta_2 * slots[1] + constants->one_minus_beta_2 * (g * g);
    const vector largest = SELECT(v > slots[2], v, slots[2]);
    *w -= constants->learning_rate * m
          / (SQRT(largest) * constants->v_correction + constants->epsilon);
    slots[0] = m;
    slots[1] = v;
    slots[2] = largest;
    return NOT_FINITE(*w, NOT_FINITE(v, CONSTANT(0)));
}

UPDATE(amsgrad_update, amsgrad_rule, 3, adam_constants)
IDLE(amsgrad_idle, amsgrad_rule, 3)

/* ---- NAdam ---- */

typedef struct NAME(nadam_hyperparameters) {
    NAME(adam_hyperparameters) adam;
    double momentum_decay;
} NAME(nadam_hyperparameters);

static const char *const NAME(nadam_names)[] = {
    "beta_1", "beta_2", "epsilon", "momentum_decay", NULL,
};

/* The step is m_rate m^ + g_rate g^, with one denominator; m and v are Adam's. */
typedef struct NAME(nadam_constants) {
    real m_rate, g_rate, v_correction, beta_1, one_minus_beta_1, beta_2, one_minus_beta_2, epsilon;
} NAME(nadam_constants);

CHECK_SIZES(NAME(nadam_hyperparameters), NAME(nadam_names), NAME(nadam_constants));

/* mu_i = beta_1 (1 - 0.96^(i momentum_decay) / 2) */
static double NAME(nadam_mu)(const NAME(nadam_hyperparameters) *given, double i)
{
    return given->adam.beta_1 * (1 - 0.5 * pow(0.96, i * given->momentum_decay));
}

/* mu_1 mu_2 ... mu_t. It is needed as 1 - product, where what is below 1e-20 is not seen, and a mu that
 * is beta_1 to 1e-20 stays so: there are at most 3000 factors until one of these, 70 with the defaults. */
static double NAME(nadam_product)(const NAME(nadam_hyperparameters) *given, uint64_t t)
{
    const double decay = pow(0.96, given->momentum_decay), beta_1 = given->adam.beta_1;
    double product = 1, distance = 0.5; /* of mu_i from beta_1, as a share */
    for (uint64_t i = 1; i <= t; i++) {
        distance *= decay;
        if (distance < 1e-20)
            return product * pow(beta_1, (double)(t - i + 1));
        product *= beta_1 * (1 - distance);
        if (product < 1e-20)
            return 0;
    }
    return product;
}

static void NAME(nadam_prepare)(void *constants_, const double *hyperparameters,
                                double learning_rate, uint64_t t)
{
    const NAME(nadam_hyperparameters) *given = (const void *)hyperparameters;
    NAME(nadam_constants) *constants = constants_;
    const double beta_1 = given->adam.beta_1, beta_2 = given->adam.beta_2;
    const double mu = NAME(nadam_mu)(given, (double)t), next = NAME(nadam_mu)(given, (double)t + 1);
    const double product = NAME(nadam_product)(given, t);
    constants->m_rate = (real)(learning_rate * next / (1 - product * next));
    constants->g_rate = (real)(learning_rate * (1 - mu) / (1 - product));
    constants->v_correction = (real)(1 / sqrt(NAME(one_minus_power)(beta_2, t)));
    constants->beta_1 = (real)beta_1;
    constants->one_minus_beta_1 = (real)(1 - beta_1);
    constants->beta_2 = (real)beta_2;
    constants->one_minus_beta_2 = (real)(1 - beta_2);
    constants->epsilon = (real)given->adam.epsilon;
}

/* m and v as Adam's;
 * w -= lr (mu_(t+1) m / (1 - mu_1 ... mu_(t+1)) + (1 - mu_t) g / (1 - mu_1 ... mu_t))
 *      / (sqrt(v^) + epsilon).  Dozat (2016), in the form of PyTorch. */
ALWAYS_INLINE vector NAME(nadam_rule)(vector *w, vector *slots, vector g, const void *constants_)
{
    const NAME(nadam_constants) *constants = constants_;
    const vector m = constants->beta_1 * slots[0] + constants->one_minus_beta_1 * g;
    const vector v = constants->beta_2 * slots[1] + constants->one_minus_beta_2 * (g * g);
    *w -= (constants->m_rate * m + constants->g_rate * g)
          / (SQRT(v) * constants->v_correction + constants->epsilon);
    slots[0] = m;
    slots[1] = v;
    return NOT_FINITE(*w, NOT_FINITE(v, CONSTANT(0)));
}

UPDATE(nadam_update, nadam_rule, 2, nadam_constants)
IDLE(nadam_idle, nadam_rule, 2)

/* ---- Lion ---- */

typedef struct NAME(lion_hyperparameters) {
    double beta_1, beta_2, weight_decay;
} NAME(lion_hyperparameters);

static const char *const NAME(lion_names)[] = {"beta_1", "beta_2", "weight_decay", NULL};

typedef struct NAME(lion_constants) {
    real learning_rate, beta_1, one_minus_beta_1, beta_2, one_minus_beta_2, decay;
} NAME(lion_constants);

CHECK_SIZES(NAME(lion_hyperparameters), NAME(lion_names), NAME(lion_constants));

static void NAME(lion_prepare)(void *constants_, const double *hyperparameters,
                               double learning_rate, uint64_t t)
{
    (void)t;
    const NAME(lion_hyperparameters) *given = (const void *)hyperparameters;
    NAME(lion_constants) *constants = constants_;
    constants->learning_rate = (real)learning_rate;
    constants->beta_1 = (real)given->beta_1;
    constants->one_minus_beta_1 = (real)(1 - given->beta_1);
    constants->beta_2 = (real)given->beta_2;
    constants->one_minus_beta_2 = (real)(1 - given->beta_2);
    constants->decay = (real)(1 - learning_rate * given->weight_decay);
}

/* w = (1 - lr weight_decay) w - lr sign(beta_1 m + (1 - beta_1) g);  m = beta_2 m + (1 - beta_2) g.
 * Chen et al. (2023). The sign of NaN is 0 here: m shows that the gradient was not finite. */
ALWAYS_INLINE vector NAME(lion_rule)(vector *w, vector *slots, vector g, const void *constants_)
{
    const NAME(lion_constants) *constants = constants_;
    const vector rate = CONSTANT(constants->learning_rate), none = CONSTANT(0);
    const vector c = constants->beta_1 * slots[0] + constants->one_minus_beta_1 * g;
    slots[0] = constants->beta_2 * slots[0] + constants->one_minus_beta_2 * g;
    *w = constants->decay * *w - SELECT(c > 0, rate, SELECT(c < 0, -rate, none));
    return NOT_FINITE(*w, NOT_FINITE(slots[0], CONSTANT(0)));
}

UPDATE(lion_update, lion_rule, 1, lion_constants)
IDLE(lion_idle, lion_rule, 1)

static const fnn_optimizer NAME(optimizers)[] = {
    {"sgd", NAME(sgd_names), 0, NAME(sgd_prepare), NAME(sgd_update), NULL, NULL, NULL},
    {"momentum", NAME(momentum_names), 1, NAME(momentum_prepare), NAME(momentum_update),
     NAME(momentum_idle), NULL, NULL},
    {"nesterov", NAME(momentum_names), 1, NAME(momentum_prepare), NAME(nesterov_update),
     NAME(nesterov_idle), NULL, NULL},
    {"rmsprop", NAME(rmsprop_names), 1, NAME(rmsprop_prepare), NAME(rmsprop_update),
     NAME(rmsprop_idle), NULL, NULL},
    {"adagrad", NAME(adagrad_names), 1, NAME(adagrad_prepare), NAME(adagrad_update), NULL, NULL, NULL},
    {"adam", NAME(adam_names), 2, NAME(adam_prepare), NAME(adam_update), NAME(adam_idle),
     ADAM_AT_ONCE},
    {"adamw", NAME(adamw_names), 2, NAME(adamw_prepare), NAME(adam_update), NAME(adam_idle),
     ADAM_AT_ONCE},
    {"nadam", NAME(nadam_names), 2, NAME(nadam_prepare), NAME(nadam_update), NAME(nadam_idle), NULL,
     NULL},
    {"amsgrad", NAME(adam_names), 3, NAME(adam_prepare), NAME(amsgrad_update), NAME(amsgrad_idle), NULL,
     NULL},
    {"lion", NAME(lion_names), 1, NAME(lion_prepare), NAME(lion_update), NAME(lion_idle), NULL, NULL},
    {NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL},
};

#endif

/* Optimisers: one pass over parameters, slots and gradient. A slot is a block like the
 * parameters that the optimiser carries from step to step: a velocity, a moment, a sum of squares.
 *
 * Each optimiser has a struct of its hyperparameters, whose names are listed in the same order, and a
 * struct of the constants of a step: `prepare` makes the second from the first, in double, and rounds
 * to the element type once. What is written is checked to be finite on the way, while it is in a
 * register; a slot that is not finite need not be looked at where it makes the parameter so. */
#ifndef FASTNN_OPTIMIZERS_INC_H
#define FASTNN_OPTIMIZERS_INC_H

#include "real.inc.h"

#define FINITE(x) (R(fabs)(x) <= REAL_MAX)

/* That a struct has a double for each name, and that the core's buffers hold the structs. */
#define CHECK_SIZES(hyperparameters, names, constants)                                            \
    _Static_assert(sizeof(hyperparameters) == sizeof(names) - sizeof *(names)                     \
                       && sizeof(hyperparameters) <= FNN_MAX_HYPERPARAMETERS * sizeof(double)     \
                       && sizeof(constants) <= FNN_MAX_CONSTANTS * sizeof(double),                \
                   "names, hyperparameters and constants do not fit")

/* ---- stochastic gradient descent: w -= lr g ---- */

typedef struct NAME(sgd_hyperparameters) {
    double learning_rate;
} NAME(sgd_hyperparameters);

static const char *const NAME(sgd_names)[] = {"learning_rate", NULL};

typedef struct NAME(sgd_constants) {
    real learning_rate;
} NAME(sgd_constants);

CHECK_SIZES(NAME(sgd_hyperparameters), NAME(sgd_names), NAME(sgd_constants));

static void NAME(sgd_prepare)(void *constants_, const double *hyperparameters, uint64_t t)
{
    (void)t;
    const NAME(sgd_hyperparameters) *given = (const void *)hyperparameters;
    NAME(sgd_constants) *constants = constants_;
    constants->learning_rate = (real)given->learning_rate;
}

static int NAME(sgd_update)(void *w_, void *const *slots, const void *g_, size_t n,
                            const void *constants_)
{
    (void)slots;
    real *restrict w = w_;
    const real *restrict g = g_;
    const NAME(sgd_constants) *constants = constants_;
    const real learning_rate = constants->learning_rate;
    real_sized_int bad = 0;
    for (size_t i = 0; i < n; i++) {
        w[i] -= learning_rate * g[i];
        bad |= !FINITE(w[i]);
    }
    return bad != 0;
}

/* ---- momentum, and Nesterov's ---- */

typedef struct NAME(momentum_hyperparameters) {
    double learning_rate, momentum;
} NAME(momentum_hyperparameters);

static const char *const NAME(momentum_names)[] = {"learning_rate", "momentum", NULL};

typedef struct NAME(momentum_constants) {
    real learning_rate, momentum;
} NAME(momentum_constants);

CHECK_SIZES(NAME(momentum_hyperparameters), NAME(momentum_names), NAME(momentum_constants));

static void NAME(momentum_prepare)(void *constants_, const double *hyperparameters, uint64_t t)
{
    (void)t;
    const NAME(momentum_hyperparameters) *given = (const void *)hyperparameters;
    NAME(momentum_constants) *constants = constants_;
    constants->learning_rate = (real)given->learning_rate;
    constants->momentum = (real)given->momentum;
}

/* v = momentum v + g;  w -= lr v */
static int NAME(momentum_update)(void *w_, void *const *slots, const void *g_, size_t n,
                                 const void *constants_)
{
    real *restrict w = w_;
    real *restrict v = slots[0];
    const real *restrict g = g_;
    const NAME(momentum_constants) *constants = constants_;
    const real learning_rate = constants->learning_rate, momentum = constants->momentum;
    real_sized_int bad = 0;
    for (size_t i = 0; i < n; i++) {
        v[i] = momentum * v[i] + g[i];
        w[i] -= learning_rate * v[i];
        bad |= !FINITE(w[i]);
    }
    return bad != 0;
}

/* v = momentum v + g;  w -= lr (g + momentum v).  Nesterov's rule as Sutskever et al. (2013) write
 * it, in the variables of PyTorch and Keras. */
static int NAME(nesterov_update)(void *w_, void *const *slots, const void *g_, size_t n,
                                 const void *constants_)
{
    real *restrict w = w_;
    real *restrict v = slots[0];
    const real *restrict g = g_;
    const NAME(momentum_constants) *constants = constants_;
    const real learning_rate = constants->learning_rate, momentum = constants->momentum;
    real_sized_int bad = 0;
    for (size_t i = 0; i < n; i++) {
        v[i] = momentum * v[i] + g[i];
        w[i] -= learning_rate * (g[i] + momentum * v[i]);
        bad |= !FINITE(w[i]);
    }
    return bad != 0;
}

/* ---- RMSprop ---- */

typedef struct NAME(rmsprop_hyperparameters) {
    double learning_rate, rho, epsilon;
} NAME(rmsprop_hyperparameters);

static const char *const NAME(rmsprop_names)[] = {"learning_rate", "rho", "epsilon", NULL};

typedef struct NAME(rmsprop_constants) {
    real learning_rate, rho, one_minus_rho, epsilon;
} NAME(rmsprop_constants);

CHECK_SIZES(NAME(rmsprop_hyperparameters), NAME(rmsprop_names), NAME(rmsprop_constants));

static void NAME(rmsprop_prepare)(void *constants_, const double *hyperparameters, uint64_t t)
{
    (void)t;
    const NAME(rmsprop_hyperparameters) *given = (const void *)hyperparameters;
    NAME(rmsprop_constants) *constants = constants_;
    constants->learning_rate = (real)given->learning_rate;
    constants->rho = (real)given->rho;
    constants->one_minus_rho = (real)(1 - given->rho);
    constants->epsilon = (real)given->epsilon;
}

/* s = rho s + (1 - rho) g^2;  w -= lr g / (sqrt(s) + epsilon) */
static int NAME(rmsprop_update)(void *w_, void *const *slots, const void *g_, size_t n,
                                const void *constants_)
{
    real *restrict w = w_;
    real *restrict s = slots[0];
    const real *restrict g = g_;
    const NAME(rmsprop_constants) *constants = constants_;
    const real learning_rate = constants->learning_rate, epsilon = constants->epsilon;
    const real rho = constants->rho, one_minus_rho = constants->one_minus_rho;
    real_sized_int bad = 0;
    for (size_t i = 0; i < n; i++) {
        s[i] = rho * s[i] + one_minus_rho * (g[i] * g[i]);
        w[i] -= learning_rate * g[i] / (R(sqrt)(s[i]) + epsilon);
        bad |= !FINITE(s[i]) | !FINITE(w[i]);
    }
    return bad != 0;
}

/* ---- Adagrad ---- */

typedef struct NAME(adagrad_hyperparameters) {
    double learning_rate, epsilon;
} NAME(adagrad_hyperparameters);

static const char *const NAME(adagrad_names)[] = {"learning_rate", "epsilon", NULL};

typedef struct NAME(adagrad_constants) {
    real learning_rate, epsilon;
} NAME(adagrad_constants);

CHECK_SIZES(NAME(adagrad_hyperparameters), NAME(adagrad_names), NAME(adagrad_constants));

static void NAME(adagrad_prepare)(void *constants_, const double *hyperparameters, uint64_t t)
{
    (void)t;
    const NAME(adagrad_hyperparameters) *given = (const void *)hyperparameters;
    NAME(adagrad_constants) *constants = constants_;
    constants->learning_rate = (real)given->learning_rate;
    constants->epsilon = (real)given->epsilon;
}

/* s += g^2;  w -= lr g / (sqrt(s) + epsilon) */
static int NAME(adagrad_update)(void *w_, void *const *slots, const void *g_, size_t n,
                                const void *constants_)
{
    real *restrict w = w_;
    real *restrict s = slots[0];
    const real *restrict g = g_;
    const NAME(adagrad_constants) *constants = constants_;
    const real learning_rate = constants->learning_rate, epsilon = constants->epsilon;
    real_sized_int bad = 0;
    for (size_t i = 0; i < n; i++) {
        s[i] += g[i] * g[i];
        w[i] -= learning_rate * g[i] / (R(sqrt)(s[i]) + epsilon);
        bad |= !FINITE(s[i]) | !FINITE(w[i]);
    }
    return bad != 0;
}

/* ---- Adam, with and without decoupled weight decay ---- */

typedef struct NAME(adam_hyperparameters) {
    double learning_rate, beta_1, beta_2, epsilon;
} NAME(adam_hyperparameters);

static const char *const NAME(adam_names)[] = {"learning_rate", "beta_1", "beta_2", "epsilon", NULL};

typedef struct NAME(adamw_hyperparameters) {
    NAME(adam_hyperparameters) adam;
    double weight_decay;
} NAME(adamw_hyperparameters);

static const char *const NAME(adamw_names)[] = {
    "learning_rate", "beta_1", "beta_2", "epsilon", "weight_decay", NULL,
};

/* The bias corrections of the step, 1 / (1 - beta_1^t) and 1 / sqrt(1 - beta_2^t), are folded into
 * the learning rate and apart; w is multiplied by `decay`. */
typedef struct NAME(adam_constants) {
    real learning_rate, v_correction, beta_1, one_minus_beta_1, beta_2, one_minus_beta_2, epsilon;
    real decay;
} NAME(adam_constants);

CHECK_SIZES(NAME(adam_hyperparameters), NAME(adam_names), NAME(adam_constants));
CHECK_SIZES(NAME(adamw_hyperparameters), NAME(adamw_names), NAME(adam_constants));

static void NAME(adam_prepare)(void *constants_, const double *hyperparameters, uint64_t t)
{
    const NAME(adam_hyperparameters) *given = (const void *)hyperparameters;
    NAME(adam_constants) *constants = constants_;
    const double beta_1 = given->beta_1, beta_2 = given->beta_2;
    constants->learning_rate = (real)(given->learning_rate / (1 - pow(beta_1, (double)t)));
    constants->v_correction = (real)(1 / sqrt(1 - pow(beta_2, (double)t)));
    constants->beta_1 = (real)beta_1;
    constants->one_minus_beta_1 = (real)(1 - beta_1);
    constants->beta_2 = (real)beta_2;
    constants->one_minus_beta_2 = (real)(1 - beta_2);
    constants->epsilon = (real)given->epsilon;
    constants->decay = 1;
}

static void NAME(adamw_prepare)(void *constants_, const double *hyperparameters, uint64_t t)
{
    const NAME(adamw_hyperparameters) *given = (const void *)hyperparameters;
    NAME(adam_constants) *constants = constants_;
    NAME(adam_prepare)(constants, hyperparameters, t);
    constants->decay = (real)(1 - given->adam.learning_rate * given->weight_decay);
}

/* m = beta_1 m + (1 - beta_1) g;  v = beta_2 v + (1 - beta_2) g^2;
 * w = (1 - lr weight_decay) w - lr m^ / (sqrt(v^) + epsilon),  m^ and v^ bias-corrected.
 * Kingma and Ba (2015); decoupled decay: Loshchilov and Hutter (2019). Adam is the case of
 * weight_decay 0, where the first factor is exactly 1. */
static int NAME(adam_update)(void *w_, void *const *slots, const void *g_, size_t n,
                             const void *constants_)
{
    real *restrict w = w_;
    real *restrict m = slots[0];
    real *restrict v = slots[1];
    const real *restrict g = g_;
    const NAME(adam_constants) *constants = constants_;
    const real learning_rate = constants->learning_rate, v_correction = constants->v_correction;
    const real beta_1 = constants->beta_1, one_minus_beta_1 = constants->one_minus_beta_1;
    const real beta_2 = constants->beta_2, one_minus_beta_2 = constants->one_minus_beta_2;
    const real epsilon = constants->epsilon, decay = constants->decay;
    real_sized_int bad = 0;
    for (size_t i = 0; i < n; i++) {
        m[i] = beta_1 * m[i] + one_minus_beta_1 * g[i];
        v[i] = beta_2 * v[i] + one_minus_beta_2 * (g[i] * g[i]);
        w[i] = decay * w[i] - learning_rate * m[i] / (R(sqrt)(v[i]) * v_correction + epsilon);
        bad |= !FINITE(v[i]) | !FINITE(w[i]);
    }
    return bad != 0;
}

static const fnn_optimizer NAME(optimizers)[] = {
    {"sgd", NAME(sgd_names), 0, NAME(sgd_prepare), NAME(sgd_update)},
    {"momentum", NAME(momentum_names), 1, NAME(momentum_prepare), NAME(momentum_update)},
    {"nesterov", NAME(momentum_names), 1, NAME(momentum_prepare), NAME(nesterov_update)},
    {"rmsprop", NAME(rmsprop_names), 1, NAME(rmsprop_prepare), NAME(rmsprop_update)},
    {"adagrad", NAME(adagrad_names), 1, NAME(adagrad_prepare), NAME(adagrad_update)},
    {"adam", NAME(adam_names), 2, NAME(adam_prepare), NAME(adam_update)},
    {"adamw", NAME(adamw_names), 2, NAME(adamw_prepare), NAME(adam_update)},
    {NULL, NULL, 0, NULL, NULL},
};

#endif

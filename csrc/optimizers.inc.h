/* Optimisers: one pass over parameters, slots and gradient. A slot is a block like the
 * parameters that the optimiser carries from step to step: a velocity, a moment, a sum of squares.
 *
 * Hyperparameters arrive in the order in which the Python class lists them, learning rate first.
 * `prepare` turns them into the constants of step t, in double; `update` rounds those to the
 * element type once. What is written is checked to be finite on the way, while it is in a register; a
 * slot that is not finite need not be looked at where it makes the parameter so. */
#ifndef FASTNN_OPTIMIZERS_INC_H
#define FASTNN_OPTIMIZERS_INC_H

#include "real.inc.h"

#define FINITE(x) (R(fabs)(x) <= REAL_MAX)

static void NAME(keep_hyperparameters)(double *constants, const double *hyperparameters, uint64_t t)
{
    (void)t;
    for (int i = 0; i < FNN_MAX_HYPERPARAMETERS; i++)
        constants[i] = hyperparameters[i];
}

/* w -= lr g */
static int NAME(sgd_update)(void *w_, void *const *slots, const void *g_, size_t n,
                            const double *constants)
{
    (void)slots;
    real *restrict w = w_;
    const real *restrict g = g_;
    const real learning_rate = (real)constants[0];
    real_sized_int bad = 0;
    for (size_t i = 0; i < n; i++) {
        w[i] -= learning_rate * g[i];
        bad |= !FINITE(w[i]);
    }
    return bad != 0;
}

/* v = momentum v + g;  w -= lr v */
static int NAME(momentum_update)(void *w_, void *const *slots, const void *g_, size_t n,
                                 const double *constants)
{
    real *restrict w = w_;
    real *restrict v = slots[0];
    const real *restrict g = g_;
    const real learning_rate = (real)constants[0], momentum = (real)constants[1];
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
                                 const double *constants)
{
    real *restrict w = w_;
    real *restrict v = slots[0];
    const real *restrict g = g_;
    const real learning_rate = (real)constants[0], momentum = (real)constants[1];
    real_sized_int bad = 0;
    for (size_t i = 0; i < n; i++) {
        v[i] = momentum * v[i] + g[i];
        w[i] -= learning_rate * (g[i] + momentum * v[i]);
        bad |= !FINITE(w[i]);
    }
    return bad != 0;
}

/* lr, rho, epsilon -> lr, epsilon, rho, 1 - rho */
static void NAME(rmsprop_prepare)(double *constants, const double *hyperparameters, uint64_t t)
{
    (void)t;
    constants[0] = hyperparameters[0];
    constants[1] = hyperparameters[2];
    constants[2] = hyperparameters[1];
    constants[3] = 1 - hyperparameters[1];
}

/* s = rho s + (1 - rho) g^2;  w -= lr g / (sqrt(s) + epsilon) */
static int NAME(rmsprop_update)(void *w_, void *const *slots, const void *g_, size_t n,
                                const double *constants)
{
    real *restrict w = w_;
    real *restrict s = slots[0];
    const real *restrict g = g_;
    const real learning_rate = (real)constants[0], epsilon = (real)constants[1];
    const real rho = (real)constants[2], one_minus_rho = (real)constants[3];
    real_sized_int bad = 0;
    for (size_t i = 0; i < n; i++) {
        s[i] = rho * s[i] + one_minus_rho * (g[i] * g[i]);
        w[i] -= learning_rate * g[i] / (R(sqrt)(s[i]) + epsilon);
        bad |= !FINITE(s[i]) | !FINITE(w[i]);
    }
    return bad != 0;
}

/* s += g^2;  w -= lr g / (sqrt(s) + epsilon) */
static int NAME(adagrad_update)(void *w_, void *const *slots, const void *g_, size_t n,
                                const double *constants)
{
    real *restrict w = w_;
    real *restrict s = slots[0];
    const real *restrict g = g_;
    const real learning_rate = (real)constants[0], epsilon = (real)constants[1];
    real_sized_int bad = 0;
    for (size_t i = 0; i < n; i++) {
        s[i] += g[i] * g[i];
        w[i] -= learning_rate * g[i] / (R(sqrt)(s[i]) + epsilon);
        bad |= !FINITE(s[i]) | !FINITE(w[i]);
    }
    return bad != 0;
}

/* lr, beta_1, beta_2, epsilon, weight_decay -> the bias corrections of step t folded in:
 * lr / (1 - beta_1^t), 1 / sqrt(1 - beta_2^t), beta_1, 1 - beta_1, beta_2, 1 - beta_2, epsilon,
 * 1 - lr weight_decay */
static void NAME(adam_prepare)(double *constants, const double *hyperparameters, uint64_t t)
{
    const double learning_rate = hyperparameters[0];
    const double beta_1 = hyperparameters[1], beta_2 = hyperparameters[2];
    constants[0] = learning_rate / (1 - pow(beta_1, (double)t));
    constants[1] = 1 / sqrt(1 - pow(beta_2, (double)t));
    constants[2] = beta_1;
    constants[3] = 1 - beta_1;
    constants[4] = beta_2;
    constants[5] = 1 - beta_2;
    constants[6] = hyperparameters[3];
    constants[7] = 1 - learning_rate * hyperparameters[4];
}

/* m = beta_1 m + (1 - beta_1) g;  v = beta_2 v + (1 - beta_2) g^2;
 * w = (1 - lr weight_decay) w - lr m^ / (sqrt(v^) + epsilon),  m^ and v^ bias-corrected.
 * Kingma and Ba (2015); decoupled decay: Loshchilov and Hutter (2019). Adam is the case of
 * weight_decay 0, where the first factor is exactly 1. */
static int NAME(adam_update)(void *w_, void *const *slots, const void *g_, size_t n,
                             const double *constants)
{
    real *restrict w = w_;
    real *restrict m = slots[0];
    real *restrict v = slots[1];
    const real *restrict g = g_;
    const real learning_rate = (real)constants[0], v_correction = (real)constants[1];
    const real beta_1 = (real)constants[2], one_minus_beta_1 = (real)constants[3];
    const real beta_2 = (real)constants[4], one_minus_beta_2 = (real)constants[5];
    const real epsilon = (real)constants[6], keep = (real)constants[7];
    real_sized_int bad = 0;
    for (size_t i = 0; i < n; i++) {
        m[i] = beta_1 * m[i] + one_minus_beta_1 * g[i];
        v[i] = beta_2 * v[i] + one_minus_beta_2 * (g[i] * g[i]);
        w[i] = keep * w[i] - learning_rate * m[i] / (R(sqrt)(v[i]) * v_correction + epsilon);
        bad |= !FINITE(v[i]) | !FINITE(w[i]);
    }
    return bad != 0;
}

static const fnn_optimizer NAME(optimizers)[] = {
    {"sgd", NAME(keep_hyperparameters), NAME(sgd_update)},
    {"momentum", NAME(keep_hyperparameters), NAME(momentum_update)},
    {"nesterov", NAME(keep_hyperparameters), NAME(nesterov_update)},
    {"rmsprop", NAME(rmsprop_prepare), NAME(rmsprop_update)},
    {"adagrad", NAME(keep_hyperparameters), NAME(adagrad_update)},
    {"adam", NAME(adam_prepare), NAME(adam_update)},
    {"adamw", NAME(adam_prepare), NAME(adam_update)},
    {NULL, NULL, NULL},
};

#endif

/* Activations: bias and function in one pass over the product; derivatives from the outputs where
 * the function can be inverted, else from the logits.
 *
 * Comparisons are written so that NaN takes the branch that keeps it: `z < 0 ? 0 : z`. */

/* ---- functions of one logit ---- */

static inline real NAME(linear)(real z) { return z; }

static inline real NAME(sigmoid)(real z)
{
    const real e = R(exp)(-R(fabs)(z)); /* in (0, 1]: cannot overflow */
    return z < 0 ? e / (1 + e) : 1 / (1 + e);
}

static inline real NAME(tanh)(real z) { return R(tanh)(z); }

static inline real NAME(relu)(real z) { return z < 0 ? 0 : z; }

static inline real NAME(leaky_relu)(real z) { return z < 0 ? (real)0.01 * z : z; }

static inline real NAME(elu)(real z) { return z < 0 ? R(expm1)(z) : z; }

/* Klambauer et al., "Self-Normalizing Neural Networks" (2017), section 3 */
#define SELU_SCALE ((real)1.0507009873554804934193349852946)
#define SELU_ALPHA ((real)1.6732632423543772848170429916717)

static inline real NAME(selu)(real z)
{
    return z < 0 ? SELU_SCALE * SELU_ALPHA * R(expm1)(z) : SELU_SCALE * z;
}

#define SQRT_HALF ((real)0.70710678118654752440084436210485)

/* z Phi(z), Phi the normal distribution function; erfc keeps the left tail accurate. */
static inline real NAME(gelu)(real z)
{
    return z * ((real)0.5 * R(erfc)(-z * SQRT_HALF));
}

static inline real NAME(silu)(real z) { return z * NAME(sigmoid)(z); }

static inline real NAME(softplus)(real z)
{
    return (z < 0 ? 0 : z) + R(log1p)(R(exp)(-R(fabs)(z)));
}

static inline real NAME(mish)(real z) { return z * R(tanh)(NAME(softplus)(z)); }

/* ---- derivatives: of the output a, and of the logit z where a does not determine it ---- */

static inline real NAME(linear_derivative)(real a, real z)
{
    (void)a, (void)z;
    return 1;
}

static inline real NAME(sigmoid_derivative)(real a, real z)
{
    (void)z;
    return a * (1 - a);
}

static inline real NAME(tanh_derivative)(real a, real z)
{
    (void)z;
    return 1 - a * a;
}

static inline real NAME(relu_derivative)(real a, real z)
{
    (void)z;
    return a > 0 ? 1 : 0;
}

static inline real NAME(leaky_relu_derivative)(real a, real z)
{
    (void)z;
    return a > 0 ? 1 : (real)0.01;
}

static inline real NAME(elu_derivative)(real a, real z)
{
    (void)z;
    return a > 0 ? 1 : a + 1; /* a = exp(z) - 1 */
}

static inline real NAME(selu_derivative)(real a, real z)
{
    (void)z;
    return a > 0 ? SELU_SCALE : a + SELU_SCALE * SELU_ALPHA;
}

static inline real NAME(gelu_derivative)(real a, real z)
{
    (void)a;
    const real one_over_sqrt_2pi = (real)0.39894228040143267793994605993438;
    return (real)0.5 * R(erfc)(-z * SQRT_HALF)
           + z * one_over_sqrt_2pi * R(exp)((real)-0.5 * z * z);
}

static inline real NAME(silu_derivative)(real a, real z)
{
    const real s = NAME(sigmoid)(z);
    return s + a * (1 - s); /* a = z s, s' = s (1 - s) */
}

static inline real NAME(softplus_derivative)(real a, real z)
{
    (void)z;
    return -R(expm1)(-a); /* a = log(1 + exp(z)), so sigmoid(z) = 1 - exp(-a) */
}

static inline real NAME(mish_derivative)(real a, real z)
{
    (void)a;
    const real t = R(tanh)(NAME(softplus)(z)); /* a = z t */
    return t + z * (1 - t * t) * NAME(sigmoid)(z);
}

/* ---- kernels: the loops around them ---- */

#define ELEMENTWISE(f)                                                                            \
    static void NAME(f##_forward)(void *a_, void *logits_, const void *bias_, size_t rows,        \
                                  size_t n_units)                                                 \
    {                                                                                             \
        real *restrict a = a_;                                                                    \
        real *restrict logits = logits_;                                                          \
        const real *restrict bias = bias_;                                                        \
        for (size_t i = 0; i < rows; i++, a += n_units) {                                         \
            if (logits != NULL) {                                                                 \
                for (size_t j = 0; j < n_units; j++)                                              \
                    logits[i * n_units + j] = a[j] + bias[j];                                     \
            }                                                                                     \
            for (size_t j = 0; j < n_units; j++)                                                  \
                a[j] = NAME(f)(a[j] + bias[j]);                                                   \
        }                                                                                         \
    }                                                                                             \
    static void NAME(f##_backward)(void *d_, const void *a_, const void *logits_, size_t n)       \
    {                                                                                             \
        real *restrict d = d_;                                                                    \
        const real *restrict a = a_;                                                              \
        const real *restrict logits = logits_;                                                    \
        for (size_t i = 0; i < n; i++)                                                            \
            d[i] *= NAME(f##_derivative)(a[i], logits != NULL ? logits[i] : 0);                   \
    }

ELEMENTWISE(linear)
ELEMENTWISE(sigmoid)
ELEMENTWISE(tanh)
ELEMENTWISE(relu)
ELEMENTWISE(leaky_relu)
ELEMENTWISE(elu)
ELEMENTWISE(selu)
ELEMENTWISE(gelu)
ELEMENTWISE(silu)
ELEMENTWISE(mish)
ELEMENTWISE(softplus)

/* p (n_units,) = softmax(z (n_units,)); p may be z. Returns log(sum(exp(z))). */
static double NAME(softmax_row)(real *p, const real *z, size_t n_units)
{
    real largest = z[0];
    for (size_t j = 1; j < n_units; j++)
        largest = z[j] > largest ? z[j] : largest;
    real sum = 0; /* of numbers in [0, 1], one of them 1 */
    for (size_t j = 0; j < n_units; j++) {
        p[j] = R(exp)(z[j] - largest);
        sum += p[j];
    }
    for (size_t j = 0; j < n_units; j++)
        p[j] /= sum;
    return log((double)sum) + (double)largest;
}

static void NAME(softmax_forward)(void *a_, void *logits_, const void *bias_, size_t rows,
                                  size_t n_units)
{
    NAME(linear_forward)(a_, logits_, bias_, rows, n_units);
    real *a = a_;
    for (size_t i = 0; i < rows && n_units > 0; i++)
        NAME(softmax_row)(a + i * n_units, a + i * n_units, n_units);
}

static const fnn_activation NAME(activations)[] = {
    {"linear", 0, NAME(linear_forward), NAME(linear_backward)},
    {"sigmoid", 0, NAME(sigmoid_forward), NAME(sigmoid_backward)},
    {"tanh", 0, NAME(tanh_forward), NAME(tanh_backward)},
    {"relu", 0, NAME(relu_forward), NAME(relu_backward)},
    {"leaky_relu", 0, NAME(leaky_relu_forward), NAME(leaky_relu_backward)},
    {"elu", 0, NAME(elu_forward), NAME(elu_backward)},
    {"selu", 0, NAME(selu_forward), NAME(selu_backward)},
    {"gelu", 1, NAME(gelu_forward), NAME(gelu_backward)},
    {"silu", 1, NAME(silu_forward), NAME(silu_backward)},
    {"mish", 1, NAME(mish_forward), NAME(mish_backward)},
    {"softplus", 0, NAME(softplus_forward), NAME(softplus_backward)},
    {"softmax", 0, NAME(softmax_forward), NULL},
    {NULL, 0, NULL, NULL},
};

#undef ELEMENTWISE
#undef SELU_SCALE
#undef SELU_ALPHA
#undef SQRT_HALF

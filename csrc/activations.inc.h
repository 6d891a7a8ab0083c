/* Activations; derivatives from the outputs where the function can be inverted, else from the
 * logits.
 *
 * Comparisons are written so that NaN takes the branch that keeps it: `z < 0 ? 0 : z`. */

/* ---- functions of the logits z ---- */

ALWAYS_INLINE vector NAME(linear)(vector z) { return z; }

ALWAYS_INLINE vector NAME(relu)(vector z) { return SELECT(z < 0, CONSTANT(0), z); }

ALWAYS_INLINE vector NAME(leaky_relu)(vector z) { return SELECT(z < 0, z * CONSTANT(0.01), z); }

ALWAYS_INLINE vector NAME(elu)(vector z) { return SELECT(z < 0, NAME(vector_expm1)(z), z); }

/* Klambauer et al., "Self-Normalizing Neural Networks" (2017), section 3 */
#define SELU_SCALE 1.0507009873554804934193349852946
#define SELU_SCALE_ALPHA 1.7580993408473768599402175208123 /* alpha = 1.67326... */

ALWAYS_INLINE vector NAME(selu)(vector z)
{
    return SELECT(z < 0, CONSTANT(SELU_SCALE_ALPHA) * NAME(vector_expm1)(z),
                  CONSTANT(SELU_SCALE) * z);
}

ALWAYS_INLINE vector NAME(silu)(vector z) { return z * NAME(vector_sigmoid)(z); }

#define SQRT_HALF 0.70710678118654752440084436210485

/* The three that follow go by the C library, in double, one number at a time. */

/* Phi(z), the normal distribution function; erfc keeps the left tail accurate. */
static inline double NAME(normal_cdf)(double z) { return 0.5 * erfc(-z * SQRT_HALF); }

static inline double NAME(gelu)(double z) { return z * NAME(normal_cdf)(z); }

static inline double NAME(softplus)(double z)
{
    return (z < 0 ? 0 : z) + log1p(exp(-fabs(z)));
}

static inline double NAME(mish)(double z) { return z * tanh(NAME(softplus)(z)); }

/* ---- derivatives: of the output a, and of the logit z where a does not determine it ---- */

ALWAYS_INLINE vector NAME(linear_derivative)(vector a, vector z)
{
    (void)a, (void)z;
    return CONSTANT(1);
}

ALWAYS_INLINE vector NAME(vector_sigmoid_derivative)(vector a, vector z)
{
    (void)z;
    return a * (1 - a);
}

ALWAYS_INLINE vector NAME(vector_tanh_derivative)(vector a, vector z)
{
    (void)z;
    return 1 - a * a;
}

ALWAYS_INLINE vector NAME(relu_derivative)(vector a, vector z)
{
    (void)z;
    return SELECT(a > 0, CONSTANT(1), CONSTANT(0));
}

ALWAYS_INLINE vector NAME(leaky_relu_derivative)(vector a, vector z)
{
    (void)z;
    return SELECT(a > 0, CONSTANT(1), CONSTANT(0.01));
}

ALWAYS_INLINE vector NAME(elu_derivative)(vector a, vector z)
{
    (void)z;
    return SELECT(a > 0, CONSTANT(1), a + 1); /* a = exp(z) - 1 */
}

ALWAYS_INLINE vector NAME(selu_derivative)(vector a, vector z)
{
    (void)z;
    return SELECT(a > 0, CONSTANT(SELU_SCALE), a + CONSTANT(SELU_SCALE_ALPHA));
}

ALWAYS_INLINE vector NAME(silu_derivative)(vector a, vector z)
{
    const vector s = NAME(vector_sigmoid)(z);
    return s + a * (1 - s); /* a = z s, s' = s (1 - s) */
}

static inline double NAME(gelu_derivative)(double a, double z)
{
    (void)a;
    const double one_over_sqrt_2pi = 0.39894228040143267793994605993438;
    return NAME(normal_cdf)(z) + z * one_over_sqrt_2pi * exp(-0.5 * z * z);
}

static inline double NAME(softplus_derivative)(double a, double z)
{
    (void)z;
    return -expm1(-a); /* a = log(1 + exp(z)), so sigmoid(z) = 1 - exp(-a) */
}

static inline double NAME(mish_derivative)(double a, double z)
{
    (void)a;
    const double e = exp(-fabs(z));
    const double sigmoid = z < 0 ? e / (1 + e) : 1 / (1 + e);
    const double t = tanh(NAME(softplus)(z)); /* a = z t */
    return t + z * (1 - t * t) * sigmoid;
}

/* ---- kernels: the loops around them ---- */

/* From a function of vectors; those of the last, partial vector are computed with zeros. */
#define VECTOR_KERNELS(name, f)                                                                   \
    static void NAME(name##_forward)(void *a_, const void *logits_, size_t rows, size_t n_units)  \
    {                                                                                             \
        real *a = a_;                                                                             \
        const real *logits = logits_;                                                             \
        const size_t n = rows * n_units;                                                          \
        size_t i = 0;                                                                             \
        for (; i + VECTOR_LANES <= n; i += VECTOR_LANES)                                          \
            NAME(store)(a + i, NAME(f)(NAME(load)(logits + i)));                                  \
        if (i < n)                                                                                \
            NAME(store_lanes)(a + i, NAME(f)(NAME(load_lanes)(logits + i, n - i)), n - i);        \
    }                                                                                             \
    static void NAME(name##_backward)(void *d_, const void *a_, const void *logits_, size_t n)    \
    {                                                                                             \
        real *d = d_;                                                                             \
        const real *a = a_;                                                                       \
        const real *logits = logits_;                                                             \
        size_t i = 0;                                                                             \
        for (; i + VECTOR_LANES <= n; i += VECTOR_LANES)                                          \
            NAME(store)(d + i, NAME(load)(d + i)                                                  \
                                   * NAME(f##_derivative)(NAME(load)(a + i),                      \
                                                          NAME(load)(logits + i)));               \
        if (i < n)                                                                                \
            NAME(store_lanes)(d + i, NAME(load_lanes)(d + i, n - i)                               \
                                         * NAME(f##_derivative)(                                  \
                                             NAME(load_lanes)(a + i, n - i),                      \
                                             NAME(load_lanes)(logits + i, n - i)),                \
                              n - i);                                                             \
    }

/* From a function of one number, by the C library. */
#define SCALAR_KERNELS(name)                                                                      \
    static void NAME(name##_forward)(void *a_, const void *logits_, size_t rows, size_t n_units)  \
    {                                                                                             \
        real *a = a_;                                                                             \
        const real *logits = logits_;                                                             \
        for (size_t i = 0; i < rows * n_units; i++)                                               \
            a[i] = (real)NAME(name)((double)logits[i]);                                                         \
    }                                                                                             \
    static void NAME(name##_backward)(void *d_, const void *a_, const void *logits_, size_t n)    \
    {                                                                                             \
        real *d = d_;                                                                             \
        const real *a = a_;                                                                       \
        const real *logits = logits_;                                                             \
        for (size_t i = 0; i < n; i++)                                                            \
            d[i] *= (real)NAME(name##_derivative)((double)a[i], (double)logits[i]);                                     \
    }

VECTOR_KERNELS(linear, linear)
VECTOR_KERNELS(sigmoid, vector_sigmoid)
VECTOR_KERNELS(tanh, vector_tanh)
VECTOR_KERNELS(relu, relu)
VECTOR_KERNELS(leaky_relu, leaky_relu)
VECTOR_KERNELS(elu, elu)
VECTOR_KERNELS(selu, selu)
VECTOR_KERNELS(silu, silu)
SCALAR_KERNELS(gelu)
SCALAR_KERNELS(mish)
SCALAR_KERNELS(softplus)

/* ---- softmax ---- */

/* Rows of up to so many units are handled a vector of rows at a time, longer ones one by one. */
#define NARROW 32

/* Sums are kept in as many chains as 64 bytes have numbers, under every instruction set, and added
 * up pairwise, so that their bits do not depend on the width of the vectors. */
#define CHAINS (64 / sizeof(real))
#define BLOCK_VECTORS (64 / VECTOR_BYTES)

static inline real NAME(sum_of_chains)(const vector sums[BLOCK_VECTORS])
{
    real chains[CHAINS];
    memcpy(chains, sums, sizeof chains);
    for (size_t half = CHAINS / 2; half > 0; half /= 2) {
        for (size_t i = 0; i < half; i++)
            chains[i] += chains[i + half];
    }
    return chains[0];
}

static inline real NAME(largest_of)(const real *z, size_t n)
{
    vector largest = CONSTANT(z[0]);
    size_t i = 0;
    for (; i + VECTOR_LANES <= n; i += VECTOR_LANES) {
        const vector next = NAME(load)(z + i);
        largest = SELECT(next > largest, next, largest);
    }
    real result = z[0];
    for (size_t lane = 0; lane < VECTOR_LANES; lane++)
        result = largest[lane] > result ? largest[lane] : result;
    for (; i < n; i++)
        result = z[i] > result ? z[i] : result;
    return result;
}

/* One row: p = exp(z - largest) / sum, where sum = sum(exp(z - largest)). p may be z. */
static void NAME(softmax_row)(real *p, const real *z, size_t n_units, real *largest_, real *sum_)
{
    const real largest = NAME(largest_of)(z, n_units);
    vector sums[BLOCK_VECTORS] = {{0}};
    for (size_t i = 0; i < n_units; i += CHAINS) {
        for (size_t b = 0; b < BLOCK_VECTORS && i + b * VECTOR_LANES < n_units; b++) {
            const size_t at = i + b * VECTOR_LANES, left = n_units - at;
            if (left >= VECTOR_LANES) {
                const vector e = NAME(vector_exp)(NAME(load)(z + at) - largest);
                NAME(store)(p + at, e);
                sums[b] += e;
            } else { /* the lanes that are not there must not count */
                const vector e = NAME(vector_exp)(NAME(load_lanes)(z + at, left) - largest);
                NAME(store_lanes)(p + at, e, left);
                sums[b] += NAME(load_lanes)(p + at, left);
            }
        }
    }
    const real sum = NAME(sum_of_chains)(sums); /* of numbers in [0, 1], one of them 1 */
    size_t i = 0;
    for (; i + VECTOR_LANES <= n_units; i += VECTOR_LANES)
        NAME(store)(p + i, NAME(load)(p + i) / sum);
    if (i < n_units)
        NAME(store_lanes)(p + i, NAME(load_lanes)(p + i, n_units - i) / sum, n_units - i);
    *largest_ = largest;
    *sum_ = sum;
}

/* The same for up to a vector of narrow rows: units one after the other, a row in each lane. */
static void NAME(softmax_narrow)(real *p, const real *z, size_t rows, size_t n_units,
                                 real *largest_, real *sum_)
{
    vector columns[NARROW];
    for (size_t j = 0; j < n_units; j++) {
        real column[VECTOR_LANES] = {0};
        for (size_t i = 0; i < rows; i++)
            column[i] = z[i * n_units + j];
        columns[j] = NAME(load)(column);
    }
    vector largest = CONSTANT(-INFINITY);
    for (size_t j = 0; j < n_units; j++)
        largest = SELECT(columns[j] > largest, columns[j], largest);
    vector sum = CONSTANT(0);
    for (size_t j = 0; j < n_units; j++) {
        columns[j] = NAME(vector_exp)(columns[j] - largest);
        sum += columns[j];
    }
    for (size_t j = 0; j < n_units; j++) {
        real column[VECTOR_LANES];
        NAME(store)(column, columns[j] / sum);
        for (size_t i = 0; i < rows; i++)
            p[i * n_units + j] = column[i];
    }
    NAME(store_lanes)(largest_, largest, rows);
    NAME(store_lanes)(sum_, sum, rows);
}

/* p (rows, n_units) = softmax of each row of z, for up to VECTOR_LANES rows; p may be z. Also the
 * largest of each row, and the sum of exp(z - largest): log(sum(exp(z))) = largest + log(sum). */
static void NAME(softmax_rows)(real *p, const real *z, size_t rows, size_t n_units, real *largest,
                               real *sum)
{
    if (n_units <= NARROW) {
        NAME(softmax_narrow)(p, z, rows, n_units, largest, sum);
    } else {
        for (size_t i = 0; i < rows; i++)
            NAME(softmax_row)(p + i * n_units, z + i * n_units, n_units, largest + i, sum + i);
    }
}

static void NAME(softmax_forward)(void *a_, const void *logits_, size_t rows, size_t n_units)
{
    real *a = a_;
    const real *logits = logits_;
    real largest[VECTOR_LANES], sum[VECTOR_LANES];
    for (size_t i = 0; i < rows && n_units > 0; i += VECTOR_LANES) {
        const size_t block = rows - i < VECTOR_LANES ? rows - i : VECTOR_LANES;
        NAME(softmax_rows)(a + i * n_units, logits + i * n_units, block, n_units, largest, sum);
    }
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

#undef VECTOR_KERNELS
#undef SCALAR_KERNELS
#undef NARROW
#undef CHAINS
#undef BLOCK_VECTORS
#undef SELU_SCALE
#undef SELU_SCALE_ALPHA
#undef SQRT_HALF

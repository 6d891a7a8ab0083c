/* Random numbers that follow from where they are used, so that they are the same on any thread and in
 * any tile: a number is a hash of a key (of the network and the layer), the step, the sample and the unit. */
#ifndef FASTNN_NOISE_INC_H
#define FASTNN_NOISE_INC_H

#include "math.inc.h"
#include "matrix.inc.h"
#include "units.inc.h"
#include "vector.inc.h"

typedef uint32_t NAME(words) __attribute__((vector_size(VECTOR_LANES * sizeof(uint32_t))));
typedef int32_t NAME(signed_words) __attribute__((vector_size(VECTOR_LANES * sizeof(int32_t))));
#define words NAME(words)

/* Rows whose keys are worked out at a time. */
#define NOISE_ROWS 64

/* SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014. */
static inline uint64_t NAME(split_mix)(uint64_t key, uint64_t counter)
{
    uint64_t x = key + (counter + 1) * UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

/* 32 random bits of a unit, from the two halves of its row's key: two rounds of multiplying and shifting,
 * with shifts and factors that Wellons' hash prospector found, and half of the key before each. */
ALWAYS_INLINE words NAME(hash)(words unit, words low, words high)
{
    words x = unit * 0x9E3779B9u + low;
    x = (x ^ (x >> 16)) * 0x21F0AAADu + high;
    x = (x ^ (x >> 15)) * 0x735A2D97u;
    return x ^ (x >> 15);
}

/* a and z of one vector, from its x and the random bits. */
typedef void (*NAME(noise_rule))(vector *a, vector *z, vector x, words unit, words low, words high,
                                 double setting);

/* `lanes` elements, from x to a and, where there is one, to z. */
ALWAYS_INLINE void NAME(noise_lanes)(const NAME(noise_rule) rule, real *a, real *z, const real *x,
                                     size_t lanes, words unit, words low, words high, double setting)
{
    vector out, factor = {0};
    rule(&out, &factor, NAME(load_up_to)(x, lanes), unit, low, high, setting);
    NAME(store_up_to)(a, out, lanes);
    if (z != NULL)
        NAME(store_up_to)(z, factor, lanes);
}

/* All of (rows, n_units); z NULL or like a. Vectors along the units, or along the rows where matrices
 * are in single columns. */
ALWAYS_INLINE void NAME(add_noise)(const NAME(noise_rule) rule, const fnn_matrix *a,
                                   const fnn_matrix *z, const fnn_matrix *x, size_t rows,
                                   size_t n_units, const fnn_noise *noise, double setting)
{
    uint32_t low[NOISE_ROWS], high[NOISE_ROWS];
    const uint64_t step_key = NAME(split_mix)(noise->key, noise->step);
    words lane_numbers;
    for (size_t lane = 0; lane < VECTOR_LANES; lane++)
        lane_numbers[lane] = (uint32_t)lane;
    for (size_t first = 0; first < rows; first += NOISE_ROWS) {
        const size_t n = rows - first < NOISE_ROWS ? rows - first : NOISE_ROWS;
        for (size_t i = 0; i < n; i++) {
            const uint64_t key = NAME(split_mix)(step_key, noise->sample + first + i);
            low[i] = (uint32_t)key;
            high[i] = (uint32_t)(key >> 32);
        }
        for (size_t j = 0, lanes; j < n_units; j += lanes) {
            size_t a_row, x_row, z_row = 0;
            real *a_at = NAME(panel_at)(a, j, &a_row), *z_at = NULL;
            const real *x_at = NAME(panel_at)(x, j, &x_row);
            const words unit = (uint32_t)(noise->unit + j) - (words){0};
            if (z != NULL)
                z_at = NAME(panel_at)(z, j, &z_row) + first * z_row;
            a_at += first * a_row;
            x_at += first * x_row;
            if (a->width == 1) {
                lanes = 1;
                for (size_t i = 0, height; i < n; i += height) {
                    words row_low = {0}, row_high = {0};
                    height = n - i < VECTOR_LANES ? n - i : VECTOR_LANES;
                    memcpy(&row_low, low + i, height * sizeof *low);
                    memcpy(&row_high, high + i, height * sizeof *high);
                    NAME(noise_lanes)(rule, a_at + i, z_at != NULL ? z_at + i : NULL, x_at + i, height,
                                      unit, row_low, row_high, setting);
                }
                continue;
            }
            const size_t left = NAME(left_in_panel)(a, j), x_left = NAME(left_in_panel)(x, j);
            lanes = n_units - j < VECTOR_LANES ? n_units - j : VECTOR_LANES;
            lanes = lanes < left ? lanes : left;
            lanes = lanes < x_left ? lanes : x_left;
            for (size_t i = 0; i < n; i++)
                NAME(noise_lanes)(rule, a_at + i * a_row, z_at != NULL ? z_at + i * z_row : NULL,
                                  x_at + i * x_row, lanes, unit + lane_numbers, low[i] - (words){0},
                                  high[i] - (words){0}, setting);
        }
    }
}

/* ---- dropout: a = x z, where z is 1 / (1 - rate) for the units that stay, else 0 ---- */

#define TWO_TO_32 4294967296.0

/* Inverted dropout (Srivastava et al. 2014): a unit stays where its 32 bits are at most `limit`. */
ALWAYS_INLINE void NAME(dropout_rule)(vector *a, vector *z, vector x, words unit, words low, words high,
                                      double rate)
{
    const double kept = (1 - rate) * TWO_TO_32 - 1;
    const uint32_t limit = kept > 0 ? (uint32_t)kept : 0;
    const words bits = NAME(hash)(unit, low, high);
    const NAME(signed_words) stays = (NAME(signed_words))(bits <= limit); /* -1 or 0 */
    *z = __builtin_convertvector(stays, vector) * CONSTANT(-1 / (1 - rate));
    *a = x * *z;
}

static void NAME(dropout_forward)(const fnn_matrix *a, const fnn_matrix *z, const fnn_matrix *x,
                                  size_t rows, size_t n_units, const fnn_noise *noise, double rate)
{
    NAME(add_noise)(NAME(dropout_rule), a, z, x, rows, n_units, noise, rate);
}

ALWAYS_INLINE void NAME(multiply_rule)(vector *to, const vector *from, const vector *numbers)
{
    (void)numbers;
    to[0] = from[0] * from[1];
}

static void NAME(multiply)(const fnn_matrix *d, const fnn_matrix *z, size_t rows, size_t n_units)
{
    NAME(for_units)(NAME(multiply_rule), (NAME(unit_loop)){1, 2, 0, {d}, {d, z}, {NULL}}, rows,
                    n_units);
}

/* ---- Gaussian noise: a = x + scale times a normal number ---- */

/* cos(2 pi u) for u in [0, 1): sin(2 pi y), y = 1/4 - |u - 1/2| in [-1/4, 1/4], negated. The series of
 * the sine, whose first term left out is below 2^-56 in double. */
ALWAYS_INLINE vector NAME(cosine_of_turns)(vector u)
{
    static const double terms[] = {
        -1.0 / 6, 1.0 / 120, -1.0 / 5040, 1.0 / 362880, -1.0 / 39916800, 1.0 / 6227020800.0,
        -1.0 / 1307674368000.0, 1.0 / 355687428096000.0, -1.0 / 121645100408832000.0,
        1.0 / 51090942171709440000.0,
    };
    vector turned = u - CONSTANT(0.5);
    turned = SELECT(turned < 0, -turned, turned);
    const vector angle = CONSTANT(6.283185307179586476925286766559) * (CONSTANT(0.25) - turned);
    const vector square = angle * angle;
    vector sum = CONSTANT(terms[9]);
#pragma GCC unroll 9
    for (size_t i = 9; i-- > 0;)
        sum = FMA(sum, square, CONSTANT(terms[i]));
    return -FMA(sum * square, angle, angle);
}

/* Box and Muller (1958): sqrt(-2 log(u)) cos(2 pi v), u in (0, 1] and v in [0, 1). */
ALWAYS_INLINE void NAME(gaussian_rule)(vector *a, vector *z, vector x, words unit, words low,
                                       words high, double scale)
{
    const vector first = __builtin_convertvector(NAME(hash)(unit, low, high), vector);
    const vector second = __builtin_convertvector(NAME(hash)(unit, high, low), vector);
    const vector u = (first + CONSTANT(0.5)) * CONSTANT(1 / TWO_TO_32);
    /* float32 rounds the largest of 32 bits up to 1, whose cosine is that of 0 */
    const vector cosine = NAME(cosine_of_turns)(second * CONSTANT(1 / TWO_TO_32));
    (void)z;
    *a = x + CONSTANT(scale) * (SQRT(2 * NAME(vector_log)(1 / u)) * cosine);
}

static void NAME(gaussian_noise_forward)(const fnn_matrix *a, const fnn_matrix *x, size_t rows,
                                         size_t n_units, const fnn_noise *noise, double scale)
{
    NAME(add_noise)(NAME(gaussian_rule), a, NULL, x, rows, n_units, noise, scale);
}

#undef words

#endif

"""The C functions that a row goes through, each in a form for float and one for double.

In the text, ``$real`` is float or double, ``$f`` the letter that a constant or a function of libm
has for it, as in ``0.5$f`` and ``exp$f(x)``, and ``$restrict`` what C has and C++ has not.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Function:
    """A C function, of one kind of step: it reads the row x and writes the row y.

    Attributes
    ----------
    body : str
        Its statements.
    arrays : tuple of str
        Its parameters that are arrays of constants, with their types.
    number : str
        Its parameter that is a number, or "".
    resizes : bool
        Whether x has n_in numbers and y, which is another place, n_out. Otherwise both have n
        numbers, and y may be x.
    """

    body: str
    arrays: tuple[str, ...] = ()
    number: str = ""
    resizes: bool = False

    @property
    def parameters(self) -> tuple[str, ...]:
        """All parameters, in the order of the arguments of a `Step`."""
        if self.resizes:
            row, size, resized = "$real *$restrict ", "size_t n_in", "size_t n_out"
        else:
            row, size, resized = "$real *", "size_t n", ""
        parts = (f"const {row}x", size, *self.arrays, self.number, f"{row}y", resized)
        return tuple(part for part in parts if part)


def _each(expression: str, *arrays: str, constants: str = "") -> Function:
    """A function of each number by itself, which is z in the expression."""
    body = f"""\
    size_t i;
    for (i = 0; i < n; i++) {{
        const $real z = x[i]{constants};
        y[i] = {expression};
    }}
"""
    return Function(body, arrays)


# y += x[i] weights[i], row by row of the weights, which compilers make vectors of. Four rows at a
# time are twice as fast, and y is rounded a quarter as often.
_DENSE = """\
    size_t i, j;
    for (j = 0; j < n_out; j++)
        y[j] = {start};
    for (i = 0; i + 4 <= n_in; i += 4) {{
        const $real x0 = x[i], x1 = x[i + 1], x2 = x[i + 2], x3 = x[i + 3];
        for (j = 0; j < n_out; j++)
            y[j] += (x0 * {cast}weights[j] + x1 * {cast}weights[n_out + j])
                    + (x2 * {cast}weights[2 * n_out + j] + x3 * {cast}weights[3 * n_out + j]);
        weights += 4 * n_out;
    }}
    for (; i < n_in; i++) {{
        for (j = 0; j < n_out; j++)
            y[j] += x[i] * {cast}weights[j];
        weights += n_out;
    }}
"""

_SCALE_INT8 = """\
    for (j = 0; j < n_out; j++)
        y[j] = y[j] * scale[j] + bias[j];
"""

_LAYER_NORM = """\
    $real mean = 0, variance = 0, factor;
    size_t i;
    for (i = 0; i < n; i++)
        mean += x[i];
    mean /= ($real)n;
    for (i = 0; i < n; i++) {
        y[i] = x[i] - mean;
        variance += y[i] * y[i];
    }
    factor = 1 / sqrt$f(variance / ($real)n + epsilon);
    for (i = 0; i < n; i++)
        y[i] = y[i] * factor * weights[i] + bias[i];
"""

_SOFTMAX = """\
    $real largest = x[0], sum = 0;
    size_t i;
    for (i = 1; i < n; i++)
        largest = x[i] > largest ? x[i] : largest;
    for (i = 0; i < n; i++) {
        y[i] = exp$f(x[i] - largest);
        sum += y[i];
    }
    for (i = 0; i < n; i++)
        y[i] /= sum;
"""

#: By the name that they have in the C file behind the model's. Activations have their own names.
#: Comparisons are written so that NaN stays NaN.
FUNCTIONS = {
    "dense": Function(
        _DENSE.format(start="bias[j]", cast=""),
        ("const $real *$restrict weights", "const $real *$restrict bias"),
        resizes=True,
    ),
    "dense_int8": Function(
        _DENSE.format(start="0", cast="($real)") + _SCALE_INT8,
        (
            "const signed char *$restrict weights",
            "const $real *$restrict scale",
            "const $real *$restrict bias",
        ),
        resizes=True,
    ),
    "scale": _each("z * factor[i] + term[i]", "const $real *factor", "const $real *term"),
    "layer_norm": Function(
        _LAYER_NORM, ("const $real *weights", "const $real *bias"), "$real epsilon"
    ),
    "prelu": _each("z < 0 ? z * alpha[i] : z", "const $real *alpha"),
    "sigmoid": _each("1 / (1 + exp$f(-z))"),
    "tanh": _each("tanh$f(z)"),
    "relu": _each("z < 0 ? 0 : z"),
    "leaky_relu": _each("z < 0 ? z * 0.01$f : z"),
    "elu": _each("z < 0 ? expm1$f(z) : z"),
    "selu": _each("z < 0 ? 1.7580993408473769$f * expm1$f(z) : 1.0507009873554805$f * z"),
    "gelu": _each("z * (0.5$f * erfc$f(z * -0.70710678118654752$f))"),
    "silu": _each("z / (1 + exp$f(-z))"),
    # tanh(log(1 + w)) = a / (a + 2), a = w (w + 2), w = exp(z); it is 1 from z = 20 on
    "mish": _each("z * (a / (a + 2))", constants=", w = exp$f(z < 20 ? z : 20), a = w * (w + 2)"),
    "softplus": _each("(z < 0 ? 0 : z) + log1p$f(exp$f(-fabs$f(z)))"),
    "exponential": _each("exp$f(z)"),
    "softmax": Function(_SOFTMAX),
}

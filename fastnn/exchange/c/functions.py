"""The C functions that a row goes through, each in a form for float and one for double.

In the text, ``$real`` is float or double, ``$f`` the letter that a constant or a function of libm
has for it, as in ``0.5$f`` and ``exp$f(x)``, and ``$restrict`` what C has and C++ has not.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Function:
    """A C function, of one kind of step: it reads the row x and writes the row y.

    Attributes
    ----------
    body : str
        Its statements.
    arrays : tuple of str
        Its parameters that are arrays of constants, with their types.
    numbers : tuple of str
        Its parameters that are numbers, with their types.
    resizes : bool
        Whether x has n_in numbers and y, which is another place, n_out. Otherwise both have n
        numbers, and y may be x.
    reads : {"row", "column", "nothing"}
        "column": in the place of a row it reads one number, z, of the model's row, and adds to the
        n_out numbers of y. "nothing": constants alone.
    """

    body: str
    arrays: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    resizes: bool = False
    reads: Literal["row", "column", "nothing"] = "row"

    @property
    def parameters(self) -> tuple[str, ...]:
        """All parameters, in the order of the arguments of a `Step`."""
        constants = (*self.arrays, *self.numbers)
        if self.reads == "column":
            return ("$real z", *constants, "$real *$restrict y", "size_t n_out")
        if self.reads == "nothing":
            return (*constants, "$real *$restrict y", "size_t n_out")
        if self.resizes:
            row = "$real *$restrict "
            return (f"const {row}x", "size_t n_in", *constants, f"{row}y", "size_t n_out")
        return ("const $real *x", "size_t n", *constants, "$real *y")


def _each(
    expression: str, *arrays: str, numbers: tuple[str, ...] = (), constants: str = ""
) -> Function:
    """A function of each number by itself, which is z in the expression."""
    body = f"""\
    size_t i;
    for (i = 0; i < n; i++) {{
        const $real z = x[i]{constants};
        y[i] = {expression};
    }}
"""
    return Function(body, arrays, numbers)


def _of_column(body: str, *arrays: str, numbers: tuple[str, ...] = ()) -> dict[str, Function]:
    """A function that adds rows of weights by one number, and the one for weights of int8."""
    functions = {}
    for suffix, kind, cast in (("", "$real", ""), ("_int8", "signed char", "($real)")):
        weights = f"const {kind} *$restrict weights"
        text = body.replace("WEIGHTS", f"{cast}weights")
        functions[suffix] = Function(text, (*arrays, weights), numbers, reads="column")
    return functions


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

# What a column of a table adds to the first layer. NaN is a missing value.

# The number as it enters: (z - center) / scale within 3. Two numbers of the type are the center.
_NUMBER = """\
    $real s;
    size_t j;
    if (z != z)
        return;
    s = (z - place[0] - place[1]) / place[2];
    s = s < -1e6$f ? -1e6$f : s > 1e6$f ? 1e6$f : s;
    s /= sqrt$f(1 + s * s / 9);
    for (j = 0; j < n_out; j++)
        y[j] += s * WEIGHTS[j];
"""

# Ramps, a ramp from each edge to the next, are one straight line between two edges: of what all of
# them add at the one to what they add at the other, which are two rows of the weights.
_RAMPS = """\
    $real t;
    size_t i = 0, j;
    if (z != z)
        return;
    while (i + 1 < n_ramps && z - edges[i + 1] - rests[i + 1] >= 0)
        i++;
    t = (z - edges[i] - rests[i]) / gaps[i];
    t = t < 0 ? 0 : t > 1 ? 1 : t;
    weights += i * n_out;
    for (j = 0; j < n_out; j++)
        y[j] += (1 - t) * WEIGHTS[j] + t * WEIGHTS[n_out + j];
"""

_MISSING = """\
    size_t j;
    if (z != z)
        for (j = 0; j < n_out; j++)
            y[j] += WEIGHTS[j];
"""

# The last rows are those of other codes and of missing ones; -1 where there is none.
_CATEGORY = """\
    long row = of_others;
    size_t j;
    if (z != z || z == -1)
        row = of_missing;
    else if (z >= 0 && z < ($real)n_levels && z == floor$f(z))
        row = (long)z;
    if (row < 0)
        return;
    weights += (size_t)row * n_out;
    for (j = 0; j < n_out; j++)
        y[j] += WEIGHTS[j];
"""

# Days on circles: of a year, a week, and where there are three of a day. A year is 365.2425 days,
# in two steps because the first one is exact. What is missing has the place of the median.
_CIRCLES = """\
    const $real turn = 6.2831853071795865$f;
    const $real years = floor$f(z / 365.2425$f), weeks = floor$f(z / 7);
    $real turns[3];
    size_t i, j;
    turns[0] = (z - years * 365.25$f + years * 0.0075$f) / 365.2425$f;
    turns[1] = (z - weeks * 7) / 7;
    turns[2] = z - floor$f(z);
    for (i = 0; i < n_circles; i++) {
        const int is_there = z - z == 0;
        const $real a = is_there ? sin$f(turn * turns[i]) : middle[2 * i];
        const $real b = is_there ? cos$f(turn * turns[i]) : middle[2 * i + 1];
        for (j = 0; j < n_out; j++)
            y[j] += a * WEIGHTS[j] + b * WEIGHTS[n_out + j];
        weights += 2 * n_out;
    }
"""

_OF_COLUMNS = {
    "number": _of_column(_NUMBER, "const $real *place"),
    "ramps": _of_column(
        _RAMPS,
        "const $real *edges",
        "const $real *rests",
        "const $real *gaps",
        numbers=("size_t n_ramps",),
    ),
    "missing": _of_column(_MISSING),
    "category": _of_column(
        _CATEGORY, numbers=("long n_levels", "long of_others", "long of_missing")
    ),
    "circles": _of_column(_CIRCLES, "const $real *middle", numbers=("size_t n_circles",)),
}

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
        _LAYER_NORM, ("const $real *weights", "const $real *bias"), ("$real epsilon",)
    ),
    "rescale": _each("scale * z + offset", numbers=("$real scale", "$real offset")),
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
    "start": Function(
        "    size_t j;\n    for (j = 0; j < n_out; j++)\n        y[j] = bias[j];\n",
        ("const $real *$restrict bias",),
        resizes=True,
        reads="nothing",
    ),
    "clear": Function(
        "    size_t j;\n    for (j = 0; j < n_out; j++)\n        y[j] = 0;\n",
        resizes=True,
        reads="nothing",
    ),
    **{
        f"{name}{suffix}": function
        for name, functions in _OF_COLUMNS.items()
        for suffix, function in functions.items()
    },
    "add": Function("    size_t i;\n    for (i = 0; i < n; i++)\n        y[i] += x[i];\n"),
    "divide": _each("z / divisor", numbers=("$real divisor",)),
}

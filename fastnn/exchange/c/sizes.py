"""Bytes of code and stack that the C functions take on a Cortex-M4.

Measured with GCC 12.2. ``python -m bench.cortex_m4`` compares what is stated with what it is. The
functions have just these sizes, to a few bytes; what calls them is a fit over random networks.
"""

from collections.abc import Sequence
from typing import NamedTuple

from fastnn.exchange.c.functions import FUNCTIONS

#: How they were compiled.
COMMAND = (
    "arm-none-eabi-gcc -std=c99 -Os -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16"
)


class Size(NamedTuple):
    """Bytes of a function: its code, and its frame on the stack."""

    code: int
    frame: int


#: Of float.
FLOAT = {
    "dense": Size(232, 56),
    "dense_int8": Size(280, 56),
    "scale": Size(36, 8),
    "layer_norm": Size(144, 24),
    "rescale": Size(28, 0),
    "prelu": Size(40, 0),
    "sigmoid": Size(54, 24),
    "tanh": Size(30, 16),
    "relu": Size(42, 0),
    "leaky_relu": Size(42, 0),
    "elu": Size(40, 16),
    "selu": Size(76, 24),
    "gelu": Size(64, 32),
    "silu": Size(54, 24),
    "mish": Size(84, 32),
    "softplus": Size(82, 24),
    "exponential": Size(30, 16),
    "softmax": Size(124, 40),
    "start": Size(12, 0),
    "clear": Size(8, 0),
    "number": Size(156, 24),
    "number_int8": Size(164, 24),
    "ramps": Size(192, 20),
    "ramps_int8": Size(204, 20),
    "missing": Size(38, 0),
    "missing_int8": Size(48, 0),
    "category": Size(136, 24),
    "category_int8": Size(144, 24),
    "circles": Size(266, 64),
    "circles_int8": Size(284, 72),
    "add": Size(28, 0),
    "divide": Size(24, 0),
}

#: Of double, which such a processor has in software.
DOUBLE = {
    "dense": Size(376, 144),
    "scale": Size(56, 32),
    "layer_norm": Size(252, 72),
    "rescale": Size(54, 32),
    "prelu": Size(72, 40),
    "sigmoid": Size(80, 32),
    "tanh": Size(30, 16),
    "relu": Size(56, 32),
    "leaky_relu": Size(76, 32),
    "elu": Size(80, 32),
    "selu": Size(100, 32),
    "gelu": Size(96, 32),
    "silu": Size(84, 40),
    "mish": Size(136, 48),
    "softplus": Size(110, 64),
    "exponential": Size(30, 16),
    "softmax": Size(156, 48),
}


def code(functions: Sequence[str], real: str) -> int:
    """Bytes of code of a model that calls these functions one after the other.

    Parameters
    ----------
    functions : sequence of str
        Of its steps.
    real : {"float", "double"}

    Returns
    -------
    int
    """
    sizes = FLOAT if real == "float" else DOUBLE
    calls = sum(13 + 5 * len(FUNCTIONS[name].arrays) for name in functions)
    return sum(sizes[name].code for name in set(functions)) + calls + 14


def frames(functions: Sequence[str], real: str, buffers: int) -> int:
    """Bytes of stack that such a model takes at most: its own frame, and that of a function.

    Parameters
    ----------
    functions, real
        As for `code`.
    buffers : int
        Bytes of the rows that it keeps.

    Returns
    -------
    int
    """
    sizes = FLOAT if real == "float" else DOUBLE
    n_resizing = sum(FUNCTIONS[name].resizes for name in functions)
    has_norm = not {"scale", "layer_norm"}.isdisjoint(functions)
    if not {"start", "clear"}.isdisjoint(functions):  # a table, whose calls take more arguments
        has_ramps = not {"ramps", "ramps_int8"}.isdisjoint(functions)
        own = 40 + 16 * (has_ramps and "add" in functions)
    else:
        own = 16 + 8 * (len(functions) > 1) + 8 * ("dense_int8" in functions) + 8 * (buffers > 0)
        own += 8 * (n_resizing == 3 and not has_norm)  # one more register is saved
    own = -(-(own + buffers) // 8) * 8  # frames are multiples of 8
    return own + max(sizes[name].frame for name in functions)

"""Blocks of parameters: one flat, aligned array for all layers, and the views that cut it up."""

from collections.abc import Sequence
from math import prod
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fastnn._core import kernels

Array = npt.NDArray[Any]

#: The shapes of a layer's weights and bias; (0,) where it has none.
Shapes: TypeAlias = tuple[tuple[int, ...], tuple[int, ...]]


def count_parameters(shapes: Sequence[Shapes]) -> int:
    """Weights and biases of layers of these shapes; in Python's integers, which never wrap."""
    return sum(prod(shape) for pair in shapes for shape in pair)


def aligned(n: int, dtype: np.dtype[Any]) -> Array:
    """An array of shape (n,) that starts at a multiple of 64 bytes; its content is arbitrary."""
    try:
        memory = np.empty(n * dtype.itemsize + 64, np.uint8)
    except ValueError:  # beyond what an array can be
        raise MemoryError(f"no memory for {n} parameters of {dtype}") from None
    start = -memory.ctypes.data % 64
    return memory[start : start + n * dtype.itemsize].view(dtype)


def aligned_copy(block: Array, dtype: np.dtype[Any]) -> Array:
    """A copy of a block in memory of its own."""
    copy = aligned(block.size, dtype)
    copy[:] = block
    return copy


def aligned_rows(n_rows: int, n: int, dtype: np.dtype[Any]) -> Array:
    """An array of shape (n_rows, n), each row of which starts at a multiple of 64 bytes."""
    row = -(-n * dtype.itemsize // 64) * 64 // dtype.itemsize
    return aligned(n_rows * row, dtype).reshape(n_rows, row)[:, :n]


def split(block: Array, shapes: Sequence[Shapes]) -> list[tuple[Array, Array]]:
    """Views of weights and bias of each layer of a block of parameters."""
    views = []
    start = 0
    for pair in shapes:
        parts = []
        for shape in pair:
            end = start + prod(shape)
            parts.append(block[start:end].reshape(shape))
            start = end
        views.append((parts[0], parts[1]))
    return views


def check_finite(block: Array, shapes: Sequence[Shapes], dtype: np.dtype[Any]) -> None:
    """Refuses parameters that are not finite in `dtype`, and names the first.

    Raises
    ------
    ValueError
    """
    if kernels.all_finite(block, dtype):
        return
    with np.errstate(all="ignore"):
        index = int(np.isfinite(block.astype(dtype)).argmin())
    value = "NaN" if np.isnan(block[index]) else str(block[index])
    raise ValueError(
        f"parameters must be finite (in the range of {dtype}), "
        f"{parameter_name(index, shapes)} is {value}"
    )


def parameter_name(index: int, shapes: Sequence[Shapes]) -> str:
    """Which weight or bias stands at `index` of a block, such as ``"weights[1][3, 0]"``."""
    for layer, pair in enumerate(shapes):
        for name, shape in zip(("weights", "biases"), pair, strict=True):
            if index < prod(shape):
                place = ", ".join(map(str, np.unravel_index(index, shape)))
                return f"{name}[{layer}][{place}]"
            index -= prod(shape)
    raise IndexError(f"no parameter {index}")

"""Blocks of parameters: one flat, aligned array for all layers, and the views that cut it up."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn._core import kernels

Array = npt.NDArray[Any]


def count_parameters(sizes: Sequence[int]) -> int:
    """Weights and biases between layers of these sizes; in Python's integers, which never wrap."""
    return sum((n_in + 1) * n_out for n_in, n_out in itertools.pairwise(sizes))


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


def split(block: Array, sizes: Sequence[int]) -> list[tuple[Array, Array]]:
    """Views of weights and bias of each layer of a block of parameters."""
    views = []
    offset = 0
    for n_in, n_out in itertools.pairwise(sizes):
        end = offset + n_in * n_out
        views.append((block[offset:end].reshape(n_in, n_out), block[end : end + n_out]))
        offset = end + n_out
    return views


def check_finite(block: Array, sizes: Sequence[int], dtype: np.dtype[Any]) -> None:
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
        f"{parameter_name(index, sizes)} is {value}"
    )


def parameter_name(index: int, sizes: Sequence[int]) -> str:
    """Which weight or bias stands at `index` of a block, such as ``"weights[1][3, 0]"``."""
    for layer, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        if index < n_in * n_out:
            row, column = divmod(index, n_out)
            return f"weights[{layer}][{row}, {column}]"
        index -= n_in * n_out
        if index < n_out:
            return f"biases[{layer}][{index}]"
        index -= n_out
    raise IndexError(f"no parameter {index}")

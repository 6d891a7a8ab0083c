"""Arrays in mapped files (`numpy.memmap`): read in parts, whose pages are given back afterwards.

Otherwise all that was read of a file would count as this process's memory. Every function takes any
array, and leaves those alone that are not in a mapped file.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

#: Bytes of a mapped file that are held at a time.
BUDGET = 1 << 25


def is_mapped(array: Any) -> bool:
    """Whether it is an array in a mapped file, or a view of one."""
    return _root(array) is not None


def _root(array: Any) -> np.memmap[Any, Any] | None:
    """The array that has the mapping itself."""
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap):
            return array
        array = array.base
    return None


def slices(array: Any, budget: int = BUDGET) -> Iterator[tuple[int, int]]:
    """First and last row, exclusive, of parts to read one after the other.

    Parameters
    ----------
    array : ndarray of shape (n_rows, ...), or other rows
        One part, if it is not mapped.
    budget : int
        Bytes of a part, or a row where that is larger.
    """
    n_rows = max(len(array), 1)
    step = n_rows
    if is_mapped(array):
        step = max(1, budget // max(array.nbytes // n_rows, 1))
    for first in range(0, n_rows, step):
        yield first, min(first + step, len(array))


def will_need(part: Array) -> None:
    """Has the operating system begin to read a part of a mapped file."""
    _advise(part, "MADV_WILLNEED")


def give_back(part: Any) -> None:
    """Gives the pages of a part of a mapped file back; the file keeps what was written to them."""
    root = _root(part)
    if root is not None and root.mode != "c":  # a private copy's pages are nowhere else
        _advise(part, "MADV_DONTNEED")


def _advise(part: Array, advice: str) -> None:
    root = _root(part)
    option = getattr(mmap, advice, None)  # not everywhere
    if root is None or option is None or part.size == 0:
        return
    mapping = root.base
    assert isinstance(mapping, mmap.mmap)
    start = np.frombuffer(mapping, np.uint8).ctypes.data
    extents = [(n - 1) * stride for n, stride in zip(part.shape, part.strides, strict=True)]
    first = part.ctypes.data - start + sum(min(extent, 0) for extent in extents)
    end = part.ctypes.data - start + sum(max(extent, 0) for extent in extents) + part.itemsize
    first -= first % mmap.PAGESIZE
    mapping.madvise(option, first, end - first)

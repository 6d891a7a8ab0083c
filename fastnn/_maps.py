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

# Linux begins to read no more than this at a time, on a disk with its usual settings.
_READ_AHEAD = 1 << 17
# With a page that is read, Linux may map others, between the multiples of this address.
_BESIDE = 1 << 21


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


def slices(array: Any, budget: int = BUDGET, *, multiple: int = 1) -> Iterator[tuple[int, int]]:
    """First and last row, exclusive, of parts to read one after the other.

    Parameters
    ----------
    array : ndarray of shape (n_rows, ...), or other rows
        One part, if it is not mapped.
    budget : int
        Bytes of a part, or `multiple` rows where these are larger.
    multiple : int
        What the rows of a part, but for the last one, are a multiple of.
    """
    n_rows = max(len(array), 1)
    step = n_rows
    if is_mapped(array):
        step = budget // max(array.nbytes // n_rows, 1)
        step = max(1, step // multiple) * multiple
    for first in range(0, n_rows, step):
        yield first, min(first + step, len(array))


def will_need(part: Array) -> None:
    """Has the operating system begin to read a part of a mapped file."""
    option = getattr(mmap, "MADV_WILLNEED", None)  # not everywhere
    root = _root(part)
    if root is not None and option is not None and part.size > 0:
        mapping, first, end = _place(root, part)
        for start in range(first, end, _READ_AHEAD):
            mapping.madvise(option, start, min(_READ_AHEAD, end - start))


def read_in(part: Array) -> None:
    """Has the pages of a part of a mapped file in memory: reads a byte of each, without the GIL."""
    root = _root(part)
    if root is not None and part.size > 0:
        mapping, first, end = _place(root, part)
        np.frombuffer(mapping, np.uint8)[first : end : mmap.PAGESIZE].max()


def give_back(part: Any) -> None:
    """Gives the pages of a part of a mapped file back; the file keeps what was written to them."""
    option = getattr(mmap, "MADV_DONTNEED", None)  # not everywhere
    root = _root(part)
    if root is None or option is None or part.size == 0:
        return
    if root.mode != "c":  # a private copy's pages are nowhere else
        mapping, first, end = _place(root, part)
        start = _start(mapping)
        first = max(first - (start + first) % _BESIDE, 0)
        end = min(end + -(start + end) % _BESIDE, len(mapping))
        mapping.madvise(option, first, end - first)


def _place(root: np.memmap[Any, Any], part: Array) -> tuple[mmap.mmap, int, int]:
    """Where a part is in the mapping: from the beginning of a page to its last byte, exclusive."""
    mapping = root.base
    assert isinstance(mapping, mmap.mmap)
    start = _start(mapping)
    extents = [(n - 1) * stride for n, stride in zip(part.shape, part.strides, strict=True)]
    first = part.ctypes.data - start + sum(min(extent, 0) for extent in extents)
    end = part.ctypes.data - start + sum(max(extent, 0) for extent in extents) + part.itemsize
    return mapping, first - first % mmap.PAGESIZE, end


def _start(mapping: mmap.mmap) -> int:
    """Its address."""
    return np.frombuffer(mapping, np.uint8).ctypes.data

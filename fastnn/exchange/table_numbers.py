"""The encoding of a table's columns in numbers of float32, for files whose rows are of float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn.tabular.encoding import Categories, Dates, Numbers

Array = npt.NDArray[Any]

# Differences of numbers within it do not overflow.
_LARGEST = float(np.finfo(np.float32).max) / 4
_SMALLEST = float(np.finfo(np.float32).tiny)


def halves(numbers: npt.ArrayLike) -> tuple[Array, Array]:
    """float64 as float32, and what that leaves, as float32.

    ``(x - first) - second`` of an x of float32 is rounded as little as a single subtraction.
    """
    exact = np.asarray(numbers, np.float64)
    first = exact.astype(np.float32)
    return first, (exact - first).astype(np.float32)


def numbers_of(encoder: Numbers | Categories | Dates) -> Numbers | None:
    """How a column of numbers or dates enters as a number; None of categories."""
    if isinstance(encoder, Dates):
        return encoder.days
    return encoder if isinstance(encoder, Numbers) else None


def check_number(what: str, center: float, scale: float) -> None:
    """Refuses what float32 cannot hold; ValueError names it."""
    if not _SMALLEST <= scale <= _LARGEST or abs(center) > _LARGEST:
        raise ValueError(
            f"the {what} must have numbers that float32 can hold, got {center:.3g} with a scale of "
            f"{scale:.3g}: multiply it by a power of ten before fit"
        )


def edges_and_gaps(numbers: Numbers) -> tuple[Array, Array]:
    """The edges of ramps within the range of float32, and the widths of the ramps between them.

    Returns
    -------
    edges : ndarray of float64, of shape (n_ramps + 1,)
    gaps : ndarray of float32, of shape (n_ramps,)
        Above 0.
    """
    edges = np.clip(numbers.edges, -_LARGEST, _LARGEST)
    return edges, np.maximum(np.diff(edges), _SMALLEST).astype(np.float32)


def middle_of(dates: Dates) -> Array:
    """The inputs on circles that stand for a missing date."""
    inputs = np.empty((1, dates.width), np.float32)
    dates.encode(np.array([np.nan]), inputs)
    row: Array = inputs[0, dates.days.width :]
    return row

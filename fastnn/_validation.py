"""The gate: everything a user passes in is checked here, once, before anything changes.

Errors are `ValueError` or `TypeError` and name the argument, what was expected and what came.
"""

import numbers
import operator
import os
from collections.abc import Mapping
from math import isfinite
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from fastnn._core import kernels

Array = npt.NDArray[Any]
T = TypeVar("T")

#: Largest number of units or features: BLAS counts in 32-bit integers.
MAX_SIZE = 2**31 - 1

# Elements checked between two chances for Ctrl-C: 64 MiB of float32.
_BLOCK = 1 << 24

# How far the sum of a row of probabilities may be from 1: rounding of float32 over many classes.
_PROBABILITY_TOLERANCE = 1e-3


# ---- single values -----------------------------------------------------------------------------


def positive_int(value: Any, name: str, at_most: int | None = None) -> int:
    """`value` as an int, if it is a whole number of at least 1."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be a positive integer, got {_shown(value)}")
    number = operator.index(value)
    if number < 1 or (at_most is not None and number > at_most):
        limit = "" if at_most is None else f" of at most {at_most}"
        raise ValueError(f"{name} must be a positive integer{limit}, got {number}")
    return number


def _number(value: Any, name: str, expected: str) -> float:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be {expected}, got {_shown(value)}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} must be {expected}, got {_shown(value)}") from None


def positive_number(value: Any, name: str) -> float:
    """`value` as a float, if it is finite and above 0."""
    number = _number(value, name, "a positive number")
    if not (isfinite(number) and number > 0):
        raise ValueError(f"{name} must be a positive number, got {number}")
    return number


def non_negative_number(value: Any, name: str) -> float:
    """`value` as a float, if it is finite and not below 0."""
    number = _number(value, name, "a number of at least 0")
    if not (isfinite(number) and number >= 0):
        raise ValueError(f"{name} must be a number of at least 0, got {number}")
    return number


def number_in_unit_interval(value: Any, name: str) -> float:
    """`value` as a float, if it is in [0, 1)."""
    number = _number(value, name, "a number in [0, 1)")
    if not 0 <= number < 1:
        raise ValueError(f"{name} must be a number in [0, 1), got {number}")
    return number


def boolean(value: Any, name: str) -> bool:
    """`value` as a bool, if it is one."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {_shown(value)}")
    return bool(value)


def known_name(value: Any, table: Mapping[str, T], name: str) -> T:
    """The row of `table` that `value` names."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be one of {', '.join(table)}, got {_shown(value)}")
    if value not in table:
        raise ValueError(f"{name} must be one of {', '.join(table)}, got {value!r}")
    return table[value]


def float_dtype(value: Any) -> np.dtype[Any]:
    """`value` as a dtype, if it is float32 or float64."""
    try:
        dtype: np.dtype[Any] = np.dtype(value)
    except TypeError:
        raise TypeError(f"dtype must be float32 or float64, got {_shown(value)}") from None
    if value is None or dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ValueError(f"dtype must be float32 or float64, got {_shown(value)}")
    return np.dtype(dtype.name)


def seed(value: Any, below: int | None = None) -> int | None:
    """`value`, if it can seed a random generator (which may only take numbers up to a limit)."""
    if value is None:
        return None
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Integral):
        raise TypeError(f"seed must be a non-negative integer or None, got {_shown(value)}")
    number = operator.index(value)
    if number < 0 or (below is not None and number >= below):
        limit = "" if below is None else f" below {below}"
        raise ValueError(f"seed must be a non-negative integer{limit} or None, got {number}")
    return number


def checked_path(path: str | os.PathLike[str]) -> str:
    """`path` as a string; open files and their numbers are refused."""
    name = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(name, str):
        raise TypeError(f"path must be a str or an os.PathLike of one, got {type(path).__name__}")
    return name


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{text if len(text) <= 80 else text[:77] + '...'} ({type(value).__name__})"


# ---- arrays --------------------------------------------------------------------------------------


def _numbers(value: Any, name: str) -> Array:
    """`value` as an array of bool, int or float, without a copy where it is one."""
    if isinstance(value, np.ma.MaskedArray):
        if np.ma.is_masked(value):
            raise ValueError(f"{name} must have no masked values, got some that are masked")
        value = value.data
    if hasattr(value, "toarray") and not isinstance(value, np.ndarray):
        raise TypeError(f"{name} must be a dense array, got a sparse {type(value).__name__}")
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(
            f"{name} must be a rectangular array of numbers, got {type(value).__name__}: {error}"
        ) from error
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be an array of numbers, got dtype {array.dtype}")
    return array


def _laid_out(array: Array, dtype: np.dtype[Any]) -> Array:
    """`array` as the core reads it: itself where it can be, else a copy."""
    if array.dtype == dtype and array.flags.c_contiguous and array.flags.aligned:
        return array
    with np.errstate(over="ignore"):  # what does not fit becomes infinity, which is refused later
        return np.require(array, dtype, ["C_CONTIGUOUS", "ALIGNED"])


def samples(
    X: Any, n_features: int | None, dtype: np.dtype[Any], name: str = "X", at_least: int = 0
) -> Array:
    """`X` as the core reads it.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
    n_features : int or None
        What the network was built for, if it is.
    dtype : numpy.dtype
        Of the network. Arrays of the other float dtype stay what they are: the core converts a
        mini-batch at a time.
    name : str
        Of the argument, for errors.
    at_least : int
        Samples needed.

    Returns
    -------
    ndarray of float32 or float64, C-contiguous, aligned, native-endian

    Raises
    ------
    TypeError, ValueError
    """
    array = _numbers(X, name)
    if array.ndim != 2:
        hint = f"; for one sample, pass {name}.reshape(1, -1)" if array.ndim == 1 else ""
        raise ValueError(
            f"{name} must be of shape (n_samples, n_features), got shape {array.shape}{hint}"
        )
    if n_features is not None and array.shape[1] != n_features:
        raise ValueError(
            f"{name} has {array.shape[1]} features, the network was built for {n_features}"
        )
    if array.shape[1] == 0:
        raise ValueError(f"{name} must have at least 1 feature, got shape {array.shape}")
    if array.shape[1] > MAX_SIZE:
        raise ValueError(f"{name} must have at most {MAX_SIZE} features, got {array.shape[1]}")
    if array.shape[0] < at_least:
        raise ValueError(
            f"{name} must have at least {at_least} sample{'s' * (at_least > 1)}, "
            f"got shape {array.shape}"
        )
    if array.dtype.kind == "f" and array.dtype.itemsize in (4, 8):
        dtype = array.dtype.newbyteorder("=")
    return _laid_out(array, dtype)


def finite(array: Array, dtype: np.dtype[Any], name: str) -> None:
    """Refuses NaN, infinity, and numbers beyond the range of `dtype`; allocates nothing."""
    flat = array.reshape(-1)
    for start in range(0, flat.size, _BLOCK):
        if not kernels.all_finite(flat[start : start + _BLOCK], dtype):
            raise ValueError(
                f"{name} must be finite (in the range of {dtype}), got NaN, infinity or too large "
                f"a number"
            )


def targets(
    y: Any, n_samples: int, n_outputs: int, loss: str, dtype: np.dtype[Any], name: str = "y"
) -> Array:
    """`y` as the core reads it.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        For ``categorical_cross_entropy`` the class of each sample, or a row of probabilities; for
        ``binary_cross_entropy`` numbers in [0, 1]; else any finite numbers.
    n_samples, n_outputs : int
    loss : str
    dtype : numpy.dtype
        Of the network.
    name : str
        Of the argument, for errors.

    Returns
    -------
    ndarray of shape (n_samples,), int32, or of shape (n_samples, n_outputs), `dtype`

    Raises
    ------
    TypeError, ValueError
    """
    array = _numbers(y, name)
    has_labels = loss == "categorical_cross_entropy" and array.shape != (n_samples, n_outputs)
    expected = [(n_samples,), (n_samples, 1)] if has_labels or n_outputs == 1 else []
    if not has_labels:
        expected.append((n_samples, n_outputs))
    if array.shape not in expected:
        if loss == "categorical_cross_entropy":
            expected.append((n_samples, n_outputs))
        shapes = " or ".join(str(shape) for shape in dict.fromkeys(expected))
        raise ValueError(f"{name} must be of shape {shapes}, got shape {array.shape}")
    if has_labels:
        return _labels(array.reshape(n_samples), n_outputs, name)
    converted = _laid_out(array.reshape(n_samples, n_outputs), dtype)
    finite(converted, dtype, name)
    if loss in ("binary_cross_entropy", "categorical_cross_entropy") and n_samples > 0:
        low, high = converted.min(), converted.max()
        if low < 0 or high > 1:
            raise ValueError(
                f"{name} must be in [0, 1] for {loss}, got numbers from {low} to {high}"
            )
    if loss == "categorical_cross_entropy" and n_samples > 0:
        sums = converted.sum(axis=1, dtype=np.float64)
        worst = sums[np.abs(sums - 1).argmax()]
        if abs(worst - 1) > _PROBABILITY_TOLERANCE:
            raise ValueError(f"each row of {name} must sum to 1, got a sum of {worst}")
    return converted


def _labels(array: Array, n_classes: int, name: str) -> Array:
    """Class labels, checked, as a copy in int32.

    Labels are used as an index by compiled code without the GIL. So each number is read once, and
    what is checked is what is kept: another thread, or another process that writes to a memory map,
    may change `array` meanwhile.
    """
    labels = np.empty(array.shape, np.int32)
    for start in range(0, array.size, _BLOCK):
        block = array[start : start + _BLOCK].copy()
        if block.dtype.kind == "f" and not np.array_equal(block, np.floor(block)):
            raise ValueError(
                f"{name} must be whole numbers, the class of each sample, got numbers that are not"
            )
        low, high = block.min(), block.max()
        if low < 0 or high >= n_classes:
            raise ValueError(
                f"{name} must be classes in [0, {n_classes}), got labels from {low} to {high}"
            )
        labels[start : start + _BLOCK] = block
    return labels


def pair(value: Any, name: str) -> tuple[Any, Any]:
    """`value` as (X, y)."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(f"{name} must be a pair (X, y), got {type(value).__name__}")
    return value[0], value[1]

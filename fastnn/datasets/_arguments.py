"""Checks of what the functions of this folder are given."""

import math
from numbers import Integral, Real


def positive_integer(name: str, value: object) -> int:
    """`value` as an int of at least 1, or an error that says what came."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{name} must be a positive integer, got {value!r}")
    if int(value) < 1:
        raise ValueError(f"{name} must be a positive integer, got {value}")
    return int(value)


def non_negative_number(name: str, value: object) -> float:
    """`value` as a finite float of at least 0, or an error that says what came."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number that is not negative, got {value!r}")
    if not 0 <= float(value) < math.inf:
        raise ValueError(f"{name} must be a finite number that is not negative, got {value}")
    return float(value)


def random_seed(seed: object) -> int | None:
    """`seed` as an int in [0, 2**32), or None for a different result every time."""
    if seed is None:
        return None
    if not isinstance(seed, Integral) or isinstance(seed, bool):
        raise TypeError(f"seed must be an integer or None, got {seed!r}")
    if not 0 <= int(seed) < 2**32:
        raise ValueError(f"seed must be in [0, 2**32), got {seed}")
    return int(seed)

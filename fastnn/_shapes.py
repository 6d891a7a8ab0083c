"""The shape that samples must have, and what makes it so."""

from math import prod
from typing import Any

#: Largest number of units or features: BLAS counts in 32-bit integers.
MAX_SIZE = 2**31 - 1


def with_method(method: str, value: Any, name: str) -> str:
    """What in a user's code has that method of an array."""
    return name if hasattr(value, method) else f"np.asarray({name})"


def check_shape(
    X: Any, shape: tuple[int, ...], n_features: int | None, name: str, at_least: int
) -> None:
    """Of samples `X`; see `samples`."""
    if len(shape) != 2:
        remedy = _remedy_for_samples(shape, n_features, X, name)
        raise ValueError(
            f"{name} must be of shape (n_samples, n_features), got shape {shape}{remedy}"
        )
    if n_features is not None and shape[1] != n_features:
        is_transposed = shape[0] == n_features
        remedy = f"; rows are samples: pass {with_method('T', X, name)}.T" if is_transposed else ""
        raise ValueError(
            f"{name} has {shape[1]} features, the network was built for {n_features}{remedy}"
        )
    if shape[1] == 0:
        raise ValueError(f"{name} must have at least 1 feature, got shape {shape}")
    if shape[1] > MAX_SIZE:
        raise ValueError(f"{name} must have at most {MAX_SIZE} features, got {shape[1]}")
    if shape[0] < at_least:
        raise ValueError(
            f"{name} must have at least {at_least} sample{'s' * (at_least > 1)}, got shape {shape}"
        )


def _remedy_for_samples(
    shape: tuple[int, ...], n_features: int | None, value: Any, name: str
) -> str:
    """What makes two dimensions of `shape`, if that is clear."""
    size, X = prod(shape), with_method("reshape", value, name)
    if len(shape) == 0 or size == 0:
        return ""
    if size == n_features:
        return f"; pass {X}.reshape(1, -1)"
    if len(shape) > 2:
        fits = n_features in (None, size // shape[0])
        return f"; pass {X}.reshape(len({name}), -1)" if fits else ""
    if n_features == 1:
        return f"; pass {X}.reshape(-1, 1)"
    if n_features is None:
        return f"; pass {X}.reshape(-1, 1) for one feature, {X}.reshape(1, -1) for one sample"
    return ""

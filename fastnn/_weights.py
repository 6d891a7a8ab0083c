"""The gate for the weights of samples, and for the smoothing of labels."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import _validation
from fastnn._architecture import Architecture

Array = npt.NDArray[Any]

_FLOAT64 = np.dtype(np.float64)


def sample_weights(
    architecture: Architecture,
    targets: Array,
    sample_weight: Any,
    class_weight: Any,
    name: str = "sample_weight",
    may_be_zero: bool = False,
) -> Array | None:
    """What `sample_weight` and `class_weight` make together, as the core reads it.

    Parameters
    ----------
    architecture : Architecture
    targets : ndarray
        What `_validation.targets` returned.
    sample_weight : array-like of shape (n_samples,), optional
        Finite numbers of at least 0.
    class_weight : mapping of int to float, or "balanced", optional
    name : str
        Of `sample_weight`, for errors.
    may_be_zero : bool
        Whether all weights may be 0: where these are a part of the samples.

    Returns
    -------
    ndarray of shape (n_samples,), of the network's dtype, or None
        A copy. The largest is 1, unless all are 0: a mean does not depend on the scale of its
        weights. None where neither is given.

    Raises
    ------
    TypeError, ValueError
    """
    if sample_weight is None and class_weight is None:
        return None
    weights = np.ones(len(targets))
    if sample_weight is not None:
        weights = one_a_sample(sample_weight, len(targets), name, may_be_zero)
    if class_weight is not None:
        labels, n_classes = classes(architecture, targets)
        shares = of_classes(class_weight, labels, n_classes)
        weights *= (shares / (shares.max() or 1))[labels]
        if not may_be_zero and not weights.any():
            raise ValueError("class_weight must leave a sample of y a weight above 0, got none")
    weights /= weights.max() or 1
    return weights.astype(architecture.dtype)


def given_of_rows(sample_weight: Any, n_samples: int, rows: npt.NDArray[np.int64]) -> Array:
    """What a user gives for `n_samples` samples, checked, of some of them alone.

    Raises
    ------
    TypeError, ValueError
    """
    one_a_sample(sample_weight, n_samples)
    given: Array = _validation.numbers(sample_weight, "sample_weight")[rows]
    return given


def of_rows(weights: Array | None, rows: npt.NDArray[np.int64]) -> Array | None:
    """Those of some samples, one of which must count; the largest is 1 again."""
    if weights is None:
        return None
    chosen: Array = weights[rows]
    if not chosen.any():
        raise ValueError(
            "sample_weight must leave a weight above 0 to the samples that are not drawn by "
            "validation_split, got none"
        )
    chosen /= chosen.max()
    return chosen


def label_smoothing(architecture: Architecture, smoothing: float) -> tuple[float, float] | None:
    """The share that smoothed targets keep, and what is added to each of them; None for none.

    Parameters
    ----------
    architecture : Architecture
    smoothing : float
        In [0, 1).

    Raises
    ------
    ValueError
        If the targets are not those of a classifier.
    """
    if smoothing == 0:
        return None
    kind = architecture.target_kind
    if kind not in ("classes", "probabilities"):
        raise ValueError(
            f"label_smoothing must be 0 for the loss {architecture.loss.name}, which has no labels "
            f"to smooth, got {smoothing}"
        )
    n_choices = architecture.output.n_units if kind == "classes" else 2
    return 1 - smoothing, smoothing / n_choices


def of_chunk(
    architecture: Architecture, targets: Array, sample_weight: Any, class_weight: Any
) -> Array | None:
    """The same of a chunk of samples: as they are, for those of another chunk may be larger.

    All of them may be 0. `class_weight` is no text.
    """
    if sample_weight is None and class_weight is None:
        return None
    weights = np.ones(len(targets))
    if sample_weight is not None:
        weights = _checked(sample_weight, len(targets), "sample_weight", architecture.dtype)
    if class_weight is not None:
        labels, n_classes = classes(architecture, targets)
        weights *= of_classes(class_weight, labels, n_classes)[labels]
    return weights.astype(architecture.dtype)


def one_a_sample(
    value: Any, n_samples: int, name: str = "sample_weight", may_be_zero: bool = False
) -> Array:
    """Weights of samples, checked, in float64; the largest is 1, unless all are 0 and may be.

    Raises
    ------
    TypeError, ValueError
        If they are not finite numbers of at least 0, one for each sample and one of them above 0.
    """
    weights = _checked(value, n_samples, name, _FLOAT64)
    if not may_be_zero and not weights.any():
        raise ValueError(f"{name} must be above 0 for some sample, got 0 for all")
    weights /= weights.max() or 1
    return weights


def _checked(value: Any, n_samples: int, name: str, dtype: np.dtype[Any]) -> Array:
    """Weights of samples in float64, which `dtype` can hold."""
    given = _validation.numbers(value, name)
    if given.shape != (n_samples,):
        raise ValueError(
            f"{name} must be of shape ({n_samples},), one for each sample, got shape {given.shape}"
        )
    weights = given.astype(_FLOAT64)
    _validation.finite(weights, dtype, name)
    if weights.min() < 0:
        i = int(weights.argmin())
        raise ValueError(f"{name}[{i}] is {weights[i]:g}; {name} must be at least 0 everywhere")
    return weights


def classes(architecture: Architecture, targets: Array) -> tuple[Array, int]:
    """The class of each sample, and how many classes there are."""
    kind, n_outputs = architecture.target_kind, architecture.output.n_units
    if kind == "classes":
        if targets.ndim == 1:
            return targets, n_outputs
        if np.count_nonzero(targets) == len(targets):  # rows sum to 1
            return targets.argmax(axis=1), n_outputs
        needed = "one class for each sample, got rows of probabilities in y"
    elif kind == "probabilities" and n_outputs == 1:
        if np.isin(targets, (0, 1)).all():
            return targets.reshape(-1).astype(np.int64), 2
        needed = "one class for each sample, got probabilities in y"
    elif kind == "probabilities":
        needed = f"one class for each sample, got {n_outputs} labels for each"
    else:
        needed = f"classes, got the loss {architecture.loss.name}"
    raise ValueError(f"class_weight needs {needed}; pass sample_weight")


def of_classes(class_weight: Any, labels: Array, n_classes: int) -> Array:
    """The weight of each class."""
    if isinstance(class_weight, str) and class_weight == "balanced":
        return len(labels) / np.maximum(np.bincount(labels, minlength=n_classes), 1)
    if not isinstance(class_weight, Mapping):
        kind = ValueError if isinstance(class_weight, str) else TypeError
        raise kind(
            f"class_weight must be a dict from classes to weights, or 'balanced', got "
            f"{_validation.shown(class_weight)}"
        )
    weights = np.ones(n_classes)
    for label, weight in class_weight.items():
        if not isinstance(label, Integral) or not 0 <= int(label) < n_classes:
            raise ValueError(
                f"class_weight must have classes in [0, {n_classes}), got "
                f"{_validation.shown(label)}"
            )
        weights[int(label)] = _validation.non_negative_number(weight, f"class_weight[{label}]")
    return weights

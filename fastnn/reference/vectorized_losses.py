"""Losses of `fastnn.reference.vectorized`: means over samples (and outputs) and their derivatives.

Those of `FROM_LOGITS` take the logits ``Z``, so that no probability is ever logged, and their
derivative is ``dZ``, which needs ``A`` only. The others take ``A``, and their derivative is ``dA``.
Parameters of a loss come behind its targets ``Y``. ``Z``, ``A`` and ``Y`` are arrays of shape
(n_samples, n_outputs), and so is a derivative; a loss is a float.

Examples
--------
>>> import numpy as np
>>> from fastnn.reference import vectorized
>>> loss, derivative = vectorized.LOSSES["huber"]
>>> A, Y = np.array([[3.0], [0.5]]), np.zeros((2, 1))
>>> loss(A, Y, 1.0), derivative(A, Y, 1.0).tolist()  # with delta = 1
(1.3125, [[0.5], [0.25]])
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.floating[Any]]


def binary_cross_entropy(Z: Array, Y: Array) -> float:
    """Mean of ``-y log(a) - (1 - y) log(1 - a) = softplus(z) - y z``, where ``a = sigmoid(z)``."""
    return float(np.mean(np.maximum(Z, 0.0) - Y * Z + np.log1p(np.exp(-np.abs(Z)))))


def binary_cross_entropy_derivative(A: Array, Y: Array) -> Array:
    """``dZ = (a - y) / size``."""
    return (A - Y) / A.size


def categorical_cross_entropy(Z: Array, Y: Array) -> float:
    """Mean over rows of ``-sum_j y_j log(a_j) = log(sum_j exp(z_j)) - sum_j y_j z_j``."""
    Z = Z - Z.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(Z).sum(axis=1)) - (Y * Z).sum(axis=1)))


def categorical_cross_entropy_derivative(A: Array, Y: Array) -> Array:
    """``dZ = (a - y) / n_samples``, for rows of `Y` which sum to 1."""
    return (A - Y) / len(A)


def mean_squared_error(A: Array, Y: Array) -> float:
    """Mean of ``r^2``, where ``r = a - y``."""
    return float(np.mean(np.square(A - Y)))


def mean_squared_error_derivative(A: Array, Y: Array) -> Array:
    """``dA = 2 r / size``."""
    return (2.0 / A.size) * (A - Y)


def mean_absolute_error(A: Array, Y: Array) -> float:
    """Mean of ``|r|``, where ``r = a - y``."""
    return float(np.mean(np.abs(A - Y)))


def mean_absolute_error_derivative(A: Array, Y: Array) -> Array:
    """``dA = sign(r) / size``."""
    return np.sign(A - Y) / A.size


def huber(A: Array, Y: Array, delta: float = 1.0) -> float:
    """Mean of ``r^2 / 2 if |r| <= delta else delta (|r| - delta / 2)``, where ``r = a - y``."""
    size = np.abs(A - Y)
    terms = np.where(size <= delta, 0.5 * size * size, delta * (size - 0.5 * delta))
    return float(np.mean(terms))


def huber_derivative(A: Array, Y: Array, delta: float = 1.0) -> Array:
    """``dA = r / size``, with ``r`` clipped to ``[-delta, delta]``."""
    return np.clip(A - Y, -delta, delta) / A.size


def log_cosh(A: Array, Y: Array) -> float:
    """Mean of ``log(cosh(r)) = |r| + log(1 + exp(-2 |r|)) - log(2)``, where ``r = a - y``."""
    R = np.abs(A - Y)
    return float(np.mean(R + np.log1p(np.exp(-2.0 * R)) - np.log(2.0)))


def log_cosh_derivative(A: Array, Y: Array) -> Array:
    """``dA = tanh(r) / size``."""
    return np.tanh(A - Y) / A.size


def quantile(A: Array, Y: Array, *levels: float) -> float:
    """Mean of ``(1 - level) r if r > 0 else -level r``; `Y` of shape (n_samples, 1)."""
    R = A - Y
    return float(np.mean(np.where(R > 0.0, (1.0 - np.array(levels)) * R, -np.array(levels) * R)))


def quantile_derivative(A: Array, Y: Array, *levels: float) -> Array:
    """``dA = ((1 - level) if r > 0 else -level) / size``, and 0 at 0."""
    R = A - Y
    slopes = np.where(R > 0.0, 1.0 - np.array(levels), -np.array(levels))
    return np.where(R == 0.0, 0.0, slopes).astype(A.dtype) / A.size


def poisson(Z: Array, Y: Array) -> float:
    """Mean of ``a - y log(a) = exp(z) - y z``, where ``a = exp(z)``."""
    return float(np.mean(np.exp(Z) - Y * Z))


def poisson_derivative(A: Array, Y: Array) -> Array:
    """``dZ = (a - y) / size``."""
    return (A - Y) / A.size


def hinge(A: Array, Y: Array) -> float:
    """Mean of ``max(0, 1 - s a)``, where s is 1 for ``y > 0``, else -1."""
    return float(np.mean(np.maximum(0.0, 1.0 - np.where(Y > 0.0, A, -A))))


def hinge_derivative(A: Array, Y: Array) -> Array:
    """``dA = -s / size`` where ``s a < 1``, else 0."""
    S = np.where(Y > 0.0, 1.0, -1.0)
    return np.where(S * A < 1.0, -S, 0.0).astype(A.dtype) / A.size


def squared_hinge(A: Array, Y: Array) -> float:
    """Mean of ``max(0, 1 - s a)^2``, where s is 1 for ``y > 0``, else -1."""
    return float(np.mean(np.maximum(0.0, 1.0 - np.where(Y > 0.0, A, -A)) ** 2))


def squared_hinge_derivative(A: Array, Y: Array) -> Array:
    """``dA = -2 s max(0, 1 - s a) / size``."""
    S = np.where(Y > 0.0, 1.0, -1.0)
    slopes: Array = (-2.0 * S * np.maximum(0.0, 1.0 - S * A)).astype(A.dtype)
    return slopes / A.size


def binary_focal(Z: Array, Y: Array, gamma: float) -> float:
    """Mean of ``-y b^gamma log(a) - (1 - y) a^gamma log(b)``, ``a = sigmoid(z)``, ``b = 1 - a``."""
    rest = np.log1p(np.exp(-np.abs(Z)))
    minus_log_a, minus_log_b = np.maximum(-Z, 0.0) + rest, np.maximum(Z, 0.0) + rest
    terms = Y * np.exp(-gamma * minus_log_b) * minus_log_a
    terms += (1.0 - Y) * np.exp(-gamma * minus_log_a) * minus_log_b
    return float(np.mean(terms))


def binary_focal_derivative(A: Array, Y: Array, gamma: float) -> Array:
    """``dZ = b^gamma (gamma a log(a) - b) / size`` for y = 1; for y = 0 likewise."""
    tiny = np.finfo(A.dtype).tiny
    B = 1.0 - A
    log_a, log_b = np.log(np.maximum(A, tiny)), np.log(np.maximum(B, tiny))
    of_1 = B**gamma * (gamma * A * log_a - B)
    of_0 = A**gamma * (A - gamma * B * log_b)
    dZ: Array = (Y * of_1 + (1.0 - Y) * of_0) / A.size
    return dZ


def categorical_focal(Z: Array, Y: Array, gamma: float) -> float:
    """Mean over rows of ``-sum_j y_j (1 - a_j)^gamma log(a_j)``, where ``a = softmax(z)``."""
    Z = Z - Z.max(axis=1, keepdims=True)
    log_A = Z - np.log(np.exp(Z).sum(axis=1, keepdims=True))
    return float(np.mean(-(Y * (-np.expm1(log_A)) ** gamma * log_A).sum(axis=1)))


def categorical_focal_derivative(A: Array, Y: Array, gamma: float) -> Array:
    """``dZ = (h_j - a_j sum(h)) / n_samples``, ``h_j = a_j dL/da_j``, which is
    ``y_j (1 - a_j)^gamma (gamma a_j log(a_j) / (1 - a_j) - 1)``.
    """
    tiny = np.finfo(A.dtype).tiny
    B = np.maximum(1.0 - A, tiny)
    H = Y * B**gamma * (gamma * A * np.log(np.maximum(A, tiny)) / B - 1.0)
    dZ: Array = (H - A * H.sum(axis=1, keepdims=True)) / len(A)
    return dZ


LOSSES: dict[str, tuple[Callable[..., float], Callable[..., Array]]] = {
    "binary_cross_entropy": (binary_cross_entropy, binary_cross_entropy_derivative),
    "categorical_cross_entropy": (categorical_cross_entropy, categorical_cross_entropy_derivative),
    "mean_squared_error": (mean_squared_error, mean_squared_error_derivative),
    "mean_absolute_error": (mean_absolute_error, mean_absolute_error_derivative),
    "huber": (huber, huber_derivative),
    "log_cosh": (log_cosh, log_cosh_derivative),
    "quantile": (quantile, quantile_derivative),
    "poisson": (poisson, poisson_derivative),
    "hinge": (hinge, hinge_derivative),
    "squared_hinge": (squared_hinge, squared_hinge_derivative),
    "binary_focal": (binary_focal, binary_focal_derivative),
    "categorical_focal": (categorical_focal, categorical_focal_derivative),
}

# Losses computed from the logits, and the output activation each of them belongs to.
FROM_LOGITS = {
    "binary_cross_entropy": "sigmoid",
    "categorical_cross_entropy": "softmax",
    "poisson": "exponential",
    "binary_focal": "sigmoid",
    "categorical_focal": "softmax",
}


def smooth(Y: Array, smoothing: float, n_choices: int) -> Array:
    """Label smoothing: ``(1 - smoothing) y + smoothing / n_choices``.

    `n_choices` are the classes of a softmax, and 2 for a sigmoid.
    """
    return (1.0 - smoothing) * Y + smoothing / n_choices

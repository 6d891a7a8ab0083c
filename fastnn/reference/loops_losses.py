"""Losses of `fastnn.reference.loops`: means over samples (and outputs) and their derivatives.

Those of `FROM_LOGITS` take the logits ``Z``, so that no probability is ever logged, and their
derivative is ``dZ``, which needs ``A`` only. The others take ``A``, and their derivative is ``dA``.
Parameters of a loss come behind its targets ``Y``. ``Z``, ``A`` and ``Y`` are n_samples lists of
n_outputs floats, and so is a derivative; a loss is a float.

Examples
--------
>>> from fastnn.reference import loops
>>> loss, derivative = loops.LOSSES["huber"]
>>> A, Y = [[3.0], [0.5]], [[0.0], [0.0]]
>>> loss(A, Y, 1.0), derivative(A, Y, 1.0)  # with delta = 1
(1.3125, [[0.5], [0.25]])
"""

import math
import sys
from collections.abc import Callable
from typing import TypeAlias

Row: TypeAlias = list[float]
Rows: TypeAlias = list[Row]

_TINY = sys.float_info.min


def _mean(function: Callable[[float, float], float], P: Rows, Y: Rows) -> float:
    """Mean of ``function(p, y)`` over all elements of `P` and `Y`."""
    total = 0.0
    for p_row, y_row in zip(P, Y, strict=True):
        for p, y in zip(p_row, y_row, strict=True):
            total += function(p, y)
    return total / (len(P) * len(P[0]))


def _mean_derivative(derivative: Callable[[float, float], float], A: Rows, Y: Rows) -> Rows:
    """``derivative(a, y) / size`` for every element of `A` and `Y`."""
    size = len(A) * len(A[0])
    gradient = []
    for a_row, y_row in zip(A, Y, strict=True):
        gradient.append([derivative(a, y) / size for a, y in zip(a_row, y_row, strict=True)])
    return gradient


def binary_cross_entropy(Z: Rows, Y: Rows) -> float:
    """Mean of ``-y log(a) - (1 - y) log(1 - a) = softplus(z) - y z``, where ``a = sigmoid(z)``."""
    return _mean(lambda z, y: max(z, 0.0) - y * z + math.log1p(math.exp(-abs(z))), Z, Y)


def binary_cross_entropy_derivative(A: Rows, Y: Rows) -> Rows:
    """``dZ = (a - y) / size``."""
    return _mean_derivative(lambda a, y: a - y, A, Y)


def categorical_cross_entropy(Z: Rows, Y: Rows) -> float:
    """Mean over rows of ``-sum_j y_j log(a_j) = log(sum_j exp(z_j)) - sum_j y_j z_j``."""
    total = 0.0
    for z, y in zip(Z, Y, strict=True):
        largest = max(z)
        total += math.log(sum(math.exp(z_j - largest) for z_j in z))
        total -= sum(y_j * (z_j - largest) for z_j, y_j in zip(z, y, strict=True))
    return total / len(Z)


def categorical_cross_entropy_derivative(A: Rows, Y: Rows) -> Rows:
    """``dZ = (a - y) / n_samples``, for rows of `Y` which sum to 1."""
    n_samples = len(A)
    gradient = []
    for a_row, y_row in zip(A, Y, strict=True):
        gradient.append([(a - y) / n_samples for a, y in zip(a_row, y_row, strict=True)])
    return gradient


def mean_squared_error(A: Rows, Y: Rows) -> float:
    """Mean of ``r^2``, where ``r = a - y``."""
    return _mean(lambda a, y: (a - y) * (a - y), A, Y)


def mean_squared_error_derivative(A: Rows, Y: Rows) -> Rows:
    """``dA = 2 r / size``."""
    return _mean_derivative(lambda a, y: 2.0 * (a - y), A, Y)


def mean_absolute_error(A: Rows, Y: Rows) -> float:
    """Mean of ``|r|``, where ``r = a - y``."""
    return _mean(lambda a, y: abs(a - y), A, Y)


def mean_absolute_error_derivative(A: Rows, Y: Rows) -> Rows:
    """``dA = sign(r) / size``."""
    return _mean_derivative(lambda a, y: float(a > y) - float(a < y), A, Y)


def huber(A: Rows, Y: Rows, delta: float = 1.0) -> float:
    """Mean of ``r^2 / 2 if |r| <= delta else delta (|r| - delta / 2)``, where ``r = a - y``."""

    def of_one(a: float, y: float) -> float:
        r = abs(a - y)
        return 0.5 * r * r if r <= delta else delta * (r - 0.5 * delta)

    return _mean(of_one, A, Y)


def huber_derivative(A: Rows, Y: Rows, delta: float = 1.0) -> Rows:
    """``dA = r / size``, with ``r`` clipped to ``[-delta, delta]``."""
    return _mean_derivative(lambda a, y: min(max(a - y, -delta), delta), A, Y)


def log_cosh(A: Rows, Y: Rows) -> float:
    """Mean of ``log(cosh(r)) = |r| + log(1 + exp(-2 |r|)) - log(2)``, where ``r = a - y``."""

    def of_one(a: float, y: float) -> float:
        r = abs(a - y)
        return r + math.log1p(math.exp(-2.0 * r)) - math.log(2.0)

    return _mean(of_one, A, Y)


def log_cosh_derivative(A: Rows, Y: Rows) -> Rows:
    """``dA = tanh(r) / size``."""
    return _mean_derivative(lambda a, y: math.tanh(a - y), A, Y)


def quantile(A: Rows, Y: Rows, *levels: float) -> float:
    """Mean of ``(1 - level) r if r > 0 else -level r``; `Y` has one number a row."""
    total = 0.0
    for a, (y,) in zip(A, Y, strict=True):
        for a_j, level in zip(a, levels, strict=True):
            r = a_j - y
            total += (1.0 - level) * r if r > 0.0 else -level * r
    return total / (len(A) * len(A[0]))


def quantile_derivative(A: Rows, Y: Rows, *levels: float) -> Rows:
    """``dA = ((1 - level) if r > 0 else -level) / size``, and 0 at 0."""
    size = len(A) * len(A[0])
    gradient = []
    for a, (y,) in zip(A, Y, strict=True):
        row = []
        for a_j, level in zip(a, levels, strict=True):
            slope = 1.0 - level if a_j > y else -level
            row.append(slope / size if a_j != y else 0.0)
        gradient.append(row)
    return gradient


def poisson(Z: Rows, Y: Rows) -> float:
    """Mean of ``a - y log(a) = exp(z) - y z``, where ``a = exp(z)``."""
    return _mean(lambda z, y: math.exp(z) - y * z, Z, Y)


def poisson_derivative(A: Rows, Y: Rows) -> Rows:
    """``dZ = (a - y) / size``."""
    return _mean_derivative(lambda a, y: a - y, A, Y)


def _margin(a: float, y: float) -> float:
    """``max(0, 1 - s a)``, where s is 1 for ``y > 0``, else -1."""
    return max(0.0, 1.0 - (a if y > 0.0 else -a))


def hinge(A: Rows, Y: Rows) -> float:
    """Mean of ``max(0, 1 - s a)``, where s is 1 for ``y > 0``, else -1."""
    return _mean(_margin, A, Y)


def hinge_derivative(A: Rows, Y: Rows) -> Rows:
    """``dA = -s / size`` where ``s a < 1``, else 0."""

    def of_one(a: float, y: float) -> float:
        s = 1.0 if y > 0.0 else -1.0
        return -s if s * a < 1.0 else 0.0

    return _mean_derivative(of_one, A, Y)


def squared_hinge(A: Rows, Y: Rows) -> float:
    """Mean of ``max(0, 1 - s a)^2``, where s is 1 for ``y > 0``, else -1."""
    return _mean(lambda a, y: _margin(a, y) ** 2, A, Y)


def squared_hinge_derivative(A: Rows, Y: Rows) -> Rows:
    """``dA = -2 s max(0, 1 - s a) / size``."""
    return _mean_derivative(lambda a, y: (-2.0 if y > 0.0 else 2.0) * _margin(a, y), A, Y)


def binary_focal(Z: Rows, Y: Rows, gamma: float) -> float:
    """Mean of ``-y b^gamma log(a) - (1 - y) a^gamma log(b)``, ``a = sigmoid(z)``, ``b = 1 - a``."""

    def of_one(z: float, y: float) -> float:
        rest = math.log1p(math.exp(-abs(z)))
        minus_log_a, minus_log_b = max(-z, 0.0) + rest, max(z, 0.0) + rest
        of_1 = math.exp(-gamma * minus_log_b) * minus_log_a
        of_0 = math.exp(-gamma * minus_log_a) * minus_log_b
        return y * of_1 + (1.0 - y) * of_0

    return _mean(of_one, Z, Y)


def binary_focal_derivative(A: Rows, Y: Rows, gamma: float) -> Rows:
    """``dZ = b^gamma (gamma a log(a) - b) / size`` for y = 1; for y = 0 likewise."""

    def of_one(a: float, y: float) -> float:
        b = 1.0 - a
        of_1 = math.pow(b, gamma) * (gamma * a * math.log(max(a, _TINY)) - b)
        of_0 = math.pow(a, gamma) * (a - gamma * b * math.log(max(b, _TINY)))
        return y * of_1 + (1.0 - y) * of_0

    return _mean_derivative(of_one, A, Y)


def categorical_focal(Z: Rows, Y: Rows, gamma: float) -> float:
    """Mean over rows of ``-sum_j y_j (1 - a_j)^gamma log(a_j)``, where ``a = softmax(z)``."""
    total = 0.0
    for z, y in zip(Z, Y, strict=True):
        largest = max(z)
        log_sum = math.log(sum(math.exp(z_j - largest) for z_j in z))
        for z_j, y_j in zip(z, y, strict=True):
            log_a = z_j - largest - log_sum
            total -= y_j * (-math.expm1(log_a)) ** gamma * log_a
    return total / len(Z)


def categorical_focal_derivative(A: Rows, Y: Rows, gamma: float) -> Rows:
    """``dZ = (h_j - a_j sum(h)) / n_samples``, ``h_j = a_j dL/da_j``, which is
    ``y_j (1 - a_j)^gamma (gamma a_j log(a_j) / (1 - a_j) - 1)``.
    """
    gradient = []
    for a, y in zip(A, Y, strict=True):
        h = []
        for a_j, y_j in zip(a, y, strict=True):
            b = max(1.0 - a_j, _TINY)
            h.append(y_j * b**gamma * (gamma * a_j * math.log(max(a_j, _TINY)) / b - 1.0))
        total = sum(h)
        gradient.append([(h_j - a_j * total) / len(A) for h_j, a_j in zip(h, a, strict=True)])
    return gradient


LOSSES: dict[str, tuple[Callable[..., float], Callable[..., Rows]]] = {
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

"""The optimisers of `fastnn.reference.loops`, one number at a time."""

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

Row: TypeAlias = list[float]

# Each changes a parameter `w` (a bias, or one row of weights) in place, given its gradient `g`, its
# slots (lists like `w`, zero before the first step, changed in place) and the number `t` of the
# step, from 1.


def sgd(w: Row, g: Row, slots: Sequence[Row], t: int, learning_rate: float) -> None:
    """``w -= learning_rate g``."""
    for i in range(len(w)):
        w[i] -= learning_rate * g[i]


def momentum(
    w: Row,
    g: Row,
    slots: Sequence[Row],
    t: int,
    learning_rate: float,
    momentum: float = 0.9,
) -> None:
    """``v = momentum v + g``, then ``w -= learning_rate v``."""
    (v,) = slots
    for i in range(len(w)):
        v[i] = momentum * v[i] + g[i]
        w[i] -= learning_rate * v[i]


def nesterov(
    w: Row,
    g: Row,
    slots: Sequence[Row],
    t: int,
    learning_rate: float,
    momentum: float = 0.9,
) -> None:
    """``v = momentum v + g``, then ``w -= learning_rate (g + momentum v)``."""
    (v,) = slots
    for i in range(len(w)):
        v[i] = momentum * v[i] + g[i]
        w[i] -= learning_rate * (g[i] + momentum * v[i])


def rmsprop(
    w: Row,
    g: Row,
    slots: Sequence[Row],
    t: int,
    learning_rate: float,
    rho: float = 0.9,
    epsilon: float = 1e-8,
) -> None:
    """``s = rho s + (1 - rho) g^2``, then ``w -= learning_rate g / (sqrt(s) + epsilon)``."""
    (s,) = slots
    for i in range(len(w)):
        s[i] = rho * s[i] + (1.0 - rho) * g[i] * g[i]
        w[i] -= learning_rate * g[i] / (math.sqrt(s[i]) + epsilon)


def adagrad(
    w: Row,
    g: Row,
    slots: Sequence[Row],
    t: int,
    learning_rate: float,
    epsilon: float = 1e-8,
) -> None:
    """``s += g^2``, then ``w -= learning_rate g / (sqrt(s) + epsilon)``."""
    (s,) = slots
    for i in range(len(w)):
        s[i] += g[i] * g[i]
        w[i] -= learning_rate * g[i] / (math.sqrt(s[i]) + epsilon)


def adam(
    w: Row,
    g: Row,
    slots: Sequence[Row],
    t: int,
    learning_rate: float,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
) -> None:
    """``w -= learning_rate m_hat / (sqrt(v_hat) + epsilon)``.

    ``m = beta_1 m + (1 - beta_1) g`` and ``v = beta_2 v + (1 - beta_2) g^2`` start at zero, which
    ``m_hat = m / (1 - beta_1^t)`` and ``v_hat = v / (1 - beta_2^t)`` correct.

    References
    ----------
    D. P. Kingma and J. Ba, "Adam: a method for stochastic optimization", 2015.
    """
    m, v = slots
    for i in range(len(w)):
        m[i] = beta_1 * m[i] + (1.0 - beta_1) * g[i]
        v[i] = beta_2 * v[i] + (1.0 - beta_2) * g[i] * g[i]
        m_hat = m[i] / (1.0 - beta_1**t)
        v_hat = v[i] / (1.0 - beta_2**t)
        w[i] -= learning_rate * m_hat / (math.sqrt(v_hat) + epsilon)


def adamw(
    w: Row,
    g: Row,
    slots: Sequence[Row],
    t: int,
    learning_rate: float,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
    weight_decay: float = 0.01,
) -> None:
    """`adam`, and ``w -= learning_rate weight_decay w`` with the ``w`` before the step.

    References
    ----------
    I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", 2019.
    """
    for i in range(len(w)):
        w[i] -= learning_rate * weight_decay * w[i]
    adam(w, g, slots, t, learning_rate, beta_1, beta_2, epsilon)


# name -> (update, number of slots)
OPTIMIZERS: dict[str, tuple[Callable[..., None], int]] = {
    "sgd": (sgd, 0),
    "momentum": (momentum, 1),
    "nesterov": (nesterov, 1),
    "rmsprop": (rmsprop, 1),
    "adagrad": (adagrad, 1),
    "adam": (adam, 2),
    "adamw": (adamw, 2),
}

"""The optimisers of `fastnn.reference.vectorized`, one array at a time."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.floating[Any]]

# Each changes a parameter `w` in place, given its gradient `g`, its slots (arrays like `w`, zero
# before the first step, changed in place) and the number `t` of the step, from 1.


def sgd(w: Array, g: Array, slots: Sequence[Array], t: int, learning_rate: float) -> None:
    """``w -= learning_rate g``."""
    w -= learning_rate * g


def momentum(
    w: Array,
    g: Array,
    slots: Sequence[Array],
    t: int,
    learning_rate: float,
    momentum: float = 0.9,
) -> None:
    """``v = momentum v + g``, then ``w -= learning_rate v``."""
    (v,) = slots
    v *= momentum
    v += g
    w -= learning_rate * v


def nesterov(
    w: Array,
    g: Array,
    slots: Sequence[Array],
    t: int,
    learning_rate: float,
    momentum: float = 0.9,
) -> None:
    """``v = momentum v + g``, then ``w -= learning_rate (g + momentum v)``."""
    (v,) = slots
    v *= momentum
    v += g
    w -= learning_rate * (g + momentum * v)


def rmsprop(
    w: Array,
    g: Array,
    slots: Sequence[Array],
    t: int,
    learning_rate: float,
    rho: float = 0.9,
    epsilon: float = 1e-8,
) -> None:
    """``s = rho s + (1 - rho) g^2``, then ``w -= learning_rate g / (sqrt(s) + epsilon)``."""
    (s,) = slots
    s *= rho
    s += (1.0 - rho) * g * g
    w -= learning_rate * g / (np.sqrt(s) + epsilon)


def adagrad(
    w: Array,
    g: Array,
    slots: Sequence[Array],
    t: int,
    learning_rate: float,
    epsilon: float = 1e-8,
) -> None:
    """``s += g^2``, then ``w -= learning_rate g / (sqrt(s) + epsilon)``."""
    (s,) = slots
    s += g * g
    w -= learning_rate * g / (np.sqrt(s) + epsilon)


def adam(
    w: Array,
    g: Array,
    slots: Sequence[Array],
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
    m *= beta_1
    m += (1.0 - beta_1) * g
    v *= beta_2
    v += (1.0 - beta_2) * g * g
    step = learning_rate / (1.0 - beta_1**t)
    w -= step * m / (np.sqrt(v / (1.0 - beta_2**t)) + epsilon)


def adamw(
    w: Array,
    g: Array,
    slots: Sequence[Array],
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
    w *= 1.0 - learning_rate * weight_decay
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

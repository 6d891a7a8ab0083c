"""The optimisers of `fastnn.reference.vectorized`, one array at a time.

Examples
--------
Two steps of momentum on one number, whose gradient is 1 both times:

>>> import numpy as np
>>> from fastnn.reference import vectorized
>>> update, n_slots = vectorized.OPTIMIZERS["momentum"]
>>> w, slots = np.zeros(1), [np.zeros(1) for _ in range(n_slots)]
>>> for t in (1, 2):
...     update(w, np.ones(1), slots, t, learning_rate=0.5, momentum=0.5)
...     print(w, slots[0])
[-0.5] [1.]
[-1.25] [1.5]
"""

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


def nadam(
    w: Array,
    g: Array,
    slots: Sequence[Array],
    t: int,
    learning_rate: float,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
    momentum_decay: float = 0.004,
) -> None:
    """`adam` with Nesterov's momentum, whose strength ``mu_i`` grows from step to step.

    ``mu_i = beta_1 (1 - 0.96^(i momentum_decay) / 2)``, and ``m_hat`` is
    ``mu_(t+1) m / (1 - mu_1 ... mu_(t+1)) + (1 - mu_t) g / (1 - mu_1 ... mu_t)``.

    References
    ----------
    T. Dozat, "Incorporating Nesterov momentum into Adam", 2016.
    """
    mu = beta_1 * (1.0 - 0.5 * 0.96 ** (np.arange(1, t + 2) * momentum_decay))
    product = np.prod(mu[:-1])
    m, v = slots
    m *= beta_1
    m += (1.0 - beta_1) * g
    v *= beta_2
    v += (1.0 - beta_2) * g * g
    m_hat = mu[-1] * m / (1.0 - product * mu[-1]) + (1.0 - mu[-2]) * g / (1.0 - product)
    w -= learning_rate * m_hat / (np.sqrt(v / (1.0 - beta_2**t)) + epsilon)


def amsgrad(
    w: Array,
    g: Array,
    slots: Sequence[Array],
    t: int,
    learning_rate: float,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
) -> None:
    """`adam` with the largest ``v`` so far in the place of ``v``.

    References
    ----------
    S. J. Reddi, S. Kale and S. Kumar, "On the convergence of Adam and beyond", 2018.
    """
    m, v, largest = slots
    m *= beta_1
    m += (1.0 - beta_1) * g
    v *= beta_2
    v += (1.0 - beta_2) * g * g
    np.maximum(largest, v, out=largest)
    step = learning_rate / (1.0 - beta_1**t)
    w -= step * m / (np.sqrt(largest / (1.0 - beta_2**t)) + epsilon)


def lion(
    w: Array,
    g: Array,
    slots: Sequence[Array],
    t: int,
    learning_rate: float,
    beta_1: float = 0.9,
    beta_2: float = 0.99,
    weight_decay: float = 0.0,
) -> None:
    """``w -= learning_rate (sign(beta_1 m + (1 - beta_1) g) + weight_decay w)``.

    Then ``m = beta_2 m + (1 - beta_2) g``, which starts at zero. The sign of 0 is 0.

    References
    ----------
    X. Chen et al., "Symbolic discovery of optimization algorithms", 2023.
    """
    (m,) = slots
    w -= learning_rate * (np.sign(beta_1 * m + (1.0 - beta_1) * g) + weight_decay * w)
    m *= beta_2
    m += (1.0 - beta_2) * g


# name -> (update, number of slots)
OPTIMIZERS: dict[str, tuple[Callable[..., None], int]] = {
    "sgd": (sgd, 0),
    "momentum": (momentum, 1),
    "nesterov": (nesterov, 1),
    "rmsprop": (rmsprop, 1),
    "adagrad": (adagrad, 1),
    "adam": (adam, 2),
    "adamw": (adamw, 2),
    "nadam": (nadam, 2),
    "amsgrad": (amsgrad, 3),
    "lion": (lion, 1),
}

"""The optimisers of `fastnn.reference.loops`, one number at a time.

Examples
--------
Two steps of momentum on one number, whose gradient is 1 both times:

>>> from fastnn.reference import loops
>>> update, n_slots = loops.OPTIMIZERS["momentum"]
>>> w, slots = [0.0], [[0.0] for _ in range(n_slots)]
>>> for t in (1, 2):
...     update(w, [1.0], slots, t, learning_rate=0.5, momentum=0.5)
...     print(w, slots)
[-0.5] [[1.0]]
[-1.25] [[1.5]]
"""

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


def nadam(
    w: Row,
    g: Row,
    slots: Sequence[Row],
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
    mus = [beta_1 * (1.0 - 0.5 * 0.96 ** (i * momentum_decay)) for i in range(1, t + 2)]
    product = math.prod(mus[:-1])
    m, v = slots
    for i in range(len(w)):
        m[i] = beta_1 * m[i] + (1.0 - beta_1) * g[i]
        v[i] = beta_2 * v[i] + (1.0 - beta_2) * g[i] * g[i]
        m_hat = mus[-1] * m[i] / (1.0 - product * mus[-1]) + (1.0 - mus[-2]) * g[i] / (
            1.0 - product
        )
        v_hat = v[i] / (1.0 - beta_2**t)
        w[i] -= learning_rate * m_hat / (math.sqrt(v_hat) + epsilon)


def amsgrad(
    w: Row,
    g: Row,
    slots: Sequence[Row],
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
    for i in range(len(w)):
        m[i] = beta_1 * m[i] + (1.0 - beta_1) * g[i]
        v[i] = beta_2 * v[i] + (1.0 - beta_2) * g[i] * g[i]
        largest[i] = max(largest[i], v[i])
        m_hat = m[i] / (1.0 - beta_1**t)
        v_hat = largest[i] / (1.0 - beta_2**t)
        w[i] -= learning_rate * m_hat / (math.sqrt(v_hat) + epsilon)


def lion(
    w: Row,
    g: Row,
    slots: Sequence[Row],
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
    for i in range(len(w)):
        c = beta_1 * m[i] + (1.0 - beta_1) * g[i]
        sign = (c > 0) - (c < 0)
        w[i] -= learning_rate * (sign + weight_decay * w[i])
        m[i] = beta_2 * m[i] + (1.0 - beta_2) * g[i]


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

"""The regularisation of `fastnn.reference.vectorized`, one array of weights at a time.

A step does these in the order of this file: the penalties belong to the cost, so their gradient
is added first; the whole gradient is clipped; the weights decay and are updated by it; then the
norms of the weights are limited.

Examples
--------
>>> import numpy as np
>>> from fastnn.reference import vectorized_regularization as regularization
>>> W = np.array([[3.0], [-4.0]])
>>> regularization.penalty(W, l1=0.5, l2=0.1)
4.75
>>> regularization.limit_norms(W, max_norm=1.0)
>>> W.round(2).tolist()
[[0.6], [-0.8]]
"""

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.floating[Any]]


def penalty(W: Array, l1: float, l2: float) -> float:
    """``l1 sum |w| + l2 / 2 sum w^2``: a mini-batch of m samples costs ``1 / m`` of it."""
    return float(l1 * np.abs(W).sum() + 0.5 * l2 * np.square(W).sum())


def penalty_gradient(W: Array, l1: float, l2: float) -> Array:
    """``l1 sign(w) + l2 w``, with ``sign(0) = 0``."""
    gradient: Array = l1 * np.sign(W) + l2 * W
    return gradient


def clip_by_value(g: Array, limit: float) -> None:
    """Each number of `g` to ``[-limit, limit]``."""
    np.clip(g, -limit, limit, out=g)


def clip_by_norm(gradients: Iterable[Array], limit: float) -> None:
    """``g *= min(1, limit / norm)``, with the Euclidean norm of all arrays together.

    References
    ----------
    R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training recurrent neural networks",
    ICML 2013.
    """
    gradients = list(gradients)
    norm = np.sqrt(sum(np.square(g, dtype=np.float64).sum() for g in gradients))
    if norm > limit:
        for g in gradients:
            g *= limit / norm


def decay(W: Array, learning_rate: float, weight_decay: float) -> None:
    """``w *= 1 - learning_rate weight_decay``: no part of the gradient, so no optimiser scales it.

    References
    ----------
    I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", 2019.
    """
    W *= 1.0 - learning_rate * weight_decay


def limit_norms(W: Array, max_norm: float) -> None:
    """Scale down each column of ``W``, the weights into one unit, that is longer than `max_norm`.

    References
    ----------
    N. Srebro, J. Rennie and T. Jaakkola, "Maximum-margin matrix factorization", NIPS 2004; for
    networks: N. Srivastava et al., "Dropout", JMLR 15, 2014.
    """
    norms = np.sqrt(np.square(W, dtype=np.float64).sum(axis=0))
    W *= np.where(norms > max_norm, max_norm / np.maximum(norms, max_norm), 1.0).astype(W.dtype)

"""Setting samples aside to test on."""

from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import _validation
from fastnn._keywords import checked_keywords

Array = npt.NDArray[Any]


@checked_keywords
def train_test_split(
    X: npt.ArrayLike, y: npt.ArrayLike, test_size: float = 0.2, seed: int | None = 0
) -> tuple[Array, Array, Array, Array]:
    """Shuffle the samples and set some of them aside.

    Parameters
    ----------
    X : array_like of shape (n_samples, ...)
    y : array_like of shape (n_samples, ...)
    test_size : float or int
        A float in (0, 1) is the fraction of the samples to set aside, rounded to a whole number
        of them; an int is their number. At least one sample must remain on either side.
    seed : int or None

    Returns
    -------
    X_train, X_test, y_train, y_test : ndarray
        Copies, of the types of `X` and `y`.

    Raises
    ------
    ValueError
        If `X` and `y` differ in length or `test_size` leaves one side empty.
    """
    X, y = np.asarray(X), np.asarray(y)
    if X.ndim == 0 or y.ndim == 0 or len(X) != len(y):
        raise ValueError(f"X and y must have one row a sample, got shapes {X.shape} and {y.shape}")
    n_test = _n_test(test_size, len(X))
    order = np.random.default_rng(_validation.seed(seed)).permutation(len(X))
    test, train = order[:n_test], order[n_test:]
    return X[train], X[test], y[train], y[test]


def _n_test(test_size: float, n_samples: int) -> int:
    if not isinstance(test_size, Real) or isinstance(test_size, bool):
        raise TypeError(f"test_size must be a fraction or a number of samples, got {test_size!r}")
    if isinstance(test_size, Integral):
        n_test = int(test_size)
    elif 0 < test_size < 1:
        n_test = round(test_size * n_samples)
    else:
        raise ValueError(f"test_size must be an int or a float in (0, 1), got {test_size}")
    if not 0 < n_test < n_samples:
        raise ValueError(
            f"test_size must leave a sample on either side, {test_size} of {n_samples} does not"
        )
    return n_test

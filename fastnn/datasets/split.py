"""Setting samples aside to test on."""

from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import _frames, _validation
from fastnn._keywords import checked_keywords

Array = npt.NDArray[Any]


@checked_keywords
def train_test_split(
    X: npt.ArrayLike, y: npt.ArrayLike, test_size: float = 0.2, seed: int | None = 0
) -> tuple[Array, Array, Array, Array]:
    """Shuffles the samples and sets some of them aside.

    Parameters
    ----------
    X : array_like of shape (n_samples, ...)
        Samples, one a row.
    y : array_like of shape (n_samples, ...)
        Their targets, which are shuffled alike.
    test_size : float or int
        A float in (0, 1) is the fraction of the samples to set aside, rounded to a whole number
        of them; an int is their number. At least one sample must remain on either side.
    seed : int or None
        The same seed gives the same split; None gives another at each call.

    Returns
    -------
    X_train, X_test : ndarray of shape (n_train, ...) and (n_test, ...)
        Copies, of the type of `X`; a data frame with columns of several types is float64.
    y_train, y_test : ndarray of shape (n_train, ...) and (n_test, ...)
        Likewise of `y`.

    Raises
    ------
    TypeError
        If `test_size` is no number, or a column of a data frame cannot become numbers.
    ValueError
        If `X` and `y` are no arrays or differ in length, or `test_size` leaves one side empty.

    Examples
    --------
    >>> from fastnn.datasets import load_digits, train_test_split
    >>> X_train, X_test, y_train, y_test = train_test_split(*load_digits(), test_size=0.2)
    >>> X_train.shape, y_test.shape
    ((1438, 64), (359,))
    """
    X, y = _as_array(X, "X"), _as_array(y, "y")
    if X.ndim == 0 or y.ndim == 0 or len(X) != len(y):
        raise ValueError(f"X and y must have one row a sample, got shapes {X.shape} and {y.shape}")
    n_test = _n_test(test_size, len(X))
    order = np.random.default_rng(_validation.seed(seed)).permutation(len(X))
    test, train = order[:n_test], order[n_test:]
    return X[train], X[test], y[train], y[test]


def _as_array(value: npt.ArrayLike, name: str) -> Array:
    if not isinstance(value, np.ndarray):
        _frames.refuse_times(value, name)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} must be an array, got {type(value).__name__}: {error}") from error
    numbers = _frames.numbers_of(value, name) if array.dtype.kind == "O" else None
    return array if numbers is None else numbers


def _n_test(test_size: float, n_samples: int) -> int:
    if not isinstance(test_size, Real) or isinstance(test_size, bool):
        raise TypeError(
            "test_size must be a fraction or a number of samples, got "
            f"{_validation.short(test_size)}"
        )
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

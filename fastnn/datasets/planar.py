"""Classes of points in the plane that no straight line separates (but for halves without noise).

Every function returns `X` of shape (n_samples, 2), float64, and `y` of shape (n_samples,), int64.
Samples come class by class; where the classes cannot be equally large, the first ones get one
sample more. `fit` and `train_test_split` shuffle.
"""

import numpy as np
import numpy.typing as npt

from fastnn import _validation
from fastnn._keywords import checked_keywords

Points = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


@checked_keywords
def make_flower(n_samples: int = 400, seed: int | None = 1) -> tuple[Points, Labels]:
    """Two classes of alternating petals: ``r = 4 sin(4 t)``, with noise on `r` and on `t`.

    Parameters
    ----------
    n_samples : int
        At least 2.
    seed : int or None
        The defaults give the very numbers of the deep learning course's planar data.

    Returns
    -------
    X : ndarray of shape (n_samples, 2), float64
        Points of the plane, class by class.
    y : ndarray of shape (n_samples,), int64
            Class, 0 or 1.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.

    References
    ----------
    A. Ng, K. Katanforoosh and Y. Bensouda Mourri, "Neural Networks and Deep Learning", week 3,
    "Planar data classification with one hidden layer", Coursera.

    Examples
    --------
    >>> from fastnn.datasets import make_flower
    >>> X, y = make_flower()
    >>> X.shape, y[[0, -1]].tolist()
    ((400, 2), [0, 1])
    """
    sizes = _class_sizes(n_samples, 2)
    # The course's numbers come from NumPy's legacy generator.
    random = np.random.RandomState(_validation.seed(seed, below=2**32))
    petals = []
    for label, size in enumerate(sizes):
        angle = np.linspace(label * 3.12, (label + 1) * 3.12, size) + random.randn(size) * 0.2
        radius = 4 * np.sin(4 * angle) + random.randn(size) * 0.2
        petals.append(np.column_stack([radius * np.sin(angle), radius * np.cos(angle)]))
    return np.concatenate(petals), _labels(sizes)


@checked_keywords
def make_halves(
    n_samples: int = 200, noise: float = 0.3, seed: int | None = 0
) -> tuple[Points, Labels]:
    """Two halves of a square, on either side of its diagonal, whose points noise mixes.

    Like the football field of the course: few points, and a border so simple that a network with
    many units learns the noise. The square is [-1, 1]^2.

    Parameters
    ----------
    n_samples : int
        At least 2.
    noise : float
        Standard deviation of the Gaussian noise on each coordinate.
    seed : int or None
        The same seed gives the same points; None gives others at each call.

    Returns
    -------
    X : ndarray of shape (n_samples, 2), float64
        Points of the plane, class by class.
    y : ndarray of shape (n_samples,), int64
        Where the point was before the noise: 0 for ``x0 + x1 < 0``, else 1.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.

    References
    ----------
    A. Ng, K. Katanforoosh and Y. Bensouda Mourri, "Improving deep neural networks", week 1,
    "Regularization", Coursera.

    Examples
    --------
    >>> from fastnn.datasets import make_halves
    >>> X, y = make_halves(noise=0.0)
    >>> bool(((X.sum(axis=1) > 0) == y).all())
    True
    """
    sizes = _class_sizes(n_samples, 2)
    noise = _validation.non_negative_number(noise, "noise")
    random = np.random.default_rng(_validation.seed(seed))
    y = _labels(sizes)
    X = random.uniform(-1, 1, (len(y), 2))
    X[(X.sum(axis=1) > 0) != (y == 1)] *= -1
    return X + random.normal(0, noise, X.shape), y


@checked_keywords
def make_moons(
    n_samples: int = 400, noise: float = 0.1, seed: int | None = 0
) -> tuple[Points, Labels]:
    """Two half circles of radius 1 that reach into each other.

    Parameters
    ----------
    n_samples : int
        At least 2.
    noise : float
        Standard deviation of the Gaussian noise on each coordinate.
    seed : int or None
        The same seed gives the same points; None gives others at each call.

    Returns
    -------
    X : ndarray of shape (n_samples, 2), float64
        Points of the plane, class by class.
    y : ndarray of shape (n_samples,), int64
        0 for the upper moon, 1 for the lower one.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.

    Examples
    --------
    >>> from fastnn.datasets import make_moons
    >>> X, y = make_moons(3, noise=0.0)
    >>> X.round(3).tolist(), y.tolist()
    ([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.5]], [0, 0, 1])
    """
    sizes = _class_sizes(n_samples, 2)
    upper, lower = (np.linspace(0, np.pi, size) for size in sizes)
    moons = [
        np.column_stack([np.cos(upper), np.sin(upper)]),
        np.column_stack([1 - np.cos(lower), 0.5 - np.sin(lower)]),
    ]
    return _with_noise(moons, noise, seed), _labels(sizes)


@checked_keywords
def make_circles(
    n_samples: int = 400, noise: float = 0.05, seed: int | None = 0, *, factor: float = 0.5
) -> tuple[Points, Labels]:
    """A circle of radius 1 around a circle of radius `factor`.

    Parameters
    ----------
    n_samples : int
        At least 2.
    noise : float
        Standard deviation of the Gaussian noise on each coordinate.
    seed : int or None
        The same seed gives the same points; None gives others at each call.
    factor : float
        Radius of the inner circle.

    Returns
    -------
    X : ndarray of shape (n_samples, 2), float64
        Points of the plane, class by class.
    y : ndarray of shape (n_samples,), int64
        0 for the outer circle, 1 for the inner one.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.datasets import make_circles
    >>> X, y = make_circles(4, noise=0.0, factor=0.25)
    >>> np.hypot(*X.T).round(3).tolist()
    [1.0, 1.0, 0.25, 0.25]
    """
    sizes = _class_sizes(n_samples, 2)
    circles = []
    for radius, size in zip(
        (1.0, _validation.non_negative_number(factor, "factor")), sizes, strict=True
    ):
        angle = np.linspace(0, 2 * np.pi, size, endpoint=False)
        circles.append(radius * np.column_stack([np.cos(angle), np.sin(angle)]))
    return _with_noise(circles, noise, seed), _labels(sizes)


@checked_keywords
def make_spirals(
    n_samples: int = 400, noise: float = 0.03, seed: int | None = 0, *, n_classes: int = 2
) -> tuple[Points, Labels]:
    """Arms that wind once around the origin while their radius grows from 0 to 1.

    Parameters
    ----------
    n_samples : int
        At least `n_classes`.
    noise : float
        Standard deviation of the Gaussian noise on each coordinate.
    seed : int or None
        The same seed gives the same points; None gives others at each call.
    n_classes : int
        Number of arms.

    Returns
    -------
    X : ndarray of shape (n_samples, 2), float64
        Points of the plane, class by class.
    y : ndarray of shape (n_samples,), int64
            Arm, in ``[0, n_classes)``.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.datasets import make_spirals
    >>> X, y = make_spirals(8, n_classes=3)
    >>> np.bincount(y).tolist()
    [3, 3, 2]
    """
    sizes = _class_sizes(n_samples, _validation.positive_int(n_classes, "n_classes"))
    arms = []
    for label, size in enumerate(sizes):
        radius = np.linspace(0, 1, size)
        angle = 2 * np.pi * (radius + label / n_classes)
        arms.append(np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]))
    return _with_noise(arms, noise, seed), _labels(sizes)


def _class_sizes(n_samples: int, n_classes: int) -> list[int]:
    n_samples = _validation.positive_int(n_samples, "n_samples", at_most=_validation.MAX_SIZE)
    if n_samples < n_classes:
        raise ValueError(f"n_samples must be at least {n_classes}, one a class, got {n_samples}")
    smallest, n_larger = divmod(n_samples, n_classes)
    return [smallest + (label < n_larger) for label in range(n_classes)]


def _labels(sizes: list[int]) -> Labels:
    return np.repeat(np.arange(len(sizes), dtype=np.int64), sizes)


def _with_noise(classes: list[Points], noise: float, seed: int | None) -> Points:
    X = np.concatenate(classes)
    random = np.random.default_rng(_validation.seed(seed))
    return X + random.normal(0, _validation.non_negative_number(noise, "noise"), X.shape)

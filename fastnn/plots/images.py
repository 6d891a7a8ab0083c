"""Samples and weights as images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastnn._validation import numbers, positive_int, shown
from fastnn.layers import Dense
from fastnn.network import Network
from fastnn.plots.classifiers import labels
from fastnn.plots.figures import Panels, label, panels, without_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[Any]
#: Height and width of an image, and its 3 colours where it has them; None: a grey square.
Shape = Sequence[int] | None

_N_COLUMNS = 8


def weights(
    net: Network, shape: Shape = None, n_images: int = 32, ax: Axes | None = None
) -> Panels:
    """Draw the weights into the first units of the first `Dense` layer as images.

    Parameters
    ----------
    net : Network
        Built, with a `Dense` layer.
    shape : (height, width) or (height, width, 3), optional
        Of the images that the network is for. None: they are grey squares.
    n_images : int, optional
        The most units to draw.
    ax : matplotlib.axes.Axes, optional
        Where to draw; None: into a figure of its own.

    Returns
    -------
    ndarray of Axes, shape (n_panels,)
        One a unit, its number from 0 above it. Red is positive, blue negative, white 0; all have
        the same scale. Of colour images each colour has its weights: a weight of 0 is half of it.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above, or the network is not built yet.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from fastnn import Network, plots
    >>> net = Network.from_sizes([64, 16, 10], output="softmax", seed=0)
    >>> [ax.get_title() for ax in plots.weights(net, n_images=3)]
    ['0', '1', '2']
    """
    if not isinstance(net, Network):
        raise TypeError(f"net must be a Network, got {shown(net)}")
    first = next(i for i, layer in enumerate(net.layers) if isinstance(layer, Dense))
    into_units = net.weights[first]
    size = _image_shape(shape, len(into_units))
    n_units = into_units.shape[1]
    n_shown = min(positive_int(n_images, "n_images"), n_units)
    largest = float(np.abs(into_units[:, :n_shown]).max()) or 1.0
    axes = panels(ax, n_shown, n_columns=_N_COLUMNS, width=0.95, height=1.1)
    for unit, panel in enumerate(axes):
        image = into_units[:, unit].reshape(size)
        if len(size) == 3:
            panel.imshow(0.5 + 0.5 * image / largest)
        else:
            drawn = panel.imshow(image, cmap="RdBu_r", vmin=-largest, vmax=largest)
        without_axes(panel, f"{unit}")
    if len(size) == 2:
        label = f"weight; {n_shown} of {n_units} units"
        axes[0].figure.colorbar(drawn, ax=list(axes), label=label, fraction=0.03)
    return axes


def misclassified(
    model: Any,
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    shape: Shape = None,
    n_images: int = 24,
    ax: Axes | None = None,
) -> Panels:
    """Draw the images that a classifier gets wrong, those first of which it is surest.

    Parameters
    ----------
    model : Network
        Or anything else with ``predict`` and ``predict_proba``, such as a classifier of
        scikit-learn's.
    X : array-like of shape (n_samples, n_pixels)
        Images, as rows.
    y : array-like of shape (n_samples,)
        The class of each sample.
    shape : (height, width) or (height, width, 3), optional
        Of the images. None: they are grey squares.
    n_images : int, optional
        The most to draw.
    ax : matplotlib.axes.Axes, optional
        Where to draw; None: into a figure of its own.

    Returns
    -------
    ndarray of Axes, shape (n_panels,)
        One an image: above it the true class, the predicted one and its probability. The smallest
        number of all images drawn is black, the largest one white. One panel says so where nothing
        is misclassified.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from fastnn import Network, plots
    >>> from fastnn.datasets import load_digits
    >>> X, y = load_digits()
    >>> net = Network.from_sizes([64, 16, 10], output="softmax", seed=0)
    >>> len(plots.misclassified(net, X, y, n_images=8))  # it is not trained
    8
    """
    samples, size = _images(X, shape)
    true = labels(y, "y")
    if len(true) != len(samples):
        raise ValueError(f"y must have shape ({len(samples)},), got {true.shape}")
    most = positive_int(n_images, "n_images")
    predicted, probabilities, _ = _predictions(model, X, len(samples))
    sure = probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != true)
    chosen = wrong[np.argsort(-sure[wrong], kind="stable")][:most]
    titles = [f"{label(true[i])} → {label(predicted[i])}\n{_percent(sure[i])}" for i in chosen]
    return _draw(samples[chosen].reshape(-1, *size), titles, "nothing is misclassified", ax)


def least_sure(
    model: Any,
    X: npt.ArrayLike,
    shape: Shape = None,
    n_images: int = 24,
    ax: Axes | None = None,
) -> Panels:
    """Draw the images of whose class a classifier is least sure, the least sure first.

    Parameters
    ----------
    model : Network
        Or anything else with ``predict`` and ``predict_proba``.
    X : array-like of shape (n_samples, n_pixels)
        Images, as rows.
    shape : (height, width) or (height, width, 3), optional
        Of the images. None: they are grey squares.
    n_images : int, optional
        The most to draw.
    ax : matplotlib.axes.Axes, optional
        Where to draw; None: into a figure of its own.

    Returns
    -------
    ndarray of Axes, shape (n_panels,)
        As `misclassified`; above each image the two most probable classes.

    Raises
    ------
    TypeError, ValueError, ImportError
        As `misclassified`.

    Examples
    --------
    >>> from fastnn import Network, plots
    >>> from fastnn.datasets import load_digits
    >>> X, y = load_digits()
    >>> net = Network.from_sizes([64, 16, 10], output="softmax", seed=0)
    >>> len(plots.least_sure(net, X, n_images=8))
    8
    """
    samples, size = _images(X, shape)
    most = positive_int(n_images, "n_images")
    _, probabilities, classes = _predictions(model, X, len(samples))
    chosen = np.argsort(probabilities.max(axis=1), kind="stable")[:most]
    titles = []
    for row in probabilities[chosen]:
        best = np.argsort(-row, kind="stable")[:2]
        titles.append("\n".join(f"{label(classes[j])}: {_percent(row[j])}" for j in best))
    return _draw(samples[chosen].reshape(-1, *size), titles, "there are no images", ax)


def _draw(images: Array, titles: Sequence[str], without: str, ax: Axes | None) -> Panels:
    longest = max(len(line) for title in titles or [without] for line in title.split("\n"))
    width = max(1.05, 0.075 * longest)  # inches, so that titles have room beside each other
    axes = panels(ax, max(len(images), 1), n_columns=_N_COLUMNS, width=width, height=1.45)
    if len(images) == 0:
        without_axes(axes[0], without)
        return axes
    low, high = float(images.min()), float(images.max())
    # Halves, whose difference is finite
    scaled = (images / 2 - low / 2) / ((high / 2 - low / 2) or 1.0)
    for panel, image, title in zip(axes, scaled, titles, strict=True):
        panel.imshow(image, cmap="gray", vmin=0, vmax=1)  # the map is of grey ones
        without_axes(panel, title)
    return axes


def _percent(share: float) -> str:
    """Rounded, but never to a certainty that there is not."""
    return f"{100 * share:.0f} %" if share < 0.995 or share == 1 else "> 99 %"


def _images(X: Any, shape: Shape) -> tuple[Array, tuple[int, ...]]:
    """`X` as an array of shape (n_samples, n_pixels), and the shape of an image."""
    samples = numbers(X, "X")
    if samples.ndim != 2:
        raise ValueError(f"X must have shape (n_samples, n_pixels), got {samples.shape}")
    return samples.astype(np.float64), _image_shape(shape, samples.shape[1])


def _image_shape(shape: Any, n_pixels: int) -> tuple[int, ...]:
    if shape is None:
        side = math.isqrt(n_pixels)
        if side * side != n_pixels:
            raise ValueError(f"shape must be given: {n_pixels} columns are no square image")
        return side, side
    expected = "(height, width) or (height, width, 3)"
    if isinstance(shape, str) or not isinstance(shape, Sequence):
        raise TypeError(f"shape must be {expected}, got {shown(shape)}")
    size = tuple(positive_int(side, "shape") for side in shape)
    if len(size) not in (2, 3) or (*size, 3)[2] != 3:
        raise ValueError(f"shape must be {expected}, got {size}")
    if math.prod(size) != n_pixels:
        raise ValueError(f"shape must have {n_pixels} pixels, as a row has, got {size}")
    return size


def _predictions(model: Any, X: Any, n_samples: int) -> tuple[Array, Array, Sequence[Any]]:
    """The predicted classes, the probabilities of all classes, and their names."""
    for method in ("predict", "predict_proba"):
        if not callable(getattr(model, method, None)):
            raise TypeError(f"model must have a method {method}, got {shown(model)}")
    predicted, probabilities = np.asarray(model.predict(X)), np.asarray(model.predict_proba(X))
    if predicted.shape != (n_samples,) or probabilities.ndim != 2:
        raise ValueError(
            "model must predict one class a sample, got predictions of shape "
            f"{predicted.shape} and probabilities of shape {probabilities.shape}"
        )
    probabilities = probabilities.astype(np.float64)
    if probabilities.shape[1] == 1:  # of class 1
        probabilities = np.hstack([1 - probabilities, probabilities])
    return predicted, probabilities, getattr(model, "classes_", range(probabilities.shape[1]))

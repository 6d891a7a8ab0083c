"""How good predicted numbers are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastnn._validation import numbers
from fastnn.metrics import r2
from fastnn.plots.figures import COLOURS, GREY, LARGEST, legend, plain, single

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# More points than this are an image within a picture that is else made of lines.
_MOST_SHAPES = 500


def predicted_vs_true(y_true: npt.ArrayLike, y_pred: npt.ArrayLike, ax: Axes | None = None) -> Axes:
    """Draw predicted against true numbers: on the diagonal, they are the same.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
        True and predicted numbers, in the same unit.
    ax : matplotlib.axes.Axes, optional
        Where to draw; None: into a figure of its own.

    Returns
    -------
    Axes
        A point for each sample. The legend tells R2, the coefficient of determination, where the
        true numbers differ.

    Raises
    ------
    TypeError
        If an argument is not numbers.
    ValueError
        If a shape is not as above, there is no sample, or a number is one that no axis reaches.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from fastnn import plots
    >>> ax = plots.predicted_vs_true([1.0, 2.0, 3.0], [1.5, 2.0, 2.5])
    >>> ax.lines[-1].get_label()
    'R2 0.750'
    """
    true, predicted = _series(y_true, "y_true"), _series(y_pred, "y_pred")
    if predicted.shape != true.shape:
        raise ValueError(f"y_pred must have shape {true.shape}, as y_true, got {predicted.shape}")
    # Their squares shall be finite
    largest = max(float(np.abs(true).max()), float(np.abs(predicted).max()), 1 / LARGEST)
    score = f"R2 {r2(true / largest, predicted / largest):.3f}" if np.ptp(true) > 0 else "samples"
    ax = single(ax, 4.6, 4.2)
    low = float(min(true.min(), predicted.min()))
    high = float(max(true.max(), predicted.max()))
    ax.plot([low, high], [low, high], color=GREY, linestyle=":", label="the same")
    ax.plot(
        true,
        predicted,
        linestyle="",
        marker=".",
        markersize=float(np.clip(120 / np.sqrt(len(true)), 2, 8)),
        alpha=float(np.clip(20 / np.sqrt(len(true)), 0.1, 0.8)),
        markeredgewidth=0,
        color=COLOURS[0],
        rasterized=len(true) > _MOST_SHAPES,
        label=score,
    )
    ax.set(xlabel="true", ylabel="predicted")
    plain(ax)
    legend(ax, loc="upper left")
    return ax


def _series(value: Any, name: str) -> npt.NDArray[np.float64]:
    array = numbers(value, name).astype(np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} must have shape (n_samples,), not empty, got {array.shape}")
    if not (np.abs(array) <= LARGEST).all():
        raise ValueError(f"{name} must be numbers from -{LARGEST} to {LARGEST}")
    return array

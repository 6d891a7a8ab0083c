"""The curves that a diagnosis rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastnn._validation import shown
from fastnn.diagnosis import Diagnosis
from fastnn.plots.curves import draw_by_epoch
from fastnn.plots.figures import COLOURS, GREY, Panels, legend, panels, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def diagnosis(found: Diagnosis, ax: Axes | None = None) -> Panels:
    """Draw what `fastnn.diagnose` found: the loss by epoch, and the error by number of samples.

    Parameters
    ----------
    found : Diagnosis
        What `fastnn.diagnose` has returned.
    ax : matplotlib.axes.Axes, optional
        A subplot, in whose place to draw. None: in a figure of its own, which a notebook shows.

    Returns
    -------
    ndarray of Axes, shape (2,)
        Loss by epoch of a copy, in training and in validation; error by number of samples.

    Raises
    ------
    TypeError
        If an argument is not as above.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from fastnn import Network, diagnose, plots
    >>> from fastnn.datasets import load_digits
    >>> X, y = load_digits()
    >>> net = Network.from_sizes([64, 16, 10], output="softmax", seed=0)
    >>> by_epoch, by_samples = plots.diagnosis(diagnose(net, X, y))
    >>> by_samples.get_xlabel()
    'samples to train on'
    """
    if not isinstance(found, Diagnosis):
        raise TypeError(f"found must be what diagnose returns, got {shown(found)}")
    axes = panels(ax, 2, n_columns=2, width=4.8, height=3.6)
    curve, history = found.learning_curve, found.history
    names = [name for name in ("loss", "val_loss") if history.get(name)]
    losses = {name: [np.array(history[name])] for name in names}
    if losses:  # a copy may have diverged in its first epoch
        draw_by_epoch(axes[0], "loss", losses)
    right = axes[1]
    for i, (name, values) in enumerate(
        (("training", curve.training_error), ("validation", curve.validation_error))
    ):
        right.plot(curve.n_samples, values, color=COLOURS[i], marker="o", label=name)
    right.axhline(found.baseline_error, color=GREY, linestyle="--", label="baseline")
    right.set(xlabel="samples to train on", ylabel=found.measure, xscale="log")
    right.set_ylim(bottom=0)
    plain(right)
    legend(right)
    return axes

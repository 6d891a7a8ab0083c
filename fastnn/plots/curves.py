"""Curves of the training: by epoch, and by learning rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastnn._validation import numbers, shown
from fastnn.metrics import larger_is_better
from fastnn.plots.figures import (
    COLOURS,
    GREY,
    LARGEST,
    Panels,
    colour,
    label,
    legend,
    panels,
    plain,
    single,
)
from fastnn.range_test import RangeTest

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[np.float64]
#: What `Network.fit` returns, or any mapping of names to a value an epoch.
HistoryLike = Mapping[str, Sequence[float]]


def learning_curves(history: HistoryLike | Sequence[HistoryLike], ax: Axes | None = None) -> Panels:
    """Draw what `Network.fit` returned by epoch, of one training or of several alike.

    Parameters
    ----------
    history : mapping of str to sequence of float, or sequence of them
        One value an epoch under each name. Names that end in ``accuracy`` (in ``[0, 1]``), and
        other metrics that are to grow, get panels of their own; all others are in the first one,
        which is logarithmic if its values are positive and span more than a factor of 10. The
        learning rate is left out. Of several trainings, from other seeds say, the mean is drawn,
        and a band from the least to the greatest, over those that have reached the epoch.
    ax : matplotlib.axes.Axes, optional
        Where to draw; None: into a figure of its own.

    Returns
    -------
    ndarray of Axes, shape (n_panels,)
        Of losses, of accuracies, of scores: those that there are, in this order.

    Raises
    ------
    TypeError
        If `history` is no mapping of names to series of numbers, nor a sequence of them.
    ValueError
        If it is empty, or holds an empty series or a number that no axis reaches, or trainings that
        have measured something else than the first one.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from fastnn import History, plots
    >>> axes = plots.learning_curves(History(loss=[0.5, 0.25], val_loss=[0.75, 0.5]))
    >>> axes[0].get_ylabel()
    'loss'
    """
    runs = _runs(history)
    kinds = {kind: [name for name in runs[0] if _kind(name) == kind] for kind in _KINDS}
    kinds = {kind: names for kind, names in kinds.items() if names}
    axes = panels(ax, len(kinds), n_columns=len(kinds), width=4.8, height=3.6)
    for panel, (kind, names) in zip(axes, kinds.items(), strict=True):
        draw_by_epoch(panel, kind, {name: [run[name] for run in runs] for name in names})
    return axes


# A logarithmic axis reaches up to here, so that the numbers at its ends are finite.
_LARGEST_LOGARITHMIC = 1e250

_KINDS = ("loss", "accuracy", "score")


def _kind(name: str) -> str:
    if name.endswith("accuracy"):
        return "accuracy"
    return "score" if larger_is_better(name) else "loss"


def draw_by_epoch(ax: Axes, kind: str, curves: Mapping[str, Sequence[Array]]) -> None:
    """`curves` has the values of each training under a name."""
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    for i, (name, of_runs) in enumerate(curves.items()):
        n_epochs = max(map(len, of_runs))
        values = np.full((len(of_runs), n_epochs), np.nan)
        for row, run in zip(values, of_runs, strict=True):
            row[: len(run)] = run
        epochs = np.arange(1, n_epochs + 1)
        # A single epoch is no line
        marker = "o" if n_epochs == 1 else ""
        mean = np.nanmean(values, axis=0)
        ax.plot(epochs, mean, color=colour(i), marker=marker, linewidth=1.8, label=label(name))
        if len(of_runs) > 1:
            low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
            ax.fill_between(epochs, low, high, color=colour(i), alpha=0.2, linewidth=0)
    everything = np.concatenate([run for of_runs in curves.values() for run in of_runs])
    if kind == "accuracy":
        ax.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        ax.set_ylim(top=1.0 + 0.02 * (1 - min(everything.min(), 0.9)))
    elif kind == "loss":
        _choose_scale(ax, everything)
    ax.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    ax.set(xlabel="epoch", ylabel=kind)
    n_runs = len(next(iter(curves.values())))
    if n_runs > 1:
        ax.set_title(f"mean and range of {n_runs} trainings", fontsize="medium")
    plain(ax)
    legend(ax)


def _choose_scale(ax: Axes, values: Array) -> None:
    """A logarithmic axis for positive values that span more than a factor of 10."""
    from matplotlib.ticker import LogLocator, NullFormatter

    low, high = values.min(), values.max()
    if low >= 1 / _LARGEST_LOGARITHMIC and 10 * low < high <= _LARGEST_LOGARITHMIC:
        ax.set_yscale("log")
        is_narrow = high / 100 < low  # for powers of ten alone
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if is_narrow else (1,)))
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ax.yaxis.set_minor_formatter(NullFormatter())


def learning_rate_range(found: RangeTest, ax: Axes | None = None) -> Axes:
    """Draw what `fastnn.find_learning_rate` found: the loss by rate, and the suggestion.

    Parameters
    ----------
    found : RangeTest
        What `fastnn.find_learning_rate` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; None: into a figure of its own.

    Returns
    -------
    Axes
        The rate is on a logarithmic axis.

    Raises
    ------
    TypeError
        If an argument is not as above.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from fastnn import Network, find_learning_rate, plots
    >>> from fastnn.datasets import load_digits
    >>> net = Network.from_sizes([64, 16, 10], output="softmax", seed=0)
    >>> ax = plots.learning_rate_range(find_learning_rate(net, *load_digits()))
    >>> ax.get_xscale()
    'log'
    """
    if not isinstance(found, RangeTest):
        raise TypeError(f"found must be what find_learning_rate returns, got {shown(found)}")
    ax = single(ax, 5.4, 3.6)
    ax.plot(found.rates, found.losses, color=GREY, alpha=0.5, linewidth=1, label="of each step")
    ax.plot(found.rates, found.smoothed, color=COLOURS[0], linewidth=1.8, label="running mean")
    if found.suggestion is not None:
        text = f"suggestion: {found.suggestion:.2g}"
        ax.axvline(found.suggestion, color=COLOURS[1], linestyle="--", label=text)
    ax.set_xscale("log")
    _choose_scale(ax, found.losses)
    ax.set(xlabel="learning rate", ylabel="loss")
    plain(ax)
    legend(ax)
    return ax


def _runs(history: Any) -> list[dict[str, Array]]:
    """The series of each training, checked, without the learning rate."""
    if isinstance(history, Mapping):
        runs = [_run(history, "history")]
    elif isinstance(history, Sequence) and not isinstance(history, str):
        runs = [_run(run, f"history[{i}]") for i, run in enumerate(history)]
    else:
        raise TypeError(
            "history must be what fit returns, a mapping of names to series, or a sequence of "
            f"them, got {shown(history)}"
        )
    if not runs:
        raise ValueError("history must hold at least one training, got none")
    for i, run in enumerate(runs):
        if set(run) != set(runs[0]):
            raise ValueError(
                f"history[{i}] must have the series of history[0], {', '.join(runs[0])}, got "
                f"{', '.join(run)}"
            )
    return runs


def _run(history: Any, name: str) -> dict[str, Array]:
    if not isinstance(history, Mapping):
        raise TypeError(
            f"{name} must be what fit returns, a mapping of names to series, got {shown(history)}"
        )
    for key in history:
        if not isinstance(key, str):
            raise TypeError(f"the keys of {name} must be str, got {shown(key)}")
    run = {
        key: _series(values, f"{name}[{key!r}]")
        for key, values in history.items()
        if key != "learning_rate"
    }
    if not run:
        raise ValueError(f"{name} must hold at least one series, got none")
    return run


def _series(values: object, name: str) -> Array:
    array = numbers(values, name)
    if array.ndim != 1 or array.size == 0 or not (np.abs(array) <= LARGEST).all():
        raise ValueError(
            f"{name} must be a non-empty series of numbers from -{LARGEST} to {LARGEST}"
        )
    return array.astype(np.float64)

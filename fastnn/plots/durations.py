"""Durations: as bars, and in words."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING

from fastnn._validation import shown
from fastnn.plots.figures import GREY, LARGEST, colour, label, plain, single

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LONGEST_LINE = 100  # of a caption, in letters: the width of a picture


def bar_chart(
    groups: Mapping[str, Mapping[str, float]],
    *,
    title: str,
    caption: Sequence[str] = (),
    ax: Axes | None = None,
) -> Axes:
    """Draw positive durations as horizontal bars on one logarithmic axis, in groups.

    Parameters
    ----------
    groups : mapping of str to mapping of str to float
        The bars of each group, label to duration in seconds; one label has one colour throughout.
    title : str
        Above the axis.
    caption : sequence of str, optional
        Lines of text below the axis; long ones are broken.
    ax : matplotlib.axes.Axes, optional
        Where to draw; None: into a figure of its own.

    Returns
    -------
    Axes
        One panel with all groups.

    Raises
    ------
    TypeError
        If an argument is not as above.
    ValueError
        If there is no bar, or a duration is not positive, or no axis reaches it.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from fastnn import plots
    >>> ax = plots.bar_chart({"digits": {"one": 1e-3, "other": 2e-2}}, title="an epoch")
    >>> [f"{bar.get_width():g}" for bar in ax.patches]
    ['0.001', '0.02']
    """
    _check(groups, title, caption)
    n_bars = sum(len(bars) + 1 for bars in groups.values())  # a group's name takes the place of one
    lines = [part for line in caption for part in textwrap.wrap(line, _LONGEST_LINE)]
    ax = single(ax, 9.0, 1.4 + 0.24 * n_bars + 0.16 * len(lines))
    labels = list(dict.fromkeys(key for bars in groups.values() for key in bars))
    values = [value for bars in groups.values() for value in bars.values()]
    # Bars of a logarithmic axis need a floor: the decade below the shortest.
    floor = 10.0 ** (math.ceil(math.log10(min(values))) - 1)
    places: list[float] = []
    y = 0.0
    for name, bars in groups.items():
        ax.text(
            0.0,
            y,
            f" {label(name).strip()}",
            weight="bold",
            va="center",
            transform=ax.get_yaxis_transform(),
        )
        for key, value in bars.items():
            y += 1
            ax.barh(y, value, height=0.75, color=colour(labels.index(key)))
            ax.annotate(
                format_duration(value),
                (value, y),
                (4, 0),
                textcoords="offset points",
                va="center",
                fontsize="small",
                color=GREY,
            )
            places.append(y)
        y += 1.4
    ax.set_xlim(floor, 3 * max(values))  # with room for the text behind the longest
    ax.set_xscale("log")
    ax.set_ylim(y - 0.8, -0.8)
    ax.set_yticks(places, [label(key) for bars in groups.values() for key in bars])
    ax.xaxis.set_major_formatter(lambda seconds, _: format_duration(seconds))
    ax.tick_params(axis="y", length=0)
    plain(ax)
    ax.grid(visible=False, axis="y")
    ax.set_title(title)
    ax.set_xlabel("\n".join(["duration", *lines]), fontsize="small")
    return ax


def _check(
    groups: Mapping[str, Mapping[str, float]], title: object, caption: Sequence[str]
) -> None:
    if not isinstance(groups, Mapping):
        raise TypeError(f"groups must be a mapping of names to groups, got {shown(groups)}")
    for name, bars in groups.items():
        what = f"groups[{_name(name, 'groups')!r}]"
        if not isinstance(bars, Mapping):
            raise TypeError(f"{what} must be a mapping of labels to seconds, got {shown(bars)}")
        for key, value in bars.items():
            _name(key, what)
            if isinstance(value, bool) or not isinstance(value, Real):
                place = f"{what}[{key!r}]"
                raise TypeError(f"{place} must be a number of seconds, got {shown(value)}")
    if not isinstance(title, str):
        raise TypeError(f"title must be a str, got {shown(title)}")
    is_caption = isinstance(caption, Sequence) and not isinstance(caption, str)
    if not (is_caption and all(isinstance(line, str) for line in caption)):
        raise TypeError(f"caption must be a sequence of str, got {shown(caption)}")
    values = [value for bars in groups.values() for value in bars.values()]
    if not values:
        raise ValueError("groups must hold at least one bar, got none")
    if not all(1 / LARGEST <= value <= LARGEST for value in values):
        raise ValueError(f"groups must hold durations from {1 / LARGEST} to {LARGEST} seconds")


def _name(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"the keys of {what} must be str, got {shown(value)}")
    return value


def format_duration(seconds: float) -> str:
    """A duration in words: up to three digits and a unit.

    Parameters
    ----------
    seconds : float
        The duration, in s.

    Returns
    -------
    str
        Such as ``"12.3 ms"``.

    Examples
    --------
    >>> from fastnn.plots import format_duration
    >>> [format_duration(seconds) for seconds in (1.5e-6, 0.0123, 90.0)]
    ['1.5 us', '12.3 ms', '90 s']
    """
    for unit, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if seconds >= unit * (1 - 1e-9):
            value = seconds / unit
            return f"{value:.0f} {name}" if value >= 100 else f"{value:.3g} {name}"
    return f"{seconds / 1e-9:.3g} ns"

"""What the columns of a table are worth."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import TYPE_CHECKING

from fastnn._validation import shown
from fastnn.plots.figures import COLOURS, LARGEST, label, plain, single

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_BARS = 25


def importance(falls: Mapping[str, float], ax: Axes | None = None) -> Axes:
    """Draw what each column is worth, as horizontal bars with the largest above.

    Parameters
    ----------
    falls : mapping of str to float
        By column, how far a score falls where its values are shuffled: what
        `fastnn.tabular.TabularModel.importance` gives. Of more than 25 columns, the 25 with the
        largest falls are drawn.
    ax : matplotlib.axes.Axes, optional
        Where to draw; None: into a figure of its own.

    Returns
    -------
    Axes
        One bar a column.

    Raises
    ------
    TypeError
        If `falls` is not such a mapping.
    ValueError
        If it is empty, or a number is one that no axis reaches.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from fastnn import plots
    >>> ax = plots.importance({"size": 0.5, "town": 0.125})
    >>> [float(bar.get_width()) for bar in ax.patches]
    [0.5, 0.125]
    """
    if not isinstance(falls, Mapping):
        raise TypeError(f"falls must be a mapping of columns to numbers, got {shown(falls)}")
    if not falls:
        raise ValueError("falls must hold at least one column, got none")
    for name, fall in falls.items():
        if isinstance(fall, bool) or not isinstance(fall, Real):
            raise TypeError(f"falls[{name!r}] must be a number, got {shown(fall)}")
        if not abs(fall) <= LARGEST:
            raise ValueError(f"falls[{name!r}] must be from -{LARGEST} to {LARGEST}, got {fall}")
    drawn = sorted(falls, key=lambda name: -falls[name])[:_MOST_BARS]
    places = range(len(drawn))
    ax = single(ax, 6.4, 1.2 + 0.28 * len(drawn))
    ax.barh(places, [falls[name] for name in drawn], color=COLOURS[0], height=0.75)
    ax.set_yticks(places, [label(name) for name in drawn])
    ax.set_ylim(len(drawn) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("fall of the score where the column is shuffled")
    if len(drawn) < len(falls):
        ax.set_title(f"{len(drawn)} of {len(falls):,} columns", fontsize="medium")
    plain(ax)
    ax.grid(visible=False, axis="y")
    return ax

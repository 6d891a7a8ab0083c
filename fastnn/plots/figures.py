"""Where pictures are drawn, and their colours."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastnn._extras import import_extra
from fastnn._progress import is_in_notebook
from fastnn._validation import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: One-dimensional, of `matplotlib.axes.Axes`.
Panels = npt.NDArray[np.object_]

# Okabe and Ito's palette, which readers with any colour vision can tell apart, and a grey.
COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442", "#999999",
)  # fmt: skip
GREY = "#777777"

_LONGEST = 40  # letters of a name

#: Axes reach up to here, so that differences between values are finite.
LARGEST = 1e300


def colour(i: int) -> str:
    """The colour of the i-th thing, from 0; the palette repeats."""
    return COLOURS[i % len(COLOURS)]


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of that size.

    Parameters
    ----------
    width, height : float
        In inches.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    matplotlib = import_extra("matplotlib", "matplotlib", "plot")
    from matplotlib.figure import Figure

    options: dict[str, Any] = {"figsize": (width, height), "layout": "constrained"}
    # pyplot keeps every figure of its own until somebody closes it, so a program that draws a
    # thousand pictures would keep a thousand. It gets those figures alone that it shows without
    # being asked: in a notebook, which shows them at the end of the cell and closes them, and in
    # interactive mode. All others live as long as the Axes that the caller gets.
    if is_in_notebook() or matplotlib.is_interactive():
        from matplotlib import pyplot

        return pyplot.figure(**options)
    return Figure(**options)


def single(ax: Axes | None, width: float, height: float) -> Axes:
    """`ax`, checked, or those of a new figure of that size in inches."""
    if ax is None:
        return new_figure(width, height).add_subplot()
    return _checked(ax)


def panels(
    ax: Axes | None, n_panels: int, *, n_columns: int, width: float, height: float
) -> Panels:
    """Axes in rows of at most `n_columns`, in the place of `ax` or in a new figure.

    Parameters
    ----------
    ax : Axes or None
        Has no axis of its own afterwards.
    n_panels, n_columns : int
    width, height : float
        Of a panel of a new figure, in inches.

    Returns
    -------
    ndarray of Axes, shape (n_panels,)

    Raises
    ------
    TypeError, ValueError
        If `ax` cannot be divided.
    """
    n_columns = min(n_columns, n_panels)
    n_rows = math.ceil(n_panels / n_columns)
    figure: Any
    if ax is None:
        figure = new_figure(width * n_columns, height * n_rows)
        grid = figure.add_gridspec(n_rows, n_columns)
    else:
        place = _checked(ax).get_subplotspec()
        if place is None:
            raise ValueError(
                "ax must be a subplot, which can be divided; make it by plt.subplots()"
            )
        figure = ax.figure
        grid = place.subgridspec(n_rows, n_columns)
        ax.set_axis_off()
    axes = np.empty(n_panels, object)
    for i in range(n_panels):
        axes[i] = figure.add_subplot(grid[divmod(i, n_columns)])
    return axes


def _checked(ax: Any) -> Axes:
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        raise TypeError(f"ax must be a matplotlib Axes or None, got {shown(ax)}")
    return ax


def label(value: Any) -> str:
    """A name as matplotlib writes it: in one line, not too long, and never as a formula."""
    text = " ".join(str(value).split())
    if len(text) > _LONGEST:
        text = text[: _LONGEST - 1] + "…"
    if not text or text.startswith("_"):  # which a legend leaves out
        text = f" {text}"
    return text.replace("$", r"\$")


def plain(ax: Axes) -> None:
    """Leaves the left and the lower axis, and a light grid behind the data."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25)
    ax.set_axisbelow(True)


def legend(ax: Axes, **options: Any) -> None:
    """Names of what is drawn, which can be read also where lines pass below them."""
    ax.legend(fontsize="small", framealpha=0.8, edgecolor="none", **options)


def without_axes(ax: Axes, text: str) -> None:
    """An image or a text alone, with `text` above it."""
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.set_title(text, fontsize="small")

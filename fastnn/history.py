"""What a training run has measured, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import _validation
from fastnn._extras import import_extra
from fastnn._html import html_table
from fastnn.metrics import larger_is_better

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fastnn.plots.figures import Panels

_N_ROWS = 20  # of a table, unless told otherwise


class History(dict[str, list[float]]):
    """A mapping of names to lists of numbers, one an epoch; it prints as a table.

    It is made as a `dict` is: of a mapping of str to list of float, of pairs, or of keywords.

    Notes
    -----
    ``"loss"`` and ``"accuracy"`` are those of the training samples, each mini-batch's taken before
    its update; names that begin with ``"val_"`` are measured on the validation data after the
    epoch.

    Examples
    --------
    >>> from fastnn.history import History
    >>> print(History(loss=[0.5, 0.25], val_loss=[0.75, 0.5]))
    epoch        loss    val_loss
        1      0.5000      0.7500
        2      0.2500      0.5000
    """

    @property
    def n_epochs(self) -> int:
        """Epochs that every list holds."""
        return min(map(len, self.values()), default=0)

    def copy(self) -> History:
        """A history with lists of its own.

        Returns
        -------
        History
            Of the same numbers.

        Examples
        --------
        >>> from fastnn.history import History
        >>> before = History(loss=[0.5])
        >>> after = before.copy()
        >>> after["loss"].append(0.25)
        >>> before.n_epochs, after.n_epochs
        (1, 2)
        """
        return History((name, list(values)) for name, values in self.items())

    def last(self) -> dict[str, float]:
        """What the last epoch has given, by name.

        Returns
        -------
        dict of str to float
            Empty where there is no name.

        Examples
        --------
        >>> from fastnn.history import History
        >>> History(loss=[0.5, 0.25]).last()
        {'loss': 0.25}
        """
        return {name: values[-1] for name, values in self.items()}

    def cut(self, n_epochs: int) -> None:
        """Forgets all epochs but the first `n_epochs`.

        Parameters
        ----------
        n_epochs : int
            How many stay.

        Examples
        --------
        >>> from fastnn.history import History
        >>> history = History(loss=[0.5, 0.25, 0.125])
        >>> history.cut(2)
        >>> history["loss"]
        [0.5, 0.25]
        """
        for values in self.values():
            del values[n_epochs:]

    def table(self, n_rows: int = _N_ROWS) -> str:
        """The first epoch, the last one, and those evenly spaced between.

        Parameters
        ----------
        n_rows : int
            The most to show.

        Returns
        -------
        str
            A line for the names and one for each of these epochs.

        Raises
        ------
        TypeError, ValueError
            If `n_rows` is not a positive integer.

        Examples
        --------
        >>> from fastnn.history import History
        >>> print(History(loss=[0.5, 0.25, 0.125]).table(n_rows=2))
        epoch        loss
            1      0.5000
            3      0.1250
        """
        epochs = self._spaced(_validation.positive_int(n_rows, "n_rows"))
        widths = {name: max(12, len(name) + 2) for name in self}
        lines = ["epoch" + "".join(f"{name:>{width}}" for name, width in widths.items())]
        for epoch in epochs:
            cells = (f"{format_number(self[name][epoch - 1]):>{widths[name]}}" for name in self)
            lines.append(f"{epoch:>5}" + "".join(cells))
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.table()

    __repr__ = __str__

    def _spaced(self, n_rows: int) -> list[int]:
        """At most so many epochs, from 1, evenly spaced from the first to the last one."""
        n_rows = min(n_rows, self.n_epochs)
        epochs: list[int] = np.linspace(1, self.n_epochs, n_rows).round().astype(int).tolist()
        return epochs

    @property
    def best_epochs(self) -> dict[str, int]:
        """By name the first of the best epochs, from 1, where the name tells what is better.

        Examples
        --------
        >>> from fastnn.history import History
        >>> History(loss=[0.5, 0.25, 0.125], val_loss=[0.75, 0.5, 0.625]).best_epochs
        {'loss': 3, 'val_loss': 2}
        """
        best = {}
        for name, values in self.items():
            measured = np.array(values[: self.n_epochs], float)
            larger = larger_is_better(name)
            if larger is not None and not np.isnan(measured).all():
                find = np.nanargmax if larger else np.nanargmin
                best[name] = int(find(measured)) + 1
        return best

    def _repr_html_(self) -> str:
        """What a notebook shows: the table, with the best epochs in it and marked."""
        best = self.best_epochs
        epochs = sorted({*self._spaced(_N_ROWS), *best.values()})
        names = list(self)
        rows = [
            [str(epoch), *(format_number(self[name][epoch - 1]) for name in names)]
            for epoch in epochs
        ]
        bold = frozenset(
            (epochs.index(epoch), 1 + names.index(name)) for name, epoch in best.items()
        )
        caption = f"{self.n_epochs:,} epoch" + "s" * (self.n_epochs != 1)
        if len(epochs) < self.n_epochs:
            caption += f", {len(epochs)} of them shown"
        if best:
            caption += "; the best of each column is bold"
        return html_table(["epoch", *names], rows, caption, align="right", bold=bold)

    def plot(self, ax: Axes | None = None) -> Panels:
        """The learning curves by epoch; see `fastnn.plots.learning_curves`.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            A subplot, in whose place to draw. None: in a figure of its own, which a notebook shows.
            ``history.plot()[0].figure.savefig("curves.png")`` keeps it.

        Returns
        -------
        ndarray of Axes, shape (n_panels,)
            Of losses, of accuracies, of other scores: those that there are, in this order.

        Raises
        ------
        TypeError
            If `ax` is not as above.
        ValueError
            If there is no epoch, or a number that is not finite.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from fastnn.history import History
        >>> panels = History(loss=[0.5, 0.25], accuracy=[0.8, 0.9]).plot()
        >>> [panel.get_ylabel() for panel in panels]
        ['loss', 'accuracy']
        """
        from fastnn import plots  # here: most programs draw nothing

        return plots.learning_curves(self, ax)

    def to_frame(self) -> Any:
        """A data frame with a column a name and a row an epoch, whose index counts from 1.

        Returns
        -------
        pandas.DataFrame
            Of float64, NaN where an epoch has no number.

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> from fastnn.history import History
        >>> History(loss=[0.5, 0.25]).to_frame()
               loss
        epoch
        1      0.50
        2      0.25
        """
        frame = data_frame({name: np.array(values, float) for name, values in self.items()})
        frame.index = frame.index.rename("epoch") + 1
        return frame


def data_frame(columns: Mapping[str, Any]) -> Any:
    """A pandas.DataFrame; ImportError with the remedy where there is none."""
    return import_extra("pandas", "pandas", "data").DataFrame(columns)


def format_number(value: float) -> str:
    """Four decimals, or four digits where these would say little."""
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.3e}"

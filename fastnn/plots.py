"""Pictures of a training run, as SVG text: nothing but Python is needed to draw them.

Every function returns a whole SVG document. To keep one::

    Path("learning_curves.svg").write_text(plots.learning_curves(history), encoding="utf-8")
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from numbers import Real

import numpy as np
import numpy.typing as npt

from fastnn._validation import numbers, shown
from fastnn.metrics import larger_is_better

__all__ = [
    "Picture",
    "bar_chart",
    "decision_regions",
    "format_duration",
    "learning_curves",
    "misclassified",
    "range_test",
]

# Okabe and Ito's palette, which readers with any colour vision can tell apart, and a grey.
_COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442", "#999999",
)  # fmt: skip
_INK, _GREY, _GRID = "#222222", "#666666", "#e4e4e4"

# Axes reach up to here, so that powers of ten around and differences between values are finite.
_LARGEST = 1e300


class Picture(str):
    """The text of an SVG document, which a notebook shows as a picture."""

    def _repr_svg_(self) -> str:
        return str(self)


def learning_curves(history: Mapping[str, Sequence[float]]) -> Picture:
    """Draw what `Network.fit` returned by epoch: losses and errors, accuracies, scores, the rate.

    Parameters
    ----------
    history : mapping of str to sequence of float
        One value an epoch under each name. Names that end in ``accuracy`` (in ``[0, 1]``),
        ``learning_rate``, and other metrics that are to grow get panels of their own; all others
        are in the first one. Axes but those of accuracies and scores are logarithmic if they can.

    Returns
    -------
    svg : str

    Raises
    ------
    TypeError
        If `history` is no mapping of names to series of numbers.
    ValueError
        If `history` is empty, or holds an empty series or a number that no axis reaches.
    """
    if not isinstance(history, Mapping):
        raise TypeError(
            f"history must be what fit returns, a mapping of names to series, got {shown(history)}"
        )
    if not history:
        raise ValueError("history must hold at least one series, got none")
    checked = {
        _name(name, "history"): _series(values, f"history[{name!r}]")
        for name, values in history.items()
    }
    checked.pop("learning_rate", None)
    accuracies = {name: v for name, v in checked.items() if name.endswith("accuracy")}
    rates = {name: v for name, v in checked.items() if name == "learning_rate"}
    scores = {
        name: v for name, v in checked.items() if name not in accuracies and larger_is_better(name)
    }
    losses = {name: v for name, v in checked.items() if name not in {*accuracies, *rates, *scores}}
    named = {"loss": losses, "accuracy": accuracies, "score": scores, "learning rate": rates}
    panels = {title: series for title, series in named.items() if series}
    width = 440
    parts = [
        _line_panel(title, series, left=width * i)
        for i, (title, series) in enumerate(panels.items())
    ]
    return _document(width * len(panels), 320, "Learning curves", parts)


def range_test(rates: npt.ArrayLike, losses: npt.ArrayLike, suggestion: float | None = None) -> str:
    """Draw what `find_learning_rate` found: the loss by rate, on a logarithmic axis of rates.

    Parameters
    ----------
    rates : array-like of shape (n_steps,)
        Positive, each larger than the one before.
    losses : array-like of shape (n_steps,)
    suggestion : float, optional
        A rate that is marked.

    Returns
    -------
    svg : str

    Raises
    ------
    TypeError
        If an argument is not as above.
    ValueError
        If there are fewer than two rates, or they do not grow from above 0, or another number of
        losses, or an axis does not reach a number.
    """
    xs, ys = _series(rates, "rates"), _series(losses, "losses")
    if len(xs) < 2 or xs[0] < 1 / _LARGEST or not (np.diff(xs) > 0).all():
        raise ValueError("rates must be at least two positive numbers that grow")
    if len(ys) != len(xs):
        raise ValueError(f"losses must have length {len(xs)}, as rates, got {len(ys)}")
    x0, x1, y0, y1 = 62.0, 560.0, 262.0, 48.0
    x, y = (
        _Scale(xs[0], xs[-1], x0, x1, True),
        _value_scale(ys, y0, y1, percent=False, linear=False),
    )
    parts = [_text(x0, 28, "loss", size=16, anchor="start")]
    for tick in y.ticks():
        parts += [
            _line(x0, y(tick), x1, y(tick)),
            _text(x0 - 8, y(tick) + 4, f"{tick:g}", colour=_GREY, anchor="end"),
        ]
    for tick in x.ticks():
        parts += [
            _line(x(tick), y0, x(tick), y0 + 4, _GREY),
            _text(x(tick), y0 + 18, f"{tick:g}", colour=_GREY),
        ]
    parts.append(_line(x0, y0, x1, y0, _GREY))
    parts.append(_text((x0 + x1) / 2, y0 + 38, "learning rate", colour=_GREY))
    points = " ".join(f"{x(rate):.1f},{y(loss):.1f}" for rate, loss in zip(xs, ys, strict=True))
    parts.append(
        f'<polyline class="curve" points="{points}" fill="none" stroke="{_COLOURS[0]}"'
        ' stroke-width="2" stroke-linejoin="round"/>'
    )
    if suggestion is not None:
        (rate,) = _series([suggestion], "suggestion")
        if not xs[0] <= rate <= xs[-1]:
            raise ValueError(f"suggestion must be among the rates, got {shown(suggestion)}")
        parts.append(_line(x(rate), y0, x(rate), y1, _COLOURS[1]))
        parts.append(_text(x(rate), 40, f"{rate:.2g}", colour=_COLOURS[1]))
    return _document(580, 320, "Learning-rate range test", parts)


def misclassified(
    images: npt.ArrayLike,
    y: Sequence[object] | npt.NDArray[np.generic],
    predicted: Sequence[object] | npt.NDArray[np.generic],
    probabilities: npt.ArrayLike,
) -> Picture:
    """Draw images with ``true -> predicted (probability of the predicted class)`` below each.

    Parameters
    ----------
    images : array-like of shape (n_images, height, width)
        Grey values in ``[0, 1]``, drawn as ink: 0 is white, 1 is black.
    y, predicted : sequence of length n_images
        True and predicted class of each image.
    probabilities : array-like of shape (n_images,)
        Probability that the network gave its prediction, in ``[0, 1]``.

    Returns
    -------
    svg : str

    Raises
    ------
    TypeError
        If an argument is not as above.
    ValueError
        If `images` is not three-dimensional, has no pixels, `probabilities` is not
        one-dimensional, or the four lengths differ.
    """
    images = numbers(images, "images").astype(np.float64)
    probabilities = numbers(probabilities, "probabilities").astype(np.float64)
    y, predicted = _labels(y, "y"), _labels(predicted, "predicted")
    if images.ndim != 3:
        raise ValueError(f"images must have shape (n_images, height, width), got {images.shape}")
    n_images, height, width = images.shape
    if n_images > 0 and height * width == 0:
        raise ValueError(f"images must have at least one pixel, got shape {images.shape}")
    if probabilities.ndim != 1:
        remedy = "; pass probabilities.max(axis=1)" if probabilities.ndim == 2 else ""
        raise ValueError(
            f"probabilities must have shape (n_images,), got {probabilities.shape}{remedy}"
        )
    lengths = (len(y), len(predicted), len(probabilities))
    if lengths != (n_images,) * 3:
        raise ValueError(f"y, predicted and probabilities must have length {n_images}, {lengths=}")
    if n_images == 0:
        return _document(440, 80, "Misclassified", [_text(220, 45, "Nothing was misclassified.")])
    cell_width, cell_height, margin, head = 110, 126, 20, 50
    pixel = 80 / max(height, width)
    n_columns = max(3, min(n_images, 6))  # three columns leave room for the heading
    n_rows = math.ceil(n_images / n_columns)
    heading = "true → predicted (probability)"
    parts = [_text(margin + 15, 30, heading, size=14, anchor="start")]
    for i, image in enumerate(images):
        left = margin + cell_width * (i % n_columns)
        top = head + cell_height * (i // n_columns)
        middle = left + cell_width / 2
        parts.append(_image(image, middle - pixel * width / 2, top, pixel))
        parts.append(_text(middle, top + 97, f"{y[i]} → {predicted[i]}", size=14))
        parts.append(_text(middle, top + 112, f"{100 * probabilities[i]:.0f} %", colour=_GREY))
    return _document(
        2 * margin + cell_width * n_columns,
        head + cell_height * n_rows,
        f"Misclassified: {heading}",
        parts,
    )


def decision_regions(
    predict: Mapping[str, Callable[[npt.NDArray[np.float64]], npt.ArrayLike]],
    X: npt.ArrayLike,
    y: npt.ArrayLike,
) -> Picture:
    """Draw which class classifiers give to each place of the plane, and samples in it.

    Parameters
    ----------
    predict : mapping of str to callable
        A title, and a function such as ``net.predict`` from points of shape (n, 2) to the class of
        each, for every panel.
    X : array-like of shape (n_samples, 2)
    y : array-like of shape (n_samples,), int
        Class of each sample, at least 0.

    Returns
    -------
    svg : str

    Raises
    ------
    TypeError
        If an argument is not as above.
    ValueError
        If a shape is not as above, there is no sample, or a number is one that no axis reaches.
    """
    if not isinstance(predict, Mapping):
        raise TypeError(f"predict must be a mapping of titles to functions, got {shown(predict)}")
    points = numbers(X, "X").astype(np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) == 0:
        raise ValueError(f"X must have shape (n_samples, 2), got {points.shape}")
    if not (np.abs(points) <= _LARGEST).all():
        raise ValueError(f"X must be numbers from -{_LARGEST} to {_LARGEST}")
    classes = _classes(y, len(points), "y")
    left, width, top, gap = 20.0, 320.0, 48.0, 20.0
    low, high = points.min(axis=0), points.max(axis=0)
    margin = np.where(high > low, 0.05 * (high - low), 0.5)
    low, high = low - margin, high + margin
    n_cells = 160  # a side
    places = (np.arange(n_cells) + 0.5) / n_cells
    grid = np.stack(np.meshgrid(places, places[::-1]), axis=-1).reshape(-1, 2)
    cell = width / n_cells
    parts = []
    for title, function in predict.items():
        name = _name(title, "predict")
        given = _classes(function(low + grid * (high - low)), len(grid), f"predict[{name!r}]")
        parts.append(_text(left, 30, name, size=16, anchor="start"))
        for i, row in enumerate(given.reshape(n_cells, n_cells)):
            starts = np.flatnonzero(np.diff(row, prepend=-1))  # of cells of one class
            for start, stop in zip(starts, [*starts[1:], n_cells], strict=True):
                parts.append(
                    f'<rect class="region" x="{left + start * cell:.1f}" y="{top + i * cell:.1f}"'
                    f' width="{(stop - start) * cell:.1f}" height="{cell:.1f}"'
                    f' fill="{_COLOURS[row[start] % len(_COLOURS)]}" fill-opacity="0.3"'
                    ' shape-rendering="crispEdges"/>'
                )
        x = _Scale(low[0], high[0], left, left + width)
        vertical = _Scale(low[1], high[1], top + width, top)
        parts += [
            f'<circle cx="{x(x0):.1f}" cy="{vertical(x1):.1f}" r="3" stroke="white"'
            f' fill="{_COLOURS[label % len(_COLOURS)]}"/>'
            for (x0, x1), label in zip(points, classes, strict=True)
        ]
        left += width + gap
    return _document(left, top + width + gap, "Decision regions", parts)


def bar_chart(
    groups: Mapping[str, Mapping[str, float]], *, title: str, caption: Sequence[str] = ()
) -> Picture:
    """Draw positive durations as horizontal bars on one logarithmic axis, in groups.

    Parameters
    ----------
    groups : mapping of str to mapping of str to float
        The bars of each group, label to duration in seconds; one label has one colour throughout.
    title : str
    caption : sequence of str, optional
        Lines of text below the axis.

    Returns
    -------
    svg : str

    Raises
    ------
    TypeError
        If an argument is not as above.
    ValueError
        If there is no bar, or a duration is not positive, or no axis reaches it.
    """
    if not isinstance(groups, Mapping):
        raise TypeError(f"groups must be a mapping of names to groups, got {shown(groups)}")
    for name, bars in groups.items():
        what = f"groups[{_name(name, 'groups')!r}]"
        if not isinstance(bars, Mapping):
            raise TypeError(f"{what} must be a mapping of labels to seconds, got {shown(bars)}")
        for label, value in bars.items():
            _name(label, what)
            if isinstance(value, bool) or not isinstance(value, Real):
                place = f"{what}[{label!r}]"
                raise TypeError(f"{place} must be a number of seconds, got {shown(value)}")
    if not isinstance(title, str):
        raise TypeError(f"title must be a str, got {shown(title)}")
    is_caption = isinstance(caption, Sequence) and not isinstance(caption, str)
    if not (is_caption and all(isinstance(line, str) for line in caption)):
        raise TypeError(f"caption must be a sequence of str, got {shown(caption)}")
    values = [value for bars in groups.values() for value in bars.values()]
    if not values:
        raise ValueError("groups must hold at least one bar, got none")
    if not all(1 / _LARGEST <= value <= _LARGEST for value in values):
        raise ValueError(f"groups must hold durations from {1 / _LARGEST} to {_LARGEST} seconds")
    labels = list(dict.fromkeys(label for bars in groups.values() for label in bars))
    colours = {label: _COLOURS[i % len(_COLOURS)] for i, label in enumerate(labels)}
    left, right, top, row, gap = 220, 840, 56, 20, 34
    # Bars of a logarithmic axis need a floor: the decade below the shortest.
    scale = _Scale(
        10 ** (math.ceil(math.log10(min(values))) - 1),
        10 ** math.ceil(math.log10(max(values) * 1.01)),
        left,
        right,
        logarithmic=True,
    )
    bottom = top + sum(gap + row * len(bars) for bars in groups.values())
    parts = [_text(left, 28, title, size=16, anchor="start")]
    for tick in scale.ticks():
        x = scale(tick)
        parts += [
            _line(x, top, x, bottom),
            _text(x, bottom + 18, format_duration(tick), colour=_GREY),
        ]
    y = top
    for name, bars in groups.items():
        parts.append(_text(left + 6, y + 20, name, size=13, anchor="start"))
        y += gap - 6
        for label, value in bars.items():
            length = scale(value) - left
            parts.append(
                f'<rect class="bar" x="{left}" y="{y:g}" width="{length:.1f}" height="{row - 5}"'
                f' fill="{colours[label]}"/>'
            )
            middle = y + row / 2 + 2
            parts.append(_text(left - 8, middle, label, anchor="end"))
            parts.append(
                _text(
                    left + length + 6, middle, format_duration(value), colour=_GREY, anchor="start"
                )
            )
            y += row
        y += 6
    for i, line in enumerate(caption):
        parts.append(_text(20, bottom + 46 + 16 * i, line, colour=_GREY, anchor="start"))
    return _document(right + 90, bottom + 40 + 16 * len(caption), title, parts)


def format_duration(seconds: float) -> str:
    """A duration in words: three digits and a unit, as in ``12.3 ms``."""
    for unit, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if seconds >= unit * (1 - 1e-9):
            value = seconds / unit
            return f"{value:.0f} {name}" if value >= 100 else f"{value:.3g} {name}"
    return f"{seconds / 1e-9:.3g} ns"


def _series(values: object, what: str) -> list[float]:
    array = numbers(values, what)
    if array.ndim != 1 or array.size == 0 or not (np.abs(array) <= _LARGEST).all():
        raise ValueError(
            f"{what} must be a non-empty series of numbers from -{_LARGEST} to {_LARGEST}"
        )
    return [float(value) for value in array]


def _name(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"the keys of {what} must be str, got {shown(value)}")
    return value


def _classes(value: object, n_samples: int, what: str) -> npt.NDArray[np.int64]:
    array = numbers(value, what)
    if array.shape != (n_samples,):
        raise ValueError(f"{what} must have shape ({n_samples},), got {array.shape}")
    if not ((array >= 0) & (array == np.floor(array)) & (array < 2**31)).all():
        raise ValueError(f"{what} must be classes, integers of at least 0, got others")
    return array.astype(np.int64)


def _labels(value: object, name: str) -> list[object]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"{name} must be a sequence of classes, got {shown(value)}")
    return list(value)


@dataclass(frozen=True)
class _Scale:
    """Maps values in ``[low, high]`` to pixels in ``[start, stop]``."""

    low: float
    high: float
    start: float
    stop: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        if self.logarithmic:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.stop - self.start)

    def ticks(self) -> list[float]:
        """Round values inside the range: powers of ten, or about five steps of 1, 2 or 5."""
        if self.logarithmic:
            first, last = math.log10(self.low), math.log10(self.high)
            return [10.0**e for e in range(math.ceil(first - 1e-9), math.floor(last + 1e-9) + 1)]
        rough = (self.high - self.low) / 5
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough * (1 - 1e-9))
        first_index, last_index = math.ceil(self.low / step - 1e-9), self.high / step + 1e-9
        return [step * i for i in range(first_index, math.floor(last_index) + 1)]


def _line_panel(title: str, series: Mapping[str, Sequence[float]], *, left: float) -> str:
    """One chart of `series` by epoch (the first epoch is 1), with axes, grid and legend."""
    x0, x1, y0, y1 = left + 62, left + 420, 262.0, 48.0
    values = [value for line in series.values() for value in line]
    n_epochs = max(len(line) for line in series.values())
    x = _Scale(1, max(n_epochs, 2), x0, x1)
    percent = title == "accuracy"
    y = _value_scale(values, y0, y1, percent=percent, linear=title == "score")

    parts = [_text(x0, 28, title, size=16, anchor="start")]
    for tick in y.ticks():
        label = f"{100 * tick:g} %" if percent else f"{tick:g}"
        parts += [
            _line(x0, y(tick), x1, y(tick)),
            _text(x0 - 8, y(tick) + 4, label, colour=_GREY, anchor="end"),
        ]
    for tick in x.ticks():
        if tick == int(tick):
            parts.append(_line(x(tick), y0, x(tick), y0 + 4, _GREY))
            parts.append(_text(x(tick), y0 + 18, f"{tick:g}", colour=_GREY))
    parts.append(_line(x0, y0, x1, y0, _GREY))
    parts.append(_text((x0 + x1) / 2, y0 + 38, "epoch", colour=_GREY))
    legend = x1
    for i, (name, line) in reversed(list(enumerate(series.items()))):
        colour = _COLOURS[i % len(_COLOURS)]
        points = " ".join(f"{x(e):.1f},{y(v):.1f}" for e, v in enumerate(line, start=1))
        parts.append(
            f'<polyline class="curve" points="{points}" fill="none" stroke="{colour}"'
            ' stroke-width="2" stroke-linejoin="round"/>'
        )
        parts.append(
            f'<circle cx="{x(len(line)):.1f}" cy="{y(line[-1]):.1f}" r="3" fill="{colour}"/>'
        )
        # The legend grows from the right; a letter of this size is at most 7 pixels wide.
        parts.append(_text(legend, 28, name, colour=colour, anchor="end"))
        legend -= 7 * len(name) + 14
    return "\n".join(parts)


def _value_scale(
    values: Sequence[float], start: float, stop: float, *, percent: bool, linear: bool
) -> _Scale:
    """An axis that holds all values: logarithmic for positive losses, up to 100 % for shares."""
    low, high = min(values), max(values)
    if percent:
        return _Scale(min(low, 0.99) - 0.05 * (1 - min(low, 0.99)), 1.0, start, stop)
    if not linear and low >= 1 / _LARGEST and high > 10 * low:
        return _Scale(
            10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high)), start, stop, True
        )
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
    return _Scale(low - margin, high + margin, start, stop)


def _image(image: npt.NDArray[np.float64], left: float, top: float, pixel: float) -> str:
    """A grey image as one square a pixel; white pixels are left out."""
    height, width = image.shape
    parts = [
        f'<g class="image" transform="translate({left:.1f} {top:.1f}) scale({pixel:.4g})"'
        ' shape-rendering="crispEdges">',
        f'<rect width="{width}" height="{height}" fill="none" stroke="{_GRID}"'
        ' stroke-width="0.1"/>',
    ]
    for row, column in zip(*np.nonzero(image > 0), strict=True):
        grey = f"{round(255 * (1 - min(image[row, column], 1.0))):02x}"
        parts.append(f'<rect x="{column}" y="{row}" width="1" height="1" fill="#{grey * 3}"/>')
    parts.append("</g>")
    return "\n".join(parts)


def _text(
    x: float, y: float, text: str, *, size: int = 12, colour: str = _INK, anchor: str = "middle"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}"'
        f' text-anchor="{anchor}">{escape(text)}</text>'
    )


def _line(x0: float, y0: float, x1: float, y1: float, colour: str = _GRID) -> str:
    return f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" stroke="{colour}"/>'


def _document(width: float, height: float, title: str, parts: Iterable[str]) -> Picture:
    body = "\n".join(parts)
    return Picture(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}"'
        f' viewBox="0 0 {width:g} {height:g}" font-family="Helvetica, Arial, sans-serif">\n'
        f"<title>{escape(title)}</title>\n"
        f'<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )

"""What a network is, and what it makes of its inputs."""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastnn._validation import numbers, shown
from fastnn.layers import Dense, Layer
from fastnn.network import Network
from fastnn.plots.classifiers import known_classes, labels
from fastnn.plots.figures import (
    COLOURS,
    LARGEST,
    Panels,
    colour,
    label,
    legend,
    panels,
    plain,
    single,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[Any]

_N_CELLS = 200  # a side of a plane of decisions
_MOST_NAMED = 12  # classes of a plane
_N_BINS = 50
_MOST_COLUMNS = 4  # of histograms
_MOST_UNITS = 12  # of a layer that are drawn


def decision_boundary(
    model: Any, X: npt.ArrayLike, y: npt.ArrayLike, ax: Axes | None = None
) -> Axes:
    """Draw which class a classifier gives to each place of the plane, and samples in it.

    Parameters
    ----------
    model : Network
        Or anything else with ``predict``, such as a classifier of scikit-learn's.
    X : array-like of shape (n_samples, 2)
        A data frame's columns name the axes.
    y : array-like of shape (n_samples,)
        The class of each sample, of at most 2,000 different ones.
    ax : matplotlib.axes.Axes, optional
        Where to draw; None: into a figure of its own.

    Returns
    -------
    Axes
        The legend has the first 12 classes.

    Raises
    ------
    TypeError
        If an argument is not as above.
    ValueError
        If a shape is not as above, there is no sample, or a number is one that no axis reaches.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from fastnn import Network, plots
    >>> from fastnn.datasets import make_moons
    >>> X, y = make_moons(seed=0)
    >>> net = Network.from_sizes([2, 8, 1], hidden="tanh", seed=0)
    >>> history = net.fit(X, y, epochs=100, learning_rate=0.01)
    >>> ax = plots.decision_boundary(net, X, y)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('x0', 'x1')
    """
    if not callable(getattr(model, "predict", None)):
        raise TypeError(f"model must have a method predict, got {shown(model)}")
    points = numbers(X, "X").astype(np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) == 0:
        raise ValueError(f"X must have shape (n_samples, 2), not empty, got {points.shape}")
    if not (np.abs(points) <= LARGEST).all():
        raise ValueError(f"X must be numbers from -{LARGEST} to {LARGEST}")
    true = labels(y, "y")
    if len(true) != len(points):
        raise ValueError(f"y must have shape ({len(points)},), got {true.shape}")
    low, high = points.min(axis=0), points.max(axis=0)
    margin = np.where(high > low, 0.06 * (high - low), 0.5)
    x0, x1 = np.linspace(low - margin, high + margin, _N_CELLS).T
    grid = np.stack(np.meshgrid(x0, x1), axis=-1).reshape(-1, 2)
    predicted = np.asarray(model.predict(grid))
    if predicted.shape != (len(grid),):
        raise ValueError(
            "model must predict one class a sample, got predictions of shape "
            f"{predicted.shape} for {len(grid)} samples"
        )
    predicted = labels(predicted, "the predictions of model")
    classes = known_classes((true, predicted), "y and the predictions of model")
    return _draw_boundary(X, points, true, classes, (x0, x1), predicted, single(ax, 4.8, 4.2))


def _draw_boundary(
    X: Any,
    points: Array,
    true: Array,
    classes: Array,
    places: tuple[Array, Array],
    predicted: Array,
    ax: Axes,
) -> Axes:
    from matplotlib.colors import ListedColormap

    regions = np.searchsorted(classes, predicted).reshape(_N_CELLS, _N_CELLS)
    colours = ListedColormap([colour(i) for i in range(len(classes))])
    ax.pcolormesh(
        *places, regions, cmap=colours, vmin=-0.5, vmax=len(classes) - 0.5, alpha=0.25,
        shading="nearest", rasterized=True, linewidth=0,
    )  # fmt: skip
    there = np.unique(regions)
    for i in there if len(there) > 1 else ():
        ax.contour(*places, regions == i, levels=[0.5], colors="white", linewidths=1.2)
    for i, each in enumerate(classes):
        of_class = points[true == each]
        ax.scatter(
            of_class[:, 0],
            of_class[:, 1],
            s=18,
            color=colour(i),
            edgecolor="white",
            lw=0.5,
            label=label(each) if i < _MOST_NAMED else "_",  # which a legend leaves out
        )
    names = list(getattr(X, "columns", ["x0", "x1"]))
    ax.set(xlabel=label(names[0]), ylabel=label(names[1]))
    ax.set(xlim=places[0][[0, -1]], ylim=places[1][[0, -1]])
    more = f"\n{_MOST_NAMED} of {len(classes):,}" * (len(classes) > _MOST_NAMED)
    legend(ax, title=f"class{more}", loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def activations(net: Network, X: npt.ArrayLike, ax: Axes | None = None) -> Panels:
    """Draw a histogram of each layer's activations for some samples.

    Parameters
    ----------
    net : Network
        Built, trained or not.
    X : array-like of shape (n_samples, n_features)
        The activations of all layers are in memory at once: some thousand samples are enough.
    ax : matplotlib.axes.Axes, optional
        Where to draw; None: into a figure of its own.

    Returns
    -------
    ndarray of Axes, shape (n_layers,)
        From the first layer to the output. The title tells the share that is exactly 0, where it is
        above 1 %: units of relu that give nothing for a sample.

    Raises
    ------
    TypeError, ValueError
        If X is not as for `Network.predict`, there is no sample, or the network is not built yet.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from fastnn import Network, plots
    >>> from fastnn.datasets import load_digits
    >>> X, y = load_digits()
    >>> net = Network.from_sizes([64, 16, 10], output="softmax", seed=0)
    >>> [ax.get_title() for ax in plots.activations(net, X)][1]
    '1: Dense, softmax'
    """
    if not isinstance(net, Network):
        raise TypeError(f"net must be a Network, got {shown(net)}")
    of_layers = net.forward(X)
    if len(of_layers[0]) == 0:
        raise ValueError("X must have at least one sample, got none")
    n_columns = min(len(of_layers), _MOST_COLUMNS)
    axes = panels(ax, len(of_layers), n_columns=n_columns, width=3.0, height=2.6)
    for i, (panel, layer, values) in enumerate(zip(axes, net.layers, of_layers, strict=True)):
        flat = values.astype(np.float64).reshape(-1)
        weights = np.full(flat.size, 100 / flat.size)
        panel.hist(flat, bins=_N_BINS, weights=weights, color=colour(0))
        zeros = float(np.mean(flat == 0))
        title = f"{i}: {_kind(layer)}"
        panel.set_title(
            title + (f"\n{100 * zeros:.0f} % are 0" if zeros > 0.01 else ""), fontsize="medium"
        )
        panel.set(xlabel="activation", ylabel="share (%)" if i % n_columns == 0 else "")
        plain(panel)
    return axes


def network(net: Network, ax: Axes | None = None) -> Axes:
    """Draw a network: units as circles, weights as lines.

    Parameters
    ----------
    net : Network
        Built, with finite weights.
    ax : matplotlib.axes.Axes, optional
        Where to draw; None: into a figure of its own.

    Returns
    -------
    Axes
        A column for the inputs and for each `Dense` layer, with the other layers written below the
        column behind which they are. Of wide layers the first and the last units are drawn. The
        larger a weight is, the stronger is its line: orange for positive, blue for negative ones.

    Raises
    ------
    TypeError
        If an argument is not as above.
    ValueError
        If the network is not built yet, or a weight is not finite.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from fastnn import Network, plots
    >>> ax = plots.network(Network.from_sizes([2, 4, 1], hidden="tanh", seed=0))
    >>> [text.get_text() for text in ax.texts]
    ['2', 'inputs', '4', 'Dense, tanh', '1', 'Dense, sigmoid']
    """
    if not isinstance(net, Network):
        raise TypeError(f"net must be a Network, got {shown(net)}")
    if net.n_features is None:
        raise ValueError("net must be built: give it n_features, or call fit first")
    for i, weights in enumerate(net.weights):
        if not np.isfinite(weights).all():
            raise ValueError(f"net must have finite weights, weights[{i}] have not")
    widths, texts, between = [net.n_features], ["inputs"], []
    for layer, weights in zip(net.layers, net.weights, strict=True):
        if isinstance(layer, Dense):
            widths.append(layer.n_units)
            texts.append(_kind(layer))
            between.append(weights)
        else:
            texts[-1] += f"\n{_kind(layer)}"
    ax = single(ax, 1.2 + 1.5 * len(widths), 4.2)
    columns = [_places(n_units) for n_units in widths]
    for x, weights in enumerate(between):
        _draw_weights(ax, x, columns[x], columns[x + 1], weights)
    for x, (units, n_units, text) in enumerate(zip(columns, widths, texts, strict=True)):
        y = np.array(list(units.values()))
        ax.scatter(np.full(len(y), x), y, s=110, facecolor="white", edgecolor="black", zorder=3)
        if len(units) < n_units:
            ax.text(x, 0, "⋮", ha="center", va="center", fontsize="x-large", zorder=4)
        ax.text(x, 1.1, f"{n_units:,}", ha="center", va="bottom")
        ax.text(x, -1.1, text, ha="center", va="top", fontsize="small")
    ax.plot([], [], color=COLOURS[1], label="positive weight")
    ax.plot([], [], color=COLOURS[0], label="negative weight")
    legend(ax, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    n_lines = max(text.count("\n") for text in texts)
    ax.set(xlim=(-0.5, len(widths) - 0.5), ylim=(-1.35 - 0.12 * n_lines, 1.3))
    ax.set_axis_off()
    return ax


def _places(n_units: int) -> dict[int, float]:
    """The units of a layer that are drawn, and their heights from 1 down to -1."""
    shown_units = list(range(n_units))
    if n_units > _MOST_UNITS:
        half = _MOST_UNITS // 2
        shown_units = shown_units[:half] + shown_units[-half:]
        y = np.concatenate([np.linspace(1, 0.15, half), np.linspace(-0.15, -1, half)])
    else:
        # Narrow layers stand closer together, so that distances look alike
        height = (n_units - 1) / (_MOST_UNITS - 1) if n_units < 4 else 1.0
        y = np.linspace(height, -height, n_units) if n_units > 1 else np.zeros(1)
    return dict(zip(shown_units, y.tolist(), strict=True))


def _draw_weights(
    ax: Axes, x: int, left: dict[int, float], right: dict[int, float], weights: Array
) -> None:
    from matplotlib.collections import LineCollection
    from matplotlib.colors import to_rgba

    drawn = weights[np.ix_(list(left), list(right))].astype(np.float64)
    largest = float(np.abs(drawn).max()) or 1.0
    lines = [[(x, y0), (x + 1, y1)] for y0 in left.values() for y1 in right.values()]
    colours = [
        to_rgba(COLOURS[1] if weight > 0 else COLOURS[0], 0.05 + 0.85 * abs(weight) / largest)
        for weight in drawn.ravel().tolist()
    ]
    ax.add_collection(LineCollection(lines, colors=colours, linewidths=1.0, zorder=1))


def _kind(layer: Layer) -> str:
    """A layer in few words: what it is, and its activation or its setting."""
    setting = layer.activation if isinstance(layer, Dense) else astuple(layer)[0]
    return f"{type(layer).__name__}, {setting}"

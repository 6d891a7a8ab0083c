"""What a network's layers do with some samples: how it stands with them, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, astuple, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastnn import _inference, _validation
from fastnn._sparse import SparseRows
from fastnn.history import data_frame, format_number

if TYPE_CHECKING:
    from fastnn.network import Network

__all__ = ["LayerStatistics", "NetworkStatistics"]

Array = npt.NDArray[Any]

# Numbers that all layers give for the samples that are looked at together.
_NUMBERS = 1 << 22

# A unit is saturated for a sample where its derivative is below this share of the largest one ...
_FLAT = 0.01
# ... and saturated where it is so for more than this share of the samples.
_MOST = 0.9


@dataclass(frozen=True)
class LayerStatistics:
    """What one layer does with the samples.

    Attributes
    ----------
    layer : str
        Its number in `Network.layers`, from 0, and what it is.
    n_units : int
        That it gives.
    mean, spread : float
        Mean and standard deviation of its activations, over samples and units.
    dead : float or None
        Share of the units that tell nothing about a sample: with relu those that are 0 for all
        samples, else those that have the same value for all of at least two samples; None for one
        sample.
    saturated : float or None
        Share of the units that hardly learn: for more than 90 % of the samples, their derivative is
        below 1 % of the largest that it can be. That is 1/4 for sigmoid and softmax, at an
        activation a with derivative ``a (1 - a)``, and 1 for tanh, ``1 - a^2``. None for other
        activations. In the output of a trained classifier it is not a fault, as it is sure of most
        samples then.
    weight_norm : float or None
        Euclidean norm of all its weights; None where it has none.
    weight_gradient_norm, bias_gradient_norm : float or None
        Of the gradient of the mean loss over all samples, penalties of layers included; None where
        there are no such parameters, or no y was given.
    relative_gradient_norm : float or None
        ``weight_gradient_norm / weight_norm``; None where that has no value.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import Network
    >>> net = Network.from_sizes([2, 2, 1], seed=0)
    >>> net.set_parameters(biases=[[-100.0, 100.0], [0.0]])  # the first unit is never above 0
    >>> hidden, output = net.statistics(np.eye(2))
    >>> hidden.layer, hidden.dead
    ("0: Dense(2, 'relu')", 0.5)
    """

    layer: str
    n_units: int
    mean: float
    spread: float
    dead: float | None
    saturated: float | None
    weight_norm: float | None
    weight_gradient_norm: float | None = None
    bias_gradient_norm: float | None = None
    relative_gradient_norm: float | None = None


#: The heads of the table's columns, in the order of the fields.
_HEADER = (
    "layer",
    "units",
    "mean",
    "spread",
    "dead",
    "saturated",
    "|W|",
    "|dW|",
    "|db|",
    "|dW|/|W|",
)


class NetworkStatistics(list[LayerStatistics]):
    """The statistics of all layers, from the first one to the output; it prints as a table.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import Network
    >>> net = Network.from_sizes([2, 2, 1], seed=0)
    >>> net.set_parameters([[[1, 0], [0, 1]], [[0], [0]]], [[0, 0], [0]])
    >>> print(net.statistics(np.eye(2)))
    layer                   units    mean  spread    dead  saturated     |W|
    0: Dense(2, 'relu')         2  0.5000  0.5000    0.0%          -  1.4142
    1: Dense(1, 'sigmoid')      1  0.5000  0.0000  100.0%       0.0%  0.0000
    """

    def __str__(self) -> str:
        n_columns = len(_HEADER)
        if all(row.weight_gradient_norm is row.bias_gradient_norm is None for row in self):
            n_columns -= 3
        rows = [_HEADER[:n_columns], *(_cells(row)[:n_columns] for row in self)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            f"{row[0]:<{widths[0]}}"
            + "".join(f"  {c:>{w}}" for c, w in zip(row[1:], widths[1:], strict=True))
            for row in rows
        )

    __repr__ = __str__

    def to_frame(self) -> Any:
        """A data frame with a row a layer and a column for each field of `LayerStatistics`.

        Returns
        -------
        pandas.DataFrame
            NaN stands for None.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        names = [field.name for field in fields(LayerStatistics)]
        columns = {name: [asdict(row)[name] for row in self] for name in names}
        numbers = {name: np.array(columns[name], float) for name in names[2:]}
        return data_frame(columns | numbers)


def measure(net: Network, X: npt.ArrayLike, y: npt.ArrayLike | None) -> NetworkStatistics:
    """See `Network.statistics`."""
    n_features = net._built()[0].n_features
    data: Any
    if y is None:
        data = net._architecture.checked_samples(X, n_features, at_least=1)
        _validation.finite(data, net.dtype, "X")
    else:
        data, targets = net._architecture.checked_data(X, y, n_features)
    still = net.copy()  # while another thread may train
    widths = still._architecture.widths(data.shape[1])[1:]
    sums = [
        _Sums(getattr(layer, "activation", None), n_units)
        for layer, n_units in zip(still.layers, widths, strict=True)
    ]
    for activations in _activations(still, data):
        for of_layer, part in zip(sums, activations, strict=True):
            of_layer.add(part)
    gradients: list[tuple[Array, Array]] | list[tuple[None, None]] = [(None, None)] * len(sums)
    if y is not None:
        gradients = still.split(still.loss_and_gradients(data, targets)[1])
    result = NetworkStatistics()
    for i, layer in enumerate(still.layers):
        weight_norm = _norm(still.weights[i])
        weight_gradient_norm, bias_gradient_norm = map(_norm, gradients[i])
        relative = None
        if weight_norm and weight_gradient_norm is not None:
            relative = weight_gradient_norm / weight_norm
        result.append(
            LayerStatistics(
                f"{i}: {layer!r}",
                sums[i].n_units,
                sums[i].mean,
                sums[i].spread,
                sums[i].dead,
                sums[i].saturated,
                weight_norm,
                weight_gradient_norm,
                bias_gradient_norm,
                relative,
            )
        )
    return result


def _activations(net: Network, X: Array | SparseRows) -> Iterator[list[Array]]:
    """Those of all layers, for some samples at a time."""
    n_rows = max(1, _NUMBERS // sum(net._architecture.widths(X.shape[1])))
    for start in range(0, len(X), n_rows):
        try:
            yield _inference.forward(net, X[start : start + n_rows], False, None)[0]
        except ValueError:
            if isinstance(X, np.ndarray):
                net.predict_proba(X)  # says which row of all
            raise


class _Sums:
    """What is gathered about a layer, some samples at a time.

    Parameters
    ----------
    activation : str or None
    n_units : int
    """

    def __init__(self, activation: str | None, n_units: int) -> None:
        self.activation, self.n_units = activation, n_units
        self.n_samples, self.mean, self.squares = 0, 0.0, 0.0
        self.low, self.high = np.full(n_units, np.inf), np.full(n_units, -np.inf)
        self.n_flat = np.zeros(n_units, np.int64)

    def add(self, a: Array) -> None:
        """Of more samples, shape (n_samples, n_units)."""
        a = a.astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            # Chan, Golub and LeVeque: the sum of squares about the mean of all so far
            n_before, n_new = self.n_samples * self.n_units, a.size
            mean = float(a.mean())
            self.squares += float(np.square(a - mean).sum())
            distance = mean - self.mean  # its ** 2 would be an error where it overflows
            share = n_before * n_new / (n_before + n_new)
            self.squares += distance * share * distance  # 0 of the first samples, never inf * 0
            self.mean += (mean - self.mean) * n_new / (n_before + n_new)
        self.n_samples += len(a)
        self.low = np.minimum(self.low, a.min(axis=0))
        self.high = np.maximum(self.high, a.max(axis=0))
        if self.saturates:
            derivative = 1 - a * a if self.activation == "tanh" else 4 * a * (1 - a)
            self.n_flat += (derivative < _FLAT).sum(axis=0)

    @property
    def saturates(self) -> bool:
        return self.activation in ("sigmoid", "tanh", "softmax")

    @property
    def spread(self) -> float:
        return float(np.sqrt(self.squares / (self.n_samples * self.n_units)))

    @property
    def dead(self) -> float | None:
        if self.activation == "relu":
            return float(np.mean(self.high == 0))
        return float(np.mean(self.low == self.high)) if self.n_samples > 1 else None

    @property
    def saturated(self) -> float | None:
        if not self.saturates:
            return None
        return float(np.mean(self.n_flat > _MOST * self.n_samples))


def _norm(array: Array | None) -> float | None:
    if array is None or array.size == 0:
        return None
    return float(np.linalg.norm(array.astype(np.float64)))


def _cells(row: LayerStatistics) -> tuple[str, ...]:
    """As the table shows them."""
    layer, n_units, mean, spread, dead, saturated, *norms = astuple(row)
    return (
        layer,
        f"{n_units:,}",
        *map(format_number, (mean, spread)),
        *("-" if share is None else f"{share:.1%}" for share in (dead, saturated)),
        *("-" if norm is None else format_number(norm) for norm in norms),
    )

"""The learning-rate range test: which rates a network learns with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastnn import _validation
from fastnn._keywords import checked_keywords
from fastnn._options import AS_BEFORE, FIRST
from fastnn.network import Network
from fastnn.optimizers import LBFGS, Optimizer, get_optimizer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[np.float64]

# A running mean of the losses, each with this weight against the one before.
_SMOOTHING = 0.1
# The test ends where the running mean is as many times the smallest one.
_TOO_LARGE = 4.0
_FEWEST_STEPS, _MOST_STEPS = 10, 10_000


@dataclass(frozen=True, eq=False)
class RangeTest:
    """The losses at rates that grow from step to step.

    Attributes
    ----------
    rates : ndarray of shape (n_steps,), float64
        Of the steps done: the test ends early where the loss has grown too large.
    losses : ndarray of shape (n_steps,), float64
        Of each step's mini-batch, before its update.
    smoothed : ndarray of shape (n_steps,), float64
        Their running mean.
    suggestion : float or None
        The rate at which the running mean falls fastest, before it is smallest; None if it never
        falls.

    Examples
    --------
    >>> from fastnn import Network, find_learning_rate
    >>> from fastnn.datasets import make_moons
    >>> net = Network.from_sizes([2, 16, 1], seed=0)
    >>> found = find_learning_rate(net, *make_moons(seed=0), smallest=1e-5, largest=1.0, n_steps=30)
    >>> found.rates[[0, -1]], found.losses.shape
    (array([1.e-05, 1.e+00]), (30,))
    """

    rates: Array
    losses: Array
    smoothed: Array
    suggestion: float | None

    def __repr__(self) -> str:
        suggestion = "none" if self.suggestion is None else f"{self.suggestion:.2g}"
        return (
            f"<range test of {len(self.rates)} steps from {self.rates[0]:.2g} to "
            f"{self.rates[-1]:.2g}; suggestion: {suggestion}>"
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """The curve of the losses by rate; see `fastnn.plots.learning_rate_range`.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw. None: in a figure of its own, which a notebook shows.

        Returns
        -------
        matplotlib.axes.Axes
            Where it was drawn.

        Raises
        ------
        TypeError
            If `ax` is not as above.
        ImportError
            If matplotlib is not installed.
        """
        from fastnn import plots  # here: most programs draw nothing

        return plots.learning_rate_range(self, ax)


@checked_keywords
def find_learning_rate(
    net: Network,
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    smallest: float = 1e-6,
    largest: float = 10.0,
    n_steps: int = 100,
    batch_size: int | str | None = AS_BEFORE,
    optimizer: str | Optimizer = AS_BEFORE,
    threads: int | None = None,
) -> RangeTest:
    """Trains a copy of a network with rates that grow from step to step.

    The rates grow by the same factor at every step. A good first learning rate is where the loss
    falls fastest; where it grows again, rates are too large.

    The copy is trained as `net` was in its last call: with the penalties, weight decay, clipping
    and label smoothing of that call. A network that was not trained before has none of these, but
    for what its layers have of their own. The losses are those of training: dropout, noise,
    penalties and smoothing are in them. There are no weights of samples or classes.

    Parameters
    ----------
    net : Network
        Stays as it is.
    X, y : array-like
        As for `Network.fit`, without chunks. The mini-batches come in random order, as
        often as it takes.
    smallest, largest : float
        The first rate and the last one.
    n_steps : int
        From 10 to 10,000.
    batch_size : int, None or "as before"
        Samples a mini-batch, as for `Network.fit`.
    optimizer : str or Optimizer
        As for `Network.fit`; its learning rate does not count.
    threads : int, optional
        The most to use, as for `Network.fit`.

    Returns
    -------
    RangeTest
        The losses by rate, and a rate to begin with.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.
    FloatingPointError
        If the first or the second step is not finite.

    References
    ----------
    Smith, "Cyclical learning rates for training neural networks", WACV 2017.

    Examples
    --------
    >>> from fastnn import Network, find_learning_rate
    >>> from fastnn.datasets import load_digits
    >>> X, y = load_digits()
    >>> net = Network.from_sizes([64, 32, 10], output="softmax", seed=0)
    >>> 1e-4 < find_learning_rate(net, X, y).suggestion < 1
    True
    """
    if not isinstance(net, Network):
        raise TypeError(f"net must be a Network, got {_validation.shown(net)}")
    smallest = _validation.positive_number(smallest, "smallest")
    largest = _validation.positive_number(largest, "largest")
    if largest <= smallest:
        raise ValueError(f"largest must be above smallest, which is {smallest}, got {largest}")
    n_steps = _validation.positive_int(n_steps, "n_steps", at_most=_MOST_STEPS)
    if n_steps < _FEWEST_STEPS:
        raise ValueError(f"n_steps must be at least {_FEWEST_STEPS}, got {n_steps}")
    before = net.training or FIRST
    chosen = before.optimizer if optimizer == AS_BEFORE else get_optimizer(optimizer, None)
    if isinstance(chosen, LBFGS):
        raise ValueError("optimizer must have a learning rate, got LBFGS")
    if batch_size == AS_BEFORE:
        batch_size = before.batch_size
    data: Any
    data, answers = net._architecture.checked_data(X, y, net.n_features)
    n_rows = len(data)
    if batch_size is not None:
        n_rows = min(n_rows, _validation.positive_int(batch_size, "batch_size"))
    twin, batches = net.copy(), _batches(len(data), n_rows, net.seed)
    rates = np.geomspace(smallest, largest, n_steps)
    losses: list[float] = []
    smoothed = np.empty(0)
    for rate in rates.tolist():
        rows = next(batches)
        try:
            loss = twin.partial_fit(
                data[rows],
                answers[rows],
                batch_size=n_rows,
                optimizer=AS_BEFORE if losses else chosen,
                learning_rate=rate,
                threads=threads,
            )
        except FloatingPointError:
            if len(losses) < 2:  # no curve
                raise
            break
        losses.append(loss)
        smoothed = _running_mean(losses)
        if len(losses) >= _FEWEST_STEPS and smoothed[-1] > _TOO_LARGE * smoothed.min():
            break
    rates = rates[: len(losses)]
    return RangeTest(rates, np.array(losses), smoothed, _steepest(rates, smoothed))


def _batches(n_samples: int, n_rows: int, seed: int) -> Iterator[npt.NDArray[np.int64]]:
    """Whole mini-batches in random order, without end."""
    random = np.random.Generator(np.random.PCG64(seed))
    while True:
        order = random.permutation(n_samples)
        for start in range(0, n_samples - n_rows + 1, n_rows):
            yield order[start : start + n_rows]


def _running_mean(losses: list[float]) -> Array:
    """An exponential one; the weights of what there is are scaled to a sum of 1."""
    mean, means = 0.0, []
    for i, loss in enumerate(losses, start=1):
        mean += _SMOOTHING * (loss - mean)
        means.append(mean / (1 - (1 - _SMOOTHING) ** i))
    return np.array(means)


def _steepest(rates: Array, smoothed: Array) -> float | None:
    """The rate at which the curve over the logarithm of the rate falls fastest, before its lowest.

    Behind that a curve may rise and fall by chance.
    """
    slopes = np.gradient(smoothed, np.log(rates))[: np.argmin(smoothed) + 1]
    i = int(np.argmin(slopes))
    return float(rates[i]) if slopes[i] < 0 else None

"""Cross-validation: a network's scores on rows that it has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import _validation
from fastnn._folds import Fold, checked_folds
from fastnn._streams import refuse_chunks
from fastnn.history import History, format_number
from fastnn.many import fit_each, histories_of
from fastnn.metrics import MetricsLike, checked_metrics
from fastnn.network import Network

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """What `cross_validate` has found; it prints as a table.

    Attributes
    ----------
    scores : dict of str to ndarray of shape (n_folds,), float64
        By the names of `Network.evaluate`, each fold's on its own test rows.
    histories : list of History
        Of each fold's training.
    networks : list of Network
        Each fold's, trained: ``Ensemble(result.networks)`` predicts by all of them.
    folds : list of (ndarray, ndarray)
        Numbers of the rows that each fold was trained on, and tested on.

    Examples
    --------
    >>> from fastnn import Ensemble, Network, cross_validate
    >>> from fastnn.datasets import make_moons
    >>> X, y = make_moons(seed=0)
    >>> result = cross_validate(Network.from_sizes([2, 8, 1]), X, y, cv=4, epochs=5)
    >>> list(result.scores), result.scores["loss"].shape
    (['loss', 'accuracy'], (4,))
    >>> Ensemble(result.networks).predict(X).shape == y.shape
    True
    """

    scores: dict[str, Array]
    histories: list[History]
    networks: list[Network]
    folds: list[Fold]

    @property
    def mean(self) -> dict[str, float]:
        """The mean of each score over the folds."""
        return {name: float(values.mean()) for name, values in self.scores.items()}

    @property
    def std(self) -> dict[str, float]:
        """The standard deviation of each score over the folds (``ddof=0``)."""
        return {name: float(values.std()) for name, values in self.scores.items()}

    def __str__(self) -> str:
        widths = {name: max(12, len(name) + 2) for name in self.scores}
        rows: list[tuple[str, dict[str, float]]] = [
            (str(i + 1), {name: values[i] for name, values in self.scores.items()})
            for i in range(len(self.folds))
        ]
        rows += [("mean", self.mean), ("std", self.std)]
        lines = ["fold " + "".join(f"{name:>{width}}" for name, width in widths.items())]
        for label, values in rows:
            cells = (f"{format_number(values[name]):>{width}}" for name, width in widths.items())
            lines.append(f"{label:>5}" + "".join(cells))
        return "\n".join(lines)

    __repr__ = __str__


def cross_validate(
    net: Network,
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    cv: Any = 5,
    *,
    metrics: MetricsLike = (),
    seed: int = 0,
    threads: int | None = None,
    progress: bool = False,
    **fit_settings: Any,
) -> CrossValidation:
    """Trains a new network like `net` for each fold, side by side, and tests it on the others.

    Parameters
    ----------
    net : Network
        Stays as it is. Those that are trained have its layers, loss and dtype, and begin anew, each
        from a seed of its own that follows from `seed`.
    X, y : array-like
        As for `Network.fit`, without chunks.
    cv : int, float, splitter, or iterable of (train, test)
        The number of folds, at least 2: each row is tested on once, and where each sample has one
        class, every class is spread evenly over the folds. A float in (0, 1) sets this share of the
        rows aside, once. Otherwise an object with a method ``split(X, y)``, as scikit-learn's
        splitters, or pairs of rows, each numbers of rows or a mask.
    metrics : str, callable, or sequence of them
        To measure on the test rows, as for `Network.evaluate`, beside the loss and the accuracy of
        a classifier.
    seed : int
        Of folds and networks.
    threads : int, optional
        The most to use, as for `fit_many`.
    progress : bool
        Whether to show one bar for the epochs of all networks.
    **fit_settings
        Arguments of `Network.fit`. Weights of samples have one for each row of X, and count in
        training alone.

    Returns
    -------
    CrossValidation
        Scores, networks and histories of all folds.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.
    ExceptionGroup
        If the training of a fold has failed, when all others are done: see `fit_many`.

    Examples
    --------
    >>> from fastnn import Network, cross_validate
    >>> from fastnn.datasets import load_digits
    >>> X, y = load_digits()
    >>> net = Network.from_sizes([64, 32, 10], output="softmax")
    >>> result = cross_validate(net, X, y, cv=3, epochs=10, learning_rate=1e-2)
    >>> 0.9 < result.mean["accuracy"] < 1
    True
    """
    if not isinstance(net, Network):
        raise TypeError(f"net must be a Network, got {_validation.shown(net)}")
    if "resume_from" in fit_settings:
        raise TypeError("resume_from must not be given: every fold begins anew")
    checked_metrics(metrics, net._architecture)
    seed = checked_seed(seed)
    refuse_chunks(X, "X", "cross-validation")
    data: Any
    data, targets = net._architecture.checked_data(X, y, net.n_features)
    folds = checked_folds(cv, net._architecture, data, targets, seed)
    seeds = np.random.SeedSequence(seed).generate_state(len(folds)).tolist()
    networks = [like(net, data.shape[1], each) for each in seeds]
    fits = [{**fit_settings, "y": targets}] * len(folds)
    rows = [train for train, _ in folds]
    shown = _validation.boolean(progress, "progress")
    histories = histories_of(fit_each(networks, data, fits, rows, threads, shown))
    scores = [
        one.evaluate(data[test], targets[test], metrics=metrics, threads=threads)
        for one, (_, test) in zip(networks, folds, strict=True)
    ]
    return CrossValidation(
        {name: np.array([each[name] for each in scores]) for name in scores[0]},
        histories,
        networks,
        folds,
    )


def like(net: Network, n_features: int, seed: int) -> Network:
    """A new network of the same layers, loss and dtype."""
    return Network(net.layers, n_features, loss=net.loss, dtype=net.dtype, seed=seed)


def checked_seed(seed: Any) -> int:
    """An integer, from which all that is drawn follows."""
    checked = _validation.seed(seed)
    if checked is None:
        raise TypeError("seed must be an integer, got None")
    return checked

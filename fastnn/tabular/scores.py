"""How good predictions are, beside what needs no model; which columns they rest on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn import metrics
from fastnn.tabular.target import Target
from fastnn.tabular.values import Array

Scores = dict[str, float]


def scores(target: Target, true: Array, output: Array) -> Scores:
    """The scores of a prediction.

    Parameters
    ----------
    target : Target
    true : ndarray of shape (n_rows,)
        Places of classes, or numbers.
    output : ndarray of shape (n_rows, n_classes) or (n_rows,)
        Probabilities, or numbers.

    Returns
    -------
    dict of str to float
        Of classes ``accuracy``, ``balanced_accuracy``, ``roc_auc`` (NaN where only one class is
        there) and ``log_loss``; of numbers ``r2``, ``rmse``, ``mae``.
    """
    if target.task == "regression":
        return {
            "r2": metrics.r2(true, output) if len(true) > 1 else float("nan"),
            "rmse": metrics.rmse(true, output),
            "mae": metrics.mae(true, output),
        }
    places = true.astype(np.int64)
    decided = output.argmax(axis=1)
    right = np.maximum(output[np.arange(len(places)), places], 1e-15)
    return {
        "accuracy": metrics.accuracy(places, decided),
        "balanced_accuracy": metrics.balanced_accuracy(places, decided),
        "roc_auc": metrics.roc_auc(places, output),
        "log_loss": float(-np.log(right).mean()),
    }


def main_score(target: Target, true: Array, output: Array) -> float:
    """The one number that says most: the area under the ROC curve, or R2."""
    every = scores(target, true, output)
    if target.task == "regression":
        return every["r2"]
    return every["accuracy"] if np.isnan(every["roc_auc"]) else every["roc_auc"]


def without_model(target: Target, n_rows: int) -> Array:
    """What is predicted without looking at the row: the shares of the classes, or the mean."""
    if target.task == "regression":
        return np.full(n_rows, target.center)
    return np.tile(np.array(target.shares), (n_rows, 1))


@dataclass(frozen=True)
class Confusion:
    """Which classes are taken for which.

    Parameters
    ----------
    classes : tuple
        Labels, in the order of rows and columns.
    counts : ndarray of int64, of shape (n_classes, n_classes)
        Row: the class of the rows; column: what is predicted.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.tabular import Confusion
    >>> print(Confusion(("cat", "dog"), np.array([[8, 1], [0, 9]])))
    true \\ predicted  cat  dog
                 cat    8    1
                 dog    0    9
    """

    classes: tuple[Any, ...]
    counts: Array

    @classmethod
    def of(cls, target: Target, true: Array, output: Array) -> Confusion:
        """Counts what is predicted for rows whose class is known.

        Parameters
        ----------
        target : Target
            Whose classes they are.
        true : ndarray of shape (n_rows,)
            Places of classes in ``target.classes``.
        output : ndarray of shape (n_rows, n_classes)
            Probabilities; the largest decides.

        Returns
        -------
        Confusion
            With a row and a column for each class of `target`.
        """
        n = len(target.classes)
        flat = true.astype(np.int64) * n + output.argmax(axis=1)
        return cls(target.classes, np.bincount(flat, minlength=n * n).reshape(n, n))

    def __str__(self) -> str:
        head = ["true \\ predicted", *map(str, self.classes)]
        rows = [
            [str(name), *map(str, row)]
            for name, row in zip(self.classes, self.counts.tolist(), strict=True)
        ]
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        return "\n".join(_line(cells, widths) for cells in [head, *rows])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))


def permutation_importance(
    target: Target,
    true: Array,
    inputs: Array,
    places: dict[str, slice],
    predict: Callable[[Array], Array],
    repeats: int,
    seed: int,
) -> dict[str, float]:
    """What shuffling a column costs: the mean fall of `main_score`.

    Parameters
    ----------
    target : Target
    true : ndarray of shape (n_rows,)
    inputs : ndarray of shape (n_rows, width)
        Comes back as it was.
    places : dict of str to slice
        The inputs of each column.
    predict : callable
        Of inputs, gives what `scores` takes for `output`.
    repeats : int
    seed : int

    Returns
    -------
    dict of str to float
        The largest first.
    """
    best = main_score(target, true, predict(inputs))
    rng = np.random.default_rng(seed)
    falls = {}
    for name, place in places.items():
        kept = inputs[:, place].copy()
        found = []
        for _ in range(repeats):
            inputs[:, place] = kept[rng.permutation(len(kept))]
            found.append(best - main_score(target, true, predict(inputs)))
        inputs[:, place] = kept
        falls[name] = float(np.mean(found))
    return dict(sorted(falls.items(), key=lambda item: -item[1]))

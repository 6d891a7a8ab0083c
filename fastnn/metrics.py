"""Metrics: how good predictions are, in numbers that people read beside the loss.

>>> from fastnn import metrics
>>> metrics.f1([0, 1, 1, 0], [0, 1, 0, 0])
0.6666666666666666
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from fastnn import _validation

if TYPE_CHECKING:
    from fastnn._architecture import Architecture

__all__ = [
    "METRICS",
    "Metric",
    "accuracy",
    "balanced_accuracy",
    "f1",
    "larger_is_better",
    "mae",
    "precision",
    "r2",
    "recall",
    "rmse",
    "roc_auc",
    "top_k_accuracy",
]

Array = npt.NDArray[Any]
ArrayLike = npt.ArrayLike
MetricsLike = str | Callable[..., Any] | Iterable[str | Callable[..., Any]]


# ---- of classifiers ------------------------------------------------------------------------------


def accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """The share of right labels: of all labels, where a sample has several.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_labels)
        Classes; with several labels a sample, 0 or 1 each.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above, or the shapes differ.

    Examples
    --------
    >>> from fastnn import metrics
    >>> metrics.accuracy([0, 1, 2, 2], [0, 1, 2, 1])
    0.75
    """
    true, predicted = _pair(y_true, y_pred)
    return float(np.mean(true == predicted))


def balanced_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """The mean over the classes of `y_true` of the share of their samples that is right.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_labels)
        As for `accuracy`; the mean over the labels, where a sample has several.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    TypeError, ValueError
        As `accuracy`.

    Examples
    --------
    Of 8 samples of class 0 all are right, of 2 of class 1 one:

    >>> from fastnn import metrics
    >>> metrics.balanced_accuracy([0] * 8 + [1, 1], [0] * 8 + [1, 0])
    0.75
    """
    true, predicted = _pair(y_true, y_pred)
    if true.ndim == 2:
        return _mean_over_columns(balanced_accuracy, true, predicted)
    right = true == predicted
    return float(np.mean([right[true == label].mean() for label in np.unique(true)]))


def precision(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """The share of what is predicted as a class that is of that class.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_labels)
        As for `accuracy`.

    Returns
    -------
    float
        In [0, 1]. Where all classes are 0 and 1: of class 1. Otherwise the mean over the classes,
        or over the labels. 0 for a class that is not predicted.

    Raises
    ------
    TypeError, ValueError
        As `accuracy`.

    Examples
    --------
    >>> from fastnn import metrics
    >>> metrics.precision([0, 1, 1, 0], [1, 1, 0, 0])  # of two predicted as 1, one is
    0.5
    """
    return _of_classes(y_true, y_pred, lambda hits, n_true, n_predicted: hits / n_predicted)


def recall(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """The share of a class that is predicted as that class.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_labels)
        As for `accuracy`.

    Returns
    -------
    float
        In [0, 1], of the classes that `precision` is of. 0 for a class that is not there.

    Raises
    ------
    TypeError, ValueError
        As `accuracy`.

    Examples
    --------
    >>> from fastnn import metrics
    >>> metrics.recall([0, 1, 1, 1, 1], [1, 1, 0, 0, 0])  # of four 1, one is found
    0.25
    """
    return _of_classes(y_true, y_pred, lambda hits, n_true, n_predicted: hits / n_true)


def f1(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """The harmonic mean of precision and recall.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_labels)
        As for `accuracy`.

    Returns
    -------
    float
        In [0, 1], of the classes that `precision` is of. 0 for a class that is neither there nor
        predicted.

    Raises
    ------
    TypeError, ValueError
        As `accuracy`.

    Examples
    --------
    >>> from fastnn import metrics
    >>> round(metrics.f1([0, 1, 1, 0], [0, 1, 0, 0]), 3)  # precision 1, recall 1/2
    0.667
    """
    return _of_classes(
        y_true, y_pred, lambda hits, n_true, n_predicted: 2 * hits / (n_true + n_predicted)
    )


def _of_classes(
    y_true: ArrayLike, y_pred: ArrayLike, share: Callable[[int, int, int], float]
) -> float:
    """The mean over classes or labels of what `share` makes of hits, n_true and n_predicted."""
    true, predicted = _pair(y_true, y_pred)
    if true.ndim == 2:
        return _mean_over_columns(lambda a, b: _of_classes(a, b, share), true, predicted)
    classes = np.union1d(true, predicted)
    if np.isin(classes, (0, 1)).all():
        classes = np.ones(1)
    shares = []
    for label in classes:
        there, said = true == label, predicted == label
        hits = int((there & said).sum())
        shares.append(share(hits, int(there.sum()), int(said.sum())) if hits > 0 else 0.0)
    return float(np.mean(shares))


def top_k_accuracy(y_true: ArrayLike, probabilities: ArrayLike, k: int = 5) -> float:
    """The share of samples whose class is among the `k` most probable ones.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Classes, in ``[0, n_classes)``.
    probabilities : array-like of shape (n_samples, n_classes)
        Of each class. Any numbers that rise with the probability do.
    k : int
        From ``n_classes`` on every sample counts.

    Returns
    -------
    float
        In [0, 1]. Classes as probable as the k-th count as less probable than it, the last first.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.

    Examples
    --------
    >>> from fastnn import metrics
    >>> probabilities = [[0.5, 0.3, 0.2], [0.6, 0.3, 0.1]]
    >>> [metrics.top_k_accuracy([1, 2], probabilities, k=k) for k in (1, 2, 3)]
    [0.0, 0.5, 1.0]
    """
    k = _validation.positive_int(k, "k")
    true, scores = _with_scores(y_true, probabilities)
    if true.ndim != 1 or scores.ndim != 2:
        raise ValueError(
            "top_k_accuracy takes y_true of shape (n_samples,) and probabilities of shape "
            f"(n_samples, n_classes), got {true.shape} and {scores.shape}"
        )
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return float(np.mean((best == true[:, np.newaxis]).any(axis=1)))


def roc_auc(y_true: ArrayLike, probabilities: ArrayLike) -> float:
    """The area under the receiver operating characteristic: how well the probabilities rank.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_labels)
        Classes; with several labels a sample, 0 or 1 each.
    probabilities : array-like of shape (n_samples,), (n_samples, 1) or (n_samples, n_classes)
        Of class 1, or of each class or label. Any numbers that rise with it do.

    Returns
    -------
    float
        In [0, 1]; with more than two classes the mean of each against the rest. Classes that no
        sample has, or every sample, do not count; NaN where none is left.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.

    Examples
    --------
    >>> from fastnn import metrics
    >>> metrics.roc_auc([0, 1, 0, 1], [0.1, 0.4, 0.5, 0.9])  # 3 of 4 pairs are in order
    0.75
    """
    true, scores = _with_scores(y_true, probabilities)
    if scores.ndim == 2 and scores.shape[1] == 1:
        scores = scores[:, 0]
    if scores.ndim == 2 and scores.shape[1] == 2 and true.ndim == 1:
        scores = scores[:, 1]  # the area of class 0 against the rest is the same
    if scores.ndim == 1:
        return _area(true.reshape(-1) > 0, scores)
    if true.ndim == 1:
        true = true[:, np.newaxis] == np.arange(scores.shape[1])
    areas = [_area(true[:, j] > 0, scores[:, j]) for j in range(scores.shape[1])]
    known = [area for area in areas if not np.isnan(area)]
    return float(np.mean(known)) if known else float("nan")


def _area(positive: Array, scores: Array) -> float:
    """The probability that a positive has a larger score than a negative; half if it is equal."""
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if n_positive == 0 or n_negative == 0:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    least = n_positive * (n_positive + 1) / 2
    return float((ranks[positive].sum() - least) / (n_positive * n_negative))


# ---- of values -----------------------------------------------------------------------------------


def mae(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """The mean absolute error, over all outputs.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_outputs)
        True and predicted values, in the same unit.

    Returns
    -------
    float
        At least 0, in the unit of the values.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above, or the shapes differ.

    Examples
    --------
    >>> from fastnn import metrics
    >>> metrics.mae([1.0, 2.0, 3.0], [1.0, 2.0, 6.0])
    1.0
    """
    true, predicted = _pair(y_true, y_pred)
    return float(np.mean(np.abs(predicted - true), dtype=np.float64))


def rmse(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """The root of the mean squared error, over all outputs.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_outputs)
        True and predicted values, in the same unit.

    Returns
    -------
    float
        At least 0, in the unit of the values.

    Raises
    ------
    TypeError, ValueError
        As `mae`.

    Examples
    --------
    One large error counts more than in `mae`:

    >>> from fastnn import metrics
    >>> round(metrics.rmse([1.0, 2.0, 3.0], [1.0, 2.0, 6.0]), 3)
    1.732
    """
    true, predicted = _pair(y_true, y_pred)
    return float(np.sqrt(np.mean(np.square(predicted - true), dtype=np.float64)))


def r2(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """The coefficient of determination: the share of the variance that is explained.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_outputs)
        True and predicted values, in the same unit.

    Returns
    -------
    float
        At most 1; the mean over the outputs. An output whose `y_true` is constant counts as 1
        where it is predicted exactly, else as 0.

    Raises
    ------
    TypeError, ValueError
        As `mae`.

    Examples
    --------
    >>> from fastnn import metrics
    >>> metrics.r2([1.0, 2.0, 3.0], [1.5, 2.0, 2.5]), metrics.r2([1.0, 2.0, 3.0], [2.0, 2.0, 2.0])
    (0.75, 0.0)
    """
    true, predicted = _pair(y_true, y_pred)
    true, predicted = true.reshape(len(true), -1), predicted.reshape(len(true), -1)
    error = np.square(predicted - true).sum(axis=0)
    spread = np.square(true - true.mean(axis=0)).sum(axis=0)
    constant = spread == 0
    shares = 1 - error / np.where(constant, 1, spread)
    return float(np.mean(np.where(constant, error == 0, shares)))


def _pair(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Array, Array]:
    true, predicted = (
        _column_or_table(value, name) for value, name in ((y_true, "y_true"), (y_pred, "y_pred"))
    )
    if true.shape != predicted.shape:
        raise ValueError(
            f"y_true and y_pred must have the same shape, got {true.shape} and {predicted.shape}"
        )
    return true, predicted


def _with_scores(y_true: ArrayLike, probabilities: ArrayLike) -> tuple[Array, Array]:
    true = _column_or_table(y_true, "y_true")
    scores = _column_or_table(probabilities, "probabilities")
    if len(true) != len(scores) or (true.ndim == 2 and true.size != scores.size):
        raise ValueError(
            f"probabilities must have one row a sample of y_true, got {scores.shape} and "
            f"{true.shape}"
        )
    return true, scores


def _column_or_table(value: ArrayLike, name: str) -> Array:
    array = _validation.numbers(value, name)
    if array.ndim not in (1, 2) or array.size == 0:
        raise ValueError(
            f"{name} must be of shape (n_samples,) or (n_samples, n), not empty, got {array.shape}"
        )
    if array.dtype.kind == "f":  # differences and sums of float32 are for training
        return array.astype(np.float64)
    return array


def _mean_over_columns(metric: Callable[[Any, Any], float], true: Array, predicted: Array) -> float:
    return float(np.mean([metric(*columns) for columns in zip(true.T, predicted.T, strict=True)]))


# ---- what `fit` and `evaluate` are told ----------------------------------------------------------


@dataclass(frozen=True)
class Metric:
    """A metric as `Network.fit` and `Network.evaluate` compute it.

    Parameters
    ----------
    name : str
        Its key in the results.
    function : callable
        ``function(y_true, y_pred)``.
    takes : {"labels", "probabilities", "values"}
        What `y_pred` is: of a classifier the labels of `Network.predict` or the output activations,
        of other networks their values.

    Examples
    --------
    >>> from fastnn import metrics
    >>> import numpy as np
    >>> from fastnn.metrics import Metric
    >>> worst = Metric("worst", lambda y_true, y_pred: np.abs(y_pred - y_true).max(), "values")
    >>> worst(np.array([1.0, 2.0]), np.array([1.5, 4.0]))
    2.0
    """

    name: str
    function: Callable[[Any, Any], Any]
    takes: Literal["labels", "probabilities", "values"]

    def __call__(self, y_true: Array, y_pred: Array) -> float:
        """The metric of a network's predictions, as a float.

        Raises
        ------
        TypeError
            If the function gives no number.
        """
        value = self.function(y_true, y_pred)
        try:
            return float(value)
        except (TypeError, ValueError):
            raise TypeError(
                f"metrics must give a number, {self.name} gave {_validation.shown(value)}"
            ) from None


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", accuracy, "labels"),
        Metric("balanced_accuracy", balanced_accuracy, "labels"),
        Metric("top_k_accuracy", top_k_accuracy, "probabilities"),
        Metric("precision", precision, "labels"),
        Metric("recall", recall, "labels"),
        Metric("f1", f1, "labels"),
        Metric("roc_auc", roc_auc, "probabilities"),
        Metric("mae", mae, "values"),
        Metric("rmse", rmse, "values"),
        Metric("r2", r2, "values"),
    )
}
ALIASES = {
    "acc": "accuracy",
    "f1_score": "f1",
    "precision_score": "precision",
    "recall_score": "recall",
    "auc": "roc_auc",
    "mean_absolute_error": "mae",
    "root_mean_squared_error": "rmse",
    "r2_score": "r2",
}

# Functions of scikit-learn that take probabilities of a classifier.
_OF_PROBABILITIES = {
    "average_precision_score",
    "brier_score_loss",
    "log_loss",
    "roc_auc_score",
    "top_k_accuracy_score",
}
_LARGER = ("accuracy", "score", "f1", "auc", "r2", "precision", "recall", "corrcoef")
_SMALLER = ("loss", "error", "mae", "mse", "rmse", "deviance", "cost")


def checked_metrics(metrics: MetricsLike, architecture: Architecture) -> tuple[Metric, ...]:
    """`metrics` of a network, if they can be computed from its output.

    Parameters
    ----------
    metrics : str, callable, or iterable of them
        Names of `METRICS`, functions ``f(y_true, y_pred)``.
    architecture : Architecture
        Of the network.

    Returns
    -------
    tuple of Metric
        In the order of `metrics`.

    Raises
    ------
    TypeError, ValueError
        If one is not known, two have the same name, or one does not suit the output.
    """
    if isinstance(metrics, str) or callable(metrics):
        metrics = [metrics]
    if not isinstance(metrics, Iterable) or isinstance(metrics, Mapping):
        raise TypeError(
            "metrics must be names or functions f(y_true, y_pred), got "
            f"{_validation.shown(metrics)}"
        )
    is_classifier = architecture.is_classifier
    checked = tuple(_metric(value, is_classifier) for value in metrics)
    names = [metric.name for metric in checked]
    activation = architecture.output.activation
    for metric in checked:
        if (metric.takes == "values") == is_classifier:
            takes, gives = ("values", "classes") if is_classifier else ("classes", "values")
            raise ValueError(
                f"metrics: {metric.name} is for networks that predict {takes}, this one predicts "
                f"{gives}"
            )
        n_outputs, loss = architecture.output.n_units, architecture.loss
        if metric.name in METRICS and not is_classifier and loss.n_targets(n_outputs) != n_outputs:
            raise ValueError(
                f"metrics: {metric.name} compares a target with one prediction, this network has "
                f"{n_outputs} by the loss {loss.name}; a function f(y_true, y_pred) may choose one"
            )
        if metric.function is top_k_accuracy and activation != "softmax":
            raise ValueError(
                f"metrics: top_k_accuracy is for softmax outputs, this one is {activation}"
            )
        if metric.name == "loss" or names.count(metric.name) > 1:
            raise ValueError(f"metrics must have names of their own, got {metric.name!r} twice")
    return checked


def _metric(value: Any, is_classifier: bool) -> Metric:
    if isinstance(value, str):
        return METRICS[_validation.spelled(value, METRICS, "metrics", ALIASES)]
    if isinstance(value, Metric):
        return value
    if not callable(value):
        raise TypeError(
            f"metrics must be names or functions f(y_true, y_pred), got {_validation.shown(value)}"
        )
    for known in METRICS.values():
        if value is known.function:
            return known
    function = value.func if isinstance(value, partial) else value
    name = getattr(function, "__name__", type(function).__name__)
    if not is_classifier:
        return Metric(name, value, "values")
    module = getattr(function, "__module__", None) or ""  # None where code was executed as text
    is_of_sklearn = module.startswith("sklearn.")
    takes_probabilities = is_of_sklearn and name in _OF_PROBABILITIES
    return Metric(name, value, "probabilities" if takes_probabilities else "labels")


def larger_is_better(name: str) -> bool | None:
    """Whether a metric is to grow, from its name; None where that does not tell.

    Parameters
    ----------
    name : str
        A key of the history, such as ``"val_accuracy"``. Of a function, it tells if it ends as in
            ``my_score`` or ``my_loss``.

    Returns
    -------
    bool or None
        True for a score, False for a loss or an error, None for any other name.

    Examples
    --------
    >>> from fastnn.metrics import larger_is_better
    >>> [larger_is_better(name) for name in ("val_accuracy", "rmse", "learning_rate")]
    [True, False, None]
    """
    if name.endswith(_SMALLER):
        return False
    return True if name.endswith(_LARGER) else None

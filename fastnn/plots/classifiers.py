"""How good the predictions of a classifier are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastnn._validation import numbers, shown
from fastnn.metrics import roc_auc
from fastnn.plots.figures import COLOURS, GREY, colour, label, legend, plain, single

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[Any]

# More are no classes but numbers, which would take a matrix as large as memory.
_MOST_CLASSES = 2000
# So many classes have a number in each cell of their confusion matrix.
_MOST_NUMBERED = 20
# So many curves have a colour, which can be read on white, and a line of the legend each.
_MOST_NAMED = 6
_N_BINS = 10
# Shares of a sum in float32 may add up to a little more than 1.
_ROUNDING = 1e-6


def confusion_matrix(y_true: npt.ArrayLike, y_pred: npt.ArrayLike, ax: Axes | None = None) -> Axes:
    """Draw how many samples of each true class (rows) got each predicted class (columns).

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
        Classes: numbers or texts, of at most 2,000 different ones. With up to 20 of them, the
        counts are written into the cells.
    ax : matplotlib.axes.Axes, optional
        Where to draw; None: into a figure of its own.

    Returns
    -------
    Axes
        With the classes in ascending order on both axes.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from fastnn import plots
    >>> ax = plots.confusion_matrix(["cat", "dog", "dog"], ["cat", "cat", "dog"])
    >>> [text.get_text() for text in ax.texts]
    ['1', '0', '1', '1']
    """
    true, predicted = labels(y_true, "y_true"), labels(y_pred, "y_pred")
    if predicted.shape != true.shape:
        raise ValueError(f"y_pred must have shape {true.shape}, as y_true, got {predicted.shape}")
    classes = known_classes((true, predicted), "y_true and y_pred")
    n = len(classes)
    counts = np.zeros((n, n), np.int64)
    np.add.at(counts, (np.searchsorted(classes, true), np.searchsorted(classes, predicted)), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = [label(each) for each in classes] if n <= _MOST_NUMBERED else []
    longest = max(map(len, names), default=0)
    size = min(1.6 + 0.42 * n, 9.0) + 0.07 * max(longest - 3, 0)  # inches, with room for the names
    ax = single(ax, max(size + 0.9, 4.2), max(size, 3.4))
    image = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ax.figure.colorbar(image, ax=ax, label="share of the true class", fraction=0.05)
    if names:
        for (i, j), count in np.ndenumerate(counts):
            ink = "white" if shares[i, j] > 0.5 else "black" if count else GREY
            ax.text(j, i, f"{count}", ha="center", va="center", color=ink, fontsize="small")
        ax.set_xticks(range(n), names, rotation=90 if longest > 3 else 0)
        ax.set_yticks(range(n), names)
    ax.set(xlabel="predicted class", ylabel="true class")
    return ax


def roc(y_true: npt.ArrayLike, probabilities: npt.ArrayLike, ax: Axes | None = None) -> Axes:
    """Draw the receiver operating characteristic, with the area under each curve.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_labels)
        Classes: numbers or texts; with several labels a sample, 0 or 1 each.
    probabilities : array-like of shape (n_samples,), (n_samples, 1) or (n_samples, n_classes)
        Of the second class, or of each class or label: what ``predict_proba`` gives. Columns are
        the classes from 0, or those of `y_true` in order. Any numbers that rise with the
        probability do.
    ax : matplotlib.axes.Axes, optional
        Where to draw; None: into a figure of its own.

    Returns
    -------
    Axes
        A curve for each class against the rest, but those that no sample has, or every sample. Of
        more than 6, the 6 with the smallest areas are named, the others are grey.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from fastnn import plots
    >>> ax = plots.roc([0, 1, 0, 1], [0.1, 0.4, 0.5, 0.9])
    >>> ax.lines[-1].get_label()
    'AUC 0.750'
    """

    def curve(question: _Question) -> tuple[Array, Array, float]:
        hits, alarms = _counts(question)
        return (
            np.concatenate([[0.0], alarms / alarms[-1]]),
            np.concatenate([[0.0], hits / hits[-1]]),
            roc_auc(question.positive, question.scores),
        )

    questions = _questions(y_true, probabilities)
    ax = single(ax, 4.6, 4.2)
    ax.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="chance (AUC 0.5)")
    _draw(ax, questions, curve, "AUC")
    ax.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
    legend(ax, loc="lower right")
    return ax


def precision_recall(
    y_true: npt.ArrayLike, probabilities: npt.ArrayLike, ax: Axes | None = None
) -> Axes:
    """Draw precision by recall, with the average precision (AP) of each curve.

    The average precision is the mean of the precisions at all thresholds, each weighted by the
    growth of the recall.

    Parameters
    ----------
    y_true, probabilities : array-like
        As for `roc`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; None: into a figure of its own.

    Returns
    -------
    Axes
        As `roc` does.

    Raises
    ------
    TypeError, ValueError, ImportError
        As `roc`.

    Examples
    --------
    >>> from fastnn import plots
    >>> ax = plots.precision_recall([0, 1, 0, 1], [0.1, 0.4, 0.5, 0.9])
    >>> ax.lines[-1].get_label()
    'AP 0.833'
    """

    def curve(question: _Question) -> tuple[Array, Array, float]:
        hits, alarms = _counts(question)
        recall, precision = hits / hits[-1], hits / (hits + alarms)
        average = float(np.sum(np.diff(recall, prepend=0) * precision))
        return np.concatenate([[0.0], recall]), np.concatenate([[1.0], precision]), average

    questions = _questions(y_true, probabilities)
    ax = single(ax, 4.6, 4.2)
    if len(questions) == 1:
        share = float(questions[0].positive.mean())
        ax.axhline(share, color=GREY, linestyle=":", label=f"chance (AP {share:.3f})")
    _draw(ax, questions, curve, "AP")
    ax.set(xlabel="recall", ylabel="precision", aspect="equal")
    legend(ax, loc="lower left")
    return ax


def calibration(
    y_true: npt.ArrayLike, probabilities: npt.ArrayLike, ax: Axes | None = None
) -> Axes:
    """Draw how often predictions of each probability come true: on the diagonal, as often as said.

    Parameters
    ----------
    y_true : array-like
        As for `roc`.
    probabilities : array-like
        As for `roc`, in [0, 1]. With two classes it is the second one's probability that is looked
        at, with several labels that of all of them together, with more classes that of the class
        which is predicted.
    ax : matplotlib.axes.Axes, optional
        Where to draw; None: into a figure of its own.

    Returns
    -------
    Axes
        A point for each of ten bins of equal width, without those that are empty. The larger it is,
        the more samples it stands for. ECE, the expected calibration error, is the mean distance
        to the diagonal over the samples.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from fastnn import plots
    >>> ax = plots.calibration([0, 1, 1, 1], [0.05, 0.75, 0.75, 0.95])
    >>> ax.lines[-1].get_label()
    'ECE 0.150'
    """
    true, scores, classes = _with_scores(y_true, probabilities)
    if not ((scores >= 0) & (scores <= 1 + _ROUNDING)).all():
        raise ValueError(
            f"probabilities must be in [0, 1], got numbers from {scores.min()} to {scores.max()}"
        )
    scores = np.minimum(scores, 1.0)
    if classes is None:
        came_true, said = (true > 0).reshape(-1), scores.reshape(-1)
        what = ("predicted probability", "share of positives")
    elif scores.ndim == 1:
        came_true, said = true == classes[1], scores
        name = label(classes[1])
        what = (f"predicted probability of {name}", f"share of {name}")
    else:
        came_true, said = classes[scores.argmax(axis=1)] == true, scores.max(axis=1)
        what = ("probability of the predicted class", "share that is right")
    bins = np.minimum((said * _N_BINS).astype(int), _N_BINS - 1)
    counts = np.bincount(bins, minlength=_N_BINS)
    there = counts > 0
    x, y = (
        np.bincount(bins, weights=values, minlength=_N_BINS)[there] / counts[there]
        for values in (said, came_true)
    )
    share = counts[there] / len(said)
    error = float(np.sum(share * np.abs(x - y)))
    ax = single(ax, 4.6, 4.2)
    ax.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="perfect")
    ax.plot(x, y, color=COLOURS[0], linewidth=1.2, label=f"ECE {error:.3f}")
    ax.scatter(x, y, s=15 + 250 * share, color=COLOURS[0], alpha=0.8, zorder=3)
    ax.set(xlim=(-0.04, 1.04), ylim=(-0.04, 1.04), aspect="equal")
    ax.set(xlabel=what[0], ylabel=what[1])
    plain(ax)
    legend(ax, loc="upper left")
    return ax


# ---- what is checked, and what is computed -------------------------------------------------------


class _Question(NamedTuple):
    """A class against the rest: which samples have it, and how sure the network is of that."""

    name: str
    positive: npt.NDArray[np.bool_]
    scores: npt.NDArray[np.float64]


def labels(value: Any, name: str) -> Array:
    """`value` as an array of shape (n_samples,) of numbers or texts."""
    if isinstance(value, (str, Mapping)) or not (
        hasattr(value, "__array__") or isinstance(value, Iterable)
    ):
        raise TypeError(f"{name} must be a sequence of classes, got {shown(value)}")
    array = np.asarray(value if hasattr(value, "__array__") else list(value))
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} must have shape (n_samples,), not empty, got {array.shape}")
    if array.dtype.kind not in "biufUSOT":
        raise TypeError(f"{name} must be numbers or texts, got dtype {array.dtype}")
    if any(each is None or each != each for each in array):
        raise ValueError(f"{name} must have no missing values, got None or NaN")
    return array


def known_classes(columns: Iterable[Array], names: str) -> Array:
    """The labels in some arrays of them, in order."""
    kinds, found = set(), set()
    for column in columns:
        values = column.tolist()
        kinds |= {isinstance(each, str) for each in values}
        found |= set(values)
    try:
        if len(kinds) > 1:
            raise TypeError
        classes = np.array(sorted(found))
    except TypeError:
        raise TypeError(f"{names} must be classes of one type, got numbers and texts") from None
    if len(classes) > _MOST_CLASSES:
        raise ValueError(
            f"{names} must have at most {_MOST_CLASSES:,} classes, got {len(classes):,} different "
            "values"
        )
    return classes


def _with_scores(y_true: Any, probabilities: Any) -> tuple[Array, Array, Array | None]:
    """Labels, scores and classes.

    The scores are those of the second class, of shape (n_samples,), or a column a class. Without
    classes, there are several labels: both arrays have a column a label.
    """
    scores = numbers(probabilities, "probabilities").astype(np.float64)
    if scores.ndim not in (1, 2) or scores.size == 0:
        raise ValueError(
            "probabilities must have shape (n_samples,) or (n_samples, n_classes), got "
            f"{scores.shape}"
        )
    if np.isnan(scores).any():
        raise ValueError("probabilities must be numbers, got NaN")
    if np.ndim(y_true) == 2 and np.shape(y_true)[1] > 1:
        true = numbers(y_true, "y_true")
        if true.shape != scores.shape or not np.isin(true, (0, 1)).all():
            raise ValueError(
                "y_true of several labels must be 0 or 1, of the shape of probabilities, "
                f"{scores.shape}, got shape {true.shape}"
            )
        return true, scores, None
    true = labels(y_true if np.ndim(y_true) < 2 else np.ravel(np.asarray(y_true)), "y_true")
    if len(true) != len(scores):
        raise ValueError(f"probabilities must have {len(true)} rows, as y_true, got {len(scores)}")
    n_classes = 2 if scores.ndim == 1 else max(scores.shape[1], 2)
    classes = known_classes([true], "y_true")
    if classes.dtype.kind in "biuf" and np.isin(classes, range(n_classes)).all():
        classes = np.arange(n_classes)
    if len(classes) != n_classes:
        raise ValueError(
            f"probabilities must have a column for each of the {len(classes)} classes of y_true, "
            f"got shape {scores.shape}"
        )
    if scores.ndim == 2 and n_classes == 2:
        scores = scores[:, -1]
    return true, scores, classes


def _questions(y_true: Any, probabilities: Any) -> list[_Question]:
    true, scores, classes = _with_scores(y_true, probabilities)
    if classes is None:
        asked = [
            _Question(f"label {j}", true[:, j] > 0, scores[:, j]) for j in range(scores.shape[1])
        ]
    elif scores.ndim == 1:
        asked = [_Question("", true == classes[1], scores)]
    else:
        asked = [
            _Question(_called(each), true == each, scores[:, j]) for j, each in enumerate(classes)
        ]
    asked = [question for question in asked if 0 < question.positive.mean() < 1]
    if not asked:
        raise ValueError("y_true must hold samples of two classes, got one")
    return asked


def _called(name: Any) -> str:
    return label(name) if isinstance(name, str) else f"class {name}"


def _counts(question: _Question) -> tuple[Array, Array]:
    """True and false positives, threshold by threshold, from the largest score down."""
    order = np.argsort(-question.scores, kind="stable")
    scores, positive = question.scores[order], question.positive[order]
    last = np.flatnonzero(np.append(np.diff(scores) != 0, True))  # of those that are equal
    return np.cumsum(positive)[last], np.cumsum(~positive)[last]


def _draw(
    ax: Axes,
    questions: list[_Question],
    curve: Callable[[_Question], tuple[Array, Array, float]],
    area: str,
) -> None:
    """A curve a question, with its area in the legend; the worst ones in colour."""
    curves = [(question.name, *curve(question)) for question in questions]
    worst = sorted(range(len(curves)), key=lambda i: curves[i][3])[:_MOST_NAMED]
    others = [curve for i, curve in enumerate(curves) if i not in worst]
    for i, (_, x, y, _) in enumerate(others):
        name = f"the {len(others)} others" if i == 0 else "_"  # which a legend leaves out
        ax.plot(x, y, color=GREY, alpha=0.4, linewidth=0.8, label=name)
    for place, i in enumerate(sorted(worst)):
        name, x, y, value = curves[i]
        text = f"{name}, {area} {value:.3f}".removeprefix(", ")
        ax.plot(x, y, color=colour(place), linewidth=1.6, label=text)
    ax.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    plain(ax)

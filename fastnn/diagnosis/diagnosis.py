"""What keeps a network from being better, asked as a teacher would, with the evidence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastnn import _frames, _validation
from fastnn._data import rows_aside, validation_samples
from fastnn._html import html_table
from fastnn._keywords import checked_keywords
from fastnn._options import FIRST
from fastnn._state import Training
from fastnn._streams import refuse_chunks
from fastnn.config import choose_threads
from fastnn.cross_validation import checked_seed
from fastnn.diagnosis.case import Case
from fastnn.diagnosis.findings import Finding
from fastnn.diagnosis.probes import Part, Task, Trainer
from fastnn.diagnosis.questions import findings_of
from fastnn.history import History
from fastnn.network import Network
from fastnn.optimizers import LBFGS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fastnn.plots.figures import Panels

Array = npt.NDArray[Any]

#: Rows that are looked at, of those to train on and of those to validate with: the error of a share
#: is below 1 % then, and a hundred columns take a second or two an epoch for all copies.
MOST_ROWS = 10_000
# Set aside where there is no validation data.
_SHARE_ASIDE = 0.2
# Of a network that was not trained, or not for a whole epoch: as many as `Network.fit` does.
_EPOCHS = 10
# Each of three folds has some samples of its own then.
_FEWEST_ROWS = 10


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """The errors of copies that were trained on more and more samples, each with as many steps.

    Attributes
    ----------
    n_samples : ndarray of shape (n_points,), int64
        That each was trained on, rising.
    training_error, validation_error : ndarray of shape (n_points,), float64
        For those samples, and for the validation samples; as in `Diagnosis`.

    Examples
    --------
    >>> from fastnn import Network, diagnose
    >>> from fastnn.datasets import make_moons
    >>> X, y = make_moons(200, seed=0)
    >>> curve = diagnose(Network.from_sizes([2, 8, 1], seed=0), X, y).learning_curve
    >>> curve.validation_error.shape == curve.n_samples.shape
    True
    """

    n_samples: Array
    training_error: Array
    validation_error: Array


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What `diagnose` has found; it prints as sentences, and is a sequence of findings.

    An error is the share of wrong labels for a classifier (in [0, 1]), and the mean distance from
    the targets otherwise.

    Attributes
    ----------
    findings : tuple of Finding
        The most important one first; at least one.
    training_error, validation_error : float
        Of the network, or of a copy: see `diagnose`.
    baseline_error : float
        For the validation samples, of the guess that needs no X: the most frequent class, or the
        median.
    history : History
        Of a copy that was trained anew, with validation.
    learning_curve : LearningCurve
        Of copies that were trained on more and more samples.
    is_of_copy : bool
        Whether the errors are those of a copy that was trained anew.
    epochs : int
        That the copies were trained for.
    measure : str
        What the errors are, for texts.

    Examples
    --------
    >>> from fastnn import Dense, Network, diagnose
    >>> from fastnn.datasets import make_moons, train_test_split
    >>> X, X_test, y, y_test = train_test_split(*make_moons(1000, noise=0.1, seed=0))
    >>> net = Network([Dense(1, "sigmoid")], seed=0)
    >>> history = net.fit(X, y, epochs=100, batch_size=32, learning_rate=0.03)
    >>> diagnosis = diagnose(net, X, y, (X_test, y_test))
    >>> diagnosis.verdicts
    ['bias']
    """

    findings: tuple[Finding, ...]
    training_error: float
    validation_error: float
    baseline_error: float
    history: History
    learning_curve: LearningCurve
    is_of_copy: bool
    epochs: int
    measure: str

    @property
    def verdicts(self) -> list[str]:
        """The verdict of each finding."""
        return [finding.verdict for finding in self.findings]

    def __len__(self) -> int:
        return len(self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __getitem__(self, i: int) -> Finding:
        return self.findings[i]

    def _head(self) -> str:
        whose = f"a copy trained for {self.epochs} epochs" if self.is_of_copy else "the network"
        return (
            f"{self.measure[0].upper()}{self.measure[1:]} of {whose}: "
            f"{self.training_error:.4g} in training, {self.validation_error:.4g} in validation; "
            f"of a guess without X: {self.baseline_error:.4g}"
        )

    def __str__(self) -> str:
        texts = (f"{i}. {finding}" for i, finding in enumerate(self.findings, start=1))
        return "\n\n".join([self._head() + ".", *texts])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        rows = [
            [finding.verdict, finding.sentence, finding.evidence_text, finding.advice]
            for finding in self.findings
        ]
        header = ["verdict", "what was found", "evidence", "what to try next"]
        return html_table(header, rows, self._head(), align="left")

    def plot(self, ax: Axes | None = None) -> Panels:
        """The curves it rests on: the loss by epoch, and the error by number of samples.

        See `fastnn.plots.diagnosis`.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            A subplot, in whose place to draw. None: in a figure of its own, which a notebook shows.

        Returns
        -------
        ndarray of Axes, shape (2,)
            Loss by epoch, and error by number of samples.

        Raises
        ------
        TypeError
            If `ax` is not as above.
        ImportError
            If matplotlib is not installed.
        """
        from fastnn import plots  # here: most programs draw nothing

        return plots.diagnosis(self, ax)


@checked_keywords
def diagnose(
    net: Network,
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    validation_data: tuple[npt.ArrayLike, ...] | None = None,
    *,
    epochs: int | None = None,
    seed: int = 0,
    threads: int | None = None,
    progress: bool = False,
) -> Diagnosis:
    """Says what keeps a network from being better, with the evidence and what to try next.

    It trains copies in other ways (at other learning rates, with more units, on fewer samples, on
    standardised columns, without a part of the rows) and compares what they get wrong with what the
    network gets wrong, sample by sample. About fifteen copies are trained, each for as long as the
    network was, on at most 10,000 rows, a network a thread.

    Parameters
    ----------
    net : Network
        Stays as it is. Copies are trained as it was: with its layers, loss, optimiser, batch size
        and penalties, from other initial weights. One that was not trained yet is taken to be
        trained by the defaults of `Network.fit`.
    X, y : array-like
        What it was trained with, as for `Network.fit`, without chunks. Of more than 10,000 rows,
        10,000 are drawn. Columns of a data frame are named in the sentences. Of sparse samples,
        single columns are not looked at.
    validation_data : (X, y), optional
        Samples that it was not trained on. None: a fifth of the rows is set aside, by class, and
        since the network may have seen them, all that is said is about a copy that has not, but for
        what is said of dead units. Weights, as a third array, do not count.
    epochs : int, optional
        To train each copy for. None: as many as the network was trained for with its optimiser; 10
        for one that was not trained for a whole epoch.
    seed : int
        Of all that is drawn. The same one gives the same diagnosis, on any number of threads.
    threads : int, optional
        The most to use, as for `fit_many`.
    progress : bool
        Whether to show one bar for the epochs of all copies.

    Returns
    -------
    Diagnosis
        The findings, with the errors and the curves that they rest on.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above, or there are fewer than 10 samples to train on, or no two of
        them have different targets.

    Notes
    -----
    Weights of samples and classes, averages of weights and callbacks of the earlier training are
    not known: copies are trained without. Frozen layers of copies begin anew, too. Ctrl-C ends the
    call within a second.

    Examples
    --------
    >>> from fastnn import Network, diagnose
    >>> from fastnn.datasets import load_digits
    >>> X, y = load_digits()
    >>> net = Network.from_sizes([64, 32, 10], output="softmax", seed=0)
    >>> history = net.fit(X[:1200], y[:1200], epochs=20, batch_size=32)
    >>> diagnosis = diagnose(net, X[:1200], y[:1200], (X[1200:], y[1200:]))
    >>> diagnosis.verdicts
    ['all well']
    """
    if not isinstance(net, Network):
        raise TypeError(f"net must be a Network, got {_validation.shown(net)}")
    seed = checked_seed(seed)
    if epochs is not None:
        epochs = _validation.positive_int(epochs, "epochs", at_most=_validation.MAX_SIZE)
    if threads is not None:
        threads = choose_threads(threads, 0.0)
    progress = _validation.boolean(progress, "progress")
    refuse_chunks(X, "X", "a diagnosis")
    refuse_chunks(validation_data, "validation_data", "a diagnosis")
    still = net.copy()  # while another thread may train
    data: Any
    data, targets = net._architecture.checked_data(X, y, net.n_features)
    training = still.training or FIRST
    if isinstance(training.optimizer, LBFGS):
        training = replace(training, batch_size=None)
    if epochs is None:
        epochs = _epochs_of(still, training, len(data))
    is_given = validation_data is not None
    train, validation, rows = _parts(still, Part(data, targets), validation_data, seed)
    task = Task(net, train)
    _check_parts(task, train, validation, is_given)
    case = Case(
        still,
        task,
        train,
        validation,
        Trainer(training, task, seed, threads, progress),
        epochs,
        is_apart=is_given and still.training is not None,
    )
    case.measure()
    findings = findings_of(case, _frames.labels(X), rows)
    curve = LearningCurve(
        np.array([len(each.training) for each in case.curve]),
        np.array([each.training_error for each in case.curve]),
        np.array([each.validation_error for each in case.curve]),
    )
    return Diagnosis(
        tuple(findings),
        case.subject.training_error,
        case.subject.validation_error,
        case.baseline_error,
        case.again.history,
        curve,
        not case.is_apart,
        epochs,
        "share of wrong labels" if task.is_classifier else "mean distance from the targets",
    )


def _epochs_of(net: Network, training: Training, n_samples: int) -> int:
    """How long it was trained."""
    if net._state is None:
        return _EPOCHS
    steps = -(-n_samples // (training.batch_size or n_samples))
    return net._state.n_updates // steps or _EPOCHS


def _parts(
    net: Network, samples: Part, validation_data: Any, seed: int
) -> tuple[Part, Part, Array]:
    """Copies of the samples to train on and to validate with, and the rows of the first ones."""
    rows = np.arange(len(samples.y))
    random = np.random.default_rng(seed)
    _check_number(rows)
    if validation_data is None:
        rows, aside = rows_aside(net._architecture, samples.y, _SHARE_ASIDE, net.seed)
        validation = samples.take(_some(aside, random))
    else:
        given = validation_samples(net, validation_data, samples.X.shape[1])
        validation = Part(given.X, given.y)
        validation = validation.take(_some(np.arange(len(given.y)), random))
    _check_number(rows)
    rows = _some(rows, random)
    return samples.take(rows), validation, rows


def _some(rows: Array, random: np.random.Generator) -> Array:
    """At most `MOST_ROWS` of them, in ascending order."""
    if len(rows) <= MOST_ROWS:
        return rows
    return np.sort(random.choice(rows, MOST_ROWS, replace=False))


def _check_number(rows: Array) -> None:
    """Refuses too few to train on."""
    if len(rows) < _FEWEST_ROWS:
        raise ValueError(
            f"X must have at least {_FEWEST_ROWS} samples to train on, got {len(rows)}"
        )


def _check_parts(task: Task, train: Part, validation: Part, is_given: bool) -> None:
    """Refuses what nothing can be learnt from."""
    what = "must have different targets, got the same for all samples"
    if not task.baseline(train.y).any():
        raise ValueError(f"y {what}")
    if task.baseline(validation.y).any():
        return
    if is_given:
        raise ValueError(f"the y of validation_data {what}")
    raise ValueError(
        f"validation_data must be given: of y, {len(validation.y)} targets would be set aside, and "
        f"these are all the same"
    )

"""Networks that are trained to find out about another one: what each sample's error is."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastnn import _inference
from fastnn._core.inference import NotFiniteError
from fastnn._sparse import SparseRows
from fastnn._state import Training
from fastnn.callbacks import EarlyStopping
from fastnn.history import History
from fastnn.layers import Activation, Dense, Layer
from fastnn.many import fit_each
from fastnn.network import Network
from fastnn.optimizers import Optimizer
from fastnn.schedules import Schedule

Array = npt.NDArray[Any]

#: Errors are cut here, in times the baseline's: that a network has diverged says no more than this.
_MOST_ERROR = 10.0
# An early-stopped copy waits for this share of its epochs, and at least for this number.
_PATIENCE_SHARE, _LEAST_PATIENCE = 0.2, 5
#: A larger network has twice the units of each hidden layer, and no fewer than these: 64 units bend
#: in enough places for most tables, and cost little.
_LARGER, _LEAST_UNITS = 2, 64


class Part(NamedTuple):
    """Samples as the core reads them.

    Attributes
    ----------
    X : ndarray or SparseRows of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
    """

    X: Any
    y: Array

    def take(self, rows: Array) -> Part:
        return Part(self.X[rows], self.y[rows])

    def mapped(self, change: Callable[[Array], Array]) -> Part:
        """The same samples with other inputs."""
        return Part(change(self.X), self.y)


class Task:
    """What a network learns, as far as the count of its mistakes depends on it.

    Parameters
    ----------
    net : Network
    train : Part
        The baseline is what is best without X: the most frequent class, or the median, of these.
    """

    def __init__(self, net: Network, train: Part) -> None:
        architecture = net._architecture
        self._decided = architecture.decided
        self.has_signs = architecture.target_kind == "signs"
        self.is_classifier = architecture.is_classifier or self.has_signs
        truth = self.truth(train.y)
        if self.is_classifier and truth.ndim == 1:
            self.guess: Array = np.array([np.bincount(truth).argmax()])
        else:
            self.guess = np.median(truth, axis=0, keepdims=True)
        self.most = _MOST_ERROR * float(self.baseline(train.y).mean())

    @property
    def has_classes(self) -> bool:
        """Whether each sample has one class."""
        return self.is_classifier and self.guess.ndim == 1

    def truth(self, y: Array) -> Array:
        """Classes, or numbers."""
        if self.has_signs:
            return (y[:, 0] > 0).astype(np.int64)
        if not self.is_classifier:
            return y.astype(np.float64)
        return y if y.ndim == 1 else self._decided(y)

    def probabilities(self, output: Array) -> Array:
        """Of each class, shape (n_samples, n_classes), from the output for tasks with classes."""
        output = output.astype(np.float64)
        if self.has_signs:
            output = 0.5 * (1 + np.clip(output, -1, 1))
        return output if output.shape[1] > 1 else np.hstack([1 - output, output])

    def errors(self, output: Array, y: Array) -> Array:
        """How wrong each sample's output is: 0 or 1 (or the share of its labels), or by how much.

        Shape (n_samples,), float64.
        """
        with np.errstate(all="ignore"):
            if self.is_classifier:
                decided = (output[:, 0] > 0) if self.has_signs else self._decided(output)
                return _means(decided != self.truth(y))
            errors = _means(np.abs(output.astype(np.float64) - y))
        cut: Array = np.minimum(np.nan_to_num(errors, nan=np.inf), self.most)
        return cut

    def baseline(self, y: Array) -> Array:
        """The same of the guess that needs no X."""
        if self.is_classifier:
            return _means(self.truth(y) != self.guess)
        return _means(np.abs(y - self.guess))

    def worst(self, n_samples: int) -> Array:
        """The errors of a network that has diverged."""
        return np.full(n_samples, 1.0 if self.is_classifier else self.most)


def _means(errors: Array) -> Array:
    """One a sample."""
    means: Array = errors.astype(np.float64)
    return means if means.ndim == 1 else means.mean(axis=1)


@dataclass(frozen=True, eq=False)
class Outcome:
    """A network, and how wrong it is.

    Attributes
    ----------
    net : Network
        As it has ended; of a diverged one in its last finite state.
    history : History
    training, validation : ndarray of shape (n_samples,), float64
        `Task.errors`.
    diverged : bool
    """

    net: Network
    history: History
    training: Array
    validation: Array
    diverged: bool = False

    @property
    def training_error(self) -> float:
        return float(self.training.mean())

    @property
    def validation_error(self) -> float:
        return float(self.validation.mean())


@dataclass(frozen=True)
class Probe:
    """One training.

    Attributes
    ----------
    net : Network
        Is changed.
    epochs : int
    factor : float
        Of the learning rate.
    rows : ndarray of int64, or None
        Of the training samples; None: all.
    class_weight : str or None
    """

    net: Network
    epochs: int
    factor: float = 1.0
    rows: Array | None = None
    class_weight: str | None = None


@dataclass(frozen=True)
class Trainer:
    """Trains networks as another one was trained, many at a time.

    Attributes
    ----------
    training : Training
        How.
    task : Task
    seed : int
        Of all that is drawn.
    threads : int or None
    progress : bool
    """

    training: Training
    task: Task
    seed: int
    threads: int | None
    progress: bool

    def run(self, probes: Sequence[Probe], train: Part, validation: Part) -> list[Outcome]:
        """Trains each on `train`, or its rows of it, and measures it on both parts."""
        fits = [{**self._settings(probe), "validation_data": tuple(validation)} for probe in probes]
        histories = self._fit(probes, train, fits)
        return [
            self.measured(probe.net, history, train, validation, probe.rows)
            for probe, history in zip(probes, histories, strict=True)
        ]

    def out_of_fold(self, probes: Sequence[Probe], samples: Part) -> Array:
        """The output for each sample of the network that was not trained on it.

        Each network stops at the epoch that is best for the samples it is not trained on, so that
        what it says of them is neither unlearnt nor learnt by heart. Shape (n_samples, n_outputs).
        """
        fits = []
        for probe in probes:
            aside = samples.take(others(probe.rows, len(samples.y)))
            patience = max(_LEAST_PATIENCE, round(_PATIENCE_SHARE * probe.epochs))
            callbacks = (EarlyStopping(patience=patience),)
            fits.append(
                {**self._settings(probe), "validation_data": tuple(aside), "callbacks": callbacks}
            )
        self._fit(probes, samples, fits)
        output = np.zeros((len(samples.y), probes[0].net.n_outputs))
        for probe in probes:
            aside_rows = others(probe.rows, len(samples.y))
            found = output_of(probe.net, samples.X[aside_rows], self.threads)
            if found is not None:
                output[aside_rows] = found
        return output

    def measured(
        self,
        net: Network,
        history: History | None,
        train: Part,
        validation: Part,
        rows: Array | None = None,
    ) -> Outcome:
        """How wrong `net` is; `history` None says that it has diverged."""
        parts = (train if rows is None else train.take(rows), validation)
        outputs = [output_of(net, part.X, self.threads) for part in parts]
        errors = [
            self.task.worst(len(part.y)) if output is None else self.task.errors(output, part.y)
            for part, output in zip(parts, outputs, strict=True)
        ]
        if history is None:
            errors = [self.task.worst(len(part.y)) for part in parts]
        return Outcome(net, net.history, errors[0], errors[1], history is None)

    def _settings(self, probe: Probe) -> dict[str, Any]:
        """The arguments of `Network.fit`."""
        return {
            "epochs": probe.epochs,
            "optimizer": with_rate(self.training.optimizer, probe.factor),
            "batch_size": self.training.batch_size,
            "shuffle": self.training.shuffle,
            "label_smoothing": self.training.label_smoothing,
            "class_weight": probe.class_weight,
            **asdict(self.training.regularization),
        }

    def _fit(
        self, probes: Sequence[Probe], samples: Part, fits: Sequence[Mapping[str, Any]]
    ) -> list[History | None]:
        """The histories; None of a network that has diverged."""
        with warnings.catch_warnings():  # of scales and of schedules: this is about such things
            warnings.simplefilter("ignore", UserWarning)
            found = fit_each(
                [probe.net for probe in probes],
                samples.X,
                [{**fit, "y": samples.y} for fit in fits],
                [probe.rows for probe in probes],
                self.threads,
                self.progress,
            )
        for each in found:
            # ValueError: the loss of the validation data has become NaN
            if isinstance(each, Exception) and not isinstance(each, (ArithmeticError, ValueError)):
                raise each
        return [each if isinstance(each, History) else None for each in found]


def output_of(net: Network, X: Array | SparseRows, threads: int | None) -> Array | None:
    """The output for samples that have been checked; None where it is not finite."""
    output = np.empty((len(X), net.n_outputs), net.dtype)
    try:
        _inference.infer(net, X, [output], threads=threads)
    except (NotFiniteError, ValueError):
        return None
    return output if np.isfinite(output).all() else None


def others(rows: Array | None, n_samples: int) -> Array:
    """The rows that these are not."""
    is_other = np.ones(n_samples, np.bool_)
    if rows is not None:
        is_other[rows] = False
    return np.flatnonzero(is_other)


def with_rate(optimizer: Optimizer, factor: float) -> Optimizer:
    """The same with another learning rate."""
    rate = optimizer.learning_rate
    if factor == 1:
        return optimizer
    if isinstance(rate, Schedule):
        ends = {"learning_rate", "end_rate", "min_rate"} & {field.name for field in fields(rate)}
        scaled: Any = replace(rate, **{name: factor * getattr(rate, name) for name in ends})
    elif callable(rate):
        given = rate
        scaled = lambda step: factor * given(step)  # noqa: E731
    else:
        scaled = factor * rate
    return replace(optimizer, learning_rate=scaled)


def larger(layers: Sequence[Layer]) -> list[Layer]:
    """The layers of a larger network of the same depth; of one without hidden layers, of two."""
    hidden = [i for i, layer in enumerate(layers[:-1]) if isinstance(layer, Dense)]
    if not hidden:
        return [*layers[:-1], Dense(_LEAST_UNITS, "relu"), layers[-1]]
    result = list(layers)
    for i in hidden:
        layer = result[i]
        assert isinstance(layer, Dense)
        result[i] = replace(layer, n_units=max(_LARGER * layer.n_units, _LEAST_UNITS))
    return result


def without_dead_ends(layers: Sequence[Layer]) -> list[Layer]:
    """The layers with leaky_relu for relu, which always passes on a gradient."""
    return [
        replace(layer, activation="leaky_relu")
        if isinstance(layer, (Dense, Activation)) and layer.activation == "relu"
        else layer
        for layer in layers
    ]


class Gain(NamedTuple):
    """What one network does better than another on the same samples.

    Attributes
    ----------
    mean : float
        Of the errors, the first network's minus the second one's.
    z : float
        It in standard errors.
    """

    mean: float
    z: float


def gain(before: Array, after: Array) -> Gain:
    """Of the errors of two networks for the same samples."""
    difference, exponent = near_one(before - after)
    mean = float(difference.mean())
    if len(difference) < 2:
        return Gain(math.ldexp(mean, exponent), 0.0)
    # As if one more sample had gone the other way: a few samples that all agree prove little
    squares = float(np.square(difference - mean).sum()) + float(np.abs(difference).max()) ** 2
    deviation = math.sqrt(squares / len(difference) / (len(difference) - 1))
    return Gain(math.ldexp(mean, exponent), mean / deviation if deviation > 0 else 0.0)


def near_one(values: Array) -> tuple[Array, int]:
    """The values and a power of two to multiply by: their squares neither overflow nor vanish."""
    exponent = int(np.frexp(np.abs(values).max())[1])
    scaled: Array = np.ldexp(values, -exponent)
    return scaled, exponent

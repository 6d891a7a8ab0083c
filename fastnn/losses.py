"""Losses: names, parameters, and which outputs and targets they fit.

The arithmetic is in ``csrc/losses.inc.h``, the textbook form in `fastnn.reference`.

Every loss is a mean over the samples, by their weights where they have some. With a softmax output
a loss is one number a sample, a sum over the classes. The other losses are one number an output,
and the mean is over samples and outputs: a network with ten outputs has the mean of ten losses, not
their sum.

``mean_squared_error`` is not halved. scikit-learn halves it: with one output, its loss and its
gradient are half of those here, and gradient descent there needs twice the learning rate.

In the formulas a is the output, t the target, and r = a - t. A formula is the loss of one sample,
or of one output of one sample, before the mean.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from fastnn import _validation
from fastnn._description import entries, text
from fastnn._keywords import checked_keywords


@dataclass(frozen=True)
class Loss:
    """What all losses have: a name, the outputs that they fit, and the targets that they take.

    Attributes
    ----------
    name : str
        By which `Network` knows it.
    formula : str
        In the words of this module.
    outputs : tuple of str
        The output activations that it fits; none: every one that is not ``output_only``.

    Examples
    --------
    >>> from fastnn import Huber, Network
    >>> net = Network.from_sizes([3, 8, 1], output="linear", loss=Huber(0.5), seed=0)
    >>> net.loss.name, net.loss.delta
    ('huber', 0.5)
    """

    name: ClassVar[str]
    formula: ClassVar[str]
    outputs: ClassVar[tuple[str, ...]] = ()

    @property
    def parameters(self) -> tuple[float, ...]:
        """What the core is told beside the name."""
        return tuple(getattr(self, field.name) for field in fields(self))

    def description(self) -> dict[str, Any]:
        """All of it as JSON knows it.

        Returns
        -------
        dict of str to object
            The name, and the parameters by theirs.
        """
        return {"name": self.name, **asdict(self)}

    @property
    def label(self) -> str:
        """The name where all parameters are the defaults, else how to make the loss."""
        return self.name if self == type(self)() else repr(self)

    def kernel(self, output: str) -> str:
        """Name of the core's kernel.

        Parameters
        ----------
        output : str
            The output activation.

        Returns
        -------
        str
            That of the loss, where it has one kernel for all outputs.
        """
        return self.name

    def target_kind(self, output: str) -> str:
        """What targets are.

        Parameters
        ----------
        output : str
            The output activation.

        Returns
        -------
        {"classes", "probabilities", "signs", "counts", "numbers"}
            By which they are checked.
        """
        return "numbers"

    def n_targets(self, n_outputs: int) -> int:
        """Numbers in a row of targets.

        Parameters
        ----------
        n_outputs : int
            Units of the output.

        Returns
        -------
        int
            As many, but for `Quantile`.
        """
        return n_outputs

    def check_outputs(self, n_outputs: int) -> None:
        """Refuses a number of output units that the loss does not fit.

        Parameters
        ----------
        n_outputs : int
            Units of the output.

        Raises
        ------
        ValueError
            If the loss needs another number of them.
        """


@checked_keywords
@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """``-t log(a) - (1 - t) log(1 - a)``, from the logits: of one class, or of several labels.

    Examples
    --------
    >>> from fastnn import Network
    >>> Network.from_sizes([3, 8, 1], output="sigmoid").loss  # what follows from a sigmoid
    BinaryCrossEntropy()
    """

    name: ClassVar[str] = "binary_cross_entropy"
    formula: ClassVar[str] = "-t log(a) - (1 - t) log(1 - a), from the logits"
    outputs: ClassVar[tuple[str, ...]] = ("sigmoid",)

    def target_kind(self, output: str) -> str:
        """Probabilities."""
        return "probabilities"


@checked_keywords
@dataclass(frozen=True)
class CategoricalCrossEntropy(Loss):
    """``-sum(t log(a))`` over the classes, from the logits.

    Examples
    --------
    >>> from fastnn import Network
    >>> Network.from_sizes([3, 8, 4], output="softmax").loss  # what follows from a softmax
    CategoricalCrossEntropy()
    """

    name: ClassVar[str] = "categorical_cross_entropy"
    formula: ClassVar[str] = "-sum(t log(a)) over the classes, from the logits"
    outputs: ClassVar[tuple[str, ...]] = ("softmax",)

    def target_kind(self, output: str) -> str:
        """Classes."""
        return "classes"


@checked_keywords
@dataclass(frozen=True)
class MeanSquaredError(Loss):
    """``r^2``, where r is the output minus the target.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import Network
    >>> net = Network.from_sizes([1, 1], output="linear", seed=0)
    >>> net.set_parameters([[[0.0]]], [[3.0]])  # 3, whatever enters
    >>> net.evaluate(np.zeros((2, 1)), [1.0, 5.0])["loss"]
    4.0
    """

    name: ClassVar[str] = "mean_squared_error"
    formula: ClassVar[str] = "r^2"


@checked_keywords
@dataclass(frozen=True)
class MeanAbsoluteError(Loss):
    """``|r|``, where r is the output minus the target.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import MeanAbsoluteError, Network
    >>> net = Network.from_sizes([1, 1], output="linear", loss=MeanAbsoluteError(), seed=0)
    >>> net.set_parameters([[[0.0]]], [[3.0]])  # 3, whatever enters
    >>> net.evaluate(np.zeros((2, 1)), [1.0, 6.0])["loss"]
    2.5
    """

    name: ClassVar[str] = "mean_absolute_error"
    formula: ClassVar[str] = "|r|"


@checked_keywords
@dataclass(frozen=True)
class Huber(Loss):
    """``r^2 / 2`` where ``|r| <= delta``, else ``delta (|r| - delta / 2)``.

    r is the output minus the target.

    Parameters
    ----------
    delta : float
        Above 0.

    Raises
    ------
    TypeError, ValueError
        If a value is not one of these.

    References
    ----------
    Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35, 1964.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import Huber, Network
    >>> net = Network.from_sizes([1, 1], output="linear", loss=Huber(1.0), seed=0)
    >>> net.set_parameters([[[0.0]]], [[0.0]])
    >>> [net.evaluate([[0.0]], [target])["loss"] for target in (0.5, 1.0, 10.0)]
    [0.125, 0.5, 9.5]
    """

    name: ClassVar[str] = "huber"
    formula: ClassVar[str] = "r^2 / 2 if |r| <= delta else delta (|r| - delta / 2)"

    delta: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "delta", _validation.positive_number(self.delta, "delta"))


@checked_keywords
@dataclass(frozen=True)
class LogCosh(Loss):
    """``log(cosh(r))``: near ``r^2 / 2`` for small r, near ``|r| - log(2)`` for large ones.

    r is the output minus the target.

    Examples
    --------
    >>> from fastnn import Network
    >>> Network.from_sizes([3, 8, 1], output="linear", loss="log_cosh").loss
    LogCosh()
    """

    name: ClassVar[str] = "log_cosh"
    formula: ClassVar[str] = "log(cosh(r))"


@checked_keywords
@dataclass(frozen=True)
class Quantile(Loss):
    """Quantile regression: ``(1 - level) r`` where ``r > 0``, else ``-level r``.

    r is the output minus the target. The output has one unit for each level, and every unit is
    compared with the one target of a sample. ``fastnn.Quantile([0.1, 0.5, 0.9])`` gives the median
    and an interval of 80 %.

    Parameters
    ----------
    levels : sequence of float
        Strictly increasing numbers in (0, 1), as many as the output has units.

    Raises
    ------
    TypeError, ValueError
        If a value is not one of these.

    References
    ----------
    Koenker and Bassett, "Regression quantiles", Econometrica 46, 1978.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import Network, Quantile
    >>> y = np.arange(101.0)
    >>> net = Network.from_sizes([1, 3], output="linear", loss=Quantile([0.1, 0.5, 0.9]), seed=0)
    >>> history = net.fit(np.zeros((101, 1)), y, epochs=3000, batch_size=None, learning_rate=0.1)
    >>> net.predict([[0.0]]).round(-1)
    array([[10., 50., 90.]], dtype=float32)
    """

    name: ClassVar[str] = "quantile"
    formula: ClassVar[str] = "(1 - level) r if r > 0 else -level r"

    levels: Sequence[float] = (0.1, 0.5, 0.9)

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", _checked_levels(self.levels))

    @property
    def parameters(self) -> tuple[float, ...]:
        """The levels."""
        return tuple(self.levels)

    def n_targets(self, n_outputs: int) -> int:
        """One."""
        return 1

    def check_outputs(self, n_outputs: int) -> None:
        """Refuses any number of units but that of the levels."""
        if len(self.levels) != n_outputs:
            raise ValueError(
                f"loss {self!r} needs one output unit for each of its {len(self.levels)} levels, "
                f"got {n_outputs}"
            )


@checked_keywords
@dataclass(frozen=True)
class Poisson(Loss):
    """``a - t log(a)`` for counts t, from the logits: ``exp(z) - t z``. The output is ``exp(z)``.

    It is the negative log-likelihood of a Poisson distribution of mean a but for ``log(t!)``.

    Examples
    --------
    >>> from fastnn import Network
    >>> Network.from_sizes([3, 8, 1], output="exponential", loss="poisson").loss
    Poisson()
    """

    name: ClassVar[str] = "poisson"
    formula: ClassVar[str] = "a - t log(a), from the logits"
    outputs: ClassVar[tuple[str, ...]] = ("exponential",)

    def target_kind(self, output: str) -> str:
        """Counts."""
        return "counts"


@checked_keywords
@dataclass(frozen=True)
class Hinge(Loss):
    """``max(0, 1 - t a)`` for targets -1 and 1; 0 stands for -1.

    `Network.predict` gives the values a, whose sign is the decision.

    Examples
    --------
    >>> from fastnn import Network
    >>> net = Network.from_sizes([1, 1], output="linear", loss="hinge", seed=0)
    >>> net.set_parameters([[[0.0]]], [[0.25]])
    >>> [net.evaluate([[0.0]], [target])["loss"] for target in (1, -1)]
    [0.75, 1.25]
    """

    name: ClassVar[str] = "hinge"
    formula: ClassVar[str] = "max(0, 1 - t a)"
    outputs: ClassVar[tuple[str, ...]] = ("linear",)

    def target_kind(self, output: str) -> str:
        """Signs."""
        return "signs"


@checked_keywords
@dataclass(frozen=True)
class SquaredHinge(Hinge):
    """``max(0, 1 - t a)^2`` for targets -1 and 1; 0 stands for -1.

    Examples
    --------
    >>> from fastnn import Network
    >>> net = Network.from_sizes([1, 1], output="linear", loss="squared_hinge", seed=0)
    >>> net.set_parameters([[[0.0]]], [[0.5]])
    >>> net.evaluate([[0.0]], [-1])["loss"]
    2.25
    """

    name: ClassVar[str] = "squared_hinge"
    formula: ClassVar[str] = "max(0, 1 - t a)^2"


@checked_keywords
@dataclass(frozen=True)
class Focal(Loss):
    """Cross-entropy in which what is right already counts less, from the logits.

    With a softmax output ``-sum(t (1 - a)^gamma log(a))`` over the classes; with a sigmoid output
    ``-t (1 - a)^gamma log(a) - (1 - t) a^gamma log(1 - a)``.

    Parameters
    ----------
    gamma : float
        At least 0, which is the cross-entropy itself.

    Raises
    ------
    TypeError, ValueError
        If a value is not one of these.

    References
    ----------
    Lin, Goyal, Girshick, He and Dollar, "Focal loss for dense object detection", ICCV 2017.

    Examples
    --------
    >>> from fastnn import Focal, Network
    >>> net = Network.from_sizes([1, 1], output="sigmoid", loss=Focal(gamma=0.0), seed=0)
    >>> net.set_parameters([[[0.0]]], [[0.0]])  # one half, whatever enters
    >>> round(net.evaluate([[0.0]], [1])["loss"], 4)  # log(2)
    0.6931
    """

    name: ClassVar[str] = "focal"
    formula: ClassVar[str] = "cross-entropy whose terms log(p) are times (1 - p)^gamma"
    outputs: ClassVar[tuple[str, ...]] = ("sigmoid", "softmax")

    gamma: float = 2.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "gamma", _validation.non_negative_number(self.gamma, "gamma"))

    def kernel(self, output: str) -> str:
        """One of two."""
        return "categorical_focal" if output == "softmax" else "binary_focal"

    def target_kind(self, output: str) -> str:
        """Those of the cross-entropy of this output."""
        return "classes" if output == "softmax" else "probabilities"


LOSSES: dict[str, type[Loss]] = {
    loss.name: loss
    for loss in (
        BinaryCrossEntropy,
        CategoricalCrossEntropy,
        MeanSquaredError,
        MeanAbsoluteError,
        Huber,
        LogCosh,
        Quantile,
        Poisson,
        Hinge,
        SquaredHinge,
        Focal,
    )
}

#: Other names under which the same losses are known.
ALIASES = {
    "mse": "mean_squared_error",
    "squared_error": "mean_squared_error",
    "mae": "mean_absolute_error",
    "absolute_error": "mean_absolute_error",
    "bce": "binary_cross_entropy",
    "cce": "categorical_cross_entropy",
    "sparse_categorical_crossentropy": "categorical_cross_entropy",
    "pinball": "quantile",
}


def get_loss(loss: str | Loss) -> Loss:
    """The loss that a network was asked for.

    Parameters
    ----------
    loss : str or Loss

    Returns
    -------
    Loss

    Raises
    ------
    TypeError, ValueError
        If it is neither a known name nor an object of this module.
    """
    if isinstance(loss, str):
        return _validation.known_name(loss, LOSSES, "loss", ALIASES)()
    if type(loss) in LOSSES.values():
        return loss
    given: Any = loss
    kinds = (kind for kind in LOSSES.values() if given is kind)
    remedy = "".join(f"; call it: {kind.__name__}()" for kind in kinds)
    raise TypeError(
        f"loss must be one of {', '.join(LOSSES)}, or an object such as fastnn.Huber(2.0), got "
        f"{_validation.shown(loss)}{remedy}"
    )


def read_loss(description: Any) -> Loss:
    """From what `Loss.description` gave; ValueError or TypeError for anything else."""
    name = description.get("name") if isinstance(description, dict) else None
    kind = _validation.known_name(text(name, "loss, name,"), LOSSES, "loss")
    _, *parameters = entries(description, ["name", *(field.name for field in fields(kind))], "loss")
    return kind(*parameters)


def _checked_levels(levels: Any) -> tuple[float, ...]:
    if isinstance(levels, np.ndarray) and levels.ndim == 1:
        levels = levels.tolist()
    if isinstance(levels, str) or not isinstance(levels, Sequence):
        raise TypeError(f"levels must be a sequence of numbers, got {_validation.shown(levels)}")
    checked = tuple(
        _validation.positive_number(level, f"levels[{i}]") for i, level in enumerate(levels)
    )
    if not checked or checked[-1] >= 1 or any(a >= b for a, b in pairwise(checked)):
        raise ValueError(
            f"levels must be strictly increasing numbers in (0, 1), got {_validation.short(levels)}"
        )
    return checked

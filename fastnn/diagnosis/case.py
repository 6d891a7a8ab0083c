"""All that is trained and measured of one network, before anything is said about it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn._sparse import SparseRows
from fastnn.diagnosis.columns import Standard, far_columns
from fastnn.diagnosis.probes import (
    Gain,
    Outcome,
    Part,
    Probe,
    Task,
    Trainer,
    gain,
    larger,
    others,
    output_of,
    without_dead_ends,
)
from fastnn.layers import BatchNorm, Dense, Layer, Rescale
from fastnn.network import Network
from fastnn.optimizers import LBFGS
from fastnn.statistics import LayerStatistics

Array = npt.NDArray[Any]

#: Learning rates that are tried, in times the network's own.
FACTORS = (0.01, 0.1, 10.0, 100.0)
#: Shares of the training samples on the learning curve, before all of them.
SHARES = (0.125, 0.25, 0.5)
#: A gain counts where it removes this share of the errors there were, and this share of the
#: baseline's, as less would not change what anybody does ...
LEAST_OF_ERROR, LEAST_OF_BASELINE = 0.15, 0.05
#: ... and is as many standard errors: by chance one of a thousand gains is, and ten are looked at.
LEAST_Z = 3.0
#: Of a hidden layer: He's initial weights on centred columns lose a few per cent of the units.
MOST_LOST = 0.3
#: A class is rare where it has less than this share of what it would have among equal ones.
RARE = 0.3
# With as many folds a network is trained on 2/3 of the samples, close to all of them, for twice the
# cost of one training.
_FOLDS = 3


@dataclass(eq=False)
class Case:
    """A network, its samples, and copies of it that were trained in other ways.

    Attributes
    ----------
    net : Network
        Stays as it is.
    task : Task
    train, validation : Part
    trainer : Trainer
    epochs : int
    is_apart : bool
        Whether the network has not seen the validation samples, as far as can be known.
    again : Outcome
        A copy, trained anew in the same way.
    subject : Outcome
        What is spoken of: the network, or the copy where the network has seen all samples.
    reference : Outcome
        The better one of the two: what another way must beat.
    linear : Outcome or None
        Without hidden layers, where the network has some.
    rates : dict of float to Outcome
        At other learning rates, by factor. Empty where no unit is lost and the samples that are
        trained on could not be learnt much better, and for an optimiser without a rate.
    larger : Outcome or None
        A larger network; None where `rates` are empty for the first reason.
    longer : Outcome or None
        The subject, trained for as many epochs once more.
    weighted : Outcome or None
        With classes that weigh the same, where one is rare.
    scaled : Outcome or None
        On standardised columns, where some are far from the others.
    scaled_targets : Outcome or None
        On standardised targets (and standardised columns where some are far), at its own rate or
        ten times it, whichever is better; where the output is linear, and a target far from 0 or on
        another scale than 1. Its errors are in the targets' own units.
    leaky : Outcome or None
        With leaky_relu, where units are dead.
    curve : list of Outcome
        For rising numbers of samples, the last one for all.
    output : ndarray of shape (n_samples, n_outputs)
        For each training sample of a network that was not trained on it.
    """

    net: Network
    task: Task
    train: Part
    validation: Part
    trainer: Trainer
    epochs: int
    is_apart: bool
    again: Outcome = field(init=False)
    subject: Outcome = field(init=False)
    reference: Outcome = field(init=False)
    rates: dict[float, Outcome] = field(init=False, default_factory=dict)
    larger: Outcome | None = field(init=False, default=None)
    linear: Outcome | None = field(init=False, default=None)
    longer: Outcome | None = field(init=False, default=None)
    weighted: Outcome | None = field(init=False, default=None)
    scaled: Outcome | None = field(init=False, default=None)
    scaled_targets: Outcome | None = field(init=False, default=None)
    leaky: Outcome | None = field(init=False, default=None)
    curve: list[Outcome] = field(init=False, default_factory=list)
    output: Array = field(init=False)
    far: Array | None = field(init=False, default=None)
    lost: list[LayerStatistics] = field(init=False, default_factory=list)

    def measure(self) -> None:
        """Trains all that is to be compared."""
        self.baseline = self.task.baseline(self.validation.y)
        self.baseline_error = float(self.baseline.mean())
        was_trained = self.net.training is not None
        if was_trained:
            self.lost = self._lost_in(self.net)
        self._train_anew()
        own = self.again
        if was_trained:
            own = self.trainer.measured(self.net, self.net.history, self.train, self.validation)
        self.net_outcome = own
        self.subject = own if self.is_apart else self.again
        self.reference = min(self.subject, self.again, key=lambda each: each.validation_error)
        could_learn = self.reference.training_error >= LEAST_OF_BASELINE * self.baseline_error
        if could_learn or self.lost:
            self._train_otherwise()
        self._scale()
        self._scale_targets()
        self._predict_folds()

    def is_material(self, before: Outcome, after: Outcome | None) -> bool:
        """Whether the second one is so much better for the validation samples that it counts."""
        return after is not None and self.counts(before.validation, after.validation)

    def counts(self, before: Array, after: Array, least_z: float = LEAST_Z) -> bool:
        """The same of errors."""
        found = gain(before, after)
        least = max(LEAST_OF_ERROR * before.mean(), LEAST_OF_BASELINE * self.baseline_error)
        return bool(found.mean >= least > 0 and found.z >= least_z)

    @property
    def scales_better(self) -> bool:
        """Whether the copy on standardised columns is better.

        It is not picked among others, and columns on other scales are a reason to expect it. So it
        may be proved by the samples that it was trained on, of which there are more.
        """
        if self.scaled is None:
            return False
        before, after = self.reference, self.scaled
        return self.is_material(before, after) or (
            self.counts(before.training, after.training)
            and self.counts(before.validation, after.validation, least_z=0.0)
        )

    def learns_better(self, after: Outcome | None) -> bool:
        """Whether a copy is better than the reference, for samples that it was trained on too.

        What is better for other samples alone has only learnt less by heart.
        """
        before = self.reference
        return (
            after is not None
            and self.is_material(before, after)
            and self.counts(before.training, after.training)
        )

    def gain_of(self, after: Outcome) -> Gain:
        """What it does better than the subject, for the validation samples."""
        return gain(self.subject.validation, after.validation)

    @property
    def is_sparse(self) -> bool:
        return isinstance(self.train.X, SparseRows)

    @property
    def n_train(self) -> int:
        return len(self.train.y)

    @property
    def best_rate(self) -> float:
        """The factor of the learning rate whose copy is best for the validation samples."""
        found = {1.0: self.again, **self.rates}
        best = min(found, key=lambda factor: found[factor].validation_error)
        return best if self.learns_better(found[best]) else 1.0

    @property
    def sparing_rate(self) -> float:
        """The factor of a lower rate that spares the units that its own kills; or 1.

        A few units that are left may do as well as all of them, so that errors alone do not tell.
        """
        if self.lost and self._lost_in(self.again.net):
            for factor in (each for each in sorted(self.rates, reverse=True) if each < 1):
                is_worse = self.is_material(self.rates[factor], self.net_outcome)
                if not is_worse and not self._lost_in(self.rates[factor].net):
                    return factor
        return 1.0

    def _lost_in(self, net: Network) -> list[LayerStatistics]:
        """The hidden layers of which many units are lost."""
        if output_of(net, self.train.X, self.trainer.threads) is None:
            return []
        hidden = net.statistics(self.train.X)[:-1]
        return [row for row in hidden if lost_share(row) >= MOST_LOST]

    @property
    def shares(self) -> Array:
        """Of the classes among the training samples."""
        counts = np.bincount(self.task.truth(self.train.y), minlength=self.n_classes)
        shares: Array = counts / counts.sum()
        return shares

    @property
    def n_classes(self) -> int:
        return max(2, self.net.n_outputs)

    @property
    def rare_classes(self) -> Array:
        """Those that are there, but few."""
        if not self.task.has_classes:
            return np.empty(0, np.int64)
        return np.flatnonzero((self.shares > 0) & (self.shares * self.n_classes < RARE))

    def fresh(self, layers: Any = None, loss: Any = None) -> Network:
        """A new network like the one that is looked at, or with other layers, or another loss."""
        net = self.net
        return Network(
            net.layers if layers is None else layers,
            self.train.X.shape[1],
            loss=net.loss if loss is None else loss,
            dtype=net.dtype,
            seed=self.trainer.seed,
        )

    def _probe(self, layers: Any = None, loss: Any = None, **settings: Any) -> Probe:
        return Probe(self.fresh(layers, loss), **{"epochs": self.epochs, **settings})

    def _train_anew(self) -> None:
        """All that begins anew on these samples as they are."""
        probes: dict[Any, Probe] = {"again": self._probe()}
        if sum(isinstance(layer, Dense) for layer in self.net.layers) > 1:
            probes["linear"] = self._probe(linear(self.net.layers))
        if len(self.rare_classes) > 0 and not self.task.has_signs:
            probes["weighted"] = self._probe(class_weight="balanced")
        if any(lost_share(row, "dead") >= MOST_LOST for row in self.lost):
            probes["leaky"] = self._probe(without_dead_ends(self.net.layers))
        order = np.random.default_rng(self.trainer.seed).permutation(self.n_train)
        for share in SHARES:
            rows = np.sort(order[: round(share * self.n_train)])
            if len(rows) >= 2 * self.n_outputs_known:
                probes["curve", share] = self._probe(rows=rows, epochs=self._as_many_steps(rows))
        found = self._run(probes)
        self.again, self.linear = found["again"], found.get("linear")
        self.weighted, self.leaky = found.get("weighted"), found.get("leaky")
        self.curve = [found[key] for key in found if isinstance(key, tuple)] + [self.again]

    @property
    def n_outputs_known(self) -> int:
        """Classes, or 1: fewer than two samples of each tell nothing."""
        return self.n_classes if self.task.has_classes else 1

    def _as_many_steps(self, rows: Array) -> int:
        """Epochs on some rows that are as many steps as on all: what differs are the samples."""

        def steps(n_samples: int) -> int:
            return -(-n_samples // (self.trainer.training.batch_size or n_samples))

        return max(1, round(self.epochs * steps(self.n_train) / steps(len(rows))))

    def _train_otherwise(self) -> None:
        """All that may learn the samples better that it is trained on."""
        probes: dict[Any, Probe] = {
            "larger": self._probe(larger(self.net.layers)),
            "longer": Probe(self.subject.net.copy(), self.epochs),
        }
        if not isinstance(self.trainer.training.optimizer, LBFGS):
            probes |= {factor: self._probe(factor=factor) for factor in self._factors()}
        found = self._run(probes)
        self.larger, self.longer = found.pop("larger"), found.pop("longer")
        self.rates = found

    def _factors(self) -> list[float]:
        """Of the rates to try: the optimiser's default too, where it is beyond the others."""
        optimizer = self.trainer.training.optimizer
        default, rate = type(optimizer)().learning_rate, optimizer.learning_rate
        factors = list(FACTORS)
        if isinstance(rate, float) and isinstance(default, float) and rate > 0:
            factor = default / rate
            if not FACTORS[0] <= factor <= FACTORS[-1] and np.isfinite(factor):
                factors.append(factor)
        return sorted(factors)

    def _run(self, probes: dict[Any, Probe]) -> dict[Any, Outcome]:
        """What becomes of each, by the same keys."""
        outcomes = self.trainer.run([*probes.values()], self.train, self.validation)
        return dict(zip(probes, outcomes, strict=True))

    def _scale(self) -> None:
        """Trains a copy on columns on one scale, where they are not."""
        if self.is_sparse or isinstance(self.net.layers[0], (BatchNorm, Rescale)):
            return
        self.far = far_columns(self.train.X)
        if self.far is not None:
            change = Standard(self.train.X)
            (self.scaled,) = self.trainer.run(
                [self._probe()], self.train.mapped(change), self.validation.mapped(change)
            )

    def _scale_targets(self) -> None:
        """Trains a copy on targets on one scale, where they are not."""
        if self.task.is_classifier or self.net._architecture.output.activation != "linear":
            return
        units = Standard(self.train.y)
        if not units.is_far:
            return
        parts = [self.train, self.validation]
        if self.far is not None:
            change = Standard(self.train.X)
            parts = [part.mapped(change) for part in parts]
        standard = [Part(part.X, units(part.y)) for part in parts]
        # A rate that has not been looked for on this scale may be a tenth of what it should be
        factors = (1.0,) if isinstance(self.trainer.training.optimizer, LBFGS) else (1.0, 10.0)
        probes = [self._probe(factor=factor) for factor in factors]
        found = self.trainer.run(probes, *standard)
        measured = [self._in_units(each, units, parts) for each in found]
        self.scaled_targets = min(measured, key=lambda each: each.validation_error)

    def _in_units(self, found: Outcome, units: Standard, parts: list[Part]) -> Outcome:
        """The same network with the errors of its output in the targets' units."""
        errors = []
        for part in parts:
            output = output_of(found.net, part.X, self.trainer.threads)
            errors.append(
                self.task.worst(len(part.y))
                if output is None or found.diverged
                else self.task.errors(units.inverse(output), part.y)
            )
        return replace(found, training=errors[0], validation=errors[1])

    def _predict_folds(self) -> None:
        """Each sample by a network that has not seen it, in the best way that was found."""
        samples, layers = self.train, None
        if self.scales_better:
            samples = samples.mapped(Standard(samples.X))
        elif self.learns_better(self.larger):
            layers = larger(self.net.layers)
        order = np.random.default_rng([self.trainer.seed, 1]).permutation(self.n_train)
        if self.task.has_classes:
            truth = self.task.truth(samples.y)
            order = order[np.argsort(truth[order], kind="stable")]
        # Wrong targets draw squares towards them, and hide among what is off then
        loss = "mean_absolute_error" if self.net.loss.name == "mean_squared_error" else None
        factor = self.best_rate if samples is self.train else 1.0
        parts = [others(order[i::_FOLDS], self.n_train) for i in range(_FOLDS)]
        probes = [self._probe(layers, loss, rows=rows, factor=factor) for rows in parts]
        self.output = self.trainer.out_of_fold(probes, samples)


def linear(layers: Any) -> list[Layer]:
    """The output alone, behind what prepares the inputs."""
    first = [layer for layer in layers[:1] if isinstance(layer, (BatchNorm, Rescale))]
    return [*first, layers[-1]]


def lost_share(row: LayerStatistics, kind: str | None = None) -> float:
    """Of the units of a layer that tell nothing or hardly learn."""
    shares = {"dead": row.dead or 0.0, "saturated": row.saturated or 0.0}
    return max(shares.values()) if kind is None else shares[kind]

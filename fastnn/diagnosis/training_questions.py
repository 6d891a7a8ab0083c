"""Questions about the training: what would make the network better, and is there anything left."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastnn.diagnosis.case import LEAST_Z, lost_share
from fastnn.diagnosis.evidence import FEW, Questions
from fastnn.diagnosis.findings import Finding
from fastnn.diagnosis.probes import Outcome, gain, near_one

Array = npt.NDArray[Any]

# Where more of the baseline's error is left than this, though nothing can be mended, most of the
# targets is not in X.
_MOST_LEFT = 0.5
# Between the errors for seen and unseen samples, in shares of the baseline's: regularisation
# removes about a third of it, which must be as much as LEAST_OF_BASELINE.
_GAP = 0.15
# ... and unseen samples have as many times the errors of seen ones.
_GAP_FACTOR = 1.5
# Dead units that cost nothing are worth a word where they are as many of the layer's.
_HALF = 0.5


class Ranked(NamedTuple):
    """A finding, the share of the baseline's error that it explains, and what was better."""

    finding: Finding
    weight: float
    outcome: Outcome


class TrainingQuestions(Questions):
    """Each method answers one."""

    def causes(self, wrong: tuple[Finding, float] | None) -> tuple[list[Finding], Finding | None]:
        """What can be mended, the one that explains most first; without what another one explains.

        And dead units apart, where they are an effect or cost nothing. `wrong` is what is said of
        the labels, and its weight.
        """
        scale = self.scale()
        found = [
            self.targets(),
            self.rate(),
            self.size(),
            self.depth(),
            self.epochs(),
            self.start(),
        ]
        ranked = sorted((each for each in found if each), key=lambda each: -each.weight)
        if scale is not None:  # where it holds, the others look for ways around it
            ranked.insert(0, scale)
        dead = self.dead()
        kept: list[Ranked] = []
        for each in ranked:
            if all(self.case.is_material(before.outcome, each.outcome) for before in kept):
                kept.append(each)
        is_effect = any(
            each.finding.verdict in ("rate too high", "inputs not scaled") for each in kept
        )
        if dead is not None and dead.weight > 0 and not is_effect:
            kept = [each for each in kept if each.finding.verdict != "unlucky start"]
            kept.insert(0, dead)
            dead = None
        findings = [each.finding for each in kept]
        # Networks that learnt from columns on other scales know too little to judge labels
        if wrong is not None and scale is None:
            findings.insert(sum(each.weight > wrong[1] for each in kept), wrong[0])
        return findings, None if dead is None else dead.finding

    def _ranked(self, finding: Finding, outcome: Outcome) -> Ranked:
        mean = self.case.gain_of(outcome).mean
        return Ranked(finding, mean / self.case.baseline_error, outcome)

    def scale(self) -> Ranked | None:
        """Whether columns on one scale would be learnt from better."""
        case = self.case
        if case.far is None or case.scaled is None or not case.scales_better:
            return None
        n_far, n_all = len(case.far), case.train.X.shape[1]
        who = "The columns of X are" if n_far == n_all else (
            f"{self.named(case.far)} of X {'is' if n_far == 1 else 'are'}"
        )  # fmt: skip
        finding = Finding(
            "inputs not scaled",
            f"{who[0].upper()}{who[1:]} on another scale than a network expects: a copy that was "
            f"trained in the same way on standardised columns does better.",
            {
                "number of columns": n_far,
                "validation error": self.subject.validation_error,
                "on standardised columns": case.scaled.validation_error,
                "baseline error": case.baseline_error,
            },
            "Standardise X, (X - X.mean(axis=0)) / X.std(axis=0), with the same numbers for all "
            "samples to come; or begin the network with fastnn.BatchNorm().",
            columns=tuple(case.far.tolist()),
        )
        return self._ranked(finding, case.scaled)

    def targets(self) -> Ranked | None:
        """Whether targets on one scale would be learnt better."""
        case = self.case
        if not case.learns_better(case.scaled_targets):
            return None
        assert case.scaled_targets is not None
        and_columns = "" if case.far is None else " and columns"
        finding = Finding(
            "targets not scaled",
            f"The targets are far from 0, or on another scale than a network expects: a copy that "
            f"was trained on standardised targets{and_columns} does better.",
            {
                **self.both_errors(),
                f"validation error on standardised targets{and_columns}": (
                    case.scaled_targets.validation_error
                ),
            },
            "Standardise y, (y - y.mean(axis=0)) / y.std(axis=0), "
            + ("" if case.far is None else "and X in the same way, ")
            + "and turn predictions back with the same numbers. Then find the learning rate again, "
            "with fastnn.find_learning_rate(net, X, y).",
        )
        return self._ranked(finding, case.scaled_targets)

    def rate(self) -> Ranked | None:
        """Whether another learning rate learns more."""
        case = self.case
        factor = case.best_rate if case.best_rate != 1 else case.sparing_rate
        if factor == 1:
            return self._divergence() if case.again.diverged else None
        best = case.rates[factor]
        which, way = ("high", "slower") if factor < 1 else ("low", "faster")
        what = "is better after as many epochs"
        if case.best_rate == 1:
            what = "is no worse after as many epochs, and spares units that die at this rate"
        rate = case.trainer.training.optimizer.learning_rate
        told = f"{factor:g} times its rates"
        if isinstance(rate, float):
            told = f"learning_rate={factor * rate:.2g}"
        evidence = {
            "validation error": self.subject.validation_error,
            **{f"validation error at x{f:g}": case.rates[f].validation_error for f in case.rates},
            "training error": self.subject.training_error,
            f"training error at x{factor:g}": best.training_error,
        }
        finding = Finding(
            f"rate too {which}",
            f"The learning rate is too {which}: a copy that learns {way}, at {factor:g} times the "
            f"rate, {what}.",
            evidence,
            f"Train a new network with {told}; fastnn.find_learning_rate(net, X, y).plot() shows "
            f"the range.",
        )
        return self._ranked(finding, best)

    def _divergence(self) -> Ranked:
        """Said where a copy leaves the finite numbers, and a hundredth of its rate is no better."""
        finding = Finding(
            "rate too high",
            "A copy that was trained in the same way diverges, and a hundredth of the learning "
            "rate does not help.",
            {
                "validation error": self.subject.validation_error,
                **{
                    f"validation error at x{factor:g}": each.validation_error
                    for factor, each in self.case.rates.items()
                },
                "baseline error": self.case.baseline_error,
            },
            "Find a rate from far below, fastnn.find_learning_rate(net, X, y, smallest=1e-9), and "
            "train a new network with it; look at the sizes of X and y.",
        )
        return Ranked(finding, 1.0, self.case.again)

    def dead(self) -> Ranked | None:
        """Whether units are dead or saturated; the weight is 0 where that costs nothing."""
        case = self.case
        if not case.lost:
            return None
        worst = max(case.lost, key=lost_share)
        share = lost_share(worst)
        kind = "dead" if lost_share(worst, "dead") == share else "saturated"
        better = [each for each in (case.again, case.leaky) if each is not None]
        best = min(better, key=lambda each: each.validation_error)
        helps = case.is_material(case.net_outcome, best)
        if not helps and share < _HALF:
            return None
        what = "give 0 for every sample and learn nothing" if kind == "dead" else "hardly learn"
        remedy = (
            'the activation "leaky_relu"' if best is case.leaky else "other initial weights (seed)"
        )
        finding = Finding(
            "dead units",
            f"In layer {worst.layer}, {100 * share:.0f} % of the units are {kind}: they {what}.",
            {
                f"share of {kind} units": share,
                "validation error": case.net_outcome.validation_error,
                "of a copy trained anew": case.again.validation_error,
                **({"with leaky_relu": case.leaky.validation_error} if case.leaky else {}),
            },
            f"Begin anew with {remedy}, and with a lower learning rate if units die again; "
            f"net.statistics(X) shows each layer."
            if helps
            else "They cost little here; fewer units, or leaky_relu, would do the same. "
            "net.statistics(X) shows each layer.",
        )
        mean = gain(case.net_outcome.validation, best.validation).mean
        return Ranked(finding, mean / case.baseline_error if helps else 0.0, best)

    def start(self) -> Ranked | None:
        """Whether the same training, from other initial weights, does better."""
        case = self.case
        if not case.is_material(self.subject, case.again):
            return None
        finding = Finding(
            "unlucky start",
            "A copy that was trained anew in the same way does better: this network began with "
            "unlucky weights, or was trained with other samples or settings than these.",
            {
                "validation error": self.subject.validation_error,
                "of a copy trained anew": case.again.validation_error,
                "baseline error": case.baseline_error,
            },
            "Train again: net = Network(net.layers, net.n_features, seed=1); "
            "fastnn.cross_validate(net, X, y) shows how much the start matters.",
        )
        return self._ranked(finding, case.again)

    def size(self) -> Ranked | None:
        """Whether the network is too small for what there is to learn."""
        case = self.case
        if not case.learns_better(case.larger):
            return None
        assert case.larger is not None
        finding = Finding(
            "bias",
            f"The network is too small: it gets {self.amount(self.subject.training_error)} of its "
            f"own training samples wrong, a larger one, trained as long, "
            f"{self.amount(case.larger.training_error)}."
            if self.task.is_classifier
            else "The network is too small: a larger one, trained as long, comes closer to the "
            "targets, those it was trained on and others.",
            {
                **self.both_errors(),
                "training error of a larger network": case.larger.training_error,
                "validation error of a larger network": case.larger.validation_error,
                **self.linear_evidence(),
            },
            f"Take more units or one more layer, such as Network({list(case.larger.net.layers)}).",
        )
        return self._ranked(finding, case.larger)

    def depth(self) -> Ranked | None:
        """Whether hidden layers keep it from learning what a linear model learns."""
        case = self.case
        if not case.learns_better(case.linear):
            return None
        assert case.linear is not None
        finding = Finding(
            "bias",
            "The network learns less than one without hidden layers, trained as long, of its own "
            "training samples too: what goes through its hidden layers fades on the way.",
            {
                **self.both_errors(),
                "training error of a linear model": case.linear.training_error,
                **self.linear_evidence(),
            },
            "Take fewer hidden layers, relu in the place of sigmoid, or fastnn.BatchNorm() behind "
            "them; net.statistics(X, y) shows each layer.",
        )
        return self._ranked(finding, case.linear)

    def epochs(self) -> Ranked | None:
        """Whether it was stopped while it still learnt."""
        case = self.case
        if not case.learns_better(case.longer):
            return None
        assert case.longer is not None
        finding = Finding(
            "too few epochs",
            f"The network still learns: {case.epochs} epochs more make it better.",
            {
                **self.both_errors(),
                "training error after as many epochs more": case.longer.training_error,
                "validation error after as many epochs more": case.longer.validation_error,
            },
            f"Go on: net.fit(X, y, epochs={case.epochs}, validation_data=..., "
            f"callbacks=fastnn.EarlyStopping()) ends when it no longer helps.",
        )
        return self._ranked(finding, case.longer)

    # ---- seen and unseen samples ---------------------------------------------------------------

    def variance(self) -> list[Finding | None]:
        """Whether it is better for samples it was trained on, and whether more of them help."""
        case, subject = self.case, self.subject
        gap = subject.validation_error - subject.training_error
        n, m = len(subject.training), len(subject.validation)
        errors, exponent = near_one(np.concatenate([subject.training, subject.validation]))
        spread = np.ldexp(np.sqrt(np.var(errors[:n]) / n + np.var(errors[n:]) / m), exponent)
        if not (
            gap >= _GAP * case.baseline_error
            and subject.validation_error >= _GAP_FACTOR * subject.training_error
            and gap >= LEAST_Z * spread
        ):
            return []
        slope = self.still_falls()
        helps = "more samples help" if slope else "more samples help little"
        found: list[Finding | None] = [
            Finding(
                "variance",
                f"The network has learnt its training samples by heart: the error is "
                f"{self.amount(subject.training_error)} for them and "
                f"{self.amount(subject.validation_error)} for others; {helps}.",
                {**self.both_errors(), **self.slope_evidence(), **self.linear_evidence()},
                "Regularise: l2=1.0 in net.fit, fastnn.Dropout(0.2) behind the hidden layers, "
                "callbacks=fastnn.EarlyStopping(); or take fewer units.",
            )
        ]
        if slope and case.n_train >= FEW:
            found.append(
                Finding(
                    "too little data",
                    "The learning curve still falls: with twice the samples the error was less, "
                    "and it will go on falling for a while.",
                    self.slope_evidence(),
                    "Gather more samples; diagnosis.plot() shows the curve.",
                )
            )
        return found

    # ---- when there is nothing to mend ---------------------------------------------------------

    def nothing(self) -> Finding:
        """All is well, or as well as it can be."""
        evidence = {**self.both_errors(), **self.linear_evidence()}
        if self.left > _MOST_LEFT:
            return Finding(
                "irreducible error",
                "Neither a larger network nor another learning rate, longer training or scaled "
                "columns make it better: the columns of X tell no more of the targets, or these "
                "are noisy.",
                evidence,
                "Look for columns that tell more, and at how exact the targets are.",
            )
        return Finding(
            "all well",
            "Neither a larger network nor another learning rate, longer training, scaled columns "
            "or more regularisation would change much.",
            evidence,
            "Use it. What is left are details: fastnn.search for hyperparameters, "
            "fastnn.Ensemble of several networks.",
        )

"""The questions of a diagnosis: what the networks of a case say, and which of it comes first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastnn._case import FACTORS, LEAST_Z, Case, lost_share
from fastnn._columns import errors_alone
from fastnn._out_of_fold import knowledge, wrong_targets
from fastnn._probes import Outcome, gain, output_of
from fastnn._scaling import named_columns
from fastnn.findings import Finding

Array = npt.NDArray[Any]

# Fewer samples are few for any task: a share among them is known to 10 % at best, 1 / sqrt(n).
_FEW = 100
# A network with a larger share of the baseline's errors left has not learnt a small task well ...
_WELL = 0.1
# ... and with more left than this, though nothing can be mended, most of the targets is not in X.
_MOST_LEFT = 0.5

# A column tells nearly all where it leaves this share of the baseline's errors, ...
_NEARLY_ALL = 0.05
# ... and leaks where all others leave this share at least: among honest columns, the second best is
# not five times as bad.
_LITTLE = 0.25

# Between the errors for seen and unseen samples, in shares of the baseline's: regularisation
# removes about a third of it, which must be as much as LEAST_OF_BASELINE.
_GAP = 0.15
# ... and unseen samples have as many times the errors of seen ones.
_GAP_FACTOR = 1.5
# Half of the samples: the error with all of them is less by this share where more of them help.
_SLOPE = 0.1
# In standard errors, of one comparison that is not picked among others.
_LIKELY_Z = 2.0

# Rows that a sentence names; `Finding.rows` has them all.
_MOST_NAMED = 10

# Dead units that cost nothing are worth a word where they are as many of the layer's.
_HALF = 0.5

# The recall of a rare class: below this, and as much below the share of all that is right.
_LOW_RECALL, _BELOW_OTHERS = 0.8, 0.15
# What weights of classes add to the recall where the classes' shares are what hinders.
_MORE_RECALL = 0.15


class _Ranked(NamedTuple):
    """A finding, the share of the baseline's error that it explains, and what was better."""

    finding: Finding
    weight: float
    outcome: Outcome


def findings_of(case: Case, labels: Sequence[Any], rows: Array) -> list[Finding]:
    """All that is found, most important first.

    Parameters
    ----------
    case : Case
        After `measure`.
    labels : sequence
        Of the columns of X; none where they have no names.
    rows : ndarray of int64
        Of the training samples in the user's X.
    """
    say = _Questions(case, labels, rows)
    first = [say.few_samples(), say.leak()]
    rare = say.imbalance()
    if not say.has_signal():
        found = [*first, rare if say.has_few_rare else None, say.no_signal()]
        return [each for each in found if each is not None]
    is_rare_first = rare is not None and rare.evidence.get("recall with class weights", 0) >= (
        rare.evidence["recall"] + _MORE_RECALL
    )
    causes, dead = say.causes()
    last = [None if is_rare_first else rare, *say.variance(), dead]
    found = [*first, rare if is_rare_first else None, *causes, *last]
    result = [each for each in found if each is not None]
    return result or [say.nothing()]


class _Questions:
    """Each method answers one."""

    def __init__(self, case: Case, labels: Sequence[Any], rows: Array) -> None:
        self.case, self.labels, self.rows = case, labels, rows
        self.task, self.subject = case.task, case.subject
        self.left = (
            self.subject.validation_error / case.baseline_error if case.baseline_error else 0
        )

    # ---- the samples ---------------------------------------------------------------------------

    def few_samples(self) -> Finding | None:
        """Whether there are too few to tell anything well."""
        case, n = self.case, self.case.n_train
        is_well = self.left <= _WELL and len(case.validation.y) >= _FEW
        if n >= _FEW or is_well:
            return None
        return Finding(
            "too little data",
            f"There are {n} samples to train on, and {len(case.validation.y)} to validate with: "
            f"what else is said here may be chance.",
            {"number of training samples": n, **self._both_errors(), **self._slope_evidence()},
            "Gather more samples, a few hundred at least; until then judge by "
            "fastnn.cross_validate(net, X, y, cv=5), and keep the network small.",
        )

    def leak(self) -> Finding | None:
        """Whether a column has the target in it."""
        case = self.case
        if case.is_sparse or case.train.X.shape[1] < 2 or case.n_train < 2 * case.n_classes:
            return None
        columns, errors, baseline = errors_alone(self.task, case.train, case.trainer.seed)
        tells = errors <= _NEARLY_ALL * baseline
        if not tells.any() or tells.all() or errors[~tells].min() < _LITTLE * baseline:
            return None
        leaking = columns[tells]
        name = self.named(leaking)
        return Finding(
            "leaking column",
            f"{name[0].upper()}{name[1:]} of X alone predicts nearly every target, and no other "
            f"column comes near: it may be made of the target, or be known only after it.",
            {
                "error by this column alone": float(errors.min()),
                "by the best of the others": float(errors[~tells].min()),
                "baseline error": baseline,
            },
            f"Ask where the column comes from. If it is not known when the network is to predict, "
            f"train without it: X = np.delete(X, {leaking.tolist()}, axis=1).",
            columns=tuple(leaking.tolist()),
        )

    @property
    def has_few_rare(self) -> bool:
        """Whether a class is so rare that a signal cannot be excluded."""
        rare = self.case.rare_classes
        return len(rare) > 0 and self.case.n_train * self.case.shares[rare].min() < _FEW

    def has_signal(self) -> bool:
        """Whether X tells anything about the targets, by networks that have not seen them."""
        case = self.case
        if case.again.diverged and case.best_rate == 1:  # nothing is known then
            return True
        if gain(case.baseline, case.reference.validation).z >= LEAST_Z:
            return True
        return self._signal() >= LEAST_Z

    def _signal(self) -> float:
        """By how many standard errors networks know more than nothing of unseen samples."""
        case = self.case
        output = output_of(case.reference.net, case.validation.X, case.trainer.threads)
        found = [knowledge(self.task, case.output, case.train.y)]
        if output is not None:
            found.append(knowledge(self.task, output, case.validation.y))
        return max(found)

    def no_signal(self) -> Finding:
        """Said where `has_signal` is false."""
        return Finding(
            "no signal",
            f"For samples that they have not seen, no network predicts better than "
            f"{self.guess()}: the columns of X tell nothing of the targets, or the rows of X and y "
            f"do not belong together.",
            {**self._both_errors(), "signal in standard errors": self._signal()},
            "Check that X and y are in the same order (shuffled together, sorted together), and "
            "that the target is one that these columns can tell.",
        )

    def labels_wrong(self) -> tuple[Finding, float] | None:
        """Whether labels are wrong, and which ones may be; and a weight, as of `_Ranked`."""
        case = self.case
        is_known = self.task.has_classes or not self.task.is_classifier
        if case.n_train < _FEW or self.task.guess.size > 1 or not is_known:
            return None
        share, order = wrong_targets(self.task, case.output, case.train.y)
        if share == 0:
            return None
        n_wrong = max(1, round(share * case.n_train))
        rows = tuple(self.rows[order[:n_wrong]].tolist())
        named = ", ".join(map(str, rows[:_MOST_NAMED]))
        weight = share / case.baseline_error if self.task.is_classifier else share
        is_classifier = self.task.is_classifier
        remedy = "label_smoothing=0.1 in net.fit" if is_classifier else "the loss fastnn.Huber()"
        finding = Finding(
            "suspicious labels",
            f"About {100 * share:.0f} % of the targets seem to be wrong: networks that have not "
            f"seen them are sure of something else. The least likely ones are in rows {named}.",
            {
                "estimated share of wrong targets": share,
                "out-of-fold error": self._fold_error(),
                **self._both_errors(),
            },
            "Look at the rows in Finding.rows, correct or drop those that are wrong, and train "
            f"again; {remedy} makes those that stay count less.",
            rows=rows,
        )
        return finding, weight

    def _fold_error(self) -> float:
        return float(self.task.errors(self.case.output, self.case.train.y).mean())

    def imbalance(self) -> Finding | None:
        """Whether a class is rare, and found too rarely."""
        case = self.case
        truth = self.task.truth(case.validation.y)
        present = [k for k in case.rare_classes.tolist() if (truth == k).any()]
        if not present:
            return None
        recalls = [1 - float(self.subject.validation[truth == k].mean()) for k in present]
        i = int(np.argmin(recalls))
        rare, recall = present[i], recalls[i]
        right = 1 - self.subject.validation_error
        if recall > min(_LOW_RECALL, right - _BELOW_OTHERS):
            return None
        evidence = {
            "share of the class": float(case.shares[rare]),
            "recall": recall,
            "share of right labels": right,
            "baseline error": case.baseline_error,
        }
        if case.weighted is not None:
            of_class = case.weighted.validation[truth == rare]
            evidence["recall with class weights"] = 1 - float(of_class.mean())
        return Finding(
            "imbalanced classes",
            f"Class {rare} has {100 * case.shares[rare]:.1f} % of the samples, and of these the "
            f"network finds {100 * recall:.0f} %, while {100 * right:.0f} % of all labels are "
            f"right.",
            evidence,
            'Weigh the classes, net.fit(..., class_weight="balanced"), and judge by '
            'net.evaluate(X, y, metrics=["recall", "precision", "balanced_accuracy"]).',
        )

    # ---- how it was trained --------------------------------------------------------------------

    def causes(self) -> tuple[list[Finding], Finding | None]:
        """What can be mended, the one that explains most first; without what another one explains.

        And dead units apart, where they are an effect or cost nothing.
        """
        scale = self.scale()
        found = [self.rate(), self.size(), self.epochs(), self.start()]
        ranked = sorted((each for each in found if each), key=lambda each: -each.weight)
        if scale is not None:  # where it holds, the others look for ways around it
            ranked.insert(0, scale)
        dead = self.dead()
        kept: list[_Ranked] = []
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
        wrong = self.labels_wrong()
        findings = [each.finding for each in kept]
        if wrong is not None:
            findings.insert(sum(each.weight > wrong[1] for each in kept), wrong[0])
        return findings, None if dead is None else dead.finding

    def _ranked(self, finding: Finding, outcome: Outcome) -> _Ranked:
        mean = self.case.gain_of(outcome).mean
        return _Ranked(finding, mean / self.case.baseline_error, outcome)

    def scale(self) -> _Ranked | None:
        """Whether columns on one scale would be learnt from better."""
        case = self.case
        if case.far is None or case.scaled is None:
            return None
        if not case.is_material(case.reference, case.scaled):
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

    def rate(self) -> _Ranked | None:
        """Whether another learning rate learns more."""
        case = self.case
        factor = case.best_rate if case.best_rate != 1 else case.sparing_rate
        if factor == 1:
            return self._divergence() if case.again.diverged else None
        best = case.rates[factor]
        which, way = ("high", "slower") if factor < 1 else ("low", "faster")
        rate = case.trainer.training.optimizer.learning_rate
        told = f"{factor:g} times its rates"
        if isinstance(rate, float):
            told = f"learning_rate={factor * rate:.2g}"
        evidence = {f"validation error at x{f:g}": case.rates[f].validation_error for f in FACTORS}
        evidence = {
            "validation error": self.subject.validation_error,
            **evidence,
            "training error": self.subject.training_error,
            f"training error at x{factor:g}": best.training_error,
        }
        finding = Finding(
            f"rate too {which}",
            f"The learning rate is too {which}: a copy that learns {way}, at {factor:g} times the "
            f"rate, is better after as many epochs.",
            evidence,
            f"Train a new network with {told}; fastnn.find_learning_rate(net, X, y).plot() shows "
            f"the range.",
        )
        return self._ranked(finding, best)

    def _divergence(self) -> _Ranked:
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
        return _Ranked(finding, 1.0, self.case.again)

    def dead(self) -> _Ranked | None:
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
        return _Ranked(finding, mean / case.baseline_error if helps else 0.0, best)

    def start(self) -> _Ranked | None:
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

    def size(self) -> _Ranked | None:
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
                **self._both_errors(),
                "training error of a larger network": case.larger.training_error,
                "validation error of a larger network": case.larger.validation_error,
                **self._linear_evidence(),
            },
            f"Take more units or one more layer, such as Network({list(case.larger.net.layers)}).",
        )
        return self._ranked(finding, case.larger)

    def epochs(self) -> _Ranked | None:
        """Whether it was stopped while it still learnt."""
        case = self.case
        if not case.learns_better(case.longer):
            return None
        assert case.longer is not None
        finding = Finding(
            "too few epochs",
            f"The network still learns: {case.epochs} epochs more make it better.",
            {
                **self._both_errors(),
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
        spread = np.sqrt(np.var(subject.training) / n + np.var(subject.validation) / m)
        if not (
            gap >= _GAP * case.baseline_error
            and subject.validation_error >= _GAP_FACTOR * subject.training_error
            and gap >= LEAST_Z * spread
        ):
            return []
        slope = self._slope()
        helps = "more samples help" if slope else "more samples help little"
        found: list[Finding | None] = [
            Finding(
                "variance",
                f"The network has learnt its training samples by heart: the error is "
                f"{self.amount(subject.training_error)} for them and "
                f"{self.amount(subject.validation_error)} for others; {helps}.",
                {**self._both_errors(), **self._slope_evidence(), **self._linear_evidence()},
                "Regularise: l2=1.0 in net.fit, fastnn.Dropout(0.2) behind the hidden layers, "
                "callbacks=fastnn.EarlyStopping(); or take fewer units.",
            )
        ]
        if slope and case.n_train >= _FEW:
            found.append(
                Finding(
                    "too little data",
                    "The learning curve still falls: with twice the samples the error was less, "
                    "and it will go on falling for a while.",
                    self._slope_evidence(),
                    "Gather more samples; diagnosis.plot() shows the curve.",
                )
            )
        return found

    def _slope(self) -> bool:
        """Whether the last doubling of the samples has helped."""
        if len(self.case.curve) < 2:
            return False
        half, whole = self.case.curve[-2:]
        found = gain(half.validation, whole.validation)
        return found.mean >= _SLOPE * half.validation_error and found.z >= _LIKELY_Z

    def _slope_evidence(self) -> dict[str, float]:
        if len(self.case.curve) < 2:
            return {}
        half, whole = self.case.curve[-2:]
        return {
            "validation error with half the samples": half.validation_error,
            "with all of them": whole.validation_error,
        }

    # ---- when there is nothing to mend ---------------------------------------------------------

    def nothing(self) -> Finding:
        """All is well, or as well as it can be."""
        evidence = {**self._both_errors(), **self._linear_evidence()}
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

    # ---- words ---------------------------------------------------------------------------------

    def amount(self, error: float) -> str:
        """An error in a sentence."""
        return f"{100 * error:.1f} %" if self.task.is_classifier else f"{error:.3g}"

    def guess(self) -> str:
        """The baseline in a sentence."""
        return "the most frequent class" if self.task.is_classifier else "the median"

    def named(self, columns: Array) -> str:
        """Such as ``columns 3 ('income') and 7``."""
        return named_columns(columns, self.labels)

    def _both_errors(self) -> dict[str, float]:
        return {
            "training error": self.subject.training_error,
            "validation error": self.subject.validation_error,
            "baseline error": self.case.baseline_error,
        }

    def _linear_evidence(self) -> dict[str, float]:
        linear = self.case.linear
        return {} if linear is None else {"of a linear model": linear.validation_error}

"""Questions about the samples: are there enough, do they tell the target, are the labels right."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn.diagnosis.case import LEAST_Z
from fastnn.diagnosis.columns import errors_alone
from fastnn.diagnosis.evidence import FEW, Questions
from fastnn.diagnosis.findings import Finding
from fastnn.diagnosis.out_of_fold import knowledge, wrong_targets
from fastnn.diagnosis.probes import gain, output_of

Array = npt.NDArray[Any]

# As many as are set aside of few ones: copies that are better cannot be told from lucky ones.
_FEW_ASIDE = FEW // 5
# A network with a larger share of the baseline's errors left has not learnt a small task well ...
_WELL = 0.1
# A column tells nearly all where it leaves this share of the baseline's errors, ...
_NEARLY_ALL = 0.05
# ... and leaks where all others leave this share at least: among honest columns, the second best is
# not five times as bad.
_LITTLE = 0.25
# Rows that a sentence names; `Finding.rows` has them all.
_MOST_NAMED = 10
# The recall of a rare class: below this, and as much below the share of all that is right; of this
# number of samples at least, as it is known to a quarter then.
_LOW_RECALL, _BELOW_OTHERS, _FEWEST_RARE = 0.9, 0.1, 5


class SampleQuestions(Questions):
    """Each method answers one."""

    def few_samples(self) -> Finding | None:
        """Whether there are too few to tell anything well."""
        n, n_aside = self.case.n_train, len(self.case.validation.y)
        is_well = self.left <= _WELL and n_aside >= FEW
        if (n >= FEW and n_aside >= _FEW_ASIDE) or is_well:
            return None
        return Finding(
            "too little data",
            f"There are {n} samples to train on, and {n_aside} to validate with: "
            f"what else is said here may be chance.",
            {"number of training samples": n, **self.both_errors(), **self.slope_evidence()},
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
        return len(rare) > 0 and self.case.n_train * self.case.shares[rare].min() < FEW

    def has_signal(self) -> bool:
        """Whether X tells anything about the targets, by networks that have not seen them."""
        case = self.case
        if case.again.diverged and case.best_rate == 1:  # nothing is known then
            return True
        if gain(case.baseline, case.reference.validation).z >= LEAST_Z:
            return True
        # The network's own way may learn nothing; of ten copies, one gains a little by chance
        copies = [case.linear, case.larger, *case.rates.values(), case.scaled, case.scaled_targets]
        if any(each and case.counts(case.baseline, each.validation) for each in copies):
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
            {**self.both_errors(), "signal in standard errors": self._signal()},
            "Check that X and y are in the same order (shuffled together, sorted together), and "
            "that the target is one that these columns can tell.",
        )

    def labels_wrong(self) -> tuple[Finding, float] | None:
        """Whether labels are wrong, and which ones may be; and a weight, as of `Ranked`."""
        case = self.case
        is_known = self.task.has_classes or not self.task.is_classifier
        if case.n_train < FEW or self.task.guess.size > 1 or not is_known:
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
                **self.both_errors(),
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
        present = [k for k in case.rare_classes.tolist() if (truth == k).sum() >= _FEWEST_RARE]
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

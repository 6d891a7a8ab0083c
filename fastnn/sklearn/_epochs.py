"""What happens after each epoch of an estimator's training: scikit-learn's rules for its end."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from fastnn.callbacks import Callback, StopTraining
from fastnn.sklearn._parameters import Scale

if TYPE_CHECKING:
    from fastnn.network import Network
    from fastnn.sklearn._base import BaseMLP

#: The validation score of a network.
Score = Callable[["Network"], float]


class Watch(Callback):
    """Notes losses and scores in an estimator, keeps the best network, and ends the training.

    Parameters
    ----------
    estimator : BaseMLP
    scale : Scale
    n_samples : int
        Of an epoch.
    score : callable or None
        What is to grow; None: the loss is to fall.

    Attributes
    ----------
    best : Network or None
        A copy of the network of the best score.
    stopped : bool
        Whether there was no improvement for too long.
    """

    def __init__(
        self, estimator: BaseMLP, scale: Scale, n_samples: int, score: Score | None
    ) -> None:
        self._estimator, self._scale, self._n_samples = estimator, scale, n_samples
        self._score = score
        self.best = None if score is None else estimator.network_.copy()
        self.stopped = False

    def on_epoch_end(self, net: Network, epoch: int, metrics: Mapping[str, float]) -> None:
        loss = self._scale.loss * metrics["loss"] + self._scale.constant
        self.note(loss, None if self._score is None else self._score(net))
        if self.stopped:
            raise StopTraining

    def note(self, loss: float, score: float | None) -> None:
        """An epoch with this training loss and validation score."""
        estimator = self._estimator
        estimator.n_iter_ += 1
        estimator.t_ += self._n_samples
        estimator.loss_ = loss
        estimator.loss_curve_.append(loss)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {loss:.8f}")
        is_better = self._note_loss(loss) if score is None else self._note_score(score)
        estimator._no_improvement_count = 0 if is_better else estimator._no_improvement_count + 1
        self.stopped = estimator._no_improvement_count > estimator.n_iter_no_change

    def _note_loss(self, loss: float) -> bool:
        estimator = self._estimator
        assert estimator.best_loss_ is not None
        is_better = not loss > estimator.best_loss_ - estimator.tol
        if loss < estimator.best_loss_:
            estimator.best_loss_ = loss
        return is_better

    def _note_score(self, score: float) -> bool:
        estimator = self._estimator
        assert estimator.validation_scores_ is not None
        assert estimator.best_validation_score_ is not None
        estimator.validation_scores_.append(score)
        if estimator.verbose:
            print(f"Validation score: {score:f}")
        is_better = not score < estimator.best_validation_score_ + estimator.tol
        if score > estimator.best_validation_score_:
            estimator.best_validation_score_ = score
            self.best = estimator.network_.copy()
        return is_better

    def note_divergence(self) -> None:
        """The epoch that could not be finished."""
        self.note(math.nan, None if self._score is None else math.nan)

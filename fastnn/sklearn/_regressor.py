"""The regressor."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy.special import xlogy
from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if

from fastnn.losses import Loss, Poisson, Quantile
from fastnn.network import Network
from fastnn.sklearn import _input
from fastnn.sklearn._base import BaseMLP, Samples
from fastnn.sklearn._parameters import Scale

Array = npt.NDArray[Any]


class MLPRegressor(RegressorMixin, BaseMLP):
    """doc"""

    loss: str | Loss
    quantile: float

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions({"squared_error", "poisson", "quantile"}), Loss],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
    }

    def __init__(
        self,
        loss: str | Loss = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: Any = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        quantile: float = 0.5,
        dropout: Any = 0.0,
        batch_norm: bool = False,
        weight_decay: float = 0.0,
        callbacks: Any = None,
        scoring: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self._keep(locals())

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """doc"""
        return self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val))

    @available_if(lambda estimator: estimator._has_epochs())
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """doc"""
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> Array:
        """doc"""
        output = self._forward(X)
        return output.reshape(-1) if output.shape[1] == 1 else output

    def _checked(self, X: Any, y: Any, reset: bool, keeps_classes: bool) -> Samples:
        X, y = _input.checked_pair(self, X, y, reset, y_numeric=True)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return Samples(X, y, y, None)

    def _chosen_loss(self) -> Loss | None:
        """None: the squared error."""
        if isinstance(self.loss, Loss):
            return self.loss
        if self.loss == "quantile":
            return Quantile([self.quantile])
        return Poisson() if self.loss == "poisson" else None

    def _output(self, targets: Array) -> tuple[int, str, str | Loss | None, str]:
        loss = self._chosen_loss()
        n_outputs = 1 if targets.ndim == 1 else targets.shape[1]
        if isinstance(loss, Quantile):
            n_outputs = len(loss.levels)
        if isinstance(loss, Poisson):
            return n_outputs, "exponential", loss, "exp"
        return n_outputs, "linear", loss, "identity"

    def _scale(self, samples: Samples) -> Scale:
        if self.loss == "squared_error":
            return Scale(self.n_outputs_ / 2, 0.5)
        if self.loss != "poisson":
            return Scale()
        y = samples.targets
        each = np.average(xlogy(y, y) - y, axis=0, weights=samples.weights)
        return Scale(self.n_outputs_, self.n_outputs_, float(np.sum(each)))

    def _default_score(self, net: Network, held_out: Samples) -> float:
        if self.loss not in ("squared_error", "poisson"):
            loss = net.evaluate(
                held_out.X,
                held_out.targets,
                sample_weight=held_out.weights,
                threads=self._threads,
            )
            return -loss["loss"]
        predicted = net.predict(held_out.X, threads=self._threads)
        return float(r2_score(held_out.y, predicted, sample_weight=held_out.weights))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

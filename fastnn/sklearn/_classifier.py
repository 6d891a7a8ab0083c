"""The classifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from fastnn.losses import Loss
from fastnn.network import Network
from fastnn.sklearn import _input
from fastnn.sklearn._base import BaseMLP, Samples
from fastnn.sklearn._parameters import Scale

Array = npt.NDArray[Any]


class MLPClassifier(ClassifierMixin, BaseMLP):
    """doc"""

    class_weight: Mapping[Any, float] | str | None
    classes_: Array
    _is_multilabel: bool

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMLP._parameter_constraints,
        "class_weight": [None, StrOptions({"balanced"}), dict],
    }

    def __init__(
        self,
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
        class_weight: Mapping[Any, float] | str | None = None,
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
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """doc"""
        self._check_classes(y, classes)
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> Array:
        """doc"""
        return self._decide(self._forward(X))

    def predict_proba(self, X: Any) -> Array:
        """doc"""
        output = self._forward(X)
        return np.hstack([1 - output, output]) if output.shape[1] == 1 else output

    def predict_log_proba(self, X: Any) -> Array:
        """doc"""
        probabilities = self.predict_proba(X)
        return np.log(probabilities, out=probabilities)

    def _decide(self, output: Array) -> Array:
        """The labels of these outputs."""
        if self._is_multilabel:
            return (output > 0.5).astype(np.int64)
        if output.shape[1] > 1:
            chosen = output.argmax(axis=1)
        else:
            last = len(self.classes_) - 1  # 0 where there is but one class
            chosen = (output[:, 0] > 0.5) * last
        labels: Array = self.classes_.take(chosen)
        return labels

    def _check_classes(self, y: Any, classes: Any) -> None:
        """Notes the classes of all calls of `partial_fit` at the first one."""
        known = getattr(self, "classes_", None)
        if classes is None:
            if known is None:
                raise ValueError("classes must be given to the first call of partial_fit")
            return
        given = unique_labels(classes)
        if known is None:
            self._note_classes(y, given)
        elif not np.array_equal(known, given):
            raise ValueError(
                f"classes must be those of the call before, {known.tolist()}, got {given.tolist()}"
            )

    def _note_classes(self, y: Any, classes: Array) -> None:
        kind = type_of_target(y, input_name="y")
        if kind == "multiclass-multioutput":
            raise ValueError(
                "y must be one label a sample, or a column of 0 and 1 for each label; it has "
                "several columns of other values"
            )
        self._is_multilabel = kind == "multilabel-indicator"
        self.classes_ = classes

    def _checked(self, X: Any, y: Any, reset: bool, keeps_classes: bool) -> Samples:
        X, y = _input.checked_pair(self, X, y, reset)
        if sparse.issparse(y):
            y = y.toarray()
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        if not keeps_classes:
            self._note_classes(y, unique_labels(y))
        else:
            self._check_known(y)
        if self._is_multilabel:
            return Samples(X, y, y.astype(np.int64), None)
        return Samples(X, y, np.searchsorted(self.classes_, y), None)

    def _check_known(self, y: Array) -> None:
        labels = unique_labels(y)
        if self.warm_start and not np.array_equal(labels, self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes_}, `y` has {labels}"
            )
        unknown = np.setdiff1d(labels, self.classes_)
        if len(unknown) > 0:
            raise ValueError(
                f"y has labels that are not among classes_, {self.classes_.tolist()}: "
                f"{unknown.tolist()}"
            )

    def _output(self, targets: Array) -> tuple[int, str, str | Loss | None, str]:
        n_classes = len(self.classes_)
        if not self._is_multilabel and n_classes > 2:
            return n_classes, "softmax", None, "softmax"
        return (n_classes if self._is_multilabel else 1), "sigmoid", None, "logistic"

    def _scale(self, samples: Samples) -> Scale:
        n_losses = self.n_outputs_ if self._is_multilabel else 1
        return Scale(n_losses, n_losses)

    def _training_weights(self, samples: Samples) -> Array | None:
        if self.class_weight is None:
            return samples.weights
        weights: Array = compute_sample_weight(self.class_weight, samples.y)
        return weights if samples.weights is None else weights * samples.weights

    def _default_score(self, net: Network, held_out: Samples) -> float:
        predicted = net.predict(held_out.X, threads=self._threads)
        hits = predicted == held_out.targets
        if hits.ndim == 2:
            hits = hits.all(axis=1)
        return float(np.average(hits, weights=held_out.weights))

    def _strata(self, samples: Samples) -> Array | None:
        if self._output(samples.targets)[0] > 1:
            return None
        # As scikit-learn names them where a class is too small
        return np.array(["False", "True"])[samples.targets]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

"""What the classifier and the regressor share: from checked data to a trained network."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from copy import copy
from functools import partial
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    is_regressor,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from fastnn.config import get_num_threads
from fastnn.layers import Dense
from fastnn.losses import Loss
from fastnn.network import Network
from fastnn.optimizers import Optimizer
from fastnn.schedules import Rate, Schedule
from fastnn.sklearn import _input, _parameters, _tabular, _weights
from fastnn.sklearn._epochs import Score, Watch
from fastnn.sklearn._minimise import minimise
from fastnn.sklearn._parameters import Scale
from fastnn.sklearn._weights import LiveArrays, of_dense
from fastnn.tabular import Recipe, TabularModel

Array = npt.NDArray[Any]

# Below this, the rate of learning_rate="adaptive" ends the training.
_SMALLEST_RATE = 1e-6

# Of a network.
_MOST_THREADS = 256

_NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and "
    "need to be preprocessed."
)


class Samples(NamedTuple):
    """Samples as an estimator trains or validates with them.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features), or dict of str to ndarray
        Columns by name with a preset.
    y : ndarray
        As the user gave it.
    targets : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        As the network takes it.
    weights : ndarray of shape (n_samples,) or None
    """

    X: Any
    y: Array
    targets: Array
    weights: Array | None

    def rows(self, chosen: Array) -> Samples:
        """Some of them."""
        weights = None if self.weights is None else self.weights[chosen]
        return Samples(self.X[chosen], self.y[chosen], self.targets[chosen], weights)


class BaseMLP(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """The estimator but for its targets and its output."""

    hidden_layer_sizes: Any
    activation: str | Iterable[str]
    solver: str | Optimizer
    alpha: float
    batch_size: int | str
    learning_rate: str | Rate
    learning_rate_init: float
    power_t: float
    max_iter: int
    shuffle: bool
    random_state: Any
    tol: float
    verbose: bool | int
    warm_start: bool
    momentum: float
    nesterovs_momentum: bool
    early_stopping: bool
    validation_fraction: float
    beta_1: float
    beta_2: float
    epsilon: float
    n_iter_no_change: float
    max_fun: int
    dropout: float | Iterable[float]
    batch_norm: bool
    weight_decay: float
    callbacks: Any
    scoring: Any
    preset: str | Recipe | None = None  # pickles of earlier versions do not have it
    dtype: str | None
    n_jobs: int | None

    network_: Network
    tabular_: TabularModel
    n_outputs_: int
    n_layers_: int
    n_iter_: int
    t_: int
    out_activation_: str
    loss_: float
    loss_curve_: list[float]
    best_loss_: float | None
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    _no_improvement_count: int
    _rate: float

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = _parameters.CONSTRAINTS

    def _keep(self, arguments: Mapping[str, Any]) -> None:
        """Keeps the arguments of ``__init__``, given as its `locals`, as they are."""
        self.__dict__.update({k: value for k, value in arguments.items() if k != "self"})

    # ---- what the classifier and the regressor know ------------------------------------------

    def _samples(self, X: Any, y: Array, keeps_classes: bool) -> Samples:
        """X, which is checked, and y, which is an array, without weights."""
        raise NotImplementedError

    def _output(self, targets: Array) -> tuple[int, str, str | Loss | None, str]:
        """Units and activation of the output, loss, and scikit-learn's name of the activation."""
        raise NotImplementedError

    def _scale(self, samples: Samples) -> Scale:
        raise NotImplementedError

    def _training_weights(self, samples: Samples) -> Array | None:
        """Weights of samples and classes."""
        return samples.weights

    def _default_score(self, net: Network, held_out: Samples) -> float:
        """What early stopping goes by."""
        raise NotImplementedError

    def _strata(self, samples: Samples) -> Array | None:
        """What the held-out samples are drawn by."""
        return None

    # ---- training ----------------------------------------------------------------------------

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation: tuple[Any, Any, Any] = (None, None, None),
        incremental: bool = False,
    ) -> Self:
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        first = not (self._has_plain_network() and (self.warm_start or incremental))
        layers = _parameters.hidden_layers(self)
        recipe = None if self.preset is None else _tabular.recipe_of(self)
        samples = self._checked(X, y, reset=first, keeps_classes=incremental or not first)
        samples = samples._replace(weights=self._weights(sample_weight, samples.y))
        held_out = self._own_validation(*validation)
        random = check_random_state(self.random_state)
        if recipe is not None:
            samples = samples._replace(weights=self._training_weights(samples))
            _tabular.train(self, recipe, samples, held_out, _seed(random))
            return self
        n_units, activation, loss, name = self._output(samples.targets)
        layers.append(Dense(n_units, activation))
        if first:
            weights = _weights.initial_weights(self, layers, samples.X.shape[1], random)
        if self.early_stopping and self.solver != "lbfgs" and held_out is None:
            samples, held_out = self._split(samples, random)
        if first:
            dtype = self.dtype or samples.X.dtype
            net = Network(layers, samples.X.shape[1], loss=loss, dtype=dtype, seed=_seed(random))
            for view, array in zip(of_dense(net, net.weights, net.biases), weights, strict=True):
                if array is not None:
                    view[:] = array
            self._begin(net, n_units, name)
        elif not incremental:
            self.network_ = _weights.with_weights_of(self.network_, layers, loss)
        scale = self._scale(samples)
        samples = samples._replace(weights=self._training_weights(samples))
        if self.solver == "lbfgs":
            try:
                minimise(self, samples, scale, self._penalty(samples, scale))
            except FloatingPointError as error:
                raise ValueError(_NOT_FINITE) from error
        else:
            self._train(samples, held_out, scale, incremental)
        if not np.isfinite(self.network_.parameters).all():
            raise ValueError(_NOT_FINITE)
        return self

    def _has_plain_network(self) -> bool:
        """Whether there is a network to go on with: not one of a preset."""
        return "network_" in self.__dict__ and "tabular_" not in self.__dict__

    def _checked(self, X: Any, y: Any, reset: bool, keeps_classes: bool) -> Samples:
        """X and y, checked, without weights."""
        if self.preset is None:
            X, y = _input.checked_pair(self, X, y, reset, y_numeric=is_regressor(self))
        else:
            X, y = _tabular.checked_pair(self, X, y, reset)
        if sparse.issparse(y):
            y = y.toarray()
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return self._samples(X, y, keeps_classes)

    def _weights(self, sample_weight: Any, y: Array) -> Array | None:
        if sample_weight is None:
            return None
        weights: Array = _check_sample_weight(sample_weight, y)
        return weights

    def _own_validation(self, X: Any, y: Any, weights: Any) -> Samples | None:
        """The user's validation data."""
        if X is None and y is None:
            if weights is not None:
                raise ValueError("sample_weight_val must be None without X_val and y_val")
            return None
        if X is None or y is None:
            raise ValueError("X_val and y_val must be given together")
        if not self.early_stopping and self.preset is None:
            raise ValueError("X_val and y_val need early_stopping=True, which goes by them")
        held_out = self._checked(X, y, reset=False, keeps_classes=True)
        return held_out._replace(weights=self._weights(weights, held_out.y))

    def _split(self, samples: Samples, random: Any) -> tuple[Samples, Samples]:
        """Samples to train on, and those that early stopping goes by."""
        trained, aside = train_test_split(
            np.arange(samples.X.shape[0]),
            random_state=random,
            test_size=self.validation_fraction,
            stratify=self._strata(samples),
        )
        if len(aside) < 2:
            raise ValueError(
                f"The validation set is too small: {len(aside)} of {samples.X.shape[0]} samples, "
                f"where 2 are needed. Give more samples, or a larger validation_fraction."
            )
        parts = samples.rows(trained), samples.rows(aside)
        if any(part.weights is not None and not part.weights.any() for part in parts):
            raise ValueError(
                "sample_weight must leave a weight above 0 to the samples that are held out by "
                "early_stopping, and to the others, got none"
            )
        return parts

    def _begin(self, net: Network, n_outputs: int, out_activation: str) -> None:
        """The attributes before the first epoch."""
        for name in ("tabular_", "loss_curve_", "best_loss_"):
            self.__dict__.pop(name, None)
        self.network_ = net
        self.n_outputs_, self.out_activation_ = n_outputs, out_activation
        self.n_layers_ = len(_parameters.hidden_sizes(self.hidden_layer_sizes)) + 2
        self.n_iter_ = self.t_ = 0

    def _begin_epochs(self) -> None:
        """The attributes that epochs are noted in; those there are stay, if they are what is noted.

        The call before may have had another solver, or another setting of `early_stopping`.
        """
        attributes = self.__dict__
        attributes.setdefault("loss_curve_", [])
        if "best_loss_" in attributes and (self.best_loss_ is None) == self.early_stopping:
            return
        self._no_improvement_count = 0
        if self.early_stopping:
            self.best_loss_ = None
            self.validation_scores_, self.best_validation_score_ = [], -np.inf
        else:
            self.best_loss_ = np.inf
            self.validation_scores_ = self.best_validation_score_ = None

    def _penalty(self, samples: Samples, scale: Scale) -> float:
        """`alpha` as `Network.fit` knows it."""
        mean = 1.0 if samples.weights is None else float(np.mean(samples.weights))
        return float(self.alpha) / scale.gradient / mean if mean > 0 else 0.0

    @property
    def _threads(self) -> int | None:
        """The most threads of a call. -1 is a worker's share, where joblib means all CPUs."""
        if self.n_jobs is None:
            return None
        n_threads = int(self.n_jobs)
        if n_threads < 0:
            n_threads = max(get_num_threads() + 1 + n_threads, 1)
        return min(n_threads, _MOST_THREADS)

    def _train(
        self, samples: Samples, held_out: Samples | None, scale: Scale, incremental: bool
    ) -> None:
        """The solvers that take mini-batches."""
        batch_size = self._checked_batch_size(samples.X.shape[0])
        if not incremental or not hasattr(self, "_rate"):
            self._rate = float(self.learning_rate_init)
        self._begin_epochs()
        score = None if held_out is None else self._score_of(held_out)
        watch = Watch(self, scale, samples.X.shape[0], score)
        options: dict[str, Any] = {
            "batch_size": batch_size,
            "shuffle": bool(self.shuffle),
            "l2": self._penalty(samples, scale),
            "weight_decay": float(self.weight_decay),
            "threads": self._threads,
            "sample_weight": samples.weights,
            "callbacks": [*_parameters.callback_list(self.callbacks), watch],
        }
        if held_out is not None and (
            self.callbacks is not None or isinstance(self.learning_rate, Schedule)
        ):
            parts = (held_out.X, held_out.targets, held_out.weights)
            options["validation_data"] = parts if held_out.weights is not None else parts[:2]
        self.n_iter_ = 0
        n_iter = 1 if incremental else self.max_iter
        try:
            while True:
                self.network_.fit(
                    samples.X,
                    samples.targets,
                    epochs=n_iter - self.n_iter_,
                    **self._rates(scale, samples.X.shape[0], batch_size, incremental),
                    **options,
                )
                if not (watch.stopped and self._lowers_rate()):
                    break
                watch.stopped, self._no_improvement_count = False, 0
                if self.n_iter_ == n_iter:
                    break
        except KeyboardInterrupt:
            warnings.warn("the training was interrupted by the user", stacklevel=5)
        except FloatingPointError as error:
            watch.note_divergence()
            if watch.best is None:
                raise ValueError(_NOT_FINITE) from error
        if watch.best is not None:
            best = watch.best
            self.network_.set_parameters(best.weights, best.biases, best.running_statistics)
        if not incremental and self.n_iter_ == n_iter and not watch.stopped:
            warnings.warn(
                f"Stochastic Optimizer: the training has not converged after max_iter={n_iter} "
                f"epochs",
                ConvergenceWarning,
                stacklevel=5,
            )

    def _checked_batch_size(self, n_samples: int) -> int:
        if isinstance(self.batch_size, str):
            return min(200, n_samples)
        if self.batch_size > n_samples:
            warnings.warn(
                f"batch_size={self.batch_size} is larger than the number of samples; it is "
                f"clipped to {n_samples}",
                stacklevel=6,
            )
        return min(int(self.batch_size), n_samples)

    def _rates(
        self, scale: Scale, n_samples: int, batch_size: int, incremental: bool
    ) -> dict[str, Any]:
        """Optimiser and learning rate as `Network.fit` is told them."""
        optimizer = _parameters.optimizer_of(self, scale)
        if _parameters.has_own_rates(self):
            if incremental and self.network_.training is not None:
                return {}  # it goes on
            rate = None if isinstance(self.learning_rate, str) else self.learning_rate
            return {"optimizer": optimizer, "learning_rate": rate}
        if self.solver != "sgd" or self.learning_rate == "constant":
            return {"optimizer": optimizer}
        largest = self._rate * scale.gradient
        if self.learning_rate == "adaptive":
            return {"optimizer": optimizer, "learning_rate": largest}
        falling = _parameters.inverse_scaling(
            largest,
            self.power_t,
            self.t_,
            epoch_size=n_samples,
            steps_per_epoch=-(-n_samples // batch_size),
            begins=not incremental,
        )
        return {"optimizer": optimizer, "learning_rate": falling}

    def _lowers_rate(self) -> bool:
        """Whether the training goes on with a lower learning rate, where it does not improve."""
        if self.solver != "sgd" or self.learning_rate != "adaptive":
            return False
        if self._rate <= _SMALLEST_RATE:
            return False
        self._rate /= 5
        if self.verbose:
            print(f"No improvement: the learning rate becomes {self._rate:g}")
        return True

    def _score_of(self, held_out: Samples) -> Score:
        """The validation score, of a network."""
        if self.scoring is None:
            return partial(self._finite_score, held_out=held_out)
        scorer = check_scoring(self, self.scoring)

        def score(net: Network) -> float:
            nameless = copy(self)  # the samples have no names of columns any more
            nameless.__dict__.pop("feature_names_in_", None)
            weights = {} if held_out.weights is None else {"sample_weight": held_out.weights}
            return float(scorer(nameless, held_out.X, held_out.y, **weights))

        return score

    def _finite_score(self, net: Network, held_out: Samples) -> float:
        """NaN where an output of the network is not finite."""
        try:
            return self._default_score(net, held_out)
        except ValueError:  # the samples are checked
            return np.nan

    # ---- what a trained one gives --------------------------------------------------------------

    def _forward(self, X: Any) -> Array:
        """The output of the network."""
        net: Network | None = self.__dict__.get("network_")
        if net is None:
            check_is_fitted(self)
        assert net is not None
        if "tabular_" in self.__dict__:
            return _tabular.output(self, X)
        if (
            type(X) is np.ndarray
            and X.ndim == 2
            and X.dtype.char in "fd"
            and len(X) > 0
            and "feature_names_in_" not in self.__dict__
        ):
            try:
                return net.predict_proba(X, threads=self._threads)
            except (TypeError, ValueError):
                pass  # scikit-learn says it in its own words, below
        return net.predict_proba(_input.checked(self, X), threads=self._threads)

    def transform(self, X: Any) -> Array:
        """The activations of the last hidden layer.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Finite numbers; with a preset what `fit` took.

        Returns
        -------
        ndarray of shape (n_samples, n_units)
            X itself where there is no hidden layer; with a preset what the network sees of it.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If `fit` was not called before.
        TypeError, ValueError
            If X is not as above, or has other columns than that of `fit`.

        Examples
        --------
        >>> from fastnn.sklearn import MLPRegressor
        >>> X, y = [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]
        >>> regressor = MLPRegressor(hidden_layer_sizes=(8, 4), solver="lbfgs", random_state=0)
        >>> regressor.fit(X, y).transform(X).shape
        (3, 4)
        """
        check_is_fitted(self)
        is_plain = self._has_plain_network()
        inputs = _input.checked(self, X) if is_plain else _tabular.inputs(self, X)
        last: Any = [inputs, *self.network_.forward(inputs, threads=self._threads)][-2]
        activations: Array = last.toarray() if sparse.issparse(last) else last
        return activations

    @property
    def _n_features_out(self) -> int:
        return len(self.coefs_[-1])

    @property
    def coefs_(self) -> list[Array]:
        """Live views of the weights of each layer, of shape (n_in, n_out)."""
        return LiveArrays(of_dense(self.network_, self.network_.weights))

    @coefs_.setter
    def coefs_(self, arrays: Iterable[Array]) -> None:
        self.coefs_[:] = arrays

    @property
    def intercepts_(self) -> list[Array]:
        """Live views of the bias of each layer, of shape (n_out,)."""
        return LiveArrays(of_dense(self.network_, self.network_.biases))

    @intercepts_.setter
    def intercepts_(self, arrays: Iterable[Array]) -> None:
        self.intercepts_[:] = arrays

    def _has_epochs(self) -> bool:
        """Whether training goes by epochs; AttributeError if not, for `available_if`."""
        if self.preset is not None:
            raise AttributeError("partial_fit needs all data at once where there is a preset")
        if self.solver == "lbfgs":
            raise AttributeError("partial_fit needs a solver of mini-batches, which lbfgs is not")
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = self.preset is not None
        dtypes = ["float64", "float32"] if self.preset is None else ["float32"]
        tags.transformer_tags.preserves_dtype = dtypes
        return tags


def _seed(random: Any) -> int:
    """Of a network."""
    return int(random.randint(np.iinfo(np.int32).max))

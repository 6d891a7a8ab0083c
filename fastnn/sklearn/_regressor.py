"""The regressor."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy.special import xlogy
from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import r2_score
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if

from fastnn.losses import Loss, Poisson, Quantile
from fastnn.network import Network
from fastnn.sklearn._base import BaseMLP, Samples
from fastnn.sklearn._parameters import Scale

Array = npt.NDArray[Any]


class MLPRegressor(RegressorMixin, BaseMLP):
    """A multi-layer perceptron for numbers, in the place of scikit-learn's.

    All parameters of ``sklearn.neural_network.MLPRegressor`` have their names, defaults and
    meanings; `quantile`, those after it, and other losses than scikit-learn's are ours.

    Parameters
    ----------
    loss : str or Loss
        "squared_error" or "poisson", as in scikit-learn; "quantile", of the level `quantile`; or
        an object such as ``fastnn.Huber(2.0)`` or ``fastnn.Quantile([0.1, 0.9])``, with one output
        a level. With the latter ones `alpha` is the l2 of `Network.fit`, and `loss_` its loss.
    hidden_layer_sizes : sequence of int, or int
        Units of each hidden layer.
    activation : str, or sequence of str
        Of the hidden layers, or of each of them: one of ``fastnn.activations.ACTIVATIONS`` or
        ``"prelu"``. scikit-learn's names are known: "identity", "logistic", "tanh", "relu". Their
        initial weights are scikit-learn's, for the same `random_state` to the bit. The others
        have the default initializer of `Dense`, and biases of 0.
    solver : str or Optimizer
        "adam", "sgd" (with `momentum`) or "lbfgs", as in scikit-learn; another name of
        ``fastnn.optimizers.OPTIMIZERS``, with `learning_rate_init` and its own defaults; or an
        object such as ``fastnn.AdamW(1e-3)``, with its own learning rate.
    alpha : float
        The L2 penalty: ``alpha / 2 sum(w^2)``, divided by the samples of the mini-batch (by the sum
        of their weights), is added to scikit-learn's loss, which is a sum over the outputs.
    batch_size : int or "auto"
        Samples a mini-batch. "auto": ``min(200, n_samples)``.
    learning_rate : str, Schedule or callable
        With ``solver="sgd"``: "constant"; "invscaling", ``learning_rate_init / t^power_t`` after t
        samples, changed once an epoch; "adaptive": divided by 5 where the training does not
        improve, until 1e-6. A schedule or a function of the step, as for `Network.fit`, serves all
        solvers but "lbfgs".
    learning_rate_init : float
        The learning rate, or the first one, of all solvers that are named but "lbfgs"; above 0.
    power_t : float
        The exponent of "invscaling", of at least 0.
    max_iter : int
        The most epochs; iterations of "lbfgs".
    shuffle : bool
        Whether each epoch takes the samples in another order.
    random_state : int, numpy.random.RandomState or None
        Of initial weights, held-out samples, shuffling and dropout.
    tol : float
        Less than this is no improvement. With "lbfgs": the largest number of the gradient at the
        end.
    verbose : bool or int
        Whether to print the loss of each epoch.
    warm_start : bool
        Whether `fit` goes on from the weights of the fit before. The optimiser begins anew, where
        `partial_fit` goes on with it.
    momentum : float
        Of "sgd", in [0, 1).
    nesterovs_momentum : bool
        Whether the momentum of "sgd" is Nesterov's.
    early_stopping : bool
        Whether to hold out `validation_fraction` of the samples, to end the training when their
        score has not improved for more than `n_iter_no_change` epochs, and to keep the best
        network. Otherwise the training loss decides, and the last network is kept.
    validation_fraction : float
        The share of the samples that early stopping holds out, in (0, 1).
    beta_1, beta_2, epsilon : float
        Of "adam".
    n_iter_no_change : int or numpy.inf
        Epochs without an improvement that are borne; of solvers of mini-batches.
    max_fun : int
        The most evaluations of "lbfgs".
    quantile : float
        In (0, 1): the level of the loss "quantile".
    dropout : float, or sequence of float
        Rate of a `Dropout` behind each hidden layer.
    batch_norm : bool
        Whether a `BatchNorm` goes between the products and the activation of each hidden layer.
    weight_decay : float
        Decoupled, as for `Network.fit`.
    callbacks : Callback, callable, or sequence of them
        As for `Network.fit`; they see the validation data, where there are some. Not of "lbfgs".
    scoring : str, callable or None
        The score that early stopping goes by, as scikit-learn names it. None: R2; for losses that
        scikit-learn does not have, the loss, negated.
    preset : "tabular", fastnn.tabular.Recipe or None
        "tabular": the inputs, the network and its training are those of
        ``fastnn.tabular.TabularModel``, which needs no tuning; a recipe: those of it. Data frames
        may have categories, dates, texts and gaps then, arrays NaN. Of the other parameters it
        goes by `random_state`, `max_iter` (the most epochs), `verbose`, `n_jobs`;
        all others must be at their defaults.
    dtype : {"float32", "float64"} or None
        Of training and prediction. None: float32 for a float32 X, else float64, as scikit-learn.
        "float32" is faster on a float64 X, the more so the wider it is.
    n_jobs : int or None
        The most threads; -1 for those of `fastnn.get_num_threads`, which are a worker's share of
        the CPUs, -2 for one less. None: what `fastnn.set_num_threads` says.

    Attributes
    ----------
    network_ : Network
        What is trained: to save, to look into, to go on with.
    tabular_ : TabularModel
        With a preset: the model, whose first network is `network_`.
    coefs_, intercepts_ : list of ndarray
        Live views of the weights, (n_in, n_out), and the biases, (n_out,), of each layer.
    loss_ : float
        scikit-learn's, penalty included: of the last epoch, each mini-batch's taken before its
        update.
    loss_curve_ : list of float
        That of each epoch; not with "lbfgs".
    best_loss_ : float or None
        The least of them; None with early stopping.
    validation_scores_ : list of float or None
        Of each epoch; None without early stopping, as `best_validation_score_`. With a preset the
        loss of the held-out samples, negated.
    best_validation_score_ : float or None
        The largest of them.
    n_iter_ : int
        Epochs of the last call, or iterations of "lbfgs".
    t_ : int
        Samples that all epochs have seen.
    n_layers_, n_outputs_, n_features_in_ : int
        Layers, input and output included; units of the output; columns of X.
    feature_names_in_ : ndarray of str
        Names of the columns of X, where it has some.
    out_activation_ : str
        "identity"; "exp" for the Poisson loss.

    Notes
    -----
    The optimisation is that of ``sklearn.neural_network``, to rounding, but for the order of
    shuffled samples, and for the epsilon of "adam", which scikit-learn does not correct for the
    bias. `GridSearchCV` with ``n_jobs`` gives each worker its share of the CPUs by itself.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.sklearn import MLPRegressor
    >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
    >>> regressor = MLPRegressor(solver="lbfgs", random_state=0).fit(X, X[:, 0] ** 2)
    >>> round(regressor.score(X, X[:, 0] ** 2), 2)
    1.0
    """

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
        preset: Any = None,
        dtype: str | None = None,
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
        """Trains the regressor.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Finite numbers; with a preset a data frame may hold more. float32 is trained in
            float32, all else in float64. A sparse matrix is trained on as it is.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Finite numbers; of at least 0 for the Poisson loss.
        sample_weight : array-like of shape (n_samples,), optional
            Numbers of at least 0, one of them above.
        X_val, y_val : array-like, optional
            Validation data of one's own, which ``early_stopping=True`` goes by in the place of
            samples that it holds out.
        sample_weight_val : array-like, optional
            Of their score.

        Returns
        -------
        MLPRegressor
            Itself.

        Raises
        ------
        TypeError, ValueError
            If an argument or a parameter is not as described, or the training diverges.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            If `max_iter` or `max_fun` ends the training.
        ScalingWarning
            As `Network.fit`: columns of X are on very different scales.

        Examples
        --------
        >>> from fastnn.sklearn import MLPRegressor
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [1.0, 3.0, 5.0, 7.0]
        >>> regressor = MLPRegressor(solver="lbfgs", random_state=0).fit(X, y)
        >>> regressor.network_.layers, regressor.loss_ < 1e-3
        ((Dense(100, 'relu'), Dense(1, 'linear')), True)
        """
        return self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val))

    @available_if(lambda estimator: estimator._has_epochs())
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Trains on one pass over what is given: for data that arrive, or fit, in parts.

        Only with solvers of mini-batches: there is no such method with ``solver="lbfgs"``.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            As for `fit`.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            As for `fit`.
        sample_weight : array-like of shape (n_samples,), optional
            As for `fit`.

        Returns
        -------
        MLPRegressor
            Itself.

        Raises
        ------
        TypeError, ValueError
            As `fit`.

        Examples
        --------
        >>> from fastnn.sklearn import MLPRegressor
        >>> regressor = MLPRegressor(random_state=0)
        >>> for X, y in [([[0.0], [1.0]], [1.0, 3.0]), ([[2.0], [3.0]], [5.0, 7.0])]:
        ...     regressor = regressor.partial_fit(X, y)
        >>> regressor.t_  # samples seen
        4
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> Array:
        """The value, or the values, of each sample.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Finite numbers; with a preset what `fit` took.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Of float32 or float64, in the unit of y.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If `fit` was not called before.
        TypeError, ValueError
            If X is not as above, or has other columns than that of `fit`.

        Examples
        --------
        >>> from fastnn.sklearn import MLPRegressor
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [1.0, 3.0, 5.0, 7.0]
        >>> regressor = MLPRegressor(solver="lbfgs", random_state=0).fit(X, y)
        >>> regressor.predict([[1.5]]).round(1).tolist()
        [4.0]
        """
        output = self._forward(X)
        return output.reshape(-1) if output.shape[1] == 1 else output

    def _samples(self, X: Any, y: Array, keeps_classes: bool) -> Samples:
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
        tags.target_tags.multi_output = self.preset is None
        return tags

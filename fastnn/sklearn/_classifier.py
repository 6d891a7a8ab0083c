"""The classifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from fastnn.losses import Loss
from fastnn.network import Network
from fastnn.sklearn._base import BaseMLP, Samples
from fastnn.sklearn._parameters import Scale

Array = npt.NDArray[Any]


class MLPClassifier(ClassifierMixin, BaseMLP):
    """A multi-layer perceptron that classifies, in the place of scikit-learn's.

    All parameters of ``sklearn.neural_network.MLPClassifier`` have their names, defaults and
    meanings; from `class_weight` on they are ours.

    Parameters
    ----------
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
    class_weight : dict, "balanced" or None
        What the samples of each class weigh; "balanced": ``n_samples / (n_classes count)``.
    dropout : float, or sequence of float
        Rate of a `Dropout` behind each hidden layer.
    batch_norm : bool
        Whether a `BatchNorm` goes between the products and the activation of each hidden layer.
    weight_decay : float
        Decoupled, as for `Network.fit`.
    callbacks : Callback, callable, or sequence of them
        As for `Network.fit`; they see the validation data, where there are some. Not of "lbfgs".
    scoring : str, callable or None
        The score that early stopping goes by, as scikit-learn names it. None: the accuracy.
    preset : "tabular", fastnn.tabular.Recipe or None
        "tabular": the inputs, the network and its training are those of
        ``fastnn.tabular.TabularModel``, which needs no tuning; a recipe: those of it. Data frames
        may have categories, dates, texts and gaps then, arrays NaN. Of the other parameters it
        goes by `random_state`, `max_iter` (the most epochs), `verbose`, `n_jobs` and
        `class_weight`;
        all others must be at their defaults.
    dtype : {"float32", "float64"} or None
        Of training and prediction. None: float32 for a float32 X, else float64, as scikit-learn.
        "float32" is faster on a float64 X, the more so the wider it is.
    n_jobs : int or None
        The most threads; -1 for those of `fastnn.get_num_threads`, which are a worker's share of
        the CPUs, -2 for one less. None: what `fastnn.set_num_threads` says.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, in order.
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
        "softmax"; "logistic" for two classes and for several labels a sample.

    Notes
    -----
    The optimisation is that of ``sklearn.neural_network``, to rounding, but for the order of
    shuffled samples, and for the epsilon of "adam", which scikit-learn does not correct for the
    bias. `GridSearchCV` with ``n_jobs`` gives each worker its share of the CPUs by itself.

    Examples
    --------
    >>> from fastnn.sklearn import MLPClassifier
    >>> X = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    >>> y = ["no", "yes", "yes", "no"]
    >>> classifier = MLPClassifier(solver="lbfgs", activation="tanh", random_state=0).fit(X, y)
    >>> classifier.predict(X).tolist()
    ['no', 'yes', 'yes', 'no']
    """

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
        """Trains the classifier.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Finite numbers; with a preset a data frame may hold more. float32 is trained in
            float32, all else in float64. A sparse matrix is trained on as it is.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels: numbers, strings, or a column of 0 and 1 for each of several labels.
        sample_weight : array-like of shape (n_samples,), optional
            Numbers of at least 0, one of them above.
        X_val, y_val : array-like, optional
            Validation data of one's own, which ``early_stopping=True`` goes by in the place of
            samples that it holds out.
        sample_weight_val : array-like, optional
            Of their score.

        Returns
        -------
        MLPClassifier
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
        >>> from fastnn.sklearn import MLPClassifier
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["low", "low", "high", "high"]
        >>> classifier = MLPClassifier(16, solver="lbfgs", random_state=0).fit(X, y)
        >>> classifier.classes_.tolist(), classifier.network_.layers
        (['high', 'low'], (Dense(16, 'relu'), Dense(1, 'sigmoid')))
        """
        return self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val))

    @available_if(lambda estimator: estimator._has_epochs())
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
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
        classes : array-like of shape (n_classes,)
            Those of all calls. The first one needs it.

        Returns
        -------
        MLPClassifier
            Itself.

        Raises
        ------
        TypeError, ValueError
            As `fit`.

        Examples
        --------
        >>> from fastnn.sklearn import MLPClassifier
        >>> classifier = MLPClassifier(random_state=0)
        >>> for X, y in [([[0.0], [1.0]], [0, 0]), ([[2.0], [3.0]], [1, 1])]:
        ...     classifier = classifier.partial_fit(X, y, classes=[0, 1])
        >>> classifier.t_  # samples seen
        4
        """
        self._check_classes(y, classes)
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> Array:
        """The most probable label of each sample.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Finite numbers; with a preset what `fit` took.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
            Of the dtype of `classes_`; with several labels a sample 0 or 1 each, in int64.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If `fit` was not called before.
        TypeError, ValueError
            If X is not as above, or has other columns than that of `fit`.

        Examples
        --------
        >>> from fastnn.sklearn import MLPClassifier
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["low", "low", "high", "high"]
        >>> classifier = MLPClassifier(16, solver="lbfgs", random_state=0).fit(X, y)
        >>> classifier.predict([[-1.0], [4.0]]).tolist()
        ['low', 'high']
        """
        return self._decide(self._forward(X))

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class, in the order of `classes_`.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Finite numbers; with a preset what `fit` took.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Of several labels: the probability of each.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If `fit` was not called before.
        TypeError, ValueError
            If X is not as above, or has other columns than that of `fit`.

        Examples
        --------
        >>> from fastnn.sklearn import MLPClassifier
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["low", "low", "high", "high"]
        >>> classifier = MLPClassifier(16, solver="lbfgs", random_state=0).fit(X, y)
        >>> classifier.predict_proba([[-1.0], [4.0]]).round(2).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
        """
        output = self._forward(X)
        return np.hstack([1 - output, output]) if output.shape[1] == 1 else output

    def predict_log_proba(self, X: Any) -> Array:
        """The logarithms of `predict_proba`.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Finite numbers; with a preset what `fit` took.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            At most 0; minus infinity for a probability of 0.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If `fit` was not called before.
        TypeError, ValueError
            If X is not as above, or has other columns than that of `fit`.

        Examples
        --------
        >>> from fastnn.sklearn import MLPClassifier
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["low", "low", "high", "high"]
        >>> classifier = MLPClassifier(16, solver="lbfgs", random_state=0).fit(X, y)
        >>> classifier.predict_log_proba([[1.5]]).shape
        (1, 2)
        """
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
            self._note_classes(y)
            self.classes_ = given
        elif not np.array_equal(known, given):
            raise ValueError(
                f"classes must be those of the call before, {known.tolist()}, got {given.tolist()}"
            )

    def _note_classes(self, y: Any) -> None:
        kind = type_of_target(y, input_name="y")
        if kind == "multiclass-multioutput":
            raise ValueError(
                "y must be one label a sample, or a column of 0 and 1 for each label; it has "
                "several columns of other values"
            )
        self._is_multilabel = kind == "multilabel-indicator"
        self.classes_ = unique_labels(y)

    def _samples(self, X: Any, y: Array, keeps_classes: bool) -> Samples:
        check_classification_targets(y)
        if not keeps_classes:
            self._note_classes(y)
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
        tags.classifier_tags.multi_label = self.preset is None
        return tags

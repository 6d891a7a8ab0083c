"""The estimators of `fastnn.sklearn` train as scikit-learn's do, to rounding."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("sklearn")

from sklearn import neural_network
from sklearn.exceptions import ConvergenceWarning

from fastnn.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

Array = npt.NDArray[Any]

TARGETS = {
    "two classes": lambda X: X[:, 0] + X[:, 1] > 0,
    "three classes": lambda X: np.digitize(X[:, 0] + 0.5 * X[:, 1], [-0.5, 0.5]),
    "labels": lambda X: (X[:, :3] > 0.3).astype(int),
    "a value": lambda X: 3 * X[:, 0] - X[:, 1],
    "three values": lambda X: X[:, :3] * [1.0, 2.0, 3.0],
    "counts": lambda X: np.exp(X[:, 0]).round(),
}
CLASSES = ("two classes", "three classes", "labels")


def samples(n: int = 60) -> Array:
    return np.random.default_rng(0).standard_normal((n, 5))


def pair(target: str, **options: Any) -> tuple[Any, Any]:
    """Our estimator and scikit-learn's."""
    name = "MLPClassifier" if target in CLASSES else "MLPRegressor"
    ours: Any = MLPClassifier if target in CLASSES else MLPRegressor
    if target == "counts":
        options["loss"] = "poisson"
    options = {"random_state": 3, "hidden_layer_sizes": (7, 4), "shuffle": False, **options}
    return ours(**options), getattr(neural_network, name)(**options)


def assert_same_weights(ours: Any, theirs: Any, rtol: float) -> None:
    for a, b in zip(
        ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)


# Of Adam, where the estimators differ: scikit-learn's is not corrected for the bias.
TINY = 1e-13

SOLVERS: dict[str, dict[str, Any]] = {
    "sgd": {"momentum": 0.0},
    "momentum": {"nesterovs_momentum": False},
    "nesterov": {},
    "invscaling": {"momentum": 0.0, "learning_rate": "invscaling", "power_t": 0.3},
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("weighted", [False, True])
def test_steps_of_gradient_descent_are_scikit_learns(
    target: str, solver: str, weighted: bool
) -> None:
    X = samples()
    y = TARGETS[target](X)
    weights = np.random.default_rng(1).uniform(0.5, 4, len(X)) if weighted else None
    batch_size = len(X) if weighted else 16  # the penalty goes by the sum of a batch's weights
    both = pair(
        target,
        solver="sgd",
        learning_rate_init=0.02,
        alpha=0.7,
        batch_size=batch_size,
        max_iter=8,
        activation="tanh",
        **SOLVERS[solver],
    )
    ours, theirs = (estimator.fit(X, y, sample_weight=weights) for estimator in both)
    assert_same_weights(ours, theirs, 1e-9)
    if target != "three values":  # there scikit-learn's loss is not what it takes the gradient of
        np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-9)
        assert ours.best_loss_ == pytest.approx(theirs.best_loss_, rel=1e-9)
    assert (ours.n_iter_, ours.t_, ours.n_layers_, ours.n_outputs_, ours.out_activation_) == (
        theirs.n_iter_,
        theirs.t_,
        theirs.n_layers_,
        theirs.n_outputs_,
        theirs.out_activation_,
    )


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_steps_of_adam_are_scikit_learns(target: str, activation: str) -> None:
    X = samples()
    y = TARGETS[target](X)
    options: dict[str, Any] = {"alpha": 0.1, "max_iter": 12, "activation": activation}
    options |= {"batch_size": 20, "epsilon": TINY}
    ours, theirs = (one.fit(X, y) for one in pair(target, **options))
    assert_same_weights(ours, theirs, 1e-7)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-7)


CONTINUED: dict[str, dict[str, Any]] = {
    "adam": {"solver": "adam", "epsilon": TINY},
    "sgd": {"momentum": 0.0},
    "momentum": {"nesterovs_momentum": False},
    "nesterov": {},
    "adaptive": {"momentum": 0.0, "learning_rate": "adaptive", "tol": 0.1, "n_iter_no_change": 1},
}


@pytest.mark.parametrize("target", ["two classes", "three classes", "a value", "counts"])
@pytest.mark.parametrize("solver", CONTINUED)
def test_what_goes_on_does_so_as_scikit_learns(target: str, solver: str) -> None:
    X = samples(90)
    y = TARGETS[target](X)
    options = {"solver": "sgd", "batch_size": 15, "learning_rate_init": 0.01, "activation": "tanh"}
    options |= {"warm_start": True, "max_iter": 6} | CONTINUED[solver]
    both = pair(target, **options)
    for estimator in both:
        estimator.fit(X, y).fit(X, y)  # the optimiser begins anew
    assert_same_weights(*both, 1e-8)
    for estimator in both:
        for part in np.array_split(np.arange(90), 5):  # it goes on
            estimator.partial_fit(X[part], y[part])
    assert_same_weights(*both, 1e-8)
    for estimator in both:
        estimator.fit(X, y)
    assert_same_weights(*both, 1e-8)
    assert (both[0].n_iter_, both[0].t_) == (both[1].n_iter_, both[1].t_)
    np.testing.assert_allclose(both[0].loss_curve_, both[1].loss_curve_, rtol=1e-8)


@pytest.mark.parametrize("first", [{"solver": "lbfgs"}, {"early_stopping": True}, {}])
@pytest.mark.parametrize("then", [{}, {"early_stopping": True}])
def test_another_kind_of_training_may_go_on(first: Any, then: Any) -> None:
    X = samples(200)
    y = TARGETS["a value"](X)
    plain = {"solver": "adam", "early_stopping": False}
    regressor = MLPRegressor(warm_start=True, max_iter=4, random_state=0, **first).fit(X, y)
    regressor.set_params(**plain | then).fit(X, y)
    assert len(regressor.loss_curve_) == (4 if "solver" in first else 8)
    if then:
        assert len(regressor.validation_scores_) == (8 if first == then else 4)
        assert regressor.best_validation_score_ == max(regressor.validation_scores_)
        assert regressor.best_loss_ is None
    else:
        begin = 4 if "early_stopping" in first else 0
        assert regressor.best_loss_ == min(regressor.loss_curve_[begin:])
        assert regressor.validation_scores_ is None
    regressor.set_params(**plain).partial_fit(X, y)
    assert regressor.best_loss_ <= regressor.loss_curve_[-1]


def test_a_warm_start_takes_what_has_changed_and_refuses_other_layers() -> None:
    X = samples()
    y = TARGETS["a value"](X)
    regressor = MLPRegressor(warm_start=True, max_iter=5, batch_norm=True, random_state=0)
    means = regressor.fit(X, y).network_.running_statistics[1]
    assert means is not None
    changed = regressor.set_params(learning_rate_init=1e-30, dropout=0.5, loss="poisson")
    before = [array.copy() for array in regressor.coefs_]
    means_before = means[0].copy()
    changed.fit(X, np.exp(y))
    for a, b in zip(changed.coefs_, before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert changed.network_.loss.name == "poisson"
    means_now = changed.network_.running_statistics[1]
    assert means_now is not None
    share, share_before = (1 - 0.9**n_steps for n_steps in (10, 5))  # of the way from 0
    np.testing.assert_allclose(means_now[0], share / share_before * means_before, atol=0.02)
    assert abs(means_before).max() > 0.1
    with pytest.raises(ValueError, match=r"warm_start needs .*\(5, 7\)"):
        regressor.set_params(hidden_layer_sizes=(7,)).fit(X, y)
    with pytest.raises(ValueError, match=r"warm_start needs .*\(100, 2\)"):
        regressor.set_params(hidden_layer_sizes=(100,)).fit(X, np.exp(X[:, :2]))


@pytest.mark.parametrize("target", TARGETS)
def test_lbfgs_finds_what_scikit_learn_finds(target: str) -> None:
    X = samples()
    y = TARGETS[target](X)
    options = {"alpha": 1.0, "solver": "lbfgs", "activation": "tanh", "max_iter": 5}
    ours, theirs = (one.fit(X, y) for one in pair(target, **options))
    if target == "three values":  # there its line search has the gradient of another loss
        assert ours.set_params(max_iter=100).fit(X, y).score(X, y) > 0.9
        return
    assert_same_weights(ours, theirs, 1e-6)
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-9)
    assert ours.n_iter_ == theirs.n_iter_


@pytest.mark.parametrize("target", ["two classes", "three classes", "a value"])
def test_early_stopping_holds_out_the_same_samples(target: str) -> None:
    X = samples(200)
    y = TARGETS[target](X)
    options: dict[str, Any] = {"early_stopping": True, "max_iter": 60, "n_iter_no_change": 5}
    options |= {"batch_size": 50, "learning_rate_init": 0.01, "tol": 1e-3, "epsilon": TINY}
    ours, theirs = (one.fit(X, y) for one in pair(target, **options))
    np.testing.assert_allclose(ours.validation_scores_, theirs.validation_scores_, rtol=1e-7)
    assert ours.best_validation_score_ == max(ours.validation_scores_)
    assert ours.n_iter_ == theirs.n_iter_ < 60
    assert ours.best_loss_ is theirs.best_loss_ is None
    assert_same_weights(ours, theirs, 1e-5)  # of the best epoch
    assert ours.network_.history.n_epochs == ours.n_iter_


def test_the_initial_weights_do_not_depend_on_the_dtype() -> None:
    X = samples()
    y = TARGETS["a value"](X)
    options: dict[str, Any] = {"max_iter": 1, "learning_rate_init": 1e-30, "random_state": 5}
    single, double = (
        MLPRegressor(**options).fit(X.astype(dtype), y) for dtype in (np.float32, np.float64)
    )
    for a, b in zip(single.coefs_, double.coefs_, strict=True):
        assert a.dtype == np.float32
        np.testing.assert_array_equal(a, b.astype(np.float32))


class Rates:
    """A callback that notes the learning rate of each epoch."""

    def __init__(self) -> None:
        self.rates: list[float] = []

    def __call__(self, net: Any, epoch: int, metrics: Any) -> None:
        self.rates.append(metrics["learning_rate"])


def test_the_adaptive_rate_is_divided_by_5_until_it_is_tiny() -> None:
    rates = Rates()
    classifier = MLPClassifier(
        solver="sgd", learning_rate="adaptive", tol=0.5, max_iter=3000, callbacks=rates
    )
    classifier.fit([[3.0, 2.0], [1.0, 6.0]], [1, 0])
    assert classifier.n_iter_ < 3000
    steps = sorted(set(rates.rates), reverse=True)
    np.testing.assert_allclose(steps, 0.001 / 5.0 ** np.arange(6))
    assert rates.rates == sorted(rates.rates, reverse=True)


def test_inverse_scaling_begins_anew_with_a_warm_start() -> None:
    rates = Rates()
    classifier = MLPClassifier(
        solver="sgd",
        learning_rate="invscaling",
        power_t=0.25,
        max_iter=2,
        warm_start=True,
        callbacks=rates,
    )
    X, y = [[3.0, 2.0], [1.0, 6.0], [5.0, 6.0], [-2.0, -4.0]], [1, 1, 1, 0]
    classifier.fit(X, y).fit(X, y)
    np.testing.assert_allclose(rates.rates, [0.001, 0.001 / 5**0.25, 0.001, 0.001 / 13**0.25])


def test_a_step_in_parts_goes_on_with_the_rate() -> None:
    rates = Rates()
    regressor = MLPRegressor(solver="sgd", learning_rate="invscaling", callbacks=rates)
    for _ in range(3):
        regressor.partial_fit([[1.0], [2.0]], [1.0, 2.0])
    expected = 0.5 * 0.001 / np.sqrt([1, 3, 5])  # half, as the network's loss is not halved
    np.testing.assert_allclose(rates.rates, expected)


def test_warnings_name_what_to_change() -> None:
    X, y = samples(), samples()[:, 0]
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        MLPRegressor(max_iter=2).fit(X, y)
    with pytest.warns(ConvergenceWarning, match="Raise max_iter or max_fun"):
        MLPRegressor(solver="lbfgs", max_iter=2).fit(X, y)
    with pytest.warns(UserWarning, match="batch_size=100 is larger"):
        MLPRegressor(batch_size=100, max_iter=2).fit(X, y)

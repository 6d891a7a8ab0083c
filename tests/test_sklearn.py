"""The estimators of `fastnn.sklearn`: inputs, scikit-learn's tools, and what is added."""

import inspect
import os
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("sklearn")

from scipy import sparse
from sklearn import config_context, neural_network
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastnn
from fastnn.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

Array = npt.NDArray[Any]


def samples(n: int = 200, n_columns: int = 4) -> Array:
    return np.random.default_rng(0).standard_normal((n, n_columns))


X = samples()
VALUES = X[:, 0] + np.sin(2 * X[:, 1])
LABELS = np.where(VALUES > 0, "up", "down")
QUICK: dict[str, Any] = {
    "random_state": 0,
    "max_iter": 30,
    "hidden_layer_sizes": (16,),
    "learning_rate_init": 0.01,
    "batch_size": 20,
}


@pytest.mark.parametrize("ours", [MLPClassifier, MLPRegressor])
def test_the_parameters_begin_with_scikit_learns(ours: Any) -> None:
    theirs = getattr(neural_network, ours.__name__)
    expected = inspect.signature(theirs).parameters
    found = inspect.signature(ours).parameters
    assert list(found)[: len(expected)] == list(expected)
    for name, parameter in expected.items():
        assert (found[name].default, found[name].kind) == (parameter.default, parameter.kind)


def test_importing_fastnn_does_not_import_scikit_learn(run_script: Callable[..., str]) -> None:
    printed = run_script("""
        import sys
        import fastnn
        print("sklearn" in sys.modules, "scipy" in sys.modules)
        print(fastnn.sklearn.MLPClassifier.__name__)
    """)
    assert printed.split() == ["False", "False", "MLPClassifier"]


def test_without_scikit_learn_one_line_names_the_extra(run_script: Callable[..., str]) -> None:
    printed = run_script("""
        import sys
        sys.modules["sklearn"] = None
        try:
            import fastnn.sklearn
        except ImportError as error:
            print(error)
    """)
    assert printed.count("\n") == 1
    assert "pip install '.[sklearn]'" in printed


# ---- inputs --------------------------------------------------------------------------------------


def test_data_frames_give_names_and_the_same_predictions() -> None:
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    pytest.importorskip("pyarrow")
    names = ["a", "b", "c", "d"]
    expected = MLPClassifier(**QUICK).fit(X, LABELS).predict_proba(X)
    frames = pd.DataFrame(X, columns=names), pl.DataFrame(X, schema=names)
    for frame in frames:
        classifier = MLPClassifier(**QUICK).fit(frame, pd.Series(LABELS))
        assert classifier.feature_names_in_.tolist() == names
        np.testing.assert_array_equal(classifier.predict_proba(frame), expected)
        with pytest.raises(ValueError, match="feature names"):
            classifier.predict(frame[names[::-1]])
        with pytest.warns(UserWarning, match="does not have valid feature names"):
            classifier.predict(X)


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csr_array, sparse.csc_matrix])
def test_sparse_matrices_are_as_dense_ones(kind: Any) -> None:
    dense = X * (np.abs(X) > 1)
    regressor = MLPRegressor(**QUICK).fit(dense, VALUES)
    expected = regressor.predict(dense)
    for options in ({}, {"early_stopping": True}, {"solver": "lbfgs"}):
        one, other = (
            MLPRegressor(**(QUICK | options)).fit(A, VALUES) for A in (kind(dense), dense)
        )
        np.testing.assert_allclose(one.predict(dense), other.predict(dense), rtol=1e-6)
    np.testing.assert_allclose(regressor.predict(kind(dense)), expected, rtol=1e-12)
    np.testing.assert_allclose(
        regressor.transform(kind(dense)), regressor.transform(dense), rtol=1e-12
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("method", ["predict", "predict_proba", "transform"])
def test_bad_rows_are_refused_in_scikit_learns_words(bad: float, method: str) -> None:
    classifier = MLPClassifier(**QUICK).fit(X, LABELS)
    wrong = X.copy()
    wrong[3, 1] = bad
    with pytest.raises(ValueError, match="Input X contains"):
        getattr(classifier, method)(wrong)
    with pytest.raises(ValueError, match="X has 3 features, but MLPClassifier is expecting 4"):
        getattr(classifier, method)(X[:, :3])
    with pytest.raises(ValueError, match="Expected 2D array"):
        getattr(classifier, method)(X[0])
    with pytest.raises(NotFittedError):
        getattr(MLPClassifier(), method)(X)


def test_float32_stays() -> None:
    single = X.astype(np.float32)
    regressor = MLPRegressor(**QUICK).fit(single, VALUES)
    assert regressor.network_.dtype == np.float32
    assert regressor.predict(single).dtype == np.float32
    assert MLPRegressor(**QUICK).fit(X, VALUES).network_.dtype == np.float64
    assert MLPRegressor(**QUICK).fit((X * 10).astype(int), VALUES).network_.dtype == np.float64


def test_dtype_chooses_the_networks() -> None:
    kept = MLPRegressor(**QUICK).fit(X.astype(np.float32), VALUES)
    asked = MLPRegressor(**QUICK, dtype="float32").fit(X, VALUES)
    np.testing.assert_array_equal(asked.coefs_[0], kept.coefs_[0])
    assert asked.predict(X).dtype == np.float32
    double = MLPRegressor(**QUICK, dtype="float64").fit(X.astype(np.float32), VALUES)
    assert double.network_.dtype == np.float64


def test_the_weights_are_views_that_can_be_set() -> None:
    regressor = MLPRegressor(**QUICK).fit(X, VALUES)
    zero = [np.zeros_like(array) for array in regressor.coefs_]
    regressor.coefs_ = zero
    regressor.intercepts_[-1] = [3.0]
    np.testing.assert_array_equal(regressor.predict(X), 3.0)
    regressor.intercepts_[-1][:] = 4.0
    np.testing.assert_array_equal(regressor.predict(X), 4.0)
    with pytest.raises(ValueError, match="shorter"):
        regressor.coefs_ = zero[:1]


# ---- scikit-learn's tools ------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", [MLPClassifier(**QUICK), MLPRegressor(**QUICK)], ids=repr)
def test_a_pickle_predicts_and_goes_on_as_the_original(estimator: Any) -> None:
    y = LABELS if isinstance(estimator, MLPClassifier) else VALUES
    fitted = clone(estimator).fit(X, y)
    twin = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(twin.predict(X), fitted.predict(X))
    twin.partial_fit(X, y)
    fitted.partial_fit(X, y)
    np.testing.assert_array_equal(twin.coefs_[0], fitted.coefs_[0])
    assert twin.loss_curve_ == fitted.loss_curve_


def test_set_output_and_a_pipeline_on_the_hidden_activations() -> None:
    pytest.importorskip("pandas")
    hidden = MLPClassifier(**QUICK).set_output(transform="pandas").fit(X, LABELS).transform(X)
    assert hidden.columns[0] == "mlpclassifier0"
    assert hidden.shape == (200, 16)
    pipeline = make_pipeline(StandardScaler(), MLPRegressor(**QUICK), LogisticRegression())
    assert pipeline.fit(X, VALUES > 0).score(X, VALUES > 0) > 0.8


def test_transform_is_the_last_hidden_layer() -> None:
    regressor = MLPRegressor(**QUICK | {"hidden_layer_sizes": (8, 3)}).fit(X, VALUES)
    hidden = regressor.transform(X)
    assert hidden.shape == (200, 3)
    output = hidden @ regressor.coefs_[-1] + regressor.intercepts_[-1]
    np.testing.assert_allclose(output[:, 0], regressor.predict(X), rtol=1e-10)
    linear = MLPRegressor(**QUICK | {"hidden_layer_sizes": ()}).fit(X, VALUES)
    np.testing.assert_array_equal(linear.transform(X), X)
    assert linear.get_feature_names_out().shape == (4,)


def test_sample_weights_are_routed() -> None:
    with config_context(enable_metadata_routing=True):
        classifier = MLPClassifier(**QUICK).set_fit_request(sample_weight=True)
        classifier.set_score_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, classifier)
        weights = np.where(LABELS == "up", 100.0, 1.0)
        result = cross_validate(
            pipeline, X, LABELS, params={"sample_weight": weights}, return_estimator=True, cv=2
        )
        plain = cross_validate(pipeline, X, LABELS, params={}, return_estimator=True, cv=2)

    def share_of_up(scores: Any) -> float:
        return float(np.mean([(e.predict(X) == "up").mean() for e in scores["estimator"]]))

    assert share_of_up(result) > share_of_up(plain) + 0.02


def test_calibration_and_permutation_importance() -> None:
    digits, y = load_digits(return_X_y=True)
    classifier = MLPClassifier(**QUICK)
    calibrated = CalibratedClassifierCV(classifier, cv=2).fit(digits[:400] / 16, y[:400])
    assert calibrated.score(digits[400:] / 16, y[400:]) > 0.8
    fitted = MLPRegressor(**QUICK).fit(X, VALUES)
    importance = permutation_importance(fitted, X, VALUES, n_repeats=3, random_state=0)
    assert set(np.argsort(importance.importances_mean)[2:]) == {0, 1}


def thread_count(estimator: Any, X: Any, y: Any) -> float:
    return float(fastnn.get_num_threads())


def threads_started(estimator: Any, X: Any, y: Any) -> float:
    """By another fit, which takes two: one where all fits before took one thread, else none."""
    before = len(os.listdir("/proc/self/task"))
    estimator.set_params(n_jobs=2).fit(X, y)
    return float(len(os.listdir("/proc/self/task")) - before)


def test_grid_search_takes_one_thread_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    joblib = pytest.importorskip("joblib")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    wide = MLPRegressor(hidden_layer_sizes=(256, 256), max_iter=2)  # worth two threads
    search = GridSearchCV(
        wide,
        {"alpha": [1e-4]},
        cv=[(np.arange(200), np.arange(200))],  # one fit: the second one would find a team there
        scoring={"told": thread_count, "started": threads_started},
        refit=False,
        n_jobs=max(joblib.cpu_count(), 2),
    ).fit(X, VALUES)
    assert search.cv_results_["mean_test_told"].tolist() == [1]
    assert search.cv_results_["mean_test_started"].tolist() == [1]


# ---- what scikit-learn's lack --------------------------------------------------------------------


def test_layers_are_those_that_were_asked_for() -> None:
    classifier = MLPClassifier(
        hidden_layer_sizes=(8, 4),
        activation=["mish", "tanh"],
        dropout=[0.2, 0.0],
        batch_norm=True,
        max_iter=2,
    ).fit(X, LABELS)
    assert classifier.network_.layers == (
        fastnn.Dense(8),
        fastnn.BatchNorm(),
        fastnn.Activation("mish"),
        fastnn.Dropout(0.2),
        fastnn.Dense(4),
        fastnn.BatchNorm(),
        fastnn.Activation("tanh"),
        fastnn.Dense(1, "sigmoid"),
    )
    assert [array.shape for array in classifier.coefs_] == [(4, 8), (8, 4), (4, 1)]
    assert classifier.n_layers_ == 4


@pytest.mark.parametrize("activation", [*fastnn.activations.ACTIVATIONS, "prelu"])
def test_all_activations_train(activation: str) -> None:
    if activation == "softmax":  # the output's alone
        with pytest.raises(ValueError, match="'activation' parameter"):
            MLPRegressor(activation=activation).fit(X, VALUES)
        return
    options = QUICK | {"activation": activation, "max_iter": 100}
    regressor = MLPRegressor(**options).fit(X / 2, VALUES)
    assert regressor.score(X / 2, VALUES) > 0.5
    assert len(regressor.coefs_) == 2


@pytest.mark.parametrize("class_weight", ["balanced", {"up": 20.0}])
def test_class_weight_moves_the_border(class_weight: Any) -> None:
    y = np.where(VALUES > 1.2, "up", "down")  # few
    plain = MLPClassifier(**QUICK).fit(X, y)
    weighted = MLPClassifier(**QUICK, class_weight=class_weight).fit(X, y)
    assert (weighted.predict(X) == "up").sum() > (plain.predict(X) == "up").sum()
    by_hand = MLPClassifier(**QUICK).fit(
        X,
        y,
        sample_weight=np.where(y == "up", 20.0, 1.0)
        if class_weight != "balanced"
        else 200 / (2 * np.where(y == "up", (y == "up").sum(), (y == "down").sum())),
    )
    np.testing.assert_array_equal(weighted.coefs_[0], by_hand.coefs_[0])


def test_quantiles_split_the_samples() -> None:
    for level in (0.2, 0.8):
        options = QUICK | {"max_iter": 150}
        regressor = MLPRegressor("quantile", quantile=level, **options).fit(X, X[:, 3])
        noise = np.random.default_rng(1).standard_normal(200)
        regressor.fit(X[:, :2], noise)
        assert np.mean(noise < regressor.predict(X[:, :2])) == pytest.approx(level, abs=0.1)
    both = MLPRegressor(fastnn.Quantile([0.2, 0.8]), **QUICK).fit(X, VALUES)
    assert both.predict(X).shape == (200, 2)
    assert both.n_outputs_ == 2


def test_losses_and_optimisers_may_be_objects() -> None:
    regressor = MLPRegressor(
        loss=fastnn.Huber(0.5),
        solver=fastnn.AdamW(0.01, weight_decay=0.1),
        learning_rate=fastnn.CosineDecay(0.02),
        **QUICK,
    ).fit(X, VALUES)
    net = regressor.network_
    assert net.loss == fastnn.Huber(0.5)
    assert isinstance(net.training.optimizer, fastnn.AdamW)
    assert net.training.optimizer.weight_decay == 0.1
    assert net.history["learning_rate"][-1] < 1e-3
    assert regressor.score(X, VALUES) > 0.8
    named = MLPRegressor(solver="nadam", **QUICK).fit(X, VALUES)
    assert named.network_.training.optimizer == fastnn.NAdam(0.01)
    decayed = MLPRegressor(**QUICK, weight_decay=0.3).fit(X, VALUES)
    assert decayed.network_.training.regularization.weight_decay == 0.3


def test_a_schedule_goes_on_in_partial_fit() -> None:
    schedule = fastnn.ExponentialDecay(0.01, factor=0.5, every=1)
    regressor = MLPRegressor(learning_rate=schedule)
    rates = []
    for _ in range(3):
        regressor.partial_fit(X, VALUES)
        rates += regressor.network_.history["learning_rate"]
    np.testing.assert_allclose(rates, [0.01, 0.005, 0.0025])


def test_own_validation_data_and_a_metric_to_stop_on() -> None:
    seen = []

    def note(net: Any, epoch: int, metrics: Any) -> None:
        seen.append(metrics)

    options = QUICK | {"early_stopping": True, "scoring": "neg_mean_absolute_error"}
    X_val = samples(50)[:, ::-1]
    y_val = X_val[:, 0] + np.sin(2 * X_val[:, 1])
    regressor = MLPRegressor(**options, callbacks=note)
    regressor.fit(X, VALUES, X_val=X_val, y_val=y_val)
    assert regressor.t_ == 200 * regressor.n_iter_  # none is held out
    error = np.abs(regressor.predict(X_val) - y_val).mean()
    assert regressor.best_validation_score_ == pytest.approx(-error, rel=1e-12)
    assert len(seen) == regressor.n_iter_
    assert "val_loss" in seen[0]
    with pytest.raises(ValueError, match="early_stopping=True"):
        MLPRegressor().fit(X, VALUES, X_val=X_val, y_val=y_val)
    with pytest.raises(ValueError, match="X_val and y_val must be given together"):
        MLPRegressor(early_stopping=True).fit(X, VALUES, X_val=X_val)
    with pytest.raises(ValueError, match="sample_weight_val"):
        MLPRegressor(early_stopping=True).fit(X, VALUES, sample_weight_val=y_val)


def test_a_scorer_sees_labels_and_columns_without_a_warning() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=list("abcd"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier = MLPClassifier(
            **QUICK, early_stopping=True, scoring="balanced_accuracy", tol=1e-9
        ).fit(frame, LABELS)
    assert 0.5 < classifier.best_validation_score_ <= 1


def test_the_best_network_is_kept_with_its_running_statistics() -> None:
    options = QUICK | {"batch_norm": True, "early_stopping": True, "max_iter": 40}
    regressor = MLPRegressor(**options).fit(X, VALUES)
    X_val, y_val = samples(50), samples(50)[:, 1]
    regressor.fit(X, VALUES, X_val=X_val, y_val=y_val)
    assert regressor.score(X_val, y_val) == pytest.approx(regressor.best_validation_score_)


def test_n_jobs_are_threads_and_change_no_bit() -> None:
    one, two = (MLPRegressor(**QUICK, n_jobs=n_jobs).fit(X, VALUES) for n_jobs in (1, 2))
    np.testing.assert_array_equal(one.coefs_[0], two.coefs_[0])
    with pytest.raises(ValueError, match="n_jobs"):
        MLPRegressor(n_jobs=0).fit(X, VALUES)


@pytest.mark.parametrize(("n_jobs", "expected"), [(-1, 3), (-2, 2), (-9, 1), (5, 5), (512, 256)])
def test_n_jobs_counts_down_from_the_share_of_the_process(
    n_jobs: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastnn.config._n_threads", 3)
    told: list[int] = []
    fit = fastnn.Network.fit

    def spy(net: Any, *arguments: Any, threads: int, **options: Any) -> Any:
        told.append(threads)
        return fit(net, *arguments, threads=threads, **options)

    monkeypatch.setattr(fastnn.Network, "fit", spy)
    MLPRegressor(**QUICK, n_jobs=n_jobs).fit(X, VALUES)
    assert set(told) == {expected}


REFUSED: dict[str, dict[str, Any]] = {
    "activation": {"activation": "cube"},
    "hidden_layer_sizes": {"hidden_layer_sizes": (8, 0)},
    "one for each of the 1 hidden layers": {"dropout": [0.1, 0.2]},
    "solver": {"solver": "newton"},
    "alpha": {"alpha": -1.0},
    "momentum": {"momentum": 1.5},
    "dropout must be 0": {"solver": "lbfgs", "dropout": 0.5},
    "batch_norm False": {"solver": "lbfgs", "batch_norm": True},
    "weight_decay": {"weight_decay": -0.1},
    r"dropout must be numbers in \[0, 1\), got \[nan\]": {"dropout": [np.nan]},
    r"dropout must be numbers in \[0, 1\), got \[-0.1\]": {"dropout": [-0.1]},
    r"dropout must be numbers in \[0, 1\), got \['a'\]": {"dropout": ["a"]},
    "AdamW": {"solver": fastnn.AdamW(), "weight_decay": 0.1},
}


@pytest.mark.parametrize("message", REFUSED)
def test_wrong_parameters_are_refused(message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MLPRegressor(**REFUSED[message]).fit(X, VALUES)


@pytest.mark.parametrize("preset", [None, "tabular"])
def test_masked_values_are_refused(preset: Any) -> None:
    masked = np.ma.masked_greater(X, 1.5)
    regressor = MLPRegressor(preset=preset, max_iter=2)
    with pytest.raises(ValueError, match="X must not have masked values"):
        regressor.fit(masked, VALUES)
    with pytest.raises(ValueError, match="y must not have masked values"):
        regressor.fit(X, np.ma.masked_greater(VALUES, 1))
    with pytest.raises(ValueError, match="X must not have masked values"):
        regressor.fit(np.ma.masked_greater(X, 100), VALUES).predict(masked)


@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
def test_weights_must_leave_something_to_each_part(estimator: Any) -> None:
    weights = np.r_[np.zeros(199), 1.0]
    y = LABELS if estimator is MLPClassifier else VALUES
    with pytest.raises(ValueError, match="sample_weight must leave a weight above 0"):
        estimator(early_stopping=True, random_state=0).fit(X, y, sample_weight=weights)


def test_more_threads_than_a_network_takes() -> None:
    regressor = MLPRegressor(**QUICK, n_jobs=512).fit(X[:50], VALUES[:50])
    assert regressor.predict(X).shape == (200,)


def test_a_rate_that_falls_at_once_is_zero() -> None:
    options = QUICK | {"solver": "sgd", "learning_rate": "invscaling", "power_t": 1e6}
    regressor = MLPRegressor(**options).fit(X, VALUES)
    assert regressor.network_.history["learning_rate"][-1] == 0


def test_callbacks_may_be_any_sequence() -> None:
    seen = []
    callbacks = np.array([lambda net, epoch, metrics: seen.append(epoch)], object)
    regressor = MLPRegressor(**QUICK, callbacks=callbacks).fit(X, VALUES)
    assert len(seen) == regressor.n_iter_


def test_a_pickle_of_an_estimator_without_preset_goes_on() -> None:
    fitted = MLPRegressor(**QUICK).fit(X, VALUES)
    state = fitted.__getstate__()
    del state["preset"]
    old = MLPRegressor.__new__(MLPRegressor)
    old.__setstate__(state)
    np.testing.assert_array_equal(old.predict(X), fitted.predict(X))
    np.testing.assert_array_equal(
        old.partial_fit(X, VALUES).coefs_[0], fitted.partial_fit(X, VALUES).coefs_[0]
    )
    assert clone(old).preset is None


def test_ctrl_c_ends_the_training_with_a_usable_estimator() -> None:
    def interrupt(net: Any, epoch: int, metrics: Any) -> None:
        if epoch == 3:
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="interrupted"):
        regressor = MLPRegressor(callbacks=interrupt).fit(X, VALUES)
    assert regressor.n_iter_ in (2, 3)
    assert regressor.predict(X).shape == (200,)


def test_partial_fit_knows_its_classes() -> None:
    classifier = MLPClassifier(random_state=0)
    with pytest.raises(ValueError, match="classes must be given to the first call"):
        classifier.partial_fit(X, LABELS)
    classifier.partial_fit(X[:1], ["up"], classes=["up", "down", "level"])
    assert classifier.classes_.tolist() == ["down", "level", "up"]
    with pytest.raises(ValueError, match="classes must be those of the call before"):
        classifier.partial_fit(X, LABELS, classes=["up", "down"])
    with pytest.raises(ValueError, match=r"not among classes_.*\['left'\]"):
        classifier.partial_fit(X[:1], ["left"])
    assert not hasattr(MLPClassifier(solver="lbfgs"), "partial_fit")


def test_several_columns_of_several_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="it has several columns"):
        MLPClassifier().fit(X, np.column_stack([np.arange(200) % 3, np.arange(200) % 4]))

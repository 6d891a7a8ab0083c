"""`preset="tabular"`: the recipe for tables behind scikit-learn's interface."""

import pickle
import warnings
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("sklearn")

from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from fastnn.sklearn import MLPClassifier, MLPRegressor
from fastnn.tabular import RECIPE, TableWarning, TabularModel

pytestmark = pytest.mark.filterwarnings("error")

Array = npt.NDArray[Any]

QUICK = replace(
    RECIPE,
    hidden=(32, 16),
    samples=20_000,
    learning_rate=2e-3,
    bins=16,
    ramp_height=0.1,
    ema=None,
)
TOWNS = np.array(["Ulm", "Bonn", "Jena"], object)


def columns(n: int = 300, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    size = rng.uniform(20, 200, n)
    size[::10] = np.nan
    return {
        "size": size,
        "town": TOWNS[rng.integers(0, 3, n)],
        "sold": np.datetime64("2020-01-01") + rng.integers(0, 900, n).astype("timedelta64[D]"),
    }


def price(table: dict[str, Any]) -> Array:
    rng = np.random.default_rng(1)
    size = np.where(np.isnan(table["size"]), 100.0, table["size"])
    return np.asarray(5 * size + 300 * (table["town"] == "Ulm") + rng.standard_normal(len(size)))


X: Array = np.random.default_rng(0).standard_normal((200, 4))
VALUES = X[:, 0] + np.sin(2 * X[:, 1])
LABELS = np.where(VALUES > 0, "up", "down")


def regressor(**options: Any) -> MLPRegressor:
    return MLPRegressor(preset=QUICK, random_state=0, **options)


def classifier(**options: Any) -> MLPClassifier:
    return MLPClassifier(preset=QUICK, random_state=0, **options)


# ---- what it is for ------------------------------------------------------------------------------


def test_steps_are_learnt_better_than_by_default() -> None:
    rng = np.random.default_rng(3)
    steps = rng.uniform(-2, 2, (3000, 5))
    y = np.floor(3 * steps[:, 0]) + 2 * (np.floor(4 * steps[:, 1]) % 2) + (steps[:, 2] > 1)
    scaler = StandardScaler().fit(steps[:2000])
    default = MLPRegressor(random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        default.fit(scaler.transform(steps[:2000]), y[:2000])
    preset = MLPRegressor(preset="tabular", max_iter=60, random_state=0)
    preset.fit(steps[:2000], y[:2000])
    of_preset = preset.score(steps[2000:], y[2000:])
    assert of_preset > 0.95
    assert 1 - of_preset < 0.6 * (1 - default.score(scaler.transform(steps[2000:]), y[2000:]))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_may_hold_categories_dates_and_gaps(library: str) -> None:
    frames: Any = pytest.importorskip(library)
    table = columns()
    frame = frames.DataFrame(table)
    fitted = regressor().fit(frame, price(table))
    assert fitted.feature_names_in_.tolist() == ["size", "town", "sold"]
    assert [c.kind for c in fitted.tabular_.columns] == ["number", "category", "date"]
    fresh = columns(seed=5)
    assert fitted.score(frames.DataFrame(fresh), price(fresh)) > 0.97
    with pytest.raises(ValueError, match="should match those that were passed during fit"):
        fitted.predict(frame[["town", "size", "sold"]])
    with pytest.raises(ValueError, match="should match those that were passed during fit"):
        fitted.predict(frame[["size", "town"]])
    unknown = fresh | {"town": np.array(["Rom"] * 300, object)}
    with pytest.warns(TableWarning, match="Rom"):
        fitted.predict(frames.DataFrame(unknown))


def test_categories_of_pandas_and_columns_that_are_left_out() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(columns()).astype({"town": "category"}).assign(name=np.arange(300))
    fitted = regressor().fit(frame, price(columns()))
    assert [column.used for column in fitted.tabular_.columns] == [True, True, True, False]
    assert fitted.n_features_in_ == 4
    assert fitted.score(frame, price(columns())) > 0.97


def test_the_model_is_a_tabular_model_of_the_same_table() -> None:
    fitted = regressor().fit(X, VALUES)
    seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max)
    alone = TabularModel(seed=int(seed), recipe=QUICK, task="regression").fit(X, VALUES)
    np.testing.assert_array_equal(fitted.predict(X), alone.predict(X))
    np.testing.assert_array_equal(fitted.tabular_.predict(X), alone.predict(X))
    assert fitted.network_ is fitted.tabular_.network
    assert fitted.transform(X).shape == (200, 16)
    output = fitted.transform(X) @ fitted.coefs_[-1] + fitted.intercepts_[-1]
    scaled = output[:, 0] * alone.target.scale + alone.target.center
    np.testing.assert_allclose(scaled, fitted.predict(X), rtol=1e-4)
    assert len(fitted.get_feature_names_out()) == 16


@pytest.mark.parametrize(
    "classes",
    [["up", "down"], [True, False], [3, -1], [1.0, 2.0], [2, 1, 0], ["a", "b c", "d"]],
)
def test_classes_are_as_in_y(classes: list[Any]) -> None:
    y = np.array(classes)[np.digitize(VALUES, [-0.4, 0.4][: len(classes) - 1])]
    fitted = classifier().fit(X, y)
    np.testing.assert_array_equal(fitted.classes_, np.unique(y))
    assert fitted.classes_.dtype == y.dtype
    probabilities = fitted.predict_proba(X)
    np.testing.assert_array_equal(fitted.predict(X), fitted.classes_[probabilities.argmax(axis=1)])
    np.testing.assert_array_equal(fitted.predict(X), fitted.tabular_.predict(X))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(np.exp(fitted.predict_log_proba(X)), probabilities)
    assert fitted.score(X, y) > 0.8


# ---- scikit-learn's tools ------------------------------------------------------------------------


def test_clones_pickles_and_copies_predict_the_same() -> None:
    fitted = classifier().fit(X, LABELS)
    expected = fitted.predict_proba(X)
    for twin in (
        pickle.loads(pickle.dumps(fitted)),
        deepcopy(fitted),
        clone(fitted).fit(X, LABELS),
    ):
        np.testing.assert_array_equal(twin.predict_proba(X), expected)


def test_pipelines_and_searches() -> None:
    pipeline = make_pipeline(StandardScaler(), classifier())
    recipes = [QUICK, replace(QUICK, hidden=(8,))]
    search = GridSearchCV(pipeline, {"mlpclassifier__preset": recipes}, cv=2).fit(X, LABELS)
    assert search.best_score_ > 0.8
    wine, y = load_wine(return_X_y=True)
    assert (cross_val_predict(classifier(), wine, y, cv=3) == y).mean() > 0.9


def test_a_pipeline_may_hand_on_a_frame() -> None:
    pytest.importorskip("pandas")
    scaler = StandardScaler().set_output(transform="pandas")
    pipeline = make_pipeline(scaler, FunctionTransformer(), regressor())
    pipeline.fit(X, VALUES)
    assert pipeline[-1].feature_names_in_.tolist() == ["x0", "x1", "x2", "x3"]
    assert pipeline.score(X, VALUES) > 0.9


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csc_array])
def test_sparse_matrices_are_as_dense_ones(kind: Any) -> None:
    dense = X * (np.abs(X) > 1)
    expected = regressor().fit(dense, VALUES).predict(dense)
    found = regressor().fit(kind(dense), VALUES).predict(kind(dense))
    np.testing.assert_array_equal(found, expected)


def test_arrays_may_have_gaps_but_no_infinity() -> None:
    gaps = X.copy()
    gaps[::5, 0] = np.nan
    assert regressor().fit(gaps, VALUES).score(gaps, VALUES) > 0.7
    gaps[0, 0] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        regressor().fit(gaps, VALUES)
    with pytest.raises(ValueError, match="Input y contains NaN"):
        regressor().fit(X, np.r_[np.nan, VALUES[1:]])


# ---- parameters ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"hidden_layer_sizes": (5,)},
        {"alpha": 0.1},
        {"batch_norm": True, "dropout": 0.1},
        {"warm_start": True},
        {"dtype": "float32"},
        {"callbacks": [print]},
        {"solver": "lbfgs"},
        {"loss": "poisson"},
    ],
)
def test_what_the_recipe_decides_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"decides {', '.join(options)}: leave the default"):
        regressor(**options).fit(X, VALUES)


def test_preset_is_checked() -> None:
    with pytest.raises(ValueError, match="'preset' parameter"):
        MLPRegressor(preset="image").fit(X, VALUES)


def test_parameters_that_it_goes_by(capsys: pytest.CaptureFixture[str]) -> None:
    fitted = regressor(max_iter=3, n_jobs=2, verbose=True, early_stopping=True).fit(X, VALUES)
    assert (fitted.n_iter_, len(fitted.loss_curve_), fitted.t_) == (3, 3, 3 * 170)
    assert fitted.tabular_.threads == 2
    assert "val_loss" in "".join(capsys.readouterr())
    assert fitted.best_validation_score_ == -min(fitted.tabular_.histories[0]["val_loss"])
    assert (fitted.n_layers_, fitted.n_outputs_, fitted.out_activation_) == (4, 1, "identity")
    other = regressor(max_iter=3).set_params(random_state=1).fit(X, VALUES)
    assert (fitted.coefs_[1] != other.coefs_[1]).any()


def test_weights_of_samples_and_classes() -> None:
    wrong = LABELS.copy()
    wrong[:60] = np.where(LABELS[:60] == "up", "down", "up")
    weights = np.r_[np.zeros(60), np.ones(140)]
    fitted = classifier().fit(X, wrong, sample_weight=weights)
    assert fitted.score(X, LABELS) > 0.9
    assert fitted.t_ == fitted.n_iter_ * 119
    y = np.where(VALUES > 1.2, "up", "down")  # few
    weighted = classifier(class_weight={"up": 20.0}).fit(X, y)
    by_hand = classifier().fit(X, y, sample_weight=np.where(y == "up", 20.0, 1.0))
    np.testing.assert_array_equal(weighted.coefs_[0], by_hand.coefs_[0])
    assert (weighted.predict(X) == "up").sum() > (classifier().fit(X, y).predict(X) == "up").sum()


def test_own_validation_data() -> None:
    X_val = X[::-1] * 1.1
    y_val = X_val[:, 0] + np.sin(2 * X_val[:, 1])
    fitted = regressor().fit(X, VALUES, X_val=X_val, y_val=y_val, sample_weight_val=np.ones(200))
    assert fitted.t_ == 200 * fitted.n_iter_
    assert fitted.tabular_.validation_scores["model"] == fitted.tabular_.evaluate(X_val, y_val)


# ---- what cannot be ------------------------------------------------------------------------------


def test_there_is_no_partial_fit_and_no_several_targets() -> None:
    assert not hasattr(regressor(), "partial_fit")
    with pytest.raises(ValueError, match="1d array"):
        regressor().fit(X, X[:, :2])
    with pytest.raises(ValueError, match="1d array"):
        classifier().fit(X, (X[:, :2] > 0).astype(int))
    with pytest.raises(ValueError, match="one class"):
        classifier().fit(X, np.ones(200))
    with pytest.raises(ValueError, match="white space"):
        classifier().fit(X, np.resize(["a", "a ", "b"], 200))
    with pytest.raises(ValueError, match="inconsistent numbers"):
        regressor().fit(X, VALUES[:-1])
    pd = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match="X must have columns"):
        regressor().fit(pd.DataFrame(index=range(200)), VALUES)
    with pytest.raises(NotFittedError):
        regressor().predict(X)


def test_an_estimator_may_change_its_preset_between_fits() -> None:
    fitted = regressor().fit(X, VALUES)
    plain = fitted.set_params(preset=None, max_iter=2, hidden_layer_sizes=(3,))
    assert plain.predict(X).shape == (200,)  # still by the preset
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        plain.fit(X, VALUES)
    assert not hasattr(plain, "tabular_")
    assert plain.transform(X).shape == (200, 3)
    going_on = regressor().fit(X, VALUES).set_params(preset=None).partial_fit(X, VALUES)
    assert going_on.network_.n_features == 4

"""scikit-learn: networks of its fitted perceptrons."""

from typing import Any

import numpy as np
import pytest

from fastnn import Dense, Network
from fastnn.exchange import from_sklearn

neural_network: Any = pytest.importorskip("sklearn.neural_network")
pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")
X = np.random.default_rng(0).normal(size=(200, 5))
CLASSES = np.array(["no", "yes", "perhaps"])
TARGETS = {
    "binary": CLASSES[(X[:, 0] > 0).astype(int)],
    "several classes": CLASSES[np.digitize(X[:, 0] + X[:, 1], [-0.5, 0.5])],
    "several labels": (X[:, :3] > 0).astype(int),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("kind", TARGETS)
def test_classifiers(kind: str, activation: str, dtype: str) -> None:
    estimator = neural_network.MLPClassifier(
        (12, 7), activation=activation, max_iter=15, random_state=0
    )
    data = X.astype(dtype)
    estimator.fit(data, TARGETS[kind])
    net = from_sklearn(estimator)
    assert net.dtype == dtype
    expected = estimator.predict_proba(data)
    ours = net.predict_proba(data)
    if kind == "binary":
        ours = np.column_stack([1 - ours, ours])
    limit = 1e-6 if dtype == "float32" else 1e-12
    assert np.abs(ours - expected).max() <= limit
    labels = net.predict(data)
    if kind != "several labels":
        labels = estimator.classes_[labels]
    is_clear = np.abs(expected - 0.5).min(axis=1) > 1e-5
    np.testing.assert_array_equal(labels[is_clear], estimator.predict(data)[is_clear])
    assert net.loss.name == (
        "categorical_cross_entropy" if kind == "several classes" else "binary_cross_entropy"
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_regressors(n_outputs: int, dtype: str) -> None:
    y = X @ np.ones((5, n_outputs)) + 3
    estimator = neural_network.MLPRegressor(hidden_layer_sizes=(10,), max_iter=15, random_state=0)
    data = X.astype(dtype)
    estimator.fit(data, y.ravel() if n_outputs == 1 else y)
    net = from_sklearn(estimator)
    expected = estimator.predict(data)
    scale = np.abs(expected).max()
    limit = 1e-6 if dtype == "float32" else 1e-12
    assert np.abs(net.predict(data) - expected).max() <= limit * scale
    assert net.layers == (Dense(10, "relu"), Dense(n_outputs))


def test_a_poisson_regressor_has_an_exponential() -> None:
    y = np.random.default_rng(1).poisson(2, 200)
    estimator = neural_network.MLPRegressor(loss="poisson", max_iter=9, random_state=0)
    net = from_sklearn(estimator.fit(X, y))
    assert net.loss.name == "poisson"
    np.testing.assert_allclose(net.predict(X), estimator.predict(X), rtol=1e-12)


def test_other_objects_are_refused() -> None:
    with pytest.raises(TypeError, match="must be an MLPClassifier or MLPRegressor"):
        from_sklearn(Network([Dense(1)]))
    with pytest.raises(ValueError, match="not fitted yet"):
        from_sklearn(neural_network.MLPClassifier())
    estimator = neural_network.MLPRegressor(max_iter=2, random_state=0)
    estimator.fit(X, X[:, 0])
    estimator.coefs_[1][0] = np.nan
    with pytest.raises(ValueError, match=r"coefs_\[1\].*must be finite"):
        from_sklearn(estimator)

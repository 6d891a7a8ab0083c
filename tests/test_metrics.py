"""Metrics: by hand, against scikit-learn where it is installed, and in fit and evaluate."""

from functools import partial
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import Dense, Network, metrics
from fastnn.metrics import METRICS, Metric, larger_is_better

RANDOM = np.random.default_rng(0)


def test_metrics_by_hand() -> None:
    assert metrics.accuracy([0, 1, 2, 2], [0, 1, 1, 2]) == 0.75
    assert metrics.accuracy([[0, 1], [1, 1]], [[0, 1], [0, 0]]) == 0.5
    assert metrics.balanced_accuracy([0, 0, 0, 1], [0, 0, 0, 0]) == 0.5
    assert metrics.f1([0, 1, 1, 0], [0, 1, 0, 0]) == pytest.approx(2 / 3)
    assert metrics.f1([0, 0], [0, 0]) == 0
    assert metrics.f1([0, 1, 2], [0, 1, 1]) == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert metrics.roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]) == 0.75
    assert metrics.roc_auc([0, 1], [0.5, 0.5]) == 0.5
    assert np.isnan(metrics.roc_auc([1, 1], [0.2, 0.5]))
    assert metrics.top_k_accuracy([0, 1, 2], [[0.5, 0.3, 0.2]] * 3, k=2) == pytest.approx(2 / 3)
    assert metrics.top_k_accuracy([0, 1], [[0.5, 0.5]] * 2, k=1) == 0.5
    assert metrics.top_k_accuracy([0, 1], [[0.5, 0.5]] * 2) == 1
    assert metrics.mae([1, 2], [2, 4]) == 1.5
    assert metrics.rmse([0, 0], [3, 4]) == pytest.approx(12.5**0.5)
    assert metrics.r2([1, 2, 3], [1, 2, 3]) == 1
    assert metrics.r2([1, 2, 3], [2, 2, 2]) == 0
    assert metrics.r2([2, 2], [2, 2]) == 1
    assert metrics.r2([2, 2], [2, 3]) == 0


@pytest.mark.parametrize("n_classes", [2, 4])
def test_metrics_of_classes_agree_with_scikit_learn(n_classes: int) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    y = RANDOM.integers(0, n_classes, 200)
    scores = np.round(RANDOM.dirichlet(np.ones(n_classes), 200) + np.eye(n_classes)[y] / 3, 1)
    scores /= scores.sum(axis=1, keepdims=True)
    predicted = scores.argmax(axis=1)
    average = "binary" if n_classes == 2 else "macro"
    assert metrics.accuracy(y, predicted) == pytest.approx(sklearn.accuracy_score(y, predicted))
    expected = sklearn.balanced_accuracy_score(y, predicted)
    assert metrics.balanced_accuracy(y, predicted) == pytest.approx(expected)
    expected = sklearn.f1_score(y, predicted, average=average)
    assert metrics.f1(y, predicted) == pytest.approx(expected)
    given = scores[:, 1] if n_classes == 2 else scores
    expected = sklearn.roc_auc_score(y, given, multi_class="ovr")
    assert metrics.roc_auc(y, scores) == pytest.approx(expected)


def test_metrics_of_labels_and_values_agree_with_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    y = RANDOM.integers(0, 2, (100, 3))
    scores = RANDOM.random((100, 3)) + y / 4
    predicted = (scores > 0.6).astype(int)
    expected = sklearn.f1_score(y, predicted, average="macro")
    assert metrics.f1(y, predicted) == pytest.approx(expected)
    assert metrics.roc_auc(y, scores) == pytest.approx(sklearn.roc_auc_score(y, scores))
    assert metrics.r2(y, scores) == pytest.approx(sklearn.r2_score(y, scores))
    assert metrics.mae(y, scores) == pytest.approx(sklearn.mean_absolute_error(y, scores))
    expected = sklearn.mean_squared_error(y.ravel(), scores.ravel()) ** 0.5
    assert metrics.rmse(y, scores) == pytest.approx(expected)


@pytest.mark.parametrize("name", METRICS)
def test_wrong_arguments_are_refused(name: str) -> None:
    function = METRICS[name].function
    with pytest.raises(ValueError, match="y_true"):
        function([0, 1, 1], [0, 1])
    with pytest.raises(ValueError, match="not empty"):
        function([], [])
    with pytest.raises(TypeError, match="y_true must be an array of numbers"):
        function(["a", "b"], [0, 1])


def test_precision_and_recall() -> None:
    true, said = [1, 1, 1, 0, 0], [1, 0, 0, 1, 0]
    assert metrics.precision(true, said) == 1 / 2
    assert metrics.recall(true, said) == 1 / 3
    assert metrics.f1(true, said) == 2 / 5
    true, said = [0, 1, 2, 2], [0, 2, 2, 2]  # class 1 is never predicted
    assert metrics.precision(true, said) == pytest.approx((1 + 0 + 2 / 3) / 3)
    assert metrics.recall(true, said) == pytest.approx((1 + 0 + 1) / 3)
    assert metrics.recall([[1, 0], [1, 1]], [[1, 0], [0, 1]]) == 3 / 4
    assert metrics.precision([0, 0], [1, 0]) == metrics.recall([0, 0], [1, 0]) == 0


def test_a_metric_of_values_needs_one_prediction_a_target() -> None:
    X = RANDOM.normal(size=(20, 4))
    net = Network([Dense(3)], 4, loss=fastnn.Quantile([0.1, 0.5, 0.9]), seed=0)
    with pytest.raises(ValueError, match=r"metrics: mae compares .* network has 3 by the loss"):
        net.evaluate(X, X[:, 0], metrics="mae")

    def median_error(y_true: Any, y_pred: Any) -> float:
        return metrics.mae(y_true[:, 0], y_pred[:, 1])

    found = net.evaluate(X, X[:, 0], metrics=median_error)["median_error"]
    assert found == pytest.approx(np.abs(net.predict(X)[:, 1] - X[:, 0]).mean(), rel=1e-6)


def test_top_k_takes_one_class_a_sample_and_a_positive_k() -> None:
    with pytest.raises(ValueError, match="k must be a positive integer"):
        metrics.top_k_accuracy([0], [[0.5, 0.5]], k=0)
    with pytest.raises(ValueError, match="top_k_accuracy takes"):
        metrics.top_k_accuracy([0, 1], [0.5, 0.5])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("loss", False), ("val_loss", False), ("val_mae", False), ("val_rmse", False),
        ("mean_squared_error", False), ("accuracy", True), ("val_balanced_accuracy", True),
        ("val_f1", True), ("val_roc_auc", True), ("r2", True), ("val_my_score", True),
        ("learning_rate", None), ("val_mine", None),
    ],
)  # fmt: skip
def test_the_name_tells_what_is_better(name: str, expected: bool | None) -> None:
    assert larger_is_better(name) is expected


# ---- in a network --------------------------------------------------------------------------------


def samples(output: str, n_units: int) -> tuple[Network, Any, Any]:
    X = RANDOM.normal(size=(80, 4))
    y: Any = RANDOM.integers(0, max(n_units, 2), 80)
    if output == "sigmoid" and n_units > 1:
        y = RANDOM.integers(0, 2, (80, n_units))
    if output == "linear":
        y = RANDOM.normal(size=(80, n_units))
    return Network([Dense(5, "tanh"), Dense(n_units, output)], 4, seed=0), X, y


@pytest.mark.parametrize("n_units", [1, 3])
@pytest.mark.parametrize("output", ["softmax", "sigmoid", "linear"])
def test_evaluate_gives_what_the_functions_give(output: str, n_units: int) -> None:
    net, X, y = samples(output, max(n_units, 2 if output == "softmax" else 1))
    is_classifier = output != "linear"
    names = [
        name
        for name, metric in METRICS.items()
        if (metric.takes != "values") == is_classifier
        and (name != "top_k_accuracy" or output == "softmax")
    ]
    result = net.evaluate(X, y, metrics=names)
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    for name in names:
        metric = METRICS[name]
        predicted = net.predict_proba(X) if metric.takes == "probabilities" else net.predict(X)
        assert result[name] == pytest.approx(metric.function(y, predicted), rel=1e-6), name
        assert type(result[name]) is float


def test_one_hot_rows_are_their_classes() -> None:
    net, X, y = samples("softmax", 3)
    names = ["f1", "roc_auc", "top_k_accuracy"]
    rows = net.evaluate(X, np.eye(3)[y], metrics=names)
    assert rows == pytest.approx(net.evaluate(X, y, metrics=names))


def test_functions_and_metrics_of_ones_own() -> None:
    net, X, y = samples("softmax", 3)

    def mistakes(y_true: Any, y_pred: Any) -> Any:
        assert y_true.shape == y_pred.shape == (80,)
        return np.sum(y_true != y_pred)

    top_2 = Metric("top_2", partial(metrics.top_k_accuracy, k=2), "probabilities")
    result = net.evaluate(X, y, metrics=[mistakes, metrics.f1, top_2, partial(metrics.accuracy)])
    assert result["mistakes"] == 80 - round(80 * result["accuracy"])
    assert result["f1"] == metrics.f1(y, net.predict(X))
    assert result["top_2"] == metrics.top_k_accuracy(y, net.predict_proba(X), k=2)


def test_a_function_of_code_that_was_executed_as_text_is_a_metric() -> None:
    """It has no module."""
    net, X, y = samples("softmax", 3)
    names: dict[str, Any] = {}
    exec("def one(y_true, y_pred): return 1.0", names)
    assert net.evaluate(X, y, metrics=names["one"])["one"] == 1


def test_functions_of_scikit_learn_get_what_they_take() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    net, X, y = samples("sigmoid", 1)
    result = net.evaluate(X, y, metrics=[sklearn.roc_auc_score, sklearn.matthews_corrcoef])
    assert result["roc_auc_score"] == pytest.approx(metrics.roc_auc(y, net.predict_proba(X)))
    assert result["matthews_corrcoef"] == sklearn.matthews_corrcoef(y, net.predict(X))


def test_a_metric_must_give_a_number() -> None:
    net, X, y = samples("sigmoid", 1)
    with pytest.raises(TypeError, match="metrics must give a number, text gave 'high'"):
        net.evaluate(X, y, metrics=Metric("text", lambda *_: "high", "labels"))


def test_history_has_the_metrics_of_each_epoch() -> None:
    net, X, y = samples("softmax", 3)
    history = net.fit(X, y, epochs=2, validation_data=(X, y), metrics=["accuracy", "f1"])
    assert list(history)[:-1] == ["loss", "accuracy", "val_loss", "val_accuracy", "val_f1"]
    assert history["val_f1"][-1] == metrics.f1(y, net.predict(X))

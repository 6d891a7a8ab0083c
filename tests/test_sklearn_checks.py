"""scikit-learn's own checks of estimators, and its own tests of MLPs."""

import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sklearn")

from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import check_estimator

# At the end, so that an installed fastnn is found before the one beside bench.
sys.path.append(str(Path(__file__).parents[1]))

from bench import sklearn_tests
from fastnn.sklearn import MLPClassifier, MLPRegressor

# What these two checks need is not there: a variable of the environment, a method.
NOT_FOR_US = {
    "check_array_api_input",
    "check_classifiers_multilabel_output_format_decision_function",
}


# What a preset cannot do.
NOT_WITH_A_PRESET = {
    "check_sample_weight_equivalence_on_dense_data": "held-out rows are drawn by their number",
    "check_sample_weight_equivalence_on_sparse_data": "held-out rows are drawn by their number",
    "check_class_weight_classifiers": "sets n_iter_no_change, which the recipe decides",
    "check_regressors_train": "sets alpha, which the recipe decides",
}


@pytest.mark.filterwarnings("ignore")  # the checks fit on little and bad data
@pytest.mark.parametrize(
    "estimator",
    [
        MLPClassifier(),
        MLPRegressor(),
        MLPRegressor(solver="sgd", learning_rate="adaptive"),
        MLPClassifier(preset="tabular", max_iter=10),
        MLPRegressor(preset="tabular", max_iter=10),
    ],
    ids=repr,
)
def test_check_estimator(estimator: Any) -> None:
    expected = {} if estimator.preset is None else NOT_WITH_A_PRESET
    results = check_estimator(
        estimator, expected_failed_checks=expected, on_skip=None, on_fail=None
    )
    not_passed = {
        result["check_name"]: result["exception"]
        for result in results
        if result["status"] != "passed"
        and result["check_name"] not in NOT_FOR_US
        and not (result["status"] == "xfail" and result["check_name"] in expected)
    }
    assert not_passed == {}
    assert len(results) > 60


def test_the_warning_of_max_iter_is_scikit_learns() -> None:
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        MLPRegressor(max_iter=2).fit([[1.0], [2.0]], [1.0, 2.0])


def test_scikit_learns_own_tests_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert sklearn_tests.main() == 0, capsys.readouterr().out


def test_a_test_that_is_left_out_must_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = {"test_one[a]": "passed", **dict.fromkeys(sklearn_tests.LEFT_OUT, "AssertionError")}
    monkeypatch.setattr(sklearn_tests, "run", lambda folder: outcomes)
    assert sklearn_tests.main() == 0
    outcomes["test_fit"] = "passed"
    assert sklearn_tests.main() == 1
    outcomes["test_fit"], outcomes["test_one[a]"] = "AssertionError", "ValueError"
    assert sklearn_tests.main() == 1
    outcomes.clear()
    assert sklearn_tests.main() == 1

"""scikit-learn's own checks of estimators."""

from typing import Any

import pytest

pytest.importorskip("sklearn")

from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import check_estimator

from fastnn.sklearn import MLPClassifier, MLPRegressor

# What these two checks need is not there: a variable of the environment, a method.
NOT_FOR_US = {
    "check_array_api_input",
    "check_classifiers_multilabel_output_format_decision_function",
}


@pytest.mark.filterwarnings("ignore")  # the checks fit on little and bad data
@pytest.mark.parametrize(
    "estimator",
    [
        MLPClassifier(),
        MLPRegressor(),
        MLPRegressor(solver="lbfgs"),
        MLPRegressor(solver="sgd", learning_rate="adaptive"),
    ],
    ids=repr,
)
def test_check_estimator(estimator: Any) -> None:
    results = check_estimator(estimator, on_skip=None, on_fail=None)
    not_passed = {
        result["check_name"]: result["exception"]
        for result in results
        if result["status"] != "passed" and result["check_name"] not in NOT_FOR_US
    }
    assert not_passed == {}
    assert len(results) > 60


def test_the_warning_of_max_iter_is_scikit_learns() -> None:
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        MLPRegressor(max_iter=2).fit([[1.0], [2.0]], [1.0, 2.0])

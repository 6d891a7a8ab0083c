"""Estimators for scikit-learn: its multi-layer perceptrons, trained by fastnn.

Both take the parameters of ``sklearn.neural_network`` under the same names and with the same
defaults, and a few more.
"""

try:
    import sklearn  # noqa: F401
except ImportError as error:
    raise ImportError(
        "scikit-learn is not installed, which fastnn.sklearn needs; the extra 'sklearn' brings it: "
        "pip install '.[sklearn]' in a copy of fastnn's sources"
    ) from error

from fastnn.sklearn._classifier import MLPClassifier
from fastnn.sklearn._regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]

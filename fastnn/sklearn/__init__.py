"""Estimators for scikit-learn: its multi-layer perceptrons, trained by fastnn.

Both take the parameters of ``sklearn.neural_network`` under the same names and with the same
defaults, and a few more.
"""

from fastnn._extras import import_extra

import_extra("sklearn", "scikit-learn", "sklearn")  # which the files below import

from fastnn.sklearn._classifier import MLPClassifier  # noqa: E402
from fastnn.sklearn._regressor import MLPRegressor  # noqa: E402

__all__ = ["MLPClassifier", "MLPRegressor"]

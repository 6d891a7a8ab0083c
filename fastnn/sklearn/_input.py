"""What the estimators are given, as a network takes it."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.validation import validate_data

#: Of X, as scikit-learn's ``validate_data`` is told.
SAMPLES: dict[str, Any] = {"accept_sparse": ["csr", "csc"], "dtype": (np.float64, np.float32)}


def checked_pair(estimator: Any, X: Any, y: Any, reset: bool, **options: Any) -> tuple[Any, Any]:
    """X and y; names and number of the columns are noted, or compared.

    Parameters
    ----------
    estimator : BaseMLP
    X : array-like or sparse matrix of shape (n_samples, n_features)
        float32 stays, all else becomes float64. A sparse one becomes CSR.
    y : array-like
    reset : bool
        Whether this is the first data that the estimator sees.
    **options
        Of scikit-learn's ``validate_data``, for y.

    Raises
    ------
    TypeError, ValueError
    """
    refuse_masked(X, "X")
    refuse_masked(y, "y")
    X, y = validate_data(estimator, X, y, multi_output=True, reset=reset, **(SAMPLES | options))
    return _as_csr(X), y


def refuse_masked(values: Any, name: str) -> None:
    """ValueError for masked values: scikit-learn would take what is below the mask."""
    if np.ma.is_masked(values):
        raise ValueError(f"{name} must not have masked values: fill them, or leave their rows out")


def checked(estimator: Any, X: Any) -> Any:
    """X for a prediction; a sparse matrix as CSR."""
    refuse_masked(X, "X")
    return _as_csr(validate_data(estimator, X, reset=False, **SAMPLES))


def _as_csr(X: Any) -> Any:
    return X.tocsr() if sparse.issparse(X) else X

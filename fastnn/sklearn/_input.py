"""What the estimators are given, as arrays that a network takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.utils.validation import validate_data

Array = npt.NDArray[Any]

# Numbers of a sparse matrix that are made dense at a time: 32 MiB of float64.
_BLOCK = 1 << 22

#: Of X, as scikit-learn's ``validate_data`` is told.
SAMPLES: dict[str, Any] = {"accept_sparse": ["csr", "csc"], "dtype": (np.float64, np.float32)}


def checked_pair(estimator: Any, X: Any, y: Any, reset: bool, **options: Any) -> tuple[Array, Any]:
    """X, dense, and y; names and number of the columns are noted, or compared.

    Parameters
    ----------
    estimator : BaseMLP
    X : array-like or sparse matrix of shape (n_samples, n_features)
        float32 stays, all else becomes float64. A sparse one is made dense as a whole.
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
    return (X.toarray() if sparse.issparse(X) else X), y


def refuse_masked(values: Any, name: str) -> None:
    """ValueError for masked values: scikit-learn would take what is below the mask."""
    if np.ma.is_masked(values):
        raise ValueError(f"{name} must not have masked values: fill them, or leave their rows out")


def blocks(estimator: Any, X: Any) -> Iterator[Array]:
    """X in dense blocks of rows: one, but for a large sparse matrix."""
    refuse_masked(X, "X")
    X = validate_data(estimator, X, reset=False, **SAMPLES)
    if not sparse.issparse(X):
        yield X
        return
    X = X.tocsr()
    n_rows = max(1, _BLOCK // X.shape[1])
    for first in range(0, X.shape[0], n_rows):
        yield X[first : first + n_rows].toarray()

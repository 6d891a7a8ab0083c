"""The warning of columns of X whose scale is far from that of the others, and of raw bytes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import _frames
from fastnn.layers import BatchNorm, Layer, LayerNorm, Rescale

Array = npt.NDArray[Any]

# Times the typical column.
_FAR = 1e3
# Rows that are looked at, evenly spaced, where there are few columns; else as many numbers.
_MOST_ROWS, _FEWEST_ROWS, _NUMBERS = 1000, 16, 1 << 18
_MOST_NAMED = 5
# Bytes up to this are flags, counts and categories; larger ones pixels and samples of sound.
_SMALL_BYTE = 15


class ScalingWarning(UserWarning):
    """Columns of X are on a scale that is far from that of the others, or X has bytes as they are.

    A network learns little from such data: large columns hide the others, and large numbers make
    training slow or diverge.

    Examples
    --------
    >>> import warnings
    >>> import numpy as np
    >>> from fastnn import Network, ScalingWarning
    >>> X = np.random.default_rng(0).standard_normal((100, 3)) * [1.0, 1.0, 1e6]
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", ScalingWarning)  # nothing is trained then
    ...     Network.from_sizes([3, 8, 1], seed=0).fit(X, X[:, 0] > 0)
    Traceback (most recent call last):
    fastnn._scaling.ScalingWarning: column 2 of X is more than 1,000 times larger than usual ...
    """


def warn_of_scales(X: Array, given: Any, layers: Sequence[Layer], stacklevel: int) -> None:
    """Gives a `ScalingWarning` where columns are a thousand times larger or smaller than others.

    And where bytes that are not small enter as they are.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Finite numbers. Some rows of it are looked at.
    given : array-like
        What the user gave for it: a data frame names its columns.
    layers : sequence of Layer
        A `BatchNorm` at their beginning brings all columns to one scale; that, a `LayerNorm` and a
        `Rescale` change bytes.
    stacklevel : int
        As for `warnings.warn`, from the caller of this function on.

    Notes
    -----
    The size of a column is the root mean square of its numbers other than 0, so that it covers mean
    and spread, and that columns of few numbers, such as one-hot ones, are not small. The typical
    size is the (lower) median of columns that are not constant.
    """
    if _warns_of_bytes(X, layers[0], stacklevel + 1):
        return
    first = layers[isinstance(layers[0], Rescale)]
    if X.shape[1] == 1 or isinstance(first, BatchNorm):
        return
    sizes, varies = column_sizes(X)
    if not varies.any():
        return
    in_order = np.sort(sizes[varies])
    typical = in_order[(len(in_order) - 1) // 2]
    for columns, what in (
        (np.flatnonzero(sizes > _FAR * typical), "larger"),
        (np.flatnonzero(varies & (sizes * _FAR < typical)), "smaller"),
    ):
        if len(columns) > 0:
            named = named_columns(columns, _frames.labels(given))
            warnings.warn(
                f"{named} of X {'is' if len(columns) == 1 else 'are'} more than "
                f"{_FAR:,.0f} times {what} than usual among its columns: a root mean square of "
                f"{_range(sizes[columns])}, where the median column has {typical:.2g}. Training "
                f"goes badly on such data: standardise X, as (X - X.mean(axis=0)) / X.std(axis=0), "
                f"or begin the network with a BatchNorm()",
                ScalingWarning,
                stacklevel=stacklevel + 1,
            )
            return


def _warns_of_bytes(X: Array, first: Layer, stacklevel: int) -> bool:
    """Whether there are bytes that need a scale, which a warning says then."""
    if X.dtype.itemsize > 1 or isinstance(first, (Rescale, BatchNorm, LayerNorm)):
        return False
    rows = X[rows_to_look_at(*X.shape)]
    low, high = int(rows.min()), int(rows.max())
    if max(-low, high) <= _SMALL_BYTE:
        return False
    largest = 255 if X.dtype == np.uint8 else 128
    warnings.warn(
        f"X has bytes ({X.dtype}) from {low} to {high}, which enter the network as they are. "
        f"Training is slow or fails on such numbers: begin the network with a Rescale(1 / "
        f"{largest})",
        ScalingWarning,
        stacklevel=stacklevel + 1,
    )
    return True


def rows_to_look_at(n_samples: int, n_features: int) -> npt.NDArray[np.intp]:
    """Which of the samples tell how large the columns are."""
    n_rows = min(n_samples, _MOST_ROWS, max(_FEWEST_ROWS, _NUMBERS // n_features))
    return np.linspace(0, n_samples - 1, n_rows).astype(np.intp)


def column_sizes(X: Array) -> tuple[Array, npt.NDArray[np.bool_]]:
    """The size of each column, 0 where it has nothing but 0, and whether its numbers differ."""
    rows = X[rows_to_look_at(*X.shape)].astype(np.float64)
    varies = rows.min(axis=0) < rows.max(axis=0)
    with np.errstate(over="ignore", under="ignore"):
        squares = np.einsum("ij,ij->j", rows, rows)
        return np.sqrt(squares / np.maximum(np.count_nonzero(rows, axis=0), 1)), varies


def named_columns(columns: npt.NDArray[np.intp], labels: Sequence[Any]) -> str:
    """Such as ``"columns 3 ('income') and 7"``; `labels` are those of a data frame's columns."""
    names = []
    for j in columns[:_MOST_NAMED].tolist():
        label = labels[j] if j < len(labels) else None
        names.append(f"{j} ({label!r})" if isinstance(label, str) else str(j))
    if len(columns) > _MOST_NAMED:
        names.append(f"{len(columns) - _MOST_NAMED} more")
    *first, last = names
    if not first:
        return f"column {last}"
    return f"columns {', '.join(first)} and {last}"


def _range(sizes: Array) -> str:
    low, high = f"{sizes.min():.2g}", f"{sizes.max():.2g}"
    return low if low == high else f"{low} to {high}"

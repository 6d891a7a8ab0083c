"""The gate: everything a user passes in is checked here, once, before anything changes.

Errors are `ValueError` or `TypeError` and name the argument, what was expected and what came.
"""

import operator
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from math import isfinite
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any, NoReturn, TypeVar

import numpy as np
import numpy.typing as npt

from fastnn import _frames, _maps
from fastnn._core import kernels
from fastnn._extras import of_loaded
from fastnn._shapes import MAX_SIZE as MAX_SIZE
from fastnn._shapes import check_shape, with_method
from fastnn._sparse import SparseRows, is_sparse, row_of, sparse_rows

Array = npt.NDArray[Any]
T = TypeVar("T")

# Elements checked between two chances for Ctrl-C: 64 MiB of float32.
_BLOCK = 1 << 24

# Elements looked at together for one that is not finite.
_SEARCHED = 1 << 14

_NO_ALIASES: Mapping[str, str] = MappingProxyType({})
_SEPARATORS = str.maketrans("", "", " -_")

# Of each kind of targets but "numbers": the least, the most, and what they must be.
_RANGES = {
    "classes": (0, 1, "in [0, 1]"),
    "probabilities": (0, 1, "in [0, 1]"),
    "signs": (-1, 1, "-1 and 1, or 0 and 1,"),
    "counts": (0, np.inf, "at least 0"),
}

# How far the sum of a row of probabilities may be from 1: rounding of float32 over many classes.
_PROBABILITY_TOLERANCE = 1e-3


# ---- single values -----------------------------------------------------------------------------


def positive_int(value: Any, name: str, at_most: int | None = None, remedy: str = "") -> int:
    """`value` as an int, if it is a whole number of at least 1; errors end with `remedy`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be a positive integer, got {shown(value)}{remedy}")
    number = operator.index(value)
    if number < 1 or (at_most is not None and number > at_most):
        limit = "" if at_most is None else f" of at most {at_most}"
        raise ValueError(f"{name} must be a positive integer{limit}, got {short(number)}{remedy}")
    return number


def _number(value: Any, name: str, expected: str) -> float:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise TypeError(f"{name} must be {expected}, got {shown(value)}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} must be {expected}, got {shown(value)}") from None


def finite_number(value: Any, name: str) -> float:
    """`value` as a float, if it is finite."""
    number = _number(value, name, "a finite number")
    if not isfinite(number):
        raise ValueError(f"{name} must be a finite number, got {number}")
    return number


def positive_number(value: Any, name: str) -> float:
    """`value` as a float, if it is finite and above 0."""
    number = _number(value, name, "a positive number")
    if not (isfinite(number) and number > 0):
        raise ValueError(f"{name} must be a positive number, got {number}")
    return number


def non_negative_number(value: Any, name: str) -> float:
    """`value` as a float, if it is finite and not below 0."""
    number = _number(value, name, "a number of at least 0")
    if not (isfinite(number) and number >= 0):
        raise ValueError(f"{name} must be a number of at least 0, got {number}")
    return number


def positive_number_or_none(value: Any, name: str) -> float | None:
    """None, or `value` as a float, if it is finite and above 0."""
    if value is None:
        return None
    number = _number(value, name, "a positive number or None")
    if not (isfinite(number) and number > 0):
        raise ValueError(f"{name} must be a positive number or None, got {number}")
    return number


def normal_or_zero(value: float, dtype: np.dtype[Any], name: str) -> None:
    """Refuses what the core, where denormal numbers are 0, would not see as it is."""
    smallest, largest = float(np.finfo(dtype).tiny), float(np.finfo(dtype).max)
    if value != 0 and not smallest <= abs(value) <= largest:
        raise ValueError(
            f"{name} must be a normal number of {dtype}, of a magnitude from {smallest:.3g} to "
            f"{largest:.3g}, got {value}"
        )


def number_in_unit_interval(value: Any, name: str) -> float:
    """`value` as a float, if it is in [0, 1)."""
    number = _number(value, name, "a number in [0, 1)")
    if not 0 <= number < 1:
        raise ValueError(f"{name} must be a number in [0, 1), got {number}")
    return number


def number_in_open_interval(value: Any, name: str) -> float:
    """`value` as a float, if it is in (0, 1)."""
    number = _number(value, name, "a number in (0, 1)")
    if not 0 < number < 1:
        raise ValueError(f"{name} must be a number in (0, 1), got {number}")
    return number


def boolean(value: Any, name: str) -> bool:
    """`value` as a bool, if it is one."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {shown(value)}")
    return bool(value)


def known_name(
    value: Any, table: Mapping[str, T], name: str, aliases: Mapping[str, str] = _NO_ALIASES
) -> T:
    """The row of `table` that `value` names."""
    return table[spelled(value, table, name, aliases)]


def spelled(
    value: Any, table: Collection[str], name: str, aliases: Mapping[str, str] = _NO_ALIASES
) -> str:
    """`value` as it is spelled in `table`.

    Parameters
    ----------
    value : str
        A name of `table` or of `aliases`; case, spaces, ``-`` and ``_`` do not matter.
    table : collection of str
    name : str
        Of the argument, for errors.
    aliases : mapping of str to str
        Other names, and the names of `table` that they stand for.

    Returns
    -------
    str

    Raises
    ------
    TypeError, ValueError
        If `value` is none of them. The error says which ones are near.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be one of {', '.join(table)}, got {shown(value)}")
    if type(value) is str and value in table:
        return value
    names = {_essence(known): known for known in table}
    names |= {_essence(alias): known for alias, known in aliases.items()}
    found = names.get(_essence(value))
    if found is None:
        import difflib  # here: a millisecond that only an error is worth

        near = difflib.get_close_matches(_essence(value), names, n=2)
        guesses = " or ".join(dict.fromkeys(repr(names[guess]) for guess in near))
        raise ValueError(
            f"{name} must be one of {', '.join(table)}, got {short(value)}"
            f"{f'; did you mean {guesses}?' if guesses else ''}"
        )
    return found


def _essence(name: str) -> str:
    """What of a name does not depend on who types it."""
    return name.lower().translate(_SEPARATORS)


def float_dtype(value: Any) -> np.dtype[Any]:
    """`value` as a dtype, if it is float32 or float64."""
    try:
        dtype: np.dtype[Any] = np.dtype(value)
    except Exception as error:  # NumPy reads texts in many ways, and some objects too
        kind = ValueError if isinstance(error, UnicodeError) else TypeError
        raise kind(f"dtype must be float32 or float64, got {shown(value)}") from None
    if value is None or dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ValueError(f"dtype must be float32 or float64, got {shown(value)}")
    return np.dtype(dtype.name)


def seed(value: Any, below: int | None = None) -> int | None:
    """`value`, if it can seed a random generator (which may only take numbers up to a limit)."""
    if value is None:
        return None
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Integral):
        raise TypeError(f"seed must be a non-negative integer or None, got {shown(value)}")
    number = operator.index(value)
    if number < 0 or (below is not None and number >= below):
        limit = "" if below is None else f" below {below}"
        raise ValueError(f"seed must be a non-negative integer{limit} or None, got {short(number)}")
    return number


def checked_path(path: str | os.PathLike[str]) -> str:
    """`path` as a string that can name a file; open files and their numbers are refused."""
    name = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(name, str):
        raise TypeError(f"path must be a str or an os.PathLike of one, got {type(path).__name__}")
    try:
        is_possible = b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        is_possible = False
    if not is_possible:
        raise ValueError(f"path must be the name of a file, got {short(name)}")
    return name


def shown(value: Any) -> str:
    """`value` in few letters, and its type."""
    return f"{short(value)} ({type(value).__name__})"


def short(value: Any) -> str:
    """`value` in at most 80 letters, whatever it is."""
    try:
        text = repr(value)
    except Exception:  # such as an integer of more digits than Python prints
        text = "a value that cannot be printed"
    return text if len(text) <= 80 else text[:77] + "..."


# ---- arrays --------------------------------------------------------------------------------------

# What turns names of classes into the numbers that a network is trained on.
_NUMBERING = "; number the classes from 0: classes, y = np.unique(y, return_inverse=True)"


def numbers(value: Any, name: str, *, may_be_labels: bool = False) -> Array:
    """`value` as an array of bool, int or float, without a copy where it is one.

    The array is an object of its own: its shape stays what was checked when `value` gets another.
    """
    masked = of_loaded("numpy.ma", "MaskedArray")
    if masked is not None and isinstance(value, masked):
        if np.ma.is_masked(value):
            raise ValueError(f"{name} must have no masked values, got some that are masked")
        value = value.data
    if not isinstance(value, np.ndarray):
        if hasattr(value, "toarray"):
            raise TypeError(f"{name} must be a dense array, got a sparse {type(value).__name__}")
        _frames.refuse_times(value, name)
    try:
        array = np.asarray(value).view()
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(
            f"{name} must be a rectangular array of numbers, got {type(value).__name__}: {error}"
        ) from error
    if array.dtype.kind in "biuf":
        return array
    if may_be_labels and _is_text(array):
        raise TypeError(f"{name} must be an array of numbers, got dtype {array.dtype}{_NUMBERING}")
    converted = _frames.numbers_of(value, name)
    if converted is None:
        _refuse_no_numbers(value, array, name)
    return converted


def _refuse_no_numbers(value: Any, array: Array, name: str) -> NoReturn:
    """Says what is no number in `value`, of which NumPy made `array`, and the remedy."""
    if array.ndim == 0:
        remedy = ""
        if isinstance(value, Iterator):
            remedy = f"; pass list({name})"
        elif isinstance(value, Mapping):
            remedy = "; pass an array of its values"
        elif hasattr(value, "collect"):  # such as a lazy frame of polars
            remedy = f"; pass {name}.collect()"
        elif (
            name == "X"
            and array.dtype.kind == "O"
            and (callable(value) or isinstance(value, Iterable))
        ):
            remedy = "; fit and evaluate take chunks, which have y in them: leave y out"
        raise TypeError(f"{name} must be an array of numbers, got {shown(value)}{remedy}")
    remedy = ""
    if isinstance(value, (list, tuple)) or array.dtype.kind == "O":
        cells = array if array.dtype.kind == "O" else np.array(value, object)
        odd = (i for i, cell in enumerate(cells.flat) if not isinstance(cell, (Real, np.bool_)))
        i = next(odd, None)
        if i is not None:
            remedy = f"; {_cell(name, cells.shape, i)} is {short(cells.flat[i])}"
        elif cells.size > 0:
            remedy = f"; pass {with_method('astype', value, name)}.astype(float)"
    raise TypeError(f"{name} must be an array of numbers, got dtype {array.dtype}{remedy}")


def _is_text(array: Array) -> bool:
    """Whether an array holds one text a sample."""
    if array.size == 0 or array.ndim == 0 or array.size != len(array):
        return False
    if array.dtype.kind == "O":
        return all(isinstance(label, str) for label in array.flat)
    return array.dtype.kind in "UST"


def _laid_out(array: Array, dtype: np.dtype[Any], name: str) -> Array:
    """`array` as the core reads it: itself where it can be, else a copy."""
    if array.dtype == dtype and array.flags.c_contiguous and array.flags.aligned:
        return array
    with np.errstate(all="ignore"):  # what does not fit becomes infinity, which is refused
        converted: Array = np.require(array, dtype, ["C_CONTIGUOUS", "ALIGNED"])
    loses_range = array.dtype.kind == "f" and array.dtype.itemsize > dtype.itemsize
    if loses_range and not _all_finite(converted, dtype):
        _refuse_not_finite(array, dtype, name)
    return converted


def samples(
    X: Any,
    n_features: int | None,
    dtype: np.dtype[Any],
    name: str = "X",
    at_least: int = 0,
) -> Array | SparseRows:
    """`X` as the core reads it; whether all numbers are finite is left to `finite`.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Or a matrix of ``scipy.sparse``, whose numbers are checked at once; or what this returned.
    n_features : int or None
        What the network was built for, if it is.
    dtype : numpy.dtype
        Of the network. Arrays of other dtypes that the core reads stay what they are: it converts
        a mini-batch at a time.
    name : str
        Of the argument, for errors.
    at_least : int
        Samples needed.

    Returns
    -------
    ndarray of float16, float32, float64, uint8 or int8, C-contiguous, aligned, native-endian; or
    SparseRows of float32 or float64

    Raises
    ------
    TypeError, ValueError
    """
    if isinstance(X, SparseRows):  # it has been checked
        check_shape(X, X.shape, n_features, name, at_least)
        return X
    if is_sparse(X):
        check_shape(X, X.shape, n_features, name, at_least)
        rows = sparse_rows(X, dtype, name)
        finite(rows, dtype, name)
        return rows
    array = numbers(X, name)
    check_shape(X, array.shape, n_features, name, at_least)
    if array.dtype == np.bool_:
        array = array.view(np.uint8)
    if array.dtype.newbyteorder("=") in kernels.INPUT_DTYPES:
        dtype = array.dtype.newbyteorder("=")
    return _laid_out(array, dtype, name)


def can_stay(array: Array) -> bool:
    """Whether `samples` returns this array of numbers as it is."""
    flags = array.flags
    return array.dtype in kernels.INPUT_DTYPES and flags.c_contiguous and flags.aligned


def dense_samples(X: Any, n_features: int | None, dtype: np.dtype[Any]) -> Array:
    """The same of what is no sparse matrix."""
    data = samples(numbers(X, "X"), n_features, dtype)
    assert isinstance(data, np.ndarray)
    return data


def finite(
    array: Array | SparseRows,
    dtype: np.dtype[Any],
    name: str,
    first_row: int = 0,
    keeps_pages: bool = False,
) -> None:
    """Refuses NaN, infinity, and numbers beyond the range of `dtype`.

    The error names the first one. Nothing is allocated where all are finite, little where not.

    Parameters
    ----------
    array : ndarray of a dtype that `samples` returns, C-contiguous, aligned; or SparseRows
    dtype : numpy.dtype
        float32 or float64.
    name : str
        Of the argument.
    first_row : int
        Rows of the argument that come before these.
    keeps_pages : bool
        Whether the pages of a mapped file stay in memory; else they are given back.

    Raises
    ------
    ValueError
    """
    if isinstance(array, SparseRows):
        if not _all_finite(array.values, dtype):
            _refuse_not_finite(array.values, dtype, name, 0, array)
    elif not _all_finite(array, dtype, keeps_pages):
        _refuse_not_finite(array, dtype, name, first_row)


def _all_finite(array: Array, dtype: np.dtype[Any], keeps_pages: bool = False) -> bool:
    flat = array.reshape(-1)
    for start in range(0, flat.size, _BLOCK):
        if not kernels.all_finite(flat[start : start + _BLOCK], dtype):
            return False
        if not keeps_pages:
            _maps.give_back(flat[start : start + _BLOCK])
    return True


def _refuse_not_finite(
    array: Array, dtype: np.dtype[Any], name: str, row: int = 0, rows: SparseRows | None = None
) -> NoReturn:
    """Names the first number that is not finite in `dtype`, in an array that has one.

    The array may be that of the values of sparse `rows`.
    """
    flat = array.reshape(-1)
    for start in range(0, flat.size, _SEARCHED):
        block = flat[start : start + _SEARCHED].copy()
        with np.errstate(all="ignore"):
            is_finite = np.isfinite(block.astype(dtype))
        if not is_finite.all():
            i = int(is_finite.argmin())
            value = block[i]
            is_for_float64 = dtype.itemsize < 8 and abs(value) <= np.finfo(np.float64).max
            remedy = ', or the network of dtype="float64"' if is_for_float64 else ""
            i += start
            if rows is None:
                i += row * (flat.size // len(array))
                cell = _cell(name, (row + len(array), *array.shape[1:]), i)
            else:
                cell = f"{name}[{row_of(rows.starts, i)}, {rows.columns[i]}]"
            raise ValueError(
                f"{cell} is {_not_finite(value, dtype)}; {name} must be finite numbers{remedy}"
            )
    raise ValueError(f"{name} must be finite numbers; some were not, and have changed since")


def _not_finite(value: Any, dtype: np.dtype[Any]) -> str:
    if np.isnan(value):
        return "NaN"
    if np.isinf(value):
        return "infinity" if value > 0 else "-infinity"
    return f"{value:g}, too large for {dtype}"


def _cell(name: str, shape: tuple[int, ...], i: int) -> str:
    """The i-th number of an array of that shape, as in ``X[12, 3]``."""
    return f"{name}[{', '.join(map(str, np.unravel_index(i, shape)))}]"


def targets(
    y: Any,
    X: Array | SparseRows,
    n_outputs: int,
    loss: str,
    kind: str,
    dtype: np.dtype[Any],
    names: tuple[str, str] = ("X", "y"),
) -> Array:
    """`y` as the core reads it.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        "classes": the class of each sample, or a row of probabilities; "probabilities": numbers in
        [0, 1]; "signs": -1 or 0, and 1; "counts": numbers of at least 0; "numbers": finite ones.
    X : ndarray or SparseRows of shape (n_samples, n_features)
        What `samples` returned.
    n_outputs : int
        Numbers of one sample, or classes.
    loss : str
        Its name, for errors.
    kind : str
        What targets are: one of those above.
    dtype : numpy.dtype
        Of the network.
    names : (str, str)
        Of the arguments X and y, for errors.

    Returns
    -------
    ndarray of shape (n_samples,), int32, or of shape (n_samples, n_outputs), `dtype`

    Raises
    ------
    TypeError, ValueError
    """
    name, n_samples = names[1], len(X)
    is_classifier = kind in ("classes", "probabilities", "signs")
    array = numbers(y, name, may_be_labels=is_classifier)
    has_labels = kind == "classes" and array.shape != (n_samples, n_outputs)
    takes_labels = kind == "classes" or n_outputs == 1
    if not _has_target_shape(array.shape, n_samples, n_outputs, takes_labels):
        takes_one_hot = is_classifier and takes_labels
        remedy = _remedy_for_one_hot(y, array.shape, n_outputs, name) if takes_one_hot else ""
        _refuse_shapes(y, array.shape, X.shape, n_outputs, takes_labels, names, remedy)
    if has_labels:
        return _labels(array, n_outputs, name)
    converted = _laid_out(array, dtype, name)
    finite(converted, dtype, name)
    converted = converted.reshape(n_samples, n_outputs)
    if kind != "numbers" and n_samples > 0:
        _check_range(converted, loss, kind, name)
    if kind == "classes" and n_samples > 0:
        sums = converted.sum(axis=1, dtype=np.float64)
        worst = sums[np.abs(sums - 1).argmax()]
        if abs(worst - 1) > _PROBABILITY_TOLERANCE:
            raise ValueError(f"each row of {name} must sum to 1, got a sum of {worst}")
    return converted


def _check_range(array: Array, loss: str, kind: str, name: str) -> None:
    """Refuses numbers that targets of this kind cannot be."""
    low, high = array.min(), array.max()
    least, most, expected = _RANGES[kind]
    is_fit = low >= least and high <= most
    if kind == "signs":
        is_fit = bool(np.isin(array, (low, high)).all()) and low in (-1, 0, 1) and high == 1
        is_fit = is_fit or (low == high and low in (-1, 0))
    if is_fit:
        return
    are_classes = kind != "counts" and array.shape[1] == 1 and np.isin(array, (low, high)).all()
    raise ValueError(
        f"{name} must be {expected} for {loss}, got numbers from {low} to {high}"
        f"{_NUMBERING if are_classes else ''}"
    )


def _has_target_shape(
    shape: tuple[int, ...], n_samples: int, n_outputs: int, takes_labels: bool
) -> bool:
    if shape == (n_samples, n_outputs):
        return True
    return takes_labels and shape in ((n_samples,), (n_samples, 1))


def _refuse_shapes(
    value: Any,
    shape: tuple[int, ...],
    X_shape: tuple[int, ...],
    n_outputs: int,
    takes_labels: bool,
    names: tuple[str, str],
    last_remedy: str,
) -> NoReturn:
    """Says what is wrong with `value`, which is y, or with X, and the remedy if it is clear."""
    X, y = names
    n_samples, n_features = X_shape

    def remedy(n_samples: int) -> str | None:
        """What makes y fit `n_samples` samples: "" where it does, None if nothing simple."""
        if _has_target_shape(shape, n_samples, n_outputs, takes_labels):
            return ""
        if takes_labels and shape == (1, n_samples):
            return f"{with_method('ravel', value, y)}.ravel()"
        return f"{with_method('T', value, y)}.T" if shape == (n_outputs, n_samples) else None

    for_samples, for_features = remedy(n_samples), remedy(n_features)
    if for_samples is None and for_features is not None:
        also = f" and {for_features}" if for_features else ""
        raise ValueError(
            f"{X} has {n_samples} rows, {y} has {n_features} labels; rows are samples: "
            f"pass {X}.T{also}"
        )
    expected = [(n_samples,), (n_samples, 1)] if takes_labels else []
    shapes = " or ".join(map(str, dict.fromkeys([*expected, (n_samples, n_outputs)])))
    advice = f"; pass {for_samples}" if for_samples else last_remedy
    raise ValueError(f"{y} must be of shape {shapes}, got shape {shape}{advice}")


def _remedy_for_one_hot(value: Any, shape: tuple[int, ...], n_outputs: int, name: str) -> str:
    """What fits one column a class, where the output has another number of units."""
    if len(shape) != 2 or shape[1] < 2:
        return ""
    if shape[1] <= max(n_outputs, 2):
        return f"; if its rows are one-hot, pass {with_method('argmax', value, name)}.argmax(1)"
    return f"; if it has one column a class, the output must be Dense({shape[1]}, 'softmax')"


def _labels(array: Array, n_classes: int, name: str) -> Array:
    """Class labels, checked, as a copy of shape (n_samples,) in int32.

    Labels are used as an index by compiled code without the GIL. So each number is read once, and
    what is checked is what is kept: another thread, or another process that writes to a memory map,
    may change `array` meanwhile.
    """
    flat = array.reshape(-1)
    labels = np.empty(flat.shape, np.int32)
    for start in range(0, flat.size, _BLOCK):
        block = flat[start : start + _BLOCK].copy()
        if block.dtype.kind == "f":
            if not np.isfinite(block).all():
                _refuse_not_finite(array, array.dtype, name)
            is_whole = block == np.floor(block)
            if not is_whole.all():
                i = int(is_whole.argmin())
                raise ValueError(
                    f"{_cell(name, array.shape, start + i)} is {block[i]}; {name} must be whole "
                    f"numbers, the class of each sample"
                )
        low, high = block.min(), block.max()
        if low < 0 or high >= n_classes:
            remedy = _NUMBERING if np.unique(flat).size <= n_classes else ""
            raise ValueError(
                f"{name} must be classes in [0, {n_classes}), got labels from {low} to {high}"
                f"{remedy}"
            )
        labels[start : start + _BLOCK] = block
    return labels

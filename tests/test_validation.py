"""The gate: bad arguments are refused by name, odd ones give the right result."""

import pickle
import re
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastnn
from fastnn import (
    Dense,
    Network,
    Normal,
    _validation,
    activations,
    initializers,
    losses,
    optimizers,
)
from fastnn.activations import ACTIVATIONS
from fastnn.datasets import read_idx, read_image, read_image_folder
from fastnn.initializers import INITIALIZERS
from fastnn.losses import LOSSES

Array = npt.NDArray[Any]

N, N_FEATURES = 30, 4
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, N_FEATURES))
Y = (X[:, 0] > 0).astype(np.int64)
CLASSES = RNG.integers(3, size=N)
for shared in (X, Y, CLASSES):  # no test may change them for the others
    shared.flags.writeable = False


def sigmoid_net(dtype: str = "float32") -> Network:
    return Network.from_sizes([N_FEATURES, 5, 1], hidden="tanh", dtype=dtype, seed=0)


def softmax_net(dtype: str = "float32") -> Network:
    return Network.from_sizes([N_FEATURES, 5, 3], output="softmax", dtype=dtype, seed=0)


def linear_net(dtype: str = "float32") -> Network:
    return Network.from_sizes([N_FEATURES, 5, 2], output="linear", dtype=dtype, seed=0)


D = Dense(1, "sigmoid")
TARGETS = {sigmoid_net: Y, softmax_net: CLASSES, linear_net: X[:, :2]}


def state(net: Network) -> bytes:
    """Parameters, slots, random state and description, to the bit."""
    description, tensors, seed = net.__reduce__()[1]
    arrays = {name: array.tobytes() for name, array in tensors.items()}
    return pickle.dumps((repr(description), arrays, repr(seed)))


def assert_refused_without_change(
    net: Network, call: Callable[[Network], Any], error: Any, message: str
) -> None:
    """`call` raises, and `net` trains on like a twin that was never asked."""
    y = TARGETS[{1: sigmoid_net, 3: softmax_net, 2: linear_net}[net.n_outputs]]
    net.fit(X, y, epochs=1, batch_size=8)
    twin = net.copy()
    before = state(net)
    with pytest.raises(error, match=message):
        call(net)
    assert state(net) == before
    assert net.fit(X, y, epochs=2, batch_size=8) == twin.fit(X, y, epochs=2, batch_size=8)
    assert state(net) == state(twin)


def exactly(message: str) -> str:
    """A pattern for the whole of a message."""
    return f"^{re.escape(message)}$"


def with_one(value: Any, array: Array = X, dtype: Any = None) -> Array:
    """A copy of `array` with `value` in one place, not the first."""
    odd = np.array(array, dtype)
    odd[(N // 2, *[1] * (odd.ndim - 1))] = value
    return odd


class Sparse:
    """Like a matrix of scipy.sparse."""

    def toarray(self) -> Array:
        return X


class Broken:
    """An object whose conversion fails."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        raise RuntimeError("the file is gone")


class Misleading:
    """An object whose conversion gives no array."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return 5


def masked(array: Array) -> Any:
    mask = np.zeros(array.shape, bool)
    mask.flat[7] = True
    return np.ma.masked_array(array, mask)


VALUE, TYPE, EITHER = ValueError, TypeError, (ValueError, TypeError)

# ---- samples -------------------------------------------------------------------------------------

BAD_SAMPLES: dict[str, tuple[Any, Any, str]] = {
    "NaN": (with_one(np.nan), VALUE, "finite"),
    "infinity": (with_one(np.inf), VALUE, "finite"),
    "minus infinity": (with_one(-np.inf), VALUE, "finite"),
    "NaN in the last place": (np.vstack([X[:-1], [0, 0, 0, np.nan]]), VALUE, "finite"),
    "NaN in float16": (with_one(np.nan, dtype=np.float16), VALUE, "finite"),
    "NaN in longdouble": (with_one(np.nan, dtype=np.longdouble), VALUE, "finite"),
    "NaN in byte-swapped": (with_one(np.nan, dtype=">f4"), VALUE, "finite"),
    "NaN in Fortran order": (np.asfortranarray(with_one(np.nan)), VALUE, "finite"),
    "NaN in a list": (with_one(np.nan).tolist(), VALUE, "finite"),
    "beyond float64": (np.finfo(np.longdouble).max * np.ones((N, 4)), VALUE, "finite"),
    "one dimension": (X[0], VALUE, r"shape \(n_samples, n_features\), got shape \(4,\)"),
    "three dimensions": (X[np.newaxis], VALUE, r"got shape \(1, 30, 4\)"),
    "scalar": (1.0, VALUE, r"got shape \(\)"),
    "array of no dimension": (np.array(1.0), VALUE, r"got shape \(\)"),
    "too few features": (X[:, :3], VALUE, "has 3 features, the network was built for 4"),
    "too many features": (np.hstack([X, X]), VALUE, "has 8 features"),
    "transposed": (X.T, VALUE, "has 30 features"),
    "no features": (np.empty((N, 0)), VALUE, "feature"),
    "empty list": ([], VALUE, "shape"),
    "list of empty lists": ([[]] * N, VALUE, "feature"),
    "ragged list": ([[1, 2, 3, 4], [1, 2, 3]], VALUE, "rectangular"),
    "None": (None, TYPE, "numbers"),
    "list with None": ([[1, 2, None, 4]] * N, TYPE, "numbers"),
    "text": ("X", TYPE, "numbers"),
    "bytes": (b"X", TYPE, "numbers"),
    "list of texts": ([["1", "2", "3", "4"]] * N, TYPE, "numbers"),
    "array of texts": (X.astype(str), TYPE, "numbers"),
    "array of StringDType": (X.astype(np.dtypes.StringDType()), TYPE, "numbers")
    if hasattr(np.dtypes, "StringDType")
    else (X.astype(str), TYPE, "numbers"),
    "array of objects": (X.astype(object), TYPE, "numbers, got dtype object"),
    "complex": (X + 0j, TYPE, "numbers, got dtype complex128"),
    "datetime": (X.astype("M8[s]"), TYPE, "numbers"),
    "timedelta": (X.astype("m8[s]"), TYPE, "numbers"),
    "structured": (np.zeros(N, "f4,f4"), TYPE, "numbers"),
    "void": (np.zeros((N, 4), "V4"), TYPE, "numbers"),
    "integer beyond 64 bits": ([[2**70, 0, 0, 0]] * N, TYPE, "numbers"),
    "fractions": ([[Fraction(1, 2)] * 4] * N, TYPE, "numbers"),
    "dict": ({"a": 1}, TYPE, "numbers"),
    "set": ({1, 2}, TYPE, "numbers"),
    "generator": ((row for row in X), TYPE, "numbers"),
    "function": (len, TYPE, "numbers"),
    "class": (np.ndarray, TYPE, "numbers"),
    "masked values": (masked(X), VALUE, "masked"),
    "sparse matrix": (Sparse(), TYPE, "dense"),
    "conversion fails": (Broken(), EITHER, "the file is gone"),
    "conversion gives no array": (Misleading(), EITHER, "Misleading"),
}

READERS: dict[str, Callable[[Network, Any, Any], Any]] = {
    "predict": lambda net, X, y: net.predict(X),
    "predict_proba": lambda net, X, y: net.predict_proba(X),
    "forward": lambda net, X, y: net.forward(X),
    "evaluate": lambda net, X, y: net.evaluate(X, y),
    "loss_and_gradients": lambda net, X, y: net.loss_and_gradients(X, y),
    "gradient_check": lambda net, X, y: fastnn.gradient_check(net, X, y),
    "fit": lambda net, X, y: net.fit(X, y, epochs=2),
    "full-batch fit": lambda net, X, y: net.fit(X, y, epochs=1, batch_size=None),
    "partial_fit": lambda net, X, y: net.partial_fit(X, y),
}


@pytest.mark.parametrize("method", READERS)
@pytest.mark.parametrize("case", BAD_SAMPLES)
def test_bad_samples_are_refused(case: str, method: str) -> None:
    samples, error, message = BAD_SAMPLES[case]
    call = READERS[method]
    assert_refused_without_change(
        sigmoid_net(), lambda net: call(net, samples, Y), error, f"X.*{message}|{message}.*X"
    )


@pytest.mark.parametrize("case", BAD_SAMPLES)
def test_bad_validation_samples_are_refused(case: str) -> None:
    samples, error, message = BAD_SAMPLES[case]
    if case == "generator":
        samples = iter(X)
    assert_refused_without_change(
        sigmoid_net(),
        lambda net: net.fit(X, Y, validation_data=(samples, Y)),
        error,
        rf"validation_data\[0\].*({message}|must be)",
    )


@pytest.mark.parametrize(
    "case",
    [case for case in BAD_SAMPLES if case not in ("too few features", "too many features")],
)
def test_network_refusing_its_first_samples_learns_nothing_from_them(case: str) -> None:
    samples, error, _ = BAD_SAMPLES[case]
    net = Network([Dense(5, "tanh"), Dense(1, "sigmoid")], seed=0)
    twin = net.copy()
    before = state(net)
    for call in (net.fit, net.partial_fit):
        with pytest.raises(error, match="X"):
            call(samples, Y)
    assert net.n_features is None
    assert state(net) == before
    net.fit(X, Y, epochs=1)
    twin.fit(X, Y, epochs=1)
    assert state(net) == state(twin)


@pytest.mark.parametrize("method", [name for name in READERS if name != "gradient_check"])
@pytest.mark.parametrize("value", [3.5e38, -3.5e38, 1e300, 3.4028235677973366e38])
def test_numbers_beyond_the_range_of_float32_are_refused_by_a_float32_network(
    value: float, method: str
) -> None:
    call = READERS[method]
    for kind in (np.float64, np.longdouble, ">f8"):
        samples = with_one(value, dtype=kind)
        assert_refused_without_change(
            sigmoid_net(), lambda net, given=samples: call(net, given, Y), VALUE, "X must be finite"
        )
    sigmoid_net("float64").evaluate(with_one(value), Y)


CELLS: dict[str, tuple[Array, str]] = {
    "NaN": (with_one(np.nan), "[15, 1] is NaN"),
    "infinity": (with_one(np.inf), "[15, 1] is infinity"),
    "minus infinity": (with_one(-np.inf, dtype=np.float32), "[15, 1] is -infinity"),
    "too large": (with_one(-1e300), "[15, 1] is -1e+300, too large for float32"),
    "too large, longdouble": (
        with_one(1e300, dtype=np.longdouble),
        "[15, 1] is 1e+300, too large for float32",
    ),
    "transposed memory": (np.asfortranarray(with_one(np.nan)), "[15, 1] is NaN"),
    "the first of two": (np.vstack([X, with_one(np.nan), with_one(np.nan)]), "[45, 1] is NaN"),
}


@pytest.mark.parametrize("case", CELLS)
def test_the_cell_that_is_not_finite_is_named(case: str) -> None:
    samples, expected = CELLS[case]
    net, y = sigmoid_net(), np.zeros(len(samples))
    for method in (net.fit, net.partial_fit, net.evaluate, net.loss_and_gradients):
        remedy = ', or the network of dtype="float64"' if "too large" in expected else ""
        whole = f"X{expected}; X must be finite numbers{remedy}"
        with pytest.raises(ValueError, match=exactly(whole)):
            method(samples, y)
    with pytest.raises(ValueError, match=re.escape(f"validation_data[0]{expected}; validation")):
        net.fit(X, Y, validation_data=(samples, y))


NO_NUMBERS: dict[str, tuple[Any, str]] = {
    "a text in a list": (
        [[1, 2, 3, 4], [4, 5, "x", 7]],
        f"got dtype {np.asarray([1, 'x']).dtype}; X[1, 2] is 'x'",
    ),
    "None in a list": ([[1, 2, None, 4]], "got dtype object; X[0, 2] is None"),
    "None in an array": (np.array([[1, 2], [3, None]]), "got dtype object; X[1, 1] is None"),
    "an array of objects": (X.astype(object), "got dtype object; pass X.astype(float)"),
    "large integers": ([[2**70]], "got dtype object; pass np.asarray(X).astype(float)"),
}


@pytest.mark.parametrize("case", NO_NUMBERS)
def test_the_cell_that_is_no_number_is_named(case: str) -> None:
    samples, expected = NO_NUMBERS[case]
    with pytest.raises(TypeError, match=exactly(f"X must be an array of numbers, {expected}")):
        sigmoid_net().evaluate(samples, Y)


class Chunks:
    def __iter__(self) -> Iterator[Any]:
        return iter([(X, Y)])


def test_what_is_no_array_yet_gets_a_remedy() -> None:
    for samples, remedy in [
        ((row for row in X), "(generator); pass list(X)"),
        ({"a": X[:, 0]}, "(dict); pass an array of its values"),
        (len, "fit and evaluate take chunks, which have y in them: leave y out"),
        (Chunks(), "fit and evaluate take chunks, which have y in them: leave y out"),
        ("table.parquet", "got 'table.parquet' (str)"),
    ]:
        with pytest.raises(TypeError, match=f"^X must be an array of num.*{re.escape(remedy)}$"):
            sigmoid_net().fit(samples, Y)


ONE_HOT = {n: np.eye(n)[np.arange(N) % n] for n in (2, 3)}


@pytest.mark.parametrize(
    ("layer", "y", "remedy"),
    [
        (Dense(1, "sigmoid"), ONE_HOT[2], "; if its rows are one-hot, pass y.argmax(1)"),
        (Dense(1, "sigmoid"), ONE_HOT[2].tolist(), ", pass np.asarray(y).argmax(1)"),
        (Dense(5, "softmax"), ONE_HOT[3], "; if its rows are one-hot, pass y.argmax(1)"),
        (Dense(1, "sigmoid"), ONE_HOT[3], "a class, the output must be Dense(3, 'softmax')"),
        (Dense(2, "softmax"), ONE_HOT[3], "a class, the output must be Dense(3, 'softmax')"),
        (Dense(1), ONE_HOT[3], "or (30, 1), got shape (30, 3)"),
        (Dense(3, "sigmoid"), ONE_HOT[2], "(30, 3), got shape (30, 2)"),
    ],
)
def test_one_hot_rows_get_a_remedy(layer: Dense, y: Any, remedy: str) -> None:
    with pytest.raises(ValueError, match=rf"^y must be of shape .*{re.escape(remedy)}$"):
        Network([layer], seed=0).fit(X, y)


def test_a_number_for_float64_says_so() -> None:
    message = (
        "X[15, 1] is 1.2e+299, too large for float32; X must be finite numbers, or the network"
    )
    with pytest.raises(ValueError, match=exactly(f'{message} of dtype="float64"')):
        sigmoid_net().fit(with_one(1.2e299), Y)
    huge = with_one(np.longdouble("1e4000"), dtype=np.longdouble)
    for dtype in ("float32", "float64"):
        with pytest.raises(ValueError, match=r"too large for .*; X must be finite numbers$"):
            sigmoid_net(dtype).fit(huge, Y)


class Mute:
    """A value without a text."""

    def __repr__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize("value", [10**5000, Mute()], ids=["long", "mute"])
def test_what_cannot_be_printed_is_refused(value: Any) -> None:
    message = "got a value that cannot be printed"
    for call in (
        lambda: sigmoid_net().fit(X, Y, optimizer=value),
        lambda: Dense(1, initializer=value),
        lambda: Network([value]),
        lambda: Network([D], dtype=value),
    ):
        with pytest.raises(TypeError, match=message):
            call()


def test_a_class_of_optimizers_must_be_called() -> None:
    with pytest.raises(TypeError, match=r"^optimizer must be .*; call it: Adam\(\)$"):
        sigmoid_net().fit(X, Y, optimizer=fastnn.Adam)  # type: ignore[arg-type]


def test_text_that_is_no_dtype_is_named() -> None:
    with pytest.raises(ValueError, match=r"^dtype must be float32 or float64, got '\\ud800'"):
        Network([D], dtype="\ud800")


@pytest.mark.parametrize("path", ["a\0b", "\ud800", Path("a\0b")])
def test_text_that_names_no_file_is_named(path: Any) -> None:
    net = sigmoid_net()
    for call in (net.save, Network.load, read_idx, read_image, read_image_folder):
        with pytest.raises(ValueError, match=r"^path must be the name of a file, got 'a?\\"):
            call(path)


def test_an_error_ends_with_the_remedy() -> None:
    for value, error in (("full", TypeError), (-1, ValueError)):
        with pytest.raises(error, match=r"^size must be a positive integer, got .*; or None$"):
            _validation.positive_int(value, "size", remedy="; or None")


def test_conversions_do_not_depend_on_the_error_state_of_numpy() -> None:
    tiny = 1e-60
    quiet, loud = linear_net(), linear_net()
    expected = quiet.fit(with_one(tiny), with_one(tiny, X[:, :2]), epochs=1)
    with np.errstate(all="raise"):
        assert loud.fit(with_one(tiny), with_one(tiny, X[:, :2]), epochs=1) == expected
        for kind, small in ((np.longdouble, np.longdouble("1e-4000")), (">f8", tiny), ("f8", tiny)):
            loud.evaluate(with_one(small, dtype=kind), X[:, :2])
            with pytest.raises(ValueError, match=r"^X\[15, 1\] is NaN"):
                loud.fit(with_one(np.nan, dtype=kind), X[:, :2])
        with pytest.raises(ValueError, match="too large for float32"):
            loud.evaluate(with_one(1e300, dtype=np.longdouble), X[:, :2])
        sigmoid_net("float64").fit(
            X, with_one(np.longdouble("1e-4000"), Y, np.longdouble), epochs=1
        )


def test_the_target_that_is_not_finite_is_named() -> None:
    for make, targets, expected in [
        (sigmoid_net, with_one(np.nan, Y, float), "y[15] is NaN"),
        (sigmoid_net, with_one(np.inf, Y, float), "y[15] is infinity"),
        (sigmoid_net, np.vstack([Y[:-1, np.newaxis], [[np.nan]]]), "y[29, 0] is NaN"),
        (linear_net, with_one(1e39, X[:, :2]), "y[15, 1] is 1e+39, too large for float32"),
        (softmax_net, with_one(-np.inf, ROWS), "y[15, 1] is -infinity"),
        (softmax_net, with_one(np.nan, CLASSES, float), "y[15] is NaN"),
    ]:
        remedy = ', or the network of dtype="float64"' if "too large" in expected else ""
        whole = f"{expected}; y must be finite numbers{remedy}"
        with pytest.raises(ValueError, match=exactly(whole)):
            make().fit(X, targets)


@pytest.mark.parametrize("row", [0, 1, 5000, 300_000])
@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_finite_finds_the_first_bad_number_of_many(row: int, kind: str) -> None:
    array = np.zeros((300_001, 3), kind)
    array[row:, 2] = np.nan
    with pytest.raises(ValueError, match=rf"^W\[{row}, 2\] is NaN; W must be finite numbers$"):
        _validation.finite(array, np.dtype(np.float32), "W")
    with pytest.raises(ValueError, match=rf"^W\[{3 * row + 2}\] is NaN"):
        _validation.finite(array.reshape(-1), np.dtype(np.float64), "W")


def test_numbers_that_were_not_finite_for_a_moment_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As if another thread had mended the array after the check
    monkeypatch.setattr(_validation.kernels, "all_finite", lambda array, dtype: False)
    with pytest.raises(ValueError, match="X must be finite numbers; some were not"):
        _validation.finite(np.zeros((2, 2)), np.dtype(np.float64), "X")


def test_finite_allocates_little() -> None:
    array = np.zeros(1 << 22)
    array[-1] = np.nan
    tracemalloc.start()
    with pytest.raises(ValueError, match="NaN"):
        _validation.finite(array, np.dtype(np.float32), "X")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


def test_largest_numbers_of_float32_are_taken() -> None:
    largest = float(np.finfo(np.float32).max)
    net = linear_net()
    assert net.predict(with_one(largest)).shape == (N, 2)
    net.evaluate(with_one(largest, X), np.zeros((N, 2)))


@pytest.mark.parametrize("method", ["fit", "partial_fit", "evaluate", "loss_and_gradients"])
def test_no_samples_are_refused_where_a_mean_is_wanted(method: str) -> None:
    call = READERS[method]
    assert_refused_without_change(
        sigmoid_net(), lambda net: call(net, X[:0], Y[:0]), VALUE, "X must have at least 1 sample"
    )


# ---- targets -------------------------------------------------------------------------------------

ROWS = np.eye(3)[CLASSES]

BAD_TARGETS: dict[str, tuple[Callable[[], Network], Any, Any, str]] = {
    "too short": (sigmoid_net, Y[:-1], VALUE, r"shape \(30,\) or \(30, 1\), got shape \(29,\)"),
    "too long": (sigmoid_net, np.append(Y, 1), VALUE, "shape"),
    "scalar": (sigmoid_net, 1, VALUE, "shape"),
    "a row": (sigmoid_net, Y[np.newaxis], VALUE, "shape"),
    "two columns for one output": (sigmoid_net, np.stack([Y, Y], 1), VALUE, "shape"),
    "three dimensions": (sigmoid_net, Y.reshape(N, 1, 1), VALUE, "shape"),
    "empty": (sigmoid_net, [], VALUE, "shape"),
    "None": (sigmoid_net, None, TYPE, "numbers"),
    "texts": (sigmoid_net, ["yes", "no"] * (N // 2), TYPE, "numbers"),
    "objects": (sigmoid_net, Y.astype(object), TYPE, "numbers"),
    "complex": (sigmoid_net, Y + 0j, TYPE, "numbers"),
    "datetimes": (sigmoid_net, Y.astype("M8[s]"), TYPE, "numbers"),
    "ragged": (sigmoid_net, [[1]] * (N - 1) + [[1, 2]], VALUE, "rectangular"),
    "masked": (sigmoid_net, masked(Y), VALUE, "masked"),
    "sparse": (sigmoid_net, Sparse(), TYPE, "dense"),
    "NaN": (sigmoid_net, with_one(np.nan, Y, float), VALUE, "finite"),
    "infinity": (sigmoid_net, with_one(np.inf, Y, float), VALUE, "finite"),
    "above 1": (sigmoid_net, with_one(2, Y), VALUE, r"\[0, 1\]"),
    "a little above 1": (sigmoid_net, with_one(1.0001, Y, float), VALUE, r"\[0, 1\]"),
    "below 0": (sigmoid_net, with_one(-1, Y), VALUE, r"\[0, 1\]"),
    "label out of range": (softmax_net, with_one(3, CLASSES), VALUE, r"\[0, 3\).* to 3"),
    "negative label": (softmax_net, with_one(-1, CLASSES), VALUE, r"\[0, 3\).* -1 to"),
    "large label": (softmax_net, with_one(2**62, CLASSES), VALUE, r"\[0, 3\)"),
    "uint64 label": (softmax_net, with_one(2**64 - 1, CLASSES, "u8"), VALUE, r"\[0, 3\)"),
    "uint64 label, minus 2^63": (softmax_net, with_one(2**63, CLASSES, "u8"), VALUE, r"\[0, 3\)"),
    "wraps to a small int64": (softmax_net, with_one(2.0**64, CLASSES, float), VALUE, r"\[0, 3\)"),
    "fractional label": (softmax_net, with_one(1.5, CLASSES, float), VALUE, "whole"),
    "almost whole label": (
        softmax_net,
        with_one(1.0000001, CLASSES, float),
        VALUE,
        r"\[15\] is 1\.0000001; .* must be whole",
    ),
    "NaN label": (softmax_net, with_one(np.nan, CLASSES, float), VALUE, r"\[15\] is NaN"),
    "infinite label": (softmax_net, with_one(np.inf, CLASSES, float), VALUE, r"\[15\] is infinity"),
    "labels of wrong length": (softmax_net, CLASSES[:-1], VALUE, r"\(30,\).*\(30, 3\)"),
    "labels as texts": (softmax_net, CLASSES.astype(str), TYPE, "numbers"),
    "rows of wrong width": (softmax_net, ROWS[:, :2], VALUE, r"\(30, 3\)"),
    "rows that sum to 2": (softmax_net, 2 * ROWS, VALUE, r"\[0, 1\]"),
    "one row that sums to 0.9": (softmax_net, with_one(0, ROWS) * 0.9, VALUE, "sum to 1"),
    "one row of zeros": (
        softmax_net,
        np.vstack([ROWS[:-1], np.zeros(3)]),
        VALUE,
        "sum to 1, got a sum of 0",
    ),
    "row with a negative": (
        softmax_net,
        np.vstack([ROWS[:-1], [-0.5, 0.5, 1]]),
        VALUE,
        r"\[0, 1\]",
    ),
    "row with NaN": (softmax_net, with_one(np.nan, ROWS), VALUE, "finite"),
    "values of wrong width": (linear_net, X[:, :3], VALUE, r"shape \(30, 2\), got shape \(30, 3\)"),
    "values as one column": (linear_net, X[:, 0], VALUE, "shape"),
    "values transposed": (linear_net, X[:, :2].T, VALUE, "shape"),
    "values with NaN": (linear_net, with_one(np.nan, X[:, :2]), VALUE, "finite"),
    "values beyond float32": (linear_net, with_one(1e39, X[:, :2]), VALUE, "finite"),
}


@pytest.mark.parametrize("method", ["fit", "partial_fit", "evaluate", "loss_and_gradients"])
@pytest.mark.parametrize("case", BAD_TARGETS)
def test_bad_targets_are_refused(case: str, method: str) -> None:
    make, targets, error, message = BAD_TARGETS[case]
    call = READERS[method]
    assert_refused_without_change(
        make(), lambda net: call(net, X, targets), error, rf"\by\b.*{message}"
    )


@pytest.mark.parametrize("case", BAD_TARGETS)
def test_bad_validation_targets_are_refused(case: str) -> None:
    make, targets, error, message = BAD_TARGETS[case]
    assert_refused_without_change(
        make(),
        lambda net: net.fit(X, TARGETS[make], validation_data=(X, targets)),
        error,
        rf"validation_data\[1\].*{message}",
    )


@pytest.mark.parametrize(
    "value",
    [X, (X,), (X, Y, Y, Y), np.zeros((2, 3)), "Xy", 5, {"X": X, "y": Y}],
    ids=["array", "one", "four", "array of two", "text", "number", "dict"],
)
def test_validation_data_must_be_a_pair_or_have_weights(value: Any) -> None:
    assert_refused_without_change(
        sigmoid_net(),
        lambda net: net.fit(X, Y, validation_data=value),
        TYPE,
        r"validation_data must be \(X, y\) or \(X, y, sample_weight\), got",
    )


def test_validation_data_must_have_samples_and_features_of_the_first_fit() -> None:
    assert_refused_without_change(
        sigmoid_net(),
        lambda net: net.fit(X, Y, validation_data=(X[:0], Y[:0])),
        VALUE,
        r"validation_data\[0\] must have at least 1 sample",
    )
    net = Network([Dense(1, "sigmoid")], seed=0)
    with pytest.raises(ValueError, match=r"validation_data\[0\] has 3 features"):
        net.fit(X, Y, validation_data=(X[:, :3], Y))
    assert net.n_features is None


# ---- remedies ------------------------------------------------------------------------------------

IMAGES = RNG.random((N, 2, 1, 2))

# As an unbuilt network, one for 4 features and a wrong input are met: method, arguments, message
SHAPES: dict[str, tuple[Callable[[], Network], Any, Any, str | None]] = {
    "X as (features, samples)": (
        sigmoid_net,
        X.T,
        Y,
        "X has 30 features, the network was built for 4; rows are samples: pass X.T",
    ),
    "X of other features": (
        sigmoid_net,
        X[:, :3],
        Y,
        "X has 3 features, the network was built for 4",
    ),
    "images": (
        sigmoid_net,
        IMAGES,
        Y,
        "X must be of shape (n_samples, n_features), got shape (30, 2, 1, 2); "
        "pass X.reshape(len(X), -1)",
    ),
    "one image": (
        sigmoid_net,
        IMAGES[0],
        Y[:1],
        "X must be of shape (n_samples, n_features), got shape (2, 1, 2); pass X.reshape(1, -1)",
    ),
    "one sample": (
        sigmoid_net,
        X[0],
        Y[:1],
        "X must be of shape (n_samples, n_features), got shape (4,); pass X.reshape(1, -1)",
    ),
    "nothing": (
        sigmoid_net,
        [],
        [],
        "X must be of shape (n_samples, n_features), got shape (0,)",
    ),
    "one feature": (
        lambda: Network.from_sizes([1, 1]),
        X[:, 0],
        Y,
        "X must be of shape (n_samples, n_features), got shape (30,); pass X.reshape(-1, 1)",
    ),
    "one sample or one feature": (
        lambda: Network([D]),
        X[:, 0],
        Y,
        "X must be of shape (n_samples, n_features), got shape (30,); pass X.reshape(-1, 1) for "
        "one feature, X.reshape(1, -1) for one sample",
    ),
    "y as a row": (
        sigmoid_net,
        X,
        Y[np.newaxis],
        "y must be of shape (30,) or (30, 1), got shape (1, 30); pass y.ravel()",
    ),
    "y as a list": (
        sigmoid_net,
        X,
        [Y.tolist()],
        "y must be of shape (30,) or (30, 1), got shape (1, 30); pass np.asarray(y).ravel()",
    ),
    "X as a list": (
        sigmoid_net,
        X.T.tolist(),
        Y,
        "X has 30 features, the network was built for 4; rows are samples: pass np.asarray(X).T",
    ),
    "labels as a row": (
        softmax_net,
        X,
        CLASSES[np.newaxis],
        "y must be of shape (30,) or (30, 1) or (30, 3), got shape (1, 30); pass y.ravel()",
    ),
    "one-hot rows as columns": (
        softmax_net,
        X,
        np.eye(3)[CLASSES].T,
        "y must be of shape (30,) or (30, 1) or (30, 3), got shape (3, 30); pass y.T",
    ),
    "too few labels": (
        sigmoid_net,
        X,
        Y[:-1],
        "y must be of shape (30,) or (30, 1), got shape (29,)",
    ),
    "X as (features, samples), the first time": (
        lambda: Network([D]),
        X.T,
        Y,
        "X has 4 rows, y has 30 labels; rows are samples: pass X.T",
    ),
    "both as in the course, the first time": (
        lambda: Network([D]),
        X.T,
        Y[np.newaxis],
        "X has 4 rows, y has 30 labels; rows are samples: pass X.T and y.ravel()",
    ),
    "both transposed, the first time": (
        lambda: Network([Dense(3, "softmax")]),
        X.T,
        np.eye(3)[CLASSES].T,
        "X has 4 rows, y has 30 labels; rows are samples: pass X.T and y.T",
    ),
}


@pytest.mark.parametrize("case", SHAPES)
def test_shapes_get_their_remedy(case: str) -> None:
    make, samples, targets, message = SHAPES[case]
    net = make()
    with pytest.raises(ValueError, match=exactly(message)):
        net.fit(samples, targets)
    names = ("validation_data[0]", "validation_data[1]")
    message = re.sub(r"\bX\b", names[0], re.sub(r"\by\b", names[1], message))
    with pytest.raises(ValueError, match=exactly(message)):
        _validation.targets(
            targets,
            _validation.samples(samples, net.n_features, net.dtype, names[0]),
            net.n_outputs,
            net.loss.name,
            net._architecture.target_kind,
            net.dtype,
            names,
        )


def test_a_remedy_works() -> None:
    net = Network([D], seed=0)
    net.fit(X.T.T, Y[np.newaxis].ravel(), epochs=1)
    net.fit(IMAGES.reshape(len(IMAGES), -1), Y, epochs=1)
    assert net.predict(np.empty((0, 4))).shape == (0,)


LABELS: dict[str, tuple[Callable[[], Network], Any, type[Exception], str]] = {
    "texts": (
        sigmoid_net,
        np.where(Y, "yes", "no"),
        TypeError,
        "y must be an array of numbers, got dtype <U3",
    ),
    "texts as objects": (
        softmax_net,
        np.array(["cat", "dog"] * 15, object),
        TypeError,
        "y must be an array of numbers, got dtype object",
    ),
    "1 and 2": (
        sigmoid_net,
        Y + 1,
        ValueError,
        "y must be in [0, 1] for binary_cross_entropy, got numbers from 1.0 to 2.0",
    ),
    "-1 and 1": (
        sigmoid_net,
        2 * Y - 1,
        ValueError,
        "y must be in [0, 1] for binary_cross_entropy, got numbers from -1.0 to 1.0",
    ),
    "1 to 3": (
        softmax_net,
        CLASSES + 1,
        ValueError,
        "y must be classes in [0, 3), got labels from 1 to 3",
    ),
}


@pytest.mark.parametrize("case", LABELS)
def test_other_labels_get_a_remedy_that_works(case: str) -> None:
    make, labels, error, message = LABELS[case]
    net = make()
    remedy = "; number the classes from 0: classes, y = np.unique(y, return_inverse=True)"
    with pytest.raises(error, match=exactly(message + remedy)):
        net.fit(X, labels)
    _, numbered = np.unique(labels, return_inverse=True)
    net.fit(X, numbered, epochs=1)


@pytest.mark.parametrize(
    ("make", "labels"),
    [
        (sigmoid_net, np.arange(N)),  # not two classes
        (linear_net, X[:, :2].astype(str)),  # no classes at all
        (softmax_net, np.arange(N)),  # more classes than outputs
        (softmax_net, ROWS.astype(str)),
    ],
)
def test_numbering_is_advised_for_labels_only(make: Callable[[], Network], labels: Any) -> None:
    with pytest.raises((TypeError, ValueError)) as info:
        make().fit(X, labels)
    assert "unique" not in str(info.value)


def test_too_many_classes_are_counted() -> None:
    with pytest.raises(ValueError, match=r"classes in \[0, 3\), got labels from 0 to 29"):
        softmax_net().fit(X, np.arange(N))


@pytest.mark.parametrize("number", [10**5000, -(10**5000)], ids=["positive", "negative"])
def test_numbers_too_long_to_print_are_refused_by_name(number: int) -> None:
    net = sigmoid_net()
    for name in ("epochs", "batch_size", "threads", "learning_rate"):
        if name == "batch_size" and number > 0:
            continue  # the full batch
        with pytest.raises(ValueError, match=f"^{name} must be"):
            net.fit(X, Y, **{name: number})
    with pytest.raises(ValueError, match=r"^n_features must be"):
        Network([D], number)
    with pytest.raises(ValueError, match=r"^seed must be"):
        fastnn.datasets.make_flower(seed=number)
    with pytest.raises(TypeError, match=r"^shuffle must be"):
        net.fit(X, Y, shuffle=number)  # type: ignore[arg-type]


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_values_that_cannot_be_printed_are_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"^epochs must be a positive integer, got .*Unprintable"):
        sigmoid_net().fit(X, Y, epochs=Unprintable())  # type: ignore[arg-type]


def test_the_checked_array_is_a_view_of_its_own() -> None:
    """Another thread may give an array another shape; the one that was checked keeps its own."""
    samples = np.zeros((4, 6), np.float32)
    checked = _validation.samples(samples, 6, np.dtype(np.float32))
    assert np.shares_memory(checked, samples)
    samples.shape = (2, 12)
    assert checked.shape == (4, 6)
    targets = np.zeros((4, 2), np.float32)
    dtype = np.dtype(np.float32)
    checked = _validation.targets(targets, checked, 2, "mean_squared_error", "numbers", dtype)
    assert np.shares_memory(checked, targets)
    targets.shape = (2, 4)
    assert checked.shape == (4, 2)


# ---- other arguments of fit ----------------------------------------------------------------------

BAD_OPTIONS: list[tuple[str, Any, Any]] = [
    *[
        (name, value, error)
        for name in ("epochs", "batch_size", "threads")
        for value, error in [
            (0, VALUE),
            (-1, VALUE),
            (-(2**70), VALUE),
            (2.0, TYPE),
            (np.float32(2), TYPE),
            (np.nan, TYPE),
            (True, TYPE),
            (np.True_, TYPE),
            ("2", TYPE),
            ([2], TYPE),
            (np.array([2]), TYPE),
            (2j, TYPE),
        ]
    ],
    ("epochs", None, TYPE),
    ("epochs", 10**20, EITHER),
    ("epochs", 2**62, EITHER),
    ("epochs", 2**63, EITHER),
    ("threads", 257, VALUE),
    ("threads", 10**20, VALUE),
    *[
        ("learning_rate", value, error)
        for value, error in [
            (0, VALUE),
            (0.0, VALUE),
            (-0.1, VALUE),
            (np.nan, VALUE),
            (np.inf, VALUE),
            (-np.inf, VALUE),
            (10**400, VALUE),
            ("0.1", TYPE),
            (True, TYPE),
            ([0.1], TYPE),
            (np.array([0.1]), TYPE),
            (0.1j, TYPE),
        ]
    ],
    *[
        ("optimizer", value, error)
        for value, error in [
            ("adamm", VALUE),
            ("ad am!", VALUE),
            ("", VALUE),
            (None, TYPE),
            (fastnn.Adam, TYPE),
            (0.01, TYPE),
            (b"adam", TYPE),
            (["adam"], TYPE),
        ]
    ],
    *[
        (name, value, TYPE)
        for name in ("shuffle", "progress")
        for value in (None, 1, 0, "yes", [], np.array([True]))
    ],
]


@pytest.mark.parametrize(
    ("name", "value", "error"), BAD_OPTIONS, ids=[f"{row[0]}-{row[1]!r}" for row in BAD_OPTIONS]
)
def test_bad_options_of_fit_are_refused(
    name: str, value: Any, error: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    assert_refused_without_change(
        sigmoid_net(), lambda net: net.fit(X, Y, **{name: value}), error, f"{name} must be"
    )
    net = Network([Dense(1, "sigmoid")], seed=0)
    with pytest.raises(error, match=name):
        net.fit(X, Y, **{name: value})
    assert net.n_features is None
    assert capfd.readouterr() == ("", "")


def test_unknown_option_of_fit_is_refused() -> None:
    assert_refused_without_change(
        sigmoid_net(),
        lambda net: net.fit(X, Y, momentum=0.9),  # type: ignore[call-arg]
        TYPE,
        "momentum",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", np.int8(10)),
        ("epochs", np.uint64(10)),
        ("batch_size", np.int64(128)),
        ("learning_rate", np.float32(0.001)),
        ("learning_rate", np.float64(0.001)),
        ("learning_rate", Fraction(1, 1000)),
        ("shuffle", np.True_),
        ("progress", np.False_),
        ("threads", np.int16(1)),
        ("threads", 16),
        ("optimizer", np.str_("adam")),
        ("validation_data", None),
        ("learning_rate", None),
    ],
    ids=repr,
)
def test_odd_but_right_options_are_taken(name: str, value: Any, tmp_path: Any) -> None:
    net, twin = sigmoid_net("float64"), sigmoid_net("float64")
    net.fit(X, Y, **{name: value})
    twin.fit(X, Y, **({name: float(value)} if name == "learning_rate" and value else {}))
    assert state(net) == state(twin)
    net.save(tmp_path / "net")


@pytest.mark.parametrize("value", [2, 7])
def test_integer_learning_rate_is_a_number(value: int) -> None:
    net, twin = sigmoid_net(), sigmoid_net()
    net.fit(X, Y, epochs=1, optimizer="sgd", learning_rate=value)
    twin.fit(X, Y, epochs=1, optimizer="sgd", learning_rate=float(value))
    assert state(net) == state(twin)


# ---- construction --------------------------------------------------------------------------------

BAD_NETWORKS: list[tuple[str, Callable[[], Any], Any, str]] = [
    ("no layers", lambda: Network([]), VALUE, "layers"),
    ("one layer, no list", lambda: Network(D), TYPE, "layers"),  # type: ignore[arg-type]
    ("layers None", lambda: Network(None), TYPE, "layers"),  # type: ignore[arg-type]
    ("layers text", lambda: Network("relu"), TYPE, "layers"),  # type: ignore[arg-type]
    ("layers generator", lambda: Network(d for d in [D]), TYPE, "layers"),  # type: ignore[arg-type]
    ("layers set", lambda: Network({D}), TYPE, "layers"),  # type: ignore[arg-type]
    ("layer int", lambda: Network([3, D]), TYPE, r"layers\[0\]"),  # type: ignore[list-item]
    ("layer class", lambda: Network([D, Dense]), TYPE, r"layers\[1\]"),  # type: ignore[list-item]
    ("layer None", lambda: Network([D, None]), TYPE, r"layers\[1\]"),  # type: ignore[list-item]
    ("softmax hidden", lambda: Network([Dense(3, "softmax"), D]), VALUE, r"layers\[0\].*softmax"),
    ("softmax of one unit", lambda: Network([Dense(1, "softmax")]), VALUE, "softmax.*2 units"),
    ("loss unknown", lambda: Network([D], loss="hinge"), VALUE, "loss.*'hinge'"),
    (
        "loss of two kinds",
        lambda: Network([D], loss="cross_entropy"),
        VALUE,
        "did you mean 'binary_cross_entropy' or 'categorical_cross_entropy'",
    ),
    ("loss function", lambda: Network([D], loss=np.mean), TYPE, "loss"),  # type: ignore[arg-type]
    ("loss list", lambda: Network([D], loss=["mse"]), TYPE, "loss"),  # type: ignore[arg-type]
    (
        "loss from logits of softmax",
        lambda: Network([D], loss="categorical_cross_entropy"),
        VALUE,
        "loss 'categorical_cross_entropy' needs a softmax output, got 'sigmoid'",
    ),
    (
        "loss from logits of sigmoid",
        lambda: Network([Dense(1, "tanh")], loss="binary_cross_entropy"),
        VALUE,
        "loss.*sigmoid output",
    ),
    (
        "element-wise loss of softmax",
        lambda: Network([Dense(2, "softmax")], loss="mse"),
        VALUE,
        "loss.*element-wise output",
    ),
    *[
        (f"n_features {value!r}", lambda v=value: Network([D], v), error, "n_features")
        for value, error in [
            (0, VALUE),
            (-1, VALUE),
            (2**31, VALUE),
            (10**30, VALUE),
            (4.0, TYPE),
            (True, TYPE),
            ("4", TYPE),
            ([4], TYPE),
        ]
    ],
    *[
        (f"seed {value!r}", lambda v=value: Network([D], seed=v), error, "seed")
        for value, error in [
            (-1, VALUE),
            (-(10**30), VALUE),
            (1.0, TYPE),
            (True, TYPE),
            ("1", TYPE),
            ([1, 2], TYPE),
            (np.random.default_rng(0), TYPE),
        ]
    ],
    *[
        (f"dtype {value!r}", lambda v=value: Network([D], dtype=v), EITHER, "dtype must be")
        for value in [
            "float16",
            "longdouble",
            "int32",
            "complex64",
            "f4,f4",
            "float33",
            ">f4",
            object,
            None,
            5,
            "",
            [("a",)],
            (np.float32, (2,)),
        ]
    ],
    *[
        (f"sizes {value!r}", lambda v=value: Network.from_sizes(v), error, "sizes")
        for value, error in [
            ([], VALUE),
            ([4], VALUE),
            ([4, 0], VALUE),
            ([0, 4], VALUE),
            ([4, -1, 1], VALUE),
            ([4, 2**31, 1], VALUE),
            ([4, 2.0, 1], TYPE),
            ([4, True], TYPE),
            (["4", 1], TYPE),
            ([4, None], TYPE),
            ([[4, 3], 1], TYPE),
            (np.ones((2, 2), int), TYPE),
            (np.array(4), TYPE),
            ("41", TYPE),
            (b"41", TYPE),
            (4, TYPE),
            (None, TYPE),
            (iter([4, 1]), TYPE),
            ({4, 1, 3}, TYPE),
            ({4: 3, 1: 2}, TYPE),
        ]
    ],
    (
        "hidden unknown",
        lambda: Network.from_sizes([4, 3, 1], hidden="rely"),
        VALUE,
        "'rely'",
    ),
    (
        "hidden unknown though there is none",
        lambda: Network.from_sizes([4, 1], hidden="rely"),
        VALUE,
        "'rely'",
    ),
    ("hidden softmax", lambda: Network.from_sizes([4, 3, 1], hidden="softmax"), VALUE, "softmax"),
    (
        "hidden None",
        lambda: Network.from_sizes([4, 3, 1], hidden=None),  # type: ignore[arg-type]
        TYPE,
        "activation|hidden",
    ),
    (
        "output unknown",
        lambda: Network.from_sizes([4, 1], output="sigmiod"),
        VALUE,
        "'sigmiod'; did you mean 'sigmoid'",
    ),
    (
        "initializer unknown",
        lambda: Network.from_sizes([4, 1], initializer="orthogonal"),
        VALUE,
        "initializer.*'orthogonal'",
    ),
    (
        "initializer number",
        lambda: Network.from_sizes([4, 1], initializer=0.1),  # type: ignore[arg-type]
        TYPE,
        "initializer",
    ),
    ("scale", lambda: Normal(-1), VALUE, "scale"),
    (
        "layer that does not exist yet",
        lambda: Network([Dense(2, "relu", dropout=0.5)]),  # type: ignore[call-arg]
        TYPE,
        "dropout",
    ),
]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [row[1:] for row in BAD_NETWORKS],
    ids=[row[0] for row in BAD_NETWORKS],
)
def test_bad_networks_are_refused(make: Callable[[], Any], error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "same"),
    [
        (lambda: Network((D,), 4, seed=0), lambda: Network([D], 4, seed=0)),
        (lambda: Network([D], np.uint8(4), seed=np.int64(0)), lambda: Network([D], 4, seed=0)),
        (
            lambda: Network.from_sizes((4, 1), seed=0),
            lambda: Network.from_sizes([4, 1], seed=0),
        ),
        (
            lambda: Network.from_sizes(np.array([4, 1]), seed=0),  # type: ignore[arg-type]
            lambda: Network.from_sizes([4, 1], seed=0),
        ),
        (
            lambda: Network.from_sizes(range(4, 0, -1), seed=0),
            lambda: Network.from_sizes([4, 3, 2, 1], seed=0),
        ),
        (
            lambda: Network([Dense(1, np.str_("sigmoid"))], 4, seed=0),
            lambda: Network([D], 4, seed=0),
        ),
        (lambda: Network([D], 4, dtype="f8", seed=0), lambda: Network([D], 4, dtype=float, seed=0)),
        (
            lambda: Network([D], 4, dtype="=f4", seed=0),
            lambda: Network([D], 4, dtype=np.float32, seed=0),
        ),
    ],
)
def test_odd_but_right_networks_are_made(
    make: Callable[[], Network], same: Callable[[], Network]
) -> None:
    assert state(make()) == state(same())
    assert repr(make()) == repr(same())


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("MSE", "mean_squared_error"),
        ("mean squared error", "mean_squared_error"),
        ("squared_error", "mean_squared_error"),
        ("mae", "mean_absolute_error"),
        ("Huber", "huber"),
        ("bce", "binary_cross_entropy"),
        ("BinaryCrossentropy", "binary_cross_entropy"),
    ],
)
def test_losses_are_known_as_people_type_them(typed: str, name: str) -> None:
    assert Network([D], loss=typed).loss.name == name


@pytest.mark.parametrize("typed", ["CCE", "sparse_categorical_crossentropy"])
def test_the_loss_of_classes_is_known_as_people_type_it(typed: str) -> None:
    net = Network([Dense(3, "softmax")], loss=typed)
    assert net.loss.name == "categorical_cross_entropy"


def test_a_hidden_activation_is_known_as_people_type_it() -> None:
    net = Network.from_sizes([4, 3, 1], hidden="Swish", output="Logistic", seed=0)
    assert [layer.activation for layer in net.layers] == ["silu", "sigmoid"]


def test_no_spelling_of_one_name_is_another_name() -> None:
    """Every alias leads to a name of its table, and is none itself."""
    for table, aliases in [
        (ACTIVATIONS, activations.ALIASES),
        (LOSSES, losses.ALIASES),
        (optimizers.ALL_OPTIMIZERS, optimizers.ALIASES),
        (INITIALIZERS, initializers.ALIASES),
    ]:
        names: list[str] = [*table]
        spellings = [name.lower().replace("_", "") for name in [*names, *aliases]]
        assert len(set(spellings)) == len(spellings)
        assert set(aliases.values()) <= set(names)


# ---- other methods -------------------------------------------------------------------------------

BAD_CALLS: list[tuple[str, Callable[[Network], Any], Any, str]] = [
    ("split list", lambda net: net.split([0.0] * 31), TYPE, "block"),  # type: ignore[arg-type]
    ("split short", lambda net: net.split(np.zeros(30)), VALUE, "block"),
    ("split 2-D", lambda net: net.split(np.zeros((31, 1))), VALUE, "block"),
    ("split None", lambda net: net.split(None), TYPE, "block"),  # type: ignore[arg-type]
    ("copy dtype", lambda net: net.copy("float16"), VALUE, "dtype"),
    ("copy seed", lambda net: net.copy(3), TYPE, "dtype"),  # type: ignore[arg-type]
    ("save number", lambda net: net.save(3), TYPE, "path"),  # type: ignore[arg-type]
    ("save None", lambda net: net.save(None), TYPE, "path"),  # type: ignore[arg-type]
    ("save bytes", lambda net: net.save(b"net"), TYPE, "path"),  # type: ignore[arg-type]
    ("load number", lambda net: Network.load(3), TYPE, "path"),  # type: ignore[arg-type]
    ("load None", lambda net: Network.load(None), TYPE, "path"),  # type: ignore[arg-type]
    ("predict nothing", lambda net: net.predict(), TYPE, "X"),  # type: ignore[call-arg]
    ("new weights", lambda net: setattr(net, "weights", []), AttributeError, "weights"),
    ("new parameters", lambda net: setattr(net, "parameters", []), AttributeError, "parameters"),
    ("new layers", lambda net: setattr(net, "layers", []), AttributeError, "layers"),
    ("set_num_threads 0", lambda net: fastnn.set_num_threads(0), VALUE, "n must be"),
    ("set_num_threads huge", lambda net: fastnn.set_num_threads(10**9), VALUE, "n must be"),
    ("set_num_threads text", lambda net: fastnn.set_num_threads("2"), TYPE, "n must be"),  # type: ignore[arg-type]
    ("fma_peak", lambda net: fastnn.config.fma_peak(0), VALUE, "seconds"),
]


@pytest.mark.parametrize(
    ("call", "error", "message"), [row[1:] for row in BAD_CALLS], ids=[row[0] for row in BAD_CALLS]
)
def test_bad_calls_are_refused(call: Callable[[Network], Any], error: Any, message: str) -> None:
    threads = fastnn.get_num_threads()
    assert_refused_without_change(sigmoid_net(), call, error, message)
    assert fastnn.get_num_threads() == threads


# ---- odd samples and targets that are right ------------------------------------------------------

ODD_TARGETS: list[tuple[str, Callable[[], Network], Any, Any]] = [
    ("bools", sigmoid_net, Y.astype(bool), Y),
    ("list of bools", sigmoid_net, Y.astype(bool).tolist(), Y),
    ("column", sigmoid_net, Y[:, np.newaxis], Y),
    ("byte-swapped", sigmoid_net, Y.astype(">i2"), Y),
    ("backwards", sigmoid_net, Y[::-1].copy()[::-1], Y),
    ("broadcast", sigmoid_net, np.broadcast_to(np.int8(1), N), np.ones(N)),
    ("tuple", sigmoid_net, tuple(Y.tolist()), Y),
    ("masked array without masked values", sigmoid_net, np.ma.masked_array(Y), Y),
    ("longdouble", sigmoid_net, Y.astype(np.longdouble), Y),
    ("smallest subnormal", sigmoid_net, np.maximum(Y, 5e-324), Y),
    ("whole floats as labels", softmax_net, CLASSES.astype(float), CLASSES),
    ("uint64 labels", softmax_net, CLASSES.astype("u8"), CLASSES),
    ("labels as column", softmax_net, CLASSES[:, np.newaxis], CLASSES),
    ("labels with minus zero", softmax_net, np.where(CLASSES == 0, -0.0, CLASSES), CLASSES),
    ("bool labels", softmax_net, CLASSES.astype(bool), CLASSES.astype(bool).astype(int)),
    ("strided labels", softmax_net, np.repeat(CLASSES, 3)[::3], CLASSES),
    ("one-hot bools", softmax_net, ROWS.astype(bool), ROWS),
    ("one-hot ints in Fortran order", softmax_net, np.asfortranarray(ROWS.astype(int)), ROWS),
    ("rows that almost sum to 1", softmax_net, ROWS.astype(np.float16), ROWS),
    ("values in Fortran order", linear_net, np.asfortranarray(X[:, :2]), X[:, :2].copy()),
    ("values as view", linear_net, X[:, 1::-1], X[:, 1::-1].copy()),
    ("values as ints", linear_net, np.full((N, 2), 7), np.full((N, 2), 7.0)),
    ("big ints", linear_net, np.full((N, 2), 2**63, "u8"), np.full((N, 2), 2.0**63)),
]


@pytest.mark.parametrize(
    ("make", "odd", "clean"), [row[1:] for row in ODD_TARGETS], ids=[row[0] for row in ODD_TARGETS]
)
def test_odd_targets_train_like_clean_ones(
    make: Callable[[], Network], odd: Any, clean: Any
) -> None:
    net, twin = make(), make()
    assert net.fit(X, odd, epochs=2, batch_size=8) == twin.fit(X, clean, epochs=2, batch_size=8)
    assert state(net) == state(twin)
    assert net.evaluate(X, odd) == net.evaluate(X, clean)


def matrix(array: Array) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        return np.matrix(array)


def test_matrix_is_an_array_of_two_dimensions() -> None:
    net, twin = sigmoid_net(), sigmoid_net()
    net.fit(matrix(X), matrix(Y[:, np.newaxis]), epochs=2, batch_size=8)
    twin.fit(X, Y, epochs=2, batch_size=8)
    assert state(net) == state(twin)
    with pytest.raises(ValueError, match="y must be of shape"):
        net.fit(X, matrix(Y))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["i8", "u8", "i4", "?", "f2", "g", ">f8", ">u2"])
def test_integers_and_other_floats_are_converted_exactly_once(kind: str, dtype: str) -> None:
    numbers = np.random.default_rng(1).integers(0, 100, (N, N_FEATURES)).astype(kind)
    net, twin = sigmoid_net(dtype), sigmoid_net(dtype)
    net.fit(numbers, Y, epochs=2, batch_size=8)
    twin.fit(numbers.astype(dtype), Y, epochs=2, batch_size=8)
    assert state(net) == state(twin)


def test_very_large_integers_are_numbers() -> None:
    samples = np.full((1, N_FEATURES), 2**64 - 1, np.uint64)
    net = linear_net()
    np.testing.assert_array_equal(net.predict(samples), net.predict(samples.astype(np.float32)))


def test_single_sample_and_single_feature_are_enough() -> None:
    net = Network.from_sizes([1, 1], seed=0)
    net.fit([[1.0]], [1], epochs=3)
    net.fit([[1]], [[True]], epochs=3, batch_size=None)
    assert net.predict([[1.0]]).shape == (1,)


def test_errors_name_what_came() -> None:
    net = sigmoid_net()
    with pytest.raises(ValueError, match="batch_size must be a positive integer, got -3"):
        net.fit(X, Y, batch_size=-3)
    with pytest.raises(TypeError, match=r"epochs must be a positive integer, got 2.5 \(float\)"):
        net.fit(X, Y, epochs=2.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"pass X.reshape\(1, -1\)"):
        net.predict(X[0])


def test_long_values_are_shortened_in_errors() -> None:
    with pytest.raises(TypeError) as info:
        sigmoid_net().fit(X, Y, epochs="9" * 10_000)  # type: ignore[arg-type]
    assert len(str(info.value)) < 200


def test_first_argument_that_is_wrong_does_not_depend_on_luck() -> None:
    # All wrong at once: still refused, still without change
    assert_refused_without_change(
        sigmoid_net(),
        lambda net: net.fit(X[:, :2], Y[:3], epochs=0, batch_size=0, optimizer="x"),
        VALUE,
        "epochs|X|y|batch_size|optimizer",
    )

"""Data frames and series: columns of several types, missing values, columns that are no numbers."""

import re
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fastnn import Dense, Network
from fastnn.datasets import train_test_split

N = 6
FLOATS = [0.5, -1.0, 2.0, 0.0, 1.5, -0.5]
BOOLS = [True, False, True, True, False, False]
INTS = [3, 1, 2, 0, 5, 4]
NUMBERS = np.column_stack([FLOATS, BOOLS, INTS]).astype(np.float64)
Y = np.array([1, 0, 1, 0, 1, 0])


class Column:
    """Like a series of pandas: NumPy only sees objects in it."""

    def __init__(self, values: list[Any], dtype: str, kind: str) -> None:
        self.values = values
        self.dtype = StandInType(dtype, kind)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.array(self.values, object)

    def to_numpy(self, dtype: Any, na_value: float) -> Any:
        return np.array([na_value if v is None else v for v in self.values], dtype)


class StandInType(SimpleNamespace):
    def __init__(self, name: str, kind: str) -> None:
        super().__init__(name=name, kind=kind)

    def __str__(self) -> str:
        return str(self.name)


class Frame:
    """Like a data frame of pandas."""

    def __init__(self, columns: dict[str, Column]) -> None:
        self.columns = list(columns)
        self._columns = columns

    def __len__(self) -> int:
        return N

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.array([column.values for column in self._columns.values()], object).T

    def to_numpy(self) -> Any:
        return np.asarray(self)

    def items(self) -> Iterator[tuple[str, Column]]:
        return iter(self._columns.items())


def net() -> Network:
    return Network([Dense(4, "tanh"), Dense(1, "sigmoid")], dtype="float64", seed=0)


def assert_trains_like_numbers(frame: Any, y: Any = Y) -> None:
    one, other = net(), net()
    assert one.fit(frame, y, epochs=3) == other.fit(NUMBERS, Y, epochs=3)
    np.testing.assert_array_equal(one.predict_proba(frame), other.predict_proba(NUMBERS))
    assert one.evaluate(frame, y) == other.evaluate(NUMBERS, Y)


# ---- a stand-in for pandas, always -----------------------------------------------------------


def stand_in(**columns: Any) -> Frame:
    return Frame(
        {"a": Column(FLOATS, "float64", "f"), "b": Column(BOOLS, "boolean", "b"), **columns}
    )


def test_columns_that_numpy_sees_as_objects_are_numbers() -> None:
    frame = stand_in(c=Column(INTS, "Int64", "i"))
    assert np.asarray(frame).dtype == object
    assert_trains_like_numbers(frame, Column(Y.tolist(), "Int64", "i"))


def test_a_missing_value_is_nan_and_named() -> None:
    frame = stand_in(c=Column([3, 1, 2, None, 5, 4], "Int64", "i"))
    with pytest.raises(ValueError, match=r"^X\[3, 2\] is NaN; X must be finite numbers$"):
        net().fit(frame, Y)
    with pytest.raises(ValueError, match=r"^y\[1\] is NaN; y must be finite numbers$"):
        net().fit(NUMBERS, Column([1, None, 1, 0, 1, 0], "Int64", "i"))


def test_a_column_that_is_no_number_is_named() -> None:
    frame = stand_in(city=Column(["Rome"] * N, "category", "O"))
    message = (
        "X must be numbers, but its column 'city' is of dtype category; convert it to numbers, "
        "drop it, or one-hot encode it"
    )
    with pytest.raises(TypeError, match=f"^{message}$"):
        net().fit(frame, Y)


class Odd:
    """NumPy sees objects in it, and what it gives as numbers is not what it should be."""

    dtype = StandInType("Int64", "i")

    def __init__(self, numbers: Any) -> None:
        self.numbers = numbers
        self.values = [object()] * N

    def __len__(self) -> int:
        return N

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.array(self.values, object)

    def to_numpy(self, dtype: Any, na_value: float) -> Any:
        return self.numbers


class Lying(np.ndarray[Any, Any]):
    """An array that does not know its shape."""

    shape = (10**6, 3)  # type: ignore[assignment]


@pytest.mark.parametrize(
    "numbers", [NUMBERS + 1j, NUMBERS.astype(object), NUMBERS.astype(str), {"a": 1}, None]
)
def test_what_a_column_gives_must_be_numbers(numbers: Any) -> None:
    with pytest.raises(TypeError, match=r"^X must be an array of numbers, got dtype object"):
        net().fit(Odd(numbers), Y)
    frame = stand_in(c=Odd(numbers))
    with pytest.raises(TypeError, match="column 'c' is of dtype Int64"):
        net().fit(frame, Y)


def test_what_a_column_gives_is_taken_as_an_array() -> None:
    assert_trains_like_numbers(Odd(NUMBERS.tolist()))
    assert_trains_like_numbers(Odd(NUMBERS.view(Lying)))
    assert_trains_like_numbers(stand_in(c=Odd(INTS)))


@pytest.mark.parametrize("numbers", [[1.0], 1.0, [[1.0]] * N, list(range(N + 1))])
def test_a_column_of_another_length_is_named(numbers: Any) -> None:
    with pytest.raises(ValueError, match=r"^X must have columns of shape \(6,\), .*column 'c' is"):
        net().fit(stand_in(c=Odd(numbers)), Y)


def test_columns_of_objects_that_are_numbers() -> None:
    objects: list[Any] = [3, np.float32(1), Decimal(2), False, np.int8(5), 4.0]
    assert_trains_like_numbers(stand_in(c=Column(objects, "object", "O")))
    objects[3] = None
    with pytest.raises(ValueError, match=r"^X\[3, 2\] is NaN"):
        net().fit(stand_in(c=Column(objects, "object", "O")), Y)


@pytest.mark.parametrize("odd", ["n/a", 1j, date(2020, 1, 2), 10**400])
def test_a_column_of_objects_names_the_one_that_is_no_number(odd: Any) -> None:
    frame = stand_in(c=Column([3, 1, odd, 0, 5, 4], "object", "O"))
    cell = f" and holds {odd!r} in row 2" if not isinstance(odd, int) else ""
    message = (
        f"X must be numbers, but its column 'c' is of dtype object{cell}; convert it to numbers, "
        "or drop it"
    )
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        net().fit(frame, Y)


@pytest.mark.parametrize("kind", ["M", "m"])
def test_columns_of_times_are_named(kind: str) -> None:
    frame = stand_in(t=Column(["noon"] * N, "a time", kind))
    message = "column 't' is of dtype a time; convert it to numbers, such as days since a date, or"
    for call in (net().fit, net().partial_fit, train_test_split):
        with pytest.raises(TypeError, match=message):
            call(frame, Y)


def test_a_frame_is_split_into_numbers() -> None:
    frame = stand_in(c=Column(INTS, "Int64", "i"))
    names = ["no", "yes"] * (N // 2)
    X_train, X_test, y_train, y_test = train_test_split(frame, names, test_size=2)
    expected = train_test_split(NUMBERS, names, test_size=2)
    for array, other in zip((X_train, X_test, y_train, y_test), expected, strict=True):
        assert array.dtype == other.dtype
        np.testing.assert_array_equal(array, other)
    with pytest.raises(TypeError, match="X must be numbers, but its column 'city'"):
        train_test_split(stand_in(city=Column(names, "category", "O")), Y)


def test_neither_library_is_imported(run_script: Callable[..., str]) -> None:
    run_script("""
        import sys
        import numpy as np
        from fastnn import Network
        net = Network.from_sizes([2, 1], seed=0)
        try:
            net.fit([["a", "b"]], [1])
        except TypeError:
            pass
        else:
            raise AssertionError("trained on letters")
        assert not {"pandas", "polars"} & set(sys.modules)
    """)


# ---- the libraries -----------------------------------------------------------------------------


@pytest.fixture
def pandas() -> Any:
    return pytest.importorskip("pandas", reason="pandas is not installed")


@pytest.fixture
def polars() -> Any:
    return pytest.importorskip("polars", reason="polars is not installed")


@pytest.mark.parametrize(
    "dtypes",
    [
        ("float64", "bool", "int64"),
        ("float32", "boolean", "Int64"),
        ("Float64", "bool", "UInt8"),
        ("Float32", "boolean", "int8"),
    ],
)
def test_frames_of_pandas_are_numbers(pandas: Any, dtypes: tuple[str, ...]) -> None:
    values = zip((FLOATS, BOOLS, INTS), dtypes, strict=True)
    series = [pandas.Series(v, dtype=dtype) for v, dtype in values]
    frame = pandas.concat(series, axis=1, keys=["a", "b", "c"])
    assert [str(dtype) for dtype in frame.dtypes] == list(dtypes)
    for dtype in ("int64", "Int64", "boolean", "bool", "Float64", "float32"):
        assert_trains_like_numbers(frame, pandas.Series(Y).astype(dtype))
    assert_trains_like_numbers(frame, pandas.DataFrame({"y": Y}))
    frame.columns = ["same", "same", "same"]
    frame.index = [7] * N
    assert_trains_like_numbers(frame)


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "boolean"])
def test_missing_values_of_pandas_are_named(pandas: Any, dtype: str) -> None:
    odd = pandas.Series([1, 0, None, 1, 0, 1], dtype=dtype)
    for others in ({}, {"a": FLOATS}, {"a": BOOLS}):
        j = len(others)
        with pytest.raises(ValueError, match=rf"^X\[2, {j}\] is NaN"):
            net().fit(pandas.DataFrame({**others, "odd": odd}), Y)
    with pytest.raises(ValueError, match=r"^y\[2\] is NaN"):
        net().fit(NUMBERS, odd)


@pytest.mark.parametrize("dtype", ["object", "string", "category"])
def test_columns_of_pandas_that_are_no_numbers_are_named(pandas: Any, dtype: str) -> None:
    texts = ["2020-01-01", "2020-01-02"] * (N // 2)
    frame = pandas.DataFrame({"a": FLOATS, "odd": pandas.Series(texts).astype(dtype)})
    message = (
        f"X must be numbers, but its column 'odd' is of dtype {frame.dtypes['odd']}; convert it to "
        "numbers, drop it, or one-hot encode it: pandas.get_dummies(X, columns=['odd'])"
    )
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        net().fit(frame, Y)
    net().fit(pandas.get_dummies(frame, columns=["odd"]), Y)
    net().fit(frame.drop(columns="odd"), Y)


def test_frames_of_objects_of_pandas_are_numbers(pandas: Any) -> None:
    frame = pandas.DataFrame({"a": FLOATS, "b": BOOLS, "c": INTS}).astype(object)
    assert_trains_like_numbers(frame, pandas.Series(Y).astype(object))


@pytest.mark.parametrize("dtype", ["datetime64[ns]", "datetime64[ns, UTC]", "timedelta64[s]"])
def test_times_of_pandas_are_named(pandas: Any, dtype: str) -> None:
    times = pandas.Series(range(N)).astype(dtype)
    for others in ({}, {"a": FLOATS}, {"a": ["text"] * N}):
        with pytest.raises(TypeError, match=f"'odd' is of {re.escape(f'dtype {times.dtype}')}; "):
            net().fit(pandas.DataFrame({"odd": times, **others}), Y)


@pytest.mark.parametrize("value", [date(2020, 1, 2), datetime(2020, 1, 2), timedelta(1), time(3)])
def test_times_of_polars_are_named(polars: Any, value: Any) -> None:
    for others in ({}, {"a": FLOATS}, {"a": INTS}):
        frame = polars.DataFrame({**others, "odd": [value] * N})
        message = f"X must be numbers, but its column 'odd' is of dtype {frame['odd'].dtype}; conv"
        for call in (net().fit, net().partial_fit, train_test_split):
            with pytest.raises(TypeError, match=f"^{re.escape(message)}"):
                call(frame, Y)
    with pytest.raises(TypeError, match=r"^X must be an array of numbers, got dtype"):
        net().fit(polars.Series([value] * N), Y)
    labels = train_test_split(NUMBERS, polars.Series([value] * N))[3]
    assert labels[0] == value


def test_a_lazy_frame_of_polars_gets_a_remedy(polars: Any) -> None:
    with pytest.raises(TypeError, match=r"^X must be an array of numbers.*; pass X.collect\(\)$"):
        net().fit(polars.LazyFrame({"a": FLOATS}), Y)


@pytest.mark.parametrize("dtype", ["object", "string", "category"])
def test_labels_of_pandas_that_are_texts_get_numbers(pandas: Any, dtype: str) -> None:
    labels = pandas.Series(np.where(Y, "yes", "no")).astype(dtype)
    with pytest.raises(TypeError, match=r"classes, y = np.unique\(y, return_inverse=True\)"):
        net().fit(NUMBERS, labels)
    classes, y = np.unique(labels, return_inverse=True)
    assert list(classes) == ["no", "yes"]
    net().fit(NUMBERS, y)


def test_frames_of_polars_are_numbers(polars: Any) -> None:
    frame = polars.DataFrame({"a": FLOATS, "b": BOOLS, "c": INTS})
    assert_trains_like_numbers(frame, polars.Series(Y))
    with pytest.raises(ValueError, match=r"^X\[3, 1\] is NaN"):
        net().fit(frame.with_columns(b=polars.Series([1, 2, 3, None, 5, 6])), Y)
    with pytest.raises(TypeError, match=r"column 'b' is .*String.*: X.to_dummies\('b'\)$"):
        net().fit(frame.with_columns(b=polars.Series(list("uvwuvw"))), Y)
    net().fit(frame.with_columns(b=polars.Series(list("uvwuvw"))).to_dummies("b"), Y)

"""Prediction, forward and evaluation against the NumPy reference."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fastnn import Dense, Network
from fastnn._core import inference
from fastnn.reference import vectorized as reference

Array = npt.NDArray[Any]

ROWS = [0, 1, 63, 64, 65, 128, 1000]
rows = pytest.mark.parametrize("n", ROWS)
dtypes = pytest.mark.parametrize("dtype", [np.dtype(np.float32), np.dtype(np.float64)], ids=str)


def example(dtype: Any, output: str = "softmax", loss: str | None = None) -> Network:
    """Three layers, the middle one the widest, with biases that are not zero."""
    layers = [Dense(9, "tanh"), Dense(33, "gelu"), Dense(3, output)]
    net = Network(layers, n_features=7, dtype=dtype, loss=loss, seed=0)
    for bias in net.biases:
        bias[:] = np.linspace(-1, 1, len(bias))
    return net


def reference_of(net: Network) -> reference.Network:
    """The same network in NumPy, in float64."""
    return reference.Network(
        [weights.astype(np.float64) for weights in net.weights],
        [bias.astype(np.float64) for bias in net.biases],
        [layer.activation for layer in net.layers],
        net.loss.kernel(net.layers[-1].activation),
        net.loss.parameters,
    )


def samples(n: int, dtype: Any) -> Array:
    return np.random.default_rng(n).standard_normal((n, 7)).astype(dtype)


def bound(net: Network) -> float:
    """3 layers of sums of at most 34 terms with outputs of the order of 1 to 10."""
    return 10 * 3 * 34 * float(np.finfo(net.dtype).eps)


@rows
@dtypes
@pytest.mark.parametrize("X_dtype", [np.float32, np.float64])
def test_every_layer_is_the_reference(X_dtype: Any, dtype: np.dtype[Any], n: int) -> None:
    net, X = example(dtype), samples(n, X_dtype)
    found = net.forward(X)
    assert len(found) == 3
    if n == 0:
        assert [a.shape for a in found] == [(0, 9), (0, 33), (0, 3)]
        return
    for a, (_, expected) in zip(found, reference_of(net).forward(X.astype(dtype)), strict=True):
        assert a.dtype == dtype
        assert a.shape == expected.shape
        np.testing.assert_allclose(a, expected, rtol=0, atol=bound(net))
    np.testing.assert_array_equal(net.predict_proba(X), found[-1])
    np.testing.assert_array_equal(net.predict(X), found[-1].argmax(axis=1))


@rows
@pytest.mark.parametrize("output", ["sigmoid", "linear"])
def test_predict_of_other_outputs(output: str, n: int) -> None:
    net, X = example("float32", output), samples(n, np.float32)
    probabilities = net.predict_proba(X)
    assert probabilities.shape == (n, 3)
    expected = probabilities > 0.5 if output == "sigmoid" else probabilities
    np.testing.assert_array_equal(net.predict(X), expected)


def test_rows_do_not_depend_on_the_rows_around_them() -> None:
    net, X = example("float64"), samples(200, np.float64)
    whole = net.predict_proba(X)
    np.testing.assert_allclose(net.predict_proba(X[70:71]), whole[70:71], rtol=0, atol=bound(net))
    np.testing.assert_array_equal(net.predict_proba(X[:128]), whole[:128])  # whole tiles


@pytest.mark.parametrize("n", ROWS[1:])
@dtypes
@pytest.mark.parametrize(
    ("output", "loss"),
    [
        ("softmax", "categorical_cross_entropy"),
        ("sigmoid", "binary_cross_entropy"),
        ("tanh", "mean_squared_error"),
        ("linear", "mean_absolute_error"),
        ("gelu", "huber"),
    ],
)
def test_evaluate_is_the_reference(output: str, loss: str, dtype: np.dtype[Any], n: int) -> None:
    net, X = example(dtype, output, loss), samples(n, dtype)
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, n) if output == "softmax" else rng.integers(0, 2, (n, 3))
    result = net.evaluate(X, y)
    expected, _ = reference_of(net).loss_and_gradients(X, y)
    assert result["loss"] == pytest.approx(expected, rel=bound(net), abs=bound(net))
    if output in ("softmax", "sigmoid"):
        assert result["accuracy"] == np.mean(net.predict(X) == y)
    else:
        assert "accuracy" not in result


def test_evaluate_takes_rows_of_probabilities() -> None:
    net, X = example("float32"), samples(100, np.float32)
    labels = np.random.default_rng(2).integers(0, 3, 100)
    of_rows = net.evaluate(X, np.eye(3)[labels])
    assert of_rows == pytest.approx(net.evaluate(X, labels), rel=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 63, 64, 150, 199])
@pytest.mark.parametrize("column", [0, 6])
def test_bad_numbers_in_any_row_are_refused(column: int, row: int, bad: float) -> None:
    net = example("float32")
    for dtype in (np.float32, np.float64):
        X = samples(200, dtype)
        X[row, column] = bad
        for call in (net.predict, net.predict_proba, net.forward):
            with pytest.raises(ValueError, match="X must be finite"):
                call(X)
        with pytest.raises(ValueError, match="X must be finite"):
            net.evaluate(X, np.zeros(200, np.int64))


def test_numbers_beyond_float32_are_refused_by_a_float32_network_only() -> None:
    X = samples(70, np.float64)
    X[66, 3] = 1e39
    with pytest.raises(ValueError, match=r"X\[66, 3\] is 1e\+39, too large for float32"):
        example("float32").predict(X)
    assert np.isfinite(example("float64").predict_proba(X)).all()


@pytest.mark.parametrize("wanted", [(9, 33, 3), (3,)], ids=["all layers", "the last layer"])
def test_outputs_are_written_and_nothing_around_them(wanted: tuple[int, ...]) -> None:
    """From any alignment, into memory full of NaN: what was there is not read."""
    net, X = example("float32"), samples(130, np.float32)
    outputs, memories = [], []
    for n_units in wanted:
        memory = np.full(130 * n_units + 64, np.nan, np.float32)
        memory[:32] = memory[-32:] = 77
        memories.append(memory)
        outputs.append(memory[32 : 32 + 130 * n_units].reshape(130, n_units))
    inference.infer(net._plan, net.parameters, net._state.running, X, outputs, 2)
    for output, expected in zip(reversed(outputs), reversed(net.forward(X)), strict=False):
        np.testing.assert_array_equal(output, expected)
    for memory in memories:
        assert (memory[:32] == 77).all()
        assert (memory[-32:] == 77).all()


def test_read_only_and_memory_mapped_samples(tmp_path: Any) -> None:
    net, X = example("float32"), samples(100, np.float32)
    expected = net.predict_proba(X)
    X.tofile(tmp_path / "X")
    mapped = np.memmap(tmp_path / "X", np.float32, mode="r", shape=(100, 7))
    np.testing.assert_array_equal(net.predict_proba(mapped), expected)
    X.setflags(write=False)
    np.testing.assert_array_equal(net.predict_proba(X), expected)
    np.testing.assert_array_equal(net.predict_proba(np.asfortranarray(X)), expected)
    np.testing.assert_array_equal(net.predict_proba(np.repeat(X, 2, axis=0)[::2]), expected)


def test_predict_changes_nothing() -> None:
    net, X = example("float32"), samples(100, np.float32)
    parameters, given = net.parameters.copy(), X.copy()
    net.predict(X)
    net.forward(X)
    net.evaluate(X, np.zeros(100, np.int64))
    np.testing.assert_array_equal(net.parameters, parameters)
    np.testing.assert_array_equal(X, given)


# ---- a few rows ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [[1, 1], [4, 16, 16, 3], [33, 46, 1], [784, 128, 10]])
def test_predictor_gives_the_output_of_the_last_layer(sizes: list[int], dtype: str) -> None:
    net = Network.from_sizes(sizes, hidden="tanh", output="linear", dtype=dtype, seed=0)
    for rows in (1, 2, 7, 64):
        X = np.random.default_rng(rows).standard_normal((rows, sizes[0])).astype(dtype)
        expected = net.forward(X)[-1]
        predict = net.predictor(rows)
        np.testing.assert_array_equal(predict(X), expected)
        np.testing.assert_array_equal(net.predict_proba(X), expected)
        out = np.zeros((rows, sizes[-1]), dtype)
        assert predict(X, out=out) is out
        np.testing.assert_array_equal(out, expected)


def test_predictor_takes_one_sample_as_a_vector_and_overwrites_its_buffer() -> None:
    net = Network.from_sizes([4, 5, 2], output="softmax", seed=0)
    predict = net.predictor()
    X = np.random.default_rng(0).standard_normal((2, 4)).astype(np.float32)
    first = predict(X[0])
    kept = first.copy()
    assert first.shape == (2,)
    assert predict(X[:1]).shape == (1, 2)
    assert predict(X[1]) is first
    assert not np.array_equal(first, kept)
    np.testing.assert_array_equal(predict(X[0]), kept)


def test_predictor_follows_the_parameters() -> None:
    net = Network.from_sizes([4, 5, 1], seed=0)
    predict, x = net.predictor(), np.ones((1, 4), np.float32)
    before = predict(x).copy()
    net.fit(np.ones((8, 4), np.float32), np.ones(8), epochs=5)
    assert predict(x)[0, 0] > before[0, 0]
    np.testing.assert_array_equal(predict(x), net.predict_proba(x))


@pytest.mark.parametrize(
    ("X", "out", "error", "message"),
    [
        ([[1, 2, 3, 4]], None, TypeError, "X must be an ndarray of float32, got list; .*asarray"),
        (np.ones((1, 4)), None, TypeError, "X must be .* float32, got float64"),
        (
            np.ones((4, 2), np.float32)[:, 0],
            None,
            TypeError,
            "X must be C-contiguous .*ascontiguous",
        ),
        (np.ones((1, 4), ">f4"), None, TypeError, "X must be"),
        (
            np.ones((1, 3), np.float32),
            None,
            ValueError,
            r"X must be of shape \(1, 4\) or \(4,\), got",
        ),
        (np.ones((2, 4), np.float32), None, ValueError, "X must be of shape"),
        (np.ones(5, np.float32), None, ValueError, "X must be of shape"),
        (np.float32(1), None, TypeError, "X must be"),
        (None, None, TypeError, "X must be"),
        (np.full((1, 4), np.nan, np.float32), None, ValueError, "X must be finite"),
        (np.ones((1, 4), np.float32), np.zeros((1, 3)), TypeError, "out must be"),
        (np.ones((1, 4), np.float32), np.zeros(3, np.float32), ValueError, "out must be of shape"),
        (np.ones((1, 4), np.float32), np.zeros((3, 1), np.float32).T, None, None),
        (np.ones((1, 4), np.float32), np.frombuffer(bytes(12), np.float32), TypeError, "writable"),
    ],
)
def test_predictor_refuses_what_it_cannot_read(
    X: Any, out: Any, error: type[Exception] | None, message: str | None
) -> None:
    predict = Network.from_sizes([4, 5, 3], output="softmax", seed=0).predictor()
    if error is None:
        assert predict(X, out) is out
    else:
        with pytest.raises(error, match=message):
            predict(X, out)


def test_predictor_needs_a_network_that_is_built_and_a_positive_number() -> None:
    with pytest.raises(ValueError, match="not built yet"):
        Network([Dense(2)]).predictor()
    with pytest.raises(ValueError, match="n_rows must be a positive integer"):
        Network.from_sizes([2, 1], seed=0).predictor(0)


def test_a_few_rows_that_are_not_finite_are_refused() -> None:
    net = Network.from_sizes([4, 5, 3], output="softmax", seed=0)
    good = np.ones((3, 4), np.float32)
    net.predict_proba(good)  # the short way is open now
    for bad in (np.nan, np.inf):
        X = good.copy()
        X[2, 3] = bad
        with pytest.raises(ValueError, match="X must be finite"):
            net.predict_proba(X)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [[8, 8], [300, 300], [1000, 1000], [300, 70, 300], [17, 1, 17]])
def test_predictor_may_write_over_its_input(sizes: list[int], dtype: str) -> None:
    """The natural recurrent use: its output is its next input."""
    net = Network.from_sizes(sizes, hidden="relu", output="tanh", dtype=dtype, seed=0)
    for rows in (1, 5):
        X = np.random.default_rng(0).standard_normal((rows, sizes[0])).astype(dtype)
        once = net.predict_proba(X)
        twice = net.predict_proba(once)
        predict = net.predictor(rows)
        np.testing.assert_array_equal(predict(predict(X)), twice)
        memory = np.empty(rows * sizes[0] + 3, dtype)
        for shift in (0, 1, 3):
            moved = memory[shift : shift + X.size].reshape(X.shape)
            moved[:] = X
            out = memory[: X.size].reshape(X.shape)
            np.testing.assert_array_equal(predict(moved, out), once)


def test_predictor_takes_an_out_of_as_many_dimensions_as_x() -> None:
    predict = Network.from_sizes([4, 5, 3], output="softmax", seed=0).predictor()
    x = np.ones(4, np.float32)
    row, table = np.zeros(3, np.float32), np.zeros((1, 3), np.float32)
    assert predict(x, row) is row
    assert predict(x[None], table) is table
    np.testing.assert_array_equal(row, table[0])
    np.testing.assert_array_equal(predict(x), row)
    for X, out in ((x, table), (x[None], row)):
        with pytest.raises(ValueError, match="out must be of shape"):
            predict(X, out)


def test_predictor_does_not_write_to_the_parameters() -> None:
    net = Network.from_sizes([4, 5, 3], output="softmax", seed=0)
    before = net.parameters.copy()
    for out in (net.parameters[:3], net.biases[1], net.weights[1][0]):
        with pytest.raises(ValueError, match="out must not be a part of the network's parameters"):
            net.predictor()(np.ones(4, np.float32), out)
    np.testing.assert_array_equal(net.parameters, before)


def test_a_copied_predictor_has_buffers_of_its_own() -> None:
    net = Network.from_sizes([4, 5, 3], output="softmax", seed=0)
    predict = net.predictor()
    x = np.ones(4, np.float32)
    twin = copy.copy(predict)
    assert not np.shares_memory(predict(x), twin(x))
    np.testing.assert_array_equal(predict(x), twin(x))


def test_a_predictor_is_neither_pickled_nor_copied_without_its_network_nor_made_empty() -> None:
    predict = Network.from_sizes([4, 5, 3], output="softmax", seed=0).predictor()
    for call in (
        lambda: pickle.dumps(predict),
        lambda: copy.deepcopy(predict),
        lambda: type(predict).__new__(type(predict)),
        lambda: type(predict)(None, None, None, 1, None),
    ):
        with pytest.raises(TypeError):
            call()


def test_results_of_a_predictor_cannot_be_resized() -> None:
    """Their memory is the predictor's, and holds nothing else of it."""
    predict = Network.from_sizes([4, 5, 3], output="softmax", seed=0).predictor()
    result = predict(np.ones(4, np.float32))
    with pytest.raises(ValueError, match="resize"):
        result.resize(1, refcheck=False)
    memory: Any = result
    while isinstance(memory.base, np.ndarray):
        memory = memory.base
    assert memory.nbytes == result.nbytes
    with pytest.raises(ValueError, match="resize"):
        memory.resize(1, refcheck=False)


def test_a_predictor_too_large_for_any_memory_is_refused() -> None:
    with pytest.raises(MemoryError):
        Network.from_sizes([1, 100_000, 1], seed=0).predictor(2**31 - 1)


# ---- numbers that are not finite -----------------------------------------------------------------

ANSWERS: dict[str, Callable[[Network, Any], Any]] = {
    "predict": lambda net, X: net.predict(X),
    "predict_proba": lambda net, X: net.predict_proba(X),
    "predict_proba of many": lambda net, X: net.predict_proba(np.tile(X, (3000, 1))),
    "predict of float64": lambda net, X: net.predict(X.astype(np.float64)),
    "evaluate": lambda net, X: net.evaluate(X, np.zeros(len(X), np.int64)),
    "forward": lambda net, X: net.forward(X),
    "predictor": lambda net, X: net.predictor(len(X))(X),
}
answers = pytest.mark.parametrize("call", ANSWERS)


@answers
@pytest.mark.parametrize(("layer", "index"), [(0, (1, 2)), (1, (4, 0))])
def test_parameters_that_are_nan_are_named_not_answered_with_class_0(
    call: str, layer: int, index: tuple[int, int]
) -> None:
    net = Network.from_sizes([4, 5, 3], output="softmax", seed=0)
    net.predict(np.ones((1, 4), np.float32))
    net.weights[layer][index] = np.nan
    with pytest.raises(ValueError, match=r"parameters.* NaN"):
        ANSWERS[call](net, np.ones((2, 4), np.float32))


@answers
def test_x_that_is_not_finite_is_named(call: str) -> None:
    net = Network.from_sizes([4, 5, 3], output="softmax", seed=0)
    X = np.ones((2, 4), np.float32)
    net.predict(X)
    X[1, 2] = np.inf
    with pytest.raises(ValueError, match="X"):
        ANSWERS[call](net, X)


@answers
def test_one_infinite_logit_is_certain_and_two_are_an_error(call: str) -> None:
    """Softmax has a limit where +inf stands alone, and none where two stand."""
    net = Network.from_sizes([4, 3], output="softmax", seed=0)
    net.weights[0][:] = 0
    net.weights[0][0, 1] = 3e38
    X = np.ones((2, 4), np.float32)
    X[:, 0] = 100
    if call not in ("evaluate", "forward"):
        result = np.asarray(ANSWERS[call](net, X))
        assert (result == 1).all() if result.ndim == 1 else (result == [0, 1, 0]).all()
    net.weights[0][0, 2] = 3e38
    with pytest.raises(ValueError, match=r"output for row .* NaN"):
        ANSWERS[call](net, X)


def test_an_infinite_value_of_a_linear_output_is_an_answer() -> None:
    """It is what float32 makes of a number beyond its range."""
    net = Network.from_sizes([1, 1], output="linear", seed=0)
    net.weights[0][:] = 3e38
    assert net.predict([[10.0]]) == np.inf


@pytest.mark.parametrize("sizes", [[3, 3], [3, 5, 3]])
def test_an_infinity_is_named_when_the_output_overwrites_it(sizes: list[int]) -> None:
    predict = Network.from_sizes(sizes, "tanh", "sigmoid", seed=0).predictor()
    x = np.array([0, np.inf, 0], np.float32)
    with pytest.raises(ValueError, match="1\\] is infinity"):
        predict(x, out=x)


def test_a_loss_that_is_nan_is_an_error() -> None:
    """The logits are infinite where the targets say the contrary."""
    net = Network.from_sizes([3, 8, 1], seed=0)
    net.weights[0][:], net.weights[1][:] = 1e20, -1e20
    X = np.random.default_rng(0).standard_normal((100, 3))
    with pytest.raises(ValueError, match="the loss is NaN"):
        net.evaluate(X, np.arange(100) % 2)
    with pytest.raises(ValueError, match="the loss is NaN"):
        net.loss_and_gradients(X, np.arange(100) % 2)


# Cut by units and by panels of every instruction set. The 5 and the 8 columns that are left would
# be summed up in another order if they were multiplied alone.
WIDE = [40, 1093, 1096, 1025, 10]


@dtypes
@pytest.mark.parametrize("n", [1, 7, 47, 48, 100, 300])
def test_a_wide_network_gives_each_row_the_same_bits(n: int, dtype: np.dtype[Any]) -> None:
    net = Network.from_sizes(WIDE, "tanh", dtype=dtype, seed=0)
    X = np.random.default_rng(0).standard_normal((n, 40)).astype(dtype)
    one_by_one = np.concatenate([net.predict_proba(X[i : i + 1], threads=1) for i in range(n)])
    for threads in (1, 2, 3):
        np.testing.assert_array_equal(net.predict_proba(X, threads=threads), one_by_one)
    other = X.astype(np.float64 if dtype == np.float32 else np.float32)
    if dtype == np.float32:  # the same numbers, converted in the core
        np.testing.assert_array_equal(net.predict_proba(other, threads=2), one_by_one)
    np.testing.assert_array_equal(net.forward(X)[-1], one_by_one)
    expected = reference_of(net).forward(X.astype(np.float64))[-1][1]
    np.testing.assert_allclose(one_by_one, expected, atol=1e4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_wide_network_names_the_row_that_is_not_finite(threads: int) -> None:
    net = Network.from_sizes(WIDE, seed=0)
    X = np.zeros((20, 40), np.float32)
    X[13, 7] = np.inf
    with pytest.raises(ValueError, match=r"X\[13, 7\]"):
        net.predict_proba(X, threads=threads)

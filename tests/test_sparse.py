"""Sparse samples: the same training as with a dense copy, and what the gate says of bad ones."""

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastnn
from fastnn import BatchNorm, Dense, Dropout, Network, gradient_check
from fastnn._core import single
from fastnn._sparse import SparseRows
from fastnn.optimizers import ALL_OPTIMIZERS

sparse = pytest.importorskip("scipy.sparse")

Array = npt.NDArray[Any]

OPTIMIZERS = [name for name in ALL_OPTIMIZERS if name != "lbfgs"]

# Of these sizes, the weights and slots of any optimiser exceed the L2 cache of 64 KiB that WIDE is
# trained with, and a mini-batch touches few of them: updates are deferred.
WIDE = {"n_features": 3000, "n_hidden": 33}


def matrix(n: int, m: int, dtype: Any = np.float32, entries: int = 5, seed: int = 0) -> Any:
    """A CSR matrix with empty rows and columns, in order."""
    random = np.random.default_rng(seed)
    X = sparse.random(n, m, min(1.0, entries / m), format="csr", dtype=dtype, random_state=random)
    X.data -= X.dtype.type(0.5)
    mask = np.ones(n, bool)
    mask[[0, n // 2]] = False
    X = sparse.csr_matrix(sparse.diags(mask.astype(dtype)) @ X)
    X.sort_indices()
    return X


def labels(n: int, n_classes: int = 3) -> Array:
    return np.random.default_rng(1).integers(0, n_classes, n)


def network(n_features: int, n_hidden: int = 7, dtype: str = "float32", **options: Any) -> Network:
    layers = [Dense(n_hidden, "relu", **options), Dense(3, "softmax")]
    return Network(layers, n_features=n_features, dtype=dtype, seed=0)


def shuffled_entries(X: Any) -> Any:
    """The same rows with their entries in another order, each as two in the same column."""
    random = np.random.default_rng(2)
    values, columns, starts = [], [], [0]
    for i in range(X.shape[0]):
        row = slice(X.indptr[i], X.indptr[i + 1])
        both = np.concatenate([X.data[row] / 4, X.data[row] * 0.75])
        order = random.permutation(len(both))
        values.append(both[order])
        columns.append(np.tile(X.indices[row], 2)[order])
        starts.append(starts[-1] + len(both))
    parts = (np.concatenate(values), np.concatenate(columns), np.array(starts))
    return sparse.csr_matrix(parts, shape=X.shape)


# ---- the same as dense -------------------------------------------------------------------------


@pytest.mark.parametrize("n_hidden", [1, 3, 16, 65, 130, 300])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_loss_gradient_and_predictions_are_those_of_the_dense_matrix(
    dtype: str, n_hidden: int
) -> None:
    X, y = matrix(150, 257, dtype), labels(150)
    net = network(257, n_hidden, dtype)
    tolerance = 1e-5 if dtype == "float32" else 1e-13
    for given in (X, shuffled_entries(X)):
        loss, gradient = net.loss_and_gradients(given, y)
        dense_loss, dense_gradient = net.loss_and_gradients(X.toarray(), y)
        assert loss == pytest.approx(dense_loss, rel=tolerance)
        scale = np.abs(dense_gradient).max()
        np.testing.assert_allclose(gradient, dense_gradient, rtol=0, atol=tolerance * scale)
        for a, b in zip(net.forward(given), net.forward(X.toarray()), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max())
        np.testing.assert_array_equal(net.predict(given), net.predict(X.toarray()))
        assert net.evaluate(given, y)["loss"] == pytest.approx(dense_loss, rel=tolerance)


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("values", [np.float32, np.float64, np.int8, bool, np.longdouble])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_all_types_of_values_and_indices_are_read(dtype: str, values: Any, index: Any) -> None:
    X = matrix(60, 40, np.float32)
    X.data = np.round(X.data * 8)
    X = X.astype(np.int8).astype(np.dtype(values).newbyteorder("="))
    X.data = X.data.astype(values)
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    net, y = network(40, dtype=dtype), labels(60)
    dense = X.toarray().astype(np.float64)
    expected = net.loss_and_gradients(dense, y)
    loss, gradient = net.loss_and_gradients(X, y)
    assert loss == pytest.approx(expected[0], rel=1e-6)
    np.testing.assert_allclose(gradient, expected[1], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "kind", ["csr_matrix", "csr_array", "csc_matrix", "coo_array", "lil_matrix"]
)
def test_every_format_of_scipy_is_taken(kind: str) -> None:
    X, y = matrix(60, 40), labels(60)
    net, twin = network(40), network(40)
    net.fit(getattr(sparse, kind)(X), y, epochs=2)
    twin.fit(X, y, epochs=2)
    np.testing.assert_array_equal(net.parameters, twin.parameters)


def test_gradients_agree_with_central_differences_to_1e_7() -> None:
    X, y = shuffled_entries(matrix(40, 30, np.float64)), labels(40)
    net = Network([Dense(9, "tanh"), Dense(3, "softmax")], n_features=30, dtype="float64", seed=0)
    assert gradient_check(net, X, y) < 1e-7


TRAININGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "a full batch": {"batch_size": None},
    "one sample": {"batch_size": 1},
    "not shuffled": {"shuffle": False},
    "sample weights": {"sample_weight": np.linspace(0, 2, 90)},
    "class weights": {"class_weight": "balanced"},
    "smoothed labels": {"label_smoothing": 0.1},
    "penalties": {"l1": 1e-4, "l2": 1e-3},
    "weight decay": {"weight_decay": 0.1},
    "clipping by norm": {"clip_norm": 0.1},
    "clipping by value": {"clip_value": 1e-3},
    "an average": {"ema": 0.9},
    "averaged epochs": {"swa_start": 2},
    "a schedule": {"learning_rate": fastnn.CosineDecay(0.01)},
    "validation data": {"validation_split": 0.2},
    **{name: {"optimizer": name} for name in OPTIMIZERS},
}


@pytest.mark.parametrize("layer", [{}, {"max_norm": 0.5}, {"l2": 0.01}, {"trainable": False}])
@pytest.mark.parametrize("training", TRAININGS)
def test_training_is_that_of_the_dense_matrix(training: str, layer: dict[str, Any]) -> None:
    X, y = matrix(90, 70, np.float64), labels(90)
    net, twin = (network(70, 19, "float64", **layer) for _ in range(2))
    options = {"epochs": 3, "batch_size": 16} | TRAININGS[training]
    history, expected = net.fit(X, y, **options), twin.fit(X.toarray(), y, **options)
    np.testing.assert_allclose(net.parameters, twin.parameters, rtol=0, atol=1e-9)
    for name, values in expected.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("behind", [Dropout(0.3), BatchNorm()])
def test_other_layers_may_follow(behind: Any) -> None:
    X, y = matrix(90, 70, np.float64), labels(90)
    layers = [Dense(19, "linear"), behind, Dense(3, "softmax")]
    net, twin = (Network(layers, 70, dtype="float64", seed=3) for _ in range(2))
    net.fit(X, y, epochs=3, batch_size=20)
    twin.fit(X.toarray(), y, epochs=3, batch_size=20)
    np.testing.assert_allclose(net.parameters, twin.parameters, rtol=0, atol=1e-9)
    np.testing.assert_allclose(net.predict_proba(X), twin.predict_proba(X.toarray()), atol=1e-9)


def test_one_layer_alone_partial_fit_lbfgs_statistics_and_search_of_a_rate() -> None:
    X, y = matrix(90, 70, np.float64), labels(90)
    dense = X.toarray()
    net, twin = (Network([Dense(3, "softmax")], 70, dtype="float64", seed=3) for _ in range(2))
    for _ in range(3):
        assert net.partial_fit(X, y) == pytest.approx(twin.partial_fit(dense, y))
    net.fit(X, y, optimizer="lbfgs", epochs=5)
    twin.fit(dense, y, optimizer="lbfgs", epochs=5)
    np.testing.assert_allclose(net.parameters, twin.parameters, rtol=0, atol=1e-9)
    for row, expected in zip(net.statistics(X, y), twin.statistics(dense, y), strict=True):
        assert row.mean == pytest.approx(expected.mean)
        assert row.weight_gradient_norm == pytest.approx(expected.weight_gradient_norm)
    one = fastnn.find_learning_rate(net, X, y, n_steps=20, optimizer="sgd")
    other = fastnn.find_learning_rate(twin, dense, y, n_steps=20, optimizer="sgd")
    np.testing.assert_allclose(one.losses, other.losses, rtol=1e-6)


def test_targets_may_be_numbers() -> None:
    X, y = matrix(90, 70, np.float64), np.random.default_rng(0).normal(size=(90, 2))
    net, twin = (Network([Dense(9, "tanh"), Dense(2)], 70, dtype="float64", seed=3) for _ in "ab")
    net.fit(X, y, epochs=3, batch_size=20)
    twin.fit(X.toarray(), y, epochs=3, batch_size=20)
    np.testing.assert_allclose(net.parameters, twin.parameters, rtol=0, atol=1e-9)


def test_a_matrix_without_entries_trains_the_biases_alone() -> None:
    X, y = sparse.csr_matrix((30, 50), dtype=np.float32), labels(30)
    net = network(50)
    before = net.weights[0].copy()
    net.fit(X, y, epochs=3)
    np.testing.assert_array_equal(net.weights[0], before)
    assert np.any(net.biases[1] != 0)
    assert net.predict(sparse.csr_matrix((0, 50))).shape == (0,)


# ---- bits --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(90, 7), (3000, 33), (200, 300), (3000, 300)])
def test_bits_do_not_depend_on_the_threads(sizes: tuple[int, int], dtype: str) -> None:
    X, y = matrix(300, sizes[0], dtype), labels(300)
    nets = []
    for threads in (1, 2, 3):
        net = network(*sizes, dtype=dtype)
        net.fit(X, y, epochs=3, batch_size=64, threads=threads)
        nets.append(net)
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)
    np.testing.assert_array_equal(nets[0].parameters, nets[2].parameters)
    for rows in (X, X[:9]):  # few rows of many weights: the units are shared out
        outputs = [nets[0].predict_proba(rows, threads=threads) for threads in (1, 2, 3)]
        np.testing.assert_array_equal(outputs[0], outputs[1])
        np.testing.assert_array_equal(outputs[0], outputs[2])


# Trains with each optimiser, with updates that wait and with those of all weights at each step: a
# limit of the gradient's norm, however large, needs the latter.
DEFERRED_SCRIPT = """
import numpy as np
from test_sparse import OPTIMIZERS, WIDE, labels, matrix, network
import fastnn
X, y = matrix(400, WIDE["n_features"]), labels(400)
def train(dtype, **options):
    net = network(**WIDE, dtype=dtype)
    for batch_size in (13, 40):
        net.fit(X, y, epochs=3, batch_size=batch_size, **options)
    _, tensors = net.to_data()
    return [tensors["parameters"], tensors["slots"]]
for dtype in ("float32", "float64"):
    for name in OPTIMIZERS:
        rate = {"learning_rate": fastnn.CosineDecay(0.01)}
        deferred = train(dtype, optimizer=name, **rate)
        one_thread = train(dtype, optimizer=name, threads=1, **rate)
        each_step = train(dtype, optimizer=name, threads=1, clip_norm=1e30, **rate)
        for i, other in enumerate((one_thread, each_step)):
            for a, b in zip(deferred, other):
                same = np.array_equal(a, b)
                if i == 1 and dtype == "float32" and name in ("adam", "adamw"):  # by a formula
                    same = np.abs(a - b).max() < 1e-6 * np.abs(b).max()
                print("same" if same else f"{dtype} {name} differs")
options = dict(optimizer="rmsprop", epochs=10, batch_size=2, threads=1)
many = [network(3000, 9), network(3000, 9)]  # 2,000 steps, of which rows may miss 1,024
many[0].fit(X, y, **options)
many[1].fit(X, y, clip_norm=1e30, **options)
print("same" if np.array_equal(many[0].parameters, many[1].parameters) else "many steps differ")
"""


@pytest.mark.parametrize("isa", fastnn._core.kernels.supported_isas())
def test_updates_that_wait_have_the_bits_of_updates_at_every_step(
    isa: str, run_script: Callable[..., str]
) -> None:
    here = str(Path(__file__).parent)
    printed = run_script(
        f"import sys; sys.path.append({here!r})\n{DEFERRED_SCRIPT}",
        FASTNN_ISA=isa,
        FASTNN_CACHES="32768,65536,1048576",
    )
    assert printed.split("\n")[:-1] == ["same"] * (2 * 4 * len(OPTIMIZERS) + 1)


@pytest.mark.parametrize("first", [300, 5000])
@pytest.mark.parametrize("n_steps", [1, 2, 15, 200])
@pytest.mark.parametrize("epsilon", [1e-12, 1e-8, 1e-3, 1.0])
@pytest.mark.parametrize(("beta_1", "beta_2"), [(0.9, 0.999), (0.5, 0.9999), (0.0, 0.999)])
@pytest.mark.parametrize("isa", fastnn._core.kernels.supported_isas())
def test_steps_without_a_gradient_at_once_are_those_one_after_the_other(
    isa: str, beta_1: float, beta_2: float, epsilon: float, n_steps: int, first: int
) -> None:
    """From moments of all sizes, beside float64; relative to how far the steps lead."""
    rng = np.random.default_rng(n_steps)
    m = rng.normal(size=1000) * 10.0 ** rng.integers(-12, 2, 1000)
    v = (m * 10.0 ** rng.integers(-1, 4, 1000)) ** 2
    m[::9] = v[::9] = 0
    w, *slots = (array.astype(np.float32) for array in (rng.normal(size=1000), m, v))
    expected = [array.astype(np.float64) for array in (w, *slots)]
    options = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon, "weight_decay": 0.1}
    rates = np.linspace(1e-3, 1e-4, n_steps)
    moments = np.array(slots)
    assert single.idle_at_once("adamw", w, moments, rates, options, first, isa)
    far = np.zeros(1000)
    for t, rate in enumerate(rates, first):
        before = expected[0].copy()
        expected[1] *= beta_1
        expected[2] *= beta_2
        deviation = np.sqrt(expected[2] / (1 - beta_2**t))
        expected[0] *= 1 - 0.1 * rate
        expected[0] -= rate * expected[1] / (1 - beta_1**t) / (deviation + epsilon)
        far += np.abs(expected[0] - before)
    assert np.all(np.abs(w - expected[0]) <= 2e-7 * np.abs(expected[0]) + 3e-6 * far)
    np.testing.assert_allclose(moments, expected[1:], rtol=1e-4, atol=1e-37)


def test_the_formula_says_where_it_is_no_good() -> None:
    """In the first steps, where beta_2 is far from 1, and in float64."""
    for dtype, beta_2, first in (
        (np.float32, 0.999, 1),
        (np.float32, 0.9, 1000),
        (np.float64, 0.999, 1000),
    ):
        w, slots = np.ones(20, dtype), np.ones((2, 20), dtype)
        options = {"beta_1": 0.9, "beta_2": beta_2, "epsilon": 1e-8}
        assert not single.idle_at_once("adam", w, slots, np.full(30, 0.1), options, first)
        assert np.all(w == 1)


def test_when_others_look_does_not_show_in_the_bits() -> None:
    """Adam's missed steps are made up for by a formula: the same ones in every run."""
    X, y = matrix(400, 20_000), labels(400)
    net, twin = network(20_000, 64), network(20_000, 64)
    net.fit(X, y, epochs=20, batch_size=16)
    thread = threading.Thread(
        target=lambda: twin.fit(X, y, epochs=20, batch_size=16, callbacks=look)
    )
    look = [lambda net, epoch, metrics: net.predict(X[:5])]
    thread.start()
    while thread.is_alive():
        twin.predict(X[:5])
    np.testing.assert_array_equal(net.parameters, twin.parameters)


@pytest.mark.parametrize("batch_size", [1, 16, None])
def test_networks_of_one_call_read_rows_of_their_own(batch_size: int | None) -> None:
    X, y = shuffled_entries(matrix(90, WIDE["n_features"])), labels(90)
    random = np.random.default_rng(3)
    rows = [random.integers(0, 90, n) for n in (1, 40, 90, 200)]
    rows.append(np.full(70, np.diff(X.indptr).argmax()))  # far more entries than X has
    together, alone = ([network(WIDE["n_features"], 33) for _ in rows] for _ in range(2))
    options: dict[str, Any] = {"epochs": 3, "batch_size": batch_size, "progress": False}
    fastnn.fit_many(together, X, y, rows=rows, **options)
    for net, twin, chosen in zip(together, alone, rows, strict=True):
        twin.fit(X[chosen], y[chosen], **options)
        assert net.parameters.tobytes() == twin.parameters.tobytes()


def test_a_resumed_run_ends_in_the_same_bits(tmp_path: Path) -> None:
    X, y = matrix(400, 20_000), labels(400)
    path = tmp_path / "net.safetensors"
    net, twin = network(20_000, 64), network(20_000, 64)
    net.fit(X, y, epochs=4, batch_size=32)
    twin.fit(X, y, epochs=2, batch_size=32, callbacks=[fastnn.Checkpoint(path)])
    other = network(20_000, 64)
    callbacks = [fastnn.Checkpoint(path)]
    other.fit(X, y, epochs=4, batch_size=32, callbacks=callbacks, resume_from=path)
    np.testing.assert_array_equal(net.parameters, other.parameters)


def test_a_diverging_run_keeps_the_last_good_parameters() -> None:
    """20,000 columns: the updates wait, and those of the good steps are repeated."""
    X, y = matrix(400, 20_000), labels(400).astype(np.float32)
    options = {"epochs": 200, "batch_size": 32, "optimizer": "momentum", "learning_rate": 50.0}
    nets = []
    for rules in ({}, {"ema": 0.5}):  # the second one updates all weights at each step
        net = Network([Dense(64, "relu"), Dense(1)], 20_000, seed=0)
        with pytest.raises(FloatingPointError, match="at epoch"):
            net.fit(X, y, **options, **rules)
        assert np.isfinite(net.parameters).all()
        nets.append(net)
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)


def test_reading_while_it_trains_shows_no_row_that_is_behind() -> None:
    """Another thread sees parameters that one of the steps has left: all weights decay alike."""
    X, y = matrix(400, 20_000, entries=3), labels(400)
    net = network(20_000, 64)
    column = int(np.flatnonzero(np.bincount(X.indices, minlength=20_000) == 0)[0])
    start = net.weights[0][column].copy()
    options = {"batch_size": 16, "optimizer": fastnn.AdamW(weight_decay=0.5)}
    seen = []

    def read() -> None:
        while thread.is_alive():
            seen.append(net.copy().weights[0][[column, column + 1]])

    thread = threading.Thread(target=lambda: net.fit(X, y, epochs=60, **options))
    thread.start()
    read()
    thread.join()
    steps = 60 * 25
    end = start * np.float64(1 - 0.001 * 0.5) ** steps
    np.testing.assert_allclose(net.weights[0][column], end, rtol=1e-4)
    assert len(seen) > 0


# ---- bad input ---------------------------------------------------------------------------------


def broken(name: str, value: Any) -> Any:
    X = matrix(20, 10)
    setattr(X, name, value)
    return X


def damaged(kind: str, name: str) -> Any:
    X = matrix(20, 10).asformat(kind)
    getattr(X, name)[3] = 10**8
    return X


def with_column(column: int, dtype: Any = np.int32) -> Any:
    X = matrix(20, 10)
    X.indices = X.indices.astype(dtype)
    X.indices[7] = column
    return X


def with_value(value: float, dtype: Any = np.float32) -> Any:
    X = matrix(20, 10, dtype)
    X.data[7] = value
    return X


GOOD = matrix(20, 10)
STARTS = GOOD.indptr.copy()
ROW = int(np.searchsorted(STARTS, 7, side="right")) - 1
# Once around all numbers of int64: no difference of two neighbours is negative in int64.
ROUND = np.array([2**62, 2**63 - 1, -(2**63), -(2**62)])
BAD: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "too many columns": (lambda: matrix(20, 11), ValueError, "11 features"),
    "a column that is too large": (
        lambda: with_column(10),
        ValueError,
        rf"X.indices must be columns in \[0, 10\), got 10 in row {ROW}",
    ),
    "a negative column": (lambda: with_column(-1), ValueError, "got -1 in row"),
    "a huge column": (lambda: with_column(2**40, np.int64), ValueError, "got 1099511627776"),
    "NaN": (
        lambda: with_value(np.nan),
        ValueError,
        rf"X\[{ROW}, {GOOD.indices[7]}\] is NaN; X must be finite",
    ),
    "infinity": (lambda: with_value(-np.inf), ValueError, "-infinity"),
    "too large for float32": (lambda: with_value(1e300, np.float64), ValueError, "too large"),
    "complex": (lambda: GOOD.astype(complex), TypeError, "complex"),
    "indptr that falls": (
        lambda: broken("indptr", STARTS[[0, 2, 1, *range(3, 21)]]),
        ValueError,
        "X.indptr must rise",
    ),
    "indptr that falls by more than int64 has": (
        lambda: broken("indptr", np.concatenate([STARTS[:5], ROUND, STARTS[9:]])),
        ValueError,
        "X.indptr must rise",
    ),
    "indptr beyond the entries": (
        lambda: broken("indptr", np.append(STARTS[:-1], 10**6).astype(np.int32)),
        ValueError,
        "got .* for row 19",
    ),
    "indptr that does not begin at 0": (
        lambda: broken("indptr", np.append(1, STARTS[1:]).astype(np.int32)),
        ValueError,
        "X.indptr must rise from 0",
    ),
    "indptr of another length": (
        lambda: broken("indptr", STARTS[:-1]),
        ValueError,
        r"shape \(21,\)",
    ),
    "indptr of floats": (lambda: broken("indptr", STARTS * 1.0), TypeError, "integers"),
    "indices of two dimensions": (
        lambda: broken("indices", GOOD.indices.reshape(-1, 1)),
        ValueError,
        "1 dimension",
    ),
    "a row that CSC does not have": (lambda: damaged("csc", "indices"), ValueError, "X must be a"),
    "a row that COO does not have": (lambda: damaged("coo", "row"), ValueError, "X must be a"),
    "a block that BSR does not have": (
        lambda: damaged("bsr", "indices"),
        ValueError,
        "X must be a",
    ),
    "too few indices": (lambda: broken("indices", GOOD.indices[:-1]), ValueError, "must rise"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_matrix_is_refused_before_anything_changes(case: str) -> None:
    make, error, message = BAD[case]
    net = network(10)
    before, y = net.parameters.copy(), labels(20)
    for call in (
        lambda X: net.fit(X, y),
        lambda X: net.predict(X),
        lambda X: net.evaluate(X, y),
        lambda X: net.loss_and_gradients(X, y),
        lambda X: net.fit(GOOD, y, validation_data=(X, y)),
    ):
        X = make()
        with pytest.raises(error, match=message.replace("X", r"(X|validation_data\[0\])")):
            call(X)
    np.testing.assert_array_equal(net.parameters, before)
    net.fit(GOOD, y, epochs=1)


def test_a_wrong_indptr_of_no_rows_is_refused() -> None:
    X = matrix(20, 10)[:0]
    X.indptr = np.array([5])
    with pytest.raises(ValueError, match=r"X\.indptr must rise from 0"):
        network(10).predict(X)


def test_a_first_layer_that_is_no_product_is_named() -> None:
    net = Network([BatchNorm(), Dense(3, "softmax")], n_features=10)
    with pytest.raises(ValueError, match=r"X is sparse.*layers\[0\] is BatchNorm.*X.toarray\(\)"):
        net.fit(GOOD, labels(20))
    with pytest.raises(ValueError, match=r"networks\[1\]: X is sparse.*layers\[0\] is BatchNorm"):
        fastnn.fit_many([network(10), net], GOOD, labels(20))
    with pytest.raises(ValueError, match="X is sparse"):
        net.predict(GOOD)


def test_too_few_rows_of_targets_are_refused() -> None:
    with pytest.raises(ValueError, match="y must be of shape"):
        network(10).fit(GOOD, labels(19))


@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_wild_columns_that_another_thread_writes_are_harmless(index: Any) -> None:
    """Wild columns, written while a network trains and predicts, end no process."""
    X, y = matrix(2000, 300, entries=20), labels(2000)
    X.indices = X.indices.astype(index)
    good = X.indices.copy()
    net = network(300, 40)
    stop = threading.Event()

    def write() -> None:
        random = np.random.default_rng(0)
        info = np.iinfo(index)
        while not stop.is_set():
            X.indices[random.integers(0, len(good), 500)] = random.choice(
                [info.min, -1, 300, info.max]
            )
            X.indices[:] = good

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(30):
            for call in (
                lambda: net.fit(X, y, epochs=2, batch_size=100),
                lambda: net.predict_proba(X),
            ):
                with suppress(ValueError):  # the gate has seen one of them
                    call()
    finally:
        stop.set()
        thread.join()
    assert np.isfinite(net.parameters).all()


# ---- the rows themselves -----------------------------------------------------------------------


def test_rows_can_be_taken() -> None:
    X = matrix(30, 12, np.float64)
    rows = SparseRows(X.data, X.indices, X.indptr.astype(np.int64), 12)
    dense = X.toarray()
    for part in (slice(3, 11), slice(5, 5), slice(None), np.array([7, 7, 0, 29])):
        assert rows[part].shape == dense[part].shape
        np.testing.assert_array_equal(rows[part].toarray(np.float64), dense[part])
    np.testing.assert_array_equal(rows[2:9][np.array([3, 1])].toarray(np.float64), dense[[5, 3]])


def test_a_predictor_says_what_takes_sparse_samples() -> None:
    net = Network([Dense(2)], n_features=3, seed=0)
    samples = sparse.csr_array(np.eye(3, dtype=np.float32))
    with pytest.raises(TypeError, match=r"Network\.predict_proba takes a sparse one"):
        net.predictor()(samples)
    assert net.predict_proba(samples).shape == (3, 2)

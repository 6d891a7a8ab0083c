"""What the error at divergence says of the layers, and the warning of unscaled columns."""

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fastnn import (
    Activation,
    BatchNorm,
    Dense,
    Dropout,
    Layer,
    LayerNorm,
    Network,
    Rescale,
    ScalingWarning,
    _divergence,
    _scaling,
)

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(200, 4))
Y = X.sum(axis=1)


def failure(net: Network, X: Any, y: Any, **options: Any) -> str:
    """The message of a fit that diverges."""
    with pytest.raises(FloatingPointError) as error:
        net.fit(X, y, **options)
    return str(error.value)


# ---- which layer, and its inputs ---------------------------------------------------------------


def test_the_first_layer_to_leave_the_finite_numbers_is_named_with_its_inputs() -> None:
    layers: list[Layer] = [
        Dense(3, "relu"),
        Dense(2, "exponential"),
        Dense(2, "relu"),
        Dense(1),
    ]
    net = Network(layers, 4, dtype="float64", seed=0)
    bad = 1e4 * X
    entered = net.forward(bad)[0]
    message = failure(net, bad, Y, batch_size=None)
    assert "layers[1], Dense(2, 'exponential'), is the first to leave the finite numbers" in message
    assert f"from {entered.min():.3g} to {entered.max():.3g}" in message
    assert f"with a mean of {entered.mean():.3g} and {np.mean(entered == 0):.0%} zeros" in message
    assert f"its largest weight is {np.abs(net.weights[1]).max():.3g}" in message
    assert message.startswith("the loss is ")
    assert "(step 1); the network keeps the parameters from before this step" in message


@pytest.mark.parametrize("shuffle", [False, True])
def test_it_speaks_of_the_mini_batch_that_failed(shuffle: bool) -> None:
    """The one with the odd sample, whichever that is."""
    bad = X.copy()
    bad[117] *= 1e3
    net = Network([Dense(4, "exponential"), Dense(1)], 4, dtype="float64", seed=1)
    message = failure(net, bad, Y, batch_size=10, shuffle=shuffle, epochs=2)
    assert "layers[0], Dense(4, 'exponential')," in message
    assert f"What entered it goes from {bad[117].min():.3g} to " in message


def test_an_update_that_fails_at_the_beginning_of_an_epoch_has_the_rows_of_that_epoch() -> None:
    """They are in an order that is undone with the step."""
    data = np.arange(1, 13.0)[:, None]
    target = np.where(data[:, 0] == 5, 1e37, 0.0)  # its update alone is not finite
    net = Network([Dense(1, "linear", "zeros")], 1, seed=3)
    options: dict[str, Any] = {"optimizer": "sgd", "learning_rate": 1e2, "batch_size": 1}
    for seed in range(100):  # one whose first sample is this one
        net = Network([Dense(1, "linear", "zeros")], 1, seed=seed)
        message = failure(net, data, target, epochs=1, **options)
        if "mini-batch 1 " in message:
            break
    assert "mini-batch 1 (step 1)" in message
    assert "What entered it goes from 5 to 5, with a mean of 5 and 0% zeros" in message


def test_a_large_full_batch_is_looked_through() -> None:
    many, y = np.tile(X, (60, 1)), np.tile(Y, 60)
    many[11_500] *= 1e4
    net = Network([Dense(4, "exponential"), Dense(1)], 4, dtype="float64", seed=0)
    message = failure(net, many, y, batch_size=None)
    assert "layers[0], Dense(4, 'exponential'), is the first to leave" in message
    assert f"{many[11_500].max():.3g}" in message


def test_a_gradient_that_is_the_first() -> None:
    net = Network([Dense(8, "relu"), Dense(1)], 4, seed=0)
    message = failure(net, 1e30 * X, Y, batch_size=None)
    assert "All outputs are finite; on the way back layers[1], Dense(1, 'linear')," in message
    assert "is the first whose gradient is not" in message
    assert "its largest gradient not finite" in message


def test_a_loss_that_is_the_first() -> None:
    net = Network([Dense(1)], 4, dtype="float64", seed=0)
    outputs = net.predict(X)
    message = failure(net, X, 1e200 * Y, batch_size=None)
    assert (
        "All outputs are finite, but their loss is not: layers[0], Dense(1, 'linear')," in message
    )
    assert f"gives numbers from {outputs.min():.3g} to {outputs.max():.3g}" in message


@pytest.mark.parametrize("weights", [None, np.array([1.0, 0.5])])
def test_an_update_that_is_the_first(weights: Any) -> None:
    net = Network([Dropout(0.0), Dense(1, "linear", "zeros")], 1, seed=0)
    options: dict[str, Any] = {"optimizer": "momentum", "learning_rate": 1e35, "batch_size": 1}
    y = np.array([0.0, 1e4])
    message = failure(net, np.ones((2, 1)), y, shuffle=False, sample_weight=weights, **options)
    assert "outputs and gradients of this mini-batch are finite before the update" in message
    assert "layers[1], Dense(1, 'linear', initializer='zeros'), has the largest gradient" in message
    assert "its largest weight is 0, its largest gradient 2e+04" in message


def test_batch_norm_is_as_in_training() -> None:
    """Its running statistics, as they are at the beginning, would let the inputs through."""
    layers: list[Layer] = [BatchNorm(), Dense(8, "exponential"), Dense(1)]
    net = Network(layers, 4, dtype="float64", seed=0)
    message = failure(net, 1e6 * X, 1e200 * Y, batch_size=None)
    assert "All outputs are finite, but their loss is not: layers[2]" in message


def test_a_layer_without_weights() -> None:
    layers: list[Layer] = [Dense(3), Activation("exponential"), Dense(1)]
    net = Network(layers, 4, dtype="float64", seed=0)
    message = failure(net, 1e4 * X, Y, batch_size=None)
    assert "layers[1], Activation('exponential'), is the first" in message
    assert message.endswith("zeros.")


def test_classes_and_weights_of_samples() -> None:
    layers: list[Layer] = [Dense(3, "exponential"), Dense(3, "softmax")]
    net = Network(layers, 4, seed=0)
    message = failure(net, 1e4 * X, RANDOM.integers(0, 3, 200), class_weight="balanced")
    assert "layers[0], Dense(3, 'exponential'), is the first to leave" in message


def test_nothing_is_changed_by_looking() -> None:
    layers: list[Layer] = [BatchNorm(), Dropout(0.5), Dense(8, "relu"), Dense(1)]
    states = []
    for explains in (True, False):
        net = Network(layers, 4, seed=0)
        with pytest.MonkeyPatch.context() as patch:
            if not explains:
                patch.setattr("fastnn._epochs.explain_failure", lambda *_: "")
            message = failure(net, X, 1e10 * Y, optimizer="sgd", learning_rate=1e9, batch_size=8)
        assert ("layers[" in message) == explains
        states.append((net.parameters.tobytes(), *map(bytes, net.running_statistics[0] or ())))
        net.parameters[:] = 0.01
        net.fit(X, Y, optimizer="adam", learning_rate=1e-3, epochs=1)
        states[-1] += (net.parameters.tobytes(),)
    assert states[0] == states[1]


@pytest.mark.parametrize("error", [MemoryError, ValueError, ZeroDivisionError])
def test_a_failure_of_its_own_does_not_hide_the_first(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(_divergence._Failure, "forward", fail)
    net = Network([Dense(8, "exponential"), Dense(1)], 4, dtype="float64", seed=0)
    message = failure(net, 1e4 * X, Y)
    assert message.startswith("the loss is ")
    assert message.endswith("or begin with a new network.")


def test_it_takes_a_limited_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a full batch, what there is time for: here the first samples alone."""
    monkeypatch.setattr(_divergence, "_SECONDS", -1.0)
    many, y = np.tile(X, (60, 1)), np.tile(Y, 60)
    many[11_500] *= 1e4
    net = Network([Dense(4, "exponential"), Dense(1)], 4, dtype="float64", seed=0)
    message = failure(net, many, y, batch_size=None)
    assert "outputs and gradients of the first 4,096 samples of this mini-batch are" in message


def test_an_error_of_the_users_stays_as_it_is() -> None:
    def stop(*_: Any) -> None:
        raise FloatingPointError("mine")

    call: Callable[..., Any] = stop
    net = Network([Dense(1)], 4, seed=0)
    with pytest.raises(FloatingPointError, match=re.compile("^mine$")):
        net.fit(X, Y, callbacks=call)


# ---- columns on another scale ------------------------------------------------------------------


def ages_and_others(n: int = 300) -> np.ndarray:
    """Columns as they come: an age, an income, a flag that few have, and two standardised ones."""
    random = np.random.default_rng(1)
    return np.column_stack(
        [
            random.uniform(18, 80, n),
            random.lognormal(10.8, 0.5, n),
            random.random(n) < 0.01,
            random.normal(size=(n, 2)),
        ]
    )


def warned(X: Any, layers: list[Layer] | None = None, chunked: bool = False) -> str:
    """The only warning of a first fit."""
    net = Network(layers or [Dense(1)], seed=0)
    y = np.zeros(len(X))
    data = ([(X[:9], y[:9]), (X[9:], y[9:])],) if chunked else (X, y)
    with pytest.warns(ScalingWarning) as warnings_given:
        net.fit(*data, epochs=1, learning_rate=1e-9)
    assert len(warnings_given) == 1
    assert warnings_given[0].filename == __file__
    return str(warnings_given[0].message)


def test_a_large_column_is_named_with_the_remedy() -> None:
    message = warned(ages_and_others())
    assert message.startswith("column 1 of X is more than 1,000 times larger than usual among its ")
    income = np.sqrt(np.mean(ages_and_others()[:, 1] ** 2))
    assert f"a root mean square of {income:.2g}, where the median column has 1" in message
    assert "standardise X" in message
    assert "BatchNorm()" in message


@pytest.mark.parametrize(
    ("change", "which", "what"),
    [
        (lambda X: X[:, [2]] * 5e3, "column 2", "larger"),  # spread
        (lambda X: X[:, [2]] + 5e3, "column 2", "larger"),  # mean
        (lambda X: X[:, [2]] * 1e100, "column 2", "larger"),
        (lambda X: X[:, [2]] * 1e-4, "column 2", "smaller"),
        (lambda X: np.full((len(X), 1), 1e6), "column 2", "larger"),
    ],
)
def test_mean_and_spread_of_a_column(
    change: Callable[[np.ndarray], np.ndarray], which: str, what: str
) -> None:
    data = X.copy()
    data[:, [2]] = change(X)
    net = Network([Dense(1)], dtype="float64", seed=0)
    with pytest.warns(ScalingWarning, match=f"^{which} of X is more than 1,000 times {what} than"):
        net.fit(data, 0 * Y, epochs=1, optimizer="sgd", learning_rate=1e-300)


def test_two_columns_and_the_larger_is_named() -> None:
    data = np.column_stack([X[:, 0], 1e4 * X[:, 1]])
    assert warned(data).startswith("column 1 of X is more than 1,000 times larger")


def test_five_columns_are_named_at_most() -> None:
    data = RANDOM.normal(size=(50, 20))
    data[:, 3:10] *= 1e4
    assert warned(data).startswith("columns 3, 4, 5, 6, 7 and 2 more of X are more than")
    data[:, 5:10] /= 1e4
    assert warned(data).startswith("columns 3 and 4 of X are more than")


def test_a_data_frame_has_names() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(ages_and_others(), columns=["age", "income", "flag", 7, "b"])
    assert warned(frame).startswith("column 1 ('income') of X is")


def test_columns_that_are_named_without_pandas() -> None:
    class Frame:
        """What `fit` asks of a data frame."""

        columns = ("age", "income", "flag", 7, "b")

        def to_numpy(self) -> np.ndarray:
            return ages_and_others()

        def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
            return ages_and_others()

        def __len__(self) -> int:
            return 300

    assert warned(Frame()).startswith("column 1 ('income') of X is")


SPARSE = np.where(RANDOM.random((2000, 30)) < 0.002, 1.0, 0.0)
PIXELS = np.clip(RANDOM.normal(0, 150, (500, 64)) * np.linspace(0, 1, 64), 0, 255).round()
HARMLESS: dict[str, Any] = {
    "standardised": X,
    "one-hot beside standardised": np.column_stack([X[:, :2], np.eye(200)[:, :50]]),
    "rare flags beside ages": np.column_stack([RANDOM.uniform(18, 80, 2000), SPARSE]),
    "pixels": PIXELS,
    "a rare pixel": np.column_stack([PIXELS[:, 32:], np.arange(500) == 7]),
    "sixteen shades of grey as bytes": (PIXELS // 17).astype(np.uint8),
    "columns of ones": np.column_stack([1e5 * X, np.ones((200, 6))]),
    "zeros": np.column_stack([X, np.zeros(200)]),
    "nothing but zeros": np.zeros((10, 3)),
    "constants": np.tile([1.0, 1e6], (10, 1)),
    "one feature": 1e6 * X[:, :1],
    "all of them large": 1e6 * X,
    "ages and dozens": np.column_stack([RANDOM.uniform(18, 80, 200), 12 * X]),
    "one sample": np.array([[1.0, 1e6]]),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_no_false_alarm(name: str) -> None:
    data = HARMLESS[name]
    net = Network([Dense(1)], dtype="float64", seed=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        net.fit(data, np.zeros(len(data)), epochs=1, learning_rate=1e-12)
    assert [str(each.message) for each in caught] == []


def test_none_where_a_batch_norm_brings_all_to_one_scale() -> None:
    net = Network([BatchNorm(), Dense(1)], seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net.fit(ages_and_others(), np.zeros(300), epochs=1)
    assert warned(ages_and_others(), [Dense(2), BatchNorm(), Dense(1)])


BYTES = RANDOM.integers(0, 256, (40, 6)).astype(np.uint8)


@pytest.mark.parametrize("data", [BYTES, BYTES[:, :1], BYTES // 15, (BYTES // 2).view(np.int8)])
def test_bytes_need_a_scale(data: Any) -> None:
    message = warned(data)
    assert message.startswith(f"X has bytes ({data.dtype}) from {data.min()} to {data.max()}, whi")
    remedy = "Rescale(1 / 255)" if data.dtype == np.uint8 else "Rescale(1 / 128)"
    assert message.endswith(remedy)
    assert f"to {data.max()}" in warned(data, chunked=True)


def test_large_bytes_below_0_need_a_scale_too() -> None:
    assert "from -100 to 0," in warned(-(BYTES % 101).view(np.int8))


@pytest.mark.parametrize(
    ("data", "first"),
    [
        (BYTES, Rescale(1 / 255)),
        (BYTES, BatchNorm()),
        (BYTES, LayerNorm()),
        (BYTES % 16, Dense(3)),  # flags, counts, categories
        (-(BYTES % 16).view(np.int8), Dense(3)),
        (BYTES > 127, Dense(3)),
        (BYTES.astype(np.float32), Dense(3)),
        (BYTES.astype(int), Dense(3)),
    ],
)
def test_bytes_that_need_none(data: Any, first: Layer) -> None:
    net = Network([first, Dense(1)], seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = net.fit(data, np.zeros(len(data)), epochs=1, learning_rate=1e-9)
    assert history.n_epochs == 1


def test_one_warning_a_network() -> None:
    data = ages_and_others()
    net = Network([Dense(1)], seed=0)
    options: dict[str, Any] = {"epochs": 1, "learning_rate": 1e-9}
    with pytest.warns(ScalingWarning):
        net.fit(data, np.zeros(300), **options)
    other = Network([Dense(1)], seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net.fit(data, np.zeros(300), **options)
        net.copy().fit(data, np.zeros(300), **options)
        other.partial_fit(data, np.zeros(300), learning_rate=1e-9)
        other.partial_fit(data, np.zeros(300))


def test_a_warning_made_an_error_changes_nothing() -> None:
    net = Network([Dense(1)], n_features=5, seed=0)
    before = net.parameters.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error", ScalingWarning)
        with pytest.raises(ScalingWarning):
            net.fit(ages_and_others(), np.zeros(300), epochs=1)
    assert net.training is None
    assert np.array_equal(net.parameters, before)


def test_a_refused_call_does_not_warn() -> None:
    net = Network([Dense(1)], seed=0)
    with pytest.raises(ValueError, match="y must"):
        net.fit(ages_and_others(), np.zeros(299), epochs=1)


def test_large_data_are_not_read_through() -> None:
    looked_at = []

    class Counting(np.ndarray):
        """Notes how many rows are taken out."""

        def __getitem__(self, index: Any) -> Any:
            if isinstance(index, np.ndarray):
                looked_at.append(len(index))
            return super().__getitem__(index)

    for shape, n_rows in (((5000, 3), 1000), ((500, 3), 500), ((2000, 10_000), 26)):
        _scaling.column_sizes(np.zeros(shape, np.float32).view(Counting))
        assert looked_at.pop() == n_rows

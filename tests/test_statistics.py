"""`Network.statistics`: the activations, the units that do nothing, and the gradients of layers."""

import dataclasses
import sys
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
    PReLU,
    _inference,
    statistics,
)
from fastnn.statistics import LayerStatistics, NetworkStatistics

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(300, 5))
Y = RANDOM.integers(0, 3, 300)
LAYERS: list[Layer] = [
    Dense(8, "relu", l2=0.1),
    BatchNorm(),
    Dropout(0.2),
    Dense(6),
    Activation("tanh"),
    PReLU(),
    LayerNorm(),
    Dense(4, "sigmoid"),
    Dense(3, "softmax"),
]


def trained(dtype: str = "float64") -> Network:
    net = Network(LAYERS, 5, dtype=dtype, seed=0)
    net.fit(X, Y, epochs=3)
    return net


def in_slices(monkeypatch: pytest.MonkeyPatch, net: Network, n_rows: int) -> None:
    """Has statistics look at this many samples at a time."""
    assert net.n_features is not None
    n_numbers = sum(net._architecture.widths(net.n_features))
    monkeypatch.setattr(statistics, "_NUMBERS", n_rows * n_numbers)


@pytest.mark.parametrize("n_rows", [1, 7, 1000])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-12)])
def test_they_are_what_numpy_says(
    monkeypatch: pytest.MonkeyPatch, n_rows: int, dtype: str, tolerance: float
) -> None:
    net = trained(dtype)
    in_slices(monkeypatch, net, n_rows)
    result = net.statistics(X, Y)
    assert isinstance(result, NetworkStatistics)
    assert len(result) == len(net.layers) == 9
    gradients = net.split(net.loss_and_gradients(X, Y)[1])
    for i, (row, a) in enumerate(zip(result, net.forward(X), strict=True)):
        assert row.layer == f"{i}: {net.layers[i]!r}"
        assert row.n_units == a.shape[1]
        assert row.mean == pytest.approx(a.mean(dtype=float), rel=tolerance, abs=tolerance)
        assert row.spread == pytest.approx(a.std(dtype=float), rel=tolerance)
        if net.weights[i].size == 0:
            assert row.weight_norm is row.weight_gradient_norm is None
            assert row.relative_gradient_norm is row.bias_gradient_norm is None
            continue
        norm, dnorm = np.linalg.norm(net.weights[i]), np.linalg.norm(gradients[i][0])
        assert row.weight_norm == pytest.approx(norm, rel=1e-6)
        assert row.weight_gradient_norm == pytest.approx(dnorm, rel=1e-6)
        assert row.relative_gradient_norm == pytest.approx(dnorm / norm, rel=1e-6)
        if net.biases[i].size > 0:
            norm = np.linalg.norm(gradients[i][1])
            assert row.bias_gradient_norm == pytest.approx(norm, rel=1e-6)
        else:
            assert row.bias_gradient_norm is None


def test_without_targets_there_are_no_gradients() -> None:
    net = trained()
    for row, other in zip(net.statistics(X), net.statistics(X, Y), strict=True):
        assert row.weight_gradient_norm is row.bias_gradient_norm is None
        assert row.relative_gradient_norm is None
        names = ("weight_gradient_norm", "bias_gradient_norm", "relative_gradient_norm")
        assert row == dataclasses.replace(other, **dict.fromkeys(names))


@pytest.mark.parametrize("n_rows", [1, 7, 1000])
def test_dead_units(monkeypatch: pytest.MonkeyPatch, n_rows: int) -> None:
    """Of relu: 0 for all samples. Of others: the same for all."""
    layers: list[Layer] = [Dense(4, "relu"), Dense(4, "leaky_relu"), Dense(2)]
    net = Network(layers, 5, seed=0)
    in_slices(monkeypatch, net, n_rows)
    net.weights[0][:, 1:] = 0
    net.biases[0][:] = [0, -1, 0, 2]  # the last one is no use either, but it is not dead
    net.weights[1][:, :3] = 0
    net.biases[1][:] = [0, -1, 2, 0]
    first, second, output = net.statistics(X)
    assert first.dead == 0.5
    assert second.dead == 0.75
    assert output.dead == 0
    one = net.weights[0][:, :1].T  # a sample for which the first unit is above 0
    assert [row.dead for row in net.statistics(one)] == [0.5, None, None]


@pytest.mark.parametrize("n_rows", [3, 1000])
@pytest.mark.parametrize(
    ("activation", "low", "high"),
    [("tanh", -3.1, 3.1), ("sigmoid", -6.1, 6.1)],  # a bit beyond 1 % of the largest derivative
)
def test_saturated_units(
    monkeypatch: pytest.MonkeyPatch, n_rows: int, activation: str, low: float, high: float
) -> None:
    data = np.zeros((100, 1))
    data[:9] = 1.0  # these are never saturated
    net = Network([Dense(4, activation), Activation(activation), Dense(1)], 1, seed=0)
    in_slices(monkeypatch, net, n_rows)
    net.biases[0][:] = [low, high, 0.95 * high, 0]
    net.weights[0][:] = [[-low, -high, 0, 0]]
    rows = net.statistics(data)
    assert rows[0].saturated == 0.5
    assert rows[1].saturated == 0
    assert rows[2].saturated is None
    data[:11] = 1.0  # and now no unit is for more than 90 %
    assert net.statistics(data)[0].saturated == 0


def test_saturated_softmax() -> None:
    net = Network([Dense(3, "softmax")], 5, seed=0)
    assert net.statistics(X)[0].saturated == 0
    net.weights[0][:] = 0
    net.biases[0][:] = [20, 0, 0]
    assert net.statistics(X)[0].saturated == 1
    net.biases[0][:] = [20, 20, 0]
    assert net.statistics(X)[0].saturated == pytest.approx(1 / 3)


def test_weights_of_0_have_no_relative_gradient() -> None:
    net = Network([Dense(1, "linear", "zeros")], 5, seed=0)
    (row,) = net.statistics(X, X.sum(axis=1))
    assert row.weight_norm == 0
    assert row.weight_gradient_norm is not None
    assert row.weight_gradient_norm > 0
    assert row.relative_gradient_norm is None


def test_the_spread_of_numbers_far_from_0() -> None:
    """The mean square minus the squared mean would have no digit right."""
    net = Network([Dense(1)], 1, dtype="float64", seed=0)
    net.weights[0][:], net.biases[0][:] = 1, 1e9
    (row,) = net.statistics(X[:, :1])
    assert row.spread == pytest.approx(X[:, 0].std(), rel=1e-6)


def test_nothing_is_changed() -> None:
    net = trained()
    twin = net.copy()
    net.statistics(X, Y)
    assert net.parameters.tobytes() == twin.parameters.tobytes()
    assert net.fit(X, Y, epochs=2) == twin.fit(X, Y, epochs=2)
    assert net.parameters.tobytes() == twin.parameters.tobytes()


def test_they_are_of_the_same_parameters_while_another_thread_trains(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net = trained()
    in_slices(monkeypatch, net, 50)
    expected = net.statistics(X, Y)
    forward = _inference.forward

    def forward_and_train(*arguments: Any) -> Any:
        net.parameters[:] += 1
        return forward(*arguments)

    monkeypatch.setattr(_inference, "forward", forward_and_train)
    assert net.statistics(X, Y) == expected


# ---- how it is shown ---------------------------------------------------------------------------


def test_it_prints_as_a_table() -> None:
    rows = NetworkStatistics(
        [
            LayerStatistics("0: Dense(8, 'relu')", 8, 0.5, 1.25, 0.125, None, 2.0, 1.0, 3e-6, 0.5),
            LayerStatistics("1: Dropout(0.5)", 8, 0.5, 1.25, None, 0.0, None),
        ]
    )
    assert str(rows).splitlines() == [
        "layer                units    mean  spread   dead  saturated     |W|    |dW|       |db|"
        "  |dW|/|W|",
        "0: Dense(8, 'relu')      8  0.5000  1.2500  12.5%          -  2.0000  1.0000  3.000e-06"
        "    0.5000",
        "1: Dropout(0.5)          8  0.5000  1.2500      -       0.0%       -       -          -"
        "         -",
    ]
    assert repr(rows) == str(rows)
    assert str(NetworkStatistics(rows[1:])).splitlines()[0].endswith("saturated  |W|")


def test_a_layer_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        trained().statistics(X)[0].mean = 0.0  # type: ignore[misc]


def test_it_becomes_a_data_frame() -> None:
    pandas = pytest.importorskip("pandas")
    rows = trained().statistics(X, Y)
    frame = rows.to_frame()
    assert list(frame) == [field.name for field in dataclasses.fields(LayerStatistics)]
    assert frame["layer"].tolist() == [row.layer for row in rows]
    assert frame["mean"].tolist() == [row.mean for row in rows]
    assert frame["weight_norm"].dtype == float
    assert pandas.isna(frame["weight_norm"][2])


def test_without_pandas_it_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"extra 'data' brings it"):
        trained().statistics(X).to_frame()


# ---- wrong inputs ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "targets", "error", "message"),
    [
        (X[:, :4], None, ValueError, "X has 4 features, the network was built for 5"),
        (X[0], None, ValueError, "X must be of shape"),
        (X[:0], None, ValueError, "X must have at least 1 sample"),
        ("text", None, TypeError, "X must be"),
        (np.full((2, 5), np.nan), None, ValueError, r"X\[0, 0\] is NaN"),
        (np.full((2, 5), np.inf), [0, 1], ValueError, r"X\[0, 0\]"),
        (X, Y[:-1], ValueError, "y must"),
        (X, Y + 1, ValueError, "y"),
    ],
)
def test_wrong_inputs(data: Any, targets: Any, error: type[Exception], message: str) -> None:
    net = Network([Dense(4, "relu"), Dense(3, "softmax")], 5, seed=0)
    with pytest.raises(error, match=message):
        net.statistics(data, targets)


def test_a_network_that_is_not_built() -> None:
    with pytest.raises(ValueError, match="the network is not built yet"):
        Network([Dense(1)]).statistics(X)


def test_nan_is_named_by_its_row_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the samples are taken in slices."""
    net = Network([Dense(4), Dense(2)], 5, seed=0)
    net.weights[1][:2] = [[1, 1], [-1, -1]]
    net.weights[0][:] = 1
    in_slices(monkeypatch, net, 10)
    data = X.copy()
    data[123] = 3e38
    with pytest.raises(ValueError, match="the output for row 123 of X is NaN"):
        net.statistics(data)


def test_activations_whose_squares_are_no_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Network([Dense(3), Dense(1)], 2, dtype="float64", seed=0)
    monkeypatch.setattr(statistics, "_NUMBERS", 1)  # a sample at a time
    assert net.statistics(np.array([[1e300, 1e300], [-1e300, 1e300]]))[0].spread == np.inf

"""The gradient check finds right gradients right, wrong ones wrong, and says where."""

import copy
import pickle
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastnn._validation
from fastnn import Dense, GradientCheck, Network, gradient_check
from fastnn.activations import ACTIVATIONS
from fastnn.losses import LOSSES

Array = npt.NDArray[Any]

ELEMENT_WISE = [name for name, row in ACTIVATIONS.items() if not row.output_only]
PAIRS = [
    (output, loss)
    for output, activation in ACTIVATIONS.items()
    for loss, kind in LOSSES.items()
    if output in kind.outputs or not (kind.outputs or activation.output_only)
]


def network(depth: int, hidden: str, output: str, loss: str | None, seed: int = 3) -> Network:
    """Four inputs, three units in each layer, random biases."""
    layers = [Dense(3, hidden)] * (depth - 1) + [Dense(3, output)]
    net = Network(layers, 4, loss=loss, dtype="float64", seed=seed)
    rng = np.random.default_rng(seed)
    for bias in net.biases:
        bias[:] = rng.normal(scale=0.5, size=bias.shape)
    return net


def samples(net: Network, seed: int = 4, n: int = 6) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4))
    kind = net.loss.target_kind(net.layers[-1].activation)
    if kind == "classes":
        return X, rng.integers(3, size=n)
    if kind == "probabilities":
        return X, rng.uniform(size=(n, 3))
    if kind == "signs":
        return X, rng.integers(2, size=(n, 3))
    if kind == "counts":
        return X, rng.poisson(2.0, size=(n, 3))
    return X, 2 * rng.normal(size=(n, net.loss.n_targets(3)))


def test_every_loss_and_activation_is_checked() -> None:
    assert len(PAIRS) == 12 * 5 + 7


MANY = [6, 40, 601]  # rows by themselves; along the samples; the same in two tiles


@pytest.mark.parametrize("n", MANY)
@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize(("output", "loss"), PAIRS)
def test_gradients_by_every_output_and_loss_are_right(
    output: str, loss: str, depth: int, n: int
) -> None:
    net = network(depth, "tanh", output, loss)
    check = gradient_check(net, *samples(net, n=n))
    assert np.linalg.norm(check.gradient) > 1e-4
    assert check <= 1e-7, check


@pytest.mark.parametrize("n", MANY)
@pytest.mark.parametrize("loss", ["mean_squared_error", "binary_cross_entropy"])
@pytest.mark.parametrize("depth", [2, 5])
@pytest.mark.parametrize("hidden", ELEMENT_WISE)
def test_gradients_through_every_hidden_activation_are_right(
    hidden: str, depth: int, loss: str, n: int
) -> None:
    net = network(depth, hidden, "sigmoid", loss)
    if hidden == "exponential":  # whose fourfold iterate is out of range
        net.parameters[:] *= 0.1
    check = gradient_check(net, *samples(net, n=n))
    assert np.linalg.norm(check.gradient[: 4 * 3]) > 1e-6
    assert check <= 1e-7, check


@pytest.mark.parametrize("kind", ["labels", "rows"])
def test_gradients_for_labels_and_for_probabilities_are_right(kind: str) -> None:
    net = network(2, "tanh", "softmax", None)
    X, y = samples(net)
    targets = y if kind == "labels" else np.random.default_rng(0).dirichlet(np.ones(3), size=6)
    assert gradient_check(net, X, targets) <= 1e-7


def test_check_leaves_the_network_as_it_was() -> None:
    net = network(2, "relu", "linear", None)
    before = pickle.dumps(net)
    gradient_check(net, *samples(net))
    assert pickle.dumps(net) == before


def test_float32_network_is_checked_in_float64() -> None:
    net = network(2, "tanh", "linear", None).copy("float32")
    check = gradient_check(net, *samples(net))
    assert check <= 1e-7
    assert check.gradient.dtype == check.differences.dtype == np.float64


def wrong_at(index: int, factor: float) -> type[Network]:
    """Networks whose gradient is wrong in one place."""

    class Wrong(Network):
        def loss_and_gradients(self, X: Any, y: Any) -> tuple[float, Array]:
            loss, gradient = super().loss_and_gradients(X, y)
            gradient[index] *= factor
            return loss, gradient

        def copy(self, dtype: Any = None) -> Network:
            wrong = super().copy(dtype)
            wrong.__class__ = Wrong
            return wrong

    return Wrong


@pytest.mark.parametrize(
    ("index", "name"),
    [
        (0, "weights[0][0, 0]"),
        (4, "weights[0][1, 1]"),
        (11, "weights[0][3, 2]"),
        (12, "biases[0][0]"),
        (14, "biases[0][2]"),
        (15, "weights[1][0, 0]"),
        (22, "weights[1][2, 1]"),
        (24, "biases[1][0]"),
        (26, "biases[1][2]"),
    ],
)
@pytest.mark.parametrize("factor", [-1, 0.99])
def test_worst_parameter_is_named(index: int, name: str, factor: float) -> None:
    net = network(2, "tanh", "linear", None)
    X, y = samples(net)
    right = net.loss_and_gradients(X, y)[1][index]
    net.__class__ = wrong_at(index, factor)
    check = gradient_check(net, X, y)
    assert check > 1e-5
    assert check.worst == name
    assert check.worst_index == index
    assert name in repr(check)
    assert check.gradient[index] == pytest.approx(factor * right)
    assert check.differences[index] == pytest.approx(right, rel=1e-6)
    expected = abs(factor * right - right) / (abs(factor * right) + abs(right))
    assert check.worst_difference == pytest.approx(expected, rel=1e-3)


def test_figure_is_the_course_s_relative_difference() -> None:
    net = network(2, "tanh", "linear", None)
    net.__class__ = wrong_at(3, 2.0)
    check = gradient_check(net, *samples(net))
    assert isinstance(check, float)
    g, d = check.gradient, check.differences
    expected = np.linalg.norm(g - d) / (np.linalg.norm(g) + np.linalg.norm(d))
    assert float(check) == pytest.approx(expected, rel=1e-12)


def test_network_that_forgets_a_layer_is_found_wrong() -> None:
    net = network(2, "tanh", "linear", None)

    class Wrong(Network):
        def loss_and_gradients(self, X: Any, y: Any) -> tuple[float, Array]:
            loss, gradient = super().loss_and_gradients(X, y)
            gradient[: 4 * 3 + 3] = 0
            return loss, gradient

        def copy(self, dtype: Any = None) -> Network:
            wrong = super().copy(dtype)
            wrong.__class__ = Wrong
            return wrong

    net.__class__ = Wrong
    assert gradient_check(net, *samples(net)) > 1e-3


@pytest.mark.parametrize("hidden", ["relu", "leaky_relu"])
@pytest.mark.parametrize("distance", [1e-7, -1e-7, 3e-8, -3e-8])
def test_kink_near_by_does_not_make_a_right_gradient_wrong(hidden: str, distance: float) -> None:
    net = Network([Dense(1, hidden), Dense(1, "linear")], 1, dtype="float64", seed=0)
    net.parameters[:] = [1, distance - 1, 1, 0]  # the logit of X = 1 is `distance`
    check = gradient_check(net, [[1.0]], [1.0])
    assert check <= 1e-6, check


def test_kink_of_the_absolute_error_is_stepped_around() -> None:
    net = Network([Dense(1, "linear")], 1, loss="mae", dtype="float64")
    net.parameters[:] = [1, 1e-7]
    assert gradient_check(net, [[1.0]], [1.0]) <= 1e-6


def test_zero_gradient_is_right() -> None:
    net = Network([Dense(1, "linear", "zeros")], 2, dtype="float64")
    check = gradient_check(net, [[1.0, 2.0]], [0.0])
    assert check <= 1e-7
    np.testing.assert_array_equal(check.gradient, 0)


def test_result_can_be_copied_and_pickled() -> None:
    net = network(1, "tanh", "linear", None)
    check = gradient_check(net, *samples(net))
    for twin in (copy.copy(check), copy.deepcopy(check), pickle.loads(pickle.dumps(check))):
        assert isinstance(twin, GradientCheck)
        assert twin == check
        assert repr(twin) == repr(check)


@pytest.mark.parametrize("net", [None, "net", Network, [1.0]])
def test_net_must_be_a_network(net: Any) -> None:
    with pytest.raises(TypeError, match="net must be a Network"):
        gradient_check(net, [[1.0]], [1.0])


def test_samples_are_checked_as_by_fit() -> None:
    net = network(1, "tanh", "linear", None)
    X, y = samples(net)
    with pytest.raises(ValueError, match="X has 3 features, the network was built for 4"):
        gradient_check(net, X[:, :3], y)
    with pytest.raises(ValueError, match="y must be of shape"):
        gradient_check(net, X, y[:-1])
    with pytest.raises(ValueError, match="X must be finite"):
        gradient_check(net, np.full_like(X, np.nan), y)


# ---- large networks ------------------------------------------------------------------------------


def test_some_parameters_are_drawn_from_a_large_network() -> None:
    net = network(3, "tanh", "linear", None)
    X, y = samples(net)
    whole = gradient_check(net, X, y)
    assert whole.n_checked == net.n_parameters == 39
    assert "of 39" not in repr(whole)
    some = gradient_check(net, X, y, max_parameters=10)
    checked = np.isfinite(some.differences)
    assert some.n_checked == checked.sum() == 10
    assert some <= 1e-7
    assert "10 of 39 parameters" in repr(some)
    assert checked[some.worst_index]
    np.testing.assert_array_equal(some.gradient, whole.gradient)
    np.testing.assert_array_equal(some.differences[checked], whole.differences[checked])
    g, d = some.gradient[checked], some.differences[checked]
    expected = np.linalg.norm(g - d) / (np.linalg.norm(g) + np.linalg.norm(d))
    assert float(some) == pytest.approx(expected, rel=1e-12)
    again = gradient_check(net, X, y, max_parameters=10)
    np.testing.assert_array_equal(again.differences, some.differences)
    assert gradient_check(net, X, y, max_parameters=39).n_checked == 39
    assert gradient_check(net, X, y, max_parameters=1000).n_checked == 39
    assert gradient_check(net, X, y, max_parameters=None).n_checked == 39


def test_large_network_is_checked_in_seconds_by_default() -> None:
    net = Network.from_sizes([12288, 20, 1], hidden="tanh", dtype="float64", seed=0)
    X = np.random.default_rng(0).uniform(size=(1, 12288))
    assert gradient_check(net, X, [1]).n_checked == 4000


def test_draw_does_not_touch_the_global_random_state() -> None:
    before = pickle.dumps(np.random.get_state())  # noqa: NPY002
    net = network(2, "tanh", "linear", None)
    gradient_check(net, *samples(net), max_parameters=5)
    assert pickle.dumps(np.random.get_state()) == before  # noqa: NPY002


def test_progress_is_shown_where_it_is_asked_for(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    net = network(2, "tanh", "linear", None)
    quiet = gradient_check(net, *samples(net))
    assert capfd.readouterr() == ("", "")
    shown = gradient_check(net, *samples(net), progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "27/27" in err.replace(".0", "")
    assert "parameters" in err
    np.testing.assert_array_equal(shown.differences, quiet.differences)


@pytest.mark.parametrize("value", [0, -1, 2.5, "all", True])
def test_max_parameters_must_be_a_positive_integer(value: Any) -> None:
    net = network(1, "tanh", "linear", None)
    with pytest.raises((TypeError, ValueError), match="max_parameters must be"):
        gradient_check(net, *samples(net), max_parameters=value)
    with pytest.raises(TypeError, match="progress must be"):
        gradient_check(net, *samples(net), progress="yes")  # type: ignore[arg-type]


def test_samples_are_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    net = network(2, "tanh", "linear", None)
    calls = []
    checked = fastnn._validation.samples
    monkeypatch.setattr(
        fastnn._validation, "samples", lambda *a, **kw: (calls.append(1), checked(*a, **kw))[1]
    )
    gradient_check(net, *samples(net))
    assert len(calls) <= 2

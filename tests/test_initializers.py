"""Initial weights: their distribution, and that they repeat."""

from typing import Any

import numpy as np
import pytest

from fastnn import Dense, Network, Normal
from fastnn.initializers import INITIALIZERS, draw_weights

N_IN, N_OUT = 300, 200

# The variances that the papers ask for.
VARIANCES = {
    "he_normal": 2 / N_IN,
    "he_uniform": 2 / N_IN,
    "glorot_normal": 2 / (N_IN + N_OUT),
    "glorot_uniform": 2 / (N_IN + N_OUT),
    "lecun_normal": 1 / N_IN,
    "lecun_uniform": 1 / N_IN,
    "normal": 0.01**2,
    "zeros": 0,
}


def draw(initializer: str | Normal, seed: int = 0) -> Any:
    return draw_weights(initializer, N_IN, N_OUT, np.random.default_rng(seed))


def test_every_initializer_is_tested() -> None:
    assert list(VARIANCES) == list(INITIALIZERS)


@pytest.mark.parametrize("name", VARIANCES)
def test_weights_have_mean_zero_and_the_variance_of_the_paper(name: str) -> None:
    weights = draw(name)
    assert weights.shape == (N_IN, N_OUT)
    assert weights.dtype == np.float64
    deviation = np.sqrt(VARIANCES[name])
    # 5 standard errors of mean and (for normal numbers) variance of 60,000 numbers
    assert abs(weights.mean()) <= 5 * deviation / np.sqrt(weights.size)
    assert weights.var() == pytest.approx(VARIANCES[name], rel=5 * np.sqrt(2 / weights.size))


@pytest.mark.parametrize("name", [name for name in VARIANCES if name != "zeros"])
def test_shape_of_the_distribution(name: str) -> None:
    scaled = np.abs(draw(name)) / np.sqrt(VARIANCES[name])
    if name.endswith("uniform"):
        assert scaled.max() <= np.sqrt(3) * (1 + 1e-12)
        assert np.mean(scaled < np.sqrt(3) / 2) == pytest.approx(0.5, abs=0.01)
    else:
        assert scaled.max() > 3.5
        assert np.mean(scaled < 1) == pytest.approx(0.6827, abs=0.01)


def test_normal_has_the_scale_given() -> None:
    assert draw(Normal(3.0)).std() == pytest.approx(3, rel=0.02)
    np.testing.assert_array_equal(draw(Normal(0.01)), draw("normal"))
    np.testing.assert_allclose(draw(Normal(2)), 200 * draw(Normal(0.01)), rtol=1e-12)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_network_uses_the_initializer_of_each_layer(name: str) -> None:
    layers = [Dense(N_OUT, "tanh", name), Dense(1, "linear", Normal(5))]
    net = Network(layers, N_IN, seed=0, dtype="float64")
    assert net.weights[0].var() == pytest.approx(VARIANCES[name], rel=0.05)
    assert net.weights[1].std() == pytest.approx(5, rel=0.3)


def test_layers_get_different_numbers() -> None:
    net = Network.from_sizes([8, 8, 8], output="relu", seed=0)
    assert np.all(net.weights[0] != net.weights[1])


@pytest.mark.parametrize(
    ("scale", "error"),
    [
        (0, ValueError),
        (-1.0, ValueError),
        (np.nan, ValueError),
        (np.inf, ValueError),
        (10**400, ValueError),
        ("0.1", TypeError),
        (None, TypeError),
        (True, TypeError),
        ([0.1], TypeError),
        (1j, TypeError),
    ],
)
def test_scale_of_normal_is_checked(scale: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="scale"):
        Normal(scale)


def test_a_tiny_scale_is_drawn_whatever_the_error_state_of_numpy() -> None:
    random = np.random.default_rng(0)
    with np.errstate(all="raise"):
        weights = draw_weights(Normal(1e-320), 3, 2, random)
    assert 0 < np.abs(weights).max() < 1e-319

"""Keras: the same numbers there and back."""

import os
import random
from typing import Any

import numpy as np
import pytest
from exchange_networks import difference, random_network, rows_for, same_numbers

from fastnn import Activation, BatchNorm, Dense, Dropout, GaussianNoise, LayerNorm, Network, PReLU
from fastnn.activations import ACTIVATIONS
from fastnn.exchange import from_keras, to_keras

if "KERAS_BACKEND" not in os.environ:
    pytest.importorskip("torch")
    os.environ["KERAS_BACKEND"] = "torch"
keras: Any = pytest.importorskip("keras")
kinds: Any = keras.layers

# Keras 3.15 makes arrays of its variables in a way that NumPy 2 deprecates
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def run(model: Any, X: Any) -> Any:
    return model.predict(X, verbose=0, batch_size=len(X))


@pytest.mark.parametrize("number", range(50))
def test_keras_computes_the_same(number: int) -> None:
    net = random_network(number)
    model = to_keras(net)
    X = rows_for(net)
    assert difference(net.predict_proba(X), run(model, X)) <= 1e-6
    again = from_keras(model)
    assert same_numbers(again, net)
    np.testing.assert_array_equal(again.predict_proba(X), net.predict_proba(X))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_in_float64(name: str) -> None:
    # With PyTorch as backend, Keras multiplies matrices in float32 whatever their dtype
    net = Network([Dense(6, name)], n_features=5, dtype="float64", seed=0)
    model, X = to_keras(net), rows_for(net)
    assert all(weight.dtype == "float64" for weight in model.weights)
    theirs = np.asarray(keras.ops.convert_to_numpy(model(X)))
    assert difference(net.predict_proba(X), theirs) <= 1e-6
    again = from_keras(model)
    assert again.layers == net.layers
    assert again.dtype == np.float64
    assert same_numbers(again, net)


def test_layers_come_back() -> None:
    layers = [
        GaussianNoise(0.1), Dense(4), BatchNorm(0.7, 1e-3), Activation("silu"), Dropout(0.2),
        Dense(4), LayerNorm(1e-4), PReLU(), Activation("leaky_relu"), Dense(2, "softmax"),
    ]  # fmt: skip
    net = Network(layers, n_features=3, seed=0)
    assert list(from_keras(to_keras(net)).layers) == layers
    assert from_keras(to_keras(Network([Dense(1)], 1)), loss="huber").loss.name == "huber"


def test_pythons_random_state_is_left_alone() -> None:
    net, before = random_network(2), random.getstate()
    to_keras(net)
    assert random.getstate() == before


def test_forms_that_users_write() -> None:
    inputs = keras.Input((2, 2))
    x = kinds.Flatten()(inputs)
    x = keras.Sequential([keras.Input((4,)), kinds.Dense(3, use_bias=False), kinds.ReLU()])(x)
    x = kinds.BatchNormalization(scale=False)(x)
    x = kinds.LayerNormalization(center=False)(x)
    x = kinds.ELU()(x)
    outputs = kinds.Softmax()(kinds.Dense(2)(x))
    model = keras.Model(inputs, outputs)
    net = from_keras(model)
    assert net.layers == (
        Dense(3, "relu"), BatchNorm(0.99, 1e-3), LayerNorm(1e-3), Activation("elu"),
        Dense(2, "softmax"),
    )  # fmt: skip
    X = np.random.default_rng(0).normal(size=(9, 2, 2)).astype(np.float32)
    assert difference(net.predict_proba(X.reshape(9, 4)), run(model, X)) <= 1e-6


def branched() -> Any:
    inputs = keras.Input((3,))
    x = kinds.Dense(3)(inputs)
    return keras.Model(inputs, kinds.Dense(2)(kinds.Add()([x, inputs])))


def twice() -> Any:
    inputs, dense = keras.Input((3,)), kinds.Dense(3)
    return keras.Model(inputs, dense(dense(inputs)))


def with_nan() -> Any:
    model = keras.Sequential([keras.Input((3,)), kinds.Dense(2)])
    model.layers[0].set_weights([np.full((3, 2), np.nan), np.zeros(2)])
    return model


def with_lora() -> Any:
    model = sequential(kinds.Dense(3))
    model.layers[0].enable_lora(2)
    return model


def quantized() -> Any:
    model = sequential(kinds.Dense(3))
    model.layers[0].quantize("float8")
    return model


class Twice(keras.Sequential):  # type: ignore[misc]
    def call(self, *arguments: Any, **options: Any) -> Any:
        return 2 * super().call(*arguments, **options)


def sequential(*layers: Any, shape: tuple[int, ...] = (3,)) -> Any:
    return keras.Sequential([keras.Input(shape), *layers, kinds.Dense(2)])


REFUSED = {
    r"\(AlphaDropout\): fastnn has no such layer": lambda: sequential(kinds.AlphaDropout(0.1)),
    "got relu6": lambda: sequential(kinds.Dense(3, "relu6")),
    "got leaky_relu; a leaky ReLU is a layer": lambda: sequential(kinds.Dense(3, "leaky_relu")),
    "negative_slope must be 0.01, got 0.3": lambda: sequential(kinds.LeakyReLU(0.3)),
    "max_value must be None, got 6": lambda: sequential(kinds.ReLU(max_value=6)),
    "alpha must be 1, got 2": lambda: sequential(kinds.ELU(2)),
    "rms_scaling must be False": lambda: sequential(kinds.LayerNormalization(rms_scaling=True)),
    "must be the first layer": lambda: sequential(kinds.Dense(3), kinds.Flatten()),
    "does not take the output": branched,
    "its output must be that of its last layer": twice,
    "whose layers are not known to be a chain": lambda: Twice([keras.Input((3,)), kinds.Dense(1)]),
    "not built yet": lambda: keras.Sequential([kinds.Dense(3)]),
    "weights must be finite": with_nan,
    "must have a kernel and a bias alone, got 4 arrays": with_lora,
    "alone, got 8 arrays": quantized,
    "must not be the last layer": lambda: keras.Sequential(
        [keras.Input((3,)), kinds.Dense(2), kinds.Dropout(0.1)]
    ),
    "activation must not be softmax": lambda: sequential(kinds.PReLU(), kinds.Softmax()),
}


@pytest.mark.filterwarnings("ignore:You passed `rms_scaling:UserWarning")
@pytest.mark.parametrize("text", REFUSED)
def test_what_fastnn_has_not_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=text):
        from_keras(REFUSED[text]())


def test_rows_of_more_axes_are_refused() -> None:
    with pytest.raises(ValueError, match="input must be rows"):
        from_keras(sequential(kinds.Dense(2), shape=(3, 3)))


def test_other_objects_are_refused() -> None:
    with pytest.raises(TypeError, match="model must be a Keras model, got int"):
        from_keras(3)

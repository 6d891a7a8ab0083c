"""Layers: small, frozen, checked descriptions."""

import copy
import dataclasses
import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from fastnn import Dense, Network, Normal
from fastnn.activations import ACTIVATIONS


def test_defaults() -> None:
    layer = Dense(3)
    assert (layer.n_units, layer.activation, layer.initializer) == (3, "linear", None)


def test_layers_are_values() -> None:
    assert Dense(3, "relu") == Dense(3, "relu")
    assert hash(Dense(3, "relu", Normal(0.1))) == hash(Dense(3, "relu", Normal(0.1)))
    different = {
        Dense(3),
        Dense(4),
        Dense(3, "relu"),
        Dense(3, "relu", "zeros"),
        Dense(3, "relu", Normal(0.1)),
        Dense(3, "relu", Normal(0.2)),
    }
    assert len(different) == 6


def test_layers_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Dense(3).n_units = 4  # type: ignore[misc]


@pytest.mark.parametrize(
    "layer",
    [
        Dense(3),
        Dense(5, "relu"),
        Dense(2, "softmax", "glorot_uniform"),
        Dense(1, "tanh", Normal(0.5)),
        Dense(np.int64(7), "tanh"),
        Dense(2, np.str_("tanh"), np.str_("zeros")),
        Dense(2, "tanh", Normal(np.float64(0.5))),
    ],
)
def test_repr_and_pickle_rebuild_the_layer(layer: Dense) -> None:
    assert eval(repr(layer), {"Dense": Dense, "Normal": Normal}) == layer
    assert pickle.loads(pickle.dumps(layer)) == layer
    assert copy.deepcopy(layer) == layer


def test_n_units_becomes_an_int() -> None:
    assert type(Dense(np.int16(3)).n_units) is int


@pytest.mark.parametrize(
    ("activation", "initializer"),
    [
        *((name, "he_normal") for name in ("relu", "leaky_relu", "elu", "gelu", "silu", "mish")),
        ("selu", "lecun_normal"),
        *((name, "glorot_uniform") for name in ("linear", "sigmoid", "tanh", "softmax")),
    ],
)
def test_initializer_follows_the_activation(activation: str, initializer: str) -> None:
    chosen = Dense(3, activation).chosen_initializer
    assert isinstance(chosen, str)
    assert chosen.split("_")[0] == initializer.split("_")[0]


def test_named_initializer_is_chosen() -> None:
    assert Dense(3, "relu", "zeros").chosen_initializer == "zeros"
    assert Dense(3, "relu", Normal(2)).chosen_initializer == Normal(2)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_can_be_named(activation: str) -> None:
    assert Dense(2, activation).activation == activation


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("ReLU", "relu"),
        ("Sigmoid", "sigmoid"),
        ("logistic", "sigmoid"),
        ("Leaky ReLU", "leaky_relu"),
        ("LeakyReLU", "leaky_relu"),
        ("leaky-relu", "leaky_relu"),
        ("swish", "silu"),
        ("SiLU", "silu"),
        ("Identity", "linear"),
        ("TANH", "tanh"),
    ],
)
def test_activations_are_known_as_people_type_them(typed: str, name: str) -> None:
    assert Dense(2, typed) == Dense(2, name)
    assert type(Dense(2, typed).activation) is str


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("he", "he_normal"),
        ("He Normal", "he_normal"),
        ("kaiming", "he_normal"),
        ("kaiming_uniform", "he_uniform"),
        ("xavier", "glorot_uniform"),
        ("Glorot", "glorot_uniform"),
        ("xavier_normal", "glorot_normal"),
        ("LeCun", "lecun_normal"),
        ("Zeros", "zeros"),
    ],
)
def test_initializers_are_known_as_people_type_them(typed: str, name: str) -> None:
    assert Dense(2, "tanh", typed) == Dense(2, "tanh", name)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((0,), ValueError, "n_units"),
        ((-3,), ValueError, "n_units must be a positive integer.* got -3"),
        ((2**31,), ValueError, "n_units"),
        ((2**70,), ValueError, "n_units"),
        ((3.0,), TypeError, "n_units"),
        ((True,), TypeError, "n_units"),
        ((np.bool_(True),), TypeError, "n_units"),
        (("3",), TypeError, "n_units"),
        ((None,), TypeError, "n_units"),
        (([3],), TypeError, "n_units"),
        ((np.array(3),), TypeError, "n_units"),
        ((3, "rely"), ValueError, "activation.*relu.*'rely'"),
        ((3, "RELUU"), ValueError, "activation.*got 'RELUU'; did you mean 'relu'"),
        ((3, "xyzzy"), ValueError, "softmax, prelu, got 'xyzzy'$"),
        ((3, None), TypeError, "activation"),
        ((3, ["relu"]), TypeError, "activation"),
        ((3, np.tanh), TypeError, "activation"),
        ((3, "relu", "hee"), ValueError, "initializer.*he_normal.*'hee'"),
        ((3, "relu", 0.01), TypeError, "initializer"),
        ((3, "relu", np.zeros((2, 3))), TypeError, "initializer"),
        ((3, "relu", Normal), TypeError, "initializer"),
    ],
)
def test_bad_arguments_are_named(
    arguments: tuple[Any, ...], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Dense(*arguments)


class Unchecked(Dense):
    def __post_init__(self) -> None:
        pass


class Fickle(Sequence[Dense]):
    """Other layers each time it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: Any) -> Any:
        self.asked += 1
        if index >= len(self):
            raise IndexError
        return Dense(3, "softmax") if self.asked > 3 or index == 1 else Dense(3, "tanh")


def from_nothing(**values: Any) -> Dense:
    layer = object.__new__(Dense)
    for name, value in values.items():
        object.__setattr__(layer, name, value)
    return layer


@pytest.mark.parametrize(
    ("layer", "error", "message"),
    [
        (
            Unchecked(0),
            ValueError,
            r"^layers\[1\]: n_units must be a positive integer of .*, got 0$",
        ),
        (Unchecked(-1), ValueError, r"^layers\[1\]: n_units"),
        (Unchecked(2**40), ValueError, r"^layers\[1\]: n_units"),
        (Unchecked(3.5), TypeError, r"^layers\[1\]: n_units"),  # type: ignore[arg-type]
        (Unchecked(3, "nothing"), ValueError, r"^layers\[1\]: activation must be one of"),
        (Unchecked(3, "tanh", 5), TypeError, r"^layers\[1\]: initializer"),  # type: ignore[arg-type]
        (from_nothing(), TypeError, r"^layers\[1\]: n_units must be .* got None"),
        (from_nothing(n_units=0), ValueError, r"^layers\[1\]: n_units"),
    ],
)
def test_networks_check_the_layers_again(
    layer: Dense, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Network([Dense(3), layer, Dense(1)], n_features=2)


def test_networks_take_the_fields_of_subclasses() -> None:
    net = Network([Unchecked(np.int8(3), "ReLU"), Dense(1)], n_features=2, seed=0)  # type: ignore[arg-type]
    assert net.layers == (Dense(3, "relu"), Dense(1))
    assert pickle.loads(pickle.dumps(net)).layers == net.layers


def test_networks_read_their_layers_once() -> None:
    net = Network(Fickle(), n_features=2, seed=0)
    assert net.layers == (Dense(3, "tanh"), Dense(3, "softmax"))

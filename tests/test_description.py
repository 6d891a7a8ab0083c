"""Descriptions from a file or a pickle are refused where an argument would be."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fastnn import Adam, Dense, Network, Normal, _files

Array = npt.NDArray[Any]
Parts = tuple[dict[str, Any], dict[str, Array]]


def parts(optimizer: Any = "adam") -> Parts:
    """Description and tensors of a trained network of 4-5-3-1."""
    layers = [Dense(5, "tanh"), Dense(3, "relu", Normal(0.5)), Dense(1, "sigmoid")]
    net = Network(layers, n_features=4, seed=0)
    X = np.random.default_rng(0).normal(size=(20, 4))
    net.fit(X, X[:, 0] > 0, epochs=2, batch_size=8, optimizer=optimizer)
    description, tensors, *_ = net.__reduce__()[1]
    return description, tensors


def load(parts: Parts, folder: Path) -> Network:
    _files.write_model(folder / "net", *parts)
    return Network.load(folder / "net")


def unpickle(parts: Parts, folder: Path) -> Network:
    """What a crafted pickle does: it calls the function that a pickled network names."""
    rebuild, arguments, *_ = Network([Dense(1)], 1, seed=0).__reduce__()
    return rebuild(*pickle.loads(pickle.dumps(parts)), *arguments[2:])  # type: ignore[no-any-return, operator]


WAYS = {"load": load, "unpickle": unpickle}


def with_change(value: Any, *path: Any) -> dict[str, Any]:
    """The description with another value in one place."""
    description = copy.deepcopy(parts()[0])
    place = description
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return description


def without(*path: Any) -> dict[str, Any]:
    description = copy.deepcopy(parts()[0])
    place = description
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    return description


LAYER = {"kind": "Dense", "n_units": 5, "activation": "tanh", "initializer": None}

BAD_DESCRIPTIONS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "unknown key": with_change(1, "colour"),
    "no layers": with_change([], "layers"),
    "layers are an object": with_change({"0": LAYER}, "layers"),
    "layers are text": with_change("Dense(5)", "layers"),
    "a layer is a number": with_change(5, "layers", 0),
    "a layer with an unknown field": with_change("x", "layers", 0, "name"),
    "a layer without a field": without("layers", 0, "initializer"),
    "units are a float": with_change(5.0, "layers", 0, "n_units"),
    "units are true": with_change(True, "layers", 2, "n_units"),
    "units are text": with_change("5", "layers", 0, "n_units"),
    "units beyond the limit": with_change(2**31, "layers", 0, "n_units"),
    "other units": with_change(6, "layers", 0, "n_units"),
    "activation is unknown": with_change("__import__", "layers", 0, "activation"),
    "activation is a list": with_change(["relu"], "layers", 0, "activation"),
    "softmax in the middle": with_change("softmax", "layers", 0, "activation"),
    "initializer is unknown": with_change("\ud800", "layers", 0, "initializer"),
    "initializer with an unknown field": with_change(1.0, "layers", 1, "initializer", "mean"),
    "initializer without a field": with_change({}, "layers", 1, "initializer"),
    "scale is negative": with_change(-1.0, "layers", 1, "initializer", "scale"),
    "scale is beyond float": with_change(10**400, "layers", 1, "initializer", "scale"),
    "n_features is null": with_change(None, "n_features"),
    "n_features is a float": with_change(4.0, "n_features"),
    "n_features is true": with_change(True, "n_features"),
    "n_features is another": with_change(5, "n_features"),
    "n_features is huge": with_change(10**4000, "n_features"),
    "loss is null": with_change({"name": None}, "loss"),
    "loss does not fit": with_change({"name": "categorical_cross_entropy"}, "loss"),
    "loss is a number": with_change(0, "loss"),
    "loss is text": with_change("mean_squared_error", "loss"),
    "loss is unknown": with_change({"name": "cosine"}, "loss"),
    "loss has no parameter": with_change({"name": "huber"}, "loss"),
    "loss has another parameter": with_change({"name": "huber", "gamma": 1.0}, "loss"),
    "loss has a wrong parameter": with_change({"name": "huber", "delta": 0.0}, "loss"),
    "loss has other levels than outputs": with_change(
        {"name": "quantile", "levels": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]}, "loss"
    ),
    "dtype is the other": with_change("float64", "dtype"),
    "dtype in another spelling": with_change("<f4", "dtype"),
    "dtype is a structure": with_change([["a", "f4"]], "dtype"),
    "dtype is null": with_change(None, "dtype"),
    "seed is negative": with_change(-1, "seed"),
    "seed is a float": with_change(0.0, "seed"),
    "seed is null": with_change(None, "seed"),
    "seed beyond 128 bits": with_change(2**128, "seed"),
    "random_state is null": with_change(None, "random_state"),
    "random_state is empty": with_change({}, "random_state"),
    "random_state of another kind": with_change("MT19937", "random_state", "bit_generator"),
    "random_state with an unknown key": with_change(0, "random_state", "key"),
    "state beyond 128 bits": with_change(2**128, "random_state", "state", "state"),
    "state is negative": with_change(-1, "random_state", "state", "state"),
    "state is a float": with_change(1.5, "random_state", "state", "state"),
    "state is text": with_change("1", "random_state", "state"),
    "state without inc": without("random_state", "state", "inc"),
    "inc is even": with_change(2, "random_state", "state", "inc"),
    "inc beyond 128 bits": with_change(2**128 + 1, "random_state", "state", "inc"),
    "has_uint32 is 2": with_change(2, "random_state", "has_uint32"),
    "has_uint32 is true": with_change(True, "random_state", "has_uint32"),
    "uinteger beyond 32 bits": with_change(2**32, "random_state", "uinteger"),
    "uinteger is null": with_change(None, "random_state", "uinteger"),
    "n_updates is true": with_change(True, "n_updates"),
    "n_updates is a float": with_change(2.0, "n_updates"),
    "n_updates is negative": with_change(-1, "n_updates"),
    "n_updates is huge": with_change(2**64, "n_updates"),
    "n_updates is missing": without("n_updates"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", BAD_DESCRIPTIONS)
def test_description_that_the_constructor_would_refuse_is_refused(
    name: str, way: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="not a network that this version can read"):
        WAYS[way]((BAD_DESCRIPTIONS[name], parts()[1]), tmp_path)


N = 47


def with_value(value: float, name: str, index: Any) -> dict[str, Array]:
    tensors = parts()[1]
    tensors[name][index] = value
    return tensors


BAD_TENSORS: dict[str, tuple[Callable[[], dict[str, Array]], str]] = {
    "none": (dict, "parameters"),
    "no slots": (lambda: {"parameters": parts()[1]["parameters"]}, "slots"),
    "one too many": (lambda: {**parts()[1], "extra": np.zeros(1)}, "extra"),
    "parameters of another shape": (
        lambda: {**parts()[1], "parameters": np.zeros((1, N), np.float32)},
        "parameters must be",
    ),
    "parameters of another length": (
        lambda: {**parts()[1], "parameters": np.zeros(N - 1, np.float32)},
        "parameters must be",
    ),
    "parameters of another dtype": (
        lambda: {**parts()[1], "parameters": np.zeros(N, np.float64)},
        "parameters must be",
    ),
    "slots of another shape": (
        lambda: {**parts()[1], "slots": np.zeros((N, 2), np.float32)},
        "slots must be",
    ),
    "slots of another dtype": (
        lambda: {**parts()[1], "slots": np.zeros((2, N), np.float64)},
        "slots must be",
    ),
    "slots of integers": (
        lambda: {**parts()[1], "slots": np.zeros((2, N), np.int32)},
        "slots must be",
    ),
    "a weight is NaN": (
        lambda: with_value(np.nan, "parameters", 25 + 7),
        r"weights\[1\]\[2, 1\] is NaN",
    ),
    "a bias is infinite": (
        lambda: with_value(-np.inf, "parameters", 20),
        r"biases\[0\]\[0\] is -inf",
    ),
    "a slot is NaN": (lambda: with_value(np.nan, "slots", (1, 46)), "slots must be finite"),
    "a slot is infinite": (lambda: with_value(np.inf, "slots", (1, 46)), "slots must be finite"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", BAD_TENSORS)
def test_tensors_that_do_not_fit_are_refused(name: str, way: str, tmp_path: Path) -> None:
    tensors, message = BAD_TENSORS[name]
    with pytest.raises(ValueError, match=message):
        WAYS[way]((parts()[0], tensors()), tmp_path)


def wrapping(sizes: list[int]) -> dict[str, Any]:
    layers = [dict(LAYER, n_units=n) for n in sizes[1:]]
    return {
        **parts()[0],
        "layers": layers,
        "n_features": sizes[0],
        "loss": {"name": "mean_squared_error"},
    }


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("n_numbers", [1, 47])
@pytest.mark.parametrize(
    "sizes",
    [
        [1, *[2**31 - 1] * 5, 2, 1],
        [2**31 - 1, 2**31 - 1, 2**31 - 1],
        [2**31 - 1] * 1000,
    ],
    ids=["wraps to 1", "beyond an array", "long"],
)
def test_sizes_whose_products_wrap_are_refused(
    sizes: list[int], n_numbers: int, way: str, tmp_path: Path
) -> None:
    tensors = {
        "parameters": np.zeros(n_numbers, np.float32),
        "slots": np.zeros((2, n_numbers), np.float32),
    }
    with pytest.raises(ValueError, match="parameters must be"):
        WAYS[way]((wrapping(sizes), tensors), tmp_path)


def test_construction_counts_without_wrapping() -> None:
    with pytest.raises(MemoryError):
        Network.from_sizes([1, *[2**31 - 1] * 5, 2, 1])


@pytest.mark.parametrize("way", WAYS)
def test_very_many_layers_are_refused(way: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at most 4096"):
        WAYS[way](({**parts()[0], "layers": [LAYER] * 4097}, parts()[1]), tmp_path)
    with pytest.raises(ValueError, match="layers must hold at most 4096"):
        Network([Dense(1)] * 4097)


def test_as_many_layers_as_there_may_be_are_loaded(tmp_path: Path) -> None:
    # The longest text that a layer can have
    layer = Dense(1, "leaky_relu", Normal(2.2250738585072014e-308))
    net = Network([layer] * 4096, 1, dtype="float64", seed=2**128 - 1)
    net.save(tmp_path / "net")
    assert Network.load(tmp_path / "net").layers == net.layers


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("optimizer", ["sgd", Adam(0.25)])
def test_parts_that_nobody_changed_make_a_network(optimizer: Any, way: str, tmp_path: Path) -> None:
    net = WAYS[way](parts(optimizer), tmp_path)
    assert net.n_parameters == N
    assert net.predict(np.zeros((3, 4))).shape == (3,)


@pytest.mark.parametrize(
    "arguments",
    [
        (None, {}),
        ([], {}),
        ({}, None),
        ({}, []),
    ],
)
def test_pickle_with_arguments_of_other_types_is_refused(arguments: Any) -> None:
    rebuild, rest, *_ = Network([Dense(1)], 1, seed=0).__reduce__()
    with pytest.raises(ValueError, match="not a network"):
        rebuild(*arguments, *rest[2:])  # type: ignore[operator]


def test_network_that_is_not_built_has_no_state() -> None:
    rebuild, (description, tensors, *rest), *_ = Network([Dense(1)], seed=0).__reduce__()
    assert rebuild(description, tensors, *rest).n_features is None  # type: ignore[operator]
    for change in ({"n_updates": 1}, {"training": parts()[0]["training"]}, {"random_state": {}}):
        with pytest.raises(ValueError, match="must have no state"):
            rebuild(description | change, tensors, *rest)  # type: ignore[operator]
    with pytest.raises(ValueError, match="the tensors"):
        rebuild(description, {"parameters": np.zeros(1)}, *rest)  # type: ignore[operator]


@pytest.mark.parametrize("tensor", [None, [1.0, 2.0], "ab"])
def test_pickle_with_a_tensor_that_is_no_array_is_refused(tensor: Any) -> None:
    rebuild, (description, _, *rest), *_ = Network([Dense(1)], 1, seed=0).__reduce__()
    with pytest.raises(ValueError, match="parameters must be"):
        rebuild(description, {"parameters": tensor}, *rest)  # type: ignore[operator]


@pytest.mark.parametrize("network_class", [None, int, "Network", object])
def test_pickle_of_another_class_is_refused(network_class: Any) -> None:
    rebuild, (description, tensors, *_), *_ = Network([Dense(1)], 1, seed=0).__reduce__()
    with pytest.raises(ValueError, match="not a network"):
        rebuild(description, tensors, network_class)  # type: ignore[operator]

"""Samples of bytes and of half precision, and `Rescale`, which gives them another scale."""

import re
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fastnn import Activation, BatchNorm, Dense, Dropout, Network, Rescale, gradient_check
from fastnn._core import kernels, single
from fastnn.layers import Layer
from fastnn.reference import vectorized_layers as reference

Array = npt.NDArray[Any]

ISAS = kernels.supported_isas()
DTYPES = ["float16", "float32", "float64", "uint8", "int8"]
SIZES = [1, 7, 8, 9, 15, 16, 17, 33, 46, 64, 65, 200, 1000]
SCALE, OFFSET = 1 / 255, -0.5


def numbers(shape: tuple[int, ...], dtype: str) -> Array:
    """All that an integer of that type can be; floats of many sizes."""
    rng = np.random.default_rng(shape)
    if np.dtype(dtype).kind == "f":
        return (rng.normal(size=shape) * 10.0 ** rng.integers(-6, 4, shape)).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, shape, endpoint=True).astype(dtype)


def rescaled(X: Array, dtype: str) -> Array:
    """In the arithmetic of a network of that dtype."""
    real = np.dtype(dtype).type
    return real(SCALE) * X.astype(dtype) + real(OFFSET)


def data(dtype: str, n: int = 300, n_features: int = 20) -> tuple[Array, Array]:
    X = numbers((n, n_features), dtype) if dtype[-1] == "8" else numbers((n, n_features), "int8")
    return X.astype(dtype), np.random.default_rng(n).integers(0, 3, n)


def network(*first: Layer, dtype: str = "float32", n_features: int = 20) -> Network:
    layers = [*first, Dense(17, "tanh"), Dropout(0.2), Dense(3, "softmax")]
    return Network(layers, n_features, dtype=dtype, seed=5)


# ---- the kernels ---------------------------------------------------------------------------------


@pytest.mark.parametrize("panels", [False, True, "columns"])
@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("source", DTYPES)
def test_gather_is_numpys(source: str, dtype: str, isa: str, panels: Any) -> None:
    for n_features in SIZES:
        X = numbers((40, n_features), source)
        for n in (0, 1, 9, 33, 200):
            order = np.random.default_rng(n).integers(0, len(X), n)
            gathered = single.gather(X, order, np.dtype(dtype), isa, panels)
            np.testing.assert_array_equal(gathered, X[order].astype(dtype))
            gathered = single.gather(X, order, np.dtype(dtype), isa, panels, (SCALE, OFFSET))
            np.testing.assert_array_equal(gathered, rescaled(X[order], dtype))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_all_halves_are_read_as_they_are(dtype: str, isa: str) -> None:
    """Denormal numbers too, infinities, NaN and both zeros."""
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16).reshape(-1, 16)
    gathered = single.gather(halves, np.arange(len(halves)), np.dtype(dtype), isa)
    np.testing.assert_array_equal(gathered, halves.astype(dtype))
    np.testing.assert_array_equal(np.signbit(gathered), np.signbit(halves))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_not_finite_is_found_in_halves(dtype: str, isa: str) -> None:
    for n in SIZES:
        halves = np.full(n, 65504, np.float16)
        assert kernels.all_finite(halves, np.dtype(dtype), isa)
        for bad in (np.inf, -np.inf, np.nan):
            halves[n // 2] = bad
            assert not kernels.all_finite(halves, np.dtype(dtype), isa)


# ---- networks ------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:X has bytes:fastnn.ScalingWarning")
@pytest.mark.parametrize("n_features", [3, 20, 130, 1100])
@pytest.mark.parametrize("batch_size", [7, 64])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("source", [*DTYPES, "bool"])
def test_training_has_the_bits_of_converted_samples(
    source: str, dtype: str, batch_size: int, n_features: int
) -> None:
    X, y = data("int8" if source == "bool" else source, n_features=n_features)
    X = X > 0 if source == "bool" else X
    net, twin = (network(dtype=dtype, n_features=n_features) for _ in range(2))
    history = net.fit(X, y, epochs=2, batch_size=batch_size, validation_data=(X[:50], y[:50]))
    again = X.astype(dtype)
    expected = twin.fit(
        again, y, epochs=2, batch_size=batch_size, validation_data=(again[:50], y[:50])
    )
    assert history == expected
    np.testing.assert_array_equal(net.parameters, twin.parameters)
    np.testing.assert_array_equal(net.predict_proba(X), twin.predict_proba(again))
    assert net.evaluate(X, y) == twin.evaluate(again, y)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("n_features", [3, 20, 130, 1100])
@pytest.mark.parametrize("batch_size", [7, 64])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("source", DTYPES)
def test_rescale_has_the_bits_of_rescaled_samples(
    source: str, dtype: str, batch_size: int, n_features: int, threads: int
) -> None:
    X, y = data(source, n_features=n_features)
    net = network(Rescale(SCALE, OFFSET), dtype=dtype, n_features=n_features)
    twin = network(dtype=dtype, n_features=n_features)
    history = net.fit(X, y, epochs=2, batch_size=batch_size, threads=threads)
    # A layer has a number, which its random numbers follow from: so without those of the dropout
    assert np.isfinite(history["loss"]).all()
    twin.set_parameters(net.weights[1:], net.biases[1:])
    again = rescaled(X, dtype)
    np.testing.assert_array_equal(net.predict_proba(X), twin.predict_proba(again))
    np.testing.assert_array_equal(net.predictor()(X[:1].astype(dtype)), twin.predictor()(again[:1]))
    assert net.evaluate(X, y) == twin.evaluate(again, y)


@pytest.mark.parametrize("batch_size", [9, 64, None])
@pytest.mark.parametrize("width", [5, 70])
def test_100_steps_are_those_of_the_reference(width: int, batch_size: int | None) -> None:
    X, y = data("uint8", 90)
    layers = [Rescale(SCALE, OFFSET), Dropout(0.1), Dense(width, "tanh"), Dense(3, "softmax")]
    net = Network(layers, 20, dtype="float64", seed=1)
    textbook = reference.Network(
        [
            reference.Rescale(SCALE, OFFSET),
            reference.Dropout(0.1, reference.noise_key(net.seed, 1)),
            reference.Dense(net.weights[2], net.biases[2], "tanh"),
            reference.Dense(net.weights[3], net.biases[3]),
        ],
        "softmax",
        "categorical_cross_entropy",
    )
    epochs = -(-100 // -(-90 // (batch_size or 90)))
    history = net.fit(
        X,
        y,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=0.1,
        optimizer="sgd",
        shuffle=False,
    )
    costs = textbook.fit(X, np.eye(3)[y], epochs, batch_size, learning_rate=0.1)
    np.testing.assert_allclose(history["loss"], costs, rtol=1e-9)
    for i, layer in enumerate(textbook.layers):
        for numbers, expected in zip(
            (net.weights[i], net.biases[i]), layer.parameters, strict=False
        ):
            np.testing.assert_allclose(numbers, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "others",
    [[], [Dropout(0.2)], [BatchNorm()], [Activation("tanh")]],
    ids=["dense", "dropout", "batch norm", "activation"],
)
def test_gradients_are_central_differences(others: list[Layer]) -> None:
    X, y = data("uint8", 40)
    layers = [Rescale(SCALE, OFFSET), *others, Dense(9, "tanh"), Dense(3, "softmax")]
    net = Network(layers, 20, dtype="float64", seed=1)
    assert gradient_check(net, X, y) < 1e-7


@pytest.mark.filterwarnings("ignore:X has bytes:fastnn.ScalingWarning")
def test_what_takes_samples_takes_bytes() -> None:
    X, y = data("uint8")
    layers = [Rescale(SCALE, OFFSET), Dense(9, "tanh"), Dense(3, "softmax")]
    net, twin = Network(layers, 20, seed=1), Network(layers, 20, seed=1)
    net.fit(X, y, optimizer="lbfgs", epochs=5)
    twin.fit(X.astype(np.float32), y, optimizer="lbfgs", epochs=5)
    np.testing.assert_array_equal(net.parameters, twin.parameters)
    for a, b in zip(net.forward(X), twin.forward(X.astype(np.float32)), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(net.forward(X)[0], rescaled(X, "float32"))
    assert repr(net.statistics(X, y)) == repr(twin.statistics(X.astype(np.float32), y))
    partly, other = network(Rescale(SCALE, OFFSET)), network(Rescale(SCALE, OFFSET))
    partly.partial_fit(X, y)
    other.partial_fit(X.astype(np.float64), y)
    np.testing.assert_allclose(partly.parameters, other.parameters, rtol=1e-5, atol=1e-6)
    split, apart = network(), network()
    split.fit(X, y, epochs=1, validation_split=0.2)
    apart.fit(X.astype(np.float32), y, epochs=1, validation_split=0.2)
    np.testing.assert_array_equal(split.parameters, apart.parameters)


def test_bytes_are_not_copied() -> None:
    """A big array: peak memory is what a mini-batch takes, not another form of the samples."""
    X = np.random.default_rng(0).integers(0, 256, (20_000, 784)).astype(np.uint8)
    y = np.zeros(len(X), np.int64)
    net = Network([Rescale(SCALE), Dense(8), Dense(2, "softmax")], 784, seed=0)
    net.fit(X[:200], y[:200], epochs=1)
    tracemalloc.start()
    try:
        net.fit(X, y, epochs=1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < X.nbytes / 4


@pytest.mark.parametrize("order", ["F", "strided", "swapped", "read-only"])
def test_any_layout_of_halves(order: str) -> None:
    X, y = data("float16")
    other: Array = {
        "F": np.asfortranarray(X),
        "strided": np.repeat(X, 2, axis=1)[:, ::2],
        "swapped": X.astype(X.dtype.newbyteorder()),
        "read-only": X.copy(),
    }[order]
    other.flags.writeable = order != "read-only"
    nets = network(), network()
    for net, samples in zip(nets, (X, other), strict=True):
        net.fit(samples, y, epochs=1)
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)


def test_a_file_keeps_it(tmp_path: Path) -> None:
    X, y = data("uint8")
    net = network(Rescale(SCALE, OFFSET))
    net.fit(X, y, epochs=1)
    net.save(tmp_path / "net")
    again = Network.load(tmp_path / "net")
    assert again.layers[0] == Rescale(SCALE, OFFSET)
    np.testing.assert_array_equal(again.predict_proba(X), net.predict_proba(X))
    assert "Rescale" in net.summary()


# ---- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_halves_must_be_finite(bad: float) -> None:
    X, y = data("float16")
    X[7, 3] = bad
    net = network(Rescale(SCALE))
    before = net.parameters.copy()
    for call in (lambda: net.fit(X, y), lambda: net.predict(X), lambda: net.evaluate(X, y)):
        with pytest.raises(ValueError, match=re.escape("X[7, 3] is")):
            call()
    np.testing.assert_array_equal(net.parameters, before)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Rescale(0), ValueError, "scale must not be 0"),
        (lambda: Rescale(np.nan), ValueError, "scale must be a finite number"),
        (lambda: Rescale("1"), TypeError, "scale must be"),  # type: ignore[arg-type]
        (lambda: Rescale(1, np.inf), ValueError, "offset must be a finite number"),
        (lambda: network(Rescale(1e-40)), ValueError, "scale must be a normal number of float32"),
        (lambda: network(Rescale(1, -1e39)), ValueError, "offset must be a normal number"),
        (lambda: network(Dense(3), Rescale(1)), ValueError, "layers[1] must not be a Rescale"),
        (lambda: network(Rescale(1), Rescale(1)), ValueError, "layers[1] must not be a Rescale"),
        (lambda: Network([Rescale(1)], 3), ValueError, "layers[0], the output"),
    ],
)
def test_bad_settings_are_refused(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=re.escape(words)):
        make()


def test_a_scale_that_leads_beyond_the_numbers_is_named() -> None:
    X, y = data("uint8")
    net = network(Rescale(3e38))
    with pytest.raises(FloatingPointError, match="epoch 1, mini-batch 1"):
        net.fit(X, y)
    with pytest.raises(ValueError, match="the output for row"):
        net.predict(X)

"""Dropout, noise, norms, PReLU and activations alone: against the reference, and in use."""

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastnn
from fastnn import (
    Activation,
    BatchNorm,
    Dense,
    Dropout,
    GaussianNoise,
    Layer,
    LayerNorm,
    Network,
    PReLU,
    gradient_check,
)
from fastnn.reference import vectorized_layers as reference

Array = npt.NDArray[Any]

KINDS: list[Layer] = [
    Dropout(0.3),
    GaussianNoise(0.4),
    BatchNorm(0.7, 1e-3),
    LayerNorm(1e-3),
    PReLU(0.1),
    Activation("mish"),
    Activation("relu"),
]


def stack(width: int, *between: Layer, hidden: str = "tanh") -> list[Layer]:
    return [Dense(width, hidden), *between, Dense(3, "softmax")]


def everything(width: int) -> list[Layer]:
    """All kinds, in first place too, one right behind another, and several of a kind."""
    return [
        BatchNorm(), GaussianNoise(0.1), Dense(width), LayerNorm(), PReLU(), Dropout(0.2),
        Dense(width, "tanh"), Dropout(0.3), BatchNorm(0.5), Activation("gelu"), Dense(3, "softmax"),
    ]  # fmt: skip


def data(n: int, n_features: int = 6, n_classes: int = 3) -> tuple[Array, Array]:
    rng = np.random.default_rng(n)
    return rng.normal(size=(n, n_features)), rng.integers(0, n_classes, n)


def as_reference(net: Network) -> reference.Network:
    """The textbook network with the same parameters and random numbers."""
    layers: list[reference.Layer] = []
    for i, layer in enumerate(net.layers):
        W, b = net.weights[i], net.biases[i]
        key = net._architecture._noise_key(i)
        last = i == len(net.layers) - 1
        if isinstance(layer, Dense):
            layers.append(reference.Dense(W, b, "linear" if last else layer.activation))
        elif isinstance(layer, Activation):
            layers.append(reference.Activation(layer.activation))
        elif isinstance(layer, PReLU):
            layers.append(reference.PReLU(W))
        elif isinstance(layer, Dropout):
            layers.append(reference.Dropout(layer.rate, key))
        elif isinstance(layer, GaussianNoise):
            layers.append(reference.GaussianNoise(layer.scale, key))
        elif isinstance(layer, BatchNorm):
            layers.append(reference.BatchNorm(W, b, layer.momentum, layer.epsilon))
        elif isinstance(layer, LayerNorm):
            layers.append(reference.LayerNorm(W, b, layer.epsilon))
    return reference.Network(layers, "softmax", "categorical_cross_entropy")


def flat(arrays: list[Array]) -> Array:
    return np.concatenate([array.ravel() for array in arrays])


# ---- against the reference -----------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 7, 16, 33, 100])
@pytest.mark.parametrize("width", [1, 7, 8, 9, 17, 33, 46, 64, 65, 150, 257, 520])
def test_gradients_are_those_of_the_reference(width: int, n: int) -> None:
    X, y = data(n)
    for kind in KINDS:
        net = Network(stack(width, kind), 6, dtype="float64", seed=3)
        textbook = as_reference(net)
        loss, gradient = net.loss_and_gradients(X, y)
        expected, gradients = textbook.loss_and_gradients(X, np.eye(3)[y])
        assert loss == pytest.approx(expected, rel=1e-12)
        np.testing.assert_allclose(gradient, flat(gradients), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("batch_size", [1, 9, 40, None])
@pytest.mark.parametrize("width", [5, 20, 70])
def test_200_steps_are_those_of_the_reference(width: int, batch_size: int | None) -> None:
    """Without relu: at its kink, the two sides are both right."""
    X, y = data(90)
    net = Network(everything(width), 6, dtype="float64", seed=1)
    textbook = as_reference(net)
    steps = -(-90 // (batch_size or 90))
    epochs = -(-200 // steps)
    history = net.fit(
        X, y, epochs=epochs, batch_size=batch_size, optimizer="sgd", learning_rate=0.01,
        shuffle=False,
    )  # fmt: skip
    losses = textbook.fit(X, np.eye(3)[y], epochs, batch_size, learning_rate=0.01)
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-9)
    expected = flat([p for layer in textbook.layers for p in layer.parameters])
    np.testing.assert_allclose(net.parameters, expected, rtol=1e-9, atol=1e-9)
    for layer, statistics in zip(textbook.layers, net.running_statistics, strict=True):
        if isinstance(layer, reference.BatchNorm):
            assert statistics is not None
            np.testing.assert_allclose(statistics[0], layer.running_mean, atol=1e-9)
            np.testing.assert_allclose(statistics[1], layer.running_variance, rtol=1e-9)
    np.testing.assert_allclose(net.predict_proba(X), textbook.forward(X)[1], rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(
    "layers", [*([kind] for kind in KINDS[:-1]), everything(12)[:-1]], ids=repr
)
def test_gradients_by_differences(layers: list[Layer]) -> None:
    smooth = [layer for layer in layers if not isinstance(layer, PReLU)]
    X, y = data(30)
    for chosen in (smooth, layers):
        net = Network([Dense(9, "tanh"), *chosen, Dense(3, "softmax")], 6, dtype="float64", seed=0)
        net.parameters[:] += np.random.default_rng(0).normal(0, 0.1, net.n_parameters)
        assert gradient_check(net, X, y) <= 1e-7


def test_float32_is_near_float64() -> None:
    X, y = data(64)
    net = Network(everything(40), 6, seed=2)
    double = net.copy("float64")
    loss, gradient = net.loss_and_gradients(X, y)
    expected, gradients = double.loss_and_gradients(X, y)
    assert loss == pytest.approx(expected, rel=1e-5)
    assert np.abs(gradient - gradients).max() < 1e-5 * np.abs(gradients).max() + 1e-6


# ---- bits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("width", "n", "batch_size"), [(7, 200, 64), (40, 300, 50), (200, 300, 128), (600, 200, 32)]
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bits_do_not_depend_on_threads(width: int, n: int, batch_size: int, dtype: str) -> None:
    X, y = data(n)
    results = []
    for threads in (1, 2, 3):
        net = Network(everything(width), 6, dtype=dtype, seed=0)
        net.fit(X, y, epochs=3, batch_size=batch_size, threads=threads)
        running = [s for s in net.running_statistics if s is not None]
        results.append((net.parameters.tobytes(), net.predict_proba(X).tobytes(), str(running)))
    assert results[0] == results[1] == results[2]


def test_bits_do_not_depend_on_the_instruction_set(run_script: Any) -> None:
    script = """
        import numpy as np
        from fastnn import *
        rng = np.random.default_rng(0)
        X, y = rng.normal(size=(200, 6)), rng.integers(0, 3, 200)
        for width in (7, 40, 130):
            for dtype in ("float32", "float64"):
                net = Network([BatchNorm(), GaussianNoise(0.1), Dense(width), LayerNorm(), PReLU(),
                    Dropout(0.2), Dense(width, "tanh"), BatchNorm(), Dense(3, "softmax")], 6,
                    dtype=dtype, seed=0)
                net.fit(X, y, epochs=2, batch_size=50)
                print(hash(net.parameters.tobytes()))
    """
    from fastnn._core import kernels

    isas = [isa for isa in kernels.supported_isas() if isa != "baseline"]  # which has no FMA
    outputs = {run_script(script, FASTNN_ISA=isa, PYTHONHASHSEED="0") for isa in isas}
    assert len(outputs) <= 1


@pytest.mark.parametrize("way", ["save", "copy", "pickle", "two calls"])
def test_training_goes_on_as_if_it_had_not_stopped(way: str, tmp_path: Path) -> None:
    X, y = data(100)
    whole = Network(everything(20), 6, seed=0)
    whole.fit(X, y, epochs=4, batch_size=32)
    net = Network(everything(20), 6, seed=0)
    net.fit(X, y, epochs=2, batch_size=32)
    if way == "save":
        net.save(tmp_path / "net")
        net = Network.load(tmp_path / "net")
    elif way == "copy":
        net = copy.copy(net)
    elif way == "pickle":
        net = pickle.loads(pickle.dumps(net))
    net.fit(X, y, epochs=2)
    assert net.parameters.tobytes() == whole.parameters.tobytes()
    assert net.predict_proba(X).tobytes() == whole.predict_proba(X).tobytes()


def test_a_step_that_fails_leaves_running_statistics_and_masks_alone() -> None:
    X, y = data(64)
    net = Network(everything(20), 6, seed=0)
    net.fit(X, y, epochs=2, batch_size=16)
    twin = net.copy()
    before = str(net.running_statistics)
    with pytest.raises(FloatingPointError):
        net.fit(X * 1e30, y, epochs=1, batch_size=64)
    assert str(net.running_statistics) == before
    assert net.parameters.tobytes() == twin.parameters.tobytes()
    for each in (net, twin):
        each.fit(X, y, epochs=2, batch_size=16)
    assert net.parameters.tobytes() == twin.parameters.tobytes()


# ---- random numbers ------------------------------------------------------------------------------


def test_masks_are_as_random_as_they_should_be() -> None:
    """Shares, and correlations between units, samples and steps, within five standard errors."""
    masks = np.stack(
        [reference.dropout_mask(0.3, 12345, step, np.arange(200), 150) for step in range(40)]
    ).astype(float)
    n = masks.size
    centred = (masks - 0.7) / np.sqrt(0.7 * 0.3)
    assert abs(centred.mean()) < 5 / np.sqrt(n)
    for axis in range(3):
        for lag in (1, 2, 3, 8, 16, 32):
            first = np.moveaxis(centred, axis, 0)
            product = first[lag:] * first[:-lag]
            assert abs(product.mean()) < 5 / np.sqrt(product.size)


def test_noise_is_normal() -> None:
    numbers = reference.normal_numbers(7, 0, np.arange(2000), 200).ravel()
    n = numbers.size
    assert abs(numbers.mean()) < 5 / np.sqrt(n)
    assert abs(numbers.var() - 1) < 5 * np.sqrt(2 / n)
    assert abs((numbers**4).mean() - 3) < 5 * np.sqrt(96 / n)
    for limit, share in ((0, 0.5), (1, 0.158655), (2, 0.0227501), (3, 0.0013499)):
        assert abs((numbers > limit).mean() - share) < 5 * np.sqrt(share / n)


@pytest.mark.parametrize("rate", [0.0, 1e-12, 0.5, 0.999999, 1 - 1e-12])
def test_extreme_rates(rate: float) -> None:
    X, y = data(50)
    net = Network(stack(40, Dropout(rate)), 6, seed=0)
    if rate < 1e-6:
        plain = Network(stack(40), 6, seed=0)
        assert net.loss_and_gradients(X, y)[0] == plain.loss_and_gradients(X, y)[0]
    net.fit(X, y, epochs=2, batch_size=10, learning_rate=1e-6)
    assert np.isfinite(net.parameters).all()


# ---- inference -----------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 3, 40, 1500])
@pytest.mark.parametrize("width", [5, 20, 300])
def test_all_ways_of_predicting_agree(width: int, n: int) -> None:
    X, y = data(n)
    net = Network(everything(width), 6, seed=0)
    net.fit(*data(60), epochs=2, batch_size=20)
    expected = net.copy("float64").predict_proba(X)
    np.testing.assert_allclose(net.predict_proba(X.astype(np.float32)), expected, atol=2e-5)
    np.testing.assert_allclose(net.predict_proba(X), expected, atol=2e-5)
    np.testing.assert_allclose(net.predictor(n)(X.astype(np.float32)), expected, atol=2e-5)
    activations, logits = net.forward(X, logits=True)
    assert [a.shape for a in activations] == [
        (n, 6), (n, 6), (n, width), (n, width), (n, width), (n, width), (n, width), (n, width),
        (n, width), (n, width), (n, 3),
    ]  # fmt: skip
    np.testing.assert_allclose(activations[-1], expected, atol=2e-5)
    np.testing.assert_array_equal(activations[5], activations[4])  # dropout
    assert net.evaluate(X, y)["loss"] >= 0
    np.testing.assert_allclose(np.tanh(logits[6]), activations[6], atol=1e-6)


@pytest.mark.parametrize("layer", [*KINDS, BatchNorm()], ids=repr)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_found_before_any_first_layer(
    layer: Layer, value: float
) -> None:
    net = Network([layer, Dense(4, "tanh"), Dense(1, "sigmoid")], 3, seed=0)
    X = np.zeros((5, 3), np.float32)
    X[2, 1] = value
    for predict in (net.predict, net.predictor(5), net.forward):
        with pytest.raises(ValueError, match=r"X\[2, 1\]"):
            predict(X)


@pytest.mark.parametrize("n_features", [7, 32, 33, 64, 65, 100, 300])
@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_any_kind_comes_first(kind: Layer, n_features: int) -> None:
    """Its input is the user's array, in another layout than what it writes."""
    X, y = data(40, n_features)
    net = Network([kind, Dense(3, "softmax")], n_features, dtype="float64", seed=0)
    expected = as_reference(net).forward(X)[1]
    for result in (net.predict_proba(X), net.predictor(40)(X), net.forward(X)[-1]):
        np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-14)
    several = net.predict_proba(np.tile(X, (60, 1)), threads=3)
    np.testing.assert_allclose(several, np.tile(expected, (60, 1)), rtol=1e-12, atol=1e-14)
    _, gradient = net.loss_and_gradients(X, y)
    _, gradients = as_reference(net).loss_and_gradients(X, np.eye(3)[y])
    np.testing.assert_allclose(gradient, flat(gradients), rtol=1e-9, atol=1e-12)


def test_dropout_and_noise_are_gone_where_a_network_is_used() -> None:
    X, y = data(30)
    plain = Network(stack(9), 6, seed=0)
    noisy = Network(stack(9, Dropout(0.5), GaussianNoise(3.0)), 6, seed=0)
    assert plain.predict_proba(X).tobytes() == noisy.predict_proba(X).tobytes()
    assert plain.evaluate(X, y) == noisy.evaluate(X, y)
    assert plain.loss_and_gradients(X, y)[0] != noisy.loss_and_gradients(X, y)[0]


def test_batch_norm_of_one_sample_keeps_its_statistics() -> None:
    net = Network([Dense(4), BatchNorm(), Dense(1)], 2, seed=0)
    net.fit([[1.0, 2.0]], [1.0], epochs=3)
    (statistics,) = [s for s in net.running_statistics if s is not None]
    assert (statistics[0] == 0).all()
    assert (statistics[1] == 1).all()


# ---- what a network of such layers is ------------------------------------------------------------


def test_parameters_are_aligned_with_the_layers() -> None:
    net = Network([BatchNorm(), Dense(5), PReLU(), Dropout(0.5), Dense(1)], 3, seed=0)
    assert [W.shape for W in net.weights] == [(3,), (3, 5), (5,), (0,), (5, 1)]
    assert [b.shape for b in net.biases] == [(3,), (5,), (0,), (0,), (1,)]
    assert net.n_parameters == sum(a.size for a in (*net.weights, *net.biases))
    assert (net.weights[2] == 0.25).all()
    assert (net.weights[0] == 1).all()
    assert [s is None for s in net.running_statistics] == [False, True, True, True, True]
    with pytest.raises(ValueError, match="read-only"):
        net.running_statistics[0][0][0] = 1  # type: ignore[index]
    net.parameters[7] = np.nan
    with pytest.raises(ValueError, match=r"weights\[1\]\[0, 1\] is NaN"):
        net.fit([[1.0, 2.0, 3.0]], [1.0])


def test_prelu_as_an_activation_is_a_layer_behind() -> None:
    net = Network([Dense(5, "PReLU"), Dense(1)], 3, seed=0)
    assert net.layers == (Dense(5, "linear", "he_normal"), PReLU(), Dense(1))
    assert (
        Network.from_sizes([3, 5, 1], hidden="prelu", output="linear", seed=0).layers == net.layers
    )


@pytest.mark.parametrize("layers", [everything(4), [*KINDS, Dense(2)]], ids=["all", "kinds"])
def test_repr_rebuilds_and_files_keep_the_layers(layers: list[Layer], tmp_path: Path) -> None:
    net = Network(layers, 6, seed=0)
    names = {name: getattr(fastnn, name) for name in fastnn.__all__}
    again = eval(repr(net), names)
    assert again.layers == net.layers
    net.save(tmp_path / "net")
    assert Network.load(tmp_path / "net").layers == net.layers
    assert "BatchNorm" in net.summary()


def test_summary_of_layers_that_are_not_dense() -> None:
    text = Network([Dense(5), BatchNorm(), Dropout(0.5), Dense(1)], seed=0).summary()
    assert text.splitlines()[3].split() == [
        "2",
        "BatchNorm(0.9)",
        "(5,)",
        "(5,)",
        "(n,",
        "5)",
        "10",
    ]
    assert text.splitlines()[4].split() == ["3", "Dropout(0.5)", "(n,", "5)", "0"]


BAD: list[tuple[Any, type[Exception], str]] = [
    (lambda: Dropout(1.0), ValueError, "rate must be"),
    (lambda: Dropout(-0.1), ValueError, "rate must be"),
    (lambda: Dropout("half"), TypeError, "rate must be"),
    (lambda: Dropout(float("nan")), ValueError, "rate must be"),
    (lambda: GaussianNoise(-1.0), ValueError, "scale must be"),
    (lambda: GaussianNoise(float("inf")), ValueError, "scale must be"),
    (lambda: BatchNorm(1.0), ValueError, "momentum must be"),
    (lambda: BatchNorm(momentum=True), TypeError, "momentum must be"),
    (lambda: BatchNorm(epsilon=0.0), ValueError, "epsilon must be"),
    (lambda: LayerNorm(-1e-5), ValueError, "epsilon must be"),
    (lambda: PReLU(-0.5), ValueError, "alpha must be"),
    (lambda: Activation("softmax"), ValueError, "must not be softmax"),
    (lambda: Activation("rely"), ValueError, "activation must be"),
    (lambda: Activation(None), TypeError, "activation must be"),
    (lambda: Network([Dropout(0.5)]), ValueError, r"layers\[0\], the output, must be a Dense"),
    (lambda: Network([Dense(3), BatchNorm()]), ValueError, r"layers\[1\], the output"),
    (lambda: Network([Dense(3, "prelu")]), ValueError, r"layers\[0\], the output"),
    (lambda: Network([Dropout, Dense(1)]), TypeError, r"layers\[0\] must be a layer.*call it"),
    (lambda: Network([Dense(3, "softmax"), Dropout(0.1), Dense(1)]), ValueError, r"layers\[0\]"),
    (lambda: Network([BatchNorm(epsilon=1e-42), Dense(1)]), ValueError, r"layers\[0\]: epsilon"),
    (lambda: Network([GaussianNoise(1e39), Dense(1)]), ValueError, r"layers\[0\]: scale"),
    (lambda: Network(BatchNorm()), TypeError, "layers must be a sequence"),
]


@pytest.mark.parametrize(("call", "error", "match"), BAD)
def test_wrong_layers_are_named(call: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call()


def test_a_file_with_a_variance_below_0_is_refused(tmp_path: Path) -> None:
    net = Network([BatchNorm(), Dense(1)], 2, seed=0)
    description, tensors, *rest = net.__reduce__()[1]
    tensors["running"][3] = -1
    with pytest.raises(ValueError, match="variances must be at least 0"):
        net.__reduce__()[0](description, tensors, *rest)


@pytest.mark.parametrize("validates", [False, True])
def test_running_statistics_as_data_are_those_at_the_begin(validates: bool) -> None:
    """Training changes them; so it takes a copy."""
    X = np.random.default_rng(0).normal(size=(4, 4))
    results = []
    for copied in (False, True):
        net = Network([BatchNorm(), Dense(1)], 4, dtype="float64", seed=1)
        (mean, _), _ = net.running_statistics
        y = mean.copy() if copied else mean
        options: dict[str, Any] = {"validation_data": (X, y)} if validates else {}
        history = net.fit(X, X[:, 0] if validates else y, epochs=5, batch_size=2, **options)
        results.append((dict(history), net.parameters.tobytes()))
    assert results[0] == results[1]

"""All that training has at once: layers, regularisation, weights, smoothing and schedule together.

Each of them has a test file of its own; here is what only shows when they meet.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fastnn import (
    Activation,
    BatchNorm,
    Checkpoint,
    CosineDecay,
    Dense,
    Dropout,
    EarlyStopping,
    GaussianNoise,
    Layer,
    LayerNorm,
    Network,
    OneCycle,
    PReLU,
    ReduceOnPlateau,
)
from fastnn.reference import vectorized_layers as reference

Array = npt.NDArray[Any]

N_FEATURES, N_CLASSES, N_SAMPLES = 6, 3, 90
CLASS_WEIGHT = {0: 0.5, 2: 2.0}
L1, L2 = 0.02, 0.3
RATE, END_RATE, WARMUP = 0.02, 1e-3, 2
#: Of `Network.fit`, but for the learning rate.
OPTIONS: dict[str, Any] = {
    "l1": L1, "l2": L2, "weight_decay": 0.1, "clip_norm": 0.4, "clip_value": 0.1,
    "label_smoothing": 0.1, "class_weight": CLASS_WEIGHT,
}  # fmt: skip
BATCH_SIZES = [9, 40, None]


def everything(width: int, frozen: str) -> list[Layer]:
    """All kinds of layers and all options; frozen is the lowest product, or one in between.

    A bias right before a `BatchNorm` would have a gradient of rounding errors alone, which Adam
    blows up: there is an activation in front of it.
    """
    return [
        GaussianNoise(0.1),
        Dense(width, "tanh", trainable=frozen != "lowest"),
        BatchNorm(0.8),
        Activation("gelu"),
        Dropout(0.2),
        Dense(width + 1, "tanh", l1=0.05, max_norm=1.5, learning_rate_factor=0.5),
        LayerNorm(),
        Dense(width, "tanh", l2=0.5, trainable=frozen != "in between"),
        PReLU(0.2),
        Dropout(0.1),
        Dense(N_CLASSES, "softmax", l2=0.2, max_norm=1.2, learning_rate_factor=2.0),
    ]


def network(width: int, frozen: str = "in between", dtype: str = "float64") -> Network:
    return Network(everything(width, frozen), N_FEATURES, dtype=dtype, seed=1)


def data(n: int = N_SAMPLES) -> tuple[Array, Array, Array]:
    """X, classes and weights of the samples, some of which do not count."""
    rng = np.random.default_rng(n)
    X = rng.normal(size=(n, N_FEATURES))
    y = (X[:, :N_CLASSES] + 0.5 * rng.normal(size=(n, N_CLASSES))).argmax(axis=1)
    return X, y, rng.random(n) * (rng.random(n) < 0.9)


def total_weights(y: Array, weights: Array) -> Array:
    """By sample and by class."""
    return weights * np.array([CLASS_WEIGHT.get(label, 1.0) for label in range(N_CLASSES)])[y]


def state(net: Network) -> tuple[Any, ...]:
    """All that training changes, with its bits."""
    description, tensors = net.to_data()
    return description, {name: array.tobytes() for name, array in tensors.items()}


# ---- gradients -----------------------------------------------------------------------------------


def central_differences(net: Network, *arguments: Any, **options: Any) -> Array:
    parameters, differences = net.parameters, np.empty(net.n_parameters)
    for i, value in enumerate(parameters.copy()):
        step = 1e-6 * max(1.0, abs(value))
        losses = []
        for parameters[i] in (value + step, value - step):
            losses.append(net.loss_and_gradients(*arguments, **options)[0])
        parameters[i] = value
        differences[i] = (losses[0] - losses[1]) / (2 * step)
    return differences


@pytest.mark.parametrize("smoothed", [False, True])
@pytest.mark.parametrize("frozen", ["lowest", "in between"])
@pytest.mark.parametrize("width", [5, 24])
def test_gradients_are_central_differences(width: int, frozen: str, smoothed: bool) -> None:
    """Of labels with weights of classes, and of rows of smoothed probabilities."""
    X, y, weights = data(30)
    net = network(width, frozen)
    net.fit(X, y, epochs=2, batch_size=10)  # statistics, alphas and norms that are not the first
    options: dict[str, Any] = {"sample_weight": weights, "l1": L1, "l2": L2}
    if smoothed:
        targets = 0.9 * np.eye(N_CLASSES)[y] + 0.1 / N_CLASSES
    else:
        targets, options["class_weight"] = y, CLASS_WEIGHT
    _, gradient = net.loss_and_gradients(X, targets, **options)
    differences = central_differences(net, X, targets, **options)
    norms = np.linalg.norm(gradient) + np.linalg.norm(differences)
    assert np.linalg.norm(gradient - differences) / norms <= 1e-7
    parts = zip(net.layers, net.split(gradient), strict=True)
    assert all(part.any() for layer, of_layer in parts for part in of_layer if part.size)


# ---- 200 steps by NumPy --------------------------------------------------------------------------


def as_reference(net: Network) -> reference.Network:
    """The textbook network with the same parameters, options and random numbers."""
    layers: list[reference.Layer] = []
    for i, (layer, W, b) in enumerate(zip(net.layers, net.weights, net.biases, strict=True)):
        key = reference.noise_key(net.seed, i)
        match layer:
            case Dense():
                activation = layer.activation if i < len(net.layers) - 1 else "linear"
                layers.append(
                    reference.Dense(
                        W, b, activation, l1=layer.l1, l2=layer.l2, max_norm=layer.max_norm,
                        trainable=layer.trainable, learning_rate_factor=layer.learning_rate_factor,
                    )
                )  # fmt: skip
            case Activation():
                layers.append(reference.Activation(layer.activation))
            case PReLU():
                layers.append(reference.PReLU(W))
            case Dropout():
                layers.append(reference.Dropout(layer.rate, key))
            case GaussianNoise():
                layers.append(reference.GaussianNoise(layer.scale, key))
            case BatchNorm():
                layers.append(reference.BatchNorm(W, b, layer.momentum, layer.epsilon))
            case LayerNorm():
                layers.append(reference.LayerNorm(W, b, layer.epsilon))
    return reference.Network(layers, "softmax", "categorical_cross_entropy")


def cosine_after_warmup(n_steps: int, n_warmup: int) -> Array:
    """The rate of each step, by its definition."""
    i = np.arange(n_steps)
    done = np.maximum(i - n_warmup, 0) / (n_steps - n_warmup)
    cosine = END_RATE + (RATE - END_RATE) * (1 + np.cos(np.pi * done)) / 2
    return cosine * np.minimum((i + 1) / n_warmup, 1)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize("frozen", ["lowest", "in between"])
@pytest.mark.parametrize("batch_size", BATCH_SIZES)
@pytest.mark.parametrize("width", [5, 20, 70])
def test_200_steps_are_those_of_the_reference(
    width: int, batch_size: int | None, frozen: str, optimizer: str
) -> None:
    X, y, weights = data()
    net = network(width, frozen)
    textbook = as_reference(net)
    steps_per_epoch = -(-N_SAMPLES // (batch_size or N_SAMPLES))
    epochs = -(-200 // steps_per_epoch)
    history = net.fit(
        X, y, epochs=epochs, batch_size=batch_size, optimizer=optimizer, shuffle=False,
        learning_rate=CosineDecay(RATE, end_rate=END_RATE, warmup=WARMUP),
        sample_weight=weights, **OPTIONS,
    )  # fmt: skip
    rates = cosine_after_warmup(epochs * steps_per_epoch, WARMUP * steps_per_epoch)
    by_sample = {name: value for name, value in OPTIONS.items() if name != "class_weight"}
    costs = textbook.fit(
        X, np.eye(N_CLASSES)[y], epochs, batch_size, optimizer, rates.tolist(),
        weights=total_weights(y, weights), **by_sample,
    )  # fmt: skip
    np.testing.assert_allclose(history["loss"], costs, rtol=1e-9)
    np.testing.assert_allclose(
        history["learning_rate"], rates[steps_per_epoch - 1 :: steps_per_epoch]
    )
    expected = np.concatenate([p.ravel() for layer in textbook.layers for p in layer.parameters])
    np.testing.assert_allclose(net.parameters, expected, rtol=0, atol=1e-9)
    for layer, statistics in zip(textbook.layers, net.running_statistics, strict=True):
        if isinstance(layer, reference.BatchNorm):
            assert statistics is not None
            np.testing.assert_allclose(statistics[0], layer.running_mean, rtol=0, atol=1e-9)
            np.testing.assert_allclose(statistics[1], layer.running_variance, rtol=1e-9)
    np.testing.assert_allclose(net.predict_proba(X), textbook.forward(X)[1], rtol=0, atol=1e-9)


def test_each_option_has_an_effect_beside_the_others() -> None:
    """Else the tests here would not see it."""
    X, y, weights = data()

    def trained(**options: Any) -> Array:
        net = network(9)
        arguments = OPTIONS | {"sample_weight": weights, "learning_rate": RATE} | options
        net.fit(X, y, epochs=5, batch_size=40, optimizer="momentum", **arguments)
        return net.parameters.copy()

    whole = trained()
    off: dict[str, Any] = {
        "l1": 0, "l2": 0, "weight_decay": 0, "clip_norm": None, "clip_value": None,
        "label_smoothing": 0, "class_weight": None, "sample_weight": None,
        "learning_rate": CosineDecay(RATE),
    }  # fmt: skip
    for name, value in off.items():
        assert np.abs(trained(**{name: value}) - whole).max() > 1e-6, name


# ---- bits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("width", "n", "batch_size"), [(5, 200, 64), (40, 300, 50), (300, 200, 32)]
)
@pytest.mark.parametrize("frozen", ["lowest", "in between"])
def test_bits_do_not_depend_on_threads(
    frozen: str, width: int, n: int, batch_size: int, dtype: str
) -> None:
    X, y, weights = data(n)
    results = []
    for threads in (1, 2, 3):
        net = network(width, frozen, dtype)
        history = net.fit(
            X, y, epochs=3, batch_size=batch_size, threads=threads, sample_weight=weights,
            learning_rate=CosineDecay(RATE, warmup=1), **OPTIONS,
        )  # fmt: skip
        results.append((state(net), dict(history), net.predict_proba(X).tobytes()))
    assert results[0] == results[1] == results[2]


class Crash(Exception):
    """What a training ends with that is resumed."""


SCHEDULES = {
    "cosine": CosineDecay(RATE, warmup=1.5),
    "one cycle": OneCycle(RATE),
    "plateau": ReduceOnPlateau(RATE, patience=1, factor=0.5, min_delta=0.1, warmup=1),
}
EPOCHS = 6


@pytest.mark.parametrize("last", range(1, EPOCHS))
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_bits_do_not_depend_on_a_stop_after_any_epoch(
    schedule: str, last: int, tmp_path: Path
) -> None:
    X, y, weights = data()
    path = tmp_path / "checkpoint"

    def train(**arguments: Any) -> tuple[Network, dict[str, list[float]]]:
        callbacks = [EarlyStopping(patience=EPOCHS - 1), Checkpoint(path)]
        net = network(12, dtype="float32")
        history = net.fit(
            X, y, epochs=EPOCHS, batch_size=16, optimizer="nadam", sample_weight=weights,
            learning_rate=SCHEDULES[schedule], validation_data=data(40)[:2], metrics=["f1"],
            callbacks=callbacks + arguments.pop("more", []), **OPTIONS, **arguments,
        )  # fmt: skip
        return net, dict(history)

    def crash(net: Network, epoch: int, metrics: Any) -> None:
        if epoch > last:
            raise Crash

    whole, history = train()
    with pytest.raises(Crash):
        train(more=[crash])
    resumed, history_again = train(resume_from=path)
    assert state(resumed) == state(whole)
    assert history_again == history
    assert len(history["loss"]) > last

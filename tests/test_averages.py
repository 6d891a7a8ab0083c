"""Averages of the model over training: moving ones by step, and means of epochs."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fastnn import LBFGS, BatchNorm, Checkpoint, Dense, EarlyStopping, Network
from fastnn._core import kernels

Array = npt.NDArray[Any]

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(90, 5)), RNG.integers(0, 3, 90)


def network(dtype: str = "float64", width: int = 8, seed: int = 0) -> Network:
    layers = [Dense(width, "tanh"), BatchNorm(), Dense(3, "softmax")]
    return Network(layers, 5, dtype=dtype, seed=seed)


def model(net: Network) -> Array:
    """Parameters and running statistics, as one array."""
    running = [array for pair in net.running_statistics if pair for array in pair]
    return np.concatenate([net.parameters, *running])


def after_each_epoch(net: Network, epochs: int, **options: Any) -> list[Array]:
    models = []
    net.fit(X, Y, epochs=epochs, callbacks=lambda net, *_: models.append(model(net)), **options)
    return models


@pytest.mark.parametrize("isa", kernels.supported_isas())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 15, 16, 17, 33, 46, 1000])
def test_kernel(n: int, dtype: str, isa: str) -> None:
    memory = RNG.normal(size=n + 2).astype(dtype)
    average, x = memory.copy(), RNG.normal(size=n).astype(dtype)
    kernels.average(average[1 : n + 1], x, 0.75, isa)
    tolerance = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(
        average[1 : n + 1], 0.75 * memory[1 : n + 1] + 0.25 * x, rtol=tolerance, atol=tolerance
    )
    assert (average[0], average[-1]) == (memory[0], memory[-1])


@pytest.mark.parametrize("ema", [0.5, 0.999])
@pytest.mark.parametrize("width", [8, 900])
def test_moving_average_of_every_step(ema: float, width: int) -> None:
    """With one step an epoch, so that the models in between can be seen."""
    plain, net = network(width=width), network(width=width)
    expected = model(plain)
    options: dict[str, Any] = {"batch_size": None, "learning_rate": 0.01}
    for t, after in enumerate(after_each_epoch(plain, 30, **options)):
        keep = min(ema, (1 + t) / (10 + t))
        expected = keep * expected + (1 - keep) * after
    net.fit(X, Y, epochs=30, ema=ema, **options)
    np.testing.assert_allclose(model(net), expected, rtol=1e-12, atol=1e-13)
    assert np.abs(model(net) - model(plain)).max() > 1e-4


@pytest.mark.parametrize("start", [1, 3, 5])
def test_mean_of_epochs(start: int) -> None:
    models = after_each_epoch(network(), 5, batch_size=16)
    net = network()
    net.fit(X, Y, epochs=5, batch_size=16, swa_start=start)
    np.testing.assert_allclose(model(net), np.mean(models[start - 1 :], axis=0), rtol=1e-12)


@pytest.mark.parametrize("options", [{"ema": 0.9}, {"swa_start": 2}], ids=str)
def test_validation_measures_the_average(options: dict[str, Any]) -> None:
    net = network()
    history = net.fit(X, Y, epochs=4, batch_size=16, validation_data=(X, Y), **options)
    assert net.evaluate(X, Y)["loss"] == history["val_loss"][-1]
    plain = network().fit(X, Y, epochs=4, batch_size=16, validation_data=(X, Y))
    assert plain["loss"] == history["loss"]
    assert plain["val_loss"][-1] != history["val_loss"][-1]


@pytest.mark.parametrize("options", [{"ema": 0.9}, {"swa_start": 2}], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bits_do_not_depend_on_threads(options: dict[str, Any], dtype: str) -> None:
    results = set()
    for threads in (1, 2, 3):
        net = network(dtype, 300)
        net.fit(X, Y, epochs=3, batch_size=32, threads=threads, **options)
        results.add(model(net).tobytes())
    assert len(results) == 1


@pytest.mark.parametrize("options", [{"ema": 0.9}, {"swa_start": 2}], ids=str)
@pytest.mark.parametrize("done", [1, 2, 3, 4])
def test_resumed_training_ends_in_the_same_bits(
    options: dict[str, Any], done: int, tmp_path: Path
) -> None:
    path = tmp_path / "checkpoint"
    told: dict[str, Any] = {"batch_size": 16, "validation_data": (X, Y), **options}
    whole = network()
    history = whole.fit(X, Y, epochs=4, **told)

    class Stop(Exception):
        pass

    def stop(net: Network, epoch: int, metrics: Any) -> None:
        if epoch > done:
            raise Stop

    first = network()
    with contextlib.suppress(Stop):
        first.fit(X, Y, epochs=4, callbacks=[Checkpoint(path, every=done), stop], **told)
    again = network(seed=5)
    resumed = again.fit(X, Y, epochs=4, resume_from=path, callbacks=[Checkpoint(path)], **told)
    assert model(again).tobytes() == model(whole).tobytes()
    assert resumed == history


def test_a_checkpoint_loads_as_the_average(tmp_path: Path) -> None:
    net, path = network(), tmp_path / "checkpoint"
    net.fit(X, Y, epochs=3, batch_size=16, ema=0.9, callbacks=Checkpoint(path))
    assert model(Network.load(path)).tobytes() == model(net).tobytes()
    before = net.parameters.tobytes()
    for told, message in (
        ({}, r"ema must be 0\.9, as in the call that made the checkpoint, got None"),
        ({"ema": 0.8}, r"ema must be 0\.9, .*, got 0\.8"),
        ({"swa_start": 2}, r"ema must be 0\.9, .*, got None"),
    ):
        with pytest.raises(ValueError, match=message):
            net.fit(X, Y, epochs=4, resume_from=path, callbacks=Checkpoint(path), **told)
    assert net.parameters.tobytes() == before


def test_a_checkpoint_from_before_the_average_knows_of_it(tmp_path: Path) -> None:
    net, path = network(), tmp_path / "checkpoint"
    net.fit(X, Y, epochs=3, swa_start=3, callbacks=Checkpoint(path, every=2))
    with pytest.raises(ValueError, match=r"swa_start must be 3, as in the call .*, got None"):
        net.fit(X, Y, epochs=3, resume_from=path, callbacks=Checkpoint(path))


def test_the_best_average_is_restored() -> None:
    net = network()
    stopping = EarlyStopping(patience=3)
    history = net.fit(
        X, Y, epochs=60, batch_size=8, learning_rate=0.05, ema=0.9,
        validation_data=(X[::-1], Y), callbacks=stopping,
    )  # fmt: skip
    assert net.evaluate(X[::-1], Y)["loss"] == min(history["val_loss"])


def test_a_failed_call_leaves_the_last_step() -> None:
    plain, net = network(), network()
    plain.fit(X, Y, epochs=2, batch_size=16)

    def fail(net: Network, epoch: int, metrics: Any) -> None:
        if epoch == 2:
            raise OSError("no disk")

    with pytest.raises(OSError, match="no disk"):
        net.fit(X, Y, epochs=4, batch_size=16, ema=0.9, callbacks=fail)
    assert model(net).tobytes() == model(plain).tobytes()
    net.fit(X, Y, epochs=1)
    plain.fit(X, Y, epochs=1)
    assert model(net).tobytes() == model(plain).tobytes()


def test_an_update_that_is_not_finite_is_undone_in_the_average_too() -> None:
    wild = np.vstack([X, np.full((1, 5), 1e200)])
    labels = np.append(Y, 0)
    net = Network([Dense(4), Dense(1, "linear")], 5, dtype="float64", seed=0)
    with pytest.raises(FloatingPointError):
        net.fit(wild, labels, epochs=2, batch_size=7, shuffle=False, ema=0.9, learning_rate=1e-3)
    assert np.isfinite(net.parameters).all()


BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"ema": 0.0}, ValueError, "ema must be a number in"),
    ({"ema": 1.0}, ValueError, "ema must be a number in"),
    ({"ema": -0.5}, ValueError, "ema must be a number in"),
    ({"ema": float("nan")}, ValueError, "ema must be a number in"),
    ({"ema": "0.9"}, TypeError, "ema must be a number in"),
    ({"ema": True}, TypeError, "ema must be a number in"),
    ({"swa_start": 0}, ValueError, "swa_start must be a positive integer"),
    ({"swa_start": 1.5}, TypeError, "swa_start must be a positive integer"),
    ({"swa_start": 3}, ValueError, "swa_start must be one of the epochs, 1 to 2, got 3"),
    ({"swa_start": 1, "ema": 0.9}, ValueError, "must not both be given"),
    ({"ema": 0.9, "optimizer": LBFGS()}, ValueError, "must not be given with LBFGS"),
]


@pytest.mark.parametrize(("options", "error", "match"), BAD, ids=str)
def test_wrong_settings_are_named(
    options: dict[str, Any], error: type[Exception], match: str
) -> None:
    net = network()
    before = model(net)
    with pytest.raises(error, match=match):
        net.fit(X, Y, epochs=2, **options)
    assert model(net).tobytes() == before.tobytes()
    assert net.training is None

"""Checkpoints: resumed training ends in the same bits; whatever else a file holds is refused."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import BatchNorm, Checkpoint, CSVLog, Dense, EarlyStopping, Network, _checkpoint, _files
from fastnn._averages import Averaging
from fastnn._checkpoint import FitProgress

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(120, 4)).astype(np.float32)
Y = (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(int) + (X[:, 3] > 1)
LAYERS = [Dense(16, "relu"), Dense(3, "softmax")]


def network(seed: int | None = 1) -> Network:
    return Network(LAYERS, 4, seed=seed)


def state(net: Network) -> tuple[Any, ...]:
    description, tensors = net.to_data()
    return description, {name: array.tobytes() for name, array in tensors.items()}


class Crash(Exception):
    """What a training ends with that is resumed."""


def crash_after(epoch: int) -> Callable[..., None]:
    def crash(net: Network, now: int, metrics: Any) -> None:
        if now > epoch:
            raise Crash

    return crash


STARTS: dict[str, Callable[[Path], Network]] = {
    "the same script": lambda path: network(),
    "another seed": lambda path: network(seed=None),
    "not built": lambda path: Network(LAYERS, seed=7),
    "loaded": Network.load,
}


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize(
    ("optimizer", "rate", "shuffle", "batch_size"),
    [("adam", 0.05, True, 16), ("momentum", 0.05, True, 7), ("sgd", 0.3, False, 32),
     ("rmsprop", 0.01, True, None)],
)  # fmt: skip
def test_resuming_after_any_epoch_ends_in_the_same_bits(
    tmp_path: Path, start: str, optimizer: str, rate: float, shuffle: bool, batch_size: int | None
) -> None:
    def options(path: Path, *more: Any) -> dict[str, Any]:
        return {
            "epochs": 7, "optimizer": optimizer, "learning_rate": rate, "shuffle": shuffle,
            "batch_size": batch_size, "validation_split": 0.25, "metrics": ["f1"],
            "callbacks": [EarlyStopping(patience=2), Checkpoint(path), *more],
        }  # fmt: skip

    whole = network()
    history = whole.fit(X, Y, **options(tmp_path / "whole"))
    for epoch in range(1, history.n_epochs + 1):
        path = tmp_path / f"{epoch}"
        try:
            network().fit(X, Y, **options(path, crash_after(epoch)))
        except Crash:
            assert epoch < history.n_epochs
        net = STARTS[start](path)
        resumed = net.fit(X, Y, resume_from=path, **options(tmp_path / "again"))
        assert resumed == history == net.history
        assert state(net) == state(whole)
        assert net.seed == whole.seed


def test_early_stopping_goes_on_counting_and_remembers_the_best(tmp_path: Path) -> None:
    def options(*more: Any) -> dict[str, Any]:
        return {
            "epochs": 50, "learning_rate": 0.3, "batch_size": 16, "validation_split": 0.4,
            "callbacks": [EarlyStopping(patience=3), Checkpoint(tmp_path / "file"), *more],
        }  # fmt: skip

    whole = network()
    history = whole.fit(X, Y, **options())
    best = int(np.argmin(history["val_loss"])) + 1
    assert history.n_epochs == best + 3 < 50
    assert whole.parameters.tobytes() != Network.load(tmp_path / "file").parameters.tobytes()
    for epoch in range(best, best + 4):  # the last one has stopped already
        with pytest.raises(Crash) if epoch < best + 3 else _nothing():
            network().fit(X, Y, **options(crash_after(epoch)))
        net = network()
        assert net.fit(X, Y, resume_from=tmp_path / "file", **options()) == history
        assert state(net) == state(whole)


def _nothing() -> Any:
    import contextlib

    return contextlib.nullcontext()


def test_live_views_and_copies_of_a_resumed_network_stay_what_they_were(tmp_path: Path) -> None:
    net, other = network(), network(seed=5)
    net.fit(X, Y, epochs=2, callbacks=Checkpoint(tmp_path / "file"))
    view, twin = other.parameters, other.copy()
    other.fit(X, Y, epochs=2, resume_from=tmp_path / "file", callbacks=Checkpoint(tmp_path / "f"))
    assert view.tobytes() == net.parameters.tobytes() == other.parameters.tobytes()
    assert twin.parameters.tobytes() == network(seed=5).parameters.tobytes()


def test_more_epochs_than_before_go_on(tmp_path: Path) -> None:
    net, twin = network(), network()
    net.fit(X, Y, epochs=2, callbacks=Checkpoint(tmp_path / "file"))
    resumed = network()
    history = resumed.fit(
        X, Y, epochs=5, resume_from=tmp_path / "file", callbacks=Checkpoint(tmp_path / "file")
    )
    assert history == twin.fit(X, Y, epochs=5)
    assert state(resumed) == state(twin)


def test_a_checkpoint_is_a_network_like_any_other(tmp_path: Path) -> None:
    net = network()
    net.fit(X, Y, epochs=3, callbacks=Checkpoint(tmp_path / "file"))
    loaded = Network.load(tmp_path / "file")
    assert state(loaded) == state(net)
    loaded.save(tmp_path / "plain")
    description, tensors = _files.read_model(tmp_path / "plain")
    assert "fit" not in description
    assert not any(name.startswith("fit.") for name in tensors)


def test_every_and_best_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[str, int]] = []
    monkeypatch.setattr(
        "fastnn._epochs.write", lambda net, path, progress: written.append(
            (path, progress.history.n_epochs))
    )  # fmt: skip
    losses = iter([5.0, 4.0, 4.5, 3.0, 3.5, 1.0])
    monkeypatch.setattr(
        "fastnn._epochs.evaluate", lambda *_, **__: {"loss": next(losses), "accuracy": 0.5}
    )
    network().fit(
        X, Y, epochs=6, validation_data=(X, Y),
        callbacks=[Checkpoint("two", every=2), Checkpoint("best", best_only=True)],
    )  # fmt: skip
    assert [epoch for path, epoch in written if path == "two"] == [2, 4, 6]
    assert [epoch for path, epoch in written if path == "best"] == [1, 2, 4, 6]


def test_the_checkpoint_knows_what_callbacks_after_it_have_seen(tmp_path: Path) -> None:
    first = [Checkpoint(tmp_path / "file"), EarlyStopping(patience=5)]
    network().fit(X, Y, epochs=3, validation_split=0.2, callbacks=first)
    _, _, progress = _checkpoint.read(tmp_path / "file", Network)
    assert progress is not None
    ((_, stopping), _) = progress.callbacks
    assert stopping["best_epoch"] + stopping["wait"] == 3


def test_a_csv_log_of_a_resumed_training_has_every_epoch_once(tmp_path: Path) -> None:
    def callbacks(every: int) -> list[Any]:
        return [CSVLog(tmp_path / "log"), Checkpoint(tmp_path / "file", every=every)]

    with pytest.raises(Crash):
        network().fit(X, Y, epochs=9, callbacks=[*callbacks(2), crash_after(4)])
    network().fit(X, Y, epochs=6, resume_from=tmp_path / "file", callbacks=callbacks(2))
    rows = (tmp_path / "log").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["epoch", "1", "2", "3", "4", "5", "6"]


def test_many_epochs_fit_into_a_file(tmp_path: Path) -> None:
    net = Network([Dense(1)], 1, seed=0)
    net.fit(
        np.ones((2, 1)), [0.0, 1.0], epochs=40_000,
        callbacks=Checkpoint(tmp_path / "file", every=40_000),
    )  # fmt: skip
    _, _, progress = _checkpoint.read(tmp_path / "file", Network)
    assert progress is not None
    assert progress.history == net.history


def test_a_checkpoint_that_cannot_be_written_ends_the_call(tmp_path: Path) -> None:
    net, twin, folder = network(), network(), tmp_path / "folder"
    folder.mkdir()

    def take_it_away(*_: Any) -> None:
        folder.rmdir()

    with pytest.raises(OSError, match="folder"):
        net.fit(X, Y, epochs=3, callbacks=[take_it_away, Checkpoint(folder / "file")])
    assert net.history == twin.fit(X, Y, epochs=1)
    assert state(net) == state(twin)


# ---- what cannot be resumed ----------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    network().fit(
        X, Y, epochs=4, validation_split=0.2, callbacks=[EarlyStopping(), Checkpoint(path)]
    )
    return path


WRONG: dict[str, tuple[Network, dict[str, Any], str]] = {
    "layers": (Network([Dense(3, "softmax")], 4), {}, "resume_from must be .* layers"),
    "features": (Network(LAYERS, 5), {}, "resume_from must be .* n_features"),
    "dtype": (Network(LAYERS, 4, dtype="float64"), {}, "resume_from must be .* dtype"),
    "epochs": (network(), {"epochs": 3}, "epochs must be at least 4, which resume_from has done"),
    "callbacks": (network(), {"callbacks": []}, "callbacks must be those of the call that made"),
    "order": (
        network(),
        {"callbacks": [Checkpoint("x"), EarlyStopping(), CSVLog("y")]},
        "callbacks must be those .*: EarlyStopping, Checkpoint, got EarlyStopping, CSVLog",
    ),
    "metrics": (network(), {"metrics": ["f1"]}, "resume_from needs the metrics of the call"),
    "validation": (
        network(), {"validation_split": None, "callbacks": []}, "resume_from needs the metrics"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_call_that_cannot_go_on_is_refused_before_anything_changes(file: Path, case: str) -> None:
    net, changed, message = WRONG[case]
    before, history = state(net), net.history
    options = {"epochs": 9, "validation_split": 0.2} | changed
    options.setdefault("callbacks", [EarlyStopping(), Checkpoint("x")])
    features = 5 if case == "features" else 4
    with pytest.raises(ValueError, match=f"^{message}"):
        net.fit(np.ones((120, features)), Y, resume_from=file, **options)
    assert state(net) == before
    assert net.history == history


@pytest.mark.parametrize("is_built", [True, False])
def test_a_refused_state_of_a_callback_changes_nothing(file: Path, is_built: bool) -> None:
    description, tensors = _files.read_model(file)
    description["fit"]["callbacks"][0]["state"]["wait"] = 0.5
    _files.write_model(file, description, tensors)
    net = Network(LAYERS, 4 if is_built else None, seed=3)
    if is_built:
        net.fit(X, Y, epochs=2, optimizer="momentum")
    before, history, seed = state(net), net.history, net.seed
    with pytest.raises(ValueError, match="wait must be an integer"):
        net.fit(
            X, Y, epochs=9, validation_split=0.2, resume_from=file,
            callbacks=[EarlyStopping(), Checkpoint("x")],
        )  # fmt: skip
    assert state(net) == before
    assert (net.history, net.seed) == (history, seed)


def test_resume_from_what_is_no_checkpoint(tmp_path: Path, file: Path) -> None:
    net = network()
    before = state(net)
    network().save(tmp_path / "plain")
    (tmp_path / "damaged").write_bytes(file.read_bytes()[:-9] + b"123456789")
    (tmp_path / "text").write_text("no model")
    with pytest.raises(
        ValueError, match=r"^resume_from must be a file written by fastnn\.Checkpoint"
    ):
        net.fit(X, Y, resume_from=tmp_path / "plain")
    for name in ("damaged", "text"):
        with pytest.raises(ValueError, match=f"^resume_from must be a checkpoint: .*{name}"):
            net.fit(X, Y, resume_from=tmp_path / name)
    with pytest.raises(FileNotFoundError, match="missing"):
        net.fit(X, Y, resume_from=tmp_path / "missing")
    with pytest.raises(TypeError, match="path must be a str"):
        net.fit(X, Y, resume_from=3)  # type: ignore[arg-type]
    assert state(net) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d, t: d.update(fit=3), "fit must be an object"),
        (lambda d, t: d["fit"].pop("stopped"), "fit must have the keys"),
        (lambda d, t: d["fit"].update(stopped=1), "stopped must be True or False"),
        (lambda d, t: d["fit"].update(history=["loss"]), "must be of float64, of a row"),
        (lambda d, t: d["fit"].update(history=["loss"] * 4), "different names"),
        (lambda d, t: d["fit"].update(callbacks=3), "callbacks must be a list"),
        (lambda d, t: d["fit"].update(averaged="x"), "averaged must be a positive integer"),
        (lambda d, t: d["fit"].update(averaged=0), "averaged must be a positive integer"),
        (lambda d, t: d["fit"].update(averaged=2**64), "averaged must be a positive integer"),
        (lambda d, t: d["fit"]["callbacks"].pop(), None),
        (lambda d, t: d["fit"]["callbacks"].clear(), "the other tensors of a fit"),
        (lambda d, t: d["fit"]["callbacks"][0].update(state=3), "a state must be an object"),
        (lambda d, t: t.pop("fit.history"), "the tensor fit.history must be"),
        (lambda d, t: t.update({"fit.history": np.zeros(4)}), "the tensor fit.history must be"),
        (lambda d, t: t.update({"fit.more": np.zeros(4)}), "the other tensors of a fit"),
        (lambda d, t: d.pop("fit"), "the tensors of a fit"),
    ],
)
def test_wild_descriptions_are_refused(
    file: Path, change: Callable[[Any, Any], Any], message: str | None
) -> None:
    description, tensors = _files.read_model(file)
    change(description, tensors)
    _files.write_model(file, description, tensors)
    if message is None:
        Network.load(file)
        return
    with pytest.raises(ValueError, match=f"cannot load .*{message}"):
        Network.load(file)


@pytest.mark.parametrize(
    "state", [{}, {"best": "x", "best_epoch": 0, "wait": 0}, {"best": 1.0, "best_epoch": -1,
              "wait": 0}, {"best": 1.0, "best_epoch": 1, "wait": 0.5}],
)  # fmt: skip
def test_wild_states_are_refused(state: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        EarlyStopping().set_state(state)
    with pytest.raises(ValueError, match="must"):
        Checkpoint("x").set_state(state)


def test_wild_best_parameters_are_refused(file: Path) -> None:
    description, tensors = _files.read_model(file)
    tensors["fit.0.parameters"] = tensors["fit.0.parameters"][:-1]
    _files.write_model(file, description, tensors)
    net = network()
    with pytest.raises(ValueError, match="parameters must be float32 of shape"):
        net.fit(
            X, Y, epochs=4, validation_split=0.2, resume_from=file,
            callbacks=[EarlyStopping(), Checkpoint(file)],
        )  # fmt: skip
    assert np.isfinite(net.parameters).all()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [("parameters", np.nan, "is NaN"), ("running", np.inf, "running statistics must be finite"),
     ("running", -1.0, "variances must be at least 0")],
)  # fmt: skip
def test_wild_numbers_of_the_best_model_are_refused(
    tmp_path: Path, name: str, value: float, message: str
) -> None:
    def train(net: Network, **options: Any) -> None:
        net.fit(
            X, Y, epochs=2, validation_split=0.2, **options,
            callbacks=[EarlyStopping(), Checkpoint(tmp_path / "file")],
        )  # fmt: skip

    layers = [BatchNorm(), *LAYERS]
    train(Network(layers, 4, seed=1))
    description, tensors = _files.read_model(tmp_path / "file")
    tensors[f"fit.0.{name}"][-1] = value
    _files.write_model(tmp_path / "file", description, tensors)
    net = Network(layers, 4, seed=1)
    with pytest.raises(ValueError, match=message):
        train(net, resume_from=tmp_path / "file")
    assert np.isfinite(net.predict_proba(X)).all()


def test_a_state_that_is_no_dict_is_named(tmp_path: Path) -> None:
    class Mine(fastnn.Callback):
        def state(self) -> Any:
            return [1]

    with pytest.raises(TypeError, match=r"Mine\.state must return a dict, got \[1\] \(list\)"):
        network().fit(X, Y, epochs=1, callbacks=[Mine(), Checkpoint(tmp_path / "file")])


def test_progress_comes_back_as_it_was() -> None:
    history = fastnn.History(loss=[1.0, float("nan")], val_loss=[0.5, float("inf")])
    progress = FitProgress(
        history, True, [("Mine", {"best": None, "block": np.arange(3.0)})], Averaging(swa_start=3)
    )
    description, tensors = progress.parts()
    back = FitProgress.taken(description, tensors)
    assert back is not None
    np.testing.assert_equal(dict(back.history), dict(history))
    assert back.stopped
    assert back.averaging == Averaging(swa_start=3)
    ((kind, state_of_mine),) = back.callbacks
    assert kind == "Mine"
    assert state_of_mine["best"] is None
    assert state_of_mine["block"].tolist() == [0, 1, 2]
    assert description == tensors == {}


# ---- kill -9 -------------------------------------------------------------------------------------


def test_a_checkpoint_always_loads_after_kill(tmp_path: Path) -> None:
    path = tmp_path / "file"
    script = f"""
        import numpy as np
        from fastnn import Checkpoint, Network
        X = np.ones((8, 64), np.float32)
        net = Network.from_sizes([64, 512, 1], seed=0)
        net.fit(X, np.ones(8), epochs=10**6, callbacks=Checkpoint({str(path)!r}))
    """
    root = Path(fastnn.__file__).parent.parent
    command = [sys.executable, "-P", "-c", textwrap.dedent(script)]
    epochs = []
    for _ in range(10):
        path.unlink(missing_ok=True)
        process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(root)})
        try:
            while not path.exists() and process.poll() is None:
                time.sleep(0.002)
            time.sleep(0.03 * RANDOM.random())
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        _, _, progress = _checkpoint.read(path, Network)
        assert progress is not None
        epochs.append(progress.history.n_epochs)
    assert min(epochs) >= 1

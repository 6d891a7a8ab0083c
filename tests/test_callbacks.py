"""Callbacks, the history, validation_split, progress; and what is wrong in their arguments."""

import csv
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fastnn import (
    Callback,
    Checkpoint,
    CSVLog,
    Dense,
    EarlyStopping,
    History,
    Network,
    StopTraining,
    TensorBoardLog,
)
from fastnn._core import single
from fastnn._split import split_rows

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(120, 4)).astype(np.float32)
Y = (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(int) + (X[:, 3] > 1)


def classifier(seed: int = 1) -> Network:
    return Network.from_sizes([4, 16, 3], output="softmax", seed=seed)


def regression() -> Network:
    return Network([Dense(3, "tanh"), Dense(1)], 4, seed=0)


def state(net: Network) -> tuple[Any, ...]:
    description, tensors = net.to_data()
    return description, {name: array.tobytes() for name, array in tensors.items()}


# ---- the loop ------------------------------------------------------------------------------------


def test_a_function_hears_of_every_epoch() -> None:
    heard: list[tuple[int, dict[str, float]]] = []

    def listen(net: Network, epoch: int, metrics: Any) -> None:
        assert net.history.last() == metrics
        heard.append((epoch, dict(metrics)))
        metrics.clear()  # its own

    history = classifier().fit(X, Y, epochs=3, callbacks=[listen, listen], validation_data=(X, Y))
    assert [epoch for epoch, _ in heard] == [1, 1, 2, 2, 3, 3]
    assert [values["val_loss"] for _, values in heard[::2]] == history["val_loss"]
    assert heard[0] == heard[1]


def test_callbacks_change_no_bits() -> None:
    net, twin = classifier(), classifier()
    net.fit(X, Y, epochs=4, batch_size=16, callbacks=lambda *_: None)
    twin.fit(X, Y, epochs=4, batch_size=16)
    assert state(net) == state(twin)
    assert net.history == twin.history


def test_the_methods_of_a_callback_are_called_in_order() -> None:
    calls = []

    class Notes(Callback):
        def check(self, names: Any) -> None:
            calls.append(("check", *names))

        def on_fit_begin(self, net: Network) -> None:
            calls.append(("begin", net.history.n_epochs))

        def on_epoch_end(self, net: Network, epoch: int, metrics: Any) -> None:
            calls.append(("epoch", epoch))

        def on_fit_end(self, net: Network) -> None:
            calls.append(("end", net.history.n_epochs))

    classifier().fit(X, Y, epochs=2, callbacks=Notes())
    assert calls == [
        ("check", "loss", "accuracy"), ("begin", 0), ("epoch", 1), ("epoch", 2), ("end", 2)
    ]  # fmt: skip


def test_stop_training_ends_the_call_after_the_epoch_and_all_callbacks_hear_of_it() -> None:
    heard = []

    def stop(net: Network, epoch: int, metrics: Any) -> None:
        if epoch == 3:
            raise StopTraining

    net, twin = classifier(), classifier()
    history = net.fit(
        X, Y, epochs=9, batch_size=32, callbacks=[stop, lambda n, epoch, m: heard.append(epoch)]
    )
    assert history.n_epochs == 3
    assert heard == [1, 2, 3]
    twin.fit(X, Y, epochs=3, batch_size=32)
    assert state(net) == state(twin)


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, MemoryError])
def test_an_exception_leaves_a_usable_network_and_the_finished_epochs(
    error: type[BaseException],
) -> None:
    def fail(net: Network, epoch: int, metrics: Any) -> None:
        if epoch == 2:
            raise error("mine")

    net, twin = classifier(), classifier()
    with pytest.raises(error, match="mine"):
        net.fit(X, Y, epochs=5, batch_size=32, callbacks=fail, validation_data=(X, Y))
    assert net.history == twin.fit(X, Y, epochs=2, batch_size=32, validation_data=(X, Y))
    assert state(net) == state(twin)
    assert net.fit(X, Y, epochs=2) == twin.fit(X, Y, epochs=2)


def test_an_exception_at_the_begin_leaves_a_usable_network() -> None:
    class Fails(Callback):
        def on_fit_begin(self, net: Network) -> None:
            raise OSError("no disk")

    net, twin = classifier(), classifier()
    with pytest.raises(OSError, match="no disk"):
        net.fit(X, Y, callbacks=Fails(), ema=0.9)
    assert net.history == {"loss": [], "accuracy": [], "learning_rate": []}
    assert net._state is not None
    assert net._state.average is None
    assert net.fit(X, Y) == twin.fit(X, Y)


def test_a_callback_may_use_the_network_but_not_train_it(tmp_path: Path) -> None:
    results = []

    def use(net: Network, epoch: int, metrics: Any) -> None:
        results.append(net.predict(X).shape)
        assert net.evaluate(X, Y) == {
            "loss": metrics["val_loss"],
            "accuracy": metrics["val_accuracy"],
        }
        net.save(tmp_path / "net")
        assert state(Network.load(tmp_path / "net")) == state(net.copy())
        with pytest.raises(RuntimeError, match="being trained by another call"):
            net.fit(X, Y)

    classifier().fit(X, Y, epochs=2, callbacks=use, validation_data=(X, Y))
    assert results == [(120,), (120,)]


def test_what_a_callback_writes_to_the_parameters_counts() -> None:
    def reset(net: Network, epoch: int, metrics: Any) -> None:
        net.parameters[:] = 0.25

    net, twin = regression(), regression()
    net.fit(X, X[:, 0], epochs=2, batch_size=8, shuffle=False, optimizer="sgd", callbacks=reset)
    twin.parameters[:] = 0.25
    assert (
        net.history["loss"][1]
        == twin.fit(X, X[:, 0], epochs=1, batch_size=8, shuffle=False, optimizer="sgd")["loss"][0]
    )
    assert (net.parameters == 0.25).all()


# ---- accuracy of the training samples ------------------------------------------------------------

OUTPUTS: list[tuple[str, int, Any]] = [
    ("softmax", 3, Y),
    ("softmax", 3, np.eye(3)[Y]),
    ("softmax", 40, np.arange(120) % 40),
    ("sigmoid", 1, Y > 0),
    ("sigmoid", 3, np.eye(3)[Y]),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("output", "n_units", "y"), OUTPUTS)
@pytest.mark.parametrize(("batch_size", "shuffle"), [(None, True), (32, False), (7, True)])
def test_accuracy_of_an_epoch_that_changes_nothing_is_that_of_evaluate(
    dtype: str, output: str, n_units: int, y: Any, batch_size: int | None, shuffle: bool
) -> None:
    net = Network.from_sizes([4, 16, n_units], output=output, seed=1, dtype=dtype)
    accuracy = net.evaluate(X, y)["accuracy"]
    history = net.fit(
        X, y, epochs=2, batch_size=batch_size, shuffle=shuffle, optimizer="sgd", learning_rate=1e-30
    )
    assert history["accuracy"] == pytest.approx([accuracy, accuracy], rel=1e-15)
    assert 0 < accuracy < 1


def test_of_equal_outputs_the_first_one_counts_as_predict_does() -> None:
    net = Network([Dense(3, "softmax")], 4, seed=0)
    net.parameters[:] = 0
    history = net.fit(X, Y, epochs=1, batch_size=None)
    assert history["accuracy"] == [np.mean(Y == 0)]


@pytest.mark.parametrize("isa", [None, "baseline"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_units", [1, 2, 3, 16, 32, 33, 100])
@pytest.mark.parametrize("rows", [1, 7, 8, 16, 37])
def test_hits_of_every_size(rows: int, n_units: int, dtype: Any, isa: str | None) -> None:
    random = np.random.default_rng(rows * n_units)
    out = random.integers(0, 4, (rows, n_units)).astype(dtype)  # many of them are equal
    labels = out.argmax(axis=1).astype(np.int32)
    labels[::3] = random.integers(0, n_units, len(labels[::3]))
    targets = random.random((rows, n_units)).astype(dtype)
    weights = random.random(rows).astype(dtype)
    right = out.argmax(axis=1) == labels
    assert single.hits(out, labels, isa=isa) == right.sum()
    assert single.hits(out, labels, weights, isa=isa) == pytest.approx(weights[right].sum())
    right = out.argmax(axis=1) == targets.argmax(axis=1)
    assert single.hits(out, targets, isa=isa) == right.sum()
    assert single.hits(out, targets, weights, isa=isa) == pytest.approx(weights[right].sum())
    shares = ((out > 1.5) == (targets > 0.5)).mean(axis=1)
    for given, expected in ((None, shares.sum()), (weights, (shares * weights).sum())):
        hits = single.hits(out, targets, given, 1.5, isa, units=True)
        assert hits == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("threads", [1, 2])
def test_accuracy_does_not_depend_on_threads(threads: int) -> None:
    wide = RANDOM.normal(size=(400, 64)).astype(np.float32)
    y = np.arange(400) % 10
    net = Network.from_sizes([64, 128, 10], output="softmax", seed=0)
    history = net.fit(wide, y, epochs=3, batch_size=200, threads=threads)
    twin = Network.from_sizes([64, 128, 10], output="softmax", seed=0)
    assert history == twin.fit(wide, y, epochs=3, batch_size=200, threads=1)


def test_a_regression_has_no_accuracy() -> None:
    assert list(regression().fit(X, X[:, 0], epochs=1)) == ["loss", "learning_rate"]


# ---- early stopping ------------------------------------------------------------------------------


def run_early_stopping(
    monkeypatch: pytest.MonkeyPatch, values: list[float], name: str = "loss", **options: Any
) -> tuple[Network, list[Any], EarlyStopping]:
    """Trains with played values of a metric of the validation data; parameters after each epoch."""
    played = iter(values)
    monkeypatch.setattr(
        "fastnn._epochs.evaluate",
        lambda *_, **__: {"loss": 1.0, "accuracy": 0.5} | {name: next(played)},
    )
    stopping = EarlyStopping(f"val_{name}", **options)
    parameters: list[Any] = []
    net = classifier()
    net.fit(
        X, Y, epochs=len(values), validation_data=(X, Y),
        callbacks=[lambda net, *_: parameters.append(net.parameters.copy()), stopping],
    )  # fmt: skip
    return net, parameters, stopping


@pytest.mark.parametrize(
    ("name", "values", "options", "n_epochs", "best"),
    [
        ("loss", [5, 4, 3, 4, 5, 1], {"patience": 2}, 5, 3),
        ("loss", [5, 4, 3, 4, 3, 3.5, 1], {"patience": 3}, 6, 3),
        ("loss", [5, 4, 3, 2, 1], {"patience": 1}, 5, 5),
        ("loss", [5, 4.5, 4.1, 4.2], {"patience": 2, "min_delta": 0.6}, 4, 3),
        ("loss", [5, np.nan, np.nan, 1], {"patience": 2}, 3, 1),
        ("accuracy", [0.5, 0.7, 0.6, 0.6, 1], {"patience": 2}, 4, 2),
        ("accuracy", [0.7, 0.6], {"patience": 1}, 2, 1),
    ],
)
def test_early_stopping_ends_the_training_and_restores_the_best(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    values: list[float],
    options: Any,
    n_epochs: int,
    best: int,
) -> None:
    net, parameters, stopping = run_early_stopping(monkeypatch, values, name, **options)
    assert net.history.n_epochs == n_epochs
    assert stopping.best_epoch == best
    assert net.parameters.tobytes() == parameters[best - 1].tobytes()


def test_early_stopping_keeps_the_last_parameters_where_it_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net, parameters, _ = run_early_stopping(monkeypatch, [1, 2, 3], patience=2, restore_best=False)
    assert net.parameters.tobytes() == parameters[2].tobytes()


def test_early_stopping_can_be_used_again() -> None:
    stopping = EarlyStopping(patience=1)
    runs = [
        classifier().fit(
            X, Y, epochs=20, learning_rate=0.3, validation_split=0.2, callbacks=stopping
        )
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert runs[0].n_epochs < 20


# ---- logs ----------------------------------------------------------------------------------------


def test_csv_log(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    for epochs in (5, 3):  # the second replaces the first
        history = classifier().fit(X, Y, epochs=epochs, callbacks=CSVLog(path))
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    for name in history:
        assert [float(row[name]) for row in rows] == history[name]


def test_tensorboard_log_without_it_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    for name in [name for name in sys.modules if name.startswith("tensorboard.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ImportError, match=r"extra 'tensorboard' brings it"):
        TensorBoardLog(tmp_path)


def test_tensorboard_log(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    history = classifier().fit(
        X, Y, epochs=3, validation_data=(X, Y), callbacks=TensorBoardLog(tmp_path)
    )
    for run, name, key in (("train", "loss", "loss"), ("validation", "accuracy", "val_accuracy")):
        events = accumulator.EventAccumulator(str(tmp_path / run))
        events.Reload()
        scalars = events.Scalars(name)
        assert [event.step for event in scalars] == [1, 2, 3]
        assert [event.value for event in scalars] == pytest.approx(history[key], rel=1e-6)


# ---- validation_split ----------------------------------------------------------------------------


@pytest.mark.parametrize("fraction", [0.01, 0.2, 0.5, 0.99])
@pytest.mark.parametrize("labels", [None, Y])
def test_split_takes_every_row_once(fraction: float, labels: Any) -> None:
    kept, aside = split_rows(120, fraction, 3, labels)
    assert sorted([*kept, *aside]) == list(range(120))
    assert len(kept) > 0
    assert abs(len(aside) - fraction * 120) <= (0.5 if labels is None else 3)
    assert (np.diff(kept) > 0).all()
    assert (np.diff(aside) > 0).all()


def test_split_takes_its_share_of_each_class_and_follows_the_seed() -> None:
    labels = np.repeat([0, 1, 2, 3], [80, 30, 9, 1])
    kept, aside = split_rows(120, 0.2, 0, labels)
    assert np.bincount(labels[aside], minlength=4).tolist() == [16, 6, 2, 0]
    assert set(labels[kept]) == {0, 1, 2, 3}
    assert split_rows(120, 0.2, 0, labels)[1].tolist() == aside.tolist()
    assert split_rows(120, 0.2, 1, labels)[1].tolist() != aside.tolist()
    assert split_rows(3, 0.4, 0, np.arange(3))[1].size == 1  # no class can spare a sample
    assert split_rows(2**10, 0.5, 0)[1].tolist() != list(range(2**9))


def test_validation_split_trains_on_the_others() -> None:
    net, twin = classifier(), classifier()
    kept, aside = split_rows(120, 0.25, net.seed, Y)
    history = net.fit(X, Y, epochs=3, batch_size=16, validation_split=0.25)
    expected = twin.fit(
        X[kept], Y[kept], epochs=3, batch_size=16, validation_data=(X[aside], Y[aside])
    )
    assert history == expected
    assert state(net) == state(twin)


@pytest.mark.parametrize(("output", "n_units", "y"), OUTPUTS)
def test_validation_split_of_every_kind_of_target(output: str, n_units: int, y: Any) -> None:
    net = Network.from_sizes([4, n_units], output=output, seed=0)
    assert net.fit(X, y, epochs=1, validation_split=0.1).n_epochs == 1
    assert regression().fit(X, X[:, 0], epochs=1, validation_split=0.1).n_epochs == 1


# ---- history -------------------------------------------------------------------------------------


def test_history_prints_as_a_table() -> None:
    history = History(loss=[1.0, 0.5, 0.00012], learning_rate=[0.0, 1e-5, 2e6])
    assert str(history).splitlines() == [
        "epoch        loss  learning_rate",
        "    1      1.0000         0.0000",
        "    2      0.5000      1.000e-05",
        "    3   1.200e-04      2.000e+06",
    ]
    assert repr(history) == str(history)
    assert [line.split()[0] for line in history.table(2).splitlines()] == ["epoch", "1", "3"]
    assert len(str(History(loss=[0.5] * 1000)).splitlines()) == 21
    assert str(History()) == "epoch"
    assert str(History(loss=[])).split() == ["epoch", "loss"]


def test_history_copy_is_its_own() -> None:
    history = History(loss=[1.0])
    history.copy()["loss"].append(2.0)
    assert history == {"loss": [1.0]}
    assert type(history.copy()) is History


def test_history_plots_itself() -> None:
    pytest.importorskip("matplotlib")
    history = classifier().fit(X, Y, epochs=3, validation_data=(X, Y), metrics="f1")
    axes = history.plot()
    assert [ax.get_ylabel() for ax in axes] == ["loss", "accuracy", "score"]
    named = {line.get_label() for ax in axes for line in ax.lines}
    assert {"val_f1", "val_loss", "val_accuracy"} <= named


def test_history_as_a_data_frame() -> None:
    pandas = pytest.importorskip("pandas")
    history = History(loss=[1.0, 0.5], accuracy=[0.5, 1.0])
    frame = history.to_frame()
    assert frame.index.tolist() == [1, 2]
    assert frame.index.name == "epoch"
    pandas.testing.assert_frame_equal(frame.reset_index(drop=True), pandas.DataFrame(dict(history)))
    assert History(loss=[]).to_frame().shape == (0, 1)


def test_to_frame_without_pandas_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"extra 'data' brings it"):
        History(loss=[1.0]).to_frame()


# ---- progress ------------------------------------------------------------------------------------


def test_the_bar_is_quiet_where_there_is_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    classifier().fit(X, Y, epochs=2, progress=True)
    assert capfd.readouterr() == ("", "")


def test_a_line_an_epoch_on_request(capfd: pytest.CaptureFixture[str]) -> None:
    history = classifier().fit(X, Y, epochs=10, progress="epochs", validation_data=(X, Y))
    out, err = capfd.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 10
    assert lines[1].startswith(f"epoch  2/10  loss {history['loss'][1]:.4f}  accuracy ")
    assert f"val_loss {history['val_loss'][1]:.4f}" in lines[1]


def test_the_bar_counts_epochs_and_shows_the_metrics(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    history = classifier().fit(X, Y, epochs=4, progress=True, validation_data=(X, Y))
    last = capfd.readouterr().err.split("\r")[-1]
    assert last.startswith("epoch 4/4: 100%")
    assert "epochs/s" in last
    assert f"loss={history['loss'][-1]:.4f}" in last
    assert f"val_accuracy={history['val_accuracy'][-1]:.4f}" in last


def test_the_bar_of_a_training_that_was_stopped_is_full_and_that_of_one_that_failed_is_not(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(error: type[Exception]) -> Callable[..., None]:
        def callback(net: Network, epoch: int, metrics: Any) -> None:
            if epoch == 2:
                raise error

        return callback

    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    classifier().fit(X, Y, epochs=8, progress=True, callbacks=end(StopTraining))
    assert capfd.readouterr().err.split("\r")[-1].startswith("epoch 2/8: 100%")
    with pytest.raises(OSError):  # noqa: PT011
        classifier().fit(X, Y, epochs=8, progress=True, callbacks=end(OSError))
    assert capfd.readouterr().err.split("\r")[-1].startswith("epoch 2/8:  25%")


def test_a_notebook_gets_its_own_bar(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    shown: list[Any] = []

    class Bar:
        n = 0.0

        def __init__(self, **options: Any) -> None:
            shown.append(options["total"])

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: Any) -> None: ...

        def set_description(self, text: str, refresh: bool) -> None:
            shown.append(text)

        def set_postfix(self, values: Any, refresh: bool) -> None:
            shown.append(set(values))

        def update(self, n: float) -> None:
            self.n += n

    monkeypatch.setitem(sys.modules, "tqdm.auto", SimpleNamespace(tqdm=Bar))
    classifier().fit(X, Y, epochs=3, progress=True, callbacks=lambda *_: None)
    assert shown[0] == 3
    assert shown[-2:] == ["epoch 3/3", {"loss", "accuracy", "learning_rate"}]
    assert capfd.readouterr() == ("", "")


# ---- wrong arguments -----------------------------------------------------------------------------

WRONG: list[tuple[str, type[Exception], Callable[[], Any]]] = [
    ("patience", ValueError, lambda: EarlyStopping(patience=0)),
    ("patience", ValueError, lambda: EarlyStopping(patience=-1)),
    ("patience", TypeError, lambda: EarlyStopping(patience=2.5)),  # type: ignore[arg-type]
    ("patience", TypeError, lambda: EarlyStopping(patience=True)),
    ("min_delta", ValueError, lambda: EarlyStopping(min_delta=-0.1)),
    ("min_delta", ValueError, lambda: EarlyStopping(min_delta=float("nan"))),
    ("restore_best", TypeError, lambda: EarlyStopping(restore_best=1)),  # type: ignore[arg-type]
    ("monitor", TypeError, lambda: EarlyStopping(monitor=3)),  # type: ignore[arg-type]
    ("mode", ValueError, lambda: EarlyStopping(monitor="val_stuff", mode="up")),
    ("mode", TypeError, lambda: Checkpoint("x", mode=1)),  # type: ignore[arg-type]
    ("every", ValueError, lambda: Checkpoint("x", every=0)),
    ("every", TypeError, lambda: Checkpoint("x", every=0.5)),  # type: ignore[arg-type]
    ("best_only", TypeError, lambda: Checkpoint("x", best_only="yes")),  # type: ignore[arg-type]
    ("path", TypeError, lambda: Checkpoint(3)),  # type: ignore[arg-type]
    ("path", ValueError, lambda: Checkpoint("a\0b")),
    ("path", TypeError, lambda: CSVLog(None)),  # type: ignore[arg-type]
    ("n_rows", ValueError, lambda: History(loss=[1.0]).table(0)),
]


@pytest.mark.parametrize(("name", "error", "call"), WRONG)
def test_wrong_arguments_are_named(
    name: str, error: type[Exception], call: Callable[[], Any]
) -> None:
    with pytest.raises(error, match=f"^{name} must be"):
        call()


def stuff(y_true: Any, y_pred: Any) -> float:
    return float(np.mean(y_true))


WRONG_FITS: list[tuple[str, type[Exception], dict[str, Any]]] = [
    ("monitor must be one of loss, accuracy, got 'val_loss'; give fit val", ValueError,
     {"callbacks": EarlyStopping()}),
    ("monitor must be one of loss, accuracy, val_loss, val_accuracy, got 'val_f1'", ValueError,
     {"callbacks": EarlyStopping("val_f1"), "validation_split": 0.2}),
    ("monitor must be one of loss, accuracy, val_loss, .* got 'val_los'", ValueError,
     {"callbacks": EarlyStopping("val_los"), "validation_split": 0.2}),
    ("mode must be 'min' or 'max' with monitor='val_stuff', whose name does not tell", ValueError,
     {"callbacks": EarlyStopping("val_stuff"), "validation_split": 0.2, "metrics": stuff}),
    ("restore_best needs a monitor of the validation data", ValueError,
     {"callbacks": EarlyStopping("loss")}),
    ("restore_best needs a monitor", ValueError,
     {"callbacks": EarlyStopping("accuracy"), "validation_split": 0.2}),
    ("monitor must be one of", ValueError, {"callbacks": Checkpoint("x", best_only=True)}),
    ("callbacks must be callbacks or functions", TypeError, {"callbacks": 3}),
    ("callbacks must be callbacks or functions", TypeError, {"callbacks": "early"}),
    (r"callbacks\[1\] must be a callback", TypeError, {"callbacks": [print, "early"]}),
    (r"callbacks\[0\] must be a callback", TypeError, {"callbacks": [EarlyStopping]}),
    ("callbacks", TypeError, {"callbacks": None}),
    ("validation_split must be a number in", ValueError, {"validation_split": 0}),
    ("validation_split must be a number in", ValueError, {"validation_split": 1}),
    ("validation_split must be a number in", ValueError, {"validation_split": 1.5}),
    ("validation_split must be a number in", ValueError, {"validation_split": -0.2}),
    ("validation_split must be a number in", ValueError, {"validation_split": float("nan")}),
    ("validation_split must be a number in", TypeError, {"validation_split": "0.2"}),
    ("validation_split must be a number in", TypeError, {"validation_split": True}),
    ("validation_split and validation_data", ValueError,
     {"validation_split": 0.2, "validation_data": (X, Y)}),
    ("metrics must be one of", ValueError, {"metrics": "acuracy", "validation_split": 0.2}),
    ("metrics must be names or functions", TypeError, {"metrics": 3, "validation_split": 0.2}),
    ("metrics must be names or functions", TypeError, {"metrics": [3], "validation_split": 0.2}),
    ("metrics must be names or functions", TypeError, {"metrics": None}),
    ("metrics: mae is for networks that predict values", ValueError,
     {"metrics": "mae", "validation_split": 0.2}),
    ("metrics are measured on the validation data", ValueError, {"metrics": "f1"}),
    ("metrics must have names of their own", ValueError,
     {"metrics": ["f1", "f1_score"], "validation_split": 0.2}),
    ("progress must be True, False or 'epochs'", TypeError, {"progress": "yes"}),
    ("progress must be True, False or 'epochs'", TypeError, {"progress": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("message", "error", "options"), WRONG_FITS)
def test_a_wrong_fit_is_refused_before_anything_changes(
    message: str, error: type[Exception], options: dict[str, Any]
) -> None:
    net = classifier()
    net.fit(X, Y, epochs=1)
    before, history = state(net), net.history
    with pytest.raises(error, match=f"^{message}"):
        net.fit(X, Y, epochs=1, optimizer="sgd", **options)
    assert state(net) == before
    assert net.history == history


def test_validation_split_of_one_sample() -> None:
    with pytest.raises(ValueError, match="validation_split must leave samples to train on"):
        classifier().fit(X[:1], Y[:1], validation_split=0.5)


def test_metrics_of_the_wrong_kind_of_network() -> None:
    with pytest.raises(ValueError, match="metrics: f1 is for networks that predict classes"):
        regression().evaluate(X, X[:, 0], metrics="f1")
    with pytest.raises(ValueError, match="metrics: top_k_accuracy is for softmax outputs"):
        Network.from_sizes([4, 1]).evaluate(X, Y > 0, metrics="top_k_accuracy")


@pytest.mark.parametrize(("mode", "best"), [("min", 3), ("max", 2)])
def test_mode_says_what_is_better(mode: str, best: int, tmp_path: Path) -> None:
    values = iter([0.5, 0.9, 0.1, 0.4, 0.3])

    def stuff(y_true: Any, y_pred: Any) -> float:
        return next(values)

    stopping = EarlyStopping("val_stuff", patience=9, mode=mode)
    path = tmp_path / "best"
    kept = Checkpoint(path, best_only=True, monitor="val_stuff", mode=mode)
    net = classifier()
    net.fit(X, Y, epochs=5, validation_split=0.2, metrics=stuff, callbacks=[stopping, kept])
    assert stopping.best_epoch == best
    assert net.parameters.tobytes() == Network.load(path).parameters.tobytes()


@pytest.mark.parametrize("bad", [np.float32(1), float("nan"), {1, 2}])
def test_a_state_that_no_file_can_hold_names_its_callback(bad: Any, tmp_path: Path) -> None:
    class Mine(Callback):
        def state(self) -> dict[str, Any]:
            return {"value": bad}

    with pytest.raises(TypeError, match=r"Mine\.state must return a dict of arrays and what JSON"):
        classifier().fit(X, Y, epochs=1, callbacks=[Mine(), Checkpoint(tmp_path / "x")])


@pytest.mark.parametrize("kind", [Checkpoint, CSVLog])
def test_a_folder_that_is_not_there_is_refused_before_anything_changes(
    kind: Any, tmp_path: Path
) -> None:
    net = classifier()
    before = net.parameters.tobytes()
    with pytest.raises(ValueError, match="path must be in a folder that exists, got"):
        net.fit(X, Y, epochs=1, callbacks=kind(tmp_path / "nowhere" / "file"))
    assert net.parameters.tobytes() == before
    assert net.training is None

"""Many networks in one call: the bits of each one alone, errors, Ctrl-C."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastnn
from fastnn import (
    BatchNorm,
    Callback,
    Checkpoint,
    CosineDecay,
    CSVLog,
    Dense,
    Dropout,
    EarlyStopping,
    Network,
    ReduceOnPlateau,
    StopTraining,
    fit_many,
)
from fastnn._core.training import loss_and_gradients
from fastnn.config import get_num_threads

Array = npt.NDArray[Any]

RNG = np.random.default_rng(0)
X = RNG.standard_normal((600, 7)).astype(np.float32)
Y = (X @ RNG.standard_normal((7, 3))).argmax(axis=1)
HALF = RNG.permutation(600)[:300]
MASK = X[:, 0] > -0.5
WITH_TWICE = RNG.integers(0, 600, 500)
ROWS: list[Any] = [HALF, MASK, WITH_TWICE, None]


def classifiers(n: int, **options: Any) -> list[Network]:
    return [
        Network.from_sizes([7, 16 + i, 3], "relu", "softmax", seed=i, **options) for i in range(n)
    ]


def taken(values: Any, rows: Any) -> Any:
    return values if rows is None or values is None else values[rows]


def assert_like_alone(
    make: Callable[[], list[Network]],
    rows: list[Any] | None = None,
    settings: list[dict[str, Any]] | None = None,
    y: Any = Y,
    threads: int = 2,
    **common: Any,
) -> None:
    """The networks of one call have the bits and the histories of those that are trained alone."""
    together, alone = make(), make()
    histories = fit_many(together, X, y, rows=rows, settings=settings, threads=threads, **common)
    for i, net in enumerate(alone):
        arguments = {"y": y, **common, **(settings[i] if settings else {})}
        own = None if rows is None else rows[i]
        for name in ("y", "sample_weight"):
            if arguments.get(name) is not None:
                arguments[name] = taken(np.asarray(arguments[name]), own)
        assert net.fit(taken(X, own), **arguments, threads=1) == histories[i]
        assert together[i].history == histories[i]
        assert together[i].parameters.tobytes() == net.parameters.tobytes()
        assert together[i].training == net.training
        for ours, theirs in zip(
            together[i].running_statistics, net.running_statistics, strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)  # type: ignore[arg-type]
        # they go on alike: shuffling, slots
        arguments.pop("callbacks", None)
        arguments |= {"epochs": 1}
        net.fit(taken(X, own), **arguments)
        together[i].fit(taken(X, own), **arguments)
        assert together[i].parameters.tobytes() == net.parameters.tobytes()


# ---- the same bits -------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("batch_size", [1, 32, None])
def test_networks_end_as_if_each_were_trained_alone(
    threads: int, shuffle: bool, batch_size: int | None
) -> None:
    assert_like_alone(
        lambda: classifiers(4),
        ROWS,
        threads=threads,
        epochs=3,
        shuffle=shuffle,
        batch_size=batch_size,
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", ["adam", "momentum", "lbfgs"])
def test_every_optimizer_and_dtype_reads_the_rows(dtype: str, optimizer: str) -> None:
    if optimizer == "lbfgs":
        pytest.importorskip("scipy")
    assert_like_alone(lambda: classifiers(4, dtype=dtype), ROWS, epochs=3, optimizer=optimizer)


def test_networks_of_any_kind_stand_beside_each_other() -> None:
    def make() -> list[Network]:
        noisy = [
            Dense(40),
            BatchNorm(),
            fastnn.Activation("relu"),
            Dropout(0.3),
            Dense(3, "softmax"),
        ]
        return [
            Network(noisy, 7, seed=3),
            Network([Dense(3, "softmax")], seed=4),  # not built yet
            Network.from_sizes([7, 100, 90, 3], "tanh", "softmax", dtype="float64", seed=5),
            Network([Dense(8, "prelu"), Dense(1)], 7, seed=6),
        ]

    weights = RNG.uniform(0, 2, 600)
    settings: list[dict[str, Any]] = [
        {"epochs": 7, "sample_weight": weights, "class_weight": "balanced"},
        {"epochs": 2, "l2": 1e-3, "label_smoothing": 0.1},
        {"learning_rate": CosineDecay(1e-2), "clip_norm": 1.0, "ema": 0.9},
        {"y": X[:, 1] ** 2, "sample_weight": weights, "max_norm": None},
    ]
    del settings[3]["max_norm"]
    assert_like_alone(make, ROWS, settings, epochs=4, batch_size=50)


def test_wide_rows_and_targets_of_numbers_are_gathered() -> None:
    """In place where all rows are taken, in panels where not; both the same sums."""
    wide = np.random.default_rng(1).standard_normal((120, 300))
    y = wide[:, :2] ** 2
    rows: list[Any] = [None, np.arange(100), np.arange(119, -1, -1)]
    for X_wide in (wide, wide.astype(np.float32)):
        together, alone = (
            [Network.from_sizes([300, 70, 2], output="linear", seed=0) for _ in rows] for _ in "ab"
        )
        fit_many(together, X_wide, y, rows=rows, epochs=3, shuffle=False, batch_size=None)
        for net, one, own in zip(together, alone, rows, strict=True):
            one.fit(taken(X_wide, own), taken(y, own), epochs=3, shuffle=False, batch_size=None)
            assert net.parameters.tobytes() == one.parameters.tobytes()


@pytest.mark.parametrize("rows", [None, ROWS])
def test_validation_early_stopping_and_schedules_are_those_of_each(rows: Any) -> None:
    assert_like_alone(
        lambda: classifiers(4),
        rows,
        epochs=30,
        batch_size=30,
        learning_rate=ReduceOnPlateau(0.05, patience=1),
        validation_split=0.2,
        metrics=["f1"],
        callbacks=EarlyStopping(patience=2),
    )


def test_a_callback_object_of_all_is_one_for_each() -> None:
    """They stop at epochs of their own, which one object for all could not do."""
    stopping = EarlyStopping(patience=2)
    histories = fit_many(
        classifiers(6),
        X,
        Y,
        epochs=200,
        learning_rate=0.03,
        validation_split=0.2,
        callbacks=stopping,
    )
    assert len({each.n_epochs for each in histories}) > 1
    assert stopping.best_epoch == 0  # it was copied


def test_callbacks_see_their_network_in_its_thread() -> None:
    seen: list[tuple[Network, int, int]] = []

    def note(net: Network, epoch: int, metrics: Any) -> None:
        net.predict(X)
        seen.append((net, epoch, threading.get_ident()))
        if epoch == 3:
            raise StopTraining

    networks = classifiers(3)
    histories = fit_many(networks, X, Y, epochs=9, callbacks=note)
    assert [each.n_epochs for each in histories] == [3, 3, 3]
    assert threading.get_ident() not in {thread for *_, thread in seen}
    for net in networks:
        assert [epoch for one, epoch, _ in seen if one is net] == [1, 2, 3]
        assert len({thread for one, _, thread in seen if one is net}) == 1


def test_checkpoints_resume_in_a_call_of_many(tmp_path: Path) -> None:
    def settings(kind: str) -> list[dict[str, Any]]:
        return [{"callbacks": [Checkpoint(tmp_path / f"{kind}{i}")]} for i in range(3)]

    whole, halves = classifiers(3), classifiers(3)
    options: dict[str, Any] = {"rows": ROWS[:3], "epochs": 5, "validation_split": 0.2}
    fit_many(whole, X, Y, settings=settings("whole"), **options)
    first = settings("half")
    fit_many(halves, X, Y, settings=first, **{**options, "epochs": 2})
    fresh = classifiers(3)
    second = settings("half")
    for each in second:
        each["resume_from"] = each["callbacks"][0].path
    histories = fit_many(fresh, X, Y, settings=second, **options)
    for one, other, history in zip(whole, fresh, histories, strict=True):
        assert one.parameters.tobytes() == other.parameters.tobytes()
        assert history == one.history


def test_a_checkpoint_from_the_middle_of_an_epoch_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", X)
    mapped, checkpoint = np.load(tmp_path / "X.npy", mmap_mode="r"), tmp_path / "checkpoint"

    def stop(net: Network, epoch: int, metrics: Any) -> None:
        raise StopTraining

    writer, net = Checkpoint(checkpoint, every=2, every_blocks=1), classifiers(1)[0]
    options: dict[str, Any] = {"batch_size": 100, "block_size": 100, "epochs": 5}
    net.fit(mapped, Y, callbacks=[stop, writer], **options)
    with pytest.raises(ValueError, match=r"networks\[0\]: resume_from .* middle of an epoch"):
        fit_many(classifiers(1), X, Y, resume_from=checkpoint, callbacks=[stop, writer], epochs=5)


def test_x_is_not_copied_by_rows() -> None:
    import tracemalloc

    large = np.zeros((100_000, 50), np.float32)
    y = np.zeros(len(large), np.int64)
    networks = [Network.from_sizes([50, 2], output="softmax", seed=i) for i in range(4)]
    rows = [np.arange(i, len(large)) for i in range(4)]
    fit_many(networks[:1], large, y, rows=rows[:1], epochs=1)
    tracemalloc.start()
    fit_many(networks, large, y, rows=rows, epochs=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < large.nbytes  # orders, labels, and no X


def test_the_longest_networks_begin_first() -> None:
    order: list[int] = []

    class Begin(Callback):
        def __init__(self, i: int) -> None:
            self.i = i

        def on_fit_begin(self, net: Network) -> None:
            order.append(self.i)

    epochs = [1, 5, 2, 4, 3]
    settings = [{"epochs": n, "callbacks": Begin(n)} for n in epochs]
    networks = [Network.from_sizes([7, 3], output="softmax", seed=0) for _ in epochs]
    fit_many(networks, X, Y, settings=settings, threads=1)
    assert order == [5, 4, 3, 2, 1]


def test_a_thread_of_many_has_its_share_of_the_threads() -> None:
    shares: list[int] = []

    def note(*_: Any) -> None:
        shares.append(get_num_threads())

    fit_many(classifiers(3), X, Y, threads=3, callbacks=note, epochs=1)
    fit_many(classifiers(2), X, Y, threads=5, callbacks=note, epochs=1)
    fit_many(classifiers(1), X, Y, threads=5, callbacks=note, epochs=1)
    assert shares == [1, 1, 1, 4, 4, 5]


# ---- what is refused -----------------------------------------------------------------------------

REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "length of settings": (
        {"settings": [{}]},
        ValueError,
        "settings must have an entry for each of the 3",
    ),
    "list of rates": (
        {"learning_rate": [1e-3, 1e-2, 1e-1]},
        TypeError,
        r"learning_rate must be one value, for all networks, got \[.*; a network's own goes into s",
    ),
    "array of epochs": (
        {"epochs": np.arange(1, 4)},
        TypeError,
        r"settings=\[\{'epochs': value\} for value in values\]",
    ),
    "no sequence": ({"settings": {"epochs": 3}}, TypeError, "settings must be a sequence"),
    "no dict": ({"settings": [{}, 3, {}]}, TypeError, r"settings\[1\] must be a dict"),
    "length of rows": ({"rows": [None]}, ValueError, "rows must have an entry for each of the 3"),
    "row too large": (
        {"rows": [None, [600], None]},
        ValueError,
        r"rows\[1\] must be rows in \[0, 600\)",
    ),
    "row below 0": (
        {"rows": [None, [-1], None]},
        ValueError,
        r"rows\[1\] must be rows in \[0, 600\)",
    ),
    "mask": ({"rows": [None, None, MASK[:5]]}, ValueError, r"rows\[2\], a mask, must be of shape"),
    "no rows": ({"rows": [None, None, []]}, ValueError, r"rows\[2\] must have at least one row"),
    "rows of numbers": (
        {"rows": [None, [0.5], None]},
        TypeError,
        r"rows\[1\] must be numbers of rows",
    ),
    "self": ({"settings": [{"self": 1}, {}, {}]}, TypeError, r"networks\[0\]: .*'self'"),
    "number for a name": ({"settings": [{1: 2}, {}, {}]}, TypeError, r"settings\[0\] must have te"),
    "block_size": ({"block_size": 64}, ValueError, r"networks\[0\]: block_size must not"),
    "keyword": ({"lr": 0.1}, TypeError, r"networks\[0\]: .*'lr'; here it is learning_rate"),
    "own keyword": (
        {"settings": [{}, {"eta": 1}, {}]},
        TypeError,
        r"networks\[1\]: .*learning_rate",
    ),
    "own rows": ({"settings": [{}, {"rows": [1]}, {}]}, TypeError, "rows is of the whole call"),
    "threads": ({"settings": [{}, {"threads": 1}, {}]}, TypeError, "threads is of the whole call"),
    "epochs": ({"settings": [{}, {}, {"epochs": 0}]}, ValueError, r"networks\[2\]: epochs must"),
    "y": ({"settings": [{}, {}, {"y": Y[:9]}]}, ValueError, r"networks\[2\]: y must be of shape"),
    "y of other classes": (
        {"settings": [{}, {}, {"y": Y + 1}]},
        ValueError,
        r"networks\[2\]: y must be classes",
    ),
    "sample_weight": (
        {"sample_weight": [1.0], "rows": ROWS[:3]},
        ValueError,
        r"networks\[0\]: sample_weight must be",
    ),
    "monitor": ({"callbacks": EarlyStopping()}, ValueError, r"networks\[0\]: monitor must be"),
    "lbfgs": (
        {"settings": [{}, {}, {"optimizer": "lbfgs", "ema": 0.5}]},
        ValueError,
        r"networks\[2\]: ema",
    ),
    "smoothing": (
        {"settings": [{}, {}, {"learning_rate": lambda step: -1.0}]},
        ValueError,
        r"networks\[2\]",
    ),
    "progress": ({"progress": "epochs"}, TypeError, "progress must be"),
    "threads of none": ({"threads": 0}, ValueError, "threads must be"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_argument_changes_no_network(name: str) -> None:
    if name == "lbfgs":
        pytest.importorskip("scipy")
    arguments, kind, message = REFUSED[name]
    networks = [*classifiers(2), Network([Dense(3, "softmax")], seed=1)]
    before = [(net.copy().to_data(), net.history) for net in networks]
    with pytest.raises(kind, match=message):
        fit_many(networks, X, Y, **arguments)
    for net, (data, history) in zip(networks, before, strict=True):
        assert repr(net.to_data()) == repr(data)
        assert net.history == history
        assert net.training is None
    fit_many(networks, X, Y, epochs=1)  # they are free, and usable


def test_networks_must_be_different_ones_for_this_x() -> None:
    net = classifiers(1)[0]
    with pytest.raises(ValueError, match=r"the same one as networks\[0\] and networks\[2\]"):
        fit_many([net, *classifiers(1), net], X, Y)
    other = Network.from_sizes([8, 3], output="softmax", seed=0)
    with pytest.raises(ValueError, match=r"networks\[1\]: X has 7 features, .* built for 8"):
        fit_many([net, other], X, Y)
    with pytest.raises(ValueError, match="at least one network"):
        fit_many([], X, Y)
    with pytest.raises(TypeError, match=r"networks\[1\] must be a Network, got 3"):
        fit_many([net, 3], X, Y)  # type: ignore[list-item]
    with pytest.raises(TypeError, match="networks must be a sequence"):
        fit_many(net, X, Y)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^X\[5, 2\] is NaN"):
        fit_many([net], np.where(np.arange(4200).reshape(600, 7) == 37, np.nan, X), Y)
    assert net.training is None
    net.fit(X, Y, epochs=1)


def test_a_network_that_is_being_trained_is_refused_and_the_others_are_free() -> None:
    networks = classifiers(3)
    errors: list[str] = []

    def again(net: Network, *_: Any) -> None:
        with pytest.raises(RuntimeError, match=r"networks\[1\]: .*another call") as caught:
            fit_many([networks[0], net], X, Y)
        errors.append(str(caught.value))
        networks[0].fit(X, Y, epochs=1)

    networks[2].fit(X, Y, epochs=1, callbacks=again)
    assert len(errors) == 1


def test_two_networks_do_not_write_one_file(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"files of their own, got .*networks\[0\] and networks\[1\]"
    ):
        fit_many(classifiers(2), X, Y, callbacks=CSVLog(tmp_path / "log.csv"))
    (tmp_path / "folder").symlink_to(tmp_path)
    paths = [tmp_path / "log.csv", tmp_path / "folder" / "log.csv"]
    with pytest.raises(ValueError, match="files of their own"):
        fit_many(classifiers(2), X, Y, settings=[{"callbacks": CSVLog(path)} for path in paths])
    settings = [{"callbacks": CSVLog(tmp_path / f"{i}.csv")} for i in range(2)]
    fit_many(classifiers(2), X, Y, settings=settings, epochs=3)
    assert len((tmp_path / "1.csv").read_text().splitlines()) == 4


# ---- what fails later ----------------------------------------------------------------------------


def test_a_network_that_fails_does_not_stop_the_others() -> None:
    networks, alone = classifiers(4), classifiers(4)

    def refuse(net: Network, epoch: int, metrics: Any) -> None:
        if epoch == 2:
            raise KeyError("no more")

    settings: list[dict[str, Any]] = [
        {},
        {"optimizer": "sgd", "learning_rate": 1e30},
        {"callbacks": refuse},
        {},
    ]
    with pytest.raises(ExceptionGroup, match="2 of 4 networks failed") as caught:
        fit_many(networks, X, Y, settings=settings, epochs=3)
    diverged, refused = caught.value.exceptions
    assert isinstance(diverged, FloatingPointError)
    assert diverged.__notes__ == ["This was networks[1]."]
    assert isinstance(refused, KeyError)
    assert "networks[1]: FloatingPointError" in str(caught.value)
    assert np.isfinite(networks[1].parameters).all()
    assert networks[2].history.n_epochs == 2
    for i in (0, 3):
        assert networks[i].history == alone[i].fit(X, Y, epochs=3)
        assert networks[i].parameters.tobytes() == alone[i].parameters.tobytes()
    for net in networks[1:3]:
        net.set_parameters(biases=[np.zeros(one.shape) for one in net.biases])  # nothing holds them


def test_an_error_that_takes_no_note_ends_the_call() -> None:
    class Odd(Exception):
        def add_note(self, _: str) -> None:
            raise RuntimeError("no notes")

    def fail(*_: Any) -> None:
        raise Odd

    networks = classifiers(3)
    with pytest.raises(RuntimeError, match="no notes"):
        fit_many(networks, X, Y, callbacks=fail)
    fit_many(networks, X, Y, epochs=1)


def test_an_exit_in_a_callback_ends_the_call() -> None:
    def leave(*_: Any) -> None:
        raise SystemExit(3)

    networks = classifiers(4)
    settings: list[dict[str, Any]] = [{}, {}, {}, {"callbacks": leave}]  # the largest begins
    begin = time.monotonic()
    with pytest.raises(SystemExit):
        fit_many(networks, X, Y, settings=settings, epochs=10_000_000)
    assert time.monotonic() - begin < 5
    for net in networks:
        net.fit(X, Y, epochs=1)


def test_a_thread_that_ends_before_its_first_network_ends_the_call(
    run_script: Callable[..., str],
) -> None:
    """Nobody waits for ever for networks that no thread is going to train."""
    printed = run_script(
        """
        import numpy as np
        from fastnn import Network, fit_many, many

        def fail(_):
            raise MemoryError("no memory for a thread's own values")

        nets = [Network.from_sizes([2, 3, 1], seed=i) for i in range(3)]
        X, y = np.ones((4, 2), np.float32), np.ones(4)
        stop_when, many.stop_when = many.stop_when, fail
        try:
            fit_many(nets, X, y, epochs=1)
        except MemoryError as error:
            print(error)
        many.stop_when = stop_when
        print(len(fit_many(nets, X, y, epochs=1)))
        """
    )
    assert printed.splitlines() == ["no memory for a thread's own values", "3"]


def interrupt_after(seconds: float) -> None:
    threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT)).start()


@pytest.mark.parametrize("options", [{}, {"validation_split": 0.5}, {"batch_size": None}])
def test_ctrl_c_ends_all_within_a_second(options: dict[str, Any]) -> None:
    networks = classifiers(5)
    interrupt_after(0.4)
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        fit_many(networks, X, Y, threads=2, epochs=10_000_000, **options)
    assert time.monotonic() - begin < 1.4
    begun = [net for net in networks if net.training is not None]
    assert len(begun) == 2
    for net in begun:
        assert net.history.n_epochs > 0
        assert np.isfinite(net.parameters).all()
    for net in networks:
        net.fit(X, Y, epochs=1)


def test_ctrl_c_ends_one_long_step_and_a_long_validation() -> None:
    """The threads look at it in the middle of a step, between tiles."""
    rng = np.random.default_rng(0)
    long_X = rng.standard_normal((40_000, 512)).astype(np.float32)
    long_y = rng.integers(0, 10, len(long_X))
    for options in ({"batch_size": None}, {"validation_split": 0.95, "batch_size": 100}):
        networks = [
            Network.from_sizes([512, 1500, 1500, 10], output="softmax", seed=i) for i in range(2)
        ]
        before = [net.parameters.copy() for net in networks]
        interrupt_after(0.6)
        begin = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            fit_many(networks, long_X, long_y, epochs=100, **options)
        assert time.monotonic() - begin < 1.9
        if options["batch_size"] is None:  # no mini-batch was finished
            for net, parameters in zip(networks, before, strict=True):
                np.testing.assert_array_equal(net.parameters, parameters)
        for net in networks:
            net.fit(long_X[:10], long_y[:10], epochs=1, batch_size=10)


def test_a_slow_callback_does_not_delay_ctrl_c() -> None:
    networks = classifiers(2)
    done = threading.Event()

    def sleep(*_: Any) -> None:
        time.sleep(2.5)
        done.set()

    interrupt_after(0.3)
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        fit_many(networks, X, Y, settings=[{"callbacks": sleep}, {}], epochs=10_000_000, threads=2)
    assert time.monotonic() - begin < 1.3
    networks[1].fit(X, Y, epochs=1)
    with pytest.raises(RuntimeError, match="another call"):
        networks[0].fit(X, Y, epochs=1)  # until its callback returns
    assert done.wait(5)
    time.sleep(0.3)
    networks[0].fit(X, Y, epochs=1)


# ---- the rest ------------------------------------------------------------------------------------


def test_one_bar_counts_the_epochs_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bar:
        n = 0.0

        def __enter__(self) -> "Bar":
            return self

        def __exit__(self, *_: Any) -> None: ...

        def set_description(self, text: str, refresh: bool) -> None:
            self.text = text

        def update(self, by: float) -> None:
            self.n += by

    bar, asked = Bar(), []

    def progress_bar(total: Any, unit: str, **_: Any) -> Bar:
        asked.append(total)
        return bar

    monkeypatch.setattr("fastnn.many.progress_bar", progress_bar)
    settings = [{"epochs": n} for n in (3, 4, 5)]
    fit_many(classifiers(3), X, Y, settings=settings, progress=True)
    assert asked == [12]
    assert bar.n == 12
    assert bar.text == "3/3 networks"


def test_warnings_point_at_the_caller() -> None:
    scaled = X * np.array([1, 1, 1e6, 1, 1, 1, 1])
    with pytest.warns(fastnn.ScalingWarning) as caught:
        fit_many(classifiers(1), scaled, Y, epochs=1)
    assert caught[0].filename == __file__


def test_copies_share_a_plan_but_no_buffers() -> None:
    net = classifiers(1)[0]
    assert_like_alone(lambda: [net.copy() for _ in ROWS], ROWS, epochs=3)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([0, 600], r"rows in \[0, 600\)"),
        ([-1, 0], r"rows in \[0, 600\)"),
        ([], "at least one sample"),
    ],
)
def test_the_core_takes_no_rows_that_are_not_there(rows: list[int], message: str) -> None:
    net = classifiers(1)[0]
    plan, state = net._built()
    block = state.parameters
    arguments = (plan, block, state.running, X, Y.astype(np.int32), np.empty_like(block), 1, 0)
    with pytest.raises(ValueError, match=message):
        loss_and_gradients(*arguments, subset=np.array(rows, np.int64))


def test_rows_that_change_meanwhile_do_not_count() -> None:
    """They are copied first; those of the core are in memory of its own."""
    rows = HALF.copy()

    def spoil(*_: Any) -> None:
        rows[:] = 1 << 40

    networks, alone = classifiers(1), classifiers(1)
    fit_many(networks, X, Y, rows=[rows], epochs=3, callbacks=spoil)
    alone[0].fit(X[HALF], Y[HALF], epochs=3)
    assert networks[0].parameters.tobytes() == alone[0].parameters.tobytes()

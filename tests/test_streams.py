"""Data larger than memory: mapped files and chunks are trained on block by block."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastnn
from fastnn import BatchNorm, Checkpoint, Dense, Dropout, EarlyStopping, Network, _epochs, _maps
from fastnn._core.training import Trainer
from fastnn._mapped import MappedRows
from fastnn._options import FitOptions

RANDOM = np.random.default_rng(0)
N = 530
X = RANDOM.normal(size=(N, 6)).astype(np.float32)
Y = (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(int) + (X[:, 3] > 1)
WEIGHTS = RANDOM.integers(1, 9, N) / 8  # of which the largest is 1
WEIGHTS[7] = 1.0


def network(**options: Any) -> Network:
    layers = [Dense(16, "relu"), BatchNorm(), Dropout(0.2), Dense(3, "softmax")]
    return Network(layers, **{"seed": 1, **options})


def mapped(folder: Path, array: Any = X, name: str = "X.npy", mode: Any = "r") -> Any:
    np.save(folder / name, array)
    return np.load(folder / name, mmap_mode=mode)


def chunks(size: int, weights: Any = None) -> Iterator[tuple[Any, ...]]:
    arrays = (X, Y) if weights is None else (X, Y, weights)
    for first in range(0, N, size):
        yield tuple(array[first : first + size] for array in arrays)
        yield tuple(array[:0] for array in arrays)  # which is skipped


def state(net: Network) -> tuple[Any, ...]:
    description, tensors = net.to_data()
    return description, {name: array.tobytes() for name, array in tensors.items()}


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "fastnn reader"]


Data = Callable[[Path], tuple[Any, ...]]
SOURCES: dict[str, Data] = {
    "mapped file": lambda folder: (mapped(folder), Y),
    "mapped X and y": lambda folder: (mapped(folder), mapped(folder, Y, "y.npy")),
    "view of a mapped file": lambda folder: (np.asarray(mapped(folder, X[::-1]))[::-1], Y),
    "columns of a mapped file": lambda folder: (mapped(folder, np.asfortranarray(X)), Y),
    "list": lambda folder: (list(chunks(70)),),
    "function": lambda folder: (lambda: chunks(23),),
    "long chunks": lambda folder: (lambda: chunks(400),),
}


# ---- the same as an array in memory --------------------------------------------------------------


@pytest.mark.parametrize("block_size", [32, 100, 512])
@pytest.mark.parametrize("source", SOURCES)
def test_without_shuffling_the_bits_are_those_of_the_array(
    tmp_path: Path, source: str, block_size: int
) -> None:
    options: dict[str, Any] = {"epochs": 3, "batch_size": 32, "shuffle": False, "ema": 0.9}
    whole, streamed = network(), network()
    expected = whole.fit(X, Y, **options)
    history = streamed.fit(*SOURCES[source](tmp_path), block_size=block_size, **options)
    assert history == expected
    assert state(streamed) == state(whole)
    assert readers() == []


@pytest.mark.parametrize("source", SOURCES)
def test_where_all_fits_one_block_the_bits_are_those_of_the_array(
    tmp_path: Path, source: str
) -> None:
    whole, streamed = network(), network()
    expected = whole.fit(X, Y, epochs=3)
    assert streamed.fit(*SOURCES[source](tmp_path), epochs=3, block_size=600) == expected
    assert state(streamed) == state(whole)


def test_few_samples_are_a_mini_batch_of_their_own() -> None:
    whole, streamed = network(), network()
    whole.fit(X[:20], Y[:20], epochs=3)
    streamed.fit([(X[:13], Y[:13]), (X[13:20], Y[13:20])], epochs=3)
    assert state(streamed) == state(whole)


def test_an_iterator_does_for_one_epoch() -> None:
    whole, streamed = network(), network()
    whole.fit(X, Y, epochs=1, shuffle=False)
    streamed.fit(chunks(50), epochs=1, shuffle=False, block_size=128)
    assert state(streamed) == state(whole)


@pytest.mark.parametrize("source", ["mapped file", "list"])
def test_weights_schedules_and_validation_are_those_of_the_array(
    tmp_path: Path, source: str
) -> None:
    options: dict[str, Any] = {
        "epochs": 4, "batch_size": 32, "shuffle": False, "class_weight": {2: 0.25},
        "learning_rate": fastnn.CosineDecay(0.01, warmup=0.5), "metrics": "f1",
        "validation_data": (X[:90], Y[:90]), "callbacks": EarlyStopping(patience=1),
    }  # fmt: skip
    whole, streamed = network(), network()
    expected = whole.fit(X, Y, sample_weight=WEIGHTS, **options)
    if source == "list":
        history = streamed.fit(list(chunks(60, WEIGHTS)), block_size=64, **options)
    else:
        data = mapped(tmp_path)
        history = streamed.fit(data, Y, sample_weight=WEIGHTS, block_size=64, **options)
    assert state(streamed) == state(whole)
    assert history["learning_rate"] == expected["learning_rate"]
    for name in expected:  # sums of weights, block by block, are rounded otherwise
        assert history[name] == pytest.approx(expected[name], rel=1e-12)


def test_rows_are_set_aside_as_those_of_an_array(tmp_path: Path) -> None:
    options: dict[str, Any] = {"epochs": 2, "shuffle": False, "validation_split": 0.2}
    whole, streamed = network(), network()
    expected = whole.fit(X, Y, **options)
    assert streamed.fit(mapped(tmp_path), Y, block_size=128, **options) == expected
    assert state(streamed) == state(whole)


@pytest.mark.parametrize("dtype", [np.float64, np.int16, ">f4"])
def test_mapped_files_of_other_dtypes(tmp_path: Path, dtype: Any) -> None:
    data = (X * 100).astype(dtype)
    whole, streamed = network(), network()
    whole.fit(data, Y, epochs=2, shuffle=False)
    streamed.fit(mapped(tmp_path, data), Y, epochs=2, shuffle=False, block_size=128)
    assert state(streamed) == state(whole)


@pytest.mark.parametrize("network_options", [{}, {"dtype": "float64"}])
def test_targets_that_are_numbers(tmp_path: Path, network_options: dict[str, Any]) -> None:
    def net() -> Network:
        return Network([Dense(4, "tanh"), Dense(6)], 6, seed=0, **network_options)

    whole, streamed = net(), net()
    data = mapped(tmp_path)
    expected = whole.fit(X, X, epochs=2, shuffle=False)
    assert streamed.fit(data, data, epochs=2, shuffle=False, block_size=128) == expected
    assert state(streamed) == state(whole)


def test_targets_that_are_trained_do_not_change_meanwhile(tmp_path: Path) -> None:
    net = Network([Dense(N, "relu"), Dense(1, "linear")], n_features=6, seed=1)
    twin, data = net.copy(), mapped(tmp_path)
    options: dict[str, Any] = {"epochs": 2, "batch_size": 32, "block_size": 64}
    twin.fit(data, net.parameters[:N].copy(), **options)
    net.fit(data, net.parameters[:N], **options)
    np.testing.assert_array_equal(net.parameters, twin.parameters)


def test_what_is_read_at_once_stays_in_place(tmp_path: Path) -> None:
    data = mapped(tmp_path)
    for options in ({"batch_size": None}, {"optimizer": "lbfgs"}):
        plain = [Dense(4, "tanh"), Dense(3, "softmax")]
        whole, other = Network(plain, seed=0), Network(plain, seed=0)
        if "optimizer" in options:
            pytest.importorskip("scipy")
        whole.fit(X, Y, epochs=3, **options)
        other.fit(data, Y, epochs=3, block_size=32, **options)
        assert state(other) == state(whole)


# ---- shuffling by blocks -------------------------------------------------------------------------


def fit_options(resume_from: Path | None = None, **more: Any) -> FitOptions:
    settings: dict[str, Any] = {
        "epochs": 3, "batch_size": 32, "optimizer": "adam", "learning_rate": None,
        "shuffle": True, "threads": None, "sample_weight": None, "class_weight": None,
        "label_smoothing": 0.0, **more,
    }  # fmt: skip
    return FitOptions.checked(network(n_features=6), resume_from=resume_from, **settings)


def rows_of_epoch(
    data: Any, net: Network, epoch: int, skip: int = 0, **more: Any
) -> npt.NDArray[np.int64]:
    options = fit_options(batch_size=10, **more)
    source = MappedRows(net, data, np.arange(len(data)) % 3, options, 80)
    return np.concatenate([part.X[:, 0] for part in source.parts(epoch, skip)]).astype(np.int64)


def test_every_epoch_has_all_rows_once_in_another_order(tmp_path: Path) -> None:
    data = mapped(tmp_path, np.arange(2 * 1003, dtype=np.float64).reshape(-1, 2) // 2)
    net = network()
    epochs = [rows_of_epoch(data, net, epoch) for epoch in (0, 1)]
    for rows in epochs:
        np.testing.assert_array_equal(np.sort(rows), np.arange(1003))
        # eight places of the file in a block
        starts = np.flatnonzero(np.diff(rows[:80]) != 1)
        assert 4 <= len(starts) <= 8
    assert (epochs[0] != epochs[1]).mean() > 0.9
    np.testing.assert_array_equal(rows_of_epoch(data, network(), 1), epochs[1])
    np.testing.assert_array_equal(rows_of_epoch(data, net, 1, skip=240), epochs[1][240:])
    assert (rows_of_epoch(data, network(seed=2), 1) != epochs[1]).mean() > 0.9
    kept = rows_of_epoch(data, net, 0, validation_split=0.3)
    assert len(np.unique(kept)) == len(kept) == 702
    in_order = rows_of_epoch(data, net, 0, shuffle=False)
    np.testing.assert_array_equal(in_order, np.arange(1003))


def test_a_network_learns_from_shuffled_blocks(tmp_path: Path) -> None:
    order = np.argsort(Y, kind="stable")  # the worst case: a class after the other
    data = mapped(tmp_path, X[order])
    net = Network([Dense(32, "relu"), Dense(3, "softmax")], seed=0)
    history = net.fit(data, Y[order], epochs=40, batch_size=16, block_size=128, learning_rate=0.01)
    assert history["accuracy"][-1] > 0.9
    again = Network([Dense(32, "relu"), Dense(3, "softmax")], seed=0)
    again.fit(
        data, Y[order], epochs=40, batch_size=16, block_size=128, learning_rate=0.01, threads=1
    )
    assert state(again) == state(net)


def test_partial_fit_streams_too(tmp_path: Path) -> None:
    net, other = network(), network()
    loss = net.fit(X, Y, epochs=1, shuffle=False)["loss"][0]
    assert other.partial_fit(mapped(tmp_path), Y, shuffle=False) == loss


# ---- memory --------------------------------------------------------------------------------------


@pytest.mark.parametrize("use", ["fit", "fit of y", "split", "validation", "predict"])
def test_resident_memory_stays_small(
    tmp_path: Path, run_script: Callable[..., str], use: str
) -> None:
    """Of a file of 240 MiB."""
    peak = run_script(f"""
        import numpy as np
        from fastnn import Dense, Network

        def peak():
            lines = open("/proc/self/status").read().split("\\n")
            return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024

        n = 200_000
        data = np.lib.format.open_memmap("{tmp_path / "X.npy"}", "w+", np.float32, (n, 300))
        part = np.random.default_rng(0).normal(size=(10_000, 300)).astype(np.float32)
        for first in range(0, n, len(part)):
            data[first : first + len(part)] = part
            data.flush()
        del data
        data = np.load("{tmp_path / "X.npy"}", mmap_mode="r")
        y = np.arange(n) % 10
        net = Network([Dense(16, "relu"), Dense(10, "softmax")], 300, seed=0)
        net.fit(part, y[:10_000], epochs=1)
        open("/proc/self/clear_refs", "w").write("5")  # the peak from here on
        before = peak()
        if "{use}" == "fit":
            net.fit(data, y, epochs=2)
        elif "{use}" == "fit of y":
            net = Network([Dense(16, "relu"), Dense(300)], 300, seed=0)
            net.fit(data, data, epochs=1)
        elif "{use}" == "split":
            net.fit(data, y, epochs=1, validation_split=0.05)
        elif "{use}" == "validation":
            net.fit(part, y[:10_000], epochs=1, validation_data=(data, y))
        else:
            net.predict(data)
        print(peak() - before)
    """)
    assert float(peak) < 130


@pytest.mark.parametrize("mode", ["r+", "c"])
def test_what_was_written_to_a_mapped_file_is_not_lost(tmp_path: Path, mode: str) -> None:
    data = mapped(tmp_path, np.zeros_like(X), mode=mode)
    data[:] = X
    network().fit(data, Y, epochs=2, block_size=64)
    network().fit(X, Y, epochs=1, validation_data=(data, Y))
    np.testing.assert_array_equal(data, X)
    del data
    on_disk = np.load(tmp_path / "X.npy")
    np.testing.assert_array_equal(on_disk, X if mode == "r+" else np.zeros_like(X))


def test_predictions_of_a_mapped_file_are_those_of_the_array(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, net = mapped(tmp_path), network(n_features=6)
    whole = net.evaluate(X, Y, sample_weight=WEIGHTS)
    probabilities, values = net.predict_proba(X), net.evaluate(X, Y)
    monkeypatch.setattr(_maps.slices, "__defaults__", (4 * 6 * 50,))
    assert len(list(_maps.slices(data))) == 11
    np.testing.assert_array_equal(net.predict_proba(data), probabilities)
    assert net.evaluate(data, Y) == pytest.approx(values, rel=1e-12)
    assert net.evaluate(data, Y, sample_weight=WEIGHTS) == pytest.approx(whole, rel=1e-6)
    weights = np.where(np.arange(N) < 60, 0.0, WEIGHTS)  # nothing in the first part
    expected = net.evaluate(X, Y, sample_weight=weights)
    assert net.evaluate(data, Y, sample_weight=weights) == pytest.approx(expected, rel=1e-6)
    bad = X.copy()
    bad[333, 2] = np.nan
    with pytest.raises(ValueError, match=r"X\[333, 2\] is NaN"):
        net.predict(mapped(tmp_path, bad, "bad.npy"))


# ---- stopped and resumed in the middle of an epoch -----------------------------------------------


class Crash(Exception):
    """What a training ends with that is resumed."""


def crash_at(n_writes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the checkpoint is written, as often."""
    write, calls = _epochs.write, iter(range(1, 10**6))

    def crash(*arguments: Any) -> None:
        write(*arguments)
        if next(calls) == n_writes:
            raise Crash

    monkeypatch.setattr(_epochs, "write", crash)


@pytest.mark.parametrize("source", ["mapped file", "list", "function"])
@pytest.mark.parametrize("n_writes", [1, 2, 5, 6, 12])
def test_resuming_between_two_blocks_ends_in_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, n_writes: int
) -> None:
    path = tmp_path / "net.ckpt"
    rate = fastnn.CosineDecay(0.01) if source != "function" else 0.01

    def options() -> dict[str, Any]:
        return {
            "epochs": 4, "batch_size": 32, "block_size": 128, "learning_rate": rate, "ema": 0.9,
            "validation_data": (X[:70], Y[:70]), "l2": 0.1,
            "callbacks": [EarlyStopping(patience=9), Checkpoint(path, every_blocks=1)],
        }  # fmt: skip

    data = SOURCES[source](tmp_path)
    whole = network()
    expected = whole.fit(*data, **options())
    crash_at(n_writes, monkeypatch)
    with pytest.raises(Crash):
        network().fit(*data, **options())
    monkeypatch.undo()
    # of an epoch's five blocks, the last one ends in the epoch's own checkpoint
    assert ("position" in str(fastnn._files.read_model(path)[0]["fit"])) == (n_writes % 5 != 0)
    resumed = network(seed=9)
    history = resumed.fit(*data, resume_from=path, **options())
    assert history == expected
    assert state(resumed) == state(whole)
    assert Network.load(path).n_features == 6


def checkpoint(path: Path, monkeypatch: pytest.MonkeyPatch, data: Any) -> dict[str, Any]:
    """Writes one after the second block of the second epoch; what the call was told."""
    callbacks = Checkpoint(path, every_blocks=2)
    options = {"epochs": 3, "batch_size": 32, "block_size": 128, "callbacks": callbacks}
    crash_at(4, monkeypatch)
    with pytest.raises(Crash):
        network().fit(*data, **options)
    monkeypatch.undo()
    return options


def test_a_checkpoint_of_a_block_needs_the_same_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "net.ckpt"
    options = checkpoint(path, monkeypatch, SOURCES["list"](tmp_path))
    net = network(n_features=6)
    before = state(net)
    for data, change, message in [
        ((X, Y), {}, "resume_from is a checkpoint from the middle of an epoch, after 256 samples"),
        ((list(chunks(70)),), {"block_size": 64}, "block_size must be 128"),
        (([(X[:256], Y[:256])],), {}, "after 256 samples of an epoch, X has no more than these"),
        ((list(chunks(70)),), {"epochs": 1}, "epochs must be at least 2"),
        ((mapped(tmp_path), Y), {"batch_size": 64}, "batch_size must be 32, as in the call that"),
        ((mapped(tmp_path), Y), {"shuffle": False}, "shuffle must be True, as in the call that"),
    ]:
        with pytest.raises(ValueError, match=message):
            net.fit(*data, resume_from=path, **(options | change))
        assert state(net) == before
        assert readers() == []
    with pytest.raises(ValueError, match="X must be streamed in such blocks"):
        fastnn.fit_many([net], X, Y, settings=[{"resume_from": path}], epochs=3)
    assert state(net) == before
    net.fit(list(chunks(9)), resume_from=path, **options)  # cut otherwise, which does not matter
    assert net.history.n_epochs == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [("n_samples", 0), ("n_samples", 100), ("n_samples", 2.0), ("block_size", 0), ("loss", None),
     ("hits", -1.0), ("weight", True), ("more", 1)],
)  # fmt: skip
def test_damaged_places_in_a_checkpoint_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: Any
) -> None:
    path = tmp_path / "net.ckpt"
    data = SOURCES["list"](tmp_path)
    options = checkpoint(path, monkeypatch, data)
    description, tensors = fastnn._files.read_model(path)
    description["fit"]["position"][name] = value
    fastnn._files.write_model(path, description, tensors)
    with pytest.raises(ValueError, match="resume_from must be a checkpoint: cannot load"):
        network().fit(*data, resume_from=path, **options)


def test_checkpoints_of_blocks_and_of_the_best_epoch_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="every_blocks must be None with best_only"):
        Checkpoint("net", best_only=True, every_blocks=3)
    with pytest.raises(ValueError, match="every_blocks must be a positive integer"):
        Checkpoint("net", every_blocks=0)


# ---- what is refused -----------------------------------------------------------------------------


def broken(*last: Any, n_good: int = 0) -> list[Any]:
    return [(X[:64], Y[:64])] * n_good + list(last)


BAD_CHUNKS: dict[str, tuple[Any, type[Exception], str]] = {
    "no pair": (X[:64], TypeError, r"it must be \(X, y\) or \(X, y, sample_weight\), got ndarray"),
    "one": ((X[:64],), TypeError, r"got tuple of length 1"),
    "width": ((X[:64, :5], Y[:64]), ValueError, "X must be as in chunk 0, which has 6 columns, g"),
    "dtype": ((X[:64].astype("f8"), Y[:64]), ValueError, "dtype float32, got dtype float64"),
    "integers": ((X[:64].astype(int), Y[:64]), ValueError, "dtype float32, got dtype int64"),
    "rows": ((X[:64], Y[:63]), ValueError, r"y must be of shape \(64,\)"),
    "kind of y": ((X[:64], np.eye(3)[Y[:64]]), ValueError, "has labels, got rows of numbers"),
    "labels": ((X[:64], Y[:64] + 5), ValueError, r"y must be classes in \[0, 3\)"),
    "weights": ((X[:64], Y[:64], WEIGHTS[:64]), ValueError, "sample_weight must be as in chunk 0"),
    "NaN": ((X[:64] * np.nan, Y[:64]), ValueError, r"X\[0, 0\] is NaN"),
    "one dimension": ((X[0], Y[:1]), ValueError, r"X must be of shape \(n_samples, n_features\)"),
}


@pytest.mark.parametrize("n_good", [2, 3, 8])
@pytest.mark.parametrize("name", BAD_CHUNKS)
def test_a_bad_chunk_ends_the_training_before_it(name: str, n_good: int) -> None:
    chunk, error, message = BAD_CHUNKS[name]
    net, other = network(), network()
    given = broken(chunk, n_good=n_good)
    with pytest.raises(error, match=f"chunk {n_good}: .*{message}"):
        net.fit(given, epochs=2, block_size=128, shuffle=False)
    assert readers() == []
    n_trained = (64 * n_good) // 128
    if (
        name != "NaN"
    ):  # which is seen when the chunk is copied; a block is given when the next begins
        n_trained -= n_good % 2 == 0
    if n_trained > 0:
        good = broken(n_good=2 * n_trained)
        other.fit(lambda: good, epochs=1, block_size=128, shuffle=False)
        assert net.parameters.tobytes() == other.parameters.tobytes()
    assert net.history.n_epochs == 0
    net.fit(X, Y, epochs=1)
    assert np.isfinite(net.parameters).all()


@pytest.mark.parametrize("name", BAD_CHUNKS.keys() - {"weights", "kind of y", "dtype", "integers"})
def test_a_bad_first_chunk_changes_nothing(name: str) -> None:
    chunk, error, _ = BAD_CHUNKS[name]
    net = network(n_features=6)
    before = state(net)
    with pytest.raises(error, match="chunk 0: "):
        net.fit([chunk], epochs=2)
    assert state(net) == before
    assert net.training is None


def test_a_generator_that_raises_half_way_ends_the_training_with_its_error() -> None:
    def some() -> Iterator[Any]:
        yield from broken(n_good=5)
        raise Crash("the disk is gone")

    net, other = network(), network()
    with pytest.raises(Crash, match="the disk is gone"):
        net.fit(some, epochs=3, block_size=128, shuffle=False)
    other.fit(broken(n_good=4), epochs=1, block_size=128, shuffle=False)
    assert net.parameters.tobytes() == other.parameters.tobytes()
    assert readers() == []
    assert net.fit(X, Y, epochs=1).n_epochs == 1


class Exhausted:
    """Can be run through once, and does not tell."""

    def __init__(self) -> None:
        self.chunks = chunks(60)

    def __iter__(self) -> Iterator[Any]:
        yield from self.chunks


@pytest.mark.parametrize("make", [Exhausted, lambda: (lambda once: lambda: once)(chunks(60))])
def test_what_can_be_run_through_once_is_refused_for_several_epochs(make: Any) -> None:
    net = network(n_features=6)
    before = state(net)
    with pytest.raises(ValueError, match="X is a generator, which can be run through only once"):
        net.fit(chunks(60), epochs=2)
    assert state(net) == before
    with pytest.raises(ValueError, match="gave none for epoch 2 of this call; pass a function"):
        net.fit(make(), epochs=2, block_size=128)
    assert net.history.n_epochs == 1
    assert net.fit(X, Y, epochs=1).n_epochs == 1


REFUSED: dict[str, tuple[Any, dict[str, Any], type[Exception], str]] = {
    "nothing": ([], {}, ValueError, "X must give at least 1 sample, its chunks had none"),
    "empty chunks": ([(X[:0], Y[:0])], {}, ValueError, "X must give at least 1 sample"),
    "no chunks": (lambda: 3, {}, TypeError, r"an iterable of chunks .*, got 3 \(int\)"),
    "features": ([(X[:, :4], Y)], {}, ValueError, "X has 4 features, the network was built for 6"),
    "full batch": (list(chunks(60)), {"batch_size": None}, ValueError, "batch_size must be a numb"),
    "LBFGS": (list(chunks(60)), {"optimizer": "lbfgs"}, ValueError, "X must be an array for LBFGS"),
    "split": (list(chunks(60)), {"validation_split": 0.1}, ValueError, "pass validation_data"),
    "weight": (list(chunks(60)), {"sample_weight": WEIGHTS}, ValueError, "sample_weight must be N"),
    "no weight": (list(chunks(60, 0 * WEIGHTS)), {}, ValueError, "must be above 0 for some sample"),
    "bad weight": (list(chunks(60, -WEIGHTS)), {}, ValueError, r"chunk 0: sample_weight\[\d+\] is"),
    "balanced": (list(chunks(60)), {"class_weight": "balanced"}, ValueError, "must be a dict"),
    "schedule": (lambda: chunks(60), {"learning_rate": fastnn.CosineDecay(0.1), "block_size": 128},
                 ValueError, "learning_rate must be a number, a function of the step or ReduceO"),
    "block size": (list(chunks(60)), {"block_size": 0}, ValueError, "block_size must be a positiv"),
    "no memory": (list(chunks(60)), {"block_size": 2**31 - 1}, MemoryError, "."),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_call_changes_nothing(name: str) -> None:
    given, options, error, message = REFUSED[name]
    if name == "no memory":  # beyond what any machine has
        wide = np.zeros((2, 10**6), np.float32)
        net = Network([Dense(3, "softmax")], 10**6, seed=0)
        given = [(wide, [0, 1])]
    else:
        net = network(n_features=6)
    before = state(net)
    with pytest.raises(error, match=message):
        net.fit(given, epochs=2, **options)
    assert state(net) == before
    assert readers() == []


def test_y_is_a_part_of_the_chunks() -> None:
    with pytest.raises(TypeError, match=r"X must be an array of numbers, got <function"):
        network().fit(lambda: chunks(60), Y)
    with pytest.raises(TypeError, match="y must be an array of numbers, got None"):
        network().fit(X)
    with pytest.raises(TypeError, match=r"chunk 0: it must be \(X, y\)"):
        network().fit((X, Y))


def test_a_row_that_another_call_has_left_out_is_checked_in_the_next_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "net.ckpt"
    options = checkpoint(path, monkeypatch, (mapped(tmp_path), Y))
    bad = np.full_like(X, np.nan)  # whatever was read before the checkpoint and is read after it
    rows = MappedRows(network(n_features=6), mapped(tmp_path), Y, fit_options(path), 128)
    for part in rows.parts(0, 256):
        bad[part.first_row : part.first_row + len(part.X)] = part.X
    assert np.isnan(bad).any(axis=1).sum() == 256
    net = network()
    with pytest.raises(ValueError, match=r"X\[\d+, 0\] is NaN"):
        net.fit(mapped(tmp_path, bad, "bad.npy"), Y, resume_from=path, **options)
    assert net.history.n_epochs == 2


def test_rows_of_mapped_files_are_named_and_what_was_trained_stays(tmp_path: Path) -> None:
    bad = X.copy()
    bad[333, 2] = np.inf
    net, other = network(), network()
    with pytest.raises(ValueError, match=r"^X\[333, 2\] is infinity"):
        net.fit(mapped(tmp_path, bad), Y, epochs=2, shuffle=False, block_size=128)
    other.fit(X[:256], Y[:256], epochs=1, shuffle=False)
    assert net.parameters.tobytes() == other.parameters.tobytes()
    assert readers() == []


@pytest.mark.parametrize("rate", [fastnn.ReduceOnPlateau(0.01, monitor="loss"), lambda step: 0.01])
def test_rates_that_need_no_length(rate: Any) -> None:
    history = network().fit(lambda: chunks(60), epochs=3, learning_rate=rate, block_size=128)
    assert history["learning_rate"] == [0.01] * 3


def test_an_epoch_may_have_other_samples_than_the_one_before() -> None:
    sizes = iter([530, 100, 400])
    rounds: list[int] = []

    def some() -> Iterator[Any]:
        rounds.append(next(sizes))
        for first in range(0, rounds[-1], 50):
            yield X[first : first + 50], Y[first : first + 50]

    net = network()
    history = net.fit(some, epochs=3, block_size=128, progress="epochs")
    assert history.n_epochs == 3
    assert rounds == [530, 100, 400]


# ---- the thread that reads -----------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["stop", "crash"])
def test_the_reader_ends_with_the_call(ending: str) -> None:
    closed: list[bool] = []

    def some() -> Iterator[Any]:
        try:
            while True:
                yield from chunks(60)
        finally:
            closed.append(True)

    def end(step: int) -> float:
        if step == 20:
            raise Crash
        return 0.01

    with pytest.raises(Crash):
        network().fit(some, epochs=1, learning_rate=end, block_size=128, batch_size=32)
    assert readers() == []
    assert closed == [True]

    def stop(net: Network, epoch: int, metrics: Any) -> None:
        raise fastnn.StopTraining if ending == "stop" else Crash

    try:
        network().fit(lambda: chunks(60), epochs=9, callbacks=stop, block_size=128)
    except Crash:
        assert ending == "crash"
    assert readers() == []


def test_control_c_while_a_generator_waits(run_script: Callable[..., str]) -> None:
    output = run_script("""
        import os, signal, threading, time
        import numpy as np
        from fastnn import Dense, Network

        X, y = np.ones((64, 4), np.float32), np.zeros(64, int)

        def chunks():
            for i in range(10):
                yield X, y
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
            times.append(time.monotonic() + 0.2)
            time.sleep(4)

        times = []
        net = Network([Dense(8, "relu"), Dense(2, "softmax")], 4, seed=0)
        before = net.parameters.copy()
        try:
            net.fit(chunks, epochs=5, block_size=128)
        except KeyboardInterrupt:
            print(time.monotonic() - times[0] < 1, (net.parameters != before).any())
        net.fit(X, y, epochs=1)
        time.sleep(4)
        print([thread.name for thread in threading.enumerate()])
    """)
    assert output.split("\n")[:2] == ["True True", "['MainThread']"]


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs the size of this process")
def test_a_reader_without_memory_to_begin_with_is_refused(run_script: Callable[..., str]) -> None:
    """Also where there is room for its stack alone."""
    output = run_script("""
        import resource, threading
        from pathlib import Path
        import numpy as np
        from fastnn import Dense, Network

        X, y = np.ones((640, 4), np.float32), np.zeros(640, int)
        limits = resource.getrlimit(resource.RLIMIT_AS)
        threading.stack_size(8 << 20)

        def attempt(extra):
            net = Network([Dense(8, "relu"), Dense(2, "softmax")], 4, seed=0)
            before = net.parameters.copy()
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + extra, limits[1]))
            try:
                net.fit([(X, y)], epochs=1, block_size=128)
                return "trained"
            except MemoryError:
                assert (net.parameters == before).all()
                return "refused"
            finally:
                resource.setrlimit(resource.RLIMIT_AS, limits)

        print(*(attempt((8 << 20) + (extra << 12)) for extra in (0, 1, 2, 3, 4, 8, 64)))
        print(attempt(64 << 20))
    """)
    assert output.split() == ["refused"] * 7 + ["trained"]


def test_a_forked_process_does_not_wait_for_a_reader_that_it_does_not_have(
    run_script: Callable[..., str],
) -> None:
    output = run_script("""
        import os
        import numpy as np
        from fastnn import Dense, Network

        X, y = np.ones((400, 4), np.float32), np.zeros(400, int)

        def fork(net, epoch, metrics):
            global child
            if epoch == 1:
                child = os.fork()

        child = None
        net = Network([Dense(8, "relu"), Dense(2, "softmax")], 4, seed=0)
        try:
            net.fit([(X, y)] * 3, epochs=4, block_size=128, callbacks=fork)
        except RuntimeError as error:
            assert child == 0 and "was forked during fit" in str(error), error
            os._exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), net.history.n_epochs)
    """)
    assert output == "7 4\n"


def test_training_in_a_forked_process_has_a_reader_of_its_own(
    run_script: Callable[..., str],
) -> None:
    output = run_script("""
        import os
        import numpy as np
        from fastnn import Dense, Network

        X, y = np.ones((400, 4), np.float32), np.zeros(400, int)

        def train():
            net = Network([Dense(8, "relu"), Dense(2, "softmax")], 4, seed=0)
            return net.fit([(X, y)] * 3, epochs=2, block_size=128).n_epochs

        train()
        child = os.fork()
        if child == 0:
            os._exit(train())
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """)
    assert output == "2\n"


def test_a_network_may_be_used_by_its_own_chunks() -> None:
    net = network(n_features=6)

    def some() -> Iterator[Any]:
        for data, labels in chunks(60):
            if len(data) > 0:
                assert net.predict(data).shape == labels.shape
            yield data, labels

    assert net.fit(some, epochs=2, block_size=128).n_epochs == 2

    def trains() -> Iterator[Any]:
        net.fit(X, Y)
        yield X, Y

    with pytest.raises(RuntimeError, match="train"):
        net.fit(trains, epochs=1)


def test_a_loss_that_is_not_finite_names_its_mini_batch() -> None:
    net = Network([Dense(3)], 6, seed=0)
    huge = X.copy()
    huge[400] = 1e30
    given = [(huge[:330], X[:330, :3]), (huge[330:], X[330:, :3])]
    with pytest.raises(FloatingPointError, match=r"epoch 1, mini-batch 13 \(step 13\)"):
        net.fit(given, epochs=2, batch_size=32, block_size=128, shuffle=False)
    other = Network([Dense(3)], 6, seed=0)
    other.fit(X[:384], X[:384, :3], epochs=1, batch_size=32, shuffle=False)
    assert net.parameters.tobytes() == other.parameters.tobytes()


def test_the_core_takes_no_block_that_does_not_fit() -> None:
    net = network(n_features=6)
    plan, held = net._built()
    labels = Y.astype(np.int32)
    slots = np.zeros((2, held.parameters.size), np.float32)
    trainer = Trainer(
        plan, held.parameters, held.running, X[:64].copy(), labels[:64], 32, 2, 1,
        optimizer="adam", hyperparameters={"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8},
        learning_rate=0.01, slots=slots, n_updates=0, bit_generator=None,
    )  # fmt: skip
    before = held.parameters.copy()
    for data, targets, weights in [
        (X[:65], labels[:65], None),
        (X[:0], labels[:0], None),
        (X[:64].astype(np.float64), labels[:64], None),
        (X[:64, :5].copy(), labels[:64], None),
        (X[:64], labels[:63], None),
        (X[:64], labels[:64] + 5, None),
        (X[:64], labels[:64].astype(np.int64), None),
        (X[:64], labels[:64], np.ones(64, np.float32)),
    ]:
        with pytest.raises((ValueError, TypeError)):
            trainer.next_block(data, targets, weights, 0, True)
    np.testing.assert_array_equal(held.parameters, before)
    for n, n_before, is_last in [(64, 0, False), (40, 64, True)]:
        trainer.next_block(X[:n], labels[:n], None, n_before, is_last)
        assert not trainer.is_block_done
        trainer.advance(2)
        assert trainer.is_block_done
        steps = trainer.n_updates
        trainer.advance(2)  # which has nothing to do
        assert trainer.n_updates == steps
        assert trainer.samples_seen == (0 if is_last else 64)
    assert (trainer.epoch, trainer.n_updates) == (1, 4)

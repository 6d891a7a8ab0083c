"""Mapped files that the core can read are trained on where they are, not copied."""

import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastnn import BatchNorm, Dense, Dropout, Network, _maps
from fastnn._core.training import Trainer
from fastnn._in_place import InPlaceReader
from fastnn._mapped import MappedRows
from fastnn._options import FitOptions
from fastnn._reader import BufferedReader
from fastnn._streams import reader_of, source_of

RANDOM = np.random.default_rng(3)
N = 530
X = RANDOM.normal(size=(N, 6)).astype(np.float32)
Y = (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(int) + (X[:, 3] > 1)
WEIGHTS = RANDOM.random(N)

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/smaps")


def network(**options: Any) -> Network:
    layers = [Dense(16, "relu"), BatchNorm(), Dropout(0.2), Dense(3, "softmax")]
    return Network(layers, 6, **{"seed": 1, **options})


def mapped(folder: Path, array: Any = X, name: str = "X.npy") -> Any:
    np.save(folder / name, array)
    return np.load(folder / name, mmap_mode="r")


def state(net: Network) -> tuple[Any, ...]:
    description, tensors = net.to_data()
    return description, {name: array.tobytes() for name, array in tensors.items()}


def fit_options(**more: Any) -> FitOptions:
    settings: dict[str, Any] = {
        "epochs": 3, "batch_size": 32, "optimizer": "adam", "learning_rate": None,
        "shuffle": True, "threads": None, "sample_weight": None, "class_weight": None,
        "label_smoothing": 0.0, "block_size": 64, **more,
    }  # fmt: skip
    return FitOptions.checked(network(), **settings)


def resident_bytes(path: Path) -> int:
    """Of a mapped file, in this process."""
    is_of_file, total = False, 0
    for line in Path("/proc/self/smaps").read_text().split("\n"):
        if line[:1] in set("0123456789abcdef"):
            is_of_file = line.endswith(str(path))
        elif is_of_file and line.startswith("Rss:"):
            total += 1024 * int(line.split()[1])
    return total


# ---- the same as copied --------------------------------------------------------------------------

CALLS: dict[str, dict[str, Any]] = {
    "plain": {},
    "in order": {"shuffle": False},
    "weights": {"sample_weight": WEIGHTS, "class_weight": {1: 0.5}},
    "split": {"validation_split": 0.2},
    "split of weights": {"validation_split": 0.2, "sample_weight": WEIGHTS, "shuffle": False},
    "smoothing": {"label_smoothing": 0.1},
}


@pytest.mark.filterwarnings("ignore:X has bytes:fastnn.ScalingWarning")
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "uint8", "int8"])
@pytest.mark.parametrize("call", CALLS)
def test_the_bits_are_those_of_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, dtype: str
) -> None:
    numbers = X if dtype.startswith("float") else (10 * np.abs(X)).clip(0, 99)
    data = mapped(tmp_path, numbers.astype(dtype))
    options = {"epochs": 3, "batch_size": 32, "block_size": 128, **CALLS[call]}
    in_place, copied = network(), network()
    history = in_place.fit(data, Y, **options)
    monkeypatch.setattr(MappedRows, "can_stay", False)
    assert copied.fit(data, Y, **options) == history
    assert state(in_place) == state(copied)


@pytest.mark.parametrize("shuffle", [True, False])
def test_the_bits_are_those_of_copies_where_targets_are_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shuffle: bool
) -> None:
    data, y = mapped(tmp_path), mapped(tmp_path, X[:, :2] * X[:, 2:4], "y.npy")
    nets = [Network([Dense(8, "tanh"), Dense(2)], 6, seed=0) for _ in range(2)]
    options = {"epochs": 3, "block_size": 64, "sample_weight": WEIGHTS, "shuffle": shuffle}
    history = nets[0].fit(data, y, **options)
    monkeypatch.setattr(MappedRows, "can_stay", False)
    assert nets[1].fit(data, y, **options) == history
    assert state(nets[0]) == state(nets[1])


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (X, InPlaceReader),
        (X.astype("float16"), InPlaceReader),
        (X > 0, BufferedReader),
        (X.astype(">f4"), BufferedReader),
        (X.astype("int16"), BufferedReader),
        (np.asfortranarray(X), BufferedReader),
    ],
)
def test_what_the_core_cannot_read_is_copied(tmp_path: Path, array: Any, kind: type) -> None:
    options, net = fit_options(), network()
    source = source_of(net, mapped(tmp_path, array), Y, options)
    assert source is not None
    assert type(reader_of(source, options, net.dtype)) is kind


def test_targets_that_are_the_parameters_stay_what_they_were(tmp_path: Path) -> None:
    net, other = (Network([Dense(100), Dense(2)], 6, seed=0) for _ in range(2))
    own = net.parameters[:800].reshape(400, 2)
    data = mapped(tmp_path, X[:400])
    history = other.fit(data, own.copy(), epochs=2, block_size=64)
    assert net.fit(data, own, epochs=2, block_size=64) == history
    assert state(net) == state(other)


# ---- what is refused -----------------------------------------------------------------------------


def test_a_row_is_named_by_its_place_in_the_file(tmp_path: Path) -> None:
    source = MappedRows(network(), mapped(tmp_path), Y, fit_options(validation_split=0.3), 64)
    kept = source.samples.subset
    assert kept is not None
    bad = X.copy()
    bad[kept[100], 2] = np.nan
    data = mapped(tmp_path, bad, "bad.npy")
    net = network()
    with pytest.raises(ValueError, match=rf"^X\[{kept[100]}, 2\] is NaN"):
        net.fit(data, Y, validation_split=0.3, block_size=64, shuffle=False)
    assert net.fit(X, Y, epochs=1).n_epochs == 1


def test_a_mini_batch_that_is_not_finite_is_explained_as_that_of_an_array(tmp_path: Path) -> None:
    huge = X.copy()
    huge[400] = 1e30
    options: dict[str, Any] = {"epochs": 2, "batch_size": 32, "shuffle": False}
    messages = []
    for data, more in [(huge, {}), (mapped(tmp_path, huge), {"block_size": 128})]:
        net = Network([Dense(3)], 6, seed=0)
        with pytest.raises(FloatingPointError, match=r"mini-batch 13 \(step 13\)") as error:
            net.fit(data, X[:, :3], **options, **more)
        messages.append(str(error.value))
    assert messages[0] == messages[1]


def trainer_of(net: Network, subset: Any, order: Any = None) -> Trainer:
    plan, held = net._built()
    return Trainer(
        plan, held.parameters, held.running, X, Y.astype(np.int32), 32, 2, 1,
        optimizer="sgd", hyperparameters={}, learning_rate=0.01, n_updates=0, bit_generator=order,
        slots=np.zeros((0, held.parameters.size), np.float32), subset=subset,
    )  # fmt: skip


@pytest.mark.parametrize("shuffled", [True, False])
def test_the_core_takes_rows_of_its_arrays_alone(shuffled: bool) -> None:
    net = network()
    trainer = trainer_of(net, np.arange(64), np.random.PCG64(0) if shuffled else None)
    before = net.parameters.copy()
    for rows in [[-1], [0, N], [2**62], range(65), [], [[0, 1]]]:
        with pytest.raises(ValueError, match=r"rows in \[0, 530\)|1 to 64 rows"):
            trainer.next_subset(np.array(rows, np.int64), 0, True)
    labels = Y.astype(np.int32)
    with pytest.raises(ValueError, match="1 to 64 samples"):
        trainer.next_block(X[:64], labels[:64], None, 0, True)
    with pytest.raises(ValueError, match="a subset must have"):
        trainer_of(network(), None).next_subset(np.arange(3), 0, True)
    np.testing.assert_array_equal(net.parameters, before)

    rows = np.arange(N - 40, N)
    trainer.next_subset(rows, 0, True)
    rows[:] = 2**62  # the trainer has a copy
    trainer.advance(1)
    other = network()
    whole = trainer_of(other, np.arange(N - 40, N), np.random.PCG64(0) if shuffled else None)
    whole.advance(1)
    np.testing.assert_array_equal(net.parameters, other.parameters)
    assert (trainer.epoch, trainer.n_updates) == (1, 2)


# ---- memory --------------------------------------------------------------------------------------


def test_blocks_are_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = mapped(tmp_path, np.ones((20_000, 100), np.float32))
    y = np.arange(20_000) % 3

    def peak() -> int:
        net = Network([Dense(3, "softmax")], 100, seed=0)
        tracemalloc.start()
        net.fit(data, y, epochs=2, block_size=9000)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    block = 9000 * 100 * 4
    assert peak() < block
    monkeypatch.setattr(MappedRows, "can_stay", False)
    assert peak() > 2 * block


@on_linux
@pytest.mark.parametrize("block_size", [256, 4096])
def test_pages_are_given_back(tmp_path: Path, block_size: int) -> None:
    """Also those that the operating system maps beside the ones that are read."""
    data = mapped(tmp_path, np.ones((40_000, 100), np.float32))
    y = np.arange(40_000) % 3
    sizes: list[int] = []

    def rate(step: int) -> float:
        if step == 700:
            sizes.append(resident_bytes(tmp_path / "X.npy"))
        return 0.01

    net = Network([Dense(3, "softmax")], 100, seed=0)
    net.fit(data, y, epochs=2, batch_size=64, block_size=block_size, learning_rate=rate)
    assert sizes[0] > 0
    assert resident_bytes(tmp_path / "X.npy") == 0


@on_linux
def test_pages_are_there_after_reading_them_in(tmp_path: Path) -> None:
    path = tmp_path / "X.npy"
    data = mapped(tmp_path, np.ones((10_000, 100), np.float32))
    part = data[5000:8000]
    _maps.give_back(data)
    assert resident_bytes(path) == 0
    _maps.will_need(part)
    _maps.read_in(part)
    assert resident_bytes(path) >= part.nbytes
    _maps.give_back(part)
    assert resident_bytes(path) == 0
    _maps.read_in(X)  # an array in memory is left alone
    _maps.read_in(part[:0])
    assert resident_bytes(path) == 0

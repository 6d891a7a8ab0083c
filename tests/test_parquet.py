"""Tables that are read part by part: Parquet files and record batches."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import Dense, Network
from fastnn.datasets import parquet, record_batches

pyarrow = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

RANDOM = np.random.default_rng(0)
N = 500
X = RANDOM.normal(size=(N, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)
WEIGHTS = RANDOM.integers(1, 5, N) / 4


def table(**more: Any) -> Any:
    columns = {"a": X[:, 0], "y": Y, "b": X[:, 1].astype(np.float64), "w": WEIGHTS, "c": X[:, 2]}
    return pyarrow.table({**columns, **more})


def written(folder: Path, name: str = "table.parquet", content: Any = None) -> Path:
    pq.write_table(table() if content is None else content, folder / name, row_group_size=70)
    return folder / name


def network() -> Network:
    return Network([Dense(8, "relu"), Dense(1, "sigmoid")], seed=0)


def fitted(*data: Any, **options: Any) -> tuple[bytes, Any]:
    net = network()
    history = net.fit(*data, epochs=3, batch_size=32, shuffle=False, **options)
    return net.parameters.tobytes(), history


def test_a_parquet_file_trains_like_its_rows_in_memory(tmp_path: Path) -> None:
    rows = parquet(written(tmp_path), target="y", columns=["a", "b", "c"])
    assert (rows.n_samples, rows.n_features, rows.columns) == (500, 3, ("a", "b", "c"))
    assert repr(rows) == "<500 rows of 3 columns in 8 row groups>"
    schedule = {"learning_rate": fastnn.CosineDecay(0.01)}  # which needs the number of rows
    assert fitted(rows, block_size=64, **schedule) == fitted(X, Y, **schedule)
    again = parquet([written(tmp_path)], "y", sample_weight="w")
    assert again.columns == ("a", "b", "c")
    assert fitted(again, block_size=64)[0] == fitted(X, Y, sample_weight=WEIGHTS)[0]


def test_several_files_are_one_after_the_other(tmp_path: Path) -> None:
    first = written(tmp_path, "1", table().slice(0, 200))
    second = written(tmp_path, "2", table().slice(200))
    rows = parquet([first, second], "y", ["c", "a"], dtype="float64")
    chunks = list(rows)
    assert chunks[0][0].dtype == np.float64
    assert [len(data) for data, _ in chunks] == [70, 70, 60, 70, 70, 70, 70, 20]
    np.testing.assert_array_equal(np.concatenate([data for data, _ in chunks]), X[:, [2, 0]])
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in chunks]), Y)


@pytest.mark.parametrize("n", [1, 2, 3, 11])
def test_shards_share_the_row_groups(tmp_path: Path, n: int) -> None:
    path = written(tmp_path)
    shards = [parquet(path, "y", ["a"], shard=(i, n)) for i in range(n)]
    found = [[data[:, 0] for data, _ in shard] for shard in shards]
    assert [sum(map(len, parts)) for parts in found] == [shard.n_samples for shard in shards]
    values = np.concatenate([part for parts in found for part in parts])
    np.testing.assert_array_equal(np.sort(values), np.sort(X[:, 0]))


def test_several_targets_are_rows(tmp_path: Path) -> None:
    rows = parquet(written(tmp_path), target=["c", "b"], columns=["a"])
    targets = np.concatenate([y for _, y in rows])
    np.testing.assert_array_equal(targets, X[:, [2, 1]])
    history = Network([Dense(2)], seed=0).fit(rows, epochs=2)
    assert history.n_epochs == 2


def test_record_batches_train_like_their_rows_in_memory() -> None:
    batches = table().to_batches(max_chunksize=33)
    expected = fitted(X, Y)
    for given in (batches, lambda: iter(batches), lambda: table().to_reader(50)):
        rows = record_batches(given, "y", ["a", "b", "c"])
        assert fitted(rows, block_size=64) == expected
    once = record_batches(iter(batches), "y", ["a", "b", "c"])
    with pytest.raises(ValueError, match="can be run through only once, for 2 epochs"):
        network().fit(once, epochs=2)
    assert network().fit(once, epochs=1).n_epochs == 1


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("a,y\n1,2\n")
    with pytest.raises(ValueError, match=r"cannot read .*text as Parquet"):
        parquet(tmp_path / "text", "y")
    with pytest.raises(FileNotFoundError):
        parquet(tmp_path / "none", "y")
    path = written(tmp_path)
    for arguments, error, message in [
        ({"target": "z"}, ValueError, "has no column 'z'"),
        ({"target": "y", "columns": ["a", "z"]}, ValueError, "has no column 'z'"),
        ({"target": "y", "columns": ["a", "y"]}, ValueError, "columns must not have those of targ"),
        ({"target": "y", "columns": ["a", "a"]}, ValueError, "one or more different names"),
        ({"target": "y", "columns": "a"}, TypeError, "columns must be names of columns"),
        ({"target": 3}, TypeError, "target must be names of columns"),
        ({"target": "y", "sample_weight": 1}, TypeError, "sample_weight must be the name of a col"),
        ({"target": "y", "dtype": "int8"}, ValueError, "dtype must be float32 or float64"),
        ({"target": "y", "shard": 2}, TypeError, r"shard must be \(i, n\)"),
        ({"target": "y", "shard": (2, 2)}, ValueError, r"shard\[0\] must be a positive integer"),
        ({"target": "y", "shard": (0, 0)}, ValueError, r"shard\[1\] must be a positive integer"),
        ({"target": ["a", "b", "c", "w", "y"]}, ValueError, "has no columns but those of target"),
    ]:
        with pytest.raises(error, match=message):
            parquet(path, **arguments)
    with pytest.raises(ValueError, match="path must name at least one file"):
        parquet([], "y")
    other = written(tmp_path, "other", table().drop_columns(["a"]))
    with pytest.raises(ValueError, match="other has no column 'a'"):
        parquet([path, other], "y", ["a"])


@pytest.mark.parametrize(
    ("column", "error", "message"),
    [
        (pyarrow.array([None, *range(N - 1)]), ValueError, "group 0: the column 'd' has 1 missing"),
        (pyarrow.array(["x"] * N), TypeError, "the column 'd' must be numbers, got string"),
        (pyarrow.array([1e300] * N), ValueError, r"chunk 0: X\[0, 3\] is infinity"),
    ],
)
def test_columns_that_are_no_numbers(
    tmp_path: Path, column: Any, error: type[Exception], message: str
) -> None:
    net = network()
    rows = parquet(written(tmp_path, content=table(d=column)), "y", ["a", "b", "c", "d"])
    with pytest.raises(error, match=message):
        net.fit(rows)
    assert net.training is None


def test_a_damaged_row_group_ends_the_training_before_it(tmp_path: Path) -> None:
    path = written(tmp_path)
    start = pq.ParquetFile(path).metadata.row_group(5).column(0).data_page_offset
    content = bytearray(path.read_bytes())
    content[start : start + 60] = b"\xff" * 60
    path.write_bytes(content)
    net, other = network(), network()
    rows = parquet(path, "y", ["a", "b", "c"])
    with pytest.raises((OSError, pyarrow.ArrowException)):
        net.fit(rows, epochs=2, batch_size=32, block_size=64, shuffle=False)
    other.fit(X[:320], Y[:320], epochs=1, batch_size=32, shuffle=False)
    assert net.parameters.tobytes() == other.parameters.tobytes()


def test_batches_of_another_kind() -> None:
    def some() -> Iterator[Any]:
        yield from table().slice(0, 100).to_batches()
        yield table().slice(100).drop_columns(["b"]).to_batches()[0]

    with pytest.raises(ValueError, match="batch 1 must have the column 'b', as the first one has"):
        network().fit(record_batches(some, "y"), epochs=1)
    with pytest.raises(TypeError, match="batch 0 must be a record batch of pyarrow, got 3"):
        network().fit(record_batches([3], "y"), epochs=1)
    with pytest.raises(TypeError, match="batches must be an iterable of record batches"):
        record_batches(3, "y")  # type: ignore[arg-type]

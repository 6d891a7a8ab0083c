"""Loss, accuracy and metrics of data that come part by part: chunks and mapped files."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import Dense, Dropout, EarlyStopping, Network, _maps

RANDOM = np.random.default_rng(0)
N = 2111
X = RANDOM.normal(size=(N, 7)).astype(np.float32)
Y = (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(int) + (X[:, 3] > 1)
WEIGHTS = RANDOM.random(N) * (RANDOM.random(N) > 0.2)
METRICS = ["f1", "roc_auc", "top_k_accuracy"]


def network(**options: Any) -> Network:
    layers = [Dense(16, "relu"), Dropout(0.2), Dense(3, "softmax")]
    return Network(layers, 7, **{"seed": 1, **options})


def chunks(sizes: Any, *arrays: Any) -> Iterator[tuple[Any, ...]]:
    first, i = 0, 0
    while first < len(arrays[1]):
        end = first + sizes[i % len(sizes)]
        yield tuple(array[first:end] for array in arrays)
        first, i = end, i + 1


SIZES = [[1], [500], [3, 0, 700, 1, 90], [5000]]


# ---- the same as of arrays -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", SIZES)
def test_chunks_are_evaluated_as_one_array_to_the_bit(sizes: list[int], dtype: str) -> None:
    net = network(dtype=dtype)
    expected = net.evaluate(X, Y, metrics=METRICS)
    assert net.evaluate(chunks(sizes, X, Y), metrics=METRICS) == expected
    assert net.evaluate(list(chunks(sizes, X, Y)), metrics=METRICS, threads=1) == expected
    assert net.evaluate(lambda: chunks(sizes, X, Y)) == net.evaluate(X, Y)


@pytest.mark.parametrize("sizes", SIZES)
def test_weights_of_chunks_count_as_those_of_one_array(sizes: list[int]) -> None:
    net = network(dtype="float64")
    expected = net.evaluate(X, Y, sample_weight=WEIGHTS, class_weight={1: 3.0})
    found = net.evaluate(chunks(sizes, X, Y, 40 * WEIGHTS), class_weight={1: 3.0})
    assert found == pytest.approx(expected, rel=1e-12)
    assert {type(value) for value in found.values()} == {float}  # np.float64 prints as such
    assert expected["loss"] != pytest.approx(net.evaluate(X, Y)["loss"], rel=1e-3)


def test_a_part_of_no_weight_does_not_count() -> None:
    net, weights = network(dtype="float64"), np.where(np.arange(N) < 1200, 0.0, WEIGHTS)
    expected = net.evaluate(X[1200:], Y[1200:], sample_weight=weights[1200:])
    assert net.evaluate(chunks([600], X, Y, weights)) == pytest.approx(expected, rel=1e-12)


def test_values_and_several_labels() -> None:
    regression = Network([Dense(5, "tanh"), Dense(2)], 7, seed=0)
    expected = regression.evaluate(X, X[:, :2], metrics=["mae", "r2"])
    found = regression.evaluate(chunks([77], X, X[:, :2]), metrics=["mae", "r2"])
    assert found == expected
    tagger, labels = Network.from_sizes([7, 4, 3], seed=0), np.eye(3)[Y]
    assert tagger.evaluate(chunks([77], X, labels)) == tagger.evaluate(X, labels)
    weighted = tagger.evaluate(X, labels, sample_weight=WEIGHTS)
    right = (tagger.predict(X) == labels).mean(axis=1)
    assert weighted["accuracy"] == pytest.approx(np.average(right, weights=WEIGHTS), rel=1e-6)
    found = tagger.evaluate(chunks([77], X, labels, WEIGHTS))
    assert found == pytest.approx(weighted, rel=1e-6)


def test_sparse_chunks() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    rows = sparse.random(N, 300, 0.05, format="csr", dtype=np.float32, random_state=0)
    net = Network([Dense(8, "relu"), Dense(3, "softmax")], 300, seed=0)
    expected = net.evaluate(rows, Y, metrics="f1")

    def parts(*sizes: int) -> Iterator[Any]:
        for part, labels in chunks(sizes, np.arange(N), Y):
            yield rows[part], labels

    for sizes in ([1], [20, 0, 333]):
        assert net.evaluate(parts(*sizes), metrics="f1") == expected
    history = net.fit(rows, Y, epochs=2, validation_data=lambda: parts(100))
    assert net.evaluate(rows, Y)["loss"] == history["val_loss"][-1]
    with pytest.raises(ValueError, match="chunk 1: X must be as in chunk 0, which has sparse rows"):
        net.evaluate([(rows, Y), (rows.toarray(), Y)])


def test_mapped_files_are_evaluated_as_arrays_to_the_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "X.npy", X)
    data = np.load(tmp_path / "X.npy", mmap_mode="r")
    net = network()
    expected = net.evaluate(X, Y, metrics=METRICS)
    monkeypatch.setattr(_maps.slices, "__defaults__", (4 * 7 * 1100,))
    assert len(list(_maps.slices(data))) == 2
    assert net.evaluate(data, Y, metrics=METRICS) == expected


def test_validation_in_chunks_trains_as_with_arrays() -> None:
    options: dict[str, Any] = {"epochs": 5, "metrics": METRICS, "ema": 0.9}
    for data in (list(chunks([3, 400], X, Y)), lambda: chunks([900], X, Y)):
        first, second = network(), network()
        callbacks = [EarlyStopping(patience=2) for _ in range(2)]
        expected = first.fit(
            X[:500], Y[:500], validation_data=(X, Y), callbacks=callbacks[0], **options
        )
        history = second.fit(
            X[:500], Y[:500], validation_data=data, callbacks=callbacks[1], **options
        )
        assert history == expected
        np.testing.assert_array_equal(second.parameters, first.parameters)


def test_both_data_may_be_chunks_and_tell_how_many_columns_there_are() -> None:
    layers = [Dense(16, "relu"), Dense(3, "softmax")]
    whole, streamed = Network(layers, seed=0), Network(layers, seed=0)
    expected = whole.fit(X, Y, epochs=3, shuffle=False, validation_data=(X[:99], Y[:99]))
    history = streamed.fit(
        list(chunks([70], X, Y)),
        epochs=3,
        shuffle=False,
        block_size=256,
        validation_data=lambda: chunks([40], X[:99], Y[:99]),
    )
    assert history == expected


def test_a_parquet_file(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {f"x{j}": X[:, j] for j in range(7)} | {"y": Y}
    parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet", row_group_size=300)
    rows = fastnn.datasets.parquet(tmp_path / "t.parquet", target="y")
    net = network()
    history = net.fit(rows, epochs=2, validation_data=rows)
    assert history["val_loss"][-1] == net.evaluate(X, Y)["loss"] == net.evaluate(rows)["loss"]


def test_a_generator_may_fill_the_same_arrays_again_and_again() -> None:
    def filled() -> Iterator[Any]:
        data, labels = np.empty((101, 7), np.float32), np.empty(101, int)
        for part, truth in chunks([101], X, Y):
            data[: len(part)], labels[: len(part)] = part, truth
            yield data[: len(part)], labels[: len(part)]

    net = network()
    assert net.evaluate(filled) == net.evaluate(X, Y)


def test_training_and_validation_may_come_through_the_same_arrays() -> None:
    data, labels = np.empty((101, 7), np.float32), np.empty(101, int)

    def filled(first: int, end: int) -> Iterator[Any]:
        for part, truth in chunks([101], X[first:end], Y[first:end]):
            data[: len(part)], labels[: len(part)] = part, truth
            yield data[: len(part)], labels[: len(part)]

    net = network()
    history = net.fit(lambda: filled(0, 1000), epochs=1, validation_data=lambda: filled(1000, N))
    assert history["val_loss"][-1] == net.evaluate(X[1000:], Y[1000:])["loss"]


def test_an_iterator_does_for_one_epoch() -> None:
    net = network()
    history = net.fit(X, Y, epochs=1, validation_data=chunks([100], X, Y))
    assert history["val_loss"] == [net.evaluate(X, Y)["loss"]]


def test_lists_of_arrays_are_no_chunks() -> None:
    net, rows = Network.from_sizes([2, 3, 1], seed=0), [[1.0, 2.0], [3.0, 4.0]]
    expected = net.evaluate(np.array(rows), [0, 1])
    for data in ((rows, [0, 1]), [rows, [0, 1]], [(rows, [0, 1])], [(np.array(rows), [0, 1])]):
        history = net.copy().fit(rows, [0, 1], epochs=1, learning_rate=1e-30, validation_data=data)
        assert history["val_loss"][0] == pytest.approx(expected["loss"], rel=1e-6)


def test_the_function_is_called_once_an_epoch_and_may_give_other_samples() -> None:
    sizes = iter([100, 1000, 30])
    lengths: list[int] = []

    def some() -> Iterator[Any]:
        lengths.append(next(sizes))
        yield from chunks([64], X[: lengths[-1]], Y[: lengths[-1]])

    net = network()
    history = net.fit(X, Y, epochs=3, validation_data=some)
    assert lengths == [100, 1000, 30]
    assert history["val_loss"][-1] == net.evaluate(X[:30], Y[:30])["loss"]


# ---- what is refused, and what goes wrong --------------------------------------------------------

BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "none": ([(X[:0], Y[:0])], ValueError, "{} must give at least 1 sample, its chunks had none"),
    "no pair": (iter((X, Y)), TypeError, r"chunk 0: it must be \(X, y\) or"),
    "no iterable": (lambda: 3, TypeError, r"{} must return an iterable of chunks .*got 3 \(int\)"),
    "columns": ([(X[:, :4], Y)], ValueError, "chunk 0: X has 4 features, the network was built fo"),
    "NaN": ([(X * np.nan, Y)], ValueError, r"chunk 0: X\[0, 0\] is NaN"),
    "labels": ([(X, Y + 7)], ValueError, r"chunk 0: y must be classes in \[0, 3\)"),
    "weights": ([(X, Y, -WEIGHTS)], ValueError, r"chunk 0: sample_weight\[\d+\] is"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_first_chunk_is_refused_before_anything_changes(name: str) -> None:
    given, error, message = BAD[name]
    net = network()
    with pytest.raises(error, match=message.format("X")):
        net.evaluate(iter((X, Y)) if name == "no pair" else given)
    with pytest.raises(error, match=message.format("validation_data")):
        net.fit(X, Y, epochs=1, validation_data=given)
    assert net.training is None


def test_a_bad_later_chunk_says_which_one() -> None:
    bad = X[:50].copy()
    bad[7, 2] = np.inf
    good = list(chunks([600], X, Y))
    net = network()
    with pytest.raises(ValueError, match=r"^X: chunk 4: X\[7, 2\] is infinity|^chunk 4: X\[7, 2\]"):
        net.evaluate([*good, (bad, Y[:50])])
    with pytest.raises(ValueError, match=r"^validation_data: chunk 4: X\[7, 2\] is infinity"):
        net.fit(X, Y, epochs=2, validation_data=[*good, (bad, Y[:50])])
    assert net.history.n_epochs == 0
    assert np.isfinite(net.parameters).all()
    with pytest.raises(ValueError, match="validation_data: chunk 1: X must be as in chunk 0"):
        net.fit(X, Y, epochs=2, validation_data=[good[0], (X.astype(float), Y)])


def test_weights_that_are_all_0() -> None:
    for given in (list(chunks([600], X, Y, 0 * WEIGHTS)), chunks([9], X, Y, 0 * WEIGHTS)):
        with pytest.raises(ValueError, match="X: sample_weight must be above 0 for some sample"):
            network().evaluate(given)


def test_iterators_are_refused_for_several_epochs() -> None:
    net = network()
    with pytest.raises(ValueError, match="validation_data is a generator, which can be run thro"):
        net.fit(X, Y, epochs=2, validation_data=chunks([100], X, Y))
    assert net.training is None


def test_what_goes_through_once_without_saying_so_ends_the_second_epoch() -> None:
    once = chunks([100], X, Y)
    net = network()
    with pytest.raises(ValueError, match="validation_data must give at least 1 sample"):
        net.fit(X, Y, epochs=3, validation_data=lambda: once)
    assert net.history.n_epochs == 1


def test_weights_beside_chunks_are_refused() -> None:
    for options, message in (
        ({"sample_weight": WEIGHTS}, "sample_weight must be None where X gives chunks"),
        ({"class_weight": "balanced"}, "class_weight must be a dict where X gives chunks"),
    ):
        with pytest.raises(ValueError, match=message):
            network().evaluate(list(chunks([500], X, Y)), **options)


def test_an_error_of_the_users_ends_the_fit() -> None:
    class Crash(Exception):
        pass

    calls = iter([False, False, True])

    def some() -> Iterator[Any]:
        yield X[:10], Y[:10]
        if next(calls):
            raise Crash

    net = network()
    with pytest.raises(Crash):
        net.fit(X, Y, epochs=5, validation_data=some)
    assert net.history.n_epochs == 2
    assert net.fit(X, Y, epochs=1).n_epochs == 1


def test_control_c_in_a_chunk() -> None:
    def some() -> Iterator[Any]:
        yield X[:10], Y[:10]
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        threading.Event().wait(5)

    net = network()
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y, epochs=5, validation_data=some)
    assert net.history.n_epochs == 0
    assert net.fit(X, Y, epochs=1).n_epochs == 1


def test_many_networks_say_what_to_do_with_chunks() -> None:
    net, given = network(), list(chunks([500], X, Y))
    for data in (given, lambda: given, iter(given)):
        for call in (
            lambda data=data: fastnn.fit_many([net], data, None, epochs=1),
            lambda data=data: fastnn.cross_validate(net, data, Y, epochs=1),
            lambda data=data: fastnn.search({"l2": [0.0]}, data, Y, net, epochs=1),
        ):
            with pytest.raises(TypeError, match=r"X must be arrays for .*, got chunks; put them"):
                call()
        with pytest.raises(TypeError, match="validation_data must be arrays for many networks"):
            fastnn.fit_many([net], X, Y, epochs=1, validation_data=data)
    assert net.training is None


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs the peak of memory")
@pytest.mark.parametrize("use", ["validation", "evaluate"])
def test_one_chunk_at_a_time_is_in_memory(run_script: Callable[..., str], use: str) -> None:
    """Of 240 MB."""
    peak = run_script(f"""
        import numpy as np
        from fastnn import Dense, Network

        def peak():
            lines = open("/proc/self/status").read().split("\\n")
            return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024

        def chunks():
            rng = np.random.default_rng(0)
            for i in range(20):
                yield rng.standard_normal((10_000, 300), np.float32), np.arange(10_000) % 10

        X, y = next(iter(chunks()))
        net = Network([Dense(16, "relu"), Dense(10, "softmax")], 300, seed=0)
        net.fit(X, y, epochs=1, validation_data=(X, y))
        open("/proc/self/clear_refs", "w").write("5")  # the peak from here on
        before = peak()
        if "{use}" == "validation":
            net.fit(X, y, epochs=2, validation_data=chunks)
        else:
            net.evaluate(chunks)
        print(peak() - before)
    """)
    assert float(peak) < 60

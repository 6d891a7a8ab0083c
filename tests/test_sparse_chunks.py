"""Training on chunks of sparse rows: the blocks, and their bits."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastnn import Activation, Checkpoint, Dense, Dropout, Network, _epochs

sparse = pytest.importorskip("scipy.sparse")

RANDOM = np.random.default_rng(0)
N = 700
# The later rows have four times as many entries: mini-batches need more room
THIN = sparse.random(300, 5000, 0.002, format="csr", dtype=np.float32, random_state=0)
THICK = sparse.random(N - 300, 5000, 0.008, format="csr", dtype=np.float32, random_state=1)
X = sparse.vstack([THIN, THICK]).tocsr()
Y = RANDOM.integers(0, 3, N)
WEIGHTS = RANDOM.integers(1, 9, N) / 8
WEIGHTS[7] = 1.0


def network(**options: Any) -> Network:
    layers = [Dense(16, "relu"), Dropout(0.2), Dense(3, "softmax")]
    return Network(layers, **{"seed": 1, "dtype": "float64", **options})


def chunks(size: int, weights: Any = None, rows: Any = X) -> Iterator[tuple[Any, ...]]:
    arrays = (rows, Y) if weights is None else (rows, Y, weights)
    for first in range(0, N, size):
        yield tuple(array[first : first + size] for array in arrays)
        yield tuple(array[:0] for array in arrays)  # which is skipped


def state(net: Network) -> tuple[Any, ...]:
    description, tensors = net.to_data()
    return description, {name: array.tobytes() for name, array in tensors.items()}


@pytest.mark.parametrize("size", [1, 90, 5000])
@pytest.mark.parametrize("block_size", [32, 100, 1000])
def test_without_shuffling_the_bits_are_those_of_one_matrix(size: int, block_size: int) -> None:
    options: dict[str, Any] = {"epochs": 3, "batch_size": 32, "shuffle": False}
    whole, streamed = network(), network()
    expected = whole.fit(X, Y, **options)
    assert streamed.fit(list(chunks(size)), block_size=block_size, **options) == expected
    assert state(streamed) == state(whole)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_updates_that_are_put_off_are_made_before_the_next_block(optimizer: str) -> None:
    """Of weights beyond the L2 cache, which few rows touch; of Adam to rounding."""
    rows = sparse.random(N, 30_000, 0.001, format="csr", dtype=np.float32, random_state=0)
    layers = [Dense(32, "relu"), Dense(3, "softmax")]
    options: dict[str, Any] = {"epochs": 1, "batch_size": 32, "shuffle": False}
    options |= {"optimizer": optimizer}
    whole, streamed = Network(layers, seed=0), Network(layers, seed=0)
    whole.fit(rows, Y, **options)
    streamed.fit(lambda: chunks(90, rows=rows), block_size=128, **options)
    tolerance = 1e-5 if optimizer == "adam" else 0
    np.testing.assert_allclose(streamed.parameters, whole.parameters, rtol=0, atol=tolerance)
    assert (whole.weights[0] != Network(layers, 30_000, seed=0).weights[0]).any()


def test_where_all_fits_one_block_the_bits_are_those_of_one_matrix() -> None:
    whole, streamed = network(dtype="float32"), network(dtype="float32")
    expected = whole.fit(X, Y, epochs=3, sample_weight=WEIGHTS)
    assert streamed.fit(list(chunks(90, WEIGHTS)), epochs=3, block_size=1000) == expected
    assert state(streamed) == state(whole)


def test_samples_are_shuffled_as_those_of_dense_chunks() -> None:
    first, second = network(), network()
    options: dict[str, Any] = {"epochs": 3, "batch_size": 32, "block_size": 128}
    expected = first.fit(list(chunks(90, rows=X.toarray())), **options)
    history = second.fit(list(chunks(90)), **options)
    np.testing.assert_allclose(second.parameters, first.parameters, rtol=1e-8, atol=1e-10)
    assert history["loss"] == pytest.approx(expected["loss"], rel=1e-10)
    assert network().fit(list(chunks(90)), shuffle=False, **options)["loss"] != history["loss"]


def test_matrices_of_other_formats_and_indices() -> None:
    whole, streamed = network(), network()
    wide = X.copy()
    wide.indices, wide.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    assert wide.indices.dtype == np.int64
    parts = [(X[:100], Y[:100]), (X[100:300].tocsc(), Y[100:300]), (wide[300:], Y[300:])]
    whole.fit(X, Y, epochs=2, shuffle=False)
    streamed.fit(parts, epochs=2, shuffle=False, block_size=128)
    assert state(streamed) == state(whole)


def test_a_generator_may_fill_the_same_arrays_again_and_again() -> None:
    def filled() -> Iterator[Any]:
        values, columns = np.empty(10**5, np.float32), np.empty(10**5, np.int32)
        for part, labels in chunks(90):
            n = part.nnz
            values[:n], columns[:n] = part.data, part.indices
            part.data, part.indices = values[:n], columns[:n]
            yield part, labels
            values[:n] = np.nan

    whole, streamed = network(), network()
    whole.fit(X, Y, epochs=2, shuffle=False)
    streamed.fit(filled, epochs=2, shuffle=False, block_size=256, validation_data=filled)
    assert state(streamed) == state(whole)
    assert streamed.history["val_loss"][-1] == whole.evaluate(X, Y)["loss"]


@pytest.mark.parametrize("n_writes", [2, 5, 6])
def test_resuming_between_two_blocks_ends_in_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_writes: int
) -> None:
    """Also where the last block of an epoch, which is shorter, is the first one of the call."""
    path = tmp_path / "net.ckpt"
    options: dict[str, Any] = {
        "epochs": 3,
        "batch_size": 32,
        "block_size": 128,
        "callbacks": Checkpoint(path, every_blocks=1),
    }
    whole = network()
    expected = whole.fit(list(chunks(90)), **options)
    write, calls = _epochs.write, iter(range(1, 10**6))

    def crash(*arguments: Any) -> None:
        write(*arguments)
        if next(calls) == n_writes:
            raise OSError(os.strerror(5))

    monkeypatch.setattr(_epochs, "write", crash)
    with pytest.raises(OSError, match=r"Input/output"):
        network().fit(list(chunks(90)), **options)
    monkeypatch.undo()
    resumed = network(seed=9)
    assert resumed.fit(list(chunks(70)), resume_from=path, **options) == expected
    assert state(resumed) == state(whole)


def test_a_checkpoint_tells_the_size_of_blocks_that_nobody_has_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default it follows from the entries of the first chunk, which may be another one then."""
    monkeypatch.setattr("fastnn._maps.BUDGET", 10_000)
    path = tmp_path / "net.ckpt"

    whole, net = network(), network()
    callback = Checkpoint(path, every_blocks=3)
    options: dict[str, Any] = {"epochs": 2, "batch_size": 8, "callbacks": callback}
    expected = whole.fit(list(chunks(90)), **options)
    write = _epochs.write

    def crash(*arguments: Any) -> None:
        write(*arguments)
        raise ZeroDivisionError

    monkeypatch.setattr(_epochs, "write", crash)
    with pytest.raises(ZeroDivisionError):
        net.fit(list(chunks(90)), **options)
    monkeypatch.setattr(_epochs, "write", write)
    assert network().fit(list(chunks(90)), resume_from=path, **options) == expected


REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "dense": ((X[:64].toarray(), Y[:64]), ValueError, "which has sparse rows, got dense rows"),
    "columns": ((X[:64, :50], Y[:64]), ValueError, "which has 5000 columns, got 50 columns"),
    "dtype": ((X[:64].astype("f8"), Y[:64]), ValueError, "dtype float32, got dtype float64"),
    "NaN": ((X[:64] * np.nan, Y[:64]), ValueError, r"X\[\d+, \d+\] is NaN"),
    "rows": ((X[:64], Y[:63]), ValueError, r"y must be of shape \(64,\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_chunk_ends_the_training_before_it(name: str) -> None:
    chunk, error, message = REFUSED[name]
    net, other = network(), network()
    good = [(X[:64], Y[:64])] * 4
    with pytest.raises(error, match=f"chunk 4: .*{message}"):
        net.fit([*good, chunk], epochs=2, block_size=64, batch_size=32, shuffle=False)
    other.fit(lambda: good[:3], epochs=1, block_size=64, batch_size=32, shuffle=False)
    assert net.parameters.tobytes() == other.parameters.tobytes()
    assert net.history.n_epochs == 0


def test_sparse_rows_after_dense_ones_and_before_other_layers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"chunk 1: X must be .* which has dense rows, got sparse"):
        network().fit([(X[:64].toarray(), Y[:64]), (X[:64], Y[:64])], epochs=1, block_size=64)
    net = Network([Activation("tanh"), Dense(3, "softmax")], seed=0)
    with pytest.raises(ValueError, match="chunk 0: X is sparse, which a Dense layer alone can"):
        net.fit(list(chunks(90)), epochs=1)
    assert net.training is None


def test_a_divergence_in_a_later_block_keeps_the_last_finite_parameters() -> None:
    net = Network([Dense(16, "relu"), Dense(1)], 5000, seed=0)
    huge = X.copy()
    huge.data[huge.indptr[400] :] *= 1e30
    with pytest.raises(FloatingPointError, match=r"layers\[\d\], Dense"):
        net.fit(
            [(huge[:350], Y[:350]), (huge[350:], Y[350:])],
            epochs=1,
            batch_size=10,
            block_size=50,
            shuffle=False,
        )
    other = Network([Dense(16, "relu"), Dense(1)], 5000, seed=0)
    other.fit(X[:400], Y[:400], epochs=1, batch_size=10, shuffle=False)
    np.testing.assert_array_equal(net.parameters, other.parameters)

"""Training with several ranks: children of mpiexec. One process with all rows is the reference."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from doc_snippets import snippets_of

import fastnn
from fastnn import Network
from fastnn._ranks import shares

pytest.importorskip("mpi4py", reason="mpi4py is not installed: the extra 'mpi' brings it")
MPIEXEC = Path(sys.executable).with_name("mpiexec")
if not MPIEXEC.exists():
    pytest.skip("mpiexec is not installed: the extra 'mpi' brings it", allow_module_level=True)

HEAD = """
import json, os, signal, sys, threading, time
import numpy as np
from mpi4py import MPI
import fastnn
from fastnn import (BatchNorm, Checkpoint, CosineDecay, Dense, Dropout, EarlyStopping, Network,
                    ReduceOnPlateau, mpi)
from fastnn._ranks import shares

comm = MPI.COMM_WORLD
rank, size = comm.rank, comm.size
rng = np.random.default_rng(0)
X, y = rng.standard_normal((1000, 20)), rng.integers(0, 3, 1000)

def rows_of(counts, batch_size):
    "The rows of this rank, so that steps in order are those of one process with all rows."
    parts = [shares(counts, batch_size, r) for r in range(size)]
    rows, (firsts, places) = [], parts[rank]
    for step, place in enumerate(places):
        n = int(firsts[step + 1] - firsts[step])
        rows += range(int(place), int(place) + n)
    return rows

def show(**values):
    "Of each rank a line of JSON on a file of its own: streams of ranks may be mixed."
    with open(os.path.join(sys.argv[1], str(rank)), "a") as file:
        print(json.dumps(values), file=file)
"""


class Run:
    """A program on some ranks, and what each of them has shown."""

    def __init__(self, n_ranks: int, script: str, folder: str) -> None:
        self.folder = folder
        program = Path(folder, "program.py")
        program.write_text(HEAD + textwrap.dedent(script))
        self.n_ranks = n_ranks
        # Files, not pipes: what is killed may leave children that keep a pipe open
        self.output = open(Path(folder, "output"), "w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [MPIEXEC, "-n", str(n_ranks), sys.executable, "-P", str(program), folder],
            env={**os.environ, "PYTHONPATH": str(Path(fastnn.__file__).parent.parent)},
            stdout=self.output,
            stderr=subprocess.STDOUT,
        )

    def shown(self) -> list[Any]:
        """The values of each rank's last line; None where there is none."""
        files = [Path(self.folder, str(rank)) for rank in range(self.n_ranks)]
        texts = [file.read_text() if file.exists() else "" for file in files]
        return [json.loads(text.splitlines()[-1]) if text.endswith("\n") else None
                for text in texts]  # fmt: skip

    def wait_until_shown(self) -> list[Any]:
        for _ in range(600):
            if None not in (values := self.shown()):
                return values
            time.sleep(0.05)
        raise TimeoutError(self.read())

    def read(self) -> str:
        self.output.seek(0)
        return self.output.read()

    def end(self, timeout: float = 50) -> int:
        """The exit status; what still runs is killed."""
        try:
            return self.process.wait(timeout)
        finally:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def start() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        runs: list[Run] = []

        def run(n_ranks: int, script: str) -> Run:
            each = Path(folder, str(len(runs)))
            each.mkdir()
            runs.append(Run(n_ranks, script, str(each)))
            return runs[-1]

        yield run
        for each in runs:
            each.process.kill()
            each.process.wait()
            each.output.close()


@pytest.fixture
def values_of(start: Callable[[int, str], Run]) -> Any:
    """What all ranks show at last, of a program that ends well."""

    def run(n_ranks: int, script: str) -> list[Any]:
        each = start(n_ranks, script)
        assert each.end() == 0, each.read()
        return each.shown()

    return run


# ---- the parts of the ranks ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "batch_size"), [([5, 0, 7, 1], 4), ([250, 250], 64), ([1, 999], 10), ([3, 3, 3], 9)]
)
def test_every_step_is_shared_out_among_the_ranks(counts: list[int], batch_size: int) -> None:
    total = sum(counts)
    parts = [shares(counts, batch_size, rank) for rank in range(len(counts))]
    sizes = sum(np.diff(firsts.astype(int)) for firsts, _ in parts)
    np.testing.assert_array_equal(
        sizes, [min(batch_size, total - i) for i in range(0, total, batch_size)]
    )
    seen: list[int] = []
    for (firsts, places), count in zip(parts, counts, strict=True):
        assert firsts[0] == 0
        assert firsts[-1] == count
        for step, place in enumerate(places):
            n = int(firsts[step + 1] - firsts[step])
            assert n <= -(-count * batch_size // total) + 1
            seen += range(int(place), int(place) + n)
    assert sorted(seen) == list(range(total))


# ---- what is trained -----------------------------------------------------------------------------

FULL = """
    dtype = DTYPE
    batch_size, epochs = 100, 10
    sizes = COUNTS
    layers = [Dense(32, "relu"), BatchNorm(), Dropout(0.2), Dense(16, "tanh"), BatchNorm(),
              Dense(3, "softmax")]
    X = X.astype(dtype)
    weights = rng.random(1000) * 7
    options = dict(epochs=epochs, batch_size=batch_size, shuffle=False, clip_norm=0.3, l2=0.1,
                   class_weight=CLASS_WEIGHT, ema=0.9, threads=1,
                   learning_rate=CosineDecay(1e-2, epochs=epochs))
    own = rows_of(sizes, batch_size)
    net = Network(layers, n_features=20, dtype=dtype, seed=rank)
    history = mpi.fit(net, X[own], y[own], sample_weight=weights[own] if own else None,
                      validation_data=(X[own][::3], y[own][::3]), metrics="f1", **options)
    rows = comm.gather(own)
    if rank == 0:
        one = Network(layers, n_features=20, dtype=dtype, seed=0)
        chosen = [i for each in rows for i in each[::3]]
        expected = one.fit(X, y, sample_weight=weights, validation_data=(X[chosen], y[chosen]),
                           metrics="f1", **options)
        error = np.abs(net.parameters - one.parameters).max()
        running = np.concatenate([a for pair in one.running_statistics if pair for a in pair])
        own_running = np.concatenate([a for pair in net.running_statistics if pair for a in pair])
        show(error=float(error), moved=float(np.abs(one.parameters).max()),
             running=float(np.abs(running - own_running).max()),
             history=max(np.abs(np.subtract(history[name], expected[name])).max()
                         for name in expected), names=list(history) == list(expected))
    else:
        show(rows=len(own))
"""


@pytest.mark.parametrize("n_ranks", [2, 4])
@pytest.mark.parametrize(("dtype", "bound"), [("float32", 1e-5), ("float64", 1e-12)])
def test_ranks_train_like_one_process_with_all_rows(
    values_of: Any, n_ranks: int, dtype: str, bound: float
) -> None:
    """100 steps of batch norm, dropout, weights, clipping by norm, penalties, a schedule, averages;
    one rank has no rows, the others have as many as they happen to have."""
    counts = {2: [613, 387], 4: [13, 480, 0, 507]}[n_ranks]
    script = FULL.replace("DTYPE", repr(dtype)).replace("COUNTS", repr(counts))
    values = values_of(n_ranks, script.replace("CLASS_WEIGHT", "'balanced'"))[0]
    assert values["names"]
    assert values["error"] <= bound
    assert values["running"] <= bound
    assert values["history"] <= 100 * bound


def test_weights_of_one_rank_may_be_0_and_those_of_validation_have_one_scale(
    values_of: Any,
) -> None:
    script = """
        own, options = rows_of([300, 700], 1000), dict(epochs=3, batch_size=None, threads=1)
        weights, of_validation = rng.random(1000), rng.random(1000)
        weights[:300], of_validation[300:] = 0, of_validation[300:] * 50
        def train(fit, net, rows):
            data = (X[rows], y[rows], of_validation[rows])
            return fit(net, X[rows], y[rows], sample_weight=weights[rows], validation_data=data,
                       **options)
        nets = [Network([Dense(3, "softmax")], 20, seed=0, dtype="float64") for _ in range(2)]
        history, expected = train(mpi.fit, nets[0], own), train(Network.fit, nets[1], range(1000))
        try:
            mpi.fit(nets[0], X[own], y[own], sample_weight=weights[own] * 0)
        except ValueError as error:
            show(error=float(np.abs(nets[0].parameters - nets[1].parameters).max()),
                 history=max(np.abs(np.subtract(history[name], expected[name])).max()
                             for name in expected), refused=str(error))
    """
    for values in values_of(2, script):
        assert values["error"] <= 1e-12
        assert values["history"] <= 1e-12
        assert values["refused"].startswith("sample_weight must be above 0")


def test_the_class_of_a_rank_may_weigh_0_and_so_may_its_validation_data(values_of: Any) -> None:
    script = """
        y[:300], y[300:] = 2, y[300:] % 2
        own, options = rows_of([300, 700], 1000), dict(epochs=3, batch_size=None, threads=1)
        weights, of_validation = rng.random(1000), rng.random(1000)
        of_validation[300:] = 0  # and rank 0 has rows of class 2 alone, which weighs nothing
        def train(fit, net, rows):
            data = (X[rows], y[rows], of_validation[rows])
            return fit(net, X[rows], y[rows], sample_weight=weights[rows], class_weight={2: 0},
                       validation_data=data, metrics="f1", **options)
        nets = [Network([Dense(3, "softmax")], 20, seed=0, dtype="float64") for _ in range(2)]
        history, expected = train(mpi.fit, nets[0], own), train(Network.fit, nets[1], range(1000))
        error = float(np.abs(nets[0].parameters - nets[1].parameters).max())
        refused = []
        for more in ({"class_weight": {0: 0, 1: 0, 2: 0}},
                     {"validation_data": (X[own], y[own], np.zeros(len(own)))}):
            try:
                mpi.fit(nets[0], X[own], y[own], epochs=1, **more)
            except ValueError as refusal:
                refused.append(str(refusal))
        show(error=error, refused=refused,
             history=max(np.abs(np.subtract(history[name], expected[name])).max()
                         for name in expected))
    """
    for values in values_of(2, script):
        assert values["error"] <= 1e-12
        assert values["history"] <= 1e-12
        assert values["refused"][0].startswith("sample_weight must be above 0 for some sample of a")
        assert values["refused"][1].startswith("validation_data must have rows of a weight above 0")


BITS = """
    layers = [Dense(600, "relu"), BatchNorm(), Dropout(0.2), Dense(300, "relu"),
              Dense(3, "softmax")]
    net = Network(layers, n_features=20, seed=rank)
    own = slice(rank, None, size + rank)
    history = mpi.fit(net, X[own], y[own], epochs=3, batch_size=96)
    show(parameters=net.parameters.tobytes().hex(), history=history,
         random=str(net._built()[1].bit_generator.state), seed=net.seed)
"""


def test_bits_are_the_same_on_every_rank_and_in_every_run(values_of: Any) -> None:
    first = values_of(3, BITS)
    assert first[1] == first[0]
    assert first[2] == first[0]
    assert values_of(3, BITS) == first


def test_a_resumed_training_ends_in_the_same_bits(values_of: Any) -> None:
    """The checkpoint is rank 0's alone; the callbacks' state comes with it."""
    script = """
        path = os.path.join(sys.argv[1], "checkpoint")
        own = slice(rank, None, size)
        def train(net, epochs, **options):
            callbacks = [EarlyStopping(patience=3), Checkpoint(path)] if rank == 0 else ()
            return mpi.fit(net, X[own], y[own], epochs=epochs, batch_size=64, callbacks=callbacks,
                           validation_split=0.25, ema=0.9,
                           learning_rate=ReduceOnPlateau(1e-2, patience=1), **options)
        def new():
            return Network([Dense(32, "relu"), Dropout(0.1), Dense(3, "softmax")], seed=3 + rank)
        whole, parts = new(), new()
        expected = train(whole, 12)
        train(new(), 2)
        history = train(parts, 12, resume_from=path)
        show(same=bool((whole.parameters == parts.parameters).all()), history=history == expected,
             epochs=history.n_epochs, parameters=whole.parameters.tobytes().hex())
    """
    values = values_of(2, script)
    assert all(each["same"] and each["history"] for each in values)
    assert values[0]["epochs"] < 12  # it was stopped early, on both
    assert values[1] == values[0]


def test_what_callbacks_write_on_rank_0_all_ranks_get(values_of: Any) -> None:
    script = """
        net = Network([Dense(8, "relu"), Dense(3, "softmax")], seed=rank)
        seen = []
        def write(net, epoch, metrics):
            seen.append(epoch)
            net.parameters[:] *= 0.5
        mpi.fit(net, X[rank::size], y[rank::size], epochs=4, callbacks=write)
        show(parameters=net.parameters.tolist(), history=net.history)
        seen_here = seen == ([1, 2, 3, 4] if rank == 0 else [])
        assert seen_here, seen
    """
    values = values_of(2, script)
    assert values[0] == values[1]


# ---- what fails ----------------------------------------------------------------------------------

ENDS = """
    def own_rows():
        return X[rank::size].astype(np.float32), y[rank::size]

    def outcome(**options):
        "How a fit ends; all ranks can train afterwards."
        net = options.pop("net", None) or Network([Dense(64, "relu"), Dense(3, "softmax")], seed=1)
        data = options.pop("data", None) or own_rows()
        start = time.perf_counter()
        try:
            mpi.fit(net, *data, **options)
        except BaseException as error:
            seconds = time.perf_counter() - start
            result = [type(error).__name__, str(error)]
            assert np.isfinite(net.parameters).all() if net.n_features else True
        mpi.fit(Network([Dense(3, "softmax")]), *own_rows(), epochs=1)
        return [*result, seconds < 10]
"""


def test_a_rank_with_another_argument_ends_all(values_of: Any) -> None:
    script = """
        show(ends=[outcome(batch_size=64 if rank < 2 else 32),
                   outcome(learning_rate=1e-3 * (1 + rank)),
                   outcome(net=Network([Dense(3 + (rank == 1), "softmax")])),
                   outcome(net=Network([Dense(3, "softmax")]),
                           data=(X[rank::size, :20 - (rank == 2)], y[rank::size]))])
    """
    ends = [each["ends"] for each in values_of(3, textwrap.dedent(ENDS) + textwrap.dedent(script))]
    assert ends[1] == ends[0]
    assert ends[2] == ends[0]
    batch_size, learning_rate, layers, n_features = ends[0]
    expected = "batch_size must be the same on all ranks, got 64 on rank 0 and 32 on rank 2"
    assert batch_size == ["ValueError", expected, True]
    assert learning_rate[1].startswith("learning_rate must be the same on all ranks, got 0.001")
    assert layers[1].startswith("layers must be the same on all ranks")
    assert (
        n_features[1]
        == "n_features must be the same on all ranks, got 20 on rank 0 and 19 on rank 2"
    )


def test_a_rank_that_cannot_begin_leaves_all_networks_as_they_were(values_of: Any) -> None:
    script = """
        net = Network([Dense(3, "softmax")], 20, seed=rank)
        before = net.parameters.copy()
        trainer = fastnn._fit.Trainer
        def allocate(*_, **__):
            fastnn._fit.Trainer = trainer
            raise MemoryError("no memory")
        if rank == 1:
            fastnn._fit.Trainer = allocate
        end = outcome(net=net, batch_size=64, learning_rate=1e-2)
        show(end=end[0], same=bool((net.parameters == before).all()), adopted=bool(net.training))
    """
    values = values_of(2, textwrap.dedent(ENDS) + textwrap.dedent(script))
    assert values == [{"end": "MemoryError", "same": True, "adopted": False}] * 2


def test_an_error_on_one_rank_ends_all(values_of: Any) -> None:
    script = """
        X1, y1 = own_rows()
        if rank == 1:
            X1[3, 4] = np.nan
        class Own(Exception):
            pass
        def fail(net, epoch, metrics):
            if epoch == 3:
                raise Own("three")
        def rate(step):
            if step >= 8192 and rank == 1:
                raise KeyError("rate")
            return 1e-4
        many = dict(epochs=3000, batch_size=100)
        show(ends=[outcome(data=(X1, y1)), outcome(callbacks=fail, epochs=5),
                   outcome(learning_rate=rate, **many),
                   outcome(data=(own_rows()[0], y1[:-1] if rank == 1 else y1)),
                   outcome(optimizer="lbfgs", batch_size=None),
                   outcome(epochs=5, no_such_argument=2),
                   outcome(data=(None, None)),
                   outcome(data=([(X1, y1)], None)),
                   outcome(data=(X[:0], y) if rank == 1 else (X, y)),
                   outcome(data=([[1.0], [1.0, 2.0]], y[:2])), outcome(block_size=64),
                   outcome(learning_rate=1e30, optimizer="sgd", epochs=50, batch_size=50)])
    """
    first, second = (
        each["ends"] for each in values_of(2, textwrap.dedent(ENDS) + textwrap.dedent(script))
    )
    assert all(each[2] for each in first + second)
    (
        nan,
        callback,
        rate,
        rows,
        lbfgs,
        keyword,
        none,
        chunks,
        only_y,
        ragged,
        block_size,
        diverged,
    ) = (each[:2] for each in first)
    assert nan[0] == "ValueError"
    assert nan[1] == "rank 1: " + second[0][1]
    assert "X[3, 4] is nan" in nan[1] or "row 3" in nan[1] or "[3, 4]" in nan[1]
    assert callback == ["Own", "three"]
    assert second[1][:2] == ["RuntimeError", "rank 0: Own: three"]
    assert rate == ["KeyError", "\"rank 1: 'rate'\""]
    assert second[2][0] == "KeyError"
    assert rows[1].startswith("rank 1: y must")
    assert lbfgs == second[4][:2]
    assert "no_such_argument" in keyword[1]
    assert none == second[6][:2]
    assert "X must have rows" in none[1]
    assert chunks[1].startswith("X must be arrays for several ranks, got chunks; put them together")
    assert only_y[1] == "rank 1: y must have no rows, as X has none, got 1000"
    assert ragged[1].startswith("X must be a rectangular array")
    assert block_size[1].startswith("block_size must not be given")
    assert diverged[0] == "FloatingPointError"
    assert diverged == second[11][:2]
    assert "mini-batch" in diverged[1]


def test_a_diverged_network_is_that_of_the_last_good_step_on_all_ranks(values_of: Any) -> None:
    script = """
        def train(epochs):
            net = Network([Dense(64, "relu"), Dense(1, "linear")], seed=1)
            try:
                mpi.fit(net, X[rank::size], X[rank::size, :1], epochs=epochs, batch_size=50,
                        optimizer="sgd", learning_rate=0.3 * 1e3)
            except FloatingPointError as error:
                return net, str(error)
            return net, None
        net, text = train(100)
        show(text=text, parameters=net.parameters.tobytes().hex(),
             finite=bool(np.isfinite(net.parameters).all()))
    """
    values = values_of(2, script)
    assert values[0] == values[1]
    assert values[0]["finite"]
    assert values[0]["text"] is not None


LONG = """
    net = Network([Dense(256, "relu"), BatchNorm(), Dense(3, "softmax")], seed=1)
    def tell(net, epoch, metrics):
        if epoch == 3:
            show(pid=os.getpid())
    if rank > 0:
        show(pid=os.getpid())
    path = os.path.join(sys.argv[1], "checkpoint")
    try:
        mpi.fit(net, X[rank::size], y[rank::size], epochs=10**6, batch_size=BATCH,
                callbacks=[tell, Checkpoint(path)])
    except KeyboardInterrupt as error:
        same = comm.allgather(net.parameters.tobytes())
        show(pid=os.getpid(), ended=str(error), same=same[0] == same[-1])
"""


@pytest.mark.parametrize(("who", "batch_size"), [(0, 10), (1, 10), (1, None)])
def test_ctrl_c_on_one_rank_ends_all(start: Any, who: int, batch_size: int | None) -> None:
    run = start(3, LONG.replace("BATCH", repr(batch_size)))
    pids = run.wait_until_shown()
    time.sleep(0.3)
    begin = time.monotonic()
    os.kill(pids[who]["pid"], signal.SIGINT)
    assert run.end(20) == 0, run.read()
    assert time.monotonic() - begin < 10
    values = run.shown()
    for rank, each in enumerate(values):
        assert each["same"]
        assert each["ended"] == ("" if rank == who else f"rank {who}: interrupted")


@pytest.mark.parametrize("who", [0, 2])
def test_a_killed_rank_ends_the_job_and_the_checkpoint_loads(start: Any, who: int) -> None:
    run = start(3, LONG.replace("BATCH", "10"))
    pids = run.wait_until_shown()
    time.sleep(0.1)
    begin = time.monotonic()
    os.kill(pids[who]["pid"], signal.SIGKILL)
    assert run.end(20) != 0, run.read()
    assert time.monotonic() - begin < 10
    assert Network.load(Path(run.folder, "checkpoint")).history.n_epochs == 0
    for each in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(each["pid"], 0)


def test_the_example_of_the_docs_runs(start: Any) -> None:
    example, _, _ = snippets_of("mpi.md")
    run = start(2, "os.chdir(sys.argv[1])\n" + example)
    assert run.end() == 0, run.read()
    assert Network.load(Path(run.folder, "model.fastnn")).n_features == 16
    assert "val_loss" in run.read()


def test_the_example_of_row_groups_runs(start: Any) -> None:
    pytest.importorskip("pyarrow")
    _, (example,), _ = snippets_of("mpi.md")
    script = """
        os.chdir(sys.argv[1])
        if rank == 0:
            import pyarrow.parquet
            table = pyarrow.table({"a": X[:, 0], "b": X[:, 1], "y": y > 0})
            pyarrow.parquet.write_table(table, "table.parquet", row_group_size=300)
        comm.Barrier()
    """
    end = "show(rows=len(X), epochs=net.history.n_epochs)\n"
    run = start(2, textwrap.dedent(script) + example + end)
    assert run.end() == 0, run.read()
    assert run.shown() == [{"rows": 600, "epochs": 20}, {"rows": 400, "epochs": 20}]


# ---- tables --------------------------------------------------------------------------------------


def train_table(folder: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    command = [str(MPIEXEC), "-n", "4", sys.executable, "-P", "-m", "fastnn", "train", *options]
    environment = {**os.environ, "PYTHONPATH": str(Path(fastnn.__file__).parent.parent)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100
    )


def test_ranks_train_a_model_of_a_table_from_row_groups_of_their_own(tmp_path: Path) -> None:
    """Three groups for four ranks; the table is sorted, so no rank sees all of it."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    from fastnn.tabular import TabularModel

    rng = np.random.default_rng(0)
    size = np.sort(rng.standard_normal(60))
    town = rng.choice(["Ulm", "Bonn"], 60)
    late = np.where(size + (town == "Ulm") > 0.5, "late", "in time")
    table = pyarrow.table({"size": size, "town": town, "late": late})
    parquet.write_table(table, tmp_path / "table.parquet", row_group_size=20)
    options = ["table.parquet", "--target", "late", "--threads", "1"]
    result = train_table(tmp_path, *options, "--json")
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)  # of rank 0 alone
    assert told["rows"]["all"] == 60
    assert 9 <= told["rows"]["held out"] <= 12
    assert sum(map(sum, told["confusion"])) == told["rows"]["held out"]
    model = TabularModel.load(tmp_path / "model.fastnn")
    assert model.evaluate(table.to_pydict(), None)["accuracy"] > 0.85
    assert [column.kind for column in model.columns] == ["number", "yes/no"]
    assert (tmp_path / "model.html").exists()

    result = train_table(tmp_path, "table.parquet", "--target", "lat")
    assert result.returncode != 0
    assert result.stderr.count("no column 'lat'") == 1

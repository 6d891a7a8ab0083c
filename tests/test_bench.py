"""The benches run, agree and judge rightly. What they measure is not tested."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fastnn.reference import loops, vectorized

# At the end, so that an installed fastnn is found before the one beside bench.
sys.path.append(str(Path(__file__).parents[1]))

from bench import cache, kernels, waiting
from bench.peers import __main__ as peers
from bench.peers import report
from bench.peers.field import is_installed
from bench.peers.inference import PREDICTORS
from bench.peers.measure import Processes, Result, Row, measure
from bench.peers.nets import NETS, ONE_THREAD, TRAININGS, Bar, Inference, Training
from bench.peers.process import Prepared, Process
from bench.peers.training import TRAINERS


def test_bench_prefers_an_installed_fastnn_to_the_sources_beside_it(tmp_path):
    project, installed = tmp_path / "project", tmp_path / "installed"
    for folder in (project, installed):
        (folder / "fastnn").mkdir(parents=True)
        (folder / "fastnn" / "__init__.py").write_text(f"place = {folder.name!r}")
    (project / "bench").mkdir()
    shutil.copy(Path(waiting.__file__).with_name("__init__.py"), project / "bench")
    (project / "bench" / "script.py").write_text("import fastnn; print(fastnn.place)")

    def place(path):
        environment = {**os.environ, "PYTHONPATH": str(path)}
        command = [sys.executable, "-m", "bench.script"]
        return subprocess.check_output(command, cwd=project, env=environment, text=True).strip()

    assert place(installed) == "installed"
    assert place(tmp_path) == "project"


def present(names):
    return [
        pytest.param(
            name,
            marks=pytest.mark.skipif(not is_installed(name), reason=f"{name} is not installed"),
        )
        for name in names
    ]


@pytest.mark.parametrize("net", TRAININGS, ids=lambda net: net.name)
def test_flops_of_a_step_are_those_of_the_task(net):
    task = net.task(quick=True)
    assert task.flops == net.steps(quick=True) * net.flops
    assert task.n_batches * net.batch_size == len(task.X)
    assert len(np.unique(task.y)) == max(2, net.sizes[-1])


def test_bytes_of_a_step_count_weights_moments_and_inputs():
    # 4-3-2 has 12 + 6 weights and 5 biases; SGD reads them twice and updates them in place.
    net = Training("small", (4, 3, 2), 8, 1, "sgd", ())
    assert net.bytes == 23 * 16 + 2 * 4 * 8 * 4
    assert replace(net, optimizer="adam").bytes == 23 * 32 + 2 * 4 * 8 * 4


@pytest.mark.filterwarnings("ignore")  # of the libraries, about themselves
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize(
    ("sizes", "hidden"), [((2, 4, 1), "tanh"), ((5, 6, 2), "relu"), ((5, 6, 4, 3), "relu")]
)
@pytest.mark.parametrize("contestant", present(TRAINERS))
def test_everybody_trains_like_the_reference(contestant, sizes, hidden, optimizer):
    rate = 0.1 if optimizer == "sgd" else 0.01
    net = Training("small", sizes, 10, 4, optimizer, (), hidden=hidden, learning_rate=rate)
    task = net.task()
    expected = loops.Network(
        [w.tolist() for w in task.weights],
        [b.tolist() for b in task.biases],
        [hidden] * (len(sizes) - 2) + [task.output],
        "categorical_cross_entropy" if sizes[-1] > 1 else "binary_cross_entropy",
    ).fit(
        task.X.tolist(),
        task.y.tolist(),
        epochs=5,
        batch_size=10,
        optimizer=optimizer,
        learning_rate=rate,
    )
    restart, train = TRAINERS[contestant](task, 1)
    for n_epochs in (5, 1, 2, 5, 2, 5):  # every time from the start, and to the end
        restart()
        assert train(n_epochs) == pytest.approx(expected[n_epochs - 1], rel=net.tolerance)
    assert expected[4] != pytest.approx(expected[3], rel=2 * net.tolerance)


@pytest.mark.filterwarnings("ignore")  # of the libraries, about themselves
@pytest.mark.parametrize("n_rows", [1, 7])
@pytest.mark.parametrize("contestant", present(PREDICTORS))
def test_everybody_predicts_like_the_reference(contestant, n_rows):
    net = Inference("small", (5, 8, 3), n_rows, ())
    task = net.task()
    expected = vectorized.Network(
        task.weights, task.biases, ["relu", "softmax"], "categorical_cross_entropy"
    ).predict_proba(task.X)
    predictor = PREDICTORS[contestant](task, 1)
    with predictor.context:
        for _ in range(2):
            result = np.asarray(predictor.call(predictor.argument)).reshape(n_rows, 3)
            np.testing.assert_allclose(result, expected, atol=net.tolerance)


def race(**options):
    """A short race between fastnn and NumPy."""
    processes = Processes(1)
    try:
        return measure(
            NETS["4-16-16-3"],
            ["fastnn", "NumPy"],
            processes,
            seconds=0.01,
            n_rounds=2,
            quick=True,
            **options,
        )
    finally:
        processes.close()


def test_race_times_everybody_in_every_round():
    row = race()
    assert [result.contestant for result in row.results] == ["fastnn", "NumPy"]
    assert all(len(result.rounds) == 2 and min(result.rounds) > 0 for result in row.results)
    assert 0 <= row.difference <= row.net.tolerance
    assert row.peak > 0
    assert row.troubles == ()


def test_race_goes_on_without_a_process_that_dies(monkeypatch):
    def run(process, n_times):
        if "NumPy" in process._process.args:
            os.kill(process._process.pid, signal.SIGKILL)
        return honest_run(process, n_times)

    honest_run = Process.run
    monkeypatch.setattr(Process, "run", run)
    row = race()
    assert [result.contestant for result in row.results] == ["fastnn"]
    assert row.troubles == ("NumPy: its process died (exit code -9): ",)
    assert "NumPy: its process died" in report.table(row, 1e10)


@pytest.mark.parametrize("wrong", [lambda loss: 1.001 * loss, lambda loss: float("nan")])
def test_race_does_not_time_who_computes_something_else(monkeypatch, wrong):
    def prepare(process, net, quick):
        prepared = honest_prepare(process, net, quick)
        if "NumPy" in process._process.args:
            return Prepared(prepared.first_seconds, [wrong(loss) for loss in prepared.check])
        return prepared

    honest_prepare = Process.prepare
    monkeypatch.setattr(Process, "prepare", prepare)
    row = race()
    assert [result.contestant for result in row.results] == ["fastnn"]
    assert "NumPy: differs from fastnn by" in row.troubles[0]


def test_process_tells_the_last_words_of_one_that_fails():
    process = Process("NumPy", 1)
    with pytest.raises(Exception, match="KeyError: 'nothing'"):
        process.prepare("nothing", True)
    process.close()


def test_process_is_confined_to_as_many_cpus_as_it_has_threads():
    before = os.sched_getaffinity(0)
    processes = Processes(len(before))
    for contestant, n_cpus in (("fastnn", len(before)), (ONE_THREAD, 1)):
        pid = processes[contestant]._process.pid
        assert len(os.sched_getaffinity(pid)) == n_cpus
    processes.close()
    assert os.sched_getaffinity(0) == before


def a_row(seconds, *, threads=1, net="784-128-10", **options):
    """A row from one round of each contestant, with a peak of 100 GFLOP/s."""
    results = tuple(Result(name, (time,), 0.0) for name, time in seconds.items())
    row = Row(NETS[net], threads, False, False, 200, 100.0, 0.0, results, ())
    return replace(row, **options)


def test_fastnn_is_judged_by_its_median_and_everybody_else_by_their_best():
    rounds = (3.0, 1.0, 2.0)
    assert Result("fastnn", rounds, 0.0).seconds == 2
    assert Result("fastnn, 1 thread", rounds, 0.0).seconds == 2
    assert Result("JAX", rounds, 0.0).seconds == 1
    assert Result("JAX", rounds, 0.0).spread == 2


def test_bars_of_one_thread():
    # 784-128-10 wants no faster peer, and 78 % of the peak: a step is 52.4 MFLOP.
    flops = NETS["784-128-10"].flops
    met = a_row({"fastnn": flops / 79e9, "JAX": 1.1 * flops / 79e9, "NumPy": 1.0})
    assert [verdict.met for verdict in report.verdicts(met)] == [True, True]
    missed = a_row({"fastnn": flops / 77e9, "JAX": 0.9 * flops / 77e9, "NumPy": 1.0})
    assert [verdict.met for verdict in report.verdicts(missed)] == [False, False]
    assert "0.90x (>= 1x) MISSED" in report.table(missed, 1e10)
    alone = a_row({"JAX": 1.0})
    assert [verdict.met for verdict in report.verdicts(alone)] == [None, None]
    assert report.verdicts(replace(missed, quick=True)) == []


def test_bars_of_two_threads_compare_with_one():
    row = a_row({"fastnn": 1.0, ONE_THREAD: 1.4, "JAX": 1.7}, threads=2, net="784-100-10")
    assert [verdict.met for verdict in report.verdicts(row)] == [True, False]
    slower = a_row({"fastnn": 1.3, ONE_THREAD: 1.0, "JAX": 9.0}, threads=2, net="4-16-16-3")
    assert [verdict.met for verdict in report.verdicts(slower)] == [True, False]
    assert [verdict.met for verdict in report.verdicts(replace(slower, busy=True))] == [True]


def test_share_with_two_threads_is_of_the_peak_of_two_cores():
    # 784-128-10 wants 65 % of it.
    flops = NETS["784-128-10"].flops
    row = a_row({"fastnn": flops / 131e9, "JAX": 1.0}, threads=2)
    shares = [result["share_of_peak"] for result in report.as_json([row])[0]["results"]]
    assert shares[0] == pytest.approx(0.655)
    assert [verdict.met for verdict in report.verdicts(row)] == [True, True]
    slower = a_row({"fastnn": flops / 129e9, "JAX": 1.0}, threads=2)
    assert [verdict.met for verdict in report.verdicts(slower)] == [True, False]


def test_bars_of_one_row_name_whom_they_compare():
    seconds = {"fastnn": 2e-6, "fastnn-predictor": 5e-7, "onnxruntime": 5e-6, "JAX": 1e-6}
    row = a_row(seconds, net="predict-1-small")
    predictor, fastnn = report.verdicts(row)
    assert (predictor.met, fastnn.met) == (True, False)
    assert predictor.text == "fastnn-predictor against JAX 2.00x (>= 1x)"
    assert fastnn.text == "fastnn against JAX 0.50x (>= 1x)"


def test_bars_of_microseconds():
    for seconds, met in ((1.4e-6, True), (1.6e-6, False)):
        row = a_row({"fastnn": seconds, "JAX": 1.0}, net="2-4-1")
        assert [verdict.met for verdict in report.verdicts(row)] == [True, met]


def test_report_marks_where_a_peer_wins_and_where_the_peak_is_far():
    flops = NETS["784-128-10"].flops
    won = a_row({"fastnn": flops / 61e9, "JAX": 2.0})
    lost = a_row({"fastnn": flops / 122e9, ONE_THREAD: 1e-9, "JAX": flops / 244e9}, threads=2)
    low = a_row({"fastnn": flops / 59e9, "JAX": 2.0})
    assert "fastest peer: JAX, 2.00x as fast as fastnn" in report.table(lost, 1e10)
    rows = [won, lost, low]
    title = won.net.title
    assert [line for line in report.conclusions(rows) if line.startswith("mark")] == [
        f"mark: {title}; 2 threads: behind JAX, 2.00x as fast",
        f"mark: {title}; 1 thread: 59.0% of the peak, below 60%",
    ]
    for row in rows:
        (mark,) = report.marks(row) or [None]
        assert mark is None or f"  mark: {mark}" in report.table(row, 1e10)
        assert mark is None or report.summary([row]).endswith(f"| {mark} |")
        assert report.as_json([row])[0]["marks"] == report.marks(row)
    assert report.marks(replace(low, quick=True)) == []
    assert report.summary(rows).count("\n") == 4


def test_a_row_is_marked_by_the_best_of_ours():
    flops = NETS["predict-64"].flops
    seconds = {"fastnn": flops / 50e9, "fastnn-predictor": flops / 70e9, "JAX": flops / 65e9}
    assert report.marks(a_row(seconds, net="predict-64")) == []
    assert report.marks(a_row(seconds | {"JAX": flops / 77e9}, net="predict-64")) == [
        "behind JAX, 1.10x as fast"
    ]


def test_every_bar_asks_that_no_peer_is_ahead():
    for net in NETS.values():
        for bars in (net.bars, net.team_bars):
            assert any(bar.ratio == 1 and bar.against is None for bar in bars), net.name


def test_every_bar_is_about_somebody_who_takes_part():
    for net in NETS.values():
        makers = TRAINERS if isinstance(net, Training) else PREDICTORS
        for bar in (*net.bars, *net.team_bars):
            assert bar.ours in makers
            assert bar.against in {None, ONE_THREAD, *makers}
        assert any(isinstance(bar, Bar) and bar.ratio for bar in net.bars)


def test_peers_prints_and_writes_everything(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    picture, figures = tmp_path / "peers.png", tmp_path / "peers.json"
    nets = ["2-4-1", "predict-1"]
    command = ["--quick", "--seconds", "0.01", "--peers", "NumPy", "--nets", *nets]
    assert (
        peers.main([*command, "--threads", "1", "--json", str(figures), "--plot", str(picture)])
        == 0
    )
    output = capsys.readouterr().out
    document = json.loads(figures.read_text())
    assert [row["net"] for row in document["rows"]] == nets
    assert document["fma_peak_gflops"] > 0
    for name in ("CPU", "caches"):
        assert document["configuration"][name] in output
    assert "FMA peak" in output
    assert {"fastnn", "NumPy"} <= set(document["versions"])
    for row in document["rows"]:
        assert row["title"] in output
        assert {"fastnn", "NumPy"} <= {result["contestant"] for result in row["results"]}
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "command",
    [["--threads", "0"], ["--busy", "--threads", "1"], ["--rounds", "0"], ["--nets", "x"]],
)
def test_peers_refuses_bad_arguments(command, capsys):
    with pytest.raises(SystemExit):
        peers.main(command)
    assert "error" in capsys.readouterr().err


@pytest.fixture
def small_grid(monkeypatch):
    monkeypatch.setattr(kernels, "LAYERS", ((8, 5, 3),))
    monkeypatch.setattr(kernels, "openblas_core", dict)  # it would change this environment


def test_roles_of_a_layer_are_its_three_products():
    forward, dx, dw = kernels.shapes(8, 5, 3)
    assert (forward.m, forward.n, forward.k) == (8, 3, 5)
    assert (dx.m, dx.n, dx.k) == (8, 5, 3)
    assert (dw.m, dw.n, dw.k, dw.transpose_a) == (5, 3, 8, True)
    assert dw.flops == 240


def test_kernels_refuses_a_wrong_product(small_grid, monkeypatch):
    product = kernels.gemm.multiply
    monkeypatch.setattr(kernels.gemm, "multiply", lambda *a, **k: 1.001 * product(*a, **k))
    with pytest.raises(ArithmeticError, match=r"own, forward .*: off by"):
        kernels.main(["--quick"])


def test_kernels_says_where_blas_is_ahead(small_grid, monkeypatch, capsys, tmp_path):
    def timer(out, a, b, transpose_a, product, n_calls):
        faster = "own" if transpose_a else "blas"
        return n_calls * (1e-6 if product == faster else 2e-6)

    monkeypatch.setattr(kernels, "TIMER", timer)
    assert kernels.main(["--rounds", "3", "--seconds", "0.01", "--json", str(tmp_path / "k")]) == 1
    output = capsys.readouterr().out
    assert "the own product is ahead at 1 of 3" in output
    assert "it is below 60% of the peak at 3 of 3" in output
    marked = [line for line in output.splitlines() if "below 60% of the peak" in line][:3]
    assert [(line.split()[0], line.endswith("peak, behind BLAS")) for line in marked] == [
        ("forward", True), ("dX", True), ("dW", False),
    ]  # fmt: skip
    assert output.count("BLAS is ahead") == 2
    assert len(json.loads((tmp_path / "k").read_text())["products"]) == 3


def test_kernels_without_a_timer_only_verifies(small_grid, monkeypatch, capsys):
    monkeypatch.setattr(kernels, "TIMER", None)
    assert kernels.main([]) == 0
    assert "3 products agree" in capsys.readouterr().out


CACHEGRIND = """\
==7== Cachegrind, a cache and branch-prediction profiler
==41== I   refs:      100
==41== D1  misses:        1,234,000  (  1,000,000 rd   + 234,000 wr)
==41== LLd misses:           10,000  (      8,000 rd   +   2,000 wr)
==41== D1  miss rate:           2.1% (        2.7%     +     0.9%  )
==42== D1  misses:        1,236,560  (  1,002,560 rd   + 234,000 wr)
==42== LLd misses:           10,640  (      8,640 rd   +   2,000 wr)
==42== LL misses:            99,999  (     99,999 rd   +       0 wr)
"""


def test_cache_counts_what_the_second_process_misses_more(monkeypatch):
    def run(command, env, **options):
        assert {"--D1=49152,12,64", "--LL=2097152,16,64"} <= set(command)
        assert env["FASTNN_CACHES"].startswith("49152,2097152,")
        assert env["FASTNN_ISA"] == "avx2"
        return subprocess.CompletedProcess(command, 0, "41 42\n", CACHEGRIND)

    monkeypatch.setattr(cache.subprocess, "run", run)
    monkeypatch.setattr(cache, "WIDTHS", ((10,),))
    # forward: 64 rows of 10 inputs and 10 units are 6,400 multiply-adds
    assert cache.count(cache.CPUS[0], ["forward"]) == {("forward", 10): (400.0, 100.0)}


def test_cache_passes_on_why_cachegrind_failed(monkeypatch):
    failed = subprocess.CompletedProcess("", 1, "", "no such instruction")
    monkeypatch.setattr(cache.subprocess, "run", lambda *a, **k: failed)
    with pytest.raises(RuntimeError, match="no such instruction"):
        cache.count(cache.CPUS[0], ["forward"])


def test_cache_does_every_case_less_and_more_often_in_a_process_of_its_own(run_script):
    printed = run_script(
        f"""
        import sys
        sys.path.append({str(Path(cache.__file__).parents[1])!r})
        from bench import cache
        cache.WIDTHS = cache.STEP_WIDTHS = ((5, 8),)
        times = []
        in_a_fork = cache.in_a_fork
        def spy(action):
            times.append(action.args)
            return in_a_fork(action)
        cache.in_a_fork = spy
        cache.run(cache.ROLES)
        print([case.role for case in cache.cases(cache.ROLES)])
        print([n for (n,) in times])
        """
    )
    *pids, roles, times = printed.splitlines()
    assert roles == str(2 * ["forward", "dX", "dW"] + 2 * ["step"])
    assert times == str(6 * [0, 1] + 2 * [1, 2])
    assert len({pid for line in pids for pid in line.split()}) == 16


def test_cache_says_when_a_case_fails(run_script):
    with pytest.raises(AssertionError, match="the reason") as error:
        run_script(
            f"""
            import sys
            sys.path.append({str(Path(cache.__file__).parents[1])!r})
            from bench import cache
            def fail():
                raise ValueError("the reason")
            cache.in_a_fork(fail)
            """
        )
    assert "ChildProcessError: a case failed" in str(error.value)


@pytest.mark.parametrize(("misses", "exit_code"), [(1.3, 0), (1.31, 1)])
def test_cache_judges_the_l1(monkeypatch, capsys, misses, exit_code):
    def count(cpu, roles):
        counts = {(role, width): (1.0, 1.0) for role in roles for width in (1000, 1024)}
        if cpu is cache.CPUS[1]:
            counts["dX", 1024] = (misses, 5.0)
        return counts

    monkeypatch.setattr(cache, "count", count)
    assert cache.main(["--roles", "dX", "dW"]) == exit_code
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines if line.startswith("  dX")] == [
        ["dX", "1000,", "1024", "1", "1", "1.00", "1", "1", "1.00"],
        ["dX", "1000,", "1024", "1", f"{misses:.3g}", f"{misses:.2f}", "1", "5", "5.00"],
    ]
    for cpu in cache.CPUS:
        assert str(cpu) in lines
    assert lines[-1] == (f"{cache.CPUS[1].name}: dX 1024: 1.31" if exit_code else "none")


def test_waiting_counts_what_a_call_takes_longer_during_training(monkeypatch):
    training = threading.Event()

    class Net:
        def fit(self, X, y, **options):
            training.set()
            time.sleep(0.3)
            training.clear()

    def predict(row):
        time.sleep(0.03 if training.is_set() else 0.01)

    monkeypatch.setattr(waiting, "N_CALLS_ALONE", 5)
    waits, seconds = waiting.measure(Net(), predict, NETS["2-4-1"].task(), n_epochs=1)
    assert seconds >= 0.3
    assert 0.015 < np.median(waits) < 0.1


@pytest.mark.parametrize(
    ("waits", "exit_code", "figures", "verdict"),
    [
        ([0.0] * 99 + [1.0], 0, "100 0 ns 0 ns 1 s +25%", "none"),
        ([0.0] * 98 + [1.0] * 2, 1, "100 0 ns 1 s 1 s +25%", "784-128-10"),
    ],
)
def test_waiting_judges_99_of_100_calls(monkeypatch, capsys, waits, exit_code, figures, verdict):
    monkeypatch.setattr(waiting, "train", lambda net, task, n_epochs: 0.1 * n_epochs)
    monkeypatch.setattr(waiting, "measure", lambda *_: (np.array(waits), 1.25))
    assert waiting.main(["--nets", "784-128-10", "--seconds", "1"]) == exit_code
    *_, of_predict, of_predictor, last = capsys.readouterr().out.splitlines()
    assert of_predict.split() == ["predict", *figures.split()]
    assert of_predictor.split() == ["predictor", *figures.split()]
    assert last == f"above the bar: {verdict}"

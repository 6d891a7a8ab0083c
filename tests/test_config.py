"""What the library runs on, and that importing it changes nothing."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import fastnn
from fastnn import config
from fastnn._core import gemm, kernels


@pytest.fixture
def number_of_threads() -> Iterator[int]:
    """The number of threads at the start of the test, and again after it."""
    before = fastnn.get_num_threads()
    yield before
    fastnn.set_num_threads(before)


def test_threads_are_at_first_the_cpus_of_the_process(run_script: Callable[..., str]) -> None:
    found = run_script("""
        import os
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        import fastnn
        print(fastnn.get_num_threads())
    """)
    assert found.split() == ["1"]
    found = run_script("import fastnn; print(fastnn.get_num_threads())")
    assert 1 <= int(found) <= len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("version_2", "version_1", "expected"),
    [
        ("150000 100000\n", None, 1.5),
        ("max 100000\n", None, None),
        (None, ("50000\n", "100000\n"), 0.5),
        (None, ("-1\n", "100000\n"), None),
        (None, None, None),
        ("100000 0\n", None, None),
        (f"1{'0' * 400} 1\n", None, None),
    ],
    ids=["2", "2, none", "1", "1, none", "none", "of no period", "huge"],
)
def test_quota_of_a_container(
    version_2: str | None,
    version_1: tuple[str, str] | None,
    expected: float | None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
) -> None:
    files = {"cpu.max": version_2}
    if version_1 is not None:
        files |= {"cpu.cfs_quota_us": version_1[0], "cpu.cfs_period_us": version_1[1]}
    for name, text in files.items():
        if text is not None:
            (tmp_path / name).write_text(text)
    monkeypatch.setattr(
        config, "open", lambda path: (tmp_path / os.path.basename(path)).open(), raising=False
    )
    assert config._cgroup_quota() == expected
    assert config._available_cpus() >= 1


def test_set_num_threads_is_what_get_num_threads_gives(number_of_threads: int) -> None:
    for n in (1, 3, 256):
        fastnn.set_num_threads(n)
        assert fastnn.get_num_threads() == n


def test_set_num_threads_none_restores_the_default(run_script: Callable[..., str]) -> None:
    printed = run_script("""
        import os
        import fastnn
        default = fastnn.get_num_threads()
        fastnn.set_num_threads(default + 1)
        fastnn.set_num_threads(None)
        print(fastnn.get_num_threads() == default)
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        fastnn.set_num_threads(None)
        print(fastnn.get_num_threads())
    """)
    assert printed.split() == ["True", "1"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1", 1), ("2,4", 2), (" 3 ", 3), ("1000", 4), ("0", 4), ("", 4), ("many", 4), ("-1", 4)],
)
def test_omp_num_threads_lowers_the_default(
    value: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "_available_cpus", lambda: 4)
    monkeypatch.setattr(config, "_n_threads", None)
    monkeypatch.setattr(config, "_default", None)
    monkeypatch.setattr(config, "_OMP_NUM_THREADS", value)
    assert fastnn.get_num_threads() == expected
    fastnn.set_num_threads(3)  # what the user says counts more
    assert fastnn.get_num_threads() == 3


@pytest.mark.parametrize(("before", "after", "expected"), [("1", "2", 1), ("2", "1", 2)])
def test_omp_num_threads_is_read_at_import(
    before: str, after: str, expected: int, run_script: Callable[..., str]
) -> None:
    printed = run_script(
        f"""
        import os
        import fastnn
        from fastnn import config
        os.environ["OMP_NUM_THREADS"] = {after!r}  # as Dask does where it starts processes
        config._available_cpus = lambda: 4
        print(fastnn.get_num_threads())
        """,
        OMP_NUM_THREADS=before,
    )
    assert int(printed) == expected


@pytest.mark.parametrize("wrong", [0, -1, 257, 10**20])
def test_set_num_threads_refuses_numbers_out_of_range(wrong: int, number_of_threads: int) -> None:
    with pytest.raises(
        ValueError, match=f"n must be a positive integer of at most 256, got {wrong}"
    ):
        fastnn.set_num_threads(wrong)
    assert fastnn.get_num_threads() == number_of_threads


@pytest.mark.parametrize("wrong", [2.0, "2", [2], True])
def test_set_num_threads_refuses_what_is_no_integer(wrong: Any, number_of_threads: int) -> None:
    with pytest.raises(TypeError, match="n must be a positive integer"):
        fastnn.set_num_threads(wrong)
    assert fastnn.get_num_threads() == number_of_threads


def test_choose_threads(number_of_threads: int) -> None:
    fastnn.set_num_threads(7)
    assert config.choose_threads(None, 1e12) == 7
    assert config.choose_threads(None, 1.0) == 1
    assert config.choose_threads(5, 1.0) == 5
    with pytest.raises(ValueError, match="threads must be a positive integer"):
        config.choose_threads(0, 1.0)


def test_fma_peak_is_a_plausible_number_of_gflops() -> None:
    # One lane at 1 GHz would give 2; the widest cores of today stay below 500.
    assert 1 < fastnn.config.fma_peak(0.02) < 1000
    for wrong in (0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="seconds must be a positive number"):
            fastnn.config.fma_peak(wrong)


@pytest.mark.skipif(len(kernels.supported_isas()) < 2, reason="this CPU runs one only")
def test_fma_peak_counts_what_wider_registers_do() -> None:
    """Twice the lanes, twice the work: at least half as much again, on a busy machine too."""
    import numpy as np

    dtype = np.dtype(np.float32)
    slow, fast = (kernels.fma_peak(dtype, 0.05, isa) for isa in kernels.supported_isas()[:2])
    assert fast > 1.5 * slow
    isa = kernels.supported_isas()[1]
    double = kernels.fma_peak(np.dtype(np.float64), 0.05, isa)
    assert 0.3 * fast < double < 0.75 * fast


def test_configuration_says_what_is_in_use() -> None:
    entries = config.configuration()
    assert set(entries) == {
        "fastnn", "Python", "NumPy", "platform", "CPU", "caches", "instruction set",
        "matrix products", "BLAS", "threads",
    }  # fmt: skip
    assert entries["matrix products"] == gemm.GEMM
    assert all(isinstance(text, str) for text in entries.values())
    assert entries["fastnn"] == fastnn.__version__
    assert entries["instruction set"].startswith(kernels.ISA)
    assert entries["BLAS"] == gemm.blas_config
    assert "OpenBLAS" in entries["BLAS"]


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        (
            "processor\t: 0\ncpu family\t: 6\nmodel\t\t: 207\nmodel name\t: A CPU: X\n\n"
            "processor\t: 1\nmodel name\t: another\n",
            "A CPU: X (family 6, model 207)",
        ),
        ("processor\t: 0\nCPU part\t: 0xd40\n", "processor of the platform"),
        (None, "processor of the platform"),
    ],
    ids=["x86", "arm", "no file"],
)
def test_configuration_names_the_cpu(
    cpuinfo: str | None, expected: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if cpuinfo is not None:
        (tmp_path / "cpuinfo").write_text(cpuinfo)
    monkeypatch.setattr(
        config, "open", lambda path: (tmp_path / os.path.basename(path)).open(), raising=False
    )
    monkeypatch.setattr(config.platform, "processor", lambda: "processor of the platform")
    assert config.configuration()["CPU"] == expected


def test_show_config_prints_the_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    fastnn.show_config()
    printed = capsys.readouterr().out
    for name, text in config.configuration().items():
        assert name in printed
        assert text in printed


# ---- caches ------------------------------------------------------------------------------------


def test_caches_are_plausible_and_ascend() -> None:
    l1_data, l2, l3 = kernels.caches()
    assert 2**12 <= l1_data <= 2**20
    assert l1_data <= l2 <= l3 <= 2**31


@pytest.mark.skipif(platform.machine() != "x86_64", reason="others may not say")
def test_caches_are_those_that_linux_found() -> None:
    """Some CPU's of each level: cores may differ."""
    found: dict[int, set[int]] = {1: set(), 2: set(), 3: set()}
    for index in Path("/sys/devices/system/cpu").glob("cpu[0-9]*/cache/index*"):
        entries = {name: (index / name).read_text().strip() for name in ("type", "level", "size")}
        if entries["type"] != "Instruction" and int(entries["level"]) in found:
            found[int(entries["level"])].add(2**10 * int(entries["size"].removesuffix("K")))
    for size, sizes in zip(kernels.caches(), found.values(), strict=True):
        assert size in sizes or not sizes


def test_caches_of_another_cpu_can_be_named(run_script: Callable[..., str]) -> None:
    script = """
        import fastnn
        from fastnn._core import kernels
        print(kernels.caches(), fastnn.config.configuration()["caches"])
    """
    assert run_script(script, FASTNN_CACHES="49152, 1310720,33554432") == (
        "(49152, 1310720, 33554432) L1d 48 KiB, L2 1.25 MiB a core, L3 32 MiB\n"
    )
    assert run_script(script, FASTNN_CACHES="") == run_script(script)


@pytest.mark.parametrize(
    "wrong",
    [
        "large", "32768", "32768,1048576", "32768,1048576,33554432,1", "32K,1M,32M", "32768;2;3",
        "-32768,1048576,33554432", "0,1048576,33554432", "4095,1048576,33554432",
        "1048576,32768,33554432", "32768,33554432,1048576", f"32768,1048576,{2**40 + 1}",
        f"32768,1048576,1{'0' * 5000}",
    ],
)  # fmt: skip
def test_wrong_sizes_of_caches_are_an_error(wrong: str, run_script: Callable[..., str]) -> None:
    with pytest.raises(AssertionError, match="FASTNN_CACHES must be the bytes of L1 data") as error:
        run_script("import fastnn", FASTNN_CACHES=wrong)
    assert f"got {wrong!r}" in str(error.value)


# ---- instruction sets --------------------------------------------------------------------------

TRAIN = """
    import hashlib
    import numpy as np
    from fastnn import Network
    from fastnn._core import kernels
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((100, 20)), rng.integers(0, 3, 100)
    net = Network.from_sizes([20, 30, 3], "mish", "softmax", seed=0)
    net.fit(X, y, epochs=3, batch_size=32)
    print(kernels.ISA, hashlib.sha256(net.parameters.tobytes()).hexdigest())
"""


def test_every_instruction_set_can_be_forced_and_wide_ones_give_the_same_bits(
    run_script: Callable[..., str],
) -> None:
    """The baseline of x86-64 has no fused multiply-add, so its bits are others."""
    printed = [run_script(TRAIN, FASTNN_ISA=isa).split() for isa in kernels.supported_isas()]
    assert [isa for isa, _ in printed] == kernels.supported_isas()
    assert len({digest for isa, digest in printed if isa != "baseline"}) <= 1


def test_products_can_be_left_to_blas(run_script: Callable[..., str]) -> None:
    script = """
        from fastnn._core import gemm
        print(gemm.GEMM)
    """
    assert [run_script(script, FASTNN_GEMM=name).strip() for name in ("blas", "own", "auto")] == [
        "blas", "own", "own",
    ]  # fmt: skip
    train = TRAIN.replace("print(", "print(net.evaluate(X, y)['loss'], ")
    own, blas = (float(run_script(train, FASTNN_GEMM=name).split()[0]) for name in ("own", "blas"))
    assert own == pytest.approx(blas, rel=1e-4)
    with pytest.raises(AssertionError, match="FASTNN_GEMM must be one of auto, own, blas"):
        run_script(script, FASTNN_GEMM="mkl")


def test_the_best_instruction_set_is_the_default(run_script: Callable[..., str]) -> None:
    script = "from fastnn._core import kernels; print(kernels.ISA)"
    assert run_script(script, FASTNN_ISA="").split() == [kernels.supported_isas()[-1]]
    assert set(kernels.supported_isas()) <= set(kernels.built_isas())


@pytest.mark.parametrize(("isa", "products"), [("BASELINE", "Own"), ("Baseline", "BLAS")])
def test_case_of_environment_variables_does_not_matter(
    isa: str, products: str, run_script: Callable[..., str]
) -> None:
    script = "from fastnn._core import gemm, kernels; print(kernels.ISA, gemm.GEMM)"
    printed = run_script(script, FASTNN_ISA=isa, FASTNN_GEMM=products)
    assert printed.split() == [isa.lower(), products.lower()]


def test_an_unknown_variable_of_ours_is_warned_of(run_script: Callable[..., str]) -> None:
    script = """
        import warnings
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            import fastnn
        for warning in caught:
            print(warning.category.__name__, warning.filename, warning.message)
    """
    assert run_script(script, FASTNN_THREADS="4", FASTNN_GEM="own").splitlines() == [
        "RuntimeWarning <string> the environment variables FASTNN_GEM, FASTNN_THREADS are not "
        "known to fastnn, which reads FASTNN_ISA, FASTNN_GEMM and FASTNN_CACHES"
    ]
    known = {"FASTNN_ISA": "baseline", "FASTNN_GEMM": "own", "FASTNN_CACHES": "4096,4096,4096"}
    assert run_script(script, FASTNN_DEBUG="1", FASTNN_SANITIZE="thread", **known) == ""


def test_an_unknown_instruction_set_is_an_error(run_script: Callable[..., str]) -> None:
    run_script(
        """
        try:
            import fastnn
        except ImportError as error:
            assert "FASTNN_ISA must be one of baseline" in str(error), error
            assert "'sse9'" in str(error), error
        else:
            raise AssertionError("imported")
        """,
        FASTNN_ISA="sse9",
    )


# ---- import ------------------------------------------------------------------------------------


def test_import_has_no_side_effects(run_script: Callable[..., str]) -> None:
    run_script("""
        import os
        import random
        import signal
        import sys
        import warnings

        import numpy as np

        def state():
            name, keys, *rest = np.random.get_state()
            return {
                "threads": sorted(os.listdir("/proc/self/task")),
                "signals": [signal.getsignal(n) for n in sorted(signal.valid_signals())],
                "environment": dict(os.environ),
                "affinity": os.sched_getaffinity(0),
                "denormals": np.float32(1e-45) * np.float32(1),
                "errors": np.geterr(),
                "randomness": (random.getstate(), name, keys.tobytes(), *rest),
                "directory": os.getcwd(),
                "path": list(sys.path),
                "warnings": list(warnings.filters),
            }

        before = state()
        import fastnn
        after = state()
        for name in before:
            assert before[name] == after[name], name
        with open("/proc/self/maps") as file:
            assert "scipy_openblas32" not in file.read()
    """)


def test_modules_that_most_programs_do_not_need_are_loaded_when_used(
    run_script: Callable[..., str],
) -> None:
    run_script("""
        import sys
        import fastnn
        lazy = {"datasets", "plots", "reference"}
        assert lazy <= set(dir(fastnn)) & set(fastnn.__all__)
        assert {"Network", "__version__", "__doc__"} <= set(dir(fastnn))
        assert {name for name in dir(fastnn) if not name.startswith("__")} <= set(fastnn.__all__)
        assert issubclass(fastnn.Adam, fastnn.Optimizer)
        assert not {f"fastnn.{name}" for name in lazy} & set(sys.modules)
        assert callable(fastnn.plots.learning_curves)
        assert callable(fastnn.reference.loops.linear)
        assert callable(fastnn.datasets.load_digits)
        try:
            fastnn.plot
        except AttributeError as error:
            assert str(error) == "module 'fastnn' has no attribute 'plot'", error
        else:
            raise AssertionError("found")
    """)


@pytest.fixture
def source_tree(tmp_path: Path) -> Path:
    """A folder that holds the package as a repository does: without compiled modules."""
    package = Path(fastnn.__file__).parent
    ignored = shutil.ignore_patterns("*.so", "*.c", "__pycache__")
    shutil.copytree(package, tmp_path / "fastnn", ignore=ignored)
    return tmp_path


def run_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: v for name, v in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_import_from_the_source_tree_says_what_to_do(source_tree: Path) -> None:
    """The folder of the sources comes before the installed package where Python is started."""
    message = (
        f"{source_tree / 'fastnn'} is the source of fastnn, not compiled for this Python. Compile "
        f"it in place: 'pip install -e .' in {source_tree}. If fastnn is installed elsewhere, this "
        "folder hides it: start Python in another folder, or as 'python -P'."
    )
    done = run_in(source_tree, "-c", "import fastnn")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"ImportError: {message}"
    assert done.stderr.count("Traceback") == 1
    done = run_in(source_tree, "-m", "fastnn", "info")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"fastnn: {message}\n"


def test_other_import_errors_keep_their_words(source_tree: Path) -> None:
    for path in (Path(fastnn.__file__).parent / "_core").glob("*.so"):
        shutil.copy(path, source_tree / "fastnn" / "_core")
    (source_tree / "fastnn" / "layers.py").write_text("import missing_module")
    done = run_in(source_tree, "-c", "import fastnn")
    assert done.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'missing_module'"


def test_import_loads_no_heavy_module(run_script: Callable[..., str]) -> None:
    run_script("""
        import sys
        import fastnn
        heavy = {
            "tqdm", "safetensors", "matplotlib", "PIL", "sklearn", "scipy_openblas32", "pandas",
            "polars", "difflib",
        }
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
    """)

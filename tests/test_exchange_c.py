"""`fastnn.exchange.to_c`: the C file compiles, predicts as the network does, and says the truth."""

import ctypes
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fastnn import (
    Activation,
    BatchNorm,
    Dense,
    Dropout,
    GaussianNoise,
    Layer,
    LayerNorm,
    Network,
    PReLU,
    __version__,
)
from fastnn.activations import ACTIVATIONS
from fastnn.exchange import to_c
from fastnn.timing import difference

# At the end, so that an installed fastnn is found before the one beside bench.
sys.path.append(str(Path(__file__).parents[1]))

from bench import cortex_m4

Array = npt.NDArray[Any]

WARNINGS = ["-pedantic", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wshadow"]
LANGUAGES = {
    "gcc": ["gcc", "-std=c99"],
    "clang": ["clang", "-std=c99"],
    "g++": ["g++", "-std=c++11", "-xc++"],
    "clang++": ["clang++", "-std=c++11", "-xc++"],
}
#: Every kind of layer; a batch norm in first place, behind a linear Dense, and behind another one.
EVERYTHING: list[Layer] = [
    BatchNorm(), GaussianNoise(0.1), Dense(24), Dropout(0.1), BatchNorm(), Activation("relu"),
    Dense(20, "prelu"), LayerNorm(), Dense(16, "tanh"), BatchNorm(), Dense(3, "softmax"),
]  # fmt: skip

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
compilers = pytest.mark.parametrize(
    "compiler",
    [
        pytest.param(
            name,
            marks=pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not installed"),
        )
        for name in LANGUAGES
    ],
)


def trained(layers: list[Layer], n_features: int, dtype: str = "float32", seed: int = 0) -> Network:
    """A network whose biases and running statistics are not those of the beginning."""
    random = np.random.default_rng(seed)
    net = Network(layers, n_features=n_features, dtype=dtype, seed=seed)
    X = random.standard_normal((200, n_features))
    is_softmax = net.layers[-1].description()["activation"] == "softmax"
    y = (
        random.integers(0, net.n_outputs, 200)
        if is_softmax
        else random.random((200, net.n_outputs))
    )
    net.fit(X, y, epochs=3, batch_size=20, learning_rate=1e-3)
    return net


def everything(dtype: str = "float32") -> Network:
    return trained(EVERYTHING, 7, dtype)


def rows(net: Network, n: int = 50) -> Array:
    X = np.random.default_rng(1).standard_normal((n, net.n_features or 0))
    return X.astype(net.dtype)


def compile_library(source: Path, compiler: str) -> ctypes.CDLL:
    library = source.with_suffix(f".{compiler}.so")
    command = [*LANGUAGES[compiler], *WARNINGS, "-O1", "-shared", "-fPIC"]
    subprocess.run([*command, source, "-o", library, "-lm"], check=True)
    return ctypes.CDLL(str(library))


def predicted(library: ctypes.CDLL, net: Network, name: str, X: Array) -> Array:
    """By the function of a C file, row by row."""
    function = getattr(library, f"{name}_predict")
    function.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
    Y = np.full((len(X), net.n_outputs), np.nan, X.dtype)
    for x, y in zip(X, Y, strict=True):
        function(x.ctypes.data, y.ctypes.data)
    return Y


def compile_program(source: Path, *options: str) -> Path:
    program = source.with_suffix("")
    command = ["gcc", "-std=c99", *WARNINGS, f"-D{source.stem}_MAIN", *options]
    subprocess.run([*command, source, "-o", program, "-lm"], check=True)
    return program


def printed(text: str, program: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program], input=text, capture_output=True, text=True, check=False)


def as_text(X: Array, separator: str = " ") -> str:
    return "".join(separator.join(map(repr, row)) + "\n" for row in X.tolist())


# ---- the numbers ---------------------------------------------------------------------------------


def random_network(seed: int, dtype: str) -> Network:
    """Up to two hidden layers, half of them with a norm, and every activation in turn."""
    random = np.random.default_rng(seed)
    names = list(ACTIVATIONS)
    hidden = [*names[:-1], "prelu"]
    layers: list[Layer] = []
    for i, width in enumerate(random.integers(8, 49, random.integers(0, 3)).tolist()):
        name = hidden[(seed + i) % len(hidden)]
        norm = (BatchNorm(), LayerNorm(), None, None)[random.integers(4)]
        if norm is None:
            layers += [Dense(width, name), Dropout(0.1)]
        else:
            layers += [Dense(width), norm, PReLU() if name == "prelu" else Activation(name)]
    layers.append(Dense(int(random.integers(2, 11)), names[seed % len(names)]))
    return trained(layers, int(random.integers(1, 33)), dtype, seed)


def compiled_together(
    nets: list[Network], compiler: str, folder: Path, dtype: str | None = None
) -> ctypes.CDLL:
    """C files side by side in one library, named ``net_0``, ``net_1``, ..."""
    source = folder / "nets.c"
    for i, net in enumerate(nets):
        to_c(net, folder / f"net_{i}.c", dtype=dtype)
    source.write_text("".join(f'#include "net_{i}.c"\n' for i in range(len(nets))))
    return compile_library(source, compiler)


@pytest.fixture(scope="module")
def fifty() -> list[Network]:
    return [random_network(seed, "float32") for seed in range(50)]


@compilers
def test_fifty_networks_agree(fifty: list[Network], compiler: str, tmp_path: Path) -> None:
    """As far as float32 goes: relative to the largest output of the rows."""
    library = compiled_together(fifty, compiler, tmp_path)
    differences = {}
    for i, net in enumerate(fifty):
        X = rows(net)
        Y = predicted(library, net, f"net_{i}", X)
        differences[i] = difference(Y, net.predict_proba(X))
    assert {i: d for i, d in differences.items() if not d <= 1e-6} == {}


@needs_gcc
def test_in_float64_they_agree_row_by_row(fifty: list[Network], tmp_path: Path) -> None:
    nets = [everything("float64"), *(net.copy("float64") for net in fifty)]
    library = compiled_together(nets, "gcc", tmp_path)
    for i, net in enumerate(nets):
        X = rows(net)
        expected = net.predict_proba(X)
        off = np.abs(predicted(library, net, f"net_{i}", X) - expected).max(axis=1)
        assert (off <= 1e-13 * np.abs(expected).max(axis=1)).all(), net.layers


@compilers
def test_int8_is_off_by_what_is_stated(compiler: str, tmp_path: Path) -> None:
    nets = [everything(), everything("float64"), random_network(12, "float32")]
    library = compiled_together(nets, compiler, tmp_path, "int8")
    for i, net in enumerate(nets):
        X = np.random.default_rng(2).standard_normal((300, net.n_features or 0)).astype(np.float32)
        stated = to_c(net, tmp_path / "again.c", dtype="int8", X=X)
        off = np.abs(predicted(library, net, f"net_{i}", X) - net.predict_proba(X))
        assert stated.largest_difference == pytest.approx(off.max(), rel=1e-3)
        assert stated.mean_difference == pytest.approx(off.mean(), rel=1e-3)
        assert 0 < off.max() < 0.05
        head = (tmp_path / "again.c").read_text().partition("*/")[0]
        assert f"at most {stated.largest_difference:.2g}" in head
        assert f"{stated.mean_difference:.2g}" in head


@needs_gcc
def test_extreme_numbers_end_where_the_network_ends(tmp_path: Path) -> None:
    names = [name for name in ACTIVATIONS if name != "exponential"]
    nets = [Network([Dense(3, name)], n_features=3, seed=0) for name in names]
    for net in nets:
        net.weights[0][:] = np.eye(3)
    library = compiled_together(nets, "gcc", tmp_path)
    X = np.array([[-1e4, -90, -20], [-1e-30, 0, 1e-30], [20, 90, 1e4]], np.float32)
    for i, net in enumerate(nets):
        Y = predicted(library, net, f"net_{i}", X)
        np.testing.assert_allclose(Y, net.predict_proba(X), rtol=1e-6, atol=1e-37)


@pytest.mark.parametrize("dtype", [None, "int8"])
@needs_gcc
def test_sanitizers_find_nothing(dtype: str | None, tmp_path: Path) -> None:
    net = everything()
    source = tmp_path / "model.c"
    to_c(net, source, dtype=dtype)
    program = compile_program(
        source, "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"
    )
    X = rows(net)
    result = printed(as_text(X), program)
    assert (result.returncode, result.stderr) == (0, "")
    if dtype is None:
        Y = np.loadtxt(result.stdout.splitlines(), np.float32)
        assert difference(Y, net.predict_proba(X)) <= 1e-6
    for row in ("1 2", "3" * 100, "1" + " 2" * 100):
        refused = printed(f"{row}\n", program)
        assert refused.stderr == "model: line 1 is not a row of 7 finite numbers\n"
        assert refused.returncode == 1


# ---- the file ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_constants_are_the_parameters(dtype: str, tmp_path: Path) -> None:
    net = trained([Dense(90, "relu"), LayerNorm(), PReLU(), Dense(4, "softmax")], 50, dtype)
    net.weights[0][:] *= np.logspace(-30, 30, 50)[:, np.newaxis]
    to_c(net, tmp_path / "net.c")
    text = (tmp_path / "net.c").read_text()
    arrays = dict(re.findall(r"static const \w+ net_(\w+)\[\d+\] = \{(.*?)\};", text, re.S))
    found = {
        name: np.array([float(number.rstrip("f\n ")) for number in numbers.split(",")], dtype)
        for name, numbers in arrays.items()
    }
    expected = {
        **{f"weights_{i}": net.weights[i] for i in (0, 1, 3)},
        **{f"bias_{i}": net.biases[i] for i in (0, 1, 3)},
        "alpha_2": net.weights[2],
    }
    assert found.keys() == expected.keys()
    for name, numbers in expected.items():
        assert found[name].tobytes() == numbers.tobytes(), name


def test_the_same_network_gives_the_same_bytes(tmp_path: Path) -> None:
    to_c(everything(), tmp_path / "a.c", "model")
    to_c(everything(), tmp_path / "b.c", "model")
    assert (tmp_path / "a.c").read_bytes() == (tmp_path / "b.c").read_bytes()


def test_a_linear_dense_takes_in_the_batch_norm_behind_it(tmp_path: Path) -> None:
    to_c(everything(), tmp_path / "model.c")
    text = (tmp_path / "model.c").read_text()
    assert re.findall(r"model_factor_(\d+)\[", text) == ["0", "10"]


def test_the_head_comment_says_what_the_file_is(tmp_path: Path) -> None:
    net = Network.from_sizes([4, 16, 16, 3], output="softmax", seed=0)
    made = to_c(net, tmp_path / "iris.model.c")
    head = (tmp_path / "iris.model.c").read_text().partition("*/")[0]
    words = " ".join(head.replace("*", " ").split())
    assert made.name == "iris"
    assert f"fastnn {__version__}" in words
    assert "403 parameters that makes 3 numbers from 4" in words
    assert f"{made.flash} bytes of flash" in words
    assert f"{made.stack} bytes of stack" in words
    assert "cc -O3 -Diris_MAIN" in words
    assert max(map(len, head.splitlines())) <= 110


# ---- the program ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    source = tmp_path_factory.mktemp("program") / "net.c"
    to_c(Network.from_sizes([3, 2], output="linear", seed=0), source)
    return compile_program(source, "-O1")


def test_rows_may_have_commas_spaces_and_empty_lines_between(program: Path) -> None:
    net = Network.from_sizes([3, 2], output="linear", seed=0)
    result = printed("1,2,3\n\n 4 , 5\t6 \r\n-7e-1 +.8 9", program)
    assert (result.returncode, result.stderr) == (0, "")
    expected = net.predict_proba([[1, 2, 3], [4, 5, 6], [-0.7, 0.8, 9]])
    Y = np.loadtxt(result.stdout.splitlines(), np.float32)
    np.testing.assert_allclose(Y, expected, rtol=1e-6)


@pytest.mark.parametrize(
    "row",
    [
        "1 2", "1 2 3 4", "1,,2,3", ",1 2 3", "1,2,3,", "1 2 three", "1 2 nan", "1 2 1e999",
        "1 2 3x", "1 2 " + "3" * 100, "1;2;3", "1 2 3\0",
    ],
)  # fmt: skip
def test_the_program_names_the_line_that_is_no_row(row: str, program: Path) -> None:
    result = printed(f"1 2 3\n{row}\n1 2 3\n", program)
    assert result.returncode == 1
    assert result.stderr == "net: line 2 is not a row of 3 finite numbers\n"
    assert len(result.stdout.splitlines()) == 1


# ---- on a Cortex-M4 ------------------------------------------------------------------------------


@pytest.mark.skipif(
    bool(cortex_m4.missing()), reason=f"not installed: {', '.join(cortex_m4.missing())}"
)
@pytest.mark.parametrize("dtype", [None, "int8"])
def test_a_cortex_m4_predicts_the_same_in_the_stated_memory(
    dtype: str | None, tmp_path: Path
) -> None:
    for net in (
        Network.from_sizes([4, 16, 16, 3], output="softmax", seed=0),
        everything(),
        Network.from_sizes([30, 1], seed=0),
    ):
        source = tmp_path / "model.c"
        stated = to_c(net, source, dtype=dtype)
        flash, stack = cortex_m4.measured(source)
        assert stated.flash == pytest.approx(flash, rel=0.05)
        assert stated.stack == pytest.approx(stack, rel=0.05)
        X = rows(net, 5)
        expected = net.predict_proba(X) if dtype is None else cortex_m4.printed_here(source, X)
        assert difference(cortex_m4.predicted(source, X), expected) <= 1e-6


# ---- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "2d", "a-b", "a b", "é", "int", "class", "restrict"])
def test_a_name_is_an_identifier(name: str, tmp_path: Path) -> None:
    net = Network.from_sizes([2, 1], seed=0)
    with pytest.raises(ValueError, match=r"name must be a C identifier and no keyword.*, got"):
        to_c(net, tmp_path / "net.c", name)
    with pytest.raises(ValueError, match="pass name="):
        to_c(net, tmp_path / "double.c")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs POSIX pipes")
def test_a_pipe_and_a_folder_stay_what_they_are(tmp_path: Path) -> None:
    net = Network.from_sizes([2, 1], seed=0)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match=r"must name a regular file, .* is a pipe or a device"):
        to_c(net, tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()
    with pytest.raises(IsADirectoryError) as caught:
        to_c(net, tmp_path, name="net")
    assert caught.value.filename == str(tmp_path)
    assert os.listdir(tmp_path) == ["pipe"]


def test_arguments_are_checked(tmp_path: Path) -> None:
    net = Network.from_sizes([2, 1], seed=0)
    path = tmp_path / "net.c"
    with pytest.raises(TypeError, match="net must be a Network or a TabularModel, got"):
        to_c([1], path)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="name must be a C identifier, got 3"):
        to_c(net, path, 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="dtype must be None or \"int8\", got 'float16'"):
        to_c(net, path, dtype="float16")
    with pytest.raises(ValueError, match='X is for dtype="int8"'):
        to_c(net, path, X=[[1, 2]])
    with pytest.raises(ValueError, match="X has 3 features"):
        to_c(net, path, dtype="int8", X=[[1, 2, 3]])
    with pytest.raises(ValueError, match="X must have at least 1 sample"):
        to_c(net, path, dtype="int8", X=np.empty((0, 2)))
    with pytest.raises(ValueError, match="not built yet"):
        to_c(Network([Dense(1)]), path)
    with pytest.raises(FileNotFoundError):
        to_c(net, tmp_path / "absent" / "net.c")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        to_c(net, tmp_path / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("dtype", [None, "int8"])
def test_numbers_that_are_not_finite_are_refused(dtype: str | None, tmp_path: Path) -> None:
    net = everything()
    path = tmp_path / "net.c"
    to_c(net, path, dtype=dtype)
    before = path.read_bytes()
    net.weights[2][3, 1] = np.nan
    with pytest.raises(ValueError, match=r"weights\[2\]\[3, 1\] is NaN"):
        to_c(net, path, dtype=dtype)
    net.weights[2][3, 1] = 0
    net.biases[8][5] = -np.inf
    with pytest.raises(ValueError, match=r"biases\[8\]\[5\] is -infinity"):
        to_c(net, path, dtype=dtype)
    assert path.read_bytes() == before


def test_a_folded_norm_that_is_too_large_is_refused(tmp_path: Path) -> None:
    net = Network([Dense(2), BatchNorm(), Dense(1)], n_features=2, seed=0)
    net.weights[0][:] = 1e30
    net.weights[1][:] = 1e30
    with pytest.raises(
        ValueError, match=r"weights_0, with the batch norm .* too large for float32"
    ):
        to_c(net, tmp_path / "net.c")


# ---- docs/embedded.md ----------------------------------------------------------------------------


def test_the_snippet_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[1] / "docs" / "embedded.md").read_text()
    snippet, _of_tables = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(snippet, names)
    assert names["small"].flash < names["made"].flash / 2
    assert names["small"].largest_difference < 0.1
    text_of_file = (tmp_path / "digits.c").read_text()
    head = re.sub(r"^ \* ?", "", text_of_file.partition("*/")[0], flags=re.M)
    for block in re.findall(r"(?:^    .*\n)+", text.split("```")[2], re.M):
        assert block in head

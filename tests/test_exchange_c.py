"""`fastnn.exchange.to_c`: the C file compiles, predicts what the network does, and says the truth."""

import ctypes
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


def compile_library(source: Path, compiler: str, *options: str) -> Path:
    library = source.with_suffix(f".{compiler}.so")
    command = [*LANGUAGES[compiler], *WARNINGS, *(options or ["-O1"]), "-shared", "-fPIC"]
    subprocess.run([*command, source, "-o", library, "-lm"], check=True)
    return library


def predicted(source: Path, compiler: str, X: Array, n_outputs: int) -> Array:
    """By the function of a C file named ``model``, row by row."""
    function = ctypes.CDLL(str(compile_library(source, compiler))).model_predict
    function.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
    Y = np.full((len(X), n_outputs), np.nan, X.dtype)
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
    """Up to four hidden layers, with each output activation and each hidden one in turn."""
    random = np.random.default_rng(seed)
    names = list(ACTIVATIONS)
    hidden = [*names[:-1], "prelu"]
    layers: list[Layer] = []
    for i, width in enumerate(random.integers(8, 49, random.integers(0, 5)).tolist()):
        name = hidden[(seed + i) % len(hidden)]
        kind = random.integers(4)
        if kind == 0 and name != "prelu":
            layers += [Dense(width), BatchNorm(), Activation(name)]
        elif kind == 1:
            layers += [Dense(width, name), LayerNorm(), Dropout(0.1)]
        elif kind == 2:
            layers += [Dense(width, name), BatchNorm()]
        else:
            layers.append(Dense(width, name))
    layers.append(Dense(int(random.integers(2, 11)), names[seed % len(names)]))
    return trained(layers, int(random.integers(1, 33)), dtype, seed)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_fifty_networks_agree(compiler: str, dtype: str, tmp_path: Path) -> None:
    """To 1e-6 of the largest output: what rounding of float32 leaves of them; float64 to 1e-14."""
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    differences = {}
    for seed in range(50):
        net = random_network(seed, dtype)
        X = rows(net)
        source = tmp_path / f"{seed}.c"
        to_c(net, source, "model")
        Y = predicted(source, compiler, X, net.n_outputs)
        differences[seed] = difference(Y, net.predict_proba(X))
    bar = 1e-6 if dtype == "float32" else 1e-14
    assert {seed: d for seed, d in differences.items() if not d <= bar} == {}

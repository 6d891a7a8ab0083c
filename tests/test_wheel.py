"""What an installed wheel must do on every platform: these tests need pytest and fastnn alone."""

from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import Network
from fastnn._core import kernels


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_trains_saves_and_loads(dtype: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((500, 20)).astype(dtype)
    y = (X[:, 0] > 0).astype(int)
    nets = [Network.from_sizes([20, 30, 1], dtype=dtype, seed=0) for _ in range(2)]
    for net, threads in zip(nets, (1, 3), strict=True):
        net.fit(X, y, epochs=20, optimizer="adam", learning_rate=0.01, threads=threads)
    assert nets[0].evaluate(X, y)["accuracy"] > 0.9
    assert nets[0].parameters.tobytes() == nets[1].parameters.tobytes()
    nets[0].save(tmp_path / "net.safetensors")
    loaded = Network.load(tmp_path / "net.safetensors")
    assert np.array_equal(loaded.predict_proba(X), nets[0].predict_proba(X))


def test_it_says_what_it_runs_on() -> None:
    entries = fastnn.config.configuration()  # loads the BLAS
    assert kernels.ISA in kernels.supported_isas()
    assert kernels.ISA in entries["instruction set"]
    assert entries["BLAS"] != "None"

"""A wheel, from its build to training on a processor without AVX."""

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from bench.platforms.programs import PROJECT

MOST_BYTES = 6 << 20

TRAIN = """
import hashlib
import shutil
import numpy as np
from fastnn import Network
from fastnn._core import kernels
assert not any(map(shutil.which, ("cc", "gcc", "clang"))), "there is a compiler"
rng = np.random.default_rng(0)
X = rng.standard_normal((500, 20)).astype(np.float32)
y = (X[:, 0] > 0).astype(int)
net = Network.from_sizes([20, 30, 1], seed=0)
net.fit(X, y, epochs=20, optimizer="adam", learning_rate=0.01, progress=False, threads=2)
assert net.evaluate(X, y)["accuracy"] > 0.9
print(kernels.ISA, hashlib.sha256(net.parameters.tobytes()).hexdigest()[:16])
"""


def run(*command: str | Path, **environment: str) -> str:
    """What a command prints."""
    result = subprocess.run(
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=True
    )
    return result.stdout.strip()


def show() -> bool:
    """Whether it is small enough, and trains to the same bits."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, PROJECT)
        (wheel,) = folder.glob("*.whl")
        if shutil.which("auditwheel") is None:
            print("-    auditwheel is not here: the wheel stays as it is")
        else:
            run("auditwheel", "repair", "-w", folder / "repaired", wheel)
            (wheel,) = (folder / "repaired").glob("*.whl")
        size = wheel.stat().st_size
        print(f"{'ok  ' if size <= MOST_BYTES else 'FAIL'} {wheel.name}: {size / 2**20:.2f} MiB")
        venv.create(folder / "venv", with_pip=True)
        python = folder / "venv" / "bin" / "python"
        run(python, "-I", "-m", "pip", "install", "-q", wheel)
        train = (python, "-I", "-c", TRAIN)
        print(f"ok   trains in a new environment: {run(*train, PATH='')}", flush=True)
        emulator = shutil.which("qemu-x86_64")
        if emulator is None:
            print("-    no AVX: left out, qemu-x86_64 is not here")
            return size <= MOST_BYTES
        here = run(*train, PATH="", FASTNN_ISA="baseline")
        there = run(emulator, "-cpu", "Nehalem", *train, PATH="")
        same = here == there
        print(f"{'ok  ' if same else 'FAIL'} without AVX: {there}; here {here}")
        return size <= MOST_BYTES and same

"""How many instructions a training step and a prediction take: a count that repeats, unlike a time.

Needs valgrind, which knows AVX2 but not AVX-512. Each figure is the difference between a process
that does the thing 11,000 times and one that does it 1,000 times, divided by 10,000. NumPy's BLAS
gets one thread: another one that spins would be counted too.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import textwrap

CASES = {
    "a step of 4-16-16-3, batch 8, Adam": """
        X = np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32)
        y = np.arange(8) % 3
        net = Network.from_sizes([4, 16, 16, 3], output="softmax", seed=0)
        net.fit(X, y, epochs=n, batch_size=8, threads=1)
    """,
    "a step of 20-32-10, batch 64, SGD, labels": """
        X = np.random.default_rng(0).standard_normal((64, 20)).astype(np.float32)
        y = np.arange(64) % 10
        net = Network.from_sizes([20, 32, 10], output="softmax", seed=0)
        net.fit(X, y, epochs=n, batch_size=64, optimizer="sgd", threads=1)
    """,
    "the same, one-hot rows": """
        X = np.random.default_rng(0).standard_normal((64, 20)).astype(np.float32)
        y = np.eye(10, dtype=np.float32)[np.arange(64) % 10]
        net = Network.from_sizes([20, 32, 10], output="softmax", seed=0)
        net.fit(X, y, epochs=n, batch_size=64, optimizer="sgd", threads=1)
    """,
    "a call of the predictor of 4-16-16-3, with the loop around it": """
        x = np.ones((1, 4), np.float32)
        predict = Network.from_sizes([4, 16, 16, 3], output="softmax", seed=0).predictor()
        for _ in range(n):
            predict(x)
    """,
}
FEW, MANY = 1_000, 11_000


def instructions(case: str, n: int) -> int:
    """Of a whole process that runs `case`."""
    script = f"import numpy as np\nfrom fastnn import Network\nn = {n}\n{textwrap.dedent(case)}"
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out",
             sys.executable, "-P", "-c", script],
            env={**os.environ, "PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    found = re.search(r"Collected : (\d+)", result.stderr)
    assert found is not None, result.stderr
    return int(found[1])


def main() -> None:
    argparse.ArgumentParser(prog="python -m bench.instructions", description=__doc__).parse_args()
    for name, case in CASES.items():
        each = (instructions(case, MANY) - instructions(case, FEW)) / (MANY - FEW)
        print(f"{name}: {each:.1f} instructions", flush=True)


if __name__ == "__main__":
    main()

"""Whether a checkpoint loads whatever moment its process is killed at: many kills, and looks.

Every process goes on from the checkpoint that the one before has left.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

from fastnn import Network
from fastnn._checkpoint import read

SCRIPT = """
    import os, sys
    import numpy as np
    from fastnn import Checkpoint, Network
    path = sys.argv[1]
    X = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    net = Network.from_sizes([64, 512, 1], seed=0)
    net.fit(X, X[:, 0] > 0, epochs=10**6, callbacks=Checkpoint(path),
            resume_from=path if os.path.exists(path) else None)
"""


def kill_once(path: Path, seconds: float) -> int:
    """Lets a process write checkpoints for a while; the epochs that the file holds afterwards."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    process = subprocess.Popen([sys.executable, "-P", "-c", textwrap.dedent(SCRIPT), str(path)])
    try:
        while process.poll() is None and not (path.exists() and path.stat().st_mtime_ns > before):
            time.sleep(0.001)
        time.sleep(seconds)
    finally:
        process.kill()
        process.wait()
    _, _, progress = read(path, Network)
    if progress is None:
        raise ValueError(f"{path} holds no progress")
    return progress.history.n_epochs


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="how often (default: 200)")
    n_kills = parser.parse_args().kills
    moments = random.Random(0)
    n_beside, n_epochs = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "checkpoint.safetensors")
        for _ in range(n_kills):
            n_epochs = kill_once(path, moments.uniform(0, 0.02))
            beside = [name for name in os.listdir(folder) if name != path.name]
            n_beside += len(beside)  # a write was under way
            for name in beside:
                os.unlink(Path(folder, name))
    print(f"{n_kills} kills, {n_beside} of them in the middle of a write; the file has loaded "
          f"{n_kills} times, at last with {n_epochs} epochs")  # fmt: skip


if __name__ == "__main__":
    main()

"""How much memory does fit need beyond the data? At most 64 MiB for 200,000 x 784 float32.

The peak resident size of a fresh process after fit, minus that before. Exit code 1 above the bar.
"""

import argparse
import resource
import subprocess
import sys

BAR = 64  # MiB


def peak_mib() -> float:
    """Peak resident size of this process; Linux counts KiB, macOS bytes."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def measure() -> None:
    import numpy as np

    from fastnn import Dense, Network

    rng = np.random.default_rng(0)
    X = np.empty((200_000, 784), dtype=np.float32)
    rng.random(out=X, dtype=np.float32)  # without temporaries, unlike most ways to make an array
    y = rng.integers(0, 10, len(X))
    before = peak_mib()
    net = Network([Dense(128, "relu"), Dense(10, "softmax")], n_features=784, seed=0)
    net.fit(X, y, epochs=1)
    print(peak_mib() - before)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description=__doc__)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    if parser.parse_args().child:
        measure()
        return 0
    # A process of its own: the peak of this one would count what came before.
    child = subprocess.run(
        [sys.executable, __file__, "--child"], check=True, capture_output=True, text=True
    )
    extra = float(child.stdout)
    print(f"fit needs {extra:.1f} MiB beyond its 598 MiB of data; the bar is {BAR} MiB")
    return int(extra > BAR)


if __name__ == "__main__":
    sys.exit(main())

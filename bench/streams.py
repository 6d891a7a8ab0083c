"""What does it cost to train on a file that is larger than memory could be?

A file of 2 GiB, mapped into memory, is trained on in blocks. Three questions: how much memory is
resident above the start; how fast is it beside the same array in memory, with the file in the page
cache; and how fast is it beside the disk, without. The first two are asked of 784-128-10, the last
one of 784-10, which computes little. Exit code 1 beyond the bars.

    python -m bench.streams --folder /somewhere/with/2/GiB
    python -m bench.streams --gib 0.5 --rounds 2
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from fastnn import Dense, Network

N_FEATURES = 784
MEMORY_BAR, WARM_BAR, COLD_BAR = 300, 0.85, 0.6  # MiB, and ratios
READ_BYTES = 1 << 22


def write_samples(path: Path, gib: float) -> None:
    """Random numbers as an array in a file, and labels beside it."""
    n_samples = int(gib * 2**30 / (4 * N_FEATURES))
    array = np.lib.format.open_memmap(path, "w+", np.float32, (n_samples, N_FEATURES))
    rng = np.random.default_rng(0)
    for first in range(0, n_samples, 10_000):
        part = array[first : first + 10_000]
        part[:] = rng.random(part.shape, np.float32)
    array.flush()
    with open(path, "rb") as file:
        os.fsync(file.fileno())
    np.save(path.with_suffix(".y.npy"), rng.integers(0, 10, n_samples))


def mapped(path: Path) -> tuple[np.ndarray, np.ndarray]:
    return np.load(path, mmap_mode="r"), np.load(path.with_suffix(".y.npy"))


def network(is_small: bool) -> Network:
    hidden = [] if is_small else [Dense(128, "relu")]
    return Network([*hidden, Dense(10, "softmax")], n_features=N_FEATURES, seed=0)


def resident_mib() -> float:
    """Of this process, pages of files included."""
    status = Path("/proc/self/status").read_text().split("\n")
    sizes = (line.split()[1] for line in status if line.startswith(("RssAnon", "RssFile")))
    return sum(map(int, sizes)) / 1024


def measure_memory(path: Path) -> float:
    """The largest resident size during an epoch, minus that at the start: MiB."""
    X, y = mapped(path)
    net = network(is_small=False)
    sizes = [resident_mib()]
    is_done = threading.Event()

    def sample() -> None:
        while not is_done.wait(0.01):
            sizes.append(resident_mib())

    watch = threading.Thread(target=sample)
    watch.start()
    net.fit(X, y, epochs=1)
    is_done.set()
    watch.join()
    return max(sizes) - sizes[0]


def seconds_of(action: Callable[[], object]) -> float:
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def epoch_of(net: Network, X: np.ndarray, y: np.ndarray) -> Callable[[], object]:
    return lambda: net.fit(X, y, epochs=1)


def measure_warm(path: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds of epochs, in turn: of the array in memory, and of the file."""
    X, y = mapped(path)
    in_memory = np.array(X)
    nets = {"array": network(is_small=False), "file": network(is_small=False)}
    data = {"array": in_memory, "file": X}
    times: dict[str, list[float]] = {"array": [], "file": []}
    for _ in range(rounds + 1):
        for name, net in nets.items():
            times[name].append(seconds_of(epoch_of(net, data[name], y)))
    return {name: taken[1:] for name, taken in times.items()}  # the first one warms up


def drop_from_cache(path: Path) -> None:
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_all(path: Path) -> None:
    buffer = bytearray(READ_BYTES)
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def measure_cold(path: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds to read the file, and of an epoch on it, in turn; each time from the disk."""
    net = network(is_small=True)
    times: dict[str, list[float]] = {"disk": [], "file": []}
    for _ in range(rounds):
        drop_from_cache(path)
        times["disk"].append(seconds_of(lambda: read_all(path)))
        drop_from_cache(path)
        X, y = mapped(path)
        times["file"].append(seconds_of(epoch_of(net, X, y)))
        del X
    return times


def in_child(question: str, path: Path, rounds: int) -> object:
    """The answer of a process of its own."""
    command = [sys.executable, "-m", "bench.streams", "--child", question, "--folder", str(path)]
    child = subprocess.run(
        [*command, "--rounds", str(rounds)], check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(child.stdout)


def ratio(times: dict[str, list[float]], peer: str) -> float:
    """The peer's best time by our median one."""
    return min(times[peer]) / statistics.median(times["file"])


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.streams", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--folder", type=Path, help="for the file (default: a temporary one)")
    parser.add_argument("--gib", type=float, default=2.0, help="size of the file (default: 2)")
    parser.add_argument("--rounds", type=int, default=3, help="of each timing (default: 3)")
    parser.add_argument("--child", choices=["memory", "warm", "cold"], help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.child == "memory":
        print(json.dumps(measure_memory(options.folder)))
        return 0
    if options.child is not None:
        measure = measure_warm if options.child == "warm" else measure_cold
        print(json.dumps(measure(options.folder, options.rounds)))
        return 0
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "X.npy"
        write_samples(path, options.gib)
        size = path.stat().st_size
        memory = in_child("memory", path, options.rounds)
        warm = in_child("warm", path, options.rounds)
        cold = in_child("cold", path, options.rounds)
    assert isinstance(memory, float)
    assert isinstance(warm, dict)
    assert isinstance(cold, dict)
    of_array, of_disk = ratio(warm, "array"), ratio(cold, "disk")
    print(f"{size / 2**30:.2f} GiB, {N_FEATURES} columns of float32")
    print(f"resident above the start: {memory:.0f} MiB; the bar is {MEMORY_BAR}")
    print(
        f"784-128-10, page cache warm: {of_array:.2f}x the speed of the array in memory "
        f"({min(warm['array']):.2f} s an epoch); the bar is {WARM_BAR}"
    )
    print(
        f"784-10, cold: {of_disk:.2f}x the speed of the disk "
        f"({size / 1e6 / min(cold['disk']):.0f} MB/s); the bar is {COLD_BAR}"
    )
    return int(memory > MEMORY_BAR or of_array < WARM_BAR or of_disk < COLD_BAR)


if __name__ == "__main__":
    sys.exit(main())

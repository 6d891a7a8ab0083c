"""Two ranks of one thread against one, what messages cost, and what that means for clusters.

The network is 784-512-512-10, the mini-batch 512 samples of all ranks. Both trainings take turns in
the same processes; while one rank trains alone, the other one sleeps.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from bench.cluster_model import NETWORKS, Rank, last_that_pays, speedup, step_seconds
from fastnn import Network

SIZES, BATCH_SIZE, STEPS = [784, 512, 512, 10], 512, 100
RANKS, BATCH_SIZES = (8, 32, 128, 512), (512, 4096, 32768)
MESSAGES = (8, 1024, 65536, 524288, 4194304)
BUCKET_BYTES = 512 << 10


def rows(n: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, SIZES[0]), dtype=np.float32), rng.integers(0, SIZES[-1], n)


def seconds_a_step(comm: Any, batch_size: int) -> float:
    """Of all ranks of `comm`; each of them has its share of the rows of STEPS mini-batches."""
    from fastnn import mpi

    X, y = rows(STEPS * batch_size // comm.size)
    net = Network.from_sizes(SIZES, output="softmax", seed=0)
    options: dict[str, Any] = {"epochs": 1, "batch_size": batch_size, "threads": 1}
    mpi.fit(net, X, y, comm, **options)
    begin = time.perf_counter()
    mpi.fit(net, X, y, comm, **options)
    return (time.perf_counter() - begin) / STEPS


def alone(comm: Any, measure: Callable[[], float]) -> float:
    """What rank 0 measures, while the others sleep."""
    from mpi4py import MPI

    seconds = np.array([measure() if comm.rank == 0 else 0.0])
    waiting = comm.Ibcast(seconds)
    while not MPI.Request.Test(waiting):
        time.sleep(0.001)
    return float(seconds[0])


def message_seconds(comm: Any, n_bytes: int) -> tuple[float, float]:
    """Half of a message there and back, and an all-reduce: medians."""
    from mpi4py import MPI

    data = np.ones(n_bytes // 4, np.float32)
    ways, sums = [], []
    for _ in range(60):
        comm.Barrier()
        begin = time.perf_counter()
        if comm.rank == 0:
            comm.Send(data, 1)
            comm.Recv(data, 1)
        else:
            comm.Recv(data, 0)
            comm.Send(data, 0)
        ways.append((time.perf_counter() - begin) / 2)
        begin = time.perf_counter()
        comm.Allreduce(MPI.IN_PLACE, data)
        sums.append(time.perf_counter() - begin)
        data.fill(1)
    return statistics.median(ways), statistics.median(sums)


def add_seconds(n: int = 1 << 17) -> float:
    """Of adding up a byte, in an array that a bucket fills."""
    a, b = np.ones(n, np.float32), np.ones(n, np.float32)
    times = []
    for _ in range(50):
        begin = time.perf_counter()
        np.add(a, b, out=a)
        times.append(time.perf_counter() - begin)
    return min(times) / a.nbytes


def measure(rounds: int) -> dict[str, Any]:
    """In each of two ranks."""
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    single, whole, half, silent, both = MPI.COMM_SELF, [], [], [], []
    for _ in range(rounds):
        whole.append(alone(comm, lambda: seconds_a_step(single, BATCH_SIZE)))
        both.append(seconds_a_step(comm, BATCH_SIZE))
        half.append(alone(comm, lambda: seconds_a_step(single, BATCH_SIZE // 2)))
        comm.Barrier()
        silent.append(comm.allreduce(seconds_a_step(single, BATCH_SIZE // 2), MPI.MAX))
    return {
        "one": whole,
        "two": both,
        "half": half,
        "silent": silent,
        "messages": [message_seconds(comm, n) for n in MESSAGES],
        "add": alone(comm, add_seconds),
    }


def buckets() -> list[float]:
    """Bytes of the buckets of the network, as `fastnn._core.buckets` cuts them."""
    result: list[float] = []
    small = 0
    for n_in, n_out in reversed(list(pairwise(SIZES))):
        n_bytes = 4 * (n_in + 1) * n_out
        if n_bytes < BUCKET_BYTES:
            small += n_bytes
            continue
        result += [small] if small else []
        n = n_bytes // BUCKET_BYTES
        result += [n_bytes / n] * n
        small = 0
    return result + ([small] if small else [])


def report(figures: dict[str, Any]) -> None:
    one, two, half, silent = (figures[key] for key in ("one", "two", "half", "silent"))
    median = statistics.median(two)
    print(f"one rank: {min(one) * 1e3:.2f} ms a step at best; two: {median * 1e3:.2f} ms, the "
          f"median, {min(two) * 1e3:.2f} at best; ratio {min(one) / median:.2f}")  # fmt: skip
    median = statistics.median(silent)
    print(f"two at once that exchange nothing, half of the samples each: {median * 1e3:.2f} ms; "
          f"ratio {min(one) / median:.2f}")  # fmt: skip
    for n_bytes, (way, total) in zip(MESSAGES, figures["messages"], strict=True):
        print(f"{n_bytes:>8} bytes: one way {way * 1e6:7.1f} us, {n_bytes / way / 1e9:6.2f} GB/s; "
              f"all-reduce {total * 1e6:7.1f} us")  # fmt: skip
    per_sample = 2 * (min(one) - min(half)) / BATCH_SIZE
    rank = Rank(max(min(one) - BATCH_SIZE * per_sample, 0), per_sample, figures["add"])
    print(f"a rank: {rank.fixed * 1e3:.2f} ms a step and {rank.per_sample * 1e6:.1f} us a sample; "
          f"adding up {1e-9 / rank.add:.1f} GB/s")  # fmt: skip
    for network in NETWORKS:
        print(f"\n{network.name}, {network.latency * 1e6:g} us: times one rank; in brackets, where "
              "sums do not go on while ranks compute")  # fmt: skip
        print(
            f"{'mini-batch':>10}" + "".join(f"{f'{p} ranks':>16}" for p in RANKS) + "  pays up to"
        )
        for batch_size in BATCH_SIZES:
            cells = []
            for p in RANKS:
                if batch_size < p:
                    cells.append(f"{'-':>16}")
                    continue
                apart = step_seconds(rank, network, p, batch_size, buckets(), overlaps=False)
                times = speedup(rank, network, p, batch_size, buckets())
                cells.append(f"{times:>8.1f} ({rank.step(batch_size) / apart:5.1f})")
            last = last_that_pays(rank, network, batch_size, buckets())
            print(f"{batch_size:>10}" + "".join(cells) + f"  {last:>10}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.mpi", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="of both trainings (default: 7)")
    parser.add_argument("--in-mpi", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.in_mpi:
        figures = measure(arguments.rounds)
        from mpi4py import MPI

        if MPI.COMM_WORLD.rank == 0:
            print(json.dumps(figures))
        return
    command = [Path(sys.executable).with_name("mpiexec"), "-n", "2", sys.executable]
    command += ["-m", "bench.mpi", "--in-mpi", "--rounds", str(arguments.rounds)]
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    report(json.loads(result.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()

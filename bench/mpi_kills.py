"""Whether all ranks end, whatever moment one of them is killed or interrupted at: many rounds.

After a kill the job must end within ten seconds with an error, and the last checkpoint must load;
after Ctrl-C on one rank all must raise KeyboardInterrupt.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

from fastnn import Network

N_RANKS, SECONDS = 3, 10
SCRIPT = """
    import os, sys
    import numpy as np
    from mpi4py import MPI
    from fastnn import BatchNorm, Checkpoint, Dense, Network, mpi
    folder, batch_size = sys.argv[1], int(sys.argv[2]) or None
    comm = MPI.COMM_WORLD
    X = np.random.default_rng(comm.rank).standard_normal((300, 64)).astype(np.float32)
    net = Network([Dense(256, "relu"), BatchNorm(), Dense(1, "sigmoid")], seed=0)
    def tell(net, epoch, metrics):
        if epoch == 2:
            open(os.path.join(folder, "begun"), "w").close()
    with open(os.path.join(folder, f"pid{comm.rank}"), "w") as file:
        file.write(str(os.getpid()))
    try:
        mpi.fit(net, X, X[:, 0] > 0, epochs=10**6, batch_size=batch_size,
                callbacks=[tell, Checkpoint(os.path.join(folder, "checkpoint"))])
    except KeyboardInterrupt:
        open(os.path.join(folder, f"interrupted{comm.rank}"), "w").close()
"""


def end_once(moments: random.Random, number: signal.Signals) -> float:
    """Seconds until all ranks have ended.

    Raises
    ------
    ValueError
        If they do not, or not as they are to.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        batch_size = moments.choice(["0", "32"])
        command = [str(Path(sys.executable).with_name("mpiexec")), "-n", str(N_RANKS)]
        command += [sys.executable, "-P", "-c", textwrap.dedent(SCRIPT), name, batch_size]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while not (folder / "begun").exists():
                if process.poll() is not None:
                    raise ValueError(f"the ranks ended with status {process.returncode} too early")
                time.sleep(0.01)
            time.sleep(moments.uniform(0, 0.5))
            who = moments.randrange(N_RANKS)
            os.kill(int((folder / f"pid{who}").read_text()), number)
            begin = time.monotonic()
            try:
                status = process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                raise ValueError(f"{number.name} on rank {who} has not ended all") from None
            seconds = time.monotonic() - begin
        finally:
            process.kill()
            process.wait()
        Network.load(folder / "checkpoint")
        n_interrupted = len(list(folder.glob("interrupted*")))
        if number == signal.SIGKILL and status == 0:
            raise ValueError(f"a kill of rank {who} ended with status 0")
        if number == signal.SIGINT and (status != 0 or n_interrupted < N_RANKS):
            raise ValueError(f"Ctrl-C on rank {who}: status {status}, {n_interrupted} interrupted")
        return seconds


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.mpi_kills", description=__doc__)
    parser.add_argument("--rounds", type=int, default=50, help="of each (default: 50)")
    n_rounds = parser.parse_args().rounds
    moments = random.Random(0)
    for number in (signal.SIGKILL, signal.SIGINT):
        seconds = [end_once(moments, number) for _ in range(n_rounds)]
        print(f"{number.name}: {n_rounds} rounds, all ranks ended within {max(seconds):.1f} s, and "
              "every checkpoint has loaded")  # fmt: skip


if __name__ == "__main__":
    main()

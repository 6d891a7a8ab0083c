"""How long does a prediction wait while another thread trains the same network?

One thread trains; another predicts one row again and again, at random moments. A wait is the
duration of a call minus the median duration of the same call while nobody trains. 99 of 100 calls
may wait 2 ms, or one step where that is longer; the hundredth may be the operating system's fault.
It is shown, too, how much longer the training takes meanwhile. Exit code 1 above the bar.

    python -m bench.waiting
    python -m bench.waiting --nets 784-128-10 --seconds 20
"""

import argparse
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bench.peers.nets import TRAININGS, Training
from fastnn import Network
from fastnn.contestants import Task
from fastnn.plots import format_duration
from fastnn.timing import columns

BAR = 2e-3  # s
NETS = {
    net.name: net
    for net in TRAININGS
    if net.name in ("20-64-64-2", "784-128-10", "1024-2048-2048-1000")
}
PAUSE = 10e-3  # s between two predictions, on average
N_CALLS_ALONE = 100


def train(net: Network, task: Task, n_epochs: int) -> float:
    """Seconds that `n_epochs` take."""
    begin = time.perf_counter()
    net.fit(
        task.X,
        task.y,
        epochs=n_epochs,
        batch_size=task.batch_size,
        optimizer=task.optimizer,
        learning_rate=task.learning_rate,
        shuffle=False,
    )
    return time.perf_counter() - begin


def durations(predict: Callable[[Any], Any], row: Any, go_on: Callable[[], bool]) -> list[float]:
    """Seconds of each call; calls come at random moments until `go_on` is false."""
    random = np.random.default_rng(0)
    taken = []
    while go_on():
        time.sleep(random.uniform(0, 2 * PAUSE))
        begin = time.perf_counter()
        predict(row)
        taken.append(time.perf_counter() - begin)
    return taken


def measure(
    net: Network, predict: Callable[[Any], Any], task: Task, n_epochs: int
) -> tuple[np.ndarray, float]:
    """The waits of predictions during a training, and how long that training took, in seconds."""
    row = task.X[:1]
    calls = iter(range(N_CALLS_ALONE))
    alone = float(np.median(durations(predict, row, lambda: next(calls, None) is not None)))
    trained: list[float] = []
    trainer = threading.Thread(target=lambda: trained.append(train(net, task, n_epochs)))
    trainer.start()
    during = durations(predict, row, trainer.is_alive)
    trainer.join()
    return np.maximum(np.array(during) - alone, 0.0), trained[0]


def rows_of(training: Training, seconds: float) -> tuple[list[tuple[str, ...]], bool]:
    """The table of a network, and whether it is within the bar."""
    task = training.task()
    net = task.network()
    pilot = min(train(net, task, 1) for _ in range(2))
    n_epochs = max(1, round(seconds / pilot))
    alone = train(net, task, n_epochs)
    step = alone / (n_epochs * task.n_batches)
    allowed = max(BAR, step)
    print(
        f"{training.title}: a step takes {format_duration(step)}; "
        f"the bar is {format_duration(allowed)}",
        flush=True,
    )
    rows: list[tuple[str, ...]] = [("", "calls", "median", "99th perc.", "worst", "training")]
    within = True
    for name, predict in (("predict", net.predict), ("predictor", net.predictor())):
        waits, trained = measure(net, predict, task, n_epochs)
        # The smallest wait that 99 of 100 calls do not exceed.
        late = float(np.percentile(waits, 99, method="inverted_cdf"))
        rows.append(
            (
                name,
                str(len(waits)),
                *map(format_duration, (float(np.median(waits)), late, float(np.max(waits)))),
                f"{trained / alone - 1:+.0%}",
            )
        )
        within = within and late <= allowed
    return rows, within


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.waiting", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--nets", nargs="+", choices=NETS, default=list(NETS), metavar="NET")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each training (default: 5)")
    options = parser.parse_args(argv)
    if not options.seconds > 0:
        parser.error("--seconds must be positive")

    print("waits of one-row predictions; training: how much longer the same epochs take meanwhile")
    missed = []
    for name in options.nets:
        rows, within = rows_of(NETS[name], options.seconds)
        print("\n".join(columns(rows)), flush=True)
        if not within:
            missed.append(name)
    print(f"above the bar: {', '.join(missed) or 'none'}")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())

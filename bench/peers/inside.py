"""What runs in a contestant's process: it prepares a net, and runs it as often as it is told."""

from __future__ import annotations

import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from time import perf_counter
from timeit import Timer

import numpy as np

from bench.peers.field import load
from bench.peers.inference import PREDICTORS
from bench.peers.nets import NETS, Inference, Training
from bench.peers.process import Prepared
from bench.peers.training import TRAINERS
from fastnn.timing import Run, seconds_of_epochs

# Rows whose probabilities are compared.
_CHECKED_ROWS = 100


def main(contestant: str, threads: int, pipe: Connection) -> None:
    """Answer messages until the pipe closes."""
    pipe.send(load(contestant))
    with suppress(EOFError):
        while True:
            command, *arguments = pipe.recv()
            if command == "prepare":
                name, quick = arguments
                net = NETS[name]
                if isinstance(net, Training):
                    prepared, run = prepare_training(contestant, threads, net, quick)
                else:
                    prepared, run = prepare_inference(contestant, threads, net)
                pipe.send(prepared)
            else:
                pipe.send(run(*arguments))


def prepare_training(
    contestant: str, threads: int, net: Training, quick: bool
) -> tuple[Prepared, Run]:
    """A run is one epoch."""
    task = net.task(quick)
    begin = perf_counter()
    trainer = restart, train = TRAINERS[contestant](task, threads)
    restart()
    train(1)
    first_seconds = perf_counter() - begin
    restart()
    check = [train(net.check_epochs(quick))]
    return Prepared(first_seconds, check), seconds_of_epochs(trainer)


def prepare_inference(contestant: str, threads: int, net: Inference) -> tuple[Prepared, Run]:
    """A run is one call."""
    task = net.task()
    begin = perf_counter()
    predictor = PREDICTORS[contestant](task, threads)
    with predictor.context:
        probabilities = np.asarray(predictor.call(predictor.argument))
    first_seconds = perf_counter() - begin
    check = probabilities.reshape(net.n_rows, -1)[:_CHECKED_ROWS].ravel().tolist()
    names = {"call": predictor.call, "argument": predictor.argument}
    timer = Timer("call(argument)", globals=names)

    def run(n_calls: int) -> float:
        with predictor.context:
            return timer.timeit(n_calls)

    return Prepared(first_seconds, check), run


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Connection(int(sys.argv[3])))

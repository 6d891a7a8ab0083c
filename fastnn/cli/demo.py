"""``fastnn demo``: train a network on handwritten digits and look at what it learnt."""

from __future__ import annotations

import argparse
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import fastnn
from fastnn import _validation
from fastnn.cli.parsing import DPI, Commands


def add(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "demo",
        help="train a network on handwritten digits and look at what it learnt",
        description="Trains a network on four fifths of 1,797 handwritten digits, tests it on the "
        "rest,\nsaves it, and draws its learning curves and its mistakes.",
        epilog="examples:\n  fastnn demo\n  fastnn demo --epochs 5 --seed 7 --output /tmp/digits",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("fastnn-demo"),
        metavar="DIR",
        help="where to write the model and the pictures (default: ./fastnn-demo)",
    )
    parser.add_argument("--epochs", type=int, default=60, help="passes over the data (default: 60)")
    parser.add_argument(
        "--seed", type=int, default=0, help="of the initial weights and the shuffling (default: 0)"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    from fastnn import Dense, Network

    epochs = _validation.positive_int(arguments.epochs, "--epochs", at_most=_validation.MAX_SIZE)
    net = Network([Dense(128, "relu"), Dense(10, "softmax")], n_features=64, seed=arguments.seed)
    with _folder(arguments.output) as output:
        _learn_digits(net, epochs, output)


@contextmanager
def _folder(path: Path) -> Iterator[Path]:
    """The folder `path`, made where there is none; without use for it, it is removed again."""
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    is_new = not path.exists()
    path.mkdir(parents=True, exist_ok=True)
    try:
        yield path
    finally:
        if is_new:
            with suppress(OSError):  # it holds something
                path.rmdir()


def _learn_digits(net: fastnn.Network, epochs: int, output: Path) -> None:
    from fastnn import plots
    from fastnn.datasets import load_digits, train_test_split

    X, y = load_digits()
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, seed=0)
    print(net.summary(), end="\n\n", flush=True)
    history = net.fit(
        X_train,
        y_train,
        epochs=epochs,
        batch_size=64,
        optimizer="adam",
        learning_rate=2e-3,
        validation_data=(X_test, y_test),
        progress=True,
    )
    print(history.table(8), end="\n\n")

    probabilities = net.predict_proba(X_test)
    predicted = net.predict(X_test)
    wrong = np.flatnonzero(predicted != y_test)
    print(f"test accuracy: {net.evaluate(X_test, y_test)['accuracy']:.2%}", end=" ")
    print(f"({len(wrong)} of {len(y_test)} digits wrong)", end="\n\n")
    print(_confusion_table(y_test, predicted), end="\n\n")

    model = output / "digits.safetensors"
    net.save(model)
    if not np.array_equal(fastnn.Network.load(model).predict_proba(X_test), probabilities):
        raise RuntimeError(f"the network loaded from {model} predicts differently")
    print(f"{model}: the trained network; loaded again, it predicts exactly the same")

    try:
        curves, mistakes = output / "learning_curves.png", output / "misclassified.png"
        plots.learning_curves(history)[0].figure.savefig(curves, dpi=DPI)
        print(f"{curves}: loss and accuracy by epoch")
        plots.misclassified(net, X_test, y_test)[0].figure.savefig(mistakes, dpi=DPI)
        print(f"{mistakes}: the digits it got wrong, and what it took them for")
    except ImportError as error:
        print(f"no pictures: {error}")


def _confusion_table(y: npt.NDArray[Any], predicted: npt.NDArray[Any], n_classes: int = 10) -> str:
    """How many samples of each true class (rows) got each predicted class (columns)."""
    counts = np.zeros((n_classes, n_classes), dtype=np.int64)
    np.add.at(counts, (y, predicted), 1)
    lines = ["true   predicted", "     " + "".join(f"{k:>5}" for k in range(n_classes))]
    for label, row in enumerate(counts):
        lines.append(f"{label:>4} " + "".join(f"{count or '.':>5}" for count in row))
    return "\n".join(lines)

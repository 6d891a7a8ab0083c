"""The command ``fastnn``: a demonstration, a race against other libraries, and a self-portrait.

Every error is one line on the standard error stream, and the exit code is 2.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

import fastnn
from fastnn import _validation

__all__ = ["main"]

_DPI = 150  # of the pictures


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the program's name; those of the process by default.

    Returns
    -------
    exit_code : int
        0; 2 after an error; 130 after Ctrl-C and 141 when the reader of the output went away, as
        shells number the two signals.
    """
    try:
        try:
            arguments = _parser().parse_args(argv)
            arguments.run(arguments)
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        print("fastnn: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # What is still buffered would raise again when the interpreter flushes it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except (ArithmeticError, ImportError, MemoryError, RuntimeError, ValueError) as error:
        return _fail(str(error) or type(error).__name__)
    return 0


def _fail(message: str) -> int:
    print("fastnn:", " ".join(message.split()), file=sys.stderr)
    return 2


class _Parser(argparse.ArgumentParser):
    """Reports a bad argument like any other error, without repeating the usage."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Nothing is left unknown: a command reports its own arguments, with its own help."""
        arguments, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return arguments, unknown

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message} (see {self.prog} --help)")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="fastnn",
        description="Fully connected neural networks on a CPU.",
        epilog="examples:\n  fastnn demo\n  fastnn bench --quick\n  fastnn info",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"fastnn {fastnn.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    demo = commands.add_parser(
        "demo",
        help="train a network on handwritten digits and look at what it learnt",
        description="Trains a network on four fifths of 1,797 handwritten digits, tests it on the "
        "rest,\nsaves it, and draws its learning curves and its mistakes.",
        epilog="examples:\n  fastnn demo\n  fastnn demo --epochs 5 --seed 7 --output /tmp/digits",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    demo.add_argument(
        "--output",
        type=Path,
        default=Path("fastnn-demo"),
        metavar="DIR",
        help="where to write the model and the pictures (default: ./fastnn-demo)",
    )
    demo.add_argument("--epochs", type=int, default=60, help="passes over the data (default: 60)")
    demo.add_argument(
        "--seed", type=int, default=0, help="of the initial weights and the shuffling (default: 0)"
    )
    demo.set_defaults(run=_demo)

    bench = commands.add_parser(
        "bench",
        help="race pure Python, NumPy and the frameworks installed here",
        description="Trains the same networks, from the same weights on the same mini-batches, by "
        "pure-Python\nloops, NumPy, fastnn, and scikit-learn, PyTorch and JAX where they are "
        "installed.\nChecks that all losses agree, then times them in turn.",
        epilog="examples:\n  fastnn bench\n  fastnn bench --quick --nets digits flower\n"
        "  fastnn bench --seconds 300 --plot race.png --json race.json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    bench.add_argument(
        "--nets",
        nargs="+",
        metavar="NET",
        help="which of logistic, flower, digits and mnist (default: all)",
    )
    bench.add_argument(
        "--seconds",
        type=float,
        help="about how long to time in all; checks and warming up come on top (default: 60)",
    )
    bench.add_argument(
        "--quick", action="store_true", help="3 rounds instead of 5, in 8 seconds by default"
    )
    bench.add_argument(
        "--plot", type=Path, metavar="FILE", help="write a bar chart (PNG, SVG, PDF)"
    )
    bench.add_argument("--json", type=Path, metavar="FILE", help="write every figure as JSON")
    bench.set_defaults(run=_bench)

    info = commands.add_parser(
        "info",
        help="versions, instruction set, BLAS and threads",
        description="Prints what fastnn runs on: the text of fastnn.show_config().",
        epilog="example:\n  fastnn info",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    info.set_defaults(run=_info)
    return parser


def _info(arguments: argparse.Namespace) -> None:
    fastnn.show_config()


# --- demo


def _demo(arguments: argparse.Namespace) -> None:
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
        plots.learning_curves(history)[0].figure.savefig(curves, dpi=_DPI)
        print(f"{curves}: loss and accuracy by epoch")
        plots.misclassified(net, X_test, y_test)[0].figure.savefig(mistakes, dpi=_DPI)
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


# --- bench


def _bench(arguments: argparse.Namespace) -> None:
    from fastnn import race
    from fastnn.contestants import contestants
    from fastnn.plots import bar_chart
    from fastnn.plots.figures import new_figure

    names = list(dict.fromkeys(arguments.nets or race.NETS))
    unknown = [name for name in names if name not in race.NETS]
    if unknown:
        raise ValueError(f"--nets must be among {', '.join(race.NETS)}, got {', '.join(unknown)}")
    seconds = arguments.seconds if arguments.seconds is not None else 8 if arguments.quick else 60
    seconds = _validation.positive_number(seconds, "--seconds")
    # A file that cannot be written is better known before the race
    if arguments.plot is not None:
        new_figure(1, 1).savefig(arguments.plot)
    if arguments.json is not None:
        arguments.json.open("a").close()

    fastnn.show_config()
    peak = fastnn.config.fma_peak()
    races = []
    for name in names:
        races.append(
            race.run(
                name,
                contestants(),
                seconds=seconds / len(names),
                peak=peak,
                n_rounds=3 if arguments.quick else 5,
            )
        )
        print("\n" + race.table(races[-1]), flush=True)
    caption = race.caption(peak)
    print("\n" + "\n".join(caption))

    if arguments.plot is not None:
        groups = {r.description: {x.contestant: x.seconds for x in r.results} for r in races}
        figure: Any = bar_chart(groups, title="Duration of an epoch", caption=caption).figure
        figure.savefig(arguments.plot, dpi=_DPI)
    if arguments.json is not None:
        report = {
            "configuration": fastnn.config.configuration(),
            "fma_peak_gflops": peak,
            "numpy_blas_threads": race.numpy_blas_threads(),
            "races": [asdict(r) for r in races],
        }
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")

"""The command ``fastnn``: models for tables, a demonstration, a race, and a self-portrait.

Every error is one line on the standard error stream, and the exit code is 2.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import fastnn
from fastnn.cli import bench, demo, evaluate, export, info, inspect, interrupts, predict, train
from fastnn.cli.parsing import Parser

__all__ = ["main"]


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
    _prepare_streams()
    try:
        try:
            arguments = _parser().parse_args(argv)
            with interrupts.noted(), _warnings_in_lines():
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


def _prepare_streams() -> None:
    """What the shell closed (``>&-``) reads and writes nothing; others take any letter."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):  # a letter that the terminal lacks is no error
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _fail(message: str) -> int:
    print("fastnn:", " ".join(message.split()), file=sys.stderr)
    return 2


@contextmanager
def _warnings_in_lines() -> Iterator[None]:
    """Shows what the library warns the user of as a line each, every time."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        print("fastnn: warning:", " ".join(str(message).split()), file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        yield


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="fastnn",
        description="Fully connected neural networks on a CPU.",
        epilog="examples:\n  fastnn demo\n  fastnn train table.csv --target price\n"
        "  fastnn predict model.fastnn new.csv\n  fastnn info",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"fastnn {fastnn.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (train, predict, evaluate, inspect, export, demo, bench, info):
        command.add(commands)
    return parser

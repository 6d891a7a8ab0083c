"""``fastnn info``: what fastnn runs on."""

from __future__ import annotations

import argparse

import fastnn
from fastnn.cli.parsing import Commands


def add(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "info",
        help="versions, instruction set, BLAS and threads",
        description="Prints what fastnn runs on: the text of fastnn.show_config().",
        epilog="example:\n  fastnn info",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    fastnn.show_config()

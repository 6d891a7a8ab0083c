"""``fastnn export``: a model in another format."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from fastnn.cli.inspect import load_any
from fastnn.cli.parsing import Commands
from fastnn.cli.reading import refuse_same

_FUNCTIONS = {"c": "to_c", "onnx": "to_onnx"}


def add(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "export",
        help="write a model as C source or ONNX",
        description="Writes a model as one C99 file that needs nothing but libm, or as ONNX; a "
        "model for\ntables with all that it does to the columns.",
        epilog="example:\n  fastnn demo\n"
        "  fastnn export fastnn-demo/digits.safetensors --to c digits.c",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", type=Path, help="a model file")
    parser.add_argument("--to", required=True, choices=list(_FUNCTIONS), help="the format")
    parser.add_argument("output", metavar="FILE", type=Path, help="where to write it")
    parser.add_argument("--name", metavar="NAME", help="of the C functions (default: FILE's name)")
    parser.add_argument(
        "--int8", action="store_true", help="C with weights of 8 bits; prints what that costs"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    name = _FUNCTIONS[arguments.to]
    options: dict[str, str] = {"name": arguments.name} if arguments.name is not None else {}
    if arguments.int8:
        options["dtype"] = "int8"
    if options and arguments.to != "c":
        raise ValueError(f"--name and --int8 are for --to c, got --to {arguments.to}")
    refuse_same("FILE", arguments.output, "MODEL", arguments.model)
    model = load_any(arguments.model)
    try:
        write = getattr(importlib.import_module("fastnn.exchange"), name)
    except (ModuleNotFoundError, AttributeError) as error:
        raise ImportError(f"this fastnn has no fastnn.exchange.{name}: update it") from error
    try:
        written = write(model, arguments.output, **options)
    except (AttributeError, TypeError) as error:
        raise ValueError(f"cannot export {arguments.model} to {arguments.to}: {error}") from error
    print(arguments.output)
    if arguments.int8:
        print(
            f"on rows made up, int8 changes the outputs by {written.mean_difference:.2g} on "
            f"average, by at most {written.largest_difference:.2g}"
        )

"""``fastnn export``: a model in another format."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from fastnn.cli.inspect import load_any
from fastnn.cli.parsing import Commands

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
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    name = _FUNCTIONS[arguments.to]
    model = load_any(arguments.model)
    try:
        write = getattr(importlib.import_module("fastnn.exchange"), name)
    except (ModuleNotFoundError, AttributeError) as error:
        raise ImportError(f"this fastnn has no fastnn.exchange.{name}: update it") from error
    try:
        write(model, arguments.output)
    except (AttributeError, TypeError) as error:
        raise ValueError(f"cannot export {arguments.model} to {arguments.to}: {error}") from error
    print(arguments.output)

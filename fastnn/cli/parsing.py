"""What the parsers of all commands share."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, NoReturn

DPI = 150  # of pictures that are written

if TYPE_CHECKING:
    #: What `ArgumentParser.add_subparsers` gives; each command adds its parser to it.
    Commands = argparse._SubParsersAction["Parser"]
else:
    Commands = Any


class Parser(argparse.ArgumentParser):
    """Reports a bad argument like any other error, without repeating the usage."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Nothing is left unknown: a command reports its own arguments, with its own help."""
        arguments, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return arguments, unknown

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message} (see {self.prog} --help)")

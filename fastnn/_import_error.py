"""What is said when fastnn cannot be imported."""

import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from typing import NoReturn


def report(error: ImportError) -> NoReturn:
    """Raises an ImportError with the reason; ends the command ``fastnn`` with one line and 2."""
    package = os.path.dirname(os.path.abspath(__file__))
    if not _is_compiled(os.path.join(package, "_core")):
        error = ImportError(
            f"{package} is the source of fastnn, not compiled for this Python. Compile it in "
            f"place: 'pip install -e .' in {os.path.dirname(package)}. If fastnn is installed "
            "elsewhere, this folder hides it: start Python in another folder, or as 'python -P'."
        )
        error.__suppress_context__ = True
    if _is_the_program():
        print(f"fastnn: {error}", file=sys.stderr)
        raise SystemExit(2)
    raise error


def _is_compiled(folder: str) -> bool:
    names = set(os.listdir(folder))
    modules = [name.removesuffix(".pyx") for name in names if name.endswith(".pyx")]
    return all(names & {module + suffix for suffix in EXTENSION_SUFFIXES} for module in modules)


def _is_the_program() -> bool:
    """Whether Python was started as ``fastnn ...`` or ``python -m fastnn ...``."""
    program = sys.argv[0] if sys.argv else ""
    if program == "-m":  # Python is looking for the module to run
        return "fastnn" in sys.orig_argv
    return os.path.basename(program) == "fastnn"

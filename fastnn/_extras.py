"""Libraries of the extras, imported where they are used, and those that users have imported."""

import sys
from importlib import import_module
from typing import Any


def import_extra(module: str, library: str, extra: str) -> Any:
    """A module of a library that an extra brings.

    Parameters
    ----------
    module : str
    library : str
        Its name, as its users write it.
    extra : str
        Which brings it.

    Returns
    -------
    module

    Raises
    ------
    ImportError
        If it cannot be imported. One line says which extra to install.
    """
    try:
        return import_module(module)
    except ImportError as error:
        is_absent = error.name is not None and error.name.split(".")[0] == module.split(".")[0]
        reason = " ".join(str(error).split())  # that of a broken installation may be a page
        what = "is not installed" if is_absent else f"cannot be imported ({reason})"
        raise ImportError(
            f"{library} {what}; the extra {extra!r} brings it: pip install '.[{extra}]' in a copy "
            "of fastnn's sources"
        ) from error


def of_loaded(module: str, name: str) -> Any:
    """What a module has under a name, None where it is not imported, or is being so elsewhere.

    Nobody has an object of its classes then. An import in the middle of a call would have a lock
    that a process forked meanwhile waits for without end.
    """
    return getattr(sys.modules.get(module), name, None)

"""Other libraries, imported when they are needed."""

from importlib import import_module
from typing import Any


def library(module: str, name: str, extra: str) -> Any:
    """A module of another library.

    Parameters
    ----------
    module : str
    name : str
        Of the library, as its users write it.
    extra : str
        Which brings it.

    Raises
    ------
    ImportError
        If it cannot be imported. One line says which extra to install.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{name} cannot be imported ({error}); the extra {extra!r} brings it: "
            f"pip install '.[{extra}]' in a copy of fastnn's sources"
        ) from error

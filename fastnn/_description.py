"""Descriptions of networks as JSON knows them: read as strictly as arguments are checked."""

import reprlib
from collections.abc import Sequence
from typing import Any


def entries(value: Any, names: Sequence[str], what: str) -> list[Any]:
    """The values of an object that has exactly these keys, in their order.

    Raises
    ------
    ValueError
        If `value` is not a dict, or a key is missing or unknown.
    """
    if not isinstance(value, dict):
        raise ValueError(f"{what} must be an object, got {reprlib.repr(value)}")
    if value.keys() != set(names):
        raise ValueError(
            f"{what} must have the keys {', '.join(names)}, got {reprlib.repr(list(value))}"
        )
    return [value[name] for name in names]


def integer(value: Any, below: int, what: str) -> int:
    """`value`, if it is an int in [0, below).

    Raises
    ------
    ValueError
    """
    if type(value) is not int or not 0 <= value < below:
        raise ValueError(f"{what} must be an integer in [0, {below}), got {reprlib.repr(value)}")
    return value


def text(value: Any, what: str) -> str:
    """`value`, if it is a str.

    Raises
    ------
    ValueError
    """
    if type(value) is not str:
        raise ValueError(f"{what} must be text, got {reprlib.repr(value)}")
    return value

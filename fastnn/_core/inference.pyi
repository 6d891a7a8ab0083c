from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from fastnn._core.plan import Plan

Array = npt.NDArray[Any]

class NotFiniteError(ValueError):
    first: int
    end: int
    in_input: bool
    def __init__(self, first: int, end: int, in_input: bool) -> None: ...

def infer(
    plan: Plan,
    parameters: Array,
    running: Array,
    X: Array,
    outputs: Sequence[Array],
    n_threads: int,
    targets: Array | None = None,
    z_outputs: Sequence[Array | None] | None = None,
    weights: Array | None = None,
) -> float: ...

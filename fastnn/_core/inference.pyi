from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from fastnn._core.plan import Plan
from fastnn._sparse import SparseRows

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
    X: Array | SparseRows,
    outputs: Sequence[Array],
    n_threads: int,
    targets: Array | None = None,
    z_outputs: Sequence[Array | None] | None = None,
    weights: Array | None = None,
    loss_before: float = 0.0,
) -> float: ...

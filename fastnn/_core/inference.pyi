from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from fastnn._core.plan import Plan

Array = npt.NDArray[Any]

def infer(
    plan: Plan,
    parameters: Array,
    X: Array,
    outputs: Sequence[Array | None],
    n_threads: int,
    targets: Array | None = None,
) -> float: ...

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from fastnn._core.access import Access
from fastnn._core.plan import Plan

Array = npt.NDArray[Any]

def infer(
    plan: Plan,
    parameters: Array,
    X: Array,
    outputs: Sequence[Array],
    n_threads: int,
    targets: Array | None = None,
) -> float: ...
def predict_rows(plan: Plan, access: Access, parameters: Array, X: object) -> Array | None: ...

class Predictor:
    def __init__(self, plan: Plan, access: Access, parameters: Array, rows: int) -> None: ...
    def __call__(self, X: Array, out: Array | None = None) -> Array: ...

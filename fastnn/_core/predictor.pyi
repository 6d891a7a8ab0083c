from collections.abc import Callable
from typing import Any, Self

import numpy.typing as npt

from fastnn._core.access import Access
from fastnn._core.inference import NotFiniteError
from fastnn._core.plan import Plan

Array = npt.NDArray[Any]

def predict_rows(
    plan: Plan, access: Access, parameters: Array, running: Array, X: object
) -> Array | None: ...

class Predictor:
    def __init__(
        self,
        plan: Plan,
        access: Access,
        parameters: Array,
        running: Array,
        rows: int,
        explain: Callable[[NotFiniteError, Array], None],
    ) -> None: ...
    def __call__(self, X: Array, out: Array | None = None) -> Array: ...
    def __copy__(self) -> Self: ...

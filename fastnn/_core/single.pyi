from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
DType = np.dtype[Any]

def activation_names() -> list[str]: ...
def optimizers() -> dict[str, tuple[list[str], int]]: ...
def activation_forward(
    name: str, z: Array, isa: str | None = None, *, in_place: bool = False
) -> Array: ...
def activation_backward(
    name: str, d: Array, a: Array, z: Array, isa: str | None = None
) -> Array: ...
def loss_and_derivative(
    name: str,
    out: Array,
    targets: Array,
    scale: float,
    isa: str | None = None,
    *,
    in_place: bool = False,
) -> tuple[float, Array]: ...
def optimizer_update(
    name: str,
    parameters: Array,
    slots: Array,
    gradient: Array,
    hyperparameters: dict[str, float],
    t: int,
    isa: str | None = None,
) -> bool: ...
def gather(
    data: Array,
    order: Array,
    dtype: DType,
    isa: str | None = None,
    panels: bool | Literal["columns"] = False,
) -> Array: ...
def sum_rows(
    d: Array,
    sums: Array | None = None,
    isa: str | None = None,
    panels: bool | Literal["columns"] = False,
) -> Array: ...
def hits(
    out: Array,
    targets: Array,
    weights: Array | None = None,
    threshold: float = 0.0,
    isa: str | None = None,
    units: bool = False,
) -> float: ...
def transpose(a: Array, isa: str | None = None) -> Array: ...
def apply_function(name: str, x: Array, isa: str | None = None) -> Array: ...

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
DType = np.dtype[Any]

def activation_names() -> list[str]: ...
def loss_names() -> list[str]: ...
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
    parameters: Sequence[float] = (),
    weights: Array | None = None,
) -> tuple[float, Array]: ...
def label_rows(
    labels: Array,
    order: Array | None,
    rows: int,
    n_units: int,
    on: float,
    off: float,
    dtype: DType,
    isa: str | None = None,
) -> Array: ...
def smooth(targets: Array, share: float, offset: float, isa: str | None = None) -> Array: ...
def optimizer_update(
    name: str,
    parameters: Array,
    slots: Array,
    gradient: Array,
    learning_rate: float,
    hyperparameters: dict[str, float],
    t: int,
    isa: str | None = None,
) -> bool: ...
def idle_at_once(
    name: str,
    parameters: Array,
    slots: Array,
    learning_rates: npt.NDArray[np.float64],
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
    rescaling: tuple[float, float] | None = None,
) -> Array: ...
def sum_rows(
    d: Array,
    sums: Array | None = None,
    isa: str | None = None,
    panels: bool | Literal["columns"] = False,
) -> Array: ...
def penalize(
    g: Array, w: Array, l1: float, l2: float, scale: float, isa: str | None = None
) -> tuple[float, Array]: ...
def sum_of_squares(x: Array, first: int = 0, isa: str | None = None) -> float: ...
def clip(x: Array, limit: float, isa: str | None = None) -> Array: ...
def scale(x: Array, factor: float, isa: str | None = None) -> Array: ...
def limit_norms(w: Array, limit: float, isa: str | None = None) -> tuple[Array, int]: ...
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

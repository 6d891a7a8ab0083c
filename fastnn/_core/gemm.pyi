from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
DType = np.dtype[Any]

GEMM: str
GEMMS: tuple[str, ...]
blas_config: str | None

def load(n_threads: int = 1) -> None: ...
def new_memory(n_bytes: int) -> Array: ...
def scratch_bytes(
    dtype: DType, transpose_a: bool, m: int, n: int, k: int, isa: str | None = None
) -> int: ...
def new_scratch(
    dtype: DType, transpose_a: bool, m: int, n: int, k: int, isa: str | None = None
) -> Array: ...
def multiply(
    a: Array,
    b: Array,
    *,
    c: Array | None = None,
    bias: Array | None = None,
    transpose_a: bool = False,
    gemm: str | None = None,
    isa: str | None = None,
    scratch: Array | None = None,
    panels: bool | Literal["columns"] = False,
) -> Array: ...
def time_multiply(
    out: Array,
    a: Array,
    b: Array,
    transpose_a: bool,
    gemm: str,
    n_calls: int,
    isa: str | None = None,
    panels: bool = False,
) -> float: ...

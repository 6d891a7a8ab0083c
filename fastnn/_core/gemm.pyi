from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]

blas_config: str | None

def load(n_threads: int = 1) -> None: ...
def multiply(
    a: Array,
    b: Array,
    c: Array | None = None,
    transpose_a: bool = False,
    transpose_b: bool = False,
) -> Array: ...

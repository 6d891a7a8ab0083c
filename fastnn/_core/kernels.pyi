from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
DType = np.dtype[Any]

ISA: str

def built_isas() -> list[str]: ...
def supported_isas() -> list[str]: ...
def all_finite(array: Array, dtype: DType, isa: str | None = None) -> bool: ...
def fma_peak(dtype: DType, seconds: float, isa: str | None = None) -> float: ...

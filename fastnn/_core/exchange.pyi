from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Result = TypeVar("Result")

class Request(Protocol):
    def Test(self) -> bool: ...

class Exchange:
    rank: int
    size: int
    n_steps: int
    total_weight: float
    is_broken: bool
    def __init__(
        self,
        rank: int,
        size: int,
        start_sum: Callable[[Array], Request],
        start_copy: Callable[[Array], Request],
        start_gather: Callable[[Array, list[Any]], Request],
    ) -> None: ...
    def share_out(
        self,
        firsts: npt.NDArray[np.uint64],
        noise_shifts: npt.NDArray[np.uint64],
        weights: npt.NDArray[np.float64],
        batch_size: int,
        n_samples: int,
        total_weight: float,
        has_weights: bool,
    ) -> None: ...
    def gather(self, text: bytes = b"", trains_on: bool = False) -> list[bytes]: ...
    def copy(self, arrays: Sequence[Array]) -> None: ...
    def run(self, function: Callable[[], Result]) -> Result: ...

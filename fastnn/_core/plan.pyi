from collections.abc import Sequence
from typing import Any

import numpy as np

class Plan:
    dtype: np.dtype[Any]
    n_features: int
    n_parameters: int
    def __init__(
        self,
        layers: Sequence[tuple[int, str]],
        n_features: int,
        loss: str,
        dtype: np.dtype[Any],
        loss_parameters: Sequence[float] = (),
    ) -> None: ...
    def training_flops(self, rows: int) -> float: ...

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn.layers import Operation

class Plan:
    dtype: np.dtype[Any]
    n_features: int
    n_parameters: int
    n_running: int
    def __init__(
        self,
        layers: Sequence[Operation],
        n_features: int,
        loss: str,
        dtype: np.dtype[Any],
        loss_parameters: Sequence[float] = (),
    ) -> None: ...
    def loss_rows(self, is_sparse: bool) -> int: ...
    def training_flops(self, rows: int) -> float: ...

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn._core.plan import Plan

Array = npt.NDArray[Any]

def loss_and_gradients(
    plan: Plan, parameters: Array, X: Array, targets: Array, gradient: Array, n_threads: int
) -> float: ...

class Workspace:
    losses: npt.NDArray[np.float64]
    def __init__(
        self,
        plan: Plan,
        parameters: Array,
        X: Array,
        targets: Array,
        batch_size: int,
        n_epochs: int,
        shuffled: bool,
        n_threads: int,
        gradient: Array | None = None,
    ) -> None: ...

class Trainer(Workspace):
    epoch: int
    n_updates: int
    samples_seen: int
    def __init__(
        self,
        plan: Plan,
        parameters: Array,
        X: Array,
        targets: Array,
        batch_size: int,
        n_epochs: int,
        n_threads: int,
        *,
        optimizer: str,
        hyperparameters: Sequence[float],
        slots: Array,
        n_updates: int,
        bit_generator: np.random.BitGenerator | None,
    ) -> None: ...
    def advance(self, until_epoch: int) -> None: ...

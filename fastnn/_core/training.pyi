from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn._core.access import Access
from fastnn._core.plan import Plan

Array = npt.NDArray[Any]

def loss_and_gradients(
    plan: Plan, parameters: Array, X: Array, targets: Array, gradient: Array, n_threads: int
) -> float: ...

class Trainer:
    losses: npt.NDArray[np.float64]
    accuracies: npt.NDArray[np.float64]
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
        hyperparameters: dict[str, float],
        slots: Array,
        n_updates: int,
        bit_generator: np.random.BitGenerator | None,
        gradient_hook: Callable[[int, Array], None] | None = None,
        counts_hits: bool = False,
    ) -> None: ...
    def advance(
        self, until_epoch: int, access: Access | None = None, views: object = None
    ) -> None: ...

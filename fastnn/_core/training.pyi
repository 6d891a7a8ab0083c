from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn._core.access import Access
from fastnn._core.exchange import Exchange
from fastnn._core.plan import Plan
from fastnn._core.regularization import Rules
from fastnn._sparse import SparseRows

Array = npt.NDArray[Any]

def loss_and_gradients(
    plan: Plan,
    parameters: Array,
    running: Array,
    X: Array | SparseRows,
    targets: Array,
    gradient: Array,
    n_threads: int,
    n_updates: int,
    rules: Rules | None = None,
    weights: Array | None = None,
    subset: npt.NDArray[np.int64] | None = None,
) -> float: ...

class Trainer:
    losses: npt.NDArray[np.float64]
    rates: npt.NDArray[np.float64]
    window_end: int
    accuracies: npt.NDArray[np.float64]
    epoch: int
    n_updates: int
    samples_seen: int
    converged: bool
    data: tuple[Array | SparseRows, Array, Array | None]
    failed_rows: npt.NDArray[np.int64] | slice | None
    def __init__(
        self,
        plan: Plan,
        parameters: Array,
        running: Array,
        X: Array | SparseRows,
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
        learning_rate: float,
        rules: Rules | None = None,
        weights: Array | None = None,
        smoothing: tuple[float, float] | None = None,
        counts_hits: bool = False,
        average: tuple[Array, Array] | None = None,
        ema: float = 0.0,
        n_averaged: int = 0,
        subset: npt.NDArray[np.int64] | None = None,
        exchange: Exchange | None = None,
    ) -> None: ...
    def note_change(self) -> None: ...
    def set_rates(self, rates: npt.NDArray[np.float64]) -> None: ...
    is_block_done: bool
    epoch_sums: tuple[float, float, float]
    def next_block(
        self,
        X: Array | SparseRows,
        targets: Array,
        weights: Array | None,
        n_before: int,
        is_last: bool,
        epoch_sums: tuple[float, float, float] | None = None,
    ) -> None: ...
    def next_subset(
        self,
        subset: npt.NDArray[np.int64],
        n_before: int,
        is_last: bool,
        epoch_sums: tuple[float, float, float] | None = None,
    ) -> None: ...
    def advance(
        self, until_epoch: int, access: Access | None = None, views: object = None
    ) -> None: ...

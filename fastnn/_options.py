"""What one call of `Network.fit` or `Network.partial_fit` is told, but the samples."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import _validation
from fastnn._averages import Averaging
from fastnn._checkpoint import EpochPosition, Resumed, read_resumed
from fastnn._progress import Progress
from fastnn._state import Training
from fastnn.callbacks import Callback, checked_callbacks
from fastnn.config import choose_threads
from fastnn.metrics import Metric, checked_metrics
from fastnn.optimizers import LBFGS, Adam, get_optimizer

if TYPE_CHECKING:
    from fastnn.network import Network

#: The value of a setting that is not told.
AS_BEFORE = "as before"

# Of a network that was not trained before.
FIRST = Training(Adam(), batch_size=128, shuffle=True)


@dataclass(frozen=True)
class Watching:
    """What a call does after each epoch: none of it changes what is trained.

    Attributes
    ----------
    validation_data : (X, y) or None
        Not checked yet.
    validation_split : float or None
    metrics : tuple of Metric
    callbacks : tuple of Callback
        In the order of their calls.
    progress : bool or "epochs"
    """

    validation_data: Any = None
    validation_split: float | None = None
    metrics: tuple[Metric, ...] = ()
    callbacks: tuple[Callback, ...] = ()
    progress: Progress = False

    @classmethod
    def checked(
        cls,
        net: Network,
        validation_data: Any,
        validation_split: Any,
        metrics: Any,
        callbacks: Any,
        progress: Any,
    ) -> Watching:
        """From what a user passes in."""
        if validation_split is not None:
            if validation_data is not None:
                raise ValueError(
                    "validation_split and validation_data must not both be given: each of them is "
                    "the validation data"
                )
            validation_split = _validation.number_in_open_interval(
                validation_split, "validation_split"
            )
        chosen = checked_metrics(metrics, net._architecture)
        has_validation = validation_data is not None or validation_split is not None
        if not has_validation and any(
            metric.name not in net._architecture.metrics for metric in chosen
        ):
            raise ValueError(
                f"metrics are measured on the validation data: give validation_data or "
                f"validation_split, got metrics={_validation.short(metrics)} without"
            )
        if progress != "epochs" and not isinstance(progress, (bool, np.bool_)):
            raise TypeError(
                f"progress must be True, False or 'epochs', got {_validation.shown(progress)}"
            )
        return cls(
            validation_data,
            validation_split,
            tuple(metric for metric in chosen if metric.name not in net._architecture.metrics),
            checked_callbacks(callbacks),
            "epochs" if progress == "epochs" else bool(progress),
        )


@dataclass(frozen=True)
class FitOptions:
    """All that one call is told but the samples.

    Attributes
    ----------
    epochs : int
    training : Training
        What the network remembers for the next call.
    starts_schedule : bool
        Whether its learning rate begins with this call.
    threads : int or None
    watching : Watching
    resumed : Resumed or None
    averaging : Averaging
    looks_at_scales : bool
        Whether a network that was not trained before warns of columns of X.
    sample_weight, class_weight
        Not checked yet.
    block_size : int or None
        Of samples that are streamed; None: by default.
    split_seed : int or None
        What draws the rows of `validation_split`; None: the network's seed.
    is_part : bool
        Whether the samples are a part of those that are trained on: all their weights may be 0.
    """

    epochs: int
    training: Training
    starts_schedule: bool
    threads: int | None
    watching: Watching
    resumed: Resumed | None
    averaging: Averaging
    looks_at_scales: bool
    sample_weight: Any
    class_weight: Any
    block_size: int | None
    split_seed: int | None = None
    is_part: bool = False

    def like(self, net: Network) -> Network:
        """What `net` is, or becomes: the network of the checkpoint."""
        return self.resumed.net if self.resumed is not None else net

    @property
    def n_done(self) -> int:
        """Whole epochs that a checkpoint has done."""
        return 0 if self.resumed is None else self.resumed.progress.history.n_epochs

    @property
    def position(self) -> EpochPosition | None:
        """Where a checkpoint is in the middle of an epoch."""
        return None if self.resumed is None else self.resumed.progress.position

    def check_whole_epochs(self) -> None:
        """Refuses a checkpoint that only streamed samples can go on from."""
        if self.position is not None:
            raise ValueError(
                f"resume_from is a checkpoint from the middle of an epoch, after "
                f"{self.position.n_samples} samples in blocks of {self.position.block_size}: X "
                f"must be streamed in such blocks, got an array, or a file that fits one block"
            )

    @classmethod
    def checked(
        cls,
        net: Network,
        *,
        epochs: Any,
        batch_size: Any,
        optimizer: Any,
        learning_rate: Any,
        shuffle: Any,
        threads: Any,
        validation_data: Any = None,
        validation_split: Any = None,
        metrics: Any = (),
        callbacks: Any = (),
        progress: Any = False,
        resume_from: Any = None,
        looks_at_scales: bool = False,
        sample_weight: Any,
        class_weight: Any,
        label_smoothing: Any,
        ema: Any = None,
        swa_start: Any = None,
        block_size: Any = None,
        **regularization: Any,
    ) -> FitOptions:
        """From what a user passes in, and how the network was trained before."""
        watching = Watching.checked(
            net, validation_data, validation_split, metrics, callbacks, progress
        )
        resumed = None if resume_from is None else read_resumed(resume_from, net)
        before = (resumed.net if resumed else net).training or FIRST
        starts_schedule = learning_rate is not None or _told(optimizer, None) is not None
        chosen = get_optimizer(_told(optimizer, before.optimizer), learning_rate)
        if isinstance(chosen, LBFGS):
            _check_full_batch(batch_size)
        batch_size = _told(batch_size, before.batch_size)
        if batch_size is not None:
            batch_size = _validation.positive_int(
                batch_size, "batch_size", remedy="; None is the full batch"
            )
        kept = before.regularization
        told = {name: _told(value, getattr(kept, name)) for name, value in regularization.items()}
        training = Training(
            chosen,
            batch_size,
            _validation.boolean(_told(shuffle, before.shuffle), "shuffle"),
            replace(kept, **told),
            _validation.number_in_unit_interval(
                _told(label_smoothing, before.label_smoothing), "label_smoothing"
            ),
        )
        training.regularization.check_optimizer(chosen)
        if resumed is not None and resumed.progress.position is not None:
            _check_same_epoch(training, before)
        if threads is not None:
            threads = choose_threads(threads, 0.0)
        epochs = _validation.positive_int(epochs, "epochs", at_most=_validation.MAX_SIZE)
        averaging = Averaging.checked(ema, swa_start, epochs)
        if block_size is not None:
            block_size = _validation.positive_int(block_size, "block_size", _validation.MAX_SIZE)
        return cls(
            epochs=epochs,
            training=training,
            starts_schedule=starts_schedule and resumed is None,
            threads=threads,
            watching=watching,
            resumed=resumed,
            averaging=averaging,
            looks_at_scales=looks_at_scales and (resumed.net if resumed else net).training is None,
            sample_weight=sample_weight,
            class_weight=class_weight,
            block_size=block_size,
        )


def _told(value: Any, before: Any) -> Any:
    """`value`, or what was before where nothing is told."""
    return before if isinstance(value, str) and value == AS_BEFORE else value


def _check_same_epoch(training: Training, before: Training) -> None:
    """For a checkpoint from the middle of an epoch: another order would have samples twice."""
    for name in ("batch_size", "shuffle"):
        value, expected = getattr(training, name), getattr(before, name)
        if value != expected:
            raise ValueError(
                f"{name} must be {expected}, as in the call that made the checkpoint of "
                f"resume_from in the middle of an epoch, got {value}"
            )


def _check_full_batch(batch_size: Any) -> None:
    """For what a user has told of the mini-batches, where there can be none."""
    if _told(batch_size, None) is not None:
        raise ValueError(
            f"batch_size must be None for LBFGS, which takes all samples at every step, got "
            f"{_validation.short(batch_size)}"
        )

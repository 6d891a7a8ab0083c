"""What `Network.fit` and `Network.partial_fit` do: options, buffers, and the loop over epochs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastnn import _validation, _weights
from fastnn._blocks import check_finite
from fastnn._core.training import Trainer
from fastnn._rates import LearningRates
from fastnn._state import State, Training
from fastnn.config import choose_threads
from fastnn.optimizers import LBFGS, Adam, get_optimizer

if TYPE_CHECKING:
    from fastnn._lbfgs import LBFGSTrainer
    from fastnn.network import Network

Array = npt.NDArray[Any]

#: The value of a setting that is not told.
AS_BEFORE = "as before"


# Of a network that was not trained before.
_FIRST = Training(Adam(), batch_size=128, shuffle=True)


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
    validation_data : (X, y) or None
        Not checked yet.
    progress : bool
    threads : int or None
    sample_weight, class_weight
        Not checked yet.
    """

    epochs: int
    training: Training
    starts_schedule: bool
    validation_data: Any
    progress: bool
    threads: int | None
    sample_weight: Any
    class_weight: Any

    @classmethod
    def checked(
        cls,
        before: Training | None,
        *,
        epochs: Any,
        batch_size: Any,
        optimizer: Any,
        learning_rate: Any,
        shuffle: Any,
        validation_data: Any = None,
        progress: Any = False,
        threads: Any,
        sample_weight: Any = None,
        class_weight: Any = None,
        label_smoothing: Any,
        **regularization: Any,
    ) -> FitOptions:
        """From what a user passes in, and how the network was trained before."""
        before = before or _FIRST
        starts_schedule = learning_rate is not None or not _is_as_before(optimizer)
        if _is_as_before(optimizer):
            optimizer = before.optimizer
        given_batch_size = batch_size
        if _is_as_before(batch_size):
            batch_size = before.batch_size
        elif batch_size is not None:
            batch_size = _validation.positive_int(
                batch_size, "batch_size", remedy="; None is the full batch"
            )
        chosen = get_optimizer(optimizer, learning_rate)
        if isinstance(chosen, LBFGS):
            _check_full_batch(given_batch_size)
            batch_size = None
        if _is_as_before(shuffle):
            shuffle = before.shuffle
        if _is_as_before(label_smoothing):
            label_smoothing = before.label_smoothing
        training = Training(
            chosen,
            batch_size,
            _validation.boolean(shuffle, "shuffle"),
            replace(
                before.regularization,
                **{
                    name: value
                    for name, value in regularization.items()
                    if not _is_as_before(value)
                },
            ),
            _validation.number_in_unit_interval(label_smoothing, "label_smoothing"),
        )
        training.regularization.check_optimizer(training.optimizer)
        if threads is not None:
            threads = choose_threads(threads, 0.0)
        return cls(
            epochs=_validation.positive_int(epochs, "epochs", at_most=_validation.MAX_SIZE),
            training=training,
            starts_schedule=starts_schedule,
            validation_data=validation_data,
            progress=_validation.boolean(progress, "progress"),
            threads=threads,
            sample_weight=sample_weight,
            class_weight=class_weight,
        )


def _check_full_batch(batch_size: Any) -> None:
    """For what a user has told of the mini-batches, where there can be none."""
    if batch_size is not None and not _is_as_before(batch_size):
        raise ValueError(
            f"batch_size must be None for LBFGS, which takes all samples at every step, got "
            f"{_validation.short(batch_size)}"
        )


def _is_as_before(value: Any) -> bool:
    return isinstance(value, str) and value == AS_BEFORE


def fit(net: Network, X: Any, y: Any, options: FitOptions) -> dict[str, list[float]]:
    """Trains `net`, which the caller has to itself; returns the history. See `Network.fit`."""
    X, y = net._checked_data(X, y, net.n_features)
    if net._state is not None:  # what is trained cannot be the data at the same time
        X, y = (_apart_from(net._state.parameters, data) for data in (X, y))
    validation_data = None
    history: dict[str, list[float]] = {"loss": []}
    if options.validation_data is not None:
        validation_data = net._checked_data(
            *_validation.pair(options.validation_data, "validation_data"),
            X.shape[1],
            names=("validation_data[0]", "validation_data[1]"),
        )
        history |= {f"val_{name}": [] for name in net._metrics}
    history["learning_rate"] = []
    weights = _weights.sample_weights(
        net._architecture, y, options.sample_weight, options.class_weight
    )
    trainer, state, rates = _prepare(net, X, y, options, weights)
    epochs = options.epochs
    try:
        with progress_bar(epochs * len(X) if options.progress else None, "samples") as bar:
            while trainer.epoch < epochs and not trainer.converged:
                by_epochs = validation_data is not None or rates.follows_epochs
                until_epoch = trainer.epoch + 1 if by_epochs else epochs
                _advance(net, trainer, state, rates, until_epoch)
                if validation_data is not None and trainer.epoch == until_epoch:
                    for name, value in net._evaluate(*validation_data).items():
                        history[f"val_{name}"].append(value)
                if by_epochs and trainer.epoch == until_epoch:
                    history["loss"] = trainer.losses[: trainer.epoch].tolist()
                    rates.end_epoch(history)
                    state.schedule = rates.state(trainer.n_updates)
                if bar is not None:
                    if trainer.epoch > 0:
                        loss = trainer.losses[trainer.epoch - 1]
                        bar.set_postfix(loss=f"{loss:.4g}", refresh=False)
                    bar.update(trainer.epoch * len(X) + trainer.samples_seen - bar.n)
    finally:  # whole epochs only, their validation included, also where an error ends the loop
        history["loss"] = trainer.losses[: trainer.epoch].tolist()
        history["learning_rate"] = rates.of_epochs(trainer)
        n_whole = min(map(len, history.values()))
        for values in history.values():
            del values[n_whole:]
        net._history = history
    return net.history


def _apart_from(block: Array, data: Array) -> Array:
    return data.copy() if np.may_share_memory(block, data) else data


def _prepare(
    net: Network, X: Array, y: Array, options: FitOptions, weights: Array | None
) -> tuple[Trainer | LBFGSTrainer, State, LearningRates]:
    """All that can be refused or fail to be allocated; then the network takes it over."""
    optimizer, n_samples = options.training.optimizer, len(X)
    batch_size = min(options.training.batch_size or n_samples, n_samples)
    shuffled = options.training.shuffle and batch_size < n_samples
    options.training.check(net.dtype)
    rules = options.training.regularization.rules(net._architecture.layers)
    smoothing = _weights.label_smoothing(net._architecture, options.training.label_smoothing)
    if net._plan is None:
        plan, state = net._build(X.shape[1])
    else:
        plan, state = net._built()
        check_finite(state.parameters, net._shapes, net.dtype)
    slots, n_updates = state.slots_for(optimizer)
    rates = LearningRates(
        optimizer.learning_rate,
        None if options.starts_schedule else state.schedule,
        n_updates=n_updates,
        steps_per_epoch=-(-n_samples // batch_size),
        epochs=options.epochs,
        dtype=net.dtype,
        has_validation=options.validation_data is not None,
    )
    arrays = plan, state.parameters, state.running, X, y
    n_threads = choose_threads(options.threads, plan.training_flops(batch_size))
    trainer: Trainer | LBFGSTrainer
    if isinstance(optimizer, LBFGS):
        from fastnn._lbfgs import LBFGSTrainer  # here: most programs need no queues and threads

        trainer = LBFGSTrainer(
            *arrays,
            options.epochs,
            n_threads,
            optimizer=optimizer,
            n_updates=n_updates,
            rules=rules,
            weights=weights,
        )
    else:
        trainer = Trainer(
            *arrays,
            batch_size,
            options.epochs,
            n_threads,
            optimizer=optimizer.name,
            hyperparameters=optimizer.hyperparameters,
            learning_rate=rates.constant,
            slots=slots,
            n_updates=n_updates,
            bit_generator=state.bit_generator if shuffled else None,
            rules=rules,
            weights=weights,
            smoothing=smoothing,
        )
        rates.supply(trainer)
    with net._access.writing():
        state.training, state.slots, state.n_updates = options.training, slots, n_updates
        state.schedule = rates.state(n_updates)
        net._adopt(plan, state)
    return trainer, state, rates


def _advance(
    net: Network,
    trainer: Trainer | LBFGSTrainer,
    state: State,
    rates: LearningRates,
    until_epoch: int,
) -> None:
    if isinstance(trainer, Trainer):
        rates.supply(trainer)
    with net._access.writing():
        try:
            trainer.advance(until_epoch, net._access, state)
        finally:
            state.n_updates = trainer.n_updates
            state.schedule = rates.state(trainer.n_updates)


@contextmanager
def progress_bar(total: int | None, unit: str) -> Iterator[Any]:
    """A bar on the standard error stream, or None: without a total, and without such a stream."""
    if total is None or sys.stderr is None:
        yield None
        return
    from tqdm import tqdm

    with tqdm(total=total, unit=f" {unit}", unit_scale=True) as bar:
        yield bar

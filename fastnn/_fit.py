"""What `Network.fit` and `Network.partial_fit` do: options, buffers, and the loop over epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastnn import _validation
from fastnn._blocks import check_finite
from fastnn._checkpoint import FitProgress, Resumed, read_resumed, with_states, write
from fastnn._core.training import Trainer
from fastnn._inference import evaluate
from fastnn._progress import Progress, epoch_report
from fastnn._split import split_rows
from fastnn._state import State, Training
from fastnn.callbacks import Callback, Checkpoint, StopTraining, checked_callbacks
from fastnn.config import choose_threads
from fastnn.history import History
from fastnn.metrics import Metric, checked_metrics
from fastnn.optimizers import Adam, get_optimizer

if TYPE_CHECKING:
    from fastnn.network import Network

Array = npt.NDArray[Any]

#: The value of a setting that is not told.
AS_BEFORE = "as before"


# Of a network that was not trained before.
_FIRST = Training(Adam(), batch_size=128, shuffle=True)


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
    threads : int or None
    watching : Watching
    resumed : Resumed or None
    """

    epochs: int
    training: Training
    threads: int | None
    watching: Watching
    resumed: Resumed | None

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
    ) -> FitOptions:
        """From what a user passes in, and how the network was trained before."""
        watching = Watching.checked(
            net, validation_data, validation_split, metrics, callbacks, progress
        )
        resumed = None if resume_from is None else read_resumed(resume_from, net)
        before = (resumed.net if resumed else net).training or _FIRST
        if _is_as_before(optimizer):
            optimizer = before.optimizer
        if _is_as_before(batch_size):
            batch_size = before.batch_size
        elif batch_size is not None:
            batch_size = _validation.positive_int(
                batch_size, "batch_size", remedy="; None is the full batch"
            )
        if _is_as_before(shuffle):
            shuffle = before.shuffle
        training = Training(
            get_optimizer(optimizer, learning_rate),
            batch_size,
            _validation.boolean(shuffle, "shuffle"),
        )
        if threads is not None:
            threads = choose_threads(threads, 0.0)
        return cls(
            epochs=_validation.positive_int(epochs, "epochs", at_most=_validation.MAX_SIZE),
            training=training,
            threads=threads,
            watching=watching,
            resumed=resumed,
        )


def _is_as_before(value: Any) -> bool:
    return isinstance(value, str) and value == AS_BEFORE


def fit(net: Network, X: Any, y: Any, options: FitOptions) -> History:
    """Trains `net`, which the caller has to itself; returns the history. See `Network.fit`."""
    watching, resumed = options.watching, options.resumed
    n_features = (resumed.net if resumed else net).n_features
    X, y = net._checked_data(X, y, n_features)
    if net._state is not None:  # what is trained cannot be the data at the same time
        X, y = (_apart_from(net._state.parameters, data) for data in (X, y))
    validation: tuple[Array, Array] | None = None
    if watching.validation_data is not None:
        validation = net._checked_data(
            *_validation.pair(watching.validation_data, "validation_data"),
            X.shape[1],
            names=("validation_data[0]", "validation_data[1]"),
        )
    elif watching.validation_split is not None:
        seed = (resumed.net if resumed else net)._architecture.seed
        labels = None
        if net._architecture.is_classifier:
            labels = net._decide(y) if y.ndim == 2 else y
        kept, aside = split_rows(len(X), watching.validation_split, seed, labels)
        X, y, validation = X[kept], y[kept], (X[aside], y[aside])
    names = [*net._architecture.metrics]
    if validation is not None:
        names += [
            f"val_{name}"
            for name in (*net._architecture.metrics, *(m.name for m in watching.metrics))
        ]
    for callback in watching.callbacks:
        callback.check(names)
    if resumed is not None:
        resumed.progress.check(options.epochs, names, watching.callbacks)
    trainer, state = _prepare(net, X, y, options)
    return _Fit(net, options, trainer, state, len(X), validation, names).run()


def _apart_from(block: Array, data: Array) -> Array:
    return data.copy() if np.may_share_memory(block, data) else data


def _prepare(net: Network, X: Array, y: Array, options: FitOptions) -> tuple[Trainer, State]:
    """All that can be refused or fail to be allocated; then the network takes it over."""
    resumed = options.resumed
    optimizer, n_samples = options.training.optimizer, len(X)
    batch_size = min(options.training.batch_size or n_samples, n_samples)
    shuffled = options.training.shuffle and batch_size < n_samples
    options.training.check(net.dtype)
    n_done = resumed.progress.history.n_epochs if resumed else 0
    if net._plan is None:
        plan, state = resumed.net._built() if resumed else net._build(X.shape[1])
    else:
        plan, state = net._built()
        if resumed is None:
            check_finite(state.parameters, net._sizes, net.dtype)
    latest = resumed.net._built()[1] if resumed else state
    slots, n_updates = latest.slots_for(optimizer)
    trainer = Trainer(
        plan,
        state.parameters,
        X,
        y,
        batch_size,
        max(1, options.epochs - n_done),
        choose_threads(options.threads, plan.training_flops(batch_size)),
        optimizer=optimizer.name,
        hyperparameters=optimizer.hyperparameters,
        slots=slots,
        n_updates=n_updates,
        bit_generator=latest.bit_generator if shuffled else None,
        counts_hits=net._architecture.is_classifier,
    )
    with net._access.writing():
        if latest is not state:
            state.take_over(latest)
        state.training, state.slots, state.n_updates = options.training, slots, n_updates
        if resumed is not None:  # with the seed of the network that the checkpoint was made of
            net._architecture = resumed.net._architecture
        net._adopt(plan, state)
    return trainer, state


class _Fit:
    """One training run: the loop over epochs and what happens between them.

    Parameters
    ----------
    net, options, trainer, state
        From `_prepare`.
    n_samples : int
        Of training.
    validation : (X, y) or None
        Checked.
    names : sequence of str
        Keys of the history.
    """

    def __init__(
        self,
        net: Network,
        options: FitOptions,
        trainer: Trainer,
        state: State,
        n_samples: int,
        validation: tuple[Array, Array] | None,
        names: Sequence[str],
    ) -> None:
        self.net, self.trainer, self.state = net, trainer, state
        self.epochs, self.watching = options.epochs, options.watching
        self.n_samples, self.validation = n_samples, validation
        self.history = History((name, []) for name in names)
        self.n_before, self.stopped = 0, False
        self.resumed = None if options.resumed is None else options.resumed.progress
        if self.resumed is not None:
            self.history = self.resumed.history
            self.n_before, self.stopped = self.history.n_epochs, self.resumed.stopped
        net._history = self.history

    def run(self) -> History:
        callbacks = self.watching.callbacks
        for callback in callbacks:
            callback.on_fit_begin(self.net)
        if self.resumed is not None:
            states = [state for _, state in self.resumed.callbacks]
            for callback, state in zip(with_states(callbacks), states, strict=True):
                callback.set_state(state)
        try:
            self.train()
        finally:  # whole epochs only, their validation included, also where an error ends the loop
            if self.validation is None:
                self.note_epochs()
            self.history.cut(self.history.n_epochs)
        for callback in callbacks:
            callback.on_fit_end(self.net)
        return self.net.history

    @property
    def n_done(self) -> int:
        """Epochs that are trained, those before a checkpoint included."""
        return self.n_before + self.trainer.epoch

    def train(self) -> None:
        watching, trainer = self.watching, self.trainer
        each = self.validation is not None or watching.callbacks or watching.progress == "epochs"
        n_epochs = self.epochs - self.n_before
        metrics: Mapping[str, float] = {}
        with epoch_report(watching.progress, self.epochs, self.n_before) as report:
            while self.n_done < self.epochs and not self.stopped:
                n_noted, until = self.n_done, trainer.epoch + 1 if each else n_epochs
                _advance(self.net, trainer, self.state, until)
                if self.n_done > n_noted and (each or watching.progress):
                    self.note_epochs()
                    metrics = self.history.last()
                report(self.n_done + trainer.samples_seen / self.n_samples, metrics)
                if each and self.n_done > n_noted:
                    self.call_back(metrics)

    def note_epochs(self) -> None:
        """Puts what the epochs since the last call have measured into the history."""
        n_noted, validated = self.history.n_epochs, {}
        if self.validation is not None and n_noted < self.n_done:
            result = evaluate(self.net, *self.validation, self.watching.metrics)
            validated = {f"val_{name}": [value] for name, value in result.items()}
        first, end = n_noted - self.n_before, self.trainer.epoch
        trained = {"loss": self.trainer.losses[first:end].tolist()}
        if "accuracy" in self.history:
            trained["accuracy"] = self.trainer.accuracies[first:end].tolist()
        for name, values in (trained | validated).items():
            self.history[name][n_noted:] = values

    def call_back(self, metrics: Mapping[str, float]) -> None:
        """Every callback hears of the epoch, also where one of them stops the training."""
        epoch, callbacks = self.n_done, self.watching.callbacks
        for callback in callbacks:
            try:
                callback.on_epoch_end(self.net, epoch, dict(metrics))
            except StopTraining:
                self.stopped = True
            if isinstance(callback, Checkpoint) and callback.is_due(epoch, metrics):
                progress = FitProgress.of(self.history, self.stopped, callbacks)
                write(self.net, callback.path, progress)


def _advance(net: Network, trainer: Trainer, state: State, until_epoch: int) -> None:
    with net._access.writing():
        try:
            trainer.advance(until_epoch, net._access, state)
        finally:
            state.n_updates = trainer.n_updates

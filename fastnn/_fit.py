"""What `Network.fit` and `Network.partial_fit` do: options, buffers, and the loop over epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastnn import _validation, _weights
from fastnn._averages import Average, Averaging
from fastnn._blocks import check_finite
from fastnn._checkpoint import Before, FitProgress, Resumed, read_resumed, with_states, write
from fastnn._core.training import Trainer
from fastnn._diagnosis import explain_failure
from fastnn._inference import evaluate
from fastnn._progress import Progress, epoch_report
from fastnn._rates import LearningRates
from fastnn._scaling import warn_of_scales
from fastnn._split import split_rows
from fastnn._state import State, Training
from fastnn.callbacks import Callback, Checkpoint, StopTraining, checked_callbacks
from fastnn.config import choose_threads
from fastnn.history import History
from fastnn.metrics import Metric, checked_metrics
from fastnn.optimizers import LBFGS, Adam, get_optimizer

if TYPE_CHECKING:
    from fastnn._lbfgs import LBFGSTrainer
    from fastnn.network import Network

Array = npt.NDArray[Any]

#: The value of a setting that is not told.
AS_BEFORE = "as before"


# The caller of `Network.fit`, from `fit` here: above that method and its `checked_keywords`.
_USER = 4

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
        **regularization: Any,
    ) -> FitOptions:
        """From what a user passes in, and how the network was trained before."""
        watching = Watching.checked(
            net, validation_data, validation_split, metrics, callbacks, progress
        )
        resumed = None if resume_from is None else read_resumed(resume_from, net)
        before = (resumed.net if resumed else net).training or _FIRST
        starts_schedule = learning_rate is not None or _told(optimizer, None) is not None
        chosen = get_optimizer(_told(optimizer, before.optimizer), learning_rate)
        if isinstance(chosen, LBFGS):
            _check_full_batch(batch_size)
            batch_size = None
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
        if threads is not None:
            threads = choose_threads(threads, 0.0)
        epochs = _validation.positive_int(epochs, "epochs", at_most=_validation.MAX_SIZE)
        averaging = Averaging.checked(ema, swa_start, epochs)
        if resumed is not None and resumed.average is not None and averaging == Averaging():
            raise ValueError(
                "resume_from has an average: ema or swa_start must be given as in the call that "
                "made the checkpoint"
            )
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
        )


def _told(value: Any, before: Any) -> Any:
    """`value`, or what was before where nothing is told."""
    return before if isinstance(value, str) and value == AS_BEFORE else value


def _check_full_batch(batch_size: Any) -> None:
    """For what a user has told of the mini-batches, where there can be none."""
    if _told(batch_size, None) is not None:
        raise ValueError(
            f"batch_size must be None for LBFGS, which takes all samples at every step, got "
            f"{_validation.short(batch_size)}"
        )


def fit(net: Network, X: Any, y: Any, options: FitOptions) -> History:
    """Trains `net`, which the caller has to itself; returns the history. See `Network.fit`."""
    watching, resumed = options.watching, options.resumed
    n_features = (resumed.net if resumed else net).n_features
    given = X
    X, y = _apart_from(net._state, *net._checked_data(given, y, n_features))
    weights = _weights.sample_weights(
        net._architecture, y, options.sample_weight, options.class_weight
    )
    validation: tuple[Array, Array] | None = None
    if watching.validation_data is not None:
        validation = _apart_from(
            net._state,
            *net._checked_data(
                *_validation.pair(watching.validation_data, "validation_data"),
                X.shape[1],
                names=("validation_data[0]", "validation_data[1]"),
            ),
        )
    elif watching.validation_split is not None:
        seed = (resumed.net if resumed else net)._architecture.seed
        labels = None
        if net._architecture.is_classifier:
            labels = net._decide(y) if y.ndim == 2 else y
        kept, aside = split_rows(len(X), watching.validation_split, seed, labels)
        X, y, validation = X[kept], y[kept], (X[aside], y[aside])
        weights = _weights.of_rows(weights, kept)
    names = [*net._architecture.metrics]
    if isinstance(options.training.optimizer, LBFGS):
        names = ["loss"]
    if validation is not None:
        names += [
            f"val_{name}"
            for name in (*net._architecture.metrics, *(m.name for m in watching.metrics))
        ]
    for callback in watching.callbacks:
        callback.check(names)
    names.append("learning_rate")
    if resumed is not None:
        resumed.progress.check(options.epochs, names, watching.callbacks)
    if options.looks_at_scales:
        warn_of_scales(X, given, net.layers, stacklevel=_USER)
    before = None if resumed is None else Before.of(net)
    trainer, state, rates = _prepare(net, X, y, weights, options, validation is not None)
    return _Fit(net, options, trainer, state, rates, len(X), validation, names, before).run()


def _apart_from(state: State | None, X: Array, y: Array) -> tuple[Array, Array]:
    """What is trained cannot be the data at the same time."""
    trained = () if state is None else (state.parameters, state.running)

    def apart(data: Array) -> Array:
        return data.copy() if any(np.may_share_memory(own, data) for own in trained) else data

    return apart(X), apart(y)


def _prepare(
    net: Network,
    X: Array,
    y: Array,
    weights: Array | None,
    options: FitOptions,
    has_validation: bool,
) -> tuple[Trainer | LBFGSTrainer, State, LearningRates]:
    """All that can be refused or fail to be allocated; then the network takes it over."""
    resumed, training = options.resumed, options.training
    optimizer, n_samples = training.optimizer, len(X)
    batch_size = min(training.batch_size or n_samples, n_samples)
    shuffled = training.shuffle and batch_size < n_samples
    training.check(net.dtype)
    n_done = resumed.progress.history.n_epochs if resumed else 0
    rules = training.regularization.rules(net._architecture.layers)
    smoothing = _weights.label_smoothing(net._architecture, training.label_smoothing)
    plan, state = net._build(X.shape[1]) if net._plan is None else net._built()
    latest = state
    if resumed is not None:  # with the random numbers of the network that was written
        plan, latest = resumed.net._built()
    else:
        check_finite(state.parameters, net._architecture.shapes(X.shape[1]), net.dtype)
    slots, n_updates = latest.slots_for(optimizer)
    n_epochs = max(1, options.epochs - n_done)
    rates = LearningRates(
        optimizer.learning_rate,
        None if options.starts_schedule else latest.schedule,
        n_updates=n_updates,
        steps_per_epoch=-(-n_samples // batch_size),
        epochs=n_epochs,
        dtype=net.dtype,
        has_validation=has_validation,
    )
    average = resumed.average if resumed else None
    if options.averaging.ema is not None and average is None:
        average = Average.begun(latest)
    arrays = plan, state.parameters, state.running, X, y
    n_threads = choose_threads(options.threads, plan.training_flops(batch_size))
    trainer: Trainer | LBFGSTrainer
    if isinstance(optimizer, LBFGS):
        from fastnn import _lbfgs  # here: most programs need no queues and threads

        _lbfgs.check_settings(training, options.averaging, net._architecture.layers)
        trainer = _lbfgs.LBFGSTrainer(
            *arrays,
            n_epochs,
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
            n_epochs,
            n_threads,
            optimizer=optimizer.name,
            hyperparameters=optimizer.hyperparameters,
            learning_rate=rates.constant,
            slots=slots,
            n_updates=n_updates,
            bit_generator=latest.bit_generator if shuffled else None,
            rules=rules,
            weights=weights,
            smoothing=smoothing,
            counts_hits=net._architecture.is_classifier,
            **_moving_average(options.averaging, average),
        )
        rates.supply(trainer)
    with net._access.writing():
        if latest is not state:
            state.take_over(latest)
        state.training, state.slots, state.n_updates = training, slots, n_updates
        state.schedule, state.average = rates.state(n_updates), average
        if resumed is not None:  # with the seed of the network that the checkpoint was made of
            net._architecture = resumed.net._architecture
        net._adopt(plan, state)
    return trainer, state, rates


def _moving_average(averaging: Averaging, average: Average | None) -> dict[str, Any]:
    """What the core is told of it."""
    if averaging.ema is None or average is None:
        return {}
    arrays = (average.parameters, average.running)
    return {"average": arrays, "ema": averaging.ema, "n_averaged": average.count}


class _Fit:
    """One training run: the loop over epochs and what happens between them.

    Parameters
    ----------
    net, options, trainer, state, rates
        From `_prepare`.
    n_samples : int
        Of training.
    validation : (X, y) or None
        Checked.
    names : sequence of str
        Keys of the history.
    before : Before or None
        What a checkpoint has taken the place of.
    """

    def __init__(
        self,
        net: Network,
        options: FitOptions,
        trainer: Trainer | LBFGSTrainer,
        state: State,
        rates: LearningRates,
        n_samples: int,
        validation: tuple[Array, Array] | None,
        names: Sequence[str],
        before: Before | None,
    ) -> None:
        self.net, self.trainer, self.state, self.rates = net, trainer, state, rates
        self.epochs, self.watching = options.epochs, options.watching
        self.averaging, self.n_updates = options.averaging, trainer.n_updates
        self.n_samples, self.validation = n_samples, validation
        self.history = History((name, []) for name in names)
        self.n_before, self.stopped = 0, False
        self.resumed = None if options.resumed is None else options.resumed.progress
        if self.resumed is not None:
            self.history = self.resumed.history
            self.n_before, self.stopped = self.history.n_epochs, self.resumed.stopped
        self.before = before
        net._history = self.history

    def begin(self) -> None:
        """Calls the callbacks before anything is trained."""
        callbacks = self.watching.callbacks
        for callback in callbacks:
            callback.on_fit_begin(self.net)
        if self.resumed is not None and self.before is not None:
            states = [state for _, state in self.resumed.callbacks]
            try:
                for callback, state in zip(with_states(callbacks), states, strict=True):
                    callback.set_state(state)
            except (TypeError, ValueError):  # the checkpoint is refused
                self.before.come_back(self.net)
                raise
        self.before = None  # it has copies

    def run(self) -> History:
        try:
            self.begin()
            self.train()
            if self.state.average is not None:
                with self.net._access.writing():
                    self.state.average.finish(self.state)
        finally:  # whole epochs only, their validation included, also where an error ends the loop
            if self.validation is None:
                self.note_epochs()
            self.history.cut(self.history.n_epochs)
            self.state.average = None
        for callback in self.watching.callbacks:
            callback.on_fit_end(self.net)
        return self.net.history

    @property
    def n_done(self) -> int:
        """Epochs that are trained, those before a checkpoint included."""
        return self.n_before + self.trainer.epoch

    def train(self) -> None:
        watching, trainer = self.watching, self.trainer
        each = (
            self.validation is not None
            or watching.callbacks
            or watching.progress == "epochs"
            or self.rates.follows_epochs
            or self.averaging.swa_start is not None
        )
        n_epochs = self.epochs - self.n_before
        metrics: Mapping[str, float] = {}
        with epoch_report(watching.progress, self.epochs, self.n_before) as report:
            while self.n_done < self.epochs and not (self.stopped or trainer.converged):
                n_noted, until = self.n_done, trainer.epoch + 1 if each else n_epochs
                _advance(self.net, trainer, self.state, self.rates, until)
                self.note_average(self.n_done > n_noted)
                if self.n_done > n_noted and (each or watching.progress):
                    self.note_epochs()
                    metrics = self.history.last()
                if each and self.n_done > n_noted:
                    self.rates.end_epoch(self.history)
                    self.state.schedule = self.rates.state(trainer.n_updates)
                report(self.n_done + trainer.samples_seen / self.n_samples, metrics)
                if each and self.n_done > n_noted:
                    self.call_back(metrics)

    def note_average(self, is_end_of_epoch: bool) -> None:
        """Counts the steps of a moving average, and adds to one of epochs."""
        state, start = self.state, self.averaging.swa_start
        if state.average is not None and self.averaging.ema is not None:
            state.average.count += self.trainer.n_updates - self.n_updates
            self.n_updates = self.trainer.n_updates
        if start is not None and is_end_of_epoch and self.n_done >= start:
            if state.average is None:
                state.average = Average.begun(state)
            state.average.add(state)

    def note_epochs(self) -> None:
        """Puts what the epochs since the last call have measured into the history."""
        n_noted, validated = self.history.n_epochs, {}
        if self.validation is not None and n_noted < self.n_done:
            result = evaluate(
                self.net, *self.validation, self.watching.metrics, average=self.state.average
            )
            validated = {f"val_{name}": [value] for name, value in result.items()}
        first, end = n_noted - self.n_before, self.trainer.epoch
        trained = {"loss": self.trainer.losses[first:end].tolist()}
        trained["learning_rate"] = self.rates.of_epochs(self.trainer)[first:end]
        if "accuracy" in self.history:
            assert isinstance(self.trainer, Trainer)
            trained["accuracy"] = self.trainer.accuracies[first:end].tolist()
        for name, values in (trained | validated).items():
            if n_noted == 0:
                self.history[name] = values
            else:
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


def _advance(
    net: Network,
    trainer: Trainer | LBFGSTrainer,
    state: State,
    rates: LearningRates,
    until_epoch: int,
) -> None:
    if isinstance(trainer, Trainer):
        rates.supply(trainer)
    try:
        with net._access.writing():
            try:
                trainer.advance(until_epoch, net._access, state)
            finally:
                state.n_updates = trainer.n_updates
                state.schedule = rates.state(trainer.n_updates)
    except FloatingPointError as error:
        if isinstance(trainer, Trainer) and trainer.failed_rows is not None:
            error.args = (f"{error} {explain_failure(net, trainer)}".rstrip(),)
        raise

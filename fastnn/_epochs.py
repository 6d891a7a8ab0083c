"""The loop over epochs of one training run, and what happens between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fastnn._averages import Average
from fastnn._checkpoint import Before, FitProgress, with_states, write
from fastnn._core.training import Trainer
from fastnn._data import FitData
from fastnn._diagnosis import explain_failure
from fastnn._inference import evaluate
from fastnn._options import FitOptions
from fastnn._progress import epoch_report
from fastnn._rates import LearningRates
from fastnn._state import State
from fastnn.callbacks import Checkpoint, StopTraining
from fastnn.history import History

if TYPE_CHECKING:
    from fastnn._lbfgs import LBFGSTrainer
    from fastnn._reader import BlockReader
    from fastnn.network import Network


class FitLoop:
    """One training run: the loop over epochs and what happens between them.

    Parameters
    ----------
    net, options, trainer, state, rates
        What the network was made ready with.
    data : FitData
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
        data: FitData,
        names: Sequence[str],
        before: Before | None,
    ) -> None:
        self.net, self.trainer, self.state, self.rates = net, trainer, state, rates
        self.epochs, self.watching = options.epochs, options.watching
        self.averaging, self.n_updates = options.averaging, trainer.n_updates
        self.n_samples, self.validation, self.reader = data.n_samples, data.validation, data.reader
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
            self.reader is not None
            or self.validation is not None
            or watching.callbacks
            or watching.progress == "epochs"
            or self.rates.follows_epochs
            or self.averaging.swa_start is not None
        )
        n_epochs = self.epochs - self.n_before
        metrics: Mapping[str, float] = {}
        with epoch_report(watching.progress, self.epochs, self.n_before) as report:
            while self.n_done < self.epochs and not (self.stopped or trainer.converged):
                if self.reader is not None:
                    assert isinstance(trainer, Trainer)
                    self.reader.supply(trainer)
                n_noted, until = self.n_done, trainer.epoch + 1 if each else n_epochs
                _advance(self.net, trainer, self.state, self.rates, until)
                self.note_average(self.n_done > n_noted)
                if self.n_done > n_noted and (each or watching.progress):
                    self.note_epochs()
                    metrics = self.history.last()
                if each and self.n_done > n_noted:
                    self.rates.end_epoch(self.history)
                    self.state.schedule = self.rates.state(trainer.n_updates)
                    if self.reader is not None:
                        self.n_samples = self.reader.n_given
                report(self.n_done + self.share_of_epoch(), metrics)
                if each and self.n_done > n_noted:
                    self.call_back(metrics)
                elif self.reader is not None:
                    self.keep_block(self.reader)

    def share_of_epoch(self) -> float:
        """How far it is, as far as that is known."""
        if self.n_samples is None:
            return 0.0
        return min(self.trainer.samples_seen / self.n_samples, 1.0)

    def keep_block(self, reader: BlockReader) -> None:
        """Writes the checkpoints that are due in the middle of an epoch."""
        assert isinstance(self.trainer, Trainer)
        if not self.trainer.is_block_done:
            return
        callbacks, position = self.watching.callbacks, reader.position(self.trainer)
        for callback in callbacks:
            if isinstance(callback, Checkpoint) and callback.is_due_after(position.n_blocks):
                progress = FitProgress.of(
                    self.history, self.stopped, callbacks, self.averaging, position
                )
                write(self.net, callback.path, progress)

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
            X, y, weights = self.validation
            result = evaluate(
                self.net,
                X,
                y,
                self.watching.metrics,
                weights=weights,
                average=self.state.average,
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
                progress = FitProgress.of(self.history, self.stopped, callbacks, self.averaging)
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

"""The loop over epochs of one training run, and what happens between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from fastnn._averages import Average
from fastnn._checkpoint import Before, FitProgress, with_states, write
from fastnn._core.training import Trainer
from fastnn._data import FitData, Samples
from fastnn._divergence import explain_failure
from fastnn._evaluation import evaluate
from fastnn._options import FitOptions
from fastnn._progress import Report, epoch_report
from fastnn._rates import LearningRates
from fastnn._state import State
from fastnn.callbacks import Checkpoint, StopTraining
from fastnn.history import History

if TYPE_CHECKING:
    from fastnn._lbfgs import LBFGSTrainer
    from fastnn._ranks import Ranks
    from fastnn._reader import BlockReader
    from fastnn.network import Network


Array = npt.NDArray[Any]


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
        What a checkpoint takes the place of.
    adopt : callable
        Makes the network what it begins with: nothing has changed before.
    ranks : Ranks or None
        Others who run the same loop with other samples. Rank 0 alone has callbacks.
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
        adopt: Callable[[], None],
        ranks: Ranks | None = None,
    ) -> None:
        self.net, self.trainer, self.state, self.rates = net, trainer, state, rates
        self.epochs, self.watching, self.ranks = options.epochs, options.watching, ranks
        if ranks is not None and not ranks.leads:
            self.watching = replace(options.watching, callbacks=(), progress=False)
        self.has_validation = data.validation is not None if ranks is None else ranks.validates
        self.averaging, self.n_updates = options.averaging, trainer.n_updates
        self.n_samples, self.validation, self.reader = data.n_samples, data.validation, data.reader
        self.history = History((name, []) for name in names)
        self.n_before, self.stopped = 0, False
        self.resumed = None if options.resumed is None else options.resumed.progress
        if self.resumed is not None:
            self.history = self.resumed.history
            self.n_before, self.stopped = self.history.n_epochs, self.resumed.stopped
        self.before, self.adopt = before, adopt
        self.n_told = -1  # epochs that were done when the ranks last agreed to go on
        self.as_trained: Array | None = None  # parameters before callbacks, which may write to them

    def begin(self) -> None:
        """Calls the callbacks before anything is trained."""
        callbacks = self.watching.callbacks
        self.note_parameters()
        for callback in callbacks:
            callback.on_fit_begin(self.net)
        leads = self.ranks is None or self.ranks.leads
        if self.resumed is not None and self.before is not None and leads:
            states = [state for _, state in self.resumed.callbacks]
            try:
                for callback, state in zip(with_states(callbacks), states, strict=True):
                    callback.set_state(state)
            except (TypeError, ValueError):  # the checkpoint is refused
                self.before.come_back(self.net)
                raise
        self.before = None  # it has copies

    def note_parameters(self) -> None:
        """Before callbacks of rank 0, which may write to them."""
        if self.ranks is not None and self.watching.callbacks:
            self.as_trained = self.state.parameters.copy()

    def run(self, report: Report | None = None) -> History:
        """All of it; `report` hears of the progress in the place of who looks at the screen."""
        if self.ranks is not None:
            self.ranks.tell(None)  # all of them are ready
        self.adopt()
        if self.ranks is not None:
            self.ranks.copy_first(self.net)
        self.net._history = self.history
        try:
            self.begin()
            self.train(report)
            if self.state.average is not None:
                with self.net._access.writing():
                    self.state.average.finish(self.state)
        finally:  # whole epochs only, their validation included, also where an error ends the loop
            if not self.has_validation:
                self.note_epochs()
            self.history.cut(self.history.n_epochs)
            self.state.average = None
        if self.ranks is not None:
            self.ranks.compare(self.state)
        for callback in self.watching.callbacks:
            callback.on_fit_end(self.net)
        if self.ranks is not None:
            self.ranks.copy_first(self.net)
        return self.net.history

    @property
    def n_done(self) -> int:
        """Epochs that are trained, those before a checkpoint included."""
        return self.n_before + self.trainer.epoch

    def train(self, report: Report | None) -> None:
        watching, trainer = self.watching, self.trainer
        each = (
            self.has_validation
            or self.ranks is not None
            or self.reader is not None
            or watching.callbacks
            or watching.progress == "epochs"
            or self.rates.follows_epochs
            or self.averaging.swa_start is not None
        )
        n_epochs = self.epochs - self.n_before
        metrics: Mapping[str, float] = {}
        shown: AbstractContextManager[Report] = (
            epoch_report(watching.progress, self.epochs, self.n_before)
            if report is None
            else nullcontext(report)
        )
        with shown as tell:
            while self.goes_on():
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
                tell(self.n_done + self.share_of_epoch(), metrics)
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

    def goes_on(self) -> bool:
        """Whether there is more to train."""
        more = self.n_done < self.epochs and not (self.stopped or self.trainer.converged)
        if self.ranks is None or self.n_done == self.n_told:
            return more
        self.n_told = self.n_done
        assert isinstance(self.trainer, Trainer)
        return self.ranks.go_on(more, self.as_trained, self.net, self.trainer)

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
        if self.has_validation and n_noted < self.n_done:
            result = self.validate()
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

    def validate(self) -> dict[str, float]:
        metrics, average = self.watching.metrics, self.state.average
        if self.ranks is not None:
            own = self.validation
            assert own is None or isinstance(own, Samples)
            return self.ranks.validate(self.net, own, metrics, average)
        assert self.validation is not None
        return evaluate(self.net, self.validation, metrics, average=average)

    def call_back(self, metrics: Mapping[str, float]) -> None:
        """Every callback hears of the epoch, also where one of them stops the training."""
        epoch, callbacks = self.n_done, self.watching.callbacks
        self.note_parameters()
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

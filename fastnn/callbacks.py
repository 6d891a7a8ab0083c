"""What `Network.fit` calls after each epoch: to stop, to keep a file, to write down the metrics.

A function ``f(net, epoch, metrics)`` is a callback too. A callback may use the network, but not
train it; raising `StopTraining` ends the training, any other exception ends the call with it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import _validation
from fastnn._description import entries, integer
from fastnn._extras import import_extra
from fastnn._keywords import checked_keywords
from fastnn.metrics import larger_is_better

if TYPE_CHECKING:
    from fastnn.network import Network

PathLike = str | os.PathLike[str]
CallbackFunction = Callable[["Network", int, Mapping[str, float]], Any]


class StopTraining(Exception):
    """Raised by a callback after an epoch: the training ends there, and `fit` returns."""


class Callback:
    """A callback: a subclass defines those of these methods that it needs."""

    def check(self, names: Sequence[str]) -> None:
        """Refuses a training without what this needs; nothing has changed yet.

        Parameters
        ----------
        names : sequence of str
            Keys of the history.

        Raises
        ------
        ValueError
        """

    def on_fit_begin(self, net: Network) -> None:
        """Before the first epoch. ``net.history`` has the epochs done before a resumed call."""

    def on_epoch_end(self, net: Network, epoch: int, metrics: Mapping[str, float]) -> None:
        """After an epoch, its validation included.

        Parameters
        ----------
        net : Network
        epoch : int
            Counts from 1.
        metrics : mapping of str to float
            What the history holds of this epoch.
        """

    def on_fit_end(self, net: Network) -> None:
        """After the last epoch; not after an exception."""

    def state(self) -> dict[str, Any]:
        """What a checkpoint must hold so that a resumed training goes on: JSON values, and arrays.

        Returns
        -------
        dict of str to object
            Arrays are values of this dict, not inside of others.
        """
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from what `state` gave; after `on_fit_begin`.

        Raises
        ------
        TypeError, ValueError
            If it is anything else.
        """
        entries(state, [], f"the state of {type(self).__name__}")


_MODES = ("min", "max")


def _check_folder(path: str) -> None:
    """Refuses, before anything is trained, a file that cannot be written."""
    if not os.path.isdir(os.path.dirname(path) or "."):
        raise ValueError(f"path must be in a folder that exists, got {path!r}")


class _Watch:
    """Whether a metric has improved.

    Parameters
    ----------
    monitor : str
    mode : {None, "min", "max"}
        What is better; None: the name tells.
    min_delta : float
        What counts as an improvement is more than this.
    """

    def __init__(self, monitor: str, mode: str | None, min_delta: float = 0.0) -> None:
        if not isinstance(monitor, str):
            raise TypeError(
                f"monitor must be a key of the history, got {_validation.shown(monitor)}"
            )
        if mode is not None:
            mode = _validation.spelled(mode, _MODES, "mode", {})
        self.monitor = monitor
        self._is_to_grow = larger_is_better(monitor) if mode is None else mode == "max"
        self.min_delta = min_delta
        self.best: float | None = None

    def check(self, names: Sequence[str]) -> None:
        if self.monitor not in names:
            needs = ""
            if self.monitor.startswith("val_") and "val_loss" not in names:
                needs = (
                    "; give fit validation_data or validation_split, or an estimator "
                    "early_stopping=True"
                )
            raise ValueError(
                f"monitor must be one of {', '.join(names)}, got {self.monitor!r}{needs}"
            )
        if self._is_to_grow is None:
            raise ValueError(
                f"mode must be 'min' or 'max' with monitor={self.monitor!r}, whose name does not "
                f"tell, as names that end in loss, error, accuracy or score do"
            )

    def improves(self, metrics: Mapping[str, float]) -> bool:
        """Whether these are the best so far, which they are from now on."""
        value = metrics[self.monitor]
        if isnan(value):
            return False
        sign = 1 if self._is_to_grow else -1
        if self.best is not None and not sign * (value - self.best) > self.min_delta:
            return False
        self.best = value
        return True

    def set_best(self, value: Any) -> None:
        if value is not None and type(value) is not float:
            raise ValueError(f"best must be a number or null, got {_validation.short(value)}")
        self.best = value


class EarlyStopping(Callback):
    """Ends the training when a metric has not improved for some epochs.

    Parameters
    ----------
    monitor : str
        A key of the history.
    patience : int
        Epochs without an improvement after which the training ends.
    min_delta : float
        What the metric must improve by, more than that.
    restore_best : bool
        Whether the network gets the parameters of the best epoch at the end. It needs a `monitor`
        of the validation data: the loss of the training samples is measured before the epoch's
        updates, so no parameters belong to it.
    mode : {None, "min", "max"}
        Whether `monitor` is to fall or to grow. None: its name tells; a loss or an error is to
        fall, an accuracy or a score to grow.

    Attributes
    ----------
    best_epoch : int
        Counts from 1; 0 before the first one.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.
    """

    @checked_keywords
    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 10,
        min_delta: float = 0.0,
        restore_best: bool = True,
        mode: str | None = None,
    ) -> None:
        self._watch = _Watch(monitor, mode, _validation.non_negative_number(min_delta, "min_delta"))
        self.patience = _validation.positive_int(patience, "patience")
        self.restore_best = _validation.boolean(restore_best, "restore_best")
        self.best_epoch = 0
        self._wait = 0
        self._best_model: dict[str, Any] = {}

    def check(self, names: Sequence[str]) -> None:
        self._watch.check(names)
        if self.restore_best and not self._watch.monitor.startswith("val_"):
            raise ValueError(
                f"restore_best needs a monitor of the validation data, got "
                f"monitor={self._watch.monitor!r}: it is measured before the updates of its epoch; "
                f"give validation data and monitor 'val_{self._watch.monitor}', or "
                f"restore_best=False"
            )

    def on_fit_begin(self, net: Network) -> None:
        self._watch.best = None
        self.best_epoch = self._wait = 0
        self._best_model = {}

    def on_epoch_end(self, net: Network, epoch: int, metrics: Mapping[str, float]) -> None:
        if self._watch.improves(metrics):
            self.best_epoch, self._wait = epoch, 0
            if self.restore_best:
                with net._access.reading():
                    self._best_model = net._built()[1].snapshot()
            return
        self._wait += 1
        if self._wait >= self.patience:
            raise StopTraining

    def on_fit_end(self, net: Network) -> None:
        if self._best_model:
            plan, state = net._built()
            with net._access.writing():
                state.restore(self._best_model, net._architecture, plan.n_features)
            self._best_model = {}

    def state(self) -> dict[str, Any]:
        counters = {"best": self._watch.best, "best_epoch": self.best_epoch, "wait": self._wait}
        return counters | self._best_model

    def set_state(self, state: dict[str, Any]) -> None:
        counters = {name: value for name, value in state.items() if not is_array(value)}
        best, best_epoch, wait = entries(
            counters, ["best", "best_epoch", "wait"], "the state of EarlyStopping"
        )
        self._watch.set_best(best)
        self.best_epoch = integer(best_epoch, _validation.MAX_SIZE, "best_epoch")
        self._wait = integer(wait, _validation.MAX_SIZE, "wait")
        self._best_model = {name: value for name, value in state.items() if is_array(value)}


class Checkpoint(Callback):
    """Keeps the network in a file, from which `Network.fit` can go on: ``resume_from=path``.

    The file is one of `Network.save`'s, and `Network.load` reads it. It is replaced in one move, so
    there is always a whole one. It is written after all other callbacks have seen the epoch.

    Parameters
    ----------
    path : str or path-like
        Each checkpoint replaces the one before.
    every : int
        Epochs from one checkpoint to the next.
    best_only : bool
        Whether to write only where `monitor` is better than at each checkpoint before.
    monitor : str
        A key of the history, as for `EarlyStopping`.
    mode : {None, "min", "max"}
        As for `EarlyStopping`.
    every_blocks : int, optional
        Of samples that are streamed in blocks (see `Network.fit`): writes in the middle of an epoch
        too, after each so many of its blocks.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above, or `every_blocks` is given with `best_only`.
    """

    @checked_keywords
    def __init__(
        self,
        path: PathLike,
        every: int = 1,
        best_only: bool = False,
        monitor: str = "val_loss",
        mode: str | None = None,
        every_blocks: int | None = None,
    ) -> None:
        self.path = _validation.checked_path(path)
        self.every = _validation.positive_int(every, "every")
        self.best_only = _validation.boolean(best_only, "best_only")
        if every_blocks is not None:
            every_blocks = _validation.positive_int(every_blocks, "every_blocks")
            if self.best_only:
                raise ValueError(
                    f"every_blocks must be None with best_only, which compares whole epochs, got "
                    f"{every_blocks}"
                )
        self.every_blocks = every_blocks
        self._watch = _Watch(monitor, mode)

    def check(self, names: Sequence[str]) -> None:
        _check_folder(self.path)
        if self.best_only:
            self._watch.check(names)

    def on_fit_begin(self, net: Network) -> None:
        self._watch.best = None

    def is_due(self, epoch: int, metrics: Mapping[str, float]) -> bool:
        """Whether to write after this epoch."""
        return epoch % self.every == 0 and (not self.best_only or self._watch.improves(metrics))

    def is_due_after(self, n_blocks: int) -> bool:
        """Whether to write after so many blocks of an epoch, in the middle of it."""
        return self.every_blocks is not None and n_blocks % self.every_blocks == 0

    def state(self) -> dict[str, Any]:
        return {"best": self._watch.best}

    def set_state(self, state: dict[str, Any]) -> None:
        self._watch.set_best(*entries(state, ["best"], "the state of Checkpoint"))


class CSVLog(Callback):
    """Writes a table of comma-separated values: a row an epoch, with a head.

    Parameters
    ----------
    path : str or path-like
        Is replaced when a training begins; one that is resumed writes the earlier epochs again.

    Raises
    ------
    TypeError, ValueError
        If `path` cannot name a file.
    """

    @checked_keywords
    def __init__(self, path: PathLike) -> None:
        self.path = _validation.checked_path(path)

    def check(self, names: Sequence[str]) -> None:
        _check_folder(self.path)

    def on_fit_begin(self, net: Network) -> None:
        history = net.history
        rows = zip(*history.values(), strict=True)
        self._write("w", [["epoch", *history], *([i, *row] for i, row in enumerate(rows, 1))])

    def on_epoch_end(self, net: Network, epoch: int, metrics: Mapping[str, float]) -> None:
        self._write("a", [[epoch, *metrics.values()]])

    def _write(self, mode: str, rows: Iterable[Iterable[Any]]) -> None:
        import csv

        with open(self.path, mode, newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)


class TensorBoardLog(Callback):
    """Writes the metrics for TensorBoard, the training samples' beside the validation data's.

    Parameters
    ----------
    folder : str or path-like
        Gets the folders ``train`` and ``validation``. A run of its own each: TensorBoard shows the
        files of one folder as one run.

    Raises
    ------
    TypeError, ValueError
        If `folder` cannot name a folder.
    ImportError
        If TensorBoard is not installed.
    """

    @checked_keywords
    def __init__(self, folder: PathLike) -> None:
        self.folder = _validation.checked_path(folder)
        _import_tensorboard()
        self._writers: dict[str, Any] = {}

    def on_fit_begin(self, net: Network) -> None:
        event_class, session, _, writer_class = _import_tensorboard()
        start = net.history.n_epochs + 1
        runs = ["train"] + ["validation"] * any(name.startswith("val_") for name in net.history)
        self.on_fit_end(net)  # of a call that an exception has ended
        for run in runs:
            writer = self._writers[run] = writer_class(os.path.join(self.folder, run))
            # TensorBoard forgets what an earlier writer has told of this step and later ones
            log = session(status=session.START)
            writer.add_event(event_class(wall_time=time.time(), step=start, session_log=log))

    def on_epoch_end(self, net: Network, epoch: int, metrics: Mapping[str, float]) -> None:
        event_class, _, summary_class, _ = _import_tensorboard()
        for run, writer in self._writers.items():
            values = [
                summary_class.Value(tag=name.removeprefix("val_"), simple_value=value)
                for name, value in metrics.items()
                if name.startswith("val_") == (run == "validation")
            ]
            summary = summary_class(value=values)
            writer.add_event(event_class(wall_time=time.time(), step=epoch, summary=summary))
            writer.flush()

    def on_fit_end(self, net: Network) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}


def _import_tensorboard() -> tuple[Any, Any, Any, Any]:
    module = "tensorboard.summary.writer.event_file_writer"
    EventFileWriter = import_extra(module, "TensorBoard", "tensorboard").EventFileWriter
    from tensorboard.compat.proto.event_pb2 import Event, SessionLog
    from tensorboard.compat.proto.summary_pb2 import Summary

    return Event, SessionLog, Summary, EventFileWriter


class Function(Callback):
    """A plain function as a callback."""

    def __init__(self, function: CallbackFunction) -> None:
        self._function = function

    def on_epoch_end(self, net: Network, epoch: int, metrics: Mapping[str, float]) -> None:
        self._function(net, epoch, metrics)


CallbacksLike = Callback | CallbackFunction | Iterable[Callback | CallbackFunction]


def checked_callbacks(callbacks: CallbacksLike) -> tuple[Callback, ...]:
    """`callbacks` of a fit, in the order in which they are called: checkpoints are the last.

    Raises
    ------
    TypeError
        If one is neither a `Callback` nor callable.
    """
    if isinstance(callbacks, Callback) or callable(callbacks):
        callbacks = [callbacks]
    if not isinstance(callbacks, Iterable) or isinstance(callbacks, (str, bytes, Mapping)):
        raise TypeError(
            f"callbacks must be callbacks or functions f(net, epoch, metrics), got "
            f"{_validation.shown(callbacks)}"
        )
    checked = []
    for i, callback in enumerate(callbacks):
        if isinstance(callback, Callback):
            checked.append(callback)
        elif callable(callback) and not isinstance(callback, type):
            checked.append(Function(callback))
        else:
            raise TypeError(
                f"callbacks[{i}] must be a callback or a function f(net, epoch, metrics), got "
                f"{_validation.shown(callback)}"
            )
    return tuple(sorted(checked, key=lambda callback: isinstance(callback, Checkpoint)))


def is_array(value: Any) -> bool:
    """Whether a value of a callback's state is stored as a tensor."""
    return isinstance(value, np.ndarray)

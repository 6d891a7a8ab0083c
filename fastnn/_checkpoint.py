"""Networks in model files, and how far a fit has come beside them; see `fastnn.Checkpoint`.

What a fit adds is the description's entry ``fit`` and the tensors whose names begin with ``fit.``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from fastnn import _validation
from fastnn._averages import Average, Averaging
from fastnn._copies import rebuild
from fastnn._description import entries, text
from fastnn.callbacks import Callback, Function, is_array
from fastnn.history import History

if TYPE_CHECKING:
    from fastnn._architecture import Architecture
    from fastnn._core.plan import Plan
    from fastnn._state import State
    from fastnn.network import Network

Array = npt.NDArray[Any]
NetworkType = TypeVar("NetworkType", bound="Network")

_KEY, _PREFIX = "fit", "fit."
_HISTORY = f"{_PREFIX}history"
_MAX_SAMPLES = 2**53
_MAX_AVERAGED = 2**53  # steps: as many as a network may have taken
_LAST = f"{_PREFIX}last."  # the numbers of the last step, where the network is an average


@dataclass(frozen=True)
class EpochPosition:
    """A place between two blocks of an epoch.

    Attributes
    ----------
    n_samples : int
        Of the epoch so far.
    block_size : int
    loss, hits, weight : float
        Sums over these samples; see `Trainer.epoch_sums`.
    """

    n_samples: int
    block_size: int
    loss: float
    hits: float
    weight: float

    @property
    def sums(self) -> tuple[float, float, float]:
        """As `Trainer.epoch_sums`."""
        return self.loss, self.hits, self.weight

    @property
    def n_blocks(self) -> int:
        """Of the epoch so far."""
        return self.n_samples // self.block_size

    @classmethod
    def read(cls, description: Any) -> EpochPosition:
        """From what `dataclasses.asdict` gave; ValueError or TypeError for anything else."""
        n_samples, block_size, loss, *sums = entries(
            description, ["n_samples", "block_size", "loss", "hits", "weight"], "position"
        )
        block_size = _validation.positive_int(block_size, "block_size", _validation.MAX_SIZE)
        n_samples = _validation.positive_int(n_samples, "n_samples", _MAX_SAMPLES)
        if n_samples % block_size != 0:
            raise ValueError(
                f"n_samples must be whole blocks of {block_size} samples, got {n_samples}"
            )
        hits, weight = (
            _validation.non_negative_number(value, name)
            for name, value in zip(("hits", "weight"), sums, strict=True)
        )
        loss = _validation.finite_number(loss, "loss")
        return cls(n_samples, block_size, loss, hits, weight)


@dataclass(frozen=True)
class FitProgress:
    """All that a fit needs to go on, but the network.

    Attributes
    ----------
    history : History
        Of the epochs that are done.
    stopped : bool
        Whether a callback has ended the training.
    callbacks : sequence of (str, dict)
        Class and state of each, but for plain functions, which have none.
    averaging : Averaging
        What the call was asked to average.
    averaged : int or None
        How many models the network in the file is the average of; None: it is none.
    position : EpochPosition or None
        Where the next epoch is; None: at its beginning.
    """

    history: History
    stopped: bool
    callbacks: Sequence[tuple[str, dict[str, Any]]]
    averaging: Averaging
    averaged: int | None = None
    position: EpochPosition | None = None

    @classmethod
    def of(
        cls,
        history: History,
        stopped: bool,
        callbacks: Sequence[Callback],
        averaging: Averaging,
        position: EpochPosition | None = None,
    ) -> FitProgress:
        import json  # here: it makes the import of fastnn longer

        states = [(_kind(each), each.state()) for each in with_states(callbacks)]
        for kind, state in states:
            if not isinstance(state, dict):
                raise TypeError(f"{kind}.state must return a dict, got {_validation.shown(state)}")
            try:
                values = {name: value for name, value in state.items() if not is_array(value)}
                json.dumps(values, allow_nan=False)
            except (TypeError, ValueError) as error:
                raise TypeError(
                    f"{kind}.state must return a dict of arrays and what JSON can hold: {error}"
                ) from error
        return cls(history, stopped, states, averaging, position=position)

    def parts(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """What goes into the description and to the tensors of a model file."""
        described, tensors = [], {_HISTORY: np.array(list(self.history.values()), np.float64)}
        for i, (kind, state) in enumerate(self.callbacks):
            arrays = {name: value for name, value in state.items() if is_array(value)}
            tensors |= {f"{_PREFIX}{i}.{name}": value for name, value in arrays.items()}
            values = {name: value for name, value in state.items() if name not in arrays}
            described.append({"kind": kind, "state": values})
        description = {
            "history": list(self.history),
            "stopped": self.stopped,
            "callbacks": described,
            "averaging": asdict(self.averaging),
            "averaged": self.averaged,
        }
        if self.position is not None:
            description["position"] = asdict(self.position)
        return {_KEY: description}, tensors

    @classmethod
    def taken(cls, description: dict[str, Any], tensors: dict[str, Array]) -> FitProgress | None:
        """Takes its part out of what a model file holds; None where there is none.

        Raises
        ------
        ValueError
            If it is not what `parts` gives.
        """
        own = {name: tensors.pop(name) for name in list(tensors) if name.startswith(_PREFIX)}
        if _KEY not in description:
            entries(own, [], "the tensors of a fit")
            return None
        of_fit, position = description.pop(_KEY), None
        if isinstance(of_fit, dict) and "position" in of_fit:
            of_fit = dict(of_fit)
            position = _read(EpochPosition.read, of_fit.pop("position"))
        names, stopped, described, averaging, averaged = entries(
            of_fit, ["history", "stopped", "callbacks", "averaging", "averaged"], _KEY
        )
        history = _read_history(names, own.pop(_HISTORY, None))
        if not isinstance(described, list):
            raise ValueError(f"callbacks must be a list, got {_validation.short(described)}")
        callbacks = []
        for i, each in enumerate(described):
            kind, state = entries(each, ["kind", "state"], f"callbacks[{i}]")
            if not isinstance(state, dict):
                raise ValueError(f"a state must be an object, got {_validation.short(state)}")
            prefix = f"{_PREFIX}{i}."
            of_this = [name for name in own if name.startswith(prefix)]
            arrays = {name.removeprefix(prefix): own.pop(name) for name in of_this}
            callbacks.append((text(kind, "kind"), state | arrays))
        entries(own, [], "the other tensors of a fit")
        if averaged is not None:
            averaged = _read(_validation.positive_int, averaged, "averaged", _MAX_AVERAGED)
        return cls(
            history,
            _read(_validation.boolean, stopped, "stopped"),
            callbacks,
            _read(Averaging.read, averaging),
            averaged,
            position,
        )

    def check(
        self,
        epochs: int,
        names: Sequence[str],
        callbacks: Sequence[Callback],
        averaging: Averaging,
    ) -> None:
        """Refuses a call that cannot go on from here.

        Raises
        ------
        ValueError
        """
        if list(self.history) != list(names):
            raise ValueError(
                f"resume_from needs the metrics of the call that made the checkpoint: its history "
                f"has {', '.join(self.history)}, that of this call {', '.join(names)}"
            )
        n_begun = self.history.n_epochs + (self.position is not None)
        if epochs < n_begun:
            raise ValueError(
                f"epochs must be at least {n_begun}, which resume_from has done already, or begun, "
                f"got {epochs}"
            )
        for name, value in asdict(self.averaging).items():
            if getattr(averaging, name) != value:
                raise ValueError(
                    f"{name} must be {value}, as in the call that made the checkpoint, got "
                    f"{getattr(averaging, name)}"
                )
        kinds = [kind for kind, _ in self.callbacks]
        told = [_kind(each) for each in with_states(callbacks)]
        if kinds != told:
            raise ValueError(
                f"callbacks must be those of the call that made the checkpoint: "
                f"{', '.join(kinds) or 'none'}, got {', '.join(told) or 'none'}"
            )


@dataclass(frozen=True)
class Resumed:
    """What a checkpoint holds: a network, and how far its fit had come."""

    net: Network
    progress: FitProgress
    average: Average | None


@dataclass(frozen=True)
class Before:
    """A network before a checkpoint takes its place.

    Attributes
    ----------
    architecture, plan, history
        Of the network.
    state : State or None
        With copies of the numbers.
    """

    architecture: Architecture
    plan: Plan | None
    state: State | None
    history: History

    @classmethod
    def of(cls, net: Network) -> Before:
        state = net._state
        if state is not None:
            parameters, running = state.parameters.copy(), state.running.copy()
            state = replace(state, parameters=parameters, running=running)
        return cls(net._architecture, net._plan, state, net._history)

    def come_back(self, net: Network) -> None:
        """Makes it what it was."""
        with net._access.writing():
            net._architecture, net._history = self.architecture, self.history
            if self.state is not None and net._state is not None:
                net._state.take_over(self.state)
                net._plan = self.plan
            else:
                net._plan = net._state = None


def write(net: Network, path: Any, progress: FitProgress | None = None) -> None:
    """Writes a network to a file, with the progress of a fit.

    Where the fit averages, the file's network is the average, as the fit's would be in the end, and
    the numbers that training goes on from are tensors of their own.
    """
    from fastnn import _files  # here: hashlib and json cost a quarter of the import otherwise

    description, tensors = net.to_data()
    if progress is not None:
        average = net._built()[1].average
        if average is not None:
            progress = replace(progress, averaged=average.count)
            model = {"parameters": average.parameters, "running": average.running}
            names = [name for name in model if name in tensors]
            tensors |= {f"{_LAST}{name}": tensors[name] for name in names}
            tensors |= {name: model[name].copy() for name in names}
        of_fit, tensors_of_fit = progress.parts()
        description, tensors = description | of_fit, tensors | tensors_of_fit
    _files.write_model(path, description, tensors)


def read(
    path: Any, network_class: type[NetworkType]
) -> tuple[NetworkType, NetworkType, FitProgress | None]:
    """What `write` has written; ValueError for anything else.

    Returns
    -------
    net, last : Network
        The network of the file, and the one that training goes on from: another one only where the
        first is an average.
    progress : FitProgress or None
    """
    from fastnn import _files

    description, tensors = _files.read_model(path)
    try:
        names = [name for name in tensors if name.startswith(_LAST)]
        last = {name.removeprefix(_LAST): tensors.pop(name) for name in names}
        progress = FitProgress.taken(description, tensors)
        is_average = progress is not None and progress.averaged is not None
        if bool(last) != is_average:
            raise ValueError("averaged must say whether there are tensors of the last step")
        net = rebuild(description, tensors, network_class)
        if not is_average:
            return net, net, progress
        return net, rebuild(description, tensors | last, network_class), progress
    except ValueError as error:
        raise ValueError(f"cannot load {str(path)!r}: {error}") from error


def read_resumed(path: Any, net: Network) -> Resumed:
    """What a checkpoint of a network like `net` holds; ValueError for any other file."""
    from fastnn.network import Network

    try:
        model, there, progress = read(path, Network)
    except ValueError as error:
        raise ValueError(f"resume_from must be a checkpoint: {error}") from error
    if progress is None:
        raise ValueError(
            f"resume_from must be a file written by fastnn.Checkpoint, {str(path)!r} holds a "
            f"network alone; Network.load reads it, and fit goes on from there"
        )
    for name in ("layers", "loss", "dtype", "n_features"):
        found, expected = getattr(there, name), getattr(net, name)
        if found != expected and not (name == "n_features" and expected is None):
            raise ValueError(
                f"resume_from must be a checkpoint of a network like this one, with {name} "
                f"{_validation.short(expected)}, got {_validation.short(found)}"
            )
    average = None
    if progress.averaged is not None:
        average = Average.begun(model._built()[1], progress.averaged)
    return Resumed(there, progress, average)


def with_states(callbacks: Sequence[Callback]) -> list[Callback]:
    """All but plain functions."""
    return [each for each in callbacks if not isinstance(each, Function)]


def _kind(callback: Callback) -> str:
    return type(callback).__name__


def _read_history(names: Any, numbers: Any) -> History:
    if not isinstance(names, list) or len({text(name, "a name") for name in names}) < len(names):
        raise ValueError(
            f"history must be a list of different names, got {_validation.short(names)}"
        )
    is_table = isinstance(numbers, np.ndarray) and numbers.ndim == 2
    if not is_table or len(numbers) != len(names) or numbers.dtype != np.float64:
        raise ValueError(f"the tensor {_HISTORY} must be of float64, of a row for each name")
    return History(zip(names, numbers.tolist(), strict=True))


def _read(check: Callable[..., Any], *arguments: Any) -> Any:
    """What a check of `_validation` gives; ValueError for anything else."""
    try:
        return check(*arguments)
    except TypeError as error:
        raise ValueError(str(error)) from None

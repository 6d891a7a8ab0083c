"""Many networks in one call, a network a thread, over one X."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import _validation
from fastnn._core.signals import Stopped, check_stop, stop_when
from fastnn._data import FitData, samples_of
from fastnn._epochs import FitLoop
from fastnn._fit import prepare
from fastnn._keywords import check_keywords
from fastnn._options import FitOptions
from fastnn._progress import progress_bar
from fastnn._sparse import SparseRows
from fastnn._streams import refuse_chunks
from fastnn._threads import start
from fastnn.config import choose_threads, get_num_threads, threads_here
from fastnn.history import History
from fastnn.network import Network

Array = npt.NDArray[Any]

#: The arguments of one `Network.fit`, by name.
Settings = Mapping[str, Any]

_FIT_DEFAULTS: dict[str, Any] = Network.fit.__wrapped__.__kwdefaults__  # type: ignore[attr-defined]
_OF_THE_CALL = ("X", "rows", "threads", "progress")
# What `Network.fit` itself takes sequences for.
_SEQUENCES = ("validation_data", "sample_weight", "metrics", "callbacks")

# Between two looks at signals and the progress, and what threads get to end after Ctrl-C.
_LOOK_SECONDS = 0.1
_GRACE_SECONDS = 0.7
_MOST_NAMED = 5
_LAYOUT = "{desc} {percentage:3.0f}%|{bar}| [{elapsed}<{remaining}, {rate_fmt}]"


def fit_many(
    networks: Sequence[Network],
    X: npt.ArrayLike,
    y: npt.ArrayLike | None,
    *,
    rows: Sequence[npt.ArrayLike | None] | None = None,
    settings: Sequence[Settings] | None = None,
    threads: int | None = None,
    progress: bool = False,
    **common: Any,
) -> list[History]:
    """Trains many networks side by side, a network a thread, over one X.

    Each network ends as by ``net.fit(X[rows], y[rows], ...)``, to the bit, however many there are
    and however many run at a time. It has one thread of its own, and the next in line begins where
    one has finished: the longest ones first. X is checked and converted once, and the rows of a
    network are not copied.

    Parameters
    ----------
    networks : sequence of Network
        Different ones, of any layers, for inputs of as many columns as X has.
    X : array-like or sparse matrix of shape (n_samples, n_features)
        As for `Network.fit`, but not in chunks. A memory-mapped file is read where it is, and
        shuffled as an array: nothing is streamed.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), or None
        As for `Network.fit`: of all networks that have no ``"y"`` of their own in `settings`.
    rows : sequence of array-like or None, optional
        For each network the rows of X that it is trained on: numbers of rows, in [0, n_samples),
        in any order and as often as one likes, or a mask of n_samples booleans. None: all rows.
    settings : sequence of dict, optional
        For each network arguments of `Network.fit` that are its own, such as ``{"epochs": 20,
        "learning_rate": 1e-2}``. With ``"y"`` it has targets of its own. They go before `common`.
        What has an entry a sample (``"y"``, ``"sample_weight"``) has one for each row of X.
    threads : int, optional
        The most to use, for all networks together. None: as many as `set_num_threads` says. Where
        there are fewer networks than threads, the others help one network at a time.
    progress : bool
        Whether to show one bar for the epochs of all networks.
    **common
        Arguments of `Network.fit` for all networks, each the one value that `fit` takes: what
        differs from network to network, such as a list of learning rates, goes into `settings`. A
        `Callback` object that several networks get is copied for each; a function is called by all
        of them, in several threads.

    Returns
    -------
    list of History
        Of each network.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above, or is refused by `Network.fit`; the error says by which
        network. No network has changed then.
    RuntimeError
        If another call trains one of the networks at the moment. No network has changed then.
    MemoryError
        If the buffers of all networks cannot be allocated. No network has changed then.
    ExceptionGroup
        If networks have failed, by a divergence or in a callback, when all others are trained. It
        holds an error for each, with a note that names it; ``net.history`` has the epochs of every
        network.

    Notes
    -----
    X is one array: chunks are refused, and a mapped file is read in place and not streamed, as
    `Network.fit` does it with one that fits one block.

    Ctrl-C ends all of them. Each keeps the parameters of its last finished mini-batch, and those
    that have not begun stay as they were. A callback that takes long at that moment ends in its
    thread, and its network stays refused to others until then.

    Callbacks and metrics run in the network's thread. They should compute in NumPy or fastnn: other
    Python code of one network lets the others wait.

    Examples
    --------
    >>> from fastnn import Network, fit_many
    >>> from fastnn.datasets import load_digits
    >>> X, y = load_digits()
    >>> networks = [Network.from_sizes([64, 32, 10], output="softmax", seed=i) for i in range(4)]
    >>> settings = [{"learning_rate": rate} for rate in (1e-4, 1e-3, 1e-2, 1e-1)]
    >>> histories = fit_many(networks, X, y, settings=settings, epochs=5)
    >>> len(histories)
    4
    """
    nets = checked_networks(networks)
    own = _checked_settings(settings, len(nets))
    _check_common(common)
    fits = [{"y": y, **common, **each} for each in own]
    shown = _validation.boolean(progress, "progress")
    return histories_of(fit_each(nets, X, fits, rows, threads, shown))


def fit_each(
    networks: Sequence[Network],
    X: Any,
    fits: Sequence[Settings],
    rows: Any = None,
    threads: int | None = None,
    progress: bool = False,
    stacklevel: int = 2,
) -> list[History | Exception]:
    """What `fit_many` does; an error stands in the place of the history of a network that failed.

    Parameters
    ----------
    networks, X, rows, threads, progress
        As for `fit_many`.
    fits : sequence of dict
        The arguments of each network's fit.
    stacklevel : int
        As for `warnings.warn`, from the caller of this function on.
    """
    most = get_num_threads() if threads is None else choose_threads(threads, 0.0)
    side_by_side = min(most, len(networks))
    share = most - side_by_side + 1  # of the one that has the team: there is one team
    crew = _Crew(networks, share)
    try:
        crew.enter()
        with threads_here(share):
            crew.take_on(_prepared(networks, X, fits, rows, stacklevel + 1))
        return crew.run(side_by_side, progress)
    finally:
        crew.leave()


def checked_networks(networks: Any) -> list[Network]:
    """Different networks, at least one.

    Raises
    ------
    TypeError, ValueError
    """
    if isinstance(networks, Network) or not isinstance(networks, Iterable):
        raise TypeError(
            f"networks must be a sequence of networks, got {_validation.shown(networks)}"
        )
    checked: list[Network] = []
    places: dict[int, int] = {}
    for i, net in enumerate(networks):
        if not isinstance(net, Network):
            raise TypeError(f"networks[{i}] must be a Network, got {_validation.shown(net)}")
        if id(net) in places:
            raise ValueError(
                f"networks must be different ones, got the same one as networks[{places[id(net)]}] "
                f"and networks[{i}]; pass a copy (net.copy())"
            )
        places[id(net)] = i
        checked.append(net)
    if not checked:
        raise ValueError("networks must hold at least one network, got none")
    return checked


def _checked_settings(settings: Any, n_networks: int) -> list[Settings]:
    if settings is None:
        return [{}] * n_networks
    _check_length(settings, n_networks, "settings", "dict of arguments of fit")
    for i, each in enumerate(settings):
        if not isinstance(each, Mapping):
            raise TypeError(
                f"settings[{i}] must be a dict of arguments of fit, got {_validation.shown(each)}"
            )
        for name in each:
            if not isinstance(name, str):
                raise TypeError(
                    f"settings[{i}] must have texts for names, got {_validation.shown(name)}"
                )
    return list(settings)


def _check_common(common: Settings) -> None:
    """Refuses lists in the place of one value: somebody means a value a network."""
    for name, value in common.items():
        if name in _SEQUENCES or name not in _FIT_DEFAULTS:
            continue
        if isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim > 0):
            raise TypeError(
                f"{name} must be one value, for all networks, got {_validation.shown(value)}; a "
                f"network's own goes into settings, a dict for each: "
                f"settings=[{{{name!r}: value}} for value in values]"
            )


def _check_length(value: Any, n_networks: int, name: str, what: str) -> None:
    """Of what has an entry for each network."""
    if isinstance(value, (str, Mapping)) or not hasattr(value, "__len__"):
        raise TypeError(
            f"{name} must be a sequence, a {what} for each network, got {_validation.shown(value)}"
        )
    if len(value) != n_networks:
        raise ValueError(
            f"{name} must have an entry for each of the {n_networks} networks, got {len(value)}"
        )


def _prepared(
    networks: Sequence[Network], X: Any, fits: Sequence[Settings], rows: Any, stacklevel: int
) -> list[FitLoop]:
    """All that can be refused, network by network; nothing has changed yet."""
    refuse_chunks(X, "X", "many networks")
    options = []
    for i, (net, fit) in enumerate(zip(networks, fits, strict=True)):
        with _Named(i):
            options.append(_options(net, fit))
    options = _with_own_callbacks(options)
    shared = _Shared(X, networks)
    if rows is not None:
        _check_length(rows, len(networks), "rows", "number of rows, a mask or None")
    loops = []
    for i, net in enumerate(networks):
        chosen = None
        if rows is not None and rows[i] is not None:
            chosen = checked_rows(rows[i], len(shared.X), f"rows[{i}]")
        with _Named(i):
            options[i].check_whole_epochs()
            data, targets = shared.for_network(net, fits[i]["y"])
            given = FitData.at_hand(*samples_of(net, data, targets, options[i], chosen))
            loops.append(prepare(net, X, given, options[i], stacklevel + 1))
    return loops


def _options(net: Network, fit: Settings) -> FitOptions:
    own = {name: value for name, value in fit.items() if name != "y"}
    for name in _OF_THE_CALL:
        if name in own:
            raise TypeError(f"{name} is of the whole call: it is no setting of a network")
    check_keywords(Network.fit, own)
    if own.get("block_size") is not None:
        raise ValueError("block_size must not be given for many networks: they stream no X")
    refuse_chunks(own.get("validation_data"), "validation_data", "many networks")
    options = FitOptions.checked(net, **{**_FIT_DEFAULTS, **own, "looks_at_scales": True})
    options.check_whole_epochs()
    return options


def _with_own_callbacks(options: Sequence[FitOptions]) -> list[FitOptions]:
    """With a copy of a callback for each network, where several got it.

    Raises
    ------
    ValueError
        If several would write the same file.
    """
    shares = Counter(id(each) for one in options for each in one.watching.callbacks)
    writers: dict[str, int] = {}
    result = []
    for i, one in enumerate(options):
        callbacks = []
        for each in one.watching.callbacks:
            path = getattr(each, "path", getattr(each, "folder", None))
            if isinstance(path, str):
                first = writers.setdefault(os.path.realpath(path), i)
                if first != i:
                    raise ValueError(
                        f"callbacks must write files of their own, got {path!r} for networks["
                        f"{first}] and networks[{i}]; give each its own in settings"
                    )
            callbacks.append(deepcopy(each) if shares[id(each)] > 1 else each)
        watching = replace(one.watching, callbacks=tuple(callbacks))
        result.append(replace(one, watching=watching))
    return result


def checked_rows(rows: Any, n_samples: int, name: str) -> Array:
    """The numbers of some rows, of which a user gives these or a mask; a copy.

    Raises
    ------
    TypeError, ValueError
    """
    array = np.array(rows)
    if array.dtype == np.bool_:
        if array.shape != (n_samples,):
            raise ValueError(
                f"{name}, a mask, must be of shape ({n_samples},), got shape {array.shape}"
            )
        chosen = np.flatnonzero(array)
    elif array.ndim != 1 or (array.dtype.kind not in "iu" and array.size > 0):
        raise TypeError(
            f"{name} must be numbers of rows, of shape (n,), or a mask, got {array.dtype} of shape "
            f"{array.shape}"
        )
    else:
        if array.size > 0 and (array.min() < 0 or array.max() >= n_samples):
            raise ValueError(
                f"{name} must be rows in [0, {n_samples}), got numbers from {array.min()} to "
                f"{array.max()}"
            )
        chosen = array.astype(np.int64, copy=False)
    if len(chosen) == 0:
        raise ValueError(f"{name} must have at least one row, got none")
    return chosen


class _Shared:
    """X and targets, checked and converted once for all networks that read them alike.

    Parameters
    ----------
    X : array-like
    networks : sequence of Network
    """

    def __init__(self, X: Any, networks: Sequence[Network]) -> None:
        dtypes = {net.dtype for net in networks}
        self._X: dict[np.dtype[Any], Array | SparseRows] = {}
        for dtype in dtypes:
            array = _validation.samples(X, None, dtype, at_least=1)
            _validation.finite(array, dtype, "X")
            self._X[dtype] = array
        self.X = array
        self._targets: dict[tuple[Any, ...], Array] = {}

    def for_network(self, net: Network, y: Any) -> tuple[Array | SparseRows, Array]:
        """As the core reads them."""
        X = net._architecture.checked_samples(self._X[net.dtype], net.n_features)
        architecture = net._architecture
        key = (
            id(y),
            architecture.loss.n_targets(net.n_outputs),
            architecture.loss.name,
            architecture.target_kind,
            net.dtype,
        )
        if key not in self._targets:
            self._targets[key] = architecture.checked_targets(y, X)
        return X, self._targets[key]


class _Named:
    """A context whose errors say which network they are about."""

    def __init__(self, i: int) -> None:
        self._i = i

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, _: Any) -> None:
        if error is not None and type(error) in (TypeError, ValueError, RuntimeError):
            raise type(error)(f"networks[{self._i}]: {error}") from None


class _Crew:
    """Threads that train networks, one at a time each.

    Parameters
    ----------
    networks : sequence of Network
    share : int
        Threads that a network may use.
    """

    def __init__(self, networks: Sequence[Network], share: int) -> None:
        n = len(networks)
        self._held = [net._access.training() for net in networks]
        self._share = share
        self._loops: list[FitLoop | None] = []
        self._waiting = deque(range(n))  # for their turn
        self._results: list[History | Exception | None] = [None] * n
        self._totals, self._done = [0] * n, [0.0] * n
        self._ended: SimpleQueue[int] = SimpleQueue()
        self._failure: BaseException | None = None
        self._stop = threading.Event()

    def enter(self) -> None:
        """Has the networks to itself from now on."""
        for i, access in enumerate(self._held):
            with _Named(i):
                access.__enter__()

    def leave(self) -> None:
        """Gives back those networks whose turn has not come; a thread gives back its own."""
        while (i := self._next()) is not None:
            self._held[i].__exit__(None, None, None)

    def take_on(self, loops: Sequence[FitLoop]) -> None:
        """What there is to do: what takes longest is to come first."""
        self._loops = list(loops)
        self._totals = [loop.epochs - loop.n_before for loop in loops]
        work = [
            n_epochs * (loop.n_samples or 0) * loop.state.parameters.size
            for n_epochs, loop in zip(self._totals, loops, strict=True)
        ]
        self._waiting = deque(sorted(self._waiting, key=lambda i: -work[i]))

    def run(self, n_threads: int, progress: bool) -> list[History | Exception]:
        """Trains them all.

        Raises
        ------
        BaseException
            What has ended the call: Ctrl-C, or a callback's exit.
        """
        threads: list[threading.Thread] = []
        try:
            for _ in range(n_threads):
                thread = threading.Thread(target=self._work, name="fastnn network", daemon=True)
                try:
                    start(thread)
                except (RuntimeError, MemoryError):  # no more can be made: fewer do the work
                    if not threads:
                        raise
                    break
                threads.append(thread)
            self._wait(progress)
        except BaseException:
            self._stop.set()
            deadline = time.monotonic() + _GRACE_SECONDS
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))
            raise
        for thread in threads:
            thread.join()
        return [each for each in self._results if each is not None]

    def _wait(self, progress: bool) -> None:
        """Until all have ended, or one of them ends the call."""
        total = sum(self._totals) if progress else None
        n_ended, n = 0, len(self._held)
        with progress_bar(total, "epochs", unit_scale=False, bar_format=_LAYOUT) as bar:
            while n_ended < n:
                with suppress(Empty):
                    self._ended.get(timeout=_LOOK_SECONDS)
                    n_ended += 1
                check_stop()  # of a thread of another such call
                if self._failure is not None:
                    raise self._failure
                if bar is not None:
                    bar.set_description(f"{n_ended}/{n} networks", refresh=False)
                    bar.update(sum(self._done) - bar.n)

    def _next(self) -> int | None:
        """Whose turn it is: whoever asks gets another one."""
        try:
            return self._waiting.popleft()
        except IndexError:
            return None

    def _work(self) -> None:
        try:
            stop_when(self._stop)
            with threads_here(self._share):
                while not self._stop.is_set() and (i := self._next()) is not None:
                    try:
                        self._train(i)
                    finally:
                        self._held[i].__exit__(None, None, None)
                    self._ended.put(i)
        except BaseException as error:  # who waits for the networks learns of it
            self._failure = error

    def _train(self, i: int) -> None:
        loop, self._loops[i] = self._loops[i], None  # whose buffers are free afterwards
        assert loop is not None

        def report(done: float, _: Mapping[str, float]) -> None:
            check_stop()
            self._done[i] = done - loop.n_before

        try:
            self._results[i] = loop.run(report)
        except Stopped:  # the call is at its end
            pass
        except Exception as error:
            self._results[i] = error
            error.add_note(f"This was networks[{i}].")
        self._done[i] = self._totals[i]  # also of one that has ended early


def histories_of(results: Sequence[History | Exception]) -> list[History]:
    """What `fit_each` returns, where no network has failed; else one error for those that have.

    Raises
    ------
    ExceptionGroup
    """
    failed = {i: each for i, each in enumerate(results) if isinstance(each, Exception)}
    if not failed:
        return [each for each in results if isinstance(each, History)]
    named = [f"networks[{i}]: {type(error).__name__}: {error}" for i, error in failed.items()]
    if len(named) > _MOST_NAMED:
        named[_MOST_NAMED:] = [f"{len(named) - _MOST_NAMED} more"]
    raise ExceptionGroup(
        f"{len(failed)} of {len(results)} networks failed, the others are trained and have their "
        f"history in net.history; {'; '.join(named)}",
        list(failed.values()),
    )

"""The search for hyperparameters: spaces to draw from, and trials of what was drawn."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import exp, isnan, log
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import _validation
from fastnn._folds import Fold, checked_folds
from fastnn._keywords import check_keywords, checked_keywords
from fastnn._streams import refuse_chunks
from fastnn.cross_validation import checked_seed, like
from fastnn.history import format_number
from fastnn.many import fit_each, histories_of
from fastnn.metrics import ALIASES, METRICS, checked_metrics, larger_is_better
from fastnn.network import Network
from fastnn.optimizers import Optimizer
from fastnn.schedules import Schedule

Array = npt.NDArray[Any]

#: What `build` makes of drawn values: a network, or one and arguments of its fit.
Built = Network | tuple[Network, Mapping[str, Any]]

_METHODS = ("random", "halving")
# Networks whose buffers are held at a time.
_AT_A_TIME = 64
# What a second call of `fit` goes on with, where it is not told.
_GOES_ON = ("learning_rate", "optimizer")
_DEFAULT_EPOCHS = 10  # of `Network.fit`
_LARGEST_INTEGER = 2**63 - 1  # that NumPy draws


@checked_keywords
@dataclass(frozen=True)
class Uniform:
    """A number between two others, each equally likely.

    Parameters
    ----------
    low, high : float
        `low` below `high`.

    Raises
    ------
    TypeError, ValueError
        If a value is not one of these.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import Uniform
    >>> rng = np.random.default_rng(0)
    >>> drawn = [Uniform(0.0, 0.4).draw(rng) for _ in range(1000)]
    >>> round(float(np.median(drawn)), 1)
    0.2
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            object.__setattr__(self, name, _validation.finite_number(getattr(self, name), name))
        _check_order(self.low, self.high)
        _validation.finite_number(self.high - self.low, "high - low")

    def draw(self, rng: np.random.Generator) -> float:
        """A number of it.

        Parameters
        ----------
        rng : numpy.random.Generator
            What draws it.

        Returns
        -------
        float
            From `low` to `high`.
        """
        return float(rng.uniform(self.low, self.high))


@checked_keywords
@dataclass(frozen=True)
class LogUniform:
    """A number between two others, whose logarithm is equally likely everywhere between theirs.

    For learning rates and penalties: there are as many between 0.001 and 0.01 as between 0.01 and
    0.1.

    Parameters
    ----------
    low, high : float
        Above 0, `low` below `high`.

    Raises
    ------
    TypeError, ValueError
        If a value is not one of these.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import LogUniform
    >>> rng = np.random.default_rng(0)
    >>> drawn = [LogUniform(1e-4, 1e-2).draw(rng) for _ in range(1000)]
    >>> round(float(np.median(drawn)), 3)
    0.001
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            object.__setattr__(self, name, _validation.positive_number(getattr(self, name), name))
        _check_order(self.low, self.high)

    def draw(self, rng: np.random.Generator) -> float:
        """A number of it.

        Parameters
        ----------
        rng : numpy.random.Generator
            What draws it.

        Returns
        -------
        float
            From `low` to `high`.
        """
        return min(self.high, max(self.low, exp(rng.uniform(log(self.low), log(self.high)))))


@checked_keywords
@dataclass(frozen=True)
class Integers:
    """An integer from `low` to `high`, both included.

    Parameters
    ----------
    low, high : int
        At least 1, `low` below `high`.
    log : bool
        Whether its logarithm, instead of itself, is equally likely everywhere: for units of layers.

    Raises
    ------
    TypeError, ValueError
        If a value is not one of these.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import Integers
    >>> rng = np.random.default_rng(0)
    >>> sorted({Integers(1, 3).draw(rng) for _ in range(100)})
    [1, 2, 3]
    >>> drawn = [Integers(1, 100, log=True).draw(rng) for _ in range(1000)]
    >>> round(float(np.median(drawn)), -1)
    10.0
    """

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            number = _validation.positive_int(getattr(self, name), name, _LARGEST_INTEGER)
            object.__setattr__(self, name, number)
        object.__setattr__(self, "log", _validation.boolean(self.log, "log"))
        _check_order(self.low, self.high)

    def draw(self, rng: np.random.Generator) -> int:
        """A number of it.

        Parameters
        ----------
        rng : numpy.random.Generator
            What draws it.

        Returns
        -------
        int
            From `low` to `high`.
        """
        if not self.log:
            return int(rng.integers(self.low, self.high, endpoint=True))
        drawn = exp(rng.uniform(log(self.low), log(self.high + 1)))
        return min(self.high, max(self.low, int(drawn)))


def _check_order(low: float, high: float) -> None:
    if not low < high:
        raise ValueError(f"high must be above low, which is {low}, got {high}")


Distribution = Uniform | LogUniform | Integers
Space = Mapping[str, Sequence[Any] | Distribution]


@dataclass(frozen=True)
class Trial:
    """What was drawn, and how good it is.

    Attributes
    ----------
    number : int
        From 0.
    params : dict of str to object
        What was drawn.
    epochs : int
        Trained for.
    scores : tuple of float
        Of each fold, on its test rows.
    error : str or None
        What has ended its training; its score is NaN then.

    Examples
    --------
    >>> from fastnn import Trial
    >>> Trial(0, {"batch_size": 64}, epochs=10, scores=(0.5, 0.25)).score
    0.375
    """

    number: int
    params: dict[str, Any]
    epochs: int
    scores: tuple[float, ...]
    error: str | None = None

    @property
    def score(self) -> float:
        """The mean over the folds."""
        return float(np.mean(self.scores))


@dataclass(frozen=True, eq=False)
class SearchResult:
    """What `search` has found; it prints as a table, the best trials first.

    Attributes
    ----------
    trials : list of Trial
        In the order in which they were drawn.
    best : Trial
        Of those that were trained longest, the one with the best score.
    network : Network
        Trained with what the best trial had, on all rows of X.
    metric : str
        What the scores are.

    Examples
    --------
    >>> from fastnn import LogUniform, Network, search
    >>> from fastnn.datasets import make_moons
    >>> X, y = make_moons(seed=0)
    >>> net = Network.from_sizes([2, 8, 1])
    >>> result = search({"learning_rate": LogUniform(1e-4, 1e-1)}, X, y, net, n_trials=8)
    >>> result.metric, result.best == result.ranking[0], result.params["learning_rate"] > 1e-2
    ('loss', True, True)
    """

    trials: list[Trial]
    best: Trial
    network: Network = field(repr=False)
    metric: str
    _larger: bool = field(repr=False)

    @property
    def params(self) -> dict[str, Any]:
        """Those of the best trial."""
        return dict(self.best.params)

    @property
    def ranking(self) -> list[Trial]:
        """The trials, the best first; longer ones before those that ended early."""
        return sorted(self.trials, key=lambda trial: _rank(trial, self._larger))

    def __str__(self) -> str:
        names = list(self.best.params)
        rows = [
            [
                str(each.number),
                *(_shown(each.params[name]) for name in names),
                str(each.epochs),
                "failed" if each.error else format_number(each.score),
            ]
            for each in self.ranking
        ]
        rows.insert(0, ["trial", *names, "epochs", self.metric])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
            for row in rows
        )

    __repr__ = __str__


def search(
    space: Space,
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    build: Network | Callable[[dict[str, Any]], Built],
    *,
    n_trials: int = 20,
    method: str = "random",
    cv: Any = 0.2,
    metric: Any = "loss",
    mode: str | None = None,
    factor: int = 3,
    seed: int = 0,
    threads: int | None = None,
    progress: bool = False,
    **fit_settings: Any,
) -> SearchResult:
    """Looks for good hyperparameters: draws them, trains networks side by side, compares scores.

    Parameters
    ----------
    space : dict of str to list or distribution
        From what each value is drawn: a sequence of choices, `fastnn.Uniform`, `fastnn.LogUniform`
        or `fastnn.Integers`.
    X, y : array-like
        As for `Network.fit`, without chunks.
    build : Network or callable
        What to train. A network: `space` has arguments of `Network.fit`. A function
        ``build(params)`` of the drawn values: it returns a `Network`, or a pair of one and a dict
        of arguments of `Network.fit`. Drawn values that it does not use have no effect; one that it
        reads in no trial gives a warning. Networks begin anew from seeds that follow from `seed`.
    n_trials : int
        How many are drawn.
    method : {"random", "halving"}
        "random" trains all of them for all epochs. "halving" (successive halving) trains all of
        them for a few epochs, lets one in `factor` go on from where it is, for `factor` times as
        many epochs in all, and so on: the last ones have had all of `epochs`. With fewer epochs
        than `factor` there is one stage, and nothing is halved.
    cv : int, float, splitter, or iterable of (train, test)
        As for `cross_validate`; by default the score is that of 20 % of the rows, set aside once.
    metric : str or callable
        What is compared, on the test rows: ``"loss"``, or a metric as for `Network.evaluate`.
    mode : {None, "min", "max"}
        What is better. None: the name of the metric tells.
    factor : int
        Of the halving, at least 2.
    seed : int
        The same one gives the same result, whatever the number of threads; that of a trial does not
        depend on how many there are.
    threads : int, optional
        The most to use, as for `fit_many`.
    progress : bool
        Whether to show one bar for the epochs of all networks.
    **fit_settings
        Arguments of `Network.fit` for all trials; those of `build` or `space` go before them.

    Returns
    -------
    SearchResult
        All trials, the best one, and a network trained with what it had.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.
    ExceptionGroup
        If all trials have failed. One that fails alone has the score NaN, and comes last.

    Warns
    -----
    UserWarning
        If `build` has not read a name of `space` in any trial.

    Notes
    -----
    In a halving, each stage is a call of `fit`. A schedule without a length of its own gets all of
    `epochs`, and early stopping begins anew. `ema` and `swa_start`, which are of one call, are
    refused.

    References
    ----------
    Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter
    optimization", AISTATS 2016.

    Examples
    --------
    >>> from fastnn import LogUniform, Network, search
    >>> from fastnn.datasets import load_digits
    >>> X, y = load_digits()
    >>> net = Network.from_sizes([64, 16, 10], output="softmax")
    >>> space = {"learning_rate": LogUniform(1e-5, 1e-1), "batch_size": [32, 64, 128]}
    >>> result = search(space, X, y, net, n_trials=9, method="halving", epochs=9)
    >>> result.network.evaluate(X, y)["accuracy"] > 0.9
    True
    """
    n_trials = _validation.positive_int(n_trials, "n_trials")
    method = _validation.spelled(method, _METHODS, "method", {})
    factor = _validation.positive_int(factor, "factor")
    if factor < 2:
        raise ValueError(f"factor must be at least 2, got {factor}")
    seed = checked_seed(seed)
    progress = _validation.boolean(progress, "progress")
    refuse_chunks(X, "X", "a search")
    space = _checked_space(space)
    unread = set(space)
    candidates = [_candidate(space, build, seed, i, fit_settings, unread) for i in range(n_trials)]
    refused = ("resume_from",) if method == "random" else ("resume_from", "ema", "swa_start")
    for name in refused:
        if any(name in each.settings for each in candidates):
            raise TypeError(f"{name} must not be given for a search by method={method!r}")
    trials = _Trials(candidates, X, y, cv, metric, mode, seed, threads, progress)
    if unread:
        names = ", ".join(repr(name) for name in space if name in unread)
        warnings.warn(
            f"build has read {names} of space in none of {n_trials} trials, so that what is drawn "
            f"for it has no effect; an argument of fit must be in the dict that build returns "
            f"beside the network",
            stacklevel=2,
        )
    if method == "random":
        trials.train(candidates, None)
        return trials.result()
    epochs = _same_epochs(candidates)
    left = candidates
    for until in _stages(n_trials, epochs, factor):
        trials.train(left, until)
        left = sorted(left, key=lambda each: _rank(each.trial, trials.larger))
        left = [each for each in left[: -(-len(left) // factor)] if each.error is None]
    return trials.result()


@dataclass
class _Candidate:
    """A trial under way."""

    number: int
    params: dict[str, Any]
    net: Network  # what its networks are like
    settings: dict[str, Any]
    networks: list[Network]
    n_done: int = 0
    scores: tuple[float, ...] = (float("nan"),)
    error: Exception | None = None

    @property
    def trial(self) -> Trial:
        error = None if self.error is None else f"{type(self.error).__name__}: {self.error}"
        return Trial(self.number, self.params, self.n_done, self.scores, error)

    def seeds(self, seed: int, n: int) -> list[int]:
        """Of networks: that of fold i does not depend on how many there are."""
        sequence = np.random.SeedSequence(seed, spawn_key=(self.number, 1))
        states: list[int] = sequence.generate_state(n).tolist()
        return states

    def fit_settings(self, y: Array, until: int | None) -> dict[str, Any]:
        """Of the next call of `fit`: up to so many epochs in all, or for all that it has."""
        settings = {**self.settings, "y": y}
        if until is None:
            return settings
        if self.n_done > 0:
            settings = {name: each for name, each in settings.items() if name not in _GOES_ON}
        return settings | {"epochs": until - self.n_done}


class _Trials:
    """Candidates, and the data that they are tried on.

    Parameters
    ----------
    candidates : list of _Candidate
    X, y, cv, metric, mode, seed, threads, progress
        As for `search`.
    """

    def __init__(
        self,
        candidates: list[_Candidate],
        X: Any,
        y: Any,
        cv: Any,
        metric: Any,
        mode: Any,
        seed: int,
        threads: int | None,
        progress: bool,
    ) -> None:
        first = candidates[0].net
        self.X: Any
        self.X, targets = first._architecture.checked_data(X, y, first.n_features)
        self.y = _validation.numbers(y, "y", may_be_labels=True)
        self.candidates, self.seed = candidates, seed
        self.threads, self.progress = threads, progress
        self.folds: list[Fold] = checked_folds(cv, first._architecture, self.X, targets, seed)
        self.metrics: tuple[Any, ...] = ()
        if isinstance(metric, str):
            metric = _validation.spelled(metric, ("loss", *METRICS), "metric", ALIASES)
        self.metric = metric
        if not isinstance(metric, str) or metric not in first._architecture.metrics:
            self.metrics = (metric,)
            self.metric = checked_metrics(self.metrics, first._architecture)[0].name
        larger = larger_is_better(self.metric)
        if mode is not None:
            larger = _validation.spelled(mode, ("min", "max"), "mode", {}) == "max"
        if larger is None:
            raise ValueError(
                f"mode must be 'min' or 'max' with metric={self.metric!r}, whose name does not tell"
            )
        self.larger = larger
        losses = {each.net.loss for each in candidates}
        if self.metric == "loss" and len(losses) > 1:
            raise ValueError(
                f"metric must not be 'loss' for networks of different losses, got "
                f"{_validation.short(losses)}"
            )

    def train(self, candidates: Sequence[_Candidate], until: int | None) -> None:
        """Trains them up to so many epochs in all, and measures their scores.

        None: for all epochs that they have, and their networks are not kept.
        """
        n = max(1, _AT_A_TIME // len(self.folds))
        for first in range(0, len(candidates), n):
            self._train_some(candidates[first : first + n], until)

    def _train_some(self, candidates: Sequence[_Candidate], until: int | None) -> None:
        n = len(self.folds)
        for each in candidates:
            if not each.networks:
                seeds = each.seeds(self.seed, n)
                each.networks = [like(each.net, self.X.shape[1], seed) for seed in seeds]
        results = fit_each(
            [net for each in candidates for net in each.networks],
            self.X,
            [each.fit_settings(self.y, until) for each in candidates for _ in range(n)],
            [train for train, _ in self.folds] * len(candidates),
            self.threads,
            self.progress,
        )
        for i, each in enumerate(candidates):
            each.n_done = each.settings["epochs"] if until is None else until
            own = results[i * n : (i + 1) * n]
            each.error = next((one for one in own if isinstance(one, Exception)), None)
            if each.error is None:
                self._measure(each)
            if each.error is not None:
                each.scores = (float("nan"),) * n
            if until is None or each.error is not None:
                each.networks = []

    def _measure(self, candidate: _Candidate) -> None:
        """Its scores, or the error that there is in their place."""
        scores = []
        try:
            for net, (_, test) in zip(candidate.networks, self.folds, strict=True):
                X, y = self.X[test], self.y[test]
                found = net.evaluate(X, y, metrics=self.metrics, threads=self.threads)
                scores.append(found[self.metric])
            candidate.scores = tuple(scores)
        except Exception as error:
            candidate.error = error

    def result(self) -> SearchResult:
        """The trials, and a network that is trained with what the best one had.

        Raises
        ------
        ExceptionGroup
        """
        best = min(self.candidates, key=lambda each: _rank(each.trial, self.larger))
        errors = [each.error for each in self.candidates if each.error is not None]
        if len(errors) == len(self.candidates):
            raise ExceptionGroup(f"all {len(errors)} trials failed; the first: {errors[0]}", errors)
        seed = best.seeds(self.seed, len(self.folds) + 1)[-1]
        network = like(best.net, self.X.shape[1], seed)
        settings = {**best.settings, "y": self.y}
        histories_of(fit_each([network], self.X, [settings], None, self.threads, self.progress))
        trials = [each.trial for each in self.candidates]
        return SearchResult(trials, best.trial, network, self.metric, self.larger)


def _checked_space(space: Any) -> dict[str, Any]:
    if not isinstance(space, Mapping):
        raise TypeError(
            f"space must be a dict from names to lists or distributions, got "
            f"{_validation.shown(space)}"
        )
    for name, values in space.items():
        if not isinstance(name, str):
            raise TypeError(f"space must have texts for names, got {_validation.shown(name)}")
        if isinstance(values, Distribution):
            continue
        if isinstance(values, (str, bytes)) or not isinstance(values, Sequence):
            raise TypeError(
                f"space[{name!r}] must be a list of choices, a Uniform, a LogUniform or Integers, "
                f"got {_validation.shown(values)}"
            )
        if len(values) == 0:
            raise ValueError(f"space[{name!r}] must have at least one choice, got none")
    if not space:
        raise ValueError("space must have at least one name, got none")
    return dict(space)


class _Drawn(dict[str, Any]):
    """Drawn values.

    Attributes
    ----------
    unread : set of str
        Names whose values nobody has asked for: reading takes them out.
    """

    unread: set[str]

    @classmethod
    def of(cls, values: Mapping[str, Any], unread: set[str]) -> _Drawn:
        """A copy of values."""
        drawn = cls(values)
        drawn.unread = unread
        return drawn


def _noting(method: str, reads_all: bool) -> Callable[..., Any]:
    """A method of a dict, which notes what it reads: all values, or that of its first argument."""
    original = getattr(dict, method)

    def noting(self: _Drawn, *arguments: Any, **more: Any) -> Any:
        self.unread -= set(dict.keys(self) if reads_all else arguments[:1])
        return original(self, *arguments, **more)

    return noting


for _method in ("__getitem__", "get", "pop", "setdefault"):
    setattr(_Drawn, _method, _noting(_method, reads_all=False))
for _method in ("__iter__", "keys", "values", "items", "copy", "popitem", "__or__", "__ror__"):
    setattr(_Drawn, _method, _noting(_method, reads_all=True))


def _candidate(
    space: Mapping[str, Any],
    build: Any,
    seed: int,
    number: int,
    common: Mapping[str, Any],
    unread: set[str],
) -> _Candidate:
    """Trial `number`: drawn, and built; takes the names that this reads out of `unread`."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number, 0)))
    params = {
        name: values.draw(rng)
        if isinstance(values, Distribution)
        else values[int(rng.integers(len(values)))]
        for name, values in space.items()
    }
    built: Any = (build, params)
    if isinstance(build, Network):
        try:
            check_keywords(Network.fit, params)
        except TypeError as error:
            raise TypeError(
                f"space must have arguments of fit where build is a Network: {error}; a function "
                f"build(params) takes any"
            ) from None
        unread.clear()
    else:
        if not callable(build):
            raise TypeError(
                f"build must be a Network, or a function of the drawn values, got "
                f"{_validation.shown(build)}"
            )
        built = build(_Drawn.of(params, unread))
    net, own = (built, {}) if isinstance(built, Network) else _pair(built)
    settings = {"epochs": _DEFAULT_EPOCHS, **common, **own}
    if "y" in settings:
        raise TypeError("y is of the whole search: it is no setting of a trial")
    return _Candidate(number, params, net, _for_whole(settings), [])


def _pair(built: Any) -> tuple[Network, Mapping[str, Any]]:
    """What a function `build` has returned, if it is no network alone."""
    if (
        not isinstance(built, tuple)
        or len(built) != 2
        or not isinstance(built[0], Network)
        or not isinstance(built[1], Mapping)
    ):
        raise TypeError(
            f"build must return a Network, or a Network and a dict of arguments of fit, got "
            f"{_validation.shown(built)}"
        )
    return built


def _for_whole(settings: dict[str, Any]) -> dict[str, Any]:
    """With schedules as long as all epochs, where they have no length of their own."""

    def long(rate: Any) -> Any:
        is_open = isinstance(rate, Schedule) and getattr(rate, "epochs", 0) is None
        return replace(rate, epochs=settings["epochs"]) if is_open else rate

    changed = {}
    if "learning_rate" in settings:
        changed["learning_rate"] = long(settings["learning_rate"])
    optimizer = settings.get("optimizer")
    if isinstance(optimizer, Optimizer):
        changed["optimizer"] = replace(optimizer, learning_rate=long(optimizer.learning_rate))
    return settings | changed


def _same_epochs(candidates: Sequence[_Candidate]) -> int:
    epochs = {
        _validation.positive_int(each.settings["epochs"], "epochs", at_most=_validation.MAX_SIZE)
        for each in candidates
    }
    if len(epochs) > 1:
        raise ValueError(
            f"epochs must be the same for all trials of a halving, got {_validation.short(epochs)}"
        )
    return epochs.pop()


def _stages(n_trials: int, epochs: int, factor: int) -> list[int]:
    """Epochs in all after each stage of a halving."""
    n = 0
    while factor ** (n + 1) <= min(n_trials, epochs):
        n += 1
    return [epochs // factor ** (n - i) for i in range(n + 1)]


def _rank(trial: Trial, larger: bool) -> tuple[bool, int, float]:
    """Smaller for what comes first."""
    is_nan = isnan(trial.score)
    score = 0.0 if is_nan else trial.score
    return is_nan, -trial.epochs, -score if larger else score


def _shown(value: Any) -> str:
    return format_number(value) if isinstance(value, float) else str(value)

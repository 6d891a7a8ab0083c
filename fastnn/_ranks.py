"""Ranks that train one network together, each on rows of its own: what they agree on, and when.

All of them run the same loop. Rank 0 leads: it has the callbacks, the progress and the files, and
says between two epochs whether all go on. Texts that ranks exchange are JSON.
"""

from __future__ import annotations

import inspect
from binascii import crc32
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastnn import _fit, _weights
from fastnn._core.exchange import Exchange
from fastnn._evaluation import evaluate, measured
from fastnn._inference import infer
from fastnn._keywords import check_keywords
from fastnn._options import FitOptions
from fastnn._streams import refuse_chunks
from fastnn.optimizers import LBFGS
from fastnn.schedules import Schedule

if TYPE_CHECKING:
    from fastnn._architecture import Architecture
    from fastnn._averages import Average
    from fastnn._core.plan import Plan
    from fastnn._core.training import Trainer
    from fastnn._data import Samples
    from fastnn._state import State
    from fastnn.history import History
    from fastnn.metrics import Metric
    from fastnn.network import Network

Array = npt.NDArray[Any]
Steps = npt.NDArray[np.uint64]

# Steps whose learning rates are compared, where they are those of a function.
_COMPARED_RATES = 64


__all__ = ["Exchange", "Ranks", "fit", "joined", "shares"]


def fit(exchange: Exchange, net: Network, X: Any, y: Any, arguments: Mapping[str, Any]) -> History:
    """What `Network.fit` does with these arguments, together with the other ranks of the exchange.

    Raises
    ------
    Exception
        On all ranks, where one of them fails.
    """
    return exchange.run(lambda: _fit_with_others(exchange, net, X, y, arguments))


def _fit_with_others(
    exchange: Exchange, net: Network, X: Any, y: Any, arguments: Mapping[str, Any]
) -> History:
    from fastnn.network import Network

    if not isinstance(net, Network):
        raise TypeError(f"net must be a Network, got {type(net).__name__}")
    check_keywords(Network.fit, arguments)
    bound = inspect.signature(Network.fit).bind(net, X, y, **arguments)
    bound.apply_defaults()
    told = dict(bound.arguments)
    for name in ("self", "X", "y"):
        del told[name]
    refuse_chunks(X, "X", "several ranks")
    with net._access.training():
        has_rows = _n_rows(X) > 0
        options = FitOptions.checked(net, looks_at_scales=has_rows, **told)
        _refuse_alone(options)
        watching = options.watching
        validates = not (watching.validation_data is None and watching.validation_split is None)
        ranks = Ranks(exchange, has_rows, validates)
        ranks.agree_on(_settings(net, options))
        data = watching.validation_data
        if isinstance(data, (tuple, list)) and len(data) > 0 and _n_rows(data[0]) == 0:
            options = replace(options, watching=replace(watching, validation_data=None))
        width = _n_columns(X) if has_rows else net.n_features
        told_by_all = ranks.tell([width, options.like(net).seed])
        widths = [each[0] for each in told_by_all]
        # Every rank has the seed of rank 0 afterwards, and a resumed call must draw the same rows.
        options = replace(options, split_seed=told_by_all[0][1], is_part=True)
        if isinstance(options.class_weight, str) and options.class_weight == "balanced":
            options = replace(options, class_weight=ranks.balance(net, X, y))
        if not has_rows:
            if _n_rows(y) > 0:
                raise ValueError(f"y must have no rows, as X has none, got {_n_rows(y)}")
            width = next((width for width in widths if width is not None), 1)
            X, y = np.zeros((1, width), net.dtype), _one_target(net)
            watching = replace(options.watching, validation_split=None)
            options = replace(options, watching=watching, sample_weight=None, class_weight=None)
        return _fit.fit(net, X, y, options, ranks)


def _n_rows(X: Any) -> int:
    """0 for None; 1 for what is no array, which is refused later."""
    if X is None:
        return 0
    shape = getattr(X, "shape", None)
    if shape is not None:
        return int(shape[0]) if len(shape) > 0 else 1
    return len(X) if hasattr(X, "__len__") else 1


def _n_columns(X: Any) -> int | None:
    """None for what is no matrix, which is refused later."""
    try:
        shape = X.shape if hasattr(X, "shape") else np.shape(X)  # NumPy knows no sparse ones
    except ValueError:  # rows of differing lengths
        return None
    return int(shape[1]) if len(shape) == 2 else None


def _one_target(net: Network) -> Array:
    if net._architecture.target_kind == "classes":
        return np.zeros(1, np.int64)
    return np.zeros((1, net.loss.n_targets(net.n_outputs)), net.dtype)


def _refuse_alone(options: FitOptions) -> None:
    """What is done by one process only."""
    if isinstance(options.training.optimizer, LBFGS):
        raise ValueError("optimizer must not be LBFGS with several ranks: it takes no mini-batches")
    refuse_chunks(options.watching.validation_data, "validation_data", "several ranks")
    if options.block_size is not None:
        raise ValueError("block_size must not be given with several ranks: they stream no X")
    weighs = options.sample_weight is not None or options.class_weight is not None
    if weighs and options.watching.validation_split is not None:
        raise ValueError(
            "validation_split must not be given with weights and several ranks; give "
            "validation_data, of each rank"
        )


def _settings(net: Network, options: FitOptions) -> dict[str, str]:
    """What must be the same on all ranks, by the name of the argument."""
    training, watching = options.training, options.watching
    source = options.like(net)
    state = source._state
    optimizer = training.optimizer
    settings: dict[str, Any] = {
        "resume_from": options.resumed and options.resumed.progress.history.n_epochs,
        "layers": net.layers,
        "loss": net.loss,
        "dtype": str(net.dtype),
        "epochs": options.epochs,
        "batch_size": training.batch_size,
        "optimizer": optimizer.name,
        **{field.name: getattr(optimizer, field.name) for field in fields(optimizer)},
        "shuffle": training.shuffle,
        "label_smoothing": training.label_smoothing,
        **asdict(training.regularization),
        "validation_split": watching.validation_split,
        "validation_data": "None" if watching.validation_data is None else "given",
        "metrics": [metric.name for metric in watching.metrics],
        **asdict(options.averaging),
        "class_weight": options.class_weight,
    }
    if state is not None and not options.starts_schedule:
        settings["schedule"] = state.schedule
    rate = optimizer.learning_rate
    if callable(rate) and not isinstance(rate, Schedule):
        settings["learning_rate"] = [rate(step) for step in range(_COMPARED_RATES)]
    return {name: repr(value) for name, value in settings.items()}


class Ranks:
    """What one rank knows of all.

    Parameters
    ----------
    exchange : Exchange
    has_rows : bool
        False: the one row that it trains on stands for none, and has no part in any step.
    validates : bool
        Whether any rank has validation data.
    """

    def __init__(self, exchange: Exchange, has_rows: bool, validates: bool) -> None:
        self.exchange, self.has_rows, self.validates = exchange, has_rows, validates
        self.n_samples = 0  # of all
        self.n_updates = 0  # of rank 0, before the call
        self.batch_size = 0  # of all
        self.own_batch_size = 0  # the most rows of this one in a step
        self.seed = 0  # of rank 0
        self.validation_scale = 1.0  # what the weights of its validation data were divided by

    @property
    def leads(self) -> bool:
        return self.exchange.rank == 0

    @property
    def steps_per_epoch(self) -> int:
        return self.exchange.n_steps

    def tell(self, values: Any, trains_on: bool = False) -> list[Any]:
        """The values of all, in their order."""
        import json  # here: it makes the import of fastnn longer

        texts = self.exchange.gather(json.dumps(values).encode(), trains_on)
        return [json.loads(text) for text in texts]

    def agree_on(self, settings: Mapping[str, str]) -> None:
        """Refuses settings that are not the same on all ranks.

        Raises
        ------
        ValueError
        """
        told = self.tell(settings)
        for name, value in told[0].items():
            for rank, other in enumerate(told):
                if other[name] != value:
                    raise ValueError(
                        f"{name} must be the same on all ranks, got {value} on rank 0 and "
                        f"{other[name]} on rank {rank}"
                    )

    # ---- before the first step -------------------------------------------------------------------

    def balance(self, net: Network, X: Any, y: Any) -> dict[int, float]:
        """The class weights that "balanced" stands for, by the rows of all ranks."""
        counts = np.zeros(max(2, net.n_outputs), np.int64)
        if self.has_rows:
            _, targets = net._architecture.checked_data(X, y, net.n_features)
            labels, _ = _weights.classes(net._architecture, targets)
            counts = np.bincount(labels, minlength=len(counts))
        total = np.sum(self.tell(counts.tolist()), axis=0)
        return {i: float(total.sum() / max(n, 1)) for i, n in enumerate(total.tolist())}

    def share_out(
        self,
        net: Network,
        samples: Samples,
        options: FitOptions,
    ) -> None:
        """Tells how many rows there are, and how they go into steps.

        The weights of the samples, the largest of which is 1 unless all are 0, become those on the
        scale of all.
        """
        scale = _scale_of_weights(net, samples, options)
        data = options.watching.validation_data
        if data is not None and len(data) == 3 and data[2] is not None:
            self.validation_scale = float(np.max(np.asarray(data[2], np.float64)))
        n_rows = samples.n_samples if self.has_rows else 0
        source = options.like(net)
        self.agree_on({"n_features": str(samples.X.shape[1])})
        told = self.tell([n_rows, scale, _steps_done(source, options), source.seed])
        counts, scales = [each[0] for each in told], [each[1] for each in told]
        self.n_samples = sum(counts)
        if self.n_samples == 0:
            raise ValueError("X must have rows on one of the ranks, got none on any")
        _, _, self.n_updates, self.seed = told[0]
        weighs = any(value is not None for value in scales)
        total = float(n_rows)
        if weighs:
            largest = max(1.0 if value is None else value for value in scales)
            if largest == 0:
                raise ValueError(
                    "sample_weight must be above 0 for some sample of all, times its class_weight; "
                    "got 0 for all"
                )
            if samples.weights is not None and scale is not None:
                np.multiply(samples.weights, scale / largest, out=samples.weights)
                total = float(samples.weights.sum(dtype=np.float64))
        total = sum(self.tell(total))
        self.batch_size = min(options.training.batch_size or self.n_samples, self.n_samples)
        firsts, places = shares(counts, self.batch_size, self.exchange.rank)
        own = np.diff(firsts.astype(np.int64))
        self.own_batch_size = max(1, int(own.max()))
        sizes = np.full(len(own), float(self.batch_size))
        sizes[-1] = self.n_samples - (len(own) - 1) * self.batch_size
        self.exchange.share_out(
            firsts, places - firsts[:-1], sizes, self.batch_size, self.n_samples, total, weighs
        )

    def like_first(self, architecture: Architecture, plan: Plan) -> tuple[Architecture, Plan]:
        """With the seed of rank 0, which draws the noise."""
        if architecture.seed == self.seed:
            return architecture, plan
        architecture = replace(architecture, seed=self.seed)
        return architecture, architecture.plan(plan.n_features)

    def copy_first(self, net: Network) -> None:
        """Gives all ranks the numbers of rank 0."""
        state = net._built()[1]
        arrays = [state.parameters, state.running, *state.slots]
        if state.average is not None:
            arrays += [state.average.parameters, state.average.running]
        with net._access.writing():
            self.exchange.copy(arrays)

    # ---- between epochs --------------------------------------------------------------------------

    def go_on(self, more: bool, before: Array | None, net: Network, trainer: Trainer) -> bool:
        """Whether another epoch follows: rank 0 says.

        Parameters
        ----------
        more : bool
            Of rank 0.
        before : ndarray or None
            The parameters before callbacks could write to them.
        net, trainer
            Get the parameters of rank 0, where they have changed, and a random state of their own.
        """
        state = net._built()[1]
        changed = before is not None and not np.array_equal(before, state.parameters)
        random = state.bit_generator.state if self.leads else None
        told = self.tell([more, changed, random], trains_on=more and not changed)
        more, changed, random = told[0]
        if changed:
            self.copy_first(net)
            trainer.note_change()
            self.exchange.gather(trains_on=more)
        state.bit_generator.state = random
        if more and not self.leads:
            state.bit_generator.state = state.bit_generator.jumped(self.exchange.rank).state
        return bool(more)

    def compare(self, state: State) -> None:
        """Looks whether all have the same parameters.

        Raises
        ------
        RuntimeError
            If sums had other bits on some rank, so that the parameters have.
        """
        if len(set(self.tell(crc32(state.parameters.data)))) > 1:
            raise RuntimeError(
                "the parameters differ from rank to rank: the MPI library's sums do not have the "
                "same bits on all of them, or something has written to the parameters"
            )

    def validate(
        self,
        net: Network,
        validation: Samples | None,
        metrics: Sequence[Metric],
        average: Average | None,
    ) -> dict[str, float]:
        """What `evaluate` gives for the validation data of all ranks as one."""
        own: dict[str, float] = {}
        weight = 0.0
        if validation is not None:
            X, _, weights, _ = validation
            weight = float(len(X) if weights is None else weights.sum(dtype=np.float64))
            weight *= self.validation_scale
            if weight > 0:
                own = evaluate(net, validation, average=average)
        told = [(w, values) for w, values in self.tell([weight, own]) if w > 0]
        if not told:
            raise ValueError(
                "validation_data must have rows of a weight above 0 on one of the ranks, got none "
                "on any"
            )
        total = sum(w for w, _ in told)
        result = {name: sum(w * values[name] for w, values in told) / total for name in told[0][1]}
        if metrics:
            result |= self._measure(net, validation, metrics, average)
        return result

    def _measure(
        self,
        net: Network,
        validation: Samples | None,
        metrics: Sequence[Metric],
        average: Average | None,
    ) -> dict[str, float]:
        """Metrics that are no means over rows: from the outputs of all ranks."""
        decided = net._architecture.decided
        n_rows = 0 if validation is None else len(validation.X)
        output = np.empty((n_rows, net.n_outputs), net.dtype)
        truth = decided(output)
        if validation is not None:
            infer(net, validation.X, [output], average=average)
            truth = validation.y if validation.y.ndim == 1 else decided(validation.y)
        truth = truth.astype(decided(output).dtype)
        shape = truth.shape[1:]
        output = joined(self.exchange, output).reshape(-1, net.n_outputs)
        truth = joined(self.exchange, truth).reshape(-1, *shape)
        return measured(net, output, truth, metrics)


def joined(exchange: Exchange, array: Array) -> Array:
    """The numbers of the arrays of all ranks, in their order, as one row."""
    return np.frombuffer(b"".join(exchange.gather(array.tobytes())), array.dtype)


def _steps_done(net: Network, options: FitOptions) -> int:
    """What the optimiser's slots have seen, if it is the one before."""
    state, training = net._state, net.training
    if state is None or training is None:
        return 0
    return state.n_updates if training.optimizer.name == options.training.optimizer.name else 0


def shares(counts: Sequence[int], batch_size: int, rank: int) -> tuple[Steps, Steps]:
    """How the rows of all ranks go into the steps of an epoch.

    Each rank has a part of each step in proportion to the rows that it has left.

    Parameters
    ----------
    counts : sequence of int
        Rows of each rank.
    batch_size : int
        Rows of a step; the last one may have fewer.
    rank : int
        Whose part is asked for.

    Returns
    -------
    firsts : ndarray of shape (n_steps + 1,)
        Rows of the rank before each step.
    places : ndarray of shape (n_steps,)
        Where its first row of each step is among the rows of all, which lie step by step and, in a
        step, rank by rank.
    """
    left, total = list(counts), sum(counts)
    firsts, places = [0], []
    for start in range(0, total, batch_size):
        n, remaining = min(batch_size, total - start), total - start
        taken = [rows * n // remaining for rows in left]
        fractions = [rows * n % remaining for rows in left]
        for r in sorted(range(len(left)), key=lambda r: -fractions[r])[: n - sum(taken)]:
            taken[r] += 1
        left = [rows - own for rows, own in zip(left, taken, strict=True)]
        places.append(start + sum(taken[:rank]))
        firsts.append(firsts[-1] + taken[rank])
    return np.array(firsts, np.uint64), np.array(places, np.uint64)


def _scale_of_weights(net: Network, samples: Samples, options: FitOptions) -> float | None:
    """What the weights of all of a rank's samples were divided by to make the largest one 1."""
    if samples.weights is None:
        return None
    largest = int(samples.weights.argmax())
    scale = 1.0
    if options.sample_weight is not None:
        scale = float(np.asarray(options.sample_weight, np.float64)[largest])
    if options.class_weight is not None:
        labels, n_classes = _weights.classes(net._architecture, samples.y)
        of_classes = _weights.of_classes(options.class_weight, labels, n_classes)
        scale *= float(of_classes[labels[largest]])
    return scale

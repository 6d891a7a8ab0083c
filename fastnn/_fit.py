"""What `Network.fit` and `Network.partial_fit` do: all is checked and made ready, then trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import _weights
from fastnn._averages import Average, Averaging
from fastnn._blocks import check_finite
from fastnn._checkpoint import Before
from fastnn._core.training import Trainer
from fastnn._data import FitData, opened
from fastnn._epochs import FitLoop
from fastnn._options import FitOptions
from fastnn._rates import LearningRates
from fastnn._scaling import warn_of_scales
from fastnn._state import State
from fastnn.config import choose_threads
from fastnn.history import History
from fastnn.optimizers import LBFGS

if TYPE_CHECKING:
    from fastnn._lbfgs import LBFGSTrainer
    from fastnn._ranks import Ranks
    from fastnn.network import Network

# The caller of `Network.fit`, from `fit` here: above that method and its `checked_keywords`.
_USER = 4


def fit(net: Network, X: Any, y: Any, options: FitOptions, ranks: Ranks | None = None) -> History:
    """Trains `net`, which the caller has to itself; returns the history. See `Network.fit`.

    `ranks`: others, who train it at the same time with other samples.
    """
    with opened(net, X, y, options, may_stream=ranks is None) as data:
        return prepare(net, X, data, options, _USER, ranks).run()


def prepare(
    net: Network,
    X: Any,
    data: FitData,
    options: FitOptions,
    stacklevel: int,
    ranks: Ranks | None = None,
) -> FitLoop:
    """All that can be refused or fail to be allocated; nothing has changed yet.

    Parameters
    ----------
    net : Network
    X : array-like
        As the user gave it.
    data : FitData
    options : FitOptions
    stacklevel : int
        As for `warnings.warn`, from the caller of this function on.
    ranks : Ranks, optional
        Others, who train it at the same time with other samples.
    """
    has_validation = data.validation is not None if ranks is None else ranks.validates
    names = _names(net, options, has_validation, ranks is None or ranks.leads)
    if options.looks_at_scales and isinstance(data.first, np.ndarray):
        warn_of_scales(data.first, X, net.layers, stacklevel=stacklevel + 1)
    if ranks is not None:
        ranks.share_out(net, data.samples, options)
    before = None if options.resumed is None else Before.of(net)
    trainer, state, rates, adopt = _make_ready(net, data, options, has_validation, ranks)
    rates.warn_of_end(stacklevel=stacklevel + 2)
    return FitLoop(net, options, trainer, state, rates, data, names, before, adopt, ranks)


def _names(net: Network, options: FitOptions, has_validation: bool, leads: bool) -> list[str]:
    """Of what is measured; refuses callbacks, and a checkpoint, that they do not fit."""
    watching, resumed = options.watching, options.resumed
    names = [*net._architecture.metrics]
    if isinstance(options.training.optimizer, LBFGS):
        names = ["loss"]
    if has_validation:
        names += [
            f"val_{name}"
            for name in (*net._architecture.metrics, *(m.name for m in watching.metrics))
        ]
    for callback in watching.callbacks if leads else ():
        callback.check(names)
    names.append("learning_rate")
    if resumed is not None and leads:
        resumed.progress.check(options.epochs, names, watching.callbacks, options.averaging)
    return names


def _make_ready(
    net: Network,
    data: FitData,
    options: FitOptions,
    has_validation: bool,
    ranks: Ranks | None,
) -> tuple[Trainer | LBFGSTrainer, State, LearningRates, Callable[[], None]]:
    """What trains, the state that it changes, and what makes this the network's."""
    resumed, training = options.resumed, options.training
    X, y, weights, subset = data.samples
    optimizer, n_samples = training.optimizer, data.samples.n_samples
    is_minimised = isinstance(optimizer, LBFGS)  # all samples at once, whatever is kept for later
    batch_size = n_samples if is_minimised else min(training.batch_size or n_samples, n_samples)
    shuffled = training.shuffle and batch_size != data.n_samples
    steps_per_epoch = None if data.n_samples is None else -(-data.n_samples // batch_size)
    if ranks is not None:
        batch_size, steps_per_epoch = ranks.own_batch_size, ranks.steps_per_epoch
        shuffled = training.shuffle and steps_per_epoch > 1
    training.check(net.dtype)
    rules = training.regularization.rules(net._architecture.layers)
    smoothing = _weights.label_smoothing(net._architecture, training.label_smoothing)
    plan, state = net._build(X.shape[1]) if net._plan is None else net._built()
    latest = state
    if resumed is not None:  # with the random numbers of the network that was written
        plan, latest = resumed.net._built()
    else:
        check_finite(state.parameters, net._architecture.shapes(X.shape[1]), net.dtype)
    slots, n_updates = latest.slots_for(optimizer)
    architecture = options.like(net)._architecture
    if ranks is not None:
        n_updates = ranks.n_updates
        architecture, plan = ranks.like_first(architecture, plan)
    n_epochs = max(1, options.epochs - options.n_done)
    rates = LearningRates(
        optimizer.learning_rate,
        None if options.starts_schedule else latest.schedule,
        n_updates=n_updates,
        steps_per_epoch=steps_per_epoch,
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
            subset=subset,
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
            subset=subset,
            smoothing=smoothing,
            counts_hits=net._architecture.is_classifier,
            exchange=None if ranks is None else ranks.exchange,
            **_moving_average(options.averaging, average),
        )
        rates.supply(trainer)

    def adopt() -> None:
        with net._access.writing():
            if latest is not state:
                state.take_over(latest)
            state.training, state.slots, state.n_updates = training, slots, n_updates
            state.schedule, state.average = rates.state(n_updates), average
            net._architecture = architecture  # with the seed of a checkpoint's network, or rank 0's
            net._adopt(plan, state)

    return trainer, state, rates, adopt


def _moving_average(averaging: Averaging, average: Average | None) -> dict[str, Any]:
    """What the core is told of it."""
    if averaging.ema is None or average is None:
        return {}
    arrays = (average.parameters, average.running)
    return {"average": arrays, "ema": averaging.ema, "n_averaged": average.count}

"""What `Network.fit` and `Network.partial_fit` do: all is checked and made ready, then trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import _weights
from fastnn._averages import Average, Averaging
from fastnn._blocks import check_finite
from fastnn._checkpoint import Before
from fastnn._core.training import Trainer
from fastnn._data import Samples, checked_samples
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
    from fastnn.network import Network

# The caller of `Network.fit`, from `fit` here: above that method and its `checked_keywords`.
_USER = 4


def fit(net: Network, X: Any, y: Any, options: FitOptions) -> History:
    """Trains `net`, which the caller has to itself; returns the history. See `Network.fit`."""
    watching, resumed = options.watching, options.resumed
    samples, validation = checked_samples(net, X, y, options)
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
        resumed.progress.check(options.epochs, names, watching.callbacks, options.averaging)
    if options.looks_at_scales and isinstance(samples.X, np.ndarray):
        warn_of_scales(samples.X, X, net.layers, stacklevel=_USER)
    before = None if resumed is None else Before.of(net)
    trainer, state, rates = _prepare(net, samples, options, validation is not None)
    n_samples = len(samples.X)
    loop = FitLoop(net, options, trainer, state, rates, n_samples, validation, names, before)
    return loop.run()


def _prepare(
    net: Network,
    samples: Samples,
    options: FitOptions,
    has_validation: bool,
) -> tuple[Trainer | LBFGSTrainer, State, LearningRates]:
    """All that can be refused or fail to be allocated; then the network takes it over."""
    resumed, training = options.resumed, options.training
    X, y, weights = samples
    optimizer, n_samples = training.optimizer, len(X)
    is_minimised = isinstance(optimizer, LBFGS)  # all samples at once, whatever is kept for later
    batch_size = n_samples if is_minimised else min(training.batch_size or n_samples, n_samples)
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
    rates.warn_of_end(stacklevel=_USER + 1)
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

"""The networks of a model for tables, made and trained by the recipe."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from fastnn import ScalingWarning
from fastnn.callbacks import Callback, EarlyStopping, StopTraining
from fastnn.config import get_num_threads
from fastnn.history import History
from fastnn.layers import Dense, Dropout, Layer
from fastnn.network import Network
from fastnn.optimizers import AdamW
from fastnn.schedules import CosineDecay
from fastnn.tabular.recipe import Recipe
from fastnn.tabular.target import Target
from fastnn.tabular.values import Array
from fastnn.tabular.weighting import input_factors, is_better

Progress = bool | Literal["epochs"]
#: Inputs, targets, and weights of the rows or None.
Part = tuple[Array, Array, Array | None]

_LINEAR_STEPS = 3000


def train_members(
    recipe: Recipe,
    target: Target,
    training: Part,
    validation: Part,
    seeds: Sequence[int],
    groups: Sequence[slice],
    threads: int | None,
    progress: Progress,
) -> list[tuple[Network, History]]:
    """Networks with these seeds, side by side; each is that of its best epoch.

    Where the table is not large, each is trained twice: the second time its inputs are scaled by
    what they were worth to the first. The second is taken where it is better beyond chance.

    Parameters
    ----------
    recipe : Recipe
    target : Target
    training, validation : (inputs, targets, weights or None)
    seeds : sequence of int
    groups : sequence of slice
        Of the inputs: those that are scaled alike.
    threads : int or None
        The most to use, of all networks together.
    progress : bool or "epochs"
        As for `Network.fit`; of the first one.

    Returns
    -------
    list of (Network, History)
        Without the states of their optimisers.
    """
    n_threads = get_num_threads() if threads is None else threads
    side_by_side = min(n_threads, len(seeds))
    stop = threading.Event()

    def train(i: int) -> tuple[Network, History]:
        shown = progress if i == 0 else False
        share = threads if side_by_side == 1 else max(1, n_threads // side_by_side)
        return _train(recipe, target, training, validation, seeds[i], groups, share, shown, stop)

    with warnings.catch_warnings(), ThreadPoolExecutor(side_by_side) as pool:
        warnings.simplefilter("ignore", ScalingWarning)  # the scales of inputs are meant
        if side_by_side == 1:
            return [train(i) for i in range(len(seeds))]
        try:
            return list(pool.map(train, range(len(seeds))))
        except BaseException:
            stop.set()  # of Ctrl-C, only this thread knows
            raise


def _train(
    recipe: Recipe,
    target: Target,
    training: Part,
    validation: Part,
    seed: int,
    groups: Sequence[slice],
    threads: int | None,
    progress: Progress,
    stop: threading.Event,
) -> tuple[Network, History]:
    X, y, _ = validation

    def train(factors: Array | None) -> tuple[Network, History]:
        return _fitted(recipe, target, training, validation, factors, seed, threads, progress, stop)

    first = train(None)
    if len(training[0]) > recipe.weighting_rows:
        return first
    most_predictions = recipe.samples // 4  # they take a tenth of the time of training
    factors = input_factors(first[0], target, X, y, groups, most_predictions, threads)
    if factors is None:
        return first
    second = train(factors)
    return second if is_better(second[0], first[0], target, X, y, threads) else first


def _fitted(
    recipe: Recipe,
    target: Target,
    training: Part,
    validation: Part,
    factors: Array | None,
    seed: int,
    threads: int | None,
    progress: Progress,
    stop: threading.Event,
) -> tuple[Network, History]:
    """Of the inputs as they are, also where it has been trained on these times `factors`."""
    (X, y, weights), (X_held, y_held, held_weights) = training, validation
    n_inputs = X.shape[1]
    kept = np.arange(n_inputs)
    if factors is not None:
        kept = np.flatnonzero(factors)
        X, X_held = X[:, kept] * factors[kept], X_held[:, kept] * factors[kept]
    net = Network(layers_of(recipe, target), len(kept), seed=seed)
    history = net.fit(
        X,
        y,
        sample_weight=weights,
        validation_data=(X_held, y_held, held_weights),
        callbacks=[early_stopping(recipe, len(X)), _Stop(stop)],
        threads=threads,
        progress=progress,
        **fit_arguments(recipe, target, len(X)),
    )
    if factors is None:
        return slim(net), history
    return _with_all_inputs(net, n_inputs, kept, factors[kept]), history


def early_stopping(recipe: Recipe, n_rows: int) -> EarlyStopping:
    """That of a training part of `n_rows`."""
    return EarlyStopping(patience=int(recipe.patience * recipe.epochs(n_rows)) + 1)


def fit_arguments(recipe: Recipe, target: Target, n_rows: int) -> dict[str, Any]:
    """Of `Network.fit`, those that the recipe says of a training part of `n_rows`."""
    rate = CosineDecay(recipe.learning_rate, restarts=recipe.restarts, growth=recipe.growth)
    return {
        "epochs": recipe.epochs(n_rows),
        "batch_size": recipe.batch_size(n_rows),
        "optimizer": AdamW(rate, beta_2=recipe.beta_2, weight_decay=recipe.weight_decay),
        "label_smoothing": recipe.label_smoothing if target.task == "classification" else 0.0,
        "ema": recipe.ema,
    }


def _with_all_inputs(net: Network, n_inputs: int, kept: Array, factors: Array) -> Network:
    """The network of `n_inputs` that gives what `net` does of the `kept` ones times `factors`."""
    whole = Network(net.layers, n_inputs, loss=net.loss, dtype=net.dtype, seed=net.seed)
    whole.weights[0][:] = 0
    whole.weights[0][kept] = net.weights[0] * factors[:, np.newaxis]
    others = zip([*whole.weights[1:], *whole.biases], [*net.weights[1:], *net.biases], strict=True)
    for ours, theirs in others:
        ours[:] = theirs
    return whole


class _Stop(Callback):
    """Ends a training that nobody waits for any more."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop

    def on_epoch_end(self, net: Network, epoch: int, metrics: Mapping[str, float]) -> None:
        if self._stop.is_set():
            raise StopTraining


def layers_of(recipe: Recipe, target: Target) -> list[Layer]:
    """Of the networks."""
    layers: list[Layer] = []
    for n_units in recipe.hidden:
        layers.append(Dense(n_units, recipe.activation))
        if recipe.dropout > 0:
            layers.append(Dropout(recipe.dropout))
    if layers and isinstance(layers[0], Dense):
        layers[0] = replace(layers[0], learning_rate_factor=recipe.first_layer_factor)
    return [*layers, _output(target)]


def _output(target: Target) -> Dense:
    return Dense(target.n_outputs, "softmax" if target.task == "classification" else "linear")


def train_linear(target: Target, training: Part, seed: int, threads: int | None) -> Network:
    """Logistic or linear regression: a network of one layer.

    Returns
    -------
    Network
    """
    X, y, weights = training
    net = Network([_output(target)], X.shape[1], seed=seed)
    batch_size = min(len(X), 256)
    steps_per_epoch = -(-len(X) // batch_size)
    epochs = max(_LINEAR_STEPS // steps_per_epoch, 3)
    rate = CosineDecay(1e-2)
    net.fit(
        X,
        y,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=rate,
        sample_weight=weights,
        threads=threads,
    )
    return slim(net)


def slim(net: Network) -> Network:
    """The same network without the state of its optimiser."""
    slim = Network(net.layers, net.n_features, loss=net.loss, dtype=net.dtype, seed=net.seed)
    slim.parameters[:] = net.parameters
    return slim

"""The parameters of the estimators: what each may be, and what `Network.fit` is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions

from fastnn.activations import ACTIVATIONS, ALIASES
from fastnn.layers import Activation, BatchNorm, Dense, Dropout, Layer
from fastnn.optimizers import OPTIMIZERS, SGD, Adam, Momentum, Nesterov, Optimizer
from fastnn.schedules import Schedule
from fastnn.tabular import Recipe

if TYPE_CHECKING:
    from fastnn.sklearn._base import BaseMLP

_HIDDEN = {name for name, row in ACTIVATIONS.items() if not row.output_only}

#: What each parameter may be, in the form that scikit-learn checks.
CONSTRAINTS: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [StrOptions(_HIDDEN | set(ALIASES) | {"prelu"}), "array-like"],
    "solver": [StrOptions({"lbfgs", *OPTIMIZERS}), Optimizer],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "learning_rate": [
        StrOptions({"constant", "invscaling", "adaptive"}),
        Schedule,
        HasMethods("__call__"),
    ],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "power_t": [Interval(Real, 0, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [Interval(Real, 0, None, closed="left")],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="left")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    "beta_1": [Interval(Real, 0, 1, closed="left")],
    "beta_2": [Interval(Real, 0, 1, closed="left")],
    "epsilon": [Interval(Real, 0, None, closed="neither")],
    "n_iter_no_change": [
        Interval(Integral, 1, None, closed="left"),
        Options(Real, {np.inf}),
    ],
    "max_fun": [Interval(Integral, 1, None, closed="left")],
    "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
    "batch_norm": ["boolean"],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "callbacks": [None, HasMethods("on_epoch_end"), HasMethods("__call__"), "array-like"],
    "scoring": [None, str, HasMethods("__call__")],
    "preset": [None, StrOptions({"tabular"}), Recipe],
    "dtype": [None, StrOptions({"float32", "float64"})],
    "n_jobs": [
        None,
        Interval(Integral, None, -1, closed="right"),
        Interval(Integral, 1, None, closed="left"),
    ],
}


class Scale(NamedTuple):
    """What scikit-learn's loss is in terms of the network's, which is a mean over the outputs.

    Attributes
    ----------
    gradient : float
        scikit-learn's gradient, divided by the network's.
    loss : float
        scikit-learn's loss is the network's times this, plus `constant`.
    constant : float
    """

    gradient: float = 1.0
    loss: float = 1.0
    constant: float = 0.0


def hidden_sizes(hidden_layer_sizes: Any) -> list[int]:
    """Units of each hidden layer; ValueError if they are not positive integers."""
    sizes = hidden_layer_sizes if isinstance(hidden_layer_sizes, Iterable) else [hidden_layer_sizes]
    sizes = list(sizes)
    if not all(isinstance(size, Integral) and int(size) > 0 for size in sizes):
        raise ValueError(f"hidden_layer_sizes must be integers of at least 1, got {sizes}")
    return [int(size) for size in sizes]


def hidden_activations(estimator: BaseMLP) -> list[str]:
    """The activation of each hidden layer."""
    names = _each_layer(estimator.activation, "activation", estimator.hidden_layer_sizes)
    return [ALIASES.get(name, name) for name in names]


def hidden_layers(estimator: BaseMLP) -> list[Layer]:
    """All layers but the output."""
    sizes = hidden_sizes(estimator.hidden_layer_sizes)
    rates = _each_layer(estimator.dropout, "dropout", sizes)
    if not all(isinstance(rate, Real) and 0 <= float(rate) < 1 for rate in rates):
        raise ValueError(f"dropout must be numbers in [0, 1), got {rates}")
    layers: list[Layer] = []
    for size, activation, rate in zip(sizes, hidden_activations(estimator), rates, strict=True):
        if estimator.batch_norm:
            layers += [Dense(size), BatchNorm(), Activation(activation)]
        else:
            layers.append(Dense(size, activation))
        if rate > 0:
            layers.append(Dropout(float(rate)))
    return layers


def _each_layer(value: Any, name: str, hidden_layer_sizes: Any) -> list[Any]:
    """`value` for each hidden layer, where it is one for all."""
    n_layers = len(hidden_sizes(hidden_layer_sizes))
    if isinstance(value, str) or not isinstance(value, Iterable):
        return [value] * n_layers
    values = list(value)
    if len(values) != n_layers:
        raise ValueError(
            f"{name} must be one value, or one for each of the {n_layers} hidden layers, got "
            f"{len(values)}"
        )
    return values


def optimizer_of(estimator: BaseMLP, scale: Scale) -> Optimizer:
    """The optimiser whose steps are those that scikit-learn makes of its own gradient."""
    solver: Any = estimator.solver
    rate = float(estimator.learning_rate_init)
    if isinstance(solver, Optimizer):
        return solver
    if solver == "adam":
        epsilon = estimator.epsilon / scale.gradient
        return Adam(rate, estimator.beta_1, estimator.beta_2, float(epsilon))
    if solver != "sgd":
        return OPTIMIZERS[solver](rate)
    rate *= scale.gradient
    if estimator.momentum == 0:
        return SGD(rate)
    kind = Nesterov if estimator.nesterovs_momentum else Momentum
    return kind(rate, float(estimator.momentum))


def has_own_rates(estimator: BaseMLP) -> bool:
    """Whether the learning rate is a schedule or a function, which goes on from call to call."""
    rate: Any = estimator.learning_rate
    if isinstance(estimator.solver, Optimizer) and isinstance(rate, str):
        rate = estimator.solver.learning_rate
    return not isinstance(rate, (str, float))


def inverse_scaling(
    rate: float,
    power_t: float,
    n_seen: int,
    *,
    epoch_size: int,
    steps_per_epoch: int,
    begins: bool,
) -> Callable[[int], float]:
    """scikit-learn's ``"invscaling"``: a rate that falls after each epoch.

    Parameters
    ----------
    rate : float
        The largest one.
    power_t : float
    n_seen : int
        Samples that the epochs before this call have seen.
    epoch_size : int
        Samples of an epoch.
    steps_per_epoch : int
    begins : bool
        Whether the first epoch has the largest rate, whatever was before.

    Returns
    -------
    callable
        Of the step, as `Network.fit` takes it.
    """

    def rate_of(step: int) -> float:
        epoch = step // steps_per_epoch
        if begins and epoch == 0:
            return rate
        return float(rate * (n_seen + epoch * epoch_size + 1) ** -power_t)

    return rate_of


def callback_list(callbacks: Any) -> list[Any]:
    """The user's callbacks."""
    if callbacks is None:
        return []
    return list(callbacks) if isinstance(callbacks, Iterable) else [callbacks]

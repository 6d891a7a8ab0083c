"""Optimisers: names and hyperparameters. The arithmetic is in ``csrc/optimizers.inc.h``.

In the formulas w are the parameters, g is the gradient of the mean loss of the mini-batch, lr the
learning rate, and t counts the steps from 1.
"""

from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

from fastnn import _validation
from fastnn._keywords import checked_keywords
from fastnn.schedules import Rate, checked_rate


def _memory(value: Any, name: str) -> int:
    return _validation.positive_int(value, name, at_most=1000)


#: What each hyperparameter must be.
_CHECKS = {
    "learning_rate": checked_rate,
    "momentum": _validation.number_in_unit_interval,
    "rho": _validation.number_in_unit_interval,
    "beta_1": _validation.number_in_unit_interval,
    "beta_2": _validation.number_in_unit_interval,
    "epsilon": _validation.positive_number,
    "weight_decay": _validation.non_negative_number,
    "momentum_decay": _validation.non_negative_number,
    "memory": _memory,
    "tolerance": _validation.positive_number,
}


@dataclass(frozen=True)
class Optimizer:
    """What all optimisers have: a name, a learning rate, and slots.

    Parameters
    ----------
    learning_rate : float, Schedule or callable
        A positive number; or an object of `fastnn.schedules`; or a function that takes the number
        of the step, from 0, and returns a number of at least 0. It is called for some thousand
        steps before these are done.

    Attributes
    ----------
    name : str
        By which `Network.fit` and the core know it.
    n_slots : int
        Blocks of numbers, each like the parameters, that it carries from step to step.

    Raises
    ------
    TypeError, ValueError
        If a value is not one of these.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.Adam(3e-3).name, fastnn.Adam().n_slots
    ('adam', 2)
    >>> isinstance(fastnn.SGD(), fastnn.Optimizer)
    True
    """

    name: ClassVar[str]
    n_slots: ClassVar[int]

    learning_rate: Rate = 0.01

    def __post_init__(self) -> None:
        for name in (each.name for each in fields(self)):
            object.__setattr__(self, name, _CHECKS[name](getattr(self, name), name))

    @property
    def hyperparameters(self) -> dict[str, float]:
        """All hyperparameters by name, but for the learning rate."""
        names = (each.name for each in fields(self))
        return {name: getattr(self, name) for name in names if name != "learning_rate"}


@checked_keywords
@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent: ``w -= lr g``.

    Parameters
    ----------
    learning_rate : float, Schedule or callable
        Above 0; see `Optimizer`.

    Raises
    ------
    TypeError, ValueError
        If a value is not one of these.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import SGD, Network
    >>> net = Network.from_sizes([2, 1], output="linear", seed=0)
    >>> X, y = np.float32([[0, 0], [0, 1], [1, 0], [1, 1]]), np.float32([1, 3, 2, 4])
    >>> history = net.fit(X, y, epochs=500, batch_size=None, optimizer=SGD(0.3))
    >>> net.predict(X).round(2).ravel()
    array([1., 3., 2., 4.], dtype=float32)
    """

    name: ClassVar[str] = "sgd"
    n_slots: ClassVar[int] = 0


@checked_keywords
@dataclass(frozen=True)
class Momentum(Optimizer):
    """Gradient descent with momentum: ``v = momentum v + g; w -= lr v``.

    Parameters
    ----------
    learning_rate : float, Schedule or callable
        Above 0; see `Optimizer`.
    momentum : float
        Share of the velocity v that stays from step to step, in [0, 1).

    Raises
    ------
    TypeError, ValueError
        If a value is not one of these.

    Examples
    --------
    >>> from fastnn import Momentum
    >>> Momentum(0.1).hyperparameters
    {'momentum': 0.9}
    """

    name: ClassVar[str] = "momentum"
    n_slots: ClassVar[int] = 1

    momentum: float = 0.9


@checked_keywords
@dataclass(frozen=True)
class Nesterov(Momentum):
    """Nesterov's accelerated gradient: ``v = momentum v + g; w -= lr (g + momentum v)``.

    Parameters
    ----------
    learning_rate : float, Schedule or callable
        Above 0; see `Optimizer`.
    momentum : float
        Share of the velocity v that stays from step to step, in [0, 1).

    Raises
    ------
    TypeError, ValueError
        If a value is not one of these.

    References
    ----------
    Sutskever, Martens, Dahl and Hinton, "On the importance of initialization and momentum in deep
    learning", ICML 2013.

    Examples
    --------
    >>> from fastnn import Momentum, Nesterov
    >>> Nesterov(0.1, momentum=0.95)
    Nesterov(learning_rate=0.1, momentum=0.95)
    >>> isinstance(Nesterov(0.1), Momentum)
    True
    """

    name: ClassVar[str] = "nesterov"


@checked_keywords
@dataclass(frozen=True)
class RMSprop(Optimizer):
    """``s = rho s + (1 - rho) g^2; w -= lr g / (sqrt(s) + epsilon)``.

    Parameters
    ----------
    learning_rate : float, Schedule or callable
        Above 0; see `Optimizer`.
    rho : float
        Share of the mean square s that stays from step to step, in [0, 1).
    epsilon : float
        Above 0.

    Raises
    ------
    TypeError, ValueError
        If a value is not one of these.

    References
    ----------
    Tieleman and Hinton, "Lecture 6.5: rmsprop", COURSERA: Neural Networks for Machine Learning,
    2012.

    Examples
    --------
    >>> from fastnn import RMSprop
    >>> RMSprop(rho=0.99)
    RMSprop(learning_rate=0.001, rho=0.99, epsilon=1e-08)
    """

    name: ClassVar[str] = "rmsprop"
    n_slots: ClassVar[int] = 1

    learning_rate: Rate = 0.001
    rho: float = 0.9
    epsilon: float = 1e-8


@checked_keywords
@dataclass(frozen=True)
class Adagrad(Optimizer):
    """``s += g^2; w -= lr g / (sqrt(s) + epsilon)``.

    Parameters
    ----------
    learning_rate : float, Schedule or callable
        Above 0; see `Optimizer`.
    epsilon : float
        Above 0.

    Raises
    ------
    TypeError, ValueError
        If a value is not one of these.

    References
    ----------
    Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and stochastic
    optimization", JMLR 12, 2011.

    Examples
    --------
    >>> from fastnn import Adagrad
    >>> Adagrad(0.05).hyperparameters
    {'epsilon': 1e-08}
    """

    name: ClassVar[str] = "adagrad"
    n_slots: ClassVar[int] = 1

    epsilon: float = 1e-8


@checked_keywords
@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam: the mean of the gradients, divided by the root of the mean of their squares.

    ``m = beta_1 m + (1 - beta_1) g; v = beta_2 v + (1 - beta_2) g^2``, then
    ``w -= lr m^ / (sqrt(v^) + epsilon)`` with ``m^ = m / (1 - beta_1^t)``,
    ``v^ = v / (1 - beta_2^t)``.

    Parameters
    ----------
    learning_rate : float, Schedule or callable
        Above 0; see `Optimizer`.
    beta_1 : float
        Share of the mean gradient m that stays from step to step, in [0, 1).
    beta_2 : float
        Share of the mean square v that stays, in [0, 1).
    epsilon : float
        Above 0.

    Raises
    ------
    TypeError, ValueError
        If a value is not one of these.

    References
    ----------
    Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015.

    Examples
    --------
    >>> from fastnn import Adam, CosineDecay, Network
    >>> from fastnn.datasets import make_moons
    >>> net = Network.from_sizes([2, 16, 1], seed=0)
    >>> history = net.fit(*make_moons(seed=0), epochs=100, optimizer=Adam(CosineDecay(0.02)))
    >>> net.training.optimizer.beta_2
    0.999
    """

    name: ClassVar[str] = "adam"
    n_slots: ClassVar[int] = 2

    learning_rate: Rate = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8


@checked_keywords
@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay: a step also takes ``lr weight_decay w`` from each w.

    All parameters decay, biases included.

    Parameters
    ----------
    learning_rate : float, Schedule or callable
        Above 0; see `Optimizer`.
    beta_1, beta_2, epsilon : float
        As of `Adam`.
    weight_decay : float
        At least 0; a step takes this share of a weight times the learning rate.

    Raises
    ------
    TypeError, ValueError
        If a value is not one of these.

    References
    ----------
    Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019.

    Examples
    --------
    >>> from fastnn import AdamW
    >>> AdamW(1e-3, weight_decay=0.05).weight_decay
    0.05
    """

    name: ClassVar[str] = "adamw"

    weight_decay: float = 0.01


@checked_keywords
@dataclass(frozen=True)
class NAdam(Adam):
    """Adam with Nesterov's momentum.

    With m, v and v^ as in `Adam`,
    ``w -= lr (mu_(t+1) m / (1 - mu_1 ... mu_(t+1)) + (1 - mu_t) g / (1 - mu_1 ... mu_t))
    / (sqrt(v^) + epsilon)``, where ``mu_i = beta_1 (1 - 0.96^(i momentum_decay) / 2)``.

    Parameters
    ----------
    learning_rate : float, Schedule or callable
        Above 0; see `Optimizer`.
    beta_1, beta_2, epsilon : float
        As of `Adam`.
    momentum_decay : float
        At least 0.

    Raises
    ------
    TypeError, ValueError
        If a value is not one of these.

    References
    ----------
    Dozat, "Incorporating Nesterov momentum into Adam", ICLR workshop 2016; as in PyTorch.

    Examples
    --------
    >>> from fastnn import NAdam
    >>> NAdam().learning_rate
    0.002
    """

    name: ClassVar[str] = "nadam"

    learning_rate: Rate = 0.002
    momentum_decay: float = 0.004


@checked_keywords
@dataclass(frozen=True)
class AMSGrad(Adam):
    """Adam with the largest v so far: ``w -= lr m^ / (sqrt(max(v) / (1 - beta_2^t)) + epsilon)``.

    Parameters
    ----------
    learning_rate : float, Schedule or callable
        Above 0; see `Optimizer`.
    beta_1, beta_2, epsilon : float
        As of `Adam`.

    Raises
    ------
    TypeError, ValueError
        If a value is not one of these.

    References
    ----------
    Reddi, Kale and Kumar, "On the convergence of Adam and beyond", ICLR 2018; bias corrections as
    in PyTorch.

    Examples
    --------
    >>> from fastnn import AMSGrad
    >>> AMSGrad().n_slots  # m, v and the largest v
    3
    """

    name: ClassVar[str] = "amsgrad"
    n_slots: ClassVar[int] = 3


@checked_keywords
@dataclass(frozen=True)
class Lion(Optimizer):
    """Lion: steps of one size for all parameters, by the sign of a mean of the gradients.

    ``w -= lr (sign(beta_1 m + (1 - beta_1) g) + weight_decay w)``, then
    ``m = beta_2 m + (1 - beta_2) g``.

    All parameters decay, biases included. The sign of 0 is 0.

    Parameters
    ----------
    learning_rate : float, Schedule or callable
        Above 0; see `Optimizer`.
    beta_1, beta_2 : float
        Shares of m that stay, in the step and from step to step; in [0, 1).
    weight_decay : float
        At least 0.

    Raises
    ------
    TypeError, ValueError
        If a value is not one of these.

    References
    ----------
    Chen et al., "Symbolic discovery of optimization algorithms", NeurIPS 2023.

    Examples
    --------
    >>> from fastnn import Lion
    >>> Lion(1e-4, weight_decay=0.1).n_slots
    1
    """

    name: ClassVar[str] = "lion"
    n_slots: ClassVar[int] = 1

    learning_rate: Rate = 0.0001
    beta_1: float = 0.9
    beta_2: float = 0.99
    weight_decay: float = 0.0


@checked_keywords
@dataclass(frozen=True)
class LBFGS(Optimizer):
    """L-BFGS: a quasi-Newton method over all samples at once, for small problems.

    It is SciPy's L-BFGS-B. An epoch is an iteration: a line search, which takes the loss and the
    gradient of all samples once or a few times. `fit` ends early where nothing is left to gain.
    Every call begins anew. float64 gets much further than float32.

    Parameters
    ----------
    memory : int
        Pairs of steps and changes of the gradient that stand for the second derivatives; from 1 to
        1,000.
    tolerance : float
        Training ends when no number of the gradient is larger in size; above 0.

    Raises
    ------
    TypeError, ValueError
        If a value is not one of these.

    References
    ----------
    Byrd, Lu, Nocedal and Zhu, "A limited memory algorithm for bound constrained optimization", SIAM
    Journal on Scientific Computing 16, 1995.

    Examples
    --------
    >>> from fastnn import LBFGS, Network
    >>> from fastnn.datasets import make_moons
    >>> net = Network.from_sizes([2, 8, 1], hidden="tanh", dtype="float64", seed=0)
    >>> history = net.fit(*make_moons(seed=0), epochs=200, optimizer=LBFGS(memory=20))
    >>> history["loss"][-1] < 0.05
    True
    """

    name: ClassVar[str] = "lbfgs"
    n_slots: ClassVar[int] = 0

    learning_rate: Rate = field(default=1.0, init=False, repr=False)
    memory: int = 10
    tolerance: float = 1e-5


#: Those of the core, by name.
OPTIMIZERS: dict[str, type[Optimizer]] = {
    optimizer.name: optimizer
    for optimizer in (
        SGD,
        Momentum,
        Nesterov,
        RMSprop,
        Adagrad,
        Adam,
        AdamW,
        NAdam,
        AMSGrad,
        Lion,
    )
}

#: All, by name.
ALL_OPTIMIZERS: dict[str, type[Optimizer]] = {**OPTIMIZERS, LBFGS.name: LBFGS}

#: Other names under which the same optimisers are known.
ALIASES = {"gradient_descent": "sgd", "nag": "nesterov", "lbfgsb": "lbfgs"}


def get_optimizer(optimizer: str | Optimizer, learning_rate: Rate | None) -> Optimizer:
    """The optimiser that `Network.fit` was asked for.

    Parameters
    ----------
    optimizer : str or Optimizer
    learning_rate : float, Schedule or callable, optional
        Takes the place of the optimiser's own.

    Returns
    -------
    Optimizer

    Raises
    ------
    TypeError, ValueError
        If `optimizer` is neither a known name nor an object of this module, or `learning_rate` is
        not a positive number, a schedule or a function.
    """
    if isinstance(optimizer, str):
        chosen = _validation.known_name(optimizer, ALL_OPTIMIZERS, "optimizer", ALIASES)()
    elif type(optimizer) in ALL_OPTIMIZERS.values():
        chosen = optimizer
    else:
        given: Any = optimizer
        kinds = (kind for kind in ALL_OPTIMIZERS.values() if given is kind)
        remedy = "".join(f"; call it: {kind.__name__}()" for kind in kinds)
        raise TypeError(
            f"optimizer must be a name ({', '.join(ALL_OPTIMIZERS)}) or an object such as "
            f"fastnn.Adam(1e-3), got {_validation.short(optimizer)}{remedy}"
        )
    if learning_rate is None:
        return chosen
    if isinstance(chosen, LBFGS):
        raise ValueError(
            f"learning_rate must be None for LBFGS, whose line search finds the length of a step, "
            f"got {_validation.short(learning_rate)}"
        )
    return replace(chosen, learning_rate=learning_rate)

"""Descriptions of layers: small, frozen, without arithmetic."""

from dataclasses import KW_ONLY, dataclass, fields
from typing import Any

from fastnn import _validation
from fastnn._keywords import checked_keywords
from fastnn.activations import ACTIVATIONS, ALIASES
from fastnn.initializers import Normal, checked_initializer

#: What each number must be.
_CHECKS = {
    "l1": _validation.non_negative_number,
    "l2": _validation.non_negative_number,
    "max_norm": _validation.positive_number_or_none,
    "trainable": _validation.boolean,
    "learning_rate_factor": _validation.positive_number,
}


@checked_keywords
@dataclass(frozen=True)
class Dense:
    """A fully connected layer: ``activation(A_prev @ weights + bias)``.

    The layer is linear unless an activation is named.

    Parameters
    ----------
    n_units : int
        From 1 to 2**31 - 1.
    activation : str
        One of ``fastnn.activations.ACTIVATIONS``.
    initializer : str, fastnn.Normal or None
        Of the weights, one of ``fastnn.initializers.INITIALIZERS``. None chooses by the activation:
        He (normal) for relu, leaky_relu, elu, gelu, silu, mish and softplus, LeCun (normal) for
        selu, Glorot (uniform) for linear, sigmoid, tanh and softmax.
    l1, l2 : float
        Penalties on this layer's weights, not its bias, beside those of `Network.fit`: the cost of
        a mini-batch of m samples has ``(l1 sum(|w|) + l2 / 2 sum(w^2)) / m`` in it.
    max_norm : float or None
        Largest Euclidean norm of the weights into a unit: after each update, longer columns of the
        weights are scaled down to it. None: no limit.
    trainable : bool
        Whether training changes the layer. One that is not has no penalty and is not
        part of the gradient that ``clip_norm`` measures, and the way back ends above the lowest
        such layers.
    learning_rate_factor : float
        What the learning rate is multiplied by for this layer's weights and bias; above 0.

    Raises
    ------
    TypeError, ValueError
        If a value is not one of these.

    Notes
    -----
    Case, spaces, ``-`` and ``_`` do not matter in names, and common other names are known:
    ``"ReLU"`` is relu, ``"swish"`` is silu, ``"xavier"`` is glorot_uniform.

    Examples
    --------
    >>> from fastnn import Dense
    >>> Dense(10)
    Dense(10, 'linear')
    >>> Dense(10, "ReLU")
    Dense(10, 'relu')
    """

    n_units: int
    activation: str = "linear"
    initializer: str | Normal | None = None
    _: KW_ONLY
    l1: float = 0.0
    l2: float = 0.0
    max_norm: float | None = None
    trainable: bool = True
    learning_rate_factor: float = 1.0

    def __post_init__(self) -> None:
        n_units = _validation.positive_int(self.n_units, "n_units", at_most=_validation.MAX_SIZE)
        object.__setattr__(self, "n_units", n_units)
        activation = _validation.known_name(self.activation, ACTIVATIONS, "activation", ALIASES)
        object.__setattr__(self, "activation", activation.name)
        object.__setattr__(self, "initializer", checked_initializer(self.initializer))
        for name, check in _CHECKS.items():
            object.__setattr__(self, name, check(getattr(self, name), name))

    def __repr__(self) -> str:
        options = "".join(f", {name}={value!r}" for name, value in self.options.items())
        return f"Dense({self.n_units}, {self.activation!r}{options})"

    @property
    def options(self) -> dict[str, Any]:
        """What is not as it is by default, but for units and activation."""
        values = ((field.name, getattr(self, field.name), field.default) for field in fields(self))
        return {name: value for name, value, default in list(values)[2:] if value != default}

    @property
    def chosen_initializer(self) -> str | Normal:
        """The initializer named, or the default of the activation."""
        if self.initializer is None:
            return ACTIVATIONS[self.activation].default_initializer
        return self.initializer

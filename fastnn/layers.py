"""Descriptions of layers: small, frozen, without arithmetic."""

from dataclasses import dataclass

from fastnn import _validation
from fastnn._keywords import checked_keywords
from fastnn.activations import ACTIVATIONS, ALIASES
from fastnn.initializers import Normal, checked_initializer


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

    def __post_init__(self) -> None:
        n_units = _validation.positive_int(self.n_units, "n_units", at_most=_validation.MAX_SIZE)
        object.__setattr__(self, "n_units", n_units)
        activation = _validation.known_name(self.activation, ACTIVATIONS, "activation", ALIASES)
        object.__setattr__(self, "activation", activation.name)
        object.__setattr__(self, "initializer", checked_initializer(self.initializer))

    def __repr__(self) -> str:
        initializer = "" if self.initializer is None else f", initializer={self.initializer!r}"
        return f"Dense({self.n_units}, {self.activation!r}{initializer})"

    @property
    def chosen_initializer(self) -> str | Normal:
        """The initializer named, or the default of the activation."""
        if self.initializer is None:
            return ACTIVATIONS[self.activation].default_initializer
        return self.initializer

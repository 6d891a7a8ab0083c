"""Descriptions of layers: small, frozen, without arithmetic."""

from __future__ import annotations

from dataclasses import KW_ONLY, asdict, dataclass, fields
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from fastnn import _validation
from fastnn._keywords import checked_keywords
from fastnn.activations import ACTIVATIONS, ALIASES
from fastnn.initializers import Normal, checked_initializer, draw_weights

#: What each number of `Dense` must be.
_CHECKS = {
    "l1": _validation.non_negative_number,
    "l2": _validation.non_negative_number,
    "max_norm": _validation.positive_number_or_none,
    "trainable": _validation.boolean,
    "learning_rate_factor": _validation.positive_number,
}


class Operation(NamedTuple):
    """What the core is told of a layer.

    Attributes
    ----------
    kind : str
        A row of ``_core/layers.pyx``.
    n_units : int
        That it gives.
    weight_rows : int
        Of its weights, (weight_rows, n_units).
    has_bias : bool
    activation : str
    setting : float
        The one number that its kernel needs: a rate, a scale, an epsilon.
    scale, offset : float
        Of a `Rescale`.
    momentum : float
        Of its running statistics.
    noise_key : int
        Of its random numbers, below 2**64.
    """

    kind: str
    n_units: int
    weight_rows: int = 0
    has_bias: bool = False
    activation: str = "linear"
    setting: float = 0.0
    scale: float = 1.0
    offset: float = 0.0
    momentum: float = 0.0
    noise_key: int = 0


@dataclass(frozen=True)
class Layer:
    """What all layers have.

    Attributes
    ----------
    has_running_statistics : bool
        Whether inference uses a mean and a variance for each unit that training has gathered.
    has_noise : bool
        Whether training draws random numbers for it, and inference leaves it out.
    has_parameters : bool
        Whether it has weights or a bias.
    l1, l2, max_norm, trainable, learning_rate_factor
        See `Dense`, which may change them.

    Examples
    --------
    >>> from fastnn import Dense, Dropout, Layer
    >>> all(isinstance(layer, Layer) for layer in (Dense(8, "relu"), Dropout(0.2)))
    True
    """

    has_running_statistics: ClassVar[bool] = False
    has_noise: ClassVar[bool] = False
    has_parameters: ClassVar[bool] = True
    l1: ClassVar[float] = 0.0
    l2: ClassVar[float] = 0.0
    max_norm: ClassVar[float | None] = None
    trainable: ClassVar[bool] = True
    learning_rate_factor: ClassVar[float] = 1.0

    def n_out(self, n_in: int) -> int:
        """Units that it gives.

        Parameters
        ----------
        n_in : int
            Units that enter.

        Returns
        -------
        int
            As many, but for a `Dense`.
        """
        return n_in

    def operation(self, n_in: int, noise_key: int) -> Operation:
        """What the core is told.

        Parameters
        ----------
        n_in : int
            Units that enter.
        noise_key : int
            Of its random numbers, below 2**64.

        Returns
        -------
        Operation
            Kind, sizes and settings.
        """
        raise NotImplementedError

    def initial_weights(self, n_in: int, random: np.random.Generator) -> npt.ArrayLike:
        """Weights before the first step.

        Parameters
        ----------
        n_in : int
            Units that enter.
        random : numpy.random.Generator
            What draws them, where they are random.

        Returns
        -------
        array-like
            Of the shape of the weights, or what can be broadcast to it.
        """
        return 0.0

    def description(self) -> dict[str, Any]:
        """All of it as JSON knows it.

        Returns
        -------
        dict of str to object
            The kind, and the fields by name; options only where they are not the default.
        """
        values = asdict(self)
        for field in fields(self):
            if field.kw_only and values[field.name] == field.default:
                del values[field.name]
        return {"kind": type(self).__name__, **values}

    def __repr__(self) -> str:
        shown = (
            repr(getattr(self, field.name))
            if i == 0
            else f"{field.name}={getattr(self, field.name)!r}"
            for i, field in enumerate(fields(self))
            if i == 0 or getattr(self, field.name) != field.default
        )
        return f"{type(self).__name__}({', '.join(shown)})"


@checked_keywords
@dataclass(frozen=True, repr=False)
class Dense(Layer):
    """A fully connected layer: ``activation(A_prev @ weights + bias)``.

    The layer is linear unless an activation is named.

    Parameters
    ----------
    n_units : int
        From 1 to 2**31 - 1.
    activation : str
        One of ``fastnn.activations.ACTIVATIONS``; or ``"prelu"``, which is short for a linear layer
        and a `PReLU` behind it.
    initializer : str, fastnn.Normal or None
        Of the weights, one of ``fastnn.initializers.INITIALIZERS``. None chooses by the activation:
        He (normal) for relu, leaky_relu, prelu, elu, gelu, silu, mish and softplus, LeCun (normal)
        for selu, Glorot (uniform) for linear, sigmoid, tanh and softmax.
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
    l1: float = 0.0  # type: ignore[misc]
    l2: float = 0.0  # type: ignore[misc]
    max_norm: float | None = None  # type: ignore[misc]
    trainable: bool = True  # type: ignore[misc]
    learning_rate_factor: float = 1.0  # type: ignore[misc]

    def __post_init__(self) -> None:
        n_units = _validation.positive_int(self.n_units, "n_units", at_most=_validation.MAX_SIZE)
        object.__setattr__(self, "n_units", n_units)
        activation = _validation.spelled(
            self.activation, [*ACTIVATIONS, PRELU], "activation", ALIASES
        )
        object.__setattr__(self, "activation", activation)
        object.__setattr__(self, "initializer", checked_initializer(self.initializer))
        for name, check in _CHECKS.items():
            object.__setattr__(self, name, check(getattr(self, name), name))

    def __repr__(self) -> str:
        options = "".join(f", {name}={value!r}" for name, value in self.options.items())
        return f"Dense({self.n_units}, {self.activation!r}{options})"

    @property
    def options(self) -> dict[str, Any]:
        """What is not as it is by default, but for units and activation."""
        named = [field for field in fields(self) if field.name not in ("n_units", "activation")]
        values = ((field.name, getattr(self, field.name), field.default) for field in named)
        return {name: value for name, value, default in values if value != default}

    @property
    def chosen_initializer(self) -> str | Normal:
        """The initializer named, or the default of the activation."""
        if self.initializer is None:
            return ACTIVATIONS[self.activation].default_initializer
        return self.initializer

    def n_out(self, n_in: int) -> int:
        """Its units."""
        return self.n_units

    def operation(self, n_in: int, noise_key: int) -> Operation:
        """Weights of shape (n_in, n_units), and a bias."""
        return Operation(
            "dense", self.n_units, weight_rows=n_in, has_bias=True, activation=self.activation
        )

    def initial_weights(self, n_in: int, random: np.random.Generator) -> npt.ArrayLike:
        """As the initializer draws them."""
        return draw_weights(self.chosen_initializer, n_in, self.n_units, random)


@checked_keywords
@dataclass(frozen=True, repr=False)
class Rescale(Layer):
    """What comes in, as ``scale x + offset``: the first layer of a network, or none.

    The numbers are rescaled while the samples of a mini-batch are gathered, so that arrays of bytes
    stay arrays of bytes: they need a quarter of the memory that float32 takes.

    Parameters
    ----------
    scale : float
        What numbers are multiplied by; other than 0.
    offset : float
        What is added then.

    Raises
    ------
    TypeError, ValueError
        If a value is not such a number.

    Examples
    --------
    Images of a byte a pixel, from 0 to 255, as numbers from -1 to 1:

    >>> import numpy as np
    >>> from fastnn import Dense, Network, Rescale
    >>> layers = [Rescale(1 / 127.5, offset=-1.0), Dense(32, "relu"), Dense(10, "softmax")]
    >>> net = Network(layers, n_features=784, seed=0)
    >>> net.predict(np.zeros((5, 784), np.uint8)).shape
    (5,)
    """

    scale: float
    offset: float = 0.0
    has_parameters: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _set(self, "scale", _validation.finite_number)
        _set(self, "offset", _validation.finite_number)
        if self.scale == 0:
            raise ValueError("scale must not be 0: all numbers would be the same")

    def operation(self, n_in: int, noise_key: int) -> Operation:
        """No parameters."""
        return Operation("rescale", n_in, scale=self.scale, offset=self.offset)


@checked_keywords
@dataclass(frozen=True, repr=False)
class Activation(Layer):
    """An activation as a layer of its own, such as behind a `BatchNorm`.

    Parameters
    ----------
    activation : str
        One of ``fastnn.activations.ACTIVATIONS`` but softmax, which is for the output.

    Raises
    ------
    TypeError, ValueError
        If it is not one of these.

    Examples
    --------
    >>> from fastnn import Activation, BatchNorm, Dense, Network
    >>> net = Network([Dense(8), BatchNorm(), Activation("relu"), Dense(1)], n_features=3, seed=0)
    """

    activation: str
    has_parameters: ClassVar[bool] = False

    def __post_init__(self) -> None:
        row = _validation.known_name(self.activation, ACTIVATIONS, "activation", ALIASES)
        if row.output_only:
            raise ValueError(
                f"activation must not be {row.name}, which is for the output: "
                f"Dense(n_classes, {row.name!r})"
            )
        object.__setattr__(self, "activation", row.name)

    def operation(self, n_in: int, noise_key: int) -> Operation:
        """No parameters."""
        return Operation("activation", n_in, activation=self.activation)


@checked_keywords
@dataclass(frozen=True, repr=False)
class PReLU(Layer):
    """Parametric ReLU: ``x if x > 0 else alpha x``, with an alpha for each unit that is learnt.

    Its ``weights`` are the alphas, of shape (n_units,).

    Parameters
    ----------
    alpha : float
        At the beginning; at least 0.

    Raises
    ------
    TypeError, ValueError
        If it is not such a number.

    References
    ----------
    He, Zhang, Ren and Sun, "Delving deep into rectifiers: surpassing human-level performance on
    ImageNet classification", ICCV 2015.

    Examples
    --------
    >>> from fastnn import Dense, Network, PReLU
    >>> net = Network([Dense(4), PReLU(0.1), Dense(1)], n_features=3, seed=0)
    >>> net.weights[1]  # an alpha for each unit
    array([0.1, 0.1, 0.1, 0.1], dtype=float32)
    """

    alpha: float = 0.25

    def __post_init__(self) -> None:
        _set(self, "alpha", _validation.non_negative_number)

    def operation(self, n_in: int, noise_key: int) -> Operation:
        """A weight for each unit."""
        return Operation("prelu", n_in, weight_rows=1)

    def initial_weights(self, n_in: int, random: np.random.Generator) -> npt.ArrayLike:
        """Alpha for each unit."""
        return self.alpha


@checked_keywords
@dataclass(frozen=True, repr=False)
class Dropout(Layer):
    """In training, each number is 0 with probability `rate`, else it is divided by ``1 - rate``.

    Nothing is changed where the network is used or evaluated.

    Parameters
    ----------
    rate : float
        In [0, 1).

    Raises
    ------
    TypeError, ValueError
        If it is not such a number.

    Notes
    -----
    Which ones are 0 follows from the network's seed, the number of the step, the layer, the
    sample's place in the epoch and the unit alone: a network that is trained again from the same
    seed has the same bits, on any number of threads.

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, "Dropout: a simple way to prevent
    neural networks from overfitting", JMLR 15, 2014. This form, which leaves inference alone, is
    called inverted dropout.

    Examples
    --------
    >>> from fastnn import Dense, Dropout, Network
    >>> layers = [Dropout(0.1), Dense(32, "relu"), Dropout(0.5), Dense(10, "softmax")]
    >>> net = Network(layers, n_features=64, seed=0)
    """

    rate: float
    has_noise: ClassVar[bool] = True
    has_parameters: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _set(self, "rate", _validation.number_in_unit_interval)

    def operation(self, n_in: int, noise_key: int) -> Operation:
        """No parameters."""
        return Operation("dropout", n_in, setting=self.rate, noise_key=noise_key)


@checked_keywords
@dataclass(frozen=True, repr=False)
class GaussianNoise(Layer):
    """In training, a normal random number times `scale` is added to each number.

    Nothing is changed where the network is used or evaluated.

    Parameters
    ----------
    scale : float
        The standard deviation of the noise; at least 0.

    Raises
    ------
    TypeError, ValueError
        If it is not such a number.

    Notes
    -----
    The noise follows from the same numbers as that of `Dropout`.

    Examples
    --------
    >>> from fastnn import Dense, GaussianNoise, Network
    >>> net = Network([GaussianNoise(0.1), Dense(8, "relu"), Dense(1)], n_features=3, seed=0)
    """

    scale: float
    has_noise: ClassVar[bool] = True
    has_parameters: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _set(self, "scale", _validation.non_negative_number)

    def operation(self, n_in: int, noise_key: int) -> Operation:
        """No parameters."""
        return Operation("gaussian_noise", n_in, setting=self.scale, noise_key=noise_key)


@checked_keywords
@dataclass(frozen=True, repr=False)
class BatchNorm(Layer):
    """Each unit normalised over the samples: ``weights (x - mean) / sqrt(var + epsilon) + bias``.

    In training, mean and variance (the mean square) are those of the mini-batch. Where the network
    is used or evaluated they are running statistics, which every step moves towards those of its
    mini-batch: ``running = momentum running + (1 - momentum) measured``; the variance is then the
    unbiased one. Its ``weights`` and ``bias``, of shape (n_units,), are learnt.

    Parameters
    ----------
    momentum : float
        In [0, 1). PyTorch calls 1 minus this number momentum.
    epsilon : float
        Above 0.

    Raises
    ------
    TypeError, ValueError
        If a value is not such a number.

    Notes
    -----
    A mini-batch of a single sample has no variance: its normalised numbers are 0, and it leaves
    the running statistics as they are. A step needs memory for the whole mini-batch at once.

    References
    ----------
    Ioffe and Szegedy, "Batch normalization: accelerating deep network training by reducing internal
    covariate shift", ICML 2015.

    Examples
    --------
    >>> from fastnn import Activation, BatchNorm, Dense, Network
    >>> net = Network([Dense(4), BatchNorm(), Activation("relu"), Dense(1)], n_features=3, seed=0)
    >>> mean, variance = net.running_statistics[1]  # before the first step
    >>> mean, variance
    (array([0., 0., 0., 0.], dtype=float32), array([1., 1., 1., 1.], dtype=float32))
    """

    momentum: float = 0.9
    epsilon: float = 1e-5
    has_running_statistics: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _set(self, "momentum", _validation.number_in_unit_interval)
        _set(self, "epsilon", _validation.positive_number)

    def operation(self, n_in: int, noise_key: int) -> Operation:
        """A weight and a bias for each unit."""
        return Operation(
            "batch_norm",
            n_in,
            weight_rows=1,
            has_bias=True,
            setting=self.epsilon,
            momentum=self.momentum,
        )

    def initial_weights(self, n_in: int, random: np.random.Generator) -> npt.ArrayLike:
        """1 for each unit."""
        return 1.0


@checked_keywords
@dataclass(frozen=True, repr=False)
class LayerNorm(Layer):
    """Each sample normalised over the units: ``weights (x - mean) / sqrt(var + epsilon) + bias``.

    Its ``weights`` and ``bias``, of shape (n_units,), are learnt.

    Parameters
    ----------
    epsilon : float
        Above 0.

    Raises
    ------
    TypeError, ValueError
        If it is not such a number.

    References
    ----------
    Ba, Kiros and Hinton, "Layer normalization", 2016.

    Examples
    --------
    >>> from fastnn import Activation, Dense, LayerNorm, Network
    >>> layers = [Dense(4), LayerNorm(), Activation("gelu"), Dense(1)]
    >>> net = Network(layers, n_features=3, seed=0)
    >>> net.weights[1]
    array([1., 1., 1., 1.], dtype=float32)
    """

    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        _set(self, "epsilon", _validation.positive_number)

    def operation(self, n_in: int, noise_key: int) -> Operation:
        """A weight and a bias for each unit."""
        return Operation("layer_norm", n_in, weight_rows=1, has_bias=True, setting=self.epsilon)

    def initial_weights(self, n_in: int, random: np.random.Generator) -> npt.ArrayLike:
        """1 for each unit."""
        return 1.0


#: The activation of `Dense` that stands for a layer of its own.
PRELU = "prelu"

#: The kinds of layers by name.
LAYERS: dict[str, type[Layer]] = {
    kind.__name__: kind
    for kind in (
        Dense,
        Rescale,
        Activation,
        PReLU,
        Dropout,
        GaussianNoise,
        BatchNorm,
        LayerNorm,
    )
}


def _set(layer: Layer, name: str, check: Any) -> None:
    """Puts what `check` makes of a field in its place."""
    object.__setattr__(layer, name, check(getattr(layer, name), name))

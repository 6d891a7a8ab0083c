"""Kinds of layers in NumPy, and a network as a list of them.

`fastnn.reference.vectorized` has the fully connected network alone. Here a layer is an object with
``forward``, which keeps what ``backward`` needs, and ``backward``, which turns the gradient ``dA``
of the mean loss by the layer's output into the one by its input, and leaves the gradients of the
layer's parameters in ``gradients``.

References
----------
A. Ng, "Improving deep neural networks", deeplearning.ai, weeks 1 to 3.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fastnn.reference import vectorized
from fastnn.reference.vectorized_losses import smooth
from fastnn.reference.vectorized_optimizers import OPTIMIZERS
from fastnn.reference.vectorized_regularization import (
    clip_by_norm,
    clip_by_value,
    decay,
    limit_norms,
    penalty,
    penalty_gradient,
)

Array: TypeAlias = npt.NDArray[np.floating[Any]]

# --- Random numbers that follow from where they are used -----------------------------------------


def split_mix(key: int, counter: Any) -> npt.NDArray[np.uint64]:
    """The `counter`-th number of the generator SplitMix64 that starts at `key`.

    Parameters
    ----------
    key : int
        Below 2**64.
    counter : int or array_like of int
        From 0.

    Returns
    -------
    ndarray of uint64
        64 random bits for each number of `counter`.

    References
    ----------
    Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.

    Examples
    --------
    >>> from fastnn.reference.vectorized_layers import split_mix
    >>> hex(split_mix(0, 0))
    '0xe220a8397b1dcdaf'
    """
    with np.errstate(over="ignore"):
        x = np.uint64(key) + (np.asarray(counter, np.uint64) + np.uint64(1)) * np.uint64(
            0x9E3779B97F4A7C15
        )
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        bits: npt.NDArray[np.uint64] = x ^ (x >> np.uint64(31))
    return bits


def random_bits(
    key: int, step: int, samples: npt.ArrayLike, n_units: int, second: bool = False
) -> npt.NDArray[np.uint32]:
    """32 random bits for each sample and unit; with `second`, 32 others.

    Parameters
    ----------
    key : int
        Of the network and the layer, below 2**64; see `noise_key`.
    step : int
        Steps before this one.
    samples : array_like of shape (n_samples,), int
        Places of the samples in the epoch.
    n_units : int
        Units of the layer.
    second : bool
        Whether to give the others.

    Returns
    -------
    ndarray of shape (n_samples, n_units), uint32
        The same for the same arguments.

    Examples
    --------
    >>> from fastnn.reference.vectorized_layers import random_bits
    >>> bits = random_bits(key=1, step=0, samples=[0, 1], n_units=3)
    >>> bits.shape, bits.dtype
    ((2, 3), dtype('uint32'))
    """
    rows = split_mix(int(split_mix(key, step)), samples)
    low = (rows & np.uint64(0xFFFFFFFF)).astype(np.uint32)[:, np.newaxis]
    high = (rows >> np.uint64(32)).astype(np.uint32)[:, np.newaxis]
    if second:
        low, high = high, low
    with np.errstate(over="ignore"):
        x = np.arange(n_units, dtype=np.uint32) * np.uint32(0x9E3779B9) + low
        x = (x ^ (x >> np.uint32(16))) * np.uint32(0x21F0AAAD) + high
        x = (x ^ (x >> np.uint32(15))) * np.uint32(0x735A2D97)
    bits: npt.NDArray[np.uint32] = x ^ (x >> np.uint32(15))
    return bits


def noise_key(seed: int, layer: int) -> int:
    """The key of the random numbers of a layer of `fastnn.Network`.

    Parameters
    ----------
    seed : int
        ``net.seed``.
    layer : int
        Place in ``net.layers``, from 0.

    Returns
    -------
    int
        Below 2**64.

    Examples
    --------
    What the dropout of a network keeps of its first three samples, in the step that follows ten:

    >>> from fastnn import Dense, Dropout, Network
    >>> from fastnn.reference.vectorized_layers import dropout_mask, noise_key
    >>> net = Network([Dense(4, "relu"), Dropout(0.2), Dense(1)], n_features=2, seed=0)
    >>> mask = dropout_mask(0.2, noise_key(net.seed, 1), 10, [0, 1, 2], 4)
    >>> mask.shape
    (3, 4)
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(2, layer))
    return int(sequence.generate_state(1, np.uint64)[0])


def dropout_mask(
    rate: float, key: int, step: int, samples: npt.ArrayLike, n_units: int
) -> npt.NDArray[np.bool_]:
    """Which units stay, each with probability ``1 - rate``.

    Those of `fastnn.Network`, where `key` is the layer's `noise_key`.

    Parameters
    ----------
    rate : float
        The share that is dropped in the mean, in [0, 1).
    key : int
        Of the network and the layer, below 2**64; see `noise_key`.
    step : int
        Steps before this one.
    samples : array_like of shape (n_samples,), int
        Places of the samples in the epoch.
    n_units : int
        Units of the layer.

    Returns
    -------
    ndarray of shape (n_samples, n_units), bool
        True for what stays.

    Examples
    --------
    >>> from fastnn.reference.vectorized_layers import dropout_mask
    >>> mask = dropout_mask(0.25, key=1, step=0, samples=range(100), n_units=100)
    >>> round(float(mask.mean()), 2)
    0.75
    """
    limit = max(int((1 - rate) * 2**32 - 1), 0)
    return random_bits(key, step, samples, n_units) <= np.uint32(limit)


def normal_numbers(key: int, step: int, samples: npt.ArrayLike, n_units: int) -> Array:
    """Normal random numbers, by Box and Muller's method (1958).

    Parameters
    ----------
    key : int
        Of the network and the layer, below 2**64; see `noise_key`.
    step : int
        Steps before this one.
    samples : array_like of shape (n_samples,), int
        Places of the samples in the epoch.
    n_units : int
        Units of the layer.

    Returns
    -------
    ndarray of shape (n_samples, n_units), float64
        Of mean 0 and variance 1.

    Examples
    --------
    >>> from fastnn.reference.vectorized_layers import normal_numbers
    >>> numbers = normal_numbers(key=1, step=0, samples=range(100), n_units=100)
    >>> numbers.shape, round(float(numbers.std()), 1)
    ((100, 100), 1.0)
    """
    u = (random_bits(key, step, samples, n_units) + 0.5) / 2**32
    v = random_bits(key, step, samples, n_units, second=True) / 2**32
    numbers: Array = np.sqrt(-2 * np.log(u)) * np.cos(2 * np.pi * v)
    return numbers


# --- Layers ---------------------------------------------------------------------------------------


class Layer:
    """What all layers have; by itself, a layer that changes nothing.

    Parameters
    ----------
    *parameters : array_like
        Copied to float64.

    Attributes
    ----------
    parameters, gradients : list of ndarray
        Of the same shapes; the second after ``backward``.
    l1, l2, max_norm, trainable, learning_rate_factor
        As of `fastnn.Dense`; only a `Dense` has others than these.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.reference.vectorized_layers import Layer
    >>> layer = Layer(np.ones(3, np.float32))
    >>> layer.parameters[0].dtype, layer.l2, layer.trainable
    (dtype('float64'), 0.0, True)
    """

    l1 = l2 = 0.0
    max_norm: float | None = None
    trainable = True
    learning_rate_factor = 1.0

    def __init__(self, *parameters: npt.ArrayLike) -> None:
        self.parameters = [np.array(p, dtype=np.float64) for p in parameters]
        self.gradients: list[Array] = []

    def forward(self, X: Array, training: bool, step: int, samples: Any) -> Array:
        """The output, from the input.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_in)
            What the layer before gives.
        training : bool
            Whether this is a step of training.
        step : int
            Steps before it.
        samples : array_like of shape (n_samples,), int
                Places of the samples in the epoch.

        Returns
        -------
        ndarray of shape (n_samples, n_units)
            What comes out.
        """
        return X

    def backward(self, dA: Array) -> Array:
        """The gradient by the input, from the one by the output.

        Parameters
        ----------
        dA : ndarray of shape (n_samples, n_units)
            The gradient of the mean loss by the output of the last `forward`.

        Returns
        -------
        ndarray of shape (n_samples, n_in)
            The one by its input.
        """
        return dA

    def finish_step(self) -> None:
        """What else a step of training changes."""


class Dense(Layer):
    """``Z = X W + b; A = activation(Z)``; the output layer of a `Network` is a linear one.

    Parameters
    ----------
    W : array_like of shape (n_in, n_units)
        Weights.
    b : array_like of shape (n_units,)
        Biases.
    activation : str
        Key of `fastnn.reference.vectorized.ACTIVATIONS`.
    l1, l2 : float
        Penalties of the weights, beside those of the network.
    max_norm : float or None
        The largest norm of the weights into a unit.
    trainable : bool
        Whether `Network.fit` changes the parameters.
    learning_rate_factor : float
        What the learning rate is multiplied by.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.reference.vectorized_layers import Dense
    >>> layer = Dense([[1.0], [2.0]], [0.5], "relu")
    >>> layer.forward(np.array([[1.0, 1.0]]), True, 0, [0]).tolist()
    [[3.5]]
    >>> layer.backward(np.array([[1.0]])).tolist(), layer.gradients[0].tolist()
    ([[1.0, 2.0]], [[1.0], [1.0]])
    """

    def __init__(
        self,
        W: npt.ArrayLike,
        b: npt.ArrayLike,
        activation: str = "linear",
        *,
        l1: float = 0.0,
        l2: float = 0.0,
        max_norm: float | None = None,
        trainable: bool = True,
        learning_rate_factor: float = 1.0,
    ) -> None:
        super().__init__(W, b)
        self.activation = activation
        self.l1, self.l2, self.max_norm = l1, l2, max_norm
        self.trainable, self.learning_rate_factor = trainable, learning_rate_factor

    def forward(self, X: Array, training: bool, step: int, samples: Any) -> Array:
        """See `Layer`."""
        W, b = self.parameters
        self._X = X
        self._Z, self._A = vectorized.layer_forward(X, W, b, self.activation)
        return self._A

    def backward(self, dA: Array) -> Array:
        """``dZ = dA * activation'(Z); dX = dZ W^T``."""
        dZ = dA * vectorized.ACTIVATIONS[self.activation][1](self._Z, self._A)
        self.gradients = list(vectorized.parameter_gradients(self._X, dZ))
        dX: Array = dZ @ self.parameters[0].T
        return dX


class Activation(Layer):
    """``A = activation(X)``.

    Parameters
    ----------
    activation : str
        Key of `fastnn.reference.vectorized.ACTIVATIONS`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.reference.vectorized_layers import Activation
    >>> Activation("relu").forward(np.array([[-1.0, 2.0]]), True, 0, [0]).tolist()
    [[0.0, 2.0]]
    """

    def __init__(self, activation: str) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, X: Array, training: bool, step: int, samples: Any) -> Array:
        """See `Layer`."""
        self._X, self._A = X, vectorized.ACTIVATIONS[self.activation][0](X)
        return self._A

    def backward(self, dA: Array) -> Array:
        """``dX = dA * activation'(X)``."""
        return dA * vectorized.ACTIVATIONS[self.activation][1](self._X, self._A)


class Rescale(Layer):
    """``A = scale X + offset``, the first layer: nothing goes back through it.

    Parameters
    ----------
    scale, offset : float
        Of all columns.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.reference.vectorized_layers import Rescale
    >>> Rescale(2.0, -1.0).forward(np.array([[0.0, 0.5, 1.0]]), True, 0, [0]).tolist()
    [[-1.0, 0.0, 1.0]]
    """

    def __init__(self, scale: float, offset: float = 0.0) -> None:
        super().__init__()
        self.scale, self.offset = scale, offset

    def forward(self, X: Array, training: bool, step: int, samples: Any) -> Array:
        """See `Layer`."""
        return self.scale * X + self.offset


class PReLU(Layer):
    """``A = X`` where it is above 0, else ``alpha X``, with an alpha for each unit.

    Parameters
    ----------
    *parameters : array_like of shape (n_units,)
        One: the alphas.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.reference.vectorized_layers import PReLU
    >>> PReLU([0.5, 0.25]).forward(np.array([[-1.0, -1.0]]), True, 0, [0]).tolist()
    [[-0.5, -0.25]]
    """

    def forward(self, X: Array, training: bool, step: int, samples: Any) -> Array:
        """See `Layer`."""
        self._X = X
        return np.where(X > 0, X, self.parameters[0] * X)

    def backward(self, dA: Array) -> Array:
        """``dalpha`` is the sum of ``dA min(X, 0)`` over the samples."""
        self.gradients = [(dA * np.minimum(self._X, 0)).sum(axis=0)]
        return np.where(self._X > 0, dA, self.parameters[0] * dA)


class Dropout(Layer):
    """In training ``A = X D / keep``, where D is 1 with probability ``keep = 1 - rate``, else 0.

    The course's inverted dropout. D comes from `dropout_mask`, or from `masks`, if those are given:
    an array for each step.

    Parameters
    ----------
    rate : float
        The share that is dropped in the mean, in [0, 1).
    key : int
        As of `dropout_mask`.
    masks : sequence of ndarray of shape (n_samples, n_units), optional
        Of 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.reference.vectorized_layers import Dropout
    >>> layer = Dropout(0.5, masks=[np.array([[1, 0]])])
    >>> layer.forward(np.array([[3.0, 4.0]]), True, 0, [0]).tolist()
    [[6.0, 0.0]]
    """

    def __init__(self, rate: float, key: int = 0, masks: Sequence[Array] | None = None) -> None:
        super().__init__()
        self.rate, self.key, self.masks = rate, key, masks

    def forward(self, X: Array, training: bool, step: int, samples: Any) -> Array:
        """See `Layer`."""
        keep = 1 - self.rate
        if not training:
            D: Any = keep
        elif self.masks is not None:
            D = self.masks[step]
        else:
            D = dropout_mask(self.rate, self.key, step, samples, X.shape[1])
        self._factors = D / keep
        A: Array = X * self._factors
        return A

    def backward(self, dA: Array) -> Array:
        """``dX = dA D / keep``: what was not there has no gradient."""
        dX: Array = dA * self._factors
        return dX


class GaussianNoise(Layer):
    """In training ``A = X + scale E``, where E are normal random numbers.

    Parameters
    ----------
    scale : float
        The standard deviation.
    key : int
        As of `normal_numbers`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.reference.vectorized_layers import GaussianNoise
    >>> layer, X = GaussianNoise(0.1), np.zeros((1, 2))
    >>> layer.forward(X, False, 0, [0]).tolist(), (layer.forward(X, True, 0, [0]) == 0).tolist()
    ([[0.0, 0.0]], [[False, False]])
    """

    def __init__(self, scale: float, key: int = 0) -> None:
        super().__init__()
        self.scale, self.key = scale, key

    def forward(self, X: Array, training: bool, step: int, samples: Any) -> Array:
        """See `Layer`."""
        if not training:
            return X
        return X + self.scale * normal_numbers(self.key, step, samples, X.shape[1])


class BatchNorm(Layer):
    """``N = (X - mean) / sqrt(variance + epsilon); A = gamma N + beta``, over the samples.

    In training mean and variance are those of the mini-batch; otherwise the running ones, which
    every step moves towards them (the variance without bias).

    Parameters
    ----------
    gamma, beta : array_like of shape (n_units,)
        The scale and the offset that are trained.
    momentum : float
        What the running ones keep in a step, in [0, 1].
    epsilon : float
        Added to the variance.

    Attributes
    ----------
    running_mean, running_variance : ndarray of shape (n_units,)
        From 0 and 1 on.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.reference.vectorized_layers import BatchNorm
    >>> layer = BatchNorm([1.0], [0.0])
    >>> layer.forward(np.array([[1.0], [3.0]]), True, 0, [0, 1]).round(2).tolist()
    [[-1.0], [1.0]]
    >>> layer.finish_step()
    >>> layer.running_mean.round(2).tolist(), layer.running_variance.round(2).tolist()
    ([0.2], [1.1])
    """

    def __init__(
        self,
        gamma: npt.ArrayLike,
        beta: npt.ArrayLike,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
    ) -> None:
        super().__init__(gamma, beta)
        self.momentum, self.epsilon = momentum, epsilon
        self.running_mean = np.zeros_like(self.parameters[0])
        self.running_variance = np.ones_like(self.parameters[0])

    def forward(self, X: Array, training: bool, step: int, samples: Any) -> Array:
        """See `Layer`."""
        gamma, beta = self.parameters
        if not training:
            N = (X - self.running_mean) / np.sqrt(self.running_variance + self.epsilon)
            used: Array = gamma * N + beta
            return used
        self._n, self._mean, self._variance = len(X), X.mean(axis=0), X.var(axis=0)
        self._deviation = np.sqrt(self._variance + self.epsilon)
        self._N = (X - self._mean) / self._deviation
        A: Array = gamma * self._N + beta
        return A

    def backward(self, dA: Array) -> Array:
        """``dN = gamma dA``, whose mean, and whose part along N, the normalisation takes away."""
        self.gradients = [(dA * self._N).sum(axis=0), dA.sum(axis=0)]
        dN = self.parameters[0] * dA
        along: Array = self._N * (dN * self._N).mean(axis=0)
        dX: Array = (dN - dN.mean(axis=0) - along) / self._deviation
        return dX

    def finish_step(self) -> None:
        """``running = momentum running + (1 - momentum) measured``."""
        if self._n > 1:
            unbiased = self._variance * self._n / (self._n - 1)
            new = 1 - self.momentum
            self.running_mean = self.momentum * self.running_mean + new * self._mean
            self.running_variance = self.momentum * self.running_variance + new * unbiased


class LayerNorm(Layer):
    """The same over the units of a sample, in training and afterwards.

    Parameters
    ----------
    gamma, beta : array_like of shape (n_units,)
        The scale and the offset that are trained.
    epsilon : float
        Added to the variance.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.reference.vectorized_layers import LayerNorm
    >>> layer = LayerNorm([1.0, 1.0], [0.0, 0.0])
    >>> layer.forward(np.array([[1.0, 3.0]]), False, 0, [0]).round(2).tolist()
    [[-1.0, 1.0]]
    """

    def __init__(self, gamma: npt.ArrayLike, beta: npt.ArrayLike, epsilon: float = 1e-5) -> None:
        super().__init__(gamma, beta)
        self.epsilon = epsilon

    def forward(self, X: Array, training: bool, step: int, samples: Any) -> Array:
        """See `Layer`."""
        gamma, beta = self.parameters
        self._deviation = np.sqrt(X.var(axis=1, keepdims=True) + self.epsilon)
        self._N = (X - X.mean(axis=1, keepdims=True)) / self._deviation
        A: Array = gamma * self._N + beta
        return A

    def backward(self, dA: Array) -> Array:
        """As for `BatchNorm`, with means over the units."""
        self.gradients = [(dA * self._N).sum(axis=0), dA.sum(axis=0)]
        dN = self.parameters[0] * dA
        along = self._N * (dN * self._N).mean(axis=1, keepdims=True)
        dX: Array = (dN - dN.mean(axis=1, keepdims=True) - along) / self._deviation
        return dX


# --- Network --------------------------------------------------------------------------------------


class Network:
    """Layers one after another, the last of which is a linear `Dense`; then the output activation.

    Parameters
    ----------
    layers : sequence of Layer
        Not copied.
    output : str
        The activation behind the last layer, as in `fastnn.reference.vectorized`.
    loss : str
        As in `fastnn.reference.vectorized`.

    Examples
    --------
    >>> from fastnn.reference.vectorized_layers import Dense, Network
    >>> layers = [Dense([[2.0]], [1.0], "relu"), Dense([[0.5]], [0.0])]
    >>> net = Network(layers, "linear", "mean_squared_error")
    >>> net.forward([[3.0]])[1].tolist()
    [[3.5]]
    """

    def __init__(self, layers: Sequence[Layer], output: str, loss: str) -> None:
        self.layers = list(layers)
        self.output, self.loss = output, loss
        self._slots: list[list[Array]] = []
        self._step = 0

    def forward(
        self, X: npt.ArrayLike, training: bool = False, samples: Any = None
    ) -> tuple[Array, Array]:
        """The output's logits and activations.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            Samples.
        training : bool
            Whether this is a step of training.
        samples : array_like of shape (n_samples,), int
            Places of the samples in the epoch; by default 0, 1, ...

        Returns
        -------
        Z, A : ndarray of shape (n_samples, n_outputs), float64
            Logits, and activations.

        Examples
        --------
        >>> from fastnn.reference.vectorized_layers import Dense, Network
        >>> layers = [Dense([[2.0]], [1.0], "relu"), Dense([[0.5]], [0.0])]
        >>> net = Network(layers, "linear", "mean_squared_error")
        >>> Z, A = net.forward([[3.0], [-3.0]])
        >>> A.tolist()
        [[3.5], [0.0]]
        """
        A: Array = np.asarray(X, dtype=np.float64)
        samples = np.arange(len(A)) if samples is None else samples
        for layer in self.layers:
            A = layer.forward(A, training, self._step, samples)
        if self.output == "softmax":
            return A, vectorized.softmax(A)
        return A, vectorized.ACTIVATIONS[self.output][0](A)

    def loss_and_gradients(
        self,
        X: npt.ArrayLike,
        Y: Array,
        samples: Any = None,
        l1: float = 0.0,
        l2: float = 0.0,
        weights: Array | None = None,
    ) -> tuple[float, list[Array]]:
        """The cost of a step of training, and its gradient by every parameter in turn.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            Samples.
        Y : ndarray of shape (n_samples, n_outputs)
            Targets, as rows.
        samples : array_like of shape (n_samples,), int
            Places of the samples in the epoch; by default 0, 1, ...
        l1, l2 : float
            Of the penalty ``(l1 sum |w| + l2 / 2 sum w^2) / n_samples`` over the weights of every
            `Dense` that is trained, beside the layer's own.
        weights : ndarray of shape (n_samples,), optional
                Of the samples in the mean.

        Returns
        -------
        cost : float
            The mean loss with the penalties.
        gradients : list of ndarray
            Shaped like the parameters, layer by layer.

        Examples
        --------
        >>> import numpy as np
        >>> from fastnn.reference.vectorized_layers import Dense, Network
        >>> layers = [Dense([[2.0]], [1.0], "relu"), Dense([[0.5]], [0.0])]
        >>> net = Network(layers, "linear", "mean_squared_error")
        >>> cost, gradients = net.loss_and_gradients([[3.0]], np.array([[2.5]]))
        >>> cost, [g.tolist() for g in gradients]
        (1.0, [[[3.0]], [1.0], [[14.0]], [2.0]])
        """
        Z, A = self.forward(X, training=True, samples=samples)
        cost, dA = vectorized.loss_and_output_gradient(
            Z, A, Y, self.output, self.loss, weights=weights
        )
        for layer in reversed(self.layers):
            dA = layer.backward(dA)
            if isinstance(layer, Dense) and layer.trainable:
                W, both = layer.parameters[0], (l1 + layer.l1, l2 + layer.l2)
                cost += penalty(W, *both) / len(Y)
                layer.gradients[0] += penalty_gradient(W, *both) / len(Y)
        return cost, [gradient for layer in self.layers for gradient in layer.gradients]

    def fit(
        self,
        X: npt.ArrayLike,
        Y: npt.ArrayLike,
        epochs: int = 1,
        batch_size: int | None = None,
        optimizer: str = "sgd",
        learning_rate: float | Sequence[float] = 0.01,
        *,
        l1: float = 0.0,
        l2: float = 0.0,
        weight_decay: float = 0.0,
        clip_value: float | None = None,
        clip_norm: float | None = None,
        weights: npt.ArrayLike | None = None,
        label_smoothing: float = 0.0,
        **hyperparameters: float,
    ) -> list[float]:
        """Train on consecutive mini-batches; the mean cost of each epoch.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            Samples.
        Y : array_like of shape (n_samples, n_outputs)
            Targets, as rows.
        epochs : int
            Passes over the samples.
        batch_size : int, optional
            Samples in a mini-batch; None for all of them.
        optimizer : str
            Key of `OPTIMIZERS`, the same in all calls.
        learning_rate : float or sequence of float
            Of every step, or one for each step of this call.
        l1, l2 : float
            As for `loss_and_gradients`.
        weight_decay : float
            As for `fastnn.Network.fit`.
        clip_value, clip_norm : float or None
            As for `fastnn.Network.fit`.
        weights : array_like of shape (n_samples,), optional
            Of the samples: in the mean of each mini-batch, and in that of an epoch.
        label_smoothing : float
            What the targets of a classifier give to all classes alike.
        **hyperparameters : float
            Further arguments of the optimiser.

        Returns
        -------
        list of `epochs` floats
            Mean costs, that of each mini-batch taken before its update.

        Examples
        --------
        >>> from fastnn.reference.vectorized_layers import Dense, Network
        >>> layers = [Dense([[2.0]], [1.0], "relu"), Dense([[0.5]], [0.0])]
        >>> net = Network(layers, "linear", "mean_squared_error")
        >>> costs = net.fit([[3.0], [1.0]], [[1.0], [0.0]], epochs=20, learning_rate=0.01)
        >>> len(costs), bool(costs[-1] < costs[0])
        (20, True)
        """
        X, Y = np.asarray(X, np.float64), np.asarray(Y, np.float64)
        w = np.ones(len(X)) if weights is None else np.asarray(weights, np.float64)
        if label_smoothing > 0.0:
            Y = smooth(Y, label_smoothing, Y.shape[1] if self.output == "softmax" else 2)
        batch_size = batch_size or len(X)
        n_steps = epochs * -(-len(X) // batch_size)
        rates = iter(np.broadcast_to(learning_rate, n_steps))
        update, n_slots = OPTIMIZERS[optimizer]
        trained = [layer for layer in self.layers if layer.trainable]
        if not self._slots:
            parameters = [p for layer in trained for p in layer.parameters]
            self._slots = [[np.zeros_like(p) for _ in range(n_slots)] for p in parameters]
        costs = []
        for _ in range(epochs):
            total = 0.0
            for start in range(0, len(X), batch_size):
                samples = np.arange(start, min(start + batch_size, len(X)))
                cost, _ = self.loss_and_gradients(
                    X[samples], Y[samples], samples, l1, l2, None if weights is None else w[samples]
                )
                total += cost * w[samples].sum()
                gradients = [g for layer in trained for g in layer.gradients]
                if clip_value is not None:
                    for g in gradients:
                        clip_by_value(g, clip_value)
                if clip_norm is not None:
                    clip_by_norm(gradients, clip_norm)
                self._step += 1
                rate, slots = float(next(rates)), iter(self._slots)
                for layer in trained:
                    of_layer = rate * layer.learning_rate_factor
                    if isinstance(layer, Dense):
                        decay(layer.parameters[0], of_layer, weight_decay)
                    for p, g in zip(layer.parameters, layer.gradients, strict=True):
                        update(p, g, next(slots), self._step, of_layer, **hyperparameters)
                    if layer.max_norm is not None:
                        limit_norms(layer.parameters[0], layer.max_norm)
                for layer in self.layers:
                    layer.finish_step()
            costs.append(total / w.sum())
        return costs

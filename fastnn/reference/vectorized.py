"""Fully connected networks in NumPy: one matrix product per layer and role.

Rows are samples: ``X`` is ``(n_samples, n_features)``, layer ``l`` has ``weights`` of shape
``(n_in, n_out)`` and ``bias`` of shape ``(n_out,)``. Every array is computed in the dtype of the
weights, float32 or float64. `fastnn.reference.loops` says the same one number at a time.

In the formulas ``Z`` are logits, ``A`` activations, ``Y`` targets, ``L`` is the mean loss, and
``dZ``, ``dA``, ``dW``, ``db`` are the gradients of ``L`` with respect to what follows the ``d``.

References
----------
A. Ng, "Neural Networks and Deep Learning", deeplearning.ai, weeks 2 to 4.

Examples
--------
>>> import numpy as np
>>> from fastnn.reference import vectorized
>>> Z = np.array([[-2.0, 0.0, 2.0]])
>>> A = vectorized.sigmoid(Z)
>>> A.round(3).tolist(), vectorized.sigmoid_derivative(Z, A).round(3).tolist()
([[0.119, 0.5, 0.881]], [[0.105, 0.25, 0.105]])
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fastnn.reference.vectorized_losses import FROM_LOGITS, LOSSES, smooth
from fastnn.reference.vectorized_optimizers import OPTIMIZERS
from fastnn.reference.vectorized_regularization import penalty, penalty_gradient

Array: TypeAlias = npt.NDArray[np.floating[Any]]

# --- Activations: A = function(Z), and derivative(Z, A) = dA/dZ, element by element -------------

LEAKY_RELU_SLOPE = 0.01
SELU_SCALE = 1.0507009873554805  # Klambauer et al., "Self-normalizing neural networks", 2017
SELU_ALPHA = 1.6732632423543772


def linear(Z: Array) -> Array:
    """``z``."""
    return Z


def linear_derivative(Z: Array, A: Array) -> Array:
    """``1``."""
    return np.ones_like(Z)


def sigmoid(Z: Array) -> Array:
    """``1 / (1 + exp(-z))``; where ``exp`` overflows to infinity, the result is rightly 0."""
    with np.errstate(over="ignore"):
        return 1.0 / (1.0 + np.exp(-Z))


def sigmoid_derivative(Z: Array, A: Array) -> Array:
    """``a (1 - a)``."""
    return A * (1.0 - A)


def tanh(Z: Array) -> Array:
    """``tanh(z)``."""
    return np.tanh(Z)


def tanh_derivative(Z: Array, A: Array) -> Array:
    """``1 - a^2``."""
    return 1.0 - A * A


def relu(Z: Array) -> Array:
    """``max(z, 0)``."""
    return np.maximum(Z, 0.0)


def relu_derivative(Z: Array, A: Array) -> Array:
    """``1 if z > 0 else 0``."""
    return (Z > 0.0).astype(Z.dtype)


def leaky_relu(Z: Array) -> Array:
    """``z if z > 0 else slope z``."""
    A: Array = np.maximum(Z, LEAKY_RELU_SLOPE * Z)
    return A


def leaky_relu_derivative(Z: Array, A: Array) -> Array:
    """``1 if z > 0 else slope``."""
    return np.maximum((Z > 0.0).astype(Z.dtype), LEAKY_RELU_SLOPE)


def elu(Z: Array) -> Array:
    """``z if z > 0 else exp(z) - 1``: one of the two terms below is always 0."""
    return np.maximum(Z, 0.0) + np.expm1(np.minimum(Z, 0.0))


def elu_derivative(Z: Array, A: Array) -> Array:
    """``1 if z > 0 else exp(z)``, and there ``exp(z) = a + 1``."""
    return np.minimum(A, 0.0) + 1.0


def selu(Z: Array) -> Array:
    """``scale (z if z > 0 else alpha (exp(z) - 1))``."""
    return SELU_SCALE * (np.maximum(Z, 0.0) + SELU_ALPHA * np.expm1(np.minimum(Z, 0.0)))


def selu_derivative(Z: Array, A: Array) -> Array:
    """``scale if z > 0 else scale alpha exp(z)``, and the latter is ``a + scale alpha``."""
    return np.where(Z > 0.0, SELU_SCALE, A + SELU_SCALE * SELU_ALPHA)


_erfc = np.vectorize(math.erfc, otypes=[float])  # NumPy has no error function


def normal_cdf(Z: Array) -> Array:
    """``Phi(z) = (1 + erf(z / sqrt(2))) / 2 = erfc(-z / sqrt(2)) / 2``, exact in the left tail."""
    cdf: Array = 0.5 * _erfc(-Z / math.sqrt(2.0)).astype(Z.dtype)
    return cdf


def gelu(Z: Array) -> Array:
    """``z Phi(z)``."""
    return Z * normal_cdf(Z)


def gelu_derivative(Z: Array, A: Array) -> Array:
    """``Phi(z) + z phi(z)``, where ``phi(z) = exp(-z^2 / 2) / sqrt(2 pi)``."""
    return normal_cdf(Z) + Z * np.exp(-0.5 * Z * Z) / math.sqrt(2.0 * math.pi)


def silu(Z: Array) -> Array:
    """``z sigmoid(z)``."""
    return Z * sigmoid(Z)


def silu_derivative(Z: Array, A: Array) -> Array:
    """``s + a (1 - s)``, where ``s = sigmoid(z)``."""
    S = sigmoid(Z)
    return S + A * (1.0 - S)


def mish(Z: Array) -> Array:
    """``z tanh(softplus(z))``."""
    return Z * np.tanh(softplus(Z))


def mish_derivative(Z: Array, A: Array) -> Array:
    """``t + z (1 - t^2) sigmoid(z)``, where ``t = tanh(softplus(z))``."""
    T = np.tanh(softplus(Z))
    return T + Z * (1.0 - T * T) * sigmoid(Z)


def softplus(Z: Array) -> Array:
    """``log(1 + exp(z)) = max(z, 0) + log(1 + exp(-|z|))``, whose ``exp`` never overflows."""
    return np.maximum(Z, 0.0) + np.log1p(np.exp(-np.abs(Z)))


def softplus_derivative(Z: Array, A: Array) -> Array:
    """``sigmoid(z)``."""
    return sigmoid(Z)


def exponential(Z: Array) -> Array:
    """``exp(z)``."""
    A: Array = np.exp(Z)
    return A


def exponential_derivative(Z: Array, A: Array) -> Array:
    """``exp(z) = a``."""
    return A


def softmax(Z: Array) -> Array:
    """``exp(z_j) / sum_k exp(z_k)`` in each row, the same after subtracting the row's maximum.

    The limit where one of a row is positive infinity: 1 there, 0 elsewhere.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_out)
        Logits.

    Returns
    -------
    ndarray of shape (n_samples, n_out)
        Activations, whose rows sum to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.reference import vectorized
    >>> vectorized.softmax(np.array([[2.0, 2.0]])).tolist()
    [[0.5, 0.5]]
    """
    A: Array = np.exp(Z - Z.max(axis=1, keepdims=True))
    infinite = np.isposinf(Z)
    A[infinite & (infinite.sum(axis=1, keepdims=True) == 1)] = 1
    A /= A.sum(axis=1, keepdims=True)
    return A


# Softmax is not here: it mixes a row's elements, and serves the output layer only, where its
# derivative is part of categorical_cross_entropy's.
ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array, Array], Array]]] = {
    "linear": (linear, linear_derivative),
    "sigmoid": (sigmoid, sigmoid_derivative),
    "tanh": (tanh, tanh_derivative),
    "relu": (relu, relu_derivative),
    "leaky_relu": (leaky_relu, leaky_relu_derivative),
    "elu": (elu, elu_derivative),
    "selu": (selu, selu_derivative),
    "gelu": (gelu, gelu_derivative),
    "silu": (silu, silu_derivative),
    "mish": (mish, mish_derivative),
    "softplus": (softplus, softplus_derivative),
    "exponential": (exponential, exponential_derivative),
}

# --- Layers -------------------------------------------------------------------------------------


def layer_forward(A_prev: Array, W: Array, b: Array, activation: str) -> tuple[Array, Array]:
    """``Z = A_prev W + b`` and ``A = activation(Z)``.

    Parameters
    ----------
    A_prev : ndarray of shape (n_samples, n_in)
        Activations of the layer before, or the samples.
    W : ndarray of shape (n_in, n_out)
        Weights.
    b : ndarray of shape (n_out,)
        Biases.
    activation : str
        Key of `ACTIVATIONS`, or ``"softmax"``.

    Returns
    -------
    Z : ndarray of shape (n_samples, n_out)
        Logits.
    A : ndarray of shape (n_samples, n_out)
        Activations.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.reference import vectorized
    >>> X, W, b = np.array([[1.0, 2.0]]), np.array([[1.0, 0.0], [1.0, -1.0]]), np.array([0.5, 0.5])
    >>> Z, A = vectorized.layer_forward(X, W, b, "relu")
    >>> Z.tolist(), A.tolist()
    ([[3.5, -1.5]], [[3.5, 0.0]])
    """
    Z = A_prev @ W
    Z += b
    function = softmax if activation == "softmax" else ACTIVATIONS[activation][0]
    return Z, function(Z)


def loss_and_output_gradient(
    Z: Array,
    A: Array,
    Y: Array,
    activation: str,
    loss: str,
    parameters: Sequence[float] = (),
    weights: Array | None = None,
) -> tuple[float, Array]:
    """Mean loss of the output layer, and its gradient ``dZ``; by the weights of the samples.

    The weighted mean is ``sum_i w_i L_i / sum_i w_i``, and 0 where all weights are.

    Parameters
    ----------
    Z, A : ndarray of shape (n_samples, n_outputs)
        Logits and activations of the output layer.
    Y : ndarray of shape (n_samples, n_outputs)
        Targets; of quantiles one a row.
    activation : str
        Of the output layer.
    loss : str
        Key of `LOSSES`.
    parameters : sequence of float
        Of the loss: delta, levels or gamma.
    weights : ndarray of shape (n_samples,), optional
        Of the samples in the mean.

    Returns
    -------
    loss : float
        The mean over samples, and outputs.
    dZ : ndarray of shape (n_samples, n_outputs)
        The gradient of it.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.reference import vectorized
    >>> Z, A, Y = np.array([[0.0]]), np.array([[0.5]]), np.array([[1.0]])
    >>> loss, dZ = vectorized.loss_and_output_gradient(Z, A, Y, "sigmoid", "binary_cross_entropy")
    >>> round(loss, 3), dZ.tolist()
    (0.693, [[-0.5]])
    """
    function, derivative = LOSSES[loss]
    out = Z if loss in FROM_LOGITS else A
    dZ = derivative(A, Y, *parameters)
    if loss not in FROM_LOGITS:
        dZ = dZ * ACTIVATIONS[activation][1](Z, A)
    if weights is None:
        return function(out, Y, *parameters), dZ
    shares = weights / max(weights.sum(), np.finfo(weights.dtype).tiny)
    rows = [function(out[i : i + 1], Y[i : i + 1], *parameters) for i in range(len(Y))]
    return float(shares @ np.array(rows)), dZ * (len(Y) * shares[:, np.newaxis])


def parameter_gradients(A_prev: Array, dZ: Array) -> tuple[Array, Array]:
    """``dW = A_prev^T dZ`` and ``db``, the sum of the rows of ``dZ``.

    Parameters
    ----------
    A_prev : ndarray of shape (n_samples, n_in)
        What came into the layer.
    dZ : ndarray of shape (n_samples, n_out)
        The gradient by the layer's logits.

    Returns
    -------
    dW : ndarray of shape (n_in, n_out)
        The gradient by the weights.
    db : ndarray of shape (n_out,)
        The gradient by the biases.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.reference import vectorized
    >>> A_prev, dZ = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0], [0.5]])
    >>> dW, db = vectorized.parameter_gradients(A_prev, dZ)
    >>> dW.tolist(), db.tolist()
    ([[2.5], [4.0]], [1.5])
    """
    return A_prev.T @ dZ, dZ.sum(axis=0)


def layer_backward(dZ: Array, W: Array, Z_prev: Array, A_prev: Array, activation: str) -> Array:
    """``dZ_prev = dA_prev * activation'(Z_prev)``, where ``dA_prev = dZ W^T``.

    ``Z_prev``, ``A_prev`` and `activation` are those of the layer before the one of `dZ` and `W`.

    Parameters
    ----------
    dZ : ndarray of shape (n_samples, n_out)
        The gradient by the layer's logits.
    W : ndarray of shape (n_in, n_out)
        Its weights.
    Z_prev, A_prev : ndarray of shape (n_samples, n_in)
        Logits and activations of the layer before.
    activation : str
        Of the layer before, a key of `ACTIVATIONS`.

    Returns
    -------
    ndarray of shape (n_samples, n_in)
        The gradient by the logits of the layer before.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.reference import vectorized
    >>> dZ, W = np.array([[1.0]]), np.array([[2.0], [3.0]])
    >>> Z_prev, A_prev = np.array([[0.5, -1.0]]), np.array([[0.5, 0.0]])
    >>> vectorized.layer_backward(dZ, W, Z_prev, A_prev, "relu").tolist()
    [[2.0, 0.0]]
    """
    dZ_prev = dZ @ W.T
    dZ_prev *= ACTIVATIONS[activation][1](Z_prev, A_prev)
    return dZ_prev


# --- Network ------------------------------------------------------------------------------------


class Network:
    """A fully connected network: ``A_l = activation_l(A_{l-1} W_l + b_l)``, with ``A_0 = X``.

    Parameters
    ----------
    weights : sequence of n_layers ndarrays of shape (n_in, n_out), float32 or float64
        Copied. Their dtype is that of the whole computation.
    biases : sequence of n_layers ndarrays of shape (n_out,)
        Copied.
    activations : sequence of n_layers str
        Keys of `ACTIVATIONS`; the last may be ``"softmax"``.
    loss : str
        Key of `LOSSES`.
    loss_parameters : sequence of float
        Of the loss: delta, levels or gamma.

    Attributes
    ----------
    weights, biases : list of ndarray
        The parameters, which `fit` changes in place.

    Raises
    ------
    ValueError
        If a loss computed from logits does not belong to the output activation.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.reference import vectorized
    >>> W, b = [np.array([[2.0]]), np.array([[0.5]])], [np.array([1.0]), np.array([0.0])]
    >>> net = vectorized.Network(W, b, ["relu", "linear"], "mean_squared_error")
    >>> net.predict_proba([[3.0], [-3.0]]).tolist()
    [[3.5], [0.0]]
    """

    def __init__(
        self,
        weights: Sequence[Array],
        biases: Sequence[Array],
        activations: Sequence[str],
        loss: str,
        loss_parameters: Sequence[float] = (),
    ) -> None:
        if FROM_LOGITS.get(loss, activations[-1]) != activations[-1]:
            raise ValueError(
                f"{loss} needs the output activation {FROM_LOGITS[loss]}, got {activations[-1]}"
            )
        self.weights = [np.array(W) for W in weights]
        self.dtype = self.weights[0].dtype
        self.biases = [np.array(b, dtype=self.dtype) for b in biases]
        self.activations = list(activations)
        self.loss = loss
        self.loss_parameters = tuple(loss_parameters)
        self._optimizer = ""
        self._slots: list[list[Array]] = []
        self._step = 0

    def forward(self, X: npt.ArrayLike) -> list[tuple[Array, Array]]:
        """Logits and activations of every layer: the cache that the backward pass uses.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        list of n_layers tuples (Z, A), each of shape (n_samples, n_out)
            Of each layer.

        Examples
        --------
        >>> import numpy as np
        >>> from fastnn.reference import vectorized
        >>> W, b = [np.array([[2.0]]), np.array([[0.5]])], [np.array([1.0]), np.array([0.0])]
        >>> net = vectorized.Network(W, b, ["relu", "linear"], "mean_squared_error")
        >>> Z, A = net.forward([[3.0]])[0]  # of the first layer
        >>> Z.tolist(), A.tolist()
        ([[7.0]], [[7.0]])
        """
        A = np.asarray(X, dtype=self.dtype)
        caches = []
        for W, b, activation in zip(self.weights, self.biases, self.activations, strict=True):
            Z, A = layer_forward(A, W, b, activation)
            caches.append((Z, A))
        return caches

    def predict_proba(self, X: npt.ArrayLike) -> Array:
        """Activations of the output layer.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        ndarray of shape (n_samples, n_outputs)
            Probabilities of a classifier, else the values.

        Examples
        --------
        >>> import numpy as np
        >>> from fastnn.reference import vectorized
        >>> W, b = [np.array([[2.0]]), np.array([[0.5]])], [np.array([1.0]), np.array([0.0])]
        >>> net = vectorized.Network(W, b, ["relu", "linear"], "mean_squared_error")
        >>> net.predict_proba([[3.0]]).tolist()
        [[3.5]]
        """
        return self.forward(X)[-1][1]

    def loss_and_gradients(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        l1: float = 0.0,
        l2: float = 0.0,
        weights: npt.ArrayLike | None = None,
    ) -> tuple[float, list[tuple[Array, Array]]]:
        """Mean loss over the samples with the penalties, and its gradient by every parameter.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            Samples.
        y : array_like of shape (n_samples,) or (n_samples, n_outputs)
            Targets. With softmax: class labels (int), or rows of probabilities.
        l1, l2 : float
            Of the penalty ``(l1 sum |w| + l2 / 2 sum w^2) / n_samples`` over all weights.
        weights : array_like of shape (n_samples,), optional
            Of the samples in the mean.

        Returns
        -------
        loss : float
            The mean with the penalties.
        gradients : list of n_layers tuples (dW, db)
            Shaped like the parameters.

        Examples
        --------
        >>> import numpy as np
        >>> from fastnn.reference import vectorized
        >>> W, b = [np.array([[2.0]]), np.array([[0.5]])], [np.array([1.0]), np.array([0.0])]
        >>> net = vectorized.Network(W, b, ["relu", "linear"], "mean_squared_error")
        >>> loss, gradients = net.loss_and_gradients([[3.0]], [2.5])
        >>> loss, [g.tolist() for g in gradients[1]]  # of the last layer: dW and db
        (1.0, [[[14.0]], [2.0]])
        """
        X = np.asarray(X, dtype=self.dtype)
        Y = self._target_rows(y)
        caches = self.forward(X)
        Z, A = caches[-1]
        if weights is not None:
            weights = np.asarray(weights, dtype=self.dtype)
        loss, dZ = loss_and_output_gradient(
            Z, A, Y, self.activations[-1], self.loss, self.loss_parameters, weights
        )
        gradients = []
        for layer in range(len(self.weights) - 1, 0, -1):
            Z_prev, A_prev = caches[layer - 1]
            gradients.append(parameter_gradients(A_prev, dZ))
            W, activation = self.weights[layer], self.activations[layer - 1]
            dZ = layer_backward(dZ, W, Z_prev, A_prev, activation)
        gradients.append(parameter_gradients(X, dZ))
        for W, (dW, _) in zip(self.weights, gradients[::-1], strict=True):
            loss += penalty(W, l1, l2) / len(X)
            dW += penalty_gradient(W, l1, l2) / len(X)
        return loss, gradients[::-1]

    def fit(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        epochs: int = 1,
        batch_size: int | None = None,
        optimizer: str = "sgd",
        learning_rate: float = 0.01,
        l1: float = 0.0,
        l2: float = 0.0,
        weights: npt.ArrayLike | None = None,
        label_smoothing: float = 0.0,
        **hyperparameters: float,
    ) -> list[float]:
        """Train on consecutive mini-batches, the last of which may be shorter.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            Samples.
        y : array_like of shape (n_samples,) or (n_samples, n_outputs)
            As for `loss_and_gradients`.
        epochs : int
            Passes over the samples.
        batch_size : int, optional
            Samples in a mini-batch; None for all of them.
        optimizer : str
            Key of `OPTIMIZERS`. Its slots and step number are kept until another is named.
        learning_rate : float
            Of every step.
        l1, l2 : float
            As for `loss_and_gradients`.
        weights : array_like of shape (n_samples,), optional
            Of the samples: in the mean of each mini-batch, and in that of an epoch.
        label_smoothing : float
            What the targets of a classifier give to all classes alike.
        **hyperparameters : float
            Further arguments of the optimiser.

        Returns
        -------
        list of `epochs` floats
            Mean over the samples, the loss of each mini-batch taken before its update.

        Examples
        --------
        >>> import numpy as np
        >>> from fastnn.reference import vectorized
        >>> W, b = [np.array([[2.0]]), np.array([[0.5]])], [np.array([1.0]), np.array([0.0])]
        >>> net = vectorized.Network(W, b, ["relu", "linear"], "mean_squared_error")
        >>> losses = net.fit([[3.0], [1.0]], [1.0, 0.0], epochs=20, learning_rate=0.01)
        >>> len(losses), bool(losses[-1] < losses[0])
        (20, True)
        """
        X = np.asarray(X, dtype=self.dtype)
        Y = self._target_rows(y)
        if label_smoothing > 0.0:
            Y = smooth(Y, label_smoothing, Y.shape[1] if self.activations[-1] == "softmax" else 2)
        w = np.ones(len(X)) if weights is None else np.asarray(weights, dtype=np.float64)
        n_samples = len(X)
        batch_size = batch_size or n_samples
        if optimizer != self._optimizer:
            self._start_optimizer(optimizer)
        losses = []
        for _ in range(epochs):
            total = 0.0
            for start in range(0, n_samples, batch_size):
                X_batch = X[start : start + batch_size]
                Y_batch = Y[start : start + batch_size]
                w_batch = w[start : start + batch_size]
                loss, gradients = self.loss_and_gradients(
                    X_batch, Y_batch, l1, l2, None if weights is None else w_batch
                )
                total += loss * w_batch.sum()
                self._update(gradients, learning_rate, hyperparameters)
            losses.append(total / w.sum())
        return losses

    def _target_rows(self, y: npt.ArrayLike) -> Array:
        """Targets of shape (n_samples, n_outputs); a class label becomes a one-hot row.

        The shape is (n_samples, 1) for quantiles.
        """
        y = np.asarray(y)
        if self.activations[-1] == "softmax" and y.ndim == 1:
            one_hot: Array = np.eye(len(self.biases[-1]), dtype=self.dtype)[y]
            return one_hot
        return y.astype(self.dtype, copy=False).reshape(len(y), -1)

    def _parameters(self) -> list[Array]:
        """Weights and biases, layer by layer."""
        return [p for layer in zip(self.weights, self.biases, strict=True) for p in layer]

    def _start_optimizer(self, optimizer: str) -> None:
        """Slots of zero for every parameter, and no step done."""
        _, n_slots = OPTIMIZERS[optimizer]
        self._slots = [[np.zeros_like(p) for _ in range(n_slots)] for p in self._parameters()]
        self._step = 0
        self._optimizer = optimizer

    def _update(
        self,
        gradients: list[tuple[Array, Array]],
        learning_rate: float,
        hyperparameters: dict[str, float],
    ) -> None:
        """One step of the optimiser, for every parameter."""
        update, _ = OPTIMIZERS[self._optimizer]
        self._step += 1
        flat = [g for layer in gradients for g in layer]
        for w, g, slots in zip(self._parameters(), flat, self._slots, strict=True):
            update(w, g, slots, self._step, learning_rate, **hyperparameters)

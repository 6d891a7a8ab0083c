"""Fully connected networks in plain Python: one number at a time, lists and `math` only.

Rows are samples: ``X`` is a list of samples, each a list of features; layer ``l`` has ``weights``
with one row for each input and one column for each unit, and one ``bias`` for each unit.
`fastnn.reference.vectorized` says the same with one matrix product per layer and role.

In the formulas ``z`` is a logit, ``a`` an activation, ``y`` a target, ``L`` is the mean loss, and
``dZ``, ``dA``, ``dW``, ``db`` are the gradients of ``L`` with respect to what follows the ``d``.

Functions of ``z`` and ``a`` take numbers, those of ``Z`` and ``A`` lists of rows.

References
----------
A. Ng, "Neural Networks and Deep Learning", deeplearning.ai, weeks 2 to 4.

Examples
--------
>>> from fastnn.reference import loops
>>> [round(loops.sigmoid(z), 3) for z in (-2.0, 0.0, 2.0)]
[0.119, 0.5, 0.881]
>>> function, derivative = loops.ACTIVATIONS["leaky_relu"]
>>> function(-2.0), derivative(-2.0, function(-2.0))
(-0.02, 0.01)
"""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import Any, TypeAlias

from fastnn.reference.loops_losses import FROM_LOGITS, LOSSES
from fastnn.reference.loops_optimizers import OPTIMIZERS
from fastnn.reference.loops_regularization import drop, l2_gradient, l2_penalty

Row: TypeAlias = list[float]
Rows: TypeAlias = list[Row]

# --- Activations: a = function(z), and derivative(z, a) = da/dz, of one number ------------------

LEAKY_RELU_SLOPE = 0.01
SELU_SCALE = 1.0507009873554805  # Klambauer et al., "Self-normalizing neural networks", 2017
SELU_ALPHA = 1.6732632423543772


def linear(z: float) -> float:
    """``z``."""
    return z


def linear_derivative(z: float, a: float) -> float:
    """``1``."""
    return 1.0


def sigmoid(z: float) -> float:
    """``1 / (1 + exp(-z)) = exp(z) / (exp(z) + 1)``, whichever ``exp`` does not overflow."""
    if z >= 0.0:
        return 1.0 / (1.0 + math.exp(-z))
    return math.exp(z) / (math.exp(z) + 1.0)


def sigmoid_derivative(z: float, a: float) -> float:
    """``a (1 - a)``."""
    return a * (1.0 - a)


def tanh(z: float) -> float:
    """``tanh(z)``."""
    return math.tanh(z)


def tanh_derivative(z: float, a: float) -> float:
    """``1 - a^2``."""
    return 1.0 - a * a


def relu(z: float) -> float:
    """``max(z, 0)``."""
    return max(z, 0.0)


def relu_derivative(z: float, a: float) -> float:
    """``1 if z > 0 else 0``."""
    return 1.0 if z > 0.0 else 0.0


def leaky_relu(z: float) -> float:
    """``z if z > 0 else slope z``."""
    return z if z > 0.0 else LEAKY_RELU_SLOPE * z


def leaky_relu_derivative(z: float, a: float) -> float:
    """``1 if z > 0 else slope``."""
    return 1.0 if z > 0.0 else LEAKY_RELU_SLOPE


def elu(z: float) -> float:
    """``z if z > 0 else exp(z) - 1``."""
    return z if z > 0.0 else math.expm1(z)


def elu_derivative(z: float, a: float) -> float:
    """``1 if z > 0 else exp(z)``, and there ``exp(z) = a + 1``."""
    return 1.0 if z > 0.0 else a + 1.0


def selu(z: float) -> float:
    """``scale (z if z > 0 else alpha (exp(z) - 1))``."""
    return SELU_SCALE * (z if z > 0.0 else SELU_ALPHA * math.expm1(z))


def selu_derivative(z: float, a: float) -> float:
    """``scale if z > 0 else scale alpha exp(z)``, and the latter is ``a + scale alpha``."""
    return SELU_SCALE if z > 0.0 else a + SELU_SCALE * SELU_ALPHA


def normal_cdf(z: float) -> float:
    """``Phi(z) = (1 + erf(z / sqrt(2))) / 2 = erfc(-z / sqrt(2)) / 2``, exact in the left tail."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def gelu(z: float) -> float:
    """``z Phi(z)``."""
    return z * normal_cdf(z)


def gelu_derivative(z: float, a: float) -> float:
    """``Phi(z) + z phi(z)``, where ``phi(z) = exp(-z^2 / 2) / sqrt(2 pi)``."""
    return normal_cdf(z) + z * math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)


def silu(z: float) -> float:
    """``z sigmoid(z)``."""
    return z * sigmoid(z)


def silu_derivative(z: float, a: float) -> float:
    """``s + a (1 - s)``, where ``s = sigmoid(z)``."""
    s = sigmoid(z)
    return s + a * (1.0 - s)


def mish(z: float) -> float:
    """``z tanh(softplus(z))``."""
    return z * math.tanh(softplus(z))


def mish_derivative(z: float, a: float) -> float:
    """``t + z (1 - t^2) sigmoid(z)``, where ``t = tanh(softplus(z))``."""
    t = math.tanh(softplus(z))
    return t + z * (1.0 - t * t) * sigmoid(z)


def softplus(z: float) -> float:
    """``log(1 + exp(z)) = max(z, 0) + log(1 + exp(-|z|))``, whose ``exp`` never overflows."""
    return max(z, 0.0) + math.log1p(math.exp(-abs(z)))


def softplus_derivative(z: float, a: float) -> float:
    """``sigmoid(z)``."""
    return sigmoid(z)


def exponential(z: float) -> float:
    """``exp(z)``."""
    return math.exp(z)


def exponential_derivative(z: float, a: float) -> float:
    """``exp(z) = a``."""
    return a


def softmax(Z: Rows) -> Rows:
    """``exp(z_j) / sum_k exp(z_k)`` in each row, the same after subtracting the row's maximum.

    The limit where one of a row is positive infinity: 1 there, 0 elsewhere.

    Parameters
    ----------
    Z : list of n_samples lists of n_out floats
        Logits.

    Returns
    -------
    list of n_samples lists of n_out floats
        Activations, whose rows sum to 1.

    Examples
    --------
    >>> from fastnn.reference import loops
    >>> loops.softmax([[2.0, 2.0]])
    [[0.5, 0.5]]
    """
    A = []
    for z in Z:
        largest = max(z)
        exponentials = [math.exp(z_j - largest) for z_j in z]
        if z.count(math.inf) == 1:
            exponentials[z.index(math.inf)] = 1.0
        total = sum(exponentials)
        A.append([e / total for e in exponentials])
    return A


# Softmax is not here: it mixes a row's elements, and serves the output layer only, where its
# derivative is part of categorical_cross_entropy's.
ACTIVATIONS: dict[str, tuple[Callable[[float], float], Callable[[float, float], float]]] = {
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


def layer_forward(A_prev: Rows, W: Rows, b: Row, activation: str) -> tuple[Rows, Rows]:
    """``Z = A_prev W + b`` and ``A = activation(Z)``.

    Parameters
    ----------
    A_prev : list of n_samples lists of n_in floats
        Activations of the layer before, or the samples.
    W : list of n_in lists of n_out floats
        Weights.
    b : list of n_out floats
        Biases.
    activation : str
        Key of `ACTIVATIONS`, or ``"softmax"``.

    Returns
    -------
    Z : list of n_samples lists of n_out floats
        Logits.
    A : list of n_samples lists of n_out floats
        Activations.

    Examples
    --------
    >>> from fastnn.reference import loops
    >>> Z, A = loops.layer_forward([[1.0, 2.0]], [[1.0, 0.0], [1.0, -1.0]], [0.5, 0.5], "relu")
    >>> Z, A
    ([[3.5, -1.5]], [[3.5, 0.0]])
    """
    Z = []
    for a_prev in A_prev:
        z = []
        for j in range(len(b)):
            z_j = b[j]
            for i in range(len(a_prev)):
                z_j += a_prev[i] * W[i][j]
            z.append(z_j)
        Z.append(z)
    if activation == "softmax":
        return Z, softmax(Z)
    function = ACTIVATIONS[activation][0]
    return Z, [[function(z_j) for z_j in z] for z in Z]


def loss_and_output_gradient(
    Z: Rows, A: Rows, Y: Rows, activation: str, loss: str, parameters: Sequence[float] = ()
) -> tuple[float, Rows]:
    """Mean loss of the output layer, and its gradient ``dZ``.

    Parameters
    ----------
    Z, A : list of n_samples lists of n_outputs floats
        Logits and activations of the output layer.
    Y : list of n_samples lists of n_outputs floats
        Targets; of quantiles one a row.
    activation : str
        Of the output layer.
    loss : str
        Key of `LOSSES`.
    parameters : sequence of float
        Of the loss: delta, levels or gamma.

    Returns
    -------
    loss : float
        The mean over samples, and outputs.
    dZ : list of n_samples lists of n_outputs floats
        The gradient of it.

    Examples
    --------
    >>> from fastnn.reference import loops
    >>> Z, A, Y = [[0.0]], [[0.5]], [[1.0]]
    >>> loss, dZ = loops.loss_and_output_gradient(Z, A, Y, "sigmoid", "binary_cross_entropy")
    >>> round(loss, 3), dZ
    (0.693, [[-0.5]])
    """
    function, derivative = LOSSES[loss]
    dZ = derivative(A, Y, *parameters)
    if loss in FROM_LOGITS:
        return function(Z, Y, *parameters), dZ
    _multiply_by_derivative(dZ, Z, A, activation)
    return function(A, Y, *parameters), dZ


def parameter_gradients(A_prev: Rows, dZ: Rows) -> tuple[Rows, Row]:
    """``dW = A_prev^T dZ`` and ``db``, the sum of the rows of ``dZ``.

    Parameters
    ----------
    A_prev : list of n_samples lists of n_in floats
        What came into the layer.
    dZ : list of n_samples lists of n_out floats
        The gradient by the layer's logits.

    Returns
    -------
    dW : list of n_in lists of n_out floats
        The gradient by the weights.
    db : list of n_out floats
        The gradient by the biases.

    Examples
    --------
    >>> from fastnn.reference import loops
    >>> A_prev, dZ = [[1.0, 2.0], [3.0, 4.0]], [[1.0], [0.5]]
    >>> dW, db = loops.parameter_gradients(A_prev, dZ)
    >>> dW, db
    ([[2.5], [4.0]], [1.5])
    """
    n_in, n_out = len(A_prev[0]), len(dZ[0])
    dW = [[0.0] * n_out for _ in range(n_in)]
    db = [0.0] * n_out
    for a_prev, dz in zip(A_prev, dZ, strict=True):
        for j in range(n_out):
            for i in range(n_in):
                dW[i][j] += a_prev[i] * dz[j]
            db[j] += dz[j]
    return dW, db


def layer_backward(dZ: Rows, W: Rows, Z_prev: Rows, A_prev: Rows, activation: str) -> Rows:
    """``dZ_prev = dA_prev * activation'(Z_prev)``, where ``dA_prev = dZ W^T``.

    ``Z_prev``, ``A_prev`` and `activation` are those of the layer before the one of `dZ` and `W`.

    Parameters
    ----------
    dZ : list of n_samples lists of n_out floats
        The gradient by the layer's logits.
    W : list of n_in lists of n_out floats
        Its weights.
    Z_prev, A_prev : list of n_samples lists of n_in floats
        Logits and activations of the layer before.
    activation : str
        Of the layer before, a key of `ACTIVATIONS`.

    Returns
    -------
    list of n_samples lists of n_in floats
        The gradient by the logits of the layer before.

    Examples
    --------
    >>> from fastnn.reference import loops
    >>> dZ, W = [[1.0]], [[2.0], [3.0]]
    >>> Z_prev, A_prev = [[0.5, -1.0]], [[0.5, 0.0]]
    >>> loops.layer_backward(dZ, W, Z_prev, A_prev, "relu")
    [[2.0, 0.0]]
    """
    dZ_prev = []
    for dz in dZ:
        dz_prev = []
        for i in range(len(W)):
            da = 0.0
            for j in range(len(dz)):
                da += dz[j] * W[i][j]
            dz_prev.append(da)
        dZ_prev.append(dz_prev)
    _multiply_by_derivative(dZ_prev, Z_prev, A_prev, activation)
    return dZ_prev


def _multiply_by_derivative(dA: Rows, Z: Rows, A: Rows, activation: str) -> None:
    """Turn ``dA`` into ``dZ = dA * activation'(Z)``, in place."""
    derivative = ACTIVATIONS[activation][1]
    for da, z, a in zip(dA, Z, A, strict=True):
        for j in range(len(da)):
            da[j] *= derivative(z[j], a[j])


# --- Network ------------------------------------------------------------------------------------


class Network:
    """A fully connected network: ``A_l = activation_l(A_{l-1} W_l + b_l)``, with ``A_0 = X``.

    Parameters
    ----------
    weights : sequence of n_layers matrices of shape (n_in, n_out)
        Copied into lists of lists of floats.
    biases : sequence of n_layers sequences of n_out floats
        Copied.
    activations : sequence of n_layers str
        Keys of `ACTIVATIONS`; the last may be ``"softmax"``.
    loss : str
        Key of `LOSSES`.
    loss_parameters : sequence of float
        Of the loss: delta, levels or gamma.

    Attributes
    ----------
    weights, biases : list of n_layers lists
        The parameters, which `fit` changes in place.

    Raises
    ------
    ValueError
        If a loss computed from logits does not belong to the output activation.

    Examples
    --------
    >>> from fastnn.reference import loops
    >>> W, b = [[[2.0]], [[0.5]]], [[1.0], [0.0]]
    >>> net = loops.Network(W, b, ["relu", "linear"], "mean_squared_error")
    >>> net.predict_proba([[3.0], [-3.0]])
    [[3.5], [0.0]]
    """

    def __init__(
        self,
        weights: Iterable[Iterable[Iterable[float]]],
        biases: Iterable[Iterable[float]],
        activations: Sequence[str],
        loss: str,
        loss_parameters: Sequence[float] = (),
    ) -> None:
        if FROM_LOGITS.get(loss, activations[-1]) != activations[-1]:
            raise ValueError(
                f"{loss} needs the output activation {FROM_LOGITS[loss]}, got {activations[-1]}"
            )
        self.weights = [_float_rows(W) for W in weights]
        self.biases = _float_rows(biases)
        self.activations = list(activations)
        self.loss = loss
        self.loss_parameters = tuple(loss_parameters)
        self._optimizer = ""
        self._slots: list[list[Row]] = []
        self._step = 0

    def forward(
        self, X: Iterable[Iterable[float]], masks: Sequence[Rows] = (), keep_prob: float = 1.0
    ) -> list[tuple[Rows, Rows]]:
        """Logits and activations of every layer: the cache that the backward pass uses.

        Parameters
        ----------
        X : n_samples sequences of n_features floats
            Samples.
        masks : sequence of n_layers - 1 masks, each n_samples lists of n_out numbers 0 or 1
            Of dropout: what stays of the activations of each hidden layer. Empty: no dropout.
        keep_prob : float
            The share that stays in the mean.

        Returns
        -------
        list of n_layers tuples (Z, A), each n_samples lists of n_out floats
            Of each layer; A before dropout.

        Examples
        --------
        >>> from fastnn.reference import loops
        >>> W, b = [[[2.0]], [[0.5]]], [[1.0], [0.0]]
        >>> net = loops.Network(W, b, ["relu", "linear"], "mean_squared_error")
        >>> Z, A = net.forward([[3.0]])[0]  # of the first layer
        >>> Z, A
        ([[7.0]], [[7.0]])
        """
        A = _float_rows(X)
        caches = []
        for layer, activation in enumerate(self.activations):
            if layer > 0 and masks:
                A = drop(A, masks[layer - 1], keep_prob)
            Z, A = layer_forward(A, self.weights[layer], self.biases[layer], activation)
            caches.append((Z, A))
        return caches

    def predict_proba(self, X: Iterable[Iterable[float]]) -> Rows:
        """Activations of the output layer.

        Parameters
        ----------
        X : n_samples sequences of n_features floats
            Samples.

        Returns
        -------
        list of n_samples lists of n_outputs floats
            Probabilities of a classifier, else the values.

        Examples
        --------
        >>> from fastnn.reference import loops
        >>> W, b = [[[2.0]], [[0.5]]], [[1.0], [0.0]]
        >>> net = loops.Network(W, b, ["relu", "linear"], "mean_squared_error")
        >>> net.predict_proba([[3.0]])
        [[3.5]]
        """
        return self.forward(X)[-1][1]

    def loss_and_gradients(
        self,
        X: Iterable[Iterable[float]],
        y: Sequence[Any],
        l2: float = 0.0,
        masks: Sequence[Rows] = (),
        keep_prob: float = 1.0,
    ) -> tuple[float, list[tuple[Rows, Row]]]:
        """Mean loss over the samples with the penalty, and its gradient by every parameter.

        Parameters
        ----------
        X : n_samples sequences of n_features floats
            Samples.
        y : n_samples numbers, or n_samples sequences of n_outputs numbers
            Targets. With softmax: class labels (int), or rows of probabilities.
        l2 : float
            Of the penalty ``l2 / 2 sum w^2 / n_samples`` over all weights.
        masks : sequence of n_layers - 1 masks
            As for `forward`.
        keep_prob : float
            As for `forward`.

        Returns
        -------
        loss : float
            The mean with the penalty.
        gradients : list of n_layers tuples (dW, db)
            Shaped like the parameters.

        Examples
        --------
        >>> from fastnn.reference import loops
        >>> W, b = [[[2.0]], [[0.5]]], [[1.0], [0.0]]
        >>> net = loops.Network(W, b, ["relu", "linear"], "mean_squared_error")
        >>> loss, gradients = net.loss_and_gradients([[3.0]], [2.5])
        >>> loss, gradients[1]  # of the last layer: dW and db
        (1.0, ([[14.0]], [2.0]))
        """
        X = _float_rows(X)
        Y = self._target_rows(y)
        caches = self.forward(X, masks, keep_prob)
        Z, A = caches[-1]
        loss, dZ = loss_and_output_gradient(
            Z, A, Y, self.activations[-1], self.loss, self.loss_parameters
        )
        gradients = []
        for layer in range(len(self.weights) - 1, 0, -1):
            Z_prev, A_prev = caches[layer - 1]
            entered = drop(A_prev, masks[layer - 1], keep_prob) if masks else A_prev
            gradients.append(parameter_gradients(entered, dZ))
            W, activation = self.weights[layer], self.activations[layer - 1]
            dZ = layer_backward(dZ, W, Z_prev, A_prev, activation)
            if masks:
                dZ = drop(dZ, masks[layer - 1], keep_prob)
        gradients.append(parameter_gradients(X, dZ))
        for W, (dW, _) in zip(self.weights, gradients[::-1], strict=True):
            loss += l2_penalty(W, l2) / len(X)
            for dw, penalty in zip(dW, l2_gradient(W, l2), strict=True):
                for j in range(len(dw)):
                    dw[j] += penalty[j] / len(X)
        return loss, gradients[::-1]

    def fit(
        self,
        X: Iterable[Iterable[float]],
        y: Sequence[Any],
        epochs: int = 1,
        batch_size: int | None = None,
        optimizer: str = "sgd",
        learning_rate: float = 0.01,
        l2: float = 0.0,
        masks: Iterable[Sequence[Rows]] | None = None,
        keep_prob: float = 1.0,
        **hyperparameters: float,
    ) -> list[float]:
        """Train on consecutive mini-batches, the last of which may be shorter.

        Parameters
        ----------
        X : n_samples sequences of n_features floats
            Samples.
        y : n_samples numbers, or n_samples sequences of n_outputs numbers
            As for `loss_and_gradients`.
        epochs : int
            Passes over the samples.
        batch_size : int, optional
            Samples in a mini-batch; None for all of them.
        optimizer : str
            Key of `OPTIMIZERS`. Its slots and step number are kept until another is named.
        learning_rate : float
            Of every step.
        l2 : float
            As for `loss_and_gradients`.
        masks : iterable of such masks as `forward` takes, optional
            For each step of this call, of the samples in its mini-batch.
        keep_prob : float
            As for `forward`.
        **hyperparameters : float
            Further arguments of the optimiser.

        Returns
        -------
        list of `epochs` floats
            Mean over the samples, the loss of each mini-batch taken before its update.

        Examples
        --------
        >>> from fastnn.reference import loops
        >>> W, b = [[[2.0]], [[0.5]]], [[1.0], [0.0]]
        >>> net = loops.Network(W, b, ["relu", "linear"], "mean_squared_error")
        >>> losses = net.fit([[3.0], [1.0]], [1.0, 0.0], epochs=20, learning_rate=0.01)
        >>> len(losses), bool(losses[-1] < losses[0])
        (20, True)
        """
        X = _float_rows(X)
        Y = self._target_rows(y)
        n_samples = len(X)
        batch_size = batch_size or n_samples
        if optimizer != self._optimizer:
            self._start_optimizer(optimizer)
        of_steps = iter(repeat(()) if masks is None else masks)
        losses = []
        for _ in range(epochs):
            total = 0.0
            for start in range(0, n_samples, batch_size):
                X_batch = X[start : start + batch_size]
                Y_batch = Y[start : start + batch_size]
                loss, gradients = self.loss_and_gradients(
                    X_batch, Y_batch, l2, next(of_steps), keep_prob
                )
                total += loss * len(X_batch)
                self._update(gradients, learning_rate, hyperparameters)
            losses.append(total / n_samples)
        return losses

    def _target_rows(self, y: Sequence[Any]) -> Rows:
        """Targets as rows of n_outputs floats; a class label becomes a one-hot row."""
        if hasattr(y[0], "__len__"):
            return _float_rows(y)
        if self.activations[-1] == "softmax":
            n_classes = len(self.biases[-1])
            return [[float(k == label) for k in range(n_classes)] for label in y]
        return [[float(target)] for target in y]

    def _parameters(self) -> list[Row]:
        """Rows of weights and the bias, layer by layer."""
        return _rows_and_biases(zip(self.weights, self.biases, strict=True))

    def _start_optimizer(self, optimizer: str) -> None:
        """Slots of zero for every parameter, and no step done."""
        _, n_slots = OPTIMIZERS[optimizer]
        self._slots = [[[0.0] * len(p) for _ in range(n_slots)] for p in self._parameters()]
        self._step = 0
        self._optimizer = optimizer

    def _update(
        self,
        gradients: list[tuple[Rows, Row]],
        learning_rate: float,
        hyperparameters: dict[str, float],
    ) -> None:
        """One step of the optimiser, for every parameter."""
        update, _ = OPTIMIZERS[self._optimizer]
        self._step += 1
        flat = _rows_and_biases(gradients)
        for w, g, slots in zip(self._parameters(), flat, self._slots, strict=True):
            update(w, g, slots, self._step, learning_rate, **hyperparameters)


def _float_rows(rows: Iterable[Iterable[float]]) -> Rows:
    """Copy of `rows` as lists of floats."""
    return [[float(value) for value in row] for row in rows]


def _rows_and_biases(layers: Iterable[tuple[Rows, Row]]) -> list[Row]:
    """Every row of weights and every bias of `layers`, themselves and not copies, as one list."""
    return [row for W, b in layers for row in (*W, b)]

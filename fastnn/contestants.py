"""Who takes part in ``fastnn bench``: one function a library, which makes its training loop.

Each takes its library in the form that is fastest for small networks on a CPU: data converted
beforehand, fused optimiser steps, and for JAX a whole training as one compiled program.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

import fastnn
from fastnn.reference import loops, vectorized

__all__ = ["BASELINE", "Contestant", "Task", "Trainer", "contestants"]

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

Trainer = Callable[[int], Sequence[float]]
"""Trains for that many epochs from the start weights; returns the mean loss of each epoch."""

BASELINE = "fastnn, 1 thread"


@dataclass(frozen=True)
class Task:
    """A training, the same for everybody: plain gradient descent on consecutive mini-batches.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features), float32
    y : ndarray of shape (n_samples,), int64
    weights, biases : tuple of float32 ndarrays
        Where everybody starts; ``weights[l]`` has shape ``(n_in, n_out)``.
    hidden, output : str
        Activations of the hidden layers (relu or tanh) and of the last (sigmoid or softmax).
    batch_size : int
    learning_rate : float
    """

    X: FloatArray
    y: IntArray
    weights: tuple[FloatArray, ...]
    biases: tuple[FloatArray, ...]
    hidden: str
    output: str
    batch_size: int
    learning_rate: float

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of features, then of units of each layer."""
        return (self.X.shape[1], *(len(bias) for bias in self.biases))

    @property
    def n_batches(self) -> int:
        return -(-len(self.X) // self.batch_size)

    @property
    def flops(self) -> int:
        """Floating-point operations of an epoch's matrix products.

        A sample costs ``2 W`` forward, ``2 W`` for the weights' gradient and ``2 W`` for the
        inputs' gradient (``W`` weights), of which the first layer's is never computed.
        """
        n_weights = sum(a * b for a, b in itertools.pairwise(self.sizes))
        return len(self.X) * (6 * n_weights - 2 * self.sizes[0] * self.sizes[1])

    def first(self, n_batches: int) -> Task:
        """The same task on the first mini-batches only."""
        n_samples = n_batches * self.batch_size
        return replace(self, X=self.X[:n_samples], y=self.y[:n_samples])


@dataclass(frozen=True)
class Contestant:
    """A library in one configuration.

    Attributes
    ----------
    name : str
    trainer : callable
        Makes a `Trainer` for a task. What it does on the way (conversions) is not timed.
    in_part : bool
        Whether to time it on the first mini-batches only, and to scale to the whole epoch.
    """

    name: str
    trainer: Callable[[Task], Trainer]
    in_part: bool = False


def contestants() -> list[Contestant]:
    """All who can take part here, `BASELINE` first."""
    n_threads = fastnn.get_num_threads()
    several = f"{n_threads} threads"
    found = [Contestant(BASELINE, partial(_fastnn, threads=1))]
    if n_threads > 1:
        found.append(Contestant(f"fastnn, {several}", partial(_fastnn, threads=n_threads)))
    found.append(Contestant("NumPy reference", _numpy))
    found.append(Contestant("pure Python", _pure_python, in_part=True))
    if find_spec("sklearn"):
        found.append(Contestant(f"scikit-learn {version('scikit-learn')}", _scikit_learn))
    if find_spec("torch"):
        name = f"PyTorch {version('torch')}"
        found.append(Contestant(f"{name}, 1 thread", partial(_pytorch, threads=1)))
        if n_threads > 1:
            found.append(Contestant(f"{name}, {several}", partial(_pytorch, threads=n_threads)))
    if find_spec("jax"):
        found.append(Contestant(f"JAX {version('jax')}", _jax))
    return found


def _fastnn(task: Task, threads: int) -> Trainer:
    net = fastnn.Network.from_sizes(task.sizes, task.hidden, task.output)
    views, start = (*net.weights, *net.biases), (*task.weights, *task.biases)

    def train(n_epochs: int) -> Sequence[float]:
        for view, values in zip(views, start, strict=True):
            view[...] = values
        history = net.fit(
            task.X,
            task.y,
            epochs=n_epochs,
            batch_size=task.batch_size,
            optimizer="sgd",
            learning_rate=task.learning_rate,
            shuffle=False,
            threads=threads,
        )
        return history["loss"]

    return train


def _numpy(task: Task) -> Trainer:
    return _reference(vectorized.Network, task, task.X, task.y, task.weights, task.biases)


def _pure_python(task: Task) -> Trainer:
    weights, biases = [w.tolist() for w in task.weights], [b.tolist() for b in task.biases]
    return _reference(loops.Network, task, task.X.tolist(), task.y.tolist(), weights, biases)


def _reference(network: Any, task: Task, X: Any, y: Any, weights: Any, biases: Any) -> Trainer:
    activations = [task.hidden] * (len(weights) - 1) + [task.output]
    loss = "categorical_cross_entropy" if task.output == "softmax" else "binary_cross_entropy"

    def train(n_epochs: int) -> Sequence[float]:
        losses: list[float] = network(weights, biases, activations, loss).fit(
            X,
            y,
            epochs=n_epochs,
            batch_size=task.batch_size,
            optimizer="sgd",
            learning_rate=task.learning_rate,
        )
        return losses

    return train


# The libraries below may be absent, so they are imported by name: a type checker then does not ask
# for them.


def _scikit_learn(task: Task) -> Trainer:
    exceptions: Any = import_module("sklearn.exceptions")
    neural_network: Any = import_module("sklearn.neural_network")
    model = neural_network.MLPClassifier(
        hidden_layer_sizes=task.sizes[1:-1],
        activation=task.hidden,
        solver="sgd",
        alpha=0.0,
        batch_size=task.batch_size,
        learning_rate_init=task.learning_rate,
        momentum=0.0,
        nesterovs_momentum=False,
        shuffle=False,
        n_iter_no_change=2**31,  # counted over all warm-started fits, so a high number, once
        tol=0.0,
        warm_start=True,
    )
    # Makes the arrays; with warm_start, fit then starts from what they hold.
    n_classes = max(2, task.sizes[-1])
    model.partial_fit(
        task.X[: task.batch_size], task.y[: task.batch_size], classes=np.arange(n_classes)
    )

    def train(n_epochs: int) -> Sequence[float]:
        model.coefs_ = [w.copy() for w in task.weights]
        model.intercepts_ = [b.copy() for b in task.biases]
        model.set_params(max_iter=n_epochs)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", exceptions.ConvergenceWarning)
            model.fit(task.X, task.y)
        losses: list[float] = model.loss_curve_[-n_epochs:]
        return losses

    return train


def _pytorch(task: Task, threads: int) -> Trainer:
    torch: Any = import_module("torch")
    functional: Any = import_module("torch.nn.functional")
    softmax = task.output == "softmax"
    hidden = getattr(torch, task.hidden)
    X = torch.from_numpy(task.X)
    y = torch.from_numpy(task.y) if softmax else torch.from_numpy(task.y).float()
    batches = list(zip(X.split(task.batch_size), y.split(task.batch_size), strict=True))
    sizes = np.array([len(labels) for _, labels in batches])
    # PyTorch keeps weights as (n_out, n_in).
    start = [torch.tensor(w.T.copy()) for w in task.weights]
    start += map(torch.tensor, task.biases)
    parameters = [tensor.clone().requires_grad_() for tensor in start]
    weights, biases = parameters[: len(task.weights)], parameters[len(task.weights) :]
    optimizer = torch.optim.SGD(parameters, lr=task.learning_rate, fused=True)

    def loss_of(A: Any, labels: Any) -> Any:
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            A = hidden(functional.linear(A, weight, bias))
        logits = functional.linear(A, weights[-1], biases[-1])
        if softmax:
            return functional.cross_entropy(logits, labels)
        return functional.binary_cross_entropy_with_logits(logits.squeeze(1), labels)

    def train(n_epochs: int) -> Sequence[float]:
        torch.set_num_threads(threads)
        with torch.no_grad():
            for parameter, tensor in zip(parameters, start, strict=True):
                parameter.copy_(tensor)
        epochs = []
        for _ in range(n_epochs):
            losses = []
            for A, labels in batches:
                optimizer.zero_grad()
                loss = loss_of(A, labels)
                loss.backward()
                optimizer.step()
                losses.append(loss.detach())
            epochs.append(float(np.average(torch.stack(losses).numpy(), weights=sizes)))
        return epochs

    return train


def _jax(task: Task) -> Trainer:
    jax: Any = import_module("jax")
    jnp: Any = import_module("jax.numpy")
    softmax = task.output == "softmax"
    hidden = jax.nn.relu if task.hidden == "relu" else getattr(jnp, task.hidden)
    cpu = jax.devices("cpu")[0]
    n_whole = len(task.X) // task.batch_size * task.batch_size
    whole, rest = jax.device_put(
        (
            (
                task.X[:n_whole].reshape(-1, task.batch_size, task.X.shape[1]),
                task.y[:n_whole].reshape(-1, task.batch_size),
            ),
            (task.X[n_whole:], task.y[n_whole:]),
        ),
        cpu,
    )
    start = jax.device_put(list(zip(task.weights, task.biases, strict=True)), cpu)

    def loss_of(parameters: Any, A: Any, y: Any) -> Any:
        for weight, bias in parameters[:-1]:
            A = hidden(A @ weight + bias)
        weight, bias = parameters[-1]
        logits = A @ weight + bias
        if softmax:
            return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1).mean()
        return (jax.nn.softplus(logits[:, 0]) - y * logits[:, 0]).mean()

    def step(parameters: Any, batch: Any) -> tuple[Any, Any]:
        loss, gradient = jax.value_and_grad(loss_of)(parameters, *batch)
        rate = task.learning_rate
        return jax.tree.map(lambda w, g: w - rate * g, parameters, gradient), loss

    # The data are arguments: as constants of the program they would be copied into it.
    @partial(jax.jit, static_argnums=0)
    def fit(n_epochs: int, parameters: Any, whole: Any, rest: Any) -> Any:
        def epoch(parameters: Any, _: None) -> tuple[Any, Any]:
            parameters, losses = jax.lax.scan(step, parameters, whole)
            total = losses.sum() * task.batch_size
            if len(rest[0]):
                parameters, loss = step(parameters, rest)
                total += loss * len(rest[0])
            return parameters, total / len(task.X)

        return jax.lax.scan(epoch, parameters, None, length=n_epochs)[1]

    def train(n_epochs: int) -> Sequence[float]:
        losses: list[float] = np.asarray(fit(n_epochs, start, whole, rest)).tolist()
        return losses

    return train

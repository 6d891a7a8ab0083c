"""The same training by each library, in the form in which it is fastest on a CPU.

A trainer is a pair of functions: one goes back to the start weights and an optimiser that has not
stepped yet, and is not timed; the other trains for some epochs and returns the last one's mean
loss.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

import fastnn
from bench.peers.nets import Problem
from fastnn.reference import vectorized

__all__ = ["TRAINERS", "Trainer", "load_jax", "load_torch"]

Trainer = tuple[Callable[[], None], Callable[[int], float]]


def _fastnn(problem: Problem, threads: int) -> Trainer:
    fastnn.set_num_threads(threads)
    start = problem.network()
    net = start

    def restart() -> None:
        nonlocal net
        net = start.copy()

    def train(n_epochs: int) -> float:
        history = net.fit(
            problem.X,
            problem.y,
            epochs=n_epochs,
            batch_size=problem.batch_size,
            optimizer=problem.optimizer,
            learning_rate=problem.learning_rate,
            shuffle=False,
        )
        return history["loss"][-1]

    return restart, train


def _numpy(problem: Problem, threads: int) -> Trainer:
    # One-hot rows, or they would be made again by every fit.
    softmax = problem.output == "softmax"
    y = np.eye(problem.sizes[-1], dtype=np.float32)[problem.y] if softmax else problem.y
    activations = [problem.hidden] * (len(problem.weights) - 1) + [problem.output]
    loss = "categorical_cross_entropy" if softmax else "binary_cross_entropy"
    net: Any = None

    def restart() -> None:
        nonlocal net
        net = vectorized.Network(problem.weights, problem.biases, activations, loss)

    def train(n_epochs: int) -> float:
        losses: list[float] = net.fit(
            problem.X,
            y,
            epochs=n_epochs,
            batch_size=problem.batch_size,
            optimizer=problem.optimizer,
            learning_rate=problem.learning_rate,
        )
        return losses[-1]

    return restart, train


# The libraries below may be absent, so they are imported by name: a type checker then does not ask
# for them.


def _scikit_learn(problem: Problem, threads: int) -> Trainer:
    neural_network: Any = import_module("sklearn.neural_network")
    n_outputs = problem.sizes[-1]
    # For two classes it would take one sigmoid. Told that a sample may have several labels, it
    # makes two outputs, and they become a softmax below.
    y = np.eye(2, dtype=np.int64)[problem.y] if n_outputs == 2 else problem.y
    model = neural_network.MLPClassifier(
        hidden_layer_sizes=problem.sizes[1:-1],
        activation=problem.hidden,
        solver=problem.optimizer,
        alpha=0.0,
        batch_size=problem.batch_size,
        learning_rate_init=problem.learning_rate,
        momentum=0.0,
        nesterovs_momentum=False,
        shuffle=False,
        n_iter_no_change=2**31,  # counted over all fits that start from the weights there are
    )
    first = slice(problem.batch_size)
    model.partial_fit(problem.X[first], y[first], classes=np.arange(max(2, n_outputs)))
    model.out_activation_ = "logistic" if problem.output == "sigmoid" else "softmax"
    model.set_params(warm_start=True)  # fit goes on from the weights, with a new optimiser

    def restart() -> None:
        model.coefs_ = [w.copy() for w in problem.weights]
        model.intercepts_ = [b.copy() for b in problem.biases]

    def train(n_epochs: int) -> float:
        model.set_params(max_iter=n_epochs)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it has not converged
            model.fit(problem.X, y)
        return float(model.loss_curve_[-1])

    return restart, train


def load_torch(threads: int) -> Any:
    """PyTorch on so many threads."""
    torch: Any = import_module("torch")
    torch.set_num_threads(threads)
    return torch


class _Torch:
    """What both forms of PyTorch share: tensors, and the loss of a mini-batch."""

    def __init__(self, problem: Problem, threads: int) -> None:
        self.torch = torch = load_torch(threads)
        self.hidden = getattr(torch, problem.hidden)
        self.softmax = problem.output == "softmax"
        y = torch.from_numpy(problem.y)
        self.batches = list(
            zip(
                torch.from_numpy(problem.X).split(problem.batch_size),
                (y if self.softmax else y.float()).split(problem.batch_size),
                strict=True,
            )
        )
        # It keeps weights as (n_out, n_in). Weights first, then biases.
        self.start = [torch.tensor(w.T.copy()) for w in problem.weights]
        self.start += map(torch.tensor, problem.biases)

    def loss_of(self, parameters: Any, A: Any, y: Any) -> Any:
        functional = self.torch.nn.functional
        n_layers = len(parameters) // 2
        *hidden, last = zip(parameters[:n_layers], parameters[n_layers:], strict=True)
        for weight, bias in hidden:
            A = self.hidden(functional.linear(A, weight, bias))
        logits = functional.linear(A, *last)
        if self.softmax:
            return functional.cross_entropy(logits, y)
        return functional.binary_cross_entropy_with_logits(logits.squeeze(1), y)

    def train(self, step: Callable[[Any, Any], Any], n_epochs: int) -> float:
        """Epochs of a step that returns the loss."""
        for _ in range(n_epochs):
            losses = [step(A, y) for A, y in self.batches]
        return float(self.torch.stack(losses).mean())


def _torch_eager(problem: Problem, threads: int) -> Trainer:
    it = _Torch(problem, threads)
    parameters: list[Any] = []
    optimizer: Any = None

    def restart() -> None:
        nonlocal parameters, optimizer
        parameters = [tensor.clone().requires_grad_() for tensor in it.start]
        kind = it.torch.optim.SGD if problem.optimizer == "sgd" else it.torch.optim.Adam
        optimizer = kind(parameters, lr=problem.learning_rate, fused=True)

    def step(A: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = it.loss_of(parameters, A, y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return restart, partial(it.train, step)


def _torch_compiled(problem: Problem, threads: int) -> Trainer:
    """A whole step, update included, as one graph.

    Faster than a compiled loss with the fused optimiser after it, and the wrapper in C++ faster
    than that in Python.
    """
    it = _Torch(problem, threads)
    torch = it.torch
    torch.compiler.reset()
    loss_and_gradients = torch.func.grad_and_value(it.loss_of)
    rate, beta_1, beta_2, epsilon = problem.learning_rate, 0.9, 0.999, 1e-8
    state: tuple[Any, ...] = ()

    def restart() -> None:
        nonlocal state
        parameters = [tensor.clone() for tensor in it.start]
        moments = [[torch.zeros_like(w) for w in parameters] for _ in range(2)]
        state = (parameters, *moments, torch.zeros(()))

    def sgd(parameters: Any, m: Any, v: Any, t: Any, A: Any, y: Any) -> Any:
        gradients, loss = loss_and_gradients(parameters, A, y)
        for w, g in zip(parameters, gradients, strict=True):
            w.sub_(rate * g)
        return loss

    def adam(parameters: Any, m: Any, v: Any, t: Any, A: Any, y: Any) -> Any:
        gradients, loss = loss_and_gradients(parameters, A, y)
        t.add_(1)
        step, scale = rate / (1 - beta_1**t), 1 / (1 - beta_2**t)
        for w, g, m_w, v_w in zip(parameters, gradients, m, v, strict=True):
            m_w.mul_(beta_1).add_((1 - beta_1) * g)
            v_w.mul_(beta_2).add_((1 - beta_2) * g * g)
            w.sub_(step * m_w / ((v_w * scale).sqrt() + epsilon))
        return loss

    step = sgd if problem.optimizer == "sgd" else adam
    options = {"cpp_wrapper": True}
    compiled = torch.compile(step, fullgraph=True, dynamic=False, options=options)

    def train(n_epochs: int) -> float:
        with torch.no_grad():
            return it.train(partial(compiled, *state), n_epochs)

    return restart, train


def load_jax() -> tuple[Any, Any]:
    """JAX, which computes in the calling thread rather than handing over to another."""
    jax: Any = import_module("jax")
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    return jax, import_module("jax.numpy")


def _jax(problem: Problem, threads: int) -> Trainer:
    """All epochs as one compiled program, which updates its buffers in place."""
    jax, jnp = load_jax()
    softmax = problem.output == "softmax"
    hidden = jax.nn.relu if problem.hidden == "relu" else getattr(jnp, problem.hidden)
    rate, beta_1, beta_2, epsilon = problem.learning_rate, 0.9, 0.999, 1e-8
    n_batches, map_all = problem.n_batches, jax.tree.map
    X = jnp.asarray(problem.X.reshape(n_batches, problem.batch_size, -1))
    y = jnp.asarray(problem.y.reshape(n_batches, problem.batch_size), dtype=jnp.int32)
    start = list(zip(problem.weights, problem.biases, strict=True))

    def loss_of(parameters: Any, A: Any, y: Any) -> Any:
        for weight, bias in parameters[:-1]:
            A = hidden(A @ weight + bias)
        weight, bias = parameters[-1]
        logits = A @ weight + bias
        if softmax:
            return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1).mean()
        return (jax.nn.softplus(logits[:, 0]) - y * logits[:, 0]).mean()

    def step(state: Any, batch: Any) -> tuple[Any, Any]:
        parameters, m, v, t = state
        loss, g = jax.value_and_grad(loss_of)(parameters, *batch)
        if problem.optimizer == "sgd":
            return (map_all(lambda w, g: w - rate * g, parameters, g), m, v, t), loss
        t = t + 1
        m = map_all(lambda m, g: beta_1 * m + (1 - beta_1) * g, m, g)
        v = map_all(lambda v, g: beta_2 * v + (1 - beta_2) * g * g, v, g)
        step, scale = rate / (1 - beta_1**t), 1 / (1 - beta_2**t)
        parameters = map_all(
            lambda w, m, v: w - step * m / (jnp.sqrt(v * scale) + epsilon), parameters, m, v
        )
        return (parameters, m, v, t), loss

    # The data are arguments: as constants of the program they would be copied into it.
    @partial(jax.jit, donate_argnums=1)
    def fit(n_epochs: Any, state: Any, X: Any, y: Any) -> Any:
        def epoch(_: Any, carry: Any) -> Any:
            if n_batches == 1:
                return step(carry[0], (X[0], y[0]))
            state, losses = jax.lax.scan(step, carry[0], (X, y))
            return state, losses.mean()

        return jax.lax.fori_loop(0, n_epochs, epoch, (state, jnp.float32(0)))

    state: Any = None

    def restart() -> None:
        nonlocal state
        # Copies, because fit consumes them.
        parameters = map_all(partial(jnp.array, copy=True), start)
        m, v = (map_all(jnp.zeros_like, parameters) for _ in range(2))
        state = jax.block_until_ready((parameters, m, v, jnp.float32(0)))

    def train(n_epochs: int) -> float:
        nonlocal state
        state, loss = jax.block_until_ready(fit(n_epochs, state, X, y))
        return float(loss)

    return restart, train


TRAINERS: dict[str, Callable[[Problem, int], Trainer]] = {
    "fastnn": _fastnn,
    "NumPy": _numpy,
    "scikit-learn": _scikit_learn,
    "PyTorch": _torch_eager,
    "PyTorch-compiled": _torch_compiled,
    "JAX": _jax,
}

"""The contestants of a race: for each library the training loop that is fastest on a CPU.

Data are converted beforehand, optimisers are fused, and JAX runs all epochs as one compiled
program. Two commands use these loops:

- ``fastnn bench`` (`fastnn.race`) is shipped with the package. It works where no other library is
  installed and is quick: plain gradient descent, all in one process.
- ``python -m bench.peers`` is in the project's repository only. It gives each library a process of
  its own, because the threads of a BLAS, its instruction set and the CPUs it runs on are settled
  when a process starts. It trains with Adam too.

A loop that both need is here, with both optimisers: two loops for one library would drift apart.
What only ``bench.peers`` asks for stays in ``bench/peers``: PyTorch compiled (which takes half a
minute to compile), inference, and the bars.
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

__all__ = [
    "BASELINE",
    "TRAINERS",
    "Contestant",
    "Task",
    "Torch",
    "Trainer",
    "contestants",
    "load_jax",
    "training_flops",
]

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

Trainer = tuple[Callable[[], None], Callable[[int], float]]
"""A pair of functions, to be called in turn: the first goes back to the start weights, with an
optimiser that has not stepped yet; the second trains for a number of epochs, and returns the mean
loss of the last one. Only the second is timed."""

BASELINE = "fastnn, 1 thread"


def training_flops(sizes: Sequence[int], n_samples: int) -> int:
    """Floating-point operations of the matrix products of an epoch over `n_samples`.

    A sample costs ``2 W`` forward, ``2 W`` for the weights' gradient and ``2 W`` for the inputs'
    gradient (``W`` weights), of which the first layer's is never computed.
    """
    n_weights = sum(a * b for a, b in itertools.pairwise(sizes))
    return n_samples * (6 * n_weights - 2 * sizes[0] * sizes[1])


@dataclass(frozen=True)
class Task:
    """A training, the same for all libraries, on consecutive mini-batches.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features), float32
    y : ndarray of shape (n_samples,), int64
    weights, biases : tuple of float32 ndarrays
        The start; ``weights[l]`` has shape ``(n_in, n_out)``.
    hidden, output : str
        Activations of the hidden layers (relu or tanh) and of the last (sigmoid or softmax).
    batch_size : int
    learning_rate : float
    optimizer : str
        ``"sgd"`` is plain gradient descent; ``"adam"`` has ``beta_1 = 0.9``, ``beta_2 = 0.999`` and
        ``epsilon = 1e-8``.
    """

    X: FloatArray
    y: IntArray
    weights: tuple[FloatArray, ...]
    biases: tuple[FloatArray, ...]
    hidden: str
    output: str
    batch_size: int
    learning_rate: float
    optimizer: str

    @classmethod
    def from_sizes(
        cls,
        sizes: Sequence[int],
        X: npt.NDArray[Any],
        y: npt.NDArray[Any],
        *,
        hidden: str,
        batch_size: int,
        learning_rate: float,
        optimizer: str = "sgd",
    ) -> Task:
        """The training in float32 from weights that depend on nothing but the network.

        The output is a sigmoid where there is one, else a softmax.
        """
        output = "softmax" if sizes[-1] > 1 else "sigmoid"
        start = fastnn.Network.from_sizes(sizes, hidden, output, seed=0)
        return cls(
            X=np.ascontiguousarray(X, dtype=np.float32),
            y=np.ascontiguousarray(y, dtype=np.int64),
            weights=tuple(weights.copy() for weights in start.weights),
            biases=tuple(bias.copy() for bias in start.biases),
            hidden=hidden,
            output=output,
            batch_size=batch_size,
            learning_rate=learning_rate,
            optimizer=optimizer,
        )

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of features, then of units of each layer."""
        return (self.X.shape[1], *(len(bias) for bias in self.biases))

    @property
    def activations(self) -> list[str]:
        """Of each layer."""
        return [self.hidden] * (len(self.weights) - 1) + [self.output]

    @property
    def loss(self) -> str:
        return "categorical_cross_entropy" if self.output == "softmax" else "binary_cross_entropy"

    @property
    def n_batches(self) -> int:
        return -(-len(self.X) // self.batch_size)

    @property
    def flops(self) -> int:
        """Floating-point operations of an epoch's matrix products."""
        return training_flops(self.sizes, len(self.X))

    def first(self, n_batches: int) -> Task:
        """The same task on the first mini-batches only."""
        n_samples = n_batches * self.batch_size
        return replace(self, X=self.X[:n_samples], y=self.y[:n_samples])

    def network(self) -> fastnn.Network:
        """A network with the start weights."""
        net = fastnn.Network.from_sizes(self.sizes, self.hidden, self.output)
        views, start = (*net.weights, *net.biases), (*self.weights, *self.biases)
        for view, values in zip(views, start, strict=True):
            view[...] = values
        return net


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
    """All who can take part in ``fastnn bench`` here, `BASELINE` first."""
    n_threads = fastnn.get_num_threads()

    def one(name: str, library: str, threads: int = n_threads, in_part: bool = False) -> Contestant:
        make = TRAINERS[library]
        return Contestant(name, lambda task: make(task, threads), in_part)

    def alone_and_together(name: str, library: str) -> list[Contestant]:
        found = [one(f"{name}, 1 thread", library, 1)]
        if n_threads > 1:
            found.append(one(f"{name}, {n_threads} threads", library))
        return found

    found = alone_and_together("fastnn", "fastnn")
    found.append(one("NumPy reference", "NumPy"))
    found.append(one("pure Python", "pure Python", in_part=True))
    if find_spec("sklearn"):
        found.append(one(f"scikit-learn {version('scikit-learn')}", "scikit-learn"))
    if find_spec("torch"):
        found += alone_and_together(f"PyTorch {version('torch')}", "PyTorch")
    if find_spec("jax"):
        found.append(one(f"JAX {version('jax')}", "JAX"))
    return found


# --- A function a library: it makes a trainer of a task. `threads` is for the libraries that can be
# told; the others take what their process has.


def _fastnn(task: Task, threads: int) -> Trainer:
    start = task.network()
    net = start

    def restart() -> None:
        nonlocal net
        net = start.copy()

    def train(n_epochs: int) -> float:
        history = net.fit(
            task.X,
            task.y,
            epochs=n_epochs,
            batch_size=task.batch_size,
            optimizer=task.optimizer,
            learning_rate=task.learning_rate,
            shuffle=False,
            threads=threads,
        )
        return history["loss"][-1]

    return restart, train


def _numpy(task: Task, threads: int) -> Trainer:
    # One-hot rows, or they would be made again by every fit.
    softmax = task.output == "softmax"
    y = np.eye(task.sizes[-1], dtype=np.float32)[task.y] if softmax else task.y
    return _reference(vectorized.Network, task, task.X, y, task.weights, task.biases)


def _pure_python(task: Task, threads: int) -> Trainer:
    weights, biases = [w.tolist() for w in task.weights], [b.tolist() for b in task.biases]
    return _reference(loops.Network, task, task.X.tolist(), task.y.tolist(), weights, biases)


def _reference(network: Any, task: Task, X: Any, y: Any, weights: Any, biases: Any) -> Trainer:
    net: Any = None

    def restart() -> None:
        nonlocal net
        net = network(weights, biases, task.activations, task.loss)

    def train(n_epochs: int) -> float:
        losses: list[float] = net.fit(
            X,
            y,
            epochs=n_epochs,
            batch_size=task.batch_size,
            optimizer=task.optimizer,
            learning_rate=task.learning_rate,
        )
        return losses[-1]

    return restart, train


# The libraries below may be absent, so they are imported by name: a type checker then does not ask
# for them.


def _scikit_learn(task: Task, threads: int) -> Trainer:
    neural_network: Any = import_module("sklearn.neural_network")
    n_outputs = task.sizes[-1]
    # For two classes it would take one sigmoid. Rows of two labels make it take two outputs, which
    # become a softmax below.
    y = np.eye(2, dtype=np.int64)[task.y] if n_outputs == 2 else task.y
    model = neural_network.MLPClassifier(
        hidden_layer_sizes=task.sizes[1:-1],
        activation=task.hidden,
        solver=task.optimizer,
        alpha=0.0,
        batch_size=task.batch_size,
        learning_rate_init=task.learning_rate,
        momentum=0.0,
        nesterovs_momentum=False,
        shuffle=False,
        n_iter_no_change=2**31,  # counted over all fits that start from the weights there are
    )
    first = slice(task.batch_size)
    model.partial_fit(task.X[first], y[first], classes=np.arange(max(2, n_outputs)))
    model.out_activation_ = "logistic" if task.output == "sigmoid" else "softmax"
    model.set_params(warm_start=True)  # fit goes on from the weights, with a new optimiser

    def restart() -> None:
        model.coefs_ = [w.copy() for w in task.weights]
        model.intercepts_ = [b.copy() for b in task.biases]

    def train(n_epochs: int) -> float:
        model.set_params(max_iter=n_epochs)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it has not converged
            model.fit(task.X, y)
        return float(model.loss_curve_[-1])

    return restart, train


class Torch:
    """What every form of PyTorch shares: tensors, the loss of a mini-batch, and epochs of steps."""

    def __init__(self, task: Task, threads: int) -> None:
        self.torch: Any = import_module("torch")
        self.threads = threads
        self.hidden = getattr(self.torch, task.hidden)
        self.softmax = task.output == "softmax"
        X, y = self.torch.from_numpy(task.X), self.torch.from_numpy(task.y)
        labels = y if self.softmax else y.float()
        size = task.batch_size
        self.batches = list(zip(X.split(size), labels.split(size), strict=True))
        self.shares = self.torch.tensor([len(A) / len(X) for A, _ in self.batches])
        # It keeps weights as (n_out, n_in). Weights first, then biases.
        self.start = [self.torch.tensor(w.T.copy()) for w in task.weights]
        self.start += map(self.torch.tensor, task.biases)

    def restart(self) -> list[Any]:
        """Parameters with the start weights; PyTorch has its number of threads from now on."""
        self.torch.set_num_threads(self.threads)
        return [tensor.clone() for tensor in self.start]

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
        return float(self.torch.stack(losses) @ self.shares)


def _torch(task: Task, threads: int) -> Trainer:
    it = Torch(task, threads)
    parameters: list[Any] = []
    optimizer: Any = None

    def restart() -> None:
        nonlocal parameters, optimizer
        parameters = [tensor.requires_grad_() for tensor in it.restart()]
        kind = it.torch.optim.SGD if task.optimizer == "sgd" else it.torch.optim.Adam
        optimizer = kind(parameters, lr=task.learning_rate, fused=True)

    def step(A: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = it.loss_of(parameters, A, y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return restart, partial(it.train, step)


def load_jax() -> tuple[Any, Any]:
    """``jax`` and ``jax.numpy``, computing on the CPU and in the calling thread."""
    jax: Any = import_module("jax")
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    jax.config.update("jax_default_device", jax.devices("cpu")[0])
    return jax, import_module("jax.numpy")


def _jax(task: Task, threads: int) -> Trainer:
    """All epochs as one compiled program, which updates its buffers in place."""
    jax, jnp = load_jax()
    softmax = task.output == "softmax"
    hidden = jax.nn.relu if task.hidden == "relu" else getattr(jnp, task.hidden)
    rate, beta_1, beta_2, epsilon = task.learning_rate, 0.9, 0.999, 1e-8
    map_all = jax.tree.map
    n_samples, size = len(task.X), task.batch_size
    n_whole = n_samples // size
    end = n_whole * size
    X, y = task.X, task.y.astype(np.int32)
    whole = map_all(
        jnp.asarray, (X[:end].reshape(n_whole, size, X.shape[1]), y[:end].reshape(n_whole, size))
    )
    rest = map_all(jnp.asarray, (X[end:], y[end:]))

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
        if task.optimizer == "sgd":
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
    def fit(n_epochs: Any, state: Any, whole: Any, rest: Any) -> Any:
        def epoch(_: Any, carry: Any) -> Any:
            if end == n_samples == size:
                return step(carry[0], (whole[0][0], whole[1][0]))
            state, losses = jax.lax.scan(step, carry[0], whole)
            total = losses.sum() * size
            if end < n_samples:
                state, loss = step(state, rest)
                total += loss * (n_samples - end)
            return state, total / n_samples

        return jax.lax.fori_loop(0, n_epochs, epoch, (state, jnp.float32(0)))

    start = list(zip(task.weights, task.biases, strict=True))
    state: Any = None

    def restart() -> None:
        nonlocal state
        # Copies, because fit consumes them.
        parameters = map_all(partial(jnp.array, copy=True), start)
        m, v = (map_all(jnp.zeros_like, parameters) for _ in range(2))
        state = jax.block_until_ready((parameters, m, v, jnp.float32(0)))

    def train(n_epochs: int) -> float:
        nonlocal state
        state, loss = jax.block_until_ready(fit(n_epochs, state, whole, rest))
        return float(loss)

    return restart, train


TRAINERS: dict[str, Callable[[Task, int], Trainer]] = {
    "fastnn": _fastnn,
    "NumPy": _numpy,
    "pure Python": _pure_python,
    "scikit-learn": _scikit_learn,
    "PyTorch": _torch,
    "JAX": _jax,
}

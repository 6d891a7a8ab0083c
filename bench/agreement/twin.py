"""A network of fastnn in PyTorch: the same layers, steps and loss."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from fastnn import Activation, BatchNorm, Dense, Dropout, Layer, LayerNorm, Network, PReLU
from fastnn.reference.vectorized_layers import dropout_mask, noise_key

Array = npt.NDArray[Any]
Tensors = list[torch.Tensor]
Optimizer = torch.optim.Optimizer

N_FEATURES, N_OUTPUTS = 20, 3
N_SAMPLES, BATCH_SIZE, EPOCHS = 160, 32, 20
STEPS_PER_EPOCH = N_SAMPLES // BATCH_SIZE
N_STEPS = EPOCHS * STEPS_PER_EPOCH

ACTIVATIONS = {"tanh": torch.nn.Tanh, "gelu": torch.nn.GELU}
OUTPUTS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "linear": lambda z: z,
    "sigmoid": torch.sigmoid,
    "softmax": lambda z: z.softmax(dim=1),
    "exponential": torch.exp,
}


def cross_entropy(z: torch.Tensor, y: torch.Tensor, rows: slice) -> torch.Tensor:
    """The mean over a mini-batch."""
    return torch.nn.functional.cross_entropy(z, y)


@dataclass(frozen=True)
class Case:
    """One setting, as fastnn takes it and as PyTorch does it.

    Attributes
    ----------
    options : dict
        Of `Network.fit`.
    layers : sequence of Layer
    network_loss : str, fastnn.losses.Loss or None
    y : ndarray
        Targets.
    optimizer : callable
        PyTorch's, from groups of parameters.
    loss : callable
        PyTorch's, ``loss(z, y, rows)`` from the logits of the samples ``rows``.
    schedule : callable, optional
        PyTorch's, from the optimiser.
    penalty : callable, optional
        What is added to PyTorch's loss, from the list of the weights of products.
    decay : dict
        Of PyTorch's optimiser, for the weights of products; other parameters have none.
    l2 : float
        What `decay` stands for in fastnn's cost: ``l2 / 2 sum(w^2)``.
    clip : callable, optional
        From the list of parameters, between backward and step.
    after : callable, optional
        From the list of the weights of products, after the step.
    weights : ndarray of shape (N_SAMPLES,), optional
        Of the samples in the mean loss of an epoch.
    epochs : int
    """

    y: Array
    options: dict[str, Any] = field(default_factory=dict)
    layers: Sequence[Layer] = (Dense(16, "tanh"), Dense(12, "tanh"), Dense(N_OUTPUTS, "softmax"))
    network_loss: Any = None
    optimizer: Callable[[Any], Optimizer] = lambda groups: torch.optim.SGD(groups, 0.1)
    loss: Callable[[torch.Tensor, torch.Tensor, slice], torch.Tensor] = cross_entropy
    schedule: Callable[[Optimizer], Any] | None = None
    penalty: Callable[[Tensors], Any] | None = None
    decay: dict[str, float] = field(default_factory=dict)
    l2: float = 0.0
    clip: Callable[[Tensors], Any] | None = None
    after: Callable[[Tensors], Any] | None = None
    weights: Array | None = None
    epochs: int = EPOCHS


class GivenDropout(torch.nn.Module):
    """Dropout with the masks that fastnn draws."""

    def __init__(self, rate: float, key: int) -> None:
        super().__init__()
        self.rate, self.key, self.step = rate, key, 0
        self.samples = np.arange(0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return x
        mask = dropout_mask(self.rate, self.key, self.step, self.samples, x.shape[1])
        return x * torch.from_numpy(mask) / (1 - self.rate)


class Twin(torch.nn.Module):
    """The layers of a network, with its parameters; it ends in the logits."""

    def __init__(self, net: Network) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(self._module(net, i) for i in range(len(net.layers)))
        self.activations = torch.nn.ModuleList(
            ACTIVATIONS.get(getattr(layer, "activation", ""), torch.nn.Identity)()
            for layer in net.layers
        )
        for module, weights, bias in zip(self.layers, net.weights, net.biases, strict=True):
            for parameter, value in zip(module.parameters(), (weights, bias), strict=False):
                parameter.data[:] = torch.from_numpy(value.T.copy())

    @staticmethod
    def _module(net: Network, i: int) -> torch.nn.Module:
        layer, n_out = net.layers[i], net.weights[i].shape[-1]
        match layer:
            case Dense():
                return torch.nn.Linear(*net.weights[i].shape)
            case BatchNorm():
                return torch.nn.BatchNorm1d(n_out, layer.epsilon, 1 - layer.momentum)
            case LayerNorm():
                return torch.nn.LayerNorm(n_out, layer.epsilon)
            case PReLU():
                return torch.nn.PReLU(n_out)
            case Dropout():
                return GivenDropout(layer.rate, noise_key(net.seed, i))
            case Activation():
                return torch.nn.Identity()
        raise NotImplementedError(f"{layer} has no twin")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer, activation in zip(self.layers, self.activations, strict=True):
            x = activation(layer(x))
        return x

    def block(self) -> Array:
        """All parameters, laid out like those of the network."""
        return np.concatenate([p.detach().numpy().T.ravel() for p in self.layers.parameters()])


@contextmanager
def float64() -> Iterator[None]:
    """PyTorch's default dtype; NAdam rounds its product of mu to it."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def train(case: Case, net: Network, X: Array) -> tuple[Twin, Array]:
    """The twin of `net` after its training, and the mean cost of each epoch."""
    twin = Twin(net)
    groups, factors = [], []
    for layer, module in zip(net.layers, twin.layers, strict=True):
        for i, parameter in enumerate(module.parameters()):
            parameter.requires_grad_(layer.trainable)
            if layer.trainable:
                is_decayed = isinstance(layer, Dense) and i == 0
                decay = case.decay if is_decayed else dict.fromkeys(case.decay, 0.0)
                groups.append({"params": [parameter], **decay})
                factors.append(layer.learning_rate_factor)
    optimizer = case.optimizer(groups)
    for group, factor in zip(optimizer.param_groups, factors, strict=True):
        group["lr"] *= factor
    scheduler = case.schedule(optimizer) if case.schedule is not None else None
    products = [m.weight for m in twin.layers if isinstance(m, torch.nn.Linear)]
    trained = [p for p in twin.parameters() if p.requires_grad]
    dropouts = [m for m in twin.layers if isinstance(m, GivenDropout)]
    inputs, targets = torch.from_numpy(X), torch.from_numpy(case.y)
    costs = []
    for step in range(case.epochs * STEPS_PER_EPOCH):
        start = step % STEPS_PER_EPOCH * BATCH_SIZE
        rows = slice(start, start + BATCH_SIZE)
        for dropout in dropouts:
            dropout.step, dropout.samples = step, np.arange(start, start + BATCH_SIZE)
        cost = case.loss(twin(inputs[rows]), targets[rows], rows)
        if case.penalty is not None:
            cost = cost + case.penalty(products)
        squares = sum((W.detach() ** 2).sum().item() for W in products)
        costs.append(cost.item() + case.l2 / 2 * squares)
        optimizer.zero_grad()
        cost.backward()
        if case.clip is not None:
            case.clip(trained)
        optimizer.step()
        if case.after is not None:
            with torch.no_grad():
                case.after(products)
        if scheduler is not None:
            scheduler.step()
    weights = np.ones(N_SAMPLES) if case.weights is None else case.weights
    of_batches = weights.reshape(STEPS_PER_EPOCH, BATCH_SIZE).sum(axis=1)
    return twin.eval(), np.reshape(costs, (-1, STEPS_PER_EPOCH)) @ of_batches / of_batches.sum()


def inputs() -> Array:
    """The samples' features."""
    return np.random.default_rng(0).standard_normal((N_SAMPLES, N_FEATURES))


def difference(case: Case) -> tuple[float, float]:
    """The largest between the two, and how far a parameter of fastnn has gone.

    That of a parameter, of the cost of an epoch, or of an output of the trained network; relative
    where the number is above 1.
    """
    X = inputs()
    net = Network(case.layers, N_FEATURES, loss=case.network_loss, dtype="float64", seed=1)
    start = net.parameters.copy()
    with float64():
        twin, costs = train(case, net, X)
        with torch.no_grad():
            output = OUTPUTS[net.layers[-1].activation](twin(torch.from_numpy(X))).numpy()
    options: dict[str, Any] = {"optimizer": "sgd", "learning_rate": 0.1} | case.options
    history = net.fit(
        X, case.y, epochs=case.epochs, batch_size=BATCH_SIZE, shuffle=False, **options
    )
    pairs = (
        (net.parameters, twin.block()),
        (np.array(history["loss"]), costs),
        (net.predict_proba(X), output),
    )
    worst = max(
        float((np.abs(ours - theirs) / np.maximum(1, np.abs(theirs))).max())
        for ours, theirs in pairs
    )
    return worst, float(np.abs(net.parameters - start).max())

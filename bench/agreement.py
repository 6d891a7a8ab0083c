"""How far fastnn is from PyTorch after 100 steps in float64, for what both have.

Each case trains the same network on the same mini-batches in both, and gives the largest difference
of a parameter and of a loss of an epoch. Needs PyTorch.
"""

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import Dense, Focal, Huber, Network

Array = npt.NDArray[Any]

N_SAMPLES, BATCH_SIZE, EPOCHS = 100, 20, 20  # 100 steps
RATE = 0.05
CLASS_WEIGHTS = {0: 1.0, 1: 3.0, 2: 0.5}
SMOOTHING = 0.1

# loss(z, y, rows): of a mini-batch in PyTorch, from the logits; `rows` are the samples in it.
TorchLoss = Callable[[Any, Any, Any], Any]


def _data() -> tuple[Array, Array, Array, Array]:
    """X, classes, numbers and weights of the samples."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_SAMPLES, 4))
    return X, rng.integers(0, 3, N_SAMPLES), rng.normal(size=(N_SAMPLES, 3)), rng.random(N_SAMPLES)


def _train_torch(start: Network, X: Array, y: Array, loss: TorchLoss) -> tuple[Array, Array]:
    """Parameters and losses of the epochs after SGD from the parameters of `start`."""
    import torch

    blocks = [
        torch.tensor(block, requires_grad=True)
        for pair in zip(start.weights, start.biases, strict=True)
        for block in pair
    ]
    optimizer = torch.optim.SGD(blocks, lr=RATE)
    inputs, targets = torch.tensor(X), torch.tensor(y)
    losses = []
    for _ in range(EPOCHS):
        epoch = []
        for first in range(0, N_SAMPLES, BATCH_SIZE):
            rows = slice(first, first + BATCH_SIZE)
            z = torch.tanh(inputs[rows] @ blocks[0] + blocks[1]) @ blocks[2] + blocks[3]
            value = loss(z, targets[rows], rows)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            epoch.append(value.item())
        losses.append(epoch)
    return np.concatenate([block.detach().numpy().ravel() for block in blocks]), np.array(losses)


def _difference(net: Network, y: Array, loss: TorchLoss, weights: Any = None, **fit: Any) -> float:
    """The largest of a parameter, and of a loss of an epoch, between the two."""
    X, *_ = _data()
    expected, epochs = _train_torch(net, X, y, loss)
    history = net.fit(
        X, y, epochs=EPOCHS, batch_size=BATCH_SIZE, optimizer="sgd", learning_rate=RATE,
        shuffle=False, **fit,
    )  # fmt: skip
    if weights is None:
        weights = np.ones(N_SAMPLES)
    of_batches = weights.reshape(-1, BATCH_SIZE).sum(axis=1)
    losses = epochs @ of_batches / of_batches.sum()
    worst = np.abs(net.parameters - expected).max()
    return float(max(worst, np.abs(losses - history["loss"]).max()))


def _network(output: str, loss: Any = None) -> Network:
    return Network([Dense(7, "tanh"), Dense(3, output)], 4, loss=loss, dtype="float64", seed=1)


def class_weights() -> float:
    """Of softmax."""
    import torch

    _, classes, _, _ = _data()
    weights = torch.tensor(list(CLASS_WEIGHTS.values()), dtype=torch.float64)
    loss = torch.nn.CrossEntropyLoss(weight=weights)
    return _difference(
        _network("softmax"), classes, lambda z, y, rows: loss(z, y), weights.numpy()[classes],
        class_weight=CLASS_WEIGHTS,
    )  # fmt: skip


def sample_weights() -> float:
    """Of a sigmoid output."""
    import torch

    _, _, numbers, weights = _data()
    labels = (numbers > 0).astype(np.float64)
    w = torch.tensor(weights)

    def loss(z: Any, y: Any, rows: Any) -> Any:
        of_each = torch.nn.functional.binary_cross_entropy_with_logits(z, y, reduction="none")
        return (w[rows] * of_each.mean(dim=1)).sum() / w[rows].sum()

    return _difference(_network("sigmoid"), labels, loss, weights, sample_weight=weights)


def label_smoothing() -> float:
    """Of softmax."""
    import torch

    loss = torch.nn.CrossEntropyLoss(label_smoothing=SMOOTHING)
    return _difference(
        _network("softmax"), _data()[1], lambda z, y, rows: loss(z, y), label_smoothing=SMOOTHING
    )


def huber() -> float:
    """Below 1, so that both branches count."""
    import torch

    loss = torch.nn.HuberLoss(delta=0.5)
    return _difference(_network("linear", Huber(0.5)), _data()[2], lambda z, y, rows: loss(z, y))


def poisson() -> float:
    """PyTorch's with ``log_input``."""
    import torch

    loss = torch.nn.PoissonNLLLoss(log_input=True)
    counts = np.abs(np.round(2 * _data()[2]))
    return _difference(_network("exponential"), counts, lambda z, y, rows: loss(z, y))


def focal_of_softmax() -> float:
    """By hand: PyTorch has none."""

    def loss(z: Any, y: Any, rows: Any) -> Any:
        log_p = z.log_softmax(dim=1).gather(1, y[:, None])
        return -((1 - log_p.exp()) ** 2 * log_p).mean()

    return _difference(_network("softmax", Focal(2.0)), _data()[1], loss)


def focal_of_sigmoid() -> float:
    """By hand."""
    import torch

    def loss(z: Any, y: Any, rows: Any) -> Any:
        p = torch.sigmoid(z)
        of_each = -y * (1 - p) ** 1.5 * torch.nn.functional.logsigmoid(z)
        of_each = of_each - (1 - y) * p**1.5 * torch.nn.functional.logsigmoid(-z)
        return of_each.mean()

    labels = (_data()[2] > 0).astype(np.float64)
    return _difference(_network("sigmoid", Focal(1.5)), labels, loss)


CASES: dict[str, Callable[[], float]] = {
    "class weights": class_weights,
    "sample weights": sample_weights,
    "label smoothing": label_smoothing,
    "Huber": huber,
    "Poisson": poisson,
    "focal, softmax": focal_of_softmax,
    "focal, sigmoid": focal_of_sigmoid,
}


def main() -> None:
    argparse.ArgumentParser(prog="python -m bench.agreement", description=__doc__).parse_args()
    for name, difference in CASES.items():
        print(f"{name}: {difference():.1e}", flush=True)


if __name__ == "__main__":
    main()

"""Do penalties, decay, clipping, limits of norms and frozen layers agree with PyTorch?

    python -m bench.agreement_regularization     # needs PyTorch

Trains 20-16-12-3 (tanh, softmax) for 100 steps on 32 samples in float64, in fastnn and in PyTorch
from the same weights, and prints the largest difference of a parameter for each setting. Exit code
1 if one is above 1e-8.

`clip_grad_norm_` divides by the norm plus 1e-6, fastnn by the norm. So it is compared with targets
whose size makes norms of some 1,000, and by hand without the 1e-6.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import Dense, Network

Array = npt.NDArray[Any]

N_STEPS = 100
N_SAMPLES = 32
SIZES = [20, 16, 12, 3]
BOUND = 1e-8


@dataclass(frozen=True)
class Case:
    """One setting, as fastnn takes it and as PyTorch does it.

    Attributes
    ----------
    options : dict
        Of `Network.fit`.
    layers : dict of int to dict
        Of `Dense`, by the layer's number.
    optimizer : str
    penalty : callable, optional
        What is added to PyTorch's loss, from the list of weights.
    decay : dict
        Of PyTorch's optimiser, for weights; biases have none.
    clip : callable, optional
        From the list of parameters, between backward and step.
    after : callable, optional
        From the list of weights, after the step.
    regression : float
        Size of the targets of mean squared errors; 0: classes.
    """

    options: dict[str, Any] = field(default_factory=dict)
    layers: dict[int, dict[str, Any]] = field(default_factory=dict)
    optimizer: str = "sgd"
    learning_rate: float = 0.1
    penalty: Callable[[list[Any]], Any] | None = None
    decay: dict[str, float] = field(default_factory=dict)
    clip: Callable[[list[Any]], Any] | None = None
    after: Callable[[list[Any]], Any] | None = None
    regression: float = 0.0


def clip_by_value(limit: float) -> Callable[[list[Any]], Any]:
    import torch

    return lambda parameters: torch.nn.utils.clip_grad_value_(parameters, limit)


def clip_by_norm(limit: float, *, by_hand: bool) -> Callable[[list[Any]], Any]:
    import torch

    def clip(parameters: list[Any]) -> None:
        norm = sum((p.grad**2).sum() for p in parameters).sqrt()
        for p in parameters:
            p.grad *= min(1.0, limit / norm.item())

    if by_hand:
        return clip
    return lambda parameters: torch.nn.utils.clip_grad_norm_(parameters, limit)


def limit_norms(limits: dict[int, float]) -> Callable[[list[Any]], Any]:
    """Of each unit's incoming weights, a row in PyTorch; by hand, as `renorm` adds 1e-7."""
    import torch

    def limit(weights: list[Any]) -> None:
        for layer, most in limits.items():
            norms = weights[layer].norm(dim=1, keepdim=True)
            weights[layer] *= torch.clamp(most / norms, max=1.0)

    return limit


def l1_norm(weights: list[Any]) -> Any:
    return sum(W.abs().sum() for W in weights)


def squares(weights: list[Any]) -> Any:
    return sum((W**2).sum() for W in weights)


def cases() -> dict[str, Case]:
    """By name; `m` is `N_SAMPLES`, as each step takes all of them."""
    m = N_SAMPLES
    return {
        "l2, SGD(weight_decay=l2/m)": Case({"l2": 0.7}, decay={"weight_decay": 0.7 / m}),
        "l2, momentum": Case({"l2": 0.7}, optimizer="momentum", decay={"weight_decay": 0.7 / m}),
        "l2, Adam(weight_decay=l2/m)": Case(
            {"l2": 0.7}, optimizer="adam", learning_rate=1e-2, decay={"weight_decay": 0.7 / m}
        ),
        "l1": Case({"l1": 0.05}, penalty=lambda weights: 0.05 / m * l1_norm(weights)),
        "l1 and l2 of single layers": Case(
            layers={0: {"l1": 0.05}, 2: {"l2": 0.9}},
            penalty=lambda W: 0.05 / m * l1_norm(W[:1]) + 0.45 / m * squares(W[2:]),
        ),
        "weight_decay, AdamW": Case(
            {"weight_decay": 0.3},
            optimizer="adamw",
            learning_rate=1e-2,
            decay={"weight_decay": 0.3},
        ),
        "clip_value, clip_grad_value_": Case({"clip_value": 0.01}, clip=clip_by_value(0.01)),
        "clip_norm, clip_grad_norm_": Case(
            {"clip_norm": 1.0}, clip=clip_by_norm(1.0, by_hand=False), regression=1e4
        ),
        "clip_norm, by hand": Case({"clip_norm": 0.05}, clip=clip_by_norm(0.05, by_hand=True)),
        "max_norm, by hand": Case(
            layers={0: {"max_norm": 0.8}, 2: {"max_norm": 0.6}},
            after=limit_norms({0: 0.8, 2: 0.6}),
        ),
        "trainable=False, requires_grad_": Case(layers={0: {"trainable": False}}),
        "trainable=False in between": Case(layers={1: {"trainable": False}}),
        "learning_rate_factor, groups": Case(
            layers={0: {"learning_rate_factor": 0.1}, 2: {"learning_rate_factor": 3.0}}
        ),
        "all together": Case(
            {"l1": 0.02, "l2": 0.3, "weight_decay": 0.1, "clip_value": 0.02, "clip_norm": 0.1},
            {
                0: {"max_norm": 0.9, "learning_rate_factor": 0.5},
                1: {"trainable": False},
                2: {"max_norm": 0.7},
            },
            optimizer="adamw",
            learning_rate=1e-2,
            decay={"weight_decay": 0.1},
            penalty=lambda W: sum(
                0.02 / m * l1_norm([w]) + 0.15 / m * squares([w]) for w in W[::2]
            ),
            clip=lambda p: (clip_by_value(0.02)(p), clip_by_norm(0.1, by_hand=True)(p)),
            after=limit_norms({0: 0.9, 2: 0.7}),
        ),
    }


def make(case: Case) -> tuple[Network, Array, Array]:
    """The network and its data."""
    output = "linear" if case.regression else "softmax"
    activations = ["tanh"] * (len(SIZES) - 2) + [output]
    layers = [
        Dense(n, activation, **case.layers.get(i, {}))
        for i, (n, activation) in enumerate(zip(SIZES[1:], activations, strict=True))
    ]
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N_SAMPLES, SIZES[0]))
    y = rng.integers(0, SIZES[-1], N_SAMPLES)
    if case.regression:
        y = case.regression * rng.standard_normal((N_SAMPLES, SIZES[-1]))
    return Network(layers, SIZES[0], dtype="float64", seed=1), X, y


def with_torch(case: Case, net: Network, X: Array, y: Array) -> Array:
    """The parameters of `net` after the steps, laid out like its block."""
    import torch

    weights = [torch.tensor(W.T.copy()) for W in net.weights]
    biases = [torch.tensor(b.copy()) for b in net.biases]
    trained = [i for i, layer in enumerate(net.layers) if layer.trainable]
    groups = []
    for i in trained:
        rate = case.learning_rate * net.layers[i].learning_rate_factor
        groups.append({"params": [weights[i].requires_grad_()], "lr": rate, **case.decay})
        groups.append({"params": [biases[i].requires_grad_()], "lr": rate, "weight_decay": 0.0})
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}.get(
        case.optimizer, torch.optim.SGD
    )
    optimizer = kind(groups, **({"momentum": 0.9} if case.optimizer == "momentum" else {}))
    parameters = [p for i in trained for p in (weights[i], biases[i])]
    inputs, targets = torch.tensor(X), torch.tensor(y)
    loss_of = torch.nn.functional.mse_loss if case.regression else torch.nn.functional.cross_entropy
    for _ in range(N_STEPS):
        a = inputs
        for i, (W, b) in enumerate(zip(weights, biases, strict=True)):
            a = a @ W.T + b
            if i < len(weights) - 1:
                a = torch.tanh(a)
        loss = loss_of(a, targets)
        if case.penalty is not None:
            loss = loss + case.penalty(weights)
        optimizer.zero_grad()
        loss.backward()
        if case.clip is not None:
            case.clip(parameters)
        optimizer.step()
        if case.after is not None:
            with torch.no_grad():
                case.after(weights)
    flat = [
        p.detach().numpy().ravel()
        for W, b in zip(weights, biases, strict=True)
        for p in (W.T.contiguous(), b)
    ]
    return np.concatenate(flat)


def difference(case: Case) -> float:
    """The largest of a parameter after the steps."""
    net, X, y = make(case)
    expected = with_torch(case, net, X, y)
    options = case.options | {"optimizer": "adam" if case.optimizer == "adamw" else case.optimizer}
    net.fit(X, y, epochs=N_STEPS, batch_size=None, learning_rate=case.learning_rate, **options)
    return float(np.abs(net.parameters - expected).max())


def main() -> None:
    argparse.ArgumentParser(
        prog="python -m bench.agreement_regularization",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    worst = 0.0
    for name, case in cases().items():
        found = difference(case)
        worst = max(worst, found)
        print(f"{name:<34} {found:.1e}", flush=True)
    sys.exit(0 if worst <= BOUND else 1)


if __name__ == "__main__":
    main()

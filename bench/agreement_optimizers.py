"""Do the optimisers and schedules take PyTorch's steps? 100 of them in float64.

Prints the largest difference of a parameter afterwards, fastnn's minus PyTorch's, and the farthest
that one has gone. Exit code 1 if a difference exceeds 1e-8. Lion, which PyTorch has not, is written
out here with its tensors.
"""

import argparse
import sys
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch

import fastnn
from fastnn import Network

BAR = 1e-8
SIZES, N_SAMPLES, BATCH_SIZE, EPOCHS = [8, 16, 12, 3], 160, 32, 20
STEPS_PER_EPOCH = N_SAMPLES // BATCH_SIZE
N_STEPS = EPOCHS * STEPS_PER_EPOCH


class Lion(torch.optim.Optimizer):
    """Chen et al., "Symbolic discovery of optimization algorithms", algorithm 2."""

    def __init__(self, params: Any, lr: float, betas: tuple[float, float], decay: float) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "decay": decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            beta_1, beta_2 = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                p.mul_(1 - group["lr"] * group["decay"])
                p.sub_(group["lr"] * torch.sign(beta_1 * m + (1 - beta_1) * p.grad))
                m.mul_(beta_2).add_((1 - beta_2) * p.grad)


Factory = Callable[[Iterable[torch.Tensor]], torch.optim.Optimizer]
optim, schedulers = torch.optim, torch.optim.lr_scheduler

OPTIMIZERS: dict[str, tuple[fastnn.Optimizer, Factory]] = {
    "SGD": (fastnn.SGD(0.1), lambda p: optim.SGD(p, 0.1)),
    "momentum": (fastnn.Momentum(0.05, 0.9), lambda p: optim.SGD(p, 0.05, 0.9)),
    "Nesterov": (
        fastnn.Nesterov(0.05, 0.9),
        lambda p: optim.SGD(p, 0.05, 0.9, nesterov=True),
    ),
    "RMSprop": (fastnn.RMSprop(0.01), lambda p: optim.RMSprop(p, 0.01, 0.9)),
    "Adagrad": (fastnn.Adagrad(0.1), lambda p: optim.Adagrad(p, 0.1, eps=1e-8)),
    "Adam": (fastnn.Adam(0.01), lambda p: optim.Adam(p, 0.01)),
    "AdamW": (
        fastnn.AdamW(0.01, weight_decay=0.1),
        lambda p: optim.AdamW(p, 0.01, weight_decay=0.1),
    ),
    "NAdam": (fastnn.NAdam(0.01), lambda p: optim.NAdam(p, 0.01)),
    "NAdam, fast momentum": (
        fastnn.NAdam(0.01, 0.95, 0.99, momentum_decay=1.0),
        lambda p: optim.NAdam(p, 0.01, (0.95, 0.99), momentum_decay=1.0),
    ),
    "AMSGrad": (
        fastnn.AMSGrad(0.01, beta_2=0.9),
        lambda p: optim.Adam(p, 0.01, (0.9, 0.9), amsgrad=True),
    ),
    "Lion (by hand)": (
        fastnn.Lion(0.001, weight_decay=0.1),
        lambda p: Lion(p, 0.001, (0.9, 0.99), 0.1),
    ),
}

SCHEDULES: dict[str, tuple[fastnn.Schedule, Callable[[optim.Optimizer], Any]]] = {
    "cosine": (
        fastnn.CosineDecay(0.1, end_rate=0.001),
        lambda o: schedulers.CosineAnnealingLR(o, N_STEPS, 0.001),
    ),
    "cosine, restarts": (
        fastnn.CosineDecay(0.1, 70 / STEPS_PER_EPOCH, 0.001, restarts=2, growth=2),
        lambda o: schedulers.CosineAnnealingWarmRestarts(o, 10, 2, 0.001),
    ),
    "one cycle": (
        fastnn.OneCycle(0.1),
        lambda o: schedulers.OneCycleLR(o, 0.1, N_STEPS, cycle_momentum=False),
    ),
    "exponential": (
        fastnn.ExponentialDecay(0.1, 0.97, 1 / STEPS_PER_EPOCH),
        lambda o: schedulers.ExponentialLR(o, 0.97),
    ),
    "steps": (fastnn.StepDecay(0.1, 0.5, 4), lambda o: schedulers.StepLR(o, 20, 0.5)),
    "polynomial": (
        fastnn.PolynomialDecay(0.1, power=2),
        lambda o: schedulers.PolynomialLR(o, N_STEPS, 2),
    ),
    "warm-up": (
        fastnn.ConstantRate(0.1, warmup=4),
        lambda o: schedulers.LinearLR(o, 1 / 20, 1, 19),
    ),
}
# Of three cycles; PyTorch's goes on with a fourth one.
STEPS_OF = {"cosine, restarts": 70}


def samples() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_SAMPLES, SIZES[0]))
    return X, np.argmax(X @ rng.normal(size=(SIZES[0], SIZES[-1])), axis=1)


def torch_twin(net: Network) -> torch.nn.Sequential:
    modules: list[torch.nn.Module] = []
    for i, (weights, bias) in enumerate(zip(net.weights, net.biases, strict=True)):
        linear = torch.nn.Linear(*weights.shape, dtype=torch.float64)
        linear.weight.data[:] = torch.from_numpy(weights.T.copy())
        linear.bias.data[:] = torch.from_numpy(bias.copy())
        modules += [linear] if i == len(net.layers) - 1 else [linear, torch.nn.Tanh()]
    return torch.nn.Sequential(*modules)


def difference(
    optimizer: fastnn.Optimizer, factory: Factory, schedule: Any = None, n_steps: int = N_STEPS
) -> tuple[float, float]:
    """The largest between the two, and from the start to fastnn's end."""
    X, y = samples()
    net = Network.from_sizes(SIZES, "tanh", "softmax", dtype="float64", seed=1)
    start, model = net.parameters.copy(), torch_twin(net)
    net.fit(
        X, y, epochs=n_steps // STEPS_PER_EPOCH, batch_size=BATCH_SIZE, optimizer=optimizer,
        shuffle=False,
    )  # fmt: skip
    theirs = factory(model.parameters())
    scheduler = schedule(theirs) if schedule is not None else None
    inputs, labels = torch.from_numpy(X), torch.from_numpy(y)
    for step in range(n_steps):
        rows = slice(step % STEPS_PER_EPOCH * BATCH_SIZE, (step % STEPS_PER_EPOCH + 1) * BATCH_SIZE)
        theirs.zero_grad()
        torch.nn.functional.cross_entropy(model(inputs[rows]), labels[rows]).backward()
        theirs.step()
        if scheduler is not None:
            scheduler.step()
    linears = [module for module in model if isinstance(module, torch.nn.Linear)]
    blocks = [b.data.numpy().T.ravel() for linear in linears for b in (linear.weight, linear.bias)]
    other = np.concatenate(blocks)
    return float(np.abs(net.parameters - other).max()), float(np.abs(net.parameters - start).max())


def main() -> int:
    argparse.ArgumentParser(
        prog="python -m bench.agreement_optimizers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    torch.set_default_dtype(torch.float64)  # NAdam's product of mu is rounded to it: 2e-9 otherwise
    print(f"PyTorch {torch.__version__}, {'-'.join(map(str, SIZES))}, float64, {N_STEPS} steps")
    print(f"{'':<24}{'difference':>12}{'way':>9}")
    worst = 0.0
    for name, (ours, factory) in OPTIMIZERS.items():
        worst = max(worst, report(name, *difference(ours, factory)))
    for name, (schedule, scheduler) in SCHEDULES.items():
        ours = fastnn.Momentum(schedule, 0.9)
        n_steps = STEPS_OF.get(name, N_STEPS)
        way = difference(ours, lambda p: optim.SGD(p, 0.1, 0.9), scheduler, n_steps)
        worst = max(worst, report(f"momentum, {name}", *way))
    print(f"{'ok' if worst <= BAR else 'MISS'}: the largest is {worst:.1e}, at most {BAR:g} wanted")
    return int(worst > BAR)


def report(name: str, difference: float, way: float) -> float:
    print(f"{name:<24}{difference:>12.1e}{way:>9.2g}", flush=True)
    return difference


if __name__ == "__main__":
    sys.exit(main())

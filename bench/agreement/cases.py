"""What both have, as both of them spell it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import optim
from torch.nn import functional
from torch.optim import lr_scheduler

import fastnn
from bench.agreement.twin import (
    BATCH_SIZE,
    N_OUTPUTS,
    N_SAMPLES,
    N_STEPS,
    STEPS_PER_EPOCH,
    Array,
    Case,
    Tensors,
    inputs,
)
from fastnn import Activation, BatchNorm, Dense, Dropout, LayerNorm, PReLU

_random = np.random.default_rng(1)
NUMBERS: Array = _random.standard_normal((N_SAMPLES, N_OUTPUTS))
CLASSES: Array = (inputs()[:, :N_OUTPUTS] + 0.5 * NUMBERS).argmax(axis=1)
LABELS: Array = (NUMBERS > 0).astype(np.float64)
COUNTS: Array = np.abs(np.round(2 * NUMBERS))
SAMPLE_WEIGHTS: Array = _random.random(N_SAMPLES)
CLASS_WEIGHTS = {0: 1.0, 1: 3.0, 2: 0.5}
OF_CLASSES: Array = np.array(list(CLASS_WEIGHTS.values()))[CLASSES]
SMOOTHING = 0.1
M = BATCH_SIZE  # as in the cost


def layers(output: str, *options: dict[str, Any]) -> tuple[Dense, ...]:
    """16, 12 and 3 units, with the options of each."""
    of_layers = [*options, {}, {}, {}]
    return (
        Dense(16, "tanh", **of_layers[0]),
        Dense(12, "tanh", **of_layers[1]),
        Dense(N_OUTPUTS, output, **of_layers[2]),
    )


# ---- losses and weights --------------------------------------------------------------------------


def weighted(
    of_each: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], weights: Array
) -> Callable[..., torch.Tensor]:
    """The weighted mean over the samples of what they lose each."""
    w = torch.from_numpy(weights)
    return lambda z, y, rows: (w[rows] * of_each(z, y)).sum() / w[rows].sum()


def binary_of_each(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(z, y, reduction="none").mean(dim=1)


def smoothed_of_each(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(z, y, label_smoothing=SMOOTHING, reduction="none")


def focal_of_softmax(z: torch.Tensor, y: torch.Tensor, rows: slice) -> torch.Tensor:
    log_p = z.log_softmax(dim=1).gather(1, y[:, None])
    return -((1 - log_p.exp()) ** 2 * log_p).mean()


def focal_of_sigmoid(z: torch.Tensor, y: torch.Tensor, rows: slice) -> torch.Tensor:
    p = torch.sigmoid(z)
    of_ones = y * (1 - p) ** 1.5 * functional.logsigmoid(z)
    of_zeros = (1 - y) * p**1.5 * functional.logsigmoid(-z)
    return -(of_ones + of_zeros).mean()


class_weights = torch.tensor(list(CLASS_WEIGHTS.values()), dtype=torch.float64)

LOSSES = {
    "categorical cross-entropy, CrossEntropyLoss": Case(CLASSES),
    "binary cross-entropy, BCEWithLogitsLoss": Case(
        LABELS,
        layers=layers("sigmoid"),
        loss=lambda z, y, rows: functional.binary_cross_entropy_with_logits(z, y),
    ),
    "mean squared error, MSELoss": Case(
        NUMBERS, layers=layers("linear"), loss=lambda z, y, rows: functional.mse_loss(z, y)
    ),
    "Huber(0.5), HuberLoss(delta=0.5)": Case(
        NUMBERS,
        layers=layers("linear"),
        network_loss=fastnn.Huber(0.5),
        loss=lambda z, y, rows: functional.huber_loss(z, y, delta=0.5),
    ),
    "Poisson, PoissonNLLLoss(log_input=True)": Case(
        COUNTS,
        layers=layers("exponential"),
        loss=lambda z, y, rows: functional.poisson_nll_loss(z, y, log_input=True),
    ),
    "Focal(2), softmax, by hand": Case(
        CLASSES, network_loss=fastnn.Focal(2.0), loss=focal_of_softmax
    ),
    "Focal(1.5), sigmoid, by hand": Case(
        LABELS,
        layers=layers("sigmoid"),
        network_loss=fastnn.Focal(1.5),
        loss=focal_of_sigmoid,
    ),
    "class_weight, CrossEntropyLoss(weight=)": Case(
        CLASSES,
        {"class_weight": CLASS_WEIGHTS},
        loss=lambda z, y, rows: functional.cross_entropy(z, y, class_weights),
        weights=OF_CLASSES,
    ),
    "sample_weight, by hand": Case(
        LABELS,
        {"sample_weight": SAMPLE_WEIGHTS},
        layers("sigmoid"),
        loss=weighted(binary_of_each, SAMPLE_WEIGHTS),
        weights=SAMPLE_WEIGHTS,
    ),
    "label_smoothing, label_smoothing=": Case(
        CLASSES,
        {"label_smoothing": SMOOTHING},
        loss=lambda z, y, rows: functional.cross_entropy(z, y, label_smoothing=SMOOTHING),
    ),
    "label_smoothing and class_weight, by hand": Case(
        CLASSES,
        {"label_smoothing": SMOOTHING, "class_weight": CLASS_WEIGHTS},
        loss=weighted(smoothed_of_each, OF_CLASSES),
        weights=OF_CLASSES,
    ),
}

# ---- optimisers and schedules --------------------------------------------------------------------


class Lion(optim.Optimizer):
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


def stepping(ours: fastnn.Optimizer, theirs: Callable[[Any], Any], **more: Any) -> Case:
    """The same optimiser in both."""
    options = {"optimizer": ours, "learning_rate": None}
    return Case(CLASSES, options, optimizer=theirs, **more)


def scheduled(ours: fastnn.Schedule, theirs: Callable[[Any], Any], epochs: int = 20) -> Case:
    """The same schedule in both, of momentum."""
    return stepping(
        fastnn.Momentum(ours, 0.9),
        lambda p: optim.SGD(p, 0.1, 0.9),
        schedule=theirs,
        epochs=epochs,
    )


OPTIMIZERS = {
    "SGD": stepping(fastnn.SGD(0.1), lambda p: optim.SGD(p, 0.1)),
    "Momentum, SGD(momentum=0.9)": stepping(
        fastnn.Momentum(0.05, 0.9), lambda p: optim.SGD(p, 0.05, 0.9)
    ),
    "Nesterov, SGD(nesterov=True)": stepping(
        fastnn.Nesterov(0.05, 0.9), lambda p: optim.SGD(p, 0.05, 0.9, nesterov=True)
    ),
    "RMSprop, RMSprop(alpha=0.9)": stepping(
        fastnn.RMSprop(0.01), lambda p: optim.RMSprop(p, 0.01, 0.9)
    ),
    "Adagrad, Adagrad(eps=1e-8)": stepping(
        fastnn.Adagrad(0.1), lambda p: optim.Adagrad(p, 0.1, eps=1e-8)
    ),
    "Adam": stepping(fastnn.Adam(0.01), lambda p: optim.Adam(p, 0.01)),
    "AdamW": stepping(
        fastnn.AdamW(0.01, weight_decay=0.1), lambda p: optim.AdamW(p, 0.01, weight_decay=0.1)
    ),
    "NAdam": stepping(fastnn.NAdam(0.01), lambda p: optim.NAdam(p, 0.01)),
    "NAdam, fast momentum": stepping(
        fastnn.NAdam(0.01, 0.95, 0.99, momentum_decay=1.0),
        lambda p: optim.NAdam(p, 0.01, (0.95, 0.99), momentum_decay=1.0),
    ),
    "AMSGrad, Adam(amsgrad=True)": stepping(
        fastnn.AMSGrad(0.01, beta_2=0.9),
        lambda p: optim.Adam(p, 0.01, (0.9, 0.9), amsgrad=True),
    ),
    "Lion, by hand": stepping(
        fastnn.Lion(0.001, weight_decay=0.1), lambda p: Lion(p, 0.001, (0.9, 0.99), 0.1)
    ),
}

SCHEDULES = {
    "CosineDecay, CosineAnnealingLR": scheduled(
        fastnn.CosineDecay(0.1, end_rate=0.001),
        lambda o: lr_scheduler.CosineAnnealingLR(o, N_STEPS, 0.001),
    ),
    # 70 steps are three cycles; PyTorch's goes on with a fourth one.
    "CosineDecay(restarts=2), ...WarmRestarts": scheduled(
        fastnn.CosineDecay(0.1, 70 / STEPS_PER_EPOCH, 0.001, restarts=2, growth=2),
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 10, 2, 0.001),
        epochs=70 // STEPS_PER_EPOCH,
    ),
    "OneCycle, OneCycleLR": scheduled(
        fastnn.OneCycle(0.1),
        lambda o: lr_scheduler.OneCycleLR(o, 0.1, N_STEPS, cycle_momentum=False),
    ),
    "ExponentialDecay, ExponentialLR": scheduled(
        fastnn.ExponentialDecay(0.1, 0.97, 1 / STEPS_PER_EPOCH),
        lambda o: lr_scheduler.ExponentialLR(o, 0.97),
    ),
    "StepDecay, StepLR": scheduled(
        fastnn.StepDecay(0.1, 0.5, 4), lambda o: lr_scheduler.StepLR(o, 20, 0.5)
    ),
    "PolynomialDecay, PolynomialLR": scheduled(
        fastnn.PolynomialDecay(0.1, power=2), lambda o: lr_scheduler.PolynomialLR(o, N_STEPS, 2)
    ),
    "ConstantRate(warmup=4), LinearLR": scheduled(
        fastnn.ConstantRate(0.1, warmup=4), lambda o: lr_scheduler.LinearLR(o, 1 / 20, 1, 19)
    ),
}

# ---- regularisation ------------------------------------------------------------------------------


def clip_by_value(limit: float) -> Callable[[Tensors], Any]:
    return lambda parameters: torch.nn.utils.clip_grad_value_(parameters, limit)


def clip_by_norm(limit: float) -> Callable[[Tensors], Any]:
    """By hand: `clip_grad_norm_` divides by the norm plus 1e-6."""

    def clip(parameters: Tensors) -> None:
        norm = torch.sqrt(sum((p.grad**2).sum() for p in parameters))
        for p in parameters:
            p.grad *= min(1.0, limit / norm.item())

    return clip


def limit_norms(limits: dict[int, float]) -> Callable[[Tensors], Any]:
    """Of each unit's incoming weights, a row in PyTorch; by hand, as `renorm` adds 1e-7."""

    def limit(weights: Tensors) -> None:
        for layer, most in limits.items():
            norms = weights[layer].norm(dim=1, keepdim=True)
            weights[layer] *= torch.clamp(most / norms, max=1.0)

    return limit


def penalty(l1: float, l2: float) -> Callable[[Tensors], Any]:
    """Of these weights, in the cost of a mini-batch."""
    return lambda weights: sum(
        (l1 * W.abs().sum() + l2 / 2 * (W**2).sum()) / M for W in weights if W.requires_grad
    )


REGULARISATION = {
    "l2, SGD(weight_decay=l2/m)": Case(
        CLASSES, {"l2": 0.7}, decay={"weight_decay": 0.7 / M}, l2=0.7 / M
    ),
    "l2, Adam(weight_decay=l2/m)": Case(
        CLASSES,
        {"l2": 0.7, "optimizer": "adam", "learning_rate": 0.01},
        optimizer=lambda p: optim.Adam(p, 0.01),
        decay={"weight_decay": 0.7 / M},
        l2=0.7 / M,
    ),
    "l1, by hand": Case(CLASSES, {"l1": 0.05}, penalty=penalty(0.05, 0)),
    "l1 and l2 of single layers, by hand": Case(
        CLASSES,
        layers=layers("softmax", {"l1": 0.05}, {}, {"l2": 0.9}),
        penalty=lambda W: penalty(0.05, 0)(W[:1]) + penalty(0, 0.9)(W[2:]),
    ),
    "weight_decay, AdamW": Case(
        CLASSES,
        {"weight_decay": 0.3, "optimizer": "adam", "learning_rate": 0.01},
        optimizer=lambda p: optim.AdamW(p, 0.01),
        decay={"weight_decay": 0.3},
    ),
    "clip_value, clip_grad_value_": Case(CLASSES, {"clip_value": 0.01}, clip=clip_by_value(0.01)),
    # Norms of some 10,000, beside which 1e-6 is nothing
    "clip_norm, clip_grad_norm_": Case(
        1e4 * NUMBERS,
        {"clip_norm": 1.0},
        layers("linear"),
        loss=lambda z, y, rows: functional.mse_loss(z, y),
        clip=lambda parameters: torch.nn.utils.clip_grad_norm_(parameters, 1.0),
    ),
    "clip_norm, by hand": Case(CLASSES, {"clip_norm": 0.05}, clip=clip_by_norm(0.05)),
    "max_norm, by hand": Case(
        CLASSES,
        layers=layers("softmax", {"max_norm": 0.8}, {}, {"max_norm": 0.6}),
        after=limit_norms({0: 0.8, 2: 0.6}),
    ),
    "trainable=False, requires_grad_": Case(
        CLASSES, layers=layers("softmax", {"trainable": False})
    ),
    "trainable=False in between": Case(CLASSES, layers=layers("softmax", {}, {"trainable": False})),
    "learning_rate_factor, groups": Case(
        CLASSES,
        layers=layers("softmax", {"learning_rate_factor": 0.1}, {}, {"learning_rate_factor": 3.0}),
    ),
}

# ---- layers --------------------------------------------------------------------------------------

HEAD = Dense(N_OUTPUTS, "softmax")
BEHIND_TWO = {
    "BatchNorm(0.9), BatchNorm1d(momentum=0.1)": BatchNorm(),
    "BatchNorm(0.5, 1e-3), in training and after": BatchNorm(0.5, 1e-3),
    "LayerNorm": LayerNorm(),
    "PReLU": PReLU(),
    "Dropout(0.3), the same masks by hand": Dropout(0.3),
}
LAYERS = {
    name: Case(CLASSES, layers=(Dense(16), layer, Dense(12, "tanh"), layer, HEAD))
    for name, layer in BEHIND_TWO.items()
}

# ---- together ------------------------------------------------------------------------------------

COSINE = {
    "optimizer": "adam",
    "learning_rate": fastnn.CosineDecay(0.02, end_rate=1e-4),
}
TOGETHER = {
    "penalties, decay, clipping, norms, frozen": Case(
        CLASSES,
        {
            "l1": 0.02, "l2": 0.3, "weight_decay": 0.1, "clip_value": 0.02, "clip_norm": 0.1,
            "optimizer": "adam", "learning_rate": 0.01,
        },
        layers(
            "softmax",
            {"max_norm": 0.9, "learning_rate_factor": 0.5},
            {"trainable": False},
            {"max_norm": 0.7},
        ),
        optimizer=lambda p: optim.AdamW(p, 0.01),
        decay={"weight_decay": 0.1},
        penalty=penalty(0.02, 0.3),
        clip=lambda p: (clip_by_value(0.02)(p), clip_by_norm(0.1)(p)),
        after=limit_norms({0: 0.9, 2: 0.7}),
    ),
    "BatchNorm, l2, clip_norm, cosine, weights": Case(
        CLASSES,
        {
            "l2": 0.3, "clip_norm": 0.2, "sample_weight": SAMPLE_WEIGHTS,
            "class_weight": CLASS_WEIGHTS, **COSINE,
        },
        (Dense(16), BatchNorm(), Activation("gelu"), Dense(12, "tanh"), BatchNorm(), HEAD),
        optimizer=lambda p: optim.Adam(p, 0.02),
        schedule=lambda o: lr_scheduler.CosineAnnealingLR(o, N_STEPS, 1e-4),
        loss=weighted(
            lambda z, y: functional.cross_entropy(z, y, reduction="none"),
            SAMPLE_WEIGHTS * OF_CLASSES,
        ),
        penalty=penalty(0, 0.3),
        clip=clip_by_norm(0.2),
        weights=SAMPLE_WEIGHTS * OF_CLASSES,
    ),
    "the same, Dropout, LayerNorm, PReLU, smoothing": Case(
        CLASSES,
        {
            "l2": 0.3, "clip_norm": 0.2, "sample_weight": SAMPLE_WEIGHTS,
            "class_weight": CLASS_WEIGHTS, "label_smoothing": SMOOTHING, **COSINE,
        },
        (
            Dense(16), BatchNorm(), PReLU(), Dropout(0.2), Dense(12, "tanh"), LayerNorm(),
            Dropout(0.1), HEAD,
        ),
        optimizer=lambda p: optim.Adam(p, 0.02),
        schedule=lambda o: lr_scheduler.CosineAnnealingLR(o, N_STEPS, 1e-4),
        loss=weighted(smoothed_of_each, SAMPLE_WEIGHTS * OF_CLASSES),
        penalty=penalty(0, 0.3),
        clip=clip_by_norm(0.2),
        weights=SAMPLE_WEIGHTS * OF_CLASSES,
    ),
}  # fmt: skip

CASES = {
    "losses and weights": LOSSES,
    "optimisers": OPTIMIZERS,
    "schedules, of momentum": SCHEDULES,
    "regularisation": REGULARISATION,
    "layers": LAYERS,
    "together": TOGETHER,
}

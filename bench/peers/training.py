"""The training loops of ``fastnn bench``, and the one that only this comparison asks for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from fastnn.contestants import TRAINERS as LOOPS
from fastnn.contestants import Task, Torch, Trainer

__all__ = ["TRAINERS"]


def _torch_compiled(task: Task, threads: int) -> Trainer:
    """A whole step, update included, as one graph.

    Faster than a compiled loss with the fused optimiser after it, and the wrapper in C++ faster
    than that in Python.
    """
    it = Torch(task, threads)
    torch = it.torch
    torch.compiler.reset()
    loss_and_gradients = torch.func.grad_and_value(it.loss_of)
    rate, beta_1, beta_2, epsilon = task.learning_rate, 0.9, 0.999, 1e-8
    state: tuple[Any, ...] = ()

    def restart() -> None:
        nonlocal state
        parameters = it.restart()
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

    step = sgd if task.optimizer == "sgd" else adam
    options = {"cpp_wrapper": True}
    compiled = torch.compile(step, fullgraph=True, dynamic=False, options=options)

    def train(n_epochs: int) -> float:
        with torch.no_grad():
            return it.train(partial(compiled, *state), n_epochs)

    return restart, train


# Pure Python is left to ``fastnn bench``: an epoch of the large networks here takes it hours.
TRAINERS: dict[str, Callable[[Task, int], Trainer]] = {
    "fastnn": LOOPS["fastnn"],
    "NumPy": LOOPS["NumPy"],
    "scikit-learn": LOOPS["scikit-learn"],
    "PyTorch": LOOPS["PyTorch"],
    "PyTorch-compiled": _torch_compiled,
    "JAX": LOOPS["JAX"],
}

"""Fully connected neural networks on a CPU: a compiled core behind a small Python API.

>>> from fastnn import Dense, Network
>>> net = Network([Dense(128, "relu"), Dense(10, "softmax")], n_features=784, seed=0)
"""

from typing import TYPE_CHECKING, Any

from fastnn import activations, config, initializers, losses, optimizers
from fastnn._version import __version__
from fastnn.config import get_num_threads, set_num_threads, show_config
from fastnn.gradients import GradientCheck, gradient_check
from fastnn.initializers import Normal
from fastnn.layers import Dense
from fastnn.network import Network
from fastnn.optimizers import SGD, Adagrad, Adam, AdamW, Momentum, Nesterov, RMSprop

if TYPE_CHECKING:
    from fastnn import datasets

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Dense",
    "GradientCheck",
    "Momentum",
    "Nesterov",
    "Network",
    "Normal",
    "RMSprop",
    "__version__",
    "activations",
    "config",
    "datasets",
    "get_num_threads",
    "gradient_check",
    "initializers",
    "losses",
    "optimizers",
    "set_num_threads",
    "show_config",
]


def __getattr__(name: str) -> Any:
    """Imports ``fastnn.datasets`` when it is first used: most programs never do."""
    if name == "datasets":
        import importlib

        return importlib.import_module("fastnn.datasets")
    raise AttributeError(f"module 'fastnn' has no attribute {name!r}")

"""Fully connected neural networks on a CPU: a compiled core behind a small Python API.

>>> from fastnn import Dense, Network
>>> net = Network([Dense(128, "relu"), Dense(10, "softmax")], n_features=784, seed=0)
"""

from typing import TYPE_CHECKING, Any

try:
    from fastnn import activations, callbacks, config, initializers, losses, metrics, optimizers
    from fastnn._version import __version__
    from fastnn.callbacks import (
        Callback,
        Checkpoint,
        CSVLog,
        EarlyStopping,
        StopTraining,
        TensorBoardLog,
    )
    from fastnn.config import get_num_threads, set_num_threads, show_config
    from fastnn.gradients import GradientCheck, gradient_check
    from fastnn.history import History
    from fastnn.initializers import Normal
    from fastnn.layers import Dense
    from fastnn.network import Network
    from fastnn.optimizers import (
        SGD,
        Adagrad,
        Adam,
        AdamW,
        Momentum,
        Nesterov,
        Optimizer,
        RMSprop,
    )
except ImportError as error:
    from fastnn._import_error import report

    report(error)

if TYPE_CHECKING:
    from fastnn import datasets, plots, reference

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "CSVLog",
    "Callback",
    "Checkpoint",
    "Dense",
    "EarlyStopping",
    "GradientCheck",
    "History",
    "Momentum",
    "Nesterov",
    "Network",
    "Normal",
    "Optimizer",
    "RMSprop",
    "StopTraining",
    "TensorBoardLog",
    "__version__",
    "activations",
    "callbacks",
    "config",
    "datasets",
    "get_num_threads",
    "gradient_check",
    "initializers",
    "losses",
    "metrics",
    "optimizers",
    "plots",
    "reference",
    "set_num_threads",
    "show_config",
]

config.warn_of_unknown_variables()


def __getattr__(name: str) -> Any:
    """Imports a module when it is first used: most programs need none of these."""
    if name in ("datasets", "plots", "reference"):
        import importlib

        return importlib.import_module(f"fastnn.{name}")
    raise AttributeError(f"module 'fastnn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})

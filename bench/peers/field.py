"""The contestants of a net, and the modules that each needs."""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from importlib.util import find_spec

from bench.peers.inference import PREDICTORS
from bench.peers.nets import Net, Training
from bench.peers.training import TRAINERS

__all__ = ["PEERS", "contestants_for", "is_installed", "is_ours", "library", "load"]

# The modules of each library, the one that knows its version first.
_MODULES = {
    "fastnn": ("fastnn",),
    "NumPy": ("numpy",),
    "scikit-learn": ("sklearn", "sklearn.neural_network"),
    "PyTorch": ("torch",),
    "JAX": ("jax",),
    "onnxruntime": ("onnxruntime", "onnx"),
}


def is_ours(contestant: str) -> bool:
    return contestant.startswith("fastnn")


PEERS = tuple(name for name in dict.fromkeys([*TRAINERS, *PREDICTORS]) if not is_ours(name))


def contestants_for(net: Net, peers: Collection[str]) -> list[str]:
    """The contestants on `net`: fastnn, and those of `peers` that can do it."""
    makers = TRAINERS if isinstance(net, Training) else PREDICTORS
    return [name for name in makers if is_ours(name) or name in peers]


def is_installed(contestant: str) -> bool:
    return all(find_spec(name.partition(".")[0]) for name in _MODULES[library(contestant)])


def load(contestant: str) -> str:
    """Import its library, so that nobody's time holds an import; return the version."""
    module, *_ = [import_module(name) for name in _MODULES[library(contestant)]]
    version: str = module.__version__
    return version


def library(contestant: str) -> str:
    """``PyTorch`` for ``PyTorch-compiled``."""
    return next(name for name in _MODULES if contestant.startswith(name))

"""Fully connected neural networks on a CPU: a compiled core behind a small Python API.

>>> from fastnn import Dense, Network
>>> net = Network([Dense(128, "relu"), Dense(10, "softmax")], n_features=784, seed=0)
"""

from typing import TYPE_CHECKING, Any

try:
    from fastnn import (
        activations,
        callbacks,
        config,
        initializers,
        losses,
        metrics,
        optimizers,
        schedules,
    )
    from fastnn._scaling import ScalingWarning
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
    from fastnn.layers import (
        Activation,
        BatchNorm,
        Dense,
        Dropout,
        GaussianNoise,
        Layer,
        LayerNorm,
        PReLU,
        Rescale,
    )
    from fastnn.losses import (
        BinaryCrossEntropy,
        CategoricalCrossEntropy,
        Focal,
        Hinge,
        Huber,
        LogCosh,
        Loss,
        MeanAbsoluteError,
        MeanSquaredError,
        Poisson,
        Quantile,
        SquaredHinge,
    )
    from fastnn.network import Network
    from fastnn.optimizers import (
        LBFGS,
        SGD,
        Adagrad,
        Adam,
        AdamW,
        AMSGrad,
        Lion,
        Momentum,
        NAdam,
        Nesterov,
        Optimizer,
        RMSprop,
    )
    from fastnn.range_test import RangeTest, find_learning_rate
    from fastnn.schedules import (
        ConstantRate,
        CosineDecay,
        ExponentialDecay,
        InverseScaling,
        OneCycle,
        PolynomialDecay,
        ReduceOnPlateau,
        Schedule,
        StepDecay,
    )
except ImportError as error:
    from fastnn._import_error import report

    report(error)

if TYPE_CHECKING:
    from fastnn import datasets, plots, reference
    from fastnn import sklearn as sklearn  # not in __all__: it needs an extra
    from fastnn.cross_validation import CrossValidation, cross_validate
    from fastnn.diagnosis import Diagnosis, diagnose
    from fastnn.ensemble import Ensemble
    from fastnn.hyperparameters import Integers, LogUniform, SearchResult, Trial, Uniform, search
    from fastnn.many import fit_many

__all__ = [
    "LBFGS",
    "SGD",
    "AMSGrad",
    "Activation",
    "Adagrad",
    "Adam",
    "AdamW",
    "BatchNorm",
    "BinaryCrossEntropy",
    "CSVLog",
    "Callback",
    "CategoricalCrossEntropy",
    "Checkpoint",
    "ConstantRate",
    "CosineDecay",
    "CrossValidation",
    "Dense",
    "Diagnosis",
    "Dropout",
    "EarlyStopping",
    "Ensemble",
    "ExponentialDecay",
    "Focal",
    "GaussianNoise",
    "GradientCheck",
    "Hinge",
    "History",
    "Huber",
    "Integers",
    "InverseScaling",
    "Layer",
    "LayerNorm",
    "Lion",
    "LogCosh",
    "LogUniform",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Momentum",
    "NAdam",
    "Nesterov",
    "Network",
    "Normal",
    "OneCycle",
    "Optimizer",
    "PReLU",
    "Poisson",
    "PolynomialDecay",
    "Quantile",
    "RMSprop",
    "RangeTest",
    "ReduceOnPlateau",
    "Rescale",
    "ScalingWarning",
    "Schedule",
    "SearchResult",
    "SquaredHinge",
    "StepDecay",
    "StopTraining",
    "TensorBoardLog",
    "Trial",
    "Uniform",
    "__version__",
    "activations",
    "callbacks",
    "config",
    "cross_validate",
    "datasets",
    "diagnose",
    "find_learning_rate",
    "fit_many",
    "get_num_threads",
    "gradient_check",
    "initializers",
    "losses",
    "metrics",
    "optimizers",
    "plots",
    "reference",
    "schedules",
    "search",
    "set_num_threads",
    "show_config",
]

# Names that most programs do without, and their modules.
_LATER = {
    "CrossValidation": "cross_validation",
    "Diagnosis": "diagnosis",
    "Ensemble": "ensemble",
    "Integers": "hyperparameters",
    "LogUniform": "hyperparameters",
    "SearchResult": "hyperparameters",
    "Trial": "hyperparameters",
    "Uniform": "hyperparameters",
    "cross_validate": "cross_validation",
    "diagnose": "diagnosis",
    "fit_many": "many",
    "search": "hyperparameters",
}

config.warn_of_unknown_variables()


def __getattr__(name: str) -> Any:
    """Imports what is not used by most programs when it is first used."""
    if name in ("datasets", "exchange", "plots", "reference", "sklearn", "tabular"):
        import importlib

        return importlib.import_module(f"fastnn.{name}")
    if name in _LATER:
        import importlib

        return getattr(importlib.import_module(f"fastnn.{_LATER[name]}"), name)
    raise AttributeError(f"module 'fastnn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})

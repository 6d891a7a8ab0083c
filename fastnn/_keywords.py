"""Keywords that other libraries use, and the names that they have here."""

import functools
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, TypeVar

from fastnn._validation import short

T = TypeVar("T", bound=Callable[..., Any])

#: Keyword elsewhere -> keyword here, or several of which the first that a function takes counts.
_NAMES: dict[str, str | tuple[str, ...]] = {
    "x": "X",
    "X_train": "X",
    "Y": "y",
    "y_train": "y",
    "labels": "y",
    "lr": "learning_rate",
    "eta": "learning_rate",
    "learning_rate_init": "learning_rate",
    "step_size": ("every", "learning_rate"),
    "max_lr": "learning_rate",
    "base_lr": "learning_rate",
    "initial_learning_rate": "learning_rate",
    "lr_scheduler": "learning_rate",
    "lr_schedule": "learning_rate",
    "scheduler": "learning_rate",
    "schedule": "learning_rate",
    "eta_min": ("end_rate", "min_rate"),
    "min_lr": ("min_rate", "end_rate"),
    "gamma": "factor",
    "decay_rate": "factor",
    "decay_steps": ("every", "epochs"),
    "T_max": "epochs",
    "total_steps": "epochs",
    "warmup_steps": "warmup",
    "warmup_epochs": "warmup",
    "pct_start": "rise",
    "T_mult": "growth",
    "start_lr": "smallest",
    "end_lr": "largest",
    "num_iter": ("n_steps", "epochs"),
    "n_epochs": "epochs",
    "nb_epoch": "epochs",
    "num_epochs": "epochs",
    "max_iter": "epochs",
    "n_iter": "epochs",
    "num_iterations": "epochs",
    "batch": "batch_size",
    "batchsize": "batch_size",
    "mini_batch_size": "batch_size",
    "minibatch_size": "batch_size",
    "solver": "optimizer",
    "optimiser": "optimizer",
    "verbose": "progress",
    "callback": "callbacks",
    "metric": "metrics",
    "early_stopping": "callbacks",
    "validation_fraction": "validation_split",
    "resume": "resume_from",
    "tol": "min_delta",
    "n_iter_no_change": "patience",
    "filepath": "path",
    "log_dir": "folder",
    "print_cost": "progress",
    "progress_bar": "progress",
    "n_jobs": "threads",
    "n_threads": "threads",
    "num_threads": "threads",
    "alpha": ("rho", "learning_rate"),
    "beta": ("momentum", "rho", "beta_1"),
    "beta1": ("beta_1", "momentum"),
    "beta_1": "momentum",
    "beta2": ("beta_2", "rho"),
    "beta_2": "rho",
    "betas": "beta_1 and beta_2",
    "eps": "epsilon",
    "random_state": "seed",
    "random_seed": "seed",
    "input_dim": "n_features",
    "input_shape": "n_features",
    "in_features": "n_features",
    "n_inputs": "n_features",
    "criterion": "loss",
    "sample_weights": "sample_weight",
    "class_weights": "class_weight",
    "hidden_layer_sizes": "sizes",
    "layer_sizes": "sizes",
    "layer_dims": "sizes",
    "layers_dims": "sizes",
    "act": ("activation", "hidden"),
    "activation": "hidden",
    "hidden_activation": "hidden",
    "output_activation": "output",
    "out_activation": "output",
    "units": "n_units",
    "n_neurons": "n_units",
    "out_features": "n_units",
    "init": "initializer",
    "kernel_initializer": "initializer",
    "std": "scale",
    "stddev": "scale",
    "filename": "path",
    "num_px": "size",
    "target_size": "size",
    "train_size": "test_size=1 - train_size",
    "lambd": "l2",
    "lambda_": "l2",
    "kernel_regularizer": "l2",
    "clipnorm": "clip_norm",
    "global_clipnorm": "clip_norm",
    "max_grad_norm": "clip_norm",
    "clipvalue": "clip_value",
    "kernel_constraint": "max_norm",
}

#: Keyword here -> what takes it.
_HOMES = {
    "n_units": "Dense",
    "activation": "Dense",
    "initializer": "Dense",
    "max_norm": "Dense",
    "trainable": "Dense",
    "learning_rate_factor": "Dense",
    "scale": "fastnn.Normal",
    "n_features": "Network",
    "loss": "Network",
    "dtype": "Network",
    "seed": "Network",
    "sizes": "Network.from_sizes",
    "hidden": "Network.from_sizes",
    "output": "Network.from_sizes",
    "epochs": "Network.fit",
    "batch_size": "Network.fit",
    "optimizer": "Network.fit",
    "learning_rate": "Network.fit",
    "validation_data": "Network.fit",
    "validation_split": "Network.fit",
    "metrics": "Network.fit",
    "callbacks": "Network.fit",
    "resume_from": "Network.fit",
    "block_size": "Network.fit",
    "shuffle": "Network.fit",
    "progress": "Network.fit",
    "threads": "Network.fit",
    "l1": "Network.fit",
    "l2": "Network.fit",
    "clip_norm": "Network.fit",
    "clip_value": "Network.fit",
    "sample_weight": "Network.fit",
    "class_weight": "Network.fit",
    "label_smoothing": "Network.fit",
    "delta": "fastnn.Huber",
    "levels": "fastnn.Quantile",
    "gamma": "fastnn.Focal",
    "momentum": "fastnn.Momentum",
    "rho": "fastnn.RMSprop",
    "beta_1": "fastnn.Adam",
    "beta_2": "fastnn.Adam",
    "epsilon": "fastnn.Adam",
    "patience": "fastnn.EarlyStopping",
    "weight_decay": "fastnn.AdamW",
    "momentum_decay": "fastnn.NAdam",
    "memory": "fastnn.LBFGS",
    "warmup": "fastnn.CosineDecay",
    "restarts": "fastnn.CosineDecay",
    "growth": "fastnn.CosineDecay",
    "end_rate": "fastnn.CosineDecay",
    "rise": "fastnn.OneCycle",
}


def checked_keywords(function: T) -> T:
    """Lets a function, or the initialisation of a class, explain an unknown keyword.

    Parameters
    ----------
    function : function or class
        Without ``**`` parameters.

    Returns
    -------
    function or class
        The class itself; of a function a wrapper with its name, signature and docstring.
    """
    if isinstance(function, type):
        function.__init__ = checked_keywords(function.__init__)  # type: ignore[misc]
        return function
    code = function.__code__
    n_positional = code.co_argcount
    names = code.co_varnames[: n_positional + code.co_kwonlyargcount]
    accepted = frozenset(names)

    @functools.wraps(function)
    def call(*args: Any, **keywords: Any) -> Any:
        if not accepted.issuperset(keywords):
            _refuse(function, names, next(name for name in keywords if name not in accepted))
        if n_positional < len(args) <= len(names):
            _refuse_positions(function, names, args[n_positional:])
        return function(*args, **keywords)

    return call  # type: ignore[return-value]


def check_keywords(function: Callable[..., Any], keywords: Iterable[str]) -> None:
    """Refuses what a function that `checked_keywords` has returned would refuse.

    Raises
    ------
    TypeError
    """
    function = getattr(function, "__wrapped__")  # noqa: B009
    code = function.__code__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    for keyword in keywords:
        if keyword not in names or keyword == "self":
            _refuse(function, names, keyword)


def _refuse_positions(
    function: Callable[..., Any], names: tuple[str, ...], values: tuple[Any, ...]
) -> NoReturn:
    """For values in places where the function only takes keywords."""
    n_positional = function.__code__.co_argcount
    takes = ", ".join(name for name in names[:n_positional] if name not in ("self", "cls"))
    given = (
        f"{name}={short(value)}" for name, value in zip(names[n_positional:], values, strict=False)
    )
    raise TypeError(
        f"{_called(function)} takes {takes} by position, all else by name: {', '.join(given)}"
    )


def _first_name(text: str) -> str:
    return text.partition("=")[0].partition(" ")[0]


def _called(function: Callable[..., Any]) -> str:
    return f"{function.__qualname__.removesuffix('.__init__')}()"


def _refuse(function: Callable[..., Any], names: tuple[str, ...], keyword: str) -> NoReturn:
    import difflib  # here: a millisecond that only an error is worth

    names = tuple(name for name in names if name not in ("self", "cls"))
    known = _NAMES.get(keyword, keyword)
    candidates = (known,) if isinstance(known, str) else known
    here = next((name for name in candidates if _first_name(name) in names), candidates[0])
    first = _first_name(here)
    home = keyword if keyword in _HOMES else first
    if first in names:
        advice = f"here it is {here}"
    elif home in _HOMES:
        advice = f"{home} is an argument of {_HOMES[home]}"
    elif near := difflib.get_close_matches(keyword, names, n=1):
        advice = f"did you mean {near[0]}?"
    else:
        advice = f"it takes {', '.join(names)}"
    raise TypeError(f"{_called(function)} got an unexpected keyword argument {keyword!r}; {advice}")

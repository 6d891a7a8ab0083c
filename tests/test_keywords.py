"""Keywords of other libraries get the names they have here; everything else stays as it was."""

import copy
import inspect
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import Dense, Network, _keywords
from fastnn.datasets import make_moons, read_idx, read_image, read_image_folder, train_test_split
from fastnn.optimizers import OPTIMIZERS

X, Y = np.zeros((4, 2), np.float32), [0, 1, 0, 1]
NET = Network([Dense(1, "sigmoid")], 2, seed=0)


def layers(**keywords: Any) -> Any:
    return Network([Dense(1)], **keywords)


def fit(**keywords: Any) -> Any:
    return NET.fit(X, Y, **keywords)


def partial_fit(**keywords: Any) -> Any:
    return NET.partial_fit(X, Y, **keywords)


def from_sizes(**keywords: Any) -> Any:
    return Network.from_sizes([2, 1], **keywords)


FOREIGN: list[tuple[Callable[..., Any], str, str]] = [
    (fit, "lr", "Network.fit() got an unexpected keyword argument 'lr'; here it is learning_rate"),
    (fit, "learning_rate_init", "here it is learning_rate"),
    (fit, "eta", "here it is learning_rate"),
    (fit, "verbose", "here it is progress"),
    (fit, "print_cost", "here it is progress"),
    (fit, "n_iter", "here it is epochs"),
    (fit, "max_iter", "here it is epochs"),
    (fit, "n_epochs", "here it is epochs"),
    (fit, "num_epochs", "here it is epochs"),
    (fit, "num_iterations", "here it is epochs"),
    (fit, "batchsize", "here it is batch_size"),
    (fit, "mini_batch_size", "here it is batch_size"),
    (fit, "validation_fraction", "here it is validation_split"),
    (fit, "early_stopping", "here it is callbacks"),
    (fit, "resume", "here it is resume_from"),
    (fit, "n_jobs", "here it is threads"),
    (fit, "solver", "here it is optimizer"),
    (fit, "momentum", "momentum is an argument of fastnn.Momentum"),
    (fit, "beta1", "beta_1 is an argument of fastnn.Adam"),
    (fit, "lambd", "here it is l2"),
    (fit, "clipnorm", "here it is clip_norm"),
    (fit, "max_norm", "max_norm is an argument of Dense"),
    (layers, "l2", "l2 is an argument of Network.fit"),
    (Dense, "kernel_regularizer", "here it is l2"),
    (fit, "random_state", "seed is an argument of Network"),
    (fit, "epoch", "did you mean epochs?"),
    (
        partial_fit,
        "lr",
        "Network.partial_fit() got an unexpected keyword argument 'lr'; here it is",
    ),
    (partial_fit, "epochs", "epochs is an argument of Network.fit"),
    (layers, "random_state", "Network() got an unexpected keyword argument 'random_state'; here"),
    (layers, "input_dim", "here it is n_features"),
    (layers, "lr", "learning_rate is an argument of Network.fit"),
    (layers, "epochs", "epochs is an argument of Network.fit"),
    (layers, "activation", "activation is an argument of Dense"),
    (layers, "hidden_layer_sizes", "sizes is an argument of Network.from_sizes"),
    (from_sizes, "activation", "Network.from_sizes() got an unexpected keyword argument"),
    (from_sizes, "activation", "here it is hidden"),
    (from_sizes, "hidden_layer_sizes", "here it is sizes"),
    (from_sizes, "random_state", "here it is seed"),
    (from_sizes, "optimizer", "optimizer is an argument of Network.fit"),
    (Dense, "units", "Dense() got an unexpected keyword argument 'units'; here it is n_units"),
    (Dense, "kernel_initializer", "here it is initializer"),
    (Dense, "input_shape", "n_features is an argument of Network"),
    (Dense, "frobnicate", "it takes n_units, activation, initializer"),
    (fastnn.Adam, "lr", "Adam() got an unexpected keyword argument 'lr'; here it is learning_rate"),
    (fastnn.Adam, "beta1", "here it is beta_1"),
    (fastnn.Adam, "beta2", "here it is beta_2"),
    (fastnn.Adam, "betas", "here it is beta_1 and beta_2"),
    (fastnn.Adam, "eps", "here it is epsilon"),
    (fastnn.Adam, "weight_decay", "weight_decay is an argument of fastnn.AdamW"),
    (fastnn.SGD, "momentum", "momentum is an argument of fastnn.Momentum"),
    (fastnn.Normal, "stddev", "here it is scale"),
    (make_moons, "random_state", "here it is seed"),
    (train_test_split, "random_state", "here it is seed"),
    (train_test_split, "train_size", "'train_size'; here it is test_size=1 - train_size"),
    (fit, "num_iter", "here it is epochs"),
    (fit, "X_train", "here it is X"),
    (fit, "y_train", "here it is y"),
    (fit, "alpha", "here it is learning_rate"),
    (fit, "beta_1", "beta_1 is an argument of fastnn.Adam"),
    (Dense, "act", "here it is activation"),
    (from_sizes, "act", "here it is hidden"),
    (layers, "act", "activation is an argument of Dense"),
    (fastnn.RMSprop, "beta2", "here it is rho"),
    (fastnn.RMSprop, "beta_2", "here it is rho"),
    (fastnn.RMSprop, "beta", "here it is rho"),
    (fastnn.RMSprop, "alpha", "here it is rho"),
    (fastnn.Momentum, "beta", "here it is momentum"),
    (fastnn.Momentum, "beta1", "here it is momentum"),
    (fastnn.Momentum, "beta_1", "beta_1'; here it is momentum"),
    (fastnn.Nesterov, "beta", "here it is momentum"),
    (fastnn.Adam, "beta", "here it is beta_1"),
    (fastnn.SGD, "beta1", "beta_1 is an argument of fastnn.Adam"),
    (read_idx, "filename", "here it is path"),
    (read_image, "num_px", "here it is size"),
    (read_image, "target_size", "here it is size"),
    (read_image_folder, "target_size", "here it is size"),
]


@pytest.mark.parametrize(("call", "keyword", "message"), FOREIGN)
def test_foreign_keywords_get_their_name_here(
    call: Callable[..., Any], keyword: str, message: str
) -> None:
    with pytest.raises(TypeError, match=re.escape(message)):
        call(**{keyword: 1})


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values())
def test_every_optimizer_knows_them(optimizer: type[Any]) -> None:
    message = f"{optimizer.__name__}() got an unexpected keyword argument 'lr'; here it is learning"
    with pytest.raises(TypeError, match=re.escape(message)):
        optimizer(lr=0.1)


HOMES: dict[str, Callable[..., Any]] = {
    "Dense": Dense,
    "Network": Network,
    "Network.fit": Network.fit,
    "Network.from_sizes": Network.from_sizes,
    **{f"fastnn.{name}": getattr(fastnn, name) for name in ("Momentum", "RMSprop", "Adam")},
    **{f"fastnn.{name}": getattr(fastnn, name) for name in ("Huber", "Quantile", "Focal")},
    **{f"fastnn.{name}": getattr(fastnn, name) for name in ("AdamW", "NAdam", "LBFGS")},
    **{f"fastnn.{name}": getattr(fastnn, name) for name in ("CosineDecay", "OneCycle")},
    "fastnn.ReduceOnPlateau": fastnn.ReduceOnPlateau,
    "fastnn.StepDecay": fastnn.StepDecay,
    "find_learning_rate": fastnn.find_learning_rate,
    "fastnn.Normal": fastnn.Normal,
    "fastnn.EarlyStopping": fastnn.EarlyStopping,
    "fastnn.TensorBoardLog": fastnn.TensorBoardLog,
    "train_test_split": train_test_split,
    "read_image": read_image,
}


def test_what_the_messages_name_exists() -> None:
    for name, home in _keywords._HOMES.items():
        assert name in inspect.signature(HOMES[home]).parameters, name
    known = {name for home in HOMES.values() for name in inspect.signature(home).parameters}
    for foreign, names in _keywords._NAMES.items():
        for name in (names,) if isinstance(names, str) else names:
            assert set(re.findall(r"[a-z_]{2,}\d?|^[Xy]$", name)) - {"and", foreign} <= known, (
                foreign
            )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: NET.fit(X, Y, 10),  # type: ignore[misc]
            "Network.fit() takes X, y by position, all else by name: epochs=10",
        ),
        (lambda: NET.fit(X, Y, 10, 32), "all else by name: epochs=10, batch_size=32"),  # type: ignore[misc]
        (
            lambda: Network([Dense(1)], 2, "mse"),  # type: ignore[misc]
            "Network() takes layers, n_features by position, all else by name: loss='mse'",
        ),
    ],
)
def test_values_in_places_of_keywords_are_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(TypeError, match=f"{re.escape(message)}$"):
        call()


def test_the_decorated_are_as_they_were() -> None:
    assert str(inspect.signature(Network.partial_fit)).startswith("(self, X: 'ArrayLike', y: ")
    assert list(inspect.signature(Dense).parameters)[:3] == ["n_units", "activation", "initializer"]
    assert list(inspect.signature(fastnn.SGD).parameters) == ["learning_rate"]
    assert "Trains the network" in (Network.fit.__doc__ or "")
    assert "fully connected layer" in (Dense.__doc__ or "")
    assert Network.fit.__qualname__ == "Network.fit"
    assert isinstance(Dense, type)
    adam = fastnn.Adam(learning_rate=0.5)
    for value in (Dense(3, activation="relu"), adam):
        assert pickle.loads(pickle.dumps(value)) == value
        assert copy.deepcopy(value) == value
    assert pickle.loads(pickle.dumps(NET.fit)).__func__ is Network.fit
    assert pickle.loads(pickle.dumps(Dense)) is Dense


def test_other_mistakes_are_left_to_python() -> None:
    with pytest.raises(TypeError, match="takes from 1 to 2 positional arguments but 3 were given"):
        fastnn.SGD(0.1, 4)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'n_units'"):
        Dense()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="multiple values for argument 'X'"):
        NET.fit(X, X=X, y=Y)  # type: ignore[misc]


def test_a_subclass_takes_keywords_of_its_own() -> None:
    class Mine(Network):
        def __init__(self, lr: float) -> None:
            super().__init__([Dense(1)], n_features=2)
            self.lr = lr

    assert Mine(lr=0.5).lr == 0.5

"""What a C file can be of: a network, or a model for tables. Each says what it is in steps."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fastnn._version import __version__
from fastnn.exchange.c.program import Program
from fastnn.exchange.c.steps import check_finite, int8_columns, int8_weights, steps_of
from fastnn.exchange.c.table import chains_of, ending_of, tabulated, untabulated
from fastnn.exchange.c.table_names import face_of, rows_of
from fastnn.network import Network
from fastnn.tabular import TabularModel
from fastnn.tabular.encoding import Categories, Dates, Encoding

Array = npt.NDArray[Any]

#: Rows on which the loss of accuracy by int8 is measured where none are given.
N_ROWS = 1000


class Source(Protocol):
    """What a C file is made of."""

    made_up: str
    """What the rows of `int8_program` are that are not given."""

    def program(self, name: str) -> Program:
        """The C file, with the numbers as they are."""

    def int8_program(self, name: str, X: Any) -> tuple[Program, Array]:
        """The same with int8 weights, and by how much it is off: of shape (n_rows, n_outputs)."""


def source_of(model: Network | TabularModel) -> Source:
    """What to make a C file of; ValueError if it cannot be."""
    return OfTable(model) if isinstance(model, TabularModel) else OfNetwork(model)


class OfNetwork:
    """A network."""

    made_up = "normal random numbers"

    def __init__(self, net: Network) -> None:
        self._net = net.copy()  # as it is now: another thread may train it
        if self._net.n_features is None:
            raise ValueError("net is not built yet: give it n_features, or call fit first")
        check_finite(self._net)

    def program(self, name: str) -> Program:
        return Program(name, [steps_of(self._net)], self._net.dtype, [self._summary(name)])

    def int8_program(self, name: str, X: Any) -> tuple[Program, Array]:
        stored = self._net.copy("float32")
        integers = int8_weights(stored)
        program = Program(name, [steps_of(stored, integers)], stored.dtype, [self._summary(name)])
        for i, (weights, scale) in integers.items():
            stored.weights[i][:] = weights * scale
        if X is None:
            X = np.random.default_rng(0).standard_normal((N_ROWS, stored.n_features or 0))
        return program, np.abs(stored.predict_proba(X) - self._net.predict_proba(X))

    def _summary(self, name: str) -> str:
        """The head of the head comment: what the model is."""
        net = self._net
        return (
            f"{name}: a neural network of {net.n_parameters:,} parameters that makes "
            f"{net.n_outputs} numbers from {net.n_features}. Written by fastnn {__version__}. Its "
            f"layers, with the numbers that each gives: {_layers(net)}."
        )


class OfTable:
    """A model for tables."""

    made_up = "made-up values from the ranges and categories of the training rows"

    def __init__(self, model: TabularModel) -> None:
        self._model = model
        self._networks = [net.copy("float32") for net in model.networks]
        for net in self._networks:
            check_finite(net)

    def program(self, name: str) -> Program:
        return self._program(name, chains_of(self._model, self._networks, None))

    def int8_program(self, name: str, X: Any) -> tuple[Program, Array]:
        encoding = self._model.encoding
        networks = [net.copy() for net in self._networks]
        integers = []
        for net in networks:
            own = int8_weights(net)
            first = min(own)
            own[first] = int8_columns(tabulated(encoding, net.weights[first]).astype(np.float32))
            integers.append(own)
        program = self._program(name, chains_of(self._model, networks, integers))
        for net, own in zip(networks, integers, strict=True):
            first = min(own)
            for i, (weights, scale) in own.items():
                exact = weights * scale
                net.weights[i][:] = untabulated(encoding, exact) if i == first else exact
        inputs = self._model.transform(_made_up(encoding) if X is None else X)
        return program, np.abs(
            self._outputs(networks, inputs) - self._outputs(self._networks, inputs)
        )

    def _program(self, name: str, chains: Any) -> Program:
        return Program(
            name,
            chains,
            np.dtype(np.float32),
            [self._summary(name), *rows_of(self._model, name)],
            ending_of(self._model),
            face_of(self._model, name),
        )

    def _outputs(self, networks: list[Network], inputs: Array) -> Array:
        target = self._model.target
        total = sum(net.predict_proba(inputs).astype(np.float64) for net in networks)
        mean: Array = np.asarray(total) / len(networks)
        return mean * target.scale + target.center if target.task == "regression" else mean

    def _summary(self, name: str) -> str:
        """The head of the head comment: what the model is."""
        model, net = self._model, self._networks[0]
        n_columns = len(model.encoding.encoders)
        several = (
            f"the mean of {len(self._networks)} networks"
            if len(self._networks) > 1
            else "a network"
        )
        return (
            f"{name}: a model for tables that makes {model.target.n_outputs} numbers from "
            f"{n_columns} columns. Written by fastnn {__version__}. It is {several} of "
            f"{net.n_parameters:,} parameters. The layers, with the numbers that each gives: "
            f"{_layers(net)}."
        )


def _layers(net: Network) -> str:
    layers = []
    n_units = net.n_features or 0
    for layer in net.layers:
        n_units = layer.n_out(n_units)
        activation = getattr(layer, "activation", "linear")
        suffix = "" if activation == "linear" else f" {activation}"
        layers.append(f"{type(layer).__name__} {n_units}{suffix}")
    return ", ".join(layers)


def _made_up(encoding: Encoding) -> dict[str, Array]:
    """A table whose values lie anywhere between the edges of ramps, and are any known category."""
    random = np.random.default_rng(0)
    table: dict[str, Array] = {}
    for name, encoder in encoding.encoders.items():
        if isinstance(encoder, Categories):
            levels = np.array([*encoder.levels, *encoder.rare], object)
            table[name] = random.choice(levels, N_ROWS)
            continue
        numbers = encoder.days if isinstance(encoder, Dates) else encoder
        edges = np.array(numbers.edges)
        places = random.uniform(0, len(edges) - 1, N_ROWS)
        if not numbers.n_ramps:
            places = np.rint(places)
        table[name] = np.interp(places, np.arange(len(edges)), edges)
        if isinstance(encoder, Dates):
            table[name] = (table[name] * 86400).astype("datetime64[s]")
    return table

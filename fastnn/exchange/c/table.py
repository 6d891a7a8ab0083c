"""The steps of a model for tables: its columns and first layers, networks, and their mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn.exchange.c.program import Step
from fastnn.exchange.c.steps import Integers, steps_of
from fastnn.exchange.c.table_names import identifiers
from fastnn.exchange.table_numbers import (
    check_number,
    edges_and_gaps,
    halves,
    middle_of,
    numbers_of,
)
from fastnn.network import Network
from fastnn.tabular import TabularModel
from fastnn.tabular.encoding import Categories, Dates, Encoding, Numbers

Array = npt.NDArray[Any]


def chains_of(
    model: TabularModel, networks: Sequence[Network], integers: Sequence[Integers] | None
) -> list[list[Step]]:
    """What each network does to a row of the table.

    Parameters
    ----------
    model : TabularModel
    networks : sequence of Network
        Its members, of float32.
    integers : sequence of mapping, or None
        Their weights as int8; those of the first layer are `tabulated` ones.

    Returns
    -------
    list of list of Step

    Raises
    ------
    ValueError
        If the first layer of a network is not `Dense`.
    """
    chains = []
    for i, net in enumerate(networks):
        prefix = "" if len(networks) == 1 else f"net_{i}_"
        first, *others = [
            _prefixed(s, prefix) for s in steps_of(net, integers[i] if integers else None)
        ]
        if not first.function.startswith("dense"):
            raise ValueError(f"networks[{i}] must begin with a Dense layer, got {net.layers[0]!r}")
        chains.append([*_first_layer(model.encoding, first), *others])
    return chains


def ending_of(model: TabularModel) -> list[Step]:
    """What makes the model's output of the sum of the networks'."""
    target, n_members = model.target, len(model.networks)
    if target.task == "regression":
        check_number(f"target {target.name!r}", target.center, target.scale)
        numbers = {
            "factor": np.array([target.scale / n_members], np.float32),
            "term": np.array([target.center], np.float32),
        }
        return [Step("scale", 1, 1, numbers)]
    n = target.n_outputs
    return [Step("divide", n, n, {}, (float(n_members),))] if n_members > 1 else []


def tabulated(encoding: Encoding, weights: Array) -> Array:
    """The weights of a first layer, with a row for each edge in the place of the ramps.

    Between two edges, what all ramps of a number add goes from the one row to the other in a
    straight line.

    Parameters
    ----------
    encoding : Encoding
    weights : ndarray of shape (encoding.width, n_units)

    Returns
    -------
    ndarray of float64, of shape (n_rows, n_units)
    """
    rows = []
    for name, place in encoding.places.items():
        own = weights[place].astype(np.float64)
        numbers = numbers_of(encoding.encoders[name])
        if numbers is not None and numbers.n_ramps:
            n = numbers.n_ramps
            heights = numbers.height * (np.tri(n + 1, n, -1) - 0.5)
            own = np.concatenate([own[:1], heights @ own[1 : 1 + n], own[1 + n :]])
        rows.append(own)
    return np.concatenate(rows)


def untabulated(encoding: Encoding, rows: Array) -> Array:
    """The weights that `tabulated` makes such rows of; those of first and last edges are opposite.

    Returns
    -------
    ndarray of float64, of shape (encoding.width, n_units)
    """
    weights = []
    for encoder in encoding.encoders.values():
        n_rows = _n_rows(encoder)
        own, rows = rows[:n_rows].astype(np.float64), rows[n_rows:]
        numbers = numbers_of(encoder)
        if numbers is not None and numbers.n_ramps:
            end = 2 + numbers.n_ramps
            ramps = np.diff(own[1:end], axis=0) / numbers.height
            own = np.concatenate([own[:1], ramps, own[end:]])
        weights.append(own)
    return np.concatenate(weights)


def _prefixed(step: Step, prefix: str) -> Step:
    return replace(step, constants={f"{prefix}{name}": a for name, a in step.constants.items()})


def _n_rows(encoder: Numbers | Categories | Dates) -> int:
    """Rows of `tabulated`."""
    numbers = numbers_of(encoder)
    return encoder.width + (numbers is not None and numbers.n_ramps > 0)


def _first_layer(encoding: Encoding, dense: Step) -> list[Step]:
    """A dense step as steps that read the columns of a table."""
    (of_weights, weights), *_, (of_bias, bias) = dense.constants.items()
    n_columns, n_out = len(encoding.encoders), dense.n_out
    steps = [Step("start", n_columns, n_out, {of_bias: bias})]
    suffix, rows = "", weights
    if dense.function == "dense_int8":
        steps = [Step("clear", n_columns, n_out, {})]
        suffix = "_int8"
    else:
        rows = tabulated(encoding, weights).astype(np.float32)
    words = identifiers(list(encoding.encoders))
    for i, (name, encoder) in enumerate(encoding.encoders.items()):
        n_rows = _n_rows(encoder)
        own, rows = rows[:n_rows], rows[n_rows:]
        for function, constants, n, numbers in _parts(name, encoder, words[i]):
            part, own = own[:n], own[n:]
            arrays = {**constants, f"{of_weights}_{function}_{words[i]}": part}
            steps.append(Step(function + suffix, 1, n_out, arrays, numbers, column=i))
    if dense.function == "dense_int8":
        _, (of_scale, scale), _ = dense.constants.items()
        steps.append(Step("scale", n_out, n_out, {of_scale: scale, of_bias: bias}))
    return steps


_Part = tuple[str, dict[str, Array], int, tuple[float, ...]]


def _parts(name: str, encoder: Numbers | Categories | Dates, word: str) -> list[_Part]:
    """Function, constants, rows of weights and numbers of the steps of a column."""
    if isinstance(encoder, Categories):
        n = len(encoder.levels)
        of_others = n if encoder.rare else -1
        of_missing = encoder.width - 1 if encoder.is_marked else -1
        return [("category", {}, encoder.width, (n, of_others, of_missing))]
    of_number = encoder.days if isinstance(encoder, Dates) else encoder
    check_number(f"column {name!r}", of_number.center, of_number.scale)
    place = np.array([*halves(of_number.center), of_number.scale], np.float32)
    parts: list[_Part] = [("number", {f"place_{word}": place}, 1, ())]
    if of_number.n_ramps:
        edges, gaps = edges_and_gaps(of_number)
        first, rest = halves(edges)
        arrays = {f"edges_{word}": first, f"rests_{word}": rest, f"gaps_{word}": gaps}
        parts.append(("ramps", arrays, len(edges), (len(gaps),)))
    if of_number.is_marked:
        parts.append(("missing", {}, 1, ()))
    if isinstance(encoder, Dates):
        middle = middle_of(encoder)
        arrays = {f"middle_{word}": middle}
        parts.append(("circles", arrays, len(middle), (len(middle) // 2,)))
    return parts

"""ONNX: the encoding of a table, from one number a column to the inputs of the networks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn.exchange.onnx_graph import Graph
from fastnn.exchange.table_numbers import (
    check_number,
    edges_and_gaps,
    halves,
    middle_of,
    numbers_of,
)
from fastnn.tabular import TabularModel
from fastnn.tabular.encoding import Categories, Dates, Encoding, Numbers

Array = npt.NDArray[Any]

_FLOAT = 1  # of TensorProto.DataType


def properties(model: TabularModel) -> dict[str, str]:
    """What the numbers of a row and the outputs are, as JSON.

    Returns
    -------
    dict of str to str
        ``"columns"``: a list of objects with ``name``, ``kind`` and, of categories, ``levels`` in
        the order of their codes. ``"target"``: an object with ``name``, ``task`` and ``classes``.
    """
    kinds = {column.name: column.kind for column in model.columns}
    columns = []
    for name, encoder in model.encoding.encoders.items():
        column: dict[str, Any] = {"name": name, "kind": kinds[name]}
        if isinstance(encoder, Categories):
            column["levels"] = [*encoder.levels, *encoder.rare]
        columns.append(column)
    target = model.target
    about = {"name": target.name, "task": target.task, "classes": target.classes}
    return {"columns": json.dumps(columns), "target": json.dumps(about)}


def encoded(graph: Graph, encoding: Encoding) -> str:
    """Nodes that make the inputs of the networks of X; gives the name of what they make.

    What is done to all columns of a kind is one node.

    Raises
    ------
    ValueError
        If float32 cannot hold a column.
    """
    inputs = _Inputs(graph)
    _add_numbers(inputs, encoding)
    _add_categories(inputs, encoding)
    _add_circles(inputs, encoding)
    return inputs.joined()


class _Inputs:
    """Inputs, which are made kind by kind, and put in their order at the end."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._parts: list[str] = []
        self._places: list[int] = []

    def begin(self, columns: Sequence[int]) -> str:
        """A chain that begins with these columns of X."""
        self.graph.end = "X"
        return self.graph.node("Gather", np.array(columns, np.int64), axis=1)

    def finish(self, places: Sequence[int]) -> None:
        """The end of the chain is the inputs at these places."""
        self._parts.append(self.graph.end)
        self._places += places

    def finish_truths(self, places: Sequence[int]) -> None:
        """The same of truths, which become 1 and 0."""
        self.graph.node("Cast", to=_FLOAT)
        self.finish(places)

    def finish_where(self, is_there: str, others: Array, places: Sequence[int]) -> None:
        """The same, with other inputs where `is_there` is false."""
        graph = self.graph
        graph.append("Where", [is_there, graph.end, graph.constant(others.astype(np.float32))])
        self.finish(places)

    def joined(self) -> str:
        """All of them."""
        self.graph.append("Concat", self._parts, axis=1)
        return self.graph.node("Gather", np.argsort(self._places), axis=1)


def _add_numbers(inputs: _Inputs, encoding: Encoding) -> None:
    """Standardised numbers, ramps, and marks of missing ones; of dates too."""
    found: list[tuple[int, int, Numbers]] = []  # column, first input
    for i, (name, encoder) in enumerate(encoding.encoders.items()):
        numbers = numbers_of(encoder)
        if numbers is not None:
            check_number(f"column {name!r}", numbers.center, numbers.scale)
            found.append((i, encoding.places[name].start, numbers))
    if not found:
        return
    graph = inputs.graph
    columns, places, encoders = zip(*found, strict=True)
    is_there = _is_number(inputs, columns)
    inputs.begin(columns)
    _subtract(graph, [numbers.center for numbers in encoders])
    graph.node("Div", np.array([numbers.scale for numbers in encoders], np.float32))
    s = _clip(graph, -1e6, 1e6)
    graph.append("Mul", [s, s])
    graph.node("Div", np.float32(9))
    graph.node("Add", np.float32(1))
    graph.append("Div", [s, graph.node("Sqrt")])
    inputs.finish_where(is_there, np.zeros(1), places)

    with_ramps = [each for each in found if each[2].n_ramps]
    if with_ramps:
        repeated = [i for i, _, numbers in with_ramps for _ in range(numbers.n_ramps)]
        ramps = [1 + p + k for _, p, numbers in with_ramps for k in range(numbers.n_ramps)]
        edges, gaps = zip(*(edges_and_gaps(numbers) for *_, numbers in with_ramps), strict=True)
        heights = [np.repeat(numbers.height, numbers.n_ramps) for *_, numbers in with_ramps]
        is_there = _is_number(inputs, repeated)
        inputs.begin(repeated)
        _subtract(graph, np.concatenate([each[:-1] for each in edges]))
        graph.node("Div", np.concatenate(gaps))
        _clip(graph, 0, 1)
        graph.node("Sub", np.float32(0.5))
        graph.node("Mul", np.concatenate(heights).astype(np.float32))
        inputs.finish_where(is_there, np.zeros(1), ramps)

    marked = [(i, p + numbers.width - 1) for i, p, numbers in found if numbers.is_marked]
    if marked:
        columns, places = zip(*marked, strict=True)
        inputs.begin(columns)
        graph.node("IsNaN")
        inputs.finish_truths(places)


def _add_categories(inputs: _Inputs, encoding: Encoding) -> None:
    """One-hot codes, those of other categories, and marks of missing ones."""
    graph = inputs.graph
    found = [
        (i, encoding.places[name].start, encoder)
        for i, (name, encoder) in enumerate(encoding.encoders.items())
        if isinstance(encoder, Categories)
    ]
    own = [(i, p + k, k) for i, p, encoder in found for k in range(len(encoder.levels))]
    if own:
        columns, places, codes = zip(*own, strict=True)
        inputs.begin(columns)
        graph.node("Equal", np.array(codes, np.float32))
        inputs.finish_truths(places)

    others = [(i, p + len(e.levels), len(e.levels)) for i, p, e in found if e.rare]
    if others:
        columns, places, counts = zip(*others, strict=True)
        is_missing = _is_no_category(inputs, columns)
        x = inputs.begin(columns)
        is_code = [graph.node("GreaterOrEqual", np.float32(0))]
        graph.end = x
        is_code.append(graph.node("Less", np.array(counts, np.float32)))
        graph.end = x
        is_code.append(graph.append("Equal", [x, graph.node("Floor")]))
        graph.append("And", [graph.append("And", is_code[:2]), is_code[2]])
        graph.append("Or", [graph.end, is_missing])
        graph.node("Not")
        inputs.finish_truths(places)

    marked = [(i, p + encoder.width - 1) for i, p, encoder in found if encoder.is_marked]
    if marked:
        columns, places = zip(*marked, strict=True)
        _is_no_category(inputs, columns)
        inputs.finish_truths(places)


def _add_circles(inputs: _Inputs, encoding: Encoding) -> None:
    """The place of a date in its year, week and day."""
    graph = inputs.graph
    found = [
        (i, encoding.places[name].start + encoder.days.width, encoder)
        for i, (name, encoder) in enumerate(encoding.encoders.items())
        if isinstance(encoder, Dates)
    ]
    for period, turns in enumerate((_years, _weeks, _days)):
        dates = [each for each in found if period < 2 or each[2].has_hours]
        if not dates:
            continue
        columns, places, encoders = zip(*dates, strict=True)
        middles = [middle_of(encoder) for encoder in encoders]
        x = inputs.begin(columns)
        graph.append("Sub", [x, x])  # NaN where x is infinite
        graph.node("IsNaN")
        is_there = graph.node("Not")
        turns(graph, x)
        angle = graph.node("Mul", np.float32(2 * np.pi))
        for k, function in enumerate(("Sin", "Cos"), 2 * period):
            graph.end = angle
            graph.node(function)
            inputs.finish_where(
                is_there,
                np.array([middle[k] for middle in middles]),
                [place + k for place in places],
            )


def _is_number(inputs: _Inputs, columns: Sequence[int]) -> str:
    inputs.begin(columns)
    inputs.graph.node("IsNaN")
    return inputs.graph.node("Not")


def _is_no_category(inputs: _Inputs, columns: Sequence[int]) -> str:
    codes = inputs.begin(columns)
    is_minus_one = inputs.graph.node("Equal", np.float32(-1))
    inputs.graph.end = codes
    return inputs.graph.append("Or", [inputs.graph.node("IsNaN"), is_minus_one])


def _subtract(graph: Graph, numbers: npt.ArrayLike) -> None:
    for half in halves(numbers):
        graph.node("Sub", half)


def _clip(graph: Graph, low: float, high: float) -> str:
    return graph.node("Clip", np.float32(low), np.float32(high))


def _years(graph: Graph, x: str) -> None:
    """The turns of a circle that a date of x is behind the beginning of its year."""
    graph.end = x
    graph.node("Div", np.float32(365.2425))
    years = graph.node("Floor")
    whole = graph.node("Mul", np.float32(365.25))  # exact
    graph.end = years
    rest = graph.node("Mul", np.float32(0.0075))
    graph.append("Add", [graph.append("Sub", [x, whole]), rest])
    graph.node("Div", np.float32(365.2425))


def _weeks(graph: Graph, x: str) -> None:
    graph.end = x
    graph.node("Div", np.float32(7))
    graph.node("Floor")
    graph.append("Sub", [x, graph.node("Mul", np.float32(7))])
    graph.node("Div", np.float32(7))


def _days(graph: Graph, x: str) -> None:
    graph.end = x
    graph.append("Sub", [x, graph.node("Floor")])

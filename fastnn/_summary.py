"""What `Network.summary` and a notebook show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastnn._html import html_table
from fastnn.layers import Dense

if TYPE_CHECKING:
    from fastnn.network import Network

_HEADER = ("layer", "activation", "W", "b", "Z = A_prev W + b", "A", "parameters")


class Text(str):
    """A string that an interactive session shows as it is printed."""

    def __repr__(self) -> str:
        return str(self)


def summarise(net: Network) -> Text:
    """The table of a network's dimensions."""
    rows = [_HEADER, *_rows(net)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    lines = ["  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "-" * len(lines[0]))
    return Text("\n".join(line.rstrip() for line in lines) + "\n\n" + "   ".join(_facts(net)))


def as_html(net: Network) -> str:
    """The same table as HTML: what a notebook shows of a network."""
    caption = ", ".join([type(net).__name__, *_facts(net)])
    return html_table(_HEADER, _rows(net), caption, align="left")


def _rows(net: Network) -> list[tuple[str, ...]]:
    """The cells of each layer, below those of `_HEADER`."""
    rows: list[tuple[str, ...]] = []
    n_features = net.n_features
    n_in: Any = n_features or "?"
    for number, layer in enumerate(net.layers, start=1):
        operation = layer.operation(n_features or 1, 0)
        n_out = operation.n_units if n_features or isinstance(layer, Dense) else n_in
        is_dense = isinstance(layer, Dense)
        weights = f"({n_in}, {n_out})" if is_dense else f"({n_out},)"
        n_rows = operation.weight_rows + operation.has_bias
        is_known = n_in != "?" or n_rows == 0
        frozen = "" if layer.trainable else ", frozen"
        rows.append(
            (
                str(number),
                layer.activation if isinstance(layer, Dense) else repr(layer),
                weights if operation.weight_rows > 0 else "",
                f"({n_out},)" if operation.has_bias else "",
                f"(n, {n_out})" if is_dense else "",
                f"(n, {n_out})",
                (f"{n_rows * operation.n_units:,}" if is_known else "?") + frozen,
            )
        )
        n_in = n_out
        n_features = None if n_out == "?" else n_out
    return rows


def _facts(net: Network) -> list[str]:
    """What is of the whole network."""
    n_parameters = "?" if net.n_features is None else f"{net.n_parameters:,}"
    return [
        f"X: (n, {net.n_features or '?'})",
        f"loss: {net.loss.label}",
        f"dtype: {net.dtype}",
        f"parameters: {n_parameters}",
    ]

"""The table that `Network.summary` gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastnn.network import Network


def summary(net: Network) -> str:
    """See `Network.summary`."""
    header = ("layer", "activation", "W", "b", "Z = A_prev W + b", "A", "parameters")
    rows = [header]
    n_in: Any = net.n_features or "?"
    n_features, n_parameters = n_in, "?" if n_in == "?" else f"{net.n_parameters:,}"
    for number, layer in enumerate(net.layers, start=1):
        n_out = layer.n_units
        rows.append(
            (
                str(number),
                layer.activation,
                f"({n_in}, {n_out})",
                f"({n_out},)",
                f"(n, {n_out})",
                f"(n, {n_out})",
                "?" if n_in == "?" else f"{n_in * n_out + n_out:,}",
            )
        )
        n_in = n_out
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    lines = ["  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "-" * len(lines[0]))
    return _Text(
        "\n".join(line.rstrip() for line in lines)
        + f"\n\nX: (n, {n_features})   loss: {net.loss}   dtype: {net.dtype}"
        + f"   parameters: {n_parameters}"
    )


class _Text(str):
    """A string that an interactive session shows as it is printed."""

    def __repr__(self) -> str:
        return str(self)

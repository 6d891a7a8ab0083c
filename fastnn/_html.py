"""Tables as HTML, for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal


def html_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    caption: str,
    *,
    align: Literal["left", "right"],
    bold: frozenset[tuple[int, int]] = frozenset(),
) -> str:
    """A table as HTML.

    Parameters
    ----------
    header : sequence of str
        The names of the columns.
    rows : sequence of sequence of str
    caption : str
        A line below the table.
    align : {"left", "right"}
        Of the cells and the names above them.
    bold : frozenset of (int, int)
        Row and column of the cells that are marked.

    Returns
    -------
    str
        All texts are escaped.
    """
    from html import escape

    # Of each cell: a style sheet would change all tables of a notebook
    place = f' style="text-align: {align}"'
    lines = ["<table>", "<thead>", "<tr>"]
    lines += [f"<th{place}>{escape(name)}</th>" for name in header]
    lines += ["</tr>", "</thead>", "<tbody>"]
    for i, row in enumerate(rows):
        cells = [
            f"<b>{escape(cell)}</b>" if (i, j) in bold else escape(cell)
            for j, cell in enumerate(row)
        ]
        lines.append("<tr>" + "".join(f"<td{place}>{cell}</td>" for cell in cells) + "</tr>")
    lines += ["</tbody>", "</table>", f"<p>{escape(caption)}</p>"]
    return "\n".join(lines)

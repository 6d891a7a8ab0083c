"""The report of a training: one HTML file with its pictures in it."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import fastnn
from fastnn._extras import import_extra

#: Numbers of held-out rows, and what is predicted for them.
Points = tuple[npt.NDArray[Any], npt.NDArray[Any]]

_BLUE, _MOST_BARS, _MOST_CLASSES = "#0072b2", 25, 20

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 60em; margin: 2em auto;
  padding: 0 1em }
h1 { font-size: 1.6em } h2 { font-size: 1.15em; margin-top: 2em }
pre { overflow-x: auto; font-size: 0.85em; line-height: 1.4 }
img { max-width: 100% } footer { color: #666; font-size: 0.85em; margin-top: 3em }
"""


def write_report(
    path: Path,
    result: Mapping[str, Any],
    tables: Mapping[str, str],
    points: Points | None = None,
) -> None:
    """Writes the report.

    Parameters
    ----------
    path : pathlib.Path
    result : mapping of str to object
        What ``fastnn train --json`` prints.
    tables : mapping of str to str
        What ``fastnn train`` prints: texts by heading.
    points : (ndarray, ndarray), optional
        Numbers of held-out rows, and what is predicted for them.

    Raises
    ------
    OSError
        If it cannot be written.

    Warns
    -----
    UserWarning
        If there are no pictures in it, because matplotlib is not installed.
    """
    target = result["target"]["name"]
    parts = [f"<h1>{escape(target)} of {escape(result['data'])}</h1>"]
    for heading, text in tables.items():
        parts.append(f"<h2>{escape(heading)}</h2>\n<pre>{escape(text)}</pre>")
    parts.append("<h2>pictures</h2>")
    try:
        pictures = _pictures(result, points)
    except ImportError as error:
        missing = f"the report has no pictures: {error}"
        warnings.warn(missing, stacklevel=2)
        pictures = [f"<p>{escape(missing)}</p>"]
    members = "one network" if result["members"] == 1 else f"{result['members']} networks"
    warned = "".join(f"<p>{escape(text)}</p>" for text in result["warnings"])
    if warned:
        parts.insert(1, f"<h2>warnings</h2>\n{warned}")
    page = "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">',
            f"<title>{escape(target)} of {escape(result['data'])}</title>",
            f"<style>{_STYLE}</style>",
            *parts,
            *pictures,
            f"<footer>fastnn {fastnn.__version__}: {members}, seed {result['seed']}</footer>",
            "</html>\n",
        ]
    )
    path.write_text(page, encoding="utf-8")


def _pictures(result: Mapping[str, Any], points: Points | None) -> list[str]:
    """As HTML: the confusion table, or predictions beside the truth; the importance of columns."""
    pictures = []
    classes = result["target"]["classes"]
    if result["confusion"] and len(classes) <= _MOST_CLASSES:
        side = 2.5 + 0.45 * len(classes)
        pictures.append(_picture("classes", (side + 1, side), _draw_confusion, result))
    if points is not None:
        pictures.append(_picture("predictions", (5, 4.5), _draw_points, points))
    if result["importance"]:
        height = 1.2 + 0.3 * min(len(result["importance"]), _MOST_BARS)
        pictures.append(_picture("importance", (7, height), _draw_importance, result))
    return pictures


def _picture(name: str, size: tuple[float, float], draw: Any, content: Any) -> str:
    import_extra("matplotlib", "matplotlib", "plot")
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "fastnn", "svg.fonttype": "path"}):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.add_subplot(), content)
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    data = base64.b64encode(file.getvalue()).decode()
    return f'<p><img alt="{escape(name)}" src="data:image/svg+xml;base64,{data}"></p>'


def _draw_confusion(axes: Any, result: Mapping[str, Any]) -> None:
    counts = np.array(result["confusion"])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (i, j), share in np.ndenumerate(shares):
        colour = "white" if share > 0.5 else "black"
        axes.text(j, i, str(counts[i, j]), ha="center", va="center", color=colour)
    names = [_shortened(str(name)) for name in result["target"]["classes"]]
    axes.set_xticks(range(len(names)), names, rotation=90 if len(names) > 4 else 0)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title("rows that were held out")


def _draw_points(axes: Any, points: Points) -> None:
    true, predicted = points
    axes.plot(true, predicted, ".", color=_BLUE, alpha=0.5)
    axes.axline((true[0], true[0]), slope=1, color="black", linewidth=1)
    axes.set_xlabel("true")
    axes.set_ylabel("predicted")
    axes.set_title("rows that were held out")


def _draw_importance(axes: Any, result: Mapping[str, Any]) -> None:
    entries = list(result["importance"].items())[:_MOST_BARS][::-1]
    axes.barh([_shortened(name) for name, _ in entries], [v for _, v in entries], color=_BLUE)
    score = "R2" if result["target"]["task"] == "regression" else "the area under the ROC curve"
    axes.set_xlabel(f"fall of {score} where the column is shuffled")
    axes.set_title("importance of the columns")


def _shortened(name: str) -> str:
    return name if len(name) <= 24 else name[:23] + "…"

"""The report of a training: one HTML file with its pictures in it."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import fastnn
from fastnn import plots
from fastnn._extras import import_extra
from fastnn.cli.printing import short, text_table, write_text
from fastnn.history import History, format_number

_MOST_MEMBERS = 16  # that are listed

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 60em; margin: 2em auto;
  padding: 0 1em; overflow-wrap: anywhere }
h1 { font-size: 1.6em } h2 { font-size: 1.15em; margin-top: 2em }
pre { overflow-x: auto; font-size: 0.85em; line-height: 1.4; overflow-wrap: normal }
img { max-width: 100% } footer { color: #666; font-size: 0.85em; margin-top: 3em }
"""


@dataclass(frozen=True)
class HeldOut:
    """Some rows that were held out, and what the model makes of them.

    Attributes
    ----------
    true : ndarray of shape (n_rows,)
        Numbers, or classes.
    output : ndarray of shape (n_rows,) or (n_rows, n_classes)
        Predicted numbers, or the probabilities of the classes in ascending order.
    """

    true: npt.NDArray[Any]
    output: npt.NDArray[Any]


def write_report(
    path: Path,
    result: Mapping[str, Any],
    tables: Mapping[str, str],
    histories: Sequence[History] = (),
    held_out: HeldOut | None = None,
) -> None:
    """Writes the report.

    Parameters
    ----------
    path : pathlib.Path
    result : mapping of str to object
        What ``fastnn train --json`` prints.
    tables : mapping of str to str
        What ``fastnn train`` prints: texts by heading.
    histories : sequence of History
        Of the members.
    held_out : HeldOut, optional


    Raises
    ------
    OSError
        If it cannot be written.

    Warns
    -----
    UserWarning
        If there are no pictures in it, because matplotlib is not installed.
    """
    title = escape(f"{short(result['target']['name'])} of {result['data']}")
    parts = [f"<h1>{title}</h1>"]
    if result["warnings"]:
        parts.append("<h2>warnings</h2>")
        parts += [f"<p>{escape(text)}</p>" for text in result["warnings"]]
    for heading, text in {**tables, **_training_tables(histories)}.items():
        parts.append(f"<h2>{escape(heading)}</h2>\n<pre>{escape(text)}</pre>")
    parts.append("<h2>pictures</h2>")
    try:
        import_extra("matplotlib", "matplotlib", "plot")
        parts += _pictures(result, histories, held_out)
    except ImportError as error:
        missing = f"the report has no pictures: {error}"
        warnings.warn(missing, stacklevel=2)
        parts.append(f"<p>{escape(missing)}</p>")
    members = "one network" if result["members"] == 1 else f"{result['members']} networks"
    page = "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">',
            f"<title>{title}</title>",
            f"<style>{_STYLE}</style>",
            *parts,
            f"<footer>fastnn {fastnn.__version__}: {members}, seed {result['seed']}</footer>",
            "</html>\n",
        ]
    )
    write_text(path, page)


def _training_tables(histories: Sequence[History]) -> dict[str, str]:
    """How the members were trained: all of them in a line each, and the first by epoch."""
    if not histories:
        return {}
    head = ("member", "epochs", "best epoch", "its loss", "its validation loss")
    rows = []
    for i, history in enumerate(histories[:_MOST_MEMBERS]):
        best = history.best_epochs["val_loss"]
        losses = (format_number(history[name][best - 1]) for name in ("loss", "val_loss"))
        rows.append((f"{i + 1}", f"{history.n_epochs}", f"{best}", *losses))
    more = f", {_MOST_MEMBERS} of {len(histories)}" * (len(histories) > _MOST_MEMBERS)
    return {
        f"training, ended by the validation loss{more}": text_table([head, *rows]),
        "the first member by epoch": histories[0].table(12),
    }


def _pictures(
    result: Mapping[str, Any], histories: Sequence[History], held_out: HeldOut | None
) -> list[str]:
    """As HTML: the training, the predictions of rows that were held out, what columns are worth."""
    pictures = []
    if histories:
        pictures.append(_picture("learning curves", lambda: _learning_curves(histories)))
    if result["confusion"]:
        pictures.append(_picture("confusion matrix", lambda: _confusion_matrix(result)))
    if held_out is not None and result["target"]["task"] == "regression":
        draw = plots.predicted_vs_true
        pictures.append(_of_rows("predictions", draw, held_out))
    elif held_out is not None and _has_two_classes(held_out):
        pictures += [
            _of_rows("receiver operating characteristic", plots.roc, held_out),
            _of_rows("precision and recall", plots.precision_recall, held_out),
            _of_rows("calibration", plots.calibration, held_out),
        ]
    if result["importance"]:
        pictures.append(_picture("importance of the columns", lambda: _importance(result)))
    return pictures


def _has_two_classes(rows: HeldOut) -> bool:
    """Whether the target has two classes, and these rows have both."""
    return rows.output.shape[1] == 2 and len(np.unique(rows.true)) == 2


def _of_rows(name: str, draw: Callable[..., Any], rows: HeldOut) -> str:
    text = f"{name}, of {len(rows.true)} rows that were held out"
    return _picture(name, lambda: draw(rows.true, rows.output), text)


def _picture(name: str, draw: Callable[[], Any], text: str | None = None) -> str:
    """What `draw` draws and gives the Axes of, with `text` or else its name above it."""
    from matplotlib import rc_context

    with (
        rc_context({"svg.hashsalt": "fastnn", "svg.fonttype": "path", "text.parse_math": False}),
        warnings.catch_warnings(),
    ):
        # Names may have letters that no font has; the tables have them.
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        file = io.BytesIO()
        draw().figure.savefig(file, format="svg", metadata={"Date": None})
    data = base64.b64encode(file.getvalue()).decode()
    image = f'<img alt="{escape(name)}" src="data:image/svg+xml;base64,{data}">'
    return f"<p>{escape(text or name)}<br>\n{image}</p>"


def _learning_curves(histories: Sequence[History]) -> Any:
    axes = plots.learning_curves(histories)
    for panel in axes:
        for i, history in enumerate(histories):
            label = "best epoch" if i == 0 else None
            best = history.best_epochs["val_loss"]
            panel.axvline(best, color="black", linestyle=":", linewidth=1, label=label)
        panel.legend(fontsize="small")
    return axes[0]


def _confusion_matrix(result: Mapping[str, Any]) -> Any:
    counts = np.array(result["confusion"])
    classes = np.array(result["target"]["classes"])
    true, predicted = (np.repeat(places, counts.ravel()) for places in np.indices(counts.shape))
    return plots.confusion_matrix(classes[true], classes[predicted])


def _importance(result: Mapping[str, Any]) -> Any:
    ax = plots.importance(result["importance"])
    score = "R2" if result["target"]["task"] == "regression" else "the area under the ROC curve"
    ax.set_xlabel(f"fall of {score} where the column is shuffled")
    return ax

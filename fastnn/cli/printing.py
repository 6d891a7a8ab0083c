"""What commands print and write: tables of text, or one JSON object."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from fastnn import _files
from fastnn.history import format_number
from fastnn.tabular import Column, Confusion, TabularModel
from fastnn.tabular.summary import score_labels

#: Scores of a model and of what it is compared with, as `TabularModel.compare` gives them.
Scores = Mapping[str, Mapping[str, float]]

_MOST_COLUMNS = 40  # that are listed; of more, the kinds are counted
_MOST_CLASSES = 20  # whose confusion table is printed
_BAR = 30  # characters
_LONGEST = 60  # of a name


def text_table(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Rows in columns, the first row being the head; the first `left` columns begin at the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def short(name: object) -> str:
    """A name in one line, not too long for a table."""
    text = " ".join(str(name).split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def columns_table(columns: Sequence[Column]) -> str:
    """What each column is, and what is done with it; of very many, how many are of each kind."""
    if len(columns) <= _MOST_COLUMNS:
        rows = [(short(column.name), column.kind, column.note) for column in columns]
        return text_table([("column", "kind", "what is done with it"), *rows], left=3)
    kinds: dict[tuple[str, str], int] = {}
    for column in columns:
        used = "used" if column.used else "left out"
        kinds[column.kind, used] = kinds.get((column.kind, used), 0) + 1
    counted = [(kind, used, str(count)) for (kind, used), count in kinds.items()]
    return text_table([("kind", "", "columns"), *counted], left=2)


def scores_table(scores: Scores, task: str) -> str:
    """Scores beside those of a linear model and of a baseline."""
    names = list(scores["model"])
    rows = [
        (label, *(format_number(scores[key][name] + 0.0) for name in names))
        for key, label in score_labels(task).items()
        if key in scores
    ]
    return text_table([("", *names), *rows])


def confusion_text(confusion: Confusion) -> str:
    """A confusion table; of very many classes, what is confused most."""
    if len(confusion.classes) <= _MOST_CLASSES:
        return str(replace(confusion, classes=tuple(map(short, confusion.classes))))
    wrong = confusion.counts.copy()
    for i in range(len(wrong)):
        wrong[i, i] = 0
    order = (-wrong).ravel().argsort(kind="stable")[:10]
    pairs = [divmod(int(place), len(wrong)) for place in order if wrong.ravel()[place]]
    names = list(map(short, confusion.classes))
    rows = [(names[true], names[taken], str(wrong[true, taken])) for true, taken in pairs]
    return text_table([("true", "predicted", "rows"), *rows], left=2)


def importance_table(importance: Mapping[str, float]) -> str:
    """What each column is worth, with bars."""
    largest = max(max(importance.values(), default=0.0), 1e-12)
    rows = [
        (short(name), f"{value:.4f}", "#" * round(_BAR * max(value, 0.0) / largest))
        for name, value in list(importance.items())[:_MOST_COLUMNS]
    ]
    width = max(len(name) for name, _, _ in rows)
    return "\n".join(f"{a.ljust(width)}  {b:>8}  {c}".rstrip() for a, b, c in rows)


def plain_model(model: TabularModel) -> dict[str, Any]:
    """What a model predicts from what, and how well, as JSON knows it."""
    target = model.target
    return {
        "target": {"name": target.name, "task": target.task, "classes": list(target.classes)},
        "columns": [asdict(column) for column in model.columns],
        "scores": model.validation_scores,
    }


def write_text(path: Path, text: str) -> None:
    """Writes a file, which holds its old content or the new one, never a part."""
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")  # a pipe or a device has no old content
    else:
        _files.replace_file(path, [text.encode()])


def print_json(content: Mapping[str, Any]) -> None:
    """One JSON object, in which what is not finite is null."""
    print(json.dumps(_plain(content), allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value

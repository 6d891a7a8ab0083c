"""What a notebook shows of a model for tables, and what scores are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastnn._html import html_table
from fastnn.history import format_number
from fastnn.metrics import larger_is_better
from fastnn.tabular.columns import Column
from fastnn.tabular.scores import Scores

if TYPE_CHECKING:
    from fastnn.tabular.model import TabularModel

_MOST_COLUMNS = 40  # that are listed; of more, the kinds are counted


def score_labels(task: str) -> dict[str, str]:
    """What the entries of `TabularModel.compare` are called."""
    if task == "regression":
        return {"model": "this model", "linear": "linear regression", "baseline": "the mean"}
    return {
        "model": "this model",
        "linear": "logistic regression",
        "baseline": "the most frequent class",
    }


def as_html(model: TabularModel) -> str:
    """The columns of a fitted model, and its scores beside those of simpler ones, as tables."""
    target, columns = model.target, model.columns
    used = sum(column.used for column in columns)
    members = "one network" if model.members == 1 else f"{model.members} networks"
    caption = (
        f"{type(model).__name__}: {target.task} of {target.name!r} from {used} of {len(columns)} "
        f"columns, {members}, seed {model.seed}"
    )
    return f"{_columns(columns, caption)}\n{_scores(model.validation_scores, target.task)}"


def _columns(columns: Sequence[Column], caption: str) -> str:
    if len(columns) <= _MOST_COLUMNS:
        rows = [(column.name, column.kind, column.note) for column in columns]
        return html_table(("column", "kind", "what is done with it"), rows, caption, align="left")
    kinds = Counter((column.kind, "used" if column.used else "left out") for column in columns)
    counted = [(*kind, f"{count:,}") for kind, count in kinds.items()]
    return html_table(("kind", "", "columns"), counted, caption, align="left")


def _scores(scores: dict[str, Scores], task: str) -> str:
    """The best of each score is bold."""
    labels = {key: label for key, label in score_labels(task).items() if key in scores}
    names = list(scores["model"])
    rows = [
        (label, *(format_number(scores[key][name] + 0.0) for name in names))
        for key, label in labels.items()
    ]
    bold = set()
    for j, name in enumerate(names, start=1):
        values = [scores[key][name] for key in labels]
        best = (max if larger_is_better(name) else min)(values)
        bold |= {(i, j) for i, value in enumerate(values) if value == best}
    caption = "scores on rows that were held out, by which the best epoch was chosen"
    return html_table(("", *names), rows, caption, align="right", bold=frozenset(bold))

"""``fastnn evaluate``: how good a model is on rows whose target is known."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from fastnn.cli import printing
from fastnn.cli.parsing import Commands
from fastnn.cli.reading import n_rows_of, naming, read_table, refuse_absent, title
from fastnn.datasets import table_path
from fastnn.tabular import TabularModel


def add(commands: Commands) -> None:
    """Adds the command."""
    table = shlex.quote(str(table_path()))
    parser = commands.add_parser(
        "evaluate",
        help="score a model on a table",
        description="Prints how good the predictions are for rows whose target is known, beside "
        "those of a\nlinear model and of a baseline, and which classes are taken for which.",
        epilog=f"example:\n  fastnn train {table} --target late\n"
        f"  fastnn evaluate model.fastnn {table}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", type=Path, help="a file that fastnn train wrote")
    parser.add_argument("data", metavar="DATA", help="a table with the target")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    model = TabularModel.load(arguments.model)
    target = model.target
    expected = [*(column.name for column in model.columns), target.name]
    table = read_table(arguments.data, expected)
    name = title(arguments.data)
    refuse_absent(target.name, table, name)
    with naming(name):
        scores = model.compare(table)
        confusion = model.confusion(table) if target.task == "classification" else None
    n_rows = n_rows_of(table)
    if arguments.json:
        counts = confusion and confusion.counts.tolist()
        printing.print_json(
            {
                "data": name,
                "rows": n_rows,
                "target": printing.plain_model(model)["target"],
                "scores": scores,
                "confusion": counts,
            }
        )
        return
    print(f"scores on the {n_rows} rows of {name}")
    print(printing.scores_table(scores, target.task))
    if confusion is not None:
        print(f"\n{printing.confusion_text(confusion)}")

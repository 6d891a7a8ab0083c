"""``fastnn predict``: what a model says of the rows of a table."""

from __future__ import annotations

import argparse
import csv
import io
import shlex
import sys
from pathlib import Path

from fastnn.cli.parsing import Commands
from fastnn.cli.printing import write_text
from fastnn.cli.reading import naming, read_table, refuse_same, title
from fastnn.datasets import table_path
from fastnn.tabular import TabularModel


def add(commands: Commands) -> None:
    """Adds the command."""
    table = shlex.quote(str(table_path()))
    parser = commands.add_parser(
        "predict",
        help="predict a column of a table",
        description="Writes a CSV file with a line for each row of a table: what the model "
        "predicts. The\ncolumns of the table are found by their names, in any order; the target "
        "need not be there.",
        epilog=f"example:\n  fastnn train {table} --target late\n"
        f"  fastnn predict model.fastnn {table} --output predictions.csv",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", type=Path, help="a file that fastnn train wrote")
    parser.add_argument(
        "data", metavar="DATA", help="a table of any kind that fastnn train reads; - for standard "
        "input",
    )  # fmt: skip
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="where to write (default: standard output)"
    )
    parser.add_argument(
        "--probabilities", action="store_true", help="write the probability of each class too"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    if arguments.output is not None:
        refuse_same("--output", arguments.output, "MODEL", arguments.model)
        refuse_same("--output", arguments.output, "DATA", arguments.data)
    model = TabularModel.load(arguments.model)
    target = model.target
    names = [target.name]
    if arguments.probabilities:
        if not target.classes:
            raise ValueError(f"--probabilities needs classes, but {target.name!r} is a number")
        names += [f"probability of {name}" for name in target.classes]
    table = read_table(arguments.data, [column.name for column in model.columns])
    with naming(title(arguments.data)):
        if target.classes:
            probabilities = model.predict_proba(table)
            labels = target.decode(probabilities.argmax(axis=1)).tolist()
            rows = [[label] for label in labels]
            if arguments.probabilities:
                rows = [
                    [label, *(f"{p:.6g}" for p in line)]
                    for label, line in zip(labels, probabilities.tolist(), strict=True)
                ]
        else:
            rows = [[f"{value:.7g}"] for value in model.predict(table).tolist()]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    if arguments.output is None:
        sys.stdout.write(text.getvalue())
    else:
        write_text(arguments.output, text.getvalue())

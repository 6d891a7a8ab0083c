"""``fastnn train``: from a table to a model that predicts one of its columns."""

from __future__ import annotations

import argparse
import errno
import os
import shlex
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastnn import _validation
from fastnn.cli import interrupts, printing
from fastnn.cli.parsing import Commands
from fastnn.cli.reading import (
    CLASS,
    is_images,
    n_rows_of,
    naming,
    read_table,
    refuse_absent,
    refuse_same,
    rows_of,
    title,
)
from fastnn.cli.report import HeldOut, write_report
from fastnn.datasets import table_path
from fastnn.tabular import RECIPE, TabularModel
from fastnn.tabular.reading import listed
from fastnn.tabular.table_files import Table
from fastnn.tabular.values import read_cells

if TYPE_CHECKING:
    from fastnn._ranks import Exchange

_SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE")  # set by launchers of MPI
_MOST_ROWS = 2000  # held-out rows on which the importance of the columns is measured
_MOST_REPEATED = 50_000  # rows of a table whose columns are shuffled more than once for it


class Trained(NamedTuple):
    """What a model was trained on; with several ranks, the table has held-out rows alone."""

    table: Table
    n_rows: int
    n_held: int


def add(commands: Commands) -> None:
    """Adds the command."""
    table = shlex.quote(str(table_path()))
    parser = commands.add_parser(
        "train",
        help="train a model that predicts a column of a table",
        description="Works out what each column of a table is, fills, scales and encodes it, holds "
        "out\na part of the rows, trains, and prints what it did and how good the model is.\n"
        "Writes the model, and a report for a browser.",
        epilog=f"example:\n  fastnn train {table} --target late",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "data",
        metavar="DATA",
        help="a CSV, Parquet or NPZ file, - for standard input, or a folder with a sub-folder of "
        "images for each class",
    )
    parser.add_argument(
        "--target", metavar="COL", help=f"the column to predict (default for images: {CLASS})"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("model.fastnn"),
        metavar="FILE",
        help="where to write the model (default: model.fastnn)",
    )
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="where to write the report (default: as the model, with .html)",
    )
    parser.add_argument(
        "--validation",
        type=float,
        default=RECIPE.validation,
        metavar="SHARE",
        help=f"of the rows, to hold out (default: {RECIPE.validation:g})",
    )
    parser.add_argument(
        "--members",
        type=int,
        default=1,
        metavar="N",
        help="networks whose mean predicts; more are better and take longer (default: 1)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of all that is random (default: 0)"
    )
    parser.add_argument("--threads", type=int, metavar="N", help="the most to use (default: all)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.add_argument("--quiet", action="store_true", help="print nothing but warnings")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    if not _has_ranks():
        _train(arguments, None)
        return
    from fastnn import mpi

    is_first = True

    def train(exchange: Exchange) -> None:
        nonlocal is_first
        is_first = exchange.rank == 0
        _train(arguments, exchange)

    try:
        mpi.together(train)
    except Exception:
        if not is_first:  # rank 0 tells of it
            raise SystemExit(2) from None
        raise


def _has_ranks() -> bool:
    """Whether a launcher of MPI has started several processes: MPICH's or Open MPI's."""
    return any(int(os.environ.get(name, "1")) > 1 for name in _SIZES)


def _train(arguments: argparse.Namespace, exchange: Exchange | None) -> None:
    output = arguments.output
    _refuse_unwritable(output)
    report = arguments.report or output.with_suffix(".html")
    _refuse_unwritable(report)
    refuse_same("--report", report, "--output", output)
    refuse_same("--output", output, "DATA", arguments.data)
    refuse_same("--report", report, "DATA", arguments.data)
    model = _new_model(arguments)
    with _noted() as warned:
        seconds: dict[str, float] = {}
        if exchange is None:
            trained = _fitted(arguments, model, seconds)
        else:
            trained = _fitted_on_ranks(arguments, model, seconds, exchange)
        if exchange is not None and exchange.rank > 0:
            exchange.gather()  # when rank 0 has written
            return
        result, tables, held_out = _results(arguments, model, trained, seconds)
        with _timed(seconds, "writing"):
            model.save(output)
            all_told = {**result, "warnings": warned}
            write_report(report, all_told, tables, model.histories, held_out)
        if exchange is not None:
            exchange.gather()
    if arguments.json:
        files = {"model": str(output), "report": str(report)}
        printing.print_json({**files, **result, "warnings": warned})
    elif not arguments.quiet:
        for heading, text in tables.items():
            print(f"{heading}\n{text}\n")
        print(f"{output}: the model, for fastnn predict, evaluate, inspect and export")
        print(f"{report}: the report, for a browser")
        print(", ".join(f"{name} {value:.1f} s" for name, value in seconds.items()))


def _new_model(arguments: argparse.Namespace) -> TabularModel:
    share = _validation.number_in_open_interval(arguments.validation, "--validation")
    recipe = replace(RECIPE, validation=share)
    if is_images(arguments.data):
        recipe = replace(recipe, bins=1)  # thousands of pixels need no ramps each
    return TabularModel(
        arguments.members, seed=arguments.seed, threads=arguments.threads, recipe=recipe
    )


def _fitted(
    arguments: argparse.Namespace, model: TabularModel, seconds: dict[str, float]
) -> Trained:
    """Trains the model on a table."""
    of_images = is_images(arguments.data)
    target = CLASS if arguments.target is None and of_images else arguments.target
    with _timed(seconds, "reading"):
        table = read_table(arguments.data, () if target is None else (target,))
    name = title(arguments.data)
    if target is None:
        raise ValueError(f"--target is needed: the column of {name} to predict; {listed(table)}")
    refuse_absent(target, table, name)
    interrupts.check()
    with _timed(seconds, "preparing"), naming(name):
        model.fit(table, target=target, progress=_shows(arguments))
    assert model.validation_rows is not None
    return Trained(table, n_rows_of(table), len(model.validation_rows))


def _fitted_on_ranks(
    arguments: argparse.Namespace,
    model: TabularModel,
    seconds: dict[str, float],
    exchange: Exchange,
) -> Trained:
    """The same on the rows of all ranks."""
    from fastnn.tabular.ranks import fit_rows, read_row_groups

    if arguments.target is None:
        raise ValueError("--target is needed with several ranks: the column to predict")
    with _timed(seconds, "reading"):
        rows = read_row_groups(arguments.data, exchange.rank, exchange.size)
    with _timed(seconds, "preparing"), naming(title(arguments.data)):
        return Trained(
            *fit_rows(model, rows, arguments.target, exchange, progress=_shows(arguments))
        )


def _shows(arguments: argparse.Namespace) -> bool:
    """Whether a bar is wanted."""
    return not (arguments.json or arguments.quiet)


def _results(
    arguments: argparse.Namespace,
    model: TabularModel,
    trained: Trained,
    seconds: dict[str, float],
) -> tuple[dict[str, Any], dict[str, str], HeldOut]:
    """What there is to tell: for JSON, as tables of text, and to draw."""
    of_images, name = is_images(arguments.data), title(arguments.data)
    table, n_rows, n_held = trained
    target = model.target.name
    seconds["preparing"] -= model.training_seconds
    seconds["training"] = model.training_seconds
    with _timed(seconds, "scoring"):
        held = model.validation_rows
        assert held is not None
        few = rows_of(table, _few(held, arguments.seed))
        is_of_classes = model.target.task == "classification"
        confusion = model.validation_confusion
        n_few = n_rows_of(few)
        repeats = 3 if n_rows <= _MOST_REPEATED else 1
        importance = {} if of_images else model.importance(few, repeats=repeats)
        output = model.predict_proba(few) if is_of_classes else model.predict(few)
    result: dict[str, Any] = {
        "data": name,
        "rows": {"all": n_rows, "held out": n_held},
        "seed": model.seed,
        "members": model.members,
        **printing.plain_model(model),
        "confusion": confusion and confusion.counts.tolist(),
        "importance": importance,
        "seconds": seconds,
    }
    tables = {
        f"{name}: {n_rows} rows; {target!r} is predicted, by {model.target.task}": (
            printing.columns_table(model.columns)
        ),
        f"scores on {n_held} rows that were held out": (
            printing.scores_table(model.validation_scores, model.target.task)
        ),
    }
    if confusion is not None:
        tables["classes of these rows"] = printing.confusion_text(confusion)
    if importance:
        measure = "the area under the ROC curve" if is_of_classes else "R2"
        tables[f"importance: the fall of {measure} where a column is shuffled, of {n_few} rows"] = (
            printing.importance_table(importance)
        )
    return result, tables, HeldOut(_true(model, few), output)


def _few(rows: npt.NDArray[Any], seed: int) -> npt.NDArray[Any]:
    """At most `_MOST_ROWS` of them."""
    if len(rows) <= _MOST_ROWS:
        return rows
    drawn = np.random.default_rng(seed).choice(len(rows), _MOST_ROWS, replace=False)
    return rows[np.sort(drawn)]


def _true(model: TabularModel, table: Table) -> npt.NDArray[Any]:
    """The numbers or the classes that are to be predicted."""
    target = model.target
    true = target.encode(read_cells(table[target.name], target.name))
    return target.decode(true.astype(int)) if target.task == "classification" else true


def _refuse_unwritable(path: Path) -> None:
    """A file that cannot be written is better known before the training."""
    folder = path.parent
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not folder.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


@contextmanager
def _noted() -> Iterator[list[str]]:
    """The texts of the warnings that are shown."""
    texts: list[str] = []
    show = warnings.showwarning

    def note(message: Warning | str, *details: Any, **more: Any) -> None:
        texts.append(str(message))
        show(message, *details, **more)

    with warnings.catch_warnings():
        warnings.showwarning = note
        yield texts


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    begin = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - begin

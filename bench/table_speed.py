"""Is ``fastnn train``, apart from the training, faster than pandas reads the same file?

    python -m bench.table_speed                            # needs pandas, pyarrow and matplotlib
    python -m bench.table_speed --rows 20000 --columns 20  # and how long the whole of fit takes

Makes a CSV file: two thirds of its columns are numbers, some of them missing, one of five is a
category of 5 to 1,000 levels, and there are two dates, a yes/no and a target of two classes. Then
`pandas.read_csv` reads it and ``fastnn train`` runs on it in turn, each in a new process.

The parts of ``fastnn train``: reading the file; recognising what its columns are, with all that is
learnt from them; encoding them as the inputs of the networks; training these; the linear model that
they are compared with; the scores; the importance of the columns; and writing the model and the
report. Tables above 50,000 rows are trained for one epoch, others to the end.

The figures are the best of all runs, in seconds of wall time and of processor time. Other work on
the machine disturbs the first more. Imports are not counted, of pandas, pyarrow and matplotlib
alike; what they took is a line of its own. Memory is the peak resident size of the process. The
exit code is 1 where wall time apart from training is above that of pandas.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.memory import peak_mib

Array = npt.NDArray[Any]
#: Wall and processor seconds by what they were spent on.
Seconds = dict[str, tuple[float, float]]

FIT = ("recognising", "encoding", "training", "linear model", "scores")
PARTS = ("reading", *FIT, "importance", "writing")
_MOST_TRAINED = 50_000  # rows of a table that is trained to the end
_LEVELS = (5, 20, 50, 100, 300, 1000)


# ---- the file ------------------------------------------------------------------------------------


def table(n_rows: int, n_columns: int) -> dict[str, Array]:
    """The columns of the file; what is missing is NaN."""
    rng = np.random.default_rng(0)
    columns: dict[str, Array] = {}
    n_categories = n_columns // 5
    for i in range(n_columns - n_categories - 4):
        values = rng.standard_normal(n_rows)
        if i % 4 == 1:
            values = np.floor(100 * np.abs(values))
        elif i % 4 == 2:
            values = np.exp(2 * values)
        if i % 2:
            values[rng.random(n_rows) < 0.05] = np.nan
        columns[f"number {i}"] = np.round(values, 4)
    for i in range(n_categories):
        levels = np.array([f"level {j}" for j in range(_LEVELS[i % len(_LEVELS)])])
        skewed = rng.random(n_rows) ** 2 * len(levels)
        columns[f"category {i}"] = levels[skewed.astype(np.int64)]
    begin = np.datetime64("2015-01-01T00:00:00")
    seconds = rng.integers(0, 10 * 365 * 86400, n_rows)
    columns["day"] = (begin + seconds).astype("datetime64[D]").astype(str)
    columns["moment"] = np.char.replace((begin + rng.permutation(seconds)).astype(str), "T", " ")
    columns["is new"] = np.where(rng.random(n_rows) < 0.3, "yes", "no")
    first = np.nan_to_num(columns["number 0"]) + (columns["is new"] == "yes")
    noise = rng.standard_normal(n_rows)
    columns["target"] = np.where(first + noise > 0.5, "sold", "kept")
    return columns


def write_csv(path: Path, columns: dict[str, Array]) -> None:
    import pyarrow
    from pyarrow import csv

    arrays = {name: pyarrow.array(values, from_pandas=True) for name, values in columns.items()}
    csv.write_csv(pyarrow.table(arrays), path, csv.WriteOptions(quoting_style="none"))


# ---- processes -----------------------------------------------------------------------------------


class Clock:
    """Seconds of parts of a program; a part that begins inside another one interrupts it."""

    def __init__(self) -> None:
        self.seconds: Seconds = {}
        self._running: list[str] = []
        self._since = self._now()

    def _now(self) -> tuple[float, float]:
        return time.perf_counter(), time.process_time()

    def _close(self) -> None:
        now = self._now()
        if self._running:
            wall, cpu = self.seconds.get(self._running[-1], (0.0, 0.0))
            wall, cpu = wall + now[0] - self._since[0], cpu + now[1] - self._since[1]
            self.seconds[self._running[-1]] = wall, cpu
        self._since = now

    def of(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, whose time counts as this part."""

        def timed(*arguments: Any, **more: Any) -> Any:
            self._close()
            self._running.append(part)
            try:
                return function(*arguments, **more)
            finally:
                self._close()
                self._running.pop()

        return timed

    def put(self, part: str, owner: Any, name: str) -> None:
        """Replaces a function or method by one whose time counts as this part."""
        setattr(owner, name, self.of(part, getattr(owner, name)))


def read_by_pandas(path: Path) -> Seconds:
    clock = Clock()
    pandas = clock.of("imports", importlib.import_module)("pandas")
    clock.of("reading", pandas.read_csv)(path)
    return clock.seconds


def train(path: Path, n_rows: int) -> Seconds:
    clock = Clock()

    def imports() -> None:
        for name in ("pyarrow.csv", "matplotlib.figure", "fastnn.cli.train", "fastnn.tabular"):
            importlib.import_module(name)

    clock.of("imports", imports)()
    from fastnn import cli
    from fastnn.cli import train as command
    from fastnn.tabular import TabularModel, encoding, model

    clock.put("reading", command, "read_table")
    clock.put("recognising", TabularModel, "fit")
    clock.put("encoding", encoding.Encoding, "encode")
    clock.put("training", model, "train_members")
    clock.put("linear model", model, "train_linear")
    clock.put("scores", model.Fitted, "outputs")
    clock.put("scores", model.Fitted, "scores")
    clock.put("writing", TabularModel, "save")
    clock.put("writing", command, "write_report")
    if n_rows > _MOST_TRAINED:
        command.RECIPE = replace(command.RECIPE, least_epochs=1, most_epochs=1)
    output = ["--output", str(path.with_suffix(".fastnn"))]
    with contextlib.redirect_stdout(io.StringIO()):
        code = clock.of("importance", cli.main)(
            ["train", str(path), "--target", "target", "--quiet", *output]
        )
    if code:
        raise SystemExit(code)
    return clock.seconds


def run_child(what: str, path: Path, n_rows: int) -> tuple[Seconds, float]:
    """Seconds and the peak resident size in MiB, of a new process."""
    command = [sys.executable, "-m", "bench.table_speed", "--child", what, str(path)]
    command += ["--rows", str(n_rows)]
    folder = Path(__file__).resolve().parents[1]
    child = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=folder)
    seconds, peak = json.loads(child.stdout)
    return {part: tuple(each) for part, each in seconds.items()}, peak


def best(runs: list[Seconds]) -> Seconds:
    return {
        part: (min(run[part][0] for run in runs), min(run[part][1] for run in runs))
        for part in runs[0]
    }


def total(seconds: Seconds, parts: tuple[str, ...]) -> tuple[float, float]:
    return sum(seconds[part][0] for part in parts), sum(seconds[part][1] for part in parts)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.table_speed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--columns", type=int, default=30, help="with the target; at least 6")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        what, path = arguments.child[0], Path(arguments.child[1])
        seconds = read_by_pandas(path) if what == "pandas" else train(path, arguments.rows)
        print(json.dumps([seconds, peak_mib()]))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "table.csv")
        write_csv(path, table(arguments.rows, arguments.columns))
        size = path.stat().st_size / 2**20
        print(f"{arguments.rows} rows x {arguments.columns} columns, {size:.0f} MiB of CSV")
        pairs = [
            (
                run_child("pandas", path, arguments.rows),
                run_child("fastnn", path, arguments.rows),
            )
            for _ in range(arguments.runs)
        ]
    theirs, ours = (best([pair[i][0] for pair in pairs]) for i in (0, 1))
    peaks = [max(pair[i][1] for pair in pairs) for i in (0, 1)]
    without_training = tuple(part for part in PARTS if part != "training")
    apart = total(ours, without_training)
    fit = total(ours, FIT)
    print(f"{'best of ' + str(arguments.runs) + ' runs':28}{'wall s':>8}{'ratio':>7}{'CPU s':>8}")
    bar = theirs["reading"]
    for label, (wall, cpu) in [
        ("pandas.read_csv", bar),
        *((f"  {part}", ours[part]) for part in PARTS),
        ("fastnn train but training", apart),
        ("fit, with training", fit),
        ("imports of pandas", theirs["imports"]),
        ("imports of fastnn train", ours["imports"]),
    ]:
        print(f"{label:28}{wall:8.2f}{wall / bar[0]:7.2f}{cpu:8.2f}")
    print(f"peak resident size: pandas {peaks[0]:.0f} MiB, fastnn train {peaks[1]:.0f} MiB")
    return int(apart[0] > bar[0])


if __name__ == "__main__":
    sys.exit(main())

"""Is this commit faster or slower than that one? And what did earlier comparisons say?

    python -m bench.history compare OLD [NEW] [--rounds 4] [--threads 1] [--record]
    python -m bench.history show

`compare` installs both commits below ``build/commits`` (pip compiles them, and may download what it
compiles with; without NEW it takes the files of the working tree), and times each case in fresh
processes, in turn. A ratio is the new time over the old one, each the best of its rounds; below 1
the new commit is faster. Beside it stands the spread of the rounds of the old commit: a ratio that
differs from 1 by less says nothing.

`--record` adds the ratios to ``bench/history.json``. They are ratios because machines differ: a
history of times would be one of machines.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

from bench.history_cases import PREDICTIONS, TRAININGS
from fastnn.config import configuration

PROJECT = Path(__file__).resolve().parents[1]
RECORDS = Path(__file__).with_suffix(".json")
CASES = Path(__file__).with_name("history_cases.py")


def git(*arguments: str) -> bytes:
    return subprocess.run(["git", "-C", PROJECT, *arguments], check=True, stdout=-1).stdout


def pip_install(source: Path, target: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*command, "--target", target, source], check=True)


def installed(commit: str) -> Path:
    """A folder that has this commit's package; made once."""
    target = PROJECT / "build" / "commits" / commit
    if not target.exists():
        with tempfile.TemporaryDirectory() as folder:
            with tarfile.open(fileobj=BytesIO(git("archive", commit))) as files:
                files.extractall(folder, filter="data")
            pip_install(Path(folder), target)
    return target


def timed(package: Path, case: str, threads: int) -> float:
    """The best of some runs in a process of its own."""
    command = [sys.executable, "-P", str(CASES), case, str(threads)]
    environment = {**os.environ, "PYTHONPATH": str(package), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return min(json.loads(done.stdout))


def compared(old: Path, new: Path, case: str, rounds: int, threads: int) -> dict[str, float]:
    before, after = [], []
    for _ in range(rounds):
        before.append(timed(old, case, threads))
        after.append(timed(new, case, threads))
    best = min(before)
    return {"ratio": min(after) / best, "spread": max(before) / best - 1, "seconds": min(after)}


def line(case: str, figures: dict[str, float]) -> str:
    time = f"{figures['seconds'] * 1e6:>12.2f} us"
    return f"{case:>24} {time} {figures['ratio']:>8.3f} of the old time, {figures['spread']:.0%}"


def compare(arguments: argparse.Namespace) -> None:
    old = git("rev-parse", "--short=12", arguments.old).decode().strip()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.new is None:
            new, package = "working tree", Path(folder)
            pip_install(PROJECT, package)
        else:
            new = git("rev-parse", "--short=12", arguments.new).decode().strip()
            package = installed(new)
        record: dict[str, Any] = {
            "date": date.today().isoformat(),
            "old": old,
            "new": new,
            "cpu": configuration()["CPU"],
            "threads": arguments.threads,
            "cases": {},
        }
        print(f"{old} and {new}, {arguments.threads} thread(s), {record['cpu']}")
        for case in arguments.cases or [*TRAININGS, *PREDICTIONS]:
            figures = compared(installed(old), package, case, arguments.rounds, arguments.threads)
            record["cases"][case] = {key: float(f"{x:.4g}") for key, x in figures.items()}
            print(line(case, figures), flush=True)
    if arguments.record:
        write([*read(), record])


def read() -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(RECORDS.read_text()) if RECORDS.exists() else []
    return records


def write(records: list[dict[str, Any]]) -> None:
    RECORDS.write_text(json.dumps(records, indent=1) + "\n")


def show(arguments: argparse.Namespace) -> None:
    for record in read():
        head = "{date}: {old} and {new}, {threads} thread(s), {cpu}"
        print(head.format(**record))
        for case, figures in record["cases"].items():
            print(line(case, figures))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.history",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("compare", help="two commits, in turn")
    command.add_argument("old")
    command.add_argument("new", nargs="?", help="default: the working tree")
    command.add_argument("--rounds", type=int, default=4)
    command.add_argument("--threads", type=int, default=1)
    command.add_argument("--cases", nargs="+", choices=[*TRAININGS, *PREDICTIONS], metavar="CASE")
    command.add_argument("--record", action="store_true", help="add it to bench/history.json")
    command.set_defaults(run=compare)
    commands.add_parser("show", help="the recorded comparisons").set_defaults(run=show)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()

"""Two versions are compared case by case, and comparisons are kept."""

import argparse
import json
import sys
from pathlib import Path

import pytest

import fastnn

sys.path.append(str(Path(__file__).parents[1]))  # behind an installed fastnn

from bench import history

CASE = "one row of 4-16-16-3"


def test_a_case_is_timed_in_the_version_that_the_folder_has() -> None:
    folder = Path(fastnn.__file__).parents[1]
    assert 1e-8 < history.timed(folder, CASE, 1) < 1e-2


def test_the_ratio_is_best_to_best_and_the_spread_is_that_of_the_old_commit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = iter([4.0, 3.0, 5.0, 2.0, 4.5, 9.0])  # old, new, old, new, ...
    monkeypatch.setattr(history, "timed", lambda package, case, threads: next(times))
    figures = history.compared(Path("old"), Path("new"), CASE, 3, 1)
    assert figures == {"ratio": 0.5, "spread": 0.25, "seconds": 2.0}


def test_comparisons_are_added_to_the_record_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(history, "RECORDS", tmp_path / "history.json")
    monkeypatch.setattr(history, "git", lambda *arguments: arguments[-1].encode() + b"\n")
    monkeypatch.setattr(history, "installed", lambda commit: Path(commit))
    seconds = {"older": 2e-6, "old": 4e-6, "new": 3e-6}
    monkeypatch.setattr(
        history, "timed", lambda package, case, threads: seconds[str(package)] * threads
    )
    for old, new in (("older", "old"), ("old", "new")):
        history.compare(
            argparse.Namespace(old=old, new=new, rounds=2, threads=2, cases=[CASE], record=True)
        )
    records = json.loads((tmp_path / "history.json").read_text())
    assert [(r["old"], r["new"], r["cases"][CASE]["ratio"]) for r in records] == [
        ("older", "old", 2.0),
        ("old", "new", 0.75),
    ]
    capsys.readouterr()
    history.show(argparse.Namespace())
    shown = capsys.readouterr().out
    assert "old and new, 2 thread(s)" in shown
    assert "0.750 of the old time" in shown

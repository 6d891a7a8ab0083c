"""The scripts in examples/: what they print, and what they are to show."""

import subprocess
import sys
from pathlib import Path

import pytest

import fastnn

ROOT = Path(__file__).parents[1]


def run(script: str, *arguments: str) -> str:
    result = subprocess.run(
        [sys.executable, "-P", str(ROOT / "examples" / script), *arguments],
        env={"PYTHONPATH": str(Path(fastnn.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_regularisation_prints_a_table_and_draws_the_borders(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "borders.png"
    lines = run("regularisation.py", "--iterations", "20", "--output", str(picture)).splitlines()
    assert lines[0].split() == ["accuracy", "training", "test"]
    assert [line.split()[0] for line in lines[1:]] == ["neither", "L2,", "dropout,"]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_regularisation_shows_overfitting_and_both_cures() -> None:
    lines = run("regularisation.py").splitlines()[1:]
    shares = [[float(word.rstrip("%")) for word in line.split()[-2:]] for line in lines]
    (training, test), *cured = shares
    for of_training, of_test in cured:
        assert of_training < training
        assert of_test > test + 1
        assert of_training - of_test < training - test - 1

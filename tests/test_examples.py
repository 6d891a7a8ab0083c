"""What the notebooks in examples/ are to show, where a test checks it. They run as scripts here."""

import subprocess
import sys
from pathlib import Path

import pytest

import fastnn

ROOT = Path(__file__).parents[1]


def run(script: str) -> str:
    """What it prints; warnings are errors."""
    result = subprocess.run(
        [sys.executable, "-P", "-W", "error", str(ROOT / "examples" / script)],
        env={"PYTHONPATH": str(Path(fastnn.__file__).parents[1]), "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_regularisation_shows_overfitting_and_its_cures() -> None:
    pytest.importorskip("matplotlib")
    lines = run("06_initialisation_regularisation_optimisers.py").splitlines()
    head = next(i for i, line in enumerate(lines) if line.split()[-2:] == ["training", "test"])
    table = lines[head + 1 : head + 5]
    assert [line.split()[0] for line in table] == ["nothing", "L2,", "dropout,", "early"]
    shares = [[float(word.rstrip("%")) for word in line.split()[-2:]] for line in table]
    (training, test), *cured = shares
    for of_training, of_test in cured:
        assert of_training < training
        assert of_test > test + 1
        assert of_training - of_test < training - test - 1

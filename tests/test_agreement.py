"""The cases of bench.agreement, where PyTorch is installed."""

import sys
from pathlib import Path

import pytest

# At the end, so that an installed fastnn is found before the one beside bench.
sys.path.append(str(Path(__file__).parents[1]))

from bench import agreement

pytest.importorskip("torch")


@pytest.mark.parametrize("name", agreement.CASES)
def test_pytorch_gives_the_same_after_100_steps(name: str) -> None:
    assert agreement.CASES[name]() <= 1e-8

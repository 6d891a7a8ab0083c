"""The cases of bench.agreement, where PyTorch is installed."""

import sys
from pathlib import Path

import pytest

# At the end, so that an installed fastnn is found before the one beside bench.
sys.path.append(str(Path(__file__).parents[1]))

pytest.importorskip("torch")

from bench.agreement.cases import CASES
from bench.agreement.twin import Case, difference

NAMED = [
    pytest.param(case, id=f"{group}: {name}")
    for group, cases in CASES.items()
    for name, case in cases.items()
]


@pytest.mark.parametrize("case", NAMED)
def test_pytorch_gives_the_same_after_100_steps(case: Case) -> None:
    found, way = difference(case)
    assert found <= 1e-8
    assert way >= 0.05

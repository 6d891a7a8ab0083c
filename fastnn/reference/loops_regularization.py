"""The L2 regularisation of `fastnn.reference.loops`, as the course has it; ``l2`` is its lambda."""

from typing import TypeAlias

Rows: TypeAlias = list[list[float]]


def l2_penalty(W: Rows, l2: float) -> float:
    """``l2 / 2 sum w^2``: a mini-batch of m samples costs ``1 / m`` of it."""
    total = 0.0
    for row in W:
        for w in row:
            total += w * w
    return l2 / 2.0 * total


def l2_gradient(W: Rows, l2: float) -> Rows:
    """``l2 w``."""
    return [[l2 * w for w in row] for row in W]

"""The regularisation of `fastnn.reference.loops`, as the course has it: L2, whose lambda is ``l2``,
and inverted dropout.

References
----------
A. Ng, "Improving deep neural networks", deeplearning.ai, week 1.

Examples
--------
>>> from fastnn.reference import loops_regularization as regularization
>>> regularization.l2_penalty([[3.0], [-4.0]], l2=0.1)
1.25
>>> regularization.drop([[3.0, 4.0]], [[1.0, 0.0]], keep_prob=0.5)
[[6.0, 0.0]]
"""

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


def drop(A: Rows, D: Rows, keep_prob: float) -> Rows:
    """``A D / keep_prob``, where D is 1 for what stays and 0 for what is dropped.

    What is left is as large in the mean as A, so that nothing is to be done once the network is
    trained. The way back is the same: ``dA D / keep_prob``.
    """
    return [
        [a_j * d_j / keep_prob for a_j, d_j in zip(a, d, strict=True)]
        for a, d in zip(A, D, strict=True)
    ]

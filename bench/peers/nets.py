"""What is measured, and the bars: trainings and inferences, their data, and the floor of a step.

Everything is made from seeds, so that every process makes the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fastnn.contestants import Task, training_flops
from fastnn.datasets import make_flower

__all__ = ["INFERENCES", "LOW_SHARE", "NETS", "TRAININGS", "Bar", "Inference", "Net", "Training"]

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

LOW_SHARE = 0.6
"""What reaches less of the FMA peak is marked: no bar, but a place to look at."""


@dataclass(frozen=True)
class Bar:
    """What must be reached; what is None is not asked for.

    Attributes
    ----------
    ratio : float
        Least time of `against` over the time of `ours`.
    against : str, optional
        A contestant; None is the fastest peer.
    share : float
        Least share of the FMA peak of as many cores as there are threads.
    microseconds : float
        Longest time of a step or a call.
    ours : str
        The contestant it is about.
    """

    ratio: float | None = None
    against: str | None = None
    share: float | None = None
    microseconds: float | None = None
    ours: str = "fastnn"


@dataclass(frozen=True)
class Training:
    """Epochs over consecutive mini-batches; a step is one mini-batch.

    Attributes
    ----------
    bars : tuple of Bar
        With one thread.
    team_bars : tuple of Bar
        With several threads.
    """

    name: str
    sizes: tuple[int, ...]
    batch_size: int
    n_batches: int
    optimizer: str
    bars: tuple[Bar, ...]
    team_bars: tuple[Bar, ...] = ()
    hidden: str = "relu"
    learning_rate: float = 1e-3

    @property
    def title(self) -> str:
        batch = (
            f"batch {self.batch_size}" if self.n_batches > 1 else f"full batch {self.batch_size}"
        )
        return f"{self.name} {self.hidden}, {batch}, {self.optimizer}"

    def steps(self, quick: bool) -> int:
        """Steps an epoch; ``quick`` cuts the samples."""
        return min(self.n_batches, 2) if quick else self.n_batches

    def check_epochs(self, quick: bool) -> int:
        """Epochs before the losses are compared: one, or what it takes for five steps.

        The loss of a first epoch of one step would not depend on that step.
        """
        return -(-5 // self.steps(quick))

    @property
    def tolerance(self) -> float:
        """Largest relative difference of losses that counts as agreement.

        Rounding, amplified by Adam where a gradient almost vanishes, comes to 1e-4 at most; a
        learning rate off by a tenth to 2e-3 at least.
        """
        return 5e-4

    @property
    def flops(self) -> float:
        """Floating-point operations of the products of a step."""
        return training_flops(self.sizes, self.batch_size)

    @property
    def bytes(self) -> float:
        """Bytes a step moves if only what is in use stays in a cache.

        Per parameter: read forward, read backward, and the update: read and written, with two
        moments in Adam. The inputs are read forward and for the gradient of the weights.
        """
        of_a_parameter = 4 + 4 + {"sgd": 8, "adam": 24}[self.optimizer]
        n_parameters = _n_weights(self.sizes) + sum(self.sizes[1:])
        return of_a_parameter * n_parameters + 2 * 4 * self.batch_size * self.sizes[0]

    def task(self, quick: bool = False) -> Task:
        n_samples = self.batch_size * self.steps(quick)
        if self.sizes[0] == 2:
            X, y = make_flower(n_samples)
        else:
            X, y = _clouds(n_samples, self.sizes[0], max(2, self.sizes[-1]))
        return Task.from_sizes(
            self.sizes,
            X,
            y,
            hidden=self.hidden,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            optimizer=self.optimizer,
        )


@dataclass(frozen=True)
class Inference:
    """Probabilities of some rows; a step is one call."""

    name: str
    sizes: tuple[int, ...]
    n_rows: int
    bars: tuple[Bar, ...]
    team_bars: tuple[Bar, ...] = ()
    tolerance: float = field(default=1e-5, init=False)

    @property
    def title(self) -> str:
        rows = "one row" if self.n_rows == 1 else f"{self.n_rows:,} rows"
        return f"predict {rows}, {'-'.join(map(str, self.sizes))}"

    @property
    def flops(self) -> float:
        """Floating-point operations of the products of a call."""
        return 2 * self.n_rows * _n_weights(self.sizes)

    @property
    def bytes(self) -> float:
        """Bytes a call moves if nothing stays in a cache: parameters, inputs and outputs once."""
        n_parameters = _n_weights(self.sizes) + sum(self.sizes[1:])
        return 4 * (n_parameters + self.n_rows * (self.sizes[0] + self.sizes[-1]))

    def task(self) -> Task:
        """The network and the rows; what is about training is not used."""
        X, y = _clouds(self.n_rows, self.sizes[0], self.sizes[-1])
        return Task.from_sizes(
            self.sizes, X, y, hidden="relu", batch_size=self.n_rows, learning_rate=0.0
        )


Net = Training | Inference


def _n_weights(sizes: Sequence[int]) -> int:
    return sum(a * b for a, b in itertools.pairwise(sizes))


def _clouds(n_samples: int, n_features: int, n_classes: int) -> tuple[FloatArray, IntArray]:
    """A cloud of points a class, and they overlap; classes differ in size by one at most."""
    random = np.random.default_rng(0)
    y = random.permutation(np.arange(n_samples) % n_classes)
    centres = random.standard_normal((n_classes, n_features), dtype=np.float32)
    X = random.standard_normal((n_samples, n_features), dtype=np.float32)
    X += centres[y] * np.float32(1.5 / np.sqrt(n_features))
    return X, y


# --- The bars. No peer is ahead in any row, with one thread or with several. The share with two
# threads is of two cores' peak. Where no share is asked for, several threads are compared with one.

ONE_THREAD = "fastnn, 1 thread"
NEVER_BEHIND = Bar(ratio=1.0)
NO_SLOWER = Bar(ratio=1 / 1.1, against=ONE_THREAD)
NO_SLOWER_WHEN_BUSY = Bar(ratio=1 / 1.4, against=ONE_THREAD)  # another process has one core


def _speed_up(ratio: float) -> Bar:
    """Of several threads over one."""
    return Bar(ratio=ratio, against=ONE_THREAD)


WIDE = (1024, 2048, 2048, 1000)  # rows 4 and 8 KiB apart

TRAININGS = (
    Training(
        "2-4-1",
        (2, 4, 1),
        400,
        1,
        "sgd",
        (Bar(1.0, microseconds=1.5),),
        (NEVER_BEHIND, NO_SLOWER),
        "tanh",
        1.2,
    ),
    Training(
        "4-16-16-3", (4, 16, 16, 3), 8, 1000, "adam", (NEVER_BEHIND,), (NEVER_BEHIND, NO_SLOWER)
    ),
    Training(
        "20-64-64-2",
        (20, 64, 64, 2),
        32,
        300,
        "adam",
        (Bar(1.0, share=0.55),),
        (NEVER_BEHIND, NO_SLOWER),
    ),
    Training(
        "54-128-64-7",
        (54, 128, 64, 7),
        256,
        200,
        "adam",
        (Bar(1.0, share=0.78),),
        (Bar(1.0, share=0.60),),
    ),
    Training(
        "784-128-10",
        (784, 128, 10),
        128,
        200,
        "adam",
        (Bar(1.0, share=0.78),),
        (Bar(1.0, share=0.65),),
    ),
    Training(
        "784-100-10",
        (784, 100, 10),
        32,
        400,
        "sgd",
        (Bar(1.0, share=0.68),),
        (NEVER_BEHIND, _speed_up(1.5)),
        learning_rate=0.01,
    ),
    Training(
        "100-10x100-10",
        (100, *[100] * 10, 10),
        64,
        200,
        "adam",
        (Bar(1.0, share=0.65),),
        (NEVER_BEHIND, _speed_up(1.6)),
        learning_rate=1e-4,  # with 1e-3 the rounding of a step is a tenth of the loss 200 later
    ),
    Training(
        "784-512-512-10",  # rows 2 KiB apart
        (784, 512, 512, 10),
        256,
        50,
        "adam",
        (Bar(1.0, share=0.82),),
        (Bar(1.0, share=0.75),),
    ),
    Training(
        "12288-20-7-5-1",
        (12288, 20, 7, 5, 1),
        209,
        1,
        "sgd",
        (Bar(1.0, share=0.55),),
        (NEVER_BEHIND, _speed_up(1.7)),
        learning_rate=0.0075,
    ),
    Training(
        "1024-2048-2048-1000",
        WIDE,
        1024,
        4,
        "adam",
        (Bar(1.0, share=0.85),),
        (Bar(1.0, share=0.78),),
    ),
    Training(
        "1024-4096-1024-10",  # rows 4 and 16 KiB apart
        (1024, 4096, 1024, 10),
        256,
        4,
        "adam",
        (NEVER_BEHIND,),
        (NEVER_BEHIND, NO_SLOWER),
    ),
)

PREDICTOR_NEVER_BEHIND = Bar(ratio=1.0, ours="fastnn-predictor")

INFERENCES = (
    Inference(
        "predict-1-small",
        (4, 16, 16, 3),
        1,
        (PREDICTOR_NEVER_BEHIND, NEVER_BEHIND),
        (PREDICTOR_NEVER_BEHIND, NEVER_BEHIND, NO_SLOWER),
    ),
    Inference(
        "predict-1",
        (784, 128, 10),
        1,
        (PREDICTOR_NEVER_BEHIND,),
        (PREDICTOR_NEVER_BEHIND, NO_SLOWER),
    ),
    Inference("predict-64", (784, 128, 10), 64, (NEVER_BEHIND,), (NEVER_BEHIND, NO_SLOWER)),
    Inference("predict-10000", (784, 128, 10), 10_000, (NEVER_BEHIND,), (NEVER_BEHIND, NO_SLOWER)),
    Inference("predict-1-wide", WIDE, 1, (NEVER_BEHIND,), (NEVER_BEHIND, NO_SLOWER)),
    Inference("predict-64-wide", WIDE, 64, (NEVER_BEHIND,), (NEVER_BEHIND, NO_SLOWER)),
    Inference("predict-256-wide", WIDE, 256, (Bar(1.0, share=0.85),), (Bar(1.0, share=0.78),)),
    Inference("predict-4096-wide", WIDE, 4096, (Bar(1.0, share=0.85),), (Bar(1.0, share=0.78),)),
)

NETS: dict[str, Net] = {net.name: net for net in (*TRAININGS, *INFERENCES)}

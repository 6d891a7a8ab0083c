"""What is found out about a mini-batch that left the finite numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastnn._blocks import split
from fastnn._core import inference
from fastnn._core.inference import NotFiniteError
from fastnn._core.training import Trainer, loss_and_gradients
from fastnn._inference import outputs_of_layers
from fastnn._regularization import penalty_rules
from fastnn._sparse import dense_rows
from fastnn.layers import Layer

if TYPE_CHECKING:
    from fastnn.network import Network

Array = npt.NDArray[Any]

# Samples that are looked at together, and numbers that the layers may give for them.
_ROWS, _NUMBERS = 4096, 1 << 22
# So little work that the core does all of it before it says that an output is not finite.
_FEWEST_ROWS, _FLOPS = 16, 1e9
# After which nothing more is looked at. One mini-batch rarely takes as long.
_SECONDS = 2.0


def explain_failure(net: Network, trainer: Trainer) -> str:
    """Which layer first left the finite numbers, and what its inputs looked like.

    The mini-batch that failed goes through the network again, with the parameters from before it;
    nothing is changed.

    Parameters
    ----------
    net : Network
    trainer : Trainer
        After its `advance` has raised FloatingPointError.

    Returns
    -------
    str
        Sentences; "" where nothing can be found out: this must not hide the error that it explains.
    """
    try:
        with np.errstate(all="ignore"):
            return _Failure(net, trainer).explain()
    except Exception:
        return ""


class _Failure:
    """The mini-batch that failed.

    Parameters
    ----------
    net, trainer
        As for `explain_failure`.
    """

    def __init__(self, net: Network, trainer: Trainer) -> None:
        self.net, self.rows = net, trainer.failed_rows
        self.X, self.targets, self.weights = trainer.data
        self.plan, self.state = net._built()
        self.running = self.state.running.copy()
        self.deadline, self.n_seen = monotonic() + _SECONDS, 0

    def explain(self) -> str:
        if self.rows is None:
            return ""
        widths = self.net._architecture.widths(self.plan.n_features)
        n_rows = min(_ROWS, max(1, _NUMBERS // sum(widths)))
        parts = list(_parts(self.rows, n_rows))
        norms = self.measure_norms(self.batch(parts[0]))
        for part in self.in_time(parts):
            passes = self.forward(self.batch(part))
            for i, numbers in enumerate(zip(*passes[1:], norms, strict=True)):
                if not all(np.isfinite(array).all() for array in numbers):
                    return (
                        f"{self.name(i)} is the first to leave the finite numbers. "
                        f"{self.describe(i, passes[0][i], self.gradients(part)[1])}"
                    )
        for part in self.in_time(parts):
            loss, gradients = self.gradients(part)
            inputs, outputs, _ = self.forward(self.batch(part))
            if not np.isfinite(loss):
                i = len(inputs) - 1
                return (
                    f"All outputs are finite, but their loss is not: {self.name(i)} gives numbers "
                    f"from {outputs[i].min():.3g} to {outputs[i].max():.3g}. "
                    f"{self.describe(i, inputs[i], gradients)}"
                )
            for i in reversed(range(len(gradients))):
                if not np.isfinite(gradients[i]).all():
                    return (
                        f"All outputs are finite; on the way back {self.name(i)} is the first "
                        f"whose gradient is not. {self.describe(i, inputs[i], gradients)}"
                    )
        i = int(np.argmax([np.abs(gradient).max(initial=0) for gradient in gradients]))
        some = self.n_seen < len(parts)
        which = f"the first {self.n_seen * n_rows:,} samples of " if some else ""
        return (
            f"The outputs and gradients of {which}this mini-batch are finite before the update; "
            f"{self.name(i)} has the largest gradient. {self.describe(i, inputs[i], gradients)}"
        )

    def in_time(self, parts: Sequence[Any]) -> Iterator[Any]:
        """The first one, and others for as long as there is time."""
        self.n_seen = 0
        for i, part in enumerate(parts):
            if i > 0 and monotonic() > self.deadline:
                return
            self.n_seen += 1
            yield part

    def batch(self, part: Any) -> Array:
        return dense_rows(self.X, part, self.net.dtype)

    def measure_norms(self, batch: Array) -> list[Array]:
        """Mean and variance that each batch norm sees in training; empty for other layers."""
        norms, start = [], 0
        for i, layer in enumerate(self.net.layers):
            measured = np.empty(0, self.net.dtype)
            if layer.has_running_statistics:
                inputs = self.forward(batch)[0][i].astype(np.float64)
                measured = np.concatenate([inputs.mean(axis=0), inputs.var(axis=0)])
                measured = measured.astype(self.net.dtype)
                self.running[start : start + measured.size] = measured
                start += measured.size
            norms.append(measured)
        return norms

    def forward(self, batch: Array) -> tuple[list[Array], list[Array], list[Array]]:
        """What enters each layer, its output and its logits."""
        n_rows = max(_FEWEST_ROWS, int(_FLOPS / self.plan.training_flops(1)))

        def compute(outputs: list[Array], z_outputs: list[Array | None]) -> None:
            for start in range(0, len(batch), n_rows):
                rows = slice(start, start + n_rows)
                with suppress(NotFiniteError):  # once these rows are done
                    inference.infer(
                        self.plan,
                        self.state.parameters,
                        self.running,
                        batch[rows],
                        [array[rows] for array in outputs],
                        1,
                        z_outputs=[None if z is None else z[rows] for z in z_outputs],
                    )

        activations, zs = outputs_of_layers(self.net, batch, compute)
        return [batch, *activations[:-1]], activations, zs

    def gradients(self, part: Any) -> tuple[float, list[Array]]:
        """The loss in training's form, and each layer's gradient in one row."""
        parameters = self.state.parameters
        gradient, training = np.empty_like(parameters), self.state.training
        assert training is not None  # it is being trained
        kept = training.regularization
        loss = loss_and_gradients(
            self.plan,
            parameters,
            self.state.running,
            self.batch(part),
            np.ascontiguousarray(self.targets[part]),
            gradient,
            1,
            self.state.n_updates,
            penalty_rules(self.net.layers, kept.l1, kept.l2),
            None if self.weights is None else np.ascontiguousarray(self.weights[part]),
        )
        views = split(gradient, self.net._shapes)
        return loss, [np.concatenate([w.reshape(-1), b]) for w, b in views]

    def name(self, i: int) -> str:
        layer: Layer = self.net.layers[i]
        return f"layers[{i}], {layer!r},"

    def describe(self, i: int, inputs: Array, gradients: Sequence[Array]) -> str:
        """What entered a layer, and how large its weights and its gradient are."""
        text = (
            f"What entered it goes from {inputs.min():.3g} to {inputs.max():.3g}, with a mean of "
            f"{inputs.mean(dtype=np.float64):.3g} and {np.mean(inputs == 0):.0%} zeros"
        )
        weights = split(self.state.parameters, self.net._shapes)[i][0]
        if weights.size == 0:
            return f"{text}."
        largest = np.abs(gradients[i]).max()
        return (
            f"{text}; its largest weight is {np.abs(weights).max():.3g}, its largest gradient "
            f"{f'{largest:.3g}' if np.isfinite(largest) else 'not finite'}."
        )


def _parts(rows: npt.NDArray[np.int64] | slice, n_rows: int) -> Iterator[Any]:
    """`rows` in order, `n_rows` at a time."""
    if isinstance(rows, slice):
        for start in range(rows.start, rows.stop, n_rows):
            yield slice(start, min(start + n_rows, rows.stop))
        return
    for start in range(0, len(rows), n_rows):
        yield rows[start : start + n_rows]

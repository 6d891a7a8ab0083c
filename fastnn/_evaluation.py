"""Loss, accuracy and metrics of samples, which may come part by part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from fastnn._averages import Average
from fastnn._inference import infer
from fastnn.metrics import Metric

if TYPE_CHECKING:
    from fastnn._core.plan import Plan
    from fastnn._streams import Part
    from fastnn.network import Network

Array = npt.NDArray[Any]


class EvaluationData(Protocol):
    """Samples to evaluate with: those of arrays (`Samples`), or of chunks (`EvaluationChunks`)."""

    @property
    def n_features(self) -> int:
        """Columns of X."""
        ...

    def parts(self, plan: Plan) -> Iterator[Part]:
        """All samples, in whole blocks of `plan.loss_rows` but for the last ones.

        The sum of the losses has the bits of one part of all samples then.
        """
        ...


def evaluate(
    net: Network,
    data: EvaluationData,
    metrics: Sequence[Metric] = (),
    *,
    threads: int | None = None,
    average: Average | None = None,
) -> dict[str, float]:
    """Loss, a classifier's accuracy, and other metrics from data that have been checked.

    The weights of the samples are of the first two alone. `average` stands in for the network's own
    numbers. Outputs are kept where metrics need those of all samples.
    """
    architecture = net._architecture
    decided, is_classifier = architecture.decided, architecture.is_classifier
    outputs: list[Array] = []
    truths: list[Array] = []
    loss = weight = hits = 0.0
    n_rows, n_labels = 0, 1
    for part in data.parts(net._built()[0]):
        output = np.empty((len(part.X), net.n_outputs), net.dtype)
        options: dict[str, Any] = {"threads": threads, "average": average, "first_row": n_rows}
        loss = infer(
            net, part.X, [output], part.y, weights=part.weights, loss_before=loss, **options
        )
        n_rows += len(part.X)
        weight += len(part.X) if part.weights is None else float(part.weights.sum(dtype=np.float64))
        truth = part.y if part.y.ndim == 1 else decided(part.y)
        if is_classifier:
            right = decided(output) == truth
            n_labels = right.size // len(right)
            if part.weights is not None:
                right = np.multiply(right.T, part.weights, dtype=np.float64)
            hits += float(right.sum())
        if metrics:
            outputs.append(output)
            truths.append(truth)
    result = {"loss": loss / weight}
    if is_classifier:
        result["accuracy"] = hits / (weight * n_labels)
    if metrics:
        result |= measured(net, _joined(outputs), _joined(truths), metrics)
    return result


def measured(
    net: Network, output: Array, truth: Array, metrics: Sequence[Metric]
) -> dict[str, float]:
    """Metrics of the outputs for all samples; `truth` is as `predict` would give it."""
    values = output.reshape(-1) if net.n_outputs == 1 else output
    predicted = net._architecture.decided(output)
    return {
        metric.name: metric(truth, values if metric.takes == "probabilities" else predicted)
        for metric in metrics
    }


def _joined(arrays: list[Array]) -> Array:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)

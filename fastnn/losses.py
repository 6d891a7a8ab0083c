"""Losses: their names, and which outputs they fit.

The arithmetic is in ``csrc/losses.inc.h``, the textbook form in `fastnn.reference`.

Every loss is a mean over the samples. ``categorical_cross_entropy`` is one number a sample, a sum
over the classes. The other losses are one number an output, and the mean is over samples and
outputs: a network with ten outputs has the mean of ten losses, not their sum.

``mean_squared_error`` is not halved. scikit-learn halves it: with one output, its loss and its
gradient are half of those here, and gradient descent there needs twice the learning rate.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Loss:
    """What is known of a loss by name.

    Attributes
    ----------
    name : str
    formula : str
        Of one sample, or of one output of one sample, before the mean: for the output a and the
        target t.
    output : str or None
        The one output activation it fits, or None for every one that is not ``output_only``.
    """

    name: str
    formula: str
    output: str | None = None


LOSSES = {
    loss.name: loss
    for loss in (
        Loss(
            "binary_cross_entropy",
            "-t log(a) - (1 - t) log(1 - a), from the logits",
            output="sigmoid",
        ),
        Loss(
            "categorical_cross_entropy",
            "-sum(t log(a)) over the classes, from the logits",
            output="softmax",
        ),
        Loss("mean_squared_error", "(a - t)^2"),
        Loss("mean_absolute_error", "|a - t|"),
        Loss("huber", "r^2 / 2 if |r| <= 1 else |r| - 1/2, r = a - t"),
    )
}

#: Other names under which the same losses are known.
ALIASES = {
    "mse": "mean_squared_error",
    "squared_error": "mean_squared_error",
    "mae": "mean_absolute_error",
    "absolute_error": "mean_absolute_error",
    "bce": "binary_cross_entropy",
    "cce": "categorical_cross_entropy",
    "sparse_categorical_crossentropy": "categorical_cross_entropy",
}

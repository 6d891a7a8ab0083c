"""The gradient check of the course: backpropagation against central differences."""

from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn._blocks import parameter_name
from fastnn.network import Network

# Step of the differences. The truncation error grows with its square, the rounding error with its
# inverse; 1e-6 keeps both below 1e-9 for losses and parameters of the order of 1.
_STEP = 1e-6

# One-sided slopes that differ by more than this, as a share of the largest slope, are a kink (of
# relu, say) between the two points; the step is then made smaller until the kink is outside.
_KINK = 1e-3
_SMALLEST_STEP = 1e-9


class GradientCheck(float):
    """The course's relative difference, and where it is worst.

    As a number it is ``norm(g - d) / (norm(g) + norm(d))`` for the gradient g by backpropagation
    and d by central differences: below 1e-7 is right, above 1e-3 is wrong.

    Attributes
    ----------
    gradient, differences : ndarray of shape (n_parameters,), float64
        Both laid out like `Network.parameters`.
    worst : str
        Name of the parameter with the largest ``|g - d|``, such as ``"weights[1][3, 0]"``.
    worst_index : int
        Its place in the block of parameters.
    worst_difference : float
        Its ``|g - d| / (|g| + |d|)``.
    """

    gradient: npt.NDArray[np.float64]
    differences: npt.NDArray[np.float64]
    worst: str
    worst_index: int
    worst_difference: float

    def __repr__(self) -> str:
        i = self.worst_index
        return (
            f"GradientCheck({float(self):.3g}; worst: {self.worst}, "
            f"backpropagation {self.gradient[i]:.9g}, differences {self.differences[i]:.9g})"
        )


def gradient_check(net: Network, X: npt.ArrayLike, y: npt.ArrayLike) -> GradientCheck:
    """Compares backpropagation with central differences of the loss, in float64.

    Parameters
    ----------
    net : Network
        Not changed; a float32 network is checked as its float64 copy.
    X, y : array-like
        As for `Network.fit`. A few samples do: each parameter costs two evaluations of the loss.

    Returns
    -------
    GradientCheck
        A float: the relative difference of the two gradients, with the worst parameter.

    Raises
    ------
    TypeError, ValueError
        As `Network.loss_and_gradients`.

    Notes
    -----
    Where a pre-activation is exactly 0, relu and its kin have no derivative, and both sides are
    right in their way: do not check at zero weights.
    """
    if not isinstance(net, Network):
        raise TypeError(f"net must be a Network, got {type(net).__name__}")
    double = net.copy("float64")
    loss, gradient = double.loss_and_gradients(X, y)
    scale = max(float(np.abs(gradient).max()), np.finfo(np.float64).tiny)
    differences = np.array(
        [_difference(double, i, X, y, loss, scale) for i in range(double.n_parameters)]
    )
    norms = np.linalg.norm(gradient) + np.linalg.norm(differences)
    error = np.abs(gradient - differences)
    result = GradientCheck(np.linalg.norm(error) / norms if norms > 0 else 0.0)
    i = int(error.argmax())
    result.gradient, result.differences = gradient, differences
    result.worst_index, result.worst = i, parameter_name(i, double._sizes)
    total = abs(gradient[i]) + abs(differences[i])
    result.worst_difference = float(error[i] / total) if total > 0 else 0.0
    return result


def _difference(net: Network, i: int, X: Any, y: Any, loss: float, scale: float) -> float:
    """Central difference of the loss by parameter i, with no kink between its points."""
    parameters = net.parameters
    value = parameters[i]
    step = _STEP * max(1.0, abs(value))
    while True:
        above, below = value + step, value - step
        parameters[i] = above
        loss_above = net.evaluate(X, y)["loss"]
        parameters[i] = below
        loss_below = net.evaluate(X, y)["loss"]
        parameters[i] = value
        bend = abs((loss_above - loss) - (loss - loss_below)) / step
        if bend <= _KINK * scale or step / 10 < _SMALLEST_STEP:
            return float((loss_above - loss_below) / (above - below))
        step /= 10

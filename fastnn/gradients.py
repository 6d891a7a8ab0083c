"""The gradient check of the course: backpropagation against central differences."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import _inference, _validation
from fastnn._blocks import parameter_name
from fastnn._progress import progress_bar
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
        Both laid out like `Network.parameters`. Differences of parameters that were not checked are
        NaN.
    n_checked : int
        Parameters that were checked.
    worst : str
        Name of the parameter with the largest ``|g - d|``, such as ``"weights[1][3, 0]"``.
    worst_index : int
        Its place in the block of parameters.
    worst_difference : float
        Its ``|g - d| / (|g| + |d|)``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import Network, gradient_check
    >>> net = Network.from_sizes([3, 4, 1], hidden="tanh", seed=0)
    >>> check = gradient_check(net, np.eye(3), [0, 1, 1])
    >>> float(check) < 1e-7, check.n_checked, check.worst_difference < 1e-5
    (True, 21, True)
    """

    gradient: npt.NDArray[np.float64]
    differences: npt.NDArray[np.float64]
    n_checked: int
    worst: str
    worst_index: int
    worst_difference: float

    def __repr__(self) -> str:
        i = self.worst_index
        n_parameters = self.gradient.size
        some = (
            ""
            if self.n_checked == n_parameters
            else (f"{self.n_checked:,} of {n_parameters:,} parameters; ")
        )
        return (
            f"GradientCheck({float(self):.3g}; {some}worst: {self.worst}, "
            f"backpropagation {self.gradient[i]:.9g}, differences {self.differences[i]:.9g})"
        )


def gradient_check(
    net: Network,
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    max_parameters: int | None = 4000,
    progress: bool = False,
) -> GradientCheck:
    """Compares backpropagation with central differences of the loss, in float64.

    Parameters
    ----------
    net : Network
        Not changed; a float32 network is checked as its float64 copy.
    X, y : array-like
        As for `Network.fit`. A few samples do: each parameter costs two evaluations of the loss.
    max_parameters : int or None
        The most that are checked. Of a network with more, the parameters to check are drawn at
        random, the same ones in each call. None: all are checked. The time grows with the square
        of the number of parameters then: 250,000 take about a minute for one sample.
    progress : bool
        Whether to show a bar on the standard error stream, with the time that is left.

    Returns
    -------
    GradientCheck
        A float: the relative difference of the two gradients, with the worst parameter.

    Raises
    ------
    TypeError, ValueError
        As `Network.loss_and_gradients`; or an option is not as above.

    Notes
    -----
    Where a pre-activation is exactly 0, relu and leaky_relu have no derivative, and each side is
    right in its way: do not check at zero weights.

    Examples
    --------
    >>> from fastnn import Network, gradient_check
    >>> from fastnn.datasets import make_moons
    >>> X, y = make_moons(seed=0)
    >>> net = Network.from_sizes([2, 8, 8, 1], hidden="tanh", seed=0)
    >>> gradient_check(net, X, y) < 1e-7
    True
    """
    if not isinstance(net, Network):
        raise TypeError(f"net must be a Network, got {type(net).__name__}")
    if max_parameters is not None:
        max_parameters = _validation.positive_int(max_parameters, "max_parameters")
    progress = _validation.boolean(progress, "progress")
    double = net.copy("float64")
    _, gradient = double.loss_and_gradients(X, y)
    checked = _drawn(double.n_parameters, max_parameters)
    evaluate = _loss_function(double, X, y)
    loss = evaluate()
    scale = max(float(np.abs(gradient).max()), np.finfo(np.float64).tiny)
    differences = np.full(gradient.shape, np.nan)
    with progress_bar(checked.size if progress else None, "parameters") as bar:
        for i in checked:
            differences[i] = _difference(double.parameters, i, evaluate, loss, scale)
            if bar is not None:
                bar.update()

    g, d = gradient[checked], differences[checked]
    norms = np.linalg.norm(g) + np.linalg.norm(d)
    error = np.abs(g - d)
    result = GradientCheck(np.linalg.norm(error) / norms if norms > 0 else 0.0)
    i = int(checked[error.argmax()])
    result.gradient, result.differences, result.n_checked = gradient, differences, checked.size
    result.worst_index, result.worst = i, parameter_name(i, double._shapes)
    total = abs(gradient[i]) + abs(differences[i])
    result.worst_difference = float(error.max() / total) if total > 0 else 0.0
    return result


def _drawn(n_parameters: int, at_most: int | None) -> npt.NDArray[np.int64]:
    """Which parameters are checked, in ascending order."""
    if at_most is None or n_parameters <= at_most:
        return np.arange(n_parameters)
    return np.sort(np.random.default_rng(0).choice(n_parameters, at_most, replace=False))


def _loss_function(net: Network, X: Any, y: Any) -> Callable[[], float]:
    """The loss for the present parameters, as a step of training has it."""
    if any(
        layer.has_noise or layer.has_running_statistics or layer.l1 > 0 or layer.l2 > 0
        for layer in net.layers
    ):
        return lambda: net.loss_and_gradients(X, y)[0]
    data, targets = net._architecture.checked_data(X, y, net.n_features)
    output = np.empty((len(data), net.n_outputs), net.dtype)
    return lambda: _inference.infer(net, data, [output], targets) / len(data)


def _difference(
    parameters: npt.NDArray[Any], i: int, evaluate: Callable[[], float], loss: float, scale: float
) -> float:
    """Central difference of the loss by parameter i, with no kink between its points."""
    value = parameters[i]
    step = _STEP * max(1.0, abs(value))
    while True:
        above, below = value + step, value - step
        parameters[i] = above
        loss_above = evaluate()
        parameters[i] = below
        loss_below = evaluate()
        parameters[i] = value
        bend = abs((loss_above - loss) - (loss - loss_below)) / step
        if bend <= _KINK * scale or step / 10 < _SMALLEST_STEP:
            return float((loss_above - loss_below) / (above - below))
        step /= 10

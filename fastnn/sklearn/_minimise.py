"""The solver ``"lbfgs"``: SciPy's minimiser over all samples at once."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning

from fastnn.sklearn._parameters import Scale

if TYPE_CHECKING:
    from fastnn.sklearn._base import BaseMLP, Samples

Array = npt.NDArray[Any]


def minimise(estimator: BaseMLP, samples: Samples, scale: Scale, l2: float) -> None:
    """Trains the network of `estimator`, and notes the loss and the number of iterations.

    Parameters
    ----------
    estimator : BaseMLP
    samples : Samples
    scale : Scale
    l2 : float
        As for `Network.fit`.

    Raises
    ------
    ValueError
        If the network or the parameters of `estimator` are not for such a solver.
    """
    net = estimator.network_
    if estimator.weight_decay > 0 or any(
        layer.has_noise or layer.has_running_statistics for layer in net.layers
    ):
        raise ValueError(
            "solver='lbfgs' needs a loss that is the same at every call: dropout must be 0, "
            "batch_norm False and weight_decay 0"
        )
    start = net.parameters.copy()

    def loss_at(x: Array) -> tuple[float, Array]:
        net.parameters[:] = x
        loss, gradient = net.loss_and_gradients(
            samples.X,
            samples.targets,
            sample_weight=samples.weights,
            l2=l2,
            threads=estimator._threads,
        )
        return scale.gradient * loss, scale.gradient * gradient.astype(np.float64)

    options = {"maxiter": estimator.max_iter, "maxfun": estimator.max_fun, "gtol": estimator.tol}
    try:
        result = minimize(
            loss_at, start.astype(np.float64), jac=True, method="L-BFGS-B", options=options
        )
    except BaseException:
        net.parameters[:] = start
        raise
    net.parameters[:] = result.x
    estimator.loss_ = scale.loss / scale.gradient * float(result.fun) + scale.constant
    estimator.n_iter_ = min(int(result.nit), estimator.max_iter)
    if estimator.verbose:
        print(f"{result.nit} iterations, {result.nfev} evaluations, loss = {estimator.loss_:.8f}")
    if result.status != 0:
        warnings.warn(
            f"lbfgs failed to converge after {result.nit} iterations and {result.nfev} "
            f"evaluations: {result.message}. Raise max_iter or max_fun, or scale the data.",
            ConvergenceWarning,
            stacklevel=5,
        )

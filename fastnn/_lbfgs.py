"""L-BFGS: SciPy's minimiser in the place of the core's loop over mini-batches."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn._averages import Averaging
from fastnn._blocks import aligned_copy
from fastnn._core.plan import Plan
from fastnn._core.regularization import Rules
from fastnn._core.signals import check_stop
from fastnn._core.training import loss_and_gradients
from fastnn._extras import import_extra
from fastnn._regularization import Regularization
from fastnn._sparse import SparseRows
from fastnn._state import Training
from fastnn._threads import start
from fastnn.layers import Layer
from fastnn.optimizers import LBFGS

Array = npt.NDArray[Any]

# Between two looks whether this thread is to end.
_LOOK_SECONDS = 0.1


def _scipy_minimize() -> Callable[..., Any]:
    function: Callable[..., Any] = import_extra("scipy.optimize", "SciPy", "lbfgs").minimize
    return function


def check_settings(training: Training, averaging: Averaging, layers: Sequence[Layer]) -> None:
    """Refuses what a minimiser of one function cannot do.

    Raises
    ------
    ValueError
    """
    if averaging != Averaging():
        raise ValueError("ema and swa_start must not be given with LBFGS")
    told = {**asdict(training.regularization), "label_smoothing": training.label_smoothing}
    none = {**asdict(Regularization()), "label_smoothing": 0.0}
    for name in ("weight_decay", "clip_norm", "clip_value", "label_smoothing"):
        if told[name] != none[name]:
            raise ValueError(
                f"{name} must be {none[name]} with LBFGS, got {told[name]}; a setting stays from "
                f"call to call until another one is given"
            )
    for i, layer in enumerate(layers):
        for name, default in (("max_norm", None), ("learning_rate_factor", 1)):
            if getattr(layer, name) != default:
                raise ValueError(
                    f"{name} of layers[{i}] must be {default} with LBFGS, got "
                    f"{getattr(layer, name)}"
                )
        if layer.has_noise or layer.has_running_statistics:
            raise ValueError(
                f"optimizer must not be LBFGS for a network with {layer!r}: it needs a loss that "
                f"is the same at every call"
            )


@dataclass(frozen=True)
class _Iteration:
    """What the minimiser's thread tells: the parameters and the loss after an iteration."""

    x: Array
    loss: float


@dataclass(frozen=True)
class _End:
    """It has finished, or `error` has ended it."""

    error: BaseException | None


class _Stop(BaseException):
    """Ends the minimiser's thread."""


class LBFGSTrainer:
    """Stands where a `fastnn._core.training.Trainer` does; an epoch is an iteration.

    SciPy calls the loss until it is done, whereas a trainer goes on when it is told to: so SciPy
    has a thread of its own, of which at most one runs at a time. It works on a copy of the
    parameters, so that it can be left alone where the user interrupts the call.

    Parameters
    ----------
    plan, parameters, running, X, targets, n_epochs, n_threads, rules, weights, subset
        As for `fastnn._core.training.Trainer`.
    optimizer : LBFGS
    n_updates : int
        Iterations of earlier calls.

    Attributes
    ----------
    losses, rates : ndarray of shape (n_epochs,)
        The mean loss before each iteration; 1, the first step that every line search tries.
    converged : bool
        Whether there is nothing left to do.

    Raises
    ------
    ImportError
        If SciPy is not installed.
    """

    samples_seen = 0

    def __init__(
        self,
        plan: Plan,
        parameters: Array,
        running: Array,
        X: Array | SparseRows,
        targets: Array,
        n_epochs: int,
        n_threads: int,
        *,
        optimizer: LBFGS,
        n_updates: int,
        rules: Rules | None = None,
        weights: Array | None = None,
        subset: Array | None = None,
    ) -> None:
        self._minimize = _scipy_minimize()
        self._parameters, self._n_updates = parameters, n_updates
        self._options = {
            "maxiter": n_epochs,
            "maxcor": optimizer.memory,
            "gtol": optimizer.tolerance,
            "ftol": float(np.finfo(parameters.dtype).eps),
            "maxfun": 100 * n_epochs,
            "maxls": 50,
        }
        # Of layers that are not trained it stays 0
        block, gradient = aligned_copy(parameters, parameters.dtype), np.zeros_like(parameters)

        def loss_at(x: Array) -> tuple[float, Array]:
            with np.errstate(over="ignore"):  # infinite weights give no finite loss
                block[:] = x
            loss = loss_and_gradients(
                plan, block, running, X, targets, gradient, n_threads, 0, rules, weights, subset
            )
            if not np.isfinite(loss):
                raise FloatingPointError(
                    f"the loss is {loss} in a line search of L-BFGS; the network keeps the "
                    f"parameters of the last iteration. Scaled X and y usually help."
                )
            return loss, gradient.astype(np.float64)

        self._loss_at = loss_at
        self._left = parameters.copy()  # as the last iteration left them
        self._loss = 0.0  # there
        self._go: SimpleQueue[bool] | None = None  # to a minimiser at work
        self._told: SimpleQueue[_Iteration | _End] = SimpleQueue()
        self.losses, self.rates = np.zeros(n_epochs), np.ones(n_epochs)
        self.epoch, self.converged = 0, False

    @property
    def n_updates(self) -> int:
        """Finished iterations, those before this trainer included."""
        return self._n_updates + self.epoch

    def advance(self, until_epoch: int, access: object = None, views: object = None) -> None:
        """One iteration.

        Parameters
        ----------
        until_epoch, access, views
            As for the core's trainer, whose portions are shorter than an iteration.

        Raises
        ------
        FloatingPointError
            When a loss is not finite. The parameters are those of the last iteration.
        """
        if self._go is None or not np.array_equal(self._parameters, self._left):
            self._begin()
        else:
            self._go.put(True)
        told = self._wait()
        if isinstance(told, _End):
            self._go = None
            if told.error is not None:
                raise told.error
            self.converged = True
            if self.epoch > 0:
                return
            told = _Iteration(self._parameters, self._loss)  # the first iteration finds no step
        self.losses[self.epoch], self._loss = self._loss, told.loss
        self._parameters[:] = told.x
        self._left[:] = self._parameters
        self.epoch += 1

    def _wait(self) -> _Iteration | _End:
        """What the minimiser tells next."""
        while True:
            check_stop()
            with suppress(Empty):
                return self._told.get(timeout=_LOOK_SECONDS)

    def _begin(self) -> None:
        """Starts a minimiser from the present parameters, and ends the one before."""
        self._stop()
        self._left[:] = self._parameters
        self._loss = self._loss_at(self._parameters)[0]
        self._told, self._go = SimpleQueue(), SimpleQueue()
        job = (self._minimize, self._loss_at, self._left.astype(np.float64), self._options)
        weakref.finalize(self, self._go.put, False)
        arguments = (*job, self._go, self._told)
        start(threading.Thread(target=_run, args=arguments, name="fastnn L-BFGS", daemon=True))

    def _stop(self) -> None:
        if self._go is not None:
            self._go.put(False)
            self._go = None


def _run(
    minimize: Callable[..., Any],
    loss_at: Callable[[Array], tuple[float, Array]],
    start: Array,
    options: dict[str, Any],
    go: SimpleQueue[bool],
    told: SimpleQueue[_Iteration | _End],
) -> None:
    """The minimiser's thread: tells every iteration, and waits to be told to go on."""

    def tell(intermediate_result: Any) -> None:
        told.put(_Iteration(intermediate_result.x.copy(), float(intermediate_result.fun)))
        if not go.get():
            raise _Stop

    error: BaseException | None = None
    try:
        minimize(loss_at, start, jac=True, method="L-BFGS-B", callback=tell, options=options)
    except _Stop:
        return
    except BaseException as raised:  # it is raised where the trainer is
        error = raised
    told.put(_End(error))

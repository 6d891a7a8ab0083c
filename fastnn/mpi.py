"""Training on several machines, or in several processes of one, with MPI: the extra `mpi`.

Each process (a rank) has rows of its own. All compute the gradient of their part of each
mini-batch, sum it up, and make the same update.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from fastnn import _ranks
from fastnn._extras import import_extra
from fastnn.history import History
from fastnn.network import Network

__all__ = ["fit"]

Result = TypeVar("Result")


def fit(net: Network, X_local: Any, y_local: Any, comm: Any = None, **arguments: Any) -> History:
    """Trains a network together with all other ranks, each on rows of its own.

    All ranks call it with the same arguments but for the rows. They end with the same parameters,
    to the bit, and the same history: those of one process that has all rows, to rounding.

    Parameters
    ----------
    net : Network
        Of the same layers, loss and dtype on all ranks. Parameters, the optimiser's state, random
        state and seed are those of rank 0.
    X_local : array-like of shape (n_samples, n_features)
        Rows of this rank: any number of them, also none, as an array without rows or None. A
        sparse matrix does too, but no chunks. A memory-mapped file is read in place, not streamed.
    y_local : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Their targets.
    comm : mpi4py.MPI.Intracomm, optional
        The ranks. None: ``MPI.COMM_WORLD``.
    **arguments
        Those of `Network.fit`. `batch_size` is that of all ranks together: each of them has a share
        of a mini-batch in proportion to its rows. `shuffle` shuffles the rows of each rank.
        `validation_data` are rows of this rank too, and given on all ranks, if only without rows;
        `validation_split` sets rows of each rank aside. `callbacks` and `progress` are those of
        rank 0, the other ranks' are not looked at.

    Returns
    -------
    History
        The same on all ranks, of all rows.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above, or not the same on all ranks.
    ImportError
        If mpi4py is not installed.
    Exception
        As `Network.fit`, on all ranks: where one of them fails, it raises its own error, and the
        others one of the same class with its text and "rank ...".

    Notes
    -----
    The gradient is summed up in buckets of half a MiB, in the network's dtype, the last layers
    first, while those of the layers before are computed. Batch norms use the mean and variance of
    the whole mini-batch.

    If a rank fails and the others do not hear of it for 7 s, as they are busy or stopped, it ends
    all with ``comm.Abort``. A rank that is killed ends the job, as the launcher does that.

    Examples
    --------
    Run with ``mpiexec -n 2 python -m mpi4py train.py``::

        import numpy as np
        from fastnn import Network, mpi
        from mpi4py import MPI

        rng = np.random.default_rng(MPI.COMM_WORLD.rank)
        X = rng.standard_normal((1000, 4))
        net = Network.from_sizes([4, 16, 1], seed=0)
        history = mpi.fit(net, X, X[:, 0] > 0, batch_size=128)
    """

    def train(exchange: _ranks.Exchange) -> History:
        return _ranks.fit(exchange, net, X_local, y_local, arguments)

    return together(train, comm)


def together(function: Callable[[_ranks.Exchange], Result], comm: Any = None) -> Result:
    """Calls a function on all ranks, and ends all of them where it fails on one.

    Parameters
    ----------
    function : callable
        Is given what the ranks speak by; all of them must use it alike.
    comm : mpi4py.MPI.Intracomm, optional
        None: ``MPI.COMM_WORLD``.

    Returns
    -------
    object
        What the function returns.

    Raises
    ------
    TypeError
        If `comm` is no communicator of mpi4py.
    ImportError
        If mpi4py is not installed.
    Exception
        What the function raises: its own error on one rank, one of the same class on the others.
    """
    MPI = import_extra("mpi4py.MPI", "mpi4py", "mpi")
    if comm is None:
        comm = MPI.COMM_WORLD
    if not isinstance(comm, MPI.Intracomm):
        raise TypeError(f"comm must be an mpi4py.MPI.Intracomm, got {type(comm).__name__}")
    # Methods of a compiled class: no signal handler runs in one of them
    exchange = _ranks.Exchange(
        comm.rank, comm.size, partial(comm.Iallreduce, MPI.IN_PLACE), comm.Ibcast, comm.Iallgatherv
    )
    try:
        return exchange.run(lambda: function(exchange))
    except BaseException:
        if exchange.is_broken:
            traceback.print_exc()
            comm.Abort(1)
        raise

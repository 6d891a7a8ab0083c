"""The network: what it is and what its methods do, in the words of the field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import partial
from os import PathLike
from typing import Any, Literal, Self, overload

import numpy as np
import numpy.typing as npt

from fastnn import _blocks, _checkpoint, _copies, _fit, _inference, _validation, _weights
from fastnn._architecture import Architecture, layers_of_sizes
from fastnn._copies import rebuild as _rebuild
from fastnn._core.access import Access
from fastnn._core.inference import NotFiniteError
from fastnn._core.plan import Plan
from fastnn._core.predictor import Predictor, predict_rows
from fastnn._core.training import loss_and_gradients
from fastnn._data import evaluation_data
from fastnn._evaluation import evaluate
from fastnn._keywords import checked_keywords
from fastnn._numbers import replaced_numbers
from fastnn._options import AS_BEFORE, FitOptions
from fastnn._regularization import Regularization, penalty_rules
from fastnn._state import State, Training
from fastnn._streams import ChunksLike
from fastnn._summary import as_html, summarise
from fastnn.callbacks import CallbacksLike
from fastnn.config import choose_threads
from fastnn.history import History
from fastnn.initializers import Normal
from fastnn.layers import Layer
from fastnn.losses import Loss
from fastnn.metrics import MetricsLike, checked_metrics
from fastnn.optimizers import Optimizer
from fastnn.schedules import Rate
from fastnn.statistics import NetworkStatistics, measure

Array = npt.NDArray[Any]
ArrayLike = npt.ArrayLike


class Network:
    """A fully connected network.

    Parameters
    ----------
    layers : sequence of Layer
        From the first one to the output, which is a `Dense`.
    n_features : int, optional
        Columns of the inputs. None: learnt at the first `fit` or `partial_fit`.
    loss : str or Loss, optional
        One of ``fastnn.losses.LOSSES``, with the default parameters, or an object such as
        ``fastnn.Huber(2.0)``. None follows the output activation: sigmoid has
        ``binary_cross_entropy``, softmax ``categorical_cross_entropy``, exponential ``poisson``,
        all others ``mean_squared_error``.
    dtype : {"float32", "float64"}
        Of parameters and computation.
    seed : int, optional
        Makes initial weights and shuffling repeat exactly. None draws one, which `seed` shows.

    Raises
    ------
    TypeError, ValueError
        If an argument is not one of these, or loss and output do not fit together.

    Notes
    -----
    Rows are samples. Layer l computes ``A_l = activation(A_(l-1) @ weights[l] + biases[l])`` from
    ``A_0 = X``. All parameters are one block; `parameters`, `weights` and `biases` are live views
    of it.

    A subclass stays one in copies, pickles and `load`. Its ``__init__`` is not called then.
    Attributes that it adds are copied and pickled, but not stored in a file.

    Any number of threads may use one network. Methods that only read give the result for the
    parameters after one of the mini-batches while another thread trains. A second `fit` at the same
    time is refused.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import Dense, Network
    >>> X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
    >>> y = [0, 1, 1, 0]
    >>> net = Network([Dense(8, "tanh"), Dense(1, "sigmoid")], n_features=2, seed=0)
    >>> history = net.fit(X, y, epochs=500, batch_size=None, learning_rate=0.05)
    >>> net.predict(X)
    array([0, 1, 1, 0])
    """

    # The attributes of this class; so __dict__ has those that a subclass adds
    __slots__ = (
        "__dict__",
        "__weakref__",
        "_access",
        "_architecture",
        "_history",
        "_plan",
        "_state",
    )

    @checked_keywords
    def __init__(
        self,
        layers: Sequence[Layer],
        n_features: int | None = None,
        *,
        loss: str | Loss | None = None,
        dtype: npt.DTypeLike = "float32",
        seed: int | None = None,
    ) -> None:
        if hasattr(self, "_architecture"):  # other calls may be using it
            raise RuntimeError("a network is made once; make another one")
        architecture = Architecture.checked(layers, loss, dtype, seed)
        if n_features is not None:
            n_features = _validation.positive_int(
                n_features, "n_features", at_most=_validation.MAX_SIZE
            )
        self._set_up(architecture)
        if n_features is not None:
            self._adopt(*self._build(n_features))

    @classmethod
    def _bare(cls, architecture: Architecture) -> Self:
        """A network that is not built, without a call of a subclass's ``__init__``."""
        net = object.__new__(cls)
        net._set_up(architecture)
        return net

    def _set_up(self, architecture: Architecture) -> None:
        self._architecture = architecture
        self._plan: Plan | None = None
        self._state: State | None = None
        self._access = Access()
        self._history = History()

    @classmethod
    @checked_keywords
    def from_sizes(
        cls,
        sizes: Sequence[int],
        hidden: str = "relu",
        output: str = "sigmoid",
        *,
        loss: str | Loss | None = None,
        initializer: str | Normal | None = None,
        dtype: npt.DTypeLike = "float32",
        seed: int | None = None,
    ) -> Network:
        """A network from its sizes: ``[n_features, units of layer 1, ..., units of the output]``.

        Parameters
        ----------
        sizes : sequence of int
            At least two. ``[n, 1]`` with a sigmoid is logistic regression.
        hidden, output : str
            Activations of the hidden layers and of the output.
        loss : str or Loss, optional
            As for `Network`.
        initializer : str, fastnn.Normal or None
            Of all weights; see `Dense`.
        dtype : {"float32", "float64"}
            Of parameters and computation.
        seed : int, optional
            As for `Network`.

        Returns
        -------
        Network
            With its initial parameters.

        Raises
        ------
        TypeError, ValueError
            If an argument is not as above.

        Examples
        --------
        >>> from fastnn import Network
        >>> net = Network.from_sizes([64, 32, 10], output="softmax", seed=0)
        >>> net.layers
        (Dense(32, 'relu'), Dense(10, 'softmax'))
        >>> net.loss
        CategoricalCrossEntropy()
        """
        layers, n_features = layers_of_sizes(sizes, hidden, output, initializer)
        return cls(layers, n_features, loss=loss, dtype=dtype, seed=seed)

    # ---- what it is --------------------------------------------------------------------------

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers, from the first one to the output."""
        return self._architecture.layers

    @property
    def loss(self) -> Loss:
        """The loss that training minimises."""
        return self._architecture.loss

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of parameters and computation: float32 or float64."""
        return self._architecture.dtype

    @property
    def seed(self) -> int:
        """The seed it was made with: the one given, or the one drawn in its place."""
        return self._architecture.seed

    @property
    def n_features(self) -> int | None:
        """Columns of the inputs, or None before the first `fit` of a network not told."""
        plan = self._plan  # once: another thread's refused call may take it back
        return None if plan is None else plan.n_features

    @property
    def n_outputs(self) -> int:
        """Units of the last layer."""
        return self._architecture.output.n_units

    @property
    def training(self) -> Training | None:
        """How the network was trained last: optimiser, batch size, shuffling; None before.

        It is copied and saved with the network, and `fit` goes on like that.
        """
        return None if self._state is None else self._state.training

    @property
    def history(self) -> History:
        """The history of the last call of `fit` or `partial_fit`: what `fit` returns.

        Where an error or Ctrl-C has ended the call, the lists hold its finished epochs. An epoch
        with validation data counts as finished after the validation, so all lists have the same
        length. A refused call changes nothing. The history is neither copied nor saved with the
        network.
        """
        history = self._history.copy()
        history.cut(history.n_epochs)  # another thread may be at an epoch's end
        return history

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases."""
        return int(self._built()[1].parameters.size)

    @property
    def parameters(self) -> Array:
        """All weights and biases: a live view of the block, of shape (n_parameters,).

        It holds the weights (in C order) and then the bias of each layer in turn, in the network's
        dtype.
        """
        return self._built()[1].shared_parameters()

    @property
    def weights(self) -> tuple[Array, ...]:
        """Live views of each layer's weights, of shape (n_in, n_out), of the network's dtype.

        (n_out,) where a layer has one for each unit; (0,) where it has none.
        """
        return tuple(weights for weights, _ in self.split(self.parameters))

    @property
    def running_statistics(self) -> tuple[tuple[Array, Array] | None, ...]:
        """The running mean and variance, of shape (n_out,) each, that a `BatchNorm` uses.

        Read-only live views for each layer of `layers`, of the network's dtype; None for the other
        kinds.
        """
        plan, state = self._built()
        return tuple(state.running_statistics(self._architecture, plan.n_features))

    @property
    def biases(self) -> tuple[Array, ...]:
        """Live views of each layer's bias, of shape (n_out,), of the network's dtype.

        (0,) where a layer has none.
        """
        return tuple(bias for _, bias in self.split(self.parameters))

    def split(self, block: Array) -> list[tuple[Array, Array]]:
        """Views of a block laid out like `parameters`: (weights, bias) of each layer.

        Parameters
        ----------
        block : ndarray of shape (n_parameters,)
            Such as the gradient from `loss_and_gradients`.

        Returns
        -------
        list of (ndarray of shape (n_in, n_out), ndarray of shape (n_out,))
            For each layer; the shapes are those of `weights` and `biases`.

        Raises
        ------
        TypeError, ValueError
            If `block` is not an array of that shape.

        Examples
        --------
        >>> from fastnn import Network
        >>> from fastnn.datasets import make_moons
        >>> net = Network.from_sizes([2, 8, 1], seed=0)
        >>> loss, gradient = net.loss_and_gradients(*make_moons(seed=0))
        >>> [(dW.shape, db.shape) for dW, db in net.split(gradient)]
        [((2, 8), (8,)), ((8, 1), (1,))]
        """
        n_parameters = self.n_parameters
        if not isinstance(block, np.ndarray):
            raise TypeError(f"block must be an ndarray, got {type(block).__name__}")
        if block.shape != (n_parameters,):
            raise ValueError(f"block must be of shape ({n_parameters},), got shape {block.shape}")
        return _blocks.split(block, self._shapes)

    def set_parameters(
        self,
        weights: Sequence[ArrayLike | None] | None = None,
        biases: Sequence[ArrayLike | None] | None = None,
        running_statistics: Sequence[tuple[ArrayLike, ArrayLike] | None] | None = None,
    ) -> None:
        """Takes weights, biases and running statistics from arrays: all that is given, or nothing.

        Each argument has an entry for each layer of `layers`, of the shapes that `weights`,
        `biases` and `running_statistics` show. None stands for what stays as it is. The arrays are
        copied. What training has gathered (`training`, the optimiser's state) stays too.

        Parameters
        ----------
        weights : sequence of array-like of shape (n_in, n_out), optional
            (n_out,) where a layer has one for each unit; (0,) or None where it has none.
        biases : sequence of array-like of shape (n_out,), optional
            (0,) or None where a layer has none.
        running_statistics : sequence of (mean, variance), optional
            Of each `BatchNorm`, of shape (n_out,) each; None for the other kinds.

        Raises
        ------
        TypeError, ValueError
            If an argument is not as above, a number is not finite in the network's dtype, or a
            variance is below 0; if the network is not built yet. Nothing has changed then.
        RuntimeError
            If the network is being trained. A callback writes to the views that `weights` gives.

        Examples
        --------
        >>> import numpy as np
        >>> from fastnn import Network
        >>> net = Network.from_sizes([2, 1])
        >>> net.set_parameters(weights=[[[1.0], [-1.0]]], biases=[[0.5]])
        >>> net.parameters
        array([ 1. , -1. ,  0.5], dtype=float32)
        """
        with self._access.training():
            plan, state = self._built()
            parts = (weights, biases, running_statistics)
            numbers = replaced_numbers(state, self._architecture, plan.n_features, *parts)
            with self._access.writing():
                state.parameters[:], state.running[:] = numbers

    def __repr__(self) -> str:
        arguments = self._architecture.arguments(self.n_features)
        count = f"{self.n_parameters:,} parameters" if self._plan is not None else "not built yet"
        return f"{type(self).__name__}({', '.join(arguments)})  # {count}"

    _repr_html_ = as_html  # what a notebook shows

    def summary(self) -> str:
        """The dimensions of every W, b, Z and A, and the number of parameters, as a table.

        Returns
        -------
        str
            ``n`` stands for the number of samples, ``?`` for what the first `fit` will tell.

        Examples
        --------
        >>> from fastnn import Network
        >>> print(Network.from_sizes([2, 3, 1]).summary())
        layer  activation  W       b     Z = A_prev W + b  A       parameters
        ---------------------------------------------------------------------
        1      relu        (2, 3)  (3,)  (n, 3)            (n, 3)  9
        2      sigmoid     (3, 1)  (1,)  (n, 1)            (n, 1)  4
        <BLANKLINE>
        X: (n, 2)   loss: binary_cross_entropy   dtype: float32   parameters: 13
        """
        return summarise(self)

    # ---- what it does ------------------------------------------------------------------------

    @checked_keywords
    def fit(
        self,
        X: ArrayLike | ChunksLike,
        y: ArrayLike | None = None,
        *,
        epochs: int = 10,
        batch_size: int | str | None = AS_BEFORE,
        optimizer: str | Optimizer = AS_BEFORE,
        learning_rate: Rate | None = None,
        validation_data: tuple[ArrayLike | None, ...] | ChunksLike | None = None,
        shuffle: bool | str = AS_BEFORE,
        progress: bool | Literal["epochs"] = False,
        threads: int | None = None,
        validation_split: float | None = None,
        metrics: MetricsLike = (),
        callbacks: CallbacksLike = (),
        ema: float | None = None,
        swa_start: int | None = None,
        resume_from: str | PathLike[str] | None = None,
        block_size: int | None = None,
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[int, float] | str | None = None,
        label_smoothing: float | str = AS_BEFORE,
        l1: float | str = AS_BEFORE,
        l2: float | str = AS_BEFORE,
        weight_decay: float | str = AS_BEFORE,
        clip_norm: float | str | None = AS_BEFORE,
        clip_value: float | str | None = AS_BEFORE,
    ) -> History:
        """Trains the network; it goes on from where it is.

        A network that was not trained before starts with Adam at a learning rate of 0.001,
        mini-batches of 128 samples, and shuffling. Afterwards each of these stays as it was in the
        call before, unless it is told otherwise; `training` shows it.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features), or chunks
            Finite numbers. Not copied if it is float16, float32, float64, uint8 or int8, and
            C-contiguous. A matrix of ``scipy.sparse`` needs a `Dense` as the first layer; CSR is
            not copied either. An array in a memory-mapped file, of more than a block, is streamed:
            read block by block. So are chunks: an iterable of ``(X, y)`` or
            ``(X, y, sample_weight)``, or a function without arguments that returns one for each
            epoch; `y` is left out then. An iterator does for one epoch. Chunks may be of any sizes,
            and of sparse rows; their samples are put together into blocks.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            For softmax the class of each sample, in ``[0, n_outputs)``, or a row of probabilities;
            for sigmoid 0, 1 or a probability; for hinge losses -1 or 0, and 1; for Poisson numbers
            of at least 0; for quantiles one number a sample; else finite numbers.
        epochs : int
            Passes over the samples.
        batch_size : int, None or "as before"
            Samples a mini-batch; the last one of an epoch may be smaller. None: all of them.
        optimizer : str or Optimizer
            One of ``fastnn.optimizers.ALL_OPTIMIZERS``, with the default hyperparameters, or an
            object such as ``fastnn.Adam(1e-3)``, or "as before". Its slots are kept from call to
            call while the kind of optimiser is the same. ``"lbfgs"`` takes all samples at every
            step, one an epoch, and may need fewer epochs than it is given; it needs SciPy.
        learning_rate : float, Schedule or callable, optional
            Takes the place of the optimiser's own, and stays in its place. A schedule, such as
            ``fastnn.CosineDecay(1e-3)``, or a function of the step (from 0) gives every step its
            own rate. It starts with this call and goes on in calls that are told neither a learning
            rate nor an optimiser. A function is called for some thousand steps before these are
            done. A file keeps its last rate only, as a pickle does.
        validation_data : (X, y), (X, y, sample_weight), or chunks, optional
            Evaluated after each epoch; the weights are those of its loss and accuracy. Chunks are
            given as for X, and gone through once an epoch.
        shuffle : bool or "as before"
            Whether each epoch takes the samples in another order. A full batch is never shuffled.
        progress : bool or "epochs"
            What to show on the standard error stream: a bar for the epochs, which only a terminal
            and a notebook get, or ``"epochs"``: a line an epoch.
        threads : int, optional
            The most to use; fewer run where they are faster, which is measured during training.
            None: as many as `set_num_threads` says. The results do not depend on it, to the bit.
        validation_split : float, optional
            In (0, 1): takes this share of the samples as validation data instead, and trains on
            the others. They are drawn from all rows by the network's `seed`, the same ones in every
            call; from each class by this share, where the network is a classifier and a sample
            has one class. These rows of X and y are copied.
        metrics : str, callable, or sequence of them
            Names of ``fastnn.metrics.METRICS``, or functions ``f(y_true, y_pred)`` such as
            scikit-learn's, to measure on the validation data after each epoch. `y_true` is as
            `predict` gives `y_pred`; scikit-learn's functions of probabilities get those of
            `predict_proba`. The accuracy of a classifier needs not be asked for.
        callbacks : Callback, callable, or sequence of them
            Are called after each epoch, in this order: those of `fastnn.callbacks`, and functions
            ``f(net, epoch, metrics)`` of the network, the number of the epoch, from 1, and a dict
            of what the history holds of it. They may use and save the network, and write to its
            parameters, but not call `fit`. Their exceptions end the call, and the network stays as
            it is; after ``fastnn.StopTraining`` it returns.
        ema : float, optional
            In (0, 1): the network ends as a moving average of its parameters and running statistics
            over the steps, ``average = keep average + (1 - keep) parameters``, with the keep of
            ``min(ema, (1 + t) / (10 + t))`` after t steps of this call. Validation measures the
            average; where an error ends the call, the parameters are those of the last step.
        swa_start : int, optional
            The network ends as the mean of the models at the ends of this epoch (from 1) and the
            later ones: stochastic weight averaging. The running statistics of batch norms are
            averaged too.
        resume_from : str or path-like, optional
            A file that a `fastnn.Checkpoint` has written. The network becomes the one in the file,
            which must have the same layers, loss and dtype, and its fit goes on after the epochs
            that are done, of `epochs` in all. With the same arguments as then, the parameters and
            the history end as if that call had never stopped, to the bit; only L-BFGS begins anew
            from these parameters. A checkpoint from the middle of an epoch needs the same samples,
            streamed in blocks of the same size.
        block_size : int, optional
            Samples that are in memory at a time where X is streamed (twice: the next block is read
            meanwhile), rounded up to whole mini-batches. None: 32 MiB of them, or a mini-batch.
            Shuffling mixes the samples of a block. A file's blocks are put together of pieces of an
            eighth of a block from random places; chunks come in their own order. Without
            shuffling, or where all samples fit one block, the result is that of the same array in
            memory, to the bit.
        sample_weight : array-like of shape (n_samples,), optional
            How much each sample counts: numbers of at least 0, one of them above. The loss of a
            mini-batch is ``sum(w * loss) / sum(w)`` over its samples; where all its weights are 0,
            its gradient is 0. Only the ratios of the weights matter. Copied.
        class_weight : dict of int to float, or "balanced", optional
            What the weights of the samples of each class are multiplied by; 1 for classes that are
            not named. "balanced": ``n_samples / (n_classes * count)``. For outputs of one class a
            sample: softmax, with labels or one-hot rows in y, and sigmoid of one unit.
        label_smoothing : float or "as before"
            In [0, 1), for classifiers: targets t become ``(1 - label_smoothing) t`` plus
            ``label_smoothing / n_outputs`` for softmax, and ``label_smoothing / 2`` for sigmoid.
            In training alone: ``"loss"`` is that of smoothed targets, ``"val_loss"`` is not.
        l1, l2 : float or "as before"
            Penalties on all weights, not on biases: the cost of a mini-batch of m samples is
            ``mean loss + (l1 sum(|w|) + l2 / 2 sum(w^2)) / m``. l2 is the course's lambda; of
            a classifier of one class a sample, scikit-learn's alpha. Layers that are not trained
            have none. 0: none.
        weight_decay : float or "as before"
            Decoupled: each step takes ``learning_rate weight_decay w`` from each weight w, and not
            from biases, before its update. It is no part of the loss. AdamW, which has one of its
            own, is refused beside it. 0: none.
        clip_norm : float, None or "as before"
            Largest Euclidean norm of the whole gradient: a longer one is scaled down to it, after
            `clip_value`. None: no limit.
        clip_value : float, None or "as before"
            Largest magnitude of each number of the gradient, penalties included. None: no limit.

        Returns
        -------
        History
            A dict of str to list of float that prints as a table; see `fastnn.history.History`.
            ``"loss"``: for each epoch the mean loss over its samples, by their weights, penalties
            included, each mini-batch's taken before its update; for classifiers ``"accuracy"`` the
            same. With validation data also ``"val_loss"`` (without penalties), for classifiers
            ``"val_accuracy"``, and all `metrics`, with ``val_`` before the name.
            ``"learning_rate"``: that of the last step of each epoch. `history` keeps it where the
            call does not return.

        Raises
        ------
        TypeError, ValueError
            If an argument is not as above, a hyperparameter is neither 0 nor a normal number of the
            network's dtype, or a parameter is not finite. Nothing has changed then. If a function
            of the step gives no number of at least 0 later on, the training ends after a whole
            mini-batch.
        ImportError
            If `optimizer` is L-BFGS and SciPy is not installed. Nothing has changed then.
        FloatingPointError
            If the loss or an update stops being finite; it says which layer was the first, and what
            entered it. The network keeps the parameters from before that mini-batch.
        RuntimeError
            If another call trains this network at the moment, or a signal handler calls this while
            it has interrupted another use of the network.
        MemoryError
            If the buffers cannot be allocated. Nothing has changed then.
        Exception
            Whatever the user's chunks raise. Streamed samples are checked block by block: what is
            wrong with the first block is refused before anything changes; later, the network keeps
            the parameters after the last block before.

        Warns
        -----
        ScalingWarning
            If the network was not trained before, and columns of X are a thousand times larger (or
            smaller) than most others: they need a scale in common. Likewise if X has bytes beyond
            15 and no `Rescale` or norm stands first. Looks at 1,000 rows at most.

        Notes
        -----
        The loss is a mean over the samples, and but for a softmax output over the outputs as well.
        ``mean_squared_error`` is the mean of the squares, not half of it as in scikit-learn: the
        gradient is twice as large.

        X and float targets are read in place, where they need no conversion. If another thread
        changes them meanwhile, loss and parameters are wrong, but no memory is read or written
        that is not theirs. Labels are copied first. The buffers of the training stay with the
        network for the next call, until it is deleted.

        Chunks are made or read by another thread, which ends with the call. With them,
        `class_weight` is a dict; `validation_split`, L-BFGS and full batches are refused. A full
        batch and L-BFGS read a memory-mapped file where it is.

        Examples
        --------
        >>> from fastnn import Network
        >>> from fastnn.datasets import load_digits
        >>> X, y = load_digits()
        >>> net = Network.from_sizes([64, 32, 10], output="softmax", seed=0)
        >>> history = net.fit(X, y, epochs=10, learning_rate=0.01, validation_split=0.2)
        >>> list(history)
        ['loss', 'accuracy', 'val_loss', 'val_accuracy', 'learning_rate']
        >>> history["val_accuracy"][-1] > 0.9
        True
        """
        with self._access.training():
            options = FitOptions.checked(
                self,
                epochs=epochs,
                batch_size=batch_size,
                optimizer=optimizer,
                learning_rate=learning_rate,
                validation_data=validation_data,
                shuffle=shuffle,
                progress=progress,
                threads=threads,
                validation_split=validation_split,
                metrics=metrics,
                ema=ema,
                swa_start=swa_start,
                callbacks=callbacks,
                resume_from=resume_from,
                block_size=block_size,
                looks_at_scales=True,
                sample_weight=sample_weight,
                class_weight=class_weight,
                label_smoothing=label_smoothing,
                l1=l1,
                l2=l2,
                weight_decay=weight_decay,
                clip_norm=clip_norm,
                clip_value=clip_value,
            )
            return _fit.fit(self, X, y, options)

    @checked_keywords
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        batch_size: int | str | None = AS_BEFORE,
        optimizer: str | Optimizer = AS_BEFORE,
        learning_rate: Rate | None = None,
        shuffle: bool | str = AS_BEFORE,
        threads: int | None = None,
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[int, float] | str | None = None,
        label_smoothing: float | str = AS_BEFORE,
        l1: float | str = AS_BEFORE,
        l2: float | str = AS_BEFORE,
        weight_decay: float | str = AS_BEFORE,
        clip_norm: float | str | None = AS_BEFORE,
        clip_value: float | str | None = AS_BEFORE,
    ) -> float:
        """Trains on one pass over what is given: for data that arrive, or fit, in parts.

        It is a `fit` of one epoch: it goes on with what the network was trained with, unless it is
        told otherwise, and `history` has its one epoch afterwards.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Finite numbers, as for `fit`.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            As for `fit`.
        batch_size : int, None or "as before"
            Samples a mini-batch, as for `fit`.
        optimizer : str or Optimizer
            As for `fit`.
        learning_rate : float, Schedule or callable, optional
            As for `fit`. A schedule begins again at each call that it is given to: give it, with a
            length of its own, to the first one. Its epoch is as long as that call.
        shuffle : bool or "as before"
            Whether the samples are taken in another order.
        threads : int, optional
            The most to use, as for `fit`.
        sample_weight : array-like of shape (n_samples,), optional
            How much each sample counts, as for `fit`.
        class_weight : dict of int to float, or "balanced", optional
            As for `fit`. "balanced" goes by the classes of this `y`.
        label_smoothing : float or "as before"
            In [0, 1), for classifiers, as for `fit`.
        l1, l2 : float or "as before"
            Penalties on all weights, as for `fit`; at least 0.
        weight_decay : float or "as before"
            Decoupled, as for `fit`; at least 0.
        clip_norm, clip_value : float, None or "as before"
            Limits of the gradient, as for `fit`; above 0.

        Returns
        -------
        float
            The mean loss over the samples, each mini-batch's taken before its update.

        Raises
        ------
        TypeError, ValueError, ImportError, FloatingPointError, RuntimeError, MemoryError
            As `fit`.

        Examples
        --------
        >>> import numpy as np
        >>> from fastnn import Network
        >>> rng = np.random.default_rng(0)
        >>> net = Network.from_sizes([2, 1], output="linear", seed=0)
        >>> for _ in range(50):  # what arrives, part by part
        ...     X = rng.standard_normal((64, 2))
        ...     loss = net.partial_fit(X, X @ [1.0, -2.0] + 3.0, optimizer="sgd", learning_rate=0.1)
        >>> net.parameters.round(2)
        array([ 1., -2.,  3.], dtype=float32)
        """
        with self._access.training():
            options = FitOptions.checked(
                self,
                epochs=1,
                batch_size=batch_size,
                optimizer=optimizer,
                learning_rate=learning_rate,
                shuffle=shuffle,
                threads=threads,
                sample_weight=sample_weight,
                class_weight=class_weight,
                label_smoothing=label_smoothing,
                l1=l1,
                l2=l2,
                weight_decay=weight_decay,
                clip_norm=clip_norm,
                clip_value=clip_value,
            )
            return _fit.fit(self, X, y, options)["loss"][0]

    def predict(self, X: ArrayLike, *, threads: int | None = None) -> Array:
        """Labels for a classifier (sigmoid or softmax output), else the output values.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Finite numbers.
        threads : int, optional
            The most to use. None: as many as `set_num_threads` says, where the work is worth it.
            The results do not depend on it, to the bit.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            For softmax the most probable class of each sample, int64; for sigmoid 1 where the
            probability is above 0.5, else 0, int64; otherwise the values, of the network's dtype.
            A network with one output gives shape (n_samples,).

        Raises
        ------
        TypeError, ValueError
            If an argument is not as above or X has NaN or infinity, or the network is not built
            yet.

        Examples
        --------
        >>> from fastnn import Network
        >>> net = Network.from_sizes([2, 1], seed=0)
        >>> net.set_parameters([[[1.0], [-1.0]]], [[0.0]])  # is the first number the larger one?
        >>> net.predict([[0.5, 0.25], [0.5, 1.0], [2.0, 1.0]])
        array([1, 0, 1])
        """
        return self._architecture.decided(self.predict_proba(X, threads=threads))

    def predict_proba(self, X: ArrayLike, *, threads: int | None = None) -> Array:
        """The activations of the output layer: probabilities for a classifier.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Finite numbers.
        threads : int, optional
            The most to use. None: as many as `set_num_threads` says, where the work is worth it.
            The results do not depend on it, to the bit.

        Returns
        -------
        ndarray of shape (n_samples, n_outputs), of the network's dtype
            With a sigmoid output of one unit, shape (n_samples, 1): the probability of class 1.

        Raises
        ------
        TypeError, ValueError
            As `predict`.

        Examples
        --------
        >>> from fastnn import Network
        >>> net = Network.from_sizes([2, 1], seed=0)
        >>> net.set_parameters([[[1.0], [-1.0]]], [[0.0]])
        >>> net.predict_proba([[0.5, 0.5], [3.0, 0.0]]).round(2)
        array([[0.5 ],
               [0.95]], dtype=float32)
        """
        plan, state = self._built()
        if threads is not None:
            threads = choose_threads(threads, 0.0)
        try:
            output = predict_rows(plan, self._access, state.parameters, state.running, X)
        except NotFiniteError as error:
            _inference.explain_not_finite(self, error, np.asarray(X))
            raise
        if output is not None:
            return output
        data = self._architecture.checked_samples(X, plan.n_features)
        return _inference.infer_output(self, data, threads=threads)

    def predictor(self, n_rows: int = 1) -> Predictor:
        """A callable that computes the output for `n_rows` samples and allocates nothing.

        For real-time use: about a microsecond for a small network. It takes an array of the
        network's dtype. It returns the array given as ``out``, or else the same array at every
        call, whose content the next call overwrites: copy what you keep. It follows changes of the
        parameters. It must not be called by two threads at the same time: make one for each.

        Parameters
        ----------
        n_rows : int
            Samples of a call; at least 1.

        Returns
        -------
        callable
            ``predictor(X, out=None)``, X of shape (n_rows, n_features); returns an ndarray of shape
            (n_rows, n_outputs). For one row, X may be of shape (n_features,): the result is of
            shape (n_outputs,) then. `out` may be X: an output can be the next input.

        Raises
        ------
        TypeError, ValueError
            If `n_rows` is not a positive integer, or the network is not built yet.

        Examples
        --------
        >>> import numpy as np
        >>> from fastnn import Network
        >>> predict = Network.from_sizes([4, 16, 3], output="softmax", seed=0).predictor()
        >>> first = predict(np.zeros(4, np.float32))
        >>> first.shape
        (3,)
        >>> predict(np.ones(4, np.float32)) is first
        True
        """
        plan, state = self._built()
        n_rows = _validation.positive_int(n_rows, "n_rows", at_most=_validation.MAX_SIZE)
        explain = partial(_inference.explain_not_finite, self)
        return Predictor(plan, self._access, state.parameters, state.running, n_rows, explain)

    @overload
    def forward(
        self, X: ArrayLike, *, logits: Literal[False] = False, threads: int | None = None
    ) -> list[Array]: ...

    @overload
    def forward(
        self, X: ArrayLike, *, logits: Literal[True], threads: int | None = None
    ) -> tuple[list[Array], list[Array]]: ...

    def forward(
        self, X: ArrayLike, *, logits: bool = False, threads: int | None = None
    ) -> list[Array] | tuple[list[Array], list[Array]]:
        """The activations of every layer: the cache that the backward pass uses.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Finite numbers.
        logits : bool
            Whether to give what enters the activations too, ``Z_l = A_(l-1) @ weights + bias``.
        threads : int, optional
            The most to use. None: as many as `set_num_threads` says, where the work is worth it.
            The results do not depend on it, to the bit.

        Returns
        -------
        activations : list of ndarray of shape (n_samples, n_out)
            ``[A_1, ..., A_L]``; the last one is what `predict_proba` gives.
        logits : list of ndarray of shape (n_samples, n_out)
            ``[Z_1, ..., Z_L]``; with ``logits=True`` only: the result is a pair then. Where a layer
            is no `Dense`, Z is A.

        Raises
        ------
        TypeError, ValueError
            As `predict`.

        Examples
        --------
        >>> import numpy as np
        >>> from fastnn import Network
        >>> net = Network.from_sizes([2, 3, 1], seed=0)
        >>> (A1, A2), (Z1, Z2) = net.forward([[0.5, -1.0], [2.0, 1.0]], logits=True)
        >>> A1.shape, A2.shape
        ((2, 3), (2, 1))
        >>> np.array_equal(A1, np.maximum(Z1, 0))  # relu
        True
        """
        plan, _ = self._built()
        data = self._architecture.checked_samples(X, plan.n_features)
        wants_logits = _validation.boolean(logits, "logits")
        activations, zs = _inference.forward(self, data, wants_logits, threads)
        return (activations, zs) if wants_logits else activations

    def evaluate(
        self,
        X: ArrayLike | ChunksLike,
        y: ArrayLike | None = None,
        *,
        threads: int | None = None,
        metrics: MetricsLike = (),
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[int, float] | str | None = None,
    ) -> dict[str, float]:
        """The mean loss, for classifiers the accuracy, and other metrics.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features), or chunks
            As for `fit`. Of chunks, and of a memory-mapped file, one part at a time is in memory;
            the result is that of the same samples in an array, to the bit where they have no
            weights.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            As for `fit`; left out with chunks.
        threads : int, optional
            The most to use. None: as many as `set_num_threads` says, where the work is worth it.
            The results do not depend on it, to the bit.
        metrics : str, callable, or sequence of them
            As for `fit`. They are measured on the outputs of all samples, which are kept for them.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the samples in the mean loss, and in the accuracy. Chunks have weights of
            their own, ``(X, y, sample_weight)``.
        class_weight : dict of int to float, or "balanced", optional
            As for `fit`; a dict with chunks.

        Returns
        -------
        dict
            ``{"loss": ..., "accuracy": ...}``, and `metrics` by name; accuracy is the share of
            right labels (of all labels, where a sample has several), in [0, 1].

        Raises
        ------
        TypeError, ValueError
            If X or y are not as for `fit`, or the network is not built yet.
        Exception
            Whatever the user's chunks raise.

        Examples
        --------
        >>> import numpy as np
        >>> from fastnn import Network
        >>> X, y = np.random.default_rng(0).standard_normal((1000, 4)), np.arange(1000) % 2
        >>> net = Network.from_sizes([4, 8, 1], seed=0)
        >>> def chunks():
        ...     for first in range(0, 1000, 300):
        ...         yield X[first : first + 300], y[first : first + 300]
        >>> net.evaluate(chunks) == net.evaluate(X, y)
        True
        """
        self._built()
        data = evaluation_data(self, X, y, sample_weight, class_weight)
        chosen = checked_metrics(metrics, self._architecture)
        return evaluate(self, data, chosen, threads=threads)

    def loss_and_gradients(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        threads: int | None = None,
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[int, float] | str | None = None,
        l1: float = 0.0,
        l2: float = 0.0,
    ) -> tuple[float, Array]:
        """The mean loss over the samples with the penalties, and its gradient.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Finite numbers.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            As for `fit`.
        threads : int, optional
            The most to use. None: as many as `set_num_threads` says, where the work is worth it.
            The results do not depend on it, to the bit.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the samples in the mean, as for `fit`.
        class_weight : dict of int to float, or "balanced", optional
            As for `fit`.
        l1, l2 : float
            Penalties on the weights of all layers that are trained, beside the layers' own: as for
            `fit`, with all samples as one mini-batch. Those of earlier calls of `fit` do not count.

        Returns
        -------
        loss : float
            With the penalties.
        gradient : ndarray of shape (n_parameters,), of the network's dtype
            Laid out like `parameters`; `split` gives the gradient of each layer.

        Raises
        ------
        TypeError, ValueError
            If an argument is not as for `fit`, the network is not built yet, or a parameter is not
            finite.

        Examples
        --------
        A step of gradient descent, by hand:

        >>> from fastnn import Network
        >>> net = Network.from_sizes([2, 1], output="linear", seed=0)
        >>> X, y = [[1.0, 0.0], [0.0, 1.0]], [1.0, -1.0]
        >>> before, gradient = net.loss_and_gradients(X, y)
        >>> net.parameters[:] -= 0.1 * gradient
        >>> after, _ = net.loss_and_gradients(X, y)
        >>> after < before
        True
        """
        plan, state = self._built()
        penalties = Regularization(l1, l2)
        penalties.check(self.dtype)
        rules = penalty_rules(self._architecture.layers, penalties.l1, penalties.l2)
        data, answers = self._architecture.checked_data(X, y, plan.n_features)
        weights = _weights.sample_weights(self._architecture, answers, sample_weight, class_weight)
        _blocks.check_finite(state.parameters, self._shapes, self.dtype)
        gradient = np.empty_like(state.parameters)
        n_threads = choose_threads(threads, plan.training_flops(len(data)))
        with self._access.reading():
            loss = loss_and_gradients(
                plan,
                state.parameters,
                state.running,
                data,
                answers,
                gradient,
                n_threads,
                state.n_updates,
                rules,
                weights,
            )
        return _inference.checked_loss(loss, self.dtype), gradient

    def statistics(self, X: ArrayLike, y: ArrayLike | None = None) -> NetworkStatistics:
        """Layer by layer: activations, dead and saturated units, norms of weights and gradients.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            At least one sample; it is taken in slices.
        y : array-like, optional
            As for `fit`. With it, the norms of gradients are measured too.

        Returns
        -------
        NetworkStatistics
            A list that prints as a table: a `fastnn.statistics.LayerStatistics` for each layer of
            `layers`, which says what each number is.

        Raises
        ------
        TypeError, ValueError
            If X or y are not as for `fit`, the network is not built yet, or an output is NaN.

        Notes
        -----
        The activations are those of inference. The gradient is that of `loss_and_gradients`: with
        noise, and with the means of batch norms over these samples, as in training.

        Examples
        --------
        >>> import numpy as np
        >>> from fastnn import Network
        >>> net = Network.from_sizes([3, 8, 1], seed=0)
        >>> net.statistics(np.zeros((5, 3)))[0].dead  # all inputs are 0, and all biases
        1.0
        """
        return measure(self, X, y)

    # ---- copies and files ----------------------------------------------------------------------

    def copy(
        self, dtype: npt.DTypeLike | None = None, layers: Sequence[Layer] | None = None
    ) -> Self:
        """An independent copy, with parameters, optimiser state and random state.

        Parameters
        ----------
        dtype : {"float32", "float64"}, optional
            Of the copy.
        layers : sequence of Layer, optional
            Of the copy: those of this network with other settings, such as ``trainable=False``.
            Each is of the same kind and has as many units as before. Only the last one may have
            another number of units. Its parameters begin anew then, the other layers keep theirs,
            and the copy counts as not trained yet.

        Returns
        -------
        Network
            Of the class of this one.

        Raises
        ------
        TypeError, ValueError
            If `dtype` is not one of these, or parameters or hyperparameters are beyond its range;
            if `layers` are not as above.

        Examples
        --------
        The first layer stays as it is from now on:

        >>> from dataclasses import replace
        >>> from fastnn import Network
        >>> net = Network.from_sizes([4, 8, 3], output="softmax", seed=0)
        >>> tuned = net.copy(layers=[replace(net.layers[0], trainable=False), *net.layers[1:]])
        >>> tuned.layers
        (Dense(8, 'relu', trainable=False), Dense(3, 'softmax'))
        """
        twin = _copies.copy(self, dtype, layers)
        twin.__setstate__(self.__getstate__())
        return twin

    def __copy__(self) -> Self:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        twin = self.copy()
        memo[id(self)] = twin
        twin.__setstate__(deepcopy(self.__getstate__(), memo))
        return twin

    def __getstate__(self) -> Any:
        """The attributes that a subclass has added: its ``__dict__``, its slots."""
        state: Any = super().__getstate__()
        own = Network.__slots__
        return state[0], {name: value for name, value in state[1].items() if name not in own}

    def __setstate__(self, state: Any) -> None:
        attributes, slots = state if isinstance(state, tuple) else (state, None)
        self.__dict__.update(attributes or {})
        for name, value in (slots or {}).items():
            setattr(self, name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (*self.to_data(), type(self)), self.__getstate__()

    def save(self, path: str | PathLike[str]) -> None:
        """Writes the network to a file, from which training goes on exactly where it stopped.

        Parameters
        ----------
        path : str or path-like
            A safetensors file: parameters, description, and the states of optimiser and shuffling.
            Written beside and moved into place, so that there is always a whole file.

        Raises
        ------
        OSError
            If it cannot be written. A file that was there stays as it was.
        ValueError
            If the network is not built yet, or a parameter is not finite. Nothing is written then.

        Examples
        --------
        >>> import tempfile
        >>> from fastnn import Network
        >>> from fastnn.datasets import make_moons
        >>> X, y = make_moons(seed=0)
        >>> net = Network.from_sizes([2, 8, 1], seed=0)
        >>> history = net.fit(X, y, epochs=2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     net.save(f"{folder}/moons.fastnn")
        ...     twin = Network.load(f"{folder}/moons.fastnn")
        >>> twin.fit(X, y) == net.fit(X, y)  # both go on alike, to the bit
        True
        """
        self._built()
        _checkpoint.write(self, path)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Reads a network from a file written by `save`. No code in the file is executed.

        Parameters
        ----------
        path : str or path-like
            Of a file that `save` or a `fastnn.Checkpoint` has written.

        Returns
        -------
        Network
            Of the class that this is called on. An ``__init__`` of a subclass is not called, and
            attributes that it sets are not in the file.

        Raises
        ------
        ValueError
            If the file is not such a file, or is damaged.
        OSError
            If it cannot be read.

        Examples
        --------
        >>> import tempfile
        >>> from fastnn import Network
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Network.from_sizes([784, 128, 10], output="softmax").save(f"{folder}/net.fastnn")
        ...     Network.load(f"{folder}/net.fastnn").n_parameters
        101770
        """
        return _checkpoint.read(path, cls)[0]

    def to_data(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """What `save` writes, as plain data: for files that hold more than a network.

        Returns
        -------
        description : dict of str to object
            What JSON can hold; docs/files.md has its keys.
        tensors : dict of str to ndarray
            Copies of the parameters and of the states of optimiser and shuffling.

        Raises
        ------
        ValueError
            If the network is not built yet.

        Examples
        --------
        >>> from fastnn import Network
        >>> net = Network.from_sizes([4, 8, 3], output="softmax", seed=0)
        >>> description, tensors = net.to_data()
        >>> {name: tensor.shape for name, tensor in tensors.items()}
        {'parameters': (67,)}
        """
        return _copies.to_data(self)

    @classmethod
    def from_data(cls, description: dict[str, Any], tensors: dict[str, Array]) -> Self:
        """The network that `to_data` has made these of.

        Parameters
        ----------
        description : dict of str to object
            Layers, settings and random states.
        tensors : dict of str to ndarray
            Parameters and the optimiser's state. They are copied.

        Returns
        -------
        Network
            Of the class that this is called on, whose ``__init__`` is not called.

        Raises
        ------
        ValueError
            If they are anything else.

        Examples
        --------
        >>> import json
        >>> from fastnn import Network
        >>> description, tensors = Network.from_sizes([4, 8, 3], seed=0).to_data()
        >>> Network.from_data(json.loads(json.dumps(description)), tensors).n_parameters
        67
        """
        return _rebuild(description, tensors, cls)

    # ---- inside --------------------------------------------------------------------------------

    def _built(self) -> tuple[Plan, State]:
        plan, state = self._plan, self._state
        if plan is None or state is None:
            raise ValueError(
                "the network is not built yet: give n_features, or call fit or partial_fit first"
            )
        return plan, state

    @property
    def _shapes(self) -> list[_blocks.Shapes]:
        return self._architecture.shapes(self._built()[0].n_features)

    def _build(self, n_features: int) -> tuple[Plan, State]:
        """The plan and the initial state for inputs of `n_features` columns."""
        state = State.initial(self._architecture, n_features)
        return self._architecture.plan(n_features), state

    def _adopt(self, plan: Plan, state: State) -> None:
        self._state = state
        self._plan = plan

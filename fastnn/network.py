"""The network: what it is, and what fit, predict and their kin do, in the words of the field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import _blocks, _fit, _validation
from fastnn._core.access import Access
from fastnn._core.inference import NotFiniteError, infer
from fastnn._core.plan import Plan
from fastnn._core.training import loss_and_gradients
from fastnn._fit import FitOptions
from fastnn._state import State
from fastnn.activations import ACTIVATIONS
from fastnn.activations import ALIASES as ACTIVATION_ALIASES
from fastnn.config import choose_threads
from fastnn.initializers import Normal
from fastnn.layers import Dense
from fastnn.losses import ALIASES, LOSSES
from fastnn.optimizers import Optimizer

Array = npt.NDArray[Any]
ArrayLike = npt.ArrayLike


class Network:
    """A fully connected network.

    Parameters
    ----------
    layers : sequence of Dense
        From the first hidden layer to the output.
    n_features : int, optional
        Columns of the inputs. None: learnt at the first `fit` or `partial_fit`.
    loss : str, optional
        One of ``fastnn.losses.LOSSES``. None follows the output activation: sigmoid has
        ``binary_cross_entropy``, softmax ``categorical_cross_entropy``, all others
        ``mean_squared_error``.
    dtype : {"float32", "float64"}
        Of parameters and computation.
    seed : int, optional
        Makes initial weights and shuffling repeat exactly. None: different every time.

    Raises
    ------
    TypeError, ValueError
        If an argument is not one of these, or loss and output do not fit together.

    Notes
    -----
    Rows are samples. Layer l computes ``A_l = activation(A_(l-1) @ weights[l] + biases[l])`` from
    ``A_0 = X``. All parameters are one block; `parameters`, `weights` and `biases` are live views
    of it.

    Any number of threads may use one network. `predict` and its kin while another thread trains
    give the result for the parameters after one of the mini-batches; a second `fit` at the same
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

    @checked_keywords
    def __init__(
        self,
        layers: Sequence[Dense],
        n_features: int | None = None,
        *,
        loss: str | None = None,
        dtype: npt.DTypeLike = "float32",
        seed: int | None = None,
    ) -> None:
        self._layers = _checked_layers(layers)
        if n_features is not None:
            n_features = _validation.positive_int(
                n_features, "n_features", at_most=_validation.MAX_SIZE
            )
        self._loss = _checked_loss(loss, self._layers[-1].activation)
        self._dtype = _validation.float_dtype(dtype)
        self._seed = _validation.seed(seed)
        self._entropy = np.random.SeedSequence(self._seed).entropy
        self._plan: Plan | None = None
        self._state: State | None = None
        self._access = Access()
        if n_features is not None:
            self._adopt(*self._build(n_features))

    @classmethod
    @checked_keywords
    def from_sizes(
        cls,
        sizes: Sequence[int],
        hidden: str = "relu",
        output: str = "sigmoid",
        *,
        loss: str | None = None,
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
        initializer : str, fastnn.Normal or None
            Of all weights; see `Dense`.
        loss, dtype, seed
            As for `Network`.

        Returns
        -------
        Network
        """
        if isinstance(sizes, np.ndarray) and sizes.ndim > 0:
            sizes = list(sizes)
        if isinstance(sizes, (str, bytes)) or not isinstance(sizes, Sequence):
            raise TypeError(f"sizes must be a sequence of integers, got {type(sizes).__name__}")
        if len(sizes) < 2:
            raise ValueError(
                f"sizes must hold at least n_features and the units of one layer, got {sizes!r}"
            )
        checked = [
            _validation.positive_int(size, f"sizes[{i}]", at_most=_validation.MAX_SIZE)
            for i, size in enumerate(sizes)
        ]
        _validation.known_name(hidden, ACTIVATIONS, "hidden", ACTIVATION_ALIASES)
        activations = [hidden] * (len(checked) - 2) + [output]
        layers = [
            Dense(n_units, activation, initializer)
            for n_units, activation in zip(checked[1:], activations, strict=True)
        ]
        return cls(layers, checked[0], loss=loss, dtype=dtype, seed=seed)

    # ---- what it is --------------------------------------------------------------------------

    @property
    def layers(self) -> tuple[Dense, ...]:
        """The layers, from the first hidden one to the output."""
        return self._layers

    @property
    def loss(self) -> str:
        """Name of the loss that training minimises."""
        return self._loss

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""
        return self._dtype

    @property
    def seed(self) -> int | None:
        """The seed it was made with."""
        return self._seed

    @property
    def n_features(self) -> int | None:
        """Columns of the inputs, or None before the first `fit` of a network not told."""
        return self._sizes[0] if self._is_built else None

    @property
    def n_outputs(self) -> int:
        """Units of the last layer."""
        return self._layers[-1].n_units

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases."""
        return int(self.parameters.size)

    @property
    def parameters(self) -> Array:
        """All weights and biases: the block of shape (n_parameters,), live.

        It holds the weights (in C order) and then the bias of each layer in turn.
        """
        return self._built()[1].parameters

    @property
    def weights(self) -> tuple[Array, ...]:
        """Live views of each layer's weights, of shape (n_in, n_out)."""
        return tuple(weights for weights, _ in self.split(self.parameters))

    @property
    def biases(self) -> tuple[Array, ...]:
        """Live views of each layer's bias, of shape (n_out,)."""
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

        Raises
        ------
        TypeError, ValueError
            If `block` is not an array of that shape.
        """
        n_parameters = self.parameters.size
        if not isinstance(block, np.ndarray):
            raise TypeError(f"block must be an ndarray, got {type(block).__name__}")
        if block.shape != (n_parameters,):
            raise ValueError(f"block must be of shape ({n_parameters},), got shape {block.shape}")
        return _blocks.split(block, self._sizes)

    def __repr__(self) -> str:
        arguments = [repr(list(self._layers))]
        if self._is_built:
            arguments.append(f"n_features={self._sizes[0]}")
        if self._loss != ACTIVATIONS[self._layers[-1].activation].default_loss:
            arguments.append(f"loss={self._loss!r}")
        if self._dtype != np.float32:
            arguments.append(f"dtype={self._dtype.name!r}")
        if self._seed is not None:
            arguments.append(f"seed={self._seed}")
        count = f"{self.n_parameters:,} parameters" if self._is_built else "not built yet"
        return f"Network({', '.join(arguments)})  # {count}"

    def summary(self) -> str:
        """The dimensions of every W, b, Z and A, and the number of parameters, as a table.

        Returns
        -------
        str
            ``n`` stands for the number of samples.
        """
        self._built()
        header = ("layer", "activation", "W", "b", "Z = A_prev W + b", "A", "parameters")
        rows = [header]
        for number, layer in enumerate(self._layers, start=1):
            n_in, n_out = self._sizes[number - 1], self._sizes[number]
            rows.append(
                (
                    str(number),
                    layer.activation,
                    f"({n_in}, {n_out})",
                    f"({n_out},)",
                    f"(n, {n_out})",
                    f"(n, {n_out})",
                    f"{n_in * n_out + n_out:,}",
                )
            )
        widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
        lines = [
            "  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)) for row in rows
        ]
        lines.insert(1, "-" * len(lines[0]))
        return _Text(
            "\n".join(line.rstrip() for line in lines)
            + f"\n\nX: (n, {self._sizes[0]})   loss: {self._loss}   dtype: {self._dtype}"
            + f"   parameters: {self.n_parameters:,}"
        )

    # ---- what it does ------------------------------------------------------------------------

    @checked_keywords
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        epochs: int = 10,
        batch_size: int | None = 128,
        optimizer: str | Optimizer = "adam",
        learning_rate: float | None = None,
        validation_data: tuple[ArrayLike, ArrayLike] | None = None,
        shuffle: bool = True,
        progress: bool = False,
        threads: int | None = None,
    ) -> dict[str, list[float]]:
        """Trains the network; it goes on from where it is.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Finite numbers. Not copied if it is float32 or float64 and C-contiguous.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            For softmax the class of each sample, in ``[0, n_outputs)``, or a row of probabilities;
            for sigmoid 0, 1 or a probability; else finite numbers.
        epochs : int
            Passes over the samples.
        batch_size : int or None
            Samples a mini-batch; the last one of an epoch may be smaller. None: all of them.
        optimizer : str or Optimizer
            One of ``fastnn.optimizers.OPTIMIZERS``, or an object such as ``fastnn.Adam(1e-3)``.
            Its slots are kept from call to call while the kind of optimiser is the same.
        learning_rate : float, optional
            Takes the place of the optimiser's own.
        validation_data : (X, y), optional
            Evaluated after each epoch.
        shuffle : bool
            Whether each epoch takes the samples in another order. A full batch is never shuffled.
        progress : bool
            Whether to show a bar on the standard error stream.
        threads : int, optional
            The most to use; fewer run where they are faster, which is measured during training.
            None: as many as `set_num_threads` says. The results do not depend on it, to the bit.

        Returns
        -------
        dict of str to list of float
            ``"loss"``: for each epoch the mean loss over its samples, each mini-batch's taken
            before its update. With `validation_data` also ``"val_loss"`` and, for classifiers,
            ``"val_accuracy"``.

        Raises
        ------
        TypeError, ValueError
            If an argument is not as above. Nothing has changed then.
        FloatingPointError
            If the loss or an update stops being finite. The network keeps the parameters from
            before that mini-batch.
        RuntimeError
            If another call trains this network at the moment, or a signal handler calls this while
            it has interrupted another use of the network.
        MemoryError
            If the buffers cannot be allocated. Nothing has changed then.
        """
        options = FitOptions.checked(
            epochs=epochs,
            batch_size=batch_size,
            optimizer=optimizer,
            learning_rate=learning_rate,
            shuffle=shuffle,
            validation_data=validation_data,
            progress=progress,
            threads=threads,
        )
        return _fit.fit(self, X, y, options)

    @checked_keywords
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        batch_size: int | None = 128,
        optimizer: str | Optimizer = "adam",
        learning_rate: float | None = None,
        shuffle: bool = True,
        threads: int | None = None,
    ) -> float:
        """Trains on one pass over what is given: for data that arrive, or fit, in parts.

        The slots of the optimiser are kept from call to call while its kind is the same.

        Parameters
        ----------
        X, y, batch_size, optimizer, learning_rate, shuffle, threads
            As for `fit`.

        Returns
        -------
        float
            The mean loss over the samples, each mini-batch's taken before its update.

        Raises
        ------
        As `fit`.
        """
        options = FitOptions.checked(
            epochs=1,
            batch_size=batch_size,
            optimizer=optimizer,
            learning_rate=learning_rate,
            shuffle=shuffle,
            validation_data=None,
            progress=False,
            threads=threads,
        )
        return _fit.fit(self, X, y, options)["loss"][0]

    def predict(self, X: ArrayLike) -> Array:
        """Labels for a classifier (sigmoid or softmax output), else the output values.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            softmax: the most probable class of each sample, int64. sigmoid: 1 where the
            probability is above 0.5, else 0, int64. Otherwise the values, of the network's dtype.
            A network with one output gives shape (n_samples,).

        Raises
        ------
        TypeError, ValueError
            If X is not of this shape or has NaN or infinity, or the network is not built yet.
        """
        return self._decide(self.predict_proba(X))

    def predict_proba(self, X: ArrayLike) -> Array:
        """The activations of the output layer: probabilities for a classifier.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_outputs), of the network's dtype

        Raises
        ------
        As `predict`.
        """
        plan, state = self._built()
        output = predict_rows(plan, self._access, state.parameters, X)
        if output is not None:
            return output
        data = _validation.samples(X, plan.n_features, self._dtype)
        output = np.empty((len(data), self.n_outputs), self._dtype)
        self._infer(data, [output])
        return output

    def predictor(self, n_rows: int = 1) -> Predictor:
        """A callable that computes the output for `n_rows` samples and allocates nothing.

        For real-time use: about a microsecond for a small network. It takes an array of the
        network's dtype and returns a buffer of its own, which the next call overwrites, or the
        array given as ``out``. It follows changes of the parameters. It must not be called by two
        threads at the same time: make one for each.

        Parameters
        ----------
        n_rows : int

        Returns
        -------
        callable
            ``predictor(X, out=None)``, X of shape (n_rows, n_features), or (n_features,) for one
            row; returns an ndarray of shape (n_rows, n_outputs).

        Examples
        --------
        >>> import numpy as np
        >>> from fastnn import Network
        >>> predict = Network.from_sizes([4, 16, 3], output="softmax", seed=0).predictor()
        >>> predict(np.zeros(4, np.float32)).shape
        (1, 3)
        """
        plan, state = self._built()
        n_rows = _validation.positive_int(n_rows, "n_rows", at_most=_validation.MAX_SIZE)
        return Predictor(plan, self._access, state.parameters, n_rows)

    def forward(self, X: ArrayLike) -> list[Array]:
        """The activations of every layer: the cache that the backward pass uses.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        list of ndarray of shape (n_samples, n_out)
            ``[A_1, ..., A_L]``; the last one is what `predict_proba` gives.

        Raises
        ------
        As `predict`.
        """
        plan, _ = self._built()
        data = _validation.samples(X, plan.n_features, self._dtype)
        outputs = [np.empty((len(data), layer.n_units), self._dtype) for layer in self._layers]
        self._infer(data, outputs)
        return outputs

    def evaluate(self, X: ArrayLike, y: ArrayLike) -> dict[str, float]:
        """The mean loss, and for classifiers the accuracy.

        Parameters
        ----------
        X, y : array-like
            As for `fit`.

        Returns
        -------
        dict
            ``{"loss": ..., "accuracy": ...}``; accuracy is the share of right labels (of all
            labels, where a sample has several), in [0, 1].

        Raises
        ------
        TypeError, ValueError
            If X or y are not as for `fit`, or the network is not built yet.
        """
        plan, _ = self._built()
        return self._evaluate(*self._checked_data(X, y, plan.n_features))

    def loss_and_gradients(self, X: ArrayLike, y: ArrayLike) -> tuple[float, Array]:
        """The mean loss over the samples, and its gradient.

        Parameters
        ----------
        X, y : array-like
            As for `fit`.

        Returns
        -------
        loss : float
        gradient : ndarray of shape (n_parameters,), of the network's dtype
            Laid out like `parameters`; `split` gives the gradient of each layer.

        Raises
        ------
        TypeError, ValueError
            If X or y are not as for `fit`, or the network is not built yet.
        """
        plan, state = self._built()
        data, answers = self._checked_data(X, y, plan.n_features)
        gradient = np.empty_like(state.parameters)
        threads = choose_threads(None, plan.training_flops(len(data)))
        with self._access.reading():
            loss = loss_and_gradients(plan, state.parameters, data, answers, gradient, threads)
        return loss, gradient

    # ---- copies and files ----------------------------------------------------------------------

    def copy(self, dtype: npt.DTypeLike | None = None) -> Network:
        """An independent copy, with parameters, optimiser state and random state.

        Parameters
        ----------
        dtype : {"float32", "float64"}, optional
            Of the copy.

        Returns
        -------
        Network

        Raises
        ------
        TypeError, ValueError
            If `dtype` is not one of these, or the parameters are beyond its range.
        """
        chosen = self._dtype if dtype is None else _validation.float_dtype(dtype)
        copy = Network(self._layers, loss=self._loss, dtype=chosen, seed=self._seed)
        copy._entropy = self._entropy
        if self._plan is None or self._state is None:
            return copy
        plan = self._plan  # shared: copies have the same, and take turns with its buffers
        with self._access.reading():
            if chosen != self._dtype:
                _validation.finite(self._state.parameters, chosen, "parameters")
                _validation.finite(self._state.slots, chosen, "slots")
                plan = Plan(_plan_layers(self._layers), plan.n_features, self._loss, chosen)
            copy._adopt(plan, self._state.copy(chosen))
        return copy

    def __copy__(self) -> Network:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Network:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        with self._access.reading():
            return _rebuild, (self._description(), self._tensors(), self._entropy)

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
            If the network is not built yet.
        """
        from fastnn import _files  # here: hashlib and json cost a quarter of the import otherwise

        self._built()
        with self._access.reading():
            description, tensors = self._description(), self._tensors()
        _files.write_model(path, description, tensors)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Network:
        """Reads a network from a file written by `save`. No code in the file is executed.

        Parameters
        ----------
        path : str or path-like

        Returns
        -------
        Network

        Raises
        ------
        ValueError
            If the file is not such a file, or is damaged.
        OSError
            If it cannot be read.
        """
        from fastnn import _files

        description, tensors = _files.read_model(path)
        try:
            return _rebuild(description, tensors)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(
                f"{path}: not a network that this version can read: {error}"
            ) from error

    # ---- inside --------------------------------------------------------------------------------

    @property
    def _is_built(self) -> bool:
        return self._plan is not None

    def _built(self) -> tuple[Plan, State]:
        if self._plan is None or self._state is None:
            raise ValueError(
                "the network is not built yet: give n_features, or call fit or partial_fit first"
            )
        return self._plan, self._state

    def _build(self, n_features: int) -> tuple[Plan, State]:
        """The plan and the initial state for inputs of `n_features` columns."""
        sizes = [n_features, *(layer.n_units for layer in self._layers)]
        state = State.initial(self._layers, sizes, self._dtype, self._entropy)
        return Plan(_plan_layers(self._layers), n_features, self._loss, self._dtype), state

    def _adopt(self, plan: Plan, state: State) -> None:
        self._sizes = [plan.n_features, *(layer.n_units for layer in self._layers)]
        self._state = state
        self._plan = plan

    def _checked_data(
        self,
        X: ArrayLike,
        y: ArrayLike,
        n_features: int | None,
        names: tuple[str, str] = ("X", "y"),
    ) -> tuple[Array, Array]:
        """X and y, checked, as the core reads them."""
        data = _validation.samples(X, n_features, self._dtype, names[0], at_least=1)
        targets = _validation.targets(
            y, len(data), self.n_outputs, self._loss, self._dtype, names[1]
        )
        _validation.finite(data, self._dtype, names[0])
        return data, targets

    def _infer(self, X: Array, outputs: list[Array], targets: Array | None = None) -> float:
        """Fills `outputs`, of all layers or the last one; returns the loss, 0 without `targets`."""
        plan, state = self._built()
        threads = choose_threads(None, plan.training_flops(len(X)) / 3)
        with self._access.reading():
            return infer(plan, state.parameters, X, outputs, threads, targets)

    def _infer(self, X: Array, outputs: list[Array], y: Array | None = None) -> float:
        """Outputs, and the mean loss where there is y, from data that have been checked."""
        plan, block = self._built()
        threads = self._inference_threads(plan, X)
        try:
            with self._access.reading():
                return infer(plan, block, X, outputs, threads, y)
        except NotFiniteError as error:
            self._explain_not_finite(error, X)
            raise

    def _explain_not_finite(self, error: NotFiniteError, X: Array) -> None:
        """Says where a number that is not finite comes from."""
        if error.in_input:
            _validation.finite(X, self._dtype, "X")
        _validation.finite(self._built()[1], self._dtype, "parameters")
        raise ValueError(
            f"the output for row {error.first} of X is NaN: X or the parameters are so large that "
            f"{self._dtype} cannot hold what lies between"
        ) from error

    def _evaluate(self, X: Array, y: Array) -> dict[str, float]:
        """Loss and accuracy from data that have been checked."""
        output = np.empty((len(X), self.n_outputs), self._dtype)
        result = {"loss": self._infer(X, [output], y)}
        if ACTIVATIONS[self._layers[-1].activation].is_classifier:
            right = self._decide(output) == (y if y.ndim == 1 else self._decide(y))
            result["accuracy"] = float(np.mean(right))
        return result

    def _decide(self, output: Array) -> Array:
        """What `predict` gives for these output activations."""
        activation = self._layers[-1].activation
        if activation == "softmax":
            labels: Array = output.argmax(axis=1)
            return labels
        if ACTIVATIONS[activation].is_classifier:
            output = (output > 0.5).astype(np.int64)
        return output.reshape(-1) if self.n_outputs == 1 else output

    def _description(self) -> dict[str, Any]:
        """All of the network but its arrays, as JSON knows it."""
        description = {
            "layers": [asdict(layer) for layer in self._layers],
            "n_features": self.n_features,
            "loss": self._loss,
            "dtype": self._dtype.name,
            "seed": self._seed,
        }
        return description if self._state is None else description | self._state.description()

    def _tensors(self) -> dict[str, Array]:
        """Copies of all its arrays."""
        return {} if self._state is None else self._state.tensors()


# ---- helpers -------------------------------------------------------------------------------------


class _Text(str):
    """A string that an interactive session shows as it is printed."""

    def __repr__(self) -> str:
        return str(self)


def _checked_layers(layers: Any) -> tuple[Dense, ...]:
    if isinstance(layers, Dense) or not isinstance(layers, Sequence) or isinstance(layers, str):
        raise TypeError(f"layers must be a sequence of Dense, got {type(layers).__name__}")
    if len(layers) == 0:
        raise ValueError("layers must hold at least one layer, got none")
    for i, layer in enumerate(layers):
        if not isinstance(layer, Dense):
            raise TypeError(f"layers[{i}] must be a Dense, got {layer!r}")
        if ACTIVATIONS[layer.activation].output_only and i < len(layers) - 1:
            raise ValueError(
                f"layers[{i}] has the activation {layer.activation!r}, which only the last layer "
                f"can have"
            )
    if layers[-1].activation == "softmax" and layers[-1].n_units < 2:
        raise ValueError(
            "a softmax output must have at least 2 units, got 1; for two classes use "
            "Dense(2, 'softmax') or Dense(1, 'sigmoid')"
        )
    return tuple(layers)


def _checked_loss(loss: Any, output: str) -> str:
    """The name of the loss, if it fits the output activation."""
    if loss is None:
        return ACTIVATIONS[output].default_loss
    row = _validation.known_name(loss, LOSSES, "loss", ALIASES)
    fits = not ACTIVATIONS[output].output_only if row.output is None else row.output == output
    if not fits:
        wanted = "an element-wise" if row.output is None else f"a {row.output}"
        raise ValueError(f"loss {row.name!r} needs {wanted} output, got {output!r}")
    return row.name


def _plan_layers(layers: Sequence[Dense]) -> list[tuple[int, str]]:
    return [(layer.n_units, layer.activation) for layer in layers]


def _rebuild(
    description: dict[str, Any], tensors: dict[str, Array], entropy: Any = None
) -> Network:
    """The network of a description and its arrays, as `Network._description` gives them."""
    layers = []
    for layer in description["layers"]:
        initializer = layer["initializer"]
        if isinstance(initializer, dict):
            initializer = Normal(**initializer)
        layers.append(Dense(layer["n_units"], layer["activation"], initializer))
    net = Network(
        layers, loss=description["loss"], dtype=description["dtype"], seed=description["seed"]
    )
    if entropy is not None:
        net._entropy = entropy
    if description["n_features"] is None:
        if tensors:
            raise ValueError("a network without n_features has no tensors")
        return net
    n_features = _validation.positive_int(
        description["n_features"], "n_features", at_most=_validation.MAX_SIZE
    )
    plan = Plan(_plan_layers(layers), n_features, net.loss, net.dtype)
    net._adopt(plan, State.restored(description, tensors, plan.n_parameters, net.dtype))
    return net

"""Several networks that predict together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any, Literal, Self, overload

import numpy as np
import numpy.typing as npt

from fastnn import _copies, _validation
from fastnn._description import entries
from fastnn.layers import Dense
from fastnn.many import checked_networks
from fastnn.metrics import MetricsLike
from fastnn.network import Network

Array = npt.NDArray[Any]

KIND = "Ensemble"

# A probability that is smaller has the logarithm of this: that of 0 is no number.
_TINY = float(np.finfo(np.float32).tiny)


class Ensemble:
    """Trained networks that predict together: their mean, its spread, and their votes.

    ``ensemble[i]`` is a member, ``for net in ensemble`` goes through them, ``len(ensemble)`` counts
    them.

    Parameters
    ----------
    networks : sequence of Network
        With equal `n_features`, units and activation of the output, and loss. Otherwise they may
        differ, in their dtype too. They are not copied: what trains one changes the ensemble.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.

    Notes
    -----
    The members predict one after the other, each with all threads. The outputs are summed up in
    float64, in the order of the networks.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import Ensemble, Network, fit_many
    >>> X, y = np.random.default_rng(0).standard_normal((200, 3)), np.arange(200) % 2
    >>> networks = [Network.from_sizes([3, 8, 1], seed=i) for i in range(5)]
    >>> histories = fit_many(networks, X, y, epochs=2)
    >>> Ensemble(networks).votes(X).shape
    (200, 1)
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = tuple(checked_networks(networks))
        for i, net in enumerate(self._networks):
            _check_member(net, i, self._networks[0])
        # Predicts the mean of the outputs from what its output's activation makes them of
        first = self._networks[0]
        k, activation = first.n_outputs, first._architecture.output.activation
        self._inverse = activation if activation in ("sigmoid", "softmax", "exponential") else None
        self._mean = Network(
            [Dense(k, "linear" if self._inverse is None else activation)],
            k,
            loss=first.loss,
            dtype="float64",
            seed=0,
        )
        self._mean.set_parameters(weights=[np.eye(k)])

    @property
    def networks(self) -> tuple[Network, ...]:
        """The members, in their order."""
        return self._networks

    @property
    def n_features(self) -> int:
        """Columns of the inputs."""
        return self._networks[0]._built()[0].n_features

    @property
    def n_outputs(self) -> int:
        """Units of the output."""
        return self._networks[0].n_outputs

    def __len__(self) -> int:
        return len(self._networks)

    @overload
    def __getitem__(self, i: int) -> Network: ...

    @overload
    def __getitem__(self, i: slice) -> tuple[Network, ...]: ...

    def __getitem__(self, i: int | slice) -> Network | tuple[Network, ...]:
        """A member, or those of a slice, as of `networks`."""
        try:
            return self._networks[i]
        except IndexError:
            raise IndexError(f"an ensemble of {len(self)} networks has no member {i}") from None
        except TypeError:
            raise TypeError(
                f"members of an ensemble have integers or slices for indices, got "
                f"{_validation.shown(i)}"
            ) from None

    def __iter__(self) -> Iterator[Network]:
        """The members, in their order."""
        return iter(self._networks)

    def __repr__(self) -> str:
        n_parameters = sum(net.n_parameters for net in self._networks)
        return f"<ensemble of {len(self)} networks, {n_parameters:,} parameters in all>"

    def predict_proba(self, X: npt.ArrayLike, *, threads: int | None = None) -> Array:
        """The mean of the members' output activations: probabilities for classifiers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Finite numbers.
        threads : int, optional
            As for `Network.predict`.

        Returns
        -------
        ndarray of shape (n_samples, n_outputs), of the members' dtype
            In float64 where these differ.

        Raises
        ------
        TypeError, ValueError
            As `Network.predict`.

        Examples
        --------
        >>> import numpy as np
        >>> from fastnn import Ensemble, Network
        >>> X = np.random.default_rng(0).standard_normal((5, 4))
        >>> nets = [Network.from_sizes([4, 8, 3], output="softmax", seed=i) for i in range(4)]
        >>> mean = Ensemble(nets).predict_proba(X)
        >>> np.allclose(mean, np.mean([net.predict_proba(X) for net in nets], axis=0))
        True
        """
        return self._in_dtype(_mean(self._outputs(X, threads)))

    @overload
    def predict(
        self, X: npt.ArrayLike, *, return_std: Literal[False] = False, threads: int | None = None
    ) -> Array: ...

    @overload
    def predict(
        self, X: npt.ArrayLike, *, return_std: Literal[True], threads: int | None = None
    ) -> tuple[Array, Array]: ...

    def predict(
        self, X: npt.ArrayLike, *, return_std: bool = False, threads: int | None = None
    ) -> Array | tuple[Array, Array]:
        """What the mean of the outputs says: labels for classifiers, else the values.

        Labels are those of the mean probabilities, not of a vote: `votes` has that one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Finite numbers.
        return_std : bool
            Whether to give the spread of the members too.
        threads : int, optional
            As for `Network.predict`.

        Returns
        -------
        predicted : ndarray
            As of `Network.predict`.
        std : ndarray
            With ``return_std=True`` only: the standard deviation of the members' outputs about
            their mean (``ddof=0``). Of classifiers that of the probabilities, of shape
            (n_samples, n_outputs); else of the shape of `predicted`. The outputs of all members are
            held at a time.

        Raises
        ------
        TypeError, ValueError
            As `Network.predict`.

        Examples
        --------
        >>> from fastnn import Ensemble, Network
        >>> nets = [Network.from_sizes([1, 1], output="linear") for _ in range(2)]
        >>> for net, slope in zip(nets, (1.0, 3.0)):
        ...     net.set_parameters([[[slope]]], [[0.0]])
        >>> Ensemble(nets).predict([[1.0], [2.0]], return_std=True)
        (array([2., 4.], dtype=float32), array([1., 2.], dtype=float32))
        """
        outputs: Iterable[Array] = self._outputs(X, threads)
        if not _validation.boolean(return_std, "return_std"):
            return self._decided(_mean(outputs))
        outputs = list(outputs)
        mean = _mean(outputs)
        std = np.sqrt(_mean(np.square(output - mean) for output in outputs))
        predicted, std = self._decided(mean), self._in_dtype(std)
        is_classifier = self._mean._architecture.is_classifier
        return predicted, std if is_classifier else std.reshape(predicted.shape)

    def votes(self, X: npt.ArrayLike, *, threads: int | None = None) -> npt.NDArray[np.int64]:
        """How many members say what, each by its own output.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Finite numbers.
        threads : int, optional
            As for `Network.predict`.

        Returns
        -------
        ndarray of shape (n_samples, n_outputs), int64
            For softmax the votes for each class; the argmax of a row is what most members say, and
            the lowest of the classes that are equal. For sigmoid the votes for 1, of each label.

        Raises
        ------
        ValueError
            If the members are no classifiers.
        TypeError, ValueError
            As `Network.predict`.

        Examples
        --------
        >>> from fastnn import Ensemble, Network
        >>> nets = [Network.from_sizes([1, 1]) for _ in range(3)]
        >>> for net, bias in zip(nets, (-1.0, 0.5, 2.0)):
        ...     net.set_parameters([[[1.0]]], [[bias]])  # 1 where x is above -bias
        >>> Ensemble(nets).votes([[-3.0], [0.0], [3.0]])
        array([[0],
               [2],
               [3]])
        """
        if not self._mean._architecture.is_classifier:
            raise ValueError("votes needs classifiers; predict has a mean and a spread of values")
        total = 0
        for output in self._outputs(X, threads):
            if self._inverse == "softmax":
                voted = output.argmax(axis=1)[:, np.newaxis] == np.arange(self.n_outputs)
            else:
                voted = output > 0.5
            total = total + voted.astype(np.int64)
        votes: npt.NDArray[np.int64] = np.asarray(total)
        return votes

    def evaluate(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        *,
        threads: int | None = None,
        metrics: MetricsLike = (),
        sample_weight: npt.ArrayLike | None = None,
        class_weight: Mapping[int, float] | str | None = None,
    ) -> dict[str, float]:
        """The loss of the mean output, for classifiers its accuracy, and other metrics.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Finite numbers.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            As for `Network.fit`.
        threads : int, optional
            As for `Network.predict`.
        metrics : str, callable, or sequence of them
            As for `Network.evaluate`.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the samples in the loss and in the accuracy.
        class_weight : dict of int to float, or "balanced", optional
            As for `Network.evaluate`.

        Returns
        -------
        dict
            As of `Network.evaluate`. It is not the mean of the members' losses, but that of one
            model: often a smaller one.

        Raises
        ------
        TypeError, ValueError
            As `Network.evaluate`.

        Examples
        --------
        >>> from fastnn import Ensemble, Network
        >>> nets = [Network.from_sizes([1, 1], output="linear") for _ in range(2)]
        >>> for net, slope in zip(nets, (1.0, 3.0)):
        ...     net.set_parameters([[[slope]]], [[0.0]])
        >>> [net.evaluate([[1.0]], [2.0])["loss"] for net in nets]
        [1.0, 1.0]
        >>> Ensemble(nets).evaluate([[1.0]], [2.0])["loss"]
        0.0
        """
        mean = _mean(self._outputs(X, threads))
        options: dict[str, Any] = {"sample_weight": sample_weight, "class_weight": class_weight}
        return self._mean.evaluate(self._inputs(mean), y, metrics=metrics, **options)

    def save(self, path: str | PathLike[str]) -> None:
        """Writes all members to one file, from which each can be trained on.

        Parameters
        ----------
        path : str or path-like
            A safetensors file, as `Network.save` writes it: beside, and moved into place.

        Raises
        ------
        OSError
            If it cannot be written. A file that was there stays as it was.
        ValueError
            If a parameter is not finite, or the members' descriptions take more than 512 KiB.
            Nothing is written then.

        Notes
        -----
        A file begins with one description of layers, settings and random states of all members. It
        is read as a whole, before anything in it can be checked, so it has a limit: a description
        takes about 1 KB for a trained network of two layers, and 2 KB for one of 15. So a file
        holds about 500 or 250 members. More of them are saved one by one, by ``net.save``.

        Examples
        --------
        >>> import tempfile
        >>> from fastnn import Ensemble, Network
        >>> ensemble = Ensemble([Network.from_sizes([2, 8, 1], seed=i) for i in range(5)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     ensemble.save(f"{folder}/five.fastnn")
        ...     Ensemble.load(f"{folder}/five.fastnn")
        <ensemble of 5 networks, 165 parameters in all>
        """
        from fastnn import _files  # here: hashlib and json cost a quarter of the import otherwise

        descriptions, tensors = _copies.many_to_data(self._networks)
        _files.write_model(path, {"kind": KIND, "networks": descriptions}, tensors)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Reads what `save` has written. No code in the file is executed.

        Parameters
        ----------
        path : str or path-like
            Of a file that `save` has written.

        Returns
        -------
        Ensemble
            Of the class that this is called on.

        Raises
        ------
        ValueError
            If the file is not such a file, or is damaged.
        OSError
            If it cannot be read.

        Examples
        --------
        >>> import tempfile
        >>> from fastnn import Ensemble, Network
        >>> nets = [Network.from_sizes([2, 8, 1], seed=i) for i in range(3)]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Ensemble(nets).save(f"{folder}/three.fastnn")
        ...     [net.seed for net in Ensemble.load(f"{folder}/three.fastnn")]
        [0, 1, 2]
        """
        from fastnn import _files

        description, tensors = _files.read_model(path)
        if "layers" in description and "kind" not in description:
            raise ValueError(
                f"cannot load {str(path)!r}: it is a network, which Network.load reads"
            )
        try:
            if description.get("kind") != KIND:
                raise ValueError(f"{description.get('kind')}.load reads this file")
            _, networks = entries(description, ["kind", "networks"], "the description")
            return cls(_copies.many_from_data(networks, tensors))
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"cannot load {str(path)!r}: not an ensemble: {error}") from error

    # ---- inside ----------------------------------------------------------------------------------

    def _outputs(self, X: Any, threads: int | None) -> Iterator[Array]:
        """Of each member in turn, in float64."""
        dtype = np.result_type(*(net.dtype for net in self._networks))
        data: Any = _validation.samples(X, self.n_features, dtype)
        for net in self._networks:
            yield net.predict_proba(data, threads=threads).astype(np.float64)

    def _in_dtype(self, output: Array) -> Array:
        return output.astype(np.result_type(*(net.dtype for net in self._networks)))

    def _decided(self, mean: Array) -> Array:
        """What `Network.predict` gives for these outputs."""
        decided = self._mean._architecture.decided(mean)
        return decided if decided.dtype.kind == "i" else self._in_dtype(decided)

    def _inputs(self, mean: Array) -> Array:
        """What the output's activation makes these outputs of."""
        if self._inverse is None:
            return mean
        mean = np.maximum(mean, _TINY)
        logarithm = np.log(mean)
        if self._inverse == "sigmoid":
            rest = np.maximum(1 - mean, _TINY)
            logarithm -= np.log(rest)
        return logarithm


def _mean(outputs: Iterable[Array]) -> Array:
    total, n = np.zeros(()), 0
    for output in outputs:
        total, n = total + output, n + 1
    return total / n


def _check_member(net: Network, i: int, first: Network) -> None:
    """Refuses a network that does not predict what the first one does."""
    if net.n_features is None:
        raise ValueError(f"networks[{i}] is not built yet: train it first, or give n_features")
    compared = {
        "n_features": (net.n_features, first.n_features),
        "n_outputs": (net.n_outputs, first.n_outputs),
        "an output activation of": (
            net._architecture.output.activation,
            first._architecture.output.activation,
        ),
        "a loss of": (net.loss, first.loss),
    }
    for name, (got, wanted) in compared.items():
        if got != wanted:
            raise ValueError(
                f"networks[{i}] must have {name} {wanted}, as networks[0] has, got {got}"
            )

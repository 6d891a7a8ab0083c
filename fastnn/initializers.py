"""Initializers of weights; biases start at zero.

Numbers are drawn in float64 and then rounded, so that the initial weights of a seed do not depend
on the network's dtype.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fastnn import _validation
from fastnn._keywords import checked_keywords


@checked_keywords
@dataclass(frozen=True)
class Normal:
    """Normal numbers with mean 0 and standard deviation `scale`.

    Parameters
    ----------
    scale : float
        Standard deviation; above 0.

    Raises
    ------
    TypeError, ValueError
        If a value is not one of these.

    Examples
    --------
    >>> from fastnn import Dense, Network, Normal
    >>> net = Network([Dense(100, "relu", Normal(0.05)), Dense(1)], n_features=100, seed=0)
    >>> round(float(net.weights[0].std()), 2)
    0.05
    """

    scale: float = 0.01

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", _validation.positive_number(self.scale, "scale"))

    def draw(self, n_in: int, n_out: int, random: np.random.Generator) -> npt.NDArray[np.float64]:
        """Initial weights of a layer.

        Parameters
        ----------
        n_in, n_out : int
            Units that enter the layer, and units that it has.
        random : numpy.random.Generator
            What draws them.

        Returns
        -------
        ndarray of shape (n_in, n_out), float64
            They are rounded to the network's dtype later.
        """
        return self.scale * random.standard_normal((n_in, n_out))


# Quoted: the name numpy.random alone would import it, which costs 4 ms
_Draw: TypeAlias = "Callable[[int, int, np.random.Generator], npt.NDArray[np.float64]]"


def _normal(variance: Callable[[int, int], float]) -> _Draw:
    return lambda n_in, n_out, random: random.normal(
        0.0, sqrt(variance(n_in, n_out)), (n_in, n_out)
    )


def _uniform(variance: Callable[[int, int], float]) -> _Draw:
    """Uniform in [-limit, limit], whose variance is limit^2 / 3."""

    def draw(n_in: int, n_out: int, random: np.random.Generator) -> npt.NDArray[np.float64]:
        limit = sqrt(3 * variance(n_in, n_out))
        return random.uniform(-limit, limit, (n_in, n_out))

    return draw


def _he(n_in: int, n_out: int) -> float:
    """He et al., "Delving deep into rectifiers", ICCV 2015, eq. 10."""
    return 2 / n_in


def _glorot(n_in: int, n_out: int) -> float:
    """Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS 2010, eq. 12."""
    return 2 / (n_in + n_out)


def _lecun(n_in: int, n_out: int) -> float:
    """LeCun et al., "Efficient BackProp", 1998, section 4.6."""
    return 1 / n_in


#: name -> function of (n_in, n_out, random)
INITIALIZERS: dict[str, _Draw] = {
    "he_normal": _normal(_he),
    "he_uniform": _uniform(_he),
    "glorot_normal": _normal(_glorot),
    "glorot_uniform": _uniform(_glorot),
    "lecun_normal": _normal(_lecun),
    "lecun_uniform": _uniform(_lecun),
    "normal": lambda n_in, n_out, random: Normal().draw(n_in, n_out, random),
    "zeros": lambda n_in, n_out, random: np.zeros((n_in, n_out)),
}

#: Other names under which the same initializers are known. A paper's name alone is the kind that
#: an activation has by default.
ALIASES = {
    "he": "he_normal",
    "kaiming": "he_normal",
    "kaiming_normal": "he_normal",
    "kaiming_uniform": "he_uniform",
    "glorot": "glorot_uniform",
    "xavier": "glorot_uniform",
    "xavier_normal": "glorot_normal",
    "xavier_uniform": "glorot_uniform",
    "lecun": "lecun_normal",
}


def checked_initializer(initializer: Any) -> str | Normal | None:
    """`initializer`, if it is a known name, a `Normal` or None."""
    if isinstance(initializer, str):
        return _validation.spelled(initializer, INITIALIZERS, "initializer", ALIASES)
    if initializer is not None and not isinstance(initializer, Normal):
        raise TypeError(
            f"initializer must be a name ({', '.join(INITIALIZERS)}), fastnn.Normal(scale) or "
            f"None, got {_validation.short(initializer)}"
        )
    return initializer


def draw_weights(
    initializer: str | Normal, n_in: int, n_out: int, random: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Initial weights.

    Parameters
    ----------
    initializer : str or Normal
    n_in, n_out : int
    random : numpy.random.Generator

    Returns
    -------
    ndarray of shape (n_in, n_out), float64
    """
    with np.errstate(all="ignore"):  # a tiny scale gives zeros
        if isinstance(initializer, Normal):
            return initializer.draw(n_in, n_out, random)
        return INITIALIZERS[initializer](n_in, n_out, random)

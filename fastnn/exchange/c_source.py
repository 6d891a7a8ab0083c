"""A model as one self-contained C file."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from typing import Any

from fastnn import _validation
from fastnn._files import replace_file
from fastnn._keywords import checked_keywords
from fastnn.exchange.c.models import source_of
from fastnn.network import Network
from fastnn.tabular import TabularModel

# Of C99 and C++11, because the file is both.
_KEYWORDS = frozenset(
    re.findall(
        r"\w+",
        """
        _Bool _Complex _Imaginary alignas alignof and and_eq asm auto bitand bitor bool break case
        catch char char16_t char32_t class compl const const_cast constexpr continue decltype
        default delete do double dynamic_cast else enum explicit export extern false float for
        friend goto if inline int long mutable namespace new noexcept not not_eq nullptr operator
        or or_eq private protected public register reinterpret_cast restrict return short signed
        sizeof static static_assert static_cast struct switch template this thread_local throw
        true try typedef typeid typename union unsigned using virtual void volatile wchar_t while
        xor xor_eq
        """,
    )
)


@dataclass(frozen=True)
class CSource:
    """What `to_c` says of the file that it wrote.

    Parameters
    ----------
    name : str
        In front of everything that the file defines.
    flash : int
        Bytes of code and constants on a Cortex-M4, compiled as the head comment says.
    stack : int
        Bytes of stack there, without that of libm.
    largest_difference, mean_difference : float or None
        With ``dtype="int8"``: between an output of the model and the same one with the weights of
        the file, over rows and outputs. Else None.

    Examples
    --------
    >>> import os, tempfile
    >>> from fastnn import Network
    >>> from fastnn.exchange import to_c
    >>> net = Network.from_sizes([4, 16, 3], output="softmax", seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     source = to_c(net, os.path.join(folder, "iris.c"), dtype="int8")
    >>> source.name, source.flash < 4096, source.largest_difference < 0.1
    ('iris', True, True)
    """

    name: str
    flash: int
    stack: int
    largest_difference: float | None = None
    mean_difference: float | None = None


@checked_keywords
def to_c(
    net: Network | TabularModel,
    path: str | os.PathLike[str],
    name: str | None = None,
    dtype: str | None = None,
    X: Any = None,
) -> CSource:
    """Writes a model as one C file, which needs no heap and nothing but libm.

    The file has ``void NAME_predict(const float *x, float *y)`` (double for a network of float64),
    which gives what `Network.predict_proba` gives for one row, ``NAME_N_FEATURES`` and
    ``NAME_N_OUTPUTS``. It is C99 and C++11. Its head comment says how to use it, and how much flash
    and stack it takes. With ``NAME_MAIN`` defined it is a program that reads rows from standard
    input.

    Of a model for tables it gives what `TabularModel.predict_proba` does, or `TabularModel.predict`
    of a number. The row is as `TabularModel.numbers` gives it, in float32: one number for each
    column that is used. The file fills, scales and encodes it, and has the names of columns,
    categories and classes. The program reads CSV.

    Parameters
    ----------
    net : Network or fastnn.tabular.TabularModel
        Built or fitted, with finite parameters.
    path : str or path-like
        The file, which is replaced where it exists. The same network gives the same bytes.
    name : str, optional
        A C identifier. None: the name of the file up to the first dot.
    dtype : {"int8"}, optional
        Stores the weights of `Dense` layers as int8, with a float32 scale for each unit: a quarter
        of the memory of float32. Rows and arithmetic are float32, also for a network of float64.
        None: everything is of the network's dtype.
    X : array-like of shape (n_samples, n_features), optional
        With ``dtype="int8"``: rows on which the loss of accuracy is measured; a table, where `net`
        is for tables. None: 1,000 rows of normal random numbers, or of values from the ranges and
        categories of the training rows.

    Returns
    -------
    CSource
        Flash and stack in bytes, and with ``dtype="int8"`` the loss of accuracy.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above, the network is not built yet, or a number of it is not
        finite; or `path` is a pipe or a device. Nothing is written then.
    OSError
        If the file cannot be written. A file that was there stays as it was.

    Notes
    -----
    A `BatchNorm` behind a linear `Dense` is folded into it. Dropout and noise are left out.

    A table's columns are never encoded as a whole. Each adds to the first layer what it gives
    there: a category one row of weights, the ramps of a number a mean of two rows. So the stack
    holds no inputs, and the first layer takes as long as one with a few inputs a column.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from fastnn import Network
    >>> from fastnn.exchange import to_c
    >>> net = Network.from_sizes([4, 16, 3], output="softmax", seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "iris.c"
    ...     print(to_c(net, path).name, "iris_predict" in path.read_text())
    iris True
    """
    if not isinstance(net, (Network, TabularModel)):
        raise TypeError(f"net must be a Network or a TabularModel, got {_validation.shown(net)}")
    target = _validation.checked_path(path)
    name = _checked_name(name, target)
    if dtype not in (None, "int8"):
        raise ValueError(f'dtype must be None or "int8", got {_validation.shown(dtype)}')
    if X is not None and dtype is None:
        raise ValueError('X is for dtype="int8", whose loss of accuracy it measures')
    source = source_of(net)
    if dtype is None:
        program = source.program(name)
        replace_file(target, [program.text().encode("ascii")])
        return CSource(name, program.flash, program.stack)
    program, differences = source.int8_program(name, X)
    if differences.size == 0:
        raise ValueError("X must have at least 1 sample, got none")
    largest, mean = float(differences.max()), float(differences.mean())
    remark = (
        f"Weights are int8, with a scale for each unit. On {len(differences)} rows of "
        f"{source.made_up if X is None else 'data'} the outputs differ from those of the "
        f"{'model' if isinstance(net, TabularModel) else 'network'} by at most {largest:.2g}, on "
        f"average by {mean:.2g}."
    )
    program = replace(program, remarks=[*program.remarks, remark])
    replace_file(target, [program.text().encode("ascii")])
    return CSource(name, program.flash, program.stack, largest, mean)


# ---- what is checked -----------------------------------------------------------------------------


def _checked_name(name: str | None, path: str) -> str:
    """`name`, or that of the file, if it can begin the names of a C program."""
    remedy = ""
    if name is None:
        name = os.path.basename(path).partition(".")[0]
        remedy = ", from path; pass name="
    if not isinstance(name, str):
        raise TypeError(f"name must be a C identifier, got {_validation.shown(name)}")
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or name in _KEYWORDS:
        raise ValueError(
            f"name must be a C identifier and no keyword of C or C++, got {name!r}{remedy}"
        )
    return name

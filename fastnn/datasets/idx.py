"""IDX, the file format of MNIST."""

import gzip
import math
import os
import zlib
from io import BufferedReader
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn._files import open_regular
from fastnn._keywords import checked_keywords
from fastnn._validation import checked_path

Reader = BufferedReader | gzip.GzipFile

_DTYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype("u1"),
    0x09: np.dtype("i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
_PIECE = 1 << 20  # bytes read at a time while they are only counted


@checked_keywords
def read_idx(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """Read an array from an IDX file, compressed by gzip or not.

    Parameters
    ----------
    path : str or os.PathLike
        The content says whether it is compressed, not the name.

    Returns
    -------
    ndarray
        With the shape and type the file says (uint8, int8, int16, int32, float32 or float64), in
        native byte order.

    Raises
    ------
    ValueError
        If the file is not IDX, is damaged, or is shorter or longer than it says.
    OSError
        From the operating system.

    References
    ----------
    Y. LeCun, C. Cortes and C. Burges, "The MNIST database of handwritten digits", 1998, section
    "The IDX file format".

    Examples
    --------
    >>> import pathlib, struct, tempfile
    >>> from fastnn.datasets import read_idx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "labels-idx1-ubyte"
    ...     _ = path.write_bytes(struct.pack(">BBBBI", 0, 0, 8, 1, 3) + bytes([5, 0, 4]))
    ...     read_idx(path)
    array([5, 0, 4], dtype=uint8)
    """
    name = checked_path(path)
    try:
        with _open(name) as file:
            dtype, shape = _read_header(file)
            # A file that does not hold what it promises is refused before anything is allocated.
            n_bytes = math.prod(shape) * dtype.itemsize
            _check_length(file, n_bytes)
        with _open(name) as file:
            if _read_header(file) != (dtype, shape):
                raise _DamageError("it changed while it was read")
            array = _read_array(file, dtype, shape)
    except (gzip.BadGzipFile, EOFError, zlib.error, _DamageError) as error:
        raise ValueError(f"cannot read {name!r} as IDX: {error}") from error
    return array.astype(dtype.newbyteorder("="), copy=False)


class _DamageError(Exception):
    """The reason why a file is refused."""


def _open(path: str) -> Reader:
    file = open_regular(path)
    if file.peek(2)[:2] != b"\x1f\x8b":
        return file
    file.close()
    return gzip.open(path, "rb")


def _read_header(file: Reader) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Two zero bytes, type code, number of dimensions, each dimension as big-endian uint32."""
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _DTYPES:
        raise _DamageError(f"it starts with the bytes {magic.hex(' ')!r}, which is no IDX header")
    n_dimensions = magic[3]
    sizes = file.read(4 * n_dimensions)
    if len(sizes) < 4 * n_dimensions:
        raise _DamageError(f"it is cut off within the sizes of its {n_dimensions} dimensions")
    return _DTYPES[magic[2]], tuple(np.frombuffer(sizes, ">u4").tolist())


def _check_length(file: Reader, n_bytes: int) -> None:
    """Refuse a file unless exactly `n_bytes` follow."""
    found = 0
    while found <= n_bytes and (piece := file.read(_PIECE)):
        found += len(piece)
    if found < n_bytes:
        raise _DamageError(f"its header promises {n_bytes} bytes of data, it holds {found}")
    if found > n_bytes:
        raise _DamageError(f"its header promises {n_bytes} bytes of data, it holds more")


def _read_array(file: Reader, dtype: np.dtype[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    try:
        array = np.empty(shape, dtype)
    except ValueError as error:
        raise _DamageError(f"NumPy has no arrays of its shape: {error}") from error
    content = array.reshape(-1).view(np.uint8).data
    if file.readinto(content) != len(content):
        raise _DamageError("it changed while it was read")
    return array

"""Model files: safetensors with a description and a checksum in the metadata.

The file is written and read here and not by the safetensors library (0.8), which ends the process
when memory runs out, cannot be interrupted, makes every file readable by its owner only, and has no
wheels for Python without a GIL. A header that comes from outside is checked before anything is
allocated; the tensors are then read into NumPy's memory.
"""

import contextlib
import errno
import json
import os
import stat
from collections.abc import Iterable, Iterator
from io import BufferedReader
from itertools import chain
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn._validation import checked_path

FORMAT = "fastnn"
VERSION = "2"

Array = npt.NDArray[Any]

_DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
}
_DTYPE_NAMES = {dtype: name for name, dtype in _DTYPES.items()}

# Bytes: room for the description of as many layers as a network may have. What is read from it
# takes up to thirty times as much memory.
_LONGEST_HEADER = 1 << 19
_MOST_DIMENSIONS = 64  # of NumPy's arrays; the product of many large ones would take seconds
_PIECE = 1 << 22  # bytes handled between two looks for Ctrl-C


def open_regular(path: str) -> BufferedReader:
    """Open a file for reading; ValueError for pipes and devices, where a read might never end."""
    mode = os.stat(path).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise ValueError(f"cannot read {path!r}: it is not a regular file")
    return open(path, "rb")


def write_model(
    path: str | os.PathLike[str], description: dict[str, Any], tensors: dict[str, Array]
) -> None:
    """Write a model file; `path` holds the old content or the new one, never a part.

    Parameters
    ----------
    path : str or os.PathLike
        A link stays a link and its target is replaced; a replaced file's mode is kept.
    description : dict
        Anything JSON can hold, with finite numbers. Tuples come back as lists.
    tensors : dict of str to ndarray
        Floats of 16 to 64 bits or integers, of any shape, order and byte order.

    Raises
    ------
    TypeError, ValueError
        If an argument cannot be stored; nothing is written then.
    OSError
        If the file cannot be written; an existing one is left as it was.
    """
    text = _description_text(description)
    ordered = _in_file_order(_stored_tensors(tensors))
    pieces = (piece for array in ordered.values() for piece in _pieces(array))
    replace_file(path, chain([_header(text, ordered)], pieces))


def replace_file(path: str | os.PathLike[str], content: Iterable[bytes | memoryview]) -> None:
    """Write a file beside its place and move it there; `path` holds the old content or the new one.

    Parameters
    ----------
    path : str or os.PathLike
        A link stays a link and its target is replaced; a replaced file's mode is kept.
    content : iterable of bytes-like
        Pieces of the file.

    Raises
    ------
    TypeError, ValueError
        If `path` cannot name a regular file.
    OSError
        If the file cannot be written; an existing one is left as it was.
    """
    target = os.path.realpath(checked_path(path))
    mode = _mode_of_replaced(target)
    folder = os.path.dirname(target)
    temporary = os.path.join(folder, f".fastnn-{os.getpid()}-{os.urandom(8).hex()}.tmp")
    try:
        file = open(temporary, "xb")  # noqa: SIM115
    except FileExistsError:
        raise
    except OSError as error:  # the user does not know the temporary file, but its folder
        raise OSError(error.errno, os.strerror(error.errno or 0), folder) from None
    try:
        with file:
            for piece in content:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            os.chmod(temporary, mode)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def read_model(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Array]]:
    """Read what `write_model` wrote. No code in the file is ever run.

    Parameters
    ----------
    path : str or os.PathLike

    Returns
    -------
    description : dict
    tensors : dict of str to ndarray
        Writable, C-contiguous, in native byte order, each in memory of its own.

    Raises
    ------
    ValueError
        If the file is damaged, not a fastnn model, or of a newer version.
    FileNotFoundError, PermissionError, IsADirectoryError
        From the operating system.
    """
    name = checked_path(path)
    with open_regular(name) as file:
        try:
            return _read_content(file, *_read_header(file))
        except _DamageError as damage:
            raise ValueError(f"cannot load {name!r}: {damage}") from damage.__cause__


class _DamageError(Exception):
    """The reason why a file is refused."""


def _read_header(
    file: BufferedReader,
) -> tuple[dict[str, str], list[tuple[str, list[int], str]]]:
    """Metadata, and (name, shape, dtype name) of each tensor in the order of their bytes.

    Leaves `file` at the first tensor.
    """
    file_size = os.fstat(file.fileno()).st_size
    prefix = file.read(8)
    header_size = int.from_bytes(prefix, "little")
    if len(prefix) < 8 or header_size > file_size - 8:
        raise _DamageError(
            f"not a safetensors file, or cut off: its {file_size} bytes do not hold its header"
        )
    if header_size > _LONGEST_HEADER:
        raise _DamageError(
            f"not a fastnn model: its header takes {header_size} bytes, at most {_LONGEST_HEADER} "
            f"are read"
        )
    try:
        entries = _parse_object(file.read(header_size).decode())
        metadata = entries.pop("__metadata__", {})
        if not _is_mapping_of(str, metadata):
            raise ValueError("its metadata are no texts by name")
        return metadata, _layout(entries, file_size - 8 - header_size)
    except (ValueError, RecursionError) as error:
        raise _DamageError(f"not a safetensors file, or damaged: {error}") from error


def _layout(entries: dict[str, Any], n_bytes: int) -> list[tuple[str, list[int], str]]:
    """Name, shape and dtype name of the tensors that fill so many bytes, in their order there."""
    if not _is_mapping_of(dict, entries):
        raise ValueError("it does not describe tensors by name")
    layout, position = [], 0
    for name, entry in sorted(entries.items(), key=_offsets):
        begin, end = _offsets((name, entry))
        shape, dtype = entry["shape"], entry["dtype"]
        if len(shape) > _MOST_DIMENSIONS:
            raise ValueError(f"tensor {name!r} has {len(shape)} dimensions")
        if dtype not in _DTYPES:
            raise _DamageError(f"tensor {name!r} has dtype {dtype}, which fastnn does not use")
        if begin != position or end - begin != prod(shape) * _DTYPES[dtype].itemsize:
            raise ValueError(f"tensor {name!r} is not where it must be, or not as long")
        layout.append((name, shape, dtype))
        position = end
    if position != n_bytes:
        raise ValueError(f"its tensors take {position} bytes, and {n_bytes} are there")
    return layout


def _offsets(item: tuple[str, dict[str, Any]]) -> tuple[int, int]:
    """Where a tensor begins and ends; ValueError for an entry that is none of a tensor's."""
    name, entry = item
    match entry:
        case {"dtype": str(), "shape": [*shape], "data_offsets": [int(begin), int(end)], **rest}:
            if not rest and all(type(n) is int and n >= 0 for n in (*shape, begin, end)):
                return begin, end
    raise ValueError(f"the entry of tensor {name!r} is none of a tensor's")


def _is_mapping_of(kind: type, values: Any) -> bool:
    return isinstance(values, dict) and all(isinstance(value, kind) for value in values.values())


def _read_content(
    file: BufferedReader, metadata: dict[str, str], layout: list[tuple[str, list[int], str]]
) -> tuple[dict[str, Any], dict[str, Array]]:
    _check_format(metadata)
    tensors = {name: _read_tensor(file, name, shape, dtype) for name, shape, dtype in layout}
    text = metadata["description"]
    if metadata["checksum"] != _checksum(text, _in_file_order(tensors)):
        raise _DamageError("damaged: the checksum does not match the content")
    try:
        description = _parse_object(text)
    except (ValueError, RecursionError) as error:
        raise _DamageError(f"its description is not valid: {error}") from error
    return description, {name: _native(array) for name, array in tensors.items()}


def _check_format(metadata: dict[str, str]) -> None:
    if metadata.get("format") != FORMAT:
        raise _DamageError("a safetensors file, but not a fastnn model")
    version = metadata.get("version")
    if version != VERSION:
        raise _DamageError(
            f"its format version is {version!r}, this fastnn reads version {VERSION!r}"
        )
    for key in ("description", "checksum"):
        if key not in metadata:
            raise _DamageError(f"damaged: its metadata has no {key}")


def _read_tensor(file: BufferedReader, name: str, shape: list[int], dtype: str) -> Array:
    try:
        array = np.empty(shape, _DTYPES[dtype])
    except (ValueError, OverflowError) as error:
        raise _DamageError(f"tensor {name!r} has an impossible shape: {error}") from error
    for piece in _pieces(array):
        if file.readinto(piece) != len(piece):
            raise _DamageError(f"cut off within tensor {name!r}")
    return array


def _native(array: Array) -> Array:
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _mode_of_replaced(target: str) -> int | None:
    """Permission bits of the file about to be replaced, None if there is none."""
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), target)
    if not stat.S_ISREG(mode):
        raise ValueError(f"path must name a regular file, {target!r} is a pipe or a device")
    return stat.S_IMODE(mode) & 0o777


def _description_text(description: dict[str, Any]) -> str:
    if not isinstance(description, dict):
        raise TypeError(f"description must be a dict, got {type(description).__name__}")
    try:
        text = json.dumps(description, allow_nan=False)
        _parse_object(text)
    except TypeError as error:
        raise TypeError(f"description must hold only what JSON can: {error}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"description must hold only what JSON can: {error}") from error
    return text


def _parse_object(text: str) -> dict[str, Any]:
    """An object of JSON, of finite numbers, without a key twice; ValueError for anything else."""

    def refuse_constant(constant: str) -> None:
        raise ValueError(f"{constant} is not a finite number")

    def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            raise ValueError("a key occurs twice in one object")
        return result

    value = json.loads(text, object_pairs_hook=unique_keys, parse_constant=refuse_constant)
    if not isinstance(value, dict):
        raise ValueError(f"expected an object, got {type(value).__name__}")
    return value


def _stored_tensors(tensors: dict[str, Array]) -> dict[str, Array]:
    """The tensors as they lie in the file: C-contiguous and little-endian."""
    stored = {}
    for name, array in tensors.items():
        if not isinstance(name, str) or not isinstance(array, np.ndarray):
            raise TypeError(
                "tensors must map str to ndarray, "
                f"got {type(name).__name__} to {type(array).__name__}"
            )
        if name == "__metadata__" or not _is_utf8(name):
            raise ValueError(f"tensors cannot have the name {name!r}")
        dtype = array.dtype.newbyteorder("<")
        if dtype not in _DTYPE_NAMES:
            raise ValueError(f"tensors must hold floats or integers, {name!r} holds {array.dtype}")
        stored[name] = np.asarray(array, dtype, order="C")
    return stored


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _in_file_order(tensors: dict[str, Array]) -> dict[str, Array]:
    """Wide types first, so that every tensor is aligned; then by name."""
    by_name = sorted(tensors.items())
    return dict(sorted(by_name, key=lambda item: -item[1].itemsize))


def _header(text: str, tensors: dict[str, Array]) -> bytes:
    """Everything before the first tensor's bytes, a multiple of 8 bytes long."""
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "description": text,
        "checksum": _checksum(text, tensors),
    }
    entries: dict[str, object] = {"__metadata__": metadata}
    begin = 0
    for name, array in tensors.items():
        entries[name] = {
            "dtype": _DTYPE_NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [begin, begin + array.nbytes],
        }
        begin += array.nbytes
    header = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    if len(header) > _LONGEST_HEADER:
        raise ValueError(f"description takes {len(header)} bytes, at most {_LONGEST_HEADER} fit")
    return len(header).to_bytes(8, "little") + header


def _checksum(text: str, tensors: dict[str, Array]) -> str:
    """SHA-256 of the version, the description and every tensor, in file order, as hex digits."""
    manifest = [[name, _DTYPE_NAMES[array.dtype], array.shape] for name, array in tensors.items()]
    import hashlib  # not with the package: it takes milliseconds

    digest = hashlib.sha256(json.dumps([VERSION, text, manifest]).encode())
    for array in tensors.values():
        for piece in _pieces(array):
            digest.update(piece)
    return digest.hexdigest()


def _pieces(array: Array) -> Iterator[memoryview]:
    """The bytes of a C-contiguous array, as views of at most `_PIECE` bytes."""
    content = array.reshape(-1).view(np.uint8).data
    for begin in range(0, len(content), _PIECE):
        yield content[begin : begin + _PIECE]


def _sync_folder(folder: str) -> None:
    """Make a rename in `folder` survive a power cut, where the system can do that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

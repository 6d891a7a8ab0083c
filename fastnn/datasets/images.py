"""Image files sorted into one folder a class."""

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import _validation
from fastnn._validation import checked_path


def read_image_folder(
    path: str | os.PathLike[str], size: tuple[int, int] = (64, 64)
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], list[str]]:
    """Read a folder that has one sub-folder a class, each full of images.

    Parameters
    ----------
    path : str or os.PathLike
        Classes and images are taken in the order of their names. Names that begin with a dot,
        files beside the class folders and folders inside them are left out.
    size : (int, int)
        Height and width in pixels that every image is resized to.

    Returns
    -------
    X : ndarray of shape (n_images, height * width * 3), float32
        Red, green and blue in [0, 1]; ``X[i].reshape(height, width, 3)`` is an image.
    y : ndarray of shape (n_images,), int64
        Index into `class_names`.
    class_names : list of str
        Names of the sub-folders.

    Raises
    ------
    ImportError
        If Pillow is not installed.
    ValueError
        If there are no classes, a class has no files, or a file is not a readable image.
    OSError
        From the operating system, FileNotFoundError and NotADirectoryError included.
    """
    folder = checked_path(path)
    height, width = _checked_size(size)
    _import_pillow()

    class_names = _names(folder, folders=True)
    if not class_names:
        raise ValueError(f"path must hold one folder a class, there is none in {folder!r}")
    files: list[str] = []
    labels: list[int] = []
    for label, class_name in enumerate(class_names):
        class_folder = os.path.join(folder, class_name)
        names = _names(class_folder, folders=False)
        if not names:
            raise ValueError(f"every class needs an image, there is none in {class_folder!r}")
        files += [os.path.join(class_folder, name) for name in names]
        labels += [label] * len(names)

    X = np.empty((len(files), height * width * 3), np.float32)
    for row, file in zip(X, files, strict=True):
        row[:] = _read_image(file, height, width).reshape(-1)
        row /= 255
    return X, np.array(labels, np.int64), class_names


def _checked_size(size: tuple[int, int]) -> tuple[int, int]:
    if not isinstance(size, tuple | list) or len(size) != 2:
        raise TypeError(f"size must be (height, width), got {size!r}")
    return _validation.positive_int(size[0], "height in size"), _validation.positive_int(
        size[1], "width in size"
    )


def _names(folder: str, *, folders: bool) -> list[str]:
    """Sorted names of the folders, or of everything else, in `folder`."""
    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if entry.is_dir() == folders and not entry.name.startswith(".")
        )


def _read_image(file: str, height: int, width: int) -> npt.NDArray[np.uint8]:
    """An array of shape (height, width, 3)."""
    Image, ImageOps = _import_pillow()
    with open(file, "rb") as stream:
        try:
            with Image.open(stream) as image:
                upright = ImageOps.exif_transpose(image).convert("RGB")
        except MemoryError:
            raise
        except Exception as error:  # Pillow's decoders raise whatever a damaged file provokes.
            raise ValueError(f"cannot read {file!r} as an image: {error}") from error
    return np.asarray(upright.resize((width, height), Image.Resampling.BILINEAR))


def _import_pillow() -> tuple[Any, Any]:
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise ImportError("Pillow is not installed: pip install 'fastnn-mlp[images]'") from error
    return Image, ImageOps

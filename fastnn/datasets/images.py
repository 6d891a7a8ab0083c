"""Images from files, as rows of pixels: one image, or a folder that has one sub-folder a class."""

import os
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import _validation
from fastnn._extras import import_extra
from fastnn._files import open_regular
from fastnn._keywords import checked_keywords

Size = int | tuple[int, int]

# So that a row of red, green and blue is not longer than a network takes.
_MAX_PIXELS = _validation.MAX_SIZE // 3


@checked_keywords
def read_image(path: str | os.PathLike[str], size: Size = (64, 64)) -> npt.NDArray[np.float32]:
    """Read one image, laid out like those of `read_image_folder`, to predict from.

    Parameters
    ----------
    path : str or os.PathLike
        An image of a format that Pillow reads.
    size : int or (int, int)
        Height and width in pixels that the image is resized to; an int is both.

    Returns
    -------
    ndarray of shape (1, height * width * 3), float32
        Red, green and blue in [0, 1]; row 0, reshaped to (height, width, 3), is the image.

    Raises
    ------
    ImportError
        If Pillow is not installed.
    TypeError, ValueError
        If `size` is not as above, or the file is not a readable image.
    OSError
        From the operating system.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> from fastnn.datasets import read_image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("RGB", (100, 80), "red").save(f"{folder}/my_cat.png")
    ...     X = read_image(f"{folder}/my_cat.png", size=2)
    >>> X.reshape(2, 2, 3)[0, 0].tolist()  # what `net.predict(X)` is to get
    [1.0, 0.0, 0.0]
    """
    name = _validation.checked_path(path)
    height, width = _checked_size(size)
    X = np.empty((1, height * width * 3), np.float32)
    _read_into(X[0], name, height, width)
    return X


@checked_keywords
def read_image_folder(
    path: str | os.PathLike[str], size: Size = (64, 64)
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], list[str]]:
    """Read a folder that has one sub-folder a class, each full of images.

    Parameters
    ----------
    path : str or os.PathLike
        Classes and images are taken in the order of their names. Names that begin with a dot,
        files next to the class folders and folders inside them are left out.
    size : int or (int, int)
        Height and width in pixels that every image is resized to; an int is both.

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
    TypeError, ValueError
        If `size` is not as above, there are no classes, a class has no images, or a file with the
        name of an image is not a readable one.
    OSError
        From the operating system, FileNotFoundError and NotADirectoryError included.

    Warns
    -----
    UserWarning
        For each file that is left out: it is no image, and its name does not say that it is one.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from PIL import Image
    >>> from fastnn.datasets import read_image_folder
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("cat", "dog"):
    ...         (pathlib.Path(folder) / name).mkdir()
    ...         Image.new("RGB", (100, 80)).save(f"{folder}/{name}/0.png")
    ...     X, y, class_names = read_image_folder(folder, size=(6, 8))
    >>> X.shape, y.tolist(), class_names
    ((2, 144), [0, 1], ['cat', 'dog'])
    """
    folder = _validation.checked_path(path)
    height, width = _checked_size(size)
    _import_pillow()

    class_names = _names(folder, folders=True)
    if not class_names:
        raise ValueError(f"path must hold one folder a class, there is none in {folder!r}")
    class_folders = [os.path.join(folder, class_name) for class_name in class_names]
    files = [
        (os.path.join(class_folder, name), label)
        for label, class_folder in enumerate(class_folders)
        for name in _names(class_folder, folders=False)
    ]
    _refuse_empty(class_folders, {label for _, label in files})

    X = np.empty((len(files), height * width * 3), np.float32)
    labels: list[int] = []
    for file, label in files:
        try:
            _read_into(X[len(labels)], file, height, width)
        except ValueError:
            if _has_name_of_image(file):
                raise
            warnings.warn(f"left out {file!r}, which is no image", stacklevel=3)
        else:
            labels.append(label)
    _refuse_empty(class_folders, set(labels))
    return X[: len(labels)], np.array(labels, np.int64), class_names


def _checked_size(size: Any) -> tuple[int, int]:
    """Height and width."""
    is_pair = isinstance(size, tuple | list) and len(size) == 2
    if not is_pair and (isinstance(size, bool) or not isinstance(size, int | np.integer)):
        raise TypeError(
            f"size must be (height, width) or an integer, got {_validation.short(size)}"
        )
    height, width = size if is_pair else (size, size)
    height = _validation.positive_int(height, "height in size", at_most=_MAX_PIXELS)
    width = _validation.positive_int(width, "width in size", at_most=_MAX_PIXELS)
    if height * width > _MAX_PIXELS:
        raise ValueError(f"size must be at most {_MAX_PIXELS} pixels, got {(height, width)}")
    return height, width


def _names(folder: str, *, folders: bool) -> list[str]:
    """Sorted names of the folders, or of everything else, in `folder`."""
    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if entry.is_dir() == folders and not entry.name.startswith(".")
        )


def _refuse_empty(class_folders: list[str], labels: set[int]) -> None:
    for label, class_folder in enumerate(class_folders):
        if label not in labels:
            raise ValueError(f"every class needs an image, there is none in {class_folder!r}")


def _read_into(row: npt.NDArray[np.float32], file: str, height: int, width: int) -> None:
    """The pixels of an image, scaled to [0, 1]; ValueError if the file is not a readable one."""
    Image, ImageOps, UnidentifiedImageError = _import_pillow()
    with open_regular(file) as stream:
        try:
            with Image.open(stream) as image:
                upright = ImageOps.exif_transpose(image).convert("RGB")
        except MemoryError:
            raise
        except Exception as error:  # Pillow's decoders raise whatever a damaged file provokes.
            is_unknown = isinstance(error, UnidentifiedImageError)  # its text is of the stream
            reason = "Pillow knows no such format" if is_unknown else error
            raise ValueError(f"cannot read {file!r} as an image: {reason}") from error
    row[:] = np.asarray(upright.resize((width, height), Image.Resampling.BILINEAR)).reshape(-1)
    row /= 255


def _has_name_of_image(file: str) -> bool:
    Image, _, _ = _import_pillow()
    form = Image.registered_extensions().get(os.path.splitext(file)[1].lower())
    return form in Image.OPEN  # what is only written, such as PDF, is none


def _import_pillow() -> tuple[Any, Any, Any]:
    import_extra("PIL", "Pillow", "images")
    from PIL import Image, ImageOps, UnidentifiedImageError

    return Image, ImageOps, UnidentifiedImageError

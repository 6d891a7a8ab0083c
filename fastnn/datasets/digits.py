"""The UCI handwritten digits, which come with the package."""

import numpy as np
import numpy.typing as npt


def load_digits() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """1,797 handwritten digits of 8 x 8 pixels, from 13 writers.

    Returns
    -------
    X : ndarray of shape (1797, 64), float32
        Rows of pixels, scaled from 0..16 to [0, 1]. ``X[i].reshape(8, 8)`` is an image.
    y : ndarray of shape (1797,), int64
        The digit, 0 to 9.

    References
    ----------
    E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
    Repository, 1998, https://doi.org/10.24432/C50P49, licensed CC BY 4.0; the test part, in the
    order of the source, pixels stored as bytes.

    Examples
    --------
    >>> from fastnn.datasets import load_digits
    >>> X, y = load_digits()
    >>> X.shape, y[:5].tolist()
    ((1797, 64), [0, 1, 2, 3, 4])
    """
    from importlib import resources

    with (
        resources.files(__package__).joinpath("digits.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as data,
    ):
        pixels, labels = data["pixels"], data["labels"]
    return pixels.astype(np.float32) / np.float32(16), labels.astype(np.int64)

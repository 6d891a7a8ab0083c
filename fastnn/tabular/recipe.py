"""The numbers of the recipe for tables: plain data, in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """How a table becomes inputs, and how the networks behind it are trained.

    Parameters
    ----------
    bins : int
        The most ramps that a number is encoded by.
    ramp_height : float
        Of a ramp, beside numbers of standard deviation 1: small ones keep the network smooth.
    rows_per_bin : int
        A table has no more ramps a number than one for this many rows.
    rarest : int
        Categories of fewer rows are joined to one.
    most_categories : int
        Of a column; the rarer ones are joined.
    most_inputs : int
        Rows times inputs, in numbers of 4 bytes; large tables get fewer ramps.
    most_ramps : int
        Of all numbers together.
    hidden : tuple of int
        Units of the hidden layers.
    activation : str
        Of the hidden layers.
    dropout : float
        Behind each hidden layer.
    label_smoothing : float
        Of classifiers.
    learning_rate : float
        The largest; the cosine falls from it to 0.
    first_layer_factor : float
        Of the learning rate of the first layer.
    weight_decay : float
        Of AdamW.
    beta_2 : float
        Of AdamW.
    restarts : int
        How often the cosine returns.
    growth : float
        Of its cycles: how many times as long as the one before each is. The first ones are short
        enough for tables that are learnt by heart early.
    patience : float
        Share of the epochs after which training ends without a better one.
    ema : float or None
        Of the moving average of the weights.
    samples : int
        Seen in training, about: epochs are this divided by the rows, between the two limits.
    least_epochs, most_epochs : int
        The limits of the epochs.
    batch_sizes : tuple of (int, int)
        From so many rows on, a mini-batch has so many; in ascending order.
    weighting_rows : int
        Tables of at most so many rows are trained twice, the second time with inputs scaled by what
        they are worth; 0: none is.
    validation : float
        Share of the rows that is held out to find the best epoch and the worth of inputs.

    Examples
    --------
    >>> from fastnn.tabular import RECIPE, Recipe
    >>> RECIPE.hidden, RECIPE.learning_rate
    ((256, 256, 256), 0.001)
    >>> quick = Recipe(hidden=(64,), most_epochs=20)
    >>> quick.epochs(1000), RECIPE.epochs(1000)
    (20, 200)
    """

    bins: int = 64
    ramp_height: float = 0.03
    rows_per_bin: int = 8
    rarest: int = 4
    most_categories: int = 1024
    most_inputs: int = 1 << 28
    most_ramps: int = 8192
    hidden: tuple[int, ...] = (256, 256, 256)
    activation: str = "mish"
    dropout: float = 0.15
    label_smoothing: float = 0.05
    learning_rate: float = 1e-3
    first_layer_factor: float = 1.0
    weight_decay: float = 1e-2
    beta_2: float = 0.99
    restarts: int = 3
    growth: float = 2.0
    patience: float = 0.34
    ema: float | None = 0.995
    samples: int = 600_000
    least_epochs: int = 16
    most_epochs: int = 200
    batch_sizes: tuple[tuple[int, int], ...] = ((0, 32), (2_000, 128), (10_000, 256))
    weighting_rows: int = 50_000
    validation: float = 0.15

    def epochs(self, n_rows: int) -> int:
        """How many passes over the rows there are at most.

        Parameters
        ----------
        n_rows : int
            Rows of the training part, at least 1.

        Returns
        -------
        int
            ``samples // n_rows``, between `least_epochs` and `most_epochs`.

        Examples
        --------
        >>> from fastnn.tabular import RECIPE
        >>> [RECIPE.epochs(n_rows) for n_rows in (100, 10_000, 1_000_000)]
        [200, 60, 16]
        """
        return min(max(self.samples // n_rows, self.least_epochs), self.most_epochs)

    def batch_size(self, n_rows: int) -> int:
        """How many rows a mini-batch has.

        Parameters
        ----------
        n_rows : int
            Rows of the training part.

        Returns
        -------
        int
            Of the last pair of `batch_sizes` that begins at no more rows.

        Examples
        --------
        >>> from fastnn.tabular import RECIPE
        >>> [RECIPE.batch_size(n_rows) for n_rows in (100, 2_000, 1_000_000)]
        [32, 128, 256]
        """
        return [size for least, size in self.batch_sizes if n_rows >= least][-1]

    def ramps(self, n_rows: int, n_numbers: int) -> int:
        """The most ramps of each column of numbers.

        Parameters
        ----------
        n_rows : int
            Rows of the table.
        n_numbers : int
            Columns of numbers and dates.

        Returns
        -------
        int
            From 1 to `bins`.

        Examples
        --------
        >>> from fastnn.tabular import RECIPE
        >>> [RECIPE.ramps(n_rows, n_numbers=10) for n_rows in (5, 80, 10_000)]
        [1, 10, 64]
        """
        room = min(self.most_inputs // max(n_rows, 1), self.most_ramps) // max(n_numbers, 1)
        return max(min(self.bins, n_rows // self.rows_per_bin, room), 1)


#: The recipe that `fastnn.tabular.TabularModel` follows where it is given none.
RECIPE = Recipe()

"""The numbers of the recipe for tables: plain data, in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """How a table becomes inputs, and how the networks behind it are trained.

    Attributes
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
    batch_sizes : tuple of (int, int)
        From so many rows on, a mini-batch has so many; in ascending order.
    weighting_rows : int
        Tables of at most so many rows are trained twice, the second time with inputs scaled by what
        they are worth; 0: none is.
    validation : float
        Share of the rows that is held out to find the best epoch and the worth of inputs.
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
        """How many passes over `n_rows` rows there are at most."""
        return min(max(self.samples // n_rows, self.least_epochs), self.most_epochs)

    def batch_size(self, n_rows: int) -> int:
        """Rows a mini-batch, of a training part of `n_rows`."""
        return [size for least, size in self.batch_sizes if n_rows >= least][-1]

    def ramps(self, n_rows: int, n_numbers: int) -> int:
        """The most ramps of each of `n_numbers` columns of numbers."""
        room = min(self.most_inputs // max(n_rows, 1), self.most_ramps) // max(n_numbers, 1)
        return max(min(self.bins, n_rows // self.rows_per_bin, room), 1)


#: The recipe that `fastnn.tabular.TabularModel` follows where it is given none.
RECIPE = Recipe()

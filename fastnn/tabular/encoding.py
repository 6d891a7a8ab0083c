"""Columns as the inputs of a network; what is learnt from the training rows is plain data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from fastnn import _validation
from fastnn._description import entries, text
from fastnn.tabular.columns import Column, as_numbers
from fastnn.tabular.recipe import Recipe
from fastnn.tabular.values import Array, Cells, Texts, as_text, distinct_of, sampled

_FARTHEST = 1e6  # a standardised number, whose square is finite in float32 too
_BLOCK = 1 << 22  # inputs at a time, which stay in a cache
_DAYS_A_YEAR = 365.2425


@dataclass(frozen=True)
class Numbers:
    """A number: standardised, in ramps, and whether it is missing.

    Attributes
    ----------
    center, scale : float
        Of the standardised number ``s = (x - center) / scale``, which enters as
        ``s / sqrt(1 + (s / 3)^2)``: it stays within 3. `center` stands for what is missing.
    edges : tuple of float
        Ascending. Ramp i is ``clip((x - edges[i]) / (edges[i + 1] - edges[i]), 0, 1) - 1/2``,
        times `height`; 0 where the number is missing.
    height : float
        Of a ramp.
    is_marked : bool
        Whether there is an input that is 1 where the number is missing.
    """

    kind: ClassVar[str] = "numbers"

    center: float
    scale: float
    edges: tuple[float, ...]
    height: float
    is_marked: bool

    @classmethod
    def fitted(cls, numbers: Array, n_ramps: int, recipe: Recipe) -> Numbers:
        there = numbers[~np.isnan(numbers)]
        some = sampled(there)
        if len(some) < len(there):
            some = np.append(some, [there.min(), there.max()])
        ordered = np.sort(some)  # makes quantiles five times as fast
        low, median, high = np.quantile(ordered, [0.25, 0.5, 0.75])
        scale = float(high - low) / 1.349
        if not scale > 0:
            scale = float(some.std())
        if not (scale > 0 and np.isfinite(scale)):
            scale = 1.0
        edges = _edges(ordered, n_ramps)
        return cls(float(median), scale, edges, recipe.ramp_height, len(there) < len(numbers))

    @property
    def width(self) -> int:
        return 1 + self.n_ramps + self.is_marked

    @property
    def n_ramps(self) -> int:
        """Inputs that are ramps: none where there are two values, which one number tells."""
        return len(self.edges) - 1 if len(self.edges) > 2 else 0

    @cached_property
    def _of_bins(self) -> tuple[Array, Array, Array]:
        """The edges, the gaps between them, and the ramps of a number at the begin of each bin."""
        edges = np.array(self.edges)
        n = self.n_ramps
        whole = np.tri(n, n, -1, np.float32) - np.float32(0.5)  # the ramps below bin i are done
        return edges, np.diff(edges), (self.height * whole).astype(np.float32)

    def encode(self, numbers: Array, out: Array) -> None:
        missing = np.isnan(numbers)
        filled = np.where(missing, self.center, numbers)
        with np.errstate(over="ignore"):
            scaled = (filled - self.center) / self.scale
        scaled = np.clip(scaled, -_FARTHEST, _FARTHEST)
        out[:, 0] = scaled / np.sqrt(1 + (scaled / 3) ** 2)
        n = self.n_ramps
        if n:
            edges, gaps, whole = self._of_bins
            bins = np.searchsorted(edges[1:-1], filled, side="right")
            within = np.clip((filled - edges[bins]) / gaps[bins], 0, 1) - 0.5
            ramps = out[:, 1 : 1 + n]
            ramps[:] = whole.take(bins, axis=0)
            ramps[np.arange(len(bins)), bins] = self.height * within
            if missing.any():
                ramps[missing] = 0
        if self.is_marked:
            out[:, 1 + n] = missing


def _edges(there: Array, n_ramps: int) -> tuple[float, ...]:
    """Half of them quantiles of the values, half of the distinct values: rare ones get some too."""
    distinct = distinct_of(there)
    if len(distinct) <= n_ramps + 1:
        return tuple(distinct.tolist())
    n_half = n_ramps // 2
    of_values = np.quantile(there, np.linspace(0, 1, n_half + 2))
    of_distinct = np.quantile(distinct, np.linspace(0, 1, n_ramps - n_half + 1))
    edges = np.unique(np.concatenate([of_values, of_distinct]))
    gaps = np.diff(edges)
    keep = np.concatenate([[True], gaps > 1e-9 * (edges[-1] - edges[0])])
    return tuple(edges[keep].tolist())


@dataclass(frozen=True)
class Categories:
    """A category: one-hot.

    Attributes
    ----------
    levels : tuple of str
        Those with an input of their own, the most frequent first.
    rare : tuple of str
        Those that have one input together, which unknown ones share.
    is_marked : bool
        Whether there is an input that is 1 where the category is missing.
    """

    kind: ClassVar[str] = "categories"

    levels: tuple[str, ...]
    rare: tuple[str, ...]
    is_marked: bool

    @classmethod
    def fitted(cls, texts: Texts, recipe: Recipe) -> Categories:
        counts = texts.counts()
        order = np.argsort(-counts, kind="stable")[: recipe.most_categories]
        rarest = recipe.rarest if len(texts.levels) > 2 else 1
        own = [texts.levels[i] for i in order if counts[i] >= rarest]
        rare = sorted(set(texts.levels) - set(own))
        return cls(tuple(own), tuple(rare), bool((texts.codes < 0).any()))

    @property
    def width(self) -> int:
        return len(self.levels) + bool(self.rare) + self.is_marked

    def encode(self, texts: Texts, out: Array) -> None:
        _encode_places(self.places(texts), out)

    def places(self, texts: Texts) -> Array:
        """Of each row the input that is 1; -1 where none is."""
        places = {level: i for i, level in enumerate(self.levels)}
        other = len(self.levels) if self.rare else -1
        of_missing = self.width - 1 if self.is_marked else -1
        inputs = np.array([places.get(level, other) for level in texts.levels] + [of_missing])
        of_rows: Array = inputs[texts.codes]
        return of_rows

    def codes(self, texts: Texts) -> Array:
        """Of each row its place in ``(*levels, *rare)``, behind them if unknown; NaN if missing."""
        places = {level: float(i) for i, level in enumerate([*self.levels, *self.rare])}
        return texts.mapped(lambda level: places.get(level, float(len(places))))

    def unknown(self, texts: Texts) -> list[str]:
        """The levels that the training rows did not have."""
        return sorted(set(texts.levels).difference(self.levels, self.rare))


def _encode_places(places: Array, out: Array) -> None:
    out[:] = 0
    rows = np.flatnonzero(places >= 0)
    out[rows, places[rows]] = 1


@dataclass(frozen=True)
class Dates:
    """A date: its days as a number, the time of the year and the weekday on a circle.

    Attributes
    ----------
    days : Numbers
    has_hours : bool
        Whether the time of the day is there too, on a circle.
    """

    kind: ClassVar[str] = "dates"

    days: Numbers
    has_hours: bool

    @classmethod
    def fitted(cls, numbers: Array, n_ramps: int, recipe: Recipe) -> Dates:
        there = numbers[~np.isnan(numbers)]
        return cls(Numbers.fitted(numbers, n_ramps, recipe), bool((there != np.floor(there)).any()))

    @property
    def width(self) -> int:
        return self.days.width + 4 + 2 * self.has_hours

    def encode(self, numbers: Array, out: Array) -> None:
        self.days.encode(numbers, out[:, : self.days.width])
        filled = np.where(np.isnan(numbers), self.days.center, numbers)
        periods = (_DAYS_A_YEAR, 7.0, 1.0)[: 3 if self.has_hours else 2]
        for i, period in enumerate(periods):
            angle = 2 * np.pi * (filled / period % 1)
            out[:, self.days.width + 2 * i] = np.sin(angle)
            out[:, self.days.width + 2 * i + 1] = np.cos(angle)


Encoder = Numbers | Categories | Dates


def fitted_encoder(column: Column, cells: Cells, recipe: Recipe, n_ramps: int) -> Encoder:
    """The encoder of a column that is used.

    Parameters
    ----------
    column : Column
    cells : Cells
        Of the training rows.
    recipe : Recipe
    n_ramps : int
        The most of a number.

    Returns
    -------
    Numbers, Categories or Dates
    """
    if column.kind == "category" or (column.kind == "yes/no" and column.source == "text"):
        assert cells.texts is not None
        return Categories.fitted(cells.texts, recipe)
    numbers, _ = as_numbers(column, cells)
    kind = Dates if column.kind == "date" else Numbers
    return kind.fitted(numbers, n_ramps, recipe)


def texts_of(cells: Cells) -> Texts:
    """A column as categories, also one of numbers."""
    if cells.texts is not None:
        return cells.texts
    assert cells.numbers is not None
    there = ~np.isnan(cells.numbers)
    values, inverse = np.unique(cells.numbers[there], return_inverse=True)
    codes = np.full(len(cells.numbers), -1, np.int64)
    codes[there] = inverse
    is_boolean = cells.kind == "boolean"
    return Texts([as_text(bool(v) if is_boolean else v) for v in values.tolist()], codes)


@dataclass(frozen=True)
class Encoding:
    """All columns that are used, side by side.

    Attributes
    ----------
    columns : tuple of Column
        All of the training table, in its order, the unused ones too.
    encoders : dict of str to encoder
        Of those that are used, by name, in the order of the inputs.
    """

    columns: tuple[Column, ...]
    encoders: dict[str, Encoder]

    @property
    def width(self) -> int:
        """Inputs in all."""
        return sum(encoder.width for encoder in self.encoders.values())

    @property
    def places(self) -> dict[str, slice]:
        """The inputs of each column."""
        places, begin = {}, 0
        for name, encoder in self.encoders.items():
            places[name] = slice(begin, begin + encoder.width)
            begin += encoder.width
        return places

    def encode(self, cells: dict[str, Cells], n_rows: int) -> tuple[Array, dict[str, str]]:
        """The inputs of some rows.

        Parameters
        ----------
        cells : dict of str to Cells
            At least of the columns that are used.
        n_rows : int

        Returns
        -------
        inputs : ndarray of float32, of shape (n_rows, width)
        remarks : dict of str to str
            Of columns with values that the training rows did not have.
        """
        remarks: dict[str, str] = {}
        parts: list[tuple[slice, Callable[[Array, Array], None], Array]] = []
        known = {column.name: column for column in self.columns}
        for name, place in self.places.items():
            encoder = self.encoders[name]
            if isinstance(encoder, Categories):
                texts = texts_of(cells[name])
                parts.append((place, _encode_places, encoder.places(texts)))
                unknown = encoder.unknown(texts)
                if unknown:
                    remarks[name] = _of_unknown(texts, unknown)
                continue
            numbers, n_odd = as_numbers(known[name], cells[name])
            if n_odd:
                remarks[name] = f"{n_odd} values that are no {known[name].kind}, taken as missing"
            parts.append((place, encoder.encode, numbers))
        inputs = np.empty((n_rows, self.width), np.float32)
        block = min(max(_BLOCK // self.width, 256), 4096)
        for begin in range(0, n_rows, block):
            rows = slice(begin, begin + block)
            for place, encode, values in parts:
                encode(values[rows], inputs[rows, place])
        return inputs, remarks

    def numbers(self, cells: dict[str, Cells], n_rows: int) -> Array:
        """What `encode` makes its inputs of: one number for each column that is used.

        Parameters
        ----------
        cells, n_rows
            As for `encode`.

        Returns
        -------
        ndarray of float64, of shape (n_rows, n_used)
            NaN where it is missing; of categories their codes, of dates days since 1970-01-01.
        """
        numbers = np.empty((n_rows, len(self.encoders)))
        known = {column.name: column for column in self.columns}
        for i, (name, encoder) in enumerate(self.encoders.items()):
            numbers[:, i] = (
                encoder.codes(texts_of(cells[name]))
                if isinstance(encoder, Categories)
                else as_numbers(known[name], cells[name])[0]
            )
        return numbers


def _of_unknown(texts: Texts, unknown: list[str]) -> str:
    are_unknown = np.isin(np.array(texts.levels), unknown)
    n_rows = int(texts.counts()[are_unknown].sum())
    shown = ", ".join(map(repr, unknown[:3])) + ", ..." * (len(unknown) > 3)
    return f"{n_rows} rows of {len(unknown)} unknown categories ({shown})"


def linear_inputs(encoding: Encoding) -> Array:
    """The inputs of a linear model: all but the ramps."""
    kept = np.ones(encoding.width, np.bool_)
    for ramps in _ramps(encoding):
        kept[ramps] = False
    return np.flatnonzero(kept)


def input_groups(encoding: Encoding) -> list[slice]:
    """Inputs that tell the same: those of a column, whose ramps are a group of their own."""
    begins = {0}
    for place in [*encoding.places.values(), *_ramps(encoding)]:
        begins |= {place.start, place.stop}
    return [slice(begin, end) for begin, end in pairwise(sorted(begins))]


def _ramps(encoding: Encoding) -> list[slice]:
    ramps = []
    for name, place in encoding.places.items():
        encoder = encoding.encoders[name]
        numbers = encoder.days if isinstance(encoder, Dates) else encoder
        if isinstance(numbers, Numbers) and numbers.n_ramps:
            ramps.append(slice(place.start + 1, place.start + 1 + numbers.n_ramps))
    return ramps


def part_of(inputs: Array, rows: Any, kept: Array) -> Array:
    """The inputs `kept`, which are ascending, of some rows: C-ordered, copied by runs of inputs."""
    runs = np.split(kept, np.flatnonzero(np.diff(kept) > 1) + 1)
    part = np.empty((len(inputs[rows, :1]), len(kept)), inputs.dtype)
    begin = 0
    for run in runs:
        part[:, begin : begin + len(run)] = inputs[rows, run[0] : run[-1] + 1]
        begin += len(run)
    return part


def to_data(encoder: Encoder) -> dict[str, Any]:
    """An encoder as JSON knows it."""
    if isinstance(encoder, Dates):
        return {"kind": "dates", "days": to_data(encoder.days), "has_hours": encoder.has_hours}
    if isinstance(encoder, Numbers):
        return {
            "kind": "numbers",
            "center": encoder.center,
            "scale": encoder.scale,
            "edges": list(encoder.edges),
            "height": encoder.height,
            "is_marked": encoder.is_marked,
        }
    return {
        "kind": "categories",
        "levels": list(encoder.levels),
        "rare": list(encoder.rare),
        "is_marked": encoder.is_marked,
    }


def of_data(value: Any) -> Encoder:
    """The encoder that `to_data` has made this of; ValueError for anything else."""
    kind = value.get("kind") if isinstance(value, dict) else None
    if kind == "dates":
        _, days, has_hours = entries(value, ["kind", "days", "has_hours"], "an encoder")
        of_days = of_data(days)
        if not isinstance(of_days, Numbers):
            raise ValueError("the days of a date must be numbers")
        return Dates(of_days, _validation.boolean(has_hours, "has_hours"))
    if kind == "numbers":
        names = ["kind", "center", "scale", "edges", "height", "is_marked"]
        _, center, scale, edges, height, is_marked = entries(value, names, "an encoder")
        numbers = Numbers(
            _validation.finite_number(center, "center"),
            _validation.positive_number(scale, "scale"),
            tuple(_validation.finite_number(edge, "an edge") for edge in edges),
            _validation.positive_number(height, "height"),
            _validation.boolean(is_marked, "is_marked"),
        )
        if not (np.diff(numbers.edges) > 0).all():
            raise ValueError("edges must be ascending")
        return numbers
    if kind == "categories":
        names = ["kind", "levels", "rare", "is_marked"]
        _, levels, rare, is_marked = entries(value, names, "an encoder")
        if len({text(level, "a level") for level in [*levels, *rare]}) < len(levels) + len(rare):
            raise ValueError("levels must be different ones")
        is_marked = _validation.boolean(is_marked, "is_marked")
        return Categories(tuple(levels), tuple(rare), is_marked)
    raise ValueError(f"an encoder must be numbers, categories or dates, got {kind!r}")

"""A model for tables: from columns as they are to predictions, without tuning."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from fastnn import _split, _validation, _weights
from fastnn._keywords import checked_keywords
from fastnn.history import History
from fastnn.network import Network
from fastnn.tabular import scores as _scores
from fastnn.tabular.columns import Column, describe
from fastnn.tabular.encoding import (
    Encoding,
    fitted_encoder,
    input_groups,
    linear_inputs,
    part_of,
)
from fastnn.tabular.reading import absent, read_table, values_of
from fastnn.tabular.recipe import RECIPE, Recipe
from fastnn.tabular.scores import Confusion, Scores
from fastnn.tabular.summary import as_html
from fastnn.tabular.table_files import Table
from fastnn.tabular.target import TASKS, Target, is_missing, repeats, taken
from fastnn.tabular.training import Progress, train_linear, train_members
from fastnn.tabular.values import Array, Cells, read_cells, sampled

_LEAST_ROWS = 10
_BLOCK = 8192  # rows at a time that are predicted


class TableWarning(UserWarning):
    """Of a table: it can be used, but perhaps not as it was meant.

    Examples
    --------
    Warnings of this class alone become errors:

    >>> import warnings
    >>> from fastnn.tabular import TableWarning, TabularModel
    >>> table = {"litres": [1.0, 2.0, 3.0, 4.0] * 5, "price": [2.0, 4.0, 6.0, 8.0] * 5}
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", TableWarning)
    ...     try:
    ...         TabularModel().fit(table, target="price")
    ...     except TableWarning as warning:
    ...         print(str(warning)[:47])
    the column 'litres' repeats the target 'price':
    """


class TabularModel:
    """Predicts a column of a table from the others.

    It works out what each column is, fills and marks what is missing, encodes, holds out a
    validation part, and trains by a recipe that needs no tuning.

    Parameters
    ----------
    members : int
        Networks, from different seeds, whose mean predicts. More are better and take longer; they
        are trained side by side.
    seed : int, optional
        Makes everything repeat exactly. None draws one, which `seed` shows.
    threads : int, optional
        The most to use. None: as many as `fastnn.set_num_threads` says. The results do not depend
        on it, to the bit.
    task : {"classification", "regression"}, optional
        None: texts, yes/no and whole numbers of at most ten different values are classes.
    recipe : fastnn.tabular.Recipe, optional
        How columns become inputs, and how the networks train. None: ``fastnn.tabular.RECIPE``.

    Raises
    ------
    TypeError, ValueError
        If an argument is not one of these.

    Examples
    --------
    >>> from fastnn.tabular import TabularModel
    >>> table = {
    ...     "size": [30, 85, 60, 120, 30, 85] * 10,
    ...     "town": ["Ulm", "Bonn", "Ulm", "Bonn", "Bonn", "Ulm"] * 10,
    ...     "price": [300.5, 1020.0, 600.0, 1440.0, 360.0, 850.0] * 10,
    ... }
    >>> model = TabularModel(seed=0).fit(table, target="price")
    >>> [column.kind for column in model.columns]
    ['number', 'yes/no']
    >>> bool(model.evaluate(table)["r2"] > 0.99)
    True
    """

    @checked_keywords
    def __init__(
        self,
        members: int = 1,
        *,
        seed: int | None = None,
        threads: int | None = None,
        task: str | None = None,
        recipe: Recipe | None = None,
    ) -> None:
        self.members = _validation.positive_int(members, "members", at_most=256)
        drawn = int(np.random.SeedSequence().generate_state(1)[0])
        self.seed: int = drawn if seed is None else _validation.seed(seed, below=2**64)  # type: ignore[assignment]
        if threads is not None:
            threads = _validation.positive_int(threads, "threads", at_most=256)
        self.threads = threads
        self.task = None if task is None else _validation.spelled(task, TASKS, "task")
        if recipe is not None and not isinstance(recipe, Recipe):
            raise TypeError(f"recipe must be a Recipe, got {_validation.shown(recipe)}")
        self.recipe = RECIPE if recipe is None else recipe
        self._fitted: Fitted | None = None
        self._validation_rows: Array | None = None
        self._validation_confusion: Confusion | None = None
        self._training_seconds = float("nan")
        self._histories: tuple[History, ...] = ()

    # ---- what it is --------------------------------------------------------------------------

    @property
    def columns(self) -> tuple[Column, ...]:
        """What each column of the training table is, and what is done with it."""
        return self._parts.encoding.columns

    @property
    def encoding(self) -> Encoding:
        """How columns become the inputs of the networks."""
        return self._parts.encoding

    @property
    def target(self) -> Target:
        """What is predicted."""
        return self._parts.target

    @property
    def networks(self) -> tuple[Network, ...]:
        """The members: their inputs are those of `encoding`."""
        return self._parts.networks

    @property
    def network(self) -> Network:
        """The first member."""
        return self._parts.networks[0]

    @property
    def validation_scores(self) -> dict[str, Scores]:
        """`compare` of the rows that were held out in `fit`, by which the best epoch was chosen."""
        return self._parts.validation_scores

    @property
    def validation_rows(self) -> Array | None:
        """Rows of the table of `fit` that it held out, ascending; None where it was given others.

        A model from a file does not know them.
        """
        return self._validation_rows

    @property
    def validation_confusion(self) -> Confusion | None:
        """`confusion` of the rows that were held out in `fit`; None where the target is a number.

        A model from a file does not know it.
        """
        return self._validation_confusion

    @property
    def training_seconds(self) -> float:
        """How long the networks and the linear model trained; NaN of a model from a file."""
        return self._training_seconds

    @property
    def histories(self) -> tuple[History, ...]:
        """The history of each member; none of a model from a file.

        A member is the network of the epoch with the smallest ``"val_loss"``.
        """
        return tuple(history.copy() for history in self._histories)

    @property
    def _parts(self) -> Fitted:
        if self._fitted is None:
            raise ValueError("the model is not fitted yet: call fit first")
        return self._fitted

    def __repr__(self) -> str:
        if self._fitted is None:
            return f"TabularModel(members={self.members}, seed={self.seed})  # not fitted yet"
        used = sum(column.used for column in self.columns)
        return (
            f"TabularModel(members={self.members}, seed={self.seed})  # {self.target.task} of "
            f"{self.target.name!r} from {used} columns"
        )

    def _repr_html_(self) -> str | None:
        """What a notebook shows: columns and scores; `repr` of a model that is not fitted."""
        return None if self._fitted is None else as_html(self)

    # ---- what it does ------------------------------------------------------------------------

    @checked_keywords
    def fit(
        self,
        frame: Any,
        y: Any = None,
        *,
        target: str | None = None,
        sample_weight: Any = None,
        validation_data: Any = None,
        progress: Progress = False,
    ) -> Self:
        """Works out the columns and trains; a model that was fitted before begins anew.

        Parameters
        ----------
        frame : data frame, dict of columns, ndarray, str or path-like
            A frame of pandas or polars, or a table of pyarrow; an array of shape (n_rows,
            n_columns), whose columns are called x0, x1, ...; or the path of a .csv, .tsv, .parquet
            or .npz file.
        y : array-like of shape (n_rows,), optional
            What to predict, where it is no column of `frame`.
        target : str, optional
            The column of `frame` to predict.
        sample_weight : array-like of shape (n_rows,), optional
            What each row counts in the losses, of at least 0; scores count all rows alike.
        validation_data : optional
            A table with the target, a pair (table, y) or a triple (table, y, sample_weight), to
            choose the best epoch by. None: a share of the rows is held out, of each class alike.
        progress : bool or "epochs"
            As for `fastnn.Network.fit`; of the first member.

        Returns
        -------
        TabularModel
            Itself.

        Raises
        ------
        TypeError, ValueError
            If an argument is not as above, or there is nothing to learn. Nothing has changed then.
        OSError
            If a file cannot be read.
        ImportError
            If a file needs a library that is not installed.

        Warns
        -----
        TableWarning
            Of rows without a target, and of columns that repeat it.

        Examples
        --------
        >>> from fastnn.datasets import table_path
        >>> from fastnn.tabular import Recipe, TabularModel
        >>> recipe = Recipe(hidden=(16,), most_epochs=3)  # a quick one, for show
        >>> model = TabularModel(seed=0, recipe=recipe).fit(table_path(), target="late")
        >>> model.target.classes, len(model.networks), len(model.validation_rows)
        (('no', 'yes'), 1, 60)
        """
        if (y is None) == (target is None):
            got = "neither" if y is None else "both"
            raise ValueError(f"fit needs target, the name of a column, or y, got {got}")
        if isinstance(y, str):
            raise TypeError(f"y must have a value for each row; for a column give target={y!r}")
        if target is not None and not isinstance(target, str):
            raise TypeError(
                f"target must be the name of a column, as text, got {_validation.shown(target)}"
            )
        table, raw, name = _split_target(read_table(frame), y, target)
        weights = None
        if sample_weight is not None:
            weights = _weights.one_a_sample(sample_weight, len(raw))
        cells, answers = _read(table), read_cells(raw, name)
        known = np.flatnonzero(~is_missing(answers))
        cells, answers = _with_target(cells, answers, name)
        described = Target.fitted(name, answers, self.task)
        true = described.encode(answers)
        weights = None if weights is None else weights[known]
        rows = np.arange(len(true)) if weights is None else np.flatnonzero(weights)
        if len(rows) < 2:
            raise ValueError("sample_weight must be above 0 for at least two rows with a target")
        if validation_data is None:
            labels = true[rows] if described.task == "classification" else None
            parts = _split.split_rows(len(rows), self.recipe.validation, self.seed, labels)
            rows, aside = (rows[part] for part in parts)
            held_cells = {key: taken(each, aside) for key, each in cells.items()}
            held_true = true[aside]
            held_weights = None if weights is None else weights[aside]
        else:
            held_cells, held_true, held_weights = self._validation_part(
                validation_data, described, y is None
            )
        _warn_of_repeats(cells, described, true)
        encoding = self._fitted_encoding(cells, len(true))
        training = encoding.encode({k: taken(v, rows) for k, v in cells.items()}, len(rows))[0]
        _check_columns(encoding, held_cells, "validation_data")
        held, _ = encoding.encode(held_cells, len(held_true))
        began = time.perf_counter()
        weights = None if weights is None else weights[rows]
        trained = train_members(
            self.recipe,
            described,
            (training, _scaled(described, true[rows]), weights),
            (held, _scaled(described, held_true), held_weights),
            [self.seed + i for i in range(self.members)],
            input_groups(encoding),
            self.threads,
            progress,
        )
        some = sampled(np.arange(len(rows)))
        linear = train_linear(
            described,
            (
                part_of(training, some, linear_inputs(encoding)),
                _scaled(described, true[rows[some]]),
                None if weights is None else weights[some],
            ),
            self.seed,
            self.threads,
        )
        seconds = time.perf_counter() - began
        networks, histories = zip(*trained, strict=True)
        fitted = Fitted(described, encoding, networks, linear, {})
        outputs = fitted.outputs(held, self.threads)
        fitted.validation_scores = fitted.scores(held_true, outputs)
        confusion = (
            None
            if described.task == "regression"
            else Confusion.of(described, held_true, outputs["model"])
        )
        self._fitted, self._histories = fitted, histories
        self._validation_confusion = confusion
        self._training_seconds = seconds
        self._validation_rows = known[aside] if validation_data is None else None
        return self

    def predict(self, frame: Any) -> Array:
        """The class, or the number, of each row.

        Parameters
        ----------
        frame : data frame, dict of columns, ndarray, str or path-like
            As for `fit`. Columns in any order; those that are not used are not needed.

        Returns
        -------
        ndarray of shape (n_rows,)
            Classes as they came in the target; numbers in float64.

        Raises
        ------
        TypeError, ValueError
            If `frame` is no table, a column is missing, or the model is not fitted yet.
        OSError
            If a file cannot be read.

        Warns
        -----
        TableWarning
            Of categories that the training rows did not have.

        Examples
        --------
        >>> from fastnn.datasets import table_path
        >>> from fastnn.tabular import Recipe, TabularModel
        >>> recipe = Recipe(hidden=(16,), most_epochs=3)  # a quick one, for show
        >>> model = TabularModel(seed=0, recipe=recipe).fit(table_path(), target="late")
        >>> predicted = model.predict(table_path())
        >>> predicted.shape, sorted(set(predicted.tolist()))
        ((400,), ['no', 'yes'])
        """
        fitted = self._parts
        output = fitted.output(self._inputs(frame)[0], self.threads)
        return fitted.target.decode(output.argmax(axis=1)) if output.ndim == 2 else output

    def predict_proba(self, frame: Any) -> Array:
        """The probabilities of the classes.

        Parameters
        ----------
        frame : data frame, dict of columns, ndarray, str or path-like
            As for `predict`.

        Returns
        -------
        ndarray of float64, of shape (n_rows, n_classes)
            In the order of ``model.target.classes``.

        Raises
        ------
        TypeError, ValueError, OSError
            As `predict`; or if the target is a number.

        Examples
        --------
        >>> from fastnn.datasets import table_path
        >>> from fastnn.tabular import Recipe, TabularModel
        >>> recipe = Recipe(hidden=(16,), most_epochs=3)  # a quick one, for show
        >>> model = TabularModel(seed=0, recipe=recipe).fit(table_path(), target="late")
        >>> probabilities = model.predict_proba(table_path())
        >>> probabilities.shape, bool(abs(probabilities.sum(axis=1) - 1).max() < 1e-6)
        ((400, 2), True)
        """
        fitted = self._parts
        self._need_classes("predict_proba")
        return fitted.output(self._inputs(frame)[0], self.threads)

    def transform(self, frame: Any) -> Array:
        """The inputs of the networks.

        Parameters
        ----------
        frame : data frame, dict of columns, ndarray, str or path-like
            As for `predict`.

        Returns
        -------
        ndarray of float32, of shape (n_rows, n_inputs)
            ``model.encoding.places`` says which are of which column.

        Raises
        ------
        TypeError, ValueError, OSError
            As `predict`.

        Warns
        -----
        TableWarning
            As `predict`.

        Examples
        --------
        >>> from fastnn.datasets import table_path
        >>> from fastnn.tabular import Recipe, TabularModel
        >>> recipe = Recipe(hidden=(16,), most_epochs=3)  # a quick one, for show
        >>> model = TabularModel(seed=0, recipe=recipe).fit(table_path(), target="late")
        >>> inputs = model.transform(table_path())
        >>> inputs.shape == (400, model.network.n_features), inputs.dtype
        (True, dtype('float32'))
        """
        return self._inputs(frame)[0]

    def numbers(self, frame: Any) -> Array:
        """One number for each column that is used, as files of `fastnn.exchange` take rows.

        Parameters
        ----------
        frame : data frame, dict of columns, ndarray, str or path-like
            As for `predict`.

        Returns
        -------
        ndarray of float64, of shape (n_rows, n_used)
            The columns of ``model.encoding.encoders``, in that order. Numbers are as they are, yes
            and no 1 and 0, dates days since 1970-01-01. A category is its place in
            ``(*encoder.levels, *encoder.rare)``, an unknown one the number of these. NaN is a
            missing value.

        Raises
        ------
        TypeError, ValueError, OSError
            As `predict`.

        Examples
        --------
        >>> from fastnn.datasets import table_path
        >>> from fastnn.tabular import Recipe, TabularModel
        >>> recipe = Recipe(hidden=(16,), most_epochs=3)  # a quick one, for show
        >>> model = TabularModel(seed=0, recipe=recipe).fit(table_path(), target="late")
        >>> list(model.encoding.encoders)
        ['ordered', 'city', 'distance', 'weight', 'express', 'note']
        >>> model.numbers(table_path())[0, 2:5].tolist()
        [18.0, 3.85, 0.0]
        """
        cells, n_rows, _ = self._cells(frame)
        return self.encoding.numbers(cells, n_rows)

    def evaluate(self, frame: Any, y: Any = None) -> Scores:
        """The scores of the predictions for rows whose target is known.

        Parameters
        ----------
        frame : data frame, dict of columns, ndarray, str or path-like
            As for `predict`; with the target, where `y` is not given.
        y : array-like of shape (n_rows,), optional
            The target of each row.

        Returns
        -------
        dict of str to float
            Of classes ``accuracy``, ``balanced_accuracy``, ``roc_auc`` and ``log_loss``; of
            numbers ``r2``, ``rmse`` and ``mae``.

        Raises
        ------
        TypeError, ValueError, OSError
            As `predict`; or if no row has a target, or one has a class that is not known.

        Warns
        -----
        TableWarning
            As `predict`; and of rows without a target, which are left out.

        Examples
        --------
        >>> from fastnn.datasets import table_path
        >>> from fastnn.tabular import Recipe, TabularModel
        >>> recipe = Recipe(hidden=(16,), most_epochs=3)  # a quick one, for show
        >>> model = TabularModel(seed=0, recipe=recipe).fit(table_path(), target="late")
        >>> scores = model.evaluate(table_path())
        >>> list(scores)
        ['accuracy', 'balanced_accuracy', 'roc_auc', 'log_loss']
        >>> scores["roc_auc"] > 0.5
        True
        """
        fitted = self._parts
        inputs, true = self._known(frame, y)
        return _scores.scores(fitted.target, true, fitted.output(inputs, self.threads))

    def compare(self, frame: Any, y: Any = None) -> dict[str, Scores]:
        """The scores beside those of a baseline and of a linear model.

        Parameters
        ----------
        frame : data frame, dict of columns, ndarray, str or path-like
            As for `predict`; with the target, where `y` is not given.
        y : array-like of shape (n_rows,), optional
            The target of each row.

        Returns
        -------
        dict of str to dict
            Scores as `evaluate` gives them, of ``"model"``, ``"linear"`` (logistic or linear
            regression on the same columns) and ``"baseline"`` (the most frequent class with the
            shares of all, or the mean).

        Raises
        ------
        TypeError, ValueError, OSError
            As `evaluate`.

        Examples
        --------
        >>> from fastnn.datasets import table_path
        >>> from fastnn.tabular import Recipe, TabularModel
        >>> recipe = Recipe(hidden=(16,), most_epochs=3)  # a quick one, for show
        >>> model = TabularModel(seed=0, recipe=recipe).fit(table_path(), target="late")
        >>> scores = model.compare(table_path())
        >>> scores["model"]["roc_auc"] > scores["baseline"]["roc_auc"]
        True
        >>> scores["baseline"]["accuracy"]  # the share of the most frequent class
        0.585
        """
        inputs, true = self._known(frame, y)
        return self._parts.scores(true, self._parts.outputs(inputs, self.threads))

    def confusion(self, frame: Any, y: Any = None) -> Confusion:
        """Which classes are taken for which, as a table that prints.

        Parameters
        ----------
        frame : data frame, dict of columns, ndarray, str or path-like
            As for `predict`; with the target, where `y` is not given.
        y : array-like of shape (n_rows,), optional
            The target of each row.

        Returns
        -------
        fastnn.tabular.Confusion
            With the counts of all rows that have a target.

        Raises
        ------
        TypeError, ValueError, OSError
            As `evaluate`; or if the target is a number.

        Examples
        --------
        >>> from fastnn.datasets import table_path
        >>> from fastnn.tabular import Recipe, TabularModel
        >>> recipe = Recipe(hidden=(16,), most_epochs=3)  # a quick one, for show
        >>> model = TabularModel(seed=0, recipe=recipe).fit(table_path(), target="late")
        >>> confusion = model.confusion(table_path())
        >>> confusion.classes, int(confusion.counts.sum())
        (('no', 'yes'), 400)
        """
        fitted = self._parts
        self._need_classes("confusion")
        inputs, true = self._known(frame, y)
        return Confusion.of(fitted.target, true, fitted.output(inputs, self.threads))

    @checked_keywords
    def importance(self, frame: Any, y: Any = None, *, repeats: int = 3) -> dict[str, float]:
        """What each column is worth: how far the score falls when its values are shuffled.

        Parameters
        ----------
        frame : data frame, dict of columns, ndarray, str or path-like
            As for `predict`; with the target, where `y` is not given.
        y : array-like of shape (n_rows,), optional
            The target of each row.
        repeats : int
            Shuffles of each column, whose mean counts.

        Returns
        -------
        dict of str to float
            Falls of R2, or of the area under the ROC curve, by column; the largest first.

        Raises
        ------
        TypeError, ValueError, OSError
            As `evaluate`; or if `repeats` is no positive int.

        Examples
        --------
        >>> from fastnn.datasets import table_path
        >>> from fastnn.tabular import Recipe, TabularModel
        >>> recipe = Recipe(hidden=(16,), most_epochs=3)  # a quick one, for show
        >>> model = TabularModel(seed=0, recipe=recipe).fit(table_path(), target="late")
        >>> falls = model.importance(table_path())
        >>> next(iter(falls))
        'distance'
        """
        fitted = self._parts
        repeats = _validation.positive_int(repeats, "repeats")
        inputs, true = self._known(frame, y)
        return _scores.permutation_importance(
            fitted.target,
            true,
            inputs,
            fitted.encoding.places,
            lambda changed: fitted.output(changed, self.threads),
            repeats,
            self.seed,
        )

    # ---- files -------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the model to one file: networks, encoding and target, as plain data.

        Parameters
        ----------
        path : str or path-like
            A safetensors file, like that of `fastnn.Network.save`.

        Raises
        ------
        OSError
            If it cannot be written. A file that was there stays as it was.
        TypeError, ValueError
            If `path` is no path, or the model is not fitted yet.

        Examples
        --------
        >>> from fastnn.datasets import table_path
        >>> from fastnn.tabular import Recipe, TabularModel
        >>> recipe = Recipe(hidden=(16,), most_epochs=3)  # a quick one, for show
        >>> model = TabularModel(seed=0, recipe=recipe).fit(table_path(), target="late")
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(f"{folder}/late.safetensors")
        ...     same = TabularModel.load(f"{folder}/late.safetensors")
        >>> bool((same.predict(table_path()) == model.predict(table_path())).all())
        True
        """
        from fastnn.tabular import _files

        _files.write(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Reads a model from a file written by `save`. No code in the file is executed.

        Parameters
        ----------
        path : str or path-like
            A file that `save` wrote, by this version of fastnn or an older one.

        Returns
        -------
        TabularModel
            Fitted; it predicts as the one that was saved, to the bit.

        Raises
        ------
        TypeError, ValueError
            If `path` is no path, or the file is not such a file, or is damaged.
        OSError
            If it cannot be read.

        Examples
        --------
        >>> from fastnn.datasets import table_path
        >>> from fastnn.tabular import Recipe, TabularModel
        >>> recipe = Recipe(hidden=(16,), most_epochs=3)  # a quick one, for show
        >>> model = TabularModel(seed=0, recipe=recipe).fit(table_path(), target="late")
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(f"{folder}/late.safetensors")
        ...     print(TabularModel.load(f"{folder}/late.safetensors"))
        TabularModel(members=1, seed=0)  # classification of 'late' from 6 columns
        """
        from fastnn.tabular import _files

        return _files.read(path, cls)

    # ---- inside ------------------------------------------------------------------------------

    def _need_classes(self, method: str) -> None:
        if self.target.task == "regression":
            raise ValueError(f"{method} needs classes, the target {self.target.name!r} is a number")

    def _cells(self, frame: Any) -> tuple[dict[str, Cells], int, Table]:
        """The columns that are used, the number of rows, and the whole table."""
        encoding = self._parts.encoding
        table = read_table(frame)
        _check_columns(encoding, table, "frame")
        n_rows = len(next(iter(table.values())))
        return _read({name: table[name] for name in encoding.encoders}), n_rows, table

    def _inputs(self, frame: Any) -> tuple[Array, Table]:
        cells, n_rows, table = self._cells(frame)
        inputs, remarks = self.encoding.encode(cells, n_rows)
        for name, remark in remarks.items():
            warnings.warn(f"the column {name!r} has {remark}", TableWarning, stacklevel=4)
        return inputs, table

    def _known(self, frame: Any, y: Any) -> tuple[Array, Array]:
        """Inputs and targets of rows whose target is known."""
        target = self._parts.target
        inputs, table = self._inputs(frame)
        _, raw, _ = _split_target(table, y, target.name if y is None else None)
        rows, true = _encoded(target, raw)
        return inputs if len(rows) == len(inputs) else inputs[rows], true

    def _fitted_encoding(self, cells: dict[str, Cells], n_rows: int) -> Encoding:
        columns = tuple(describe(name, each) for name, each in cells.items())
        used = [column for column in columns if column.used]
        if not used:
            notes = "; ".join(f"{column.name!r} is {column.kind}" for column in columns[:5])
            raise ValueError(f"frame must have a column to predict from, got {notes or 'none'}")
        n_numbers = sum(column.kind in ("number", "date") for column in used)
        n_ramps = self.recipe.ramps(n_rows, n_numbers)
        encoders = {
            column.name: fitted_encoder(column, cells[column.name], self.recipe, n_ramps)
            for column in used
        }
        return Encoding(columns, encoders)

    def _validation_part(
        self, data: Any, target: Target, is_column: bool
    ) -> tuple[dict[str, Cells], Array, Array | None]:
        is_tuple = isinstance(data, tuple) and len(data) in (2, 3)
        frame, y, weights = (*data, None)[:3] if is_tuple else (data, None, None)
        if y is None and not is_column:
            raise ValueError("validation_data must be a pair (table, y), as fit was given y")
        table, raw, _ = _split_target(read_table(frame, "validation_data"), y, target.name)
        if weights is not None:
            weights = _weights.one_a_sample(weights, len(raw), "validation_data[2]")
        rows, true = _encoded(target, raw, "validation_data")
        cells = {key: taken(each, rows) for key, each in _read(table).items()}
        return cells, true, None if weights is None else weights[rows]


class Fitted:
    """What `fit` finds, and `save` writes."""

    def __init__(
        self,
        target: Target,
        encoding: Encoding,
        networks: tuple[Network, ...],
        linear: Network,
        validation_scores: dict[str, Scores],
    ) -> None:
        self.target = target
        self.encoding = encoding
        self.networks = networks
        self.linear = linear
        self.validation_scores = validation_scores

    def output(self, inputs: Array, threads: int | None) -> Array:
        """Probabilities of shape (n_rows, n_classes), or numbers of shape (n_rows,), in float64."""
        return self._mean(self.networks, inputs, None, threads)

    def _mean(
        self, networks: Sequence[Network], inputs: Array, kept: Array | None, threads: int | None
    ) -> Array:
        """The mean of their outputs, of all inputs or the `kept` ones."""
        total = np.zeros((len(inputs), self.target.n_outputs))
        for begin in range(0, len(inputs), _BLOCK):
            rows = slice(begin, begin + _BLOCK)
            part = inputs[rows] if kept is None else part_of(inputs, rows, kept)
            for network in networks:
                total[rows] += network.predict_proba(part, threads=threads)
        total /= len(networks)
        if self.target.task == "regression":
            return total[:, 0] * self.target.scale + self.target.center
        return total

    def outputs(self, inputs: Array, threads: int | None) -> dict[str, Array]:
        """As `output`, also of what the networks are compared with."""
        return {
            "model": self.output(inputs, threads),
            "linear": self._mean([self.linear], inputs, linear_inputs(self.encoding), threads),
            "baseline": _scores.without_model(self.target, len(inputs)),
        }

    def scores(self, true: Array, outputs: dict[str, Array]) -> dict[str, Scores]:
        return {name: _scores.scores(self.target, true, each) for name, each in outputs.items()}


# ---- helpers -------------------------------------------------------------------------------------


def _split_target(table: Table, y: Any, target: str | None) -> tuple[Table, Array, str]:
    """The other columns, the target, and its name."""
    if not table:
        raise ValueError("frame must have columns, it has none")
    n_rows = len(next(iter(table.values())))
    if y is not None:
        raw = values_of(y, "y")
        if len(raw) != n_rows:
            raise ValueError(f"y must have a value for each of {n_rows} rows, got {len(raw)}")
        return table, raw, str(getattr(y, "name", None) or "y")
    if target not in table:
        raise ValueError(
            f"target must be a column of the table, it has {absent(str(target), table)}"
        )
    return {name: each for name, each in table.items() if name != target}, table[target], target


def _read(table: Table) -> dict[str, Cells]:
    return {name: read_cells(values, name) for name, values in table.items()}


def _with_target(
    cells: dict[str, Cells], answers: Cells, name: str
) -> tuple[dict[str, Cells], Cells]:
    """The rows that have a target; a warning tells how many have none."""
    missing = is_missing(answers)
    n_missing, n_rows = int(missing.sum()), len(missing)
    if n_rows - n_missing < _LEAST_ROWS:
        raise ValueError(
            f"frame must have at least {_LEAST_ROWS} rows with a target, got {n_rows - n_missing}"
            + f" of {n_rows} in which {name!r} is there" * (n_missing > 0)
        )
    if n_missing:
        _warn_of_rows_left_out(n_missing, n_rows, name)
        rows = np.flatnonzero(~missing)
        cells = {key: taken(each, rows) for key, each in cells.items()}
        answers = taken(answers, rows)
    return cells, answers


def _warn_of_rows_left_out(n_missing: int, n_rows: int, name: str) -> None:
    warnings.warn(
        f"{n_missing} of {n_rows} rows have no {name!r} and are left out",
        TableWarning,
        stacklevel=5,
    )


def _encoded(target: Target, raw: Array, frame: str = "frame") -> tuple[Array, Array]:
    """Rows to measure, and their targets; ValueError where one is not known, or all are missing."""
    if len(raw) == 0:
        raise ValueError(f"{frame} must have rows, it has none")
    cells = read_cells(raw, target.name)
    is_absent = is_missing(cells)
    rows = np.flatnonzero(~is_absent)
    if len(rows) == 0:
        raise ValueError(f"{frame} must have rows with a {target.name!r}, all {len(raw)} have none")
    if len(rows) < len(raw):
        _warn_of_rows_left_out(len(raw) - len(rows), len(raw), target.name)
    true = target.encode(cells)
    unknown = np.isnan(true) & ~is_absent
    if unknown.any():
        row = int(unknown.argmax())
        known = (
            f"one of {', '.join(map(str, target.classes[:10]))}" if target.classes else "numbers"
        )
        raise ValueError(
            f"the target {target.name!r} must be {known}, got {_validation.short(raw[row])} in row "
            f"{row}"
        )
    return rows, true[rows]


def _scaled(target: Target, true: Array) -> Array:
    """What a network is trained on."""
    if target.task == "regression":
        return ((true - target.center) / target.scale).astype(np.float32)
    return true.astype(np.int64)


def _check_columns(encoding: Encoding, table: Any, name: str) -> None:
    absent = [each for each in encoding.encoders if each not in table]
    if absent:
        raise ValueError(
            f"{name} must have the columns of the training table, it lacks "
            + ", ".join(map(repr, absent[:10]))
            + ", ..." * (len(absent) > 10)
        )


def _warn_of_repeats(cells: dict[str, Cells], target: Target, true: Array) -> None:
    for name, each in cells.items():
        if repeats(each, target, true):
            warnings.warn(
                f"the column {name!r} repeats the target {target.name!r}: leave it out if it is "
                "not known when you predict",
                TableWarning,
                stacklevel=4,
            )

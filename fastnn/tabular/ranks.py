"""A model for a table whose rows lie with several ranks; see `fastnn.mpi`.

What is said of the columns and of the target follows from a sample of the rows of all ranks, which
all of them get, so that all encode alike. Each rank encodes, holds out and trains on rows of its
own. The scores are of the held-out rows of all.
"""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np

from fastnn import ScalingWarning, _ranks, _split
from fastnn._extras import import_extra
from fastnn.history import History
from fastnn.network import Network
from fastnn.tabular.encoding import linear_inputs, part_of
from fastnn.tabular.model import (
    Fitted,
    TableWarning,
    TabularModel,
    _encoded,
    _read,
    _scaled,
    _split_target,
    _warn_of_repeats,
    _with_target,
)
from fastnn.tabular.reading import absent
from fastnn.tabular.scores import Confusion
from fastnn.tabular.table_files import Table, arrow_column
from fastnn.tabular.target import Target, taken
from fastnn.tabular.training import (
    Part,
    Progress,
    early_stopping,
    fit_arguments,
    layers_of,
    slim,
    train_linear,
)
from fastnn.tabular.values import Array, sampled

_SAMPLE = 50_000  # rows of all ranks
_MOST_HELD = 2000  # held-out rows of all ranks that are given back
_MOST_CLASSES = 1000  # values of the target of which each rank gives a row beside its sample


def read_row_groups(path: str, rank: int, size: int) -> Any:
    """The rows of one of `size` ranks: each `size`-th row group of a Parquet file.

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    ValueError
        If it is no Parquet file.
    """
    pyarrow = import_extra("pyarrow", "pyarrow", "data")
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
    except pyarrow.ArrowException as error:
        raise ValueError(
            f"{path} must be a Parquet file with several ranks, each of which reads row groups of "
            f"its own: {error}"
        ) from error
    return file.read_row_groups(list(range(rank, file.num_row_groups, size)))


def fit_rows(
    model: TabularModel,
    rows: Any,
    target: str,
    exchange: _ranks.Exchange,
    progress: Progress = False,
) -> tuple[Table, int, int]:
    """`TabularModel.fit` on the rows of all ranks; all of them call it.

    Parameters
    ----------
    model : TabularModel
        With the same seed on all ranks. Its `validation_rows` are those of the result.
    rows : pyarrow.Table
        Of this rank.
    target : str
    exchange : Exchange
    progress : bool or "epochs"

    Returns
    -------
    table : dict of str to ndarray of shape (n_rows,)
        Of the held-out rows of all ranks; some of them, where they are many.
    n_rows, n_held : int
        Rows of all ranks, and those that were held out.
    """
    table = {name: arrow_column(rows[name]) for name in rows.column_names}
    if target not in table:
        raise ValueError(f"target must be a column of the table, it has {absent(target, table)}")
    n_rows = sum(_told(exchange, rows.num_rows))
    some, raw, _ = _split_target(_sample(rows, table, target, n_rows, exchange), None, target)
    with warnings.catch_warnings():
        if exchange.rank > 0:
            warnings.simplefilter("ignore", TableWarning)
        cells, answers = _with_target(_read(some), _read({target: raw})[target], target)
        described = Target.fitted(target, answers, model.task)
        true = described.encode(answers)
        _warn_of_repeats(cells, described, true)
    encoding = model._fitted_encoding(cells, n_rows)
    known, own_true = np.arange(0), np.empty(0)
    if rows.num_rows > 0:
        known, own_true = _encoded(described, table[target])
    own = {name: each for name, each in table.items() if name in encoding.encoders}
    own_cells = {name: taken(each, known) for name, each in _read(own).items()}
    kept, aside = _split_rows(model, described, own_true)
    parts = []
    for chosen in (kept, aside):
        inputs = np.empty((0, encoding.width), np.float32)
        if len(chosen) > 0:
            inputs = encoding.encode({k: taken(v, chosen) for k, v in own_cells.items()},
                                     len(chosen))[0]  # fmt: skip
        parts.append((inputs, _scaled(described, own_true[chosen]), None))
    began = time.perf_counter()
    trained = _train(model, described, parts[0], parts[1], exchange, progress)
    sample, _ = encoding.encode(cells, len(true))
    drawn = sampled(np.arange(len(true)))
    linear = train_linear(
        described,
        (part_of(sample, drawn, linear_inputs(encoding)), _scaled(described, true[drawn]), None),
        model.seed,
        model.threads,
    )
    networks, histories = zip(*trained, strict=True)
    model._training_seconds = time.perf_counter() - began
    fitted = Fitted(described, encoding, networks, linear, {})
    outputs = {
        name: _ranks.joined(exchange, np.asarray(each, np.float64)).reshape(-1, *each.shape[1:])
        for name, each in fitted.outputs(parts[1][0], model.threads).items()
    }
    held_true = _ranks.joined(exchange, np.asarray(own_true[aside], np.float64))
    fitted.validation_scores = fitted.scores(held_true, outputs)
    is_of_classes = described.task == "classification"
    model._fitted, model._histories = fitted, histories
    model._validation_confusion = (
        Confusion.of(described, held_true, outputs["model"]) if is_of_classes else None
    )
    drawn = known[aside]
    if len(held_true) > _MOST_HELD:
        random = np.random.default_rng(exchange.rank)
        n_own = _MOST_HELD * len(drawn) // len(held_true)
        drawn = np.sort(random.choice(drawn, n_own, replace=False))
    held = _gathered(rows, drawn, exchange)
    model._validation_rows = np.arange(len(next(iter(held.values()))))
    return held, n_rows, len(held_true)


def _told(exchange: _ranks.Exchange, number: int) -> list[int]:
    return [int(text) for text in exchange.gather(str(number).encode())]


def _sample(rows: Any, table: Table, target: str, n_rows: int, exchange: _ranks.Exchange) -> Table:
    """Rows of all ranks, the same ones on each: all, or some and one of each class."""
    if n_rows > _SAMPLE:
        random = np.random.default_rng(exchange.rank)
        n_own = min(rows.num_rows, _SAMPLE * rows.num_rows // n_rows + 1)
        chosen = random.choice(rows.num_rows, n_own, replace=False)
        values = table[target]
        firsts = list({value: i for i, value in enumerate(values.tolist())}.values())
        if len(firsts) <= _MOST_CLASSES:
            chosen = np.union1d(chosen, np.array(firsts, np.int64))
        return _gathered(rows, np.sort(chosen), exchange)
    return _gathered(rows, np.arange(rows.num_rows), exchange)


def _gathered(rows: Any, chosen: Array, exchange: _ranks.Exchange) -> Table:
    """The chosen rows of all ranks."""
    pyarrow = import_extra("pyarrow", "pyarrow", "data")
    rows = rows.take(pyarrow.array(chosen))
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    texts = exchange.gather(sink.getvalue().to_pybytes())
    together = pyarrow.concat_tables([pyarrow.ipc.open_stream(text).read_all() for text in texts])
    return {name: arrow_column(together[name]) for name in together.column_names}


def _split_rows(model: TabularModel, target: Target, true: Array) -> tuple[Array, Array]:
    """Those to train on, and those held out."""
    if len(true) < 2:
        return np.arange(len(true)), np.arange(0)
    labels = true if target.task == "classification" else None
    return _split.split_rows(len(true), model.recipe.validation, model.seed, labels)


def _train(
    model: TabularModel,
    target: Target,
    training: Part,
    validation: Part,
    exchange: _ranks.Exchange,
    progress: Progress,
) -> list[tuple[Network, History]]:
    """The members, one after the other: all ranks train each."""
    X, y, _ = training
    n_rows = sum(_told(exchange, len(X)))
    trained = []
    for i in range(model.members):
        net = Network(layers_of(model.recipe, target), X.shape[1], seed=model.seed + i)
        arguments = {
            **fit_arguments(model.recipe, target, n_rows),
            "validation_data": validation,
            "callbacks": early_stopping(model.recipe, n_rows),
            "threads": model.threads,
            "progress": progress if i == 0 else False,
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ScalingWarning)  # the scales of inputs are meant
            history = _ranks.fit(exchange, net, X, y, arguments)
        trained.append((slim(net), history))
    return trained

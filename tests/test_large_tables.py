"""Tables of many rows: what is learnt from a sample, and that nothing else differs."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastnn.tabular import RECIPE, TabularModel, encoding, model, values
from fastnn.tabular.columns import Column, describe
from fastnn.tabular.encoding import Encoding, Numbers, fitted_encoder, linear_inputs, part_of
from fastnn.tabular.target import Target, repeats, taken
from fastnn.tabular.values import Cells, Texts, read_cells, sampled

# At the end, so that an installed fastnn is found before the one beside bench.
sys.path.append(str(Path(__file__).parents[1]))

from bench import table_speed

N = 120_001


def numbers(column: Any) -> Cells:
    return Cells("number", np.asarray(column, np.float64))


def test_a_sample_has_one_of_each_stretch() -> None:
    few, many = np.arange(50_000), np.arange(N)
    assert sampled(few) is few
    some = sampled(many)
    limits = np.arange(50_001) * N // 50_000
    assert (some >= limits[:-1]).all()
    assert (some < limits[1:]).all()
    assert len(set((some - limits[:-1]).tolist())) > 1
    np.testing.assert_array_equal(sampled(many), some)


def with_one(column: Any, value: float) -> Cells:
    """The column with a value in the first row that no sample has."""
    changed = np.array(column, np.float64)
    changed[np.setdiff1d(np.arange(N), sampled(np.arange(N)))[0]] = value
    return numbers(changed)


@pytest.mark.parametrize(
    ("name", "cells", "kind", "n_distinct"),
    [
        ("x", numbers(np.full(N, 3.0)), "constant", 1),
        ("x", with_one(np.full(N, 3.0), 4.0), "number", 2),
        ("x", numbers(np.arange(N) % 2), "yes/no", 2),
        ("x", with_one(np.zeros(N), 1.0), "yes/no", 2),
        ("x", with_one(np.arange(N) % 2, 7.0), "number", 3),
        ("x", numbers(np.random.default_rng(0).permutation(N)), "identifier", N),
        ("x", with_one(np.arange(N), N - 1.0), "number", N - 1),
        ("x", numbers(np.random.default_rng(0).random(N)), "number", 50_000),
        ("user_id", numbers(5.0 * np.arange(N)), "identifier", N),
    ],
)
def test_what_a_column_of_many_rows_is(name: str, cells: Cells, kind: str, n_distinct: int) -> None:
    column = describe(name, cells)
    assert (column.kind, column.n_distinct) == (kind, n_distinct)


def test_ramps_of_many_rows_reach_from_end_to_end() -> None:
    rng = np.random.default_rng(0)
    x = np.exp(2 * rng.standard_normal(N))
    x[rng.random(N) < 0.1] = np.nan
    there = np.flatnonzero(~np.isnan(x))
    x[np.setdiff1d(there, sampled(there))[:2]] = -1, 1e6
    encoder = Numbers.fitted(x, 32, RECIPE)
    assert encoder.edges[0] == -1
    assert encoder.edges[-1] == 1e6
    assert encoder.is_marked
    assert encoder.center == pytest.approx(1, rel=0.02)
    shares = [np.mean(x[~np.isnan(x)] <= edge) for edge in encoder.edges[1:-1:2]]
    assert np.diff(shares).max() < 0.1


def test_blocks_of_rows_are_encoded_like_each_row(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    n = 1000
    columns = {
        "x": np.where(rng.random(n) < 0.1, np.nan, rng.standard_normal(n)),
        "d": np.datetime64("2020-01-01") + rng.integers(0, 999, n).astype("timedelta64[D]"),
        "c": np.array(["a", "b", None, "c"], object)[rng.integers(0, 4, n)],
    }
    cells = {name: read_cells(each, name) for name, each in columns.items()}
    described = tuple(describe(name, each) for name, each in cells.items())
    encoders = {c.name: fitted_encoder(c, cells[c.name], RECIPE, 8) for c in described}
    whole = Encoding(described, encoders)
    at_once, _ = whole.encode(cells, n)
    monkeypatch.setattr(encoding, "_BLOCK", 1)
    in_blocks, _ = whole.encode(cells, n)
    np.testing.assert_array_equal(in_blocks, at_once)
    for rows in (np.array([0]), np.array([999, 5])):
        part = {name: taken(each, rows) for name, each in cells.items()}
        np.testing.assert_array_equal(whole.encode(part, len(rows))[0], at_once[rows])
    kept = linear_inputs(whole)
    for rows in (np.array([3, 999]), slice(10, 700)):
        part_of_rows = part_of(at_once, rows, kept)
        assert part_of_rows.flags.c_contiguous
        np.testing.assert_array_equal(part_of_rows, at_once[rows][:, kept])


def test_some_rows_of_texts_have_their_levels_alone() -> None:
    cells = Cells("text", texts=Texts(["a", "b", "c"], np.array([2, -1, 0, 2, 1])))
    texts = taken(cells, np.array([0, 1, 2])).texts
    assert texts is not None
    assert texts.levels == ["a", "c"]
    assert texts.codes.tolist() == [1, -1, 0]


def of(true: np.ndarray) -> Target:
    task = "regression" if len(set(true.tolist())) > 10 else "classification"
    return Target("y", task, "number", tuple(sorted(set(true.tolist()))))


def test_columns_that_repeat_the_target_in_all_rows_alone() -> None:
    classes = np.repeat([0.0, 1.0, 2.0], 2000)  # the first rows are of one class
    assert repeats(numbers(5 - classes), of(classes), classes)
    late = classes.copy()
    late[-1] = 0
    assert not repeats(numbers(late), of(classes), classes)
    assert not repeats(numbers(np.zeros(6000)), of(classes), classes)
    hidden = np.where(classes == 0, 0.0, np.nan)  # says nothing where it is there
    assert not repeats(numbers(hidden), of(classes), classes)
    quantity = np.sort(np.random.default_rng(0).random(6000))
    assert repeats(numbers(-(quantity**3)), of(quantity), quantity)
    late = quantity.copy()
    late[-1] = 0
    assert not repeats(numbers(late), of(quantity), quantity)
    assert not repeats(numbers(np.floor(10 * quantity)), of(quantity), quantity)


def test_the_linear_model_of_many_rows_is_of_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = []

    def train_linear(target: Target, training: Any, seed: int, threads: Any) -> Any:
        shapes.append([each.shape for each in training[:2]])
        return original(target, training, seed, threads)

    original = model.train_linear
    monkeypatch.setattr(model, "train_linear", train_linear)
    recipe = replace(RECIPE, hidden=(2,), least_epochs=1, most_epochs=1, bins=4)
    x = np.random.default_rng(0).standard_normal((400, 2))
    table = {"a": x[:, 0], "b": x[:, 1], "y": x.sum(axis=1)}
    for most in (1000, 100):
        monkeypatch.setattr(values, "_MOST_SAMPLED", most)
        TabularModel(seed=0, recipe=recipe).fit(table, target="y")
    assert shapes == [[(340, 2), (340,)], [(100, 2), (100,)]]


def test_the_confusion_of_the_held_out_rows_is_kept() -> None:
    recipe = replace(RECIPE, hidden=(2,), least_epochs=1, most_epochs=1, bins=4)
    x = np.random.default_rng(0).standard_normal(400)
    table = {"x": x, "y": np.where(x > 0.5, "high", "low")}
    fitted = TabularModel(seed=0, recipe=recipe)
    assert fitted.validation_confusion is None
    fitted.fit(table, target="y")
    assert fitted.validation_rows is not None
    held = {name: column[fitted.validation_rows] for name, column in table.items()}
    assert fitted.validation_confusion is not None
    expected = fitted.confusion(held)
    assert expected.counts.sum() == 60
    np.testing.assert_array_equal(fitted.validation_confusion.counts, expected.counts)
    fitted.fit({"x": x, "y": x**2}, target="y")
    assert fitted.validation_confusion is None


# ---- the bench -----------------------------------------------------------------------------------


def test_a_part_of_a_program_that_begins_inside_another_one_interrupts_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(table_speed.Clock, "_now", lambda clock: next(times))
    times = iter([(0, 0), (1, 10), (3, 30), (6, 60), (10, 100)])
    clock = table_speed.Clock()
    inner = clock.of("inner", int)
    clock.of("outer", lambda: inner())()
    assert clock.seconds == {"outer": (2 + 4, 20 + 40), "inner": (3, 30)}


def test_the_bench_of_tables_compares_with_pandas(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for library in ("pandas", "pyarrow", "matplotlib"):
        pytest.importorskip(library)
    command = ["table_speed", "--rows", "300", "--columns", "10", "--runs", "1"]
    monkeypatch.setattr(sys, "argv", command)
    table_speed.main()
    printed = capsys.readouterr().out
    for part in ("pandas.read_csv", *table_speed.PARTS, "fit, with training", "peak resident"):
        assert part in printed


def test_columns_of_the_bench_are_the_kinds_it_says() -> None:
    table = table_speed.table(2000, 30)
    assert len(table) == 30
    kinds: dict[str, int] = {}
    for name, column in table.items():
        described: Column = describe(name, read_cells(column, name))
        kinds[described.kind] = kinds.get(described.kind, 0) + 1
    assert kinds == {"number": 20, "category": 6, "date": 2, "yes/no": 2}

"""TabularModel: from tables of every kind to predictions, scores and files."""

import re
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastnn import Network, StopTraining
from fastnn.tabular import RECIPE, Recipe, TableWarning, TabularModel, training
from fastnn.tabular.encoding import Categories, Numbers
from fastnn.tabular.reading import read_table
from fastnn.tabular.target import Target
from fastnn.tabular.values import Texts, read_cells
from fastnn.tabular.weighting import input_factors

N = 300
QUICK = replace(RECIPE, hidden=(32,), samples=20_000, bins=16, ramp_height=0.1, ema=None)


def table(n: int = N, seed: int = 0) -> dict[str, Any]:
    """A number, a category, a date, a yes/no, each of which tells something of the price."""
    rng = np.random.default_rng(seed)
    size = rng.uniform(20, 200, n)
    town = rng.integers(0, 3, n)
    days = rng.integers(0, 1000, n)
    garden = rng.random(n) < 0.5
    price = 5 * size + 200.0 * town + 0.3 * days + 100 * garden
    return {
        "size": size,
        "town": np.array(["Ulm", "Bonn", "Jena"], object)[town],
        "sold": np.datetime64("2020-01-01") + days.astype("timedelta64[D]"),
        "garden": garden,
        "price": price,
    }


@pytest.fixture(scope="module")
def of_prices() -> TabularModel:
    return TabularModel(seed=0, recipe=QUICK).fit(table(), target="price")


@pytest.fixture(scope="module")
def of_towns() -> TabularModel:
    return TabularModel(2, seed=0, recipe=QUICK).fit(table(), target="town")


def kinds(model: TabularModel) -> dict[str, str]:
    return {column.name: column.kind for column in model.columns}


def fitted(columns: dict[str, Any], target: str = "y", **options: Any) -> TabularModel:
    return TabularModel(seed=0, recipe=QUICK, **options).fit(columns, target=target)


def with_column(**columns: Any) -> dict[str, Any]:
    x = np.linspace(-1, 1, 60)
    return {"x": x, "y": np.sin(x) + 2 * x**2, **columns}


def test_networks_read_what_transform_gives(of_towns: TabularModel) -> None:
    inputs = of_towns.transform(table())
    assert (inputs.dtype, inputs.shape) == (np.float32, (N, of_towns.encoding.width))
    each = [net.predict_proba(inputs).astype(np.float64) for net in of_towns.networks]
    np.testing.assert_allclose(np.mean(each, axis=0), of_towns.predict_proba(table()), rtol=1e-12)


def test_a_row_is_one_number_for_each_column_that_is_used(of_prices: TabularModel) -> None:
    encoder = of_prices.encoding.encoders["town"]
    assert isinstance(encoder, Categories)
    rows = {
        "town": np.array([*encoder.levels, "Paris", None], object),
        "garden": [True, False, True, False, None],
        "sold": np.array(["1970-01-02", "1970-01-01", "NaT", "2020-01-01", "2020-01-01"], "M8[D]"),
        "size": [1.5, np.nan, 3, 4, 5],
    }
    nan = np.nan
    np.testing.assert_array_equal(
        of_prices.numbers(rows),
        [[1.5, 0, 1, 1], [nan, 1, 0, 0], [3, 2, nan, 1], [4, 3, 18262, 0], [5, nan, 18262, nan]],
    )
    with pytest.raises(ValueError, match="it lacks 'size', 'town'"):
        of_prices.numbers({"garden": [True], "sold": rows["sold"][:1]})


# ---- what is learnt ------------------------------------------------------------------------------


def test_every_kind_of_column_is_known_and_used(of_prices: TabularModel) -> None:
    assert kinds(of_prices) == {
        "size": "number",
        "town": "category",
        "sold": "date",
        "garden": "yes/no",
    }
    assert of_prices.evaluate(table(200, seed=1))["r2"] > 0.97


def test_a_regression_beats_the_mean_and_says_so(of_prices: TabularModel) -> None:
    found = of_prices.compare(table(200, seed=1))
    assert list(found) == ["model", "linear", "baseline"]
    assert found["model"]["rmse"] < found["baseline"]["rmse"] / 3
    assert found["linear"]["r2"] > 0.95  # the price is a sum
    assert abs(found["baseline"]["r2"]) < 0.1
    assert of_prices.validation_scores["model"]["r2"] > 0.9


def test_classes_come_back_as_they_came(of_towns: TabularModel) -> None:
    rows = table(100, seed=1)
    predicted = of_towns.predict(rows)
    probabilities = of_towns.predict_proba(rows)
    assert of_towns.target.classes == ("Bonn", "Jena", "Ulm")
    assert set(predicted) <= {"Bonn", "Jena", "Ulm"}
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert (np.array(of_towns.target.classes)[probabilities.argmax(axis=1)] == predicted).all()
    accuracy = np.mean(predicted == rows["town"])
    assert of_towns.evaluate(rows)["accuracy"] == pytest.approx(accuracy)
    assert accuracy > 0.7


@pytest.mark.parametrize("classes", [[3, 7], [False, True], [0.5, 1.5], ["a", "b", "c"]])
def test_classes_keep_their_type(classes: list[Any]) -> None:
    y = np.array(classes * 20)
    x = np.arange(len(y)) % len(classes) + np.random.default_rng(0).random(len(y)) / 2
    model = TabularModel(seed=0, task="classification", recipe=QUICK).fit(x[:, np.newaxis], y)
    assert model.predict(x[:, np.newaxis]).dtype == np.array(classes).dtype
    assert model.evaluate(x[:, np.newaxis], y)["accuracy"] > 0.9


def test_the_confusion_table_counts(of_towns: TabularModel) -> None:
    rows = table(100, seed=1)
    confusion = of_towns.confusion(rows)
    predicted = of_towns.predict(rows)
    for i, true in enumerate(confusion.classes):
        for j, said in enumerate(confusion.classes):
            expected = np.sum((rows["town"] == true) & (predicted == said))
            assert confusion.counts[i, j] == expected
    assert str(confusion).splitlines()[0].split() == ["true", "\\", "predicted", *confusion.classes]


def test_importance_finds_the_column_that_counts(of_prices: TabularModel) -> None:
    found = of_prices.importance(table(200, seed=1))
    assert next(iter(found)) == "size"
    assert set(found) == {"size", "town", "sold", "garden"}
    assert found["size"] > 0.3
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_members_are_networks_whose_mean_predicts(of_towns: TabularModel) -> None:
    rows = table(50, seed=1)
    first, second = of_towns.networks
    assert first.parameters.tobytes() != second.parameters.tobytes()
    cells, _ = of_towns._inputs(rows)
    mean = (first.predict_proba(cells).astype(float) + second.predict_proba(cells)) / 2
    np.testing.assert_array_equal(of_towns.predict_proba(rows), mean)
    assert of_towns.network is first


def test_threads_and_calls_do_not_change_the_bits() -> None:
    models = [
        TabularModel(2, seed=5, threads=threads, recipe=QUICK).fit(table(), target="price")
        for threads in (1, 2)
    ]
    one, two = (model.networks for model in models)
    for a, b in zip(one, two, strict=True):
        assert a.parameters.tobytes() == b.parameters.tobytes()
    other = TabularModel(2, seed=6, recipe=QUICK).fit(table(), target="price")
    assert other.network.parameters.tobytes() != one[0].parameters.tobytes()


def test_an_interrupted_fit_leaves_the_model_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    model = fitted(with_column())
    rows, seconds, networks = model.validation_rows, model.training_seconds, model.networks
    monkeypatch.setattr("fastnn.tabular.model.Fitted.outputs", interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.fit(table(), target="price")
    assert model.validation_rows is rows
    assert (model.training_seconds, model.networks) == (seconds, networks)


def test_rows_without_a_target_are_left_out_of_scores(of_towns: TabularModel) -> None:
    rows = table(60, seed=4)
    whole = {name: values[5:] for name, values in rows.items()}
    rows["town"][:5] = None
    for method in (of_towns.evaluate, of_towns.confusion, of_towns.importance, of_towns.compare):
        with pytest.warns(TableWarning, match="5 of 60 rows have no 'town' and are left out"):
            of_gaps = method(rows)
        assert str(of_gaps) == str(method(whole))
    held = {name: values[5:] for name, values in rows.items()}
    fits = [TabularModel(seed=0, recipe=QUICK) for _ in range(2)]
    fits[0].fit(table(), target="town", validation_data=held)
    with pytest.warns(TableWarning, match="5 of 60 rows"):
        fits[1].fit(table(), target="town", validation_data=rows)
    assert fits[0].network.parameters.tobytes() == fits[1].network.parameters.tobytes()
    rows["town"][:] = None
    with pytest.raises(ValueError, match="must have rows with a 'town', all 60 have none"):
        of_towns.evaluate(rows)


@pytest.mark.parametrize(
    ("arguments", "target", "error", "message"),
    [
        (("price",), None, TypeError, "y must have a value for each row; .* target='price'"),
        ((), "prise", ValueError, "no column 'prise': did you mean 'price'"),
        ((), None, ValueError, "needs target, the name of a column, or y, got neither"),
        ((np.ones(N),), "price", ValueError, "or y, got both"),
        ((), ["price"], TypeError, "target must be the name of a column"),
    ],
)
def test_targets_that_are_none(
    arguments: Any, target: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        TabularModel(seed=0, recipe=QUICK).fit(table(), *arguments, target=target)


def test_thousands_of_columns_share_the_ramps() -> None:
    assert RECIPE.ramps(20_000, 100) == 64
    assert RECIPE.ramps(20_000, 2_000) == 4
    assert RECIPE.ramps(20_000, 20_000) == 1


def test_tables_of_arrow_and_frames_that_are_not_there_yet() -> None:
    pa = pytest.importorskip("pyarrow")
    columns = read_table(pa.table({"a": [1, 2], "b": ["x", None]}))
    assert {name: values.tolist() for name, values in columns.items()} == {
        "a": [1, 2],
        "b": ["x", None],
    }
    coded = pa.array(["x", None, "y", "x"]).dictionary_encode()
    batch = pa.record_batch({"c": coded, "n": pa.array([1, None, 3, 4])})
    for source in (pa.table(batch), batch, dict(zip("cn", batch.columns, strict=True))):
        columns = read_table(source)
        assert columns["c"].tolist() == ["x", None, "y", "x"]
        np.testing.assert_array_equal(columns["n"], [1, np.nan, 3, 4])
    assert read_table({"c": pa.nulls(2, coded.type)})["c"].tolist() == [None, None]
    lazy = type("LazyFrame", (), {})()
    with pytest.raises(TypeError, match=r"call collect\(\) on the LazyFrame"):
        read_table(lazy)


def test_validation_data_without_rows_are_named() -> None:
    x = {"x": np.arange(20) % 7 / 2}
    model = TabularModel(seed=0, recipe=QUICK)
    with pytest.raises(ValueError, match="validation_data must have rows, it has none"):
        model.fit(x, x["x"], validation_data=({"x": []}, []))
    with pytest.raises(ValueError, match="validation_data must have rows with a 'y', all 1 have"):
        model.fit(x, x["x"], validation_data=({"x": [1.0]}, [np.nan]))


def test_a_target_whose_spread_underflows_is_named() -> None:
    x = np.arange(20) % 7 / 2
    with pytest.raises(ValueError, match=r"target 'y' must have a standard deviation .* too small"):
        fitted({"x": x, "y": x * 1e-300}, "y")


def test_own_validation_data_choose_the_epoch() -> None:
    rows, held = table(), table(100, seed=3)
    model = TabularModel(seed=0, recipe=QUICK).fit(rows, target="price", validation_data=held)
    assert model.validation_scores["model"] == model.evaluate(held)
    y, x = held.pop("price"), held
    again = TabularModel(seed=0, recipe=QUICK)
    again.fit(rows, target="price", validation_data=(x, y))
    assert again.network.parameters.tobytes() == model.network.parameters.tobytes()


def test_the_recipe_is_data_that_is_followed(of_prices: TabularModel) -> None:
    assert [layer.n_units for layer in of_prices.network.layers[::2]] == [32, 1]
    assert of_prices.recipe == QUICK
    assert Recipe() == RECIPE
    assert RECIPE.epochs(10**9) == RECIPE.least_epochs
    assert RECIPE.epochs(10) == RECIPE.most_epochs
    assert RECIPE.ramps(10**9, 10**3) == 1


def test_rare_large_values_get_ramps_of_their_own() -> None:
    x = np.concatenate([np.repeat(np.arange(100.0), 20), np.linspace(1000, 2000, 100)])
    model = TabularModel(seed=0, recipe=replace(QUICK, bins=40, rows_per_bin=8))
    model.fit({"x": x, "y": np.cos(x)}, target="y")
    edges = np.array(model.encoding.encoders["x"].edges)  # type: ignore[union-attr]
    assert (edges > 1000).sum() >= 8  # 5 % of the values, half of the distinct ones
    assert (edges < 100).sum() >= 20
    assert len(edges) <= 41


def test_a_number_enters_scaled_in_ramps_and_marked() -> None:
    encoder = Numbers(
        center=2.0, scale=4.0, edges=(0.0, 1.0, 3.0, 10.0), height=0.5, is_marked=True
    )
    x = np.array([-5.0, 0.0, 0.25, 1.0, 2.0, 10.0, 99.0, np.nan])
    out = np.full((len(x), encoder.width), 7, np.float32)
    encoder.encode(x, out)
    scaled = (np.nan_to_num(x, nan=2.0) - 2.0) / 4.0
    np.testing.assert_allclose(out[:, 0], scaled / np.sqrt(1 + (scaled / 3) ** 2), rtol=1e-6)
    for i, (low, high) in enumerate([(0, 1), (1, 3), (3, 10)]):
        ramp = 0.5 * (np.clip((x - low) / (high - low), 0, 1) - 0.5)
        np.testing.assert_allclose(out[:, 1 + i], np.nan_to_num(ramp), atol=1e-7)
    assert out[:, 4].tolist() == [0] * 7 + [1]


def test_numbers_far_from_all_others_enter_at_the_ends() -> None:
    encoder = Numbers(0.0, 1e-3, (0.0, 1.0, 2.0), 0.5, False)
    out = np.empty((4, encoder.width), np.float32)
    with np.errstate(all="raise"):
        encoder.encode(np.array([1e300, 1.7e308, -1e200, -1.7e308]), out)
    np.testing.assert_allclose(out[:, 0], [3, 3, -3, -3], rtol=1e-6)


def test_a_category_enters_one_hot_and_unknown_ones_as_the_rare() -> None:
    texts = Texts(["b", "r", "new", "a"], np.array([0, 1, 2, 3, -1]))
    out = np.full((5, 4), 7, np.float32)
    Categories(levels=("a", "b"), rare=("r", "s"), is_marked=True).encode(texts, out)
    assert out.tolist() == [[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]]
    without = np.full((5, 2), 7, np.float32)
    Categories(levels=("a", "b"), rare=(), is_marked=False).encode(texts, without)
    assert without.tolist() == [[0, 1], [0, 0], [0, 0], [1, 0], [0, 0]]


def test_inputs_that_are_worth_nothing_are_found_and_scaled_down() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1000, 12))
    y = np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] + 0.3 * rng.standard_normal(len(x))
    rows, held = {"x": x[:500], "y": y[:500]}, {"x": x[500:], "y": y[500:]}
    models = [
        TabularModel(seed=0, recipe=replace(QUICK, samples=80_000, weighting_rows=n)).fit(
            rows["x"], rows["y"]
        )
        for n in (0, 500)
    ]
    errors = [model.evaluate(held["x"], held["y"])["rmse"] for model in models]
    assert errors[1] < 0.9 * errors[0]
    sizes = [np.abs(model.network.weights[0]).mean(axis=1) for model in models]
    places = list(models[0].encoding.places.values())
    of_useless = slice(places[3].start, None)
    assert (sizes[0][of_useless] > 0).all()
    assert (sizes[1][of_useless] == 0).mean() > 0.5
    assert (sizes[1][: places[3].start : places[0].stop] > 0).all()


def test_what_is_worth_something_is_told_by_shuffling() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((500, 4)).astype(np.float32)
    net = Network.from_sizes([4, 1], seed=0)
    net.weights[0][:, 0] = [1, 0.5, 0, 0.2]
    y = X @ [1, 0.5, 0, 0]  # the last input does harm
    target = Target.fitted("y", read_cells(y, "y"), "regression")
    groups = [slice(i, i + 1) for i in range(4)]
    factors = input_factors(net, target, X, y, groups, 10_000, None)
    assert factors is not None
    assert factors[0] == 1
    assert 0.4 < factors[1] < 0.6  # the loss grows by 2 w^2
    assert factors[2:].tolist() == [0, 0]
    joined = input_factors(net, target, X, y, [slice(0, 2), slice(2, 4)], 10_000, None)
    assert joined is not None
    assert joined.tolist() == [1, 1, 0, 0]
    assert input_factors(net, target, X, y, groups, 800, None) is not None
    assert input_factors(net, target, X, y, groups, 799, None) is None  # 99 rows of 500
    assert input_factors(net, target, X[:7], y[:7], groups, 800, None) is None
    assert input_factors(net, target, X, 0 * y, groups, 10_000, None) is None  # it does harm alone


def test_scales_of_inputs_are_not_warned_about(recwarn: pytest.WarningsRecorder) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 3))
    y = x[:, 0] + 0.2 * (x[:, 1] > 0) + 0.01 * rng.standard_normal(len(x))
    recipe = replace(QUICK, ramp_height=1e-4)
    model = TabularModel(seed=0, recipe=recipe).fit(x, y)
    assert model.network.n_features == model.encoding.width
    assert len(recwarn) == 0


def test_a_network_of_some_inputs_becomes_one_of_all() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20, 5)).astype(np.float32)
    kept, factors = np.array([1, 4]), np.array([1, 0.25], np.float32)
    net = Network.from_sizes([2, 7, 3], seed=0)
    for bias in net.biases:
        bias[:] = rng.standard_normal(bias.shape)
    whole = training._with_all_inputs(net, 5, kept, factors)
    np.testing.assert_allclose(
        whole.predict_proba(X), net.predict_proba(X[:, kept] * factors), rtol=1e-5, atol=1e-6
    )


def test_members_that_nobody_waits_for_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def train(*arguments: Any) -> Network:
        seed, stop = arguments[4], arguments[-1]
        both_run.wait(20)
        if seed == 0:
            raise KeyboardInterrupt
        assert stop.wait(20)
        with pytest.raises(StopTraining):
            training._Stop(stop).on_epoch_end(Network.from_sizes([1, 1]), 1, {})
        ended.append(seed)
        return Network.from_sizes([1, 1])

    both_run = threading.Barrier(2)
    ended: list[int] = []
    monkeypatch.setattr(training, "_train", train)
    with pytest.raises(KeyboardInterrupt):
        TabularModel(2, seed=0, threads=2).fit(table(), target="price")
    assert ended == [1]


# ---- kinds of tables -----------------------------------------------------------------------------


def frames(rows: dict[str, Any], folder: Path) -> Iterator[Any]:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(rows)
    yield frame
    yield frame.astype({"town": "category", "garden": "boolean", "size": "Float64"})
    frame.to_csv(folder / "rows.csv", index=False)
    yield folder / "rows.csv"
    yield str(folder / "rows.csv")


def test_frames_and_files_are_like_dicts(of_prices: TabularModel, tmp_path: Path) -> None:
    rows = table(50, seed=1)
    expected = of_prices.predict(rows)
    for source in frames(rows, tmp_path):
        np.testing.assert_allclose(of_prices.predict(source), expected, rtol=1e-6)


def test_frames_of_polars_are_like_dicts(of_prices: TabularModel) -> None:
    polars = pytest.importorskip("polars")
    rows = table(50, seed=1)
    frame = polars.DataFrame({**rows, "town": rows["town"].tolist()})
    frame = frame.with_columns(polars.col("town").cast(polars.Categorical))
    np.testing.assert_allclose(of_prices.predict(frame), of_prices.predict(rows), rtol=1e-6)


def test_parquet_files_are_like_dicts(of_prices: TabularModel, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    pandas = pytest.importorskip("pandas")
    rows = table(50, seed=1)
    pandas.DataFrame(rows).to_parquet(tmp_path / "rows.parquet")
    found = of_prices.predict(tmp_path / "rows.parquet")
    np.testing.assert_allclose(found, of_prices.predict(rows), rtol=1e-6)


def test_npz_files_have_a_column_an_array(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((100, 2)), rng.standard_normal(100)
    np.savez(tmp_path / "rows.npz", X=X, y=y)
    model = TabularModel(seed=0, recipe=QUICK).fit(tmp_path / "rows.npz", target="y")
    assert [column.name for column in model.columns] == ["X0", "X1"]


@pytest.mark.parametrize(
    "text",
    [
        '\ufeffa;b;y\n1,5;x, y;2,5\n3;"z;z";4\n',
        "a\tb\ty\n1.5\tx, y\t2.5\n3\tz;z\t4\n",
        'a,b,y\n1.5,"x, y",2.5\n3,z;z,4\n',
    ],
    ids=["semicolons", "tabs", "commas"],
)
def test_csv_files_of_every_make_are_read(text: str, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "rows.csv").write_text(text, encoding="utf-8")
    columns = read_table(tmp_path / "rows.csv")
    assert {name: column.tolist() for name, column in columns.items()} == {
        "a": [1.5, 3.0],
        "b": ["x, y", "z;z"],
        "y": [2.5, 4.0],
    }


def test_a_csv_file_in_another_encoding_is_read(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "rows.csv").write_text("a,y\nKöln,1\nUlm,2\n", encoding="latin-1")
    with pytest.warns(UserWarning, match="rows.csv is not UTF-8 and was read as Windows-1252"):
        assert read_table(tmp_path / "rows.csv")["a"].tolist() == ["Köln", "Ulm"]


def test_a_series_names_the_target() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(table())
    model = TabularModel(seed=0, recipe=QUICK)
    model.fit(frame.drop(columns="price"), frame["price"])
    assert model.target.name == "price"
    assert model.evaluate(frame)["r2"] > 0.9


def test_columns_in_any_order_and_more_of_them(of_prices: TabularModel) -> None:
    rows = table(50, seed=1)
    turned = {"more": np.zeros(50), **dict(reversed(rows.items()))}
    np.testing.assert_array_equal(of_prices.predict(turned), of_prices.predict(rows))


# ---- hard cases ----------------------------------------------------------------------------------


def test_missing_values_are_filled_and_marked() -> None:
    rng = np.random.default_rng(0)
    rows = {f"c{i}": rng.standard_normal(400) for i in range(3)}
    absent = rng.random(400) < 0.4
    y = 3.0 * absent + rows["c1"]
    rows["c0"][absent] = np.nan
    names = np.array(["a", "b", None], object)[rng.integers(0, 3, 400)]
    model = fitted({**rows, "name": names, "y": y})
    assert model.evaluate({**rows, "name": names, "y": y})["r2"] > 0.9
    assert "marked" in model.columns[0].note
    nothing = {"c0": [np.nan], "c1": [None], "c2": [float("nan")], "name": [None]}
    assert np.isfinite(model.predict(nothing)).all()


def test_a_thousand_categories() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 1000, 6000)
    effect = rng.standard_normal(1000)
    rows = {"shop": np.array([f"s{c}" for c in codes]), "y": effect[codes]}
    model = fitted(rows)
    assert kinds(model) == {"shop": "category"}
    assert model.evaluate(rows)["r2"] > 0.5
    encoder = model.encoding.encoders["shop"]
    assert encoder.width <= 1001


def test_unknown_categories_are_named(of_prices: TabularModel) -> None:
    rows = table(50, seed=1)
    rows["town"][:3] = "Oslo"
    with pytest.warns(TableWarning, match=r"'town' has 3 rows of 1 unknown categories \('Oslo'\)"):
        assert np.isfinite(of_prices.predict(rows)).all()


def test_missing_columns_are_named(of_prices: TabularModel) -> None:
    rows = table(50)
    del rows["town"], rows["size"]
    with pytest.raises(ValueError, match="it lacks 'size', 'town'"):
        of_prices.predict(rows)


@pytest.mark.parametrize(
    ("dates", "order"),
    [
        ([(date(2021, 1, 1) + timedelta(days=i)).isoformat() for i in range(60)], "ymd"),
        ([f"{1 + i % 28}.{1 + i % 12}.2021" for i in range(60)], "dmy"),
        ([f"{1 + i % 12}/{1 + i % 28}/2021" for i in range(60)], "mdy"),
        ([f"{1 + i % 28}/{1 + i % 12}/2021 13:45" for i in range(60)], "dmy"),
    ],
)
def test_dates_as_text(dates: list[str], order: str) -> None:
    model = fitted(with_column(d=dates))
    column = model.columns[1]
    assert (column.kind, column.date_order) == ("date", order)


def test_a_signalling_nan_is_missing() -> None:
    cells = read_cells(np.array([Decimal("sNaN"), Decimal(1)], object), "c")
    np.testing.assert_array_equal(cells.numbers, [np.nan, 1])


@pytest.mark.parametrize("unit", ["ms", "25us", "ns", "as"])
def test_durations_below_a_second_keep_their_differences(unit: str) -> None:
    values = np.array([0, -250, 1500, "NaT"], f"m8[{unit}]")
    _, count = np.datetime_data(values.dtype)
    a_day = 86400 * {"ms": 1e3, "us": 1e6, "ns": 1e9, "as": 1e18}[unit[-2:]] / count
    numbers = read_cells(values, "d").numbers
    assert numbers is not None
    np.testing.assert_allclose(numbers * a_day, [0, -250, 1500, np.nan], rtol=1e-15)


def test_the_first_date_of_python_in_a_zone_ahead() -> None:
    ahead = timezone(timedelta(hours=5))
    first = datetime.min.replace(tzinfo=ahead)
    cells = read_cells(np.array([first, datetime(1970, 1, 2, 5, tzinfo=ahead)], object), "d")
    assert cells.numbers is not None
    np.testing.assert_allclose(cells.numbers, [-719162 - 5 / 24, 1])


def test_dates_of_python_with_time_zones() -> None:
    days = [datetime(2024, 1, 1, 23, tzinfo=UTC) + timedelta(hours=7 * i) for i in range(60)]
    model = fitted(with_column(d=days))
    assert kinds(model)["d"] == "date"
    text = [each.isoformat() for each in days]
    rows = {"x": np.zeros(60)}
    expected = model.predict({**rows, "d": days})
    np.testing.assert_array_equal(model.predict({**rows, "d": text}), expected)


@pytest.mark.parametrize(
    ("values", "kind", "used"),
    [
        ([f"this is sentence {i} of many" for i in range(60)], "text", False),
        ([f"u{i:05}" for i in range(60)], "identifier", False),
        (np.arange(60) + 1000, "identifier", False),
        ([7] * 60, "constant", False),
        (["same"] * 60, "constant", False),
        ([None] * 60, "empty", False),
        ([float("nan")] * 60, "empty", False),
        ([True, False] * 30, "yes/no", True),
        ([0, 1, 0] * 20, "yes/no", True),
        (["yes", "no", None] * 20, "yes/no", True),
        ([1, 2, 3] * 20, "number", True),
        (["1", "2", "3"] * 20, "category", True),
        ([f"{i % 30:05}" for i in range(60)], "category", True),
        ([f"{i / 7:.3f}".replace(".", ",") for i in range(60)], "number", True),
        ([*(f"{i / 7:.3f}" for i in range(58)), "n/a", "?"], "number", True),
        ([1, "a", 2.5, None] * 15, "category", True),
        (np.array(["a", "b", "c"] * 20), "category", True),
        (np.array([b"a", b"b", b"c"] * 20), "category", True),
        ([2**70, 2**70 + 1, 3] * 20, "number", True),
        (np.full(60, 2**63, np.uint64) + np.arange(60, dtype=np.uint64) ** 3, "number", True),
        ([timedelta(hours=i**2) for i in range(60)], "number", True),
    ],
)
def test_what_a_column_is(values: Any, kind: str, used: bool) -> None:
    if isinstance(values, list) and isinstance(values[0], timedelta):
        values = np.array(values, "timedelta64[s]")
    model = fitted(with_column(c=values))
    column = {each.name: each for each in model.columns}["c"]
    assert (column.kind, column.used) == (kind, used)
    assert column.used or column.note.startswith("left out: ")
    assert np.isfinite(model.predict(with_column(c=values))).all()


def test_a_column_that_repeats_the_target_is_warned_about() -> None:
    y = np.random.default_rng(0).standard_normal(60)
    with pytest.warns(TableWarning, match="'c' repeats the target 'y'"):
        fitted(with_column(c=2 * y + 1) | {"y": y})
    town = table()["town"]
    with pytest.warns(TableWarning, match="'code' repeats the target 'town'"):
        fitted({**table(), "code": [len(t) * 7 + ord(t[0]) for t in town]}, "town")


def test_rows_without_a_target_are_left_out_and_counted() -> None:
    rows = table()
    rows["price"][:7] = np.nan
    with pytest.warns(TableWarning, match="7 of 300 rows have no 'price'"):
        model = fitted(rows, "price")
    with pytest.warns(TableWarning, match="7 of 300 rows have no 'price'"):
        assert model.evaluate(rows)["r2"] > 0.8


HUGE = [10**400] * 60


@pytest.mark.parametrize(
    ("columns", "target", "message"),
    [
        ({}, "y", "must have columns"),
        ({"x": [], "y": []}, "y", "at least 10 rows with a target, got 0"),
        ({"x": [1, 2], "y": [1, 2]}, "y", "at least 10 rows with a target, got 2"),
        (
            with_column(),
            "z",
            "must be a column of the table, it has no column 'z': it has 'x', 'y'",
        ),
        (with_column(y=["a"] * 60), "y", "at least two different values, it is always 'a'"),
        (with_column(y=[None] * 60), "y", "at least 10 rows with a target, got 0 of 60"),
        (with_column(x=[np.inf] * 60), "y", "'x' must be finite or missing, got inf in row 0"),
        (with_column(y=[1.5, np.inf] * 30), "y", "'y' must be finite or missing, got inf in row 1"),
        (with_column(c=HUGE), "y", "'c' has an integer that is too large"),
        (
            with_column(y=[2**53, 2**53 + 2] * 30),
            "y",
            "must be below 2\\*\\*53, got 9007199254740994",
        ),
        (with_column(y=[2.0**70, 1.0] * 30), "y", "target 'y' has whole numbers .* make texts"),
        (with_column(c=[[1]] * 60), "y", "'c' must be numbers, dates or texts, got list"),
        (with_column(c=np.zeros((60, 2))), "y", "columns of one dimension, 'c' is of shape"),
        (with_column(c=[{}] * 60), "y", "'c' must be numbers, dates or texts, got dict"),
        (with_column(c=[1j] * 60), "y", "'c' must be numbers, dates or texts"),
        (with_column(c=[1]), "y", "columns of one length"),
        (with_column(y=[f"t{i}" for i in range(60)]), "y", "60 classes in 60 rows"),
        ({"c": [1] * 60, "y": range(60)}, "y", "a column to predict from, got 'c' is constant"),
        ({1: [1] * 60, "1": [2] * 60}, "1", "different names, got '1' twice"),
    ],
)
def test_what_cannot_be_used_is_one_clear_error(
    columns: dict[str, Any], target: str, message: str
) -> None:
    model = TabularModel(seed=0, recipe=QUICK)
    with pytest.raises(ValueError, match=message):
        model.fit(columns, target=target)
    with pytest.raises(ValueError, match="not fitted yet"):
        model.predict(columns)


def test_names_that_occur_twice_are_refused() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(np.zeros((20, 2)), columns=["a", "a"])
    with pytest.raises(ValueError, match="different names, got 'a' twice"):
        TabularModel().fit(frame, target="a")


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "twice.csv").write_text("a,a\n1,2\n")
    with pytest.raises(ValueError, match=r"empty.csv is empty"):
        TabularModel().fit(tmp_path / "empty.csv", target="a")
    with pytest.raises(ValueError, match="different names, got 'a' twice"):
        TabularModel().fit(tmp_path / "twice.csv", target="a")
    (tmp_path / "table.xlsx").write_bytes(b"\x89PNG\0")
    with pytest.raises(ValueError, match=r"table.xlsx is no table"):
        TabularModel().fit(tmp_path / "table.xlsx", target="a")
    with pytest.raises(FileNotFoundError):
        TabularModel().fit(tmp_path / "absent.csv", target="a")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"members": 0}, ValueError, "members must be"),
        ({"seed": -1}, ValueError, "seed must be"),
        ({"threads": 0}, ValueError, "threads must be"),
        ({"task": "clustering"}, ValueError, "task must be"),
        ({"recipe": "best"}, TypeError, "recipe must be a Recipe"),
    ],
)
def test_bad_arguments_are_named(options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        TabularModel(**options)


def test_y_has_a_value_a_row() -> None:
    with pytest.raises(ValueError, match="y must have a value for each of 300 rows, got 2"):
        TabularModel().fit(table(), [1, 2])


def test_numbers_have_no_probabilities(of_prices: TabularModel) -> None:
    for method in (of_prices.predict_proba, of_prices.confusion):
        with pytest.raises(ValueError, match="needs classes, the target 'price' is a number"):
            method(table(20))


def test_a_class_that_is_not_known_cannot_be_measured(of_towns: TabularModel) -> None:
    rows = table(20)
    rows["town"][4] = "Oslo"
    with pytest.raises(ValueError, match="one of Bonn, Jena, Ulm, got 'Oslo' in row 4"):
        of_towns.evaluate(rows)


# ---- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["of_prices", "of_towns"])
def test_a_file_carries_everything(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    model = request.getfixturevalue(name)
    model.save(tmp_path / "model.fastnn")
    again = TabularModel.load(tmp_path / "model.fastnn")
    rows = table(50, seed=1)
    np.testing.assert_array_equal(again.predict(rows), model.predict(rows))
    assert again.columns == model.columns
    assert again.target == model.target
    assert again.recipe == model.recipe
    assert again.encoding == model.encoding
    assert again.validation_scores == model.validation_scores
    assert (again.seed, again.members) == (model.seed, model.members)
    assert again.compare(rows) == model.compare(rows)
    again.save(tmp_path / "again.fastnn")
    first, second = ((tmp_path / f"{n}.fastnn").read_bytes() for n in ("model", "again"))
    assert first == second


def test_other_files_are_refused(of_prices: TabularModel, tmp_path: Path) -> None:
    Network.from_sizes([2, 1], seed=0).save(tmp_path / "net.fastnn")
    with pytest.raises(ValueError, match=r"it is a network, which Network\.load reads"):
        TabularModel.load(tmp_path / "net.fastnn")
    of_prices.save(tmp_path / "model.fastnn")
    with pytest.raises(ValueError, match=r"TabularModel\.load reads this file"):
        Network.load(tmp_path / "model.fastnn")
    content = bytearray((tmp_path / "model.fastnn").read_bytes())
    content[-1] ^= 1
    (tmp_path / "model.fastnn").write_bytes(content)
    with pytest.raises(ValueError, match="checksum"):
        TabularModel.load(tmp_path / "model.fastnn")


def test_a_file_whose_parts_do_not_fit_is_refused(of_prices: TabularModel, tmp_path: Path) -> None:
    from fastnn import _files

    of_prices.save(tmp_path / "model.fastnn")
    description, tensors = _files.read_model(tmp_path / "model.fastnn")
    text = tensors["table"].tobytes().decode()
    changes = [
        ({**description, "kind": "Network"}, text),
        ({**description, "members": 2}, text),
        (description, text.replace('"is_marked": false', '"is_marked": true', 1)),
        (description, text.replace('"scale"', '"scales"', 1)),
        (description, text.replace('"used": true', '"used": false', 1)),
        (description, text.replace('"kind": "categories"', '"kind": "numbers"', 1)),
        (description, "[" * 100_000),
        (description, text.replace('"date_order": ""', '"date_order": "myd"', 1)),
        (description, re.sub(r'"note": "[^"]*"', '"note": null', text, count=1)),
        (description, re.sub(r'"used": true', '"used": "yes"', text, count=1)),
        (description, re.sub(r'"center": [^,]*', '"center": NaN', text, count=1)),
        (description, re.sub(r'"center": [^,]*', f'"center": {10**400}', text, count=1)),
        (description, re.sub(r'"r2": [^,]*', '"r2": "good"', text, count=1)),
        (description, re.sub(r'"r2": [^,]*', '"r3": 0.5', text, count=1)),
        (description, re.sub(r'"validation_scores": .*', '"validation_scores": 3}', text)),
        (description, re.sub(r'"validation_scores": .*', '"validation_scores": {}}', text)),
    ]
    assert all(change != (description, text) for change in changes)
    for changed, table_text in changes:
        data = np.frombuffer(table_text.encode(), np.uint8)
        _files.write_model(tmp_path / "other.fastnn", changed, {**tensors, "table": data})
        with pytest.raises(ValueError, match="not a model for tables"):
            TabularModel.load(tmp_path / "other.fastnn")


# ---- how it was trained --------------------------------------------------------------------------


def test_each_member_is_the_network_of_its_best_epoch(of_towns: TabularModel) -> None:
    model = fitted({"x": np.linspace(-1, 1, 200), "y": ["a", "b"] * 100})
    (history,) = model.histories
    best = history["val_loss"][history.best_epochs["val_loss"] - 1]
    assert model.validation_scores["model"]["log_loss"] == pytest.approx(best, rel=1e-5)
    assert min(history["val_loss"]) < history["val_loss"][-1]  # the last one is not the best
    assert len(of_towns.histories) == 2


def test_histories_are_copies_and_not_in_files(of_prices: TabularModel, tmp_path: Path) -> None:
    of_prices.histories[0].clear()
    assert of_prices.histories[0].n_epochs > 0
    of_prices.save(tmp_path / "m.fastnn")
    assert TabularModel.load(tmp_path / "m.fastnn").histories == ()


# ---- notebooks -----------------------------------------------------------------------------------


def cells_of(html: str) -> list[list[list[tuple[str, bool]]]]:
    """The tables: of each row its cells, and whether they are bold; what is not XML fails."""
    root = ElementTree.fromstring(f"<div>{html}</div>")
    return [
        [
            [("".join(cell.itertext()), cell.find("b") is not None) for cell in row]
            for row in table.iter("tr")
        ]
        for table in root.iter("table")
    ]


def test_a_notebook_shows_columns_and_scores(of_towns: TabularModel) -> None:
    html = of_towns._repr_html_()
    assert html is not None
    columns, scores = cells_of(html)
    assert [[text for text, _ in row] for row in columns[1:]] == [
        [column.name, column.kind, column.note] for column in of_towns.columns
    ]
    assert [row[0][0] for row in scores[1:]] == [
        "this model", "logistic regression", "the most frequent class",
    ]  # fmt: skip
    compared = of_towns.validation_scores
    for j, (name, _) in enumerate(scores[0][1:], start=1):
        values = [compared[key][name] for key in ("model", "linear", "baseline")]
        assert [row[j][0] for row in scores[1:]] == [f"{value:.4f}" for value in values]
        best = min(values) if name == "log_loss" else max(values)
        assert [row[j][1] for row in scores[1:]] == [value == best for value in values]
    assert "classification of &#x27;town&#x27; from 4 of 4 columns, 2 networks, seed 0" in html


def test_a_notebook_shows_how_many_columns_of_each_kind_there_are(
    of_prices: TabularModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastnn.tabular.summary._MOST_COLUMNS", 3)
    html = of_prices._repr_html_()
    assert html is not None
    rows = [[text for text, _ in row] for row in cells_of(html)[0][1:]]
    assert ["number", "used", "1"] in rows
    assert sum(int(count) for _, _, count in rows) == 4


def test_a_model_that_is_not_fitted_shows_its_repr() -> None:
    assert TabularModel(seed=3)._repr_html_() is None
    assert "not fitted yet" in repr(TabularModel(seed=3))


def test_names_are_text_in_a_notebook() -> None:
    html = fitted(with_column(**{"<script>": np.arange(60.0) ** 2}))._repr_html_()
    assert html is not None
    assert "<script>" not in html
    assert "&lt;script&gt;" in html

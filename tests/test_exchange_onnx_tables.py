"""`fastnn.exchange.to_onnx` of models for tables, run by onnxruntime."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tables import classes, model_of, odd_rows, prices, table
from test_exchange_onnx import run

from fastnn.exchange import from_onnx, to_onnx
from fastnn.tabular import TabularModel
from fastnn.timing import difference

onnx = pytest.importorskip("onnx")
pytestmark = pytest.mark.filterwarnings("ignore::fastnn.tabular.TableWarning")

TABLE = table(400)


def expected(model: TabularModel, frame: Any) -> Any:
    is_number = model.target.task == "regression"
    return model.predict(frame)[:, np.newaxis] if is_number else model.predict_proba(frame)


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("target", [prices, classes])
def test_onnxruntime_computes_the_same(target: Any, members: int, tmp_path: Path) -> None:
    model = model_of(TABLE, target(TABLE), members)
    made = to_onnx(model, tmp_path / "model.onnx")
    onnx.checker.check_model(made, full_check=True)
    assert (tmp_path / "model.onnx").read_bytes() == made.SerializeToString(deterministic=True)
    for frame in (table(300, seed=1), odd_rows(table(40, seed=2))):
        y = run(made, model.numbers(frame).astype(np.float32))
        assert difference(y, expected(model, frame)) <= 1e-6


@pytest.mark.parametrize(
    "names",
    [["flag"], ["town"], ["many"], ["born"], ["sold"], ["spikes"], ["predict", "town"]],
)
def test_tables_of_one_kind_of_column(names: list[str]) -> None:
    few = {name: TABLE[name] for name in names}
    model = model_of(few, classes(TABLE))
    frame = odd_rows(table(40, seed=2))
    y = run(to_onnx(model), model.numbers(frame).astype(np.float32))
    assert difference(y, model.predict_proba(frame)) <= 1e-6


def test_codes_and_infinities() -> None:
    model = model_of(TABLE, classes(TABLE))
    made = to_onnx(model)
    names = list(model.encoding.encoders)
    row = model.numbers(table(1, seed=3)).astype(np.float32)

    def outputs(name: str, *values: float) -> Any:
        rows = np.repeat(row, len(values), axis=0)
        rows[:, names.index(name)] = values
        # One by one: in onnxruntime the last bit depends on the place in a batch
        return np.concatenate([run(made, each) for each in np.split(rows, len(rows))])

    unknown = outputs("many", 999.0, 1e30, np.inf, -np.inf, -2, 0.5)
    np.testing.assert_array_equal(unknown, unknown[[0] * 6])
    assert (unknown[0] != outputs("many", 0)[0]).any()
    missing = outputs("town", -1, np.nan)
    np.testing.assert_array_equal(missing[0], missing[1])
    largest = outputs("spikes", np.inf, 3e38)
    np.testing.assert_array_equal(largest[0], largest[1])
    for name in names:
        assert np.isfinite(outputs(name, np.inf, -np.inf, np.nan, 3e38, -3e38)).all()


def test_metadata_say_what_a_row_is() -> None:
    model = model_of(TABLE, classes(TABLE))
    said = {entry.key: json.loads(entry.value) for entry in to_onnx(model).metadata_props}
    assert [column["name"] for column in said["columns"]] == list(model.encoding.encoders)
    assert [column["kind"] for column in said["columns"]] == [
        "number", "category", "category", "date", "date", "yes/no", "yes/no", "number", "number",
    ]  # fmt: skip
    rare = model.encoding.encoders["many"].rare
    rows = {name: values[:50].copy() for name, values in TABLE.items()}
    rows["many"][:1] = rare[0]
    for i, name in ((1, "town"), (2, "many")):
        levels = said["columns"][i]["levels"]
        for value, code in zip(rows[name], model.numbers(rows)[:, i], strict=True):
            assert np.isnan(code) if value is None else levels[int(code)] == value
    assert said["target"] == {
        "name": "y",
        "task": "classification",
        "classes": ['a "high" one', "low", "middle, or so"],
    }


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the model is not fitted yet"):
        to_onnx(TabularModel(), tmp_path / "x")
    small = {"a": np.arange(40) % 7 * 1e-300}
    with pytest.raises(ValueError, match="the column 'a' must have numbers that float32 can hold"):
        to_onnx(model_of(small, np.arange(40) % 3), tmp_path / "x")
    model = model_of({"a": np.arange(40.0) % 7}, np.arange(40) % 3)
    with pytest.raises(ValueError, match="fastnn has no such operator"):
        from_onnx(to_onnx(model))
    model.network.weights[0][0, 0] = np.inf
    with pytest.raises(ValueError, match=r"layers\[0\].*weights must be finite"):
        to_onnx(model, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("module", "name"), [("torch", "to_torch"), ("keras", "to_keras")])
def test_formats_of_networks_alone_say_what_to_do(
    module: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    pytest.importorskip(module)
    from fastnn import exchange

    model = model_of({"a": np.arange(40.0) % 7}, np.arange(40) % 3)
    with pytest.raises(TypeError, match=r"got a TabularModel: give one of its networks") as caught:
        getattr(exchange, name)(model)
    assert "\n" not in str(caught.value)

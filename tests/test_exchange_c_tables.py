"""`fastnn.exchange.to_c` of models for tables: the file does what the model does with a row."""

import ctypes
import io
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from doc_snippets import DOCS, snippets_of
from tables import classes, model_of, odd_rows, prices, table
from test_exchange_c import compile_library, compile_program, compilers, cortex_m4, needs_gcc

from fastnn.datasets import table_path
from fastnn.exchange import to_c
from fastnn.tabular import TabularModel
from fastnn.timing import difference

pytestmark = pytest.mark.filterwarnings("ignore::fastnn.tabular.TableWarning")

TABLE = table(400)


@pytest.fixture(scope="module")
def models() -> dict[str, TabularModel]:
    return {
        "prices": model_of(TABLE, prices(TABLE)),
        "prices_3": model_of(TABLE, prices(TABLE), 3),
        "classes": model_of(TABLE, classes(TABLE)),
        "classes_2": model_of(TABLE, classes(TABLE), 2),
        "linear": model_of(TABLE, classes(TABLE), hidden=()),
    }


def expected(model: TabularModel, frame: Any) -> Any:
    """A row of outputs for each row."""
    is_number = model.target.task == "regression"
    return model.predict(frame)[:, np.newaxis] if is_number else model.predict_proba(frame)


def predicted(library: ctypes.CDLL, name: str, model: TabularModel, rows: Any) -> Any:
    function = getattr(library, f"{name}_predict")
    function.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
    rows = np.ascontiguousarray(rows, np.float32)
    Y = np.full((len(rows), model.target.n_outputs), np.nan, np.float32)
    for x, y in zip(rows, Y, strict=True):
        function(x.ctypes.data, y.ctypes.data)
    return Y


def compiled(models: dict[str, TabularModel], compiler: str, folder: Path, **options: Any) -> Any:
    for name, model in models.items():
        to_c(model, folder / f"{name}.c", **options)
    source = folder / "models.c"
    source.write_text("".join(f'#define {n}_NAMES\n#include "{n}.c"\n' for n in models))
    return compile_library(source, compiler)


@compilers
def test_rows_of_every_kind_agree(
    models: dict[str, TabularModel], compiler: str, tmp_path: Path
) -> None:
    library = compiled(models, compiler, tmp_path)
    seen, odd = table(300, seed=1), odd_rows(table(40, seed=2))
    for name, model in models.items():
        for frame in (seen, odd):
            Y = predicted(library, name, model, model.numbers(frame))
            assert difference(Y, expected(model, frame)) <= 1e-6, name


@needs_gcc
def test_codes_and_infinities(models: dict[str, TabularModel], tmp_path: Path) -> None:
    model = models["classes"]
    library = compiled({"classes": model}, "gcc", tmp_path)
    names = list(model.encoding.encoders)

    def outputs(**values: float) -> Any:
        row = model.numbers({k: v[:1] for k, v in table(1, seed=3).items()})
        for name, value in values.items():
            row[0, names.index(name)] = value
        return predicted(library, "classes", model, row)

    n_levels = len(model.encoding.encoders["many"].levels + model.encoding.encoders["many"].rare)
    unknown = outputs(many=n_levels)
    for code in (n_levels + 7, 1e30, np.inf, -np.inf, -2, 0.5):
        np.testing.assert_array_equal(outputs(many=code), unknown)
    np.testing.assert_array_equal(outputs(town=-1), outputs(town=np.nan))
    assert (outputs(town=0) != outputs(town=1)).any()
    np.testing.assert_array_equal(outputs(spikes=np.inf), outputs(spikes=3e38))
    np.testing.assert_array_equal(outputs(spikes=-np.inf), outputs(spikes=-3e38))
    for name in names:
        for value in (np.inf, -np.inf, np.nan, 3e38, -3e38):
            assert np.isfinite(outputs(**{name: value})).all()


@compilers
def test_int8_is_off_by_what_is_stated(
    models: dict[str, TabularModel], compiler: str, tmp_path: Path
) -> None:
    models = {name: models[name] for name in ("prices_3", "classes", "linear")}
    library = compiled(models, compiler, tmp_path, dtype="int8")
    rows = table(200, seed=1)
    for name, model in models.items():
        stated = to_c(model, tmp_path / "again.c", dtype="int8", X=rows)
        made_up = to_c(model, tmp_path / "again.c", dtype="int8")
        off = np.abs(predicted(library, name, model, model.numbers(rows)) - expected(model, rows))
        assert stated.largest_difference == pytest.approx(off.max(), rel=1e-2)
        assert stated.mean_difference == pytest.approx(off.mean(), rel=1e-2)
        assert 1 / 3 < made_up.mean_difference / off.mean() < 3  # on other rows
        assert 0 < off.max() < 0.03 * np.abs(expected(model, rows)).max()
        assert stated.flash < 0.75 * to_c(model, tmp_path / "again.c").flash


# ---- the program ---------------------------------------------------------------------------------


def as_csv(frame: dict[str, Any], separator: str = ",") -> str:
    pandas = pytest.importorskip("pandas")
    text: str = pandas.DataFrame(frame).to_csv(index=False, sep=separator)
    return text


@pytest.mark.parametrize("name", ["prices_3", "classes"])
@pytest.mark.parametrize("separator", [",", ";"])
@needs_gcc
def test_the_program_reads_csv_as_the_model_does(
    name: str, separator: str, models: dict[str, TabularModel], tmp_path: Path
) -> None:
    pytest.importorskip("pyarrow")
    pandas = pytest.importorskip("pandas")
    model = models[name]
    source = tmp_path / "model.c"
    to_c(model, source)
    program = compile_program(
        source, "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"
    )
    rows = table(60, seed=4)
    rows["town"][:3] = "a new one"
    shuffled = {key: rows[key] for key in sorted(rows)} | {"other": ["x,\n;y"] * 60}
    text = as_csv(shuffled, separator)
    (tmp_path / "rows.csv").write_text(text)
    done = subprocess.run([program], input="\ufeff" + text, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    printed = pandas.read_csv(io.StringIO(done.stdout))
    target = model.target
    want = expected(model, tmp_path / "rows.csv")
    if target.classes:
        headers = [f"probability of {each}" for each in target.classes]
        assert list(printed.columns) == [target.name, *headers]
        assert list(printed[target.name]) == list(model.predict(tmp_path / "rows.csv"))
        assert difference(printed[headers].to_numpy(), want) <= 1e-6
    else:
        assert list(printed.columns) == [target.name]
        assert difference(printed.to_numpy(), want) <= 1e-6


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> tuple[TabularModel, Path]:
    """A model of a number, a yes or no, a date, and a category, and its program."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    random = np.random.default_rng(0)
    n = 80
    frame = {
        "size": random.integers(0, 64, n) / 4,
        "new": random.random(n) < 0.5,
        "day": [f"{d}.{m}.2021" for d, m in random.integers(1, 13, (n, 2)).tolist()],
        "kind": random.choice(np.array(["x", "y", '"z"'], object), n),
    }
    frame["day"][0] = "31.12.2021"
    model = model_of(frame, frame["size"] + frame["new"])
    assert [column.kind for column in model.columns] == ["number", "yes/no", "date", "category"]
    source = tmp_path_factory.mktemp("words") / "words.c"
    to_c(model, source)
    return model, compile_program(source, "-O1", "-fsanitize=address,undefined")


@pytest.mark.parametrize(
    ("fields", "row"),
    [
        ("1.5|TRUE|24.12.2020|x", (1.5, True, "24.12.2020", "x")),
        (' 1,5 |no|" 1/2/2020 "|"""z"""', (1.5, False, "1.2.2020", '"z"')),
        ("-1e1||29.2.2024|", (-10.0, None, "29.2.2024", None)),
        ("+.5|0|29.2.2023|x", (0.5, False, None, "x")),
        ("NA|1|24.12.2020 18:00|NaN", (None, True, "24.12.2020 18:00", None)),
        ("0x10|maybe|24.12.2020T07:30:00.5Z|X", (None, None, "24.12.2020 07:30", "X")),
        ("12 m|Yes|32.1.2020|" + "y" * 999, (None, True, None, "unknown")),
        ("inf|false|24.12.2020 25:00|y\r", (None, False, None, "y")),
        ("1.5.2|n|12|y", (None, None, None, "y")),
    ],
)  # fmt: skip
def test_words_that_a_field_may_be(
    fields: str, row: tuple[Any, ...], words: tuple[TabularModel, Path]
) -> None:
    model, program = words
    text = f"size|new|day|kind\n\n{fields}\n{fields}"
    done = subprocess.run([program], input=text, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    names = ["size", "new", "day", "kind"]
    frame = {key: np.array([value], object) for key, value in zip(names, row, strict=True)}
    first, second = map(float, done.stdout.splitlines()[1:])
    assert first == second == pytest.approx(model.predict(frame)[0], rel=2e-6)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("size,new,day\n1,1,1\n", "words: the table has no column 'kind'"),
        ("", "words: the table has no column 'size'"),
        ("kind,day,new,size\nx,1.1.2021,1\n", "words: row 1 has 3 fields in the place of 4"),
        ("kind,day,new,size\n\nx,,1,1,\n", "words: row 1 has 5 fields in the place of 4"),
        ("a," * 10_001 + "\n", "words: the table has more than 10000 columns"),
        ("kind,day,new,size,day\n", "words: the table has the column 'day' twice"),
        ('kind,day,new,size\n"x,,1,1\n', "words: the table ends within quotes"),
        ('kind,day,new,"size\n', "words: the table ends within quotes"),
    ],
)
def test_a_table_that_does_not_fit_is_one_line(
    text: str, line: str, words: tuple[TabularModel, Path]
) -> None:
    done = subprocess.run([words[1]], input=text, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, f"{line}\n")


@pytest.mark.parametrize(
    ("field", "number"),
    [
        ("1,234.5", 1234.5),
        ("-12,345,678", -12_345_678.0),
        ("+1,234.", 1234.0),
        ("1,5", 1.5),
        ("1234,567", 1234.567),
        ("0,125", 0.125),
        ("1,234,56", None),
        ("1,234.5,678", None),
    ],
)  # fmt: skip
def test_commas_between_thousands(
    field: str, number: float | None, words: tuple[TabularModel, Path]
) -> None:
    model, program = words
    text = f'size,new,day,kind\n"{field}",1,24.12.2020,x\n'
    done = subprocess.run([program], input=text, capture_output=True, text=True)
    row = {"size": [number], "new": [True], "day": ["24.12.2020"], "kind": ["x"]}
    assert float(done.stdout.splitlines()[1]) == pytest.approx(model.predict(row)[0], rel=2e-6)


@pytest.mark.parametrize(
    ("order", "long", "short"),
    [("{2}-{1}-{0}", "2020-12-24", "20-12-24"), ("{0}.{1}.{2}", "24.12.2020", "24.12.20")],
)
@needs_gcc
def test_a_year_of_two_digits_is_no_date(order: str, long: str, short: str, tmp_path: Path) -> None:
    days = np.arange(80) % 12 + 1
    dates = [order.format(31 if d == 12 else 10 + d, d, 2020) for d in days.tolist()]
    model = model_of({"day": dates}, days * 1.0)
    to_c(model, tmp_path / "m.c")
    program = compile_program(tmp_path / "m.c")
    text = f"day\n{long}\n{short}\n{short} 18:00\n"
    done = subprocess.run([program], input=text, capture_output=True, text=True)
    wanted = model.predict({"day": [long, short, f"{short} 18:00"]})
    assert [float(line) for line in done.stdout.splitlines()[1:]] == pytest.approx(wanted, rel=1e-5)


@needs_gcc
def test_a_missing_value_is_a_row_where_there_is_one_column(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    x = np.where(np.arange(60) % 3 == 0, np.nan, np.arange(60) % 7)
    model = model_of({"x": x}, np.arange(60) % 3)
    to_c(model, tmp_path / "one.c")
    program = compile_program(tmp_path / "one.c")
    text = pandas.DataFrame({"x": x}).to_csv(index=False)
    assert '\n""\n' in text
    done = subprocess.run([program], input=text, capture_output=True, text=True)
    printed = pandas.read_csv(io.StringIO(done.stdout))
    assert list(printed["y"]) == list(model.predict({"x": x}))


# ---- the file ------------------------------------------------------------------------------------


def test_the_head_comment_says_what_a_row_is(
    models: dict[str, TabularModel], tmp_path: Path
) -> None:
    made = to_c(models["classes_2"], tmp_path / "late.c")
    text = (tmp_path / "late.c").read_text()
    head = text.partition("*/")[0]
    said = " ".join(head.replace(" * ", " ").split())
    assert "a model for tables that makes 3 numbers from 9 columns" in said
    assert "the mean of 2 networks" in said
    for line in (
        '0 "gr\\303\\266\\303\\237e m\\302\\262": a number',
        '1 "town": a category, 0 to 3 as in late_levels_town',
        '3 "sold": a date, in days since 1970-01-01',
        '5 "predict": 0 or 1',
        'the probabilities that "y" is "a \\"high\\" one", "low", "middle, or so".',
        f"{made.flash} bytes of flash (code and constants) and {made.stack} bytes of stack",
        "#define late_N_FEATURES 9",
    ):
        assert line in said
    assert re.search(r"late_COLUMN_gr_e_m = 0,.*late_COLUMN_town_8 = 8\n};", text, re.S)
    levels = re.search(r"late_levels_town\[4\] = \{\n(.*?)\n\};", text, re.S)
    assert levels is not None
    assert sorted(eval("(" + levels[1].replace("\\?", "?") + ")")) == sorted(
        text.encode().decode("latin1")
        for text in models["classes"].encoding.encoders["town"].levels
    )
    assert made.stack < 400
    to_c(models["classes_2"], tmp_path / "again.c", "late")
    assert (tmp_path / "again.c").read_text() == text


@pytest.mark.skipif(
    bool(cortex_m4.missing()), reason=f"not installed: {', '.join(cortex_m4.missing())}"
)
@pytest.mark.parametrize("dtype", [None, "int8"])
def test_a_cortex_m4_predicts_the_same_in_the_stated_memory(
    dtype: str | None, models: dict[str, TabularModel], tmp_path: Path
) -> None:
    for name in ("prices_3", "classes"):
        model = models[name]
        source = tmp_path / f"{name}.c"
        stated = to_c(model, source, dtype=dtype)
        flash, stack = cortex_m4.measured(source)
        assert stated.flash == pytest.approx(flash, rel=0.05)
        assert stated.stack == pytest.approx(stack, rel=0.05)
        X = model.numbers(table(5, seed=5)).astype(np.float32)
        X[0, 0] = np.nan
        here = predicted(compile_library(source, "gcc"), name, model, X)
        assert difference(cortex_m4.predicted(source, X), here) <= 1e-6


# ---- what is refused -----------------------------------------------------------------------------


def test_what_float32_cannot_hold_is_refused(tmp_path: Path) -> None:
    frame = {"a": np.arange(40) % 7 * 1e-300, "b": np.arange(40.0) % 5}
    y = np.arange(40) % 3
    with pytest.raises(ValueError, match="the column 'a' must have numbers that float32 can hold"):
        to_c(model_of(frame, y), tmp_path / "m.c")
    with pytest.raises(ValueError, match="the target 'y' must have numbers that float32 can hold"):
        to_c(model_of({"b": frame["b"]}, frame["b"] * 1e100 + frame["a"]), tmp_path / "m.c")
    assert list(tmp_path.iterdir()) == []


@needs_gcc
def test_numbers_far_from_0_keep_their_differences(tmp_path: Path) -> None:
    a = 2.0**24 + 2 * (np.arange(200) % 10)
    model = model_of({"a": a, "b": a * 2**50}, (np.arange(200) % 10 // 4).astype(str))
    middle = model.encoding.encoders["a"].center
    assert float(np.float32(middle)) != middle
    library = compiled({"m": model}, "gcc", tmp_path)
    rows = {"a": a[:10], "b": a[:10] * 2**50}
    Y = predicted(library, "m", model, model.numbers(rows))
    assert difference(Y, model.predict_proba(rows)) <= 1e-6


@needs_gcc
def test_one_huge_number_among_others_is_not(tmp_path: Path) -> None:
    a = np.arange(200) % 9 * 0.5
    a[7], a[8], a[9] = 1e300, 1e100, -1e200
    model = model_of({"a": a}, (np.arange(200) % 9).astype(str))
    library = compiled({"m": model}, "gcc", tmp_path)
    usual = {"a": np.linspace(-3, 9, 50).astype(np.float32)}
    Y = predicted(library, "m", model, model.numbers(usual))
    assert difference(Y, model.predict_proba(usual)) <= 1e-6
    ends = predicted(library, "m", model, [[np.inf], [-np.inf]])
    assert difference(ends, model.predict_proba({"a": [1e300, -1e200]})) <= 1e-6


def test_a_model_that_is_not_fitted_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the model is not fitted yet"):
        to_c(TabularModel(), tmp_path / "m.c")
    model = model_of({"b": np.arange(40.0) % 5}, np.arange(40) % 3)
    model.network.weights[0][0, 0] = np.nan
    with pytest.raises(ValueError, match=r"weights\[0\]\[0, 0\] is NaN"):
        to_c(model, tmp_path / "m.c")


# ---- docs/embedded.md ----------------------------------------------------------------------------


@needs_gcc
def test_the_snippets_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    setup, (snippet,), _ = snippets_of("embedded.md")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(setup.partition("X_train")[0] + snippet, names)
    model, row = names["model"], names["row"]
    library = compile_library(tmp_path / "late.c", "gcc")
    first = predicted(library, "late", model, [row])
    assert difference(first, model.predict_proba(table_path())[:1]) <= 1e-6
    shutil.copy(table_path(), "deliveries.csv")
    (commands,) = re.findall(r"^```sh\n(.*?)^```$", (DOCS / "embedded.md").read_text(), re.M | re.S)
    shell = subprocess.run(["sh", "-ec", commands], capture_output=True, text=True)
    assert shell.stderr == ""
    lines = shell.stdout.splitlines()
    assert lines[0] == "late,probability of no,probability of yes"
    printed = np.array([line.split(",")[1:] for line in lines[1:]], float)
    assert difference(printed, model.predict_proba(table_path())) <= 1e-6

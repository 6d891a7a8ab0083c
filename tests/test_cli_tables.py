"""The commands for tables: train, predict, evaluate, inspect and export."""

import csv
import errno
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import types
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn.cli import main, train
from fastnn.datasets import table_path
from fastnn.tabular import RECIPE, TabularModel

pytest.importorskip("pyarrow")

TABLE = str(table_path())
COMMAND = [sys.executable, "-P", "-m", "fastnn"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(fastnn.__file__).parents[1])}


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    """Trains by a quick recipe, but for `trained`."""
    monkeypatch.chdir(tmp_path)
    quick = replace(RECIPE, hidden=(32,), samples=20_000, bins=16, ramp_height=0.1, ema=None)
    monkeypatch.setattr("fastnn.cli.train.RECIPE", quick)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder, the output and the error stream of one training, in a process of its own."""
    folder = tmp_path_factory.mktemp("trained")
    done = subprocess.run(
        [*COMMAND, "train", TABLE, "--target", "late"],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return folder, done.stdout, done.stderr


@pytest.fixture
def model(trained) -> str:
    return str(trained[0] / "model.fastnn")


def failure(argv, capsys) -> str:
    """The line of a command that fails as it should: alone, with exit code 2."""
    assert main(argv) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    *warned, line = printed.err.splitlines()
    assert all(each.startswith("fastnn: warning: ") for each in warned)
    assert line.startswith("fastnn: ")
    return line


def rows_of(text) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def deliveries() -> list[dict[str, str]]:
    return rows_of(table_path().read_text(encoding="utf-8"))


def write(name, rows) -> str:
    with open(name, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return name


# --- train


def test_train_tells_what_it_did_with_each_column_and_how_good_it_is(trained):
    folder, output, error = trained
    assert error == ""  # no bar where there is no terminal
    assert "\x1b" not in output
    lines = [re.split(r"\s{2,}", line) for line in output.splitlines()]
    kinds = {cells[0]: cells[1] for cells in reversed(lines) if len(cells) > 2}
    expected = {
        "order": "identifier", "ordered": "date", "city": "category", "distance": "number",
        "weight": "number", "express": "yes/no", "note": "category",
    }  # fmt: skip
    assert expected.items() <= kinds.items()
    assert "24 rows without a value filled and marked" in output
    scores = TabularModel.load(folder / "model.fastnn").validation_scores
    assert kinds["this model"] == f"{scores['model']['accuracy']:.4f}"
    assert kinds["logistic regression"] == f"{scores['linear']['accuracy']:.4f}"
    assert kinds["the most frequent class"] == f"{scores['baseline']['accuracy']:.4f}"
    assert scores["model"]["roc_auc"] > 0.85


def test_train_prints_a_confusion_table_and_the_importance_of_the_columns(trained):
    _, output, _ = trained
    lines = [line.split() for line in output.splitlines()]
    head = lines.index(["true", "\\", "predicted", "no", "yes"])
    counts = np.array([row[1:] for row in lines[head + 1 : head + 3]], int)
    assert counts.sum() == 60
    (begin,) = (i for i, line in enumerate(lines) if line[:1] == ["importance:"])
    importance = {line[0]: float(line[1]) for line in lines[begin + 1 : begin + 7]}
    assert max(importance, key=importance.__getitem__) == "distance"
    assert set(importance) == {"distance", "ordered", "city", "weight", "express", "note"}


def test_the_report_is_one_file_with_all_that_was_printed_and_pictures(trained):
    pytest.importorskip("matplotlib")
    folder, output, _ = trained
    assert sorted(path.name for path in folder.iterdir()) == ["model.fastnn", "model.html"]
    page = (folder / "model.html").read_text(encoding="utf-8")
    assert page.count('<img alt="') == page.count('src="data:image/svg+xml;base64,') == 6
    assert "http" not in re.sub(r"base64,[^\"]*", "", page)
    for line in output.splitlines()[:-3]:
        assert line.replace("'", "&#x27;").replace(">", "&gt;") in page


def test_a_report_without_matplotlib_says_what_is_missing(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["train", TABLE, "--target", "late", "--quiet"]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert "the report has no pictures: matplotlib is not installed; the extra 'plot'" in line
    page = Path("model.html").read_text(encoding="utf-8")
    assert "the extra &#x27;plot&#x27; brings it" in page
    assert "<img" not in page


def test_names_of_columns_are_text_in_the_report():
    rows = [{"<b>": f"{i % 7}.5", "y": "<i>" if i % 7 > 3 else "&"} for i in range(60)]
    assert main(["train", write("t.csv", rows), "--target", "y", "--quiet"]) == 0
    page = Path("model.html").read_text(encoding="utf-8")
    assert "<b>" not in page
    assert "<i>" not in page
    assert "&lt;b&gt;" in page


def test_names_with_dollars_and_rare_letters_are_drawn_as_they_are(capsys):
    rows = [{"$\\x$ 🎉": i % 10, "late": "$\\y$" if i % 10 > 5 else "no"} for i in range(60)]
    train = ["train", write("t.csv", rows), "--target", "late", "--quiet"]
    assert main(train) == 0
    assert "Glyph" not in capsys.readouterr().err
    assert Path("model.html").read_text(encoding="utf-8").count("data:image/svg+xml") == 6


def test_json_is_one_object_and_nothing_else(capsys):
    argv = ["train", TABLE, "--target", "late", "--json", "--validation", "0.25", "--members", "2"]
    assert main([*argv, "--output", "m.fastnn", "--report", "r.html"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    content = json.loads(printed.out)
    assert content["model"] == "m.fastnn"
    assert content["report"] == "r.html"
    assert Path("r.html").exists()
    model = TabularModel.load("m.fastnn")
    assert content["scores"] == model.validation_scores
    assert content["members"] == len(model.networks) == 2
    assert content["rows"] == {"all": 400, "held out": 100}
    assert np.sum(content["confusion"]) == 100
    assert [column["name"] for column in content["columns"]] == [c.name for c in model.columns]
    assert content["target"] == {
        "name": "late", "task": "classification", "classes": ["no", "yes"],
    }  # fmt: skip
    assert set(content["seconds"]) == {"reading", "preparing", "training", "scoring", "writing"}
    assert min(content["seconds"].values()) >= 0
    assert content["warnings"] == []


def test_a_seed_repeats_exactly_and_another_does_not(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    files, outputs = [], []
    for seed in ("3", "3", "4"):
        assert main(["train", TABLE, "--target", "late", "--seed", seed, "--json"]) == 0
        content = json.loads(capsys.readouterr().out)
        del content["seconds"]
        files.append(Path("model.fastnn").read_bytes())
        outputs.append(content)
    assert files[0] == files[1] != files[2]
    assert outputs[0] == outputs[1] != outputs[2]


def test_a_number_is_predicted_beside_the_mean_and_linear_regression(monkeypatch, capsys):
    monkeypatch.setattr("fastnn.cli.train.RECIPE", RECIPE)
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    rows = [{"x": f"{v:.4f}", "z": f"{v * v:.3f}"} for v in x]
    assert main(["train", write("t.csv", rows), "--target", "z"]) == 0
    output = capsys.readouterr().out
    assert re.search(r"this model +0\.9", output)
    assert re.search(r"linear regression +-?0\.[0-3]", output)
    assert re.search(r"the mean +-?0\.0", output)
    page = Path("model.html").read_text(encoding="utf-8")
    assert '<img alt="predictions"' in page
    assert main(["predict", "model.fastnn", "t.csv"]) == 0
    predicted = np.array([float(row["z"]) for row in rows_of(capsys.readouterr().out)])
    assert np.corrcoef(predicted, x * x)[0, 1] > 0.95
    line = failure(["predict", "model.fastnn", "t.csv", "--probabilities"], capsys)
    assert line == "fastnn: --probabilities needs classes, but 'z' is a number"


def test_standard_input_is_a_table(monkeypatch, capsys):
    assert main(["train", TABLE, "--target", "late", "--quiet", "--output", "file.fastnn"]) == 0
    stream = types.SimpleNamespace(buffer=io.BytesIO(table_path().read_bytes()))
    monkeypatch.setattr(sys, "stdin", stream)
    assert main(["train", "-", "--target", "late", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["data"] == "standard input"
    assert Path("model.fastnn").read_bytes() == Path("file.fastnn").read_bytes()


# --- tables that are hard


RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(size=240).round(4).tolist()


def hard(**columns) -> list[dict[str, object]]:
    """Rows with a number x, and these columns; what is predicted is y."""
    n_rows = len(next(iter(columns.values())))
    named = {"x": [NUMBERS[i % 240] for i in range(n_rows)], **columns}
    return [dict(zip(named, cells, strict=True)) for cells in zip(*named.values(), strict=True)]


SIGNS = ["up" if value > 0 else "down" for value in NUMBERS]


@pytest.mark.parametrize(
    ("cells", "kind", "words"),
    [
        (["" if i % 3 else i % 5 for i in range(240)], "number", "160 rows"),
        ([f"L{i % 1000}" for i in range(2000)], "category", "1000"),
        ([f"{1 + i % 28}.{1 + i % 12}.2024" for i in range(240)], "date", "dmy"),
        ([f"the {i} foxes jumped over {i}" for i in range(240)], "text", "left out"),
        ([f"K{i}" for i in range(240)], "identifier", "left out"),
        ([7] * 240, "constant", "left out"),
        ([""] * 240, "empty", "left out"),
        (["one\nline, more" if i % 2 else '"no"' for i in range(240)], "yes/no", "or"),
    ],
    ids=["missing", "1000 levels", "dates", "text", "identifier", "constant", "empty", "quotes"],
)
def test_a_hard_column_gets_the_right_treatment(cells, kind, words, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # pictures take most of the time
    rows = hard(a=cells, y=(SIGNS * 9)[: len(cells)])
    assert main(["train", write("t.csv", rows), "--target", "y", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    (column,) = (column for column in content["columns"] if column["name"] == "a")
    assert column["kind"] == kind
    assert words in column["note"]
    assert content["scores"]["model"]["accuracy"] > 0.9


def test_a_column_that_repeats_the_target_is_warned_about(capsys):
    rows = hard(copy=[sign.upper() for sign in SIGNS], y=SIGNS)
    assert main(["train", write("t.csv", rows), "--target", "y", "--json"]) == 0
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert line.startswith("fastnn: warning: the column 'copy' repeats the target 'y'")
    assert json.loads(printed.out)["warnings"] == [line.removeprefix("fastnn: warning: ")]
    assert line.removeprefix("fastnn: warning: ").split("'")[0] in Path("model.html").read_text()


def test_rows_without_a_target_are_left_out_and_counted(capsys):
    rows = hard(y=["" if i < 40 else sign for i, sign in enumerate(SIGNS)])
    assert main(["train", write("t.csv", rows), "--target", "y", "--json"]) == 0
    printed = capsys.readouterr()
    assert printed.err == "fastnn: warning: 40 of 240 rows have no 'y' and are left out\n"
    content = json.loads(printed.out)
    assert np.sum(content["confusion"]) == content["rows"]["held out"] == 30


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "t.csv is empty"),
        ("x,y\n", "t.csv has column names and no rows"),
        ("x,y\n1,a\n2,b\n", "t.csv: frame must have at least 10 rows with a target, got 2"),
        ("x,y\n" + "1,a\n2,a\n" * 9, "always 'a': there is nothing to learn"),
        ("x,z\n1,2\n3,4\n", "t.csv has no column 'y': it has 'x', 'z'"),
        ("x, Y \n1,2\n3,4\n", "t.csv has no column 'y': did you mean 'Y'? it has"),
        ("x,x,y\n1,2,3\n", "t.csv must have columns of different names, got 'x' twice"),
        ("x,y\n" + "1,\n2,\n" * 9, "got 0 of 18 in which 'y' is there"),
        ("y\n" + "1\n2\n" * 9, "must have a column to predict from"),
        ("x,y\n" + "inf,1\n2,3\n" * 9, "the column 'x' must be finite or missing"),
        ("x,y\n1,2\n1,2,3\n", "Expected 2 columns, got 3"),
        ("\x89PNG\r\n\x1a\n\0\0\0", "t.csv is no table: it has bytes that no text has"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_gets_one_line(text, message, capsys):
    Path("t.csv").write_bytes(text.encode("latin-1"))
    assert message in failure(["train", "t.csv", "--target", "y"], capsys)
    assert os.listdir() == ["t.csv"]


def test_a_target_must_be_named(capsys):
    line = failure(["train", TABLE], capsys)
    assert "--target is needed: the column of deliveries.csv to predict; it has 'order'" in line


def test_a_file_that_is_not_there_or_may_not_be_read(monkeypatch, capsys):
    argv = ["train", "none.csv", "--target", "y"]
    assert failure(argv, capsys) == "fastnn: none.csv: No such file or directory"

    def refuse(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert failure(argv, capsys) == "fastnn: none.csv: Permission denied"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--output", "none/m.fastnn"], "fastnn: none: No such file or directory"),
        (["--report", "none/m.html"], "fastnn: none: No such file or directory"),
        (["--output", "file/m.fastnn"], "fastnn: file: Not a directory"),
        (["--output", "."], "fastnn: .: Is a directory"),
        (["--output", "m.html"], "--report must be another file than --output"),
        (["--validation", "1"], "--validation must be a number in (0, 1), got 1.0"),
        (["--members", "0"], "members must be a positive integer"),
        (["--seed", "-1"], "seed must be"),
        (["--threads", "0"], "threads must be"),
    ],
)
def test_bad_options_are_refused_before_the_table_is_read(options, message, monkeypatch, capsys):
    Path("file").write_text("")
    monkeypatch.setattr(Path, "read_bytes", None)
    assert message in failure(["train", TABLE, "--target", "late", *options], capsys)
    assert os.listdir() == ["file"]


def test_ctrl_c_writes_nothing(monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(fastnn.Network, "fit", interrupt)
    assert main(["train", TABLE, "--target", "late"]) == 130
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "fastnn: interrupted\n")
    assert not os.listdir()


def test_ctrl_c_that_a_library_swallows_ends_the_command(monkeypatch, capsys):
    def swallow(*arguments):
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        return original(*arguments)

    original = train.read_table
    monkeypatch.setattr(train, "read_table", swallow)
    monkeypatch.setattr(fastnn.Network, "fit", None)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert main(["train", TABLE, "--target", "late"]) == 130
    assert capsys.readouterr().err == "fastnn: interrupted\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert not os.listdir()


def test_a_terminal_without_the_letters_of_a_name_shows_their_codes():
    rows = [{"größe": i % 10, "late": "zu spät" if i % 10 > 5 else "no"} for i in range(60)]
    done = subprocess.run(
        [*COMMAND, "train", write("t.csv", rows), "--target", "late"],
        env={**ENVIRONMENT, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "gr\\xf6\\xdfe" in done.stdout
    assert "zu sp\\xe4t" in done.stdout


# --- images


def folder_of_images(name, classes) -> str:
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    for k, label in enumerate(classes):
        (Path(name) / label).mkdir(parents=True)
        for i in range(12):
            pixels = rng.integers(0, 80, (6, 6, 3)) + 150 * k
            image.fromarray(pixels.astype(np.uint8)).save(Path(name) / label / f"{i}.png")
    return name


def test_a_folder_of_images_a_class(capsys):
    images = folder_of_images("animals", ["cat", "dog"])
    assert main(["train", images, "--json", "--output", "m.fastnn"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["target"]["classes"] == ["cat", "dog"]
    assert content["scores"]["model"]["accuracy"] == 1
    assert main(["predict", "m.fastnn", images]) == 0
    predicted = [row["class"] for row in rows_of(capsys.readouterr().out)]
    assert predicted == ["cat"] * 12 + ["dog"] * 12
    assert main(["inspect", "m.fastnn"]) == 0
    assert re.search(r"number +used +\d+", capsys.readouterr().out)
    assert TabularModel.load("m.fastnn").network.n_features <= 32 * 32 * 3  # no ramps


def test_images_of_one_class_teach_nothing(capsys):
    line = failure(["train", folder_of_images("animals", ["cat"])], capsys)
    assert "'class' must have at least two different values, it is always 'cat'" in line


# --- predict


def test_predictions_are_those_of_the_model_whatever_the_order_of_the_columns(model, capsys):
    rows = [dict(reversed(row.items())) for row in deliveries()]
    for row in rows:
        del row["late"], row["order"]
    assert main(["predict", model, write("t.csv", rows), "--probabilities"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    lines = rows_of(printed.out)
    loaded = TabularModel.load(model)
    assert [line["late"] for line in lines] == loaded.predict(TABLE).tolist()
    found = [[float(line[f"probability of {c}"]) for c in ("no", "yes")] for line in lines]
    np.testing.assert_allclose(found, loaded.predict_proba(TABLE), atol=1e-5)


def test_predictions_go_to_a_file(model, capsys):
    assert main(["predict", model, TABLE, "--output", "p.csv"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["predict", model, TABLE]) == 0
    assert capsys.readouterr().out == Path("p.csv").read_text()
    assert Path("p.csv").read_text().startswith("late\n")


def test_predictions_that_cannot_be_written_leave_the_old_file(model, monkeypatch, capsys):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    Path("p.csv").write_text("late\nold\n")
    monkeypatch.setattr(os, "fsync", full)
    assert "No space left" in failure(["predict", model, TABLE, "--output", "p.csv"], capsys)
    assert Path("p.csv").read_text() == "late\nold\n"
    assert os.listdir() == ["p.csv"]


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX devices")
def test_predictions_go_to_a_device(model, capsys):
    assert main(["predict", model, TABLE, "--output", os.devnull]) == 0


def test_files_that_are_read_are_not_written(model, capsys):
    content = table_path().read_bytes()
    Path("t.csv").write_bytes(content)
    Path("m.st").write_bytes(Path(model).read_bytes())
    Path("sub").mkdir()
    train = ["train", "t.csv", "--target", "late"]
    for argv in (
        [*train, "--output", "sub/../t.csv"],
        [*train, "--report", "t.csv"],
        ["predict", model, "t.csv", "--output", "t.csv"],
        ["predict", model, "t.csv", "--output", model],
        ["export", "m.st", "--to", "c", "m.st", "--name", "late"],
        ["export", "m.st", "--to", "onnx", "sub/../m.st"],
    ):
        assert "must be another file than " in failure(argv, capsys)
    line = failure([*train, "--output", "m", "--report", "sub/../m"], capsys)
    assert "--report must be another file than --output" in line
    assert Path("t.csv").read_bytes() == content
    assert Path("m.st").read_bytes() == Path(model).read_bytes()


def test_tables_without_a_header_have_columns_called_by_their_places(capsys):
    text = "".join(
        f"{x},{i % 9},{sign}\n" for i, (x, sign) in enumerate(zip(NUMBERS, SIGNS, strict=True))
    )
    Path("t.csv").write_text(text)
    assert main(["train", "t.csv", "--target", "3"]) == 0
    printed = capsys.readouterr()
    assert printed.err.startswith("fastnn: warning: the first line of t.csv holds numbers, so it")
    Path("new.csv").write_text("2.5,1\n")
    assert main(["predict", "model.fastnn", "new.csv"]) == 0
    assert capsys.readouterr().out == "3\nup\n"


def test_missing_columns_and_unknown_categories_are_named(model, capsys):
    rows = deliveries()[:20]
    for row in rows:
        row["city"] = "Zwolle"
    assert main(["predict", model, write("t.csv", rows)]) == 0
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 21
    (line,) = printed.err.splitlines()
    assert line.startswith("fastnn: warning: the column 'city' has 20 rows of 1 unknown categor")
    assert "'Zwolle'" in line
    for row in rows:
        del row["city"], row["weight"]
    line = failure(["predict", model, write("t.csv", rows)], capsys)
    assert "it lacks 'city', 'weight'" in line


@pytest.mark.parametrize("command", ["predict", "evaluate", "inspect", "export"])
def test_a_file_that_is_no_model_gets_one_line(command, capsys):
    more = {"predict": [TABLE], "evaluate": [TABLE], "export": ["--to", "c", "m.c"]}
    line = failure([command, TABLE, *more.get(command, [])], capsys)
    assert "not a safetensors file" in line


# --- evaluate, inspect, export


def test_evaluate_compares_and_counts(model, capsys):
    assert main(["evaluate", model, TABLE, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    loaded = TabularModel.load(model)
    assert content["scores"] == loaded.compare(TABLE)
    assert content["confusion"] == loaded.confusion(TABLE).counts.tolist()
    assert content["rows"] == 400
    assert main(["evaluate", model, TABLE]) == 0
    output = capsys.readouterr().out
    assert f"{content['scores']['model']['log_loss']:.4f}" in output
    assert str(loaded.confusion(TABLE)) in output


def test_evaluate_needs_the_target(model, capsys):
    rows = [{k: v for k, v in row.items() if k != "late"} for row in deliveries()]
    line = failure(["evaluate", model, write("t.csv", rows)], capsys)
    assert line.startswith("fastnn: t.csv has no column 'late': ")
    rows = deliveries()
    rows[3]["late"] = "perhaps"
    line = failure(["evaluate", model, write("t.csv", rows)], capsys)
    assert "must be one of no, yes, got 'perhaps' in row 3" in line


def test_a_score_that_does_not_exist_is_null_in_json(model, capsys):
    rows = [row for row in deliveries() if row["late"] == "no"]
    assert main(["evaluate", model, write("t.csv", rows), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)["scores"]["model"]
    assert scores["roc_auc"] is None
    assert scores["accuracy"] > 0.8


def test_inspect_shows_a_model_for_tables(model, trained, capsys):
    assert main(["inspect", model]) == 0
    output = capsys.readouterr().out
    loaded = TabularModel.load(model)
    assert loaded.network.summary() in output
    assert "it predicts 'late', by classification" in output
    assert "no: 58.5% of the rows" in output
    columns = trained[1].split("\n\n")[0].partition("\n")[2]
    assert columns in output
    assert main(["inspect", model, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["kind"] == "TabularModel"
    assert content["scores"] == loaded.validation_scores
    assert content["networks"][0]["n_parameters"] == loaded.network.n_parameters


def test_inspect_shows_a_network(capsys):
    net = fastnn.Network.from_sizes([4, 3, 2], "tanh", "softmax", seed=1)
    net.save("n.safetensors")
    assert main(["inspect", "n.safetensors"]) == 0
    assert net.summary() in capsys.readouterr().out
    assert main(["inspect", "n.safetensors", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["kind"], content["n_features"], content["n_parameters"]) == ("Network", 4, 23)


def test_export_names_c_functions_and_stores_8_bits(model, capsys):
    assert main(["export", model, "--to", "c", "late.c", "--name", "is_late", "--int8"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == "late.c"
    assert re.fullmatch(r"on rows made up, int8 changes .* on average, by at most .*", second)
    source = Path("late.c").read_text()
    assert "is_late_predict" in source
    assert "Weights are int8" in source
    line = failure(["export", model, "--to", "onnx", "late.onnx", "--int8"], capsys)
    assert line == "fastnn: --name and --int8 are for --to c, got --to onnx"
    assert not Path("late.onnx").exists()


def test_export_hands_the_model_to_exchange(model, monkeypatch, capsys):
    net = fastnn.Network.from_sizes([4, 3, 2], "tanh", "softmax", seed=1)
    net.save("n.safetensors")
    calls = []
    exchange = types.ModuleType("fastnn.exchange")
    exchange.to_c = lambda *arguments: calls.append(arguments)
    monkeypatch.setitem(sys.modules, "fastnn.exchange", exchange)
    assert main(["export", "n.safetensors", "--to", "c", "n.c"]) == 0
    ((exported, path),) = calls
    assert exported.parameters.tobytes() == net.parameters.tobytes()
    assert path == Path("n.c")
    assert capsys.readouterr().out == "n.c\n"
    line = failure(["export", "n.safetensors", "--to", "onnx", "n.onnx"], capsys)
    assert line == "fastnn: this fastnn has no fastnn.exchange.to_onnx: update it"
    line = failure(["export", "n.safetensors", "--to", "tar", "n.tar"], capsys)
    assert "invalid choice: 'tar'" in line

    def refuse(*_):
        raise TypeError("net must be a Network")

    exchange.to_c = refuse
    line = failure(["export", "n.safetensors", "--to", "c", "n.c"], capsys)
    assert line == "fastnn: cannot export n.safetensors to c: net must be a Network"


def test_export_writes_a_model_for_tables(model, capsys):
    assert main(["export", model, "--to", "c", "late.c"]) == 0
    assert capsys.readouterr().out == "late.c\n"
    assert "void late_predict(const float *x, float *y);" in Path("late.c").read_text()


# --- all of them


@pytest.mark.parametrize("command", ["train", "predict", "evaluate", "inspect"])
def test_the_example_of_the_help_works_as_printed(command, trained, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    example = capsys.readouterr().out.partition("example:\n")[2].splitlines()
    assert example[-1].split()[:2] == ["fastnn", command]
    Path("model.fastnn").write_bytes((trained[0] / "model.fastnn").read_bytes())
    name, *arguments = shlex.split(example[-1])
    assert (name, main(arguments)) == ("fastnn", 0)
    if command != "train":
        assert shlex.split(example[0]) == ["fastnn", "train", TABLE, "--target", "late"]


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
@pytest.mark.parametrize(
    ("closed", "data", "code", "said"),
    [
        (">&-", TABLE, 0, ""),
        ("2>&-", "absent.csv", 2, ""),
        ("<&-", "-", 2, "fastnn: standard input is empty"),
    ],
)
def test_closed_streams_read_and_write_nothing(closed, data, code, said, model):
    command = shlex.join([*COMMAND, "predict", model, data])
    done = subprocess.run(
        ["sh", "-c", f"exec {command} {closed}"],
        capture_output=True,
        text=True,
        timeout=60,
        env=ENVIRONMENT,
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == bool(said)


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX pipes")
def test_a_reader_that_went_away_is_no_error(model):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        done = subprocess.run(
            [*COMMAND, "predict", model, TABLE],
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            env={name: value for name, value in ENVIRONMENT.items() if name != "PYTHONUNBUFFERED"},
        )
    assert (done.returncode, done.stderr) == (141, "")


def test_other_commands_import_neither_arrow_nor_pictures(run_script):
    run_script("""
        import sys
        from fastnn.cli import main
        assert main(["info"]) == 0
        assert not {"pyarrow", "pandas", "matplotlib"} & set(sys.modules)
    """)


def test_the_commands_of_the_page_work_as_printed(capsys):
    page = (Path(__file__).parents[1] / "docs" / "command-line.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```$", page, re.M | re.S)
    copy, *lines = "".join(blocks).splitlines()
    environment = {**ENVIRONMENT, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run(copy, shell=True, check=True, env=environment, timeout=60)
    assert Path("deliveries.csv").read_bytes() == table_path().read_bytes()
    for line in lines:
        name, *arguments = shlex.split(line)
        assert (name, line, main(arguments)) == ("fastnn", line, 0)
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["members"] == 2
    assert Path("predictions.csv").read_text().startswith("late,probability of no,")


def test_a_class_that_no_held_out_row_has_is_no_error():
    """A class of a single row is trained on; the other two have no ROC curve then."""
    sizes = np.random.default_rng(0).standard_normal(60).round(3)
    rows = [f"{size},{'late' if size > 0 else 'early'}" for size in sizes]
    Path("table.csv").write_text("\n".join(["size,y", *rows, "0.7,never"]))
    assert main(["train", "table.csv", "--target", "y", "--quiet"]) == 0
    assert TabularModel.load("model.fastnn").target.classes == ("early", "late", "never")

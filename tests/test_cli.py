import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import plots, race
from fastnn.cli import main
from fastnn.datasets import load_digits, train_test_split

COMMAND = [sys.executable, "-P", "-m", "fastnn"]
# The package under test in any folder; buffered output, since argparse hides errors of other.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
ENVIRONMENT["PYTHONPATH"] = str(Path(fastnn.__file__).parents[1])


def run_process(*arguments, stdout=subprocess.PIPE, **options):
    return subprocess.run(
        [*COMMAND, *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        env=ENVIRONMENT,
        **options,
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The folder and the output of one full demo in a process of its own."""
    folder = tmp_path_factory.mktemp("demo")
    done = run_process("demo", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "fastnn-demo", done.stdout


def test_demo_reaches_97_5_percent_on_unseen_digits(demo):
    folder, output = demo
    X, y = load_digits()
    _, X_test, _, y_test = train_test_split(X, y, test_size=0.2, seed=0)
    accuracy = fastnn.Network.load(folder / "digits.safetensors").evaluate(X_test, y_test)[
        "accuracy"
    ]
    assert accuracy >= 0.975
    assert f"test accuracy: {accuracy:.2%}" in output


def test_demo_prints_summary_history_and_confusion_table(demo):
    folder, output = demo
    net = fastnn.Network.load(folder / "digits.safetensors")
    assert net.summary() in output
    lines = output.splitlines()
    (head,) = [i for i, line in enumerate(lines) if line.split()[:1] == ["epoch"]]
    assert lines[head].split() == [
        "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate",
    ]  # fmt: skip
    assert lines[head + 1].split()[0] == "1"
    assert "60" in [line.split()[0] for line in lines[head + 1 :] if line]
    (head,) = [i for i, line in enumerate(lines) if line.startswith("true")]
    table = [line.split() for line in lines[head + 1 : head + 12]]
    assert table[0] == [str(k) for k in range(10)]
    counts = np.array([[0 if x == "." else int(x) for x in row[1:]] for row in table[1:]])
    X, y = load_digits()
    _, X_test, _, y_test = train_test_split(X, y, test_size=0.2, seed=0)
    np.testing.assert_array_equal(counts.sum(axis=1), np.bincount(y_test))
    np.testing.assert_array_equal(counts.sum(axis=0), np.bincount(net.predict(X_test)))


@pytest.fixture
def drawn(monkeypatch):
    """What the functions of `fastnn.plots` return, by name; needs matplotlib."""
    pytest.importorskip("matplotlib")
    returned = {}

    def recording(name, draw):
        def record(*arguments, **options):
            returned[name] = draw(*arguments, **options)
            return returned[name]

        return record

    for name in ("learning_curves", "misclassified", "bar_chart"):
        monkeypatch.setattr(plots, name, recording(name, getattr(plots, name)))
    return returned


def is_png(path):
    return path.read_bytes().startswith(b"\x89PNG")


def test_demo_draws_the_curves_and_every_mistake(tmp_path, drawn, capsys):
    assert main(["demo", "--epochs", "30", "--output", str(tmp_path)]) == 0
    assert [len(panel.lines) for panel in drawn["learning_curves"]] == [2, 2]
    n_images = sum(len(panel.images) for panel in drawn["misclassified"])
    assert f"({n_images} of 359 digits wrong)" in capsys.readouterr().out
    assert is_png(tmp_path / "learning_curves.png")
    assert is_png(tmp_path / "misclassified.png")


def test_demo_without_matplotlib_runs_and_says_what_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["demo", "--epochs", "1", "--output", str(tmp_path)]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("no pictures: matplotlib is not installed; the extra 'plot' brings it: ")
    assert [path.name for path in tmp_path.iterdir()] == ["digits.safetensors"]


def test_demo_says_that_the_saved_network_predicts_the_same(demo):
    _, output = demo
    assert "loaded again, it predicts exactly the same" in output


def test_demo_notices_a_saved_network_that_predicts_differently(tmp_path, monkeypatch, capsys):
    def load_untrained(path):
        return fastnn.Network.from_sizes([64, 128, 10], "relu", "softmax", seed=99)

    monkeypatch.setattr(fastnn.Network, "load", load_untrained)
    assert main(["demo", "--epochs", "1", "--output", str(tmp_path)]) == 2
    assert "predicts differently" in capsys.readouterr().err


def test_demo_repeats_exactly_with_one_seed_and_not_with_another(tmp_path):
    parameters = []
    for seed in ("3", "3", "4"):
        assert main(["demo", "--epochs", "1", "--seed", seed, "--output", str(tmp_path)]) == 0
        parameters.append(fastnn.Network.load(tmp_path / "digits.safetensors").parameters)
    np.testing.assert_array_equal(parameters[0], parameters[1])
    assert not np.array_equal(parameters[0], parameters[2])


def test_info_prints_the_configuration(capsys):
    assert main(["info"]) == 0
    printed = capsys.readouterr().out
    fastnn.show_config()
    assert printed == capsys.readouterr().out != ""


def test_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"fastnn {fastnn.__version__}\n"


@pytest.mark.parametrize("command", [[], ["demo"], ["bench"], ["info"]])
def test_help_ends_with_examples(command, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([*command, "--help"])
    epilog = capsys.readouterr().out.rpartition("example")[2]
    assert f"  fastnn {' '.join(command)}".rstrip() in epilog


def test_bench_prints_the_table_and_writes_json_and_plot(tmp_path, drawn, capsys):
    plot, report = tmp_path / "race.png", tmp_path / "race.json"
    options = ["--nets", "flower", "--quick", "--seconds", "0.1"]
    assert main(["bench", *options, "--plot", str(plot), "--json", str(report)]) == 0
    output = capsys.readouterr().out
    assert "2-4-1 tanh, planar flower" in output
    assert "losses agree" in output
    content = json.loads(report.read_text())
    assert content["configuration"] == fastnn.config.configuration()
    assert content["fma_peak_gflops"] > 0
    (flower,) = content["races"]
    assert flower["net"] == "flower"
    assert flower["largest_difference"] <= flower["tolerance"]
    names = [result["contestant"] for result in flower["results"]]
    assert {"fastnn, 1 thread", "NumPy reference", "pure Python"} <= set(names)
    assert is_png(plot)
    assert len(drawn["bar_chart"].patches) == len(names)


@pytest.mark.parametrize("is_installed", [True, False])
def test_a_picture_that_cannot_be_written_is_reported_before_the_race(
    is_installed, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    if is_installed:
        pytest.importorskip("matplotlib")
    else:
        monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["bench", "--plot", "race.txt"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    expected = "Format 'txt' is not supported" if is_installed else "matplotlib is not installed"
    assert line.startswith(f"fastnn: {expected}")
    assert not list(tmp_path.iterdir())


def errors(argv, capsys) -> str:
    """The message of a command that fails as it should: one line, exit code 2."""
    assert main(argv) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("fastnn: ")
    return line


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "arguments are required: COMMAND (see fastnn --help)"),
        (["dance"], "invalid choice: 'dance'"),
        (["demo", "--epochs", "many"], "invalid int value: 'many' (see fastnn demo --help)"),
        (["bench", "--sideways"], "unrecognized arguments: --sideways (see fastnn bench --help)"),
        (["--sideways", "info"], "unrecognized arguments: --sideways (see fastnn --help)"),
        (["info", "more"], "unrecognized arguments: more (see fastnn info --help)"),
        (["bench", "--nets", "flower", "tree"], "--nets must be among logistic, flower, digits"),
        (["bench", "--nets", "flower", "--seconds", "-1"], "seconds must be a positive number"),
    ],
)
def test_bad_arguments_get_one_line(argv, message, capsys):
    assert message in errors(argv, capsys)


@pytest.mark.parametrize("option", ["--epochs", "--seed"])
def test_errors_of_the_library_get_one_line(option, tmp_path, capsys):
    message = errors(["demo", option, "-1", "--output", str(tmp_path)], capsys)
    assert option.removeprefix("--") in message
    assert "-1" in message


@pytest.mark.parametrize(
    "argv",
    [
        ["demo", "--epochs", "0"],
        ["demo", "--seed", "-1"],
        ["bench", "--seconds", "0"],
        ["bench", "--seconds", "inf"],
        ["bench", "--seconds", "nan"],
    ],
)
def test_numbers_out_of_range_are_refused_before_anything_is_done(
    argv, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert f"{argv[1].removeprefix('--')} must be " in printed.err
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_reported_before_training(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "demo"
    assert errors(["demo", "--output", str(folder)], capsys) == f"fastnn: {folder}: Not a directory"


def test_a_file_in_place_of_the_folder_is_reported_before_training(tmp_path, capsys):
    file = tmp_path / "file"
    file.write_text("mine")
    assert errors(["demo", "--output", str(file)], capsys) == f"fastnn: {file}: Not a directory"
    assert file.read_text() == "mine"


@pytest.mark.parametrize("name", ["FASTNN_ISA", "FASTNN_GEMM"])
@pytest.mark.parametrize("how", ["module", "script"])
def test_a_mistyped_environment_variable_gets_one_line(name, how, tmp_path):
    command = COMMAND
    if how == "script":
        script = tmp_path / "fastnn"  # as pip writes it
        script.write_text("import sys\nfrom fastnn.cli import main\nsys.exit(main())\n")
        command = [sys.executable, "-P", str(script)]
    done = subprocess.run(
        [*command, "info"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**ENVIRONMENT, name: "avx3"},
    )
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"fastnn: {name} must be one of ")
    assert line.endswith("got 'avx3'")


@pytest.mark.parametrize("option", ["--plot", "--json"])
def test_a_report_that_cannot_be_written_is_reported_before_the_race(
    option, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(race, "run", lambda *_, **__: pytest.fail("there was a race"))
    path = tmp_path / "missing" / "report.png"
    message = errors(["bench", option, str(path)], capsys)
    assert message == f"fastnn: {path}: No such file or directory"


def test_a_missing_extra_gets_one_line(monkeypatch, capsys):
    def without_extra():
        raise ImportError("Pillow is not installed:\npip install '.[images]'")

    monkeypatch.setattr(fastnn, "show_config", without_extra)
    message = errors(["info"], capsys)
    assert message == "fastnn: Pillow is not installed: pip install '.[images]'"


def test_an_error_without_words_is_named(monkeypatch, capsys):
    def exhaust():
        raise MemoryError

    monkeypatch.setattr(fastnn, "show_config", exhaust)
    assert errors(["info"], capsys) == "fastnn: MemoryError"


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_ctrl_c_ends_a_training_with_one_line_and_130(tmp_path):
    with subprocess.Popen(
        [*COMMAND, "demo", "--epochs", "1000000"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    ) as process:
        process.stdout.readline()  # of the summary: training begins
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=30)
    assert process.returncode == 130
    assert error.splitlines()[-1] == "fastnn: interrupted"
    assert "Traceback" not in error
    assert not list(tmp_path.iterdir())


def test_an_interrupted_demo_leaves_what_was_there(tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(fastnn.Network, "fit", interrupt)
    empty, new = tmp_path / "empty", tmp_path / "new"
    empty.mkdir()
    for folder in (empty, new):
        assert main(["demo", "--output", str(folder)]) == 130
    assert list(tmp_path.iterdir()) == [empty]


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX pipes")
@pytest.mark.parametrize("argument", ["info", "--help"])
def test_a_reader_that_went_away_is_no_error(argument):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed_pipe:
        done = run_process(argument, stdout=closed_pipe)
    assert (done.returncode, done.stderr) == (141, "")


def test_the_module_and_its_exit_code(tmp_path):
    done = run_process("dance", cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("fastnn: ")

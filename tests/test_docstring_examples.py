"""The examples of all docstrings: each runs as it is pasted, and shows what it says."""

import ast
import doctest
import inspect
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

import fastnn

FOLDER = Path(fastnn.__file__).parent
MODULES = {
    str(path.relative_to(FOLDER)): path
    for path in sorted(FOLDER.rglob("*.py*"))
    if path.suffix in (".py", ".pyx") and ">>> " in path.read_text(encoding="utf-8")
}
# Packages that the examples of a module or of a folder need.
EXTRAS = {
    "datasets/images.py": ["PIL"],
    "datasets/streams.py": ["pyarrow"],
    "exchange/keras_format.py": ["keras", "torch"],
    "exchange/onnx_reader.py": ["onnx"],
    "exchange/onnx_writer.py": ["onnx"],
    "exchange/sklearn_format.py": ["sklearn"],
    "exchange/torch_format.py": ["torch"],
    "history.py": ["matplotlib", "pandas"],
    "mpi.py": ["mpi4py"],
    "optimizers.py": ["scipy"],
    "plots": ["matplotlib"],
    "sklearn": ["sklearn"],
    "tabular": ["pandas", "pyarrow"],
}


def examples_of(path: Path) -> Iterator[doctest.DocTest]:
    """Those of each docstring, which share no names with others.

    They are read from the source: doctest's own search leaves out what is decorated or compiled.
    """
    parser = doctest.DocTestParser()
    with path.open(encoding="utf-8") as file:
        for token in tokenize.generate_tokens(file.readline):
            if token.type == tokenize.STRING and ">>> " in token.string:
                text = inspect.cleandoc(ast.literal_eval(token.string))
                yield parser.get_doctest(text, {}, path.stem, str(path), token.start[0] - 1)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own
@pytest.mark.parametrize("module", MODULES)
def test_examples_show_what_they_say(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    for package in EXTRAS.get(module, EXTRAS.get(module.partition("/")[0], [])):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for examples in examples_of(MODULES[module]):
        runner.run(examples, out=report.append)
    assert not report, "".join(report)
    assert list(tmp_path.iterdir()) == []  # no file is left behind

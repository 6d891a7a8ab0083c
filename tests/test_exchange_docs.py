"""The snippets of docs/exchange.md run as they are pasted."""

import os
from pathlib import Path

import pytest
from doc_snippets import snippets_of

SETUP, SNIPPETS, TITLES = snippets_of("exchange.md")
LIBRARIES = {
    "ONNX": "onnx",
    "Tables in ONNX": "onnx",
    "PyTorch": "torch",
    "Keras": "keras",
    "scikit-learn": "sklearn",
}


def test_every_section_but_the_last_has_a_snippet() -> None:
    assert len(SNIPPETS) == len(TITLES) - 1


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize(("title", "snippet"), list(zip(TITLES, SNIPPETS, strict=False)))
def test_a_snippet_runs_behind_the_first_one(
    title: str, snippet: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if title == "Keras" and "KERAS_BACKEND" not in os.environ:
        pytest.importorskip("torch")
        monkeypatch.setenv("KERAS_BACKEND", "torch")
    pytest.importorskip(LIBRARIES.get(title, "fastnn"))
    if title == "Tables in ONNX":
        pytest.importorskip("pyarrow")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(SETUP, names)
    exec(snippet, names)


def test_importing_the_package_imports_none_of_the_libraries(run_script) -> None:
    libraries = [*LIBRARIES.values(), "fastnn.exchange.torch_modules"]
    loaded = run_script(f"""
        import sys, fastnn
        assert "fastnn.exchange" not in sys.modules
        import fastnn.exchange
        print([name for name in {libraries} if name in sys.modules])
    """)
    assert loaded == "[]\n"


@pytest.mark.parametrize(
    ("call", "module", "extra"),
    [
        ("to_onnx(net)", "onnx", "onnx"),
        ("from_onnx('x')", "onnx", "onnx"),
        ("to_torch(net)", "torch", "torch"),
        ("from_torch(0)", "torch", "torch"),
        ("to_keras(net)", "keras", "keras"),
        ("from_keras(0)", "keras", "keras"),
        ("from_sklearn(0)", "sklearn", "sklearn"),
    ],
)
def test_a_missing_library_is_one_line_that_names_its_extra(
    call: str, module: str, extra: str, run_script
) -> None:
    said = run_script(f"""
        import sys
        from fastnn import Network
        from fastnn.exchange import *
        sys.modules[{module!r}] = None  # so that importing it fails
        net = Network.from_sizes([2, 1])
        try:
            {call}
        except ImportError as error:
            print(error)
    """)
    assert f"pip install '.[{extra}]'" in said
    assert said.count("\n") == 1

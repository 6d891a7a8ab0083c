"""The snippets of docs/scikit-learn.md run as they are pasted, and its tables are complete."""

import re
from pathlib import Path

import pytest
from doc_snippets import DOCS, snippets_of

pytest.importorskip("sklearn")
pytest.importorskip("pandas")

from sklearn import neural_network

from fastnn.sklearn import MLPClassifier, MLPRegressor

SETUP, OF_SECTIONS, TITLES = snippets_of("scikit-learn.md")


def test_every_section_has_a_snippet() -> None:
    assert len(OF_SECTIONS) == len(TITLES)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("snippet", OF_SECTIONS, ids=TITLES)
def test_a_snippet_runs_behind_the_first_one(
    snippet: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(SETUP, names)
    exec(snippet, names)
    printed = capsys.readouterr().out
    if "float32" in snippet:
        assert printed == "float32 float32\n"
    if "TfidfVectorizer" in snippet:
        assert printed == "['food']\n"
    if "samples seen" in snippet:
        assert printed == f"{41 * 400}\n"


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_the_page_names_every_parameter(name: str) -> None:
    ours = {"MLPClassifier": MLPClassifier, "MLPRegressor": MLPRegressor}[name]
    text = (DOCS / "scikit-learn.md").read_text()
    theirs = set(getattr(neural_network, name)().get_params())
    table = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", text, re.M))))
    assert set(ours().get_params()) - theirs <= table
    said = text[text.index("These parameters are") : text.index("So are the attributes")]
    assert theirs <= set(re.findall(r"`(\w+)`", said))

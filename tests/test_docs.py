"""The snippets of docs/training.md run as they are pasted."""

import re
from pathlib import Path

import pytest

TEXT = (Path(__file__).parents[1] / "docs" / "training.md").read_text()
SNIPPETS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.M | re.S)
SETUP, *OF_SECTIONS = SNIPPETS
TITLES = re.findall(r"^## (.*)$", TEXT, re.M)


def test_every_section_but_the_table_has_a_snippet() -> None:
    assert len(OF_SECTIONS) == len(TITLES) - 1


@pytest.mark.parametrize("snippet", OF_SECTIONS, ids=TITLES[:-1])
def test_a_snippet_runs_behind_the_first_one(
    snippet: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "lbfgs" in snippet:
        pytest.importorskip("scipy")
    if "fastnn.sklearn" in snippet:
        pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(SETUP, names)
    exec(snippet, names)
    if "again" in names:
        options = names["options"]
        uninterrupted = names["Network"](names["net"].layers, n_features=64, seed=0)
        whole = uninterrupted.fit(names["X_train"], names["y_train"], **options)
        assert names["again"].parameters.tobytes() == uninterrupted.parameters.tobytes()
        assert names["again"].history == whole

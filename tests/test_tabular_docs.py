"""The snippets of docs/tables.md run as they are pasted."""

import re
from pathlib import Path

import pytest

TEXT = (Path(__file__).parents[1] / "docs" / "tables.md").read_text()
SETUP, *OF_SECTIONS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.M | re.S)
TITLES = re.findall(r"^## (.*)$", TEXT, re.M)


def test_every_section_has_a_snippet() -> None:
    assert len(OF_SECTIONS) == len(TITLES)


@pytest.mark.parametrize("title", TITLES)
def test_a_snippet_runs_behind_the_first_two(
    title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for snippet in (SETUP, OF_SECTIONS[0], OF_SECTIONS[TITLES.index(title)]):
        exec(snippet, names)
    printed = capsys.readouterr().out
    assert "sold date" in printed
    assert "False" not in printed.splitlines()[-1]

"""The snippets of docs/tables.md run as they are pasted."""

from pathlib import Path

import pytest
from doc_snippets import snippets_of

SETUP, OF_SECTIONS, TITLES = snippets_of("tables.md")


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

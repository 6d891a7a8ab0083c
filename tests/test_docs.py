"""Snippets of training.md, many.md and plots.md run as they are pasted; links lead somewhere."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from doc_snippets import DOCS, snippets_of

import fastnn

README = DOCS.parent / "README.md"
SETUP, OF_SECTIONS, TITLES = snippets_of("training.md")
PLOTS_SETUP, OF_PLOTS, PLOTS_TITLES = snippets_of("plots.md")
MANY_SETUP, OF_MANY, MANY_TITLES = snippets_of("many.md")


def test_every_section_but_the_table_has_a_snippet() -> None:
    assert len(OF_SECTIONS) == len(TITLES) - 1


def test_every_section_on_pictures_has_a_snippet() -> None:
    assert len(OF_PLOTS) == len(PLOTS_TITLES)


@pytest.mark.parametrize("snippet", OF_SECTIONS, ids=TITLES[:-1])
def test_a_snippet_runs_behind_the_first_one(
    snippet: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "lbfgs" in snippet:
        pytest.importorskip("scipy")
    if ".plot(" in snippet:
        pytest.importorskip("matplotlib")
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


@pytest.mark.parametrize(("title", "snippet"), [*zip(MANY_TITLES, OF_MANY, strict=True)])
def test_a_snippet_on_many_networks_does_what_it_says(
    title: str, snippet: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(MANY_SETUP, names)
    exec(snippet, names)
    if title == "Train them in one call":
        assert [history.n_epochs for history in names["histories"]] == [5] * 4
    elif title == "Predict with all of them":
        found = names["ensemble"].evaluate(names["X_test"], names["y_test"])
        read = fastnn.Ensemble.load("digits.ensemble")
        assert read.evaluate(names["X_test"], names["y_test"]) == found
    elif title == "Cross-validate":
        assert names["result"].mean["accuracy"] > 0.9
    else:
        assert sorted(trial.epochs for trial in names["result"].trials) == [1] * 6 + [3, 3, 9]


@pytest.mark.parametrize("snippet", OF_PLOTS, ids=PLOTS_TITLES)
def test_a_snippet_draws_what_it_keeps(
    snippet: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    names: dict[str, object] = {}
    exec(PLOTS_SETUP, names)
    exec(snippet, names)
    kept = re.findall(r'savefig\("(\w+\.png)"', snippet)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)


def test_pictures_are_there_named_and_small() -> None:
    pages = {path: path.read_text() for path in [README, *DOCS.glob("*.md")]}
    named = {
        (path.parent / picture).resolve()
        for path, text in pages.items()
        for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", text)
    }
    there = {path.resolve() for path in (DOCS / "images").rglob("*.*")}
    assert named == there
    assert all(picture.stat().st_size < 60_000 for picture in there)


def anchors_of(page: Path) -> set[str]:
    """What the titles of a page are called in links."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [README, *sorted(DOCS.glob("*.md"))], ids=lambda page: page.name)
def test_links_lead_to_pages_and_sections(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!http)([^)#\s]*)(?:#([^)\s]*))?\)", page.read_text()):
        linked = page.parent / target if target else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors_of(linked), (target, anchor)


def test_the_readme_leads_to_every_page_and_extra() -> None:
    text = README.read_text()
    linked = set(re.findall(r"\(docs/([\w-]+\.md)", text[text.index("## Where to look") :]))
    assert linked == {page.name for page in DOCS.glob("*.md")}
    pyproject = tomllib.loads((README.parent / "pyproject.toml").read_text())
    rows = re.findall(r"^\| (`.*?`) \|", text[text.index("| extra |") :], re.M)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert set(pyproject["project"]["optional-dependencies"]) <= named

"""What people look for in a repository is there, and says the same as the package."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import fastnn

PROJECT = Path(__file__).parents[1]


def read(name: str) -> str:
    return (PROJECT / name).read_text()


def test_the_citation_has_the_version_and_the_license_of_the_package() -> None:
    fields = dict(re.findall(r"^([\w-]+): *(.+)$", read("CITATION.cff"), re.M))
    assert fields["cff-version"] == "1.2.0"
    assert fields["version"] == fastnn.__version__
    assert fields["license"] == tomllib.loads(read("pyproject.toml"))["project"]["license"]
    assert {"title", "message", "abstract", "authors", "type"} <= {
        line.split(":")[0] for line in read("CITATION.cff").splitlines()
    }


def test_the_readme_shows_a_picture_and_three_figures_before_it_speaks_of_installation() -> None:
    text = read("README.md")
    head = text[: text.index("## Install")]
    picture = head.index("(docs/images/demo.png)")
    figures = re.findall(r"^\|.*\*\*[\d.]+ \w+\*\*.*\|$", head, re.M)
    assert len(figures) == 3
    assert picture < head.index(figures[0])
    assert not re.search(r"\bpip\b|install -e", head)


@pytest.mark.parametrize("page", ["README.md", "SECURITY.md"])
def test_pictures_and_links_need_no_network_and_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", read(page)):
        assert target.startswith("https://") or (PROJECT / target).exists(), target
    for target in re.findall(r"!\[[^]]*\]\(([^)]+)\)", read(page)):
        assert not target.startswith("http"), target


def forms() -> list[Path]:
    return sorted((PROJECT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"))


@pytest.mark.parametrize("form", forms(), ids=lambda form: form.name)
def test_a_form_has_what_such_forms_need(form: Path) -> None:
    yaml = pytest.importorskip("yaml")
    content: dict[str, Any] = yaml.safe_load(form.read_text())
    assert {"name", "description", "body"} <= content.keys()
    ids = [field["id"] for field in content["body"]]
    assert len(ids) == len(set(ids)) > 0
    assert all(field["attributes"]["label"] for field in content["body"])


def test_commands_that_the_pages_name_exist() -> None:
    pages = [*(PROJECT / "docs").glob("*.md"), *PROJECT.glob("*.md"), *PROJECT.glob(".github/*.md")]
    named = {
        name for page in pages for name in re.findall(r"python -m (bench\.\w+)", page.read_text())
    }
    assert {"bench.history", "bench.peers"} <= named
    for name in named:
        path = PROJECT / name.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), name

"""The reference in docs/api has every public name."""

import importlib
import inspect
import re
from types import ModuleType

import pytest
from doc_snippets import DOCS

import fastnn
from fastnn import activations, initializers, losses, metrics, optimizers, schedules

PAGES = "\n".join(page.read_text() for page in sorted((DOCS / "api").glob("*.md")))
MODULES = ["datasets", "exchange", "mpi", "plots", "sklearn", "tabular"]


def documented() -> set[str]:
    """What the directives of the pages name, as users import it."""
    names, module, owner = set(), "", ""
    for line in PAGES.splitlines():
        if found := re.fullmatch(r"\.\. currentmodule:: (\S+)", line):
            module = found[1] + "."
        elif found := re.fullmatch(r"\.\. auto(\w+):: (\S+)", line):
            owner = found[2] if found[2].startswith("fastnn.") else module + found[2]
            names.add(owner)
        elif line == "```":
            module = ""
    return names


NAMES = documented()


def public(module: ModuleType) -> list[str]:
    """Names of functions, classes and values; not of modules, which have pages of their own."""
    return [
        f"{module.__name__}.{name}"
        for name in module.__all__
        if name != "__version__" and not inspect.ismodule(getattr(module, name))
    ]


@pytest.mark.parametrize("name", public(fastnn))
def test_a_public_name_is_in_the_reference(name: str) -> None:
    assert name in NAMES


@pytest.mark.parametrize("module", MODULES)
def test_the_names_of_a_submodule_are_in_the_reference(module: str) -> None:
    if module == "sklearn":
        pytest.importorskip("sklearn")
    assert set(public(importlib.import_module(f"fastnn.{module}"))) <= NAMES


def test_the_names_of_tables_are_in_the_reference() -> None:
    """Activations and initialisers have no class each, and metrics are functions."""
    text = (DOCS / "api" / "activations.md").read_text()
    for name in (*activations.ACTIVATIONS, *initializers.INITIALIZERS):
        assert f"`{name}`" in text
    assert {f"fastnn.metrics.{name}" for name in metrics.METRICS} <= NAMES
    for table in (losses.LOSSES, optimizers.ALL_OPTIMIZERS, schedules.SCHEDULES):
        assert {f"fastnn.{kind.__name__}" for kind in table.values()} <= NAMES


def test_the_front_page_of_the_reference_leads_to_every_page() -> None:
    text = (DOCS / "api" / "index.md").read_text()
    pages = {page.stem for page in (DOCS / "api").glob("*.md")} - {"index"}
    assert set(re.findall(r"\((\w+)\.md\)", text)) == pages
    listed = text[text.index("{toctree}") :].splitlines()
    assert {line for line in listed if re.fullmatch(r"\w+", line)} == pages

"""The order of the sources: floors, sizes of files, the map in CONTRIBUTING."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent  # the sources, also where a copy of them is installed
SOURCES = sorted(
    path
    for path in (ROOT / "fastnn").rglob("*")
    if path.suffix in (".py", ".pyx", ".pxd") and "__pycache__" not in path.parts
)
names = [str(path.relative_to(ROOT / "fastnn")) for path in SOURCES]


def code_lines(path: Path) -> int:
    """Lines but for those of docstrings: strings that stand alone."""
    text = path.read_text()
    if path.suffix == ".py":
        docstrings = sum(
            node.end_lineno - node.lineno + 1
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
            and node.end_lineno is not None
        )
    else:  # not Python for `ast`, but its strings are for `tokenize`
        docstrings = sum(
            token.end[0] - token.start[0] + 1
            for token in tokenize.generate_tokens(io.StringIO(text).readline)
            if token.type == tokenize.STRING and token.string.startswith('"""')
        )
    return len(text.splitlines()) - docstrings


@pytest.mark.parametrize("path", SOURCES, ids=names)
def test_no_file_is_longer_than_500_lines_without_its_docstrings(path: Path) -> None:
    assert code_lines(path) <= 500


@pytest.mark.parametrize("path", SOURCES, ids=names)
def test_the_map_names_every_file(path: Path) -> None:
    place = path.relative_to(ROOT / "fastnn")
    contributing = (ROOT / "CONTRIBUTING.md").read_text()
    if place.name == "__init__.py":
        return
    if place.parts[0] in ("datasets", "reference"):
        assert f"`{place.parts[0]}/`" in contributing
    elif place.parts[0] == "_core":
        assert re.search(rf"`{place.stem}(\.pxd)?`", contributing)
    else:
        assert f"`{place}`" in contributing


FACES = {
    "cli", "__main__", "race", "contestants", "timing", "datasets", "exchange", "sklearn",
    "tabular", "mpi"
}  # fmt: skip


@pytest.mark.parametrize("path", SOURCES, ids=names)
def test_imports_go_down_and_never_up(path: Path) -> None:
    floor = path.relative_to(ROOT / "fastnn").parts[0].removesuffix(".py")
    if floor in FACES or floor == "__init__":
        return
    text = path.read_text()
    imported = re.findall(
        r"^\s*(?:from|import|cimport) (fastnn[\w.]*)(?: c?import (.*))?", text, re.M
    )
    modules = {
        f"{module}.{name.strip(' (')}" if module == "fastnn" else module
        for module, names in imported
        for name in (names or "").split(",")
    }
    parts = {module.split(".")[1] for module in modules if "." in module}
    if floor == "_core":
        assert parts <= {"_core"}
    elif floor == "reference":
        assert parts <= {"reference"}
    else:
        assert not parts & (FACES | {"reference"})
        if path.stem in ("_frames", "_keywords"):
            assert not parts & {"network"}

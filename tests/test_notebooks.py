"""The form of the notebooks in examples/: sources in jupytext's percent format, made to be read.

The build of the documentation runs them. Here they are only looked at.
"""

import ast
import re
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "examples").glob("[0-9]*.py"))

LONGEST_CELL = 25  # lines of code
NETWORK_MODULES = {"ftplib", "http", "httpx", "requests", "socket", "urllib"}

GOOD = """\
# %% [markdown]
# # A title
#
# Words.

# %%
print("code")

# %% [markdown]
# Words.
#
# ## Questions to try
#
# 1. One?
# 2. Two?
# 3. Three?
# 4. Four?
"""


def cells(text: str) -> list[tuple[str, str]]:
    """The kind ("markdown" or "code") and the source of each cell."""
    parts = re.split(r"^# %%(.*)\n", text, flags=re.M)
    if parts[0]:
        raise ValueError("something stands before the first cell")
    kinds = {"": "code", " [markdown]": "markdown"}
    pairs = zip(parts[1::2], parts[2::2], strict=True)
    return [(kinds[kind], source.strip("\n")) for kind, source in pairs]


def problems_of_code(source: str) -> list[str]:
    found = []
    n_lines = len(source.splitlines())
    if n_lines > LONGEST_CELL:
        found.append(f"{n_lines} lines in a cell")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if re.match(r"/\w+/|~/|[A-Za-z]:[\\/]", node.value):
                found.append(f"absolute path {node.value!r}")
            if "://" in node.value:
                found.append(f"address {node.value!r}")
        modules = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
        network = {module.split(".")[0] for module in modules} & NETWORK_MODULES
        found += [f"import of {module}" for module in sorted(network)]
    return found


def problems(text: str) -> list[str]:
    """What is not in the form of the house, in words."""
    all_cells = cells(text)
    found = []
    for kind, source in all_cells:
        if kind == "code":
            found += problems_of_code(source)
        elif not all(line.startswith("#") for line in source.splitlines()):
            found.append("a line of text that is no comment")
    if all_cells[0][0] != "markdown" or not all_cells[0][1].startswith("# # "):
        found.append("no title")
    kind, last = all_cells[-1]
    _, heading, questions = last.partition("# ## Questions to try\n")
    if kind != "markdown" or not heading:
        found.append("no questions at the end")
    elif not 4 <= len(re.findall(r"^# \d\. ", questions, re.M)) <= 6:
        found.append("not 4 to 6 questions")
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_has_the_form_of_the_house(path: Path) -> None:
    assert problems(path.read_text()) == []


def test_there_are_notebooks_with_different_numbers() -> None:
    numbers = [path.name[:2] for path in NOTEBOOKS]
    assert numbers[:1] == ["01"]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("", "", ""),
        ("# # A title", "# A title", "no title"),
        ("# %%\nprint", "# %%\n" + 25 * "\n#" + "\nprint", "lines in a cell"),
        ("# ## Questions to try", "# ## Questions", "no questions at the end"),
        ("# 4. Four?\n", "# 4. Four?\n# %%\nprint()", "no questions at the end"),
        ("# 1. One?\n", "", "not 4 to 6 questions"),
        ("# Words.", "Words.", "a line of text that is no comment"),
        ('"code"', '"/home/me/table.csv"', "absolute path"),
        ('"code"', '"https://example.org/table.csv"', "address"),
        ('print("code")', "from urllib.request import urlopen", "import of urllib"),
    ],
)
def test_what_is_not_in_the_form_is_found(old: str, new: str, problem: str) -> None:
    found = problems(GOOD.replace(old, new, 1) if old else GOOD)
    assert [problem in each for each in found] == ([True] if problem else [])

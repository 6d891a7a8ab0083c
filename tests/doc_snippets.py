"""The Python snippets of a page of docs/."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def snippets_of(page: str) -> tuple[str, list[str], list[str]]:
    """The first snippet, those behind it, and the titles of the sections."""
    text = (DOCS / page).read_text()
    setup, *of_sections = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    return setup, of_sections, re.findall(r"^## (.*)$", text, re.M)

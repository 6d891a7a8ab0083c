"""The pages for those who come from scikit-learn, Keras or PyTorch run as they are pasted."""

import re
from pathlib import Path
from typing import Any

import pytest
from doc_snippets import DOCS

PAGES = ["from-scikit-learn.md", "from-keras.md", "from-pytorch.md"]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")  # scikit-learn: of a fixed max_iter
def test_the_snippets_of_a_page_run_one_after_the_other(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snippets = re.findall(r"^```python\n(.*?)^```$", (DOCS / page).read_text(), re.M | re.S)
    if any("sklearn" in snippet for snippet in snippets):
        pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for snippet in snippets:
        exec(snippet, names)
    if "scikit" in page:
        scores = names["theirs"].score(names["X_test"], names["y_test"])
        ours = names["net"].evaluate(names["X_test"], names["y_test"])["accuracy"]
        assert abs(ours - scores) < 0.05
    else:
        assert names["net"].evaluate(names["X_test"], names["y_test"])["accuracy"] > 0.9

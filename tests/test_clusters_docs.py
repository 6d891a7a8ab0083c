"""The snippets of docs/clusters.md run as scripts."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from doc_snippets import snippets_of

import fastnn

SETUP, OF_SECTIONS, TITLES = snippets_of("clusters.md")
PRINTED = {
    "Threads of a worker": r"1\n2\n",
    "Searches of scikit-learn": r"\{'alpha': [\d.]+\}\n\{'alpha': .*'max_iter': 27\}\n",
    "Optuna": r"\[.*'PRUNED'.*\] \{'width': \d+, 'learning_rate': [\d.]+\}\n",
    "Data in blocks": r"loss 0\.\d+\nright: 9\d\.\d%\n",
    "When something goes wrong": (
        r"TerminatedWorkerError\n\[0\.\d+ +nan\] \{'learning_rate_init': 0\.01\}\n"
    ),
}


def test_every_section_has_a_snippet_and_a_test() -> None:
    assert len(OF_SECTIONS) == len(TITLES)
    assert list(PRINTED) == TITLES


@pytest.mark.parametrize(
    ("title", "snippet"), list(zip(TITLES, OF_SECTIONS, strict=True)), ids=TITLES
)
def test_a_snippet_runs_behind_the_first_one(title: str, snippet: str, tmp_path: Path) -> None:
    for library in set(re.findall(r"^(?:from|import) (dask|optuna|sklearn)", snippet, re.M)):
        pytest.importorskip("distributed" if library == "dask" else library)
    script = tmp_path / "script.py"
    script.write_text(SETUP + snippet)
    result = subprocess.run(
        [sys.executable, "-P", str(script)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(fastnn.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert re.fullmatch(PRINTED[title], result.stdout), result.stdout

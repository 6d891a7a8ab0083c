"""The guides whose snippets go on from one another run as they are pasted; the front page."""

import re
from pathlib import Path
from typing import Any

import pytest
from doc_snippets import DOCS

from fastnn.exchange import CSource

ROOT = DOCS.parent
EXTRAS = {
    "from-scikit-learn": ["sklearn"],
    "images-guide": ["PIL", "matplotlib"],
    "tour": ["matplotlib"],
}


def run(page: str) -> dict[str, Any]:
    """All snippets of a page, one after the other."""
    for module in EXTRAS.get(page, []):
        pytest.importorskip(module)
    text = (DOCS / f"{page}.md").read_text()
    names: dict[str, Any] = {}
    for snippet in re.findall(r"^```(?:\{code-cell\} )?python\n(.*?)^```$", text, re.M | re.S):
        exec(snippet, names)
    return names


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")


def test_the_tour_ends_with_networks_that_have_learnt(capsys: pytest.CaptureFixture[str]) -> None:
    names = run("tour")
    assert names["net"].evaluate(names["X_test"], names["y_test"])["accuracy"] > 0.95
    assert names["model"].validation_scores["model"]["r2"] > 0.9
    assert "False" not in capsys.readouterr().out


def test_the_guide_on_building_says_what_it_builds(capsys: pytest.CaptureFixture[str]) -> None:
    names = run("building")
    assert [layer.trainable for layer in names["frozen"].layers[:2]] == [False, True]
    assert names["custom"].weights[0].tolist() == [[1, -2], [1, -1]]
    assert "17482 0.06" in capsys.readouterr().out


def test_predictions_in_real_time_are_those_of_predict_proba() -> None:
    names = run("real-time")
    expected = names["net"].predict_proba(names["row"][None])[0]
    assert names["out"].tobytes() == expected.tobytes()
    assert [len(answers) for answers in names["answers"]] == [100, 100]
    assert isinstance(names["made"], CSource)


def test_the_guide_on_reproducing_reproduces() -> None:
    names = run("reproducibility")  # which asserts what it claims
    assert names["rest"].parameters.tobytes() != names["first"].parameters.tobytes()


def test_the_guide_on_images_learns_from_its_folder() -> None:
    names = run("images-guide")
    assert names["class_names"] == ["even", "odd"]
    assert names["net"].evaluate(names["X_test"], names["y_test"])["accuracy"] > 0.8


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")  # scikit-learn: of a fixed max_iter
def test_scikit_learns_training_and_the_same_here_come_to_the_same() -> None:
    names = run("from-scikit-learn")
    theirs = names["theirs"].score(names["X_test"], names["y_test"])
    ours = names["net"].evaluate(names["X_test"], names["y_test"])["accuracy"]
    assert abs(ours - theirs) < 0.05


@pytest.mark.parametrize("page", ["from-keras", "from-pytorch"])
def test_the_trainings_of_those_who_come_from_elsewhere_learn(page: str) -> None:
    names = run(page)
    assert names["net"].evaluate(names["X_test"], names["y_test"])["accuracy"] > 0.9


def test_the_guide_on_trouble_shows_both_errors(capsys: pytest.CaptureFixture[str]) -> None:
    run("troubleshooting")
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("X[12, 3] is NaN")
    assert "layers[1], Dense(1, 'linear'), is the first" in printed[1]
    assert printed[2].startswith("True ")


def test_the_patch_of_a_new_activation_fits_the_sources() -> None:
    text = (DOCS / "new-activation.md").read_text()
    patch = re.findall(r"^```diff\n(.*?)^```$", text, re.M | re.S)[0]
    changed = set()
    for part in re.split(r"^--- a/.*\n", patch, flags=re.M)[1:]:
        name = part.splitlines()[0].removeprefix("+++ b/")
        source = (ROOT / name).read_text()
        for hunk in re.split(r"^@@ .*\n", part, flags=re.M)[1:]:
            before = [line[1:] for line in hunk.splitlines() if not line.startswith("+")]
            assert "\n".join(before) in source, name
        changed.add(name)
    assert len(changed) == 5


def test_the_tasks_of_the_front_page_are_a_click_away() -> None:
    rows = re.findall(r"^\| (.+?) \| (.*\]\(.*\).*) \|$", (DOCS / "index.md").read_text(), re.M)
    tasks = [
        "train on a CSV", "get the gradient", "add an activation", "export a network to C",
        "know where a NaN", "know what is wrong", "resume", "sweep",
        "predict in a microsecond", "reproduce a run", "use two machines",
    ]  # fmt: skip
    assert len(rows) == len(tasks)
    for (text, links), task in zip(rows, tasks, strict=True):
        assert text.startswith(task)
        page = (DOCS / re.findall(r"\]\(([\w-]+\.md)", links)[0]).read_text()
        assert re.search(r"^```(\{code-cell\} )?(python|sh|diff)$", page, re.M)

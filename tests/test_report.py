"""The report of a training: what is in it, whatever names and sizes a table has."""

import base64
import re
import sys
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastnn import History
from fastnn.cli.report import HeldOut, write_report

NAMES = ["<script>alert(1)</script>", "\"'>&amp;", "$x_{", "日本語", "two\nlines", "long " * 1000]
HISTORIES = [
    History(loss=[1.0, 0.5, 0.25], accuracy=[0.5] * 3, val_loss=[1.0, 0.75, 0.875]),
    History(loss=[2.0, 1.0], accuracy=[0.5] * 2, val_loss=[1.5, 1.25]),
]


class Page(HTMLParser):
    """Elements, texts and pictures of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.words: list[str] = []
        self.pictures: dict[str, bytes] = {}
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.text = "\n".join(self.words)

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        given = {key: value or "" for key, value in attrs}
        assert set(given) <= {"lang", "charset", "alt", "src"}
        if tag == "img":
            head, data = given["src"].split(",")
            assert head == "data:image/svg+xml;base64"
            self.pictures[given["alt"]] = base64.b64decode(data)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def result(task: str, classes: Sequence[Any], **more: Any) -> dict[str, Any]:
    return {
        "data": "t.csv",
        "target": {"name": NAMES[0], "task": task, "classes": list(classes)},
        "seed": 0,
        "members": 2,
        "warnings": [],
        "confusion": None,
        "importance": {},
        **more,
    }


def report(path: Path, *arguments: Any) -> Page:
    """Written without a warning; nothing in it is run or loaded from elsewhere."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_report(path / "r.html", *arguments)
    page = Page(path / "r.html")
    body = {"html", "meta", "title", "style", "h1", "h2", "pre", "p", "br", "img", "footer"}
    assert page.tags <= body
    assert "http" not in re.sub(r'base64,[^"]*', "", page.source)
    for picture in page.pictures.values():
        root = ElementTree.fromstring(picture)
        assert not [each for each in root.iter() if each.tag.endswith("script")]
    return page


def test_two_classes_have_all_pictures_of_a_classifier(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    true = np.array(["no", "yes"])[np.arange(40) % 2]
    sure = np.linspace(0, 1, 40)
    output = np.column_stack([1 - sure, sure])
    content = result("classification", ["no", "yes"], confusion=[[19, 1], [0, 20]])
    content["importance"] = {"a": 0.5, "b": 0.0}
    page = report(tmp_path, content, {}, HISTORIES, HeldOut(true, output))
    assert list(page.pictures) == [
        "learning curves",
        "confusion matrix",
        "receiver operating characteristic",
        "precision and recall",
        "calibration",
        "importance of the columns",
    ]
    assert "calibration, of 40 rows that were held out" in page.text


def test_a_regression_has_predicted_and_true_numbers(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    numbers = np.arange(40.0)
    page = report(tmp_path, result("regression", []), {}, HISTORIES, HeldOut(numbers, numbers))
    assert list(page.pictures) == [
        "learning curves",
        "predictions",
    ]


def test_the_training_is_a_table_too(tmp_path: Path) -> None:
    page = report(tmp_path, result("regression", []), {}, HISTORIES)
    lines = [line.split() for line in page.text.splitlines()]
    assert ["1", "3", "2", "0.5000", "0.7500"] in lines
    assert ["2", "2", "2", "1.0000", "1.2500"] in lines
    assert ["3", "0.2500", "0.5000", "0.8750"] in lines  # the first one's last epoch
    many = report(tmp_path, result("regression", []), {}, HISTORIES * 128)
    assert "16 of 256" in many.text
    assert len(many.source) < 1_000_000


def test_the_confusion_matrix_has_the_counts_of_all_rows(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    counts = [[3, 0, 1], [0, 0, 0], [0, 25, 70]]
    content = result("classification", [1.5, 2.5, 10.0], confusion=counts)
    drawn: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        from fastnn import plots

        real = plots.confusion_matrix
        patch.setattr(plots, "confusion_matrix", lambda *of: drawn.append(of) or real(*of))
        report(tmp_path, content, {})
    ((true, predicted),) = drawn
    for i, a in enumerate([1.5, 2.5, 10.0]):
        for j, b in enumerate([1.5, 2.5, 10.0]):
            assert np.sum((true == a) & (predicted == b)) == counts[i][j]


@pytest.mark.parametrize("n_classes", [2, 6])
def test_names_are_text(n_classes: int, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    classes = sorted(NAMES)[:n_classes]
    true = np.array(classes)[np.arange(60) % n_classes]
    content = result(
        "classification",
        classes,
        confusion=np.eye(n_classes, dtype=int).tolist(),
        importance=dict.fromkeys(NAMES, 0.25),
        warnings=NAMES,
    )
    output = np.tile(np.linspace(0, 1, 60)[:, np.newaxis], n_classes)
    page = report(tmp_path, content, {NAMES[0]: NAMES[1]}, HISTORIES, HeldOut(true, output))
    assert len(page.pictures) == (6 if n_classes == 2 else 3)
    for name in NAMES:
        assert name in page.text


def test_thousands_of_classes_and_columns_are_a_small_page(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    classes = [f"class {i}" for i in range(1000)]
    content = result("classification", classes, confusion=np.eye(1000, dtype=int).tolist())
    content["importance"] = {f"column {i}": 1.0 / (i + 1) for i in range(2000)}
    true = np.repeat(classes, 2)
    output = np.full((2000, 1000), 1e-3)
    page = report(tmp_path, content, {}, HISTORIES, HeldOut(true, output))
    assert list(page.pictures) == [
        "learning curves",
        "confusion matrix",
        "importance of the columns",
    ]
    assert len(page.source) < 1_000_000


def test_many_rows_are_a_small_page(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rng = np.random.default_rng(0)
    sure, numbers = rng.random(2000), rng.normal(size=2000)
    true = (rng.random(2000) < sure).astype(int)
    content = result("classification", [0, 1])
    page = report(tmp_path, content, {}, (), HeldOut(true, np.column_stack([1 - sure, sure])))
    assert len(page.source) < 1_000_000
    page = report(tmp_path, result("regression", []), {}, (), HeldOut(numbers, numbers))
    assert len(page.source) < 1_000_000


def test_held_out_rows_of_one_class_have_no_curves(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    true, output = np.array(["a"] * 3), np.full((3, 2), 0.5)
    page = report(tmp_path, result("classification", ["a", "b"]), {}, (), HeldOut(true, output))
    assert page.pictures == {}


def test_without_matplotlib_the_tables_are_there_and_one_line_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    rows = HeldOut(np.arange(4.0), np.arange(4.0))
    with pytest.warns(UserWarning, match=r"^the report has no pictures: matplotlib is not inst"):
        write_report(tmp_path / "r.html", result("regression", []), {"a": "b"}, HISTORIES, rows)
    page = Page(tmp_path / "r.html")
    assert page.pictures == {}
    assert page.text.count("the extra 'plot' brings it: pip install '.[plot]'") == 1
    assert "best epoch" in page.text

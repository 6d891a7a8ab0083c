"""What a notebook shows of networks and histories: tables in HTML."""

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping

import pytest

import fastnn
from fastnn import Dense, Dropout, History, Network


def parse(html: str) -> tuple[list[str], list[list[str]], list[list[bool]], str]:
    """The head, the cells, which of them are bold, and the line below; what is not XML fails."""
    root = ElementTree.fromstring(f"<div>{html}</div>")
    head = ["".join(cell.itertext()) for cell in root.iter("th")]
    cells = [list(row.iter("td")) for row in root.iter("tr")][1:]
    texts = [["".join(cell.itertext()) for cell in row] for row in cells]
    bold = [[cell.find("b") is not None for cell in row] for row in cells]
    return head, texts, bold, root.findtext("p") or ""


def test_a_network_shows_its_summary() -> None:
    layers = [Dense(8, "relu", trainable=False), fastnn.BatchNorm(), Dropout(0.2), Dense(3)]
    net = Network(layers, n_features=1200, seed=0)
    head, texts, _, below = parse(net._repr_html_())
    assert head == ["layer", "activation", "W", "b", "Z = A_prev W + b", "A", "parameters"]
    assert texts == [
        ["1", "relu", "(1200, 8)", "(8,)", "(n, 8)", "(n, 8)", "9,608, frozen"],
        ["2", "BatchNorm(0.9)", "(8,)", "(8,)", "", "(n, 8)", "16"],
        ["3", "Dropout(0.2)", "", "", "", "(n, 8)", "0"],
        ["4", "linear", "(8, 3)", "(3,)", "(n, 3)", "(n, 3)", "27"],
    ]
    assert below == (
        "Network, X: (n, 1200), loss: mean_squared_error, dtype: float32, parameters: 9,651"
    )
    for word in (*head, *(cell for row in texts for cell in row)):
        assert word in net.summary()


def test_a_network_that_is_not_built_can_be_shown() -> None:
    _, texts, _, below = parse(Network([Dense(2, "tanh")])._repr_html_())
    assert texts == [["1", "tanh", "(?, 2)", "(2,)", "(n, 2)", "(n, 2)", "?"]]
    assert "X: (n, ?)" in below
    assert "parameters: ?" in below


def test_a_history_shows_its_epochs_with_the_best_marked() -> None:
    history = History(
        loss=[3.0, 2.0, 1.0],
        val_accuracy=[0.5, 0.75, 0.75],
        val_loss=[2.0, 1.0, 4.0],
        learning_rate=[0.1, 0.1, 0.1],
        mine=[1.0, 2.0, 3.0],  # larger or smaller, nobody knows
    )
    assert history.best_epochs == {"loss": 3, "val_accuracy": 2, "val_loss": 2}
    head, texts, bold, below = parse(history._repr_html_())
    assert head == ["epoch", *history]
    assert [row[0] for row in texts] == ["1", "2", "3"]
    assert texts[1][1:] == ["2.0000", "0.7500", "1.0000", "0.1000", "2.0000"]
    marked = {
        (i, head[j]) for i, row in enumerate(bold) for j, is_bold in enumerate(row) if is_bold
    }
    assert marked == {(2, "loss"), (1, "val_accuracy"), (1, "val_loss")}
    assert below == "3 epochs; the best of each column is bold"


def test_a_long_history_is_shortened_but_keeps_the_best() -> None:
    losses = [abs(epoch - 777) + 1.0 for epoch in range(1, 1201)]
    _, texts, bold, below = parse(History(loss=losses)._repr_html_())
    epochs = [int(row[0]) for row in texts]
    assert len(epochs) == 21
    assert epochs == sorted(epochs)
    assert {1, 777, 1200} <= set(epochs)
    assert [row[0] for row, marks in zip(texts, bold, strict=True) if marks[1]] == ["777"]
    assert below == "1,200 epochs, 21 of them shown; the best of each column is bold"


@pytest.mark.parametrize(
    ("series", "below"),
    [
        ({}, "0 epochs"),
        ({"loss": []}, "0 epochs"),
        ({"mine": [1.0]}, "1 epoch"),
        ({"val_f1": [math.nan, math.nan]}, "2 epochs"),
        ({"loss": [1.0, 0.5], "accuracy": [0.5]}, "1 epoch; the best of each column is bold"),
    ],
)
def test_short_histories(series: Mapping[str, list[float]], below: str) -> None:
    _, texts, _, last = parse(History(series)._repr_html_())
    assert last == below
    assert len(texts) == int(below[0])


def test_a_metric_that_is_not_a_number_is_not_the_best() -> None:
    _, texts, bold, _ = parse(History(val_auc=[math.nan, 0.5, 0.25])._repr_html_())
    assert texts[0] == ["1", "nan"]
    assert [marks[1] for marks in bold] == [False, True, False]


def test_names_are_escaped() -> None:
    class Net(Network):
        pass

    Net.__name__ = "<script>alert(1)</script>"
    html = Net([Dense(1)])._repr_html_() + History({"<b>&loss": [1.0]})._repr_html_()
    assert "&lt;script&gt;" in html
    assert "&lt;b&gt;&amp;loss" in html
    assert "<script>" not in html
    assert "<b>&loss" not in html

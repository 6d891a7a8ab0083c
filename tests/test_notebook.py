"""A real kernel of Jupyter's: what it shows of networks, histories, pictures and training."""

import os
from pathlib import Path
from typing import Any

import pytest

import fastnn

for module in ("ipykernel", "ipywidgets", "matplotlib", "nbclient"):
    pytest.importorskip(module)

SETUP = """
import numpy as np
from fastnn import Dense, Network, StopTraining, plots
random = np.random.default_rng(0)
X, y = random.normal(size=(100, 3)), random.integers(0, 2, 100)
net = Network([Dense(4, "relu"), Dense(2, "softmax")], 3, seed=0)

def end(error):
    def callback(net, epoch, metrics):
        if epoch == 2:
            raise error
    return callback
"""
CELLS = {
    "network": "net",
    "history": "net.fit(X, y, epochs=3)",
    "picture": "net.history.plot()",
    "named picture": "ax = plots.network(net); ax.set_title('mine')",
    "left in pyplot": "from matplotlib import pyplot; print(pyplot.get_fignums())",
    "done": "net.fit(X, y, epochs=4, progress=True);",
    "stopped": "net.fit(X, y, epochs=8, progress=True, callbacks=end(StopTraining));",
    "failed": "net.fit(X, y, epochs=8, progress=True, callbacks=end(OSError))",
}


@pytest.fixture(scope="module")
def shown() -> dict[str, Any]:
    """What each cell has shown, and the state of all widgets."""
    import nbclient
    import nbformat

    cells = [nbformat.v4.new_code_cell(source) for source in (SETUP, *CELLS.values())]
    notebook = nbformat.v4.new_notebook(cells=cells)
    client = nbclient.NotebookClient(notebook, timeout=60, allow_errors=True)
    environment = {**os.environ, "PYTHONPATH": str(Path(fastnn.__file__).parents[1])}
    client.execute(env=environment)
    outputs = {name: cell.outputs for name, cell in zip(CELLS, cells[1:], strict=True)}
    return {**outputs, "widgets": client.widget_state}


def data(outputs: Any) -> dict[str, Any]:
    return {kind: value for output in outputs for kind, value in output.get("data", {}).items()}


@pytest.mark.parametrize("cell", ["network", "history"])
def test_tables(shown: dict[str, Any], cell: str) -> None:
    assert data(shown[cell])["text/html"].startswith("<table>")


@pytest.mark.parametrize("cell", ["picture", "named picture"])
def test_a_picture_is_shown_once_at_the_end_of_the_cell(shown: dict[str, Any], cell: str) -> None:
    pictures = [output for output in shown[cell] if "image/png" in output.get("data", {})]
    assert len(pictures) == 1


def test_no_figure_is_left_in_pyplot(shown: dict[str, Any]) -> None:
    assert [output["text"] for output in shown["left in pyplot"]] == ["[]\n"]


@pytest.mark.parametrize(
    ("cell", "text", "value", "total", "style"),
    [
        ("done", "epoch 4/4: 100%", 4, 4, "success"),
        ("stopped", "epoch 2/8: 100%", 2, 2, "success"),
        ("failed", "epoch 2/8:  25%", 2, 8, "danger"),
    ],
)
def test_the_bar_tells_how_the_training_has_ended(
    shown: dict[str, Any], cell: str, text: str, value: float, total: float, style: str
) -> None:
    view = data(shown[cell])["application/vnd.jupyter.widget-view+json"]
    widgets = shown["widgets"]
    children = widgets[view["model_id"]]["children"]
    left, bar, _ = (widgets[child.removeprefix("IPY_MODEL_")] for child in children)
    assert left["value"].replace("\u2007", " ") == text
    assert (bar["value"], bar["max"], bar["bar_style"]) == (value, total, style)

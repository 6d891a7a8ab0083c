"""The documentation site: `python -m sphinx -W docs docs/_build`. It needs the extra `docs`."""

import shutil
import sys
from pathlib import Path

from sphinx.application import Sphinx

HERE = Path(__file__).parent
if not sys.flags.safe_path and sys.path[0] in ("", str(HERE.parent)):
    sys.path.append(sys.path.pop(0))  # an installed fastnn is found before the sources here

import fastnn  # noqa: E402

EXAMPLES = HERE.parent / "examples"
NOTEBOOKS = HERE / "notebooks"  # copies: Sphinx reads nothing outside of its folder

sys.path.insert(0, str(HERE / "_ext"))

project = "fastnn"
author = "The fastnn developers"
copyright = author
version = release = fastnn.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_nb",
    "sphinx_design",
    "mathml",
]
exclude_patterns = ["_build", "_ext", "jupyter_execute", "conf.py"]

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4

autodoc_member_order = "bysource"
toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"  # the docstrings have the types, with shapes
autosummary_generate = False  # its tables only
default_role = "py:obj"
numpydoc_show_class_members = False

nb_custom_formats = {".py": ["jupytext.reads", {"fmt": "py:percent"}]}
nb_execution_mode = "cache"
nb_execution_cache_path = str(HERE / "_build" / ".jupyter_cache")
nb_execution_raise_on_error = True
nb_execution_timeout = 120  # seconds a cell
nb_execution_in_temp = True
nb_ipywidgets_js = {}  # would be fetched from elsewhere by the reader's browser

html_theme = "pydata_sphinx_theme"
html_title = "fastnn"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_theme_options = {"secondary_sidebar_items": {"**": ["page-toc"], "index": []}}
html_sidebars = {"index": [], "tour": []}


def copy_notebooks(app: Sphinx) -> None:
    """The sources of the notebooks, with their times, which say what has to be built again."""
    shutil.rmtree(NOTEBOOKS, ignore_errors=True)
    NOTEBOOKS.mkdir()
    for path in EXAMPLES.glob("[0-9]*.py"):
        copy = NOTEBOOKS / path.name
        copy.write_text(path.read_text().replace("](../docs/", "](../"))
        shutil.copystat(path, copy)


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", copy_notebooks)

"""Measurements: one script a question. Timings live here, never in the tests.

In the project's folder ``python -m bench.peers`` puts that folder first on the module path, and its
``fastnn`` has no compiled core unless it was built in place. So the folder goes to the end: an
installed fastnn is found before it.
"""

import sys
from pathlib import Path

_project = str(Path(__file__).resolve().parents[1])
if not sys.flags.safe_path and sys.path[0] in ("", _project):
    sys.path.append(sys.path.pop(0))

"""Fixtures that several test files share."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

import fastnn


@pytest.fixture
def run_script() -> Callable[..., str]:
    """Runs Python code in a process of its own and gives what it printed; its failure is ours."""

    def run(script: str, timeout: float = 60, **environment: str) -> str:
        root = Path(fastnn.__file__).parent.parent
        result = subprocess.run(
            [sys.executable, "-P", "-c", textwrap.dedent(script)],
            env={**os.environ, "PYTHONPATH": str(root), **environment},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert result.returncode == 0, f"exit {result.returncode}: {result.stdout}{result.stderr}"
        return result.stdout

    return run

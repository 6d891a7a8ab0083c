"""Fixtures that several test files share."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

import fastnn


def pytest_configure() -> None:
    """Programs that the tests interrupt are to hear it, also where a shell that runs the tests in
    the background has let them ignore SIGINT, which children inherit."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


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

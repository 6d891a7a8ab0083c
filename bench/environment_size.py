"""How large is a fresh environment with fastnn and all it needs? At most 115 MB.

Installs the project, and NumPy alone, into two new virtual environments by this Python's pip, which
may download. Exit code 1 above the bar.
"""

import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

BAR = 115  # MB
PROJECT = Path(__file__).resolve().parents[1]


def installed_mb(requirement: str) -> float:
    """Size of site-packages, in 10**6 bytes, after installing one thing into nothing."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=False)
        python = str(Path(folder, "bin", "python"))
        command = [sys.executable, "-m", "pip", "--quiet", "--python", python, "install"]
        subprocess.run([*command, requirement], check=True)
        variables = {"base": folder, "platbase": folder}
        packages = Path(sysconfig.get_path("purelib", scheme="venv", vars=variables))
        return sum(path.lstat().st_size for path in packages.rglob("*") if path.is_file()) / 1e6


def main() -> int:
    ours, numpy = installed_mb(str(PROJECT)), installed_mb("numpy")
    print(f"with fastnn {ours:.1f} MB, with NumPy alone {numpy:.1f} MB; the bar is {BAR}")
    return int(ours > BAR)


if __name__ == "__main__":
    sys.exit(main())

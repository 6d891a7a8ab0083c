"""What does ``import fastnn`` cost beyond ``import numpy``? At most 40 ms.

Median of 15 pairs of fresh processes, in turn. Modules are compiled before, as pip leaves them.
Exit code 1 above the bar.
"""

import os
import statistics
import subprocess
import sys

BAR = 40  # ms
N_PAIRS = 15


def import_ms(module: str) -> float:
    code = (
        "from time import perf_counter; begin = perf_counter()\n"
        f"import {module}\n"
        "print(1000 * (perf_counter() - begin))"
    )
    command = [sys.executable, "-P", "-c", code]  # -P: not from the current folder
    keeps = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=keeps)
    return float(done.stdout)


def main() -> int:
    import_ms("fastnn")  # compiles, and reads the files into the page cache
    differences = [import_ms("fastnn") - import_ms("numpy") for _ in range(N_PAIRS)]
    extra = statistics.median(differences)
    print(
        f"import fastnn takes {extra:.1f} ms longer than import numpy "
        f"({min(differences):.1f} to {max(differences):.1f}); the bar is {BAR}"
    )
    return int(extra > BAR)


if __name__ == "__main__":
    sys.exit(main())

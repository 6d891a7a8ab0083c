"""How fast is the C file that `fastnn.exchange.to_c` writes, beside `Network.predictor`?

One row at a time. The C function is called in a loop in C, as C programs call it. The predictor is
called in a loop in Python, as Python programs call it, so its time includes that of a call from
Python. Both are timed in turn in this process; the median of the predictor's rounds counts, and the
best of C's. Exit code 1 if one row of 4-16-16-3 takes more than twice as long in C.

    python -m bench.c_source
    python -m bench.c_source --compiler clang --options=-O2
"""

import argparse
import ctypes
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from timeit import timeit

import numpy as np

from fastnn import Network
from fastnn.exchange import to_c
from fastnn.plots import format_duration
from fastnn.timing import Run, Timing, columns, difference, time_in_turn

SIZES = ([4, 16, 16, 3], [20, 64, 64, 2], [784, 128, 10])
BAR = 2.0  # of the first one
N_ROWS = 64
LOOP = """
void model_loop(const float *x, float *y, long n)
{{
    long i;
    for (i = 0; i < n; i++)
        model_predict(x + i % {n_rows} * {n_in}, y + i % {n_rows} * {n_out});
}}
"""


def contestants(
    net: Network, compiler: str, options: Sequence[str], folder: Path
) -> dict[str, Run]:
    """Both of them, warmed up and compared."""
    source, library = folder / "model.c", folder / f"{net.n_parameters}.so"
    to_c(net, source)
    loop = LOOP.format(n_rows=N_ROWS, n_in=net.n_features, n_out=net.n_outputs)
    source.write_text(source.read_text() + loop)
    command = [compiler, "-std=c99", *options, "-shared", "-fPIC", source, "-o", library, "-lm"]
    subprocess.run(command, check=True)
    function = ctypes.CDLL(str(library)).model_loop
    function.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_long)
    X = np.random.default_rng(0).standard_normal((N_ROWS, net.n_features)).astype(net.dtype)
    Y = np.empty((N_ROWS, net.n_outputs), net.dtype)
    called = {"f": net.predictor(), "x": X[:1].copy(), "y": Y[:1].copy()}

    function(X.ctypes.data, Y.ctypes.data, N_ROWS)
    assert difference(Y, net.predict_proba(X)) < 1e-6
    return {
        "fastnn predictor": lambda n: timeit("f(x, y)", globals=called, number=n),
        "C": lambda n: timeit(lambda: function(X.ctypes.data, Y.ctypes.data, n), number=1),
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.c_source", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--compiler", default="gcc", help="(default: gcc)")
    parser.add_argument("--options", default="-O3", help="of the compiler (default: -O3)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each (default: 1)")
    arguments = parser.parse_args(argv)

    rows: list[tuple[str, ...]] = [("one row", "predictor", "C", "ratio")]
    ratios = []
    for sizes in SIZES:
        net = Network.from_sizes(sizes, output="softmax", seed=0)
        with tempfile.TemporaryDirectory() as folder:
            runs = contestants(net, arguments.compiler, arguments.options.split(), Path(folder))
        timed = time_in_turn(
            lambda action, names=tuple(runs): {name: action(name) for name in names},
            lambda name, n, runs=runs: runs[name](n),
            seconds=arguments.seconds,
            n_rounds=10,
            seconds_at_most=60.0,
        )
        seconds = [Timing(name, rounds).seconds for name, rounds in timed.items()]
        ratios.append(seconds[1] / seconds[0])
        title = "-".join(map(str, sizes))
        rows.append((title, *map(format_duration, seconds), f"{ratios[-1]:.2f}"))
    print("\n".join(columns(rows)))
    return int(ratios[0] > BAR)


if __name__ == "__main__":
    sys.exit(main())

"""``fastnn bench``: race pure Python, NumPy and the frameworks installed here."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import fastnn
from fastnn import _validation
from fastnn.cli.parsing import DPI, Commands


def add(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "bench",
        help="race pure Python, NumPy and the frameworks installed here",
        description="Trains the same networks, from the same weights on the same mini-batches, by "
        "pure-Python\nloops, NumPy, fastnn, and scikit-learn, PyTorch and JAX where they are "
        "installed.\nChecks that all losses agree, then times them in turn.",
        epilog="examples:\n  fastnn bench\n  fastnn bench --quick --nets digits flower\n"
        "  fastnn bench --seconds 300 --plot race.png --json race.json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--nets",
        nargs="+",
        metavar="NET",
        help="which of logistic, flower, digits and mnist (default: all)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        help="about how long to time in all; checks and warming up come on top (default: 60)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="3 rounds instead of 5, in 8 seconds by default"
    )
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="write a bar chart (PNG, SVG, PDF)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure as JSON")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    from fastnn import race
    from fastnn.contestants import contestants
    from fastnn.plots import bar_chart
    from fastnn.plots.figures import new_figure

    names = list(dict.fromkeys(arguments.nets or race.NETS))
    unknown = [name for name in names if name not in race.NETS]
    if unknown:
        raise ValueError(f"--nets must be among {', '.join(race.NETS)}, got {', '.join(unknown)}")
    seconds = arguments.seconds if arguments.seconds is not None else 8 if arguments.quick else 60
    seconds = _validation.positive_number(seconds, "--seconds")
    # A file that cannot be written is better known before the race
    if arguments.plot is not None:
        new_figure(1, 1).savefig(arguments.plot)
    if arguments.json is not None:
        arguments.json.open("a").close()

    fastnn.show_config()
    peak = fastnn.config.fma_peak()
    races = []
    for name in names:
        races.append(
            race.run(
                name,
                contestants(),
                seconds=seconds / len(names),
                peak=peak,
                n_rounds=3 if arguments.quick else 5,
            )
        )
        print("\n" + race.table(races[-1]), flush=True)
    caption = race.caption(peak)
    print("\n" + "\n".join(caption))

    if arguments.plot is not None:
        groups = {r.description: {x.contestant: x.seconds for x in r.results} for r in races}
        figure: Any = bar_chart(groups, title="Duration of an epoch", caption=caption).figure
        figure.savefig(arguments.plot, dpi=DPI)
    if arguments.json is not None:
        report = {
            "configuration": fastnn.config.configuration(),
            "fma_peak_gflops": peak,
            "numpy_blas_threads": race.numpy_blas_threads(),
            "races": [asdict(r) for r in races],
        }
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")

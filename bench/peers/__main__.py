"""Is fastnn the fastest way to train and apply a small network on this CPU, and by how much?

fastnn runs beside NumPy, scikit-learn, PyTorch (eager and compiled), JAX and onnxruntime. Each has
a process of its own, and they are timed in turn. A library that is not installed is left out. Linux
only. Exit code 1 if a bar is missed, a process dies, or results disagree.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import closing, nullcontext
from pathlib import Path

import fastnn
from bench.peers import report
from bench.peers.field import PEERS, contestants_for, is_installed
from bench.peers.measure import Processes, Row, busy_core, measure, memory_bandwidth
from bench.peers.nets import NETS, ONE_THREAD
from bench.peers.process import cpus, openblas_core
from fastnn.plots.figures import new_figure


def main(argv: Sequence[str] | None = None) -> int:
    options = _options(argv)
    # A file that cannot be written is better known before the race
    if options.plot is not None:
        new_figure(1, 1).savefig(options.plot)
    if options.json is not None:
        options.json.open("a").close()

    fastnn.show_config()
    peak = fastnn.config.fma_peak()
    print(f"FMA peak {peak:.0f} GFLOP/s a core, float32")
    bandwidth = memory_bandwidth()
    peers = [name for name in options.peers if is_installed(name)]
    if absent := [name for name in options.peers if name not in peers]:
        print(f"not installed, left out: {', '.join(absent)}")
    print("\n" + "\n".join(report.CAPTION))
    if core := openblas_core():
        print(f"NumPy and scikit-learn run with {core}: their BLAS does not know this CPU.")

    rows: list[Row] = []
    versions: dict[str, str] = {}
    with busy_core() if options.busy else nullcontext():
        for threads in options.threads:
            with closing(Processes(threads)) as processes:
                for name in options.nets:
                    field = contestants_for(NETS[name], peers)
                    row = measure(
                        NETS[name],
                        [*field, ONE_THREAD] if threads > 1 else field,
                        processes,
                        seconds=options.seconds,
                        n_rounds=options.rounds,
                        quick=options.quick,
                        busy=options.busy,
                    )
                    rows.append(row)
                    print("\n" + report.table(row, bandwidth), flush=True)
                versions |= processes.versions

    print(f"\n{report.summary(rows)}\n")
    print(", ".join(f"{name} {version}" for name, version in versions.items()))
    print("\n".join(report.conclusions(rows)))
    if options.json is not None:
        document = {
            "configuration": fastnn.config.configuration(),
            "fma_peak_gflops": peak,
            "versions": versions,
            "environment_of_peers": core,
            "memory_bytes_a_second": bandwidth,
            "rows": report.as_json(rows),
        }
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    if options.plot is not None:
        alike = [row for row in rows if row.threads == rows[0].threads]
        report.plot(alike).figure.savefig(options.plot, dpi=150)
    missed = any(verdict.met is False for row in rows for verdict in report.verdicts(row))
    return int(missed or any(row.troubles for row in rows))


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    n_cpus = len(cpus())
    parser = argparse.ArgumentParser(
        prog="python -m bench.peers",
        description=__doc__,
        epilog=f"NET: {', '.join(NETS)}.\nPEER: {', '.join(PEERS)}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--nets", nargs="+", choices=NETS, default=list(NETS), metavar="NET")
    add("--peers", nargs="+", choices=PEERS, default=PEERS, metavar="PEER")
    add(
        "--threads",
        nargs="+",
        type=int,
        metavar="N",
        help="default: 1, and all CPUs; all CPUs if --busy",
    )
    add("--rounds", type=int, help="turns of each library on a net (default: 7; 2 if --quick)")
    add(
        "--seconds",
        type=float,
        help="to time each library on a net, over all turns (default: 2; 0.1 if --quick)",
    )
    add("--quick", action="store_true", help="few samples, no bars: does everything run and agree?")
    add("--busy", action="store_true", help="keep one core busy by another process")
    add("--json", type=Path, metavar="FILE", help="write every figure as JSON")
    add("--plot", type=Path, metavar="FILE", help="draw the first thread count's figures")
    options = parser.parse_args(argv)
    if options.rounds is None:
        options.rounds = 2 if options.quick else 7
    if options.seconds is None:
        options.seconds = 0.1 if options.quick else 2.0
    if options.threads is None:
        options.threads = [n_cpus] if options.busy else [1, n_cpus]
    options.threads = list(dict.fromkeys(options.threads))
    fewest = 2 if options.busy else 1
    if not all(fewest <= threads <= n_cpus for threads in options.threads):
        parser.error(f"--threads must be from {fewest} to {n_cpus}, got {options.threads}")
    if options.rounds < 1 or not options.seconds > 0:
        parser.error("--rounds and --seconds must be positive")
    return options


if __name__ == "__main__":
    sys.exit(main())

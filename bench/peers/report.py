"""What came out: a table a net, the bars, a summary in Markdown, JSON and a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bench.peers.field import is_ours
from bench.peers.measure import Result, Row
from bench.peers.nets import LOW_SHARE, NO_SLOWER_WHEN_BUSY, ONE_THREAD, Bar
from fastnn.plots import bar_chart, format_duration
from fastnn.timing import HEADINGS, columns, figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "CAPTION",
    "Verdict",
    "as_json",
    "conclusions",
    "marks",
    "plot",
    "summary",
    "table",
    "verdicts",
]

CAPTION = (
    "float32. Training: all start from the same weights and take the same consecutive "
    "mini-batches, without",
    "shuffling. Data are converted beforehand, and the loss is computed. Each library has a "
    "process of its own,",
    "with one thread on one CPU, and they run in turn.",
    "a step: one mini-batch, or one call; median of the rounds for fastnn, best round for all "
    "others.",
    "spread: slowest round minus fastest. ratio: time over that of fastnn; below 1 is faster.",
    "GFLOP/s counts matrix products only; peak: share of the fused multiply-adds of all threads.",
    "compiling: by how much the first run took longer than a later one; not part of a step.",
    f"mark: the best of fastnn is below {LOW_SHARE:.0%} of the peak, or behind a peer.",
)


@dataclass(frozen=True)
class Verdict:
    """A bar, and what came; `met` is None where it could not be measured."""

    text: str
    met: bool | None

    def __str__(self) -> str:
        return (
            f"{self.text} {'not measured' if self.met is None else 'met' if self.met else 'MISSED'}"
        )


def verdicts(row: Row) -> list[Verdict]:
    """What the bars say of a row; nothing with ``--quick``, whose figures mean nothing."""
    bars = row.net.bars if row.threads == 1 else row.net.team_bars
    if row.busy:
        bars = (NO_SLOWER_WHEN_BUSY,)
    return [] if row.quick else [verdict for bar in bars for verdict in _judge(row, bar)]


def _judge(row: Row, bar: Bar) -> Iterator[Verdict]:
    ours = row.result(bar.ours)
    if bar.ratio is not None:
        other = row.result(bar.against) if bar.against else row.fastest_peer
        name = other.contestant if other else bar.against or "the fastest peer"
        what = f"{bar.ours} against {name}"
        if ours and other:
            ratio = other.seconds / ours.seconds
            yield Verdict(f"{what} {ratio:.2f}x (>= {bar.ratio:.3g}x)", ratio >= bar.ratio)
        else:
            yield Verdict(f"{what} (>= {bar.ratio:.3g}x)", None)
    if bar.share is not None:
        bound = f"of the peak (>= {bar.share:.0%})"
        if ours:
            share = _share(row, ours)
            yield Verdict(f"{bar.ours} {share:.1%} {bound}", share >= bar.share)
        else:
            yield Verdict(f"{bar.ours} {bound}", None)
    if bar.microseconds is not None:
        bound = f"us (<= {bar.microseconds:g})"
        if ours:
            time = 1e6 * ours.seconds
            yield Verdict(f"{bar.ours} {time:.3g} {bound}", time <= bar.microseconds)
        else:
            yield Verdict(f"{bar.ours} {bound}", None)


def _gflops(row: Row, result: Result) -> float:
    return row.net.flops / result.seconds / 1e9


def _share(row: Row, result: Result) -> float:
    return _gflops(row, result) / (row.peak * row.threads)


def _threads(row: Row) -> str:
    threads = "1 thread" if row.threads == 1 else f"{row.threads} threads"
    return f"{threads}, one core busy" if row.busy else threads


def _floor(row: Row, bandwidth: float) -> str:
    """What a step cannot do without, and how long that takes."""
    at_peak = format_duration(row.net.flops / (row.peak * row.threads * 1e9))
    from_memory = format_duration(row.net.bytes / bandwidth)
    return (
        f"a step: {row.net.flops / 1e6:.4g} MFLOP, {at_peak} at the peak ({row.peak:.0f} GFLOP/s a "
        f"core); {row.net.bytes / 1e6:.3g} MB, {from_memory} if all came from memory "
        f"({bandwidth / 1e9:.0f} GB/s)"
    )


def table(row: Row, bandwidth: float) -> str:
    """A row as text.

    Parameters
    ----------
    bandwidth : float
        Of the memory, in bytes a second.
    """
    steps = f", {row.steps:,} steps an epoch" if row.steps > 1 else ""
    lines = [
        f"{row.net.title}{steps}; {_threads(row)}",
        f"  {_floor(row, bandwidth)}",
        f"  all agree within {row.difference:.0e} ({row.net.tolerance:.0e} is allowed)",
    ]
    rows: list[tuple[str, ...]] = [("", "a step", *HEADINGS, "compiling")]
    ours = row.result("fastnn")
    for result in row.results:
        ratio = result.seconds / ours.seconds if ours else None
        compiling = format_duration(result.compile_seconds) if result.compile_seconds else "none"
        cells = figures(result, ratio, _gflops(row, result), _share(row, result))
        rows.append((result.contestant, *cells, compiling))
    lines += columns(rows)
    if peer := row.fastest_peer:
        lead = _lead(row)
        ahead = f", {lead:.2f}x as fast as fastnn" if lead > 1 else ""
        lines.append(f"  fastest peer: {peer.contestant}{ahead}")
    lines += [f"  bar: {verdict}" for verdict in verdicts(row)]
    lines += [f"  mark: {mark}" for mark in marks(row)]
    lines += [f"  {trouble}" for trouble in row.troubles]
    return "\n".join(lines)


def _best_of_ours(row: Row) -> Result | None:
    ours = [r for r in row.results if is_ours(r.contestant) and r.contestant != ONE_THREAD]
    return min(ours, key=lambda r: r.seconds, default=None)


def _lead(row: Row) -> float:
    """How many times as fast as the best of ours the fastest peer is; 0 if either is absent."""
    best, peer = _best_of_ours(row), row.fastest_peer
    return best.seconds / peer.seconds if best and peer else 0.0


def marks(row: Row) -> list[str]:
    """Where the best of ours leaves something to be done; nothing with ``--quick``."""
    best, peer, lead = _best_of_ours(row), row.fastest_peer, _lead(row)
    found: list[str] = []
    if row.quick:
        return found
    if best and (share := _share(row, best)) < LOW_SHARE:
        found.append(f"{share:.1%} of the peak, below {LOW_SHARE:.0%}")
    if peer and lead > 1:
        found.append(f"behind {peer.contestant}, {lead:.2f}x as fast")
    return found


def conclusions(rows: Sequence[Row]) -> list[str]:
    """Which bars were missed, the marks, and what went wrong."""
    judged = [(row, verdict) for row in rows for verdict in verdicts(row)]
    n_met = sum(verdict.met is True for _, verdict in judged)
    lines = [f"{n_met} of {len(judged)} bars met"]
    lines += [
        f"bar: {row.net.title}; {_threads(row)}: {verdict}"
        for row, verdict in judged
        if not verdict.met
    ]
    lines += [
        f"mark: {row.net.title}; {_threads(row)}: {mark}" for row in rows for mark in marks(row)
    ]
    lines += [
        f"trouble: {row.net.title}; {_threads(row)}: {trouble}"
        for row in rows
        for trouble in row.troubles
    ]
    return lines


def summary(rows: Sequence[Row]) -> str:
    """All rows, one line each, as a Markdown table."""
    lines = [
        "| net | threads | fastnn | fastest peer | its time | ratio | peak | bars | marks |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        ours, peer = row.result("fastnn"), row.fastest_peer
        cells = [
            row.net.title,
            f"{row.threads}, busy" if row.busy else str(row.threads),
            format_duration(ours.seconds) if ours else "",
            peer.contestant if peer else "",
            format_duration(peer.seconds) if peer else "",
            f"{peer.seconds / ours.seconds:.2f}" if ours and peer else "",
            f"{_share(row, ours):.1%}" if ours else "",
            "; ".join(map(str, verdicts(row))),
            "; ".join(marks(row)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """All rows with every round, in seconds a step."""
    return [
        {
            **asdict(row),
            "net": row.net.name,
            "title": row.net.title,
            "flops_a_step": row.net.flops,
            "bytes_a_step": row.net.bytes,
            "results": [
                {
                    **asdict(result),
                    "spread": result.spread,
                    "gflops": _gflops(row, result),
                    "share_of_peak": _share(row, result),
                }
                for result in row.results
            ],
            "bars": [asdict(verdict) for verdict in verdicts(row)],
            "marks": marks(row),
        }
        for row in rows
    ]


def plot(rows: Sequence[Row]) -> Axes:
    """The duration of a step as bars; all rows are of one kind of threads."""
    groups = {row.net.title: {r.contestant: r.seconds for r in row.results} for row in rows}
    title = f"Duration of a step, {_threads(rows[0])}"
    return bar_chart(groups, title=title, caption=CAPTION)

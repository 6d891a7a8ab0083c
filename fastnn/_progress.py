"""What a long call shows on the standard error stream meanwhile."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from fastnn.history import format_number

#: What is shown: nothing, a bar for the call, or a line an epoch.
Progress = bool | Literal["epochs"]

#: Called with the epochs done, parts of one included, and the metrics of the last whole one.
Report = Callable[[float, Mapping[str, float]], None]


@contextmanager
def progress_bar(total: float | None, unit: str, **options: Any) -> Iterator[Any]:
    """A bar of tqdm's on the standard error stream.

    None without a total, and where nobody would see it: a bar is for terminals and notebooks.
    """
    bar_class = None if total is None else _bar_class()
    if bar_class is None:
        yield None
        return
    with bar_class(total=total, unit=f" {unit}", **{"unit_scale": True, **options}) as bar:
        yield bar


def _bar_class() -> Any:
    if is_in_notebook():
        from tqdm.auto import tqdm as notebook_tqdm

        return notebook_tqdm
    if sys.stderr is None or not sys.stderr.isatty():
        return None
    from tqdm import tqdm

    return tqdm


def is_in_notebook() -> bool:
    """Whether this is a kernel of Jupyter's, whose streams are no terminals."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and "IPKernelApp" in shell.config


@contextmanager
def epoch_report(progress: Progress, n_epochs: int, n_done: int) -> Iterator[Report]:
    """What tells about the epochs of one fit, `n_done` of which were there before."""
    if progress == "epochs":
        yield _lines(n_epochs, n_done)
        return
    total = n_epochs if progress else None
    layout = "{desc}{percentage:3.0f}%|{bar}| [{elapsed}<{remaining}, {rate_fmt}{postfix}]"
    options = {"initial": n_done, "unit_scale": False, "bar_format": layout}
    with progress_bar(total, "epochs", **options) as bar:

        def report(done: float, metrics: Mapping[str, float]) -> None:
            if bar is None:
                return
            bar.set_description(f"epoch {int(done)}/{n_epochs}", refresh=False)
            if metrics:
                shown = {name: format_number(value) for name, value in metrics.items()}
                bar.set_postfix(shown, refresh=False)
            bar.update(done - bar.n)

        report(n_done, {})
        yield report
        if bar is not None and 0 < bar.n < n_epochs:
            # Stopped early, which is no failure: a notebook's bar that is not full turns red
            n_shown, start = bar.n, bar.start_t
            bar.reset(total=n_shown)
            bar.start_t = start
            bar.update(n_shown)


def _lines(n_epochs: int, n_done: int) -> Report:
    last = n_done

    def report(done: float, metrics: Mapping[str, float]) -> None:
        nonlocal last
        if int(done) == last or sys.stderr is None:
            return
        last = int(done)
        values = "".join(f"  {name} {format_number(value)}" for name, value in metrics.items())
        print(f"epoch {last:>{len(str(n_epochs))}}/{n_epochs}{values}", file=sys.stderr, flush=True)

    return report

"""What the library runs on: threads, instruction set, BLAS."""

import os
import platform
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np

from fastnn import _validation
from fastnn._core import gemm, kernels
from fastnn._extras import of_loaded
from fastnn._version import __version__

# A second thread pays when a call is well above its barriers of a few microseconds: about 30 us of
# work at 100 GFLOP/s.
_FLOPS_WORTH_A_TEAM = 3e6

_MAX_THREADS = 256

# Environment variables: those that are read at import, and those of setup.py.
_VARIABLES = {
    "FASTNN_ISA", "FASTNN_GEMM", "FASTNN_CACHES", "FASTNN_DEBUG", "FASTNN_SANITIZE",
}  # fmt: skip

# Read at import, as OpenMP does: Dask sets it to 1 in the process that starts a cluster of
# processes.
_OMP_NUM_THREADS = os.environ.get("OMP_NUM_THREADS", "")

_n_threads: int | None = None  # what `set_num_threads` was told
_default: int | None = None  # in place of that, outside of Dask's tasks
_of_thread = threading.local()  # has `n` where one of several threads of a call has a share


def warn_of_unknown_variables() -> None:
    """Warns the importer of fastnn of environment variables with its prefix that nothing reads."""
    unknown = sorted(
        name for name in os.environ if name.startswith("FASTNN_") and name not in _VARIABLES
    )
    if unknown:
        several = len(unknown) > 1
        warnings.warn(
            f"the environment variable{'s' * several} {', '.join(unknown)} "
            f"{'are' if several else 'is'} not known to fastnn, which reads FASTNN_ISA, "
            "FASTNN_GEMM and FASTNN_CACHES",
            RuntimeWarning,
            stacklevel=3,
        )


def _cgroup_quota() -> float | None:
    """CPUs that a container's quota allows, if there is one."""
    try:
        with open("/sys/fs/cgroup/cpu.max") as file:  # version 2
            quota, period = file.read().split()
    except (OSError, ValueError):
        try:  # version 1
            with open("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") as file:
                quota = file.read()
            with open("/sys/fs/cgroup/cpu/cpu.cfs_period_us") as file:
                period = file.read()
        except OSError:
            return None
    try:
        return int(quota) / int(period) if int(quota) > 0 else None
    except (ArithmeticError, ValueError):  # "max", or nothing that the kernel writes
        return None


def _available_cpus() -> int:
    """CPUs that this process may use: affinity and container quota."""
    has_affinity = hasattr(os, "sched_getaffinity")
    cpus = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    quota = _cgroup_quota()
    return max(1, min(cpus, cpus if quota is None else int(quota), _MAX_THREADS))


def _default_threads() -> int:
    """The CPUs of the process, or fewer, where ``OMP_NUM_THREADS`` says so.

    Libraries that start a process a CPU, such as joblib and Dask, set it there.
    """
    first = _OMP_NUM_THREADS.partition(",")[0].strip()
    n_cpus = _available_cpus()
    return min(n_cpus, int(first)) if first.isdecimal() and int(first) > 0 else n_cpus


def _tasks_at_once() -> int:
    """Tasks that run beside this one, and this one, where it is a task of Dask's; otherwise 1.

    Dask sets ``OMP_NUM_THREADS`` for the workers that it starts as processes. It does not for those
    in the process that starts them, nor for those that are started without a nanny.
    """
    get_worker = of_loaded("distributed.worker", "get_worker")
    if get_worker is None:
        return 1
    try:
        worker = get_worker()
    except ValueError:  # no task of Dask's
        return 1
    workers = {worker}
    with suppress(AttributeError, RuntimeError):  # not public; changes when another one begins
        workers.update(w for w in type(worker)._instances if w.status.name == "running")
    return sum(w.state.nthreads for w in workers)


def set_num_threads(n: int | None) -> None:
    """Sets how many threads calls use where they are not told, and the work is worth it.

    Results do not depend on it, to the bit.

    Parameters
    ----------
    n : int or None
        From 1 to 256. None is the default: the CPUs that the process may use, or fewer, where the
        environment variable ``OMP_NUM_THREADS`` said so when fastnn was imported. A task in a
        worker of Dask takes at most its share, which is the CPUs by the tasks that the process
        runs at once.

    Raises
    ------
    TypeError, ValueError
        If `n` is not one of these.

    Examples
    --------
    >>> from fastnn import get_num_threads, set_num_threads
    >>> set_num_threads(1)  # leaves the other CPUs to other programs
    >>> get_num_threads()
    1
    >>> set_num_threads(None)  # as at the beginning
    """
    global _n_threads, _default
    _n_threads = None if n is None else _validation.positive_int(n, "n", at_most=_MAX_THREADS)
    _default = None


def get_num_threads() -> int:
    """How many threads calls use where they are not told, and the work is worth it.

    Returns
    -------
    int
        From 1 to 256: what `set_num_threads` was told, or the default that it describes.

    Examples
    --------
    >>> from fastnn import get_num_threads
    >>> 1 <= get_num_threads() <= 256
    True
    """
    global _default
    share: int | None = getattr(_of_thread, "n", None)
    if share is not None:
        return share
    n, default = _n_threads, _default  # read once: other threads may set them
    if n is not None:
        return n
    if default is None:
        _default = default = _default_threads()
    n_tasks = _tasks_at_once()
    return default if n_tasks == 1 else max(1, min(default, _available_cpus() // n_tasks))


@contextmanager
def threads_here(n: int) -> Iterator[None]:
    """In this thread, calls that are not told use `n` threads: its share of all."""
    before = getattr(_of_thread, "n", None)
    _of_thread.n = n
    try:
        yield
    finally:
        _of_thread.n = before


def choose_threads(threads: int | None, flops: float) -> int:
    """Threads for a call of `flops` operations a step, `threads` being what the user asked for."""
    if threads is not None:
        return _validation.positive_int(threads, "threads", at_most=_MAX_THREADS)
    return get_num_threads() if flops >= _FLOPS_WORTH_A_TEAM else 1


def fma_peak(seconds: float = 0.05) -> float:
    """Measured peak of one core: fused multiply-adds in float32, in GFLOP/s.

    Parameters
    ----------
    seconds : float
        How long to measure; the best of many short bursts counts.

    Returns
    -------
    float
    """
    seconds = _validation.positive_number(seconds, "seconds")
    return float(kernels.fma_peak(np.dtype(np.float32), seconds) / 1e9)


def _cpu() -> str:
    """The CPU's name, and on x86 the numbers of its family and model."""
    try:
        with open("/proc/cpuinfo") as file:
            first, _, _ = file.read().partition("\n\n")
    except OSError:
        first = ""
    pairs = (line.partition(":") for line in first.splitlines())
    entries = {name.strip(): value.strip() for name, _, value in pairs}
    name = entries.get("model name") or platform.processor() or platform.machine()
    numbers = [
        f"{text} {entries[key]}"
        for text, key in (("family", "cpu family"), ("model", "model"))
        if key in entries
    ]
    return f"{name} ({', '.join(numbers)})" if numbers else name


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 2**20:g} MiB" if n_bytes >= 2**20 else f"{n_bytes / 2**10:g} KiB"


def configuration() -> dict[str, str]:
    """What the library runs on, as texts by name. Loads the BLAS."""
    gemm.load()
    l1_data, l2, l3 = map(_size, kernels.caches())
    return {
        "fastnn": __version__,
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "platform": f"{sys.platform} {platform.machine()}",
        "CPU": _cpu(),
        "caches": f"L1d {l1_data}, L2 {l2} a core, L3 {l3}",
        "instruction set": f"{kernels.ISA} (this CPU runs {', '.join(kernels.supported_isas())})",
        "matrix products": gemm.GEMM,
        "BLAS": str(gemm.blas_config),
        "threads": f"{get_num_threads()} (this process may use {_available_cpus()} CPUs)",
    }


def show_config() -> None:
    """Prints what the library runs on: versions, CPU, instruction set, BLAS, threads.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.show_config()
    fastnn ...
    Python ...
    threads ...
    """
    entries = configuration()
    width = max(map(len, entries))
    for name, text in entries.items():
        print(f"{name:{width}}  {text}")

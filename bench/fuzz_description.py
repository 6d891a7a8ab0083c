"""Does a wild model file do harm? 100,000 files with valid checksums and wild descriptions.

    python -m bench.fuzz_description --count 100000 --seed 0

Each file must be refused with ValueError, or load and be usable: it predicts, takes one step of
training, and comes back from a second file to the bit. No load may take more than a second of the
processor, nor memory beyond twice the file and 16 MiB. Divergence is an answer, where the
parameters are huge.

Files are real ones with mutations, or made up. Each is made from the seed and its number, so that
`--only NUMBER` repeats it. Child processes do the work, so that a crash is seen, and named.
Prints a summary; the exit code is 1 if anything went wrong.
"""

import argparse
import copy
import itertools
import json
import mmap
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
import tracemalloc
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fastnn import (
    Activation,
    Adam,
    BatchNorm,
    CosineDecay,
    Dense,
    Dropout,
    LayerNorm,
    Network,
    Normal,
    OneCycle,
    PReLU,
    ReduceOnPlateau,
    _files,
)
from fastnn.activations import ACTIVATIONS
from fastnn.optimizers import OPTIMIZERS

ALLOWANCE = 16 << 20  # bytes, beyond twice the file
LONGEST = 1.0  # seconds
CHUNK = 2000  # cases a child process
CHUNK_SECONDS = 300

Tensors = dict[str, Any]
Case = tuple[Any, Tensors]  # a description (or its text) and arrays


# ---- real files ---------------------------------------------------------------------------------


RATES = [
    None,
    CosineDecay(0.01, restarts=1, warmup=0.5),
    ReduceOnPlateau(0.01, "loss"),
    OneCycle(0.01),
    lambda step: 0.01 / (1 + step),
]


def real_cases() -> list[Case]:
    """Description and tensors of trained networks of many kinds."""
    nets = [Network([Dense(2, "tanh", Normal(0.3)), Dense(1, "sigmoid")], 3, seed=0)]  # untrained
    for i, optimizer in enumerate(OPTIMIZERS):
        output, loss = [("softmax", None), ("sigmoid", None), ("linear", "huber")][i % 3]
        dtype = ["float32", "float64"][i % 2]
        hidden = sorted(set(ACTIVATIONS) - {"softmax"})[i]
        between = [BatchNorm(), Dropout(0.5), LayerNorm(), PReLU(), Activation("relu")][i % 5]
        layers = [Dense(4, hidden), between, Dense(3, "relu", "he_uniform"), Dense(2, output)]
        net = Network(layers, 5, loss=loss, dtype=dtype, seed=2 ** (9 * i))
        X = np.random.default_rng(i).normal(size=(20, 5))
        y = np.arange(20) % 2 if output == "softmax" else np.arange(40).reshape(20, 2) % 2
        rate = RATES[i % len(RATES)]
        net.fit(
            X, y, epochs=2, batch_size=[None, 8][i % 2], optimizer=optimizer, learning_rate=rate
        )
        nets.append(net)
    return [net.to_data() for net in nets]


# ---- wild values --------------------------------------------------------------------------------

NUMBERS: list[Any] = [
    0, 1, 2, 3, 7, 255, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53 - 2, 2**53, 2**63 - 1, 2**63,
    2**64 - 1, 2**64, 2**127, 2**128 - 1, 2**128, 2**1000, 10**400, 10**4200,
    0.0, -0.0, 0.5, 1.0, 1.5, 1e-320, 1e-40, 1e-8, 1e38, 1e39, 1e300, 1.7976931348623157e308,
]  # fmt: skip
TEXTS = [
    "", " ", "\0", "relu", "ReLU", "softmax", "sigmoid", "linear", "adam", "sgd", "PCG64",
    "MT19937", "cosine_decay", "one_cycle", "val_loss",
    "float32", "float64", "float16", "<f4", "object", "he_normal", "zeros", "mean_squared_error",
    "categorical_cross_entropy", "binary_cross_entropy", "parameters", "slots", "__class__",
    "os.system", "../../etc/passwd", "NaN", "null", "1", "ünïcödé 花", "\U0001f600" * 9, "\ud800",
    "as before", "x" * 20_000,
]  # fmt: skip
KEYS = [
    "layers", "n_features", "loss", "dtype", "seed", "random_state", "training", "n_updates",
    "optimizer", "hyperparameters", "batch_size", "shuffle", "learning_rate", "n_units", "l2",
    "regularization", "clip_norm", "max_norm", "trainable", "kind", "rate", "epsilon", "momentum",
    "alpha", "activation",
    "initializer", "scale", "state", "inc", "bit_generator", "has_uint32", "uinteger",
    "schedule", "first_step", "steps_per_epoch", "epochs", "plateau", "best", "wait", "last_rate",
]  # fmt: skip


def nested(rng: random.Random) -> str:
    """Stands for lists in lists, or objects in objects, until the text is made."""
    return (
        f"nested {rng.choice([2, 10, 100, 500, 900, 1000, 5000])} {rng.choice(['list', 'object'])}"
    )


def with_nesting(text: str) -> str:
    """`text` with what `nested` stands for."""

    def spell(match: re.Match[str]) -> str:
        opening, closing = ("[", "]") if match[2] == "list" else ('{"a":', "}")
        return opening * int(match[1]) + "1" + closing * int(match[1])

    return re.sub('"nested ([0-9]+) (list|object)"', spell, text)


def wild(rng: random.Random) -> Any:
    """Any value that JSON has, often one that is nearly right."""
    kind = rng.randrange(9)
    if kind == 0:
        return rng.choice([None, True, False])
    if kind <= 3:
        return rng.choice(NUMBERS) * rng.choice([1, 1, 1, -1])
    if kind <= 5:
        return rng.choice(TEXTS)
    if kind == 6:
        return rng.choice([[], {}, [[]], {"": None}, [None] * rng.randrange(300)])
    if kind == 7:
        return {rng.choice(KEYS): wild(rng) for _ in range(rng.randrange(4))}
    return nested(rng)


# ---- mutations of descriptions ------------------------------------------------------------------


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) in a description."""
    items: Any = ()
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    for key, inner in items:
        yield value, key
        yield from places(inner)


def nearly(value: Any, rng: random.Random) -> Any:
    """Another value of about the same kind, or the same value as another type."""
    if isinstance(value, bool) or value is None:
        return rng.choice([None, True, False, 0, 1])
    if isinstance(value, int):
        return rng.choice([value + 1, value - 1, -value, float(value % 2**60), str(value), [value],
                           value * 2, value ^ 1 << rng.randrange(130), bool(value)])  # fmt: skip
    if isinstance(value, float):
        return rng.choice([-value, value * 1e30, value / 1e30, int(value), str(value), value + 1])
    if isinstance(value, str):
        return rng.choice([value.upper(), value + " ", value[:-1], [value], value[::-1]])
    if isinstance(value, list):
        return rng.choice(
            [
                value[::-1],
                value[:-1],
                value * 2,
                value * rng.choice([3, 2000 if rng.random() < 0.02 else 4]),
                dict(enumerate(value)),
            ]
        )
    items = list(value.items())
    rng.shuffle(items)
    return rng.choice([list(value.values()), dict(items[1:]), dict(items), [value]])


def mutate(description: Any, rng: random.Random) -> None:
    """Changes one thing."""
    found = list(places(description))
    if not found:
        return
    container, key = rng.choice(found)
    other, other_key = rng.choice(found)
    kind = rng.randrange(7)
    if kind <= 1:
        container[key] = wild(rng)
    elif kind <= 3:
        container[key] = nearly(container[key], rng)
    elif kind == 4:
        container[key], other[other_key] = (
            copy.deepcopy(other[other_key]), copy.deepcopy(container[key]))  # fmt: skip
    elif kind == 5:
        del container[key]
    elif isinstance(container, dict):
        container[rng.choice([*KEYS, *TEXTS])] = wild(rng)
    else:
        container.insert(rng.randrange(len(container) + 1), copy.deepcopy(container[key]))


def mutate_text(text: str, rng: random.Random) -> str:
    """Damages the text of a description: what is left need not be JSON."""
    at = rng.randrange(len(text) + 1)
    end = at + rng.randrange(20)
    return rng.choice([
        text[:at],
        text[:at] + text[end:],
        text[:at] + rng.choice(["NaN", "Infinity", "-", "1e999", "\\ud800", '"', "{", "]", ",",
                                "\0", "\ufeff", "\U0001f600", "0x1", "//", "'"]) + text[at:],
        text + rng.choice([" " * 100_000, "\n", "{}", "\0", text]),
        text.replace(",", rng.choice([",,", ";", ', "n_updates": 1,']), 1),
        "[" * 50_000 + "]" * 50_000,
        '{"layers":' * 30_000,
        "{" + ",".join(f'"{i}":1' for i in range(20_000)) + "}",
        '{"layers": [' + "{}," * 100_000 + "{}]}",
        "9" * rng.choice([100, 4300, 5000, 200_000]),
        "",
    ])  # fmt: skip


# ---- mutations of arrays ------------------------------------------------------------------------


def mutate_tensors(tensors: Tensors, rng: random.Random) -> None:
    """Changes one thing: a shape, a dtype, a value, a name."""
    if not tensors or rng.random() < 0.1:
        name = rng.choice([*KEYS, *TEXTS[:-3], "parameters", "slots"])
        shape = rng.choice([(), (0,), (1,), (0, 7), (3, 1), (2, 2, 2)])
        tensors[name] = np.zeros(shape, rng.choice(["f4", "f8", "f2", "i8", "u1"]))
        return
    name = rng.choice(sorted(tensors))
    array = tensors[name]
    kind = rng.randrange(7)
    if kind == 0:
        del tensors[name]
    elif kind == 1:
        line = array.reshape(-1)
        tensors[name] = rng.choice([array.T, array[np.newaxis], line[:-1], line, line[:0],
                                    np.repeat(line, 2)])  # fmt: skip
    elif kind == 2:
        with np.errstate(all="ignore"):
            tensors[name] = array.astype(rng.choice(["f4", "f8", "f2", ">f4", "i4", "i8", "u2"]))
    elif kind == 3:
        tensors[rng.choice(["slots", "parameters", "Parameters", "x"])] = tensors.pop(name)
    elif array.size and array.dtype.kind == "f":
        array = array.copy()
        with np.errstate(all="ignore"):
            array.reshape(-1)[rng.randrange(array.size)] = rng.choice(
                [np.nan, np.inf, -np.inf, 3e38, -3e38, 1e300, -1.0, 1e-45, -0.0, 1e19])  # fmt: skip
            if rng.random() < 0.2:
                array *= array.dtype.type(rng.choice([-1.0, 1e10, 1e-30]))
        tensors[name] = array


# ---- made up ------------------------------------------------------------------------------------


def made_up(rng: random.Random) -> Case:
    """A network of random sizes; its arrays have as many numbers as those say, or wrap to."""
    n_layers = rng.choice([4096, 4097, 300] if rng.random() < 0.01 else [1, 1, 2, 3, 5, 8])
    big = [2**31 - 1, 2**31, 2**32, 2**16, 65537, 2**30]
    if rng.random() < 0.5 or n_layers > 8:
        sizes = [rng.randrange(1, 9) for _ in range(n_layers + 1)]
    else:
        sizes = [rng.choice([*big, 1, 2, 3]) for _ in range(n_layers + 1)]
    if rng.random() < 0.05:
        sizes = [1, *[2**31 - 1] * 5, 2, 1]
    if rng.random() < 0.002:
        sizes = [1000, 1000, 700, 2]  # some tens of MB
    dtype = rng.choice(["float32", "float64"])
    optimizer = OPTIMIZERS[rng.choice(list(OPTIMIZERS))]()
    training = {
        "optimizer": optimizer.name,
        "hyperparameters": dict(vars(optimizer)),
        "batch_size": rng.choice([None, 1, 3, 128, 10**20]),
        "shuffle": rng.random() < 0.5,
    }
    layers = [
        {"kind": "Dense", "n_units": size, "activation": "tanh", "initializer": None}
        for size in sizes[1:]
    ]
    description = {
        "layers": layers,
        "loss": {"name": rng.choice(["mean_squared_error", "log_cosh", "mean_absolute_error"])},
        "dtype": dtype,
        "seed": rng.choice([0, 2**32, 2**128 - 1, rng.randrange(2**128)]),
        "n_features": sizes[0],
        "random_state": np.random.PCG64(rng.randrange(2**64)).state,
        "training": rng.choice([training, training, None]),
        "n_updates": rng.choice([0, 1, 2**40]),
        "schedule": None,
    }
    n = sum((n_in + 1) * n_out for n_in, n_out in itertools.pairwise(sizes))
    most = 4_000_000 if rng.random() < 0.01 else 20_000
    wrapped = min(n % 2 ** rng.choice([31, 32, 62, 64, 64]), most)
    tensors = {"parameters": np.full(wrapped, 0.01, dtype)}
    if description["training"] is not None:
        tensors["slots"] = np.zeros((optimizer.n_slots, wrapped), dtype)
    return description, tensors


def make(number: int, seed: int, real: list[Case]) -> tuple[str, Tensors]:
    """Case `number`: the text of its description, and its arrays."""
    rng = random.Random(f"{seed} {number}")
    description, tensors = made_up(rng) if rng.random() < 0.2 else rng.choice(real)
    description, tensors = copy.deepcopy(description), dict(tensors)
    for _ in range(rng.choice([0, 0, 1, 1, 1, 2, 5])):
        mutate(description, rng)
    for _ in range(rng.choice([0, 0, 0, 0, 1, 2])):
        mutate_tensors(tensors, rng)
    text = with_nesting(rng.choice([json.dumps, json_as_it_is])(description))
    if rng.random() < 0.05:
        text = mutate_text(text, rng)
    return text, tensors


def json_as_it_is(description: Any) -> str:
    """JSON with letters as they are, where they can be."""
    text = json.dumps(description, ensure_ascii=False)
    return text if _files._is_utf8(text) else json.dumps(description)


def write(path: Path, text: str, tensors: Tensors) -> int:
    """A model file with a valid checksum, however long its header is; returns its size."""
    ordered = _files._in_file_order(_files._stored_tensors(tensors))
    longest, _files._LONGEST_HEADER = _files._LONGEST_HEADER, 1 << 30
    try:
        header = _files._header(text, ordered)
    finally:
        _files._LONGEST_HEADER = longest
    path.write_bytes(header + b"".join(array.tobytes() for array in ordered.values()))
    return path.stat().st_size


# ---- the verdict --------------------------------------------------------------------------------


class HarmError(Exception):
    """What a file must not do."""


def use(net: Network, path: Path) -> str:
    """Uses a network that was loaded; returns how training ended."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3, net.n_features or 4))
    save_and_compare(net, path)
    if net.n_features is not None:
        try:
            net.predict(X)
        except ValueError as error:  # of parameters near the end of the range
            if not np.abs(net.parameters).max() > 1e6:
                raise HarmError(f"predict: {error}") from error
    y = rng.integers(0, 2, len(X)) if net.loss.name == "categorical_cross_entropy" else rng.uniform(
        size=(len(X), net.n_outputs))  # fmt: skip
    ending = "trained"
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".* has ended: it is 0 ")  # a schedule
            net.fit(X, y, epochs=1, validation_data=(X, y))  # which a learning rate may monitor
    except FloatingPointError:
        ending = "diverged"
    save_and_compare(net, path)
    return ending


def save_and_compare(net: Network, path: Path) -> None:
    if net.n_features is None:
        return
    net.save(path)
    again = Network.load(path)
    (description, tensors, *_), (other, others, *_) = net.__reduce__()[1], again.__reduce__()[1]
    if description != other or any(
        array.tobytes() != others[name].tobytes() for name, array in tensors.items()
    ):
        raise HarmError("it does not come back from a second file")


def peak_bytes() -> int:
    """Peak resident size of this process, on Linux."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def judge(number: int, seed: int, real: list[Case], folder: Path) -> str:
    """What became of a case; HarmError where that must not be."""
    path = folder / f"{os.getpid()}.safetensors"
    text, tensors = make(number, seed, real)
    size = write(path, text, tensors)
    del text, tensors
    resident = peak_bytes()
    tracemalloc.start()
    start = time.process_time()
    net = None
    try:
        net = Network.load(path)
    except ValueError:
        pass
    except BaseException as error:
        raise HarmError(f"load raised {type(error).__name__}: {str(error)[:300]}") from error
    finally:
        seconds = time.process_time() - start
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    if seconds > LONGEST:
        raise HarmError(f"load took {seconds:.2f} s")
    peak = max(peak, peak_bytes() - resident)
    if peak > 2 * size + ALLOWANCE:
        raise HarmError(f"load of {size} bytes took {peak} bytes of memory")
    if net is None:
        return "refused"
    try:
        ending = use(net, path)
    except HarmError:
        raise
    except BaseException as error:
        raise HarmError(f"it loads, then {type(error).__name__}: {str(error)[:300]}") from error
    if time.process_time() - start > 2 * LONGEST:
        raise HarmError("it loads, but its use took more than 2 s")
    return f"loaded, {ending}"


# ---- processes ----------------------------------------------------------------------------------


def run_cases(first: int, end: int, seed: int, folder: Path, at: Callable[[int], None]) -> Counter:
    """Judges the cases [first, end); prints those that do harm."""
    real = real_cases()
    warm_up = Network([Dense(1, "tanh")], 1, seed=0)  # imports, buffers
    warm_up.fit([[1.0]], [1.0], epochs=1, optimizer=Adam())
    use(warm_up, folder / f"{os.getpid()}.safetensors")
    results: Counter = Counter()
    for number in range(first, end):
        at(number)
        try:
            results[judge(number, seed, real, folder)] += 1
        except HarmError as harm:
            results["HARM"] += 1
            print(f"case {number}: {harm}", file=sys.stderr, flush=True)
    return results


def child(first: int, end: int, seed: int, folder: Path) -> None:
    """Prints the results of some cases; the file of its number says where it is."""
    with open(folder / f"{first}.at", "r+b") as file, mmap.mmap(file.fileno(), 8) as shared:

        def at(number: int) -> None:
            shared[:8] = number.to_bytes(8, "little")

        print(json.dumps(run_cases(first, end, seed, folder, at)))


def child_command(first: int, end: int, seed: int, folder: Path) -> list[str]:
    arguments = ["--child", str(first), str(end), "--seed", str(seed), "--folder", str(folder)]
    return [sys.executable, "-m", "bench.fuzz_description", *arguments]


def watch(first: int, end: int, seed: int, folder: Path) -> Counter:
    """The results of a child process; what ends it counts as harm, and the rest goes on."""
    results: Counter = Counter()
    while first < end:
        place = folder / f"{first}.at"
        place.write_bytes(first.to_bytes(8, "little"))
        try:
            done = subprocess.run(
                child_command(first, end, seed, folder),
                stdout=subprocess.PIPE, timeout=CHUNK_SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            ending = f"no end within {CHUNK_SECONDS} s"
        else:
            if done.returncode == 0:
                return results + Counter(json.loads(done.stdout))
            ending = f"exit code {done.returncode}"
        number = int.from_bytes(place.read_bytes(), "little")
        results["HARM"] += 1
        results["not counted, before a crash"] += number - first
        print(f"case {number}: the process ended, {ending}", file=sys.stderr, flush=True)
        first = number + 1
    return results


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", type=int, help="one case, shown and judged in this process")
    parser.add_argument("--child", type=int, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child is not None:
        child(*options.child, options.seed, options.folder)
        return 0
    in_memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # files are synced
    with tempfile.TemporaryDirectory(dir=in_memory) as name:
        folder = Path(name)
        if options.only is not None:
            text, tensors = make(options.only, options.seed, real_cases())
            print(text[:5000], {key: (a.dtype, a.shape) for key, a in tensors.items()})
            results = run_cases(
                options.only, options.only + 1, options.seed, folder, lambda number: None
            )
        else:
            results = run_all(options.count, options.seed, options.workers, folder)
    for what, n in sorted(results.items()):
        print(f"{n:>9,}  {what}")
    return 1 if results["HARM"] else 0


def run_all(count: int, seed: int, workers: int, folder: Path) -> Counter:
    """All cases, by several processes at a time."""
    from concurrent.futures import ThreadPoolExecutor

    chunks = [(first, min(count, first + CHUNK)) for first in range(0, count, CHUNK)]
    with ThreadPoolExecutor(workers) as pool:
        return sum(pool.map(lambda c: watch(*c, seed, folder), chunks), Counter())


if __name__ == "__main__":
    sys.exit(main())

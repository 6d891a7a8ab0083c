"""Does a C file of `fastnn.exchange.to_c` do on a Cortex-M4 what it says?

Each file is compiled by ``arm-none-eabi-gcc`` as its head comment says. The flash that it states
is compared with that of the object file, the stack with what ``-fstack-usage`` says: the frame of
the function and the largest of those that it calls. Then the file is linked with a program that
calls it for some rows, and runs on an emulated board, ``qemu-system-arm -M mps2-an386``. Its
outputs are compared with the network's; with int8 weights, with those of the file on this
machine. Exit code 1 where a size is off by more than 5 %, or an output by more than 1e-6 of the
largest one. On Debian:

    apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm
    python -m bench.cortex_m4
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import BatchNorm, Dense, Layer, LayerNorm, Network, PReLU
from fastnn.activations import ACTIVATIONS
from fastnn.datasets import table_path
from fastnn.exchange import to_c
from fastnn.exchange.c.sizes import COMMAND
from fastnn.tabular import RECIPE, TabularModel
from fastnn.timing import columns, difference

Array = npt.NDArray[Any]

TOOLS = ("arm-none-eabi-gcc", "arm-none-eabi-size", "qemu-system-arm")
SIZES_BAR = 0.05
OUTPUTS_BAR = 1e-6

# The processor reads the stack pointer and the first instruction from address 0; its FPU is off.
# The emulator prints letters, and ends, where it is asked to (semihosting calls 3 and 24).
PROGRAM = """\
#include "{source}"
#include <string.h>

static const {real} x[] = {{
{rows}
}};

static void ask_emulator(unsigned call, const void *about)
{{
    register unsigned r0 __asm__("r0") = call;
    register const void *r1 __asm__("r1") = about;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
}}

static void print(const char *numbers, size_t n)
{{
    size_t i;
    for (i = 0; i < 2 * n; i++)
        ask_emulator(3, &"0123456789abcdef"[numbers[i / 2] >> (i % 2 ? 0 : 4) & 15]);
}}

void reset(void)
{{
    size_t i;
    {real} y[{name}_N_OUTPUTS];
    *(volatile unsigned *)0xE000ED88 |= 0xFu << 20;
    __asm__ volatile("dsb\\n isb");
    for (i = 0; i < sizeof x / sizeof *x; i += {name}_N_FEATURES) {{
        {name}_predict(x + i, y);
        print((const char *)y, sizeof y);
    }}
    ask_emulator(24, (const void *)0x20026);
}}

extern char stack_top[];
__attribute__((section(".vectors"), used)) static const void *const vectors[] = {{
    stack_top, (const void *)reset,
}};
"""
MEMORY = """\
MEMORY { CODE : ORIGIN = 0, LENGTH = 4M  DATA : ORIGIN = 0x20000000, LENGTH = 4M }
ENTRY(reset)
SECTIONS
{
    .text : { KEEP(*(.vectors)) *(.text* .rodata*) } > CODE
    .ARM.exidx : { *(.ARM.exidx*) } > CODE
    .data : { *(.data*) } > DATA
    .bss : { *(.bss* COMMON) end = .; } > DATA
    stack_top = ORIGIN(DATA) + LENGTH(DATA);
}
"""


def missing() -> list[str]:
    """The tools that are not installed."""
    return [tool for tool in TOOLS if shutil.which(tool) is None]


def measured(source: Path) -> tuple[int, int]:
    """Bytes of flash and of stack of a C file, compiled as its head comment says."""
    made = source.with_suffix(".o")
    subprocess.run(
        [*COMMAND.split(), "-fstack-usage", "-c", source, "-o", made], check=True, cwd=source.parent
    )
    sizes = subprocess.check_output(["arm-none-eabi-size", made], text=True)
    text, data, *_ = sizes.splitlines()[1].split()
    frames = {
        line.split("\t")[0].rpartition(":")[2]: int(line.split("\t")[1])
        for line in source.with_suffix(".su").read_text().splitlines()
    }
    own = frames.pop(f"{source.stem}_predict")
    return int(text) + int(data), own + max(frames.values())


def predicted(source: Path, X: Array) -> Array:
    """What a C file makes of the rows of X on the emulated board, in its dtype."""
    real = "float" if X.dtype == np.float32 else "double"
    rows = ",\n".join(", ".join(map(repr, row)) for row in X.tolist()).replace("nan", "NAN")
    program = PROGRAM.format(source=source.name, name=source.stem, real=real, rows=rows)
    for name, text in (("program.c", program), ("memory.ld", MEMORY)):
        source.with_name(name).write_text(text)
    link = ["-Tmemory.ld", "-nostartfiles", "--specs=nosys.specs", "-lm", "-o", "program.elf"]
    subprocess.run([*COMMAND.split(), "program.c", *link], check=True, cwd=source.parent)
    board = "qemu-system-arm -M mps2-an386 -nographic -semihosting -kernel program.elf"
    printed = subprocess.run(
        board.split(), check=True, capture_output=True, timeout=60, cwd=source.parent
    ).stderr.decode()
    return np.frombuffer(bytes.fromhex(printed), X.dtype).reshape(len(X), -1)


def printed_here(source: Path, X: Array) -> Array:
    """What the C file prints on this machine, as a program."""
    program = source.with_suffix("")
    subprocess.run(["cc", f"-D{source.stem}_MAIN", source, "-o", program, "-lm"], check=True)
    rows = "".join(" ".join(map(repr, row)) + "\n" for row in X.tolist())
    printed = subprocess.check_output([program], input=rows, text=True)
    return np.loadtxt(printed.splitlines(), dtype=X.dtype).reshape(len(X), -1)


def network(seed: int, dtype: str) -> Network:
    """With some of everything, from random numbers."""
    random = np.random.default_rng(seed)
    hidden = [name for name, row in ACTIVATIONS.items() if not row.output_only]
    layers: list[Layer] = []
    for width in random.integers(8, 48, random.integers(0, 5)):
        name = hidden[random.integers(len(hidden))]
        norm = (BatchNorm(), LayerNorm(), PReLU())[random.integers(3)]
        layers += [Dense(int(width), name)] if random.random() < 0.6 else [Dense(int(width)), norm]
    layers.append(Dense(int(random.integers(2, 8)), "softmax"))
    return Network(layers, n_features=int(random.integers(2, 32)), dtype=dtype, seed=seed)


def of_tables() -> list[tuple[str, TabularModel]]:
    """Small models of the table that the package ships, for a class and for a number."""
    models = []
    for target, members in (("late", 1), ("distance", 2)):
        recipe = replace(RECIPE, hidden=(16, 16), bins=16, least_epochs=1, most_epochs=2)
        model = TabularModel(members, seed=0, recipe=recipe).fit(table_path(), target=target)
        models.append((f"table {target}, {members}", model))
    return models


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.cortex_m4", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--nets", type=int, default=10, help="random networks (default: 10)")
    arguments = parser.parse_args(argv)
    if tools := missing():
        parser.error(f"not installed: {', '.join(tools)}")

    named: list[tuple[str, Network, str | None]] = []
    for dtype in (None, "int8"):
        for sizes in ([4, 16, 16, 3], [64, 32, 10], [30, 1]):
            output = "softmax" if sizes[-1] > 1 else "sigmoid"
            net = Network.from_sizes(sizes, output=output, seed=0)
            named.append((f"{'-'.join(map(str, sizes))} {dtype or ''}", net, dtype))
        named += [
            (f"net {i} {dtype or ''}", network(i, "float32"), dtype) for i in range(arguments.nets)
        ]
    named += [(f"net {i} float64", network(i, "float64"), None) for i in range(arguments.nets)]

    cases: list[tuple[str, Network | TabularModel, str | None, Array, Array]] = []
    for title, net, dtype in named:
        X = np.random.default_rng(0).standard_normal((20, net.n_features or 0))
        X = X.astype(np.float32 if dtype else net.dtype)
        cases.append((title, net, dtype, X, net.predict_proba(X)))
    for title, model in of_tables():
        X = model.numbers(table_path())[:20].astype(np.float32)
        is_class = bool(model.target.classes)
        Y = (model.predict_proba if is_class else model.predict)(table_path())[:20]
        cases.append((title, model, None, X, Y.reshape(20, -1)))

    rows: list[tuple[str, ...]] = [("", "flash", "stated", "stack", "stated", "difference")]
    missed = []
    for title, made_of, dtype, X, Y in cases:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "model.c"
            stated = to_c(made_of, source, dtype=dtype)
            flash, stack = measured(source)
            expected = Y if dtype is None else printed_here(source, X)
            off = difference(predicted(source, X), expected)
        rows.append((title, *map(str, (flash, stated.flash, stack, stated.stack)), f"{off:.1e}"))
        is_right = abs(stated.flash / flash - 1) <= SIZES_BAR
        is_right &= abs(stated.stack / stack - 1) <= SIZES_BAR
        is_right &= off <= OUTPUTS_BAR
        if not is_right:
            missed.append(title)
    print("\n".join(columns(rows)))
    print(f"{len(missed)} of {len(cases)} miss the bar: {', '.join(missed) or 'none'}")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())

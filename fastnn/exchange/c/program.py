"""The text of a C file from a list of steps.

A model is a list of `Step`, from the row that comes in to the row that goes out. What a table needs
before its network (scaling, codes of categories) is a step like any other: a `Function` of its own,
its constants as arrays.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from string import Template
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn.exchange.c import sizes
from fastnn.exchange.c.frame import MAIN, PREAMBLE, USE
from fastnn.exchange.c.functions import FUNCTIONS

Array = npt.NDArray[Any]

#: That make a number of the type the same number again.
DIGITS = {"float": 9, "double": 17}


@dataclass(frozen=True)
class Step:
    """What is done to a row, by one of `FUNCTIONS`.

    Attributes
    ----------
    function : str
        A name of `FUNCTIONS`.
    n_in, n_out : int
        Numbers of the row before and behind it.
    constants : dict of str to ndarray
        The arrays that the function takes, in its order, by the names that they get in the file
        behind the model's. Each is of the dtype of the model, or int8.
    number : float or None
        The number that the function takes.
    """

    function: str
    n_in: int
    n_out: int
    constants: dict[str, Array]
    number: float | None = None


@dataclass(frozen=True)
class Program:
    """A model as steps, and all that its C file says of it.

    Attributes
    ----------
    name : str
        A C identifier.
    steps : sequence of Step
    dtype : numpy.dtype
        Of rows and arithmetic, float32 or float64.
    remarks : sequence of str
        Paragraphs for the head comment: what the model is.
    """

    name: str
    steps: Sequence[Step]
    dtype: np.dtype[Any]
    remarks: Sequence[str]

    @property
    def real(self) -> str:
        """The C type of the rows."""
        return "float" if self.dtype == np.float32 else "double"

    @property
    def places(self) -> list[str]:
        """Where each step writes its row: y from the last step on that needs another place."""
        moves = [i == 0 or FUNCTIONS[s.function].resizes for i, s in enumerate(self.steps)]
        order = [sum(moves[: i + 1]) for i in range(len(moves))]
        return ["y" if k == order[-1] else "ab"[(k - 1) % 2] for k in order]

    @property
    def buffers(self) -> dict[str, int]:
        """The numbers that each buffer must hold."""
        widths: dict[str, int] = {}
        for place, step in zip(self.places, self.steps, strict=True):
            if place != "y":
                widths[place] = max(widths.get(place, 0), step.n_out)
        return widths

    @property
    def flash(self) -> int:
        """Bytes of code and constants on a Cortex-M4, about."""
        constants = sum(array.nbytes for step in self.steps for array in step.constants.values())
        return constants + sizes.code([step.function for step in self.steps], self.real)

    @property
    def stack(self) -> int:
        """Bytes of stack on a Cortex-M4, about; without that of libm."""
        buffers = sum(self.buffers.values()) * self.dtype.itemsize
        return sizes.frames([step.function for step in self.steps], self.real, buffers)

    def text(self) -> str:
        """The whole file."""
        used = {step.function for step in self.steps}
        code = [
            *(_function(name) for name in FUNCTIONS if name in used),
            self._predict(),
            MAIN,
        ]
        constants = [
            self._constant(name, array)
            for step in self.steps
            for name, array in step.constants.items()
        ]
        words = {
            "name": self.name,
            "restrict": f"{self.name}_restrict",
            "alone": f"{self.name}_alone",
            "real": self.real,
            "f": "f" if self.real == "float" else "",
            "letter": "f" if self.real == "float" else "d",
            "digits": DIGITS[self.real],
            "n_in": self.steps[0].n_in,
            "n_out": self.steps[-1].n_out,
            "command": sizes.COMMAND,
            "flash": self.flash,
            "stack": self.stack,
        }
        head = _comment([*self.remarks, *Template(USE).substitute(words).split("\n\n")])
        preamble, *code = (Template(part).substitute(words) for part in (PREAMBLE, *code))
        return "\n".join([head, preamble, *constants, *code])

    def _constant(self, name: str, array: Array) -> str:
        """An array, with as many digits as make it the same number again."""
        if array.dtype == np.int8:
            kind, numbers, per_line = "signed char", [f"{v:4d}" for v in array.flat], 19
        else:
            f = "f" if self.real == "float" else ""
            numbers = [f"{v: .{DIGITS[self.real] - 1}e}{f}" for v in array.ravel().tolist()]
            kind, per_line = self.real, 96 // (len(numbers[0]) + 2)
        lines = [", ".join(numbers[i : i + per_line]) for i in range(0, len(numbers), per_line)]
        body = ",\n    ".join(lines)
        return f"static const {kind} {self.name}_{name}[{array.size}] = {{\n    {body}\n}};\n"

    def _predict(self) -> str:
        """The function that takes one step after the other."""
        lines = [f"    $real {name}[{width}];" for name, width in self.buffers.items()]
        place = "x"
        for step, to in zip(self.steps, self.places, strict=True):
            numbers = [] if step.number is None else [f"{step.number!r}$f"]
            arguments = [
                place,
                str(step.n_in),
                *(f"${{name}}_{name}" for name in step.constants),
                *numbers,
                to,
                *([str(step.n_out)] if FUNCTIONS[step.function].resizes else []),
            ]
            lines.append(f"    ${{name}}_{step.function}({', '.join(arguments)});")
            place = to
        body = "\n".join(lines)
        return f"void ${{name}}_predict(const $real *x, $real *y)\n{{\n{body}\n}}\n"


def _function(name: str) -> str:
    function = FUNCTIONS[name]
    parameters = ",\n        ".join(function.parameters)
    return f"static $alone void ${{name}}_{name}(\n        {parameters})\n{{\n{function.body}}}\n"


def _comment(paragraphs: Sequence[str]) -> str:
    """A C comment; lines of a paragraph that begins with spaces stay as they are."""
    filled = [p if p[0] == " " else textwrap.fill(p, 96) for p in paragraphs]
    text = textwrap.indent("\n\n".join(filled), " * ", lambda line: True)
    return f"/*{text[2:]}\n */\n".replace(" * \n", " *\n")

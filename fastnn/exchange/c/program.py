"""The text of a C file from a list of steps.

A model is one or several chains of `Step`, from the row that comes in to a row that goes out. What
comes out of several chains is added up. What a column of a table does is a step like any other: a
`Function` of its own, its constants as arrays.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from string import Template
from typing import Any, NamedTuple

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
        behind the model's. Each is of the dtype of the model, or int8. Steps that take the same
        array give it the same name.
    numbers : tuple of float or int
        The numbers that the function takes.
    column : int or None
        The place in the model's row of the number that the function reads, where it reads one.
    """

    function: str
    n_in: int
    n_out: int
    constants: dict[str, Array]
    numbers: tuple[float, ...] = ()
    column: int | None = None


@dataclass(frozen=True)
class Face:
    """What a C file says and does around its function.

    Attributes
    ----------
    use : str
        Of the head comment, behind the remarks.
    names : str
        Declarations and definitions before the functions.
    main : str
        The program.
    """

    use: str
    names: str
    main: str


#: Of a network.
PLAIN = Face(USE, "", MAIN)


class Call(NamedTuple):
    """A step with the places of the rows: x, y, or a buffer, a or b."""

    step: Step
    source: str
    target: str


@dataclass(frozen=True)
class Program:
    """A model as steps, and all that its C file says of it.

    Attributes
    ----------
    name : str
        A C identifier.
    chains : sequence of sequences of Step
        Each makes a row of the row that comes in. These are added up.
    dtype : numpy.dtype
        Of rows and arithmetic, float32 or float64.
    remarks : sequence of str
        Paragraphs for the head comment: what the model is.
    ending : sequence of Step
        What is done to the sum, in its place.
    face : Face
    """

    name: str
    chains: Sequence[Sequence[Step]]
    dtype: np.dtype[Any]
    remarks: Sequence[str]
    ending: Sequence[Step] = ()
    face: Face = PLAIN

    @property
    def real(self) -> str:
        """The C type of the rows."""
        return "float" if self.dtype == np.float32 else "double"

    @property
    def calls(self) -> list[Call]:
        """All steps in their order.

        The first chain writes to y from the last step on that needs another place.
        """
        calls: list[Call] = []
        for i, chain in enumerate(self.chains):
            place = "x"
            moves = [k == 0 or FUNCTIONS[s.function].resizes for k, s in enumerate(chain)]
            for k, step in enumerate(chain):
                n_moves = sum(moves[: k + 1])
                is_last = i == 0 and n_moves == sum(moves)
                target = "y" if is_last else "ab"[(n_moves - 1) % 2]
                calls.append(Call(step, place, target))
                place = target
            if i > 0:
                n_out = chain[-1].n_out
                calls.append(Call(Step("add", n_out, n_out, {}), place, "y"))
        return calls + [Call(step, "y", "y") for step in self.ending]

    @property
    def buffers(self) -> dict[str, int]:
        """The numbers that each buffer must hold."""
        widths: dict[str, int] = {}
        for call in self.calls:
            if call.target != "y":
                widths[call.target] = max(widths.get(call.target, 0), call.step.n_out)
        return widths

    @property
    def constants(self) -> dict[str, Array]:
        """All arrays."""
        return {name: array for call in self.calls for name, array in call.step.constants.items()}

    @property
    def functions(self) -> list[str]:
        """Of each call."""
        return [call.step.function for call in self.calls]

    @property
    def flash(self) -> int:
        """Bytes of code and constants on a Cortex-M4, about."""
        constants = sum(array.nbytes for array in self.constants.values())
        return constants + sizes.code(self.functions, self.real)

    @property
    def stack(self) -> int:
        """Bytes of stack on a Cortex-M4, about; without that of libm."""
        buffers = sum(self.buffers.values()) * self.dtype.itemsize
        return sizes.frames(self.functions, self.real, buffers)

    def text(self) -> str:
        """The whole file."""
        code = [
            *(_function(name) for name in FUNCTIONS if name in self.functions),
            self._predict(),
            self.face.main,
        ]
        words = {
            "name": self.name,
            "restrict": f"{self.name}_restrict",
            "alone": f"{self.name}_alone",
            "real": self.real,
            "f": "f" if self.real == "float" else "",
            "letter": "f" if self.real == "float" else "d",
            "digits": DIGITS[self.real],
            "n_in": self.chains[0][0].n_in,
            "n_out": self.chains[0][-1].n_out,
            "command": sizes.COMMAND,
            "flash": self.flash,
            "stack": self.stack,
        }
        head = _comment([*self.remarks, *Template(self.face.use).substitute(words).split("\n\n")])
        preamble, *code = (Template(part).substitute(words) for part in (PREAMBLE, *code))
        names = [self.face.names] if self.face.names else []
        constants = [self._constant(name, array) for name, array in self.constants.items()]
        return "\n".join([head, preamble, *names, *constants, *code])

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
        for step, source, target in self.calls:
            function = FUNCTIONS[step.function]
            constants = [
                *(f"${{name}}_{name}" for name in step.constants),
                *(repr(n) if isinstance(n, int) else f"{n!r}$f" for n in step.numbers),
            ]
            n_out = str(step.n_out)
            if function.reads == "column":
                arguments = [f"x[{step.column}]", *constants, target, n_out]
            elif function.reads == "nothing":
                arguments = [*constants, target, n_out]
            else:
                resized = [n_out] if function.resizes else []
                arguments = [source, str(step.n_in), *constants, target, *resized]
            call = f"${{name}}_{step.function}({', '.join(arguments)});"
            lines += textwrap.wrap(
                call, 96, initial_indent=" " * 4, subsequent_indent=" " * 12, break_on_hyphens=False
            )
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

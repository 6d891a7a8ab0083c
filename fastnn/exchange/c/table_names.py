"""The names of a table in its C file: of columns, categories and classes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fastnn.exchange.c.program import Face
from fastnn.exchange.c.table_frame import USE, main_of
from fastnn.tabular import Column, TabularModel
from fastnn.tabular.encoding import Categories

_LEAST_FIELD = 64  # bytes of a field that is read, for a number


def face_of(model: TabularModel, name: str) -> Face:
    """What the C file of a model says and does around its function.

    Parameters
    ----------
    model : TabularModel
    name : str
        In front of all names.

    Returns
    -------
    Face
    """
    return Face(USE, _names(model, name), main_of(bool(model.target.classes)))


def rows_of(model: TabularModel, name: str) -> list[str]:
    """What the numbers of a row are, and those that come out, as paragraphs of the head comment."""
    columns = _used(model)
    words = identifiers([column.name for column in columns])
    lines = []
    for i, (column, word) in enumerate(zip(columns, words, strict=True)):
        encoder = model.encoding.encoders[column.name]
        if isinstance(encoder, Categories):
            n = len(encoder.levels) + len(encoder.rare)
            what = f"a category, 0 to {n - 1} as in {name}_levels_{word}"
        elif column.kind == "date":
            what = "a date, in days since 1970-01-01; float has steps of 3 minutes there"
        else:
            what = "0 or 1" if column.kind == "yes/no" else "a number"
        lines.append(f"    {i}  {c_string(column.name)}: {what}")
    target = model.target
    said = f"What comes out is {c_string(target.name)}."
    if target.classes:
        listed = ", ".join(c_string(str(each)) for each in target.classes[:20])
        more = f", ... as in {name}_classes" if len(target.classes) > 20 else ""
        said = (
            f"What comes out are the probabilities that {c_string(target.name)} is {listed}{more}."
        )
    return ["A row has these columns of the table:", "\n".join(lines), said]


def identifiers(names: Sequence[str]) -> list[str]:
    """Names as ends of C identifiers, all different."""
    found: list[str] = []
    for i, name in enumerate(names):
        word = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_") or "column"
        while word in found:
            word = f"{word}_{i}"
        found.append(word)
    return found


def c_string(text: str) -> str:
    """A text as a C string, which may stand in a comment too."""
    escaped = "".join(
        f"\\{chr(byte)}" if byte in b'"\\?' else chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}"
        for byte in text.encode("utf-8", "replace")
    )
    return '"' + escaped.replace("*/", r"\052/").replace("/*", r"/\052") + '"'


def _used(model: TabularModel) -> list[Column]:
    """In the order of a row."""
    by_name = {column.name: column for column in model.columns}
    return [by_name[name] for name in model.encoding.encoders]


def _names(model: TabularModel, name: str) -> str:
    """All names, where they are wanted, and how a program reads the columns."""
    columns = _used(model)
    words = identifiers([column.name for column in columns])
    target = model.target
    lists = {"columns": [column.name for column in columns]}
    fields = []
    for column, word in zip(columns, words, strict=True):
        encoder = model.encoding.encoders[column.name]
        if isinstance(encoder, Categories):
            lists[f"levels_{word}"] = [*encoder.levels, *encoder.rare]
            fields.append(f"{{'c', {name}_levels_{word}, {len(lists[f'levels_{word}'])}}}")
        else:
            fields.append(f"{{'{_letter(column)}', NULL, 0}}")
    if target.classes:
        lists["classes"] = [str(each) for each in target.classes]
    places = [f"{name}_COLUMN_{word} = {i}" for i, word in enumerate(words)]
    declared = [f"extern const char *const {name}_{key}[{len(v)}];" for key, v in lists.items()]
    defined = [
        f"const char *const {name}_{key}[{len(texts)}] = {{\n    "
        + ",\n    ".join(map(c_string, texts))
        + "\n};"
        for key, texts in lists.items()
    ]
    longest = max(len(text.encode("utf-8", "replace")) for v in lists.values() for text in v)
    return "\n".join(
        [
            "enum {",
            "    " + ",\n    ".join(places),
            "};\n",
            f"#if defined({name}_NAMES) || defined({name}_MAIN)",
            "#ifdef __cplusplus",
            'extern "C" {',
            "#endif",
            *declared,
            "#ifdef __cplusplus",
            "}",
            "#endif",
            *defined,
            "#endif\n",
            f"#ifdef {name}_MAIN",
            f"#define {name}_LONGEST {max(longest + 1, _LEAST_FIELD)}",
            f"static const char *const {name}_target = {c_string(target.name)};",
            "static const struct {",
            "    char kind;",
            "    const char *const *levels;",
            "    long n_levels;",
            f"}} {name}_fields[{len(fields)}] = {{",
            "    " + ",\n    ".join(fields),
            "};",
            "#endif\n",
        ]
    )


def _letter(column: Column) -> str:
    """How a program reads a column that is no category."""
    if column.kind == "date":
        return column.date_order[:1] or "y"
    return "b" if column.source == "boolean" else "n"

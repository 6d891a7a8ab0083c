"""The docstrings of all public names, as numpydoc's validation sees them."""

import importlib
import inspect
from collections.abc import Iterator
from typing import Any

import pytest

docscrape = pytest.importorskip("numpydoc.docscrape")
validation = pytest.importorskip("numpydoc.validate")

MODULES = [
    "fastnn",
    "fastnn.activations",
    "fastnn.datasets",
    "fastnn.diagnosis",
    "fastnn.exchange",
    "fastnn.metrics",
    "fastnn.mpi",
    "fastnn.plots",
    "fastnn.sklearn",
    "fastnn.statistics",
    "fastnn.tabular",
]

# What must not be found, by numpydoc's codes.
OF_METHODS = {
    "GL08",  # no docstring
    *("PR01", "PR02", "PR03"),  # other parameters than those of the signature
    *("PR04", "PR07", "PR08"),  # a parameter without a type or a description
    *("RT01", "RT02", "RT03", "RT04"),  # the same of what is returned
}
OF_NAMES = OF_METHODS | {"SS02", "SS03", "SS04", "SS06", "EX01"}  # summary of one line, examples
OF_PROPERTIES = {"GL08", "SS02", "SS03", "SS04"}
# An override says what it does otherwise; the method of the base class has the parameters.
OF_OVERRIDES = {"SS02", "SS03", "SS04"}

# Classes whose methods have examples too.
MAIN_CLASSES = {
    "Ensemble", "History", "MLPClassifier", "MLPRegressor", "Network", "TabularModel",
}  # fmt: skip


class Docstring(validation.Validator):
    """One whose class may document the fields that are its constructor's as attributes."""

    def __init__(self, obj_name: Any) -> None:
        config = {"show_class_members": False}
        super().__init__(docscrape.get_doc_object(obj_name, config=config))

    @property
    def signature_parameters(self) -> tuple[str, ...]:
        if inspect.isclass(self.obj) and not any(
            name in vars(base) for base in ours(self.obj) for name in ("__init__", "__new__")
        ):
            return ()  # those of float, say
        attributes = {name for names, *_ in self.attributes for name in names.split(", ")}
        elsewhere = attributes - set(self.doc_all_parameters)
        names: tuple[str, ...] = super().signature_parameters
        return tuple(name for name in names if name not in elsewhere and name[0] != "_")

    @property
    def attributes(self) -> list[tuple[str, str, list[str]]]:
        return self.doc["Attributes"] if inspect.isclass(self.obj) else []


def ours(kind: type) -> list[type]:
    """The class and its bases, but for those of other packages."""
    return [base for base in kind.__mro__ if is_ours(base)]


def is_ours(documented: Any) -> bool:
    return str(documented.__module__).partition(".")[0] == "fastnn"


def objects(module: str) -> Iterator[tuple[str, Any, set[str]]]:
    """Public classes, functions, methods and properties, and the codes that matter for them."""
    loaded = importlib.import_module(module)
    for name in loaded.__all__:
        documented = getattr(loaded, name)
        if callable(documented):
            yield name, documented, OF_NAMES
        if inspect.isclass(documented):
            yield from members(name, documented)


def members(name: str, kind: type) -> Iterator[tuple[str, Any, set[str]]]:
    """Its methods and properties, inherited ones too."""
    bases = ours(kind)
    for member in {member for base in bases for member in vars(base) if member[0] != "_"}:
        _, *overridden = [base for base in bases if member in vars(base)]
        documented = getattr(kind, member)
        if isinstance(documented, property):
            yield f"{name}.{member}", documented, OF_PROPERTIES
        elif inspect.isroutine(documented) and is_ours(documented):  # some are scikit-learn's
            is_public = any(base.__name__[0] != "_" for base in overridden)
            codes = OF_OVERRIDES if is_public and inspect.getdoc(documented) else OF_METHODS
            examples = {"EX01"} if name in MAIN_CLASSES else set()
            yield f"{name}.{member}", documented, codes | examples


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_has_a_docstring_with_parameters_results_and_an_example(
    module: str,
) -> None:
    if module == "fastnn.sklearn":
        pytest.importorskip("sklearn")
    found = []
    for name, documented, codes in objects(module):
        errors = validation.validate(documented, Docstring)["errors"]
        found += [f"{name}: {code} {text}" for code, text in errors if code in codes]
        for attribute, _, text in Docstring(documented).attributes:
            found += [] if text else [f"{name}: {attribute} has no description"]
    assert not found, "\n".join(sorted(found))

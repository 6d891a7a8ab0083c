"""Every activation is in the tables of every format: CONTRIBUTING, "An activation"."""

import importlib
from collections.abc import Collection

import pytest

from fastnn.activations import ACTIVATIONS

# What a table need not have: it is nothing to compute, or it is made of other operators.
TABLES = [
    ("fastnn.exchange.c.functions", "FUNCTIONS", {"linear"}),
    ("fastnn.exchange.c.sizes", "FLOAT", {"linear"}),
    ("fastnn.exchange.c.sizes", "DOUBLE", {"linear"}),
    ("fastnn.exchange.onnx_graph", "OPERATORS", {"silu"}),
    ("fastnn.exchange.torch_format", "_ACTIVATIONS", {"exponential"}),
    ("fastnn.exchange.keras_format", "_FUNCTIONS", {"leaky_relu"}),
]


@pytest.mark.parametrize(("module", "table", "elsewhere"), TABLES)
def test_every_activation_is_in_the_tables_of_every_format(
    module: str, table: str, elsewhere: Collection[str]
) -> None:
    known: Collection[str] = getattr(importlib.import_module(module), table)
    missing = [name for name in ACTIVATIONS if name not in known and name not in elsewhere]
    place = f"{module.replace('.', '/')}.py"
    assert not missing, (
        f"{', '.join(missing)}: add to {table} of {place}; CONTRIBUTING.md, 'An activation', has "
        "all places"
    )

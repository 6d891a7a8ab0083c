"""Models for tables in model files: the container of `Network.save`, see docs/files.md."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from fastnn import _files, _validation
from fastnn._copies import many_from_data, many_to_data
from fastnn._description import entries
from fastnn._description import text as _text
from fastnn.tabular.columns import Column
from fastnn.tabular.encoding import (
    Categories,
    Dates,
    Encoder,
    Encoding,
    Numbers,
    linear_inputs,
    of_data,
    to_data,
)
from fastnn.tabular.recipe import Recipe
from fastnn.tabular.target import TASKS, Target
from fastnn.tabular.values import DATE_ORDERS, Array

if TYPE_CHECKING:
    from fastnn.tabular.model import TabularModel

KIND = "TabularModel"

_KEYS = ["kind", "members", "seed", "task", "recipe", "networks", "linear"]
_COMPARED = ["model", "linear", "baseline"]
_TABLE = "table"  # a tensor: the bytes of JSON, which may be longer than a header

ModelType = TypeVar("ModelType", bound="TabularModel")


def write(model: TabularModel, path: str | os.PathLike[str]) -> None:
    """Writes a fitted model."""
    fitted = model._parts
    table = {
        "target": asdict(fitted.target),
        "columns": [asdict(column) for column in fitted.encoding.columns],
        "encoders": {name: to_data(each) for name, each in fitted.encoding.encoders.items()},
        "validation_scores": {
            name: {key: None if value != value else value for key, value in each.items()}
            for name, each in fitted.validation_scores.items()
        },
    }
    text = json.dumps(table, allow_nan=False).encode()
    descriptions, tensors = many_to_data([*fitted.networks, fitted.linear])
    tensors[_TABLE] = np.frombuffer(text, np.uint8)
    description = {
        "kind": KIND,
        "members": model.members,
        "seed": model.seed,
        "task": model.task,
        "recipe": asdict(model.recipe),
        "networks": descriptions[:-1],
        "linear": descriptions[-1],
    }
    _files.write_model(path, description, tensors)


def read(path: str | os.PathLike[str], model_class: type[ModelType]) -> ModelType:
    """What `write` has written; ValueError for anything else."""
    description, tensors = _files.read_model(path)
    if "layers" in description and "kind" not in description:
        raise ValueError(f"cannot load {str(path)!r}: it is a network, which Network.load reads")
    try:
        return _model(description, tensors, model_class)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"cannot load {str(path)!r}: not a model for tables: {error}") from error


def _model(
    description: dict[str, Any], tensors: dict[str, Array], model_class: type[ModelType]
) -> ModelType:
    from fastnn.tabular.model import Fitted

    kind, members, seed, task, recipe, networks, linear = entries(
        description, _KEYS, "the description"
    )
    if kind != KIND or not isinstance(networks, list) or len(networks) != members:
        raise ValueError(f"it must be a {KIND} with a network for each member")
    model = model_class(members, seed=seed, task=task, recipe=_recipe(recipe))
    text = tensors.pop(_TABLE, None)
    if text is None or text.dtype != np.uint8 or text.ndim != 1:
        raise ValueError(f"the tensor {_TABLE!r} must be the bytes of a JSON object")
    target, columns, encoders, scores = entries(
        json.loads(text.tobytes(), parse_constant=_refuse_constant),
        ["target", "columns", "encoders", "validation_scores"],
        f"the tensor {_TABLE!r}",
    )
    described = _target(target)
    encoding = _encoding(columns, encoders)
    nets = many_from_data([*networks, linear], tensors)
    widths = [encoding.width] * members + [len(linear_inputs(encoding))]
    for net, width in zip(nets, widths, strict=True):
        if net.n_features != width or net.n_outputs != described.n_outputs:
            raise ValueError(
                f"a network must have {width} inputs and {described.n_outputs} outputs, got "
                f"{net.n_features} and {net.n_outputs}"
            )
    model._fitted = Fitted(described, encoding, tuple(nets[:-1]), nets[-1], _scores(scores))
    return model


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not a finite number")


def _recipe(value: Any) -> Recipe:
    names = [field.name for field in fields(Recipe)]
    values = dict(zip(names, entries(value, names, "the recipe"), strict=True))
    values["hidden"] = tuple(values["hidden"])
    values["batch_sizes"] = tuple(tuple(pair) for pair in values["batch_sizes"])
    return Recipe(**values)


def _target(value: Any) -> Target:
    names = [field.name for field in fields(Target)]
    values = dict(zip(names, entries(value, names, "the target"), strict=True))
    for name in ("name", "source"):
        _text(values[name], f"the target's {name}")
    for name in ("center", "scale"):
        values[name] = _validation.finite_number(values[name], f"the target's {name}")
    shares = tuple(_validation.finite_number(each, "a share") for each in values["shares"])
    target = Target(**values | {"classes": tuple(values["classes"]), "shares": shares})
    is_classes = target.task == "classification"
    if target.task not in TASKS or is_classes != (len(target.classes) >= 2):
        raise ValueError("the target must have a task, and classes where it is a classification")
    if len(target.shares) != len(target.classes):
        raise ValueError("the target must have a share for each class")
    if not all(isinstance(each, (str, int, float)) for each in target.classes):
        raise ValueError("classes must be texts, numbers or booleans")
    if len(set(map(str, target.classes))) < len(target.classes):
        raise ValueError("classes must be different ones")
    return target


def _encoding(columns: Any, encoders: Any) -> Encoding:
    names = [field.name for field in fields(Column)]
    described = tuple(
        Column(**dict(zip(names, entries(each, names, "a column"), strict=True)))
        for each in columns
    )
    for column in described:
        for name in ("name", "kind", "source", "note"):
            _text(getattr(column, name), f"a column's {name}")
        _validation.boolean(column.used, "a column's used")
        if column.date_order not in ("", *DATE_ORDERS):
            raise ValueError(f"a column's date_order must be one of {', '.join(DATE_ORDERS)}")
    used = [column.name for column in described if column.used]
    if len(used) > len(set(used)):
        raise ValueError("columns must have different names")
    values = dict(zip(used, entries(encoders, used, "the encoders"), strict=True))
    read = {name: of_data(each) for name, each in values.items()}
    for column in described:
        if column.used and not isinstance(read[column.name], _kinds(column)):
            raise ValueError(f"the encoder of {column.name!r} must be one of {column.kind}")
    return Encoding(described, read)


def _kinds(column: Column) -> type[Encoder]:
    if column.kind == "date":
        return Dates
    is_category = column.kind == "category" or (column.kind == "yes/no" and column.source == "text")
    return Categories if is_category else Numbers


def _scores(value: Any) -> dict[str, dict[str, float]]:
    rows = entries(value, _COMPARED, "the scores")
    names = list(rows[0]) if isinstance(rows[0], dict) else []
    if not names:
        raise ValueError("the scores must be those of a model")
    return {
        key: dict(zip(names, map(_score, entries(row, names, "the scores")), strict=True))
        for key, row in zip(_COMPARED, rows, strict=True)
    }


def _score(value: Any) -> float:
    """A number; None stands for NaN."""
    return float("nan") if value is None else _validation.finite_number(value, "a score")

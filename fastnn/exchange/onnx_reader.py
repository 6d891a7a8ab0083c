"""ONNX: from a model whose operators are a chain of layers."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable
from dataclasses import replace
from math import prod
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastnn import _validation
from fastnn._extras import import_extra
from fastnn._files import open_regular
from fastnn.exchange.onnx_graph import OPERATORS
from fastnn.exchange.plain import Part, at, network_of
from fastnn.layers import BatchNorm, Dense, Dropout, LayerNorm, PReLU, Rescale
from fastnn.losses import Loss
from fastnn.network import Network

Array = npt.NDArray[Any]

# The first opset in which all these operators mean what they mean today.
_FIRST_OPSET = 13

# Protocol buffers cannot be larger.
_MOST_BYTES = 2**31 - 1

#: Operators without numbers, and the activation that they are.
_ACTIVATIONS = {operator: name for name, operator in OPERATORS.items()} | {
    "Swish": "silu",
    "Flatten": "linear",
}

#: The least and the most numbers that an operator takes beside the end of the chain.
_COUNTS = {
    "Gemm": (1, 2),
    "MatMul": (1, 1),
    "Add": (1, 1),
    "Mul": (1, 1),
    "PRelu": (1, 1),
    "BatchNormalization": (4, 4),
    "LayerNormalization": (1, 2),
    "Dropout": (0, 2),
} | dict.fromkeys(_ACTIVATIONS, (0, 0))

#: Attributes that an operator may have: any value (None), or one of these, which are as by default.
_ATTRIBUTES: dict[str, dict[str, tuple[Any, ...] | None]] = {
    "LeakyRelu": {"alpha": (0.01,)},
    "Elu": {"alpha": (1.0,)},
    "Selu": {"alpha": (1.6732632423543772,), "gamma": (1.0507009873554805,)},
    "Gelu": {"approximate": (b"none",)},
    "Softmax": {"axis": (-1, 1)},
    "Swish": {"alpha": (1.0,)},
    "Flatten": {"axis": (1,)},
    "Gemm": {"alpha": (1.0,), "beta": (1.0,), "transA": (0,), "transB": (0, 1)},
    "BatchNormalization": {"training_mode": (0,), "epsilon": None, "momentum": None},
    "LayerNormalization": {"axis": (-1, 1), "stash_type": (1, 11), "epsilon": None},
    "Dropout": {"seed": None},
}


class _Step(NamedTuple):
    """A node, or two that are one activation."""

    place: str
    operator: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]


def from_onnx(path_or_model: Any, loss: str | Loss | None = None) -> Network:
    """The network that computes what an ONNX model does.

    Parameters
    ----------
    path_or_model : str, path-like or onnx.ModelProto
        One input of rows and one output. Between them is a chain of the operators Gemm, MatMul and
        Add, activations, PRelu, BatchNormalization, LayerNormalization and Dropout. Flatten may
        come first, and a Mul and an Add of one number each.
    loss : str or Loss, optional
        As for `Network`; a model knows none.

    Returns
    -------
    Network
        Of float32 or float64, as the model is. Its seed is 0.

    Raises
    ------
    ValueError
        If it is not such a model, or a damaged one; the error names the node.
    TypeError
        If `path_or_model` is neither a path nor a model.
    ImportError
        If ONNX is not installed.
    OSError
        If the file cannot be read.

    Notes
    -----
    No other file is read: a model whose numbers are in a file of their own is refused. Nothing is
    allocated before its sizes are found to be those of its content.

    Examples
    --------
    >>> from fastnn import Network
    >>> from fastnn.exchange import from_onnx, to_onnx
    >>> net = Network.from_sizes([4, 8, 3], output="softmax")
    >>> from_onnx(to_onnx(net)).layers
    (Dense(8, 'relu'), Dense(3, 'softmax'))
    """
    onnx = import_extra("onnx", "ONNX", "onnx")
    import_extra("onnx.numpy_helper", "ONNX", "onnx")
    if isinstance(path_or_model, onnx.ModelProto):
        with at("cannot read the model"):
            parts, dtype, n_features = _parts(path_or_model, onnx)
    else:
        name = _validation.checked_path(path_or_model)
        with at(f"cannot read {name!r}"):
            parts, dtype, n_features = _parts(_parsed(name, onnx), onnx)
    return network_of(parts, dtype, n_features, loss)


def _parsed(path: str, onnx: Any) -> Any:
    """The model in a file; what it refers to is left alone."""
    from google.protobuf.message import DecodeError

    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > _MOST_BYTES:
            raise ValueError(f"it has {size:,} bytes, an ONNX model at most {_MOST_BYTES:,}")
        content = file.read()
    try:
        return onnx.ModelProto.FromString(content)
    except DecodeError as error:
        raise ValueError(f"it is not an ONNX model, or damaged: {error}") from error


def _parts(model: Any, onnx: Any) -> tuple[list[Part], np.dtype[Any], int | None]:
    """The layers of a model, its dtype, and the columns of its input where they are known."""
    _check_versions(model, onnx)
    graph = model.graph
    constants = _constants(graph, onnx)
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise ValueError(
            f"it must have one input and one output, got {len(inputs)} and {len(graph.output)}"
        )
    end = inputs[0].name
    names = {end, *constants}
    steps = _steps(graph.node, constants, onnx)
    is_flattened = bool(steps) and steps[0].operator == "Flatten"
    dtype, n_features = _rows(inputs[0], is_flattened, onnx)
    parts: list[Part] = []
    for step in steps:
        with at(step.place):
            arrays: list[Any] = [
                constants[name].array() if name in constants else None
                for name in _others(step, end, constants)
            ]
            _check_dtypes(step, arrays, dtype)
            if step.operator == "Add":
                before = parts.pop() if parts else None
                parts.append(_with_bias(before, arrays[0]))
            else:
                parts.append(_read(step, arrays))
            end = step.outputs[0] if step.outputs else ""
            if end in names or end == "":
                raise ValueError(f"its output must have a name of its own, got {end!r}")
        names.add(end)
    if end != graph.output[0].name:
        raise ValueError(f"its output {graph.output[0].name!r} must be that of the last node")
    return parts, dtype, n_features


def _check_versions(model: Any, onnx: Any) -> None:
    versions = {entry.domain: entry.version for entry in model.opset_import}
    version = versions.get("", versions.get("ai.onnx", 0))
    newest = onnx.defs.onnx_opset_version()
    if not _FIRST_OPSET <= version <= newest:
        raise ValueError(f"its opset must be {_FIRST_OPSET} to {newest}, got {version}")
    if model.functions:
        raise ValueError("it has functions of its own; fastnn knows standard operators alone")


class _Constant:
    """A tensor of the file, which becomes an array when a node takes it."""

    def __init__(self, tensor: Any, onnx: Any) -> None:
        self._tensor, self._onnx = tensor, onnx

    def array(self) -> Array:
        """The numbers.

        Raises
        ------
        ValueError
            If they are not in the model, or not as many as the shape says; if they are neither
            floats of 32 or 64 bits nor truth values, or have more than two axes.
        """
        tensor, kinds = self._tensor, self._onnx.TensorProto
        contents = {
            kinds.FLOAT: (4, tensor.float_data),
            kinds.DOUBLE: (8, tensor.double_data),
            kinds.BOOL: (1, tensor.int32_data),
        }
        what = f"the tensor {tensor.name!r}"
        if tensor.data_location == kinds.EXTERNAL or tensor.external_data:
            raise ValueError(
                f"{what} is in a file of its own; save the model as one file: "
                f"onnx.save(onnx.load(path), other_path)"
            )
        if tensor.data_type not in contents:
            raise ValueError(f"{what} must be of float32 or float64, got type {tensor.data_type}")
        shape = tuple(tensor.dims)
        if len(shape) > 2 or any(size < 1 for size in shape):
            raise ValueError(f"{what} must have at most two axes, of 1 or more, got shape {shape}")
        itemsize, numbers = contents[tensor.data_type]
        n_held = len(tensor.raw_data) / itemsize if tensor.HasField("raw_data") else len(numbers)
        if prod(shape) != n_held or tensor.HasField("segment"):
            raise ValueError(f"{what} of shape {shape} must hold {prod(shape)} numbers")
        array: Array = self._onnx.numpy_helper.to_array(tensor)
        return array


def _constants(graph: Any, onnx: Any) -> dict[str, _Constant]:
    """The tensors of a graph by name."""
    if graph.sparse_initializer:
        raise ValueError("it has sparse tensors; fastnn has dense ones alone")
    constants: dict[str, _Constant] = {}

    def add(name: str, constant: _Constant) -> None:
        if name == "":  # which stands for an input that is left out
            raise ValueError("a tensor must have a name, got ''")
        if name in constants:
            raise ValueError(f"two of its tensors have the name {name!r}")
        constants[name] = constant

    for tensor in graph.initializer:
        add(tensor.name, _Constant(tensor, onnx))
    for node in graph.node:
        if node.op_type == "Constant" and len(node.output) == 1:
            for entry in node.attribute:
                if entry.name == "value":
                    add(node.output[0], _Constant(entry.t, onnx))
        elif _is_another_name(node, constants):
            add(node.output[0], constants[node.input[0]])
    return constants


def _is_another_name(node: Any, constants: Container[str]) -> bool:
    """Whether a node gives a tensor of the model another name, as PyTorch's exporter does."""
    is_one = len(node.input) == len(node.output) == 1
    return node.op_type == "Identity" and is_one and node.input[0] in constants


def _rows(value: Any, is_flattened: bool, onnx: Any) -> tuple[np.dtype[Any], int | None]:
    """The dtype of the input, and its columns, as far as they are known."""
    kinds, kind = onnx.TensorProto, value.type.tensor_type
    dtypes: dict[int, np.dtype[Any]] = {
        kinds.FLOAT: np.dtype(np.float32),
        kinds.DOUBLE: np.dtype(np.float64),
    }
    if kind.elem_type not in dtypes:
        raise ValueError(
            f"its input {value.name!r} must be of float32 or float64, got type {kind.elem_type}"
        )
    if not kind.HasField("shape"):
        return dtypes[kind.elem_type], None
    sizes = kind.shape.dim
    if len(sizes) < 2 or (len(sizes) > 2 and not is_flattened):
        raise ValueError(f"its input {value.name!r} must be rows, got {len(sizes)} axes")
    if not all(size.HasField("dim_value") for size in sizes[1:]):
        return dtypes[kind.elem_type], None
    return dtypes[kind.elem_type], prod(size.dim_value for size in sizes[1:])


def _steps(nodes: Iterable[Any], constants: Container[str], onnx: Any) -> list[_Step]:
    """The nodes but for constants; ``x sigmoid(x)`` is one step."""
    steps: list[_Step] = []
    for node in nodes:
        if node.op_type == "Constant" or _is_another_name(node, constants):
            continue
        place = f"node {node.name or ', '.join(node.output)!r} ({node.op_type})"
        before = steps[-1] if steps else None
        if before is not None and before.operator == "Sigmoid" and node.op_type == "Mul":
            factors = sorted([*before.inputs[:1], *before.outputs[:1]])
            if sorted(node.input) == factors and len(factors) == 2:
                steps[-1] = before._replace(operator="Swish", outputs=list(node.output))
                continue
        with at(place):
            if node.domain not in ("", "ai.onnx") or node.op_type not in _COUNTS:
                raise ValueError(f"fastnn has no such operator; it knows {', '.join(_COUNTS)}")
            attributes = _attributes(node, onnx)
        steps.append(_Step(place, node.op_type, list(node.input), list(node.output), attributes))
    return steps


def _attributes(node: Any, onnx: Any) -> dict[str, Any]:
    """The attributes of a node, all of which mean what is expected."""
    known = _ATTRIBUTES.get(node.op_type, {})
    attributes: dict[str, Any] = {}
    for entry in node.attribute:
        if entry.name not in known or entry.name in attributes:
            raise ValueError(f"its attribute {entry.name!r} is not known, or given twice")
        value = onnx.helper.get_attribute_value(entry)
        allowed = known[entry.name]
        if allowed is not None and not any(_equals(value, one) for one in allowed):
            shown = " or ".join(map(str, allowed))
            raise ValueError(
                f"its attribute {entry.name} must be {shown}, got {_validation.short(value)}"
            )
        # float32 as the shortest decimal that it is nearest to
        attributes[entry.name] = float(str(np.float32(value))) if type(value) is float else value
    return attributes


def _equals(value: Any, wanted: Any) -> bool:
    """Whether an attribute has a value; floats are stored as float32."""
    if type(value) is not type(wanted):
        return False
    if isinstance(wanted, float):
        return bool(np.isclose(value, wanted, rtol=1e-6, atol=0))
    return bool(value == wanted)


def _others(step: _Step, end: str, constants: dict[str, _Constant]) -> list[str]:
    """What a step takes beside the end of the chain: as many names as it may have, or ""."""
    inputs = step.inputs
    if step.operator == "Add" and inputs[1:] == [end]:
        inputs = inputs[::-1]
    if inputs[:1] != [end]:
        raise ValueError("must take the output of the node before it: nodes must be a chain")
    least, most = _COUNTS[step.operator]
    others = inputs[1:]
    is_given = [name in constants for name in others]
    if len(others) > most or not all(is_given[:least]) or len(others) < least:
        raise ValueError(f"must take {least} to {most} tensors of the model, got {others}")
    unknown = [name for name in others if name not in constants and name != ""]
    if unknown:
        raise ValueError(f"must take tensors of the model, got {unknown}")
    return others + [""] * (most - len(others))


def _read(step: _Step, arrays: list[Any]) -> Part:
    """The layer of a step other than Add."""
    attributes = step.attributes
    if step.operator == "Dropout":
        rate, is_training = arrays
        if is_training is not None and is_training.any():
            raise ValueError("its training_mode must be False, got True")
        return Part(step.place, Dropout(0.5 if rate is None else rate.item()))
    match step.operator:
        case "Gemm" | "MatMul":
            weights, *bias = arrays
            if weights.ndim != 2:
                raise ValueError(f"its weights must have two axes, got shape {weights.shape}")
            if attributes.get("transB", 0) == 1:
                weights = weights.T
            n_units = weights.shape[1]
            shift = next((_row(array, n_units) for array in bias if array is not None), None)
            return Part(step.place, Dense(n_units), weights, shift)
        case "Mul":
            return Part(step.place, Rescale(_number(arrays[0])))
        case "PRelu":
            alpha = arrays[0]
            return Part(step.place, PReLU(), _row(alpha, alpha.size))
        case "BatchNormalization":
            weights, shift, mean, variance = map(_vector, arrays)
            settings = {"momentum": 0.9, "epsilon": 1e-5} | attributes
            layer = BatchNorm(settings["momentum"], settings["epsilon"])
            return Part(step.place, layer, weights, shift, (mean, variance))
        case "LayerNormalization":
            weights, shift = map(_vector, arrays)
            return Part(step.place, LayerNorm(attributes.get("epsilon", 1e-5)), weights, shift)
    return Part(step.place, _ACTIVATIONS[step.operator])


def _check_dtypes(step: _Step, arrays: list[Array | None], dtype: np.dtype[Any]) -> None:
    for array in arrays:
        if array is not None and array.dtype != dtype and step.operator != "Dropout":
            raise ValueError(f"its numbers must be of {dtype} as the input, got {array.dtype}")


def _with_bias(before: Part | None, bias: Array) -> Part:
    """The part of a MatMul with its bias, or of a Mul with its offset."""
    if before is not None and isinstance(before.layer, Rescale) and before.layer.offset == 0:
        return replace(before, layer=replace(before.layer, offset=_number(bias)))
    if before is None or not isinstance(before.layer, Dense) or before.bias is not None:
        raise ValueError("must follow a MatMul, and be its bias")
    return replace(before, bias=_row(bias, before.layer.n_units))


def _number(array: Array) -> float:
    """The only number of an array; a float32 as the shortest decimal that it is nearest to."""
    if array.size != 1:
        raise ValueError(f"must take one number for all columns, got shape {array.shape}")
    return float(str(array.reshape(-1)[0]))


def _row(array: Array, n: int) -> Array:
    """One number a unit, of an array that stands for rows alike."""
    row: Array = np.broadcast_to(array, (1, n))[0]
    return row


def _vector(array: Any) -> Any:
    if array is not None and array.ndim != 1:
        raise ValueError(f"its numbers must have one axis, got shape {array.shape}")
    return array

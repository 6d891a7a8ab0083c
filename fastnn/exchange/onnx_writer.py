"""ONNX: a network, or a model for tables, as a model of standard operators."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np

from fastnn._extras import import_extra
from fastnn._files import replace_file
from fastnn._version import __version__
from fastnn.exchange.onnx_graph import Graph
from fastnn.exchange.onnx_tables import encoded, properties
from fastnn.exchange.plain import parts_of
from fastnn.exchange.table_numbers import check_number
from fastnn.network import Network
from fastnn.tabular import TabularModel

#: The first version of the operators that has them all, and the format of files of its time.
OPSET, IR_VERSION = 20, 9

# Protocol buffers hold less than 2 GiB; 1 MiB is left to the rest of the model.
_MOST_BYTES = 2**31 - 2**20


def to_onnx(net: Network | TabularModel, path: str | PathLike[str] | None = None) -> Any:
    """An ONNX model that computes what the model's `predict_proba` does.

    Its input is ``X``, of shape (n_samples, n_features), and its output ``y``, of shape (n_samples,
    n_outputs), both of the network's dtype.

    Of a model for tables, ``X`` is `TabularModel.numbers` in float32: one number for each column
    that is used. The model fills, scales and encodes it. Its metadata have the columns with their
    categories, and the target with its classes, as JSON. Of a number, ``y`` is what
    `TabularModel.predict` gives, of shape (n_samples, 1).

    Parameters
    ----------
    net : Network or fastnn.tabular.TabularModel
        Built or fitted, with finite parameters.
    path : str or path-like, optional
        A file to write the model to: beside its place, and then moved there.

    Returns
    -------
    onnx.ModelProto
        Of opset 20, which onnxruntime reads from 1.17.

    Raises
    ------
    TypeError, ValueError
        If `net` is no model, is not built or fitted yet, has a number that is not finite or that
        float32 cannot hold in a table, or takes 2 GiB or more.
    ImportError
        If ONNX is not installed.
    OSError
        If the file cannot be written. One that was there stays as it was.

    Notes
    -----
    Dropout is an operator that does nothing in inference; Gaussian noise is left out. Settings of
    training stay behind, and the loss. ONNX keeps the epsilon of norms in float32.

    onnxruntime has several activations for float32 alone: leaky_relu, elu, selu, gelu, mish,
    softplus and PReLU. Give it ``to_onnx(net.copy(dtype="float32"))``.

    Examples
    --------
    >>> from fastnn import Network
    >>> from fastnn.exchange import to_onnx
    >>> model = to_onnx(Network.from_sizes([4, 8, 3], output="softmax"))
    >>> [node.op_type for node in model.graph.node]
    ['Gemm', 'Relu', 'Gemm', 'Softmax']
    """
    onnx = import_extra("onnx", "ONNX", "onnx")
    helper = import_extra("onnx.helper", "ONNX", "onnx")
    if isinstance(net, TabularModel):
        graph = _table_graph(net, onnx)
        ends = (("X", len(net.encoding.encoders)), ("y", net.target.n_outputs))
    else:
        parts = parts_of(net)
        _check_size([net])
        graph = Graph(onnx, net.dtype)
        for part in parts:
            graph.add(part)
        ends = (("X", net.n_features or 0), ("y", net.n_outputs))
    graph.nodes[-1].output[0] = "y"
    kind = helper.np_dtype_to_tensor_dtype(graph.dtype)
    values = [
        helper.make_tensor_value_info(name, kind, ["n_samples", width]) for name, width in ends
    ]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "fastnn", values[:1], values[1:], graph.initializers),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="fastnn",
        producer_version=__version__,
    )
    if isinstance(net, TabularModel):
        helper.set_model_props(model, properties(net))
    if path is not None:
        replace_file(path, [model.SerializeToString(deterministic=True)])
    return model


def _check_size(networks: Sequence[Network]) -> None:
    """ValueError where they are too large for a file."""
    n_bytes = sum(net.n_parameters * net.dtype.itemsize for net in networks)
    if n_bytes > _MOST_BYTES:
        raise ValueError(
            f"net has {n_bytes:,} bytes of parameters, an ONNX model holds at most {_MOST_BYTES:,}"
        )


def _table_graph(model: TabularModel, onnx: Any) -> Graph:
    """The encoding, the networks side by side, their mean, and the scale of a number."""
    networks, target = [net.copy("float32") for net in model.networks], model.target
    all_parts = [parts_of(net) for net in networks]
    _check_size(networks)
    graph = Graph(onnx, np.dtype(np.float32))
    inputs = encoded(graph, model.encoding)
    outputs = []
    for parts in all_parts:
        graph.end = inputs
        for part in parts:
            graph.add(part)
        outputs.append(graph.end)
    if len(outputs) > 1:
        graph.append("Mean", outputs)
    if target.task == "regression":
        check_number(f"target {target.name!r}", target.center, target.scale)
        graph.node("Mul", np.array([target.scale], np.float32))
        graph.node("Add", np.array([target.center], np.float32))
    return graph

"""ONNX: a network as a model of standard operators."""

from __future__ import annotations

from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn._extras import import_extra
from fastnn._files import replace_file
from fastnn._version import __version__
from fastnn.exchange.plain import Part, parts_of
from fastnn.layers import (
    Activation,
    BatchNorm,
    Dense,
    Dropout,
    GaussianNoise,
    LayerNorm,
    PReLU,
)
from fastnn.network import Network

Array = npt.NDArray[Any]

#: The first version of the operators that has them all, and the format of files of its time.
OPSET, IR_VERSION = 20, 9

#: The operators of activations; silu has none in this version.
OPERATORS = {
    "linear": "Identity",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "relu": "Relu",
    "leaky_relu": "LeakyRelu",
    "elu": "Elu",
    "selu": "Selu",
    "gelu": "Gelu",
    "mish": "Mish",
    "softplus": "Softplus",
    "exponential": "Exp",
    "softmax": "Softmax",
}

# Protocol buffers hold less than 2 GiB; 1 MiB is left to the rest of the model.
_MOST_BYTES = 2**31 - 2**20


def to_onnx(net: Network, path: str | PathLike[str] | None = None) -> Any:
    """An ONNX model that computes what the network's `predict_proba` does.

    Its input is ``X``, of shape (n_samples, n_features), and its output ``y``, of shape (n_samples,
    n_outputs), both of the network's dtype.

    Parameters
    ----------
    net : Network
    path : str or path-like, optional
        A file to write the model to: beside its place, and then moved there.

    Returns
    -------
    onnx.ModelProto
        Of opset 20, which onnxruntime reads from 1.17.

    Raises
    ------
    TypeError, ValueError
        If `net` is no network, is not built yet, has a number that is not finite, or takes 2 GiB or
        more.
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
    parts = parts_of(net)
    n_bytes = net.n_parameters * net.dtype.itemsize
    if n_bytes > _MOST_BYTES:
        raise ValueError(
            f"net has {n_bytes:,} bytes of parameters, an ONNX model holds at most {_MOST_BYTES:,}"
        )
    graph = _Graph(onnx, net.dtype)
    for part in parts:
        graph.add(part)
    graph.nodes[-1].output[0] = "y"
    kind = helper.np_dtype_to_tensor_dtype(net.dtype)
    ends = [
        helper.make_tensor_value_info(name, kind, ["n_samples", width])
        for name, width in (("X", net.n_features), ("y", net.n_outputs))
    ]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "fastnn", ends[:1], ends[1:], graph.initializers),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="fastnn",
        producer_version=__version__,
    )
    if path is not None:
        replace_file(path, [model.SerializeToString(deterministic=True)])
    return model


class _Graph:
    """A chain of nodes that grows at its end."""

    def __init__(self, onnx: Any, dtype: np.dtype[Any]) -> None:
        self._helper, self._numpy_helper = onnx.helper, onnx.numpy_helper
        self._dtype = dtype
        self._end = "X"
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []

    def add(self, part: Part) -> None:
        """The nodes of one layer."""
        match part.layer:
            case Dense():
                self._node("Gemm", part.weights, part.bias)
                if part.layer.activation != "linear":
                    self._activation(part.layer.activation)
            case Activation():
                self._activation(part.layer.activation)
            case PReLU():
                self._node("PRelu", part.weights)
            case BatchNorm():
                numbers = (part.weights, part.bias, *(part.running or ()))
                settings = {"epsilon": part.layer.epsilon, "momentum": part.layer.momentum}
                self._node("BatchNormalization", *numbers, **settings)
            case LayerNorm():
                settings = {"epsilon": part.layer.epsilon, "axis": -1}
                precision = self._helper.np_dtype_to_tensor_dtype(self._dtype)
                numbers = (part.weights, part.bias)
                self._node("LayerNormalization", *numbers, stash_type=precision, **settings)
            case Dropout():
                self._node("Dropout", np.array(part.layer.rate))
            case GaussianNoise():
                pass  # inference has none
            case _:
                raise ValueError(f"{part.place}: ONNX has no such operator")

    def _activation(self, name: str) -> None:
        if name == "silu":
            before = self._end
            self._node("Sigmoid")
            self._append("Mul", [before, self._end])
        elif name == "leaky_relu":
            self._node("LeakyRelu", alpha=0.01)
        else:
            self._node(OPERATORS[name])

    def _node(self, operator: str, *numbers: Array | None, **settings: Any) -> None:
        """A node that takes the end of the chain, and numbers."""
        names = [f"{operator}_{len(self.nodes)}_{i}" for i in range(len(numbers))]
        self.initializers += map(self._numpy_helper.from_array, numbers, names)
        self._append(operator, [self._end, *names], **settings)

    def _append(self, operator: str, inputs: list[str], **settings: Any) -> None:
        name = f"{operator}_{len(self.nodes)}"
        node = self._helper.make_node(operator, inputs, [f"{name}_end"], name=name, **settings)
        self.nodes.append(node)
        self._end = node.output[0]

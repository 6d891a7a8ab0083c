"""ONNX: nodes one behind the other, and those of each kind of layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn.exchange.plain import Part
from fastnn.layers import (
    Activation,
    BatchNorm,
    Dense,
    Dropout,
    GaussianNoise,
    LayerNorm,
    PReLU,
    Rescale,
)

Array = npt.NDArray[Any]

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


class Graph:
    """Nodes, of which each takes the end of those before it.

    Attributes
    ----------
    end : str
        What the next node takes.
    nodes, initializers : list
    """

    def __init__(self, onnx: Any, dtype: np.dtype[Any]) -> None:
        self._helper, self._numpy_helper = onnx.helper, onnx.numpy_helper
        self.dtype = dtype
        self.end = "X"
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []

    def add(self, part: Part) -> None:
        """The nodes of one layer."""
        match part.layer:
            case Dense():
                self.node("Gemm", part.weights, part.bias)
                if part.layer.activation != "linear":
                    self._activation(part.layer.activation)
            case Activation():
                self._activation(part.layer.activation)
            case Rescale():
                self.node("Mul", np.array(part.layer.scale, self.dtype))
                self.node("Add", np.array(part.layer.offset, self.dtype))
            case PReLU():
                self.node("PRelu", part.weights)
            case BatchNorm():
                numbers = (part.weights, part.bias, *(part.running or ()))
                settings = {"epsilon": part.layer.epsilon, "momentum": part.layer.momentum}
                self.node("BatchNormalization", *numbers, **settings)
            case LayerNorm():
                settings = {"epsilon": part.layer.epsilon, "axis": -1}
                precision = self._helper.np_dtype_to_tensor_dtype(self.dtype)
                numbers = (part.weights, part.bias)
                self.node("LayerNormalization", *numbers, stash_type=precision, **settings)
            case Dropout():
                self.node("Dropout", np.array(part.layer.rate))
            case GaussianNoise():
                pass  # inference has none
            case _:
                raise ValueError(f"{part.place}: ONNX has no such operator")

    def _activation(self, name: str) -> None:
        if name == "silu":
            before = self.end
            self.node("Sigmoid")
            self.append("Mul", [before, self.end])
        elif name == "leaky_relu":
            self.node("LeakyRelu", alpha=0.01)
        else:
            self.node(OPERATORS[name])

    def node(self, operator: str, *numbers: npt.ArrayLike | None, **settings: Any) -> str:
        """A node that takes the end of the chain, and numbers."""
        names = [f"{operator}_{len(self.nodes)}_{i}" for i in range(len(numbers))]
        arrays = map(np.asarray, numbers)
        self.initializers += map(self._numpy_helper.from_array, arrays, names)
        return self.append(operator, [self.end, *names], **settings)

    def constant(self, numbers: Array) -> str:
        """Numbers that a node takes at another place than behind the end."""
        name = f"constant_{len(self.initializers)}"
        self.initializers.append(self._numpy_helper.from_array(numbers, name))
        return name

    def append(self, operator: str, inputs: list[str], **settings: Any) -> str:
        """A node that takes these, and is the new end."""
        name = f"{operator}_{len(self.nodes)}"
        node = self._helper.make_node(operator, inputs, [f"{name}_end"], name=name, **settings)
        self.nodes.append(node)
        self.end = str(node.output[0])
        return self.end

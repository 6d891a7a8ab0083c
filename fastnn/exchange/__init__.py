"""Networks for and from other libraries: ONNX, PyTorch, Keras and scikit-learn.

Each function needs the library that it names, and imports it when it is called.
"""

from fastnn.exchange.keras_format import from_keras, to_keras
from fastnn.exchange.onnx_reader import from_onnx
from fastnn.exchange.onnx_writer import to_onnx
from fastnn.exchange.sklearn_format import from_sklearn
from fastnn.exchange.torch_format import from_torch, to_torch

__all__ = [
    "from_keras",
    "from_onnx",
    "from_sklearn",
    "from_torch",
    "to_keras",
    "to_onnx",
    "to_torch",
]

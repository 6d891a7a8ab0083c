"""Networks for and from other libraries and programs: ONNX, PyTorch, Keras, scikit-learn, C source.

Each function imports the library that it needs when it is called.
"""

from fastnn.exchange.c_source import CSource, to_c
from fastnn.exchange.keras_format import from_keras, to_keras
from fastnn.exchange.onnx_reader import from_onnx
from fastnn.exchange.onnx_writer import to_onnx
from fastnn.exchange.sklearn_format import from_sklearn
from fastnn.exchange.torch_format import from_torch, to_torch

__all__ = [
    "CSource",
    "from_keras",
    "from_onnx",
    "from_sklearn",
    "from_torch",
    "to_c",
    "to_keras",
    "to_onnx",
    "to_torch",
]

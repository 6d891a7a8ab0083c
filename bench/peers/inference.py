"""The same prediction by each library, in the form in which it is fastest on a CPU."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

import fastnn
from fastnn.contestants import Task, load_jax
from fastnn.reference import vectorized

__all__ = ["PREDICTORS", "Predictor"]


@dataclass(frozen=True)
class Predictor:
    """``call(argument)`` is timed, inside `context`, and gives the probabilities of all rows."""

    call: Callable[[Any], Any]
    argument: Any
    context: AbstractContextManager[Any] = field(default_factory=nullcontext)


def _fastnn(task: Task, threads: int) -> Predictor:
    fastnn.set_num_threads(threads)
    return Predictor(task.network().predict_proba, task.X)


def _fastnn_predictor(task: Task, threads: int) -> Predictor:
    """The callable bound to its buffers."""
    fastnn.set_num_threads(threads)
    return Predictor(task.network().predictor(len(task.X)), task.X)


def _numpy(task: Task, threads: int) -> Predictor:
    net = vectorized.Network(task.weights, task.biases, task.activations, task.loss)
    return Predictor(net.predict_proba, task.X)


# The libraries below may be absent, so they are imported by name: a type checker then does not ask
# for them.


def _load_torch(threads: int) -> Any:
    torch: Any = import_module("torch")
    torch.set_num_threads(threads)
    return torch


def _torch_eager(task: Task, threads: int) -> Predictor:
    torch = _load_torch(threads)
    functional: Any = import_module("torch.nn.functional")
    linear, relu, softmax = functional.linear, torch.relu, torch.softmax
    # It keeps weights as (n_out, n_in).
    *hidden, last = [
        (torch.tensor(w.T.copy()), torch.tensor(b))
        for w, b in zip(task.weights, task.biases, strict=True)
    ]

    def predict(A: Any) -> Any:
        for weight, bias in hidden:
            A = relu(linear(A, weight, bias))
        return softmax(linear(A, *last), 1)

    return Predictor(predict, torch.from_numpy(task.X), torch.inference_mode())


def _torch_compiled(task: Task, threads: int) -> Predictor:
    """With the weights as constants, and the product chosen by timing."""
    torch = _load_torch(threads)
    options = {
        "freezing": True,
        "cpp_wrapper": True,
        "max_autotune": True,
        "max_autotune_gemm_backends": "CPP,ATEN",
    }
    layers = []
    for w, b in zip(task.weights, task.biases, strict=True):
        linear = torch.nn.Linear(*w.shape)
        linear.load_state_dict({"weight": torch.tensor(w.T.copy()), "bias": torch.tensor(b)})
        layers += [linear, torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1], torch.nn.Softmax(1)).eval()
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, dynamic=False, options=options)
    return Predictor(compiled, torch.from_numpy(task.X), torch.no_grad())


def _jax(task: Task, threads: int) -> Predictor:
    jax, jnp = load_jax()
    parameters = jax.tree.map(jnp.asarray, list(zip(task.weights, task.biases, strict=True)))

    def forward(parameters: Any, A: Any) -> Any:
        for weight, bias in parameters[:-1]:
            A = jax.nn.relu(A @ weight + bias)
        weight, bias = parameters[-1]
        return jax.nn.softmax(A @ weight + bias)

    compiled = jax.jit(forward)

    def predict(A: Any) -> Any:
        return compiled(parameters, A).block_until_ready()

    return Predictor(predict, jnp.asarray(task.X))


def _onnx_session(task: Task, threads: int) -> Any:
    """A session for as many rows as the task has, from ``X`` to ``probabilities``."""
    onnxruntime: Any = import_module("onnxruntime")
    helper: Any = import_module("onnx.helper")
    from_array = import_module("onnx.numpy_helper").from_array
    float32 = import_module("onnx").TensorProto.FLOAT
    nodes, constants, previous = [], [], "X"
    n_layers = len(task.weights)
    for i, (w, b) in enumerate(zip(task.weights, task.biases, strict=True)):
        constants += [from_array(w, f"W{i}"), from_array(b, f"b{i}")]
        nodes.append(helper.make_node("Gemm", [previous, f"W{i}", f"b{i}"], [f"Z{i}"]))
        last = i == n_layers - 1
        previous = "probabilities" if last else f"A{i}"
        nodes.append(helper.make_node("Softmax" if last else "Relu", [f"Z{i}"], [previous]))
    n_rows, sizes = len(task.X), task.sizes
    inputs = [helper.make_tensor_value_info("X", float32, [n_rows, sizes[0]])]
    outputs = [helper.make_tensor_value_info("probabilities", float32, [n_rows, sizes[-1]])]
    graph = helper.make_graph(nodes, "network", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _onnxruntime(task: Task, threads: int) -> Predictor:
    session = _onnx_session(task, threads)
    return Predictor(partial(session.run, ["probabilities"]), {"X": task.X})


def _onnxruntime_bound(task: Task, threads: int) -> Predictor:
    """Reads and writes arrays that it knows beforehand."""
    session = _onnx_session(task, threads)
    output = np.empty((len(task.X), task.sizes[-1]), np.float32)
    binding = session.io_binding()
    binding.bind_cpu_input("X", task.X)
    binding.bind_output("probabilities", "cpu", 0, np.float32, output.shape, output.ctypes.data)

    def predict(binding: Any) -> Any:
        session.run_with_iobinding(binding)
        return output

    return Predictor(predict, binding)


PREDICTORS: dict[str, Callable[[Task, int], Predictor]] = {
    "fastnn": _fastnn,
    "fastnn-predictor": _fastnn_predictor,
    "NumPy": _numpy,
    "PyTorch": _torch_eager,
    "PyTorch-compiled": _torch_compiled,
    "JAX": _jax,
    "onnxruntime": _onnxruntime,
    "onnxruntime-bound": _onnxruntime_bound,
}

"""ONNX: run by onnxruntime, read back, and damaged."""

import os
import random
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exchange_networks import HIDDEN, difference, random_network, rows_for, same_numbers

from fastnn import Activation, BatchNorm, Dense, Dropout, GaussianNoise, LayerNorm, Network, PReLU
from fastnn.exchange import from_onnx, to_onnx

onnx = pytest.importorskip("onnx")
helper: Any = pytest.importorskip("onnx.helper")
from_array: Any = pytest.importorskip("onnx.numpy_helper").from_array


def run(model: Any, X: Any) -> Any:
    onnxruntime = pytest.importorskip("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # it warns of the Dropout that it leaves out
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"X": X})[0]


@pytest.mark.parametrize("number", range(50))
def test_onnxruntime_computes_the_same(number: int) -> None:
    net = random_network(number)
    model = to_onnx(net)
    onnx.checker.check_model(model, full_check=True)
    X = rows_for(net)
    assert difference(net.predict_proba(X), run(model, X)) <= 1e-6
    again = from_onnx(model)
    assert same_numbers(again, net)
    np.testing.assert_array_equal(again.predict_proba(X), net.predict_proba(X))


@pytest.mark.parametrize("name", HIDDEN)
def test_float64_with_every_activation(name: str) -> None:
    # onnxruntime has not all of them. ONNX has the constants of these three in float32.
    reference = pytest.importorskip("onnx.reference")
    net = Network([Dense(9, name), Dense(5)], n_features=7, dtype="float64", seed=0)
    X = rows_for(net)
    theirs = reference.ReferenceEvaluator(to_onnx(net)).run(None, {"X": X})[0]
    limit = 1e-7 if name in ("selu", "leaky_relu", "gelu") else 1e-14
    assert difference(net.predict_proba(X), theirs) <= limit
    assert same_numbers(from_onnx(to_onnx(net)), net)


def test_float64_runs_in_onnxruntime_where_it_has_the_operators() -> None:
    layers = [Dense(9, "silu"), LayerNorm(), Dense(9), BatchNorm(), Dense(9, "tanh"), Dense(3)]
    net = Network(layers, n_features=7, dtype="float64", seed=0)
    X = rows_for(net)
    assert difference(net.predict_proba(X), run(to_onnx(net), X)) <= 1e-10  # epsilon is float32


def test_layers_come_back_but_for_noise() -> None:
    layers = [
        Dense(4), BatchNorm(0.7, 1e-3), Activation("silu"), Dropout(0.2), Dense(4), LayerNorm(),
        PReLU(), GaussianNoise(0.1), Dense(2, "softmax"),
    ]  # fmt: skip
    net = Network(layers, n_features=3, seed=0)
    again = from_onnx(to_onnx(net))
    assert list(again.layers) == [layer for layer in layers if layer != GaussianNoise(0.1)]
    assert from_onnx(to_onnx(Network([Dense(1)], 1)), loss="huber").loss.name == "huber"


def test_a_file_is_written_and_read(tmp_path: Path) -> None:
    net = random_network(3)
    path = tmp_path / "net.onnx"
    model = to_onnx(net, path)
    assert path.read_bytes() == model.SerializeToString(deterministic=True)
    assert os.listdir(tmp_path) == ["net.onnx"]
    assert same_numbers(from_onnx(path), net)
    assert to_onnx(net.copy()).SerializeToString() == to_onnx(net).SerializeToString()


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(ValueError, match=r"cannot read .*x.onnx"):
        from_onnx(path)
    with pytest.raises(ValueError, match="not a regular file"):
        from_onnx("/dev/zero")
    with pytest.raises(FileNotFoundError):
        from_onnx(tmp_path / "none")
    with pytest.raises(TypeError, match="path must be"):
        from_onnx(3)


def test_what_cannot_be_exported_is_refused(tmp_path: Path) -> None:
    net = Network.from_sizes([2, 1], seed=0)
    net.weights[0][0] = np.inf
    with pytest.raises(ValueError, match=r"layers\[0\].*weights must be finite"):
        to_onnx(net, tmp_path / "x")
    assert not os.listdir(tmp_path)
    with pytest.raises(ValueError, match="not built yet"):
        to_onnx(Network([Dense(1)]))
    with pytest.raises(TypeError, match="net must be a Network, got int"):
        to_onnx(3)


# ---- models of others ----------------------------------------------------------------------------


def model_of(nodes: list[Any], shape: Any = ("n", 3), **tensors: Any) -> Any:
    """A model from X to y of these nodes, with these tensors."""
    ends = [
        helper.make_tensor_value_info("X", 1, shape),
        helper.make_tensor_value_info("y", 1, None),
    ]
    arrays = [
        from_array(np.asarray(value, getattr(value, "dtype", np.float32)), name)
        for name, value in tensors.items()
    ]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], arrays)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def node(kind: str, inputs: str, output: str, **attributes: Any) -> Any:
    return helper.make_node(kind, inputs.split(), [output], **attributes)


W = np.arange(6, dtype=np.float32).reshape(3, 2)


def test_matmul_and_add_are_a_dense() -> None:
    nodes = [node("Flatten", "X", "f"), node("MatMul", "f W", "h"), node("Add", "b h", "y")]
    net = from_onnx(model_of(nodes, W=W, b=[[1.0, 2.0]]))
    np.testing.assert_array_equal(net.weights[0], W)
    np.testing.assert_array_equal(net.biases[0], [1, 2])


def test_forms_that_exporters_write() -> None:
    constant = helper.make_node("Constant", [], ["s"], value=from_array(np.float32([[0.5]]), "s"))
    nodes = [
        constant,
        node("Gemm", "X T", "h", transB=1),
        node("PRelu", "h s", "p"),
        node("Dropout", "p", "d"),
        node("Identity", "b", "also_b"),
        node("Gemm", "d W also_b", "g"),
        node("Identity", "g", "i"),
        node("Softmax", "i", "y", axis=1),
    ]
    model = model_of(nodes, shape=("n", 1, 3, 1), T=np.eye(3, dtype=np.float32), W=W, b=[1.0])
    model.graph.node.insert(0, node("Flatten", "X", "flat"))
    model.graph.node[2].input[0] = "flat"
    net = from_onnx(model)
    assert net.n_features == 3
    assert net.layers == (Dense(3), PReLU(), Dropout(0.5), Dense(2, "softmax"))
    np.testing.assert_array_equal(net.weights[1], [0.5] * 3)
    np.testing.assert_array_equal(net.biases[-1], [1, 1])


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_model_that_pytorch_exports(tmp_path: Path) -> None:
    torch: Any = pytest.importorskip("torch")
    nn, path = torch.nn, tmp_path / "x.onnx"
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Flatten(), nn.Linear(12, 8), nn.BatchNorm1d(8), nn.SiLU(), nn.Dropout(0.3),
        nn.Linear(8, 8, bias=False), nn.LayerNorm(8), nn.PReLU(), nn.Linear(8, 3), nn.Softmax(1),
    ).eval()  # fmt: skip
    X = torch.randn(5, 3, 4)
    torch.onnx.export(module, (X,), path, opset_version=18, dynamo=False)
    with torch.no_grad():
        theirs = module(X).numpy()
    assert difference(from_onnx(path).predict_proba(X.numpy().reshape(5, 12)), theirs) <= 1e-6


def external() -> Any:
    model = model_of([node("MatMul", "X W", "y")], W=W)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/hostname"
    return model


def huge() -> Any:
    model = model_of([node("MatMul", "X W", "y")], W=W)
    model.graph.initializer[0].dims[:] = [2**40, 2**40]
    return model


def typed(field: str, value: list[float]) -> Any:
    model = model_of([node("MatMul", "X W", "y")], W=W)
    model.graph.initializer[0].ClearField("raw_data")
    getattr(model.graph.initializer[0], field).extend(value)
    return model


def other_opset(version: int) -> Any:
    model = model_of([node("MatMul", "X W", "y")], W=W)
    model.opset_import[0].version = version
    return model


REFUSED = {
    "two of its tensors have the name 'W'": lambda: model_of(
        [node("Identity", "W", "W"), node("MatMul", "X W", "y")], W=W
    ),
    "a tensor must have a name": lambda: model_of(
        [node("Gemm", "X W", "y")], W=W, **{"": np.float32([1, 2])}
    ),
    "in a file of its own": external,
    "must hold 1208925819614629174706176 numbers": huge,
    "must hold 6 numbers": lambda: typed("float_data", [1.0]),
    "opset must be 13 to": lambda: other_opset(9),
    "opset must be 13": lambda: other_opset(2**40),
    "no such operator": lambda: model_of([node("Conv", "X W", "y")], W=W),
    "no such operator; it knows": lambda: model_of(
        [helper.make_node("Relu", ["X"], ["y"], domain="other")]
    ),
    "attribute alpha must be 0.01, got 0.2": lambda: model_of(
        [node("LeakyRelu", "X", "y", alpha=0.2)]
    ),
    "attribute approximate must be b'none'": lambda: model_of(
        [node("Gelu", "X", "y", approximate="tanh")]
    ),
    "'size' is not known": lambda: model_of([node("Relu", "X", "y", size=3)]),
    "must be a chain": lambda: model_of([node("Relu", "X", "h"), node("Tanh", "X", "y")]),
    "must take tensors of the model": lambda: model_of(
        [node("Relu", "X", "h"), node("Gemm", "h W X", "y")], W=W
    ),
    "must take 1 to 1 tensors": lambda: model_of([node("MatMul", "X X", "y")]),
    "must be that of the last node": lambda: model_of([node("MatMul", "X W", "z")], W=W),
    "a name of its own": lambda: model_of([node("MatMul", "X W", "W")], W=W),
    "must not be the last layer": lambda: model_of(
        [node("MatMul", "X W", "h"), node("Dropout", "h", "y")], W=W
    ),
    "takes 3 units, but 2 enter": lambda: model_of(
        [node("MatMul", "X W", "h"), node("MatMul", "h W", "y")], W=W
    ),
    "takes 3 units, but 4 enter": lambda: model_of(
        [node("MatMul", "X W", "y")], shape=("n", 4), W=W
    ),
    "must be rows": lambda: model_of([node("MatMul", "X W", "y")], shape=("n", 2, 3), W=W),
    "must be finite": lambda: model_of([node("MatMul", "X W", "y")], W=W * np.nan),
    "of float32 as the input, got float64": lambda: model_of(
        [node("MatMul", "X W", "y")], W=W.astype(float)
    ),
    "got type 7": lambda: model_of([node("MatMul", "X W", "y")], W=np.arange(3)),
    "two axes, got shape": lambda: model_of([node("MatMul", "X W", "y")], W=np.float32([1, 2, 3])),
    "at most two axes": lambda: model_of([node("MatMul", "X W", "y")], W=W[None]),
    "softmax": lambda: model_of(
        [node("Softmax", "X", "h"), node("MatMul", "h W", "y")], W=W
    ),
    "training_mode must be False": lambda: model_of(
        [node("Dropout", "X r t", "h"), node("MatMul", "h W", "y")],
        W=W, r=np.float32(0.5), t=np.array(True),
    ),
    "rate must be a number in": lambda: model_of(
        [node("Dropout", "X r", "h"), node("MatMul", "h W", "y")], W=W, r=np.float32(1)
    ),
    "must follow a MatMul": lambda: model_of([node("Add", "X W", "y")], W=W[0]),
    "at least one layer": lambda: model_of([node("Identity", "X", "y")]),
    "variances must be at least 0": lambda: model_of(
        [node("BatchNormalization", "X a a a v", "h"), node("MatMul", "h W", "y")],
        W=W, a=np.ones(3, np.float32), v=-np.ones(3, np.float32),
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_what_fastnn_has_not_is_refused(text: str) -> None:
    model = REFUSED[text]()
    tracemalloc.start()
    with pytest.raises(ValueError, match=text):
        from_onnx(model)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**24


# ---- damage --------------------------------------------------------------------------------------


def damaged(content: bytes, rng: random.Random) -> bytes:
    """A model file with some damage: in its bytes, or in what they say."""
    if rng.random() < 0.5:
        damage = bytearray(content)
        for _ in range(rng.randint(1, 8)):
            damage[rng.randrange(len(damage))] = rng.randrange(256)
        begin = rng.randrange(len(damage))
        return bytes(damage[: rng.choice([begin, len(damage)])])
    model = onnx.ModelProto.FromString(content)
    graph = model.graph
    tensor = rng.choice(list(graph.initializer))
    one, other = rng.choice(list(graph.node)), rng.choice(list(graph.node))
    names = [name for n in graph.node for name in [*n.input, *n.output]]
    for _ in range(rng.randint(1, 3)):
        match rng.randrange(9):
            case 0 if tensor.dims:
                tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice([-1, 0, 1, 7, 2**62])
            case 1:
                tensor.data_type = rng.randrange(25)
            case 2:
                tensor.raw_data = rng.randbytes(rng.randrange(200))
            case 3:
                one.op_type, other.op_type = other.op_type, one.op_type
            case 4 if one.input:
                one.input[rng.randrange(len(one.input))] = rng.choice(names)
            case 5:
                one.output[0] = rng.choice(names)
            case 6:
                one.attribute.extend(list(other.attribute))
            case 7 if len(graph.node) > 1:
                graph.node.remove(other)
                other = one = rng.choice(list(graph.node))
            case 8:
                tensor.name = rng.choice(names)
    return bytes(model.SerializeToString())


def fuzz(folder: Path, n: int) -> int:
    """How many of `n` damaged files are refused; the others are read as sound networks."""
    rng = random.Random(0)
    contents = [to_onnx(random_network(i)).SerializeToString() for i in range(12)]
    path, n_refused = folder / "x.onnx", 0
    for _ in range(n):
        path.write_bytes(damaged(rng.choice(contents), rng))
        try:
            net = from_onnx(path)
        except ValueError:
            n_refused += 1
        else:
            assert np.isfinite(net.parameters).all()
            assert same_numbers(from_onnx(to_onnx(net)), net)
    return n_refused


def test_damaged_files_are_refused_or_are_networks(tmp_path: Path) -> None:
    n_refused = fuzz(tmp_path, 200)
    assert 100 < n_refused < 200  # damage to a weight alone is another network

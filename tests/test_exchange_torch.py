"""PyTorch: the same numbers there and back."""

from typing import Any

import numpy as np
import pytest
from exchange_networks import difference, random_network, rows_for, same_numbers

from fastnn import Activation, BatchNorm, Dense, Dropout, GaussianNoise, LayerNorm, Network, PReLU
from fastnn.activations import ACTIVATIONS
from fastnn.exchange import from_torch, to_torch

torch = pytest.importorskip("torch")
nn: Any = torch.nn


def run(module: Any, X: Any) -> Any:
    with torch.no_grad():
        return module(torch.from_numpy(X)).numpy()


@pytest.mark.parametrize("number", range(50))
def test_pytorch_computes_the_same(number: int) -> None:
    for dtype, limit in (("float32", 1e-6), ("float64", 1e-14)):
        net = random_network(number, dtype)
        module = to_torch(net)
        X = rows_for(net)
        assert difference(net.predict_proba(X), run(module, X)) <= limit
        again = from_torch(module)
        assert again.dtype == net.dtype
        assert same_numbers(again, net)
        np.testing.assert_array_equal(again.predict_proba(X), net.predict_proba(X))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation(name: str) -> None:
    net = Network([Dense(6, name)], n_features=5, dtype="float64", loss=None, seed=0)
    X = 20 * rows_for(net)  # the bend of softplus is far inside
    assert difference(net.predict_proba(X), run(to_torch(net), X)) <= 1e-14
    assert from_torch(to_torch(net)).layers == net.layers


def test_layers_come_back() -> None:
    layers = [
        GaussianNoise(0.1), Dense(4), BatchNorm(0.7, 1e-3), Activation("silu"), Dropout(0.2),
        Dense(4), LayerNorm(1e-4), PReLU(), Activation("exponential"), Dense(2, "softmax"),
    ]  # fmt: skip
    net = Network(layers, n_features=3, seed=0)
    again = from_torch(to_torch(net))
    assert repr(again.layers).replace("0.30000000000000004", "0.3") == repr(tuple(layers))
    assert from_torch(to_torch(Network([Dense(1)], 1)), loss="huber").loss.name == "huber"


def test_a_module_trains_as_the_network_does() -> None:
    torch.manual_seed(0)
    net = Network([GaussianNoise(0.5), Dropout(0.5), Dense(1)], n_features=3, seed=0)
    module, X = to_torch(net), torch.ones(4, 3)
    assert not module.training
    assert torch.equal(module(X), module(X))
    module.train()
    assert not torch.equal(module(X), module(X))
    module(X).sum().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())


def test_pytorchs_random_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    to_torch(random_network(1))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_module_has_copies() -> None:
    net = Network.from_sizes([2, 1], seed=0)
    module = to_torch(net)
    net.weights[0][:] = 0
    assert module[0].weight.abs().min() > 0
    again = from_torch(module)
    with torch.no_grad():
        module[0].weight.zero_()
    assert again.weights[0].all()


def test_forms_that_users_write() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Flatten(),
        nn.Sequential(nn.Linear(4, 3, bias=False), nn.PReLU()),
        nn.BatchNorm1d(3, affine=False),
        nn.LayerNorm(3, bias=False),
        nn.Identity(),
        nn.Linear(3, 2),
        nn.Softmax(1),
    ).eval()
    net = from_torch(module, n_features=4)
    assert [type(layer) for layer in net.layers] == [Dense, PReLU, BatchNorm, LayerNorm, Dense]
    X = rows_for(net)
    assert difference(net.predict_proba(X), run(module, X)) <= 1e-6
    half = nn.Sequential(nn.Linear(4, 3)).to(torch.bfloat16)
    assert from_torch(half).dtype == np.float32
    np.testing.assert_array_equal(from_torch(half).biases[0], half[0].bias.detach().float())
    quarter = nn.Sequential(nn.Linear(3, 2)).to(torch.float8_e4m3fn)
    np.testing.assert_array_equal(from_torch(quarter).biases[0], quarter[0].bias.detach().float())


class Twice(nn.Sequential):  # type: ignore[misc]
    def forward(self, x: Any) -> Any:
        return 2 * super().forward(x)


def with_nan() -> Any:
    module = nn.Linear(3, 2)
    with torch.no_grad():
        module.weight[0, 0] = torch.nan
    return module


def with_own_forward() -> Any:
    module = nn.Linear(3, 2)
    module.forward = lambda x: 2 * x
    return module


LAST = nn.Linear(3, 2)
REFUSED = {
    r"module\[0\], Conv1d.*fastnn has no such layer": [nn.Conv1d(1, 1, 1), LAST],
    r"module\[1\], LogSoftmax.*no such layer": [LAST, nn.LogSoftmax(1)],
    r"module\[0\]\[1\], ReLU6": [nn.Sequential(LAST, nn.ReLU6())],
    r"module\[0\], Twice": [Twice(LAST)],
    "negative_slope must be 0.01, got 0.2": [LAST, nn.LeakyReLU(0.2)],
    "approximate must be none, got tanh": [LAST, nn.GELU("tanh")],
    "beta must be 1.0, got 2": [LAST, nn.Softplus(2)],
    "dim must be -1 or 1, got 0": [LAST, nn.Softmax(0)],
    "must be the first layer": [LAST, nn.Flatten()],
    "start_dim must be 1": [nn.Flatten(0), LAST],
    "must have running statistics": [nn.BatchNorm1d(3, track_running_stats=False), LAST],
    "and a number as momentum": [nn.BatchNorm1d(3, momentum=None), LAST],
    r"must have a shape \(n,\)": [nn.LayerNorm((1, 3)), LAST],
    "rate must be a number in": [nn.Dropout(1.0), LAST],
    "takes 3 units, but 2 enter": [LAST, LAST],
    "must not be the last layer": [LAST, nn.Dropout()],
    "at least one layer": [],
    "weights must be finite": [with_nan()],
    "must be dense and real, got torch.complex64": [nn.Linear(3, 2, dtype=torch.complex64)],
    "on meta": [nn.Linear(3, 2, device="meta")],
    "LazyLinear": [nn.LazyLinear(3)],
    "activation must not be softmax": [LAST, nn.PReLU(), nn.Softmax(1), nn.Linear(2, 1)],
    "only the last layer can have": [LAST, nn.Softmax(1), nn.Linear(2, 1)],
    "has a forward of its own": [with_own_forward()],
    "has hooks": [nn.utils.spectral_norm(nn.Linear(3, 2))],
}


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("text", REFUSED)
def test_what_fastnn_has_not_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=text):
        from_torch(nn.Sequential(*REFUSED[text]))


def test_a_module_that_is_used_twice_counts_twice() -> None:
    relu, square = nn.ReLU(), nn.Linear(3, 3)
    net = from_torch(nn.Sequential(square, relu, square, relu, LAST))
    assert net.layers == (Dense(3, "relu"), Dense(3, "relu"), Dense(2))


def test_other_objects_are_refused() -> None:
    with pytest.raises(TypeError, match=r"must be a torch.nn.Sequential, got Linear"):
        from_torch(LAST)
    with pytest.raises(ValueError, match="takes 3 units, but 5 enter"):
        from_torch(nn.Sequential(LAST), n_features=5)
    with pytest.raises(ValueError, match="loss must be one of"):
        from_torch(nn.Sequential(LAST), loss="none")

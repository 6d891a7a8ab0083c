"""Networks that predict together."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fastnn import Dense, Ensemble, Network, Quantile, fit_many
from fastnn.tabular import TabularModel

Array = npt.NDArray[Any]

RNG = np.random.default_rng(0)
X = RNG.standard_normal((300, 5)).astype(np.float32)
LABELS = (X @ RNG.standard_normal((5, 3))).argmax(axis=1)
VALUES = X[:, 0] - X[:, 1] ** 2


def trained(sizes: list[int], output: str, y: Any, n: int = 5, **options: Any) -> list[Network]:
    networks = [Network.from_sizes(sizes, "tanh", output, seed=i, **options) for i in range(n)]
    fit_many(networks, X, y, epochs=3, batch_size=32)
    return networks


def outputs_of(networks: list[Network]) -> Array:
    return np.stack([net.predict_proba(X).astype(np.float64) for net in networks])


def test_probabilities_are_the_mean_and_labels_follow_from_it() -> None:
    networks = trained([5, 8, 3], "softmax", LABELS)
    ensemble, outputs = Ensemble(networks), outputs_of(networks)
    probabilities = ensemble.predict_proba(X)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, outputs.mean(axis=0), rtol=1e-6)
    np.testing.assert_array_equal(ensemble.predict(X), outputs.mean(axis=0).argmax(axis=1))
    labels, std = ensemble.predict(X, return_std=True)
    np.testing.assert_array_equal(labels, ensemble.predict(X))
    np.testing.assert_allclose(std, outputs.std(axis=0), rtol=1e-5, atol=1e-7)
    assert ensemble.networks == tuple(networks)
    assert (len(ensemble), ensemble.n_features, ensemble.n_outputs) == (5, 5, 3)
    assert "5 networks, 375 parameters" in repr(ensemble)


def test_members_are_counted_indexed_and_gone_through() -> None:
    networks = trained([5, 3], "softmax", LABELS, n=3)
    ensemble = Ensemble(networks)
    assert list(ensemble) == networks
    assert [ensemble[0], ensemble[np.int64(1)], ensemble[-1]] == networks
    assert ensemble[1:] == tuple(networks[1:])
    assert networks[2] in ensemble
    with pytest.raises(IndexError):
        ensemble[3]
    fit_many(list(ensemble), X, LABELS, epochs=1)
    assert all(net.history.n_epochs == 1 for net in networks)


@pytest.mark.parametrize("i", [2, -3, "0", 0.0, None, (0, 1)])
def test_an_index_that_no_member_has_is_said_to_be_of_an_ensemble(i: Any) -> None:
    ensemble = Ensemble([Network([Dense(1)], 2, seed=k) for k in range(2)])
    kind = IndexError if isinstance(i, int) else TypeError
    with pytest.raises(kind, match=r"ensemble") as caught:
        ensemble[i]
    assert "tuple ind" not in str(caught.value)


@pytest.mark.parametrize(("n_hidden", "n"), [(1, 480), (14, 230)])
def test_a_file_holds_as_many_members_as_the_documentation_says(
    n_hidden: int, n: int, tmp_path: Path
) -> None:
    layers = [Dense(2)] * n_hidden + [Dense(2, "softmax")]
    net = Network(layers, 5, seed=2**63)
    net.fit(X, LABELS % 2, epochs=1)
    Ensemble([net.copy() for _ in range(n)]).save(tmp_path / "file")
    assert len(Ensemble.load(tmp_path / "file")) == n
    with pytest.raises(ValueError, match=r"description takes .* bytes, at most 524288 fit"):
        Ensemble([net.copy() for _ in range(n + n // 8)]).save(tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_votes_count_the_members() -> None:
    networks = trained([5, 8, 3], "softmax", LABELS)
    votes = Ensemble(networks).votes(X)
    labels = np.stack([net.predict(X) for net in networks])
    counted = [(labels == c).sum(axis=0) for c in range(3)]
    np.testing.assert_array_equal(votes, np.stack(counted, axis=1))
    several = np.column_stack([LABELS == 0, LABELS > 0])
    networks = trained([5, 8, 2], "sigmoid", several)
    said = np.stack([net.predict(X) for net in networks])
    np.testing.assert_array_equal(Ensemble(networks).votes(X), said.sum(axis=0))
    with pytest.raises(ValueError, match="votes needs classifiers"):
        Ensemble(trained([5, 1], "linear", VALUES)).votes(X)


def test_values_have_a_mean_and_a_spread_of_their_shape() -> None:
    networks = trained([5, 8, 1], "linear", VALUES)
    outputs = outputs_of(networks)[:, :, 0]
    mean, std = Ensemble(networks).predict(X, return_std=True)
    assert mean.shape == std.shape == (300,)
    np.testing.assert_allclose(mean, outputs.mean(axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(std, outputs.std(axis=0), rtol=1e-5)


@pytest.mark.parametrize(
    ("sizes", "output", "y"),
    [
        ([5, 8, 3], "softmax", LABELS),
        ([5, 8, 1], "sigmoid", LABELS == 1),
        ([5, 8, 1], "linear", VALUES),
        ([5, 8, 1], "tanh", VALUES),
        ([5, 8, 1], "exponential", np.abs(VALUES)),
    ],
)
def test_one_member_is_evaluated_as_the_network_that_it_is(sizes: Any, output: str, y: Any) -> None:
    networks = trained(sizes, output, y, n=1, dtype="float64")
    weights = RNG.uniform(0, 1, 300)
    metrics = ["roc_auc"] if output == "sigmoid" else []
    one = Ensemble(networks).evaluate(X, y, sample_weight=weights, metrics=metrics)
    alone = networks[0].evaluate(X, y, sample_weight=weights, metrics=metrics)
    assert list(one) == list(alone)
    np.testing.assert_allclose(list(one.values()), list(alone.values()), rtol=1e-12)


def test_the_loss_is_that_of_the_mean_output() -> None:
    networks = trained([5, 8, 3], "softmax", LABELS)
    mean = outputs_of(networks).mean(axis=0)
    found = Ensemble(networks).evaluate(X, LABELS)
    assert found["loss"] == pytest.approx(-np.log(mean[np.arange(300), LABELS]).mean())
    assert found["accuracy"] == np.mean(mean.argmax(axis=1) == LABELS)
    quantiles = [Network([Dense(2)], 5, loss=Quantile([0.1, 0.9]), seed=i) for i in range(3)]
    mean = outputs_of(quantiles).mean(axis=0)
    error = VALUES[:, np.newaxis] - mean
    pinball = np.maximum(np.array([0.1, 0.9]) * error, (np.array([0.1, 0.9]) - 1) * error)
    assert Ensemble(quantiles).evaluate(X, VALUES)["loss"] == pytest.approx(pinball.mean())


def test_certain_members_that_are_wrong_have_a_finite_loss() -> None:
    net = Network.from_sizes([5, 1], seed=0)
    for bias, y in ((200.0, np.zeros(300)), (-200.0, np.ones(300))):
        net.set_parameters(weights=[np.zeros((5, 1))], biases=[[bias]])
        found = Ensemble([net, net.copy()]).evaluate(X, y)
        assert 80 < found["loss"] < 200


def test_members_may_differ_inside() -> None:
    networks = [
        Network.from_sizes([5, 8, 3], output="softmax", seed=0),
        Network.from_sizes([5, 9, 9, 3], output="softmax", seed=1, dtype="float64"),
    ]
    ensemble = Ensemble(networks)
    assert ensemble.predict_proba(X).dtype == np.float64
    np.testing.assert_allclose(
        ensemble.predict_proba(X.tolist()), outputs_of(networks).mean(axis=0)
    )


OTHERS: dict[str, tuple[Network, str]] = {
    "columns": (
        Network.from_sizes([6, 3], output="softmax"),
        r"networks\[1\] must have n_features 5",
    ),
    "units": (Network.from_sizes([5, 4], output="softmax"), "n_outputs 3"),
    "output": (Network.from_sizes([5, 3], output="sigmoid"), "activation of softmax"),
    "loss": (Network([Dense(3, "softmax")], 5, loss="focal"), "a loss of"),
    "not built": (Network([Dense(3, "softmax")]), "not built yet"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_members_that_do_not_fit_are_refused(name: str) -> None:
    other, message = OTHERS[name]
    with pytest.raises(ValueError, match=message):
        Ensemble([Network.from_sizes([5, 3], output="softmax"), other])


def test_a_file_holds_all_members(tmp_path: Path) -> None:
    networks = trained([5, 8, 3], "softmax", LABELS)
    path = tmp_path / "ensemble.safetensors"
    Ensemble(networks).save(path)
    read = Ensemble.load(path)
    np.testing.assert_array_equal(read.predict_proba(X), Ensemble(networks).predict_proba(X))
    for ours, theirs in zip(read.networks, networks, strict=True):
        assert ours.training == theirs.training
        ours.fit(X, LABELS, epochs=2)
        theirs.fit(X, LABELS, epochs=2)
        assert ours.parameters.tobytes() == theirs.parameters.tobytes()
    assert [each.name for each in tmp_path.iterdir()] == ["ensemble.safetensors"]


def test_another_file_is_refused(tmp_path: Path) -> None:
    networks = trained([5, 8, 3], "softmax", LABELS, n=2)
    ensemble, network = tmp_path / "ensemble", tmp_path / "network"
    Ensemble(networks).save(ensemble)
    networks[0].save(network)
    with pytest.raises(ValueError, match="is a network, which Network"):
        Ensemble.load(network)
    for kind in (Network, TabularModel):
        with pytest.raises(ValueError, match="cannot load"):
            kind.load(ensemble)
    data = bytearray(ensemble.read_bytes())
    data[-5] ^= 1
    (tmp_path / "damaged").write_bytes(data)
    with pytest.raises(ValueError, match="checksum"):
        Ensemble.load(tmp_path / "damaged")
    with pytest.raises(FileNotFoundError):
        Ensemble.load(tmp_path / "missing")


@pytest.mark.parametrize("wrong", ["none", "text", "tensor", "kind", "unequal"])
def test_what_save_would_not_write_is_refused(wrong: str, tmp_path: Path) -> None:
    from fastnn import _copies, _files

    networks = [Network.from_sizes([5, n], output="softmax", seed=0) for n in (3, 3, 4)]
    used = networks if wrong == "unequal" else networks[:2]
    descriptions, tensors = _copies.many_to_data(used)
    description: dict[str, Any] = {"kind": "Ensemble", "networks": descriptions}
    if wrong == "none":
        description["networks"], tensors = [], {}
    if wrong == "text":
        description["networks"] = "two"
    if wrong == "tensor":
        tensors["2.parameters"] = np.zeros(3)
    if wrong == "kind":
        description["kind"] = ["Ensemble"]
    _files.write_model(tmp_path / "file", description, tensors)
    with pytest.raises(ValueError, match=r"cannot load .*: not an ensemble"):
        Ensemble.load(tmp_path / "file")

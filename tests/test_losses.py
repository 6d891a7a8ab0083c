"""Losses as objects, what they take and refuse, and trained networks against the reference."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from reference_networks import flat, reference_of

import fastnn
from fastnn import Dense, Focal, Huber, LogCosh, Network, Poisson, Quantile, gradient_check
from fastnn.losses import LOSSES

Array = npt.NDArray[Any]

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 4))
NUMBERS = RNG.normal(size=(90, 3))
CLASSES = RNG.integers(0, 3, 90)
LABELS = RNG.integers(0, 2, (90, 3))

# loss, output, units, y
CASES: dict[str, tuple[Any, str, int, Array]] = {
    "huber": (Huber(0.3), "linear", 3, NUMBERS),
    "log_cosh": (LogCosh(), "tanh", 3, NUMBERS),
    "one quantile": (Quantile([0.3]), "linear", 1, NUMBERS[:, 0]),
    "quantiles": (Quantile([0.1, 0.4, 0.95]), "softplus", 3, NUMBERS[:, :1]),
    "poisson": ("poisson", "exponential", 3, RNG.poisson(2.0, (90, 3))),
    "hinge": ("hinge", "linear", 1, LABELS[:, 0]),
    "hinge of signs": ("hinge", "linear", 3, 2 * LABELS - 1),
    "squared hinge": ("squared_hinge", "linear", 3, LABELS),
    "binary focal": (Focal(0.5), "sigmoid", 3, LABELS),
    "focal of probabilities": (Focal(2), "sigmoid", 1, RNG.random(90)),
    "focal of classes": (Focal(1.5), "softmax", 3, CLASSES),
    "focal of rows": (Focal(), "softmax", 3, RNG.dirichlet(np.ones(3), 90)),
    "several labels": (None, "sigmoid", 3, LABELS),
    "several outputs": (None, "linear", 3, NUMBERS),
    "classes": (None, "softmax", 3, CLASSES),
}
cases = pytest.mark.parametrize("case", CASES)


def network(case: str, dtype: str = "float64") -> Network:
    loss, output, n_outputs, _ = CASES[case]
    layers = [Dense(7, "tanh"), Dense(n_outputs, output)]
    return Network(layers, 4, loss=loss, dtype=dtype, seed=1)


# ---- objects -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_an_object_that_prints_itself(name: str) -> None:
    loss = LOSSES[name]()
    assert loss.name == name
    assert getattr(fastnn, type(loss).__name__) is LOSSES[name]
    assert eval(repr(loss), vars(fastnn)) == loss
    with pytest.raises(AttributeError):
        loss.name = "other"  # type: ignore[misc]


def test_the_loss_of_a_network_is_the_object() -> None:
    loss = Huber(2.5)
    net = Network([Dense(1)], loss=loss)
    assert net.loss is loss
    assert Network([Dense(1)], loss="huber").loss == Huber(1.0)
    assert "loss=Huber(delta=2.5)" in repr(net)
    assert "loss: Huber(delta=2.5)" in net.summary()
    assert "loss='huber'" in repr(Network([Dense(1)], loss=Huber()))
    assert "loss: huber" in Network([Dense(1)], loss=Huber()).summary()
    assert Network([Dense(1, "exp")]).loss == Poisson()
    assert "loss" not in repr(Network([Dense(1, "exponential")], loss="poisson"))


def test_parameters_are_kept_as_python_numbers() -> None:
    assert Quantile(np.array([0.25, 0.5])).levels == (0.25, 0.5)
    assert {type(level) for level in Quantile([np.float32(0.25), 0.5]).parameters} == {float}
    assert type(Huber(2).delta) is float


@cases
def test_the_loss_survives_files_copies_and_pickles(case: str, tmp_path: Path) -> None:
    net = network(case)
    net.save(tmp_path / "net")
    for twin in (
        Network.load(tmp_path / "net"),
        net.copy("float32"),
        copy.deepcopy(net),
        pickle.loads(pickle.dumps(net)),
    ):
        assert twin.loss == net.loss
    y = CASES[case][3]
    twin = Network.load(tmp_path / "net")
    assert twin.evaluate(X, y) == net.evaluate(X, y)
    assert eval(repr(net), vars(fastnn)).loss == net.loss


WRONG_LOSSES: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "delta 0": (lambda: Huber(0), ValueError, "delta must be a positive number, got 0"),
    "delta negative": (lambda: Huber(-1.0), ValueError, "delta must be a positive"),
    "delta NaN": (lambda: Huber(float("nan")), ValueError, "delta must be a positive"),
    "delta text": (lambda: Huber("1"), TypeError, "delta must be a positive"),  # type: ignore[arg-type]
    "gamma negative": (lambda: Focal(-0.1), ValueError, "gamma must be a number of at least 0"),
    "gamma infinite": (lambda: Focal(float("inf")), ValueError, "gamma must be a number"),
    "gamma None": (lambda: Focal(None), TypeError, "gamma must be a number"),  # type: ignore[arg-type]
    "levels falling": (lambda: Quantile([0.5, 0.1]), ValueError, "levels must be strictly incr"),
    "levels twice": (lambda: Quantile([0.5, 0.5]), ValueError, "levels must be strictly incr"),
    "no levels": (lambda: Quantile([]), ValueError, "levels must be strictly increasing"),
    "level 1": (lambda: Quantile([0.5, 1.0]), ValueError, r"numbers in \(0, 1\), got \[0.5, 1.0\]"),
    "level 0": (lambda: Quantile([0.0, 0.5]), ValueError, r"levels\[0\] must be a positive"),
    "level NaN": (lambda: Quantile([0.1, np.nan]), ValueError, r"levels\[1\] must be a positive"),
    "one level bare": (lambda: Quantile(0.5), TypeError, "levels must be a sequence"),  # type: ignore[arg-type]
    "levels text": (lambda: Quantile("0.5"), TypeError, "levels must be a sequence"),  # type: ignore[arg-type]
    "other levels than outputs": (
        lambda: Network([Dense(2)], loss=Quantile([0.1, 0.5, 0.9])),
        ValueError,
        "one output unit for each of its 3 levels, got 2",
    ),
    "default levels": (lambda: Network([Dense(1)], loss="quantile"), ValueError, "3 levels, got 1"),
    "quantiles of probabilities": (
        lambda: Network([Dense(3, "softmax")], loss="quantile"),
        ValueError,
        "loss 'quantile' needs an element-wise output, got 'softmax'",
    ),
    "poisson of linear": (
        lambda: Network([Dense(1)], loss="poisson"),
        ValueError,
        "loss 'poisson' needs an exponential output, got 'linear'",
    ),
    "hinge of sigmoid": (
        lambda: Network([Dense(1, "sigmoid")], loss="hinge"),
        ValueError,
        "loss 'hinge' needs a linear output, got 'sigmoid'",
    ),
    "squared hinge of softmax": (
        lambda: Network([Dense(2, "softmax")], loss="squared_hinge"),
        ValueError,
        "loss 'squared_hinge' needs a linear output",
    ),
    "focal of linear": (
        lambda: Network([Dense(2)], loss=Focal()),
        ValueError,
        "loss 'focal' needs a sigmoid or softmax output, got 'linear'",
    ),
    "a class": (
        lambda: Network([Dense(2)], loss=Huber),  # type: ignore[arg-type]
        TypeError,
        r"loss must be one of .* got .*Huber.*; call it: Huber\(\)",
    ),
    "a number": (lambda: Network([Dense(2)], loss=3), TypeError, "loss must be one of"),  # type: ignore[arg-type]
    "unknown": (
        lambda: Network([Dense(2)], loss="hubert"),
        ValueError,
        "loss must be one of .* did you mean 'huber'",
    ),
    "keyword of another": (lambda: Huber(gamma=1), TypeError, "gamma"),  # type: ignore[call-arg]
}


@pytest.mark.parametrize("case", WRONG_LOSSES)
def test_wrong_losses_are_refused(case: str) -> None:
    make, error, message = WRONG_LOSSES[case]
    with pytest.raises(error, match=message):
        make()


# ---- targets -----------------------------------------------------------------------------------

WRONG_TARGETS: dict[str, tuple[str, Any, str]] = {
    "negative counts": ("poisson", -np.ones((90, 3)), "y must be at least 0 for poisson, got"),
    "counts that are NaN": ("poisson", np.full((90, 3), np.nan), r"y\[0, 0\] is NaN"),
    "three signs": ("hinge", CLASSES, "y must be -1 and 1, or 0 and 1, for hinge, got numbers fr"),
    "signs between": ("hinge", 0.5 * LABELS[:, 0], "y must be -1 and 1, or 0 and 1, for hinge"),
    "-1 and 0": ("hinge", -LABELS[:, 0], "y must be -1 and 1, or 0 and 1, for hinge"),
    "-1, 0 and 1": ("squared hinge", LABELS - LABELS[::-1], "y must be -1 and 1, or 0 and 1,"),
    "several targets of quantiles": (
        "quantiles",
        NUMBERS,
        r"y must be of shape \(90,\) or \(90, 1\)",
    ),
    "infinite": ("quantiles", np.full(90, np.inf), r"y\[0\] is infinity"),
    "labels of several classes at once": ("classes", LABELS, "each row of y must sum to 1"),
    "the same for focal": ("focal of classes", LABELS, "each row of y must sum to 1"),
    "a class too many": ("focal of classes", CLASSES + 1, r"y must be classes in \[0, 3\)"),
    "a label above 1": ("binary focal", 2 * LABELS, r"y must be in \[0, 1\] for focal"),
    "classes for several labels": ("several labels", CLASSES, r"y must be of shape \(90, 3\)"),
    "one column of several": ("several outputs", NUMBERS[:, 0], r"y must be of shape \(90, 3\)"),
}


@pytest.mark.parametrize("case", WRONG_TARGETS)
def test_wrong_targets_are_refused_before_anything_changes(case: str) -> None:
    name, y, message = WRONG_TARGETS[case]
    net = network(name)
    net.fit(X, CASES[name][3], epochs=1)
    before = pickle.dumps(net)
    for call in (net.fit, net.partial_fit, net.evaluate, net.loss_and_gradients):
        with pytest.raises(ValueError, match=message):
            call(X, y)
    with pytest.raises(ValueError, match=message.replace("y", r"validation_data\[1\]", 1)):
        net.fit(X, CASES[name][3], validation_data=(X, y))
    assert pickle.dumps(net) == before


@pytest.mark.parametrize("y", [LABELS[:, 0] * 0, LABELS[:, 0] * 0 + 1, LABELS[:, 0] * 0 - 1])
def test_a_single_sign_is_taken(y: Array) -> None:
    assert network("hinge").fit(X, y, epochs=1)["loss"][0] > 0


def test_zero_stands_for_minus_one() -> None:
    nets = [network("squared hinge") for _ in range(2)]
    for net, y in zip(nets, (LABELS, 2 * LABELS - 1), strict=True):
        net.fit(X, y, epochs=3)
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)


# ---- training ----------------------------------------------------------------------------------


@cases
def test_gradients_are_right(case: str) -> None:
    assert gradient_check(network(case), X, CASES[case][3]) <= 1e-7


@cases
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_200_steps_agree_with_the_reference(case: str, dtype: str) -> None:
    net, y = network(case, dtype), CASES[case][3]
    twin = reference_of(net.copy("float64"))
    options: dict[str, Any] = {"epochs": 67, "batch_size": 32, "optimizer": "momentum"}
    losses = net.fit(X, y, shuffle=False, learning_rate=0.01, **options)["loss"]
    expected = twin.fit(X, y, learning_rate=0.01, **options)
    # A residual of a quantile or hinge that is nearly 0 may fall to either side in float32.
    tolerance = 1e-9 if dtype == "float64" else 1e-3
    np.testing.assert_allclose(losses, expected, rtol=tolerance)
    np.testing.assert_allclose(net.parameters, flat(twin), rtol=0, atol=tolerance)
    np.testing.assert_allclose(
        net.evaluate(X, y)["loss"], twin.loss_and_gradients(X, y)[0], rtol=tolerance
    )


@cases
def test_training_lowers_the_loss(case: str) -> None:
    net, y = network(case, "float32"), CASES[case][3]
    before = net.evaluate(X, y)["loss"]
    net.fit(X, y, epochs=30, batch_size=16, validation_data=(X, y))
    assert net.history["val_loss"][-1] < before
    assert np.shape(net.predict(X)) in [(90,), (90, net.n_outputs)]


def test_focal_of_classes_is_focal_of_one_hot_rows() -> None:
    """Labels become rows in the gather of a mini-batch; shuffled or not, in training or not."""
    for shuffle in (False, True):
        labels, rows = (network("focal of classes") for _ in range(2))
        for net, y in ((labels, CLASSES), (rows, np.eye(3)[CLASSES])):
            net.fit(X, y, epochs=3, batch_size=32, shuffle=shuffle)
        np.testing.assert_array_equal(labels.parameters, rows.parameters)
        assert labels.evaluate(X, CLASSES) == rows.evaluate(X, np.eye(3)[CLASSES])


def test_focal_with_gamma_0_is_the_cross_entropy() -> None:
    for output, y in (("softmax", CLASSES), ("sigmoid", LABELS)):
        nets = [
            Network([Dense(3, output)], 4, loss=loss, dtype="float64", seed=2)
            for loss in (Focal(0), None)
        ]
        losses = [net.fit(X, y, epochs=5, batch_size=20)["loss"] for net in nets]
        np.testing.assert_allclose(*losses, rtol=1e-13)


def test_quantiles_are_quantiles() -> None:
    """A constant fits best where the share of the level lies below it."""
    y = np.random.default_rng(3).exponential(size=2000)
    net = Network([Dense(3)], 1, loss=Quantile([0.1, 0.5, 0.9]), seed=0)
    net.fit(np.zeros((2000, 1)), y, epochs=60, batch_size=100, learning_rate=0.01)
    below = (y[:, np.newaxis] < net.predict(np.zeros((1, 1)))).mean(axis=0)
    np.testing.assert_allclose(below, [0.1, 0.5, 0.9], atol=0.03)


def test_poisson_predicts_means() -> None:
    groups = np.random.default_rng(4).integers(0, 2, (2000, 1))
    y = np.random.default_rng(5).poisson(np.where(groups == 1, 5.0, 0.5))
    net = Network([Dense(1, "exponential")], 1, seed=0)
    net.fit(groups, y, epochs=60, batch_size=100, learning_rate=0.02)
    means = [y[groups == group].mean() for group in (0, 1)]
    np.testing.assert_allclose(net.predict([[0.0], [1.0]]), means, rtol=0.05)


def test_several_labels_are_judged_one_by_one() -> None:
    net = network("several labels")
    result = net.evaluate(X, LABELS)
    assert result["accuracy"] == pytest.approx((net.predict(X) == LABELS).mean())
    assert net.predict(X).shape == (90, 3)


@pytest.mark.parametrize("case", ["quantiles", "focal of classes", "binary focal", "poisson"])
def test_bits_do_not_depend_on_threads(case: str) -> None:
    _, output, n_outputs, y = CASES[case]
    data, targets = np.tile(X, (40, 1)), np.concatenate([y] * 40)

    def trained(threads: int) -> bytes:
        layers = [Dense(65, "tanh"), Dense(n_outputs, output)]
        net = Network(layers, 4, loss=CASES[case][0], seed=1)
        net.fit(data, targets, epochs=2, batch_size=700, threads=threads)
        loss, gradient = net.loss_and_gradients(data, targets, threads=threads)
        results = [net.parameters, gradient, loss, net.history["loss"]]
        results.append(net.evaluate(data, targets, threads=threads)["loss"])
        return b"".join(np.asarray(result).tobytes() for result in results)

    assert trained(1) == trained(2) == trained(3)


@pytest.mark.parametrize("loss", [fastnn.Huber(1e-45), fastnn.Focal(1e39)])
def test_parameters_beyond_the_dtype_are_refused(loss: fastnn.losses.Loss) -> None:
    layers = [Dense(2, "softmax")] if loss.name == "focal" else [Dense(2)]
    with pytest.raises(ValueError, match=f"loss: {'gamma' if loss.name == 'focal' else 'delta'}"):
        Network(layers, loss=loss)
    assert Network(layers, loss=loss, dtype="float64").loss == loss

"""Weights of samples and of classes, and smoothed labels."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from reference_networks import flat, reference_of

from fastnn import Dense, Focal, Network, Quantile
from fastnn._split import split_rows

Array = npt.NDArray[Any]

RNG = np.random.default_rng(0)
N = 90
X = RNG.normal(size=(N, 4))
CLASSES = RNG.choice(3, N, p=[0.6, 0.3, 0.1])
LABELS = RNG.integers(0, 2, (N, 3))
NUMBERS = RNG.normal(size=(N, 3))
WEIGHTS = 3 * RNG.random(N)
WEIGHTS[::5] = 0

# loss, output, units, y
CASES: dict[str, tuple[Any, str, int, Array]] = {
    "classes": (None, "softmax", 3, CLASSES),
    "rows": (None, "softmax", 3, RNG.dirichlet(np.ones(3), N)),
    "many classes": (None, "softmax", 40, 13 * CLASSES),
    "many rows": (None, "softmax", 40, np.eye(40)[13 * CLASSES]),
    "one label": (None, "sigmoid", 1, LABELS[:, 0]),
    "several labels": (None, "sigmoid", 3, LABELS),
    "one number": (None, "linear", 1, NUMBERS[:, 0]),
    "several numbers": (None, "tanh", 3, NUMBERS),
    "huber": ("huber", "linear", 3, NUMBERS),
    "log_cosh": ("log_cosh", "linear", 3, NUMBERS),
    "quantiles": (Quantile([0.2, 0.5, 0.6]), "linear", 3, NUMBERS[:, 0]),
    "poisson": (None, "exponential", 3, LABELS),
    "hinge": ("hinge", "linear", 3, LABELS),
    "focal of classes": (Focal(1.5), "softmax", 3, CLASSES),
    "focal of labels": (Focal(1.5), "sigmoid", 3, LABELS),
}
cases = pytest.mark.parametrize("case", CASES)


def network(case: str, dtype: str = "float64") -> Network:
    loss, output, n_outputs, _ = CASES[case]
    layers = [Dense(7, "tanh"), Dense(n_outputs, output)]
    return Network(layers, 4, loss=loss, dtype=dtype, seed=1)


# ---- what weights mean --------------------------------------------------------------------------


@cases
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [32, None])
def test_200_steps_agree_with_the_reference(case: str, dtype: str, batch_size: int | None) -> None:
    net, y = network(case, dtype), CASES[case][3]
    twin = reference_of(net.copy("float64"))
    options: dict[str, Any] = {"epochs": 67 if batch_size else 200, "batch_size": batch_size}
    options |= {"optimizer": "momentum", "learning_rate": 0.01}
    losses = net.fit(X, y, shuffle=False, sample_weight=WEIGHTS, **options)["loss"]
    expected = twin.fit(X, y, weights=WEIGHTS, **options)
    tolerance = 1e-9 if dtype == "float64" else 1e-3
    np.testing.assert_allclose(losses, expected, rtol=tolerance)
    np.testing.assert_allclose(net.parameters, flat(twin), rtol=0, atol=tolerance)


@cases
def test_a_weight_of_k_is_the_sample_k_times(case: str) -> None:
    net, y = network(case), CASES[case][3]
    counts = RNG.integers(0, 4, N)
    repeated = np.repeat(np.arange(N), counts)
    loss, gradient = net.loss_and_gradients(X, y, sample_weight=counts)
    wanted_loss, wanted = net.loss_and_gradients(X[repeated], y[repeated])
    assert loss == pytest.approx(wanted_loss, rel=1e-12)
    np.testing.assert_allclose(gradient, wanted, atol=1e-12)
    for name, value in net.evaluate(X, y, sample_weight=counts).items():
        assert value == pytest.approx(net.evaluate(X[repeated], y[repeated])[name], rel=1e-12)


@cases
def test_weighted_gradients_agree_with_differences(case: str) -> None:
    net, y = network(case), CASES[case][3]
    _, gradient = net.loss_and_gradients(X, y, sample_weight=WEIGHTS)
    differences = np.empty_like(gradient)
    for i, value in enumerate(net.parameters.copy()):
        losses = []
        for step in (1e-6, -1e-6):
            net.parameters[i] = value + step
            losses.append(net.evaluate(X, y, sample_weight=WEIGHTS)["loss"])
        net.parameters[i] = value
        differences[i] = (losses[0] - losses[1]) / 2e-6
    error = np.linalg.norm(gradient - differences)
    assert error <= 1e-7 * (np.linalg.norm(gradient) + np.linalg.norm(differences))


@cases
def test_only_ratios_matter(case: str) -> None:
    y = CASES[case][3]
    results = []
    for factor in (1, 2.0**-1000, 2.0**1000):
        net = network(case, "float32")
        net.fit(X, y, epochs=2, batch_size=32, sample_weight=factor * WEIGHTS)
        results.append(net.parameters.tobytes())
    assert results[0] == results[1] == results[2]


@cases
def test_equal_weights_are_none(case: str) -> None:
    """To rounding: sums are taken in another order."""
    y = CASES[case][3]
    plain, weighted = network(case), network(case)
    losses = plain.fit(X, y, epochs=5, batch_size=32)["loss"]
    of_weighted = weighted.fit(X, y, epochs=5, batch_size=32, sample_weight=np.full(N, 0.3))["loss"]
    np.testing.assert_allclose(of_weighted, losses, rtol=1e-12)
    np.testing.assert_allclose(weighted.parameters, plain.parameters, rtol=0, atol=1e-12)


def test_shuffled_weights_stay_with_their_samples() -> None:
    """A sample of weight 0 has no influence, wherever it comes: not even as nonsense."""
    wild = X.copy()
    wild[WEIGHTS == 0] = 1e3
    results = []
    for data in (X, wild):
        net = network("classes")
        net.fit(data, CLASSES, epochs=5, batch_size=7, sample_weight=WEIGHTS)
        results.append(net.parameters.copy())
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("case", ["classes", "focal of classes", "several numbers"])
def test_a_shuffled_mini_batch_is_scaled_by_its_own_weights(case: str) -> None:
    """A mini-batch of one sample has the mean of one, whatever its weight."""
    y = CASES[case][3]
    plain, weighted = network(case), network(case)
    plain.fit(X, y, epochs=2, batch_size=1, optimizer="sgd")
    weighted.fit(X, y, epochs=2, batch_size=1, optimizer="sgd", sample_weight=WEIGHTS + 0.1)
    np.testing.assert_allclose(weighted.parameters, plain.parameters, rtol=0, atol=1e-12)


def test_a_mini_batch_of_weight_0_has_no_gradient() -> None:
    weights = np.ones(N)
    weights[:30] = 0
    net = network("several numbers")
    start = net.parameters.copy()
    history = net.fit(
        X, NUMBERS, epochs=1, batch_size=30, shuffle=False, optimizer="sgd", sample_weight=weights
    )
    twin = network("several numbers")
    expected = twin.fit(
        X[30:], NUMBERS[30:], epochs=1, batch_size=30, shuffle=False, optimizer="sgd"
    )
    assert (net.parameters != start).any()
    np.testing.assert_allclose(net.parameters, twin.parameters, rtol=0, atol=1e-15)
    assert history["loss"] == pytest.approx(expected["loss"])


def test_partial_fit_is_fit() -> None:
    nets = [network("classes") for _ in range(2)]
    options: dict[str, Any] = {
        "batch_size": 32, "sample_weight": WEIGHTS, "class_weight": "balanced",
        "label_smoothing": 0.1,
    }  # fmt: skip
    history = nets[0].fit(X, CLASSES, epochs=1, **options)
    assert [nets[1].partial_fit(X, CLASSES, **options)] == history["loss"]
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)


def test_weights_are_copied() -> None:
    weights = WEIGHTS.astype(np.float32)
    before = weights.copy()
    network("classes", "float32").fit(X, CLASSES, epochs=1, sample_weight=weights)
    np.testing.assert_array_equal(weights, before)


# ---- classes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "y"),
    [("classes", CLASSES), ("rows", np.eye(3)[CLASSES]), ("focal of classes", CLASSES)],
)
def test_class_weights_are_weights_of_the_samples(case: str, y: Array) -> None:
    net = network(case)
    by_hand = WEIGHTS * np.array([1.0, 4.0, 0.5])[CLASSES]
    expected = net.evaluate(X, y, sample_weight=by_hand)
    given = net.evaluate(X, y, sample_weight=WEIGHTS, class_weight={1: 4, 2: 0.5})
    assert given == pytest.approx(expected, rel=1e-12)
    loss, gradient = net.loss_and_gradients(
        X, y, sample_weight=WEIGHTS, class_weight={np.int64(1): 4, 2: 0.5}
    )
    wanted_loss, wanted = net.loss_and_gradients(X, y, sample_weight=by_hand)
    assert loss == pytest.approx(wanted_loss, rel=1e-12)
    np.testing.assert_allclose(gradient, wanted, atol=1e-12)


@pytest.mark.parametrize("dtype", [int, bool, float])
def test_class_weights_of_two_classes(dtype: type) -> None:
    net, y = network("one label"), LABELS[:, 0].astype(dtype)
    expected = net.evaluate(X, y, sample_weight=np.where(LABELS[:, 0] == 1, 3.0, 0.7))
    assert net.evaluate(X, y, class_weight={0: 0.7, 1: 3}) == pytest.approx(expected, rel=1e-12)


def test_balanced_classes_count_alike() -> None:
    net = network("classes")
    counts = np.bincount(CLASSES)
    expected = net.evaluate(X, CLASSES, sample_weight=(N / (3 * counts))[CLASSES])
    given = net.evaluate(X, CLASSES, class_weight="balanced")
    assert given == pytest.approx(expected, rel=1e-12)
    right = net.predict(X) == CLASSES
    recalls = [right[k == CLASSES].mean() for k in range(3)]
    assert given["accuracy"] == pytest.approx(np.mean(recalls))


def test_balanced_where_a_class_is_missing() -> None:
    some = CLASSES != 1
    net = network("classes")
    loss = net.evaluate(X[some], CLASSES[some], class_weight="balanced")["loss"]
    parts = [net.evaluate(X[k == CLASSES], CLASSES[k == CLASSES])["loss"] for k in (0, 2)]
    assert loss == pytest.approx(np.mean(parts))


# ---- smoothed labels ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "case",
    ["classes", "rows", "many classes", "one label", "several labels", "focal of classes",
     "focal of labels"],
)  # fmt: skip
@pytest.mark.parametrize("batch_size", [32, None])
def test_smoothed_labels_agree_with_the_reference(case: str, batch_size: int | None) -> None:
    net, y = network(case), CASES[case][3]
    twin = reference_of(net)
    options: dict[str, Any] = {"epochs": 67 if batch_size else 200, "batch_size": batch_size}
    options |= {"optimizer": "momentum", "learning_rate": 0.01, "label_smoothing": 0.15}
    losses = net.fit(X, y, shuffle=False, **options, sample_weight=WEIGHTS)["loss"]
    np.testing.assert_allclose(losses, twin.fit(X, y, **options, weights=WEIGHTS), rtol=1e-9)
    np.testing.assert_allclose(net.parameters, flat(twin), rtol=0, atol=1e-9)


@pytest.mark.parametrize("shuffle", [False, True])
def test_smoothed_labels_are_smoothed_rows(shuffle: bool) -> None:
    labels, rows = network("classes"), network("classes")
    options: dict[str, Any] = {"epochs": 3, "batch_size": 32, "shuffle": shuffle}
    smooth = 0.9 * np.eye(3)[CLASSES] + 0.1 / 3
    losses = labels.fit(X, CLASSES, label_smoothing=0.1, **options)["loss"]
    np.testing.assert_allclose(losses, rows.fit(X, smooth, **options)["loss"], rtol=1e-13)
    np.testing.assert_allclose(labels.parameters, rows.parameters, rtol=0, atol=1e-14)


def test_validation_is_not_smoothed() -> None:
    net = network("classes")
    history = net.fit(X, CLASSES, epochs=2, label_smoothing=0.3, validation_data=(X, CLASSES))
    assert history["val_loss"][-1] == net.evaluate(X, CLASSES)["loss"]


def test_smoothing_stays_until_it_is_told_otherwise(tmp_path: Path) -> None:
    net = network("classes")
    net.fit(X, CLASSES, epochs=1, label_smoothing=0.2)
    net.save(tmp_path / "net")
    twins = [net, net.copy(), pickle.loads(pickle.dumps(net)), Network.load(tmp_path / "net")]
    for twin in twins:
        twin.fit(X, CLASSES, epochs=1)
        assert twin.training is not None
        assert twin.training.label_smoothing == 0.2
        np.testing.assert_array_equal(twin.parameters, net.parameters)
    twins[1].fit(X, CLASSES, epochs=1, label_smoothing=0)
    net.fit(X, CLASSES, epochs=1)
    assert (twins[1].parameters != net.parameters).any()


# ---- threads and portions -----------------------------------------------------------------------


@pytest.mark.parametrize("case", ["classes", "several labels", "one number", "focal of classes"])
def test_bits_depend_neither_on_threads_nor_on_stopping(case: str) -> None:
    loss, output, n_outputs, y = CASES[case]
    data, targets = np.tile(X, (40, 1)), np.concatenate([y] * 40)
    options: dict[str, Any] = {"batch_size": 700, "sample_weight": np.tile(WEIGHTS, 40)}
    if output != "linear":
        options["label_smoothing"] = 0.1

    def trained(threads: int, epochs: list[int]) -> bytes:
        net = Network([Dense(65, "tanh"), Dense(n_outputs, output)], 4, loss=loss, seed=1)
        losses = []
        for n in epochs:
            losses += net.fit(data, targets, epochs=n, threads=threads, **options)["loss"]
        return net.parameters.tobytes() + np.array(losses).tobytes()

    assert trained(1, [3]) == trained(2, [3]) == trained(3, [1, 2]) == trained(1, [1, 1, 1])


def test_undone_steps_are_repeated_with_their_weights() -> None:
    """The last sample's target is beyond the range; what came before is as without it."""
    y = NUMBERS.astype(np.float32)
    y[-1] = 3e38
    weights = WEIGHTS.copy()
    weights[-1] = 1
    net, twin = network("several numbers", "float32"), network("several numbers", "float32")
    options: dict[str, Any] = {"batch_size": 30, "shuffle": False, "optimizer": "sgd"}
    with pytest.raises(FloatingPointError):
        net.fit(X, y, epochs=1, sample_weight=weights, **options)
    twin.fit(X[:60], y[:60], epochs=1, sample_weight=weights[:60], **options)
    np.testing.assert_allclose(net.parameters, twin.parameters, rtol=1e-5, atol=1e-7)


# ---- wrong ones ---------------------------------------------------------------------------------

ONES = np.ones(N)
WRONG: dict[str, tuple[str, dict[str, Any], type[Exception], str]] = {
    "negative": (
        "classes", {"sample_weight": np.where(np.arange(N) == 7, -1, 1)}, ValueError,
        r"sample_weight\[7\] is -1; sample_weight must be at least 0",
    ),
    "too few": ("classes", {"sample_weight": ONES[1:]}, ValueError, r"shape \(90,\).*\(89,\)"),
    "a column": ("classes", {"sample_weight": ONES[:, None]}, ValueError, r"sample_weight must be"),
    "one number": ("classes", {"sample_weight": 1.0}, ValueError, r"sample_weight must be of sh"),
    "all 0": ("classes", {"sample_weight": 0 * ONES}, ValueError, "sample_weight must be above 0"),
    "NaN": ("classes", {"sample_weight": np.nan * ONES}, ValueError, r"sample_weight\[0\] is NaN"),
    "infinite": (
        "classes", {"sample_weight": [np.inf, *ONES[1:]]}, ValueError,
        r"sample_weight\[0\] is infinity",
    ),
    "texts": ("classes", {"sample_weight": ["1"] * N}, TypeError, "sample_weight must be an array"),
    "a dict": ("classes", {"sample_weight": {0: 1}}, TypeError, "sample_weight must be an array"),
    "unknown class": (
        "classes", {"class_weight": {3: 1.0}}, ValueError,
        r"class_weight must have classes in \[0, 3\), got 3",
    ),
    "named class": ("classes", {"class_weight": {"0": 1.0}}, ValueError, "class_weight must have"),
    "negative class": (
        "classes", {"class_weight": {1: -1}}, ValueError, r"class_weight\[1\] must be a number",
    ),
    "NaN of a class": (
        "classes", {"class_weight": {1: np.nan}}, ValueError, r"class_weight\[1\] must be a number",
    ),
    "text of a class": (
        "classes", {"class_weight": {1: "2"}}, TypeError, r"class_weight\[1\] must be a number",
    ),
    "a list": (
        "classes", {"class_weight": [1, 2, 3]}, TypeError, "class_weight must be a dict from",
    ),
    "another word": (
        "classes", {"class_weight": "even"}, ValueError, "class_weight must be a dict .* 'even'",
    ),
    "all classes 0": (
        "classes", {"class_weight": {0: 0, 1: 0, 2: 0}}, ValueError, "class_weight must leave",
    ),
    "nothing left": (
        "classes", {"sample_weight": CLASSES == 0, "class_weight": {0: 0}}, ValueError,
        "class_weight must leave a sample",
    ),
    "classes of numbers": (
        "several numbers", {"class_weight": "balanced"}, ValueError,
        "class_weight needs classes, got the loss mean_squared_error; pass sample_weight",
    ),
    "classes of several labels": (
        "several labels", {"class_weight": {0: 1}}, ValueError,
        "class_weight needs one class for each sample, got 3 labels for each",
    ),
    "classes of probabilities": (
        "rows", {"class_weight": {0: 1}}, ValueError,
        "class_weight needs one class for each sample, got rows of probabilities in y",
    ),
    "classes of signs": (
        "hinge", {"class_weight": {0: 1}}, ValueError, "class_weight needs classes, got the loss h",
    ),
}  # fmt: skip
WRONG_SMOOTHING: dict[str, tuple[str, Any, type[Exception], str]] = {
    "1": ("classes", 1.0, ValueError, r"label_smoothing must be a number in \[0, 1\), got 1"),
    "negative": ("classes", -0.1, ValueError, r"label_smoothing must be a number in \[0, 1\)"),
    "NaN": ("classes", np.nan, ValueError, r"label_smoothing must be a number in \[0, 1\)"),
    "text": ("classes", "much", TypeError, r"label_smoothing must be a number in \[0, 1\)"),
    "None": ("classes", None, TypeError, r"label_smoothing must be a number in \[0, 1\)"),
    "numbers": (
        "several numbers", 0.1, ValueError, "label_smoothing must be 0 for the loss mean_squared",
    ),
    "signs": ("hinge", 0.1, ValueError, "label_smoothing must be 0 for the loss hinge"),
    "counts": ("poisson", 0.1, ValueError, "label_smoothing must be 0 for the loss poisson"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("method", ["fit", "partial_fit", "evaluate", "loss_and_gradients"])
def test_wrong_weights_are_refused_before_anything_changes(method: str, case: str) -> None:
    name, arguments, error, message = WRONG[case]
    net = network(name)
    net.fit(X, CASES[name][3], epochs=1)
    before = pickle.dumps(net)
    with pytest.raises(error, match=message):
        getattr(net, method)(X, CASES[name][3], **arguments)
    assert pickle.dumps(net) == before


@pytest.mark.parametrize("case", WRONG_SMOOTHING)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_wrong_smoothing_is_refused_before_anything_changes(method: str, case: str) -> None:
    name, smoothing, error, message = WRONG_SMOOTHING[case]
    net = network(name)
    net.fit(X, CASES[name][3], epochs=1)
    before = pickle.dumps(net)
    with pytest.raises(error, match=message):
        getattr(net, method)(X, CASES[name][3], label_smoothing=smoothing)
    assert pickle.dumps(net) == before


def test_probabilities_of_one_sigmoid_have_no_class() -> None:
    with pytest.raises(ValueError, match=r"class_weight needs one class .* got probabilities in y"):
        network("one label").evaluate(X, RNG.random(N), class_weight="balanced")


def test_small_weights_count_where_validation_split_has_drawn_the_large_one() -> None:
    """To the core, numbers below 1e-38 are 0."""
    rows, _ = split_rows(N, 0.2, 0, CLASSES)
    weights = np.ones(N)
    weights[rows] = 1e-40
    losses = []
    for given in (weights, None):
        net = Network([Dense(3, "softmax")], 4, seed=0)
        history = net.fit(X, CLASSES, epochs=3, validation_split=0.2, sample_weight=given)
        losses.append(history["loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)


def test_validation_has_weights_of_its_own() -> None:
    net = Network([Dense(3, "softmax")], 4, seed=0)
    counts = np.arange(N) % 3
    history = net.fit(X, CLASSES, epochs=1, validation_data=(X, CLASSES, counts))
    found = net.evaluate(X, CLASSES, sample_weight=counts)
    assert history["val_loss"] == [found["loss"]]
    assert history["val_accuracy"] == [found["accuracy"]]
    for bad, message in (
        (counts[1:], "of shape"),
        (-counts, "at least 0"),
        (0 * counts, "above 0"),
    ):
        with pytest.raises(ValueError, match=rf"validation_data\[2\].*{message}"):
            net.fit(X, CLASSES, epochs=1, validation_data=(X, CLASSES, bad))

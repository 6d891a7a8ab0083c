"""Pictures: what is drawn, where, and what is refused."""

import math
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fastnn import Dense, Dropout, History, Network, diagnose, find_learning_rate, plots
from fastnn.datasets import load_digits

matplotlib = pytest.importorskip("matplotlib")
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.colors import to_hex  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

Array = npt.NDArray[Any]

HISTORY = {
    "loss": [2.0, 0.5, 0.1, 0.02],
    "val_loss": [1.9, 0.6, 0.2, 0.15],
    "val_accuracy": [0.5, 0.9, 0.95, 0.97],
    "learning_rate": [1e-3] * 4,
}
PLANE = np.array([[0.0, 0.0], [0.0, 2.0], [4.0, 0.0], [4.0, 2.0]])


def digits_network(**options: Any) -> tuple[Network, Array, Array]:
    X, y = load_digits()
    net = Network([Dense(12, "relu"), Dropout(0.2), Dense(10, "softmax")], 64, seed=0, **options)
    net.fit(X[:600], y[:600], epochs=3)
    return net, X[600:800], y[600:800]


def line(ax: Axes, label: str) -> Array:
    """The points of the line of that label, shape (n, 2)."""
    (found,) = [line for line in ax.lines if line.get_label() == label]
    return np.column_stack([np.asarray(found.get_xdata()), np.asarray(found.get_ydata())])


def texts(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def image(ax: Axes) -> Array:
    (found,) = ax.images
    return np.asarray(found.get_array())


# ---- where they are drawn ------------------------------------------------------------------------


def every_picture() -> dict[str, tuple[Callable[..., Any], bool]]:
    """Each function as a function of `ax`, and whether it gives an array of Axes."""
    net, X, y = digits_network()
    planar = Network.from_sizes([2, 3, 1], seed=0)
    probabilities, predicted = net.predict_proba(X), net.predict(X)
    found = find_learning_rate(net, X, y, n_steps=20)
    diagnosed = diagnose(planar, np.tile(PLANE, (5, 1)), [0, 1, 1, 0] * 5, epochs=1)
    history, zeros = History(HISTORY), [0] * 4
    return {
        "activations": (lambda ax: plots.activations(net, X, ax), True),
        "bar_chart": (lambda ax: plots.bar_chart({"a": {"b": 1.0}}, title="", ax=ax), False),
        "calibration": (lambda ax: plots.calibration(y, probabilities, ax), False),
        "confusion_matrix": (lambda ax: plots.confusion_matrix(y, predicted, ax), False),
        "decision_boundary": (lambda ax: plots.decision_boundary(planar, PLANE, zeros, ax), False),
        "diagnosis": (lambda ax: plots.diagnosis(diagnosed, ax), True),
        "diagnosis.plot": (lambda ax: diagnosed.plot(ax), True),
        "history.plot": (lambda ax: history.plot(ax), True),
        "importance": (lambda ax: plots.importance({"a": 0.5}, ax), False),
        "learning_curves": (lambda ax: plots.learning_curves(history, ax), True),
        "learning_rate_range": (lambda ax: plots.learning_rate_range(found, ax), False),
        "least_sure": (lambda ax: plots.least_sure(net, X, n_images=4, ax=ax), True),
        "misclassified": (lambda ax: plots.misclassified(net, X, y, n_images=9, ax=ax), True),
        "network": (lambda ax: plots.network(net, ax), False),
        "precision_recall": (lambda ax: plots.precision_recall(y, probabilities, ax), False),
        "predicted_vs_true": (lambda ax: plots.predicted_vs_true(y, predicted, ax), False),
        "range_test.plot": (lambda ax: found.plot(ax), False),
        "roc": (lambda ax: plots.roc(y, probabilities, ax), False),
        "weights": (lambda ax: plots.weights(net, n_images=3, ax=ax), True),
    }  # fmt: skip


PICTURES = every_picture()


def test_every_public_function_that_draws_is_tested_below() -> None:
    assert set(plots.__all__) - {"format_duration"} == {n for n in PICTURES if "." not in n}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_without_ax_has_a_figure_that_pyplot_does_not_keep(name: str) -> None:
    from matplotlib import pyplot

    before = matplotlib.rcParams.copy()  # with the backend
    draw, is_array = PICTURES[name]
    drawn = draw(None)
    axes = drawn if is_array else np.array([drawn])
    assert isinstance(drawn, np.ndarray if is_array else Axes)
    assert axes.ndim == 1
    assert all(type(ax) is Axes for ax in axes)
    assert {type(ax.figure) for ax in axes} == {Figure}
    assert axes[0].figure.get_axes()[: len(axes)] == list(axes)
    axes[0].figure.draw_without_rendering()
    assert pyplot.get_fignums() == []
    assert matplotlib.rcParams.copy() == before


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_drawn_into_the_ax_that_it_is_given(name: str) -> None:
    figure = Figure(figsize=(10, 6), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw, is_array = PICTURES[name]
    drawn = draw(right)
    figure.draw_without_rendering()
    assert not left.has_data()
    if not is_array:
        assert drawn is right
        return
    place = right.get_subplotspec().get_topmost_subplotspec()
    assert not right.axison
    assert {ax.figure for ax in drawn} == {figure}
    assert {ax.get_subplotspec().get_topmost_subplotspec() for ax in drawn} == {place}


@pytest.mark.parametrize("name", PICTURES)
def test_what_is_no_ax_is_refused(name: str) -> None:
    draw, is_array = PICTURES[name]
    for wrong in ("ax", Figure(), Figure().subplots(1, 2)):
        with pytest.raises(TypeError, match=r"^ax must be a matplotlib Axes or None, got "):
            draw(wrong)
    if is_array:
        with pytest.raises(ValueError, match=r"^ax must be a subplot, which can be divided"):
            draw(Figure().add_axes((0, 0, 1, 1)))


@pytest.mark.parametrize("name", PICTURES)
def test_without_matplotlib_one_line_says_what_to_install(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError) as caught:
        PICTURES[name][0](None)
    assert str(caught.value) == (
        "matplotlib is not installed; the extra 'plot' brings it: pip install '.[plot]' in a copy "
        "of fastnn's sources"
    )


def test_a_notebook_gets_a_figure_of_pyplot_which_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib import pyplot

    pyplot.switch_backend("agg")  # no windows
    monkeypatch.setattr("fastnn.plots.figures.is_in_notebook", lambda: True)
    try:
        axes = plots.learning_curves(HISTORY)
        assert pyplot.get_fignums() == [axes[0].figure.number]
    finally:
        pyplot.close("all")


def test_interactive_mode_gets_a_figure_of_pyplot() -> None:
    from matplotlib import pyplot

    pyplot.switch_backend("agg")  # no windows
    try:
        with pyplot.ion():
            ax = PICTURES["network"][0](None)
            assert pyplot.get_fignums() == [ax.figure.number]
    finally:
        pyplot.close("all")


# ---- learning curves -----------------------------------------------------------------------------


def test_learning_curves_draw_every_series_by_epoch_and_name_it() -> None:
    losses, accuracies = plots.learning_curves(HISTORY)
    for ax, names, kind in (
        (losses, ["loss", "val_loss"], "loss"),
        (accuracies, ["val_accuracy"], "accuracy"),
    ):
        assert [curve.get_label() for curve in ax.lines] == names
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", kind)
        assert [text.get_text() for text in ax.get_legend().get_texts()] == names
        for name in names:
            expected = np.column_stack([range(1, 5), HISTORY[name]])
            np.testing.assert_array_equal(line(ax, name), expected)


def test_metrics_that_grow_have_a_panel_of_their_own() -> None:
    axes = plots.learning_curves({"val_f1": [0.5], "mae": [2.0], "loss": [1.0], "accuracy": [0.1]})
    assert [ax.get_ylabel() for ax in axes] == ["loss", "accuracy", "score"]
    assert [curve.get_label() for curve in axes[0].lines] == ["mae", "loss"]
    assert [curve.get_label() for curve in axes[2].lines] == ["val_f1"]


def test_several_trainings_are_drawn_as_their_mean_and_range() -> None:
    """The second one has ended earlier."""
    runs = [{"loss": [5.0, 2.0, 1.0]}, {"loss": [2.0, 1.0]}, {"loss": [2.0, 3.0, 2.0]}]
    (ax,) = plots.learning_curves(runs)
    np.testing.assert_array_equal(line(ax, "loss"), [[1, 3], [2, 2], [3, 1.5]])
    (band,) = ax.collections
    corners = {(x, y) for x, y in band.get_paths()[0].vertices.tolist()}
    assert corners == {(1, 2), (1, 5), (2, 1), (2, 3), (3, 1), (3, 2)}
    assert ax.get_title() == "mean and range of 3 trainings"


def test_one_training_has_no_band() -> None:
    (ax,) = plots.learning_curves([{"loss": [2.0, 1.0]}])
    assert len(ax.collections) == 0
    assert ax.get_title() == ""


@pytest.mark.parametrize(
    ("losses", "scale"),
    [
        ([10.0, 1.0, 0.1], "log"),
        ([3.0, 2.0, 1.0], "linear"),
        ([20.0, 10.0, 0.0], "linear"),
        ([5.0, 0.0, -5.0], "linear"),
    ],
)
def test_positive_losses_over_more_than_a_decade_get_a_logarithmic_axis(
    losses: list[float], scale: str
) -> None:
    (ax,) = plots.learning_curves({"loss": losses})
    assert ax.get_yscale() == scale


def test_the_axis_of_accuracies_is_in_percent_up_to_100() -> None:
    (ax,) = plots.learning_curves({"val_accuracy": [0.5, 0.9]})
    ax.figure.draw_without_rendering()
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert {"60 %", "100 %"} <= set(labels)
    assert 1 <= ax.get_ylim()[1] < 1.02


@pytest.mark.parametrize(
    "losses",
    [[0.7], [0.7, 0.7], [0.0], [1e17, 1e17], [5e-324, 1], [1e300, -1e300], [1e300, 1e-300]],
)
def test_one_epoch_a_constant_and_a_wide_range_can_be_drawn(losses: list[float]) -> None:
    (ax,) = plots.learning_curves({"loss": losses})
    ax.figure.draw_without_rendering()
    assert line(ax, "loss")[:, 1].tolist() == losses
    assert (ax.lines[0].get_marker() == "o") == (len(losses) == 1)


@pytest.mark.parametrize(
    "history",
    [
        {},
        {"learning_rate": [0.1]},
        {"loss": []},
        {"loss": [1.0, math.nan]},
        {"loss": [1e308]},
        {"loss": [-1e308]},
        [],
        [{"loss": [1.0]}, {"loss": [1.0], "accuracy": [0.5]}],
    ],
)
def test_histories_that_cannot_be_drawn_are_refused(history: Any) -> None:
    with pytest.raises(ValueError, match=r"^history"):
        plots.learning_curves(history)


# ---- learning rates ------------------------------------------------------------------------------


def test_the_range_test_is_drawn_with_its_suggestion() -> None:
    net, X, y = digits_network()
    found = find_learning_rate(net, X, y)
    ax = found.plot()
    np.testing.assert_array_equal(line(ax, "of each step")[:, 1], found.losses)
    np.testing.assert_array_equal(
        line(ax, "running mean"), np.column_stack([found.rates, found.smoothed])
    )
    assert found.suggestion is not None
    marked = line(ax, f"suggestion: {found.suggestion:.2g}")
    assert set(marked[:, 0]) == {found.suggestion}
    assert (ax.get_xscale(), ax.get_xlabel(), ax.get_ylabel()) == ("log", "learning rate", "loss")


# ---- decisions -----------------------------------------------------------------------------------


def regions(ax: Axes) -> tuple[Array, Array, Array, Array]:
    """The x and y of the plane's cells, their colours, and the colours of the classes' samples."""
    ax.figure.draw_without_rendering()
    mesh = ax.collections[0]
    corners = mesh.get_coordinates()
    middles = (corners[:-1, :-1] + corners[1:, 1:]) / 2
    colours = np.array([to_hex(colour) for colour in mesh.get_facecolor().reshape(-1, 4)])
    samples = [c for c in ax.collections if not str(c.get_label()).startswith("_")]
    of_classes = np.array([to_hex(c.get_facecolor()[0]) for c in samples])
    return middles[..., 0], middles[..., 1], colours.reshape(middles.shape[:2]), of_classes


@pytest.mark.parametrize("names", [(0, 1), ("no", "yes"), (-1, 1)])
def test_regions_lie_where_the_model_puts_them(names: Any) -> None:
    """The upper right quarter of the plane around (2, 1)."""

    def predict(X: Array) -> Array:
        return np.where((X[:, 0] > 2) & (X[:, 1] > 1), names[1], names[0])

    y = [names[0]] * 3 + [names[1]]
    ax = plots.decision_boundary(SimpleNamespace(predict=predict), PLANE, y)
    x0, x1, colours, of_classes = regions(ax)
    np.testing.assert_array_equal(
        colours, np.where((x0 > 2) & (x1 > 1), of_classes[1], of_classes[0])
    )
    assert of_classes[0] != of_classes[1]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [str(n) for n in names]
    assert ax.get_xlim()[0] < 0 < 4 < ax.get_xlim()[1]
    assert ax.get_ylim()[0] < 0 < 2 < ax.get_ylim()[1]
    samples = [c for c in ax.collections if c.get_label() == str(names[1])]
    np.testing.assert_array_equal(samples[0].get_offsets(), PLANE[3:])


def test_a_data_frame_names_the_axes() -> None:
    pandas = pytest.importorskip("pandas")
    net = Network.from_sizes([2, 3, 1], seed=0)
    frame = pandas.DataFrame(PLANE, columns=["width", "height"])
    ax = plots.decision_boundary(net, frame, [0, 1, 1, 0])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("width", "height")


def test_samples_in_one_place_have_a_plane_around_them() -> None:
    model = SimpleNamespace(predict=lambda X: np.zeros(len(X)))
    ax = plots.decision_boundary(model, [[1.0, 1.0]], [0])
    assert ax.get_xlim() == ax.get_ylim() == (0.5, 1.5)


# ---- images --------------------------------------------------------------------------------------


def test_weights_are_those_into_each_unit_of_the_first_dense_layer() -> None:
    net, _, _ = digits_network()
    axes = plots.weights(net)
    assert len(axes) == 12
    largest = np.abs(net.weights[0]).max()
    for unit, ax in enumerate(axes):
        np.testing.assert_array_equal(image(ax), net.weights[0][:, unit].reshape(8, 8))
        assert ax.images[0].get_clim() == pytest.approx((-largest, largest))
        assert ax.get_title() == f"{unit}"
    bar = axes[0].figure.get_axes()[-1]
    assert bar.get_ylabel() == "weight; 12 of 12 units"


def test_weights_take_a_shape_and_a_number_of_images() -> None:
    net = Network([Dropout(0.1), Dense(9), Dense(1)], 6, seed=0)
    axes = plots.weights(net, shape=(2, 3), n_images=4)
    assert [image(ax).shape for ax in axes] == [(2, 3)] * 4
    np.testing.assert_array_equal(image(axes[3]).ravel(), net.weights[1][:, 3])
    colours = plots.weights(Network.from_sizes([12, 2, 1], seed=0), shape=(2, 2, 3))
    assert [image(ax).shape for ax in colours] == [(2, 2, 3)] * 2
    assert min(image(ax).min() for ax in colours) >= 0
    net.parameters[:] = 0
    assert image(plots.weights(net, shape=[3, 2])[0]).max() == 0


def test_misclassified_are_drawn_with_the_surest_mistakes_first() -> None:
    net, X, y = digits_network()
    probabilities, predicted = net.predict_proba(X), net.predict(X)
    wrong = np.flatnonzero(predicted != y)
    assert len(wrong) > 5
    expected = sorted(wrong, key=lambda i: -probabilities[i].max())
    axes = plots.misclassified(net, X, y, n_images=5)
    assert len(axes) == 5
    first = wrong[:2].tolist()  # of the samples
    assert len(plots.misclassified(net, X[: first[1] + 1], y[: first[1] + 1])) == 2
    for ax, i in zip(axes, expected, strict=False):
        title, share = ax.get_title().split("\n")
        assert title == f"{y[i]} → {predicted[i]}"
        assert float(share.strip("> %")) == pytest.approx(100 * probabilities[i].max(), abs=0.6)
        np.testing.assert_allclose(image(ax).ravel() * X[expected[:5]].max(), X[i], atol=1e-6)
        assert ax.images[0].get_clim() == (0, 1)


def test_least_sure_are_drawn_with_their_two_best_classes() -> None:
    net, X, _ = digits_network()
    probabilities = net.predict_proba(X)
    order = np.argsort(probabilities.max(axis=1))
    axes = plots.least_sure(net, X, n_images=3)
    for ax, i in zip(axes, order, strict=False):
        first, second = np.argsort(-probabilities[i])[:2]
        assert ax.get_title() == "\n".join(
            f"{j}: {100 * probabilities[i, j]:.0f} %" for j in (first, second)
        )
    assert len(axes) == 3


def test_one_output_is_the_probability_of_class_1() -> None:
    X = np.linspace(-1, 1, 40).reshape(10, 4)
    net = Network.from_sizes([4, 1], seed=0)
    p = net.predict_proba(X)[:, 0]
    (ax,) = plots.least_sure(net, X, n_images=1)
    i = int(np.abs(p - 0.5).argmin())
    likely = int(p[i] > 0.5)
    share = 100 * max(p[i], 1 - p[i])
    assert ax.get_title().split("\n")[0] == f"{likely}: {share:.0f} %"
    wrong = plots.misclassified(net, X, 1 - net.predict(X))
    assert len(wrong) == 10


def test_colour_images_and_names_of_classes() -> None:
    X = np.arange(24.0).reshape(2, 12)
    model = SimpleNamespace(
        classes_=np.array(["cat", "dog"]),
        predict=lambda X: np.array(["dog", "dog"]),
        predict_proba=lambda X: np.array([[0.2, 0.8], [0.001, 0.999]]),
    )
    first, second = plots.misclassified(model, X, ["cat", "cat"], shape=(2, 2, 3))
    assert (first.get_title(), second.get_title()) == ("cat → dog\n> 99 %", "cat → dog\n80 %")
    np.testing.assert_allclose(image(second), X[0].reshape(2, 2, 3) / 23)
    assert plots.least_sure(model, X, (2, 2, 3))[0].get_title() == "dog: 80 %\ncat: 20 %"


def test_images_of_the_largest_numbers_have_shades() -> None:
    X = np.array([[1e308, -1e308, 0.0, 5e307]])
    (ax,) = plots.least_sure(model([0], np.array([[0.5, 0.5]])), X)
    np.testing.assert_allclose(image(ax).ravel(), [1, 0, 0.5, 0.75])


def test_where_nothing_is_wrong_one_panel_says_so() -> None:
    net, X, _ = digits_network()
    (ax,) = plots.misclassified(net, X, net.predict(X))
    assert ax.get_title() == "nothing is misclassified"
    assert len(ax.images) == 0


# ---- classifiers ---------------------------------------------------------------------------------


def test_the_confusion_matrix_counts_and_shades_by_the_true_class() -> None:
    ax = plots.confusion_matrix(list("aabbbc"), list("aabbcb"))
    np.testing.assert_allclose(image(ax), [[1, 0, 0], [0, 2 / 3, 1 / 3], [0, 1, 0]])
    assert texts(ax) == ["2", "0", "0", "0", "2", "1", "0", "1", "0"]
    assert [text.get_position() for text in ax.texts][5] == (2, 1)
    for labels in (ax.get_xticklabels(), ax.get_yticklabels()):
        assert [label.get_text() for label in labels] == ["a", "b", "c"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")


def test_many_classes_have_no_numbers_in_the_cells() -> None:
    assert texts(plots.confusion_matrix(range(20), range(20)))[:2] == ["1", "0"]
    assert texts(plots.confusion_matrix(range(21), range(21))) == []


SCORES = np.random.default_rng(0)
BINARY = SCORES.integers(0, 2, 200)
RISING = np.round((BINARY + SCORES.normal(size=200)) / 4, 1)  # with many that are equal


def test_roc_is_that_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    x, y, _ = metrics.roc_curve(BINARY, RISING, drop_intermediate=False)
    area = metrics.roc_auc_score(BINARY, RISING)
    for labels in (BINARY, BINARY == 1, np.where(BINARY == 1, "yes", "no"), 2 * BINARY - 1):
        ax = plots.roc(labels, RISING)
        np.testing.assert_allclose(line(ax, f"AUC {area:.3f}"), np.column_stack([x, y]))
    assert line(ax, "chance (AUC 0.5)").tolist() == [[0, 0], [1, 1]]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("false positive rate", "true positive rate")


def test_precision_recall_is_that_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    precision, recall, _ = metrics.precision_recall_curve(BINARY, RISING)
    average = metrics.average_precision_score(BINARY, RISING)
    ax = plots.precision_recall(BINARY, RISING.reshape(-1, 1))
    np.testing.assert_allclose(
        line(ax, f"AP {average:.3f}"), np.column_stack([recall, precision])[::-1]
    )
    share = BINARY.mean()
    assert set(line(ax, f"chance (AP {share:.3f})")[:, 1]) == {share}
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("recall", "precision")


@pytest.mark.parametrize("draw", [plots.roc, plots.precision_recall])
def test_each_class_is_drawn_against_the_rest(draw: Any) -> None:
    """Class 2 is not there."""
    probabilities = SCORES.dirichlet(np.ones(4), size=60)
    y = np.tile([0, 1, 3], 20)
    ax = draw(y, probabilities)
    named = {str(curve.get_label()).split(",")[0]: curve for curve in ax.lines}
    assert set(named) - {"chance (AUC 0.5)"} == {"class 0", "class 1", "class 3"}
    alone = draw(y == 3, probabilities[:, 3]).lines[-1]
    np.testing.assert_array_equal(named["class 3"].get_xydata(), alone.get_xydata())
    both = draw(y == 3, np.column_stack([1 - probabilities[:, 3], probabilities[:, 3]])).lines[-1]
    np.testing.assert_array_equal(both.get_xydata(), alone.get_xydata())


def test_labels_have_a_curve_each() -> None:
    probabilities = SCORES.random((50, 2))
    ax = plots.roc(probabilities > 0.5, probabilities)
    assert [curve.get_label() for curve in ax.lines[1:]] == [
        "label 0, AUC 1.000",
        "label 1, AUC 1.000",
    ]


def test_of_many_classes_the_worst_are_named() -> None:
    """Class 4 is known exactly, the others are guessed."""
    y = np.tile(np.arange(12), 20)
    probabilities = SCORES.random((240, 12))
    probabilities[:, 4] = y == 4
    ax = plots.roc(y, probabilities)
    assert len(ax.lines) == 13
    named = [str(c.get_label()) for c in ax.lines if str(c.get_label()).startswith("class")]
    assert len(named) == 6
    assert not any(name.startswith("class 4") for name in named)


def test_calibration_compares_what_was_said_with_what_came() -> None:
    said = np.array([0.05, 0.05, 0.31, 0.39, 0.95, 1.0, 1.0, 1.0])
    came = np.array([0, 1, 0, 0, 1, 1, 1, 0])
    ax = plots.calibration(came, said)
    points = np.array([[0.05, 0.5], [0.35, 0.0], [3.95 / 4, 0.75]])
    error = (2 * 0.45 + 2 * 0.35 + 4 * (3.95 / 4 - 0.75)) / 8
    np.testing.assert_allclose(line(ax, f"ECE {error:.3f}"), points)
    sizes = ax.collections[0].get_sizes()
    assert sizes[0] == sizes[1] < sizes[2]
    assert ax.get_xlabel() == "predicted probability of 1"


def test_calibration_of_many_classes_and_of_labels() -> None:
    probabilities = np.array([[0.6, 0.3, 0.1], [0.1, 0.2, 0.7], [0.64, 0.06, 0.3]])
    ax = plots.calibration([0, 2, 1], probabilities)
    np.testing.assert_allclose(ax.lines[1].get_xydata(), [[0.62, 0.5], [0.7, 1.0]])
    assert ax.get_xlabel() == "probability of the predicted class"
    ax = plots.calibration([[0, 1], [1, 1]], [[0.1, 0.9], [0.1, 0.9]])
    np.testing.assert_allclose(ax.lines[1].get_xydata(), [[0.1, 0.5], [0.9, 1.0]])


def test_numbers_that_are_no_classes_are_refused_before_they_take_memory() -> None:
    """A matrix of 50,000 times 50,000 counts takes 20 GB."""
    values = np.random.default_rng(0).random(50_000)
    message = "must have at most 2,000 classes, got 50,000 different values$"
    with pytest.raises(ValueError, match=f"^y_true and y_pred {message}"):
        plots.confusion_matrix(values, values[::-1])
    with pytest.raises(ValueError, match=r"^y and the predictions of model must have at most"):
        plots.decision_boundary(
            SimpleNamespace(predict=lambda X: X[:, 0] + np.pi * X[:, 1]), PLANE, [0] * 4
        )
    with pytest.raises(ValueError, match=r"^the predictions of model must have no missing values"):
        plots.decision_boundary(
            SimpleNamespace(predict=lambda X: np.full(len(X), np.nan)), PLANE, [0] * 4
        )


def test_probabilities_may_be_rounded_up() -> None:
    above = np.nextafter(np.float32(1), np.float32(2))
    ax = plots.calibration([0, 1], np.array([0.0, above]))
    assert line(ax, "ECE 0.000").tolist() == [[0, 0], [1, 1]]


def test_a_plane_of_many_classes_names_some() -> None:
    points = np.column_stack([np.arange(40.0), np.zeros(40)])
    model = SimpleNamespace(predict=lambda X: np.clip(np.round(X[:, 0]), 0, 39))
    ax = plots.decision_boundary(model, points, np.arange(40.0))
    ax.figure.draw_without_rendering()
    legend = ax.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == [f"{i}.0" for i in range(12)]
    assert legend.get_title().get_text() == "class\n12 of 40"


# ---- regressions and tables ----------------------------------------------------------------------


def test_predicted_numbers_are_drawn_against_true_ones_with_r2() -> None:
    true = np.array([1.0, 2.0, 4.0, 9.0])
    predicted = true + np.array([0.5, -0.5, 0.0, -1.0])
    ax = plots.predicted_vs_true(true, predicted)
    score = 1 - 1.5 / ((true - 4) ** 2).sum()
    np.testing.assert_array_equal(line(ax, f"R2 {score:.3f}"), np.column_stack([true, predicted]))
    assert line(ax, "the same").tolist() == [[1, 1], [9, 9]]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("true", "predicted")


@pytest.mark.parametrize(
    ("true", "predicted", "label"),
    [
        ([2.0, 2.0], [1.0, 3.0], "samples"),
        ([5.0], [5.0], "samples"),
        ([1e300, -1e300], [1e300, -1e300], "R2 1.000"),
        ([1e-300, -1e-300], [1e-300, -1e-300], "R2 1.000"),
        ([True, False], [0.5, 0.5], "R2 0.000"),
    ],
)
def test_r2_is_told_where_there_is_one(true: Any, predicted: Any, label: str) -> None:
    ax = plots.predicted_vs_true(true, predicted)
    ax.figure.draw_without_rendering()
    assert ax.lines[-1].get_label() == label


def test_many_points_are_an_image() -> None:
    few, many = np.arange(500), np.arange(501)
    assert not plots.predicted_vs_true(few, few).lines[-1].get_rasterized()
    assert plots.predicted_vs_true(many, many).lines[-1].get_rasterized()


def test_importance_has_a_bar_a_column_with_the_largest_above() -> None:
    ax = plots.importance({"a": 0.25, "b": 1.0, "c": -0.125})
    assert [text.get_text() for text in ax.get_yticklabels()] == ["b", "a", "c"]
    assert [bar.get_width() for bar in ax.patches] == [1.0, 0.25, -0.125]
    bottom, top = ax.get_ylim()
    assert bottom > 2 > 0 > top


def test_of_many_columns_those_that_are_worth_most_are_drawn() -> None:
    ax = plots.importance({f"column {i}": float(i) for i in range(2000)})
    assert [bar.get_width() for bar in ax.patches] == [float(i) for i in range(1999, 1974, -1)]
    assert ax.get_title() == "25 of 2,000 columns"


def test_columns_whose_names_begin_alike_keep_a_bar_each() -> None:
    ax = plots.importance({"x" * 99 + "1": 2.0, "x" * 99 + "2": 1.0})
    assert [text.get_text() for text in ax.get_yticklabels()] == ["x" * 39 + "…"] * 2
    assert len(ax.patches) == 2


# ---- names ---------------------------------------------------------------------------------------

NAMES = ["$x_", "$a$ of $b$", r"$\frac{$", "_hidden", "two\nlines", "", "<b>&'", "long " * 50]


def test_names_are_no_formulas_stay_in_one_line_and_are_in_legends() -> None:
    model = SimpleNamespace(predict=lambda X: np.full(len(X), NAMES[0]))
    points = np.arange(16.0).reshape(8, 2)
    legend = plots.decision_boundary(model, points, NAMES).get_legend()
    legend.figure.draw_without_rendering()
    drawn = {text.get_text().strip() for text in legend.get_texts()}
    expected = {name.replace("$", r"\$").replace("\n", " ") for name in NAMES[:-1]}
    assert drawn == {*expected, ("long " * 50)[:39] + "…"}


@pytest.mark.parametrize("name", NAMES)
def test_every_name_can_be_drawn(name: str) -> None:
    y, sure = [name, name + "z"] * 4, np.linspace(0, 1, 8)
    model = SimpleNamespace(
        classes_=[name, name + "z"],
        predict=lambda X: np.array(y[1:] + y[:1]),
        predict_proba=lambda X: np.column_stack([1 - sure, sure]),
    )
    three = [*y, "third"]
    drawn = [
        plots.confusion_matrix(y, y[::-1]),
        plots.calibration(y, sure),
        plots.roc(three, np.eye(3)[[0, 1] * 4 + [2]]),
        plots.importance({name: 1.0}),
        plots.learning_curves({name: [1.0, 2.0]})[0],
        plots.misclassified(model, np.eye(8, 4), y)[0],
        plots.least_sure(model, np.eye(8, 4))[0],
        plots.bar_chart({name: {name: 1.0}}, title=""),
    ]
    for ax in drawn:
        ax.figure.draw_without_rendering()


# ---- networks ------------------------------------------------------------------------------------


def test_activations_have_a_histogram_a_layer() -> None:
    net, X, _ = digits_network()
    axes = plots.activations(net, X)
    hidden = net.forward(X)[0]
    zeros = 100 * np.mean(hidden == 0)
    assert [ax.get_title() for ax in axes] == [
        f"0: Dense, relu\n{zeros:.0f} % are 0",
        f"1: Dropout, 0.2\n{zeros:.0f} % are 0",
        "2: Dense, softmax",
    ]
    for ax, values in zip(axes, net.forward(X), strict=True):
        shares, _ = np.histogram(values.astype(float), bins=50)
        heights = [bar.get_height() for bar in ax.patches]
        np.testing.assert_allclose(heights, 100 * shares / values.size)
        assert ax.get_xlabel() == "activation"
    assert axes[0].get_ylabel() == "share (%)"


def test_the_network_is_drawn_with_its_units_and_weights() -> None:
    net = Network([Dense(3, "tanh"), Dropout(0.5), Dense(1, "sigmoid")], 2, seed=0)
    net.weights[0][:] = [[1, -0.5, 0], [0.25, 0.5, -1]]
    ax = plots.network(net)
    lines, *more, inputs, hidden, output = ax.collections
    assert len(more) == 1
    assert [len(units.get_offsets()) for units in (inputs, hidden, output)] == [2, 3, 1]
    assert len(lines.get_segments()) == 6
    assert len(more[0].get_segments()) == 3
    heights = np.asarray(hidden.get_offsets())[:, 1]
    assert heights[0] > heights[1] > heights[2]
    np.testing.assert_allclose(lines.get_segments()[0][1], [1, heights[0]])
    colours = lines.get_colors()
    np.testing.assert_allclose(colours[:, 3], 0.05 + 0.85 * np.abs(net.weights[0]).ravel())
    orange, blue = (to_hex(colour) for colour in colours[:2])
    assert (orange, blue) == ("#d55e00", "#0072b2")
    assert texts(ax) == ["2", "inputs", "3", "Dense, tanh\nDropout, 0.5", "1", "Dense, sigmoid"]


def test_weights_that_are_not_finite_are_not_drawn() -> None:
    net = Network.from_sizes([2, 3, 1], seed=0)
    net.weights[1][2] = np.nan
    with pytest.raises(ValueError, match=r"^net must have finite weights, weights\[1\] have not$"):
        plots.network(net)


def test_wide_layers_are_drawn_in_part() -> None:
    ax = plots.network(Network.from_sizes([784, 13, 12, 1], seed=0))
    assert [len(c.get_offsets()) for c in ax.collections[3:]] == [12, 12, 12, 1]
    assert [t for t in texts(ax) if t in ("784", "13", "12", "⋮")] == ["⋮", "784", "⋮", "13", "12"]


# ---- bars ----------------------------------------------------------------------------------------


def test_bars_are_as_long_as_durations_on_a_logarithmic_axis() -> None:
    ax = plots.bar_chart({"one": {"a": 1e-3, "b": 1e-2}, "two": {"a": 1.0}}, title="t")
    assert [bar.get_width() for bar in ax.patches] == [1e-3, 1e-2, 1.0]
    assert ax.get_xscale() == "log"
    assert 0 < ax.get_xlim()[0] < 1e-3
    assert ax.get_xlim()[1] > 1


def test_a_label_has_the_same_colour_in_every_group() -> None:
    groups = {"one": {"a": 1.0, "b": 2.0}, "two": {"b": 3.0, "a": 4.0}}
    ax = plots.bar_chart(groups, title="t")
    colours = [bar.get_facecolor() for bar in ax.patches]
    assert colours[0] == colours[3] != colours[1] == colours[2]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "b", "a"]


def test_bars_have_labels_durations_title_and_caption() -> None:
    long = "so long a line that it is broken, " * 5
    ax = plots.bar_chart({"g": {"a & b": 0.0123}}, title="The title", caption=["x < y", long])
    assert texts(ax) == [" g", "12.3 ms"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a & b"]
    assert ax.get_title() == "The title"
    first, second, *broken = ax.get_xlabel().split("\n")
    assert (first, second) == ("duration", "x < y")
    assert " ".join(broken) == long.strip()
    assert max(map(len, broken)) <= 100


@pytest.mark.parametrize(
    "groups",
    [
        {},
        {"g": {}},
        {"g": {"a": 0.0}},
        {"g": {"a": math.inf}},
        {"g": {"a": 5e-324}},
        {"g": {"a": 1e308}},
    ],
)
def test_durations_without_a_logarithm_are_refused(groups: Any) -> None:
    with pytest.raises(ValueError, match="groups must hold"):
        plots.bar_chart(groups, title="t")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1234.5, "1234 s"), (1.0, "1 s"), (0.5, "500 ms"), (4.567e-5, "45.7 us"), (2e-9, "2 ns")],
)
def test_durations_are_written_with_three_digits_and_a_unit(seconds: float, text: str) -> None:
    assert plots.format_duration(seconds) == text


# ---- wrong arguments -----------------------------------------------------------------------------

NET = Network.from_sizes([4, 3, 2], output="softmax", seed=0)
ROWS = np.zeros((3, 4))
ONE_HALF = np.full((3, 2), 0.5)


def model(predicted: Any, probabilities: Any = ONE_HALF) -> Any:
    return SimpleNamespace(predict=lambda X: predicted, predict_proba=lambda X: probabilities)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: plots.learning_curves(NET),
            TypeError,
            "^history must be what fit returns, a mapping of names to series, or a sequence of",
        ),
        (lambda: plots.learning_curves([1.0]), TypeError, r"^history\[0\] must be what fit retu"),
        (lambda: plots.learning_curves("loss"), TypeError, "^history must be what fit returns"),
        (
            lambda: plots.learning_curves({"loss": 1.0}),
            ValueError,
            r"^history\['loss'\] must be a no",
        ),
        (
            lambda: plots.learning_curves({"loss": ["x"]}),
            TypeError,
            r"^history\['loss'\].* is 'x'$",
        ),
        (lambda: plots.learning_curves({1: [1.0]}), TypeError, "^the keys of history must be str"),
        (
            lambda: plots.learning_rate_range([1.0, 2.0]),
            TypeError,
            "^found must be what find_learning_rate returns, got",
        ),
        (lambda: plots.weights("net"), TypeError, "^net must be a Network, got 'net'"),
        (lambda: plots.network(3), TypeError, "^net must be a Network, got 3"),
        (lambda: plots.activations(None, ROWS), TypeError, "^net must be a Network, got None"),
        (lambda: plots.network(Network([Dense(1)])), ValueError, "^net must be built"),
        (lambda: plots.weights(Network([Dense(1)])), ValueError, "^the network is not built yet"),
        (lambda: plots.activations(NET, ROWS[:, :2]), ValueError, "^X has 2 features"),
        (lambda: plots.activations(NET, ROWS[:0]), ValueError, "^X must have at least one sample"),
        (lambda: plots.weights(NET, shape="22"), TypeError, r"^shape must be \(height, width\) or"),
        (
            lambda: plots.weights(NET, shape=(4,)),
            ValueError,
            r"^shape must be \(height, width\) or",
        ),
        (lambda: plots.weights(NET, shape=(2, 3)), ValueError, "^shape must have 4 pixels"),
        (lambda: plots.weights(NET, shape=(2, 2.0)), TypeError, "^shape must be a positive int"),
        (lambda: plots.weights(NET, n_images=0), ValueError, "^n_images must be a positive int"),
        (
            lambda: plots.weights(Network.from_sizes([5, 1])),
            ValueError,
            "^shape must be given: 5 columns are no square image",
        ),
        (lambda: plots.misclassified(3, ROWS, [0] * 3), TypeError, "^model must have a method pr"),
        (lambda: plots.misclassified(NET, ROWS[0], [0]), ValueError, "^X must have shape"),
        (lambda: plots.misclassified(NET, "images", [0]), TypeError, "^X must be an array of nu"),
        (lambda: plots.misclassified(NET, ROWS, 5), TypeError, "^y must be a sequence of classes"),
        (lambda: plots.misclassified(NET, ROWS, "abc"), TypeError, "^y must be a sequence of cla"),
        (lambda: plots.misclassified(NET, ROWS, [0]), ValueError, r"^y must have shape \(3,\)"),
        (
            lambda: plots.misclassified(NET, ROWS, [0] * 3, shape=(1, 1, 4)),
            ValueError,
            r"^shape must be \(height, width\) or \(height, width, 3\), got \(1, 1, 4\)",
        ),
        (
            lambda: plots.misclassified(model(ONE_HALF), ROWS, [0] * 3),
            ValueError,
            r"^model must predict one class a sample, got predictions of shape \(3, 2\)",
        ),
        (lambda: plots.least_sure(NET, ROWS, n_images="5"), TypeError, "^n_images must be"),
        (lambda: plots.decision_boundary(len, PLANE, [0] * 4), TypeError, "^model must have a me"),
        (lambda: plots.decision_boundary(NET, ROWS, [0] * 3), ValueError, "^X must have shape"),
        (lambda: plots.decision_boundary(NET, PLANE[:0], []), ValueError, "^X must have shape"),
        (
            lambda: plots.decision_boundary(NET, [[np.nan, 0.0]], [0]),
            ValueError,
            "^X must be numbers from",
        ),
        (lambda: plots.decision_boundary(NET, PLANE, [0]), ValueError, r"^y must have shape \(4,"),
        (
            lambda: plots.decision_boundary(model(PLANE), PLANE, [0] * 4),
            ValueError,
            r"^model must predict one class a sample, got predictions of shape \(4, 2\)",
        ),
        (
            lambda: plots.decision_boundary(model(np.zeros(40000)), PLANE, list("aabb")),
            TypeError,
            "^y and the predictions of model must be classes of one type",
        ),
        (lambda: plots.confusion_matrix([], []), ValueError, r"^y_true must have shape \(n_sampl"),
        (lambda: plots.confusion_matrix([0], [0, 1]), ValueError, r"^y_pred must have shape \(1,"),
        (lambda: plots.confusion_matrix([0, np.nan], [0, 1]), ValueError, "^y_true must have no m"),
        (
            lambda: plots.confusion_matrix(["a"], [1]),
            TypeError,
            "^y_true and y_pred must be classes of one type, got numbers and texts",
        ),
        (lambda: plots.roc([0, 1], [0.5]), ValueError, "^probabilities must have 2 rows, as y_tru"),
        (lambda: plots.roc([0, 0], [0.5, 0.5]), ValueError, "^y_true must hold samples of two cl"),
        (lambda: plots.roc([0, 1], [0.5, np.nan]), ValueError, "^probabilities must be numbers"),
        (lambda: plots.roc([0, 1], ["a", "b"]), TypeError, "^probabilities must be an array of"),
        (
            lambda: plots.roc(list("abc"), ONE_HALF),
            ValueError,
            r"^probabilities must have a column for each of the 3 classes of y_true, got shape",
        ),
        (
            lambda: plots.precision_recall([[0, 2]] * 3, ONE_HALF),
            ValueError,
            "^y_true of several labels must be 0 or 1, of the shape of probabilities",
        ),
        (
            lambda: plots.calibration([0, 1], [0.5, 1.5]),
            ValueError,
            r"^probabilities must be in \[0, 1\], got numbers from 0.5 to 1.5",
        ),
        (lambda: plots.predicted_vs_true([], []), ValueError, r"^y_true must have shape \(n_samp"),
        (lambda: plots.predicted_vs_true([1], [1, 2]), ValueError, r"^y_pred must have shape \(1,"),
        (lambda: plots.predicted_vs_true([1], [np.nan]), ValueError, "^y_pred must be numbers fr"),
        (lambda: plots.predicted_vs_true(["a"], [1.0]), TypeError, "^y_true must be an array of"),
        (lambda: plots.importance([1.0]), TypeError, "^falls must be a mapping of columns to num"),
        (lambda: plots.importance({}), ValueError, "^falls must hold at least one column, got no"),
        (lambda: plots.importance({"a": "1"}), TypeError, r"^falls\['a'\] must be a number, got"),
        (lambda: plots.importance({"a": np.nan}), ValueError, r"^falls\['a'\] must be from"),
        (
            lambda: plots.bar_chart({"a": 1.0}, title=""),
            TypeError,
            r"^groups\['a'\] must be a mapping of labels to seconds, got 1.0 \(float\)",
        ),
        (lambda: plots.bar_chart([1.0], title=""), TypeError, "^groups must be a mapping of names"),
        (
            lambda: plots.bar_chart({"a": {"b": "1"}}, title=""),
            TypeError,
            r"^groups\['a'\]\['b'\] must be a number of seconds, got '1' \(str\)",
        ),
        (
            lambda: plots.bar_chart({"a": {1: 1.0}}, title=""),
            TypeError,
            r"^the keys of groups\['a'",
        ),
        (lambda: plots.bar_chart({"a": {"b": 1.0}}, title=5), TypeError, "^title must be a str"),
        (
            lambda: plots.bar_chart({"a": {"b": 1.0}}, title="", caption="text"),
            TypeError,
            "^caption must be a sequence of str, got 'text'",
        ),
    ],
)
def test_bad_arguments_are_named(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_a_refused_picture_leaves_the_ax_as_it_was() -> None:
    ax = Figure().subplots()
    with pytest.raises(ValueError, match=r"^y must have shape"):
        plots.misclassified(NET, ROWS, [0] * 9, ax=ax)
    with pytest.raises(ValueError, match=r"^y must have shape"):
        plots.decision_boundary(model(None), PLANE, [0] * 9, ax)
    assert ax.axison
    assert not ax.has_data()

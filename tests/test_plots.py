import math
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from fastnn import Dense, Network, plots

SVG = "{http://www.w3.org/2000/svg}"
HISTORY = {
    "loss": [2.0, 0.5, 0.1, 0.02],
    "val_loss": [1.9, 0.6, 0.2, 0.15],
    "val_accuracy": [0.5, 0.9, 0.95, 0.97],
}


def parse(svg: str) -> ElementTree.Element:
    root = ElementTree.fromstring(svg.encode())
    assert root.tag == SVG + "svg"
    return root


def texts(root: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in root.iter(SVG + "text")]


def of_class(root: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [element for element in root.iter() if element.get("class") == name]


def points(curve: ElementTree.Element) -> np.ndarray:
    return np.array([pair.split(",") for pair in curve.attrib["points"].split()], dtype=float)


def curve_by_name(root: ElementTree.Element, name: str) -> np.ndarray:
    """The points of the curve that has the colour of the legend's entry."""
    (colour,) = [t.get("fill") for t in root.iter(SVG + "text") if t.text == name]
    curves = [c for c in of_class(root, "curve") if c.get("stroke") == colour]
    return points(curves[0])


def test_learning_curves_draw_every_series_and_name_it():
    root = parse(plots.learning_curves(HISTORY))
    assert len(of_class(root, "curve")) == 3
    assert {"loss", "val_loss", "val_accuracy", "accuracy", "epoch"} <= set(texts(root))


def test_learning_curves_go_down_as_the_loss_does_and_right_with_the_epochs():
    root = parse(plots.learning_curves({"loss": HISTORY["loss"], "val_loss": [1.0] * 4}))
    loss = curve_by_name(root, "val_loss")
    assert np.all(loss[:, 1] == loss[0, 1])
    falling = points(of_class(root, "curve")[1])
    assert np.all(np.diff(falling[:, 0]) > 0)
    assert np.all(np.diff(falling[:, 1]) > 0)  # y grows downwards


def test_losses_over_more_than_a_decade_get_a_logarithmic_axis():
    root = parse(plots.learning_curves({"loss": [10.0, 1.0, 0.1]}))
    steps = np.diff(points(of_class(root, "curve")[0])[:, 1])
    assert steps[0] == pytest.approx(steps[1], abs=0.11)
    assert {"10", "1", "0.1"} <= set(texts(root))


@pytest.mark.parametrize("losses", [[3.0, 2.0, 1.0], [20.0, 10.0, 0.0], [5.0, 0.0, -5.0]])
def test_other_losses_get_a_linear_axis(losses):
    root = parse(plots.learning_curves({"loss": losses}))
    steps = np.diff(points(of_class(root, "curve")[0])[:, 1])
    assert steps[0] == pytest.approx(steps[1], abs=0.11)


def test_learning_curves_stay_inside_the_picture():
    root = parse(plots.learning_curves(HISTORY))
    corners = np.concatenate([points(curve) for curve in of_class(root, "curve")])
    assert corners.min() > 0
    assert np.all(corners.max(axis=0) < [float(root.attrib["width"]), float(root.attrib["height"])])


def test_accuracy_axis_is_labelled_in_percent_up_to_100():
    labels = texts(parse(plots.learning_curves({"val_accuracy": [0.5, 0.9]})))
    assert "100 %" in labels
    assert "60 %" in labels


@pytest.mark.parametrize(
    "losses",
    [[0.7], [0.7, 0.7], [0.0], [1e17, 1e17], [5e-324, 1], [1e300, -1e300], [1e300, 1e-300]],
)
def test_learning_curves_of_one_epoch_a_constant_or_a_wide_range_can_be_drawn(losses):
    assert len(of_class(parse(plots.learning_curves({"loss": losses})), "curve")) == 1


@pytest.mark.parametrize(
    "history", [{}, {"loss": []}, {"loss": [1.0, math.nan]}, {"loss": [1e308]}, {"loss": [-1e308]}]
)
def test_learning_curves_refuse_what_cannot_be_drawn(history):
    with pytest.raises(ValueError, match="history"):
        plots.learning_curves(history)


def test_misclassified_shows_each_image_with_its_classes_and_probability():
    images = np.zeros((8, 2, 3))
    root = parse(plots.misclassified(images, range(8), np.arange(1, 9), np.linspace(0.2, 0.9, 8)))
    assert len(of_class(root, "image")) == 8
    assert {"0 → 1", "7 → 8", "20 %", "90 %"} <= set(texts(root))


def test_misclassified_draws_pixels_as_ink_where_they_are():
    image = [[0.0, 1.0, 0.0], [0.0, 0.0, 0.5]]
    (group,) = of_class(parse(plots.misclassified([image], [1], [2], [0.5])), "image")
    pixels = {
        (e.get("x"), e.get("y")): e.get("fill") for e in group.iter(SVG + "rect") if e.get("x")
    }
    assert pixels == {("1", "0"): "#000000", ("2", "1"): "#808080"}


def test_misclassified_escapes_class_names():
    root = parse(plots.misclassified(np.ones((1, 2, 2)), ["<cat>"], ["dog & co"], [1.0]))
    assert "<cat> → dog & co" in texts(root)


def test_misclassified_of_nothing_says_so():
    root = parse(plots.misclassified(np.zeros((0, 8, 8)), [], [], []))
    assert texts(root) == ["Nothing was misclassified."]


@pytest.mark.parametrize(
    ("shape", "lengths"),
    [
        ((2, 4), (2, 2, 2)),
        ((2, 2, 2), (1, 2, 2)),
        ((2, 2, 2), (2, 2, 3)),
        ((2, 0, 2), (2, 2, 2)),
        ((2, 2, 0), (2, 2, 2)),
    ],
)
def test_misclassified_refuses_wrong_shapes(shape, lengths):
    y, predicted, probabilities = (np.ones(n) for n in lengths)
    with pytest.raises(ValueError, match="must have"):
        plots.misclassified(np.zeros(shape), y, predicted, probabilities)


def test_bar_chart_has_logarithmic_bars_from_a_common_floor():
    groups = {"one": {"a": 1e-3, "b": 1e-2}, "two": {"a": 1.0}}
    bars = of_class(parse(plots.bar_chart(groups, title="t")), "bar")
    a, b, c = (float(bar.attrib["width"]) for bar in bars)
    assert a > 0
    assert c - b == pytest.approx(2 * (b - a), abs=0.2)
    assert len({bar.get("x") for bar in bars}) == 1


def test_bar_chart_gives_a_label_the_same_colour_in_every_group():
    groups = {"one": {"a": 1.0, "b": 2.0}, "two": {"b": 3.0, "a": 4.0}}
    colours = [b.get("fill") for b in of_class(parse(plots.bar_chart(groups, title="t")), "bar")]
    assert colours[0] == colours[3] != colours[1] == colours[2]


def test_bar_chart_writes_labels_durations_title_and_caption():
    chart = plots.bar_chart({"g": {"a & b": 0.0123}}, title="The title", caption=["x < y"])
    assert {"g", "a & b", "12.3 ms", "The title", "x < y"} <= set(texts(parse(chart)))


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
def test_bar_chart_refuses_what_has_no_logarithm(groups):
    with pytest.raises(ValueError, match="groups must hold"):
        plots.bar_chart(groups, title="t")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1234.5, "1234 s"), (1.0, "1 s"), (0.5, "500 ms"), (4.567e-5, "45.7 us"), (2e-9, "2 ns")],
)
def test_durations_are_written_with_three_digits_and_a_unit(seconds, text):
    assert plots.format_duration(seconds) == text


IMAGES = np.zeros((2, 3, 3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: plots.learning_curves(Network([Dense(1)])),
            TypeError,
            "^history must be what fit returns, a mapping of names to series, got Network",
        ),
        (lambda: plots.learning_curves([1.0, 0.5]), TypeError, "^history must be what fit returns"),
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
            lambda: plots.misclassified(IMAGES, [1, 2], [2, 1], np.full((2, 10), 0.1)),
            ValueError,
            r"^probabilities must have shape \(n_images,\), got \(2, 10\); pass probabilities.max",
        ),
        (
            lambda: plots.misclassified(IMAGES, [1, 2], [2, 1], 0.5),
            ValueError,
            r"^probabilities must have shape \(n_images,\), got \(\)$",
        ),
        (
            lambda: plots.misclassified("images", [1, 2], [2, 1], [0.5, 0.5]),
            TypeError,
            "^images must be an array of numbers",
        ),
        (
            lambda: plots.misclassified(IMAGES, 5, [2, 1], [0.5, 0.5]),
            TypeError,
            r"^y must be a sequence of classes, got 5 \(int\)",
        ),
        (
            lambda: plots.misclassified(IMAGES, [1, 2], "21", [0.5, 0.5]),
            TypeError,
            "^predicted must be a sequence of classes, got '21'",
        ),
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
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_classes_come_from_any_sequence():
    svg = plots.misclassified(IMAGES, np.array([1, 2]), (n for n in "ab"), [0.5, 0.25])
    assert {"1 → a", "2 → b"} <= set(texts(parse(svg)))


# --- decision regions -----------------------------------------------------------------------------

SAMPLES = np.array([[0.0, 0.0], [0.0, 2.0], [4.0, 0.0], [4.0, 2.0]])


def filled(root: ElementTree.Element) -> list[tuple[float, float, float, float, str]]:
    """Left, top, right, bottom and colour of every region."""
    sides = []
    for region in of_class(root, "region"):
        x, y, width, height = (float(region.attrib[k]) for k in ("x", "y", "width", "height"))
        sides.append((x, y, x + width, y + height, region.attrib["fill"]))
    return sides


def test_decision_regions_lie_where_the_function_puts_them():
    """The upper right quarter of the plane around (2, 1), and the whole of it, in two panels."""
    quarter = {
        "a quarter": lambda X: (X[:, 0] > 2) & (X[:, 1] > 1),
        "all": lambda X: np.ones(len(X), int),
    }
    root = parse(plots.decision_regions(quarter, SAMPLES, [0, 0, 0, 1]))
    assert texts(root) == ["a quarter", "all"]
    circles = list(root.iter(SVG + "circle"))
    assert len(circles) == 2 * len(SAMPLES)
    regions = filled(root)
    for panel in range(2):
        places = [(float(c.attrib["cx"]), float(c.attrib["cy"])) for c in circles[4 * panel :][:4]]
        assert places[3][0] > places[0][0]
        assert places[3][1] < places[0][1]  # y grows downwards
        colours = [
            {fill for x0, y0, x1, y1, fill in regions if x0 <= x <= x1 and y0 <= y <= y1}
            for x, y in places
        ]
        blue, orange = circles[0].attrib["fill"], circles[3].attrib["fill"]
        assert colours == [[{blue}] * 3 + [{orange}], [{orange}] * 4][panel]


def test_decision_regions_cover_the_panel_once():
    net = Network([Dense(5, "tanh"), Dense(3, "softmax")], 2, seed=0)
    regions = filled(parse(plots.decision_regions({"net": net.predict}, SAMPLES, [0, 1, 2, 0])))
    area = sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1, _ in regions)
    assert area == pytest.approx(320**2, rel=1e-3)
    assert len({fill for *_, fill in regions}) > 1


def test_samples_in_one_place_have_a_plane_around_them():
    root = parse(plots.decision_regions({"": lambda X: np.zeros(len(X))}, [[1.0, 1.0]], [0]))
    (circle,) = root.iter(SVG + "circle")
    assert float(circle.attrib["cx"]) == pytest.approx(180, abs=0.1)


@pytest.mark.parametrize(
    ("predict", "X", "y", "error", "message"),
    [
        (len, SAMPLES, [0] * 4, TypeError, "predict must be a mapping of titles to functions"),
        ({1: len}, SAMPLES, [0] * 4, TypeError, "the keys of predict must be str"),
        ({}, SAMPLES[0], [0], ValueError, r"X must have shape \(n_samples, 2\), got \(2,\)"),
        ({}, SAMPLES[:0], [], ValueError, r"X must have shape \(n_samples, 2\), got \(0, 2\)"),
        ({}, [[np.nan, 0.0]], [0], ValueError, "X must be numbers from"),
        ({}, SAMPLES, [0], ValueError, r"y must have shape \(4,\), got \(1,\)"),
        ({}, SAMPLES, [0, 1, -1, 0], ValueError, "y must be classes"),
        ({"net": lambda X: X}, SAMPLES, [0] * 4, ValueError, r"predict\['net'\] must have shape"),
        ({"net": lambda X: X[:, 0]}, SAMPLES, [0] * 4, ValueError, r"predict\['net'\] must be cl"),
    ],
)
def test_wrong_decision_regions_are_refused(predict, X, y, error, message):
    with pytest.raises(error, match=message):
        plots.decision_regions(predict, X, y)

"""`diagnose`: what was planted is found, with its evidence; nothing else changes."""

import os
import re
import signal
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from doc_snippets import DOCS

import fastnn
from fastnn import Dense, Diagnosis, Network, diagnose
from fastnn.diagnosis import VERDICTS, Finding
from fastnn.diagnosis.columns import Standard

# At the end, so that an installed fastnn is found before the one beside bench.
sys.path.append(str(Path(__file__).parents[1]))

from bench import diagnose as bench

Array = npt.NDArray[Any]

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((400, 5)).astype(np.float32)
LABELS = (X[:, 0] + X[:, 1] > 0).astype(np.int64)


def small() -> Network:
    """A trained network for X and LABELS."""
    net = Network([Dense(8, "tanh"), Dense(1, "sigmoid")], 5, seed=0)
    net.fit(X[:300], LABELS[:300], epochs=10, batch_size=32, learning_rate=0.02)
    return net


VALIDATION = (X[300:], LABELS[300:])


def found_in(family: str, case: str, seed: int = 0) -> Diagnosis:
    with np.errstate(all="ignore"):
        net, task = bench.planted(family, case, seed)
    n = task.n_train
    return diagnose(net, task.X[:n], task.y[:n], (task.X[n:], task.y[n:]))


# ---- what is planted is found --------------------------------------------------------------------


@pytest.mark.parametrize("case", bench.CASES)
def test_the_planted_case_is_the_first_finding(case: str) -> None:
    found = found_in("binary", case)
    assert found.verdicts[0] == bench.CASES[case][1], found
    assert set(found.verdicts) <= set(VERDICTS)
    if case == "all well":
        assert len(found) == 1


@pytest.mark.parametrize("case", ["too small", "20 % wrong labels", "shuffled targets", "all well"])
def test_so_it_is_in_a_regression(case: str) -> None:
    found = found_in("regression", case)
    assert found.verdicts[0] == bench.CASES[case][1], found


@pytest.mark.parametrize("case", ["leaking column", "unscaled column", "all well"])
def test_so_it_is_with_ten_classes(case: str) -> None:
    found = found_in("digits", case)
    assert found.verdicts[0] == bench.CASES[case][1], found


def test_rows_with_wrong_labels_are_listed_the_least_likely_first() -> None:
    task = bench.binary(3)
    rng = np.random.default_rng(3)
    wrong = rng.permutation(task.n_train)[: task.n_train // 5]
    y = task.y.copy()
    y[wrong] = 1 - y[wrong]
    net = Network(task.layers, task.X.shape[1], seed=0)
    n = task.n_train
    net.fit(task.X[:n], y[:n], **task.fit)
    found = diagnose(net, task.X[:n], y[:n], (task.X[n:], y[n:]))
    (finding,) = (each for each in found if each.verdict == "suspicious labels")
    assert 0.12 < finding.evidence["estimated share of wrong targets"] < 0.28
    assert len(finding.rows) == round(finding.evidence["estimated share of wrong targets"] * n)
    hits = np.isin(finding.rows, wrong)
    assert hits[:50].mean() > 0.8  # a fifth by chance
    assert hits[:100].mean() > hits[-100:].mean()


def test_rows_and_columns_are_those_of_what_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where samples are drawn and set aside, and a data frame has names."""
    pandas = pytest.importorskip("pandas")
    monkeypatch.setattr(fastnn.diagnosis.diagnosis, "MOST_ROWS", 1000)
    rng = np.random.default_rng(0)
    many = rng.standard_normal((3000, 4))
    y = (many[:, 0] > 0).astype(np.int64) ^ (rng.random(3000) < 0.2)
    frame = pandas.DataFrame(many, columns=list("abcd"))
    net = Network([Dense(16, "tanh"), Dense(1, "sigmoid")], seed=0)
    net.fit(frame, y, epochs=20, batch_size=32, learning_rate=0.01)
    found = diagnose(net, frame, y)
    labels = next(each for each in found if each.verdict == "suspicious labels")
    assert max(labels.rows) > 1000
    rows = np.array(labels.rows[:50])
    assert np.mean(y[rows] != (many[rows, 0] > 0)) > 0.8

    frame["b"] *= 1e4
    net = Network([Dense(16, "tanh"), Dense(1, "sigmoid")], seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fastnn.ScalingWarning)
        net.fit(frame, y, epochs=20, batch_size=32, learning_rate=0.01)
    scale = diagnose(net, frame, y)[0]
    assert scale.verdict == "inputs not scaled"
    assert scale.columns == (1,)
    assert "column 1 ('b')" in scale.sentence.lower()
    assert found.learning_curve.n_samples[-1] == 1000


def test_the_advice_for_a_rate_names_one_that_is_better() -> None:
    found = found_in("binary", "rate 100x too low")
    evidence = found[0].evidence
    best = min((value, name) for name, value in evidence.items() if " at x" in name)
    assert evidence["validation error"] > 2 * best[0]
    assert "learning_rate=0.005" in found[0].advice or "learning_rate=0.0005" in found[0].advice


def test_layers_that_let_nothing_through_are_not_taken_for_noise() -> None:
    fading = Dense(8, "sigmoid", fastnn.initializers.Normal(0.001))
    net = Network([fading] * 10 + [Dense(1, "sigmoid")], 5, seed=0)
    net.fit(X[:300], LABELS[:300], epochs=30, batch_size=32, learning_rate=0.01)
    found = diagnose(net, X[:300], LABELS[:300], VALIDATION)
    assert found.verdicts[0] == "bias", found
    assert "without hidden layers" in found[0].sentence
    assert found[0].evidence["of a linear model"] < 0.2 < found.baseline_error


@pytest.mark.parametrize("rate", [1e-7, 1e-30])
def test_a_rate_that_no_hundredfold_saves_is_too_low(rate: float) -> None:
    net = Network([Dense(8, "tanh"), Dense(1, "sigmoid")], 5, seed=0)
    net.fit(X[:300], 1 - LABELS[:300], epochs=60, batch_size=16, learning_rate=rate)
    found = diagnose(net, X[:300], 1 - LABELS[:300], (X[300:], 1 - LABELS[300:]))
    assert found.verdicts == ["rate too low"], found
    assert "Train a new network with learning_rate=0.001;" in found[0].advice


def test_a_rate_that_no_hundredth_saves_is_too_high() -> None:
    net = Network([Dense(8, "relu"), Dense(1)], 5, seed=0)
    y = X.sum(axis=1)
    with pytest.raises(FloatingPointError):
        net.fit(X[:300], y[:300], optimizer="sgd", learning_rate=1e6)
    found = diagnose(net, X[:300], y[:300], (X[300:], y[300:]))
    assert found.verdicts[0] == "rate too high"


def test_an_imbalance_is_told_with_what_weights_of_classes_add() -> None:
    finding = next(
        each
        for each in found_in("spirals", "imbalanced classes")
        if each.verdict == "imbalanced classes"
    )
    assert finding.evidence["share of the class"] < 0.1
    assert finding.evidence["recall with class weights"] > finding.evidence["recall"]


# ---- what it rests on ----------------------------------------------------------------------------


def test_errors_are_those_of_the_network_and_the_baseline_is_the_majority() -> None:
    net = small()
    found = diagnose(net, X[:300], LABELS[:300], VALIDATION)
    majority = np.bincount(LABELS[:300]).argmax()
    assert not found.is_of_copy
    assert found.epochs == 10
    assert found.training_error == pytest.approx(np.mean(net.predict(X[:300]) != LABELS[:300]))
    assert found.validation_error == pytest.approx(np.mean(net.predict(X[300:]) != LABELS[300:]))
    assert found.baseline_error == pytest.approx(np.mean(LABELS[300:] != majority))


def test_without_validation_data_the_errors_are_those_of_a_copy() -> None:
    found = diagnose(small(), X, LABELS)
    assert found.is_of_copy
    assert found.learning_curve.n_samples.tolist() == [40, 80, 160, 320]
    assert found.learning_curve.validation_error[-1] == found.validation_error
    assert found.history.n_epochs == found.epochs
    assert len(found.history["val_loss"]) == found.epochs


def test_a_network_that_was_not_trained_is_taken_to_be_by_default() -> None:
    net = Network([Dense(8, "relu"), Dense(1, "sigmoid")], seed=0)
    found = diagnose(net, X, LABELS)
    assert (found.epochs, found.is_of_copy) == (10, True)
    assert net.training is None
    assert net.n_features is None


def test_the_learning_curve_is_of_copies_with_as_many_steps() -> None:
    """Half of the samples, by hand."""
    y = X.sum(axis=1)
    net, copy = (Network([Dense(4, "tanh"), Dense(1)], 5, seed=seed) for seed in (0, 7))
    net.fit(X[:300], y[:300], epochs=10, batch_size=32)
    found = diagnose(net, X[:300], y[:300], (X[300:], y[300:]), seed=7)
    rows = np.sort(np.random.default_rng(7).permutation(300)[:150])
    copy.fit(X[rows], y[rows], epochs=20, batch_size=32)
    curve = found.learning_curve
    assert curve.n_samples[-2] == 150
    for errors, part in ((curve.training_error, rows), (curve.validation_error, slice(300, None))):
        expected = np.abs(copy.predict(X[part]) - y[part]).mean()
        assert errors[-2] == pytest.approx(expected, rel=1e-6)


def test_the_network_stays_as_it_is_and_nothing_is_warned_of() -> None:
    net = small()
    twin, history = net.copy(), net.history
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scaled = X * np.array([1, 1, 1, 1, 1e5], np.float32)
        diagnose(net, scaled[:300], LABELS[:300], (scaled[300:], LABELS[300:]))
    assert net.history == history
    assert net.training == twin.training
    assert net.fit(X, LABELS, epochs=2) == twin.fit(X, LABELS, epochs=2)
    np.testing.assert_array_equal(net.parameters, twin.parameters)


def test_the_same_seed_gives_the_same_diagnosis_on_any_number_of_threads() -> None:
    net = small()
    texts = [str(diagnose(net, X, LABELS, seed=3, threads=n)) for n in (1, 2)]
    assert texts[0] == texts[1]


def logits(output: str, n_units: int, **options: Any) -> Network:
    return Network([Dense(8, "tanh"), Dense(n_units, output)], 5, seed=0, **options)


SETTINGS: dict[str, tuple[Network, Any, dict[str, Any]]] = {
    "one-hot": (logits("softmax", 2, dtype="float64"), np.eye(2)[LABELS], {}),
    "several labels": (logits("sigmoid", 2), np.stack([LABELS, X[:, 2] > 0], axis=1), {}),
    "hinge": (logits("linear", 1, loss="hinge"), LABELS, {}),
    "quantiles": (logits("linear", 2, loss=fastnn.Quantile([0.1, 0.9])), X[:, 0] + X[:, 1], {}),
    "two numbers": (logits("linear", 2), X[:, :2] + X[:, 2:4], {}),
    "counts": (logits("exponential", 1), np.floor(np.exp(X[:, 0])), {}),
    "one cycle": (logits("sigmoid", 1), LABELS, {"learning_rate": fastnn.OneCycle(0.1)}),
    "plateau": (logits("sigmoid", 1), LABELS, {
        "learning_rate": fastnn.ReduceOnPlateau(0.02, monitor="loss", min_rate=1e-3)}),
    "function": (logits("sigmoid", 1), LABELS, {"learning_rate": lambda step: 0.1 / (1 + step)}),
}  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
def test_every_kind_of_target_and_rate_is_diagnosed(name: str) -> None:
    """All of these can be learnt: so it is neither noise nor a broken order of rows."""
    net, y, options = SETTINGS[name]
    net = net.copy()
    net.fit(X[:300], y[:300], epochs=40, batch_size=16, **{"learning_rate": 0.01, **options})
    found = diagnose(net, X[:300], y[:300], (X[300:], y[300:]))
    assert found.validation_error < 0.6 * found.baseline_error
    assert not {"no signal", "leaking column", "suspicious labels"} & set(found.verdicts)


def test_lbfgs_has_no_rate_that_could_be_wrong() -> None:
    pytest.importorskip("scipy")
    net = Network([Dense(2, "tanh"), Dense(1, "sigmoid")], 5, seed=0)
    net.fit(X, LABELS, epochs=5, optimizer="lbfgs", batch_size=None)
    found = diagnose(net, X, LABELS, threads=1)
    assert not any("rate" in verdict for verdict in found.verdicts)


def test_sparse_samples_are_diagnosed() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    kept = sparse.csr_matrix(np.where(np.abs(X) > 0.3, X, 0))
    net = Network([Dense(8, "tanh"), Dense(1, "sigmoid")], 5, seed=0)
    net.fit(kept, LABELS, epochs=30, batch_size=16, learning_rate=0.01)
    found = diagnose(net, kept, LABELS)
    assert found.validation_error < 0.3 * found.baseline_error
    assert "no signal" not in found.verdicts


# ---- how it is read ------------------------------------------------------------------------------


FOUND = Diagnosis(
    (
        Finding("bias", "It is <small>.", {"training error": 0.25}, "More units."),
        Finding("variance", "By heart.", {"number of training samples": 1200}, "Fewer."),
    ),
    0.25, 0.5, 0.75,
    fastnn.History(loss=[0.5, 0.25], val_loss=[0.75, 0.5], accuracy=[0.5, 0.6]),
    fastnn.diagnosis.LearningCurve(np.array([10, 20]), np.array([0.1, 0.2]), np.array([0.5, 0.3])),
    False, 2, "share of wrong labels",
)  # fmt: skip


def test_it_prints_as_sentences_and_is_a_sequence() -> None:
    assert str(FOUND) == (
        "Share of wrong labels of the network: 0.25 in training, 0.5 in validation; of a guess "
        "without X: 0.75.\n\n"
        "1. bias: It is <small>.\n  Evidence: training error 0.2500\n  Next: More units.\n\n"
        "2. variance: By heart.\n  Evidence: number of training samples 1,200\n  Next: Fewer."
    )
    assert repr(FOUND) == str(FOUND)
    assert [each.verdict for each in FOUND] == FOUND.verdicts == ["bias", "variance"]
    assert (len(FOUND), FOUND[1].verdict) == (2, "variance")


def test_a_notebook_shows_a_table() -> None:
    html = FOUND._repr_html_()
    assert html.count("<tr>") == 3
    assert "It is &lt;small&gt;." in html


def test_the_picture_has_both_curves() -> None:
    pytest.importorskip("matplotlib")
    by_epoch, by_samples = FOUND.plot()
    assert [line.get_label() for line in by_epoch.lines] == ["loss", "val_loss"]
    assert by_samples.get_ylabel() == "share of wrong labels"
    training, validation, baseline = by_samples.lines
    np.testing.assert_array_equal(training.get_xydata(), [[10, 0.1], [20, 0.2]])
    np.testing.assert_array_equal(validation.get_xydata(), [[10, 0.5], [20, 0.3]])
    assert list(baseline.get_ydata()) == [0.75, 0.75]
    with pytest.raises(TypeError, match=r"^found must be what diagnose returns, got 'x'"):
        fastnn.plots.diagnosis("x")  # type: ignore[arg-type]


@pytest.mark.parametrize(("unit", "offset"), [(1e5, 0.0), (1e5, 3e5), (1.0, 1e4), (1e-3, 0.0)])
def test_targets_on_another_scale_are_not_taken_for_noise(unit: float, offset: float) -> None:
    random = np.random.default_rng(0)
    inputs = random.standard_normal((1000, 4)).astype(np.float32)
    y = unit * (2 * inputs[:, 0] + inputs[:, 1] * inputs[:, 2]) + offset
    net = Network([Dense(32, "relu"), Dense(1)], 4, seed=0)
    net.fit(inputs[:800], y[:800], epochs=20)
    found = diagnose(net, inputs[:800], y[:800], (inputs[800:], y[800:]))
    assert "targets not scaled" in found.verdicts[:2], found
    assert not {"irreducible error", "no signal"} & set(found.verdicts)
    (finding,) = (each for each in found if each.verdict == "targets not scaled")
    error = finding.evidence["validation error on standardised targets"]
    assert 0 < error < 0.8 * found.baseline_error


# ---- what is odd ---------------------------------------------------------------------------------


def test_a_few_samples_to_validate_with_are_said_to_prove_little() -> None:
    found = diagnose(small(), X[:300], LABELS[:300], (X[:2], LABELS[:2]))
    assert found.verdicts[0] == "too little data"
    assert "There are 300 samples to train on, and 2 to validate with" in str(found)


@pytest.mark.parametrize(("of_X", "of_y"), [(1e300, 1.0), (1.0, 1e300)])
def test_sizes_whose_squares_are_no_numbers_are_diagnosed(of_X: float, of_y: float) -> None:
    wide, targets = X.astype(np.float64), X[:, 0].astype(np.float64)
    net = Network([Dense(4, "tanh"), Dense(1)], 5, dtype="float64", seed=0)
    net.fit(wide[:300], targets[:300], epochs=20)
    plain = diagnose(net, wide[:300], targets[:300], (wide[300:], targets[300:]), epochs=20)
    wide, targets = wide * of_X, targets * of_y
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = diagnose(net, wide[:300], targets[:300], (wide[300:], targets[300:]), epochs=20)
    assert found.baseline_error == pytest.approx(plain.baseline_error * of_y, rel=1e-6)


def test_standardised_columns_do_not_depend_on_their_unit() -> None:
    wide = X.astype(np.float64)
    for power in (-900, 900):
        columns = np.ldexp(wide, power)
        np.testing.assert_array_equal(Standard(columns)(columns), Standard(wide)(wide))


# ---- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"net": "net"}, r"^net must be a Network, got 'net'"),
        ({"X": X[:, :4]}, r"^X has 4 features"),
        ({"y": LABELS[:9]}, r"^y must"),
        ({"X": X[:9], "y": LABELS[:9]}, r"^X must have at least 10 samples to train on, got 9"),
        ({"X": X[:1], "y": LABELS[:1], "validation_data": None}, r"^X must have at least 10 "),
        ({"X": [VALIDATION] * 2, "y": None}, r"^X must be arrays for a diagnosis, got chunks"),
        ({"validation_data": [VALIDATION] * 2}, r"^validation_data must be arrays for a diagnosis"),
        (
            {"y": np.arange(400) == 7, "validation_data": None},
            r"^validation_data must be given: of y, 80 targets would be set aside, and these are ",
        ),
        ({"y": np.ones(400)}, r"^y must have different targets, got the same for all samples"),
        ({"validation_data": X}, r"^validation_data must be \(X, y\)"),
        ({"validation_data": (X[:5], LABELS[:4])}, r"^validation_data\[1\] must"),
        ({"validation_data": (X[:5], np.zeros(5))}, r"^the y of validation_data must have differ"),
        ({"epochs": 0}, r"^epochs must be"),
        ({"seed": None}, r"^seed must be an integer"),
        ({"seed": -1}, r"^seed must be"),
        ({"threads": 0}, r"^threads must be"),
        ({"progress": 3}, r"^progress must be"),
        ({"n_jobs": 2}, r"n_jobs.*here it is threads"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    net = small()
    before = net.parameters.copy()
    given = {"net": net, "X": X, "y": LABELS, "validation_data": VALIDATION, **arguments}
    with pytest.raises((TypeError, ValueError), match=message):
        diagnose(**given)
    np.testing.assert_array_equal(net.parameters, before)


def test_ctrl_c_ends_it_within_a_second() -> None:
    net = Network([Dense(256, "relu"), Dense(256, "relu"), Dense(1, "sigmoid")], 5, seed=0)
    many = np.tile(X, (20, 1))
    y = np.tile(LABELS, 20)
    net.fit(many, y, epochs=1)
    before = net.parameters.copy()
    sent = []

    def interrupt() -> None:
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(1.0, interrupt)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        diagnose(net, many, y, epochs=1000)
    assert time.monotonic() - sent[0] < 1.5  # and some for a busy machine
    np.testing.assert_array_equal(net.parameters, before)


# ---- docs/diagnose.md ----------------------------------------------------------------------------

PAGE = (DOCS / "diagnose.md").read_text()


def test_the_page_prints_what_it_says_and_its_snippets_run() -> None:
    """Up to the last digits, which differ between CPUs."""
    pytest.importorskip("matplotlib")
    first, *later = re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)
    names: dict[str, Any] = {}
    exec(first, names)
    printed = "".join(re.findall(r"^    (.*\n)|^(?=\n)", PAGE.split("```")[2], re.M))
    assert without_numbers(printed) == without_numbers(str(names["diagnosis"]))
    for snippet in later:
        exec(snippet, names)
    assert names["diagnosis"].epochs == 20


def without_numbers(text: str) -> str:
    return " ".join(re.sub(r"\d+(\.\d+)?", "#", text).split())


def test_the_page_names_every_verdict() -> None:
    first_cells = re.findall(r"^\| (`.*?) \|", PAGE, re.M)
    named = [name for cell in first_cells for name in re.findall(r"`(.*?)`", cell)]
    assert sorted(named) == sorted(VERDICTS)


def test_columns_on_other_scales_are_no_reason_to_accuse_right_labels() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1500, 12))
    y = (X[:, 0] * X[:, 1] + 0.5 * X[:, 2] > 0).astype(int)
    X[:, 3] *= 1000
    net = fastnn.Network([fastnn.Dense(8, "relu"), fastnn.Dense(1, "sigmoid")], seed=1)
    with pytest.warns(fastnn.ScalingWarning):
        net.fit(X, y, epochs=30)
    verdicts = fastnn.diagnose(net, X, y).verdicts
    assert verdicts[0] == "inputs not scaled"
    assert "suspicious labels" not in verdicts

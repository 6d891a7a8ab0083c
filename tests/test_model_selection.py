"""Cross-validation, and the search for hyperparameters."""

import copy
import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fastnn import (
    Adam,
    CosineDecay,
    Dense,
    EarlyStopping,
    Integers,
    LogUniform,
    Network,
    Uniform,
    cross_validate,
    search,
)

Array = npt.NDArray[Any]

RNG = np.random.default_rng(0)
X = RNG.standard_normal((300, 5)).astype(np.float32)
LABELS = (X @ RNG.standard_normal((5, 3)) + [0, 0, 1.5]).argmax(axis=1)
VALUES = X[:, 0] - X[:, 1] ** 2

classifier = Network.from_sizes([5, 8, 3], "tanh", "softmax", seed=0)
regression = Network([Dense(8, "tanh"), Dense(1)], seed=0)  # not built yet


# ---- folds ---------------------------------------------------------------------------------------


def test_every_row_is_tested_on_once_and_classes_are_spread_evenly() -> None:
    folds = cross_validate(classifier, X, LABELS, cv=7, epochs=1).folds
    tests = np.concatenate([test for _, test in folds])
    np.testing.assert_array_equal(np.sort(tests), np.arange(300))
    sizes = [len(test) for _, test in folds]
    assert max(sizes) - min(sizes) <= 1
    for label in range(3):
        counts = [np.count_nonzero(LABELS[test] == label) for _, test in folds]
        assert max(counts) - min(counts) <= 1
    for train, test in folds:
        np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(300))


@pytest.mark.parametrize("kind", ["one-hot", "sigmoid", "values"])
def test_folds_of_other_targets(kind: str) -> None:
    net, y = {
        "one-hot": (classifier, np.eye(3)[LABELS]),
        "sigmoid": (Network([Dense(1, "sigmoid")], seed=0), (LABELS == 2).astype(float)),
        "values": (regression, VALUES),
    }[kind]
    folds = cross_validate(net, X, y, cv=4, epochs=1).folds
    assert sorted(np.concatenate([test for _, test in folds]).tolist()) == list(range(300))
    counts = [np.count_nonzero(LABELS[test] == 2) for _, test in folds]
    assert (max(counts) - min(counts) <= 1) == (kind != "values")
    again = cross_validate(net, X, y, cv=4, epochs=1, seed=1).folds
    assert [test.tolist() for _, test in folds] != [test.tolist() for _, test in again]


def test_folds_are_what_a_user_or_scikit_learn_says() -> None:
    model_selection = pytest.importorskip("sklearn.model_selection")
    splitter = model_selection.StratifiedKFold(3, shuffle=True, random_state=0)
    pairs = list(splitter.split(X, LABELS))
    masks = [(~np.isin(np.arange(300), test), test.tolist()) for _, test in pairs]
    for cv in (splitter, pairs, iter(masks)):
        result = cross_validate(classifier, X, LABELS, cv=cv, epochs=1)
        for (train, test), (own_train, own_test) in zip(pairs, result.folds, strict=True):
            np.testing.assert_array_equal(train, own_train)
            np.testing.assert_array_equal(test, own_test)
    ((train, test),) = cross_validate(classifier, X, LABELS, cv=0.25, epochs=1).folds
    assert (len(train), len(test)) == (225, 75)


# ---- cross-validation ----------------------------------------------------------------------------


def test_scores_are_those_of_networks_trained_one_by_one() -> None:
    weights = RNG.uniform(0, 1, 300)
    settings: dict[str, Any] = {"epochs": 4, "batch_size": 20, "sample_weight": weights}
    before = classifier.parameters.copy()
    result = cross_validate(classifier, X, LABELS, cv=3, metrics="f1", **settings)
    assert list(result.scores) == ["loss", "accuracy", "f1"]
    assert len({net.seed for net in result.networks}) == 3
    for i, (net, (train, test)) in enumerate(zip(result.networks, result.folds, strict=True)):
        alone = Network(classifier.layers, 5, seed=net.seed)
        history = alone.fit(
            X[train], LABELS[train], **{**settings, "sample_weight": weights[train]}
        )
        assert history == result.histories[i]
        assert alone.parameters.tobytes() == net.parameters.tobytes()
        for name, value in alone.evaluate(X[test], LABELS[test], metrics="f1").items():
            assert result.scores[name][i] == value
    np.testing.assert_array_equal(classifier.parameters, before)
    assert classifier.training is None
    assert result.mean["loss"] == result.scores["loss"].mean()
    assert result.std["loss"] == result.scores["loss"].std()


def test_the_result_prints_as_a_table() -> None:
    lines = str(cross_validate(classifier, X, LABELS, cv=3, epochs=1)).splitlines()
    assert lines[0].split() == ["fold", "loss", "accuracy"]
    assert [line.split()[0] for line in lines[1:]] == ["1", "2", "3", "mean", "std"]
    assert len({len(line) for line in lines}) == 1


def test_folds_stop_early_each_on_its_own() -> None:
    result = cross_validate(
        classifier, X, LABELS, cv=5, epochs=300, batch_size=16, learning_rate=0.02,
        validation_split=0.2, callbacks=EarlyStopping(patience=3),
    )  # fmt: skip
    assert len({history.n_epochs for history in result.histories}) > 1


REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "one fold": ({"cv": 1}, ValueError, "cv must be from 2 to the 300"),
    "many folds": ({"cv": 301}, ValueError, "cv must be from 2"),
    "share": ({"cv": 1.5}, ValueError, "cv must be"),
    "text": ({"cv": "5"}, TypeError, "cv must be a number of folds"),
    "truth": ({"cv": True}, TypeError, "cv must be a number of folds"),
    "no pairs": ({"cv": [3]}, TypeError, r"cv\[0\] must be a pair"),
    "none": ({"cv": []}, ValueError, "at least one pair"),
    "rows": ({"cv": [([0, 1], [300])]}, ValueError, r"cv\[0\]\[1\] must be rows in \[0, 300\)"),
    "metric": ({"metrics": "f2"}, ValueError, "metrics"),
    "seed": ({"seed": None}, TypeError, "seed must be an integer"),
    "resume": ({"resume_from": "x"}, TypeError, "resume_from"),
    "keyword": ({"lr": 1.0}, TypeError, "learning_rate"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_argument_is_named(name: str) -> None:
    arguments, kind, message = REFUSED[name]
    with pytest.raises(kind, match=message):
        cross_validate(classifier, X, LABELS, **arguments)
    with pytest.raises(TypeError, match="net must be a Network"):
        cross_validate(classifier.layers, X, LABELS)  # type: ignore[arg-type]


# ---- spaces --------------------------------------------------------------------------------------


def test_distributions_draw_what_they_say() -> None:
    rng = np.random.default_rng(0)
    uniform = np.array([Uniform(-2, 6).draw(rng) for _ in range(4000)])
    assert uniform.min() >= -2
    assert uniform.max() < 6
    assert uniform.mean() == pytest.approx(2, abs=0.2)
    logarithmic = np.array([LogUniform(1e-4, 1).draw(rng) for _ in range(4000)])
    assert np.mean(logarithmic < 1e-2) == pytest.approx(0.5, abs=0.05)
    integers = np.array([Integers(1, 4).draw(rng) for _ in range(4000)])
    np.testing.assert_allclose(np.bincount(integers)[1:] / 4000, 0.25, atol=0.04)
    integers = np.array([Integers(1, 63, log=True).draw(rng) for _ in range(6000)])
    assert set(integers) >= {1, 2, 3, 4}
    assert integers.max() <= 63
    assert np.mean(integers < 8) == pytest.approx(0.5, abs=0.05)  # log 8 / log 64


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Uniform(1, 1), "high must be above low, which is 1.0, got 1.0"),
        (lambda: LogUniform(0, 1), "low must be"),
        (lambda: Integers(0, 3), "low must be"),
        (lambda: Uniform(0, float("inf")), "high must be"),
        (lambda: Uniform(-1e308, 1e308), "high - low must be"),
        (lambda: Integers(1, 2**63), "high must be"),
    ],
)
def test_a_distribution_refuses_what_it_cannot_draw(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


# ---- the search ----------------------------------------------------------------------------------

SPACE: dict[str, Any] = {"learning_rate": LogUniform(1e-4, 0.3), "batch_size": [16, 32, 64]}


def as_data(result: Any) -> Any:
    return result.trials, result.best, result.network.parameters.tobytes()


@pytest.mark.parametrize("method", ["random", "halving"])
def test_the_same_seed_gives_the_same_result_on_any_number_of_threads(method: str) -> None:
    options: dict[str, Any] = {"n_trials": 9, "method": method, "epochs": 9, "seed": 3}
    found = [search(SPACE, X, LABELS, classifier, threads=n, **options) for n in (1, 2, 5)]
    assert as_data(found[0]) == as_data(found[1]) == as_data(found[2])
    other = search(SPACE, X, LABELS, classifier, **{**options, "seed": 4})
    assert as_data(other) != as_data(found[0])
    assert classifier.training is None


def test_trials_do_not_depend_on_how_many_there_are() -> None:
    few = search(SPACE, X, LABELS, classifier, n_trials=3, epochs=2)
    many = search(SPACE, X, LABELS, classifier, n_trials=70, epochs=2)  # more than at a time
    assert many.trials[:3] == few.trials
    assert len(many.trials) == 70


def test_a_score_is_that_of_rows_set_aside_and_the_network_has_all() -> None:
    result = search(SPACE, X, LABELS, classifier, n_trials=5, epochs=5, cv=3, metric="accuracy")
    assert result.best.score == max(trial.score for trial in result.trials)
    assert result.params == result.best.params
    assert all(len(trial.scores) == 3 for trial in result.trials)
    alone = Network(classifier.layers, 5, seed=result.network.seed)
    alone.fit(X, LABELS, epochs=5, **result.params)
    assert alone.parameters.tobytes() == result.network.parameters.tobytes()
    folds = cross_validate(classifier, X, LABELS, cv=3, epochs=1).folds
    for i, (train, test) in enumerate(folds):
        seed = np.random.SeedSequence(0, spawn_key=(result.best.number, 1)).generate_state(3)[i]
        one = Network(classifier.layers, 5, seed=int(seed))
        one.fit(X[train], LABELS[train], epochs=5, **result.params)
        assert one.evaluate(X[test], LABELS[test])["accuracy"] == result.best.scores[i]


def test_a_halving_goes_on_with_the_best_from_where_they_are() -> None:
    options: dict[str, Any] = {"n_trials": 9, "epochs": 18}
    halving = search(SPACE, X, LABELS, classifier, method="halving", **options)
    assert sorted(trial.epochs for trial in halving.trials) == [2] * 6 + [6] * 2 + [18]
    whole = search(SPACE, X, LABELS, classifier, **options)
    assert halving.best in whole.trials  # as if it had been trained in one call
    first = search(SPACE, X, LABELS, classifier, n_trials=9, epochs=2)
    order = sorted(first.trials, key=lambda trial: trial.score)
    kept = {trial.number for trial in halving.trials if trial.epochs > 2}
    assert kept == {trial.number for trial in order[:3]}
    assert [trial.epochs for trial in halving.ranking] == [18, 6, 6, 2, 2, 2, 2, 2, 2]


def test_a_schedule_of_a_halving_spans_all_epochs() -> None:
    space: dict[str, Any] = {"learning_rate": [CosineDecay(0.05)]}
    result = search(space, X, LABELS, classifier, n_trials=3, method="halving", epochs=9)
    whole = search(space, X, LABELS, classifier, n_trials=3, epochs=9)
    assert result.best in whole.trials
    space = {"optimizer": [Adam(CosineDecay(0.05))]}
    assert (
        search(space, X, LABELS, classifier, n_trials=3, method="halving", epochs=9).best.epochs
        == 9
    )


def test_a_function_builds_networks_from_what_is_drawn() -> None:
    seen: list[dict[str, Any]] = []

    def build(params: dict[str, Any]) -> Any:
        seen.append(dict(params))
        layers = [Dense(params["units"], "tanh")] * params.pop("depth") + [Dense(1)]
        return Network(layers, seed=None), {"learning_rate": params["rate"]}

    space = {"units": Integers(4, 16, log=True), "depth": [1, 2], "rate": LogUniform(1e-3, 1e-1)}
    result = search(space, X, VALUES, build, n_trials=6, epochs=3, metric="rmse")
    assert [trial.params for trial in result.trials] == seen
    assert result.network.layers[0].n_out(5) == result.params["units"]
    assert result.network.n_parameters > 0
    again = search(space, X, VALUES, build, n_trials=6, epochs=3, metric="rmse")
    assert as_data(result) == as_data(again)  # whatever seed the function left open


READS: dict[str, Any] = {
    "index": lambda params: params["rate"],
    "get": lambda params: params.get("rate", 3),
    "pop": lambda params: params.pop("rate"),
    "keywords": lambda params: (lambda rate, **others: rate)(**params),
    "copy": lambda params: params.copy()["rate"],
    "dict": lambda params: dict(params)["rate"],
    "display": lambda params: {"a": 1, **params}["rate"],
    "items": lambda params: next(value for name, value in params.items() if name == "rate"),
    "values": lambda params: next(iter(params.values())),
    "union": lambda params: ({"a": 1} | params)["rate"],
    "deep copy": lambda params: copy.deepcopy(params)["rate"],
    "JSON": lambda params: json.loads(json.dumps(params))["rate"],
}


@pytest.mark.parametrize("read", READS)
def test_whatever_reads_a_drawn_value_does_so_without_a_warning(read: str) -> None:
    def build(params: dict[str, Any]) -> Any:
        assert isinstance(params, dict)
        return Network([Dense(1)]), {"learning_rate": READS[read](params)}

    result = search({"rate": LogUniform(1e-3, 1e-1)}, X, VALUES, build, n_trials=2, epochs=1)
    assert type(result.params) is dict


def test_a_name_that_no_trial_reads_gives_a_warning() -> None:
    def build(params: dict[str, Any]) -> Network:
        units = [params["first"]] + ([params["second"]] if params["first"] > 3 else [])
        return Network([*(Dense(n, "tanh") for n in units), Dense(1)])

    space: dict[str, Any] = {"first": [2, 4], "second": [3, 5]}
    options: dict[str, Any] = {"n_trials": 9, "epochs": 1}
    search(space, X, VALUES, build, **options)  # some trials read it
    space |= {"learning_rate": [1e-3, 1e-2], "batch_size": [8, 16]}
    expected = "^build has read 'learning_rate', 'batch_size' of space in none of 9 trials"
    with pytest.warns(UserWarning, match=expected) as caught:
        search(space, X, VALUES, build, **options)
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_a_trial_that_fails_comes_last() -> None:
    space: dict[str, Any] = {"learning_rate": [1e-2, 1e30], "optimizer": ["sgd"]}
    for method in ("random", "halving"):
        options: dict[str, Any] = {"n_trials": 6, "epochs": 4, "method": method, "seed": 1}
        result = search(space, X, VALUES, regression, **options)
        failed = [trial for trial in result.trials if trial.error]
        assert 0 < len(failed) < 6
        assert all(trial.params["learning_rate"] == 1e30 for trial in failed)
        assert all(np.isnan(trial.score) for trial in failed)
        assert "FloatingPointError" in str(failed[0].error)
        assert result.params["learning_rate"] == 1e-2
        assert str(result).splitlines()[-1].split()[-1] == "failed"
    with pytest.raises(ExceptionGroup, match="all 3 trials failed; the first: an update gave"):
        search({"learning_rate": [1e30]}, X, VALUES, regression, n_trials=3, optimizer="sgd")


def test_the_table_has_the_best_first() -> None:
    result = search(SPACE, X, LABELS, classifier, n_trials=4, epochs=2, metric="accuracy")
    lines = str(result).splitlines()
    assert lines[0].split() == ["trial", "learning_rate", "batch_size", "epochs", "accuracy"]
    scores = [float(line.split()[-1]) for line in lines[1:]]
    assert scores == sorted(scores, reverse=True)
    assert int(lines[1].split()[0]) == result.best.number


def distance(y_true: Array, y_pred: Array) -> float:
    return float(np.abs(y_true - y_pred).max())


SEARCHES: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "no dict": ({"space": [1]}, TypeError, "space must be a dict"),
    "empty": ({"space": {}}, ValueError, "space must have at least one name"),
    "no choice": (
        {"space": {"epochs": []}},
        ValueError,
        r"space\['epochs'\] must have at least one",
    ),
    "a number": ({"space": {"epochs": 3}}, TypeError, r"space\['epochs'\] must be a list"),
    "keyword": (
        {"space": {"lr": [1.0]}, "build": regression},
        TypeError,
        r"learning_rate; a function build\(params\) takes any",
    ),
    "build": ({"build": 3}, TypeError, "build must be a Network"),
    "built": ({"build": lambda params: 3}, TypeError, "build must return a Network"),
    "method": ({"method": "grid"}, ValueError, "method must be"),
    "trials": ({"n_trials": 0}, ValueError, "n_trials must be"),
    "factor": ({"factor": 1}, ValueError, "factor must be at least 2"),
    "metric": ({"metric": "f1"}, ValueError, "f1 is for networks that predict classes"),
    "no metric": ({"metric": "val_loss"}, ValueError, "metric must be one of loss, accuracy"),
    "mode": (
        {"metric": distance},
        ValueError,
        "mode must be 'min' or 'max' with metric='distance'",
    ),
    "resume": ({"resume_from": "x"}, TypeError, "resume_from must not"),
    "y": ({"space": {"y": [VALUES]}}, TypeError, "y is of the whole search"),
    "no epochs": ({"method": "halving", "epochs": [3]}, TypeError, "epochs must be a positive"),
    "losses": (
        {
            "space": {"loss": ["mse", "mae", "huber"]},
            "build": lambda params: Network([Dense(1)], loss=params["loss"]),
        },
        ValueError,
        "metric must not be 'loss' for networks of different losses",
    ),
    "ema": ({"method": "halving", "ema": 0.9}, TypeError, "ema must not"),
    "epochs": (
        {"method": "halving", "space": {"epochs": [3, 4, 5, 6, 7, 8, 9]}},
        ValueError,
        "epochs must be the same",
    ),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_a_bad_argument_of_a_search_is_named(name: str) -> None:
    arguments, kind, message = SEARCHES[name]
    options: dict[str, Any] = {"space": SPACE, "build": regression, "epochs": 1, **arguments}
    if "epochs" in options["space"]:
        del options["epochs"]
    with pytest.raises(kind, match=message):
        search(X=X, y=VALUES, **options)
    assert search(SPACE, X, VALUES, regression, n_trials=1, epochs=1, metric=distance, mode="min")

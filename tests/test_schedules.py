"""Schedules: every rate against the formula, step by step; how they begin, go on and are stored."""

import dataclasses
import math
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastnn
from fastnn import (
    ConstantRate,
    CosineDecay,
    ExponentialDecay,
    InverseScaling,
    Network,
    OneCycle,
    PolynomialDecay,
    ReduceOnPlateau,
    Schedule,
    StepDecay,
    _rates,
)
from fastnn.schedules import SCHEDULES, PlateauState

Array = npt.NDArray[Any]
STEPS_PER_EPOCH = 7


# ---- the formulas, one step after the other ------------------------------------------------------


def warmed_up(rates: list[float], n_warmup: int, n_steps: int) -> list[float]:
    """`rates` after a ramp up to the first of them."""
    ramp = [rates[0] * (i + 1) / n_warmup for i in range(n_warmup)]
    return (ramp + rates)[:n_steps]


def constant(n: int) -> list[float]:
    return [0.3] * n


def steps_down(n: int) -> list[float]:
    rates, rate = [], 0.3
    for k in range(n):
        if k > 0 and k % 14 == 0:  # two epochs
            rate *= 0.5
        rates.append(rate)
    return rates


def exponential(n: int) -> list[float]:
    rates, rate = [], 0.3
    for _ in range(n):
        rates.append(rate)
        rate *= 0.8 ** (1 / (3 * STEPS_PER_EPOCH))
    return rates


def inverse(n: int) -> list[float]:
    return [0.3 / (1 + 0.5 * k / STEPS_PER_EPOCH) ** 0.7 for k in range(n)]


def polynomial(n: int, length: int) -> list[float]:
    return [0.02 + 0.28 * max(0, 1 - k / length) ** 2 for k in range(n)]


def cosine(n: int, length: int) -> list[float]:
    return [0.02 + 0.14 * (1 + math.cos(math.pi * min(k, length) / length)) for k in range(n)]


def restarted(n: int, lengths: list[int]) -> list[float]:
    rates: list[float] = []
    for length in lengths:
        rates += cosine(length, length)
    return (rates + [0.02] * n)[:n]


def one_cycle(n: int, length: int) -> list[float]:
    """Smith's cycle, with PyTorch's way of counting steps."""
    rates = []
    top = 0.4 * length - 1
    for k in range(n):
        if k <= top:
            begin, end, share = 0.3 / 10, 0.3, k / top
        else:
            begin, end, share = 0.3, 0.3 / 10 / 100, min(1, (k - top) / (length - 1 - top))
        rates.append(end + (begin - end) * (1 + math.cos(math.pi * share)) / 2)
    return rates


N = 100
CASES: list[tuple[Schedule, list[float]]] = [
    (ConstantRate(0.3), constant(N)),
    (ConstantRate(0.3, warmup=2), warmed_up(constant(N), 14, N)),
    (StepDecay(0.3, 0.5, 2), steps_down(N)),
    (StepDecay(0.3, 0.5, 2, warmup=1), warmed_up(steps_down(N), 7, N)),
    (ExponentialDecay(0.3, 0.8, 3), exponential(N)),
    (ExponentialDecay(0.3, 0.8, 3, warmup=3), warmed_up(exponential(N), 21, N)),
    (InverseScaling(0.3, 0.5, 0.7), inverse(N)),
    (InverseScaling(0.3, 0.5, 0.7, warmup=0.5), warmed_up(inverse(N), 4, N)),
    (PolynomialDecay(0.3, 10, 0.02, 2), polynomial(N, 70)),
    (PolynomialDecay(0.3, 10, 0.02, 2, warmup=3), warmed_up(polynomial(N, 49), 21, N)),
    (CosineDecay(0.3, 10, 0.02), cosine(N, 70)),
    (CosineDecay(0.3, 10, 0.02, warmup=3), warmed_up(cosine(N, 49), 21, N)),
    (CosineDecay(0.3, 12, 0.02, 2), restarted(N, [28, 28, 28])),
    (CosineDecay(0.3, 10, 0.02, 2, 2), restarted(N, [10, 20, 40])),
    (CosineDecay(0.3, 11, 0.02, 2, 2, warmup=1), warmed_up(restarted(N, [10, 20, 40]), 7, N)),
    (OneCycle(0.3, 10, 0.4, 10, 100), one_cycle(N, 70)),
    (OneCycle(0.3, 10, 0.4, 10, 100, warmup=1), warmed_up(one_cycle(N, 63), 7, N)),
    (ReduceOnPlateau(0.3, warmup=2), warmed_up(constant(N), 14, N)),
]


@pytest.mark.parametrize(("schedule", "expected"), CASES, ids=lambda value: repr(value)[:60])
def test_rates_follow_the_formula(schedule: Schedule, expected: list[float]) -> None:
    rates = schedule.rates(np.arange(N), STEPS_PER_EPOCH)
    assert rates.dtype == np.float64
    np.testing.assert_allclose(rates, expected, rtol=1e-13)


X, Y = np.eye(STEPS_PER_EPOCH), np.full(STEPS_PER_EPOCH, 1e6)


def one_weight_a_step() -> Network:
    """The gradient of step j of an epoch is -1 for weight j and 0 for the others."""
    net = Network([fastnn.Dense(1)], STEPS_PER_EPOCH, loss="mae", dtype="float64", seed=0)
    net.parameters[:] = 0
    return net


def rates_of(net: Network, n_epochs: int, **options: Any) -> list[float]:
    """What each step has added to its weight, in as many calls as epochs."""
    rates: list[float] = []
    for epoch in range(n_epochs):
        before = net.weights[0].copy()
        more = options if epoch == 0 else {}
        history = net.fit(X, Y, batch_size=1, shuffle=False, epochs=1, **more)
        rates += (net.weights[0] - before)[:, 0].tolist()
        assert history["learning_rate"] == pytest.approx(rates[-1:], abs=1e-14)
    return rates


@pytest.mark.parametrize(("schedule", "expected"), CASES, ids=lambda value: repr(value)[:60])
def test_every_step_takes_its_rate_and_later_calls_go_on(
    schedule: Schedule, expected: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_rates, "_WINDOW", 3)
    net = one_weight_a_step()
    if isinstance(schedule, ReduceOnPlateau):
        schedule = dataclasses.replace(schedule, monitor="loss", patience=1000)
    rates = rates_of(net, 14, optimizer="sgd", learning_rate=schedule)
    np.testing.assert_allclose(rates, expected[:98], rtol=1e-12, atol=1e-14)


def test_a_function_of_the_step_gives_the_rates() -> None:
    def rate(step: int) -> float:
        assert type(step) is int
        return 0.5 / (1 + step)

    rates = rates_of(one_weight_a_step(), 3, optimizer="sgd", learning_rate=rate)
    np.testing.assert_allclose(rates, [0.5 / (1 + step) for step in range(21)], rtol=1e-12)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", [*fastnn.optimizers.OPTIMIZERS])
def test_bits_are_those_of_constant_rates_one_step_after_the_other(name: str, threads: int) -> None:
    X, y = regression(40)
    schedule = CosineDecay(0.01, warmup=0.5)
    net, twin = small(), small()
    net.fit(X, y, epochs=3, batch_size=8, optimizer=name, learning_rate=schedule, shuffle=False,
            threads=threads)  # fmt: skip
    rates = schedule.rates(np.arange(15), 5, 3)
    for step, rate in enumerate(rates.tolist()):
        batch = slice(8 * (step % 5), 8 * (step % 5) + 8)
        twin.fit(X[batch], y[batch], epochs=1, batch_size=8, learning_rate=rate,
                 **({"optimizer": name} if step == 0 else {}))  # fmt: skip
    np.testing.assert_array_equal(net.parameters, twin.parameters)


def regression(n: int = 100) -> tuple[Array, Array]:
    X = np.random.default_rng(0).normal(size=(n, 4))
    return X, X.sum(axis=1) + 1


def small(dtype: str = "float32") -> Network:
    return Network.from_sizes([4, 8, 1], output="linear", dtype=dtype, seed=0)


EACH = [
    ConstantRate(0.02, warmup=1.5),
    StepDecay(0.02, 0.5, 2),
    ExponentialDecay(0.02),
    InverseScaling(0.02),
    PolynomialDecay(0.02, 6),
    CosineDecay(0.02, 7, restarts=2, growth=1.5),
    OneCycle(0.02, 7.5),
    ReduceOnPlateau(0.02, "loss", 0.5, 1, 0.02),
]


def test_there_is_a_case_of_each() -> None:
    assert [type(schedule) for schedule in EACH] == list(SCHEDULES.values())
    assert all(getattr(fastnn, type(schedule).__name__) is type(schedule) for schedule in EACH)
    assert all(kind.name == name for name, kind in SCHEDULES.items())


def by_copy(net: Network, path: Path) -> Network:
    return net.copy()


def by_pickle(net: Network, path: Path) -> Network:
    twin: Network = pickle.loads(pickle.dumps(net))
    return twin


def by_file(net: Network, path: Path) -> Network:
    net.save(path / "net.safetensors")
    return Network.load(path / "net.safetensors")


@pytest.mark.filterwarnings("ignore:the learning rate .* has ended")
@pytest.mark.parametrize("way", [by_copy, by_pickle, by_file])
@pytest.mark.parametrize("schedule", EACH, ids=lambda schedule: schedule.name)
def test_stopping_and_going_on_changes_no_bit(
    schedule: Schedule, way: Callable[[Network, Path], Network], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    X, y = regression()
    options: dict[str, Any] = {"batch_size": 16, "learning_rate": schedule, "optimizer": "momentum"}
    net, twin = small(), small()
    history = net.fit(X, y, epochs=8, **options)
    monkeypatch.setattr(_rates, "_WINDOW", 4)
    rates = twin.fit(X, y, epochs=3, **options)["learning_rate"]
    twin = way(twin, tmp_path)
    rates += twin.fit(X, y, epochs=5)["learning_rate"]
    assert rates == history["learning_rate"]
    np.testing.assert_array_equal(net.parameters, twin.parameters)
    assert net.training == twin.training


def test_a_function_goes_on_in_a_copy() -> None:
    X, y = regression()
    net, twin = small(), small()
    net.fit(X, y, epochs=5, learning_rate=lambda step: 0.1 / (1 + step))
    twin.fit(X, y, epochs=2, learning_rate=lambda step: 0.1 / (1 + step))
    twin = twin.copy()
    twin.fit(X, y, epochs=3)
    np.testing.assert_array_equal(net.parameters, twin.parameters)


def test_a_file_has_the_last_rate_of_a_function(tmp_path: Path) -> None:
    X, y = regression()
    net = small()
    net.fit(X, y, epochs=3, batch_size=50, learning_rate=lambda step: 0.1 / (1 + step))
    twin = by_file(net, tmp_path)
    assert twin.training is not None
    assert twin.training.optimizer == fastnn.Adam(0.1 / 6)
    assert twin.fit(X, y, epochs=2)["learning_rate"] == [0.1 / 6] * 2


@pytest.mark.parametrize("way", [by_pickle, by_file])
def test_a_function_that_has_come_to_0_can_be_stored(way: Any, tmp_path: Path) -> None:
    X, y = regression()
    net = small()
    net.fit(X, y, epochs=2, batch_size=50, learning_rate=lambda step: 0.1 if step < 2 else 0)
    twin = way(net, tmp_path)
    assert twin.training.optimizer.learning_rate == np.finfo(np.float32).tiny


def test_a_schedule_begins_again_where_it_is_given_again() -> None:
    net = one_weight_a_step()
    schedule = StepDecay(0.5, 0.5, 1)
    first = rates_of(net, 2, optimizer="sgd", learning_rate=schedule)
    assert rates_of(net, 2, learning_rate=schedule) == first
    assert rates_of(net, 1) == [0.125] * 7
    assert rates_of(net, 2, optimizer=fastnn.SGD(schedule)) == first
    assert rates_of(net, 1, learning_rate=0.5) == [0.5] * 7
    assert net._state is not None
    assert net._state.schedule is None


def test_the_length_of_a_fit_is_that_of_its_schedule() -> None:
    net = one_weight_a_step()
    options: dict[str, Any] = {
        "batch_size": 1,
        "optimizer": "sgd",
        "learning_rate": CosineDecay(0.5),
    }
    rates = net.fit(X, Y, epochs=4, **options)["learning_rate"]
    expected = [0.25 * (1 + math.cos(math.pi * (7 * epoch + 6) / 28)) for epoch in range(4)]
    assert rates == pytest.approx(expected)
    with pytest.warns(UserWarning, match=r"learning rate CosineDecay\(.*\) has ended: it is 0"):
        history = net.fit(X, Y, epochs=2)
    assert history["learning_rate"] == [0.0, 0.0]
    with pytest.warns(UserWarning, match="has ended"):
        net.fit(X, Y, epochs=4, learning_rate=CosineDecay(0.5, epochs=3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net.fit(X, Y, epochs=4, learning_rate=CosineDecay(0.5, epochs=4))
        net.fit(X, Y, epochs=1, learning_rate=CosineDecay(0.5, warmup=0.5))


def test_an_epoch_stays_as_long_as_where_the_schedule_began() -> None:
    net = one_weight_a_step()
    net.partial_fit(X, Y, batch_size=1, optimizer="sgd", learning_rate=StepDecay(0.5, 0.5, 1))
    net.partial_fit(X[:3], Y[:3])
    assert net.history["learning_rate"] == [0.25]
    net.partial_fit(X[:5], Y[:5])
    assert net.history["learning_rate"] == [0.125]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_divergence_is_undone_with_the_rates_of_every_step(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step that fails comes after windows of others; the good ones before it are repeated."""
    monkeypatch.setattr(_rates, "_WINDOW", 7)
    X, y = regression(64)

    def rate(step: int) -> float:
        return 3e38 if step == 25 else 0.01 * (1 + step % 5)

    net, twin = small(), small()
    options: dict[str, Any] = {"batch_size": 8, "optimizer": "momentum", "learning_rate": rate}
    with pytest.raises(FloatingPointError, match="step 26"):
        net.fit(X, y, epochs=9, threads=threads, shuffle=False, **options)
    twin.fit(X, y, epochs=3, shuffle=False, **options)
    twin.fit(X[:8], y[:8], epochs=1)
    np.testing.assert_array_equal(net.parameters, twin.parameters)
    assert net._state is not None
    assert net._state.n_updates == 25


def test_reduce_on_plateau_follows_the_losses() -> None:
    """The rates are recomputed from the history, with a loop of its own."""
    X, y = regression()
    schedule = ReduceOnPlateau(0.3, "val_loss", 0.5, 2, 1e-4, 0.02, warmup=1.5)
    history = small().fit(
        X, y, epochs=60, batch_size=16, optimizer="sgd", learning_rate=schedule,
        validation_data=(X[:20], y[:20]),
    )  # fmt: skip
    rate, best, bad, expected = 0.3, math.inf, 0, []
    for epoch, loss in enumerate(history["val_loss"]):
        expected.append(rate * min(1, (7 * epoch + 7) / 10))
        if loss < best - 1e-4:
            best, bad = loss, 0
        else:
            bad += 1
        if bad == 2:
            rate, bad = max(rate / 2, 0.02), 0
    assert history["learning_rate"] == pytest.approx(expected, rel=1e-12)
    assert min(history["learning_rate"]) == 0.02


def test_states_of_a_plateau() -> None:
    schedule = ReduceOnPlateau(1.0, "loss", 0.5, 2, 0.1, 0.3)
    states = [schedule.first_state()]
    for loss in (5.0, 4.0, 3.95, 3.91, 3.8, 3.9, 3.9, 9.0, 9.0):
        states.append(schedule.next_state(states[-1], loss))
    assert states == [
        PlateauState(1.0, None, 0),
        PlateauState(1.0, 5.0, 0),
        PlateauState(1.0, 4.0, 0),
        PlateauState(1.0, 4.0, 1),
        PlateauState(0.5, 4.0, 0),
        PlateauState(0.5, 3.8, 0),
        PlateauState(0.5, 3.8, 1),
        PlateauState(0.3, 3.8, 0),
        PlateauState(0.3, 3.8, 1),
        PlateauState(0.3, 3.8, 0),
    ]


# ---- what they are -------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", EACH, ids=lambda schedule: schedule.name)
def test_schedules_are_frozen_values(schedule: Schedule) -> None:
    assert eval(repr(schedule), vars(fastnn)) == schedule
    assert pickle.loads(pickle.dumps(schedule)) == schedule
    assert Schedule.read(schedule.description()) == schedule
    assert dataclasses.replace(schedule, learning_rate=0.5) != schedule
    with pytest.raises(dataclasses.FrozenInstanceError):
        schedule.learning_rate = 1.0  # type: ignore[misc]
    adam = fastnn.Adam(schedule)
    assert eval(repr(adam), vars(fastnn)) == adam


@pytest.mark.parametrize("schedule", EACH, ids=lambda schedule: schedule.name)
def test_rates_do_not_depend_on_which_are_asked_for_together(schedule: Schedule) -> None:
    together = schedule.rates(np.arange(500), 13)
    apart = [schedule.rates([step], 13)[0] for step in range(500)]
    np.testing.assert_array_equal(together, apart)
    for first in (1, 2, 3, 5, 250):
        np.testing.assert_array_equal(schedule.rates(np.arange(first, 500), 13), together[first:])


def test_a_schedule_of_one_step() -> None:
    for schedule in (PolynomialDecay(0.5), CosineDecay(0.5, restarts=3), OneCycle(0.5)):
        rates = schedule.rates(np.arange(3), 1, 1)
        assert rates[0] == 0.5
        assert np.isfinite(rates).all()


def test_a_warm_up_of_less_than_a_step_is_one_step() -> None:
    assert ConstantRate(0.5, warmup=0.001).rates(np.arange(3), 7).tolist() == [0.5, 0.5, 0.5]
    assert ConstantRate(0.5, warmup=0.3).rates(np.arange(3), 7).tolist() == [0.25, 0.5, 0.5]


# ---- wrong inputs --------------------------------------------------------------------------------

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("kind", "arguments", "name"),
    [
        (ConstantRate, {"learning_rate": 0}, "learning_rate"),
        (ConstantRate, {"learning_rate": -0.1}, "learning_rate"),
        (ConstantRate, {"learning_rate": NAN}, "learning_rate"),
        (ConstantRate, {"learning_rate": "0.1"}, "learning_rate"),
        (ConstantRate, {"learning_rate": ConstantRate(0.1)}, "learning_rate"),
        (ConstantRate, {"warmup": -1}, "warmup"),
        (ConstantRate, {"warmup": INF}, "warmup"),
        (ConstantRate, {"warmup": 1e300}, "warmup"),
        (ConstantRate, {"warmup": None}, "warmup"),
        (StepDecay, {"factor": 0}, "factor"),
        (StepDecay, {"factor": 1.1}, "factor"),
        (StepDecay, {"every": 0}, "every"),
        (StepDecay, {"every": -2}, "every"),
        (ExponentialDecay, {"factor": -0.5}, "factor"),
        (ExponentialDecay, {"every": NAN}, "every"),
        (InverseScaling, {"decay": 0}, "decay"),
        (InverseScaling, {"power": -1}, "power"),
        (PolynomialDecay, {"epochs": 0}, "epochs"),
        (PolynomialDecay, {"epochs": -3}, "epochs"),
        (PolynomialDecay, {"epochs": True}, "epochs"),
        (PolynomialDecay, {"power": 0}, "power"),
        (PolynomialDecay, {"end_rate": -1e-3}, "end_rate"),
        (PolynomialDecay, {"end_rate": 0.1}, "end_rate"),
        (PolynomialDecay, {"epochs": 3, "warmup": 3}, "warmup"),
        (CosineDecay, {"epochs": 2, "warmup": 2.5}, "warmup"),
        (CosineDecay, {"epochs": INF}, "epochs"),
        (CosineDecay, {"restarts": -1}, "restarts"),
        (CosineDecay, {"restarts": 1.0}, "restarts"),
        (CosineDecay, {"restarts": 10**9}, "restarts"),
        (CosineDecay, {"restarts": False}, "restarts"),
        (CosineDecay, {"growth": 0.5}, "growth"),
        (CosineDecay, {"growth": INF}, "growth"),
        (CosineDecay, {"end_rate": 0.2}, "end_rate"),
        (OneCycle, {"epochs": 1, "warmup": 1}, "warmup"),
        (OneCycle, {"rise": 0}, "rise"),
        (OneCycle, {"rise": 1}, "rise"),
        (OneCycle, {"div_factor": 0.5}, "div_factor"),
        (OneCycle, {"final_div_factor": 0}, "final_div_factor"),
        (ReduceOnPlateau, {"monitor": "accuracy"}, "monitor"),
        (ReduceOnPlateau, {"monitor": 3}, "monitor"),
        (ReduceOnPlateau, {"factor": 1}, "factor"),
        (ReduceOnPlateau, {"factor": 0}, "factor"),
        (ReduceOnPlateau, {"patience": 0}, "patience"),
        (ReduceOnPlateau, {"patience": 1.5}, "patience"),
        (ReduceOnPlateau, {"min_delta": -1}, "min_delta"),
        (ReduceOnPlateau, {"min_rate": 0.1}, "min_rate"),
        (ReduceOnPlateau, {"min_rate": -1}, "min_rate"),
    ],
)
def test_wrong_arguments_of_schedules_are_named(
    kind: Any, arguments: dict[str, Any], name: str
) -> None:
    with pytest.raises((TypeError, ValueError), match=rf"^{name}\b.*got"):
        kind(**{"learning_rate": 0.1, **arguments})


def test_unknown_keywords_are_explained() -> None:
    with pytest.raises(TypeError, match="here it is learning_rate"):
        CosineDecay(lr=0.1)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("rate", "message"),
    [
        (CosineDecay, r"learning_rate must be .* call it: CosineDecay\(\.\.\.\)"),
        (int, "learning_rate must be .* got <class 'int'>"),
        ("cosine", "learning_rate must be"),
        ([0.1, 0.01], "learning_rate must be"),
        (CosineDecay(0.1, warmup=5), "learning_rate has a warmup of 5 epochs"),
        (OneCycle(0.1, warmup=3), "learning_rate has a warmup of 3 epochs"),
        (ReduceOnPlateau(0.1), "learning_rate monitors val_loss, which needs validation_data"),
        (lambda step: NAN, r"learning_rate\(0\) must be .* got nan"),
        (lambda step: -1.0, r"learning_rate\(0\) must be .* got -1"),
        (lambda step: "0.1", r"learning_rate\(0\) must be .* got '0.1'"),
        (lambda step: None, r"learning_rate\(0\) must be .* got None"),
        (lambda step: 0.1 if step < 2 else INF, r"learning_rate\(2\) must be .* got inf"),
        (lambda step: 1e39, "learning_rate must be at most 3.4e.38, .* at step 0"),
        (ConstantRate(1e39), "learning_rate must be a normal number of float32"),
        (CosineDecay(1e-40), "learning_rate must be a normal number of float32"),
        (lambda: 0.1, "positional argument"),
    ],
)
def test_wrong_rates_are_refused_before_anything_changes(rate: Any, message: str) -> None:
    X, y = regression()
    net = small()
    net.fit(X, y, epochs=2, learning_rate=StepDecay(0.01, 0.5, 1))
    twin = net.copy()
    with pytest.raises((TypeError, ValueError), match=message):
        net.fit(X, y, epochs=3, learning_rate=rate)
    np.testing.assert_array_equal(net.parameters, twin.parameters)
    assert net.training == twin.training
    assert net._state is not None
    assert twin._state is not None
    assert net._state.schedule == twin._state.schedule
    net.fit(X, y, epochs=1)
    twin.fit(X, y, epochs=1)
    np.testing.assert_array_equal(net.parameters, twin.parameters)
    assert net.history["learning_rate"] == [0.01 * 0.5**2]


def test_a_function_that_fails_later_leaves_whole_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_rates, "_WINDOW", 5)
    X, y = regression()

    def rate(step: int) -> float:
        if step == 12:
            raise ZeroDivisionError
        return 0.01

    net, twin = small(), small()
    with pytest.raises(ZeroDivisionError):
        net.fit(X, y, epochs=3, batch_size=10, shuffle=False, learning_rate=rate)
    twin.fit(X, y, epochs=1, batch_size=10, shuffle=False, learning_rate=0.01)
    np.testing.assert_array_equal(net.parameters, twin.parameters)
    assert len(net.history["loss"]) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"first_step": 99},
        {"first_step": -1},
        {"steps_per_epoch": 0},
        {"epochs": 0},
        {"epochs": 2.0},
        {"plateau": {"rate": 0.1, "best": None, "wait": 0}},
        {"last_rate": 0.1},
        {"more": 1},
        None,
    ],
)
def test_damaged_states_in_files_are_refused(change: Any) -> None:
    X, y = regression()
    net = small()
    net.fit(X, y, epochs=3, learning_rate=CosineDecay(0.01, warmup=1))
    description, tensors = net.to_data()
    description["schedule"] = None if change is None else {**description["schedule"], **change}
    with pytest.raises(ValueError, match="not a network that this version can read"):
        fastnn.network._rebuild(description, tensors, Network)


@pytest.mark.parametrize(
    "change",
    [{"rate": -1.0}, {"rate": 1.0}, {"best": NAN}, {"wait": 5}, {"wait": -1}, {"rate": None}],
)
def test_damaged_plateaus_in_files_are_refused(change: dict[str, Any]) -> None:
    X, y = regression()
    net = small()
    net.fit(X, y, epochs=3, learning_rate=ReduceOnPlateau(0.01, "loss"))
    description, tensors = net.to_data()
    fastnn.network._rebuild(description, tensors, Network)
    description["schedule"]["plateau"] |= change
    with pytest.raises(ValueError, match="not a network that this version can read"):
        fastnn.network._rebuild(description, tensors, Network)


@pytest.mark.parametrize(
    "rate",
    [{"schedule": "cosine"}, {}, {"schedule": 3}, {"schedule": "constant_rate"}, "0.1", None],
)
def test_damaged_schedules_in_files_are_refused(rate: Any) -> None:
    X, y = regression()
    net = small()
    net.fit(X, y, epochs=3, learning_rate=ConstantRate(0.01))
    description, tensors = net.to_data()
    description["training"]["hyperparameters"]["learning_rate"] = rate
    with pytest.raises(ValueError, match="not a network that this version can read"):
        fastnn.network._rebuild(description, tensors, Network)

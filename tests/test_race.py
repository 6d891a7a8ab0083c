from dataclasses import replace

import numpy as np
import pytest

from fastnn import contestants as field
from fastnn import race, timing
from fastnn.contestants import Contestant, Task

ALL = field.contestants()
BASELINE = ALL[0]
BY_NAME = {contestant.name: contestant for contestant in ALL}


def losses(trainer, n_epochs):
    """Of each epoch: the last one of a training that long, from the start every time."""
    restart, train = trainer
    history = []
    for n in range(1, n_epochs + 1):
        restart()
        history.append(train(n))
    return history


@pytest.fixture(scope="module")
def digits() -> Task:
    return race.NETS["digits"].task()


def test_everybody_is_there_and_fastnn_on_one_thread_is_first():
    assert ALL[0].name == "fastnn, 1 thread"
    assert {"NumPy reference", "pure Python"} < set(BY_NAME)


@pytest.mark.parametrize("contestant", ALL, ids=lambda c: c.name)
@pytest.mark.parametrize("net", ["logistic", "flower", "digits"])
def test_contestants_train_alike_when_the_last_batch_is_shorter(net, contestant):
    task = race.NETS[net].task()
    some = np.random.default_rng(0).choice(len(task.X), 100, replace=False)
    task = replace(task, X=task.X[some], y=task.y[some], batch_size=32)
    expected = losses(BY_NAME["pure Python"].trainer(task), 3)
    # Twelve steps of sums of at most 64 products, see race._compare_losses.
    tolerance = 3 * 2 * 12 * 64 * 2.0**-24
    np.testing.assert_allclose(losses(contestant.trainer(task), 3), expected, rtol=tolerance)


@pytest.mark.parametrize("contestant", ALL, ids=lambda c: c.name)
def test_training_begins_at_the_start_weights_every_time(digits, contestant):
    trainer = contestant.trainer(digits.first(2))
    first = losses(trainer, 2)
    assert losses(trainer, 2) == pytest.approx(first, rel=1e-6)
    assert first[1] != pytest.approx(first[0], rel=1e-6)


def test_flops_of_an_epoch_leave_out_the_gradient_of_the_inputs(digits):
    # 64-32-10: 2368 weights, 2048 of them in the first layer.
    assert digits.flops == 1797 * (2 * 2368 + 2 * 2368 + 2 * (2368 - 2048))


def test_first_batches_of_a_task(digits):
    assert digits.n_batches == 57  # of 32; the last has 5
    part = digits.first(2)
    assert part.n_batches == 2
    np.testing.assert_array_equal(part.X, digits.X[:64])
    np.testing.assert_array_equal(part.y, digits.y[:64])


@pytest.mark.parametrize("net", ["logistic", "flower", "digits"])
def test_race_compares_and_times_everybody(net):
    result = race.run(net, ALL, seconds=0.2, peak=100.0, n_rounds=2)
    assert [r.contestant for r in result.results] == [c.name for c in ALL]
    assert 0 < result.largest_difference <= result.tolerance < 1e-3
    assert result.results[0].ratio == 1
    flops = race.NETS[net].task().flops
    for r in result.results:
        assert 1 <= len(r.rounds) <= 2
        assert min(r.rounds) <= r.seconds <= max(r.rounds)
        assert r.ratio == pytest.approx(r.seconds / result.results[0].seconds)
        assert r.gflops == pytest.approx(flops / r.seconds / 1e9)
        assert r.share_of_peak == pytest.approx(r.gflops / 100)


def lazy_trainer(task):
    """Takes no step at all."""
    return BASELINE.trainer(replace(task, learning_rate=1e-30))


def hasty_trainer(task):
    """Takes steps that are too long by a tenth."""
    return BASELINE.trainer(replace(task, learning_rate=1.1 * task.learning_rate))


def broken_trainer(task):
    return lambda: None, lambda n_epochs: float("nan")


@pytest.mark.parametrize("trainer", [lazy_trainer, hasty_trainer, broken_trainer])
@pytest.mark.parametrize("net", race.NETS)
def test_race_refuses_a_training_that_differs(net, trainer):
    with pytest.raises(ArithmeticError, match=r"the losses of cheat and fastnn, 1 thread differ"):
        race.run(net, [BASELINE, Contestant("cheat", trainer)], seconds=0.1, peak=100.0)


@pytest.fixture
def pretender(monkeypatch):
    """Makes contestants who need a given time a batch, on a clock that only they move."""
    now = 0.0

    def measure(statement, number):
        begin = now
        statement()
        return now - begin

    def make(name, seconds_a_batch, **options):
        def trainer(task):
            def train(n_epochs):
                nonlocal now
                now += n_epochs * task.n_batches * seconds_a_batch
                return 1.0

            return lambda: None, train

        return Contestant(name, trainer, **options)

    monkeypatch.setattr(timing, "timeit", measure)
    make.clock = lambda: now
    return make


def test_who_is_timed_in_part_is_scaled_to_the_whole_epoch(pretender):
    pair = [pretender("fastnn", 1e-3), pretender("in part", 1e-1, in_part=True)]
    whole, part = race.run("digits", pair, seconds=2.0, peak=100.0, n_rounds=3).results
    assert whole.seconds == pytest.approx(57e-3)  # 57 mini-batches of 32, but the last has 5
    assert part.seconds == pytest.approx(1797 / 32 * 1e-1)
    assert pretender.clock() < 4


def test_who_is_slow_skips_rounds_rather_than_overrun_its_share(pretender):
    pair = [pretender("fastnn", 1e-5), pretender("slow", 3e-3)]
    fast, slow = race.run("digits", pair, seconds=0.2, peak=100.0, n_rounds=5).results
    assert len(fast.rounds) == 5
    assert len(slow.rounds) == 1


def test_fastnn_is_judged_by_its_median_and_everybody_else_by_their_best():
    rounds = (3.0, 1.0, 2.0)
    assert timing.Timing("fastnn, 1 thread", rounds).seconds == 2
    assert timing.Timing("other", rounds).seconds == 1


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("nothing", {}, "name must be one of logistic, flower, digits, mnist, got 'nothing'"),
        ("flower", {"seconds": 0}, "seconds must be a positive number, got 0"),
        ("flower", {"seconds": float("nan")}, "seconds must be a positive number, got nan"),
        ("flower", {"n_rounds": 0}, "n_rounds must be a positive integer, got 0"),
    ],
)
def test_race_refuses_bad_arguments(name, options, message):
    with pytest.raises(ValueError, match=message):
        race.run(name, ALL, **{"seconds": 1.0, "peak": 100.0, **options})


def test_table_shows_every_figure_and_says_who_is_fastest():
    slow = race.Result("fastnn, 1 thread", (2e-3, 2e-3, 2.2e-3), 1.0, 12.5, 0.125)
    fast = race.Result("somebody else", (1e-3,), 0.5, 25.0, 0.25)
    lines = race.table(race.Race("digits", "the net", 4, 1e-7, 1e-4, (slow, fast))).splitlines()
    assert lines[0] == "the net"
    assert "1e-07 at most over 4 steps (1e-04 is allowed)" in lines[1]
    assert lines[3].split() == ["fastnn,", "1", "thread", "2", "ms", "10%", "1.00", "12.5", "12.5%"]
    assert lines[4].split() == ["somebody", "else", "1", "ms", "0%", "0.50", "25", "25.0%"]
    assert lines[5].strip() == "fastest: somebody else"


def test_caption_names_the_peak_and_the_blas_threads():
    caption = "\n".join(race.caption(123.0))
    assert "123 GFLOP/s" in caption
    assert f"uses {race.numpy_blas_threads() or 'an unknown number of'} threads" in caption

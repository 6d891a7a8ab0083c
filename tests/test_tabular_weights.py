"""TabularModel: weights of rows, what its networks see, and how they were trained."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fastnn.tabular import RECIPE, TabularModel

QUICK = replace(RECIPE, hidden=(16,), samples=8_000, bins=8, ema=None, learning_rate=0.01)
X: npt.NDArray[Any] = np.random.default_rng(0).standard_normal((200, 2))
TRUE = X[:, 0] + 0.3 * X[:, 1]
NOISY = TRUE.copy()
NOISY[::4] = 20.0  # wrong ones
IS_RIGHT = (np.arange(200) % 4 > 0).astype(float)


def fitted(y: Any, **options: Any) -> TabularModel:
    return TabularModel(seed=0, task="regression", recipe=QUICK).fit(X, y, **options)


def test_rows_of_no_weight_are_not_learnt_from() -> None:
    model = fitted(NOISY, sample_weight=IS_RIGHT)
    assert model.evaluate(X[IS_RIGHT > 0], TRUE[IS_RIGHT > 0])["r2"] > 0.9
    assert model.validation_rows is not None
    assert (IS_RIGHT[model.validation_rows] == 1).all()
    assert fitted(NOISY).evaluate(X, TRUE)["r2"] < 0.5


def test_weights_do_not_depend_on_their_scale() -> None:
    first, second = (fitted(NOISY, sample_weight=scale * IS_RIGHT) for scale in (1.0, 64.0))
    assert first.network.parameters.tobytes() == second.network.parameters.tobytes()


def test_rows_without_a_target_take_their_weights_with_them() -> None:
    y = np.r_[np.full(50, np.nan), NOISY]
    with pytest.warns(UserWarning, match="50 of 250 rows"):
        model = TabularModel(seed=0, recipe=QUICK).fit(
            np.r_[X[:50], X], y, sample_weight=np.r_[np.ones(50), IS_RIGHT]
        )
    alone = TabularModel(seed=0, recipe=QUICK).fit(X, NOISY, sample_weight=IS_RIGHT)
    np.testing.assert_array_equal(model.predict(X), alone.predict(X))


def test_weights_of_own_validation_data_choose_the_epoch() -> None:

    good, bad = (fitted(TRUE, validation_data=(X, NOISY, w)) for w in (IS_RIGHT, 1 - IS_RIGHT))
    assert min(good.histories[0]["val_loss"]) < 0.1 < min(bad.histories[0]["val_loss"])


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(3), r"sample_weight must be of shape \(200,\)"),
        (-np.ones(200), "sample_weight must be at least 0"),
        (np.zeros(200), "sample_weight must be above 0 for some sample"),
        (np.full(200, np.nan), "sample_weight"),
    ],
)
def test_bad_weights_are_refused(weights: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fitted(NOISY, sample_weight=weights)
    with pytest.raises(ValueError, match="at least two rows"):
        fitted(NOISY, sample_weight=np.eye(200)[0])
    with pytest.raises(ValueError, match=r"validation_data\[2\]"):
        fitted(NOISY, validation_data=(X, NOISY, weights))


def test_what_the_networks_see_gives_what_they_predict() -> None:
    model = fitted(TRUE)
    inputs = model.transform(X)
    assert inputs.shape == (200, model.encoding.width)
    assert inputs.dtype == np.float32
    output = model.network.predict(inputs).astype(np.float64)
    expected = output * model.target.scale + model.target.center
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-12)


def test_each_member_has_its_history() -> None:
    model = TabularModel(2, seed=0, recipe=QUICK).fit(X, TRUE)
    assert len(model.histories) == 2
    assert {"loss", "val_loss"} <= set(model.histories[0])
    assert model.histories[0]["loss"] != model.histories[1]["loss"]
    assert TabularModel(seed=0).histories == ()

"""``preset="tabular"``: an estimator that is trained as a `TabularModel` is."""

from __future__ import annotations

from dataclasses import replace
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.base import is_classifier
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d
from sklearn.utils.validation import validate_data

from fastnn.layers import Dense
from fastnn.sklearn import _input
from fastnn.tabular import RECIPE, Recipe, TabularModel
from fastnn.tabular.reading import read_table

if TYPE_CHECKING:
    from fastnn.sklearn._base import BaseMLP, Samples

Array = npt.NDArray[Any]
Table = dict[str, Array]

# What the preset goes by, and early_stopping, which it does anyway.
_OBEYED = {
    "preset", "random_state", "max_iter", "verbose", "n_jobs", "class_weight", "early_stopping"
}  # fmt: skip


def recipe_of(estimator: BaseMLP) -> Recipe:
    """The recipe that an estimator asks for.

    Raises
    ------
    ValueError
        If a parameter that the recipe decides is not at its default.
    """
    defaults = signature(type(estimator)).parameters
    changed = [
        name
        for name, value in estimator.get_params(deep=False).items()
        if name not in _OBEYED and repr(value) != repr(defaults[name].default)
    ]
    if changed:
        raise ValueError(
            f"the preset decides {', '.join(changed)}: leave the default, or "
            "give a recipe of your own, preset=dataclasses.replace(fastnn.tabular.RECIPE, ...)"
        )
    recipe = estimator.preset if isinstance(estimator.preset, Recipe) else RECIPE
    return replace(recipe, most_epochs=min(recipe.most_epochs, estimator.max_iter))


def checked_pair(estimator: BaseMLP, X: Any, y: Any, reset: bool) -> tuple[Table, Array]:
    """The columns of X, and y in one dimension.

    Parameters
    ----------
    estimator : BaseMLP
    X, y
        As the user gave them.
    reset : bool
        Whether this is the first data that the estimator sees.

    Raises
    ------
    TypeError, ValueError
    """
    if y is None:
        validate_data(estimator, X, y, reset=reset)  # which says it in scikit-learn's words
    _input.refuse_masked(y, "y")
    table = checked_table(estimator, X, reset)
    y = column_or_1d(y, warn=True)
    check_consistent_length(next(iter(table.values())), y)
    if not is_classifier(estimator):
        y = y.astype(np.float64, copy=False)
    assert_all_finite(y, input_name="y")
    return table, y


def checked_table(estimator: BaseMLP, X: Any, reset: bool) -> Table:
    """The columns of X by name: a frame's as they are, an array's as numbers, of which NaN may be.

    Raises
    ------
    TypeError, ValueError
    """
    if hasattr(X, "columns"):
        validate_data(estimator, X, skip_check_array=True, reset=reset)
        columns = list(read_table(X, "X").values())
        if not columns:
            raise ValueError("X must have columns, it has none")
    else:
        _input.refuse_masked(X, "X")
        numbers = _input.SAMPLES | {"ensure_all_finite": "allow-nan"}
        numbers["ensure_min_samples"] = 2 if reset else 1  # to train on, and to validate with
        X = validate_data(estimator, X, reset=reset, **numbers)
        columns = list((X.toarray() if sparse.issparse(X) else X).T)
    names = getattr(estimator, "feature_names_in_", [f"x{i}" for i in range(len(columns))])
    return dict(zip(map(str, names), columns, strict=True))


def train(
    estimator: BaseMLP, recipe: Recipe, samples: Samples, held_out: Samples | None, seed: int
) -> None:
    """Trains the model and notes all attributes.

    Parameters
    ----------
    estimator : BaseMLP
    recipe : Recipe
    samples : Samples
        Their X is a table.
    held_out : Samples or None
        The user's own.
    seed : int

    Raises
    ------
    ValueError
        If there is nothing to learn.
    """
    classes = getattr(estimator, "classes_", np.array([]))
    if len(classes) == 1:
        raise ValueError(
            f"the preset needs y of at least two classes, got one class: {classes.tolist()}"
        )
    model = TabularModel(
        seed=seed,
        threads=estimator._threads,
        task="classification" if is_classifier(estimator) else "regression",
        recipe=recipe,
    )
    model.fit(
        samples.X,
        samples.y,
        sample_weight=samples.weights,
        validation_data=held_out and (held_out.X, held_out.y, held_out.weights),
        progress="epochs" if estimator.verbose else False,
    )
    if not np.array_equal(classes, np.array(model.target.classes, classes.dtype)):
        raise ValueError(
            "the preset needs labels that are not empty and differ in more than "
            f"white space, got {classes.tolist()}"
        )
    history, net = model.histories[0], model.network
    estimator.tabular_, estimator.network_ = model, net
    estimator.n_outputs_, estimator.n_layers_ = (
        net.n_outputs,
        1 + sum(isinstance(layer, Dense) for layer in net.layers),
    )
    estimator.out_activation_ = "softmax" if model.target.classes else "identity"
    estimator.n_iter_ = history.n_epochs
    n_trained = len(samples.y) if samples.weights is None else np.count_nonzero(samples.weights)
    n_aside = 0 if model.validation_rows is None else len(model.validation_rows)
    estimator.t_ = int(n_trained - n_aside) * history.n_epochs
    estimator.loss_curve_, estimator.loss_ = list(history["loss"]), history["loss"][-1]
    estimator.best_loss_ = None
    estimator.validation_scores_ = [-loss for loss in history["val_loss"]]
    estimator.best_validation_score_ = max(estimator.validation_scores_)


def output(estimator: BaseMLP, X: Any) -> Array:
    """Probabilities of the classes, or a column of numbers."""
    model = estimator.tabular_
    table = checked_table(estimator, X, reset=False)
    return model.predict_proba(table) if model.target.classes else model.predict(table)[:, None]


def inputs(estimator: BaseMLP, X: Any) -> Array:
    """What the network sees of X."""
    return estimator.tabular_.transform(checked_table(estimator, X, reset=False))

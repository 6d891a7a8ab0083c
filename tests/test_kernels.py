"""Every kernel of every instruction set against the NumPy reference in float64.

Bounds are multiples of eps = finfo(dtype).eps, twice the largest rounding error of one operation.
The functions of libm are taken to be right within 2 eps. Below finfo.tiny precision runs out: a
result may be off by that much there.
"""

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fastnn import activations, losses, optimizers
from fastnn._core import gemm, kernels, single
from fastnn.reference import loops
from fastnn.reference import vectorized as reference

# At the end, so that an installed fastnn is found before the one beside bench.
sys.path.append(str(Path(__file__).parents[1]))

from bench import accuracy

Array = npt.NDArray[Any]

SIZES = [0, 1, 7, 8, 9, 15, 16, 17, 33, 46, 1000]
SHAPES = [(0, 3), (3, 0), *((1, n) for n in SIZES), (5, 7), (16, 17), (33, 46), (1000, 3), (9, 1)]
GUARD = 12345.0

isas = pytest.mark.parametrize(
    "isa",
    [
        pytest.param(
            isa,
            marks=pytest.mark.skipif(
                isa not in kernels.supported_isas(), reason=f"this CPU does not run {isa}"
            ),
        )
        for isa in kernels.built_isas()
    ],
)
dtypes = pytest.mark.parametrize("dtype", [np.dtype(np.float32), np.dtype(np.float64)], ids=str)
elementwise = pytest.mark.parametrize("name", reference.ACTIVATIONS)


def special_values(dtype: np.dtype[Any]) -> Array:
    """Zeros, denormals, tiny, ordinary and huge numbers of both signs."""
    info = np.finfo(dtype)
    magnitudes = [0, info.smallest_subnormal, info.tiny, info.eps, 0.5, 1, 3, 10, 17, 20, 40]
    magnitudes += [88, 100, 700, 750, 1e4, info.max / 4]
    positive = np.array(magnitudes, dtype)
    return np.concatenate([positive, -positive])


def numbers(shape: tuple[int, ...], dtype: np.dtype[Any], seed: int = 0) -> Array:
    """Normal random numbers times 4, every third one a special value."""
    rng = np.random.default_rng(seed)
    values = (4 * rng.standard_normal(shape)).astype(dtype)
    flat = values.reshape(-1)
    chosen = flat[::3]
    chosen[:] = np.resize(rng.permutation(special_values(dtype)), chosen.size)
    return values


def assert_within(actual: Array, expected: Array, bound: Array | float) -> None:
    """`actual` is `expected` (float64) to `bound`, and infinite where it is beyond the range."""
    with np.errstate(over="ignore"):
        rounded = expected.astype(actual.dtype)
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(actual[~finite], rounded[~finite])
    error = np.abs(actual[finite].astype(np.float64) - expected[finite])
    limit = np.broadcast_to(bound, expected.shape)[finite] + np.finfo(actual.dtype).tiny
    worst = error - limit
    assert np.all(worst <= 0), (
        f"{actual[finite][worst.argmax()]!r} instead of {expected[finite][worst.argmax()]!r}"
    )


# ---- activations -----------------------------------------------------------------------------


def forward_bound(name: str, z: Array, a: Array) -> Array:
    """Bound of the error of an activation, in eps: a few roundings, relative to the value.

    silu: the reference's sigmoid is 0 instead of a number below tiny where its exp overflows.

    gelu: the argument of erfc(x), x = -z / sqrt(2), is off by eps x in the reference. That changes
    erfc by the factor 2 x^2 = z^2 for x > 0, until at z = -40 it is 0.
    """
    factor = 6 + 2 * np.clip(z, -40, 0) ** 2 if name == "gelu" else 6
    underflow = np.minimum(np.abs(z), 1000) * np.finfo(np.float64).tiny if name == "silu" else 0
    return factor * np.abs(a) + underflow / np.finfo(np.float64).eps


def derivative_bound(name: str, z: Array, a: Array, derivative: Array) -> Array:
    """Bound of the error of a derivative, in eps: relative, and where terms cancel, to the terms.

    mish: 1 - t^2 is off by eps, times z sigmoid(z); from z = 20 on t is exactly 1.
    """
    size = np.abs(derivative)
    if name == "tanh":
        size = np.ones_like(z)  # 1 - a^2
    elif name == "selu":
        size = size + 2  # a + scale alpha
    elif name == "silu":
        size = size + np.abs(a)
    elif name == "gelu":
        density = np.exp(-0.5 * z * z)
        size = (1 + np.minimum(z * z, 1600)) * (reference.normal_cdf(z) + np.abs(z) * density)
    elif name == "mish":
        size = size + 1 + np.minimum(np.abs(z), 20)
    return 8 * size


@isas
@dtypes
@elementwise
def test_activation_is_the_reference(name: str, dtype: np.dtype[Any], isa: str) -> None:
    function, _ = reference.ACTIVATIONS[name]
    for rows, n_units in SHAPES:
        logits = numbers((rows, n_units), dtype, 1)
        a = single.activation_forward(name, logits, isa)
        with np.errstate(all="ignore"):
            z = logits.astype(np.float64)
            expected = function(z)
            bound = forward_bound(name, z, expected) * np.finfo(dtype).eps
        assert_within(a, expected, bound)


@isas
@dtypes
@elementwise
def test_activation_derivative_is_the_reference(name: str, dtype: np.dtype[Any], isa: str) -> None:
    function, derivative = reference.ACTIVATIONS[name]
    for n in SIZES:
        logits = numbers((n,), dtype, 3)
        d = np.random.default_rng(4).standard_normal(n).astype(dtype)
        with np.errstate(all="ignore"):
            z = logits.astype(np.float64)
            a = function(z).astype(dtype)
            expected = derivative(z, a.astype(np.float64))
            bound = derivative_bound(name, z, a.astype(np.float64), expected)
        keep = np.isfinite(a)  # selu of the largest logits is not
        d, a, logits = d[keep], a[keep], logits[keep]
        result = single.activation_backward(name, d, a, logits, isa)
        bound = bound[keep] * np.abs(d) * np.finfo(dtype).eps
        assert_within(result, expected[keep] * d, bound)


@isas
@dtypes
@elementwise
def test_activation_keeps_nan(name: str, dtype: np.dtype[Any], isa: str) -> None:
    for n in (1, 7, 8, 9, 33):
        for at in {0, n // 2, n - 1}:
            product = np.ones((1, n), dtype)
            product[0, at] = np.nan
            a = single.activation_forward(name, product, isa)
            np.testing.assert_array_equal(np.isnan(a), np.isnan(product))
            d = single.activation_backward(name, product[0], a[0] * 0 + 1, product[0] * 0 + 1, isa)
            assert np.isnan(d[at])


@isas
@dtypes
@elementwise
def test_activation_of_infinity_is_the_reference(name: str, dtype: np.dtype[Any], isa: str) -> None:
    z = np.array([[np.inf, -np.inf] * 9], dtype)
    with np.errstate(all="ignore"):
        expected = reference.ACTIVATIONS[name][0](z)
    expected[np.isnan(expected)] = 0  # -inf times 0: the kernels give the limit
    a = single.activation_forward(name, z, isa)
    np.testing.assert_allclose(a, expected, rtol=4 * np.finfo(dtype).eps)


@isas
@dtypes
@elementwise
def test_derivative_at_infinity_is_the_limit(name: str, dtype: np.dtype[Any], isa: str) -> None:
    z = np.array([np.inf, -np.inf] * 9, dtype)
    a = single.activation_forward(name, z.reshape(1, -1), isa)[0]
    far = np.array([1000.0, -1000.0] * 9)
    function, derivative = reference.ACTIVATIONS[name]
    d = single.activation_backward(name, np.ones_like(z), a, z, isa)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(d, derivative(far, function(far)).astype(dtype))


@isas
@dtypes
def test_softmax_is_the_reference(dtype: np.dtype[Any], isa: str) -> None:
    for rows, n_units in SHAPES:
        logits = numbers((rows, n_units), dtype, 5)
        a = single.activation_forward("softmax", logits, isa)
        if a.size == 0:
            continue
        z = logits.astype(np.float64)
        with np.errstate(all="ignore"):
            expected = reference.softmax(z)
        # The sum has n_units terms; rounding z - max changes exp by the factor eps (max - z).
        distance = np.minimum(z.max(axis=1, keepdims=True) - z, 800)
        assert_within(a, expected, (n_units + 6 + distance) * np.finfo(dtype).eps * expected)


@isas
@dtypes
def test_softmax_of_a_row_with_nan_is_nan(dtype: np.dtype[Any], isa: str) -> None:
    for at in range(9):
        product = np.zeros((2, 9), dtype)
        product[0, at] = np.nan
        a = single.activation_forward("softmax", product, isa)
        assert np.isnan(a[0]).all()
        assert np.isfinite(a[1]).all()


SOFTMAX_WIDTHS = [1, 2, 7, 8, 32, 33, 100]


@isas
@dtypes
@pytest.mark.parametrize("n_units", SOFTMAX_WIDTHS)
def test_softmax_of_infinity_is_the_limit(n_units: int, dtype: np.dtype[Any], isa: str) -> None:
    rng = np.random.default_rng(6)
    z = (4 * rng.standard_normal((40, n_units))).astype(dtype)
    finite = single.activation_forward("softmax", z, isa)
    at = rng.integers(0, n_units, 40)
    alone = np.eye(n_units, dtype=dtype)[at]
    z[::3][alone[::3] == 1] = np.inf  # the rows between show that neighbours do not matter
    z[0, alone[0] == 0] = -np.inf
    if n_units > 1:
        z[3, (at[3] + 1) % n_units] = np.inf  # two of them
        z[6, (at[6] + 1) % n_units] = np.nan
    z[9] = -np.inf
    undefined = [3, 6, 9] if n_units > 1 else [9]
    for a in (
        single.activation_forward("softmax", z, isa),
        single.activation_forward("softmax", z, isa, in_place=True),
        softmax_of_the_references(z),
    ):
        lone = [row for row in range(0, 40, 3) if row not in undefined]
        np.testing.assert_array_equal(a[lone], alone[lone])
        assert np.isnan(a[undefined]).all()
        assert np.isfinite(np.delete(a, undefined, axis=0)).all()
    a = single.activation_forward("softmax", z, isa)
    between = [row for row in range(40) if row % 3 != 0]
    np.testing.assert_array_equal(a[between], finite[between])


@isas
@dtypes
@pytest.mark.parametrize("n_units", SOFTMAX_WIDTHS[1:])
def test_softmax_beside_minus_infinity(n_units: int, dtype: np.dtype[Any], isa: str) -> None:
    """0 there; the others share 1 as if it were not there."""
    z = np.random.default_rng(6).standard_normal((9, n_units)).astype(dtype)
    z[:, 1::2] = -np.inf
    a = single.activation_forward("softmax", z, isa)
    assert (a[:, 1::2] == 0).all()
    expected = reference.softmax(z[:, ::2].astype(np.float64))
    np.testing.assert_allclose(a[:, ::2], expected, rtol=(n_units + 10) * np.finfo(dtype).eps)


def softmax_of_the_references(z: Array) -> Array:
    """Of the vectorised one, which the one in loops agrees with."""
    with np.errstate(invalid="ignore"):
        a = reference.softmax(z.astype(np.float64))
    np.testing.assert_allclose(loops.softmax(z.tolist()), a, rtol=1e-12)
    return a


# ---- losses ----------------------------------------------------------------------------------

OUTPUT_LOSSES = [name for name in reference.LOSSES if name not in reference.FROM_LOGITS]
all_losses = pytest.mark.parametrize("name", reference.LOSSES)


def loss_parameters(name: str, n_units: int) -> tuple[float, ...]:
    """Far from the defaults."""
    if name == "quantile":
        return tuple(np.linspace(0, 1, n_units + 2)[1:-1].tolist())
    return {"huber": (0.7,), "binary_focal": (1.5,), "categorical_focal": (2.5,)}.get(name, ())


def kernel(name: str, out: Array, targets: Array, scale: float, isa: str, **more: Any) -> Any:
    """The kernel of a loss, with those parameters, and one target a sample by level."""
    if name == "quantile" and targets.ndim == 2:
        targets = targets[:, :1].copy()
    parameters = loss_parameters(name, out.shape[1])
    return single.loss_and_derivative(name, out, targets, scale, isa, parameters=parameters, **more)


@isas
@dtypes
@pytest.mark.parametrize("name", OUTPUT_LOSSES)
def test_loss_of_outputs_is_the_reference(name: str, dtype: np.dtype[Any], isa: str) -> None:
    loss, derivative = reference.LOSSES[name]
    eps = np.finfo(dtype).eps
    factor = 16 if name == "log_cosh" else 6  # sinh, its square and a logarithm
    rng = np.random.default_rng(7)
    for rows, n_units in SHAPES:
        out = (2 * rng.standard_normal((rows, n_units))).astype(dtype)
        y = rng.standard_normal((rows, n_units)).astype(dtype)
        y[:, ::3] = out[:, ::3]  # residuals of 0
        if y.size == 0:
            continue
        total, d = kernel(name, out, y, 1 / rows, isa)
        A, Y = out.astype(np.float64), y.astype(np.float64)
        parameters = loss_parameters(name, n_units)
        if name == "quantile":
            Y = Y[:, :1]
        if parameters:
            parameters = tuple(np.array(parameters, dtype if name == "huber" else None).tolist())
        # All terms are positive, each with a few roundings; sums are kept in double. The reference
        # of log_cosh has an absolute error of a few 1e-16.
        absolute = rows * 1e-15 if name == "log_cosh" else 0
        expected_total = rows * loss(A, Y, *parameters)
        assert abs(total - expected_total) <= factor * eps * expected_total + absolute
        expected = derivative(A, Y, *parameters)
        assert_within(d, expected, 6 * eps * np.abs(expected))
        _, d = kernel(name, out, y, 3 / rows, isa)
        assert_within(d, 3 * expected, 18 * eps * np.abs(expected))


@isas
@dtypes
def test_log_cosh_of_small_residuals_keeps_its_precision(dtype: np.dtype[Any], isa: str) -> None:
    """r^2 / 2 - r^4 / 12: the sum of two terms is exact far beyond the precision here."""
    for r in (1e-12, 1e-6, 1e-3):
        total, d = single.loss_and_derivative(
            "log_cosh", np.full((1, 5), r, dtype), np.zeros((1, 5), dtype), 5.0, isa
        )
        r = float(dtype.type(r))
        assert total == pytest.approx(r**2 / 2 - r**4 / 12, rel=16 * float(np.finfo(dtype).eps))
        np.testing.assert_allclose(d, np.tanh(r), rtol=4 * np.finfo(dtype).eps)


@isas
@dtypes
def test_poisson_is_the_reference(dtype: np.dtype[Any], isa: str) -> None:
    loss, derivative = reference.LOSSES["poisson"]
    eps = np.finfo(dtype).eps
    for rows, n_units in SHAPES:
        if rows * n_units == 0:
            continue
        z = np.clip(numbers((rows, n_units), dtype, 8), -80, 80)
        y = np.random.default_rng(9).poisson(3, z.shape).astype(dtype)
        total, d = single.loss_and_derivative("poisson", z, y, 1 / rows, isa)
        Z, Y = z.astype(np.float64), y.astype(np.float64)
        A = np.exp(Z)
        bound = 4 * eps * np.sum(A + Y * np.abs(Z)) / n_units
        assert abs(total - rows * loss(Z, Y)) <= bound
        assert_within(d, derivative(A, Y), 6 * eps * (A + Y) / z.size)


def focal_terms(gamma: float, log_p: Any, log_q: Any) -> tuple[Any, Any]:
    """-q^gamma log(p), and its derivative by p times p: -q^gamma (1 - gamma p log(p) / q)."""
    p, q, power = np.exp(log_p), np.exp(log_q), np.exp(gamma * log_q)
    return -power * log_p, -power * (1 - gamma * p * log_p / q)


@isas
@dtypes
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
def test_binary_focal_is_its_formula(gamma: float, dtype: np.dtype[Any], isa: str) -> None:
    """In extended precision, as 1 - p loses all digits where p is near 1."""
    eps = np.finfo(dtype).eps
    for rows, n_units in SHAPES:
        if rows * n_units == 0:
            continue
        z = np.clip(numbers((rows, n_units), dtype, 8), -30, 30)
        y = np.random.default_rng(9).integers(0, 5, z.shape).astype(dtype) / 4
        total, d = single.loss_and_derivative(
            "binary_focal", z, y, 1 / rows, isa, parameters=[gamma]
        )
        Z, Y = z.astype(np.longdouble), y.astype(np.longdouble)
        log_p, log_q = -np.logaddexp(0, -Z), -np.logaddexp(0, Z)
        p, q = np.exp(log_p), np.exp(log_q)
        of_1, h_1 = focal_terms(gamma, log_p, log_q)
        of_0, h_0 = focal_terms(gamma, log_q, log_p)
        expected = np.sum(Y * of_1 + (1 - Y) * of_0) / n_units
        # A power turns the rounding of its exponent, gamma times a logarithm, into a relative one.
        factor = (10 + gamma * (np.abs(Z) + 1)) * eps
        assert abs(total - expected) <= np.sum(factor * (Y * of_1 + (1 - Y) * of_0)) / n_units
        expected_d = (Y * h_1 * q - (1 - Y) * h_0 * p) / z.size
        bound = factor * (Y * np.abs(h_1) * q + (1 - Y) * np.abs(h_0) * p) / z.size
        assert_within(d, expected_d.astype(np.float64), bound.astype(np.float64))


@isas
@dtypes
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("one_hot", [False, True])
def test_categorical_focal_is_its_formula(
    one_hot: bool, gamma: float, dtype: np.dtype[Any], isa: str
) -> None:
    eps = np.finfo(dtype).eps
    rng = np.random.default_rng(10)
    for rows, n_units in [shape for shape in SHAPES if shape[0] > 0 and shape[1] > 1]:
        z = np.clip(numbers((rows, n_units), dtype, 11), -30, 30)
        y = np.eye(n_units, dtype=dtype)[rng.integers(0, n_units, rows)]
        if not one_hot:
            y = rng.dirichlet(np.ones(n_units), rows).astype(dtype)
        total, d = single.loss_and_derivative(
            "categorical_focal", z, y, 1 / rows, isa, parameters=[gamma]
        )
        Z, Y = z.astype(np.longdouble), y.astype(np.longdouble)
        below = Z - Z.max(axis=1, keepdims=True)
        e = np.exp(below)
        others = np.stack([np.delete(e, j, axis=1).sum(axis=1) for j in range(n_units)], axis=1)
        log_sum = np.log1p(others[np.arange(rows), Z.argmax(axis=1)])[:, np.newaxis]
        losses_, h = focal_terms(gamma, below - log_sum, np.log(others) - log_sum)
        terms = Y * losses_
        factor = (n_units + 20 + gamma * (np.abs(below).max() + 30)) * eps
        assert abs(total - terms.sum()) <= factor * terms.sum()
        p, h = np.exp(below - log_sum), Y * h
        expected = (h - p * h.sum(axis=1, keepdims=True)) / rows
        size = (np.abs(h) + p * np.abs(h).sum(axis=1, keepdims=True)) / rows
        assert_within(d, expected.astype(np.float64), (factor * size).astype(np.float64))


@isas
@dtypes
@all_losses
def test_weights_weigh_rows(name: str, dtype: np.dtype[Any], isa: str) -> None:
    """Loss and derivative of each row as if it were alone, times its weight."""
    eps = float(np.finfo(dtype).eps)
    rng = np.random.default_rng(25)
    for rows, n_units in SHAPES:
        if rows * n_units == 0 or rows > 100:
            continue
        z = (2 * rng.standard_normal((rows, n_units))).astype(dtype)
        y = rng.dirichlet(np.ones(n_units), rows).astype(dtype)
        weights = (3 * rng.random(rows)).astype(dtype)
        weights[::4] = 0
        labels = rng.integers(0, n_units, rows, dtype=np.int32)
        for targets in [y, labels] if name == "categorical_cross_entropy" else [y]:
            total, d = kernel(name, z, targets, 0.3, isa, weights=weights)
            alone = [
                kernel(name, z[i : i + 1].copy(), targets[i : i + 1].copy(), 0.3, isa)
                for i in range(rows)
            ]
            expected = sum(float(w) * loss for w, (loss, _) in zip(weights, alone, strict=True))
            # A cross-entropy has terms of the size of the logits, which nearly cancel.
            assert total == pytest.approx(expected, rel=20 * eps, abs=20 * eps * rows)
            for i, (_, row) in enumerate(alone):
                np.testing.assert_allclose(d[i], weights[i] * row[0], rtol=6 * eps, atol=eps / 4)


@isas
@dtypes
def test_labels_become_rows(dtype: np.dtype[Any], isa: str) -> None:
    for rows, n_units in SHAPES:
        if n_units == 0:
            continue
        labels = np.random.default_rng(26).integers(0, n_units, rows + 5, dtype=np.int32)
        order = np.random.default_rng(27).permutation(rows + 5)[:rows]
        for chosen in (None, order):
            result = single.label_rows(labels, chosen, rows, n_units, 0.9, 0.025, dtype, isa)
            expected = np.eye(n_units)[labels[:rows] if chosen is None else labels[chosen]]
            expected = np.where(expected == 1, 0.9, 0.025).astype(dtype)
            np.testing.assert_array_equal(result, expected)
        np.testing.assert_array_equal(
            single.smooth(expected, 0.5, 0.25, isa),
            (0.5 * expected.astype(float) + 0.25).astype(dtype),
        )


@isas
@dtypes
def test_binary_cross_entropy_is_the_reference(dtype: np.dtype[Any], isa: str) -> None:
    loss, derivative = reference.LOSSES["binary_cross_entropy"]
    eps = np.finfo(dtype).eps
    for rows, n_units in SHAPES:
        if rows * n_units == 0:
            continue
        z = np.clip(numbers((rows, n_units), dtype, 8), -1e4, 1e4)
        y = np.random.default_rng(9).integers(0, 5, z.shape).astype(dtype) / 4
        total, d = single.loss_and_derivative("binary_cross_entropy", z, y, 1 / rows, isa)
        Z, Y = z.astype(np.float64), y.astype(np.float64)
        with np.errstate(under="ignore"):
            expected = rows * loss(Z, Y)
            A = reference.sigmoid(Z)
        # max(z, 0) - z y + log(1 + exp(-|z|)): 4 roundings relative to the terms
        bound = 4 * eps * np.sum(2 * np.abs(Z) + 1) / n_units
        assert abs(total - expected) <= bound
        expected_d = derivative(A, Y)
        assert_within(d, expected_d, 6 * eps * (A + Y) / z.size)


@isas
@dtypes
@pytest.mark.parametrize("with_labels", [False, True])
def test_categorical_cross_entropy_is_the_reference(
    with_labels: bool, dtype: np.dtype[Any], isa: str
) -> None:
    loss, derivative = reference.LOSSES["categorical_cross_entropy"]
    eps = np.finfo(dtype).eps
    rng = np.random.default_rng(10)
    for rows, n_units in SHAPES:
        if rows * n_units == 0:
            continue
        z = np.clip(numbers((rows, n_units), dtype, 11), -1e4, 1e4)
        labels = rng.integers(0, n_units, rows, dtype=np.int32)
        Y = np.eye(n_units)[labels]
        if not with_labels:
            Y = rng.dirichlet(np.ones(n_units), rows).astype(dtype).astype(np.float64)
        targets = labels if with_labels else Y.astype(dtype)
        total, d = single.loss_and_derivative(
            "categorical_cross_entropy", z, targets, 1 / rows, isa
        )
        Z = z.astype(np.float64)
        with np.errstate(under="ignore"):
            expected = rows * loss(Z, Y)
            A = reference.softmax(Z)
        # A sum of n_units terms; the rows of Y sum to 1 with n_units roundings.
        size = 1 + np.abs(Z).max(axis=1)
        assert abs(total - expected) <= 4 * eps * (n_units + 4) * size.sum()
        expected_d = derivative(A, Y)
        distance = np.minimum(Z.max(axis=1, keepdims=True) - Z, 800)
        bound = eps * ((2 * n_units + 8 + distance) * A + 2 * Y) / rows
        assert_within(d, expected_d, bound)


@isas
@dtypes
@all_losses
def test_loss_of_nan_is_nan(name: str, dtype: np.dtype[Any], isa: str) -> None:
    for at in range(11):
        out = np.zeros((1, 11), dtype)
        out[0, at] = np.nan
        total, d = kernel(name, out, np.full_like(out, 1 / 11), 1.0, isa)
        assert np.isnan(total)
        assert np.isnan(d[0, at])


@isas
@dtypes
@all_losses
@pytest.mark.parametrize("n_units", [7, 33])
def test_loss_of_infinity_is_not_finite(
    n_units: int, name: str, dtype: np.dtype[Any], isa: str
) -> None:
    for value, at in [(np.inf, 0), (-np.inf, 0), (np.inf, n_units - 1)]:
        out = np.zeros((3, n_units), dtype)
        out[1, at] = value
        for row in (np.full(n_units, 1 / n_units), np.eye(n_units)[0], np.eye(n_units)[1]):
            targets = np.tile(row, (3, 1)).astype(dtype)
            total, _ = kernel(name, out, targets, 1.0, isa)
            assert not np.isfinite(total)


@isas
@dtypes
@pytest.mark.parametrize("n_units", [7, 33])
def test_loss_of_infinity_with_labels(n_units: int, dtype: np.dtype[Any], isa: str) -> None:
    labels = np.full(3, 2, np.int32)
    for value, at, expected in [
        (np.inf, 0, np.inf),
        (np.inf, 2, np.nan),
        (-np.inf, 0, 2 * np.log(n_units) + np.log(n_units - 1)),
        (-np.inf, 2, np.inf),
    ]:
        out = np.zeros((3, n_units), dtype)
        out[1, at] = value
        total, _ = single.loss_and_derivative("categorical_cross_entropy", out, labels, 1.0, isa)
        np.testing.assert_allclose(total, expected, rtol=10 * np.finfo(dtype).eps)


@isas
@dtypes
def test_one_hot_rows_are_labels(dtype: np.dtype[Any], isa: str) -> None:
    """The same derivative to the bit; and soft rows, which do not sum to 1 exactly, give the sum of
    what their entries weigh."""
    eps = np.finfo(dtype).eps
    rng = np.random.default_rng(22)
    for rows, n_units in [(64, 10), (61, 2), (3, 7), (20, 32), (20, 33), (9, 100)]:
        z = (5 * rng.standard_normal((rows, n_units))).astype(dtype)
        labels = rng.integers(0, n_units, rows, dtype=np.int32)
        one_hot = np.eye(n_units, dtype=dtype)[labels]
        name = "categorical_cross_entropy"
        expected, expected_d = single.loss_and_derivative(name, z, labels, 1 / rows, isa)
        total, d = single.loss_and_derivative(name, z, one_hot, 1 / rows, isa)
        assert total == pytest.approx(expected, rel=4 * float(eps))
        np.testing.assert_array_equal(d, expected_d)
        soft = (0.9 * one_hot + rng.random(z.shape) / n_units).astype(dtype)
        total, _ = single.loss_and_derivative(name, z, soft, 1 / rows, isa)
        Z = z.astype(np.float64)
        largest = Z.max(axis=1, keepdims=True)
        logs = np.log(np.exp(Z - largest).sum(axis=1, keepdims=True)) + largest - Z
        assert total == pytest.approx((soft * logs).sum(), rel=(n_units + 8) * float(eps))


# ---- in place --------------------------------------------------------------------------------


@isas
@dtypes
def test_activations_and_losses_may_write_where_they_read(dtype: np.dtype[Any], isa: str) -> None:
    rng = np.random.default_rng(23)
    for rows, n_units in SHAPES:
        z = numbers((rows, n_units), dtype, 24)
        for name in single.activation_names():
            np.testing.assert_array_equal(
                single.activation_forward(name, z, isa, in_place=True),
                single.activation_forward(name, z, isa),
            )
        y = rng.random(z.shape).astype(dtype)
        labels = rng.integers(0, max(1, n_units), rows, dtype=np.int32)
        for name in reference.LOSSES:
            for targets in [y, labels] if name == "categorical_cross_entropy" else [y]:
                if n_units == 0:
                    continue
                for weights in (None, y[:, 0].copy()):
                    apart = kernel(name, z, targets, 0.5, isa, weights=weights)
                    within = kernel(name, z, targets, 0.5, isa, weights=weights, in_place=True)
                    np.testing.assert_array_equal(within[0], apart[0])
                    np.testing.assert_array_equal(within[1], apart[1])


# ---- optimisers ------------------------------------------------------------------------------

# Far from the defaults, and all different, so that no two can be mixed up.
HYPERPARAMETERS: dict[str, dict[str, float]] = {
    "sgd": {},
    "momentum": {"momentum": 0.7},
    "nesterov": {"momentum": 0.7},
    "rmsprop": {"rho": 0.6, "epsilon": 0.2},
    "adagrad": {"epsilon": 0.2},
    "adam": {"beta_1": 0.7, "beta_2": 0.6, "epsilon": 0.2},
    "adamw": {"beta_1": 0.7, "beta_2": 0.6, "epsilon": 0.2, "weight_decay": 0.4},
    "nadam": {"beta_1": 0.7, "beta_2": 0.6, "epsilon": 0.2, "momentum_decay": 3.0},
    "amsgrad": {"beta_1": 0.7, "beta_2": 0.6, "epsilon": 0.2},
    "lion": {"beta_1": 0.7, "beta_2": 0.6, "weight_decay": 0.4},
}
LEARNING_RATE = 0.3


def guarded(values: Array) -> tuple[Array, Callable[[], bool]]:
    """A copy of `values` in the middle of guards, and whether these are as they were."""
    flat = np.full(values.size + 64, GUARD, values.dtype)
    flat[32 : 32 + values.size] = values.reshape(-1)
    view = flat[32 : 32 + values.size].reshape(values.shape)
    return view, lambda: bool((flat[:32] == GUARD).all() and (flat[-32:] == GUARD).all())


@isas
@dtypes
@pytest.mark.parametrize("name", reference.OPTIMIZERS)
def test_optimizer_is_the_reference(name: str, dtype: np.dtype[Any], isa: str) -> None:
    update, n_slots = reference.OPTIMIZERS[name]
    hyperparameters = HYPERPARAMETERS[name]
    eps = np.finfo(dtype).eps
    rng = np.random.default_rng(12)
    for n in SIZES:
        w, w_guards = guarded(rng.standard_normal(n).astype(dtype))
        slots, moment_guards = guarded(np.zeros((n_slots, n), dtype))
        for t in range(1, 5):
            g = rng.standard_normal(n).astype(dtype)
            g.setflags(write=False)
            expected_w = w.astype(np.float64)
            expected_moments = slots.astype(np.float64)
            update(
                expected_w,
                g.astype(np.float64),
                expected_moments,
                t,
                LEARNING_RATE,
                **hyperparameters,
            )
            # Each new number is a sum of a few terms, none larger than these:
            size = 1 + np.abs(w) + np.abs(slots).sum(axis=0) + np.abs(g) + g * g
            assert single.optimizer_update(
                name, w, slots, g, LEARNING_RATE, hyperparameters, t, isa
            )
            assert_within(w, expected_w, 8 * eps * size)
            for slot, expected in zip(slots, expected_moments, strict=True):
                assert_within(slot, expected, 4 * eps * size)
        assert w_guards()
        assert moment_guards()


@isas
@dtypes
@pytest.mark.parametrize("name", reference.OPTIMIZERS)
def test_optimizer_reports_what_is_not_finite(name: str, dtype: np.dtype[Any], isa: str) -> None:
    n_slots = reference.OPTIMIZERS[name][1]
    hyperparameters = HYPERPARAMETERS[name]
    for n in (1, 7, 8, 9, 16, 33):
        for at in range(n):
            for bad in (np.nan, np.inf, -np.inf):
                w, g = np.ones(n, dtype), np.ones(n, dtype)
                g[at] = bad
                slots = np.zeros((n_slots, n), dtype)
                assert not single.optimizer_update(
                    name, w, slots, g, LEARNING_RATE, hyperparameters, 1, isa
                )


@pytest.mark.parametrize("t", [1, 2, 3, 50, 1000, 100_000])
@pytest.mark.parametrize("beta_1", [0.0, 0.5, 0.9, 0.999, 0.999999])
@pytest.mark.parametrize("momentum_decay", [0.0, 1e-6, 0.004, 0.3, 1.0, 100.0])
def test_the_product_of_nadam_is_that_of_all_its_factors(
    momentum_decay: float, beta_1: float, t: int
) -> None:
    """The kernel ends where no factor can be seen any more."""
    hyperparameters = {
        "beta_1": beta_1, "beta_2": 0.9, "epsilon": 1e-3, "momentum_decay": momentum_decay,
    }  # fmt: skip
    g = np.array([0.3, -2.0])
    w, slots = np.zeros(2), np.array([[0.5, 0.1], [0.2, 0.3]])
    expected, moments = w.copy(), slots.copy()
    reference.OPTIMIZERS["nadam"][0](expected, g, moments, t, LEARNING_RATE, **hyperparameters)
    assert single.optimizer_update("nadam", w, slots, g, LEARNING_RATE, hyperparameters, t)
    np.testing.assert_allclose(w, expected, rtol=1e-10)


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 0.999, 1 - 2**-20])
def test_the_correction_of_adam_is_the_formula_at_any_step(beta: float) -> None:
    """Also where the kernel leaves the power out, and just before. From m = 0, with g = 1 and
    beta_2 = 0, a step is (1 - beta_1) / (1 - beta_1^t)."""
    for t in [1, 2, 3, *(int(logarithm / (1 - beta)) for logarithm in range(4, 50))]:
        w, slots = np.zeros(1), np.zeros((2, 1))
        hyperparameters = {"beta_1": beta, "beta_2": 0.0, "epsilon": 1e-300}
        assert single.optimizer_update("adam", w, slots, np.ones(1), 1.0, hyperparameters, t)
        step = (1 - beta) * (1 / (1 - math.pow(beta, t)))
        np.testing.assert_allclose(-w[0], step, rtol=3e-16)


@pytest.mark.parametrize("name", reference.OPTIMIZERS)
def test_optimizer_reports_an_overflow(name: str) -> None:
    largest = float(np.finfo(np.float32).max)
    w = np.full(3, largest, np.float32)
    slots = np.zeros((reference.OPTIMIZERS[name][1], 3), np.float32)
    g = np.array([0, 0, -largest], np.float32)
    assert not single.optimizer_update(name, w, slots, g, 10.0, HYPERPARAMETERS[name], 1)


# ---- what comes in ---------------------------------------------------------------------------


@isas
@dtypes
@pytest.mark.parametrize("source", [np.float32, np.float64])
@pytest.mark.parametrize("panels", [False, True, "columns"])
def test_gather_takes_and_converts_rows(
    panels: Any, source: type[Any], dtype: np.dtype[Any], isa: str
) -> None:
    rng = np.random.default_rng(13)
    for n_features in (*SIZES[1:], 2, 3):
        data = numbers((20, n_features), np.dtype(source), 14)
        data.setflags(write=False)
        for rows in (0, 1, 9, 50, 1030):
            order = rng.integers(0, 20, rows)
            with np.errstate(over="ignore"):
                expected = data[order].astype(dtype)
            gathered = single.gather(data, order, dtype, isa, panels)
            np.testing.assert_array_equal(gathered, expected)


@isas
@dtypes
@pytest.mark.parametrize("source", [np.float32, np.float64])
def test_all_finite_finds_every_bad_number(
    source: type[Any], dtype: np.dtype[Any], isa: str
) -> None:
    for n in SIZES:
        data = numbers((n,), np.dtype(source), 15) if dtype == source else np.ones(n, source)
        data.setflags(write=False)
        assert kernels.all_finite(data, dtype, isa)
        for at in {0, n // 2, n - 1} if n > 0 else ():
            for bad in (np.nan, np.inf, -np.inf):
                wrong = data.copy()
                wrong[at] = bad
                assert not kernels.all_finite(wrong, dtype, isa)


@isas
def test_all_finite_knows_the_range_of_the_target(isa: str) -> None:
    largest = float(np.finfo(np.float32).max)
    for value, fits in [(largest, True), (-largest, True), (1e39, False), (-1e39, False)]:
        data = np.array([0.0, value])
        assert kernels.all_finite(data, np.dtype(np.float32), isa) == fits
        assert kernels.all_finite(data, np.dtype(np.float64), isa)


# ---- reductions ------------------------------------------------------------------------------


@isas
@dtypes
@pytest.mark.parametrize("panels", [False, True, "columns"])
@pytest.mark.parametrize("accumulate", [False, True])
def test_sum_rows_is_the_sum(accumulate: bool, panels: Any, dtype: np.dtype[Any], isa: str) -> None:
    rng = np.random.default_rng(16)
    for rows, n_units in [*SHAPES, *((n, 1) for n in (*SIZES, 64, 65, 127))]:
        d = rng.standard_normal((rows, n_units)).astype(dtype)
        start = rng.standard_normal(n_units).astype(dtype)
        given = start.copy()
        result = single.sum_rows(d, given if accumulate else None, isa, panels)
        terms = np.vstack([start[None], d]) if accumulate else d
        terms = terms.astype(np.float64)
        # A chain of `rows` additions
        bound = (rows + 1) * np.finfo(dtype).eps * np.abs(terms).sum(axis=0)
        assert_within(result, terms.sum(axis=0), bound)
        np.testing.assert_array_equal(given, start)


@isas
@dtypes
def test_panels_do_not_show_in_the_bits_of_the_sums(dtype: np.dtype[Any], isa: str) -> None:
    """Nor does the last one's width, which may be a single column."""
    for n_units in (33, 65, 73, 97, 129):
        d = np.random.default_rng(16).standard_normal((100, n_units)).astype(dtype)
        in_place, in_panels = (single.sum_rows(d, None, isa, panels) for panels in (False, True))
        np.testing.assert_array_equal(in_place, in_panels)


# ---- all instruction sets alike ----------------------------------------------------------------


@pytest.mark.skipif("avx512" not in kernels.supported_isas(), reason="this CPU runs no AVX-512")
@dtypes
def test_bits_are_the_same_whatever_the_width_of_the_vectors(dtype: np.dtype[Any]) -> None:
    """With fused multiply-adds, that is; the baseline of x86-64 has none."""
    rng = np.random.default_rng(17)
    z = numbers((33, 46), dtype, 18)
    d, y = rng.standard_normal((2, 33, 46)).astype(dtype)
    labels = rng.integers(0, 46, 33, dtype=np.int32)

    def everything(isa: str) -> list[bytes]:
        results: list[Any] = []
        for name in single.activation_names():
            a = single.activation_forward(name, z, isa)
            results.append(a)
            if name != "softmax":
                results.append(
                    single.activation_backward(name, d.ravel(), a.ravel(), z.ravel(), isa)
                )
        for weights in (None, np.abs(y[:, 0])):
            for name in reference.LOSSES:
                results += kernel(name, d, np.abs(y), 0.1, isa, weights=weights)
            name = "categorical_cross_entropy"
            results += kernel(name, d, labels, 0.1, isa, weights=weights)
        for name, (_, n_slots) in reference.OPTIMIZERS.items():
            w, slots = d.ravel().copy(), np.ones((n_slots, d.size), dtype)
            single.optimizer_update(
                name, w, slots, y.ravel(), LEARNING_RATE, HYPERPARAMETERS[name], 3, isa
            )
            results += [w, slots]
        results += [
            single.sum_rows(d, None, isa),
            single.sum_rows(d.reshape(-1, 1), None, isa),
            single.sum_rows(d, None, isa, "columns"),
            single.gather(d, labels.astype(np.int64) % 33, dtype, isa),
        ]
        results += [gemm.multiply(d, z.T.copy(), gemm="own", isa=isa)]
        results += [gemm.multiply(d, z, transpose_a=True, gemm="own", isa=isa)]
        return [np.asarray(result).tobytes() for result in results]

    assert everything("avx2") == everything("avx512")


@isas
@dtypes
def test_transpose_is_the_transpose(dtype: np.dtype[Any], isa: str) -> None:
    for shape in ((0, 3), (1, 1), (7, 9), (8, 16), (15, 17), (33, 46), (64, 48), (2, 1000)):
        a = np.random.default_rng(20).standard_normal(shape).astype(dtype)
        np.testing.assert_array_equal(single.transpose(a, isa), a.T)


# ---- names and the door ------------------------------------------------------------------------


def test_tables_have_the_names_of_python() -> None:
    assert single.activation_names() == list(activations.ACTIVATIONS)
    assert list(reference.LOSSES) == single.loss_names()
    kernels_ = [
        loss.kernel(output)
        for kind in losses.LOSSES.values()
        for loss in [kind()]
        for output in loss.outputs or ["linear"]
    ]
    assert set(kernels_) == set(single.loss_names())
    assert set(HYPERPARAMETERS) == set(optimizers.OPTIMIZERS)
    assert single.optimizers() == {
        name: (list(optimizer().hyperparameters), optimizer.n_slots)
        for name, optimizer in optimizers.OPTIMIZERS.items()
    }
    for name, optimizer in optimizers.OPTIMIZERS.items():
        assert optimizer.n_slots == reference.OPTIMIZERS[name][1]


def test_unknown_names_are_refused() -> None:
    ones = np.ones((1, 1), np.float32)
    with pytest.raises(LookupError, match="cosine"):
        single.activation_forward("cosine", ones)
    with pytest.raises(LookupError, match="cosine"):
        single.loss_and_derivative("cosine", ones, ones, 1.0)
    with pytest.raises(LookupError, match="cosine"):
        single.optimizer_update("cosine", ones[0], ones[:0], ones[0], 0.1, {}, 1)
    with pytest.raises(ValueError, match=r"isa must be one of .* got 'mmx'"):
        single.sum_rows(ones, None, "mmx")
    with pytest.raises(ValueError, match="softmax has no backward"):
        single.activation_backward("softmax", ones[0], ones[0], ones[0])


@pytest.mark.parametrize("name", HYPERPARAMETERS)
def test_hyperparameters_go_by_name(name: str) -> None:
    """In any order, and all of them, and no others: nothing is written where that is not so."""
    given = HYPERPARAMETERS[name]
    start, g = np.linspace(-1, 1, 9), np.linspace(2, 3, 9)

    def update(hyperparameters: dict[str, float]) -> Array:
        w, slots = start.copy(), np.ones((optimizers.OPTIMIZERS[name].n_slots, 9))
        assert single.optimizer_update(name, w, slots, g, LEARNING_RATE, hyperparameters, 2)
        return w

    np.testing.assert_array_equal(update(dict(reversed(given.items()))), update(given))
    for missing in given:
        fewer = {key: value for key, value in given.items() if key != missing}
        with pytest.raises(LookupError, match=f"'{name}' needs {missing}"):
            update(fewer)
    with pytest.raises(LookupError, match=f"'{name}' has no beta_3"):
        update({**given, "beta_3": 0.5})


def test_adam_has_no_weight_decay() -> None:
    with pytest.raises(LookupError, match="'adam' has no weight_decay"):
        single.optimizer_update(
            "adam", np.ones(1), np.ones((2, 1)), np.ones(1), 0.1, HYPERPARAMETERS["adamw"], 1
        )


def misaligned(array: Array) -> Array:
    """The same numbers, one byte off."""
    memory = np.zeros(array.nbytes + 1, np.uint8)
    view = memory[1:].view(array.dtype).reshape(array.shape)
    view[:] = array
    return view


@pytest.mark.parametrize(
    "unfit",
    [
        np.ones((4, 6), np.float32)[:, ::2],
        np.ones((3, 4), np.float32).T,
        misaligned(np.ones((4, 3), np.float32)),
    ],
    ids=["strided", "transposed", "misaligned"],
)
def test_core_refuses_arrays_that_c_cannot_read(unfit: Array) -> None:
    with pytest.raises(ValueError, match="aligned, C-contiguous"):
        single.sum_rows(unfit)


def test_core_refuses_wrong_dtypes_and_shapes() -> None:
    ones = np.ones((4, 3), np.float32)
    with pytest.raises(TypeError, match="float32"):
        single.sum_rows(ones, np.ones(3))
    with pytest.raises(ValueError, match="shape"):
        single.sum_rows(ones, np.ones(4, np.float32))
    frozen = np.ones(3, np.float32)
    frozen.setflags(write=False)
    with pytest.raises(ValueError, match="writable"):
        single.optimizer_update("sgd", frozen, ones[:0], np.ones(3, np.float32), 1.0, {}, 1)


# ---- elementary functions ----------------------------------------------------------------------


@isas
@dtypes
@pytest.mark.parametrize("name", accuracy.FUNCTIONS)
def test_functions_are_within_2_ulp(name: str, dtype: np.dtype[Any], isa: str) -> None:
    """On a sample; `python -m bench.accuracy` looks at every float32."""
    rng = np.random.default_rng(21)
    near_zero = rng.choice([-1, 1], 20_000) * np.exp(-40 * rng.random(20_000))
    spread = [size * (2 * rng.random(20_000) - 1) for size in (2, 20, 110, 800)]
    x = np.concatenate([near_zero, *spread, special_values(dtype)]).astype(dtype)
    error, at = accuracy.worst_error(name, x, isa)
    assert error <= 2, f"{error:.3f} ulp at {at!r}"


def test_normal_distribution_of_the_bench_has_known_values() -> None:
    """The oracle of gelu; computed with mpmath at 40 digits."""
    known = {
        0.5: "0.30853753872598689636229538939166226",
        1.75: "0.040059156863817090418757349885641911",
        2.25: "0.012224472655044703152623931299741493",
        6.0: "9.8658764503769814070086413239804202e-10",
        30.0: "4.9067139271481870595338092565801905e-198",
    }
    t = np.array(list(known), np.longdouble)
    expected = np.array([np.longdouble(value) for value in known.values()])
    tails = accuracy.normal_cdf_of_minus(t)
    # A tenth of an ulp of float64, which the kernels' 2 ulp leave room for
    np.testing.assert_allclose(tails, expected, rtol=0.1 * np.finfo(np.float64).eps, atol=0)

"""How far from the exact value are the elementary functions and activations, in ulp?

    python -m bench.accuracy               # every float32 number: some minutes a function
    python -m bench.accuracy --step 1001   # every 1001st
    python -m bench.accuracy --isa avx2 --functions exp tanh

float32 is compared with NumPy's float64 functions on all 2^32 bit patterns; float64 with NumPy's
long double (80 bits on x86-64) on two million numbers: bit patterns from a seed, so that all
exponents occur, and normal numbers times 4. Exit code 1 if one is above its bound.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn._core import kernels, single

Array = npt.NDArray[Any]


def sigmoid(x: Array) -> Array:
    """On the side where exp cannot overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


SELU_SCALE = np.longdouble("1.0507009873554804934193349852946")
SELU_ALPHA = np.longdouble("1.6732632423543772848170429916717")


def selu(x: Array) -> Array:
    scale, alpha = x.dtype.type(SELU_SCALE), x.dtype.type(SELU_ALPHA)
    return np.where(x < 0, scale * alpha * np.expm1(np.minimum(x, 0)), scale * x)


def normal_cdf_of_minus(t: Array) -> Array:
    """Phi(-t) for t in [0, 40]; NumPy has no error function.

    Up to 2 from the series Phi(t) = 1/2 + phi(t) (t + t^3 / 3 + t^5 / (3 5) + ...), which costs 4
    bits, then from Laplace's continued fraction Phi(-t) = phi(t) / (t + 1 / (t + 2 / (t + ...))).
    In long double it is within 0.05 ulp of a float64 (found with mpmath).
    """
    head = t.astype(np.float32).astype(t.dtype)  # its square is exact
    density = np.exp(-head * head / 2) * np.exp(-(t - head) * (t + head) / 2)
    density /= np.sqrt(8 * np.arctan(t.dtype.type(1)))
    near = np.minimum(t, 2)
    term = total = near
    for k in range(3, 80, 2):
        term = term * (near * near / k)
        total = total + term
    far = np.maximum(t, 2)
    fraction = far
    for k in range(120, 0, -1):
        fraction = far + k / fraction
    return np.where(t < 2, 0.5 - density * total, density / fraction)


def gelu(x: Array) -> Array:
    t = np.minimum(np.abs(x), 40)
    inside = t > 1e-30  # Phi is 1/2 below
    tail = np.full_like(t, 0.5)
    tail[inside] = normal_cdf_of_minus(t[inside])
    return np.maximum(x, 0) - t * tail


def mish(x: Array) -> Array:
    """tanh(log(1 + w)) = w (w + 2) / (w (w + 2) + 2), w = exp(x)."""
    w = np.exp(np.clip(x, -1000, 100))
    return np.maximum(x, -1000) * (w * (w + 2) / (w * (w + 2) + 2))


def softplus(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


#: name -> exact function, smallest and largest argument
FUNCTIONS: dict[str, tuple[Callable[[Array], Array], float, float]] = {
    "exp": (np.exp, -np.inf, np.inf),
    "expm1": (np.expm1, -np.inf, 20.0),
    "log": (np.log, 1.0, 3e38),
    "log1p": (np.log1p, 0.0, 1.0),
    "tanh": (np.tanh, -np.inf, np.inf),
    "sigmoid": (sigmoid, -np.inf, np.inf),
    "elu": (lambda x: np.where(x < 0, np.expm1(np.minimum(x, 0)), x), -np.inf, np.inf),
    "selu": (selu, -np.inf, np.inf),
    "silu": (lambda x: np.maximum(x, -1000) * sigmoid(x), -np.inf, np.inf),
    "gelu": (gelu, -np.inf, np.inf),
    "mish": (mish, -np.inf, np.inf),
    "softplus": (softplus, -np.inf, np.inf),
}

#: ulp, with and without fused multiply-add.
BOUND = 2.0

_CHUNK = 1 << 21


def compute(name: str, x: Array, isa: str) -> Array:
    if name in ("exp", "expm1", "log", "log1p"):
        return single.apply_function(name, x, isa)
    return single.activation_forward(name, x.reshape(1, -1), isa).ravel()


def all_float32(step: int) -> Iterator[Array]:
    for start in range(0, 1 << 32, _CHUNK * step):
        patterns = np.arange(start, min(start + _CHUNK * step, 1 << 32), step, dtype=np.uint64)
        yield patterns.astype(np.uint32).view(np.float32)


def some_float64() -> Iterator[Array]:
    rng = np.random.default_rng(0)
    yield rng.integers(0, 1 << 64, 1_000_000, dtype=np.uint64).view(np.float64)
    yield 4 * rng.standard_normal(1_000_000)


def worst_error(name: str, x: Array, isa: str) -> tuple[float, float]:
    """The largest error in ulp, and where; numbers below the smallest normal one count as it."""
    function, low, high = FUNCTIONS[name]
    x = x[(x >= low) & (x <= high)]
    wide = x.astype(np.float64 if x.dtype == np.float32 else np.longdouble)
    got = compute(name, x, isa)
    with np.errstate(all="ignore"):
        exact = function(wide)
        rounded = exact.astype(x.dtype)
        spacing = np.spacing(np.maximum(np.abs(rounded), np.finfo(x.dtype).tiny)).astype(wide.dtype)
        error = np.abs(got.astype(wide.dtype) - exact) / spacing
    error[~np.isfinite(rounded)] = np.where(
        got[~np.isfinite(rounded)] == rounded[~np.isfinite(rounded)], 0, np.inf
    )
    if error.size == 0:
        return 0.0, 0.0
    at = int(error.argmax())
    return float(error[at]), float(x[at])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--step", type=int, default=1, help="look at every STEP-th float32")
    parser.add_argument("--isa", nargs="+", default=kernels.supported_isas())
    parser.add_argument("--functions", nargs="+", default=list(FUNCTIONS), choices=list(FUNCTIONS))
    arguments = parser.parse_args()
    failed = False
    for isa in arguments.isa:
        for name in arguments.functions:
            for dtype, numbers in (
                ("float32", all_float32(arguments.step)),
                ("float64", some_float64()),
            ):
                worst, at = max(worst_error(name, x, isa) for x in numbers)
                failed |= worst > BOUND
                print(f"{isa:9} {dtype} {name:8} {worst:6.3f} ulp at {at:<24.17g} bound {BOUND}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

"""The matrix product in the three roles of training, against NumPy in float64."""

import itertools
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fastnn._core import gemm, kernels

Array = npt.NDArray[Any]

SIZES = [
    *itertools.product([1, 7, 8, 9, 33], repeat=3),
    (0, 5, 5), (5, 0, 5), (5, 5, 0), (46, 17, 1000), (1000, 16, 15), (15, 1000, 46), (64, 300, 200),
    (150, 1100, 300),  # b in blocks, copied into panels
]  # fmt: skip


def variants() -> list[Any]:
    """BLAS, and the own kernels of every instruction set."""
    own = [
        pytest.param(
            ("own", isa),
            marks=pytest.mark.skipif(
                isa not in kernels.supported_isas(), reason=f"this CPU does not run {isa}"
            ),
            id=f"own-{isa}",
        )
        for isa in kernels.built_isas()
    ]
    return [pytest.param(("blas", None), id="blas"), *own]


dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
products = pytest.mark.parametrize("variant", variants())


@products
@dtypes
@pytest.mark.parametrize("transpose_a", [False, True], ids=["forward", "dweights"])
@pytest.mark.parametrize("start", ["zero", "bias", "accumulate"])
def test_product_is_the_sum_of_products(
    start: str, transpose_a: bool, dtype: type[Any], variant: tuple[str, str | None]
) -> None:
    rng = np.random.default_rng(0)
    for m, n, k in SIZES:
        a, b, c = (rng.standard_normal(shape).astype(dtype) for shape in ((m, k), (k, n), (m, n)))
        bias = rng.standard_normal(n).astype(dtype)
        added = {"zero": np.zeros((m, n)), "bias": np.tile(bias, (m, 1)), "accumulate": c}[start]
        exact = a.astype(np.float64) @ b.astype(np.float64) + added
        # k products and as many additions, each with half an eps; the same again on the other side
        size = np.abs(a).astype(np.float64) @ np.abs(b) + np.abs(added)
        bound = (k + 1) * np.finfo(dtype).eps * size
        before = c.copy()
        result = gemm.multiply(
            np.ascontiguousarray(a.T) if transpose_a else a,
            b,
            c=c if start == "accumulate" else None,
            bias=bias if start == "bias" else None,
            transpose_a=transpose_a,
            gemm=variant[0],
            isa=variant[1],
        )
        assert result.dtype == dtype
        assert result.shape == (m, n)
        assert np.all(np.abs(result - exact) <= bound), (m, n, k)
        np.testing.assert_array_equal(c, before)


@dtypes
def test_own_product_does_not_depend_on_the_tiles(dtype: type[Any]) -> None:
    """Every element is one chain in ascending k, alone or among others."""
    rng = np.random.default_rng(2)
    a, b = (
        rng.standard_normal((70, 300)).astype(dtype),
        rng.standard_normal((300, 600)).astype(dtype),
    )
    whole = gemm.multiply(a, b, gemm="own")
    for row, column in ((0, 0), (7, 9), (33, 46), (69, 599)):
        alone = gemm.multiply(a[row : row + 1].copy(), b[:, column : column + 1].copy(), gemm="own")
        assert alone[0, 0] == whole[row, column]


def test_product_takes_read_only_arrays() -> None:
    ones = np.ones((3, 3), np.float32)
    ones.setflags(write=False)
    np.testing.assert_array_equal(gemm.multiply(ones, ones), np.full((3, 3), 3))


@products
@dtypes
def test_product_keeps_nan_and_infinity(dtype: type[Any], variant: tuple[str, str | None]) -> None:
    a = np.ones((9, 17), dtype)
    a[2, 3], a[5, 6] = np.nan, np.inf
    result = gemm.multiply(a, np.ones((17, 8), dtype), gemm=variant[0], isa=variant[1])
    assert np.isnan(result[2]).all()
    assert np.isposinf(result[5]).all()
    assert np.isfinite(np.delete(result, [2, 5], axis=0)).all()


def test_shapes_that_do_not_match_are_refused() -> None:
    a = np.ones((3, 4), np.float32)
    with pytest.raises(ValueError, match="shapes do not match"):
        gemm.multiply(a, a)
    with pytest.raises(ValueError, match="shapes do not match"):
        gemm.multiply(a, a, transpose_a=True, c=np.ones((3, 3), np.float32))


@pytest.mark.parametrize("choice", ["own", "blas"])
def test_products_at_the_same_time_are_the_products_alone(choice: str) -> None:
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((2, 150, 150)).astype(np.float32)
    expected = gemm.multiply(a, b, gemm=choice).tobytes()
    wrong: list[int] = []

    def repeat(number: int) -> None:
        if any(gemm.multiply(a, b, gemm=choice).tobytes() != expected for _ in range(30)):
            wrong.append(number)

    threads = [threading.Thread(target=repeat, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_blas_starts_no_threads_and_changes_no_affinity(run_script: Callable[..., str]) -> None:
    run_script("""
        import os
        import numpy as np
        from fastnn._core import gemm
        threads, cpus = len(os.listdir("/proc/self/task")), os.sched_getaffinity(0)
        environment = dict(os.environ)
        ones = np.ones((500, 500), np.float32)
        gemm.multiply(ones, ones, gemm="blas")
        assert len(os.listdir("/proc/self/task")) == threads, os.listdir("/proc/self/task")
        assert os.sched_getaffinity(0) == cpus
        assert dict(os.environ) == environment
    """)


def test_blas_is_ours_alone(run_script: Callable[..., str]) -> None:
    """No other library finds its symbols."""
    run_script("""
        import ctypes
        import numpy as np
        from fastnn._core import gemm
        ones = np.ones((9, 9), np.float32)
        gemm.multiply(ones, ones, gemm="blas")
        assert not hasattr(ctypes.CDLL(None), "scipy_cblas_sgemm")
    """)

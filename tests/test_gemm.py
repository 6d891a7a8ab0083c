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

# rows of b 4 KiB and more apart: where 48 rows share it, it is copied
WIDE = [
    (47, 1030, 65), (48, 1024, 1), (48, 1024, 0), (49, 1100, 65), (50, 1025, 600), (64, 2050, 70),
]  # fmt: skip
SAMPLES = [0, 1, 7, 8, 9, 15, 16, 17, 31, 33, 46, 1000, 1030]
SIZES = [
    *itertools.product([1, 7, 8, 9, 33], repeat=3),
    (0, 5, 5), (5, 0, 5), (5, 5, 0), (46, 17, 1000), (1000, 16, 15), (15, 1000, 46), (64, 300, 200),
    (150, 1100, 300),  # b in blocks and many panels
    (33, 3, 2100), (100, 1, 1100), (17, 8, 784), (5, 2, 65),  # dot products; by columns, transposed
    (1100, 70, 300),  # a transposed, in many panels
    *((rows, n, k) for rows in SAMPLES for n, k in ((4, 2), (1, 4), (3, 15), (15, 7))),
    *((m, n, rows) for rows in SAMPLES for m, n in ((2, 4), (4, 1), (15, 3))),
    (70, 20, 300), (1100, 7, 20), (130, 64, 33), (4, 16, 100), (16, 3, 1000),
    *WIDE,
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
@pytest.mark.parametrize("panels", [False, True, "columns"])
def test_product_is_the_sum_of_products(
    panels: Any, start: str, transpose_a: bool, dtype: type[Any], variant: tuple[str, str | None]
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
            panels=panels,
        )
        assert result.dtype == dtype
        assert result.shape == (m, n)
        assert np.all(np.abs(result - exact) <= bound), (m, n, k)
        np.testing.assert_array_equal(c, before)


@dtypes
def test_a_row_does_not_depend_on_its_neighbours(dtype: type[Any]) -> None:
    """So a prediction has the same bits alone and in a batch."""
    rng = np.random.default_rng(2)
    for n, k in itertools.product((1, 2, 3, 7, 8, 9, 20, 46, 600), (4, 20, 300, 2100)):
        a, b = rng.standard_normal((70, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
        whole = gemm.multiply(a, b, gemm="own")
        for rows in (slice(0, 1), slice(7, 12), slice(33, 57), slice(69, 70)):
            np.testing.assert_array_equal(
                gemm.multiply(a[rows].copy(), b, gemm="own"), whole[rows], err_msg=f"{n}, {k}"
            )


@dtypes
def test_an_element_does_not_depend_on_the_tile(dtype: type[Any]) -> None:
    """Every element of a product that is not narrow is one chain in ascending k, and so is every
    element of a product with a transposed a, narrow or not."""
    rng = np.random.default_rng(3)
    a, b = (
        rng.standard_normal((300, 70)).astype(dtype),
        rng.standard_normal((300, 600)).astype(dtype),
    )
    a_rows = np.ascontiguousarray(a.T)
    whole = gemm.multiply(a, b, transpose_a=True, gemm="own")
    np.testing.assert_array_equal(gemm.multiply(a_rows, b, gemm="own"), whole)
    for n in (9, 17, 46):
        part = b[:, 50 : 50 + n].copy()
        np.testing.assert_array_equal(
            gemm.multiply(a_rows, part, gemm="own"), whole[:, 50 : 50 + n]
        )
    for n in (1, 2, 3, 7, 8, 9, 20, 46, 64):
        part = b[:, 50 : 50 + n].copy()
        np.testing.assert_array_equal(
            gemm.multiply(a, part, transpose_a=True, gemm="own"), whole[:, 50 : 50 + n]
        )


@dtypes
@pytest.mark.parametrize("transpose_a", [False, True], ids=["forward", "dweights"])
def test_panels_do_not_show_in_the_bits(transpose_a: bool, dtype: type[Any]) -> None:
    rng = np.random.default_rng(5)
    for m, n, k in SIZES:
        a = rng.standard_normal((k, m) if transpose_a else (m, k)).astype(dtype)
        b = rng.standard_normal((k, n)).astype(dtype)
        for isa in kernels.supported_isas():
            in_place, in_panels = (
                gemm.multiply(a, b, transpose_a=transpose_a, gemm="own", isa=isa, panels=panels)
                for panels in (False, True)
            )
            np.testing.assert_array_equal(in_place, in_panels, err_msg=f"{isa}, {m}, {n}, {k}")


def test_blocks_do_not_show_in_the_bits(run_script: Callable[..., str]) -> None:
    """They follow the caches: with small ones, k is in more blocks, and what an update reads is
    fetched beforehand."""
    script = f"""
        import hashlib
        import numpy as np
        from fastnn._core import gemm, kernels
        rng = np.random.default_rng(6)
        for m, n, k in {[*WIDE, (150, 1100, 300), (64, 300, 200)]}:
            for dtype in (np.float32, np.float64):
                a = rng.standard_normal((m, k)).astype(dtype)
                b = rng.standard_normal((k, n)).astype(dtype)
                for isa in kernels.supported_isas():
                    product = gemm.multiply(a, b, gemm="own", isa=isa)
                    print(m, n, k, isa, hashlib.sha256(product.tobytes()).hexdigest())
        import fastnn
        X = rng.standard_normal((90, 150), np.float32)
        Y = rng.standard_normal((90, 10), np.float32)
        for optimizer in ("sgd", "adam"):
            net = fastnn.Network.from_sizes([150, 330, 70, 10], output="linear", seed=0)
            net.fit(X, Y, epochs=2, batch_size=40, optimizer=optimizer, threads=1)
            print(optimizer, hashlib.sha256(net.parameters.tobytes()).hexdigest())
        """
    expected = run_script(script)
    assert expected.count("\n") >= 13
    for caches in ("4096,4096,4096", "4096,65536,65536", "49152,2097152,33554432"):
        assert run_script(script, FASTNN_CACHES=caches) == expected


@dtypes
def test_single_columns_do_not_show_in_the_bits_where_samples_are_rows(dtype: type[Any]) -> None:
    """A network is trained in single columns and predicts without: neither takes dot products."""
    rng = np.random.default_rng(6)
    for m, n, k in itertools.product(SAMPLES, (1, 2, 3, 4, 5, 7), (1, 2, 3, 7)):
        a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
        bias = rng.standard_normal(n).astype(dtype)
        for isa in kernels.supported_isas():
            in_place, in_columns = (
                gemm.multiply(a, b, bias=bias, gemm="own", isa=isa, panels=panels)
                for panels in (False, "columns")
            )
            np.testing.assert_array_equal(in_place, in_columns, err_msg=f"{isa}, {m}, {n}, {k}")


@pytest.mark.skipif(
    not {"avx2", "avx512"} <= set(kernels.supported_isas()), reason="this CPU lacks AVX2 or AVX-512"
)
@dtypes
@pytest.mark.parametrize("transpose_a", [False, True], ids=["forward", "dweights"])
@pytest.mark.parametrize("panels", [False, "columns"])
def test_avx2_and_avx512_give_the_same_bits(
    panels: Any, transpose_a: bool, dtype: type[Any]
) -> None:
    rng = np.random.default_rng(4)
    for m, n, k in SIZES:
        a = rng.standard_normal((k, m) if transpose_a else (m, k)).astype(dtype)
        b = rng.standard_normal((k, n)).astype(dtype)
        results = [
            gemm.multiply(a, b, transpose_a=transpose_a, gemm="own", isa=isa, panels=panels)
            for isa in ("avx2", "avx512")
        ]
        np.testing.assert_array_equal(*results, err_msg=f"{m}, {n}, {k}")


own_products = pytest.mark.parametrize("isa", [isa for isa in kernels.supported_isas()])


@own_products
@dtypes
@pytest.mark.parametrize("transpose_a", [False, True], ids=["forward", "dweights"])
def test_product_stays_in_its_scratch(transpose_a: bool, dtype: type[Any], isa: str) -> None:
    for m, n, k in SIZES:
        a, b = np.ones((k, m) if transpose_a else (m, k), dtype), np.ones((k, n), dtype)
        n_bytes = gemm.scratch_bytes(np.dtype(dtype), transpose_a, m, n, k, isa)
        memory = np.full(n_bytes + 192, 77, np.uint8)
        start = 64 + -memory.ctypes.data % 64
        scratch = memory[start : start + n_bytes]
        result = gemm.multiply(a, b, transpose_a=transpose_a, gemm="own", isa=isa, scratch=scratch)
        assert (result == k).all()
        assert (memory[:start] == 77).all()
        assert (memory[start + n_bytes :] == 77).all(), (m, n, k)


@own_products
@dtypes
def test_scratch_is_enough_for_smaller_products(dtype: type[Any], isa: str) -> None:
    rng = np.random.default_rng(5)
    for _ in range(2000):
        m, n, k = (int(size) for size in np.exp(rng.uniform(0, 8, 3)))
        fewer = [int(rng.integers(0, size + 1)) for size in (m, n, k)]
        number_type = np.dtype(dtype)
        assert gemm.scratch_bytes(number_type, False, fewer[0], n, k, isa) <= gemm.scratch_bytes(
            number_type, False, m, n, k, isa
        )
        assert gemm.scratch_bytes(number_type, True, *fewer, isa) <= gemm.scratch_bytes(
            number_type, True, m, n, k, isa
        )


@own_products
@dtypes
def test_a_few_rows_of_a_small_matrix_need_no_scratch(dtype: type[Any], isa: str) -> None:
    for n, k in itertools.product((1, 2, 7, 16, 64, 300), (1, 4, 16, 64, 73)):
        assert gemm.scratch_bytes(np.dtype(dtype), False, 100, n, k, isa) == 0
    assert gemm.scratch_bytes(np.dtype(dtype), False, 100, 1, 100_000, isa) == 0


@products
def test_small_stacks_are_enough(
    variant: tuple[str, str | None], run_script: Callable[..., str]
) -> None:
    """64 KiB, on which little more than Python itself runs."""
    printed = run_script(
        """
        import threading
        import numpy as np
        from fastnn import Network

        def work():
            for sizes in ([600, 128, 1], [1200, 300, 7], [12288, 20, 7, 5, 1], [1100, 70, 5]):
                for dtype in ("float32", "float64"):
                    output = "sigmoid" if sizes[-1] == 1 else "softmax"
                    net = Network.from_sizes(sizes, output=output, dtype=dtype, seed=0)
                    X, y = np.ones((200, sizes[0]), dtype), np.zeros(200, np.int64)
                    net.fit(X, y, epochs=1, batch_size=None)
                    net.loss_and_gradients(X, y)
                    net.predict_proba(X)
                    net.predict_proba(X[:3])
                    net.predictor()(X[:1])
            print("done")

        threading.stack_size(64 << 10)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        """,
        FASTNN_GEMM=variant[0],
        FASTNN_ISA=variant[1] or "",
    )
    assert printed == "done\n"


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


def test_ctrl_c_while_blas_is_made_ready_leaves_no_thread_behind(
    run_script: Callable[..., str],
) -> None:
    """A process with such a thread does not end."""
    run_script(
        """
        import faulthandler
        import random
        import signal
        import threading
        import numpy as np
        from fastnn import Network

        def handler(number, frame):
            raise KeyboardInterrupt

        faulthandler.dump_traceback_later(15, exit=True)
        signal.signal(signal.SIGALRM, handler)
        randomness = random.Random(0)
        X, y = np.ones((64, 30), np.float32), np.zeros(64, np.int64)
        net = Network.from_sizes([30, 50, 1], seed=0)
        interrupted = 0
        for n_threads in range(1, 60, 2):  # more buffers each time
            try:
                signal.setitimer(signal.ITIMER_REAL, randomness.uniform(1e-4, 4e-3))
                try:
                    net.fit(X, y, epochs=100_000, threads=n_threads)
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interrupted += 1
        assert interrupted > 20, interrupted
        assert threading.active_count() == 1
        """,
        FASTNN_GEMM="blas",
    )

"""The same bits: on any number of threads, from run to run, on every wide instruction set.

The environment decides at import which products and which instruction set serve, so each choice has
processes of its own.
"""

import json
import platform
from collections.abc import Callable
from pathlib import Path

import pytest

from fastnn._core import kernels

SCRIPT = """
    import faulthandler
    import hashlib
    import threading

    import numpy as np

    from fastnn import Network
    from fastnn._core import gemm, kernels

    faulthandler.dump_traceback_later(50, exit=True)

    CASES = [
        # sizes, output, samples, batch size, dtype, optimizer
        ([1, 1], "sigmoid", 7, 2, "float32", "sgd"),
        ([7, 13, 1], "sigmoid", 101, 32, "float64", "nesterov"),
        ([20, 33, 17, 3], "softmax", 333, 100, "float32", "adam"),
        ([20, 33, 17, 3], "linear", 333, 100, "float64", "rmsprop"),
        ([301, 203, 11], "softmax", 299, 130, "float32", "adamw"),  # several tiles of weights
        ([65, 259, 67], "linear", 150, None, "float64", "adagrad"),
        ([4, 301, 2], "softmax", 20_003, 19_001, "float32", "momentum"),  # slabs, and a remainder
        ([4, 301, 2], "softmax", 10_007, 10_000, "float64", "adam"),
        ([2, 4, 1], "sigmoid", 1030, None, "float32", "sgd"),  # along the samples
        ([3, 7, 5, 2], "softmax", 333, 100, "float64", "adam"),
        ([513, 65, 293], "softmax", 129, 33, "float64", "adam"),  # taller tiles, units shared out
    ]

    def digest(*arrays):
        return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()[:16]

    parameters = []  # a digest for each call of train

    def train(case, threads):
        "Everything that training gives: `threads` is the number in each epoch."
        sizes, output, n, batch_size, dtype, optimizer = case
        rng = np.random.default_rng(1)
        X = rng.standard_normal((n, sizes[0])).astype(dtype)
        y = rng.standard_normal((n, sizes[-1])).astype(dtype)
        if output != "linear":
            y = rng.integers(0, max(2, sizes[-1]), n)
        net = Network.from_sizes(sizes, "tanh", output, dtype=dtype, seed=2)
        losses = [
            net.partial_fit(X, y, batch_size=batch_size, optimizer=optimizer, learning_rate=1e-3,
                            threads=n_threads)
            for n_threads in threads
        ]
        parameters.append(digest(net.parameters))
        return digest(net.parameters, net._state.slots, np.array(losses),
                      net.predict_proba(X), *net.loss_and_gradients(X, y)[1:])

    def resize(stop):
        "Asks the team for other sizes, and has it, whenever it is free."
        net = Network.from_sizes([30, 50, 1], seed=0)
        X, y = np.ones((64, 30), np.float32), np.zeros(64, np.int64)
        sizes = [2, 9, 1, 5, 3]
        while not stop.is_set():
            net.fit(X, y, epochs=2, batch_size=None, threads=sizes[0])
            sizes.append(sizes.pop(0))
"""

ON_ANY_NUMBER_OF_THREADS = """
    stop = threading.Event()
    resizing = threading.Thread(target=resize, args=(stop,))
    try:
        for number, case in enumerate(CASES):
            expected = train(case, [1, 1, 1])
            for threads in ([1, 1, 1], [2, 2, 2], [3, 3, 3], [8, 8, 8], [3, 1, 8]):
                assert train(case, threads) == expected, (case, threads)
            print(number, expected)
        resizing.start()
        for number, case in enumerate(CASES):
            print(number, train(case, [2, 3, 2]))
    finally:
        stop.set()
        if resizing.ident is not None:
            resizing.join()
    assert gemm.GEMM == "{products}"
    assert (gemm.blas_config is None) == ("{products}" == "own")
"""

ONCE = """
    for number, case in enumerate(CASES):
        print(number, train(case, [2, 2, 2]))
"""

PARAMETERS = """
    for case in CASES:
        train(case, [2, 2, 2])
    print("\\n".join(parameters))
"""


@pytest.mark.skipif(
    "avx2" not in kernels.supported_isas() and platform.machine() not in ("aarch64", "arm64"),
    reason="the digests are of fused multiply-adds",
)
def test_bits_of_the_parameters_are_those_of_version_0_1(run_script: Callable[..., str]) -> None:
    """A change of these bits is a change of behaviour: say so where you change the file."""
    isa = "avx2" if "avx2" in kernels.supported_isas() else "baseline"
    expected = json.loads((Path(__file__).parent / "bits.json").read_text())
    printed = run_script(SCRIPT + PARAMETERS, FASTNN_GEMM="own", FASTNN_ISA=isa)
    assert printed.split() == expected["parameters"]


@pytest.mark.parametrize("products", ["own", "blas"])
def test_bits_depend_neither_on_threads_nor_on_the_run(
    products: str, run_script: Callable[..., str]
) -> None:
    """Nor on another thread that changes the size of the team meanwhile."""
    script = SCRIPT + ON_ANY_NUMBER_OF_THREADS.format(products=products)
    printed = run_script(script, FASTNN_GEMM=products).splitlines()
    digests = printed[: len(printed) // 2]
    assert len(digests) == len(set(digests)) == 11
    assert printed[len(digests) :] == digests, "while the team was resized"
    assert run_script(SCRIPT + ONCE, FASTNN_GEMM=products).splitlines() == digests, "another run"


def test_bits_of_the_own_products_are_the_same_on_every_wide_instruction_set(
    run_script: Callable[..., str],
) -> None:
    """And those of the choice that the library makes itself, whose products are its own."""
    wide = [isa for isa in kernels.supported_isas() if isa != "baseline"]
    printed = {isa: run_script(SCRIPT + ONCE, FASTNN_GEMM="own", FASTNN_ISA=isa) for isa in wide}
    printed["auto"] = run_script(SCRIPT + ONCE, FASTNN_GEMM="auto", FASTNN_ISA="")
    if kernels.supported_isas() == ["baseline"]:
        printed["own"] = run_script(SCRIPT + ONCE, FASTNN_GEMM="own", FASTNN_ISA="")
    assert len(printed) > 1
    assert len(set(printed.values())) == 1, printed

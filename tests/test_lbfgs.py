"""L-BFGS: where SciPy gets, fastnn gets; calls, interruptions and wrong inputs."""

import gc
import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastnn
from fastnn import LBFGS, BatchNorm, Dense, Dropout, Layer, Network

Array = npt.NDArray[Any]


def regression(n: int = 60) -> tuple[Array, Array]:
    X = np.random.default_rng(0).normal(size=(n, 4))
    return X, np.sin(X.sum(axis=1))


def small(dtype: str = "float64") -> Network:
    return Network.from_sizes([4, 6, 1], "tanh", "linear", dtype=dtype, seed=0)


def test_arguments_that_do_not_fit_are_refused() -> None:
    X, y = regression()
    net = small()
    net.fit(X, y, epochs=1)
    twin = net.copy()
    for arguments, message in [
        ({"batch_size": 8}, "batch_size must be None for LBFGS, .* got 8"),
        ({"batch_size": 60}, "batch_size must be None for LBFGS, .* got 60"),
        ({"learning_rate": 0.1}, r"learning_rate must be None for LBFGS, .* got 0\.1"),
        ({"learning_rate": fastnn.CosineDecay(0.1)}, "learning_rate must be None for LBFGS"),
    ]:
        for optimizer in ("lbfgs", "L-BFGS", LBFGS()):
            with pytest.raises(ValueError, match=message):
                net.fit(X, y, optimizer=optimizer, **arguments)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"call it: LBFGS\(\)"):
        net.fit(X, y, optimizer=LBFGS)  # type: ignore[arg-type]
    assert net.training == twin.training
    np.testing.assert_array_equal(net.parameters, twin.parameters)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"memory": 0}, "memory"),
        ({"memory": 2.5}, "memory"),
        ({"memory": 10**6}, "memory"),
        ({"tolerance": 0}, "tolerance"),
        ({"tolerance": float("nan")}, "tolerance"),
        ({"learning_rate": 0.1}, "learning_rate"),
    ],
)
def test_wrong_hyperparameters_are_named(arguments: dict[str, Any], name: str) -> None:
    with pytest.raises((TypeError, ValueError), match=name):
        LBFGS(**arguments)


def test_without_scipy_the_extra_is_named(run_script: Any) -> None:
    out = run_script(
        """
        import sys
        sys.modules["scipy"] = sys.modules["scipy.optimize"] = None
        import numpy as np
        from fastnn import Network
        net = Network.from_sizes([2, 1], seed=0)
        before = net.parameters.copy()
        try:
            net.fit(np.eye(2), [0, 1], optimizer="lbfgs")
        except ImportError as error:
            print(error)
        print(net.training, (net.parameters == before).all())
        """
    )
    assert "pip install '.[lbfgs]'" in out
    assert out.splitlines()[-1] == "None True"


def test_importing_fastnn_does_not_import_scipy(run_script: Any) -> None:
    assert run_script("import sys, fastnn; print('scipy' in sys.modules)").strip() == "False"


@pytest.fixture
def minimize() -> Any:
    return pytest.importorskip("scipy.optimize").minimize


def test_it_is_scipys_minimiser(minimize: Any) -> None:
    X, y = regression()
    net, other = small(), small()
    losses = [other.loss_and_gradients(X, y)[0]]

    def loss(x: Array) -> tuple[float, Array]:
        other.parameters[:] = x
        return other.loss_and_gradients(X, y)

    def after(intermediate_result: Any) -> None:
        losses.append(intermediate_result.fun)

    expected = minimize(
        loss, net.parameters.copy(), jac=True, method="L-BFGS-B", callback=after,
        options={"maxiter": 25, "maxcor": 7, "ftol": 2.220446049250313e-16, "maxls": 50},
    )  # fmt: skip
    history = net.fit(X, y, epochs=25, optimizer=LBFGS(memory=7), batch_size=None)
    np.testing.assert_array_equal(net.parameters, expected.x)
    assert history["loss"] == losses[:-1]  # each one before its iteration
    assert history["learning_rate"] == [1.0] * 25
    assert net.training is not None
    assert net.training.optimizer == LBFGS(memory=7)
    assert net.training.batch_size is None


def test_it_ends_where_nothing_is_left_to_gain(minimize: Any) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 3))
    y = X @ [1.0, -2.0, 0.5] + 3
    net = Network.from_sizes([3, 1], output="linear", dtype="float64", seed=0)
    history = net.fit(X, y, epochs=1000, optimizer=LBFGS(tolerance=1e-9), validation_data=(X, y))
    assert len(history["loss"]) < 50
    assert {len(values) for values in history.values()} == {len(history["loss"])}
    np.testing.assert_allclose(net.parameters, [1, -2, 0.5, 3], atol=1e-8)
    before = net.parameters.copy()
    assert len(net.fit(X, y, epochs=10)["loss"]) == 1  # as before: L-BFGS, and nothing to do
    np.testing.assert_array_equal(net.parameters, before)
    assert net.partial_fit(X, y) < 1e-15


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_classifier_learns(dtype: str, minimize: Any) -> None:
    X, y = fastnn.datasets.load_digits()
    net = Network.from_sizes([64, 16, 10], "tanh", "softmax", dtype=dtype, seed=0)
    validation_data = (X[500:700], y[500:700])
    history = net.fit(
        X[:500], y[:500], epochs=60, optimizer="lbfgs", validation_data=validation_data
    )
    assert net.evaluate(X[:500], y[:500])["accuracy"] > 0.98
    assert history["val_accuracy"][-1] == net.evaluate(*validation_data)["accuracy"] > 0.75
    assert np.all(np.diff(history["loss"]) <= 0)


def test_threads_do_not_change_the_bits(minimize: Any) -> None:
    X, y = regression(500)
    nets = [small("float32") for _ in range(2)]
    for net, threads in zip(nets, (1, 2), strict=True):
        net.fit(X, y, epochs=10, optimizer="lbfgs", threads=threads)
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)


def test_adam_goes_on_afterwards_and_files_know_it(minimize: Any, tmp_path: Path) -> None:
    X, y = regression()
    net = small()
    net.fit(X, y, epochs=5, optimizer=LBFGS(3))
    net.save(tmp_path / "net.safetensors")
    twin = Network.load(tmp_path / "net.safetensors")
    assert twin.training == net.training
    assert net.fit(X, y, epochs=4) == twin.fit(X, y, epochs=4)
    net.fit(X, y, epochs=2, optimizer="adam", batch_size=16)
    assert net.training is not None
    assert net.training.batch_size == 16


def test_what_is_written_between_iterations_is_the_next_start(minimize: Any) -> None:
    X, y = regression()
    net, twin = small(), small()
    start = net.parameters.copy()
    for each in (net, twin):
        each.fit(X, y, epochs=4, optimizer="lbfgs")
        each.parameters[:] = start
        each.fit(X, y, epochs=4, optimizer="lbfgs")
    trainer = _trainer(small(), X, y)
    for _ in range(4):
        trainer.advance(9)
    trainer._parameters[:] = start
    for _ in range(4):
        trainer.advance(9)
    np.testing.assert_array_equal(trainer._parameters, net.parameters)


def _trainer(net: Network, X: Array, y: Array) -> Any:
    from fastnn._lbfgs import LBFGSTrainer

    plan, state = net._built()
    return LBFGSTrainer(
        plan, state.parameters, state.running, X, y[:, None], 9, 1, optimizer=LBFGS(), n_updates=0
    )


def test_no_thread_stays_behind(minimize: Any) -> None:
    X, y = regression()
    gc.collect()
    small().fit(X, y, epochs=3, optimizer="lbfgs")  # ended by its caller, before it has converged
    threads = [thread for thread in threading.enumerate() if thread.name == "fastnn L-BFGS"]
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)


def test_a_loss_that_is_not_finite_leaves_the_last_iteration(minimize: Any) -> None:
    X, y = regression()
    net = small("float32")
    net.parameters[:] *= 1e25
    before = net.parameters.copy()
    with pytest.raises(FloatingPointError, match=r"the loss is .* L-BFGS"):
        net.fit(X, 1e25 * y, epochs=3, optimizer="lbfgs")
    np.testing.assert_array_equal(net.parameters, before)
    assert net.history["loss"] == []


def test_ctrl_c_leaves_the_last_iteration(minimize: Any, run_script: Any) -> None:
    out = run_script(
        """
        import _thread, threading
        import numpy as np
        from fastnn import Network
        rng = np.random.default_rng(0)
        X, y = rng.normal(size=(5000, 50)), rng.integers(0, 10, 5000)
        net, twin = (Network.from_sizes([50, 60, 10], "tanh", "softmax", seed=0) for _ in "ab")
        net.copy().fit(X, y, epochs=1, optimizer="lbfgs")  # SciPy's import takes a while
        threading.Timer(1.0, _thread.interrupt_main).start()
        try:
            net.fit(X, y, epochs=100000, optimizer="lbfgs")
        except KeyboardInterrupt:
            pass
        n = len(net.history["loss"])
        twin.fit(X, y, epochs=n, optimizer="lbfgs")
        print(n > 0, (net.parameters == twin.parameters).all())
        """
    )
    assert out.split() == ["True", "True"]


@pytest.mark.parametrize(
    ("layers", "options", "match"),
    [
        ([BatchNorm(), Dense(1)], {}, "must not be LBFGS for a network with BatchNorm"),
        ([Dropout(0.5), Dense(1)], {}, "must not be LBFGS for a network with Dropout"),
        ([Dense(1, max_norm=1.0)], {}, r"max_norm of layers\[0\] must be None with LBFGS"),
        (
            [Dense(1)],
            {"clip_norm": 1.0},
            "clip_norm must be None with LBFGS, got 1.0; a",
        ),
        ([Dense(1)], {"clip_value": 1.0}, "clip_value must be None with LBFGS"),
        ([Dense(1)], {"weight_decay": 0.1}, "weight_decay must be 0.0 with LBFGS"),
        ([Dense(1, "sigmoid")], {"label_smoothing": 0.1}, "label_smoothing must be 0.0 with LBFGS"),
    ],
)
def test_what_a_minimiser_cannot_do_is_refused(
    layers: list[Layer], options: dict[str, Any], match: str, minimize: Any
) -> None:
    net = Network(layers, 2, seed=0)
    with pytest.raises(ValueError, match=match):
        net.fit([[1.0, 2.0], [3.0, 4.0]], [0.0, 1.0], optimizer=LBFGS(), **options)
    assert net.training is None


def test_penalties_weights_and_frozen_layers_count(minimize: Any) -> None:
    X, y = regression()
    weights = np.linspace(0.1, 1, len(X))
    layers = [Dense(6, "tanh", trainable=False), Dense(1, l2=0.5)]
    net = Network(layers, X.shape[1], dtype="float64", seed=0)
    frozen = net.weights[0].copy()
    net.fit(X, y, epochs=200, optimizer=LBFGS(), sample_weight=weights, l1=0.0, l2=0.25)
    np.testing.assert_array_equal(net.weights[0], frozen)
    # With a frozen layer below it is ridge regression with an intercept that has no penalty
    A = np.hstack([net.forward(X)[0], np.ones((len(X), 1))])
    share = weights / weights.sum()
    ridge = np.diag([0.75 / (2 * len(X))] * 6 + [0.0])
    solved = np.linalg.solve(A.T @ (share[:, None] * A) + ridge, A.T @ (share * y))
    np.testing.assert_allclose([*net.weights[1][:, 0], *net.biases[1]], solved, atol=1e-4)


def test_the_batch_size_comes_back_with_another_optimizer() -> None:
    pytest.importorskip("scipy.optimize")
    X = np.random.default_rng(0).standard_normal((40, 3))
    net = Network([Dense(1)], 3, seed=0)
    net.fit(X, X[:, :1], epochs=1, batch_size=8)
    net.fit(X, X[:, :1], epochs=1, optimizer="lbfgs")
    net.fit(X, X[:, :1], epochs=1, optimizer="adam")
    assert net.training is not None
    assert net.training.batch_size == 8
    assert net._built()[1].n_updates == 5

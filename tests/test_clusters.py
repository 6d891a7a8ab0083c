"""Sweeps over workers: joblib's, Dask's, Optuna's and those of multiprocessing."""

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fastnn import Dense, Network
from fastnn.datasets import load_digits

X, Y = load_digits()
TRAINED = """
import numpy as np
import fastnn
from fastnn.datasets import load_digits

def trained(net):
    X, y = load_digits()
    net = net.copy()
    net.fit(X, y, epochs=2)
    return net.parameters.tobytes()
"""


def network() -> Network:
    return Network([Dense(32, "relu"), Dense(10, "softmax")], n_features=64, seed=0)


# ---- threads -------------------------------------------------------------------------------------


def test_tasks_in_workers_of_one_process_share_its_cpus(run_script: Callable[..., str]) -> None:
    pytest.importorskip("distributed")
    printed = run_script("""
        from dask.distributed import Client, LocalCluster
        import fastnn
        from fastnn import config

        config._OMP_NUM_THREADS = ""
        config._available_cpus = lambda: 8

        def told():
            return fastnn.get_num_threads()

        for n_workers, n_threads in [(1, 2), (2, 1), (2, 2), (1, 3), (1, 16), (1, 1)]:
            options = {"processes": False, "dashboard_address": None}
            options |= {"n_workers": n_workers, "threads_per_worker": n_threads}
            with LocalCluster(**options) as cluster, Client(cluster) as client:
                print(client.submit(told, pure=False).result(), told())
                if n_threads == 16:
                    fastnn.set_num_threads(5)
                    print(client.submit(told, pure=False).result(), told())
                    fastnn.set_num_threads(None)
    """)
    assert printed.splitlines() == ["4 8", "4 8", "2 8", "2 8", "1 8", "5 5", "8 8"]


def test_omp_num_threads_lowers_the_share_of_a_task(run_script: Callable[..., str]) -> None:
    pytest.importorskip("distributed")
    printed = run_script(
        """
        from dask.distributed import Client
        import fastnn
        from fastnn import config

        config._available_cpus = lambda: 8
        with Client(
            processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None
        ) as client:
            print(client.submit(fastnn.get_num_threads).result(), fastnn.get_num_threads())
        """,
        OMP_NUM_THREADS="3",
    )
    assert printed.split() == ["3", "3"]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_train_to_the_same_bits(
    method: str, run_script: Callable[..., str], tmp_path: Any
) -> None:
    """After the thread team was used, which a forked process does not have."""
    (tmp_path / "work.py").write_text(TRAINED)
    printed = run_script(
        f"""
        import multiprocessing, sys
        sys.path.insert(0, {str(tmp_path)!r})
        import fastnn
        from work import trained

        net = fastnn.Network.from_sizes([64, 256, 10], output="softmax", seed=0)
        fastnn.set_num_threads(2)
        expected = trained(net)
        context = multiprocessing.get_context({method!r})
        with context.Pool(2, fastnn.set_num_threads, (1,)) as pool:
            assert pool.map_async(trained, [net] * 4).get(50) == [expected] * 4
            print(pool.apply(fastnn.get_num_threads), fastnn.get_num_threads())
        """
    )
    assert printed.split() == ["1", "2"]


# ---- pickles -------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["pickle", "cloudpickle"])
def test_a_pickle_is_little_more_than_the_parameters_and_moments(module: str) -> None:
    dumps = pytest.importorskip(module).dumps
    net = Network.from_sizes([64, 512, 10], output="softmax", seed=0)
    assert len(dumps(net)) < net.parameters.nbytes + 4000
    net.fit(X, Y, epochs=1)  # Adam has two moments
    for sent in (net, net.predict):
        assert len(dumps(sent)) < 3 * net.parameters.nbytes + 4000


def test_networks_and_estimators_with_callbacks_of_a_script_go_to_workers() -> None:
    cloudpickle = pytest.importorskip("cloudpickle")
    mlp = pytest.importorskip("fastnn.sklearn").MLPClassifier
    seen: list[int] = []
    estimator = mlp(max_iter=3, random_state=0, callbacks=lambda net, epoch, m: seen.append(epoch))
    twin = pickle.loads(cloudpickle.dumps(estimator))
    with pytest.warns(UserWarning, match="not converged"):
        estimator.fit(X, Y)
    assert seen == [1, 2, 3]
    with pytest.warns(UserWarning, match="not converged"):
        twin.fit(X, Y)
    assert twin.network_.parameters.tobytes() == estimator.network_.parameters.tobytes()
    assert seen == [1, 2, 3]  # the list of the twin is its own


# ---- searches ------------------------------------------------------------------------------------


def test_searches_on_workers_give_what_one_process_gives(
    run_script: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("distributed")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    printed = run_script(
        """
        import warnings
        import joblib
        import numpy as np
        from dask.distributed import Client, LocalCluster
        from sklearn.model_selection import GridSearchCV
        import fastnn
        from fastnn.datasets import load_digits
        from fastnn.sklearn import MLPClassifier

        warnings.simplefilter("ignore")
        X, y = load_digits()
        grid = {"alpha": [1e-4, 1e-1], "learning_rate_init": [1e-3, 1e30]}  # half of them diverge

        def threads_told(estimator, X, y):
            fit, told = fastnn.Network.fit, []
            fastnn.Network.fit = lambda *_, threads, **__: told.append(threads) or fit(*_, **__)
            estimator.fit(X, y)
            fastnn.Network.fit = fit
            return max(told)

        def searched(**options):
            classifier = MLPClassifier(solver="sgd", max_iter=5, random_state=0, n_jobs=-1)
            options |= {"scoring": {"accuracy": "accuracy", "threads": threads_told}}
            search = GridSearchCV(classifier, grid, cv=2, refit="accuracy", **options).fit(X, y)
            scores = search.cv_results_["mean_test_accuracy"]
            assert np.isnan(scores).tolist() == [False, True, False, True], scores
            bits = search.best_estimator_.network_.parameters.tobytes()
            return (scores.tobytes(), bits), search.cv_results_["mean_test_threads"][::2].tolist()

        fastnn.set_num_threads(1)
        expected, _ = searched()
        found, threads = searched(n_jobs=max(joblib.cpu_count(), 2))
        print(found == expected, threads)
        options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
        with LocalCluster(**options) as cluster, Client(cluster), joblib.parallel_config("dask"):
            found, threads = searched()
            print(found == expected, threads)
        """,
        timeout=180,  # five processes import scikit-learn
    )
    assert printed.splitlines() == ["True [1.0, 1.0]"] * 2


def test_a_task_is_done_again_where_its_worker_of_dask_dies(
    run_script: Callable[..., str], tmp_path: Any
) -> None:
    pytest.importorskip("distributed")
    printed = run_script(f"""
        import os
        from dask.distributed import Client, LocalCluster
        import fastnn
        from fastnn.datasets import load_digits

        X, y = load_digits()

        def die_once(net, epoch, metrics):
            try:
                open({str(tmp_path / "died")!r}, "x").close()
            except FileExistsError:
                return
            os._exit(1)

        def trained(seed, callbacks=()):
            net = fastnn.Network.from_sizes([64, 32, 10], output="softmax", seed=seed)
            net.fit(X, y, epochs=2, callbacks=callbacks)
            return net.parameters.tobytes()

        options = {{"threads_per_worker": 1, "dashboard_address": None, "silence_logs": 50}}
        with LocalCluster(n_workers=2, **options) as cluster, Client(cluster) as client:
            found = client.gather(client.map(trained, range(4), callbacks=[die_once]))
        print(found == [trained(seed) for seed in range(4)])
    """)
    assert printed == "True\n"
    assert (tmp_path / "died").exists()


# ---- Optuna --------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_study_goes_on_behind_trials_that_are_pruned_or_diverge(n_jobs: int) -> None:
    optuna = pytest.importorskip("optuna")
    rates = [1e-3, 1e-2, 1e-1, 1e30]

    def objective(trial: Any) -> float:
        rate = trial.suggest_categorical("rate", rates)
        net = network()

        def prune(net: Network, epoch: int, metrics: Any) -> None:
            trial.report(metrics["loss"], epoch)
            if rate == 1e-2 and epoch == 2:
                raise optuna.TrialPruned

        try:
            history = net.fit(X, Y, epochs=3, optimizer="sgd", learning_rate=rate, callbacks=prune)
        finally:
            assert np.isfinite(net.parameters).all()
        return history["loss"][-1]

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.GridSampler({"rate": rates}))
    study.optimize(objective, n_trials=4, n_jobs=n_jobs, catch=FloatingPointError)
    by_rate = {trial.params["rate"]: trial for trial in study.trials}
    states = [by_rate[rate].state.name for rate in rates]
    assert states == ["COMPLETE", "PRUNED", "COMPLETE", "FAIL"]
    assert list(by_rate[1e-2].intermediate_values) == [1, 2]
    alone = network().fit(X, Y, epochs=3, optimizer="sgd", learning_rate=1e-1)["loss"]
    assert list(by_rate[1e-1].intermediate_values.values()) == alone


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_an_estimator_lets_its_trial_be_pruned() -> None:
    optuna = pytest.importorskip("optuna")
    mlp = pytest.importorskip("fastnn.sklearn").MLPClassifier

    def prune(net: Network, epoch: int, metrics: Any) -> None:
        if epoch == 2:
            raise optuna.TrialPruned

    classifier = mlp(max_iter=5, random_state=0, callbacks=prune)
    with pytest.raises(optuna.TrialPruned):
        classifier.fit(X, Y)
    assert classifier.predict(X[:9]).shape == (9,)


# ---- Dask arrays ---------------------------------------------------------------------------------


def test_blocks_of_dask_train_as_the_same_rows_do() -> None:
    dask = pytest.importorskip("dask")
    da = pytest.importorskip("dask.array")
    chunks = (500, 1, 700, 596)
    net, expected = network(), network()
    data, labels = da.from_array(X, chunks=(chunks, -1)), da.from_array(Y, chunks=(chunks,))
    for X_block, y_block in zip(data.blocks.ravel(), labels.blocks.ravel(), strict=True):
        net.partial_fit(*dask.compute(X_block, y_block))
    for rows in np.split(np.arange(len(X)), np.cumsum(chunks)[:-1]):
        expected.partial_fit(X[rows], Y[rows])
    assert net.parameters.tobytes() == expected.parameters.tobytes()

    classifier = net.predict_proba(X)
    found = data.map_blocks(net.predict_proba, chunks=(chunks, (10,)), dtype=np.float32)
    assert found.compute().tobytes() == classifier.tobytes()
    found = data.map_blocks(net.predict, drop_axis=1, dtype=int)
    np.testing.assert_array_equal(found.compute(), net.predict(X))


def test_a_network_trained_further_is_another_one_to_dask() -> None:
    """Dask takes equal names of tasks for equal results."""
    tokenize = pytest.importorskip("dask.base").tokenize
    net = network()
    names = [tokenize(net.predict), tokenize(net.copy().predict)]
    net.partial_fit(X, Y)
    assert names[0] == names[1] != tokenize(net.predict)


def test_a_whole_array_of_dask_is_data_too() -> None:
    da = pytest.importorskip("dask.array")
    net, expected = network(), network()
    net.fit(da.from_array(X, chunks=(500, 32)), da.from_array(Y, chunks=700), epochs=2)
    expected.fit(X, Y, epochs=2)
    assert net.parameters.tobytes() == expected.parameters.tobytes()


def test_a_block_of_some_columns_is_refused() -> None:
    da = pytest.importorskip("dask.array")
    net = network()
    before = net.parameters.tobytes()
    block = da.from_array(X, chunks=(500, 32)).blocks[0, 1]
    with pytest.raises(ValueError, match="X has 32 features, the network was built for 64"):
        net.partial_fit(block, Y[:500])
    assert net.parameters.tobytes() == before

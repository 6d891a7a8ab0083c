"""Does fastnn reach the published results of the course, and 97.5 % on MNIST?

Reads the course's cat pictures (catvnoncat/*.h5, by h5py) and mnist.npz from the folder given by
--data (../shared/data by default), and skips what is not there. The planar flower needs no file.
Exit code 1 if a figure is missed.

References
----------
A. Ng, "Neural Networks and Deep Learning", deeplearning.ai, weeks 2 to 4.
"""

import argparse
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np

from fastnn import Dense, Network
from fastnn.datasets import make_flower

Arrays = tuple[np.ndarray, np.ndarray]


def report(what: str, figure: float, bar: float, tolerance: float | None = None) -> bool:
    """Print a figure beside its bar: to be reached, or to be met within `tolerance`."""
    if tolerance is None:
        reached, wanted = figure >= bar, f"at least {bar:g}"
    else:
        reached, wanted = abs(figure - bar) <= tolerance, f"{bar:g} +- {tolerance:g}"
    print(f"{'ok  ' if reached else 'MISS'}  {what}: {figure:.4f} ({wanted})", flush=True)
    return reached


def train_full_batch(
    X: np.ndarray, y: np.ndarray, weights: list[np.ndarray], hidden: str, rate: float, epochs: int
) -> tuple[Network, list[float]]:
    """The course's training: full-batch gradient descent in float64 from zero biases.

    `weights` are in the course's layout, (n_out, n_in).
    """
    layers = [Dense(len(w), hidden) for w in weights[:-1]] + [Dense(1, "sigmoid")]
    net = Network(layers, n_features=X.shape[1], dtype="float64", seed=0)
    net.parameters[...] = 0.0
    for view, w in zip(net.weights, weights, strict=True):
        view[...] = w.T
    history = net.fit(X, y, epochs=epochs, batch_size=None, optimizer="sgd", learning_rate=rate)
    return net, history["loss"]


def normal_weights(sizes: list[int], scale: float | None) -> list[np.ndarray]:
    """Normal with the given standard deviation, or 1 / sqrt(n_in), in the order of the layers."""
    rng = np.random.RandomState(1)
    return [
        rng.randn(n_out, n_in) * (1 / np.sqrt(n_in) if scale is None else scale)
        for n_in, n_out in pairwise(sizes)
    ]


def load_cats(folder: Path) -> tuple[Arrays, Arrays]:
    import h5py

    def load(part: str) -> Arrays:
        with h5py.File(folder / f"{part}_catvnoncat.h5") as file:
            X, y = file[f"{part}_set_x"][:], file[f"{part}_set_y"][:]
        return X.reshape(len(X), -1) / 255, y

    return load("train"), load("test")


def cats(folder: Path) -> bool:
    (X, y), (X_test, y_test) = load_cats(folder)
    runs = [
        # name, weights, learning rate, epochs, training and test accuracy in the course
        ("logistic regression", [np.zeros((1, 12288))], 0.005, 2000, 0.99, 0.70),
        ("12288-7-1", normal_weights([12288, 7, 1], 0.01), 0.0075, 2500, 1.00, 0.72),
        ("12288-20-7-5-1", normal_weights([12288, 20, 7, 5, 1], None), 0.0075, 2500, 0.985, 0.80),
    ]
    reached = []
    for name, weights, rate, epochs, accuracy, test_accuracy in runs:
        net, losses = train_full_batch(X, y, weights, "relu", rate, epochs)
        if name == "12288-20-7-5-1":
            reached.append(report(f"cats, {name}, cost at iteration 0", losses[0], 0.7717, 1e-4))
        for what, data, bar in (
            ("training", (X, y), accuracy),
            ("test", (X_test, y_test), test_accuracy),
        ):
            # One of the 209 or 50 pictures is 0.005 or 0.02.
            figure = net.evaluate(*data)["accuracy"]
            step = 1.01 / len(data[1])
            reached.append(report(f"cats, {name}, {what} accuracy", figure, bar, step))
    return all(reached)


def flower() -> bool:
    X, y = make_flower()
    hidden = [np.random.RandomState(2).randn(4, 2) * 0.01, np.zeros((1, 4))]
    net, _ = train_full_batch(X, y, hidden, "tanh", 1.2, 10_000)
    straight, _ = train_full_batch(X, y, [np.zeros((1, 2))], "tanh", 1.2, 10_000)
    return all(
        [
            report("flower, 2-4-1, accuracy", net.evaluate(X, y)["accuracy"], 0.90),
            report("flower, logistic regression", straight.evaluate(X, y)["accuracy"], 0.47, 0.01),
        ]
    )


def mnist(path: Path) -> bool:
    with np.load(path) as file:
        X, y, X_test, y_test = (file[k] for k in ("x_train", "y_train", "x_test", "y_test"))
    X, X_test = (images.reshape(len(images), -1).astype(np.float32) / 255 for images in (X, X_test))
    net = Network([Dense(128, "relu"), Dense(10, "softmax")], n_features=784, seed=0)
    net.fit(X, y, epochs=10, batch_size=128, optimizer="adam", learning_rate=2e-3, progress=True)
    return report("MNIST, 784-128-10, accuracy", net.evaluate(X_test, y_test)["accuracy"], 0.975)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), metavar="DIR")
    data: Path = parser.parse_args().data
    reached = [flower()]
    for run, path in ((cats, data / "catvnoncat"), (mnist, data / "mnist.npz")):
        if path.exists():
            reached.append(run(path))
        else:
            print(f"skip  {run.__name__}: there is no {path}")
    return int(not all(reached))


if __name__ == "__main__":
    sys.exit(main())

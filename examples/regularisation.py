"""Overfitting, and what L2 and dropout do about it: the example of the course's second course.

    python examples/regularisation.py --output borders.png

Two classes of 200 noisy points have a diagonal as their border. A network of 20 and 3 relu units
is trained on all of them at once (2-20-3-1, gradient descent at a learning rate of 0.3), three
times: as it is, with the course's L2 (lambda 0.7), and with its dropout (keep_prob 0.86). Without
either it draws its border around single points: it is better on the points it has seen, and worse
on 2,000 others.

A share is the mean over five networks from other initial weights, as one of them may be lucky.

References
----------
A. Ng, K. Katanforoosh and Y. Bensouda Mourri, "Improving deep neural networks", week 1,
"Regularization", Coursera.
"""

import argparse
from pathlib import Path

import numpy as np

from fastnn import Dense, Dropout, Network, plots
from fastnn.datasets import make_halves

LAMBDA, KEEP_PROB = 0.7, 0.86
SEEDS = range(5)


def train(seed: int, iterations: int, l2: float = 0.0, rate: float = 0.0) -> Network:
    """A network that has seen the training set `iterations` times; a rate of 0 drops nothing."""
    X, y = make_halves()
    layers = [Dense(20, "relu"), Dropout(rate), Dense(3, "relu"), Dropout(rate)]
    net = Network([*layers, Dense(1, "sigmoid")], n_features=2, seed=seed)
    net.fit(X, y, epochs=iterations, batch_size=None, optimizer="sgd", learning_rate=0.3, l2=l2)
    return net


def run(iterations: int) -> tuple[dict[str, tuple[float, float]], dict[str, Network]]:
    """Training and test accuracy of each cure by its name, and one of its networks."""
    training, test = make_halves(), make_halves(2000, seed=1)
    cures = {
        "neither": {},
        f"L2, lambda {LAMBDA}": {"l2": LAMBDA},
        f"dropout, keep_prob {KEEP_PROB}": {"rate": 1 - KEEP_PROB},
    }
    shares, first = {}, {}
    for name, cure in cures.items():
        nets = [train(seed, iterations, **cure) for seed in SEEDS]
        first[name] = nets[0]
        shares[name] = tuple(
            float(np.mean([net.evaluate(*data)["accuracy"] for net in nets]))
            for data in (training, test)
        )
    return shares, first


def draw(nets: dict[str, Network], path: Path) -> None:
    """The borders of the networks, side by side; needs the extra `plot`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8 * len(nets), 4.2), layout="constrained")
    axes = figure.subplots(1, len(nets))
    for ax, (name, net) in zip(axes, nets.items(), strict=True):
        plots.decision_boundary(net, *make_halves(), ax)
        ax.set_title(name)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=10_000, metavar="N")
    parser.add_argument("--output", type=Path, metavar="FILE", help="where to draw the borders")
    arguments = parser.parse_args()
    shares, nets = run(arguments.iterations)
    print(f"{'accuracy':<24}{'training':>10}{'test':>8}")
    for name, (of_training, of_test) in shares.items():
        print(f"{name:<24}{of_training:>10.1%}{of_test:>8.1%}")
    if arguments.output is not None:
        draw(nets, arguments.output)


if __name__ == "__main__":
    main()

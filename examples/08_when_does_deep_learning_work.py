# %% [markdown]
# # When does deep learning work?
#
# There is a famous picture of deep learning. To the right grows the amount of data, upwards the
# accuracy. An old method rises and levels off. A small network levels off higher, a larger one
# higher still. To the left, with few data, the lines lie in a heap.
#
# The picture is mostly drawn by hand. Here it is measured: on generated data, of which there is as
# much as we like, and on digits.

# %%
import matplotlib.pyplot as plt
import numpy as np

from fastnn import EarlyStopping, Network, fit_many
from fastnn.datasets import load_digits

# %% [markdown]
# ## A question with easy and hard parts
#
# Sixteen numbers between -1 and 1, and a yes or no. Part of the answer is a weighted sum, which
# logistic regression can learn. Part of it is products and a wave, which it cannot. Some noise is
# in it, too, so that nobody can be right always.


# %%
def make(n, seed):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (n, 16)).astype(np.float32)
    easy = X[:, 8:] @ [1.5, -1.5, 1.2, -1.2, 0.9, -0.9, 0.6, -0.6]
    hard = 3 * X[:, 0] * X[:, 1] + 2 * np.sin(4 * X[:, 2]) * X[:, 3]
    harder = 4 * X[:, 4] * X[:, 5] * np.sign(X[:, 6])
    sums = easy + hard + harder
    return X, (sums + rng.logistic(0, 0.2, n) > 0).astype(np.int64), sums > 0


X, y, _ = make(30_000, seed=0)
X_test, y_test, known = make(10_000, seed=1)
best_possible = np.mean(known == y_test)
print(f"{len(X):,} samples; who knows the rule is right in {best_possible:.1%}")

# %% [markdown]
# ## The contestants
#
# A network without a hidden layer is logistic regression. The others have more and more units.

# %%
hidden = {
    "logistic regression": [],
    "small network (8)": [8],
    "medium network (32)": [32],
    "large network (128, 128)": [128, 128],
}
amounts = [100, 300, 1000, 3000, 10_000, 30_000]
n_seeds = 4
for name, units in hidden.items():
    print(f"{name:<26}{Network.from_sizes([16, *units, 1]).n_parameters:>7,} parameters")

# %% [markdown]
# ## Rules of an honest race
#
# - All get the same rows. A seed draws the rows and the initial weights; there are four.
# - All get the same recipe: a fifth of the rows is held out, and training stops when the loss on
#   these no longer improves. No one is tuned by hand.
# - The test rows are the same for all, and nobody trains on them.
#
# `fit_many` trains the four seeds side by side. `rows` says which rows each network gets.


# %%
def recipe(n):
    batch_size = 32 if n < 3000 else 128
    epochs = int(np.clip(4000 * batch_size / n, 15, 200))
    stop = EarlyStopping(patience=max(5, epochs // 8))
    return {"epochs": epochs, "batch_size": batch_size, "callbacks": stop}


def accuracies(units, n):
    """Of networks from several seeds, trained on n rows each."""
    nets = [Network.from_sizes([16, *units, 1], seed=seed) for seed in range(n_seeds)]
    rows = [np.random.default_rng(seed).permutation(len(X))[:n] for seed in range(n_seeds)]
    fit_many(nets, X, y, rows=rows, learning_rate=3e-3, validation_split=0.2, **recipe(n))
    return [net.evaluate(X_test, y_test)["accuracy"] for net in nets]


# %% [markdown]
# ## The race
#
# Each entry of the table is the mean over the seeds.

# %%
scores = {name: np.array([accuracies(units, n) for n in amounts]) for name, units in hidden.items()}
print(f"{'samples':<26}" + "".join(f"{n:>8,}" for n in amounts))
for name, of_amount in scores.items():
    print(f"{name:<26}" + "".join(f"{share:>8.1%}" for share in of_amount.mean(axis=1)))

# %% [markdown]
# Trees are the usual rival on tables. If scikit-learn is installed, its gradient boosting races,
# too, with its own defaults, from two seeds.

# %%
try:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits
except ImportError:
    print("scikit-learn is not installed: without trees")
else:
    trees = np.empty((len(amounts), 2))
    with threadpool_limits(1):
        for i, n in enumerate(amounts):
            for seed in range(2):
                rows = np.random.default_rng(seed).permutation(len(X))[:n]
                model = HistGradientBoostingClassifier(random_state=seed).fit(X[rows], y[rows])
                trees[i, seed] = model.score(X_test, y_test)
    scores["gradient-boosted trees"] = trees

# %% [markdown]
# ## The picture
#
# The bars are the standard deviation over the seeds.


# %%
def draw(scores, amounts, title):
    _, ax = plt.subplots(figsize=(7.5, 4.6), layout="constrained")
    for name, of_amount in scores.items():
        style = "--" if "trees" in name else "-"
        mean, std = 100 * of_amount.mean(axis=1), 100 * of_amount.std(axis=1)
        ax.errorbar(amounts, mean, std, fmt="o" + style, capsize=3, label=name)
    ax.set(title=title, xlabel="samples for training", ylabel="test accuracy (%)")
    ax.set_xscale("log")
    return ax


ax = draw(scores, amounts, "Accuracy against amount of data")
ax.axhline(100 * best_possible, color="k", linewidth=1, linestyle=":", label="best possible")
_ = ax.legend(fontsize="small")

# %% [markdown]
# It is the famous picture.
#
# - Logistic regression levels off first. It has learnt the sum, and more samples of what it cannot
#   say do not help.
# - The larger the network, the later it levels off, and the higher.
# - With 100 samples the large network has no advantage.
# - Trees cut along the axes. The products of this rule do not suit them. There are questions where
#   it is the other way round: rules that jump.

# %%
mean = {name: of_amount.mean(axis=1) for name, of_amount in scores.items()}
simple, large = mean["logistic regression"], mean["large network (128, 128)"]
assert simple[-1] - simple[2] < 0.03
assert large[-1] > mean["medium network (32)"][-1] > mean["small network (8)"][-1] > simple[-1]
assert large[0] < simple[0] + 0.02

# %% [markdown]
# ## Where do the lines cross?
#
# Between two amounts the lines are straight in the logarithm of the amount.


# %%
def crossing(later, earlier):
    """The amount from which on `later` is ahead."""
    ahead = later - earlier
    i = int(np.flatnonzero(ahead <= 0).max(initial=-1))  # the last amount where it is not
    if i in (-1, len(ahead) - 1):
        return "ahead from the start" if i == -1 else "never ahead"
    share = ahead[i] / (ahead[i] - ahead[i + 1])
    n = amounts[i] * (amounts[i + 1] / amounts[i]) ** share
    return f"ahead from about {float(f'{n:.1g}'):,.0f} samples on"


for name in list(mean)[1:]:
    print(f"{name:<26}{crossing(mean[name], simple)}  (beside logistic regression)")

# %% [markdown]
# Where they cross is a matter of the question. A question that is all weighted sum has no
# crossing: logistic regression has the right form, and stays ahead.
#
# ## What does more data buy?
#
# Look at what is missing to the best possible accuracy, on two logarithmic axes. A method that
# levels off becomes flat there. One that goes on learning falls in about a straight line: so many
# times the data, so many times fewer of the mistakes that can be avoided.

# %%
figure, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
for name, of_amount in mean.items():
    ax.loglog(amounts, 100 * (best_possible - of_amount), "o-", label=name)
ax.set(title="Mistakes that could be avoided", xlabel="samples for training")
ax.set(ylabel="mistakes beyond the noise (%)", yticks=[5, 10, 20, 30], yticklabels=[5, 10, 20, 30])
ax.minorticks_off()
ax.legend(fontsize="small")

for name, of_amount in mean.items():
    missing = best_possible - of_amount
    factor = missing[-1] / missing[-2]
    print(f"{name:<26}the last step, three times the data, leaves {factor:.0%} of them")

# %% [markdown]
# This is the reason to draw such a curve before paying for data. If the last points are flat, more
# of the same will not help, and a larger network may. If they still fall, data help.
#
# ## The same on digits
#
# 1,797 images of digits, of which 500 are for the test. Two seeds more, as the amounts are small.

# %%
images, classes = load_digits()
order = np.random.default_rng(0).permutation(len(images))
test, pool = order[:500], order[500:]
digit_amounts = [40, 80, 160, 320, 640, 1280]
n_seeds = 6


def digit_accuracies(units, n):
    nets = [Network.from_sizes([64, *units, 10], output="softmax", seed=i) for i in range(n_seeds)]
    rows = [np.random.default_rng(i).permutation(pool)[:n] for i in range(n_seeds)]
    epochs = int(np.clip(2000 * 32 / n, 60, 300))
    fit_many(nets, images, classes, rows=rows, epochs=epochs, batch_size=32, learning_rate=3e-3)
    return [net.evaluate(images[test], classes[test])["accuracy"] for net in nets]


# %%
of_digits = {
    name: np.array([digit_accuracies(units, n) for n in digit_amounts])
    for name, units in hidden.items()
}
ax = draw(of_digits, digit_amounts, "The same four on digits")
_ = ax.legend(fontsize="small")

# %% [markdown]
# Here the large network is ahead with few samples already, and all lines are close. The pixels of
# small digits are nearly a question for a weighted sum. The network with eight units is below
# logistic regression: ten classes must pass through eight numbers.

# %%
last = {name: of_amount[-1].mean() for name, of_amount in of_digits.items()}
assert last["large network (128, 128)"] > last["logistic regression"]
assert last["small network (8)"] < last["large network (128, 128)"]

# %% [markdown]
# ## What to take home
#
# - A large network pays where there are many data, *and* a rule that simpler methods cannot say.
# - With few data, try the simple method first. The difference between seeds may be larger than
#   that between methods.
# - The curve of your own data tells more than any rule: train on a tenth, a third, all of it.
#
# ## Questions to try
#
# Each takes a line or two. An `assert` that fails then is an answer, too.
#
# 1. Multiply `easy` by 3 in `make`. Where do the lines cross now? With 0?
# 2. Set the scale of the noise (0.2) to 2. Does the large network still pay?
# 3. Give the large network `l2=1.0` in `accuracies`. What does it change with 300 samples, and
#    with 30,000?
# 4. Add a contestant of two layers of 16 units. Is it depth or size that counts here?
# 5. Take `n_seeds = 1`. Would you draw the same conclusions?

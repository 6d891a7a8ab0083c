# %% [markdown]
# # Uncertainty: quantiles and ensembles
#
# A prediction without its uncertainty is half an answer. There are two reasons to be unsure:
#
# - *The world is noisy.* The same inputs come with different answers. More data do not help.
# - *We have seen too little.* Nobody knows what happens where there are no data. More data do
#   help.
#
# Quantiles measure the first, ensembles the second. This notebook shows both, and counts how often
# they are right.

# %%
import matplotlib.pyplot as plt
import numpy as np

import fastnn
from fastnn import Dense, Ensemble, Network, fit_many, plots
from fastnn.datasets import load_digits, make_moons, train_test_split

# %% [markdown]
# ## Data whose noise we know
#
# One input, one answer. The noise grows from left to right. There are no data between 0.5 and 1.5,
# and none outside of -3 and 3.


# %%
def curve(x):
    return np.sin(1.5 * x)


def noise(x):
    return 0.05 + 0.08 * (np.clip(x, -3, 3) + 3)


def make(n, seed, gap=True):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-3, 3, 2 * n)
    if gap:
        x = x[(x < 0.5) | (x > 1.5)]
    x = x[:n]
    return x[:, np.newaxis], curve(x) + noise(x) * rng.standard_normal(n)


# %%
X, y = make(200, seed=0)
figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
x = np.linspace(-5, 5, 401)
ax.plot(X, y, ".", color="grey", markersize=4, label="training points")
ax.plot(x, curve(x), "k--", linewidth=1, label="without the noise")
ax.set(title="Noise that grows, and a gap", xlabel="x", ylabel="y", ylim=(-4, 4))
_ = ax.legend()

# %% [markdown]
# ## 1. Quantiles: how noisy is the world?
#
# The usual loss, of squares, makes a network predict the mean. The quantile loss makes it predict
# the value that a given share of the answers stays below. It charges errors on the two sides
# differently: for the quantile 0.95, an answer above the prediction costs 19 times as much as one
# below.

# %%
error = np.linspace(-1, 1, 201)  # the answer minus the prediction
figure, ax = plt.subplots(figsize=(5, 3), layout="constrained")
for share in (0.05, 0.5, 0.95):
    ax.plot(error, np.maximum(share * error, (share - 1) * error), label=f"quantile {share}")
ax.set(title="The quantile loss", xlabel="answer minus prediction", ylabel="loss")
_ = ax.legend()

# %% [markdown]
# Three outputs with three quantiles: a lower limit, the median, an upper limit. Between the limits
# there should be 90 % of the answers.

# %%
shares = [0.05, 0.5, 0.95]
body = [Dense(32, "tanh"), Dense(32, "tanh")]
net = Network([*body, Dense(3)], n_features=1, loss=fastnn.Quantile(shares), seed=0)
recipe = {"epochs": 500, "batch_size": 64, "learning_rate": fastnn.CosineDecay(0.01)}
net.fit(X, y, **recipe)
low, median, high = net.predict(x[:, np.newaxis]).T


# %%
def draw_data(ax, title):
    ax.plot(X, y, ".", color="grey", markersize=3)
    ax.plot(x, curve(x), "k--", linewidth=1)
    ax.set(title=title, xlabel="x", ylabel="y", ylim=(-4, 4))


figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
draw_data(ax, "Three quantiles")
ax.fill_between(x, low, high, color="tab:blue", alpha=0.25, label="0.05 to 0.95")
ax.plot(x, median, color="tab:blue", label="median")
_ = ax.legend()

# %% [markdown]
# ### Count
#
# A claim of 90 % can be counted: on points that the network has not seen.

# %%
X_new, y_new = make(10_000, seed=1)
low, median, high = net.predict(X_new).T
inside = (low <= y_new) & (y_new <= high)
print(f"claimed: 90 %; counted: {inside.mean():.1%} of {len(y_new):,} new points")
assert 0.8 < inside.mean() < 0.95
assert np.mean(low > high) < 0.01  # nothing forbids the quantiles to cross; they hardly do

# %% [markdown]
# The count is a little below the claim. The limits were fitted to 200 points, and fit these better
# than others, like any other prediction.
#
# Nine in ten of all points can still be wrong in each place. So count by place, too. Beside it is
# a plain band: the prediction of the usual loss, plus and minus one number for all places.

# %%
plain = Network([*body, Dense(1)], n_features=1, seed=0)
plain.fit(X, y, **recipe)
width = np.quantile(np.abs(y - plain.predict(X)), 0.9)
inside_plain = np.abs(y_new - plain.predict(X_new)) < width

edges = np.linspace(-3, 3, 13)
place = np.digitize(X_new[:, 0], edges) - 1
middle = (edges[:-1] + edges[1:]) / 2
seen = np.bincount(place, minlength=12) > 0  # the gap has no points

# %%
figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
for hits, label, shift in [(inside, "quantiles", -0.1), (inside_plain, "one width", 0.1)]:
    share = [hits[place == i].mean() for i in np.flatnonzero(seen)]
    ax.bar(middle[seen] + shift, share, width=0.2, label=label)
ax.axhline(0.9, color="k", linewidth=1)
ax.set(title="How many are inside, by place", xlabel="x", ylabel="share inside", ylim=(0.5, 1))
_ = ax.legend(loc="lower left")

# %% [markdown]
# One width for all is too wide on the left, where it catches everything, and too narrow on the
# right. The quantiles follow the noise.
#
# ### Mend the count
#
# Points that were held back can mend what is missing. How far must the limits move apart so that
# 90 % of 300 such points are inside?

# %%
X_held, y_held = make(300, seed=2)
low_held, _, high_held = net.predict(X_held).T
excess = np.maximum(low_held - y_held, y_held - high_held)
move = np.quantile(excess, 0.9)
mended = (low - move <= y_new) & (y_new <= high + move)
print(f"limits moved by {move:+.3f}; counted now: {mended.mean():.1%}")
assert abs(mended.mean() - 0.9) < 0.05

# %% [markdown]
# ## 2. Ensembles: what have we not seen?
#
# Look at the picture of the quantiles again. In the gap and outside of the data, the limits look
# as sure of themselves as elsewhere. They have learnt the noise of the data, and where there are
# no data they say anything.
#
# An ensemble is several networks that differ by chance: other initial weights, and other rows,
# drawn with replacement. Where the data tell, the networks agree. Elsewhere they have no reason
# to. (Three layers of relu units are less smooth than tanh, so they disagree more readily.)

# %%
free = [Dense(32, "relu"), Dense(32, "relu"), Dense(32, "relu")]
members = [Network([*free, Dense(1)], n_features=1, seed=i) for i in range(20)]
rng = np.random.default_rng(0)
rows = [rng.integers(0, len(X), len(X)) for _ in members]
fit_many(members, X, y, rows=rows, **recipe)
ensemble = Ensemble(members)
mean, spread = ensemble.predict(x[:, np.newaxis], return_std=True)

# %%
figure, axes = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained", sharey=True)
draw_data(axes[0], "Twenty networks")
for member in members:
    axes[0].plot(x, member.predict(x[:, np.newaxis]), color="tab:orange", linewidth=0.7)
draw_data(axes[1], "Their mean, and twice their spread")
axes[1].plot(x, mean, color="tab:orange")
_ = axes[1].fill_between(x, mean - 2 * spread, mean + 2 * spread, color="tab:orange", alpha=0.25)

# %% [markdown]
# The spread is the standard deviation over the members. It grows in the gap, and more outside of
# the data. Outside it is still too small: the dashed line leaves the band. All twenty go on in a
# straight line, and the curve does not.

# %%
places = {
    "among the data": ((x > -2.8) & (x < 0.3)) | ((x > 1.7) & (x < 2.8)),
    "in the gap": (x > 0.7) & (x < 1.3),
    "outside": np.abs(x) > 3.5,
}
of_place = {name: spread[where].mean() for name, where in places.items()}
for name, value in of_place.items():
    print(f"mean spread {name:<15} {value:.3f}")
assert of_place["outside"] > 3 * of_place["among the data"]

# %% [markdown]
# ### What the spread is not
#
# It is not the noise. Twenty networks agree on the mean of noisy answers, and the answers are
# noisy all the same. As limits for answers, the spread is far too narrow.

# %%
mean_new, spread_new = ensemble.predict(X_new, return_std=True)
within = np.abs(y_new - mean_new) < 1.64 * spread_new
print(f"answers within 1.64 spreads, where a normal law has 90 %: {within.mean():.1%}")
assert within.mean() < 0.6

# %% [markdown]
# Both together: an ensemble of quantile networks. Its mean limits have the noise, their spread has
# what was not seen. Here the limits are moved outwards by 1.64 times the spread.

# %%
loss = fastnn.Quantile(shares)
members = [Network([*free, Dense(3)], n_features=1, loss=loss, seed=i) for i in range(10)]
fit_many(members, X, y, rows=rows[:10], **recipe)
limits, spreads = Ensemble(members).predict(x[:, np.newaxis], return_std=True)
low, median, high = limits.T
outer = low - 1.64 * spreads[:, 0], high + 1.64 * spreads[:, 2]

figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
draw_data(ax, "Noise (dark), and what was not seen (light)")
ax.fill_between(x, *outer, color="tab:green", alpha=0.2)
_ = ax.fill_between(x, low, high, color="tab:green", alpha=0.4)

# %% [markdown]
# Do the limits hold in the gap, now that we look there?

# %%
X_gap, y_gap = make(10_000, seed=3, gap=False)
in_gap = (X_gap[:, 0] > 0.5) & (X_gap[:, 0] < 1.5)
X_gap, y_gap = X_gap[in_gap], y_gap[in_gap]
limits, spreads = Ensemble(members).predict(X_gap, return_std=True)
for name, factor in {"mean limits": 0, "moved by 1.64 spreads": 1.64}.items():
    bottom, top = limits[:, 0] - factor * spreads[:, 0], limits[:, 2] + factor * spreads[:, 2]
    print(f"{name:<22} {np.mean((bottom <= y_gap) & (y_gap <= top)):.1%} inside, in the gap")

# %% [markdown]
# No method can promise a share where there are no data. The spread is a warning, not a
# measurement.
#
# ## 3. Classes: is 90 % right nine times in ten?
#
# A classifier has probabilities, so it seems to tell its uncertainty already. That can be counted,
# too: of all points to which it gives 90 %, nine in ten should belong to the class. A classifier
# for which that holds is called *calibrated*.
#
# Two moons with much noise, 200 points, and three classifiers: a large network trained for long,
# an ensemble of ten such, and a large network with an L2 penalty.

# %%
moons, new_moons = make_moons(200, noise=0.35, seed=0), make_moons(5000, noise=0.35, seed=1)


def large(seed):
    return Network([Dense(64, "relu"), Dense(64, "relu"), Dense(1, "sigmoid")], 2, seed=seed)


recipe = {"epochs": 1000, "batch_size": 32, "learning_rate": 2e-3}
members = [large(seed) for seed in range(10)]
rng = np.random.default_rng(0)
fit_many(members, *moons, rows=[rng.integers(0, 200, 200) for _ in members], **recipe)
alone, calm = large(0), large(0)
alone.fit(*moons, **recipe)
calm.fit(*moons, l2=0.3, **recipe)
classifiers = {"one network": alone, "ensemble of ten": Ensemble(members), "with L2": calm}

# %%
figure, axes = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
for ax, (name, classifier) in zip(axes, classifiers.items(), strict=True):
    plots.calibration(new_moons[1], classifier.predict_proba(new_moons[0]), ax)
    ax.set_title(name)

# %% [markdown]
# A curve flatter than the diagonal is one that is too sure of itself. The accuracy does not show
# that, the loss on new points does.

# %%
losses = {}
for name, classifier in classifiers.items():
    found = classifier.evaluate(*new_moons)
    losses[name] = found["loss"]
    print(f"{name:<16} accuracy {found['accuracy']:.1%}   loss {found['loss']:.3f}")
assert losses["one network"] > losses["ensemble of ten"] > losses["with L2"]

# %% [markdown]
# ### Where it is unsure
#
# On the left: the probability of one network, which jumps from 0 to 1. In the middle: the mean of
# ten. On the right: their spread. It is large along the border.

# %%
g0, g1 = np.meshgrid(np.linspace(-3, 4, 120), np.linspace(-3, 3.5, 120))
grid = np.column_stack([g0.ravel(), g1.ravel()])
_, spread = classifiers["ensemble of ten"].predict(grid, return_std=True)
surfaces = {
    "one network": alone.predict_proba(grid),
    "mean of ten": classifiers["ensemble of ten"].predict_proba(grid),
    "spread of ten": spread,
}
figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained", sharey=True)
for ax, (name, values) in zip(axes, surfaces.items(), strict=True):
    mesh = ax.pcolormesh(g0, g1, values.reshape(g0.shape), cmap="viridis")
    ax.scatter(*moons[0].T, c=moons[1], cmap="gray", s=6)
    ax.set(title=name, xlabel="x0")
    figure.colorbar(mesh, ax=ax)
_ = axes[0].set_ylabel("x1")

# %% [markdown]
# Note what is missing: far from all points, at the lower right, all ten are sure. A classifier
# extends its border into the unknown, and away from it the answers agree. The spread of an
# ensemble does not find everything that is new.
#
# ## 4. What it is good for: passing on the hard ones
#
# A reader of forms may leave doubtful digits to a person. How good is the rest? The digits are
# sorted by the largest mean probability of five small networks.

# %%
digits, digits_new, classes, classes_new = train_test_split(*load_digits(), test_size=0.5)
members = [Network.from_sizes([64, 16, 10], output="softmax", seed=i) for i in range(5)]
fit_many(members, digits, classes, epochs=40, learning_rate=1e-2)
probabilities = Ensemble(members).predict_proba(digits_new)
surest_first = np.argsort(-probabilities.max(axis=1))
right = (probabilities.argmax(axis=1) == classes_new)[surest_first]
answered = np.arange(1, len(right) + 1)
mistakes = 1 - np.cumsum(right) / answered

# %%
figure, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
ax.plot(100 * answered / len(right), 100 * mistakes)
ax.set(title="Mistakes among the answers that are given", ylabel="mistakes (%)")
ax.set(xlabel="share of the digits that are answered (%), the surest first")
for share in (1.0, 0.95, 0.9, 0.8):
    n = round(share * len(right))
    print(f"{share:.0%} answered: {n - right[:n].sum()} mistakes in {n} digits")
assert mistakes[round(0.8 * len(right))] < mistakes[-1] / 2

# %% [markdown]
# ## Questions to try
#
# Each takes a line or two. An `assert` that fails then is an answer, too.
#
# 1. Train the quantile network on 60 points, and on 6,000. How far is the count from 90 %?
# 2. Take `shares = [0.25, 0.5, 0.75]`. What must the count be now, and is it?
# 3. An ensemble of 3 members instead of 20: where does the spread become unreliable?
# 4. Leave out `rows=rows`, so that the members differ by their initial weights alone. Does the
#    spread in the gap change?
# 5. Use tanh instead of relu in `free`. How do the twenty networks go on outside of the data?
# 6. How strong must `l2` be for the moons to be calibrated, and when is it too strong?

# %% [markdown]
# # One hidden layer, and a flower
#
# A single neuron draws a straight line between two classes.
# Many classes cannot be told apart by a line.
# A hidden layer bends it.
# This notebook shows what a line cannot do, what a few hidden units can, and what too many do.

# %%
import matplotlib.pyplot as plt
import numpy as np

from fastnn import Dense, Network, fit_many, plots
from fastnn.datasets import make_circles, make_flower, make_moons, make_spirals

# %% [markdown]
# ## The flower
#
# There are 400 points in the plane, on petals of two classes in turn.
# `X` has a row for each point and a column for each coordinate.

# %%
X, y = make_flower()
print("X", X.shape, " y", y.shape, " classes", np.unique(y))

figure, ax = plt.subplots(figsize=(4.4, 4), layout="constrained")
for label in (0, 1):
    ax.scatter(*X[y == label].T, s=14, label=f"class {label}")
ax.legend()
_ = ax.set(title="The flower", xlabel="x0", ylabel="x1", aspect="equal")

# %% [markdown]
# ## A line is not enough
#
# Logistic regression is a network without a hidden layer.
# Its border is where `w0 x0 + w1 x1 + b = 0`, which is a straight line.
# About half of its answers are wrong: guessing does as well.

# %%
line = Network.from_sizes([2, 1], seed=0)
line.fit(X, y, epochs=1000, batch_size=None, optimizer="sgd", learning_rate=0.1)
of_line = line.evaluate(X, y)["accuracy"]

figure, ax = plt.subplots(figsize=(5, 4), layout="constrained")
ax.set_title(f"No hidden layer: {of_line:.1%} right")
ax = plots.decision_boundary(line, X, y, ax)

# %% [markdown]
# ## Four hidden units
#
# The hidden layer has four units with tanh.
# Each of them draws a line of its own, with a soft border.
# The output unit is a logistic regression again: its inputs are the four hidden units, not `X`.

# %%
net = Network([Dense(4, "tanh"), Dense(1, "sigmoid")], n_features=2, seed=3)
print(net.summary())
figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
figure.suptitle("Two inputs, four hidden units, one output")
ax = plots.network(net, ax)

# %% [markdown]
# The network is trained on all points at once: 10,000 steps downhill.
# We stop four times on the way and look at the border.
# `fit` goes on from where the network is.

# %%
figure, axes = plt.subplots(2, 2, figsize=(8.6, 7), layout="constrained")
figure.suptitle("The border bends while the network learns")
options = {"batch_size": None, "optimizer": "sgd", "learning_rate": 1.2}
costs, done = [], 0
for ax, epochs in zip(axes.flat, (10, 200, 1000, 10_000), strict=True):
    costs += net.fit(X, y, epochs=epochs - done, **options)["loss"]
    done = epochs
    plots.decision_boundary(net, X, y, ax)
    ax.set_title(f"after {epochs:,} epochs: {net.evaluate(X, y)['accuracy']:.1%} right")

# %% [markdown]
# The cost falls quickly at first, and slowly later.
# The axis of the epochs is logarithmic: each label is ten times the one before.

# %%
figure, ax = plt.subplots(figsize=(5.6, 3.2), layout="constrained")
ax.plot(np.arange(1, len(costs) + 1), costs)
_ = ax.set(title="Learning curve", xlabel="epoch", ylabel="cost", xscale="log")
of_four = net.evaluate(X, y)["accuracy"]
print(f"after {len(costs):,} epochs: cost {costs[-1]:.3f}, {of_four:.1%} right")

# %% [markdown]
# ## What each hidden unit sees
#
# `net.forward` gives the activations of every layer.
# We ask for those of the hidden layer on a grid over the plane.
# Red is +1, blue is -1, and white is the line of the unit.

# %%
side = np.linspace(-4.5, 4.5, 120)
grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
hidden, output = net.forward(grid)

figure, axes = plt.subplots(1, 4, figsize=(11, 3.1), layout="constrained", sharey=True)
figure.suptitle("The four hidden units")
extent = (-4.5, 4.5, -4.5, 4.5)
for unit, ax in enumerate(axes):
    values = hidden[:, unit].reshape(120, 120)
    image = ax.imshow(values, origin="lower", extent=extent, cmap="RdBu_r", vmin=-1, vmax=1)
    ax.set(title=f"unit {unit}", xlabel="x0")
axes[0].set_ylabel("x1")
_ = figure.colorbar(image, ax=axes, label="activation")

# %% [markdown]
# Nobody told the units what to look for.
# The output adds them up, each with a weight, and its border is the bent one above.

# %%
figure, ax = plt.subplots(figsize=(4.8, 3.8), layout="constrained")
image = ax.imshow(output.reshape(120, 120), origin="lower", extent=extent, cmap="RdBu_r")
ax.scatter(*X.T, c=y, s=8, cmap="gray", edgecolors="black", linewidths=0.4)
figure.colorbar(image, label="probability of class 1")
_ = ax.set(title="The output", xlabel="x0", ylabel="x1")

# %% [markdown]
# ## How many hidden units?
#
# We train a network of each size, from 1 to 50 hidden units.
# `fit_many` trains several at the same time, one a thread.

# %%
sizes = [1, 2, 3, 4, 5, 10, 20, 50]
nets = [Network.from_sizes([2, size, 1], hidden="tanh", seed=3) for size in sizes]
histories = fit_many(nets, X, y, epochs=5000, **options)

figure, axes = plt.subplots(2, 4, figsize=(13, 6), layout="constrained")
figure.suptitle("Hidden layers of 1 to 50 units")
for ax, size, each in zip(axes.flat, sizes, nets, strict=True):
    plots.decision_boundary(each, X, y, ax)
    ax.get_legend().remove()
    ax.set_title(f"{size} units: {each.evaluate(X, y)['accuracy']:.1%} right")

# %% [markdown]
# One unit is a line again, and two are not enough.
# Three or more find the petals.
# Beyond that, more units change little here. Are they harmless, then?
#
# ## Overfitting
#
# The points were drawn with noise.
# Other points from the same flower have other noise: they are the fair test.
# To see the effect clearly we train on 100 points alone, and test on 4,000 new ones.

# %%
X_few, y_few = make_flower(100, seed=1)
X_new, y_new = make_flower(4000, seed=2)

# %% [markdown]
# One network may be lucky.
# So each size is trained five times, from other initial weights, and we look at the mean.
# Adam gets to the end in fewer epochs than plain steps do.

# %%
options = {"batch_size": None, "optimizer": "adam", "learning_rate": 0.01}
of_size = {}
for size in sizes:
    of_size[size] = [Network.from_sizes([2, size, 1], "tanh", seed=seed) for seed in range(5)]
    fit_many(of_size[size], X_few, y_few, epochs=3000, **options)


def mean_accuracy(size, X, y):
    return np.mean([net.evaluate(X, y)["accuracy"] for net in of_size[size]])


# %%
training = [mean_accuracy(size, X_few, y_few) for size in sizes]
test = [mean_accuracy(size, X_new, y_new) for size in sizes]

figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
ax.plot(sizes, training, "o-", label="100 training points")
ax.plot(sizes, test, "o-", label="4,000 new points")
ax.set_xscale("log")
ax.set_xticks(sizes, [str(size) for size in sizes])
ax.set(title="More units, 100 points", xlabel="hidden units", ylabel="accuracy")
ax.legend()
best = sizes[int(np.argmax(test))]
print(f"best on new points: {best} units, {max(test):.1%}")
print(f"50 units: {training[-1]:.1%} of the training points, {test[-1]:.1%} of the new ones")

# %% [markdown]
# On the training points more is always better.
# On new points a medium size is the best, and the largest network loses.
# It has learnt the noise by heart, which is overfitting.
# The picture shows how: the border goes around single points.

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
figure.suptitle("Trained on the points that are drawn")
for ax, size in ((left, best), (right, 50)):
    plots.decision_boundary(of_size[size][0], X_few, y_few, ax)
    right_share = of_size[size][0].evaluate(X_new, y_new)["accuracy"]
    ax.set_title(f"{size} units: {right_share:.1%} of the new points")

# %% [markdown]
# There are two remedies.
# One is more points: with 400 of them, the border of 50 units looked well above.
# The other is regularisation, which notebook 6 is about.
#
# ## Other shapes
#
# The same network of ten hidden units learns other shapes, without a word about them.
# Three arms are three classes: the output is then a softmax of three units.

# %%
shapes = {
    "moons": make_moons(noise=0.15),
    "circles": make_circles(noise=0.1),
    "spirals": make_spirals(600, n_classes=3),
}
figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
for ax, (name, (X_shape, y_shape)) in zip(axes, shapes.items(), strict=True):
    n_classes = y_shape.max() + 1
    output = Dense(1, "sigmoid") if n_classes == 2 else Dense(n_classes, "softmax")
    net = Network([Dense(10, "tanh"), output], n_features=2, seed=0)
    net.fit(X_shape, y_shape, epochs=3000, **options)
    plots.decision_boundary(net, X_shape, y_shape, ax)
    ax.set_title(f"{name}: {net.evaluate(X_shape, y_shape)['accuracy']:.1%} right")

# %% [markdown]
# ## What the text has said
#
# These lines check it, for the notebook as it is.
# They may fail when you have changed an experiment: then you have found something else.

# %%
assert of_line < 0.65  # little better than guessing
assert of_four > 0.85
assert training[-1] > 0.98  # 50 units know the training points by heart
assert max(test) > test[-1] + 0.02  # a medium size is better on new ones

# %% [markdown]
# ## Questions to try
#
# 1. Replace tanh by `"relu"` in the network of four units. How does the border look now?
# 2. Replace it by `"linear"`. Why do four linear units do no better than the line?
# 3. Set the learning rate to 0.01, then to 20. What does the learning curve do?
# 4. Begin with zeros: `Dense(4, "tanh", "zeros")`. Look at the four hidden units.
#    Why are they all the same?
# 5. Overfit less: train on `make_flower(1000, seed=1)` in the place of 100 points.
# 6. Make the task harder with `noise=0.4` in the moons. Which accuracy can nobody beat, and why?

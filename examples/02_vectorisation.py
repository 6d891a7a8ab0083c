# %% [markdown]
# # Vectorisation: loops, NumPy and fastnn, raced
#
# A network does a few simple things very often: multiply, add, compare.
# How these are written decides whether training takes a second or an hour.
# This notebook writes the same arithmetic in several ways, checks that the results agree,
# and takes the time of each.
#
# The times are those of the machine that ran the notebook.
# They are a little different in every run.

# %%
from timeit import repeat

import matplotlib.pyplot as plt
import numpy as np

from fastnn import Dense, Network, contestants, plots, race
from fastnn.config import fma_peak
from fastnn.datasets import load_digits


def seconds(function):
    """The best of 20 runs: the others were disturbed."""
    return min(repeat(function, number=1, repeat=20))


# %% [markdown]
# ## One neuron, one sample: the dot product
#
# The neuron multiplies each input by its weight, and adds up: `z = w[0] x[0] + w[1] x[1] + ...`.
# In plain Python that is a loop.


# %%
def dot_by_loop(w, x):
    z = 0.0
    for i in range(len(w)):
        z += w[i] * x[i]
    return z


random = np.random.default_rng(0)
w, x = random.normal(size=10_000), random.normal(size=10_000)
w_list, x_list = w.tolist(), x.tolist()  # lists are faster than arrays in such a loop

# %% [markdown]
# The loop looks up each number, asks for its type, and makes an object of each result.
# NumPy does that once for the whole array.
# The processor then multiplies several numbers in one instruction.

# %%
contest = {
    "loop": lambda: dot_by_loop(w_list, x_list),
    "sum of a generator": lambda: sum(a * b for a, b in zip(w_list, x_list, strict=True)),
    "NumPy": lambda: w @ x,
}
dot = {name: seconds(function) for name, function in contest.items()}
ax = plots.bar_chart({"10,000 inputs": dot}, title="A dot product")
print(f"NumPy is {dot['loop'] / dot['NumPy']:.0f} times as fast as the loop")

# %% [markdown]
# The axis is logarithmic: each line of the grid is ten times the one before.
#
# A race is worth nothing if the results differ.
# These differ by rounding alone, as the numbers are added in another order.

# %%
for name, function in contest.items():
    print(f"{function():.12f}  {name}")
    assert np.isclose(function(), w @ x)

# %% [markdown]
# ## A layer, many samples: the matrix product
#
# A layer of 16 units has 16 dot products for each sample.
# All of them, for all samples, are one matrix product: `Z = X W + b`.
# A row of `X` is a sample, and a column of `W` holds the weights of a unit.

# %%
X, digits = load_digits()
X, n_units = X[:200], 16
W = random.normal(size=(64, n_units)).astype(np.float32)
b = random.normal(size=n_units).astype(np.float32)
print("X", X.shape, " W", W.shape, " b", b.shape, " Z", (X @ W + b).shape)

# %% [markdown]
# First three nested loops, over samples, units and inputs.


# %%
def layer_by_loops(X, W, b):
    Z = []
    for sample in X:
        row = list(b)
        for unit in range(len(b)):
            for i in range(len(sample)):
                row[unit] += sample[i] * W[i][unit]
        Z.append(row)
    return Z


X_list, W_list, b_list = X.tolist(), W.tolist(), b.tolist()

# %% [markdown]
# In fastnn the layer is a `Dense` with a linear activation.
# We write our weights into it: `net.weights` are views, so that this changes the network.

# %%
net = Network([Dense(n_units, "linear")], n_features=64)
net.weights[0][:], net.biases[0][:] = W, b

# %% [markdown]
# Between the three loops and one product there is a halfway house:
# a loop over the samples, and a product for each.

# %%
contest = {
    "three loops": lambda: layer_by_loops(X_list, W_list, b_list),
    "NumPy, sample by sample": lambda: np.stack([sample @ W + b for sample in X]),
    "NumPy, one product": lambda: X @ W + b,
    "fastnn": lambda: net.predict(X),
}
for function in contest.values():
    assert np.allclose(function(), X @ W + b, atol=1e-4)
layer = {name: seconds(function) for name, function in contest.items()}
group = f"{len(X):,} samples, 64 inputs, {n_units:,} units"
ax = plots.bar_chart({group: layer}, title="A layer, forward")

# %% [markdown]
# One product leaves little to gain beyond NumPy.
# A network has more layers, and training has more than products. That comes below.
#
# ## Broadcasting
#
# `X @ W` has 200 rows, and `b` has one.
# NumPy adds `b` to each row without a loop, and without 200 copies of it.
# The rule: shapes are compared from the right. A size of 1, or none, is stretched to the other.

# %%
Z = X @ W
mean = Z.mean(axis=1, keepdims=True)
print(f"{Z.shape} + {b.shape} is {(Z + b).shape}: a bias for each unit")
print(f"{Z.shape} - {mean.shape} is {(Z - mean).shape}: a mean for each row")
print(f"{mean.shape} * {b.shape} is {(mean * b).shape}: every pair")

# %% [markdown]
# The columns of a table often have different scales, which makes learning slow.
# Two lines without a loop give each column a mean of 0 and a spread of 1.
# The picture shows three columns before and after.

# %%
table = random.normal(loc=[170, 75, 40], scale=[9, 12, 6], size=(1000, 3))
scaled = (table - table.mean(axis=0)) / table.std(axis=0)

figure, axes = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
for ax, values, title in zip(axes, (table, scaled), ("before", "after"), strict=True):
    ax.hist(
        values, bins=30, histtype="step", label=["height in cm", "weight in kg", "age in years"]
    )
    ax.set(title=f"Columns {title}", xlabel="value", ylabel="number of rows")
axes[0].legend(fontsize="small")
assert np.allclose(scaled.mean(axis=0), 0)
assert np.allclose(scaled.std(axis=0), 1)

# %% [markdown]
# ### A trap
#
# An array of shape `(5,)` is neither a row nor a column.
# Transposing it changes nothing.
# Beside a column of shape `(5, 1)` it becomes a row, and the result is a square that nobody wanted.

# %%
predicted = np.zeros((5, 1))  # as predict_proba gives it
wanted = np.zeros(5)  # as labels come
print("difference, by mistake:", (predicted - wanted).shape)
print("difference, as meant:  ", (predicted[:, 0] - wanted).shape)
assert wanted.T.shape == wanted.shape

# %% [markdown]
# ## A training step
#
# A step goes forward through the layers, computes the cost, goes back for the gradients,
# and updates the weights.
# `fastnn.reference` has the whole of it twice, to be read: as loops in plain Python, and in NumPy.
# `fastnn.race` gives all the same weights and the same mini-batches.
# It refuses to take the time if the losses do not agree.

# %%
names = ("fastnn, 1 thread", "NumPy reference", "pure Python")
field = [one for one in contestants.contestants() if one.name in names]
peak = fma_peak()  # what one core could do, in GFLOP/s
races = {name: race.run(name, field, seconds=1, peak=peak) for name in ("flower", "digits")}
for result in races.values():
    print(race.table(result), end="\n\n")

# %%
epochs = {
    race.NETS[name].title: {one.contestant: one.seconds for one in result.results}
    for name, result in races.items()
}
ax = plots.bar_chart(epochs, title="An epoch of training")

# %% [markdown]
# From the loops to NumPy, the gain is vectorisation.
# From NumPy to fastnn there is another gain, though both have their products from the same sort
# of machine code.
# The next picture shows where it comes from.
#
# ## Small steps are mostly overhead
#
# A call of NumPy takes about a microsecond before it computes anything.
# A training step makes some dozens of such calls.
# With few samples a step, the calls take the time, and not the arithmetic.
# fastnn makes one call for the whole of `fit`, and its loop over the steps is in C.

# %%
sizes = (1, 5, 20, 50, 200)
microseconds = {"NumPy": [], "fastnn": []}
for size in sizes:
    task = contestants.Task.from_sizes(
        (64, 32, 10), X, digits[: len(X)], hidden="relu", batch_size=size, learning_rate=0.01
    )
    for name, taken in microseconds.items():
        restart, train = contestants.TRAINERS[name](task, 1)  # fastnn on one thread
        restart()
        total = seconds(lambda train=train, size=size: train(size))
        taken.append(1e6 * total / (size * task.n_batches))

# %%
figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
for name, taken in microseconds.items():
    ax.plot(sizes, taken, "o-", label=name)
ax.set(xscale="log", yscale="log", title="A training step of a network 64-32-10")
ax.set(xlabel="samples in a mini-batch", ylabel="microseconds a step")
ax.set_xticks(sizes, [str(size) for size in sizes])
ax.legend()
ratios = np.divide(microseconds["NumPy"], microseconds["fastnn"])
for size, ratio in zip(sizes, ratios, strict=True):
    print(f"{size:>4} samples a step: NumPy takes {ratio:.1f} times as long")

# %% [markdown]
# On the left NumPy's line is flat: a step of five samples takes about as long as a step of one.
# That is the overhead.
# On the right the products take most of the time, and the lines come closer.
#
# ## What to remember
#
# - Never loop over samples or units in Python. Find the matrix product.
# - Write down the shapes. Most mistakes are shapes that fit by chance.
# - Check that a fast version gives the numbers of the slow one.
# - Measure: the best of several runs, in turn, on data of the size that you will have.
#
# ## Questions to try
#
# 1. Take the dot product of 20 numbers in the place of 10,000. Which way is the fastest now?
# 2. Write `X, n_units = X, 1000`: all samples, and many units.
#    Leave out the three loops, or wait. How do the ratios change?
# 3. Write `X[:200, ::-1]` for `X[:200]`: the same numbers, read backwards.
#    Does the layer take longer?
# 4. Race `"logistic"` in the place of `"flower"`. Why is the distance to NumPy another one?
# 5. Write `field = contestants.contestants()` and choose nobody by name.
#    The race then has all libraries that are installed, and more threads.

# %% [markdown]
# # L layers, step by step
#
# A deep network is the same layer, several times.
# This notebook goes through one training step slowly: the dimensions, forward, the cost,
# backward, the update.
# Each part is written by hand in NumPy and compared with what fastnn computes.
# At the end a gradient check finds a mistake that we plant.

# %%
import matplotlib.pyplot as plt
import numpy as np

import fastnn
from fastnn import Network, plots
from fastnn.datasets import load_digits

# %% [markdown]
# ## The network
#
# The question: is a digit odd?
# The pictures have 64 pixels. There are three hidden layers with relu, and a sigmoid at the end.
# The network computes in float64, so that the comparisons below are sharp.

# %%
X, digits = load_digits()
X, y = X[:300].astype(float), (digits[:300] % 2).astype(float)
sizes = [64, 12, 8, 5, 1]
net = Network.from_sizes(sizes, hidden="relu", dtype="float64", seed=1)
print(net.summary())

# %% [markdown]
# `n` is the number of samples, here 300.
# Read a line as a sentence: layer 2 takes 12 numbers of each sample and makes 8 of them.
# So `W` has 12 rows and 8 columns, and `b` has 8 numbers.
#
# The course writes samples as columns, and `W` transposed.
# Rows as samples are what most libraries do.

# %%
figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
figure.suptitle("64 inputs, three hidden layers, one output")
ax = plots.network(net, ax)

# %% [markdown]
# ## Dimensions
#
# Two rules settle all shapes, as `sizes[l]` is the number of units of layer `l`:
#
# - `W[l]` is `(sizes[l-1], sizes[l])`, and `b[l]` is `(sizes[l],)`.
# - `Z[l]` and `A[l]` are `(n, sizes[l])`.
#
# A gradient has the shape of what it is the gradient of.

# %%
for layer, (W, b) in enumerate(zip(net.weights, net.biases, strict=True), start=1):
    assert W.shape == (sizes[layer - 1], sizes[layer])
    assert b.shape == (sizes[layer],)
    print(f"layer {layer}: {W.size} weights + {b.size} biases = {W.size + b.size} parameters")
print("all together:", net.n_parameters)

# %% [markdown]
# ## Forward
#
# Each layer does two things: `Z = A_prev W + b`, and `A = activation(Z)`.
# The first layer takes `X` in the place of `A_prev`.
# We keep every `Z` and every `A`, because the way back needs them.
# The course calls this the cache.
#
# Python counts from 0: `net.weights[0]` belongs to layer 1.
# `As` begins with `X`, so `As[layer]` enters the layer of `net.weights[layer]`.


# %%
def relu(Z):
    return np.maximum(Z, 0)


def sigmoid(Z):
    return 1 / (1 + np.exp(-Z))


def forward(X):
    A, Zs, As = X, [], [X]
    for layer in range(4):
        Z = A @ net.weights[layer] + net.biases[layer]
        A = sigmoid(Z) if layer == 3 else relu(Z)
        Zs.append(Z)
        As.append(A)
    return Zs, As


# %% [markdown]
# `net.forward` gives the same lists.

# %%
Zs, As = forward(X)
activations, logits = net.forward(X, logits=True)
for layer in range(4):
    assert np.allclose(Zs[layer], logits[layer])
    assert np.allclose(As[layer + 1], activations[layer])
    print(f"layer {layer + 1}: Z {Zs[layer].shape}, A {As[layer + 1].shape}")

# %% [markdown]
# Before training, the numbers should be neither tiny nor huge, in any layer.
# relu makes a bar at zero: there a unit is silent for a sample.
# The picture counts layers from 0, too.

# %%
axes = plots.activations(net, X)
_ = axes[0].figure.suptitle("Activations before training")

# %% [markdown]
# ## The cost
#
# The cost is the mean of the cross-entropy over the samples, as in logistic regression.

# %%
n, A = len(X), As[-1][:, 0]
cost = -np.mean(y * np.log(A) + (1 - y) * np.log(1 - A))
print(f"by hand {cost:.12f}, fastnn {net.evaluate(X, y)['loss']:.12f}")
assert np.isclose(cost, net.evaluate(X, y)["loss"])

# %% [markdown]
# ## Backward, the last layer
#
# `dZ` is short for the gradient of the cost by `Z`.
# For a sigmoid with this cost it is the error, divided by the number of samples: `(A - Y) / n`.
# From `dZ` follow the gradients of the layer's parameters.

# %%
dZ = (As[4] - y[:, np.newaxis]) / n
dW = As[3].T @ dZ
db = dZ.sum(axis=0)
print("dZ", dZ.shape, " dW", dW.shape, " db", db.shape)
assert dW.shape == net.weights[3].shape

# %% [markdown]
# ## Backward, a hidden layer
#
# First the gradient goes back through the weights: `dA_prev = dZ W^T`.
# Then it goes back through the activation: times its slope.
# The slope of relu is 1 where `Z` is positive, and 0 elsewhere.
# Silent units let nothing through.

# %%
dA = dZ @ net.weights[3].T
dZ = dA * (Zs[2] > 0)
print("dA", dA.shape, " dZ", dZ.shape)
print(f"share of dZ that relu has set to 0: {np.mean(Zs[2] <= 0):.0%}")

# %% [markdown]
# ## Backward, all layers
#
# That is all there is.
# The rest is a loop from the last layer to the first, with the cache of the way forward.


# %%
def backward(Zs, As, y):
    dZ = (As[-1] - y[:, np.newaxis]) / len(y)
    gradients = []
    for layer in (3, 2, 1, 0):
        gradients.insert(0, (As[layer].T @ dZ, dZ.sum(axis=0)))
        if layer > 0:
            dZ = (dZ @ net.weights[layer].T) * (Zs[layer - 1] > 0)
    return gradients


# %% [markdown]
# fastnn gives the gradient as one long block, and `net.split` cuts it into layers.
# All of it agrees with ours, to rounding.

# %%
loss, block = net.loss_and_gradients(X, y)
print("the block has shape", block.shape)
pairs = zip(backward(Zs, As, y), net.split(block), strict=True)
for layer, ((dW, db), (dW_fast, db_fast)) in enumerate(pairs, start=1):
    assert np.allclose(dW, dW_fast, atol=1e-12)
    assert np.allclose(db, db_fast, atol=1e-12)
    print(f"layer {layer}: largest difference {np.abs(dW - dW_fast).max():.1e}")

# %% [markdown]
# ## The update
#
# Each parameter moves a little against its gradient.
# `net.parameters` is one block, too, and changing it changes the network.
# One epoch of plain steps does the same, and reports the cost from before the step.

# %%
by_hand, by_fit = net.copy(), net.copy()
by_hand.parameters[:] -= 0.1 * block
history = by_fit.fit(X, y, epochs=1, batch_size=None, optimizer="sgd", learning_rate=0.1)
assert np.allclose(by_hand.parameters, by_fit.parameters, atol=1e-12)
assert np.isclose(history["loss"][0], cost)
print(f"cost before {cost:.6f}, after one step {by_fit.evaluate(X, y)['loss']:.6f}")

# %% [markdown]
# Training is this step, many times.

# %%
trained = net.copy()
options = {"batch_size": None, "optimizer": "sgd", "learning_rate": 0.1}
axes = trained.fit(X, y, epochs=2000, **options).plot()
_ = axes[0].set_title("The cost"), axes[1].set_title("The share of right answers")

# %% [markdown]
# ## The gradient check
#
# How would we know of a mistake, without fastnn to compare with?
# A gradient is a slope, and slopes can be measured: change one parameter a little to either side.
# The picture shows the cost along one weight, and the line whose slope is the gradient.

# %%
dW1 = net.split(block)[1][0]
row, column = np.unravel_index(np.abs(dW1).argmax(), dW1.shape)
moves = np.linspace(-1.5, 1.5, 61)
moved, along = net.copy(), []
for move in moves:
    moved.weights[1][row, column] = net.weights[1][row, column] + move
    along.append(moved.evaluate(X, y)["loss"])

figure, ax = plt.subplots(figsize=(5.6, 3.6), layout="constrained")
ax.plot(moves, along, label="cost")
ax.plot(moves, cost + dW1[row, column] * moves, "--", label="slope by backpropagation")
ax.legend()
_ = ax.set(title=f"Along weights[1][{row}, {column}]", xlabel="change of it", ylabel="cost")

# %% [markdown]
# `fastnn.gradient_check` measures all slopes and compares.
# Its number is the length of the difference over the sum of both lengths.
# Below 1e-7 is right, and above 1e-3 is wrong.

# %%
check = fastnn.gradient_check(net, X, y)
print(check)
assert check < 1e-7

# %% [markdown]
# ### How far to change a parameter?
#
# Far, and the cost bends between the two sides.
# Hardly, and the two costs differ by little more than rounding.
# Between them is a best step. In float64 it is between 1e-6 and 1e-4.

# %%
little, errors = 10.0 ** np.arange(-12, 0), []
smooth = Network.from_sizes([64, 12, 1], hidden="tanh", dtype="float64", seed=0)
exact = smooth.split(smooth.loss_and_gradients(X, y)[1])[1][0][0, 0]
for step in little:
    costs = []
    for change in (step, -step):
        moved = smooth.copy()
        moved.weights[1][0, 0] += change
        costs.append(moved.evaluate(X, y)["loss"])
    errors.append(abs((costs[0] - costs[1]) / (2 * step) - exact))

figure, ax = plt.subplots(figsize=(5.6, 3.4), layout="constrained")
ax.loglog(little, errors, "o-")
_ = ax.set(title="Measuring one slope", xlabel="change of the weight", ylabel="error of the slope")

# %% [markdown]
# ## A planted mistake
#
# This version forgets the slope of relu on the way from layer 3 to layer 2.
# It runs without an error, all shapes fit, and the network would even learn a little.


# %%
def careless_backward(Zs, As, y):
    dZ = (As[-1] - y[:, np.newaxis]) / len(y)
    gradients = []
    for layer in (3, 2, 1, 0):
        gradients.insert(0, (As[layer].T @ dZ, dZ.sum(axis=0)))
        if layer > 0:
            dZ = dZ @ net.weights[layer].T
            if layer != 2:
                dZ = dZ * (Zs[layer - 1] > 0)
    return gradients


# %% [markdown]
# The check needs measured slopes only: `check.differences` has them, in one block.
# We compare layer by layer.


# %%
def difference(a, b):
    return np.linalg.norm(a - b) / (np.linalg.norm(a) + np.linalg.norm(b))


measured = net.split(check.differences)
results = {}
for name, function in (("right", backward), ("careless", careless_backward)):
    pairs = zip(function(Zs, As, y), measured, strict=True)
    results[name] = [difference(dW, slope) for (dW, _), (slope, _) in pairs]

# %%
figure, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
layers = np.arange(1, 5)
for shift, (name, values) in zip((-0.2, 0.2), results.items(), strict=True):
    ax.bar(layers + shift, values, width=0.4, label=name)
ax.axhline(1e-7, color="grey", linestyle=":", label="1e-7")
ax.set(yscale="log", xlabel="layer", ylabel="relative difference", xticks=layers)
ax.set_title("Backpropagation against measured slopes")
ax.legend()
assert max(results["right"]) < 1e-7
assert min(results["careless"][:2]) > 1e-3
assert max(results["careless"][2:]) < 1e-7

# %% [markdown]
# The gradients go from the last layer to the first.
# Layers 4 and 3 are right, and layers 2 and 1 are wrong.
# So the mistake is on the way from layer 3 to layer 2, where we have planted it.
#
# ## Questions to try
#
# 1. Plant other mistakes: leave out `/ len(y)`, or write `dZ.mean(axis=0)` for `dZ.sum(axis=0)`.
#    Why does the picture of the layers not show the second one? Make it see it.
# 2. Add a hidden layer: `[64, 12, 8, 5, 4, 1]`.
#    Which lines know the number of layers, and must be changed?
# 3. Replace relu by tanh. Its slope is `1 - A**2`. Change `forward` and `backward`, and check.
# 4. Count the parameters of a network 784-1024-1024-10 in your head, then by `n_parameters`.
# 5. How many digits are left in float32?
#    Compare `net.copy("float32").loss_and_gradients(X, y)` with `loss` and `block`.
# 6. Train with a learning rate of 3. What happens to the cost?

# %% [markdown]
# # Initialisation, regularisation, optimisers
#
# A network of given layers can still be trained well or badly. Three choices decide:
#
# 1. where its weights start,
# 2. what keeps it from learning the noise,
# 3. how a gradient becomes a step.
#
# This notebook looks at them one by one, on data that come with fastnn. The ideas are those of the
# course "Improving deep neural networks" by A. Ng, K. Katanforoosh and Y. Bensouda Mourri. So are
# the network and the strengths of section 2. The course takes gradient descent with a rate of 0.3
# and some 10,000 steps there; Adam needs fewer.

# %%
import textwrap

import matplotlib.pyplot as plt
import numpy as np

import fastnn
from fastnn import Dense, Dropout, EarlyStopping, Network, Normal, fit_many, plots
from fastnn.datasets import load_digits, make_halves, make_moons, train_test_split

X, X_test, y, y_test = train_test_split(*load_digits())
print(f"{len(X)} images of digits for training, {len(X_test)} for the test")

# %% [markdown]
# ## 1. Where the weights start
#
# Six hidden layers of 64 relu units make the differences easy to see. The function takes the
# initialiser of all layers.


# %%
def deep(initializer, activation="relu"):
    hidden = [Dense(64, activation, initializer=initializer) for _ in range(6)]
    return Network([*hidden, Dense(10, "softmax", initializer=initializer)], 64, seed=0)


# %% [markdown]
# ### All zeros
#
# `net.statistics` shows a row a layer. With zeros, every unit of every hidden layer is dead: it is
# 0 for all images. No weight has a gradient. Only the biases of the output have one.

# %%
net = deep("zeros")
print(net.statistics(X, y))

# %% [markdown]
# So training finds how frequent the classes are, and nothing more.

# %%
net.fit(X, y, epochs=10, batch_size=64, optimizer="sgd", learning_rate=0.1)
assert all(np.all(weights == 0) for weights in net.weights)
print(f"accuracy after training: {net.evaluate(X, y)['accuracy']:.1%}")

# %% [markdown]
# ### All equal
#
# Zero is not the trouble by itself: equality is. Here all weights of a layer are 0.1. All units of
# the layer get the same input, so they have the same gradient, and stay copies of each other.

# %%
net = Network([Dense(16, "relu"), Dense(10, "softmax")], n_features=64, seed=0)
for weights in net.weights:
    weights[:] = 0.1
net.fit(X, y, epochs=30, batch_size=64, optimizer="sgd", learning_rate=0.1)
first = net.weights[0]
assert np.allclose(first, first[:, :1], rtol=1e-3, atol=1e-4)
print(f"16 units with the weights of 1; accuracy {net.evaluate(X, y)['accuracy']:.1%}")

# %% [markdown]
# Random numbers break the symmetry. That is all they are there for, and any draw will do. What
# matters is their size.
#
# ### Too small, too large, and in proportion
#
# He's initialiser draws with the variance $2 / n$, where $n$ is the number of inputs of a unit. It
# is made so that a layer of relu units passes on numbers of the size that it gets. Glorot's, made
# for tanh, has a variance of $2 / (n_{in} + n_{out})$: half as much where both are equal.

# %%
starts = {
    "normal, 0.01": Normal(0.01),
    "Glorot": "glorot_normal",
    "He": "he_normal",
    "normal, 0.5": Normal(0.5),
}
rows = {name: deep(start).statistics(X, y) for name, start in starts.items()}
for name in starts:
    spreads = [row.spread for row in rows[name]][:-1]
    print(f"{name:>13}: " + "  ".join(f"{spread:9.2g}" for spread in spreads))

# %% [markdown]
# Those are the standard deviations of the activations, from the first hidden layer to the sixth.
# The picture has them on the left, and the sizes of the gradients on the right.

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
for name, layers in rows.items():
    numbers = range(1, len(layers) + 1)
    axes[0].semilogy(numbers[:-1], [row.spread for row in layers[:-1]], "o-", label=name)
    axes[1].semilogy(numbers, [row.weight_gradient_norm for row in layers], "o-", label=name)
axes[0].set(title="Activations at the start", ylabel="standard deviation", xlabel="layer")
axes[1].set(title="Gradients at the start", ylabel="norm of dW", xlabel="layer")
_ = axes[0].legend()

# %% [markdown]
# - *Too small*: each layer shrinks what comes in. At the sixth layer nothing is left to tell the
#   images apart.
# - *Too large*: each layer blows it up.
# - *He*: the curve is level. Glorot's falls slowly, as it is made for another activation.
#
# The gradients on the right are level in all four cases. The gradient of a layer is a product: of
# what comes from below, and of what comes back from above. One falls where the other grows. But
# between the four starts, gradients differ by ten powers of ten, and no learning rate suits them
# all.

# %%
size = {name: layers[0].weight_gradient_norm for name, layers in rows.items()}
print({name: f"{norm:.2g}" for name, norm in size.items()})
assert size["normal, 0.01"] < 1e-6
assert 0.1 < size["He"] < 10
assert size["normal, 0.5"] > 100

# %% [markdown]
# The loss at the start tells, too. A network that knows nothing should say 10 % for each of the
# ten classes, which is a loss of $\ln 10$. The one with large weights is sure of its random
# answers.

# %%
print(f"ln 10 = {np.log(10):.3g}")
for name, start in starts.items():
    print(f"{name:>13}: loss at the start {deep(start).evaluate(X, y)['loss']:.3g}")

# %% [markdown]
# ### What it means for training
#
# The large weights do not survive the first epoch. The error says where the numbers went first.

# %%
recipe = {"epochs": 40, "batch_size": 64, "optimizer": "sgd", "learning_rate": 0.05}
try:
    deep(starts["normal, 0.5"]).fit(X, y, **recipe)
except FloatingPointError as error:
    print(textwrap.fill(str(error), 90))

# %% [markdown]
# The others take the same steps on the same mini-batches.

# %%
survivors = ["normal, 0.01", "Glorot", "He"]
histories = fit_many([deep(starts[name]) for name in survivors], X, y, **recipe)

figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
for name, history in zip(survivors, histories, strict=True):
    ax.semilogy(range(1, 41), history["loss"], label=name)
ax.set(title="Training from three starts", xlabel="epoch", ylabel="loss (training)")
_ = ax.legend()

# %% [markdown]
# ### Another activation
#
# tanh cannot blow up: it saturates. With large weights most activations are -1 or 1, where the
# derivative is 0. Glorot's initialiser keeps them in the middle. The histograms show the first,
# the third and the fifth hidden layer.

# %%
figure, axes = plt.subplots(2, 3, figsize=(10, 4.4), layout="constrained", sharex=True)
for row, start in zip(axes, ["normal, 0.5", "Glorot"], strict=True):
    net = deep(starts[start], "tanh")
    for ax, number in zip(row, (1, 3, 5), strict=True):
        ax.hist(net.forward(X)[number].ravel(), bins=41, range=(-1, 1), color="tab:blue")
        ax.set(title=f"{start}: layer {number}", yticks=[])
for ax in axes[1]:
    ax.set_xlabel("activation (tanh)")

# %% [markdown]
# fastnn chooses the initialiser by the activation unless it is told: He for relu and its
# relatives, Glorot for tanh and sigmoid. So the question comes up when something is wrong, and
# `net.statistics(X, y)` is where to look.

# %% [markdown]
# ## 2. What keeps it from learning the noise
#
# Two classes lie on either side of a diagonal. Noise has moved the points, so that some are on the
# wrong side. There are 200 points for training, 200 for validation, and 2,000 for the test.

# %%
training, validation = make_halves(200, seed=0), make_halves(200, seed=2)
test = make_halves(2000, seed=1)


def small(seed=0, rate=0.0):
    """Two hidden layers, with dropout behind each; a rate of 0 drops nothing."""
    layers = [Dense(20, "relu"), Dropout(rate), Dense(3, "relu"), Dropout(rate)]
    return Network([*layers, Dense(1, "sigmoid")], n_features=2, seed=seed)


# %% [markdown]
# ### Four ways to train it
#
# - *Nothing*: as it is.
# - *L2*: the loss has a penalty on large weights. `l2` is the $\lambda$ of the textbooks.
# - *Dropout*: each step leaves out 14 % of the hidden units, others each time. No unit can rely on
#   one other.
# - *Early stopping*: training ends when the validation loss has not improved for 300 epochs. The
#   weights of the best epoch come back.
#
# Five networks a way, from five seeds, as one may be lucky.

# %%
ways = {
    "nothing": {},
    "L2, lambda 0.7": {"l2": 0.7},
    "dropout, keep_prob 0.86": {},
    "early stopping": {"callbacks": EarlyStopping(patience=300)},
}
recipe = {"epochs": 3000, "batch_size": None, "learning_rate": 0.01}  # Adam, full batch
nets, histories = {}, {}
for name, way in ways.items():
    rate = 0.14 if "dropout" in name else 0.0
    nets[name] = [small(seed, rate) for seed in range(5)]
    histories[name] = fit_many(nets[name], *training, validation_data=validation, **recipe, **way)

# %% [markdown]
# Without a cure the network is best on the points that it has seen, and worst on the others.


# %%
def accuracy(networks, data):
    return np.mean([net.evaluate(*data)["accuracy"] for net in networks])


print(f"{'mean accuracy':<24}{'training':>10}{'test':>8}")
shares = {name: (accuracy(nets[name], training), accuracy(nets[name], test)) for name in ways}
for name, (of_training, of_test) in shares.items():
    print(f"{name:<24}{of_training:>10.1%}{of_test:>8.1%}")
    if name != "nothing":
        assert of_training < shares["nothing"][0]
        assert of_test > shares["nothing"][1] + 0.01

# %% [markdown]
# ### The borders
#
# They show why. The first network has drawn its border around single points.

# %%
figure, axes = plt.subplots(2, 2, figsize=(9, 7.6), layout="constrained")
for ax, (name, networks) in zip(axes.flat, nets.items(), strict=True):
    plots.decision_boundary(networks[0], *training, ax)
    ax.set_title(f"{name}: test {networks[0].evaluate(*test)['accuracy']:.1%}")

# %% [markdown]
# ### The learning curves
#
# The curves show when. The loss of the training points falls to the end. The loss of the
# validation points falls first, then grows: from there on, the network learns the noise. Early
# stopping goes back to that place. (Lines are means of the five networks, bands go from the least
# to the greatest.)

# %%
figure, ax = plt.subplots(figsize=(10, 3.6), layout="constrained")
plots.learning_curves(histories["nothing"], ax)
best = [1 + int(np.argmin(history["val_loss"])) for history in histories["nothing"]]
print("best epochs, of 3000:", best)
assert max(best) < 1500

# %% [markdown]
# ### How much of it?
#
# A penalty can be too strong. Then nothing is left but the same answer for every point. Between
# too little and too much the curve is flat, so that $\lambda$ need not be exact: powers of 3 are
# fine enough to try.

# %%
strengths = [0.03, 0.1, 0.3, 1, 3, 10, 30]
of_strength = []
for strength in strengths:
    networks = [small(seed) for seed in range(3)]
    fit_many(networks, *training, **recipe, l2=strength)
    of_strength.append((accuracy(networks, training), accuracy(networks, validation)))

figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
ax.semilogx(strengths, of_strength, "o-", label=["training", "validation"])
ax.set(title="Accuracy against the strength of L2", xlabel="lambda", ylabel="accuracy")
_ = ax.legend()

# %% [markdown]
# We choose by the validation points. The test points are for the report alone: what was chosen by
# them looks better on them than it is.

# %% [markdown]
# ## 3. How a gradient becomes a step
#
# ### In a valley
#
# A network of two weights, a linear neuron, has a loss that one can draw. The second input is five
# times smaller than the first one, so the loss is a long valley. A callback keeps the weights of
# every step.

# %%
inputs = np.random.default_rng(0).standard_normal((500, 2)) * [2.0, 0.4]
answers = inputs @ [1.5, 2.0]


def path(optimizer, steps=60):
    net = Network([Dense(1)], n_features=2, seed=0)
    net.weights[0][:] = [[-1.0], [-1.0]]
    places = [net.weights[0].ravel().copy()]

    def keep(net, epoch, metrics):
        places.append(net.weights[0].ravel().copy())

    net.fit(inputs, answers, epochs=steps, batch_size=None, optimizer=optimizer, callbacks=[keep])
    return np.array(places)


# %% [markdown]
# Gradient descent (SGD on the full batch) jumps across the valley and creeps along it. A lower
# rate creeps more, a higher one jumps out. Momentum remembers earlier gradients: what changes its
# sign cancels out, what does not adds up. RMSprop divides each weight's gradient by its usual
# size, so both weights go at the same speed. Adam does both.

# %%
optimizers = [fastnn.SGD(0.2), fastnn.Momentum(0.05), fastnn.RMSprop(0.05), fastnn.Adam(0.1)]
w0, w1 = np.meshgrid(np.linspace(-1.5, 3.5, 80), np.linspace(-1.5, 3.5, 80))
grid = np.stack([w0.ravel(), w1.ravel()])
loss = np.square(inputs @ grid - answers[:, None]).mean(axis=0).reshape(w0.shape)

figure, axes = plt.subplots(1, 4, figsize=(12, 3.4), layout="constrained", sharey=True)
for ax, optimizer in zip(axes, optimizers, strict=True):
    ax.contour(w0, w1, loss, levels=np.geomspace(0.01, 40, 10), cmap="Blues_r", linewidths=0.8)
    ax.plot(*path(optimizer).T, ".-", color="tab:red", markersize=4, linewidth=1)
    ax.plot(1.5, 2.0, "k*", markersize=10)
    ax.set(title=type(optimizer).__name__, xlabel="weight 0")
_ = axes[0].set_ylabel("weight 1")

# %% [markdown]
# (Scaled inputs would make the valley round. That is why one scales them: it helps every
# optimiser.)
#
# ### A race
#
# Now the digits. A race with one rate for all would be unfair, so each optimiser gets six rates,
# and the best one counts. Full-batch descent makes one step an epoch, the others 23.


# %%
def medium(seed=0):
    return Network([Dense(64, "relu"), Dense(32, "relu"), Dense(10, "softmax")], 64, seed=seed)


entries = {
    "full batch": ("sgd", None),
    "SGD": ("sgd", 64),
    "momentum": ("momentum", 64),
    "RMSprop": ("rmsprop", 64),
    "Adam": ("adam", 64),
}
rates = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3]

# %% [markdown]
# Thirty networks in one call. `fit_many` takes a dict of settings for each.

# %%
settings = [
    {"optimizer": optimizer, "batch_size": batch_size, "learning_rate": rate}
    for optimizer, batch_size in entries.values()
    for rate in rates
]
raced = fit_many([medium() for _ in settings], X, y, epochs=20, settings=settings)
losses = np.array([history["loss"] for history in raced]).reshape(len(entries), len(rates), 20)
final = losses[:, :, -3:].mean(axis=2)  # of the last three epochs, as single ones jump

# %%
figure, axes = plt.subplots(1, 2, figsize=(10.5, 3.8), layout="constrained")
for i, name in enumerate(entries):
    best = final[i].argmin()
    axes[0].semilogy(range(1, 21), losses[i, best], label=f"{name}, {rates[best]:g}")
    axes[1].loglog(rates, final[i], "o-", label=name)
axes[0].set(title="Each at its best rate", xlabel="epoch", ylabel="loss (training)")
axes[1].set(title="How much the rate matters", xlabel="learning rate", ylabel="loss at the end")
axes[0].set_xticks(range(0, 21, 5))
axes[0].legend()
assert final[0].min() > 5 * final[1].min()  # mini-batches beat the full batch

# %% [markdown]
# - Mini-batches make the large difference. Twenty passes over the data are twenty steps for the
#   full batch, which has hardly begun.
# - The rate matters more than the optimiser. Along each curve on the right (the colours are the
#   same), the loss changes far more than from the best of one mini-batch optimiser to that of the
#   next.
# - Adam and RMSprop want smaller rates than SGD. From 0.001 to 0.01 is a good place to begin.
# - Momentum at its best rate need not be behind Adam. It takes more care to find that rate.

# %% [markdown]
# ## 4. A learning rate that changes
#
# Large steps get there fast, small steps settle. A schedule has both. `CosineDecay` falls to 0,
# and `warmup=2` lets the rate grow in the first two epochs. The data are two moons with noise: no
# network can get all points right, so gradients of mini-batches of 16 points never agree.

# %%
schedules = {
    "constant 1": 1.0,
    "constant 0.02": 0.02,
    "cosine from 1": fastnn.CosineDecay(1.0, warmup=2),
}
moons, more_moons = make_moons(1000, noise=0.3, seed=0), make_moons(4000, noise=0.3, seed=1)
scheduled = fit_many(
    [Network.from_sizes([2, 16, 1], hidden="tanh", seed=0) for _ in schedules],
    *moons,
    settings=[{"learning_rate": schedule} for schedule in schedules.values()],
    **{"epochs": 40, "batch_size": 16, "optimizer": "sgd", "validation_data": more_moons},
)

# %%
figure, axes = plt.subplots(1, 2, figsize=(10.5, 3.4), layout="constrained")
for name, history in zip(schedules, scheduled, strict=True):
    axes[0].plot(range(1, 41), history["learning_rate"], label=name)
    axes[1].plot(range(1, 41), history["val_loss"], label=name)
axes[0].set(title="Learning rate", xlabel="epoch", ylabel="rate at the end of the epoch")
axes[1].set(title="Loss on points not seen", xlabel="epoch", ylabel="loss (validation)")
axes[0].legend()
last = [np.mean(history["val_loss"][-5:]) for history in scheduled]
assert last[2] < min(last[:2])

# %% [markdown]
# The large rate jumps about to the end. The small one has not arrived. The schedule jumps, then
# settles.

# %% [markdown]
# ## 5. Which rate to begin with?
#
# `find_learning_rate` trains a copy with a rate that grows at every step. Where the loss falls
# fastest is a good rate; where it grows again, rates are too large. The network itself stays as it
# is.

# %%
figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
found = {}
for optimizer in ("sgd", "adam"):
    found[optimizer] = fastnn.find_learning_rate(medium(), X, y, optimizer=optimizer)
    print(f"{optimizer}: {found[optimizer].suggestion:.2g}")
found["adam"].plot(ax)
_ = ax.set_title("Range test, Adam")

# %% [markdown]
# Compare the two suggestions with the race above. The test takes a second; thirty trainings are
# the exact answer.
#
# ## Questions to try
#
# Each takes a line or two. An `assert` that fails then is an answer, too.
#
# 1. `deep` has six hidden layers. With two, does `Normal(0.01)` still fail? With twelve, does He
#    hold?
# 2. Put a `fastnn.BatchNorm()` behind each hidden layer of `deep`. Which starts matter now?
# 3. The noise of `make_halves` is 0.3. Which way to train is best with `noise=0.1`, or with 2,000
#    points for training?
# 4. Dropout of 0.5 in a layer of 3 units: what do the borders look like?
# 5. Write `inputs = inputs / inputs.std(axis=0)` before `answers` is computed: the valley becomes
#    round. How many steps does gradient descent need then?
# 6. Repeat the race with `medium(seed=1)`. Is the order the same?

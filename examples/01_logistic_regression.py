# %% [markdown]
# # Logistic regression with a neural-network mindset
#
# A single neuron is a small network, and it already learns.
# This notebook builds one by hand in NumPy, and then again with fastnn.
# Both do the same arithmetic, and end with the same numbers.
#
# The question that the neuron answers: does a picture show an 8, or another digit?

# %%
import matplotlib.pyplot as plt
import numpy as np

from fastnn import Dense, Network, plots
from fastnn.datasets import load_digits, read_image, train_test_split

# %% [markdown]
# ## The pictures
#
# fastnn brings 1,797 handwritten digits, of 8 by 8 pixels each.
# A pixel is a number from 0 (black) to 1 (white).

# %%
X, digits = load_digits()
print("X has shape", X.shape, "- a row a picture, a column a pixel")

figure, axes = plt.subplots(2, 10, figsize=(9, 2.2), layout="constrained")
figure.suptitle("The first twenty pictures")
for ax, pixels in zip(axes.flat, X, strict=False):
    ax.imshow(pixels.reshape(8, 8), cmap="gray")
    ax.set_axis_off()

# %% [markdown]
# The course puts a picture into each column of `X`.
# Here it is a row, as in most libraries for Python.
# The mathematics is the same, transposed.
#
# The label `y` is 1 for an 8, and 0 for the other digits.
# A fifth of the pictures is set aside as a test: the neuron does not learn from them.

# %%
y = (digits == 8).astype(float)
X_train, X_test, y_train, y_test = train_test_split(X.astype(float), y, test_size=0.2, seed=0)
print(f"{len(X_train)} pictures to learn from, {len(X_test)} to test on")
print(f"share of eights in the test: {y_test.mean():.1%}")
print(f"right if the answer is always no: {1 - y_test.mean():.1%}")

# %% [markdown]
# The last line is the score to beat.
# An accuracy means little without such a number beside it.
#
# ## The neuron
#
# The neuron has a weight for each pixel, and a bias.
# It adds up the weighted pixels: `z = X w + b`.
# The sigmoid turns the sum into a probability between 0 and 1: `a = 1 / (1 + exp(-z))`.


# %%
def sigmoid(z):
    return 1 / (1 + np.exp(-z))


z = np.linspace(-8, 8, 200)
figure, ax = plt.subplots(figsize=(5, 3), layout="constrained")
ax.plot(z, sigmoid(z))
ax.axhline(0.5, color="grey", linestyle=":")
_ = ax.set(title="The sigmoid", xlabel="z, the weighted sum", ylabel="a, the probability of an 8")

# %% [markdown]
# ## The cost
#
# How wrong is a probability `a`, if the label is `y`?
# For a picture of an 8 the cost is `-log(a)`, for another digit it is `-log(1 - a)`.
# The neuron that is sure and right pays nothing.
# The neuron that is sure and wrong pays a lot.

# %%
a = np.linspace(0.005, 0.995, 200)
figure, ax = plt.subplots(figsize=(5, 3), layout="constrained")
ax.plot(a, -np.log(a), label="it is an 8: $-\\log(a)$")
ax.plot(a, -np.log(1 - a), label="it is none: $-\\log(1 - a)$")
ax.legend()
_ = ax.set(title="The cost of one picture", xlabel="a, the probability of an 8", ylabel="cost")

# %% [markdown]
# ## Learning, in five lines
#
# 1. forward: the probabilities of all pictures at once
# 2. cost: the mean over the pictures
# 3. gradient: how the cost changes with the weights and with the bias
# 4. update: a small step downhill (two lines, as the bias is apart)
#
# The gradient is short because sigmoid and logarithm fit together:
# the derivative of a picture's cost by `z` is `a - y`, the error.


# %%
def step(w, b, X, y, learning_rate):
    a = sigmoid(X @ w + b)
    cost = -np.mean(y * np.log(a) + (1 - y) * np.log(1 - a))
    error = (a - y) / len(X)
    w = w - learning_rate * (X.T @ error)
    b = b - learning_rate * error.sum()
    return w, b, cost


# %% [markdown]
# The weights begin at zero.
# The neuron then says 0.5 to every picture, and the cost is log 2.

# %%
w, b, costs = np.zeros(64), 0.0, []
for _ in range(1000):
    w, b, cost = step(w, b, X_train, y_train, learning_rate=0.5)
    costs.append(cost)
print(f"cost before the first step: {costs[0]:.6f} (log 2 is {np.log(2):.6f})")
print(f"cost before the last step:  {costs[-1]:.6f}")

# %% [markdown]
# The first cost is the one that theory says.
# Check such numbers whenever you can: it costs a line, and finds many mistakes.

# %%
figure, ax = plt.subplots(figsize=(5, 3), layout="constrained")
ax.plot(costs)
_ = ax.set(title="The cost falls", xlabel="step", ylabel="cost")

# %% [markdown]
# ## The gradient, checked
#
# The slope of the cost can also be measured.
# Change one weight a little to either side, and look how much the cost changes.
# The measured slope and the formula must agree.

# %%
pixel, little = 20, 1e-6
sides = []
for change in (little, -little):
    moved = w.copy()
    moved[pixel] += change
    sides.append(step(moved, b, X_train, y_train, learning_rate=0)[2])
measured = (sides[0] - sides[1]) / (2 * little)
formula = X_train[:, pixel] @ (sigmoid(X_train @ w + b) - y_train) / len(X_train)
print(f"measured {measured:.9f}, by the formula {formula:.9f}")
assert abs(measured - formula) < 1e-8

# %% [markdown]
# ## The same with fastnn
#
# One `Dense` layer with one unit and a sigmoid is the same neuron.
# `batch_size=None` takes all pictures in each step, and `"sgd"` is the plain step downhill.
# An epoch is then one step.

# %%
net = Network([Dense(1, "sigmoid", "zeros")], n_features=64, dtype="float64")
history = net.fit(
    X_train,
    y_train,
    epochs=1000,
    batch_size=None,
    optimizer="sgd",
    learning_rate=0.5,
    validation_data=(X_test, y_test),
)
print(net.summary())

# %% [markdown]
# All thousand costs, the weights and the bias are those of the five lines, to rounding.

# %%
print("largest difference of a cost:  ", np.abs(np.array(history["loss"]) - costs).max())
print("largest difference of a weight:", np.abs(net.weights[0][:, 0] - w).max())
assert np.allclose(history["loss"], costs, rtol=1e-10)
assert np.allclose(net.weights[0][:, 0], w, rtol=1e-8, atol=1e-10)
assert np.isclose(net.biases[0][0], b, rtol=1e-8)

# %% [markdown]
# ## What it has learnt
#
# The history holds the cost and the accuracy of every epoch.
# `val_` stands for the pictures that were set aside.

# %%
axes = history.plot()
_ = axes[0].set_title("The cost"), axes[1].set_title("The share of right answers")

# %%
baseline = 1 - y_test.mean()
for name, data in (("training", (X_train, y_train)), ("test", (X_test, y_test))):
    print(f"{name:<9} accuracy {net.evaluate(*data)['accuracy']:.1%}")
print(f"always no: {baseline:.1%}")
assert net.evaluate(X_test, y_test)["accuracy"] > baseline

# %% [markdown]
# There is a weight for each pixel, so the weights are a picture, too.
# Ink on red pixels speaks for an 8, ink on blue pixels against it.
# An 8 has a waist: the middle is red there, and blue to its left and right.

# %%
figure, ax = plt.subplots(figsize=(4, 3.2), layout="constrained")
figure.suptitle("The weight of each pixel")
panels = plots.weights(net, ax=ax)

waist = net.weights[0].reshape(8, 8)[3:5]  # two rows in the middle
print(f"mean weight in the middle {waist[:, 3:5].mean():.2f}", end=", ")
print(f"beside it {waist[:, [1, 2, 5, 6]].mean():.2f}")

# %% [markdown]
# These pictures of the test are the ones it gets wrong, the surest mistakes first.
# Above each are the label, an arrow, the answer, and its probability.

# %%
panels = plots.misclassified(net, X_test, y_test.astype(int), n_images=8)

# %% [markdown]
# ## The learning rate
#
# The learning rate says how long a step is.
# Small steps are safe and slow.
# Steps that are too long jump over the valley, and the cost goes up and down.
# The longest steps below settle later and get far, but nobody can rely on that.

# %%
figure, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
for rate in (0.01, 0.1, 1.0, 4.0):
    w_new, b_new, costs_new = np.zeros(64), 0.0, []
    for _ in range(150):
        w_new, b_new, cost = step(w_new, b_new, X_train, y_train, rate)
        costs_new.append(cost)
    ax.plot(costs_new, label=f"learning rate {rate}")
ax.legend()
_ = ax.set(title="Four learning rates", xlabel="step", ylabel="cost", yscale="log")

# %% [markdown]
# ## A picture of your own
#
# Put the path of a photo or a drawing of one digit into `PICTURE`.
# Reading it needs Pillow: `pip install pillow`.
# The digits of the data fill their pictures from top to bottom, with thick strokes.
# Draw yours so, too.
# Without a path, the cell takes the 8 that is drawn below with letters.

# %%
PICTURE = None  # such as "my_digit.png"

drawn = """
..####..
.##..##.
.##..##.
..####..
..####..
.##..##.
.##..##.
..####..
"""

# %% [markdown]
# Ink is bright in the data. A picture of dark ink on bright paper is turned around.
# Then its darkest pixel becomes 0, and its brightest 1.

# %%
if PICTURE is None:
    own = np.array([[char == "#" for char in line] for line in drawn.split()], dtype=float)
else:
    own = read_image(PICTURE, 8).reshape(8, 8, 3).mean(axis=2)
    own = 1 - own if own.mean() > 0.5 else own
    own = (own - own.min()) / (own.max() - own.min())

figure, ax = plt.subplots(figsize=(2.6, 2.8), layout="constrained")
ax.imshow(own, cmap="gray", vmin=0, vmax=1)
ax.set_axis_off()
_ = ax.set_title(f"an 8? {net.predict_proba(own.reshape(1, 64))[0, 0]:.1%}")

# %% [markdown]
# ## Questions to try
#
# 1. Is the digit odd? Write `digits % 2 == 1` in the place of `digits == 8`.
#    Why is this harder for one neuron?
# 2. Which digit is the easiest to tell from all others? Try each from 0 to 9.
# 3. Train for 20,000 steps.
#    What happens to the cost of the training pictures, and to that of the others?
# 4. Start the four learning rates from `np.random.default_rng(0).normal(size=64)`, not from zeros.
#    Where do the costs begin, and where do they end?
# 5. Change one `#` of the drawn 8 into a dot, or shift the drawing by a column.
#    How much does the answer change?
# 6. Use 50 pictures to learn from: `X_train[:50], y_train[:50]`. What is the test accuracy?

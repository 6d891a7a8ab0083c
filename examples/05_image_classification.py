# %% [markdown]
# # Image classification
#
# Is it a circle, a square or a triangle?
# The pictures are drawn by the notebook, so there are as many as we want, and none to download.
# A network without a hidden layer, one with one, and one with three learn from the same pictures.
# At the end the deepest one looks at a picture of yours.

# %%
import tempfile
from pathlib import Path
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np

from fastnn import Dense, Network, Rescale, plots
from fastnn.datasets import load_digits, read_image, train_test_split

# %% [markdown]
# ## Drawing shapes
#
# A picture has 24 by 24 pixels.
# For each pixel we know its place `(u, v)` relative to the shape, in units of its radius.
# A formula says whether the place is inside.

# %%
SIZE = 24
NAMES = ("circle", "square", "triangle")


def is_inside(u, v):
    """Whether (u, v) is inside of each shape: shape (3, ...)."""
    circle = u**2 + v**2 < 1
    square = np.maximum(np.abs(u), np.abs(v)) < 0.89
    triangle = np.maximum(v - 0.6, 1.8 * np.abs(u) - v - 0.95) < 0
    return np.stack([circle, square, triangle])


# %% [markdown]
# Each picture has a shape of its own size, place, angle and brightness.
# Half of them are bright on dark, the other half dark on bright.
# Some noise comes on top.


# %%
def draw_shapes(n, seed):
    random = np.random.default_rng(seed)
    y, bright = random.integers(3, size=n), random.random((n, 1, 1)) < 0.5
    radius = random.uniform(4, 9, (n, 1, 1))
    place = random.uniform(8, 16, (2, n, 1, 1))
    angle = random.uniform(-0.5, 0.5, (n, 1, 1))
    across, down = np.mgrid[:SIZE, :SIZE][::-1, np.newaxis] - place
    u = (across * np.cos(angle) + down * np.sin(angle)) / radius
    v = (down * np.cos(angle) - across * np.sin(angle)) / radius
    inside = is_inside(u, v)[y, np.arange(n)]
    dark, light = random.uniform(0, 0.3, (n, 1, 1)), random.uniform(0.7, 1, (n, 1, 1))
    pictures = np.where(inside == bright, light, dark) + random.normal(0, 0.08, inside.shape)
    X = pictures.clip(0, 1).reshape(n, -1).astype(np.float32)
    return X, y, radius[:, 0, 0]


# %% [markdown]
# `X` has a row for each picture: its 576 pixels, one after the other.
# The test pictures are drawn apart, and nothing is learnt from them.

# %%
X, y, radius = draw_shapes(8000, seed=0)
X_test, y_test, radius_test = draw_shapes(2000, seed=1)
print("training", X.shape, " test", X_test.shape)

figure, axes = plt.subplots(3, 10, figsize=(10, 3.6), layout="constrained")
figure.suptitle("Thirty of the pictures")
for ax, pixels, label in zip(axes.flat, X, y, strict=False):
    ax.imshow(pixels.reshape(SIZE, SIZE), cmap="gray", vmin=0, vmax=1)
    ax.set_title(NAMES[label], fontsize="small")
    ax.set_axis_off()

# %% [markdown]
# ## Three networks
#
# All of them first stretch the pixels to the numbers from -1 to 1, so that they are around zero.
# `Rescale` is a layer for that. It is saved with the network, and nobody can forget it later.
# The output has a softmax: a probability for each of the three classes.

# %%
first, output = Rescale(2.0, offset=-1.0), Dense(3, "softmax")
layers = {
    "no hidden layer": [first, output],
    "one hidden layer": [first, Dense(128, "relu"), output],
    "three hidden layers": [first, *(Dense(n, "relu") for n in (128, 64, 32)), output],
}
options = {"epochs": 25, "batch_size": 64, "optimizer": "adam", "learning_rate": 1e-3}
nets, histories = {}, {}
for name, stack in layers.items():
    nets[name] = Network(stack, n_features=SIZE * SIZE, seed=0)
    start = perf_counter()
    histories[name] = nets[name].fit(X, y, validation_data=(X_test, y_test), **options)
    print(f"{name:<20} {nets[name].n_parameters:>7,} parameters, {perf_counter() - start:.1f} s")

# %% [markdown]
# The curves are the accuracy on the test pictures.

# %%
figure, ax = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
for name, history in histories.items():
    ax.plot(range(1, 26), history["val_accuracy"], label=name)
ax.axhline(1 / 3, color="grey", linestyle=":", label="guessing")
ax.set(title="Test accuracy while learning", xlabel="epoch", ylabel="accuracy", ylim=(0.2, 1))
ax.legend(fontsize="small")
for name, net in nets.items():
    training, test = (net.evaluate(*data)["accuracy"] for data in ((X, y), (X_test, y_test)))
    print(f"{name:<20} training {training:.1%}, test {test:.1%}")

# %% [markdown]
# Without a hidden layer the network is hardly better than guessing.
# It gives one weight to each pixel: a pixel speaks for the circle, or against it.
# But half of the shapes are bright and the others dark, at any place.
# No pixel says anything by itself.
#
# A hidden layer can look for patterns of pixels.
# More layers can put patterns together. In these pictures that hardly helps.
# All of them are better on the pictures that they have learnt from: that gap is overfitting.
#
# ## What does the first layer look for?
#
# Each unit of the first hidden layer has a weight for each pixel: a picture.
# Red speaks for the unit, blue against it.

# %%
deep = nets["three hidden layers"]
panels = plots.weights(deep, n_images=16)

# %% [markdown]
# ## Which shapes are mixed up?
#
# Rows are what the picture shows, and columns are what the network says.
# The right answers are on the diagonal.

# %%
true, said = np.array(NAMES)[y_test], np.array(NAMES)[deep.predict(X_test)]
figure, ax = plt.subplots(figsize=(4.8, 4), layout="constrained")
ax.set_title("2,000 test pictures")
ax = plots.confusion_matrix(true, said, ax)

# %% [markdown]
# ## Look at the errors
#
# A number says how many are wrong. Looking says why.
# 0 is a circle, 1 a square, and 2 a triangle: the label, an arrow, and the answer.

# %%
panels = plots.misclassified(deep, X_test, y_test, n_images=16)

# %% [markdown]
# Many of them are small. Is that the reason?
# We sort the test pictures by the radius of the shape.

# %%
right = deep.predict(X_test) == y_test
edges = np.arange(4, 10)
of_radius = [right[(radius_test >= r) & (radius_test < r + 1)].mean() for r in edges[:-1]]

figure, ax = plt.subplots(figsize=(5.6, 3.4), layout="constrained")
ax.bar(edges[:-1] + 0.5, of_radius, width=0.9)
_ = ax.set(title="Small shapes are hard", xlabel="radius in pixels", ylabel="accuracy", ylim=(0, 1))

# %% [markdown]
# Such a picture says what to do next.
# More small shapes to learn from would help more than more shapes of any size.
#
# ## A picture of your own
#
# Put the path of a photo or a drawing of one shape into `PICTURE`.
# Reading it needs Pillow: `pip install pillow`.
# Without a path, the cell takes the shape that is drawn below with letters.

# %%
PICTURE = None  # such as "my_shape.jpg"

drawn = """
............
............
.....##.....
.....##.....
....####....
....####....
...######...
...######...
..########..
..########..
............
............
"""

# %%
if PICTURE is None:
    letters = np.array([[char == "#" for char in line] for line in drawn.split()])
    own = np.kron(letters, np.ones((2, 2)))  # a letter is 2 by 2 pixels
else:
    own = read_image(PICTURE, SIZE).reshape(SIZE, SIZE, 3).mean(axis=2)

figure, ax = plt.subplots(figsize=(2.8, 3), layout="constrained")
ax.imshow(own, cmap="gray", vmin=0, vmax=1)
ax.set_axis_off()
probabilities = deep.predict_proba(own.reshape(1, -1))[0]
_ = ax.set_title(f"a {NAMES[probabilities.argmax()]}: {probabilities.max():.1%}")

# %% [markdown]
# The network always says one of its three names.
# Show it a face, and it will be quite sure of some shape: it knows nothing else.
# Photos with shadows or patterns are unlike the pictures it has learnt from, and it errs on them.
#
# ## Keep it
#
# A saved network is one file.
# Loaded again, it gives the same answers, to the bit.

# %%
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "shapes.safetensors"
    deep.save(path)
    loaded = Network.load(path)
    print(f"the file has {path.stat().st_size / 1e6:.2f} MB")
assert np.array_equal(loaded.predict_proba(X_test), deep.predict_proba(X_test))

# %% [markdown]
# ## The same for ten digits
#
# Nothing in this recipe knows of circles.
# With other pictures and other sizes it tells handwritten digits apart.

# %%
X_train, X_new, digits, digits_new = train_test_split(*load_digits())
net = Network([Dense(64, "relu"), Dense(32, "relu"), Dense(10, "softmax")], 64, seed=0)
net.fit(X_train, digits, **options)
accuracy = net.evaluate(X_new, digits_new)["accuracy"]

figure, ax = plt.subplots(figsize=(6.4, 5.4), layout="constrained")
ax.set_title(f"Ten digits: {accuracy:.1%} right")
ax = plots.confusion_matrix(digits_new, net.predict(X_new), ax)

# %% [markdown]
# ## What the text has said
#
# These lines check it, for the notebook as it is.
# They may fail when you have changed an experiment: then you have found something else.

# %%
scores = [net.evaluate(X_test, y_test)["accuracy"] for net in nets.values()]
assert scores[0] < 0.5  # without a hidden layer
assert min(scores[1:]) > 0.85
assert of_radius[0] < of_radius[-1] - 0.1  # small shapes are hard
assert accuracy > 0.94  # ten digits

# %% [markdown]
# ## Questions to try
#
# 1. Draw 1,000 training pictures in the place of 8,000, then 30,000. What does the gap do?
# 2. Take the half that is dark on bright away: `bright` is `np.ones((n, 1, 1), bool)`.
#    Why is the network without a hidden layer so much better now?
# 3. Put every shape into the middle: `random.uniform(12, 12, ...)`. Which network gains most?
# 4. Give the hidden layers 20, 7 and 5 units.
#    How many parameters are left, and how many right answers?
# 5. Train on radii from 4 to 6 only, in a second call of `fit`. What becomes of the large shapes?
# 6. Draw another shape with letters, or none at all. How sure is the network?
#
# These networks know nothing of neighbourhood: a shape that moves by a pixel is another picture.
# Convolutional networks share their weights over all places. For photos they are the better tool.

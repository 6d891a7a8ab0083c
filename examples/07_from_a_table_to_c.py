# %% [markdown]
# # From a table to a C file
#
# A table has numbers, words, dates and gaps. A microcontroller has a C compiler and a few
# kilobytes. This notebook goes all the way from one to the other: a data frame, a model, its
# scores, and a C file that computes the same.

# %%
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from fastnn import plots
from fastnn.exchange import to_c
from fastnn.tabular import RECIPE, TabularModel

# %% [markdown]
# ## A table with a rule in it
#
# A town lends bicycles. For each of 3,000 days and stations there is a row. The rule is planted,
# so that we know at the end what could be found:
#
# - most rides are at 24 degrees, fewer when it is colder or hotter;
# - rain takes half of them;
# - stations at offices are used from Monday to Friday, others at the weekend;
# - every year has 10 % more than the one before;
# - wind has no effect, nor has the name of who emptied the box.


# %%
def rides(table):
    """The rule, without noise: rides per day."""
    warmth = np.exp(-(((table["temperature"] - 24) / 14) ** 2))
    sky = table["sky"].map({"clear": 1.0, "cloudy": 0.85, "rain": 0.5})
    is_weekend = table["day"].dt.day_of_week >= 5
    is_office = table["station"].isin(["bank", "town hall", "campus"])
    week = np.where(is_weekend == is_office, 0.6, 1.0)
    years = (table["day"] - pd.Timestamp("2022-01-01")).dt.days / 365
    return 200 * warmth * sky * week * 1.1**years


# %% [markdown]
# The temperature follows the season. The noise is 20 rides, but there are never fewer than none.


# %%
def make(n, seed):
    rng = np.random.default_rng(seed)
    day = pd.Timestamp("2022-01-01") + pd.to_timedelta(rng.integers(0, 4 * 365, n), "D")
    season = -np.cos(2 * np.pi * day.day_of_year / 365)
    table = pd.DataFrame({"day": day})
    table["station"] = rng.choice(["bank", "town hall", "campus", "park", "lake", "zoo"], n)
    table["sky"] = rng.choice(["clear", "cloudy", "rain"], n, p=[0.5, 0.3, 0.2])
    table["temperature"] = (13 + 11 * season + 5 * rng.standard_normal(n)).round(1)
    table["wind"] = rng.gamma(2, 5, n).round(1)
    table["emptied_by"] = rng.choice(["Ada", "Ben", "Cem", "Dana"], n)
    table["rides"] = (rides(table) + 20 * rng.standard_normal(n)).clip(0).round()
    return table


# %% [markdown]
# Real tables have gaps. Here one temperature in ten is missing, and some of the words.


# %%
def with_gaps(table, seed):
    rng = np.random.default_rng(seed)
    gaps = table.copy()
    gaps.loc[rng.random(len(table)) < 0.1, "temperature"] = np.nan
    gaps.loc[rng.random(len(table)) < 0.05, "sky"] = None
    gaps.loc[rng.random(len(table)) < 0.3, "emptied_by"] = None
    return gaps


full = make(4000, seed=0)
table = with_gaps(full, seed=1)
train, test = table[:3000], table[3000:]
print(table.head(8).to_string())

# %% [markdown]
# A look first. The hump of the temperature is there, and most of the rest is hidden.

# %%
figure, axes = plt.subplots(1, 2, figsize=(10.5, 3.6), layout="constrained")
axes[0].plot(train["temperature"], train["rides"], ".", markersize=3)
axes[0].set(title="Rides by temperature", xlabel="temperature (degrees)", ylabel="rides")
by_station = train.groupby(["station", train["day"].dt.day_of_week >= 5])["rides"].mean().unstack()
by_station.columns = ["Monday to Friday", "weekend"]
by_station.plot.bar(ax=axes[1], rot=30, title="Mean rides by station", ylabel="rides")
_ = axes[1].set_ylim(0, 155)

# %% [markdown]
# ## Train
#
# One line. The model finds out by itself what the columns are.

# %%
model = TabularModel(seed=0).fit(train, target="rides")
for column in model.columns:
    print(f"{column.name:<13}{column.kind:<10}{column.note}")

# %% [markdown]
# What it did with each:
#
# - a number is scaled, and enters as ramps too, so that the network can bend where it must;
# - a category has an input for each value, and one for values that it has never seen;
# - a date gives the season and the weekday, each on a circle, and a number that grows;
# - what is missing is filled, and an input says so.
#
# Then it has trained, with a part of the rows held out to choose the best epoch.

# %%
figure, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
_ = plots.learning_curves(model.histories, ax)

# %% [markdown]
# ## Judge
#
# By the rows that `fit` has not seen, beside a linear model and the mean. The rule is known, so
# there is a fourth line: what one would get who knows the rule and all that is missing.


# %%
def r2(true, predicted):
    return 1 - np.square(true - predicted).mean() / np.var(true)


scores = model.compare(test)
for name, of_name in scores.items():
    print(f"{name:<10} R2 {of_name['r2']:.3f}   rmse {of_name['rmse']:5.1f} rides")
best_possible = r2(test["rides"], rides(full.loc[test.index]))
print(f"{'the rule':<10} R2 {best_possible:.3f}")
assert scores["linear"]["r2"] + 0.1 < scores["model"]["r2"] < best_possible

# %%
figure, axes = plt.subplots(1, 2, figsize=(9.5, 4.2), layout="constrained")
plots.predicted_vs_true(test["rides"], model.predict(test), axes[0])
importance = model.importance(test)
_ = plots.importance(importance, axes[1])

# %% [markdown]
# The importance of a column is what shuffling it costs. Wind, and who emptied the box, are worth
# nothing, as planted.

# %%
for name in ("wind", "emptied_by"):
    assert importance[name] < 0.01 < min(importance[each] for each in ("sky", "station"))

# %% [markdown]
# ## Ask it
#
# What would it say at other temperatures, all else as it is? Beside it is the rule.

# %%
degrees = np.linspace(-5, 40, 46)
ask = pd.DataFrame({"day": pd.Timestamp("2024-06-05"), "temperature": degrees, "wind": 8.0})
ask = ask.assign(station="bank", sky="clear", emptied_by="Ada")

figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
ax.plot(degrees, model.predict(ask), label="model")
ax.plot(degrees, rides(ask), "k--", label="rule")
seen = train["temperature"].quantile([0.01, 0.99])
ax.axvspan(*seen, color="tab:blue", alpha=0.1, label="where the data are")
ax.set(title="A Wednesday in June, at the bank", xlabel="temperature (degrees)", ylabel="rides")
_ = ax.legend()

# %% [markdown]
# Where there are data, it has found the hump. Elsewhere, it guesses: hot days are rare, and so are
# cold ones in June.
#
# Unknown words and missing values of a row do not stop it. A gap is a gap, and an unknown sky is
# an unknown category.

# %%
rows = ask.iloc[[25, 25]].assign(sky=["clear", None], temperature=[20.0, np.nan])
print(model.predict(rows).round(1), "rides: all known, and without sky and temperature")

# %% [markdown]
# ## Keep
#
# One file has the networks and all that is done with the columns. Loading it executes no code.

# %%
folder = Path(tempfile.mkdtemp())
model.save(folder / "rides.fastnn")
again = TabularModel.load(folder / "rides.fastnn")
assert np.array_equal(again.predict(test), model.predict(test))
print(f"{(folder / 'rides.fastnn').stat().st_size:,} bytes, the same predictions")

# %% [markdown]
# ## Small enough for a small processor
#
# The recipe has three layers of 256 units. For a processor that runs on a battery, that is much.
# Does this table need it? Two layers of 16 units, all else as before:

# %%
recipe = replace(RECIPE, hidden=(16, 16), dropout=0.0)
small_model = TabularModel(seed=0, recipe=recipe).fit(train, target="rides")
models = {"as it comes": model, "small": small_model}
for name, each in models.items():
    n = each.network.n_parameters
    print(f"{name:<12} {n:>8,} parameters   R2 {each.evaluate(test)['r2']:.3f}")

# %% [markdown]
# ## To C
#
# `to_c` writes one file that needs nothing but a C compiler and the mathematical library. Its head
# says how to use it.

# %%
made = to_c(small_model, folder / "rides.c")
lines = (folder / "rides.c").read_text().splitlines()
print("\n".join(lines[:24]))
print(f"... {len(lines):,} lines; {made.flash:,} bytes of flash, {made.stack:,} of stack")

# %% [markdown]
# Sizes are those on a small processor, a Cortex-M4. The weights may be bytes instead of floats.
# What that costs is measured on rows of the table.

# %%
inputs = train.drop(columns="rides")
print(f"{'model':<12} {'weights':<8} {'flash':>9} {'stack':>7}   largest change of a prediction")
for name, each in models.items():
    floats = to_c(each, folder / "floats.c")
    print(f"{name:<12} {'float32':<8} {floats.flash:>9,} {floats.stack:>7,}   -")
    bytes_ = to_c(each, folder / "bytes.c", dtype="int8", X=inputs)
    change = f"{bytes_.largest_difference:.2g} rides"
    print(f"{name:<12} {'int8':<8} {bytes_.flash:>9,} {bytes_.stack:>7,}   {change}")

# %% [markdown]
# ## Compile and compare
#
# The file is also a program, if it is compiled with `-Drides_MAIN`: it reads a CSV table, and
# prints a prediction a line. This cell looks for a C compiler, and says so if there is none.

# %%
compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
program = folder / "rides"
if compiler is None:
    print("there is no C compiler here: the rest of the notebook shows nothing")
else:
    command = [compiler, "-O3", "-Drides_MAIN", folder / "rides.c", "-o", program, "-lm"]
    subprocess.run(command, check=True)
    print(f"compiled: a program of {program.stat().st_size:,} bytes")

# %%
if compiler is not None:
    csv = test.drop(columns="rides").to_csv(index=False)
    result = subprocess.run([program], input=csv, capture_output=True, text=True, check=True)
    print("\n".join(result.stdout.splitlines()[:4]))

# %% [markdown]
# A thousand rows, gaps included, through C and through Python:

# %%
if compiler is not None:
    from_c = np.array([float(line) for line in result.stdout.splitlines()[1:]])
    from_python = small_model.predict(test)
    difference = np.abs(from_c - from_python).max()
    print(f"{len(from_c)} predictions, largest difference {difference:.1e} rides")
    assert difference < 1e-5 * np.abs(from_python).max()

# %%
if compiler is not None:
    figure, ax = plt.subplots(figsize=(4.2, 4), layout="constrained")
    ax.plot(from_python, from_c, ".", markersize=4)
    ax.set(title="The same numbers", xlabel="rides (Python)", ylabel="rides (C)")
shutil.rmtree(folder)

# %% [markdown]
# The differences are those of rounding: C adds in another order.
#
# ## Questions to try
#
# Each takes a line or two. An `assert` that fails then is an answer, too.
#
# 1. Train on the first 300 rows of `train`. Which part of the rule is lost first?
# 2. Make `TabularModel(members=4, seed=0)`. What does the mean of four networks gain, and what
#    does it cost in flash?
# 3. Leave out `day` with `train.drop(columns="day")`. Which effects are gone?
# 4. `fit` has drawn the rows it held out from all four years. Train on the days before 2025, and
#    test on 2025: why is the score lower?
# 5. Change the scale of the noise in `make` to 60. How do model, linear model and rule compare
#    now?
# 6. In a new cell, fit a model with `target="station"`, and evaluate it. How well could anybody
#    do?

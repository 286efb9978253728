"""Train on in NengoDL what Keras trained too little, and take the weights back into Keras.

    python examples/fine_tune.py

NengoDL trains a spiking network through the rates of its neurons: ``sim.fit`` on the unfiltered
probe. The converted network is such a network, so nothing is needed but the two steps back:
``update_from`` and ``to_keras``.
"""

from __future__ import annotations

import argparse
import warnings

from quiet import start_tensorflow

start_tensorflow()

import keras  # noqa: E402
import tf_keras  # noqa: E402
from reference import build_model, compile_model, error, load_digits  # noqa: E402

import kconvert  # noqa: E402
from kconvert.bridge import nengo_dl  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=int, default=2000, help="digits NengoDL trains on")
    parser.add_argument("--test", type=int, default=200, help="held-out digits")
    parser.add_argument("--epochs", type=int, default=2)
    arguments = parser.parse_args()

    digits = load_digits()
    x, y = digits.x_train[: arguments.train], digits.y_train[: arguments.train]
    test = digits.x_test[: arguments.test], digits.y_test[: arguments.test]

    keras.utils.set_random_seed(0)
    model = build_model()
    compile_model(model)
    model.fit(digits.x_train[:500], digits.y_train[:500], batch_size=50, verbose=0)

    # One step of training has no time for a synapse, so the network is converted without.
    spiking = kconvert.convert(model, synapse=None, train_biases=True)
    spiking_error = 100 * (1 - spiking.evaluate(*test).accuracy)
    print(f"one epoch on 500 digits in Keras: Keras {error(model, *test):.2f} % error, "
          f"spiking {spiking_error:.2f} %")  # fmt: skip

    [image], [probe] = spiking.inputs.values(), spiking.raw_outputs.values()
    with nengo_dl.Simulator(spiking.net, minibatch_size=50, progress_bar=False) as sim:
        sim.compile(
            optimizer=tf_keras.optimizers.RMSprop(0.001),  # NengoDL takes Keras 2 objects
            loss={probe: tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
        )
        sim.fit(
            {image: x.reshape(len(x), 1, -1)},  # (samples, steps, values)
            {probe: y.reshape(-1, 1, 1)},
            epochs=arguments.epochs,
            verbose=2,
        )
        spiking.update_from(sim)

    trained = spiking.to_keras()
    spiking_error = 100 * (1 - spiking.evaluate(*test).accuracy)
    print(f"after {arguments.epochs} epochs on {len(x)} digits in NengoDL: "
          f"Keras {error(trained, *test):.2f} % error, spiking {spiking_error:.2f} %")  # fmt: skip
    print(spiking.verify(test[0][:8]))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()

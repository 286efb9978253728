"""Keras' own tests of layers and operations, run through the converter.

    make bench BENCH=keras_suite    # ARGS: [--quick] [--only layers/core] [--list]

Runs ``keras/src/layers/**/*_test.py`` and ``keras/src/ops/*_test.py``, which Keras' package ships,
and records every different call of a layer or operation. Each becomes a model of this one call,
with random weights. ``check`` must raise for none. What it accepts is converted, and one step of
the rate network is compared with ``model.predict`` on random input. Writes
benchmarks/results/keras_suite.json.
"""

from __future__ import annotations

import argparse
import os
import re
import warnings
from collections import Counter
from dataclasses import dataclass
from typing import Any

from quiet import start_tensorflow

start_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402
from keras_recording import Call, Spec, record, test_files  # noqa: E402
from report import markdown_table, save  # noqa: E402

import kconvert  # noqa: E402

QUICK = ("layers/reshaping/cropping1d_test", "layers/activations/relu_test")
TOLERANCE = {"float32": 1e-4, "float16": 1e-2, "bfloat16": 5e-2}
"""Of the largest value, by the precision in which Keras computes: about ten times its rounding;
float32 rounds sums of some thousand terms to about 1e-5."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one call.

    Args:
        call: The call.
        verdict: "equal", "refused", "wrong", "crash", or "not Keras" where Keras itself does not
            build or run the model on this machine.
        text: The reason, or what is wrong.
        error: Largest difference from Keras, as a share of the largest value.
    """

    call: Call
    verdict: str
    text: str = ""
    error: float = 0.0


def tried(call: Call, seed: int) -> Outcome:
    """Build a model of the call, convert it and compare."""
    try:
        rng = np.random.default_rng(seed)
        model = _model(call, rng)
        x = [_samples(tensor, rng) for tensor in model.inputs]
    except Exception as error:  # noqa: BLE001 - Keras refuses in many ways
        return Outcome(call, "not Keras", f"{type(error).__name__}: {error}"[:200])
    try:
        return _converted(call, model, x)
    except kconvert.KconvertError as error:
        return Outcome(call, "crash", f"check passes, convert raises: {error}")
    except Exception as error:  # noqa: BLE001 - this is what is looked for
        return Outcome(call, "crash", f"{type(error).__name__}: {error}"[:500])


def _converted(call: Call, model: keras.Model, x: list[np.ndarray]) -> Outcome:
    report = kconvert.check(model)
    if not report:
        try:
            kconvert.convert(model, calibration=False)
        except kconvert.KconvertError:
            bad = [row for row in report if row.fix or row.status in ("unsupported", "needs flag")]
            if "defect" in bad[0].text:
                return Outcome(call, "crash", bad[0].text)
            return Outcome(call, "refused", f"{bad[0].layer_class}: {bad[0].text}; {bad[0].fix}")
        return Outcome(call, "crash", "check refuses, convert accepts")
    network = kconvert.convert(model, spiking=False, synapse=None, output_synapse=None)
    feed = x if len(x) > 1 else x[0]
    shapes = network.signature.inputs.values()
    in_time = any(len(shape) < array.ndim - 1 for shape, array in zip(shapes, x, strict=True))
    try:
        expected = model.predict(feed, verbose=0)
    except Exception as error:  # noqa: BLE001 - Keras refuses in many ways
        return Outcome(call, "not Keras", f"{type(error).__name__}: {error}"[:200])
    if in_time:  # the last step: predict has the activation that ends an output, as Keras
        found = network.predict(feed, simulator="nengo")
        expected = keras.tree.map_structure(lambda values: np.asarray(values)[:, -1], expected)
    else:
        found = network.predict(feed, n_steps=1, simulator="nengo")
    computed = [each.text for each in network.decisions if each.kind == "precision"]
    computed += [tensor.dtype for tensor in (*model.inputs, *model.outputs)]
    precision = next((each for each in ("bfloat16", "float16") if each in str(computed)), "float32")
    return _compared(call, found, expected, precision)


def _compared(call: Call, found: Any, expected: Any, precision: str) -> Outcome:
    largest = 0.0
    for ours, theirs in zip(keras.tree.flatten(found), keras.tree.flatten(expected), strict=True):
        theirs = np.asarray(theirs, np.float64)
        if ours.shape != theirs.shape:
            return Outcome(call, "wrong", f"shape {ours.shape}, Keras {theirs.shape}")
        if not np.all(np.isfinite(theirs)):
            return Outcome(call, "wrong", "Keras' values are not finite, ours are")
        scale = max(float(np.abs(theirs).max(initial=0)), 1e-6)
        largest = max(largest, float(np.abs(ours - theirs).max(initial=0)) / scale)
    if largest > TOLERANCE[precision]:
        return Outcome(call, "wrong", f"differs by {largest:.3g} of the largest value", largest)
    if precision != "float32":
        return Outcome(call, "equal to half precision", error=largest)
    return Outcome(call, "equal", error=largest)


def _model(call: Call, rng: np.random.Generator) -> keras.Model:
    inputs: list[Any] = []

    def tensor(leaf: Any) -> Any:
        if not isinstance(leaf, Spec):
            return leaf
        inputs.append(keras.Input(leaf.shape[1:], dtype=leaf.dtype))
        return inputs[-1]

    args, kwargs = keras.tree.map_structure(tensor, call.arguments)
    made = call.operation if call.config is None else call.kind.from_config(dict(call.config))
    outputs = made(*args, **kwargs)
    model = keras.Model(inputs, outputs)
    for variable in model.weights:
        if keras.backend.is_float_dtype(variable.dtype):
            variable.assign(_weight(variable, rng))
    return model


def _weight(variable: Any, rng: np.random.Generator) -> np.ndarray:
    shape = tuple(variable.shape)
    if "variance" in variable.name:
        return rng.uniform(0.5, 1.5, shape)
    return rng.standard_normal(shape) / np.sqrt(max(1, np.prod(shape[:-1])))


def _samples(tensor: Any, rng: np.random.Generator) -> np.ndarray:
    shape = (3, *(size or 4 for size in tensor.shape[1:]))
    if keras.backend.is_float_dtype(tensor.dtype):
        return rng.standard_normal(shape).astype(tensor.dtype)
    return rng.integers(0, 2, shape).astype(tensor.dtype)


def _kind_of_reason(text: str) -> str:
    """A reason without the numbers and names of one model."""
    text = text.split("; ")[0]
    return re.sub(r"\([^()]*\)|\[[^]]*\]|'[^']*'|-?\d+(\.\d+)?(e-?\d+)?", "..", text)[:110]


def main(files: list[str], every: bool, keep: bool) -> None:
    calls: dict[str, Call] = {}
    outcomes: list[Outcome] = []
    for file in files:
        for call in record(file, calls):
            outcomes.append(outcome := tried(call, len(outcomes)))
            if every or outcome.verdict in ("wrong", "crash"):
                print(outcome.verdict, outcome.call.key[:300], "|", outcome.text, flush=True)
        keras.backend.clear_session()
    rows = _rows(outcomes)
    print(markdown_table(rows))
    if keep:
        save("keras_suite", rows)


def _rows(outcomes: list[Outcome]) -> list[dict[str, Any]]:
    counts = Counter(outcome.verdict for outcome in outcomes)
    reasons = Counter(_kind_of_reason(o.text) for o in outcomes if o.verdict == "refused")
    largest = max((o.error for o in outcomes if o.verdict == "equal"), default=0.0)
    return [
        {"calls": "all", "number": len(outcomes), "what": "different calls of the tests"},
        *({"calls": verdict, "number": n, "what": ""} for verdict, n in counts.most_common()),
        {"calls": "equal", "number": largest, "what": "largest error, of the largest value"},
        *({"calls": "refused", "number": n, "what": why} for why, n in reasons.most_common()),
    ]


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    os.environ.setdefault("NENGO_PROGRESS", "0")
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="two files, and no record")
    parser.add_argument("--only", nargs="+", default=["layers", "ops"], help="folders")
    parser.add_argument("--list", action="store_true", help="print every call, not the wrong only")
    given = parser.parse_args()
    chosen = list(QUICK) if given.quick else test_files(*given.only)
    main(chosen, given.list, keep=not given.quick and given.only == ["layers", "ops"])

"""Every line of cases.py, on the NumPy oracle and on both Nengo simulators, against Keras."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from cases import CASES, Case, Refused

import kconvert
from kconvert.reader import LAYERS, read_keras

CONVERTED = [name for name, case in CASES.items() if isinstance(case, Case)]
REFUSED = [name for name, case in CASES.items() if isinstance(case, Refused)]


@pytest.mark.parametrize("name", CONVERTED)
def test_graph_equals_keras(name, rng):
    """Before any pass, in float64 NumPy, every value that Keras has too."""
    model = CASES[name].build()
    reading = read_keras(model)
    assert not reading.problems
    steps = (model.inputs[0].shape[1] or 3,) if reading.in_time else ()
    shapes = {name: reading.graph.nodes[name].shape for name in reading.input_names}
    feeds = {name: rng.standard_normal((5, *steps, *shape)) for name, shape in shapes.items()}
    # In the graph every step is a sample of its own.
    values = reading.graph.evaluate(
        {name: feed.reshape(-1, *shapes[name]) for name, feed in feeds.items()}
    )
    function = keras.Model(model.inputs, list(reading.tensors.values()))
    batch = [feed.astype(np.float32) for feed in feeds.values()]
    if any(decision.kind == "bias" for decision in reading.graph.decisions):
        expected = function.predict_on_batch(batch)  # eagerly Keras gives something else
    else:
        expected = keras.tree.flatten(function(batch, training=False))
    for node, tensor in zip(reading.tensors, expected, strict=True):
        tensor = keras.ops.convert_to_numpy(tensor).reshape(values[node].shape)
        scale = np.abs(tensor).max()
        assert scale > 0, "an all-zero value shows nothing"
        # Keras computes in float32: 1e-5 of scale is its rounding over sums of this length.
        np.testing.assert_allclose(values[node], tensor, rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize("simulator", ["events", "nengo", "nengo_dl"])
@pytest.mark.parametrize("name", CONVERTED)
def test_rate_network_equals_keras(name, simulator):
    """The emitted network, layer by layer, within 1e-5 of each layer's scale."""
    result = kconvert.convert(CASES[name].build(), calibration=False).verify(
        simulator=simulator, n=3
    )
    assert all(layer.scale > 0 for layer in result.layers)
    assert len(result.layers) >= 2  # the input and at least one more
    assert result.passed, str(result)


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_the_reason(name):
    case = CASES[name]
    with pytest.raises(kconvert.UnsupportedModelError, match=case.match):
        kconvert.convert(case.build(), calibration=False)


def test_every_registered_class_has_a_case():
    """A class that no model of the table holds would be untested."""
    used = set()
    for case in CASES.values():
        model = case.build()
        function = keras.Function(model.inputs, model.outputs)
        for operation in function.operations:
            used.add(type(operation))
            if hasattr(operation, "layers"):
                used |= {type(layer) for layer in operation.layers}
    missing = [cls.__name__ for cls in LAYERS.entries if cls not in used]
    assert missing == []

"""Trained weights on their way from a NengoDL simulator into the graph, the network and Keras."""

from __future__ import annotations

from typing import Any

import keras
import nengo
import numpy as np

from .bridge import import_nengo_dl
from .cloning import layer_at
from .errors import InputError
from .ir import Graph, Node, replace_op
from .targets.nengo.model import NengoModel
from .targets.nengo.transforms import links, per_channel, weight_of


def trained_graph(emitted: NengoModel, sim: Any) -> Graph:
    """The emitted graph with the weights that the simulator has now.

    Raises:
        InputError: ``sim`` is no NengoDL simulator of this network, or it is closed.
    """
    _check_simulator(emitted, sim)
    swap = {}
    for name, node in emitted.graph.nodes.items():
        changes = {}
        if name in emitted.weights:
            trained = np.asarray(sim.data[emitted.weights[name]].weights, dtype=np.float64)
            changes["weight"] = weight_of(node.op, trained)
        if name in emitted.biases:
            changes["bias"] = _trained_bias(emitted, node, sim)
        if changes:
            swap[name] = replace_op(node, **changes)
    return emitted.graph.rewrite(swap=swap)


def write_into_network(emitted: NengoModel, trained: Graph, sim: Any) -> None:
    """Put the trained weights into the network's own objects, which the simulator only copied."""
    graph = emitted.graph
    for name, connection in emitted.weights.items():
        shape = graph.nodes[graph.nodes[name].inputs[0]].shape
        [link] = links(trained.nodes[name].op, shape) or []
        connection.transform = link.transform
    for holder in emitted.biases.values():
        if isinstance(holder, nengo.Ensemble):
            holder.bias = np.asarray(sim.data[holder].bias, dtype=np.float64)
        else:
            values = np.asarray(sim.data[holder].weights, dtype=np.float64).ravel()
            holder.transform = per_channel(values, holder.pre_obj.size_out)


def write_into_keras(model: keras.Model, emitted: Graph, trained: Graph) -> None:
    """Add what training changed to the variables of a model that has the emitted weights."""
    for name, node in trained.nodes.items():
        for array, parameter in node.parameters.items():
            before = getattr(emitted.nodes[name].op, array)
            after = getattr(node.op, array)
            if after is before:
                continue
            # What ran was float32: without this an untrained weight would seem to have changed.
            change = (after - before.astype(np.float32).astype(np.float64)) / parameter.scale
            if not change.any():
                continue
            variable = getattr(layer_at(model, parameter.layer), parameter.attribute)
            value = np.asarray(keras.ops.convert_to_numpy(variable), dtype=np.float64)
            variable.assign(value + change.reshape(value.shape))


def _trained_bias(emitted: NengoModel, node: Node, sim: Any) -> np.ndarray:
    holder = emitted.biases[node.name]
    before: np.ndarray = node.op.bias
    if isinstance(holder, nengo.Ensemble):
        # The ensemble's current at rest is the neuron's own plus gain times the bias.
        current = np.asarray(emitted.resting[node.name], dtype=np.float32)
        change = np.asarray(sim.data[holder].bias, dtype=np.float64) - current
        return before.astype(np.float32) + change / np.asarray(holder.gain)
    values = np.asarray(sim.data[holder].weights, dtype=np.float64).ravel()
    if isinstance(holder.post_obj, nengo.ensemble.Neurons):
        return before.astype(np.float32) + values  # on top of the fixed bias in the ensemble
    return values


def _check_simulator(emitted: NengoModel, sim: Any) -> None:
    if type(sim).__module__ != "nengo_dl.simulator":
        import_nengo_dl("update_from, which takes a nengo_dl.Simulator,")  # if that is the reason
        raise InputError(f"update_from takes a nengo_dl.Simulator. Received: {sim!r}")
    if sim.closed:
        raise InputError("update_from: the simulator is closed; call it inside the `with` block")
    if sim.model.toplevel is not emitted.net:
        raise InputError(
            "update_from: this simulator was built from another network. Build it with "
            "nengo_dl.Simulator(spiking_model.net, ...)"
        )

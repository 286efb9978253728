"""SpikingModel: a spiking network together with the Keras model that it was made from."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Never

import keras
import numpy as np

from .arguments import count, refuse_unknown, seconds_of_a_step, seed_of
from .cloning import cloned
from .data.arrays import Feeds, check_feeds
from .data.streams import first_samples
from .diagnosis import Diagnosis, diagnose
from .errors import InputError, is_number
from .fidelity import as_trained
from .ir import Graph
from .memory import require_memory
from .network import SpikingNetwork
from .ops import ReadOut
from .packages import needed
from .passes import run
from .passes.correct_values import without_corrections
from .passes.merge_clipped_relu import merge_clipped_relu
from .passes.receipts import Receipt, receipts
from .passes.set_neurons_per_unit import NEURONS, numbers_of_neurons, set_neurons_per_unit
from .passes.set_spiking import without_synapses
from .preparation import Prepared, own_entries, prepare_by
from .reader import LAYERS, Importer, Reading, Registry, check_model
from .recipe import Recipe
from .running.ready import MAX_BATCH
from .scoring.compiled import compiled_metrics, compiled_task, tasks_of
from .scoring.keras_figures import Wanted, keras_figure
from .scoring.scores import Figure
from .scoring.task import Task
from .signature import Signature
from .simulators import DEFAULT_DT, RunSpec
from .verification import (
    BATCH,
    TOLERANCE,
    Verification,
    keras_batches,
    keras_values,
    samples_at_a_time,
    verify,
)

TIME_STEPS = 5
"""Steps of random input for a model whose time axis has no fixed length."""
SPIKES_AT_A_TIME = 64_000_000
"""Neurons times steps times samples whose spikes :meth:`SpikingModel.diagnose` holds: 0.5 GiB."""


class SpikingModel(SpikingNetwork):
    """A spiking network and the Keras model it was made from. Made by :func:`kconvert.convert`.

    Everything that a :class:`SpikingNetwork` does, and what needs the Keras model: the reference in
    :meth:`evaluate`, :meth:`verify`, :meth:`diagnose`, :meth:`update_from`, :meth:`to_keras`.

    Attributes:
        keras_model: The Keras model to compare with: yours, until :meth:`update_from` brings
            other weights. If you train yours on, convert it again.
    """

    def __init__(
        self,
        model: keras.Model,
        prepared: Prepared,
        graph: Graph,
        *,
        read_outs: tuple[ReadOut | None, ...],
        **settings: Any,
    ) -> None:
        weights = model.get_weights()
        super().__init__(
            graph,
            signature_of(model, prepared.reading, graph),
            read_outs,
            recipe=prepared.recipe,
            keras_sha256=_digest(weights),
            **{"name": model.name, **settings},
        )
        self.keras_model = self._original = model
        self._weights = weights
        self._prepared = prepared
        self._reading = prepared.reading

    @classmethod
    def of_network(
        cls,
        network: SpikingNetwork,
        model: keras.Model,
        layers: Registry | Mapping[type, Importer] | None = None,
    ) -> SpikingModel:
        """A network from a file together with the Keras model it was made from.

        Args:
            network: The network.
            model: The Keras model.
            layers: The importers of your own that it was converted with.

        Raises:
            InputError: The network was made from another model, or from one with other weights.
        """
        check_model(model)
        recipe = network.recipe
        if recipe is None:
            raise InputError(f"{network.name!r} does not say how its Keras model was read")
        registry = layers if isinstance(layers, Registry) else LAYERS.extended(layers or {})
        known = {each.__name__ for each in registry.entries}
        if missing := [name for name in recipe.own_layers if name not in known]:
            raise InputError(
                f"{network.name!r} was converted with importers for {missing}: pass them as layers="
            )
        prepared = prepare_by(recipe, model, registry)
        prepared.require_convertible(model.name)
        found = signature_of(model, prepared.reading, prepared.graph)
        if found != network.signature:
            raise InputError(
                f"{network.name!r} was made from another model than {model.name!r}: its inputs and "
                f"outputs are {network.signature}, the model's are {found}"
            )
        if _digest(model.get_weights()) != network.keras_sha256:
            raise InputError(
                f"{network.name!r} was made from a model with other weights than {model.name!r} "
                "has now: load the weights it was converted with, or convert the model again"
            )
        return cls(
            model,
            prepared,
            network.graph,
            read_outs=network.filters,
            name=network.name,
            spiking=network.spiking,
            train_biases=network.train_biases,
            seed=network.seed,
            class_names=network.class_names,
            about=network.about,
            tasks=network.tasks,
            n_steps=network.n_steps,
        )

    def __getstate__(self) -> dict[str, Any]:
        # What was read holds Keras' symbolic tensors: it is read again.
        state = super().__getstate__()
        del state["_prepared"], state["_reading"]
        # Of the importers only the user's own: the others are there in any process.
        return {**state, "layers": own_entries(self._prepared.layers)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        layers = Registry({**LAYERS.entries, **state.pop("layers")}, dict(LAYERS.refusals))
        recipe: Recipe = state["recipe"]
        vars(self).update(state)
        self._prepared = prepare_by(recipe, self._original, layers)
        same = self.keras_model is self._original
        own = self._prepared.reading
        self._reading = own if same else self._prepared.read(self.keras_model)

    def verify(
        self,
        x: Any = None,
        *,
        simulator: str = "auto",
        tolerance: float = TOLERANCE,
        n: int = 4,
        seed: int = 0,
        **unknown: Never,
    ) -> Verification:
        """Compare the rate network with Keras, layer by layer.

        The network is emitted once more with rate neurons and without synapses, run for one step,
        and every value it shares with Keras is compared. Also for a spiking model: this shows that
        weights and structure are right, before spikes come in.

        Args:
            x: Input of shape ``(n, *input_shape)``, or what yields batches of it, of which the
                first 100 samples are taken; by default standard normal noise, which unlike
                zeros, ones or symmetric images shows a flipped kernel or a swapped axis.
            simulator: "events", "nengo_dl", "nengo" or "auto".
            tolerance: Largest accepted difference, as a share of each layer's largest value.
            n: Number of random samples where no ``x`` is given.
            seed: Seed of the random samples.
            **unknown: Nothing: any other argument is refused, with the nearest name.

        Raises:
            InputError: An argument does not fit.

        Returns:
            The differences; true if all are within the tolerance. ``print`` shows a table.
        """
        refuse_unknown(unknown, SpikingModel.verify)
        if not is_number(tolerance) or not 0 <= tolerance < np.inf:
            raise InputError(f"tolerance must be a number >= 0. Received: {tolerance!r}")
        if x is None:
            self._require_samples(n)
            rng = np.random.default_rng(seed_of(seed))
            in_time = self.signature.in_time
            steps = (self.signature.n_times or TIME_STEPS,) if in_time else ()
            x = {
                name: rng.standard_normal((n, *steps, *shape)).astype(np.float32)
                for name, shape in self.signature.inputs.items()
            }
        x = first_samples(x, self.signature.inputs)
        feeds = check_feeds(x, self.signature.inputs, None if self.signature.in_time else 1, 1)
        # Settings that change the rates (a scaled LIF) stay in: verify is to show what they do.
        # Corrections are for spikes: rates have no need of them.
        graph = without_synapses(without_corrections(self.graph))
        chosen = self._runners.choose(simulator, RunSpec.of_rates(graph, graph.outputs))
        return verify(
            graph,
            self.keras_model,
            self._prepared.reading,
            self._reading.tensors,
            feeds,
            chosen.name,
            tolerance,
        )

    def diagnose(
        self,
        x: Any,
        n_steps: int | None = None,
        *,
        simulator: str = "auto",
        dt: float = DEFAULT_DT,
        **unknown: Never,
    ) -> Diagnosis:
        """Where the loss begins, of what it is made, and what to change.

        Every layer's mean output over the run is compared with Keras' value, and the difference
        taken apart: what the converted curve, the layers before, saturation, the transient at the
        beginning and the noise of spikes have in it. Then the causes of the read-out's error are
        taken away one by one, on up to 32 of the samples, and each has the share that this gains.

        Args:
            x: Some dozens of samples of shape ``(n, *input_shape)``, as for :meth:`simulate`. Of
                what yields batches the first 100 are taken.
            n_steps: Number of steps; :attr:`default_steps` by default.
            simulator: As for :meth:`simulate`.
            dt: Length of a step in seconds.
            **unknown: Nothing: any other argument is refused, with the nearest name.

        Returns:
            ``print`` shows a table and the findings.

        Raises:
            InputError: An argument does not fit, or the network has no spikes.

        Example:
            >>> import keras, kconvert, numpy as np
            >>> relu = keras.layers.ReLU(name="relu")
            >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8), relu])
            >>> spiking = kconvert.convert(model, calibration=False)  # 1 is 1 spike per second
            >>> found = spiking.diagnose(np.eye(4)).findings
            >>> any("too few spikes" in finding for finding in found)
            True
        """
        refuse_unknown(unknown, SpikingModel.diagnose)
        x = first_samples(x, self.signature.inputs)
        feeds = check_feeds(x, self.signature.inputs, n_steps, self.default_steps)
        if not self.spiking:
            raise InputError("diagnose: a rate network (spiking=False) has no spikes")
        if not feeds.held:
            raise InputError(
                f"diagnose compares with Keras' values for input that is held: x must have the "
                f"shapes {[('n', *shape) for shape in self.signature.inputs.values()]}"
            )
        for node in self.graph.neurons():
            if not node.op.spikes:
                raise InputError(
                    f"diagnose counts spikes, and {node.layer!r} has {node.op.kind} neurons, "
                    "which transmit rates"
                )
        spec = self._spec(seconds_of_a_step("dt", dt), record=True)
        require_memory(
            "the spikes of a sample at every step",
            8 * max(self.n_neurons, 1) * feeds.n_steps,
            "n_steps",
            feeds.n_steps,
        )
        chosen = self._runners.choose(simulator, spec)
        self._runners.check_dt(spec)
        most = max(1, SPIKES_AT_A_TIME // (max(self.n_neurons, 1) * feeds.n_steps))
        reference = run(self._reading.graph, self._prepared.passes)
        numbers = numbers_of_neurons(self.graph)
        if not numbers.keys() <= {node.name for node in reference.neurons()}:
            reference = merge_clipped_relu(reference)  # as calibration does
        reference = as_trained(set_neurons_per_unit(numbers)(reference))
        known, outputs = self._keras_reference(feeds) if self.graph.replacements else (None, None)
        task = self.tasks[0] if len(self.graph.outputs) == 1 else None
        return diagnose(
            spec,
            reference,
            feeds,
            chosen.name,
            min(most, feeds.n, MAX_BATCH),
            known=known,
            known_outputs=outputs,
            activate=self._activate,
            task=task,
        )

    def _keras_reference(self, feeds: Feeds) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Keras' values of layers of neurons, and its outputs side by side."""
        numbers, known = numbers_of_neurons(self.graph), self._reading.tensors
        of = {node.name: node.name for node in self.graph.neurons()}
        of |= {f"{unit}{NEURONS}": unit for unit in numbers}
        of = {name: unit for name, unit in of.items() if unit in known}
        tensors = [known[unit] for unit in of.values()]
        values = keras_values(
            self.keras_model,
            [*tensors, *self.keras_model.outputs],
            feeds,
            at_a_time=samples_at_a_time(self._reading.graph),
        )
        outputs = [each.reshape(feeds.n, -1) for each in values[len(of) :]]
        found = {
            name: np.repeat(value, numbers.get(unit, 1), axis=-1)
            for (name, unit), value in zip(of.items(), values, strict=False)
        }
        return found, np.concatenate(outputs, axis=1)

    def _activate(self, read_outs: np.ndarray) -> np.ndarray:
        """What Keras puts out, side by side, of the read-outs side by side."""
        parts = np.split(read_outs, np.cumsum(self._output_sizes)[:-1], axis=1)
        activated = [self.graph.activated(k, part) for k, part in enumerate(parts)]
        return np.concatenate([part.reshape(len(part), -1) for part in activated], axis=1)

    def receipts(self, n: int = 2, seed: int = 0) -> tuple[Receipt, ...]:
        """What each pass that simplified the graph did to its numbers.

        The graph is evaluated before and after each pass in float64 NumPy, which for a large model
        takes a while.

        Args:
            n: Number of samples of random input.
            seed: Seed of the input.

        Returns:
            One entry for each pass that changed something; ``print`` them.

        Example:
            >>> import keras, kconvert
            >>> model = keras.Sequential([
            ...     keras.Input((4,)),
            ...     keras.layers.Dense(3),
            ...     keras.layers.BatchNormalization(),
            ... ])
            >>> [receipt] = kconvert.convert(model).receipts()
            >>> receipt.name, receipt.nodes_before, receipt.nodes_after
            ('fold_affine_into_linear', 3, 2)
            >>> receipt.max_difference < 1e-12
            True
        """
        self._require_samples(n)
        rng = np.random.default_rng(seed_of(seed))
        feeds = {
            name: rng.standard_normal((n, *shape)) for name, shape in self.signature.inputs.items()
        }
        return receipts(self._prepared.reading.graph, self._prepared.passes, feeds)

    def _require_samples(self, n: Any) -> None:
        """Refuse numbers of random samples whose values find no place."""
        sizes = sum(node.size for node in self.graph.nodes.values())
        require_memory("the layers' values", 8 * sizes * count("n", n), "n", n)

    def update_from(self, sim: Any) -> None:
        """Take over the weights that a ``nengo_dl.Simulator`` of :attr:`net` has trained.

        :attr:`net`, :attr:`graph` and :attr:`keras_model` have the trained weights afterwards.
        Your own Keras model is left as it is.

        Args:
            sim: The simulator, not yet closed.

        Raises:
            InputError: It is no NengoDL simulator of this network, or it is closed.

        Example: see ``examples/fine_tune.py``.
        """
        with needed("update_from"):
            from .training import trained_graph, write_into_keras, write_into_network

        graph = trained_graph(self._emitted, sim)
        if any(node.correction is not None for node in graph.nodes.values()):
            warnings.warn(
                "update_from: this network has corrections for its spikes. With them NengoDL "
                "trains other rates than Keras computes, so the Keras model would not compute what "
                "was trained. Train a network that was converted with correction=None, and convert "
                "the trained model with corrections",
                stacklevel=2,
            )
        model = cloned(self._original, self._weights)
        write_into_keras(model, self._emitted.graph, graph)
        write_into_network(self._emitted, graph, sim)
        self.graph, self.keras_model = graph, model
        self.keras_sha256 = _digest(model.get_weights())
        self.about.pop("evaluation", None)  # was of the old weights
        self._reading = self._prepared.read(model)
        self._runners.forget()

    def to_keras(self) -> keras.Model:
        """A new Keras model with this network's weights, of the same layers as the original."""
        weights = self._weights if self.keras_model is self._original else None
        return cloned(self.keras_model, weights or self.keras_model.get_weights())

    def _has_reference(self, feeds: Feeds) -> bool:
        return feeds.held

    def _reference_weights(self) -> list[np.ndarray]:
        return self.keras_model.get_weights()

    def _reference_outputs(
        self, feeds: Feeds, indices: list[int], known: Callable[[slice], bool] | None = None
    ) -> Iterator[tuple[slice, list[np.ndarray]]]:
        tensors = [self.keras_model.outputs[index] for index in indices]
        many = feeds.n > 10 * BATCH  # enough to pay for the compiling
        at_a_time = samples_at_a_time(self._reading.graph)
        return keras_batches(
            *(self.keras_model, tensors, feeds), at_a_time=at_a_time, compiled=many, known=known
        )

    def _versions(self) -> dict[str, str]:
        return {**super()._versions(), "keras": f"{keras.__version__} {keras.config.backend()}"}

    def _figures(
        self, index: int, y: np.ndarray, task: Task, wanted: list[Any] | None
    ) -> list[Figure]:
        name, shape = self.signature.outputs[index], self.graph.output_shape(index)
        if wanted is None:
            found = compiled_metrics(self._original, index, name)
        else:
            found = [Wanted(each) for each in wanted]
        if found is None:
            return super()._figures(index, y, task, None)
        return [keras_figure(each, task, y.shape, shape) for each in found]

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What each output is for, as the Keras model is compiled now; else as it was when the
        network was saved, or as its layers tell.
        """
        names = self.signature.outputs
        # The clone of `update_from` is not compiled.
        known = [
            compiled_task(self._original, k, name, self._tasks[k], self.graph.output_shape(k))
            for k, name in enumerate(names)
        ]
        return tasks_of(self._original, names, known)


def signature_of(model: keras.Model, reading: Reading, graph: Graph) -> Signature:
    """The signature of a network that was made from a model."""
    in_time = reading.in_time
    return Signature(
        inputs={name: graph.nodes[name].shape for name in reading.input_names},
        outputs=reading.output_names,
        structure=reading.output_structure,
        in_time=in_time,
        n_times=model.inputs[0].shape[1] if in_time else None,
    )


def _digest(weights: Sequence[np.ndarray]) -> str:
    """A checksum of a model's weights."""
    found = hashlib.sha256()
    for array in weights:
        found.update(f"{array.dtype} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()

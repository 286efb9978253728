"""SpikingModel: a converted network, and what can be done with it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import keras
import numpy as np

from .data import Feeds, InputShapes, check_feeds, check_labels
from .errors import InputError, Problem
from .evaluation import Evaluation, classes, share
from .fidelity import Diagnosis, as_trained, diagnose
from .ir import Decision, Graph, product
from .ops import Lif
from .passes import Pass, run
from .passes.correct_values import without_corrections
from .passes.receipts import Receipt, receipts
from .passes.set_spiking import set_synapses
from .reader import Reading
from .running import Settings, Totals, by_layer, neuron_layers, run_through, stored
from .simulation import Simulation
from .simulators import Chunk, EarlyExit, Runner, make_runner
from .simulators.choose import resolve
from .summary import summary_text
from .targets.nengo.model import NengoModel
from .targets.nengo.net import to_nengo
from .training import trained_graph, write_into_keras, write_into_network
from .verification import BATCH, TOLERANCE, Verification, keras_values, verify

DEFAULT_STEPS = 30
TIME_STEPS = 5
"""Steps of random input for a model whose time axis has no fixed length."""
MAX_BATCH = 128
SPIKES_AT_A_TIME = 64_000_000
"""Neurons times steps times samples whose spikes :meth:`SpikingModel.diagnose` holds: 0.5 GiB."""
NEURONS_AT_A_TIME = 8_000_000
"""Neurons times images that a batch may hold by default: about 0.5 GiB in NengoDL."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A model that was read and simplified.

    Args:
        reading: As read.
        read: Reads another model in the same way.
        passes: What the graph went through.
        graph: The graph after them.
        problems: Why the model cannot be converted; empty when all is well.
    """

    reading: Reading
    read: Callable[[keras.Model], Reading]
    passes: tuple[Pass, ...]
    graph: Graph
    problems: tuple[Problem, ...]

    @property
    def input_shapes(self) -> InputShapes:
        """Keras' input names, in its order, and the shapes of a sample."""
        return {name: self.graph.nodes[name].shape for name in self.reading.input_names}


class SpikingModel:
    """A Keras model as a network of neurons. Made by :func:`kconvert.convert`.

    Attributes:
        net: The ``nengo.Network``. Runs in ``nengo_dl.Simulator`` and ``nengo.Simulator`` as is.
        inputs: Keras' input name to the ``nengo.Node`` that takes its flattened value.
        outputs: Keras' output name to the filtered ``nengo.Probe``.
        raw_outputs: Keras' output name to the unfiltered ``nengo.Probe``, for training.
        layers: Layer name to its Nengo object: an Ensemble for neurons, a Node for other values,
            a Connection for a linear layer that is the way into the next ensemble.
        graph: What was emitted, as data; ``print(graph)`` lists it.
        decisions: What conversion did that you should know of.
        keras_model: The Keras model to compare with: yours, until :meth:`update_from` brings
            other weights. If you train yours on, convert it again.
    """

    def __init__(
        self,
        model: keras.Model,
        prepared: Prepared,
        graph: Graph,
        *,
        spiking: bool,
        output_synapse: Any,
        train_biases: bool,
        seed: int,
        dt: float | None = None,
    ) -> None:
        self.keras_model = self._original = model
        self._weights = model.get_weights()
        self.graph = graph
        self.spiking = spiking
        # LIF neurons whose time constants were set for steps of one length do not do with another.
        bent = any(isinstance(node.op, Lif) for node in graph.nodes.values())
        self._calibrated_dt = dt if spiking and bent else None
        self._prepared = prepared
        self._reading = reading = prepared.reading
        self._emitted: NengoModel = to_nengo(
            graph,
            spiking=spiking,
            output_synapse=output_synapse,
            seed=seed,
            train_biases=train_biases,
            label=model.name,
        )
        self._runner: tuple[Any, Runner] | None = None
        self._told: set[str] = set()
        emitted, names = self._emitted, reading.output_names
        self.net = emitted.net
        self.inputs = {name: emitted.values[name].obj for name in reading.input_names}
        self.outputs = dict(zip(names, emitted.probes, strict=True))
        self.raw_outputs = dict(zip(names, emitted.raw_probes, strict=True))
        self.layers = emitted.objects()

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """What conversion did that the user should know of."""
        return (*self.graph.decisions, *self._emitted.decisions)

    def __repr__(self) -> str:
        kind = "spiking" if self.spiking else "rate"
        neurons = sum(ensemble.n_neurons for ensemble in self.net.ensembles)
        return f"<SpikingModel {self.keras_model.name!r}: {kind}, {neurons:,} neurons>"

    def summary(self) -> None:
        """Print layers, neurons and decisions."""
        print(summary_text(self.graph, self.decisions, spiking=self.spiking))  # noqa: T201

    def simulate(
        self,
        x: Any,
        n_steps: int | None = None,
        *,
        simulator: str = "auto",
        dt: float = 0.001,
        batch_size: int | None = None,
        spikes: bool = False,
        dtype: str | None = None,
        early_exit: EarlyExit | None = None,
        on_interrupt: str = "raise",
        progress: bool | None = None,
    ) -> Simulation:
        """Run the network and give back its output at every step.

        Args:
            x: Input of shape ``(n, *input_shape)``, held for all steps, or
                ``(n, n_steps, *input_shape)``, changing in time. Several inputs: a list in Keras'
                order or a dict by name.
            n_steps: Number of steps; 30 by default, or the length of an input that changes.
            simulator: "events" (only what spikes costs time; float32, all cores), "nengo_dl"
                (TensorFlow, float32, batches), "nengo" (the reference: float64, one sample at a
                time) or "auto", which is "events", or "nengo_dl" with a warning for a network that
                "events" cannot run.
            dt: Length of a step in seconds.
            batch_size: Samples that run at a time; memory grows with it. By default as many as
                hold 8 million neurons together, at most 128. The last batch may be partial. The
                event simulator takes it as the most samples in a piece of work.
            spikes: Also record every neuron's spikes, in a byte for a neuron and step.
            dtype: "float32" or "float64" for the event simulator; None is the simulator's own.
            early_exit: Let a sample's run end once its read-out is settled. Event simulator only,
                for a model with one output that is a vector of classes.
            on_interrupt: What Ctrl-C does: "raise" ``KeyboardInterrupt``, or "return" the samples
                that are done, with ``complete=False``. Before the first is done that is a result of
                no samples, in which every mean is NaN.
            progress: Show a bar with the remaining time: True, False, or None for "if standard
                error is a terminal".

        Raises:
            InputError: An argument does not fit (also a ``ValueError``).
        """
        feeds = check_feeds(x, self._input_shapes, n_steps, DEFAULT_STEPS)
        if spikes and not self.spiking:
            raise InputError("spikes=True: a rate network (spiking=False) has no spikes to record")
        settings = self._settings(
            simulator, dt, batch_size, dtype, early_exit, on_interrupt, progress, spikes=spikes
        )
        sizes = {name: product(self.graph.nodes[name].shape) for name in neuron_layers(self.graph)}
        shape = (feeds.n, feeds.n_steps)
        outputs = [np.empty((*shape, size)) for size in self._output_sizes]
        trains = {
            layer: np.zeros((*shape, size), dtype=np.uint8)
            for layer, size in (sizes.items() if spikes else ())
        }
        totals = self._totals(feeds, settings)

        def take(chunk: Chunk) -> None:
            for whole, part in zip(outputs, chunk.outputs, strict=True):
                whole[chunk.images, chunk.steps] = part
            for layer, part in chunk.spikes.items():
                trains[layer] = stored(trains[layer], part)
                trains[layer][chunk.images, chunk.steps] = part
            totals.add(chunk)

        run_through(partial(self._make_runner, feeds.n, settings), feeds, settings, take)
        return Simulation(
            outputs=self._structured([output[: totals.n] for output in outputs]),
            rates=totals.rates,
            n_spikes=totals.n_spikes,
            spikes=by_layer(
                {layer: train[: totals.n] for layer, train in trains.items()}, self.graph
            ),
            n_steps=feeds.n_steps,
            dt=dt,
            simulator=settings.simulator,
            n_operations=totals.n_operations,
            steps=totals.steps[: totals.n],
            complete=totals.n == feeds.n,
        )

    def predict(
        self,
        x: Any,
        n_steps: int | None = None,
        *,
        simulator: str = "auto",
        dt: float = 0.001,
        batch_size: int | None = None,
        dtype: str | None = None,
        early_exit: EarlyExit | None = None,
        on_interrupt: str = "raise",
        progress: bool | None = None,
    ) -> Any:
        """The filtered output after the last step, of shape ``(n, *output_shape)``.

        Arguments and errors as for :meth:`simulate`. Several outputs come as Keras' predict gives
        them: as a list or a dict.
        """
        feeds = check_feeds(x, self._input_shapes, n_steps, DEFAULT_STEPS)
        settings = self._settings(
            simulator, dt, batch_size, dtype, early_exit, on_interrupt, progress
        )
        outputs = [np.empty((feeds.n, size)) for size in self._output_sizes]
        totals = self._totals(feeds, settings)

        def take(chunk: Chunk) -> None:
            for whole, part in zip(outputs, chunk.outputs, strict=True):
                whole[chunk.images] = part[:, -1]
            totals.add(chunk)

        start = partial(self._make_runner, feeds.n, settings)
        run_through(start, feeds, settings, take, last_only=True)
        return self._structured([output[: totals.n] for output in outputs])

    def evaluate(
        self,
        x: Any,
        y: Any,
        n_steps: int | None = None,
        *,
        output: str | None = None,
        simulator: str = "auto",
        dt: float = 0.001,
        batch_size: int | None = None,
        dtype: str | None = None,
        early_exit: EarlyExit | None = None,
        on_interrupt: str = "raise",
        progress: bool | None = None,
    ) -> Evaluation:
        """Accuracy at every step, beside the Keras model's.

        Args:
            x: As for :meth:`simulate`.
            y: Class numbers of shape (n,) or (n, 1), or one-hot of shape (n, classes). For an
                output of one unit, 0 or 1.
            n_steps: See :meth:`simulate`.
            output: Keras' name of the output to evaluate; needed where there are several.
            simulator: See :meth:`simulate`.
            dt: See :meth:`simulate`, and so the others.
            batch_size: See there.
            dtype: See there.
            early_exit: See there.
            on_interrupt: See there.
            progress: See there.

        Raises:
            InputError: An argument does not fit, or the output is no vector of classes.
        """
        feeds = check_feeds(x, self._input_shapes, n_steps, DEFAULT_STEPS)
        index, name = self._output_index(output)
        shape = self.graph.nodes[self.graph.outputs[index]].shape
        if len(shape) != 1:
            raise InputError(
                f"evaluate needs one value for each class, and the output {name!r} has the shape "
                f"{shape}; use simulate or predict"
            )
        labels = check_labels(y, feeds.n, shape[0], name)
        settings = self._settings(
            simulator, dt, batch_size, dtype, early_exit, on_interrupt, progress
        )
        reference = np.zeros(0, dtype=np.int64) if feeds.held else None
        right, same = np.zeros(feeds.n_steps), np.zeros(feeds.n_steps)
        spikes = np.zeros(feeds.n_steps)
        last = np.zeros_like(labels)
        totals = self._totals(feeds, settings)

        def start() -> Runner:
            nonlocal reference
            if feeds.held:
                reference = self._keras_classes(feeds, index)
            return self._make_runner(feeds.n, settings)

        def take(chunk: Chunk) -> None:
            found = classes(chunk.outputs[index])
            last[chunk.images] = found[:, -1]
            right[chunk.steps] += (found == labels[chunk.images, None]).sum(axis=0)
            for counts in chunk.counts.values():
                spikes[chunk.steps] += counts.sum(axis=0, dtype=np.float64)
            if reference is not None:
                same[chunk.steps] += (found == reference[chunk.images, None]).sum(axis=0)
            totals.add(chunk)

        run_through(start, feeds, settings, take)
        n = totals.n
        return Evaluation(
            accuracy_per_step=share(right, n),
            reference_accuracy=(
                None if reference is None else share(float((reference[:n] == labels[:n]).sum()), n)
            ),
            agreement_per_step=None if reference is None else share(same, n),
            rates=totals.rates,
            n_spikes=totals.n_spikes,
            spikes_per_step=share(spikes, n),
            n=n,
            output=name,
            simulator=settings.simulator,
            n_operations=totals.n_operations,
            mean_steps=share(float(totals.steps[:n].sum()), n),
            complete=n == feeds.n,
            labels=labels[:n],
            classes=last[:n],
            reference_classes=None if reference is None else reference[:n],
        )

    def verify(
        self,
        x: Any = None,
        *,
        simulator: str = "auto",
        tolerance: float = TOLERANCE,
        n: int = 4,
        seed: int = 0,
    ) -> Verification:
        """Compare the rate network with Keras, layer by layer.

        The network is emitted once more with rate neurons and without synapses, run for one step,
        and every value it shares with Keras is compared. Also for a spiking model: this shows that
        weights and structure are right, before spikes come in.

        Args:
            x: Input of shape ``(n, *input_shape)``; by default standard normal noise, which unlike
                zeros, ones or symmetric images shows a flipped kernel or a swapped axis.
            simulator: "events", "nengo_dl", "nengo" or "auto".
            tolerance: Largest accepted difference, as a share of each layer's largest value.
            n: Number of random samples where no ``x`` is given.
            seed: Seed of the random samples.

        Returns:
            The differences; true if all are within the tolerance. ``print`` shows a table.
        """
        if x is None:
            rng = np.random.default_rng(seed)
            in_time = self._reading.in_time
            steps = (self.keras_model.inputs[0].shape[1] or TIME_STEPS,) if in_time else ()
            x = {
                name: rng.standard_normal((n, *steps, *shape)).astype(np.float32)
                for name, shape in self._input_shapes.items()
            }
        feeds = check_feeds(x, self._input_shapes, None if self._reading.in_time else 1, 1)
        # Settings that change the rates (a scaled LIF) stay in: verify is to show what they do.
        # Corrections are for spikes: rates have no need of them.
        graph = run(without_corrections(self.graph), [set_synapses(None)])
        return verify(
            graph, self.keras_model, self._reading, feeds, self._resolve(simulator, 3), tolerance
        )

    def diagnose(
        self,
        x: Any,
        n_steps: int | None = None,
        *,
        simulator: str = "auto",
        dt: float = 0.001,
    ) -> Diagnosis:
        """Where the loss begins, of what it is made, and what to change.

        Every layer's mean output over the run is compared with Keras' value, and the difference
        taken apart: what the converted curve, the layers before, saturation, the transient at the
        beginning and the noise of spikes have in it.

        Args:
            x: Some dozens of samples of shape ``(n, *input_shape)``, as for :meth:`simulate`.
            n_steps: Number of steps; 30 by default.
            simulator: As for :meth:`simulate`.
            dt: Length of a step in seconds.

        Returns:
            ``print`` shows a table and the findings.

        Raises:
            InputError: An argument does not fit, or the network has no spikes.

        Example:
            >>> import keras, kconvert, numpy as np
            >>> relu = keras.layers.ReLU(name="relu")
            >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8), relu])
            >>> spiking = kconvert.convert(model)  # an output of 1 is 1 spike per second
            >>> found = spiking.diagnose(np.eye(4)).findings
            >>> any("stand for less than a spike" in finding for finding in found)
            True
        """
        feeds = check_feeds(x, self._input_shapes, n_steps, DEFAULT_STEPS)
        if not self.spiking:
            raise InputError("diagnose: a rate network (spiking=False) has no spikes")
        if not feeds.held:
            raise InputError(
                f"diagnose compares with Keras' values for input that is held: x must have the "
                f"shapes {[('n', *shape) for shape in self._input_shapes.values()]}"
            )
        for name in neuron_layers(self.graph):
            kind = getattr(self.graph.nodes[name].op, "neuron_type", None)
            if kind is not None and not kind.spiking:
                raise InputError(
                    f"diagnose counts spikes, and {name!r} has {type(kind).__name__} neurons, "
                    "which transmit rates"
                )
        settings = self._settings(simulator, dt, None, None, None, "raise", False, spikes=True)
        neurons = sum(product(self.graph.nodes[name].shape) for name in neuron_layers(self.graph))
        most = max(1, SPIKES_AT_A_TIME // (max(neurons, 1) * feeds.n_steps))
        settings = replace(settings, batch_size=min(most, feeds.n, MAX_BATCH))
        size = int(settings.batch_size or 1)
        reading = self._prepared.read(self.keras_model)
        reference = as_trained(run(reading.graph, self._prepared.passes))
        runner = self._make_runner(feeds.n, settings)
        swapped = any(decision.kind == "swapped" for decision in self.graph.decisions)
        known, outputs = self._keras_reference(feeds) if swapped else (None, None)
        return diagnose(
            self.graph,
            reference,
            runner,
            feeds,
            settings.simulator,
            dt,
            size,
            output_synapse=self._read_outs,
            known=known,
            known_outputs=outputs,
        )

    def _keras_reference(self, feeds: Feeds) -> tuple[dict[str, np.ndarray], Any]:
        """Keras' values of layers of neurons, its outputs, and what makes such of the network's."""
        reading, graph = self._reading, self._prepared.graph
        names = [name for name in neuron_layers(self.graph) if name in reading.tensors]
        tensors = [reading.tensors[name] for name in names]
        values = keras_values(self.keras_model, [*tensors, *self.keras_model.outputs], feeds)
        left_out: dict[str, Any] = {
            decision.node: reading.graph.nodes[decision.layer].op
            for decision in graph.decisions
            if decision.kind == "logits"
        }
        ends = np.cumsum([0, *self._output_sizes])

        def squash(read_out: np.ndarray) -> np.ndarray:
            parts = []
            for name, first, last in zip(graph.outputs, ends[:-1], ends[1:], strict=True):
                part = read_out[:, first:last].reshape(-1, *graph.nodes[name].shape)
                part = left_out[name].evaluate(part) if name in left_out else part
                parts.append(part.reshape(len(part), -1))
            return np.concatenate(parts, axis=1)

        outputs = [each.reshape(feeds.n, -1) for each in values[len(names) :]]
        wanted = np.concatenate(outputs, axis=1)
        return dict(zip(names, values, strict=False)), (wanted, squash)

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
        rng = np.random.default_rng(seed)
        feeds = {
            name: rng.standard_normal((n, *shape)) for name, shape in self._input_shapes.items()
        }
        return receipts(self._reading.graph, self._prepared.passes, feeds)

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
        graph = trained_graph(self._emitted, sim)
        if any(node.correction is not None for node in graph.nodes.values()):
            warnings.warn(
                "update_from: this network has corrections for its spikes, with which the rates "
                "that NengoDL trained are not Keras': what Keras computes now is not what was "
                "trained. Train a network that was converted with correction=None, and convert the "
                "result with them",
                stacklevel=2,
            )
        model = _clone(self._original, self._weights)
        write_into_keras(model, self._emitted.graph, graph)
        write_into_network(self._emitted, graph, sim)
        self.graph, self.keras_model = graph, model
        self._reading = replace(self._reading, tensors=self._prepared.read(model).tensors)
        self._runner = None

    def to_keras(self) -> keras.Model:
        """A new Keras model with this network's weights, of the same layers as the original."""
        weights = self._weights if self.keras_model is self._original else None
        return _clone(self.keras_model, weights or self.keras_model.get_weights())

    def _resolve(self, simulator: str, depth: int) -> str:
        """The simulator's name; once for each reason, say why "auto" is not the event simulator.

        Args:
            simulator: As the user gave it.
            depth: Calls from here to the user's.
        """
        name, reason = resolve(simulator, self.graph, self._read_outs)
        if reason:
            self._tell(f"simulator='auto' is 'nengo_dl' here: {reason}", depth + 1)
        return name

    def _tell(self, text: str, depth: int) -> None:
        """Warn, once for each text."""
        if text not in self._told:
            self._told.add(text)
            warnings.warn(text, stacklevel=depth)

    @property
    def _read_outs(self) -> tuple[Any, ...]:
        """The filter of each output."""
        return tuple(probe.synapse for probe in self._emitted.probes)

    @property
    def _input_shapes(self) -> InputShapes:
        return self._prepared.input_shapes

    @property
    def _output_sizes(self) -> list[int]:
        return [product(self.graph.nodes[name].shape) for name in self.graph.outputs]

    def _structured(self, outputs: list[np.ndarray]) -> Any:
        """Flat outputs in their shapes, and in the structure of Keras' predict."""
        return self._reading.structured(
            [
                flat.reshape(*flat.shape[:-1], *self.graph.nodes[name].shape)
                for flat, name in zip(outputs, self.graph.outputs, strict=True)
            ]
        )

    def _output_index(self, output: str | None) -> tuple[int, str]:
        names = self._reading.output_names
        if output is None and len(names) == 1:
            return 0, names[0]
        if output not in names:
            raise InputError(
                f"output must name one of the model's outputs, {list(names)}. Received: {output!r}"
            )
        return names.index(output), output

    def _keras_classes(self, feeds: Feeds, index: int) -> np.ndarray:
        tensors = [self.keras_model.outputs[index]]
        many = feeds.n > 10 * BATCH  # enough to pay for the compiling
        [values] = keras_values(self.keras_model, tensors, feeds, compiled=many)
        return classes(values)

    def _settings(
        self,
        simulator: str,
        dt: float,
        batch_size: int | None,
        dtype: str | None,
        early_exit: EarlyExit | None,
        on_interrupt: str,
        progress: bool | None,
        spikes: bool = False,
    ) -> Settings:
        settings = Settings(
            simulator=self._resolve(simulator, 4),
            dt=dt,
            batch_size=batch_size,
            dtype=dtype,
            early_exit=early_exit,
            on_interrupt=on_interrupt,
            progress=progress,
            spikes=spikes,
        )
        if self._calibrated_dt not in (None, float(settings.dt)):
            self._tell(
                f"the rates of LIF neurons were calibrated for dt={self._calibrated_dt:g} and run "
                f"with dt={settings.dt:g}: give kconvert.Calibration(x, dt={settings.dt:g})",
                4,
            )
        if early_exit is not None:
            shapes = [self.graph.nodes[name].shape for name in self.graph.outputs]
            if settings.simulator != "events":
                raise InputError(
                    f"early_exit needs simulator='events'. Received: {settings.simulator!r}"
                )
            if len(shapes) != 1 or len(shapes[0]) != 1:
                raise InputError(
                    "early_exit needs a model with one output that is a vector of classes. This "
                    f"one has outputs of the shapes {shapes}"
                )
        return settings

    def _totals(self, feeds: Feeds, settings: Settings) -> Totals:
        return Totals(self.graph, feeds, self.spiking, settings.dt)

    def _make_runner(self, n: int, settings: Settings) -> Runner:
        """A runner for these settings: the last one again if it fits."""
        name, batch_size = settings.simulator, settings.batch_size
        key = (name, float(settings.dt), settings.spikes, settings.dtype)
        neurons = sum(product(self.graph.nodes[layer].shape) for layer in neuron_layers(self.graph))
        most_neurons = max(1, NEURONS_AT_A_TIME // max(neurons, 1))
        # The event simulator has no batches of a fixed size.
        limit = MAX_BATCH if name == "events" else min(n, most_neurons, MAX_BATCH)
        wanted = min(n, int(batch_size)) if batch_size else limit
        if self._runner is not None and self._runner[0] == key:
            ready = self._runner[1]
            # Without a wish, up to half of a batch may stay unused rather than build anew.
            most = wanted if batch_size else 2 * wanted
            if name == "events":
                ready.batch_size = wanted
            if name in ("nengo", "events") or wanted <= ready.batch_size <= most:
                return ready
        self._runner = None  # frees the last one's memory first
        runner = make_runner(
            name,
            self._emitted,
            self.graph,
            batch_size=wanted,
            dt=settings.dt,
            spikes=settings.spikes,
            dtype=settings.dtype,
        )
        self._runner = (key, runner)
        return runner


def _clone(model: keras.Model, weights: list[np.ndarray]) -> keras.Model:
    clone = keras.models.clone_model(model)
    # Keras names the inputs of a clone after their tensors.
    for new, old in zip(clone.inputs, model.inputs, strict=True):
        new._keras_history.operation.name = old._keras_history.operation.name
    if len(clone.get_weights()) != len(weights):
        raise InputError(
            f"{model.name!r} cannot be cloned by Keras: the clone has {len(clone.get_weights())} "
            f"arrays of weights, the model {len(weights)}. A layer shared between a model and a "
            "model inside it is the usual cause"
        )
    clone.set_weights(weights)
    return clone

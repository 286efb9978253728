"""SpikingNetwork: a converted network that stands on its own, without Keras."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Never

import numpy as np

from .arguments import count, flag, is_word, nearest, refuse_unknown, seconds_of_a_step
from .data.arrays import Feeds, check_feeds
from .data.streams import is_stream, labels_of, run_in_pieces
from .errors import InputError
from .files.about import numbers_of
from .ir import Decision, Graph, Shape, product
from .jobs.shares import share_size, shares_of
from .jobs.work import Work, opened
from .memory import require_memory
from .ops import ReadOut, Sigmoid
from .packages import needed
from .recipe import Recipe
from .results.display import as_frame, as_html, as_text
from .results.simulation import Simulation, joined_outputs, joined_simulations
from .results.summary import network_dict, network_display, network_records
from .running import (
    DTYPES,
    Ready,
    Settings,
    Totals,
    asked_of,
    by_layer,
    bytes_of_a_step,
    run_shares,
    run_through,
    stored,
)
from .scoring.judging import Asked, Judging, Question, judge_of
from .scoring.labels import (
    by_output,
    check_classes,
    check_targets,
    check_weights,
    label_array,
    labels_tell,
)
from .scoring.scores import (
    Figure,
    default_figures,
    figure_of,
    is_accuracy,
    with_class_accuracy,
    with_own_names,
)
from .scoring.task import Task, task_of
from .simulators import (
    DEFAULT_DT,
    Chunk,
    EarlyExit,
    Runner,
    RunSpec,
    Simulator,
    choose,
    require_room,
)

if TYPE_CHECKING:
    from .results.energy import Energy

DEFAULT_STEPS = 30
MAX_BATCH = 128
NEURONS_AT_A_TIME = 8_000_000
"""Neurons times samples that a batch may hold by default: about 0.5 GiB in NengoDL."""


@dataclass(frozen=True, slots=True)
class Signature:
    """Names, order and nesting of a network's inputs and outputs, as Keras has them.

    Args:
        inputs: Name of each input to the shape of one sample, without a time axis, in order.
        outputs: Name of each output, in the order of ``graph.outputs``.
        structure: The nested list, tuple or dict in which outputs are given, with the number of the
            output at each leaf.
        in_time: Whether the first axis of every input is time, and becomes simulation time.
        n_times: Length of that axis in the Keras model, or None if it has no fixed length.
    """

    inputs: Mapping[str, Shape]
    outputs: tuple[str, ...]
    structure: Any
    in_time: bool = False
    n_times: int | None = None

    def structured(self, outputs: list[Any]) -> Any:
        """A value for each output, in the structure in which Keras gives them."""

        def filled(part: Any) -> Any:
            if isinstance(part, Mapping):
                return {key: filled(value) for key, value in part.items()}
            if isinstance(part, list | tuple):
                return type(part)(map(filled, part))
            return outputs[part]

        return filled(self.structure)


class SpikingNetwork:
    """A converted network. :func:`kconvert.load` gives one back from a file.

    It needs NumPy, SciPy and Numba to run; Nengo only for :attr:`net` and for the simulators of
    Nengo and NengoDL. Networks can be pickled and copied.

    Attributes:
        graph: The network as data; ``print(graph)`` lists it.
        signature: Names, order and nesting of inputs and outputs.
        spiking: Whether neurons send spikes, or their rates.
        seed: Seed of the Nengo network.
        name: Name of the Keras model it was made from.
        filters: Filter of each output's read-out, in the order of ``graph.outputs``.
        train_biases: Whether :attr:`net` has connections for biases that feature maps share.
        recipe: How the Keras model was read.
        keras_sha256: Checksum of the Keras model's weights.
        n_steps: Steps that a run takes where you give none; None for 30. :meth:`Tuning.convert`
            sets it to the steps that were found. Files keep it.
        class_names: Names of the classes, if they were given; for your use.
        about: How it was made: the settings of ``convert``, the numbers of the last ``evaluate``,
            and, in a network from a file, the versions that wrote it.
    """

    def __init__(
        self,
        graph: Graph,
        signature: Signature,
        read_outs: tuple[ReadOut | None, ...],
        *,
        name: str,
        spiking: bool = True,
        train_biases: bool = False,
        seed: int = 0,
        recipe: Recipe | None = None,
        keras_sha256: str | None = None,
        class_names: Sequence[str] | None = None,
        about: Mapping[str, Any] | None = None,
        tasks: Sequence[Task] | None = None,
        n_steps: int | None = None,
    ) -> None:
        self.graph = graph
        self.n_steps = None if n_steps is None else count("n_steps", n_steps)
        self.signature = signature
        self.spiking = spiking
        self.seed = seed
        self.name = name
        self.class_names = None if class_names is None else tuple(class_names)
        self.about = dict(about or {})
        self.filters = read_outs
        self.train_biases = train_biases
        self.recipe = recipe
        self.keras_sha256 = keras_sha256
        self._tasks = tuple(tasks or (task_of(graph, k) for k in range(len(graph.outputs))))
        self._runner: tuple[Any, Runner] | None = None
        self._told: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        left_out: dict[str, Any] = {"_runner": None, "_told": set()}
        return {
            name: left_out.get(name, value)
            for name, value in vars(self).items()
            if name != "_emitted"
        }

    def __repr__(self) -> str:
        kind = "spiking" if self.spiking else "rate"
        return f"<{type(self).__name__} {self.name!r}: {kind}, {self.n_neurons:,} neurons>"

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What each output is for, in the order of ``graph.outputs``: whether it stands for classes
        and what it is judged by, as the Keras model was compiled.
        """
        return self._tasks

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return self.graph.n_neurons

    @property
    def read_outs(self) -> dict[str, ReadOut | None]:
        """Name of each output to the filter of its read-out."""
        return dict(zip(self.signature.outputs, self.filters, strict=True))

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """What conversion did that the user should know of.

        Once :attr:`net` was built, also what NengoDL would not train in it.
        """
        built = "_emitted" in vars(self)
        return (*self.graph.decisions, *(self._emitted.decisions if built else ()))

    @property
    def default_steps(self) -> int:
        """Steps that a run takes where you give none and the input does not change in time."""
        return DEFAULT_STEPS if self.n_steps is None else count("n_steps", self.n_steps)

    def summary(self) -> None:
        """Print layers, neurons, which spikes they may send, decisions, steps and advice."""
        print(self)  # noqa: T201

    def __str__(self) -> str:
        return as_text(network_display(self))

    def _repr_html_(self) -> str:
        return as_html(network_display(self))

    def to_dict(self, *, arrays: bool = False) -> dict[str, Any]:
        """The summary as plain data that ``json.dumps`` takes, without weights.

        Args:
            arrays: Write out every array in ``about``. By default one of more than 1000 values
                becomes its shape and type.
        """
        return network_dict(self, arrays=arrays)

    def to_frame(self) -> Any:
        """The layers as a ``pandas.DataFrame``, one row each.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        return as_frame(network_records(self))

    def plot(self, ax: Any = None, **options: Any) -> Any:
        """The number of values and of neurons of each layer.

        Args:
            ax: A ``matplotlib.axes.Axes``, or None for a new figure.
            **options: Arguments of :func:`kconvert.plot.sizes`.

        Returns:
            The Axes.

        Raises:
            MissingPackageError: Matplotlib is not installed.
        """
        from .plot import sizes

        return sizes(self, ax=ax, **options)

    @cached_property
    def _emitted(self) -> Any:
        """The Nengo network, and where the parts of the graph are in it."""
        with needed("the Nengo network of a model"):
            from .targets.nengo.net import to_nengo
        return to_nengo(
            self.graph,
            spiking=self.spiking,
            read_outs=self.filters,
            seed=self.seed,
            train_biases=self.train_biases,
            label=self.name,
        )

    @property
    def net(self) -> Any:
        """The ``nengo.Network``, built when it is first asked for.

        It runs in ``nengo_dl.Simulator`` and ``nengo.Simulator`` as it is. It is yours:
        :meth:`simulate` and the like run networks of their own, made of :attr:`graph`.
        """
        return self._emitted.net

    @property
    def inputs(self) -> dict[str, Any]:
        """Input name to the ``nengo.Node`` of :attr:`net` that takes its flattened value."""
        return {name: self._emitted.values[name].obj for name in self.signature.inputs}

    @property
    def outputs(self) -> dict[str, Any]:
        """Output name to the filtered ``nengo.Probe`` of :attr:`net`."""
        return dict(zip(self.signature.outputs, self._emitted.probes, strict=True))

    @property
    def raw_outputs(self) -> dict[str, Any]:
        """Output name to the unfiltered ``nengo.Probe`` of :attr:`net`, for training."""
        return dict(zip(self.signature.outputs, self._emitted.raw_probes, strict=True))

    @property
    def layers(self) -> dict[str, Any]:
        """Layer name to its object in :attr:`net`: an Ensemble for neurons, a Node for other
        values, a Connection for a linear layer that is the way into the next ensemble.
        """
        return dict(self._emitted.objects())

    def save(self, path: str | Path, *, class_names: Sequence[str] | None = None) -> None:
        """Write the network to a ``.kconvert`` file; see :func:`kconvert.load`.

        The file holds the graph, the weights and how the network was made; no Python code and no
        pickles. An old file of the same name is replaced only once the new one is complete.

        Args:
            path: Name of the file; ``.kconvert`` is added if it has no ending.
            class_names: Names of the classes, to be kept as :attr:`class_names`.

        Raises:
            InputError: There are not as many names as classes.
            FileError: The network holds something that only lives in a process (a TensorNode, a
                neuron or synapse type that only Nengo knows), or the file cannot be written.
        """
        with needed("a file of a network"):
            from .files.store import save

        if class_names is not None:
            self.class_names = check_class_names(class_names, self._units)
        save(self, path)

    def to_nir(
        self, *, reset: str = "subtract", dt: float | None = None, dtype: str = "float32"
    ) -> Any:
        """The network in NIR, the format that simulators and chips exchange (Pedersen et al. 2024).

        NIR has spikes of 0 and 1, and no floor, synapse, refractory time or maximum. What it cannot
        express is refused. A calibrated network fits if it was converted with
        ``spike_values="binary"``.

        Args:
            reset: What a spike does to ReLU neurons in the file. "subtract": they are an ``I``, a
                ``Threshold``, and a ``Scale`` back, which is exactly what kconvert runs. "zero":
                they are ``IF`` nodes, which every reader knows. NIR resets these to 0, so that a
                reader computes another network, unless it subtracts the threshold instead, as
                some do. Then the start voltages must be 0.
            dt: Length of a step in seconds, the file's unit of time. By default the step that the
                network was calibrated for, or 1 ms.
            dtype: Type of the arrays, "float32" or "float64".

        Returns:
            A ``nir.NIRGraph``. The channels of inputs come first. ``metadata["notes"]`` says what
            a reader must know that the file does not hold, such as the read-out.

        Raises:
            InputError: An argument is none of these, or this is a rate network.
            UnsupportedModelError: NIR cannot express some layers; all are listed.
            MissingPackageError: The package nir is not installed.

        Example:
            >>> import keras, kconvert, numpy as np
            >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "relu")])
            >>> x = np.random.default_rng(0).random((8, 4))
            >>> spiking = kconvert.convert(model, calibration=x, spike_values="binary")
            >>> sorted(type(node).__name__ for node in spiking.to_nir().nodes.values())
            ['Affine', 'I', 'Input', 'Output', 'Scale', 'Scale', 'Threshold']
        """
        from .targets.nir.graph import RESETS, to_nir

        for name, word, words in (("reset", reset, RESETS), ("dtype", dtype, DTYPES)):
            if not is_word(word, words):
                raise InputError(
                    f"to_nir: {name} must be one of {', '.join(map(repr, words))}. Received: "
                    f"{word!r}{nearest(word, words)}"
                )
        step = self.graph.calibrated_dt or DEFAULT_DT if dt is None else dt
        seconds = seconds_of_a_step("to_nir: dt", step)
        if not self.spiking:
            raise InputError("to_nir: a rate network has no spikes: convert with spiking=True")
        with needed("a NIR file"):
            return to_nir(
                self.graph, self.read_outs, label=self.name, dt=seconds, reset=reset, dtype=dtype
            )

    def export(self, path: str | Path, **settings: Any) -> tuple[str, ...]:
        """Write the network for other programs. The ending of the name says in which format:

        ``.nir`` (see :meth:`to_nir`), ``.json`` (nodes, shapes and decisions), ``.csv`` (the nodes
        as a table) or ``.npz`` (every array, by the name of its node). To load a network again,
        use :meth:`save`.

        Args:
            path: Name of the file. An old file is replaced only once the new one is complete.
            **settings: For ``.nir``, the arguments of :meth:`to_nir`.

        Returns:
            For ``.nir``, what a reader must know that the file does not hold; else nothing.

        Raises:
            InputError: The name has another ending, or an argument is malformed.
            UnsupportedModelError: NIR cannot express some layers; all are listed.
            FileError: The file cannot be written.
            MissingPackageError: The package nir is not installed.
        """
        from .exporting import export

        return export(self, path, settings)

    def simulate(
        self,
        x: Any,
        n_steps: int | None = None,
        *,
        simulator: str = "auto",
        dt: float = DEFAULT_DT,
        batch_size: int | None = None,
        spikes: bool = False,
        dtype: str | None = None,
        early_exit: EarlyExit | None = None,
        on_interrupt: str = "raise",
        progress: bool | None = None,
        **unknown: Never,
    ) -> Simulation:
        """Run the network and give back its output at every step.

        Args:
            x: Input of shape ``(n, *input_shape)``, held for all steps, or
                ``(n, n_steps, *input_shape)``, changing in time. Several inputs: a list in Keras'
                order or a dict by name. Or what yields batches of such, as Keras' ``predict`` takes
                it: a ``tf.data.Dataset``, a ``keras.utils.PyDataset``, a torch ``DataLoader`` or a
                generator. It is run to its end, some batches at a time; of batches ``(x, y)`` and
                ``(x, y, sample_weight)`` only x is used.
            n_steps: Number of steps. By default :attr:`default_steps`, or the length of an input
                that changes.
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
                that are done, with ``complete=False``. Before the first is done, the result has no
                samples, and every mean in it is NaN.
            progress: Show a bar with the remaining time: True, False, or None for "if standard
                error is a terminal".
            **unknown: Nothing: any other argument is refused, with the nearest name.

        Raises:
            InputError: An argument does not fit (also a ``ValueError``).
        """
        refuse_unknown(unknown, SpikingNetwork.simulate)
        settings = Settings(dt, batch_size, dtype, early_exit, on_interrupt, progress)
        if is_stream(x):
            arguments = {"simulator": simulator, "spikes": spikes, **settings.arguments}
            return self._simulate_stream(x, n_steps, arguments)
        feeds = check_feeds(x, self.signature.inputs, n_steps, self.default_steps)
        if flag("spikes", spikes) and not self.spiking:
            raise InputError("spikes=True: a rate network (spiking=False) has no spikes to record")
        ready = self._prepare_run(simulator, feeds.n, settings, record=spikes)
        self._require_memory(feeds, settings, ready, outputs=True, spikes=spikes)
        sizes = {node.name: node.size for node in self.graph.neurons()}
        shape = (feeds.n, feeds.n_steps)
        outputs = [np.empty((*shape, size)) for size in self._output_sizes]
        trains = {
            layer: np.zeros((*shape, size), dtype=np.uint8)
            for layer, size in (sizes.items() if spikes else ())
        }
        totals = self._totals(feeds.n_steps, settings)
        steps = np.full(feeds.n, feeds.n_steps)

        def take(chunk: Chunk) -> None:
            for whole, part in zip(outputs, chunk.outputs, strict=True):
                whole[chunk.images, chunk.steps] = part
            for layer, part in chunk.spikes.items():
                trains[layer] = stored(trains[layer], part)
                trains[layer][chunk.images, chunk.steps] = part
            if chunk.taken is not None:
                steps[chunk.images] = chunk.taken
            totals.add(totals.found(chunk))

        run_through(ready.make, feeds, settings, take)
        return Simulation(
            outputs=self._in_structure([output[: totals.n] for output in outputs]),
            rates=totals.rates,
            n_spikes=totals.n_spikes,
            spikes=by_layer(
                {layer: train[: totals.n] for layer, train in trains.items()}, self.graph
            ),
            n_steps=feeds.n_steps,
            dt=dt,
            simulator=ready.simulator.name,
            n_operations=totals.n_operations,
            steps=steps[: totals.n],
            complete=totals.n == feeds.n,
        )

    def predict(
        self,
        x: Any,
        n_steps: int | None = None,
        *,
        simulator: str = "auto",
        dt: float = DEFAULT_DT,
        batch_size: int | None = None,
        dtype: str | None = None,
        early_exit: EarlyExit | None = None,
        on_interrupt: str = "raise",
        progress: bool | None = None,
        logits: bool = False,
        distribute: str | None = None,
        checkpoint: str | Path | None = None,
        **unknown: Never,
    ) -> Any:
        """What ``model.predict`` gives: the output after the last step.

        The activation that ends an output (softmax, sigmoid) is applied to the filtered read-out,
        as is what stands behind it.

        Args:
            x: See :meth:`simulate`, and so the others.
            n_steps: See there.
            simulator: See there.
            dt: See there.
            batch_size: See there.
            dtype: See there.
            early_exit: See there.
            on_interrupt: See there.
            progress: See there.
            logits: The read-out itself, before that activation: what :meth:`simulate` records.
            distribute: See :meth:`evaluate`.
            checkpoint: See :meth:`evaluate`.
            **unknown: Nothing: any other argument is refused, with the nearest name.

        Returns:
            Shape ``(n, *output_shape)``; several outputs as Keras gives them, as a list or a dict.

        Raises:
            InputError: An argument does not fit (also a ``ValueError``).

        Example:
            >>> import keras, kconvert, numpy as np
            >>> model = keras.Sequential(
            ...     [keras.Input((4,)), keras.layers.Dense(3, activation="softmax")]
            ... )
            >>> spiking = kconvert.convert(model)
            >>> bool(np.allclose(spiking.predict(np.eye(4)).sum(axis=1), 1.0))
            True
        """
        refuse_unknown(unknown, SpikingNetwork.predict)
        settings = Settings(dt, batch_size, dtype, early_exit, on_interrupt, progress)
        flag("logits", logits)
        about = {**asked_of(settings, n_steps, simulator), "logits": bool(logits)}
        with self._work("predict", about, distribute, checkpoint) as work:
            run = partial(self._predicted, simulator, settings, bool(logits), n_steps)
            if not is_stream(x):
                return run(work, x)[1]
            found, _ = run_in_pieces(
                x,
                self.signature.inputs,
                lambda piece: run(work.within(first=piece.first), piece.x),
                stopped=lambda result, piece: result[0] < piece.n,
                returns=on_interrupt == "return",
            )
            return joined_outputs([outputs for _, outputs in found])

    def _predicted(
        self,
        simulator: str,
        settings: Settings,
        logits: bool,
        n_steps: int | None,
        work: Work,
        x: Any,
    ) -> tuple[int, Any]:
        """The number of samples that are done, and their outputs."""
        feeds = check_feeds(x, self.signature.inputs, n_steps, self.default_steps)
        ready = self._prepare_run(simulator, feeds.n, settings, work=work, depth=5)
        if settings.early_exit is not None or settings.on_interrupt == "return":
            self._require_memory(feeds, settings, ready)
        work.require_same("data", feeds.arrays)
        graph = self.graph
        values_of = _read_out_of(graph) if logits else graph.activated
        shapes = [
            graph.nodes[name].shape if logits else graph.output_shape(k)
            for k, name in enumerate(graph.outputs)
        ]
        require_memory(
            "the outputs",
            8 * feeds.n * sum(map(product, shapes)),
            "len(x)",
            feeds.n,
            "predict parts of x one after the other",
            besides=ready.taken,
        )
        outputs = [np.empty((feeds.n, *shape)) for shape in shapes]
        done = 0

        def found(share: Chunk) -> dict[str, Any]:
            last = [np.asarray(part[:, -1], dtype=np.float64) for part in share.outputs]
            return {"outputs": [values_of(k, part) for k, part in enumerate(last)]}

        def take(images: slice, result: Mapping[str, Any]) -> None:
            nonlocal done
            for whole, part in zip(outputs, result["outputs"], strict=True):
                whole[images] = part
            done = images.stop

        shares = self._shares(ready, feeds, last_only=True)
        run_shares(ready, feeds, settings, shares, found, take, work=work, last_only=True)
        return done, self.signature.structured([output[:done] for output in outputs])

    def evaluate(
        self,
        x: Any,
        y: Any = None,
        n_steps: int | None = None,
        *,
        output: str | None = None,
        metrics: Any = None,
        sample_weight: Any = None,
        simulator: str = "auto",
        dt: float = DEFAULT_DT,
        batch_size: int | None = None,
        dtype: str | None = None,
        early_exit: EarlyExit | None = None,
        on_interrupt: str = "raise",
        progress: bool | None = None,
        distribute: str | None = None,
        checkpoint: str | Path | None = None,
        **unknown: Never,
    ) -> Any:
        """How good the outputs are at every step; for a :class:`SpikingModel` beside Keras'.

        An output is judged as what it was trained for. A :class:`SpikingModel` takes this from the
        loss and the metrics that its model was compiled with, and finds the figures of Keras'
        ``evaluate``; a network from a file knows what the model was compiled for, and those of the
        metrics that need no Keras. Where nothing says it, labels tell: class numbers and one-hot
        rows are classes; for others there are squared and absolute errors.

        Of a metric that gives several numbers, such as ``F1Score()``, the mean counts. The loss is
        without the penalties of regularizers. Where Keras counts logits of one unit as class 1
        above 0.5, "class_accuracy" counts them above 0.

        Args:
            x: As for :meth:`simulate`; or what yields batches ``(x, y)`` or
                ``(x, y, sample_weight)``, whose weights count as ``sample_weight``.
            y: Labels; None if x yields them. For classes, numbers of shape (n,) or (n, 1), or
                one-hot of shape (n, classes); for an output of one unit, 0 or 1. For an output of
                several axes also class numbers along the last one, such as a mask. Else of the
                shape of the output. For several outputs a list in their order, or a dict by name,
                also of some of them.
            n_steps: See :meth:`simulate`.
            output: Keras' name of the output to evaluate, where ``y`` is for one of several.
            metrics: A list of what to find in place of the compiled metrics and loss; for several
                outputs also a dict of such lists by name. With Keras its names, objects and losses;
                always functions of labels (as they are given) and outputs that give a value for
                each sample, and "accuracy", "binary_accuracy", "mse" and "mae".
            sample_weight: Weight of each sample, of shape (n,), >= 0; for several outputs also a
                list or dict as for ``y``. As in Keras' ``evaluate`` they count in the loss and in
                ``weighted_metrics``, and not in ``metrics``, of which the model was compiled with.
                They count in all that is asked for with ``metrics``, and where the model was not
                compiled.
            simulator: See :meth:`simulate`.
            dt: See :meth:`simulate`, and so the others.
            batch_size: See there.
            dtype: See there.
            early_exit: See there.
            on_interrupt: See there.
            progress: See there.
            distribute: Where samples are run: None for this process; "ray" for the processes of a
                Ray cluster, which is started on this machine unless there is one in this process;
                or the address of a cluster: "auto", "host:port" or "ray://host:port". See the
                guide "Many machines, and runs that survive".
            checkpoint: A folder that keeps what is done. A run that was ended, also by a kill or a
                full disk, goes on from there when it is called again with the same arguments. The
                result is the same to the bit.
            **unknown: Nothing: any other argument is refused, with the nearest name.

        Returns:
            An :class:`Evaluation`. For ``y`` of several outputs a dict of them by name.

        Raises:
            InputError: An argument does not fit, or labels do not fit what the output is for.
            FileError: The checkpoint cannot be used: it is of another network, other settings,
                samples or versions, another run has it, or it cannot be written.
            ClusterError: The cluster cannot be used.

        Example:
            >>> import keras, kconvert, numpy as np
            >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
            >>> model.compile("adam", "mse")
            >>> x = np.eye(4)
            >>> result = kconvert.convert(model).evaluate(x, x.sum(axis=1), 20)
            >>> result.metrics["loss"].shape, result.accuracy
            ((20,), None)
        """
        refuse_unknown(unknown, SpikingNetwork.evaluate)
        settings = Settings(dt, batch_size, dtype, early_exit, on_interrupt, progress)
        if output is not None:
            self._output_index(output)  # refuses what is none
        asked = Asked(output, metrics, streamed=is_stream(x))
        if asked.streamed:
            _require_no_labels(x, y, sample_weight)
        about = {**asked_of(settings, n_steps, simulator), "output": output}
        with self._work("evaluate", about, distribute, checkpoint) as work:
            return self.evaluate_on(asked, simulator, settings, n_steps, work, x, y, sample_weight)

    def evaluate_on(
        self,
        asked: Asked,
        simulator: str,
        settings: Settings,
        n_steps: int | None,
        work: Work,
        x: Any,
        y: Any,
        weights: Any,
    ) -> Any:
        """What :meth:`evaluate` does, of arguments that are checked.

        Args:
            asked: What is asked of the run.
            simulator: See :meth:`evaluate`.
            settings: How it is run.
            n_steps: See :meth:`evaluate`.
            work: Where shares are computed and kept.
            x: See :meth:`evaluate`.
            y: See there.
            weights: ``sample_weight``.
        """
        judging = Judging(asked, simulator, settings, n_steps)
        if asked.streamed:
            _, complete = run_in_pieces(
                x,
                self.signature.inputs,
                lambda piece: self._judge(
                    judging,
                    work.within(first=piece.first),
                    piece.x,
                    labels_of(piece),
                    piece.weights,
                ),
                stopped=lambda complete, piece: not complete,
                returns=settings.on_interrupt == "return",
            )
        else:
            complete = self._judge(judging, work, x, y, weights)
        run = judging.run(complete)
        found = {each.name: each.evaluation(run) for each in judging.judges.values()}
        one = len(self.graph.outputs) == 1 or asked.output is not None
        if run.n:
            numbers = {name: numbers_of(each) for name, each in found.items()}
            self.about["evaluation"] = next(iter(numbers.values())) if one else numbers
        return next(iter(found.values())) if one else found

    def _judge(self, judging: Judging, work: Work, x: Any, y: Any, weights: Any) -> bool:
        """Run some samples before the judges of the outputs, which the first ones call.

        Returns:
            Whether all of them were run.
        """
        settings = judging.settings
        feeds = check_feeds(x, self.signature.inputs, judging.n_steps, self.default_steps)
        questions = self._questions(judging.asked, y, weights, feeds.n)
        ready = self._prepare_run(judging.simulator, feeds.n, settings, work=work, depth=6)
        self._require_memory(feeds, settings, ready)
        compares = self._has_reference(feeds)
        called = [
            judge_of(judging.judges, each, self.graph, feeds.n_steps, compares=compares)
            for each in questions.values()
        ]
        asked = questions.values()
        work.require_same("data", [feeds.arrays, [[each.given, each.weights] for each in asked]])
        work.require_same("metrics", [[each.name, each.figures] for each in asked])
        if judging.totals is None:
            judging.totals = self._totals(feeds.n_steps, settings)
            judging.ran = ready.simulator.name
        totals, before = judging.totals, judging.totals.n

        def compare() -> None:
            keras = work.within("keras-")
            for images, values in self._reference_outputs(feeds, list(questions), keras.has):
                result = keras.load(images)
                if result is None:
                    parts = zip(called, values, strict=True)
                    result = {"outputs": [each.judged_reference(images, v) for each, v in parts]}
                    keras.save(images, result)
                for judge, part in zip(called, result["outputs"], strict=True):
                    judge.add_reference(images, part)

        def found(share: Chunk) -> dict[str, Any]:
            judged = [judge.judged(share) for judge in called]
            return {"totals": totals.found(share), "outputs": judged}

        def take(images: slice, result: Mapping[str, Any]) -> None:
            for judge, part in zip(called, result["outputs"], strict=True):
                judge.add(images, part)
            totals.add(result["totals"])

        run_shares(
            ready,
            feeds,
            settings,
            self._shares(ready, feeds),
            found,
            take,
            work=work,
            before=compare if compares else None,
        )
        done = totals.n - before
        for judge in called:
            judge.end(done)
        return done == feeds.n

    def energy(
        self,
        x: Any,
        n_steps: int | None = None,
        *,
        devices: Any = None,
        simulator: str = "auto",
        dt: float = DEFAULT_DT,
        batch_size: int | None = None,
        dtype: str | None = None,
        early_exit: EarlyExit | None = None,
        on_interrupt: str = "raise",
        progress: bool | None = None,
    ) -> Energy:
        """Count what the spiking network computes, beside the MACs of its Keras model.

        Each spike counts once for each connection that it goes out through. A spike of value k
        counts k times. The ratio of operations to MACs may be above 1. Then the text says which
        settings lower it.

        Args:
            x: As for :meth:`simulate`, also of batches.
            n_steps: See :meth:`simulate`.
            devices: What to estimate energy for: a list of :class:`kconvert.Device` and of names of
                known devices. None stands for all that are known: "45nm_spikes", "45nm_keras",
                "cpu", "gpu", "arm", "loihi", "spinnaker" and "spinnaker2".
            simulator: See :meth:`simulate`. The event simulator counts by itself; with others all
                spikes are recorded.
            dt: See :meth:`simulate`, and so the others.
            batch_size: See there.
            dtype: See there.
            early_exit: See there.
            on_interrupt: See there.
            progress: See there.

        Raises:
            InputError: An argument does not fit, or the network holds something that sends rates
                or that only NengoDL can run.

        Example:
            >>> import keras, kconvert, numpy as np
            >>> relu = keras.layers.Dense(8, activation="relu")
            >>> model = keras.Sequential([keras.Input((4,)), relu, keras.layers.Dense(3)])
            >>> x = np.random.default_rng(0).random((20, 4))
            >>> found = kconvert.convert(model, calibration=x).energy(x, 20)
            >>> found.macs, found.neuron_updates
            (56.0, 160.0)
        """
        from .results.measuring import measure_energy

        settings = Settings(dt, batch_size, dtype, early_exit, on_interrupt, progress).arguments
        return measure_energy(self, x, n_steps, devices, {"simulator": simulator, **settings})

    def report(
        self,
        x: Any,
        y: Any = None,
        path: str | Path = "report.html",
        *,
        n_steps: int | None = None,
        n_examples: int | None = None,
        class_names: Sequence[str] | None = None,
        title: str | None = None,
        simulator: str = "auto",
        dt: float = DEFAULT_DT,
        batch_size: int | None = None,
        dtype: str | None = None,
        progress: bool | None = None,
    ) -> Path:
        """Write a page of HTML that shows what the network does.

        The page is one file and needs no network connection. It has figures, layers, decisions,
        the settings that make the network again, and a player: choose an example, move through
        time, and watch the input, the spikes of every layer and the outputs. A
        :class:`SpikingModel` also has Keras' answers and the diagnosis in it.

        Args:
            x: As for :meth:`evaluate`. Of what yields batches the first 1,000 samples are taken.
            y: Labels, as for :meth:`evaluate`. Without them a :class:`SpikingModel` is compared
                with its Keras model, and another network is only watched.
            path: Name of the file; ``.html`` is added if it has no ending. An old file of the same
                name is replaced only once the new one is complete.
            n_steps: See :meth:`simulate`.
            n_examples: Samples in the player, from 1 to 32; by default 8, or all if there are
                fewer. Only their spikes are recorded. Up to a quarter of them are samples on which
                the network is wrong or differs from Keras; the others are the first ones.
            class_names: Names of the classes; by default :attr:`class_names`.
            title: Title of the page; by default it has the network's name.
            simulator: See :meth:`simulate`, and so the others.
            dt: See there.
            batch_size: See there.
            dtype: See there.
            progress: See there.

        Returns:
            The file that was written.

        Raises:
            InputError: An argument does not fit.
            FileError: The file cannot be written.
            MissingPackageError: Jinja2 or Matplotlib is not installed.

        Example:
            >>> import tempfile, keras, kconvert, numpy as np
            >>> relu = keras.layers.Dense(8, activation="relu")
            >>> layers = [keras.Input((4,)), relu, keras.layers.Dense(3)]
            >>> model = keras.Sequential(layers, name="tiny")
            >>> x = np.random.default_rng(0).random((20, 4))
            >>> spiking = kconvert.convert(model, calibration=x)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     page = spiking.report(x, path=f"{folder}/tiny")
            ...     page.name, "tiny in spikes" in page.read_text("utf-8")
            ('tiny.html', True)
        """
        from .report import write_report

        settings = Settings(dt, batch_size, dtype, None, "raise", progress).arguments
        return write_report(
            self,
            x,
            y,
            path,
            n_steps=n_steps,
            n_examples=n_examples,
            class_names=class_names,
            title=title,
            settings={"simulator": simulator, **settings},
        )

    def _questions(self, asked: Asked, y: Any, weights: Any, n: int) -> dict[int, Question]:
        """What is asked of each output that is evaluated, by its number.

        Raises:
            InputError: Labels or weights do not fit an output, or a metric is not known.
        """
        names = self.signature.outputs
        labels = by_output(y, names, asked.output, "y")
        nested = isinstance(weights, Mapping | list | tuple)
        parts = by_output(weights, names, asked.output, "sample_weight") if nested else {}
        found = {}
        for index, each in labels.items():
            own = check_weights(parts.get(index) if nested else weights, n, asked.streamed)
            found[index] = self._question(index, each, n, asked.of(names[index]), own)
        return found

    def _question(
        self, index: int, y: Any, n: int, wanted: list[Any] | None, weights: np.ndarray | None
    ) -> Question:
        name, shape = self.signature.outputs[index], self.graph.output_shape(index)
        task = self.tasks[index]
        if task.classes is None:
            task = replace(task, classes=labels_tell(y, shape, task.threshold, wanted))
        check = partial(check_classes, classes=shape[0]) if task.classes else None
        checked = check or partial(check_targets, shape=shape)
        targets = checked(y, n, name=name)
        figures = self._figures(index, targets, task, wanted)
        if task.classes:
            figures = with_class_accuracy(figures, task, shape[0])
        given = label_array(y, name)
        return Question(index, name, task, targets, given, with_own_names(figures), weights)

    def _figures(
        self, index: int, y: np.ndarray, task: Task, wanted: list[Any] | None
    ) -> list[Figure]:
        """What is to be found of an output, beside accuracy where it has classes."""
        wanted = task.metrics if wanted is None else wanted  # type: ignore[assignment]
        if wanted is not None:
            left = [each for each in wanted if not (task.classes and is_accuracy(each))]
            return [figure_of(each, task) for each in left]
        if task.classes:
            return []
        ends = [type(each) for each in self.graph.tail(index)]
        return default_figures(y, self.graph.output_shape(index), sigmoid=Sigmoid in ends)

    def _simulate_stream(self, x: Any, n_steps: Any, arguments: Mapping[str, Any]) -> Simulation:
        found, ended = run_in_pieces(
            x,
            self.signature.inputs,
            lambda piece: self.simulate(piece.x, n_steps, **arguments),
            stopped=lambda result, piece: not result.complete,
            returns=arguments["on_interrupt"] == "return",
        )
        return joined_simulations(found, complete=ended)

    def _require_memory(
        self,
        feeds: Feeds,
        settings: Settings,
        ready: Ready,
        *,
        outputs: bool = False,
        spikes: bool = False,
    ) -> None:
        """Refuse runs whose results, or the record of a single sample, find no place.

        Args:
            feeds: What is run.
            settings: How.
            ready: What runs it.
            outputs: Whether the outputs of every step are kept.
            spikes: Whether all spikes are kept.
        """
        simulator = ready.simulator
        width, neurons = sum(self._output_sizes), self.n_neurons
        step = float(bytes_of_a_step(width, len(self.graph.neurons())))
        if spikes and simulator.name == "events":
            step += 8 * neurons  # spikes of a sample, before they are stored in a byte
        waits = simulator.fixed_batch if not outputs else settings.on_interrupt == "return"
        if waits and simulator.name != "events":
            # What waits until the batch has come to its end.
            step += ready.batch_size * (8 * width + (8 * neurons if spikes else 0))
        if outputs:
            step += feeds.n * (8 * width + (neurons if spikes else 0))
        if spikes:  # two bytes where they have signs, and both while one becomes the other
            each = [node.size for node in self.graph.neurons() if getattr(node.op, "signed", False)]
            step += feeds.n * (sum(each) + max(each, default=0))
        held = "the outputs and spikes" if spikes else "the outputs"
        advice = "predict and evaluate keep no outputs of earlier steps" if outputs else ""
        if outputs and feeds.n > 1:
            advice = f"{advice}, and fewer samples need less"
        require_memory(
            f"{held} of {feeds.n} samples at every step" if outputs else "the means at every step",
            step * feeds.n_steps,
            "n_steps",
            feeds.n_steps,
            advice,
            besides=ready.taken,
        )

    def _has_reference(self, feeds: Feeds) -> bool:
        """Whether there is a Keras model to compare with on these samples."""
        return False

    def _reference_outputs(
        self, feeds: Feeds, indices: list[int], known: Callable[[slice], bool] | None = None
    ) -> Iterator[tuple[slice, list[np.ndarray]]]:
        """The Keras model's values at some outputs, a batch at a time; none of those known."""
        raise NotImplementedError

    def _spec(self, dt: float, dtype: str | None = None, *, record: bool = False) -> RunSpec:
        return RunSpec(
            self.graph,
            self.filters,
            spiking=self.spiking,
            dt=float(dt),
            dtype=dtype,
            record=record,
            seed=self.seed,
        )

    def _choose(self, simulator: str, spec: RunSpec, depth: int) -> Simulator:
        """The simulator; says once for each reason why "auto" is not the event simulator.

        Args:
            simulator: As the user gave it.
            spec: What is to be run.
            depth: Calls from here to the user's.
        """
        chosen, reason = choose(simulator, spec)
        if reason:
            self._tell(f"simulator='auto' is {chosen.name!r} here: {reason}", depth + 1)
        return chosen

    def _tell(self, text: str, depth: int) -> None:
        """Warn, once for each text."""
        if text not in self._told:
            self._told.add(text)
            warnings.warn(text, stacklevel=depth + 1)

    def _prepare_run(
        self,
        simulator: str,
        n: int,
        settings: Settings,
        *,
        work: Work | None = None,
        record: bool = False,
        depth: int = 4,
    ) -> Ready:
        """The simulator for these settings, and the bytes that its runner will take here.

        ``depth`` is the number of calls from :meth:`_choose` to the user's.
        """
        spec = self._spec(settings.dt, settings.dtype, record=record)
        chosen = self._choose(simulator, spec, depth)
        self._check_dt(spec.dt, depth)
        if settings.early_exit is not None:
            self._check_early_exit(chosen)
        size = self._wanted(chosen, n, settings.batch_size)
        taken = 0.0  # what is there already is not free any more, and workers have their own
        here = work is None or work.cluster is None
        if here and self._ready_runner(chosen, spec, n, settings.batch_size) is None:
            self._runner = None  # frees the last one's memory first
            taken = require_room(chosen, spec, size)
        make = partial(self._make_runner, chosen, spec, n, settings.batch_size)
        return Ready(self, chosen, size, make, taken)

    def _shares(self, ready: Ready, feeds: Feeds, *, last_only: bool = False) -> list[slice]:
        """The shares of a run; a simulator of batches has a batch in each."""
        size = ready.batch_size
        if not ready.simulator.fixed_batch:
            width = sum(self._output_sizes)
            size = share_size(self.n_neurons, feeds.n_steps, width, last_only=last_only)
        return shares_of(feeds.n, size)

    @contextmanager
    def _work(
        self, run: str, settings: Mapping[str, Any], distribute: Any, checkpoint: Any
    ) -> Iterator[Work]:
        """Where a run is computed and kept.

        Args:
            run: The name of the method.
            settings: What the results of shares depend on.
            distribute: As the user gave it.
            checkpoint: As the user gave it.
        """
        if distribute is None and checkpoint is None:
            yield Work()
            return
        from .files.store import digest

        about: dict[str, Any] = {}
        if checkpoint is not None:
            about = {"run": run, "network": digest(self), "settings": dict(settings)}
            about["settings"]["n_steps"] = settings["n_steps"] or self.default_steps
            about["versions"] = self._versions()
        with opened(about, distribute, checkpoint) as work:
            yield work

    def _versions(self) -> dict[str, str]:
        """The versions of what has a part in the numbers."""
        from . import __version__
        from .files.about import versions

        return {"kconvert": __version__} | {name: versions()[name] for name in ("numpy", "numba")}

    def _check_dt(self, dt: float, depth: int) -> None:
        """Warn if neurons that depend on the length of a step run with another one."""
        calibrated = self.graph.calibrated_dt
        sensitive = any(not node.op.scales_exactly for node in self.graph.neurons())
        if self.spiking and sensitive and calibrated not in (None, dt):
            self._tell(
                f"the rates of LIF neurons were calibrated for dt={calibrated:g} and run with "
                f"dt={dt:g}: give kconvert.Calibration(x, dt={dt:g})",
                depth,
            )

    def _check_early_exit(self, simulator: Simulator) -> None:
        nodes = [self.graph.nodes[name] for name in self.graph.outputs]
        shapes = [node.shape for node in nodes]
        if not simulator.early_exit:
            raise InputError(f"early_exit needs simulator='events'. Received: {simulator.name!r}")
        if len(shapes) != 1 or len(shapes[0]) != 1:
            raise InputError(
                "early_exit needs a model with one output that is a vector of classes. This "
                f"one has outputs of the shapes {shapes}"
            )
        threshold = self.tasks[0].threshold
        if shapes[0] == (1,) and threshold and not self.graph.tail(0):
            raise InputError(
                "early_exit compares the output's single unit with zero, but class 1 begins at "
                f"{threshold:g} here: end the model with a sigmoid that nothing else reads, or "
                "with logits"
            )

    def _make_runner(
        self, simulator: Simulator, spec: RunSpec, n: int, batch_size: int | None
    ) -> Runner:
        """A runner for these settings: the last one again if it fits."""
        wanted = self._wanted(simulator, n, batch_size)
        runner = self._ready_runner(simulator, spec, n, batch_size)
        if runner is None:
            self._runner = None  # frees the last one's memory first
            runner = simulator.make(spec, wanted)
            self._runner = (_key(simulator, spec), runner)
        elif not simulator.fixed_batch:
            runner.batch_size = wanted
        return runner

    def _ready_runner(
        self, simulator: Simulator, spec: RunSpec, n: int, batch_size: int | None
    ) -> Runner | None:
        """The last runner, if it is one for these settings."""
        if self._runner is None or self._runner[0] != _key(simulator, spec):
            return None
        ready = self._runner[1]
        if not simulator.fixed_batch:
            return ready
        wanted = self._wanted(simulator, n, batch_size)
        # Without a wish, up to half of a batch may stay unused rather than build anew.
        most = wanted if batch_size else 2 * wanted
        return ready if wanted <= ready.batch_size <= most else None

    def _wanted(self, simulator: Simulator, n: int, batch_size: int | None) -> int:
        """The samples that are to run at a time."""
        if batch_size:
            return min(n, int(batch_size))
        most_neurons = max(1, NEURONS_AT_A_TIME // max(self.n_neurons, 1))
        return min(n, most_neurons, MAX_BATCH) if simulator.fixed_batch else min(n, MAX_BATCH)

    def _totals(self, n_steps: int, settings: Settings) -> Totals:
        return Totals(self.graph, n_steps, self.spiking, settings.dt)

    @property
    def _output_sizes(self) -> list[int]:
        return [product(self.graph.nodes[name].shape) for name in self.graph.outputs]

    @property
    def _units(self) -> list[int]:
        """Number of values of each output, as Keras puts it out."""
        return [product(self.graph.output_shape(k)) for k in range(len(self.graph.outputs))]

    def _in_structure(self, outputs: list[np.ndarray]) -> Any:
        """Flat outputs in their shapes, and in the structure of Keras' predict."""
        return self.signature.structured(
            [
                flat.reshape(*flat.shape[:-1], *self.graph.nodes[name].shape)
                for flat, name in zip(outputs, self.graph.outputs, strict=True)
            ]
        )

    def _output_index(self, output: str | None) -> tuple[int, str]:
        names = self.signature.outputs
        if output is None and len(names) == 1:
            return 0, names[0]
        if not is_word(output, names):
            raise InputError(
                f"output must name one of the model's outputs, {list(names)}. Received: "
                f"{output!r}{nearest(output, names)}"
            )
        return names.index(str(output)), str(output)


def _key(simulator: Simulator, spec: RunSpec) -> tuple[Any, ...]:
    """What is the same in runs that one runner can do."""
    return simulator.name, spec.dt, spec.dtype, spec.record


def _read_out_of(graph: Graph) -> Callable[[int, np.ndarray], np.ndarray]:
    """From an output's number and its flat read-out to this in its shape."""
    return lambda k, part: part.reshape(-1, *graph.nodes[graph.outputs[k]].shape)


def _require_no_labels(x: Any, y: Any, weights: Any) -> None:
    """Refuse labels and weights beside a stream, which yields them."""
    if y is not None:
        raise InputError(
            f"y must be left out: x is a {type(x).__name__}, which also yields the labels. Pass "
            "n_steps by its name: evaluate(x, n_steps=30)"
        )
    if weights is not None:
        raise InputError(
            f"sample_weight must be left out: x is a {type(x).__name__}, which also yields the "
            "weights: batches are (x, y, sample_weight)"
        )


def check_class_names(names: Any, sizes: list[int]) -> tuple[str, ...]:
    """Names of the classes of a model with one output.

    Args:
        names: As the user gave them.
        sizes: Units of each output.

    Raises:
        InputError: They are no list of strings, or not as many as units.
    """
    if not isinstance(names, Sequence | np.ndarray) or isinstance(names, str):
        raise InputError(f"class_names must be a list of strings. Received: {names!r}")
    if not all(isinstance(name, str) for name in names):
        raise InputError(f"class_names must be a list of strings. Received: {names!r}")
    if len(sizes) != 1 or len(names) != sizes[0]:
        raise InputError(
            f"class_names must have one name for each unit of the output: the outputs have {sizes} "
            f"units. Received: {len(names)} names"
        )
    return tuple(names)

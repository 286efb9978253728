"""SpikingNetwork: a converted network that stands on its own, without Keras."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Never

import numpy as np

from .arguments import count, flag, refuse_unknown
from .data.arrays import Feeds
from .data.streams import is_stream
from .files.rows import npy_path
from .ir import Decision, Graph, product
from .ops import ReadOut
from .packages import needed
from .recipe import Recipe
from .results.display import as_frame, as_html, as_text
from .results.simulation import Simulation
from .results.summary import network_dict, network_display, network_records
from .running.evaluating import evaluated, require_no_labels
from .running.predicting import predicted
from .running.ready import Runners
from .running.settings import Settings, asked_of
from .running.simulating import simulated
from .running.work import work_of
from .scoring.judging import Asked
from .scoring.labels import check_class_names
from .scoring.questions import figures_without_keras, require_output
from .scoring.scores import Figure
from .scoring.task import Task, task_of
from .signature import Signature
from .simulators import DEFAULT_DT, EarlyExit, RunSpec

if TYPE_CHECKING:
    from .results.energy import Energy

DEFAULT_STEPS = 30


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
        self._runners = Runners()

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: value for name, value in vars(self).items() if name != "_emitted"}
        return {**kept, "_runners": Runners()}

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
        from .exporting import nir_graph

        return nir_graph(self, reset=reset, dt=dt, dtype=dtype)

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
        flag("spikes", spikes)
        return simulated(self, x, n_steps, simulator, settings, spikes=bool(spikes))

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
        out: str | Path | None = None,
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
            out: A ``.npy`` file for the outputs, of a network with one output. They are written as
                they are found, so that outputs may be larger than memory. An old file stays until
                the new one is complete.
            distribute: See :meth:`evaluate`.
            checkpoint: See :meth:`evaluate`.
            **unknown: Nothing: any other argument is refused, with the nearest name.

        Returns:
            Shape ``(n, *output_shape)``; several outputs as Keras gives them, as a list or a dict.
            With ``out`` the array is a read-only ``numpy.memmap`` of the file.

        Raises:
            InputError: An argument does not fit (also a ``ValueError``).
            FileError: The file or the checkpoint cannot be used.
            ClusterError: The cluster cannot be used.

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
        path = None if out is None else npy_path(out)
        about = {**asked_of(settings, n_steps, simulator), "logits": bool(logits)}
        with work_of(self, "predict", about, distribute, checkpoint) as work:
            return predicted(
                self, x, n_steps, simulator, settings, work, logits=bool(logits), out=path
            )

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
                guide "Long runs and many machines".
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
            require_output(output, self.signature.outputs)
        asked = Asked(output, metrics, streamed=is_stream(x))
        if asked.streamed:
            require_no_labels(x, y, sample_weight)
        about = {**asked_of(settings, n_steps, simulator), "output": output}
        with work_of(self, "evaluate", about, distribute, checkpoint) as work:
            return evaluated(self, asked, x, y, sample_weight, n_steps, simulator, settings, work)

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

    @property
    def _output_sizes(self) -> list[int]:
        return [product(self.graph.nodes[name].shape) for name in self.graph.outputs]

    @property
    def _units(self) -> list[int]:
        """Number of values of each output, as Keras puts it out."""
        return [product(self.graph.output_shape(k)) for k in range(len(self.graph.outputs))]

    # What a SpikingModel knows better, because it has the Keras model.

    def _has_reference(self, feeds: Feeds) -> bool:
        """Whether there is a Keras model to compare with on these samples."""
        return False

    def _reference_weights(self) -> list[np.ndarray]:
        """The weights of the Keras model, for a checkpoint."""
        return []

    def _reference_outputs(
        self, feeds: Feeds, indices: list[int], known: Callable[[slice], bool] | None = None
    ) -> Iterator[tuple[slice, list[np.ndarray]]]:
        """The Keras model's values at some outputs, a batch at a time; none of those known."""
        raise NotImplementedError

    def _figures(
        self, index: int, y: np.ndarray, task: Task, wanted: list[Any] | None
    ) -> list[Figure]:
        """What is to be found of an output, beside accuracy where it has classes."""
        return figures_without_keras(self.graph, index, y, task, wanted)

    def _versions(self) -> dict[str, str]:
        """The versions of what has a part in the numbers."""
        from . import __version__
        from .files.about import versions

        return {"kconvert": __version__} | {name: versions()[name] for name in ("numpy", "numba")}

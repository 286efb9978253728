"""``tune``: which settings are as good as Keras in the fewest steps, or with the fewest spikes."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from .arguments import count, flag, is_word, nearest, seconds_of_a_step
from .data.arrays import InputShapes, by_name, check_feeds
from .data.streams import TUNED, first_batch, first_samples, is_stream
from .errors import InputError, is_number
from .fidelity import Calibration, needs_synthetic
from .files.about import versions
from .jobs.plain import digest_of
from .jobs.work import Work, opened
from .layers.spiking_aware import ONE_A_STEP
from .memory import require_memory
from .model import SpikingModel
from .options import SPIKE_VALUES, check_names, needs_samples, read_options
from .per_layer import AUTO
from .pipeline import convert
from .preparation import Prepared, prepare
from .results.display import Display, as_frame, as_html, as_text, plain
from .results.evaluation import Evaluation
from .results.spikes import seen_text
from .running.evaluating import evaluated
from .running.settings import Settings
from .running.totals import bytes_of_a_step
from .scoring.judging import Asked
from .scoring.questions import require_output
from .scoring.scores import is_accuracy, listed

GOALS = ("steps", "spikes")
MODES = ("auto", "min", "max")
CALIBRATION = 100
"""Samples of x that calibrate where the user gives none."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """What settings are judged by, and how far it may be from Keras'.

    Args:
        metric: Its name.
        mode: "min" if it should fall, "max" if it should rise.
        is_share: Whether it has 1 as its best value, as accuracy has: it may fall by ``max_loss``
            itself. Else it may be worse by this share of Keras' value.
        max_loss: >= 0.
        reference: Keras' value.
    """

    metric: str
    mode: str
    is_share: bool
    max_loss: float
    reference: float

    @property
    def is_accuracy(self) -> bool:
        """Whether it is the share of right classes."""
        return self.metric in ("accuracy", "class_accuracy")

    @property
    def accepted(self) -> float:
        """The worst value that is accepted."""
        worse = self.max_loss * (1.0 if self.is_share else abs(self.reference))
        return self.reference - worse if self.mode == "max" else self.reference + worse

    def is_met(self, values: np.ndarray) -> np.ndarray:
        """Which values are accepted."""
        rounding = 1e-9  # of shares, and of a loss of 0
        if self.mode == "max":
            return np.asarray(values >= self.accepted - rounding)
        return np.asarray(values <= self.accepted + rounding)

    def cost(self, value: float) -> float:
        """The smaller, the better."""
        return -value if self.mode == "max" else value

    def text(self, value: float) -> str:
        """A value in words."""
        if self.is_accuracy:
            return f"error {100 * (1 - value):.2f} %"
        return f"{self.metric} {value:.4g}"

    def __str__(self) -> str:
        """What is accepted, in words."""
        if self.is_accuracy:
            return f"{100 * self.max_loss:g} points more"
        most = f"{self.max_loss:g}" if self.is_share else f"{100 * self.max_loss:g} %"
        return f"{most} {'less' if self.mode == 'max' else 'more'} ({self.accepted:.4g})"


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """Settings that were tried.

    Args:
        settings: Arguments of :func:`kconvert.convert`.
        n_steps: The first step from which on the metric stays within the loss that is accepted, up
            to the last step; or None.
        accuracy: The accuracy there, or at the last step; None where the output has no classes.
        spikes_per_sample: Spikes of all layers up to there, or to the last step.
        evaluation: The whole curve: ``metrics`` and ``spikes_per_step``.
        value: The metric that was judged by, there or at the last step.
    """

    settings: Mapping[str, Any]
    n_steps: int | None
    accuracy: float | None
    spikes_per_sample: float
    evaluation: Evaluation = field(repr=False)
    value: float

    @property
    def spike_values(self) -> str | None:
        """Which spikes it sends: as :class:`Evaluation` has it."""
        return self.evaluation.spike_values

    @property
    def spike_range(self) -> tuple[int, int] | None:
        """The lowest and the highest number of spikes that a neuron sent in one step."""
        return self.evaluation.spike_range

    def __repr__(self) -> str:
        steps = "not reached" if self.n_steps is None else f"from step {self.n_steps}"
        return (
            f"<Candidate {self.name}: {steps}, {self.value:.4g}, "
            f"{self.spikes_per_sample:,.0f} {self.spike_values or ''} spikes per sample>"
        )

    def to_dict(self, *, arrays: bool = False) -> dict[str, Any]:
        """The candidate as plain data that ``json.dumps`` takes.

        Args:
            arrays: Write out every array. By default one of more than 1000 values becomes its shape
                and type.
        """
        return {
            **self._record(),
            "settings": plain(self.settings, arrays=arrays),
            "evaluation": self.evaluation.to_dict(arrays=arrays),
        }

    def _record(self) -> dict[str, Any]:
        names = ("name", "n_steps", "accuracy", "value", "spikes_per_sample", "spike_values")
        low, high = self.spike_range or (None, None)
        found = {name: plain(getattr(self, name)) for name in names}
        return {**found, "min_spikes": low, "max_spikes": high}

    def plot(self, ax: Any = None, **options: Any) -> Any:
        """The accuracy of this candidate against the number of steps.

        Args:
            ax: A ``matplotlib.axes.Axes``, or None for a new figure.
            **options: Arguments of :func:`kconvert.plot.accuracy`.

        Returns:
            The Axes.

        Raises:
            MissingPackageError: Matplotlib is not installed.
        """
        from .plot import accuracy

        return accuracy(self.evaluation, ax=ax, **options)

    @property
    def name(self) -> str:
        """The settings in a line."""
        return ", ".join(f"{key}={_short(value)}" for key, value in self.settings.items()) or "{}"


@dataclass(frozen=True, slots=True, eq=False)
class Tuning:
    """The result of :func:`tune`.

    Args:
        model: The Keras model.
        best: The operating point: of the candidates that stay within the loss, the one with the
            fewest steps, or spikes; if none does, the best one.
        met: Whether it stays within the loss.
        candidates: All that were tried, in order.
        reference_accuracy: Keras', or None where the output has no classes.
        max_loss: As it was given.
        criterion: What was judged by.
    """

    model: keras.Model
    best: Candidate
    met: bool
    candidates: tuple[Candidate, ...]
    reference_accuracy: float | None
    max_loss: float
    criterion: Criterion

    @property
    def metric(self) -> str:
        """The name of what was judged by."""
        return self.criterion.metric

    @property
    def reference(self) -> float:
        """Keras' value of it."""
        return self.criterion.reference

    @property
    def accepted(self) -> float:
        """The worst value of the metric that is accepted."""
        return self.criterion.accepted

    def convert(self) -> SpikingModel:
        """The model, converted with the best settings; runs take ``best.n_steps`` by default."""
        spiking = convert(self.model, **self.best.settings)
        spiking.n_steps = self.best.n_steps
        return spiking

    def __repr__(self) -> str:
        best, text = self.best, self.criterion.text
        steps = f"{best.n_steps} steps" if best.n_steps else "no candidate is within max_loss"
        return (
            f"<Tuning: {len(self.candidates)} candidates; best: {steps}, "
            f"{text(best.value)} (Keras: {text(self.reference)}), {best.name}>"
        )

    def __str__(self) -> str:
        return as_text(self._display())

    def _repr_html_(self) -> str:
        return as_html(self._display())

    def to_dict(self, *, arrays: bool = False) -> dict[str, Any]:
        """The result as plain data that ``json.dumps`` takes; NaN becomes None.

        Args:
            arrays: Write out every array. By default one of more than 1000 values becomes its shape
                and type.
        """
        names = ("met", "metric", "reference", "reference_accuracy", "max_loss")
        return {
            "model": self.model.name,
            **{name: plain(getattr(self, name)) for name in names},
            "best": self.candidates.index(self.best),
            "candidates": [each.to_dict(arrays=arrays) for each in self.candidates],
        }

    def to_frame(self) -> Any:
        """The candidates as a ``pandas.DataFrame``, one row each.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        return as_frame([{**each._record(), "best": each is self.best} for each in self.candidates])

    def plot(self, ax: Any = None, **options: Any) -> Any:
        """The curves of all candidates, with the point from which each one is good enough.

        Args:
            ax: A ``matplotlib.axes.Axes``, or None for a new figure.
            **options: Arguments of :func:`kconvert.plot.candidates`.

        Returns:
            The Axes.

        Raises:
            MissingPackageError: Matplotlib is not installed.
        """
        from .plot import candidates

        return candidates(self, ax=ax, **options)

    def _display(self) -> Display:
        text = self.criterion.text
        first = (
            f"Keras: {text(self.reference)}; accepted: {self.criterion}, "
            f"up to step {self.best.evaluation.n_steps}"
        )
        rows = [
            (
                "->" if each is self.best else "",
                f"from {each.n_steps}" if each.n_steps else "not reached",
                text(each.value),
                f"{each.spikes_per_sample:,.0f}",
                "" if each.spike_range is None else seen_text(each.spike_range),
                each.spike_values or "none",
                each.name,
            )
            for each in self.candidates
        ]
        numbers = "spikes per sample", "in a step"
        head = ("best", "step", "result", *numbers, "spikes", "settings")
        after = [] if self.met else [self._not_met()]
        return Display([first], head, rows, numbers, after)

    def _not_met(self) -> str:
        """What to do where no candidate is good enough."""
        asked = {each.settings.get("spike_values", AUTO) for each in self.candidates}
        if not asked <= set(ONE_A_STEP):
            return "no candidate stays within max_loss: try more steps, or diagnose(x)"
        kinds = " or ".join(each for each in ONE_A_STEP if each in asked)
        # Without a sign where chips have none; the weakest demand that was made.
        others = [each for each in SPIKE_VALUES[2:] if each not in asked]
        allowed = " or ".join(f"spike_values={each!r}" for each in others)
        kind = next(each for each in ONE_A_STEP if each in asked)
        return (
            f"no candidate with {kinds} spikes stays within max_loss: try more steps, {allowed}, "
            f"kconvert.fine_tune(model, x, y, n_steps=..., spike_values={kind!r}), or diagnose(x)"
        )


def tune(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    max_steps: int = 64,
    max_loss: float = 0.005,
    goal: str = "steps",
    spike_values: str | Sequence[str] = AUTO,
    output: str | None = None,
    metrics: Any = None,
    mode: str = "auto",
    sample_weight: Any = None,
    calibration: Any = None,
    candidates: Iterable[Mapping[str, Any]] | None = None,
    dt: float = 0.001,
    progress: bool | None = None,
    distribute: str | None = None,
    checkpoint: str | Path | None = None,
    **settings: Any,
) -> Tuning:
    """Search the settings of a conversion: one simulation for each candidate.

    Evaluate the result on other samples: it was chosen with these.

    Args:
        model: A built Keras model.
        x: Some hundreds of samples that were not trained on, as for
            :meth:`SpikingModel.evaluate`. Of what yields batches the first 1000 are taken.
        y: Their labels, as for :meth:`SpikingModel.evaluate`; None if x yields them. For several
            outputs also a list or dict of all of them; ``output`` names the one that counts.
        max_steps: Steps of each simulation, >= 1.
        max_loss: How much worse than Keras' the metric may be, >= 0. Of accuracy, and of other
            metrics of Keras that should rise (AUC, F1, IoU, R2 and the like, of which 1 is the
            best), so much may be lost: 0.005 is half a point. A loss or an error, and a metric of
            your own, may be worse by this share of Keras' value: 0.005 is half a percent. Where
            Keras' loss is next to nothing, give a larger one, also above 1.
        goal: "steps" or "spikes": what is to be few.
        spike_values: Which spikes neurons may send in one step, as for :func:`kconvert.convert`:
            "binary", "ternary" or "graded", or a list of these. Each has candidates of its own; of
            candidates that you give, each is tried with each. "auto" tries all three where all
            neurons are ReLU and ``signed`` is left out, and else what :func:`kconvert.convert`
            chooses: LIF neurons send 0 or 1 anyway.
        output: Keras' name of the output to evaluate; needed where there are several.
        metrics: A list of what to find, as for :meth:`SpikingModel.evaluate`; the first one is
            judged by. By default accuracy where the output has classes; else the loss that the
            model was compiled with; else the first of the metrics that are found.
        mode: Whether that metric should fall, "min", or rise, "max", as for Keras' callbacks;
            "auto" knows it of losses and of Keras' metrics.
        sample_weight: Weight of each sample, of shape (n,), as for :meth:`SpikingModel.evaluate`.
        calibration: Samples that set the rates, such as training images; by default 100 of ``x``,
            without their classes.
        candidates: Arguments of :func:`kconvert.convert` for each candidate; by default the
            defaults (with ``calibration`` for networks of ReLU neurons), and calibrated rates with
            synapses, spikes a step, signs and read-outs that suit the neurons of the model.
        dt: Length of a step in seconds.
        progress: As for :meth:`SpikingModel.evaluate`.
        distribute: As for :meth:`SpikingModel.evaluate`, for the conversions too: see
            :func:`kconvert.convert`.
        checkpoint: As for :meth:`SpikingModel.evaluate`: a folder that keeps the candidates that
            are done, and what is done of the next one.
        **settings: Arguments of :func:`kconvert.convert` for all candidates.

    Raises:
        InputError: An argument does not fit (also a ``ValueError``).
        UnsupportedModelError: The model cannot be converted.
        FileError: The checkpoint cannot be used.
        ClusterError: The cluster cannot be used.

    Example:
        >>> import keras, kconvert, numpy as np
        >>> model = keras.Sequential([
        ...     keras.Input((4,)), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(2)
        ... ])
        >>> x = np.random.default_rng(0).standard_normal((40, 4))
        >>> y = model.predict(x, verbose=0).argmax(axis=1)
        >>> found = kconvert.tune(model, x, y, max_steps=40, max_loss=0.1)
        >>> found.met, found.best.n_steps <= 40
        (True, True)
        >>> spiking = found.convert()
    """
    check_names(settings, "tune", own=inspect.signature(tune).parameters)
    kinds = _read_kinds(spike_values)
    candidates = _read_candidates(candidates, calibration, kinds)
    _check(max_steps, max_loss, goal, mode, candidates, settings)
    wanted = _first_metric(metrics, output)
    flag("progress", progress, None)
    seconds_of_a_step("tune: dt", dt)
    if sample_weight is not None and is_stream(x):
        raise InputError(
            f"tune: leave out sample_weight: x is a {type(x).__name__}, which yields the weights "
            "too"
        )
    x, y, sample_weight, calibration = _samples(model, x, y, sample_weight, calibration, settings)
    if output is None and len(model.outputs) > 1:
        raise InputError(
            f"tune: output must name the one to judge by, of {list(model.output_names)}"
        )
    # Before a conversion, which may take long.
    width = sum(math.prod(size or 1 for size in each.shape[1:]) for each in model.outputs)
    step = bytes_of_a_step(width, 0)
    require_memory("the means at every step", step * int(max_steps), "max_steps", int(max_steps))
    if candidates is None:
        candidates = [
            each
            for each in _candidates(model, x, calibration, dt, settings, kinds)
            if "calibration" in each or not needs_samples(settings)
        ]
        # What the user sets for all may make some of them the same.
        # All have the same samples, which may be large.
        candidates = list({_key({**each, **settings}): each for each in candidates}.values())
    asked = {"max_steps": int(max_steps), "output": output, "dt": dt}
    arguments = [{**each, **settings} for each in candidates]
    about: dict[str, Any] = {}
    if checkpoint is not None:
        about = {"run": "tune", "model": _model_digest(model), "settings": asked}
        about["versions"] = versions()
    judged: list[tuple[Mapping[str, Any], Evaluation]] = []
    with opened(about, distribute, checkpoint) as work:
        work.require_same("data", [x, y, sample_weight])
        work.require_same("candidates", arguments)
        work.require_same("metrics", [metrics])
        for number, each in enumerate(arguments):
            own = work.within(f"candidate-{number:03d}-")
            run = partial(_tried, model, each, x, y, sample_weight, metrics, asked, progress)
            result = own.once("result", partial(run, distribute, own))
            evaluation = _from_plain(result["evaluation"])
            # Tells it before the rest is run.
            _criterion(evaluation, wanted, mode, float(max_loss))
            judged.append((each, evaluation))
    criterion = _criterion(judged[0][1], wanted, mode, float(max_loss))
    found = [_operating_point(arguments, each, criterion) for arguments, each in judged]
    return _chosen(model, found, criterion, goal)


def _tried(
    model: keras.Model,
    arguments: Mapping[str, Any],
    x: Any,
    y: Any,
    sample_weight: Any,
    metrics: Any,
    asked: Mapping[str, Any],
    progress: bool | None,
    distribute: str | None,
    work: Work,
) -> dict[str, Any]:
    """A candidate's evaluation as plain data."""
    spiking = convert(model, **arguments, distribute=distribute)
    if asked["output"] is not None:
        require_output(asked["output"], spiking.signature.outputs)
    settings = Settings(asked["dt"], None, None, None, "raise", progress)
    question = Asked(asked["output"], metrics, streamed=False)
    evaluation = evaluated(
        spiking, question, x, y, sample_weight, asked["max_steps"], "auto", settings, work
    )
    return {
        "evaluation": {each.name: getattr(evaluation, each.name) for each in fields(evaluation)}
    }


def _key(arguments: Mapping[str, Any]) -> str:
    """A checksum of a candidate's settings without the samples of its calibration."""
    return digest_of(
        {
            name: replace(value, x=None) if isinstance(value, Calibration) else value
            for name, value in arguments.items()
        }
    )


def _from_plain(held: Mapping[str, Any]) -> Evaluation:
    """An evaluation from its fields, in which lists may stand for tuples."""
    ranges = {layer: tuple(seen) for layer, seen in held["spike_ranges"].items()}
    return Evaluation(**{**held, "unweighted": tuple(held["unweighted"]), "spike_ranges": ranges})


def _model_digest(model: keras.Model) -> str:
    """A checksum of a Keras model: its layers, its weights, and how it was compiled."""
    compiled = model.get_compile_config() if model.compiled else None
    return digest_of([model.get_config(), model.get_weights(), compiled])


def _chosen(
    model: keras.Model, found: Sequence[Candidate], criterion: Criterion, goal: str
) -> Tuning:
    """The cheapest of the candidates that stay within the loss; if none does, the best one."""
    met = [each for each in found if each.n_steps is not None]

    def cost(each: Candidate) -> tuple[float, ...]:
        few = (float(each.n_steps or math.inf), each.spikes_per_sample)
        return few if goal == "steps" else few[::-1]

    best = min(met, key=cost) if met else min(found, key=lambda each: criterion.cost(each.value))
    return Tuning(
        model,
        best,
        bool(met),
        tuple(found),
        found[0].evaluation.reference_accuracy,
        criterion.max_loss,
        criterion,
    )


def _first_metric(metrics: Any, output: str | None) -> Any:
    """The metric that the user wants to judge by, or None."""
    if isinstance(metrics, Mapping):
        metrics = metrics.get(output)
    if metrics is None:
        return None
    if not listed(metrics):
        raise InputError("tune: metrics is empty: its first entry is what to judge by")
    return listed(metrics)[0]


def _criterion(evaluation: Evaluation, asked: Any, mode: str, max_loss: float) -> Criterion:
    """What settings are judged by.

    Args:
        evaluation: Of the first candidate.
        asked: The first metric that the user asked for, or None.
        mode: As given to :func:`tune`.
        max_loss: As given.

    Raises:
        InputError: Nothing says whether the metric should rise, or Keras has no value.
    """
    name = _judged_by(evaluation, asked)
    if evaluation.reference_metrics is None:
        raise InputError("tune compares with Keras: x must be held, without an axis of time")
    known = evaluation.modes.get(name)
    chosen = known if mode == "auto" else mode
    if chosen is None:
        raise InputError(
            f"tune cannot know whether the metric {name!r} should fall or rise: pass mode='min' or "
            "mode='max'"
        )
    is_share = known == chosen == "max"
    if is_share and max_loss > 1:
        raise InputError(
            f"tune: max_loss is what may be lost of {name!r}, from 0 to 1. Received: {max_loss!r}"
        )
    reference = evaluation.reference_metrics[name]
    return Criterion(name, chosen, is_share, max_loss, reference)


def _judged_by(evaluation: Evaluation, asked: Any) -> str:
    """The metric that settings are judged by."""
    names = list(evaluation.metrics)
    classes = evaluation.accuracy_per_step is not None
    if asked is None and not classes:
        return next((each for each in ("loss", "mse") if each in names), names[0])
    if asked is None or not classes:
        return names[0]
    # Accuracy comes first, and the others in the order in which they were asked for.
    return "accuracy" if is_accuracy(asked) else names[1]


def _read_kinds(spike_values: Any) -> tuple[str, ...]:
    """The kinds of spikes that are searched; "auto" stands alone."""
    if is_word(spike_values, (AUTO,)):
        return (AUTO,)
    kinds = SPIKE_VALUES[1:]
    listed = isinstance(spike_values, Sequence) and not isinstance(spike_values, str)
    given = list(spike_values) if listed else [spike_values]
    for each in given:
        if not is_word(each, kinds):
            raise InputError(
                f"tune: spike_values must be 'auto', one of {kinds}, or a list of these. Received: "
                f"{spike_values!r}{nearest(each, (AUTO, *kinds))}"
            )
    if not given:
        raise InputError("tune: spike_values is empty")
    return tuple(dict.fromkeys(given))


def _read_candidates(candidates: Any, calibration: Any, kinds: Sequence[str]) -> list[Any] | None:
    if candidates is None:
        return None
    if isinstance(candidates, Mapping | str) or not isinstance(candidates, Iterable):
        raise InputError(
            f"tune: candidates must be a list of dicts of arguments. Received: {candidates!r}"
        )
    if calibration is not None:
        raise InputError(
            "tune: calibration is for the candidates that tune makes. Put it into your own "
            "candidates, as {'calibration': x}"
        )
    candidates = list(candidates)
    if kinds == (AUTO,) or not all(isinstance(each, Mapping) for each in candidates):
        return candidates
    if any("spike_values" in each for each in candidates):
        raise InputError(
            "tune: spike_values is set for all candidates, and some have one of their own: leave "
            "out either"
        )
    return [{**each, "spike_values": kind} for kind in kinds for each in candidates]


def _samples(
    model: keras.Model,
    x: Any,
    y: Any,
    weights: Any,
    calibration: Any,
    settings: Mapping[str, Any],
) -> tuple[Any, Any, Any, Any]:
    """The samples, their labels, weights and those that calibrate; a stream gives its first."""
    wrapped = isinstance(calibration, Calibration)
    given = calibration.x if wrapped else calibration
    if not is_stream(x) and not is_stream(given):
        return x, y, weights, calibration
    shapes = _prepared(model, settings).input_shapes
    if is_stream(x):
        if y is not None:
            raise InputError(
                f"tune: leave out y: x is a {type(x).__name__}, which yields the labels too"
            )
        batch = first_batch(x, shapes, TUNED)
        if batch.y is None:
            raise InputError("tune: x yields no labels: batches must be (x, y)")
        x, y, weights = dict(batch.x), batch.y, batch.weights
    given = first_samples(given, shapes)
    return x, y, weights, replace(calibration, x=given) if wrapped else given


def _prepared(model: keras.Model, settings: Mapping[str, Any]) -> Prepared:
    reading = {
        name: settings[name]
        for name in ("layers", "swap_activations", "allow", "max_pooling")
        if name in settings
    }
    prepared = prepare(model, read_options(**reading))
    prepared.require_convertible(model.name)
    return prepared


def _check(
    max_steps: Any,
    max_loss: Any,
    goal: Any,
    mode: Any,
    candidates: Any,
    settings: Mapping[str, Any],
) -> None:
    count("tune: max_steps", max_steps)
    if not is_number(max_loss) or not 0 <= max_loss < math.inf:
        raise InputError(f"tune: max_loss must be a number >= 0. Received: {max_loss!r}")
    for name, value, words in (("goal", goal, GOALS), ("mode", mode, MODES)):
        if not is_word(value, words):
            raise InputError(
                f"tune: {name} must be one of {words}. Received: {value!r}{nearest(value, words)}"
            )
    for each in (*(candidates or ()), settings):
        if not isinstance(each, Mapping):
            raise InputError(f"tune: candidates must be dicts of arguments. Received: {each!r}")
        check_names(each, "tune: convert")
        if "spiking" in each:
            raise InputError("tune: spiking is True for every candidate; leave it out")
    if candidates is not None and not candidates:
        raise InputError("tune: candidates is empty")


def _operating_point(
    settings: Mapping[str, Any],
    evaluation: Evaluation,
    criterion: Criterion,
) -> Candidate:
    """From which step on the metric stays where it should."""
    accuracy, curve = evaluation.accuracy_per_step, evaluation.metrics[criterion.metric]
    short = np.flatnonzero(~criterion.is_met(curve))
    first = int(short[-1]) + 1 if len(short) else 0
    reached = first < len(curve)
    last = first if reached else -1
    spikes = np.cumsum(evaluation.spikes_per_step)
    return Candidate(
        settings=settings,
        n_steps=first + 1 if reached else None,
        accuracy=None if accuracy is None else float(accuracy[last]),
        spikes_per_sample=float(spikes[last]),
        evaluation=evaluation,
        value=float(curve[last]),
    )


def _candidates(
    model: keras.Model,
    x: Any,
    calibration: Any,
    dt: float,
    settings: Mapping[str, Any],
    kinds: Sequence[str],
) -> Iterator[dict[str, Any]]:
    """What is tried for the neurons that the model has, and the spikes that are asked for."""
    prepared = _prepared(model, settings)
    given = _first(x, prepared.input_shapes) if calibration is None else calibration
    base = given if isinstance(given, Calibration) else Calibration(given, dt=dt)
    if base.dt != dt:
        raise InputError(f"tune: the steps are {dt:g} s long, the calibration is for {base.dt:g} s")
    synthetic = needs_synthetic(prepared.graph)
    if not all(node.op.integrates for node in prepared.graph.neurons()):
        for kind in kinds:
            for each in _filtered(base, synthetic=synthetic):
                yield each if kind == AUTO else {**each, "spike_values": kind}
        return
    if kinds != (AUTO,):
        for kind in kinds:
            yield from (
                _one_a_step(base, kind) if kind in ONE_A_STEP else _several_a_step(base, kind)
            )
        return
    if not synthetic:
        yield {}
    yield from _several_a_step(base, AUTO, plain=synthetic)
    if "signed" not in settings and _allows_one(base):
        for kind in ONE_A_STEP:
            yield from _one_a_step(base, kind)


def _filtered(base: Calibration, *, synthetic: bool) -> Iterator[dict[str, Any]]:
    """Synapses and read-outs, for neurons whose curve is not linear."""
    # Without samples some would be made up.
    yield {"calibration": base} if synthetic else {}
    for synapse in (None, 0.001, 0.002, 0.005):
        for read_out in ("ramp", 0.02):
            yield {"calibration": base, "synapse": synapse, "output_synapse": read_out}
    if not synthetic:
        yield {"synapse": None, "output_synapse": "ramp"}
        yield {"output_synapse": "ramp"}


def _several_a_step(
    base: Calibration, kind: str, *, plain: bool = True
) -> Iterator[dict[str, Any]]:
    """Rates, signs and a read-out for ReLU neurons that may send several spikes in a step.

    Args:
        base: The samples, and what the user has set.
        kind: "graded", or "auto".
        plain: Whether to begin with what calibration chooses.
    """
    own = {} if kind == AUTO else {"spike_values": kind}
    if plain:
        yield {"calibration": base, **own}
    for spikes in (0.5, 1, 2, 4):
        rate = replace(base, rate=base.rate or spikes / base.dt)
        for signed in (False, True):
            yield {"calibration": rate, "signed": signed, **own}
        if base.rate:
            break
    rate = replace(base, rate=base.rate or 1 / base.dt)
    yield {"calibration": rate, "output_synapse": 0.01, **own}


def _one_a_step(base: Calibration, kind: str) -> Iterator[dict[str, Any]]:
    """What helps ReLU neurons that send at most one spike in a step.

    Above one spike a step a rate is cut off, below it takes more steps to show: percentiles and
    rates weigh these against each other.

    Args:
        base: The samples, and what the user has set.
        kind: "binary" or "ternary".
    """
    own = {"spike_values": kind}
    if base.percentile is None:
        for percentile in (99.0, 99.9, 100.0):
            yield {"calibration": replace(base, percentile=percentile), **own}
    else:
        yield {"calibration": base, **own}
    if base.rate is None:
        for spikes in (0.5, 0.75):
            yield {"calibration": replace(base, rate=spikes / base.dt), **own}
    yield {"calibration": base, "output_synapse": 0.01, **own}


def _allows_one(base: Calibration) -> bool:
    """Whether the rate of a calibration can be kept by one spike a step."""
    rates = base.rate.values() if isinstance(base.rate, Mapping) else [base.rate or 0.0]
    return max(rates, default=0.0) * base.dt <= 1 + 1e-9


def _first(x: Any, shapes: InputShapes) -> dict[str, Any]:
    """The first samples of every input."""
    check_feeds(x, shapes, None, 1)
    return {name: np.asarray(each)[:CALIBRATION] for name, each in by_name(x, shapes, "x").items()}


def _short(value: Any) -> str:
    if isinstance(value, Calibration):
        named = {"percentile": value.percentile, "rate": value.rate}
        told = [
            f"{name}={each:g}" if is_number(each) else f"{name}={each!r}"
            for name, each in named.items()
            if each is not None
        ]
        return f"Calibration({', '.join(['x', *told])})" if told else "x"
    held = value.values() if isinstance(value, Mapping) else [value]
    return "..." if any(hasattr(each, "shape") for each in held) else repr(value)

"""``check``: what would become of every layer of a model, before anything is built."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any

import keras

from .errors import NoGraphError
from .ir import Decision, Graph
from .ops import Conv, ConvTranspose, Dense, Input
from .options import check_names, read_options
from .pipeline import with_settings
from .preparation import Prepared, prepare
from .results.display import Display, as_frame, as_html, as_text

_STATUS = {
    "folded": "folded",
    "removed": "removed",
    "logits": "rewritten",
    "swapped": "rewritten",
    "max_pooling": "rewritten",
    "time": "rewritten",
    "bias": "rewritten",
    "tensornode": "kept",
}
_REFUSED = ("needs flag", "unsupported", "not read")


@dataclass(frozen=True, slots=True)
class CheckedLayer:
    """One call of one layer.

    Args:
        layer: Its name in conversion: ``conv``, ``conv.1`` at a second call, ``inner/conv`` inside
            another model.
        layer_class: Its Keras class.
        status: "native", "folded" (into another layer), "removed" (does nothing at inference),
            "rewritten" (by a decision that ``text`` tells), "kept" (as it is, without neurons),
            "needs flag", "unsupported", or "not read" (what it reads is unsupported, so nothing is
            known of it).
        text: How it is converted, or why it cannot be.
        fix: What to do about it, where something must be done.
    """

    layer: str
    layer_class: str
    status: str
    text: str
    fix: str = ""

    def __str__(self) -> str:
        fix = f" -> {self.fix}" if self.fix else ""
        return f"{self.layer} ({self.layer_class}): {self.status}: {self.text}{fix}"

    def to_dict(self) -> dict[str, str]:
        """The row as plain data that ``json.dumps`` takes."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Check:
    """The result of :func:`check`: true if the model converts. ``print`` shows a table.

    Args:
        model: The model's name.
        layers: One entry for each call of a layer or operation, in order.
    """

    model: str
    layers: tuple[CheckedLayer, ...]

    @property
    def passed(self) -> bool:
        """Whether ``convert`` with the same options accepts the model."""
        return not any(row.status in _REFUSED for row in self.layers)

    def __bool__(self) -> bool:
        return self.passed

    def __iter__(self) -> Iterator[CheckedLayer]:
        return iter(self.layers)

    def as_dicts(self) -> list[dict[str, str]]:
        """The table as plain data, for JSON or a data frame."""
        return [asdict(row) for row in self.layers]

    def __repr__(self) -> str:
        return f"<Check: {self._verdict}>"

    def __str__(self) -> str:
        return as_text(self._display())

    def _repr_html_(self) -> str:
        return as_html(self._display())

    def to_dict(self) -> dict[str, Any]:
        """The result as plain data that ``json.dumps`` takes."""
        return {"model": self.model, "passed": self.passed, "layers": self.as_dicts()}

    def to_frame(self) -> Any:
        """The table as a ``pandas.DataFrame``, one row for each layer.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        return as_frame(self.as_dicts(), [each.name for each in fields(CheckedLayer)])

    def plot(self, ax: Any = None, **options: Any) -> Any:
        """How many layers have which status.

        Args:
            ax: A ``matplotlib.axes.Axes``, or None for a new figure.
            **options: Arguments of :func:`kconvert.plot.statuses`.

        Returns:
            The Axes.

        Raises:
            MissingPackageError: Matplotlib is not installed.
        """
        from .plot import statuses

        return statuses(self, ax=ax, **options)

    @property
    def _verdict(self) -> str:
        counts = Counter(row.status for row in self.layers)
        verdict = "converts" if self.passed else "cannot be converted as it is"
        total = ", ".join(f"{count} {status}" for status, count in counts.items())
        return f"{self.model!r} {verdict}: {total}"

    def _display(self) -> Display:
        rows = []
        for row in self.layers:
            rows.append((row.layer, row.layer_class, row.status, row.text))
            if row.fix:
                rows.append(("", "", "", f"-> {row.fix}"))
        return Display([self._verdict], ("layer", "class", "status", "how it is converted"), rows)


def check(model: keras.Model, **options: Any) -> Check:
    """Say how every layer would be converted, all at once. It raises for no model of Keras.

    A model that has no graph, or unknown sizes, has a single row, "unsupported", which says so.

    Args:
        model: A Keras model.
        **options: Arguments of :func:`kconvert.convert`. ``layers``, ``swap_activations``,
            ``allow`` and ``max_pooling`` decide how layers are converted; the others are checked.

    Raises:
        InputError: It is no model at all, or an option is malformed or names what the model does
            not have.

    Example:
        >>> import keras, kconvert
        >>> model = keras.Sequential([
        ...     keras.Input((8,)),
        ...     keras.layers.Dense(4, activation="relu", name="hidden"),
        ...     keras.layers.Dense(3, activation="gelu", name="end"),
        ... ])
        >>> report = check(model)
        >>> [(row.layer, row.status) for row in report]
        [('hidden', 'native'), ('end', 'needs flag')]
        >>> bool(check(model, swap_activations={"gelu": "relu"}))
        True
    """
    check_names(options)
    read = read_options(**options)
    try:
        prepared = prepare(model, read)
    except NoGraphError as error:
        name = str(getattr(model, "name", "model"))
        row = CheckedLayer(name, type(model).__name__, "unsupported", error.reason, error.fix)
        return Check(name, (row,))
    if not prepared.problems:  # otherwise layers that a setting names may be missing
        with_settings(prepared, read)
    return Check(model.name, tuple(_rows(prepared)))


def _rows(prepared: Prepared) -> Iterator[CheckedLayer]:
    problems = {problem.layer: problem for problem in prepared.problems}
    unread = prepared.reading.unread
    decisions: dict[str, list[Decision]] = {}
    for decision in prepared.graph.decisions:
        if decision.kind in _STATUS:
            decisions.setdefault(decision.layer, []).append(decision)
    calls = dict(prepared.reading.calls)
    for problem in prepared.problems:  # a model inside is listed only where it is refused itself
        calls.setdefault(problem.layer, problem.layer_class)
    for name, layer_class in calls.items():
        if name in problems:
            problem = problems[name]
            status = "needs flag" if problem.flag else "unsupported"
            yield CheckedLayer(name, layer_class, status, problem.reason, problem.advice)
        elif name in unread:
            text = f"comes after {unread[name]!r}, which cannot be read"
            yield CheckedLayer(name, layer_class, "not read", text)
        elif made := decisions.get(name):
            text = "; ".join(decision.text for decision in made)
            yield CheckedLayer(name, layer_class, _STATUS[made[-1].kind], text)
        else:
            yield CheckedLayer(name, layer_class, *_native(name, prepared.graph))


def _native(name: str, graph: Graph) -> tuple[str, str]:
    """Status and text of a layer that is in the graph, or was merged into another."""
    node = graph.nodes.get(name)
    own = [other for other in graph.nodes.values() if other.call == name]
    neurons = [other for other in own if other.is_neuron]
    if neurons:
        kinds = dict.fromkeys(other.op.kind for other in neurons)
        weights = any(isinstance(other.op, Dense | Conv | ConvTranspose) for other in own)
        into = f"{' and '.join(kinds)} neurons"
        return "native", f"connections to {into}" if weights else into
    if node is None:
        taker = next((other for other in graph.nodes.values() if name in other.origin), None)
        if taker is None:
            return "removed", "changes nothing"
        return "folded", f"merged into {taker.name!r}"
    if isinstance(node.op, Dense | Conv | ConvTranspose):
        return "native", "connections"
    return "native", "input" if isinstance(node.op, Input) else "fixed connections"

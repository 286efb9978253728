"""Runs Keras' own tests, which its package ships, and records the calls that they make.

The tests are run for their calls. Whether they pass does not matter here.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import sys
import types
import unittest
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import keras
import numpy as np
from keras.src import testing

ROOT = Path(keras.__file__).parent


@dataclass(frozen=True, slots=True)
class Spec:
    """The place of a tensor in a call: an input of the model that replays the call."""

    shape: tuple[int | None, ...]
    dtype: str


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One call of a layer or of an operation of ``keras.ops``.

    Args:
        source: The test file, as ``layers/core/dense_test``.
        kind: The class that is called.
        config: Its configuration, without the name; None where it has none.
        operation: The operation itself, where it has no configuration and no weights.
        arguments: Positional and keyword arguments, with a ``Spec`` for each tensor.
    """

    source: str
    kind: type
    config: dict[str, Any] | None
    operation: Any
    arguments: Any

    @property
    def key(self) -> str:
        """Equal for calls that compute the same."""
        where = id(self.operation) if self.config is None else ""
        # An address in the text of an object would make equal calls different.
        config = json.dumps(self.config, sort_keys=True, default=lambda value: type(value).__name__)
        return f"{self.kind.__module__}.{self.kind.__name__} {config} {where} {self.arguments!r}"


def test_files(*folders: str) -> list[str]:
    """Test modules under folders of ``keras/src``, as ``layers/core/dense_test``."""
    found = [path for folder in folders for path in (ROOT / "src" / folder).rglob("*_test.py")]
    return sorted(str(path.relative_to(ROOT / "src").with_suffix("")) for path in found)


def record(file: str, calls: dict[str, Call]) -> list[Call]:
    """Run a test file; add the calls that are not there yet to ``calls``, and return these."""
    tests = unittest.defaultTestLoader.loadTestsFromModule(_imported(file))
    before = set(calls)
    with _recorded(file, calls), contextlib.redirect_stdout(io.StringIO()):
        tests.run(unittest.TestResult())
    return [call for key, call in calls.items() if key not in before]


def _imported(file: str) -> types.ModuleType:
    """A test module; stand-ins take the place of what is not installed and few of its tests use.

    These are other backends and loaders, and the conftest.py of Keras' repository.
    """
    name = "keras.src." + file.replace("/", ".")
    stand_ins: dict[str, Any] = {"conftest": mock.MagicMock()}
    stand_ins["conftest"].skip_if_backend = lambda *_, **__: lambda test: test
    before = sys.modules.get("conftest")
    while True:
        sys.modules.update(stand_ins)
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or error.name in stand_ins:
                raise
            stand_ins[error.name] = mock.MagicMock()
        finally:
            for each in stand_ins:
                sys.modules.pop(each, None)
            if before is not None:
                sys.modules["conftest"] = before


@contextlib.contextmanager
def _recorded(source: str, calls: dict[str, Call]) -> Iterator[None]:
    """Note every outermost call while this is on, and leave out what trains."""
    layer_call, operation_call = keras.Layer.__call__, keras.Operation.__call__
    symbolic_call = keras.Operation.symbolic_call
    run_layer_test = testing.TestCase.run_layer_test
    depth = 0

    def noting(original: Any, is_layer: bool) -> Any:
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            nonlocal depth
            outermost = depth == 0 and isinstance(self, keras.Layer) is is_layer
            # What a model holds is recorded, and not the model.
            is_model = isinstance(self, keras.Model)
            if outermost and not is_model:
                with contextlib.suppress(Exception):  # what cannot be described is left out
                    found = _described(source, self, args, kwargs)
                    calls.setdefault(found.key, found)
            depth += not is_model
            try:
                return original(self, *args, **kwargs)
            finally:
                depth -= not is_model

        return call

    def without_training(self: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs |= {"run_training_check": False, "run_mixed_precision_check": False}
        return run_layer_test(self, *args, **kwargs)

    keras.Layer.__call__ = noting(layer_call, True)
    keras.Operation.__call__ = noting(operation_call, False)
    keras.Operation.symbolic_call = noting(symbolic_call, False)
    testing.TestCase.run_layer_test = without_training
    try:
        yield
    finally:
        keras.Layer.__call__, keras.Operation.__call__ = layer_call, operation_call
        keras.Operation.symbolic_call = symbolic_call
        testing.TestCase.run_layer_test = run_layer_test


def _described(source: str, operation: Any, args: Any, kwargs: Any) -> Call:
    is_layer = isinstance(operation, keras.Layer)
    n_samples = _leading([leaf for leaf in keras.tree.flatten((args, kwargs)) if _is_tensor(leaf)])
    symbolic = any(
        isinstance(leaf, keras.KerasTensor) for leaf in keras.tree.flatten((args, kwargs))
    )

    def spec(leaf: Any) -> Any:
        if isinstance(leaf, keras.KerasTensor) or (
            _is_tensor(leaf)
            and not symbolic
            and (is_layer or tuple(leaf.shape)[:1] == (n_samples,))
        ):
            dtype = keras.backend.standardize_dtype(leaf.dtype)
            return Spec((None, *tuple(leaf.shape)[1:]), dtype)
        return leaf

    arguments = keras.tree.map_structure(spec, (args, dict(kwargs)))
    try:
        config = dict(operation.get_config())
        config.pop("name", None)
        type(operation).from_config(dict(config))
    except Exception:
        if is_layer:
            raise
        config = None
    return Call(source, type(operation), config, None if is_layer else operation, arguments)


def _leading(tensors: Sequence[Any]) -> Any:
    return tensors[0].shape[0] if tensors and len(tensors[0].shape) else None


def _is_tensor(leaf: Any) -> bool:
    return isinstance(leaf, np.ndarray | keras.KerasTensor) or keras.ops.is_tensor(leaf)

"""Makes NengoDL 3.6.0 importable, and working, in a process where ``keras`` is Keras 3.

The one line a user needs, before the first use of NengoDL::

    from kconvert.bridge import nengo_dl

After it, ``import nengo_dl`` works anywhere in the process (``import kconvert.bridge`` alone is
enough for that).

NengoDL was written for Keras 2. This module gives NengoDL's own modules, and no others, a different
view of two names: ``keras`` and the Keras parts of ``tensorflow`` are those of ``tf_keras``, the
Keras 2 that TensorFlow still maintains. It does so with an import hook that answers for
``nengo_dl`` alone and executes its modules with their own ``__import__``. ``sys.modules["keras"]``,
``tf.keras``, environment variables and everything outside NengoDL stay as they were, whatever was
imported first and whether ``TF_USE_LEGACY_KERAS`` is set or not.

Objects handed to NengoDL (losses, optimizers, metrics, layers in a ``TensorNode``) must be Keras 2
objects, from ``tf_keras``, or names such as ``"rmsprop"``.

Four defects of NengoDL 3.6.0 are mended on the way: with Nengo >= 3.2.1 it fails on every synapse
with a feedthrough term and on every stateless linear filter; it merges grouped convolutions that
read the same signal as if they had no groups; it fails on square sparse matrices of ones that are
no identity; and it fails when a process with a TensorFlow builder
of its own, such as max pooling here, stands beside another process.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.machinery
import importlib.metadata
import importlib.util
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial, wraps
from types import ModuleType, SimpleNamespace
from typing import Any

from packaging.version import Version

from .arguments import leaves
from .errors import BridgeError, InputError
from .packages import NENGO_DL, Package, how_to_install, missing

NENGO_DL_VERSION = NENGO_DL["nengo_dl"].requirement.partition("==")[2]
TF_KERAS = "NengoDL runs on tf-keras, the Keras 2 that TensorFlow maintains."

# The attributes of ``tensorflow`` that are Keras'.
_KERAS_PARTS = ("keras", "initializers", "losses", "metrics", "optimizers")


class _TensorFlowWithKeras2(ModuleType):
    """``tensorflow`` as NengoDL expects it: the Keras parts are ``tf_keras``', the rest is real."""

    def __getattr__(self, name: str) -> Any:
        if name == "keras":
            return importlib.import_module("tf_keras")
        if name in _KERAS_PARTS:
            return getattr(importlib.import_module("tf_keras"), name)
        return getattr(importlib.import_module("tensorflow"), name)


_TENSORFLOW = _TensorFlowWithKeras2("tensorflow")

# NengoDL asks a process of its own whether there is a GPU. What TensorFlow prints when that process
# starts is nothing the user asked for.
_QUIET_SUBPROCESS = SimpleNamespace(call=partial(subprocess.call, stderr=subprocess.DEVNULL))


class _LoggingByName(ModuleType):
    """``logging`` for NengoDL, which logs to the root logger.

    The first such message would give that a handler, and from then on everything that other
    packages log would be printed.
    """

    def __getattr__(self, name: str) -> Any:
        if name in ("debug", "info", "warning", "error"):
            return getattr(logging.getLogger("nengo_dl"), name)
        return getattr(logging, name)


_LOGGING = _LoggingByName("logging")


class _NumPyOfOptimizer(ModuleType):
    """``numpy`` for NengoDL's optimizer of graphs.

    That takes a square sparse matrix of ones for an identity before it counts them, and compares
    the places of other numbers of ones with a diagonal.
    """

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module("numpy"), name)

    def allclose(self, a: Any, b: Any, **settings: Any) -> bool:
        numpy = importlib.import_module("numpy")
        fits = numpy.ndim(a) == 0 or numpy.ndim(b) == 0 or numpy.shape(a) == numpy.shape(b)
        return fits and bool(numpy.allclose(a, b, **settings))


_NUMPY = _NumPyOfOptimizer("numpy")


def _import_for_nengo_dl(
    name: str,
    globals: Any = None,
    locals: Any = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> Any:
    """``__import__`` as NengoDL's modules see it."""
    if level == 0:
        if name == "subprocess" and globals["__name__"] == "nengo_dl.utils":
            return _QUIET_SUBPROCESS
        if name == "logging":
            return _LOGGING
        if name == "numpy" and not fromlist and globals["__name__"] == "nengo_dl.graph_optimizer":
            return _NUMPY
        if name == "keras" or name.startswith("keras."):
            # NengoDL reaches for Keras' internals, which tf_keras keeps in ``tf_keras.src``.
            target = "tf_keras.src" + name.removeprefix("keras")
            module = importlib.import_module(target)
            return module if fromlist else importlib.import_module("tf_keras")
        if name == "tensorflow.keras" or name.startswith("tensorflow.keras."):
            module = importlib.import_module("tf_keras" + name.removeprefix("tensorflow.keras"))
            return module if fromlist else _TENSORFLOW
        if name == "tensorflow" or (name.startswith("tensorflow.") and not fromlist):
            importlib.import_module(name)
            return _TENSORFLOW
    return builtins.__import__(name, globals, locals, fromlist or (), level)


class _Loader(importlib.machinery.SourceFileLoader):
    """Runs a module of NengoDL with :func:`_import_for_nengo_dl` as its import statement."""

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = {
            **vars(builtins),
            "__import__": _import_for_nengo_dl,
        }
        if module.__name__ != "nengo_dl":
            super().exec_module(module)
            if module.__name__ == "nengo_dl.process_builders":
                _mend_linear_filter(module)
                _mend_process_merging(module)
            if module.__name__ == "nengo_dl.transform_builders":
                _mend_grouped_convolutions(module)
            if module.__name__ == "nengo_dl.converter":
                _refuse_keras_3(module.Converter, "__init__", "kconvert.convert(model)")
            if module.__name__ == "nengo_dl.simulator":
                _refuse_keras_3(module.Simulator, "compile", "the object of this name in tf_keras")
            for extend in _EXTENSIONS.get(module.__name__, ()):
                extend(module)
            return
        _require_matching_versions()
        with _process_left_as_it_was():
            super().exec_module(module)


class _Finder:
    """Finds ``nengo_dl`` and its submodules, and nothing else."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != "nengo_dl" and not name.startswith("nengo_dl."):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or not isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            return spec
        spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


@contextmanager
def _process_left_as_it_was() -> Iterator[None]:
    """Undo what importing NengoDL does to the rest of the process.

    It sets TF_CPP_MIN_LOG_LEVEL, adds a filter to TensorFlow's logger, and replaces a method of
    autograph to please a documentation builder.
    """
    from tensorflow.python.autograph.impl.api import StackTraceMapper

    level = os.environ.get("TF_CPP_MIN_LOG_LEVEL")
    logger = logging.getLogger("tensorflow")
    filters = list(logger.filters)
    source_map = StackTraceMapper.get_effective_source_map
    try:
        with warnings.catch_warnings():
            # "not been tested with your Nengo version": it has, with this bridge.
            warnings.filterwarnings("ignore", message="This version of NengoDL has not been tested")
            yield
    finally:
        if level is None:
            os.environ.pop("TF_CPP_MIN_LOG_LEVEL", None)
        else:
            os.environ["TF_CPP_MIN_LOG_LEVEL"] = level
        logger.filters[:] = filters
        StackTraceMapper.get_effective_source_map = source_map


def _version(*distributions: str) -> str | None:
    for distribution in distributions:
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def _release(version: str) -> tuple[int, ...]:
    """``"3.2.1.dev0"`` -> ``(3, 2, 1)``."""
    return Version(version).release if version else ()


def _require_matching_versions(what: str = "NengoDL beside Keras 3") -> None:
    """Refuse, naming the fix, unless the installed versions fit together.

    Raises:
        MissingPackageError: A package is not there.
        BridgeError: All are there, and their versions do not fit.
    """
    tensorflow = _version("tensorflow", "tensorflow-cpu", "tensorflow-macos", "tf-nightly")
    tf_keras = _version("tf-keras", "tf_keras", "tf-keras-nightly")
    nengo_dl = _version("nengo-dl")
    fitting = dict(NENGO_DL)
    if tensorflow is not None:
        minor = ".".join(map(str, _release(tensorflow)[:2]))
        fitting["tf_keras"] = Package("tf-keras", f"tf-keras=={minor}.*")
    found = {"nengo_dl": nengo_dl, "tensorflow": tensorflow, "tf_keras": tf_keras}
    if lacking := [fitting[module] for module, version in found.items() if version is None]:
        raise missing(what, lacking, TF_KERAS if tf_keras is None else "")
    problems, wanted = [], []
    if _release(tensorflow or "")[:2] != _release(tf_keras or "")[:2]:
        wanted.append(fitting["tf_keras"].requirement)
        problems.append(
            f"TensorFlow {tensorflow} and tf-keras {tf_keras} do not fit together: the first two "
            "numbers of their versions must be equal."
        )
    if nengo_dl != NENGO_DL_VERSION:
        wanted.append(fitting["nengo_dl"].requirement)
        problems.append(
            f"NengoDL {nengo_dl} is installed, but the bridge supports only {NENGO_DL_VERSION}."
        )
    if problems:
        raise BridgeError(
            " ".join(("NengoDL cannot run beside Keras 3 here.", *problems, how_to_install(wanted)))
        )


def import_nengo_dl(what: str) -> ModuleType:
    """NengoDL, imported through the bridge.

    Args:
        what: What needs it, for the error.

    Raises:
        MissingPackageError: NengoDL, or what it runs on, is not installed.
        BridgeError: It is installed and cannot work.
    """
    try:
        return importlib.import_module("nengo_dl")
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module not in NENGO_DL:
            raise
        _require_matching_versions(what)
        raise missing(what, [NENGO_DL[module]]) from error


def _mend_linear_filter(process_builders: Any) -> None:
    """Let NengoDL read the feedthrough matrix D of a linear filter in the shape it expects.

    Since Nengo 3.2.1 a filter's D is two-dimensional (``LinearFilter.Step`` reshapes it for
    broadcasting), while NengoDL 3.6.0 adds the axes itself and then stops at an assertion. While
    NengoDL builds such filters it is shown D flat. Mended upstream, never released.
    """
    nengo_version = _version("nengo") or "0"
    if _version("nengo-dl") != NENGO_DL_VERSION or _release(nengo_version) < (3, 2, 1):
        return
    builder = process_builders.LinearFilterBuilder
    build_pre = builder.build_pre

    class FlatFeedthrough:
        def __init__(self, process: Any) -> None:
            self._process = process

        def __getattr__(self, name: str) -> Any:
            return getattr(self._process, name)

        def make_step(self, *args: Any, **kwargs: Any) -> Any:
            step = self._process.make_step(*args, **kwargs)
            step.D = step.D.ravel()
            return step

    def build_pre_with_flat_feedthrough(self: Any, signals: Any, config: Any) -> None:
        ops = self.ops
        self.ops = [
            SimpleNamespace(
                process=FlatFeedthrough(op.process),
                input=op.input,
                output=op.output,
                state=op.state,
            )
            for op in ops
        ]
        try:
            build_pre(self, signals, config)
        finally:
            self.ops = ops

    builder.build_pre = build_pre_with_flat_feedthrough


def _mend_process_merging(process_builders: Any) -> None:
    """Let NengoDL hold processes with a TensorFlow builder beside its own two kinds.

    Its rule of which operators may be merged knows only those and raises an error for others, which
    are left unmerged here.
    """
    builder = process_builders.SimProcessBuilder
    mergeable = builder.mergeable

    def mergeable_if_known(x: Any, y: Any) -> bool:
        known = process_builders.LinearFilter
        more = tuple(kind for kind in builder.TF_PROCESS_IMPL if not issubclass(kind, known))
        if isinstance(x.process, more) or isinstance(y.process, more):
            return False
        return bool(mergeable(x, y))

    builder.mergeable = staticmethod(mergeable_if_known)


def _mend_grouped_convolutions(transform_builders: Any) -> None:
    """Keep NengoDL from merging grouped convolutions that read the same signal.

    It knows nothing of groups (they came with Nengo 4) and would join their kernels as if every
    filter read every channel.
    """
    builder = transform_builders.ConvIncBuilder
    mergeable = builder.mergeable

    def mergeable_without_groups(x: Any, y: Any) -> bool:
        groups = {getattr(op.conv, "groups", 1) for op in (x, y)}
        return groups == {1} and bool(mergeable(x, y))

    builder.mergeable = staticmethod(mergeable_without_groups)


def _refuse_keras_3(cls: type, method: str, instead: str) -> None:
    """Let a method of NengoDL's say what to do about objects of Keras 3, which it cannot use."""
    original = getattr(cls, method)

    @wraps(original)
    def checked(self: Any, *args: Any, **kwargs: Any) -> Any:
        for given in leaves([*args, *kwargs.values()]):
            modern = [each for each in type(given).__mro__ if each.__module__.startswith("keras.")]
            if modern:
                where = cls.__name__ if method == "__init__" else f"{cls.__name__}.{method}"
                raise InputError(
                    f"nengo_dl.{where} takes objects of Keras 2, but this {type(given).__name__} "
                    f"is from Keras 3: use {instead}"
                )
        return original(self, *args, **kwargs)

    setattr(cls, method, checked)


_EXTENSIONS: dict[str, list[Callable[[Any], None]]] = {}


def extend_nengo_dl(module: str, extend: Callable[[Any], None]) -> None:
    """Call a function with a module of NengoDL's, once that is imported.

    So a process or a neuron type gets its TensorFlow implementation without an import of TensorFlow
    before it is needed.

    Args:
        module: "process_builders" or "neuron_builders".
        extend: Is called with the module.
    """
    name = f"nengo_dl.{module}"
    _EXTENSIONS.setdefault(name, []).append(extend)
    if loaded := sys.modules.get(name):
        extend(loaded)


def _install() -> None:
    """Put the finder in place, unless a working NengoDL is there already."""
    loaded = sys.modules.get("nengo_dl")
    if loaded is None:
        # What a failed ``import nengo_dl`` leaves behind was executed without the bridge. Nobody
        # can be using it, since the package itself is not there.
        for name in [name for name in sys.modules if name.startswith("nengo_dl.")]:
            del sys.modules[name]
    elif not (hasattr(loaded, "Simulator") and hasattr(loaded, "Converter")):
        raise BridgeError(
            "nengo_dl was imported before kconvert.bridge and its import failed halfway (it has no "
            "Simulator): NengoDL 3.6.0 alone cannot be imported beside Keras 3. Restart Python and "
            "import kconvert.bridge before nengo_dl"
        )
    else:
        return
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)


def __getattr__(name: str) -> Any:
    if name == "nengo_dl":
        return import_nengo_dl("kconvert.bridge")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


_install()

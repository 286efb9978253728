"""Makes Keras know kconvert's layers, without importing Keras before the user does.

``keras.models.load_model`` finds a layer of another package only if that package has registered it.
``import kconvert`` must be enough for that, and must not cost the seconds that importing Keras
takes. So the layers are registered at once if Keras is imported already, else right after it is.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:  # a stored network starts sooner without these
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import ModuleType

REGISTERED = ("layers", "regularizers")
"""Modules that register classes with Keras."""


def register_with_keras() -> None:
    """Register now, or when Keras has been imported."""
    if "keras" in sys.modules:
        _register()
    elif not any(isinstance(finder, _AfterKeras) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterKeras())


def _register() -> None:
    for name in REGISTERED:
        import_module(f".{name}", __package__)


class _AfterKeras:
    """Lets the usual finders find ``keras``, and registers once it has been executed."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "keras":
            return None
        from importlib.util import find_spec

        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = cast("Loader", _Registering(spec.loader))
        return spec


class _Registering:
    """A loader that registers kconvert's classes after another loader is done."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # From here on the module has its own loader, as if nothing had been there.
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self._loader
        try:
            self._loader.exec_module(module)
        except BaseException:
            sys.meta_path.insert(0, _AfterKeras())  # Keras had no backend, and may be asked again
            raise
        _register()
